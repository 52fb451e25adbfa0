//! Legal values from a fuzzer's bytes.
//!
//! Numbers lean towards the borders of their encodings and of their limits, since that is where
//! mistakes live. Every value made here is one that a decoder takes.

use core::net::SocketAddr;

use arbitrary::{Arbitrary, Result, Unstructured};

use super::ack::{AckFrame, AckRanges, EcnCounts, MAX_ACK_RANGES};
use super::codec::Reader;
use super::frame::{CloseCode, CloseFrame, Frame, MAX_HOP, MAX_REASON, MAX_STREAM_COUNT};
use super::frame::{NewCidFrame, ResetFrame, StopFrame, StreamFrame};
use super::header::PacketType;
use super::hello::Hello;
use super::id::{AppCode, ConnectionId, CreditTarget, Dir, PacketNumber, StreamId};
use super::kind;
use super::long::VersionList;
use super::open::{MAX_HEAD, MAX_PROTOCOL_NAME, OpenFrame, Protocol};
use super::params::{
    CID_LIMITS, MAX_ACK_DELAY_LIMIT_US, MAX_IDLE_TIMEOUT_MS, MAX_UDP_PAYLOAD, Params,
};
use super::varint;

/// A number up to `max`, often at a border.
fn number(u: &mut Unstructured<'_>, max: u64) -> Result<u64> {
    let value = match u.int_in_range(0..=7_u8)? {
        0 => u64::from(u.arbitrary::<u8>()?),
        1 => u64::from(u.arbitrary::<u16>()?),
        2 => u64::from(u.arbitrary::<u32>()?),
        3 => u.arbitrary::<u64>()?,
        4 => *u.choose(&[0x3f, 0x40, 0x3fff, 0x4000, 0x3fff_ffff, 0x4000_0000])?,
        5 => max,
        6 => max.saturating_sub(1),
        _ => 0,
    };
    Ok(value.min(max))
}

fn any(u: &mut Unstructured<'_>) -> Result<u64> {
    number(u, varint::MAX)
}

fn slice<'a>(u: &mut Unstructured<'a>, most: usize) -> Result<&'a [u8]> {
    let length = u.int_in_range(0..=most.min(u.len()))?;
    u.bytes(length.min(u.len()))
}

fn maybe<'a, T>(
    u: &mut Unstructured<'a>,
    value: impl FnOnce(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Option<T>> {
    if u.arbitrary()? { value(u).map(Some) } else { Ok(None) }
}

fn stream(u: &mut Unstructured<'_>) -> Result<StreamId> {
    any(u).map(StreamId)
}

fn dir(u: &mut Unstructured<'_>) -> Result<Dir> {
    Ok(if u.arbitrary()? { Dir::Bi } else { Dir::Uni })
}

fn target(u: &mut Unstructured<'_>) -> Result<CreditTarget> {
    any(u).map(CreditTarget::from_u64)
}

impl<'a> Arbitrary<'a> for Frame<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=25_u8)? {
            0 => Frame::Padding { len: usize::from(u.int_in_range(1..=1_200_u16)?) },
            1 => Frame::Ping,
            2 => Frame::Ack(u.arbitrary()?),
            3 => Frame::Open(u.arbitrary()?),
            4 | 5 => Frame::Stream(u.arbitrary()?),
            6 => {
                let (start, length) = (number(u, varint::MAX - 1)?, any(u)?.max(1));
                Frame::Skip {
                    id: stream(u)?,
                    range: start..start.saturating_add(length).min(varint::MAX),
                }
            }
            7 => reset(u)?,
            8 => Frame::Stop(StopFrame {
                id: stream(u)?,
                code: AppCode(any(u)?),
                hop: number(u, MAX_HOP)?,
            }),
            9..=16 => credit(u)?,
            17 => Frame::Datagram { data: slice(u, 1_200)? },
            18 => Frame::NewCid(NewCidFrame {
                sequence: any(u)?,
                cid: ConnectionId(u.arbitrary()?),
                reset_token: u.arbitrary()?,
            }),
            19 => Frame::RetireCid { sequence: any(u)? },
            20 => Frame::PathChallenge { token: u.arbitrary()? },
            21 => Frame::PathResponse { token: u.arbitrary()? },
            22 => Frame::ObservedAddress { sequence: any(u)?, address: address(u)? },
            23 => Frame::Params { data: slice(u, 300)? },
            24 => close(u)?,
            _ => Frame::Unknown { kind: any(u)?.max(kind::FIRST_SKIPPABLE), data: slice(u, 100)? },
        })
    }
}

fn credit<'a>(u: &mut Unstructured<'a>) -> Result<Frame<'a>> {
    Ok(match u.int_in_range(0..=7_u8)? {
        0 => Frame::MaxData { limit: any(u)? },
        1 => Frame::MaxStreamData { id: stream(u)?, limit: any(u)? },
        2 => Frame::MaxStreams { dir: dir(u)?, limit: number(u, MAX_STREAM_COUNT)? },
        3 => Frame::CreditRecall { target: target(u)?, total: any(u)? },
        4 => Frame::CreditReturned { target: target(u)?, total: any(u)? },
        5 => Frame::DataBlocked { limit: any(u)? },
        6 => Frame::StreamDataBlocked { id: stream(u)?, limit: any(u)? },
        _ => Frame::StreamsBlocked { dir: dir(u)?, limit: number(u, MAX_STREAM_COUNT)? },
    })
}

fn reset<'a>(u: &mut Unstructured<'a>) -> Result<Frame<'a>> {
    let final_size = any(u)?;
    Ok(Frame::Reset(ResetFrame {
        id: stream(u)?,
        code: AppCode(any(u)?),
        hop: number(u, MAX_HOP)?,
        final_size,
        reliable_size: number(u, final_size)?,
    }))
}

fn close<'a>(u: &mut Unstructured<'a>) -> Result<Frame<'a>> {
    let code = any(u)?;
    let code =
        if u.arbitrary()? { CloseCode::Transport(code) } else { CloseCode::App(AppCode(code)) };
    Ok(Frame::Close(CloseFrame { code, reason: slice(u, MAX_REASON)? }))
}

fn address(u: &mut Unstructured<'_>) -> Result<SocketAddr> {
    let port: u16 = u.arbitrary()?;
    Ok(if u.arbitrary()? {
        SocketAddr::from((u.arbitrary::<[u8; 4]>()?, port))
    } else {
        SocketAddr::from((u.arbitrary::<[u8; 16]>()?, port))
    })
}

impl<'a> Arbitrary<'a> for StreamFrame<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (id, fin, data) = (stream(u)?, u.arbitrary::<bool>()?, slice(u, 1_400)?);
        let offset = number(u, varint::MAX - data.len() as u64)?;
        Ok(Self { id, offset, data, fin: fin || data.is_empty() })
    }
}

impl<'a> Arbitrary<'a> for OpenFrame<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let protocol = match slice(u, MAX_PROTOCOL_NAME)? {
            [] => Protocol::Number(any(u)?),
            name => Protocol::Name(name),
        };
        let start = maybe(u, any)?;
        Ok(Self {
            id: stream(u)?,
            protocol,
            size: maybe(u, any)?,
            start,
            end: maybe(u, any)?.map(|end| end.max(start.unwrap_or(0))),
            digest: u.arbitrary()?,
            priority: u.arbitrary()?,
            hop_limit: u.arbitrary()?,
            extension: slice(u, 64)?,
            head: slice(u, MAX_HEAD)?,
        })
    }
}

impl<'a> Arbitrary<'a> for AckFrame<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let largest = any(u)?;
        let frame = AckFrame {
            largest: PacketNumber(largest),
            delay_us: any(u)?,
            first: number(u, largest)?,
            ecn: maybe(u, |u| Ok(EcnCounts { ect0: any(u)?, ect1: any(u)?, ce: any(u)? }))?,
            ranges: slice(u, 1_000)?,
        };
        Ok(AckFrame { ranges: legal_ranges(&frame), ..frame })
    }
}

/// As many of the encoded ranges, from the front, as are whole and above zero.
fn legal_ranges<'a>(frame: &AckFrame<'a>) -> &'a [u8] {
    let mut reader = Reader::new(frame.ranges);
    let mut legal = 0;
    let mut walked: AckRanges<'a> = frame.ranges();
    for _ in 1..MAX_ACK_RANGES {
        walked.next();
        if walked.clone().next().is_none() || reader.varint().is_err() || reader.varint().is_err() {
            break;
        }
        legal = frame.ranges.len() - reader.remaining();
    }
    frame.ranges.get(..legal).unwrap_or_default()
}

impl<'a> Arbitrary<'a> for Params {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let initial_max_data = any(u)?;
        let idle_timeout_ms = number(u, MAX_IDLE_TIMEOUT_MS)?.max(1);
        let most_delay = (idle_timeout_ms * 1_000 - 1).min(MAX_ACK_DELAY_LIMIT_US);
        Ok(Self {
            initial_max_data,
            initial_max_stream_data: number(u, initial_max_data)?,
            max_streams_bidi: number(u, MAX_STREAM_COUNT)?,
            max_streams_uni: number(u, MAX_STREAM_COUNT)?,
            idle_timeout_ms,
            max_ack_delay_us: number(u, most_delay)?,
            max_datagram_frame: number(u, MAX_UDP_PAYLOAD)?,
            max_packet_size: number(u, MAX_UDP_PAYLOAD)?.max(1_200),
            active_cid_limit: u.int_in_range(CID_LIMITS)?,
            max_message_size: any(u)?,
            reset_token: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Hello<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let kinds =
            [PacketType::I1, PacketType::R2, PacketType::X1, PacketType::X2, PacketType::X3];
        Ok(Self {
            kind: *u.choose(&kinds)?,
            sign: u.arbitrary()?,
            early_data_taken: u.arbitrary()?,
            status: u.arbitrary()?,
            ciphers: u.arbitrary()?,
            scid: ConnectionId(u.arbitrary()?),
            dcid: ConnectionId(u.arbitrary()?),
            versions: u.arbitrary()?,
            suites: u.arbitrary()?,
            capabilities: u.arbitrary()?,
            params: maybe(u, |u| slice(u, 300))?,
            early_data: maybe(u, |u| slice(u, 300))?,
            versions_seen: maybe(u, |u| slice(u, 64))?.map(VersionList::new),
        })
    }
}
