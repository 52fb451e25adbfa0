//! Handles with wishes, and a driver that sleeps when there are none.

use std::sync::Arc;
use std::task::Waker;

use super::super::primitives::{AtomicUsize, Ordering::Relaxed, spawn};
use super::super::work::{Mark, WorkList};
use super::bed;

/// What is wished, and whether somebody is on the list for it. Nothing but the mark sees to it that
/// a wish is seen: it is written without any order.
#[derive(Default)]
struct Half {
    list: WorkList<()>,
    mark: Mark,
    urgent: AtomicUsize,
    idle: AtomicUsize,
}

impl Half {
    fn wish(&self) {
        self.urgent.fetch_add(1, Relaxed);
        let woken = self.mark.raise(&self.list, || ()).unwrap();
        woken.into_iter().for_each(Waker::wake);
    }

    fn mention(&self) {
        self.idle.fetch_add(1, Relaxed);
        let woken = self.mark.raise_quietly(&self.list, || ()).unwrap();
        woken.into_iter().for_each(Waker::wake);
    }

    /// What the driver does while he is awake. Gives how many wishes he sees, once it was on the
    /// list.
    fn serve(&self) -> Option<(usize, usize)> {
        let mut list = Vec::new();
        self.list.take(&mut list);
        list.pop()?;
        assert!(list.is_empty(), "it is on the list once");
        self.mark.clear();
        Some((self.urgent.load(Relaxed), self.idle.load(Relaxed)))
    }

    /// The driver: until he has seen so many wishes. Gives how much he heard by the way.
    fn drive(&self, wishes: usize) -> usize {
        let (gate, waker) = bed();
        loop {
            if let Some((urgent, heard)) = self.serve()
                && urgent == wishes
            {
                return heard;
            }
            if self.list.park(&waker) {
                gate.wait();
            }
        }
    }
}

/// Some wish and others mention, of the same half. The driver sees every wish without another
/// reason to be awake, and what was mentioned not later than when he looks again.
pub(in super::super) fn no_wish_is_lost(wishes: &[usize], mentions: &[usize]) {
    let half = Arc::new(Half::default());
    let threads = |counts: &[usize], ask: fn(&Half)| -> Vec<_> {
        let one = |&count: &usize| {
            let half = half.clone();
            spawn(move || (0..count).for_each(|_| ask(&half)))
        };
        counts.iter().map(one).collect()
    };
    let mut all = threads(wishes, Half::wish);
    all.extend(threads(mentions, Half::mention));
    let mut heard = half.drive(wishes.iter().sum());
    all.into_iter().for_each(|thread| thread.join().unwrap());
    if let Some((_, idle)) = half.serve() {
        heard = idle;
    }
    assert_eq!(heard, mentions.iter().sum::<usize>());
}

/// The list is closed while work is put on it: each piece is done, left for whoever closed it, or
/// given back.
pub(in super::super) fn nothing_is_left_at_the_end(givers: usize, each: usize) {
    let list = Arc::new(WorkList::default());
    let giver = |_| {
        let list = list.clone();
        spawn(move || (0..each).filter(|_| list.push(()).is_err()).count())
    };
    let threads: Vec<_> = (0..givers).map(giver).collect();
    let mut done = Vec::new();
    list.take(&mut done);
    let left = list.die();
    let back = threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>();
    assert_eq!(done.len() + left.len() + back, givers * each);
    assert!(!list.has_work() && list.push(()).is_err());
}
