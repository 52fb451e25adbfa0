//! Sending an object that is serialised in chunks, against one that is serialised as a whole:
//!
//! `cargo bench -p aqueduct-tests --bench serialise -- [ROUNDS] [MIB]`
//!
//! The object is a list of records in memory; all ways write it by the same function, a record at a
//! time. *In chunks* it is a `StreamingSerialize` whose pieces are made as there is room for them.
//! *Whole* it is written into one vector first, which then goes as a stream, or as a whole message.
//! *Made* is writing and digesting alone: what a sender does before its socket. *Sent* goes over
//! loopback to a node that reads and drops, until that has all of it. Both nodes are in this
//! process, and both count; what they hold of a stream is the same for both ways.
//!
//! The most memory is what the allocator has given out beyond what there was before the object was
//! asked for its bytes, looked at all the time by another thread in runs whose time is not taken.
//! Rounds are interleaved and begin with another way each time; of times, the median and the range.
//!
//! Fails if chunks need no less memory than the whole by half the object.

use std::alloc::System;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use aqueduct_tokio::{
    Bytes, ChunkSource, Chunks, Connection, Endpoint, Received, StreamingSerialize, generate_key,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A chunk is closed when it has so many bytes.
const CHUNK: usize = 64 << 10;

/// One line of what is sent.
struct Record {
    id: u64,
    name: String,
    values: [u32; 8],
}

impl Record {
    fn new(id: u64) -> Self {
        let name = format!("record {}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { id, name, values: std::array::from_fn(|at| (id as u32).rotate_left(4 * at as u32)) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&(self.name.len() as u32).to_be_bytes());
        out.extend_from_slice(self.name.as_bytes());
        self.values.iter().for_each(|value| out.extend_from_slice(&value.to_be_bytes()));
    }
}

/// What is sent, and how long it is when it is written.
struct Object {
    records: Vec<Record>,
    len: u64,
}

impl Object {
    /// About `bytes` when it is written.
    fn new(bytes: u64) -> Self {
        let (mut records, mut len, mut line) = (Vec::new(), 0, Vec::new());
        while len < bytes {
            let record = Record::new(records.len() as u64);
            line.clear();
            record.write(&mut line);
            len += line.len() as u64;
            records.push(record);
        }
        Self { records, len }
    }

    /// Into a vector of the right size, which is the best case.
    fn whole(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.len as usize);
        self.records.iter().for_each(|record| record.write(&mut out));
        out.into()
    }

    fn chunks(self: &Arc<Self>) -> Chunks<impl Iterator<Item = Bytes> + Send + Unpin + use<>> {
        let (object, mut at) = (self.clone(), 0);
        let chunks = std::iter::from_fn(move || {
            let mut out = Vec::with_capacity(CHUNK + 1024);
            while let Some(record) = object.records.get(at).filter(|_| out.len() < CHUNK) {
                record.write(&mut out);
                at += 1;
            }
            (!out.is_empty()).then(|| Bytes::from(out))
        });
        Chunks::new(self.len, chunks)
    }
}

/// Two nodes that are connected.
struct Link {
    near: Connection,
    far: Connection,
    _nodes: [Endpoint; 2],
}

impl Link {
    async fn new() -> Self {
        let node = || {
            let key = generate_key().expect("a key");
            Endpoint::bind("127.0.0.1:0".parse().expect("an address"), key).expect("a socket")
        };
        let nodes = [node(), node()];
        let [client, server] = &nodes;
        let dialling = client.connect((server.node_id(), server.local_addr()));
        let taking = async { server.accept().await.expect("a guest").accept().await };
        let (near, far) = tokio::join!(dialling, taking);
        let (near, far) = (near.expect("an answer"), far.expect("a handshake"));
        Self { near, far, _nodes: nodes }
    }

    /// Reads and drops the next message; gives its length.
    async fn read(&self) -> u64 {
        match self.far.recv_auto().await.expect("a message") {
            Received::Whole(message) => message.len() as u64,
            Received::Stream(mut stream) => {
                let mut len = 0;
                while let Some(chunk) = stream.read_chunk(usize::MAX).await.expect("its bytes") {
                    len += chunk.len() as u64;
                }
                len
            }
            other => panic!("{other:?}"),
        }
    }

    async fn send(&self, way: Way, object: &Arc<Object>) {
        let sending = async {
            match way {
                Way::SentInChunks => {
                    self.near.send_auto(object.chunks()).await.expect("a verdict");
                }
                Way::SentWhole => {
                    self.near.send_auto(object.whole()).await.expect("a verdict");
                }
                _ => self.near.send_message(object.whole()).await.expect("room for it"),
            }
        };
        let ((), read) = tokio::join!(sending, self.read());
        assert_eq!(read, object.len);
    }
}

/// Writes and digests, and keeps nothing.
fn make(object: impl StreamingSerialize) -> blake3::Hash {
    let (_, mut source) = object.start_serialize();
    let (mut cx, mut hasher) = (Context::from_waker(Waker::noop()), blake3::Hasher::new());
    while let Poll::Ready(chunk) = source.poll_chunk(&mut cx) {
        match chunk.expect("memory does not fail") {
            Some(chunk) => _ = hasher.update(&chunk),
            None => break,
        }
    }
    hasher.finalize()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    MadeInChunks,
    MadeWhole,
    SentInChunks,
    SentWhole,
    /// As a whole message, which is put together by the core of the receiver.
    SentAsMessage,
}

impl Way {
    const ALL: [Self; 5] = [
        Self::MadeInChunks,
        Self::MadeWhole,
        Self::SentInChunks,
        Self::SentWhole,
        Self::SentAsMessage,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::MadeInChunks => "made, in chunks",
            Self::MadeWhole => "made, whole",
            Self::SentInChunks => "sent, in chunks as a stream",
            Self::SentWhole => "sent, whole as a stream",
            Self::SentAsMessage => "sent, whole as a message",
        }
    }

    fn run(self, runtime: &Runtime, link: &Link, object: &Arc<Object>) {
        match self {
            Self::MadeInChunks => _ = black_box(make(object.chunks())),
            Self::MadeWhole => _ = black_box(make(object.whole())),
            _ => runtime.block_on(link.send(self, object)),
        }
    }
}

/// Bytes that are allocated now.
fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// The most that was allocated during `work`, above what was before.
fn peak(work: impl FnOnce()) -> usize {
    let (before, done) = (live(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(live());
                std::thread::yield_now();
            }
            most
        });
        work();
        done.store(true, Ordering::Relaxed);
        looking.join().expect("no panic").saturating_sub(before)
    })
}

/// One line of the table.
struct Line {
    way: Way,
    took: Vec<Duration>,
    peak: usize,
}

impl Line {
    fn print(&mut self, len: u64) {
        self.took.sort();
        let ns = |took: Duration| took.as_nanos() as f64 / (len as f64 / 1e3);
        let [least, median, most] =
            [0, self.took.len() / 2, self.took.len() - 1].map(|at| ns(self.took[at]));
        let kib = self.peak / 1024;
        let name = self.way.name();
        println!("{name:<30} {median:>8.0} ns/KB ({least:>6.0} to {most:>6.0}) {kib:>8} KiB");
    }
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse::<u64>().ok());
    let (rounds, mib) = (numbers.next().unwrap_or(21), numbers.next().unwrap_or(15));
    let object = Arc::new(Object::new(mib << 20));
    assert_eq!(make(object.chunks()), make(object.whole()), "both ways write the same");
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
    let link = runtime.block_on(Link::new());
    let line = |way| Line { way, took: Vec::new(), peak: 0 };
    let mut lines = Way::ALL.map(line);
    // One round to warm up.
    for round in 0..=rounds as usize {
        for turn in 0..lines.len() {
            let line = &mut lines[(round + turn) % Way::ALL.len()];
            let began = Instant::now();
            line.way.run(&runtime, &link, &object);
            if round > 0 {
                line.took.push(began.elapsed());
            }
        }
    }
    for line in &mut lines {
        let peaks = (0..5).map(|_| peak(|| line.way.run(&runtime, &link, &object)));
        line.peak = peaks.max().unwrap_or(0);
    }
    println!("{} bytes, chunks of {CHUNK}, {rounds} rounds\n", object.len);
    println!("{:<30} median (range), most memory beyond the object, of 5 runs", "way");
    lines.iter_mut().for_each(|line| line.print(object.len));
    verdict(&lines, object.len)
}

fn verdict(lines: &[Line; 5], len: u64) -> ExitCode {
    let [made, made_whole, sent, sent_whole, message] = lines;
    let mut missed = 0;
    println!();
    for (chunks, whole) in [(made, made_whole), (sent, sent_whole), (sent, message)] {
        let time = |line: &Line| line.took[line.took.len() / 2].as_secs_f64();
        let saved = whole.peak as i64 - chunks.peak as i64;
        let (chunks_name, whole_name) = (chunks.way.name(), whole.way.name());
        let ratio = time(chunks) / time(whole);
        let kib = saved / 1024;
        println!("{chunks_name} / {whole_name}: {ratio:.2} of the time, {kib} KiB less");
        if saved < (len / 2) as i64 {
            println!("MISSED: less memory by half the object ({} KiB)", len / 2048);
            missed += 1;
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
