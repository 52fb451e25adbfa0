//! Engines on a wire of the test's own.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use aqueduct_core::crypto::identity::NodeKey;

use super::*;

/// A wire whose other end the test holds in its hand.
struct Hand {
    /// Who is at that end.
    peer: u8,
    incoming: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    full: bool,
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
        let size = outgoing.segment.unwrap_or(outgoing.bytes.len());
        self.sent.extend(outgoing.bytes.chunks(size).map(<[u8]>::to_vec));
        Ok(())
    }
}

impl Hand {
    fn new(peer: u8) -> Self {
        Self { peer, incoming: VecDeque::new(), sent: Vec::new(), full: false }
    }
}

fn engine(number: u8) -> (Engine, crate::endpoint::Endpoint) {
    let config = EndpointConfig::new(NodeKey::from_seed(&[number; 32]));
    let (local, takes_v4, max_segments, warnings) = (place(number), true, 1, Vec::new());
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

/// A socket that was full when the driver last looked has room when it says goodbye.
#[test]
fn a_farewell_reaches_the_peer_past_a_socket_that_was_full() {
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
