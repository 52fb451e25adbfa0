//! The loop body that every adapter runs: it owns the core.
//!
//! One [`Engine::turn`] does, in this order: what handles wish (the list of work), at most one
//! batch of received messages, then everything the core has to say until it says `Wait`. The
//! adapter only waits: for the socket, for the deadline, for work ([`Engine::park`]).
//!
//! ```text
//!         ┌────────────── turn ──────────────┐
//!   work ─► commands ─► receive ─► poll until Wait ─► Sleep(deadline)
//!                        (32)       ├ Event    ─► handles (wakers)
//!                                   ├ Incoming ─► the queue of strangers
//!                                   └ Transmit ─► socket; full: kept, one per carrier
//! ```
//!
//! A receiving socket that fails again and again is left alone for a while (10 ms, doubling to 1
//! s), and so does its adapter ([`Engine::wants_input`]): no failure of the system can make the
//! loop spin, and none ends a connection but the loss of the socket itself.

mod alarms;
mod asks;
mod commands;
mod crowd;
mod events;
mod farewell;
mod lines;
mod outbox;
mod pipes;
mod relays;
mod rest;
mod streams;
mod tape;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, PacketSizes, Streaming, TransportConfig};
use aqueduct_core::endpoint::{CarrierKind, ConnectionHandle, Datagram, Endpoint, Output, PipeId};
use aqueduct_core::rng::Seed;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{AppCode, StreamId};

use crate::clock::Clock;
use crate::connection::{CloseWhen, ConnShared};
use crate::endpoint::UDP;
use crate::error::{ConnectError, ConnectionError};
use crate::hub::{Call, Command, EndpointState, Hub, Shared};
use crate::leftovers::Leftovers;
use crate::planted::Planted;
use crate::recording::Recorder;
use crate::recv::Inlet;
use crate::send::{Piece, SendShared};
use crate::socket::{BufferWarning, Fault, RecvBatch};
use crate::stats::{IoCounters, add, raise};
use crate::tcp::{Carriers, Patience};
use crate::wait::lock;

use alarms::Alarms;
use asks::Asks;
use commands::Way;
use crowd::Crowd;
use lines::Lines;
use outbox::Outbox;
use rest::Rest;

pub use wire::Wire;

/// A full socket is tried again after this long, even if the system does not say that it has room.
const RETRY: Duration = Duration::from_millis(20);

/// Transmits of a connection that [`Engine::farewell`] has time for; CLOSE is one.
const FAREWELL_TRANSMITS: usize = 4;

/// And answers to strangers, which may stand before them.
const FAREWELL_REPLIES: usize = 64;

/// Batches that an errand sends on the thread of whoever has work (see [`crate::station`]); the
/// rest of a window is the driver's.
pub(crate) const ERRAND_TRANSMITS: usize = 2;

/// What a turn ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// There is more to do at once.
    Again,
    /// Nothing to do before this instant (never: `None`), or before the socket or a handle says so.
    Sleep(Option<Instant>),
    /// The last handle and the last connection are gone.
    Done,
}

/// What an engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// The socket's own address.
    pub local: SocketAddr,
    /// Whether IPv4 peers can be reached through it.
    pub takes_v4: bool,
    /// Datagrams that one call may send; 1: one.
    pub max_segments: usize,
    /// By what it reaches others.
    pub carriers: Carriers,
    /// Whether there is a listening TCP socket on its port.
    pub listens: bool,
    /// What was found when the socket was set up.
    pub warnings: Vec<BufferWarning>,
}

/// The core, its socket's outbox, and the state shared with handles.
pub struct Engine {
    core: Endpoint,
    clock: Clock,
    shared: Arc<Shared>,
    /// By slot of the core's handles.
    slots: Vec<Option<Slot>>,
    live: usize,
    pipes: HashMap<PipeId, pipes::Entry>,
    batch: RecvBatch,
    buf: Vec<u8>,
    outbox: Outbox,
    lines: Lines,
    rest: Rest,
    /// The socket is full: when to try again if nobody says that it is not.
    retry_at: Option<Instant>,
    alarms: Alarms,
    commands: Vec<Command>,
    outgoing: VecDeque<Piece>,
    closing: Option<(AppCode, Vec<u8>)>,
    abandoned: bool,
    crowd: Crowd,
    carrier: Carrier,
    /// The kernel has taken every batch so far.
    batches: bool,
    recorder: Option<Recorder>,
}

/// What the engine must know of the core's configuration.
struct Limits {
    streaming: Streaming,
    planted: Planted,
    max_message: u64,
    packets: PacketSizes,
    patience: Patience,
}

impl Limits {
    fn of(transport: &TransportConfig) -> Self {
        Self {
            streaming: transport.streaming(),
            planted: Planted::of(transport),
            max_message: transport.max_message_size(),
            packets: transport.packet_sizes(),
            patience: Patience::of(transport),
        }
    }
}

/// What the core may do with the socket.
const fn udp(max_segments: usize) -> CarrierKind {
    // The most that UDP carries; what the path carries is found by probing.
    CarrierKind::Udp { max_segments, max_datagram: 65_507 }
}

/// Whether the socket is still one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Open,
    Lost,
}

/// A connection of the core and what its handles share.
struct Slot {
    handle: ConnectionHandle,
    shared: Arc<ConnShared>,
    streams: HashMap<StreamId, Halves>,
    asks: Asks,
    /// What was asked of the core already; only a stronger wish is passed on.
    closing: Option<CloseWhen>,
    /// The peer allowed no more streams of a kind (by [`dir_index`]) when last asked.
    open_blocked: [bool; 2],
    /// How it was dialled.
    way: Option<Way>,
    /// It has ended: streams that are found only now end as soon as they were read.
    over: Option<ConnectionError>,
}

#[derive(Default)]
struct Halves {
    send: Option<Arc<SendShared>>,
    recv: Option<Inlet>,
}

impl Engine {
    /// An engine for a fresh endpoint, and its first handle.
    pub fn new(
        config: EndpointConfig,
        seed: Seed,
        parts: Parts,
    ) -> (Self, crate::endpoint::Endpoint) {
        let transport = config.transport();
        let limits = Limits::of(transport);
        Self::of(Endpoint::new(config, seed), limits, parts, None)
    }

    /// Of a core that has seen nothing yet.
    fn of(
        mut core: Endpoint,
        Limits { streaming, planted, max_message, packets, patience }: Limits,
        parts: Parts,
        recorder: Option<Recorder>,
    ) -> (Self, crate::endpoint::Endpoint) {
        let clock = Clock::start();
        if parts.carriers.udp {
            core.carrier_opened(UDP, udp(parts.max_segments), clock.now());
        }
        let shared = Arc::new(Shared {
            hub: Hub::default(),
            clock,
            state: EndpointState::default().into(),
            counters: IoCounters::default(),
            messages: Arc::default(),
            leftovers: Leftovers::new(core.stats().budget_total),
            last_figures: Mutex::default(),
            streaming,
            planted,
            max_message,
            node_id: core.node_id(),
            local: parts.local,
            takes_v4: parts.takes_v4,
            carriers: parts.carriers,
            listens: parts.listens,
            packets,
            patience,
            warnings: parts.warnings,
            tape: recorder.as_ref().map(Recorder::progress),
        });
        let engine = Self {
            core,
            clock,
            shared: shared.clone(),
            slots: Vec::new(),
            live: 0,
            pipes: HashMap::new(),
            batch: RecvBatch::new(),
            buf: Vec::new(),
            outbox: Outbox::default(),
            lines: Lines::default(),
            rest: Rest::default(),
            retry_at: None,
            alarms: Alarms::default(),
            commands: Vec::new(),
            outgoing: VecDeque::new(),
            closing: None,
            crowd: Crowd::default(),
            abandoned: false,
            carrier: Carrier::Open,
            batches: true,
            recorder,
        };
        (engine, crate::endpoint::Endpoint::new(shared))
    }

    /// The clock whose instants [`Turn::Sleep`] speaks of.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Does everything that can be done now, within bounds.
    pub fn turn(&mut self, wire: &mut impl Wire) -> Turn {
        add(&self.shared.counters.turns, 1);
        self.crowd.turn_begins();
        if self.retry_at.is_some_and(|at| at <= self.clock.now()) {
            self.writable(wire);
        }
        self.run_commands();
        self.dial_lines(wire);
        let more = self.receive(wire) | self.tend_lines(wire);
        let turn = self.conclude(wire, more, usize::MAX);
        self.crowd.turn_ends();
        turn
    }

    /// What the list of work asks for and nothing else, for a driver that sleeps: as far as
    /// [`ERRAND_TRANSMITS`] go.
    pub(crate) fn errand(&mut self, wire: &mut impl Wire) -> Turn {
        self.run_commands();
        self.dial_lines(wire);
        self.conclude(wire, false, ERRAND_TRANSMITS)
    }

    fn conclude(&mut self, wire: &mut impl Wire, more: bool, transmits: usize) -> Turn {
        self.alarms.ring(self.clock.now());
        let drained = self.drain(wire, transmits);
        let tape = self.turn_tape();
        let Turn::Sleep(wait) = drained else { return Turn::Again };
        let busy = self.live > 0 || self.lines.are_dialling();
        if self.abandoned && !busy && !self.shared.hub.work.has_work() {
            return Turn::Done;
        }
        if more || self.shared.hub.work.has_work() || self.lines.are_ready() {
            return Turn::Again;
        }
        let lines = self.lines.deadline();
        let wake = [wait, self.rest.until, self.retry_at, self.alarms.next(), tape, lines]
            .into_iter()
            .flatten()
            .min();
        Turn::Sleep(wake)
    }

    /// Whether it is worth waking for what comes at the UDP socket: not while its receives fail and
    /// it is left alone, nor when it is lost. An adapter that asks its system for readiness all the
    /// same is woken again and again by what nobody reads.
    pub fn wants_input(&self) -> bool {
        self.reads_at(self.clock.now())
    }

    fn reads_at(&self, now: Instant) -> bool {
        self.carrier == Carrier::Open && self.rest.is_over(now)
    }

    /// Whether a transmit is kept until the socket takes it.
    pub fn is_blocked(&self) -> bool {
        self.outbox.is_blocked()
    }

    /// The socket may take bytes again.
    pub fn writable(&mut self, wire: &mut impl Wire) {
        let sent = self.outbox.retry(wire, &self.shared.counters);
        let opened = self.heed_batches();
        // Only now: the core was given an instant just before, and its time never goes back.
        let now = self.clock.now();
        if sent {
            self.retry_at = None;
            self.core.carrier_writable(UDP, now);
        } else {
            self.retry_at = Some(now + RETRY);
            if opened {
                self.core.carrier_blocked(UDP, now);
            }
        }
    }

    /// Once the kernel has refused a batch, the core makes no more of them. Returns whether it was
    /// told so just now: for the core the socket then takes bytes.
    fn heed_batches(&mut self) -> bool {
        let refused = self.batches && self.outbox.is_one_by_one();
        if refused {
            self.batches = false;
            self.core.carrier_opened(UDP, udp(1), self.clock.now());
        }
        refused
    }

    /// Before sleeping: `waker` will be woken for work. `false`: there is work already.
    pub fn park(&mut self, waker: &Waker) -> bool {
        add(&self.shared.counters.sleeps, 1);
        self.shared.hub.work.park(waker)
    }

    /// Whether somebody has brought work and many others may be about to.
    pub fn is_awaiting_more(&self) -> bool {
        self.crowd.is_awaited(self.shared.hub.work.is_urged())
    }

    /// Answers what handles ask for and sends nothing: a driver that sleeps is to be woken.
    pub(crate) fn look(&mut self, sleeper: &mut Option<Waker>) {
        self.crowd.ask();
        self.run_commands_of(sleeper);
    }

    /// The driver sleeps on. `false`: there is work again.
    pub(crate) fn sleep_on(&self, waker: &Waker) -> bool {
        self.shared.hub.work.park(waker)
    }

    /// Calls that have sent something, so far.
    pub(crate) fn sends(&self) -> u64 {
        self.shared.counters.sends.load(Ordering::Relaxed)
    }

    pub(crate) fn core(&self) -> &Endpoint {
        &self.core
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// One batch in. Says whether there may be more.
    fn receive(&mut self, wire: &mut impl Wire) -> bool {
        let now = self.clock.now();
        if !self.reads_at(now) {
            return false;
        }
        let counters = &self.shared.counters;
        let more = match wire.recv(&mut self.batch) {
            Ok(count) => {
                self.rest.worked();
                count >= RecvBatch::CAPACITY
            }
            Err(error) => {
                let fault = Fault::of(&error);
                if fault == Fault::WouldBlock {
                    self.rest.worked();
                    return false;
                }
                add(&counters.recv_errors, 1);
                outbox::count(counters, fault);
                tracing::debug!(%error, "receiving failed; the socket stays");
                if fault == Fault::Dead {
                    self.lose_carrier();
                    return false;
                }
                self.rest.failed(now);
                return self.rest.is_over(now);
            }
        };
        add(&counters.receives, 1);
        let mut datagrams = 0;
        for message in self.batch.messages() {
            let count = (message.bytes.len().div_ceil(message.segment.max(1))).max(1) as u64;
            add(&counters.bytes_received, message.bytes.len() as u64);
            datagrams += count;
            if count > 1 {
                add(&counters.gro_batches, 1);
                add(&counters.gro_segments, count);
                raise(&counters.gro_largest, count);
            }
            let datagram = Datagram {
                carrier: UDP,
                remote: message.remote,
                local: message.local,
                ecn: message.ecn,
                segment: (count > 1).then_some(message.segment),
                bytes: message.bytes,
            };
            self.core.handle_datagram(datagram, self.clock.now());
        }
        add(&counters.datagrams_received, datagrams);
        raise(&counters.receive_largest, datagrams);
        more
    }

    /// Everything the core has to say, up to so many transmits. Gives the instant that it waits
    /// for.
    fn drain(&mut self, wire: &mut impl Wire, transmits: usize) -> Turn {
        let mut left = transmits;
        while left > 0 {
            match self.core.poll(&mut self.buf, self.clock.now()) {
                Output::Event(event) => self.on_event(event),
                Output::Pipe(event) => self.on_pipe_event(event),
                Output::Incoming(incoming) => self.on_incoming(incoming),
                Output::Transmit(transmit) => {
                    left -= 1;
                    if transmit.carrier != UDP {
                        self.write_line(wire, &transmit);
                        continue;
                    }
                    let sent =
                        self.outbox.send(wire, &self.shared.counters, &transmit, &mut self.buf);
                    self.heed_batches();
                    match sent {
                        outbox::Sent::Done => {}
                        outbox::Sent::Blocked => {
                            let now = self.clock.now();
                            self.retry_at = Some(now + RETRY);
                            self.core.carrier_blocked(UDP, now);
                        }
                        outbox::Sent::Dead => self.lose_carrier(),
                    }
                }
                Output::Wait(until) => return Turn::Sleep(until),
            }
        }
        Turn::Again
    }

    fn on_incoming(&mut self, incoming: aqueduct_core::endpoint::Incoming) {
        let turned_away = {
            let mut state = lock(&self.shared.state);
            if state.closed || state.incoming.len() >= crate::hub::MAX_INCOMING {
                Some(incoming)
            } else {
                state.incoming.push_back(incoming);
                let wakers = state.arrivals.take();
                drop(state);
                wakers.wake();
                None
            }
        };
        if let Some(incoming) = turned_away {
            self.core.refuse(incoming, self.clock.now());
        }
    }

    fn lose_carrier(&mut self) {
        if self.carrier == Carrier::Open {
            tracing::info!(local = %self.shared.local, "the socket is lost");
            self.carrier = Carrier::Lost;
            self.rest = Rest::default();
            self.core.carrier_closed(UDP, self.clock.now());
        }
    }

    fn slot(&mut self, handle: ConnectionHandle) -> Option<&mut Slot> {
        slot_of(&mut self.slots, handle)
    }
}

/// The slot of this connection; not of another one that has its place now.
fn slot_of(slots: &mut [Option<Slot>], handle: ConnectionHandle) -> Option<&mut Slot> {
    let slot = slots.get_mut(handle.index())?.as_mut()?;
    (slot.handle == handle).then_some(slot)
}

/// The engine ends: everybody who waits is told. On the way out of a runtime that shuts down, peers
/// are not told; [`Engine::farewell`] does that.
impl Drop for Engine {
    fn drop(&mut self) {
        let left = self.shared.hub.work.die();
        if !std::thread::panicking() {
            *lock(&self.shared.last_figures) = self.core_figures();
        }
        drop(self.shared.close());
        self.last_of_tape();
        let _dialled = self.end_lines();
        self.end_pipes();
        if !std::thread::panicking() {
            let handles: Vec<_> = self.slots.iter().flatten().map(|slot| slot.handle).collect();
            for at in handles {
                self.fill_rest(at);
                self.empty(at, &ConnectionError::DriverGone);
            }
        }
        for slot in self.slots.drain(..).flatten() {
            slot.shared.end(ConnectError::EndpointClosed);
            for halves in slot.streams.into_values() {
                halves.end(&ConnectionError::DriverGone);
            }
            self.shared.connection_gone();
        }
        for command in left {
            match command {
                Command::Connect(Call { connection, .. }) | Command::Accept { connection, .. } => {
                    connection.end(ConnectError::EndpointClosed);
                    self.shared.connection_gone();
                }
                _ => {}
            }
        }
        tracing::debug!(local = %self.shared.local, "the driver has ended");
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("local", &self.shared.local)
            .field("connections", &self.live)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod left_tests;
#[cfg(test)]
pub(crate) mod tests;
