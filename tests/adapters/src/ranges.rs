//! Bytes that a receiver asks a relay for once more.

use std::thread;

use aqueduct_std::relay::{Part, RelayConfig, Way};
use aqueduct_std::{
    AppCode, LegPolicy, OpenOptions, Stop, StreamCode, StreamError, StreamId, StreamProtocol,
};

use crate::node::{Inlet, Link, Node, Outlet, Recv, Send_, pair, pattern, until};
use crate::relays::{Station, everybody, hello, station};
use crate::tcp::SECOND;

/// Protocol numbers, as the specification has them.
const RANGE: StreamProtocol = StreamProtocol::Number(5);
const PART: StreamProtocol = StreamProtocol::Number(6);

const REFUSED: StreamError = StreamError::Refused { hop: Some(0) };

/// Nodes around a relay: a stream is open through it, and has come to every sink.
struct Ring<C: Node, S: Node> {
    relay: Station<S>,
    sending: Send_<C>,
    sinks: Vec<(C::Link, Recv<C>)>,
    ends: Vec<C>,
    _source: (C, C::Link),
}

/// So many sinks of a stream that is introduced so, of which the first `text` has come everywhere.
fn ring<C: Node, S: Node>(
    config: RelayConfig,
    sinks: usize,
    options: &OpenOptions,
    text: &[u8],
) -> Ring<C, S> {
    let (source, relay) = (C::new(), station::<S>(config));
    let ends: Vec<C> = (0..sinks).map(|_| C::new()).collect();
    let way = Way { relays: Vec::new(), targets: ends.iter().map(Node::there).collect() };
    let link = source.dial(relay.node.there()).unwrap();
    let mut sending = link.open_uni(way.introduce(options).unwrap());
    sending.put(text).unwrap();
    let came = ends.iter().map(|end| {
        let link = end.take().unwrap().unwrap();
        let stream = link.accept_uni().unwrap();
        (link, stream)
    });
    let sinks = came.collect();
    Ring { relay, sending, sinks, ends, _source: (source, link) }
}

fn rest(mut stream: impl Inlet) -> Vec<u8> {
    stream.all(usize::MAX).unwrap().into()
}

/// spec: R-ROUTE-9 R-ROUTE-10 R-PIPE-23 R-PIPE-24
pub(crate) fn a_receiver_that_was_too_slow_finishes_by_range<C: Node, S: Node>() {
    let mut config = everybody();
    (config.pipes.policy, config.pipes.keep) = (LegPolicy::DETACH, 16 << 20);
    let text = pattern(6 << 20);
    let (most, last) = text.split_at(5 << 20);
    let mut ring = ring::<C, S>(config, 2, &hello(), &most[..1000]);
    let (link, mut slow) = ring.sinks.pop().unwrap();
    let (_fast_link, mut fast) = ring.sinks.pop().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| ring.sending.put(&most[1000..]).unwrap());
        assert!(fast.first(most.len()) == most);
    });
    // The other one reads nothing until it is given up.
    until("it is given up", || ring.relay.node.stats().legs_detached == 1);
    let mut got = Vec::new();
    let why = loop {
        match slow.some(usize::MAX) {
            Ok(Some(bytes)) => got.extend_from_slice(&bytes),
            Ok(None) => panic!("it was not given up"),
            Err(why) => break why,
        }
    };
    assert_eq!(StreamError::from(why), StreamError::Detached { hop: Some(0) });
    assert!(got.len() < most.len() && most.starts_with(&got));
    ring.sending.put(last).unwrap();
    ring.sending.finish().unwrap();
    assert!(rest(fast) == last);
    // Everybody else has everything; the relay still holds what this one lacks.
    let from = got.len() as u64;
    let part = link.range(slow.id(), from, None).unwrap();
    let info = part.info().unwrap();
    assert_eq!((info.start, info.end, info.digest), (from, None, None));
    got.extend(rest(part));
    assert!(got == text, "{} bytes", got.len());
    // That was all that was kept for him.
    until("the relay lets go", || ring.relay.node.stats().pipes == 0);
    let again = link.range(slow.id(), from, None).err().unwrap();
    // Its connections have gone with it, if that is known already.
    assert!(again == REFUSED || matches!(again, StreamError::ConnectionLost { .. }), "{again:?}");
}

/// spec: R-ROUTE-9 R-ROUTE-10
pub(crate) fn a_part_is_what_was_asked_for_while_the_stream_flows<C: Node, S: Node>() {
    let mut config = everybody();
    config.pipes.keep = 1 << 20;
    let text = pattern(100_000);
    let mut ring = ring::<C, S>(config, 1, &hello(), &text);
    let (link, stream) = ring.sinks.pop().unwrap();
    let middle = link.range(stream.id(), 5_000, Some(70_000)).unwrap();
    assert!(rest(middle) == text[5_000..70_000]);
    // What has not come yet comes.
    let ahead = link.range(stream.id(), 99_000, Some(100_500)).unwrap();
    ring.sending.put(&text).unwrap();
    ring.sending.finish().unwrap();
    let ahead = rest(ahead);
    assert!(ahead[..1000] == text[99_000..] && ahead[1000..] == text[..500]);
    assert_eq!(rest(stream).len(), 200_000);
}

/// spec: R-ROUTE-9 R-ROUTE-11
pub(crate) fn a_receiver_that_comes_back_asks_for_the_rest<C: Node, S: Node>() {
    let mut config = everybody();
    config.pipes.keep = 1 << 20;
    let text = pattern(200_000);
    let mut ring = ring::<C, S>(config, 2, &hello(), &text[..100_000]);
    let (lost, mut stream) = ring.sinks.remove(0);
    let mut got = stream.first(50_000);
    let id = stream.id();
    lost.abort(AppCode(0), b"no more power");
    ring.sending.put(&text[100_000..]).unwrap();
    let back = ring.ends[0].dial(ring.relay.node.there()).unwrap();
    let part = back.range(id, 50_000, None).unwrap();
    // Nobody else has had it.
    let elsewhere = C::new().dial(ring.relay.node.there()).unwrap();
    assert_eq!(elsewhere.range(id, 50_000, None).err(), Some(REFUSED));
    ring.sending.finish().unwrap();
    got.extend(rest(part));
    assert!(got == text, "{} bytes", got.len());
    assert!(rest(ring.sinks.remove(0).1) == text);
}

/// spec: R-ROUTE-11
pub(crate) fn what_is_not_held_or_not_the_askers_is_refused<C: Node, S: Node>() {
    let text = pattern(100_000);
    let bounded = OpenOptions { end: Some(150_000), ..hello() };
    let mut config = everybody();
    config.max_streams = 2;
    let mut ring = ring::<C, S>(config, 1, &bounded, &text);
    let (link, mut stream) = ring.sinks.pop().unwrap();
    assert!(stream.first(text.len()) == text);
    let ask = |start, end| link.range(stream.id(), start, end);
    let invalid = StreamError::InvalidRange { hop: Some(0) };
    for (start, end) in [(5, Some(5)), (5, Some(4)), (150_000, None), (10, Some(150_001))] {
        assert_eq!(ask(start, end).err(), Some(invalid.clone()), "{start} to {end:?}");
    }
    // What it has acknowledged is gone a moment later.
    until("the relay lets go", || ring.relay.node.stats().pipe_bytes == 0);
    assert_eq!(ask(99_999, None).err(), Some(invalid));
    let other = StreamId(stream.id().0 + 4);
    assert_eq!(link.range(other, 0, None).err(), Some(REFUSED));
    // Somebody else's leg.
    let elsewhere = C::new().dial(ring.relay.node.there()).unwrap();
    assert_eq!(elsewhere.range(stream.id(), 100_000, None).err(), Some(REFUSED));
    // Bytes that are no request.
    let (mut send, mut recv) = link.open_bi(OpenOptions::new(RANGE).with_head(&b"\x40"[..]));
    let stop = Stop { code: StreamCode::Refused.app(), hop: 0 };
    assert_eq!(send.stopped().unwrap(), Some(stop));
    assert_eq!(recv.some(1).map_err(StreamError::from), Err(REFUSED));
    // Two at a time, and no third one.
    let parts = [ask(100_000, None).unwrap(), ask(100_000, None).unwrap()];
    assert_eq!(ask(100_000, None).err(), Some(REFUSED));
    drop(parts);
}

/// spec: R-ROUTE-11 R-ROUTE-12
pub(crate) fn who_does_not_relay_holds_nothing_and_takes_nothing_unasked<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    assert_eq!(pair.near.range(StreamId(1), 0, None).err(), Some(REFUSED));
    let head = Part { request: StreamId(0) }.encode();
    let mut part = pair.far.open_uni(OpenOptions::new(PART).with_head(head));
    let _taken = part.put(b"unasked");
    let stop = Stop { code: StreamCode::Refused.app(), hop: 0 };
    assert_eq!(part.stopped().unwrap(), Some(stop));
    thread::scope(|scope| {
        let next = scope.spawn(|| pair.near.accept_uni().is_err());
        thread::sleep(SECOND / 10);
        assert!(!next.is_finished(), "the application sees something of it");
        // A connection that ends is an answer, too.
        pair.near.abort(AppCode(0), b"");
        assert!(next.join().unwrap());
    });
    assert!(matches!(
        pair.near.range(StreamId(1), 0, None).err(),
        Some(StreamError::ConnectionLost { .. })
    ));
}
