//! Streams that name their way, through nodes that relay.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct_tokio::relay::{Allow, Answer, Refusal, RelayConfig, RelayEvent, Way};
use aqueduct_tokio::{
    Carriers, Connection, Endpoint, NodeAddr, OpenOptions, Provider, Stop, StreamCode,
    StreamProtocol, TransportConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{
    configured, connect, endpoint, endpoint_with, loopback, pattern, soon, until,
};

pub(crate) type Told = Arc<Mutex<Vec<RelayEvent>>>;

pub(crate) fn relay(config: RelayConfig) -> (Endpoint, Told) {
    // Who does not answer is given up soon.
    let patience = TransportConfig::default().with_handshake_timeout(Duration::from_secs(1));
    relay_on(endpoint_with(patience), config)
}

/// Relays, and lets everybody in.
pub(crate) fn relay_on(endpoint: Endpoint, config: RelayConfig) -> (Endpoint, Told) {
    let told = Told::default();
    let sink = told.clone();
    endpoint.relay(config, move |event| sink.lock().unwrap().push(event));
    // Whoever comes is let in, and its handle kept.
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Some(incoming) = accepting.accept().await {
            kept.extend(incoming.accept().await);
        }
    });
    (endpoint, told)
}

pub(crate) fn there(endpoint: &Endpoint) -> NodeAddr {
    NodeAddr::from((endpoint.node_id(), endpoint.local_addr()))
}

pub(crate) fn hello() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("hello")).with_head("words for the end")
}

/// Dials a relay.
pub(crate) async fn to(source: &Endpoint, relay: &Endpoint) -> Connection {
    soon("the relay", source.connect(there(relay))).await.unwrap()
}

/// Lets one in, and echoes its first stream with a word of its own before it.
pub(crate) fn echo(endpoint: &Endpoint, word: &'static [u8]) -> tokio::task::JoinHandle<Vec<u8>> {
    let endpoint = endpoint.clone();
    tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().accept().await.unwrap();
        let (mut send, mut recv) = connection.accept_bi().await.unwrap();
        let info = recv.info().unwrap().clone();
        assert_eq!(info.protocol, StreamProtocol::name("hello"));
        assert_eq!(&info.head[..], b"words for the end");
        let mut read = Vec::new();
        AsyncReadExt::read_to_end(&mut recv, &mut read).await.unwrap();
        send.write_all(word).await.unwrap();
        send.write_all(&read).await.unwrap();
        send.delivered().await.unwrap();
        connection.closed().await;
        read
    })
}

/// spec: R-ROUTE-3 R-ROUTE-6 R-ROUTE-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_to_its_end_and_its_answer_comes_back_on_it() {
    for relays in [1, 2, 3] {
        let source = endpoint();
        let nodes: Vec<_> =
            (0..relays).map(|_| relay(RelayConfig::new(Allow::Everybody))).collect();
        let sink = endpoint();
        let echoing = echo(&sink, b"yes: ");
        let way = Way {
            relays: nodes[1..].iter().map(|(node, _)| there(node)).collect(),
            targets: vec![there(&sink)],
        };
        let connection = to(&source, &nodes[0].0).await;
        let options = way.introduce(&hello()).unwrap();
        let (mut send, mut recv) = connection.open_bi(options).await.unwrap();
        let text = pattern(3 << 20);
        let writing = text.clone();
        tokio::spawn(async move {
            send.write_all(&writing).await.unwrap();
            send.delivered().await.unwrap();
        });
        let mut answer = Vec::new();
        soon("the answer", AsyncReadExt::read_to_end(&mut recv, &mut answer)).await.unwrap();
        assert!(answer[..5] == *b"yes: " && answer[5..] == text, "{} bytes", answer.len());
        drop((connection, nodes));
        drop(recv);
        echoing.abort();
    }
}

/// spec: R-ROUTE-3 R-ROUTE-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_ends_answer_each_on_a_stream_of_its_own() {
    let source = endpoint();
    let nodes: Vec<_> = (0..2).map(|_| relay(RelayConfig::new(Allow::Everybody))).collect();
    let sinks = [endpoint(), endpoint(), endpoint()];
    let words: [&[u8]; 3] = [b"one: ", b"two: ", b"three: "];
    let echoing: Vec<_> = sinks.iter().zip(words).map(|(sink, word)| echo(sink, word)).collect();
    let way = Way { relays: vec![there(&nodes[1].0)], targets: sinks.iter().map(there).collect() };
    let connection = to(&source, &nodes[0].0).await;
    let (mut send, recv) = connection.open_bi(way.introduce(&hello()).unwrap()).await.unwrap();
    let id = send.id();
    let text = pattern(1 << 20);
    let writing = text.clone();
    tokio::spawn(async move {
        send.write_all(&writing).await.unwrap();
        send.delivered().await.unwrap();
    });
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let mut answer = soon("an answer", connection.accept_uni()).await.unwrap();
        let head = Answer::decode(&answer.info().unwrap().head).unwrap();
        assert_eq!(head.stream, id);
        let mut read = Vec::new();
        soon("all of it", AsyncReadExt::read_to_end(&mut answer, &mut read)).await.unwrap();
        let word = words[usize::from(head.target)];
        assert!(read[..word.len()] == *word && read[word.len()..] == text);
        seen.insert(head.target);
    }
    assert_eq!(seen.len(), 3);
    drop(recv);
    echoing.iter().for_each(|task| task.abort());
}

/// spec: R-ROUTE-4 R-ROUTE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_refuses_whom_it_does_not_know_and_what_is_too_much() {
    let (source, sink) = (endpoint(), endpoint());
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let options = way.introduce(&hello()).unwrap();
    let stranger = RelayConfig::new(Allow::Nodes(BTreeSet::new()));
    let mut none = RelayConfig::new(Allow::Everybody);
    none.max_streams = 0;
    let mut empty = RelayConfig::new(Allow::Everybody);
    empty.max_bytes = Some(0);
    let whys = [Refusal::NotAllowed, Refusal::Streams { limit: 0 }, Refusal::Bytes { limit: 0 }];
    for (config, expected) in [stranger, none, empty].into_iter().zip(whys) {
        let (node, told) = relay(config);
        let connection = to(&source, &node).await;
        let (mut send, mut recv) = connection.open_bi(options.clone()).await.unwrap();
        // The refusal may be faster.
        let _taken = send.write_all(b"please").await;
        let stop = soon("a refusal", send.stopped()).await.unwrap();
        assert_eq!(stop, Some(Stop { code: StreamCode::Refused.app(), hop: 0 }));
        recv.read_u8().await.unwrap_err();
        let why = || {
            told.lock().unwrap().iter().find_map(|event| match event {
                RelayEvent::Refused { why, peer, .. } if *peer == source.node_id() => Some(*why),
                _ => None,
            })
        };
        // It is told a moment after the sender is.
        until("the event", || why().is_some()).await;
        assert_eq!(why(), Some(expected));
    }
    // Who does not relay at all refuses, too.
    let (connection, _far) = connect(&source, &endpoint()).await;
    let (mut send, _recv) = connection.open_bi(options).await.unwrap();
    let _taken = send.write_all(b"please").await;
    let stop = soon("a refusal", send.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: StreamCode::Refused.app(), hop: 0 }));
}

/// spec: R-ROUTE-6 R-ROUTE-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hop_out_of_reach_is_told_and_the_others_go_on() {
    let source = endpoint();
    let (node, _told) = relay(RelayConfig::new(Allow::Everybody));
    let (sink, gone) = (endpoint(), endpoint());
    // Somebody else answers there, so that it is known at once.
    let nobody = NodeAddr::from((gone.node_id(), sink.local_addr()));
    let echoing = echo(&sink, b"here: ");
    let way = Way { relays: Vec::new(), targets: vec![nobody.clone(), there(&sink)] };
    let connection = to(&source, &node).await;
    let (mut send, recv) = connection.open_bi(way.introduce(&hello()).unwrap()).await.unwrap();
    send.write_all(b"who is there").await.unwrap();
    send.finish().unwrap();
    let mut answers = [None, None];
    for _ in 0..2 {
        let mut answer = soon("an answer", connection.accept_uni()).await.unwrap();
        let head = Answer::decode(&answer.info().unwrap().head).unwrap();
        let mut read = Vec::new();
        let end = soon("all of it", AsyncReadExt::read_to_end(&mut answer, &mut read)).await;
        answers[usize::from(head.target)] = Some((read, end.is_ok()));
    }
    assert_eq!(answers[0], Some((Vec::new(), false)));
    assert_eq!(answers[1], Some((b"here: who is there".to_vec(), true)));
    drop(recv);
    // With no other the stream is refused.
    let alone = Way { relays: Vec::new(), targets: vec![nobody] };
    let (mut send, _recv) = connection.open_bi(alone.introduce(&hello()).unwrap()).await.unwrap();
    let _taken = send.write_all(b"who is there").await;
    let stop = soon("a refusal", send.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: StreamCode::Unreachable.app(), hop: 0 }));
    echoing.abort();
}

/// spec: R-ROUTE-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_come_together_dial_their_next_hop_once() {
    // By TCP as well, a dial that takes its time on a busy machine may come to two connections.
    let by_udp = configured(TransportConfig::default(), Provider::AwsLc);
    let by_udp = by_udp.with_carriers(Carriers::udp());
    let sink = Endpoint::bind(loopback(), by_udp).unwrap();
    let source = endpoint();
    let (node, _told) = relay(RelayConfig::new(Allow::Everybody));
    let met = echo_all(&sink);
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let options = way.introduce(&hello()).unwrap();
    let connection = to(&source, &node).await;
    let mut streams = Vec::new();
    for n in 0..8u8 {
        let (mut send, recv) = connection.open_bi(options.clone()).await.unwrap();
        send.write_all(&[n]).await.unwrap();
        send.finish().unwrap();
        streams.push((n, recv));
    }
    for (n, mut recv) in streams {
        let mut read = Vec::new();
        soon("an echo", AsyncReadExt::read_to_end(&mut recv, &mut read)).await.unwrap();
        assert_eq!(read, [n]);
    }
    assert_eq!(met.lock().unwrap().len(), 1, "connections to the sink");
}

/// Echoes every stream of everybody, and counts who came.
fn echo_all(endpoint: &Endpoint) -> Arc<Mutex<Vec<Connection>>> {
    let (endpoint, met) = (endpoint.clone(), Arc::new(Mutex::new(Vec::new())));
    let came = met.clone();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let connection = incoming.accept().await.unwrap();
            came.lock().unwrap().push(connection.clone());
            tokio::spawn(async move {
                while let Ok((mut send, mut recv)) = connection.accept_bi().await {
                    let mut read = Vec::new();
                    AsyncReadExt::read_to_end(&mut recv, &mut read).await.unwrap();
                    send.write_all(&read).await.unwrap();
                    let _gone = send.delivered().await;
                }
            });
        }
    });
    met
}

/// A stream there and back, until the relay has closed its books on it.
async fn there_and_back(connection: &Connection, options: &OpenOptions, told: &Told) {
    let ended = || told.lock().unwrap().iter().filter(|event| is_over(event)).count();
    let before = ended();
    let (mut send, mut recv) = connection.open_bi(options.clone()).await.unwrap();
    send.write_all(b"a word").await.unwrap();
    send.finish().unwrap();
    let mut read = Vec::new();
    soon("an echo", AsyncReadExt::read_to_end(&mut recv, &mut read)).await.unwrap();
    assert_eq!(read, b"a word");
    until("the relay's books", || ended() > before).await;
}

pub(crate) fn is_over(event: &RelayEvent) -> bool {
    matches!(event, RelayEvent::Ended { .. })
}

/// spec: R-ROUTE-6 R-ROUTE-13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_one_after_the_other_use_one_connection_to_their_next_hop() {
    let (source, sink) = (endpoint(), endpoint());
    let (node, told) = relay(RelayConfig::new(Allow::Everybody));
    let met = echo_all(&sink);
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let options = way.introduce(&hello()).unwrap();
    let connection = to(&source, &node).await;
    for _ in 0..3 {
        there_and_back(&connection, &options, &told).await;
        // A connection that is not kept has closed meanwhile.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(met.lock().unwrap().len(), 1, "connections to the sink");
}

/// spec: R-ROUTE-13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_without_streams_is_closed_whatever_keeps_it_alive() {
    let lively = || TransportConfig::default().with_keep_alive(Some(Duration::from_millis(50)));
    let (source, sink) = (endpoint(), endpoint_with(lively()));
    let mut config = RelayConfig::new(Allow::Everybody);
    config.linger = Duration::from_millis(300);
    let (node, told) = relay(config);
    let met = echo_all(&sink);
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let options = way.introduce(&hello()).unwrap();
    let connection = to(&source, &node).await;
    there_and_back(&connection, &options, &told).await;
    let first = met.lock().unwrap()[0].clone();
    soon("the end of what nobody uses", first.closed()).await;
    there_and_back(&connection, &options, &told).await;
    assert_eq!(met.lock().unwrap().len(), 2, "connections to the sink");
}

/// spec: R-ROUTE-13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_closes_keeps_nothing() {
    let (source, sink) = (endpoint(), endpoint());
    let (node, told) = relay(RelayConfig::new(Allow::Everybody));
    echo_all(&sink);
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let connection = to(&source, &node).await;
    there_and_back(&connection, &way.introduce(&hello()).unwrap(), &told).await;
    node.close(aqueduct_tokio::AppCode(0), b"enough");
    soon("the last connection", node.wait_idle()).await;
}
