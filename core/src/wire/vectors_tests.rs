//! The golden vectors in `spec/vectors/`: one line each, `name | hex | meaning`.
//!
//! The checks never write. To make the files anew after a deliberate change of the wire:
//! `AQUEDUCT_WRITE_VECTORS=1 cargo test -p aqueduct-core write_the_vectors -- --ignored`.

use super::ack::{AckFrame, EcnCounts};
use super::codec::{DecodeError, Reader};
use super::frame::frames;
use super::frame::{CloseCode, CloseFrame, Frame, NewCidFrame, ResetFrame, StopFrame, StreamFrame};
use super::header::{LongHeader, PacketType, ShortHeader};
use super::hello::Hello;
use super::id::{AppCode, ConnectionId, CreditTarget, Dir, PacketNumber, Side, StreamId};
use super::long::{I1_PAYLOAD_LEN, LongBody, LongPacket, VersionList, X1_PAYLOAD_LEN};
use super::open::{OpenFrame, Protocol};
use super::params::Params;
use crate::range_set::RangeSet;
use packets::{hello_vectors, packet_vectors, params_vectors, refused_params};
use std::boxed::Box;
use std::collections::BTreeSet;
use std::format;
use std::path::PathBuf;
use std::string::{String, ToString};
use std::vec::Vec;

/// One line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) meaning: String,
}

impl Vector {
    pub(crate) fn new(name: &str, bytes: Vec<u8>, meaning: impl ToString) -> Self {
        Self { name: name.to_string(), bytes, meaning: meaning.to_string() }
    }
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors").join(file)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "an odd number of digits");
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Every vector of `spec/vectors/FILE`. Panics if there is none.
pub(crate) fn read(file: &str) -> Vec<Vector> {
    let text = std::fs::read_to_string(path(file)).expect(file);
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let vectors: Vec<Vector> = lines
        .map(|line| {
            let mut parts = line.splitn(3, " | ");
            let mut part = || parts.next().unwrap_or_else(|| panic!("{file}: {line}"));
            Vector::new(part(), unhex(part()), part())
        })
        .collect();
    assert!(!vectors.is_empty(), "{file} holds no vector");
    let names: BTreeSet<_> = vectors.iter().map(|vector| &vector.name).collect();
    assert_eq!(names.len(), vectors.len(), "a name twice in {file}");
    vectors
}

/// Fails unless the file holds exactly these, in this order.
pub(crate) fn check(file: &str, made: &[Vector]) {
    let golden = read(file);
    for (golden, made) in golden.iter().zip(made) {
        assert_eq!(golden, made, "{file}: {}\n{}", golden.name, hex(&made.bytes));
    }
    assert_eq!(golden.len(), made.len(), "{file} and the code differ in length");
}

pub(crate) fn write(file: &str, heading: &str, vectors: &[Vector]) {
    let mut text = format!("# {heading}\n# name | hex | meaning\n");
    for Vector { name, bytes, meaning } in vectors {
        text += &format!("{name} | {} | {meaning}\n", hex(bytes));
    }
    std::fs::create_dir_all(path("")).expect("the folder");
    std::fs::write(path(file), text).expect(file);
}

/// Writes the files, and only when asked.
#[test]
#[ignore = "writes spec/vectors when AQUEDUCT_WRITE_VECTORS=1"]
fn write_the_vectors() {
    if std::env::var("AQUEDUCT_WRITE_VECTORS").as_deref() != Ok("1") {
        return;
    }
    write("frames.txt", "Frames, each with its type first.", &frame_vectors());
    write("frames-other-forms.txt", "Frames in forms that are read but not written.", &{
        let other = other_forms().into_iter();
        other
            .map(|(name, bytes, frame)| Vector::new(name, bytes, meaning(&frame)))
            .collect::<Vec<_>>()
    });
    write("frames-refused.txt", "Packet payloads that are violations.", &refused_vectors());
    write("packets.txt", "Packets by their places. Sealed parts and macs are counters.", &{
        packet_vectors()
    });
    write("hello.txt", "Handshake payloads before they are sealed.", &hello_vectors());
    write("params.txt", "Parameters.", &params_vectors());
    write("params-refused.txt", "Parameters that are violations.", &refused_params());
}

// ---- frames ----

/// Whether a frame is written with its length or as the last of its packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Usual,
    Last,
}

const STREAM: StreamId = StreamId::new(Side::Initiator, Dir::Bi, 1);
const DIGEST: [u8; 32] = [0xd1; 32];

fn acked(ranges: &[(u64, u64)], ecn: Option<EcnCounts>) -> Frame<'static> {
    let mut set = RangeSet::new();
    for (start, end) in ranges {
        set.insert(*start..*end);
    }
    let scratch = Box::leak(Box::new(Vec::new()));
    Frame::Ack(AckFrame::from_ranges(&set, 25_000, ecn, 256, scratch).expect("not empty"))
}

fn body(id: StreamId, offset: u64, data: &'static [u8], fin: bool) -> Frame<'static> {
    Frame::Stream(StreamFrame { id, offset, data, fin })
}

fn ack_cases() -> Vec<(&'static str, Frame<'static>, Form)> {
    let ecn = Some(EcnCounts { ect0: 10, ect1: 0, ce: 70 });
    let many: Vec<_> = (0..256_u64).map(|n| (n * 3, n * 3 + 2)).collect();
    let usual = [
        ("ack-of-the-first", acked(&[(0, 1)], None)),
        ("ack-one-range", acked(&[(3, 1_000)], None)),
        ("ack-three-ranges", acked(&[(1, 4), (6, 8), (9, 12)], None)),
        ("ack-256-ranges", acked(&many, None)),
        ("ack-of-the-last", acked(&[(0, 1 << 62)], None)),
        ("ack-ecn", acked(&[(0, 1)], ecn)),
        ("ack-ecn-two-ranges", acked(&[(0, 5), (70, 90)], ecn)),
    ];
    usual.into_iter().map(|(name, frame)| (name, frame, Form::Usual)).collect()
}

fn open_cases() -> Vec<(&'static str, Frame<'static>, Form)> {
    let plain = OpenFrame::new(STREAM, Protocol::Number(7));
    let all = OpenFrame {
        id: StreamId::new(Side::Responder, Dir::Uni, 5),
        protocol: Protocol::Name(b"files/1"),
        size: Some(1 << 20),
        start: Some(16_384),
        end: Some(1 << 20),
        digest: Some(DIGEST),
        priority: Some(0x40),
        hop_limit: Some(8),
        extension: b"sealed",
        head: b"a.txt",
    };
    let cases = [
        ("open-plain", plain.clone()),
        ("open-named", OpenFrame { protocol: Protocol::Name(b"x"), ..plain.clone() }),
        ("open-longest-name", OpenFrame { protocol: Protocol::Name(&[b'n'; 64]), ..plain.clone() }),
        ("open-size", OpenFrame { size: Some(0), ..plain.clone() }),
        ("open-start", OpenFrame { start: Some(5), ..plain.clone() }),
        ("open-end", OpenFrame { end: Some(0x4000_0000), ..plain.clone() }),
        ("open-digest", OpenFrame { digest: Some(DIGEST), ..plain.clone() }),
        ("open-priority", OpenFrame { priority: Some(0xff), ..plain.clone() }),
        ("open-hop-limit", OpenFrame { hop_limit: Some(0), ..plain.clone() }),
        ("open-extension", OpenFrame { extension: b"e", ..plain.clone() }),
        ("open-head", OpenFrame { head: b"hello", ..plain.clone() }),
        ("open-longest-head", OpenFrame { head: &[b'h'; 900], ..plain }),
        ("open-all", all),
    ];
    cases.into_iter().map(|(name, frame)| (name, Frame::Open(frame), Form::Usual)).collect()
}

fn stream_cases() -> Vec<(&'static str, Frame<'static>, Form)> {
    let far = (1 << 62) - 1 - 4;
    std::vec![
        ("stream-last", body(STREAM, 0, b"data", false), Form::Last),
        ("stream-last-fin", body(STREAM, 0, b"data", true), Form::Last),
        ("stream", body(STREAM, 0, b"data", false), Form::Usual),
        ("stream-fin", body(STREAM, 0, b"data", true), Form::Usual),
        ("stream-offset-last", body(STREAM, 16_384, b"data", false), Form::Last),
        ("stream-offset-last-fin", body(STREAM, 16_384, b"data", true), Form::Last),
        ("stream-offset", body(STREAM, 16_384, b"data", false), Form::Usual),
        ("stream-offset-fin", body(STREAM, 16_384, b"data", true), Form::Usual),
        ("stream-fin-alone", body(STREAM, 4, b"", true), Form::Usual),
        ("stream-empty", body(StreamId(3), 0, b"", true), Form::Usual),
        ("stream-at-the-end", body(StreamId((1 << 62) - 1), far, b"last", true), Form::Usual),
    ]
}

fn credit_cases() -> Vec<(&'static str, Frame<'static>, Form)> {
    let (limit, stream) = (0x4000, CreditTarget::Stream(STREAM));
    let most = 1 << 60;
    let cases = [
        ("max-data", Frame::MaxData { limit: (1 << 62) - 1 }),
        ("max-stream-data", Frame::MaxStreamData { id: STREAM, limit }),
        ("max-streams-bi", Frame::MaxStreams { dir: Dir::Bi, limit: most }),
        ("max-streams-uni", Frame::MaxStreams { dir: Dir::Uni, limit: 8 }),
        (
            "recall-connection",
            Frame::CreditRecall { target: CreditTarget::Connection, total: limit },
        ),
        ("recall-stream", Frame::CreditRecall { target: stream, total: 0 }),
        (
            "returned-connection",
            Frame::CreditReturned { target: CreditTarget::Connection, total: limit },
        ),
        ("returned-stream", Frame::CreditReturned { target: stream, total: limit }),
        (
            "recall-streams-bi",
            Frame::CreditRecall { target: CreditTarget::Streams(Dir::Bi), total: 3 },
        ),
        (
            "returned-streams-uni",
            Frame::CreditReturned { target: CreditTarget::Streams(Dir::Uni), total: 3 },
        ),
        ("data-blocked", Frame::DataBlocked { limit }),
        ("stream-data-blocked", Frame::StreamDataBlocked { id: STREAM, limit }),
        ("streams-blocked-bi", Frame::StreamsBlocked { dir: Dir::Bi, limit: most }),
        ("streams-blocked-uni", Frame::StreamsBlocked { dir: Dir::Uni, limit: 0 }),
    ];
    cases.into_iter().map(|(name, frame)| (name, frame, Form::Usual)).collect()
}

fn other_cases() -> Vec<(&'static str, Frame<'static>, Form)> {
    let reset = ResetFrame {
        id: STREAM,
        code: AppCode(404),
        hop: 255,
        final_size: 70_000,
        reliable_size: 70_000,
    };
    let cid = NewCidFrame { sequence: 3, cid: ConnectionId([7; 8]), reset_token: [9; 16] };
    let at = |address: &str| Frame::ObservedAddress {
        sequence: 64,
        address: address.parse().expect("an address"),
    };
    let close = |code, reason| Frame::Close(CloseFrame { code, reason });
    let mut cases: Vec<_> = [
        ("padding", Frame::Padding { len: 1 }),
        ("padding-run", Frame::Padding { len: 9 }),
        ("ping", Frame::Ping),
        ("skip", Frame::Skip { id: STREAM, range: 0..1 }),
        ("skip-far", Frame::Skip { id: STREAM, range: 5..(1 << 62) - 1 }),
        ("reset", Frame::Reset(ResetFrame { hop: 0, reliable_size: 0, ..reset })),
        ("reset-reliable", Frame::Reset(reset)),
        ("stop", Frame::Stop(StopFrame { id: STREAM, code: AppCode(1), hop: 0 })),
        ("stop-far", Frame::Stop(StopFrame { id: STREAM, code: AppCode(1), hop: 255 })),
        ("datagram-counted", Frame::Datagram { data: b"dgram" }),
        ("datagram-counted-empty", Frame::Datagram { data: b"" }),
        ("new-cid", Frame::NewCid(cid)),
        ("retire-cid", Frame::RetireCid { sequence: 3 }),
        ("path-challenge", Frame::PathChallenge { token: *b"question" }),
        ("path-response", Frame::PathResponse { token: *b"question" }),
        ("observed-v4", at("192.0.2.1:4433")),
        ("observed-v6", at("[2001:db8::1]:65535")),
        ("params", Frame::Params { data: b"params" }),
        ("params-empty", Frame::Params { data: b"" }),
        ("close-transport", close(CloseCode::Transport(7), b"a frame of a reserved type")),
        ("close-transport-silent", close(CloseCode::Transport(0), b"")),
        ("close-app", close(CloseCode::App(AppCode(1)), &[b'r'; 64])),
        ("close-app-silent", close(CloseCode::App(AppCode((1 << 62) - 1)), b"")),
        ("unknown-first", Frame::Unknown { kind: 0x40, data: b"" }),
        ("unknown-last", Frame::Unknown { kind: (1 << 62) - 1, data: b"what" }),
    ]
    .into_iter()
    .map(|(name, frame)| (name, frame, Form::Usual))
    .collect();
    cases.push(("datagram", Frame::Datagram { data: b"dgram" }, Form::Last));
    cases.push(("datagram-empty", Frame::Datagram { data: b"" }, Form::Last));
    cases
}

fn frame_cases() -> Vec<(&'static str, Frame<'static>, Form)> {
    [ack_cases(), open_cases(), stream_cases(), credit_cases(), other_cases()].concat()
}

fn meaning(frame: &Frame<'_>) -> String {
    match frame {
        Frame::Ack(ack) => format!(
            "Ack {{ delay_us: {}, ecn: {:?}, ranges: {:?} }}",
            ack.delay_us,
            ack.ecn,
            ack.ranges().collect::<Vec<_>>()
        ),
        other => format!("{other:?}"),
    }
}

fn encoded(frame: &Frame<'_>, form: Form) -> Vec<u8> {
    let mut bytes = Vec::new();
    match form {
        Form::Usual => frame.encode(&mut bytes),
        Form::Last => assert!(frame.encode_last(&mut bytes)),
    }
    bytes
}

pub(crate) fn frame_vectors() -> Vec<Vector> {
    let made = frame_cases().into_iter();
    made.map(|(name, frame, form)| Vector::new(name, encoded(&frame, form), meaning(&frame)))
        .collect()
}

/// The one frame in `bytes`.
fn only(bytes: &[u8]) -> Result<Frame<'_>, DecodeError> {
    let mut all = frames(bytes);
    let frame = all.next().expect("a frame or an error")?;
    assert_eq!(all.next(), None, "more than one frame in {}", hex(bytes));
    Ok(frame)
}

/// spec: R-FRM-9, R-FRM-10, R-FRM-13, R-FRM-16, R-FRM-18, R-FRM-19, R-FRM-20, R-FRM-21
/// spec: R-FRM-22, R-FRM-24, R-FRM-25, R-FRM-26, R-FRM-27, R-FRM-28, R-FRM-29
#[test]
fn frames_are_as_the_vectors_say() {
    check("frames.txt", &frame_vectors());
    let cases = frame_cases();
    for (golden, (_, frame, form)) in read("frames.txt").iter().zip(&cases) {
        assert_eq!(only(&golden.bytes).as_ref(), Ok(frame), "{}", golden.name);
        assert_eq!(encoded(frame, *form), golden.bytes, "{}", golden.name);
        let length = match form {
            Form::Usual => Some(frame.encoded_len()),
            Form::Last => frame.encoded_len_last(),
        };
        assert_eq!(length, Some(golden.bytes.len()), "{}", golden.name);
    }
}

/// spec: R-FRM-8
#[test]
fn every_frame_type_has_a_vector() {
    let types = |vector: &Vector| Reader::new(&vector.bytes).varint().expect("a type");
    let seen: BTreeSet<u64> = read("frames.txt").iter().map(types).collect();
    let expected = (0..=0x23).chain([0x40, (1 << 62) - 1]).collect();
    assert_eq!(seen, expected);
}

/// What is read though no writer here makes it.
fn other_forms() -> Vec<(&'static str, Vec<u8>, Frame<'static>)> {
    let plain = OpenFrame::new(STREAM, Protocol::Number(7));
    let other_digest = [&[0x04, 0x04, 0x10, 0x07, 0x02], &DIGEST[..], &[0x00]].concat();
    std::vec![
        ("stream-zero-offset", unhex("0e04000464617461"), body(STREAM, 0, b"data", false)),
        ("stream-long-length", unhex("0a048000000464617461"), body(STREAM, 0, b"data", false)),
        ("max-data-long", unhex("10c000000000000001"), Frame::MaxData { limit: 1 }),
        ("open-other-digest", other_digest, Frame::Open(plain.clone())),
        ("open-empty-extension", unhex("040480070000"), Frame::Open(plain)),
    ]
}

/// spec: R-FRM-1, R-FRM-15
#[test]
fn other_forms_are_read_as_the_vectors_say() {
    let golden = read("frames-other-forms.txt");
    let cases = other_forms();
    assert_eq!(golden.len(), cases.len());
    for (golden, (name, bytes, frame)) in golden.iter().zip(&cases) {
        assert_eq!((&golden.name[..], &golden.bytes), (*name, bytes));
        assert_eq!(golden.meaning, meaning(frame));
        assert_eq!(only(&golden.bytes).as_ref(), Ok(frame), "{name}");
        assert!(encoded(frame, Form::Usual).len() <= bytes.len());
    }
}

fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let long_head = [&unhex("0404000743b1")[..], &[0; 945]].concat();
    let long_extension = [&unhex("04048007444d")[..], &[1; 1_101], &unhex("0d"), &[0; 13]].concat();
    let mut cases: Vec<_> = [
        ("empty", ""),
        ("type-not-shortest", "4001"),
        ("type-cut", "40"),
        ("reserved-rekey", "2400"),
        ("reserved-trailer", "2500"),
        ("reserved-last", "3f00"),
        ("ack-cut", "02"),
        ("ack-first-range-below-zero", "0204000005"),
        ("ack-gap-below-zero", "020a00010108 00"),
        ("ack-length-below-zero", "020a0001000009"),
        ("ack-257-ranges", "02bfffffff00410000"),
        ("ack-more-ranges-than-bytes", "020a000200"),
        ("ack-ecn-cut", "0304000000 0102"),
        ("open-cut", "040400"),
        ("open-empty-name", "0404010000"),
        ("open-long-name", "040401410000"),
        ("open-end-before-start", "04040c070504 00"),
        ("skip-of-nothing", "05040000"),
        ("skip-too-far", "0504ffffffffffffffff01"),
        ("reset-hop", "060400410000 00"),
        ("reset-reliable-above-final", "0604000001 02"),
        ("stop-hop", "0704004100"),
        ("stream-empty", "0a0400"),
        ("stream-empty-last", "0804"),
        ("stream-past-the-end", "0a0405 61626364"),
        ("stream-longest-length", "0a04ffffffffffffffff61"),
        ("stream-too-far", "0e04ffffffffffffffff0161"),
        ("stream-without-id", "08"),
        ("max-streams-bi", "12d000000000000001"),
        ("max-streams-uni", "13d000000000000001"),
        ("streams-blocked-bi", "18d000000000000001"),
        ("streams-blocked-uni", "19d000000000000001"),
        ("max-data-cut", "10c0000000"),
        ("recall-cut", "1400"),
        ("datagram-past-the-end", "1b0561"),
        ("new-cid-cut", "1c000102030405060708"),
        ("challenge-cut", "1e01020304050607"),
        ("observed-kind", "200005 7f000001 0001"),
        ("observed-v4-cut", "200004 7f0000"),
        ("observed-v6-cut", "200006 7f000001 0001"),
        ("params-past-the-end", "210401"),
        ("close-long-reason", "22004041"),
        ("close-cut", "230005 61"),
        ("unknown-without-length", "4040"),
        ("unknown-past-the-end", "40400261"),
    ]
    .into_iter()
    .map(|(name, text)| (name, unhex(&text.replace(' ', ""))))
    .collect();
    cases.push(("open-long-head", long_head));
    cases.push(("open-too-long", long_extension));
    cases.push(("too-many-frames", std::vec![1; 513]));
    cases
}

fn refused_vectors() -> Vec<Vector> {
    let error = |name, bytes: &[u8]| frames(bytes).find_map(Result::err).expect(name);
    let cases = refused().into_iter();
    cases
        .map(|(name, bytes)| {
            let error = error(name, &bytes);
            Vector::new(name, bytes, error)
        })
        .collect()
}

/// spec: R-FRM-2, R-FRM-3, R-FRM-4, R-FRM-7, R-FRM-11, R-FRM-14, R-FRM-17, R-FRM-18
/// spec: R-FRM-19, R-FRM-20, R-FRM-22, R-FRM-27, R-FRM-29
#[test]
fn what_is_refused_is_refused_as_the_vectors_say() {
    check("frames-refused.txt", &refused_vectors());
}

// ---- packets ----

/// Every vector, of every file, cut at every byte: a shorter legal value or an error.
/// spec: R-FRM-7
#[test]
fn vectors_cut_short_are_errors_or_shorter_values() {
    for vector in read("frames.txt") {
        for end in 0..vector.bytes.len() {
            let cut = &vector.bytes[..end];
            let whole = frames(cut).collect::<Result<Vec<_>, _>>();
            let open_ended = matches!(vector.bytes[0], 0 | 0x08 | 0x09 | 0x0c | 0x0d | 0x1a);
            assert!(whole.is_err() || open_ended, "{} cut at {end}: {whole:?}", vector.name);
        }
    }
    for vector in read("packets.txt") {
        for end in 0..vector.bytes.len() {
            let cut = &vector.bytes[..end];
            let _ = super::header::classify(cut);
            let kind = LongPacket::decode(cut).map(|packet| packet.header.kind);
            let may_be_shorter =
                |kind| matches!(kind, PacketType::R2 | PacketType::X2 | PacketType::X3);
            assert!(kind.is_err() || kind.is_ok_and(may_be_shorter), "{} at {end}", vector.name);
        }
    }
    for vector in read("hello.txt") {
        for end in 0..vector.bytes.len() {
            let shorter = Hello::decode(&vector.bytes[..end]);
            assert!(end >= 40 || shorter.is_err(), "{} cut at {end}", vector.name);
        }
    }
    for vector in read("params.txt") {
        for end in 0..vector.bytes.len() {
            assert!(Params::decode(&vector.bytes[..end]).is_err(), "{} cut at {end}", vector.name);
        }
    }
}

/// spec: R-PKT-13
#[test]
fn packet_numbers_expand_as_the_rfc_shows() {
    let expand = |low, expected| PacketNumber::expand(low, PacketNumber(expected)).0;
    assert_eq!(expand(5, 0), 5);
    assert_eq!(expand(0, u64::from(u32::MAX)), 1 << 32);
    assert_eq!(expand(u32::MAX, 1 << 32), (1 << 32) - 1);
    assert_eq!(expand(0x9b32, 0xa82f_30eb), 0x9b32 + (1 << 32));
    assert_eq!(expand(0xfff0_0000, 5), 0xfff0_0000, "nothing lies below zero");
    let last = (1_u64 << 62) - 1;
    assert_eq!(expand(7, last), last - (u64::from(u32::MAX) - 7), "no number is above 2^62 - 1");
    assert_eq!(expand(u32::MAX, last), last);
    assert_eq!(expand(7, u64::MAX), u64::MAX - (u64::from(u32::MAX) - 7));
}

#[path = "vectors_packets_tests.rs"]
pub(crate) mod packets;
