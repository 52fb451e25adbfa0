//! Where handles and the driver meet.
//!
//! The driver owns the core; a handle owns nothing but shared state with a small lock of its own: a
//! stream half, a connection, the endpoint. To have something done, a handle writes its wish into
//! that state and puts the object on the list of work. An object is on the list at most once, so
//! the list is as bounded as the number of handles, and nobody ever waits to get on it. The driver
//! takes the whole list in one step. If it sleeps, whoever put work on the list runs the errand
//! himself (see [`crate::station`]) or wakes it.
//!
//! ```text
//!   handle ── wish ──► [state of a stream] ── once ──► [work] ── all at once ──► driver ──► core
//!   handle ◄─ waker ── [state of a stream] ◄────────── news, bytes ─────────────┘
//! ```
//!
//! How no wish is lost is said, and checked, in [`crate::threads`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Waker;

use aqueduct_core::config::{PacketSizes, Streaming};
use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::endpoint::{EndpointStats, Incoming, PeerAddr};
use aqueduct_core::handoff::Urgency;
use aqueduct_core::path::CarrierKind;
use aqueduct_core::shaping::Bandwidth;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::AppCode;

use crate::clock::Clock;
use crate::connection::{ConnShared, Connection};
use crate::figures::CoreFigures;
use crate::leftovers::Leftovers;
use crate::pipe::PipeWish;
use crate::planted::Planted;
use crate::recording::Progress;
use crate::recv::{RecvHalf, RecvShared};
use crate::send::{SendHalf, SendShared};
use crate::socket::BufferWarning;
use crate::station::Errands;
use crate::stats::{IoCounters, MessageTally};
use crate::tcp::{Carriers, Patience};
use crate::threads::{Mark, WorkList};
use crate::wait::{Reply, Waiters, Wakers, lock};

/// A connection to be begun.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) to: PeerAddr,
    pub(crate) by: CarrierKind,
    /// Where else the peer may be.
    pub(crate) known: Arc<[SocketAddr]>,
    pub(crate) connection: Arc<ConnShared>,
}

/// Whose sending is limited.
#[derive(Clone, Copy)]
pub(crate) enum Whose {
    /// All of the node's.
    Node,
    /// That to each peer.
    Each,
    /// That to one.
    Peer(NodeId),
}

/// Work for the driver.
pub(crate) enum Command {
    Connect(Call),
    Accept {
        incoming: Box<Incoming>,
        connection: Arc<ConnShared>,
    },
    Refuse(Box<Incoming>),
    Connection(Arc<ConnShared>),
    Send(Arc<SendShared>),
    Recv(Arc<RecvShared>),
    Pipe(Box<PipeWish>),
    Stats(Reply<EndpointStats>),
    Limit(Whose, Option<u64>),
    /// Of all, or of one peer.
    Bandwidth(Option<NodeId>, Reply<Bandwidth>),
    Find(NodeId, Reply<Connection>),
    Alarm(Instant, Reply<()>),
    Adopt(Arc<RecvShared>),
    Close(AppCode, Vec<u8>),
    EndTape,
    Abandoned,
}

/// What is to be done, beside what its handle may say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, or the first bytes of a stream: an end may follow at once, and belongs into the
    /// same packet.
    Alone,
    /// More bytes of a stream, which go on.
    More,
}

/// The list of work, and who does it.
#[derive(Default)]
pub(crate) struct Hub {
    pub(crate) work: WorkList<Command>,
    /// Does the work while the driver sleeps. Gone with the driver.
    helper: OnceLock<Weak<dyn Errands>>,
}

impl Hub {
    /// Puts work on the list. `Err` gives it back: the driver has ended.
    pub(crate) fn push(&self, command: Command) -> Result<(), Command> {
        self.see_to_it(self.work.push(command)?, Part::Alone);
        Ok(())
    }

    /// Puts an object on the list, unless its mark says that it is there. `Err`: the driver has
    /// ended.
    pub(crate) fn raise(
        &self,
        mark: &Mark,
        urgency: Urgency,
        part: Part,
        work: impl FnOnce() -> Command,
    ) -> Result<(), Command> {
        let sleeper = match urgency {
            Urgency::High => mark.raise(&self.work, work)?,
            Urgency::Low => mark.raise_quietly(&self.work, work)?,
        };
        self.see_to_it(sleeper, part);
        Ok(())
    }

    /// Puts an object on the list and has it looked at here and now, if nobody does already: for
    /// who needs an answer before he goes on. What follows of it leaves in the driver's turn, with
    /// what he says next: the beginning of a stream with its first bytes.
    pub(crate) fn ask(&self, mark: &Mark, work: impl FnOnce() -> Command) -> Result<(), Command> {
        let sleeper = mark.raise(&self.work, work)?;
        match self.helper.get().and_then(Weak::upgrade) {
            Some(helper) => helper.ask(sleeper),
            None => sleeper.into_iter().for_each(Waker::wake),
        }
        Ok(())
    }

    fn see_to_it(&self, sleeper: Option<Waker>, part: Part) {
        let Some(sleeper) = sleeper else { return };
        match self.helper.get().and_then(Weak::upgrade) {
            Some(helper) => helper.run(sleeper, part),
            None => sleeper.wake(),
        }
    }

    /// Says who does the work while the driver sleeps; the first one holds.
    pub(crate) fn helped_by(&self, helper: &Arc<dyn Errands>) {
        let _first = self.helper.set(Arc::downgrade(helper));
    }

    /// What the core says now; `None` if it has ended or is broken.
    pub(crate) fn look(&self) -> Option<CoreFigures> {
        self.helper.get().and_then(Weak::upgrade)?.look()
    }
}

/// What all handles of an endpoint share with its driver.
pub(crate) struct Shared {
    pub(crate) hub: Hub,
    pub(crate) clock: Clock,
    pub(crate) state: Mutex<EndpointState>,
    pub(crate) counters: IoCounters,
    pub(crate) messages: Arc<MessageTally>,
    /// What dead connections left: as much as the core's budget at most.
    pub(crate) leftovers: Arc<Leftovers>,
    /// What the core said when it was last asked.
    pub(crate) last_figures: Mutex<CoreFigures>,
    /// Which way large messages take here.
    pub(crate) streaming: Streaming,
    pub(crate) planted: Planted,
    /// Largest whole message that this node takes, in bytes.
    pub(crate) max_message: u64,
    pub(crate) node_id: NodeId,
    pub(crate) local: SocketAddr,
    pub(crate) takes_v4: bool,
    /// By what it reaches others.
    pub(crate) carriers: Carriers,
    /// Whether it listens for TCP.
    pub(crate) listens: bool,
    /// Largest datagrams that it takes.
    pub(crate) packets: PacketSizes,
    /// How long it waits for TCP.
    pub(crate) patience: Patience,
    pub(crate) warnings: Vec<BufferWarning>,
    /// How far the tape is, if there is one.
    pub(crate) tape: Option<Arc<Progress>>,
}

/// The endpoint as its handles see it.
#[derive(Default)]
pub(crate) struct EndpointState {
    /// Strangers that the application has not answered yet; at most [`MAX_INCOMING`].
    pub(crate) incoming: VecDeque<Incoming>,
    /// Closed, or the driver is gone: no more strangers, no more dialling.
    pub(crate) closed: bool,
    /// Connections that are not drained, with those that are about to be dialled.
    pub(crate) connections: usize,
    pub(crate) arrivals: Waiters,
    /// Streams with a route, and answers to them, once somebody relays.
    pub(crate) relayed: Option<Diverted>,
    /// Relays that there ever were.
    pub(crate) diversions: u64,
    pub(crate) relays: Waiters,
    pub(crate) idlers: Waiters,
}

/// What waits for the relay that came last.
pub(crate) struct Diverted {
    pub(crate) relay: u64,
    pub(crate) waiting: VecDeque<Relayed>,
}

/// A stream for whoever relays.
pub(crate) struct Relayed {
    pub(crate) connection: Connection,
    pub(crate) send: Option<SendHalf>,
    pub(crate) recv: RecvHalf,
}

/// Strangers that wait for the application; further ones are refused as busy.
pub(crate) const MAX_INCOMING: usize = 256;

impl Shared {
    /// Counts a connection that begins.
    pub(crate) fn connection_begins(&self) {
        lock(&self.state).connections += 1;
    }

    /// Counts a connection that is gone.
    pub(crate) fn connection_gone(&self) {
        let wakers = {
            let mut state = lock(&self.state);
            state.connections = state.connections.saturating_sub(1);
            if state.connections == 0 { state.idlers.take() } else { Wakers::default() }
        };
        wakers.wake();
    }

    /// No more strangers. Gives those that were not answered.
    pub(crate) fn close(&self) -> VecDeque<Incoming> {
        let (left, wakers) = {
            let mut state = lock(&self.state);
            state.closed = true;
            let wakers = state.arrivals.take().and(state.relays.take());
            (std::mem::take(&mut state.incoming), wakers)
        };
        wakers.wake();
        left
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("node_id", &self.node_id)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
