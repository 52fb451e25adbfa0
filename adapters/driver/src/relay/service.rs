//! One stream after another, all at once.

use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::{LegEnd, LegIndex, PipeOptions};
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::capabilities::Mode;
use aqueduct_core::wire::id::{AppCode, Dir};
use aqueduct_core::wire::open::Protocol;
use aqueduct_core::wire::protocol::{ANSWER, RANGE};
use aqueduct_core::wire::route::{Answer, Hop, Route};
use bytes::Bytes;
use futures_util::future::{Either, FutureExt, join, pending, select};
use futures_util::stream::{self, StreamExt};
use std::pin::pin;
use std::sync::Arc;

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::error::Stop;
use crate::hub::Relayed;
use crate::pipe::Pipe;
use crate::recv::RecvHalf;
use crate::send::SendHalf;

use super::account::{LEAST_BURST, Moves, burst};
use super::accounts::{Accounts, Place};
use super::dials::Dials;
use super::fan::Fan;
use super::kept::Kept;
use super::ledger::{Awaited, Ledger, Upstream};
use super::{Refusal, Relay, RelayConfig, RelayEvent};

/// What goes to the next hops.
pub(super) struct Onward {
    pub(super) hops: Vec<Hop>,
    pub(super) options: OpenOptions,
    /// Relays come next, and not the targets.
    pub(super) relays: bool,
    /// How many receive in the end.
    pub(super) targets: u8,
}

impl Relay {
    /// Relays from now on, once [`run`](Self::run) is driven, in place of a relay that the endpoint
    /// had before: that one sees to its end what it has begun. It is no handle of the endpoint, and
    /// ends with the last one that is.
    pub fn new(endpoint: Endpoint, config: RelayConfig) -> Self {
        let endpoint = endpoint.unguarded();
        let number = endpoint.divert();
        let (config, kept) = (Arc::new(config), Kept::default());
        let accounts = Accounts::new(config.clone());
        let (ledger, dials) = (Ledger::default(), Dials::default());
        Self { endpoint, number, config, ledger, dials, accounts, kept }
    }

    /// Relays until the endpoint is closed, or another relay has its place and what this one began
    /// is over. `told` hears what is done.
    pub async fn run(self, told: impl Fn(RelayEvent)) {
        let arrivals = stream::unfold(&self, |relay| async move {
            relay.endpoint.relayed(relay.number).await.map(|arrival| (arrival, relay))
        });
        let serving = arrivals.for_each_concurrent(None, |arrival| self.serve(arrival, &told));
        let kept = self.kept.watch(&self.endpoint, self.config.linger);
        let counted = self.accounts.watch(&self.endpoint);
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

    /// A stream's place, and where it goes: once its peer's rate has room for it.
    async fn admitted(
        &self,
        connection: &Connection,
        recv: &RecvHalf,
    ) -> Result<(Place, Onward), Refusal> {
        if !self.config.allow.has(&connection.peer()) {
            return Err(Refusal::NotAllowed);
        }
        if connection.mode() < Mode::StreamingPiped {
            return Err(Refusal::NoPipes);
        }
        let (size, now) = (recv.info().and_then(body), self.endpoint.clock().now());
        let place = self.accounts.place(connection.peer(), size, now)?;
        let onward = recv.info().ok_or(Refusal::NoRoute).and_then(onward)?;
        place.afford(&self.endpoint, connection, size.unwrap_or(LEAST_BURST)).await?;
        Ok((place, onward))
    }

    /// Takes a stream to its next hops, and sees it to its end.
    async fn route(
        &self,
        arrival: Relayed,
        told: &impl Fn(RelayEvent),
    ) -> Result<(), (Refusal, Refused)> {
        let Relayed { connection, send, recv } = arrival;
        let stream = recv.id();
        let (place, onward) = match self.admitted(&connection, &recv).await {
            Ok(admitted) => admitted,
            Err(why) => return Err((why, Refused { send, recv })),
        };
        let place = Arc::new(place);
        let upstream = Upstream { connection, source: stream, place };
        let dir = if send.is_some() { Dir::Bi } else { Dir::Uni };
        let fan = Fan::new(self, &upstream, &onward, dir);
        fan.run(Refused { send, recv }, told).await;
        Ok(())
    }

    /// An answer on its way through: to the connection that its source came by.
    async fn answer(&self, arrival: Relayed) {
        let Relayed { connection, send, recv } = arrival;
        let head = recv.info().and_then(|info| Answer::decode(&info.head).ok());
        let leg = head.zip(connection.handle());
        let claimed = match leg {
            Some((head, handle)) => {
                let leg = (handle, head.stream);
                let claim = self.ledger.claim(leg, connection.peer(), head.target);
                self.in_time(claim).await.flatten()
            }
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
            (None, Some(head)) if connection.awaits_answer(head) => {
                connection.hand_over(send, recv);
            }
            _ => Refused { send, recv }.refuse(StreamCode::Refused.app()),
        }
    }

    /// An answer may be silent for as long as its stream takes, and nobody asks for it twice.
    pub(super) async fn pass_back(&self, back: RecvHalf, way: SendHalf, place: &Place) {
        let limit = place.left();
        let options = PipeOptions { limit, timeout: None, keep: 0, ..self.pipes() };
        if let Ok(pipe) = self.endpoint.pipe(back, vec![way], options).await {
            let flow = place.flows(&pipe, Moves::Answer);
            let stats = pipe.ended().await.unwrap_or_default();
            place.ended(flow, stats.received);
        }
    }

    /// How a pipe behaves: a rate leaves it no larger stock than its burst.
    pub(super) fn pipes(&self) -> PipeOptions {
        let most = self.config.rate.map_or(u64::MAX, burst);
        PipeOptions { stock: self.config.pipes.stock.min(most), ..self.config.pipes }
    }
}

/// Nobody relays any more, unless another does in its place: what comes from now on is refused, and
/// so is what waits.
impl Drop for Relay {
    fn drop(&mut self) {
        let waiting = self.endpoint.divert_no_more(self.number);
        let code = StreamCode::Refused.app();
        waiting
            .into_iter()
            .for_each(|Relayed { send, recv, .. }| Refused { send, recv }.refuse(code));
    }
}

/// A stream that is not relayed.
pub(super) struct Refused {
    pub(super) send: Option<SendHalf>,
    pub(super) recv: RecvHalf,
}

impl Refused {
    pub(super) fn refuse(self, code: AppCode) {
        let Self { send, mut recv } = self;
        recv.stop(code);
        if let Some(mut send) = send {
            send.reset(code);
        }
    }
}

/// Waits for all answers, as long as somebody can give them; the others are reset, by what the leg
/// to the next relay ended with.
pub(super) async fn answered_or_lost(awaited: &Awaited<'_>, pipe: &Pipe, upstream: &Upstream) {
    let gone = async {
        match select(pin!(upstream.connection.closed()), pin!(lost(pipe))).await {
            Either::Left(_) => None,
            Either::Right((end, _)) => end,
        }
    };
    let end = match select(pin!(awaited.all()), pin!(gone)).await {
        Either::Left(_) => return,
        Either::Right((end, _)) => end,
    };
    for target in awaited.missing() {
        if let Some(mut way) = open_answer(upstream, target, None).await {
            way.reset_as(why_none(end));
        }
    }
}

/// Waits until the leg to the next relay has ended otherwise than well, and gives how, unless the
/// driver has ended.
async fn lost(pipe: &Pipe) -> Option<LegEnd> {
    match pipe.leg_ended(LegIndex(0)).await {
        Some(LegEnd::Delivered) => pending().await,
        end => end,
    }
}

/// Why there is no answer of a leg that ended so (spec R-ROUTE-8).
fn why_none(leg: Option<LegEnd>) -> Stop {
    let here = |code: StreamCode| Stop { code: code.app(), hop: 0 };
    match leg {
        Some(LegEnd::Stopped { code, hop }) => Stop { code, hop: hop.saturating_add(1).min(255) },
        Some(LegEnd::Reset { code, .. }) => Stop { code, hop: 0 },
        Some(LegEnd::Lost) => here(StreamCode::ConnectionLost),
        Some(LegEnd::Detached { .. }) => here(StreamCode::Detached),
        _ => here(StreamCode::Unreachable),
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
pub(super) async fn open_answer(
    upstream: &Upstream,
    target: u8,
    onward: Option<OpenOptions>,
) -> Option<SendHalf> {
    let mut options = onward.unwrap_or_else(|| OpenOptions::new(StreamProtocol::Number(ANSWER)));
    options.head = Answer { stream: upstream.source, target }.encode().into();
    upstream.connection.open(Dir::Uni, options).await.ok().map(|(send, _)| send)
}
