//! Moves between UDP and TCP.

use super::*;
use crate::recovery::RttSample;

/// A path over TCP that was offered and has answered.
fn refuge(paths: &mut Paths, now: Instant) -> PathId {
    let (path, events) = paths.offer(&tcp(5), now).unwrap();
    assert!(events.is_empty());
    let token = side(paths, now).unwrap().1.challenge.unwrap();
    assert_eq!(paths.on_response(token, now), None, "kept, and not taken");
    path
}

/// The path over TCP that is asked answers.
fn answer_by_tcp(paths: &mut Paths, now: Instant) {
    let token = side(paths, now).unwrap().1.challenge.unwrap();
    paths.on_packet(&tcp(5), 60, Arrival::Late, now);
    assert!(paths.is_answer_by_tcp(token));
    assert_eq!(paths.on_response(token, now), None);
}

fn leader() -> Paths {
    let mut paths = established();
    paths.set_leads(true);
    paths
}

/// spec: R-TCP-8, R-TCP-9, R-TCP-10
#[test]
fn data_leaves_for_a_stream_that_answered_and_no_other() {
    let mut paths = leader();
    assert_eq!(paths.leave(at(40), at(50)), None, "there is nothing to leave for");
    assert!(!paths.has_refuge());
    paths.offer(&tcp(4), at(60)).unwrap();
    side(&mut paths, at(60)).unwrap();
    assert!(paths.has_refuge());
    assert_eq!(paths.leave(at(50), at(60)), None, "nobody has answered there");
    let path = refuge(&mut paths, at(70));
    assert_eq!(paths.leave(at(60), at(80)), Some(PathEvent::Moved { from: HERE, to: path }));
    assert_eq!(paths.leave(at(60), at(90)), None, "there is no other");
}

/// spec: R-TCP-12
#[test]
fn udp_is_asked_ever_more_rarely_until_it_answers() {
    let mut paths = leader();
    let path = refuge(&mut paths, at(70));
    paths.leave(at(60), at(100)).unwrap();
    let (mut now, mut asked) = (at(100), Vec::new());
    for _ in 0..7 {
        while paths.side_budget(|_| true).is_none() {
            now = paths.deadline().unwrap();
            assert!(paths.on_deadline(now).is_empty(), "no path is dropped");
        }
        asked.push(now);
        let mut said = 0;
        while paths.detour.deadline().is_none() {
            if let Some((to, written)) = side(&mut paths, now) {
                assert!(to == HERE && written.challenge.is_some());
                said += 1;
            }
            now = paths.deadline().unwrap();
            paths.on_deadline(now);
        }
        assert!((1..=3).contains(&said), "{said}");
    }
    let pauses: Vec<_> =
        asked.windows(2).map(|two| two[1].saturating_since(two[0]).as_secs()).collect();
    // Each with the 3 s in which a challenge is waited for.
    assert_eq!(pauses, [5, 7, 11, 19, 35, 35]);
    assert_eq!(asked[0], at(1_100));
    now = paths.deadline().unwrap();
    paths.on_deadline(now);
    let token = side(&mut paths, now).unwrap().1.challenge.unwrap();
    paths.on_deadline(now + Duration::from_millis(50));
    let back = paths.on_response(token, now + Duration::from_millis(50));
    assert_eq!(back, Some(PathEvent::Moved { from: path, to: HERE }));
    let active = paths.active();
    assert_eq!(active.congestion().window(), 12_000, "the window begins anew");
    assert_eq!(active.rtt().smoothed(), Duration::from_millis(40));
    answer_by_tcp(&mut paths, now + Duration::from_millis(90));
    assert_eq!(paths.deadline(), None);
}

/// spec: R-TCP-12
#[test]
fn who_left_udp_again_soon_waits_longer() {
    for (held, pause) in [(10, 2), (59, 2), (60, 1)] {
        let mut paths = leader();
        refuge(&mut paths, at(70));
        paths.leave(at(60), at(100)).unwrap();
        paths.on_deadline(at(1_100));
        let token = side(&mut paths, at(1_100)).unwrap().1.challenge.unwrap();
        assert!(paths.on_response(token, at(1_200)).is_some());
        let left = at(1_200) + Duration::from_secs(held);
        answer_by_tcp(&mut paths, left);
        paths.leave(at(1_200), left).unwrap();
        assert_eq!(paths.deadline(), Some(left + Duration::from_secs(pause)), "held {held} s");
    }
}

/// spec: R-TCP-12
#[test]
fn only_the_initiator_leads_back() {
    let mut paths = established();
    let path = refuge(&mut paths, at(70));
    paths.leave(at(60), at(100)).unwrap();
    assert_eq!(paths.deadline(), None, "the UDP path is kept, and not asked");
    // But it goes where the peer goes.
    newest(&mut paths, &tcp(5), at(110));
    let (_, event) = newest(&mut paths, &from(1, 1), at(9_000));
    assert_eq!(event, Some(PathEvent::Moved { from: path, to: HERE }));
}

/// spec: R-TCP-13
#[test]
fn packets_that_cross_a_move_lead_nowhere() {
    for seen in [true, false] {
        let mut paths = leader();
        let path = refuge(&mut paths, at(70));
        paths.leave(at(60), at(100)).unwrap();
        assert_eq!(newest(&mut paths, &from(1, 1), at(110)).1, None);
        // The peer has followed, or has had time enough.
        let now = if seen { at(130) } else { at(100) + paths.patience() * 3 };
        if seen {
            newest(&mut paths, &tcp(5), at(120));
        }
        let back = PathEvent::Moved { from: path, to: HERE };
        assert_eq!(newest(&mut paths, &from(1, 1), now).1, Some(back));
    }
}

/// spec: R-TCP-12
#[test]
fn a_udp_address_is_asked_at_once_by_who_came_by_tcp() {
    let mut paths = Paths::new(&windowed(), tcp(5), rng(), Instant::ZERO);
    paths.set_leads(true);
    paths.on_address_proven();
    let (home, _) = paths.offer(&from(1, 1), at(10)).unwrap();
    assert_eq!(paths.deadline(), Some(at(10)));
    paths.on_deadline(at(10));
    let (to, written) = side(&mut paths, at(10)).unwrap();
    assert_eq!(to, home);
    assert_eq!(written.bytes, 1_200, "whether the path carries as much is asked, too");
    let event = paths.on_response(written.challenge.unwrap(), at(50));
    assert_eq!(event, Some(PathEvent::Moved { from: HERE, to: home }));
    // Beside UDP another UDP address is of no use.
    assert_eq!(paths.offer(&from(2, 2), at(60)), None);
}

/// spec: R-PATH-13
#[test]
fn the_ways_between_udp_and_tcp_give_way_last() {
    let mut paths = leader();
    let path = refuge(&mut paths, at(70));
    for host in 2..9 {
        newest(&mut paths, &from(host, 1), at(100 + u64::from(host)));
        if let Some((_, Written { challenge: Some(token), .. })) = side(&mut paths, at(110)) {
            paths.on_response(token, at(111));
        }
        assert!(paths.get(path).is_some() && paths.iter().count() <= MAX_PATHS);
    }
}

/// spec: R-TCP-14, R-PATH-15
#[test]
fn the_udp_path_inherits_from_a_stream_that_broke() {
    let mut paths = established();
    let path = refuge(&mut paths, at(70));
    paths.leave(at(60), at(100)).unwrap();
    paths.on_deadline(at(60_000));
    let CarrierLoss::Survived(events) = paths.on_carrier_closed(CarrierId(7), at(60_000)) else {
        panic!("the UDP path is there");
    };
    let moved = PathEvent::Moved { from: path, to: HERE };
    assert_eq!(events.as_slice(), [moved, PathEvent::Dropped(path)]);
}

/// Long kept, perhaps dead: nobody would say so.
///
/// spec: R-TCP-20
#[test]
fn a_kept_stream_is_taken_only_if_it_answers() {
    let mut paths = leader();
    let path = refuge(&mut paths, at(70));
    paths.on_silence(at(50_000));
    assert_eq!(paths.leave(at(50_000), at(50_300)), None, "it was proven long ago");
    answer_by_tcp(&mut paths, at(50_400));
    let left = paths.leave(at(50_000), at(50_400));
    assert_eq!(left, Some(PathEvent::Moved { from: HERE, to: path }));
}

/// spec: R-TCP-20
#[test]
fn a_kept_stream_that_does_not_answer_is_dropped() {
    for brings in [false, true] {
        let mut paths = leader();
        let path = refuge(&mut paths, at(70));
        paths.on_silence(at(50_000));
        let (_, written) = side(&mut paths, at(50_000)).unwrap();
        assert!(written.challenge.is_some());
        let expiry = at(50_000) + paths.patience() * 3;
        if brings {
            let outcome = PathOutcome { path, acked_packets: 1, ..PathOutcome::default() };
            paths.on_outcome(&outcome, at(52_000));
        }
        let mut events = Vec::new();
        while let Some(now) = paths.deadline().filter(|at| *at <= expiry) {
            events.extend(paths.on_deadline(now));
            side(&mut paths, now);
        }
        assert_eq!(paths.has_refuge(), brings, "what brings something is slow, and asked again");
        let dropped = (!brings).then_some(PathEvent::Dropped(path));
        assert_eq!(events, dropped.into_iter().collect::<Vec<_>>());
        assert_eq!(paths.deadline().is_some(), brings);
    }
}

/// One silence after another is no reason to believe in it for longer.
///
/// spec: R-TCP-20
#[test]
fn a_silence_leaves_a_pending_challenge_as_it_is() {
    let mut paths = leader();
    refuge(&mut paths, at(70));
    paths.on_silence(at(50_000));
    side(&mut paths, at(50_000)).unwrap();
    let expiry = at(50_000) + paths.patience() * 3;
    paths.on_silence(at(52_500));
    while let Some(now) = paths.deadline().filter(|at| *at < expiry) {
        assert!(paths.on_deadline(now).is_empty());
        side(&mut paths, now);
    }
    assert_eq!(paths.on_deadline(expiry).len(), 1);
}

/// But what it carried since a challenge began says nothing of a later silence.
///
/// spec: R-TCP-20
#[test]
fn a_silence_begins_the_challenge_of_a_stream_that_lived_anew() {
    let mut paths = leader();
    let path = refuge(&mut paths, at(70));
    paths.on_silence(at(50_000));
    let before = side(&mut paths, at(50_000)).unwrap().1.challenge;
    let outcome = PathOutcome { path, acked_packets: 1, ..PathOutcome::default() };
    paths.on_outcome(&outcome, at(51_500));
    paths.on_silence(at(51_600));
    let again = side(&mut paths, at(51_600)).unwrap().1.challenge;
    assert_eq!(before, again, "a late answer is as good");
    let expiry = at(51_600) + paths.patience() * 3;
    while let Some(now) = paths.deadline().filter(|at| *at < expiry) {
        assert!(paths.on_deadline(now).is_empty());
        side(&mut paths, now);
    }
    assert_eq!(paths.on_deadline(expiry).len(), 1);
}

/// Who moved to a stream that is silent follows the peer at once.
///
/// spec: R-TCP-13
#[test]
fn who_went_astray_follows_at_once() {
    let mut paths = leader();
    let path = refuge(&mut paths, at(70));
    paths.leave(at(60), at(100)).unwrap();
    assert_eq!(newest(&mut paths, &from(1, 1), at(500)).1, None);
    paths.on_silence(at(1_100));
    let back = PathEvent::Moved { from: path, to: HERE };
    assert_eq!(newest(&mut paths, &from(1, 1), at(1_200)).1, Some(back));
}

/// Whether a stream is slow is judged by the time that its challenge had, whatever way data takes
/// since.
///
/// spec: R-TCP-20
#[test]
fn a_slow_stream_is_judged_by_the_time_it_was_given() {
    let mut paths = leader();
    let path = refuge(&mut paths, at(70));
    paths.on_silence(at(50_000));
    let (given, expiry) = (paths.patience(), at(50_000) + paths.patience() * 3);
    // It brings something after two thirds of its time; and the way in use has become slow.
    let outcome = PathOutcome { path, acked_packets: 1, ..PathOutcome::default() };
    paths.on_outcome(&outcome, at(50_000) + given * 2);
    let sample = RttSample { latest: Duration::from_secs(9), ack_delay: Duration::ZERO };
    paths.active_mut().on_rtt_sample(&sample);
    assert!(paths.patience() > given * 2);
    while let Some(now) = paths.deadline().filter(|at| *at <= expiry) {
        assert!(paths.on_deadline(now).is_empty(), "it is not dropped");
        side(&mut paths, now);
    }
    assert!(paths.has_refuge());
}

/// spec: R-TCP-25
#[test]
fn a_silent_stream_is_left_for_another_that_answers() {
    let mut paths = leader();
    let path = refuge(&mut paths, at(70));
    paths.leave(at(60), at(100)).unwrap();
    assert!(!paths.has_refuge(), "it is none from itself");
    assert_eq!(paths.deadline(), Some(at(1_100)), "when UDP is asked");
    paths.on_silence(at(600));
    assert_eq!(paths.deadline(), Some(at(600)), "at once");
    paths.on_deadline(at(600));
    assert_eq!(side(&mut paths, at(600)).unwrap().0, HERE);
    let (other, _) = paths.offer(&tcp(6), at(700)).unwrap();
    let (to, written) = side(&mut paths, at(700)).unwrap();
    assert_eq!(to, other);
    paths.on_packet(&tcp(6), 60, Arrival::Late, at(720));
    assert_eq!(paths.on_response(written.challenge.unwrap(), at(720)), None);
    let moved = paths.leave(at(600), at(720));
    assert_eq!(moved, Some(PathEvent::Moved { from: path, to: other }));
    let (to, written) = side(&mut paths, at(720)).unwrap();
    assert!(to == path && written.challenge.is_some(), "whether it is dead");
}

/// spec: R-TCP-21
#[test]
fn a_stream_that_data_has_left_is_asked() {
    let mut paths = leader();
    let path = refuge(&mut paths, at(70));
    paths.leave(at(60), at(100)).unwrap();
    let (_, event) = newest(&mut paths, &from(1, 1), at(9_000));
    assert_eq!(event, Some(PathEvent::Moved { from: path, to: HERE }));
    let (to, written) = side(&mut paths, at(9_000)).unwrap();
    assert!(to == path && written.challenge.is_some());
}

/// spec: R-TCP-22
#[test]
fn a_stream_is_wished_for_by_who_dialled_and_has_none() {
    let mut paths = leader();
    assert_eq!(paths.refuge_wish(at(1_000)), Some(at(1_000)));
    paths.on_refuge_wished(at(1_000));
    assert_eq!(paths.refuge_wish(at(2_000)), Some(at(61_000)), "it may not be there to be had");
    assert_eq!(paths.refuge_wish(at(62_000)), Some(at(62_000)));
    refuge(&mut paths, at(61_100));
    assert_eq!(paths.refuge_wish(at(200_000)), None);
    assert_eq!(established().refuge_wish(at(1_000)), None, "who was dialled cannot dial");
}

/// The only way by TCP breaks: it stays, without a carrier, and what answers is taken in its place.
///
/// spec: R-TCP-26
#[test]
fn the_only_way_stays_when_it_breaks() {
    let mut paths = leader();
    let path = refuge(&mut paths, at(70));
    paths.leave(at(60), at(100)).unwrap();
    paths.close(HERE);
    assert_eq!(paths.on_carrier_closed(CarrierId(7), at(200)), CarrierLoss::Fatal);
    paths.on_broken(at(200));
    assert!(paths.active().is_broken() && paths.active().id() == path);
    assert_eq!(paths.carriers().count(), 0);
    assert_eq!(paths.deadline(), None);
    // A carrier of the same name is another one.
    let survived = CarrierLoss::Survived(SmallVec::new());
    assert_eq!(paths.on_carrier_closed(CarrierId(7), at(300)), survived);
    let other = refuge(&mut paths, at(400));
    assert_ne!(other, path);
    paths.on_packet(&tcp(5), 60, Arrival::Late, at(401));
    let moved = PathEvent::Moved { from: path, to: other };
    assert_eq!(paths.leave(at(200), at(401)), Some(moved));
}

/// spec: R-TCP-26
#[test]
fn what_breaks_again_and_again_is_replaced_once_a_second() {
    let mut paths = leader();
    assert!(paths.may_wish(at(0)) && paths.may_wish(at(1)), "nothing broke");
    refuge(&mut paths, at(70));
    paths.leave(at(60), at(100)).unwrap();
    paths.on_broken(at(200));
    let wishes = [200, 201, 1_199, 1_200, 1_201, 2_200].map(|ms| paths.may_wish(at(ms)));
    assert_eq!(wishes, [true, false, false, true, false, true]);
}
