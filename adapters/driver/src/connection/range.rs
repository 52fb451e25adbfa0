//! Bytes that are asked for once more (spec R-ROUTE-9 to R-ROUTE-12).

use std::collections::{BTreeSet, VecDeque};
use std::future::{pending, poll_fn};
use std::pin::pin;

use aqueduct_core::error::StreamCode;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::{Dir, StreamId};
use aqueduct_core::wire::protocol::{PART, RANGE};
use aqueduct_core::wire::route::{Part, Wanted};
use futures_util::future::{Either, select};

use crate::error::{ReadError, StreamError};
use crate::recv::RecvHalf;
use crate::wait::{Waiters, Wakers, lock, until};

use super::{ConnShared, ConnState, Connection};

/// Requests that wait for their answers, and answers that came.
#[derive(Default)]
pub(crate) struct Parts {
    /// Requests that are on their way, of which it is not known here which streams they are.
    unnamed: usize,
    /// Requests that wait.
    asked: BTreeSet<StreamId>,
    /// One for each of them at most.
    came: VecDeque<(StreamId, RecvHalf)>,
    waiting: Waiters,
}

impl Parts {
    /// For the end of the connection.
    pub(super) fn wake(&mut self) -> Wakers {
        self.waiting.take()
    }

    /// Whether somebody waits for a part, or may turn out to.
    fn is_wanted(&self, request: StreamId) -> bool {
        let mut came = self.came.iter().map(|(of, _)| *of);
        if came.clone().any(|of| of == request) {
            return false;
        }
        let unknown = came.by_ref().filter(|of| !self.asked.contains(of)).count();
        self.asked.contains(&request) || unknown < self.unnamed
    }

    /// What came for nobody.
    fn unwanted(&mut self) -> VecDeque<(StreamId, RecvHalf)> {
        if self.unnamed > 0 {
            return VecDeque::new();
        }
        let came = std::mem::take(&mut self.came);
        let (wanted, unwanted) = came.into_iter().partition(|(of, _)| self.asked.contains(of));
        self.came = wanted;
        unwanted
    }
}

/// A request that waits. Dropped, it drops what came for it.
struct Asking<'a> {
    connection: &'a Connection,
    request: Option<StreamId>,
}

impl<'a> Asking<'a> {
    fn new(connection: &'a Connection) -> Self {
        lock(connection.state()).parts.unnamed += 1;
        Self { connection, request: None }
    }

    /// It is known which stream it is.
    fn is(&mut self, request: StreamId) {
        self.request = Some(request);
        self.change(|parts| {
            parts.unnamed -= 1;
            parts.asked.insert(request);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Parts)) {
        let unwanted = {
            let parts = &mut lock(self.connection.state()).parts;
            change(parts);
            parts.unwanted()
        };
        // Outside of the lock.
        unwanted.into_iter().for_each(|(_, part)| refuse(part));
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.change(|parts| match self.request {
            Some(request) => _ = parts.asked.remove(&request),
            None => parts.unnamed -= 1,
        });
    }
}

/// Whether a stream answers a request.
pub(super) fn is_part(info: &OpenOptions) -> bool {
    info.protocol == StreamProtocol::Number(PART)
}

fn refuse(mut part: RecvHalf) {
    part.stop(StreamCode::Refused.app());
}

impl ConnShared {
    /// For the driver: a part has come. It is refused if nobody can have asked for it.
    pub(super) fn part_arrived(&self, recv: RecvHalf) {
        let request = recv.info().and_then(|info| Part::decode(&info.head).ok());
        let (refused, wakers) = {
            let parts = &mut lock(&self.state).parts;
            match request {
                Some(Part { request }) if parts.is_wanted(request) => {
                    parts.came.push_back((request, recv));
                    (None, parts.waiting.take())
                }
                _ => (Some(recv), Wakers::default()),
            }
        };
        wakers.wake();
        refused.into_iter().for_each(refuse);
    }
}

impl Connection {
    /// Asks the relay at the other end for bytes of `stream` that it still holds: from `start` to
    /// `end`, or to the end of the body. It sends or sent the stream to this node, by this
    /// connection or one before. The offsets are those of the body. Cancel-safe: dropped, nothing
    /// is sent any more.
    ///
    /// # Errors
    /// [`StreamError::InvalidRange`]: it does not hold them, or they are not of the body.
    /// [`StreamError::Refused`]: it does not know the stream any more, relays nothing, or this node
    /// has asked for too much at a time. Or the connection is over.
    pub async fn request_range(
        &self,
        stream: StreamId,
        start: u64,
        end: Option<u64>,
    ) -> Result<RecvHalf, StreamError> {
        let mut asking = Asking::new(self);
        let mut options = OpenOptions::new(StreamProtocol::Number(RANGE));
        options.head = Wanted { stream, start, end }.encode().into();
        let opened = self.open(Dir::Bi, options).await;
        let (mut send, back) = opened.map_err(|_| StreamError::from(self.over()))?;
        let (request, mut back) = (send.id(), back.ok_or_else(|| self.over())?);
        asking.is(request);
        let _said = send.finish();
        let look = |state: &mut ConnState| {
            let at = state.parts.came.iter().position(|(of, _)| *of == request);
            let found = at.and_then(|at| state.parts.came.remove(at));
            state.or_end(found.map(|(_, part)| part))
        };
        let part = until(self.state(), |state| &mut state.parts.waiting, look);
        match select(pin!(part), pin!(refusal(&mut back))).await {
            Either::Left((part, _)) => Ok(part?.kept_by(self.guard.clone())),
            Either::Right((error, _)) => Err(error.into()),
        }
    }
}

/// The error with which the answering half ends; one that ends well says nothing.
async fn refusal(back: &mut RecvHalf) -> ReadError {
    loop {
        match poll_fn(|cx| back.poll_chunk(cx, usize::MAX)).await {
            Err(error) => return error,
            Ok(Some(_)) => {}
            Ok(None) => pending::<()>().await,
        }
    }
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;
