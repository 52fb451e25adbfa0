//! Many at once: floods of strangers, ten thousand connections, and one budget for all.

use std::net::SocketAddr;
use std::time::{Duration, Instant as Clock};

use aqueduct_core::config::{EndpointConfig, RetryPolicy};
use aqueduct_core::crypto::provider::Provider;
use aqueduct_core::endpoint::{ConnectionHandle, Endpoint, PeerAddr};
use aqueduct_core::error::CloseReason;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::App;
use aqueduct_tests::link::{Delay, LinkConfig, Loss};
use aqueduct_tests::net::Net;
use aqueduct_tests::raw::{dial, drain, endpoint, feed};
use aqueduct_tests::scenario::lab::usual;

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);

/// Strangers' first packets, made by real machines, from as many addresses; honest peers among them.
#[test]
fn honest_peers_connect_through_a_flood_of_strangers() {
    for retry in [RetryPolicy::Auto, RetryPolicy::Always] {
        let mut net = Net::new(1, LinkConfig::default());
        let server = net.add(config(9).with_retry(retry), 1);
        let to = PeerAddr::new(net.host(server).endpoint.node_id(), net.hosts[0].addr);
        let honest: Vec<_> = (0..12).map(|n| net.add(config(20 + n), 100 + u64::from(n))).collect();
        let mut apps: Vec<App> =
            std::iter::once(server).chain(honest.iter().copied()).map(App::new).collect();
        let now = net.now;
        let mut flood = (0..15_000_u64).map(|seed| {
            let unknown = PeerAddr { id: None, ..to.clone() };
            dial(config(1), 10_000 + seed, if seed % 4 == 0 { &unknown } else { &to }, now).2
        });
        let mut dialed = Vec::new();
        for tick in 0..100_usize {
            for n in 0..150 {
                let number = (tick * 150 + n) as u32;
                let from = SocketAddr::from(([172, 16, (number >> 8) as u8, number as u8], 99));
                net.inject(from, to.remote, flood.next().expect("a packet"));
            }
            if tick >= 60 && dialed.len() < honest.len() {
                let host = honest[dialed.len()];
                dialed.push((host, net.connect(host, server)));
            }
            net.run(Duration::from_millis(10), |net| {
                apps.iter_mut().for_each(|app| app.turn(net));
                false
            });
        }
        let done = net.run(SECOND, |net| {
            apps.iter_mut().for_each(|app| app.turn(net));
            dialed.iter().all(|(host, handle)| apps[host.0].diary(*handle).connected)
        });
        let stats = net.hosts[0].endpoint.stats();
        println!("{retry:?}: {stats:?}");
        assert!(done, "an honest peer waits");
        assert!(stats.retries > 300 && stats.refused_busy == 0 && stats.half_open <= 300);
        net.run(SECOND * 12, |_| false);
        assert_eq!(net.hosts[0].endpoint.stats().half_open, 0);
        assert_eq!(net.hosts[0].endpoint.stats().connections, 12);
    }
}

/// They had a connection to a node that is started anew, and dial it in the same instant, all over
/// one uplink, whose queue takes a quarter of what they say first.
#[test]
fn a_hundred_that_reconnect_at_once_are_back_soon() {
    let mut net = Net::new(4, LinkConfig::default());
    let server = net.add(config(9), 1);
    let peers: Vec<_> = (0..100).map(|n| net.add(config(20 + n), 100 + u64::from(n))).collect();
    let [up, down] = [(); 2].map(|()| -> Vec<_> {
        usual().into_iter().map(|machine| net.place_boxed(machine)).collect()
    });
    for peer in &peers {
        net.set_road(*peer, server, &up);
        net.set_road(server, *peer, &down);
    }
    let mut apps: Vec<App> =
        std::iter::once(server).chain(peers.iter().copied()).map(App::new).collect();
    let dial = |net: &mut Net, apps: &mut Vec<App>| {
        let dialled: Vec<_> =
            peers.iter().map(|peer| (*peer, net.connect(*peer, server))).collect();
        let began = net.now;
        let done = net.run(SECOND * 10, |net| {
            apps.iter_mut().for_each(|app| app.turn(net));
            dialled.iter().all(|(host, handle)| apps[host.0].diary(*handle).connected)
        });
        assert!(done, "somebody waits");
        (dialled, net.now.saturating_since(began))
    };
    let (old, first) = dial(&mut net, &mut apps);
    net.restart(server, config(9), 1);
    apps[server.0] = App::new(server);
    let (new, again) = dial(&mut net, &mut apps);
    let dropped = net.stage(up[0]).dropped;
    println!("all there after {first:?}, back after {again:?}; {dropped} datagrams were dropped");
    assert!(again < SECOND * 3, "{again:?}");
    // What was lost was said again later, and not by everybody at once: no cascade.
    assert!((50..=600).contains(&dropped), "{dropped}");
    let stats = net.hosts[server.0].endpoint.stats();
    assert_eq!((stats.accepted, stats.over_limit, stats.refused_busy), (100, 0, 0));
    net.run(SECOND * 60, |net| {
        apps.iter_mut().for_each(|app| app.turn(net));
        false
    });
    for ((host, old), (_, new)) in old.into_iter().zip(new) {
        assert!(apps[host.0].diary(old).closed.is_some(), "the old one lives");
        assert_eq!(apps[host.0].connections().len(), 2, "{:?}", apps[host.0].diary(new));
    }
}

/// Ten thousand connections between two endpoints that are handed each other's datagrams.
struct Crowd {
    ends: [Endpoint; 2],
    addrs: [SocketAddr; 2],
    now: Instant,
}

impl Crowd {
    /// Carries everything across until nobody says anything.
    fn settle(&mut self) {
        let mut quiet = false;
        while !std::mem::replace(&mut quiet, true) {
            for (at, other) in [(0, 1), (1, 0)] {
                let mut said = drain(&mut self.ends[at], self.now);
                for incoming in said.incoming.drain(..) {
                    self.ends[at].accept(incoming, self.now);
                    quiet = false;
                }
                for (_, bytes) in said.datagrams {
                    feed(&mut self.ends[other], self.addrs[at], &bytes, self.now);
                    quiet = false;
                }
            }
        }
    }
}

/// Memory of the process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

#[test]
fn ten_thousand_connections_fit_half_a_gibibyte() {
    let count = 10_000;
    let node = |number: u8| -> EndpointConfig {
        let config = config(number).with_memory(512 << 20, count).expect("a budget");
        config.with_provider(Provider::AwsLc)
    };
    let now = Instant::from_nanos(1_000_000_000);
    let ends = [endpoint(node(1), 1, now), endpoint(node(2), 2, now)];
    let addrs = ["10.0.0.1:4433", "10.0.0.2:4433"].map(|addr| addr.parse().expect("an address"));
    let to = PeerAddr::new(ends[1].node_id(), addrs[1]);
    let mut crowd = Crowd { ends, addrs, now };
    let (before, began) = (resident(), Clock::now());
    let handles: Vec<ConnectionHandle> = (0..count)
        .map(|_| {
            let handle = crowd.ends[0].connect(to.clone(), crowd.now).expect("room");
            crowd.settle();
            handle
        })
        .collect();
    let stats = crowd.ends[1].stats();
    assert_eq!((stats.connections, stats.half_open, stats.refused_busy), (count, 0, 0));
    assert!(stats.budget_committed <= 512 << 20);
    let used = resident().saturating_sub(before);
    println!(
        "{count} connections in {:?}; {} bytes of memory for each at each end; {} MiB lent",
        began.elapsed(),
        used / u64::from(count) / 2,
        stats.budget_committed >> 20
    );
    // One more is turned away; each of those that are there still works.
    assert!(crowd.ends[0].connect(to, crowd.now).is_err());
    for handle in handles.iter().step_by(500).chain(handles.last()) {
        let mut view = crowd.ends[0].connection(*handle).expect("it lives");
        view.send_datagram(vec![1; 100].into()).expect("queued");
        drop(view);
        let heard = crowd.ends[1].stats().datagrams;
        crowd.settle();
        assert!(crowd.ends[1].stats().datagrams > heard);
    }
}

/// Thirty clients write 1.5 MB each to a server of 2 MiB, one after another; who is done rests, and
/// from then on so many of a million of its datagrams are lost. Gives the server's rates in MB/s.
fn one_after_another(lost: u32) -> Vec<f64> {
    let link = LinkConfig { delay: Duration::from_millis(25), ..LinkConfig::default() };
    let mut net = Net::new(3, link);
    let small = config(9).with_memory(2 << 20, 40).expect("a budget");
    let server = net.add(small, 1);
    let clients: Vec<_> = (0..30).map(|n| net.add(config(30 + n), 10 + u64::from(n))).collect();
    let mut apps: Vec<App> =
        std::iter::once(server).chain(clients.iter().copied()).map(App::new).collect();
    let turn = |net: &mut Net, apps: &mut Vec<App>, limit, done: &dyn Fn(&App) -> bool| {
        net.run(limit, |net| {
            apps.iter_mut().for_each(|app| app.turn(net));
            done(&apps[0])
        })
    };
    let whole = |count: usize| {
        move |app: &App| app.inn.iter().filter(|flow| flow.finished).count() >= count
    };
    let mut rates = Vec::new();
    for (turns, client) in clients.iter().enumerate() {
        let handle = net.connect(*client, server);
        turn(&mut net, &mut apps, SECOND / 2, &|_| false);
        assert!(apps[client.0].diary(handle).connected, "client {turns}");
        let began = net.now;
        apps[client.0].write(&mut net, handle, Dir::Uni, turns as u64, 1_500_000);
        let done = turn(&mut net, &mut apps, SECOND * 60, &whole(turns + 1));
        assert!(done, "client {turns} starves");
        rates.push(1_500_000.0 / net.now.saturating_since(began).as_secs_f64() / 1e6);
        let stats = net.hosts[0].endpoint.stats();
        assert!(stats.budget_committed <= 2 << 20);
        let delay = Box::new(Delay::of(link.delay));
        net.lay(*client, server, &[Box::new(Loss::of(lost)), delay]);
    }
    let rested = |end: &&CloseReason| matches!(end, CloseReason::IdleTimeout(_));
    let ends: Vec<_> = apps.iter().flat_map(App::ends).filter(|end| !rested(end)).collect();
    assert!(ends.is_empty(), "connections ended: {ends:?}");
    rates
}

/// Connections that were busy and rest hold what they were lent; who is busy now must get it.
#[test]
fn what_idle_connections_hold_is_recalled_for_a_busy_one() {
    let rates = one_after_another(0);
    println!("MB/s of one after another, the others idle: {rates:.2?}");
    let (first, last) = (rates[0], rates[29]);
    assert!(last * 8.0 > first, "what idle ones hold does not come back");
}

/// An answer that is lost a few times comes late; whose it is did nothing wrong.
///
/// spec: R-FLOW-22
#[test]
fn who_answers_a_recall_over_a_bad_way_is_kept() {
    let rates = one_after_another(600_000);
    println!("MB/s of one after another, the others hardly heard: {rates:.2?}");
}
