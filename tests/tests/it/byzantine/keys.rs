//! Keys updated too often, too early, backwards; reserved bits; packets that do not open.

use std::time::Duration;

use aqueduct_core::config::TransportConfig;
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::endpoint::EventKind;
use aqueduct_core::error::{CloseReason, TransportCode as Code};
use aqueduct_core::wire::frame::Frame;
use aqueduct_core::wire::params::Params;
use aqueduct_tests::byzantine::{Duel, Role, honest};

#[test]
fn reserved_bits() {
    for bits in [1, 2, 4, 8, 16, 31] {
        let mut duel = Duel::new(Role::Dials);
        duel.peer.sealer.reserved = bits;
        duel.say(&[Frame::Ping]);
        assert_eq!(duel.violation(), Some(Code::Protocol), "{bits}");
    }
}

/// An update is followed; a second one before anything was said in the new phase is too many.
#[test]
fn one_update_after_another() {
    let mut duel = Duel::new(Role::Dials);
    duel.peer.sealer.update();
    // No ACK is due yet, so nothing is said under the new keys.
    duel.say(&[Frame::Padding { len: 20 }]);
    assert_eq!(duel.stats().keys.updates_followed, 1);
    duel.peer.sealer.update();
    duel.say(&[Frame::Padding { len: 20 }]);
    assert_eq!(duel.violation(), Some(Code::KeyUpdate));
}

/// An update with every pair of packets, each answered before the next: it costs the honest end a few
/// hashes, and so it follows for a while, but not for ever.
///
/// spec: R-KEY-24
#[test]
fn an_update_for_every_answer() {
    let update = |duel: &mut Duel| {
        duel.peer.sealer.update();
        duel.say(&[Frame::Ping]);
        duel.say(&[Frame::Ping]);
    };
    let mut patient = Duel::new(Role::Dials);
    patient.peer.deaf = true;
    for round in 0..500 {
        update(&mut patient);
        assert_eq!(patient.ended(), None, "{round}");
        patient.pass(Duration::from_micros(62_500));
        patient.ack();
    }
    assert_eq!(patient.stats().keys.updates_followed, 500);
    assert_eq!(patient.peer.unopened, 0, "the honest end followed at once");
    let mut hasty = Duel::new(Role::Dials);
    for round in 0..64 {
        update(&mut hasty);
        assert_eq!(hasty.ended(), None, "{round}");
    }
    update(&mut hasty);
    assert_eq!(hasty.violation(), Some(Code::KeyUpdate));
}

/// Our own updates keep to half of that rate, however little a key may be used.
///
/// spec: R-KEY-24
#[test]
fn our_own_updates_are_rare() {
    let soon = KeyLimits::default().with_soft_packets(1).expect("a limit");
    let config = honest().with_transport(TransportConfig::default().with_key_limits(soon));
    let mut duel = Duel::with(config, Role::Dials, &Params::default());
    duel.peer.deaf = true;
    let (mut counts, mut phase) = (Vec::new(), 0);
    for _ in 0..20 {
        let before = duel.stats().keys.updates_started;
        for _ in 0..100 {
            duel.say(&[Frame::Ping]);
            // As if the peer had followed: its packets come in the phase of ours.
            while phase < duel.peer.keys.receive_phase().0 {
                duel.peer.sealer.update();
                phase += 1;
            }
            duel.ack();
            duel.pass(Duration::from_millis(10));
        }
        counts.push(duel.stats().keys.updates_started - before);
    }
    println!("updates in each second: {counts:?}");
    assert_eq!(duel.ended(), None);
    assert!(
        counts.iter().all(|count| *count <= 40) && counts[16..].iter().all(|count| *count <= 9)
    );
    assert!(counts.iter().sum::<u64>() > 20);
}

/// Keys that were left are not taken up again: a later packet under them does not open.
#[test]
fn back_to_the_keys_before() {
    let mut duel = Duel::new(Role::Dials);
    let before = duel.peer.sealer.clone();
    duel.peer.sealer.update();
    duel.say(&[Frame::Ping]);
    duel.say(&[Frame::Ping]);
    duel.peer.sealer = before;
    let keys = duel.stats().keys;
    duel.say(&[Frame::Ping]);
    assert_eq!(duel.stats().keys.failed, keys.failed + 1);
    assert_eq!(duel.stats().keys.opened, keys.opened);
    assert_eq!(duel.ended(), None);
}

/// Packets that do not open are counted, and end the connection at the configured count.
#[test]
fn packets_that_do_not_open() {
    let limits = KeyLimits::default().with_failed_opens(1_000).expect("a lawful limit");
    let config = honest().with_transport(TransportConfig::default().with_key_limits(limits));
    let mut duel = Duel::with(config, Role::Dials, &Params::default());
    let opened = duel.stats().keys.opened;
    for round in 1..1_000 {
        let mut packet = duel.peer.packet(&[1; 30]);
        *packet.last_mut().expect("a tag") ^= 1;
        duel.throw(packet);
        assert_eq!(duel.stats().keys.failed, round);
    }
    assert_eq!(duel.stats().keys.opened, opened);
    assert_eq!(duel.ended(), None);
    duel.say(&[Frame::Ping]);
    assert_eq!(duel.stats().keys.opened, opened + 1);
    let mut packet = duel.peer.packet(&[1; 30]);
    *packet.last_mut().expect("a tag") ^= 1;
    duel.throw(packet);
    assert_eq!(duel.ended(), Some(&CloseReason::AeadLimit));
}

/// A round trip that the peer has made long does not hold the place of a connection that is over.
///
/// spec: R-CLOSE-6
#[test]
fn late_acks_do_not_make_the_end_late() {
    let mut duel = Duel::new(Role::Dials);
    let early = duel.peer.received.clone();
    duel.pass(Duration::from_secs(4));
    duel.ack_these(&early);
    assert!(duel.stats().rtt > Duration::from_millis(400), "{:?}", duel.stats().rtt);
    duel.say_raw(&[]);
    assert_eq!(duel.violation(), Some(Code::Protocol));
    duel.pass(Duration::from_millis(10_001));
    assert_eq!(duel.events.last(), Some(&EventKind::Drained));
}

/// After a violation CLOSE is said again to whoever goes on, ever more rarely; then nothing is left.
///
/// spec: R-CLOSE-2, R-CLOSE-6, R-CLOSE-7
#[test]
fn what_follows_a_violation() {
    let mut duel = Duel::new(Role::Dials);
    assert!(duel.endpoint.stats().budget_committed > 0);
    duel.last_heard();
    duel.say_raw(&[]);
    assert_eq!(duel.violation(), Some(Code::Protocol));
    let mut said = Vec::new();
    duel.last_heard();
    for packet in 1..=100 {
        duel.say(&[Frame::Ping]);
        if !duel.last_heard().is_empty() {
            said.push(packet);
        }
    }
    assert_eq!(said, [1, 2, 4, 8, 16, 32, 64]);
    // Another violation does not change the cause.
    duel.say_raw(&[0x24]);
    duel.pass(Duration::from_secs(10));
    let closed = duel.events.iter().filter(|e| matches!(e, EventKind::Closed(_))).count();
    assert_eq!(closed, 1);
    assert_eq!(duel.violation(), Some(Code::Protocol));
    assert_eq!(duel.events.last(), Some(&EventKind::Drained));
    let handle = duel.handle.expect("a connection");
    assert!(duel.endpoint.connection(handle).is_none());
    assert_eq!(duel.endpoint.stats().budget_committed, 0);
    assert_eq!(duel.wait, None);
}
