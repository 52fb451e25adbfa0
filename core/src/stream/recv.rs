//! The half of a stream that receives.

mod strain;

use core::ops::Range;

use thiserror::Error;

use super::RecvAccount;
use super::assembler::Assembler;
use super::given::{Arrival, Chunk, Inserted};
use super::options::OpenOptions;
use super::state::{RecvEvent, RecvState};
use super::watch::Stuck;
use crate::error::{TransportCode, Violation};
use crate::flow::StreamCredit;
use crate::recovery::Once;
use crate::time::Instant;
use crate::wire::frame::{Frame, ResetFrame, SentFrame, StopFrame, StreamFrame};
use crate::wire::id::{AppCode, StreamId};
use crate::wire::packet::PacketWriter;

use strain::Strain;

/// Why there are no bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing is here now; an event says when something is. Nothing was changed.
    #[error("nothing has arrived yet")]
    Blocked,
    /// The sender gave up. Everything that it promised was given out; the stream is over.
    #[error("reset by the sender with code {}", code.0)]
    Reset {
        /// Its code.
        code: AppCode,
        /// Relays between this end and where it came from.
        hop: u64,
    },
    /// This side ended the stream, which did not move. Nothing was changed.
    #[error("ended by this side, because it did not move")]
    Stuck(Stuck),
    /// This side had stopped the stream. Nothing was changed.
    #[error("the stream was stopped")]
    Stopped,
    /// The next bytes will never come: `read_chunk` passes over them. Nothing was changed.
    #[error("bytes {} to {} of the stream will not come", .0.start, .0.end)]
    Skipped(Range<u64>),
    /// Bytes were taken in order of arrival before, so that there is no order to read in. Nothing
    /// was changed.
    #[error("the stream is already read in order of arrival")]
    OutOfOrder,
}

/// What a frame did to the half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Took {
    /// Taken.
    Yes,
    /// Not taken, because of one range too many: its packet must not be acknowledged.
    No,
}

/// How bytes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Offset,
    Arrival,
}

#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct RecvHalf {
    id: StreamId,
    pub(super) state: RecvState,
    assembler: Assembler,
    pub(super) credit: StreamCredit,
    /// Whether the peer opened the stream.
    is_theirs: bool,
    start: u64,
    /// The end that OPEN announced.
    end: Option<u64>,
    pub(super) final_size: Option<u64>,
    pub(super) reset: Option<ResetFrame>,
    stop: Once<StopFrame>,
    /// Bytes given out and not released.
    out: u64,
    /// Bytes of the credit that were released.
    settled: u64,
    /// A read found nothing: the application waits to hear.
    armed: bool,
    /// When bytes last came or were taken.
    moved: Instant,
    /// Bytes that came, each counted once, and skipped ones.
    came: u64,
    strain: Strain,
    stuck: Option<Stuck>,
    /// It is piped: whoever does that watches it.
    piped: bool,
}

impl RecvHalf {
    pub(super) fn new(id: StreamId, state: RecvState, credit: StreamCredit, now: Instant) -> Self {
        Self {
            id,
            state,
            assembler: Assembler::new(),
            credit,
            is_theirs: state == RecvState::Unannounced,
            start: 0,
            end: None,
            final_size: None,
            reset: None,
            stop: Once::new(),
            out: 0,
            settled: 0,
            armed: true,
            moved: now,
            came: 0,
            strain: Strain::Never,
            stuck: None,
            piped: false,
        }
    }

    /// OPEN came: applies the bounds, and then what came before it.
    pub(super) fn on_open(
        &mut self,
        options: &OpenOptions,
        account: &mut RecvAccount<'_>,
    ) -> Result<(), Violation> {
        if options.start > 0 && (self.credit.highest() > 0 || self.final_size.is_some()) {
            return Err(Violation::new(TransportCode::StreamState, "bytes below a stream's start"));
        }
        let known = self.final_size.unwrap_or(self.credit.highest());
        if options.end.is_some_and(|end| known > end) {
            return Err(Violation::new(TransportCode::FinalSize, "bytes beyond a stream's end"));
        }
        self.start = options.start;
        self.end = options.end;
        self.assembler.set_start(options.start);
        if let (Some(end), None) = (options.end, self.final_size) {
            self.assembler.set_end(end);
        }
        self.state = self.state.after(RecvEvent::Open);
        if self.reset.is_some() {
            self.state = self.state.after(RecvEvent::Reset);
        } else if self.final_size.is_some() {
            self.state = self.state.after(RecvEvent::FinalSize);
            self.note_complete();
        }
        self.settle(account);
        Ok(())
    }

    /// STREAM came.
    pub(super) fn on_stream(
        &mut self,
        frame: &StreamFrame<'_>,
        account: &mut RecvAccount<'_>,
    ) -> Result<Took, Violation> {
        let end = frame.offset.saturating_add(frame.data.len() as u64);
        self.charge(frame.offset..end, frame.fin, account)?;
        let wanted = self.wanted(&(frame.offset..end));
        if let Some(data) = frame.data.get(..wanted).filter(|_| self.wants_bytes()) {
            if frame.fin {
                self.assembler.set_end(end);
            }
            let ranges = self.max_ranges(1, account);
            match self.assembler.insert(frame.offset, data, ranges) {
                Inserted::TooFragmented => return Ok(Took::No),
                Inserted::Fresh(bytes) => self.note_fresh(bytes, account.now),
            }
        }
        if frame.fin {
            self.on_final(end, account)?;
        }
        self.note_complete();
        Ok(Took::Yes)
    }

    /// SKIP came.
    pub(super) fn on_skip(
        &mut self,
        range: &Range<u64>,
        account: &mut RecvAccount<'_>,
    ) -> Result<Took, Violation> {
        self.charge(range.clone(), false, account)?;
        if self.wants_bytes() {
            sometimes!("stream: bytes are skipped");
            let ranges = self.max_ranges(2, account);
            let wanted = range.start..range.start + self.wanted(range) as u64;
            match self.assembler.skip(wanted, ranges) {
                Inserted::TooFragmented => return Ok(Took::No),
                Inserted::Fresh(bytes) => self.note_fresh(bytes, account.now),
            }
            self.forget_skipped(account);
        }
        self.note_complete();
        Ok(Took::Yes)
    }

    /// RESET came.
    pub(super) fn on_reset(
        &mut self,
        frame: &ResetFrame,
        account: &mut RecvAccount<'_>,
    ) -> Result<(), Violation> {
        if frame.reliable_size > frame.final_size {
            let what = "a reset that promises more than the final size";
            return Err(Violation::new(TransportCode::FinalSize, what));
        }
        self.charge(frame.final_size..frame.final_size, true, account)?;
        self.on_final(frame.final_size, account)?;
        if self.reset.is_some() || !self.state.is_receiving() {
            return Ok(());
        }
        self.reset = Some(*frame);
        let unannounced = self.state == RecvState::Unannounced;
        // What is promised still waits for OPEN; without a promise the stream is over.
        if !unannounced || frame.reliable_size <= self.start {
            self.state = self.state.after(RecvEvent::Reset);
        }
        self.assembler.truncate(frame.reliable_size.max(self.start));
        if self.is_stopped() {
            self.state = self.state.after(RecvEvent::ResetRead);
        }
        self.settle(account);
        Ok(())
    }

    /// Whether bytes may still be given out that are not here.
    fn wants_bytes(&self) -> bool {
        let promised = self.state == RecvState::ResetRecvd;
        (self.state.is_receiving() || promised) && !self.is_stopped()
    }

    /// How much of `range`, from its start, somebody will be given: all, or what a reset promised.
    fn wanted(&self, range: &Range<u64>) -> usize {
        let end = self.reset.map_or(u64::MAX, |reset| reset.reliable_size);
        let wanted = range.end.min(end).saturating_sub(range.start);
        usize::try_from(wanted).unwrap_or(usize::MAX)
    }

    /// Checks a frame's offsets against the bounds and charges credit for them.
    fn charge(
        &mut self,
        range: Range<u64>,
        is_final: bool,
        account: &mut RecvAccount<'_>,
    ) -> Result<(), Violation> {
        if range.start < self.start {
            return Err(Violation::new(TransportCode::StreamState, "bytes below a stream's start"));
        }
        if self.end.is_some_and(|end| range.end > end) {
            return Err(Violation::new(TransportCode::FinalSize, "bytes beyond a stream's end"));
        }
        if is_final && self.final_size.is_some_and(|known| known != range.end) {
            return Err(Violation::new(TransportCode::FinalSize, "a stream's final size changed"));
        }
        let RecvAccount { credit, budget, now } = account;
        let end = range.end - self.start;
        if is_final {
            self.credit.on_last_data(end, credit, *now)?;
        } else {
            self.credit.on_data(end, credit, budget, *now)?;
        }
        if is_final && range.end - self.start < self.credit.highest() {
            let what = "a final size below what was sent";
            return Err(Violation::new(TransportCode::FinalSize, what));
        }
        if self.is_stopped() {
            self.settled = self.credit.highest();
        }
        Ok(())
    }

    fn on_final(&mut self, size: u64, account: &mut RecvAccount<'_>) -> Result<(), Violation> {
        let RecvAccount { credit, budget, now } = account;
        self.credit.on_final(size - self.start, credit, budget, *now)?;
        if self.final_size.is_none() {
            self.final_size = Some(size);
            self.assembler.set_end(size);
            self.state = self.state.after(RecvEvent::FinalSize);
        }
        Ok(())
    }

    /// Moves on once nothing is missing; a stopped half wants nothing more than the final size.
    fn note_complete(&mut self) {
        let Some(size) = self.final_size else { return };
        if self.state != RecvState::SizeKnown {
            return;
        }
        if self.is_stopped() {
            self.state = self.state.after(RecvEvent::AllReceived).after(RecvEvent::AllRead);
        } else if self.assembler.contiguous_end() >= size {
            self.state = self.state.after(RecvEvent::AllReceived);
        }
    }

    /// Releases the credit of bytes that nobody will be given: beyond a reset's promise.
    fn settle(&mut self, account: &mut RecvAccount<'_>) {
        if self.is_stopped() {
            return;
        }
        let highest = self.credit.highest();
        let wanted = match (&self.reset, self.state) {
            (_, RecvState::ResetRead) => 0,
            (Some(reset), _) => self.assembler.outstanding(reset.reliable_size.max(self.start)),
            (None, _) => self.assembler.outstanding(self.start.saturating_add(highest)),
        };
        self.free(highest.saturating_sub(self.settled + self.out + wanted), account);
    }

    fn free(&mut self, bytes: u64, account: &mut RecvAccount<'_>) {
        if bytes > 0 {
            self.settled += bytes;
            let RecvAccount { credit, budget, now } = account;
            self.credit.release(bytes, credit, budget, *now);
        }
    }

    /// Who reads in order of arrival and is told of bytes only has passed what was skipped.
    fn forget_skipped(&mut self, account: &mut RecvAccount<'_>) {
        let passed = self.assembler.forget_skipped();
        self.free(passed, account);
    }

    /// Gives out bytes, and releases the credit of skipped ones that the reader passes. `Ok(None)`
    /// once all of the body was given out.
    pub(super) fn read(
        &mut self,
        max: usize,
        way: Way,
        account: &mut RecvAccount<'_>,
    ) -> Result<Option<Chunk>, ReadError> {
        if self.is_stopped() {
            return Err(self.stuck.map_or(ReadError::Stopped, ReadError::Stuck));
        }
        if way == Way::Offset && self.assembler.is_by_arrival() {
            return Err(ReadError::OutOfOrder);
        }
        let chunk = match way {
            Way::Offset => self.read_on(max, account),
            Way::Arrival => self.assembler.take_any(max),
        };
        self.forget_skipped(account);
        if let Some(chunk) = chunk {
            self.out += chunk.data.len() as u64;
            return Ok(Some(chunk));
        }
        self.nothing_more(max)
    }

    fn read_on(&mut self, max: usize, account: &mut RecvAccount<'_>) -> Option<Chunk> {
        let from = self.assembler.position();
        let chunk = self.assembler.read(max);
        let given = chunk.as_ref().map_or(0, |chunk| chunk.data.len() as u64);
        self.free(self.assembler.position() - from - given, account);
        chunk
    }

    /// Gives out bytes or word of a skipped range, as they came or the lowest: either keeps its
    /// credit until it is released. `Ok(None)` at the end.
    pub(super) fn arrival(
        &mut self,
        max: usize,
        lowest: bool,
    ) -> Result<Option<Arrival>, ReadError> {
        if self.is_stopped() {
            return Err(ReadError::Stopped);
        }
        self.piped = true;
        let arrival = match lowest {
            true => self.assembler.take_lowest(max),
            false => self.assembler.take_arrival(max),
        };
        if let Some(arrival) = arrival {
            let range = arrival.range();
            self.out += range.end - range.start;
            return Ok(Some(arrival));
        }
        self.nothing_more(max)
    }

    /// What it means that no bytes are here: the end, a reset, or that they are to come.
    fn nothing_more<T>(&mut self, max: usize) -> Result<Option<T>, ReadError> {
        if let Some(reset) = self.reset {
            if self.assembler.is_read_to(reset.reliable_size.max(self.start)) {
                self.state = self.state.after(RecvEvent::ResetRead);
                return Err(ReadError::Reset { code: reset.code, hop: reset.hop });
            }
        } else if self.final_size.is_some_and(|size| self.assembler.is_read_to(size)) {
            self.state = self.state.after(RecvEvent::AllRead);
            return Ok(None);
        }
        if max > 0 {
            self.armed = true;
        }
        Err(ReadError::Blocked)
    }

    /// Whether bytes will never come that a reader has not passed.
    pub(super) fn lacks_bytes(&self) -> bool {
        self.assembler.lacks_bytes()
    }

    /// Bytes at the reader that will never come.
    pub(super) fn next_skip(&self) -> Option<Range<u64>> {
        self.assembler.next_skip()
    }

    /// The application let go of `bytes` that it was given.
    pub(super) fn release(&mut self, bytes: u64, account: &mut RecvAccount<'_>) {
        let bytes = bytes.min(self.out);
        self.out -= bytes;
        if !self.is_stopped() {
            self.free(bytes, account);
        }
    }

    /// The application wants the bytes below `end`, whatever it has released.
    pub(super) fn request(&mut self, end: u64, account: &mut RecvAccount<'_>) {
        let end = end.saturating_sub(self.start);
        self.credit.request(end, account.credit, account.budget);
    }

    /// The application wants no more. Returns whether a STOP has to go out.
    pub(super) fn stop(&mut self, code: AppCode, hop: u64, account: &mut RecvAccount<'_>) -> bool {
        if self.is_stopped() || self.state.is_end() {
            return false;
        }
        let known = self.final_size.is_some();
        self.stop.set(StopFrame { id: self.id, code, hop });
        self.credit.abandon(account.credit);
        self.settled = self.credit.highest();
        let start = self.start;
        self.assembler = Assembler::new();
        self.assembler.set_start(start);
        let events = [RecvEvent::AllReceived, RecvEvent::AllRead, RecvEvent::ResetRead];
        if known {
            self.state = events.into_iter().fold(self.state, RecvState::after);
        }
        !known
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.value().is_some()
    }

    /// Whether nothing will happen any more and nothing is held.
    pub(super) fn is_done(&self) -> bool {
        self.state.is_end() && self.credit.is_final() && self.credit.held() == 0
    }

    /// Whether the application waits to hear and there is something: bytes, the end or a reset.
    pub(super) fn take_news(&mut self) -> bool {
        let unheard = self.state == RecvState::Unannounced || self.state.is_end();
        if !self.armed || self.is_stopped() || unheard {
            return false;
        }
        let over = match (&self.reset, self.final_size) {
            (Some(reset), _) => self.assembler.is_read_to(reset.reliable_size.max(self.start)),
            (None, Some(size)) => self.assembler.is_read_to(size),
            _ => false,
        };
        let shrunk = self.piped && self.credit.take_shrunk();
        let news = over || shrunk || self.assembler.is_readable();
        self.armed &= !news;
        news
    }

    /// Bytes of memory that the half holds.
    pub(super) fn held(&self) -> u64 {
        self.assembler.held()
    }

    /// What the credit aims at.
    pub(super) fn window(&self) -> u64 {
        self.credit.window()
    }

    /// Bytes that are charged and not released.
    pub(super) fn charged(&self) -> u64 {
        self.credit.held()
    }

    /// Where a reader in order stands.
    pub(super) fn position(&self) -> u64 {
        self.assembler.position()
    }

    /// All below was received or skipped.
    pub(super) fn contiguous_end(&self) -> u64 {
        self.assembler.contiguous_end()
    }

    pub(super) fn final_size(&self) -> Option<u64> {
        self.final_size
    }

    /// Bytes that came and were not released, whether the application has them or not.
    pub(super) fn unreleased(&self) -> u64 {
        self.came.saturating_sub(self.settled)
    }

    /// How many ranges may be there behind a frame that opens so many more.
    fn max_ranges(&mut self, more: u64, account: &mut RecvAccount<'_>) -> usize {
        let RecvAccount { credit, budget, .. } = account;
        let now = self.assembler.kept_ranges() as u64;
        usize::try_from(self.credit.max_ranges(now, more, credit, budget)).unwrap_or(usize::MAX)
    }

    /// Whether STOP or MAX_STREAM_DATA waits to be written.
    pub(super) fn control_is_due(&self) -> bool {
        (self.stop.is_pending() && !self.state.is_end()) || self.credit.is_pending()
    }

    /// Writes STOP and MAX_STREAM_DATA. Returns whether all of it found room.
    pub(super) fn write_control(&mut self, packet: &mut PacketWriter<'_>) -> bool {
        if !self.state.is_end() {
            self.stop.write(|frame| packet.write(&Frame::Stop(*frame)));
        }
        self.credit.write(packet);
        !self.control_is_due()
    }

    /// A frame of this half arrived.
    pub(super) fn on_acked(&mut self, frame: &SentFrame) {
        match frame {
            SentFrame::Stop(_) => self.stop.on_acked(),
            other => self.credit.on_acked(other),
        }
    }

    /// A frame of this half was lost.
    pub(super) fn on_lost(&mut self, frame: &SentFrame) {
        match frame {
            SentFrame::Stop(_) => self.stop.on_lost(),
            other => self.credit.on_lost(other),
        }
    }
}

/// What a half that does not move is judged by.
impl RecvHalf {
    fn note_fresh(&mut self, bytes: u64, now: Instant) {
        if bytes > 0 {
            self.came += bytes;
            self.moved = now;
        }
    }

    /// The application took bytes.
    pub(super) fn note_taken(&mut self, now: Instant) {
        self.moved = now;
    }

    pub(super) fn moved(&self) -> Instant {
        self.moved
    }

    /// Whether bytes are missing that the peer has begun to send: the answer on a stream that this
    /// side opened may take its time (spec R-STR-43).
    pub(super) fn is_waited_for(&self) -> bool {
        let begun = self.credit.highest() > 0 || self.is_theirs;
        self.state.is_receiving() && !self.is_stopped() && !self.piped && begun
    }
}
