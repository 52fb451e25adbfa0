//! Streams that hold much behind a gap and do not move.

use std::io::Write;
use std::net::UdpSocket;
use std::sync::{Mutex, Once};
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, EventKind, Output, PeerAddr,
};
use aqueduct_core::error::StreamCode;
use aqueduct_core::rng::Seed;
use aqueduct_core::stream::StreamErrors;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{CarrierId, Dir, StreamId};
use aqueduct_std::{Bytes, Carriers, ReadError, StreamError, TransportConfig};

use crate::node::{Inlet, LOOPBACK, Link, Node, options, pattern};

const CARRIER: CarrierId = CarrierId(0);

/// A core on a socket of the test's own: it may write wherever in a body it likes.
struct Core {
    endpoint: Endpoint,
    socket: UdpSocket,
    begun: std::time::Instant,
    events: Vec<EventKind>,
    connection: Option<ConnectionHandle>,
}

impl Core {
    fn dial(to: &impl Node) -> Self {
        let config = EndpointConfig::new(aqueduct_std::generate_key().unwrap());
        let (begun, events) = (std::time::Instant::now(), Vec::new());
        let socket = UdpSocket::bind(LOOPBACK).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let endpoint = Endpoint::new(config, Seed::from_u64(1));
        let mut core = Self { endpoint, socket, begun, events, connection: None };
        let kind = CarrierKind::Udp { max_segments: 1, max_datagram: 65_507 };
        let now = core.now();
        core.endpoint.carrier_opened(CARRIER, kind, now);
        let (id, addr) = to.addr();
        core.connection = core.endpoint.connect(PeerAddr::new(id, addr), now).ok();
        core
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.begun.elapsed().as_nanos() as u64 + 1)
    }

    /// Says what there is to say.
    fn speak(&mut self) {
        let mut buf = Vec::new();
        loop {
            let now = self.now();
            match self.endpoint.poll(&mut buf, now) {
                Output::Transmit(to) => {
                    let size = to.segment.unwrap_or(buf.len());
                    for datagram in buf.chunks(size) {
                        self.socket.send_to(datagram, to.remote).unwrap();
                    }
                }
                Output::Event(event) => self.events.push(event.kind),
                Output::Wait(_) => break,
                _ => {}
            }
        }
    }

    /// Listens for a moment.
    fn listen(&mut self) {
        let mut bytes = [0; 65_536];
        if let Ok((len, remote)) = self.socket.recv_from(&mut bytes) {
            let now = self.now();
            let bytes = &mut bytes[..len];
            let (carrier, local, ecn, segment) = (CARRIER, None, None, None);
            let datagram = Datagram { carrier, remote, local, ecn, segment, bytes };
            self.endpoint.handle_datagram(datagram, now);
        }
    }

    fn until(&mut self, mut done: impl FnMut(&EventKind) -> bool) {
        // What happened is looked at before anything else is heard, which may be the end of it.
        loop {
            self.speak();
            if self.events.iter().any(&mut done) {
                return;
            }
            self.listen();
        }
    }

    /// Opens a stream and writes these pieces, of which none is the first byte.
    fn leave(&mut self, pieces: impl IntoIterator<Item = (u64, Bytes)>) -> StreamId {
        let mut view = self.endpoint.connection(self.connection.unwrap()).unwrap();
        let id = view.open(Dir::Uni, options()).unwrap();
        let mut stream = view.send(id).unwrap();
        for (offset, bytes) in pieces {
            stream.forward(offset, bytes).unwrap();
        }
        id
    }

    fn stopped(&mut self, id: StreamId) -> u64 {
        let mut view = self.endpoint.connection(self.connection.unwrap()).unwrap();
        view.send(id).unwrap().stopped().unwrap().0.0
    }
}

/// What the library logs, for tests to look at.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logging() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_env_filter("aqueduct_driver=warn")
            .with_ansi(false)
            .with_writer(|| Log)
            .init();
    });
}

/// The number that a line of the log gives under this name.
fn figure(line: &str, name: &str) -> u64 {
    let mut words = line.split([' ', ',']);
    let word = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    word.unwrap_or_else(|| panic!("no {name} in {line}")).parse().unwrap()
}

/// The application at `N`, whose limits are small, hears of a stream that its peer leaves with all
/// that it may send behind a gap, and of one that it leaves in single bytes.
///
/// spec: R-STR-41 R-STR-43
pub(crate) fn too_much_behind_a_gap<N: Node>() {
    logging();
    let transport = TransportConfig::default()
        .with_stream_buffer(8 * 1024)
        .with_stream_ranges(400)
        .unwrap()
        .with_stuck_timeout(Some(Duration::from_millis(700)));
    let node = N::by(Carriers::default(), transport);
    let mut peer = Core::dial(&node);
    std::thread::scope(|scope| {
        let link = scope.spawn(|| node.take().unwrap().unwrap());
        peer.until(|event| *event == EventKind::Connected);
        let far = link.join().unwrap();
        let much = [(1000, Bytes::from(pattern(200_000)))];
        let crumbs = (1..=350).map(|nth| (2 * nth, Bytes::from_static(b"x")));
        for by_bytes in [true, false] {
            let id = if by_bytes { peer.leave(much.clone()) } else { peer.leave(crumbs.clone()) };
            let far = far.clone();
            let reading = scope.spawn(move || far.accept_uni().unwrap().some(1));
            peer.until(|event| *event == EventKind::Stopped(id));
            let error = reading.join().unwrap().unwrap_err();
            let ReadError::Failed(StreamError::BufferOverflow { buffered, limit, hop }) = error
            else {
                panic!("{error:?}");
            };
            println!("{error}");
            let (buffered, limit) = (buffered.unwrap(), limit.unwrap());
            assert_eq!((hop, buffered * 4 >= limit * 3), (None, by_bytes), "{error}");
            assert_eq!(error.to_string().contains("ranges"), !by_bytes, "{error}");
            assert_eq!(peer.stopped(id), StreamCode::BufferOverflow.app().0);
            warned(&format!("{:?}", peer.endpoint.node_id()), id, by_bytes);
            let counted = |errors: StreamErrors| errors.of(StreamCode::BufferOverflow);
            let so_far = if by_bytes { 1 } else { 2 };
            assert_eq!(counted(node.figures().totals.streams.errors), so_far);
            assert_eq!(counted(peer.endpoint.totals().streams.errors), so_far);
        }
    });
}

/// The log warned of the stream, with what it held and what it might.
fn warned(peer: &str, id: StreamId, by_bytes: bool) {
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let of_it = |line: &&str| line.contains("nearly full") && line.contains(peer);
    let mut lines = log.lines().filter(of_it).filter(|line| figure(line, "stream") == id.0);
    let line = lines.next().unwrap_or_else(|| panic!("no warning of {id:?} in {log}"));
    assert_eq!(lines.next(), None, "told twice");
    let [buffered, limit] = ["buffered", "limit"].map(|name| figure(line, name));
    let [ranges, most] = ["ranges", "max_ranges"].map(|name| figure(line, name));
    assert!(line.contains("WARN"), "{line}");
    assert_eq!(buffered * 4 >= limit * 3, by_bytes, "{line}");
    assert_eq!(ranges * 4 >= most * 3, !by_bytes, "{line}");
}
