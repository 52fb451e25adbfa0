//! Limits of what a node sends: who gets how much of them, who goes first, and what is counted.

use std::collections::VecDeque;
use std::time::Duration;

use aqueduct_core::config::TransportConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::connection::SendLimit;
use aqueduct_core::endpoint::{ConnectionHandle, Endpoint};
use aqueduct_core::shaping::{Bandwidth, Class};
use aqueduct_core::stream::{OpenOptions, Priority, StreamProtocol};
use aqueduct_core::tape::{Op, Payload};
use aqueduct_core::time::Instant;
use aqueduct_core::trace;
use aqueduct_core::wire::id::{AppCode, Dir, StreamId};
use aqueduct_tests::link::{Delay, LinkConfig, Queue};
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::scenario::lab::config;
use aqueduct_tests::transfer::connected;
use bytes::Bytes;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const NODE: HostId = HostId(0);

/// A network that is not looked into at every step, and whose datagrams are kept.
fn net(delay: Duration) -> Net {
    let mut net = Net::new(26, LinkConfig { delay, ..LinkConfig::default() });
    net.model = None;
    #[cfg(feature = "wiretap")]
    {
        net.wiretaps = None;
    }
    net.recording = Some(Vec::new());
    net
}

fn open(endpoint: &mut Endpoint, at: ConnectionHandle, priority: Priority) -> StreamId {
    let options = OpenOptions::new(StreamProtocol::name("shaped")).with_priority(priority);
    endpoint.connection(at).expect("it lives").open(Dir::Uni, options).expect("a stream")
}

/// Writes `bytes` zeros; returns how many were taken.
fn write(endpoint: &mut Endpoint, at: (ConnectionHandle, StreamId), bytes: u64) -> u64 {
    let mut view = endpoint.connection(at.0).expect("it lives");
    let mut stream = view.send(at.1).expect("an open stream");
    stream.write(Bytes::from(vec![0; bytes as usize])).map_or(0, |taken| taken as u64)
}

/// Reads all that is there on any stream; returns how much.
fn read(net: &mut Net, host: HostId, streams: &mut Vec<(ConnectionHandle, StreamId)>) -> u64 {
    net.host(host).events.clear();
    let endpoint = &mut net.host(host).endpoint;
    let handles: Vec<_> = endpoint.connections().map(|(handle, _)| handle).collect();
    let mut bytes = 0;
    for handle in handles {
        let Some(mut view) = endpoint.connection(handle) else { continue };
        while let Some(stream) = view.accept() {
            streams.push((handle, stream));
        }
        while view.recv_datagram().is_some() {}
        for (_, stream) in streams.iter().filter(|(at, _)| *at == handle) {
            let Some(mut half) = view.recv(*stream) else { continue };
            while let Ok(Some(chunk)) = half.read_chunk(usize::MAX) {
                bytes += chunk.data.len() as u64;
                half.release(chunk.data.len() as u64);
            }
        }
    }
    bytes
}

/// Datagrams of a host: when they left, and their bytes.
fn sent(net: &Net, host: HostId) -> Vec<(Instant, u64)> {
    let from = net.hosts[host.0].addr;
    let all = net.recording.iter().flatten();
    all.filter(|it| it.from == from).map(|it| (it.at, it.bytes.len() as u64)).collect()
}

/// The least and the most bytes that left in a second that begins with a datagram.
fn seconds(sent: &[(Instant, u64)]) -> (u64, u64) {
    let (mut inside, mut sum) = (VecDeque::new(), 0);
    let (mut least, mut most) = (u64::MAX, 0);
    let first = sent.first().expect("something left").0;
    for (at, bytes) in sent {
        inside.push_back((*at, *bytes));
        sum += bytes;
        while inside.front().is_some_and(|(from, _)| at.saturating_since(*from) >= SECOND) {
            sum -= inside.pop_front().map_or(0, |(_, bytes)| bytes);
        }
        most = most.max(sum);
        if at.saturating_since(first) >= SECOND {
            least = least.min(sum);
        }
    }
    (least, most)
}

/// What a peer of the hundred asks for: bytes in 10 ms, or all that it can get.
fn demand(peer: usize, fair: u64) -> Option<u64> {
    (peer < 40).then(|| (1 + peer as u64) * fair / 100 / 50)
}

/// A host that is written to.
struct Peer {
    host: HostId,
    to: (ConnectionHandle, StreamId),
    streams: Vec<(ConnectionHandle, StreamId)>,
    got: u64,
}

/// Urgent bytes that are under way to the last peer, and the longest that any took.
#[derive(Default)]
struct Urgent {
    written: VecDeque<Instant>,
    slowest: Duration,
}

/// Everybody reads what came.
fn listen(net: &mut Net, peers: &mut [Peer], urgent: &mut Urgent) -> bool {
    let last = peers.len();
    for (number, peer) in peers.iter_mut().enumerate() {
        if net.hosts[peer.host.0].events.is_empty() {
            continue;
        }
        let bytes = read(net, peer.host, &mut peer.streams);
        peer.got += bytes;
        if number + 1 == last && bytes > 0 {
            assert_eq!(bytes, 100, "one after the other");
            let at = urgent.written.pop_front().expect("it was written");
            urgent.slowest = urgent.slowest.max(net.now.saturating_since(at));
        }
    }
    false
}

/// A hundred peers that want from a fiftieth of the fair share to all that they can get, a node
/// with one limit, and a link that is 2 % faster. An urgent stream to one more peer begins again and
/// again.
///
/// spec: R-SHP-6, R-SHP-9, R-SHP-12
#[test]
fn a_hundred_peers_share_one_limit() {
    const RATE: u64 = 6_250_000;
    const PEERS: usize = 100;
    const WARM: u64 = 2;
    const LAST: u64 = 10;
    let mut net = net(MS * 10);
    let packet = SECOND.mul_f64(1_452.0 / RATE as f64);
    net.add(
        config(200).with_send_limit(Some(RATE)).with_timer_granularity(Duration::from_nanos(1)),
        1,
    );
    let link = net.place(Queue::packets(RATE * 102 / 100, 10_000));
    let far = net.place(Delay::of(MS * 10));
    let mut peers = Vec::new();
    for number in 0..=PEERS {
        let peer = net.add(config(number as u8), 2 + number as u64);
        net.set_road(NODE, peer, &[link, far]);
        let handle = connected(&mut net, NODE, peer).0;
        let urgent = if number == PEERS { Priority::Urgent } else { Priority::Normal };
        let stream = open(&mut net.host(NODE).endpoint, handle, urgent);
        peers.push(Peer { host: peer, to: (handle, stream), streams: Vec::new(), got: 0 });
    }
    net.recording = Some(Vec::new());
    let began = net.now;
    let fair = RATE / PEERS as u64;
    let ids: Vec<_> = peers.iter().map(|it| net.hosts[it.host.0].endpoint.node_id()).collect();
    let (mut at_warm, mut asked) = (Vec::new(), [0; PEERS]);
    let mut urgent = Urgent::default();
    for tick in 0..LAST * 100 {
        let endpoint = &mut net.host(NODE).endpoint;
        if tick == WARM * 100 {
            at_warm = ids.iter().map(|id| endpoint.bandwidth_of(*id).sent_in_all()).collect();
        }
        for number in 0..PEERS {
            let bytes = demand(number, fair).unwrap_or(60_000);
            asked[number] += write(endpoint, peers[number].to, bytes);
        }
        // Not where the ticks are.
        let until = began + MS * 10 * (tick as u32 + 1);
        let ask = net.now + MS * (3 + tick as u32 % 5);
        net.run(ask.saturating_since(net.now), |net| listen(net, &mut peers, &mut urgent));
        if tick >= WARM * 100 && tick % 3 == 0 && tick + 3 < LAST * 100 {
            write(&mut net.host(NODE).endpoint, peers[PEERS].to, 100);
            urgent.written.push_back(net.now);
        }
        net.run(until.saturating_since(net.now), |net| listen(net, &mut peers, &mut urgent));
    }
    let endpoint = &net.hosts[NODE.0].endpoint;
    let now = ids.iter().map(|id| endpoint.bandwidth_of(*id).sent_in_all());
    let got: Vec<u64> = now.zip(&at_warm).map(|(now, before)| now - before).collect();
    let greedy = &got[40..PEERS];
    let mean = greedy.iter().sum::<u64>() / greedy.len() as u64;
    let worst = greedy.iter().map(|bytes| bytes.abs_diff(mean)).max().unwrap_or(0);
    let unfair = 100.0 * worst as f64 / mean as f64;
    let (least, most) = seconds(
        &sent(&net, NODE)
            .into_iter()
            .filter(|(at, _)| at.saturating_since(began) >= SECOND * 2)
            .collect::<Vec<_>>(),
    );
    let waited = urgent.slowest.saturating_sub(MS * 10);
    println!(
        "unfair by {unfair:.3} % of {mean} bytes; {least} to {most} bytes in a second of {RATE}"
    );
    println!("urgent: {waited:?}, a packet takes {packet:?}");
    assert!(unfair < 0.5, "{unfair}");
    assert!(most as f64 <= RATE as f64 * 1.01, "{most}");
    assert!(least as f64 >= RATE as f64 * 0.99, "{least}");
    for number in 0..40 {
        let missing = asked[number] - peers[number].got;
        assert!(missing <= fair / 10, "{number} has not got {missing} of {}", asked[number]);
    }
    assert!(urgent.written.is_empty() && urgent.slowest > MS * 10, "the urgent bytes came");
    assert!(waited < packet * 2, "{waited:?}");
}

/// What is counted is what left and came, to the byte, with what is sent again; and each class is
/// what it is.
///
/// spec: R-SHP-1, R-SHP-2, R-SHP-3, R-SHP-4
#[test]
fn every_byte_is_counted_once() {
    let mut net = net(MS * 10);
    net.add(config(1), 1);
    let peer = net.add(config(2), 2);
    let lossy = LinkConfig { delay: MS * 10, loss: 2, ..LinkConfig::default() };
    net.set_link(NODE, peer, lossy);
    let (handle, _) = connected(&mut net, NODE, peer);
    let count = |net: &Net| [NODE, peer].map(|host| net.hosts[host.0].endpoint.bandwidth());
    let mut grown = Vec::new();
    for priority in [Priority::Urgent, Priority::Normal, Priority::Bulk] {
        let before = count(&net);
        let stream = open(&mut net.host(NODE).endpoint, handle, priority);
        assert_eq!(write(&mut net.host(NODE).endpoint, (handle, stream), 300_000), 300_000);
        let mut streams = Vec::new();
        net.run(SECOND * 5, |net| {
            read(net, peer, &mut streams);
            false
        });
        grown.push(count(&net)[0].sent(class(priority)) - before[0].sent(class(priority)));
    }
    assert!(grown.iter().all(|bytes| *bytes > 300_000), "with what was sent again: {grown:?}");
    let [ours, theirs] = count(&net);
    for (host, it) in [(NODE, ours), (peer, theirs)] {
        let bytes: u64 = sent(&net, host).iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(it.sent_in_all(), bytes, "all that left");
    }
    for class in [Class::Normal, Class::Bulk] {
        let (left, came) = (ours.sent(class), theirs.received(class));
        assert!(
            came < left && came * 100 >= left * 93,
            "{class:?}: {came} of {left}, but for losses"
        );
        assert_eq!(theirs.sent(class), 0, "{class:?}: nothing but control goes back");
    }
    assert!(theirs.received_in_all() < ours.sent_in_all());
    // A connection that yields to others is bulk, with its datagrams.
    let before = ours;
    let mut view = net.host(NODE).endpoint.connection(handle).expect("it lives");
    view.set_controller(Algorithm::Ledbat);
    view.send_datagram(Bytes::from_static(&[0; 1_000])).expect("a datagram");
    drop(view);
    net.run(SECOND, |_| false);
    let ours = count(&net)[0];
    assert!(ours.sent(Class::Bulk) >= before.sent(Class::Bulk) + 1_000);
    assert_eq!(ours.sent(Class::Normal), before.sent(Class::Normal));
    let id = net.hosts[peer.0].endpoint.node_id();
    let of_peer = net.hosts[NODE.0].endpoint.bandwidth_of(id);
    let whole = net.hosts[NODE.0].endpoint.totals().bandwidth;
    assert_eq!(whole, net.hosts[NODE.0].endpoint.bandwidth());
    for class in Class::ALL {
        assert_eq!(of_peer.sent(class), whole.sent(class), "there is nobody else");
    }
    let answer = whole.received_in_all() - of_peer.received_in_all();
    assert!((1..300).contains(&answer), "the handshake's answer: {answer}");
    // What is gone stays in the node's figures.
    let now = net.now;
    net.host(NODE).endpoint.connection(handle).expect("it lives").abort(AppCode(7), b"", now);
    net.run(SECOND * 30, |_| false);
    let endpoint = &net.hosts[NODE.0].endpoint;
    assert_eq!(endpoint.bandwidth_of(id), Bandwidth::default());
    let bytes: u64 = sent(&net, NODE).iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(endpoint.bandwidth().sent_in_all(), bytes);
}

fn class(priority: Priority) -> Class {
    match priority {
        Priority::Urgent => Class::Control,
        Priority::Normal => Class::Normal,
        Priority::Bulk => Class::Bulk,
    }
}

/// While both have something to send, normal has four bytes for one of bulk; unreliable datagrams
/// that find no room are dropped, and counted. Nothing is kept of a peer that is gone.
///
/// spec: R-SHP-10, R-SHP-14, R-SHP-15
#[test]
fn classes_of_a_connection_have_their_weights() {
    let mut net = net(MS * 10);
    net.add(config(1).with_peer_limit(Some(500_000)), 1);
    let peer = net.add(config(2), 2);
    let (handle, _) = connected(&mut net, NODE, peer);
    let streams = [Priority::Normal, Priority::Bulk]
        .map(|priority| open(&mut net.host(NODE).endpoint, handle, priority));
    for stream in streams {
        write(&mut net.host(NODE).endpoint, (handle, stream), 1 << 20);
    }
    let mut reading = Vec::new();
    net.run(SECOND * 2, |net| {
        read(net, peer, &mut reading);
        false
    });
    let it = net.hosts[NODE.0].endpoint.bandwidth();
    let (normal, bulk) = (it.sent(Class::Normal) as f64, it.sent(Class::Bulk) as f64);
    println!("{normal} of normal, {bulk} of bulk");
    assert!((3.8..4.2).contains(&(normal / bulk)), "{normal} {bulk}");
    let endpoint = &mut net.host(NODE).endpoint;
    let mut view = endpoint.connection(handle).expect("it lives");
    assert_eq!(view.stats().limited_by, SendLimit::Rate);
    for _ in 0..1_000 {
        view.send_datagram(Bytes::from(vec![0; 1_000])).expect("a datagram");
    }
    drop(view);
    let dropped = endpoint.bandwidth().dropped(Class::Normal);
    assert!((700..1_000).contains(&dropped), "{dropped}: 256 KiB wait");
    assert_eq!(endpoint.limited_peers(), 1);
    let now = net.now;
    let endpoint = &mut net.host(NODE).endpoint;
    endpoint.connection(handle).expect("it lives").abort(AppCode(1), b"", now);
    net.run(SECOND * 30, |_| false);
    assert_eq!(net.hosts[NODE.0].endpoint.limited_peers(), 0, "nothing is kept of who is gone");
}

/// A limit may come, change and go while data flows: it holds from then on, and it stands on the
/// tape. While it holds, no sample says anything of the path.
///
/// spec: R-SHP-5, R-SHP-11, R-TAPE-1
#[test]
fn limits_change_while_data_flows_and_are_recorded() {
    let mut net = net(MS * 10);
    net.tapes.payload = Some(Payload::Full);
    let transport = TransportConfig::default().with_controller(Algorithm::Bbr);
    net.add(config(1).with_transport(transport), 1);
    let peer = net.add(config(2), 2);
    let link = LinkConfig { delay: MS * 10, rate: Some(5_000_000), ..LinkConfig::default() };
    net.set_link(NODE, peer, link);
    let (handle, _) = connected(&mut net, NODE, peer);
    let id = net.hosts[peer.0].endpoint.node_id();
    let stream = open(&mut net.host(NODE).endpoint, handle, Priority::Normal);
    let mut reading = Vec::new();
    let mut second = |net: &mut Net| {
        let before = net.hosts[NODE.0].endpoint.bandwidth().sent_in_all();
        let until = net.now + SECOND;
        while net.now < until {
            write(&mut net.host(NODE).endpoint, (handle, stream), 200_000);
            net.run(MS * 20, |net| {
                read(net, peer, &mut reading);
                false
            });
        }
        net.hosts[NODE.0].endpoint.bandwidth().sent_in_all() - before
    };
    let free = second(&mut net);
    let near = |bytes: u64, rate: u64| bytes.abs_diff(rate) * 50 <= rate;
    assert!(free > 2_500_000, "{free}");
    let now = net.now;
    net.host(NODE).endpoint.set_limit(Some(1_000_000), now);
    assert_eq!(net.hosts[NODE.0].endpoint.limit(), Some(1_000_000));
    let all = second(&mut net);
    assert!(near(all, 1_000_000), "{all}");
    let limited = net.host(NODE).endpoint.connection(handle).expect("it lives").stats().limited_by;
    assert_eq!(limited, SendLimit::Rate);
    let now = net.now;
    net.host(NODE).endpoint.set_peer_limit(id, Some(200_000), now);
    let one = second(&mut net);
    assert!(near(one, 200_000), "{one}");
    let now = net.now;
    net.host(NODE).endpoint.set_peer_limit(id, None, now);
    net.host(NODE).endpoint.set_peers_limit(Some(400_000), now);
    for _ in 0..8 {
        let each = second(&mut net);
        assert!(near(each, 400_000), "{each}");
    }
    assert_eq!(net.hosts[NODE.0].endpoint.limited_peers(), 1);
    let now = net.now;
    net.host(NODE).endpoint.set_peers_limit(None, now);
    net.host(NODE).endpoint.set_limit(None, now);
    assert_eq!(net.hosts[NODE.0].endpoint.limit(), None);
    let again = second(&mut net);
    println!("{free} bytes in a second without a limit, {again} after it");
    assert!(again > 2_500_000, "what was measured under the limit is not the path's: {again}");
    let endpoint = &mut net.host(NODE).endpoint;
    endpoint.end_tape();
    let mut tape = Vec::new();
    endpoint.take_tape(&mut tape);
    let of = |wanted: Op| {
        let records = trace::records(&tape).expect("a tape");
        records.filter(|record| record.as_ref().is_ok_and(|record| record.op == wanted)).count()
    };
    assert_eq!((of(Op::Limit), of(Op::PeerLimit)), (2, 4));
}

/// Where nothing limits, nothing is otherwise than it would be if limits did not exist.
///
/// spec: R-SHP-5
#[test]
fn a_limit_that_is_gone_leaves_nothing_behind() {
    let run = |set: bool| {
        let mut net = net(MS * 10);
        net.add(config(1), 1);
        let peer = net.add(config(2), 2);
        let (handle, _) = connected(&mut net, NODE, peer);
        if set {
            let now = net.now;
            net.host(NODE).endpoint.set_limit(Some(10_000), now);
            net.host(NODE).endpoint.set_limit(None, now);
        }
        let stream = open(&mut net.host(NODE).endpoint, handle, Priority::Normal);
        write(&mut net.host(NODE).endpoint, (handle, stream), 1 << 20);
        let mut reading = Vec::new();
        net.run(SECOND * 3, |net| {
            read(net, peer, &mut reading);
            false
        });
        net.fingerprint()
    };
    assert_eq!(run(false), run(true));
}

/// Where half of all datagrams are lost something is probed for at each time-out, and what comes
/// back resets the back-off: probes with bytes in them would be a rate of their own.
///
/// spec: R-SHP-6, R-SHP-9
#[test]
fn probes_of_a_limited_node_carry_no_bytes_that_wait() {
    const RATE: u64 = 30_000;
    let mut net = net(MS * 3);
    net.add(config(1), 1);
    let peer = net.add(config(2), 2);
    let (handle, _) = connected(&mut net, NODE, peer);
    let now = net.now;
    net.host(NODE).endpoint.set_limit(Some(RATE), now);
    let stream = open(&mut net.host(NODE).endpoint, handle, Priority::Normal);
    write(&mut net.host(NODE).endpoint, (handle, stream), 1 << 20);
    let [here, there] = [NODE, peer].map(|host| net.hosts[host.0].addr);
    net.link(here, there).config.loss = 500;
    let (mut reading, first) = (Vec::new(), sent(&net, NODE).len());
    net.run(SECOND * 20, |net| {
        read(net, peer, &mut reading);
        false
    });
    let probed = net.hosts[NODE.0].endpoint.connections().next().expect("it lives").1.stats();
    assert!(probed.ledger.probe_timeouts > 20, "{:?}", probed.ledger);
    let (_, most) = seconds(&sent(&net, NODE)[first..]);
    // Besides what R-SHP-6 says there is control: ACKs, credit, and the probes themselves.
    assert!(most <= RATE + 2 * 1_452 + RATE / 10, "{most} of {RATE} in a second");
}
