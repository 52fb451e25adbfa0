//! The tree: node, peers, classes. Who may send how much now, and when the next may.

use alloc::collections::BTreeMap;
use core::time::Duration;

use super::peers::{Peer, Peers};
use super::{Class, TokenBucket};
use crate::time::{Instant, earliest, nanos};

/// Buckets hold this part of what comes in a second: 5 ms of it (spec R-SHP-6).
const BURSTS_A_SECOND: u64 = 200;
/// A turn is this part of what comes in a second: 0.25 ms of it (spec R-SHP-12).
const TURNS_A_SECOND: u64 = 4_000;
/// A turn has at most so many datagrams (spec R-SHP-12).
const MOST_DATAGRAMS: u64 = 16;

/// Who may send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what there is to know of a turn")]
pub struct Turn<P, M> {
    /// Whose turn it is.
    pub peer: P,
    /// Which of its members.
    pub member: M,
    /// How many bytes it may send, at least one of the largest datagrams.
    pub bytes: u64,
    /// The class that its next packet begins with: normal or bulk.
    pub first: Class,
}

/// Limits of a node and of its peers, and fair shares among those (spec `26-shaping.md`). `P` names
/// a peer, `M` a member of one: a connection. Everybody that has something to send and no leave to
/// [waits](Self::wait); [`turn`](Self::turn) says who goes on, and [`deadline`](Self::deadline)
/// when to ask again. Whoever sends says so, control as well.
///
/// ```
/// use aqueduct_core::shaping::{Class, Tree};
/// use aqueduct_core::time::Instant;
/// use core::time::Duration;
///
/// let start = Instant::ZERO;
/// let mut tree = Tree::new(1_000, Duration::from_nanos(1));
/// tree.set_node(Some(1_000_000), start);
/// tree.wait("ann", 1);
/// tree.wait("bob", 2);
/// for member in [1, 2, 1, 2, 1] {
///     let turn = tree.turn(start).expect("5,000 bytes are there");
///     assert_eq!((turn.member, turn.bytes), (member, 1_000));
///     tree.sent(Some(turn.peer), Class::Normal, turn.bytes, start);
/// }
/// assert_eq!(tree.turn(start), None);
/// assert_eq!(tree.deadline(), Some(start + Duration::from_millis(1)));
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Tree<P, M> {
    /// Bytes of the largest datagram.
    largest: u64,
    granularity: Duration,
    node: Option<TokenBucket>,
    /// The node's bucket is to fill until then.
    filling: Option<Instant>,
    /// Bytes a second for each peer that has no limit of its own.
    each: Option<u64>,
    /// Bytes a second for single peers.
    own: BTreeMap<P, u64>,
    peers: Peers<P, M>,
}

impl<P: Copy + Ord, M: Copy + PartialEq> Tree<P, M> {
    /// A tree without limits. `largest`: bytes of the largest datagram; `granularity`: how finely
    /// the driver can wake.
    pub fn new(largest: u64, granularity: Duration) -> Self {
        Self {
            largest: largest.max(1),
            granularity,
            node: None,
            filling: None,
            each: None,
            own: BTreeMap::new(),
            peers: Peers::default(),
        }
    }

    /// Whether there is any limit.
    pub fn is_limited(&self) -> bool {
        self.node.is_some() || self.each.is_some() || !self.own.is_empty()
    }

    /// What the node sends in all, in bytes a second; `None`: as much as it can.
    pub fn set_node(&mut self, rate: Option<u64>, now: Instant) {
        reshape(&mut self.node, rate, self.largest, now);
        self.filling = None;
    }

    /// What the node may send in all, in bytes a second.
    pub fn node(&self) -> Option<u64> {
        self.node.as_ref().map(TokenBucket::rate)
    }

    /// What each peer is sent that has no limit of its own, in bytes a second.
    pub fn set_each(&mut self, rate: Option<u64>, now: Instant) {
        self.each = rate;
        let largest = self.largest;
        for (peer, it) in self.peers.iter_mut() {
            reshape(&mut it.bucket, self.own.get(peer).copied().or(rate), largest, now);
        }
        self.peers.release_all();
    }

    /// What one peer is sent, in bytes a second; `None`: what the others are.
    pub fn set_peer(&mut self, peer: P, rate: Option<u64>, now: Instant) {
        match rate {
            Some(rate) => _ = self.own.insert(peer, rate),
            None => _ = self.own.remove(&peer),
        }
        if let Some(it) = self.peers.get_mut(peer) {
            reshape(&mut it.bucket, rate.or(self.each), self.largest, now);
        }
        self.peers.release_all();
    }

    /// Peers that are kept.
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Whether urgent bytes to `peer` may go before their turn: no bucket owes more than it holds
    /// (spec R-SHP-9).
    pub fn is_open_to_urgent(&mut self, peer: Option<P>, now: Instant) -> bool {
        let of_peer = peer.and_then(|peer| self.peers.get_mut(peer)?.bucket.as_mut());
        let open = [self.node.as_mut(), of_peer]
            .into_iter()
            .flatten()
            .all(|bucket| bucket.owes(now) <= bucket.burst());
        if !open {
            sometimes!("shaping: urgent bytes wait for a bucket");
        }
        open
    }

    /// A member of `peer` has something to send and does not wait yet.
    pub fn wait(&mut self, peer: P, member: M) {
        self.enter(peer, Instant::ZERO);
        self.peers.wait(peer, member, self.worth());
    }

    /// Who may send now, and how much. Asked until it is `None`; after each answer either
    /// [`sent`](Self::sent) or [`has_nothing`](Self::has_nothing) is called.
    pub fn turn(&mut self, now: Instant) -> Option<Turn<P, M>> {
        self.peers.release(now);
        let worth = self.worth();
        while let Some(peer) = self.peers.first() {
            let of_node = self.of_node(now)?;
            let it = self.peers.get_mut(peer)?;
            let of_peer = it.bucket.as_mut().map_or(u64::MAX, |bucket| bucket.available(now));
            if of_peer < self.largest
                && let Some(bucket) = &it.bucket
            {
                sometimes!("shaping: the bucket of a peer is to fill");
                let until = when_filled(bucket, self.largest, self.granularity, now);
                self.peers.hold(until);
                continue;
            }
            let left = u64::try_from(it.left).unwrap_or(0);
            if left < self.largest {
                self.peers.rotate(worth);
                continue;
            }
            let member = *it.waiting.front()?;
            let first = it.weights.first();
            return Some(Turn { peer, member, bytes: left.min(of_node).min(of_peer), first });
        }
        None
    }

    /// What the node's bucket has; `None` while it is to fill.
    fn of_node(&mut self, now: Instant) -> Option<u64> {
        let Some(bucket) = &mut self.node else { return Some(u64::MAX) };
        if self.filling.is_some_and(|until| until > now) {
            return None;
        }
        self.filling = None;
        let there = bucket.available(now);
        if there < self.largest {
            sometimes!("shaping: the bucket of the node is to fill");
            self.filling = Some(when_filled(bucket, self.largest, self.granularity, now));
            return None;
        }
        Some(there)
    }

    /// A datagram, or several, of one class left for `peer`, in its turn or before all turns.
    /// `None`: for somebody of whom nobody knows who it is.
    pub fn sent(&mut self, peer: Option<P>, class: Class, bytes: u64, now: Instant) {
        if let Some(node) = &mut self.node {
            node.charge(bytes, now);
        }
        let most = MOST_DATAGRAMS * self.largest;
        let Some(peer) = peer else { return };
        let Some(it) = self.enter(peer, now) else { return };
        if let Some(bucket) = &mut it.bucket {
            bucket.charge(bytes, now);
        }
        if !it.waiting.is_empty() {
            let least = -i64::try_from(most).unwrap_or(i64::MAX);
            it.left = it.left.saturating_sub_unsigned(bytes).max(least);
        }
        it.weights.on_sent(class, bytes, most);
    }

    /// The member whose turn it is has sent, and others of its peer are next.
    pub fn end_turn(&mut self) {
        self.peers.rotate_members();
    }

    /// The member whose turn it is has nothing to send.
    pub fn has_nothing(&mut self) {
        self.peers.drop_member();
    }

    /// A member of `peer` is gone.
    pub fn forget(&mut self, peer: P, member: M) {
        self.peers.forget(peer, member);
    }

    /// When to ask for the next turn, after there was none; `None`: not before somebody waits.
    pub fn deadline(&self) -> Option<Instant> {
        let node = self.filling.filter(|_| self.peers.first().is_some());
        earliest([node, self.peers.next_release()])
    }

    /// The entry of a peer, if there is any reason for one.
    fn enter(&mut self, peer: P, now: Instant) -> Option<&mut Peer<M>> {
        if self.peers.get_mut(peer).is_none()
            && let Some(rate) = self.own.get(&peer).copied().or(self.each)
        {
            reshape(&mut self.peers.enter(peer).bucket, Some(rate), self.largest, now);
        }
        self.peers.get_mut(peer)
    }

    /// Bytes of a turn.
    fn worth(&self) -> u64 {
        let most = MOST_DATAGRAMS * self.largest;
        let node = self.node.as_ref().map(|node| node.rate() / TURNS_A_SECOND);
        node.unwrap_or(most).clamp(self.largest, most)
    }
}

/// Another limit, or none.
fn reshape(bucket: &mut Option<TokenBucket>, rate: Option<u64>, largest: u64, now: Instant) {
    let Some(rate) = rate else {
        *bucket = None;
        return;
    };
    let burst = (rate / BURSTS_A_SECOND).max(2 * largest);
    match bucket {
        Some(bucket) => bucket.reshape(rate, burst, now),
        None => *bucket = Some(TokenBucket::new(rate, burst, now)),
    }
}

/// When a bucket is worth asking again (spec R-SHP-7).
fn when_filled(bucket: &TokenBucket, largest: u64, granularity: Duration, now: Instant) -> Instant {
    let tick = u128::from(bucket.rate()) * u128::from(nanos(granularity)) / 1_000_000_000;
    let tick = u64::try_from(tick).unwrap_or(u64::MAX).min(bucket.burst() / 2);
    bucket.ready_at(tick.max(largest), now)
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
