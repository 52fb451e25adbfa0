//! How threads and loops sleep, and what rouses them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

use aqueduct_core::wire::id::CarrierId;

use super::super::bell::Bell;
use super::super::news::{Knock, News};
use super::super::parked::Parked;
use super::super::primitives::{AtomicUsize, Ordering::Relaxed, spawn};
use super::super::sync::Poller;
use super::super::work::WorkList;
use super::bed;

/// Others count and wake this thread, so often each. It sees every count before it sleeps on: what
/// is counted has no order but that of the wake-ups.
pub(in super::super) fn a_thread_is_woken(wakers: usize, each: usize) {
    let parked = Parked::here();
    let waker = Waker::from(parked.clone());
    let count = Arc::new(AtomicUsize::new(0));
    let one = |_| {
        let (count, waker) = (count.clone(), waker.clone());
        spawn(move || {
            for _ in 0..each {
                count.fetch_add(1, Relaxed);
                waker.wake_by_ref();
            }
        })
    };
    let threads: Vec<_> = (0..wakers).map(one).collect();
    for wanted in [1, wakers * each] {
        let counted = poll_fn(|_| match count.load(Relaxed) >= wanted {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        assert_eq!(parked.wait(&waker, pin!(counted), None), Some(()));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A loop at a poller does the work of its handles, and ends when it is told to.
pub(in super::super) fn a_bell_is_heard(handles: usize, each: usize) {
    let bell = Arc::new(Bell::new(Poller::new()));
    let list = Arc::new(WorkList::default());
    let handle = |_| {
        let list = list.clone();
        spawn(move || {
            for _ in 0..each {
                list.push(()).unwrap().into_iter().for_each(Waker::wake);
            }
        })
    };
    let threads: Vec<_> = (0..handles).map(handle).collect();
    let waker = Waker::from(bell.clone());
    let (mut done, mut work) = (0, Vec::new());
    while done < handles * each {
        list.take(&mut work);
        done += work.drain(..).count();
        if done < handles * each && list.park(&waker) {
            bell.poller.wait();
        }
    }
    let stop = spawn({
        let bell = bell.clone();
        move || bell.stop()
    });
    while !bell.is_stopped() {
        bell.poller.wait();
    }
    stop.join().unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A runtime tells of connected sockets, and of the listening one; the task that sleeps hears of
/// each.
pub(in super::super) fn news_are_heard(tellers: u32, each: u32) {
    let news = News::new();
    assert_eq!(news.take_knock(), Knock::Heard, "somebody may have been there before");
    let teller = |number| {
        let (line, door) = (news.bell(Some(CarrierId(number))), news.bell(None));
        spawn(move || {
            door.wake();
            (0..each).for_each(|_| line.wake_by_ref());
        })
    };
    let threads: Vec<_> = (0..tellers).map(teller).collect();
    let (gate, waker) = bed();
    let (mut lines, mut knocked) = (VecDeque::new(), false);
    loop {
        news.report_to(&waker);
        knocked |= news.take_knock() == Knock::Heard;
        news.take_lines(&mut lines);
        if knocked && lines.len() == (tellers * each) as usize {
            break;
        }
        if !news.any() {
            gate.wait();
        }
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(lines.iter().all(|line| line.0 < tellers));
}
