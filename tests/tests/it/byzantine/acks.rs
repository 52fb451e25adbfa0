//! Acknowledgements of what was never sent, never received, or never.

use std::time::Duration;

use aqueduct_core::error::{CloseReason, TransportCode as Code};
use aqueduct_core::range_set::RangeSet;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::frame::Frame;
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::byzantine::{Duel, Heard, Role, frames_of, numbers};
use aqueduct_tests::transfer::{Writer, text};

use crate::extremes::kind;

fn up_to(end: u64) -> RangeSet {
    let mut set = RangeSet::new();
    set.insert(0..end);
    set
}

fn largest(duel: &Duel) -> u64 {
    duel.peer.received.last().expect("a packet came").end
}

/// spec: R-REC-15, R-CLOSE-1
#[test]
fn a_packet_that_was_never_sent() {
    for role in Role::ALL {
        let template = Duel::new(role);
        let next = largest(&template);
        for number in [next + 1, next + 100, 1 << 32, (1 << 62) - 1] {
            let mut duel = template.clone();
            duel.say_raw(&numbers(&[kind::ACK, number, 0, 0, 0]));
            assert_eq!(duel.violation(), Some(Code::AckOfUnsent), "{role:?} {number}");
        }
    }
}

/// A receiver that acknowledges before it receives gets a faster sender, and is caught by a number that
/// was left out before it got far.
///
/// spec: R-REC-15, R-REC-16
#[test]
fn who_acknowledges_everything_is_caught() {
    let mut caught = Vec::new();
    for role in Role::ALL {
        let mut duel = Duel::new(role);
        duel.say_raw(&numbers(&[kind::MAX_DATA, 1 << 40]));
        let handle = duel.handle.expect("a connection");
        let mut writer = Writer::open(&mut duel.endpoint, handle, text(4_000_000));
        duel.say_raw(&numbers(&[kind::MAX_STREAM_DATA, writer.stream.0, 1 << 40]));
        for _ in 0..10_000 {
            duel.pass(Duration::from_millis(5));
            writer.pump(&mut duel.endpoint);
            duel.pump();
            let all = up_to(largest(&duel));
            duel.ack_these(&all);
            if duel.ended().is_some() {
                break;
            }
        }
        assert_eq!(duel.violation(), Some(Code::AckOfUnsent), "{role:?}");
        caught.push(largest(&duel));
    }
    println!("caught after so many packets: {caught:?}");
    // The first number left out is among 64; a window's worth may have left before it was heard of.
    assert!(caught.iter().all(|packets| *packets <= 150), "{caught:?}");
}

/// The honest one among receivers that names every number that it got, and only those, is not.
///
/// spec: R-REC-16
#[test]
fn who_acknowledges_what_came_is_not() {
    let mut duel = Duel::new(Role::Dials);
    duel.say_raw(&numbers(&[kind::MAX_DATA, 1 << 40]));
    let handle = duel.handle.expect("a connection");
    let mut writer = Writer::open(&mut duel.endpoint, handle, text(2_000_000));
    duel.say_raw(&numbers(&[kind::MAX_STREAM_DATA, writer.stream.0, 1 << 40]));
    for _ in 0..3_000 {
        duel.pass(Duration::from_millis(1));
        writer.pump(&mut duel.endpoint);
        duel.pump();
        duel.ack();
        assert_eq!(duel.ended(), None);
    }
    let sent = largest(&duel);
    assert!(sent > 1_000, "too little was sent: {sent}");
    let holes = duel.peer.received.count();
    assert!((2..=20).contains(&holes), "{holes} ranges of {sent} packets");
    assert!(duel.stats().ledger.lost <= 3, "nothing was lost: {:?}", duel.stats().ledger);
}

/// Nothing is acknowledged for ever: the sender gives up in time.
#[test]
fn who_acknowledges_nothing_is_given_up() {
    let mut duel = Duel::new(Role::Dials);
    let handle = duel.handle.expect("a connection");
    let _ = Writer::open(&mut duel.endpoint, handle, text(100_000));
    duel.pump();
    let begun = duel.now;
    for _ in 0..600 {
        duel.pass(Duration::from_millis(100));
        // Silence is not it: the peer goes on speaking.
        duel.say(&[Frame::Padding { len: 3 }]);
        if duel.ended().is_some() {
            break;
        }
    }
    assert!(matches!(duel.ended(), Some(CloseReason::PeerLost { .. })), "{:?}", duel.ended());
    let waited = duel.now.saturating_since(begun);
    assert!(waited < Duration::from_secs(30), "{waited:?}");
}

/// Every second packet reaches the honest end: what it remembers is bounded, and so is what it says.
///
/// spec: R-REC-9
#[test]
fn every_second_number() {
    let mut duel = Duel::new(Role::Dials);
    for _ in 0..20_000 {
        duel.peer.number += 1;
        duel.say(&[Frame::Ping]);
        let heard = duel.last_heard();
        for packet in &heard {
            for frame in packet.frames() {
                if let Frame::Ack(ack) = frame {
                    assert!(ack.ranges().count() <= 256);
                }
            }
            assert!(packet.size <= 1_452);
        }
    }
    assert_eq!(duel.ended(), None);
    duel.pass(Duration::from_secs(1));
    assert_eq!(duel.ended(), None);
}

/// Packet numbers leap as far as they can.
#[test]
fn numbers_that_leap() {
    let mut duel = Duel::new(Role::Dials);
    for power in 8..31 {
        duel.peer.number += 1 << power;
        duel.say(&[Frame::Ping]);
        assert_eq!(duel.ended(), None, "2^{power}");
    }
    let before = duel.stats().keys;
    // Beyond half of the 32 bits that are sent, the receiver takes the number for another.
    duel.peer.number += 1 << 32;
    duel.say(&[Frame::Ping]);
    let after = duel.stats().keys;
    assert_eq!((after.opened, after.failed), (before.opened, before.failed + 1));
    // The same number again, and one far below.
    duel.peer.number -= (1 << 32) + 1;
    duel.peer.number -= 1;
    duel.say(&[Frame::Ping]);
    duel.peer.number = 1;
    duel.say(&[Frame::Ping]);
    let last = duel.stats().keys;
    assert_eq!(last.opened, after.opened, "{last:?}");
    assert_eq!(duel.ended(), None);
}

/// Delays that nobody waits, and clocks that leap.
#[test]
fn absurd_delays() {
    let mut duel = Duel::new(Role::Dials);
    let handle = duel.handle.expect("a connection");
    for step in 0..40 {
        let mut view = duel.endpoint.connection(handle).expect("it lives");
        let stream = view.open(Dir::Uni, OpenOptions::new(StreamProtocol::Number(9)));
        if let Ok(id) = stream {
            view.send(id).expect("a stream").finish().expect("open");
        }
        drop(view);
        duel.pump();
        duel.pass(Duration::from_millis(step));
        let last = largest(&duel) - 1;
        duel.say_raw(&numbers(&[kind::ACK, last, (1 << 62) - 1, 0, 0]));
        assert_eq!(duel.ended(), None);
        assert!(duel.stats().rtt <= Duration::from_secs(1), "{:?}", duel.stats().rtt);
    }
    // An hour in one step: the machine was suspended.
    duel.now = duel.now + Duration::from_secs(3_600);
    duel.pump();
    duel.pass(Duration::from_secs(60));
}

/// Lesson 16: a copy of a packet comes in the very turn in which its ACK is due.
///
/// spec: R-KEY-20, R-MSG-11
#[test]
fn a_copy_in_the_turn_of_its_ack_changes_nothing() {
    for role in Role::ALL {
        let mut duel = Duel::new(role);
        let id = duel.stream(Dir::Uni, 0);
        duel.say_raw(&numbers(&[kind::OPEN, id.0, 0, 9, 0]));
        // The first data doubles a window, and that is said at once.
        duel.say_raw(&[numbers(&[kind::STREAM, id.0, 0, 4]), b"body".to_vec()].concat());
        duel.pass(Duration::from_secs(1));
        duel.ack();
        duel.last_heard();
        let mut plaintext = Vec::new();
        Frame::Datagram { data: b"once" }.encode(&mut plaintext);
        plaintext.extend([numbers(&[kind::STREAM, id.0, 4, 4]), b"more".to_vec()].concat());
        let packet = duel.peer.packet(&plaintext);
        duel.throw(packet.clone());
        let acks = |said: &[Heard]| frames_of(said).matches("Ack(").count();
        let said = duel.last_heard();
        assert_eq!(acks(&said), 0, "{role:?}: its ACK waits: {}", frames_of(&said));
        let before = duel.stats();
        duel.now = duel.wait.expect("an ACK is due some time");
        duel.throw(packet);
        assert_eq!(acks(&duel.last_heard()), 1, "{role:?}");
        let after = duel.stats();
        assert_eq!(after.keys.replayed, before.keys.replayed + 1);
        assert_eq!((after.bytes_held, after.keys.opened), (before.bytes_held, before.keys.opened));
        let handle = duel.handle.expect("a connection");
        let mut view = duel.endpoint.connection(handle).expect("it lives");
        assert_eq!(view.recv_datagram().as_deref(), Some(&b"once"[..]));
        assert_eq!(view.recv_datagram(), None, "{role:?}");
        let mut body = view.recv(id).expect("a stream");
        let chunk = body.read_chunk(100).expect("bytes").expect("a chunk");
        assert_eq!(&chunk.data[..], b"bodymore");
        assert!(body.read_chunk(100).is_err(), "nothing more has come");
    }
}
