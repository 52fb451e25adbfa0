use super::super::frame::{CloseCode, CloseFrame, StreamFrame, frames};
use super::*;
use ::arbitrary::{Arbitrary, Unstructured};
use alloc::vec;
use proptest::prelude::*;

const HEADER: usize = 13;

fn stream(data: &[u8]) -> Frame<'_> {
    Frame::Stream(StreamFrame { id: StreamId(4), offset: 100, data, fin: false })
}

fn numbers(count: u64) -> RangeSet {
    let mut set = RangeSet::new();
    for n in 0..count {
        set.insert(n * 1_000..n * 1_000 + 1);
    }
    set
}

#[test]
fn frames_go_in_whole_and_leave_receipts() {
    let (mut buf, mut receipts) = (vec![9; 3], vec![SentFrame::Params]);
    let mut packet = PacketWriter::new(&mut buf, HEADER, 20, &mut receipts, Allowance::Everything);
    assert!(packet.is_empty());
    assert_eq!(packet.room(), 20);
    assert!(packet.write(&Frame::MaxData { limit: 64 }));
    assert!(!packet.write(&stream(&[7; 20])), "too long");
    assert!(packet.write(&Frame::Ping));
    assert!(packet.ack_eliciting());
    assert_eq!((packet.len(), packet.room()), (4, 16));
    let written = packet.finish();
    assert_eq!(written, Written { len: 4, ack_eliciting: true, in_flight: true });
    assert_eq!(buf[..3], [9; 3]);
    assert_eq!(buf[3..16], [0; HEADER]);
    assert_eq!(buf[16..], [0x10, 0x40, 64, 1]);
    assert_eq!(receipts, [SentFrame::Params, SentFrame::MaxData(64)]);
}

/// However small they are; what is left over before a last frame without its length counts too.
///
/// spec: R-FRM-3
#[test]
fn a_packet_is_full_with_its_512th_frame() {
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    for (small, spare) in [(512, 0), (511, 0), (511, 1), (510, 1)] {
        // A frame of a byte each, and one whose length does not fit any more.
        let last = stream(&[7; 70]);
        let room = small + last.encoded_len_last().unwrap() + spare;
        let mut packet =
            PacketWriter::new(&mut buf, HEADER, room, &mut receipts, Allowance::Everything);
        assert!((0..small).all(|_| packet.write(&Frame::Ping)), "{small}");
        assert_eq!(packet.room() == 0, small == 512);
        let fits = small + 1 + usize::from(spare > 0) <= 512;
        assert_eq!(packet.write(&last), fits, "{small} and {spare}");
        assert_eq!(packet.capacity(), room);
        assert!(packet.write(&Frame::Ping) == (small == 511 && !fits));
        let _ = packet.finish();
        let read: Result<Vec<_>, _> = frames(buf.get(HEADER..).unwrap()).collect();
        assert_eq!(read.unwrap().len(), 512.min(small + 2));
        buf.clear();
    }
}

/// An ACK is a frame too; bytes that go on are none.
///
/// spec: R-FRM-3
#[test]
fn acks_count_as_frames_and_what_is_joined_does_not() {
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    let mut packet =
        PacketWriter::new(&mut buf, HEADER, 5_000, &mut receipts, Allowance::Everything);
    assert!(packet.write_ack(&numbers(3), 0, None, 8));
    for offset in 0..600 {
        let frame = StreamFrame { id: StreamId(4), offset, data: b"x", fin: false };
        assert!(packet.write_stream(frame));
    }
    assert_eq!((0..600).take_while(|_| packet.write(&Frame::Ping)).count(), 510);
    let _ = packet.finish();
    assert_eq!(frames(buf.get(HEADER..).unwrap()).filter(Result::is_ok).count(), 512);
}

#[test]
fn a_packet_that_is_dropped_or_empty_leaves_no_trace() {
    let (mut buf, mut receipts) = (vec![9; 3], vec![SentFrame::Params]);
    let mut packet = PacketWriter::new(&mut buf, HEADER, 90, &mut receipts, Allowance::Everything);
    assert!(packet.write(&stream(b"abc")));
    drop(packet);
    assert_eq!((buf.len(), receipts.len()), (3, 1));
    let packet = PacketWriter::new(&mut buf, HEADER, 90, &mut receipts, Allowance::Everything);
    assert_eq!(packet.finish(), Written { len: 0, ack_eliciting: false, in_flight: false });
    assert_eq!((buf.len(), receipts.len()), (3, 1));
    let mut packet = PacketWriter::new(&mut buf, HEADER, 90, &mut receipts, Allowance::Everything);
    assert!(packet.write(&Frame::Padding { len: 0 }), "nothing fits anywhere");
    assert!(packet.is_empty());
}

/// spec: R-FRM-6
#[test]
fn the_allowance_decides() {
    let close = Frame::Close(CloseFrame { code: CloseCode::Transport(0), reason: b"" });
    let received = numbers(1);
    let allowed = |allowance| {
        let (mut buf, mut receipts) = (Vec::new(), Vec::new());
        let mut packet = PacketWriter::new(&mut buf, HEADER, 99, &mut receipts, allowance);
        assert_eq!(packet.allowance(), allowance);
        let ack = packet.write_ack(&received, 0, None, 9);
        (packet.write(&close), ack, packet.write(&Frame::Ping), packet.finish().in_flight)
    };
    assert_eq!(allowed(Allowance::Nothing), (false, false, false, false));
    assert_eq!(allowed(Allowance::CloseOnly), (true, false, false, false));
    assert_eq!(allowed(Allowance::AcksOnly), (true, true, false, false));
    assert_eq!(allowed(Allowance::Everything), (true, true, true, true));
}

/// spec: R-FRM-16, R-FRM-26
#[test]
fn the_last_frame_may_do_without_its_length() {
    let data = [5; 100];
    for frame in [stream(&data), Frame::Datagram { data: &data }] {
        let least = frame.encoded_len_last().unwrap();
        for room in least - 1..=frame.encoded_len() {
            let (mut buf, mut receipts) = (Vec::new(), Vec::new());
            let mut packet =
                PacketWriter::new(&mut buf, 0, room, &mut receipts, Allowance::Everything);
            assert_eq!(packet.write(&frame), room >= least);
            if room >= least {
                assert_eq!(packet.room(), 0);
                let _ = packet.finish();
                let mut read = frames(&buf).map(Result::unwrap);
                assert!(read.any(|read| read == frame));
                assert_eq!(receipts.len(), 1);
            }
        }
    }
}

#[test]
fn stream_capacity_is_what_fits_exactly() {
    for (id, offset) in [(0, 0), (4, 1), (63, 63), (64, 64), (1 << 20, 1 << 40)] {
        for room in 0..=1_500 {
            let capacity = stream_capacity(room, StreamId(id), offset);
            let fits = |data: &[u8]| {
                let frame = StreamFrame { id: StreamId(id), offset, data, fin: false };
                Frame::Stream(frame).encoded_len() <= room
            };
            let data = vec![0; capacity + 1];
            assert!(capacity == 0 || fits(&data[..capacity]), "{id} {offset} {room}");
            assert!(!fits(&data), "{id} {offset} {room}: {capacity}");
        }
    }
    assert_eq!(stream_capacity(1_000, StreamId(0), varint::MAX - 3), 3);
    assert_eq!(stream_capacity(1_000, StreamId(0), varint::MAX), 0);
}

proptest! {
    /// spec: R-FRM-12
    #[test]
    fn acks_take_as_many_ranges_as_fit(count in 1_u64..300, room in 0_usize..1_300,
        most in 0_usize..300, ecn in any::<bool>())
    {
        let received = numbers(count);
        let ecn = ecn.then_some(EcnCounts { ect0: 70_000, ect1: 1, ce: 2 });
        let (mut buf, mut receipts) = (Vec::new(), Vec::new());
        let mut packet = PacketWriter::new(&mut buf, 0, room, &mut receipts, Allowance::AcksOnly);
        let wrote = packet.write_ack(&received, 300, ecn, most);
        let written = packet.finish();
        prop_assert!(written.len <= room && !written.ack_eliciting && !written.in_flight);
        if !wrote {
            prop_assert!(room < 22 && buf.is_empty() && receipts.is_empty());
            return Ok(());
        }
        let Some(Ok(Frame::Ack(ack))) = frames(&buf).next() else { panic!("an ACK") };
        let ranges: Vec<_> = ack.ranges().collect();
        let expected: Vec<_> = received.iter().rev().take(ranges.len()).collect();
        prop_assert_eq!(&ranges, &expected);
        prop_assert_eq!((ack.delay_us, ack.ecn), (300, ecn));
        let wanted = most.clamp(1, MAX_ACK_RANGES).min(usize::try_from(count).unwrap());
        prop_assert!(ranges.len() == wanted || room - buf.len() < 6, "room was left");
        prop_assert_eq!(receipts, [SentFrame::Ack { largest: ack.largest }]);
    }

    #[test]
    fn a_packet_reads_back_as_it_was_written(
        seed in proptest::collection::vec(any::<u8>(), 0..3_000), capacity in 1_usize..1_500)
    {
        let (mut buf, mut receipts) = (Vec::new(), Vec::new());
        let mut packet =
            PacketWriter::new(&mut buf, HEADER, capacity, &mut receipts, Allowance::Everything);
        let mut source = Unstructured::new(&seed);
        let mut sent = Vec::new();
        while !source.is_empty() {
            let Ok(frame) = Frame::arbitrary(&mut source) else { break };
            let before = packet.room();
            if packet.write(&frame) {
                prop_assert!(packet.room() < before);
                sent.push(frame);
            } else {
                prop_assert!(frame.encoded_len() > before);
                prop_assert_eq!(packet.room(), before);
            }
        }
        let eliciting = sent.iter().any(Frame::is_ack_eliciting);
        prop_assert_eq!(packet.ack_eliciting(), eliciting);
        let written = packet.finish();
        prop_assert!(written.len <= capacity);
        prop_assert_eq!(written.len, buf.len().saturating_sub(HEADER));
        let expected: Vec<_> = sent.iter().filter_map(SentFrame::of).collect();
        prop_assert_eq!(receipts, expected);
        prop_assume!(!sent.is_empty());
        let padding = |frame: &Frame<'_>| matches!(frame, Frame::Padding { .. });
        let read: Vec<_> = frames(&buf[HEADER..]).map(Result::unwrap).collect();
        prop_assert!(read.iter().filter(|f| !padding(f)).eq(sent.iter().filter(|f| !padding(f))));
    }
}

/// Bytes that follow each other go into one frame, however they were handed in, and fill the packet
/// to its last byte.
#[test]
fn stream_frames_that_follow_each_other_are_one() {
    let large = [[20_000, 1, 1], [16_000, 383, 1], [16_000, 384, 1], [9_000, 9_000, 9_000]];
    let small = [[1, 1, 1], [1, 62, 1], [63, 1, 1200], [1, 63, 64], [400, 400, 2000]];
    for sizes in small.into_iter().chain(large) {
        for capacity in [30, 200, 1171, 40_000] {
            let (mut buf, mut receipts) = (vec![], vec![]);
            let mut packet =
                PacketWriter::new(&mut buf, 0, capacity, &mut receipts, Allowance::Everything);
            let (id, mut offset) = (StreamId(4), 70);
            for size in sizes {
                let len = size.min(packet.stream_room(id, offset));
                let data: Vec<u8> = (offset..).map(|at| at as u8).take(len).collect();
                let fin = size == 2000;
                if len > 0 {
                    assert!(packet.write_stream(StreamFrame { id, offset, data: &data, fin }));
                    offset += len as u64;
                }
            }
            let room = packet.room();
            assert!(packet.finish().len > 0);
            let whole: usize = sizes.iter().sum();
            assert!(room == 0 || offset == 70 + whole as u64 || room < 3, "{sizes:?} {room}");
            let read: Vec<_> = frames(&buf).map(|frame| frame.unwrap()).collect();
            let range = 70..offset;
            let data: Vec<u8> = range.clone().map(|at| at as u8).collect();
            let fin = sizes[2] == 2000 && capacity > 200;
            let one = Frame::Stream(StreamFrame { id, offset: 70, data: &data, fin });
            if read.len() == 1 {
                assert_eq!(read, [one]);
                assert_eq!(receipts, [SentFrame::Stream { id, range, fin }]);
            } else {
                assert_eq!(read.len(), receipts.len());
                assert!(whole > 16_383 && capacity == 40_000, "{sizes:?}");
            }
        }
    }
}
