//! Keys that follow each other: when a side updates, and what their limits are.

use super::*;

/// spec: R-KEY-13
#[test]
fn an_update_waits_for_confirmation_and_acknowledgement() {
    for [mut here, mut there] in pairs(small(10, 1_000)) {
        let send = |here: &mut PacketKeys, there: &mut PacketKeys, count| {
            for _ in 0..count {
                open(there, &sealed(here, b"data")).unwrap();
            }
        };
        send(&mut here, &mut there, 15);
        assert_eq!(here.send_phase(), KeyPhase(0), "not confirmed");
        here.on_confirmed();
        send(&mut here, &mut there, 1);
        assert_eq!(here.send_phase(), KeyPhase(0), "not acknowledged");
        // An ACK for a number that was never sent acknowledges nothing.
        here.on_ack(PacketNumber(16), KeyPhase(0)).unwrap();
        send(&mut here, &mut there, 1);
        assert_eq!(here.send_phase(), KeyPhase(0), "an ACK out of thin air");
        acknowledge(&mut here, &mut there, 15, Instant::ZERO);
        send(&mut here, &mut there, 1);
        assert_eq!((here.send_phase(), there.send_phase()), (KeyPhase(1), KeyPhase(1)));
        assert_eq!(there.receive_phase(), KeyPhase(1));
        // The next one waits for ten packets more, for the peer, and for an ACK of this phase.
        send(&mut here, &mut there, 12);
        here.on_ack(PacketNumber(16), KeyPhase(0)).unwrap();
        send(&mut here, &mut there, 1);
        assert_eq!(here.send_phase(), KeyPhase(1));
        let later = Instant::ZERO + 4 * PTO;
        acknowledge(&mut here, &mut there, 30, later);
        assert_eq!(here.receive_phase(), KeyPhase(1));
        // And while stragglers may come.
        open_at(&mut there, &sealed_at(&mut here, b"", later), later).unwrap();
        assert_eq!(here.send_phase(), KeyPhase(1));
        let later = later + 3 * PTO;
        open_at(&mut there, &sealed_at(&mut here, b"", later), later).unwrap();
        assert_eq!(here.send_phase(), KeyPhase(2));
        let counters = (here.counters().updates_started, there.counters().updates_followed);
        assert_eq!(counters, (2, 2));
        assert_eq!(here.counters().failed + there.counters().failed, 0);
    }
}

/// spec: R-KEY-13
#[test]
fn an_update_does_not_wait_for_stragglers_when_the_hard_limit_comes_near() {
    let [mut here, mut there] = pair(Provider::Rust, Cipher::Aes256Gcm, small(10, 30));
    here.on_confirmed();
    let mut phases = vec![];
    for number in 0..200 {
        let packet = sealed(&mut here, b"");
        phases.push(here.send_phase().0);
        open(&mut there, &packet).unwrap();
        acknowledge(&mut here, &mut there, number, Instant::ZERO);
    }
    // The first update comes at once; later ones, with no time passing, half way to the limit.
    assert_eq!(phases.iter().filter(|phase| **phase == 0).count(), 10);
    assert!((1..9).all(|phase| phases.iter().filter(|p| **p == phase).count() == 20));
}

/// spec: R-KEY-13
#[test]
fn age_calls_for_an_update() {
    let hour = Duration::from_secs(3_600);
    let [mut here, mut there] = plain_pair();
    here.on_confirmed();
    // The age is that of the first packet.
    let start = Instant::ZERO + 2 * hour;
    open_at(&mut there, &sealed_at(&mut here, b"", start), start).unwrap();
    acknowledge(&mut here, &mut there, 0, start);
    let just_before = start + (hour - Duration::from_nanos(1));
    open_at(&mut there, &sealed_at(&mut here, b"", just_before), just_before).unwrap();
    assert_eq!(here.send_phase(), KeyPhase(0));
    open_at(&mut there, &sealed_at(&mut here, b"", start + hour), start + hour).unwrap();
    assert_eq!((here.send_phase(), there.send_phase()), (KeyPhase(1), KeyPhase(1)));
}

/// spec: R-KEY-14
#[test]
fn a_key_ends_at_its_hard_limit() {
    for [mut here, mut there] in pairs(small(10, 50)) {
        here.on_confirmed();
        let usable = 50 - CLOSE_RESERVE;
        for number in 0..usable {
            let packet = sealed(&mut here, b"data");
            assert_eq!(open(&mut there, &packet).unwrap().0, number);
        }
        let mut packet = blank(b"more");
        let untouched = packet.clone();
        for _ in 0..3 {
            assert_eq!(here.seal(&mut packet, Instant::ZERO), Err(SealError::AeadLimit));
            assert_eq!((&packet, here.next_number()), (&untouched, PacketNumber(usable)));
        }
        // Saying goodbye is still possible, a few times.
        for number in usable..50 {
            let mut packet = blank(b"close");
            assert_eq!(here.seal_close(&mut packet, Instant::ZERO), Ok(PacketNumber(number)));
            assert!(open(&mut there, &packet).is_ok());
        }
        assert_eq!(here.seal_close(&mut packet, Instant::ZERO), Err(SealError::AeadLimit));
        assert_eq!(here.counters().sealed, 50);
    }
}

/// spec: R-KEY-14
#[test]
fn an_acknowledgement_at_the_last_moment_still_saves_the_connection() {
    let [mut here, mut there] = pair(Provider::Rust, Cipher::Aes256Gcm, small(10, 50));
    here.on_confirmed();
    for _ in 0..50 - CLOSE_RESERVE {
        open(&mut there, &sealed(&mut here, b"data")).unwrap();
    }
    acknowledge(&mut here, &mut there, 7, Instant::ZERO);
    let packet = sealed(&mut here, b"on we go");
    assert_eq!(open(&mut there, &packet).unwrap().2, 1);
}

/// spec: R-KEY-15
#[test]
fn failed_opens_end_the_connection() {
    let limits = KeyLimits::default().with_failed_opens(100).unwrap();
    for [mut here, mut there] in pairs(limits) {
        let genuine = sealed(&mut here, b"genuine");
        let mut broken = genuine.clone();
        broken[20] ^= 1;
        for _ in 0..99 {
            assert_eq!(open(&mut there, &broken), discarded(Discard::Failed));
            // What is no packet at all is free.
            assert_eq!(open(&mut there, &[0x40; 28]), discarded(Discard::NotData));
        }
        let mut at_the_edge = there.clone();
        assert!(open(&mut at_the_edge, &genuine).is_ok());
        assert_eq!(open(&mut there, &broken), Err(OpenError::AeadLimit));
        assert_eq!(open(&mut there, &genuine), Err(OpenError::AeadLimit));
        assert_eq!((there.counters().failed, there.counters().opened), (100, 0));
    }
}

/// A peer that goes through phases without waiting for anything.
///
/// spec: R-KEY-17
#[test]
fn an_update_that_no_ack_can_have_allowed_is_a_violation() {
    // Nothing was ever sent to it.
    let [_, mut there] = plain_pair();
    open(&mut there, &forged(0, 0)).unwrap();
    assert_eq!(code(open(&mut there, &forged(1, 1))), TransportCode::KeyUpdate);
    assert_eq!((there.send_phase(), there.receive_phase()), (KeyPhase(0), KeyPhase(0)));
    // One packet was sent: one update is in order, the next is not.
    let [_, mut there] = plain_pair();
    sealed(&mut there, b"ack");
    open(&mut there, &forged(1, 1)).unwrap();
    assert_eq!(code(open(&mut there, &forged(2, 2))), TransportCode::KeyUpdate);
    assert_eq!((there.send_phase(), there.receive_phase()), (KeyPhase(1), KeyPhase(1)));
    assert_eq!(there.counters().updates_followed, 1);
    // A packet of each phase: a peer may update whenever it was answered.
    let [_, mut there] = plain_pair();
    for phase in 0..=64 {
        assert_eq!(open(&mut there, &forged(phase, phase)).unwrap().2, phase);
        sealed(&mut there, b"ack");
        assert_eq!(there.send_phase(), KeyPhase(phase));
    }
    // But not without end in one moment (R-KEY-24).
    assert_eq!(code(open(&mut there, &forged(65, 65))), TransportCode::KeyUpdate);
    assert_eq!((there.send_phase(), there.receive_phase()), (KeyPhase(64), KeyPhase(64)));
}

/// spec: R-KEY-18
#[test]
fn an_ack_under_older_keys_than_it_acknowledges_is_a_violation() {
    let [mut here, mut there] = pair(Provider::Rust, Cipher::ChaCha20Poly1305, small(1, 100));
    here.on_confirmed();
    open(&mut there, &sealed(&mut here, b"")).unwrap();
    acknowledge(&mut here, &mut there, 0, Instant::ZERO);
    sealed(&mut here, b"phase 1");
    assert_eq!(here.send_phase(), KeyPhase(1));
    let before = state(&here);
    let violation = here.on_ack(PacketNumber(1), KeyPhase(0)).unwrap_err();
    assert_eq!(violation.code, TransportCode::KeyUpdate);
    assert_eq!(state(&here), before);
    // For a packet of the phase before it is in order, and means nothing for this one.
    here.on_ack(PacketNumber(0), KeyPhase(0)).unwrap();
    assert_eq!(state(&here), before);
    here.on_ack(PacketNumber(1), KeyPhase(1)).unwrap();
    assert_ne!(state(&here), before);
}

/// spec: R-KEY-10 R-KEY-12
#[test]
fn stragglers_open_for_three_probe_timeouts() {
    for provider in providers() {
        for cipher in CIPHERS {
            let [_, mut there] = pair(provider, cipher, KeyLimits::default());
            sealed(&mut there, b"ack");
            let forged = |phase, number| Forge::new(provider, cipher, phase, number).packet(b"f");
            open(&mut there, &forged(0, 10)).unwrap();
            assert_eq!(there.send_phase(), KeyPhase(0));
            open(&mut there, &forged(1, 20)).unwrap();
            // Sending follows in the same call.
            assert_eq!(there.send_phase(), KeyPhase(1));
            let end = Instant::ZERO + 3 * PTO;
            let just_before = Instant::ZERO + (3 * PTO - Duration::from_nanos(1));
            assert_eq!(open_at(&mut there, &forged(0, 9), just_before).unwrap().2, 0);
            assert_eq!(open_at(&mut there, &forged(1, 15), just_before).unwrap().2, 1);
            let before = (there.counters(), state(&there));
            let old = forged(0, 8);
            assert_eq!(open_at(&mut there.clone(), &old, just_before).unwrap().0, 8);
            assert_eq!(open_at(&mut there, &old, end), discarded(Discard::OldPhase));
            // Untried: this is no failed open.
            assert_eq!(there.counters().failed, before.0.failed);
            assert_eq!(there.counters().old_phase, 1);
            assert_eq!(open_at(&mut there, &forged(1, 14), end).unwrap().0, 14);
        }
    }
}

/// spec: R-KEY-11
#[test]
fn numbers_and_phases_grow_together() {
    let start = || {
        let [_, mut there] = plain_pair();
        sealed(&mut there, b"ack");
        open(&mut there, &forged(0, 10)).unwrap();
        there
    };
    // A phase cannot begin below a packet of the phase before.
    let mut there = start();
    assert_eq!(code(open(&mut there, &forged(1, 9))), TransportCode::KeyUpdate);
    // Nor reach below one afterwards.
    let mut there = start();
    open(&mut there, &forged(1, 20)).unwrap();
    assert_eq!(code(open(&mut there, &forged(1, 5))), TransportCode::KeyUpdate);
    // Also if that one came late.
    let mut there = start();
    open(&mut there, &forged(1, 20)).unwrap();
    open(&mut there, &forged(0, 15)).unwrap();
    open(&mut there, &forged(1, 16)).unwrap();
    assert_eq!(code(open(&mut there, &forged(1, 14))), TransportCode::KeyUpdate);
    // A later number under the old key is tried under the next key alone, and does not open.
    let mut there = start();
    open(&mut there, &forged(1, 20)).unwrap();
    assert_eq!(open(&mut there, &forged(0, 21)), discarded(Discard::Failed));
}

/// spec: R-KEY-19
#[test]
fn what_is_over_stays_closed() {
    let [_, mut there] = plain_pair();
    sealed(&mut there, b"ack");
    open(&mut there, &forged(0, 10)).unwrap();
    let straggler = forged(0, 9);
    open(&mut there, &forged(1, 20)).unwrap();
    assert!(open(&mut there.clone(), &straggler).is_ok());
    sealed(&mut there, b"ack");
    open(&mut there, &forged(2, 30)).unwrap();
    // Phase 0 looks like phase 2 now, and its key is nowhere.
    assert_eq!(open(&mut there, &straggler), discarded(Discard::Failed));
}

/// Two ends that send, lose, reorder and update at the same time, for a hundred thousand packets.
///
/// spec: R-KEY-12 R-KEY-13
#[test]
fn long_transfers_go_through_many_updates_both_ways() {
    for (seed, mut ends) in pairs(small(700, 3_000)).into_iter().enumerate() {
        let mut rng = Rng::new(&Seed::from_u64(seed as u64));
        // Packets under way, by when they arrive, counted in packets of their sender.
        let mut wires: [BTreeMap<(u64, u64), Vec<u8>>; 2] = Default::default();
        // Per end: what it received and in which phase the latest came, to be acknowledged.
        let mut largest = [None::<u64>; 2];
        let (mut delivered, mut lost) = (0_u64, 0_u64);
        let mut now = Instant::ZERO;
        ends.iter_mut().for_each(PacketKeys::on_confirmed);
        for _ in 0..100_000 {
            now = now + Duration::from_micros(50);
            // The ends take turns at being the busy one, so that either may be ahead.
            let total = ends[0].counters().sealed + ends[1].counters().sealed;
            let from = usize::from(rng.below(5) < if total % 6_000 < 3_000 { 1 } else { 4 });
            let ack = largest[from].unwrap_or(u64::MAX);
            let packet = sealed_at(&mut ends[from], &ack.to_be_bytes(), now);
            if rng.below(50) == 0 {
                lost += 1;
            } else {
                let sent = ends[from].counters().sealed;
                wires[from].insert((sent + rng.below(40), sent), packet);
            }
            for from in [0, 1] {
                let sent = ends[from].counters().sealed;
                while wires[from].first_key_value().is_some_and(|(key, _)| key.0 < sent) {
                    let (_, packet) = wires[from].pop_first().unwrap();
                    let to = &mut ends[1 - from];
                    let (number, payload, phase) = open_at(to, &packet, now).unwrap();
                    let ack = u64::from_be_bytes(payload.try_into().unwrap());
                    if ack != u64::MAX {
                        to.on_ack(PacketNumber(ack), KeyPhase(phase)).unwrap();
                    }
                    let seen = &mut largest[1 - from];
                    *seen = Some(seen.map_or(number, |seen| seen.max(number)));
                    delivered += 1;
                }
            }
        }
        let [one, two] = ends.each_ref().map(PacketKeys::counters);
        assert_eq!(one.opened + two.opened, delivered);
        assert!(delivered + lost + 130 > 100_000);
        assert_eq!(one.failed + two.failed + one.old_phase + two.old_phase, 0);
        assert_eq!(one.replayed + two.replayed + one.below_window + two.below_window, 0);
        // Both began updates and both followed the other's.
        assert!(one.updates_started > 5 && two.updates_started > 5, "{one:?} {two:?}");
        assert!(ends[0].send_phase().0 > 50, "{:?}", ends[0]);
        assert!(ends[0].send_phase().0.abs_diff(ends[1].send_phase().0) <= 1);
    }
}

/// spec: R-KEY-12
#[test]
fn both_ends_may_begin_the_same_update() {
    for [mut here, mut there] in pairs(small(1, 100)) {
        here.on_confirmed();
        there.on_confirmed();
        let (first, second) = (sealed(&mut here, b""), sealed(&mut there, b""));
        open(&mut there, &first).unwrap();
        open(&mut here, &second).unwrap();
        here.on_ack(PacketNumber(0), KeyPhase(0)).unwrap();
        there.on_ack(PacketNumber(0), KeyPhase(0)).unwrap();
        let (first, second) = (sealed(&mut here, b""), sealed(&mut there, b""));
        assert_eq!((here.send_phase(), there.send_phase()), (KeyPhase(1), KeyPhase(1)));
        assert_eq!(open(&mut there, &first).unwrap().2, 1);
        assert_eq!(open(&mut here, &second).unwrap().2, 1);
        assert_eq!((here.send_phase(), there.send_phase()), (KeyPhase(1), KeyPhase(1)));
        assert_eq!(here.counters().updates_followed, 0);
        let third = sealed(&mut here, b"and on");
        assert!(open(&mut there, &third).is_ok());
    }
}
