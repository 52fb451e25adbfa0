//! Bodies in streams.

use std::thread;

use aqueduct_std::{AppCode, OpenOptions, ReadError, WriteError};

use crate::node::{Flow, Inlet, Link, Node, Outlet, connect, options, pair, pattern};

const MIB: usize = 1 << 20;

pub(crate) fn a_body_comes_back<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let (mut send, mut recv) = pair.near.open_bi(OpenOptions { size: Some(5), ..options() });
    send.put(b"hello").unwrap();
    send.finish().unwrap();
    let (mut back, mut said) = pair.far.accept_bi().unwrap();
    assert_eq!(said.info().and_then(|info| info.size), Some(5));
    let body = said.all(100).unwrap();
    back.put(&body).unwrap();
    back.delivered().unwrap();
    assert_eq!(recv.all(100).unwrap(), &b"hello"[..]);
    send.delivered().unwrap();
}

pub(crate) fn large_bodies_cross_both_ways_at_once<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let body = pattern(8 * MIB);
    let (mut send, mut recv) = pair.near.open_bi(options());
    thread::scope(|scope| {
        scope.spawn(|| {
            for part in body.chunks(100_000) {
                send.put(part).unwrap();
            }
            send.delivered().unwrap();
        });
        scope.spawn(|| {
            let (mut back, mut said) = pair.far.accept_bi().unwrap();
            let mut at = 0;
            while let Some(part) = said.some(MIB).unwrap() {
                assert!(body[at..].starts_with(&part), "at {at}");
                at += part.len();
                back.put(&part).unwrap();
            }
            assert_eq!(at, body.len());
            back.delivered().unwrap();
        });
        assert!(recv.all(body.len()).unwrap() == body, "another body came back");
    });
}

/// From the last part to the first, each larger than the window of a reader that has read nothing:
/// what fills a gap overtakes what has no credit.
///
/// spec: R-STR-21
pub(crate) fn a_body_may_be_written_from_behind<C: Node, S: Node>() {
    const PART: usize = 300_000;
    let pair = pair::<C, S>();
    let body = pattern(8 * PART);
    let mut send = pair.near.open_uni(OpenOptions { start: 7, ..options() });
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut recv = pair.far.accept_uni().unwrap();
            assert_eq!(recv.info().unwrap().start, 7);
            recv.all(body.len())
        });
        send.put(b"").unwrap();
        for (number, part) in body.chunks(PART).enumerate().skip(1).step_by(2) {
            send.put_at(7 + (number * PART) as u64, part).unwrap();
        }
        send.finish().unwrap();
        for (number, part) in body.chunks(PART).enumerate().step_by(2) {
            send.put_at(7 + (number * PART) as u64, part).unwrap();
        }
        send.delivered().unwrap();
        assert!(reading.join().unwrap().unwrap() == body, "another body arrived");
    });
}

/// spec: R-STR-15
pub(crate) fn what_is_skipped_is_an_error_that_names_it<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let mut send = pair.near.open_uni(options());
    send.put(b"head").unwrap();
    send.put_at(10, b"tail").unwrap();
    assert_eq!(send.put_at(12, b"more"), Err(WriteError::Overlap(12..16)));
    send.skip(2..10).unwrap();
    // The far end gives the stream up as soon as it hears of the gap: that may come first.
    let stopped = |end: &Result<(), WriteError>| matches!(end, Err(WriteError::Stopped { .. }));
    let late = send.put_at(4, b"late");
    assert!(late == Err(WriteError::Overlap(4..8)) || stopped(&late), "{late:?}");
    let more = send.put(b"!");
    assert!(more.is_ok() || stopped(&more), "{more:?}");
    let mut recv = pair.far.accept_uni().unwrap();
    assert_eq!(recv.peek(4).unwrap(), &b"head"[..]);
    assert_eq!(recv.all(100), Err(ReadError::Skipped(4..10)));

    let mut send = pair.near.open_uni(OpenOptions { start: 5, end: Some(9), ..options() });
    let outside = |offsets| Err(WriteError::OutOfBounds { offsets, body: 5..9 });
    assert_eq!(send.put_at(4, b"x"), outside(4..5));
    assert_eq!(send.put(b"too much"), outside(5..13));
    assert_eq!(send.skip(8..10), outside(8..10));
    send.put_at(6, b"678").unwrap();
    send.finish().unwrap();
    assert_eq!(send.put(b"x"), Err(WriteError::Finished));
    send.put_at(5, b"5").unwrap();
    assert_eq!(pair.far.accept_uni().unwrap().all(100).unwrap(), &b"5678"[..]);
}

/// What is skipped at the end of a body is missing as well, and all of it may be.
///
/// spec: R-STR-15
pub(crate) fn a_body_whose_tail_is_skipped_has_no_end<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    for head in [&b"0123456789"[..], b""] {
        let at = head.len() as u64;
        let mut send = pair.near.open_uni(options());
        send.put(head).unwrap();
        send.skip(at..20).unwrap();
        send.finish().unwrap();
        let mut recv = pair.far.accept_uni().unwrap();
        let mut fork = recv.fork();
        assert_eq!(recv.all(100), Err(ReadError::Skipped(at..20)));
        if !head.is_empty() {
            assert_eq!(fork.some(100).unwrap().unwrap(), head);
        }
        assert_eq!(fork.some(100), Err(ReadError::Skipped(at..20)));
    }
}

/// A body with a gap has no end that a reader could find.
pub(crate) fn who_leaves_a_gap_has_given_the_stream_up<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let mut send = pair.near.open_uni(options());
    send.put(b"head").unwrap();
    send.put_at(10, b"tail").unwrap();
    send.finish().unwrap();
    let mut recv = pair.far.accept_uni().unwrap();
    assert_eq!(recv.peek(4).unwrap(), &b"head"[..]);
    drop(send);
    assert_eq!(recv.all(100), Err(ReadError::Reset { code: AppCode(0), hop: 0 }));
}

pub(crate) fn many_streams_at_once<C: Node, S: Node>() {
    const STREAMS: usize = 150;
    let pair = pair::<C, S>();
    thread::scope(|scope| {
        // More than may be open at a time: opening waits for those that end.
        let opening = scope.spawn(|| {
            let mut open = Vec::new();
            for number in 0..STREAMS {
                let (mut send, recv) = pair.near.open_bi(options());
                send.put(&pattern(number * 20)).unwrap();
                send.finish().unwrap();
                open.push((number, recv));
                if open.len() == 50 {
                    open.drain(..).for_each(check);
                }
            }
            open.into_iter().for_each(check);
        });
        for _ in 0..STREAMS {
            let (mut send, mut recv) = pair.far.accept_bi().unwrap();
            scope.spawn(move || {
                let body = recv.all(10_000).unwrap();
                send.put(&body).unwrap();
                send.finish().unwrap();
            });
        }
        opening.join().unwrap();
    });
    fn check<R: Inlet>((number, mut recv): (usize, R)) {
        assert!(recv.all(10_000).unwrap() == pattern(number * 20), "stream {number}");
    }
}

pub(crate) fn a_stream_of_one_direction_has_an_end<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    for len in [0, 1, 70_000] {
        let body = pattern(len);
        let mut send = pair.near.open_uni(options());
        send.put(&body).unwrap();
        send.finish().unwrap();
        let mut recv = pair.far.accept_uni().unwrap();
        let mut got = Vec::new();
        while let Some(part) = recv.some(1_000).unwrap() {
            assert!((1..=1_000).contains(&part.len()));
            got.extend_from_slice(&part);
        }
        assert!(got == body, "{len} bytes");
        assert_eq!(recv.some(1).unwrap(), None, "the end stays the end");
    }
}

pub(crate) fn what_is_peeked_is_still_there<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let mut send = pair.near.open_uni(options());
    send.put(b"head").unwrap();
    let mut recv = pair.far.accept_uni().unwrap();
    assert_eq!(recv.peek(4).unwrap(), &b"head"[..]);
    send.put(b"body").unwrap();
    send.finish().unwrap();
    assert_eq!(recv.peek(100).unwrap(), &b"headbody"[..]);
    assert_eq!(recv.all(100).unwrap(), &b"headbody"[..]);
}

pub(crate) fn forks_read_each_by_itself<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let body = pattern(3 * MIB);
    let mut send = pair.near.open_uni(options());
    thread::scope(|scope| {
        scope.spawn(|| {
            for part in body.chunks(100_000) {
                send.put(part).unwrap();
            }
            send.delivered().unwrap();
        });
        let recv = pair.far.accept_uni().unwrap();
        for max in [1_000, 100_000, usize::MAX] {
            let mut fork = recv.fork();
            let body = &body;
            scope.spawn(move || {
                let mut at = 0;
                while let Some(part) = fork.some(max).unwrap() {
                    assert!(body[at..].starts_with(&part), "at {at}");
                    at += part.len();
                }
                assert_eq!(at, body.len());
            });
        }
        drop(recv);
    });
}

/// The node in between is of the server's kind.
pub(crate) fn a_stream_flows_through_a_node_in_between<C: Node, S: Node>() {
    let (source, middle, sink) = (C::new(), S::new(), C::new());
    let (out, inn) = connect(&source, &middle);
    let (on, end) = connect(&middle, &sink);
    let body = pattern(2 * MIB);
    let mut send = out.open_uni(options());
    thread::scope(|scope| {
        scope.spawn(|| {
            send.put(&body).unwrap();
            send.delivered().unwrap();
        });
        let from = inn.accept_uni().unwrap();
        let leg = from.info().unwrap().forwarded().unwrap();
        let pipe = middle.pipe(from, on.open_uni(leg));
        let mut recv = end.accept_uni().unwrap();
        assert!(recv.all(body.len()).unwrap() == body, "another body arrived");
        assert_eq!(pipe.ended().unwrap().received, body.len() as u64);
    });
}
