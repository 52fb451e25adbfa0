//! An endpoint that is given what a tape says.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::endpoint::{
    ConnectionHandle, ConnectionRef, Datagram, Endpoint, Incoming, Output, PipeId, PipeRef,
};
use crate::message::Delivery;
use crate::stream::{Chunk, OpenOptions, RecvStream, SendStream};
use crate::tape::{MOST_REFUSED, Op, Outcome, Slot};
use crate::time::Instant;
use crate::wire::id::StreamId;

use super::record::{Decoder, Kept, Record, What};
use super::replay::{Resolver, Summary, Tail, Wanted};

/// No run lasts as long: the endpoint's deadlines stay behind every time on a tape.
const END_OF_TIME: Instant = Instant::from_nanos(1 << 62);

/// Why it cannot go on.
pub(super) enum Stop {
    /// The record is none.
    Record(&'static str),
    /// These bytes are not to be had.
    Payload(Wanted),
}

type Played = Result<(), Stop>;

/// Plays the application and the network.
pub(super) struct Player<'a> {
    endpoint: Endpoint,
    resolver: Option<Resolver<'a>>,
    /// Payload that is not to be had is taken for zeros.
    blank: bool,
    strangers: BTreeMap<Slot, Incoming>,
    /// How much was written to each stream without an offset; datagrams are counted.
    written: BTreeMap<(Slot, Option<StreamId>), u64>,
    steps: u64,
    now: Instant,
    buf: Vec<u8>,
    datagram: Vec<u8>,
    summary: Summary,
}

impl<'a> Player<'a> {
    /// With an endpoint that replays.
    pub(super) fn new(endpoint: Endpoint, resolver: Option<Resolver<'a>>, blank: bool) -> Self {
        let (from, until, tail) = (Instant::ZERO, Instant::ZERO, Tail::Open);
        let (received, sent) = ((0, 0), (0, 0));
        let (records, events, chain) = (0, 0, 0);
        Self {
            endpoint,
            resolver,
            blank,
            strangers: BTreeMap::new(),
            written: BTreeMap::new(),
            steps: 0,
            now: Instant::ZERO,
            buf: Vec::new(),
            datagram: Vec::new(),
            summary: Summary { records, received, sent, events, from, until, chain, tail },
        }
    }

    /// A segment begins.
    pub(super) fn turn_over(&mut self, time: Instant) {
        self.endpoint.deck().note(|tape| tape.turn_over(time));
    }

    /// Records so far.
    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }

    /// The time of the last.
    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    /// What the endpoint recorded since it was forgotten.
    pub(super) fn fresh(&self) -> &[u8] {
        self.endpoint.records().unwrap_or_default()
    }

    /// It is compared.
    pub(super) fn forget(&mut self) {
        self.endpoint.deck().note(|tape| tape.fresh().clear());
    }

    /// The chain of its outputs.
    pub(super) fn chain(&self) -> u64 {
        self.endpoint.chain()
    }

    /// The endpoint, to look at.
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What the last `poll` gave to send.
    pub(super) fn sent(&self) -> &[u8] {
        &self.buf
    }

    /// What was played.
    pub(super) fn summary(&self) -> Summary {
        Summary { records: self.steps, until: self.now, chain: self.chain(), ..self.summary }
    }

    fn read<'t>(&mut self, from: &mut Decoder<'t>) -> Result<Record<'t>, Stop> {
        let record = from.record().ok_or(Stop::Record("it is none"))?;
        if record.time < self.now || record.time > END_OF_TIME {
            return Err(Stop::Record("its time cannot be"));
        }
        if matches!(self.summary.tail, Tail::Ended(_)) {
            return Err(Stop::Record("it stands behind the end"));
        }
        if self.steps == 0 {
            self.summary.from = record.time;
        }
        self.steps += 1;
        self.now = record.time;
        Ok(record)
    }

    /// Reads on to the next record that is a call by itself, with what those before say of it.
    fn read_call<'t>(&mut self, from: &mut Decoder<'t>) -> Result<(Record<'t>, Delivery), Stop> {
        let mut delivery = Delivery::new();
        loop {
            let record = self.read(from)?;
            match (record.op, &record.what) {
                (Op::Send, _) => {}
                (_, What::Delivery(priority, max_age)) => {
                    delivery = Delivery { priority: *priority, max_age: *max_age };
                }
                _ => return Ok((record, delivery)),
            }
        }
    }

    /// Plays the next record, with those that cannot be told apart from it.
    pub(super) fn step(&mut self, from: &mut Decoder<'_>) -> Played {
        let (record, delivery) = self.read_call(from)?;
        let (now, op) = (record.time, record.op);
        if op.is_output() {
            return self.poll(&record);
        }
        match op {
            Op::Recv | Op::RecvAgain => return self.recv(&record, from),
            Op::Piped => return self.piped(&record, from),
            _ if op.is_of_recv() || op as u8 > Op::Piped as u8 => {
                return Err(Stop::Record("nothing is looked at"));
            }
            _ => {}
        }
        match &record.what {
            What::End(why) => {
                self.summary.tail = Tail::Ended(*why);
                self.endpoint.deck().note(|tape| tape.end(*why));
            }
            What::CarrierOpened(carrier, kind) => {
                self.endpoint.carrier_opened(*carrier, *kind, now);
            }
            What::Carrier(carrier) => match op {
                Op::CarrierClosed => self.endpoint.carrier_closed(*carrier, now),
                Op::CarrierBlocked => self.endpoint.carrier_blocked(*carrier, now),
                _ => self.endpoint.carrier_writable(*carrier, now),
            },
            What::Connect(to, _) => _ = self.endpoint.connect(to.clone(), now),
            What::Limit(rate) => self.endpoint.set_limit(*rate, now),
            What::PeerLimit(peer, rate) => {
                let played = self.endpoint.replay_limit(*peer, *rate, now);
                return played.ok_or(Stop::Record("no such node"));
            }
            What::Answer(slot) => {
                let none = Stop::Record("no such stranger");
                let incoming = self.strangers.remove(slot).ok_or(none)?;
                match op {
                    Op::Accept => _ = self.endpoint.accept(incoming, now),
                    _ => self.endpoint.refuse(incoming, now),
                }
            }
            What::Datagram(route, kept) => {
                self.summary.received.0 += 1;
                self.summary.received.1 += kept.len as u64;
                self.datagram.clear();
                self.datagram.extend_from_slice(kept.bytes.unwrap_or_default());
                let (carrier, remote, local) = (route.carrier, route.remote, route.local);
                let (ecn, segment) = (route.ecn, route.segment);
                let bytes = &mut self.datagram[..];
                let datagram = Datagram { carrier, remote, local, ecn, segment, bytes };
                self.endpoint.handle_datagram(datagram, now);
            }
            What::Pipe(at, legs, options, given, _) => {
                let chunk = |(offset, kept): &(u64, Kept<'_>)| Chunk {
                    offset: *offset,
                    data: Bytes::copy_from_slice(kept.bytes.unwrap_or_default()),
                };
                let given = given.iter().map(chunk).collect();
                let _made = self.endpoint.pipe_given(*at, given, legs, *options);
            }
            _ => return self.call(&record, delivery),
        }
        Ok(())
    }

    fn poll(&mut self, record: &Record<'_>) -> Played {
        if let What::Transmit(_, len, _) = record.what {
            self.summary.sent.0 += 1;
            self.summary.sent.1 += len as u64;
        }
        self.summary.events +=
            u64::from(matches!(record.op, Op::Event | Op::EventHere | Op::PipeEvent));
        if let Output::Incoming(incoming) = self.endpoint.poll(&mut self.buf, record.time) {
            self.strangers.insert(incoming.parts(), incoming);
        }
        Ok(())
    }

    fn connection(&mut self, record: &Record<'_>) -> Option<ConnectionRef<'_>> {
        self.endpoint.connection_at(ConnectionHandle::of(record.connection?), record.time)
    }

    /// A call on a connection, or on a half that sends.
    fn call(&mut self, record: &Record<'_>, delivery: Delivery) -> Played {
        let data = match &record.what {
            What::Give(kept, came) => Some(self.bytes(record, None, kept, *came, true)?),
            What::Write(at, kept, came) => Some(self.bytes(record, *at, kept, *came, false)?),
            _ => None,
        };
        let Some(mut connection) = self.connection(record) else { return Ok(()) };
        match (&record.what, data) {
            (What::Open(dir, options, words, _), _) => {
                let [head, extension] = words.map(|kept| kept.bytes.unwrap_or_default());
                let [head, extension] = [head, extension].map(Bytes::copy_from_slice);
                let options = OpenOptions { head, extension, ..options.clone() };
                let _made = connection.open(*dir, options);
            }
            (What::AcceptStream(_), _) => _ = connection.accept(),
            (What::Give(..), Some(data)) if record.op == Op::SendDatagram => {
                let _came = connection.send_datagram_with(data, delivery);
            }
            (What::Give(..), Some(data)) => _ = connection.send_message_with(data, delivery),
            (What::DatagramRoom(len, _), _) => {
                let _room = connection.has_datagram_room_of(delivery.priority, *len);
            }
            (What::Received(_), _) if record.op == Op::RecvDatagram => {
                drop(connection.recv_datagram());
            }
            (What::Received(_), _) => drop(connection.recv_message()),
            (What::Close(code, reason), _) => {
                connection.close(*code, reason.bytes.unwrap_or_default());
            }
            (What::Abort(code, now, reason), _) => {
                connection.abort(*code, reason.bytes.unwrap_or_default(), *now);
            }
            (What::AddPath(carrier, remote, _), _) => _ = connection.add_path(*carrier, *remote),
            (What::Controller(controller), _) => connection.set_controller(*controller),
            (what, data) => {
                if let Some(stream) = record.stream
                    && let Some(mut half) = connection.send(stream)
                {
                    send(&mut half, record.op, what, data);
                }
            }
        }
        Ok(())
    }

    /// The bytes of a call: those that were taken, and one more if there were more.
    fn bytes(
        &mut self,
        record: &Record<'_>,
        offset: Option<u64>,
        kept: &Kept<'_>,
        came: Outcome,
        whole: bool,
    ) -> Result<Bytes, Stop> {
        let taken = match came {
            // Its length is all that mattered.
            Outcome::Refused(_) => return Ok(vec![0; kept.len.min(MOST_REFUSED)].into()),
            Outcome::Done(_) if whole => kept.len,
            Outcome::Done(taken) => kept.len.min(usize::try_from(taken).unwrap_or(usize::MAX)),
        };
        let slot = record.connection.ok_or(Stop::Record("no connection"))?;
        let stream = match (record.op, came) {
            (Op::SendMessage, Outcome::Done(stream)) => Some(StreamId(stream)),
            _ => record.stream,
        };
        let count = self.written.entry((slot, stream)).or_default();
        let wanted = Wanted {
            connection: ConnectionHandle::of(slot),
            stream,
            offset: offset.unwrap_or(*count),
            len: taken,
        };
        if offset.is_none() {
            *count += if record.op == Op::SendDatagram { 1 } else { taken as u64 };
        }
        let bytes = match (kept.bytes, &mut self.resolver) {
            (Some(bytes), _) => Some(Bytes::copy_from_slice(bytes)),
            (None, Some(resolve)) => resolve(&wanted),
            (None, None) => self.blank.then(|| vec![0; taken].into()),
        };
        let bytes = bytes.filter(|bytes| bytes.len() == taken).ok_or(Stop::Payload(wanted))?;
        if taken >= kept.len {
            return Ok(bytes);
        }
        let mut more = Vec::with_capacity(taken + 1);
        more.extend_from_slice(&bytes);
        more.push(0);
        Ok(more.into())
    }

    /// Calls on a half that receives.
    fn recv(&mut self, record: &Record<'_>, from: &mut Decoder<'_>) -> Played {
        let mut calls = Vec::new();
        while from.peek().is_some_and(Op::is_of_recv) {
            calls.push(self.read(from)?);
        }
        if let Some(mut connection) = self.connection(record)
            && let Some(stream) = record.stream
            && let Some(mut half) = connection.recv(stream)
        {
            calls.iter().for_each(|call| receive(&mut half, &call.what));
        }
        Ok(())
    }

    /// Calls on a pipe.
    fn piped(&mut self, record: &Record<'_>, from: &mut Decoder<'_>) -> Played {
        let mut calls = Vec::new();
        while from.peek().is_some_and(|op| op as u8 > Op::Piped as u8) {
            calls.push(self.read(from)?);
        }
        if let Some(id) = record.pipe
            && let Some(mut pipe) = self.endpoint.piped(PipeId::of(id))
        {
            calls.iter().for_each(|call| on_pipe(&mut pipe, call));
        }
        Ok(())
    }
}

fn send(half: &mut SendStream<'_>, op: Op, what: &What<'_>, data: Option<Bytes>) {
    match (what, data) {
        (What::Write(Some(at), ..), Some(data)) if op == Op::Forward => {
            let _came = half.forward(*at, data);
        }
        (What::Write(Some(at), ..), Some(data)) => _ = half.write_at(*at, data),
        (What::Write(None, ..), Some(data)) => _ = half.write(data),
        (What::Skip(range, _), _) => _ = half.skip(range.clone()),
        (What::Finish(Some(size), _), _) => _ = half.finish_at(*size),
        (What::Finish(None, _), _) => _ = half.finish(),
        (What::Reset(code, hop, reliable), _) => half.reset_after(*code, *hop, *reliable),
        (What::Priority(priority), _) => half.set_priority(*priority),
        _ if op == Op::ReportAcked => half.report_acked(),
        _ => {}
    }
}

fn receive(half: &mut RecvStream<'_>, what: &What<'_>) {
    match what {
        What::Take(0, max, _) => _ = half.read_chunk(*max),
        What::Take(1, max, _) => _ = half.take_any(*max),
        What::Take(2, max, _) => _ = half.take_arrival(*max),
        What::Take(_, max, _) => _ = half.take_lowest(*max),
        What::Release(bytes) => half.release(*bytes),
        What::Stop(code, hop) => half.stop_after(*code, *hop),
        What::Window(window) => half.set_window(*window),
        What::Request(end) => half.request(*end),
        What::Covered(_) => _ = half.covered(),
        _ => {}
    }
}

fn on_pipe(pipe: &mut PipeRef<'_>, call: &Record<'_>) {
    match &call.what {
        What::PipeRead(max, _) => _ = pipe.read(*max),
        What::PipeRelease(offset) => pipe.release(*offset),
        What::AddLeg(leg, policy, _) => _ = pipe.add_leg(*leg, *policy),
        What::PipeRate(rate) => pipe.set_rate(*rate),
        What::PipeCancel(code) => pipe.cancel(*code),
        What::PipeGather(more) => pipe.gather(*more),
        _ => {}
    }
}
