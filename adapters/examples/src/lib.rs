//! What the examples have in common: a [`Courier`], the application of a node that sends a file or
//! receives one. It acts on the core's news and knows nothing of loops, sockets or clocks; those
//! stand in the examples, each a whole program:
//!
//! | example | who calls the core |
//! |---|---|
//! | `memory` | one thread, two endpoints, no socket; time is a number that jumps |
//! | `mio` | a bare readiness loop: one thread, two endpoints, two UDP sockets |
//! | `smol` | a task for each endpoint, on the `smol` runtime |
//!
//! `cargo run -p aqueduct-examples --example mio`

use std::error::Error;
use std::net::SocketAddr;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::connection::EventKind;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, Event, Incoming, PeerAddr,
};
use aqueduct_core::error::CloseReason;
use aqueduct_core::rng::Seed;
use aqueduct_core::stream::{OpenOptions, ReadError, StreamProtocol, WriteError};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{AppCode, CarrierId, Dir, StreamId};
use bytes::Bytes;

/// What goes wrong ends the example.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// The only socket of each node.
pub const SOCKET: CarrierId = CarrierId(0);

/// The protocol of the stream.
const FILE: StreamProtocol = StreamProtocol::name("file");

/// A node with one task: a file to send, or one to receive.
pub struct Courier {
    /// The node. Its loop polls it and hands it what came.
    pub endpoint: Endpoint,
    /// What is still to be written; empty at the receiver.
    rest: Bytes,
    /// The stream, at the sender.
    stream: Option<StreamId>,
    hasher: blake3::Hasher,
    bytes: u64,
    whole: bool,
    end: Option<CloseReason>,
    drained: bool,
}

impl Courier {
    /// A node with a fresh key that receives.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn receiver() -> Outcome<Self> {
        Self::sender(Bytes::new())
    }

    /// A node with a fresh key that sends `file` when it is connected.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn sender(file: Bytes) -> Outcome<Self> {
        let config = EndpointConfig::new(NodeKey::from_seed(&random()?));
        let mut endpoint = Endpoint::new(config, Seed::new(random()?));
        let kind = CarrierKind::Udp { max_segments: 1, max_datagram: 1452 };
        endpoint.carrier_opened(SOCKET, kind, Instant::ZERO);
        Ok(Self {
            endpoint,
            rest: file,
            stream: None,
            hasher: blake3::Hasher::new(),
            bytes: 0,
            whole: false,
            end: None,
            drained: false,
        })
    }

    /// Dials the other node.
    ///
    /// # Errors
    /// The core has no room for a connection.
    pub fn dial(&mut self, other: &Self, at: SocketAddr, now: Instant) -> Outcome {
        self.endpoint.connect(PeerAddr::new(other.endpoint.node_id(), at), now)?;
        Ok(())
    }

    /// A datagram came.
    pub fn receive(&mut self, bytes: &mut [u8], remote: SocketAddr, now: Instant) {
        let (local, ecn, segment) = (None, None, None);
        let datagram = Datagram { carrier: SOCKET, remote, local, ecn, segment, bytes };
        self.endpoint.handle_datagram(datagram, now);
    }

    /// Somebody wants to connect: everybody may.
    pub fn on_incoming(&mut self, guest: Incoming, now: Instant) {
        self.endpoint.accept(guest, now);
    }

    /// The core has news.
    ///
    /// # Errors
    /// The stream broke.
    pub fn on_event(&mut self, event: Event) -> Outcome {
        let Event { connection, kind } = event;
        match kind {
            EventKind::Connected if !self.rest.is_empty() => self.open(connection)?,
            EventKind::Writable(_) => self.write(connection)?,
            EventKind::StreamAvailable => {
                let stream = self.endpoint.connection(connection).and_then(|mut c| c.accept());
                stream.map_or(Ok(()), |stream| self.read(connection, stream))?;
            }
            EventKind::Readable(stream) => self.read(connection, stream)?,
            EventKind::Delivered(_) => {
                self.whole = true;
                if let Some(mut view) = self.endpoint.connection(connection) {
                    view.close(AppCode(0), b"delivered");
                }
            }
            EventKind::Closed(reason) => self.end = Some(reason),
            EventKind::Drained => self.drained = true,
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, connection: ConnectionHandle) -> Outcome {
        let Some(mut view) = self.endpoint.connection(connection) else { return Ok(()) };
        self.stream = Some(view.open(Dir::Uni, OpenOptions::new(FILE))?);
        drop(view);
        self.write(connection)
    }

    /// Writes what the stream takes; news follows when there is room for more.
    fn write(&mut self, connection: ConnectionHandle) -> Outcome {
        let Some(mut view) = self.endpoint.connection(connection) else { return Ok(()) };
        let Some(mut stream) = self.stream.and_then(|id| view.send(id)) else { return Ok(()) };
        while !self.rest.is_empty() {
            match stream.write(self.rest.clone()) {
                Ok(taken) => {
                    let written = self.rest.split_to(taken);
                    self.hasher.update(&written);
                    self.bytes += written.len() as u64;
                }
                Err(WriteError::Blocked) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        stream.finish()?;
        Ok(())
    }

    /// Reads what is here; news follows when there is more.
    fn read(&mut self, connection: ConnectionHandle, stream: StreamId) -> Outcome {
        let Some(mut view) = self.endpoint.connection(connection) else { return Ok(()) };
        let Some(mut stream) = view.recv(stream) else { return Ok(()) };
        loop {
            match stream.read_chunk(usize::MAX) {
                Ok(Some(chunk)) => {
                    self.hasher.update(&chunk.data);
                    self.bytes += chunk.data.len() as u64;
                    stream.release(chunk.data.len() as u64);
                }
                Ok(None) => {
                    self.whole = true;
                    return Ok(());
                }
                Err(ReadError::Blocked) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether its connection has ended, and the core has forgotten it.
    pub fn is_over(&self) -> bool {
        self.drained
    }
}

/// A file of random bytes.
///
/// # Errors
/// The system has no randomness to give.
pub fn file(len: usize) -> Outcome<Bytes> {
    let mut file = vec![0; len];
    getrandom::fill(&mut file)?;
    Ok(file.into())
}

fn random() -> Outcome<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Says what came of a transfer.
///
/// # Errors
/// The file did not arrive, or with another digest.
pub fn verdict(sender: &Courier, receiver: &Courier) -> Outcome {
    for (name, courier) in [("sent", sender), ("received", receiver)] {
        let digest = courier.hasher.finalize().to_hex();
        println!("{name:<9} {} bytes, BLAKE3 {digest}", courier.bytes);
        if let Some(end) = &courier.end {
            println!("          {end}");
        }
    }
    if !(sender.whole && receiver.whole) {
        return Err("the file did not arrive whole".into());
    }
    if sender.bytes != receiver.bytes || sender.hasher.finalize() != receiver.hasher.finalize() {
        return Err("the digests differ".into());
    }
    println!("equal digests");
    Ok(())
}
