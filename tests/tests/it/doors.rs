//! The endpoint's doors: waiting, blocked sockets, copies, the same run twice, bounded work.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use aqueduct_core::crypto::cid::{CidCodec, CidFields};
use aqueduct_core::endpoint::{CarrierKind, ConnectionHandle, Endpoint, EventKind, PeerAddr};
use aqueduct_core::error::CloseReason;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{CarrierId, Dir};
use aqueduct_tests::app::{App, Pair, prose};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net, Recorded};
use aqueduct_tests::raw::{ask, dial, drain, endpoint};

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);
const OTHER: CarrierId = CarrierId(7);

fn pair(seed: u64, link: LinkConfig) -> Pair {
    let mut net = Net::new(seed, link);
    let (a, b) = (net.add(config(1), 2 * seed), net.add(config(2), 2 * seed + 1));
    Pair::connect(net, a, b)
}

/// spec: R-EP-40
#[test]
fn waiting_means_that_nothing_else_is_left() {
    let link = LinkConfig { loss: 50, ..LinkConfig::default() };
    let mut pair = pair(1, link);
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 300_000);
    pair.b.write(&mut pair.net, pair.at_b, Dir::Bi, 2, 300_000);
    let mut steps = 0;
    let done = pair.run(SECOND * 60, |net, a, b| {
        let now = net.now;
        for host in &mut net.hosts {
            let mut copy = host.endpoint.clone();
            let first = drain(&mut copy, now);
            assert!(first.wait.is_none_or(|wait| wait > now));
            let again = drain(&mut copy, now);
            assert!(again.datagrams.is_empty() && again.events.is_empty());
            assert_eq!(again.wait, first.wait, "asking changed the answer");
        }
        steps += 1;
        whole(a) && whole(b)
    });
    assert!(done && steps > 300, "{steps} steps");
}

/// Three hosts; the first has two sockets, by one of which it is connected to each of the others.
fn fork(seed: u64, reliable: bool) -> (Net, [App; 3], [ConnectionHandle; 2]) {
    let mut net = Net::new(seed, LinkConfig::default());
    let hosts = [1, 2, 3].map(|number| net.add(config(number), seed * 10 + u64::from(number)));
    let ends = ["10.0.0.1:5555", "10.0.0.3:5555"].map(|addr| addr.parse().expect("an address"));
    for (host, here, there) in [(hosts[0], ends[0], ends[1]), (hosts[2], ends[1], ends[0])] {
        let udp = CarrierKind::Udp { max_segments: 16, max_datagram: 65_507 };
        let kind = if reliable { CarrierKind::Reliable { remote: there } } else { udp };
        net.open_socket(host, OTHER, here, kind);
    }
    let one = PeerAddr::new(net.host(hosts[1]).endpoint.node_id(), net.hosts[1].addr);
    let id = net.host(hosts[2]).endpoint.node_id();
    let other = PeerAddr { carrier: OTHER, ..PeerAddr::new(id, ends[1]) };
    let handles = [net.connect_to(hosts[0], one), net.connect_to(hosts[0], other)];
    let mut apps = hosts.map(App::new);
    run(&mut net, &mut apps, SECOND, |_| false);
    assert_eq!(apps[0].connections().len(), 2);
    (net, apps, handles)
}

fn run(
    net: &mut Net,
    apps: &mut [App; 3],
    limit: Duration,
    done: impl Fn(&[App; 3]) -> bool,
) -> bool {
    net.run(limit, |net| {
        apps.iter_mut().for_each(|app| app.turn(net));
        done(apps)
    })
}

fn whole(app: &App) -> bool {
    !app.inn.is_empty() && app.inn.iter().all(|flow| flow.finished)
}

/// spec: R-EP-41
#[test]
fn a_blocked_socket_stalls_nobody_else_and_loses_nothing() {
    // Over UDP the other end must not take the silence for death; over a stream nobody asks.
    for (seed, reliable, seconds) in [(1, false, 3), (2, true, 25)] {
        let (mut net, mut apps, [free, blocked]) = fork(seed, reliable);
        let app = &mut apps[0];
        app.write(&mut net, free, Dir::Uni, 1, 1_000_000);
        app.write(&mut net, blocked, Dir::Uni, 2, 1_000_000);
        run(&mut net, &mut apps, Duration::from_millis(50), |_| false);
        net.block(HostId(0), OTHER, true);
        let stats = |net: &mut Net| {
            let view = net.host(HostId(0)).endpoint.connection(blocked).expect("it lives");
            view.stats().ledger
        };
        let before = stats(&mut net);
        assert!(run(&mut net, &mut apps, SECOND * 2, |apps| whole(&apps[1])));
        run(&mut net, &mut apps, SECOND * seconds, |_| false);
        let meanwhile = stats(&mut net);
        assert_eq!(meanwhile.lost, before.lost, "silence was counted as loss");
        assert_eq!(meanwhile.probe_timeouts, before.probe_timeouts);
        assert!(apps[2].inn.iter().all(|flow| !flow.finished));
        net.block(HostId(0), OTHER, false);
        assert!(run(&mut net, &mut apps, SECOND * 10, |apps| whole(&apps[2])));
        assert_eq!(stats(&mut net).lost, 0, "reliable: {reliable}");
        assert_eq!(apps[0].diary(blocked).closed, None);
    }
}

/// A driver may open a carrier anew while it is blocked: that is news for whoever waits for it.
///
/// spec: R-EP-41
#[test]
fn a_blocked_socket_that_is_opened_anew_takes_bytes() {
    let (mut net, mut apps, [_, blocked]) = fork(4, false);
    apps[0].write(&mut net, blocked, Dir::Uni, 2, 1_000_000);
    run(&mut net, &mut apps, Duration::from_millis(50), |_| false);
    net.block(HostId(0), OTHER, true);
    run(&mut net, &mut apps, SECOND, |_| false);
    let here = net.hosts[0].sockets[&OTHER].addr;
    let kind = CarrierKind::Udp { max_segments: 1, max_datagram: 65_507 };
    net.open_socket(HostId(0), OTHER, here, kind);
    assert!(run(&mut net, &mut apps, SECOND, |apps| whole(&apps[2])));
    let view = net.host(HostId(0)).endpoint.connection(blocked).expect("it lives");
    assert_eq!(view.stats().ledger.lost, 0);
}

#[test]
fn a_socket_that_fails_ends_only_what_has_no_other_way() {
    let (mut net, mut apps, [alive, dead]) = fork(3, false);
    net.close_socket(HostId(0), OTHER);
    run(&mut net, &mut apps, SECOND, |_| false);
    assert_eq!(apps[0].diary(dead).closed, Some(CloseReason::CarrierLost));
    assert!(apps[0].diary(dead).drained && apps[0].diary(alive).closed.is_none());
    apps[0].write(&mut net, alive, Dir::Uni, 1, 100_000);
    assert!(run(&mut net, &mut apps, SECOND * 5, |apps| whole(&apps[1])));
    let to = PeerAddr {
        carrier: OTHER,
        ..PeerAddr::new(net.host(HostId(2)).endpoint.node_id(), net.hosts[2].addr)
    };
    let now = net.now;
    assert!(net.host(HostId(0)).endpoint.connect(to, now).is_err());
}

/// A run with everything in it: streams both ways, messages, datagrams, a rebinding, an end.
fn mixed(seed: u64) -> (Net, [u8; 32]) {
    let link = LinkConfig {
        loss: 30,
        duplicate: 20,
        corrupt: 10,
        jitter: Duration::from_millis(4),
        ..LinkConfig::default()
    };
    let mut pair = pair(seed, link);
    for salt in 0..4 {
        pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, salt, 40_000);
        pair.b.write(&mut pair.net, pair.at_b, Dir::Bi, 10 + salt, 30_000);
    }
    let mut view = pair.net.host(HostId(0)).endpoint.connection(pair.at_a).expect("it lives");
    view.send_message(prose(3, 50_000)).expect("a stream");
    view.send_datagram(prose(4, 900)).expect("queued");
    drop(view);
    pair.pass(SECOND);
    pair.net.rebind(HostId(0), 6_000);
    pair.pass(SECOND * 5);
    let mut view = pair.net.host(HostId(1)).endpoint.connection(pair.at_b).expect("it lives");
    view.close(aqueduct_core::wire::id::AppCode(1), b"done");
    drop(view);
    pair.pass(SECOND * 10);
    let print = pair.net.fingerprint();
    (pair.net, print)
}

/// spec: R-EP-43
#[test]
fn the_same_inputs_and_the_same_seed_give_the_same_bytes() {
    for seed in 0..5 {
        assert_eq!(mixed(seed).1, mixed(seed).1, "seed {seed}");
        assert_ne!(mixed(seed).1, mixed(seed + 100).1);
    }
}

/// spec: R-EP-43
#[test]
fn a_copy_goes_on_exactly_as_the_original() {
    let mut pair = pair(5, LinkConfig { loss: 30, ..LinkConfig::default() });
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 500_000);
    pair.pass(Duration::from_millis(70));
    pair.net.recording = Some(Vec::new());
    let began = pair.net.now;
    let copies: Vec<_> = pair.net.hosts.iter().map(|host| host.endpoint.clone()).collect();
    pair.pass(SECOND / 2);
    // What the originals sent is what the copies send when they hear what the originals heard.
    let recording = pair.net.recording.take().expect("it was on");
    let writer = pair.net.hosts[0].addr;
    let sent: Vec<_> = recording.iter().filter(|one| one.from == writer).collect();
    let mut copy = copies.into_iter().next().expect("the writer");
    let mut other = copy.clone();
    let ours = drain(&mut copy, began).datagrams;
    assert!(!ours.is_empty() || sent[0].at > began);
    for (one, (_, bytes)) in sent.iter().zip(&ours) {
        assert_eq!(one.bytes, *bytes);
    }
    // What if nothing is heard any more? Two copies agree on that too.
    let mut now = began;
    drain(&mut other, now);
    for _ in 0..40 {
        let one = drain(&mut copy, now);
        let same = drain(&mut other, now);
        assert_eq!(format!("{one:?}"), format!("{same:?}"));
        let Some(wait) = one.wait else { break };
        now = wait;
    }
    assert!(now > began + SECOND);
}

/// spec: R-EP-42
#[test]
fn handles_of_others_and_of_the_past_find_nothing() {
    let mut pair = pair(6, LinkConfig::default());
    let at_a = pair.at_a;
    let copy = pair.net.hosts[0].endpoint.clone();
    let mut view = pair.net.host(HostId(0)).endpoint.connection(at_a).expect("it lives");
    view.close(aqueduct_core::wire::id::AppCode(0), b"");
    drop(view);
    pair.pass(SECOND * 5);
    for _ in 0..50 {
        assert!(pair.net.host(HostId(0)).endpoint.connection(at_a).is_none());
        let to = PeerAddr::new(copy.node_id(), pair.net.hosts[1].addr);
        let to = PeerAddr { id: None, ..to };
        let handle = pair.net.connect_to(HostId(0), to);
        assert_eq!(handle.index(), at_a.index());
        assert_ne!(handle, at_a);
        assert!(pair.net.host(HostId(0)).endpoint.connection(handle).is_some());
        pair.pass(SECOND / 10);
        let now = pair.net.now;
        if let Some(mut view) = pair.net.host(HostId(0)).endpoint.connection(handle) {
            view.abort(aqueduct_core::wire::id::AppCode(0), b"", now);
        }
        pair.pass(SECOND * 3);
    }
}

/// spec: R-EP-32
#[test]
fn no_reset_is_made_for_a_slot_in_use() {
    let seed = 40;
    let mut pair = pair(20, LinkConfig::default());
    pair.pass(SECOND);
    let from = "10.9.9.9:9".parse().expect("an address");
    let mut root = Rng::new(&Seed::from_u64(seed));
    let _ = root.fork("cookie");
    let codec = CidCodec::new(&mut root.fork("cid"));
    let now = pair.net.now;
    let endpoint = &mut pair.net.host(HostId(0)).endpoint;
    for index in 0..=255 {
        let cid = codec.encode(CidFields::new(0, 0, 0, index).expect("within bounds"));
        let mut bytes = vec![0x40; 1_200];
        bytes[1..9].copy_from_slice(&cid.0);
        assert!(ask(endpoint, from, &bytes, now).datagrams.is_empty(), "index {index}");
    }
    let free = codec.encode(CidFields::new(0, 1, 0, 0).expect("within bounds"));
    let mut bytes = vec![0x40; 1_200];
    bytes[1..9].copy_from_slice(&free.0);
    assert_eq!(ask(endpoint, from, &bytes, now).datagrams.len(), 1);
}

/// A transfer beside which so many empty datagrams a millisecond reach the reader, from where the
/// writer is and from elsewhere. A digest of all that was sent, how many empty ones came, and how
/// many the reader counted as of no kind.
fn beside_empty_datagrams(each: usize) -> ([u8; 32], u32, u64) {
    let mut pair = pair(30, LinkConfig { rate: Some(2_000_000), ..LinkConfig::default() });
    let [writer, reader] = [0, 1].map(|host| pair.net.hosts[host].addr);
    let elsewhere = "10.9.9.9:9".parse().expect("an address");
    let came = Rc::new(Cell::new(0));
    let counter = Rc::clone(&came);
    let count = move |one: &Recorded| counter.set(counter.get() + u32::from(one.bytes.is_empty()));
    pair.net.tap = Some(Box::new(move |_, one| count(one)));
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 1_500_000);
    for _ in 0..1_000 {
        for from in [writer, elsewhere].into_iter().cycle().take(each) {
            pair.net.inject(from, reader, Vec::new());
        }
        pair.pass(SECOND / 1_000);
    }
    assert!(whole(&pair.b), "it was not done in a second");
    let counted = pair.net.host(HostId(1)).endpoint.stats().malformed;
    (pair.net.wire_fingerprint(), came.get(), counted)
}

/// spec: R-PKT-1
#[test]
fn ten_thousand_empty_datagrams_change_nothing_of_a_transfer() {
    let (alone, none, silence) = beside_empty_datagrams(0);
    let (flooded, all, counted) = beside_empty_datagrams(10);
    assert_eq!((none, silence), (0, 0));
    assert_eq!((all, counted), (10_000, 10_000), "each is counted once");
    assert_eq!(alone, flooded, "the same datagrams at the same times");
}

/// spec: R-PKT-1
#[test]
fn what_is_of_no_kind_is_counted_once() {
    let mut pair = pair(31, LinkConfig::default());
    pair.pass(SECOND);
    let now = pair.net.now;
    let endpoint = &mut pair.net.host(HostId(0)).endpoint;
    let from = "10.9.9.9:9".parse().expect("an address");
    let counts = |endpoint: &Endpoint| (endpoint.stats().datagrams, endpoint.stats().malformed);
    let before = counts(endpoint);
    // Nothing; the two kinds that the first two bits leave to others; a long header cut short.
    let strange = [&[][..], &[0x00; 1_200], &[0x80; 1_200], &[0xc0; 5]];
    for (number, bytes) in (1..).zip(strange) {
        assert!(ask(endpoint, from, bytes, now).datagrams.is_empty(), "datagram {number}");
        assert_eq!(counts(endpoint), (before.0 + number, before.1 + number), "datagram {number}");
    }
}

/// What a datagram costs must not grow with what else the endpoint holds: of the connections at one
/// address sixteen are asked whether a stray is their peer's reset, and no more.
///
/// spec: R-EP-44
#[test]
fn work_for_a_datagram_is_bounded_by_its_length() {
    let now = Instant::from_nanos(1_000_000_000);
    let mut server = endpoint(config(9), 999_999, now);
    let to = PeerAddr::new(server.node_id(), "10.0.0.9:4433".parse().expect("an address"));
    let from = "10.0.0.1:4433".parse().expect("an address");
    let mut resets = Vec::new();
    for seed in 0..20 {
        let (mut dialer, _, first) = dial(config(1), seed, &to, now);
        let mut said = ask(&mut server, from, &first, now);
        said.incoming.drain(..).for_each(|incoming| _ = server.accept(incoming, now));
        for (_, bytes) in drain(&mut server, now).datagrams {
            for (_, bytes) in ask(&mut dialer, to.remote, &bytes, now).datagrams {
                ask(&mut server, from, &bytes, now);
            }
        }
        // The dialer forgets everything, and is spoken to.
        let mut forgetful = endpoint(config(1), seed, now);
        let mut stray = vec![0x41; 1_200];
        stray[1..9].copy_from_slice(&first[4..12]);
        resets.extend(ask(&mut forgetful, to.remote, &stray, now).datagrams);
    }
    assert_eq!((server.stats().connections, resets.len()), (20, 20));
    let ends = |reset: &[u8]| {
        let news = ask(&mut server.clone(), from, reset, now).news();
        news.contains(&EventKind::Closed(CloseReason::Reset))
    };
    assert_eq!(resets.iter().filter(|(_, reset)| ends(reset)).count(), 16);
}
