//! quinn-proto as [`crate::pair`] drives Aqueduct: two endpoints in one thread, no socket, half a
//! round trip of 20 us between turns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::quinn::{ClientConfig, ServerConfig};
use bytes::{Bytes, BytesMut};
use quinn_proto::{
    Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, StreamEvent,
    StreamId,
};

use crate::certificate;

/// Datagrams of a batch at most; quinn itself asks for ten.
const BATCH: usize = 10;

struct Node {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    addr: SocketAddr,
}

/// A datagram that belongs to no connection.
type Answer = Vec<u8>;

impl Node {
    fn new(number: u8, server: Option<ServerConfig>) -> Self {
        let config = Arc::new(EndpointConfig::default());
        let seed = Some([number; 32]);
        let endpoint = Endpoint::new(config, server.map(Arc::new), true, seed);
        Self { endpoint, connection: None, addr: SocketAddr::from(([10, 0, 0, number], 4433)) }
    }

    /// Takes a batch of datagrams of `segment` bytes from `remote`; copies them once, as quinn does.
    fn take(
        &mut self,
        bytes: &[u8],
        segment: usize,
        remote: SocketAddr,
        now: Instant,
    ) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut rest = BytesMut::from(bytes);
        while !rest.is_empty() {
            let datagram = rest.split_to(segment.min(rest.len()));
            let mut buf = Vec::new();
            match self.endpoint.handle(now, remote, None, None, datagram, &mut buf) {
                Some(DatagramEvent::ConnectionEvent(_, event)) => {
                    if let Some((_, connection)) = &mut self.connection {
                        connection.handle_event(event);
                    }
                }
                Some(DatagramEvent::NewConnection(incoming)) => {
                    let made = self.endpoint.accept(incoming, now, &mut buf, None);
                    self.connection = Some(made.expect("a connection"));
                }
                Some(DatagramEvent::Response(transmit)) => {
                    answers.push(buf[..transmit.size].to_vec());
                }
                None => {}
            }
        }
        answers
    }

    /// Lets connection and endpoint tell each other what they have to.
    fn settle(&mut self, now: Instant) {
        let Some((handle, connection)) = &mut self.connection else { return };
        if connection.poll_timeout().is_some_and(|due| due <= now) {
            connection.handle_timeout(now);
        }
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
    }

    fn next_batch(&mut self, buf: &mut Vec<u8>, now: Instant) -> Option<usize> {
        buf.clear();
        let (_, connection) = self.connection.as_mut()?;
        let transmit = connection.poll_transmit(now, BATCH, buf)?;
        buf.truncate(transmit.size);
        Some(transmit.segment_size.unwrap_or(transmit.size))
    }

    fn due(&mut self) -> Option<Instant> {
        self.connection.as_mut()?.1.poll_timeout()
    }
}

struct Run {
    nodes: [Node; 2],
    now: Instant,
    block: Bytes,
    left: u64,
    stream: Option<StreamId>,
    received: u64,
    done: bool,
    datagrams: u64,
}

impl Run {
    fn new(mib: u64) -> Self {
        let server: ServerConfig = crate::quinn::server_config();
        let client: ClientConfig = crate::quinn::client_config();
        let (mut sender, receiver) = (Node::new(1, None), Node::new(2, Some(server)));
        let now = Instant::now();
        let made = sender.endpoint.connect(now, client, receiver.addr, certificate::NAME);
        sender.connection = Some(made.expect("a connection"));
        let block = Bytes::from(vec![7; 1 << 18]);
        Self {
            nodes: [sender, receiver],
            now,
            block,
            left: mib << 20,
            stream: None,
            received: 0,
            done: false,
            datagrams: 0,
        }
    }

    fn whole(&mut self) {
        let mut buf = Vec::new();
        while !self.done {
            for side in [0, 1] {
                self.turn(side, &mut buf);
            }
            let next = self.now + Duration::from_micros(10);
            let due = self.nodes.iter_mut().filter_map(Node::due).filter(|due| *due > self.now);
            self.now = due.min().map_or(next, |due| due.min(next));
        }
    }

    fn turn(&mut self, side: usize, buf: &mut Vec<u8>) {
        self.nodes[side].settle(self.now);
        self.serve(side);
        while let Some(segment) = self.nodes[side].next_batch(buf, self.now) {
            self.datagrams += buf.len().div_ceil(segment) as u64;
            let (from, to) = (self.nodes[side].addr, 1 - side);
            for answer in self.nodes[to].take(buf, segment, from, self.now) {
                let from = self.nodes[to].addr;
                self.nodes[side].take(&answer, answer.len(), from, self.now);
            }
        }
        self.nodes[side].settle(self.now);
    }

    /// What the application does on its side.
    fn serve(&mut self, side: usize) {
        while let Some(event) = self.nodes[side].connection.as_mut().and_then(|it| it.1.poll()) {
            match event {
                Event::Connected if side == 0 => {
                    let (_, connection) = self.nodes[0].connection.as_mut().expect("it");
                    self.stream = connection.streams().open(Dir::Uni);
                    self.write();
                }
                Event::Stream(StreamEvent::Writable { .. }) => self.write(),
                Event::Stream(StreamEvent::Opened { dir }) => {
                    let (_, connection) = self.nodes[1].connection.as_mut().expect("it");
                    self.stream = connection.streams().accept(dir);
                    self.read();
                }
                Event::Stream(StreamEvent::Readable { .. }) => self.read(),
                _ => {}
            }
        }
    }

    fn write(&mut self) {
        let (Some(id), Some((_, connection))) = (self.stream, &mut self.nodes[0].connection) else {
            return;
        };
        let mut stream = connection.send_stream(id);
        while self.left > 0 {
            let next = self.block.slice(..(self.block.len() as u64).min(self.left) as usize);
            let Ok(written) = stream.write_chunks(&mut [next]) else { return };
            self.left -= written.bytes as u64;
        }
        let _already = stream.finish();
    }

    fn read(&mut self) {
        let (Some(id), Some((_, connection))) = (self.stream, &mut self.nodes[1].connection) else {
            return;
        };
        let mut stream = connection.recv_stream(id);
        let Ok(mut chunks) = stream.read(true) else { return };
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => self.received += chunk.bytes.len() as u64,
                Ok(None) => {
                    self.done = true;
                    break;
                }
                Err(_) => break,
            }
        }
        let _transmit_follows = chunks.finalize();
    }
}

/// MB/s, and nanoseconds a datagram of both ends together.
pub(crate) fn round(mib: u64) -> Vec<f64> {
    let mut run = Run::new(mib);
    let began = Instant::now();
    run.whole();
    let took = began.elapsed();
    assert_eq!(run.received, mib << 20);
    vec![
        run.received as f64 / 1e6 / took.as_secs_f64(),
        took.as_nanos() as f64 / run.datagrams as f64,
    ]
}
