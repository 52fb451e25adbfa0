//! Messages that go through a node while they come.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aqueduct_tokio::{
    Bytes, ChunkSource, Connection, Endpoint, PipeOptions, Received, Sent, StreamingSerialize,
};
use tokio::sync::oneshot;

use crate::harness::*;

/// Passes the next message on to `next` while it comes.
async fn pass_on(node: &Endpoint, from: &Connection, next: &Connection) {
    let Received::Stream(message) = soon("a message", from.recv_auto()).await.unwrap() else {
        panic!("not as a stream");
    };
    let (body, verdict) = message.into_streams().expect("nothing was read");
    let onward = body.info().unwrap().forwarded().unwrap();
    let (leg, said) = next.open_bi(onward).await.unwrap();
    node.pipe(body, vec![leg], PipeOptions::default()).await.unwrap();
    node.pipe(said, vec![verdict], PipeOptions::default()).await.unwrap();
}

/// A message is a message at its end, and the sender hears who read it there; it is read while
/// the sender still makes it.
///
/// spec: R-MODE-15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_goes_through_a_node_while_it_comes() {
    let (source, middle, sink) = (endpoint(), endpoint(), endpoint());
    let (out, inn) = connect(&source, &middle).await;
    let (on, end) = connect(&middle, &sink).await;
    let body = pattern(4 << 20);
    let (first_came, hears) = oneshot::channel();
    let source_of_it = Waits { rest: body.clone().into(), hears: Some(hears), made: 0 };
    let sending = tokio::spawn(async move { out.send_auto(source_of_it).await });
    pass_on(&middle, &inn, &on).await;
    let Received::Stream(mut message) = soon("a message", end.recv_auto()).await.unwrap() else {
        panic!("not as a stream");
    };
    assert_eq!(message.size(), body.len() as u64);
    let first = soon("bytes", message.read_chunk(usize::MAX)).await.unwrap().unwrap();
    assert!(first.len() <= body.len() / 2 && !sending.is_finished());
    first_came.send(()).unwrap();
    let rest = soon("the rest", message.collect_all()).await.unwrap();
    assert!([first, rest].concat() == body, "another message");
    assert!(matches!(soon("the verdict", sending).await.unwrap().unwrap(), Sent::Streamed(_)));
    let counts = [&middle, &sink].map(|node| node.message_stats());
    assert_eq!(counts.map(|count| (count.streamed_received, count.failed)), [(0, 0), (1, 0)]);
}

/// The first half of a message, and the other once somebody says so.
struct Waits {
    rest: Bytes,
    hears: Option<oneshot::Receiver<()>>,
    made: usize,
}

impl StreamingSerialize for Waits {
    type Source = Self;

    fn start_serialize(self) -> (u64, Self) {
        (self.rest.len() as u64, self)
    }
}

impl ChunkSource for Waits {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.made >= self.rest.len()
            && let Some(hears) = &mut self.hears
        {
            _ = ready!(Pin::new(hears).poll(cx));
            self.hears = None;
        }
        let piece = self.rest.split_to(self.rest.len().min(1 << 16));
        self.made += piece.len();
        Poll::Ready(Ok((!piece.is_empty()).then_some(piece)))
    }
}
