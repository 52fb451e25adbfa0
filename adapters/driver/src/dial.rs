//! A connection in the making, possibly by several addresses at once, each by UDP and by TCP.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aqueduct_core::error::CloseReason;
use aqueduct_core::path::CarrierKind;

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
    attempts: Vec<Attempt>,
    rest: Option<Rest>,
    failure: Option<ConnectError>,
}

#[derive(Debug)]
struct Attempt {
    connecting: Connecting,
    way: Option<(SocketAddr, CarrierKind)>,
}

/// What is left to try.
#[derive(Debug)]
struct Rest {
    endpoint: Endpoint,
    to: NodeAddr,
    /// Its addresses, for whom one of them fails later.
    known: Arc<[SocketAddr]>,
    lanes: [Lane; 2],
    /// Where the peer itself has refused us.
    refused: Vec<SocketAddr>,
}

/// The addresses by one kind of carrier, tried one after another.
#[derive(Debug)]
struct Lane {
    by: CarrierKind,
    next: usize,
    /// The last one has failed, or there was none.
    hurried: bool,
    head_start: Option<Answer<()>>,
}

impl From<Connecting> for Dialing {
    /// Of one attempt that has begun.
    fn from(connecting: Connecting) -> Self {
        let attempts = vec![Attempt { connecting, way: None }];
        Self { attempts, rest: None, failure: None }
    }
}

impl Endpoint {
    /// Dials a node. Of several addresses the next is tried when one has failed or has not answered
    /// for 250 ms; UDP first, and TCP as well when that has not answered for 200 ms (see
    /// [`Carriers`](crate::Carriers)). The first that answers is taken and the others are given up.
    /// The first attempt begins at once.
    pub fn dial(&self, to: NodeAddr) -> Dialing {
        let carriers = self.carriers();
        let none = |used: bool| if used { 0 } else { usize::MAX };
        let (udp, tcp) = (none(carriers.udp), none(carriers.tcp));
        let wait = carriers.udp && carriers.tcp;
        let head_start = wait.then(|| self.alarm(carriers.head_start));
        let lanes = [
            Lane { by: CarrierKind::Udp, next: udp, hurried: true, head_start: None },
            Lane { by: CarrierKind::Reliable, next: tcp, hurried: !wait, head_start },
        ];
        let known = to.addrs.iter().copied().filter(|addr| self.reaches(*addr)).collect();
        let rest = Rest { endpoint: self.clone(), to, known, lanes, refused: Vec::new() };
        let mut dialing = Dialing { attempts: Vec::new(), rest: Some(rest), failure: None };
        dialing.try_due(None);
        dialing
    }
}

impl Rest {
    fn is_exhausted(&self, lane: usize) -> bool {
        self.lanes.get(lane).is_none_or(|lane| lane.next >= self.to.addrs.len())
    }

    /// Begins with the next address that can be dialled by this kind of carrier.
    fn try_next(&mut self, lane: usize, failure: &mut Option<ConnectError>) -> Option<Attempt> {
        let Self { endpoint, to, known, lanes, refused } = self;
        let lane = lanes.get_mut(lane)?;
        while let Some(&remote) = to.addrs.get(lane.next) {
            lane.next += 1;
            if refused.contains(&remote) {
                continue;
            }
            match endpoint.call(to.id, remote, lane.by, known.clone()) {
                Ok(connecting) => {
                    lane.hurried = false;
                    let more = lane.next < to.addrs.len();
                    lane.head_start = more.then(|| endpoint.alarm(HEAD_START));
                    return Some(Attempt { connecting, way: Some((remote, lane.by)) });
                }
                Err(error) => keep(failure, error),
            }
        }
        None
    }
}

impl Dialing {
    fn tries(&self, by: CarrierKind) -> bool {
        self.attempts.iter().any(|attempt| attempt.way.is_some_and(|way| way.1 == by))
    }

    /// Begins whatever is due. Says whether there was anything.
    fn try_due(&mut self, mut cx: Option<&mut Context<'_>>) -> bool {
        let udp_is_over = !self.tries(CarrierKind::Udp);
        let mut began = false;
        for at in 0..2 {
            let Some(rest) = self.rest.as_mut().filter(|rest| !rest.is_exhausted(at)) else {
                continue;
            };
            let udp_is_over = udp_is_over && rest.is_exhausted(0) && !began;
            let Some(lane) = rest.lanes.get_mut(at) else { continue };
            let alone = udp_is_over && lane.next == 0;
            let rung = lane.head_start.as_mut().zip(cx.as_mut());
            let rung = rung.is_some_and(|(alarm, cx)| Pin::new(alarm).poll(cx).is_ready());
            if (lane.hurried || rung || alone)
                && let Some(attempt) = rest.try_next(at, &mut self.failure)
            {
                self.attempts.push(attempt);
                began = true;
            }
        }
        began
    }

    /// An attempt failed: the next address by the same kind of carrier is due. What the peer itself
    /// has refused is not asked for by another.
    fn note_failure(&mut self, attempt: &Attempt, error: ConnectError) {
        if let (Some(rest), Some((remote, by))) = (&mut self.rest, attempt.way) {
            if matches!(error, ConnectError::Failed(CloseReason::Refused(_))) {
                rest.refused.push(remote);
            }
            rest.lanes.iter_mut().filter(|lane| lane.by == by).for_each(|lane| lane.hurried = true);
        }
        keep(&mut self.failure, error);
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
            while let Some(attempt) = this.attempts.get_mut(at) {
                match Pin::new(&mut attempt.connecting).poll(cx) {
                    Poll::Pending => at += 1,
                    Poll::Ready(Ok(connection)) => {
                        this.attempts.clear();
                        this.rest = None;
                        return Poll::Ready(Ok(connection));
                    }
                    Poll::Ready(Err(error)) => {
                        let attempt = this.attempts.remove(at);
                        this.note_failure(&attempt, error);
                    }
                }
            }
            if this.try_due(Some(cx)) {
                continue;
            }
            if this.attempts.is_empty() {
                // Nothing is under way, so nothing is waited for either.
                let failure = this.failure.take();
                return Poll::Ready(Err(failure.unwrap_or(ConnectError::NoAddress)));
            }
            return Poll::Pending;
        }
    }
}
