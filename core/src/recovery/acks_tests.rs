#![expect(clippy::single_range_in_vec_init, reason = "lists of ranges are meant")]

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::wire::frame::{SentFrame, frames};

const CAPACITY: usize = 1171;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn tracker() -> AckTracker {
    AckTracker::new(DEFAULT_MAX_ACK_DELAY)
}

fn eliciting(number: u64) -> ReceivedPacket {
    ReceivedPacket { number: PacketNumber(number), ack_eliciting: true, ecn: None }
}

fn bare(number: u64) -> ReceivedPacket {
    ReceivedPacket { ack_eliciting: false, ..eliciting(number) }
}

fn marked(number: u64, ecn: Ecn) -> ReceivedPacket {
    ReceivedPacket { ecn: Some(ecn), ..eliciting(number) }
}

/// What an ACK frame said.
#[derive(Debug, PartialEq)]
struct Said {
    largest: u64,
    delay_us: u64,
    numbers: BTreeSet<u64>,
    ecn: Option<EcnCounts>,
    ping: bool,
}

/// Offers a packet and reads the ACK back out of its bytes.
fn write_into(
    acks: &mut AckTracker,
    allowance: Allowance,
    filling: usize,
    now: Instant,
) -> Option<Said> {
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    let mut packet = PacketWriter::new(&mut buf, 0, CAPACITY, &mut receipts, allowance);
    if filling > 0 {
        assert!(packet.write(&Frame::Padding { len: filling }));
    }
    let wrote = acks.write(&mut packet, now);
    let written = packet.finish();
    let mut said = None;
    let mut ping = false;
    for frame in frames(&buf).take_while(|_| written.len > 0) {
        match frame.unwrap() {
            Frame::Ack(ack) => {
                said = Some(Said {
                    largest: ack.largest.0,
                    delay_us: ack.delay_us,
                    numbers: ack.ranges().flatten().collect(),
                    ecn: ack.ecn,
                    ping: false,
                });
                assert_eq!(receipts, [SentFrame::Ack { largest: ack.largest }]);
            }
            Frame::Ping => ping = true,
            _ => {}
        }
    }
    assert_eq!(wrote, said.is_some());
    assert_eq!(written.ack_eliciting, ping);
    said.map(|said| Said { ping, ..said })
}

/// What is written into an empty packet at `now`.
fn write(acks: &mut AckTracker, now: Instant) -> Option<Said> {
    write_into(acks, Allowance::AcksOnly, 0, now)
}

fn numbers(ranges: &[Range<u64>]) -> BTreeSet<u64> {
    ranges.iter().cloned().flatten().collect()
}

/// spec: R-REC-6
#[test]
fn an_ack_waits_for_company_a_quarter_of_a_round_trip() {
    let micros = Duration::from_micros;
    let mut acks = tracker();
    let waits =
        [(200, 1_000), (4_000, 1_000), (40_000, 10_000), (100_000, 25_000), (333_000, 25_000)];
    for (packet, (rtt, wait)) in (0..).zip(waits) {
        acks.set_rtt(micros(rtt));
        acks.on_packet(eliciting(packet), at(1));
        let due = at(1) + micros(wait);
        assert_eq!(acks.deadline(), Some(due), "{rtt} us");
        // What waits already is neither put off nor hurried when the round trip changes.
        acks.set_rtt(micros(rtt / 2));
        assert_eq!(acks.deadline(), Some(due));
        assert!(acks.is_due(due));
        write_into(&mut acks, Allowance::AcksOnly, 0, due).unwrap();
    }
    // A promise of less holds.
    let mut hurried = AckTracker::new(Duration::ZERO);
    hurried.set_rtt(micros(40_000));
    hurried.on_packet(eliciting(0), at(1));
    assert!(hurried.is_due(at(1)));
}

/// spec: R-REC-6
#[test]
fn an_ack_is_due_for_two_packets_or_after_the_delay() {
    let mut acks = tracker();
    acks.on_packet(eliciting(0), at(10));
    assert_eq!(acks.deadline(), Some(at(35)));
    assert_eq!(write(&mut acks, at(34)), None);
    let said = write(&mut acks, at(35)).unwrap();
    assert_eq!(said.numbers, numbers(&[0..1]));
    assert_eq!(acks.deadline(), None);
    acks.on_packet(eliciting(1), at(40));
    acks.on_packet(eliciting(2), at(41));
    // Due now: that is for `write`, and no time to wait for.
    assert_eq!(acks.deadline(), None);
    assert!(write(&mut acks, at(41)).is_some());
    assert_eq!(write(&mut acks, at(500)), None);
}

/// The delay is what was configured (lesson: an ACK over several hops waits for no batch).
///
/// spec: R-REC-6
#[test]
fn the_delay_is_configurable() {
    let mut acks = AckTracker::new(Duration::from_millis(3));
    acks.on_packet(eliciting(0), at(0));
    assert_eq!(acks.deadline(), Some(at(3)));
    assert!(write(&mut acks, at(3)).is_some());
}

/// A deadline that came while nothing could be sent does not come again, and is not forgotten.
///
/// spec: R-REC-6, R-REC-30
#[test]
fn a_deadline_without_a_way_to_send_spins_nobody() {
    let mut acks = tracker();
    acks.on_packet(eliciting(0), at(0));
    acks.on_deadline(at(25));
    assert_eq!(acks.deadline(), None);
    assert!(acks.is_due(at(25)));
    assert!(write_into(&mut acks, Allowance::Nothing, 0, at(25)).is_none());
    assert!(acks.is_due(at(26)), "a refused ACK is still due");
    assert!(write(&mut acks, at(26)).is_some());
}

/// spec: R-REC-6
#[test]
fn an_ack_rides_along_only_if_it_is_news() {
    let mut acks = tracker();
    acks.on_packet(eliciting(0), at(0));
    assert!(write_into(&mut acks, Allowance::Everything, 10, at(1)).is_some());
    assert!(write_into(&mut acks, Allowance::Everything, 10, at(2)).is_none(), "nothing new");
    // Also news of a packet that asked for no ACK.
    acks.on_packet(bare(1), at(3));
    assert_eq!(write(&mut acks, at(3)), None);
    assert!(write_into(&mut acks, Allowance::Everything, 10, at(3)).is_some());
    // No room for all of it: it waits.
    acks.on_packet(eliciting(2), at(4));
    assert!(write_into(&mut acks, Allowance::Everything, CAPACITY - 20, at(4)).is_none());
    assert_eq!(acks.deadline(), Some(at(29)));
}

/// spec: R-REC-7
#[test]
fn the_end_of_a_body_that_nobody_answers_does_not_wait() {
    let mut acks = tracker();
    acks.on_packet(eliciting(0), at(0));
    assert!(!acks.is_due(at(0)));
    acks.on_end();
    assert!(acks.is_due(at(0)));
    assert!(write(&mut acks, at(0)).is_some());
    acks.on_packet(eliciting(1), at(1));
    assert!(!acks.is_due(at(1)), "the next one waits again");
}

/// spec: R-REC-7
#[test]
fn gaps_reordering_and_congestion_marks_do_not_wait() {
    let mut acks = tracker();
    acks.on_packet(eliciting(0), at(0));
    assert!(!acks.is_due(at(0)));
    assert!(write(&mut acks, at(25)).is_some());
    acks.on_packet(eliciting(2), at(30));
    assert!(acks.is_due(at(30)), "1 is missing");
    assert_eq!(write(&mut acks, at(30)).unwrap().numbers, numbers(&[0..1, 2..3]));
    acks.on_packet(eliciting(1), at(31));
    assert!(acks.is_due(at(31)), "1 came late");
    assert!(write(&mut acks, at(31)).is_some());
    acks.on_packet(marked(3, Ecn::Ect0), at(32));
    assert!(!acks.is_due(at(32)));
    assert!(write(&mut acks, at(60)).is_some());
    acks.on_packet(marked(4, Ecn::Ce), at(61));
    assert!(acks.is_due(at(61)));
    // A packet between that asks for no ACK fills the gap as well as any.
    assert!(write(&mut acks, at(61)).is_some());
    acks.on_packet(bare(5), at(62));
    acks.on_packet(eliciting(6), at(62));
    assert!(!acks.is_due(at(62)));
    // Also once it need not be told any more.
    acks.on_packet(bare(7), at(62));
    acks.on_packet(bare(8), at(62));
    assert!(write(&mut acks, at(90)).is_some());
    acks.on_acked(PacketNumber(8));
    assert_eq!(acks.received().len(), 1);
    acks.on_packet(eliciting(9), at(91));
    assert!(!acks.is_due(at(91)));
}

/// Two idle peers stay idle: bare ACKs are answered by nobody, however strangely they arrive.
///
/// spec: R-REC-8
#[test]
fn bare_acks_call_for_nothing() {
    let mut acks = tracker();
    for number in [0, 1, 5, 3, 9, 8, 100] {
        let packet = ReceivedPacket { ecn: Some(Ecn::Ce), ..bare(number) };
        acks.on_packet(packet, at(number));
        assert_eq!(acks.deadline(), None);
        assert!(!acks.is_due(at(1_000_000)));
        assert_eq!(write(&mut acks, at(1_000_000)), None);
    }
}

/// Lesson 1: the datagram with the ACK vanishes, or the socket refuses it; the next ACK says it
/// all.
///
/// spec: R-REC-5
#[test]
fn a_lost_ack_is_said_again() {
    let mut acks = tracker();
    for number in 0..10 {
        acks.on_packet(eliciting(number), at(number));
    }
    assert_eq!(write(&mut acks, at(10)).unwrap().numbers, numbers(&[0..10]));
    // Lost. The peer's probe calls for another.
    acks.on_packet(eliciting(12), at(300));
    assert_eq!(write(&mut acks, at(300)).unwrap().numbers, numbers(&[0..10, 12..13]));
    // Known to be known: shorter from now on, but never without the largest.
    acks.on_acked(PacketNumber(12));
    acks.on_packet(eliciting(13), at(301));
    acks.on_packet(eliciting(14), at(301));
    assert_eq!(write(&mut acks, at(301)).unwrap().numbers, numbers(&[12..15]));
}

/// spec: R-REC-5
#[test]
fn what_came_after_an_ack_left_is_not_known_by_it() {
    let mut acks = tracker();
    for number in [0, 1, 3] {
        acks.on_packet(eliciting(number), at(0));
    }
    assert!(write(&mut acks, at(0)).is_some());
    acks.on_packet(eliciting(2), at(1));
    // An ACK with 2 in it is lost; the earlier one, as high, is confirmed.
    assert!(write(&mut acks, at(1)).is_some());
    acks.on_acked(PacketNumber(3));
    acks.on_packet(eliciting(4), at(2));
    acks.on_packet(eliciting(5), at(2));
    assert_eq!(write(&mut acks, at(2)).unwrap().numbers, numbers(&[2..6]));
    acks.on_acked(PacketNumber(5));
    acks.on_packet(eliciting(6), at(3));
    acks.on_packet(eliciting(7), at(3));
    assert_eq!(write(&mut acks, at(3)).unwrap().numbers, numbers(&[5..8]));
}

/// Every other packet of a million: memory and ACK stay bounded, the newest are always told.
///
/// spec: R-REC-9
#[test]
fn the_lowest_range_gives_way() {
    let mut acks = tracker();
    for number in (0..1_000_000).step_by(2) {
        acks.on_packet(eliciting(number), at(0));
        assert!(acks.received().count() <= MAX_RECEIVED_RANGES);
    }
    let said = write(&mut acks, at(0)).unwrap();
    let expected: BTreeSet<u64> = (1_000_000 - 512..1_000_000).step_by(2).collect();
    assert_eq!(said.numbers, expected);
    assert_eq!(acks.stats().numbers_forgotten, 500_000 - 256);
    // Below all that is kept, and too many already: taken in, told by no ACK, and forgets no other.
    acks.on_packet(eliciting(7), at(1));
    assert_eq!(write(&mut acks, at(1)).unwrap().numbers, expected);
}

/// spec: R-REC-9
#[test]
fn an_ack_in_too_small_a_packet_names_the_highest() {
    let mut acks = tracker();
    for number in (0..400).step_by(2) {
        acks.on_packet(eliciting(number), at(0));
    }
    let said = write_into(&mut acks, Allowance::Everything, CAPACITY - 100, at(0)).unwrap();
    assert_eq!(said.largest, 398);
    assert!(said.numbers.len() < 60);
    assert!(said.numbers.range(350..).count() == 25);
}

/// spec: R-REC-10
#[test]
fn the_delay_is_of_the_largest() {
    let mut acks = tracker();
    acks.on_packet(eliciting(4), at(10));
    acks.on_packet(eliciting(3), at(17));
    let said = write(&mut acks, Instant::from_nanos(18_000_999)).unwrap();
    assert_eq!((said.largest, said.delay_us), (4, 8_000));
    // A clock that stands still or is at its end is only a strange delay.
    acks.on_packet(eliciting(9), at(20));
    let said = write(&mut acks, Instant::from_nanos(u64::MAX)).unwrap();
    assert_eq!(said.delay_us, (u64::MAX - 20_000_000) / 1_000);
    assert_eq!(acks.deadline(), None);
}

/// spec: R-REC-11
#[test]
fn marks_are_counted_and_repeated() {
    let mut acks = tracker();
    acks.on_packet(eliciting(0), at(0));
    acks.on_packet(eliciting(1), at(0));
    assert_eq!(write(&mut acks, at(0)).unwrap().ecn, None);
    acks.on_packet(marked(2, Ecn::Ect0), at(0));
    acks.on_packet(marked(3, Ecn::Ect1), at(0));
    acks.on_packet(marked(4, Ecn::Ce), at(0));
    acks.on_packet(ReceivedPacket { ecn: Some(Ecn::Ect0), ..bare(5) }, at(0));
    let counts = EcnCounts { ect0: 2, ect1: 1, ce: 1 };
    assert_eq!(write(&mut acks, at(0)).unwrap().ecn, Some(counts));
    acks.on_packet(eliciting(6), at(1));
    assert_eq!(write(&mut acks, at(30)).unwrap().ecn, Some(counts));
}

/// spec: R-REC-12
#[test]
fn a_receiver_with_many_ranges_asks_for_confirmation() {
    let mut acks = tracker();
    let mut pings = Vec::new();
    for (round, number) in (2..162).step_by(2).enumerate() {
        acks.on_packet(eliciting(number), at(number));
        let said = write_into(&mut acks, Allowance::Everything, 0, at(number)).unwrap();
        pings.extend(said.ping.then_some(round));
    }
    assert_eq!(pings, [31, 47, 63, 79]);
    // Confirmed, it stops; and when only ACKs may be sent, it cannot ask.
    acks.on_acked(PacketNumber(160));
    acks.on_packet(eliciting(162), at(200));
    assert!(!write_into(&mut acks, Allowance::Everything, 0, at(200)).unwrap().ping);
    for number in (200..400).step_by(2) {
        acks.on_packet(eliciting(number), at(number));
        assert!(!write(&mut acks, at(number)).unwrap().ping);
    }
}

/// What elicits an ACK anyway is confirmed without a PING; the asking waits for an ACK that would not
/// be.
///
/// spec: R-REC-12
#[test]
fn a_packet_that_is_acknowledged_anyway_asks_for_nothing_more() {
    let mut acks = tracker();
    for number in (2..162).step_by(2) {
        acks.on_packet(eliciting(number), at(number));
        let (mut buf, mut receipts) = (Vec::new(), Vec::new());
        let allowance = Allowance::Everything;
        let mut packet = PacketWriter::new(&mut buf, 0, CAPACITY, &mut receipts, allowance);
        assert!(packet.write(&Frame::MaxData { limit: number }));
        assert!(acks.write(&mut packet, at(number)));
        assert!(packet.finish().ack_eliciting);
        assert!(!frames(&buf).any(|frame| matches!(frame, Ok(Frame::Ping))));
    }
    acks.on_packet(eliciting(162), at(162));
    assert!(write_into(&mut acks, Allowance::Everything, 0, at(162)).unwrap().ping);
}

/// An ACK that is not due rides along whole or not at all.
///
/// spec: R-REC-6
#[test]
fn many_ranges_ride_along_where_there_is_room_for_all() {
    let mut acks = tracker();
    for number in (0..200).step_by(2) {
        acks.on_packet(eliciting(number), at(0));
    }
    assert!(write(&mut acks, at(0)).is_some());
    acks.on_packet(bare(200), at(1));
    let said = write_into(&mut acks, Allowance::Everything, 10, at(1)).expect("850 bytes do");
    assert_eq!(said.numbers.len(), 101);
    acks.on_packet(bare(202), at(2));
    assert_eq!(write_into(&mut acks, Allowance::Everything, CAPACITY - 400, at(2)), None);
}

/// spec: R-CLOSE-11
#[test]
fn a_farewell_names_as_many_ranges_as_fit_and_leaves_its_room() {
    let mut acks = tracker();
    for number in (0..200).step_by(2) {
        acks.on_packet(eliciting(number), at(10));
    }
    for (capacity, room, least) in [(171, 40, 11), (1171, 300, 100)] {
        let (mut buf, mut receipts) = (Vec::new(), Vec::new());
        let allowance = Allowance::AcksOnly;
        let mut packet = PacketWriter::new(&mut buf, 0, capacity, &mut receipts, allowance);
        acks.write_last(&mut packet, room, at(18));
        assert!(packet.room() >= room);
        let _ = packet.finish();
        let Some(Ok(Frame::Ack(ack))) = frames(&buf).next() else { panic!("no ACK") };
        assert_eq!((ack.largest.0, ack.delay_us), (198, 8_000));
        // 8 bytes hold each range beside the first.
        assert!(ack.ranges().count() >= least && ack.ranges().count() <= 100);
    }
}

#[test]
fn what_came_can_be_asked_for() {
    let mut acks = tracker();
    assert_eq!((acks.largest(), acks.ecn_counts()), (None, None));
    acks.on_packet(marked(5, Ecn::Ect1), at(0));
    acks.on_packet(eliciting(3), at(0));
    assert_eq!(acks.largest(), Some(PacketNumber(5)));
    assert_eq!(acks.ecn_counts(), Some(EcnCounts { ect0: 0, ect1: 1, ce: 0 }));
}

#[test]
fn what_arrives_and_what_is_said_is_counted() {
    let mut acks = tracker();
    for number in [0, 1, 4, 3, 2, 5] {
        acks.on_packet(eliciting(number), at(0));
        assert!(write_into(&mut acks, Allowance::Nothing, 0, at(100)).is_none());
        assert!(write(&mut acks, at(100)).is_some());
    }
    let counted = AckStats { received: 6, reordered: 2, acks_written: 6, numbers_forgotten: 0 };
    assert_eq!(acks.stats(), counted);
    // The farewell is an ACK as well, if there is room for it.
    for (capacity, written) in [(CAPACITY, 7), (20, 7)] {
        let (mut buf, mut receipts) = (Vec::new(), Vec::new());
        let allowance = Allowance::AcksOnly;
        let mut packet = PacketWriter::new(&mut buf, 0, capacity, &mut receipts, allowance);
        acks.write_last(&mut packet, 0, at(100));
        let _ = packet.finish();
        assert_eq!(acks.stats().acks_written, written);
    }
}

#[test]
fn counters_of_many_are_summed() {
    let of = |n| AckStats {
        received: n,
        reordered: 2 * n,
        acks_written: 3 * n,
        numbers_forgotten: 4 * n,
    };
    let mut sum = of(10);
    sum.add(&of(1));
    assert_eq!(sum, of(11));
}

#[derive(Clone, Debug)]
enum Op {
    /// A packet so far from the highest arrives.
    Packet(i64, bool),
    Wait(u64),
    Write,
    /// The ACK written so long ago is confirmed.
    Confirm(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (prop_oneof![4 => 1_i64..3, 1 => -12_i64..6], any::<bool>())
            .prop_map(|(by, eliciting)| Op::Packet(by, eliciting)),
        1 => (0_u64..40).prop_map(Op::Wait),
        2 => Just(Op::Write),
        1 => (0_usize..6).prop_map(Op::Confirm),
    ]
}

proptest! {
    /// Each ACK names exactly what arrived and stands in no confirmed ACK, beside the largest (few
    /// enough ranges that none gives way); one comes in time for every packet that asked.
    ///
    /// spec: R-REC-5, R-REC-6
    #[test]
    fn agrees_with_a_plain_model(ops in proptest::collection::vec(op(), 0..200)) {
        let mut acks = tracker();
        let mut now = Instant::from_nanos(1);
        let mut seen = BTreeSet::new();
        let mut known = BTreeSet::new();
        let mut under_way: Vec<Said> = Vec::new();
        let mut waiting: Vec<Instant> = Vec::new();
        for op in ops {
            match op {
                Op::Packet(by, ack_eliciting) => {
                    let highest = seen.last().map_or(0, |n: &u64| *n as i64);
                    let number = (highest + by).max(0) as u64;
                    if seen.insert(number) {
                        acks.on_packet(ReceivedPacket { ack_eliciting, ..eliciting(number) }, now);
                        waiting.extend(ack_eliciting.then_some(now));
                    }
                }
                Op::Wait(ms) => now = now + Duration::from_millis(ms),
                Op::Write => {
                    let said = write(&mut acks, now);
                    let oldest = waiting.first().copied();
                    let must = waiting.len() >= 2
                        || oldest.is_some_and(|at| now >= at + DEFAULT_MAX_ACK_DELAY);
                    prop_assert!(said.is_some() || !must);
                    if let Some(said) = said {
                        prop_assert!(oldest.is_some());
                        let largest = *seen.last().unwrap();
                        let untold: BTreeSet<u64> = seen.difference(&known).copied().collect();
                        prop_assert_eq!(said.largest, largest);
                        prop_assert!(said.numbers.is_superset(&untold), "{:?}", untold);
                        prop_assert!(said.numbers.is_subset(&seen));
                        waiting.clear();
                        under_way.push(said);
                    }
                }
                Op::Confirm(ago) => {
                    if let Some(at) = under_way.len().checked_sub(1 + ago) {
                        let said = under_way.remove(at);
                        acks.on_acked(PacketNumber(said.largest));
                        known.extend(said.numbers);
                    }
                }
            }
            if let Some(deadline) = acks.deadline() {
                prop_assert_eq!(deadline, waiting[0] + DEFAULT_MAX_ACK_DELAY);
            }
        }
    }
}
