//! Records for people: one line each, and a choice of which.

mod refusals;

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::SocketAddr;

use crate::tape::{Op, Reader};
use crate::time::Instant;
use crate::wire::id::{Dir, StreamId};

use super::record::{Kept, Record, What};

use refusals::{came, ending};

/// What kind of thing a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topic {
    /// Sockets.
    Carrier,
    /// Datagrams that came.
    Received,
    /// Datagrams that went.
    Sent,
    /// What happened, as the application was told.
    Event,
    /// What the application did.
    Call,
    /// Until when the endpoint waits.
    Wait,
}

impl Topic {
    /// All of them, with the words by which they are asked for.
    pub const ALL: [(&'static str, Self); 6] = [
        ("carrier", Self::Carrier),
        ("received", Self::Received),
        ("sent", Self::Sent),
        ("event", Self::Event),
        ("call", Self::Call),
        ("wait", Self::Wait),
    ];

    /// Of a record.
    pub const fn of(op: Op) -> Self {
        match op {
            Op::CarrierOpened | Op::CarrierClosed | Op::CarrierBlocked | Op::CarrierWritable => {
                Self::Carrier
            }
            Op::Datagram | Op::DatagramAgain => Self::Received,
            Op::Transmit | Op::TransmitAgain => Self::Sent,
            Op::Event | Op::EventHere | Op::PipeEvent | Op::Incoming | Op::Unfinished | Op::End => {
                Self::Event
            }
            Op::Wait | Op::WaitAgain | Op::WaitForever => Self::Wait,
            _ => Self::Call,
        }
    }
}

/// Which records are shown: those that fit all that is asked for.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "built by `default` and changed field by field")]
pub struct Filter {
    /// Of one of these; of none: of any.
    pub topics: alloc::vec::Vec<Topic>,
    /// Of the connection in this slot.
    pub slot: Option<u32>,
    /// Of this stream.
    pub stream: Option<StreamId>,
    /// Not before.
    pub from: Option<Instant>,
    /// Not after.
    pub until: Option<Instant>,
}

impl Filter {
    /// Whether a record is asked for.
    pub fn takes(&self, record: &Record<'_>) -> bool {
        (self.topics.is_empty() || self.topics.contains(&Topic::of(record.op)))
            && self.slot.is_none_or(|slot| record.connection.is_some_and(|(at, _)| at == slot))
            && self.stream.is_none_or(|stream| record.stream == Some(stream))
            && self.from.is_none_or(|from| record.time >= from)
            && self.until.is_none_or(|until| record.time <= until)
    }
}

impl Record<'_> {
    /// What it says, in words; empty if its operation says all.
    pub fn words(&self) -> String {
        said(self.op, &self.what)
    }
}

/// `step time op whose: what`
impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.time.as_nanos();
        let (secs, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        write!(f, "{:>7} {secs:>5}.{nanos:09} {:?}", self.step, self.op)?;
        if let Some((slot, generation)) = self.connection {
            write!(f, " connection {slot}.{generation}")?;
        }
        if let Some(stream) = self.stream {
            write!(f, " stream {stream:?}")?;
        }
        if let Some(pipe) = self.pipe {
            write!(f, " pipe {pipe}")?;
        }
        let what = self.words();
        if what.is_empty() { Ok(()) } else { write!(f, ": {what}") }
    }
}

fn kept(kept: &Kept<'_>) -> String {
    match kept.bytes {
        Some(_) => format!("{} bytes", kept.len),
        None => format!("{} bytes (not kept)", kept.len),
    }
}

fn said(op: Op, what: &What<'_>) -> String {
    match what {
        What::Plain | What::Connection | What::Answer(_) => String::new(),
        What::End(why) => format!("{why:?}"),
        What::CarrierOpened(carrier, kind) => format!("{} {kind:?}", carrier.0),
        What::Carrier(carrier) => format!("{}", carrier.0),
        What::Connect(to, outcome) => match to.id {
            Some(id) => format!("{id} at {}, {}", to.remote, came(op, *outcome)),
            None => format!("whoever is at {}, {}", to.remote, came(op, *outcome)),
        },
        What::Limit(rate) => self::rate(*rate),
        What::PeerLimit(None, rate) => format!("each: {}", self::rate(*rate)),
        What::PeerLimit(Some(id), rate) => format!("{}: {}", hex(id), self::rate(*rate)),
        What::Datagram(route, bytes) => {
            format!("from {} on {}, {}{}", route.remote, route.carrier.0, kept(bytes), mark(route))
        }
        What::Transmit(route, len, check) => {
            let (to, on) = (route.remote, route.carrier.0);
            format!("to {to} on {on}, {len} bytes{}, check {check:04x}", mark(route))
        }
        What::Event(_, said) => event(said).unwrap_or_default(),
        What::PipeEvent(_, said) => pipe_event(said).unwrap_or_default(),
        What::Incoming(_, id, remote) => {
            format!("node {} at {remote}", hex(id))
        }
        What::Wait(until) => format!("until {:?}", until.saturating_since(Instant::ZERO)),
        call => self::call(op, call),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rate(rate: Option<u64>) -> String {
    rate.map_or_else(|| "none".into(), |rate| format!("{rate} bytes a second"))
}

fn mark(route: &crate::tape::Route) -> String {
    let ecn = route.ecn.map_or_else(String::new, |ecn| format!(", {ecn:?}"));
    route.segment.map_or(ecn.clone(), |segment| format!(", in pieces of {segment}{ecn}"))
}

fn call(op: Op, what: &What<'_>) -> String {
    match what {
        What::Open(dir, options, [head, _], outcome) => {
            format!("{dir:?} {:?}, head {}, {}", options.protocol, kept(head), came(op, *outcome))
        }
        What::AcceptStream(found) => format!("{found:?}"),
        What::Give(bytes, outcome) => format!("{}, {}", kept(bytes), came(op, *outcome)),
        What::DatagramRoom(len, room) => format!("{len} bytes: {room}"),
        What::Received(len) => format!("{len:?}"),
        What::Close(code, reason) => format!("code {}, {}", code.0, kept(reason)),
        What::Abort(code, now, reason) => {
            let now = now.saturating_since(Instant::ZERO);
            format!("code {}, at {now:?}, {}", code.0, kept(reason))
        }
        What::Controller(controller) => controller.name().into(),
        What::Delivery(priority, None) => format!("{priority:?}"),
        What::Delivery(priority, Some(age)) => format!("{priority:?}, at most {age:?} old"),
        What::AddPath(carrier, remote, useful) => {
            format!("carrier {}, {remote}: of use {useful}", carrier.0)
        }
        What::Write(None, bytes, outcome) => format!("{}, {}", kept(bytes), came(op, *outcome)),
        What::Write(Some(at), bytes, outcome) => {
            format!("at {at}: {}, {}", kept(bytes), came(op, *outcome))
        }
        What::Skip(range, outcome) => format!("{range:?}, {}", came(op, *outcome)),
        What::Finish(size, outcome) => format!("{size:?}, {}", came(op, *outcome)),
        What::Reset(code, hop, reliable) => {
            format!("code {}, hop {hop}, reliable {reliable}", code.0)
        }
        What::Take(way, max, outcome) => {
            let ways =
                ["in order", "as it came", "as it came, with skips", "the lowest, with skips"];
            let way = ways.get(usize::from(*way));
            format!("{}, at most {max}, {}", way.unwrap_or(&"?"), came(op, *outcome))
        }
        What::Stop(code, hop) => format!("code {}, hop {hop}", code.0),
        What::Pipe(_, legs, options, given, outcome) => {
            format!("{legs:?}, {options:?}, {} pieces given, {}", given.len(), came(op, *outcome))
        }
        What::PipeRead(max, outcome) => format!("at most {max}, {}", came(op, *outcome)),
        What::AddLeg(leg, policy, outcome) => {
            format!("{leg:?}, {policy:?}, {}", came(op, *outcome))
        }
        What::Release(amount)
        | What::Request(amount)
        | What::Covered(amount)
        | What::PipeRelease(amount) => {
            format!("{amount}")
        }
        other => format!("{other:?}"),
    }
}

/// How much there is, and how much there may be.
type Sizes = (u64, u64);

/// Reads over news of a connection. Gives the length of the words at their end.
pub(crate) fn skip_event(from: &mut Reader<'_>) -> Option<usize> {
    match from.byte()? {
        0 | 1 | 10..=12 | 16..=18 => {}
        2..=6 => _ = from.get::<StreamId>()?,
        7 => _ = from.get::<(StreamId, (Sizes, Sizes))>()?,
        8 => _ = from.get::<(StreamId, Option<Sizes>)>()?,
        9 => _ = from.get::<Dir>()?,
        13 | 14 => _ = from.get::<SocketAddr>()?,
        15 => {
            from.get::<(u8, u64)>()?;
            return from.blob().map(<[u8]>::len);
        }
        _ => return None,
    }
    Some(0)
}

/// The stream that news of a connection are of.
pub(super) fn stream_of(said: &[u8]) -> Option<StreamId> {
    let mut from = Reader::new(said);
    (2..=8).contains(&from.byte()?).then(|| from.get()).flatten()
}

fn event(said: &[u8]) -> Option<String> {
    const NAMES: [&str; 19] = [
        "connected",
        "streams to accept",
        "readable",
        "writable",
        "stopped",
        "delivered",
        "more acknowledged",
        "holds much behind a gap",
        "ended, as nothing moved",
        "streams can be opened",
        "a datagram",
        "room for datagrams",
        "a message",
        "the peer moved to",
        "the peer sees this node at",
        "closed",
        "drained",
        "nothing comes back",
        "a way by TCP is wished for",
    ];
    let mut from = Reader::new(said);
    let kind = from.byte()?;
    let name = NAMES.get(usize::from(kind))?;
    Some(match kind {
        7 => {
            let (_, (bytes, ranges)): (StreamId, (Sizes, Sizes)) = from.get()?;
            let (held, apart) = (out_of(bytes, "bytes"), out_of(ranges, "ranges"));
            format!("{name}: {held}, {apart}")
        }
        8 => match from.get::<(StreamId, Option<Sizes>)>()?.1 {
            Some(bytes) => format!("{name}, with {} behind a gap", out_of(bytes, "bytes")),
            None => (*name).into(),
        },
        9 => format!("{name}: {:?}", from.get::<Dir>()?),
        13 | 14 => format!("{name} {}", from.get::<SocketAddr>()?),
        15 => {
            let (kind, code) = from.get::<(u8, u64)>()?;
            let words = String::from_utf8_lossy(from.blob()?);
            format!("{name} {}, code {code}: {words}", ending(kind))
        }
        _ => (*name).into(),
    })
}

fn out_of((some, most): Sizes, what: &str) -> String {
    format!("{some} of {most} {what}")
}

/// Reads over news of a pipe.
pub(crate) fn skip_pipe_event(from: &mut Reader<'_>) -> Option<()> {
    match from.byte()? {
        0 => {}
        1 => {
            from.get::<u32>()?;
            match from.byte()? {
                0 | 3 => {}
                1 | 4 => _ = from.get::<(u64, u64)>()?,
                2 => _ = from.get::<u64>()?,
                _ => return None,
            }
            from.get::<u64>()?;
        }
        2 => {
            from.get::<((u64, u64), (u64, u64))>()?;
            from.get::<((u64, u64), (u64, Option<Instant>))>()?;
            from.get::<(u64, (u32, u32))>()?;
        }
        _ => return None,
    }
    Some(())
}

fn pipe_event(said: &[u8]) -> Option<String> {
    let mut from = Reader::new(said);
    Some(match from.byte()? {
        0 => "readable".into(),
        1 => {
            let leg: u32 = from.get()?;
            let ends = ["delivered", "stopped", "detached", "lost", "reset"];
            format!("leg {leg} ended: {}", ends.get(usize::from(from.byte()?))?)
        }
        _ => {
            let ((received, acked), _) = from.get::<((u64, u64), (u64, u64))>()?;
            format!("ended: {received} bytes came, all below {acked} acknowledged")
        }
    })
}
