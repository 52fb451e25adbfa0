//! The rounds, the clock and the table.

use std::future::Future;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// One peer's figures of one round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    wall: Duration,
    cpu: Duration,
    latencies: Vec<Duration>,
}

/// What is measured: a bulk transfer on one stream, and small requests one after the other.
pub(crate) trait Peer {
    /// Name in the table.
    const NAME: &'static str;
    /// A server and a client that is connected to it.
    fn connect() -> impl Future<Output = Self>;
    /// Sends `bytes` on one stream and waits until the receiver has read all of it.
    fn bulk(&mut self, bytes: u64) -> impl Future<Output = ()>;
    /// Sends 64 bytes on a long stream and waits for 64 bytes back.
    fn request(&mut self) -> impl Future<Output = ()>;
    /// Ends it.
    fn close(self) -> impl Future<Output = ()>;
}

const REQUESTS: usize = 1000;

/// What the process has used so far, in user and system mode together.
pub(crate) fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

fn round<P: Peer>(bytes: u64) -> Round {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut peer = P::connect().await;
        peer.bulk(1 << 20).await;
        let (started, used) = (Instant::now(), cpu());
        peer.bulk(bytes).await;
        let (wall, cpu) = (started.elapsed(), cpu() - used);
        let mut latencies = Vec::with_capacity(REQUESTS);
        for _ in 0..REQUESTS {
            let asked = Instant::now();
            peer.request().await;
            latencies.push(asked.elapsed());
        }
        peer.close().await;
        latencies.sort();
        Round { wall, cpu, latencies }
    })
}

struct Figures {
    name: &'static str,
    rounds: Vec<Round>,
}

impl Figures {
    /// Least, median and most of what `of` gives for the rounds.
    fn spread(&self, of: impl Fn(&Round) -> f64) -> [f64; 3] {
        let mut all: Vec<f64> = self.rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        [all[0], all[all.len() / 2], all[all.len() - 1]]
    }
}

fn quantile(round: &Round, thousandths: usize) -> f64 {
    let at = (round.latencies.len() * thousandths / 1000).min(round.latencies.len() - 1);
    round.latencies[at].as_secs_f64() * 1e6
}

pub(crate) fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str, default: u64| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    // Two providers are compiled in; the faster one serves all who use rustls.
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.install_default().expect("nobody chose before");
    let (rounds, bytes) = (value("--rounds", 5), value("--size", 512) << 20);
    let as_json = args.iter().any(|arg| arg == "--json");
    if args.windows(2).any(|pair| pair[0] == "--case" && pair[1] == "relay") {
        return super::relay::main(rounds, bytes, as_json);
    }
    let mut all = [
        Figures { name: super::aqueduct::Aqueduct::NAME, rounds: Vec::new() },
        Figures { name: super::quinn::Quinn::NAME, rounds: Vec::new() },
        Figures { name: super::tls::Tls::NAME, rounds: Vec::new() },
    ];
    for number in 0..rounds {
        eprintln!("round {} of {rounds}", number + 1);
        all[0].rounds.push(round::<super::aqueduct::Aqueduct>(bytes));
        all[1].rounds.push(round::<super::quinn::Quinn>(bytes));
        all[2].rounds.push(round::<super::tls::Tls>(bytes));
    }
    let ratios = ratios(&all);
    if as_json {
        json(&all, bytes)
    } else {
        table(&all, bytes)
    }
    println!("goodput per CPU second, Aqueduct / quinn, round by round: {ratios:.2?}");
}

fn ratios(all: &[Figures]) -> Vec<f64> {
    let pairs = all[0].rounds.iter().zip(&all[1].rounds);
    pairs.map(|(ours, theirs)| theirs.cpu.as_secs_f64() / ours.cpu.as_secs_f64()).collect()
}

type Column = (&'static str, fn(&Round, f64) -> f64);

const COLUMNS: [Column; 5] = [
    ("MB/s", |round, mb| mb / round.wall.as_secs_f64()),
    ("MB per CPU s", |round, mb| mb / round.cpu.as_secs_f64()),
    ("64 B p50 us", |round, _| quantile(round, 500)),
    ("p95 us", |round, _| quantile(round, 950)),
    ("p99 us", |round, _| quantile(round, 990)),
];

fn table(all: &[Figures], bytes: u64) {
    let mb = bytes as f64 / 1e6;
    println!("median (least to most) of {} rounds; CPU of both ends together", all[0].rounds.len());
    print!("{:<14}", "");
    COLUMNS.iter().for_each(|(name, _)| print!("{name:>26}"));
    println!();
    for figures in all {
        print!("{:<14}", figures.name);
        for (_, of) in COLUMNS {
            let [least, median, most] = figures.spread(|round| of(round, mb));
            print!("{:>26}", format!("{median:.0} ({least:.0} to {most:.0})"));
        }
        println!();
    }
}

fn json(all: &[Figures], bytes: u64) {
    let mb = bytes as f64 / 1e6;
    let peers = all.iter().map(|figures| {
        let columns = COLUMNS.iter().map(|(name, of)| {
            let [least, median, most] = figures.spread(|round| of(round, mb));
            (name.to_string(), serde_json::json!({"min": least, "median": median, "max": most}))
        });
        let columns: serde_json::Map<String, serde_json::Value> = columns.collect();
        (figures.name.to_owned(), columns.into())
    });
    let peers: serde_json::Map<String, serde_json::Value> = peers.collect();
    println!("{}", serde_json::json!({ "bytes": bytes, "peers": peers }));
}
