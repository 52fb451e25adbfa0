//! Every limit of the wire at its edge, one above it, and by each way in: an authenticated peer says it
//! to an endpoint, in a properly sealed packet.

use aqueduct_core::error::TransportCode as Code;
use aqueduct_core::wire::frame::{CloseCode, CloseFrame, Frame, NewCidFrame, StreamFrame};
use aqueduct_core::wire::id::{AppCode, ConnectionId, Dir, StreamId};
use aqueduct_core::wire::open::{OpenFrame, Protocol};
use aqueduct_tests::byzantine::{Duel, Role, numbers, varint};

const MAX: u64 = (1 << 62) - 1;

/// The frame types by name, for tests that write bytes.
pub(crate) mod kind {
    pub(crate) const ACK: u64 = 0x02;
    pub(crate) const ACK_ECN: u64 = 0x03;
    pub(crate) const OPEN: u64 = 0x04;
    pub(crate) const SKIP: u64 = 0x05;
    pub(crate) const RESET: u64 = 0x06;
    pub(crate) const STOP: u64 = 0x07;
    pub(crate) const STREAM: u64 = 0x0e;
    pub(crate) const STREAM_FIN: u64 = 0x0f;
    pub(crate) const MAX_DATA: u64 = 0x10;
    pub(crate) const MAX_STREAM_DATA: u64 = 0x11;
    pub(crate) const MAX_STREAMS_BI: u64 = 0x12;
    pub(crate) const MAX_STREAMS_UNI: u64 = 0x13;
    pub(crate) const CREDIT_RECALL: u64 = 0x14;
    pub(crate) const CREDIT_RETURNED: u64 = 0x15;
    pub(crate) const DATA_BLOCKED: u64 = 0x16;
    pub(crate) const STREAM_DATA_BLOCKED: u64 = 0x17;
    pub(crate) const STREAMS_BLOCKED_BI: u64 = 0x18;
    pub(crate) const STREAMS_BLOCKED_UNI: u64 = 0x19;
    pub(crate) const DATAGRAM_LEN: u64 = 0x1b;
    pub(crate) const RETIRE_CID: u64 = 0x1d;
    pub(crate) const PARAMS: u64 = 0x21;
    pub(crate) const CLOSE: u64 = 0x22;
}

/// What `plaintext` leads to in a fresh connection.
fn outcome(plaintext: &[u8]) -> Option<Code> {
    let mut duel = Duel::new(Role::Dials);
    duel.say_raw(plaintext);
    duel.violation()
}

#[track_caller]
fn refused(what: &str, plaintext: &[u8], code: Code) {
    assert_eq!(outcome(plaintext), Some(code), "{what}: {plaintext:02x?}");
}

#[track_caller]
fn taken(what: &str, plaintext: &[u8]) {
    let mut duel = Duel::new(Role::Dials);
    duel.say_raw(plaintext);
    assert_eq!(duel.ended(), None, "{what}: {plaintext:02x?}");
    duel.say(&[Frame::Ping]);
    assert_eq!(duel.ended(), None, "{what}, later: {plaintext:02x?}");
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn open_frame(protocol: Protocol<'_>, head: &[u8], end: Option<u64>) -> Vec<u8> {
    let mut plaintext = Vec::new();
    let id = StreamId::new(aqueduct_core::wire::id::Side::Initiator, Dir::Uni, 0);
    let frame = OpenFrame { end, head, ..OpenFrame::new(id, protocol) };
    Frame::Open(frame).encode(&mut plaintext);
    plaintext
}

/// spec: R-FRM-3
#[test]
fn packets_hold_one_frame_to_512() {
    refused("no frame", &[], Code::Protocol);
    taken("one", &[1]);
    taken("512", &[1; 512]);
    refused("513", &[1; 513], Code::Protocol);
    taken("padding counts once", &join(&[&[0; 600], &[1; 511]]));
    refused("padding counts", &join(&[&[0; 600], &[1; 512]]), Code::Protocol);
    taken("padding alone", &[0; 1171]);
}

/// spec: R-FRM-2, R-FRM-4, R-FRM-5
#[test]
fn types_that_are_none() {
    for reserved in 0x24..=0x3f {
        let plaintext = join(&[&[reserved], &[0; 100]]);
        refused("a reserved type", &plaintext, Code::FrameEncoding);
    }
    for unknown in [0x40, 0x3fff, 0x4000, MAX] {
        taken("unknown, empty", &numbers(&[unknown, 0]));
        taken("unknown, long", &join(&[&numbers(&[unknown, 1000]), &[0xff; 1000]]));
        refused("unknown, cut", &join(&[&numbers(&[unknown, 5]), &[0; 4]]), Code::FrameEncoding);
        refused("unknown, endless", &numbers(&[unknown, MAX]), Code::FrameEncoding);
    }
    let ping: [&[u8]; 3] = [&[0x40, 1], &[0x80, 0, 0, 1], &[0xc0, 0, 0, 0, 0, 0, 0, 1]];
    for longer in ping {
        refused("PING, longer than need be", longer, Code::FrameEncoding);
    }
    taken("a number longer than need be", &[kind::DATA_BLOCKED as u8, 0x80, 0, 0, 1]);
}

/// spec: R-FRM-11
#[test]
fn acks_at_their_edges() {
    let pairs =
        |count: u64| std::iter::repeat_n(0, 2 * count.min(500) as usize).collect::<Vec<u64>>();
    let ack = |largest: u64, count: u64, first: u64| {
        join(&[&numbers(&[kind::ACK, largest, 0, count, first]), &numbers(&pairs(count))])
    };
    taken("the first packet", &ack(0, 0, 0));
    taken("the longest delay", &numbers(&[kind::ACK, 0, MAX, 0, 0]));
    refused("never sent", &ack(1_000, 0, 0), Code::AckOfUnsent);
    refused("never sent, the largest", &ack(MAX, 0, 0), Code::AckOfUnsent);
    refused("never sent, and all", &ack(MAX, 0, MAX), Code::AckOfUnsent);
    refused("256 ranges of what was never sent", &ack(1_000, 255, 0), Code::AckOfUnsent);
    refused("257 ranges", &ack(1_000, 256, 0), Code::FrameEncoding);
    refused("endless ranges", &ack(1_000, MAX, 0), Code::FrameEncoding);
    refused("below zero", &ack(0, 0, 1), Code::FrameEncoding);
    refused("the second range below zero", &ack(1, 1, 0), Code::FrameEncoding);
    let counts = [kind::ACK_ECN, 0, 0, 0, 0, MAX, MAX, MAX];
    taken("counts beyond reason", &numbers(&counts));
}

/// spec: R-FRM-13, R-FRM-14
#[test]
fn introductions_at_their_edges() {
    let number = Protocol::Number(MAX);
    taken("64 bytes of name", &open_frame(Protocol::Name(&[b'n'; 64]), &[], None));
    taken("900 bytes of head", &open_frame(number, &[7; 900], None));
    taken("the farthest end", &open_frame(number, &[], Some(MAX)));
    let id = 2;
    let head = |len: u64| join(&[&numbers(&[kind::OPEN, id, 0, 9, len]), &[7; 1100]]);
    refused("901 bytes of head", &head(901), Code::FrameEncoding);
    refused("an endless head", &head(MAX), Code::FrameEncoding);
    let name = |len: u8| join(&[&numbers(&[kind::OPEN, id, 1]), &[len], &[b'n'; 100]]);
    refused("no name", &name(0), Code::FrameEncoding);
    refused("65 bytes of name", &name(65), Code::FrameEncoding);
    let bounds = |start, end| numbers(&[kind::OPEN, id, 0x0c, 9, start, end, 0]);
    taken("an empty body", &bounds(MAX, MAX));
    refused("an end before the start", &bounds(MAX, MAX - 1), Code::FrameEncoding);
    taken("the largest size", &numbers(&[kind::OPEN, id, 2, 9, MAX, 0]));
    let extension = |len: u64| {
        let fields = join(&[&numbers(&[kind::OPEN, id]), &[0x80], &numbers(&[9, len])]);
        join(&[&fields, &vec![0; len.min(1_130) as usize], &[0]])
    };
    let fits = 1_120 - 1 - 1 - 1 - 1 - 2 - 1;
    taken("1,120 bytes", &extension(fits));
    refused("1,121 bytes", &extension(fits + 1), Code::FrameEncoding);
    refused("an endless extension", &extension(MAX), Code::FrameEncoding);
}

/// spec: R-FRM-17, R-FRM-18, R-FRM-19, R-FRM-20, R-FRM-22, R-FRM-27, R-FRM-29
#[test]
fn numbers_at_their_edges() {
    let cases: &[(&str, Vec<u8>)] = &[
        ("STREAM beyond 2^62 - 1", join(&[&numbers(&[kind::STREAM, 2, MAX, 1]), b"x"])),
        ("STREAM of nothing", numbers(&[kind::STREAM, 2, 0, 0])),
        ("STREAM endless", numbers(&[kind::STREAM, 2, 0, MAX])),
        ("SKIP beyond 2^62 - 1", numbers(&[kind::SKIP, 2, MAX, 1])),
        ("SKIP, both at the most", numbers(&[kind::SKIP, 2, MAX, MAX])),
        ("SKIP of nothing", numbers(&[kind::SKIP, 2, 0, 0])),
        ("RESET, reliable beyond final", numbers(&[kind::RESET, 2, 0, 0, 5, 6])),
        ("RESET, far away", numbers(&[kind::RESET, 2, 0, 256, 0, 0])),
        ("STOP, far away", numbers(&[kind::STOP, 0, 0, 256])),
        ("MAX_STREAMS", numbers(&[kind::MAX_STREAMS_BI, (1 << 60) + 1])),
        ("MAX_STREAMS", numbers(&[kind::MAX_STREAMS_UNI, MAX])),
        ("STREAMS_BLOCKED", numbers(&[kind::STREAMS_BLOCKED_BI, (1 << 60) + 1])),
        ("STREAMS_BLOCKED", numbers(&[kind::STREAMS_BLOCKED_UNI, MAX])),
        ("OBSERVED_ADDRESS, kind 5", join(&[&[0x20, 0, 5], &[0; 18]])),
        ("DATAGRAM, endless", numbers(&[kind::DATAGRAM_LEN, MAX])),
        ("PARAMS, endless", numbers(&[kind::PARAMS, MAX])),
        ("CLOSE, 65 bytes", join(&[&numbers(&[kind::CLOSE, 0, 65]), &[b'r'; 65]])),
        ("CLOSE, endless", numbers(&[kind::CLOSE, 0, MAX])),
    ];
    for (what, plaintext) in cases {
        refused(what, plaintext, Code::FrameEncoding);
    }
    let taken_ones: &[(&str, Vec<u8>)] = &[
        ("RESET from 255 relays away", numbers(&[kind::RESET, 2, MAX, 255, 0, 0])),
        ("STOP from 255 relays away", numbers(&[kind::STOP, 0, MAX, 255])),
        ("MAX_DATA", numbers(&[kind::MAX_DATA, MAX])),
        ("MAX_DATA, none", numbers(&[kind::MAX_DATA, 0])),
        ("MAX_STREAMS", numbers(&[kind::MAX_STREAMS_BI, 1 << 60])),
        ("MAX_STREAMS", numbers(&[kind::MAX_STREAMS_UNI, 1 << 60])),
        ("DATA_BLOCKED", numbers(&[kind::DATA_BLOCKED, MAX])),
        ("STREAM_DATA_BLOCKED", numbers(&[kind::STREAM_DATA_BLOCKED, 2, MAX])),
        ("MAX_STREAM_DATA", numbers(&[kind::MAX_STREAM_DATA, 0, MAX])),
        ("STREAMS_BLOCKED", numbers(&[kind::STREAMS_BLOCKED_BI, 1 << 60])),
        ("STREAMS_BLOCKED", numbers(&[kind::STREAMS_BLOCKED_UNI, 1 << 60])),
        ("CREDIT_RECALL, all of it", numbers(&[kind::CREDIT_RECALL, 0, MAX])),
        ("CREDIT_RECALL, all streams", numbers(&[kind::CREDIT_RECALL, 1, MAX])),
        ("CREDIT_RECALL, all streams", numbers(&[kind::CREDIT_RECALL, 2, MAX])),
        ("CREDIT_RECALL, a stream", numbers(&[kind::CREDIT_RECALL, 3, MAX])),
        ("OBSERVED_ADDRESS", join(&[&[0x20], &varint(MAX), &[4, 255, 255, 255, 255, 255, 255]])),
    ];
    let params = join(&[&numbers(&[kind::PARAMS, 9]), &[0xff; 9]]);
    refused("PARAMS of nonsense", &params, Code::Parameters);
    refused("PARAMS of nothing", &numbers(&[kind::PARAMS, 0]), Code::Parameters);
    for (what, plaintext) in taken_ones {
        taken(what, plaintext);
    }
}

/// Every frame that there is, in its shortest lawful form.
fn every_frame() -> Vec<Vec<u8>> {
    let stream = StreamFrame { id: StreamId(2), offset: 7, data: b"text", fin: true };
    let cid = NewCidFrame { sequence: 1, cid: ConnectionId(*b"12345678"), reset_token: [7; 16] };
    let close = CloseFrame { code: CloseCode::App(AppCode(70)), reason: b"why" };
    let mut all = vec![
        numbers(&[kind::ACK, 0, 0, 0, 0]),
        numbers(&[kind::ACK_ECN, 0, 0, 0, 0, 0, 0, 0]),
        open_frame(Protocol::Name(b"name"), b"head", Some(99)),
        numbers(&[kind::SKIP, 2, 100, 100]),
        numbers(&[kind::RESET, 2, 1, 1, 100, 50]),
        numbers(&[kind::STOP, 0, 1, 1]),
        join(&[&[0x20], &varint(MAX), &[6], &[1; 18]]),
        join(&[&numbers(&[kind::PARAMS, 3]), b"abc"]),
        join(&[&numbers(&[MAX, 3]), b"abc"]),
    ];
    all.extend([0x10, 0x12, 0x13, 0x16, 0x18, 0x19, 0x1d].map(|kind| numbers(&[kind, 1000])));
    all.extend([0x11, 0x14, 0x15, 0x17].map(|kind| numbers(&[kind, 0, 1000])));
    let frames = [
        Frame::Stream(stream),
        Frame::NewCid(cid),
        Frame::Datagram { data: b"datagram" },
        Frame::PathChallenge { token: [1; 8] },
        Frame::PathResponse { token: [1; 8] },
        Frame::Close(close),
    ];
    for frame in frames {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        all.push(bytes);
    }
    all
}

/// spec: R-FRM-7, R-LIM-4
#[test]
fn every_frame_cut_anywhere_is_a_violation() {
    let mut cuts = 0;
    for frame in every_frame() {
        for len in 1..frame.len() {
            refused("cut", &frame[..len], Code::FrameEncoding);
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
}

/// All numbers of all frames at each edge of a varint, in all combinations of two.
///
/// spec: R-LIM-4
#[test]
fn no_number_anywhere_panics() {
    let edges = [0, 1, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, 1 << 60, MAX - 1, MAX];
    let mut violations = 0;
    let mut said = 0;
    for kind in 0..=0x23 {
        let mut duel = Duel::new(Role::Dials);
        for first in edges {
            for second in edges {
                for third in [0, 5, MAX] {
                    let plaintext = numbers(&[kind, first, second, third, 0, 1, 0, 2, 0]);
                    duel.say_raw(&plaintext);
                    said += 1;
                    if duel.ended().is_some() {
                        violations += 1;
                        duel = Duel::new(Role::Dials);
                    }
                }
            }
        }
    }
    println!("{said} packets, {violations} ended a connection");
    assert!(violations > said / 4 && violations < said);
}
