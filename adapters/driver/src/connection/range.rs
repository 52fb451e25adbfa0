//! Bytes that are asked for once more (spec R-ROUTE-9 to R-ROUTE-12).

use std::future::{pending, poll_fn};
use std::pin::pin;

use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::{Dir, StreamId};
use aqueduct_core::wire::protocol::{PART, RANGE};
use aqueduct_core::wire::route::{Part, Wanted};
use futures_util::future::{Either, select};

use crate::error::{ReadError, StreamError};
use crate::recv::RecvHalf;
use crate::wait::question;

use super::{Connection, Opening};

/// Whether a stream answers a request.
pub(crate) fn is_part(info: &OpenOptions) -> bool {
    info.protocol == StreamProtocol::Number(PART)
}

/// The request that a part answers.
pub(crate) fn request_of(part: &RecvHalf) -> Option<StreamId> {
    let head = &part.info()?.head;
    Part::decode(head).ok().map(|part| part.request)
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
        let mut options = OpenOptions::new(StreamProtocol::Number(RANGE));
        options.head = Wanted { stream, start, end }.encode().into();
        let (reply, part) = question();
        let opened = self.open_for(Dir::Bi, Opening { options, part: Some(reply) }).await;
        let (mut send, back) = opened.map_err(|_| StreamError::from(self.over()))?;
        let mut back = back.ok_or_else(|| self.over())?;
        let _said = send.finish();
        match select(part, pin!(refusal(&mut back))).await {
            Either::Left((part, _)) => {
                Ok(part.ok_or_else(|| self.over())?.kept_by(self.guard.clone()))
            }
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
