//! What receivers answer: one on the stream itself, several each on a stream of its own.

use aqueduct_tokio::relay::Answer;
use aqueduct_tokio::{Connection, RecvStream, StreamId};
use futures_util::future::join_all;

use crate::exit::{Cause, Failure};
use crate::offer::Reply;

/// The answers of one receiver, one by one.
#[derive(Debug)]
pub(super) struct Replies {
    stream: Option<RecvStream>,
    bytes: Vec<u8>,
}

impl Replies {
    /// Those that come on `stream`.
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream: Some(stream), bytes: Vec::new() }
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Reply, Failure> {
        loop {
            match Reply::from_bytes(&self.bytes) {
                Ok(Some((reply, len))) => {
                    self.bytes.drain(..len);
                    return Ok(reply);
                }
                Ok(None) => {}
                Err(what) => return Err(Failure::new(Cause::Failure, what)),
            }
            let Some(stream) = &mut self.stream else {
                return Err(Failure::new(Cause::Failure, "the receiver ended without a word"));
            };
            match stream.read_chunk(1024).await? {
                Some(bytes) => self.bytes.extend_from_slice(&bytes),
                None => self.stream = None,
            }
        }
    }
}

/// Waits for the streams on which `count` receivers of the stream `sent` answer, in their order.
///
/// # Errors
/// The connection is over, or something else comes.
pub(super) async fn gather(
    connection: &Connection,
    sent: StreamId,
    count: usize,
) -> Result<Vec<Replies>, Failure> {
    let mut found: Vec<Option<Replies>> = (0..count).map(|_| None).collect();
    while found.iter().any(Option::is_none) {
        let stream = connection.accept_uni().await?;
        let head = stream.info().and_then(|info| Answer::decode(&info.head).ok());
        let head = head.filter(|answer| answer.stream == sent);
        let place = head.and_then(|answer| found.get_mut(usize::from(answer.target)));
        match place {
            Some(place) if place.is_none() => *place = Some(Replies::new(stream)),
            _ => return Err(Failure::new(Cause::Failure, "a relay's answer makes no sense")),
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// The next reply of every receiver that has not failed yet; a failure takes its place.
pub(super) async fn next_of_all(
    replies: &mut [Replies],
    so_far: Vec<Result<(), Failure>>,
) -> Vec<Result<Reply, Failure>> {
    let each = replies.iter_mut().zip(so_far).map(|(replies, so_far)| async move {
        so_far?;
        replies.next().await
    });
    join_all(each).await
}
