//! Applications for tests: one writes a known text to a stream, one reads it and checks every byte.

use std::time::Duration;

use aqueduct_core::connection::EventKind;
use aqueduct_core::endpoint::{ConnectionHandle, Endpoint};
use aqueduct_core::stream::{OpenOptions, ReadError, StreamProtocol};
use aqueduct_core::wire::id::{Dir, StreamId};
use bytes::Bytes;

use crate::net::{HostId, Net};

/// `len` bytes in which every position can be told from its neighbours.
pub fn text(len: usize) -> Bytes {
    let pattern = |at: usize| (at ^ (at >> 8).wrapping_mul(31) ^ (at >> 16).wrapping_mul(17)) as u8;
    (0..len).map(pattern).collect::<Vec<u8>>().into()
}

/// Writes the rest of a text whenever the stream takes more.
#[derive(Clone, Debug)]
pub struct Writer {
    /// Whose stream.
    pub connection: ConnectionHandle,
    /// Which.
    pub stream: StreamId,
    rest: Bytes,
    finished: bool,
}

impl Writer {
    /// Opens a stream and writes what it takes at once.
    pub fn open(endpoint: &mut Endpoint, connection: ConnectionHandle, text: Bytes) -> Self {
        let mut view = endpoint.connection(connection).expect("a live connection");
        let mut options = OpenOptions::new(StreamProtocol::name("test"));
        options.size = Some(text.len() as u64);
        let stream = view.open(Dir::Uni, options).expect("a stream");
        drop(view);
        let mut writer = Self { connection, stream, rest: text, finished: false };
        writer.pump(endpoint);
        writer
    }

    /// Writes what the stream takes.
    pub fn pump(&mut self, endpoint: &mut Endpoint) {
        let Some(mut view) = endpoint.connection(self.connection) else { return };
        let Some(mut stream) = view.send(self.stream) else { return };
        if !self.rest.is_empty() {
            let Ok(taken) = stream.write(self.rest.clone()) else { return };
            self.rest = self.rest.slice(taken..);
        }
        if self.rest.is_empty() && !self.finished {
            stream.finish().expect("an open stream");
            self.finished = true;
        }
    }
}

/// Reads a stream to its end and checks it against the text that was sent.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Whose stream.
    pub connection: ConnectionHandle,
    /// Which.
    pub stream: StreamId,
    expected: Bytes,
    /// Bytes read so far.
    pub read: usize,
    /// Whether the end was seen.
    pub finished: bool,
}

impl Reader {
    /// Will read `stream` and find `expected`.
    pub fn new(connection: ConnectionHandle, stream: StreamId, expected: Bytes) -> Self {
        Self { connection, stream, expected, read: 0, finished: false }
    }

    /// Reads what is there.
    pub fn pump(&mut self, endpoint: &mut Endpoint) {
        let Some(mut view) = endpoint.connection(self.connection) else { return };
        while let Some(mut stream) = view.recv(self.stream) {
            match stream.read_chunk(usize::MAX) {
                Ok(Some(chunk)) => {
                    let bytes = chunk.data;
                    let end = self.read + bytes.len();
                    assert_eq!(Some(&bytes[..]), self.expected.get(self.read..end), "wrong bytes");
                    self.read = end;
                    stream.release(bytes.len() as u64);
                }
                Ok(None) => {
                    assert_eq!(self.read, self.expected.len(), "an early end");
                    self.finished = true;
                    return;
                }
                Err(ReadError::Blocked) => return,
                Err(error) => panic!("reading failed: {error}"),
            }
        }
    }
}

/// What became of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The reader saw every byte and the end.
    pub read: bool,
    /// The writer was told that all of it arrived.
    pub delivered: bool,
}

/// Sends `len` bytes from one host to another on a connection that is there, and waits for the end.
pub fn transfer(
    net: &mut Net,
    from: (HostId, ConnectionHandle),
    to: HostId,
    len: usize,
    limit: Duration,
) -> Outcome {
    let text = text(len);
    let mut writer = Writer::open(&mut net.host(from.0).endpoint, from.1, text.clone());
    let mut reader: Option<Reader> = None;
    let mut outcome = Outcome { read: false, delivered: false };
    net.run(limit, |net| {
        for event in take(net, from.0) {
            if let EventKind::Closed(reason) = &event.1 {
                println!("the writer's connection ended at {:?}: {reason}", net.now);
            }
            match event.1 {
                EventKind::Writable(_) | EventKind::Connected => {
                    writer.pump(&mut net.host(from.0).endpoint);
                }
                EventKind::Delivered(id) if id == writer.stream => outcome.delivered = true,
                _ => {}
            }
        }
        for (handle, kind) in take(net, to) {
            if let EventKind::Closed(reason) = &kind {
                println!("the reader's connection ended at {:?}: {reason}", net.now);
            }
            let endpoint = &mut net.host(to).endpoint;
            if kind == EventKind::StreamAvailable {
                let accepted = endpoint.connection(handle).and_then(|mut view| view.accept());
                if let Some(stream) = accepted {
                    reader = Some(Reader::new(handle, stream, text.clone()));
                }
            }
            if let Some(reader) = &mut reader {
                reader.pump(endpoint);
                outcome.read = reader.finished;
            }
        }
        outcome.read && outcome.delivered
    });
    outcome
}

/// Takes the news of a host, polling it again only if there were any.
pub fn take(net: &mut Net, id: HostId) -> Vec<(ConnectionHandle, EventKind)> {
    let host = net.hosts.get_mut(id.0).expect("a host of this network");
    host.events.drain(..).map(|event| (event.connection, event.kind)).collect()
}

/// Connects two hosts and waits until both say so. Returns the handle on each side. On a link that
/// swallows a whole handshake it dials again, as an application would.
pub fn connected(net: &mut Net, a: HostId, b: HostId) -> (ConnectionHandle, ConnectionHandle) {
    for _ in 0..5 {
        let handle = net.connect(a, b);
        let (mut here, mut there, mut failed) = (false, None, false);
        net.run(Duration::from_secs(60), |net| {
            for (news_of, kind) in take(net, a) {
                here |= news_of == handle && kind == EventKind::Connected;
                failed |= news_of == handle && matches!(kind, EventKind::Closed(_));
            }
            let news = take(net, b);
            there = there.or(news.iter().find(|n| n.1 == EventKind::Connected).map(|n| n.0));
            failed || (here && there.is_some())
        });
        if let (true, false, Some(there)) = (here, failed, there) {
            return (handle, there);
        }
    }
    panic!("five handshakes failed");
}
