//! What the endpoint's own doors write.

use alloc::vec::Vec;

use crate::time::Instant;
use crate::wire::id::CarrierId;

use super::Payload;
use super::check::Check;
use super::context::{Route, Slot};
use super::op::{Op, Outcome};
use super::segment::{Ending, MAX_BLOB, Tape};
use super::value::Taped;

/// Bytes at a datagram's beginning that are checked: more than any header without a handshake.
const HEADER: usize = 24;
/// Bytes at its end: the tag.
const TAG: usize = 16;

impl Taped for Outcome {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Done(amount) => amount.saturating_mul(2).put(out),
            Self::Refused(why) => (u64::from(*why) * 2 + 1).put(out),
        }
    }

    fn get(from: &mut super::Reader<'_>) -> Option<Self> {
        let number: u64 = from.get()?;
        match number & 1 {
            0 => Some(Self::Done(number / 2)),
            _ => u8::try_from(number / 2).ok().map(Self::Refused),
        }
    }
}

impl Tape {
    /// One record at `now`.
    fn door(&mut self, op: Op, now: Instant, write: impl FnOnce(&mut Vec<u8>)) {
        self.at(now);
        if self.ready() {
            write(self.begin(op));
        }
    }

    /// Bytes that are only kept with their payload.
    pub(super) fn put_payload(&mut self, bytes: &[u8]) {
        let full = self.payload != Payload::Elided;
        let out = self.line();
        bytes.len().put(out);
        if full {
            out.extend_from_slice(bytes);
        }
    }

    /// Whether so much may stand in one record; if not, the tape ends.
    pub(super) fn fits(&mut self, bytes: usize) -> bool {
        if bytes > MAX_BLOB {
            self.end(Ending::TooLarge);
        }
        bytes <= MAX_BLOB
    }

    /// A carrier is there. `kind`: its kind as the endpoint writes it.
    pub(crate) fn carrier_opened(&mut self, carrier: CarrierId, kind: &impl Taped, now: Instant) {
        self.door(Op::CarrierOpened, now, |out| {
            carrier.put(out);
            kind.put(out);
        });
    }

    /// Something else happened to a carrier.
    pub(crate) fn carrier(&mut self, op: Op, carrier: CarrierId, now: Instant) {
        self.door(op, now, |out| carrier.put(out));
    }

    /// A connection was begun. `to`: whom to, as the endpoint writes it.
    pub(crate) fn connect(&mut self, to: &impl Taped, made: Result<Slot, u8>, now: Instant) {
        self.door(Op::Connect, now, |out| {
            to.put(out);
            made.map_or_else(Outcome::Refused, |(slot, generation)| {
                Outcome::Done(u64::from(slot) << 16 | u64::from(generation))
            })
            .put(out);
        });
    }

    /// The node has another limit, in bytes a second.
    pub(crate) fn limit(&mut self, rate: Option<u64>, now: Instant) {
        self.door(Op::Limit, now, |out| rate.put(out));
    }

    /// A peer, or each of them, has another limit.
    pub(crate) fn peer_limit(&mut self, peer: Option<[u8; 32]>, rate: Option<u64>, now: Instant) {
        self.door(Op::PeerLimit, now, |out| (peer, rate).put(out));
    }

    /// A stranger was answered ([`Op::Accept`], [`Op::Refuse`]).
    pub(crate) fn answer(&mut self, op: Op, stranger: Slot, now: Instant) {
        self.door(op, now, |out| stranger.put(out));
    }

    /// A datagram, before it is opened.
    pub(crate) fn datagram(&mut self, route: Route, bytes: &[u8], now: Instant) {
        self.at(now);
        if !self.fits(bytes.len()) || !self.ready() {
            return;
        }
        if self.context.came == Some(route) {
            self.begin(Op::DatagramAgain);
        } else {
            self.context.came = Some(route);
            route.put(self.begin(Op::Datagram));
        }
        self.put_payload(bytes);
    }

    /// `poll` gave news of the connection in this slot.
    pub(crate) fn event(
        &mut self,
        slot: Slot,
        now: Instant,
        write: impl FnOnce(&mut Vec<u8>, bool),
    ) {
        self.at(now);
        if self.ready() && self.context.connection == Some(slot) {
            self.news(Op::EventHere, now, write);
        } else {
            self.news(Op::Event, now, |out, full| {
                slot.put(out);
                write(out, full);
            });
        }
    }

    /// `poll` gave news of a connection or a pipe, or a stranger: `write` says what, and is told
    /// whether payload is kept.
    pub(crate) fn news(&mut self, op: Op, now: Instant, write: impl FnOnce(&mut Vec<u8>, bool)) {
        self.polled();
        self.at(now);
        if !self.ready() {
            return;
        }
        let full = self.payload != Payload::Elided;
        let out = self.begin(op);
        let from = out.len();
        write(out, full);
        let mut chain = self.chain;
        chain.word(op as u64);
        chain.word(now.as_nanos());
        chain.bytes(self.since(from));
        self.chain = chain;
    }

    /// `poll` gave this to send.
    pub(crate) fn transmit(&mut self, route: Route, bytes: &[u8], now: Instant) {
        self.polled();
        self.at(now);
        if !self.ready() {
            return;
        }
        if self.context.went == Some(route) {
            self.begin(Op::TransmitAgain);
        } else {
            self.context.went = Some(route);
            let out = self.begin(Op::Transmit);
            let from = out.len();
            route.put(out);
            let mut chain = self.chain;
            chain.bytes(self.since(from));
            self.chain = chain;
        }
        self.chain.word(Op::Transmit as u64);
        self.chain.word(now.as_nanos());
        self.chain.word(bytes.len() as u64);
        let segment = route.segment.unwrap_or(bytes.len()).max(1);
        bytes.chunks(segment).for_each(|datagram| seal(datagram, &mut self.chain));
        let check = self.chain.value() as u16;
        let out = self.line();
        bytes.len().put(out);
        out.extend_from_slice(&check.to_be_bytes());
    }

    /// `poll` waits.
    pub(crate) fn wait(&mut self, until: Option<Instant>, now: Instant) {
        self.polled();
        self.at(now);
        if !self.ready() {
            return;
        }
        self.chain.word(Op::Wait as u64);
        self.chain.word(now.as_nanos());
        self.chain.word(until.map_or(u64::MAX, Instant::as_nanos));
        match until {
            Some(_) if self.context.wait == until => _ = self.begin(Op::WaitAgain),
            Some(until) => {
                self.context.wait = Some(until);
                let after = until.as_nanos().wrapping_sub(self.now.as_nanos());
                after.put(self.begin(Op::Wait));
            }
            None => _ = self.begin(Op::WaitForever),
        }
    }

    /// A pipe was made, or not. `write`: of what, with the bytes that go before; then what came of
    /// it.
    pub(crate) fn pipe<'a>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>),
        given: impl ExactSizeIterator<Item = (u64, &'a [u8])>,
        made: Result<u64, u8>,
    ) {
        if !self.ready() {
            return;
        }
        write(self.begin(Op::Pipe));
        given.len().put(self.line());
        for (offset, bytes) in given {
            offset.put(self.line());
            self.put_payload(bytes);
        }
        made.map_or_else(Outcome::Refused, Outcome::Done).put(self.line());
    }

    /// A pipe was looked at.
    pub(crate) fn piped(&mut self, id: u64) {
        if self.ready() {
            self.context.pipe = Some(id);
            id.put(self.begin(Op::Piped));
        }
    }

    /// A call on the pipe `id`, with what it was given and came to.
    pub(crate) fn pipe_call(&mut self, id: u64, op: Op, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.ready() {
            return;
        }
        if self.context.pipe != Some(id) {
            self.context.pipe = Some(id);
            id.put(self.begin(Op::Piped));
        }
        write(self.begin(op));
    }
}

/// What of a datagram is checked: its length, its header and its tag. Any other bit that differs
/// makes another tag.
fn seal(datagram: &[u8], chain: &mut Check) {
    let header = datagram.get(..HEADER);
    let tag = datagram.len().checked_sub(TAG).and_then(|at| datagram.get(at..));
    match (header, tag) {
        (Some(header), Some(tag)) if datagram.len() >= HEADER + TAG => {
            chain.bytes(header);
            chain.bytes(tag);
        }
        _ => chain.bytes(datagram),
    }
}
