//! An endpoint on one UDP socket, as callers of another language see it.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::connection::EventKind;
use aqueduct_core::crypto::handshake::Ciphers;
use aqueduct_core::crypto::identity::{NodeId, NodeKey};
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, ConnectionRef, Datagram, Endpoint, Output, PeerAddr, Transmit,
};
use aqueduct_core::rng::Seed;
use aqueduct_core::stream::{OpenOptions, ReadError, StreamProtocol, WriteError};
use aqueduct_core::tape::{Payload, TapeOptions, TapeStatus};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{AppCode, CarrierId, Dir, StreamId};
use bytes::Bytes;

use crate::address::Way;
use crate::status::{Failure, Status};

/// The only socket.
const SOCKET: CarrierId = CarrierId(0);
/// The largest datagram that is sent or taken, in bytes: the core's default.
pub(crate) const MAX_DATAGRAM: u16 = 1452;

/// News of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(clippy::exhaustive_structs, reason = "the header has the same fields")]
pub struct Event {
    /// What: one of the header's `AQUEDUCT_EVENT_` values. A caller passes over those that it does
    /// not know.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
    /// Whose.
    pub connection: u64,
    /// Which stream, if it is of one.
    pub stream: u64,
}

/// An endpoint, and what stands between it and calls that ask for one thing each.
pub(crate) struct Node {
    endpoint: Endpoint,
    /// What it said last and nobody has taken: it is not asked again before.
    said: Option<Said>,
    /// What is to be sent, while `said` is [`Said::Transmit`].
    datagram: Vec<u8>,
    /// Connections by number. Numbers are never used again.
    connections: BTreeMap<u64, ConnectionHandle>,
    numbers: BTreeMap<ConnectionHandle, u64>,
    last_number: u64,
    /// What was recorded and did not fit into what the caller gave, and how much of it did.
    tape: Vec<u8>,
    taken: usize,
}

enum Said {
    Event(Event),
    Transmit(Transmit),
}

impl Node {
    pub(crate) fn new(key: &[u8; 32], seed: [u8; 32]) -> Self {
        Self::of(Endpoint::new(config(key), Seed::new(seed)))
    }

    /// The same with a tape.
    pub(crate) fn recorded(key: &[u8; 32], seed: [u8; 32], payload: Payload) -> Self {
        let options = TapeOptions { payload, ..TapeOptions::default() };
        Self::of(Endpoint::recorded(config(key), Seed::new(seed), &options))
    }

    fn of(mut endpoint: Endpoint) -> Self {
        endpoint.carrier_opened(SOCKET, socket(1), Instant::ZERO);
        Self {
            endpoint,
            said: None,
            datagram: Vec::new(),
            connections: BTreeMap::new(),
            numbers: BTreeMap::new(),
            last_number: 0,
            tape: Vec::new(),
            taken: 0,
        }
    }

    pub(crate) fn id(&self) -> [u8; 32] {
        *self.endpoint.node_id().as_bytes()
    }

    pub(crate) fn connect(
        &mut self,
        id: Option<&[u8; 32]>,
        remote: SocketAddr,
        now: Instant,
    ) -> Result<u64, Failure> {
        let id = id.map(NodeId::from_bytes).transpose();
        let id = id.map_err(|error| Failure::new(Status::Invalid, error))?;
        let to = PeerAddr { id, remote, carrier: SOCKET };
        let made = self.endpoint.connect(to, now);
        let handle = made.map_err(|error| Failure::new(Status::Refused, error))?;
        Ok(self.number(handle))
    }

    /// What names a connection to the caller.
    fn number(&mut self, handle: ConnectionHandle) -> u64 {
        if let Some(number) = self.numbers.get(&handle) {
            return *number;
        }
        self.last_number += 1;
        self.numbers.insert(handle, self.last_number);
        self.connections.insert(self.last_number, handle);
        self.last_number
    }

    /// The socket takes so many datagrams in one call.
    pub(crate) fn set_batch(&mut self, most: usize, now: Instant) {
        self.endpoint.carrier_opened(SOCKET, socket(most), now);
    }

    pub(crate) fn feed(
        &mut self,
        way: &Way,
        bytes: &mut [u8],
        now: Instant,
    ) -> Result<(), Failure> {
        let invalid = |what| Failure::new(Status::Invalid, what);
        let remote = way.address.to_std().ok_or_else(|| invalid("an address of no family"))?;
        let ecn = way.mark().ok_or_else(|| invalid("a mark of more than two bits"))?;
        let (local, segment) = (None, way.segment());
        let datagram = Datagram { carrier: SOCKET, remote, local, ecn, segment, bytes };
        self.endpoint.handle_datagram(datagram, now);
        Ok(())
    }

    /// Asks the endpoint, unless what it said last still stands. `Some` is when to ask again at the
    /// latest, if it has nothing to say.
    fn ask(&mut self, now: Instant) -> Option<Option<Instant>> {
        while self.said.is_none() {
            match self.endpoint.poll(&mut self.datagram, now) {
                Output::Event(event) => {
                    let connection = self.number(event.connection);
                    if event.kind == EventKind::Drained {
                        self.numbers.remove(&event.connection);
                        self.connections.remove(&connection);
                    }
                    let Some((kind, stream)) = describe(&event.kind) else { continue };
                    let stream = stream.map_or(0, |stream| stream.0);
                    let event = Event { kind, reserved: 0, connection, stream };
                    self.said = Some(Said::Event(event));
                }
                // Who may connect is decided when it is `Connected` and `peer` says who it is.
                Output::Incoming(guest) => _ = self.endpoint.accept(guest, now),
                Output::Transmit(to) => self.said = Some(Said::Transmit(to)),
                // No call makes a pipe.
                Output::Pipe(_) => {}
                Output::Wait(until) => return Some(until),
            }
        }
        None
    }

    pub(crate) fn poll_event(&mut self, now: Instant) -> Option<Event> {
        self.ask(now);
        match self.said {
            Some(Said::Event(event)) => {
                self.said = None;
                Some(event)
            }
            _ => None,
        }
    }

    /// What is to be sent and to whom; stands until [`Node::sent`].
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<(Way, &[u8])> {
        self.ask(now);
        let Some(Said::Transmit(to)) = &self.said else { return None };
        let several = to.segment.filter(|segment| *segment < self.datagram.len());
        let way = Way {
            address: to.remote.into(),
            segment: several.and_then(|segment| u32::try_from(segment).ok()).unwrap_or(0),
            ecn: to.ecn.map_or(0, |mark| mark as u8),
            reserved: [0; 3],
        };
        Some((way, &self.datagram))
    }

    pub(crate) fn sent(&mut self) {
        self.said = None;
    }

    /// When to poll again at the latest: `now`, if something waits to be taken; `None`, if nothing
    /// will happen before an input.
    pub(crate) fn next_timeout(&mut self, now: Instant) -> Option<Instant> {
        self.ask(now).unwrap_or(Some(now))
    }

    pub(crate) fn connection(&mut self, number: u64) -> Result<ConnectionRef<'_>, Failure> {
        let handle = self.connections.get(&number);
        let view = handle.and_then(|handle| self.endpoint.connection(*handle));
        view.ok_or_else(|| Failure::unknown("connection"))
    }

    pub(crate) fn peer(&mut self, connection: u64) -> Result<[u8; 32], Failure> {
        let peer = self.connection(connection)?.peer();
        let none = || Failure::new(Status::Refused, "the handshake is not done");
        peer.map(|id| *id.as_bytes()).ok_or_else(none)
    }

    /// Why a connection ended, as a sentence.
    pub(crate) fn close_reason(&mut self, connection: u64) -> Result<String, Failure> {
        let view = self.connection(connection)?;
        let reason = view.close_reason().map(ToString::to_string);
        reason.ok_or_else(|| Failure::new(Status::Nothing, "the connection has not ended"))
    }

    pub(crate) fn open(&mut self, connection: u64, dir: Dir, name: &[u8]) -> Result<u64, Failure> {
        let protocol = StreamProtocol::Name(Bytes::copy_from_slice(name));
        Ok(self.connection(connection)?.open(dir, OpenOptions::new(protocol))?.0)
    }

    pub(crate) fn accept(&mut self, connection: u64) -> Result<Option<u64>, Failure> {
        Ok(self.connection(connection)?.accept().map(|stream| stream.0))
    }

    /// Bytes that were taken: fewer than given if there is no room for more.
    pub(crate) fn write(
        &mut self,
        connection: u64,
        stream: u64,
        bytes: &[u8],
    ) -> Result<usize, Failure> {
        let mut view = self.connection(connection)?;
        let mut stream = view.send(StreamId(stream)).ok_or_else(|| Failure::unknown("stream"))?;
        let room = usize::try_from(stream.room()).unwrap_or(usize::MAX);
        // What cannot be taken need not be copied; one byte more asks for news of room.
        let offered = bytes.get(..room.saturating_add(1)).unwrap_or(bytes);
        match stream.write(Bytes::copy_from_slice(offered)) {
            Err(WriteError::Blocked) => Ok(0),
            taken => Ok(taken?),
        }
    }

    pub(crate) fn finish(&mut self, connection: u64, stream: u64) -> Result<(), Failure> {
        let mut view = self.connection(connection)?;
        let mut stream = view.send(StreamId(stream)).ok_or_else(|| Failure::unknown("stream"))?;
        Ok(stream.finish()?)
    }

    pub(crate) fn reset(
        &mut self,
        connection: u64,
        stream: u64,
        code: AppCode,
    ) -> Result<(), Failure> {
        let mut view = self.connection(connection)?;
        view.send(StreamId(stream)).ok_or_else(|| Failure::unknown("stream"))?.reset(code);
        Ok(())
    }

    pub(crate) fn stop(
        &mut self,
        connection: u64,
        stream: u64,
        code: AppCode,
    ) -> Result<(), Failure> {
        let mut view = self.connection(connection)?;
        view.recv(StreamId(stream)).ok_or_else(|| Failure::unknown("stream"))?.stop(code);
        Ok(())
    }

    /// Bytes that were read, at the beginning of `out`.
    pub(crate) fn read(
        &mut self,
        connection: u64,
        stream: u64,
        out: &mut [u8],
    ) -> Result<(Status, usize), Failure> {
        let mut view = self.connection(connection)?;
        let mut stream = view.recv(StreamId(stream)).ok_or_else(|| Failure::unknown("stream"))?;
        match stream.read(out) {
            Ok(Some(len)) => Ok((Status::Ok, len)),
            Ok(None) => Ok((Status::End, 0)),
            Err(ReadError::Blocked) => Ok((Status::Nothing, 0)),
            Err(error) => Err(error.into()),
        }
    }

    /// Goes past the bytes that come next and will never be there, and says which. Behind the last
    /// of a body that is its end.
    pub(crate) fn pass_skipped(
        &mut self,
        connection: u64,
        stream: u64,
    ) -> Result<(Status, Range<u64>), Failure> {
        let mut view = self.connection(connection)?;
        let mut stream = view.recv(StreamId(stream)).ok_or_else(|| Failure::unknown("stream"))?;
        // Into no room nothing is read: it only says what is next.
        let range = match stream.read(&mut []) {
            Err(ReadError::Skipped(range)) => range,
            Err(ReadError::Blocked) | Ok(Some(_)) => return Ok((Status::Nothing, 0..0)),
            Ok(None) => return Ok((Status::End, 0..0)),
            Err(error) => return Err(error.into()),
        };
        match stream.read_chunk(0) {
            Ok(None) => Ok((Status::End, range)),
            _ => Ok((Status::Ok, range)),
        }
    }

    /// Another congestion controller for what is sent from now on.
    pub(crate) fn set_controller(&mut self, connection: u64, name: &[u8]) -> Result<(), Failure> {
        let mut view = self.connection(connection)?;
        let named = str::from_utf8(name).ok().and_then(Algorithm::by_name);
        let unknown = || Failure::new(Status::Invalid, "there is no controller of that name");
        view.set_controller(named.ok_or_else(unknown)?);
        Ok(())
    }

    pub(crate) fn close(
        &mut self,
        connection: u64,
        code: AppCode,
        why: &[u8],
    ) -> Result<(), Failure> {
        self.connection(connection)?.close(code, why);
        Ok(())
    }

    /// The next bytes of the tape, at the beginning of `out`.
    pub(crate) fn take_tape(&mut self, out: &mut [u8]) -> Result<(Status, usize), Failure> {
        let ended = self.recording()?.ended.is_some();
        if self.taken == self.tape.len() {
            self.tape.clear();
            self.taken = 0;
            self.endpoint.take_tape(&mut self.tape);
        }
        let rest = self.tape.get(self.taken..).unwrap_or_default();
        if rest.is_empty() {
            return Ok((if ended { Status::End } else { Status::Nothing }, 0));
        }
        if out.is_empty() {
            return Err(Failure::new(Status::TooSmall, "there is no room for a piece of the tape"));
        }
        out.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
        let len = rest.len().min(out.len());
        self.taken += len;
        Ok((Status::Ok, len))
    }

    pub(crate) fn end_tape(&mut self) -> Result<(), Failure> {
        self.recording()?;
        self.endpoint.end_tape();
        Ok(())
    }

    fn recording(&self) -> Result<TapeStatus, Failure> {
        let none = || Failure::new(Status::Refused, "the node is not recorded");
        self.endpoint.tape().ok_or_else(none)
    }
}

/// The socket as the core sees it: it takes so many datagrams of one size at once.
const fn socket(max_segments: usize) -> CarrierKind {
    CarrierKind::Udp { max_segments, max_datagram: MAX_DATAGRAM }
}

fn config(key: &[u8; 32]) -> EndpointConfig {
    // WebAssembly has no instructions for AES.
    let ciphers = match cfg!(target_family = "wasm") {
        true => Ciphers::PreferChaCha20Poly1305,
        false => Ciphers::PreferAes256Gcm,
    };
    EndpointConfig::new(NodeKey::from_seed(key)).with_ciphers(ciphers)
}

/// What the header's number says of the payload on a tape.
pub(crate) const fn payload_of(number: i32) -> Option<Payload> {
    match number {
        0 => Some(Payload::Full),
        1 => Some(Payload::Referenced),
        2 => Some(Payload::Elided),
        _ => None,
    }
}

/// The header's number for a kind of news, and the stream that it is of. `None` for news of what no
/// call of this boundary does.
fn describe(kind: &EventKind) -> Option<(u32, Option<StreamId>)> {
    Some(match kind {
        EventKind::Connected => (1, None),
        EventKind::StreamAvailable => (2, None),
        EventKind::Readable(stream) => (3, Some(*stream)),
        EventKind::Writable(stream) => (4, Some(*stream)),
        EventKind::Delivered(stream) => (5, Some(*stream)),
        EventKind::Stopped(stream) => (6, Some(*stream)),
        EventKind::Openable(_) => (7, None),
        EventKind::Closed(_) => (8, None),
        EventKind::Drained => (9, None),
        EventKind::StreamEnded { stream, .. } => (10, Some(*stream)),
        _ => return None,
    })
}
