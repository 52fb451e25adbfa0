use super::RangeSet;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Insert(u64, u64),
    Remove(u64, u64),
}

fn op() -> impl Strategy<Value = Op> {
    let range = (0_u64..60, 0_u64..12);
    prop_oneof![
        range.clone().prop_map(|(s, l)| Op::Insert(s, s + l)),
        range.prop_map(|(s, l)| Op::Remove(s, s + l)),
    ]
}

fn check(set: &RangeSet, model: &BTreeSet<u64>) {
    let flat: Vec<u64> = set.iter().flatten().collect();
    assert_eq!(flat, model.iter().copied().collect::<Vec<_>>());
    let ranges: Vec<_> = set.iter().collect();
    assert!(ranges.iter().all(|r| r.start < r.end));
    assert!(ranges.windows(2).all(|w| w[0].end < w[1].start), "{ranges:?}");
    assert_eq!(set.len(), model.len() as u64);
}

proptest! {
    #[test]
    fn agrees_with_a_plain_set(ops in proptest::collection::vec(op(), 0..60)) {
        let (mut set, mut model) = (RangeSet::new(), BTreeSet::new());
        for op in ops {
            match op {
                Op::Insert(s, e) => {
                    let expected = set.count_with(&(s..e));
                    let added = (s..e).filter(|v| model.insert(*v)).count() as u64;
                    let vacancy = set.vacancy(&(s..e));
                    prop_assert!(s == e || vacancy.is_some() == set.is_disjoint(&(s..e)));
                    let filled = vacancy.filter(|_| s < e).map(|at| {
                        let mut filled = set.clone();
                        filled.fill(at, s..e);
                        filled
                    });
                    prop_assert_eq!(set.insert(s..e), added);
                    prop_assert!(filled.is_none_or(|filled| filled == set));
                    prop_assert_eq!(set.count(), expected);
                }
                Op::Remove(s, e) => {
                    let removed = (s..e).filter(|v| model.remove(v)).count() as u64;
                    prop_assert_eq!(set.remove(s..e), removed);
                }
            }
            check(&set, &model);
            for v in 0..75 {
                prop_assert_eq!(set.contains(v), model.contains(&v));
            }
            for (s, e) in [(0, 5), (3, 40), (20, 21), (10, 72)] {
                prop_assert_eq!(set.covers(&(s..e)), (s..e).all(|v| model.contains(&v)));
                prop_assert_eq!(set.is_disjoint(&(s..e)), (s..e).all(|v| !model.contains(&v)));
                let gaps: Vec<u64> = set.gaps(s..e).flatten().collect();
                let absent: Vec<u64> = (s..e).filter(|v| !model.contains(v)).collect();
                prop_assert_eq!(gaps, absent);
            }
        }
    }
}

#[test]
fn the_largest_numbers_are_in_reach() {
    let mut set = RangeSet::new();
    assert_eq!(set.insert(u64::MAX - 2..u64::MAX), 2);
    assert_eq!(set.insert(0..1), 1);
    assert!(set.contains(u64::MAX - 1));
    assert!(!set.contains(u64::MAX));
    let mut gaps = set.gaps(u64::MAX - 5..u64::MAX);
    assert_eq!((gaps.next(), gaps.next()), (Some(u64::MAX - 5..u64::MAX - 2), None));
    drop(gaps);
    assert_eq!(set.gaps(u64::MAX..u64::MAX).count(), 0);
    assert_eq!(set.remove(1..u64::MAX), 2);
    assert_eq!((set.count(), set.first()), (1, Some(0..1)));
}

#[test]
fn removing_within_one_range_leaves_two() {
    let mut set = RangeSet::new();
    set.insert(0..10);
    set.insert(20..30);
    assert_eq!(set.remove(3..5), 2);
    assert_eq!(set.iter().collect::<Vec<_>>(), [0..3, 5..10, 20..30]);
    assert_eq!(set.remove(2..25), 11);
    assert_eq!(set.iter().collect::<Vec<_>>(), [0..2, 25..30]);
    assert_eq!(set.remove(2..25), 0);
}
