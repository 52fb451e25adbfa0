//! A relay between two others, over loopback sockets: `-- --case relay`. Aqueduct pipes; quinn has
//! the loop that people write: read a chunk, write it on. Rounds are interleaved.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct_tokio::relay::{Allow, RelayConfig, RelayEvent, Way};
use aqueduct_tokio::{Endpoint, NodeAddr, OpenOptions, StreamProtocol, generate_key};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::run::cpu;

/// One round of one side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Round {
    wall: Duration,
    cpu: Duration,
    first_byte: Duration,
    /// Bytes that the relay held at most; of quinn's copy loop nobody can tell.
    held: Option<u64>,
    /// By how much the process grew, in bytes.
    grown: u64,
}

/// What the sink saw of a body.
struct Seen {
    bytes: u64,
    first_byte: Instant,
    end: Instant,
}

const BLOCK: usize = 256 << 10;
/// Opens the way before anything is measured.
const WARM: u64 = 1 << 20;

fn any() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// The most memory of the process since [`reset_peak`], and what it has now, in bytes (Linux).
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    };
    (field("VmHWM:"), field("VmRSS:"))
}

fn reset_peak() {
    let _not_everywhere = std::fs::write("/proc/self/clear_refs", "5");
}

fn blocks(bytes: u64) -> impl Iterator<Item = Bytes> {
    let block = Bytes::from(vec![7; BLOCK]);
    let sizes = (0..bytes).step_by(BLOCK).map(move |at| (bytes - at).min(BLOCK as u64) as usize);
    sizes.map(move |size| block.slice(..size))
}

/// Measures `body`, which sends so many bytes and says what the sink saw.
async fn measured(bytes: u64, body: impl Future<Output = Seen>) -> Round {
    reset_peak();
    let (_, before) = memory();
    let (began, used) = (Instant::now(), cpu());
    let seen = body.await;
    assert_eq!(seen.bytes, bytes);
    let (peak, _) = memory();
    Round {
        wall: seen.end - began,
        cpu: cpu() - used,
        first_byte: seen.first_byte - began,
        held: None,
        grown: peak.saturating_sub(before),
    }
}

pub(crate) mod ours {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint::bind(any(), generate_key().expect("a key")).expect("a socket")
    }

    fn there(node: &Endpoint) -> NodeAddr {
        NodeAddr::from((node.node_id(), node.local_addr()))
    }

    pub(crate) async fn round(bytes: u64) -> Round {
        let (source, relay, sink) = (endpoint(), endpoint(), endpoint());
        let (tell, mut held) = mpsc::unbounded_channel();
        relay.relay(RelayConfig::new(Allow::Everybody), move |event| {
            if let RelayEvent::Ended { stats, .. } = event {
                let _gone = tell.send(stats.most_held);
            }
        });
        let door = relay.clone();
        tokio::spawn(async move {
            let connection = door.accept().await.expect("a guest").accept().await.expect("it");
            connection.closed().await;
        });
        let (tell, mut seen) = mpsc::unbounded_channel();
        let taker = sink.clone();
        let (met, has_met) = oneshot::channel();
        let taking = tokio::spawn(async move {
            let connection = taker.accept().await.expect("the relay").accept().await.expect("it");
            let _gone = met.send(());
            while let Ok(mut stream) = connection.accept_uni().await {
                let tell = tell.clone();
                tokio::spawn(async move {
                    let (mut bytes, mut first_byte) = (0, None);
                    while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX).await {
                        first_byte.get_or_insert_with(Instant::now);
                        bytes += chunk.len() as u64;
                    }
                    let first_byte = first_byte.expect("a byte");
                    let _gone = tell.send(Seen { bytes, first_byte, end: Instant::now() });
                });
            }
        });
        let connection = source.connect(there(&relay)).await.expect("the relay");
        let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
        let options = OpenOptions::new(StreamProtocol::name("bench"));
        let options = way.introduce(&options).expect("a way");
        // A stream that stays open keeps the relay's connection to the sink.
        let mut open = connection.open_uni(options.clone()).await.expect("a stream");
        open.write_bytes(Bytes::from_static(b"?")).await.expect("a write");
        has_met.await.expect("the relay at the sink");
        let mut pour = async |bytes| {
            let mut send = connection.open_uni(options.clone()).await.expect("a stream");
            for block in blocks(bytes) {
                send.write_bytes(block).await.expect("a write");
            }
            send.finish().expect("an end");
            seen.recv().await.expect("the sink")
        };
        pour(WARM).await;
        held.recv().await;
        let mut round = measured(bytes, pour(bytes)).await;
        round.held = held.recv().await;
        taking.abort();
        source.close(aqueduct_tokio::AppCode(0), b"");
        source.wait_idle().await;
        round
    }
}

pub(crate) mod theirs {
    use super::*;
    use ::quinn::{ClientConfig, Connection, Endpoint, RecvStream, ServerConfig};

    fn server() -> (Endpoint, ClientConfig) {
        let (cert, key) = crate::quinn::certificate();
        let config = ServerConfig::with_single_cert(vec![cert.clone()], key).expect("a server");
        let server = Endpoint::server(config, any()).expect("a socket");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(cert).expect("a root");
        (server, ClientConfig::with_root_certificates(Arc::new(roots)).expect("a client"))
    }

    async fn connect(to: SocketAddr, config: ClientConfig) -> (Endpoint, Connection) {
        let mut client = Endpoint::client(any()).expect("a socket");
        client.set_default_client_config(config);
        let connection = client.connect(to, "localhost").expect("a name").await;
        (client, connection.expect("a connection"))
    }

    async fn copy(mut from: RecvStream, on: Connection) {
        let mut to = on.open_uni().await.expect("a stream");
        while let Ok(Some(chunk)) = from.read_chunk(usize::MAX, true).await {
            to.write_chunk(chunk.bytes).await.expect("a write");
        }
        to.finish().expect("an end");
        let _ = to.stopped().await;
    }

    pub(crate) async fn round(bytes: u64) -> Round {
        let ((relay, to_relay), (sink, to_sink)) = (server(), server());
        let (relay_at, sink_at) = (relay.local_addr(), sink.local_addr());
        let (relay_at, sink_at) = (relay_at.expect("an address"), sink_at.expect("an address"));
        let (ready, is_ready) = oneshot::channel();
        tokio::spawn(async move {
            // Its own socket towards the sink, as the sink sees a client.
            let (_client, on) = connect(sink_at, to_sink).await;
            let _gone = ready.send(());
            let connection = relay.accept().await.expect("a guest").await.expect("it");
            while let Ok(from) = connection.accept_uni().await {
                tokio::spawn(copy(from, on.clone()));
            }
        });
        let (tell, mut seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let connection = sink.accept().await.expect("the relay").await.expect("it");
            while let Ok(mut stream) = connection.accept_uni().await {
                let (mut bytes, mut first_byte) = (0, None);
                while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX, true).await {
                    first_byte.get_or_insert_with(Instant::now);
                    bytes += chunk.bytes.len() as u64;
                }
                let first_byte = first_byte.expect("a byte");
                let _gone = tell.send(Seen { bytes, first_byte, end: Instant::now() });
            }
        });
        is_ready.await.expect("the relay");
        let (client, connection) = connect(relay_at, to_relay).await;
        let mut pour = async |bytes| {
            let mut send = connection.open_uni().await.expect("a stream");
            for block in blocks(bytes) {
                send.write_chunk(block).await.expect("a write");
            }
            send.finish().expect("an end");
            seen.recv().await.expect("the sink")
        };
        pour(WARM).await;
        let round = measured(bytes, pour(bytes)).await;
        connection.close(0_u32.into(), b"");
        client.wait_idle().await;
        round
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

type Column = (&'static str, fn(&Round, f64) -> f64);

const COLUMNS: [Column; 5] = [
    ("MB/s", |round, mb| mb / round.wall.as_secs_f64()),
    ("CPU s", |round, _| round.cpu.as_secs_f64()),
    ("first byte us", |round, _| round.first_byte.as_secs_f64() * 1e6),
    ("held KiB", |round, _| round.held.map_or(f64::NAN, |held| held as f64 / 1024.0)),
    ("process grew KiB", |round, _| round.grown as f64 / 1024.0),
];

fn spread(rounds: &[Round], of: impl Fn(&Round) -> f64) -> [f64; 3] {
    let mut all: Vec<f64> = rounds.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    [all[0], all[all.len() / 2], all[all.len() - 1]]
}

fn figures(rounds: &[Round], mb: f64) -> impl Iterator<Item = (&'static str, [f64; 3])> {
    COLUMNS.iter().map(move |(name, of)| (*name, spread(rounds, |round| of(round, mb))))
}

/// Runs the rounds and shows them.
pub(crate) fn main(count: u64, bytes: u64, as_json: bool) {
    let mut both = [("Aqueduct pipe", Vec::new()), ("quinn copy loop", Vec::new())];
    for number in 0..count {
        eprintln!("round {} of {count}", number + 1);
        both[0].1.push(runtime().block_on(ours::round(bytes)));
        both[1].1.push(runtime().block_on(theirs::round(bytes)));
    }
    let mb = bytes as f64 / 1e6;
    if as_json {
        let peers = both.iter().map(|(name, rounds)| {
            let columns = figures(rounds, mb).map(|(name, [min, median, max])| {
                (name.to_owned(), serde_json::json!({"min": min, "median": median, "max": max}))
            });
            let columns: serde_json::Map<_, _> = columns.collect();
            (name.to_string(), columns.into())
        });
        let peers: serde_json::Map<String, serde_json::Value> = peers.collect();
        println!("{}", serde_json::json!({"bytes": bytes, "case": "relay", "peers": peers}));
        return;
    }
    println!("median (least to most) of {count} rounds of {mb:.0} MB through one relay; all nodes");
    print!("{:<16}", "");
    COLUMNS.iter().for_each(|(name, _)| print!("{name:>24}"));
    println!();
    for (name, rounds) in &both {
        print!("{name:<16}");
        for (column, [least, median, most]) in figures(rounds, mb) {
            let digits = if column == "CPU s" { 2 } else { 0 };
            let cell = format!("{median:.digits$} ({least:.digits$} to {most:.digits$})");
            print!("{:>24}", if median.is_nan() { "-".to_owned() } else { cell });
        }
        println!();
    }
    let pairs = both[0].1.iter().zip(&both[1].1);
    let ratios: Vec<f64> =
        pairs.map(|(ours, theirs)| theirs.wall.as_secs_f64() / ours.wall.as_secs_f64()).collect();
    println!("goodput, Aqueduct / quinn, round by round: {ratios:.2?}");
}
