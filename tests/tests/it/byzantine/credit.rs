//! Credit that is asked back and given back beyond reason, limits that shrink, limits at the most.

use std::time::Duration;

use aqueduct_core::error::TransportCode as Code;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::frame::Frame;
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::byzantine::{Duel, Role, numbers};
use aqueduct_tests::transfer::{Writer, text};

use crate::extremes::kind;

const MAX: u64 = (1 << 62) - 1;

/// Nobody asked for anything back, so nothing can be given back.
///
/// spec: R-FLOW-20
#[test]
fn giving_back_what_nobody_asked_for() {
    for role in [Role::Dials, Role::Answers] {
        let mut template = Duel::new(role);
        let id = template.stream(Dir::Uni, 0);
        template.say_raw(&numbers(&[kind::OPEN, id.0, 0, 9, 0]));
        for target in [0, 1, 2, id.0 + 3, template.stream(Dir::Bi, 1).0 + 3] {
            let mut nothing = template.clone();
            nothing.say_raw(&numbers(&[kind::CREDIT_RETURNED, target, 0]));
            assert_eq!(nothing.ended(), None, "{target}");
            for total in [1, 16_384, 1 << 40, MAX] {
                let mut duel = template.clone();
                duel.say_raw(&numbers(&[kind::CREDIT_RETURNED, target, total]));
                assert_eq!(duel.violation(), Some(Code::FlowControl), "{target} {total}");
            }
        }
    }
}

/// All that was granted is asked back: what is given back is said, and nothing more is sent.
///
/// spec: R-FLOW-19
#[test]
fn asking_back_beyond_reason() {
    for target in [0, 3] {
        for total in [1, 1_000_000, 1 << 40, MAX] {
            let mut duel = Duel::new(Role::Answers);
            let handle = duel.handle.expect("a connection");
            let mut view = duel.endpoint.connection(handle).expect("it lives");
            let id = view.open(Dir::Bi, OpenOptions::new(StreamProtocol::Number(9))).expect("room");
            assert_eq!(id.0, 0, "the first");
            view.send(id).expect("a stream").write(text(100)).expect("room");
            drop(view);
            duel.pump();
            duel.say_raw(&numbers(&[kind::CREDIT_RECALL, target, total]));
            assert_eq!(duel.ended(), None, "{target} {total}");
            let returned = duel
                .last_heard()
                .iter()
                .flat_map(|heard| {
                    heard
                        .frames()
                        .filter_map(|frame| match frame {
                            Frame::CreditReturned { total, .. } => Some(total),
                            _ => None,
                        })
                        .collect::<Vec<_>>()
                })
                .max();
            let most = if target == 0 { total } else { total.min(16_384 - 100) };
            assert_eq!(returned, Some(most), "{target} {total}");
            // What is written now goes only as far as is left.
            let mut view = duel.endpoint.connection(handle).expect("it lives");
            view.send(id).expect("a stream").write(text(100_000)).expect("room");
            drop(view);
            for _ in 0..20 {
                duel.pass(Duration::from_millis(30));
                duel.ack();
            }
            let limit = 16_384 - if target == 3 { most } else { 0 };
            let allowed = (100 * 16_384u64).saturating_sub(if target == 0 { most } else { 0 });
            let sent = highest(&mut duel);
            assert!(sent <= limit.min(allowed.max(100)), "{target} {total}: {sent}");
            assert_eq!(duel.ended(), None);
        }
    }
}

fn highest(duel: &mut Duel) -> u64 {
    let heard = duel.last_heard();
    let ends = heard.iter().flat_map(|heard| {
        heard
            .frames()
            .filter_map(|frame| match frame {
                Frame::Stream(stream) => Some(stream.offset + stream.data.len() as u64),
                _ => None,
            })
            .collect::<Vec<_>>()
    });
    ends.max().unwrap_or(0)
}

/// Counts of streams are asked back to the last; new ones come only when they are given again.
///
/// spec: R-FLOW-19
#[test]
fn asking_back_all_streams() {
    for (target, dir) in [(1, Dir::Bi), (2, Dir::Uni)] {
        let mut duel = Duel::new(Role::Dials);
        duel.say_raw(&numbers(&[kind::CREDIT_RECALL, target, MAX]));
        let handle = duel.handle.expect("a connection");
        let mut view = duel.endpoint.connection(handle).expect("it lives");
        let options = || OpenOptions::new(StreamProtocol::Number(9));
        assert!(view.open(dir, options()).is_err(), "{dir:?}");
        drop(view);
        let raise = if dir == Dir::Bi { kind::MAX_STREAMS_BI } else { kind::MAX_STREAMS_UNI };
        duel.say_raw(&numbers(&[raise, 51]));
        let mut view = duel.endpoint.connection(handle).expect("it lives");
        assert!(view.open(dir, options()).is_ok(), "{dir:?}, one more was given");
        assert!(view.open(dir, options()).is_err(), "{dir:?}");
    }
}

/// Limits only grow: a smaller one is an old one.
///
/// spec: R-FLOW-9
#[test]
fn limits_that_shrink_are_old() {
    let mut duel = Duel::new(Role::Dials);
    let handle = duel.handle.expect("a connection");
    let mut writer = Writer::open(&mut duel.endpoint, handle, text(200_000));
    let id = writer.stream.0;
    duel.pump();
    duel.say_raw(&numbers(&[kind::MAX_STREAM_DATA, id, MAX]));
    duel.say_raw(&numbers(&[kind::MAX_DATA, MAX]));
    for shrunk in [0, 1, 16_384, MAX - 1] {
        duel.say_raw(&numbers(&[kind::MAX_STREAM_DATA, id, shrunk]));
        duel.say_raw(&numbers(&[kind::MAX_DATA, shrunk]));
        duel.say_raw(&numbers(&[kind::MAX_STREAMS_UNI, shrunk.min(1 << 60)]));
    }
    for _ in 0..100 {
        duel.pass(Duration::from_millis(10));
        writer.pump(&mut duel.endpoint);
        duel.ack();
    }
    assert_eq!(highest(&mut duel), 200_000, "all of it was sent");
    assert_eq!(duel.ended(), None);
}

/// Claims to be blocked, by the thousand, move no limit past what the budget covers.
#[test]
fn claims_to_be_blocked() {
    let mut duel = Duel::new(Role::Dials);
    let id = duel.stream(Dir::Uni, 0);
    duel.say_raw(&numbers(&[kind::OPEN, id.0, 0, 9, 0]));
    let before = duel.stats().credit_granted;
    for round in 0..2_000u64 {
        let limit = [0, 16_384, round, MAX][(round % 4) as usize];
        duel.say_raw(&numbers(&[
            kind::DATA_BLOCKED,
            limit,
            kind::STREAM_DATA_BLOCKED,
            id.0,
            limit,
            kind::STREAMS_BLOCKED_BI,
            limit.min(1 << 60),
            kind::STREAMS_BLOCKED_UNI,
            limit.min(1 << 60),
        ]));
        assert_eq!(duel.ended(), None);
    }
    let after = duel.stats().credit_granted;
    println!("credit granted: {before} before, {after} after");
    assert!(after <= 256 * 16_384 + before, "{after}");
}
