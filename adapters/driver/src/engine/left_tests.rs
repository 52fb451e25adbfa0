//! What connections that are over leave to an application that does not read.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::Dir;
use bytes::Bytes;

use super::tests::{Hand, engine_of, exchange, joined};
use super::*;
use crate::connection::Connection;
use crate::recv::RecvHalf;

/// All that connections leave, of a node with as little memory as this.
const MOST: u64 = 1 << 20;
/// What one of them leaves: so many messages of so many bytes, and the bytes of a stream.
const MESSAGES: usize = 15;
const MESSAGE: usize = 10_000;
const BODY: usize = 2_000;
const WHOLE: u64 = (MESSAGES * MESSAGE + BODY) as u64;

/// A node that dials, and one that takes connections and reads nothing.
struct Pair {
    engines: [Engine; 2],
    hands: [Hand; 2],
    dialer: crate::endpoint::Endpoint,
    listener: crate::endpoint::Endpoint,
}

impl Pair {
    fn new() -> Self {
        // Those that are closing have their places for a while: there are some for all.
        let small = |config: EndpointConfig| config.with_memory(MOST, 24).expect("it is little");
        let ((one, dialer), (other, listener)) =
            (engine_of(1, 16, |it| it), engine_of(2, 16, small));
        let (engines, hands) = ([one, other], [Hand::new(2), Hand::new(1)]);
        Self { engines, hands, dialer, listener }
    }

    /// Until it is done.
    fn done<T>(&mut self, work: impl Future<Output = T>) -> T {
        let (mut work, mut cx) = (pin!(work), Context::from_waker(Waker::noop()));
        let begun = std::time::Instant::now();
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(&mut cx) {
                return done;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "it is never done");
            exchange(&mut self.engines, &mut self.hands);
        }
    }

    /// A connection that is over, as who did not read sees it. A stream's half is taken if `taken`.
    fn dead(&mut self, taken: bool) -> (Connection, Option<RecvHalf>) {
        let (engines, hands) = (&mut self.engines, &mut self.hands);
        let (near, far) = joined(engines, hands, &self.dialer, &self.listener);
        let opening = near.open(Dir::Uni, OpenOptions::new(StreamProtocol::Number(9)));
        let (mut send, _) = self.done(opening).expect("a stream");
        let body = vec![7; BODY];
        let mut cx = Context::from_waker(Waker::noop());
        let written = send.poll_write(&mut cx, &body);
        assert!(matches!(written, Poll::Ready(Ok(BODY))), "{written:?}");
        send.finish().expect("it lives");
        for _ in 0..MESSAGES {
            self.done(near.send_message(Bytes::from(vec![1; MESSAGE]))).expect("sent");
        }
        self.done(std::future::poll_fn(|cx| send.poll_delivered(cx))).expect("delivered");
        let half = taken.then(|| self.done(far.accept_uni()).expect("it came"));
        near.close(AppCode(0), b"");
        self.done(far.closed());
        (far, half)
    }
}

/// How many bytes there are to be read, until the end of the connection is told.
fn read(connection: &Connection, half: Option<RecvHalf>) -> u64 {
    let mut cx = Context::from_waker(Waker::noop());
    let mut bytes = 0;
    while let Poll::Ready(Ok(message)) = pin!(connection.recv_message()).poll(&mut cx) {
        bytes += message.len() as u64;
    }
    let half = half.or_else(|| match pin!(connection.accept_uni()).poll(&mut cx) {
        Poll::Ready(accepted) => accepted.ok(),
        Poll::Pending => panic!("it is over"),
    });
    let Some(mut half) = half else { return bytes };
    loop {
        match half.poll_chunk(&mut cx, usize::MAX) {
            Poll::Ready(Ok(Some(chunk))) => bytes += chunk.len() as u64,
            Poll::Ready(_) => return bytes,
            Poll::Pending => panic!("it is over"),
        }
    }
}

/// One after another they are kept whole, as long as there is room; then nobody has more than that,
/// and who reads makes room.
///
/// spec: R-LIM-7
#[test]
fn what_the_dead_leave_has_a_bound() {
    for taken in [false, true] {
        let mut pair = Pair::new();
        let dead: Vec<_> = (0..8).map(|_| pair.dead(taken)).collect();
        let left = dead.into_iter().map(|(connection, half)| read(&connection, half));
        let left: Vec<_> = left.collect();
        assert_eq!(left[..3], [WHOLE; 3], "{left:?}");
        // What a reader was handed stays his.
        let handed = if taken { 8 * BODY as u64 } else { 0 };
        assert!(left.iter().sum::<u64>() <= MOST + handed, "{left:?}");
        let (connection, half) = pair.dead(taken);
        assert_eq!(read(&connection, half), WHOLE, "there is room again");
        drop(connection);
        exchange(&mut pair.engines, &mut pair.hands);
        assert_eq!(pair.engines[1].shared.leftovers.held(), 0);
    }
}
