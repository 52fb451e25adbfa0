//! A connection on its way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{ConnGuard, ConnShared, Connection};
use crate::error::ConnectError;
use crate::wait::lock;

/// A connection that is being made. Dropped, it is given up.
pub struct Connecting {
    guard: Option<Arc<ConnGuard>>,
    token: Option<usize>,
}

impl Connecting {
    pub(crate) fn new(shared: Arc<ConnShared>) -> Self {
        let guard = Arc::new(ConnGuard(shared));
        let _once = guard.0.guard.set(Arc::downgrade(&guard));
        Self { guard: Some(guard), token: None }
    }

    fn leave(&mut self) {
        if let (Some(guard), Some(token)) = (&self.guard, self.token.take()) {
            lock(&guard.0.state).waiting.start.leave(token);
        }
    }
}

impl Future for Connecting {
    type Output = Result<Connection, ConnectError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(guard) = &this.guard else {
            return Poll::Ready(Err(ConnectError::EndpointClosed));
        };
        let outcome = {
            let mut state = lock(&guard.0.state);
            match (state.connected, state.peer, &state.end) {
                (true, Some(peer), _) => Ok(peer),
                (_, _, Some(end)) => Err(end.clone()),
                (_, _, None) => {
                    state.waiting.start.wait(&mut this.token, cx.waker());
                    return Poll::Pending;
                }
            }
        };
        this.leave();
        let guard = this.guard.take().ok_or(ConnectError::EndpointClosed)?;
        Poll::Ready(outcome.map(|peer| Connection { guard, peer }))
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.leave();
    }
}

impl std::fmt::Debug for Connecting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}
