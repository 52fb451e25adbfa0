//! Waiting without a runtime: sets of wakers, a future that asks again when woken, and answers to
//! single questions. Everything is plain [`std::task`], so a thread that parks can use it as well.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Locks, also after a panic elsewhere: what is behind our locks is whole between any two lines.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those who wait for one thing. A future has at most one place and gives it back when dropped, so
/// the set is never larger than the number of futures that live.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    places: Vec<Place>,
}

#[derive(Debug)]
enum Place {
    Free,
    Taken(Option<Waker>),
}

/// Wakers to be woken after the lock is let go.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }
}

impl From<Option<Waker>> for Wakers {
    fn from(waker: Option<Waker>) -> Self {
        Self(waker.into_iter().collect())
    }
}

impl Waiters {
    pub(crate) fn wait(&mut self, token: &mut Option<usize>, waker: &Waker) {
        let at = *token.get_or_insert_with(|| {
            let free = self.places.iter().position(|place| matches!(place, Place::Free));
            free.unwrap_or_else(|| {
                self.places.push(Place::Free);
                self.places.len() - 1
            })
        });
        let Some(place) = self.places.get_mut(at) else { return };
        match place {
            Place::Taken(Some(there)) => there.clone_from(waker),
            place => *place = Place::Taken(Some(waker.clone())),
        }
    }

    pub(crate) fn leave(&mut self, token: usize) {
        if let Some(place) = self.places.get_mut(token) {
            *place = Place::Free;
        }
        while matches!(self.places.last(), Some(Place::Free)) {
            self.places.pop();
        }
    }

    /// Takes everybody who waits; they keep their places until they have looked.
    pub(crate) fn take(&mut self) -> Wakers {
        let taken = self.places.iter_mut().filter_map(|place| match place {
            Place::Taken(waker) => waker.take(),
            Place::Free => None,
        });
        Wakers(taken.collect())
    }
}

/// Resolves when a look at the state finds what is waited for. Looks only when woken. Cancel-safe:
/// the look that finds something is the one that returns it.
pub(crate) struct Until<'a, S, F> {
    state: &'a Mutex<S>,
    which: fn(&mut S) -> &mut Waiters,
    look: F,
    token: Option<usize>,
}

pub(crate) fn until<'a, S, T, F>(
    state: &'a Mutex<S>,
    which: fn(&mut S) -> &mut Waiters,
    look: F,
) -> Until<'a, S, F>
where
    F: FnMut(&mut S) -> Option<T> + Unpin,
{
    Until { state, which, look, token: None }
}

impl<S, T, F: FnMut(&mut S) -> Option<T> + Unpin> Future for Until<'_, S, F> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        let mut state = lock(this.state);
        if let Some(found) = (this.look)(&mut state) {
            return Poll::Ready(found);
        }
        (this.which)(&mut state).wait(&mut this.token, cx.waker());
        Poll::Pending
    }
}

impl<S, F> Drop for Until<'_, S, F> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            (self.which)(&mut lock(self.state)).leave(token);
        }
    }
}

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

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    settled: bool,
    waker: Option<Waker>,
}

/// The side that answers. Dropped without an answer, the other side learns that there is none.
#[derive(Debug)]
pub(crate) struct Reply<T>(Arc<Mutex<Slot<T>>>);

/// The side that waits for one answer. Dropped, the answer is dropped when it comes.
#[derive(Debug)]
pub(crate) struct Answer<T>(Arc<Mutex<Slot<T>>>);

pub(crate) fn question<T>() -> (Reply<T>, Answer<T>) {
    let slot = Arc::new(Mutex::new(Slot { value: None, settled: false, waker: None }));
    (Reply(slot.clone()), Answer(slot))
}

impl<T> Reply<T> {
    /// Whether nobody waits any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    pub(crate) fn send(self, value: T) {
        lock(&self.0).value = Some(value);
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = lock(&self.0);
            slot.settled = true;
            slot.waker.take()
        };
        Wakers::from(waker).wake();
    }
}

impl<T> Future for Answer<T> {
    /// `None`: whoever should have answered is gone.
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = lock(&self.0);
        if slot.settled {
            return Poll::Ready(slot.value.take());
        }
        slot.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
