//! `aqueduct demo`: both ends in this process, real sockets between them, and what it cost.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use aqueduct_tokio::{AppCode, OpenOptions, RecvStream, SendStream, StreamProtocol, generate_key};
use aqueduct_tokio::{Bytes, Config, Connection, ConnectionStats, Endpoint, IoStats, NodeKey};
use blake3::{Hash, Hasher};
use serde_json::json;

use crate::args::{Common, Demo};
use crate::exit::{Cause, Failure};
use crate::interrupt::Interrupt;
use crate::output::{Fields, Output};
use crate::progress::Progress;
use crate::units;

const PROTOCOL: StreamProtocol = StreamProtocol::name("aqueduct-demo/1");
/// Bytes that are written at a time.
const BLOCK: usize = 256 * 1024;
/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Sends generated data through loopback and shows how that went.
///
/// # Errors
/// The digests differ, or something broke on the way.
pub(super) async fn run(
    options: &Demo,
    _common: &Common,
    output: &Output,
    mut interrupt: Interrupt,
) -> Result<Fields, Failure> {
    let ends = Ends { sender: bind()?, receiver: bind()? };
    let how = interrupt.or(ends.transfer(options.size)).await;
    let (measured, stats) = match how {
        Ok(measured) => measured,
        Err(failure) => {
            ends.close().await;
            return Err(failure);
        }
    };
    let io = (ends.sender.io_stats(), ends.receiver.io_stats());
    ends.close().await;
    let rows = measured.rows(&stats, &io);
    if !output.is_json() {
        show(output, &rows);
    }
    if measured.sent != measured.received {
        return Err(Failure::new(Cause::Integrity, "the digests differ"));
    }
    let mut fields = Fields::new();
    fields.insert("command".into(), json!("demo"));
    fields.insert("bytes".into(), json!(options.size));
    fields.insert("digest".into(), json!(measured.sent.to_hex().to_string()));
    for row in rows {
        fields.insert(row.key.into(), row.value);
    }
    Ok(fields)
}

fn bind() -> Result<Endpoint, Failure> {
    let key: NodeKey = generate_key()
        .map_err(|error| Failure::new(Cause::Failure, format_args!("no randomness: {error}")))?;
    Ok(Config::new(key).bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0))?)
}

#[derive(Debug)]
struct Ends {
    sender: Endpoint,
    receiver: Endpoint,
}

impl Ends {
    async fn transfer(&self, size: u64) -> Result<(Measured, ConnectionStats), Failure> {
        let receiver = self.receiver.clone();
        let taking = tokio::spawn(async move { take(&receiver).await });
        let (cpu, begun) = (cpu_time(), Instant::now());
        let to = (self.receiver.node_id(), self.receiver.local_addr());
        let connection = self.sender.connect(to).await?;
        let handshake = begun.elapsed();
        let pouring = Instant::now();
        let stream = connection.open_uni(OpenOptions::new(PROTOCOL)).await?;
        let sent = pour(stream, size).await?;
        let taken = taking.await.map_err(|error| Failure::new(Cause::Failure, error))??;
        let measured = Measured {
            size,
            handshake,
            first_byte: taken.first_byte.map(|at| at.saturating_duration_since(begun)),
            time: taken.end.saturating_duration_since(pouring),
            cpu: cpu_time().zip(cpu).map(|(after, before)| after.saturating_sub(before)),
            sent,
            received: taken.digest,
        };
        let stats = connection.stats().await;
        connection.close(AppCode(0), b"done");
        Ok((measured, stats))
    }

    async fn close(&self) {
        for end in [&self.sender, &self.receiver] {
            end.close(AppCode(0), b"done");
        }
        for end in [&self.sender, &self.receiver] {
            if tokio::time::timeout(GOODBYE, end.wait_idle()).await.is_err() {
                tracing::debug!("the goodbye was not heard");
            }
        }
    }
}

/// What the receiving end saw.
#[derive(Debug)]
struct Taken {
    first_byte: Option<Instant>,
    end: Instant,
    digest: Hash,
    /// Held so that the sender is the one who closes.
    _connection: Connection,
}

async fn take(receiver: &Endpoint) -> Result<Taken, Failure> {
    let incoming = receiver.accept().await;
    let incoming = incoming.ok_or_else(|| Failure::new(Cause::Failure, "nobody came"))?;
    let connection = incoming.accept().await?;
    let mut stream: RecvStream = connection.accept_uni().await?;
    let (mut hasher, mut first_byte) = (Hasher::new(), None);
    while let Some(bytes) = stream.read_chunk(BLOCK).await? {
        first_byte.get_or_insert_with(Instant::now);
        hasher.update(&bytes);
    }
    let end = Instant::now();
    Ok(Taken { first_byte, end, digest: hasher.finalize(), _connection: connection })
}

/// Writes `size` bytes that nobody could guess at a place, and returns their digest.
async fn pour(mut stream: SendStream, size: u64) -> Result<Hash, Failure> {
    let mut noise = vec![0; BLOCK];
    Hasher::new().update(b"aqueduct demo").finalize_xof().fill(&mut noise);
    let progress = Progress::new("sending to myself", Some(size));
    let mut hasher = Hasher::new();
    let mut at = 0;
    while at < size {
        let len = usize::try_from(size - at).unwrap_or(BLOCK).min(BLOCK);
        let mut block: Vec<u8> = noise.iter().copied().take(len).collect();
        // Where it stands is part of it, so that no block may take another's place.
        block.iter_mut().zip(at.to_le_bytes()).for_each(|(byte, place)| *byte ^= place);
        hasher.update(&block);
        stream.write_bytes(Bytes::from(block)).await?;
        progress.add(len);
        at += len as u64;
    }
    stream.delivered().await?;
    progress.clear();
    Ok(hasher.finalize())
}

#[derive(Debug)]
struct Measured {
    size: u64,
    handshake: Duration,
    first_byte: Option<Duration>,
    time: Duration,
    cpu: Option<Duration>,
    sent: Hash,
    received: Hash,
}

/// A line of the table, and its name and value for programs.
#[derive(Debug)]
struct Row {
    label: &'static str,
    text: String,
    key: &'static str,
    value: serde_json::Value,
}

impl Measured {
    fn rows(&self, stats: &ConnectionStats, io: &(IoStats, IoStats)) -> Vec<Row> {
        let row = |label, text, key, value| Row { label, text, key, value };
        let millis = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
        let seconds = |time: Duration| json!(time.as_secs_f64());
        let rate = units::rate_of(self.size, self.time);
        let mut rows = vec![
            row("sent", units::size(self.size), "size", json!(self.size)),
            row("time", format!("{:.3} s", self.time.as_secs_f64()), "seconds", seconds(self.time)),
            row("rate", format!("{}/s", units::size(rate)), "bytes_per_second", json!(rate)),
            row("handshake", millis(self.handshake), "handshake_seconds", seconds(self.handshake)),
        ];
        if let Some(first) = self.first_byte {
            rows.push(row(
                "to the first byte",
                millis(first),
                "first_byte_seconds",
                seconds(first),
            ));
        }
        let packets = stats.ledger.packets_sent;
        rows.push(row("packets sent", packets.to_string(), "packets_sent", json!(packets)));
        let got = stats.acks.received;
        rows.push(row("packets back", got.to_string(), "packets_received", json!(got)));
        let lost = stats.ledger.lost;
        rows.push(row("packets lost", lost.to_string(), "packets_lost", json!(lost)));
        let packet = stats.datagram_size;
        rows.push(row("packet size", format!("{packet} B"), "packet_size", json!(packet)));
        rows.extend(batches(io));
        if let Some(cpu) = self.cpu {
            let text = format!("{:.3} s, both ends", cpu.as_secs_f64());
            rows.push(row("CPU time", text, "cpu_seconds", seconds(cpu)));
            let rate = units::rate_of(self.size, cpu);
            let text = format!("{} a CPU second", units::size(rate));
            rows.push(row("", text, "bytes_per_cpu_second", json!(rate)));
        }
        let equal = self.sent == self.received;
        let text = if equal { "equal at both ends" } else { "DIFFERENT" };
        rows.push(row("BLAKE3", text.to_owned(), "digest_equal", json!(equal)));
        rows
    }
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
    Row { label, text, key, value }
}

fn show(output: &Output, rows: &[Row]) {
    let width = rows.iter().map(|row| row.label.len()).max().unwrap_or(0);
    for row in rows {
        output.line(&format!("{:width$}  {}", row.label, row.text));
    }
}

/// What this process has had of the processors.
#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}
