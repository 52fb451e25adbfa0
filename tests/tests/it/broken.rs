//! Ways of streams that break, move, loop, or are taken away in the middle.

use std::time::Duration;

use aqueduct_core::config::TransportConfig;
use aqueduct_core::connection::EventKind;
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::endpoint::{PipeEventKind, PipeId};
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::{LegEnd, PipeStats};
use aqueduct_core::wire::id::{AppCode, Dir, Side, StreamId};
use aqueduct_tests::app::{Outflow, introduction, prose};
use aqueduct_tests::race::hop;
use aqueduct_tests::relay::{Chain, Forwarding, Relay};

const SECOND: Duration = Duration::from_secs(1);

fn chain(hops: usize, loss: u32) -> Chain {
    Chain::new(3, hops, hop(loss), Forwarding::CutThrough)
}

fn stats(relay: &Relay, of: PipeId) -> Option<PipeStats> {
    relay.news.iter().find_map(|news| match news.kind {
        PipeEventKind::Ended(stats) if news.pipe == of => Some(stats),
        _ => None,
    })
}

fn leg_end(relay: &Relay) -> Option<LegEnd> {
    relay.news.iter().find_map(|news| match news.kind {
        PipeEventKind::LegEnded { end, .. } => Some(end),
        _ => None,
    })
}

/// A relay says goodbye half way. Those behind it live: the receiver hears of it as soon as light
/// allows, with the distance, after all that was there without a gap. A stream that shares the
/// connections lives on.
///
/// spec: R-PIPE-14 R-PIPE-16 R-PIPE-18
#[test]
fn a_way_that_breaks_is_told_of_at_once_with_its_distance() {
    let mut chain = chain(5, 0);
    let (one, two) = (chain.relays[0].host, chain.relays[1].host);
    chain.net.set_link(one, two, hop(10));
    chain.write(1, 16 << 20);
    let half = |chain: &mut Chain| chain.sink.inn.first().is_some_and(|f| f.read > 8 << 20);
    assert!(chain.run(SECOND * 60, half));
    // A stream of the second relay's own, over connections that the pipe uses.
    let (second, third) = (chain.relays[1].host, chain.relays[1].next[0]);
    let mut view = chain.net.host(second).endpoint.connection(third).expect("alive");
    let other = view.open(Dir::Uni, introduction(9)).expect("a stream");
    drop(view);
    let text = prose(9, 300_000);
    chain.run(SECOND / 100, |_| false);
    let (first, back) = (chain.relays[0].host, chain.relays[0].back.expect("the source"));
    let next = chain.relays[0].next[0];
    let now = chain.net.now;
    for connection in [back, next] {
        let mut view = chain.net.host(first).endpoint.connection(connection).expect("alive");
        view.abort(AppCode(1), b"going away", now);
    }
    let died = now;
    let knows = |chain: &mut Chain| chain.source.diary(chain.out).closed.is_some();
    assert!(chain.run(SECOND * 6, knows), "the sender waits");
    println!("the sender knows after {:?}", chain.net.now.saturating_since(died));
    // What the second relay has without a gap, for as long as its source is there.
    let mut whole = 0;
    let source = StreamId::new(Side::Initiator, Dir::Uni, 0);
    let told = |chain: &mut Chain| {
        let back = chain.relays[1].back.expect("the first relay");
        let mut view = chain.net.host(second).endpoint.connection(back);
        let recv = view.as_mut().and_then(|view| view.recv(source));
        whole = recv.map_or(whole, |recv| recv.contiguous_end());
        chain.sink.inn[0].reset.is_some()
    };
    assert!(chain.run(SECOND * 3, told));
    let took = chain.net.now.saturating_since(died);
    println!("the receiver knows after {took:?}");
    // Four links of 20 ms each, and time for what was promised to be sent again where it was lost.
    assert!(took < SECOND * 2, "{took:?}");
    let flow = &chain.sink.inn[0];
    assert_eq!((flow.reset, flow.hop), (Some(StreamCode::ConnectionLost.app()), 2));
    let read = flow.read;
    chain.run(SECOND, |_| false);
    let held = stats(&chain.relays[1], chain.relays[1].pipes[0]).expect("its pipe is over");
    assert!(whole > 8 << 20 && held.received >= whole, "{held:?}");
    assert_eq!(read, whole, "all that was there without a gap");
    let mut view = chain.net.host(second).endpoint.connection(third).expect("it lives");
    let mut out = view.send(other).expect("it lives");
    out.forward(0, text).expect("open");
    out.finish().expect("open");
    drop(view);
    let whole = |chain: &mut Chain| chain.sink.inn.get(1).is_some_and(|flow| flow.finished);
    assert!(chain.run(SECOND * 20, whole));
    assert_eq!(chain.sink.inn[1].read, 300_000);
}

/// A relay's machine starts anew half way and knows nothing of before: those around it find that
/// nobody answers.
///
/// spec: R-PIPE-14 R-PIPE-16
#[test]
fn a_relay_that_starts_anew_is_noticed_on_both_sides() {
    let mut chain = chain(4, 0);
    chain.write(1, 16 << 20);
    let half = |chain: &mut Chain| chain.sink.inn.first().is_some_and(|f| f.read > 8 << 20);
    assert!(chain.run(SECOND * 60, half));
    let host = chain.relays[1].host;
    let config = crate::transfer::config(3);
    chain.net.restart(host, config, 77);
    let dead = chain.relays.remove(1);
    assert_eq!(dead.host, host);
    let died = chain.net.now;
    assert!(chain.run(SECOND * 6, |chain| chain.source.out[0].stopped), "the sender waits");
    println!("the sender knows after {:?}", chain.net.now.saturating_since(died));
    assert!(chain.run(SECOND * 12, |chain| chain.sink.inn[0].reset.is_some()));
    println!("the receiver knows after {:?}", chain.net.now.saturating_since(died));
    let flow = &chain.sink.inn[0];
    assert_eq!((flow.reset, flow.hop), (Some(StreamCode::ConnectionLost.app()), 0));
}

/// Addresses change under the pipe, of a relay and of the sink, and so do keys, again and again.
///
/// spec: R-PIPE-1 R-PIPE-3
#[test]
fn a_way_may_move_and_change_its_keys() {
    let limits = KeyLimits::default().with_soft_packets(300).expect("a limit");
    let transport = TransportConfig::default().with_key_limits(limits);
    let configure =
        |config: aqueduct_core::config::EndpointConfig| config.with_transport(transport.clone());
    let mut chain = Chain::with(5, 3, hop(10), Forwarding::CutThrough, configure);
    let size = 4 << 20;
    chain.write(1, size);
    let (relay, sink) = (chain.relays[0].host, chain.sink.host);
    for (step, host) in [relay, sink, relay, sink].into_iter().enumerate() {
        let until = (step as u64 + 1) * 600_000;
        let there = |chain: &mut Chain| chain.sink.inn.first().is_some_and(|f| f.read > until);
        assert!(chain.run(SECOND * 60, there), "step {step}");
        chain.net.rebind(host, 7000 + step as u16);
    }
    assert!(chain.run(SECOND * 60, |chain| chain.sink.inn[0].finished));
    assert_eq!(chain.sink.inn[0].read, size as u64);
    let next = chain.relays[0].next[0];
    let view = chain.net.host(relay).endpoint.connection(next).expect("alive");
    let keys = view.stats().keys;
    assert!(keys.updates_started + keys.updates_followed > 3, "{keys:?}");
}

/// The application of a relay takes away the leg that it gave to a pipe.
///
/// spec: R-PIPE-15
#[test]
fn a_leg_that_its_application_resets_ends_the_pipe() {
    let mut chain = chain(2, 0);
    chain.write(1, 8 << 20);
    assert!(chain.run(SECOND * 5, |chain| chain.sink.inn.first().is_some_and(|f| f.read > 0)));
    let (host, next) = (chain.relays[0].host, chain.relays[0].next[0]);
    let leg = StreamId::new(Side::Initiator, Dir::Uni, 0);
    let mut view = chain.net.host(host).endpoint.connection(next).expect("alive");
    view.send(leg).expect("the leg").reset(AppCode(9));
    drop(view);
    let both = |chain: &mut Chain| chain.source.out[0].stopped && chain.sink.inn[0].reset.is_some();
    assert!(chain.run(SECOND * 5, both));
    assert_eq!(chain.sink.inn[0].reset, Some(AppCode(9)));
    chain.run(SECOND, |_| false);
    let code = StreamCode::Cancelled.app();
    assert_eq!(leg_end(&chain.relays[0]), Some(LegEnd::Reset { code, hop: 0 }));
    let stats = chain.net.host(host).endpoint.stats();
    assert_eq!((stats.pipes, stats.pipe_bytes), (0, 0));
}

/// Two relays that send everything to each other: a stream goes round as often as it may, and what
/// says so goes all the way back.
///
/// spec: R-PIPE-4
#[test]
fn relays_in_a_circle_stop_at_the_hop_limit() {
    let mut chain = chain(2, 0);
    let mut far = Relay::new(chain.sink.host, Forwarding::CutThrough);
    let pipe = chain.relays[0].next[0];
    chain.relays[0].back = None;
    far.next = {
        let host = chain.net.host(far.host);
        let mut handles = host.accepted.clone();
        vec![handles.pop().expect("the relay's connection")]
    };
    chain.relays.push(far);
    chain.sink.host = chain.source.host;
    chain.source.begin(&mut chain.net, chain.out, Dir::Uni, 1, 20_000);
    assert!(chain.run(SECOND * 10, |chain| chain.source.out[0].stopped), "it goes round");
    let pipes: Vec<_> = chain.relays.iter().map(|relay| relay.pipes.len()).collect();
    assert_eq!(pipes, [8, 8], "over {pipe:?}");
    let code = StreamCode::HopLimit.app();
    assert_eq!(leg_end(&chain.relays[1]), Some(LegEnd::Stopped { code, hop: 0 }));
    let first = chain.relays[0].pipes[0];
    let end = chain.relays[0].news.iter().find_map(|news| match news.kind {
        PipeEventKind::LegEnded { end, .. } if news.pipe == first => Some(end),
        _ => None,
    });
    assert_eq!(end, Some(LegEnd::Stopped { code, hop: 15 }));
    chain.run(SECOND, |_| false);
    for relay in &chain.relays {
        let stats = chain.net.hosts[relay.host.0].endpoint.stats();
        assert_eq!((stats.pipes, stats.pipe_bytes), (0, 0));
    }
}

/// The next hop goes while bytes past a gap are on their way through.
///
/// spec: R-PIPE-15 R-PIPE-16
#[test]
fn a_leg_may_go_while_there_are_gaps() {
    let mut chain = chain(2, 10);
    chain.write(1, 8 << 20);
    let gap = |chain: &mut Chain| {
        let Some((connection, stream)) =
            chain.sink.inn.first().filter(|f| f.read > 1 << 20).map(|f| (f.connection, f.stream))
        else {
            return false;
        };
        let view = chain.net.host(chain.sink.host).endpoint.connection(connection);
        view.is_some_and(|mut view| view.recv(stream).is_some_and(|s| s.charged() > 30_000))
    };
    assert!(chain.run(SECOND * 60, gap));
    let (host, next) = (chain.relays[0].host, chain.relays[0].next[0]);
    let held = chain.net.host(host).endpoint.stats().pipe_bytes;
    assert!(held > 30_000, "{held}");
    let now = chain.net.now;
    let mut view = chain.net.host(host).endpoint.connection(next).expect("alive");
    view.abort(AppCode(2), b"", now);
    drop(view);
    assert!(chain.run(SECOND * 5, |chain| chain.source.out[0].stopped));
    chain.run(SECOND, |_| false);
    assert_eq!(leg_end(&chain.relays[0]), Some(LegEnd::Lost));
    let stats = chain.net.host(host).endpoint.stats();
    assert_eq!((stats.pipes, stats.pipe_bytes, stats.connections), (0, 0, 1));
    let closed: Vec<_> = chain.relays[0].events.iter().collect();
    assert!(closed.iter().any(|(of, kind)| *of == next && matches!(kind, EventKind::Closed(_))));
    let done = |flow: &Outflow| flow.stopped && !flow.delivered;
    assert!(done(&chain.source.out[0]));
}
