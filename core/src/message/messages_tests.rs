//! Tests of `messages.rs`.

use alloc::vec::Vec;

use arbitrary::Unstructured;
use proptest::prelude::*;

use super::*;
use crate::message::ops::messages::{Op, run};
use crate::script::rest;
use crate::wire::id::Side;

const LIMIT: u64 = 1000;
const SILENCE: Duration = Duration::from_secs(30);

fn messages() -> Messages {
    Messages::new(MessageLimits { max_size: LIMIT, max_partial: 3 })
}

const fn id(sequence: u64) -> StreamId {
    StreamId::new(Side::Initiator, Dir::Uni, sequence)
}

const fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn open(id: StreamId, size: Option<u64>) -> OpenFrame<'static> {
    let outgoing = Outgoing::new(Bytes::new(), 0).expect("empty");
    OpenFrame { size, ..outgoing.open(id) }
}

/// spec: R-MSG-6
#[test]
fn a_message_introduces_itself_with_protocol_and_size() {
    let outgoing = Outgoing::new(Bytes::from_static(b"twelve bytes"), 12).expect("at the limit");
    let open = outgoing.open(id(7));
    assert_eq!((open.id, open.protocol, open.size), (id(7), Protocol::Number(1), Some(12)));
    assert_eq!((open.start, open.end), (None, None));
    let mut m = messages();
    assert_eq!(m.on_open(&open, at(0)), Ok(None));
    assert_eq!(m.on_progress(id(7), 12, 12, None, at(1)), Ok(Some(Progress::Partial)));
    assert_eq!(m.take_whole(), None, "no end, no message");
    assert_eq!(m.on_progress(id(7), 12, 12, Some(12), at(2)), Ok(Some(Progress::Whole)));
    assert_eq!(m.on_progress(id(7), 12, 12, Some(12), at(3)), Ok(None), "once");
    assert!(m.is_readable());
    assert_eq!((m.take_whole(), m.take_whole()), (Some(id(7)), None));
}

/// spec: R-MSG-6
#[test]
fn messages_are_given_in_the_order_of_completion() {
    let mut m = messages();
    for n in 0..3 {
        m.on_open(&open(id(n), Some(n * 10)), at(0)).expect("room");
    }
    for n in [2, 0, 1] {
        let size = n * 10;
        m.on_progress(id(n), size, size, Some(size), at(0)).expect("whole");
    }
    assert_eq!([0; 3].map(|_| m.take_whole()), [Some(id(2)), Some(id(0)), Some(id(1))]);
    let mut m = messages();
    m.on_open(&open(id(0), Some(5)), at(0)).expect("room");
    m.on_reset(id(0));
    assert_eq!(m.on_progress(id(0), 5, 5, Some(5), at(0)), Ok(None), "a reset has no message");
    m.on_open(&open(id(1), Some(0)), at(0)).expect("room");
    m.on_progress(id(1), 0, 0, Some(0), at(0)).expect("an empty message is whole");
    assert!(m.is_readable());
    m.on_refused(id(1));
    assert!(!m.is_readable());
}

/// spec: R-MSG-7
#[test]
fn what_is_too_large_is_refused_at_home_in_open_and_on_the_way() {
    let said = Outgoing::new(Bytes::from_static(&[0; 13]), 12).expect_err("one too many");
    assert_eq!(said, TooLarge { size: 13, limit: 12 });
    let mut m = messages();
    let too_large = |size| RefuseMessage::TooLarge(TooLarge { size, limit: LIMIT });
    for size in [LIMIT + 1, 1 << 61] {
        assert_eq!(m.on_open(&open(id(0), Some(size)), at(0)), Err(too_large(size)));
        assert_eq!(m.partial(), 0);
    }
    m.on_open(&open(id(0), Some(LIMIT)), at(0)).expect("at the limit");
    m.on_open(&open(id(1), None), at(0)).expect("a size may be missing");
    assert_eq!(m.on_progress(id(1), 0, LIMIT, None, at(0)), Ok(Some(Progress::Partial)));
    let refused = m.on_progress(id(1), 0, LIMIT + 1, None, at(0));
    assert_eq!(refused, Err(too_large(LIMIT + 1)), "a gap counts");
    assert_eq!(m.on_progress(id(1), 0, 0, None, at(0)), Ok(None), "forgotten");
    m.on_open(&open(id(2), None), at(0)).expect("room");
    let refused = m.on_progress(id(2), 0, 0, Some(LIMIT + 1), at(0));
    assert_eq!(refused, Err(too_large(LIMIT + 1)));
}

/// spec: R-MSG-7
#[test]
fn a_message_that_ends_elsewhere_than_it_said_is_refused() {
    for (highest, end, size) in [(11, None, 11), (9, Some(9), 9), (10, Some(11), 11)] {
        let mut m = messages();
        m.on_open(&open(id(0), Some(10)), at(0)).expect("room");
        let refused = m.on_progress(id(0), 0, highest, end, at(0));
        assert_eq!(refused, Err(RefuseMessage::WrongSize { size, announced: 10 }));
        assert_eq!(m.partial(), 0);
    }
}

/// spec: R-MSG-8
#[test]
fn a_message_is_joined_only_when_it_is_whole() {
    let chunks = [&b"one"[..], b"", b"two", b"three"].map(Bytes::from_static);
    let message = Message::join(id(0), chunks);
    assert_eq!((message.id, message.data), (id(0), Bytes::from_static(b"onetwothree")));
    assert_eq!(Message::join(id(0), []).data, Bytes::new());
    let single = Bytes::from(alloc::vec![1; 100]);
    let joined = Message::join(id(0), [single.clone(), Bytes::new()]).data;
    assert_eq!(joined.as_ptr(), single.as_ptr(), "one chunk is not copied");
    // Until then nothing of it is here, whatever it says.
    let mut m = messages();
    for n in 0..1000 {
        m.on_open(&open(id(n), Some(LIMIT)), at(n)).expect("room");
        m.on_progress(id(n), LIMIT - 1, LIMIT - 1, None, at(n)).expect("legal");
    }
    assert!(m.partial() <= 3 && m.waiting.len() == m.partial());
}

/// Never-completed messages without end: what is held stays small, and honest ones pass between
/// them.
///
/// spec: R-MSG-9
#[test]
fn too_many_incomplete_messages_make_the_most_silent_give_way() {
    let mut m = messages();
    for n in 0..3 {
        assert_eq!(m.on_open(&open(id(n), Some(9)), at(n)), Ok(None));
    }
    m.on_progress(id(0), 5, 5, None, at(10)).expect("legal");
    m.on_progress(id(1), 0, 9, None, at(11)).expect("legal");
    assert_eq!(
        m.on_open(&open(id(3), None), at(20)),
        Ok(Some(Evicted(id(1)))),
        "a gap is no progress"
    );
    assert_eq!(m.on_progress(id(1), 9, 9, Some(9), at(21)), Ok(None));
    assert_eq!((m.partial(), m.evicted()), (3, 1));
    let mut honest = 0;
    for n in 4..100_000 {
        m.on_open(&open(id(n), Some(9)), at(n * 10)).expect("room");
        if n % 100 == 0 {
            m.on_progress(id(n), 4, 4, None, at(n * 10 + 1)).expect("legal");
            m.on_open(&open(id(1_000_000 + n), None), at(n * 10 + 2)).expect("room");
            let whole = m.on_progress(id(n), 9, 9, Some(9), at(n * 10 + 3)).expect("legal");
            assert_eq!(whole, Some(Progress::Whole));
            assert_eq!(m.take_whole(), Some(id(n)));
            honest += 1;
        }
        assert!(m.partial() <= 3);
    }
    assert_eq!(honest, 999);
}

/// spec: R-MSG-6
#[test]
fn a_second_introduction_is_the_same_message() {
    let mut m = messages();
    for n in 0..5 {
        assert_eq!(m.on_open(&open(id(0), Some(9)), at(n)), Ok(None));
    }
    assert_eq!((m.partial(), m.deadline(SILENCE)), (1, Some(at(0) + SILENCE)));
    assert_eq!(m.on_deadline(SILENCE, at(0) + SILENCE), Some(Evicted(id(0))));
    assert_eq!((m.on_deadline(SILENCE, at(0) + SILENCE), m.partial()), (None, 0));
}

/// All of it is there: that its sender gives up says nothing any more.
///
/// spec: R-MSG-6
#[test]
fn what_is_whole_outlives_its_reset() {
    let mut m = messages();
    for n in [0, 1] {
        m.on_open(&open(id(n), Some(9)), at(n)).expect("room");
        let whole = m.on_progress(id(n), 9, 9, Some(9), at(5)).expect("legal");
        assert_eq!(whole, Some(Progress::Whole));
        m.on_reset(id(n));
    }
    m.on_refused(id(0));
    assert_eq!((m.take_whole(), m.take_whole()), (Some(id(1)), None));
}

/// spec: R-MSG-9
#[test]
fn a_silent_message_gives_way_after_its_time() {
    let mut m = messages();
    assert_eq!(m.deadline(SILENCE), None);
    m.on_open(&open(id(0), None), at(0)).expect("room");
    m.on_open(&open(id(1), None), at(5)).expect("room");
    m.on_progress(id(0), 1, 1, None, at(100)).expect("legal");
    assert_eq!(m.deadline(SILENCE), Some(at(30_005)));
    assert_eq!(m.on_deadline(SILENCE, at(30_004)), None);
    assert_eq!(m.on_deadline(SILENCE, at(30_005)), Some(Evicted(id(1))));
    assert_eq!(m.on_deadline(SILENCE, at(30_005)), None);
    m.on_progress(id(0), 1, 9, None, at(30_050)).expect("legal");
    assert_eq!(m.deadline(SILENCE), Some(at(30_100)), "the same bytes again are no progress");
    assert_eq!(m.on_deadline(SILENCE, at(30_100)), Some(Evicted(id(0))));
    assert_eq!((m.deadline(SILENCE), m.evicted()), (None, 2));
}

/// spec: R-MSG-10
#[test]
fn a_stream_that_cannot_be_a_message_is_refused() {
    let mut m = messages();
    let usual = open(id(0), Some(1));
    let bidi = OpenFrame { id: StreamId::new(Side::Initiator, Dir::Bi, 0), ..usual.clone() };
    let late = OpenFrame { start: Some(1), ..usual.clone() };
    let cut = OpenFrame { end: Some(1), ..usual.clone() };
    for wrong in [bidi, late, cut] {
        assert_eq!(m.on_open(&wrong, at(0)), Err(RefuseMessage::NotAMessage));
    }
    assert_eq!(m.on_open(&usual, at(0)), Ok(None));
}

proptest! {
    /// Against a plain table of streams.
    ///
    /// spec: R-MSG-6 R-MSG-7
    #[test]
    fn messages_agree_with_a_table(
        bytes in proptest::collection::vec(any::<u8>(), 0..700),
        steps in proptest::collection::vec((0..9_u8, any::<u8>(), 0..600_u16, any::<bool>()), 0..99),
    ) {
        let mut ops: Vec<Op> = rest(&mut Unstructured::new(&bytes)).expect("always");
        ops.extend(steps.into_iter().map(|(verb, of, size, yes)| match verb {
            0..3 => Op::Open { size: (of % 3 > 0).then_some(size), bidi: false },
            3..7 => Op::Progress { of, more: size, ahead: 0, end: yes },
            7 => Op::Take,
            _ => Op::Wait(of / 4),
        }));
        run(&ops);
    }
}
