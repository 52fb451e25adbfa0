//! The rules of single streams, one by one.

use super::*;

/// Where both dial, one of them turns out to be who answered: before any stream.
///
/// spec: R-STR-1
#[test]
fn ids_are_of_the_role_that_an_end_has_in_the_end() {
    let mut pair = Pair::new();
    for (end, was, is) in [
        (&mut pair.a, Side::Initiator, Side::Responder),
        (&mut pair.b, Side::Responder, Side::Initiator),
    ] {
        end.streams.set_side(is);
        end.recv.set_side(is);
        for dir in [Dir::Bi, Dir::Uni] {
            assert_eq!(end.open(dir, plain()), Ok(StreamId::new(is, dir, 0)));
            end.take(&open_frame(StreamId::new(was, dir, 0)));
            let ours = end.frame(&open_frame(StreamId::new(is, dir, 5)));
            assert_eq!(code(ours), TransportCode::StreamState);
        }
    }
}

/// spec: R-STR-1
#[test]
fn ids_say_who_opened_and_which_way() {
    let mut pair = Pair::new();
    let ids = [
        pair.a.open(Dir::Bi, plain()).unwrap(),
        pair.b.open(Dir::Bi, plain()).unwrap(),
        pair.a.open(Dir::Uni, plain()).unwrap(),
        pair.b.open(Dir::Uni, plain()).unwrap(),
        pair.a.open(Dir::Bi, plain()).unwrap(),
    ];
    assert_eq!(ids.map(|id| id.0), [0, 1, 2, 3, 4]);
    assert!(pair.a.streams.send(ids[2]).is_some());
    let account =
        RecvAccount { credit: &mut pair.a.recv, budget: &mut pair.a.budget, now: pair.a.now };
    assert!(pair.a.streams.recv(ids[2], account).is_none(), "no answer on a one-way stream");
}

/// Lesson 34: the announcement is inside the stream.
///
/// spec: R-STR-3
#[test]
fn open_shares_its_packet_with_the_first_bytes() {
    let mut pair = Pair::new();
    let mut options = plain().with_head(&b"GET /"[..]).with_priority(Priority::Bulk);
    options.protocol = StreamProtocol::name("files/1");
    options.size = Some(5);
    options.digest = Some([7; 32]);
    options.hop_limit = Some(3);
    let id = pair.a.open(Dir::Uni, options.clone()).unwrap();
    pair.a.write(id, b"hello");
    pair.a.send(id).finish().unwrap();
    assert!(pair.step_a());
    assert!(!pair.step_a(), "one packet said it all");
    assert_eq!(pair.b.events(), [StreamEvent::Incoming, StreamEvent::Readable(id)]);
    assert_eq!(pair.b.streams.accept(), Some(id));
    assert_eq!(pair.b.streams.accept(), None);
    assert_eq!(pair.b.recv(id).info(), Some(&options));
    assert_eq!(pair.b.read(id), (b"hello".to_vec(), Ok(())));
    assert_eq!(pair.b.streams.count(), 0);
    assert_eq!(pair.a.events(), [StreamEvent::Delivered(id)]);
}

/// spec: R-STR-3
#[test]
fn a_full_introduction_fits_the_smallest_packet() {
    let mut pair = Pair::new();
    let mut options = plain().with_head(vec![1; 900]);
    options.protocol = StreamProtocol::Name(Bytes::from(vec![b'p'; 64]));
    options.digest = Some([1; 32]);
    options.size = Some(SendBuffer::MAX_OFFSET);
    options.start = 1 << 40;
    options.end = Some(SendBuffer::MAX_OFFSET);
    let id = pair.a.open(Dir::Uni, options.clone()).unwrap();
    assert_eq!(pair.a.send(id).write(Bytes::from(vec![5; 3000])), Ok(3000));
    pair.run();
    assert_eq!(pair.b.streams.info(id), Some(&options));
    // Lesson 51: what is declared allocates nothing.
    assert!(pair.b.streams.held() < 3000 + 4 * 1024);
    for bad in [
        plain().with_head(vec![1; 901]),
        OpenOptions { protocol: StreamProtocol::name(""), ..plain() },
        OpenOptions { protocol: StreamProtocol::Number(1 << 62), ..plain() },
        OpenOptions { start: 5, end: Some(4), ..plain() },
        OpenOptions { end: Some(1 << 62), ..plain() },
    ] {
        assert!(matches!(pair.a.open(Dir::Uni, bad), Err(OpenError::Invalid(_))));
    }
}

/// Lesson 35: late, repeated and in any order, the announcement counts once.
///
/// spec: R-STR-4, R-STR-5
#[test]
fn what_overtakes_open_is_kept_and_told_to_nobody() {
    let mut pair = Pair::new();
    let id = peer(Dir::Bi, 0);
    let frame = data(id, 0, b"early", true);
    assert_eq!(pair.b.frame(&frame), Ok(Accepted::Yes));
    let stop = StopFrame { id, code: AppCode(1), hop: 0 };
    assert_eq!(pair.b.events(), []);
    assert_eq!(pair.b.streams.accept(), None);
    let account =
        RecvAccount { credit: &mut pair.b.recv, budget: &mut pair.b.budget, now: pair.b.now };
    assert!(pair.b.streams.recv(id, account).is_none());
    for _ in 0..3 {
        assert_eq!(pair.b.frame(&open_frame(id)), Ok(Accepted::Yes));
    }
    assert_eq!(pair.b.events(), [StreamEvent::Incoming, StreamEvent::Readable(id)]);
    assert_eq!(pair.b.streams.accept(), Some(id));
    assert_eq!(pair.b.streams.accept(), None);
    assert_eq!(pair.b.read(id), (b"early".to_vec(), Ok(())));
    // A later OPEN is not even compared.
    let other = OpenFrame { head: b"other", ..OpenFrame::new(id, Protocol::Number(99)) };
    assert_eq!(pair.b.frame(&Frame::Open(other)), Ok(Accepted::Yes));
    assert_eq!(pair.b.streams.info(id), Some(&plain()));
    assert_eq!(pair.b.frame(&Frame::Stop(stop)), Ok(Accepted::Yes));
    assert_eq!(pair.b.events().len(), 1, "only the STOP is news");
    // A STOP may come first as well.
    let next = peer(Dir::Bi, 1);
    assert_eq!(pair.b.frame(&Frame::Stop(StopFrame { id: next, ..stop })), Ok(Accepted::Yes));
    assert_eq!(pair.b.frame(&open_frame(next)), Ok(Accepted::Yes));
    assert_eq!(pair.b.streams.accept(), Some(next));
    let write = pair.b.send(next).write(Bytes::from_static(b"x"));
    assert_eq!(write, Err(WriteError::Stopped { code: AppCode(1), hop: 0 }));
}

/// spec: R-STR-3, R-STR-14
#[test]
fn a_lost_open_comes_again_and_nothing_is_over_without_it() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    let lost = pair.a.packet().unwrap();
    pair.a.write(id, b"body");
    pair.a.send(id).finish().unwrap();
    assert!(pair.step_a(), "the body goes on its own");
    assert_eq!((pair.a.events(), pair.b.events()), (vec![], vec![]));
    assert_eq!(pair.a.streams.count(), 1, "delivered it is not");
    pair.a.settle(&lost.receipts, false);
    assert!(pair.step_a());
    assert_eq!(pair.a.events(), [StreamEvent::Delivered(id)]);
    assert_eq!(pair.b.read(id), (b"body".to_vec(), Ok(())));
}

/// spec: R-STR-6
#[test]
fn a_body_that_begins_later_is_introduced_in_each_packet() {
    let mut pair = Pair::new();
    let start = 1 << 40;
    let id = pair.a.open(Dir::Uni, OpenOptions { start, ..plain() }).unwrap();
    pair.a.send(id).write(Bytes::from(bytes(start..start + 3000, 0))).unwrap();
    pair.a.send(id).finish().unwrap();
    let packets: Vec<Packet> = std::iter::from_fn(|| pair.a.packet()).collect();
    assert_eq!(packets.len(), 3);
    // Each can be taken first.
    for packet in packets.iter().rev() {
        assert_eq!(pair.b.receive(packet), Ok(true));
    }
    assert_eq!(pair.b.streams.accept(), Some(id));
    let first = pair.b.recv(id).read_chunk(10).unwrap().unwrap();
    assert_eq!((first.offset, &first.data[..]), (start, &bytes(start..start + 10, 0)[..]));
    pair.b.recv(id).release(10);
    pair.a.settle(&packets[0].receipts, true);
    pair.a.settle(&packets[1].receipts, false);
    let again = pair.a.packet().unwrap();
    assert!(!again.receipts.contains(&SentFrame::Open(id)), "known by now");
    assert_eq!(
        pair.b.frame(&data(id, start - 1, b"xy", false)).map_err(|v| v.code),
        Err(TransportCode::StreamState)
    );
    // Credit counts from the start: the window is as large as ever.
    assert_eq!(pair.b.recv.held(), 2990 + STREAM_RECORD);
}

/// spec: R-STR-6
#[test]
fn bytes_outside_of_start_and_end_break_a_rule() {
    let id = peer(Dir::Uni, 0);
    let open = |start, end| {
        Frame::Open(OpenFrame { start, end, ..OpenFrame::new(id, Protocol::Number(64)) })
    };
    let mut pair = Pair::new();
    pair.b.take(&data(id, 0, b"0123", false));
    assert_eq!(code(pair.b.frame(&open(Some(2), None))), TransportCode::StreamState);
    let mut pair = Pair::new();
    pair.b.take(&data(id, 0, b"0123", false));
    assert_eq!(code(pair.b.frame(&open(None, Some(3)))), TransportCode::FinalSize);
    let mut pair = Pair::new();
    pair.b.take(&open(None, Some(4)));
    pair.b.take(&data(id, 0, b"0123", false));
    assert_eq!(code(pair.b.frame(&data(id, 4, b"4", false))), TransportCode::FinalSize);
    // The writer is held to them as well.
    let mut pair = Pair::new();
    let id = pair.a.open(Dir::Uni, OpenOptions { start: 5, end: Some(9), ..plain() }).unwrap();
    let mut stream = pair.a.send(id);
    assert_eq!(stream.write_at(4, Bytes::from_static(b"x")), Err(WriteError::OutOfBounds));
    assert_eq!(stream.write(Bytes::from_static(b"56789")), Err(WriteError::OutOfBounds));
    assert_eq!(stream.skip(5..10), Err(WriteError::OutOfBounds));
    assert_eq!(stream.finish_at(10), Err(WriteError::OutOfBounds));
    assert_eq!(stream.write(Bytes::from_static(b"5678")), Ok(4));
}

/// It needs no credit: what waits for that has no reader before.
///
/// spec: R-STR-3
#[test]
fn an_open_that_was_lost_is_said_again_while_the_body_waits_for_credit() {
    let mut pair = Pair::new();
    pair.a.send = SendCredit::new(CreditTarget::Connection, 1_000);
    let id = pair.a.uni();
    let open = pair.a.packet().unwrap();
    pair.a.write(id, &[7; 5_000]);
    assert!(pair.step_a());
    while pair.step_a() {}
    assert_eq!(pair.b.streams.accept(), None);
    pair.a.settle(&open.receipts, false);
    assert!(pair.step_a());
    assert_eq!(pair.b.streams.accept(), Some(id));
    assert_eq!(pair.b.read(id).0.len(), 1_000);
}

/// spec: R-STR-7
#[test]
fn a_reset_before_open_ends_the_stream_unheard() {
    let mut pair = Pair::new();
    let id = pair.a.open(Dir::Bi, plain()).unwrap();
    pair.a.write(id, b"never mind");
    let overtaken = pair.a.packet().unwrap();
    pair.a.send(id).reset(AppCode(4));
    assert!(pair.step_a());
    assert_eq!(pair.b.recv.held(), STREAM_RECORD, "no byte is charged any more");
    // What comes late means nothing, and the other direction is reset with the same code.
    assert_eq!(pair.b.receive(&overtaken), Ok(true));
    assert_eq!((pair.b.events(), pair.b.streams.accept()), (vec![], None));
    pair.a.settle(&overtaken.receipts, false);
    pair.run();
    assert_eq!(pair.b.streams.count(), 0);
    assert_eq!(pair.a.read(id), (vec![], Err(ReadError::Reset { code: AppCode(4), hop: 0 })));
    assert_eq!(pair.a.streams.count(), 0);
    assert_eq!(pair.b.receive(&overtaken), Ok(true));
    assert_eq!(pair.b.streams.count(), 0, "it does not come back");
}

/// Also if the packet is lost that says both.
///
/// spec: R-STR-6, R-STR-7
#[test]
fn a_stream_that_is_reset_at_once_is_introduced_before() {
    for (start, lost) in [(0, false), (5, false), (0, true), (5, true)] {
        let mut pair = Pair::new();
        let id = pair.a.open(Dir::Uni, OpenOptions { start, ..plain() }).unwrap();
        pair.a.send(id).reset(AppCode(4));
        if lost {
            let packet = pair.a.packet().unwrap();
            pair.a.settle(&packet.receipts, false);
        }
        assert!(pair.step_a() && !pair.step_a());
        assert_eq!(pair.b.streams.accept(), Some(id));
        let error = ReadError::Reset { code: AppCode(4), hop: 0 };
        assert_eq!(pair.b.read(id), (vec![], Err(error)));
        pair.run();
        assert_eq!((pair.a.streams.count(), pair.b.streams.count()), (0, 0));
    }
}

/// spec: R-STR-7, R-STR-12
#[test]
fn a_reset_that_promises_bytes_waits_for_open() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    let open = pair.a.packet().unwrap();
    pair.a.write(id, b"kept and lost");
    pair.a.send(id).reset_after(AppCode(4), 1, 4);
    assert!(pair.step_a() && !pair.step_a());
    assert_eq!(pair.b.events(), []);
    pair.a.settle(&open.receipts, false);
    pair.run();
    assert_eq!(pair.b.streams.accept(), Some(id));
    let error = ReadError::Reset { code: AppCode(4), hop: 1 };
    assert_eq!(pair.b.read(id), (b"kept".to_vec(), Err(error)));
    assert_eq!((pair.a.streams.count(), pair.b.streams.count()), (0, 0));
}

/// spec: R-STR-8
#[test]
fn a_final_size_never_changes() {
    let id = peer(Dir::Uni, 0);
    let after_fin = |frame: Frame<'_>| {
        let mut pair = Pair::new();
        pair.b.take(&open_frame(id));
        pair.b.take(&data(id, 4, b"45", true));
        pair.b.frame(&frame).map_err(|violation| violation.code)
    };
    let broken = Err(TransportCode::FinalSize);
    assert_eq!(after_fin(data(id, 6, b"6", false)), broken);
    assert_eq!(after_fin(data(id, 0, b"0", true)), broken);
    assert_eq!(after_fin(data(id, 7, b"", true)), broken);
    assert_eq!(after_fin(reset(id, 5, 0)), broken);
    assert_eq!(after_fin(reset(id, 7, 0)), broken);
    assert_eq!(after_fin(Frame::Skip { id, range: 0..7 }), broken);
    assert_eq!(after_fin(data(id, 4, b"45", true)), Ok(Accepted::Yes));
    assert_eq!(after_fin(data(id, 0, b"0123", false)), Ok(Accepted::Yes));
    assert_eq!(after_fin(reset(id, 6, 0)), Ok(Accepted::Yes));
    // An end below what came before, by FIN and by RESET; a promise beyond the end.
    for frame in [data(id, 1, b"", true), reset(id, 3, 0), reset(id, 9, 10)] {
        let mut pair = Pair::new();
        pair.b.take(&data(id, 0, b"0123", false));
        assert_eq!(code(pair.b.frame(&frame)), TransportCode::FinalSize, "{frame:?}");
    }
}

/// spec: R-STR-9
#[test]
fn the_field_for_sealing_is_carried_and_ignored() {
    let mut pair = Pair::new();
    let extension = Bytes::from_static(b"sealed some day");
    let id = pair.a.open(Dir::Uni, OpenOptions { extension, ..plain() }).unwrap();
    pair.a.write(id, b"body");
    pair.run();
    assert_eq!(pair.b.streams.info(id).unwrap().extension, &b"sealed some day"[..]);
    assert_eq!(pair.b.read(id).0, b"body");
}

/// Reliability 65: a reset while the reader waits; a second one changes nothing.
///
/// spec: R-STR-12
#[test]
fn what_a_reset_promises_is_given_out_before_the_error() {
    let mut pair = Pair::new();
    let id = peer(Dir::Uni, 0);
    pair.b.take(&open_frame(id));
    pair.b.take(&data(id, 0, b"0123", false));
    assert_eq!(pair.b.read(id), (b"0123".to_vec(), Err(ReadError::Blocked)));
    pair.b.take(&data(id, 6, b"67", false));
    pair.b.take(&reset(id, 20, 8));
    pair.b.take(&reset(id, 20, 0));
    assert_eq!(pair.b.recv.held(), 4 + STREAM_RECORD, "only what was promised is still owed");
    assert_eq!(pair.b.read(id), (vec![], Err(ReadError::Blocked)));
    _ = pair.b.events();
    pair.b.take(&data(id, 4, b"45", false));
    assert_eq!(pair.b.events(), [StreamEvent::Readable(id)]);
    let error = ReadError::Reset { code: AppCode(7), hop: 2 };
    assert_eq!(pair.b.read(id), (b"4567".to_vec(), Err(error)));
    assert_eq!((pair.b.streams.count(), pair.b.recv.held()), (0, 0));
}

/// spec: R-STR-12
#[test]
fn a_promise_covers_what_is_there_without_a_gap() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.write(id, b"0123");
    pair.a.send(id).write_at(6, Bytes::from_static(b"67")).unwrap();
    pair.a.send(id).reset_after(AppCode(9), 0, 8);
    assert_eq!(pair.a.send(id).write(Bytes::from_static(b"x")), Err(WriteError::Reset));
    assert_eq!(pair.a.send(id).finish(), Err(WriteError::Reset));
    pair.run();
    let error = ReadError::Reset { code: AppCode(9), hop: 0 };
    assert_eq!(pair.b.read(id), (b"0123".to_vec(), Err(error)));
    pair.run();
    assert_eq!((pair.a.streams.count(), pair.b.streams.count()), (0, 0));
}

/// The promise goes out as credit allows, and RESET after it.
///
/// spec: R-STR-12, R-STR-27
#[test]
fn a_promise_beyond_credit_is_kept() {
    let mut pair = Pair::with(1024 * 1024, StreamConfig::default());
    let id = pair.a.uni();
    let body = bytes(0..100_000, 0);
    pair.a.send(id).write(Bytes::from(body.clone())).unwrap();
    pair.a.send(id).reset_after(AppCode(9), 0, 100_000);
    let mut text = vec![];
    let error = loop {
        pair.run();
        let (more, result) = pair.b.read(id);
        text.extend(more);
        match result {
            Err(ReadError::Blocked) => {}
            other => break other,
        }
    };
    assert_eq!(error, Err(ReadError::Reset { code: AppCode(9), hop: 0 }));
    assert_eq!(text, body);
}

/// Lesson 49: a cancelled stream is told to stop, and the rest of it costs nothing.
///
/// spec: R-STR-13
#[test]
fn stop_is_answered_by_a_reset_of_the_same_code() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.send(id).write(Bytes::from(vec![1; 10_000])).unwrap();
    pair.step_a();
    pair.b.recv(id).stop_after(AppCode(5), 3);
    assert_eq!(pair.b.recv(id).read_chunk(1), Err(ReadError::Stopped));
    assert_eq!(pair.b.recv.held(), STREAM_RECORD);
    let memory = pair.b.streams.held();
    pair.step_a();
    assert_eq!(pair.b.recv.held(), STREAM_RECORD, "what still comes is dropped");
    assert_eq!(pair.b.streams.held(), memory);
    pair.run();
    let stopped = StreamEvent::Stopped { id, code: AppCode(5), hop: 3 };
    assert_eq!(pair.a.events(), [stopped]);
    assert_eq!((pair.a.streams.count(), pair.b.streams.count()), (0, 0));
    assert_eq!(pair.b.recv.held(), 0);
}

/// spec: R-STR-13
#[test]
fn writes_after_a_stop_say_so() {
    let mut pair = Pair::new();
    let id = pair.a.open(Dir::Bi, plain()).unwrap();
    pair.a.write(id, b"q");
    pair.step_a();
    pair.b.recv(id).stop(AppCode(5));
    pair.step_b();
    let error = WriteError::Stopped { code: AppCode(5), hop: 0 };
    assert_eq!(pair.a.send(id).write(Bytes::from_static(b"x")), Err(error));
    assert_eq!(pair.a.send(id).finish(), Err(error));
    assert_eq!(pair.a.send(id).stopped(), Some((AppCode(5), 0)));
    // The other direction lives.
    pair.b.write(id, b"answer");
    pair.b.send(id).finish().unwrap();
    pair.run();
    assert_eq!(pair.a.read(id), (b"answer".to_vec(), Ok(())));
    assert_eq!((pair.a.streams.count(), pair.b.streams.count()), (0, 0));
}

/// Lesson 48, lesson 38.
///
/// spec: R-STR-14
#[test]
fn delivered_means_acknowledged_by_the_other_end() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.write(id, b"all of it");
    let body = pair.a.packet().unwrap();
    pair.a.send(id).finish().unwrap();
    let fin = pair.a.packet().unwrap();
    assert!(pair.a.packet().is_none());
    assert_eq!(pair.b.receive(&fin), Ok(true));
    pair.a.settle(&fin.receipts, true);
    assert_eq!(pair.a.events(), []);
    assert!(!pair.a.streams.is_flushed());
    assert_eq!(pair.b.receive(&body), Ok(true));
    pair.a.settle(&body.receipts, true);
    assert_eq!(pair.a.events(), [StreamEvent::Delivered(id)]);
    assert!(pair.a.streams.is_flushed());
    assert_eq!(pair.b.read(id), (b"all of it".to_vec(), Ok(())));
}

/// spec: R-STR-15, R-STR-26
#[test]
fn skipped_bytes_are_reported_and_released_when_they_are_passed() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.write(id, b"01");
    pair.a.send(id).skip(2..6).unwrap();
    pair.a.send(id).write(Bytes::from_static(b"67")).unwrap();
    assert_eq!(pair.a.send(id).write_at(3, Bytes::from_static(b"3")), Err(WriteError::Overlap));
    pair.a.send(id).skip(5..9).unwrap();
    pair.a.send(id).finish().unwrap();
    let packet = pair.a.packet().unwrap();
    assert_eq!(pair.b.receive(&packet), Ok(true));
    pair.a.settle(&packet.receipts, false);
    pair.run();
    assert_eq!(pair.a.events(), [StreamEvent::Delivered(id)]);
    assert_eq!(pair.b.recv.held(), 9 + STREAM_RECORD);
    let mut out = [0; 10];
    let mut stream = pair.b.recv(id);
    assert_eq!(stream.read(&mut out), Ok(Some(2)));
    assert_eq!(stream.charged(), 7);
    assert_eq!(stream.read(&mut out), Err(ReadError::Skipped(2..6)));
    assert_eq!(stream.read(&mut out), Err(ReadError::Skipped(2..6)), "until it is passed");
    let chunk = stream.read_chunk(10).unwrap().unwrap();
    assert_eq!((chunk.offset, &chunk.data[..]), (6, &b"67"[..]));
    assert_eq!(stream.charged(), 3, "two were given out, and one is ahead");
    stream.release(2);
    assert_eq!(stream.read(&mut out), Err(ReadError::Skipped(8..9)));
    assert_eq!((stream.read_chunk(10), stream.final_size()), (Ok(None), Some(9)), "8 were read");
    drop(stream);
    assert_eq!((pair.b.streams.count(), pair.b.recv.held()), (0, 0));
}

/// Reliability 65: the halves end in any order, and nothing is left over.
///
/// spec: R-STR-16
#[test]
fn halves_end_in_any_order() {
    let ends: [fn(&mut Pair, StreamId); 4] = [
        |pair, id| {
            pair.a.send(id).finish().unwrap();
            pair.run();
            assert_eq!(pair.b.read(id).1, Ok(()));
        },
        |pair, id| {
            pair.b.send(id).finish().unwrap();
            pair.run();
            assert_eq!(pair.a.read(id).1, Ok(()));
        },
        |pair, id| {
            pair.a.send(id).reset(AppCode(1));
            pair.run();
            assert!(matches!(pair.b.read(id).1, Err(ReadError::Reset { .. })));
        },
        |pair, id| {
            pair.a.recv(id).stop(AppCode(1));
            pair.run();
        },
    ];
    for (first, second) in [(0, 1), (1, 0), (2, 1), (1, 2), (3, 0), (0, 3), (2, 3), (3, 2)] {
        let mut pair = Pair::new();
        let id = pair.a.open(Dir::Bi, plain()).unwrap();
        pair.run();
        ends[first](&mut pair, id);
        assert_eq!(pair.a.streams.count(), 1);
        ends[second](&mut pair, id);
        assert_eq!((pair.a.streams.count(), pair.b.streams.count()), (0, 0), "{first} {second}");
        assert_eq!((pair.a.recv.held(), pair.b.recv.held()), (0, 0));
        // Late frames of a stream that is over mean nothing.
        for frame in [open_frame(id), data(id, 0, b"late", false), reset(id, 3, 0)] {
            assert_eq!(pair.b.frame(&frame), Ok(Accepted::Yes));
        }
        assert_eq!((pair.b.streams.count(), pair.b.streams.accept().is_some()), (0, false));
    }
}

/// spec: R-STR-26
#[test]
fn what_was_read_keeps_its_credit_until_it_is_released() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.write(id, b"0123456789");
    pair.a.send(id).finish().unwrap();
    pair.run();
    let chunk = pair.b.recv(id).read_chunk(100).unwrap().unwrap();
    assert_eq!(pair.b.recv(id).read_chunk(100), Ok(None));
    assert_eq!(pair.b.recv.held(), 10 + STREAM_RECORD);
    assert_eq!(pair.b.streams.count(), 1, "the stream waits for its bytes");
    pair.b.recv(id).release(4);
    assert_eq!(pair.b.recv.held(), 6 + STREAM_RECORD);
    pair.b.recv(id).release(100);
    assert_eq!((pair.b.recv.held(), pair.b.streams.count()), (0, 0));
    assert_eq!(&chunk.data[..], b"0123456789");
}

/// spec: R-STR-25
#[test]
fn bytes_come_as_they_arrived_and_not_in_order_afterwards() {
    let mut pair = Pair::new();
    let id = peer(Dir::Uni, 0);
    pair.b.take(&open_frame(id));
    for (at, text) in [(6, b"678"), (0, b"012"), (12, b"cde")] {
        pair.b.take(&data(id, at, text, false));
    }
    let mut stream = pair.b.recv(id);
    let mut next = || stream.take_any(2).map(|chunk| chunk.unwrap().offset);
    assert_eq!([next(), next(), next(), next()], [Ok(6), Ok(8), Ok(0), Ok(2)]);
    assert_eq!(stream.read_chunk(1), Err(ReadError::OutOfOrder));
    drop(stream);
    pair.b.take(&data(id, 3, b"345678", false));
    let mut stream = pair.b.recv(id);
    assert_eq!(stream.take_any(9).unwrap().unwrap().offset, 12);
    let chunk = stream.take_any(9).unwrap().unwrap();
    assert_eq!((chunk.offset, &chunk.data[..]), (3, &b"345"[..]), "each byte once");
    assert_eq!(stream.take_any(9), Err(ReadError::Blocked));
}

/// spec: R-STR-33
#[test]
fn events_are_edges_and_few() {
    let mut pair = Pair::new();
    let id = peer(Dir::Bi, 0);
    pair.b.take(&open_frame(id));
    assert_eq!(pair.b.events(), [StreamEvent::Incoming]);
    for at in 0..20 {
        pair.b.take(&data(id, at, b"x", false));
        pair.b.take(&open_frame(peer(Dir::Bi, at % 3)));
    }
    // Nobody accepted, nobody read: no more than one of each.
    assert_eq!(pair.b.events(), [StreamEvent::Readable(id)]);
    pair.b.take(&data(id, 20, b"x", false));
    assert_eq!(pair.b.events(), []);
    assert_eq!(pair.b.read(id), (vec![b'x'; 21], Err(ReadError::Blocked)));
    assert_eq!(pair.b.events(), []);
    pair.b.take(&data(id, 21, b"x", false));
    assert_eq!(pair.b.events(), [StreamEvent::Readable(id)]);
    while pair.b.streams.accept().is_some() {}
    pair.b.take(&open_frame(peer(Dir::Bi, 5)));
    assert_eq!(pair.b.events(), [StreamEvent::Incoming]);
}

/// spec: R-STR-30, R-STR-32
#[test]
fn classes_order_what_goes_out() {
    let mut pair = Pair::new();
    let bulk = pair.a.open(Dir::Uni, plain().with_priority(Priority::Bulk)).unwrap();
    let normal = pair.a.uni();
    let urgent = pair.a.open(Dir::Uni, plain().with_priority(Priority::Urgent)).unwrap();
    for id in [bulk, normal, urgent] {
        pair.a.send(id).write(Bytes::from(vec![1; 3000])).unwrap();
    }
    let order = |pair: &mut Pair| {
        let mut ids = vec![];
        while let Some(packet) = pair.a.packet() {
            for frame in packet.receipts {
                if let SentFrame::Stream { id, .. } = frame {
                    ids.push(id);
                }
            }
        }
        ids.dedup();
        ids
    };
    pair.a.send(normal).set_priority(Priority::Bulk);
    assert_eq!(order(&mut pair), [urgent, bulk, normal]);
    for id in [bulk, normal, urgent] {
        pair.a.send(id).write(Bytes::from(vec![1; 1000])).unwrap();
    }
    // A reset goes before all bodies, whatever its class.
    pair.a.send(bulk).reset(AppCode(1));
    let packet = pair.a.packet().unwrap();
    assert_eq!(packet.receipts[0], SentFrame::Reset(bulk));
    assert!(matches!(&packet.receipts[1], SentFrame::Stream { id, .. } if *id == urgent));
    // The answer has the class that the opener gave.
    let id = pair.a.open(Dir::Bi, plain().with_priority(Priority::Urgent)).unwrap();
    pair.run();
    assert_eq!(pair.b.send(id).priority(), Priority::Urgent);
}

/// spec: R-STR-30
#[test]
fn streams_of_a_class_are_never_more_than_a_turn_apart() {
    const STREAMS: usize = 3;
    let mut pair = Pair::new();
    let ids: Vec<_> = (0..STREAMS).map(|_| pair.a.uni()).collect();
    for id in &ids {
        pair.a.send(*id).write(Bytes::from(vec![1; 15_000])).unwrap();
    }
    let mut sent = [0; STREAMS];
    while let Some(packet) = pair.a.packet() {
        for frame in &packet.receipts {
            let SentFrame::Stream { id, range, .. } = frame else { continue };
            let at = ids.iter().position(|other| other == id).unwrap();
            sent[at] += range.end - range.start;
        }
        let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
        let turn = u64::from(QUANTUM);
        assert!(most - least <= turn + packet.payload.len() as u64, "{sent:?}");
        pair.a.settle(&packet.receipts, true);
    }
    assert_eq!(sent, [15_000; STREAMS]);
}
