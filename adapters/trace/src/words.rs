//! Packets in words.

use std::fmt::Write;

use aqueduct_core::trace::{Content, Packet};
use aqueduct_core::wire::ack::AckFrame;
use aqueduct_core::wire::frame::{CloseCode, CloseFrame, Frame};
use aqueduct_core::wire::open::{OpenFrame, Protocol};

/// Longer lists of frames are cut.
const MOST: usize = 200;
/// Ranges of an ACK that are named.
const RANGES: usize = 3;

/// What a packet holds, for a table: its frames, in order.
pub(crate) fn content(packet: &Packet) -> String {
    match &packet.content {
        Content::Handshake(kind) => format!("handshake {kind:?}"),
        Content::Data { .. } => {
            let mut text = String::new();
            for frame in packet.frames().into_iter().flatten() {
                if text.len() > MOST {
                    text.push_str(" · …");
                    break;
                }
                if !text.is_empty() {
                    text.push_str(" · ");
                }
                match frame {
                    Ok(frame) => text.push_str(&self::frame(&frame)),
                    Err(_) => text.push_str("(no frame)"),
                }
            }
            text
        }
        Content::Reset => "stateless reset".to_owned(),
        _ => String::new(),
    }
}

/// A frame's kind, as the specification calls it.
pub(crate) const fn kind(frame: &Frame<'_>) -> &'static str {
    match frame {
        Frame::Padding { .. } => "PADDING",
        Frame::Ping => "PING",
        Frame::Ack(_) => "ACK",
        Frame::Open(_) => "OPEN",
        Frame::Stream(_) => "STREAM",
        Frame::Skip { .. } => "SKIP",
        Frame::Reset(_) => "RESET",
        Frame::Stop(_) => "STOP",
        Frame::MaxData { .. } => "MAX_DATA",
        Frame::MaxStreamData { .. } => "MAX_STREAM_DATA",
        Frame::MaxStreams { .. } => "MAX_STREAMS",
        Frame::CreditRecall { .. } => "CREDIT_RECALL",
        Frame::CreditReturned { .. } => "CREDIT_RETURNED",
        Frame::DataBlocked { .. } => "DATA_BLOCKED",
        Frame::StreamDataBlocked { .. } => "STREAM_DATA_BLOCKED",
        Frame::StreamsBlocked { .. } => "STREAMS_BLOCKED",
        Frame::Datagram { .. } => "DATAGRAM",
        Frame::NewCid(_) => "NEW_CID",
        Frame::RetireCid { .. } => "RETIRE_CID",
        Frame::PathChallenge { .. } => "PATH_CHALLENGE",
        Frame::PathResponse { .. } => "PATH_RESPONSE",
        Frame::ObservedAddress { .. } => "OBSERVED_ADDRESS",
        Frame::Params { .. } => "PARAMS",
        Frame::Close(_) => "CLOSE",
        Frame::Unknown { .. } => "unknown",
    }
}

/// One frame.
fn frame(frame: &Frame<'_>) -> String {
    let kind = kind(frame);
    match frame {
        Frame::Padding { len } => format!("{kind} {len}"),
        Frame::Ack(ack) => self::ack(ack),
        Frame::Open(open) => self::open(open),
        Frame::Stream(stream) => {
            let fin = if stream.fin { " fin" } else { "" };
            let end = stream.offset.saturating_add(stream.data.len() as u64);
            format!("{kind} {:?} {}–{end}{fin}", stream.id, stream.offset)
        }
        Frame::Skip { id, range } => format!("{kind} {id:?} {}–{}", range.start, range.end),
        Frame::Reset(reset) => {
            format!("{kind} {:?} code {} hop {}", reset.id, reset.code.0, reset.hop)
        }
        Frame::Stop(stop) => format!("{kind} {:?} code {} hop {}", stop.id, stop.code.0, stop.hop),
        Frame::MaxData { limit } | Frame::DataBlocked { limit } => format!("{kind} {limit}"),
        Frame::MaxStreamData { id, limit } | Frame::StreamDataBlocked { id, limit } => {
            format!("{kind} {id:?} {limit}")
        }
        Frame::MaxStreams { dir, limit } | Frame::StreamsBlocked { dir, limit } => {
            format!("{kind} {dir:?} {limit}")
        }
        Frame::CreditRecall { total, .. } | Frame::CreditReturned { total, .. } => {
            format!("{kind} {total}")
        }
        Frame::Datagram { data } => format!("{kind} {} B", data.len()),
        Frame::NewCid(new) => format!("{kind} {}", new.sequence),
        Frame::RetireCid { sequence } => format!("{kind} {sequence}"),
        Frame::ObservedAddress { address, .. } => format!("{kind} {address}"),
        Frame::Close(close) => self::close(close),
        Frame::Unknown { kind, .. } => format!("unknown {kind:#x}"),
        _ => kind.to_owned(),
    }
}

fn ack(ack: &AckFrame<'_>) -> String {
    let mut text = String::from("ACK");
    for (at, range) in ack.ranges().enumerate() {
        if at == RANGES {
            let more = ack.ranges().count() - RANGES;
            let _ = write!(text, " and {more} more");
            break;
        }
        let comma = if at == 0 { "" } else { "," };
        let last = range.end.saturating_sub(1);
        let _ = match range.start == last {
            true => write!(text, "{comma} {last}"),
            false => write!(text, "{comma} {}–{last}", range.start),
        };
    }
    text
}

fn open(open: &OpenFrame<'_>) -> String {
    let mut text = format!("OPEN {:?} {}", open.id, protocol(open.protocol));
    if let Some(size) = open.size {
        let _ = write!(text, " {size} B");
    }
    text
}

/// The name of a stream's protocol.
pub(crate) fn protocol(protocol: Protocol<'_>) -> String {
    match protocol {
        Protocol::Name(name) => String::from_utf8_lossy(name).into_owned(),
        Protocol::Number(number) => {
            use aqueduct_core::wire::protocol as own;
            let name = match number {
                own::MESSAGE => "message",
                own::STREAMED_MESSAGE => "streamed message",
                own::ROUTE => "route",
                own::ANSWER => "answer",
                own::RANGE => "range",
                own::PART => "part",
                _ => return format!("protocol {number}"),
            };
            name.to_owned()
        }
    }
}

fn close(close: &CloseFrame<'_>) -> String {
    let words = String::from_utf8_lossy(close.reason);
    match close.code {
        CloseCode::Transport(code) => format!("CLOSE transport {code:#x} {words}"),
        CloseCode::App(code) => format!("CLOSE application {} {words}", code.0),
    }
}
