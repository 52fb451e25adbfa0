//! Streams that do not move.

use core::time::Duration;

use super::*;
use crate::error::StreamCode;
use crate::stream::watch::Load;

/// When a pair begins.
const START: Instant = Instant::from_nanos(1_000_000);
const PATIENCE: Duration = Duration::from_secs(10);
const WATCHED: StreamConfig =
    StreamConfig { send_buffer: 1 << 24, buffer: 0, timeout: Some(PATIENCE), stuck_timeout: None };

impl End {
    fn deadline(&mut self) {
        let Self { streams, recv, budget, now, .. } = self;
        streams.on_deadline(&mut RecvAccount { credit: recv, budget, now: *now });
        streams.check(recv);
    }

    /// Lets time pass up to `at` seconds, stopping whenever the streams ask for it. Gives how often
    /// that was.
    fn pass_to(&mut self, seconds: u64) -> usize {
        let until = START + Duration::from_secs(seconds);
        let mut looks = 0;
        while let Some(at) = self.streams.deadline().filter(|at| *at <= until) {
            assert!(at > self.now, "a wish for the past");
            self.now = at;
            self.deadline();
            looks += 1;
        }
        self.now = until;
        looks
    }

    fn stops(&mut self) -> Vec<StopFrame> {
        let mut stops = Vec::new();
        while let Some(packet) = self.packet() {
            for frame in frames(&packet.payload) {
                if let Frame::Stop(stop) = frame.unwrap() {
                    stops.push(stop);
                }
            }
            self.settle(&packet.receipts, true);
        }
        stops
    }
}

fn opened(pair: &mut Pair) -> StreamId {
    let id = pair.a.uni();
    let frame = OpenFrame::new(id, Protocol::Name(b"x"));
    pair.b.take(&Frame::Open(frame));
    id
}

fn piece(id: StreamId, offset: u64, data: &[u8]) -> Frame<'_> {
    Frame::Stream(StreamFrame { id, offset, data, fin: false })
}

fn ended(events: &[StreamEvent]) -> Vec<(StreamId, Stuck)> {
    let ended = events.iter().filter_map(|event| match event {
        StreamEvent::Ended { id, why } => Some((*id, *why)),
        _ => None,
    });
    ended.collect()
}

/// spec: R-STR-42 R-STR-43
#[test]
fn a_stream_that_does_not_move_is_ended_and_both_ends_are_told() {
    let mut pair = Pair::with(64 * 1024 * 1024, WATCHED);
    let before = (pair.b.streams.held(), pair.b.recv.held());
    let id = opened(&mut pair);
    pair.b.take(&piece(id, 100, b"behind a gap"));
    pair.b.pass_to(9);
    assert_eq!(ended(&pair.b.events()), []);
    assert_eq!(pair.b.pass_to(10), 1);
    assert_eq!(ended(&pair.b.events()), [(id, Stuck::Timeout)]);
    let code = StreamCode::Timeout.app();
    assert_eq!(pair.b.recv(id).read_chunk(1), Err(ReadError::Stuck(Stuck::Timeout)));
    assert_eq!(pair.b.stops(), [StopFrame { id, code, hop: 0 }]);
    let reset = ResetFrame { id, code, hop: 0, final_size: 112, reliable_size: 0 };
    pair.b.take(&Frame::Reset(reset));
    assert_eq!(pair.b.streams.count(), 0);
    assert_eq!((pair.b.streams.held(), pair.b.recv.held()), before);
    assert_eq!(pair.b.streams.deadline(), None);
}

/// One that was never introduced is ended, too.
///
/// spec: R-STR-43
#[test]
fn an_unannounced_stream_is_not_kept_for_ever() {
    let mut pair = Pair::with(64 * 1024 * 1024, WATCHED);
    let id = pair.a.uni();
    pair.b.take(&piece(id, 0, b"who am I"));
    pair.b.pass_to(10);
    let stops = pair.b.stops();
    assert_eq!(stops.iter().map(|stop| stop.id).collect::<Vec<_>>(), [id]);
}

/// Who left a gap, or did not say what comes, has less time than who is silent.
///
/// spec: R-STR-43
#[test]
fn one_that_is_stuck_is_ended_without_any_configuration() {
    let mut pair = Pair::with(64 * 1024 * 1024, StreamConfig::default());
    let (silent, gapped, filled) = (opened(&mut pair), opened(&mut pair), opened(&mut pair));
    let unannounced = pair.a.uni();
    pair.b.take(&piece(silent, 0, b"more may come"));
    pair.b.take(&piece(unannounced, 0, b"who am I"));
    for id in [gapped, filled] {
        pair.b.take(&piece(id, 5, b"behind a gap"));
    }
    pair.b.pass_to(60);
    pair.b.take(&piece(filled, 0, b"first"));
    pair.b.pass_to(119);
    assert_eq!(pair.b.stops(), []);
    pair.b.pass_to(120);
    let mut stops: Vec<_> = pair.b.stops().iter().map(|stop| (stop.id, stop.code)).collect();
    stops.sort();
    let code = StreamCode::Timeout.app();
    let mut expected = [(gapped, code), (unannounced, code)];
    expected.sort();
    assert_eq!(stops, expected);
    pair.b.pass_to(10_000);
    assert_eq!(pair.b.stops(), []);
    assert_eq!(pair.b.streams.deadline(), None, "nobody else is watched");
    // A gap that comes later is one, too.
    pair.b.take(&piece(silent, 50, b"far off"));
    pair.b.pass_to(10_120);
    assert_eq!(pair.b.stops().iter().map(|stop| stop.id).collect::<Vec<_>>(), [silent]);
}

/// spec: R-STR-42 R-STR-44
#[test]
fn one_that_moves_is_looked_at_once_in_a_time_out() {
    let mut pair = Pair::with(64 * 1024 * 1024, WATCHED);
    let id = opened(&mut pair);
    let mut looks = 0;
    for second in 1..100 {
        looks += pair.b.pass_to(second);
        // Bytes come for a while, then they are taken one by one; what came before is nothing.
        if second < 50 {
            pair.b.take(&piece(id, second - 1, b"x"));
        } else {
            assert!(
                pair.b.recv(id).read_chunk(1).is_ok_and(|chunk| chunk.is_some()) == (second < 99)
            );
        }
        pair.b.take(&piece(id, 0, b"x"));
        assert_eq!(ended(&pair.b.events()), []);
    }
    assert!(looks <= 11, "{looks} looks in 100 s");
    pair.b.pass_to(107);
    assert_eq!(ended(&pair.b.events()), []);
    pair.b.pass_to(108);
    assert_eq!(ended(&pair.b.events()).len(), 1);
}

/// spec: R-STR-42
#[test]
fn an_answer_may_take_its_time_and_what_is_whole_is_not_watched() {
    let mut pair = Pair::with(64 * 1024 * 1024, WATCHED);
    let asked = pair.b.open(Dir::Bi, plain()).unwrap();
    let whole = opened(&mut pair);
    let last = StreamFrame { id: whole, offset: 0, data: b"all", fin: true };
    pair.b.take(&Frame::Stream(last));
    pair.b.pass_to(1000);
    assert_eq!(ended(&pair.b.events()), []);
    pair.b.take(&piece(asked, 0, b"an answer, beg"));
    pair.b.pass_to(1009);
    assert_eq!(ended(&pair.b.events()), []);
    pair.b.pass_to(1010);
    assert_eq!(ended(&pair.b.events()), [(asked, Stuck::Timeout)]);
}

/// spec: R-STR-40 R-STR-41 R-STR-43
#[test]
fn near_its_limit_a_stream_gets_no_more_and_is_told_of_once() {
    let mut pair = Pair::with(64 * 1024 * 1024, WATCHED);
    let id = opened(&mut pair);
    let limit = |pair: &Pair| {
        let credit = pair.b.streams.credits().find(|credit| credit.id() == id).unwrap();
        (credit.held() + credit.outstanding(), credit.limit())
    };
    pair.b.take(&piece(id, 1, b"x"));
    let (may, granted) = limit(&pair);
    let data = vec![7; usize::try_from(may * 3 / 4).unwrap()];
    pair.b.take(&piece(id, 2, &data));
    let strained = |events: &[StreamEvent]| -> Vec<StreamEvent> {
        let strained = events.iter().filter(|e| matches!(e, StreamEvent::Strained { .. }));
        strained.copied().collect()
    };
    let events = pair.b.events();
    let said = strained(&events);
    let [StreamEvent::Strained { buffered, limit: most, .. }] = said[..] else {
        panic!("{events:?}");
    };
    assert!(buffered == data.len() as u64 + 1 && buffered * 4 >= most * 3, "{said:?}");
    // More comes behind the gap, as far as it may: no news, and no credit.
    let (_, paused) = limit(&pair);
    assert!(paused >= granted);
    pair.b.take(&piece(id, 2 + data.len() as u64, b"xx"));
    assert_eq!(strained(&pair.b.events()), []);
    assert_eq!(limit(&pair).1, paused);
    pair.b.pass_to(10);
    let why = ended(&pair.b.events());
    let [(_, Stuck::Overflow { buffered: b, limit: l })] = why[..] else { panic!("{why:?}") };
    assert!(b == buffered + 2 && l > b, "{why:?}");
    assert_eq!(pair.b.stops()[0].code, StreamCode::BufferOverflow.app());
}

/// What it has beyond a first credit, and does not use, is asked back.
///
/// spec: R-STR-41 R-FLOW-21
#[test]
fn near_its_limit_a_stream_is_asked_for_what_it_does_not_use() {
    const GRANTED: u64 = 4_000_000;
    const CAME: usize = 3_000_000;
    let mut pair = Pair::with(64 * 1024 * 1024, WATCHED);
    let id = opened(&mut pair);
    let first = pair.b.recv.initial().max_stream_data;
    pair.b.recv(id).request(GRANTED);
    while pair.b.packet().is_some() {}
    pair.b.take(&piece(id, 1, &vec![7; CAME]));
    let packets = std::iter::from_fn(|| pair.b.packet());
    let sent: Vec<_> = packets.flat_map(|packet| packet.receipts).collect();
    let asked = GRANTED - CAME as u64 - 1 - first;
    assert_eq!(sent, [SentFrame::CreditRecall(CreditTarget::Stream(id), asked)]);
}

/// spec: R-STR-41
#[test]
fn a_gap_that_is_filled_ends_the_strain() {
    let mut pair = Pair::with(64 * 1024 * 1024, WATCHED);
    let id = opened(&mut pair);
    pair.b.take(&piece(id, 1, b"x"));
    let may = {
        let credit = pair.b.streams.credits().find(|credit| credit.id() == id).unwrap();
        credit.held() + credit.outstanding()
    };
    let data = vec![7; usize::try_from(may * 3 / 4).unwrap()];
    for round in 0..2 {
        let base = if round == 0 { 1 } else { 2 + data.len() as u64 + 1 };
        let whole = &data[..if round == 0 { data.len() } else { 10 }];
        pair.b.take(&piece(id, base + 1, whole));
        pair.b.take(&piece(id, base - 1, b"x"));
    }
    pair.b.take(&piece(id, 0, b"x"));
    let told = pair.b.events();
    let told = told.iter().filter(|event| matches!(event, StreamEvent::Strained { .. })).count();
    assert_eq!(told, 1);
    let mut read = 0;
    let mut stream = pair.b.recv(id);
    while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX) {
        read += chunk.data.len() as u64;
        stream.release(chunk.data.len() as u64);
    }
    drop(stream);
    assert!(read > may / 2);
    let credit = pair.b.streams.credits().find(|credit| credit.id() == id).unwrap();
    assert!(credit.limit() > may, "it is granted again: {} of {may}", credit.limit());
}

/// spec: R-STR-40, R-STR-41
#[test]
fn near_is_three_quarters_of_either_and_far_below_half_of_both() {
    let load = |buffered, ranges| Load { buffered, limit: 1000, ranges, max_ranges: 100 };
    for (buffered, ranges, near, far) in [
        (0, 0, false, true),
        (499, 49, false, true),
        (500, 49, false, false),
        (499, 50, false, false),
        (749, 74, false, false),
        (750, 0, true, false),
        (0, 75, true, false),
    ] {
        let load = load(buffered, ranges);
        assert_eq!((load.is_near(), load.is_far()), (near, far), "{load:?}");
    }
}

/// spec: R-STR-41
#[test]
fn a_strain_ends_with_the_only_gap() {
    let mut pair = Pair::with(64 * 1024 * 1024, WATCHED);
    let id = opened(&mut pair);
    pair.b.take(&piece(id, 1, b"x"));
    let credit = |pair: &Pair| {
        let credit = pair.b.streams.credits().find(|credit| credit.id() == id).unwrap();
        (credit.held() + credit.outstanding(), credit.limit())
    };
    let (may, _) = credit(&pair);
    let data = vec![7; usize::try_from(may * 3 / 4).unwrap()];
    pair.b.take(&piece(id, 2, &data));
    let (_, paused) = credit(&pair);
    let told = pair.b.events();
    assert!(told.iter().any(|event| matches!(event, StreamEvent::Strained { .. })), "{told:?}");
    // Nothing is left behind a gap, and what is held is one range.
    pair.b.take(&piece(id, 0, b"x"));
    let mut stream = pair.b.recv(id);
    while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX) {
        stream.release(chunk.data.len() as u64);
    }
    drop(stream);
    assert!(credit(&pair).1 > paused, "it is granted again: {:?}", credit(&pair));
}

/// Who is watched as one that is silent is looked at sooner once it leaves a gap.
///
/// spec: R-STR-43
#[test]
fn a_gap_shortens_the_time_that_a_silent_one_has() {
    let half = Some(PATIENCE / 2);
    let mut pair = Pair::with(64 * 1024 * 1024, StreamConfig { stuck_timeout: half, ..WATCHED });
    let id = opened(&mut pair);
    pair.b.take(&piece(id, 0, b"a word"));
    assert_eq!(pair.b.streams.deadline(), Some(START + PATIENCE));
    pair.b.pass_to(1);
    pair.b.take(&piece(id, 7, b"behind a gap"));
    assert_eq!(pair.b.streams.deadline(), Some(START + Duration::from_secs(6)));
    pair.b.pass_to(5);
    assert_eq!(ended(&pair.b.events()), []);
    pair.b.pass_to(6);
    assert_eq!(ended(&pair.b.events()), [(id, Stuck::Timeout)]);
}
