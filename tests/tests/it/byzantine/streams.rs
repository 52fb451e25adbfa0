//! Streams that nobody allowed, in a direction that is none, past their credit, past their end.

use aqueduct_core::config::TransportConfig;
use aqueduct_core::endpoint::EventKind;
use aqueduct_core::error::TransportCode as Code;
use aqueduct_core::wire::frame::{Frame, StreamFrame};
use aqueduct_core::wire::id::{Dir, StreamId};
use aqueduct_core::wire::params::Params;
use aqueduct_tests::byzantine::{Duel, Role, frames_of, honest, numbers};

use crate::extremes::kind;

const MAX: u64 = (1 << 62) - 1;

/// Every frame that names a stream of the sender's, and what it is called. `sending`: the frame is the
/// sending end's.
fn doors(id: StreamId, sending: bool) -> Vec<(&'static str, Vec<u8>)> {
    let id = id.0;
    if sending {
        vec![
            ("STREAM", [numbers(&[kind::STREAM, id, 0, 1]), b"x".to_vec()].concat()),
            ("STREAM, FIN alone", numbers(&[kind::STREAM_FIN, id, 0, 0])),
            ("OPEN", numbers(&[kind::OPEN, id, 0, 9, 0])),
            ("RESET", numbers(&[kind::RESET, id, 0, 0, 0, 0])),
            ("SKIP", numbers(&[kind::SKIP, id, 0, 1])),
            ("STREAM_DATA_BLOCKED", numbers(&[kind::STREAM_DATA_BLOCKED, id, 0])),
            ("CREDIT_RETURNED", numbers(&[kind::CREDIT_RETURNED, id + 3, 0])),
        ]
    } else {
        vec![
            ("STOP", numbers(&[kind::STOP, id, 0, 0])),
            ("MAX_STREAM_DATA", numbers(&[kind::MAX_STREAM_DATA, id, 1 << 40])),
            ("CREDIT_RECALL", numbers(&[kind::CREDIT_RECALL, id + 3, 1 << 40])),
        ]
    }
}

fn all_doors(id: StreamId) -> Vec<(&'static str, Vec<u8>)> {
    let back = if id.dir() == Dir::Bi { doors(id, false) } else { Vec::new() };
    [doors(id, true), back].concat()
}

/// spec: R-FLOW-16
#[test]
fn the_count_of_streams_holds_at_every_door() {
    for role in [Role::Dials, Role::Answers] {
        for dir in [Dir::Bi, Dir::Uni] {
            let template = Duel::new(role);
            let allowed = match dir {
                Dir::Bi => template.allowed().max_streams_bidi,
                Dir::Uni => template.allowed().max_streams_uni,
            };
            for (what, frame) in all_doors(template.stream(dir, allowed - 1)) {
                let mut duel = template.clone();
                duel.say_raw(&frame);
                assert_eq!(duel.ended(), None, "{role:?} {dir:?} {what}, the last allowed");
            }
            for sequence in [allowed, allowed + 1, (1 << 60) - 2] {
                for (what, frame) in all_doors(template.stream(dir, sequence)) {
                    let mut duel = template.clone();
                    duel.say_raw(&frame);
                    let code = duel.violation();
                    assert_eq!(code, Some(Code::StreamLimit), "{role:?} {dir:?} {what} {sequence}");
                    assert_eq!(duel.events.iter().filter(|e| is_stream(e)).count(), 0);
                }
            }
        }
    }
}

fn is_stream(event: &EventKind) -> bool {
    matches!(event, EventKind::StreamAvailable | EventKind::Readable(_))
}

#[test]
fn frames_for_streams_that_the_receiver_never_opened() {
    for role in [Role::Dials, Role::Answers] {
        let template = Duel::new(role);
        for dir in [Dir::Bi, Dir::Uni] {
            for sequence in [0, 1 << 30, (1 << 60) - 2] {
                let id = template.honest_stream(dir, sequence);
                for (what, frame) in [doors(id, true), doors(id, false)].concat() {
                    let mut duel = template.clone();
                    duel.say_raw(&frame);
                    assert_eq!(duel.violation(), Some(Code::StreamState), "{role:?} {id:?} {what}");
                }
            }
        }
    }
}

#[test]
fn frames_against_a_streams_direction() {
    let template = Duel::new(Role::Dials);
    for (what, frame) in doors(template.stream(Dir::Uni, 0), false) {
        let mut duel = template.clone();
        duel.say_raw(&frame);
        assert_eq!(duel.violation(), Some(Code::StreamState), "{what}");
    }
}

fn stream(id: StreamId, offset: u64, data: &[u8], fin: bool) -> Frame<'_> {
    Frame::Stream(StreamFrame { id, offset, data, fin })
}

fn open(duel: &mut Duel, id: StreamId) {
    duel.say_raw(&numbers(&[kind::OPEN, id.0, 0, 9, 0]));
}

/// Everything that claims a highest offset of `end`.
fn claims(id: StreamId, end: u64) -> Vec<(&'static str, Vec<u8>)> {
    let id = id.0;
    vec![
        ("STREAM", [numbers(&[kind::STREAM, id, end - 1, 1]), b"x".to_vec()].concat()),
        ("FIN", numbers(&[kind::STREAM_FIN, id, end, 0])),
        ("SKIP", numbers(&[kind::SKIP, id, 0, end])),
        ("RESET", numbers(&[kind::RESET, id, 0, 0, end, 0])),
        ("RESET, reliable", numbers(&[kind::RESET, id, 0, 0, end, end])),
    ]
}

/// spec: R-FLOW-7, R-FLOW-8
#[test]
fn credit_of_a_stream_holds_at_every_door() {
    for role in [Role::Dials, Role::Answers] {
        for announced in [true, false] {
            for dir in [Dir::Bi, Dir::Uni] {
                let mut template = Duel::new(role);
                let id = template.stream(dir, 0);
                if announced {
                    open(&mut template, id);
                }
                let credit = template.allowed().initial_max_stream_data;
                for (what, frame) in claims(id, credit) {
                    let mut duel = template.clone();
                    duel.say_raw(&frame);
                    assert_eq!(duel.ended(), None, "{role:?} {dir:?} {what} at the limit");
                }
                for end in [credit + 1, 1 << 32, MAX] {
                    for (what, frame) in claims(id, end) {
                        let mut duel = template.clone();
                        duel.say_raw(&frame);
                        let code = duel.violation();
                        assert_eq!(code, Some(Code::FlowControl), "{role:?} {dir:?} {what} {end}");
                    }
                }
            }
        }
    }
}

/// spec: R-FLOW-8
#[test]
fn a_final_size_is_final() {
    let mut template = Duel::new(Role::Dials);
    let id = template.stream(Dir::Uni, 0);
    open(&mut template, id);
    template.say(&[stream(id, 10, &[7; 10], false)]);
    let ends: [(&str, Vec<u8>); 2] = [
        ("FIN", numbers(&[kind::STREAM_FIN, id.0, 30, 0])),
        ("RESET", numbers(&[kind::RESET, id.0, 0, 0, 30, 0])),
    ];
    for (how, end) in &ends {
        let mut ended = template.clone();
        ended.say_raw(end);
        ended.say_raw(end);
        assert_eq!(ended.ended(), None, "{how} said twice");
        let wrong = claims(id, 31).into_iter().chain(claims(id, 29).into_iter().skip(1));
        for (what, frame) in wrong.filter(|(what, _)| *what != "SKIP" || how == &"FIN") {
            let mut duel = ended.clone();
            duel.say_raw(&frame);
            let harmless = what == "SKIP" && frame == claims(id, 29)[2].1;
            let expected = (!harmless).then_some(Code::FinalSize);
            assert_eq!(duel.violation(), expected, "{what} after {how} at 30");
        }
    }
    for below in
        [numbers(&[kind::STREAM_FIN, id.0, 19, 0]), numbers(&[kind::RESET, id.0, 0, 0, 0, 0])]
    {
        let mut duel = template.clone();
        duel.say_raw(&below);
        assert_eq!(duel.violation(), Some(Code::FinalSize), "below what was sent");
    }
}

/// A stream that is read to its end and gone takes no frame for a new one.
#[test]
fn a_stream_that_is_over_stays_over() {
    let mut duel = Duel::new(Role::Dials);
    let id = duel.stream(Dir::Uni, 0);
    open(&mut duel, id);
    duel.say(&[stream(id, 0, b"all of it", true)]);
    let handle = duel.handle.expect("a connection");
    let mut view = duel.endpoint.connection(handle).expect("it lives");
    assert_eq!(view.accept(), Some(id));
    let mut body = view.recv(id).expect("a stream");
    let chunk = body.read_chunk(100).expect("bytes").expect("a chunk");
    assert_eq!(&chunk.data[..], b"all of it");
    body.release(9);
    assert_eq!(body.read_chunk(100).expect("an end"), None);
    drop(body);
    drop(view);
    let before = duel.stats().streams;
    for (what, frame) in doors(id, true) {
        duel.say_raw(&frame);
        assert_eq!(duel.ended(), None, "{what}");
    }
    assert_eq!(duel.stats().streams, before);
    assert!(duel.endpoint.connection(handle).expect("it lives").accept().is_none());
}

/// Two versions of the same bytes: whatever was taken first is what is read, and never a mixture.
#[test]
fn overlapping_bytes_that_differ() {
    let mut duel = Duel::new(Role::Dials);
    let id = duel.stream(Dir::Uni, 0);
    open(&mut duel, id);
    duel.say(&[stream(id, 2, b"22", false), stream(id, 0, b"1111", false)]);
    duel.say(&[stream(id, 0, b"33333", true)]);
    let handle = duel.handle.expect("a connection");
    let mut view = duel.endpoint.connection(handle).expect("it lives");
    let mut body = view.recv(id).expect("a stream");
    let mut read = Vec::new();
    loop {
        match body.read_chunk(100) {
            Ok(Some(chunk)) => read.extend_from_slice(&chunk.data),
            Ok(None) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(read, b"11223", "the first copy of each byte");
}

/// How many of a hundred crumbs with gaps between are taken.
fn crumbs_taken(transport: TransportConfig) -> usize {
    let config = honest().with_transport(transport);
    let mut duel = Duel::with(config, Role::Dials, &Params::default());
    let id = duel.stream(Dir::Uni, 0);
    open(&mut duel, id);
    for crumb in 0..100 {
        duel.say(&[stream(id, 2 * crumb + 1, b"x", false), Frame::Ping]);
    }
    assert_eq!(duel.ended(), None);
    let handle = duel.handle.expect("a connection");
    let mut view = duel.endpoint.connection(handle).expect("it lives");
    let mut body = view.recv(id).expect("a stream");
    std::iter::from_fn(|| body.take_any(1).ok().flatten()).count()
}

/// spec: R-FLOW-13
#[test]
fn how_many_crumbs_are_kept_apart_is_configured() {
    assert_eq!(crumbs_taken(TransportConfig::default()), 100);
    // More than one for each 1,200 bytes of its window.
    for ranges in [40, 60] {
        let transport = TransportConfig::default().with_stream_ranges(ranges).unwrap();
        assert_eq!(crumbs_taken(transport) as u64, ranges);
    }
}

/// How many packets the last ACK names that was heard since this was asked last.
fn acked(duel: &mut Duel) -> u64 {
    let heard = duel.last_heard();
    let acks = heard.iter().flat_map(|heard| heard.frames()).filter_map(|frame| match frame {
        Frame::Ack(ack) => Some(ack.ranges().map(|range| range.end - range.start).sum()),
        _ => None,
    });
    acks.last().expect("an ACK")
}

/// Fragments of a byte with gaps of a byte, over all streams that there may be: of each stream as many
/// are kept as ranges are allowed, their places are charged, and beyond their number a packet is not
/// acknowledged. What fills the gaps is taken all the same.
///
/// spec: R-FLOW-3, R-FLOW-13
#[test]
fn crumbs_with_gaps_are_bounded() {
    const CRUMBS: u64 = 2_000;
    // A stream's ranges, and those of them that are free.
    const RANGES: u64 = 1_000;
    const FREE: u64 = 16;
    // What each further one costs, and a stream itself, at most.
    const PLACE: u64 = 32;
    const RECORD: u64 = 4_096;
    let mut duel = Duel::new(Role::Dials);
    let (handle, allowed) = (duel.handle.expect("a connection"), duel.allowed());
    assert!(allowed.initial_max_stream_data > 2 * CRUMBS, "room for the crumbs: {allowed:?}");
    let kinds = [(Dir::Bi, allowed.max_streams_bidi), (Dir::Uni, allowed.max_streams_uni)];
    let streams: Vec<_> = kinds
        .into_iter()
        .flat_map(|(dir, count)| (0..count).map(move |sequence| (dir, sequence)))
        .map(|(dir, sequence)| duel.stream(dir, sequence))
        .collect();
    for id in &streams {
        open(&mut duel, *id);
        for crumb in 0..CRUMBS {
            duel.say(&[stream(*id, 2 * crumb + 1, b"x", false)]);
        }
        assert!(!frames_of(&duel.last_heard()).contains("Close"));
    }
    duel.say(&[Frame::Ping, Frame::Ping]);
    duel.pass(std::time::Duration::from_millis(100));
    let (count, refused) = (streams.len() as u64, duel.peer.number - acked(&mut duel));
    let held = duel.stats().bytes_held;
    println!("{count} streams: {held} bytes held for {} crumbs of each", CRUMBS);
    assert_eq!(refused, count * (CRUMBS - RANGES), "packets that are not acknowledged");
    // A gap is paid for with what lies above it, and a range with its place.
    let least = 2 * RANGES + (RANGES - FREE) * PLACE;
    assert!((least * count..=(least + RECORD) * count).contains(&held), "{held}");
    let mut copy = duel.clone();
    for id in &streams {
        let mut view = copy.endpoint.connection(handle).expect("it lives");
        let mut body = view.recv(*id).expect("a stream");
        let kept = std::iter::from_fn(|| body.take_any(1).ok().flatten()).count();
        assert_eq!(kept as u64, RANGES, "{id:?}");
    }
    // What was not taken is taken as soon as it joins.
    for id in &streams {
        for start in (0..2 * CRUMBS).step_by(1_000) {
            duel.say(&[stream(*id, start, &[b'x'; 1_000], false)]);
        }
        let mut view = duel.endpoint.connection(handle).expect("it lives");
        let mut body = view.recv(*id).expect("a stream");
        assert_eq!(body.contiguous_end(), 2 * CRUMBS);
        let mut read = 0;
        while let Ok(Some(chunk)) = body.read_chunk(usize::MAX) {
            assert!(chunk.data.iter().all(|byte| *byte == b'x'));
            read += chunk.data.len() as u64;
        }
        assert_eq!(read, 2 * CRUMBS);
    }
    assert!(!frames_of(&duel.last_heard()).contains("Close"));
}
