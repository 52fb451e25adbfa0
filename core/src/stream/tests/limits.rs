//! What a peer can make grow, at its bound and above it.

use super::*;

/// A send buffer of 10,000 bytes.
const SMALL: StreamConfig =
    StreamConfig { send_buffer: 10_000, buffer: 1 << 20, timeout: None, stuck_timeout: None };
use crate::fingerprint::Fingerprint;
use crate::flow::{RecvLimits, range_limit};

/// spec: R-STR-2
#[test]
fn streams_at_the_limit_and_above() {
    for dir in [Dir::Bi, Dir::Uni] {
        let mut pair = Pair::new();
        let initial = pair.b.recv.initial();
        let limit = match dir {
            Dir::Bi => initial.max_streams_bidi,
            Dir::Uni => initial.max_streams_uni,
        };
        for _ in 0..limit {
            pair.a.open(dir, plain()).unwrap();
        }
        assert_eq!(pair.a.open(dir, plain()), Err(OpenError::Blocked));
        assert_eq!(pair.a.events(), []);
        pair.run();
        assert_eq!(std::iter::from_fn(|| pair.b.streams.accept()).count() as u64, limit);
        // Whoever tries the budget again before that is noticed does not take it away.
        let (streams, mut account) = pair.a.account();
        streams.top_up(&mut account);
        // STREAMS_BLOCKED had the peer allow more.
        assert!(pair.a.events().contains(&StreamEvent::Available(dir)));
        assert!(pair.a.open(dir, plain()).is_ok());
    }
    let mut pair = Pair::new();
    let limit = pair.b.recv.initial().max_streams_uni;
    let last = peer(Dir::Uni, limit - 1);
    assert_eq!(pair.b.frame(&data(last, 0, b"x", false)), Ok(Accepted::Yes));
    let beyond = peer(Dir::Uni, limit);
    assert_eq!(code(pair.b.frame(&open_frame(beyond))), TransportCode::StreamLimit);
}

#[test]
fn news_of_more_streams_stays_until_it_is_heard() {
    for dir in [Dir::Bi, Dir::Uni] {
        let mut pair = Pair::new();
        let use_up = |pair: &mut Pair| while pair.a.open(dir, plain()).is_ok() {};
        use_up(&mut pair);
        pair.run();
        use_up(&mut pair);
        let (streams, mut account) = pair.a.account();
        streams.top_up(&mut account);
        assert!(pair.a.events().contains(&StreamEvent::Available(dir)));
    }
}

#[test]
fn word_that_streams_ran_out_is_said_again_if_it_was_lost() {
    let mut pair = Pair::new();
    while pair.a.open(Dir::Uni, plain()).is_ok() {}
    let packets: Vec<Packet> = std::iter::from_fn(|| pair.a.packet()).collect();
    let says = |packet: &Packet| {
        packet.receipts.iter().any(|frame| matches!(frame, SentFrame::StreamsBlocked(..)))
    };
    let lost = packets.iter().find(|packet| says(packet)).expect("it was said");
    pair.a.settle(&lost.receipts, false);
    assert!(pair.a.packet().is_some_and(|packet| says(&packet)));
}

/// Reliability 55: no frame gets around the check.
///
/// spec: R-STR-2
#[test]
fn every_frame_meets_the_same_check_of_its_id() {
    let target = CreditTarget::Stream;
    let all = |id: StreamId| {
        let sender = [
            open_frame(id),
            data(id, 0, b"x", false),
            Frame::Skip { id, range: 0..1 },
            reset(id, 0, 0),
            Frame::StreamDataBlocked { id, limit: 0 },
            Frame::CreditReturned { target: target(id), total: 0 },
        ];
        let receiver = [
            Frame::Stop(StopFrame { id, code: AppCode(0), hop: 0 }),
            Frame::MaxStreamData { id, limit: 1 },
            Frame::CreditRecall { target: target(id), total: 1 },
        ];
        (sender, receiver)
    };
    let refused = |frame: &Frame<'_>| {
        let mut pair = Pair::new();
        let (before, code) = (pair.b.recv.held(), code(pair.b.frame(frame)));
        assert_eq!((pair.b.streams.count(), pair.b.recv.held()), (0, before));
        code
    };
    // Far beyond the limit.
    let (sender, receiver) = all(peer(Dir::Bi, (1 << 60) - 1));
    for frame in sender.iter().chain(&receiver) {
        assert_eq!(refused(frame), TransportCode::StreamLimit, "{frame:?}");
    }
    // Ours, and never opened.
    let (sender, receiver) = all(StreamId::new(Side::Responder, Dir::Bi, 0));
    for frame in sender.iter().chain(&receiver) {
        assert_eq!(refused(frame), TransportCode::StreamState, "{frame:?}");
    }
    // Against the direction of a one-way stream.
    let (_, receiver) = all(peer(Dir::Uni, 0));
    let (sender, _) = all(StreamId::new(Side::Responder, Dir::Uni, 0));
    for frame in sender.iter().chain(&receiver) {
        assert_eq!(refused(frame), TransportCode::StreamState, "{frame:?}");
    }
    // OPEN for a stream that we opened.
    let mut pair = Pair::new();
    let id = pair.b.open(Dir::Bi, plain()).unwrap();
    assert_eq!(code(pair.b.frame(&open_frame(id))), TransportCode::StreamState);
}

/// Reliability 54: a sender that ignores windows.
///
/// spec: R-STR-27
#[test]
fn a_byte_beyond_the_stream_credit_closes() {
    let id = peer(Dir::Uni, 0);
    let limit = Pair::new().b.recv.initial().max_stream_data;
    let mut pair = Pair::new();
    pair.b.take(&data(id, limit - 1, b"x", false));
    let mut pair = Pair::new();
    let beyond = [
        data(id, limit, b"x", false),
        data(id, limit + 1, b"", true),
        data(id, SendBuffer::MAX_OFFSET - 1, b"x", true),
        reset(id, limit + 1, 0),
        Frame::Skip { id, range: 0..limit + 1 },
    ];
    for frame in beyond {
        assert_eq!(code(pair.b.frame(&frame)), TransportCode::FlowControl, "{frame:?}");
        assert!(pair.b.streams.held() <= STREAM_RECORD);
    }
}

/// spec: R-STR-20, R-STR-27
#[test]
fn a_sender_stops_at_credit_and_says_so_once() {
    let mut pair = Pair::new();
    let limit = pair.b.recv.initial().max_stream_data;
    let id = pair.a.uni();
    pair.a.send(id).write(Bytes::from(vec![1; 200_000])).unwrap();
    let packets: Vec<Packet> = std::iter::from_fn(|| pair.a.packet()).collect();
    let frames = || packets.iter().flat_map(|packet| &packet.receipts);
    let highest = frames().filter_map(|frame| match frame {
        SentFrame::Stream { range, .. } => Some(range.end),
        _ => None,
    });
    assert_eq!(highest.max(), Some(limit));
    let blocked = SentFrame::StreamDataBlocked(id, limit);
    assert_eq!(frames().filter(|frame| **frame == blocked).count(), 1);
    assert!(pair.a.send(id).is_blocked_by_credit());
    // What was lost goes again without any credit.
    pair.a.settle(&packets[0].receipts, false);
    assert!(matches!(
        pair.a.packet().unwrap().receipts[..],
        [SentFrame::Open(_), SentFrame::Stream { .. }]
    ));
}

/// Reliability 58: a lost raise is repaired; an older one changes nothing.
///
/// spec: R-STR-27
#[test]
fn a_lost_window_update_is_repaired() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.send(id).write(Bytes::from(vec![1; 500_000])).unwrap();
    let mut received = 0;
    for round in 0.. {
        assert!(round < 1000, "it never ends");
        while pair.step_a() {}
        received += pair.b.read(id).0.len();
        if received == 500_000 {
            break;
        }
        // The first copy of each raise is lost.
        while let Some(lost) = pair.b.packet() {
            pair.b.settle(&lost.receipts, false);
            if round % 2 == 0 {
                let again = pair.b.packet().expect("what was lost is due again");
                assert_eq!(pair.a.receive(&again), Ok(true));
                pair.b.settle(&again.receipts, true);
            } else {
                break;
            }
        }
    }
    let before = pair.a.send(id).room();
    assert_eq!(pair.a.frame(&Frame::MaxStreamData { id, limit: 0 }), Ok(Accepted::Yes));
    let most = Frame::MaxStreamData { id, limit: SendBuffer::MAX_OFFSET };
    assert_eq!(pair.a.frame(&most), Ok(Accepted::Yes));
    assert_eq!(pair.a.send(id).room(), before);
}

/// Reliability 57: a reader that never reads stops its own sender and nobody else.
///
/// spec: R-STR-27
#[test]
fn a_reader_that_never_reads_holds_up_only_its_stream() {
    let mut pair = Pair::with(2 * 1024 * 1024, StreamConfig::default());
    let stuck = pair.a.uni();
    let flowing = pair.a.uni();
    let mut held = vec![];
    let mut received = 0;
    for _ in 0..200 {
        _ = pair.a.send(stuck).write(Bytes::from(vec![1; 20_000]));
        _ = pair.a.send(flowing).write(Bytes::from(vec![2; 20_000]));
        pair.run();
        received += pair.b.read(flowing).0.len();
        held.push(pair.b.recv.held());
    }
    assert!(received > 1_000_000, "{received}");
    assert_eq!(held[50], held[199], "memory is flat");
    assert!(pair.a.send(stuck).held() <= 1024 * 1024);
}

/// Reliability 35 and 41, lesson 50.
///
/// spec: R-STR-22, R-STR-23, R-STR-24
#[test]
fn bytes_with_gaps_between_are_refused_at_the_range_limit() {
    let mut pair = Pair::new();
    let id = peer(Dir::Uni, 0);
    pair.b.take(&open_frame(id));
    let limit =
        range_limit(pair.b.recv.initial().max_stream_data, RecvLimits::default().stream_ranges);
    assert_eq!(limit, 1000);
    for n in 0..limit {
        assert_eq!(pair.b.frame(&data(id, 1 + 2 * n, b"x", false)), Ok(Accepted::Yes));
    }
    let beyond = data(id, 1 + 2 * limit, b"x", false);
    assert_eq!(pair.b.frame(&beyond), Ok(Accepted::TooFragmented));
    let skip = Frame::Skip { id, range: 1 + 2 * limit..2 + 2 * limit };
    assert_eq!(pair.b.frame(&skip), Ok(Accepted::TooFragmented));
    let held = pair.b.streams.held();
    assert!(held < 2 * 16 * 1024 + 1001 * 2 * RANGE_OVERHEAD + STREAM_RECORD, "{held}");
    // What joins is taken, and makes room for one more.
    assert_eq!(pair.b.frame(&data(id, 2, b"y", false)), Ok(Accepted::Yes));
    assert_eq!(pair.b.frame(&beyond), Ok(Accepted::Yes));
    // The first copy stays, whatever a later one says.
    assert_eq!(pair.b.frame(&data(id, 0, b"0123", false)), Ok(Accepted::Yes));
    assert_eq!(pair.b.recv(id).read_chunk(4).unwrap().unwrap().data, &b"0xyx"[..]);
}

/// More pieces with gaps between than any receiver keeps apart: they wait with their sender, and go
/// as gaps are filled, in whatever order they were written and sent.
///
/// spec: R-STR-45
#[test]
fn pieces_above_too_many_gaps_wait_for_some_to_be_filled() {
    const PIECES: u64 = 3_000;
    let upwards = |n| n;
    let downwards = |n| PIECES - 1 - n;
    let about = |n: u64| n * 1_009 % PIECES;
    let orders: [fn(u64) -> u64; 3] = [upwards, downwards, about];
    for (order, skips) in orders.into_iter().zip([true, false, true]).chain([(upwards as _, false)])
    {
        let mut pair = Pair::new();
        let id = pair.a.open(Dir::Uni, plain()).unwrap();
        for n in 0..PIECES {
            let at = 2 * order(n) + 1;
            let mut stream = pair.a.send(id);
            match skips && order(n) % 2 == 1 {
                true => stream.skip(at..at + 1).unwrap(),
                false => assert_eq!(stream.write_at(at, Bytes::from_static(b"o")), Ok(1)),
            }
            if n % 50 == 49 {
                pair.run();
            }
        }
        assert_eq!(pair.b.streams.accept(), Some(id));
        let mut offset = 0;
        for n in 0..PIECES {
            assert_eq!(pair.a.send(id).write_at(2 * n, Bytes::from_static(b"e")), Ok(1));
            if n % 100 == 99 {
                pair.run();
                // What is skipped counts over there until a reader has passed it.
                while let Ok(Some(chunk)) = pair.b.recv(id).read_chunk(usize::MAX) {
                    offset = chunk.offset + chunk.data.len() as u64;
                }
            }
        }
        let end = if skips { 2 * PIECES - 1 } else { 2 * PIECES };
        assert_eq!(offset, end);
        pair.a.send(id).finish().unwrap();
        pair.run();
        assert_eq!(pair.b.recv(id).read_chunk(1), Ok(None));
    }
}

/// A byte and nothing for the next, over and over: no gap is left, and still it is many ranges.
///
/// spec: R-STR-23, R-FLOW-13
#[test]
fn skipped_ranges_count_until_they_are_passed() {
    let mut pair = Pair::new();
    let id = peer(Dir::Uni, 0);
    pair.b.take(&open_frame(id));
    let skip = |n: u64| Frame::Skip { id, range: 2 * n + 1..2 * n + 2 };
    let limit = RecvLimits::default().stream_ranges;
    for n in 0..limit - 1 {
        pair.b.take(&data(id, 2 * n, b"x", false));
        assert_eq!(pair.b.frame(&skip(n)), Ok(Accepted::Yes), "{n}");
    }
    pair.b.take(&data(id, 2 * limit - 2, b"x", false));
    assert_eq!(pair.b.frame(&skip(limit - 1)), Ok(Accepted::TooFragmented));
    // What continues one is taken, and so is one more when another was passed.
    let twice = Frame::Skip { id, range: 2 * limit..2 * limit + 1 };
    let at = |offset| Frame::Skip { id, range: offset..offset + 1 };
    assert_eq!(pair.b.frame(&twice), Ok(Accepted::TooFragmented));
    let mut stream = pair.b.recv(id);
    assert_eq!(stream.read_chunk(9).unwrap().unwrap().offset, 0);
    assert_eq!(stream.read_chunk(9).unwrap().unwrap().offset, 2);
    drop(stream);
    assert_eq!(pair.b.frame(&at(2 * limit - 1)), Ok(Accepted::Yes));
    assert_eq!(pair.b.frame(&at(2 * limit)), Ok(Accepted::Yes));
    assert_eq!(pair.b.frame(&at(2 * limit + 2)), Ok(Accepted::TooFragmented));
}

/// Ranges are paid for in steps, and a SKIP within a gap opens two.
///
/// spec: R-STR-23, R-FLOW-13
#[test]
fn a_skip_that_opens_two_ranges_is_taken_wherever_a_step_ends() {
    let limit = RecvLimits::default().stream_ranges;
    for below in [0, 1] {
        let mut pair = Pair::new();
        let id = peer(Dir::Uni, 0);
        pair.b.take(&open_frame(id));
        let (mut kept, mut at) = (0, 1);
        if below == 1 {
            pair.b.take(&data(id, at, b"x", false));
            (kept, at) = (1, 3);
        }
        while kept + 2 <= limit {
            let skip = Frame::Skip { id, range: at..at + 1 };
            assert_eq!(pair.b.frame(&skip), Ok(Accepted::Yes), "above {kept}");
            (kept, at) = (kept + 2, at + 2);
        }
    }
}

/// However many ranges wait above a gap, word that fills it is taken: all else would wait forever.
///
/// spec: R-STR-23, R-FLOW-13
#[test]
fn what_a_reader_stands_at_may_always_be_skipped() {
    let mut pair = Pair::new();
    let id = peer(Dir::Uni, 0);
    pair.b.take(&open_frame(id));
    let skip = |pair: &mut Pair, range| pair.b.frame(&Frame::Skip { id, range });
    let limit = RecvLimits::default().stream_ranges;
    for n in 0..limit / 2 {
        assert_eq!(skip(&mut pair, 100 + 2 * n..101 + 2 * n), Ok(Accepted::Yes), "{n}");
    }
    assert_eq!(skip(&mut pair, 50..51), Ok(Accepted::TooFragmented));
    assert_eq!(skip(&mut pair, 0..5), Ok(Accepted::Yes));
    assert_eq!(skip(&mut pair, 5..9), Ok(Accepted::Yes), "it continues what is skipped");
    pair.b.take(&data(id, 9, b"x", false));
    assert_eq!(
        skip(&mut pair, 10..11),
        Ok(Accepted::TooFragmented),
        "there is something to pass first"
    );
    assert_eq!(pair.b.recv(id).read_chunk(9).unwrap().unwrap().offset, 9);
    assert_eq!(skip(&mut pair, 10..11), Ok(Accepted::Yes));
}

/// Lesson 50: a fragment and silence, as often as a peer likes.
///
/// spec: R-STR-2, R-STR-34
#[test]
fn streams_of_one_byte_end_at_the_count() {
    let mut pair = Pair::new();
    let mut opened = 0;
    let error = loop {
        match pair.b.frame(&data(peer(Dir::Bi, opened), 0, b"x", false)) {
            Ok(_) => opened += 1,
            Err(violation) => break violation,
        }
    };
    assert_eq!(error.code, TransportCode::StreamLimit);
    assert_eq!(opened, pair.b.recv.initial().max_streams_bidi);
    let each = STREAM_RECORD + MIN_BLOCK as u64 + BLOCK_OVERHEAD + 3 * RANGE_OVERHEAD;
    assert!(pair.b.streams.held() <= opened * each);
    assert_eq!(pair.b.recv.held(), opened * (STREAM_RECORD + 1), "records are charged");
}

/// Reliability 56: open and reset, over and over.
///
/// spec: R-STR-16, R-STR-34
#[test]
fn rapid_resets_gain_nothing() {
    let mut pair = Pair::new();
    let mut next = 0;
    // Nobody accepts: the peer comes to its limit, since none of its streams is over.
    let error = loop {
        let id = peer(Dir::Uni, next);
        let frames = [open_frame(id), data(id, 0, b"x", false), reset(id, 1, 0)];
        match frames.iter().try_for_each(|frame| pair.b.frame(frame).map(|_| ())) {
            Ok(()) => next += 1,
            Err(violation) => break violation,
        }
    };
    assert_eq!(error.code, TransportCode::StreamLimit);
    // With an application that accepts, memory stays where it was.
    let mut pair = Pair::new();
    let before = (pair.b.streams.held(), pair.b.recv.held());
    for n in 0..100_000 {
        let id = peer(Dir::Uni, n);
        for frame in [open_frame(id), data(id, 0, b"x", false), reset(id, 1, 0)] {
            assert_eq!(pair.b.frame(&frame), Ok(Accepted::Yes));
        }
        assert_eq!(pair.b.streams.accept(), Some(id));
        assert!(pair.b.read(id).1.is_err());
        if n % 10 == 0 {
            pair.b.events();
        }
        assert_eq!((pair.b.streams.held(), pair.b.recv.held()), before);
    }
    assert!(pair.b.streams.news.len() <= 100 && pair.b.streams.announced.is_empty());
}

/// spec: R-STR-21
#[test]
fn a_write_is_taken_as_far_as_there_is_room() {
    let mut pair = Pair::with(64 * 1024 * 1024, SMALL);
    let id = pair.a.uni();
    let room = 10_000 - CHUNK_OVERHEAD as usize;
    assert_eq!(pair.a.send(id).room(), room as u64);
    assert_eq!(pair.a.send(id).write(Bytes::from(vec![1; 20_000])), Ok(room));
    assert_eq!(pair.a.send(id).held(), 10_000);
    assert_eq!(pair.a.send(id).write(Bytes::from(vec![1; 1])), Err(WriteError::Blocked));
    assert_eq!(pair.a.send(id).write(Bytes::new()), Ok(0));
    let packets: Vec<Packet> = std::iter::from_fn(|| pair.a.packet()).collect();
    assert_eq!(pair.a.events(), []);
    // A quarter of the buffer is worth an event.
    for packet in &packets {
        assert_eq!(pair.b.receive(packet), Ok(true));
        pair.a.settle(&packet.receipts, true);
        let news = pair.a.events();
        assert!(news.is_empty() || pair.a.send(id).room() >= 2400, "{news:?}");
        if news == [StreamEvent::Writable(id)] {
            return;
        }
    }
    panic!("room, and nobody heard of it");
}

/// spec: R-STR-21
#[test]
fn tiny_writes_are_not_free_and_gaps_are_always_filled() {
    let mut pair = Pair::with(64 * 1024 * 1024, SMALL);
    let id = pair.a.uni();
    let tiny = (0..).take_while(|_| pair.a.send(id).write(Bytes::from_static(b"x")).is_ok());
    assert_eq!(tiny.count() as u64, 10_000 / (1 + CHUNK_OVERHEAD));
    let id = pair.a.uni();
    assert!(pair.a.send(id).write_at(5000, Bytes::from(vec![1; 20_000])).is_ok());
    assert_eq!(pair.a.send(id).write(Bytes::from_static(b"x")), Err(WriteError::Blocked));
    // The rest waits for these, so they are taken though the buffer is full.
    assert_eq!(pair.a.send(id).write_at(0, Bytes::from(vec![1; 5000])), Ok(5000));
}

/// Lesson 33: who is blocked costs nothing.
///
/// spec: R-STR-33
#[test]
fn blocked_streams_are_in_no_list() {
    let mut pair = Pair::new();
    let mut ids = vec![];
    while let Ok(id) = pair.a.open(Dir::Uni, plain()) {
        pair.a.send(id).write(Bytes::from(vec![1; 100_000])).unwrap();
        ids.push(id);
    }
    assert!(ids.len() > 20);
    while let Some(packet) = pair.a.packet() {
        assert_eq!(pair.b.receive(&packet), Ok(true));
    }
    assert!(!pair.a.streams.may_write(&pair.a.send));
    assert!(pair.a.streams.scheduler.is_empty() && pair.a.streams.control.is_empty());
    // One that may go on is the only one in turn.
    let raise = Frame::MaxStreamData { id: ids[7], limit: 50_000 };
    assert_eq!(pair.a.frame(&raise), Ok(Accepted::Yes));
    let first = pair.a.streams.scheduler.front(Priority::Normal);
    assert_eq!(first.map(|(id, _)| id), Some(ids[7]));
}

/// The connection's credit holds up streams that have their own; they go on when it is raised.
///
/// spec: R-STR-27
#[test]
fn streams_wait_for_the_connection_without_a_turn() {
    let mut pair = Pair::new();
    pair.a.send = SendCredit::new(CreditTarget::Connection, 1500);
    let ids = [pair.a.uni(), pair.a.uni()];
    for id in ids {
        pair.a.send(id).write(Bytes::from(vec![1; 1000])).unwrap();
        pair.a.send(id).finish().unwrap();
    }
    while pair.step_a() {}
    assert!(!pair.a.streams.may_write(&pair.a.send));
    assert_eq!(pair.a.send.available(), 0);
    pair.a.send.on_max(2000);
    assert!(pair.a.streams.may_write(&pair.a.send));
    while pair.step_a() {}
    assert_eq!(pair.a.events(), ids.map(StreamEvent::Delivered));
}

/// Reliability 36: copies that differ.
///
/// spec: R-STR-22
#[test]
fn the_first_copy_of_a_byte_wins() {
    let mut assembler = Assembler::new();
    assert_eq!(assembler.insert(2, b"BBB", 100), Inserted::Fresh(3));
    assert_eq!(assembler.insert(0, b"aaaaaaaa", 100), Inserted::Fresh(5));
    assert_eq!(assembler.insert(0, b"cccccccc", 100), Inserted::Fresh(0));
    let text: Vec<u8> = std::iter::from_fn(|| assembler.read(3)).flat_map(|c| c.data).collect();
    assert_eq!(text, b"aaBBBaaa");
}

/// All that a receiver is: its streams, its credit and the pool.
fn state(end: &End) -> [u8; 32] {
    (&end.streams, &end.recv, &end.budget).fingerprint()
}

/// Lesson 39: bytes come again that were read, whole and in part, as they were or as others. The
/// receiver is what it was, and goes on where it stood.
///
/// spec: R-STR-22
#[test]
fn what_comes_again_below_the_reader_changes_nothing() {
    let mut pair = Pair::new();
    let id = peer(Dir::Uni, 0);
    pair.b.take(&open_frame(id));
    pair.b.take(&data(id, 0, b"0123456789", false));
    pair.b.take(&data(id, 12, b"cd", false));
    assert_eq!(pair.b.read(id), (b"0123456789".to_vec(), Err(ReadError::Blocked)));
    pair.b.events();
    let before = state(&pair.b);
    let old: [(u64, &[u8]); 6] =
        [(0, b"0123456789"), (0, b"0"), (9, b"9"), (3, b"xxx"), (0, b"xxxxxxxxxx"), (12, b"xx")];
    for (offset, bytes) in old.into_iter().cycle().take(600) {
        pair.b.take(&data(id, offset, bytes, false));
        assert_eq!(pair.b.events(), [], "{offset}");
        assert!(state(&pair.b) == before, "{} bytes at {offset} changed something", bytes.len());
    }
    // Of what overlaps only the new part counts.
    pair.b.take(&data(id, 5, b"xxxxxabxxef", false));
    assert_eq!(pair.b.read(id), (b"abcdef".to_vec(), Err(ReadError::Blocked)));
    pair.b.take(&data(id, 16, b"", true));
    assert_eq!(pair.b.read(id), (vec![], Ok(())));
    pair.b.events();
    // Nor does it when the stream is over.
    let over = state(&pair.b);
    for (offset, bytes) in old {
        pair.b.take(&data(id, offset, bytes, false));
        assert_eq!((pair.b.events(), pair.b.streams.count()), (vec![], 0));
        assert!(state(&pair.b) == over, "{} bytes at {offset} changed something", bytes.len());
    }
}

/// spec: R-STR-24, R-STR-30, R-STR-40
#[test]
fn sizes_are_those_of_the_chapter() {
    assert_eq!((MIN_BLOCK, MAX_BLOCK, QUANTUM), (1_024, 16_384, 4_096));
    assert_eq!(StreamConfig::default().buffer, 10_485_760);
    assert_eq!(SendBuffer::MAX_OFFSET, 4_611_686_018_427_387_903);
}

/// spec: R-STR-24
#[test]
fn blocks_grow_with_the_body() {
    let mut assembler = Assembler::new();
    assert_eq!(assembler.insert(0, b"x", 100), Inserted::Fresh(1));
    assert!(assembler.held() <= MIN_BLOCK as u64 + BLOCK_OVERHEAD + 2 * RANGE_OVERHEAD);
    let mut at = 1u64;
    while at < 1_000_000 {
        assert_eq!(assembler.insert(at, &[1; 1200], 100), Inserted::Fresh(1200));
        at += 1200;
        while assembler.read(usize::MAX).is_some() {}
        assert!(assembler.held() <= MAX_BLOCK as u64 + BLOCK_OVERHEAD + 2 * RANGE_OVERHEAD);
    }
    // A small body with its end takes what it needs.
    let mut assembler = Assembler::new();
    assembler.set_end(64);
    assert_eq!(assembler.insert(0, &[1; 64], 100), Inserted::Fresh(64));
    assert_eq!(assembler.held(), 64 + BLOCK_OVERHEAD + 2 * RANGE_OVERHEAD);
}

/// What came, what waits, and what is remembered as an arrival.
///
/// spec: R-STR-24
#[test]
fn every_range_is_charged_wherever_it_is_kept() {
    let mut assembler = Assembler::new();
    assembler.set_end(64);
    assert_eq!(assembler.insert(0, b"x", 100), Inserted::Fresh(1));
    assert!(assembler.take_any(1).is_some());
    let before = assembler.held();
    for offset in [10, 20, 30] {
        assert_eq!(assembler.insert(offset, b"x", 100), Inserted::Fresh(1));
    }
    assert_eq!(assembler.held() - before, (3 + 3 + 3) * RANGE_OVERHEAD);
}

/// The same id on two connections.
#[test]
fn connections_know_nothing_of_each_other() {
    let (mut one, mut two) = (Pair::new(), Pair::new());
    let id = peer(Dir::Uni, 0);
    for (pair, text) in [(&mut one, b"one"), (&mut two, b"two")] {
        pair.b.take(&open_frame(id));
        pair.b.take(&data(id, 0, text, true));
    }
    assert_eq!(one.b.read(id), (b"one".to_vec(), Ok(())));
    assert_eq!(two.b.read(id), (b"two".to_vec(), Ok(())));
}

/// spec: R-STR-28
#[test]
fn credit_is_given_back_when_asked_for() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.write(id, b"0123");
    pair.run();
    let target = CreditTarget::Stream(id);
    let before = pair.a.streams.table.get(id).unwrap().send.as_ref().unwrap().credit.limit();
    pair.a.take(&Frame::CreditRecall { target, total: 1000 });
    let answer = pair.a.packet().unwrap();
    assert_eq!(answer.receipts, [SentFrame::CreditReturned(target, 1000)]);
    assert_eq!(
        pair.a.streams.table.get(id).unwrap().send.as_ref().unwrap().credit.limit(),
        before - 1000
    );
    // Nobody asked: giving back is a violation.
    assert_eq!(pair.b.receive(&answer).unwrap_err().code, TransportCode::FlowControl);
}

/// Whoever was given up owes answers while its RESET waits for what it promises.
///
/// spec: R-STR-28
#[test]
fn credit_is_given_back_while_a_promise_waits() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.write(id, b"0123");
    pair.run();
    let credit =
        |pair: &Pair| pair.a.streams.table.get(id).unwrap().send.as_ref().unwrap().credit.limit();
    let before = credit(&pair);
    pair.a.send(id).write(Bytes::from(vec![7; before as usize])).unwrap();
    pair.a.send(id).reset_after(AppCode(1), 0, u64::MAX);
    let target = CreditTarget::Stream(id);
    pair.a.take(&Frame::CreditRecall { target, total: 1000 });
    let sent = |pair: &mut Pair| -> Vec<SentFrame> {
        std::iter::from_fn(|| pair.a.packet()).flat_map(|packet| packet.receipts).collect()
    };
    let answered = sent(&mut pair);
    assert!(answered.contains(&SentFrame::CreditReturned(target, 1000)), "{answered:?}");
    let blocked = SentFrame::StreamDataBlocked(id, before);
    assert!(answered.contains(&blocked), "what it promises waits: {answered:?}");
    pair.a.take(&Frame::MaxStreamData { id, limit: before + 1004 });
    let ended = sent(&mut pair);
    assert!(ended.contains(&SentFrame::Reset(id)), "{ended:?}");
    // From now on the final size says what is owed.
    pair.a.take(&Frame::CreditRecall { target, total: 1001 });
    assert_eq!(sent(&mut pair), []);
}

/// STOP takes a promise back that waits for credit: nobody would take what it is about.
///
/// spec: R-STR-13
#[test]
fn a_stop_ends_what_a_promise_waits_for() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.write(id, b"0123");
    pair.run();
    pair.a.send(id).write(Bytes::from(vec![7; 1 << 19])).unwrap();
    pair.a.send(id).reset_after(AppCode(1), 0, u64::MAX);
    pair.run();
    pair.b.recv(id).stop(AppCode(2));
    pair.run();
    assert_eq!((pair.a.streams.count(), pair.b.streams.count()), (0, 0));
    let told = pair.a.events();
    let stopped = |event: &StreamEvent| matches!(event, StreamEvent::Stopped { .. });
    assert!(!told.iter().any(stopped), "it gave up itself: {told:?}");
}

/// spec: R-FRM-20
#[test]
fn no_distance_is_longer_than_can_be_said() {
    let mut pair = Pair::new();
    let (up, down) = (pair.a.uni(), pair.b.uni());
    pair.b.write(down, b"x");
    pair.run();
    pair.a.send(up).reset_after(AppCode(1), 300, 0);
    pair.a.recv(down).stop_after(AppCode(2), u64::MAX);
    let packet = pair.a.packet().unwrap();
    let hops: Vec<_> = frames(&packet.payload)
        .filter_map(|frame| match frame.expect("it can be read") {
            Frame::Reset(reset) => Some(reset.hop),
            Frame::Stop(stop) => Some(stop.hop),
            _ => None,
        })
        .collect();
    assert_eq!(hops, [255, 255]);
}
