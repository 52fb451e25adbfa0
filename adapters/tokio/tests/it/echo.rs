//! Streams of both kinds, many of them, and what they say of themselves.

use aqueduct_tokio::{
    AppCode, Bytes, ConnectError, Endpoint, EndpointConfig, NodeAddr, OpenOptions, Provider,
    StreamProtocol, TransportConfig, generate_key,
};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

async fn echo_once(provider: Provider) {
    let transport = TransportConfig::default;
    let client = Endpoint::bind(loopback(), configured(transport(), provider)).unwrap();
    let server = Endpoint::bind(loopback(), configured(transport(), provider)).unwrap();
    let pair = pair_of(client, server).await;
    let serve = async {
        let (mut send, mut recv) = pair.far.accept_bi().await.unwrap();
        assert_eq!(recv.info().unwrap().protocol, StreamProtocol::name("test"));
        let mut said = Vec::new();
        AsyncReadExt::read_to_end(&mut recv, &mut said).await.unwrap();
        send.write_all(&said).await.unwrap();
        send.shutdown().await.unwrap();
        send.delivered().await.unwrap();
    };
    let ask = async {
        let (mut send, mut recv) = pair.near.open_bi(test_options()).await.unwrap();
        assert!(recv.info().is_none());
        send.write_all(b"what was said").await.unwrap();
        send.delivered().await.unwrap();
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"what was said");
    };
    soon("an echo", async { tokio::join!(serve, ask) }).await;
}

#[tokio::test]
async fn a_stream_is_echoed_with_the_fast_provider() {
    echo_once(Provider::AwsLc).await;
}

#[tokio::test]
async fn a_stream_is_echoed_with_the_rust_provider() {
    echo_once(Provider::Rust).await;
}

#[tokio::test]
async fn providers_of_both_kinds_speak_with_each_other() {
    let client =
        Endpoint::bind(loopback(), configured(TransportConfig::default(), Provider::Rust)).unwrap();
    let pair = pair_of(client, endpoint()).await;
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.write_bytes(Bytes::from_static(b"hello")).await.unwrap();
    send.finish().unwrap();
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    assert_eq!(recv.read_to_end(10).await.unwrap(), b"hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_streams_each_come_back_as_they_went() {
    let pair = pair().await;
    let far = pair.far.clone();
    tokio::spawn(async move {
        while let Ok((mut send, mut recv)) = far.accept_bi().await {
            tokio::spawn(async move {
                tokio::io::copy(&mut recv, &mut send).await.unwrap();
                send.shutdown().await.unwrap();
            });
        }
    });
    let mut asks = tokio::task::JoinSet::new();
    for number in 0..500_usize {
        let near = pair.near.clone();
        asks.spawn(async move {
            let (mut send, mut recv) = near.open_bi(test_options()).await.unwrap();
            let said = pattern(number * 37);
            send.write_all(&said).await.unwrap();
            send.finish().unwrap();
            assert_eq!(recv.read_to_end(1 << 20).await.unwrap(), said, "stream {number}");
        });
    }
    let all = async {
        while let Some(done) = asks.join_next().await {
            done.unwrap();
        }
    };
    soon("500 echoes", all).await;
}

#[tokio::test]
async fn a_stream_gives_its_bytes_as_a_futures_stream() {
    let pair = pair().await;
    let body = pattern(300_000);
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    let copy = body.clone();
    tokio::spawn(async move {
        send.write_all(&copy).await.unwrap();
        send.delivered().await.unwrap();
    });
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    let mut got = Vec::new();
    let read = async {
        while let Some(chunk) = recv.next().await {
            got.extend_from_slice(&chunk.unwrap());
        }
        assert!(recv.next().await.is_none());
    };
    soon("the body", read).await;
    assert!(got == body);
}

#[tokio::test]
async fn streams_are_accepted_in_order_of_arrival_with_their_introduction() {
    let pair = pair().await;
    let mut options = OpenOptions::new(StreamProtocol::Number(77)).with_head(&b"first"[..]);
    options.size = Some(3);
    let mut uni = pair.near.open_uni(options).await.unwrap();
    uni.write_all(b"abc").await.unwrap();
    uni.finish().unwrap();
    let (send, recv) = soon("the first", pair.far.accept_stream()).await.unwrap();
    assert!(send.is_none());
    let info = recv.info().unwrap();
    assert_eq!((info.size, &info.head[..]), (Some(3), &b"first"[..]));
    assert_eq!(info.protocol, StreamProtocol::Number(77));
    let (mut bi, _recv) = pair.near.open_bi(test_options()).await.unwrap();
    bi.write_all(b"x").await.unwrap();
    let (send, recv) = soon("the second", pair.far.accept_stream()).await.unwrap();
    assert!(send.is_some());
    assert_eq!(recv.id(), bi.id());
}

#[tokio::test]
async fn a_head_over_its_limit_is_refused_and_harms_nothing() {
    let pair = pair().await;
    let options = test_options().with_head(vec![0; 901]);
    let refused = pair.near.open_uni(options).await.unwrap_err();
    println!("{refused}");
    pair.near.open_uni(test_options()).await.unwrap();
}

#[tokio::test]
async fn a_body_over_the_callers_limit_is_refused_with_the_limit() {
    let pair = pair().await;
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.write_all(&[7; 1000]).await.unwrap();
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    let error = soon("an error", recv.read_to_end(999)).await.unwrap_err();
    assert!(error.to_string().contains("999"), "{error}");
}

#[tokio::test]
async fn an_unknown_node_is_reached_by_its_address_alone() {
    let (client, server) = (endpoint(), endpoint());
    let accept = async { server.accept().await.unwrap().accept().await.unwrap() };
    let dial = async { client.connect(server.local_addr()).await.unwrap() };
    let (near, far) = soon("a connection", async { tokio::join!(dial, accept) }).await;
    assert_eq!((near.peer(), far.peer()), (server.node_id(), client.node_id()));
    let label = b"for the test";
    let ours = near.export_keying_material(label, b"context", 32).await.unwrap();
    let theirs = far.export_keying_material(label, b"context", 32).await.unwrap();
    assert_eq!(ours, theirs);
    assert_ne!(ours, far.export_keying_material(label, b"other", 32).await.unwrap());
}

#[tokio::test]
async fn of_several_addresses_the_one_that_answers_is_taken() {
    let (client, server) = (endpoint(), endpoint());
    // Nobody listens at the first; the second is of the wrong family.
    let silent = std::net::UdpSocket::bind(loopback()).unwrap();
    let addrs = vec![silent.local_addr().unwrap(), "[::1]:9".parse().unwrap(), server.local_addr()];
    let to = NodeAddr::new(Some(server.node_id()), addrs);
    let accept = async { server.accept().await.unwrap().accept().await.unwrap() };
    let dial = async { client.connect(to).await.unwrap() };
    let (near, _far) = soon("a connection", async { tokio::join!(dial, accept) }).await;
    assert_eq!(near.remote(), server.local_addr());
}

#[tokio::test]
async fn addresses_that_cannot_be_dialled_are_typed_errors() {
    let client = endpoint();
    let to = NodeAddr::new(Some(client.node_id()), Vec::new());
    assert_eq!(client.connect(to).await.unwrap_err(), ConnectError::NoAddress);
    let six: std::net::SocketAddr = "[::1]:9".parse().unwrap();
    let error = client.connect(six).await.unwrap_err();
    assert!(matches!(error, ConnectError::WrongFamily(..)), "{error}");
    println!("{error}");
}

#[tokio::test]
async fn a_dual_stack_endpoint_is_reached_by_both_families() {
    let config = EndpointConfig::new(generate_key().unwrap());
    let Ok(server) = Endpoint::bind("[::]:0".parse().unwrap(), config) else {
        println!("no IPv6 on this machine");
        return;
    };
    let addrs = server.dialable_addrs();
    println!("{addrs:?}");
    let port = server.local_addr().port();
    for host in ["127.0.0.1", "::1"] {
        let addr = std::net::SocketAddr::new(host.parse().unwrap(), port);
        assert!(addrs.contains(&addr), "{addr} in {addrs:?}");
        let bind = if addr.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let client = Endpoint::bind(bind.parse().unwrap(), generate_key().unwrap()).unwrap();
        let (near, far) = connect_by(&client, &server, addr).await;
        assert_eq!(far.remote().is_ipv4(), addr.is_ipv4());
        near.close(AppCode(0), b"");
        soon("the end", far.closed()).await;
    }
}
