//! Those who are not connected yet: what each check costs, and who gives way (spec
//! `10-endpoint.md`).
//!
//! ```text
//!  I1, X1 ──► length, version, mac ──► seen before? ──► cookie? ──► limits ──► curve operations
//!              a hash, no state          answer again     RETRY       drop       a half-open slot
//! ```

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::config::{EndpointConfig, RetryPolicy};
use crate::connection::Transmit;
use crate::crypto::cookie::{Cookie, CookieKeys, Stranger};
use crate::crypto::handshake::AwaitX3;
use crate::flow::Share;
use crate::path::{CarrierKind, Source};
use crate::time::Instant;
use crate::wire::id::CarrierId;

use super::slab::SlotKey;

/// Half-open handshakes of one IP address (spec R-EP-13).
const PER_ADDRESS: u16 = 16;
/// First packets without a cookie a second before cookies are demanded (spec R-EP-14).
const COOKIELESS_PER_SECOND: u32 = 512;
/// Stateless resets a second (spec R-EP-30).
const RESETS_PER_SECOND: u32 = 10;
/// Answers to strangers that wait for one carrier (spec R-EP-22).
const MAX_REPLIES: usize = 64;

/// A handshake that a stranger began and that is not a connection yet.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct HalfOpen {
    /// The initiator's ephemeral key: names the attempt.
    pub(super) ephemeral: [u8; 32],
    /// Where it came from.
    pub(super) source: Source,
    /// Its part of the budget.
    pub(super) share: Share,
    /// When it is forgotten.
    pub(super) until: Instant,
    /// What it waits for.
    pub(super) stage: Stage,
}

/// What a half-open handshake waits for.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) enum Stage {
    /// The application's answer.
    Offered,
    /// The stranger's last packet.
    AwaitX3 {
        /// The machine.
        machine: AwaitX3,
        /// What we answered, for a duplicate of the question.
        answer: Vec<u8>,
        /// When, unless it was said again.
        sent: Option<Instant>,
    },
}

/// A count of events in the current second.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct PerSecond {
    second: u64,
    count: u32,
}

impl PerSecond {
    /// Counts one more; returns how many that makes in this second.
    fn count(&mut self, now: Instant) -> u32 {
        let second = now.as_nanos() / 1_000_000_000;
        if self.second != second {
            *self = Self { second, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

/// Strangers' limits, and what waits to be said to them.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Strangers {
    cookies: CookieKeys,
    policy: RetryPolicy,
    limit: u32,
    /// Half-open handshakes from which on cookies are demanded.
    crowd: u32,
    half_open: u32,
    by_address: BTreeMap<IpAddr, u16>,
    by_ephemeral: BTreeMap<[u8; 32], SlotKey>,
    cookieless: PerSecond,
    resets: PerSecond,
    /// By carrier: one that is blocked must not silence the others. No list is empty.
    replies: BTreeMap<CarrierId, VecDeque<(Transmit, Vec<u8>)>>,
}

/// What is to be done with a first packet that is no duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Worth curve operations.
    Open,
    /// Must show first that it receives at its address.
    Retry(Cookie),
    /// Too many.
    Drop,
}

impl Strangers {
    /// None yet.
    pub(super) fn new(cookies: CookieKeys, config: &EndpointConfig) -> Self {
        let places = config.half_open.min(config.memory.max_connections());
        Self {
            cookies,
            policy: config.retry,
            limit: config.half_open,
            crowd: places.div_ceil(4),
            half_open: 0,
            by_address: BTreeMap::new(),
            by_ephemeral: BTreeMap::new(),
            cookieless: PerSecond::default(),
            resets: PerSecond::default(),
            replies: BTreeMap::new(),
        }
    }

    /// The attempt or connection that an ephemeral key began.
    pub(super) fn find(&self, ephemeral: &[u8; 32]) -> Option<SlotKey> {
        self.by_ephemeral.get(ephemeral).copied()
    }

    /// Judges a first packet that is no duplicate by cookie and limits (spec R-EP-13, R-EP-14).
    /// Who came by TCP has shown already that it receives at its address (spec R-TCP-6).
    pub(super) fn admit(
        &mut self,
        cookie: &Cookie,
        who: &Stranger,
        by: CarrierKind,
        now: Instant,
    ) -> Admission {
        let proven = by == CarrierKind::Reliable
            || (*cookie != Cookie::NONE && self.cookies.check(cookie, who, now));
        if !proven {
            let crowded = self.half_open >= self.crowd;
            let hurried = self.cookieless.count(now) > COOKIELESS_PER_SECOND;
            if self.policy == RetryPolicy::Always || crowded || hurried {
                return Admission::Retry(self.cookies.make(who, now));
            }
        }
        let from_there = self.by_address.get(&who.address.ip()).copied().unwrap_or(0);
        if self.half_open >= self.limit || from_there >= PER_ADDRESS {
            return Admission::Drop;
        }
        Admission::Open
    }

    /// A half-open handshake has a slot.
    pub(super) fn on_begun(&mut self, ephemeral: [u8; 32], address: IpAddr, key: SlotKey) {
        self.half_open += 1;
        *self.by_address.entry(address).or_insert(0) += 1;
        self.by_ephemeral.insert(ephemeral, key);
    }

    /// Another name of a connection that we began ourselves.
    pub(super) fn remember(&mut self, ephemeral: [u8; 32], key: SlotKey) {
        self.by_ephemeral.insert(ephemeral, key);
    }

    /// It is half-open no more: it became a connection or was forgotten.
    pub(super) fn on_ended(&mut self, address: IpAddr) {
        self.half_open = self.half_open.saturating_sub(1);
        if let Some(count) = self.by_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    /// Neither attempt nor connection: the key may begin another.
    pub(super) fn forget(&mut self, ephemeral: &[u8; 32]) {
        self.by_ephemeral.remove(ephemeral);
    }

    /// Whether one more stateless reset may go out now.
    pub(super) fn may_reset(&mut self, now: Instant) -> bool {
        self.resets.count(now) <= RESETS_PER_SECOND
    }

    #[cfg(any(test, feature = "fingerprint"))]
    pub(super) const fn overlook_resets(&mut self, before: &Self) {
        self.resets = before.resets;
    }

    /// Says `bytes` to whoever is at `source`, unless too much waits already.
    pub(super) fn reply(&mut self, source: &Source, bytes: Vec<u8>) -> bool {
        let Source { carrier, remote, local, .. } = *source;
        let waiting = self.replies.entry(carrier).or_default();
        if waiting.len() >= MAX_REPLIES {
            return false;
        }
        let transmit = Transmit { carrier, remote, local, ecn: None, segment: None };
        waiting.push_back((transmit, bytes));
        true
    }

    /// What waits for a carrier that is gone will never be sent.
    pub(super) fn on_carrier_closed(&mut self, carrier: CarrierId) {
        self.replies.remove(&carrier);
    }

    /// The oldest reply for a carrier that takes it.
    pub(super) fn pop_reply(
        &mut self,
        writable: impl Fn(CarrierId) -> bool,
    ) -> Option<(Transmit, Vec<u8>)> {
        let carrier = self.replies.keys().copied().find(|carrier| writable(*carrier))?;
        let waiting = self.replies.get_mut(&carrier)?;
        let reply = waiting.pop_front();
        if waiting.is_empty() {
            self.replies.remove(&carrier);
        }
        reply
    }

    /// Half-open handshakes now.
    pub(super) const fn half_open(&self) -> u32 {
        self.half_open
    }
}

/// Who asks, as cookies are bound to it.
pub(super) fn stranger(
    address: SocketAddr,
    scid: crate::wire::id::ConnectionId,
    pattern: u8,
) -> Stranger {
    Stranger { address, scid, pattern }
}
