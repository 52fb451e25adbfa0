//! Many steps, random interleavings.

use super::cases::{handoff, lent, loops, post, progress, room, waiting, work};

const LENS: [usize; 8] = [1, 1024, 3, 3, 700, 700, 1, 2048];

fn often(case: impl Fn() + Send + Sync + 'static) {
    ::shuttle::check_pct(case, 400, 4);
}

/// spec: R-HAND-1, R-HAND-2, R-HAND-5, R-HAND-7
#[test]
fn readers_find_everything() {
    often(|| handoff::readers_find_everything(3, &LENS, true));
    often(|| handoff::readers_find_everything(2, &LENS, false));
    often(handoff::a_lost_producer_is_noticed);
}

/// spec: R-HAND-6
#[test]
fn credit_comes_back() {
    often(|| handoff::credit_comes_back(1, &LENS));
    often(|| handoff::credit_comes_back(3, &LENS));
}

/// spec: R-HAND-3, R-HAND-4
#[test]
fn readers_may_go() {
    often(|| handoff::readers_may_go(3, &LENS));
    often(|| handoff::passing_together_frees(&LENS));
}

/// spec: R-HAND-7
#[test]
fn a_fork_on_the_way_reads_on() {
    often(|| handoff::a_fork_on_the_way_reads_on(&LENS));
}

/// spec: R-HAND-9
#[test]
fn a_head_is_waited_for() {
    often(handoff::a_head_is_waited_for);
}

/// spec: R-HAND-12, R-HAND-13
#[test]
fn no_wish_is_lost() {
    often(|| work::no_wish_is_lost(&[1], &[1]));
    often(|| work::no_wish_is_lost(&[3, 2], &[2, 3]));
}

/// spec: R-HAND-14
#[test]
fn nothing_is_left_at_the_end() {
    often(|| work::nothing_is_left_at_the_end(4, 3));
}

/// spec: R-HAND-15
#[test]
fn all_work_is_done() {
    often(|| post::all_work_is_done(6, 0));
    often(|| post::all_work_is_done(3, 3));
}

/// spec: R-HAND-16
#[test]
fn all_that_comes_is_taken() {
    often(|| waiting::all_that_comes_is_taken(3, 2, 6));
}

/// spec: R-HAND-17
#[test]
fn an_answer_comes() {
    often(|| waiting::an_answer_comes(Some(7)));
    often(|| waiting::an_answer_comes(None));
    often(waiting::the_last_waker_is_woken);
    often(waiting::an_asker_may_go);
}

/// spec: R-TAPE-19
#[test]
fn the_end_of_a_tape_is_heard() {
    often(|| progress::the_end_is_heard(5, 5, 2));
    often(|| progress::the_end_is_heard(5, 2, 2));
}

/// spec: R-HAND-18
#[test]
fn a_thread_that_waits_is_woken() {
    often(|| loops::a_thread_is_woken(3, 4));
}

/// spec: R-HAND-12, R-HAND-18
#[test]
fn a_loop_is_roused() {
    often(|| loops::a_bell_is_heard(3, 3));
    often(|| loops::news_are_heard(3, 3));
}

/// spec: R-MODE-14
#[test]
fn who_waits_for_room_gets_it() {
    often(|| room::everybody_gets_room(5, 3));
}

/// spec: R-HAND-16
#[test]
fn who_looked_in_vain_is_called() {
    often(|| lent::who_waits_is_called(3));
}
