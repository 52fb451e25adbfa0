//! One record: what it says, with what the records before it said for it.

use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;

use alloc::vec::Vec;

use crate::connection::{Algorithm, CarrierKind};
use crate::endpoint::{Leg, PeerAddr, StreamAddr};
use crate::flow::Window;
use crate::pipe::{LegPolicy, PipeOptions};
use crate::stream::{OpenOptions, Priority};
use crate::tape::{
    Context, Ending, LATE, MAX_BLOB, Op, Outcome, Payload, Reader, Route, Slot, Taped,
};
use crate::time::Instant;
use crate::wire::id::{AppCode, CarrierId, Dir, StreamId};

/// Bytes that the tape may have kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a length, and bytes")]
pub struct Kept<'a> {
    /// How many there were.
    pub len: usize,
    /// They themselves, or as many of them as were taken.
    pub bytes: Option<&'a [u8]>,
}

/// What a record says. Calls are those of the endpoint and its views; see [`Op`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the call of that name with its arguments")]
pub enum What<'a> {
    End(Ending),
    CarrierOpened(CarrierId, CarrierKind),
    Carrier(CarrierId),
    Connect(PeerAddr, Outcome),
    /// `accept` or `refuse`, of the stranger in this slot.
    Answer(Slot),
    /// The node's limit, in bytes a second.
    Limit(Option<u64>),
    /// A peer's, or that of each.
    PeerLimit(Option<[u8; 32]>, Option<u64>),
    Datagram(Route, Kept<'a>),
    /// The news as they stand on the tape.
    Event(Slot, &'a [u8]),
    PipeEvent(u64, &'a [u8]),
    /// A stranger, its id, and where it is.
    Incoming(Slot, [u8; 32], SocketAddr),
    /// Where to, how many bytes, and the check of them and all before.
    Transmit(Route, usize, u16),
    Wait(Instant),
    /// A record that says all by its number.
    Plain,
    Connection,
    Open(Dir, OpenOptions, [Kept<'a>; 2], Outcome),
    AcceptStream(Option<StreamId>),
    /// `send_datagram` or `send_message`.
    Give(Kept<'a>, Outcome),
    DatagramRoom(usize, bool),
    /// `recv_datagram` or `recv_message`: how many bytes.
    Received(Option<usize>),
    Close(AppCode, Kept<'a>),
    Abort(AppCode, Instant, Kept<'a>),
    /// By which carrier, to where, and whether it was of use.
    AddPath(CarrierId, SocketAddr, bool),
    Controller(Algorithm),
    /// Of what is given or asked for next: its class and greatest age.
    Delivery(Priority, Option<Duration>),
    /// `write`, `write_at` or `forward`.
    Write(Option<u64>, Kept<'a>, Outcome),
    Skip(Range<u64>, Outcome),
    Finish(Option<u64>, Outcome),
    Reset(AppCode, u64, u64),
    Priority(Priority),
    /// How (0 by offset, 1 by arrival, 2 by arrival with skips, 3 the lowest with skips), and how
    /// much at most.
    Take(u8, usize, Outcome),
    Release(u64),
    Stop(AppCode, u64),
    Window(Window),
    Request(u64),
    Pipe(StreamAddr, Vec<Leg>, PipeOptions, Vec<(u64, Kept<'a>)>, Outcome),
    PipeRead(usize, Outcome),
    PipeRelease(u64),
    AddLeg(Leg, LegPolicy, Outcome),
    PipeRate(Option<u64>),
    PipeCancel(AppCode),
    /// How many bytes.
    Covered(u64),
    PipeGather(bool),
}

/// One record.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a record's parts")]
pub struct Record<'a> {
    /// Its number in the tape, from 0.
    pub step: u64,
    /// When.
    pub time: Instant,
    /// What it is.
    pub op: Op,
    /// The connection that is spoken of, if it is one's.
    pub connection: Option<Slot>,
    /// The stream, if it is one's.
    pub stream: Option<StreamId>,
    /// The pipe, if it is one's.
    pub pipe: Option<u64>,
    /// What it says.
    pub what: What<'a>,
}

/// Something that a redacted tape has not: where it stands, and what stands there instead.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) range: Range<usize>,
    pub(super) instead: Option<u8>,
}

/// Reads the records of a segment.
#[derive(Clone, Debug)]
pub(super) struct Decoder<'a> {
    whole: usize,
    from: Reader<'a>,
    payload: Payload,
    context: Context,
    step: u64,
    pub(super) cuts: Vec<Cut>,
}

impl<'a> Decoder<'a> {
    /// Records that begin at this time with this number.
    pub(super) fn new(records: &'a [u8], payload: Payload, time: Instant, step: u64) -> Self {
        let context = Context::at(time);
        let from = Reader::new(records);
        Self { whole: records.len(), from, payload, context, step, cuts: Vec::new() }
    }

    /// Goes on with other bytes as if they stood here.
    pub(super) fn with<'b>(&self, records: &'b [u8]) -> Decoder<'b> {
        let (whole, from) = (records.len(), Reader::new(records));
        let Self { payload, context, step, .. } = *self;
        Decoder { whole, from, payload, context, step, cuts: Vec::new() }
    }

    /// Whether records that would stand here say the same as others, the checks of what was sent
    /// apart.
    pub(super) fn says_as_much(&self, expected: &[u8], actual: &[u8]) -> bool {
        let (mut one, mut other) = (self.with(expected), self.with(actual));
        while !one.is_empty() || !other.is_empty() {
            let (Some(one), Some(other)) = (one.record(), other.record()) else { return false };
            let same = match (&one.what, &other.what) {
                (What::Transmit(route, len, _), What::Transmit(other, length, _)) => {
                    route == other && len == length
                }
                (one, other) => one == other,
            };
            let places = |record: &Record<'_>| {
                (record.time, record.op, record.connection, record.stream, record.pipe)
            };
            if !same || places(&one) != places(&other) {
                return false;
            }
        }
        true
    }

    /// How many bytes were read.
    pub(super) const fn at(&self) -> usize {
        self.whole - self.from.rest().len()
    }

    /// The number of the next record.
    pub(super) const fn step(&self) -> u64 {
        self.step
    }

    /// What the next record is.
    pub(super) fn peek(&self) -> Option<Op> {
        self.from.rest().first().and_then(|byte| Op::of(byte & !LATE))
    }

    /// Whether none is left.
    pub(super) const fn is_empty(&self) -> bool {
        self.from.is_empty()
    }

    /// The next record; `None` if none stands there.
    pub(super) fn record(&mut self) -> Option<Record<'a>> {
        self.cuts.clear();
        let first = self.from.byte()?;
        let op = Op::of(first & !LATE)?;
        if first & LATE != 0 {
            let now = self.context.now.as_nanos().checked_add(self.from.get()?)?;
            self.context.now = Instant::from_nanos(now);
        }
        let what = match op as u8 >> 4 {
            0 => self.door(op)?,
            1 => self.output(op)?,
            2 => self.connection_call(op)?,
            3 => self.send_call(op)?,
            4 => self.recv_call(op)?,
            _ => self.pipe_call(op)?,
        };
        let step = self.step;
        self.step += 1;
        let Context { now, connection, send, recv, pipe, .. } = self.context;
        let (connection, stream, pipe) = match op as u8 >> 4 {
            2 => (connection, begun(&what), None),
            3 => (connection, send, None),
            4 => (connection, recv, None),
            5 if op != Op::Pipe => (None, None, pipe),
            _ => of(&what),
        };
        Some(Record { step, time: now, op, connection, stream, pipe, what })
    }

    fn get<T: Taped>(&mut self) -> Option<T> {
        self.from.get()
    }

    /// A length of bytes that may not be there: no writer writes a longer one.
    fn length(&mut self) -> Option<usize> {
        self.get().filter(|len| *len <= MAX_BLOB)
    }

    /// Bytes that are there with their payload only.
    fn kept(&mut self) -> Option<Kept<'a>> {
        let len = self.length()?;
        if self.payload == Payload::Elided {
            return Some(Kept { len, bytes: None });
        }
        self.cut(len).map(|bytes| Kept { len, bytes: Some(bytes) })
    }

    fn cut(&mut self, len: usize) -> Option<&'a [u8]> {
        let from = self.at();
        let bytes = self.from.take(len)?;
        self.cuts.push(Cut { range: from..self.at(), instead: None });
        Some(bytes)
    }

    /// Bytes that the application gave, and what came of it. `whole`: all of them are taken, or
    /// none.
    fn given(&mut self, whole: bool) -> Option<(Kept<'a>, Outcome)> {
        let (len, came) = (self.length()?, self.get()?);
        if self.payload != Payload::Full {
            return Some((Kept { len, bytes: None }, came));
        }
        let taken = match came {
            Outcome::Refused(_) => 0,
            Outcome::Done(_) if whole => len,
            Outcome::Done(taken) => len.min(usize::try_from(taken).ok()?),
        };
        self.cut(taken).map(|bytes| (Kept { len, bytes: Some(bytes) }, came))
    }

    fn door(&mut self, op: Op) -> Option<What<'a>> {
        Some(match op {
            Op::End => What::End(Ending::of(self.from.byte()?)?),
            Op::CarrierOpened => What::CarrierOpened(self.get()?, self.get()?),
            Op::Connect => What::Connect(self.get()?, self.get()?),
            Op::Limit => What::Limit(self.get()?),
            Op::PeerLimit => What::PeerLimit(self.get()?, self.get()?),
            Op::Accept | Op::Refuse => What::Answer(self.get()?),
            Op::Datagram => {
                self.context.came = Some(self.get()?);
                What::Datagram(self.context.came?, self.kept()?)
            }
            Op::DatagramAgain => What::Datagram(self.context.came?, self.kept()?),
            _ => What::Carrier(self.get()?),
        })
    }

    fn output(&mut self, op: Op) -> Option<What<'a>> {
        Some(match op {
            Op::Event | Op::EventHere => self.event(op)?,
            Op::PipeEvent => {
                let pipe = self.get()?;
                let rest = self.from.rest();
                super::show::skip_pipe_event(&mut self.from)?;
                What::PipeEvent(pipe, rest.get(..rest.len() - self.from.rest().len())?)
            }
            Op::Incoming => {
                let (stranger, id) = (self.get()?, self.get()?);
                let (remote, _carrier) = (self.get()?, self.get::<CarrierId>()?);
                What::Incoming(stranger, id, remote)
            }
            Op::Transmit | Op::TransmitAgain => {
                if op == Op::Transmit {
                    self.context.went = Some(self.get()?);
                }
                let len = self.length()?;
                let check = u16::from_be_bytes(*self.from.take(2)?.first_chunk()?);
                What::Transmit(self.context.went?, len, check)
            }
            Op::Wait => {
                let until = self.context.now.as_nanos().checked_add(self.get()?)?;
                self.context.wait = Some(Instant::from_nanos(until));
                What::Wait(self.context.wait?)
            }
            Op::WaitAgain => What::Wait(self.context.wait?),
            _ => What::Plain,
        })
    }

    fn event(&mut self, op: Op) -> Option<What<'a>> {
        let slot = if op == Op::Event { self.get()? } else { self.context.connection? };
        let rest = self.from.rest();
        let words = super::show::skip_event(&mut self.from)?;
        let said = rest.get(..rest.len() - self.from.rest().len())?;
        if words > 0 {
            // The words are the last thing in it; their length stands before them.
            let mut length = Vec::new();
            words.put(&mut length);
            let end = self.at();
            let start = end.checked_sub(words + length.len())?;
            self.cuts.push(Cut { range: start..end, instead: Some(0) });
        }
        Some(What::Event(slot, said))
    }

    fn connection_call(&mut self, op: Op) -> Option<What<'a>> {
        if op == Op::Connection {
            let slot = self.get()?;
            self.context.look(slot);
        }
        self.context.connection?;
        Some(match op {
            Op::Connection => What::Connection,
            Op::Open => {
                let dir = self.get()?;
                let options = OpenOptions::get(&mut self.from)?;
                What::Open(dir, options, [self.kept()?, self.kept()?], self.get()?)
            }
            Op::AcceptStream => What::AcceptStream(self.get()?),
            Op::SendDatagram | Op::SendMessage => {
                let (kept, came) = self.given(true)?;
                What::Give(kept, came)
            }
            Op::DatagramRoom => What::DatagramRoom(self.get()?, self.get()?),
            Op::RecvDatagram | Op::RecvMessage => What::Received(self.get()?),
            Op::Close => What::Close(self.get()?, self.kept()?),
            Op::Abort => What::Abort(self.get()?, self.get()?, self.kept()?),
            Op::AddPath => {
                let (carrier, (remote, useful)) = self.get()?;
                What::AddPath(carrier, remote, useful)
            }
            Op::Controller => What::Controller(self.get()?),
            Op::Delivery => What::Delivery(self.get()?, self.get()?),
            _ => What::Plain,
        })
    }

    fn send_call(&mut self, op: Op) -> Option<What<'a>> {
        self.context.connection?;
        if op == Op::Send {
            self.context.send = Some(self.get()?);
        }
        self.context.send?;
        Some(match op {
            Op::Write => {
                let (kept, came) = self.given(false)?;
                What::Write(None, kept, came)
            }
            Op::WriteAt | Op::Forward => {
                let offset = self.get()?;
                let (kept, came) = self.given(false)?;
                What::Write(Some(offset), kept, came)
            }
            Op::Skip => What::Skip(self.get()?, self.get()?),
            Op::Finish => What::Finish(None, self.get()?),
            Op::FinishAt => What::Finish(Some(self.get()?), self.get()?),
            Op::Reset => {
                let (code, (hop, reliable)) = self.get()?;
                let _always_done: Outcome = self.get()?;
                What::Reset(code, hop, reliable)
            }
            Op::Priority => {
                let priority = self.get()?;
                let _always_done: Outcome = self.get()?;
                What::Priority(priority)
            }
            _ => What::Plain,
        })
    }

    fn recv_call(&mut self, op: Op) -> Option<What<'a>> {
        self.context.connection?;
        if op == Op::Recv {
            self.context.recv = Some(self.get()?);
        }
        self.context.recv?;
        Some(match op {
            Op::Take | Op::TakeAgain => {
                if op == Op::Take {
                    self.context.take = Some(self.get()?);
                }
                let (way, more) = self.context.take?;
                let came = self.get()?;
                let mut max = u64::from(more);
                if let Outcome::Done(bytes) = came {
                    self.context.taken = bytes;
                    max = max.checked_add(bytes)?;
                }
                What::Take(way, usize::try_from(max).ok()?, came)
            }
            Op::Release => What::Release(self.get()?),
            Op::ReleaseTaken => What::Release(self.context.taken),
            Op::Stop => {
                let (code, hop) = self.get()?;
                What::Stop(code, hop)
            }
            Op::Window => What::Window(self.get()?),
            Op::Request => What::Request(self.get()?),
            Op::Covered => What::Covered(self.get()?),
            _ => What::Plain,
        })
    }

    fn pipe_call(&mut self, op: Op) -> Option<What<'a>> {
        if op == Op::Pipe {
            return self.pipe();
        }
        if op == Op::Piped {
            self.context.pipe = Some(self.get()?);
        }
        self.context.pipe?;
        Some(match op {
            Op::PipeRead => What::PipeRead(self.get()?, self.get()?),
            Op::PipeRelease => What::PipeRelease(self.get()?),
            Op::AddLeg => {
                let (leg, policy) = self.get()?;
                What::AddLeg(leg, policy, self.get()?)
            }
            Op::PipeRate => What::PipeRate(self.get()?),
            Op::PipeCancel => What::PipeCancel(self.get()?),
            Op::PipeGather => What::PipeGather(self.get()?),
            _ => What::Plain,
        })
    }

    fn pipe(&mut self) -> Option<What<'a>> {
        let (from, count): (StreamAddr, usize) = self.get()?;
        let mut legs = Vec::new();
        for _ in 0..count {
            legs.push(self.get()?);
        }
        let options = self.get()?;
        let mut given = Vec::new();
        for _ in 0..self.get::<usize>()? {
            given.push((self.get()?, self.kept()?));
        }
        Some(What::Pipe(from, legs, options, given, self.get()?))
    }
}

/// The stream that begins with a call on its connection.
fn begun(what: &What<'_>) -> Option<StreamId> {
    match what {
        What::Open(_, _, _, Outcome::Done(id)) => Some(StreamId(*id)),
        What::AcceptStream(found) => *found,
        _ => None,
    }
}

/// Whom an input or output that names no context speaks of.
fn of(what: &What<'_>) -> (Option<Slot>, Option<StreamId>, Option<u64>) {
    match what {
        What::Event(slot, said) => (Some(*slot), super::show::stream_of(said), None),
        What::PipeEvent(pipe, _) => (None, None, Some(*pipe)),
        What::Answer(slot) | What::Incoming(slot, ..) => (Some(*slot), None, None),
        What::Connect(_, Outcome::Done(made)) => {
            let slot = u32::try_from(*made >> 16).ok().map(|slot| (slot, *made as u16));
            (slot, None, None)
        }
        What::Pipe(from, _, _, _, came) => {
            let pipe = if let Outcome::Done(pipe) = came { Some(*pipe) } else { None };
            (Some(from.connection.parts()), Some(from.stream), pipe)
        }
        _ => (None, None, None),
    }
}
