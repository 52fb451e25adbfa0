//! Bytes that a receiver asks a relay for once more.

use std::time::Duration;

use aqueduct_tokio::relay::{Allow, RelayConfig, Way};
use aqueduct_tokio::{
    Connection, Endpoint, NodeAddr, OpenOptions, RecvStream, SendStream, StreamError,
    StreamProtocol,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{endpoint, pattern, soon};

fn there(endpoint: &Endpoint) -> NodeAddr {
    NodeAddr::from((endpoint.node_id(), endpoint.local_addr()))
}

fn hello() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("hello"))
}

/// Nodes around a relay: a stream is open through it, and has come to every sink.
struct Ring {
    /// The sinks, and the source.
    _nodes: Vec<Endpoint>,
    _relay: Endpoint,
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
    Ring { _nodes: nodes, _relay: relay, sending, _source: connection, sinks: came }
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
