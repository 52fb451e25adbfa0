//! Tests of `send.rs`.

use alloc::vec::Vec;

use super::*;
use crate::wire::id::{Dir, Side, StreamId};
use crate::wire::packet::Allowance;

const ID: StreamId = StreamId::new(Side::Initiator, Dir::Bi, 3);
const STREAM: CreditTarget = CreditTarget::Stream(ID);

/// What the credit writes into a packet, by its receipts.
fn written(credit: &mut SendCredit) -> Vec<SentFrame> {
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    let mut packet = PacketWriter::new(&mut buf, 0, 1000, &mut receipts, Allowance::Everything);
    credit.write(&mut packet);
    let _ = packet.finish();
    credit.check();
    receipts
}

/// spec: R-FLOW-9
#[test]
fn only_a_larger_limit_changes_anything() {
    let mut credit = SendCredit::new(CreditTarget::Connection, 100);
    assert!(!credit.on_max(100) && !credit.on_max(99) && !credit.on_max(0));
    assert_eq!(credit.available(), 100);
    assert!(credit.on_max(101));
    credit.consume(101);
    assert!(!credit.on_max(100));
    assert_eq!((credit.available(), credit.used()), (0, 101));
}

type Said = fn(u64) -> SentFrame;

/// Every kind of credit, and how it says that it is used up.
const KINDS: [(CreditTarget, Said); 4] = [
    (CreditTarget::Connection, SentFrame::DataBlocked),
    (STREAM, |limit| SentFrame::StreamDataBlocked(ID, limit)),
    (CreditTarget::Streams(Dir::Bi), |limit| SentFrame::StreamsBlocked(Dir::Bi, limit)),
    (CreditTarget::Streams(Dir::Uni), |limit| SentFrame::StreamsBlocked(Dir::Uni, limit)),
];

/// spec: R-FLOW-10
#[test]
fn blocked_is_said_once_for_each_limit_and_again_when_lost() {
    for (target, frame) in KINDS {
        let mut credit = SendCredit::new(target, 10);
        credit.on_blocked();
        assert_eq!(written(&mut credit), [], "there is credit left");
        credit.consume(10);
        assert_eq!(written(&mut credit), [], "nobody wants more");
        credit.on_blocked();
        assert_eq!(written(&mut credit), [frame(10)]);
        credit.on_blocked();
        assert_eq!(written(&mut credit), [], "said already");
        credit.on_lost(&frame(10));
        assert_eq!(written(&mut credit), [frame(10)]);
        credit.on_acked(&frame(10));
        credit.on_blocked();
        assert_eq!(written(&mut credit), [], "the peer knows");
        credit.on_max(12);
        credit.consume(2);
        credit.on_blocked();
        assert_eq!(written(&mut credit), [frame(12)], "a new limit");
        credit.on_lost(&frame(10));
        assert_eq!(written(&mut credit), [], "an old one");
        credit.on_max(13);
        credit.on_lost(&frame(12));
        assert_eq!(written(&mut credit), [], "no longer blocked");
    }
}

/// spec: R-FLOW-19
#[test]
fn a_stream_gives_back_what_it_did_not_use_and_always_answers() {
    let returned = |total| [SentFrame::CreditReturned(STREAM, total)];
    let mut credit = SendCredit::new(STREAM, 100);
    assert_eq!(written(&mut credit), [], "nothing unasked");
    credit.consume(70);
    credit.on_recall(50);
    assert_eq!(written(&mut credit), returned(30), "20 of the 50 are used");
    assert_eq!((credit.limit(), credit.available()), (70, 0));
    credit.on_recall(60);
    assert_eq!(written(&mut credit), returned(30), "nothing more to give, but an answer");
    credit.on_lost(&SentFrame::CreditReturned(STREAM, 30));
    assert_eq!(written(&mut credit), returned(30));
    assert!(credit.on_max(150));
    assert_eq!(credit.available(), 50, "150 less 30 given back less 70 used");
    credit.on_recall(10);
    assert_eq!(written(&mut credit), returned(30), "a late question for less takes nothing");
    assert_eq!(credit.available(), 50);
}

/// Each kind of credit hears of its own frames only, though their numbers be the same; and one that
/// arrived is never said again.
///
/// spec: R-FLOW-10 R-FLOW-19
#[test]
fn what_arrived_is_not_said_again_and_receipts_of_others_mean_nothing() {
    let other = StreamId::new(Side::Initiator, Dir::Bi, 4);
    for (target, blocked) in KINDS {
        let own = [SentFrame::CreditReturned(target, 0), blocked(10)];
        let mut all: Vec<_> = KINDS
            .iter()
            .flat_map(|(target, blocked)| [SentFrame::CreditReturned(*target, 0), blocked(10)])
            .collect();
        all.push(SentFrame::CreditReturned(CreditTarget::Stream(other), 0));
        all.push(SentFrame::StreamDataBlocked(other, 10));
        let others: Vec<_> = all.into_iter().filter(|frame| !own.contains(frame)).collect();
        let mut credit = SendCredit::new(target, 10);
        credit.consume(10);
        credit.on_recall(0);
        credit.on_blocked();
        assert!(credit.is_pending());
        assert_eq!(written(&mut credit), own);
        others.iter().for_each(|frame| credit.on_lost(frame));
        assert_eq!(written(&mut credit), [], "{target:?}");
        others.iter().for_each(|frame| credit.on_acked(frame));
        own.iter().for_each(|frame| credit.on_lost(frame));
        assert!(credit.is_pending());
        assert_eq!(written(&mut credit), own, "{target:?}");
        own.iter().for_each(|frame| credit.on_acked(frame));
        own.iter().for_each(|frame| credit.on_lost(frame));
        assert!(!credit.is_pending());
        assert_eq!(written(&mut credit), [], "{target:?}");
    }
}

/// spec: R-FLOW-9 R-FLOW-19
#[test]
fn a_raise_and_a_recall_commute() {
    for target in [CreditTarget::Connection, STREAM, CreditTarget::Streams(Dir::Uni)] {
        let mut first = SendCredit::new(target, 100);
        first.consume(40);
        let mut second = first.clone();
        first.on_max(120);
        first.on_recall(30);
        second.on_recall(30);
        second.on_max(120);
        assert_eq!(first.limit(), 90);
        assert_eq!(second.limit(), 90);
        second.on_max(110);
        second.on_recall(20);
        assert_eq!(second.limit(), 90, "late and older ones change nothing");
    }
}

/// spec: R-FLOW-19
#[test]
fn the_connection_gives_back_whole_even_before_the_raise_came() {
    let mut credit = SendCredit::new(CreditTarget::Connection, 100);
    credit.consume(90);
    // The receiver raised to 300 and saw that no stream can use 150 of it.
    credit.on_recall(150);
    let returned = SentFrame::CreditReturned(CreditTarget::Connection, 150);
    assert_eq!(written(&mut credit), [returned]);
    assert_eq!(credit.available(), 0);
    credit.on_max(300);
    assert_eq!(credit.available(), 60);
}

#[test]
fn totals_at_the_end_of_the_numbers_do_not_overflow() {
    let mut credit = SendCredit::new(CreditTarget::Connection, MAX_LIMIT);
    credit.on_recall(u64::MAX);
    credit.on_max(u64::MAX);
    credit.on_recall(u64::MAX);
    assert!(credit.limit() >= 1);
    let mut stream = SendCredit::new(STREAM, MAX_LIMIT);
    stream.consume(MAX_LIMIT);
    stream.on_recall(u64::MAX);
    assert_eq!(stream.limit(), stream.used());
}
