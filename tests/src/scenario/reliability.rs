//! Scenarios of the field guide to trusted transports that are no case of the interop runner. The
//! table of all, by number, is chapter 23 of the spec.

use std::net::Ipv4Addr;
use std::time::Duration;

use aqueduct_core::endpoint::PeerAddr;
use aqueduct_core::wire::id::Dir;

use super::interop::case;
use super::lab::{ENDS, Lab, Road, behind, config, simple, usual};
use super::{Report, Scenario, Series};
use crate::app::App;
use crate::link::{Duplicate, LinkConfig, Machine, Reorder, SizeLimit};
use crate::net::clock::Clock;
use crate::net::{Nat, NatKind, Net};
use crate::transfer::connected;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const MS: Duration = Duration::from_millis(1);
const MB: usize = 1 << 20;

/// The scenarios.
pub const CASES: &[Scenario] = &[
    case!(
        "reordering",
        reordering,
        "2 MB; one in ten comes up to 120 ms (100 packets) late, one in five twice"
    ),
    case!("nats", nats, "every kind of NAT before who dials; mappings are forgotten now and then"),
    case!("hairpin", hairpin, "two behind one NAT meet by its public address"),
    case!("clocks", clocks, "1 MB between clocks that differ by an hour and by two in a thousand"),
    case!("full-sockets", full_sockets, "1 MB; one send in ten finds the socket full, some fail"),
    case!(
        "small-datagrams",
        small,
        "1 MB; the socket takes 1,250 bytes and says so; then 1,200 silently"
    ),
    case!("pauses", pauses, "2 MB; the reading process stands still for 300 ms, five times"),
    case!(
        "one-bottleneck",
        |seed| bottleneck(seed, &EIGHT),
        "8 transfers of 1 MB over one 10 Mbit/s queue: all get on alike"
    ),
    case!(
        "hundred-flows",
        |seed| bottleneck(seed, &HUNDRED),
        "100 transfers of 600 KB over one 100 Mbit/s queue: all get on alike"
    ),
];

fn reordering(seed: u64) -> Report {
    let road = || -> Road {
        let late = Reorder { rate: 100_000, by: MS * 120 };
        let twice = Duplicate { rate: 200_000, within: MS * 50 };
        let mut road = usual();
        road.extend([Box::new(late) as Box<dyn Machine>, Box::new(twice)]);
        road
    };
    let mut run = Lab::over(seed, road(), road()).connect();
    run.fetch(&[2 * MB], MINUTE);
    let [_, sender] = run.stats();
    let ledger = sender.ledger;
    // Only what was itself held back can be missed for nothing, and that is one packet in ten.
    assert!(ledger.spurious * 10 <= ledger.eliciting_sent, "{ledger:?}");
    run.report(vec![("spurious", ledger.spurious as f64)])
}

fn nats(seed: u64) -> Report {
    let mut series = Series::new();
    for (number, kind) in NatKind::ALL.into_iter().enumerate() {
        let mut lab = Lab::over(seed << 2 | number as u64, usual(), usual());
        let nat = lab.net.add_nat(Nat::new(kind, Ipv4Addr::new(198, 51, 100, 1).into()));
        lab.net.put_behind(ENDS[0], nat);
        let mut run = lab.connect();
        for _ in 0..3 {
            run.fetch(&[100_000], MINUTE);
            run.pair.net.nat(nat).forget();
            // Who dialed has to be the first to speak again.
            let view = run.pair.net.host(ENDS[0]).endpoint.connection(run.pair.at_a);
            view.expect("alive").send_message(bytes::Bytes::from_static(b"hi")).expect("sent");
            run.pair.pass(SECOND);
        }
        let moves = run.pair.b.diary(run.pair.at_b).moves.len();
        assert_eq!(moves, 3, "{kind:?}: a port that changed was not followed");
        series.add(&run.report(Vec::new()));
    }
    series.report(Vec::new())
}

fn hairpin(seed: u64) -> Report {
    let mut net = Net::new(seed, LinkConfig::default());
    let public = Ipv4Addr::new(198, 51, 100, 1).into();
    let nat = net.add_nat(Nat::new(NatKind::FullCone, public).with_hairpin());
    let hosts = [1, 2, 3].map(|number| net.add(config(number), seed << 8 | u64::from(number)));
    let [a, b, outside] = hosts;
    net.put_behind(a, nat);
    net.put_behind(b, nat);
    let began = net.now;
    // Somebody outside tells the second where it is seen, and it tells the first.
    let (seen, _) = connected(&mut net, b, outside);
    let inside = net.host(b).addr;
    let there = net.host(outside).addr;
    let at = net.nat(nat).outward(inside, there, began);
    let peer = PeerAddr::new(net.host(b).endpoint.node_id(), at);
    let handle = net.connect_to(a, peer);
    let is_up = |net: &mut Net| {
        let view = net.host(a).endpoint.connection(handle);
        view.is_some_and(|view| view.peer().is_some())
    };
    assert!(net.run(SECOND * 5, is_up), "behind one NAT nobody meets");
    assert!(net.host(b).endpoint.connection(seen).is_some());
    let simulated = net.now.saturating_since(began);
    let figures = vec![("seconds", simulated.as_secs_f64())];
    Report { fingerprint: net.fingerprint(), simulated, figures }
}

fn clocks(seed: u64) -> Report {
    let mut lab = Lab::over(seed, usual(), usual());
    lab.net.host(ENDS[0]).clock = Clock { ahead: SECOND * 3_600, drift: 2_000 };
    lab.net.host(ENDS[1]).clock = Clock { ahead: SECOND, drift: -2_000 };
    let mut run = lab.connect();
    run.fetch(&[MB], MINUTE);
    run.report(Vec::new())
}

fn full_sockets(seed: u64) -> Report {
    let mut lab = Lab::over(seed, usual(), usual());
    for host in ENDS {
        let sending = &mut lab.net.host(host).sending;
        (sending.full, sending.full_for) = (100_000, MS * 5);
    }
    let mut run = lab.connect();
    run.begin_fetch(&[MB]);
    for _ in 0..5 {
        run.pair.pass(MS * 100);
        run.pair.net.host(ENDS[1]).sending.fails += 5;
    }
    run.finish(MINUTE);
    let sending = run.pair.net.hosts[1].sending;
    assert!(sending.waited > 10 && sending.failed > 5, "{sending:?}");
    run.report(vec![("waited", sending.waited as f64), ("failed", sending.failed as f64)])
}

fn small(seed: u64) -> Report {
    let limit = |most, tells| behind([Box::new(SizeLimit { most, tells }) as Box<dyn Machine>]);
    let mut run = Lab::over(seed, limit(1_250, true), limit(1_250, true)).connect();
    run.fetch(&[MB / 2], MINUTE);
    let told = run.pair.net.hosts[1].sending.too_large;
    assert!(told > 0, "nothing was too large");
    let road = limit(1_200, false);
    run.pair.net.lay(ENDS[1], ENDS[0], &road);
    run.fetch(&[MB / 2], MINUTE);
    let [_, sender] = run.stats();
    assert!(sender.datagram_size <= 1_200, "{}", sender.datagram_size);
    run.report(vec![("told", told as f64)])
}

fn pauses(seed: u64) -> Report {
    let mut run = Lab::over(seed, usual(), usual()).connect();
    run.begin_fetch(&[2 * MB]);
    for _ in 0..5 {
        run.pair.pass(MS * 200);
        run.pair.net.pause(ENDS[0], true);
        run.pair.pass(MS * 300);
        run.pair.net.pause(ENDS[0], false);
    }
    run.finish(MINUTE);
    run.report(Vec::new())
}

/// Pairs that share a queue.
struct Crowd {
    pairs: usize,
    /// Bits a second.
    rate: u64,
    /// Datagrams that the queue takes.
    queue: usize,
    /// Bytes that each transfers.
    size: usize,
    /// Jain's index of what they have when the first of them is done, at least.
    fair: f64,
}

const EIGHT: Crowd = Crowd { pairs: 8, rate: 10_000_000, queue: 50, size: MB, fair: 0.7 };
const HUNDRED: Crowd =
    Crowd { pairs: 100, rate: 100_000_000, queue: 250, size: 600_000, fair: 0.7 };

/// They all transfer at once. By Jain's index how evenly, when the first of them is done; in the
/// end all of them are.
fn bottleneck(seed: u64, crowd: &Crowd) -> Report {
    let mut net = Net::new(seed, LinkConfig::default());
    let began = net.now;
    let road = simple(MS * 15, crowd.rate, crowd.queue);
    let mut place =
        || -> Vec<_> { road.iter().map(|machine| net.place_boxed(machine.clone())).collect() };
    let (forth, back) = (place(), place());
    let mut pairs = Vec::new();
    for number in 0..crowd.pairs {
        let node = |at| config((2 * number + at) as u8 + 1);
        let (a, b) = (net.add(node(0), seed << 8), net.add(node(1), seed << 8 | 1));
        net.set_road(a, b, &forth);
        net.set_road(b, a, &back);
        pairs.push((a, b));
    }
    let mut apps: Vec<_> = pairs
        .iter()
        .map(|(a, b)| {
            let (handle, _) = connected(&mut net, *a, *b);
            (App::new(*a), App::new(*b), handle)
        })
        .collect();
    let loaded = net.now;
    for (writer, _, handle) in &mut apps {
        writer.write(&mut net, *handle, Dir::Uni, 1, crowd.size);
    }
    let over = |reader: &App| reader.inn.iter().any(|flow| flow.finished);
    let mut play = |net: &mut Net, enough: usize| {
        net.run(MINUTE, |net| {
            for (writer, reader, _) in &mut apps {
                writer.turn(net);
                reader.turn(net);
            }
            apps.iter().filter(|(_, reader, _)| over(reader)).count() >= enough
        });
        apps.iter().map(|(_, reader, _)| reader.read() as f64).collect::<Vec<_>>()
    };
    let read = play(&mut net, 1);
    let (sum, squares) = (read.iter().sum::<f64>(), read.iter().map(|x| x * x).sum::<f64>());
    let index = sum * sum / (crowd.pairs as f64 * squares);
    assert!(index > crowd.fair, "an index of {index}: {read:?}");
    let read = play(&mut net, crowd.pairs);
    assert!(read.iter().all(|read| *read == crowd.size as f64), "somebody starves: {read:?}");
    let took = net.now.saturating_since(loaded).as_secs_f64();
    let simulated = net.now.saturating_since(began);
    let figures = vec![
        ("seconds", simulated.as_secs_f64()),
        ("fairness", index),
        ("kbit/s", read.iter().sum::<f64>() * 8.0 / took / 1e3),
    ];
    Report { fingerprint: net.fingerprint(), simulated, figures }
}
