//! Tests of `budget.rs`.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::*;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// spec: R-FLOW-4 R-LIM-3
#[test]
fn floors_take_at_most_half_and_the_error_says_how_to_mend_it() {
    let at = BudgetLimits::new(8192 * 2 * FLOOR, 8192).expect("exactly half");
    assert_eq!(at.pool(), at.total() / 2);
    let above = BudgetLimits::new(8192 * 2 * FLOOR, 8193).expect_err("one more");
    let said = above.to_string();
    for part in
        ["max_connections = 8193", "floor of 16384", "budget = 268435456", "to 8192", "268468224"]
    {
        assert!(said.contains(part), "{part:?} is not in {said:?}");
    }
    assert!(
        BudgetLimits::new(268_468_224, 8193).is_ok(),
        "the budget that the error names is enough"
    );
    assert!(BudgetLimits::new(8192 * 2 * FLOOR, 8192).is_ok(), "so is the count");
    BudgetLimits::new(512 * MIB, 10_000).expect("ten thousand fit 512 MiB");
    let usual = BudgetLimits::default();
    assert_eq!(BudgetLimits::new(usual.total(), usual.max_connections()), Ok(usual));
    assert_eq!((usual.total(), usual.max_connections()), (256 * MIB, 4096));
}

#[test]
fn senseless_sizes_are_refused() {
    assert_eq!(BudgetLimits::new(MIB, 0), Err(BudgetError::NoConnections));
    let small = BudgetLimits::with_floor(MIB, 1, 4095);
    assert_eq!(small, Err(BudgetError::FloorTooSmall { floor: 4095 }));
    assert!(BudgetLimits::with_floor(8192, 1, 4096).is_ok());
    assert!(BudgetLimits::with_floor(u64::MAX, u32::MAX, u64::MAX).is_err(), "no overflow");
}

/// spec: R-FLOW-4
#[test]
fn ten_thousand_connections_fit_half_a_gibibyte_and_one_more_is_busy() {
    let mut budget = Budget::new(BudgetLimits::new(512 * MIB, 10_000).expect("fits"));
    let mut shares = Vec::new();
    for _ in 0..10_000 {
        let mut share = budget.open().expect("a place");
        assert!(share.size() >= FLOOR);
        budget.borrow(&mut share, u64::MAX);
        shares.push(share);
    }
    budget.check(&shares);
    assert!(budget.open().is_none(), "one more is refused");
    budget.close(shares.pop().expect("some"));
    assert!(budget.open().is_some(), "until one leaves");
}

/// spec: R-FLOW-5
#[test]
fn first_shares_shrink_with_what_is_free_and_never_below_the_floor() {
    let mut budget = Budget::new(BudgetLimits::new(32 * MIB, 1024).expect("fits"));
    let (mut last, mut smallest) = (u64::MAX, u64::MAX);
    for _ in 0..1024 {
        let free = budget.free();
        let share = budget.open().expect("a place");
        assert_eq!(share.size(), (free / 64).clamp(FLOOR, 1600 * KIB));
        assert!(share.size() <= last);
        (last, smallest) = (share.size(), smallest.min(share.size()));
    }
    assert_eq!(smallest, FLOOR);
    let mut rich = Budget::new(BudgetLimits::new(1024 * MIB, 16).expect("fits"));
    assert_eq!(rich.open().expect("a place").size(), 1600 * KIB);
}

/// spec: R-FLOW-6
#[test]
fn nobody_borrows_more_than_stays_free() {
    let mut budget = Budget::new(BudgetLimits::new(64 * MIB, 16).expect("fits"));
    let mut one = budget.open().expect("a place");
    budget.borrow(&mut one, u64::MAX);
    assert!(one.lent() <= budget.free() && one.lent() + 2 > budget.free());
    let mut two = budget.open().expect("a place");
    budget.borrow(&mut two, u64::MAX);
    assert!(two.lent() <= budget.free(), "a newcomer finds something");
    assert_eq!(budget.borrow(&mut one, 1), 0);
    budget.check([&one, &two]);
    let lent = one.lent();
    assert_eq!(budget.repay(&mut one, u64::MAX), lent);
    assert_eq!(one.size(), FLOOR, "the floor stays");
    assert!(!budget.take_freed(), "nobody waits");
    budget.await_credit();
    assert!(!budget.take_freed(), "nothing came back since");
    budget.borrow(&mut one, 10);
    budget.repay(&mut one, 10);
    assert!(budget.take_freed() && !budget.take_freed(), "said once");
}

/// spec: R-FLOW-6 R-FLOW-23
#[test]
fn demand_is_remembered_only_when_the_pool_is_short_and_planned_ten_times_a_second() {
    let mut budget = Budget::new(BudgetLimits::new(2 * MIB, 64).expect("fits"));
    let mut one = budget.open().expect("a place");
    budget.borrow(&mut one, u64::MAX);
    assert_eq!(budget.deadline(), None, "half of the pool is free");
    let mut shares: Vec<_> = (0..20).map(|_| budget.open().expect("a place")).collect();
    for share in &mut shares {
        budget.borrow(share, u64::MAX);
    }
    assert_eq!(budget.deadline(), Some(Instant::ZERO), "at once");
    let now = Instant::ZERO + Duration::from_secs(9);
    let candidate = |key: u32, lent: u64, age: u64| Candidate {
        key,
        recallable: 30 * KIB,
        lent,
        active_at: now.saturating_sub(Duration::from_millis(age)),
    };
    let part = MIB / 22;
    let candidates = [
        candidate(1, part, 10),         // busy, holds its part
        candidate(2, part + KIB, 10),   // busy, holds more
        candidate(3, 20 * KIB, 5_000),  // idle
        candidate(4, 100 * KIB, 8_000), // idle for longest
        Candidate { recallable: 0, ..candidate(5, MIB, 8_500) },
        candidate(6, part - KIB, 10), // busy, holds less than its part
    ];
    let plan = budget.plan(candidates, now);
    assert_eq!(plan, [(4, 30 * KIB), (3, 20 * KIB), (2, KIB)]);
    assert_eq!(budget.deadline(), None, "asked once");
    budget.borrow(&mut one, u64::MAX);
    assert_eq!(budget.deadline(), Some(now + Duration::from_millis(100)));
    assert!(budget.plan(candidates, now + Duration::from_millis(99)).is_empty());
    assert!(!budget.plan(candidates, now + Duration::from_millis(100)).is_empty());
}

/// A quarter of the pool is enough for others.
///
/// spec: R-FLOW-6
#[test]
fn the_pool_is_short_below_a_quarter() {
    let mut budget = Budget::new(BudgetLimits::new(2 * MIB, 64).expect("fits"));
    let pool = budget.limits().pool();
    let mut share = budget.open().expect("a place");
    budget.repay(&mut share, u64::MAX);
    let lent = budget.free() - pool / 2;
    let _loan = budget.lend(lent).expect("it is free");
    assert_eq!(budget.borrow(&mut share, u64::MAX), pool / 4);
    assert_eq!((budget.free(), budget.deadline()), (pool / 4, None));
    assert_eq!((budget.borrow(&mut share, 0), budget.deadline()), (0, None), "nothing is missing");
    let _more = budget.lend(1).expect("it is free");
    budget.borrow(&mut share, u64::MAX);
    assert_eq!(budget.deadline(), Some(Instant::ZERO));
}

/// spec: R-FLOW-23
#[test]
fn no_more_is_asked_back_than_is_missing() {
    let mut budget = Budget::new(BudgetLimits::new(2 * MIB, 64).expect("fits"));
    let mut shares: Vec<_> = (0..20).map(|_| budget.open().expect("a place")).collect();
    for share in &mut shares {
        budget.borrow(share, 60 * KIB);
    }
    let now = Instant::ZERO + Duration::from_secs(9);
    let idle = |key: u32| Candidate {
        key,
        recallable: 50 * KIB,
        lent: 60 * KIB,
        active_at: Instant::ZERO + Duration::from_millis(key.into()),
    };
    // A sixteenth of the pool at least, from whom was idle for longest.
    let plan = budget.plan([3, 1, 2].map(idle), now);
    let missing = budget.limits().pool() / 16;
    assert_eq!(plan, [(1, 50 * KIB), (2, missing - 50 * KIB)]);
}

/// spec: R-PIPE-14 R-FLOW-2
#[test]
fn what_is_lent_to_pipes_is_counted_until_it_is_settled() {
    let mut budget = Budget::new(BudgetLimits::new(4 * MIB, 16).expect("fits"));
    assert_eq!((budget.connections(), budget.committed()), (0, 0));
    let shares = [budget.open().expect("a place"), budget.open().expect("a place")];
    assert_eq!(budget.connections(), 2);
    let (before, free) = (budget.committed(), budget.free());
    let mut one = budget.lend(3 * KIB).expect("there is enough");
    let mut two = budget.lend(5 * KIB).expect("there is enough");
    budget.check(&shares);
    assert_eq!((budget.committed(), budget.free()), (before + 8 * KIB, free - 8 * KIB));
    assert!(budget.lend(free).is_none(), "more than there is");
    budget.settle(&mut one, KIB);
    budget.check(&shares);
    budget.settle(&mut two, u64::MAX);
    budget.settle(&mut one, u64::MAX);
    budget.check(&shares);
    assert_eq!((budget.committed(), budget.free()), (before, free));
}

#[derive(Clone, Debug)]
enum Step {
    Open,
    Close(usize),
    Borrow(usize, u64),
    Repay(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Open),
        any::<usize>().prop_map(Step::Close),
        (any::<usize>(), 0..4 * MIB).prop_map(|(i, n)| Step::Borrow(i, n)),
        (any::<usize>(), 0..4 * MIB).prop_map(|(i, n)| Step::Repay(i, n)),
    ]
}

proptest! {
    /// spec: R-FLOW-2
    #[test]
    fn shares_always_fit_the_budget(steps in proptest::collection::vec(step(), 1..200)) {
        let mut budget = Budget::new(BudgetLimits::new(4 * MIB, 40).expect("fits"));
        let mut shares: Vec<Share> = Vec::new();
        for step in steps {
            match step {
                Step::Open => shares.extend(budget.open()),
                Step::Close(i) if !shares.is_empty() => {
                    let i = i % shares.len();
                    budget.close(shares.swap_remove(i));
                }
                Step::Borrow(i, n) if !shares.is_empty() => {
                    let i = i % shares.len();
                    let before = shares[i].size();
                    let lent = budget.borrow(&mut shares[i], n);
                    prop_assert!(lent <= n);
                    prop_assert_eq!(shares[i].size(), before + lent);
                }
                Step::Repay(i, n) if !shares.is_empty() => {
                    let i = i % shares.len();
                    budget.repay(&mut shares[i], n);
                }
                _ => {}
            }
            budget.check(&shares);
            prop_assert!(shares.iter().all(|share| share.size() >= FLOOR));
        }
        for share in shares {
            budget.close(share);
        }
        prop_assert_eq!(budget.committed(), 0);
    }
}
