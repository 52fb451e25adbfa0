//! Who waits for a change of some state, or for an answer.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::super::answer::question;
use super::super::primitives::{Mutex, spawn};
use super::super::sync::lock;
use super::super::waiters::{Waiters, until};
use super::{bed, block_on};

#[derive(Default)]
struct State {
    here: usize,
    closed: bool,
    waiters: Waiters,
}

impl State {
    /// One of what is here; `None`: nothing more comes.
    fn next(&mut self) -> Option<Option<()>> {
        if let Some(left) = self.here.checked_sub(1) {
            self.here = left;
            return Some(Some(()));
        }
        self.closed.then_some(None)
    }
}

fn update(state: &Mutex<State>, change: impl FnOnce(&mut State)) {
    let wakers = {
        let mut state = lock(state);
        change(&mut state);
        state.waiters.take()
    };
    wakers.wake();
}

fn next(state: &Mutex<State>) -> impl Future<Output = Option<()>> {
    until(state, |state| &mut state.waiters, State::next)
}

/// Takers wait for what comes one by one, others ask and wait no longer. All that came is taken
/// once, and everybody hears of the end.
pub(in super::super) fn all_that_comes_is_taken(takers: usize, leavers: usize, pieces: usize) {
    let state = Arc::new(Mutex::new(State::default()));
    let taker = |_| {
        let state = state.clone();
        spawn(move || (0..).take_while(|_| block_on(next(&state)).is_some()).count())
    };
    let leaver = |_| {
        let state = state.clone();
        spawn(move || {
            let (_gate, waker) = bed();
            let asked = pin!(next(&state)).poll(&mut Context::from_waker(&waker));
            usize::from(asked == Poll::Ready(Some(())))
        })
    };
    let mut threads: Vec<_> = (0..takers).map(taker).collect();
    threads.extend((0..leavers).map(leaver));
    (0..pieces).for_each(|_| update(&state, |state| state.here += 1));
    update(&state, |state| state.closed = true);
    let taken = threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>();
    assert_eq!(taken, pieces);
    assert!(lock(&state).waiters.places.is_empty(), "who is gone leaves no place");
}

/// An answer comes, or the asker hears that none does.
pub(in super::super) fn an_answer_comes(sent: Option<usize>) {
    let (reply, answer) = question();
    let thread = spawn(move || match sent {
        Some(value) => reply.send(value),
        None => drop(reply),
    });
    assert_eq!(block_on(answer), sent);
    thread.join().unwrap();
}

/// An asker looks with one waker, then with another: the last one is woken.
pub(in super::super) fn the_last_waker_is_woken() {
    let (reply, answer) = question();
    let thread = spawn(move || reply.send(7));
    let mut answer = pin!(answer);
    let first = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let found = match first {
        Poll::Ready(found) => found,
        Poll::Pending => block_on(answer),
    };
    assert_eq!(found, Some(7));
    thread.join().unwrap();
}

/// An asker goes while he is answered: whoever answers may learn of it, and nothing is kept.
pub(in super::super) fn an_asker_may_go() {
    let kept = Arc::new(());
    let (reply, answer) = question();
    let thread = spawn({
        let kept = kept.clone();
        move || match reply.is_abandoned() {
            true => drop(reply),
            false => reply.send(kept),
        }
    });
    drop(answer);
    thread.join().unwrap();
    assert_eq!(Arc::strong_count(&kept), 1);
}
