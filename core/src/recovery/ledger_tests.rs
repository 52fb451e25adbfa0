#![expect(clippy::single_range_in_vec_init, reason = "lists of ranges are meant")]

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use super::*;
use crate::range_set::RangeSet;
use crate::recovery::{Fired, PathOutcome, Rtt, Spurious};

#[path = "ledger_learns_tests.rs"]
mod learns;
#[path = "loss_tests.rs"]
mod loss;
#[path = "probe_tests.rs"]
mod probes;
#[path = "ledger_says_tests.rs"]
mod says;
#[path = "silence_tests.rs"]
mod silences;

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
    let late = Spurious { sent: left, lost: s.now };
    assert_eq!(outcome.spurious.to_vec(), [late; 4]);
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
    let steps = s.ledger.ring.steps;
    assert!((1..8 * total).contains(&steps), "{steps} steps");
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

/// spec: R-REC-19
#[test]
fn what_holds_the_front_for_ever_is_given_up() {
    let mut s = Sender::with_rtt(ms(10));
    s.send(A);
    s.ledger.on_suspended(A);
    let mut given_up = Vec::new();
    for size in (64..=MAX_TRACKED_PACKETS as u64).step_by(64) {
        let burst = s.burst(B, size - s.ledger.next_number);
        s.ack(&[burst]);
        given_up.extend(s.lost());
    }
    assert_eq!((given_up.len(), s.ledger.ring.len()), (0, MAX_TRACKED_PACKETS));
    s.send(B);
    s.ack(&[s.ledger.next_number - 1..s.ledger.next_number]);
    given_up.extend(s.lost());
    assert_eq!(given_up, [0]);
    assert_eq!(s.outcome(A), PathOutcome::default());
    assert_eq!((s.ledger.in_flight(A), s.ledger.ring.len()), (0, 0));
    assert_eq!(s.ledger.stats().lost, 1);
}
