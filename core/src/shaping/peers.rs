//! Turns of peers by deficit round robin, each under a limit of its own.
//!
//! ```text
//!   active ▶ [a: 2,904] [c: 1,452] [d: 1,452]     the first sends while a datagram is left of its
//!   held     [b: until 17 ms]                     turn, then goes to the end with another turn
//! ```

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use super::TokenBucket;
use super::classes::Weights;
use crate::time::Instant;

/// A peer that takes turns, or has a limit.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Peer<M> {
    /// Its own limit.
    pub(super) bucket: Option<TokenBucket>,
    /// Bytes left of its turn; below zero after more control than that.
    pub(super) left: i64,
    /// Its members that have something to send, in their order.
    pub(super) waiting: VecDeque<M>,
    pub(super) weights: Weights,
    stand: Stand,
}

/// Where a peer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Stand {
    /// It has nothing to send.
    #[default]
    Idle,
    /// It takes turns.
    Active,
    /// Its own limit holds it until then.
    Held(Instant),
}

impl<M> Default for Peer<M> {
    fn default() -> Self {
        Self {
            bucket: None,
            left: 0,
            waiting: VecDeque::new(),
            weights: Weights::default(),
            stand: Stand::Idle,
        }
    }
}

/// All peers that wait.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Peers<P, M> {
    all: BTreeMap<P, Peer<M>>,
    active: VecDeque<P>,
    held: BTreeSet<(Instant, P)>,
}

impl<P, M> Default for Peers<P, M> {
    fn default() -> Self {
        Self { all: BTreeMap::new(), active: VecDeque::new(), held: BTreeSet::new() }
    }
}

impl<P: Copy + Ord, M: Copy + PartialEq> Peers<P, M> {
    pub(super) fn get_mut(&mut self, peer: P) -> Option<&mut Peer<M>> {
        self.all.get_mut(&peer)
    }

    /// The peer, which is there from now on.
    pub(super) fn enter(&mut self, peer: P) -> &mut Peer<M> {
        self.all.entry(peer).or_default()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&P, &mut Peer<M>)> {
        self.all.iter_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<P> {
        self.active.front().copied()
    }

    /// Who is held by its own limit goes on then, the first of them.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.held.first().map(|(at, _)| *at)
    }

    /// A member has something to send. A peer that had nothing is last, with a turn of `worth`.
    pub(super) fn wait(&mut self, peer: P, member: M, worth: u64) {
        let it = self.all.entry(peer).or_default();
        it.waiting.push_back(member);
        if it.stand == Stand::Idle {
            it.stand = Stand::Active;
            it.left = i64::try_from(worth).unwrap_or(i64::MAX);
            self.active.push_back(peer);
        }
    }

    /// The first has used up its turn: it is last, and its next turn is worth `worth` more.
    pub(super) fn rotate(&mut self, worth: u64) {
        if let Some(peer) = self.active.pop_front() {
            self.active.push_back(peer);
            if let Some(it) = self.all.get_mut(&peer) {
                it.left = it.left.saturating_add_unsigned(worth);
            }
        }
    }

    /// The first takes no turn until then.
    pub(super) fn hold(&mut self, until: Instant) {
        if let Some(peer) = self.active.pop_front()
            && let Some(it) = self.all.get_mut(&peer)
        {
            it.stand = Stand::Held(until);
            self.held.insert((until, peer));
        }
    }

    /// Those whose time has come take turns again.
    pub(super) fn release(&mut self, now: Instant) {
        while let Some((at, peer)) = self.held.first().copied()
            && at <= now
        {
            self.unhold(at, peer);
        }
    }

    /// Limits changed: all are asked again.
    pub(super) fn release_all(&mut self) {
        while let Some((at, peer)) = self.held.first().copied() {
            self.unhold(at, peer);
        }
    }

    fn unhold(&mut self, at: Instant, peer: P) {
        self.held.remove(&(at, peer));
        if let Some(it) = self.all.get_mut(&peer) {
            it.stand = Stand::Active;
            self.active.push_back(peer);
        }
    }

    /// The first member of the first peer goes behind the others of it.
    pub(super) fn rotate_members(&mut self) {
        if let Some(it) = self.active.front().and_then(|peer| self.all.get_mut(peer)) {
            let members = it.waiting.len();
            it.waiting.rotate_left(1.min(members));
        }
    }

    /// The first member of the first peer has nothing more. A peer without any loses its turn.
    pub(super) fn drop_member(&mut self) {
        let Some(peer) = self.active.front().copied() else { return };
        let Some(it) = self.all.get_mut(&peer) else { return };
        it.waiting.pop_front();
        if it.waiting.is_empty() {
            it.stand = Stand::Idle;
            it.left = 0;
            let useless = it.bucket.is_none();
            self.active.pop_front();
            if useless {
                self.all.remove(&peer);
            }
        }
    }

    /// A member is gone, and waits no more. Of a peer without another that waits nothing is kept.
    pub(super) fn forget(&mut self, peer: P, member: M) {
        let Some(it) = self.all.get_mut(&peer) else { return };
        it.waiting.retain(|waiting| *waiting != member);
        if !it.waiting.is_empty() {
            return;
        }
        match it.stand {
            Stand::Idle => {}
            Stand::Active => self.active.retain(|active| *active != peer),
            Stand::Held(until) => _ = self.held.remove(&(until, peer)),
        }
        self.all.remove(&peer);
    }
}
