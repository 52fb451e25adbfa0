//! One connection: the composition of everything below, and nothing else.
//!
//! It reads as three short lists: **what came in** (`receive.rs`), **what goes out**
//! (`transmit.rs`), **what became of it** (`settle.rs`). Beside them stand the parts of its life:
//! the handshake that it begins with (`connecting.rs`, `confirm.rs`), the clock (`deadline.rs`,
//! `idle.rs`), the ways that it takes (`ways.rs`), the end (`ending.rs`), and what the application
//! sees (`calls.rs`, `event.rs`).
//!
//! ```text
//!  datagram ─► keys.open ─► frames ─┬─► acks, ledger ─► settle ─► owners of receipts
//!                                   ├─► streams, messages, datagrams ─► credit
//!                                   └─► paths, connection ids, close
//!
//!  budget of the path ─► PacketWriter ─► acks · paths · ids · credit · datagrams · streams
//!                                    ─► keys.seal ─► ledger
//! ```
//!
//! The parts are fields beside each other; none knows another. Who needs another's state is handed
//! it.

#[cfg(any(test, feature = "fingerprint"))]
mod audit;
mod calls;
mod carriers;
mod cids;
mod confirm;
mod connecting;
mod deadline;
mod ending;
mod event;
mod idle;
mod lifecycle;
mod limit;
mod look;
mod messages;
mod receive;
mod settle;
mod setup;
mod shaped;
mod stats;
mod transmit;
mod ways;
#[cfg(any(test, feature = "fingerprint"))]
mod witness;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::config::TransportConfig;
use crate::crypto::handshake::{Established, Initiator};
use crate::crypto::keys::KeyCounters;
use crate::crypto::provider::Provider;
use crate::error::CloseReason;
use crate::flow::{RecvCredit, SendCredit};
use crate::message::{DatagramLimits, Datagrams, Expiring, MessageLimits, Messages};
use crate::path::{Paths, Source};
use crate::recovery::{AckTracker, Carriage, Ledger, Settled};
use crate::rng::Rng;
use crate::shaping::Bandwidth;
use crate::stream::{PeerLimits, StreamConfig, Streams};
use crate::time::Instant;
use crate::wire::frame::SentFrame;
use crate::wire::id::{ConnectionId, CreditTarget, Side, StreamId};

pub use crate::congestion::Algorithm;
#[cfg(any(test, feature = "fingerprint"))]
pub use audit::Audit;
pub use calls::MessageError;
pub use carriers::{Carrier, CarrierKind, Carriers, Transmit};
pub use event::EventKind;
pub use limit::{LimitTimes, SendLimit};
pub(crate) use look::Sealing;
pub use look::{Times, Vitals};
pub use stats::ConnectionStats;
#[cfg(any(test, feature = "fingerprint"))]
pub use witness::{Granted, Spent, Witness};

pub(crate) use cids::CidSource;
pub(crate) use setup::Setup;

use cids::LocalCids;
use connecting::Connecting;
use ending::Farewell;
use event::Events;
use idle::Idle;
use lifecycle::{Confirmation, Lifecycle};
use limit::LimitClock;
use receive::Meter;
use transmit::Traps;

/// One connection to one peer.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Connection {
    side: Side,
    config: Arc<TransportConfig>,
    provider: Provider,
    lifecycle: Lifecycle,
    /// Where packets go, and how much may go now.
    paths: Paths,
    /// What the peer sent us.
    acks: AckTracker,
    /// What we sent the peer.
    ledger: Ledger,
    /// What we allow the peer to send.
    credit: RecvCredit,
    /// What the peer allows us to send, on all streams together.
    allowed: SendCredit,
    /// Why the last packet was the last, credit aside.
    limit: LimitClock,
    streams: Streams,
    datagrams: Datagrams,
    messages: Messages,
    /// Messages of ours that have a greatest age.
    expiring: Expiring,
    /// Largest message that the peer takes, in bytes.
    peer_max_message: u64,
    /// Messages whose streams do not take more for now.
    outbox: VecDeque<(StreamId, Bytes)>,
    /// Streams of the peer's that the application has not taken.
    inbound: VecDeque<StreamId>,
    cids: LocalCids,
    /// The id of ours by which the newest packet was addressed.
    addressed: Option<ConnectionId>,
    idle: Idle,
    events: Events,
    /// Bytes of datagrams by direction and class.
    bandwidth: Bandwidth,
    /// Probes that are to be sent whatever congestion control says.
    probes: u8,
    /// Bytes sent that no window bounds.
    beside: u64,
    /// A packet of PING alone is to be sent whatever congestion control says.
    asks: bool,
    /// A PING is to be sent.
    ping: bool,
    /// How fast packets come in, for the replay window.
    meter: Meter,
    /// Packet numbers that are left out, to catch who acknowledges what it did not see.
    traps: Traps,
    /// The polite close that the application asked for.
    farewell: Option<Farewell>,
    /// Why it ended, once it has.
    reason: Option<CloseReason>,
    /// What its keys counted, once they are gone.
    key_counts: KeyCounters,
    /// Nobody is told of it: the application refused it before it began.
    quiet: bool,
    rng: Rng,
    /// Kept for their memory only.
    settled: Settled,
    receipts: Vec<SentFrame>,
}

impl Connection {
    /// A connection that we begin.
    pub(crate) fn dial(setup: Setup, initiator: Initiator, to: &Source, now: Instant) -> Self {
        let patience = setup.config.handshake_timeout;
        let connecting = Connecting::new(initiator, setup.params(to.remote.ip()), patience, now);
        let lifecycle = Lifecycle::Connecting(Box::new(connecting));
        Self::new(setup, Side::Initiator, lifecycle, to, now)
    }

    fn new(setup: Setup, side: Side, lifecycle: Lifecycle, source: &Source, now: Instant) -> Self {
        let credit = setup.credit(side);
        let path_config = setup.path_config();
        let Setup { config, provider, cids, mut rng, .. } = setup;
        let paths = Paths::new(&path_config, *source, rng.fork("path"), now);
        let mut ledger = Ledger::new();
        ledger.set_patience(config.peer_patience);
        ledger.planted = config.planted;
        ledger.set_carriage(paths.active().id(), carriage(source));
        Self {
            side,
            provider,
            lifecycle,
            paths,
            acks: AckTracker::new(config.ack_delay()),
            ledger,
            credit,
            allowed: SendCredit::new(CreditTarget::Connection, 0),
            limit: LimitClock::new(now),
            streams: Streams::new(side, stream_config(&config)).planted(config.planted),
            datagrams: Datagrams::new(datagram_limits(&config)),
            messages: Messages::new(message_limits(&config)),
            expiring: Expiring::default(),
            peer_max_message: 0,
            outbox: VecDeque::new(),
            inbound: VecDeque::new(),
            addressed: Some(cids.id(0)),
            cids: LocalCids::new(cids),
            idle: Idle::new(config.idle_timeout, config.keep_alive, now),
            events: Events::default(),
            bandwidth: Bandwidth::default(),
            probes: 0,
            beside: 0,
            asks: false,
            ping: false,
            meter: Meter::new(now),
            traps: Traps::new(&mut rng),
            farewell: None,
            reason: None,
            key_counts: KeyCounters::default(),
            quiet: false,
            rng,
            settled: Settled::default(),
            receipts: Vec::new(),
            config,
        }
    }

    /// Takes what the handshake brought: limits, ids and time-outs of the peer.
    fn learn(&mut self, established: &Established) {
        let params = &established.peer_params;
        let max_ack_delay = Duration::from_micros(params.max_ack_delay_us);
        let size = u16::try_from(params.max_packet_size).unwrap_or(u16::MAX);
        self.paths.on_peer_limits(size, max_ack_delay);
        self.ledger.set_peer_max_ack_delay(max_ack_delay);
        self.allowed.on_max(params.initial_max_data);
        self.streams.set_peer_limits(PeerLimits {
            max_stream_data: params.initial_max_stream_data,
            max_streams_bidi: params.max_streams_bidi,
            max_streams_uni: params.max_streams_uni,
        });
        self.datagrams.set_peer_max_size(params.max_datagram_frame);
        self.peer_max_message = params.max_message_size;
        self.cids.on_peer_limit(params.active_cid_limit);
        self.idle.on_peer_timeout(Duration::from_millis(params.idle_timeout_ms));
    }

    /// Which end of the handshake this node was.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Goes back to `before` in all that a discarded packet may change (spec R-EP-45).
    #[cfg(any(test, feature = "fingerprint"))]
    pub(crate) fn overlook_discards(&mut self, before: &Self) {
        if let Some(session) = self.lifecycle.session_mut()
            && let Some(before) = before.lifecycle.session()
        {
            session.keys.counters_mut().overlook_discards(&before.keys.counters());
        }
    }

    /// Whether a packet addressed by the id with this index is for a live id.
    pub(crate) fn accepts(&self, index: u8) -> bool {
        self.cids.accepts(index)
    }

    /// Whether it stands in a stranger's place: the peer has not shown yet that it has the keys, or
    /// was refused.
    pub(crate) fn is_half_open(&self) -> bool {
        let confirmation = self.lifecycle.session().map(|session| &session.confirmation);
        let awaiting = matches!(confirmation, Some(Confirmation::Awaiting { .. }));
        awaiting || (self.quiet && !self.is_drained())
    }

    /// Whether this is a connection that we began, and `cid` is what the peer called itself then.
    pub(crate) fn began_with(&self, cid: ConnectionId) -> bool {
        self.side == Side::Initiator
            && self.lifecycle.session().is_some_and(|session| session.first_cid == cid)
    }

    /// Whether we began and have no keys yet.
    pub(crate) fn is_connecting(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Connecting(_))
    }
}

/// Whether what goes to `source` may be lost on the way.
fn carriage(source: &Source) -> Carriage {
    match source.kind {
        crate::path::CarrierKind::Udp => Carriage::Datagrams,
        crate::path::CarrierKind::Reliable => Carriage::Reliable,
    }
}

fn stream_config(config: &TransportConfig) -> StreamConfig {
    StreamConfig {
        send_buffer: config.send_buffer,
        buffer: config.stream_buffer,
        timeout: config.stream_timeout,
        stuck_timeout: config.stuck_timeout,
    }
}

fn datagram_limits(config: &TransportConfig) -> DatagramLimits {
    DatagramLimits {
        send_bytes: config.datagram_queue,
        recv_bytes: config.datagram_queue,
        max_size: setup::max_datagram(config),
        rule: config.datagram_rule,
        ..DatagramLimits::default()
    }
}

fn message_limits(config: &TransportConfig) -> MessageLimits {
    // Each comes on a stream of its own: none gives way for another.
    let max_partial = config.max_streams_uni as usize;
    MessageLimits { max_size: config.max_message_size, max_partial }
}
