//! `--case relay`, `--case fan`: through a relay to one receiver, or to four. Aqueduct pipes; quinn
//! has the loop that people write: read a chunk, write it on.
//!
//! The relay is a process of its own, begun anew for each round, so that its CPU time and its
//! memory are read for it alone. Source and sinks share this process, and their threads.
//!
//! Every sink, of both, takes the BLAKE3 digest of what it is given, and it has to be the body's.

pub(crate) mod ours;
pub(crate) mod process;
pub(crate) mod theirs;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use blake3::{Hash, Hasher};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::ends::{Used, used};
use process::{Cost, Relay};

/// What a round gives. *peak MiB* is all that the relay's process had resident at most (`VmHWM`),
/// *grew* what of it came on top while the body flowed, *held* what the pipe itself counts.
pub(crate) const COLUMNS: [&str; 8] = [
    "MB/s",
    "relay CPU s",
    "relay ns/KB",
    "CPU s, all",
    "first byte us",
    "peak MiB",
    "grew KiB",
    "held KiB",
];

const BLOCK: usize = 256 << 10;
/// Opens the way before anything is measured.
const WARM: u64 = 1 << 20;
/// One body's first byte says little: it is the median of so many bodies, one after the other.
const SMALLS: usize = 50;
const SMALL: u64 = 16 << 10;

/// A body to send, and what everybody has to get.
struct Body {
    bytes: u64,
    digest: Hash,
}

impl Body {
    /// Its digest is taken here, before any time is.
    fn new(bytes: u64) -> Self {
        let mut hasher = Hasher::new();
        blocks(bytes).for_each(|block| _ = hasher.update(&block));
        Self { bytes, digest: hasher.finalize() }
    }

    fn blocks(&self) -> impl Iterator<Item = Bytes> {
        blocks(self.bytes)
    }
}

/// The bodies of a round: one to open the way, many small ones, and the one that is measured.
fn bodies(bytes: u64) -> (Vec<Body>, Body) {
    let first = [WARM].into_iter().chain([SMALL; SMALLS]).map(Body::new);
    (first.collect(), Body::new(bytes))
}

/// Parts of one block, each from a place of its own, so that no two of them are exchanged unseen.
fn blocks(bytes: u64) -> impl Iterator<Item = Bytes> {
    const PLACES: usize = 4096;
    let mut words = Hasher::new().finalize_xof();
    let mut block = vec![0; BLOCK + PLACES];
    words.fill(&mut block);
    let block = Bytes::from(block);
    let sizes = (0..bytes).step_by(BLOCK).map(move |at| (bytes - at).min(BLOCK as u64) as usize);
    sizes.enumerate().map(move |(nth, size)| block.slice(nth % PLACES..nth % PLACES + size))
}

/// What a sink saw of a body.
struct Seen {
    bytes: u64,
    digest: Hash,
    first_byte: Instant,
    end: Instant,
}

/// A body as far as a sink has it.
#[derive(Default)]
struct Tally {
    bytes: u64,
    hasher: Hasher,
    first_byte: Option<Instant>,
}

impl Tally {
    fn add(&mut self, chunk: &[u8]) {
        self.first_byte.get_or_insert_with(Instant::now);
        self.bytes += chunk.len() as u64;
        self.hasher.update(chunk);
    }

    fn end(self, tell: &mpsc::UnboundedSender<Seen>) {
        let first_byte = self.first_byte.expect("a byte");
        let (bytes, digest) = (self.bytes, self.hasher.finalize());
        let _gone = tell.send(Seen { bytes, digest, first_byte, end: Instant::now() });
    }
}

/// A body before it is sent.
struct Before {
    began: Instant,
    used: Used,
}

fn any() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

impl Before {
    fn now() -> Self {
        Self { began: Instant::now(), used: used() }
    }

    /// Waits until each of `fan` sinks has all of it, and the same.
    async fn until(
        self,
        body: &Body,
        fan: usize,
        seen: &mut mpsc::UnboundedReceiver<Seen>,
    ) -> Passed {
        let (mut end, mut first_byte) = (self.began, self.began);
        for _ in 0..fan {
            let one = seen.recv().await.expect("a sink");
            assert_eq!((one.bytes, one.digest), (body.bytes, body.digest));
            (end, first_byte) = (end.max(one.end), first_byte.max(one.first_byte));
        }
        let ends_cpu = used().since(self.used).all().as_secs_f64();
        let seconds = |at: Instant| (at - self.began).as_secs_f64();
        Passed { bytes: body.bytes, ends_cpu, first_byte: seconds(first_byte), took: seconds(end) }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a body was like for source and sinks. Times in seconds.
struct Passed {
    bytes: u64,
    ends_cpu: f64,
    /// Until every sink had one: the median of many bodies.
    first_byte: f64,
    took: f64,
}

impl Passed {
    /// With what the relay's process says of the same time.
    fn figures(&self, relay: &Cost) -> Vec<f64> {
        let cpu = relay.cpu.as_secs_f64();
        vec![
            self.bytes as f64 / 1e6 / self.took,
            cpu,
            relay.cpu.as_nanos() as f64 / (self.bytes as f64 / 1e3),
            cpu + self.ends_cpu,
            self.first_byte * 1e6,
            relay.peak as f64 / f64::from(1 << 20),
            relay.peak.saturating_sub(relay.before) as f64 / 1024.0,
            relay.held.map_or(f64::NAN, |held| held as f64 / 1024.0),
        ]
    }
}
