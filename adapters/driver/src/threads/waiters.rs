//! Sets of wakers, and a future that asks again when woken. Everything is plain [`std::task`], so a
//! thread that parks can use it as well.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::sync::{Mutex, lock};

/// Those who wait for one thing. A future has at most one place and gives it back when dropped, so
/// the set is never larger than the number of futures that live.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    pub(super) places: Vec<Place>,
}

#[derive(Debug)]
pub(super) enum Place {
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
        self.take_others(None)
    }

    /// The same, but for who has this place.
    pub(crate) fn take_others(&mut self, own: Option<usize>) -> Wakers {
        let taken = self.places.iter_mut().enumerate().filter_map(|(at, place)| match place {
            Place::Taken(waker) if own != Some(at) => waker.take(),
            _ => None,
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
