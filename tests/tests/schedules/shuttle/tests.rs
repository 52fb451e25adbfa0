//! Many steps, random interleavings.

use super::cases;

const LENS: [usize; 8] = [1, 1024, 3, 3, 700, 700, 1, 2048];

fn often(case: impl Fn() + Send + Sync + 'static) {
    ::shuttle::check_pct(case, 400, 4);
}

/// spec: R-HAND-1, R-HAND-2, R-HAND-5, R-HAND-7
#[test]
fn readers_find_everything() {
    often(|| cases::readers_find_everything(3, &LENS, true));
    often(|| cases::readers_find_everything(2, &LENS, false));
    often(cases::a_lost_producer_is_noticed);
}

/// spec: R-HAND-6
#[test]
fn credit_comes_back() {
    often(|| cases::credit_comes_back(1, &LENS));
    often(|| cases::credit_comes_back(3, &LENS));
}

/// spec: R-HAND-3, R-HAND-4
#[test]
fn readers_may_go() {
    often(|| cases::readers_may_go(3, &LENS));
    often(|| cases::passing_together_frees(&LENS));
}

/// spec: R-HAND-7
#[test]
fn a_fork_on_the_way_reads_on() {
    often(|| cases::a_fork_on_the_way_reads_on(&LENS));
}

/// spec: R-HAND-9
#[test]
fn a_head_is_waited_for() {
    often(cases::a_head_is_waited_for);
}
