//! Which legs there are, and who waits for their answers.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::stream::OpenOptions;
use aqueduct_core::wire::id::StreamId;
use aqueduct_core::wire::route::MAX_HOPS;

use crate::connection::Connection;
use crate::pipe::Pipe;
use crate::wait::{Waiters, lock, until};

use super::accounts::Place;

/// A stream of a connection.
pub(super) type Leg = (ConnectionHandle, StreamId);

/// What a relay remembers of streams that flow. All of it goes with them.
#[derive(Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Legs of pipes that live, ended or not.
    legs: HashMap<Leg, Way>,
    /// The connections by which legs of these numbers went to these nodes, last one last.
    to: HashMap<(NodeId, StreamId), Vec<ConnectionHandle>>,
    /// Legs to relays, and where their answers go.
    routed: HashMap<Leg, Routed>,
    /// Nodes to which legs are being opened: what a node has to say of one may be faster than the
    /// news that there is one.
    opening: HashMap<NodeId, Opened>,
    waiting: Waiters,
}

/// Legs to a node that are being opened, and answers of that node which wait for one of them.
#[derive(Default)]
struct Opened {
    legs: usize,
    early: usize,
}

/// Where answers go: as those of this stream of the connection, on the account of its place.
#[derive(Clone)]
pub(super) struct Upstream {
    pub(super) connection: Connection,
    pub(super) source: StreamId,
    pub(super) place: Arc<Place>,
}

/// A leg that leads to another relay.
struct Routed {
    upstream: Upstream,
    /// Targets whose answers have not come.
    missing: HashSet<u8>,
}

/// The pipe of a leg, and how the leg was introduced.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) pipe: Pipe,
    pub(super) options: OpenOptions,
}

/// A leg whose pipe lives.
pub(super) struct Known<'a> {
    ledger: &'a Ledger,
    to: NodeId,
    leg: Leg,
}

/// A leg to a node is being opened, until it is known.
pub(super) struct Opening<'a> {
    ledger: &'a Ledger,
    node: NodeId,
}

/// An answer of a node waits until its leg is known.
struct Early<'a> {
    ledger: &'a Ledger,
    node: NodeId,
}

/// Answers of a leg are awaited.
pub(super) struct Awaited<'a> {
    ledger: &'a Ledger,
    leg: Leg,
}

impl State {
    fn is_opening(&self, node: NodeId) -> bool {
        self.opening.get(&node).is_some_and(|opened| opened.legs > 0)
    }

    /// Whether one answer more of a node may be that of a leg that is being opened.
    fn has_room_for_answer(&self, node: NodeId) -> bool {
        self.opening.get(&node).is_some_and(|opened| opened.early < opened.legs * MAX_HOPS)
    }

    fn change(&mut self, node: NodeId, change: impl FnOnce(&mut Opened)) {
        let opened = self.opening.entry(node).or_default();
        change(opened);
        if opened.legs == 0 && opened.early == 0 {
            self.opening.remove(&node);
        }
    }
}

impl Ledger {
    /// Remembers a leg of a pipe, to a node.
    pub(super) fn know(
        &self,
        leg: Leg,
        to: NodeId,
        pipe: &Pipe,
        options: &OpenOptions,
    ) -> Known<'_> {
        let way = Way { pipe: pipe.clone(), options: options.clone() };
        let mut state = lock(&self.state);
        state.legs.insert(leg, way);
        state.to.entry((to, leg.1)).or_default().push(leg.0);
        Known { ledger: self, to, leg }
    }

    /// The pipe of a leg, while it lives: of one that goes by this connection, or else of the last
    /// one of the same number that went to this node by another. While a leg to it is being opened
    /// it is not known which.
    pub(super) async fn way(&self, leg: Leg, to: NodeId) -> Option<Way> {
        let look = |state: &mut State| {
            let own = state.legs.get(&leg).cloned();
            if own.is_some() || state.is_opening(to) {
                return own.map(Some);
            }
            let last = state.to.get(&(to, leg.1)).and_then(|by| by.last());
            Some(last.and_then(|by| state.legs.get(&(*by, leg.1)).cloned()))
        };
        until(&self.state, |state| &mut state.waiting, look).await
    }

    pub(super) fn opening(&self, node: NodeId) -> Opening<'_> {
        lock(&self.state).change(node, |opened| opened.legs += 1);
        Opening { ledger: self, node }
    }

    /// Answers that come for `leg`, of the first `targets` targets, go to `upstream`.
    pub(super) fn await_answers(&self, leg: Leg, upstream: Upstream, targets: u8) -> Awaited<'_> {
        let missing = (0..targets).collect();
        lock(&self.state).routed.insert(leg, Routed { upstream, missing });
        Awaited { ledger: self, leg }
    }

    /// Where the answer of a target goes, which came from `peer`; once. `None`: nobody awaits it,
    /// or as many of that node's wait as there can be.
    pub(super) async fn claim(&self, leg: Leg, peer: NodeId, target: u8) -> Option<Upstream> {
        let mut early = None;
        let look = |state: &mut State| {
            if let Some(routed) = state.routed.get_mut(&leg) {
                let awaited = routed.missing.remove(&target);
                return Some(awaited.then(|| routed.upstream.clone()));
            }
            let waits = early.is_some() || state.has_room_for_answer(peer);
            if !state.is_opening(peer) || !waits {
                return Some(None);
            }
            early.get_or_insert_with(|| {
                state.change(peer, |opened| opened.early += 1);
                Early { ledger: self, node: peer }
            });
            None
        };
        let claimed = until(&self.state, |state| &mut state.waiting, look).await;
        self.update(|_| ());
        claimed
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = lock(&self.state);
            change(&mut state);
            state.waiting.take()
        };
        wakers.wake();
    }
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        // Outside of the lock it is dropped.
        let gone = {
            let mut state = lock(&self.ledger.state);
            if let Entry::Occupied(mut known) = state.to.entry((self.to, self.leg.1)) {
                known.get_mut().retain(|connection| *connection != self.leg.0);
                if known.get().is_empty() {
                    known.remove();
                }
            }
            state.legs.remove(&self.leg)
        };
        drop(gone);
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.ledger.update(|state| state.change(self.node, |opened| opened.legs -= 1));
    }
}

impl Drop for Early<'_> {
    fn drop(&mut self) {
        lock(&self.ledger.state).change(self.node, |opened| opened.early -= 1);
    }
}

impl Awaited<'_> {
    /// Waits until every target's answer was claimed.
    pub(super) async fn all(&self) {
        let look = |state: &mut State| {
            let missing = state.routed.get(&self.leg).map(|routed| routed.missing.len());
            (missing.unwrap_or(0) == 0).then_some(())
        };
        until(&self.ledger.state, |state| &mut state.waiting, look).await;
    }

    /// Targets whose answers did not come. They are not awaited any more.
    pub(super) fn missing(&self) -> Vec<u8> {
        let mut state = lock(&self.ledger.state);
        let routed = state.routed.get_mut(&self.leg);
        let mut missing: Vec<_> = routed.map(|r| r.missing.drain().collect()).unwrap_or_default();
        missing.sort_unstable();
        missing
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.ledger.update(|state| _ = state.routed.remove(&self.leg));
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
