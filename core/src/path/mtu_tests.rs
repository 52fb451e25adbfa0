//! Searches on simulated paths of every size, with and without loss.

use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::rng::{Rng, Seed};

/// A path that carries datagrams of up to `size` bytes and loses some of any size.
struct Link {
    size: u16,
    /// In thousandths.
    loss: u64,
    rng: Rng,
    now: Instant,
    probes: u32,
}

impl Link {
    fn new(size: u16, loss: u64, seed: u64) -> Self {
        let rng = Rng::new(&Seed::from_u64(seed));
        Self { size, loss, rng, now: Instant::ZERO, probes: 0 }
    }

    fn arrives(&mut self, size: u16) -> bool {
        size <= self.size && self.rng.below(1_000) >= self.loss
    }

    /// One round trip: a probe if one is wanted, `bulk` packets of full size, and small ones.
    fn round(&mut self, search: &mut PacketSize, bulk: u32) -> SizeChange {
        self.now = self.now + Duration::from_millis(50);
        search.on_deadline(self.now);
        let probe = search.next_probe();
        if let Some(size) = probe {
            assert!(size > search.current() && size <= search.ceiling);
            assert!(search.next_probe().is_some());
            search.on_probe_sent(size);
            assert_eq!(search.next_probe(), None, "one probe at a time");
            self.probes += 1;
        }
        let mut sizes: Vec<u16> = alloc::vec![search.datagram_size(); bulk as usize];
        sizes.extend([100, 100, 100]);
        let mut outcome = PathOutcome::default();
        for size in sizes {
            self.settle(&mut outcome, size);
        }
        match probe {
            Some(size) if self.arrives(size) => outcome.mtu_acked = Some(size),
            probe => outcome.mtu_lost = probe,
        }
        search.on_outcome(&outcome, self.now)
    }

    fn settle(&mut self, outcome: &mut PathOutcome, size: u16) {
        if self.arrives(size) {
            outcome.acked_packets += 1;
            outcome.largest_acked_size = outcome.largest_acked_size.max(Some(size));
        } else {
            outcome.lost_packets += 1;
            let least = outcome.smallest_lost_size.map_or(size, |least| least.min(size));
            outcome.smallest_lost_size = Some(least);
        }
    }

    /// Rounds until the search ends.
    fn run(&mut self, search: &mut PacketSize, bulk: u32) -> u32 {
        let mut rounds = 0;
        while search.is_searching() {
            self.round(search, bulk);
            rounds += 1;
            assert!(rounds < 5_000, "the search does not end");
        }
        rounds
    }
}

fn close_enough(found: u16, size: u16) -> bool {
    found <= size && size - found <= (size / 128).max(16)
}

/// spec: R-PATH-16, R-PATH-17
#[test]
fn every_size_is_found() {
    for size in (1_200..=65_507u16).step_by(97).chain(1_200..1_300).chain([65_507]) {
        let mut link = Link::new(size, 0, 1);
        let mut search = PacketSize::new(65_507);
        link.run(&mut search, 10);
        assert!(close_enough(search.current(), size), "{size}: {}", search.current());
        assert!(link.probes <= 3 * 14 + 6, "{size}: {} probes", link.probes);
        assert_eq!(search.deadline().is_none(), search.current() == 65_507);
    }
}

/// spec: R-PATH-16, R-PATH-17
#[test]
fn the_ceiling_is_tried_first_and_then_ethernet() {
    for ceiling in [1_452, 9_000, 65_507] {
        let mut link = Link::new(65_507, 0, 1);
        let mut search = PacketSize::new(ceiling);
        assert_eq!(search.datagram_size(), 1_200);
        assert_eq!(link.run(&mut search, 0), 1);
        assert_eq!(search.current(), ceiling);
        assert_eq!(search.deadline(), None, "nothing is left to try");
    }
    let mut link = Link::new(1_452, 0, 1);
    let mut search = PacketSize::new(65_507);
    for _ in 0..4 {
        link.round(&mut search, 0);
    }
    assert_eq!(search.current(), 1_452);
}

/// spec: R-PATH-16
#[test]
fn neither_sides_limit_is_passed() {
    let mut link = Link::new(65_507, 0, 1);
    let mut search = PacketSize::new(9_000);
    search.limit(65_507);
    search.limit(1_300);
    link.run(&mut search, 0);
    assert_eq!(search.current(), 1_300);
    // A limit below what every path carries is not believed.
    search.limit(7);
    assert_eq!(search.current(), 1_200);
    assert_eq!(search.next_probe(), None);
    assert_eq!(PacketSize::new(5).current(), 1_200);
}

/// spec: R-PATH-18
#[test]
fn three_lost_probes_mean_no() {
    let mut link = Link::new(1_300, 0, 1);
    let mut search = PacketSize::new(1_452);
    let mut sizes = Vec::new();
    while search.is_searching() {
        sizes.push(search.next_probe().unwrap());
        link.round(&mut search, 4);
    }
    // 1,452 fails; 1,326 fails; 1,263, 1,294 pass; 1,310 fails, and once more at the end.
    let expected = [1_452, 1_452, 1_452, 1_326, 1_326, 1_326, 1_263, 1_294, 1_310, 1_310, 1_310];
    assert_eq!(sizes[..expected.len()], expected);
    assert_eq!(sizes[expected.len()..], [1_310; 3]);
    assert_eq!(search.current(), 1_294);
}

/// spec: R-PATH-18
#[test]
fn random_loss_gives_no_false_result() {
    for loss in [10, 50, 100, 200, 300] {
        let mut wrong = 0;
        for seed in 0..60 {
            let size = 1_200 + u16::try_from(seed * 1_000).unwrap();
            let mut link = Link::new(size, loss, seed);
            let mut search = PacketSize::new(65_507);
            link.run(&mut search, 20);
            wrong += u32::from(!close_enough(search.current(), size));
        }
        assert_eq!(wrong, 0, "at a loss of {loss}/1000");
    }
}

/// spec: R-PATH-18
#[test]
fn bad_luck_before_the_loss_is_known_is_made_good_at_the_end() {
    let mut search = PacketSize::new(1_452);
    let mut link = Link::new(1_452, 0, 1);
    for _ in 0..3 {
        search.on_probe_sent(1_452);
        let outcome = PathOutcome { mtu_lost: Some(1_452), ..PathOutcome::default() };
        search.on_outcome(&outcome, link.now);
    }
    assert_eq!(search.next_probe(), Some(1_326));
    link.run(&mut search, 5);
    assert_eq!(search.current(), 1_452);
}

/// spec: R-PATH-19
#[test]
fn after_ten_minutes_the_search_begins_again() {
    let mut link = Link::new(1_300, 0, 1);
    let mut search = PacketSize::new(1_452);
    link.run(&mut search, 5);
    let retry = search.deadline().unwrap();
    assert_eq!(retry, link.now + Duration::from_secs(600));
    link.size = 1_452;
    link.now = retry.saturating_sub(Duration::from_millis(51));
    link.round(&mut search, 5);
    assert!(!search.is_searching());
    link.round(&mut search, 5);
    assert_eq!(search.current(), 1_452);
    assert_eq!(search.deadline(), None);
}

/// spec: R-PATH-20
#[test]
fn a_black_hole_is_noticed_and_the_new_size_found() {
    for after in [1_200, 1_280, 1_400] {
        let mut link = Link::new(1_452, 0, 1);
        let mut search = PacketSize::new(1_452);
        link.run(&mut search, 10);
        assert_eq!(search.current(), 1_452);
        link.size = after;
        let mut rounds = 0;
        while link.round(&mut search, 4) != SizeChange::BlackHole {
            rounds += 1;
            assert!(rounds <= 2);
        }
        assert_eq!(search.current(), 1_200);
        assert_eq!(search.black_holes(), 1);
        link.run(&mut search, 10);
        assert!(close_enough(search.current(), after), "{after}: {}", search.current());
    }
}

/// spec: R-PATH-20
#[test]
fn an_outage_costs_a_round_trip_and_not_ten_minutes() {
    let mut link = Link::new(1_452, 0, 1);
    let mut search = PacketSize::new(1_452);
    link.run(&mut search, 10);
    // A whole flight is lost, and what ends the outage is small.
    let outcome = PathOutcome {
        lost_packets: 100,
        smallest_lost_size: Some(1_452),
        acked_packets: 1,
        largest_acked_size: Some(60),
        ..PathOutcome::default()
    };
    assert_eq!(search.on_outcome(&outcome, link.now), SizeChange::BlackHole);
    assert_eq!(link.round(&mut search, 10), SizeChange::Grown);
    assert_eq!(search.current(), 1_452);
    assert!(!search.is_searching());
}

/// spec: R-PATH-20
#[test]
fn losses_of_all_sizes_are_no_black_hole() {
    let mut holes = 0;
    for seed in 0..40 {
        let mut link = Link::new(1_452, 300, seed);
        let mut search = PacketSize::new(1_452);
        link.run(&mut search, 20);
        for _ in 0..500 {
            link.round(&mut search, 8);
        }
        holes += search.black_holes();
    }
    // 160,000 packets.
    assert!(holes <= 2, "{holes}");
}

/// spec: R-PATH-20
#[test]
fn no_bytes_of_full_size_lost_is_no_black_hole() {
    let mut search = PacketSize::new(1_452);
    Link::new(1_452, 0, 1).run(&mut search, 10);
    let smaller = PathOutcome {
        lost_packets: 50,
        smallest_lost_size: Some(1_100),
        acked_packets: 1,
        largest_acked_size: Some(60),
        ..PathOutcome::default()
    };
    assert_eq!(search.on_outcome(&smaller, Instant::ZERO), SizeChange::None);
    // Five of full size are not enough, and one that arrives makes the count begin again.
    let five = PathOutcome { lost_packets: 5, smallest_lost_size: Some(1_452), ..smaller };
    assert_eq!(search.on_outcome(&five, Instant::ZERO), SizeChange::None);
    let full =
        PathOutcome { acked_packets: 1, largest_acked_size: Some(1_452), ..PathOutcome::default() };
    search.on_outcome(&full, Instant::ZERO);
    assert_eq!(search.on_outcome(&five, Instant::ZERO), SizeChange::None);
    assert_eq!(search.current(), 1_452);
}

/// spec: R-PATH-21
#[test]
fn after_two_time_outs_packets_are_small_until_something_arrives() {
    let mut search = PacketSize::new(9_000);
    Link::new(5_000, 0, 1).run(&mut search, 10);
    let size = search.current();
    assert!(size > 4_900);
    search.on_probe_timeout(1);
    assert_eq!(search.datagram_size(), size);
    search.on_probe_timeout(2);
    assert_eq!(search.datagram_size(), 1_200);
    assert_eq!(search.current(), size);
    let outcome = PathOutcome { acked_packets: 1, ..PathOutcome::default() };
    search.on_outcome(&outcome, Instant::ZERO);
    assert_eq!(search.datagram_size(), size);
}

/// spec: R-PATH-22
#[test]
fn what_the_socket_refuses_does_not_pass() {
    let mut search = PacketSize::new(65_507);
    let now = Instant::ZERO;
    let mut probes = 0;
    while let Some(size) = search.next_probe() {
        search.on_probe_sent(size);
        probes += 1;
        if size > 1_472 {
            search.on_refused(size, now);
        } else {
            let outcome = PathOutcome { mtu_acked: Some(size), ..PathOutcome::default() };
            search.on_outcome(&outcome, now);
        }
    }
    assert!(close_enough(search.current(), 1_472), "{}", search.current());
    assert!(probes < 20, "{probes}");

    // A route that became narrower.
    search.on_refused(1_300, now);
    assert_eq!(search.current(), 1_200);
    assert!(search.next_probe().is_some_and(|size| size < 1_300));
}

/// Found by the property below: a late ACK of an old probe made a search confirm what it had never
/// tried.
///
/// spec: R-PATH-17
#[test]
fn an_old_probe_that_arrives_late_does_not_skip_the_ceiling() {
    let mut search = PacketSize::new(1_243);
    let outcome = PathOutcome { mtu_acked: Some(1_228), ..PathOutcome::default() };
    search.on_outcome(&outcome, Instant::ZERO);
    assert_eq!(search.next_probe(), Some(1_243));
}

/// Found by the property below: nothing lies between the base and what was refused.
///
/// spec: R-PATH-22
#[test]
fn a_size_just_above_the_base_that_is_refused_ends_the_search() {
    let mut search = PacketSize::new(9_000);
    let outcome = PathOutcome { mtu_acked: Some(1_201), ..PathOutcome::default() };
    search.on_outcome(&outcome, Instant::ZERO);
    search.on_refused(1_201, Instant::ZERO);
    assert_eq!(search.next_probe(), Some(1_201));
    search.on_probe_sent(1_201);
    search.on_refused(1_201, Instant::ZERO);
    assert!(!search.is_searching());

    // And what was never to be tried says nothing.
    let mut search = PacketSize::new(1_283);
    search.on_refused(1_284, Instant::ZERO);
    search.on_outcome(&PathOutcome { mtu_acked: Some(1_268), ..outcome }, Instant::ZERO);
    assert_eq!(search.next_probe(), Some(1_283));
}

#[derive(Clone, Debug)]
enum Op {
    Probe,
    Acked(u16),
    Lost(u16),
    Outcome(u32, u32, u16, u16),
    Refused(u16),
    Timeout(u32),
    Limit(u16),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let size = prop_oneof![any::<u16>(), 1_190..1_460u16];
    prop_oneof![
        Just(Op::Probe),
        size.clone().prop_map(Op::Acked),
        size.clone().prop_map(Op::Lost),
        (0..100u32, 0..100u32, size.clone(), size.clone())
            .prop_map(|(acked, lost, most, least)| Op::Outcome(acked, lost, most, least)),
        size.clone().prop_map(Op::Refused),
        (0..4u32).prop_map(Op::Timeout),
        size.prop_map(Op::Limit),
        (0..1_000_000u64).prop_map(Op::Wait),
    ]
}

proptest! {
    /// Whatever happens, sizes stay between the base and the ceiling, and probes above what is
    /// known.
    ///
    /// spec: R-PATH-16
    #[test]
    fn sizes_stay_in_bounds(
        ceiling in any::<u16>(),
        ops in proptest::collection::vec(op(), 1..200),
    ) {
        let mut search = PacketSize::new(ceiling);
        let mut now = Instant::ZERO;
        for op in ops {
            match op {
                Op::Probe => {
                    if let Some(size) = search.next_probe() {
                        search.on_probe_sent(size);
                    }
                }
                Op::Acked(size) => {
                    let outcome = PathOutcome { mtu_acked: Some(size), ..PathOutcome::default() };
                    search.on_outcome(&outcome, now);
                }
                Op::Lost(size) => {
                    let size = search.probe.unwrap_or(size);
                    let outcome = PathOutcome { mtu_lost: Some(size), ..PathOutcome::default() };
                    search.on_outcome(&outcome, now);
                }
                Op::Outcome(acked_packets, lost_packets, most, least) => {
                    let outcome = PathOutcome {
                        acked_packets,
                        lost_packets,
                        largest_acked_size: (acked_packets > 0).then_some(most),
                        smallest_lost_size: (lost_packets > 0).then_some(least),
                        ..PathOutcome::default()
                    };
                    search.on_outcome(&outcome, now);
                }
                Op::Refused(size) => search.on_refused(size, now),
                Op::Timeout(count) => search.on_probe_timeout(count),
                Op::Limit(limit) => search.limit(limit),
                Op::Wait(ms) => {
                    now = now + Duration::from_millis(ms);
                    search.on_deadline(now);
                    prop_assert!(search.deadline().is_none_or(|at| at > now));
                }
            }
            let ceiling = search.ceiling;
            prop_assert!(ceiling >= 1_200);
            prop_assert!((1_200..=ceiling).contains(&search.current()));
            prop_assert!((1_200..=search.current()).contains(&search.datagram_size()));
            if let Some(size) = search.next_probe() {
                prop_assert!(size > search.current() && size <= ceiling, "{} {:?}", size, search);
            }
        }
    }
}
