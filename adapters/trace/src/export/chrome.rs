//! Chrome's trace event format: JSON, as Perfetto opens it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use aqueduct_core::tape::{Outcome, Slot};
use aqueduct_core::time::Instant;
use aqueduct_core::trace::{
    Divergence, Packet, Record, Seen, Topic, Trace, View, Vitals, Way, What,
};
use aqueduct_core::wire::frame::Frame;
use aqueduct_core::wire::id::StreamId;
use serde_json::{Value, json};

use super::{Writer, micros, name};
use crate::words;

/// The endpoint itself is process 0; connections are numbered from 1, as they come.
const ENDPOINT: usize = 0;
/// Thread of a connection's own events; those of streams are numbered behind it.
const OWN: u64 = 0;

/// A stream, until it is written as one slice.
struct Lane {
    from: Instant,
    until: Instant,
    protocol: Option<String>,
    /// Bytes of frames there and back, those that went again included.
    bytes: [u64; 2],
}

/// Writes events as they come; slices when they are whole, at the end.
pub(super) struct Chrome<'a> {
    out: &'a mut dyn Write,
    first: bool,
    processes: BTreeMap<Slot, usize>,
    lanes: BTreeMap<(Slot, u64), Lane>,
    /// The last values of each connection's counters: only what has changed is said.
    counters: BTreeMap<(usize, &'static str), u64>,
}

impl<'a> Chrome<'a> {
    /// With its head.
    pub(super) fn begin(head: &Trace<'_>, out: &'a mut dyn Write) -> io::Result<Self> {
        out.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
        let (processes, lanes, counters) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut chrome = Self { out, first: true, processes, lanes, counters };
        let label = head.label();
        chrome.name(ENDPOINT, None, if label.is_empty() { "endpoint" } else { &label })?;
        Ok(chrome)
    }

    fn event(&mut self, event: &Value) -> io::Result<()> {
        self.out.write_all(if self.first { b"\n" } else { b",\n" })?;
        self.first = false;
        serde_json::to_writer(&mut *self.out, event).map_err(io::Error::from)
    }

    fn name(&mut self, process: usize, thread: Option<u64>, called: &str) -> io::Result<()> {
        let what = if thread.is_some() { "thread_name" } else { "process_name" };
        let tid = thread.unwrap_or(OWN);
        let args = json!({"name": called});
        self.event(&json!({"ph": "M", "name": what, "pid": process, "tid": tid, "args": args}))
    }

    fn process(&mut self, slot: Slot) -> io::Result<usize> {
        if let Some(known) = self.processes.get(&slot) {
            return Ok(*known);
        }
        let process = self.processes.len() + 1;
        self.processes.insert(slot, process);
        self.name(process, None, &format!("connection {}", name(slot)))?;
        self.name(process, Some(OWN), "events")?;
        Ok(process)
    }

    fn instant(
        &mut self,
        time: Instant,
        process: usize,
        called: &str,
        args: &Value,
    ) -> io::Result<()> {
        let ts = micros(time);
        self.event(&json!({
            "ph": "i", "s": "t", "name": called, "pid": process, "tid": OWN, "ts": ts, "args": args,
        }))
    }

    fn counter(
        &mut self,
        time: Instant,
        process: usize,
        called: &'static str,
        (value, unit, raw): (f64, &str, u64),
    ) -> io::Result<()> {
        if self.counters.insert((process, called), raw) == Some(raw) {
            return Ok(());
        }
        let args = json!({unit: value});
        let ts = micros(time);
        self.event(&json!({"ph": "C", "name": called, "pid": process, "ts": ts, "args": args}))
    }

    fn vitals(&mut self, time: Instant, slot: Slot, vitals: &Vitals) -> io::Result<()> {
        let process = self.process(slot)?;
        let bytes = |bytes: u64| (bytes as f64, "bytes", bytes);
        self.counter(time, process, "congestion window", bytes(vitals.window))?;
        self.counter(time, process, "in flight", bytes(vitals.flight))?;
        self.counter(time, process, "held for the peer", bytes(vitals.held))?;
        let rate = (vitals.pacing as f64 * 8e-6, "Mbit/s", vitals.pacing);
        self.counter(time, process, "pacing rate", rate)?;
        if let Some(rtt) = vitals.rtt {
            for (called, length) in
                [("round trip, smoothed", rtt.smoothed), ("round trip, sample", rtt.latest)]
            {
                let raw = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
                self.counter(time, process, called, (length.as_secs_f64() * 1e3, "ms", raw))?;
            }
        }
        Ok(())
    }

    fn packet(&mut self, time: Instant, packet: &Packet) {
        let Some(slot) = packet.connection else { return };
        for frame in packet.frames().into_iter().flatten().flatten() {
            match frame {
                Frame::Stream(frame) => {
                    let bytes = frame.data.len() as u64;
                    self.moved(time, slot, frame.id, packet.way, bytes);
                }
                Frame::Open(open) => {
                    let lane = self.lane(time, slot, open.id);
                    lane.protocol = Some(words::protocol(open.protocol));
                }
                _ => {}
            }
        }
    }

    fn moved(&mut self, time: Instant, slot: Slot, id: StreamId, way: Way, bytes: u64) {
        let lane = self.lane(time, slot, id);
        let side = usize::from(way == Way::Received);
        if let Some(all) = lane.bytes.get_mut(side) {
            *all = all.saturating_add(bytes);
        }
    }

    fn lane(&mut self, time: Instant, slot: Slot, id: StreamId) -> &mut Lane {
        let new = || Lane { from: time, until: time, protocol: None, bytes: [0; 2] };
        let lane = self.lanes.entry((slot, id.0)).or_insert_with(new);
        lane.until = time;
        lane
    }

    fn record(&mut self, record: &Record<'_>) -> io::Result<()> {
        // Streams show by the application's calls where no packet is opened.
        if let (Some(slot), Some(id)) = (record.connection, record.stream) {
            match record.what {
                What::Write(_, _, Outcome::Done(_)) | What::Take(_, _, Outcome::Done(_)) => {
                    self.lane(record.time, slot, id);
                }
                _ => {}
            }
        }
        if Topic::of(record.op) != Topic::Event {
            return Ok(());
        }
        let process = match record.connection {
            Some(slot) => self.process(slot)?,
            None => ENDPOINT,
        };
        let mut words = record.words();
        if words.is_empty() {
            words = format!("{:?}", record.op);
        }
        let args = json!({"record": record.step, "stream": record.stream.map(|id| id.0)});
        self.instant(record.time, process, &words, &args)
    }
}

impl Writer for Chrome<'_> {
    fn see(&mut self, view: &View<'_>) -> io::Result<()> {
        match &view.what {
            Seen::Record(record) => self.record(record),
            Seen::Packet(packet) => {
                self.packet(view.time, packet);
                Ok(())
            }
            Seen::Lost(slot, numbers) => {
                let process = self.process(*slot)?;
                numbers.iter().try_for_each(|number| {
                    self.instant(view.time, process, "lost", &json!({"packet": number.0}))
                })
            }
            Seen::Spurious(slot, numbers) => {
                let process = self.process(*slot)?;
                numbers.iter().try_for_each(|number| {
                    let args = json!({"packet": number.0});
                    self.instant(view.time, process, "arrived after all", &args)
                })
            }
            Seen::Vitals(slot, vitals) => self.vitals(view.time, *slot, vitals),
            Seen::Piped(held) => {
                let value = (*held as f64, "bytes", *held);
                self.counter(view.time, ENDPOINT, "held in pipes", value)
            }
            _ => Ok(()),
        }
    }

    fn diverged(&mut self, why: &Divergence) -> io::Result<()> {
        let args = json!({"words": why.to_string()});
        self.instant(Instant::ZERO, ENDPOINT, "this core does something else", &args)
    }

    fn end(&mut self) -> io::Result<()> {
        for ((slot, id), lane) in std::mem::take(&mut self.lanes) {
            let process = self.process(slot)?;
            let (stream, thread) = (StreamId(id), id + 1);
            let called = match &lane.protocol {
                Some(protocol) => format!("{stream:?} {protocol}"),
                None => format!("{stream:?}"),
            };
            self.name(process, Some(thread), &format!("stream {stream:?}"))?;
            let (from, until) = (micros(lane.from), micros(lane.until));
            self.event(&json!({
                "ph": "X", "name": called, "cat": "stream", "pid": process, "tid": thread,
                "ts": from, "dur": until - from,
                "args": {"bytes out": lane.bytes[0], "bytes in": lane.bytes[1]},
            }))?;
        }
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()
    }
}
