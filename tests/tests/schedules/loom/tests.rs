//! Few steps, all interleavings.

use super::cases;

/// Tries every interleaving in which a thread is stopped against its will at most `bound` times.
fn every(bound: usize, case: impl Fn() + Send + Sync + 'static) {
    let mut model = ::loom::model::Builder::new();
    model.preemption_bound = Some(bound);
    model.check(case);
}

/// A chunk that fills a segment of a young stream.
const FULL: usize = 1024;

/// spec: R-HAND-1, R-HAND-2, R-HAND-5
#[test]
fn no_wake_up_is_lost() {
    every(3, || cases::readers_find_everything(1, &[1], true));
    every(2, || cases::readers_find_everything(1, &[1, FULL, 1], true));
    every(3, || cases::readers_find_everything(1, &[FULL], false));
    every(4, cases::a_lost_producer_is_noticed);
}

/// spec: R-HAND-5, R-HAND-7
#[test]
fn no_wake_up_of_two_readers_is_lost() {
    every(2, || cases::readers_find_everything(2, &[1], true));
    every(1, || cases::readers_find_everything(2, &[FULL], false));
}

/// spec: R-HAND-6
#[test]
fn no_credit_is_lost() {
    every(2, || cases::credit_comes_back(1, &[1, FULL]));
    every(1, || cases::credit_comes_back(2, &[1]));
}

/// spec: R-HAND-3, R-HAND-4
#[test]
fn readers_that_go_leave_nothing() {
    every(3, || cases::readers_may_go(1, &[1, FULL]));
    every(2, || cases::readers_may_go(2, &[1]));
    every(3, || cases::passing_together_frees(&[FULL, 1]));
}

/// spec: R-HAND-3, R-HAND-7
#[test]
fn a_fork_on_the_way_reads_on() {
    every(3, || cases::a_fork_on_the_way_reads_on(&[1, 1]));
    every(2, || cases::a_fork_on_the_way_reads_on(&[FULL, 1]));
}

/// spec: R-HAND-9
#[test]
fn a_head_is_waited_for() {
    every(3, cases::a_head_is_waited_for);
}
