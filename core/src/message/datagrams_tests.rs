//! Tests of `datagrams.rs`.

use alloc::vec;
use alloc::vec::Vec;

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

/// Payloads in one packet with `capacity` bytes of frames.
fn packet(datagrams: &mut Datagrams, capacity: usize) -> Vec<Vec<u8>> {
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    let mut packet = PacketWriter::new(&mut buf, 0, capacity, &mut receipts, Allowance::Everything);
    datagrams.write(&mut packet);
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
        assert_eq!(d.send(Bytes::from(vec![n; 500]), CAPACITY), Ok(Queued::Kept));
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
    assert_eq!(d.send(Bytes::new(), CAPACITY), Err(SendDatagramError::Disabled));
    d.set_peer_max_size(65_527);
    assert_eq!(d.max_size(CAPACITY), Some(1170));
    let sized = |size| Bytes::from(vec![7; size]);
    let wrong = d.send(sized(1171), CAPACITY).expect_err("one too many");
    assert_eq!(wrong, SendDatagramError::TooLarge { size: 1171, limit: 1170 });
    d.send(sized(1170), CAPACITY).expect("at the limit");
    assert_eq!(packet(&mut d, CAPACITY), [vec![7; 1170]], "and it does fit");
    d.set_peer_max_size(100);
    let wrong = d.send(sized(101), CAPACITY).expect_err("for the peer");
    assert_eq!(wrong, SendDatagramError::TooLarge { size: 101, limit: 100 });
    d.send(sized(100), CAPACITY).expect("at the limit");
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
        d.send(Bytes::from_static(&[1]), CAPACITY).expect("room");
        d.send(Bytes::from_static(&[2]), CAPACITY).expect("room");
        assert_eq!(d.send(Bytes::from_static(&[3]), CAPACITY), Ok(third));
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
        d.send(Bytes::new(), CAPACITY).expect("legal");
        d.on_frame(&[], &mut credit, &mut budget).expect("legal");
        d.check();
    }
    assert_eq!((d.stats().send_dropped, d.stats().recv_dropped), (990, 990));
    assert_eq!(packet(&mut d, CAPACITY).len(), 10);
    assert_eq!(credit.held(), 10 * ITEM_OVERHEAD);
    assert_eq!(core::iter::from_fn(|| d.recv(&mut credit)).count(), 10);
    let wrong = d.send(Bytes::from(vec![0; 600]), CAPACITY).expect_err("never fits");
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
    d.send(Bytes::from(vec![1; 1400]), 1471).expect("fitted then");
    d.send(Bytes::from(vec![2; 1170]), 1471).expect("fits");
    assert_eq!(packet(&mut d, CAPACITY), [vec![2; 1170]]);
    assert_eq!(d.stats().send_unsendable, 1);
    // Behind another frame it waits for the next packet.
    d.send(Bytes::from(vec![3; 1170]), CAPACITY).expect("fits");
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    let mut shared = PacketWriter::new(&mut buf, 0, CAPACITY, &mut receipts, Allowance::Everything);
    assert!(shared.write(&Frame::Ping));
    d.write(&mut shared);
    drop(shared);
    assert_eq!(packet(&mut d, CAPACITY), [vec![3; 1170]]);
    // Where only ACKs are allowed nothing is dropped either.
    d.send(Bytes::from(vec![4; 1170]), CAPACITY).expect("fits");
    let mut acks = PacketWriter::new(&mut buf, 0, CAPACITY, &mut receipts, Allowance::AcksOnly);
    d.write(&mut acks);
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
    };
    let mut sum = of(10);
    sum.add(&of(1));
    assert_eq!(sum, of(11));
}

proptest! {
    /// Against two plain queues: what comes out is what went in, in order, less what was counted.
    ///
    /// spec: R-MSG-1 R-MSG-3 R-MSG-4
    #[test]
    fn queues_lose_nothing_that_is_not_counted(
        newest in any::<bool>(),
        rich in any::<bool>(),
        steps in proptest::collection::vec((0..4_u8, 0..1600_u16, 1..1600_u16), 1..200),
    ) {
        let op = |(verb, size, capacity)| match verb {
            0 => Op::Send(size, capacity),
            1 => Op::Write(capacity),
            2 => Op::Arrive(size),
            _ => Op::Recv,
        };
        run(&Script { newest, rich, ops: steps.into_iter().map(op).collect() });
    }
}
