//! Streams that name their way, through nodes that relay.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct_tokio::relay::{Allow, RelayConfig, RelayEvent, Way};
use aqueduct_tokio::{
    Carriers, Connection, Endpoint, NodeAddr, OpenOptions, Provider, StreamProtocol,
    TransportConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{configured, endpoint, endpoint_with, loopback, soon, until};

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
