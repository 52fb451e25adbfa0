//! Room that is shared, and who waits for some.

use std::task::Waker;

use super::sync::{Mutex, lock};

/// How much of it is taken.
#[derive(Debug)]
pub(crate) struct Room(Mutex<Taken>);

#[derive(Debug)]
struct Taken {
    bytes: u64,
    /// One of each task that waits.
    waiting: Vec<Waker>,
}

impl Default for Room {
    fn default() -> Self {
        Self(Mutex::new(Taken { bytes: 0, waiting: Vec::new() }))
    }
}

impl Room {
    /// Takes so many bytes, if no more than `most` are taken then, and says how many are. `None`:
    /// there is no room now, and `waker` is told when there may be.
    pub(crate) fn take(&self, bytes: u64, most: u64, waker: &Waker) -> Option<u64> {
        let mut taken = lock(&self.0);
        if taken.bytes.saturating_add(bytes) > most {
            if !taken.waiting.iter().any(|other| other.will_wake(waker)) {
                taken.waiting.push(waker.clone());
            }
            return None;
        }
        taken.bytes += bytes;
        Some(taken.bytes)
    }

    /// So many are there for others.
    pub(crate) fn give_back(&self, bytes: u64) {
        let waiting = {
            let mut taken = lock(&self.0);
            taken.bytes -= bytes;
            std::mem::take(&mut taken.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    #[cfg(test)]
    pub(crate) fn taken(&self) -> u64 {
        lock(&self.0).bytes
    }
}
