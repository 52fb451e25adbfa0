//! A whole run in bounded memory: what a report is made of.

mod connection;
mod curve;
mod lane;
mod moments;
mod rows;
mod stream;
mod thin;

use std::collections::{BTreeMap, HashMap};

use aqueduct_core::endpoint::Leg;
use aqueduct_core::tape::{Op, Outcome, Slot};
use aqueduct_core::time::Instant;
use aqueduct_core::trace::{
    Content, Depth, Packet, Record, Seen, Tail, Topic, Trace, TraceError, Watch, Way, What, records,
};
use aqueduct_core::wire::frame::Frame;
use aqueduct_core::wire::id::{PacketNumber, StreamId};

pub(crate) use connection::{Connection, Sums};
pub(crate) use curve::Curve;
pub(crate) use lane::Lane;
pub(crate) use rows::{Fate, Line, Row};
pub(crate) use stream::Stream;
pub(crate) use thin::Thin;

use crate::words;

/// Packets that a report has, at most.
pub(crate) const MOST_PACKETS: usize = 24_000;
/// Records that it lists, at most.
pub(crate) const MOST_LINES: usize = 12_000;
/// Slices of a curve.
pub(crate) const MOST_SLICES: usize = 2_000;

/// When a run began and ended, and how many records it has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
    pub(crate) records: u64,
}

impl Span {
    /// Of a tape, as far as it can be read.
    fn of(tape: &[u8]) -> Result<Self, TraceError> {
        let mut span = Self::default();
        for record in records(tape)?.flatten() {
            if span.records == 0 {
                span.from = record.time;
            }
            span.until = record.time;
            span.records += 1;
        }
        Ok(span)
    }

    /// Microseconds since it began.
    pub(crate) fn at(&self, time: Instant) -> u64 {
        let since = time.saturating_since(self.from).as_nanos();
        u64::try_from(since / 1_000).unwrap_or(u64::MAX)
    }

    /// Microseconds that it took.
    pub(crate) fn length(&self) -> u64 {
        self.at(self.until).max(1)
    }
}

/// A stream of a connection.
pub(crate) type End = (Slot, StreamId);

/// Legs of pipes that are remembered, at most.
const MOST_LEGS: usize = 10_000;

/// A run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) span: Span,
    pub(crate) depth: Depth,
    pub(crate) tail: Tail,
    /// Where this core did something else.
    pub(crate) diverged: Option<String>,
    pub(crate) connections: BTreeMap<Slot, Connection>,
    /// What is of no connection that is known.
    pub(crate) strays: Sums,
    pub(crate) packets: Thin<Row>,
    pub(crate) lines: Thin<Line>,
    pub(crate) piped: Curve,
    /// What pipes passed on: from which stream to which.
    pub(crate) pipes: Vec<(End, End)>,
    /// By pipe, where it reads.
    sources: HashMap<u64, End>,
    pub(crate) events: u64,
    /// Packets that became rows and may still be settled.
    waiting: HashMap<(Slot, u64), u64>,
    /// Tapes on the page.
    nodes: usize,
}

impl Run {
    /// Watches a whole tape, one of so many that share a page.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn of(tape: &[u8], nodes: usize) -> Result<Self, TraceError> {
        let span = Span::of(tape)?;
        let mut watch = Watch::of(tape)?;
        let mut run = Self {
            span,
            depth: watch.depth(),
            tail: Tail::Open,
            diverged: None,
            connections: BTreeMap::new(),
            strays: Sums::default(),
            packets: Thin::new(MOST_PACKETS / nodes.max(1)),
            lines: Thin::new(MOST_LINES / nodes.max(1)),
            piped: Curve::new(span.length(), MOST_SLICES / nodes.max(1)),
            pipes: Vec::new(),
            sources: HashMap::new(),
            nodes,
            events: 0,
            waiting: HashMap::new(),
        };
        for view in watch.by_ref() {
            match view {
                Ok(view) => run.see(view.step, span.at(view.time), &view.what),
                Err(why) => run.diverged = Some(why.to_string()),
            }
        }
        run.tail = watch.tail();
        for connection in run.connections.values_mut() {
            connection.on_limit(None, connection.until);
        }
        Ok(run)
    }

    /// What the tape's head says.
    pub(crate) fn head(tape: &[u8]) -> Result<Trace<'_>, TraceError> {
        Trace::open(tape)
    }

    fn see(&mut self, step: u64, now: u64, what: &Seen<'_>) {
        match what {
            Seen::Record(record) => self.on_record(record, now),
            Seen::Packet(packet) => self.on_packet(step, packet, now),
            Seen::Acked(slot, numbers) => self.on_fate(*slot, numbers, Fate::Acked, now),
            Seen::Lost(slot, numbers) => self.on_fate(*slot, numbers, Fate::Lost, now),
            Seen::Spurious(slot, numbers) => self.on_fate(*slot, numbers, Fate::Late, now),
            Seen::Vitals(slot, vitals) => self.connection(*slot, now).on_vitals(vitals, now),
            Seen::Met(slot, hash) => self.connection(*slot, now).hash = Some(*hash),
            Seen::Piped(held) => self.piped.set(now, *held),
            _ => {}
        }
    }

    fn connection(&mut self, slot: Slot, now: u64) -> &mut Connection {
        let span = self.span.length();
        // Many connections share what a page has room for.
        let slices =
            (4 * MOST_SLICES / self.nodes / (self.connections.len() + 1)).clamp(100, MOST_SLICES);
        let new = || Connection::new(slot, span, slices, now);
        let connection = self.connections.entry(slot).or_insert_with(new);
        connection.until = now;
        connection
    }

    fn on_packet(&mut self, step: u64, packet: &Packet, now: u64) {
        let Some(slot) = packet.connection else {
            self.strays.on_packet(packet.way, packet.size as u64);
            let row = Row::new(step, now, packet);
            self.packets.push(row, matches!(packet.content, Content::Handshake(_)));
            return;
        };
        let way = packet.way;
        let mut row = Row::new(step, now, packet);
        let connection = self.connection(slot, now);
        connection.remote.get_or_insert(packet.route.remote);
        connection.sums.on_packet(way, packet.size as u64);
        connection.lane.add(now, way, packet.size as u64);
        if let Content::Data { number, .. } = &packet.content {
            connection.moments.on_packet(number.0, way, now);
        }
        let (mut eliciting, mut repeated) = (false, 0);
        for frame in packet.frames().into_iter().flatten().flatten() {
            eliciting |= frame.is_ack_eliciting();
            match &frame {
                Frame::Stream(frame) => {
                    repeated += connection.stream(frame.id, now).on_frame(frame, way, now);
                    row.on_stream(frame);
                }
                Frame::Open(open) => {
                    let stream = connection.stream(open.id, now);
                    stream.protocol = Some(words::protocol(open.protocol));
                    stream.size = open.size;
                    stream.mark("open", now);
                }
                Frame::Reset(reset) => connection.stream(reset.id, now).mark("reset", now),
                Frame::Stop(stop) => connection.stream(stop.id, now).mark("stop", now),
                _ => {}
            }
        }
        if repeated > 0 && way == Way::Sent {
            row.again = true;
            connection.sums.again += 1;
        }
        let matters = row.again || matches!(packet.content, Content::Handshake(_));
        if let (Way::Sent, true, Content::Data { number, .. }) = (way, eliciting, &packet.content) {
            row.fate = Fate::Flying;
            let at = self.packets.push(row, matters);
            self.waiting.insert((slot, number.0), at);
        } else {
            self.packets.push(row, matters);
        }
    }

    fn on_fate(&mut self, slot: Slot, numbers: &[PacketNumber], fate: Fate, now: u64) {
        let connection = self.connection(slot, now);
        let count = numbers.len() as u64;
        match fate {
            Fate::Acked => connection.sums.acked += count,
            Fate::Lost => connection.sums.lost += count,
            _ => connection.sums.late += count,
        }
        for number in numbers {
            let key = (slot, number.0);
            // One that is lost may arrive after all.
            let at = match fate {
                Fate::Lost => self.waiting.get(&key).copied(),
                _ => self.waiting.remove(&key),
            };
            let Some(at) = at else { continue };
            if let Some(row) = self.packets.get_mut(at) {
                row.fate = fate;
                row.settled = now;
            }
            if fate != Fate::Acked {
                self.packets.promote(at);
            }
        }
    }

    fn on_record(&mut self, record: &Record<'_>, now: u64) {
        let topic = Topic::of(record.op);
        if topic == Topic::Event {
            self.events += 1;
        }
        match &record.what {
            What::Connect(to, Outcome::Done(_)) => {
                if let Some(slot) = record.connection {
                    let connection = self.connection(slot, now);
                    connection.dialled = true;
                    connection.remote = Some(to.remote);
                    connection.peer = to.id.map(|id| id.to_string());
                }
            }
            What::Incoming(slot, id, remote) => {
                let connection = self.connection(*slot, now);
                connection.remote = Some(*remote);
                connection.peer = Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
            }
            What::Pipe(from, legs, ..) => {
                let from = (from.connection.parts(), from.stream);
                if let Some(pipe) = record.pipe {
                    self.sources.insert(pipe, from);
                }
                legs.iter().for_each(|leg| self.on_leg(from, leg));
            }
            What::AddLeg(leg, _, Outcome::Done(_)) => {
                let from = record.pipe.and_then(|pipe| self.sources.get(&pipe).copied());
                from.into_iter().for_each(|from| self.on_leg(from, leg));
            }
            What::Event(slot, _) => self.on_event(*slot, record, now),
            What::Write(_, _, Outcome::Done(bytes)) => self.on_call(record, Way::Sent, *bytes, now),
            What::Take(_, _, Outcome::Done(bytes)) => {
                self.on_call(record, Way::Received, *bytes, now);
            }
            _ => {}
        }
        if matches!(topic, Topic::Event | Topic::Call | Topic::Carrier)
            && record.op != Op::Connection
            && record.op != Op::Touch
        {
            let line = Line::of(record, now);
            let matters = line.matters(record.op);
            self.lines.push(line, matters);
        }
    }

    fn on_leg(&mut self, from: End, leg: &Leg) {
        if let Leg::Stream(to) = leg
            && self.pipes.len() < MOST_LEGS
        {
            self.pipes.push((from, (to.connection.parts(), to.stream)));
        }
    }

    /// What the application did with a stream shows only where no packet does.
    fn on_call(&mut self, record: &Record<'_>, way: Way, bytes: u64, now: u64) {
        if self.depth != Depth::Records || bytes == 0 {
            return;
        }
        if let (Some(slot), Some(id)) = (record.connection, record.stream) {
            self.connection(slot, now).stream(id, now).on_call(way, bytes, now);
        }
    }

    fn on_event(&mut self, slot: Slot, record: &Record<'_>, now: u64) {
        let words = record.words();
        let connection = self.connection(slot, now);
        if words == "connected" {
            connection.connected.get_or_insert(now);
        } else if let Some(reason) = words.strip_prefix("closed ") {
            connection.closed = Some(reason.to_owned());
        } else if let Some(id) = record.stream {
            let mark = match words.as_str() {
                "delivered" => "delivered",
                "stopped" => "stopped",
                "holds much behind a gap" => "pressure",
                "ended, as nothing moved" => "stuck",
                _ => return,
            };
            connection.stream(id, now).mark(mark, now);
        }
    }

    /// Half as many rows from now on; no, if that were too few.
    pub(crate) const fn halve(&mut self) -> bool {
        self.packets.halve();
        self.lines.halve()
    }

    /// The sums of all.
    pub(crate) fn sums(&self) -> Sums {
        let mut all = self.strays;
        for connection in self.connections.values() {
            all.add(&connection.sums);
            for stream in connection.streams.values() {
                let moved = all.moved.iter_mut().zip(stream.moved);
                let again = all.repeated.iter_mut().zip(stream.again);
                moved.chain(again).for_each(|(all, one)| *all = all.saturating_add(one));
            }
        }
        all
    }
}
