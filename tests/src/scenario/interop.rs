//! The cases of the QUIC interop runner with its published parameters, as far as there is something
//! to hold against them here. HTTP, session resumption, early data and QUIC's second version have
//! no counterpart.
//!
//! `versionnegotiation`, which the runner defines and does not play, is what spec R-HS-19 and
//! R-HS-20 say: a first packet of a version that is not spoken is answered by VERSION, and that is
//! followed once.
//!
//! In `connectionmigration` who reads is elsewhere and does not know it, as behind a NAT. It does
//! not move by its own wish, since the core has no such move from UDP to UDP: it opens a UDP path
//! for what is received there, and [`add_path`][add] takes one only while data goes by TCP. Moves
//! by a side's own wish, between UDP and TCP, are in [`handover`](super::handover).
//!
//! [add]: aqueduct_core::endpoint::ConnectionRef::add_path

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, RetryPolicy, TransportConfig};
use aqueduct_core::crypto::handshake::{Ciphers, Versions};
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::crypto::provider::Cipher;
use aqueduct_core::error::CloseReason;
use aqueduct_core::wire::id::AppCode;

use super::lab::{ENDS, Lab, Road, Run, behind, config, simple, usual};
use super::{Report, Scenario, Series, said};
use crate::app::{App, Pair};
use crate::link::{Bursts, Corrupt, Drops, Loss, Machine, Queue, Schedule};
use crate::net::Net;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const MB: usize = 1 << 20;

macro_rules! case {
    ($name:literal, $run:expr, $about:literal) => {
        Scenario { name: $name, about: $about, heavy: false, run: $run }
    };
    (heavy $name:literal, $run:expr, $about:literal) => {
        Scenario { name: $name, about: $about, heavy: true, run: $run }
    };
}
pub(super) use case;

/// The cases.
pub const CASES: &[Scenario] = &[
    case!(
        "handshake",
        handshake,
        "1 KB over the usual link (15 ms, 10 Mbit/s, 25 packets), one handshake"
    ),
    case!(
        heavy "transfer",
        transfer,
        "2, 3 and 5 MB at once over the usual link, and a polite end that both sides see as one"
    ),
    case!("longrtt", long_rtt, "750 ms each way: a handshake and 1 KB"),
    case!("chacha20", chacha20, "3 MB under ChaCha20-Poly1305"),
    case!(
        "multiplexing",
        multiplexing,
        "1999 bodies of 32 bytes on one connection, 1000 at a time at most"
    ),
    case!(
        "ipv6",
        ipv6,
        "5 and 10 KB between addresses of IPv6, where each side is seen by the other"
    ),
    case!("retry", retry, "a cookie is demanded; 10 KB"),
    case!(
        "versionnegotiation",
        version_negotiation,
        "who dials is ahead: VERSION, a version of both, 1 KB; where there is none, no session"
    ),
    case!(heavy "blackhole", blackhole, "10 MB; after 5 s nothing passes for 2 s"),
    case!("blackhole-repeated", blackhole_repeated, "3 MB; 1 s open, 1 s shut, again and again"),
    case!(
        "blackhole-toclient",
        blackhole_one_way,
        "3 MB; the way to who reads is shut for 2 s after 1 s"
    ),
    case!(
        "blackhole-toserver",
        blackhole_acks,
        "3 MB; the way of the ACKs is shut for 2 s after 1 s"
    ),
    case!("keyupdate", key_update, "3 MB with 300 packets under a key; both sides change keys"),
    case!("ecn", ecn, "100 KB through a queue that marks: reductions without loss"),
    case!(
        "amplificationlimit",
        amplification,
        "datagrams 2 to 7 to who answers are lost; never 3 times more"
    ),
    case!(
        "handshakeloss",
        |seed| many(seed, lossy(300_000)),
        "50 connections, 1 KB each; 30 % lost each way, 3 in a row at most"
    ),
    case!(
        "transferloss",
        |seed| megabytes(seed, 2, lossy(20_000)),
        "2 MB; 2 % lost each way, 3 in a row at most"
    ),
    case!(
        "handshakecorruption",
        |seed| many(seed, corrupt(300_000)),
        "50 connections, 1 KB each; 30 % corrupted each way"
    ),
    case!(
        "transfercorruption",
        |seed| megabytes(seed, 2, corrupt(20_000)),
        "2 MB; 2 % corrupted each way"
    ),
    case!(
        "burstloss",
        |seed| megabytes(seed, 2, bursty),
        "2 MB; 2 % lost each way, in bursts of 10 (Gilbert-Elliott)"
    ),
    case!(heavy "rebind-port", |seed| rebind(seed, false), "10 MB; a new port now and then"),
    case!(heavy "rebind-addr", |seed| rebind(seed, true), "10 MB; a new address now and then"),
    case!("connectionmigration", migration, "2 MB; who reads is elsewhere after half a second"),
    case!(heavy "goodput", goodput, "10 MB, five times: at least 85 % of 10 Mbit/s"),
    case!(
        heavy "crosstraffic",
        |seed| cross_traffic(seed, 5, 25),
        "25 MB beside Reno in one queue, five times: neither starves"
    ),
    case!(
        "crosstraffic-short",
        |seed| cross_traffic(seed, 1, 5),
        "5 MB beside Reno in one queue: neither starves"
    ),
];

fn handshake(seed: u64) -> Report {
    let mut run = Lab::over(seed, usual(), usual()).connect();
    run.fetch(&[1_024], MINUTE);
    assert_one_session(&mut run);
    run.report(Vec::new())
}

fn assert_one_session(run: &mut Run) {
    let met = ENDS.map(|host| run.pair.net.host(host).endpoint.stats().established);
    assert_eq!(met, [1, 1], "one handshake");
}

fn transfer(seed: u64) -> Report {
    let mut run = Lab::over(seed, usual(), usual()).connect();
    let took = run.fetch(&[2 * MB, 3 * MB, 5 * MB], MINUTE);
    part(&mut run);
    run.report(vec![("kbit/s", kbit(10 * MB, took))])
}

/// Who read closes politely, with code zero; each end says so, and nothing is left.
fn part(run: &mut Run) {
    let Pair { net, at_a, at_b, .. } = &mut run.pair;
    let (at_a, at_b) = (*at_a, *at_b);
    net.host(ENDS[0]).endpoint.connection(at_a).expect("alive").close(AppCode(0), b"");
    let over = run.pair.run(SECOND * 10, |_, a, b| a.diary(at_a).drained && b.diary(at_b).drained);
    assert!(over, "no end within ten seconds");
    let ends = [run.pair.a.diary(at_a).closed, run.pair.b.diary(at_b).closed];
    let said = CloseReason::Peer { code: AppCode(0), reason: String::new() };
    assert_eq!(ends, [Some(CloseReason::Local(AppCode(0))), Some(said)]);
}

fn kbit(bytes: usize, took: Duration) -> f64 {
    (bytes * 8) as f64 / took.as_secs_f64() / 1e3
}

fn long_rtt(seed: u64) -> Report {
    let far = || simple(Duration::from_millis(750), 10_000_000, 25);
    let mut run = Lab::over(seed, far(), far()).connect();
    run.fetch(&[1_024], MINUTE);
    assert_one_session(&mut run);
    run.report(Vec::new())
}

fn chacha20(seed: u64) -> Report {
    let nodes = [1, 2].map(|number| config(number).with_ciphers(Ciphers::OnlyChaCha20Poly1305));
    let mut run = Lab::new(seed, [usual(), usual()], nodes).connect();
    let Pair { net, at_a, at_b, .. } = &mut run.pair;
    for (host, handle) in ENDS.into_iter().zip([*at_a, *at_b]) {
        let view = net.host(host).endpoint.connection(handle).expect("it lives");
        assert_eq!(view.cipher(), Some(Cipher::ChaCha20Poly1305), "that suite only");
    }
    let took = run.fetch(&[3 * MB], MINUTE);
    run.report(vec![("kbit/s", kbit(3 * MB, took))])
}

fn multiplexing(seed: u64) -> Report {
    let most = TransportConfig::default().with_max_streams(1_000, 1_000).expect("counts");
    let nodes = [1, 2].map(|number| config(number).with_transport(most.clone()));
    let mut run = Lab::new(seed, [usual(), usual()], nodes).connect();
    let mut left = 1_999;
    while left > 0 {
        left -= run.begin_most(left, 32);
        run.finish(MINUTE);
    }
    run.report(Vec::new())
}

fn ipv6(seed: u64) -> Report {
    let mut lab = Lab::over(seed, usual(), usual());
    for (at, host) in ENDS.into_iter().enumerate() {
        lab.net
            .host(host)
            .addr
            .set_ip(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, at as u16 + 1).into());
    }
    let mut run = lab.connect();
    run.fetch(&[5 << 10, 10 << 10], MINUTE);
    let Pair { net, a, b, at_a, at_b } = &run.pair;
    for (app, handle) in [(a, at_a), (b, at_b)] {
        let here = net.hosts[app.host.0].addr;
        assert!(here.is_ipv6(), "{here}");
        assert_eq!(app.diary(*handle).observed.last(), Some(&here), "where the peer sees it");
    }
    assert_one_session(&mut run);
    run.report(Vec::new())
}

fn retry(seed: u64) -> Report {
    let nodes = [config(1), config(2).with_retry(RetryPolicy::Always)];
    let mut run = Lab::new(seed, [usual(), usual()], nodes).connect();
    run.fetch(&[10_240], MINUTE);
    let retries = run.pair.net.host(ENDS[1]).endpoint.stats().retries;
    assert!(retries > 0, "no cookie was demanded");
    dialled_once(&run);
    run.report(vec![("retries", retries as f64)])
}

/// Nodes that speak these versions.
fn speaking(lists: [&[u16]; 2]) -> [EndpointConfig; 2] {
    let node = |number: u8, list| {
        config(number).with_versions(Versions::new(list).expect("a list of versions"))
    };
    [node(1, lists[0]), node(2, lists[1])]
}

fn version_negotiation(seed: u64) -> Report {
    let ahead = speaking([&[1, 3], &[1, 2]]);
    let mut run = Lab::new(seed, [usual(), usual()], ahead).connect();
    run.fetch(&[1_024], MINUTE);
    assert_one_session(&mut run);
    let told = |net: &mut Net| ENDS.map(|host| net.host(host).endpoint.stats().versions);
    assert_eq!(told(&mut run.pair.net), [0, 1], "VERSION, once, by who was dialled");
    // And one who speaks nothing that the other does is told so and tries no more.
    let mut lab = Lab::new(seed, [usual(), usual()], speaking([&[3], &[1, 2]]));
    let (at, mut app) = (lab.net.connect(ENDS[0], ENDS[1]), App::new(ENDS[0]));
    lab.net.run(MINUTE, |net| {
        app.turn(net);
        app.closed(at).is_some()
    });
    assert!(app.closed(at).is_some() && !app.diary(at).connected, "{:?}", app.diary(at));
    assert!(told(&mut lab.net)[1] > 0, "nobody said what it speaks");
    run.report(Vec::new())
}

/// The usual link, shut by a clock in one direction or both.
fn shut(seed: u64, size: usize, clock: fn(Schedule) -> Schedule, ways: [bool; 2]) -> Report {
    let start = aqueduct_core::time::Instant::from_nanos(1_000_000_000);
    let schedule = clock(Schedule::once(start, SECOND, SECOND * 2));
    let road = |is_shut: bool| behind(is_shut.then(|| Box::new(schedule) as Box<dyn Machine>));
    let [forth, back] = ways.map(road);
    let mut run = Lab::over(seed, forth, back).connect();
    let took = run.fetch(&[size], MINUTE * 2);
    run.report(vec![("kbit/s", kbit(size, took))])
}

fn blackhole(seed: u64) -> Report {
    shut(seed, 10 * MB, |clock| Schedule { on: SECOND * 5, ..clock }, [true, true])
}

fn blackhole_repeated(seed: u64) -> Report {
    shut(seed, 3 * MB, |clock| Schedule { off: SECOND, ..clock.again() }, [true, true])
}

fn blackhole_one_way(seed: u64) -> Report {
    shut(seed, 3 * MB, |clock| clock, [false, true])
}

fn blackhole_acks(seed: u64) -> Report {
    shut(seed, 3 * MB, |clock| clock, [true, false])
}

fn key_update(seed: u64) -> Report {
    let limits = KeyLimits::default().with_soft_packets(300).expect("a limit");
    let often = TransportConfig::default().with_key_limits(limits);
    let nodes = [1, 2].map(|number| config(number).with_transport(often.clone()));
    let mut run = Lab::new(seed, [usual(), usual()], nodes).connect();
    run.fetch(&[3 * MB], MINUTE);
    let updates = run.stats().map(|stats| stats.keys.updates_started + stats.keys.updates_followed);
    assert!(updates.iter().all(|count| *count > 0), "keys never changed: {updates:?}");
    run.report(vec![("updates", updates[1] as f64)])
}

fn ecn(seed: u64) -> Report {
    let marking = || -> Road {
        let queue = Queue::packets(1_250_000, 100).marking_above(3).with_overhead(28);
        let mut road = usual();
        road[0] = Box::new(queue);
        road
    };
    let mut run = Lab::recorded(seed, marking(), marking()).connect();
    run.fetch(&[100 * 1_024], MINUTE);
    let [_, stats] = run.stats();
    assert!(stats.path.congestion_events > 0, "marks went unnoticed");
    assert_eq!(stats.ledger.lost, 0, "marked, and lost nevertheless");
    let [reader, sender] = run.packets();
    let (at_reader, at_sender) = (said::ecn(&reader), said::ecn(&sender));
    assert!(at_reader.ect0 > 0 && at_sender.ect0 > 0, "both count: {at_reader:?} {at_sender:?}");
    assert!(at_sender.ce > 0, "who reads counts the marks: {at_sender:?}");
    run.report(vec![("reductions", stats.path.congestion_events as f64)])
}

fn amplification(seed: u64) -> Report {
    let drops: Box<dyn Machine> = Box::new(Drops::of(2..=7));
    // The guard of the network watches every datagram for the limit.
    let mut run = Lab::over(seed, behind([drops]), usual()).connect();
    run.fetch(&[10_240], MINUTE);
    dialled_once(&run);
    let dropped = run.pair.net.stage(run.roads[0][0]).dropped;
    assert_eq!(dropped, 6, "all six were lost");
    run.report(Vec::new())
}

/// No handshake was given up and begun again: what looks like one that took long was none that
/// stood still for ever.
fn dialled_once(run: &Run) {
    assert_eq!(run.pair.net.hosts[ENDS[0].0].endpoint.stats().dialled, 1, "it was dialled again");
}

fn lossy(rate: u32) -> impl Fn() -> Road + Copy {
    move || behind([Box::new(Loss::of(rate).at_most(3)) as Box<dyn Machine>])
}

fn corrupt(rate: u32) -> impl Fn() -> Road + Copy {
    move || behind([Box::new(Corrupt::of(rate).at_most(3)) as Box<dyn Machine>])
}

fn bursty() -> Road {
    behind([Box::new(Bursts::of(20_000, 10)) as Box<dyn Machine>])
}

/// Fifty connections, one after another, and a kilobyte over each.
fn many(seed: u64, road: impl Fn() -> Road) -> Report {
    let mut series = Series::new();
    for number in 0..50 {
        let mut run = Lab::over(seed << 6 | number, road(), road()).connect();
        run.fetch(&[1_024], MINUTE * 5);
        let dialled = run.pair.net.host(ENDS[0]).endpoint.stats().dialled;
        assert_eq!(dialled, 1, "connection {number} was dialled again");
        series.add(&run.report(Vec::new()));
    }
    assert!(series.simulated < MINUTE * 5, "{:?}", series.simulated);
    series.report(Vec::new())
}

fn megabytes(seed: u64, count: usize, road: impl Fn() -> Road) -> Report {
    let mut run = Lab::over(seed, road(), road()).connect();
    let took = run.fetch(&[count * MB], MINUTE);
    dialled_once(&run);
    run.report(vec![("kbit/s", kbit(count * MB, took))])
}

fn rebind(seed: u64, elsewhere: bool) -> Report {
    let mut run = Lab::recorded(seed, usual(), usual()).connect();
    run.begin_fetch(&[10 * MB]);
    run.pair.pass(SECOND);
    let mut moves = 0_u16;
    loop {
        moves += 1;
        let mut addr: SocketAddr = run.pair.net.hosts[0].addr;
        addr.set_port(5_000 + moves);
        if elsewhere {
            addr.set_ip([10, 7, 0, moves as u8].into());
        }
        run.pair.net.move_to(ENDS[0], addr);
        let over = |_: &mut Net, a: &App, _: &App| a.inn.iter().any(|flow| flow.finished);
        if run.pair.run(SECOND * 5, over) {
            break;
        }
        assert!(moves < 12, "it takes too long");
    }
    run.finish(SECOND * 5);
    let seen = run.pair.b.diary(run.pair.at_b).moves.len();
    assert!(seen > 0, "nobody noticed that somebody moved");
    let [reader, sender] = run.packets();
    let places = said::challenged_places(&sender);
    assert!(places > seen, "{places} places, and {seen} moves from the first");
    let answered = said::answered(&sender, &reader) + said::answered(&reader, &sender);
    assert!(answered >= seen, "{answered} challenges, {seen} moves");
    run.report(vec![("moves", f64::from(moves)), ("noticed", seen as f64)])
}

fn migration(seed: u64) -> Report {
    let mut run = Lab::over(seed, usual(), usual()).connect();
    run.begin_fetch(&[2 * MB]);
    run.pair.pass(SECOND / 2);
    run.pair.net.move_to(ENDS[0], SocketAddr::from(([10, 9, 0, 1], 9_999)));
    let took = run.finish(MINUTE);
    assert_eq!(run.pair.b.diary(run.pair.at_b).moves.len(), 1);
    run.report(vec![("seconds after", took.as_secs_f64())])
}

fn goodput(seed: u64) -> Report {
    let (mut series, mut rates) = (Series::new(), Vec::new());
    for number in 0..5 {
        let mut run = Lab::over(seed << 3 | number, usual(), usual()).connect();
        let took = run.fetch(&[10 * MB], MINUTE);
        rates.push(kbit(10 * MB, took));
        series.add(&run.report(Vec::new()));
    }
    let least = least(&rates);
    assert!(least >= 8_500.0, "{rates:?} kbit/s of 10000");
    series.report(vec![("kbit/s", mean(&rates)), ("least kbit/s", least)])
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len() as f64
}

fn least(of: &[f64]) -> f64 {
    of.iter().copied().fold(f64::MAX, f64::min)
}

/// The share that each of the two has while both are there must not fall below a fifth.
fn cross_traffic(seed: u64, times: u64, megabytes: usize) -> Report {
    let (mut series, mut rates, mut shares) = (Series::new(), Vec::new(), Vec::new());
    let size = megabytes * MB;
    for number in 0..times {
        let mut run = Lab::over(seed << 3 | number, usual(), usual()).connect();
        let [forth, back] = run.roads.clone();
        let flow = run.pair.net.cross_traffic(&back, &forth);
        let took = run.fetch(&[size], MINUTE * 3);
        let theirs = run.pair.net.stop_cross_traffic(flow) as f64;
        rates.push(kbit(size, took));
        shares.push(size as f64 / (size as f64 + theirs));
        series.add(&run.report(Vec::new()));
    }
    assert!(shares.iter().all(|share| (0.2..=0.8).contains(share)), "shares of {shares:?}");
    series.report(vec![
        ("kbit/s", mean(&rates)),
        ("share", mean(&shares)),
        ("least share", least(&shares)),
    ])
}
