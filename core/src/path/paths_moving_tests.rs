//! Paths that take over from each other.

use super::*;

/// Scenario 66.
///
/// spec: R-PATH-9, R-PATH-10, R-PATH-12
#[test]
fn a_rebound_port_moves_the_path_once_it_is_validated() {
    let mut paths = established();
    let mut active = HERE;
    for (i, port) in (2..30u16).enumerate() {
        let now = at(1_000 + 5_000 * u64::try_from(i).unwrap());
        paths.on_deadline(now);
        let old = paths.active().clone();
        let seen = paths.on_packet(&from(1, port), 1_200, Arrival::Newest, now);
        assert!(seen.opened);
        let path = seen.path.unwrap();
        assert_eq!(paths.on_moving_packet(path, now), None);
        assert_eq!(paths.active().id(), active, "data stays");
        assert_eq!(paths.candidate(), Some(path));
        // Both are asked.
        let (to, asked) = side(&mut paths, now).unwrap();
        assert_eq!(to, path);
        let old_asked = write(&mut paths, active, 1_200, now);
        assert_ne!(asked.challenge.unwrap(), old_asked.challenge.unwrap());
        // No more than three times what came.
        let sent = paths.get(path).unwrap().stats().sent_bytes;
        assert!(sent <= 3 * paths.get(path).unwrap().stats().received_bytes);

        let token = asked.challenge.unwrap();
        let moved = paths.on_response(token, now + Duration::from_millis(40));
        assert_eq!(moved, Some(PathEvent::Moved { from: active, to: path }));
        active = path;
        let new = paths.active();
        assert_eq!(new.source().remote.port(), port);
        assert_eq!(new.congestion().window(), old.congestion().window());
        assert_eq!(new.rtt(), old.rtt());
        assert_eq!(new.packet_size().current(), old.packet_size().current());
        assert!(new.is_validated());
        assert!(paths.iter().count() <= MAX_PATHS);
    }
}

/// Scenario 67.
///
/// spec: R-PATH-12
#[test]
fn another_address_begins_anew() {
    for source in [
        from(2, 1),
        Source { carrier: CarrierId(3), ..from(1, 2) },
        Source { local: Some(IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9))), ..from(1, 2) },
    ] {
        let mut paths = established();
        newest(&mut paths, &source, at(100));
        let token = side(&mut paths, at(100)).unwrap().1.challenge.unwrap();
        assert!(paths.on_response(token, at(140)).is_some());
        assert_eq!(paths.active().congestion().window(), 12_000);
        assert!(!paths.active().rtt().is_sampled());
        assert_eq!(paths.active().packet_size().current(), 1_200);
    }
}

/// What was asked of a path's size when data left it is never answered.
///
/// spec: R-PATH-16
#[test]
fn a_path_that_data_comes_back_to_is_probed_for_its_size_again() {
    let mut paths = established();
    let size = paths.active().next_size_probe(0).unwrap();
    paths.active_mut().on_size_probe_sent(size);
    assert_eq!(paths.active().next_size_probe(0), None, "one at a time");
    newest(&mut paths, &from(2, 1), at(100));
    let token = side(&mut paths, at(100)).unwrap().1.challenge.unwrap();
    assert!(paths.on_response(token, at(140)).is_some());
    let (path, moved) = newest(&mut paths, &from(1, 1), at(200));
    assert!(path == HERE && moved.is_some(), "{moved:?}");
    assert_eq!(paths.active().next_size_probe(0), Some(size));
}

/// Scenario 68: somebody who sees packets sends copies from elsewhere, faster than the originals.
///
/// spec: R-PATH-9, R-PATH-10, R-PATH-11
#[test]
fn a_copy_from_elsewhere_moves_nothing() {
    let mut paths = established();
    for round in 0..50u64 {
        let now = at(1_000 + 20 * round);
        let (path, event) = newest(&mut paths, &from(66, 6), now);
        assert_eq!(event, None);
        assert_eq!(paths.active().id(), HERE);
        assert_eq!(paths.budget(Need::Data, 0, now).path, HERE, "data goes where it went");
        assert!(paths.get(path).is_some_and(|path| !path.is_validated()));
        // The peer is asked on the old path and answers with a PING from there.
        let asked = write(&mut paths, HERE, 1_200, now);
        if let Some(token) = asked.challenge {
            assert_eq!(paths.on_response(token, now), None);
        }
        newest(&mut paths, &from(1, 1), now);
        assert_eq!(paths.candidate(), None);
        while side(&mut paths, now).is_some() {}
        let attacker = paths.get(path).unwrap().stats();
        assert!(attacker.sent_bytes <= 3 * attacker.received_bytes);
    }
    // The attacker falls silent; what is left of it goes.
    let mut now = at(3_000);
    for _ in 0..10 {
        now = paths.deadline().map_or(now, |at| at.max(now));
        paths.on_deadline(now);
    }
    assert_eq!(paths.iter().map(Path::id).collect::<Vec<_>>(), [HERE]);
}

/// Even if the copier forwards both ways for a while, the peer's own packets lead back.
///
/// spec: R-PATH-9
#[test]
fn traffic_returns_to_a_validated_path_at_once() {
    let mut paths = established();
    let (path, _) = newest(&mut paths, &from(66, 6), at(100));
    let token = side(&mut paths, at(100)).unwrap().1.challenge.unwrap();
    assert!(paths.on_response(token, at(140)).is_some());
    assert_eq!(paths.active().id(), path);
    let (_, event) = newest(&mut paths, &from(1, 1), at(150));
    assert_eq!(event, Some(PathEvent::Moved { from: path, to: HERE }));
    assert_eq!(paths.active().congestion().window(), 17_000, "what it knew, it still knows");
}

/// spec: R-PATH-11
#[test]
fn a_candidate_validated_after_the_active_path_spoke_does_not_become_active() {
    let mut paths = established();
    let (path, _) = newest(&mut paths, &from(1, 2), at(100));
    let token = side(&mut paths, at(100)).unwrap().1.challenge.unwrap();
    newest(&mut paths, &from(1, 1), at(120));
    assert_eq!(paths.on_response(token, at(140)), None);
    assert_eq!(paths.active().id(), HERE);
    // It is validated all the same: the next packet from there moves at once.
    let (_, event) = newest(&mut paths, &from(1, 2), at(150));
    assert_eq!(event, Some(PathEvent::Moved { from: HERE, to: path }));
}

/// spec: R-PATH-13
#[test]
fn the_fifth_path_takes_the_place_of_the_least_useful() {
    let mut paths = established();
    let (second, _) = newest(&mut paths, &from(1, 2), at(100));
    let token = side(&mut paths, at(100)).unwrap().1.challenge.unwrap();
    paths.on_response(token, at(110));
    assert_eq!(paths.active().id(), second);
    let third = newest(&mut paths, &from(3, 3), at(120)).0;
    let fourth = newest(&mut paths, &from(4, 4), at(130)).0;
    newest(&mut paths, &from(3, 3), at(140));
    // HERE is validated, second is active, and of the rest the fourth was silent longer.
    let seen = paths.on_packet(&from(5, 5), 1_200, Arrival::Newest, at(150));
    assert_eq!(seen.dropped, Some(fourth));
    let seen = paths.on_packet(&from(6, 6), 1_200, Arrival::Newest, at(160));
    assert_eq!(seen.dropped, Some(third));
    // A thousand strangers leave what is validated in its place.
    for port in 0..1_000 {
        let seen = paths.on_packet(&from(7, port), 1_200, Arrival::Newest, at(200));
        assert!(seen.dropped.is_some_and(|id| id != second && id != HERE));
    }
    assert_eq!(paths.iter().count(), MAX_PATHS);
    assert_eq!(paths.active().id(), second);
}

/// spec: R-PATH-14
#[test]
fn a_path_that_nobody_uses_is_dropped() {
    let mut paths = established();
    let (second, _) = newest(&mut paths, &from(1, 2), at(100));
    let token = side(&mut paths, at(100)).unwrap().1.challenge.unwrap();
    let old = write(&mut paths, HERE, 1_200, at(100)).challenge.unwrap();
    paths.on_response(token, at(140));
    paths.on_response(old, at(140));
    assert_eq!(paths.active().id(), second);
    paths.on_packet(&from(1, 1), 100, Arrival::Late, at(200));
    let deadline = paths.deadline().unwrap();
    assert_eq!(deadline, at(200) + Duration::from_millis(3 * 1_024));
    assert!(paths.on_deadline(deadline.saturating_sub(Duration::from_nanos(1))).is_empty());
    assert_eq!(paths.on_deadline(deadline).as_slice(), [PathEvent::Dropped(HERE)]);
    assert_eq!(paths.deadline(), None);
    assert_eq!(paths.iter().count(), 1);
}

/// spec: R-PATH-15, R-TCP-8
#[test]
fn a_connection_survives_a_carrier_if_another_way_is_validated() {
    let mut paths = established();
    assert_eq!(paths.on_carrier_closed(CarrierId(0), at(50)), CarrierLoss::Fatal);
    let (stream, _) = newest(&mut paths, &tcp(5), at(100));
    let token = side(&mut paths, at(100)).unwrap().1.challenge.unwrap();
    paths.on_response(token, at(110));
    assert_eq!(paths.active().id(), stream);
    let CarrierLoss::Survived(events) = paths.on_carrier_closed(CarrierId(7), at(200)) else {
        panic!("there is another way")
    };
    let moved = PathEvent::Moved { from: stream, to: HERE };
    assert_eq!(events.as_slice(), [moved, PathEvent::Dropped(stream)]);
    let survived = paths.on_carrier_closed(CarrierId(99), at(200));
    assert_eq!(survived, CarrierLoss::Survived(SmallVec::new()));
}

/// spec: R-PATH-10, R-TCP-8
#[test]
fn this_side_may_move_by_its_own_wish() {
    let mut paths = established();
    let (path, events) = paths.migrate(&from(9, 9), at(100));
    assert!(events.is_empty());
    // The peer goes on sending from where it was: that is no objection.
    newest(&mut paths, &from(1, 1), at(110));
    assert_eq!(paths.candidate(), Some(path));
    let token = side(&mut paths, at(110)).unwrap().1.challenge.unwrap();
    let moved = paths.on_response(token, at(150));
    assert_eq!(moved, Some(PathEvent::Moved { from: HERE, to: path }));
    let (stream, _) = paths.migrate(&tcp(5), at(200));
    let token = side(&mut paths, at(200)).unwrap().1.challenge.unwrap();
    let moved = paths.on_response(token, at(200));
    assert_eq!(moved, Some(PathEvent::Moved { from: path, to: stream }));
    // Back to what is known at once.
    let (back, events) = paths.migrate(&from(9, 9), at(200));
    assert_eq!((back, events.len()), (path, 1));
}

/// Scenario 73: both sides move at the same time.
///
/// spec: R-PATH-9, R-PATH-10
#[test]
fn two_sides_that_move_at_once_agree() {
    let mut sides = [established(), established()];
    let now = at(100);
    let sources = [from(2, 2), from(3, 3)];
    for (paths, source) in sides.iter_mut().zip(&sources) {
        newest(paths, source, now);
    }
    // Each asks the other's new address, and each answers on the path it was asked on.
    let tokens = sides.each_mut().map(|paths| side(paths, now).unwrap().1.challenge.unwrap());
    for (i, paths) in sides.iter_mut().enumerate() {
        paths.on_challenge(PathId(1), tokens[1 - i], now);
        let (to, written) = side(paths, now).unwrap();
        assert_eq!((to, written.response), (PathId(1), Some(tokens[1 - i])));
    }
    for (paths, token) in sides.iter_mut().zip(tokens) {
        assert!(paths.on_response(token, at(140)).is_some());
        assert_eq!(paths.active().id(), PathId(1));
    }
}
