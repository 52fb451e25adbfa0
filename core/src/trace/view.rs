//! What there was to see of a recorded run, one thing at a time.

use alloc::vec::Vec;

use crate::connection::Vitals;
use crate::tape::{Route, Slot};
use crate::time::Instant;
use crate::wire::frame::{Frames, frames};
use crate::wire::header::PacketType;
use crate::wire::id::PacketNumber;

use super::Record;

/// One thing that was seen, in the order in which it happened.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "when, and what")]
pub struct View<'a> {
    /// The record of the tape that it goes with.
    pub step: u64,
    /// When.
    pub time: Instant,
    /// What.
    pub what: Seen<'a>,
}

/// What is seen (spec R-RPT-2).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Seen<'a> {
    /// A record, as it stands on the tape.
    Record(Record<'a>),
    /// A packet came or went.
    Packet(Packet),
    /// Packets that this node sent were acknowledged.
    Acked(Slot, Vec<PacketNumber>),
    /// Packets that this node sent were declared lost.
    Lost(Slot, Vec<PacketNumber>),
    /// Packets that had been declared lost have arrived after all.
    Spurious(Slot, Vec<PacketNumber>),
    /// A connection has keys: the hash of its handshake, which both ends have.
    Met(Slot, [u8; 32]),
    /// How sending stands on a connection, when that has changed.
    Vitals(Slot, Vitals),
    /// What the pipes of the node hold, in bytes, when that has changed.
    Piped(u64),
}

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there and back")]
pub enum Way {
    /// From this node.
    Sent,
    /// To this node.
    Received,
}

/// A packet: one datagram, or one of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what is known of a packet")]
pub struct Packet {
    /// Which way it went.
    pub way: Way,
    /// By which socket, to or from where.
    pub route: Route,
    /// Of which connection, if that is known.
    pub connection: Option<Slot>,
    /// Bytes of the datagram.
    pub size: usize,
    /// The datagram as it went over the wire, if that is known.
    pub datagram: Option<Vec<u8>>,
    /// What was in it.
    pub content: Content,
}

/// What is known of a packet's content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A packet of the handshake.
    Handshake(PacketType),
    /// A packet that was opened.
    Data {
        /// Its number.
        number: PacketNumber,
        /// Key updates before it.
        phase: u64,
        /// Its frames, as they stand in it.
        payload: Vec<u8>,
    },
    /// A stateless reset of the connection.
    Reset,
    /// It was not opened: the tape does not hold it or its key, or nobody has its key.
    Sealed,
}

impl Packet {
    /// Its frames, if it was opened.
    pub fn frames(&self) -> Option<Frames<'_>> {
        match &self.content {
            Content::Data { payload, .. } => Some(frames(payload)),
            _ => None,
        }
    }
}

/// How much of a run can be seen (spec R-RPT-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "all, all but the bytes, or what the tape says")]
pub enum Depth {
    /// The core runs again, to the byte.
    Replayed,
    /// The core runs again, with zeros in place of what was sent and is not on the tape.
    Blank,
    /// Only what stands on the tape: no packet is opened, and nothing is known of windows, round
    /// trips and losses.
    Records,
}
