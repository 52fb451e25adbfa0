//! One thread at a time; all at once is for the model checkers.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::sync::{Arc, Mutex};
use super::*;

#[derive(Default)]
struct Counting(AtomicU64);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counting() -> (Arc<Counting>, Waker) {
    let counting = Arc::new(Counting::default());
    (counting.clone(), counting.into())
}

#[derive(Default)]
struct State {
    value: Option<u32>,
    waiters: Waiters,
}

#[test]
fn everybody_who_waits_is_woken_and_one_gets_the_value() {
    let state = Mutex::new(State::default());
    let ((first, a), (second, b)) = (counting(), counting());
    let mut one = pin!(until(&state, |state| &mut state.waiters, |state| state.value.take()));
    let mut two = pin!(until(&state, |state| &mut state.waiters, |state| state.value.take()));
    assert!(one.as_mut().poll(&mut Context::from_waker(&a)).is_pending());
    assert!(two.as_mut().poll(&mut Context::from_waker(&b)).is_pending());
    let wakers = {
        let mut state = lock(&state);
        state.value = Some(7);
        state.waiters.take()
    };
    wakers.wake();
    assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 1));
    assert!(matches!(two.as_mut().poll(&mut Context::from_waker(&b)), Poll::Ready(7)));
    assert!(one.as_mut().poll(&mut Context::from_waker(&a)).is_pending());
}

#[test]
fn waits_that_are_dropped_leave_no_place_behind() {
    let state = Mutex::new(State::default());
    let (_, waker) = counting();
    let mut cx = Context::from_waker(&waker);
    for _ in 0..1000 {
        let wait = || until(&state, |state| &mut state.waiters, |state| state.value.take());
        let (mut one, mut two) = (Box::pin(wait()), Box::pin(wait()));
        assert!(one.as_mut().poll(&mut cx).is_pending());
        assert!(two.as_mut().poll(&mut cx).is_pending());
        drop(one);
        assert!(two.as_mut().poll(&mut cx).is_pending());
        assert_eq!(lock(&state).waiters.places.len(), 2);
    }
    assert!(lock(&state).waiters.places.is_empty());
}

#[test]
fn an_answer_comes_once_and_a_question_that_is_dropped_is_answered_by_nothing() {
    let (counter, waker) = counting();
    let mut cx = Context::from_waker(&waker);
    let (reply, answer) = question();
    let mut answer = pin!(answer);
    assert!(answer.as_mut().poll(&mut cx).is_pending());
    reply.send(5);
    assert_eq!(counter.0.load(Ordering::Relaxed), 1);
    assert_eq!(answer.as_mut().poll(&mut cx), Poll::Ready(Some(5)));
    let (reply, answer) = question::<u32>();
    let mut answer = pin!(answer);
    assert!(answer.as_mut().poll(&mut cx).is_pending());
    drop(reply);
    assert_eq!(counter.0.load(Ordering::Relaxed), 2);
    assert_eq!(answer.as_mut().poll(&mut cx), Poll::Ready(None));
}
