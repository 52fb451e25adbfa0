//! What relays refuse, by cause, and ways that go round.

use aqueduct_tokio::relay::{Allow, Refusal, RelayConfig, RelayEvent, RouteError, Way};
use aqueduct_tokio::{
    Bytes, Endpoint, OpenOptions, ReadError, Stop, StreamCode, StreamError, StreamProtocol,
    Streaming, TransportConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fan::answers;
use crate::harness::{endpoint, endpoint_with, pattern, soon, until};
use crate::relay::{Told, hello, relay, relay_on, there, to};

/// Opens a stream so, and has it refused: both of its halves by the same code, for this reason.
async fn refused(
    source: &Endpoint,
    (node, told): &(Endpoint, Told),
    options: &OpenOptions,
    why: Refusal,
) {
    let connection = to(source, node).await;
    let (mut send, mut recv) = connection.open_bi(options.clone()).await.unwrap();
    // The refusal may be faster.
    let _taken = send.write_all(b"please").await;
    let stop = soon("a refusal", send.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: why.code().app(), hop: 0 }));
    let reset = soon("a reset", recv.read_chunk(1)).await.unwrap_err();
    assert_eq!(reset, ReadError::Failed(stop.unwrap().into()));
    let event = RelayEvent::Refused { peer: source.node_id(), stream: send.id(), why };
    // It is told a moment after the sender is.
    until("the event", || told.lock().unwrap().contains(&event)).await;
}

fn way_to(sink: &Endpoint) -> OpenOptions {
    Way { relays: Vec::new(), targets: vec![there(sink)] }.introduce(&hello()).unwrap()
}

/// spec: R-PIPE-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_no_relay_may_forward_is_refused_by_its_hop_limit() {
    let (source, sink) = (endpoint(), endpoint());
    let node = relay(RelayConfig::new(Allow::Everybody));
    let options = OpenOptions { hop_limit: Some(0), ..way_to(&sink) };
    assert_eq!(Refusal::HopLimit.code(), StreamCode::HopLimit);
    refused(&source, &node, &options, Refusal::HopLimit).await;
}

/// spec: R-ROUTE-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_no_route_is_refused_by_a_relay() {
    let (source, sink) = (endpoint(), endpoint());
    let node = relay(RelayConfig::new(Allow::Everybody));
    let route = way_to(&sink);
    let with = |at: usize, byte: u8| {
        let mut head = route.head.to_vec();
        head[at] = byte;
        Bytes::from(head)
    };
    // Version, relays and targets; a hop's id; its one address; then the protocol's kind and length.
    let heads = [
        ("nothing", Bytes::new()),
        ("version 2", with(0, 2)),
        ("17 hops", with(1, 16)),
        ("no target", with(2, 0)),
        ("a hop without an address", with(35, 0)),
        ("a hop with five", with(35, 5)),
        ("an address of no kind", with(36, 5)),
        ("a protocol of no kind", with(43, 2)),
        ("a protocol without a name", with(44, 0)),
        ("a part of a hop", route.head.slice(..20)),
    ];
    assert_eq!(Refusal::NoRoute.code(), StreamCode::Refused);
    for (what, head) in heads {
        println!("{what}");
        let options = OpenOptions::new(StreamProtocol::Number(3)).with_head(head);
        refused(&source, &node, &options, Refusal::NoRoute).await;
    }
    // One that is whole goes on.
    let connection = to(&source, &node.0).await;
    let _stream = connection.open_bi(route).await.unwrap();
    soon("the relay", sink.accept()).await.unwrap();
}

/// spec: R-ROUTE-2
#[tokio::test]
async fn a_way_that_is_too_long_is_an_error_that_names_the_limit() {
    let sink = there(&endpoint());
    let long = Way { relays: vec![sink.clone(); 16], targets: vec![sink.clone()] };
    let error = long.introduce(&hello()).unwrap_err();
    assert_eq!(error, RouteError::TooManyHops { hops: 17 });
    assert!(error.to_string().contains("at most 16"), "{error}");
    let way = Way { relays: vec![sink.clone(); 15], targets: vec![sink] };
    let fits = hello().with_head(vec![b'x'; 240]);
    let most = way.introduce(&fits).unwrap().head.len();
    assert!(most <= 900, "{most}");
    let error = way.introduce(&hello().with_head(vec![b'x'; 240 + 901 - most])).unwrap_err();
    assert_eq!(error, RouteError::TooLong { bytes: 901 });
    assert!(error.to_string().contains("at most 900"), "{error}");
}

/// Whichever of the two does not pipe.
///
/// spec: R-MODE-13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_refuses_where_pipes_were_not_agreed_on() {
    let plain = || {
        let streaming = Streaming { piped_forwarding: false, ..Streaming::default() };
        endpoint_with(TransportConfig::default().with_streaming(streaming))
    };
    let sink = endpoint();
    assert_eq!(Refusal::NoPipes.code(), StreamCode::Refused);
    for (source, node) in [(plain(), endpoint()), (endpoint(), plain())] {
        let node = relay_on(node, RelayConfig::new(Allow::Everybody));
        refused(&source, &node, &way_to(&sink), Refusal::NoPipes).await;
    }
}

/// The second relay has the first one not on its list. Who sends to several hears of it by the
/// stream and by every answer, from where it was.
///
/// spec: R-ROUTE-4 R-ROUTE-8 R-PIPE-15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_second_relay_refuses_is_told_as_its_refusal() {
    let (source, sinks) = (endpoint(), [endpoint(), endpoint()]);
    let (near, _told) = relay(RelayConfig::new(Allow::Everybody));
    let only = Allow::Nodes([source.node_id()].into());
    let (far, _told) = relay(RelayConfig::new(only));
    let way = Way { relays: vec![there(&far)], targets: sinks.iter().map(there).collect() };
    let connection = to(&source, &near).await;
    let (mut send, _recv) = connection.open_bi(way.introduce(&hello()).unwrap()).await.unwrap();
    let _taken = send.write_all(b"please").await;
    let stop = soon("a refusal", send.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: StreamCode::Refused.app(), hop: 1 }));
    let refused = Err(StreamError::Refused { hop: Some(1) });
    assert_eq!(answers(&connection, 2).await, [refused.clone(), refused]);
}

/// Two relays, each the other's next hop, as often as a way may name them.
///
/// spec: R-ROUTE-2 R-ROUTE-3 R-PIPE-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_goes_round_ends_at_its_target_or_at_its_hop_limit() {
    let (source, sink) = (endpoint(), endpoint());
    let nodes = [(); 2].map(|()| relay(RelayConfig::new(Allow::Everybody)));
    let [one, other] = [&nodes[0].0, &nodes[1].0];
    let round = [there(other), there(one)].into_iter().cycle();
    let way = Way { relays: round.take(15).collect(), targets: vec![there(&sink)] };
    let connection = to(&source, one).await;
    let body = pattern(200_000);
    let mut send = connection.open_uni(way.introduce(&hello()).unwrap()).await.unwrap();
    let text = body.clone();
    let writing = tokio::spawn(async move {
        send.write_all(&text).await.unwrap();
        send.delivered().await.unwrap();
    });
    let last = soon("the last relay", sink.accept()).await.unwrap().accept().await.unwrap();
    assert_eq!(last.peer(), other.node_id());
    let mut recv = soon("the stream", last.accept_uni()).await.unwrap();
    assert_eq!(recv.info().unwrap().hop_limit, Some(0), "16 relays have passed it on");
    let mut read = Vec::new();
    soon("the body", AsyncReadExt::read_to_end(&mut recv, &mut read)).await.unwrap();
    assert!(read == body, "{} bytes", read.len());
    soon("the writer", writing).await.unwrap();
    let pipes = |node: &Endpoint| {
        let told = node.figures().endpoint;
        (told.pipes, told.pipes_begun)
    };
    until("the end of all pipes", || [one, other].map(pipes) == [(0, 8), (0, 8)]).await;

    // It may be forwarded three times, so the fourth relay refuses: the second one again.
    let brief = OpenOptions { hop_limit: Some(3), ..way.introduce(&hello()).unwrap() };
    let mut send = connection.open_uni(brief).await.unwrap();
    let _taken = send.write_all(&body).await;
    let stop = soon("a refusal", send.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: StreamCode::HopLimit.app(), hop: 3 }));
    assert_eq!(StreamError::from(stop.unwrap()), StreamError::HopLimit { hop: Some(3) });
    until("the end of all pipes", || [one, other].map(pipes) == [(0, 10), (0, 9)]).await;
    let refusals = |told: &Told| {
        let told = told.lock().unwrap();
        let whys = told.iter().filter_map(|event| match event {
            RelayEvent::Refused { peer, why, .. } => Some((*peer, *why)),
            _ => None,
        });
        whys.collect::<Vec<_>>()
    };
    assert_eq!(refusals(&nodes[0].1), []);
    assert_eq!(refusals(&nodes[1].1), [(one.node_id(), Refusal::HopLimit)]);
}
