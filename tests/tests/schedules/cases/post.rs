//! Handles that have work, and a place where one at a time does it.

use std::sync::Arc;
use std::task::Waker;

use super::super::post::{Errand, Post};
use super::super::primitives::spawn;
use super::super::work::WorkList;
use super::bed;

/// What one works with. Who did something on an errand is the last one until the driver was there.
struct Desk {
    list: Arc<WorkList<usize>>,
    done: usize,
    all: usize,
    tired: bool,
}

impl Desk {
    fn work(&mut self) {
        let mut list = Vec::new();
        self.list.take(&mut list);
        self.done += list.iter().sum::<usize>();
    }
}

impl Errand for Desk {
    fn errand(&mut self, sleeper: &Waker) -> bool {
        if self.tired {
            return false;
        }
        self.work();
        self.tired = true;
        // The driver is to see the end.
        self.done < self.all && self.list.park(sleeper)
    }
}

/// So many handles with one piece of work each: all of it is done, by themselves or by the driver,
/// who comes for what they leave and otherwise sleeps.
pub(in super::super) fn all_work_is_done(handles: usize) {
    let list = Arc::new(WorkList::default());
    let desk = Desk { list: list.clone(), done: 0, all: handles, tired: false };
    let post = Arc::new(Post::new(desk));
    let handle = |_| {
        let (list, post) = (list.clone(), post.clone());
        spawn(move || {
            let sleeper = list.push(1).unwrap();
            sleeper.into_iter().for_each(|sleeper| post.run(sleeper));
        })
    };
    let threads: Vec<_> = (0..handles).map(handle).collect();
    let (gate, waker) = bed();
    loop {
        let mut desk = post.enter().unwrap();
        desk.tired = false;
        desk.work();
        if desk.done == desk.all {
            break;
        }
        let sleeps = list.park(&waker);
        drop(desk);
        if sleeps {
            gate.wait();
        }
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(!list.has_work());
}
