//! Engines on a wire of the test's own.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::Dir;

use super::*;

/// A wire whose other end the test holds in its hand.
struct Hand {
    /// Who is at that end.
    peer: u8,
    incoming: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    full: bool,
    /// What a batch meets.
    batches: Option<i32>,
}

fn place(number: u8) -> std::net::SocketAddr {
    ([10, 0, 0, number], 4433).into()
}

impl Wire for Hand {
    fn recv(&mut self, batch: &mut RecvBatch) -> io::Result<usize> {
        let Some(bytes) = self.incoming.pop_front() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        batch.clear();
        batch.push(place(self.peer), &bytes);
        Ok(1)
    }

    fn send(&mut self, outgoing: &Outgoing<'_>) -> io::Result<()> {
        if self.full {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if let Some(error) = self.batches.filter(|_| outgoing.count() > 1) {
            return Err(io::Error::from_raw_os_error(error));
        }
        let size = outgoing.segment.unwrap_or(outgoing.bytes.len());
        self.sent.extend(outgoing.bytes.chunks(size).map(<[u8]>::to_vec));
        Ok(())
    }
}

impl Hand {
    fn new(peer: u8) -> Self {
        Self { peer, incoming: VecDeque::new(), sent: Vec::new(), full: false, batches: None }
    }
}

fn engine(number: u8) -> (Engine, crate::endpoint::Endpoint) {
    let config = EndpointConfig::new(NodeKey::from_seed(&[number; 32]));
    let (local, takes_v4, max_segments, warnings) = (place(number), true, 16, Vec::new());
    let parts = Parts { local, takes_v4, max_segments, warnings };
    Engine::new(config, Seed::from_u64(number.into()), parts)
}

/// One turn of each, and what was said is carried across.
fn exchange(engines: &mut [Engine; 2], hands: &mut [Hand; 2]) {
    for (engine, hand) in engines.iter_mut().zip(hands.iter_mut()) {
        while !hand.incoming.is_empty() {
            let _more = engine.turn(hand);
        }
        let _more = engine.turn(hand);
    }
    let [one, other] = hands;
    other.incoming.extend(one.sent.drain(..));
    one.incoming.extend(other.sent.drain(..));
}

/// Two engines, and a connection between them as both see it.
struct Session {
    engines: [Engine; 2],
    hands: [Hand; 2],
    near: crate::connection::Connection,
    far: crate::connection::Connection,
}

fn session() -> Session {
    let ((one, dialer), (other, listener)) = (engine(1), engine(2));
    let (mut engines, mut hands) = ([one, other], [Hand::new(2), Hand::new(1)]);
    let mut cx = Context::from_waker(Waker::noop());
    let mut dialing = pin!(dialer.connect(Some(listener.node_id()), place(2)).expect("begun"));
    let mut accepting = pin!(listener.accept());
    let stranger = loop {
        exchange(&mut engines, &mut hands);
        if let Poll::Ready(done) = accepting.as_mut().poll(&mut cx) {
            break done.expect("a stranger");
        }
    };
    let mut answered = pin!(stranger.accept());
    let near = loop {
        exchange(&mut engines, &mut hands);
        if let Poll::Ready(done) = dialing.as_mut().poll(&mut cx) {
            break done.expect("a connection");
        }
    };
    let far = loop {
        exchange(&mut engines, &mut hands);
        if let Poll::Ready(done) = answered.as_mut().poll(&mut cx) {
            break done.expect("a connection");
        }
    };
    Session { engines, hands, near, far }
}

/// A batch that waited for room is refused as a batch when there is some.
#[test]
fn a_batch_that_waited_goes_one_by_one() {
    let Session { mut engines, mut hands, near, far } = session();
    let mut cx = Context::from_waker(Waker::noop());
    let options = OpenOptions::new(StreamProtocol::Number(9));
    let mut opening = pin!(near.open(Dir::Uni, options));
    let mut send = loop {
        if let Poll::Ready(done) = opening.as_mut().poll(&mut cx) {
            break done.expect("a stream").0;
        }
        exchange(&mut engines, &mut hands);
    };
    hands[0].batches = Some(libc::EAGAIN);
    assert!(send.poll_write(&mut cx, &[7; 10_000]).is_ready());
    let _more = engines[0].turn(&mut hands[0]);
    assert!(engines[0].is_blocked());
    hands[0].batches = Some(libc::EIO);
    engines[0].writable(&mut hands[0]);
    assert!(!engines[0].is_blocked());
    let mut accepting = pin!(far.accept_uni());
    let mut recv = loop {
        exchange(&mut engines, &mut hands);
        if let Poll::Ready(done) = accepting.as_mut().poll(&mut cx) {
            break done.expect("a stream");
        }
    };
    let mut got = Vec::new();
    while got.len() < 10_000 {
        exchange(&mut engines, &mut hands);
        while let Poll::Ready(count) = recv.poll_read(&mut cx, &mut got) {
            assert_ne!(count.expect("bytes"), 0);
        }
    }
    assert_eq!(got, [7; 10_000]);
}

/// A socket that was full when the driver last looked has room when it says goodbye.
#[test]
fn a_farewell_reaches_the_peer_past_a_socket_that_was_full() {
    let Session { mut engines, mut hands, near, far } = session();
    hands[0].full = true;
    near.send_datagram(Bytes::from_static(b"kept")).expect("room");
    let _more = engines[0].turn(&mut hands[0]);
    assert!(engines[0].is_blocked());
    hands[0].full = false;
    engines[0].farewell(&mut hands[0]);
    let said = std::mem::take(&mut hands[0].sent);
    hands[1].incoming.extend(said);
    while !hands[1].incoming.is_empty() {
        let _more = engines[1].turn(&mut hands[1]);
    }
    let _more = engines[1].turn(&mut hands[1]);
    assert!(far.close_reason().is_some(), "it has heard nothing");
}
