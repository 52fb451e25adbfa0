//! What a user would do: a body, requests, connections, each between two endpoints in memory.

use aqueduct_core::crypto::provider::Provider;
use aqueduct_core::endpoint::{ConnectionHandle, Endpoint, Event, EventKind};
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::tape::Payload;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{AppCode, Dir, StreamId};
use bytes::Bytes;

use crate::pair::{Application, Pair};

fn options() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("bench"))
}

/// A body on one stream, from the client to the server.
struct Bulk {
    block: Bytes,
    left: u64,
    done: bool,
}

impl Bulk {
    fn write(&mut self, endpoint: &mut Endpoint, connection: ConnectionHandle, id: StreamId) {
        let Some(mut view) = endpoint.connection(connection) else { return };
        let Some(mut stream) = view.send(id) else { return };
        while self.left > 0 {
            let next = self.block.slice(..(self.block.len() as u64).min(self.left) as usize);
            let Ok(taken) = stream.write(next) else { return };
            self.left -= taken as u64;
            if self.left == 0 {
                stream.finish().expect("an open stream");
            }
        }
    }

    fn read(&mut self, endpoint: &mut Endpoint, connection: ConnectionHandle, id: StreamId) {
        let Some(mut view) = endpoint.connection(connection) else { return };
        let Some(mut stream) = view.recv(id) else { return };
        while let Ok(next) = stream.read_chunk(usize::MAX) {
            let Some(chunk) = next else {
                self.done = true;
                return;
            };
            stream.release(chunk.data.len() as u64);
        }
    }
}

impl Application for Bulk {
    fn on_event(&mut self, client: bool, endpoint: &mut Endpoint, event: &Event, _: Instant) {
        match event.kind {
            EventKind::Connected if client => {
                let mut view = endpoint.connection(event.connection).expect("it is there");
                let id = view.open(Dir::Uni, options()).expect("a stream");
                drop(view);
                self.write(endpoint, event.connection, id);
            }
            EventKind::Writable(id) => self.write(endpoint, event.connection, id),
            EventKind::Readable(id) => self.read(endpoint, event.connection, id),
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// What a datagram can carry of a body, nearly: so that sending more of them than are needed costs.
const BODY: u64 = 1_413;

/// `mib` on one stream. Returns how many full datagrams those are.
pub(crate) fn bulk(mib: u64) -> u64 {
    body([None; 2], mib)
}

/// The same, the sender recorded without what is sent.
pub(crate) fn sender_taped(mib: u64) -> u64 {
    body([Some(Payload::Referenced), None], mib)
}

/// The same, the receiver recorded with everything.
pub(crate) fn receiver_taped(mib: u64) -> u64 {
    body([None, Some(Payload::Full)], mib)
}

/// The same as [`bulk`], the sender under a limit that holds nothing up.
pub(crate) fn limited(mib: u64) -> u64 {
    let mut pair = Pair::new(Provider::AwsLc);
    pair.limit(1 << 40);
    pour(pair, mib)
}

fn body(tapes: [Option<Payload>; 2], mib: u64) -> u64 {
    pour(Pair::recorded(Provider::AwsLc, tapes), mib)
}

fn pour(mut pair: Pair, mib: u64) -> u64 {
    pair.connect();
    pair.run(&mut Bulk { block: Bytes::from(vec![7; 1 << 18]), left: mib << 20, done: false });
    (mib << 20) / BODY
}

/// Requests of 64 bytes, a stream for each, so many at a time, all echoed.
struct Requests {
    body: Bytes,
    at_once: u64,
    unasked: u64,
    unanswered: u64,
}

impl Requests {
    /// Asks as much as may be under way, and as many streams as the server allows.
    fn ask(&mut self, endpoint: &mut Endpoint, connection: ConnectionHandle) {
        let mut view = endpoint.connection(connection).expect("it is there");
        while self.unasked > 0 && self.unanswered - self.unasked < self.at_once {
            let Ok(id) = view.open(Dir::Bi, options()) else { return };
            self.unasked -= 1;
            let mut stream = view.send(id).expect("it is there");
            stream.write(self.body.clone()).expect("room");
            stream.finish().expect("an open stream");
        }
    }

    /// Reads; at the end the server answers, and the client asks again.
    fn read(&mut self, client: bool, endpoint: &mut Endpoint, event: &Event, id: StreamId) {
        let mut view = endpoint.connection(event.connection).expect("it is there");
        let Some(mut stream) = view.recv(id) else { return };
        let mut whole = false;
        let mut answer = None;
        while let Ok(next) = stream.read_chunk(usize::MAX) {
            let Some(chunk) = next else {
                whole = true;
                break;
            };
            stream.release(chunk.data.len() as u64);
            answer = Some(chunk.data);
        }
        drop(stream);
        if !client && let Some(answer) = answer {
            let mut stream = view.send(id).expect("it is there");
            stream.write(answer).expect("room");
            stream.finish().expect("an open stream");
        }
        drop(view);
        if client && whole {
            self.unanswered -= 1;
            self.ask(endpoint, event.connection);
        }
    }
}

impl Application for Requests {
    fn on_event(&mut self, client: bool, endpoint: &mut Endpoint, event: &Event, _: Instant) {
        match event.kind {
            EventKind::Connected | EventKind::Openable(_) if client => {
                self.ask(endpoint, event.connection);
            }
            EventKind::StreamAvailable => {
                let mut view = endpoint.connection(event.connection).expect("it is there");
                while view.accept().is_some() {}
            }
            EventKind::Readable(id) => self.read(client, endpoint, event, id),
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.unanswered == 0
    }
}

/// `count` requests, 64 at a time. Returns how many were answered.
pub(crate) fn requests(count: u64) -> u64 {
    let mut pair = Pair::new(Provider::AwsLc);
    pair.connect();
    let body = Bytes::from(vec![7; 64]);
    pair.run(&mut Requests { body, at_once: 64, unasked: count, unanswered: count });
    count
}

/// A connection at a time, closed as soon as both sides have it.
#[derive(Default)]
struct Handshake {
    connected: [bool; 2],
}

impl Application for Handshake {
    fn on_event(&mut self, client: bool, endpoint: &mut Endpoint, event: &Event, now: Instant) {
        if event.kind == EventKind::Connected {
            self.connected[usize::from(client)] = true;
        }
        if self.is_done()
            && let Some(mut view) = endpoint.connection(event.connection)
        {
            view.abort(AppCode(0), b"", now);
        }
    }

    fn is_done(&self) -> bool {
        self.connected == [true; 2]
    }
}

/// `count` connections, one after another. Returns their number.
pub(crate) fn handshakes(count: u64) -> u64 {
    let mut pair = Pair::new(Provider::AwsLc);
    for _ in 0..count {
        pair.connect();
        pair.run(&mut Handshake::default());
    }
    count
}
