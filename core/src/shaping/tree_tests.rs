use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::rng::{Rng, Seed};

const LARGEST: u64 = 1_452;
const SECOND: u64 = 1_000_000_000;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

fn tree(rate: Option<u64>) -> Tree<u32, u32> {
    let mut tree = Tree::new(LARGEST, Duration::from_nanos(1));
    tree.set_node(rate, at(0));
    tree
}

/// A sender with as much to send as was given to it: datagrams of the largest size, and a rest.
#[derive(Clone, Default)]
struct Source {
    has: u64,
    sent: u64,
    waits: bool,
}

/// Sources under a tree, and what left when.
struct Plain {
    tree: Tree<u32, u32>,
    sources: Vec<Source>,
    /// When, how much, and whether it was asked for.
    left: Vec<(u64, u64, bool)>,
    now: u64,
}

impl Plain {
    fn new(tree: Tree<u32, u32>, count: usize) -> Self {
        Self { tree, sources: vec![Source::default(); count], left: Vec::new(), now: 0 }
    }

    fn give(&mut self, source: u32, bytes: u64) {
        let it = &mut self.sources[source as usize];
        it.has += bytes;
        if !core::mem::replace(&mut it.waits, true) {
            self.tree.wait(source, source);
        }
    }

    fn send(&mut self) {
        while let Some(turn) = self.tree.turn(at(self.now)) {
            assert!(turn.bytes >= LARGEST, "a datagram may go");
            let it = &mut self.sources[turn.member as usize];
            let bytes = it.has.min(turn.bytes / LARGEST * LARGEST);
            if bytes == 0 {
                it.waits = false;
                self.tree.has_nothing();
                continue;
            }
            it.has -= bytes;
            it.sent += bytes;
            self.tree.sent(Some(turn.peer), Class::Normal, bytes, at(self.now));
            self.tree.end_turn();
            self.left.push((self.now, bytes, true));
        }
    }

    /// Sends until then, woken exactly when the tree says.
    fn run_until(&mut self, end: u64) {
        loop {
            self.send();
            let next = self.tree.deadline().map_or(end, Instant::as_nanos);
            assert!(next > self.now || self.tree.deadline().is_none(), "asked again at once");
            self.now = next.min(end);
            if self.now == end {
                return;
            }
        }
    }

    /// The most that left in any second.
    fn most_in_a_second(&self) -> u64 {
        let (mut inside, mut most) = (VecDeque::new(), 0);
        let mut sum = 0;
        for (when, bytes, _) in &self.left {
            inside.push_back((*when, *bytes));
            sum += bytes;
            while inside.front().is_some_and(|(first, _)| first + SECOND <= *when) {
                sum -= inside.pop_front().map_or(0, |(_, bytes)| bytes);
            }
            most = most.max(sum);
        }
        most
    }
}

/// What each gets where nobody can have more without somebody having less who has no more.
fn max_min(demands: &[u64], mut whole: u64) -> Vec<u64> {
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|index| demands[*index]);
    let mut shares = vec![0; demands.len()];
    for (done, index) in order.into_iter().enumerate() {
        let fair = whole / (demands.len() - done) as u64;
        shares[index] = demands[index].min(fair);
        whole -= shares[index];
    }
    shares
}

/// spec: R-SHP-12, R-SHP-6
#[test]
fn a_hundred_peers_of_unequal_demand_share_fairly_and_the_cap_holds() {
    const RATE: u64 = 12_500_000;
    for seed in 0..5 {
        let mut rng = Rng::new(&Seed::from_u64(seed));
        let mut it = Plain::new(tree(Some(RATE)), 100);
        let (mut backlog, mut ideal) = (vec![0; 100], vec![0; 100]);
        for tick in 1..=1_000_u64 {
            // From a hundredth of the fair share to ten times that, in gifts of any size.
            for peer in 0..100_u32 {
                let rate = (1 + u64::from(peer * peer) / 10) * RATE / 10_000;
                let bytes = rng.below(2 * rate / 100 + 1);
                backlog[peer as usize] += bytes;
                it.give(peer, bytes);
            }
            for (peer, bytes) in max_min(&backlog, RATE / 100).into_iter().enumerate() {
                backlog[peer] -= bytes;
                ideal[peer] += bytes;
            }
            it.run_until(tick * SECOND / 100);
        }
        let whole: u64 = it.sources.iter().map(|source| source.sent).sum();
        assert!(whole * 1_000 >= 10 * RATE * 995, "all of the rate is used: {whole}");
        let fair = *ideal.iter().max().expect("a hundred");
        let apart = it.sources.iter().zip(&ideal).map(|(it, ideal)| it.sent.abs_diff(*ideal));
        let worst = apart.max().unwrap_or(0) * 100_000 / fair;
        assert!(worst < 500, "{worst} in 100,000 of the fair share");
        let most = it.most_in_a_second();
        assert!(most * 1_000 <= RATE * 1_006, "{most} in a second");
    }
}

/// spec: R-SHP-5, R-SHP-7
#[test]
fn a_peer_has_a_limit_of_its_own_and_others_have_what_it_leaves() {
    let mut it = Plain::new(tree(Some(1_000_000)), 3);
    it.tree.set_peer(0, Some(100_000), at(0));
    (0..3).for_each(|peer| it.give(peer, 1 << 40));
    it.run_until(10 * SECOND);
    let [slow, b, c] = [0, 1, 2].map(|peer: usize| it.sources[peer].sent);
    assert!(slow.abs_diff(1_000_000) <= 3 * LARGEST, "{slow}");
    assert!(b.abs_diff(c) <= 2 * LARGEST, "{b} {c}");
    assert!((slow + b + c).abs_diff(10_000_000) <= 6_000);
    // All of them alike, and then the one as the others.
    it.tree.set_each(Some(50_000), at(10 * SECOND));
    it.tree.set_peer(0, None, at(10 * SECOND));
    let before: Vec<u64> = it.sources.iter().map(|source| source.sent).collect();
    it.run_until(20 * SECOND);
    for (source, before) in it.sources.iter().zip(before) {
        assert!(
            (source.sent - before).abs_diff(500_000) <= 3 * LARGEST,
            "{}",
            source.sent - before
        );
    }
}

/// spec: R-SHP-5
#[test]
fn another_limit_holds_from_now_on() {
    let mut it = Plain::new(tree(Some(1_000_000)), 1);
    it.give(0, 1 << 40);
    it.run_until(SECOND);
    let first = it.sources[0].sent;
    it.tree.set_node(Some(3_000_000), at(SECOND));
    it.run_until(2 * SECOND);
    let second = it.sources[0].sent - first;
    assert!(second.abs_diff(3_000_000) <= 15_000 + LARGEST, "{second}");
    it.tree.set_node(None, at(2 * SECOND));
    assert!(!it.tree.is_limited());
    assert!(it.tree.turn(at(2 * SECOND)).is_some(), "nothing holds");
}

/// spec: R-SHP-8, R-SHP-9
#[test]
fn control_is_owed_and_paid_before_others_go_on() {
    let mut it = Plain::new(tree(Some(1_000_000)), 2);
    it.give(0, 1 << 40);
    it.run_until(SECOND);
    // Twice what the bucket holds, at once: it leaves, and no urgent stream may follow.
    assert!(it.tree.is_open_to_urgent(Some(1), at(SECOND)));
    it.tree.sent(Some(1), Class::Control, 10_000, at(SECOND));
    assert!(!it.tree.is_open_to_urgent(Some(1), at(SECOND)));
    assert!(it.tree.is_open_to_urgent(Some(1), at(SECOND + 5_000_000)));
    let before = it.sources[0].sent;
    it.run_until(2 * SECOND);
    let paid = it.sources[0].sent - before;
    assert!(paid.abs_diff(990_000) <= 2 * LARGEST, "{paid}");
}

/// spec: R-SHP-13
#[test]
fn control_counts_in_a_peers_turn() {
    let mut it = Plain::new(tree(Some(1_000_000)), 2);
    (0..2).for_each(|peer| it.give(peer, 1 << 40));
    for tick in 1..=1_000 {
        // A tenth of the rate is control for the first.
        it.tree.sent(Some(0), Class::Control, 1_000, at(it.now));
        it.run_until(tick * SECOND / 100);
    }
    let (first, second) = (it.sources[0].sent + 1_000_000, it.sources[1].sent);
    assert!(first.abs_diff(second) <= 8 * LARGEST, "{first} {second}");
}

/// spec: R-SHP-14
#[test]
fn connections_of_a_peer_follow_one_another() {
    let mut tree = tree(Some(1_000_000));
    for (peer, member) in [(1, 10), (1, 11), (2, 20)] {
        tree.wait(peer, member);
    }
    let mut now = at(0);
    let mut sent = [0_u64; 21];
    for _ in 0..3_000 {
        let turn = loop {
            match tree.turn(now) {
                Some(turn) => break turn,
                None => now = tree.deadline().expect("somebody waits"),
            }
        };
        sent[turn.member as usize] += LARGEST;
        tree.sent(Some(turn.peer), turn.first, LARGEST, now);
        tree.end_turn();
    }
    assert!(sent[10].abs_diff(sent[11]) <= 2 * LARGEST);
    assert!((sent[10] + sent[11]).abs_diff(sent[20]) <= 2 * LARGEST);
}

/// spec: R-SHP-15
#[test]
fn nothing_is_kept_of_who_is_gone() {
    let mut tree = tree(Some(1_000_000));
    tree.wait(1, 1);
    tree.set_peer(2, Some(10), at(0));
    tree.sent(Some(2), Class::Control, 10, at(0));
    tree.sent(Some(3), Class::Control, 10, at(0));
    assert_eq!(tree.peers(), 2, "who waits, and who has a limit");
    assert!(tree.turn(at(0)).is_some());
    tree.has_nothing();
    tree.forget(2, 2);
    assert_eq!((tree.peers(), tree.deadline()), (0, None));
}

/// Who leaves while a limit holds it, or in the middle of its turns, is gone at once, and takes no
/// other member's place along.
///
/// spec: R-SHP-15
#[test]
fn who_leaves_while_it_waits_leaves_nothing_behind() {
    let mut tree = tree(None);
    tree.set_peer(1, Some(10), at(0));
    tree.sent(Some(1), Class::Normal, 1 << 20, at(0));
    tree.wait(1, 10);
    tree.wait(1, 11);
    tree.wait(2, 20);
    assert_eq!(tree.turn(at(0)).map(|turn| turn.member), Some(20));
    assert!(tree.deadline().is_some(), "the first is held");
    tree.forget(2, 20);
    assert!(tree.turn(at(0)).is_none());
    tree.forget(1, 10);
    assert!(tree.deadline().is_some(), "it has another");
    tree.forget(1, 11);
    assert_eq!((tree.peers(), tree.deadline()), (0, None));
}

/// spec: R-SHP-7
#[test]
fn whoever_wakes_late_loses_nothing() {
    let mut it = Plain::new(tree(None), 1);
    it.tree = Tree::new(LARGEST, Duration::from_millis(1));
    it.tree.set_node(Some(10_000_000), at(0));
    it.give(0, 1 << 40);
    let mut wakes = 0;
    while it.now < SECOND {
        it.send();
        wakes += 1;
        let asked = it.tree.deadline().expect("it waits").as_nanos();
        it.now = asked.div_ceil(1_000_000) * 1_000_000 + 1_000_000;
    }
    let sent = it.sources[0].sent;
    assert!(sent >= 9_950_000, "{sent}");
    assert!(wakes <= 500, "woken {wakes} times");
}

proptest! {
    /// Whatever is given at whatever times: no byte is lost or made, no limit is passed, nobody
    /// waits for ever.
    ///
    /// spec: R-SHP-6, R-SHP-10
    #[test]
    fn every_byte_leaves_once_and_none_too_early(
        rate in 2_000_u64..50_000_000,
        each in prop::option::of(2_000_u64..5_000_000),
        gifts in prop::collection::vec(
            (0_u32..6, 1_u64..60_000, 0_u64..200_000_000, any::<bool>()), 1..40),
    ) {
        let mut it = Plain::new(tree(Some(rate)), 6);
        it.tree.set_each(each, at(0));
        let (mut given, mut control) = (0, 0);
        for (peer, bytes, pause, urgent) in gifts {
            if urgent {
                it.tree.sent(Some(peer), Class::Control, bytes, at(it.now));
                it.left.push((it.now, bytes, false));
                control += bytes;
            } else {
                it.give(peer, bytes);
                given += bytes;
            }
            let until = it.now + pause;
            it.run_until(until);
        }
        // As long as the slowest takes for all of it, and what it owes.
        let slowest = each.unwrap_or(rate).min(rate);
        let until = it.now + (given + control + 20 * LARGEST) * SECOND / slowest + SECOND;
        it.run_until(until);
        let sent: u64 = it.sources.iter().map(|source| source.sent).sum();
        prop_assert_eq!(sent, given);
        let (mut all, burst) = (0, (rate / 200).max(2 * LARGEST));
        for (when, bytes, asked) in &it.left {
            all += u128::from(*bytes);
            let most = u128::from(rate) * u128::from(*when) / u128::from(SECOND);
            prop_assert!(!asked || all <= most + u128::from(burst), "{} at {}", all, when);
        }
    }
}
