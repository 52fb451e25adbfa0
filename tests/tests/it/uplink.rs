//! What many share who sit behind one small uplink, as in the lessons of chapter 23.2 of the spec.

use std::time::Duration;

use aqueduct_core::config::TransportConfig;
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::App;
use aqueduct_tests::link::{LinkConfig, Loss};
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::relay::{Forwarding, Relay};
use aqueduct_tests::scenario::lab::{ENDS, HEADERS, Lab, config, simple, usual};
use aqueduct_tests::transfer::connected;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// 10 Mbit/s, in bytes a second.
const RATE: u64 = 1_250_000;

/// Bytes that a host has sent on all of its connections, with their headers, and how many of streams
/// again.
fn sent(net: &mut Net, host: HostId) -> (u64, u64) {
    let handles: Vec<_> = net.hosts[host.0].endpoint.connections().map(|(it, _)| it).collect();
    let endpoint = &mut net.host(host).endpoint;
    let of = |handle| endpoint.connection(handle).map(|view| view.stats());
    let stats: Vec<_> = handles.into_iter().filter_map(of).collect();
    let bytes =
        |path: aqueduct_core::path::PathStats| path.sent_bytes + HEADERS * path.sent_datagrams;
    let resent = stats.iter().map(|stats| stats.stream_stats.resent).sum();
    (stats.iter().map(|stats| bytes(stats.path)).sum(), resent)
}

/// Lesson 29: a relay behind 10 Mbit/s passes 6 MB on to fourteen. All have it about as soon as the
/// uplink can carry it, what is sent again goes by the same measure as what is new, and there is
/// little of it.
#[test]
fn a_broadcast_from_a_small_uplink_completes_and_what_is_sent_again_is_metered() {
    const LEGS: u8 = 14;
    const SIZE: usize = 6_000_000;
    let mut net = Net::new(29, LinkConfig::default());
    let (source, relay) = (net.add(config(1), 1), net.add(config(2), 2));
    let road = simple(MS * 15, RATE * 8, 50);
    let mut place =
        || -> Vec<_> { road.iter().map(|machine| net.place_boxed(machine.clone())).collect() };
    let (up, down) = (place(), place());
    let to_relay = connected(&mut net, source, relay).0;
    let (mut ways, mut sinks) = (Vec::new(), Vec::new());
    for number in 0..LEGS {
        let sink = net.add(config(3 + number), 3 + u64::from(number));
        net.set_road(relay, sink, &up);
        net.set_road(sink, relay, &down);
        ways.push(connected(&mut net, relay, sink).0);
        sinks.push(App::new(sink));
    }
    let mut source = App::new(source);
    let mut relay = Relay::new(relay, Forwarding::CutThrough);
    relay.next = ways;
    let (began, before) = (net.now, net.stage(up[0]).dropped);
    let (mut last, mut most) = (sent(&mut net, relay.host).0, 0);
    let first = last;
    source.write(&mut net, to_relay, Dir::Uni, 1, SIZE);
    let whole = |sinks: &[App]| sinks.iter().all(|s| s.inn.iter().any(|flow| flow.finished));
    let carries = SECOND.mul_f64(f64::from(LEGS) * SIZE as f64 / RATE as f64);
    while !whole(&sinks) {
        assert!(net.now.saturating_since(began) < carries * 2, "not done");
        net.run(SECOND, |net| {
            source.turn(net);
            relay.turn(net);
            sinks.iter_mut().for_each(|sink| sink.turn(net));
            whole(&sinks)
        });
        let now = sent(&mut net, relay.host).0;
        // The beginning apart, when everybody looks for the rate.
        if net.now.saturating_since(began) > SECOND * 4 {
            most = most.max(now - last);
        }
        last = now;
    }
    let took = net.now.saturating_since(began);
    let (all, resent) = sent(&mut net, relay.host);
    let (dropped, body) = (net.stage(up[0]).dropped - before, u64::from(LEGS) * SIZE as u64);
    let ratio = (all - first) as f64 / body as f64;
    println!("{took:?} of {carries:?}; {ratio:.3} of the bodies sent, {resent} bytes again");
    println!("{dropped} datagrams dropped, {most} bytes in the fullest second of {RATE}");
    assert!(sinks.iter().all(|sink| sink.inn[0].read == SIZE as u64));
    assert!(took <= carries.mul_f64(1.2), "{took:?}");
    assert!(ratio <= 1.15, "{ratio}");
    assert!(most <= RATE * 9 / 8, "{most} bytes in a second");
}

/// Lesson 4: somebody who was being sent to at full rate goes deaf. What is sent there gets less and
/// less for minutes, and a TCP flow on the same uplink has all of it.
///
/// spec: R-REC-25
#[test]
fn a_deaf_peer_is_sent_less_and_less() {
    let patient = TransportConfig::default().with_peer_patience(SECOND * 300);
    let patient = patient.with_idle_timeout(SECOND * 300).expect("a time");
    let nodes = [1, 2].map(|number| config(number).with_transport(patient.clone()));
    let mut run = Lab::new(4, [usual(), usual()], nodes).connect();
    let [forth, back] = run.roads.clone();
    run.begin_fetch(&[40_000_000]);
    let flow = run.pair.net.cross_traffic(&back, &forth);
    run.pair.pass(SECOND * 5);
    // The flow's ACKs come: who is deaf is one host.
    let deaf = run.pair.net.place(Loss::of(1_000_000));
    run.pair.net.set_road(ENDS[0], ENDS[1], &[deaf]);
    let mut rates = Vec::new();
    for seconds in [1, 4, 8, 16, 32] {
        let before = run.stats()[1].path.sent_bytes;
        let theirs = run.pair.net.crossed(flow);
        run.pair.pass(SECOND * seconds);
        let ours = (run.stats()[1].path.sent_bytes - before) as f64 / f64::from(seconds);
        let theirs = (run.pair.net.crossed(flow) - theirs) as f64 / f64::from(seconds);
        rates.push((ours, theirs));
    }
    println!("bytes a second to who is deaf, and of the flow beside: {rates:.0?}");
    for pair in rates.windows(2) {
        assert!(pair[1].0 <= pair[0].0 * 0.6, "{rates:.0?}");
    }
    assert!(rates.last().is_some_and(|last| last.0 < 100.0), "{rates:.0?}");
    assert!(rates[2..].iter().all(|(_, theirs)| *theirs > RATE as f64 * 0.8), "{rates:.0?}");
    assert_eq!(run.pair.b.diary(run.pair.at_b).closed, None);
}
