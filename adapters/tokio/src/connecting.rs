//! A connection in the making, possibly by several addresses at once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aqueduct_driver::NodeAddr;
use aqueduct_driver::error::ConnectError;
use tokio::time::Sleep;

use crate::connection::Connection;

/// How long one address is given before the next is tried as well.
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection in the making. Dropped, it is given up.
#[derive(Debug)]
#[must_use = "nothing is waited for unless it is awaited; dropped, it is given up"]
pub struct Connecting {
    attempts: Vec<aqueduct_driver::Connecting>,
    dial: Option<Dial>,
    failure: Option<ConnectError>,
}

/// What is left to try.
#[derive(Debug)]
struct Dial {
    endpoint: aqueduct_driver::Endpoint,
    to: NodeAddr,
    next: usize,
    head_start: Option<Pin<Box<Sleep>>>,
}

impl Connecting {
    pub(crate) fn one(attempt: aqueduct_driver::Connecting) -> Self {
        Self { attempts: vec![attempt], dial: None, failure: None }
    }

    /// The first attempt begins at once.
    pub(crate) fn dial(endpoint: aqueduct_driver::Endpoint, to: NodeAddr) -> Self {
        let dial = Dial { endpoint, to, next: 0, head_start: None };
        let mut this = Self { attempts: Vec::new(), dial: Some(dial), failure: None };
        this.try_next();
        this
    }

    /// Begins with the next address that can be dialled; `false` if there is none left.
    fn try_next(&mut self) -> bool {
        let Some(dial) = &mut self.dial else { return false };
        dial.head_start = None;
        while let Some(&remote) = dial.to.addrs.get(dial.next) {
            dial.next += 1;
            match dial.endpoint.connect(dial.to.id, remote) {
                Ok(attempt) => {
                    self.attempts.push(attempt);
                    return true;
                }
                Err(error) => keep(&mut self.failure, error),
            }
        }
        self.dial = None;
        false
    }

    /// Whether the next address is due.
    fn poll_head_start(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(dial) = self.dial.as_mut().filter(|dial| dial.next < dial.to.addrs.len()) else {
            return false;
        };
        let sleep = dial.head_start.get_or_insert_with(|| Box::pin(tokio::time::sleep(HEAD_START)));
        sleep.as_mut().poll(cx).is_ready()
    }
}

/// The most telling failure: that of an attempt that was made, else the first.
fn keep(failure: &mut Option<ConnectError>, error: ConnectError) {
    if failure.is_none() || matches!(error, ConnectError::Failed(_)) {
        *failure = Some(error);
    }
}

impl Future for Connecting {
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
                        this.dial = None;
                        return Poll::Ready(Ok(Connection::new(connection)));
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
