//! A connection in the making, possibly by several addresses at once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::addrs::NodeAddr;
use crate::connection::{Connecting, Connection};
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::wait::Answer;

/// How long one address is given before the next is tried as well.
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection in the making. Dropped, it is given up.
#[derive(Debug)]
#[must_use = "nothing is waited for unless it is awaited; dropped, it is given up"]
pub struct Dialing {
    attempts: Vec<Connecting>,
    rest: Option<Rest>,
    failure: Option<ConnectError>,
}

/// What is left to try.
#[derive(Debug)]
struct Rest {
    endpoint: Endpoint,
    to: NodeAddr,
    next: usize,
    head_start: Option<Answer<()>>,
}

impl From<Connecting> for Dialing {
    /// Of one attempt that has begun.
    fn from(attempt: Connecting) -> Self {
        Self { attempts: vec![attempt], rest: None, failure: None }
    }
}

impl Endpoint {
    /// Dials a node. Of several addresses the next is tried when one has failed or has not answered
    /// for 250 ms; the first that answers is taken and the others are given up. The first attempt
    /// begins at once.
    pub fn dial(&self, to: NodeAddr) -> Dialing {
        let rest = Rest { endpoint: self.clone(), to, next: 0, head_start: None };
        let mut dialing = Dialing { attempts: Vec::new(), rest: Some(rest), failure: None };
        dialing.try_next();
        dialing
    }
}

impl Dialing {
    /// Begins with the next address that can be dialled; `false` if there is none left.
    fn try_next(&mut self) -> bool {
        let Some(rest) = &mut self.rest else { return false };
        rest.head_start = None;
        while let Some(&remote) = rest.to.addrs.get(rest.next) {
            rest.next += 1;
            match rest.endpoint.connect(rest.to.id, remote) {
                Ok(attempt) => {
                    self.attempts.push(attempt);
                    return true;
                }
                Err(error) => keep(&mut self.failure, error),
            }
        }
        self.rest = None;
        false
    }

    /// Whether the next address is due.
    fn poll_head_start(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(rest) = self.rest.as_mut().filter(|rest| rest.next < rest.to.addrs.len()) else {
            return false;
        };
        let endpoint = &rest.endpoint;
        let sleep = rest.head_start.get_or_insert_with(|| endpoint.alarm(HEAD_START));
        Pin::new(sleep).poll(cx).is_ready()
    }
}

/// The most telling failure: that of an attempt that was made, else the first.
fn keep(failure: &mut Option<ConnectError>, error: ConnectError) {
    if failure.is_none() || matches!(error, ConnectError::Failed(_)) {
        *failure = Some(error);
    }
}

impl Future for Dialing {
    type Output = Result<Connection, ConnectError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let mut at = 0;
            let mut failed = false;
            while let Some(attempt) = this.attempts.get_mut(at) {
                match Pin::new(attempt).poll(cx) {
                    Poll::Pending => at += 1,
                    Poll::Ready(Ok(connection)) => {
                        this.attempts.clear();
                        this.rest = None;
                        return Poll::Ready(Ok(connection));
                    }
                    Poll::Ready(Err(error)) => {
                        drop(this.attempts.remove(at));
                        keep(&mut this.failure, error);
                        failed = true;
                    }
                }
            }
            let due = failed || this.attempts.is_empty() || this.poll_head_start(cx);
            if due && this.try_next() {
                continue;
            }
            if this.attempts.is_empty() {
                let failure = this.failure.take();
                return Poll::Ready(Err(failure.unwrap_or(ConnectError::NoAddress)));
            }
            return Poll::Pending;
        }
    }
}
