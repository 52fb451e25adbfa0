//! Frames as qlog has them. What QUIC does not have is unknown there, with its name beside.

use aqueduct_core::trace::Packet;
use aqueduct_core::wire::frame::{CloseCode, Frame};
use aqueduct_core::wire::id::Dir;
use serde_json::{Value, json};

use crate::words;

/// The frames of a packet that was opened.
pub(super) fn of(packet: &Packet) -> Option<Vec<Value>> {
    Some(packet.frames()?.flatten().map(|frame| one(&frame)).collect())
}

fn one(frame: &Frame<'_>) -> Value {
    match frame {
        Frame::Padding { len } => json!({"frame_type": "padding", "raw": {"payload_length": len}}),
        Frame::Ping => json!({"frame_type": "ping"}),
        Frame::Ack(ack) => {
            let ranges: Vec<_> =
                ack.ranges().map(|range| [range.start, range.end.saturating_sub(1)]).collect();
            let mut ack_json = json!({"frame_type": "ack", "acked_ranges": ranges});
            put(&mut ack_json, "ack_delay", (ack.delay_us as f64 / 1_000.0).into());
            if let Some(ecn) = ack.ecn {
                put(&mut ack_json, "ect1", ecn.ect1.into());
                put(&mut ack_json, "ect0", ecn.ect0.into());
                put(&mut ack_json, "ce", ecn.ce.into());
            }
            ack_json
        }
        Frame::Stream(stream) => json!({
            "frame_type": "stream",
            "stream_id": stream.id.0,
            "offset": stream.offset,
            "fin": stream.fin,
            "raw": {"payload_length": stream.data.len()},
        }),
        Frame::Reset(reset) => json!({
            "frame_type": "reset_stream",
            "stream_id": reset.id.0,
            "error": "unknown",
            "error_code": reset.code.0,
            "final_size": reset.final_size,
        }),
        Frame::Stop(stop) => json!({
            "frame_type": "stop_sending",
            "stream_id": stop.id.0,
            "error": "unknown",
            "error_code": stop.code.0,
        }),
        Frame::Datagram { data } => {
            json!({"frame_type": "datagram", "raw": {"payload_length": data.len()}})
        }
        Frame::RetireCid { sequence } => {
            json!({"frame_type": "retire_connection_id", "sequence_number": sequence})
        }
        Frame::PathChallenge { .. } => json!({"frame_type": "path_challenge"}),
        Frame::PathResponse { .. } => json!({"frame_type": "path_response"}),
        Frame::Close(close) => {
            let (space, code) = match close.code {
                CloseCode::Transport(code) => ("transport", code),
                CloseCode::App(code) => ("application", code.0),
            };
            json!({
                "frame_type": "connection_close",
                "error_space": space,
                "error_code": code,
                "reason": String::from_utf8_lossy(close.reason),
            })
        }
        other => credit(other),
    }
}

/// Of credit, and all else.
fn credit(frame: &Frame<'_>) -> Value {
    match frame {
        Frame::MaxData { limit } => json!({"frame_type": "max_data", "maximum": limit}),
        Frame::MaxStreamData { id, limit } => {
            json!({"frame_type": "max_stream_data", "stream_id": id.0, "maximum": limit})
        }
        Frame::MaxStreams { dir, limit } => {
            json!({"frame_type": "max_streams", "stream_type": kind(*dir), "maximum": limit})
        }
        Frame::DataBlocked { limit } => json!({"frame_type": "data_blocked", "limit": limit}),
        Frame::StreamDataBlocked { id, limit } => {
            json!({"frame_type": "stream_data_blocked", "stream_id": id.0, "limit": limit})
        }
        Frame::StreamsBlocked { dir, limit } => {
            json!({"frame_type": "streams_blocked", "stream_type": kind(*dir), "limit": limit})
        }
        // A token of NEW_CID is a secret of the connection: it is not told.
        other => json!({"frame_type": "unknown", "aqueduct_frame": words::kind(other)}),
    }
}

const fn kind(dir: Dir) -> &'static str {
    match dir {
        Dir::Bi => "bidirectional",
        Dir::Uni => "unidirectional",
    }
}

/// Adds to an object.
pub(super) fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(object) = object {
        object.insert(name.to_owned(), value);
    }
}
