//! How streams end, and how often that is counted; and how bytes are given by arrival.

use core::ops::Range;

use super::*;
use crate::error::StreamCode;

const ID: StreamId = StreamId::new(Side::Initiator, Dir::Uni, 0);

fn reset_by(id: StreamId, code: AppCode, reliable_size: u64) -> Frame<'static> {
    Frame::Reset(ResetFrame { id, code, hop: 0, final_size: 4, reliable_size })
}

fn stop(id: StreamId, code: AppCode) -> Frame<'static> {
    Frame::Stop(StopFrame { id, code, hop: 0 })
}

/// spec: R-STR-7, R-STR-12
#[test]
fn a_second_reset_before_open_changes_nothing() {
    let mut pair = Pair::new();
    pair.b.take(&data(ID, 0, b"0123", false));
    pair.b.take(&reset(ID, 4, 4));
    pair.b.take(&reset_by(ID, AppCode(9), 4));
    pair.b.take(&open_frame(ID));
    let error = ReadError::Reset { code: AppCode(7), hop: 2 };
    assert_eq!(pair.b.read(ID), (b"0123".to_vec(), Err(error)));
}

/// spec: R-STR-14
#[test]
fn what_is_whole_stays_whole_whatever_is_said_afterwards() {
    let mut pair = Pair::new();
    pair.b.take(&open_frame(ID));
    pair.b.take(&data(ID, 0, b"0123", true));
    pair.b.take(&reset(ID, 4, 0));
    assert_eq!(pair.b.read(ID), (b"0123".to_vec(), Ok(())));
    assert_eq!((pair.b.streams.count(), pair.b.recv.held()), (0, 0));
}

/// Whether or not there is room for the bytes that it comes with.
///
/// spec: R-STR-8
#[test]
fn an_end_below_what_came_breaks_a_rule() {
    let mut pair = Pair::new();
    pair.b.take(&open_frame(ID));
    let mut pieces = (0..).map(|nth| data(ID, 4 * nth, b"0", false));
    while pair.b.frame(&pieces.next().unwrap()) == Ok(Accepted::Yes) {}
    assert_eq!(
        pair.b.frame(&data(ID, 2, b"2", false)),
        Ok(Accepted::TooFragmented),
        "one range too many"
    );
    let broken = pair.b.frame(&data(ID, 2, b"2", true)).map_err(|violation| violation.code);
    assert_eq!(broken, Err(TransportCode::FinalSize));
}

/// By the first of what happens to it.
///
/// spec: R-FIG-5
#[test]
fn a_stream_that_ends_badly_counts_once() {
    let refused = StreamCode::Refused.app();
    let mut pair = Pair::new();
    let id = pair.b.open(Dir::Bi, plain()).unwrap();
    let errors = |pair: &Pair| {
        let errors = pair.b.streams.stats().errors;
        let protocol: u64 = StreamCode::ALL.into_iter().map(|code| errors.of(code)).sum();
        (protocol, errors.application())
    };
    pair.b.take(&data(id, 0, b"0123", false));
    pair.b.take(&Frame::MaxStreamData { id, limit: 1 << 20 });
    assert_eq!(errors(&pair), (0, 0));
    pair.b.take(&stop(id, refused));
    assert_eq!((errors(&pair), pair.b.streams.stats().errors.of(StreamCode::Refused)), ((1, 0), 1));
    pair.b.take(&stop(id, AppCode(3)));
    pair.b.take(&reset_by(id, AppCode(3), 0));
    assert_eq!(errors(&pair), (1, 0), "it was counted");
    // A reset by an application, said twice.
    pair.b.take(&open_frame(ID));
    pair.b.take(&data(ID, 0, b"0123", false));
    pair.b.take(&reset_by(ID, AppCode(3), 4));
    pair.b.take(&reset_by(ID, refused, 4));
    assert_eq!(errors(&pair), (1, 1));
}

/// spec: R-FIG-5
#[test]
fn what_nobody_was_interested_in_is_no_error() {
    let mut pair = Pair::new();
    let dropped = pair.b.open(Dir::Uni, plain()).unwrap();
    pair.b.take(&stop(dropped, AppCode(0)));
    pair.b.take(&open_frame(ID));
    pair.b.take(&data(ID, 0, b"0123", false));
    pair.b.recv(ID).stop(AppCode(8));
    pair.b.take(&reset_by(ID, AppCode(8), 0));
    assert_eq!(pair.b.streams.stats().errors, StreamErrors::default(), "this side gave it up");
}

/// spec: R-FIG-5
#[test]
fn the_loss_of_a_connection_ends_what_was_under_way() {
    let mut pair = Pair::new();
    for _ in 0..3 {
        pair.b.open(Dir::Uni, plain()).unwrap();
    }
    let failed = pair.b.open(Dir::Uni, plain()).unwrap();
    pair.b.take(&stop(failed, AppCode(3)));
    for _ in 0..2 {
        pair.b.streams.on_connection_lost();
        let errors = pair.b.streams.stats().errors;
        assert_eq!((errors.of(StreamCode::ConnectionLost), errors.application()), (3, 1));
    }
}

/// What came, and what never will.
fn told(
    arrival: Result<Option<Arrival>, ReadError>,
) -> Result<Option<(Range<u64>, bool)>, ReadError> {
    let told = |arrival| match arrival {
        Arrival::Bytes(chunk) => (chunk.range(), true),
        Arrival::Skipped(range) => (range, false),
    };
    arrival.map(|arrival| arrival.map(told))
}

fn with_gaps() -> Pair {
    let mut pair = Pair::new();
    pair.b.take(&open_frame(ID));
    for (at, text) in [(6, b"678"), (0, b"012"), (12, b"cde")] {
        pair.b.take(&data(ID, at, text, false));
    }
    pair
}

/// spec: R-STR-15
#[test]
fn who_passes_bytes_on_has_news_of_what_never_comes() {
    let mut pair = Pair::new();
    pair.b.take(&open_frame(ID));
    pair.b.events();
    assert_eq!(pair.b.recv(ID).take_arrival(9), Err(ReadError::Blocked));
    assert_eq!(pair.b.events(), []);
    pair.b.take(&Frame::Skip { id: ID, range: 0..4 });
    assert_eq!(pair.b.events(), [StreamEvent::Readable(ID)]);
    assert_eq!(told(pair.b.recv(ID).take_arrival(9)), Ok(Some((0..4, false))));
    assert_eq!(pair.b.recv(ID).take_arrival(9), Err(ReadError::Blocked));
    assert_eq!(pair.b.events(), []);
}

/// spec: R-STR-15, R-STR-25
#[test]
fn who_passes_bytes_on_hears_of_what_never_comes() {
    let mut pair = with_gaps();
    pair.b.take(&Frame::Skip { id: ID, range: 9..12 });
    let mut stream = pair.b.recv(ID);
    assert_eq!(told(stream.take_arrival(9)), Ok(Some((9..12, false))), "once, before all bytes");
    assert_eq!(told(stream.take_arrival(2)), Ok(Some((6..8, true))));
    assert_eq!(told(stream.take_arrival(9)), Ok(Some((8..9, true))));
    assert_eq!(told(stream.take_arrival(9)), Ok(Some((0..3, true))));
    assert_eq!(told(stream.take_arrival(9)), Ok(Some((12..15, true))));
    assert_eq!(told(stream.take_arrival(9)), Err(ReadError::Blocked));
    drop(stream);
    pair.b.take(&data(ID, 3, b"345", false));
    pair.b.take(&data(ID, 15, b"", true));
    assert_eq!(told(pair.b.recv(ID).take_arrival(9)), Ok(Some((3..6, true))));
    assert_eq!(told(pair.b.recv(ID).take_arrival(9)), Ok(None), "the end");
}

#[test]
fn the_lowest_may_be_taken_first() {
    let mut pair = with_gaps();
    let mut stream = pair.b.recv(ID);
    assert_eq!(told(stream.take_lowest(9)), Ok(Some((0..3, true))));
    assert_eq!(told(stream.take_lowest(2)), Ok(Some((6..8, true))));
    assert_eq!(told(stream.take_lowest(9)), Ok(Some((8..9, true))));
    stream.stop(AppCode(1));
    assert_eq!(told(stream.take_lowest(9)), Err(ReadError::Stopped));
    assert_eq!(told(stream.take_arrival(9)), Err(ReadError::Stopped));
}

/// spec: R-STR-15
#[test]
fn what_never_comes_may_be_the_lowest() {
    let mut pair = with_gaps();
    pair.b.take(&Frame::Skip { id: ID, range: 3..6 });
    let mut stream = pair.b.recv(ID);
    for lowest in [(0..3, true), (3..6, false), (6..9, true), (12..15, true)] {
        assert_eq!(told(stream.take_lowest(9)), Ok(Some(lowest)));
    }
}

/// Of what a reset promised is charged what was given out, what waits, and what is still to be
/// told.
///
/// spec: R-STR-12, R-STR-26
#[test]
fn what_is_to_be_told_is_charged_until_it_is() {
    let mut pair = with_gaps();
    pair.b.take(&Frame::Skip { id: ID, range: 3..6 });
    assert_eq!(told(pair.b.recv(ID).take_lowest(9)), Ok(Some((0..3, true))));
    pair.b.take(&reset(ID, 20, 9));
    assert_eq!(pair.b.recv.held(), 9 + STREAM_RECORD);
    assert_eq!(told(pair.b.recv(ID).take_lowest(9)), Ok(Some((3..6, false))));
    assert_eq!(pair.b.recv.held(), 9 + STREAM_RECORD, "until it is let go");
    pair.b.recv(ID).release(6);
    assert_eq!(pair.b.recv.held(), 3 + STREAM_RECORD);
}

/// Who takes bytes as they come has passed what lacks when it is known, and is not told.
///
/// spec: R-STR-26
#[test]
fn what_nobody_is_told_of_is_not_charged() {
    let mut pair = with_gaps();
    pair.b.take(&Frame::Skip { id: ID, range: 9..12 });
    assert_eq!(pair.b.recv.held(), 15 + STREAM_RECORD);
    assert_eq!(pair.b.recv(ID).take_any(9).unwrap().unwrap().range(), 6..9);
    assert_eq!(pair.b.recv.held(), 12 + STREAM_RECORD);
}

/// spec: R-STR-26
#[test]
fn no_more_is_let_go_of_than_was_given_out() {
    let mut pair = with_gaps();
    let mut stream = pair.b.recv(ID);
    assert_eq!(told(stream.take_arrival(9)), Ok(Some((6..9, true))));
    stream.release(100);
    drop(stream);
    assert_eq!(pair.b.recv.held(), 12 + STREAM_RECORD);
}

/// The answer to it would be a reset of what the peer has already.
#[test]
fn a_stop_of_what_was_delivered_is_no_news() {
    let mut pair = Pair::new();
    let id = pair.a.open(Dir::Bi, plain()).unwrap();
    pair.a.write(id, b"all of it");
    pair.a.send(id).finish().unwrap();
    pair.run();
    assert_eq!(pair.a.events(), [StreamEvent::Delivered(id)]);
    pair.a.take(&stop(id, AppCode(3)));
    assert_eq!((pair.a.events(), pair.a.send(id).stopped()), (vec![], None));
}

/// The last acknowledgement too, though the stream is over with it.
#[test]
fn who_wants_to_hears_of_acknowledgements() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.send(id).report_acked();
    pair.a.write(id, b"some");
    pair.run();
    assert_eq!((pair.a.events(), pair.a.send(id).sent()), (vec![StreamEvent::Acked(id)], 4));
    pair.a.write(id, b"and the rest");
    pair.a.send(id).finish().unwrap();
    pair.run();
    assert_eq!(pair.a.events(), [StreamEvent::Delivered(id), StreamEvent::Acked(id)]);
    assert_eq!(pair.a.streams.count(), 0);
}

/// A sliver at the end of a packet costs more than it carries: of what is longer, 32 bytes at
/// least.
#[test]
fn no_sliver_is_cut_for_the_end_of_a_packet() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.run();
    pair.a.send(id).write(Bytes::from(vec![1; 1_000])).unwrap();
    let (capacity, packet) =
        (1..99).find_map(|room| Some((room, pair.a.packet_of(room)?))).expect("some room does");
    let [SentFrame::Stream { range, .. }] = &packet.receipts[..] else { panic!("{packet:?}") };
    assert_eq!(range.end - range.start, 32);
    assert_eq!(packet.payload.len(), capacity);
    // What is no longer than that is sent whole.
    let short = pair.a.uni();
    pair.run();
    pair.a.write(short, b"a few");
    let packet = (1..99).find_map(|room| pair.a.packet_of(room)).expect("some room does");
    assert!(matches!(&packet.receipts[..], [SentFrame::Stream { range, .. }] if *range == (0..5)));
}

/// A STOP of what was reset here already says nothing new.
///
/// spec: R-FIG-5
#[test]
fn a_stream_that_was_given_up_here_is_not_stopped_there() {
    let mut pair = Pair::new();
    let id = pair.b.open(Dir::Bi, plain()).unwrap();
    pair.run();
    pair.b.send(id).reset(AppCode(7));
    pair.b.take(&stop(id, StreamCode::Refused.app()));
    let errors = pair.b.streams.stats().errors;
    assert_eq!((errors.of(StreamCode::Refused), errors.application()), (0, 0));
    assert_eq!(pair.b.send(id).stopped(), None);
}

/// A body goes out whole in the least room that holds it with its head.
#[test]
fn what_fits_to_the_byte_goes() {
    let whole = |len: usize, room: usize| {
        let mut pair = Pair::new();
        let id = pair.a.uni();
        pair.run();
        pair.a.send(id).write(Bytes::from(vec![1; len])).unwrap();
        let packet = pair.a.packet_of(room)?;
        let [SentFrame::Stream { range, .. }] = &packet.receipts[..] else { return None };
        (range.end == len as u64).then_some(packet.payload.len())
    };
    for len in [1, 2, 5, 31, 32, 33, 1_000] {
        let least = (len..len + 9).find(|room| whole(len, *room).is_some()).expect("it fits");
        assert_eq!(whole(len, least), Some(least), "{len}");

        assert_eq!(least - len, 2 + varint::len(len as u64), "{len}: type, stream, length");
    }
}

/// Bytes that will never come are known of until a reader has passed them.
#[test]
fn what_lacks_bytes_says_so_until_they_are_passed() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.write(id, b"01");
    pair.run();
    assert!(!pair.b.recv(id).lacks_bytes());
    pair.a.send(id).skip(2..6).unwrap();
    pair.a.write(id, b"67");
    pair.run();
    let mut stream = pair.b.recv(id);
    assert!(stream.lacks_bytes());
    for offset in [0, 6] {
        assert_eq!(stream.read_chunk(9).unwrap().unwrap().offset, offset);
    }
    assert!(!stream.lacks_bytes(), "they were passed");
}

/// spec: R-SHP-3
#[test]
fn the_class_of_a_frame_is_that_of_its_stream() {
    let mut pair = Pair::new();
    let id = pair.a.open(Dir::Uni, plain().with_priority(Priority::Bulk)).unwrap();
    pair.a.write(id, b"bulk");
    pair.run();
    assert_eq!(pair.b.streams.heard(), Priority::Bulk);
}

/// Its final size may lie above all that was written and sent.
///
/// spec: R-STR-12
#[test]
fn a_reset_behind_an_end_keeps_the_final_size() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    assert_eq!(pair.a.send(id).write_at(2, Bytes::from_static(b"x")), Ok(1));
    pair.a.send(id).finish_at(10).unwrap();
    pair.run();
    assert_eq!(pair.b.recv(id).final_size(), Some(10));
    pair.a.send(id).reset(AppCode(7));
    pair.run();
    assert_eq!(pair.b.read(id).1, Err(ReadError::Reset { code: AppCode(7), hop: 0 }));
}
