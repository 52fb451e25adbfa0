//! Tests of `datagrams.rs`.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::flow::{BudgetLimits, RecvLimits};
use crate::message::ops::datagrams::{Op, Script, run};
use crate::wire::frame::frames;
use crate::wire::id::Side;
use crate::wire::packet::Allowance;

const CAPACITY: usize = 1171;

fn connection() -> (RecvCredit, Budget) {
    let mut budget = Budget::new(BudgetLimits::default());
    let share = budget.open().expect("a place");
    (RecvCredit::new(share, Side::Responder, RecvLimits::default()), budget)
}

/// The same with a floor and nothing to borrow.
fn poor_connection() -> (RecvCredit, Budget) {
    let limits = BudgetLimits::with_floor(2 * 16384 * 64, 64, 16384).expect("fits");
    let mut budget = Budget::new(limits);
    let mut connections: Vec<_> = (0..64).filter_map(|_| budget.open()).collect();
    let mine = connections.pop().expect("a place");
    for share in &mut connections {
        while budget.borrow(share, u64::MAX) > 0 {}
    }
    (RecvCredit::new(mine, Side::Responder, RecvLimits::default()), budget)
}

fn datagrams(limits: DatagramLimits) -> Datagrams {
    let mut datagrams = Datagrams::new(limits);
    datagrams.set_peer_max_size(65_527);
    datagrams
}

/// All classes, the highest first.
fn write(datagrams: &mut Datagrams, packet: &mut PacketWriter<'_>) {
    for class in Priority::ALL {
        datagrams.write(class, packet);
    }
}

/// Payloads in one packet with `capacity` bytes of frames.
fn packet(datagrams: &mut Datagrams, capacity: usize) -> Vec<Vec<u8>> {
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    let mut packet = PacketWriter::new(&mut buf, 0, capacity, &mut receipts, Allowance::Everything);
    write(datagrams, &mut packet);
    let _ = packet.finish();
    datagrams.check();
    let mut payloads = Vec::new();
    if !buf.is_empty() {
        for frame in frames(&buf) {
            match frame.expect("what was written can be read") {
                Frame::Datagram { data } => payloads.push(data.to_vec()),
                Frame::Padding { .. } => {}
                other => panic!("{other:?} is no datagram"),
            }
        }
    }
    assert_eq!(payloads.len(), receipts.len());
    payloads
}

/// spec: R-MSG-1 R-MSG-5
#[test]
fn a_datagram_is_written_once_in_order_and_never_again() {
    let mut d = datagrams(DatagramLimits::default());
    for n in 0..3_u8 {
        assert_eq!(
            d.send(Bytes::from(vec![n; 500]), Delivery::new(), CAPACITY, Instant::ZERO),
            Ok(Queued::Kept)
        );
    }
    assert_eq!(packet(&mut d, CAPACITY), [vec![0; 500], vec![1; 500]]);
    d.on_lost(&SentFrame::Datagram(500));
    d.on_acked(&SentFrame::Datagram(500));
    assert_eq!(packet(&mut d, CAPACITY), [vec![2; 500]]);
    assert_eq!(packet(&mut d, CAPACITY), Vec::<Vec<u8>>::new());
    let stats = d.stats();
    assert_eq!((stats.sent, stats.lost, stats.acked), (3, 1, 1));
}

/// spec: R-MSG-2
#[test]
fn too_large_names_both_sizes() {
    let mut d = Datagrams::new(DatagramLimits::default());
    assert_eq!(d.max_size(CAPACITY), None);
    assert_eq!(
        d.send(Bytes::new(), Delivery::new(), CAPACITY, Instant::ZERO),
        Err(SendDatagramError::Disabled)
    );
    d.set_peer_max_size(65_527);
    assert_eq!(d.max_size(CAPACITY), Some(1170));
    let sized = |size| Bytes::from(vec![7; size]);
    let wrong =
        d.send(sized(1171), Delivery::new(), CAPACITY, Instant::ZERO).expect_err("one too many");
    assert_eq!(wrong, SendDatagramError::TooLarge { size: 1171, limit: 1170 });
    d.send(sized(1170), Delivery::new(), CAPACITY, Instant::ZERO).expect("at the limit");
    assert_eq!(packet(&mut d, CAPACITY), [vec![7; 1170]], "and it does fit");
    d.set_peer_max_size(100);
    let wrong =
        d.send(sized(101), Delivery::new(), CAPACITY, Instant::ZERO).expect_err("for the peer");
    assert_eq!(wrong, SendDatagramError::TooLarge { size: 101, limit: 100 });
    d.send(sized(100), Delivery::new(), CAPACITY, Instant::ZERO).expect("at the limit");
    assert_eq!(d.max_size(0), None, "below a frame's own byte nothing fits");
}

/// spec: R-MSG-2
#[test]
fn larger_than_announced_is_a_violation() {
    let (mut credit, mut budget) = connection();
    let mut d = datagrams(DatagramLimits { max_size: 100, ..DatagramLimits::default() });
    assert_eq!(d.on_frame(&[0; 100], &mut credit, &mut budget), Ok(true));
    let wrong = d.on_frame(&[0; 101], &mut credit, &mut budget).expect_err("too large");
    assert_eq!(wrong.code, TransportCode::TooLarge);
    let mut none = datagrams(DatagramLimits { max_size: 0, ..DatagramLimits::default() });
    let wrong = none.on_frame(&[], &mut credit, &mut budget).expect_err("none are taken");
    assert_eq!(wrong.code, TransportCode::TooLarge);
    assert_eq!((d.stats().received, none.stats().received), (1, 0));
}

/// spec: R-MSG-3
#[test]
fn a_full_queue_drops_by_rule_and_counts() {
    let by =
        |rule| DatagramLimits { send_count: 2, recv_count: 2, rule, ..DatagramLimits::default() };
    let (mut credit, mut budget) = connection();
    for (rule, kept, third) in [
        (DropRule::Oldest, [2, 3], Queued::InPlaceOf(1)),
        (DropRule::Newest, [1, 2], Queued::Dropped),
    ] {
        let mut d = datagrams(by(rule));
        d.send(Bytes::from_static(&[1]), Delivery::new(), CAPACITY, Instant::ZERO).expect("room");
        d.send(Bytes::from_static(&[2]), Delivery::new(), CAPACITY, Instant::ZERO).expect("room");
        assert_eq!(
            d.send(Bytes::from_static(&[3]), Delivery::new(), CAPACITY, Instant::ZERO),
            Ok(third)
        );
        assert_eq!(packet(&mut d, CAPACITY), kept.map(|n| vec![n]));
        for n in 1..=3 {
            let waits = d.on_frame(&[n], &mut credit, &mut budget).expect("legal");
            assert_eq!(waits, n != 3 || rule == DropRule::Oldest);
        }
        for n in kept {
            assert_eq!(d.recv(&mut credit).as_deref(), Some(&[n][..]));
        }
        assert!(!d.is_readable() && d.recv(&mut credit).is_none());
        assert_eq!((d.stats().send_dropped, d.stats().recv_dropped), (1, 1));
    }
    assert_eq!(credit.held(), 0);
}

/// spec: R-MSG-3
#[test]
fn empty_datagrams_are_datagrams_and_not_free() {
    let (mut credit, mut budget) = connection();
    let mut d = datagrams(DatagramLimits {
        send_bytes: 10 * ITEM_OVERHEAD,
        recv_bytes: 10 * ITEM_OVERHEAD,
        ..DatagramLimits::default()
    });
    for _ in 0..1000 {
        d.send(Bytes::new(), Delivery::new(), CAPACITY, Instant::ZERO).expect("legal");
        d.on_frame(&[], &mut credit, &mut budget).expect("legal");
        d.check();
    }
    assert_eq!((d.stats().send_dropped, d.stats().recv_dropped), (990, 990));
    assert_eq!(packet(&mut d, CAPACITY).len(), 10);
    assert_eq!(credit.held(), 10 * ITEM_OVERHEAD);
    assert_eq!(core::iter::from_fn(|| d.recv(&mut credit)).count(), 10);
    let wrong = d
        .send(Bytes::from(vec![0; 600]), Delivery::new(), CAPACITY, Instant::ZERO)
        .expect_err("never fits");
    assert_eq!(wrong, SendDatagramError::QueueTooSmall { size: 600, limit: 640 });
}

/// spec: R-MSG-4 R-FLOW-15
#[test]
fn received_datagrams_are_charged_and_dropped_without_room() {
    let (mut credit, mut budget) = poor_connection();
    let mut d = datagrams(DatagramLimits::default());
    let mut kept = 0;
    for _ in 0..1000 {
        kept += u64::from(d.on_frame(&[0; 936], &mut credit, &mut budget).expect("legal"));
    }
    assert_eq!(credit.held(), kept * 1000);
    assert!((1..50).contains(&kept), "{kept} found room");
    assert_eq!(d.stats().recv_no_room, 1000 - kept);
    assert!(d.recv(&mut credit).is_some());
    assert_eq!(d.on_frame(&[0; 936], &mut credit, &mut budget), Ok(true));
}

/// spec: R-MSG-5
#[test]
fn what_no_packet_holds_any_more_does_not_hold_up_the_next() {
    let mut d = datagrams(DatagramLimits::default());
    d.send(Bytes::from(vec![1; 1400]), Delivery::new(), 1471, Instant::ZERO).expect("fitted then");
    d.send(Bytes::from(vec![2; 1170]), Delivery::new(), 1471, Instant::ZERO).expect("fits");
    assert_eq!(packet(&mut d, CAPACITY), [vec![2; 1170]]);
    assert_eq!(d.stats().send_unsendable, 1);
    // Behind another frame it waits for the next packet.
    d.send(Bytes::from(vec![3; 1170]), Delivery::new(), CAPACITY, Instant::ZERO).expect("fits");
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    let mut shared = PacketWriter::new(&mut buf, 0, CAPACITY, &mut receipts, Allowance::Everything);
    assert!(shared.write(&Frame::Ping));
    write(&mut d, &mut shared);
    drop(shared);
    assert_eq!(packet(&mut d, CAPACITY), [vec![3; 1170]]);
    // Where only ACKs are allowed nothing is dropped either.
    d.send(Bytes::from(vec![4; 1170]), Delivery::new(), CAPACITY, Instant::ZERO).expect("fits");
    let mut acks = PacketWriter::new(&mut buf, 0, CAPACITY, &mut receipts, Allowance::AcksOnly);
    write(&mut d, &mut acks);
    drop(acks);
    assert_eq!(packet(&mut d, CAPACITY), [vec![4; 1170]]);
}

#[test]
fn counters_of_many_are_summed() {
    let of = |n| DatagramStats {
        sent: n,
        acked: 2 * n,
        lost: 3 * n,
        send_dropped: 4 * n,
        send_unsendable: 5 * n,
        received: 6 * n,
        recv_dropped: 7 * n,
        recv_no_room: 8 * n,
        send_expired: 9 * n,
    };
    let mut sum = of(10);
    sum.add(&of(1));
    assert_eq!(sum, of(11));
}

/// spec: R-MSG-3
#[test]
fn what_is_urgent_does_not_give_way_to_bulk() {
    let mut d = datagrams(DatagramLimits { send_count: 2, ..DatagramLimits::default() });
    let mut send = |n, class| {
        let delivery = Delivery::new().priority(class);
        d.send(Bytes::from(vec![n]), delivery, CAPACITY, Instant::ZERO)
    };
    assert_eq!(send(1, Priority::Urgent), Ok(Queued::Kept));
    assert_eq!(send(2, Priority::Bulk), Ok(Queued::Kept));
    assert_eq!(send(3, Priority::Normal), Ok(Queued::InPlaceOf(1)), "of the lowest");
    assert_eq!(send(4, Priority::Bulk), Ok(Queued::Dropped), "all others are higher");
    assert_eq!(send(5, Priority::Urgent), Ok(Queued::InPlaceOf(1)));
    assert_eq!(send(6, Priority::Urgent), Ok(Queued::InPlaceOf(1)), "the oldest of the same");
    assert_eq!(packet(&mut d, CAPACITY), [[5], [6]]);
    assert_eq!(d.take_dropped(), [1, 1, 2], "by class");
    assert_eq!(d.take_dropped(), [0; 3], "once");
}

/// Of whichever rule: what is of a lower class leaves no less room.
///
/// spec: R-MSG-15 R-MSG-3
#[test]
fn room_is_asked_by_class() {
    for (rule, kept) in [(DropRule::Oldest, 2), (DropRule::Newest, 1)] {
        let mut d = datagrams(DatagramLimits { send_count: 2, rule, ..DatagramLimits::default() });
        let mut send = |n, class| {
            let delivery = Delivery::new().priority(class);
            d.send(Bytes::from(vec![n]), delivery, CAPACITY, Instant::ZERO)
        };
        assert_eq!(send(1, Priority::Normal), Ok(Queued::Kept));
        assert_eq!(send(2, Priority::Normal), Ok(Queued::Kept));
        let room = Priority::ALL.map(|class| d.has_room(class, 1, Instant::ZERO));
        assert_eq!(room, [true, false, false], "{rule:?}");
        let urgent = Delivery::new().priority(Priority::Urgent);
        let queued = d.send(Bytes::from_static(&[4]), urgent, CAPACITY, Instant::ZERO);
        assert_eq!((queued, d.take_dropped()), (Ok(Queued::InPlaceOf(1)), [0, 1, 0]));
        assert_eq!(packet(&mut d, CAPACITY), [[4], [kept]], "{rule:?}");
    }
}

/// spec: R-MSG-15 R-MSG-13
#[test]
fn what_is_too_old_leaves_its_room() {
    let mut d = datagrams(DatagramLimits { send_count: 2, ..DatagramLimits::default() });
    let (age, then) = (Duration::from_millis(5), Instant::ZERO + Duration::from_millis(5));
    for _ in 0..2 {
        let soon = Delivery::new().max_age(age);
        assert_eq!(d.send(Bytes::new(), soon, CAPACITY, Instant::ZERO), Ok(Queued::Kept));
    }
    assert!(!d.has_room(Priority::Normal, 1, Instant::ZERO));
    assert!(d.has_room(Priority::Normal, 1, then), "another asks first");
    assert!(d.take_room_news(), "who was turned away hears of it all the same");
    assert!(!d.take_room_news());
    assert_eq!((d.stats().send_expired, d.take_dropped()), (2, [0, 2, 0]));
}

/// spec: R-MSG-13 R-MSG-11
#[test]
fn what_is_too_old_is_dropped_and_counted_apart() {
    let at = |millis| Instant::ZERO + Duration::from_millis(millis);
    let mut d = datagrams(DatagramLimits { send_count: 3, ..DatagramLimits::default() });
    for (n, age) in [(1, Some(20)), (2, None), (3, Some(10))] {
        let delivery = Delivery { max_age: age.map(Duration::from_millis), ..Delivery::new() };
        let queued = d.send(Bytes::from(vec![n]), delivery, CAPACITY, at(5));
        assert_eq!(queued, Ok(Queued::Kept));
    }
    assert!(!d.has_room(Priority::Normal, 1, at(5)));
    assert_eq!(d.deadline(), Some(at(15)));
    d.on_deadline(at(14));
    assert!(!d.take_room_news(), "nobody is too old");
    d.on_deadline(at(15));
    assert!(d.take_room_news(), "there is room for who found none");
    assert_eq!(d.deadline(), Some(at(25)));
    d.on_deadline(at(25));
    assert!(!d.take_room_news(), "and it is told once");
    assert_eq!((d.deadline(), d.stats().send_expired), (None, 2));
    assert_eq!(packet(&mut d, CAPACITY), [[2]]);
    // The first that may not wait at all, and one that makes room by its age.
    let now = Delivery::new().max_age(Duration::ZERO);
    assert_eq!(d.send(Bytes::new(), now, CAPACITY, at(30)), Ok(Queued::Dropped));
    for n in 4..7 {
        let soon = Delivery::new().max_age(Duration::from_millis(5));
        assert_eq!(d.send(Bytes::from(vec![n]), soon, CAPACITY, at(30)), Ok(Queued::Kept));
    }
    let late = d.send(Bytes::from(vec![7]), Delivery::new(), CAPACITY, at(35));
    assert_eq!((late, d.stats().send_dropped), (Ok(Queued::Kept), 0));
    assert_eq!((d.stats().send_expired, d.take_dropped()), (6, [0, 6, 0]));
    assert_eq!(packet(&mut d, CAPACITY), [[7]]);
}

/// spec: R-MSG-12
#[test]
fn datagrams_and_streams_of_a_class_begin_in_turn() {
    let mut d = datagrams(DatagramLimits::default());
    for first in [true, false, true] {
        assert_eq!(d.go_first(Priority::Normal), first);
        assert_eq!(d.go_first(Priority::Normal), first, "until the turn is passed on");
        d.pass_turn(Priority::Normal);
    }
    assert!(d.go_first(Priority::Bulk), "each class by itself");
}

/// Also where it is never the first in a packet.
///
/// spec: R-MSG-5
#[test]
fn what_fits_no_packet_is_dropped_behind_other_frames() {
    let mut d = datagrams(DatagramLimits::default());
    d.send(Bytes::from(vec![1; 1400]), Delivery::new(), 1471, Instant::ZERO).expect("fitted then");
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    let mut shared = PacketWriter::new(&mut buf, 0, CAPACITY, &mut receipts, Allowance::Everything);
    assert!(shared.write(&Frame::Ping));
    assert_eq!(d.write(Priority::Normal, &mut shared), Written { any: true, room: false });
    drop(shared);
    assert_eq!((d.stats().send_unsendable, d.is_pending()), (1, false));
}

proptest! {
    /// Against two plain queues: what comes out is what went in, in order, less what was counted.
    ///
    /// spec: R-MSG-1 R-MSG-3 R-MSG-4 R-MSG-5 R-MSG-13
    #[test]
    fn queues_lose_nothing_that_is_not_counted(
        newest in any::<bool>(),
        rich in any::<bool>(),
        steps in proptest::collection::vec(
            (0..6_u8, 0..1600_u16, 1..1600_u16, 0..3_usize, proptest::option::of(0..300_u32)),
            1..200,
        ),
    ) {
        let op = |(verb, size, capacity, class, age): (_, _, _, usize, Option<u32>)| match verb {
            0 | 1 => {
                let priority = Priority::ALL[class];
                let max_age = age.map(|age| Duration::new(0, age));
                Op::Send(size, capacity, Delivery { priority, max_age })
            }
            2 => Op::Write(capacity),
            3 => Op::Arrive(size),
            4 => Op::Pass(capacity as u8),
            _ => Op::Recv,
        };
        run(&Script { newest, rich, ops: steps.into_iter().map(op).collect() });
    }
}
