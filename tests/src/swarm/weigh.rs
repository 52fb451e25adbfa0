//! Limits that hosts are given while the world runs, and whether they are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::endpoint::Endpoint;
use aqueduct_core::shaping::Class;
use aqueduct_core::time::Instant;

use super::deed::Deed;
use super::world::World;
use crate::net::HostId;

/// How often a limited host is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// The largest datagrams, where nobody says otherwise.
const LARGEST: u64 = 1_452;
/// What a bucket holds is at least so many of those, or this part of a second.
const DATAGRAMS: u64 = 2;
const BURSTS_A_SECOND: u64 = 200;
/// Limits of those that had one at all, when the faults are over: enough for all that is left.
const AMPLE: u64 = 5_000_000;

/// The limits of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    node: Option<u64>,
    each: Option<u64>,
    own: BTreeMap<NodeId, u64>,
    /// When its own limit was looked at last, on its clock, and what had left that waits for one.
    since: Option<(Instant, u64)>,
    /// It is looked at once a second.
    watched: bool,
}

impl Limits {
    fn are_some(&self) -> bool {
        self.node.is_some() || self.each.is_some() || !self.own.is_empty()
    }
}

impl World {
    /// A limit of a host is another, or is looked at.
    pub(super) fn limit(&mut self, deed: Deed) {
        match deed {
            Deed::Limit(host, rate) => self.limit_all(host, rate),
            Deed::PeersLimit(host, rate) => {
                let now = self.net.local(host);
                self.net.host(host).endpoint.set_peers_limit(rate, now);
                self.nodes[host.0].limits.each = rate;
            }
            Deed::PeerLimit(host, edge, rate) => {
                let other = self.plan.edges[edge].other(host);
                let peer = self.net.host(other).endpoint.node_id();
                self.limit_one(host, peer, rate);
            }
            _ => {}
        }
        if let Deed::Limit(host, _)
        | Deed::PeersLimit(host, _)
        | Deed::PeerLimit(host, ..)
        | Deed::Weigh(host) = deed
        {
            self.weigh(host);
            let again = matches!(deed, Deed::Weigh(_));
            let limits = &mut self.nodes[host.0].limits;
            let some = limits.are_some();
            let watched = std::mem::replace(&mut limits.watched, some);
            if some && (again || !watched) {
                self.later(EVERY, Deed::Weigh(host));
            }
        }
    }

    fn limit_all(&mut self, host: HostId, rate: Option<u64>) {
        self.weigh(host);
        let now = self.net.local(host);
        let endpoint = &mut self.net.host(host).endpoint;
        endpoint.set_limit(rate, now);
        let limits = &mut self.nodes[host.0].limits;
        limits.node = rate;
        limits.since = rate.map(|_| (now, what_waits(endpoint)));
    }

    fn limit_one(&mut self, host: HostId, peer: NodeId, rate: Option<u64>) {
        let now = self.net.local(host);
        self.net.host(host).endpoint.set_peer_limit(peer, rate, now);
        let own = &mut self.nodes[host.0].limits.own;
        match rate {
            Some(rate) => _ = own.insert(peer, rate),
            None => _ = own.remove(&peer),
        }
    }

    /// The faults are over: who is limited still is, but above what is left to be sent.
    pub(super) fn be_generous(&mut self) {
        for host in (0..self.nodes.len()).map(HostId) {
            let before = self.nodes[host.0].limits.clone();
            before.own.keys().for_each(|peer| self.limit_one(host, *peer, None));
            if before.node.is_some() {
                self.limit(Deed::Limit(host, Some(AMPLE)));
            }
            if before.each.is_some() || !before.own.is_empty() {
                self.limit(Deed::PeersLimit(host, Some(AMPLE)));
            }
        }
    }

    /// All is over: limits are still there, and of those who left nothing is kept for them (spec
    /// R-SHP-15).
    pub(super) fn weigh_all(&mut self) {
        for host in (0..self.nodes.len()).map(HostId) {
            self.weigh(host);
            let kept = self.net.hosts[host.0].endpoint.limited_peers();
            assert_eq!(kept, 0, "host {}: entries of peers that left", host.0);
        }
    }

    /// No more has left than a host's limit lets pass (spec R-SHP-6), and without limits there is
    /// no entry.
    fn weigh(&mut self, host: HostId) {
        let now = self.net.local(host);
        let endpoint = &self.net.hosts[host.0].endpoint;
        let limits = &mut self.nodes[host.0].limits;
        let most = endpoint.connections().count() + limits.own.len();
        assert!(endpoint.limited_peers() <= most, "host {}: entries of peers that left", host.0);
        if !limits.are_some() {
            assert_eq!(endpoint.limited_peers(), 0, "host {}: entries without limits", host.0);
        }
        let (Some((then, before)), Some(rate)) = (limits.since, limits.node) else { return };
        let largest = self.plan.nodes[host.0].packets.map_or(LARGEST, u64::from);
        let time = now.saturating_since(then).as_nanos();
        let earned = u64::try_from(u128::from(rate) * time / 1_000_000_000).unwrap_or(u64::MAX);
        let most = earned + (rate / BURSTS_A_SECOND).max(DATAGRAMS * largest);
        let left = what_waits(endpoint) - before;
        assert!(left <= most, "host {}: {left} bytes left, and {most} may: {limits:?}", host.0);
        limits.since = Some((now, before + left));
    }
}

/// Bytes that left and that wait for a limit.
fn what_waits(endpoint: &Endpoint) -> u64 {
    let sent = endpoint.bandwidth();
    sent.sent(Class::Normal) + sent.sent(Class::Bulk)
}
