//! What a connection and an application can ask of streams, and what they ask for.

use super::*;
use crate::fingerprint::Fingerprint;
use crate::flow::{FLOOR, Window};
use crate::stream::scheduler::Priority;

/// What `end` says of its streams' credit in its next packets.
fn frames_of(end: &mut End) -> Vec<SentFrame> {
    let packets: Vec<Packet> = std::iter::from_fn(|| end.packet()).collect();
    packets.into_iter().flat_map(|packet| packet.receipts).collect()
}

impl End {
    pub(super) fn account(&mut self) -> (&mut Streams, RecvAccount<'_>) {
        let Self { streams, recv, budget, now, .. } = self;
        (streams, RecvAccount { credit: recv, budget, now: *now })
    }
}

/// An end with a floor, and somebody who has all the rest.
fn poor() -> (Pair, crate::flow::Share) {
    let mut pair = Pair::new();
    let mut budget = Budget::new(BudgetLimits::new(8 * FLOOR, 2).unwrap());
    let share = budget.open().unwrap();
    let mut hoarder = budget.open().unwrap();
    while budget.borrow(&mut hoarder, u64::MAX) > 0 {}
    pair.b.recv = RecvCredit::new(share, Side::Responder, RecvLimits::default());
    pair.b.budget = budget;
    (pair, hoarder)
}

#[test]
fn bytes_are_expected_until_the_end_is_here() {
    let mut pair = Pair::new();
    assert!(!pair.b.streams.expects_data(), "there is no stream");
    let (one, other) = (peer(Dir::Uni, 0), peer(Dir::Uni, 1));
    pair.b.take(&data(one, 0, b"x", false));
    pair.b.take(&open_frame(other));
    assert!(pair.b.streams.expects_data());
    pair.b.take(&open_frame(one));
    pair.b.take(&data(one, 1, b"y", true));
    assert!(pair.b.streams.expects_data(), "the other goes on");
    pair.b.take(&reset(other, 0, 0));
    assert!(!pair.b.streams.expects_data());
    // What only this side writes brings nothing; an answer may come.
    pair.b.open(Dir::Uni, plain()).unwrap();
    assert!(!pair.b.streams.expects_data());
    pair.b.open(Dir::Bi, plain()).unwrap();
    assert!(pair.b.streams.expects_data());
}

#[test]
fn who_waits_for_credit_says_so() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.write(id, b"a few bytes");
    assert!(!pair.a.streams.wait_for_stream_credit(), "there is credit");
    let mut none = SendCredit::new(CreditTarget::Connection, 0);
    let (mut payload, mut receipts) = (vec![], vec![]);
    let all = Allowance::Everything;
    let mut writer = PacketWriter::new(&mut payload, 0, 1_171, &mut receipts, all);
    pair.a.streams.write(&mut writer, &mut none);
    assert!(pair.a.streams.wait_for_connection_credit(&none), "the connection's");
    assert!(!pair.a.streams.wait_for_connection_credit(&pair.a.send), "which is raised");
    pair.run();
    assert!(!pair.a.streams.wait_for_connection_credit(&none), "for nothing");
    pair.a.send(id).write(Bytes::from(vec![1; 200_000])).unwrap();
    let packets: Vec<Packet> = std::iter::from_fn(|| pair.a.packet()).collect();
    assert!(pair.a.streams.wait_for_stream_credit(), "the stream's");
    assert!(!pair.a.streams.wait_for_connection_credit(&pair.a.send));
    pair.a.take(&Frame::MaxStreamData { id, limit: 300_000 });
    assert!(!pair.a.streams.wait_for_stream_credit());
    drop(packets);
}

/// Ends of which the first may send `most` bytes, and streams of it that have eight each.
fn short_of_credit<const N: usize>(most: u64) -> (Pair, [StreamId; N]) {
    let mut pair = Pair::new();
    pair.a.send = SendCredit::new(CreditTarget::Connection, most);
    let ids = [(); N].map(|()| pair.a.uni());
    for id in ids {
        pair.a.write(id, b"01234567");
    }
    (pair, ids)
}

/// A promise outlives the wait for credit, which a reset ends.
///
/// spec: R-STR-12
#[test]
fn what_a_reset_promised_is_sent_again() {
    let (mut pair, [id]) = short_of_credit(4);
    let lost = pair.a.packet().unwrap();
    assert!(pair.a.streams.wait_for_connection_credit(&pair.a.send));
    pair.a.send(id).reset_after(AppCode(7), 0, 4);
    assert!(!pair.a.streams.wait_for_connection_credit(&pair.a.send), "for what it gave up");
    pair.a.settle(&lost.receipts, false);
    pair.run();
    let error = ReadError::Reset { code: AppCode(7), hop: 0 };
    assert_eq!(pair.b.read(id), (b"0123".to_vec(), Err(error)));
}

/// spec: R-STR-27
#[test]
fn what_was_sent_is_sent_again_without_credit() {
    let (mut pair, [id]) = short_of_credit(4);
    let lost = pair.a.packet().unwrap();
    while pair.step_a() {}
    assert_eq!(pair.a.send.used(), 4, "the rest waits for credit");
    pair.a.settle(&lost.receipts, false);
    assert!(pair.step_a());
    assert_eq!(pair.b.streams.accept(), Some(id));
    assert_eq!(pair.b.recv(id).read_chunk(9).unwrap().unwrap().data, &b"0123"[..]);
    assert!(
        pair.a.streams.wait_for_connection_credit(&pair.a.send),
        "for the others it still waits"
    );
    pair.a.send.on_max(100);
    pair.run();
    assert_eq!(pair.b.read(id).0, b"4567");
}

#[test]
fn who_waits_for_credit_waits_on_when_another_gives_up() {
    let (mut pair, [one, other]) = short_of_credit(4);
    while pair.step_a() {}
    pair.a.send(one).reset(AppCode(7));
    while pair.step_a() {}
    pair.a.write(other, b"89");
    assert!(pair.a.streams.wait_for_connection_credit(&pair.a.send));
    assert!(!pair.a.streams.may_write(&pair.a.send), "more to write is no credit");
    pair.a.send.on_max(100);
    pair.run();
    assert_eq!(pair.b.read(other).0, b"0123456789");
}

#[test]
fn a_class_has_its_turn_while_a_stream_of_it_waits() {
    let mut pair = Pair::new();
    let turns = |pair: &Pair| Priority::ALL.map(|class| pair.a.streams.has_turn(class));
    assert_eq!(turns(&pair), [false; 3]);
    let id = pair.a.uni();
    assert_eq!(turns(&pair), [false, true, false], "its introduction");
    pair.a.send(id).set_priority(Priority::Bulk);
    assert_eq!(turns(&pair), [false, false, true]);
    pair.run();
    assert_eq!(turns(&pair), [false; 3]);
}

/// Whatever it is; and that nothing ever will be, once it arrived or was given up.
#[test]
fn what_has_yet_to_be_sent_is_known() {
    let mut pair = Pair::new();
    let id = pair.a.open(Dir::Bi, plain()).unwrap();
    let is_unsent = |pair: &Pair| pair.a.streams.is_unsent(id);
    let sent = |pair: &mut Pair| {
        assert_eq!(is_unsent(pair), Some(true));
        let packet = pair.a.packet().unwrap();
        assert_eq!(is_unsent(pair), Some(false));
        packet
    };
    let _introduction = sent(&mut pair);
    pair.a.write(id, b"0123");
    let lost = sent(&mut pair);
    pair.a.settle(&lost.receipts, false);
    let _bytes = sent(&mut pair);
    pair.a.send(id).skip(4..8).unwrap();
    let _skip = sent(&mut pair);
    pair.a.send(id).finish().unwrap();
    let _end = sent(&mut pair);
    pair.a.send(id).reset(AppCode(7));
    assert_eq!(is_unsent(&pair), None, "it was given up");
    let answer = pair.b.open(Dir::Bi, plain()).unwrap();
    pair.b.send(answer).finish().unwrap();
    pair.run();
    assert_eq!(pair.b.streams.is_unsent(answer), None, "it arrived");
}

#[test]
fn everything_is_flushed_once_it_is_acknowledged() {
    let mut pair = Pair::new();
    assert!(pair.a.streams.is_flushed(), "there is nothing");
    let [open, ended] = [pair.a.uni(), pair.a.uni()];
    for id in [open, ended] {
        pair.a.write(id, b"bytes");
    }
    pair.a.send(ended).finish().unwrap();
    assert!(!pair.a.streams.is_flushed());
    let packet = pair.a.packet().unwrap();
    assert!(!pair.a.streams.is_flushed(), "sent is not acknowledged");
    pair.a.settle(&packet.receipts, true);
    assert!(pair.a.streams.is_flushed());
    pair.a.send(open).finish().unwrap();
    assert!(!pair.a.streams.is_flushed(), "an end is on its way");
    pair.run();
    assert!(pair.a.streams.is_flushed());
}

/// spec: R-STR-3, R-STR-4
#[test]
fn what_the_opener_said_is_known_at_both_ends() {
    let mut pair = Pair::new();
    let said = OpenOptions { size: Some(5), digest: Some([7; 32]), ..plain().with_head("a head") };
    let id = pair.a.open(Dir::Bi, said.clone()).unwrap();
    pair.a.write(id, b"bytes");
    assert_eq!(pair.b.streams.info(id), None, "nobody said anything");
    pair.b.take(&data(id, 0, b"b", false));
    assert_eq!(pair.b.streams.info(id), None, "it was not introduced");
    pair.run();
    assert_eq!(pair.a.streams.info(id), Some(&said));
    assert_eq!(pair.b.streams.info(id), Some(&said));
    assert_eq!(pair.b.recv(id).info(), Some(&said));
    assert_eq!((pair.a.streams.count(), pair.b.streams.count()), (1, 1));
    assert_eq!((pair.a.streams.stats().opened, pair.a.streams.stats().announced), (1, 0));
    assert_eq!((pair.b.streams.stats().opened, pair.b.streams.stats().announced), (0, 1));
}

/// In each packet until it arrived, if the body does not begin at 0; and in none twice, also where
/// bytes and a reset go together.
///
/// spec: R-STR-6
#[test]
fn an_introduction_stands_once_in_a_packet() {
    let mut pair = Pair::new();
    let id = pair.a.open(Dir::Uni, OpenOptions { start: 4, ..plain() }).unwrap();
    assert_eq!(pair.a.send(id).state(), SendState::Ready);
    let introductions = |packet: Option<Packet>| {
        let open = SentFrame::Open(id);
        packet.unwrap().receipts.iter().filter(|frame| **frame == open).count()
    };
    assert_eq!(introductions(pair.a.packet()), 1);
    assert_eq!(pair.a.send(id).state(), SendState::Send);
    pair.a.write(id, b"4567");
    pair.a.send(id).reset_after(AppCode(7), 0, 8);
    assert_eq!(introductions(pair.a.packet()), 1);
}

/// spec: R-FLOW-11
#[test]
fn the_owner_of_a_stream_may_set_its_window() {
    let mut pair = Pair::new();
    let id = peer(Dir::Uni, 0);
    pair.b.take(&open_frame(id));
    pair.b.recv(id).set_window(Window::Fixed(300_000));
    assert_eq!(pair.b.recv(id).window(), 300_000);
    assert_eq!(pair.b.recv(id).covered(), 300_000);
    assert!(frames_of(&mut pair.b).contains(&SentFrame::MaxStreamData(id, 300_000)));
    pair.b.recv(id).request(400_000);
    assert!(frames_of(&mut pair.b).contains(&SentFrame::MaxStreamData(id, 400_000)));
}

/// spec: R-FLOW-21
#[test]
fn streams_are_asked_for_credit_that_they_do_not_use() {
    let mut pair = Pair::new();
    let id = peer(Dir::Uni, 0);
    let first = pair.b.recv.initial().max_stream_data;
    pair.b.take(&open_frame(id));
    pair.b.recv(id).request(4_000_000);
    frames_of(&mut pair.b);
    let (streams, mut account) = pair.b.account();
    streams.ask_back(u64::MAX, &mut account);
    let asked = SentFrame::CreditRecall(CreditTarget::Stream(id), 4_000_000 - first);
    assert!(frames_of(&mut pair.b).contains(&asked), "all but a first credit");
}

/// Whoever passes a stream on hears that its window shrank, and hears it once: also if nobody asks
/// how far, as when the pipe is gone and the application reads what is left.
///
/// spec: R-FLOW-11
#[test]
fn that_a_window_shrank_is_told_once() {
    let mut pair = Pair::new();
    let id = peer(Dir::Uni, 0);
    pair.b.take(&open_frame(id));
    pair.b.recv(id).set_window(Window::Fixed(4_000_000));
    assert_eq!(pair.b.recv(id).covered(), 4_000_000);
    assert_eq!(pair.b.recv(id).take_arrival(1), Err(ReadError::Blocked));
    pair.b.events();
    let (streams, mut account) = pair.b.account();
    streams.ask_back(u64::MAX, &mut account);
    assert_eq!(pair.b.recv(id).take_arrival(1), Err(ReadError::Blocked));
    assert_eq!(pair.b.events(), [StreamEvent::Readable(id)]);
    for _ in 0..3 {
        assert_eq!(pair.b.recv(id).take_any(1), Err(ReadError::Blocked));
        assert_eq!(pair.b.events(), [], "there is nothing to be read");
    }
}

/// spec: R-FLOW-11, R-FLOW-18
#[test]
fn what_found_no_credit_is_tried_again() {
    let (mut pair, hoarder) = poor();
    let id = peer(Dir::Uni, 0);
    pair.b.take(&open_frame(id));
    pair.b.events();
    pair.b.recv(id).set_window(Window::Fixed(FLOOR * 2));
    assert!(pair.b.recv(id).covered() < FLOOR * 2);
    while pair.b.open(Dir::Bi, plain()).is_ok() {}
    assert_eq!(pair.b.open(Dir::Bi, plain()), Err(OpenError::NoCredit));
    frames_of(&mut pair.b);
    assert_eq!(pair.b.events(), []);
    pair.b.budget.close(hoarder);
    assert!(pair.b.budget.take_freed());
    let (streams, mut account) = pair.b.account();
    streams.top_up(&mut account);
    pair.b.streams.check(&pair.b.recv);
    assert_eq!(pair.b.events(), [StreamEvent::Available(Dir::Bi)]);
    assert!(frames_of(&mut pair.b).contains(&SentFrame::MaxStreamData(id, FLOOR * 2)));
    assert_eq!(pair.b.recv(id).covered(), FLOOR * 2);
    assert!(pair.b.open(Dir::Bi, plain()).is_ok());
}

/// spec: R-PIPE-4
#[test]
fn a_stream_passes_so_many_relays() {
    let of = |hop_limit| OpenOptions { hop_limit, size: Some(9), start: 4, ..plain() };
    assert_eq!(of(None).forwarded(), Some(of(Some(15))));
    assert_eq!(of(Some(200)).forwarded(), Some(of(Some(199))));
    assert_eq!(of(Some(1)).forwarded(), Some(of(Some(0))));
    assert_eq!(of(Some(0)).forwarded(), None);
}

/// spec: R-FRM-17
#[test]
fn an_introduction_names_no_offset_that_no_frame_could() {
    const MOST: u64 = (1 << 62) - 1;
    let refused = |options: OpenOptions| match options.check(peer(Dir::Uni, 0)) {
        Ok(()) => false,
        Err(OpenError::Invalid(_)) => true,
        other => panic!("{other:?}"),
    };
    for (value, expected) in [(MOST, false), (MOST + 1, true), (u64::MAX, true)] {
        assert_eq!(refused(OpenOptions { start: value, ..plain() }), expected);
        assert_eq!(refused(OpenOptions { end: Some(value), ..plain() }), expected);
        assert_eq!(refused(OpenOptions { size: Some(value), ..plain() }), expected);
        assert_eq!(refused(OpenOptions::new(StreamProtocol::Number(value))), expected);
    }
    assert!(refused(OpenOptions { start: 2, end: Some(1), ..plain() }));
    assert!(refused(OpenOptions::new(StreamProtocol::name(""))));
}

/// spec: R-STR-30
#[test]
fn a_class_can_be_changed_while_bytes_wait() {
    let mut pair = Pair::new();
    let ids = [pair.a.uni(), pair.a.uni()];
    for id in ids {
        assert_eq!(pair.a.send(id).priority(), Priority::Normal);
        pair.a.write(id, b"bytes");
    }
    pair.a.send(ids[1]).set_priority(Priority::Urgent);
    pair.a.send(ids[1]).set_priority(Priority::Urgent);
    assert_eq!(pair.a.send(ids[1]).priority(), Priority::Urgent);
    let sent = frames_of(&mut pair.a).into_iter().filter_map(|frame| match frame {
        SentFrame::Stream { id, .. } => Some(id),
        _ => None,
    });
    assert_eq!(sent.collect::<Vec<_>>(), [ids[1], ids[0]]);
}

/// What may carry no stream takes nobody's turn.
#[test]
fn a_packet_for_acks_leaves_streams_as_they_are() {
    let mut pair = Pair::new();
    let id = pair.a.uni();
    pair.a.write(id, b"bytes");
    let before = pair.a.streams.fingerprint();
    for allowance in [Allowance::Nothing, Allowance::CloseOnly, Allowance::AcksOnly] {
        let (mut payload, mut receipts) = (vec![], vec![]);
        let mut writer = PacketWriter::new(&mut payload, 0, 1171, &mut receipts, allowance);
        pair.a.streams.write(&mut writer, &mut pair.a.send);
        assert_eq!(writer.finish().len, 0);
        assert_eq!(pair.a.streams.fingerprint(), before, "{allowance:?}");
    }
    pair.run();
    assert_eq!(pair.b.read(id).0, b"bytes");
}

/// On one stream, whether it was given out or not: until it is released.
///
/// spec: R-FIG-6
#[test]
fn the_most_that_one_stream_held_is_known() {
    let mut pair = Pair::new();
    let (one, other) = (peer(Dir::Uni, 0), peer(Dir::Uni, 1));
    let most = |pair: &Pair| pair.b.streams.stats().most_held;
    for id in [one, other] {
        pair.b.take(&open_frame(id));
    }
    pair.b.take(&data(one, 0, &[1; 100], false));
    pair.b.take(&data(other, 0, &[1; 90], false));
    assert_eq!(most(&pair), 100, "of one, not of both");
    assert!(pair.b.recv(one).read_chunk(60).is_ok());
    pair.b.take(&data(one, 200, &[1; 20], false));
    assert_eq!(most(&pair), 120, "what was given out is held, a gap is not");
    assert_eq!(pair.b.read(other).0.len(), 90);
    pair.b.take(&data(other, 90, &[1; 100], false));
    assert_eq!(most(&pair), 120, "what was released is not");
}

/// Who bounds what he writes by other credit is not bounded by the send buffer as well.
///
/// spec: R-PIPE-2
#[test]
fn what_is_forwarded_is_taken_whole() {
    let config = StreamConfig { send_buffer: 1_000, ..StreamConfig::default() };
    let mut pair = Pair::with(64 * 1024 * 1024, config);
    let id = pair.a.uni();
    assert_eq!(pair.a.send(id).forward(5_000, Bytes::from(vec![2; 5_000])), Ok(()));
    assert_eq!(pair.a.send(id).forward(0, Bytes::from(vec![1; 5_000])), Ok(()));
    assert_eq!(pair.a.send(id).forward(9, Bytes::from_static(b"x")), Err(WriteError::Overlap));
    assert_eq!((pair.a.send(id).contiguous_end(), pair.a.send(id).room()), (10_000, 0));
    pair.a.send(id).finish().unwrap();
    pair.run();
    let (body, end) = pair.b.read(id);
    assert_eq!((body, end), ([[1; 5_000], [2; 5_000]].concat(), Ok(())));
}
