//! A thread that writes what it is given, and who waits for its end.

use std::sync::Arc;

use super::super::primitives::{Condvar, Mutex, spawn};
use super::super::progress::Progress;
use super::block_on;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Said,
    Failed(Fault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault;

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// Pieces on their way, of one byte each.
#[derive(Default)]
struct Queue {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Queue {
    fn push(&self) {
        self.state.lock().unwrap().0 += 1;
        self.changed.notify_one();
    }

    fn close(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_one();
    }

    /// `None`: none is left, and none will come.
    fn next(&self) -> Option<()> {
        let mut state = self.state.lock().unwrap();
        while *state == (0, false) {
            state = self.changed.wait(state).unwrap();
        }
        state.0 = state.0.checked_sub(1)?;
        Some(())
    }
}

/// So many pieces are given and the end is said, while the thread writes some or all of them. Who
/// waits hears how many; and why it ended is known then.
pub(in super::super) fn the_end_is_heard(pieces: usize, written: usize, askers: usize) {
    let progress = Arc::new(Progress::<End, Fault>::default());
    let queue = Arc::new(Queue::default());
    let asker = |_| {
        let progress = progress.clone();
        spawn(move || (block_on(progress.over()), block_on(progress.gone()), progress.ended()))
    };
    let askers: Vec<_> = (0..askers).map(asker).collect();
    let thread = spawn({
        let (progress, queue) = (progress.clone(), queue.clone());
        move || {
            let mut left = written;
            while queue.next().is_some() {
                if left == 0 {
                    return progress.leave(Some(Fault));
                }
                left -= 1;
                progress.wrote(1);
            }
            progress.leave(None);
        }
    });
    for _ in 0..pieces {
        progress.given(1);
        queue.push();
    }
    progress.end(End::Said);
    queue.close();
    for asker in askers {
        let (over, gone, ended) = asker.join().unwrap();
        if written < pieces {
            assert_eq!(gone, Err(Fault));
            assert!([End::Said, End::Failed(Fault)].contains(&over), "whichever came first");
            assert!(ended.is_some());
        } else {
            assert_eq!(over, End::Said);
            assert_eq!((gone, ended), (Ok(pieces as u64), Some(End::Said)));
        }
    }
    thread.join().unwrap();
    assert_eq!(progress.waiting(), pieces - written);
}
