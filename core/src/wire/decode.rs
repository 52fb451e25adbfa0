//! Bytes to frames.

use core::net::{IpAddr, SocketAddr};

use super::ack::AckFrame;
use super::codec::{DecodeError, Reader};
use super::frame::{CloseCode, CloseFrame, Frame, MAX_FRAMES, MAX_HOP, MAX_REASON};
use super::frame::{MAX_STREAM_COUNT, NewCidFrame, ResetFrame, StopFrame, StreamFrame};
use super::id::{AppCode, ConnectionId, CreditTarget, Dir, StreamId};
use super::kind;
use super::open::OpenFrame;
use super::varint;

/// The frames of an opened packet, in order.
///
/// Ends after the first error. An empty packet is an error, and so is a frame beyond the
/// [`MAX_FRAMES`]th.
pub const fn frames(payload: &[u8]) -> Frames<'_> {
    Frames { reader: Reader::new(payload), seen: 0, over: false }
}

/// The frames of a packet; see [`frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    reader: Reader<'a>,
    seen: usize,
    over: bool,
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over || (self.seen > 0 && self.reader.is_empty()) {
            return None;
        }
        let frame = match self.seen {
            0 if self.reader.is_empty() => Err(DecodeError::Rule("a packet without frames")),
            MAX_FRAMES => Err(DecodeError::Rule("a packet with too many frames")),
            _ => Frame::decode(&mut self.reader),
        };
        self.seen += 1;
        self.over = frame.is_err();
        Some(frame)
    }
}

impl core::iter::FusedIterator for Frames<'_> {}

impl<'a> Frame<'a> {
    /// The next frame of a packet's payload.
    ///
    /// # Errors
    /// Bytes that are no legal frame.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let kind = reader.shortest_varint()?;
        Ok(match kind {
            kind::PADDING => padding(reader),
            kind::PING => Frame::Ping,
            kind::ACK | kind::ACK_ECN => {
                Frame::Ack(AckFrame::decode(reader, kind == kind::ACK_ECN)?)
            }
            kind::OPEN => Frame::Open(OpenFrame::decode(reader)?),
            kind::SKIP => skip(reader)?,
            kind::RESET => Frame::Reset(ResetFrame::decode(reader)?),
            kind::STOP => Frame::Stop(StopFrame {
                id: stream(reader)?,
                code: AppCode(reader.varint()?),
                hop: hop(reader)?,
            }),
            0x08..=0x0f => Frame::Stream(StreamFrame::decode(reader, kind)?),
            0x10..=0x19 => credit(reader, kind)?,
            kind::DATAGRAM => Frame::Datagram { data: reader.take_rest() },
            kind::DATAGRAM_LEN => Frame::Datagram { data: counted(reader)? },
            kind::NEW_CID => Frame::NewCid(NewCidFrame {
                sequence: reader.varint()?,
                cid: ConnectionId(reader.array()?),
                reset_token: reader.array()?,
            }),
            kind::RETIRE_CID => Frame::RetireCid { sequence: reader.varint()? },
            kind::PATH_CHALLENGE => Frame::PathChallenge { token: reader.array()? },
            kind::PATH_RESPONSE => Frame::PathResponse { token: reader.array()? },
            kind::OBSERVED_ADDRESS => {
                let sequence = reader.varint()?;
                let ip = ip(reader)?;
                let address = SocketAddr::new(ip, reader.u16()?);
                Frame::ObservedAddress { sequence, address }
            }
            kind::PARAMS => Frame::Params { data: counted(reader)? },
            kind::CLOSE_TRANSPORT => close(CloseCode::Transport(reader.varint()?), reader)?,
            kind::CLOSE_APP => close(CloseCode::App(AppCode(reader.varint()?)), reader)?,
            kind::FIRST_SKIPPABLE.. => Frame::Unknown { kind, data: counted(reader)? },
            _ => return Err(DecodeError::Malformed("a frame of a reserved type")),
        })
    }
}

/// A run of zeros is one frame, whose first byte was read as the type.
fn padding<'a>(reader: &mut Reader<'a>) -> Frame<'a> {
    let more = reader.rest().iter().take_while(|byte| **byte == 0).count();
    let skipped = reader.bytes(more).map_or(0, <[u8]>::len);
    Frame::Padding { len: skipped + 1 }
}

fn stream(reader: &mut Reader<'_>) -> Result<StreamId, DecodeError> {
    reader.varint().map(StreamId)
}

fn hop(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match reader.varint()? {
        hop @ 0..=MAX_HOP => Ok(hop),
        _ => Err(DecodeError::Malformed("a hop distance above 255")),
    }
}

fn counted<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = usize::try_from(reader.varint()?).map_err(|_| DecodeError::Truncated)?;
    reader.bytes(length)
}

fn skip<'a>(reader: &mut Reader<'a>) -> Result<Frame<'a>, DecodeError> {
    let (id, start, length) = (stream(reader)?, reader.varint()?, reader.varint()?);
    if length == 0 {
        return Err(DecodeError::Malformed("a SKIP of nothing"));
    }
    Ok(Frame::Skip { id, range: start..end_of_body(start, length)? })
}

/// The offset behind `length` bytes from `offset`, which no body reaches beyond 2^62 - 1.
fn end_of_body(offset: u64, length: u64) -> Result<u64, DecodeError> {
    let end = offset.checked_add(length).filter(|end| *end <= varint::MAX);
    end.ok_or(DecodeError::Malformed("a stream offset above 2^62 - 1"))
}

impl<'a> StreamFrame<'a> {
    fn decode(reader: &mut Reader<'a>, kind: u64) -> Result<Self, DecodeError> {
        let has = |bit: u64| kind & bit != 0;
        let fin = has(kind::STREAM_FIN);
        let id = stream(reader)?;
        let offset = if has(kind::STREAM_OFFSET) { reader.varint()? } else { 0 };
        let data = if has(kind::STREAM_LEN) { counted(reader)? } else { reader.take_rest() };
        if data.is_empty() && !fin {
            return Err(DecodeError::Malformed("a STREAM frame without data and without FIN"));
        }
        end_of_body(offset, data.len() as u64)?;
        Ok(Self { id, offset, data, fin })
    }
}

impl ResetFrame {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let frame = Self {
            id: stream(reader)?,
            code: AppCode(reader.varint()?),
            hop: hop(reader)?,
            final_size: reader.varint()?,
            reliable_size: reader.varint()?,
        };
        if frame.reliable_size > frame.final_size {
            return Err(DecodeError::Malformed(
                "a RESET whose reliable size is above its final size",
            ));
        }
        Ok(frame)
    }
}

fn credit<'a>(reader: &mut Reader<'a>, kind: u64) -> Result<Frame<'a>, DecodeError> {
    Ok(match kind {
        kind::MAX_DATA => Frame::MaxData { limit: reader.varint()? },
        kind::MAX_STREAM_DATA => {
            Frame::MaxStreamData { id: stream(reader)?, limit: reader.varint()? }
        }
        kind::MAX_STREAMS_BI => Frame::MaxStreams { dir: Dir::Bi, limit: count(reader)? },
        kind::MAX_STREAMS_UNI => Frame::MaxStreams { dir: Dir::Uni, limit: count(reader)? },
        kind::CREDIT_RECALL => {
            Frame::CreditRecall { target: target(reader)?, total: reader.varint()? }
        }
        kind::CREDIT_RETURNED => {
            Frame::CreditReturned { target: target(reader)?, total: reader.varint()? }
        }
        kind::DATA_BLOCKED => Frame::DataBlocked { limit: reader.varint()? },
        kind::STREAM_DATA_BLOCKED => {
            Frame::StreamDataBlocked { id: stream(reader)?, limit: reader.varint()? }
        }
        kind::STREAMS_BLOCKED_BI => Frame::StreamsBlocked { dir: Dir::Bi, limit: count(reader)? },
        _ => Frame::StreamsBlocked { dir: Dir::Uni, limit: count(reader)? },
    })
}

fn count(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match reader.varint()? {
        count @ 0..=MAX_STREAM_COUNT => Ok(count),
        _ => Err(DecodeError::Malformed("a count of streams above 2^60")),
    }
}

fn target(reader: &mut Reader<'_>) -> Result<CreditTarget, DecodeError> {
    Ok(CreditTarget::from_u64(reader.varint()?))
}

fn ip(reader: &mut Reader<'_>) -> Result<IpAddr, DecodeError> {
    match reader.u8()? {
        4 => reader.array::<4>().map(IpAddr::from),
        6 => reader.array::<16>().map(IpAddr::from),
        _ => Err(DecodeError::Malformed("an address that is neither IPv4 nor IPv6")),
    }
}

fn close<'a>(code: CloseCode, reader: &mut Reader<'a>) -> Result<Frame<'a>, DecodeError> {
    let reason = reader.prefixed(MAX_REASON, "a CLOSE whose reason is too long")?;
    Ok(Frame::Close(CloseFrame { code, reason }))
}
