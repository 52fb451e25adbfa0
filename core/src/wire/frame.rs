//! Frames: what a 1-RTT packet carries (spec `04-frames.md`).

use alloc::borrow::Cow;
use alloc::string::String;
use core::net::SocketAddr;
use core::ops::Range;

use super::ack::AckFrame;
use super::id::{AppCode, ConnectionId, CreditTarget, Dir, PacketNumber, StreamId};
use super::open::OpenFrame;

pub use super::decode::{Frames, frames};

/// Bytes of a CLOSE frame's reason, at most. Longer ones are cut when written.
pub const MAX_REASON: usize = 64;
/// Frames in one packet, at most; a run of PADDING counts once.
pub const MAX_FRAMES: usize = 512;
/// Streams of one kind, at most: their ids then fit a varint.
pub const MAX_STREAM_COUNT: u64 = 1 << 60;
/// The largest hop distance in RESET and STOP.
pub const MAX_HOP: u64 = 255;

/// One frame, borrowed from the packet it came in or from the part that writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A run of zero bytes; carries nothing. Counts as in flight, elicits no ACK.
    Padding {
        /// Length of the run in bytes.
        len: usize,
    },
    /// Elicits an ACK.
    Ping,
    /// What was received. Elicits no ACK.
    Ack(AckFrame<'a>),
    /// Introduces a stream.
    Open(OpenFrame<'a>),
    /// Bytes of a stream's body.
    Stream(StreamFrame<'a>),
    /// Bytes of a stream that will never come.
    Skip {
        /// The stream.
        id: StreamId,
        /// Offsets of the body.
        range: Range<u64>,
    },
    /// The sending side gives up.
    Reset(ResetFrame),
    /// The receiving side gives up.
    Stop(StopFrame),
    /// Raises the connection's credit: the sum of highest offsets of all streams may reach `limit`.
    MaxData {
        /// Absolute, in bytes.
        limit: u64,
    },
    /// Raises a stream's credit.
    MaxStreamData {
        /// The stream.
        id: StreamId,
        /// Absolute offset, exclusive.
        limit: u64,
    },
    /// Raises how many streams the receiver of the frame may open in all.
    MaxStreams {
        /// Kind of stream.
        dir: Dir,
        /// Absolute count, at most 2^60.
        limit: u64,
    },
    /// Asks for unused credit back.
    CreditRecall {
        /// Whose credit.
        target: CreditTarget,
        /// Credit that is asked back since the beginning, in all; only grows (spec R-FLOW-9).
        total: u64,
    },
    /// Gives credit back: the sender of the frame will never pass its limit less `total`.
    CreditReturned {
        /// Whose credit.
        target: CreditTarget,
        /// Credit given back since the beginning, in all; only grows (spec R-FLOW-9).
        total: u64,
    },
    /// The connection's credit stops the sender.
    DataBlocked {
        /// The limit that it stands at.
        limit: u64,
    },
    /// A stream's credit stops the sender.
    StreamDataBlocked {
        /// The stream.
        id: StreamId,
        /// The limit that it stands at.
        limit: u64,
    },
    /// The count of streams stops the sender.
    StreamsBlocked {
        /// Kind of stream.
        dir: Dir,
        /// The limit that it stands at.
        limit: u64,
    },
    /// An unreliable datagram.
    Datagram {
        /// Its bytes.
        data: &'a [u8],
    },
    /// One more id by which the sender of the frame can be addressed.
    NewCid(NewCidFrame),
    /// An id of the frame's receiver will not be used any more.
    RetireCid {
        /// The id's sequence number.
        sequence: u64,
    },
    /// Is the peer reachable on the path this came on?
    PathChallenge {
        /// Eight unpredictable bytes.
        token: [u8; 8],
    },
    /// The answer, on the same path.
    PathResponse {
        /// The challenge's bytes.
        token: [u8; 8],
    },
    /// Where the sender sees the receiver's packets come from.
    ObservedAddress {
        /// Grows with each change; older ones are ignored.
        sequence: u64,
        /// The address as seen.
        address: SocketAddr,
    },
    /// Parameters that did not fit the handshake, or that may change (see `params.rs`).
    Params {
        /// Encoded parameters.
        data: &'a [u8],
    },
    /// The connection ends.
    Close(CloseFrame<'a>),
    /// A frame that this version does not know and may ignore.
    Unknown {
        /// The type, at least 0x40.
        kind: u64,
        /// Its content.
        data: &'a [u8],
    },
}

/// STREAM: bytes at an offset of a stream's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFrame<'a> {
    /// The stream.
    pub id: StreamId,
    /// Offset of the first byte.
    pub offset: u64,
    /// The bytes; may be empty only with `fin`.
    pub data: &'a [u8],
    /// Whether the body ends behind these bytes.
    pub fin: bool,
}

/// RESET: the sender abandons a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct ResetFrame {
    /// The stream.
    pub id: StreamId,
    /// Why.
    pub code: AppCode,
    /// Relays between this receiver and where it began: 0 at the origin.
    pub hop: u64,
    /// One more than the highest offset ever sent.
    pub final_size: u64,
    /// Bytes below are still delivered before the error; at most `final_size`.
    pub reliable_size: u64,
}

/// STOP: the receiver wants no more of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct StopFrame {
    /// The stream.
    pub id: StreamId,
    /// Why.
    pub code: AppCode,
    /// Relays between this receiver and where it began: 0 at the origin.
    pub hop: u64,
}

/// NEW_CID: one more connection id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewCidFrame {
    /// Counts ids from 0 (the handshake's).
    pub sequence: u64,
    /// The id.
    pub cid: ConnectionId,
    /// What a stateless reset for this id ends with.
    pub reset_token: [u8; 16],
}

/// CLOSE: who ended the connection, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// The cause.
    pub code: CloseCode,
    /// UTF-8 for people, at most 64 bytes.
    pub reason: &'a [u8],
}

/// The code in a CLOSE frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The transport's (a [`crate::error::TransportCode`] value, or one this version does not
    /// know).
    Transport(u64),
    /// The application's.
    App(AppCode),
}

/// The receipt of a frame in a sent packet: what its owner needs when the packet is acknowledged or
/// lost. Frames that nobody asks about (PADDING, PING, PATH_CHALLENGE, PATH_RESPONSE, CLOSE) leave
/// none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub enum SentFrame {
    /// ACK: once acknowledged, older ranges need not be repeated.
    Ack {
        /// Largest number the ACK named.
        largest: PacketNumber,
    },
    /// OPEN.
    Open(StreamId),
    /// STREAM.
    Stream {
        /// The stream.
        id: StreamId,
        /// Offsets sent.
        range: Range<u64>,
        /// Whether the end was announced.
        fin: bool,
    },
    /// SKIP.
    Skip {
        /// The stream.
        id: StreamId,
        /// Offsets skipped.
        range: Range<u64>,
    },
    /// RESET.
    Reset(StreamId),
    /// STOP.
    Stop(StreamId),
    /// MAX_DATA.
    MaxData(u64),
    /// MAX_STREAM_DATA.
    MaxStreamData(StreamId, u64),
    /// MAX_STREAMS.
    MaxStreams(Dir, u64),
    /// CREDIT_RECALL, by total.
    CreditRecall(CreditTarget, u64),
    /// CREDIT_RETURNED, by total.
    CreditReturned(CreditTarget, u64),
    /// DATA_BLOCKED.
    DataBlocked(u64),
    /// STREAM_DATA_BLOCKED.
    StreamDataBlocked(StreamId, u64),
    /// STREAMS_BLOCKED.
    StreamsBlocked(Dir, u64),
    /// DATAGRAM, by payload length.
    Datagram(usize),
    /// NEW_CID, by sequence.
    NewCid(u64),
    /// RETIRE_CID, by sequence.
    RetireCid(u64),
    /// OBSERVED_ADDRESS, by sequence.
    ObservedAddress(u64),
    /// PARAMS.
    Params,
}

impl<'a> CloseFrame<'a> {
    /// The reason as text; what is no UTF-8 reads as replacement characters.
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.reason)
    }
}

impl SentFrame {
    /// The receipt of `frame`; `None` if nobody asks what becomes of it.
    pub fn of(frame: &Frame<'_>) -> Option<Self> {
        Some(match frame {
            Frame::Ack(ack) => Self::Ack { largest: ack.largest },
            Frame::Open(open) => Self::Open(open.id),
            Frame::Stream(stream) => Self::Stream {
                id: stream.id,
                range: stream.offset..stream.offset.saturating_add(stream.data.len() as u64),
                fin: stream.fin,
            },
            Frame::Skip { id, range } => Self::Skip { id: *id, range: range.clone() },
            Frame::Reset(reset) => Self::Reset(reset.id),
            Frame::Stop(stop) => Self::Stop(stop.id),
            Frame::MaxData { limit } => Self::MaxData(*limit),
            Frame::MaxStreamData { id, limit } => Self::MaxStreamData(*id, *limit),
            Frame::MaxStreams { dir, limit } => Self::MaxStreams(*dir, *limit),
            Frame::CreditRecall { target, total } => Self::CreditRecall(*target, *total),
            Frame::CreditReturned { target, total } => Self::CreditReturned(*target, *total),
            Frame::DataBlocked { limit } => Self::DataBlocked(*limit),
            Frame::StreamDataBlocked { id, limit } => Self::StreamDataBlocked(*id, *limit),
            Frame::StreamsBlocked { dir, limit } => Self::StreamsBlocked(*dir, *limit),
            Frame::Datagram { data } => Self::Datagram(data.len()),
            Frame::NewCid(new) => Self::NewCid(new.sequence),
            Frame::RetireCid { sequence } => Self::RetireCid(*sequence),
            Frame::ObservedAddress { sequence, .. } => Self::ObservedAddress(*sequence),
            Frame::Params { .. } => Self::Params,
            Frame::Padding { .. }
            | Frame::Ping
            | Frame::PathChallenge { .. }
            | Frame::PathResponse { .. }
            | Frame::Close(_)
            | Frame::Unknown { .. } => return None,
        })
    }
}
