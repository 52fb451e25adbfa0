//! Routes: the way of a stream through relays, as the head of its OPEN.
//!
//! ```text
//! version u8 | relays u8 | targets u8 | hop* | protocol | the application's head, to the end
//! hop: node id 32 | count u8 | (4 | ip 4 | port u16  or  6 | ip 16 | port u16)*
//! protocol: 0 | varint  or  1 | length u8 | name
//! ```
//!
//! Rules: spec `18-routes.md` (R-ROUTE).

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use thiserror::Error;

use super::codec::{DecodeError, Put, Reader};
use super::id::StreamId;
use super::open::{MAX_HEAD, MAX_PROTOCOL_NAME, Protocol};
use super::varint;

/// Hops that a route names, relays and targets together, at most.
pub const MAX_HOPS: usize = 16;
/// Addresses of a hop, at most.
pub const MAX_ADDRS: usize = 4;

const VERSION: u8 = 1;

/// A node and where it may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a node and its addresses")]
pub struct Hop {
    /// Its node id.
    pub id: [u8; 32],
    /// One to four addresses, best first.
    pub addrs: Vec<SocketAddr>,
}

/// The way of a stream, as its next relay reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of the format")]
pub struct Route<'a> {
    /// Relays behind the one that reads this, in the order of the way.
    pub relays: Vec<Hop>,
    /// Who receives, behind the last relay.
    pub targets: Vec<Hop>,
    /// What the targets are told that the stream speaks.
    pub protocol: Protocol<'a>,
    /// The application's head.
    pub head: &'a [u8],
}

/// Why a way cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Nobody receives.
    #[error("a way needs at least one receiver")]
    NoTarget,
    /// Too many hops.
    #[error("a way of {hops} hops is too long: at most {MAX_HOPS}, relays and receivers together")]
    TooManyHops {
        /// How many it has.
        hops: usize,
    },
    /// A hop whose node id is not known.
    #[error("hop {hop} has no node id: relays dial nobody whom they do not know")]
    NoId {
        /// Which, counted from 0, relays first.
        hop: usize,
    },
    /// A hop without an address, or with too many.
    #[error("hop {hop} has {addrs} addresses: 1 to {MAX_ADDRS} are possible")]
    Addrs {
        /// Which, counted from 0, relays first.
        hop: usize,
        /// How many it has.
        addrs: usize,
    },
    /// What stands for the protocol at the receivers is none.
    #[error("a protocol has a name of 1 to {MAX_PROTOCOL_NAME} bytes, or a number below 2^62")]
    Protocol,
    /// It does not fit OPEN's head.
    #[error(
        "the way and the head take {bytes} bytes: at most {MAX_HEAD} (the limit of OPEN's head)"
    )]
    TooLong {
        /// How many it takes.
        bytes: usize,
    },
}

impl<'a> Route<'a> {
    /// Writes the route: the head of the OPEN that goes to the first relay.
    ///
    /// # Errors
    /// [`RouteError`] names what does not fit.
    pub fn encode(&self) -> Result<Vec<u8>, RouteError> {
        let hops = self.relays.len() + self.targets.len();
        if self.targets.is_empty() {
            return Err(RouteError::NoTarget);
        }
        if hops > MAX_HOPS {
            return Err(RouteError::TooManyHops { hops });
        }
        let mut out = Vec::new();
        out.u8(VERSION);
        out.u8(self.relays.len() as u8);
        out.u8(self.targets.len() as u8);
        for (hop, node) in self.relays.iter().chain(&self.targets).enumerate() {
            let addrs = node.addrs.len();
            if !(1..=MAX_ADDRS).contains(&addrs) {
                return Err(RouteError::Addrs { hop, addrs });
            }
            put_hop(&mut out, node);
        }
        match self.protocol {
            Protocol::Number(number) if number <= varint::MAX => {
                out.u8(0);
                out.varint(number);
            }
            Protocol::Name(name) if (1..=MAX_PROTOCOL_NAME).contains(&name.len()) => {
                out.u8(1);
                out.u8(name.len() as u8);
                out.bytes(name);
            }
            _ => return Err(RouteError::Protocol),
        }
        out.bytes(self.head);
        if out.len() > MAX_HEAD {
            return Err(RouteError::TooLong { bytes: out.len() });
        }
        Ok(out)
    }

    /// Reads a route.
    ///
    /// # Errors
    /// Bytes of another form.
    pub fn decode(head: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(head);
        if reader.u8()? != VERSION {
            return Err(DecodeError::Malformed("a route of an unknown version"));
        }
        let (relays, targets) = (usize::from(reader.u8()?), usize::from(reader.u8()?));
        if targets == 0 || relays + targets > MAX_HOPS {
            return Err(DecodeError::Malformed("a route with no target or too many hops"));
        }
        let relays = read_hops(relays, &mut reader)?;
        let targets = read_hops(targets, &mut reader)?;
        let protocol = match reader.u8()? {
            0 => Protocol::Number(reader.varint()?),
            1 => {
                let length = usize::from(reader.u8()?);
                if !(1..=MAX_PROTOCOL_NAME).contains(&length) {
                    return Err(DecodeError::Malformed("a protocol's name of a wrong length"));
                }
                Protocol::Name(reader.bytes(length)?)
            }
            _ => return Err(DecodeError::Malformed("a protocol of an unknown kind")),
        };
        Ok(Self { relays, targets, protocol, head: reader.take_rest() })
    }
}

fn put_hop(out: &mut Vec<u8>, hop: &Hop) {
    out.bytes(&hop.id);
    out.u8(hop.addrs.len() as u8);
    for addr in &hop.addrs {
        match addr.ip() {
            IpAddr::V4(ip) => {
                out.u8(4);
                out.bytes(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.u8(6);
                out.bytes(&ip.octets());
            }
        }
        out.u16(addr.port());
    }
}

fn read_hops(count: usize, reader: &mut Reader<'_>) -> Result<Vec<Hop>, DecodeError> {
    (0..count).map(|_| read_hop(reader)).collect()
}

fn read_hop(reader: &mut Reader<'_>) -> Result<Hop, DecodeError> {
    let id = reader.array()?;
    let count = usize::from(reader.u8()?);
    if !(1..=MAX_ADDRS).contains(&count) {
        return Err(DecodeError::Malformed("a hop with no address or too many"));
    }
    let addrs = (0..count).map(|_| read_addr(reader)).collect::<Result<_, _>>()?;
    Ok(Hop { id, addrs })
}

fn read_addr(reader: &mut Reader<'_>) -> Result<SocketAddr, DecodeError> {
    let ip: IpAddr = match reader.u8()? {
        4 => reader.array::<4>()?.into(),
        6 => reader.array::<16>()?.into(),
        _ => return Err(DecodeError::Malformed("an address of an unknown kind")),
    };
    Ok(SocketAddr::new(ip, reader.u16()?))
}

/// Which leg's answer comes on a stream of protocol
/// [`ANSWER`](super::protocol::ANSWER): its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of the format")]
pub struct Answer {
    /// The stream that is answered, on the connection that the answer goes by.
    pub stream: StreamId,
    /// Which target's answer it is, by its place in the route.
    pub target: u8,
}

impl Answer {
    /// Writes it.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::new();
        out.varint(self.stream.0);
        out.u8(self.target);
        out
    }

    /// Reads it.
    ///
    /// # Errors
    /// Bytes of another form.
    pub fn decode(head: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(head);
        let answer = Self { stream: StreamId(reader.varint()?), target: reader.u8()? };
        if reader.is_empty() { Ok(answer) } else { Err(TRAILING) }
    }
}

/// Which bytes of a leg its receiver wants once more: the head of a stream of protocol
/// [`RANGE`](super::protocol::RANGE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of the format")]
pub struct Wanted {
    /// The leg, on the connection that the request goes by.
    pub stream: StreamId,
    /// The first of the bytes.
    pub start: u64,
    /// One more than the last; `None`: to the end of the body.
    pub end: Option<u64>,
}

impl Wanted {
    /// Writes it.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::new();
        out.varint(self.stream.0);
        out.varint(self.start);
        self.end.into_iter().for_each(|end| out.varint(end));
        out
    }

    /// Reads it.
    ///
    /// # Errors
    /// Bytes of another form.
    pub fn decode(head: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(head);
        let (stream, start) = (StreamId(reader.varint()?), reader.varint()?);
        let end = if reader.is_empty() { None } else { Some(reader.varint()?) };
        if reader.is_empty() { Ok(Self { stream, start, end }) } else { Err(TRAILING) }
    }
}

/// Which request a stream of protocol [`PART`](super::protocol::PART) answers: its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the field of the format")]
pub struct Part {
    /// The stream of the request, on the same connection.
    pub request: StreamId,
}

impl Part {
    /// Writes it.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::new();
        out.varint(self.request.0);
        out
    }

    /// Reads it.
    ///
    /// # Errors
    /// Bytes of another form.
    pub fn decode(head: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(head);
        let part = Self { request: StreamId(reader.varint()?) };
        if reader.is_empty() { Ok(part) } else { Err(TRAILING) }
    }
}

const TRAILING: DecodeError = DecodeError::Malformed("bytes behind the end of a head");

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
