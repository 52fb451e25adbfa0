//! Drives the two buffers by lists of operations and compares each step with a plain, slow model.
//! Property tests and fuzzing share it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use super::assembler::{Assembler, BLOCK_OVERHEAD, MAX_BLOCK, RANGE_OVERHEAD};
use super::given::Inserted;
use super::send_buffer::{BufferError, SendBuffer};

/// Bodies in this exercise are at most so long.
const SIZE: u64 = 1 << 16;

/// An operation on a [`SendBuffer`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[expect(clippy::exhaustive_enums, reason = "inputs of a test")]
#[expect(missing_docs, reason = "named like what they call")]
pub enum SendOp {
    Append { len: u16 },
    WriteAt { offset: u16, len: u16 },
    Skip { offset: u16, len: u16 },
    Send { max: u16, limit: u16 },
    SendSkip { limit: u16 },
    Acked { which: u8 },
    Lost { which: u8 },
    Finish,
    FinishAt { size: u16 },
    Truncate { size: u16 },
}

/// An operation on an [`Assembler`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[expect(clippy::exhaustive_enums, reason = "inputs of a test")]
#[expect(missing_docs, reason = "named like what they call")]
pub enum RecvOp {
    /// A frame; frames with different `salt` carry different bytes.
    Insert {
        offset: u16,
        len: u16,
        salt: u8,
    },
    /// A frame that begins where everything ended.
    Append {
        len: u16,
    },
    Skip {
        offset: u16,
        len: u16,
    },
    Read {
        max: u16,
    },
    TakeAny {
        max: u16,
    },
    Truncate {
        size: u16,
    },
}

/// The byte that a body has at `offset`.
pub fn byte(offset: u64, salt: u8) -> u8 {
    (offset.wrapping_mul(31) >> 3) as u8 ^ offset as u8 ^ salt
}

/// The bytes that a body has at `range`.
pub fn bytes(range: Range<u64>, salt: u8) -> Vec<u8> {
    range.map(|offset| byte(offset, salt)).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Gap,
    Unsent,
    Flying,
    Lost,
    Acked,
    SkipUnsent,
    SkipFlying,
    SkipAcked,
}

struct SendModel {
    bytes: Vec<Sent>,
    fin: Option<u64>,
    dead: bool,
}

impl SendModel {
    fn part(&mut self, range: &Range<u64>) -> impl Iterator<Item = &mut Sent> {
        let end = range.end.min(SIZE) as usize;
        self.bytes.resize(self.bytes.len().max(end), Sent::Gap);
        let len = (range.end - range.start) as usize;
        self.bytes.iter_mut().skip(range.start as usize).take(len)
    }

    fn end(&self) -> u64 {
        self.bytes.iter().rposition(|b| *b != Sent::Gap).map_or(0, |at| at as u64 + 1)
    }

    fn change(&mut self, range: &Range<u64>, from: &[Sent], to: Sent) {
        self.part(range).filter(|b| from.contains(b)).for_each(|b| *b = to);
    }
}

struct Flight {
    range: Range<u64>,
    fin: bool,
    skip: bool,
}

/// Applies `ops` to a [`SendBuffer`] and to a model.
///
/// # Panics
/// If the two differ.
pub fn send_buffer(ops: &[SendOp]) {
    let mut buffer = SendBuffer::new(0);
    let mut model = SendModel { bytes: Vec::new(), fin: None, dead: false };
    let mut flights = Vec::new();
    for op in ops {
        send_step(&mut buffer, &mut model, &mut flights, *op);
        check_send(&buffer, &model);
    }
    // In the end everything that was written arrives.
    for _ in 0..2 * SIZE {
        send_step(&mut buffer, &mut model, &mut flights, SendOp::SendSkip { limit: u16::MAX });
        let before = flights.len();
        send_step(
            &mut buffer,
            &mut model,
            &mut flights,
            SendOp::Send { max: 999, limit: u16::MAX },
        );
        if flights.is_empty() && before == 0 {
            break;
        }
        while !flights.is_empty() {
            send_step(&mut buffer, &mut model, &mut flights, SendOp::Acked { which: 0 });
        }
    }
    check_send(&buffer, &model);
    assert!(buffer.is_drained(), "everything was acknowledged");
    assert_eq!(buffer.held(), 0);
    let whole = model.fin.is_some_and(|size| {
        let there = |b: &&Sent| matches!(b, Sent::Acked | Sent::SkipAcked);
        model.bytes.iter().take(size as usize).filter(there).count() as u64 == size
    });
    assert_eq!(buffer.is_delivered(), whole);
}

fn send_step(
    buffer: &mut SendBuffer,
    model: &mut SendModel,
    flights: &mut Vec<Flight>,
    op: SendOp,
) {
    match op {
        SendOp::Append { len } => {
            write_at(buffer, model, buffer.end(), u64::from(len % 5000), true);
        }
        SendOp::WriteAt { offset, len } => {
            write_at(buffer, model, u64::from(offset), u64::from(len % 5000), false);
        }
        SendOp::Skip { offset, len } if !model.dead => {
            let range = u64::from(offset)..u64::from(offset) + u64::from(len % 3000);
            if range.end < u64::from(u16::MAX) && buffer.skip(range.clone()).is_ok() {
                model.change(&range, &[Sent::Gap], Sent::SkipUnsent);
            }
        }
        SendOp::Send { max, limit } => send(buffer, model, flights, max, u64::from(limit)),
        SendOp::SendSkip { limit } => {
            if let Some(range) = buffer.peek_skip(u64::from(limit)) {
                assert!(range.end <= u64::from(limit));
                assert!(model.part(&range).all(|b| *b == Sent::SkipUnsent));
                buffer.on_skip_sent(range.clone());
                model.change(&range, &[Sent::SkipUnsent], Sent::SkipFlying);
                flights.push(Flight { range, fin: false, skip: true });
            }
        }
        SendOp::Acked { which } | SendOp::Lost { which } if !flights.is_empty() => {
            let flight = flights.swap_remove(usize::from(which) % flights.len());
            settle(buffer, model, &flight, matches!(op, SendOp::Acked { .. }));
        }
        SendOp::Finish if !model.dead && model.fin.is_none() => {
            assert_eq!(buffer.finish(), Ok(()));
            model.fin = Some(model.end());
        }
        SendOp::FinishAt { size } if !model.dead && model.fin.is_none() => {
            let fits = u64::from(size) >= model.end();
            assert_eq!(buffer.finish_at(u64::from(size)).is_ok(), fits);
            model.fin = fits.then_some(u64::from(size));
        }
        SendOp::Truncate { size } if size % 8 == 0 => {
            buffer.truncate(u64::from(size));
            model.dead = true;
            model.fin = None;
            model.bytes.truncate(usize::from(size));
        }
        _ => {}
    }
}

fn write_at(buffer: &mut SendBuffer, model: &mut SendModel, offset: u64, len: u64, append: bool) {
    let range = offset..offset + len;
    if range.end >= u64::from(u16::MAX) || model.dead {
        return;
    }
    let data = Bytes::from(bytes(range.clone(), 0));
    let result = if append { buffer.append(data) } else { buffer.write_at(offset, data) };
    let beyond = model.fin.is_some_and(|size| range.end > size);
    let overlap = model.part(&range).any(|b| *b != Sent::Gap);
    match result {
        Ok(()) => {
            assert!(len == 0 || (!beyond && !overlap));
            model.change(&range, &[Sent::Gap], Sent::Unsent);
        }
        Err(BufferError::Finished) => assert!(append && model.fin.is_some()),
        Err(BufferError::OutOfBounds) => assert!(beyond),
        Err(BufferError::Overlap) => assert!(overlap),
    }
}

fn send(
    buffer: &mut SendBuffer,
    model: &mut SendModel,
    flights: &mut Vec<Flight>,
    max: u16,
    limit: u64,
) {
    let Some(piece) = buffer.peek(usize::from(max), limit) else {
        let stuck = |(at, b): (usize, &Sent)| match b {
            Sent::Lost => max == 0,
            Sent::Unsent => max == 0 || at as u64 >= limit,
            _ => true,
        };
        assert!(model.bytes.iter().enumerate().all(stuck), "something could be sent");
        return;
    };
    let (range, fin) = (piece.range(), piece.fin);
    assert!(piece.data.len() <= usize::from(max));
    assert_eq!(piece.data, bytes(range.clone(), 0));
    assert!(!range.is_empty() || fin);
    assert_eq!(fin, model.fin == Some(range.end) && fin);
    let any_lost = model.bytes.contains(&Sent::Lost);
    for b in model.part(&range) {
        assert_eq!(*b == Sent::Lost, any_lost, "lost bytes go first");
        assert!(matches!(b, Sent::Lost | Sent::Unsent));
        *b = Sent::Flying;
    }
    assert!(any_lost || range.end <= limit);
    buffer.on_sent(range.clone(), fin);
    flights.push(Flight { range, fin, skip: false });
}

fn settle(buffer: &mut SendBuffer, model: &mut SendModel, flight: &Flight, acked: bool) {
    let range = flight.range.clone();
    match (flight.skip, acked) {
        (true, true) => {
            buffer.on_skip_acked(range.clone());
            model.change(&range, &[Sent::SkipUnsent, Sent::SkipFlying], Sent::SkipAcked);
        }
        (true, false) => {
            buffer.on_skip_lost(range.clone());
            model.change(&range, &[Sent::SkipFlying], Sent::SkipUnsent);
        }
        (false, true) => {
            buffer.on_acked(range.clone(), flight.fin);
            model.change(&range, &[Sent::Flying, Sent::Lost], Sent::Acked);
        }
        (false, false) => {
            buffer.on_lost(range.clone(), flight.fin);
            model.change(&range, &[Sent::Flying], Sent::Lost);
        }
    }
}

fn check_send(buffer: &SendBuffer, model: &SendModel) {
    assert_eq!(buffer.end(), model.end());
    assert_eq!(buffer.final_size(), model.fin);
    let done = |b: &Sent| matches!(b, Sent::Acked | Sent::SkipAcked);
    let prefix = model.bytes.iter().take_while(|b| done(b)).count() as u64;
    assert_eq!(buffer.acked_end(), prefix);
    let held = |b: &&Sent| matches!(b, Sent::Unsent | Sent::Flying | Sent::Lost);
    let held = model.bytes.iter().filter(held).count() as u64;
    assert!(buffer.held() >= held && (held > 0 || buffer.held() == 0));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    Gap,
    Skipped,
    Here(u8),
    Given,
}

struct RecvModel {
    bytes: Vec<Got>,
    read: u64,
    arrivals: VecDeque<u64>,
    in_order: bool,
    by_arrival: bool,
}

impl RecvModel {
    fn runs(&self) -> usize {
        let there = |b: &Got| *b != Got::Gap;
        let starts = self.bytes.windows(2).filter(|w| matches!(w, [a, b] if !there(a) && there(b)));
        starts.count() + usize::from(self.bytes.first().is_some_and(there))
    }

    /// Runs that were skipped and that nobody has passed.
    fn skips(&self) -> usize {
        let ahead = self.bytes.iter().skip(self.read as usize);
        let mut within = false;
        let starts = ahead.filter(|b| {
            let before = core::mem::replace(&mut within, matches!(b, Got::Skipped));
            within && !before
        });
        if self.by_arrival { 0 } else { starts.count() }
    }

    /// All that counts as a range.
    fn kept(&self) -> usize {
        self.runs() + self.skips()
    }

    fn end(&self) -> u64 {
        self.bytes.iter().rposition(|b| *b != Got::Gap).map_or(0, |at| at as u64 + 1)
    }

    /// Marks what is missing in `range`, unless that would make too many runs.
    fn mark(&mut self, range: &Range<u64>, max_ranges: usize, with: impl Fn(u64) -> Got) -> bool {
        let end = range.end.min(SIZE) as usize;
        self.bytes.resize(self.bytes.len().max(end), Got::Gap);
        let before = self.kept();
        let old = self.bytes.clone();
        let mut fresh = Vec::new();
        for offset in range.clone() {
            if let Some(b) = self.bytes.get_mut(offset as usize).filter(|b| **b == Got::Gap) {
                *b = with(offset);
                fresh.push(offset);
            }
        }
        let after = self.kept();
        if after > max_ranges && after > before {
            self.bytes = old;
            return false;
        }
        if fresh.first().is_some_and(|at| matches!(with(*at), Got::Here(_))) {
            self.arrivals.extend(fresh);
        }
        true
    }
}

/// Applies `ops` to an [`Assembler`] and to a model, with at most `max_ranges` ranges.
///
/// # Panics
/// If the two differ.
pub fn assembler(ops: &[RecvOp], max_ranges: usize) {
    let mut assembler = Assembler::new();
    let mut model = RecvModel {
        bytes: Vec::new(),
        read: 0,
        arrivals: VecDeque::new(),
        in_order: false,
        by_arrival: false,
    };
    // The order of arrival is exact while few pieces wait.
    for op in ops.iter().take(200) {
        recv_step(&mut assembler, &mut model, *op, max_ranges);
        check_recv(&assembler, &model);
    }
    let drain = if model.by_arrival {
        RecvOp::TakeAny { max: u16::MAX }
    } else {
        RecvOp::Read { max: u16::MAX }
    };
    while assembler.is_readable() {
        recv_step(&mut assembler, &mut model, drain, max_ranges);
    }
    check_recv(&assembler, &model);
}

fn recv_step(assembler: &mut Assembler, model: &mut RecvModel, op: RecvOp, max_ranges: usize) {
    match op {
        RecvOp::Insert { offset, len, salt } => {
            insert(assembler, model, u64::from(offset), len % 3000, salt, max_ranges);
        }
        RecvOp::Append { len } => {
            insert(assembler, model, model.end(), len % 3000, 0, max_ranges);
        }
        RecvOp::Skip { offset, len } => {
            let range = u64::from(offset)..(u64::from(offset) + u64::from(len % 3000)).min(SIZE);
            let kept = model.kept();
            match assembler.skip(range.clone(), max_ranges) {
                Inserted::TooFragmented => assert!(kept + 2 > max_ranges, "there was room"),
                Inserted::Fresh(_) => {
                    assert!(model.mark(&range, usize::MAX, |_| Got::Skipped));
                    let most = kept.max(max_ranges);
                    // The one that the reader stands at, with a range of its own if all is above.
                    assert!(model.kept() <= most + 2, "{} beyond {most}", model.kept());
                }
            }
        }
        RecvOp::Read { max } => read(assembler, model, max),
        RecvOp::TakeAny { max } => take_any(assembler, model, max),
        RecvOp::Truncate { size } if size % 16 == 0 && u64::from(size) >= model.read => {
            assembler.truncate(u64::from(size));
            model.bytes.iter_mut().skip(usize::from(size)).for_each(|b| *b = Got::Gap);
            model.arrivals.retain(|at| *at < u64::from(size));
        }
        RecvOp::Truncate { .. } => {}
    }
    assert!(assembler.forget_skipped() == 0 || model.by_arrival, "word of it is still to be given");
}

fn insert(
    assembler: &mut Assembler,
    model: &mut RecvModel,
    offset: u64,
    len: u16,
    salt: u8,
    max_ranges: usize,
) {
    let range = offset..(offset + u64::from(len)).min(SIZE);
    let before = model.bytes.iter().filter(|b| **b != Got::Gap).count();
    let taken = model.mark(&range, max_ranges, |at| Got::Here(byte(at, salt)));
    let after = model.bytes.iter().filter(|b| **b != Got::Gap).count();
    let expected =
        if taken { Inserted::Fresh((after - before) as u64) } else { Inserted::TooFragmented };
    assert_eq!(assembler.insert(offset, &bytes(range, salt), max_ranges), expected);
}

fn read(assembler: &mut Assembler, model: &mut RecvModel, max: u16) {
    let chunk = assembler.read(usize::from(max));
    if model.by_arrival {
        assert_eq!(chunk, None);
        return;
    }
    model.in_order = true;
    let skipped = model.bytes.iter().skip(model.read as usize);
    model.read += skipped.take_while(|b| matches!(b, Got::Skipped)).count() as u64;
    let Some(chunk) = chunk else {
        let next = model.bytes.get(model.read as usize);
        assert!(max == 0 || !matches!(next, Some(Got::Here(_))), "a byte was there to read");
        return;
    };
    assert!(!chunk.data.is_empty() && chunk.data.len() <= usize::from(max));
    assert_eq!(chunk.offset, model.read);
    model.read = chunk.range().end;
    model.arrivals.retain(|at| !chunk.range().contains(at));
    give(model, chunk.offset, &chunk.data);
}

fn take_any(assembler: &mut Assembler, model: &mut RecvModel, max: u16) {
    if model.in_order && !model.by_arrival {
        model.arrivals.make_contiguous().sort_unstable();
    }
    model.by_arrival = true;
    let Some(chunk) = assembler.take_any(usize::from(max)) else {
        assert!(max == 0 || model.arrivals.is_empty(), "bytes were there to take");
        return;
    };
    assert!(!chunk.data.is_empty() && chunk.data.len() <= usize::from(max));
    for offset in chunk.range() {
        assert_eq!(model.arrivals.pop_front(), Some(offset), "in order of arrival");
    }
    give(model, chunk.offset, &chunk.data);
}

fn give(model: &mut RecvModel, offset: u64, data: &[u8]) {
    for (b, got) in model.bytes.iter_mut().skip(offset as usize).zip(data) {
        assert_eq!(*b, Got::Here(*got));
        *b = Got::Given;
    }
}

fn check_recv(assembler: &Assembler, model: &RecvModel) {
    assert_eq!(assembler.ranges(), model.runs());
    assert_eq!(assembler.kept_ranges(), model.kept());
    assert_eq!(assembler.highest(), model.end());
    let prefix = model.bytes.iter().take_while(|b| **b != Got::Gap).count() as u64;
    assert_eq!(assembler.contiguous_end(), prefix);
    let waits = model.bytes.iter().any(|b| matches!(b, Got::Here(_)));
    if model.by_arrival {
        assert_eq!(assembler.is_readable(), waits);
        let read = prefix >= model.end() && !waits;
        assert_eq!(assembler.is_read_to(model.end()), read);
    }
    let to_come = |b: &&Got| matches!(b, Got::Gap | Got::Here(_));
    let outstanding = match model.by_arrival {
        true => model.bytes.iter().take(model.end() as usize).filter(to_come).count() as u64,
        false => model.end().saturating_sub(model.read),
    };
    assert_eq!(assembler.outstanding(model.end()), outstanding);
    // Blocks cover disjoint spans of offsets, so their memory is bounded by what lies between.
    let lowest = model.bytes.iter().position(|b| matches!(b, Got::Here(_) | Got::Gap));
    let open = model.end().saturating_sub(lowest.map_or(SIZE, |at| at as u64));
    let blocks = open / MAX_BLOCK as u64 + 16;
    let ranges = 4 * (assembler.ranges() as u64 + 1) + 256;
    let bound = open + 2 * MAX_BLOCK as u64 + blocks * BLOCK_OVERHEAD + ranges * RANGE_OVERHEAD;
    assert!(assembler.held() <= bound, "{} held, at most {bound}", assembler.held());
}
