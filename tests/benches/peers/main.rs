//! Aqueduct beside its peers, in one process and one run:
//! `cargo bench -p aqueduct-tests --features peers --bench peers -- [--case CASE] [--rounds N]
//! [--size MIB] [--count N] [--only NAME] [--json]`.
//!
//! Cases, one after the other unless one is named: `bulk` (one stream), `streams` (eight),
//! `requests` (64 B and 1 KiB), `handshakes`, `idle`, `memory` (no sockets), `relay` (one receiver),
//! `fan` (four), `paths` (bad ones, in user space: needs root). Rounds are interleaved; figures are medians with their range, ratios are taken
//! round by round. All send datagrams of 1,452 bytes, but for the row that says so; TCP has its own
//! segments. Each node has
//! threads of its own, and a relay is a process of its own.

mod aqueduct;
mod bulk;
mod certificate;
mod connections;
mod ends;
mod figures;
#[path = "../pair/run.rs"]
mod pair;
mod paths;
mod peer;
mod proto;
mod quinn;
mod raw;
mod relay;
mod requests;
mod road;
mod s2n;
mod serve;
mod tls;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use aqueduct::{Aqueduct, Jumbo};
use aqueduct_core::crypto::provider::Provider;
use figures::{Contestant, Figures, Rounds};
use peer::Peer;
use quinn::Quinn;
use road::Road;
use s2n::S2n;
use tls::Tls;

/// What the command line says.
struct Options {
    case: Option<String>,
    rounds: Rounds,
    /// Bytes of a bulk transfer.
    bytes: u64,
    /// Idle connections.
    count: usize,
    json: bool,
}

const CASES: [&str; 9] =
    ["bulk", "streams", "requests", "handshakes", "idle", "memory", "relay", "fan", "paths"];

fn options() -> Options {
    let args: Vec<String> = std::env::args().collect();
    let text = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let number = |name: &str, default: u64| {
        text(name).map_or(default, |value| value.parse().expect("a number"))
    };
    Options {
        case: text("--case"),
        rounds: Rounds { count: number("--rounds", 5), only: text("--only") },
        bytes: number("--size", 512) << 20,
        count: number("--count", 2_000) as usize,
        json: args.iter().any(|arg| arg == "--json"),
    }
}

fn four<const N: usize>(
    title: String,
    columns: &'static [&'static str; N],
    rounds: &Rounds,
    [ours, quinn, s2n, tls]: [fn(u64) -> Vec<f64>; 4],
    what: u64,
) -> Figures {
    let contestants = vec![
        Contestant::new(Aqueduct::NAME, move || ours(what)),
        Contestant::new(Quinn::NAME, move || quinn(what)),
        Contestant::new(S2n::NAME, move || s2n(what)),
        Contestant::new(Tls::NAME, move || tls(what)),
    ];
    Figures::measure(title, columns, rounds, contestants)
}

/// The same generic round of each peer.
macro_rules! of_each {
    ($what:ident => $($call:tt)+) => {
        [
            |$what| { type P = Aqueduct; $($call)+ },
            |$what| { type P = Quinn; $($call)+ },
            |$what| { type P = S2n; $($call)+ },
            |$what| { type P = Tls; $($call)+ },
        ]
    };
}

fn bulk(options: &Options) -> Figures {
    let bytes = options.bytes;
    let raw = |segments| move || raw::round(bytes, segments);
    let contestants = vec![
        Contestant::new(Aqueduct::NAME, move || bulk::round::<Aqueduct>(bytes, 1)),
        Contestant::new(Jumbo::NAME, move || bulk::round::<Jumbo>(bytes, 1)),
        Contestant::new(Quinn::NAME, move || bulk::round::<Quinn>(bytes, 1)),
        Contestant::new(S2n::NAME, move || bulk::round::<S2n>(bytes, 1)),
        Contestant::new(Tls::NAME, move || bulk::round::<Tls>(bytes, 1)),
        Contestant::new("raw UDP, 44 a call", raw(44)),
        Contestant::new("raw UDP, 10 a call", raw(10)),
    ];
    let title = format!("bulk, one stream of {} MiB", bytes >> 20);
    Figures::measure(title, &bulk::COLUMNS, &options.rounds, contestants)
}

/// MB/s, and nanoseconds a datagram of both ends together.
fn in_memory(mib: u64) -> Vec<f64> {
    let mut run = pair::Run::new(mib, Provider::AwsLc, [None, None]);
    let began = Instant::now();
    run.whole();
    let took = began.elapsed();
    vec![
        run.received as f64 / 1e6 / took.as_secs_f64(),
        took.as_nanos() as f64 / run.datagrams as f64,
    ]
}

fn memory(options: &Options) -> Figures {
    let mib = options.bytes >> 20;
    let contestants = vec![
        Contestant::new(Aqueduct::NAME, move || in_memory(mib)),
        Contestant::new("quinn-proto", move || proto::round(mib)),
    ];
    let title = format!("both ends in one thread, no sockets, {mib} MiB");
    Figures::measure(title, &["MB/s", "ns a datagram"], &options.rounds, contestants)
}

fn relayed(options: &Options, fan: usize) -> Figures {
    let bytes = options.bytes;
    let contestants = vec![
        Contestant::new("Aqueduct pipe", move || relay::ours::round(bytes, fan)),
        Contestant::new("quinn copy loop", move || relay::theirs::round(bytes, fan)),
    ];
    let title = format!("{} MiB through a relay to {fan}", bytes >> 20);
    Figures::measure(title, &relay::COLUMNS, &options.rounds, contestants)
}

fn paths(options: &Options) -> Vec<Figures> {
    let road = match Road::new() {
        Ok(road) => Arc::new(Mutex::new(road)),
        Err(error) => {
            println!(
                "SAID ALOUD: no TUN device, which root may make: paths are not measured: {error}"
            );
            return Vec::new();
        }
    };
    let measured = paths::PATHS.iter().map(|path| {
        macro_rules! on_it {
            ($peer:ty) => {{
                let road = road.clone();
                Contestant::new(<$peer>::NAME, move || paths::round::<$peer>(&road, path))
            }};
        }
        let contestants = vec![
            on_it!(aqueduct::With<aqueduct::Weir>),
            on_it!(Aqueduct),
            on_it!(aqueduct::With<aqueduct::Bbr>),
            on_it!(Quinn),
            on_it!(quinn::With<quinn::Bbr>),
            on_it!(S2n),
            on_it!(Tls),
        ];
        Figures::measure(path.title(), &paths::COLUMNS, &options.rounds, contestants)
    });
    measured.collect()
}

fn measure(case: &str, options: &Options) -> Vec<Figures> {
    let rounds = &options.rounds;
    let each = |title: String, columns, calls, what| four(title, columns, rounds, calls, what);
    match case {
        "bulk" => vec![bulk(options)],
        "streams" => {
            let title = format!("bulk, eight streams of {} MiB", options.bytes >> 23);
            let calls = of_each!(bytes => bulk::round::<P>(bytes, 8));
            vec![each(title, &bulk::COLUMNS, calls, options.bytes)]
        }
        "requests" => {
            let of = |size: u64| {
                let title = format!("requests and answers of {size} B");
                let calls = of_each!(size => requests::round::<P>(size as usize));
                four(title, &requests::COLUMNS, rounds, calls, size)
            };
            vec![of(64), of(1024)]
        }
        "handshakes" => {
            let calls = of_each!(count => connections::handshakes::<P>(count as usize));
            let title = "handshakes, 400 by 8 at a time".to_owned();
            vec![four(title, &connections::HANDSHAKES, rounds, calls, 400)]
        }
        "idle" => {
            let calls = of_each!(count => connections::idle::<P>(count as usize));
            let title = format!("{} idle connections", options.count);
            vec![four(title, &connections::IDLE, rounds, calls, options.count as u64)]
        }
        "memory" => vec![memory(options)],
        "relay" => vec![relayed(options, 1)],
        "fan" => vec![relayed(options, 4)],
        "paths" => paths(options),
        _ => Vec::new(),
    }
}

fn main() {
    // Two providers are compiled in; the faster one serves all who use rustls.
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.install_default().expect("nobody chose before");
    if relay::process::is_one() {
        return;
    }
    let options = options();
    if let Some(other) = options.case.as_deref().filter(|case| !CASES.contains(case)) {
        panic!("no case {other:?}: there are {}", CASES.join(", "));
    }
    for case in CASES {
        if options.case.as_deref().is_some_and(|only| only != case) {
            continue;
        }
        for figures in measure(case, &options) {
            if options.json {
                println!("{}", figures.json());
            } else {
                figures.table();
            }
        }
    }
}
