//! Few steps, all interleavings.

use super::cases::{handoff, lent, loops, post, progress, room, waiting, work};

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
    every(3, || handoff::readers_find_everything(1, &[1], true));
    every(2, || handoff::readers_find_everything(1, &[1, FULL, 1], true));
    every(3, || handoff::readers_find_everything(1, &[FULL], false));
    every(4, handoff::a_lost_producer_is_noticed);
}

/// spec: R-HAND-5, R-HAND-7
#[test]
fn no_wake_up_of_two_readers_is_lost() {
    every(2, || handoff::readers_find_everything(2, &[1], true));
    every(1, || handoff::readers_find_everything(2, &[FULL], false));
}

/// spec: R-HAND-6
#[test]
fn no_credit_is_lost() {
    every(2, || handoff::credit_comes_back(1, &[1, FULL]));
    every(1, || handoff::credit_comes_back(2, &[1]));
}

/// spec: R-HAND-3, R-HAND-4
#[test]
fn readers_that_go_leave_nothing() {
    every(3, || handoff::readers_may_go(1, &[1, FULL]));
    every(2, || handoff::readers_may_go(2, &[1]));
    every(3, || handoff::passing_together_frees(&[FULL, 1]));
}

/// spec: R-HAND-3, R-HAND-7
#[test]
fn a_fork_on_the_way_reads_on() {
    every(3, || handoff::a_fork_on_the_way_reads_on(&[1, 1]));
    every(2, || handoff::a_fork_on_the_way_reads_on(&[FULL, 1]));
}

/// spec: R-HAND-9
#[test]
fn a_head_is_waited_for() {
    every(3, handoff::a_head_is_waited_for);
}

/// spec: R-HAND-12, R-HAND-13
#[test]
fn no_wish_is_lost() {
    every(3, || work::no_wish_is_lost(&[1], &[1]));
    every(3, || work::no_wish_is_lost(&[1, 1], &[]));
    every(2, || work::no_wish_is_lost(&[2], &[1]));
    every(2, || work::no_wish_is_lost(&[1, 1], &[1]));
}

/// spec: R-HAND-14
#[test]
fn nothing_is_left_at_the_end() {
    every(3, || work::nothing_is_left_at_the_end(1, 2));
    every(3, || work::nothing_is_left_at_the_end(2, 1));
}

/// spec: R-HAND-15
#[test]
fn all_work_is_done() {
    every(4, || post::all_work_is_done(1, 0));
    every(3, || post::all_work_is_done(2, 0));
    every(2, || post::all_work_is_done(3, 0));
    every(4, || post::all_work_is_done(0, 1));
    every(3, || post::all_work_is_done(1, 1));
    every(3, || post::all_work_is_done(0, 2));
    every(2, || post::all_work_is_done(2, 1));
}

/// spec: R-HAND-16
#[test]
fn all_that_comes_is_taken() {
    every(3, || waiting::all_that_comes_is_taken(1, 0, 1));
    every(2, || waiting::all_that_comes_is_taken(2, 0, 2));
    every(2, || waiting::all_that_comes_is_taken(1, 1, 1));
}

/// spec: R-HAND-17
#[test]
fn an_answer_comes() {
    every(4, || waiting::an_answer_comes(Some(7)));
    every(4, || waiting::an_answer_comes(None));
    every(4, waiting::the_last_waker_is_woken);
    every(4, waiting::an_asker_may_go);
}

/// spec: R-TAPE-19
#[test]
fn the_end_of_a_tape_is_heard() {
    every(3, || progress::the_end_is_heard(1, 1, 1));
    every(3, || progress::the_end_is_heard(2, 1, 1));
    every(2, || progress::the_end_is_heard(1, 0, 2));
}

/// spec: R-HAND-18
#[test]
fn a_thread_that_waits_is_woken() {
    every(4, || loops::a_thread_is_woken(1, 1));
    every(3, || loops::a_thread_is_woken(1, 2));
    every(3, || loops::a_thread_is_woken(2, 1));
}

/// spec: R-HAND-12, R-HAND-18
#[test]
fn a_loop_is_roused() {
    every(3, || loops::a_bell_is_heard(1, 1));
    every(2, || loops::a_bell_is_heard(2, 1));
    every(3, || loops::news_are_heard(1, 2));
    every(3, || loops::news_are_heard(2, 1));
}

/// spec: R-MODE-14
#[test]
fn who_waits_for_room_gets_it() {
    every(3, || room::everybody_gets_room(2, 1));
    every(2, || room::everybody_gets_room(3, 2));
}

/// spec: R-HAND-16
#[test]
fn who_looked_in_vain_is_called() {
    every(3, || lent::who_waits_is_called(1));
    every(2, || lent::who_waits_is_called(2));
}
