//! The numbers of the frames (spec `04-frames.md`).

/// PADDING.
pub const PADDING: u64 = 0x00;
/// PING.
pub const PING: u64 = 0x01;
/// ACK without ECN counts.
pub const ACK: u64 = 0x02;
/// ACK with ECN counts.
pub const ACK_ECN: u64 = 0x03;
/// OPEN.
pub const OPEN: u64 = 0x04;
/// SKIP.
pub const SKIP: u64 = 0x05;
/// RESET.
pub const RESET: u64 = 0x06;
/// STOP.
pub const STOP: u64 = 0x07;
/// STREAM, without any of its three flags; the last type with all of them is 0x0f.
pub const STREAM: u64 = 0x08;
/// STREAM's flag: the body ends behind these bytes.
pub const STREAM_FIN: u64 = 0x01;
/// STREAM's flag: a length stands before the bytes; without it they reach to the packet's end.
pub const STREAM_LEN: u64 = 0x02;
/// STREAM's flag: an offset is given; without it it is 0.
pub const STREAM_OFFSET: u64 = 0x04;
/// MAX_DATA.
pub const MAX_DATA: u64 = 0x10;
/// MAX_STREAM_DATA.
pub const MAX_STREAM_DATA: u64 = 0x11;
/// MAX_STREAMS for bidirectional streams.
pub const MAX_STREAMS_BI: u64 = 0x12;
/// MAX_STREAMS for unidirectional streams.
pub const MAX_STREAMS_UNI: u64 = 0x13;
/// CREDIT_RECALL.
pub const CREDIT_RECALL: u64 = 0x14;
/// CREDIT_RETURNED.
pub const CREDIT_RETURNED: u64 = 0x15;
/// DATA_BLOCKED.
pub const DATA_BLOCKED: u64 = 0x16;
/// STREAM_DATA_BLOCKED.
pub const STREAM_DATA_BLOCKED: u64 = 0x17;
/// STREAMS_BLOCKED for bidirectional streams.
pub const STREAMS_BLOCKED_BI: u64 = 0x18;
/// STREAMS_BLOCKED for unidirectional streams.
pub const STREAMS_BLOCKED_UNI: u64 = 0x19;
/// DATAGRAM to the end of its packet.
pub const DATAGRAM: u64 = 0x1a;
/// DATAGRAM with a length.
pub const DATAGRAM_LEN: u64 = 0x1b;
/// NEW_CID.
pub const NEW_CID: u64 = 0x1c;
/// RETIRE_CID.
pub const RETIRE_CID: u64 = 0x1d;
/// PATH_CHALLENGE.
pub const PATH_CHALLENGE: u64 = 0x1e;
/// PATH_RESPONSE.
pub const PATH_RESPONSE: u64 = 0x1f;
/// OBSERVED_ADDRESS.
pub const OBSERVED_ADDRESS: u64 = 0x20;
/// PARAMS.
pub const PARAMS: u64 = 0x21;
/// CLOSE by the transport.
pub const CLOSE_TRANSPORT: u64 = 0x22;
/// CLOSE by the application.
pub const CLOSE_APP: u64 = 0x23;
/// Reserved: a change of the handshake's keys within a connection.
pub const REKEY: u64 = 0x24;
/// Reserved: what is known about a body only at its end.
pub const TRAILER: u64 = 0x25;
/// The first type that a receiver skips when it does not know it. Those below are known or
/// reserved.
pub const FIRST_SKIPPABLE: u64 = 0x40;
