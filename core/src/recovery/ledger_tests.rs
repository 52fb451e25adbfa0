#![expect(clippy::single_range_in_vec_init, reason = "lists of ranges are meant")]

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use super::*;
use crate::range_set::RangeSet;
use crate::recovery::{Fired, MIN_PING_INTERVAL, PEER_LOST_PROBES, PathOutcome, Rtt};

const A: PathId = PathId(0);
const B: PathId = PathId(1);
const SIZE: u16 = 1_200;
const NONE: [u64; 0] = [];
const ACK_DELAY: Duration = super::super::DEFAULT_MAX_ACK_DELAY;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn receipt(number: u64) -> SentFrame {
    SentFrame::MaxData(number)
}

/// Numbers of the packets whose receipts these are.
fn of(receipts: &[SentFrame]) -> Vec<u64> {
    let number = |receipt: &SentFrame| match receipt {
        SentFrame::MaxData(number) => *number,
        other => panic!("{other:?} was never sent"),
    };
    receipts.iter().map(number).collect()
}

/// A ledger with its paths' estimates and a clock.
#[derive(Clone)]
struct Sender {
    ledger: Ledger,
    rtts: [Rtt; 2],
    active: PathId,
    now: Instant,
    out: Settled,
}

impl Sender {
    fn new() -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let (ledger, out) = (Ledger::new(), Settled::default());
        Self { ledger, rtts: [Rtt::new(); 2], active: A, now, out }
    }

    /// With an RTT of exactly `rtt`, and its variance settled to nothing.
    fn with_rtt(rtt: Duration) -> Self {
        let mut sender = Self::new();
        for estimate in &mut sender.rtts {
            for _ in 0..100 {
                estimate.on_sample(rtt, Duration::ZERO, ACK_DELAY);
            }
        }
        sender
    }

    fn wait(&mut self, by: Duration) {
        self.now = self.now + by;
    }

    fn send_sized(&mut self, path: PathId, size: u16, mtu_probe: bool) -> u64 {
        let number = self.ledger.next_number;
        let packet =
            SentPacket { number: PacketNumber(number), path, size, ack_eliciting: true, mtu_probe };
        let mut receipts = if mtu_probe { vec![] } else { vec![receipt(number)] };
        self.ledger.on_sent(packet, &mut receipts, self.now);
        assert!(receipts.is_empty());
        number
    }

    fn send(&mut self, path: PathId) -> u64 {
        self.send_sized(path, SIZE, false)
    }

    fn send_bare(&mut self, path: PathId) -> u64 {
        let number = PacketNumber(self.ledger.next_number);
        let packet = SentPacket { number, path, size: 60, ack_eliciting: false, mtu_probe: false };
        let mut receipts = vec![SentFrame::Ack { largest: number }];
        self.ledger.on_sent(packet, &mut receipts, self.now);
        number.0
    }

    /// A PING, with an ACK beside it.
    fn send_ping(&mut self, path: PathId) -> u64 {
        let number = PacketNumber(self.ledger.next_number);
        let packet = SentPacket { number, path, size: 45, ack_eliciting: true, mtu_probe: false };
        let mut receipts = vec![SentFrame::Ack { largest: number }];
        self.ledger.on_sent(packet, &mut receipts, self.now);
        number.0
    }

    fn burst(&mut self, path: PathId, count: u64) -> Range<u64> {
        let first = self.ledger.next_number;
        (0..count).for_each(|_| _ = self.send(path));
        first..first + count
    }

    /// Takes in an ACK as it would come from the wire, and all that follows from it.
    fn try_ack(&mut self, ranges: &[Range<u64>], delay: Duration) -> Result<(), Violation> {
        let mut set = RangeSet::new();
        for range in ranges {
            set.insert(range.clone());
        }
        let mut scratch = Vec::new();
        let delay_us = delay.as_micros() as u64;
        let ecn = Some(EcnCounts { ect0: 9, ect1: 0, ce: 1 });
        let ack = AckFrame::from_ranges(&set, delay_us, ecn, 256, &mut scratch).unwrap();
        self.out.clear();
        self.ledger.on_ack(&ack, &mut self.out, self.now)?;
        for at in 0..self.out.paths.len() {
            let outcome = &self.out.paths[at];
            let rtt = &mut self.rtts[outcome.path.0 as usize];
            if let Some(sample) = outcome.rtt {
                rtt.on_sample(sample.latest, sample.ack_delay, ACK_DELAY);
            }
            self.ledger.detect_losses(outcome.path, rtt, &mut self.out, self.now);
        }
        assert!(self.ledger.is_consistent());
        Ok(())
    }

    fn ack(&mut self, ranges: &[Range<u64>]) {
        self.try_ack(ranges, Duration::ZERO).unwrap();
    }

    fn rtt(&self) -> &Rtt {
        &self.rtts[self.active.0 as usize]
    }

    fn deadline(&self) -> Option<Instant> {
        self.ledger.deadline(self.active, self.rtt())
    }

    /// Jumps to the deadline and handles it.
    fn fire(&mut self) -> Fired {
        self.now = self.deadline().expect("a deadline");
        self.fire_now()
    }

    fn fire_now(&mut self) -> Fired {
        self.out.clear();
        let rtt = self.rtts[self.active.0 as usize];
        let fired = self.ledger.on_deadline(self.active, &rtt, &mut self.out, self.now);
        assert!(self.ledger.is_consistent());
        assert!(self.deadline().is_none_or(|next| next > self.now));
        fired
    }

    fn outcome(&self, path: PathId) -> PathOutcome {
        self.out.paths.iter().find(|o| o.path == path).cloned().unwrap_or_default()
    }

    fn acked(&self) -> Vec<u64> {
        of(&self.out.acked)
    }

    fn lost(&self) -> Vec<u64> {
        of(&self.out.lost)
    }
}

/// spec: R-REC-13
#[test]
fn flight_is_what_elicits_and_is_not_settled() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 10);
    s.send_bare(A);
    s.burst(B, 3);
    assert_eq!((s.ledger.in_flight(A), s.ledger.packets_in_flight(A)), (12_000, 10));
    assert_eq!(s.ledger.in_flight(B), 3_600);
    s.wait(ms(100));
    s.ack(&[0..2, 9..10]);
    // 0, 1, 9 arrived; 2 to 6 are lost; 7 and 8 may come.
    assert_eq!(s.lost(), [2, 3, 4, 5, 6]);
    assert_eq!(s.ledger.in_flight(A), 2 * 1_200);
    assert_eq!(s.outcome(A).prior_in_flight, 12_000);
    assert_eq!(s.ledger.in_flight(B), 3_600);
    s.ledger.declare_lost_all(B, &mut s.out);
    assert_eq!(s.ledger.in_flight(B), 0);
    // A bare ACK is not waited for.
    s.ack(&[7..9]);
    assert_eq!((s.ledger.in_flight(A), s.deadline()), (0, None));
}

/// Lesson 2: the retransmission is a packet like any other; when it is acknowledged, its bytes go.
///
/// spec: R-REC-13, R-REC-18
#[test]
fn an_acknowledged_retransmission_frees_its_bytes() {
    let mut s = Sender::with_rtt(ms(50));
    for round in 0..1_000 {
        let first = s.burst(A, 5);
        s.wait(ms(50));
        s.ack(&[first.start + 1..first.end]);
        assert_eq!(s.lost(), [first.start]);
        let again = s.send(A);
        s.wait(ms(50));
        s.ack(&[first.start + 1..first.end, again..again + 1]);
        assert_eq!(s.acked(), [again], "round {round}");
        // It is measured too: there is nothing ambiguous about it.
        assert_eq!(s.outcome(A).rtt.unwrap().latest, ms(50));
        assert_eq!(s.ledger.in_flight(A), 0);
    }
}

/// Sizes differ from packet to packet (lesson 7); the sum is always exact.
///
/// spec: R-REC-13
#[test]
fn bytes_leave_as_they_came() {
    let mut s = Sender::with_rtt(ms(50));
    let sizes = [1_200, 47, 1_452, 65_535, 1];
    for size in sizes {
        s.send_sized(A, size, false);
    }
    assert_eq!(s.ledger.in_flight(A), sizes.iter().map(|s| u64::from(*s)).sum::<u64>());
    s.ack(&[1..2, 4..5]);
    assert_eq!(s.outcome(A).acked_bytes + s.outcome(A).lost_bytes, 48 + 1_200);
    s.ack(&[2..4]);
    assert_eq!(s.ledger.in_flight(A), 0);
    assert_eq!(s.outcome(A).largest_acked_size, Some(65_535));
}

/// spec: R-REC-14, R-REC-23
#[test]
fn a_receipt_comes_back_once() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 8);
    s.wait(ms(100));
    s.ack(&[4..8]);
    assert_eq!((s.acked(), s.lost()), (vec![4, 5, 6, 7], vec![0, 1, 2, 3]));
    assert_eq!(s.outcome(A).lost_packets, 4);
    let left = s.now.saturating_sub(ms(100));
    // They were only late: counted, reported, and given to nobody a second time.
    s.ack(&[0..8]);
    assert_eq!((s.acked(), s.lost()), (vec![], vec![]));
    let outcome = s.outcome(A);
    assert_eq!((outcome.spurious_packets, outcome.spurious_bytes), (4, 4_800));
    assert_eq!(outcome.largest_spurious_sent, Some(left));
    assert_eq!(s.ledger.stats().spurious, 4);
    s.ack(&[0..8]);
    assert_eq!(s.outcome(A), PathOutcome::default(), "an ACK repeated says nothing");
}

/// spec: R-REC-23
#[test]
fn a_lost_packet_is_remembered_for_a_while() {
    let pto = ms(100) + ms(1) + ACK_DELAY;
    for (wait, spurious) in [(pto * 3 - ms(1), 1), (pto * 3 + ms(1), 0)] {
        let mut s = Sender::with_rtt(ms(100));
        s.burst(A, 4);
        s.wait(ms(100));
        s.ack(&[1..4]);
        assert_eq!(s.lost(), [0]);
        s.wait(wait);
        let next = s.send(A);
        s.ack(&[1..4, next..next + 1]);
        s.ack(&[0..4]);
        assert_eq!(s.ledger.stats().spurious, spurious);
    }
    // And not more than so many.
    let mut s = Sender::with_rtt(ms(100));
    let all = s.burst(A, 5_000);
    s.ack(&[all.end - 1..all.end]);
    assert_eq!(s.lost().len(), 4_997);
    let all = [all];
    s.ack(&all);
    s.ack(&all);
    assert_eq!(s.ledger.stats().spurious, MAX_REMEMBERED_LOST as u64);
    assert_eq!(s.ledger.ring.len(), 0);
}

/// spec: R-REC-15
#[test]
fn an_ack_of_what_was_never_sent_is_a_violation() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 4);
    let number = PacketNumber(6);
    let packet = SentPacket { number, path: A, size: 9, ack_eliciting: true, mtu_probe: false };
    s.ledger.on_sent(packet, &mut vec![], s.now);
    // 4 and 5 were skipped, 7 not reached.
    for ranges in [&[0..8][..], &[7..8], &[4..5], &[0..7], &[5..7], &[0..2, 4..6], &[0..1 << 62]] {
        let before = alloc::format!("{:?}", s.ledger);
        let violation = s.try_ack(ranges, Duration::ZERO).unwrap_err();
        assert_eq!(violation.code, TransportCode::AckOfUnsent, "{ranges:?}");
        assert_eq!(alloc::format!("{:?}", s.ledger), before, "nothing was changed");
        assert!(s.out.is_empty());
    }
    s.ack(&[0..4, 6..7]);
    // Also long after; the last 16 stay known.
    s.burst(A, 1_000);
    s.ack(&[7..1_007]);
    assert!(s.try_ack(&[5..6], Duration::ZERO).is_err());
    assert!(s.try_ack(&[0..1], Duration::ZERO).is_ok());
}

/// spec: R-REC-16
#[test]
fn numbers_left_out_are_no_packets() {
    let mut s = Sender::with_rtt(ms(100));
    let first = s.send(A);
    s.ledger.next_number += 1_000_000;
    let second = s.send(A);
    assert_eq!((s.ledger.in_flight(A), s.ledger.ring.len()), (2_400, 2));
    assert_eq!(s.ledger.next_number(), PacketNumber(second + 1));
    s.wait(ms(100));
    s.ack(&[second..second + 1]);
    assert_eq!(s.lost(), NONE, "only one packet came later");
    s.ack(&[first..first + 1, second..second + 1]);
    assert_eq!((s.ledger.has_in_flight(), s.ledger.stats().packets_sent), (false, 2));
}

/// A peer that repeats all it has in every ACK, while one old packet holds the front: 5 x 10^9
/// steps if each ACK walked over what is settled.
///
/// spec: R-REC-17
#[test]
fn repeated_ranges_cost_nothing() {
    let mut s = Sender::with_rtt(ms(100));
    s.ledger.on_suspended(A);
    s.send(A);
    let total = 100_000;
    let mut scratch = Vec::new();
    for number in 1..total {
        s.send(B);
        let mut all = RangeSet::new();
        all.insert(1..number + 1);
        let ack = AckFrame::from_ranges(&all, 0, None, 9, &mut scratch).unwrap();
        s.out.clear();
        s.ledger.on_ack(&ack, &mut s.out, s.now).unwrap();
        assert_eq!(s.out.acked.len(), 1);
    }
    assert_eq!(s.ledger.ring.len() as u64, total);
    // From the middle, in pieces, backwards.
    for number in (2..total).rev() {
        let mut some = RangeSet::new();
        some.insert(number / 2..number);
        let ack = AckFrame::from_ranges(&some, 0, None, 9, &mut scratch).unwrap();
        s.ledger.on_ack(&ack, &mut s.out, s.now).unwrap();
    }
    assert!(s.ledger.ring.steps < 8 * total, "{} steps", s.ledger.ring.steps);
    s.ledger.declare_lost_all(A, &mut s.out);
    s.ack(&[total - 1..total]);
    assert_eq!(s.ledger.ring.len(), 0);
}

/// Scenario 45: every other packet arrives, a million times.
///
/// spec: R-REC-17, R-REC-14
#[test]
fn alternating_ranges_stay_bounded() {
    let mut s = Sender::with_rtt(ms(20));
    let (mut acked, mut lost) = (0, 0);
    let mut arrived = RangeSet::new();
    let mut scratch = Vec::new();
    let total = 1_000_000;
    for _ in 0..total / 8 {
        for number in s.burst(A, 8).step_by(2) {
            arrived.insert(number..number + 1);
        }
        while arrived.count() > 256 {
            arrived.pop_first();
        }
        s.wait(ms(1));
        s.out.clear();
        let ack = AckFrame::from_ranges(&arrived, 0, None, 256, &mut scratch).unwrap();
        s.ledger.on_ack(&ack, &mut s.out, s.now).unwrap();
        let rtt = s.rtts[0];
        s.ledger.detect_losses(A, &rtt, &mut s.out, s.now);
        acked += s.out.acked.len();
        lost += s.out.lost.len();
        assert!(s.ledger.ring.len() <= 2 * MAX_REMEMBERED_LOST + 16);
    }
    assert_eq!(acked, total / 2);
    assert!(total / 2 - lost < 8);
}

/// spec: R-REC-18
#[test]
fn the_largest_newly_acknowledged_is_measured() {
    let mut s = Sender::new();
    s.burst(A, 3);
    s.wait(ms(40));
    s.try_ack(&[0..2], ms(7)).unwrap();
    let sample = s.outcome(A).rtt.unwrap();
    assert_eq!((sample.latest, sample.ack_delay), (ms(40), ms(7)));
    // 1 is known: that 0 comes late says nothing of the time.
    let mut late = Sender::new();
    late.burst(A, 3);
    late.wait(ms(40));
    late.ack(&[1..2]);
    late.wait(ms(1));
    late.ack(&[0..2]);
    assert_eq!((late.acked(), late.outcome(A).rtt), (vec![0], None));
    // A bare ACK is answered by nobody, but if its number is the largest of an answer, it counts
    // ...
    let mut bare = Sender::new();
    bare.send(A);
    bare.wait(ms(10));
    let number = bare.send_bare(A);
    bare.wait(ms(30));
    bare.ack(&[0..number + 1]);
    assert_eq!(bare.outcome(A).rtt.unwrap().latest, ms(30));
    // ... unless nothing is answered, or something on another path.
    bare.send_bare(A);
    bare.ack(&[0..3]);
    assert!(bare.out.paths.is_empty());
    bare.send(B);
    bare.send_bare(A);
    bare.ack(&[3..5]);
    assert_eq!((bare.outcome(A).rtt, bare.outcome(B).rtt), (None, None));
    assert_eq!(bare.acked(), [3]);
}

/// The counts of marks ride on the newest ACK only, for an older one may arrive late.
#[test]
fn marks_are_taken_from_the_newest_ack() {
    let mut s = Sender::new();
    s.burst(A, 4);
    s.ack(&[1..3]);
    assert_eq!(s.outcome(A).ecn, Some(EcnCounts { ect0: 9, ect1: 0, ce: 1 }));
    s.ack(&[0..1]);
    assert!(s.outcome(A).rtt.is_some());
    assert_eq!((s.acked(), s.outcome(A).ecn), (vec![0], None));
}

/// spec: R-REC-19
#[test]
fn what_holds_the_front_for_ever_is_given_up() {
    let mut s = Sender::with_rtt(ms(10));
    s.send(A);
    s.ledger.on_suspended(A);
    let mut given_up = Vec::new();
    for _ in 0..MAX_TRACKED_PACKETS as u64 / 64 {
        let burst = s.burst(B, 64);
        s.ack(&[burst]);
        given_up.extend(s.lost());
    }
    s.send(B);
    s.ack(&[s.ledger.next_number - 1..s.ledger.next_number]);
    given_up.extend(s.lost());
    assert_eq!(given_up, [0]);
    assert_eq!(s.outcome(A), PathOutcome::default());
    assert_eq!((s.ledger.in_flight(A), s.ledger.ring.len()), (0, 0));
}

/// spec: R-REC-20
#[test]
fn the_third_later_packet_proves_a_loss() {
    let mut s = Sender::with_rtt(ms(100));
    s.burst(A, 5);
    s.wait(ms(100));
    s.ack(&[1..3]);
    assert_eq!(s.lost(), NONE);
    s.ack(&[1..4]);
    assert_eq!(s.lost(), [0]);
    // Numbers of bare ACKs, of skipped ones and of another path are no packets of this path.
    let mut s = Sender::with_rtt(ms(100));
    s.send(A);
    s.send_bare(A);
    s.burst(B, 5);
    s.ledger.next_number += 5;
    let late = s.burst(A, 2);
    s.wait(ms(100));
    s.ack(&[2..7, late.clone()]);
    assert_eq!(s.lost(), NONE);
    let third = s.send(A);
    s.ack(&[third..third + 1]);
    assert_eq!(s.lost(), [0]);
}

/// spec: R-REC-20
#[test]
fn nine_eighths_of_a_round_trip_prove_a_loss() {
    let mut s = Sender::with_rtt(ms(80));
    let sent = s.now;
    s.burst(A, 2);
    s.wait(ms(80));
    s.ack(&[1..2]);
    assert_eq!(s.lost(), NONE);
    assert_eq!(s.deadline(), Some(sent + ms(90)));
    assert_eq!(s.fire(), Fired::Nothing);
    assert_eq!(s.lost(), [0]);
    assert_eq!(s.outcome(A).largest_lost_sent, Some(sent));
    assert_eq!(s.deadline(), None);
    // On a fast path never below a millisecond.
    let mut s = Sender::with_rtt(Duration::from_micros(10));
    let sent = s.now;
    s.burst(A, 2);
    s.wait(Duration::from_micros(10));
    s.ack(&[1..2]);
    assert_eq!(s.deadline(), Some(sent + ms(1)));
}

/// Lesson 13: twenty in a row at 135 ms are known lost with the first packet behind that arrives.
///
/// spec: R-REC-20
#[test]
fn a_burst_is_lost_at_once() {
    let mut s = Sender::with_rtt(ms(135));
    s.burst(A, 40);
    s.wait(ms(135));
    s.ack(&[0..10, 30..33]);
    assert_eq!(s.lost(), (10..30).collect::<Vec<_>>());
    assert_eq!(s.outcome(A).lost_bytes, 24_000);
    assert_eq!(s.outcome(A).smallest_lost_size, Some(SIZE));
}

/// Lesson 12, scenario 51: jitter within the RTT's variance and late ACKs cause no timeout;
/// reordering that is not of three packets causes no loss.
///
/// spec: R-REC-20, R-REC-24
#[test]
fn a_path_without_loss_sees_none() {
    for rtt in [1, 150, 200] {
        let mut s = Sender::new();
        s.send(A);
        s.wait(ms(rtt));
        s.ack(&[0..1]);
        for round in 0..500 {
            let burst = s.burst(A, 8);
            s.wait(ms(rtt) + ACK_DELAY);
            assert!(s.deadline().unwrap() >= s.now, "round {round} at {rtt} ms");
            // The last two changed places.
            s.try_ack(&[burst.start..burst.end - 2, burst.end - 1..burst.end], ACK_DELAY).unwrap();
            assert_eq!(s.lost(), NONE);
            s.ack(&[burst]);
            assert_eq!(s.ledger.in_flight(A), 0);
        }
        assert_eq!(s.ledger.stats().probe_timeouts + s.ledger.stats().lost, 0);
    }
}

/// The example of RFC 9002 section 7.6.3: packets each second, a probe timeout of 2 s.
///
/// spec: R-REC-21
#[test]
fn everything_lost_for_long_is_persistent_congestion() {
    let second = ms(1_000);
    for (hole, persistent) in [(None, true), (Some(5), false)] {
        let mut s = Sender::with_rtt(second);
        // The first sample is of a packet before.
        s.send(A);
        s.ack(&[0..1]);
        for estimate in &mut s.rtts {
            *estimate = Rtt::new();
            (0..100).for_each(|_| estimate.on_sample(second, Duration::ZERO, ACK_DELAY));
        }
        for _ in 0..9 {
            s.wait(second);
            s.send(A);
        }
        s.wait(second * 2);
        let hole = hole.map(|hole| hole..hole + 1);
        s.ack(&[hole.unwrap_or(9..10), 9..10]);
        assert_eq!(s.outcome(A).persistent_congestion, persistent);
        assert_eq!(s.ledger.stats().persistent_congestion, u64::from(persistent));
    }
}

/// spec: R-REC-21
#[test]
fn persistent_congestion_needs_a_sample_and_time() {
    // No sample before: all may have been too slow.
    let mut s = Sender::with_rtt(ms(10));
    for _ in 0..9 {
        s.send(A);
        s.wait(ms(1_000));
    }
    s.ack(&[8..9]);
    assert_eq!(s.lost().len(), 8);
    assert!(!s.outcome(A).persistent_congestion);
    // Three timeouts of 10 + 1 + 25 ms are 108 ms; exactly so long is not longer.
    for (long, persistent) in [(108, false), (109, true)] {
        let mut s = Sender::with_rtt(ms(10));
        s.send(A);
        s.wait(ms(10));
        s.ack(&[0..1]);
        s.wait(ms(1));
        s.send(A);
        s.wait(ms(long));
        s.burst(A, 4);
        s.wait(ms(10));
        assert_eq!(s.rtt().pto(ACK_DELAY), ms(36));
        s.ack(&[5..6]);
        assert_eq!(s.lost(), [1, 2]);
        assert_eq!(s.outcome(A).persistent_congestion, persistent);
    }
}

/// spec: R-REC-22
#[test]
fn the_loss_of_a_size_probe_is_no_congestion() {
    let mut s = Sender::with_rtt(ms(50));
    s.send_sized(A, 1_452, true);
    s.burst(A, 3);
    s.wait(ms(50));
    s.ack(&[1..4]);
    let outcome = s.outcome(A);
    assert_eq!((outcome.mtu_lost, outcome.mtu_acked), (Some(1_452), None));
    assert_eq!((outcome.lost_bytes, outcome.lost_packets), (0, 0));
    assert_eq!((outcome.largest_lost_sent, outcome.smallest_lost_size), (None, None));
    let probe = s.send_sized(A, 1_400, true);
    s.ack(&[probe..probe + 1]);
    assert_eq!(s.outcome(A).mtu_acked, Some(1_400));
    // Two lost probes far apart show nothing either.
    let mut s = Sender::with_rtt(ms(10));
    s.send(A);
    s.ack(&[0..1]);
    for wait in [1, 60_000, 1] {
        s.wait(ms(wait));
        s.send_sized(A, 1_452, true);
    }
    s.send(A);
    s.ack(&[4..5]);
    assert_eq!(s.outcome(A).mtu_lost, Some(1_452));
    assert!(!s.outcome(A).persistent_congestion);
}

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
    // 100 + max(4 x 0, 1) + 25, from the last that elicits.
    assert_eq!(s.deadline(), Some(sent + ms(126)));
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
    assert_eq!(waits[..4], [126, 252, 125, 125].map(ms));
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

/// Lesson 5: one packet's content is swallowed each time it is sent, all else arrives. It is
/// declared lost each time, and never holds back the bytes of anything else.
///
/// spec: R-REC-20, R-REC-13
#[test]
fn a_black_hole_for_one_packet_holds_nothing() {
    let mut s = Sender::with_rtt(ms(50));
    for _ in 0..100 {
        let victim = s.send(A);
        let rest = s.burst(A, 3);
        s.wait(ms(50));
        s.ack(&[rest]);
        assert_eq!(s.lost(), [victim]);
        assert_eq!(s.ledger.in_flight(A), 0);
    }
}

/// spec: R-REC-27
#[test]
fn a_reliable_carrier_loses_all_or_nothing() {
    let mut s = Sender::with_rtt(ms(50));
    s.ledger.set_carriage(A, Carriage::Reliable);
    s.burst(A, 20);
    assert_eq!(s.deadline(), None);
    s.wait(ms(60_000));
    s.ack(&[10..20]);
    assert_eq!((s.lost(), s.deadline()), (vec![], None));
    assert_eq!(s.ledger.in_flight(A), 12_000);
    s.out.clear();
    s.ledger.declare_lost_all(A, &mut s.out);
    assert_eq!(s.lost(), (0..10).collect::<Vec<_>>());
    assert!(s.out.paths.is_empty(), "no congestion");
    assert_eq!((s.ledger.in_flight(A), s.ledger.has_in_flight()), (0, false));
    // An ACK that was still under way finds nothing.
    s.ack(&[0..20]);
    assert!(s.out.is_empty());
}

/// spec: R-REC-28
#[test]
fn a_blocked_carrier_is_not_to_blame() {
    let mut s = Sender::with_rtt(ms(50));
    s.burst(A, 10);
    s.ledger.on_suspended(A);
    assert_eq!(s.deadline(), None);
    s.wait(ms(10_000));
    assert_eq!(s.fire_now(), Fired::Nothing);
    s.ack(&[6..8]);
    assert_eq!((s.acked(), s.lost()), (vec![6, 7], vec![]));
    assert_eq!(s.deadline(), None);
    // It takes packets again: waiting begins now.
    s.ledger.on_resumed(A, s.now);
    let resumed = s.now;
    assert_eq!(s.deadline(), Some(resumed + s.rtt().loss_delay()));
    s.ack(&[8..9]);
    assert_eq!(s.lost(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(s.deadline(), Some(resumed + s.rtt().pto(ACK_DELAY)), "9 has nothing behind it");
    // Without an answer: probes, and the peer is lost only by what it missed since.
    let mut s = Sender::with_rtt(ms(50));
    s.burst(A, 2);
    for _ in 0..20 {
        s.ledger.on_suspended(A);
        s.wait(ms(10_000));
        s.ledger.on_resumed(A, s.now);
        assert_eq!(s.deadline(), Some(s.now + s.rtt().pto(ACK_DELAY)));
        s.ledger.on_suspended(A);
    }
    s.ledger.on_resumed(A, s.now);
    let resumed = s.now;
    assert_eq!(s.fire(), Fired::Probe { count: 2 });
    assert_eq!(s.now, resumed + ms(76));
}

/// spec: R-REC-29
#[test]
fn a_path_left_behind_is_cleared() {
    let mut s = Sender::with_rtt(ms(50));
    s.burst(A, 5);
    let left = s.now;
    s.active = B;
    s.wait(ms(1));
    let burst = s.burst(B, 5);
    s.wait(ms(50));
    s.ack(&[burst]);
    assert_eq!(s.lost(), NONE, "another path proves nothing");
    assert_eq!(s.deadline(), Some(left + s.rtt().pto(ACK_DELAY) * 3));
    assert_eq!(s.fire(), Fired::Nothing);
    assert_eq!(s.lost(), [0, 1, 2, 3, 4]);
    assert!(s.out.paths.is_empty(), "no congestion");
    assert_eq!((s.ledger.in_flight(A), s.deadline()), (0, None));
}

/// Scenarios 46 and 47: clocks and delays at their ends.
///
/// spec: R-REC-30
#[test]
fn clocks_at_their_ends_overflow_nothing() {
    let mut s = Sender::new();
    s.burst(A, 2);
    s.try_ack(&[0..1], Duration::from_micros((1 << 62) - 1)).unwrap();
    assert!(s.rtt().smoothed() <= super::super::MAX_RTT);
    // The same instant again and again: fires once.
    assert!(matches!(s.fire(), Fired::Probe { .. }));
    for _ in 0..3 {
        assert_eq!(s.fire_now(), Fired::Nothing);
    }
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

/// spec: R-REC-4
#[test]
fn the_delivery_rate_is_that_of_the_bottleneck() {
    // 1,200 bytes leave every 100 us and come through one a millisecond.
    let mut s = Sender::with_rtt(ms(20));
    let start = s.now;
    let mut rates = Vec::new();
    for tick in 0..3_000_u64 {
        s.now = start + Duration::from_micros(100 * tick);
        if s.ledger.in_flight(A) < 60_000 {
            s.send(A);
        }
        if tick > 200 && tick % 10 == 0 {
            let number = tick / 10 - 21;
            s.ack(&[number..number + 1]);
            let sample = s.outcome(A).rate.unwrap();
            assert!(!sample.app_limited);
            rates.push(sample.bytes_per_second());
        }
    }
    // No sample is above what came through, and once the pipe is full all are close to it.
    assert!(rates.iter().all(|rate| *rate <= 1_200_000), "{rates:?}");
    assert!(rates[100..].iter().all(|rate| *rate >= 1_150_000), "{rates:?}");
}

/// A burst of ACKs makes no path faster: sending took longer, and that counts.
///
/// spec: R-REC-4
#[test]
fn held_back_acks_do_not_raise_the_rate() {
    let mut s = Sender::with_rtt(ms(20));
    for _ in 0..10 {
        s.send(A);
        s.wait(ms(10));
    }
    s.wait(ms(100));
    s.ack(&[0..5]);
    s.send(A);
    s.wait(ms(10));
    s.ack(&[5..11]);
    let sample = s.outcome(A).rate.unwrap();
    // The fifth left at 40 ms, the eleventh at 200.
    assert_eq!((sample.delivered, sample.interval), (6 * 1_200, ms(160)));
    assert_eq!((sample.prior_delivered, sample.total_delivered), (5 * 1_200, 11 * 1_200));
}

/// Lesson 24: a trickle is marked, and the mark ends when what was in flight then is delivered.
///
/// spec: R-REC-4
#[test]
fn a_sender_with_nothing_to_send_says_so() {
    let mut s = Sender::with_rtt(ms(20));
    s.send(A);
    s.ledger.on_app_limited(A);
    s.send(A);
    s.wait(ms(20));
    s.ack(&[0..1]);
    assert!(!s.outcome(A).rate.unwrap().app_limited, "it left before");
    let marked_too = s.send(A);
    s.ack(&[0..2]);
    assert!(s.outcome(A).rate.unwrap().app_limited && s.outcome(A).app_limited);
    let unmarked = s.send(A);
    s.wait(ms(20));
    s.ack(&[marked_too..marked_too + 1]);
    assert!(s.outcome(A).rate.unwrap().app_limited, "only just all was delivered when it left");
    s.wait(ms(1));
    s.ack(&[unmarked..unmarked + 1]);
    assert!(!s.outcome(A).rate.unwrap().app_limited);
    // Standing clock: no time, no sample.
    let next = s.send(A);
    s.ack(&[next..next + 1]);
    assert_eq!(s.outcome(A).rate, None);
}
