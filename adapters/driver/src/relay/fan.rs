//! One stream to its next hops, each from when it is reached (spec R-ROUTE-6).
//!
//! The first hop that is reached begins the pipe. While others are being dialled it gathers: what
//! comes is held, from the start on, as far as the source's credit goes. So it is until it is known
//! of each hop whether it is reached.

use std::sync::Mutex;

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::{LegIndex, PipeOptions};
use aqueduct_core::wire::id::{Dir, StreamId};
use futures_util::future::{Either, join_all, join3, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::connection::Connection;
use crate::error::PipeError;
use crate::pipe::Pipe;
use crate::recv::RecvHalf;
use crate::send::SendHalf;
use crate::wait::{lock, question};

use super::account::Moves;
use super::ledger::{Awaited, Known, Upstream};
use super::reach::Opened;
use super::service::{Onward, Refused, answered_or_lost, open_answer};
use super::{Refusal, Relay, RelayEvent};

/// A stream, and where it goes.
pub(super) struct Fan<'a> {
    relay: &'a Relay,
    upstream: &'a Upstream,
    onward: &'a Onward,
    dir: Dir,
    legs: Mutex<Vec<Joined<'a>>>,
    /// The way back with one target.
    back: Mutex<Option<SendHalf>>,
}

/// A hop that was reached.
struct Joined<'a> {
    target: usize,
    node: NodeId,
    leg: LegIndex,
    _known: Option<Known<'a>>,
}

/// A pipe that others will join. Dropped, nobody will any more.
struct Gathering(Pipe);

impl Drop for Gathering {
    fn drop(&mut self) {
        self.0.all_joined();
    }
}

/// What comes back from a hop; `None`: nothing will.
type Back = (usize, Option<RecvHalf>);

impl<'a> Fan<'a> {
    pub(super) fn new(
        relay: &'a Relay,
        upstream: &'a Upstream,
        onward: &'a Onward,
        dir: Dir,
    ) -> Self {
        let (legs, back) = (Mutex::default(), Mutex::default());
        Self { relay, upstream, onward, dir, legs, back }
    }

    /// Takes the stream to its hops, and sees it to its end.
    pub(super) async fn run(&self, source: Refused, told: &impl Fn(RelayEvent)) {
        let Refused { send, recv } = source;
        let (peer, stream) = (self.upstream.connection.peer(), self.upstream.source);
        let hops = self.onward.hops.iter().enumerate();
        let mut hops: FuturesUnordered<_> = hops
            .map(|(target, hop)| async move {
                (target, self.relay.open_leg(peer, hop, self.dir, &self.onward.options).await)
            })
            .collect();
        let mut lost = Vec::new();
        let (target, first) = loop {
            match hops.next().await {
                Some((target, Some(leg))) => break (target, leg),
                Some((target, None)) => lost.push((target, None)),
                None => {
                    let why = Refusal::Unreachable;
                    Refused { send, recv }.refuse(why.code().app());
                    told(RelayEvent::Refused { peer, stream, why });
                    return self.nobody_answers().await;
                }
            }
        };
        let awaited = self.await_answers(&first);
        let Ok((pipe, back)) = self.begin(recv, target, first, hops.is_empty()).await else {
            if let Some(mut send) = send {
                send.reset(StreamCode::Cancelled.app());
            }
            return told(RelayEvent::Refused { peer, stream, why: Refusal::Gone });
        };
        let gathering = Gathering(pipe.clone());
        let flow = self.upstream.place.flows(&pipe, Moves::Stream);
        self.leave_way_back(send);
        let (decided, all_decided) = question::<()>();
        lost.push(back);
        let answers = async {
            let mut answers: FuturesUnordered<_> =
                lost.into_iter().map(|(target, back)| self.answer(target, back)).collect();
            while !hops.is_empty() {
                let Some((target, leg)) = next_of(&mut hops, &mut answers).await else { continue };
                let (target, back) = self.join(&pipe, target, leg).await;
                answers.push(self.answer(target, back));
            }
            drop(gathering);
            told(RelayEvent::Started { peer, stream, to: self.to() });
            drop(decided);
            while answers.next().await.is_some() {}
        };
        let forward = async {
            let _dropped = all_decided.await;
            self.forward(&pipe, flow, told).await;
        };
        let others = async {
            if let Some(awaited) = &awaited {
                answered_or_lost(awaited, &pipe, self.upstream).await;
            }
        };
        join3(forward, answers, others).await;
    }

    /// Whether each target answers on a stream of its own.
    fn is_answered_by_each(&self) -> bool {
        self.dir == Dir::Bi && self.onward.targets > 1
    }

    fn await_answers(&self, leg: &Opened<'_>) -> Option<Awaited<'a>> {
        let routed = self.onward.relays && self.is_answered_by_each();
        let at = leg.connection.handle().filter(|_| routed)?;
        let (upstream, targets) = (self.upstream.clone(), self.onward.targets);
        Some(self.relay.ledger.await_answers((at, leg.send.id()), upstream, targets))
    }

    /// No hop was reached.
    async fn nobody_answers(&self) {
        if self.is_answered_by_each() {
            join_all((0..self.onward.targets).map(|target| self.no_answer(target))).await;
        }
    }

    async fn no_answer(&self, target: u8) {
        if let Some(mut way) = open_answer(self.upstream, target, None).await {
            way.reset(StreamCode::Unreachable.app());
        }
    }

    /// The pipe, with its first leg.
    async fn begin(
        &self,
        recv: RecvHalf,
        target: usize,
        first: Opened<'_>,
        alone: bool,
    ) -> Result<(Pipe, Back), PipeError> {
        let Opened { connection, send, back, opening } = first;
        let (stream, limit) = (send.id(), self.upstream.place.limit());
        let options = PipeOptions { limit, ..self.relay.pipes() };
        let (endpoint, legs) = (&self.relay.endpoint, vec![send]);
        let pipe = match alone {
            true => endpoint.pipe(recv, legs, options).await?,
            false => endpoint.pipe_gathering(recv, legs, options).await?,
        };
        self.joined(&pipe, target, &connection, stream, LegIndex(0));
        drop(opening);
        Ok((pipe, (target, back)))
    }

    /// A hop that was reached later, or was not.
    async fn join(&self, pipe: &Pipe, target: usize, leg: Option<Opened<'_>>) -> Back {
        let Some(Opened { connection, send, back, opening: _opening }) = leg else {
            return (target, None);
        };
        let stream = send.id();
        match pipe.add_leg(send, self.relay.config.pipes.policy).await {
            Ok(leg) => {
                self.joined(pipe, target, &connection, stream, leg);
                (target, back)
            }
            Err(_) => (target, None),
        }
    }

    fn joined(
        &self,
        pipe: &Pipe,
        target: usize,
        connection: &Connection,
        stream: StreamId,
        leg: LegIndex,
    ) {
        let (at, node) = (connection.handle(), connection.peer());
        let know = |at| self.relay.ledger.know((at, stream), node, pipe, &self.onward.options);
        let known = at.map(know);
        lock(&self.legs).push(Joined { target, node, leg, _known: known });
    }

    /// Who is reached, in the order of the targets.
    fn to(&self) -> Vec<NodeId> {
        let mut legs = lock(&self.legs);
        legs.sort_by_key(|leg| leg.target);
        legs.iter().map(|leg| leg.node).collect()
    }

    /// With one target its answer takes the stream itself.
    fn leave_way_back(&self, send: Option<SendHalf>) {
        let Some(mut send) = send else { return };
        if self.is_answered_by_each() {
            let _said = send.finish();
        } else {
            *lock(&self.back) = Some(send);
        }
    }

    /// What comes back from a hop: on the source itself with one target, else on a stream of its
    /// own. Behind a further relay that is up to him.
    async fn answer(&self, target: usize, back: Option<RecvHalf>) {
        let own = lock(&self.back).take();
        let way = match own {
            Some(way) => Some(way),
            None if self.onward.relays || !self.is_answered_by_each() => return,
            None => {
                let target = u8::try_from(target).unwrap_or(u8::MAX);
                open_answer(self.upstream, target, None).await
            }
        };
        match (way, back) {
            (Some(way), Some(back)) => self.relay.pass_back(back, way, &self.upstream.place).await,
            (Some(mut way), None) => way.reset(StreamCode::Unreachable.app()),
            (None, _) => {}
        }
    }

    /// Sees the pipe to its end.
    async fn forward(&self, pipe: &Pipe, flow: u64, told: &impl Fn(RelayEvent)) {
        let (peer, stream) = (self.upstream.connection.peer(), self.upstream.source);
        let stats = pipe.ended().await.unwrap_or_default();
        // In the order of the targets since it was told who they are.
        let legs = std::mem::take(&mut *lock(&self.legs));
        legs.iter().for_each(|leg| self.relay.used(leg.node));
        self.upstream.place.ended(flow, stats.received);
        let ends = legs.into_iter().map(|leg| leg.leg);
        let legs = join_all(ends.map(|leg| pipe.leg_ended(leg))).await;
        told(RelayEvent::Ended { peer, stream, stats, legs });
    }
}

/// The next of the first; the others go on meanwhile. `None`: one of those is over.
async fn next_of<A: Future, B: Future>(
    first: &mut FuturesUnordered<A>,
    others: &mut FuturesUnordered<B>,
) -> Option<A::Output> {
    if others.is_empty() {
        return first.next().await;
    }
    match select(first.next(), others.next()).await {
        Either::Left((next, _)) => next,
        Either::Right(_) => None,
    }
}
