//! A replay that is watched.
//!
//! ```text
//!   record ──► what stands there
//!          ├─► a datagram: opened by a look before the core gets it, or right after
//!          ├─► the core takes its step, and must do what it did
//!          ├─► a datagram that left: opened by a look
//!          └─► what the step changed: acknowledged, lost, vitals
//! ```
//!
//! The core reports nothing for this: it is looked at from outside between two steps. So watching
//! costs nothing where nobody watches, and cannot change what happens.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::connection::{Sealing, Vitals};
use crate::tape::{Ending, Op, Route, Slot};
use crate::time::Instant;
use crate::wire::frame::{Frame, frames};
use crate::wire::header::{Class, classify};
use crate::wire::id::PacketNumber;

use super::file::{Trace, TraceError};
use super::flying::Flying;
use super::record::{Decoder, Record, What};
use super::replay::{Divergence, Replay, Run, Tail};
use super::view::{Content, Depth, Packet, Seen, View, Way};

/// Goes through what there was to see of a recorded run.
///
/// After a [`Divergence`], which comes as an item, what follows is only what stands on the tape.
pub struct Watch<'a> {
    trace: Trace<'a>,
    run: Option<Run<'a>>,
    depth: Depth,
    /// What follows if nothing is played: the segments behind, and where in one.
    plain: Plain<'a>,
    /// Seen, and not given yet.
    ahead: VecDeque<View<'a>>,
    known: BTreeMap<Slot, Known>,
    /// Which connection is at an address, by what the tape says of it.
    at: BTreeMap<SocketAddr, Slot>,
    piped: u64,
    /// Records of the replay that were given.
    given: u64,
    over: bool,
}

/// Datagrams of one batch whose bytes the tape does not have, at most.
const MOST_SEGMENTS: usize = 1_024;

/// What was told of a connection.
#[derive(Default)]
struct Known {
    /// It was told that there are keys.
    met: bool,
    vitals: Option<Vitals>,
    flying: Flying,
    /// What sealed its packets when it was last looked at: keys may change within a batch.
    sealing: Option<Sealing>,
}

/// The records alone.
struct Plain<'a> {
    segments: super::Segments<'a>,
    from: Option<Decoder<'a>>,
    step: u64,
    /// What the last record says of the tape's end.
    ended: Option<Ending>,
}

impl<'a> Watch<'a> {
    /// Of this tape. Without payload and secrets the tape is only read; with payload by reference
    /// it is played with zeros in its place.
    ///
    /// # Errors
    /// These bytes are no tape.
    pub fn of(tape: &'a [u8]) -> Result<Self, TraceError> {
        let trace = Trace::open(tape)?;
        let run = Replay::of(tape).ok().map(|replay| replay.with_zeros().start());
        let depth = match &run {
            None => Depth::Records,
            Some(run) if run.is_exact() => Depth::Replayed,
            Some(_) => Depth::Blank,
        };
        Ok(Self {
            trace,
            run,
            depth,
            plain: Plain { segments: trace.segments(), from: None, step: 0, ended: None },
            ahead: VecDeque::new(),
            known: BTreeMap::new(),
            at: BTreeMap::new(),
            piped: 0,
            given: 0,
            over: false,
        })
    }

    /// How much can be seen, from here on.
    pub const fn depth(&self) -> Depth {
        self.depth
    }

    /// How the tape ends. To be asked when all was given.
    pub fn tail(&self) -> Tail {
        match &self.run {
            Some(run) => run.summary().tail,
            None => match (self.plain.segments.torn(), self.plain.ended) {
                (Some(at), _) => Tail::Torn { at },
                (None, Some(why)) => Tail::Ended(why),
                (None, None) => Tail::Open,
            },
        }
    }

    /// Goes on by one step of the core, or by one record.
    fn advance(&mut self) -> Result<(), Divergence> {
        let Some(run) = &mut self.run else { return self.read() };
        let Some(here) = run.here()? else {
            self.over = true;
            return Ok(());
        };
        let coming = here.clone().record();
        let before = coming.as_ref().and_then(|record| came(record, run));
        let Some((mut from, len)) = run.step()? else { return Ok(()) };
        let end = from.at() + len;
        let mut last = None;
        while from.at() < end {
            let Some(record) = from.record() else { break };
            self.ahead.push_back(View {
                step: record.step,
                time: record.time,
                what: Seen::Record(record.clone()),
            });
            self.given = record.step + 1;
            last = Some(record);
        }
        if let Some(record) = last {
            self.look(&record, before);
        }
        Ok(())
    }

    /// The next record, without the core.
    fn read(&mut self) -> Result<(), Divergence> {
        while self.plain.from.as_ref().is_none_or(Decoder::is_empty) {
            let Some(segment) = self.plain.segments.next() else {
                self.over = true;
                return Ok(());
            };
            let (payload, step) = (self.trace.payload(), self.plain.step);
            self.plain.from = Some(Decoder::new(segment.records, payload, segment.time, step));
        }
        let Some(from) = &mut self.plain.from else { return Ok(()) };
        let offset = from.at();
        let Some(record) = from.record() else {
            self.over = true;
            let what = "it is none";
            return Err(TraceError::Record { step: from.step(), offset, what }.into());
        };
        self.plain.step = from.step();
        if let What::End(why) = record.what {
            self.plain.ended = Some(why);
        }
        self.learn(&record);
        let (step, time) = (record.step, record.time);
        let packets = self.by_record(&record);
        self.ahead.push_back(View { step, time, what: Seen::Record(record) });
        self.tell(step, time, packets.into_iter().map(Seen::Packet));
        Ok(())
    }

    /// The core is lost: what follows is read.
    fn forsake(&mut self) {
        if self.run.take().is_none() {
            return;
        }
        self.depth = Depth::Records;
        // What was given is passed over.
        while self.plain.step < self.given && !self.over {
            let before = self.plain.step;
            if self.read().is_err() {
                self.over = true;
            }
            if self.plain.step == before {
                break;
            }
            self.ahead.clear();
        }
    }

    /// What a step of the core was, beside its records.
    fn look(&mut self, record: &Record<'a>, before: Option<Vec<Packet>>) {
        let Some(run) = &self.run else { return };
        let (step, time) = (record.step, record.time);
        let endpoint = run.player.endpoint();
        let mut packets = Vec::new();
        match &record.what {
            What::Datagram(route, kept) => {
                let bytes = kept.bytes.unwrap_or_default();
                for (packet, bytes) in before.into_iter().flatten().zip(segments(route, bytes)) {
                    let sealed = packet.content == Content::Sealed;
                    packets.push(if sealed { received(run, *route, bytes) } else { packet });
                }
            }
            What::Transmit(route, ..) => {
                let bytes = run.player.sent();
                packets.extend(segments(route, bytes).map(|bytes| self.sent(run, *route, bytes)));
            }
            _ => {}
        }
        let mut touched: Vec<Slot> =
            packets.iter().filter_map(|packet| packet.connection).collect();
        // What time alone brought may be any connection's.
        if matches!(record.op, Op::Wait | Op::WaitAgain | Op::WaitForever) {
            touched.extend(endpoint.members().map(|(slot, _)| slot));
        }
        touched.sort_unstable();
        touched.dedup();
        let mut seen = Vec::new();
        for packet in &packets {
            self.await_ack(packet);
        }
        seen.extend(packets.iter().cloned().map(Seen::Packet));
        for slot in touched {
            self.settle(slot, &packets, &mut seen);
        }
        if let (Op::Wait | Op::WaitAgain | Op::WaitForever, Some(run)) = (record.op, &self.run) {
            let piped = run.player.endpoint().stats().pipe_bytes;
            if core::mem::replace(&mut self.piped, piped) != piped {
                seen.push(Seen::Piped(piped));
            }
        }
        if let (Op::Event | Op::EventHere, Some(slot)) = (record.op, record.connection)
            && self.run.as_ref().is_some_and(|run| run.player.endpoint().member(slot).is_none())
        {
            self.known.remove(&slot);
        }
        self.tell(step, time, seen.into_iter());
    }

    /// A packet that left: opened by the keys of whoever sent it.
    fn sent(&self, run: &Run<'_>, route: Route, bytes: &[u8]) -> Packet {
        let endpoint = run.player.endpoint();
        let (way, size, connection) = (Way::Sent, bytes.len(), endpoint.signed(bytes));
        // Zeros in place of what was sent make another ciphertext.
        let datagram = run.is_exact().then(|| bytes.to_vec());
        let mut packet = Packet { way, route, connection, size, datagram, content: outside(bytes) };
        if let Content::Handshake(_) = packet.content {
            return packet;
        }
        let opened = endpoint.members().find_map(|(slot, connection)| {
            let there = connection.leads_to(route.remote);
            let before = || self.known.get(&slot)?.sealing.as_ref();
            let looked = there.then(|| connection.look_at_sent(bytes, before())).flatten();
            looked.map(|looked| (slot, looked))
        });
        if let Some((slot, looked)) = opened {
            packet.connection = Some(slot);
            packet.content = content(looked);
        }
        packet
    }

    /// A packet that leaves is waited for, if it asks for an ACK.
    fn await_ack(&mut self, packet: &Packet) {
        if let (Way::Sent, Some(slot), Content::Data { number, payload, .. }) =
            (packet.way, packet.connection, &packet.content)
            && elicits(payload)
        {
            self.known.entry(slot).or_default().flying.on_sent(*number);
        }
    }

    /// What became of a connection's packets, and how it stands now.
    fn settle(&mut self, slot: Slot, packets: &[Packet], seen: &mut Vec<Seen<'a>>) {
        let Some(connection) = self.run.as_ref().and_then(|run| {
            let endpoint = run.player.endpoint();
            endpoint.member(slot)
        }) else {
            return;
        };
        let known = self.known.entry(slot).or_default();
        if let Some(hash) = connection.handshake_hash().filter(|_| !known.met) {
            known.met = true;
            seen.push(Seen::Met(slot, hash));
        }
        let came = packets
            .iter()
            .filter(|packet| packet.way == Way::Received && packet.connection == Some(slot));
        let mut settled = super::flying::Settlement::default();
        for packet in came {
            for frame in packet.frames().into_iter().flatten() {
                if let Ok(Frame::Ack(ack)) = frame {
                    let still = |number| connection.is_flying(number);
                    known.flying.on_ack(ack.ranges(), still, &mut settled);
                }
            }
        }
        known.flying.on_losses(connection.lost(), |n| connection.is_flying(n), &mut settled);
        for (numbers, what) in [
            (settled.acked, Seen::Acked as fn(Slot, Vec<PacketNumber>) -> Seen<'a>),
            (settled.spurious, Seen::Spurious),
            (settled.lost, Seen::Lost),
        ] {
            if !numbers.is_empty() {
                seen.push(what(slot, numbers));
            }
        }
        let phase = known.sealing.as_ref().map(Sealing::phase);
        if let Some(sealing) = connection.sealing_since(phase) {
            known.sealing = Some(sealing);
        }
        let vitals = connection.vitals();
        if known.vitals.replace(vitals) != Some(vitals) {
            seen.push(Seen::Vitals(slot, vitals));
        }
    }

    fn tell(&mut self, step: u64, time: Instant, seen: impl Iterator<Item = Seen<'a>>) {
        self.ahead.extend(seen.map(|what| View { step, time, what }));
    }

    /// Whose an address is, as far as the tape says.
    fn learn(&mut self, record: &Record<'_>) {
        match (&record.what, record.connection) {
            (What::Connect(to, _), Some(slot)) => _ = self.at.insert(to.remote, slot),
            (What::Incoming(slot, _, remote), _) => _ = self.at.insert(*remote, *slot),
            _ => {}
        }
    }

    /// The packets of a record that is only read.
    fn by_record(&self, record: &Record<'_>) -> Vec<Packet> {
        let (way, route, size, bytes) = match &record.what {
            What::Datagram(route, kept) => (Way::Received, *route, kept.len, kept.bytes),
            What::Transmit(route, len, _) => (Way::Sent, *route, *len, None),
            _ => return Vec::new(),
        };
        let connection = self.at.get(&route.remote).copied();
        // No socket gives or takes as many at once: then it is what the tape says, not a batch.
        let fits = |segment: &usize| size.div_ceil((*segment).max(1)) <= MOST_SEGMENTS;
        let segment = route.segment.filter(fits).unwrap_or(size).max(1);
        let mut packets = Vec::new();
        for at in (0..size).step_by(segment) {
            let end = size.min(at + segment);
            let datagram = bytes.and_then(|bytes| bytes.get(at..end)).map(<[u8]>::to_vec);
            let content = outside(datagram.as_deref().unwrap_or_default());
            let size = end - at;
            packets.push(Packet { way, route, connection, size, datagram, content });
        }
        packets
    }
}

impl<'a> Iterator for Watch<'a> {
    type Item = Result<View<'a>, Divergence>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(view) = self.ahead.pop_front() {
                return Some(Ok(view));
            }
            if self.over {
                return None;
            }
            if let Err(divergence) = self.advance() {
                self.forsake();
                return Some(Err(divergence));
            }
        }
    }
}

/// What comes in a record, by a look before the core gets it; nothing of other records.
fn came(record: &Record<'_>, run: &Run<'_>) -> Option<Vec<Packet>> {
    let What::Datagram(route, kept) = &record.what else { return None };
    let bytes = kept.bytes.unwrap_or_default();
    Some(segments(route, bytes).map(|bytes| received(run, *route, bytes)).collect())
}

/// The datagrams of a batch.
fn segments<'b>(route: &Route, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
    bytes.chunks(route.segment.unwrap_or(bytes.len()).max(1))
}

/// What a datagram shows of itself to whoever has no key.
fn outside(bytes: &[u8]) -> Content {
    match classify(bytes) {
        Class::Long(header) => Content::Handshake(header.kind),
        _ => Content::Sealed,
    }
}

fn received(run: &Run<'_>, route: Route, bytes: &[u8]) -> Packet {
    let endpoint = run.player.endpoint();
    let connection = endpoint.addressed(bytes).filter(|slot| endpoint.member(*slot).is_some());
    let looked = connection
        .and_then(|slot| endpoint.member(slot))
        .and_then(|connection| connection.look_at_received(bytes));
    let (connection, content) = match endpoint.reset_by(route.remote, bytes) {
        Some(slot) => (Some(slot), Content::Reset),
        None => (connection, looked.map_or_else(|| outside(bytes), content)),
    };
    let (size, datagram) = (bytes.len(), Some(bytes.to_vec()));
    Packet { way: Way::Received, route, connection, size, datagram, content }
}

fn content((number, phase, payload): (PacketNumber, u64, Vec<u8>)) -> Content {
    Content::Data { number, phase, payload }
}

/// Whether a packet asks for an ACK.
fn elicits(payload: &[u8]) -> bool {
    frames(payload).any(|frame| frame.is_ok_and(|frame| frame.is_ack_eliciting()))
}
