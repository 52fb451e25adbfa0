//! What a comparable system met in the field, as far as no other test tells the story: the table
//! in spec 21 says which test stands for what.

use std::time::Duration;

use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::LegEnd;
use aqueduct_core::wire::id::{AppCode, Dir};
use aqueduct_tests::app::{App, Inflow, Reading, introduction};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::Net;
use aqueduct_tests::race::hop;
use aqueduct_tests::relay::{Chain, Forwarding};
use aqueduct_tests::transfer::connected;
use bytes::Bytes;

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);

fn chain(hops: usize, link: LinkConfig) -> Chain {
    Chain::new(11, hops, link, Forwarding::CutThrough)
}

/// Lesson 36: two peers open the same stream to one node, and their bytes come by turns. Each has
/// its own text, its own answer and its own end there.
///
/// spec: R-STR-1
#[test]
fn two_peers_that_use_one_stream_id_know_nothing_of_each_other() {
    let mut net = Net::new(11, hop(0));
    let mut add = |number: u8| net.add(config(number), number.into());
    let (node, peers) = (add(1), [add(2), add(3)]);
    let ways = peers.map(|peer| connected(&mut net, peer, node).0);
    let mut apps = [App::new(node), App::new(peers[0]), App::new(peers[1])];
    let [node, one, other] = &mut apps;
    let first = one.begin(&mut net, ways[0], Dir::Bi, 1, 400_000);
    let second = other.begin(&mut net, ways[1], Dir::Bi, 2, 400_000);
    assert_eq!(first, second);
    let mut turns = (0, 0);
    let both = |node: &App| node.inn.len() == 2 && node.inn.iter().all(|f| f.read == 400_000);
    let run = |net: &mut Net, apps: [&mut App; 3], done: &mut dyn FnMut(&[&mut App; 3]) -> bool| {
        let mut apps = apps;
        net.run(SECOND * 10, |net| {
            apps.iter_mut().for_each(|app| app.turn(net));
            done(&apps)
        })
    };
    let mut last = [0, 0];
    assert!(run(&mut net, [node, one, other], &mut |apps| {
        let read = [1, 2].map(|salt| {
            let flow = apps[0].inn.iter().find(|flow| flow.salt() == Some(salt));
            flow.map_or(0, |flow| flow.read)
        });
        turns.0 += usize::from(read[0] > last[0]);
        turns.1 += usize::from(read[1] > last[1]);
        last = read;
        both(apps[0])
    }));
    assert!(turns.0 > 10 && turns.1 > 10, "{turns:?}: not by turns");
    let at = |node: &App, salt| {
        let flow = node.inn.iter().find(|flow| flow.salt() == Some(salt)).expect("it came");
        assert_eq!(flow.stream, first);
        flow.connection
    };
    assert_ne!(at(node, 1), at(node, 2));
    // One is answered and ends, the other is reset, all on the same id.
    let answered = at(node, 2);
    other.expect(ways[1], second, 9);
    node.answer(&mut net, answered, second, 9, 20_000);
    net.host(peers[0]).endpoint.connection(ways[0]).unwrap().send(first).unwrap().reset(AppCode(7));
    let mut view = net.host(peers[1]).endpoint.connection(ways[1]).unwrap();
    view.send(second).unwrap().finish().unwrap();
    drop(view);
    assert!(run(&mut net, [node, one, other], &mut |apps| {
        let ended = |flow: &Inflow| flow.finished || flow.reset.is_some();
        apps[0].inn.iter().all(ended) && apps[2].inn.iter().all(ended)
    }));
    let ends: Vec<_> = node.inn.iter().map(|f| (f.salt(), f.read, f.finished, f.reset)).collect();
    assert!(ends.contains(&(Some(1), 400_000, false, Some(AppCode(7)))), "{ends:?}");
    assert!(ends.contains(&(Some(2), 400_000, true, None)), "{ends:?}");
    assert_eq!((other.inn[0].read, other.inn[0].finished), (20_000, true));
    let mut view = net.host(peers[0]).endpoint.connection(ways[0]).unwrap();
    assert_eq!(view.recv(first).expect("nobody ended it").contiguous_end(), 0, "no answer here");
}

/// Lesson 38: the end is where FIN says, and nobody is done before the last byte is there, however
/// late that comes.
///
/// spec: R-PIPE-3
#[test]
fn nobody_is_done_before_the_last_byte() {
    let mut chain = chain(3, hop(0));
    let first = chain.relays[0].host;
    chain.write(1, 50_000);
    // The end is under way, and from now on all that the first relay sends is lost.
    assert!(chain.run(SECOND * 5, |chain| chain.sink.inn.first().is_some_and(|f| f.read > 20_000)));
    let next = chain.relays[1].host;
    chain.net.set_link(first, next, LinkConfig { loss: 1000, ..hop(0) });
    chain.run(SECOND * 2, |_| false);
    let flow = &chain.sink.inn[0];
    assert!(!flow.finished && flow.reset.is_none() && flow.read < 50_000, "{}", flow.read);
    chain.net.set_link(first, next, hop(0));
    assert!(chain.run(SECOND * 10, |chain| chain.sink.inn[0].finished));
    assert_eq!(chain.sink.inn[0].read, 50_000);
}

/// Lesson 41: the source's connection goes when all of its bytes have arrived at the relay. The
/// sink still gets everything, and the end.
///
/// spec: R-PIPE-14
#[test]
fn what_had_arrived_is_delivered_after_its_source_is_gone() {
    let mut chain = chain(2, hop(0));
    let (relay, sink) = (chain.relays[0].host, chain.sink.host);
    chain.net.set_link(relay, sink, LinkConfig { rate: Some(100_000), queue: 50_000, ..hop(0) });
    let size = 700_000;
    chain.write(1, size);
    assert!(chain.run(SECOND * 5, |chain| chain.source.out[0].delivered), "at the relay");
    assert!(chain.sink.inn[0].read < size as u64 / 2);
    let now = chain.net.now;
    let mut view = chain.net.host(chain.source.host).endpoint.connection(chain.out).unwrap();
    view.abort(AppCode(1), b"gone", now);
    drop(view);
    assert!(chain.run(SECOND * 30, |chain| chain.sink.inn[0].finished));
    assert_eq!((chain.sink.inn[0].read, chain.sink.inn[0].reset), (size as u64, None));
    chain.run(SECOND, |_| false);
    let stats = chain.net.host(relay).endpoint.stats();
    assert_eq!((stats.pipes, stats.pipe_bytes), (0, 0));
}

/// Lesson 42: the source says nothing more. Its stream ends, both sides are told why, and other
/// streams of the same connections never notice.
///
/// spec: R-PIPE-16 R-PIPE-17
#[test]
fn a_source_that_falls_silent_ends_its_stream_only() {
    let mut chain = chain(3, hop(0));
    chain.source.begin(&mut chain.net, chain.out, Dir::Uni, 1, 30_000);
    let (out, stream) = (chain.out, chain.source.out[0].stream);
    let mut stopped = None;
    let mut told = |chain: &mut Chain| {
        let mut view = chain.net.host(chain.source.host).endpoint.connection(out).unwrap();
        stopped = stopped.or_else(|| view.send(stream)?.stopped());
        drop(view);
        chain.source.out[0].stopped && chain.sink.inn.first().is_some_and(|f| f.reset.is_some())
    };
    for other in 0..13 {
        chain.write(2 + other, 10_000);
        chain.run(SECOND * 10, |chain| {
            told(chain);
            false
        });
    }
    assert!(told(&mut chain), "a stream that stands still");
    assert_eq!(stopped, Some((StreamCode::Timeout.app(), 0)), "by the first relay");
    assert_eq!(chain.sink.inn[0].reset, Some(StreamCode::Timeout.app()));
    assert_eq!(chain.sink.inn[0].read, 30_000, "what was there was delivered");
    chain.write(99, 200_000);
    assert!(chain.run(SECOND * 10, |chain| chain.sink.inn.last().is_some_and(|f| f.finished)));
    assert!(chain.sink.inn[1..].iter().all(|flow| flow.finished));
}

/// Lesson 43: what introduces a stream goes with it over every relay, at its largest too, in front
/// of bytes that fill packets.
///
/// spec: R-PIPE-4
#[test]
fn the_largest_introduction_crosses_every_relay() {
    let mut chain = chain(4, hop(10));
    let mut options = introduction(1);
    let head: Vec<u8> =
        (0..900_u16).map(|at| if at < 8 { at as u8 / 7 } else { at as u8 }).collect();
    options.head = Bytes::from(head.clone());
    options.size = Some(100_000);
    options.digest = Some([7; 32]);
    let mut view = chain.net.host(chain.source.host).endpoint.connection(chain.out).unwrap();
    let stream = view.open(Dir::Uni, options).expect("it fits");
    drop(view);
    chain.sink.reading = Reading::Never;
    chain.source.answer(&mut chain.net, chain.out, stream, 1, 100_000);
    assert!(chain.run(SECOND * 10, |chain| !chain.sink.inn.is_empty()));
    let flow = &chain.sink.inn[0];
    let view = chain.net.host(chain.sink.host).endpoint.connection(flow.connection).unwrap();
    let info = view.stream_info(flow.stream).expect("it was introduced");
    assert_eq!((&info.head[..], info.size, info.digest), (&head[..], Some(100_000), Some([7; 32])));
    drop(view);
    chain.sink.reading = Reading::InOrder;
    chain.sink.read_all(&mut chain.net);
    assert!(chain.run(SECOND * 20, |chain| chain.sink.inn[0].finished));
}

/// Lesson 46: round trips of seconds over every hop are no stall; nothing waits for a fixed time.
///
/// spec: R-PIPE-17
#[test]
fn round_trips_of_seconds_are_no_stall() {
    let slow =
        LinkConfig { delay: Duration::from_millis(1_500), loss: 10, ..LinkConfig::default() };
    let mut chain = chain(3, hop(0));
    let hosts: Vec<_> = (0..4).map(aqueduct_tests::net::HostId).collect();
    hosts.windows(2).for_each(|two| chain.net.set_link(two[0], two[1], slow));
    let trip = SECOND * 3;
    let passage = chain.pass(1, 300_000, trip * 20);
    assert!(passage.whole.is_some(), "{passage:?}: more than 20 round trips");
    assert!(chain.run(trip * 6, |chain| chain.source.out[0].delivered));
}

/// Lesson 47: time-outs count from the last progress. A transfer that takes longer than all of them
/// together ends well, once.
///
/// spec: R-PIPE-17
#[test]
fn a_transfer_that_outlasts_every_time_out_ends_well() {
    let thin = LinkConfig { rate: Some(8_000), queue: 20_000, ..hop(0) };
    let mut chain = chain(2, hop(0));
    chain.net.set_link(chain.relays[0].host, chain.sink.host, thin);
    let passage = chain.pass(1, 2_000_000, SECOND * 600);
    let took = passage.whole.expect("it ends");
    assert!(took > SECOND * 240, "{took:?}");
    assert_eq!(chain.sink.inn.len(), 1);
    chain.run(SECOND, |_| false);
    let ended: Vec<_> = chain.relays[0].news.iter().map(|news| news.kind).collect();
    let delivered = aqueduct_core::endpoint::PipeEventKind::LegEnded {
        leg: aqueduct_core::pipe::LegIndex(0),
        end: LegEnd::Delivered,
        sent: 2_000_000,
    };
    assert!(ended.contains(&delivered), "{ended:?}");
}
