//! Streams: bodies of bytes, many at once on a connection, each with its own introduction.
//!
//! ```text
//!  application ── SendStream ──▶ SendBuffer ──▶ scheduler ──▶ STREAM, SKIP ──▶ packet
//!                   (view)          ▲  what was lost             ▲ OPEN once, RESET, STOP, credit
//!                                   └── on_acked / on_lost ──────┴──────────── receipts
//!
//!  application ◀── RecvStream ◀── Assembler ◀── on_frame ◀── STREAM, SKIP
//!                   (view)          │ released
//!                                   └──────────▶ flow: the limit moves on
//! ```
//!
//! [`Streams`] is all streams of a connection. A stream has one half or two; each half has a state
//! ([`SendState`], [`RecvState`]), and its bytes stand in one of two machines that know nothing of
//! streams: [`SendBuffer`] cuts a body into frames and keeps it until it is acknowledged,
//! [`Assembler`] puts frames together again. Who writes next is the scheduler's to say. Credit is
//! the `flow` room's: what we may send is an argument of [`Streams::write`], what we grant is the
//! [`RecvAccount`] that comes down with every frame that is received.
//!
//! A stream introduces itself by OPEN, which goes out in the first packet together with the first
//! bytes. What overtakes it is kept within credit, and nobody hears of the stream before OPEN is
//! here.
//!
//! Nothing is searched for a busy stream: its id leads to its place, the scheduler's front is whose
//! turn it is, and both machines work at their ends. A stream that is stopped by credit is in no
//! list.
//!
//! The connection uses this room: it gives frames and receipts, offers packets, and drains events.
//! The rules are spec `05-streams.md` (R-STR).

mod assembler;
mod block;
mod given;
mod options;
mod receive;
mod recv;
mod scheduler;
mod send;
mod send_buffer;
mod state;
mod stats;
mod table;
mod taped;
mod transmit;
mod views;
mod watch;

#[cfg(any(test, feature = "arbitrary"))]
pub mod exercise;

pub use assembler::{Assembler, BLOCK_OVERHEAD, MAX_BLOCK, MIN_BLOCK, RANGE_OVERHEAD};
pub use given::{Arrival, Chunk, Inserted};
pub use options::{DEFAULT_HOP_LIMIT, OpenError, OpenOptions, StreamProtocol};
pub use receive::Accepted;
pub use recv::ReadError;
pub use scheduler::{LOWEST_FIRST, Order, Priority, QUANTUM};
pub use send::WriteError;
pub use send_buffer::{BufferError, CHUNK_OVERHEAD, Piece, SendBuffer};
pub use state::{RecvEvent, RecvState, SendEvent, SendState};
pub use stats::{StreamErrors, StreamStats};
pub use views::{RecvStream, SendStream};
pub use watch::Stuck;

pub(crate) use taped::read;

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::flow::{Budget, RecvCredit, SendCredit, StreamCredit};
use crate::planted::Planted;
use crate::recovery::Once;
use crate::tape::Pen;
use crate::time::Instant;
use crate::wire::id::{AppCode, CreditTarget, Dir, Side, StreamId};

use recv::RecvHalf;
use scheduler::Scheduler;
use send::SendHalf;
use table::{ACKED, DELIVERED, ENDED, Opening, Place, READABLE, STOPPED, Slot, Table, WRITABLE};
pub(crate) use watch::DEFAULT_STUCK_TIMEOUT;
use watch::{DEFAULT_BUFFER, DEFAULT_TIMEOUT, Watch};

/// What a stream that the peer opened is charged for its record, beside its credit and its OPEN, in
/// bytes.
pub const STREAM_RECORD: u64 = 1024;

/// Bounds that are the configuration's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[expect(clippy::exhaustive_structs, reason = "plain values of a configuration")]
pub struct StreamConfig {
    /// Bytes that the send buffer of one stream may hold: referenced and not acknowledged, with
    /// [`CHUNK_OVERHEAD`] for each write.
    pub send_buffer: u64,
    /// Bytes that one stream may hold behind a gap; its credit, if that is more.
    pub buffer: u64,
    /// Time in which nothing comes and nothing is read, after which a stream is ended.
    pub timeout: Option<Duration>,
    /// The same for one that holds bytes behind a gap, or was not introduced.
    pub stuck_timeout: Option<Duration>,
}

/// 1 MiB a stream to send, 10 MiB behind gaps, 120 s with a gap and without all the time in the
/// world.
impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            send_buffer: 1024 * 1024,
            buffer: DEFAULT_BUFFER,
            timeout: DEFAULT_TIMEOUT,
            stuck_timeout: DEFAULT_STUCK_TIMEOUT,
        }
    }
}

/// What the peer's parameters grant to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[expect(clippy::exhaustive_structs, reason = "plain values of a parameter set")]
pub struct PeerLimits {
    /// Bytes on each stream.
    pub max_stream_data: u64,
    /// Bidirectional streams that we may open.
    pub max_streams_bidi: u64,
    /// Unidirectional streams that we may open.
    pub max_streams_uni: u64,
}

/// What the receiving side of streams counts against, passed down with each verb that may change
/// it.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "three arguments that always go together")]
pub struct RecvAccount<'a> {
    /// What we granted on the connection.
    pub credit: &'a mut RecvCredit,
    /// The endpoint's budget.
    pub budget: &'a mut Budget,
    /// Now.
    pub now: Instant,
}

/// What the application should hear of; it says where to look, and looking is a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamEvent {
    /// [`Streams::accept`] has streams. Comes again only after it had none.
    Incoming,
    /// A read would find bytes, the end or a reset. Comes again only after a read found nothing.
    Readable(StreamId),
    /// There is room again after a write found too little.
    Writable(StreamId),
    /// The peer wants no more of what we send.
    Stopped {
        /// The stream.
        id: StreamId,
        /// Why.
        code: AppCode,
        /// Relays between this end and where it came from.
        hop: u64,
    },
    /// The peer has acknowledged all bytes of a finished body, and its end.
    Delivered(StreamId),
    /// More was acknowledged of a stream that reports it ([`SendStream::report_acked`]).
    Acked(StreamId),
    /// What a stream holds behind a gap comes near its limit. Said once of a stream.
    Strained {
        /// The stream.
        id: StreamId,
        /// Bytes that it holds behind a gap.
        buffered: u64,
        /// What it may hold, in bytes.
        limit: u64,
        /// Ranges that it keeps apart.
        ranges: u64,
        /// How many it may.
        max_ranges: u64,
    },
    /// This side ended a stream that did not move.
    Ended {
        /// The stream.
        id: StreamId,
        /// Why.
        why: Stuck,
    },
    /// A stream of this kind may be opened again after [`Streams::open`] was refused.
    Available(Dir),
}

/// All streams of a connection.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Streams {
    side: Side,
    config: StreamConfig,
    limits: PeerLimits,
    table: Table,
    scheduler: Scheduler,
    /// Streams with control frames to write.
    control: VecDeque<StreamId>,
    /// Streams that only the connection's credit holds up, and its limit when they were.
    starved: VecDeque<StreamId>,
    starved_at: u64,
    /// The class of the stream that the last frame was of.
    heard: Priority,
    /// How many streams the peer allows us, and whether somebody waits for more; by [`Dir`].
    counts: [SendCredit; 2],
    wants_open: [bool; 2],
    announced: VecDeque<StreamId>,
    /// An accept found nothing: the next announcement is news.
    accept_armed: bool,
    incoming: bool,
    available: [bool; 2],
    news: VecDeque<StreamId>,
    /// News of streams that are over.
    last_words: VecDeque<StreamEvent>,
    /// Counts packets that were offered.
    packet: u64,
    /// Streams that expect bytes from the peer.
    expecting: usize,
    /// Streams whose own credit holds up bytes that wait.
    blocked: usize,
    /// When to look at streams that may be stuck.
    watch: Watch,
    stats: StreamStats,
    planted: Planted,
}

impl Streams {
    /// No streams. Nothing can be opened before [`set_peer_limits`](Self::set_peer_limits).
    pub fn new(side: Side, config: StreamConfig) -> Self {
        let counts = [Dir::Bi, Dir::Uni].map(|dir| SendCredit::new(CreditTarget::Streams(dir), 0));
        Self {
            side,
            config,
            limits: PeerLimits::default(),
            table: Table::new(side),
            scheduler: Scheduler::default(),
            control: VecDeque::new(),
            starved: VecDeque::new(),
            starved_at: 0,
            heard: Priority::Normal,
            counts,
            wants_open: [false; 2],
            announced: VecDeque::new(),
            accept_armed: true,
            incoming: false,
            available: [false; 2],
            news: VecDeque::new(),
            last_words: VecDeque::new(),
            packet: 0,
            expecting: 0,
            blocked: 0,
            watch: Watch::default(),
            stats: StreamStats::default(),
            planted: Planted::default(),
        }
    }

    /// The same with a bug on purpose.
    pub(crate) fn planted(self, planted: Planted) -> Self {
        Self { planted, ..self }
    }

    /// This end's role in the handshake turned out to be another. Before any stream.
    pub fn set_side(&mut self, side: Side) {
        self.side = side;
        self.table.set_side(side);
    }

    /// The peer's parameters are known. To be called once, before any frame.
    pub fn set_peer_limits(&mut self, limits: PeerLimits) {
        self.limits = limits;
        self.on_max_streams(Dir::Bi, limits.max_streams_bidi);
        self.on_max_streams(Dir::Uni, limits.max_streams_uni);
    }

    /// Opens a stream. OPEN goes out with the next packet that has room, together with what is
    /// written until then.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed.
    pub fn open(
        &mut self,
        dir: Dir,
        options: OpenOptions,
        account: &mut RecvAccount<'_>,
    ) -> Result<StreamId, OpenError> {
        let id = self.table.next(dir);
        options.check(id)?;
        let wants = self.wants_open.get_mut(dir as usize);
        let Some(count) = self.counts.get_mut(dir as usize).filter(|c| c.available() > 0) else {
            wants.into_iter().for_each(|w| *w = true);
            self.counts.get_mut(dir as usize).into_iter().for_each(SendCredit::on_blocked);
            return Err(OpenError::Blocked);
        };
        let recv = match dir {
            Dir::Uni => None,
            Dir::Bi => {
                let Some(credit) = account.credit.open_own(id, account.budget) else {
                    wants.into_iter().for_each(|w| *w = true);
                    return Err(OpenError::NoCredit);
                };
                Some(RecvHalf::new(id, RecvState::Recv, credit, account.now))
            }
        };
        count.consume(1);
        let send = SendHalf::opener(id, self.limits.max_stream_data, &options);
        let mut sent = Once::new();
        sent.set(());
        let opening = Opening::Ours { options, sent, packet: 0 };
        self.table.insert(Slot::new(id, opening, Some(send), recv));
        self.stats.opened += 1;
        self.file(id);
        Ok(id)
    }

    /// The next stream that the peer announced, in the order of announcement.
    pub fn accept(&mut self) -> Option<StreamId> {
        self.incoming = false;
        while let Some(id) = self.announced.pop_front() {
            if self.table.get(id).is_some() {
                return Some(id);
            }
        }
        self.accept_armed = true;
        None
    }

    /// The next thing that the application should hear of. Each stream waits in the list at most
    /// once.
    ///
    /// The order: incoming streams, streams that may be opened, streams that are over, then the
    /// others as they had news first.
    pub fn poll_event(&mut self) -> Option<StreamEvent> {
        if core::mem::take(&mut self.incoming) {
            return Some(StreamEvent::Incoming);
        }
        for dir in [Dir::Bi, Dir::Uni] {
            if self.available.get_mut(dir as usize).is_some_and(core::mem::take) {
                return Some(StreamEvent::Available(dir));
            }
        }
        if let Some(event) = self.last_words.pop_front() {
            return Some(event);
        }
        while let Some(id) = self.news.front().copied() {
            let event = self.table.get_mut(id).and_then(Slot::take_news);
            if event.is_some() {
                return event;
            }
            self.news.pop_front();
            if let Some(slot) = self.table.get_mut(id) {
                slot.in_news = false;
            }
        }
        None
    }

    /// Whether [`poll_event`](Self::poll_event) may give something.
    pub fn has_news(&self) -> bool {
        self.incoming
            || self.available.contains(&true)
            || !self.last_words.is_empty()
            || !self.news.is_empty()
    }

    /// The half of stream `id` that sends, if there is one and it is not over.
    pub fn send(&mut self, id: StreamId) -> Option<SendStream<'_>> {
        self.table.get(id).and_then(|slot| slot.send.as_ref())?;
        Some(SendStream { streams: self, id, pen: Pen::default() })
    }

    /// The half of stream `id` that receives, if there is one and it is not over.
    pub fn recv<'a>(
        &'a mut self,
        id: StreamId,
        account: RecvAccount<'a>,
    ) -> Option<RecvStream<'a>> {
        let half = self.table.get(id).and_then(|slot| slot.recv.as_ref())?;
        if half.state == RecvState::Unannounced {
            return None;
        }
        Some(RecvStream { streams: self, id, account, pen: Pen::default() })
    }

    /// What the opener of stream `id` said of it.
    pub fn info(&self, id: StreamId) -> Option<&OpenOptions> {
        self.table.get(id).and_then(Slot::options)
    }

    /// The class, at this end, of the stream that the last frame was of; of one that is over,
    /// normal.
    pub(crate) const fn heard(&self) -> Priority {
        self.heard
    }

    /// Streams that are not over.
    pub fn count(&self) -> usize {
        self.table.len()
    }

    /// What streams did so far.
    pub const fn stats(&self) -> &StreamStats {
        &self.stats
    }

    /// Whether everything that was written to streams, finished or not, was acknowledged. Linear.
    pub fn is_flushed(&self) -> bool {
        self.table.iter().filter_map(|slot| slot.send.as_ref()).all(|half| {
            half.state.is_end()
                || (half.state.is_open() && half.buffer.is_drained() && !half.is_ending())
        })
    }

    /// Whether something of our half of stream `id` has to be sent, for the first time or again;
    /// `None` if nothing ever will: all of it arrived, or it was reset.
    pub fn is_unsent(&self, id: StreamId) -> Option<bool> {
        let slot = self.table.get(id)?;
        let half = slot
            .send
            .as_ref()
            .filter(|half| half.state.is_open() || half.state == SendState::DataSent)?;
        Some(slot.open_is_due() || half.is_unsent())
    }

    /// Whether bytes wait for the connection's credit.
    pub fn wait_for_connection_credit(&self, connection: &SendCredit) -> bool {
        !self.starved.is_empty() && connection.limit() <= self.starved_at
    }

    /// Whether bytes wait for their stream's credit.
    pub const fn wait_for_stream_credit(&self) -> bool {
        self.blocked > 0
    }

    /// Whether bytes are expected from the peer.
    pub fn expects_data(&self) -> bool {
        self.expecting > 0
    }

    /// Memory in bytes that received data, heads and records hold. Linear.
    pub fn held(&self) -> u64 {
        let recv = |slot: &Slot| slot.recv.as_ref().map_or(0, RecvHalf::held);
        self.table.iter().map(|slot| recv(slot) + slot.charged()).sum()
    }

    /// The credit of all receiving halves: what `check` and others of [`RecvCredit`] want to see.
    pub fn credits(&self) -> impl Iterator<Item = &StreamCredit> {
        self.table.iter().filter_map(|slot| slot.recv.as_ref()).map(|half| &half.credit)
    }

    /// What the peer allows all sending halves.
    #[cfg(any(test, feature = "fingerprint"))]
    pub fn allowances(&self) -> impl Iterator<Item = (StreamId, &SendCredit)> {
        self.table.iter().filter_map(|slot| Some((slot.id, &slot.send.as_ref()?.credit)))
    }

    /// Tries again what the budget had no credit for.
    pub fn top_up(&mut self, account: &mut RecvAccount<'_>) {
        let halves = self.table.iter_mut().filter_map(|slot| slot.recv.as_mut());
        account.credit.top_up(halves.map(|half| &mut half.credit), account.budget);
        let wants = core::mem::take(&mut self.wants_open);
        self.available.iter_mut().zip(wants).for_each(|(news, wants)| *news |= wants);
        self.file_credits();
    }

    /// Asks the peer for `amount` bytes of unused credit ([`RecvCredit::ask_back`]).
    pub fn ask_back(&mut self, amount: u64, account: &mut RecvAccount<'_>) {
        let halves = self.table.iter_mut().filter_map(|slot| slot.recv.as_mut());
        let credits = halves.map(|half| &mut half.credit);
        account.credit.ask_back(amount, credits, account.budget);
    }

    /// Asserts what holds of the lists.
    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    pub fn check(&self, credit: &RecvCredit) {
        credit.check(self.credits());
        for slot in self.table.iter() {
            let listed = slot.place != Place::Out;
            assert!(listed || !slot.has_work(), "{:?} has work and no turn", slot.id);
            assert!(slot.in_control || !slot.control_is_due(), "{:?} is in no list", slot.id);
            assert!(slot.in_news || slot.news == 0, "{:?} has news unheard", slot.id);
            assert!(!slot.is_done(), "{:?} is over and not retired", slot.id);
        }
        let expecting = self.table.iter().filter(|slot| slot.expects_data()).count();
        assert_eq!(self.expecting, expecting, "streams that expect bytes are miscounted");
        let blocked = self.table.iter().filter(|slot| slot.blocked).count();
        assert_eq!(self.blocked, blocked, "streams that their credit holds up are miscounted");
        // One in turn finds out when it is asked next.
        for slot in self.table.iter().filter(|slot| slot.place == Place::Out) {
            let blocked = slot.send.as_ref().is_some_and(SendHalf::is_blocked_by_credit);
            assert_eq!(
                slot.blocked, blocked,
                "stream {:?} is held up by its credit, or not",
                slot.id
            );
        }
    }

    fn file_credits(&mut self) {
        for slot in self.table.iter_mut().filter(|s| !s.in_control && s.control_is_due()) {
            slot.in_control = true;
            self.control.push_back(slot.id);
        }
    }

    /// Enters stream `id` into the lists that it belongs to. Returns whether it is done.
    fn file(&mut self, id: StreamId) -> bool {
        let Some(slot) = self.table.get_mut(id) else { return false };
        let expects = slot.expects_data();
        if core::mem::replace(&mut slot.expects, expects) != expects {
            self.expecting = if expects { self.expecting + 1 } else { self.expecting - 1 };
        }
        slot.note_blocked(&mut self.blocked);
        // OPEN needs no credit, nor what was lost to be sent again (spec R-STR-27).
        let repeats = slot.open_is_due() || slot.send.as_ref().is_some_and(SendHalf::repeats);
        let waits = slot.has_work() && !repeats;
        if slot.place == Place::Starved && !waits {
            slot.place = Place::Out;
            self.starved.retain(|starved| *starved != id);
        }
        if !slot.in_control && slot.control_is_due() {
            slot.in_control = true;
            self.control.push_back(id);
        }
        if slot.place == Place::Out && slot.has_work() {
            let class = slot.send.as_ref().map_or(Priority::Normal, |half| half.priority);
            slot.place = Place::Turn(class);
            self.scheduler.push(id, class);
        }
        if slot.recv.as_mut().is_some_and(RecvHalf::take_news) {
            slot.news |= READABLE;
        }
        let room = self.config.send_buffer;
        if slot.send.as_mut().is_some_and(|half| half.take_room_news(room)) {
            slot.news |= WRITABLE;
        }
        if slot.news != 0 && !slot.in_news {
            slot.in_news = true;
            self.news.push_back(id);
        }
        slot.is_done()
    }

    /// Forgets stream `id` if nothing will happen to it any more.
    fn retire(&mut self, id: StreamId, account: &mut RecvAccount<'_>) {
        if !self.table.get(id).is_some_and(Slot::is_done) {
            return;
        }
        let Some(mut slot) = self.table.remove(id) else { return };
        self.expecting -= usize::from(slot.expects);
        self.blocked -= usize::from(slot.blocked);
        self.watch.leave(&mut slot);
        slot.news &= STOPPED | DELIVERED | ACKED | ENDED;
        while let Some(event) = slot.take_news() {
            self.last_words.push_back(event);
        }
        match slot.place {
            Place::Turn(class) => self.scheduler.remove(id, class),
            Place::Starved => self.starved.retain(|starved| *starved != id),
            Place::Out => {}
        }
        account.credit.unhold(slot.charged());
        if let Some(half) = slot.recv {
            account.credit.retire(half.credit, account.budget);
        }
    }

    fn on_max_streams(&mut self, dir: Dir, limit: u64) {
        let raised = self.counts.get_mut(dir as usize).is_some_and(|count| count.on_max(limit));
        let wants = self.wants_open.get_mut(dir as usize);
        if raised && wants.is_some_and(core::mem::take) {
            self.available.get_mut(dir as usize).into_iter().for_each(|news| *news = true);
        }
    }
}

#[cfg(test)]
mod buffer_tests;
#[cfg(test)]
mod tests;
