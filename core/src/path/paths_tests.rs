//! Paths that move, that others try to move, and that fall silent.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::congestion::{Algorithm, CongestionConfig};
use crate::path::EcnState;
use crate::rng::{Rng, Seed};
use crate::wire::frame::SentFrame;
use crate::wire::frame::frames;

const HERE: PathId = PathId(0);

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn from(host: u8, port: u16) -> Source {
    Source {
        carrier: CarrierId(0),
        kind: CarrierKind::Udp,
        remote: SocketAddr::from(([10, 0, 0, host], port)),
        local: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    }
}

fn tcp(port: u16) -> Source {
    Source { carrier: CarrierId(7), kind: CarrierKind::Reliable, ..from(1, port) }
}

fn rng() -> Rng {
    Rng::new(&Seed::from_u64(1))
}

/// Paths whose controller has a window, and known steps: CUBIC.
fn windowed() -> PathConfig {
    let algorithm = Algorithm::Cubic;
    let congestion = CongestionConfig { algorithm, ..CongestionConfig::default() };
    PathConfig { congestion, ..PathConfig::default() }
}

/// A connection with 10.0.0.1:1 whose handshake is done, with some history.
fn established() -> Paths {
    let mut paths = Paths::new(&windowed(), from(1, 1), rng(), Instant::ZERO);
    paths.on_address_proven();
    let outcome = PathOutcome {
        path: HERE,
        prior_in_flight: 12_000,
        acked_bytes: 5_000,
        acked_packets: 5,
        largest_acked_sent: Some(at(1)),
        ..PathOutcome::default()
    };
    let path = paths.active_mut();
    path.on_rtt_sample(&crate::recovery::RttSample {
        latest: Duration::from_millis(40),
        ack_delay: Duration::ZERO,
    });
    for i in 0..10 {
        path.on_sent_in_flight(1_200, i * 1_200, at(1));
    }
    paths.on_outcome(&outcome, at(41));
    assert_eq!(paths.active().congestion().window(), 17_000);
    paths
}

/// The newest packet comes from `source`, with more than probing frames.
fn newest(paths: &mut Paths, source: &Source, now: Instant) -> (PathId, Option<PathEvent>) {
    let seen = paths.on_packet(source, 1_200, Arrival::Newest, now);
    let path = seen.path.unwrap();
    (path, paths.on_moving_packet(path, now))
}

/// Somebody had repeated what confirms the handshake from elsewhere, before it came from the peer.
///
/// spec: R-PATH-30, R-PATH-1
#[test]
fn an_active_path_that_nobody_has_proven_is_asked() {
    let mut paths = Paths::new(&windowed(), from(1, 1), rng(), Instant::ZERO);
    newest(&mut paths, &from(9, 9), at(1));
    // Both are asked; neither answers in time.
    while let Some(now) = paths.deadline().filter(|now| *now < at(60_000)) {
        paths.on_deadline(now);
    }
    assert!(!paths.active().is_validated() && paths.deadline().is_none());
    assert_eq!(newest(&mut paths, &from(1, 1), at(61_000)), (HERE, None));
    assert!(paths.active().validation.is_pending(), "the peer is heard, and asked");
    let token = write(&mut paths, HERE, 1_200, at(61_000)).challenge.expect("it is written");
    assert_eq!(paths.on_response(token, at(61_040)), None);
    assert!(paths.active().is_validated());
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Written {
    challenge: Option<[u8; 8]>,
    response: Option<[u8; 8]>,
    ping: bool,
    observed: Option<(u64, SocketAddr)>,
    bytes: usize,
}

/// What is written on `path` into a datagram of `size` bytes, of which 29 are header and tag.
fn write(paths: &mut Paths, path: PathId, size: usize, now: Instant) -> Written {
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    let mut packet =
        PacketWriter::new(&mut buf, 13, size - 29, &mut receipts, Allowance::Everything);
    paths.write(path, &mut packet, now);
    let len = packet.finish().len;
    let mut written = Written { bytes: if len > 0 { len + 29 } else { 0 }, ..Written::default() };
    if len == 0 {
        return written;
    }
    for frame in frames(buf.get(13..13 + len).unwrap_or_default()) {
        match frame.unwrap() {
            Frame::PathChallenge { token } => written.challenge = Some(token),
            Frame::PathResponse { token } => written.response = Some(token),
            Frame::Ping => written.ping = true,
            Frame::ObservedAddress { sequence, address } => {
                written.observed = Some((sequence, address));
            }
            Frame::Padding { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let reports = receipts.iter().filter(|it| matches!(it, SentFrame::ObservedAddress(_))).count();
    assert_eq!(reports, usize::from(written.observed.is_some()));
    written
}

/// Takes the packet that a side path wants to send.
fn side(paths: &mut Paths, now: Instant) -> Option<(PathId, Written)> {
    let budget = paths.side_budget(|_| true)?;
    let written = write(paths, budget.path, budget.datagram_size.into(), now);
    paths.get_mut(budget.path).unwrap().on_sent(budget.datagram_size);
    Some((budget.path, written))
}

/// spec: R-PATH-1, R-PATH-2
#[test]
fn a_new_address_gets_three_times_what_came_from_it() {
    let mut paths = Paths::new(&windowed(), from(1, 1), rng(), Instant::ZERO);
    assert_eq!(paths.budget(Need::Probe, 0, at(0)).allowance, Allowance::Nothing);
    paths.on_packet(&from(1, 1), 1_000, Arrival::Newest, at(1));
    assert_eq!(paths.active().unvalidated_allowance(), 3_000);
    let budget = paths.budget(Need::Data, 0, at(1));
    assert_eq!((budget.max_datagrams, budget.limited_by), (2, LimitedBy::Amplification));
    paths.active_mut().on_sent(1_200);
    paths.active_mut().on_sent(1_200);
    assert_eq!(paths.active().unvalidated_allowance(), 600);
    let budget = paths.budget(Need::Probe, 0, at(1));
    assert_eq!(
        (budget.allowance, budget.limited_by),
        (Allowance::Nothing, LimitedBy::Amplification)
    );
    paths.on_address_proven();
    assert!(paths.active().is_validated());
    assert_eq!(paths.active().unvalidated_allowance(), u64::MAX);
    assert_eq!(paths.budget(Need::Data, 0, at(1)).max_datagrams, 10);
}

/// spec: R-PATH-3
#[test]
fn a_challenge_is_repeated_and_then_given_up() {
    let mut paths = established();
    let now = at(1_000);
    let (path, _) = newest(&mut paths, &from(1, 2), now);
    let (to, first) = side(&mut paths, now).unwrap();
    assert_eq!(to, path);
    assert_eq!(side(&mut paths, now), None, "one at a time");
    // Another moving packet starts no second one.
    newest(&mut paths, &from(1, 2), at(1_010));
    assert_eq!(side(&mut paths, at(1_010)), None);

    // A path without a sample: 333 ms + 4 * 166.5 ms, and 25 ms of ACK delay.
    let pto = Duration::from_millis(1_024);
    let mut sent = 1;
    let mut last = now;
    loop {
        let deadline = paths.deadline().unwrap();
        assert!(deadline > last);
        last = deadline;
        let events = paths.on_deadline(deadline);
        if let Some((to, again)) = side(&mut paths, deadline) {
            assert_eq!((to, again.challenge), (path, first.challenge));
            sent += 1;
            assert_eq!(deadline, now + pto * (sent - 1));
        }
        if events.contains(&PathEvent::Dropped(path)) {
            assert_eq!(deadline, now + pto * 3);
            break;
        }
    }
    assert_eq!(sent, 3);
    assert_eq!(paths.active().id(), HERE);
    assert!(paths.active().is_validated());
    assert_eq!(paths.candidate(), None);
}

/// spec: R-PATH-3
#[test]
fn challenges_are_unpredictable_and_differ() {
    let mut seen = Vec::new();
    for seed in 0..20 {
        let rng = Rng::new(&Seed::from_u64(seed));
        let mut paths = Paths::new(&windowed(), from(1, 1), rng, Instant::ZERO);
        paths.on_address_proven();
        newest(&mut paths, &from(1, 2), at(1));
        seen.push(side(&mut paths, at(1)).unwrap().1.challenge.unwrap());
        seen.push(write(&mut paths, HERE, 1_200, at(1)).challenge.unwrap());
    }
    seen.sort_unstable();
    let count = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

/// spec: R-PATH-4
#[test]
fn only_the_challenges_bytes_validate_a_path_wherever_they_come() {
    let mut paths = established();
    let (path, _) = newest(&mut paths, &from(1, 2), at(100));
    let token = side(&mut paths, at(100)).unwrap().1.challenge.unwrap();
    let mut wrong = token;
    wrong[7] ^= 1;
    assert_eq!(paths.on_response(wrong, at(140)), None);
    assert!(!paths.get(path).unwrap().is_validated());
    assert_eq!(paths.on_response(token, at(150)), Some(PathEvent::Moved { from: HERE, to: path }));
    assert!(paths.get(path).unwrap().is_validated());
    assert_eq!(paths.on_response(token, at(160)), None, "it is pending no more");
}

/// Scenario 69.
///
/// spec: R-PATH-5
#[test]
fn a_flood_of_challenges_gets_one_answer_at_a_time() {
    let mut paths = established();
    let seen = paths.on_packet(&from(2, 9), 1_200, Arrival::Newest, at(100));
    let path = seen.path.unwrap();
    assert!(seen.opened);
    for i in 0..10_000u64 {
        paths.on_packet(&from(2, 9), 100, Arrival::Newest, at(100));
        paths.on_challenge(path, i.to_be_bytes(), at(100));
    }
    let (to, written) = side(&mut paths, at(101)).unwrap();
    assert_eq!((to, written.response), (path, Some(3u64.to_be_bytes())));
    assert_eq!(written.challenge, None, "a path that is only probed is not asked back");
    assert_eq!(side(&mut paths, at(101)), None);
    assert_eq!(paths.active().id(), HERE);
}

/// A peer that asks as often as it is answered gets four packets a probe timeout, no more.
///
/// spec: R-PATH-5
#[test]
fn a_peer_that_asks_and_asks_beside_is_answered_four_times_a_probe_timeout() {
    let mut paths = established();
    let asked = |paths: &mut Paths, ms: u64| {
        let seen = paths.on_packet(&from(2, 9), 1_200, Arrival::Newest, at(ms));
        paths.on_challenge(seen.path.unwrap(), ms.to_be_bytes(), at(ms));
        side(paths, at(ms)).is_some_and(|(_, written)| written.response.is_some())
    };
    let pto = u64::try_from(paths.patience().as_millis()).unwrap();
    let answers = (100..100 + pto).filter(|ms| asked(&mut paths, *ms)).count();
    assert_eq!(answers, 4);
    assert!(asked(&mut paths, 101 + pto), "the next time-out hears again");
    // A stream holds back by itself who asks too often.
    let by_tcp = newest(&mut paths, &tcp(9), at(200)).0;
    for token in 0..9u64 {
        paths.on_challenge(by_tcp, token.to_be_bytes(), at(201));
    }
    assert!(paths.get(by_tcp).unwrap().validation.is_asked());
    let (_, written) = side(&mut paths, at(201)).unwrap();
    assert_eq!(written.response, Some(8u64.to_be_bytes()));
}

/// spec: R-PATH-6
#[test]
fn challenges_and_answers_fill_a_datagram_of_1200_bytes_or_what_is_allowed() {
    for (came, goes) in [(400, 1_200), (9_000, 1_200), (300, 900), (35, 105), (22, 66)] {
        let mut paths = established();
        let seen = paths.on_packet(&from(1, 2), came, Arrival::Newest, at(100));
        paths.on_moving_packet(seen.path.unwrap(), at(100));
        let (_, written) = side(&mut paths, at(101)).unwrap();
        assert_eq!(written.bytes, goes);
        assert!(written.challenge.is_some());
    }
    // A small packet from a new address: 3 * 21 is not enough for a challenge.
    let mut paths = established();
    let seen = paths.on_packet(&from(1, 2), 21, Arrival::Newest, at(100));
    paths.on_moving_packet(seen.path.unwrap(), at(100));
    assert_eq!(paths.side_budget(|_| true), None);
    paths.on_challenge(HERE, [1; 8], at(101));
    let written = write(&mut paths, HERE, 1_200, at(101));
    assert_eq!((written.bytes, written.response), (1_200, Some([1; 8])));

    // On a path with larger packets the rest is left to others.
    let outcome = PathOutcome { path: HERE, mtu_acked: Some(1_452), ..PathOutcome::default() };
    paths.on_outcome(&outcome, at(102));
    paths.on_challenge(HERE, [2; 8], at(102));
    let written = write(&mut paths, HERE, 1_452, at(102));
    assert_eq!((written.bytes, written.response), (1_200, Some([2; 8])));
    assert_eq!(write(&mut paths, HERE, 1_452, at(103)).bytes, 0, "nothing more to say");
}

/// spec: R-PATH-6
#[test]
fn an_answer_does_not_wait_for_the_window() {
    let mut paths = established();
    assert_eq!(paths.budget(Need::Data, 1 << 40, at(1)).allowance, Allowance::AcksOnly);
    assert_eq!(paths.answer_budget(at(1)), None, "there is nothing to answer");
    paths.on_challenge(HERE, [7; 8], at(1));
    let budget = paths.answer_budget(at(1)).unwrap();
    assert_eq!((budget.path, budget.datagram_size, budget.max_datagrams), (HERE, 1_200, 1));
    let written = write(&mut paths, HERE, 1_200, at(1));
    assert_eq!((written.bytes, written.response), (1_200, Some([7; 8])));
    assert_eq!(paths.answer_budget(at(1)), None, "once");
    // Who asks again and again gets no packet each time: once a probe timeout.
    paths.on_challenge(HERE, [8; 8], at(1));
    assert_eq!(paths.answer_budget(at(2)), None);
    let later = at(1) + paths.active().pto();
    assert!(paths.answer_budget(later).is_some());
}

/// spec: R-PATH-7
#[test]
fn an_answer_on_the_active_path_says_that_this_side_is_there() {
    let mut paths = established();
    paths.on_challenge(HERE, [1; 8], at(1));
    assert!(write(&mut paths, HERE, 1_200, at(1)).ping);
    let seen = paths.on_packet(&from(2, 9), 1_200, Arrival::Newest, at(100));
    paths.on_challenge(seen.path.unwrap(), [2; 8], at(100));
    let (_, written) = side(&mut paths, at(101)).unwrap();
    assert!(written.response.is_some() && !written.ping);
}

/// spec: R-PATH-8
#[test]
fn only_the_newest_packet_opens_a_path() {
    let mut paths = established();
    let late = paths.on_packet(&from(2, 9), 1_200, Arrival::Late, at(100));
    assert_eq!(late, Seen { path: None, opened: false, dropped: None });
    assert_eq!(paths.iter().count(), 1);
    let known = paths.on_packet(&from(1, 1), 1_200, Arrival::Late, at(100));
    assert_eq!(known.path, Some(HERE));
    // A socket that does not tell the local address means the same way.
    let silent = Source { local: None, ..from(1, 1) };
    assert_eq!(paths.on_packet(&silent, 1_200, Arrival::Newest, at(101)).path, Some(HERE));
}

/// A node that leaves its network keeps no address of it: a packet from there would go nowhere.
///
/// spec: R-PATH-31
#[test]
fn a_path_that_was_dialled_is_tied_to_no_local_address() {
    let dialled = Source { local: None, ..from(1, 1) };
    let mut paths = Paths::new(&windowed(), dialled, rng(), Instant::ZERO);
    for host in 1..4 {
        let here = Some(IpAddr::V4(Ipv4Addr::new(192, 168, 0, host)));
        let seen = paths.on_packet(
            &Source { local: here, ..from(1, 1) },
            1_200,
            Arrival::Newest,
            at(u64::from(host)),
        );
        assert_eq!((seen.path, seen.opened), (Some(HERE), false));
        assert_eq!(paths.active().source().local, None);
    }
    // Who is called answers from where it was called.
    let opened = newest(&mut paths, &from(2, 9), at(100)).0;
    paths.on_packet(&Source { local: None, ..from(2, 9) }, 1_200, Arrival::Newest, at(101));
    assert_eq!(paths.get(opened).unwrap().source(), &from(2, 9));
}

/// The peer's port changes: the path of this side's own that has no local address, and the one that
/// its packet opened with one, are over the same network.
///
/// spec: R-PATH-12, R-PATH-31
#[test]
fn a_rebinding_is_one_for_who_dialled_too() {
    let mut paths = established();
    paths.active_mut().source.local = None;
    let window = paths.active().congestion().window();
    let (there, _) = newest(&mut paths, &from(1, 2), at(100));
    let token = side(&mut paths, at(101)).unwrap().1.challenge.unwrap();
    assert_eq!(paths.on_response(token, at(150)), Some(PathEvent::Moved { from: HERE, to: there }));
    assert_eq!(paths.active().congestion().window(), window, "what is known is kept");
    assert!(paths.active().rtt().is_sampled());
    assert_eq!(paths.active().source().local, None, "as before");
}

/// spec: R-PATH-25
#[test]
fn the_peer_is_told_where_it_is_seen() {
    let mut paths = Paths::new(&windowed(), from(1, 1), rng(), Instant::ZERO);
    paths.on_packet(&from(1, 1), 1_200, Arrival::Newest, at(0));
    assert_eq!(write(&mut paths, HERE, 1_200, at(0)).observed, None, "not validated");
    paths.on_address_proven();
    let first = Some((0, from(1, 1).remote));
    assert_eq!(write(&mut paths, HERE, 1_200, at(1)).observed, first);
    assert_eq!(write(&mut paths, HERE, 1_200, at(2)).observed, None);
    paths.on_observed_lost(0);
    assert_eq!(write(&mut paths, HERE, 1_200, at(3)).observed, first);
    paths.on_observed_acked(0);
    paths.on_observed_lost(0);
    assert_eq!(write(&mut paths, HERE, 1_200, at(4)).observed, None);

    newest(&mut paths, &from(1, 2), at(100));
    let token = side(&mut paths, at(100)).unwrap().1.challenge.unwrap();
    assert_eq!(write(&mut paths, HERE, 1_200, at(101)).observed, None, "only a candidate");
    paths.on_response(token, at(140));
    let active = paths.active().id();
    paths.on_observed_lost(0);
    let second = Some((1, from(1, 2).remote));
    assert_eq!(write(&mut paths, active, 1_200, at(150)).observed, second);
    // A reliable carrier's port is no address to be reached at.
    let (stream, _) = paths.migrate(&tcp(5), at(200));
    let token = side(&mut paths, at(200)).unwrap().1.challenge.unwrap();
    assert!(paths.on_response(token, at(200)).is_some());
    assert_eq!(write(&mut paths, stream, 1_200, at(201)).observed, None);
}

/// spec: R-PATH-26
#[test]
fn of_the_peers_reports_the_newest_counts() {
    let mut paths = established();
    let [one, two] = [1, 2].map(|port| SocketAddr::from(([1, 2, 3, 4], port)));
    assert_eq!(paths.reported_address(), None);
    assert!(paths.on_observed(5, one));
    assert!(!paths.on_observed(4, two));
    assert!(!paths.on_observed(5, two));
    assert_eq!(paths.reported_address(), Some(one));
    assert!(!paths.on_observed(6, one), "no news");
    assert!(paths.on_observed(7, two));
    assert_eq!(paths.reported_address(), Some(two));
    assert_eq!(paths.active().source().remote, from(1, 1).remote);
}

/// spec: R-PATH-16
#[test]
fn the_peers_packet_size_bounds_every_path() {
    let mut paths = established();
    paths.on_peer_limits(1_300, Duration::from_millis(25));
    assert_eq!(paths.active().next_size_probe(0), Some(1_300));
    assert_eq!(paths.active().next_size_probe(100_000), None, "the window is full");
    newest(&mut paths, &from(2, 2), at(100));
    let token = side(&mut paths, at(100)).unwrap().1.challenge.unwrap();
    assert!(paths.on_response(token, at(140)).is_some());
    assert_eq!(paths.active().next_size_probe(0), Some(1_300));
}

/// spec: R-PATH-28, R-TCP-6
#[test]
fn a_reliable_carrier_has_no_limit_and_no_probes() {
    let mut paths = Paths::new(&windowed(), tcp(5), rng(), Instant::ZERO);
    assert_eq!(paths.active().unvalidated_allowance(), u64::MAX);
    assert_eq!(paths.active().mark(), None);
    assert_eq!(paths.active().ecn().state(), EcnState::Off);
    assert_eq!(paths.active().next_size_probe(0), None);
    let budget = paths.budget(Need::Data, 1 << 40, at(1));
    assert_eq!((budget.allowance, budget.limited_by), (Allowance::Everything, LimitedBy::Batch));
    assert_eq!(paths.side_budget(|_| true), None);
    assert_eq!(paths.deadline(), None);
}

/// Somebody may copy a packet into a TCP connection of his own: only the answer to a challenge
/// shows that the peer is there.
///
/// spec: R-TCP-9
#[test]
fn another_stream_is_believed_when_the_peer_answers_there() {
    for late in [false, true] {
        let mut paths = established();
        let arrival = if late { Arrival::Late } else { Arrival::Newest };
        let seen = paths.on_packet(&tcp(6), 1_200, arrival, at(10));
        let path = seen.path.unwrap();
        assert!(seen.opened && !paths.get(path).unwrap().is_validated());
        if !late {
            assert_eq!(paths.on_moving_packet(path, at(10)), None);
        }
        let (to, written) = side(&mut paths, at(10)).unwrap();
        assert!(to == path && written.bytes < 60, "it is not filled up");
        assert_eq!(paths.active().id(), HERE);
        let event = paths.on_response(written.challenge.unwrap(), at(20));
        assert!(paths.get(path).unwrap().is_validated());
        let moved = Some(PathEvent::Moved { from: HERE, to: path });
        assert_eq!(event, if late { None } else { moved });
    }
}

#[derive(Clone, Debug)]
enum Op {
    Packet { host: u8, port: u16, newest: bool, moving: bool, len: usize },
    Challenge(u32),
    Respond(usize),
    Wrong([u8; 8]),
    Send,
    Wait(u64),
    Close(u32),
    CarrierClosed(u32),
    Offer(u8, u16),
    Leave,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..4u8, 0..3u16, any::<bool>(), any::<bool>(), 0..1_500usize).prop_map(
            |(host, port, newest, moving, len)| Op::Packet { host, port, newest, moving, len }),
        1 => (0..20u32).prop_map(Op::Challenge),
        2 => any::<usize>().prop_map(Op::Respond),
        1 => any::<[u8; 8]>().prop_map(Op::Wrong),
        4 => Just(Op::Send),
        2 => (0..5_000u64).prop_map(Op::Wait),
        1 => (0..20u32).prop_map(Op::Close),
        1 => (0..4u32).prop_map(Op::CarrierClosed),
        1 => (2..4u8, 0..3u16).prop_map(|(host, port)| Op::Offer(host, port)),
        1 => Just(Op::Leave),
    ]
}

proptest! {
    /// Whatever comes: at most four paths, the active one among them and validated, three times at
    /// most to the others, a move only to what is validated, and no deadline that does not pass.
    ///
    /// spec: R-PATH-1, R-PATH-10, R-PATH-13
    #[test]
    fn nothing_moves_data_to_an_address_without_proof(
        ops in proptest::collection::vec(op(), 1..200),
    ) {
        let mut paths = established();
        let mut now = at(100);
        let (mut tokens, mut chosen) = (Vec::new(), Vec::new());
        for op in ops {
            let before = paths.active().id();
            match op {
                Op::Packet { host, port, newest, moving, len } => {
                    let source = if host == 3 { tcp(port) } else { from(host, port) };
                    let arrival = if newest { Arrival::Newest } else { Arrival::Late };
                    let seen = paths.on_packet(&source, len, arrival, now);
                    prop_assert!(newest || host == 3 || !seen.opened);
                    if let (Some(path), true, true) = (seen.path, newest, moving) {
                        paths.on_moving_packet(path, now);
                    }
                }
                Op::Challenge(path) => paths.on_challenge(PathId(path), [3; 8], now),
                Op::Respond(which) => {
                    if let Some(&token) = tokens.get(which % tokens.len().max(1)) {
                        paths.on_response(token, now);
                    }
                }
                Op::Wrong(token) => prop_assert_eq!(paths.on_response(token, now), None),
                Op::Send => {
                    let active = paths.active().id();
                    tokens.extend(write(&mut paths, active, 1_200, now).challenge);
                    while let Some((_, written)) = side(&mut paths, now) {
                        prop_assert!(written.bytes <= 1_200);
                        tokens.extend(written.challenge);
                    }
                }
                Op::Wait(ms) => {
                    now = now + Duration::from_millis(ms);
                    paths.on_deadline(now);
                    prop_assert!(paths.deadline().is_none_or(|at| at > now));
                }
                Op::Offer(host, port) => {
                    let source = if host == 3 { tcp(port) } else { from(host, port) };
                    paths.set_leads(port == 0);
                    chosen.extend(paths.offer(&source, now).map(|(path, _)| path));
                }
                Op::Leave => _ = paths.leave(Instant::ZERO, now),
                Op::Close(path) => paths.close(PathId(path)),
                Op::CarrierClosed(carrier) => {
                    paths.on_carrier_closed(CarrierId(carrier), now);
                }
            }
            prop_assert!(paths.iter().count() <= MAX_PATHS);
            prop_assert!(paths.get(paths.active().id()).is_some());
            prop_assert!(paths.active().is_validated());
            prop_assert!(paths.candidate() != Some(paths.active().id()));
            prop_assert!(paths.candidate().is_none_or(|id| paths.get(id).is_some()));
            prop_assert!(before == paths.active().id() || paths.active().is_validated());
            let limited = |path: &&Path| {
                let udp = path.source().kind == CarrierKind::Udp;
                udp && !path.is_validated() && !chosen.contains(&path.id())
            };
            for path in paths.iter().filter(limited) {
                prop_assert!(path.stats().sent_bytes <= 3 * path.stats().received_bytes);
            }
        }
    }
}

#[path = "detour_tests.rs"]
mod detour;

#[path = "paths_moving_tests.rs"]
mod moving;
