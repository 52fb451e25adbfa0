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
    /// Gives whoever slept.
    fn work(&mut self) -> Option<Waker> {
        let mut list = Vec::new();
        let sleeper = self.list.take(&mut list);
        self.done += list.iter().sum::<usize>();
        sleeper
    }
}

impl Errand for Desk {
    fn errand(&mut self, sleeper: &Waker) -> bool {
        if self.tired {
            return false;
        }
        // He sleeps on, or is called.
        let _sleeper = self.work();
        self.tired = true;
        // The driver is to see the end.
        self.done < self.all && self.list.park(sleeper)
    }

    fn answer(&mut self, sleeper: &mut Option<Waker>) {
        let other = self.work();
        *sleeper = sleeper.take().or(other);
    }
}

/// So many handles with one piece of work each, which they do or leave to the driver, and as many
/// askers, who leave him what follows of theirs: all of it is done, and he has seen the end, though
/// he sleeps whenever there is nothing for him.
pub(in super::super) fn all_work_is_done(handles: usize, askers: usize) {
    let list = Arc::new(WorkList::default());
    let desk = Desk { list: list.clone(), done: 0, all: handles + askers, tired: false };
    let post = Arc::new(Post::new(desk));
    let thread = |asks: bool| {
        let (list, post) = (list.clone(), post.clone());
        spawn(move || {
            let sleeper = list.push(1).unwrap();
            match asks {
                true => post.ask(sleeper),
                false => sleeper.into_iter().for_each(|sleeper| post.run(sleeper)),
            }
        })
    };
    let threads: Vec<_> = (0..handles + askers).map(|number| thread(number < askers)).collect();
    let (gate, waker) = bed();
    loop {
        let mut desk = post.enter().unwrap();
        desk.tired = false;
        assert!(desk.work().is_none(), "he is awake");
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
