//! One stream after another, all at once.

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::{LegEnd, LegIndex, PipeOptions};
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::{AppCode, Dir};
use aqueduct_core::wire::open::Protocol;
use aqueduct_core::wire::protocol::{ANSWER, RANGE};
use aqueduct_core::wire::route::{Answer, Hop, Route};
use bytes::Bytes;
use futures_util::future::{Either, FutureExt, join, join_all, join3, pending, select};
use futures_util::stream::{self, StreamExt};
use std::pin::pin;
use std::sync::Arc;

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::hub::Relayed;
use crate::pipe::Pipe;
use crate::recv::RecvHalf;
use crate::send::SendHalf;

use super::account::{LEAST_BURST, Place, burst};
use super::kept::Kept;
use super::ledger::{Awaited, Ledger, Upstream};
use super::reach::Opened;
use super::{Refusal, Relay, RelayConfig, RelayEvent};

/// What goes to the next hops.
struct Onward {
    hops: Vec<Hop>,
    options: OpenOptions,
    /// Relays come next, and not the targets.
    relays: bool,
    /// How many receive in the end.
    targets: u8,
}

impl Relay {
    /// Relays from now on, once [`run`](Self::run) is driven.
    pub fn new(endpoint: Endpoint, config: RelayConfig) -> Self {
        endpoint.divert();
        let (config, kept) = (Arc::new(config), Kept::default());
        Self { endpoint, config, ledger: Ledger::default(), accounts: Arc::default(), kept }
    }

    /// Relays until the endpoint is closed. `told` hears what is done.
    pub async fn run(self, told: impl Fn(RelayEvent)) {
        let arrivals = stream::unfold(&self, |relay| async move {
            relay.endpoint.relayed().await.map(|arrival| (arrival, relay))
        });
        let serving = arrivals.for_each_concurrent(None, |arrival| self.serve(arrival, &told));
        let kept = self.kept.watch(&self.endpoint, self.config.linger);
        let counted = self.accounts.watch(&self.endpoint, &self.config);
        let watching = join(kept, counted).then(|_| pending::<()>());
        select(pin!(serving), pin!(watching)).await;
    }

    async fn serve(&self, arrival: Relayed, told: &impl Fn(RelayEvent)) {
        let (peer, stream) = (arrival.connection.peer(), arrival.recv.id());
        let done = match arrival.recv.info().map(|info| &info.protocol) {
            Some(StreamProtocol::Number(ANSWER)) => return self.answer(arrival).await,
            Some(StreamProtocol::Number(RANGE)) => self.range(arrival).await,
            _ => self.route(arrival, told).await,
        };
        if let Err((why, streams)) = done {
            streams.refuse(why.code().app());
            told(RelayEvent::Refused { peer, stream, why });
        }
    }

    /// A stream's place, where it goes, and what was taken for it from its peer's rate: once that
    /// has room for it.
    async fn admitted(
        &self,
        connection: &Connection,
        recv: &RecvHalf,
    ) -> Result<(Place, Onward, u64), Refusal> {
        let (size, now) = (recv.info().and_then(body), self.endpoint.clock().now());
        let place = self.accounts.admit(connection.peer(), size, &self.config, now)?;
        let onward = recv.info().ok_or(Refusal::NoRoute).and_then(onward)?;
        let afforded = place.afford(&self.endpoint, size.unwrap_or(LEAST_BURST));
        let paid = match select(pin!(afforded), pin!(connection.closed())).await {
            Either::Left((paid, _)) => paid,
            Either::Right(_) => return Err(Refusal::Gone),
        };
        Ok((place, onward, paid))
    }

    /// Takes a stream to its next hops, and sees it to its end.
    async fn route(
        &self,
        arrival: Relayed,
        told: &impl Fn(RelayEvent),
    ) -> Result<(), (Refusal, Refused)> {
        let Relayed { connection, send, recv } = arrival;
        let (peer, stream) = (connection.peer(), recv.id());
        let (place, onward, paid) = match self.admitted(&connection, &recv).await {
            Ok(admitted) => admitted,
            Err(why) => return Err((why, Refused { send, recv })),
        };
        let place = Arc::new(place);
        let upstream = Upstream { connection, source: stream, place };
        let opening = self.ledger.opening();
        let dir = if send.is_some() { Dir::Bi } else { Dir::Uni };
        let legs = onward.hops.iter().map(|hop| self.open_leg(hop, dir, &onward.options));
        let legs: Vec<Option<Opened>> = join_all(legs).await;
        if legs.iter().all(Option::is_none) {
            return Err((Refusal::Unreachable, Refused { send, recv }));
        }
        let answered = send.is_some() && onward.relays && onward.targets > 1;
        let routed = legs.iter().flatten().next().filter(|_| answered);
        let awaited = routed.and_then(|leg| Some((leg.connection.handle()?, leg.send.id())));
        let awaited =
            awaited.map(|leg| self.ledger.await_answers(leg, upstream.clone(), onward.targets));
        drop(opening);
        let (mut forth, mut back, mut to) = (Vec::new(), Vec::new(), Vec::new());
        let mut known = Vec::new();
        for (leg, hop) in legs.into_iter().zip(&onward.hops) {
            if let Some(leg) = leg {
                known.extend(leg.connection.handle().map(|handle| (handle, leg.send.id())));
                to.extend(NodeId::from_bytes(&hop.id).ok());
                forth.push(leg.send);
                back.push(leg.back);
            } else {
                back.push(None);
            }
        }
        let options = PipeOptions { limit: upstream.place.limit(), ..self.pipes() };
        let Ok(pipe) = self.endpoint.pipe(recv, forth, options).await else {
            if let Some(mut send) = send {
                send.reset(StreamCode::Cancelled.app());
            }
            told(RelayEvent::Refused { peer, stream, why: Refusal::Gone });
            return Ok(());
        };
        let count = to.len();
        upstream.place.flows(&pipe, true, paid);
        let known = self.ledger.know(known, &pipe, &onward.options);
        told(RelayEvent::Started { peer, stream, to: to.clone() });
        let answers = self.answers(&upstream, send, back, &onward);
        let forward = async {
            let stats = pipe.ended().await.unwrap_or_default();
            drop(known);
            to.into_iter().for_each(|hop| self.used(hop));
            upstream.place.ended(&pipe, stats.received);
            let ends = (0..count as u32).map(|leg| pipe.leg_ended(LegIndex(leg)));
            told(RelayEvent::Ended { peer, stream, stats, legs: join_all(ends).await });
        };
        let all = async {
            if let Some(awaited) = &awaited {
                answered_or_lost(awaited, &pipe, &upstream).await;
            }
        };
        join3(forward, answers, all).await;
        Ok(())
    }

    /// What comes back: on the source itself with one target, else each on a stream of its own.
    async fn answers(
        &self,
        upstream: &Upstream,
        send: Option<SendHalf>,
        back: Vec<Option<RecvHalf>>,
        onward: &Onward,
    ) {
        let Some(mut send) = send else { return };
        if onward.targets == 1 {
            match back.into_iter().next().flatten() {
                Some(back) => self.pass_back(back, send, &upstream.place).await,
                None => send.reset(StreamCode::Unreachable.app()),
            }
            return;
        }
        let _said = send.finish();
        if onward.relays {
            return;
        }
        let each = back.into_iter().zip(0..).map(|(back, target)| async move {
            let Some(mut way) = open_answer(upstream, target, None).await else { return };
            match back {
                Some(back) => self.pass_back(back, way, &upstream.place).await,
                None => way.reset(StreamCode::Unreachable.app()),
            }
        });
        join_all(each).await;
    }

    /// An answer on its way through: to the connection that its source came by.
    async fn answer(&self, arrival: Relayed) {
        let Relayed { connection, send, recv } = arrival;
        let head = recv.info().and_then(|info| Answer::decode(&info.head).ok());
        let leg = head.zip(connection.handle());
        let claimed = match leg {
            Some((head, handle)) => self.ledger.claim((handle, head.stream), head.target).await,
            None => None,
        };
        match (claimed, head) {
            (Some(upstream), Some(head)) => {
                let info = recv.info().and_then(OpenOptions::forwarded);
                if let Some(way) = open_answer(&upstream, head.target, info).await {
                    self.pass_back(recv, way, &upstream.place).await;
                }
            }
            // An answer to a stream that this node's application sent.
            _ => connection.hand_over(send, recv),
        }
    }

    /// An answer may be silent for as long as its stream takes, and nobody asks for it twice.
    async fn pass_back(&self, back: RecvHalf, way: SendHalf, place: &Place) {
        let limit = place.left();
        let options = PipeOptions { limit, timeout: None, keep: 0, ..self.pipes() };
        if let Ok(pipe) = self.endpoint.pipe(back, vec![way], options).await {
            place.flows(&pipe, false, 0);
            let stats = pipe.ended().await.unwrap_or_default();
            place.ended(&pipe, stats.received);
        }
    }

    /// How a pipe behaves: a rate leaves it no larger stock than its burst.
    fn pipes(&self) -> PipeOptions {
        let most = self.config.rate.map_or(u64::MAX, burst);
        PipeOptions { stock: self.config.pipes.stock.min(most), ..self.config.pipes }
    }
}

/// A stream that is not relayed.
pub(super) struct Refused {
    pub(super) send: Option<SendHalf>,
    pub(super) recv: RecvHalf,
}

impl Refused {
    fn refuse(self, code: AppCode) {
        let Self { send, mut recv } = self;
        recv.stop(code);
        if let Some(mut send) = send {
            send.reset(code);
        }
    }
}

/// Waits for all answers, as long as somebody can give them; the others are reset.
async fn answered_or_lost(awaited: &Awaited<'_>, pipe: &Pipe, upstream: &Upstream) {
    let gone = async {
        select(pin!(upstream.connection.closed()), pin!(lost(pipe))).await;
    };
    select(pin!(awaited.all()), pin!(gone)).await;
    for target in awaited.missing() {
        if let Some(mut way) = open_answer(upstream, target, None).await {
            way.reset(StreamCode::Unreachable.app());
        }
    }
}

/// Waits until the leg to the next relay has ended otherwise than well.
async fn lost(pipe: &Pipe) {
    if matches!(pipe.leg_ended(LegIndex(0)).await, Some(LegEnd::Delivered)) {
        pending().await
    }
}

/// How many bytes a stream says that it will send.
fn body(info: &OpenOptions) -> Option<u64> {
    Some(info.end.or(info.size)?.saturating_sub(info.start))
}

/// Reads what is to go where.
fn onward(info: &OpenOptions) -> Result<Onward, Refusal> {
    let route = Route::decode(&info.head).map_err(|_| Refusal::NoRoute)?;
    let mut options = info.forwarded().ok_or(Refusal::HopLimit)?;
    let targets = u8::try_from(route.targets.len()).unwrap_or(u8::MAX);
    let mut relays = route.relays.into_iter();
    let Some(next) = relays.next() else {
        options.protocol = match route.protocol {
            Protocol::Number(number) => StreamProtocol::Number(number),
            Protocol::Name(name) => StreamProtocol::Name(Bytes::copy_from_slice(name)),
        };
        options.head = Bytes::copy_from_slice(route.head);
        return Ok(Onward { hops: route.targets, options, relays: false, targets });
    };
    let rest = Route { relays: relays.collect(), ..route };
    options.head = rest.encode().map_err(|_| Refusal::NoRoute)?.into();
    Ok(Onward { hops: vec![next], options, relays: true, targets })
}

/// A stream for the answer of a target; `onward`: what came of it, if it is passed on.
async fn open_answer(
    upstream: &Upstream,
    target: u8,
    onward: Option<OpenOptions>,
) -> Option<SendHalf> {
    let mut options = onward.unwrap_or_else(|| OpenOptions::new(StreamProtocol::Number(ANSWER)));
    options.head = Answer { stream: upstream.source, target }.encode().into();
    upstream.connection.open(Dir::Uni, options).await.ok().map(|(send, _)| send)
}
