//! What silence means: probes, PINGs, and the end of patience.

use super::*;
use crate::recovery::{MIN_PING_INTERVAL, PEER_LOST_PROBES};

/// spec: R-REC-24
#[test]
fn silence_is_probed() {
    let mut s = Sender::with_rtt(ms(100));
    assert_eq!(s.deadline(), None);
    s.send(A);
    s.send(A);
    s.wait(ms(3));
    let sent = s.now;
    s.send(A);
    s.send_bare(A);
    // 100 + max(4 x 0, 1), from the last that elicits.
    assert_eq!(s.deadline(), Some(sent + ms(101)));
    assert_eq!(s.fire(), Fired::Probe { count: 2 });
    // The oldest two come back to be sent again; all three stay in flight.
    assert_eq!(s.lost(), [0, 1]);
    assert_eq!(s.ledger.in_flight(A), 3_600);
    assert!(s.out.paths.is_empty(), "no congestion");
    s.burst(A, 2);
    assert_eq!(s.fire(), Fired::Probe { count: 2 });
    assert_eq!(s.lost(), [2, 4]);
    // What came back already comes back no more, whatever becomes of the packet.
    s.ack(&[0..2, 3..5]);
    assert_eq!(s.acked(), NONE);
    s.wait(ms(10));
    s.ack(&[5..6]);
    assert_eq!((s.acked(), s.lost()), (vec![5], vec![]));
}

/// The peer answers every second packet at once: only one that is alone waits for its delay.
///
/// spec: R-REC-34
#[test]
fn a_tail_is_probed_without_the_delay_of_the_peer() {
    let mut s = Sender::with_rtt(Duration::from_micros(200));
    let sent = s.now;
    s.send(A);
    assert_eq!(s.deadline(), Some(sent + s.rtt().pto(ACK_DELAY)), "alone");
    s.send(A);
    assert_eq!(s.deadline(), Some(sent + s.rtt().pto_base()));
    // Two of ten arrive; of the rest none is behind: one timeout later two go out again.
    s.burst(A, 8);
    s.wait(Duration::from_micros(200));
    s.ack(&[0..2]);
    assert_eq!(s.deadline(), Some(sent + s.rtt().pto_base()));
    assert_eq!(s.fire(), Fired::Probe { count: 2 });
    assert_eq!(s.lost(), [2, 3]);
    let fired = s.now;
    // Who is silent still may only have had no time.
    assert_eq!(s.deadline(), Some(fired + s.rtt().pto(ACK_DELAY) * 2));
    // The first answer to them shows the whole tail lost.
    let probes = s.burst(A, 2);
    s.wait(Duration::from_micros(200));
    s.ack(&[probes]);
    assert_eq!(s.lost(), [4, 5, 6, 7, 8, 9]);
    assert_eq!(s.ledger.in_flight(A), 0);
}

/// What asks for the size of the path is meant to be lost: the peer may have one packet only.
///
/// spec: R-REC-34
#[test]
fn a_size_probe_is_no_company() {
    let mut s = Sender::with_rtt(Duration::from_micros(200));
    s.send(A);
    s.send_sized(A, 1_400, true);
    assert_eq!(s.deadline(), Some(s.now + s.rtt().pto(ACK_DELAY)));
    s.send(A);
    assert_eq!(s.deadline(), Some(s.now + s.rtt().pto_base()));
}

/// While a packet waits to be lost by time there is no probing.
///
/// spec: R-REC-24
#[test]
fn loss_by_time_comes_before_probes() {
    let mut s = Sender::with_rtt(ms(800));
    let sent = s.now;
    s.burst(A, 2);
    s.wait(ms(800));
    s.ack(&[1..2]);
    assert_eq!(s.deadline(), Some(sent + ms(900)));
    s.send(A);
    assert_eq!(s.deadline(), Some(sent + ms(900)));
    assert_eq!(s.fire(), Fired::Nothing);
    assert_eq!(s.lost(), [0]);
    assert_eq!(s.deadline(), Some(sent + ms(800) + ms(826)));
}

/// Sends what a timeout asked for, and names the last of it.
fn obey(s: &mut Sender, fired: Fired) -> u64 {
    match fired {
        Fired::Probe { count } => s.burst(A, count.into()).end - 1,
        Fired::Ping => s.send(A),
        other => panic!("{other:?}"),
    }
}

/// Lesson 4: the deaf peer. Content is said twice more, then there are only questions, ever rarer.
///
/// spec: R-REC-24, R-REC-25
#[test]
fn content_is_said_twice_more_then_pings_ask() {
    let mut s = Sender::with_rtt(ms(100));
    s.ledger.set_patience(Duration::MAX);
    s.burst(A, 5);
    let (start, mut waits, mut given) = (s.now, Vec::new(), Vec::new());
    while s.now < start + ms(3_600_000) {
        let before = s.now;
        let fired = s.fire();
        let expected = if waits.len() < 2 { Fired::Probe { count: 2 } } else { Fired::Ping };
        assert_eq!(fired, expected);
        given.extend(s.lost());
        waits.push(s.now.saturating_since(before));
        obey(&mut s, fired);
    }
    assert_eq!(given, [0, 1, 2, 3], "what the oldest held, two by two");
    assert_eq!(waits[..4], [101, 252, 125, 125].map(ms));
    let apart = |doublings: u32| ms(125 << doublings);
    let wanted = (2..waits.len() as u32).map(|count| apart(count / 32));
    assert!(waits[2..].iter().copied().eq(wanted), "{waits:?}");
    assert!(waits.len() < 330, "{} in an hour", waits.len());
}

/// Lesson 3: any answer ends the back-off.
///
/// spec: R-REC-25
#[test]
fn back_off_ends_with_any_answer() {
    let mut s = Sender::with_rtt(ms(100));
    s.send(A);
    let mut last = 0;
    for _ in 0..6 {
        let fired = s.fire();
        last = obey(&mut s, fired);
    }
    assert_eq!(s.ledger.unanswered_probes(), 6);
    // Only a PING is answered.
    s.ack(&[last..last + 1]);
    assert_eq!(s.ledger.unanswered_probes(), 0);
    while s.ledger.has_in_flight() {
        assert_eq!(s.fire(), Fired::Nothing);
    }
    let last = s.send(A);
    let before = s.now;
    assert_eq!(s.deadline(), Some(before + s.rtt().pto(ACK_DELAY)));
    s.ack(&[last..last + 1]);
    // A packet that was declared lost and arrives after all is an answer too.
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 4);
    s.ack(&[1..4]);
    assert_eq!(s.lost(), [0]);
    s.send(A);
    let _ = s.fire();
    assert_eq!(s.ledger.unanswered_probes(), 1);
    s.ack(&[0..4]);
    assert_eq!(s.ledger.unanswered_probes(), 0);
    // On a slow path PINGs are half a timeout apart.
    let mut s = Sender::with_rtt(ms(3_000));
    s.send(A);
    let _ = s.fire();
    let before = s.now;
    let _ = s.fire();
    let _ = s.fire();
    assert_eq!(s.now.saturating_since(before), ms(3_026) * 5 / 2);
}

/// Scenario 53: nothing is heard any more.
///
/// spec: R-REC-26
#[test]
fn a_silent_peer_is_lost() {
    for (rtt, least) in [(1, 5_000), (100, 5_000), (200, 5_000), (2_000, 2_000 * 18)] {
        let mut s = Sender::with_rtt(ms(rtt));
        s.send(A);
        let start = s.now;
        let mut probes = 0;
        let (given_up, waited) = loop {
            match s.fire() {
                Fired::PeerLost { probes, waited } => break (probes, waited),
                fired => {
                    probes += 1;
                    obey(&mut s, fired);
                }
            }
        };
        assert_eq!(given_up, probes);
        assert!(probes >= PEER_LOST_PROBES);
        assert_eq!(waited, s.now.saturating_since(start));
        assert!(waited >= ms(least), "{waited:?}");
        let most = (s.rtt().pto(ACK_DELAY) * 19).max(ms(5_200));
        assert!(waited <= most, "{waited:?}");
    }
}

/// On a way that swallows most of what we say, a peer that is heard gets longer; not for ever.
///
/// spec: R-REC-26
#[test]
fn a_peer_that_speaks_is_given_more_time() {
    let mut s = Sender::with_rtt(ms(20));
    s.send(A);
    let waited = loop {
        s.ledger.on_heard(s.now);
        match s.fire() {
            Fired::PeerLost { waited, .. } => break waited,
            fired => obey(&mut s, fired),
        };
    };
    assert!((ms(20_000)..=ms(20_700)).contains(&waited), "{waited:?}");
}

/// A way that carries PINGs and nothing else: each silence ends, and nothing arrives.
///
/// spec: R-REC-26
#[test]
fn a_peer_that_only_answers_pings_is_lost() {
    let mut s = Sender::with_rtt(ms(100));
    let (start, mut silences) = (s.now, 0);
    let (probes, waited) = loop {
        s.burst(A, 2);
        let fired = loop {
            match s.fire() {
                Fired::Probe { count } => drop(s.burst(A, count.into())),
                Fired::Nothing => {}
                fired => break fired,
            }
        };
        if let Fired::PeerLost { probes, waited } = fired {
            break (probes, waited);
        }
        silences += 1;
        let ping = s.send_ping(A);
        s.wait(ms(100));
        s.ack(&[ping..ping + 1]);
    };
    assert_eq!((probes, silences), (silences, probes));
    assert!(probes >= PEER_LOST_PROBES && waited >= ms(20_000), "{probes}, {waited:?}");
    assert!(s.now.saturating_since(start) < ms(25_000), "{:?}", s.now.saturating_since(start));
}

/// Waiting counts from the first packet that is not answered, not from the last answer before a
/// pause.
///
/// spec: R-REC-26
#[test]
fn a_pause_is_no_silence() {
    let mut s = Sender::with_rtt(ms(10));
    s.send(A);
    s.ack(&[0..1]);
    s.wait(ms(3_600_000));
    s.send(A);
    assert_eq!(s.fire(), Fired::Probe { count: 2 });
    // The clock jumps an hour (the machine slept): one timeout, not the end.
    s.wait(ms(3_600_000));
    assert_eq!(s.fire_now(), Fired::Probe { count: 2 });
    assert!(s.deadline().unwrap() <= s.now + MIN_PING_INTERVAL);
}

/// Scenario 49: nothing comes back for ten seconds; with patience enough, the first answer heals
/// all.
///
/// spec: R-REC-25, R-REC-26
#[test]
fn an_outage_heals_with_the_first_probe_after_it() {
    let mut s = Sender::with_rtt(ms(50));
    s.ledger.set_patience(ms(30_000));
    s.burst(A, 10);
    let end = s.now + ms(10_000);
    let mut last = 0;
    while s.now < end {
        let fired = s.fire();
        last = obey(&mut s, fired);
    }
    assert!(s.now <= end + MIN_PING_INTERVAL * 4);
    s.wait(ms(50));
    s.ack(&[last..last + 1]);
    assert_eq!(s.ledger.unanswered_probes(), 0);
    s.wait(ms(60));
    if s.deadline().is_some_and(|at| at <= s.now) {
        let _ = s.fire_now();
    }
    assert_eq!(s.ledger.in_flight(A), 0);
}

/// The last packet of a stream may be refused as well: nothing follows it by itself.
///
/// spec: R-REC-38
#[test]
fn a_stream_that_stands_still_is_asked_once() {
    let mut s = Sender::with_rtt(ms(50));
    s.ledger.set_carriage(A, Carriage::Reliable);
    let sent = s.now;
    let refused = s.send(A);
    assert_eq!(s.deadline(), Some(sent + ms(1_000)));
    assert_eq!(s.fire(), Fired::Ping);
    let ping = s.send(A);
    assert_eq!(s.deadline(), Some(s.now + ms(1_000)));
    assert_eq!(s.fire(), Fired::Hush, "asked once, and silent for longer");
    assert_eq!((s.ledger.unanswered_probes(), s.ledger.stats().probe_timeouts), (2, 0));
    s.wait(ms(50));
    s.ack(&[ping..ping + 1]);
    assert_eq!(s.lost(), [refused]);
    assert_eq!(s.deadline(), None);
    // A slow round trip is given its time; a blocked carrier is not asked.
    let mut s = Sender::with_rtt(ms(800));
    s.ledger.set_carriage(A, Carriage::Reliable);
    s.send(A);
    let patience = s.rtt().pto(ACK_DELAY) * 3;
    assert_eq!(s.deadline(), Some(s.now + patience));
    s.ledger.on_suspended(A);
    assert_eq!((s.fire(), s.ledger.unanswered_probes()), (Fired::Hush, 1));
    s.ledger.on_resumed(A, s.now);
    assert_eq!(s.deadline(), Some(s.now + patience), "its time begins anew");
    assert_eq!((s.fire(), s.ledger.unanswered_probes()), (Fired::Ping, 2));
}

/// What is sent again and again and never acknowledged is silence; what is acknowledged ends it,
/// and so does nothing else.
///
/// spec: R-REC-39, R-REC-37
#[test]
fn a_stream_in_use_is_silent_while_nothing_is_acknowledged() {
    let mut s = Sender::with_rtt(ms(50));
    s.ledger.set_carriage(A, Carriage::Reliable);
    s.ledger.set_carriage(B, Carriage::Reliable);
    // Long after something was asked elsewhere: that is not its silence.
    s.send(B);
    s.wait(ms(5_000));
    let mut last = s.send(A);
    let began = s.now;
    for silent in 1..=3 {
        while s.deadline().is_some_and(|at| at > s.now + ms(300)) {
            s.wait(ms(300));
            last = s.send(A);
        }
        assert_eq!(s.fire(), Fired::Hush, "its last packet is too young to be asked after");
        assert_eq!(s.ledger.unanswered_probes(), silent);
        assert_eq!(s.now, began + ms(1_000) * silent);
    }
    let beside = s.send(B);
    s.ack(&[beside..beside + 1]);
    assert_eq!(s.ledger.unanswered_probes(), 3);
    s.ack(&[last..last + 1]);
    assert_eq!((s.ledger.unanswered_probes(), s.ledger.silent_since()), (0, None));
}

/// The only way has broken: everything is lost, and silences are counted without anything under way,
/// until data has another.
///
/// spec: R-REC-40, R-REC-27
#[test]
fn a_stream_that_broke_in_use_is_silent_until_another_is_used() {
    let mut s = Sender::with_rtt(ms(50));
    s.ledger.set_carriage(A, Carriage::Reliable);
    let sent = s.burst(A, 3);
    let (now, broke) = (s.now, s.now);
    s.ledger.on_broken(A, 3, &mut s.out, now);
    assert_eq!((s.ledger.in_flight(A), s.lost().len()), (0, 3));
    assert_eq!((s.ledger.unanswered_probes(), s.ledger.silent_since()), (3, Some(broke)));
    for silent in 4..9 {
        assert_eq!((s.fire(), s.ledger.unanswered_probes()), (Fired::Hush, silent));
        assert_eq!(s.now, broke + ms(1_000) * (silent - 3));
    }
    s.ack(&[sent.start..sent.start + 1]);
    assert_eq!(s.ledger.unanswered_probes(), 8, "an answer that comes late by another way");
    s.active = B;
    s.ledger.on_moved(B, s.now);
    assert_eq!((s.ledger.unanswered_probes(), s.deadline()), (0, None));
}

/// What a stream beside the one in use holds is waited for since data left it, however often it is
/// asked.
///
/// spec: R-REC-29
#[test]
fn questions_do_not_prolong_the_wait_for_what_a_stream_holds() {
    let mut s = Sender::with_rtt(ms(50));
    s.ledger.set_carriage(A, Carriage::Reliable);
    s.burst(A, 3);
    s.active = B;
    s.ledger.on_moved(B, s.now);
    let left = s.now;
    for _ in 0..9 {
        s.wait(ms(1_000));
        s.send(A);
    }
    assert_eq!(s.deadline(), Some(left + ms(10_000)));
    let _ = s.fire();
    assert_eq!((s.ledger.in_flight(A), s.lost().len()), (0, 12));
}

/// A path of datagrams is silent, and a stream beside it answers its challenges: that is no reason
/// to stay.
///
/// spec: R-REC-37, R-REC-25
#[test]
fn a_stream_that_answers_ends_no_silence_of_datagrams() {
    let mut s = Sender::with_rtt(ms(100));
    s.ledger.set_carriage(B, Carriage::Reliable);
    for silent in 1..=4 {
        s.send(A);
        assert_ne!(s.fire(), Fired::Nothing);
        assert_eq!(s.ledger.unanswered_probes(), silent);
        let challenge = s.send(B);
        s.wait(ms(1));
        s.ack(&[challenge..challenge + 1]);
        assert_eq!(s.ledger.unanswered_probes(), silent, "B answers, A does not");
    }
    let at = s.send(A);
    s.wait(ms(100));
    s.ack(&[at..at + 1]);
    assert_eq!(s.ledger.unanswered_probes(), 0);
}

/// What was silent was the path before.
///
/// spec: R-REC-37
#[test]
fn a_silence_is_of_one_path() {
    let mut s = Sender::with_rtt(ms(50));
    s.burst(A, 2);
    for _ in 0..5 {
        let fired = s.fire();
        obey(&mut s, fired);
    }
    assert_eq!(s.ledger.unanswered_probes(), 5);
    assert!(s.ledger.silent_since().is_some_and(|since| since < s.now));
    s.ledger.abandon(A, &mut s.out);
    s.active = B;
    s.ledger.on_moved(B, s.now);
    assert_eq!((s.ledger.unanswered_probes(), s.ledger.silent_since()), (0, None));
    s.send(B);
    let first = s.now + s.rtt().pto(ACK_DELAY);
    assert_eq!(s.deadline(), Some(first), "the first of its own");
}

/// Clocks and delays at their ends, and a jump of an hour between.
///
/// spec: R-REC-26, R-REC-30
#[test]
fn clocks_at_their_ends_overflow_nothing() {
    let mut s = Sender::new();
    s.burst(A, 2);
    s.try_ack(&[0..1], Duration::from_micros((1 << 62) - 1)).unwrap();
    assert!(s.rtt().smoothed() <= super::super::super::MAX_RTT);
    // The same instant again and again: fires once.
    assert!(matches!(s.fire(), Fired::Probe { .. }));
    for _ in 0..3 {
        assert_eq!(s.fire_now(), Fired::Nothing);
    }
    // An hour in one step, long after the deadline: one timeout and no end, and no hour is learnt.
    let before = s.rtt().smoothed();
    let due = s.deadline().expect("it waits");
    s.wait(ms(3_600_000));
    assert!(s.now > due);
    assert!(matches!(s.fire_now(), Fired::Probe { .. } | Fired::Ping));
    assert_eq!(s.fire_now(), Fired::Nothing, "once");
    let next = s.deadline().expect("it waits again");
    assert!(next.saturating_since(s.now) <= ms(1_000), "{:?}", next.saturating_since(s.now));
    assert_eq!(s.rtt().smoothed(), before);
    s.ledger.set_peer_max_ack_delay(Duration::MAX);
    let _ = s.fire();
    // 584 years later.
    s.now = Instant::from_nanos(u64::MAX - 1_000_000_000);
    let _ = s.fire_now();
    s.burst(A, 3);
    s.now = Instant::from_nanos(u64::MAX - 1);
    s.ack(&[4..5]);
    s.ledger.declare_lost_all(A, &mut s.out);
    assert_eq!(s.deadline(), None);
}
