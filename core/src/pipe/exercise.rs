//! A pipe between one real source and any number of real legs, whose peers are plain models. Tests,
//! property tests and fuzzing share it.
//!
//! Every packet of a leg either arrives and is acknowledged at once, or is lost: so each byte must
//! arrive exactly once.

#![expect(clippy::expect_used, reason = "a harness says no by a panic")]

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use crate::stream::exercise::byte;
use crate::stream::{OpenOptions, StreamEvent, StreamProtocol};
use crate::time::Instant;
use crate::wire::frame::{Frame, ResetFrame, StopFrame, StreamFrame, frames};
use crate::wire::id::{AppCode, Dir, Side, StreamId};
use crate::wire::open::{OpenFrame, Protocol};

use super::{EndedLeg, LegEnd, LegError, LegIndex, LegPath, LegPolicy, Pipe, PipeOptions};

mod way;

pub use way::Way;
use way::{End, Fate, contiguous};

/// Bodies here are at most so long.
pub const SIZE: u64 = 1 << 15;
/// Round trip of every connection here.
const RTT: Duration = Duration::from_millis(10);
/// Probe time-out of every connection here.
pub const PTO: Duration = Duration::from_millis(30);

/// Something that happens to a pipe.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[expect(clippy::exhaustive_enums, reason = "inputs of a test")]
#[expect(missing_docs, reason = "named like what they do")]
pub enum PipeOp {
    Arrive { offset: u16, len: u8 },
    Append { len: u16 },
    Skip { offset: u16, len: u8 },
    Finish,
    Reset { reliable: u16 },
    LoseSource { keep: bool },
    AddLeg { start: u16, end: Option<u16>, detaches: bool },
    AddApplication { detaches: bool },
    Deliver { leg: u8, packets: u8 },
    Lose { leg: u8 },
    Credit { leg: u8, more: u16 },
    Stop { leg: u8, hop: u8 },
    LoseLeg { leg: u8 },
    Read { max: u16 },
    Release { back: u16 },
    Wait { ms: u16 },
    Cancel,
}

/// A pipe, its streams, and a model of the body.
pub struct Rig {
    /// The machine.
    pub pipe: Pipe,
    source: Option<End>,
    /// It was not looked at yet.
    fresh: bool,
    /// The legs in order.
    pub legs: Vec<Way>,
    /// Now.
    pub now: Instant,
    /// What the source was granted before it was piped.
    granted: u64,
    /// What came.
    body: Vec<Fate>,
    /// Size of the body, once FIN came; promise of a RESET.
    ending: Option<u64>,
    /// The application reads from here, if it ever was a leg.
    pub read: u64,
    application: Option<LegIndex>,
    /// How the application's leg ended.
    pub application_ended: Option<LegEnd>,
    /// STOP went to the source.
    pub stop: Option<StopFrame>,
    /// Where the source's frames reached, also those that found no room.
    seen: u64,
}

/// The stream that is the source.
const FROM: StreamId = StreamId::new(Side::Initiator, Dir::Uni, 0);

impl Rig {
    /// A pipe without legs.
    pub fn new(options: PipeOptions) -> Self {
        Self::within(1 << 24, options)
    }

    /// The same where the source's node has so many bytes for its connection.
    pub fn within(memory: u64, options: PipeOptions) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let mut source = End::within(memory, Side::Responder);
        source.frame(&Frame::Open(OpenFrame::new(FROM, Protocol::Number(64))), now);
        let granted = source.streams.credits().map(|credit| credit.limit()).sum();
        let mut pipe = Pipe::new(0, options, now);
        let (streams, account) = source.account(now);
        pipe.begin(&mut streams.recv(FROM, account).expect("it was announced"));
        let body = vec![Fate::Unknown; SIZE as usize];
        Self {
            pipe,
            source: Some(source),
            fresh: true,
            legs: Vec::new(),
            now,
            granted,
            body,
            ending: None,
            read: 0,
            application: None,
            application_ended: None,
            stop: None,
            seen: 0,
        }
    }

    /// Adds a leg; its peer grants 1,000 bytes.
    ///
    /// # Errors
    /// What the pipe says.
    pub fn add_leg(&mut self, range: Range<u64>, policy: LegPolicy) -> Result<usize, LegError> {
        let mut end = End::new(Side::Initiator);
        let mut options = OpenOptions::new(StreamProtocol::Number(64));
        (options.start, options.end) = (range.start, Some(range.end).filter(|end| *end < u64::MAX));
        let (streams, mut account) = end.account(self.now);
        let id = streams.open(Dir::Uni, options, &mut account).expect("a stream");
        let index = self.pipe.add_leg(range.clone(), policy)?;
        let got = vec![Fate::Unknown; SIZE as usize];
        let (size, reset, ended) = (None, None, None);
        let limit = 1000;
        self.legs.push(Way { end, id, index, range, got, size, reset, ended, alive: true, limit });
        self.pump();
        Ok(self.legs.len() - 1)
    }

    /// The application becomes a leg.
    ///
    /// # Errors
    /// What the pipe says.
    pub fn add_application(&mut self, policy: LegPolicy) -> Result<LegIndex, LegError> {
        let index = self.pipe.add_application(policy)?;
        (self.read, self.application) = (self.pipe.held_from(), Some(index));
        self.application_ended = None;
        self.pump();
        Ok(index)
    }

    /// What every turn of an endpoint does.
    pub fn pump(&mut self) {
        self.turn();
        self.check();
    }

    /// The same without a look at the model: the source is looked at when there is news of it, and
    /// after what was acknowledged may have made room.
    pub fn turn(&mut self) {
        if self.hears() {
            self.pull();
        }
        loop {
            self.push();
            let mut account = self.source.as_mut().map(|end| end.account(self.now));
            let mut stream =
                account.take().and_then(|(streams, account)| streams.recv(FROM, account));
            let held = self.pipe.stats().held;
            let freed = self.pipe.settle(stream.as_mut(), RTT, self.now);
            assert_eq!(freed, held - self.pipe.stats().held, "what is let go is told");
            drop(stream);
            if !self.pull() && !self.pipe.has_doomed() {
                break;
            }
        }
        while let Some(EndedLeg { leg: index, end, .. }) = self.pipe.next_ended() {
            match self.legs.iter_mut().find(|leg| leg.index == index) {
                Some(leg) => assert_eq!(leg.ended.replace(end), None, "ended twice"),
                None => self.application_ended = Some(end),
            }
        }
    }

    /// Whether there is news of the source, or was none yet.
    fn hears(&mut self) -> bool {
        let Some(end) = &mut self.source else { return false };
        let mut heard = core::mem::take(&mut self.fresh);
        while let Some(event) = end.streams.poll_event() {
            heard |= matches!(event, StreamEvent::Readable(id) if id == FROM);
        }
        heard
    }

    fn pull(&mut self) -> bool {
        let Self { pipe, source: Some(end), now, .. } = self else { return false };
        let (streams, account) = end.account(*now);
        match streams.recv(FROM, account) {
            Some(mut stream) => pipe.pull(&mut stream, *now),
            None => {
                assert!(!pipe.is_flowing(), "the source went away");
                false
            }
        }
    }

    fn push(&mut self) {
        let Self { pipe, legs, now, .. } = self;
        for leg in legs.iter_mut().filter(|leg| leg.alive && leg.ended.is_none()) {
            match leg.end.streams.send(leg.id) {
                Some(mut out) => {
                    pipe.push(leg.index, &mut out, LegPath { pto: PTO, rtt: RTT }, *now);
                }
                None => pipe.on_leg_gone(leg.index),
            }
        }
    }

    /// What holds after every turn.
    fn check(&mut self) {
        let stats = self.pipe.stats();
        assert!(stats.held <= stats.window.max(self.granted), "{stats:?}");
        let in_order = !self.application_left();
        assert!(stats.waiting == 0 || in_order, "{stats:?}");
        assert!(self.pipe.deadline().is_none_or(|at| at > self.now), "a deadline that passed");
        if !self.pipe.is_flowing() {
            return;
        }
        let count = |range: Range<u64>, fate: Fate| {
            let part = self.body.get(range.start as usize..range.end as usize);
            part.into_iter().flatten().filter(|is| **is == fate).count() as u64
        };
        let end = self.end();
        if stats.received < count(0..end, Fate::Here) {
            return;
        }
        let slowest = self.legs.iter().filter(|leg| leg.ended.is_none()).map(|leg| {
            let acked = leg.acked();
            if acked >= leg.range.end { u64::MAX } else { acked }
        });
        let judged = self.application_left() && !self.pipe.gathers();
        if let Some(slowest) = slowest.min().filter(|_| judged) {
            assert_eq!(stats.acked, slowest.min(end).max(stats.acked));
        }
        assert_eq!(stats.held, count(stats.held_from..end, Fate::Here));
        let whole = contiguous(&self.body, 0);
        let behind_gap = if in_order { count(whole..end, Fate::Here) } else { 0 };
        assert!(stats.waiting <= behind_gap, "{stats:?}");
        // A gap below what is held, where a leg began above it, keeps nobody waiting.
        assert!(stats.waiting == behind_gap || whole < stats.held_from, "{stats:?}");
        if let Some(source) = &self.source {
            let held: u64 = source.streams.credits().map(|credit| credit.held()).sum();
            let missing = count(0..end, Fate::Unknown);
            let skipped = count(stats.held_from..end, Fate::Never);
            let kept = stats.held + missing + skipped;
            assert_eq!(held, kept, "credit goes back for what is let go");
        }
    }

    /// Whether the application is no leg at present.
    fn application_left(&self) -> bool {
        self.application.is_none() || self.application_ended.is_some()
    }

    /// Bytes arrive, as far as credit allows.
    pub fn arrive(&mut self, range: Range<u64>, fin: bool) {
        self.arrive_unseen(range.clone());
        if fin {
            let offset = self.end();
            self.tell_source(&Frame::Stream(StreamFrame { id: FROM, offset, data: &[], fin }));
            self.ending = Some(offset);
        }
        self.pump();
    }

    /// The same before the pipe's next turn.
    pub fn arrive_unseen(&mut self, range: Range<u64>) {
        let range = self.allowed(&range);
        if range.is_empty() {
            return;
        }
        let data: Vec<u8> = range.clone().map(|at| byte(at, 0)).collect();
        let frame = StreamFrame { id: FROM, offset: range.start, data: &data, fin: false };
        self.seen = self.seen.max(range.end);
        if self.tell_source(&Frame::Stream(frame)) {
            self.fate(&range, Fate::Here);
        }
    }

    /// Word arrives that bytes will never come.
    pub fn skip(&mut self, range: Range<u64>) {
        if self.skip_unseen(range) {
            self.pump();
        }
    }

    /// The same before the pipe's next turn. False if there is no credit for it.
    pub fn skip_unseen(&mut self, range: Range<u64>) -> bool {
        let range = self.allowed(&range);
        if !range.is_empty() {
            let frame = Frame::Skip { id: FROM, range: range.clone() };
            self.seen = self.seen.max(range.end);
            if self.tell_source(&frame) {
                self.fate(&range, Fate::Never);
            }
        }
        !range.is_empty()
    }

    /// A RESET arrives.
    pub fn reset(&mut self, reliable: u64, hop: u64) {
        let (id, code, final_size) = (FROM, AppCode(7), self.end());
        let reliable_size = reliable.min(contiguous(&self.body, 0));
        self.ending = Some(reliable_size);
        let reset = ResetFrame { id, code, hop, final_size, reliable_size };
        self.tell_source(&Frame::Reset(reset));
        self.pump();
    }

    /// The source's node asks for so much of the credit back that is not used.
    pub fn ask_back(&mut self, amount: u64) {
        let Some(end) = &mut self.source else { return };
        let (streams, mut account) = end.account(self.now);
        streams.ask_back(amount, &mut account);
        self.pump();
    }

    /// The source's connection is lost.
    pub fn lose_source(&mut self, keep: bool) {
        if let Some(mut end) = self.source.take() {
            let (streams, account) = end.account(self.now);
            if let Some(mut stream) = streams.recv(FROM, account) {
                self.pipe.pull_rest(&mut stream, self.now);
            }
            self.pipe.on_source_lost(keep);
            self.pump();
        }
    }

    /// Whether the source took it.
    fn tell_source(&mut self, frame: &Frame<'_>) -> bool {
        let now = self.now;
        self.source.as_mut().is_none_or(|source| source.frame(frame, now))
    }

    /// Whether the source may still say something of its body.
    fn open(&self) -> bool {
        self.source.is_some() && self.ending.is_none() && self.pipe.is_flowing()
    }

    fn allowed(&self, range: &Range<u64>) -> Range<u64> {
        let limit = self.source.as_ref().and_then(|end| end.streams.credits().next());
        let limit = limit.map_or(0, |credit| credit.limit()).min(SIZE);
        range.start.min(limit)..range.end.min(limit)
    }

    fn fate(&mut self, range: &Range<u64>, fate: Fate) {
        let part = self.body.get_mut(range.start as usize..range.end as usize);
        part.into_iter().flatten().filter(|f| **f == Fate::Unknown).for_each(|f| *f = fate);
    }

    /// One more than the highest offset that came, or would have if there had been room.
    pub fn end(&self) -> u64 {
        let last = self.body.iter().rposition(|fate| *fate != Fate::Unknown);
        last.map_or(0, |at| at as u64 + 1).max(self.seen)
    }

    /// A packet of a leg arrives and is acknowledged, or is lost. False if there was none.
    pub fn packet(&mut self, leg: usize, arrives: bool) -> bool {
        let now = self.now;
        let Some(way) = self.legs.get_mut(leg).filter(|way| way.alive) else { return false };
        let Some((payload, receipts)) = way.end.packet() else { return false };
        if arrives {
            way.hear(&payload);
        }
        for receipt in &receipts {
            let (streams, mut account) = way.end.account(now);
            match arrives {
                true => streams.on_acked(receipt, &mut account),
                false => streams.on_lost(receipt),
            }
        }
        self.pump();
        true
    }

    /// A leg's peer grants more.
    pub fn credit(&mut self, leg: usize, more: u64) {
        let now = self.now;
        let Some(way) = self.legs.get_mut(leg) else { return };
        way.limit += more;
        way.end.frame(&Frame::MaxStreamData { id: way.id, limit: way.limit }, now);
    }

    /// A leg's peer wants no more.
    pub fn stop(&mut self, leg: usize, hop: u64) {
        let now = self.now;
        let Some(way) = self.legs.get_mut(leg) else { return };
        way.end.frame(&Frame::Stop(StopFrame { id: way.id, code: AppCode(9), hop }), now);
        self.pump();
    }

    /// A leg's connection is lost.
    pub fn lose_leg(&mut self, leg: usize) {
        let Some(way) = self.legs.get_mut(leg).filter(|way| way.alive) else { return };
        way.alive = false;
        self.pipe.on_leg_lost(way.index);
        self.pump();
    }

    /// The application reads at most `max` bytes.
    pub fn read(&mut self, max: usize) {
        if let Ok(Some(chunk)) = self.pipe.read(max) {
            let passed = self.read..chunk.offset;
            let passed = self.body.get(passed.start as usize..passed.end as usize);
            assert!(passed.into_iter().flatten().all(|fate| *fate == Fate::Never), "a gap");
            let right = chunk.range().map(|at| byte(at, 0));
            assert!(right.eq(chunk.data.iter().copied()), "wrong bytes at {}", chunk.offset);
            self.read = chunk.range().end;
        }
    }

    /// The application lets go.
    pub fn release(&mut self, offset: u64) {
        self.pipe.release(offset, self.now);
        self.pump();
    }

    /// Time passes, deadline by deadline.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.pipe.deadline().filter(|at| *at <= until) {
            self.now = at;
            self.pipe.on_deadline(at);
            self.pump();
        }
        self.now = until;
    }

    /// Everything that is under way arrives; whoever reads, reads on.
    pub fn drain(&mut self) {
        for leg in 0..self.legs.len() {
            self.credit(leg, 2 * SIZE);
        }
        loop {
            let mut moved = false;
            for leg in 0..self.legs.len() {
                moved |= self.packet(leg, true);
            }
            let before = self.read;
            self.read(usize::MAX);
            self.release(self.read);
            if !moved && self.read == before {
                break;
            }
        }
        let stop = self.source.as_mut().and_then(|end| end.packet()).and_then(|(payload, _)| {
            let mut stops = frames(&payload).filter_map(|frame| match frame {
                Ok(Frame::Stop(stop)) => Some(stop),
                _ => None,
            });
            stops.next()
        });
        self.stop = self.stop.or(stop);
    }

    /// What must be true once everything that can arrive has arrived.
    ///
    /// # Panics
    /// If a leg lacks something that it was to get.
    pub fn check_legs(&self) {
        for way in self.legs.iter().filter(|way| way.alive) {
            let end = match way.ended {
                None => self.end(),
                Some(LegEnd::Delivered) => way.size.expect("the end was told"),
                Some(LegEnd::Detached { at }) => at,
                Some(LegEnd::Reset { .. }) => way.reset.map_or(0, |reset| reset.reliable_size),
                _ => continue,
            };
            let range =
                way.range.start as usize..end.min(way.range.end).max(way.range.start) as usize;
            assert_eq!(way.got.get(range.clone()), self.body.get(range), "{:?}", way.index);
        }
    }
}

/// Does `ops` to a pipe with one leg.
///
/// # Panics
/// If a rule of pipes is broken.
pub fn pipe(ops: &[PipeOp], stock: u64, keep: u64) {
    let mut rig = Rig::new(PipeOptions { stock, keep, ..PipeOptions::default() });
    rig.add_leg(0..u64::MAX, LegPolicy::Stall).expect("a first leg");
    for op in ops {
        step(&mut rig, *op);
    }
    rig.drain();
    rig.check_legs();
    // Whatever is left is ended by time.
    rig.wait(Duration::from_secs(200));
    rig.drain();
    assert!(rig.pipe.is_over(), "{:?}", rig.pipe.stats());
    assert_eq!(rig.pipe.stats().held, 0);
    if let Some(source) = &rig.source {
        assert_eq!(source.streams.credits().map(|credit| credit.held()).sum::<u64>(), 0);
    }
}

fn step(rig: &mut Rig, op: PipeOp) {
    let legs = rig.legs.len().max(1);
    let pick = |leg: u8| usize::from(leg) % legs;
    let policy = |detaches| if detaches { LegPolicy::DETACH } else { LegPolicy::Stall };
    let near = |offset: u16, end: u64| (end + u64::from(offset % 4096)).saturating_sub(1024);
    match op {
        PipeOp::Arrive { offset, len } if rig.open() => {
            let from = near(offset, rig.end());
            rig.arrive(from..from + u64::from(len), false);
        }
        PipeOp::Append { len } if rig.open() => {
            rig.arrive(rig.end()..rig.end() + u64::from(len % 3000), false);
        }
        PipeOp::Skip { offset, len } if rig.open() => {
            let from = near(offset, rig.end());
            rig.skip(from..from + u64::from(len));
        }
        PipeOp::Finish if rig.open() => rig.arrive(rig.end()..rig.end(), true),
        PipeOp::Reset { reliable } if rig.open() => rig.reset(u64::from(reliable), 3),
        PipeOp::LoseSource { keep } => rig.lose_source(keep),
        PipeOp::AddLeg { start, end, detaches } if legs < 6 => {
            let start = rig.pipe.held_from() + u64::from(start % 512);
            let end = end.map_or(u64::MAX, |end| start + u64::from(end) + 1);
            _ = rig.add_leg(start..end, policy(detaches));
        }
        PipeOp::AddApplication { detaches } => _ = rig.add_application(policy(detaches)),
        PipeOp::Deliver { leg, packets } => {
            (0..packets % 16).for_each(|_| _ = rig.packet(pick(leg), true));
        }
        PipeOp::Lose { leg } => _ = rig.packet(pick(leg), false),
        PipeOp::Credit { leg, more } => rig.credit(pick(leg), u64::from(more)),
        PipeOp::Stop { leg, hop } => rig.stop(pick(leg), u64::from(hop)),
        PipeOp::LoseLeg { leg } => rig.lose_leg(pick(leg)),
        PipeOp::Read { max } => rig.read(usize::from(max)),
        PipeOp::Release { back } => rig.release(rig.read.saturating_sub(u64::from(back))),
        PipeOp::Wait { ms } => rig.wait(Duration::from_millis(u64::from(ms))),
        PipeOp::Cancel => {
            rig.pipe.cancel(AppCode(5));
            rig.pump();
        }
        _ => {}
    }
}
