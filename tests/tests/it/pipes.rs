//! Streams through relays: what is in spec 17, through endpoints and a network.

use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::connection::EventKind;
use aqueduct_core::endpoint::{Leg, PipeError, PipeEventKind, PipeId, StreamAddr};
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::{LegEnd, LegIndex, PipeOptions};
use aqueduct_core::stream::ReadError;
use aqueduct_core::wire::id::{AppCode, Dir};
use aqueduct_tests::app::{App, Reading, byte, introduction, prose};
use aqueduct_tests::conduit::Conduit;
use aqueduct_tests::fragments::{FRAGMENT, Order};
use aqueduct_tests::race::{Race, hop};
use aqueduct_tests::relay::{Chain, Forwarding};
use aqueduct_tests::scenario::chain::bad_way;
use bytes::Bytes;

use crate::matrix::Named;

const SECOND: Duration = Duration::from_secs(1);

fn clean(hops: usize) -> Chain {
    Chain::new(1, hops, hop(0), Forwarding::CutThrough)
}

/// A slice of the bench `chains`: the same figures, from few seeds and little data, so with more
/// room.
///
/// spec: R-PIPE-1 R-PIPE-2 R-PIPE-7
#[test]
fn a_hop_costs_its_delay_and_no_more() {
    let race = Race::run(3, 2 << 20, true, Algorithm::default(), |_, _| {});
    println!("{}", race.table());
    assert_eq!(
        race.missed(|ratios| ratios.median > 1.08 || ratios.worst > 1.25),
        Vec::<String>::new()
    );
}

/// What came and has not left by the leg is counted here, at both ends of the pipe, and not asked
/// of it.
///
/// spec: R-PIPE-1
#[test]
fn nothing_waits_in_a_pipe_in_whatever_order_fragments_come() {
    let body: Bytes = (0..10 << 20).map(|at| byte(1, at)).collect();
    for order in Order::ALL {
        let mut conduit = Conduit::new(16 << 20);
        let (mut arrived, mut left, mut got) = (0, 0, vec![0; body.len()]);
        for (number, data) in order.cut(&body) {
            arrived += data.len();
            conduit.arrive((number * FRAGMENT) as u64, &data, |offset, data| {
                left += data.len();
                got[offset as usize..][..data.len()].copy_from_slice(data);
            });
            assert_eq!(arrived, left, "fragment {number}, {order:?}");
        }
        assert_eq!(conduit.finish(body.len() as u64), LegEnd::Delivered);
        assert!(got == body, "{order:?}");
    }
}

/// spec: R-PIPE-3 R-PIPE-6
#[test]
fn bytes_and_end_cross_a_bad_way() {
    for seed in 0..4 {
        let _named = Named(format!("aqueduct sim run chain --seed {seed}"));
        println!("seed {seed}: {:?}", bad_way(seed).figures);
    }
}

/// spec: R-PIPE-4
#[test]
fn the_hop_limit_falls_at_every_relay() {
    let mut chain = clean(3);
    chain.write(1, 100_000);
    assert!(chain.run(SECOND * 10, |chain| chain.sink.inn.first().is_some_and(|f| f.read > 0)));
    let (connection, stream) = (chain.sink.inn[0].connection, chain.sink.inn[0].stream);
    let view = chain.net.host(chain.sink.host).endpoint.connection(connection).unwrap();
    assert_eq!(view.stream_info(stream).unwrap().hop_limit, Some(14));
}

/// A relay that opened its leg with a limit that does not fall, and one that has none left.
///
/// spec: R-PIPE-4
#[test]
fn a_loop_ends_by_the_hop_limit() {
    for (limit, leg) in [(Some(0), Some(0)), (Some(3), Some(3)), (Some(3), None), (None, None)] {
        let mut chain = clean(2);
        let relay = chain.relays.pop().unwrap();
        let endpoint = &mut chain.net.host(chain.source.host).endpoint;
        let mut options = introduction(1);
        options.hop_limit = limit;
        endpoint.connection(chain.out).unwrap().open(Dir::Uni, options.clone()).unwrap();
        chain.run(SECOND, |_| false);
        let host = chain.net.host(relay.host);
        let available = |e: &&aqueduct_core::endpoint::Event| e.kind == EventKind::StreamAvailable;
        let connection = host.events.iter().find(available).unwrap().connection;
        let stream = host.endpoint.connection(connection).unwrap().accept().unwrap();
        let from = StreamAddr { connection, stream };
        options.hop_limit = leg;
        let to = relay.next[0];
        let stream = host.endpoint.connection(to).unwrap().open(Dir::Uni, options).unwrap();
        let to = StreamAddr { connection: to, stream };
        let made = host.endpoint.pipe(from, &[Leg::Stream(to)], relay.options);
        let source_limit = limit.unwrap_or(16);
        let expected = match source_limit {
            0 => PipeError::HopLimit,
            source_limit => PipeError::LegHopLimit { leg, source_limit },
        };
        assert_eq!(made, Err(expected));
        assert_eq!(host.endpoint.stats().pipes, 0);
        assert!(!options_forwarded(0), "there is no OPEN below 0");
    }
}

fn options_forwarded(limit: u8) -> bool {
    let mut options = introduction(1);
    options.hop_limit = Some(limit);
    options.forwarded().is_some()
}

/// spec: R-PIPE-13 R-PIPE-18
#[test]
fn a_reset_says_how_far_away_it_began() {
    let mut chain = clean(4);
    let stream = chain.source.begin(&mut chain.net, chain.out, Dir::Uni, 1, 50_000);
    let all = |chain: &mut Chain| chain.sink.inn.first().is_some_and(|flow| flow.read == 50_000);
    assert!(chain.run(SECOND * 5, all));
    let mut view = chain.net.host(chain.source.host).endpoint.connection(chain.out).unwrap();
    view.send(stream).unwrap().reset(AppCode(77));
    drop(view);
    assert!(chain.run(SECOND * 5, |chain| chain.sink.inn[0].reset.is_some()));
    assert_eq!((chain.sink.inn[0].reset, chain.sink.inn[0].hop), (Some(AppCode(77)), 3));
    chain.run(SECOND, |_| false);
    assert!(chain.relays.iter().all(|relay| ended(relay).is_some()));
}

/// How a relay's only leg ended, if its pipe is over.
fn ended(relay: &aqueduct_tests::relay::Relay) -> Option<LegEnd> {
    let over = relay.news.iter().any(|news| matches!(news.kind, PipeEventKind::Ended(_)));
    let leg = relay.news.iter().find_map(|news| match news.kind {
        PipeEventKind::LegEnded { end, .. } => Some(end),
        _ => None,
    });
    leg.filter(|_| over)
}

/// spec: R-PIPE-15 R-PIPE-16 R-PIPE-18
#[test]
fn a_stop_says_how_far_away_it_began() {
    let mut chain = clean(4);
    chain.source.begin(&mut chain.net, chain.out, Dir::Uni, 1, 50_000);
    let other = chain.source.begin(&mut chain.net, chain.out, Dir::Uni, 2, 50_000);
    assert!(chain.run(SECOND * 5, |chain| chain.sink.inn.len() == 2));
    let flow = &chain.sink.inn[0];
    let (connection, stream) = (flow.connection, flow.stream);
    let mut view = chain.net.host(chain.sink.host).endpoint.connection(connection).unwrap();
    view.recv(stream).unwrap().stop(AppCode(5));
    drop(view);
    assert!(chain.run(SECOND * 5, |chain| chain.source.out[0].stopped));
    let at = |relay: &aqueduct_tests::relay::Relay| ended(relay);
    let ends: Vec<_> = chain.relays.iter().map(at).collect();
    let stopped = |hop| Some(LegEnd::Stopped { code: AppCode(5), hop });
    assert_eq!(ends, [stopped(2), stopped(1), stopped(0)]);
    assert!(!chain.source.outflow(chain.out, other).unwrap().stopped);
    assert!(chain.run(SECOND * 5, |chain| chain.sink.inn[1].read == 50_000));
}

/// Of a body of 32 MB next to nothing is sent any more once its reader is gone: only what is under
/// way when the word of it arrives.
///
/// spec: R-PIPE-15 R-STR-13
#[test]
fn what_nobody_reads_is_not_sent() {
    let mut chain = clean(4);
    let stream = chain.source.begin(&mut chain.net, chain.out, Dir::Uni, 1, 32 << 20);
    assert!(
        chain.run(SECOND * 5, |chain| chain.sink.inn.first().is_some_and(|f| f.read > 1 << 20))
    );
    let (connection, at_sink) = (chain.sink.inn[0].connection, chain.sink.inn[0].stream);
    let mut view = chain.net.host(chain.sink.host).endpoint.connection(connection).unwrap();
    view.recv(at_sink).unwrap().stop(AppCode(5));
    drop(view);
    assert!(chain.run(SECOND, |chain| chain.source.outflow(chain.out, stream).unwrap().stopped));
    let sent =
        |chain: &mut Chain| chain.net.host(chain.source.host).endpoint.bandwidth().sent_in_all();
    let before = sent(&mut chain);
    chain.run(SECOND * 5, |_| false);
    let after = sent(&mut chain);
    assert!(before < 8 << 20, "{before} bytes until the word was there");
    assert!(after - before < 10_000, "{} bytes behind it", after - before);
}

/// The sink refuses the leg before the relay pipes to it: when the relay has just heard of it, and
/// when nothing is left of the stream.
///
/// spec: R-PIPE-29 R-PIPE-15
#[test]
fn a_leg_that_was_refused_first_ends_the_pipe_with_its_own_code() {
    for gone in [false, true] {
        let mut chain = clean(2);
        let relay = chain.relays.pop().unwrap();
        let stream = chain.source.begin(&mut chain.net, chain.out, Dir::Uni, 1, 50_000);
        chain.run(SECOND, |_| false);
        let host = chain.net.host(relay.host);
        let available = |e: &&aqueduct_core::endpoint::Event| e.kind == EventKind::StreamAvailable;
        let connection = host.events.iter().find(available).unwrap().connection;
        let from = host.endpoint.connection(connection).unwrap().accept().unwrap();
        let from = StreamAddr { connection, stream: from };
        let to = relay.next[0];
        let mut options = introduction(1);
        options.hop_limit = Some(15);
        let leg = host.endpoint.connection(to).unwrap().open(Dir::Uni, options).unwrap();
        assert!(chain.run(SECOND, |chain| !chain.sink.inn.is_empty()));
        let at_sink = chain.sink.inn[0].connection;
        let endpoint = &mut chain.net.host(chain.sink.host).endpoint;
        let mut view = endpoint.connection(at_sink).unwrap();
        view.recv(leg).unwrap().stop_after(StreamCode::Refused.app(), 4);
        drop(view);
        let news = |chain: &mut Chain| {
            let events = &chain.net.hosts[relay.host.0].events;
            events.iter().any(|event| event.kind == EventKind::Stopped(leg))
        };
        assert!(chain.run(SECOND, news));
        if gone {
            chain.run(SECOND, |_| false);
        }
        let endpoint = &mut chain.net.host(relay.host).endpoint;
        let there = endpoint.connection(to).unwrap().send(leg).is_some();
        assert_eq!(there, !gone);
        let (code, hop) = (StreamCode::Refused.app(), 4);
        let end = LegEnd::Stopped { code, hop };
        let at = StreamAddr { connection: to, stream: leg };
        let way = if gone { Leg::Ended(end) } else { Leg::Stream(at) };
        if gone {
            let made = endpoint.pipe(from, &[Leg::Stream(at)], relay.options);
            assert_eq!(made, Err(PipeError::NoStream(at)));
        }
        let pipe = endpoint.pipe(from, &[way], relay.options).unwrap();
        assert_eq!(endpoint.piped(pipe).unwrap().stats().legs, 0, "nothing to wait for");
        assert!(chain.run(SECOND, |chain| chain.source.out[0].stopped));
        let mut view = chain.net.host(chain.source.host).endpoint.connection(chain.out).unwrap();
        assert_eq!(view.send(stream).unwrap().stopped(), Some((code, 5)));
        drop(view);
        let news = &chain.net.hosts[relay.host.0].pipe_events;
        let ended = PipeEventKind::LegEnded { leg: LegIndex(0), end, sent: 0 };
        assert_eq!(news[0].kind, ended);
        assert!(matches!(news[1].kind, PipeEventKind::Ended(_)));
    }
}

/// A relay dies in the middle of a chain, half way: the sender hears of it, and so does the
/// receiver, from the relay behind it, after all that this one held. Other streams live.
///
/// spec: R-PIPE-14 R-PIPE-15 R-PIPE-16
#[test]
fn a_relay_that_dies_is_heard_of_on_both_sides() {
    let mut chain = clean(4);
    chain.write(1, 16 << 20);
    let half = |chain: &mut Chain| chain.sink.inn.first().is_some_and(|f| f.read > 8 << 20);
    assert!(chain.run(SECOND * 60, half));
    // Streams that go no further than over one connection of the pipe, before the dead and behind.
    let ways = [
        (chain.relays[0].host, chain.relays[0].back.unwrap()),
        (chain.relays[2].host, chain.relays[2].next[0]),
    ];
    let beside = ways.map(|(host, connection)| {
        let mut app = App::new(host);
        (host, connection, app.begin(&mut chain.net, connection, Dir::Uni, 7, 1_000))
    });
    let dead = chain.relays[1].host;
    chain.net.sleep(dead, true);
    let died = chain.net.now;
    assert!(chain.run(SECOND * 6, |chain| chain.source.out[0].stopped), "the sender waits");
    println!("the sender knows after {:?}", chain.net.now.saturating_since(died));
    // The relay behind hears nothing: it knows when its connection is idle for too long.
    assert!(chain.run(SECOND * 31, |chain| chain.sink.inn[0].reset.is_some()));
    println!("the receiver knows after {:?}", chain.net.now.saturating_since(died));
    chain.run(SECOND, |_| false);
    let flow = &chain.sink.inn[0];
    assert_eq!((flow.reset, flow.hop), (Some(StreamCode::ConnectionLost.app()), 0));
    let relays = [&chain.relays[0], &chain.relays[2]];
    assert_eq!(relays.map(ended)[0], Some(LegEnd::Lost));
    let (code, hop) = (StreamCode::ConnectionLost.app(), 0);
    assert_eq!(relays.map(ended)[1], Some(LegEnd::Reset { code, hop }));
    let given = relays[1].news.iter().find_map(|news| match news.kind {
        PipeEventKind::Ended(stats) => Some(stats.acked),
        _ => None,
    });
    assert_eq!(chain.sink.inn[0].read, given.unwrap(), "all that was there without a gap");
    // The connections of those who live still carry streams.
    assert!(chain.source.diary(chain.out).closed.is_none());
    let next = chain.relays[2].next[0];
    let closed = |(of, kind): &(_, EventKind)| *of == next && matches!(kind, EventKind::Closed(_));
    assert!(!chain.relays[2].events.iter().any(closed));
    for (host, connection, stream) in beside {
        let mut view = chain.net.host(host).endpoint.connection(connection).unwrap();
        let mut stream = view.send(stream).unwrap();
        assert_eq!(stream.write(prose(7, 9_000).slice(1_000..)), Ok(8_000));
        stream.finish().unwrap();
    }
    let lives = |app: &App| {
        let mut flows = app.inn.iter().filter(|flow| flow.salt() == Some(7));
        flows.any(|flow| flow.finished && flow.read == 9_000)
    };
    assert!(chain.run(SECOND * 5, |chain| lives(&chain.source) && lives(&chain.sink)));
}

/// A connection that is closed politely, with a pipe over it: each side of the pipe hears of it.
///
/// spec: R-PIPE-14 R-PIPE-15
#[test]
fn a_connection_that_is_closed_ends_its_pipes() {
    for closes_source in [true, false] {
        let mut chain = clean(2);
        chain.source.begin(&mut chain.net, chain.out, Dir::Uni, 1, 100_000);
        let all = |chain: &mut Chain| chain.sink.inn.first().is_some_and(|f| f.read == 100_000);
        assert!(chain.run(SECOND * 5, all));
        let (host, connection) = match closes_source {
            true => (chain.source.host, chain.out),
            false => (chain.relays[0].host, chain.relays[0].next[0]),
        };
        chain.net.host(host).endpoint.connection(connection).unwrap().close(AppCode(1), b"bye");
        chain.run(SECOND * 3, |_| false);
        if closes_source {
            let flow = &chain.sink.inn[0];
            assert_eq!((flow.reset, flow.hop), (Some(StreamCode::ConnectionLost.app()), 0));
        } else {
            assert!(chain.source.out[0].stopped);
            assert_eq!(ended(&chain.relays[0]), Some(LegEnd::Lost));
        }
        assert_eq!(chain.net.host(chain.relays[0].host).endpoint.stats().pipes, 0);
    }
}

/// spec: R-PIPE-17
#[test]
fn a_pipe_in_silence_ends() {
    let mut chain = clean(2);
    chain.sink.reading = Reading::Never;
    chain.write(1, 8 << 20);
    assert!(!chain.run(SECOND * 115, |chain| chain.source.out[0].stopped));
    let held = chain.net.host(chain.relays[0].host).endpoint.stats().pipe_bytes;
    assert!(held > 0, "the relay holds what the sink did not take");
    assert!(chain.run(SECOND * 10, |chain| chain.source.out[0].stopped));
    let stats = chain.net.host(chain.relays[0].host).endpoint.stats();
    assert_eq!(stats.pipe_bytes, 0);
    chain.run(SECOND, |_| false);
    let end = LegEnd::Reset { code: StreamCode::Timeout.app(), hop: 0 };
    assert_eq!(ended(&chain.relays[0]), Some(end));
}

/// Two relays with pipes that cross both ways, and stuck ones that hold all that a relay lends to
/// their connection, which is less than their windows: the others flow.
///
/// spec: R-PIPE-16 R-FLOW-18
#[test]
fn stuck_pipes_hold_up_no_other() {
    const MEMORY: u64 = 3 << 20;
    const STUCK: u64 = 2;
    let poor = |config: EndpointConfig| config.with_memory(MEMORY, 16).unwrap();
    let mut chain = Chain::with(1, 3, hop(0), Forwarding::CutThrough, poor);
    chain.sink.reading = Reading::Never;
    for salt in 1..=STUCK {
        chain.write(salt, 8 << 20);
    }
    chain.run(SECOND * 10, |_| false);
    let held = |chain: &mut Chain, relay: usize| {
        let host = chain.relays[relay].host;
        chain.net.host(host).endpoint.stats().pipe_bytes
    };
    let before = [held(&mut chain, 0), held(&mut chain, 1)];
    let windows = STUCK * PipeOptions::default().stock;
    assert!(before.iter().all(|held| (windows / 2..windows).contains(held)), "{before:?}");
    chain.sink.reading = Reading::InOrder;
    chain.sink.inn.iter_mut().for_each(|flow| flow.ignored = true);
    // The way back: streams of the sink over the same connections.
    let back = chain.sink.inn[0].connection;
    chain.sink.write(&mut chain.net, back, Dir::Uni, 7, 2 << 20);
    chain.write(5, 2 << 20);
    let both = |chain: &mut Chain| {
        let there = chain.sink.inn.iter().any(|flow| flow.finished);
        there && chain.source.inn.iter().any(|flow| flow.finished)
    };
    assert!(chain.run(SECOND * 60, both));
    assert!(chain.source.out[..STUCK as usize].iter().all(|out| !out.written), "they wait");
    assert!(chain.sink.inn[..STUCK as usize].iter().all(|flow| flow.read == 0));
    let after = [held(&mut chain, 0), held(&mut chain, 1)];
    assert!(after.iter().all(|held| *held <= MEMORY), "{after:?}");
}

/// spec: R-PIPE-16
#[test]
fn a_pipe_back_over_its_own_connection_ends_with_it() {
    let mut chain = clean(1);
    chain.source.write(&mut chain.net, chain.out, Dir::Bi, 1, 3 << 20);
    let host = chain.sink.host;
    chain.net.run(SECOND, |_| false);
    let events: Vec<_> = chain.net.host(host).events.drain(..).collect();
    let connection = events.iter().find(|e| e.kind == EventKind::StreamAvailable).unwrap();
    let connection = connection.connection;
    let endpoint = &mut chain.net.host(host).endpoint;
    let stream = endpoint.connection(connection).unwrap().accept().unwrap();
    let at = StreamAddr { connection, stream };
    endpoint.pipe(at, &[Leg::Stream(at)], Default::default()).unwrap();
    let again = endpoint.pipe(at, &[Leg::Application], Default::default());
    assert_eq!(again, Err(PipeError::Piped(at)));
    chain.source.expect(chain.out, stream, 1);
    chain.run(SECOND * 2, |chain| chain.source.inn[0].read > 1 << 20);
    chain.net.sleep(chain.source.host, true);
    chain.net.host(host).endpoint.connection(connection).unwrap().close(AppCode(1), b"");
    chain.run(SECOND * 60, |_| false);
    let stats = chain.net.host(host).endpoint.stats();
    assert_eq!((stats.pipes, stats.connections, stats.budget_committed), (0, 0, 0));
}

/// A relay whose application is the only leg of a pipe, and a source that sends a byte at a time,
/// more of them than a pipe holds pieces.
fn slivers(count: u64) -> (Chain, PipeId) {
    let mut chain = clean(2);
    let relay = chain.relays.pop().unwrap();
    let stream = chain.source.begin(&mut chain.net, chain.out, Dir::Uni, 1, 0);
    chain.run(SECOND, |_| false);
    let host = chain.net.host(relay.host);
    let available = |e: &&aqueduct_core::endpoint::Event| e.kind == EventKind::StreamAvailable;
    let connection = host.events.iter().find(available).unwrap().connection;
    let stream_here = host.endpoint.connection(connection).unwrap().accept().unwrap();
    let from = StreamAddr { connection, stream: stream_here };
    let options = PipeOptions { stock: 1 << 16, ..PipeOptions::default() };
    let pipe = host.endpoint.pipe(from, &[Leg::Application], options).unwrap();
    for at in 0..count {
        let mut view = chain.net.host(chain.source.host).endpoint.connection(chain.out).unwrap();
        let sliver = Bytes::copy_from_slice(&[byte(1, at)]);
        assert_eq!(view.send(stream).unwrap().write(sliver), Ok(1));
        drop(view);
        chain.run(SECOND / 1000, |_| false);
    }
    chain.run(SECOND, |_| false);
    let stats = chain.net.host(relay.host).endpoint.piped(pipe).unwrap().stats();
    assert_eq!(stats.held, 1000, "so many pieces");
    chain.relays.push(relay);
    (chain, pipe)
}

/// Reads all that is here, and how it went on behind it.
fn read_all(chain: &mut Chain, pipe: PipeId, read: &mut u64) -> ReadError {
    let endpoint = &mut chain.net.host(chain.relays[0].host).endpoint;
    let mut pipe = endpoint.piped(pipe).unwrap();
    loop {
        match pipe.read(usize::MAX) {
            Ok(Some(chunk)) => {
                assert_eq!(chunk.offset, *read);
                assert!(chunk.data.iter().zip(*read..).all(|(is, at)| *is == byte(1, at)));
                *read = chunk.range().end;
            }
            Ok(None) => panic!("no end was said"),
            Err(error) => return error,
        }
    }
}

/// All pieces are let go in one turn, and of the rest nobody tells: it has come long ago.
///
/// spec: R-PIPE-20
#[test]
fn slivers_behind_the_limit_are_taken_when_there_is_room() {
    let (mut chain, pipe) = slivers(1500);
    let mut read = 0;
    assert_eq!(read_all(&mut chain, pipe, &mut read), ReadError::Blocked);
    assert_eq!(read, 1000);
    chain.net.host(chain.relays[0].host).endpoint.piped(pipe).unwrap().release(1000);
    chain.run(SECOND, |_| false);
    assert_eq!(read_all(&mut chain, pipe, &mut read), ReadError::Blocked);
    assert_eq!(read, 1500);
}

/// spec: R-PIPE-14 R-PIPE-20
#[test]
fn slivers_behind_the_limit_survive_their_connection() {
    let (mut chain, pipe) = slivers(1500);
    let source = &mut chain.net.host(chain.source.host).endpoint;
    source.connection(chain.out).unwrap().close(AppCode(1), b"gone");
    chain.run(SECOND, |_| false);
    let mut read = 0;
    let lost = ReadError::Reset { code: StreamCode::ConnectionLost.app(), hop: 0 };
    assert_eq!(read_all(&mut chain, pipe, &mut read), lost);
    assert_eq!(read, 1500);
}

/// A relay that is to keep more than its node has, and more than the body's part that its pool
/// lends: the body goes through, byte by byte, and what there is room for is kept.
///
/// spec: R-PIPE-23
#[test]
fn a_relay_keeps_no_more_than_its_node_can_lend() {
    const MEMORY: u64 = 2 << 20;
    for keep in [3 << 19, 64 << 20] {
        let small = |config: EndpointConfig| config.with_memory(MEMORY, 8).expect("lawful");
        let mut chain = Chain::with(1, 2, hop(0), Forwarding::CutThrough, small);
        let stock = 256 * 1024;
        chain.relays[0].options = PipeOptions { stock, keep, ..PipeOptions::default() };
        let passage = chain.pass(1, 6 << 20, SECOND * 60);
        assert!(passage.whole.is_some(), "keep {keep}: {passage:?}");
        println!("keep {keep}: {passage:?}, {} held at the most", chain.relays[0].most_held);
        assert!(chain.relays[0].most_held > stock, "nothing was kept");
        assert!(chain.relays[0].most_held < MEMORY);
    }
}
