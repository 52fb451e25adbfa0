//! An endpoint that is recorded: what its doors write on the tape, and how its values stand there.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::config::EndpointConfig;
use crate::connection::{CarrierKind, EventKind, MessageError};
use crate::error::CloseReason;
use crate::message::{Queued, SendDatagramError};
use crate::pipe::{LegEnd, LegError, LegIndex, LegPolicy, PipeOptions, PipeStats};
use crate::rng::Seed;
use crate::stream::{Chunk, Stuck};
use crate::tape::{
    Deck, Ending, Op, Outcome, Payload, Reader, Route, Slot, Tape, TapeOptions, TapeStatus, Taped,
    put_blob,
};
use crate::time::Instant;
use crate::wire::header::VERSION_1;
use crate::wire::id::StreamId;

use super::pipes::{Leg, PipeError, PipeEvent, PipeEventKind, PipeId, StreamAddr};
use super::slab::SlotKey;
use super::{
    ConnectError, ConnectionHandle, Datagram, Endpoint, Event, Incoming, Output, PeerAddr,
};

impl Endpoint {
    /// An endpoint that records, from the beginning, all that it is given and what it says (spec
    /// `22-tapes.md`); [`trace::replay`](crate::trace::replay) reads that. **The tape holds the
    /// node's key, the seed and with them every key of every connection**, unless the payload is
    /// [elided](Payload::Elided): keep it as you keep the key.
    ///
    /// What was recorded is to be [taken](Self::take_tape) again and again. Recording never holds
    /// the endpoint up: if more waits than [`TapeOptions::buffer`], the tape ends.
    pub fn recorded(config: EndpointConfig, seed: Seed, options: &TapeOptions) -> Self {
        let (mut settings, mut secrets) = (Vec::new(), Vec::new());
        config.put_settings(&mut settings);
        seed.bytes().put(&mut secrets);
        config.put_secrets(&mut secrets);
        let tape = Tape::new(options, VERSION_1, &settings, Some(&secrets));
        let mut endpoint = Self::new(config, seed);
        endpoint.tape = Deck::new(tape);
        endpoint
    }

    /// An endpoint whose records can be compared with those of a tape.
    pub(crate) fn replaying(config: EndpointConfig, seed: Seed, payload: Payload) -> Self {
        let mut endpoint = Self::new(config, seed);
        endpoint.tape = Deck::new(Tape::bare(payload));
        endpoint
    }

    /// Where the recording stands; `None` if there is none.
    pub fn tape(&self) -> Option<TapeStatus> {
        self.tape.tape().map(Tape::status)
    }

    /// Appends to `out` what was recorded since the last time, in whole segments. What is taken
    /// often costs a few bytes more: 64 KiB, or once a second, is a good measure.
    pub fn take_tape(&mut self, out: &mut Vec<u8>) {
        self.tape.note(|tape| tape.take(out));
    }

    /// Records no more. What was recorded can still be taken.
    pub fn end_tape(&mut self) {
        self.tape.note(|tape| tape.end(Ending::Finished));
    }

    /// Of an endpoint that replays.
    pub(crate) fn deck(&mut self) -> &mut Deck {
        &mut self.tape
    }

    /// Of such a one: what was recorded and not forgotten yet.
    pub(crate) fn records(&self) -> Option<&[u8]> {
        self.tape.tape().map(Tape::records)
    }

    /// The chain of all outputs that were recorded.
    pub(crate) fn chain(&self) -> u64 {
        self.tape.tape().map_or(0, Tape::chain)
    }

    pub(super) fn note_datagram(&mut self, datagram: &Datagram<'_>, now: Instant) {
        self.tape.note(|tape| {
            let Datagram { carrier, remote, local, ecn, segment, ref bytes } = *datagram;
            tape.datagram(Route { carrier, remote, local, ecn, segment }, bytes, now);
        });
    }

    pub(super) fn note_connect(
        &mut self,
        to: &PeerAddr,
        made: &Result<ConnectionHandle, ConnectError>,
        now: Instant,
    ) {
        self.tape.note(|tape| {
            let made = made.as_ref().map(|handle| handle.parts()).map_err(|error| match error {
                ConnectError::Full { .. } => 1,
                ConnectError::NoCarrier(_) => 2,
                ConnectError::Handshake(_) => 3,
            });
            tape.connect(to, made, now);
        });
    }

    pub(super) fn note_output(&mut self, output: &Output, buf: &[u8], now: Instant) {
        self.tape.note(|tape| match output {
            Output::Event(event) => {
                tape.event(event.connection.parts(), now, |out, full| event.put(out, full));
            }
            Output::Pipe(event) => tape.news(Op::PipeEvent, now, |out, _| event.put(out)),
            Output::Incoming(incoming) => {
                tape.news(Op::Incoming, now, |out, _| incoming.put(out));
            }
            Output::Transmit(to) => {
                let super::Transmit { carrier, remote, local, ecn, segment } = *to;
                tape.transmit(Route { carrier, remote, local, ecn, segment }, buf, now);
            }
            Output::Wait(until) => tape.wait(*until, now),
        });
    }

    pub(super) fn note_pipe(
        &mut self,
        (from, to, options): (StreamAddr, &[Leg], PipeOptions),
        given: &[Chunk],
        made: Result<PipeId, PipeError>,
    ) {
        self.tape.note(|tape| {
            let args = |out: &mut Vec<u8>| {
                from.put(out);
                to.len().put(out);
                to.iter().for_each(|leg| leg.put(out));
                options.put(out);
            };
            let given = given.iter().map(|chunk| (chunk.offset, &chunk.data[..]));
            tape.pipe(args, given, made.map(|id| id.number()).map_err(PipeError::number));
        });
    }
}

impl ConnectionHandle {
    /// Slot and generation, by which a tape names the connection.
    pub const fn parts(self) -> Slot {
        (self.0.index, self.0.generation)
    }

    /// The handle of these.
    pub(crate) const fn of((index, generation): Slot) -> Self {
        Self(SlotKey { index, generation })
    }
}

impl Incoming {
    /// What names it on the tape.
    pub(crate) const fn parts(&self) -> Slot {
        (self.0.key.index, self.0.key.generation)
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.parts().put(out);
        self.peer().as_bytes().put(out);
        self.remote().put(out);
        self.carrier().put(out);
    }
}

impl Taped for CarrierKind {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Udp { max_segments, max_datagram } => {
                out.push(0);
                (*max_segments, *max_datagram).put(out);
            }
            Self::Reliable { remote } => (1_u8, *remote).put(out),
        }
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        match from.byte()? {
            0 => Some(Self::Udp { max_segments: from.get()?, max_datagram: from.get()? }),
            1 => Some(Self::Reliable { remote: from.get()? }),
            _ => None,
        }
    }
}

impl Taped for PeerAddr {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.map(|id| *id.as_bytes()).put(out);
        self.remote.put(out);
        self.carrier.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let id: Option<[u8; 32]> = from.get()?;
        let id = match id {
            Some(bytes) => Some(crate::crypto::identity::NodeId::from_bytes(&bytes).ok()?),
            None => None,
        };
        Some(Self { id, remote: from.get()?, carrier: from.get()? })
    }
}

impl Event {
    /// One way only: what is compared is the bytes, and what is shown is read from them.
    fn put(&self, out: &mut Vec<u8>, full: bool) {
        let mut of = |number: u8, stream: StreamId| (number, stream).put(out);
        match &self.kind {
            EventKind::Connected => out.push(0),
            EventKind::StreamAvailable => out.push(1),
            EventKind::Readable(stream) => of(2, *stream),
            EventKind::Writable(stream) => of(3, *stream),
            EventKind::Stopped(stream) => of(4, *stream),
            EventKind::Delivered(stream) => of(5, *stream),
            EventKind::Acked(stream) => of(6, *stream),
            EventKind::StreamPressure { stream, buffered, limit, ranges, max_ranges } => {
                of(7, *stream);
                ((*buffered, *limit), (*ranges, *max_ranges)).put(out);
            }
            EventKind::StreamEnded { stream, why } => {
                of(8, *stream);
                let sizes = match why {
                    Stuck::Timeout => None,
                    Stuck::Overflow { buffered, limit } => Some((*buffered, *limit)),
                };
                sizes.put(out);
            }
            EventKind::Openable(dir) => (9_u8, *dir).put(out),
            EventKind::DatagramReceived => out.push(10),
            EventKind::DatagramsWritable => out.push(11),
            EventKind::MessageReceived => out.push(12),
            EventKind::PathChanged { remote } => (13_u8, *remote).put(out),
            EventKind::AddressObserved(addr) => (14_u8, *addr).put(out),
            EventKind::Closed(reason) => {
                (15_u8, closed(reason)).put(out);
                let words = reason.to_string();
                put_blob(if full { words.as_bytes() } else { b"" }, out);
            }
            EventKind::Drained => out.push(16),
            EventKind::PathSilent => out.push(17),
            EventKind::PathPaused => out.push(18),
        }
    }
}

/// A number of the kind of end, and the code that goes with it.
fn closed(reason: &CloseReason) -> (u8, u64) {
    match reason {
        CloseReason::Local(code) => (0, code.0),
        CloseReason::Peer { code, .. } => (1, code.0),
        CloseReason::PeerTransport { code, .. } => (2, *code),
        CloseReason::Violation(violation) => (3, violation.code as u64),
        CloseReason::IdleTimeout(_) => (4, 0),
        CloseReason::PeerLost { probes, .. } => (5, u64::from(*probes)),
        CloseReason::HandshakeTimeout(_) => (6, 0),
        CloseReason::Refused(why) => (7, *why as u64),
        CloseReason::Handshake(_) => (8, 0),
        CloseReason::Reset => (9, 0),
        CloseReason::AeadLimit => (10, 0),
        CloseReason::NoRoom(_) => (11, 0),
        CloseReason::CarrierLost => (12, 0),
    }
}

impl PipeId {
    /// What names it on the tape.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// The pipe of that number.
    pub(crate) const fn of(number: u64) -> Self {
        Self(number)
    }
}

impl PipeEvent {
    fn put(&self, out: &mut Vec<u8>) {
        self.pipe.number().put(out);
        match &self.kind {
            PipeEventKind::Readable => out.push(0),
            PipeEventKind::LegEnded { leg, end, sent } => {
                (1_u8, leg.0).put(out);
                (*end, *sent).put(out);
            }
            PipeEventKind::Ended(stats) => {
                out.push(2);
                put_stats(stats, out);
            }
        }
    }
}

fn put_stats(stats: &PipeStats, out: &mut Vec<u8>) {
    let PipeStats {
        received,
        acked,
        held_from,
        held,
        most_held,
        waiting,
        most_waiting,
        first_byte,
        window,
        legs,
        detached,
    } = *stats;
    ((received, acked), (held_from, held)).put(out);
    ((most_held, waiting), (most_waiting, first_byte)).put(out);
    (window, (legs, detached)).put(out);
}

impl Taped for StreamAddr {
    fn put(&self, out: &mut Vec<u8>) {
        (self.connection.parts(), self.stream).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let (slot, stream) = from.get()?;
        Some(Self { connection: ConnectionHandle::of(slot), stream })
    }
}

impl Taped for Leg {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Application => out.push(0),
            Self::Stream(at) => (1_u8, *at).put(out),
            Self::Ended(end) => (2_u8, *end).put(out),
        }
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Some(match from.get::<u8>()? {
            0 => Self::Application,
            1 => Self::Stream(from.get()?),
            2 => Self::Ended(from.get()?),
            _ => return None,
        })
    }
}

impl Taped for LegEnd {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Delivered => out.push(0),
            Self::Stopped { code, hop } => (1_u8, (*code, *hop)).put(out),
            Self::Detached { at } => (2_u8, *at).put(out),
            Self::Lost => out.push(3),
            Self::Reset { code, hop } => (4_u8, (*code, *hop)).put(out),
        }
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Some(match from.get::<u8>()? {
            0 => Self::Delivered,
            1 => from.get().map(|(code, hop)| Self::Stopped { code, hop })?,
            2 => Self::Detached { at: from.get()? },
            3 => Self::Lost,
            4 => from.get().map(|(code, hop)| Self::Reset { code, hop })?,
            _ => return None,
        })
    }
}

impl Taped for LegPolicy {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stall => None,
            Self::Detach { allowance } => Some(*allowance),
        }
        .put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let allowance: Option<u64> = from.get()?;
        Some(allowance.map_or(Self::Stall, |allowance| Self::Detach { allowance }))
    }
}

impl Taped for PipeOptions {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { policy, stock, rate, limit, keep, timeout } = *self;
        (policy, (stock, (rate, limit))).put(out);
        (keep, timeout).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let (policy, (stock, (rate, limit))) = from.get()?;
        let (keep, timeout) = from.get()?;
        Some(Self { policy, stock, rate, limit, keep, timeout })
    }
}

impl PipeError {
    /// As on the tape.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::NoStream(_) => 1,
            Self::Piped(_) => 2,
            Self::NotAgreed(_) => 3,
            Self::NoLegs => 4,
            Self::HopLimit => 5,
            Self::LegHopLimit { .. } => 6,
            Self::Leg(LegError::NotHeld { .. }) => 7,
            Self::Leg(LegError::Twice) => 8,
            Self::Leg(LegError::Over) => 9,
        }
    }
}

/// What a call on a pipe that adds a leg came to.
pub(super) fn leg_added(made: Result<LegIndex, PipeError>) -> Outcome {
    made.map_or_else(|error| Outcome::Refused(error.number()), |leg| Outcome::Done(leg.0.into()))
}

/// What became of a datagram that was given to be sent.
pub(super) fn queued(came: &Result<Queued, SendDatagramError>) -> Outcome {
    match came {
        Ok(Queued::Kept) => Outcome::Done(0),
        Ok(Queued::InPlaceOf(dropped)) => Outcome::Done(*dropped as u64),
        Ok(Queued::Dropped) => Outcome::Done(u64::from(u32::MAX)),
        Err(SendDatagramError::Disabled) => Outcome::Refused(1),
        Err(SendDatagramError::TooLarge { .. }) => Outcome::Refused(2),
        Err(SendDatagramError::QueueTooSmall { .. }) => Outcome::Refused(3),
    }
}

/// What became of a message that was given to be sent.
pub(super) fn posted(came: &Result<StreamId, MessageError>) -> Outcome {
    match came {
        Ok(stream) => Outcome::Done(stream.0),
        Err(MessageError::TooLarge(_)) => Outcome::Refused(1),
        Err(MessageError::TooOld) => Outcome::Refused(2),
        Err(MessageError::Open(error)) => Outcome::Refused(16 + error.number()),
    }
}

#[cfg(test)]
#[path = "taped_tests.rs"]
mod tests;
