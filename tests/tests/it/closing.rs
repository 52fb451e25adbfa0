//! How connections end.

use std::ops::Range;
use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, TransportConfig};
use aqueduct_core::endpoint::{ConnectionHandle, EventKind};
use aqueduct_core::error::CloseReason;
use aqueduct_core::stream::OpenError;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{AppCode, Dir};
use aqueduct_tests::app::{App, Pair, Reading, introduction};
use aqueduct_tests::link::{Delay, Drops, LinkConfig, Machine};
use aqueduct_tests::net::{HostId, Net, Recorded};
use aqueduct_tests::raw::drain;

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);

fn idle(number: u8, seconds: u64) -> EndpointConfig {
    let transport = TransportConfig::default();
    config(number)
        .with_transport(transport.with_idle_timeout(SECOND * seconds as u32).expect("a time"))
}

fn pair_of(seed: u64, link: LinkConfig, a: EndpointConfig, b: EndpointConfig) -> Pair {
    let mut net = Net::new(seed, link);
    let (a, b) = (net.add(a, 2 * seed), net.add(b, 2 * seed + 1));
    Pair::connect(net, a, b)
}

fn pair(seed: u64) -> Pair {
    pair_of(seed, LinkConfig::default(), config(1), config(2))
}

fn close(net: &mut Net, host: HostId, handle: ConnectionHandle, code: u64, reason: &[u8]) {
    let mut view = net.host(host).endpoint.connection(handle).expect("it lives");
    view.close(AppCode(code), reason);
}

fn abort(net: &mut Net, host: HostId, handle: ConnectionHandle, code: u64, reason: &[u8]) {
    let now = net.now;
    let mut view = net.host(host).endpoint.connection(handle).expect("it lives");
    view.abort(AppCode(code), reason, now);
}

fn closed_by_peer(code: u64, reason: &str) -> Option<CloseReason> {
    Some(CloseReason::Peer { code: AppCode(code), reason: reason.to_owned() })
}

fn everything_is_back(net: &Net) {
    for host in &net.hosts {
        let stats = host.endpoint.stats();
        assert_eq!((stats.connections, stats.half_open, stats.budget_committed), (0, 0, 0));
    }
}

/// spec: R-CLOSE-5, R-CLOSE-2, R-CLOSE-7, R-EP-42
#[test]
fn close_loses_nothing_that_was_written() {
    for (seed, loss) in [(1, 0), (2, 100), (3, 250)] {
        let link = LinkConfig { loss, ..LinkConfig::default() };
        let mut pair = pair_of(seed, link, config(1), config(2));
        let stream = pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 1_000_000);
        assert!(pair.a.outflow(pair.at_a, stream).expect("a flow").written);
        close(&mut pair.net, HostId(0), pair.at_a, 42, b"enough");
        let mut view = pair.net.host(HostId(0)).endpoint.connection(pair.at_a).expect("it lives");
        assert_eq!(view.open(Dir::Uni, introduction(1)), Err(OpenError::Closed));
        drop(view);
        let (at_a, at_b) = (pair.at_a, pair.at_b);
        let limit = SECOND * 600;
        assert!(pair.run(limit, |_, a, b| a.diary(at_a).drained && b.diary(at_b).drained));
        let diary = pair.b.diary(at_b);
        assert_eq!(diary.closed, closed_by_peer(42, "enough"), "loss {loss}");
        assert_eq!(pair.b.read_of(at_b), 1_000_000);
        assert_eq!(diary.read_before_closed, 1_000_000, "the end came before the data");
        assert!(pair.b.inn[0].finished);
        assert_eq!(pair.a.diary(at_a).closed, Some(CloseReason::Local(AppCode(42))));
        everything_is_back(&pair.net);
        for (host, handle) in [(HostId(0), at_a), (HostId(1), at_b)] {
            assert!(pair.net.host(host).endpoint.connection(handle).is_none());
        }
        // The slot has another tenant now; the old handle still finds nothing.
        let mut again = Pair::connect(pair.net, HostId(0), HostId(1));
        assert_eq!(again.at_a.index(), at_a.index());
        assert_ne!(again.at_a, at_a);
        assert!(again.net.host(HostId(0)).endpoint.connection(at_a).is_none());
    }
}

/// A stream that nobody finished is cut off behind what was written; that much arrives.
///
/// spec: R-CLOSE-5
#[test]
fn close_delivers_messages_datagrams_and_what_was_not_finished() {
    let mut pair = pair(4);
    pair.a.begin(&mut pair.net, pair.at_a, Dir::Uni, 5, 300_000);
    let mut view = pair.net.host(HostId(0)).endpoint.connection(pair.at_a).expect("it lives");
    view.send_message(vec![1; 3_000_000].into()).expect("a stream");
    view.send_datagram(vec![2; 1_000].into()).expect("queued");
    drop(view);
    close(&mut pair.net, HostId(0), pair.at_a, 1, b"");
    let at_b = pair.at_b;
    assert!(pair.run(SECOND * 60, |_, _, b| b.diary(at_b).closed.is_some()));
    let diary = pair.b.diary(at_b);
    assert_eq!(diary.closed, closed_by_peer(1, ""));
    assert_eq!(diary.messages.iter().map(bytes::Bytes::len).collect::<Vec<_>>(), [3_000_000]);
    assert_eq!(diary.datagrams.len(), 1);
    assert_eq!(pair.b.read_of(at_b), 300_000);
}

/// spec: R-CLOSE-5
#[test]
fn close_ends_with_the_peer_if_the_peer_is_lost() {
    let mut pair = pair(5);
    pair.pass(SECOND);
    let dead = LinkConfig { loss: 1000, ..LinkConfig::default() };
    pair.net.set_link(HostId(0), HostId(1), dead);
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 100_000);
    close(&mut pair.net, HostId(0), pair.at_a, 1, b"");
    let at_a = pair.at_a;
    assert!(pair.run(SECOND * 30, |_, a, _| a.diary(at_a).drained));
    assert!(matches!(pair.a.diary(at_a).closed, Some(CloseReason::PeerLost { .. })));
}

/// A peer that is there and reads nothing; then one that reads a little late.
///
/// spec: R-CLOSE-12
#[test]
fn close_does_not_wait_for_ever_for_who_reads_nothing() {
    let linger = SECOND * 40;
    let patient = || {
        let transport = TransportConfig::default().with_linger(linger).expect("a time");
        config(1).with_transport(transport)
    };
    let mut pair = pair_of(6, LinkConfig::default(), patient(), config(2));
    pair.b.reading = Reading::Never;
    pair.a.begin(&mut pair.net, pair.at_a, Dir::Uni, 5, 64 << 20);
    pair.pass(SECOND);
    close(&mut pair.net, HostId(0), pair.at_a, 7, b"enough");
    let (at_a, at_b, begun) = (pair.at_a, pair.at_b, pair.net.now);
    assert!(pair.run(SECOND * 300, |_, a, _| a.diary(at_a).closed.is_some()));
    let waited = pair.net.now.saturating_since(begun);
    assert!((linger..linger + SECOND).contains(&waited), "{waited:?}");
    assert_eq!(pair.a.diary(at_a).closed, Some(CloseReason::Local(AppCode(7))));
    assert!(pair.run(SECOND * 30, |_, a, b| a.diary(at_a).drained && b.diary(at_b).drained));
    assert_eq!(pair.b.diary(at_b).closed, closed_by_peer(7, "enough"));
    everything_is_back(&pair.net);

    let mut pair = pair_of(7, LinkConfig::default(), patient(), config(2));
    pair.b.reading = Reading::Never;
    pair.a.begin(&mut pair.net, pair.at_a, Dir::Uni, 5, 3 << 20);
    close(&mut pair.net, HostId(0), pair.at_a, 7, b"enough");
    pair.pass(linger - SECOND);
    pair.b.reading = Reading::InOrder;
    pair.b.read_all(&mut pair.net);
    let at_b = pair.at_b;
    assert!(pair.run(SECOND * 60, |_, _, b| b.diary(at_b).closed.is_some()));
    assert_eq!(pair.b.read_of(at_b), 3 << 20, "who reads in the end gets all of it");
}

/// spec: R-CLOSE-5, R-CLOSE-2
#[test]
fn abort_ends_at_once() {
    let link = LinkConfig { rate: Some(100_000), ..LinkConfig::default() };
    let mut pair = pair_of(6, link, config(1), config(2));
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 1 << 20);
    pair.pass(SECOND);
    let began = pair.net.now;
    abort(&mut pair.net, HostId(0), pair.at_a, 9, b"stop");
    let at_b = pair.at_b;
    assert!(pair.run(SECOND * 12, |_, _, b| b.diary(at_b).closed.is_some()));
    println!("told after {:?}", pair.net.now.saturating_since(began));
    assert_eq!(pair.b.diary(at_b).closed, closed_by_peer(9, "stop"));
    assert!(pair.b.read_of(at_b) < 1 << 20);
    pair.pass(SECOND * 60);
    everything_is_back(&pair.net);
}

/// spec: R-CLOSE-2
#[test]
fn both_sides_close_at_once_and_each_keeps_its_cause() {
    for delay in [0, 5, 10, 15, 40] {
        let mut pair = pair(7 + delay);
        abort(&mut pair.net, HostId(0), pair.at_a, 1, b"a");
        pair.pass(Duration::from_millis(delay));
        let (at_a, at_b) = (pair.at_a, pair.at_b);
        if let Some(mut view) = pair.net.host(HostId(1)).endpoint.connection(at_b) {
            view.close(AppCode(2), b"b");
        }
        pair.pass(SECOND * 10);
        assert_eq!(pair.a.diary(at_a).closed, Some(CloseReason::Local(AppCode(1))));
        let cause = pair.b.diary(at_b).closed;
        if delay < 10 {
            assert_eq!(cause, Some(CloseReason::Local(AppCode(2))));
        } else {
            assert_eq!(cause, closed_by_peer(1, "a"));
        }
        everything_is_back(&pair.net);
    }
}

/// spec: R-CLOSE-10
#[test]
fn a_reason_is_cut_at_a_characters_border() {
    let cases = [
        ("x".repeat(64), "x".repeat(64)),
        ("x".repeat(65), "x".repeat(64)),
        ("x".repeat(63) + "ä", "x".repeat(63)),
        ("x".repeat(62) + "ä", "x".repeat(62) + "ä"),
        ("x".repeat(61) + "🦀", "x".repeat(61)),
        ("🦀".repeat(100), "🦀".repeat(16)),
    ];
    for (seed, (said, heard)) in cases.into_iter().enumerate() {
        let mut pair = pair(20 + seed as u64);
        abort(&mut pair.net, HostId(0), pair.at_a, 3, said.as_bytes());
        pair.pass(SECOND);
        assert_eq!(pair.b.diary(pair.at_b).closed, closed_by_peer(3, &heard));
    }
}

/// spec: R-CLOSE-6
#[test]
fn a_close_is_repeated_ever_more_rarely_and_a_drained_side_is_silent() {
    let mut pair = pair(30);
    pair.net.recording = Some(Vec::new());
    pair.b.write(&mut pair.net, pair.at_b, Dir::Uni, 5, 1 << 20);
    pair.pass(Duration::from_millis(15));
    // The way to the other side is cut, so that it goes on and on.
    let (a, b) = (pair.net.hosts[0].addr, pair.net.hosts[1].addr);
    pair.net.link(a, b).config.loss = 1000;
    let mark = pair.net.recording.as_ref().map_or(0, Vec::len);
    abort(&mut pair.net, HostId(0), pair.at_a, 9, b"stop");
    let began = pair.net.now;
    let at_a = pair.at_a;
    pair.run(SECOND * 5, |_, a, _| a.diary(at_a).drained);
    let lasted = pair.net.now.saturating_since(began);
    let recording = pair.net.recording.clone().expect("it is on");
    let after = &recording[mark..];
    let closes: Vec<_> =
        after.iter().filter(|one| one.from == a && one.bytes[0] >> 6 == 1).collect();
    // Packets that were on their way, or were sent, until the state ended.
    let delay = Duration::from_millis(10);
    let ended = began + lasted;
    let heard = recording
        .iter()
        .filter(|one| one.from == b && one.at + delay > began && one.at + delay < ended);
    let heard = heard.count();
    println!("{} closes for {heard} packets in {lasted:?}", closes.len());
    assert!(heard > 8);
    // One at once, two unasked; then after the 1st, 2nd, 4th, 8th and 16th, some of which may come
    // together.
    let most = 3 + (usize::BITS - heard.leading_zeros()) as usize;
    assert!((3..=most).contains(&closes.len()));
    // But for the delay that their ACKs tell, they are the same.
    assert!(closes.iter().all(|one| one.bytes.len().abs_diff(closes[0].bytes.len()) <= 7));
    // 3 PTO of a path of 20 ms: more than 60 ms and far less than a second.
    assert!(lasted > Duration::from_millis(60) && lasted < SECOND, "{lasted:?}");
    assert!(pair.net.host(HostId(0)).endpoint.connection(at_a).is_none());
}

/// A body of 6,000 bytes, its end with the last byte or alone a second later, and of what its sender
/// says from then on these datagrams are lost. Gives how long it took until all was read, and how
/// many datagrams went before.
fn without(lost: Range<u64>, alone: bool) -> (Duration, u64) {
    let mut pair = pair(75);
    pair.pass(SECOND);
    let stream = pair.a.begin(&mut pair.net, pair.at_a, Dir::Uni, 5, 6_000);
    if alone {
        pair.pass(SECOND);
    }
    let count = lost.end - lost.start;
    let delay = Duration::from_millis(10);
    let road: [Box<dyn Machine>; 2] = [Box::new(Drops::of(lost)), Box::new(Delay::of(delay))];
    let drops = pair.net.lay(HostId(0), HostId(1), &road)[0];
    let (began, before) = (pair.net.now, pair.net.hosts[0].sent);
    let mut view = pair.net.host(HostId(0)).endpoint.connection(pair.at_a).expect("it lives");
    view.send(stream).expect("open").finish().expect("once");
    drop(view);
    assert!(pair.run(SECOND * 5, |_, _, b| b.inn.first().is_some_and(|flow| flow.finished)));
    let (took, sent) = (pair.net.now.saturating_since(began), pair.net.hosts[0].sent - before);
    assert_eq!((pair.net.stage(drops).dropped, pair.b.inn[0].read), (count, 6_000));
    (took, sent)
}

/// The last packet, the last three, the end alone; and the probes that repeat them.
///
/// spec: R-REC-24
#[test]
fn a_lost_tail_and_a_lost_end_are_said_again() {
    for alone in [false, true] {
        let (usual, all) = without(1..1, alone);
        assert!(if alone { all == 1 } else { all > 3 }, "{all} datagrams");
        let cases = [(all, 0, 100), (all.max(3) - 2, 0, 100), (all, 2, 300), (all, 6, 800)];
        for (first, probes, most) in cases {
            let (took, _) = without(first..all + 1 + probes, alone);
            println!("alone: {alone}, {first} to {} lost: {took:?}, not {usual:?}", all + probes);
            assert!(took.as_millis() <= most, "{took:?}");
        }
    }
}

/// CLOSE is lost, and lost again; the peer has no reason to speak.
///
/// spec: R-CLOSE-6
#[test]
fn a_lost_close_is_said_again() {
    for lost in 0..3_u32 {
        let mut pair = pair(70 + u64::from(lost));
        pair.pass(SECOND);
        let (a, b) = (pair.net.hosts[0].addr, pair.net.hosts[1].addr);
        pair.net.link(a, b).config.loss = 1000;
        let before = pair.net.hosts[0].sent;
        abort(&mut pair.net, HostId(0), pair.at_a, 9, b"stop");
        pair.net.run(SECOND, |net| net.hosts[0].sent - before >= lost.into());
        pair.net.link(a, b).config.loss = 0;
        pair.pass(SECOND);
        assert_eq!(pair.b.diary(pair.at_b).closed, closed_by_peer(9, "stop"), "{lost} lost");
        assert!(pair.net.hosts[0].sent - before <= 3);
        everything_is_back(&pair.net);
    }
}

/// Whether the sender knows that everything came, once the reader of its last byte has closed.
fn is_known_after_close(seed: u64, loss: u32) -> bool {
    let link = LinkConfig { loss, ..LinkConfig::default() };
    let mut pair = pair_of(seed, link, config(1), config(2));
    let stream = pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 100_000);
    let (at_a, at_b) = (pair.at_a, pair.at_b);
    assert!(pair.run(SECOND * 60, |_, _, b| b.inn.first().is_some_and(|flow| flow.finished)));
    let known = pair.a.outflow(at_a, stream).expect("a flow").delivered;
    assert!(loss > 0 || !known, "the last ACK was not due yet");
    abort(&mut pair.net, HostId(1), at_b, 7, b"");
    assert!(pair.run(SECOND * 60, |_, a, _| a.diary(at_a).closed.is_some()));
    // Who has nothing in flight asks nothing, and may miss each CLOSE. Where two in five are lost,
    // who asks may miss every answer in the time that the peer still gives any, and then hear that
    // it knows nothing of them.
    let closed = pair.a.diary(at_a).closed.clone();
    let missed = match closed {
        Some(CloseReason::IdleTimeout(_)) => loss > 0,
        Some(CloseReason::PeerLost { .. } | CloseReason::Reset) => loss >= 400,
        _ => false,
    };
    assert!(missed || closed == closed_by_peer(7, ""), "loss {loss}: {closed:?}");
    pair.a.outflow(at_a, stream).expect("a flow").delivered
}

/// Where CLOSE itself is lost and a probe has repeated the end, only that probe could tell.
///
/// spec: R-CLOSE-11
#[test]
fn who_closes_behind_the_last_byte_tells_that_it_came() {
    for (loss, least) in [(0, 50), (100, 40), (200, 40), (400, 25)] {
        let known = (80..130).filter(|seed| is_known_after_close(*seed, loss)).count();
        println!("loss of {loss} in 1,000: {known} of 50 are known to have arrived");
        assert!(known >= least, "loss {loss}: {known}");
    }
}

/// spec: R-CLOSE-6, R-CLOSE-8
#[test]
fn after_a_close_a_side_is_silent_and_what_arrived_can_be_read() {
    let mut pair = pair(31);
    pair.b.reading = Reading::Never;
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 10_000);
    pair.pass(SECOND);
    abort(&mut pair.net, HostId(0), pair.at_a, 9, b"stop");
    let at_b = pair.at_b;
    assert!(pair.run(SECOND, |_, _, b| b.diary(at_b).closed.is_some()));
    let sent = pair.net.hosts[1].sent;
    pair.b.read_all(&mut pair.net);
    assert!(pair.b.inn[0].finished && pair.b.inn[0].read == 10_000);
    assert!(!pair.b.diary(at_b).drained);
    pair.pass(SECOND * 5);
    assert_eq!(pair.net.hosts[1].sent, sent);
    assert!(pair.b.diary(at_b).drained);
}

/// All that either side ever said comes once more while the session drains, and its data when it is
/// forgotten.
///
/// spec: R-CLOSE-6, R-EP-12
#[test]
fn packets_of_a_session_that_just_ended_cost_no_curve_operation() {
    let mut net = Net::new(32, LinkConfig::default());
    net.recording = Some(Vec::new());
    let (a, b) = (net.add(config(1), 64), net.add(config(2), 65));
    let mut pair = Pair::connect(net, a, b);
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 100_000);
    pair.pass(SECOND);
    abort(&mut pair.net, a, pair.at_a, 9, b"stop");
    let (at_a, at_b) = (pair.at_a, pair.at_b);
    assert!(pair.run(SECOND, |_, _, b| b.diary(at_b).closed.is_some()));
    let recording = pair.net.recording.take().expect("it was on");
    let again = |pair: &mut Pair, data_only: bool| {
        let is_asked = |one: &&Recorded| !data_only || one.bytes[0] >> 6 == 1;
        for one in recording.iter().filter(is_asked) {
            pair.net.inject(one.from, one.to, one.bytes.clone());
        }
        pair.pass(Duration::from_millis(1));
        let stats = [0, 1].map(|host| pair.net.hosts[host].endpoint.stats());
        stats.map(|stats| (stats.handshakes_opened, stats.strays))
    };
    let data = recording.iter().filter(|one| one.bytes[0] >> 6 == 1).count() as u64;
    assert!(data > 50, "{data}");
    let [by_a, by_b] = again(&mut pair, false);
    assert!(!pair.a.diary(at_a).drained && !pair.b.diary(at_b).drained);
    assert_eq!((by_a.0, by_b.0), (0, 1));
    pair.pass(SECOND * 5);
    assert!(pair.a.diary(at_a).drained && pair.b.diary(at_b).drained);
    let [then_a, then_b] = again(&mut pair, true);
    assert_eq!((then_a.0, then_b.0), (0, 1));
    assert_eq!(then_a.1 + then_b.1, by_a.1 + by_b.1 + data, "they are nobody's");
}

/// When a host noticed the end, counted from `from`.
fn ended_after(
    pair: &mut Pair,
    who: fn(&Pair) -> (&App, ConnectionHandle),
    from: Instant,
) -> Duration {
    let until = from + SECOND * 7_200;
    loop {
        let (a, b) = (&mut pair.a, &mut pair.b);
        a.turn(&mut pair.net);
        b.turn(&mut pair.net);
        let (app, handle) = who(pair);
        if app.diary(handle).closed.is_some() {
            return pair.net.now.saturating_since(from);
        }
        if !pair.net.step(until) {
            pair.a.turn(&mut pair.net);
            pair.b.turn(&mut pair.net);
            let (app, handle) = who(pair);
            assert!(app.diary(handle).closed.is_some(), "it never ended");
            return pair.net.now.saturating_since(from);
        }
    }
}

/// spec: R-CLOSE-3
#[test]
fn silence_ends_a_connection_after_the_smaller_of_both_time_outs() {
    for (mine, theirs) in [(5, 30), (30, 5), (30, 3600)] {
        let mut pair = pair_of(40, LinkConfig::default(), idle(1, mine), idle(2, theirs));
        pair.pass(SECOND * 2);
        let last = pair.net.now;
        let timeout = SECOND * mine.min(theirs) as u32;
        let took = ended_after(&mut pair, |pair| (&pair.a, pair.at_a), last);
        assert!(took <= timeout && took + SECOND * 3 > timeout, "{took:?} of {timeout:?}");
        assert_eq!(pair.a.diary(pair.at_a).closed, Some(CloseReason::IdleTimeout(timeout)));
        pair.pass(SECOND);
        assert_eq!(pair.b.diary(pair.at_b).closed, Some(CloseReason::IdleTimeout(timeout)));
        everything_is_back(&pair.net);
    }
}

/// spec: R-CLOSE-3
#[test]
fn what_does_not_open_is_no_sign_of_life() {
    let mut pair = pair_of(41, LinkConfig::default(), idle(1, 5), idle(2, 5));
    pair.net.recording = Some(Vec::new());
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 10_000);
    pair.pass(SECOND);
    let recording = pair.net.recording.take().expect("it was on");
    let last = pair.net.now;
    // Garbage, old packets again, and damaged ones, all the time.
    for one in recording.iter().cycle().take(400) {
        let mut damaged = one.bytes.clone();
        damaged[15] ^= 4;
        pair.net.inject(one.from, one.to, one.bytes.clone());
        pair.net.inject(one.from, one.to, damaged);
        pair.pass(Duration::from_millis(20));
    }
    assert!(pair.net.now.saturating_since(last) >= SECOND * 8);
    let timeout = Some(CloseReason::IdleTimeout(SECOND * 5));
    assert_eq!(pair.a.diary(pair.at_a).closed, timeout);
    assert_eq!(pair.b.diary(pair.at_b).closed, timeout);
}

/// spec: R-CLOSE-3
#[test]
fn a_question_gets_the_whole_time_out_for_its_answer_and_a_slow_path_three_probes() {
    let mut pair = pair_of(42, LinkConfig::default(), idle(1, 3), idle(2, 3));
    pair.pass(Duration::from_millis(2_800));
    pair.net.set_link(HostId(0), HostId(1), LinkConfig { loss: 1000, ..LinkConfig::default() });
    let asked = pair.net.now;
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 10);
    let took = ended_after(&mut pair, |pair| (&pair.a, pair.at_a), asked);
    assert_eq!(took, SECOND * 3, "from the question on");
    // 1 s of silence allowed, 2 s of round trip.
    let slow = LinkConfig { delay: SECOND, ..LinkConfig::default() };
    let mut pair = pair_of(43, slow, idle(1, 1), idle(2, 1));
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 100_000);
    let at_b = pair.at_b;
    assert!(pair.run(SECOND * 60, |_, _, b| b.read_of(at_b) == 100_000));
    assert_eq!(pair.a.diary(pair.at_a).closed, None);
}

/// spec: R-CLOSE-4
#[test]
fn an_idle_pair_sends_nothing_but_keep_alives() {
    // No stream and no wish: silence, and the end.
    let mut pair = pair_of(50, LinkConfig::default(), idle(1, 3_600), idle(2, 3_600));
    pair.pass(SECOND * 10);
    let sent = |pair: &Pair| pair.net.hosts.iter().map(|host| host.sent).sum::<u64>();
    let before = sent(&pair);
    pair.pass(SECOND * 590);
    assert_eq!(sent(&pair), before, "somebody spoke");
    // A stream that is not over: its receiver speaks every third of the time-out.
    let mut pair = pair_of(51, LinkConfig::default(), config(1), config(2));
    pair.a.begin(&mut pair.net, pair.at_a, Dir::Uni, 5, 10);
    pair.pass(SECOND * 10);
    let (before, receiver) = (sent(&pair), pair.net.hosts[1].sent);
    pair.pass(SECOND * 600);
    let (all, pings) = (sent(&pair) - before, pair.net.hosts[1].sent - receiver);
    println!("10 minutes with an open stream: {all} datagrams, {pings} of them the receiver's");
    assert!((58..=61).contains(&pings) && all == 2 * pings, "{all} {pings}");
    // A pause in what it receives makes it ask once, soon.
    pair.net.recording = Some(Vec::new());
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 6, 10);
    pair.pass(SECOND * 8);
    let recording = pair.net.recording.take().expect("it was on");
    let asked = recording.iter().filter(|one| one.from == pair.net.hosts[1].addr);
    assert!(asked.count() <= 3, "an ACK, a question, perhaps a window");
    // As configured, where nothing is open.
    let transport = TransportConfig::default().with_keep_alive(Some(SECOND * 20));
    let mut pair =
        pair_of(52, LinkConfig::default(), config(1).with_transport(transport), config(2));
    pair.pass(SECOND * 10);
    let (before, keeper) = (sent(&pair), pair.net.hosts[0].sent);
    pair.pass(SECOND * 600);
    let (all, pings) = (sent(&pair) - before, pair.net.hosts[0].sent - keeper);
    assert!((29..=31).contains(&pings) && all == 2 * pings, "{all} {pings}");
    assert_eq!(pair.a.diary(pair.at_a).closed, None);
    // And without anything until the time-out.
    let mut pair = pair_of(53, LinkConfig::default(), config(1), config(2));
    pair.pass(SECOND * 5);
    let before = sent(&pair);
    pair.pass(SECOND * 600);
    assert_eq!(sent(&pair), before);
    everything_is_back(&pair.net);
}

/// spec: R-CLOSE-7, R-EP-42
#[test]
fn a_thousand_connections_come_and_go_and_nothing_stays() {
    let mut net = Net::new(60, LinkConfig::default());
    let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
    let mut handles = Vec::new();
    for turn in 0..200 {
        let handle = net.connect(a, b);
        net.run(Duration::from_millis(25 * (turn % 4)), |_| false);
        let now = net.now;
        if let Some(mut view) = net.host(a).endpoint.connection(handle) {
            match turn % 3 {
                0 => view.close(AppCode(1), b""),
                _ => view.abort(AppCode(2), b"", now),
            }
        }
        handles.push(handle);
        net.run(SECOND, |_| false);
        net.hosts.iter_mut().for_each(|host| host.events.clear());
    }
    net.run(SECOND * 30, |_| false);
    everything_is_back(&net);
    assert!(handles.iter().all(|handle| net.host(a).endpoint.connection(*handle).is_none()));
    assert!(handles.iter().all(|handle| handle.index() < 4), "slots are used again");
    for host in [a, b] {
        let now = net.now;
        assert_eq!(drain(&mut net.host(host).endpoint, now).wait, None, "nothing is left to do");
    }
}

#[test]
fn every_end_reads_as_a_sentence() {
    let ends = [
        (CloseReason::IdleTimeout(SECOND), "timed out"),
        (CloseReason::Reset, "no longer knows"),
        (CloseReason::HandshakeTimeout(SECOND), "unreachable"),
        (CloseReason::Local(AppCode(4)), "code 4"),
    ];
    for (end, words) in ends {
        assert!(end.to_string().contains(words), "{end}");
        assert!(matches!(EventKind::Closed(end), EventKind::Closed(_)));
    }
}
