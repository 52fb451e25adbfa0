//! Network address translation: several hosts behind one address.
//!
//! Kinds are named as in RFC 3489: what differs is whom a mapping is for, and from whom it lets
//! datagrams in.
//!
//! | kind | one mapping for | lets in |
//! |---|---|---|
//! | full cone | an inside address | everybody |
//! | restricted | an inside address | addresses that were written to, from any port |
//! | port restricted | an inside address | addresses and ports that were written to |
//! | symmetric | an inside and an outside address | that outside address |

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aqueduct_core::time::Instant;

/// How a NAT maps and filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    /// One mapping, open to all.
    FullCone,
    /// One mapping, open to addresses that were written to.
    Restricted,
    /// One mapping, open to addresses and ports that were written to.
    PortRestricted,
    /// A mapping of its own for every destination.
    Symmetric,
}

impl NatKind {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::FullCone, Self::Restricted, Self::PortRestricted, Self::Symmetric];
}

/// Whom a mapping is for: who is inside and, with [`NatKind::Symmetric`], who is outside.
type Owner = (SocketAddr, Option<SocketAddr>);

#[derive(Clone, Debug)]
struct Mapping {
    owner: Owner,
    /// Who was written to, and when last.
    peers: BTreeMap<SocketAddr, Instant>,
    used: Instant,
}

/// A NAT and its table.
#[derive(Clone, Debug)]
pub struct Nat {
    /// How it maps and filters.
    pub kind: NatKind,
    /// Its address outside.
    pub public: IpAddr,
    /// Whether those inside reach each other by its public address.
    pub hairpin: bool,
    /// A mapping that nobody inside used for so long is forgotten.
    pub forgets_after: Duration,
    /// Datagrams from outside that had no way in.
    pub kept_out: u64,
    by_port: BTreeMap<u16, Mapping>,
    next_port: u16,
}

impl Nat {
    /// A NAT without mappings, that forgets after 30 s.
    pub const fn new(kind: NatKind, public: IpAddr) -> Self {
        Self {
            kind,
            public,
            hairpin: false,
            forgets_after: Duration::from_secs(30),
            kept_out: 0,
            by_port: BTreeMap::new(),
            next_port: 40_000,
        }
    }

    /// With hairpinning.
    #[must_use]
    pub const fn with_hairpin(mut self) -> Self {
        self.hairpin = true;
        self
    }

    /// Somebody inside writes to somebody outside: from which public address.
    pub fn outward(&mut self, inside: SocketAddr, outside: SocketAddr, now: Instant) -> SocketAddr {
        self.by_port.retain(|_, mapping| now.saturating_since(mapping.used) < self.forgets_after);
        let owner = (inside, (self.kind == NatKind::Symmetric).then_some(outside));
        let known = self.by_port.iter().find(|(_, mapping)| mapping.owner == owner);
        let port = known.map(|(port, _)| *port).unwrap_or_else(|| self.fresh(owner, now));
        if let Some(mapping) = self.by_port.get_mut(&port) {
            mapping.used = now;
            mapping.peers.insert(outside, now);
        }
        SocketAddr::new(self.public, port)
    }

    /// Somebody outside writes to a public address: to whom inside, if to anybody.
    pub fn inward(
        &mut self,
        outside: SocketAddr,
        public: SocketAddr,
        now: Instant,
    ) -> Option<SocketAddr> {
        let mapping = self.by_port.get(&public.port());
        let mapping = mapping.filter(|m| now.saturating_since(m.used) < self.forgets_after);
        let open = mapping.filter(|mapping| match self.kind {
            NatKind::FullCone => true,
            NatKind::Restricted => mapping.peers.keys().any(|peer| peer.ip() == outside.ip()),
            NatKind::PortRestricted | NatKind::Symmetric => mapping.peers.contains_key(&outside),
        });
        let inside = open.map(|mapping| mapping.owner.0);
        self.kept_out += u64::from(inside.is_none());
        inside
    }

    /// Forgets every mapping: whoever writes next comes from another port.
    pub fn forget(&mut self) {
        self.by_port.clear();
    }

    /// Who inside has a public address, whoever asks.
    pub fn behind(&self, public: SocketAddr) -> Option<SocketAddr> {
        let mapping = self.by_port.get(&public.port());
        mapping.filter(|_| public.ip() == self.public).map(|mapping| mapping.owner.0)
    }

    fn fresh(&mut self, owner: Owner, now: Instant) -> u16 {
        let port = self.next_port;
        self.next_port = self.next_port.checked_add(1).unwrap_or(40_000);
        self.by_port.insert(port, Mapping { owner, peers: BTreeMap::new(), used: now });
        port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// Whether a mapping lets in: whom it was made for, the same host from another port, another.
    fn lets_in(kind: NatKind) -> [bool; 3] {
        let mut nat = Nat::new(kind, addr("198.51.100.1:1").ip());
        let public = nat.outward(addr("192.168.0.2:7"), addr("203.0.113.5:9"), Instant::ZERO);
        ["203.0.113.5:9", "203.0.113.5:10", "203.0.113.6:9"]
            .map(|from| nat.inward(addr(from), public, Instant::ZERO).is_some())
    }

    #[test]
    fn kinds_differ_in_whom_they_let_in() {
        assert_eq!(lets_in(NatKind::FullCone), [true, true, true]);
        assert_eq!(lets_in(NatKind::Restricted), [true, true, false]);
        assert_eq!(lets_in(NatKind::PortRestricted), [true, false, false]);
        assert_eq!(lets_in(NatKind::Symmetric), [true, false, false]);
    }

    #[test]
    fn only_a_symmetric_one_shows_another_port_to_everybody() {
        for kind in NatKind::ALL {
            let mut nat = Nat::new(kind, addr("198.51.100.1:1").ip());
            let [one, other] = ["203.0.113.5:9", "203.0.113.6:9"]
                .map(|to| nat.outward(addr("192.168.0.2:7"), addr(to), Instant::ZERO));
            assert_eq!(one != other, kind == NatKind::Symmetric);
        }
    }

    #[test]
    fn what_is_not_used_is_forgotten() {
        let mut nat = Nat::new(NatKind::FullCone, addr("198.51.100.1:1").ip());
        let (inside, outside) = (addr("192.168.0.2:7"), addr("203.0.113.5:9"));
        let before = nat.outward(inside, outside, Instant::ZERO);
        let late = Instant::ZERO + Duration::from_secs(30);
        assert_eq!(nat.inward(outside, before, late), None);
        assert_ne!(nat.outward(inside, outside, late), before);
        nat.forget();
        assert_eq!(nat.behind(before), None);
    }
}
