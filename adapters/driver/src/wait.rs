//! Waiting without a runtime: what [`crate::threads`] has for it, and lines of those who wait for
//! answers.

use std::collections::VecDeque;

pub(crate) use crate::threads::{Answer, Reply, Waiters, Wakers, lock, question, until};

/// Requests that wait their turn, each with a reply. Those whose asker is gone are cleared out when
/// the line has doubled, so that it is never much longer than the number of askers.
#[derive(Debug)]
pub(crate) struct Line<T, R> {
    requests: VecDeque<(T, Reply<R>)>,
    clear_at: usize,
}

impl<T, R> Default for Line<T, R> {
    fn default() -> Self {
        Self { requests: VecDeque::new(), clear_at: Self::SHORT }
    }
}

impl<T, R> Line<T, R> {
    const SHORT: usize = 32;

    /// At the end of the line.
    pub(crate) fn push(&mut self, request: T, reply: Reply<R>) {
        if self.requests.len() >= self.clear_at {
            self.requests.retain(|(_, reply)| !reply.is_abandoned());
            self.clear_at = (2 * self.requests.len()).max(Self::SHORT);
        }
        self.requests.push_back((request, reply));
    }

    /// Back to the head of the line.
    pub(crate) fn put_back(&mut self, request: T, reply: Reply<R>) {
        self.requests.push_front((request, reply));
    }

    /// The first that somebody still waits for.
    pub(crate) fn next(&mut self) -> Option<(T, Reply<R>)> {
        while let Some(first) = self.requests.pop_front() {
            if !first.1.is_abandoned() {
                return Some(first);
            }
        }
        None
    }
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
