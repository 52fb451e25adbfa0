//! Properties of frames, parameters and handshake payloads on any bytes and any values.

use super::ack::{AckFrame, MAX_ACK_RANGES};
use super::codec::{DecodeError, Put, Reader};
use super::frame::{
    CloseCode, CloseFrame, Frame, MAX_FRAMES, ResetFrame, SentFrame, StopFrame, StreamFrame, frames,
};
use super::hello::Hello;
use super::id::{AppCode, CreditTarget, Dir, PacketNumber, StreamId};
use super::long::LongPacket;
use super::open::{OpenFrame, Protocol};
use super::packet::Allowance;
use super::params::Params;
use super::{header, varint, vectors_tests};
use crate::error::{TransportCode, Violation};
use crate::range_set::RangeSet;
use ::arbitrary::{Arbitrary, Unstructured};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..most),
        proptest::collection::vec(0_u8..0x48, 0..most),
    ]
}

fn one<'a, T: Arbitrary<'a>>(bytes: &'a [u8]) -> T {
    T::arbitrary(&mut Unstructured::new(bytes)).expect("exhausted bytes read as zeros")
}

/// Decodes everything; what decodes must also encode, and decode to the same again.
fn survive(bytes: &[u8]) {
    let mut count = 0;
    for frame in frames(bytes) {
        count += 1;
        let Ok(frame) = frame else { continue };
        if let Frame::Ack(ack) = &frame {
            let ranges: Vec<_> = ack.ranges().collect();
            assert!((1..=MAX_ACK_RANGES).contains(&ranges.len()));
            assert!(ranges.windows(2).all(|pair| pair[1].end < pair[0].start));
        }
        let mut again = Vec::new();
        frame.encode(&mut again);
        assert_eq!(again.len(), frame.encoded_len());
        let decoded = Frame::decode(&mut Reader::new(&again));
        // The shortest form of an ACK's ranges differs from a longer one; the ranges do not.
        match (&frame, &decoded) {
            (Frame::Ack(a), Ok(Frame::Ack(b))) => assert!(a.ranges().eq(b.ranges())),
            _ => assert_eq!(decoded.as_ref(), Ok(&frame)),
        }
    }
    assert!(count <= MAX_FRAMES + 1);
    let _ = Params::decode(bytes);
    let _ = Hello::decode(bytes);
    let _ = header::classify(bytes);
    if let Ok(packet) = LongPacket::decode(bytes) {
        let mut again = Vec::new();
        packet.encode(&mut again);
        assert_eq!(again, bytes);
    }
}

proptest! {
    /// spec: R-PKT-1, R-FRM-7
    #[test]
    fn any_bytes_are_survived(bytes in bytes(1_500)) {
        survive(&bytes);
    }

    /// spec: R-FRM-1, R-FRM-8
    #[test]
    fn any_frames_come_back(seed in proptest::collection::vec(any::<u8>(), 0..3_000)) {
        let mut source = Unstructured::new(&seed);
        let (mut sent, mut payload) = (Vec::<Frame<'_>>::new(), Vec::new());
        while !source.is_empty() {
            let Ok(frame) = Frame::arbitrary(&mut source) else { break };
            // Two runs of PADDING side by side are one.
            let padding = |frame: &Frame<'_>| matches!(frame, Frame::Padding { .. });
            if padding(&frame) && sent.last().is_some_and(padding) {
                continue;
            }
            let before = payload.len();
            frame.encode(&mut payload);
            prop_assert_eq!(payload.len() - before, frame.encoded_len());
            sent.push(frame);
        }
        if let Some(last) = sent.iter().rev().find(|frame| frame.encoded_len_last().is_some()) {
            prop_assert!(last.encode_last(&mut payload));
            sent.push(last.clone());
        }
        prop_assume!(!sent.is_empty());
        let received = frames(&payload).collect::<Result<Vec<_>, _>>();
        if sent.len() <= MAX_FRAMES {
            prop_assert_eq!(received, Ok(sent));
        } else {
            prop_assert!(received.is_err());
        }
    }

    #[test]
    fn a_changed_vector_is_survived(pick in any::<prop::sample::Index>(), at in any::<usize>(),
        bit in 0..8, end in any::<usize>())
    {
        let vectors = vectors_tests::frame_vectors();
        let mut bytes = pick.get(&vectors).bytes.clone();
        let at = at % bytes.len();
        bytes[at] ^= 1_u8 << bit;
        bytes.truncate(1 + end % (2 * bytes.len()));
        survive(&bytes);
    }

    /// spec: R-PKT-19
    #[test]
    fn any_parameters_come_back(seed in proptest::collection::vec(any::<u8>(), 0..200)) {
        let params: Params = one(&seed);
        prop_assert_eq!(params.check(), Ok(()));
        let mut bytes = Vec::new();
        params.encode(&mut bytes);
        prop_assert_eq!(Params::decode(&bytes), Ok(params));
        // An extension that is not known changes nothing.
        bytes.extend([0x44, 0x55, 3, 1, 2, 3]);
        prop_assert_eq!(Params::decode(&bytes), Ok(params));
    }

    /// spec: R-PKT-15, R-PKT-17
    #[test]
    fn any_hello_comes_back(seed in proptest::collection::vec(any::<u8>(), 0..900),
        padding in 0_usize..50)
    {
        let hello: Hello<'_> = one(&seed);
        let mut bytes = Vec::new();
        let length = hello.encoded_len();
        prop_assert!(!hello.encode(length - 1, &mut bytes));
        prop_assert!(bytes.is_empty());
        prop_assert!(hello.encode(length + padding, &mut bytes));
        prop_assert_eq!(bytes.len(), length + padding);
        prop_assert_eq!(Hello::decode(&bytes), Ok(hello));
        if padding > 1 {
            *bytes.last_mut().unwrap() = 1;
            prop_assert!(Hello::decode(&bytes).is_err());
        }
    }

    /// spec: R-PKT-22
    #[test]
    fn varints_come_back_in_their_shortest_form(value in 0..=varint::MAX, shift in 0..62) {
        for value in [value, value >> shift] {
            let mut bytes = Vec::new();
            bytes.varint(value);
            prop_assert_eq!(bytes.len(), varint::len(value));
            prop_assert_eq!(varint::decode(&bytes), Some((value, bytes.len())));
            prop_assert_eq!(varint::decode(&bytes[..bytes.len() - 1]), None);
        }
    }

    /// spec: R-FRM-10, R-FRM-12
    #[test]
    fn ack_ranges_are_the_highest_of_the_set(
        ranges in proptest::collection::vec((0_u64..3_000, 1_u64..20), 1..400),
        far in any::<bool>(), most in 0_usize..300)
    {
        let mut set = RangeSet::new();
        for (start, length) in ranges {
            let base = if far { (1 << 62) - 4_000 } else { 0 };
            set.insert(base + start..base + start + length);
        }
        let mut scratch = vec![1, 2, 3];
        let frame = AckFrame::from_ranges(&set, 7, None, most, &mut scratch).unwrap();
        let count = most.clamp(1, MAX_ACK_RANGES);
        let expected: Vec<_> = set.iter().rev().take(count).collect();
        prop_assert_eq!(frame.ranges().collect::<Vec<_>>(), expected);
        let mut bytes = Vec::new();
        Frame::Ack(frame.clone()).encode(&mut bytes);
        prop_assert_eq!(frames(&bytes).collect::<Result<Vec<_>, _>>(), Ok(vec![Frame::Ack(frame)]));
    }
}

/// spec: R-PKT-22
#[test]
fn varints_stand_as_in_the_rfc() {
    // RFC 9000, appendix A.1.
    let cases: [(&str, u64); 5] = [
        ("c2197c5eff14e88c", 151_288_809_941_952_652),
        ("9d7f3e7d", 494_878_333),
        ("7bbd", 15_293),
        ("25", 37),
        ("ffffffffffffffff", varint::MAX),
    ];
    for (text, value) in cases {
        let bytes = vectors_tests::unhex(text);
        assert_eq!(varint::decode(&bytes), Some((value, bytes.len())));
        let mut again = Vec::new();
        again.varint(value);
        assert_eq!(again, bytes);
    }
    assert_eq!(varint::decode(&[0x40, 0x25]), Some((37, 2)), "longer forms are read");
    assert_eq!(varint::decode(&[]), None);
}

#[test]
fn capacity_leaves_room_for_the_length() {
    for room in 0..20_000_usize {
        let n = varint::capacity(room);
        let total = |n: usize| n + varint::len(n as u64);
        assert!(total(n) <= room || (room == 0 && n == 0), "{room}: {n}");
        assert!(room == 0 || total(n + 1) > room, "{room}: {n} is not the most");
    }
}

/// spec: R-FRM-3
#[test]
fn a_packet_has_one_to_512_frames_and_padding_counts_by_runs() {
    let count = |bytes: &[u8]| frames(bytes).collect::<Result<Vec<_>, _>>().map(|all| all.len());
    assert_eq!(count(&[]), Err(DecodeError::Rule("a packet without frames")));
    assert_eq!(count(&[0; 1_171]), Ok(1));
    assert_eq!(count(&[1; 512]), Ok(512));
    assert_eq!(count(&[1; 513]), Err(DecodeError::Rule("a packet with too many frames")));
    assert_eq!(count(&[1, 0, 0, 0].repeat(256)), Ok(512));
    assert!(count(&[1, 0].repeat(257)).is_err());
    let mut seen = frames(&[1; 600]);
    assert_eq!(seen.by_ref().filter(Result::is_ok).count(), 512);
    assert_eq!(seen.next(), None, "nothing after the error");
}

/// spec: R-FRM-31
#[test]
fn a_code_beyond_what_a_varint_says_is_written_as_the_largest() {
    const ID: StreamId = StreamId(4);
    let largest = AppCode((1 << 62) - 1);
    let each: [fn(AppCode) -> Frame<'static>; 3] = [
        |code| Frame::Reset(ResetFrame { id: ID, code, hop: 0, final_size: 9, reliable_size: 0 }),
        |code| Frame::Stop(StopFrame { id: ID, code, hop: 0 }),
        |code| Frame::Close(CloseFrame { code: CloseCode::App(code), reason: b"" }),
    ];
    for make in each {
        let mut bytes = Vec::new();
        make(AppCode(u64::MAX)).encode(&mut bytes);
        assert_eq!(frames(&bytes).collect::<Vec<_>>(), [Ok(make(largest))]);
    }
}

/// spec: R-FRM-4
#[test]
fn every_reserved_type_is_a_violation() {
    for kind in 0x24..=0x3f_u8 {
        let error = frames(&[kind, 0]).next().unwrap().unwrap_err();
        assert_eq!(error, DecodeError::Malformed("a frame of a reserved type"));
        assert_eq!(Violation::from(error).code, TransportCode::FrameEncoding);
    }
}

/// spec: R-FRM-5
#[test]
fn unknown_frames_are_passed_over_and_acknowledged() {
    let payload = [0x40, 0x40, 2, 0x24, 0x24, 1];
    let all = frames(&payload).collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(all, [Frame::Unknown { kind: 0x40, data: &[0x24, 0x24] }, Frame::Ping]);
    assert!(all[0].is_ack_eliciting());
    assert_eq!(all[0].needs(), Allowance::Everything);
}

/// spec: R-FRM-6
#[test]
fn the_table_of_rules_is_kept() {
    let scratch = &mut Vec::new();
    let mut set = RangeSet::new();
    set.insert(0..1);
    let ack = Frame::Ack(AckFrame::from_ranges(&set, 0, None, 1, scratch).unwrap());
    let close = Frame::Close(CloseFrame { code: CloseCode::Transport(0), reason: b"" });
    let rules =
        |frame: &Frame<'_>| (frame.is_ack_eliciting(), frame.counts_as_in_flight(), frame.needs());
    assert_eq!(rules(&ack), (false, false, Allowance::AcksOnly));
    assert_eq!(rules(&close), (false, false, Allowance::CloseOnly));
    assert_eq!(rules(&Frame::Padding { len: 1 }), (false, true, Allowance::Everything));
    let mut others = 0;
    for vector in vectors_tests::frame_vectors() {
        let frame = Frame::decode(&mut Reader::new(&vector.bytes)).unwrap();
        if !matches!(frame, Frame::Ack(_) | Frame::Close(_) | Frame::Padding { .. }) {
            assert_eq!(rules(&frame), (true, true, Allowance::Everything), "{}", vector.name);
            others += 1;
        }
    }
    assert!(others > 30);
}

/// spec: R-FRM-7
#[test]
fn errors_close_with_their_code() {
    let code = |bytes: &[u8]| {
        Violation::from(frames(bytes).find_map(Result::err).expect("a violation")).code
    };
    assert_eq!(code(&[]), TransportCode::Protocol);
    assert_eq!(code(&[1; 513]), TransportCode::Protocol);
    assert_eq!(code(&[0x10]), TransportCode::FrameEncoding);
    assert_eq!(code(&[0x40, 0x01]), TransportCode::FrameEncoding);
    let params = Violation::from(Params::decode(&[]).unwrap_err());
    assert_eq!(params.code, TransportCode::Parameters);
}

/// spec: R-FRM-16, R-FRM-17
#[test]
fn a_body_ends_at_2_to_the_62_minus_1() {
    let frame =
        |offset, data| Frame::Stream(StreamFrame { id: StreamId(0), offset, data, fin: false });
    let decode = |frame: Frame<'_>| {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        frames(&bytes).next().unwrap().map(|_| ())
    };
    assert_eq!(decode(frame(varint::MAX - 2, &[1, 2])), Ok(()));
    assert!(decode(frame(varint::MAX - 2, &[1, 2, 3])).is_err());
    assert_eq!(decode(Frame::Skip { id: StreamId(0), range: 0..varint::MAX }), Ok(()));
}

/// spec: R-FRM-23
#[test]
fn credit_targets_are_the_connection_a_count_or_a_stream() {
    let targets = [
        (0, CreditTarget::Connection),
        (1, CreditTarget::Streams(Dir::Bi)),
        (2, CreditTarget::Streams(Dir::Uni)),
        (3, CreditTarget::Stream(StreamId(0))),
        (4, CreditTarget::Stream(StreamId(1))),
    ];
    for (byte, target) in targets {
        let frame = Frame::CreditRecall { target, total: 5 };
        assert_eq!(frames(&[0x14, byte, 5]).next(), Some(Ok(frame)));
        let frame = Frame::CreditReturned { target, total: 5 };
        assert_eq!(frames(&[0x15, byte, 5]).next(), Some(Ok(frame)));
    }
}

/// spec: R-FRM-14
#[test]
fn the_largest_open_fits_the_smallest_packet() {
    let plain = OpenFrame::new(StreamId(0), Protocol::Number(1));
    let open = OpenFrame { extension: &[1; 212], head: &[2; 900], ..plain.clone() };
    assert_eq!(open.encoded_len(), 1_120);
    let mut bytes = Vec::new();
    Frame::Open(open.clone()).encode(&mut bytes);
    assert_eq!(frames(&bytes).next(), Some(Ok(Frame::Open(open.clone()))));
    assert_eq!(open.check(), Ok(()));
    let longer = OpenFrame { extension: &[1; 213], ..open };
    assert!(longer.check().is_err());
    let mut bytes = Vec::new();
    Frame::Open(longer).encode(&mut bytes);
    assert!(frames(&bytes).next().unwrap().is_err());
    for bad in [
        OpenFrame { head: &[0; 901], ..plain.clone() },
        OpenFrame { protocol: Protocol::Name(b""), ..plain.clone() },
        OpenFrame { protocol: Protocol::Name(&[0; 65]), ..plain.clone() },
        OpenFrame { start: Some(2), end: Some(1), ..plain },
    ] {
        assert!(bad.check().is_err());
        let mut bytes = Vec::new();
        Frame::Open(bad).encode(&mut bytes);
        assert!(frames(&bytes).next().unwrap().is_err());
    }
}

/// spec: R-FRM-29
#[test]
fn reasons_are_cut_at_64_bytes_and_read_as_text() {
    let close = CloseFrame { code: CloseCode::Transport(1), reason: &[b'x'; 70] };
    let mut bytes = Vec::new();
    Frame::Close(close).encode(&mut bytes);
    let Some(Ok(Frame::Close(read))) = frames(&bytes).next() else { panic!("a CLOSE") };
    assert_eq!(read.reason, &[b'x'; 64]);
    let broken = CloseFrame { code: CloseCode::Transport(1), reason: b"caf\xc3" };
    assert_eq!(broken.text(), "caf\u{fffd}");
}

#[test]
fn receipts_name_what_was_sent() {
    let stream = StreamFrame { id: StreamId(4), offset: 10, data: b"abc", fin: true };
    let receipt = SentFrame::Stream { id: StreamId(4), range: 10..13, fin: true };
    assert_eq!(SentFrame::of(&Frame::Stream(stream)), Some(receipt));
    assert_eq!(SentFrame::of(&Frame::Datagram { data: b"abc" }), Some(SentFrame::Datagram(3)));
    let silent = vectors_tests::frame_vectors()
        .iter()
        .map(|vector| Frame::decode(&mut Reader::new(&vector.bytes)).unwrap())
        .filter(|frame| SentFrame::of(frame).is_none())
        .all(|frame| {
            matches!(
                frame,
                Frame::Padding { .. }
                    | Frame::Ping
                    | Frame::PathChallenge { .. }
                    | Frame::PathResponse { .. }
                    | Frame::Close(_)
                    | Frame::Unknown { .. }
            )
        });
    assert!(silent);
    let mut set = RangeSet::new();
    set.insert(3..9);
    let mut scratch = Vec::new();
    let ack = AckFrame::from_ranges(&set, 0, None, 9, &mut scratch).unwrap();
    let receipt = SentFrame::Ack { largest: PacketNumber(8) };
    assert_eq!(SentFrame::of(&Frame::Ack(ack)), Some(receipt));
    assert_eq!(AckFrame::from_ranges(&RangeSet::new(), 0, None, 9, &mut scratch), None);
}
