//! Who has how much relayed, and which legs wait for answers.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::stream::OpenOptions;
use aqueduct_core::wire::id::StreamId;

use crate::connection::Connection;
use crate::pipe::Pipe;
use crate::wait::{Waiters, lock, until};

use super::{Allow, Refusal, RelayConfig};

/// Nodes that a relay dials at a time: what peers can make it send to those who did not ask.
const MOST_DIALLED: usize = 64;

/// A stream of a connection.
pub(super) type Leg = (ConnectionHandle, StreamId);

/// What a relay remembers. All of it goes with the streams it is about, but for the bytes that each
/// peer has used: 40 bytes a node that was ever let in.
#[derive(Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    streams: HashMap<NodeId, u32>,
    /// Moved, or kept for what flows.
    bytes: HashMap<NodeId, u64>,
    /// What flows, by who sends it.
    pipes: HashMap<NodeId, Vec<Pipe>>,
    /// Legs of pipes that live, ended or not.
    legs: HashMap<Leg, Way>,
    /// Legs to relays, and where their answers go.
    routed: HashMap<Leg, Routed>,
    /// Legs that are being opened: an answer may be faster than the news that they are.
    opening: usize,
    /// Nodes that are being dialled.
    dialled: HashSet<NodeId>,
    waiting: Waiters,
}

/// A leg that leads to another relay.
struct Routed {
    upstream: Connection,
    source: StreamId,
    /// Targets whose answers have not come.
    missing: HashSet<u8>,
}

/// The pipe of a leg, and how the leg was introduced.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) pipe: Pipe,
    pub(super) options: OpenOptions,
}

/// Legs whose pipe lives.
pub(super) struct Known<'a> {
    ledger: &'a Ledger,
    legs: Vec<Leg>,
}

/// A stream's place among those of its peer.
pub(super) struct Place {
    ledger: Arc<Ledger>,
    peer: NodeId,
    /// Bytes that are kept for it, if they are counted, and were not moved.
    kept: Option<AtomicU64>,
}

/// Legs are being opened.
pub(super) struct Opening<'a>(&'a Ledger);

/// A node is being dialled.
pub(super) struct Dialling<'a> {
    ledger: &'a Ledger,
    node: NodeId,
}

/// Answers of a leg are awaited.
pub(super) struct Awaited<'a> {
    ledger: &'a Ledger,
    leg: Leg,
}

impl Ledger {
    /// A place for one stream more of `peer`, if it may have one. Of the peer's bytes `size` is
    /// kept for it; all that are left if it does not say its size.
    pub(super) fn admit(
        self: &Arc<Self>,
        peer: NodeId,
        size: Option<u64>,
        config: &RelayConfig,
    ) -> Result<Place, Refusal> {
        if let Allow::Nodes(nodes) = &config.allow
            && !nodes.contains(&peer)
        {
            return Err(Refusal::NotAllowed);
        }
        let mut place = self.place(peer, config)?;
        let Some(limit) = config.max_bytes else { return Ok(place) };
        let mut state = lock(&self.state);
        let used = state.bytes.entry(peer).or_default();
        let left = limit.saturating_sub(*used);
        let kept = size.unwrap_or(left);
        if left == 0 || kept > left {
            drop(state);
            return Err(Refusal::Bytes { limit });
        }
        *used += kept;
        drop(state);
        place.kept = Some(AtomicU64::new(kept));
        Ok(place)
    }

    /// A place for one stream more that `peer` sends or asked for.
    pub(super) fn place(
        self: &Arc<Self>,
        peer: NodeId,
        config: &RelayConfig,
    ) -> Result<Place, Refusal> {
        let mut state = lock(&self.state);
        let streams = state.streams.entry(peer).or_default();
        if *streams >= config.max_streams {
            return Err(Refusal::Streams { limit: config.max_streams });
        }
        *streams += 1;
        Ok(Place { ledger: self.clone(), peer, kept: None })
    }

    /// Remembers legs of a pipe.
    pub(super) fn know(&self, legs: Vec<Leg>, pipe: &Pipe, options: &OpenOptions) -> Known<'_> {
        let way = Way { pipe: pipe.clone(), options: options.clone() };
        lock(&self.state).legs.extend(legs.iter().map(|leg| (*leg, way.clone())));
        Known { ledger: self, legs }
    }

    /// The pipe of a leg, while it lives.
    pub(super) fn way(&self, leg: Leg) -> Option<Way> {
        lock(&self.state).legs.get(&leg).cloned()
    }

    pub(super) fn opening(&self) -> Opening<'_> {
        lock(&self.state).opening += 1;
        Opening(self)
    }

    /// `node` is dialled from now on; the inner `None`: it is dialled already. `None`: so many are
    /// being dialled that one more has to wait for another stream.
    pub(super) fn dialling(&self, node: NodeId) -> Option<Option<Dialling<'_>>> {
        let mut state = lock(&self.state);
        if state.dialled.contains(&node) {
            return Some(None);
        }
        let room = state.dialled.len() < MOST_DIALLED && state.dialled.insert(node);
        room.then(|| Some(Dialling { ledger: self, node }))
    }

    /// Waits until `node` is not being dialled.
    pub(super) async fn dialled(&self, node: NodeId) {
        let look = |state: &mut State| (!state.dialled.contains(&node)).then_some(());
        until(&self.state, |state| &mut state.waiting, look).await;
    }

    /// Answers that come for `leg`, of the first `targets` targets, go to `upstream` as answers of
    /// `source`.
    pub(super) fn await_answers(
        &self,
        leg: Leg,
        upstream: Connection,
        source: StreamId,
        targets: u8,
    ) -> Awaited<'_> {
        let missing = (0..targets).collect();
        lock(&self.state).routed.insert(leg, Routed { upstream, source, missing });
        Awaited { ledger: self, leg }
    }

    /// Where the answer of a target goes; once. `None`: nobody awaits it.
    pub(super) async fn claim(&self, leg: Leg, target: u8) -> Option<(Connection, StreamId)> {
        let look = |state: &mut State| match state.routed.get_mut(&leg) {
            Some(routed) => {
                let awaited = routed.missing.remove(&target);
                Some(awaited.then(|| (routed.upstream.clone(), routed.source)))
            }
            None => (state.opening == 0).then_some(None),
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

impl Place {
    /// How many bytes the stream may move, if they are counted.
    pub(super) fn limit(&self) -> Option<u64> {
        self.kept.as_ref().map(|kept| kept.load(Relaxed))
    }

    /// The stream flows: the peer's rate is shared anew.
    pub(super) fn flows(&self, pipe: &Pipe, rate: Option<u64>) {
        let mut state = lock(&self.ledger.state);
        let pipes = state.pipes.entry(self.peer).or_default();
        pipes.push(pipe.clone());
        share(pipes, rate);
    }

    /// The stream is over, and moved so many bytes.
    pub(super) fn ended(&self, pipe: &Pipe, bytes: u64, rate: Option<u64>) {
        if let Some(kept) = &self.kept {
            kept.store(kept.load(Relaxed).saturating_sub(bytes), Relaxed);
        }
        let mut state = lock(&self.ledger.state);
        if let Some(pipes) = state.pipes.get_mut(&self.peer) {
            pipes.retain(|other| !other.is(pipe));
            share(pipes, rate);
            if pipes.is_empty() {
                state.pipes.remove(&self.peer);
            }
        }
    }
}

/// The peer's rate, in equal parts.
fn share(pipes: &[Pipe], rate: Option<u64>) {
    let Some(rate) = rate else { return };
    for pipe in pipes {
        pipe.set_rate(Some((rate / pipes.len() as u64).max(1)));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.ledger.state);
        if let (Some(kept), Some(used)) = (&self.kept, state.bytes.get_mut(&self.peer)) {
            *used -= kept.load(Relaxed);
        }
        if let Some(streams) = state.streams.get_mut(&self.peer) {
            *streams -= 1;
            if *streams == 0 {
                state.streams.remove(&self.peer);
            }
        }
    }
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.ledger.state);
        // Outside of the lock they are dropped.
        let gone: Vec<_> = self.legs.iter().filter_map(|leg| state.legs.remove(leg)).collect();
        drop(state);
        drop(gone);
    }
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.ledger.update(|state| _ = state.dialled.remove(&self.node));
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.update(|state| state.opening -= 1);
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
