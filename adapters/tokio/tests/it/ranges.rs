//! Bytes that a receiver asks a relay for once more.

use std::time::Duration;

use aqueduct_tokio::relay::{Allow, Part, RelayConfig, Wanted, Way};
use aqueduct_tokio::{
    Connection, Endpoint, LegPolicy, NodeAddr, OpenOptions, ReadError, RecvStream, SendStream,
    Stop, StreamCode, StreamError, StreamId, StreamProtocol,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{endpoint, pair, pattern, soon};

/// Protocol numbers, as the specification has them.
const RANGE: StreamProtocol = StreamProtocol::Number(5);
const PART: StreamProtocol = StreamProtocol::Number(6);

fn there(endpoint: &Endpoint) -> NodeAddr {
    NodeAddr::from((endpoint.node_id(), endpoint.local_addr()))
}

fn hello() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("hello"))
}

/// Nodes around a relay: a stream is open through it, and has come to every sink.
struct Ring {
    /// The sinks, and the source.
    nodes: Vec<Endpoint>,
    relay: Endpoint,
    sending: SendStream,
    _source: Connection,
    sinks: Vec<(Connection, RecvStream)>,
}

/// So many sinks of a stream that is introduced so, of which the first `text` has come everywhere.
async fn ring(config: RelayConfig, sinks: usize, options: OpenOptions, text: &[u8]) -> Ring {
    let (source, relay) = (endpoint(), endpoint());
    let ends: Vec<_> = (0..sinks).map(|_| endpoint()).collect();
    relay.relay(config, |_| ());
    let accepting = relay.clone();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Some(incoming) = accepting.accept().await {
            kept.extend(incoming.accept().await);
        }
    });
    let way = Way { relays: Vec::new(), targets: ends.iter().map(there).collect() };
    let connection = soon("the relay", source.connect(there(&relay))).await.unwrap();
    let mut sending = connection.open_uni(way.introduce(&options).unwrap()).await.unwrap();
    sending.write_all(text).await.unwrap();
    let accepting: Vec<_> = ends.iter().cloned().map(|end| tokio::spawn(accept(end))).collect();
    let mut came = Vec::new();
    for accepted in accepting {
        came.push(accepted.await.unwrap());
    }
    let mut nodes = ends;
    nodes.push(source);
    Ring { nodes, relay, sending, _source: connection, sinks: came }
}

async fn accept(end: Endpoint) -> (Connection, RecvStream) {
    let incoming = soon("the relay at a sink", end.accept()).await.unwrap();
    let connection = incoming.accept().await.unwrap();
    let stream = soon("the leg", connection.accept_uni()).await.unwrap();
    (connection, stream)
}

async fn rest(mut stream: RecvStream) -> Vec<u8> {
    let mut read = Vec::new();
    soon("the rest", AsyncReadExt::read_to_end(&mut stream, &mut read)).await.unwrap();
    read
}

/// spec: R-ROUTE-9 R-ROUTE-10 R-PIPE-23 R-PIPE-24
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_was_too_slow_finishes_by_range() {
    let mut config = RelayConfig::new(Allow::Everybody);
    (config.pipes.policy, config.pipes.keep) = (LegPolicy::DETACH, 16 << 20);
    let text = pattern(6 << 20);
    let (most, last) = text.split_at(5 << 20);
    let mut ring = ring(config, 2, hello(), &most[..1000]).await;
    let (slow_connection, mut slow) = ring.sinks.pop().unwrap();
    let (_fast_connection, mut fast) = ring.sinks.pop().unwrap();
    let mut early = vec![0; most.len()];
    let reading = soon("what the fast one reads", fast.read_exact(&mut early));
    let (written, read) = tokio::join!(ring.sending.write_all(&most[1000..]), reading);
    written.unwrap();
    read.unwrap();
    // The other one reads nothing for as long.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut got = Vec::new();
    let why = loop {
        match soon("its bytes", slow.read_chunk(usize::MAX)).await {
            Ok(Some(bytes)) => got.extend_from_slice(&bytes),
            Ok(None) => panic!("it was not given up"),
            Err(why) => break why,
        }
    };
    assert!(matches!(StreamError::from(why), StreamError::Detached { hop: Some(0) }));
    assert!(got.len() < most.len() && got[..] == most[..got.len()]);
    ring.sending.write_all(last).await.unwrap();
    ring.sending.finish().unwrap();
    assert!(rest(fast).await == last);
    // Everybody else has everything; the relay still holds what this one lacks.
    let from = got.len() as u64;
    let asking = slow_connection.request_range(slow.id(), from, None);
    let part = soon("the part", asking).await.unwrap();
    let info = part.info().unwrap();
    assert_eq!((info.start, info.end, info.digest), (from, None, None));
    got.extend(rest(part).await);
    assert!(got == text, "{} bytes", got.len());
    // That was all that was kept for him.
    soon("the relay lets go", async {
        while ring.relay.stats().await.pipes > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let again = soon("an answer", slow_connection.request_range(slow.id(), from, None)).await;
    // Its connections have gone with it, if that is known already.
    let gone = again.unwrap_err();
    assert!(matches!(gone, StreamError::Refused { .. } | StreamError::ConnectionLost { .. }));
}

/// spec: R-ROUTE-9 R-ROUTE-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_what_was_asked_for_while_the_stream_flows() {
    let mut config = RelayConfig::new(Allow::Everybody);
    config.pipes.keep = 1 << 20;
    let text = pattern(100_000);
    let mut ring = ring(config, 1, hello(), &text).await;
    let (connection, stream) = ring.sinks.pop().unwrap();
    let middle = soon("a part", connection.request_range(stream.id(), 5_000, Some(70_000))).await;
    assert!(rest(middle.unwrap()).await == text[5_000..70_000]);
    // What has not come yet comes.
    let ahead = soon("a part", connection.request_range(stream.id(), 99_000, Some(100_500))).await;
    ring.sending.write_all(&text).await.unwrap();
    ring.sending.finish().unwrap();
    let ahead = rest(ahead.unwrap()).await;
    assert!(ahead[..1000] == text[99_000..] && ahead[1000..] == text[..500]);
    assert_eq!(rest(stream).await.len(), 200_000);
}

/// spec: R-ROUTE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_count_for_the_bytes_of_who_asks_for_them() {
    let mut config = RelayConfig::new(Allow::Everybody);
    (config.pipes.keep, config.max_bytes) = (1 << 20, Some(250_000));
    let text = pattern(100_000);
    let mut ring = ring(config, 1, hello(), &text).await;
    let (connection, mut stream) = ring.sinks.pop().unwrap();
    let mut read = vec![0; text.len()];
    soon("what came", stream.read_exact(&mut read)).await.unwrap();
    let ask = async |len| soon("an answer", connection.request_range(stream.id(), 0, len)).await;
    for _ in 0..2 {
        assert!(rest(ask(Some(100_000)).await.unwrap()).await == text);
    }
    let refused = StreamError::Refused { hop: Some(0) };
    assert_eq!(ask(Some(100_000)).await.unwrap_err(), refused);
    assert!(rest(ask(Some(50_000)).await.unwrap()).await == text[..50_000]);
    assert_eq!(ask(Some(1)).await.unwrap_err(), refused);
}

/// spec: R-ROUTE-9 R-ROUTE-11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_comes_back_asks_for_the_rest() {
    let mut config = RelayConfig::new(Allow::Everybody);
    config.pipes.keep = 1 << 20;
    let text = pattern(200_000);
    let mut ring = ring(config, 2, hello(), &text[..100_000]).await;
    let (lost, mut stream) = ring.sinks.remove(0);
    let mut got = vec![0; 50_000];
    soon("the first half", stream.read_exact(&mut got)).await.unwrap();
    let id = stream.id();
    lost.abort(aqueduct_tokio::AppCode(0), b"no more power");
    ring.sending.write_all(&text[100_000..]).await.unwrap();
    let back = soon("the relay", ring.nodes[0].connect(there(&ring.relay))).await.unwrap();
    let ask = async |connection: &Connection| {
        soon("an answer", connection.request_range(id, 50_000, None)).await
    };
    let part = ask(&back).await.unwrap();
    // Nobody else has had it.
    let stranger = endpoint();
    let elsewhere = soon("the relay", stranger.connect(there(&ring.relay))).await.unwrap();
    assert_eq!(ask(&elsewhere).await.unwrap_err(), StreamError::Refused { hop: Some(0) });
    ring.sending.finish().unwrap();
    got.extend(rest(part).await);
    assert!(got == text, "{} bytes", got.len());
    let (_connection, other) = ring.sinks.remove(0);
    assert!(rest(other).await == text);
}

/// spec: R-ROUTE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_that_its_asker_stops_counts_by_what_was_sent() {
    let mut config = RelayConfig::new(Allow::Everybody);
    (config.pipes.keep, config.max_bytes) = (16 << 20, Some(20 << 20));
    let text = pattern(12 << 20);
    let mut ring = ring(config, 1, hello(), &text[..1000]).await;
    let (connection, mut stream) = ring.sinks.pop().unwrap();
    let mut read = vec![0; text.len()];
    let reading = soon("what came", stream.read_exact(&mut read));
    let (written, came) = tokio::join!(ring.sending.write_all(&text[1000..]), reading);
    written.unwrap();
    came.unwrap();
    let ask = async || soon("an answer", connection.request_range(stream.id(), 0, None)).await;
    for time in 0..4 {
        let mut part = loop {
            match ask().await {
                Ok(part) => break part,
                // The one before is not quite over.
                Err(StreamError::Refused { .. }) if time > 0 => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(why) => panic!("{why}"),
            }
        };
        // Without a size it is as long as what is left of his bytes.
        let end = part.info().unwrap().end.unwrap();
        assert!((4 << 20..=20 << 20).contains(&end) && (time == 0) == (end == 20 << 20), "{end}");
        assert!(soon("bytes", part.read_chunk(1)).await.unwrap().is_some());
        part.stop(aqueduct_tokio::AppCode(0));
    }
}

/// spec: R-ROUTE-11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_held_or_not_the_askers_is_refused() {
    let text = pattern(100_000);
    let bounded = OpenOptions { end: Some(150_000), ..hello() };
    let mut config = RelayConfig::new(Allow::Everybody);
    config.max_streams = 2;
    let mut ring = ring(config, 1, bounded, &text).await;
    let (connection, mut stream) = ring.sinks.pop().unwrap();
    let mut read = vec![0; text.len()];
    soon("what came", stream.read_exact(&mut read)).await.unwrap();
    let ask = async |start, end| {
        soon("an answer", connection.request_range(stream.id(), start, end)).await
    };
    let invalid = StreamError::InvalidRange { hop: Some(0) };
    for (start, end) in [(5, Some(5)), (5, Some(4)), (150_000, None), (10, Some(150_001))] {
        assert_eq!(ask(start, end).await.unwrap_err(), invalid, "{start} to {end:?}");
    }
    // What it has acknowledged is gone a moment later.
    soon("the relay lets go", async {
        while ring.relay.stats().await.pipe_bytes > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(ask(99_999, None).await.unwrap_err(), invalid);
    let refused = StreamError::Refused { hop: Some(0) };
    let other = StreamId(stream.id().0 + 4);
    let unknown = soon("an answer", connection.request_range(other, 0, None)).await;
    assert_eq!(unknown.unwrap_err(), refused);
    // Somebody else's leg.
    let stranger = endpoint();
    let elsewhere = soon("the relay", stranger.connect(there(&ring.relay))).await.unwrap();
    let theirs = soon("an answer", elsewhere.request_range(stream.id(), 100_000, None)).await;
    assert_eq!(theirs.unwrap_err(), refused);
    // Bytes that are no request.
    let (mut send, mut recv) =
        connection.open_bi(OpenOptions::new(RANGE).with_head(&b"\x40"[..])).await.unwrap();
    let stopped = soon("a stop", send.stopped()).await;
    assert_eq!(stopped.unwrap(), Some(Stop { code: StreamCode::Refused.app(), hop: 0 }));
    let reset = soon("a reset", recv.read_chunk(1)).await.unwrap_err();
    assert_eq!(reset, ReadError::Failed(refused.clone()));
    // Two at a time, and no third one.
    let parts = [ask(100_000, None).await.unwrap(), ask(100_000, None).await.unwrap()];
    assert_eq!(ask(100_000, None).await.unwrap_err(), refused);
    drop(parts);
}

/// spec: R-ROUTE-11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_relay_holds_nothing_for_anybody() {
    let pair = pair().await;
    let asked = soon("an answer", pair.near.request_range(StreamId(1), 0, None)).await;
    assert_eq!(asked.unwrap_err(), StreamError::Refused { hop: Some(0) });
    // A connection that ends is an answer, too.
    let asking = pair.near.clone();
    let head = Wanted { stream: StreamId(1), start: 0, end: None }.encode();
    assert_eq!(head, [1, 0]);
    pair.far.abort(aqueduct_tokio::AppCode(0), b"");
    let asked = soon("an end", asking.request_range(StreamId(1), 0, None)).await;
    assert!(matches!(
        asked.unwrap_err(),
        StreamError::ConnectionLost { .. } | StreamError::Refused { .. }
    ));
}

/// spec: R-ROUTE-5 R-ROUTE-11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_sends_and_what_it_asks_for_count_together() {
    let mut config = RelayConfig::new(Allow::Everybody);
    (config.pipes.keep, config.max_streams) = (1 << 20, 2);
    let mut ring = ring(config, 1, hello(), &pattern(10_000)).await;
    let (connection, stream) = ring.sinks.pop().unwrap();
    let other = endpoint();
    let accepting = tokio::spawn(accept(other.clone()));
    let way = Way { relays: Vec::new(), targets: vec![there(&other)] };
    let mut own = connection.open_uni(way.introduce(&hello()).unwrap()).await.unwrap();
    own.write_all(b"mine").await.unwrap();
    let _flows = accepting.await.unwrap();
    let ask = async || soon("an answer", connection.request_range(stream.id(), 10_000, None)).await;
    let part = ask().await.unwrap();
    assert_eq!(ask().await.unwrap_err(), StreamError::Refused { hop: Some(0) });
    drop(part);
}

/// spec: R-ROUTE-12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_nobody_asked_for_is_refused() {
    let pair = pair().await;
    let head = Part { request: StreamId(0) }.encode();
    let mut part = pair.far.open_uni(OpenOptions::new(PART).with_head(head)).await.unwrap();
    let _taken = part.write_all(b"unasked").await;
    let stopped = soon("a stop", part.stopped()).await.unwrap();
    assert_eq!(stopped, Some(Stop { code: StreamCode::Refused.app(), hop: 0 }));
    let next = tokio::time::timeout(Duration::from_millis(100), pair.near.accept_uni()).await;
    assert!(next.is_err(), "the application sees nothing of it");
}
