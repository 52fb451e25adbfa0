//! qlog (drafts 13 of main schema and QUIC events) as JSON text sequences.

use std::io::{self, Write};
use std::time::Duration;

use aqueduct_core::tape::{Op, Outcome, Slot};
use aqueduct_core::time::Instant;
use aqueduct_core::trace::{Content, Divergence, Packet, Record, Seen, Topic, Trace, View, Vitals};
use aqueduct_core::trace::{Way, What};
use aqueduct_core::wire::header::PacketType;
use aqueduct_core::wire::id::PacketNumber;
use serde_json::{Value, json};

use super::frames::put;
use super::{Writer, frames, millis, name};

/// The events that QUIC has.
const QUIC: &str = "urn:ietf:params:qlog:events:quic-13";
/// Those that are this project's own.
const OWN: &str = "https://github.com/aqueduct-net/aqueduct/112026/qlog";

/// Writes one event after the other.
pub(super) struct Qlog<'a> {
    out: &'a mut dyn Write,
}

impl<'a> Qlog<'a> {
    /// With its head.
    pub(super) fn begin(head: &Trace<'_>, out: &'a mut dyn Write) -> io::Result<Self> {
        let mut qlog = Self { out };
        qlog.record(&json!({
            "file_schema": "urn:ietf:params:qlog:file:sequential",
            "serialization_format": "application/qlog+json-seq",
            "title": head.label(),
            "trace": {
                "vantage_point": {"name": head.label(), "type": "unknown"},
                "common_fields": {
                    "time_format": "relative_to_epoch",
                    "reference_time": {"clock_type": "monotonic", "epoch": "unknown"},
                },
                "event_schemas": [QUIC, OWN],
            },
        }))?;
        Ok(qlog)
    }

    fn record(&mut self, value: &Value) -> io::Result<()> {
        self.out.write_all(b"\x1e")?;
        serde_json::to_writer(&mut *self.out, value)?;
        self.out.write_all(b"\n")
    }

    fn event(
        &mut self,
        time: Instant,
        of: Option<Slot>,
        called: &str,
        data: Value,
    ) -> io::Result<()> {
        let mut event = json!({"time": millis(time), "name": called, "data": data});
        if let Some(slot) = of {
            put(&mut event, "group_id", name(slot).into());
        }
        self.record(&event)
    }

    fn packet(&mut self, time: Instant, packet: &Packet) -> io::Result<()> {
        let mut header = json!({"packet_type": packet_type(&packet.content)});
        if let Content::Data { number, phase, .. } = &packet.content {
            put(&mut header, "packet_number", number.0.into());
            put(&mut header, "key_phase", (*phase).into());
        }
        let mut data = json!({"header": header, "raw": {"length": packet.size}});
        if let Some(frames) = frames::of(packet) {
            put(&mut data, "frames", frames.into());
        }
        let called = match packet.way {
            Way::Sent => "quic:packet_sent",
            Way::Received => "quic:packet_received",
        };
        self.event(time, packet.connection, called, data)
    }

    fn lost(&mut self, time: Instant, of: Slot, numbers: &[PacketNumber]) -> io::Result<()> {
        for number in numbers {
            let header = json!({"packet_type": "1RTT", "packet_number": number.0});
            self.event(time, Some(of), "quic:packet_lost", json!({"header": header}))?;
        }
        Ok(())
    }

    fn tape_record(&mut self, record: &Record<'_>) -> io::Result<()> {
        let (time, of) = (record.time, record.connection);
        if let (Op::Event | Op::EventHere, What::Event(..)) = (record.op, &record.what) {
            let words = record.words();
            if words == "connected" {
                let data = json!({"new": "handshake_completed"});
                self.event(time, of, "quic:connection_state_updated", data)?;
            } else if let Some(reason) = words.strip_prefix("closed ") {
                self.event(time, of, "quic:connection_closed", json!({"reason": reason}))?;
            }
        }
        if let What::Connect(to, Outcome::Done(_)) = &record.what {
            let data = json!({"new": "attempted", "aqueduct_remote": to.remote.to_string()});
            self.event(time, of, "quic:connection_state_updated", data)?;
        }
        let called = match Topic::of(record.op) {
            Topic::Event => "aqueduct:event",
            Topic::Call => "aqueduct:call",
            Topic::Carrier => "aqueduct:carrier",
            _ => return Ok(()),
        };
        let mut data = json!({"what": format!("{:?}", record.op), "words": record.words()});
        if let Some(stream) = record.stream {
            put(&mut data, "stream_id", stream.0.into());
        }
        self.event(time, of, called, data)
    }
}

impl Writer for Qlog<'_> {
    fn see(&mut self, view: &View<'_>) -> io::Result<()> {
        let time = view.time;
        match &view.what {
            Seen::Record(record) => self.tape_record(record),
            Seen::Packet(packet) => self.packet(time, packet),
            Seen::Acked(slot, numbers) => {
                let data = json!({
                    "packet_number_space": "application_data",
                    "packet_numbers": plain(numbers),
                });
                self.event(time, Some(*slot), "quic:packets_acked", data)
            }
            Seen::Lost(slot, numbers) => self.lost(time, *slot, numbers),
            Seen::Spurious(slot, numbers) => {
                let data = json!({"packet_numbers": plain(numbers)});
                self.event(time, Some(*slot), "aqueduct:packets_arrived_after_all", data)
            }
            Seen::Vitals(slot, vitals) => {
                self.event(time, Some(*slot), "quic:recovery_metrics_updated", metrics(vitals))
            }
            Seen::Piped(held) => {
                self.event(time, None, "aqueduct:pipes_hold", json!({"bytes": held}))
            }
            _ => Ok(()),
        }
    }

    fn diverged(&mut self, why: &Divergence) -> io::Result<()> {
        let data = json!({"words": why.to_string()});
        self.event(Instant::ZERO, None, "aqueduct:diverged", data)
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn plain(numbers: &[PacketNumber]) -> Vec<u64> {
    numbers.iter().map(|number| number.0).collect()
}

fn metrics(vitals: &Vitals) -> Value {
    let mut data = json!({
        "congestion_window": vitals.window,
        "bytes_in_flight": vitals.flight,
        "pacing_rate": vitals.pacing.saturating_mul(8),
    });
    if let Some(threshold) = vitals.threshold {
        put(&mut data, "ssthresh", threshold.into());
    }
    if let Some(rtt) = vitals.rtt {
        let millis = |time: Duration| Value::from(time.as_secs_f64() * 1_000.0);
        put(&mut data, "min_rtt", millis(rtt.min));
        put(&mut data, "smoothed_rtt", millis(rtt.smoothed));
        put(&mut data, "latest_rtt", millis(rtt.latest));
        put(&mut data, "rtt_variance", millis(rtt.variance));
    }
    data
}

const fn packet_type(content: &Content) -> &'static str {
    match content {
        Content::Data { .. } => "1RTT",
        Content::Handshake(kind) => match kind {
            PacketType::I1 | PacketType::X1 => "initial",
            PacketType::Retry => "retry",
            PacketType::Version => "version_negotiation",
            _ => "handshake",
        },
        Content::Reset => "stateless_reset",
        _ => "unknown",
    }
}
