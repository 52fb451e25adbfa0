//! What it cost: a line for each figure of the whole, and a table of the hops.

use std::time::{Duration, Instant};

use aqueduct_tokio::{Clock, ConnectionStats, IoStats};
use blake3::Hash;
use serde_json::{Value, json};

use crate::output::Fields;
use crate::units;

use super::flow::Taken;
use super::nodes::Passed;

/// Stands for a digest where the bytes are made.
const SENT: &str = "sent";
/// Stands for a digest where nobody reads the bytes.
const PASSES_ON: &str = "passes on";

/// The columns of the hops.
const HEADS: [&str; 8] =
    ["hop", "first byte", "added", "peak held", "held back", "out of order", "rate", "BLAKE3"];

/// What stands in columns that do not say it themselves.
pub(super) const LEGEND: [&str; 5] = [
    "held back     at most, by a relay, of what came out of order: a pipe passes it on past gaps",
    "out of order  at most, above a gap: what a relay that waits for order would hold back",
    "BLAKE3  sent: the digest of what the sender made",
    "        passes on: a relay pipes the bytes and digests none of them",
    "        equal, DIFFERENT: the receiver's own digest, against the sender's",
];

/// What was seen of a transfer.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) size: u64,
    /// Until the sender was connected.
    pub(super) handshake: Duration,
    /// Until everybody was.
    pub(super) ready: Duration,
    /// When the sender began, and when the next hop had everything.
    pub(super) ends: (Instant, Instant),
    pub(super) cpu: Option<Duration>,
    pub(super) sent: Hash,
    /// The relays in the order of the way, with their clocks.
    pub(super) passed: Vec<Passed>,
    pub(super) clocks: Vec<Clock>,
    pub(super) taken: Vec<Taken>,
    /// The most bytes that came above a gap: of each relay, then of each receiver.
    pub(super) out_of_order: Vec<u64>,
    /// Of the sender's connection, and what it goes by.
    pub(super) stats: ConnectionStats,
    pub(super) carrier: &'static str,
}

/// A line for the whole, and its name and value for programs.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) label: &'static str,
    pub(super) text: String,
    pub(super) key: &'static str,
    pub(super) value: Value,
}

/// One node behind the sender.
#[derive(Debug)]
struct Hop {
    name: String,
    /// Since the sender began.
    first_byte: Option<Duration>,
    /// Since the hop before had its first byte.
    added: Option<Duration>,
    rate: u64,
    /// The most bytes held, and held back by reordering: of a relay.
    held: Option<(u64, u64)>,
    /// The most bytes that came above a gap.
    out_of_order: u64,
    /// Of a receiver.
    digest: Option<Hash>,
}

impl Measured {
    /// Whether every receiver got what was sent.
    pub(super) fn is_intact(&self) -> bool {
        self.taken.iter().all(|taken| taken.digest == self.sent)
    }

    /// From the first byte's way to the last receiver's end.
    fn time(&self) -> Duration {
        let end = self.taken.iter().map(|taken| taken.end).max();
        end.map_or(Duration::ZERO, |end| end.saturating_duration_since(self.ends.0))
    }

    /// The figures of the whole.
    pub(super) fn rows(&self, io: &(IoStats, IoStats)) -> Vec<Row> {
        let time = self.time();
        let rate = units::rate_of(self.size, time);
        let mut rows = vec![
            row("sent", units::size(self.size), "size", json!(self.size)),
            row("time", format!("{:.3} s", time.as_secs_f64()), "seconds", seconds(time)),
            row("rate", format!("{}/s", units::size(rate)), "bytes_per_second", json!(rate)),
            row("handshake", millis(self.handshake), "handshake_seconds", seconds(self.handshake)),
            row("all connected", millis(self.ready), "ready_seconds", seconds(self.ready)),
        ];
        let last = self.taken.iter().filter_map(|taken| self.since_begun(taken.first_byte)).max();
        if let Some(last) = last {
            rows.push(row("to the first byte", millis(last), "first_byte_seconds", seconds(last)));
        }
        rows.push(row("by", self.carrier.to_uppercase(), "carrier", json!(self.carrier)));
        let Self { stats, .. } = self;
        let packet = stats.datagram_size;
        for (label, key, count) in [
            ("packets sent", "packets_sent", stats.ledger.packets_sent),
            ("packets back", "packets_received", stats.acks.received),
            ("packets lost", "packets_lost", stats.ledger.lost),
        ] {
            rows.push(row(label, count.to_string(), key, json!(count)));
        }
        rows.push(row("packet size", format!("{packet} B"), "packet_size", json!(packet)));
        rows.extend(batches(io));
        if let Some(cpu) = self.cpu {
            let text = format!("{:.3} s, all nodes", cpu.as_secs_f64());
            rows.push(row("CPU time", text, "cpu_seconds", seconds(cpu)));
            let rate = units::rate_of(self.size, cpu);
            let text = format!("{} a CPU second", units::size(rate));
            rows.push(row("", text, "bytes_per_cpu_second", json!(rate)));
        }
        let equal = self.is_intact();
        let text = if equal { "equal at all ends" } else { "DIFFERENT" };
        rows.push(row("BLAKE3", text.to_owned(), "digest_equal", json!(equal)));
        rows
    }

    fn since_begun(&self, at: Option<Instant>) -> Option<Duration> {
        at.map(|at| at.saturating_duration_since(self.ends.0))
    }

    fn list(&self) -> Vec<Hop> {
        let mut hops = Vec::new();
        let mut before = Some(Duration::ZERO);
        let mut out_of_order = self.out_of_order.iter().copied();
        for ((passed, clock), number) in self.passed.iter().zip(&self.clocks).zip(1..) {
            let began = passed.stats.first_byte.and_then(|at| clock.to_std(at));
            let first_byte = self.since_begun(began);
            hops.push(Hop {
                name: format!("relay {number}"),
                first_byte,
                added: between(before, first_byte),
                rate: self.rate(began, passed.at),
                held: Some((passed.stats.most_held, passed.stats.most_waiting)),
                out_of_order: out_of_order.next().unwrap_or(0),
                digest: None,
            });
            before = first_byte;
        }
        hops.extend(self.taken.iter().zip(1..).map(|(taken, number)| {
            let first_byte = self.since_begun(taken.first_byte);
            Hop {
                name: format!("receiver {number}"),
                first_byte,
                added: between(before, first_byte),
                rate: self.rate(taken.first_byte, taken.end),
                held: None,
                out_of_order: out_of_order.next().unwrap_or(0),
                digest: Some(taken.digest),
            }
        }));
        hops
    }

    fn rate(&self, began: Option<Instant>, ended: Instant) -> u64 {
        let time = began.map(|began| ended.saturating_duration_since(began));
        time.map_or(0, |time| units::rate_of(self.size, time))
    }

    /// The table of the hops, for people.
    pub(super) fn hop_lines(&self) -> Vec<String> {
        let line = |cells: [&str; 8]| {
            let [name, first, added, held, back, above, rate, digest] = cells;
            let times = format!("{name:<12}{first:>12}{added:>12}");
            let line = format!("{times}{held:>12}{back:>12}{above:>14}{rate:>14}  {digest}");
            line.trim_end().to_owned()
        };
        let (begun, sent_at) = self.ends;
        let rate = format!("{}/s", units::size(self.rate(Some(begun), sent_at)));
        let mut lines = vec![line(HEADS), line(["sender", "", "", "", "", "", &rate, SENT])];
        lines.extend(self.list().iter().map(|hop| {
            let time = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), millis);
            let size = |size: Option<u64>| size.map_or_else(String::new, units::size);
            let digest = match hop.digest {
                None => PASSES_ON,
                Some(digest) if digest == self.sent => "equal",
                Some(_) => "DIFFERENT",
            };
            line([
                &hop.name,
                &time(hop.first_byte),
                &time(hop.added),
                &size(hop.held.map(|held| held.0)),
                &size(hop.held.map(|held| held.1)),
                &units::size(hop.out_of_order),
                &format!("{}/s", units::size(hop.rate)),
                digest,
            ])
        }));
        lines
    }

    /// The same for programs.
    pub(super) fn hops(&self) -> Value {
        let hops = self.list().into_iter().map(|hop| {
            let seconds = |time: Option<Duration>| json!(time.map(|time| time.as_secs_f64()));
            let mut fields = Fields::new();
            fields.insert("name".into(), json!(hop.name));
            fields.insert("first_byte_seconds".into(), seconds(hop.first_byte));
            fields.insert("added_seconds".into(), seconds(hop.added));
            fields.insert("bytes_per_second".into(), json!(hop.rate));
            fields.insert("peak_out_of_order_bytes".into(), json!(hop.out_of_order));
            if let Some((held, waiting)) = hop.held {
                fields.insert("peak_held_bytes".into(), json!(held));
                fields.insert("peak_held_back_bytes".into(), json!(waiting));
            }
            if let Some(digest) = hop.digest {
                fields.insert("digest_equal".into(), json!(digest == self.sent));
            }
            Value::Object(fields)
        });
        hops.collect()
    }
}

fn between(from: Option<Duration>, to: Option<Duration>) -> Option<Duration> {
    from.zip(to).map(|(from, to)| to.saturating_sub(from))
}

fn row(label: &'static str, text: String, key: &'static str, value: Value) -> Row {
    Row { label, text, key, value }
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

fn seconds(time: Duration) -> Value {
    json!(time.as_secs_f64())
}

/// How many datagrams went and came in one system call.
fn batches((sender, receiver): &(IoStats, IoStats)) -> [Row; 2] {
    let (out, back) = (sender, receiver);
    [
        batch_row("batches sent", "gso", out.gso_batches, out.gso_segments, out.gso_largest),
        batch_row("batches received", "gro", back.gro_batches, back.gro_segments, back.gro_largest),
    ]
}

fn batch_row(label: &'static str, key: &'static str, count: u64, sum: u64, largest: u64) -> Row {
    let text = match sum.saturating_mul(10).checked_div(count) {
        None => "none: one datagram a call".to_owned(),
        Some(tenths) => {
            let (mean, tenth) = (tenths / 10, tenths % 10);
            format!("{count} of {mean}.{tenth} datagrams, at most {largest}")
        }
    };
    let value = json!({"batches": count, "datagrams": sum, "largest": largest});
    row(label, text, key, value)
}

/// What this process has had of the processors.
#[cfg(unix)]
pub(super) fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(unix))]
pub(super) fn cpu_time() -> Option<Duration> {
    None
}
