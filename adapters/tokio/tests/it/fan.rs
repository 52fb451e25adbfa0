//! Streams to several targets, of which some are slow to be reached or are never.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use aqueduct_tokio::relay::{Allow, Answer, RelayConfig, RelayEvent, Way};
use aqueduct_tokio::{
    AppCode, Connection, Endpoint, NodeAddr, OpenOptions, ReadError, RecvStream, SendStream, Stop,
    StreamCode, StreamError, StreamProtocol, Streaming, TransportConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use crate::harness::{endpoint, endpoint_with, pattern, soon, until};
use crate::relay::{hello, is_over, relay, relay_on, there, to};

/// Somebody who never answers.
struct Hole {
    socket: UdpSocket,
    node: Endpoint,
}

impl Hole {
    fn new() -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").unwrap(), node: endpoint() }
    }

    fn addr(&self) -> NodeAddr {
        NodeAddr::from((self.node.node_id(), self.socket.local_addr().unwrap()))
    }
}

/// Reads one stream to its end, lets its sender in only after a while, and answers with a word.
fn reading(endpoint: &Endpoint, after: Duration) -> JoinHandle<(Vec<u8>, Instant)> {
    let endpoint = endpoint.clone();
    tokio::spawn(async move {
        let incoming = endpoint.accept().await.unwrap();
        tokio::time::sleep(after).await;
        let connection = incoming.accept().await.unwrap();
        let (mut send, mut recv) = connection.accept_bi().await.unwrap();
        let mut read = Vec::new();
        AsyncReadExt::read_to_end(&mut recv, &mut read).await.unwrap();
        let at = Instant::now();
        send.write_all(b"thanks").await.unwrap();
        let _gone = send.delivered().await;
        tokio::spawn(async move { connection.closed().await });
        (read, at)
    })
}

fn way(targets: &[NodeAddr]) -> OpenOptions {
    Way { relays: Vec::new(), targets: targets.to_vec() }.introduce(&hello()).unwrap()
}

/// Sends all of a body, whatever becomes of it.
async fn send(connection: &Connection, options: OpenOptions, body: &[u8]) -> RecvStream {
    let (mut send, recv) = connection.open_bi(options).await.unwrap();
    let body = body.to_vec();
    tokio::spawn(async move {
        let _taken = send.write_all(&body).await;
        let _gone = send.delivered().await;
    });
    recv
}

/// The answers of so many targets, or the code with which each was reset, by target.
pub(crate) async fn answers(
    connection: &Connection,
    many: usize,
) -> Vec<Result<Vec<u8>, StreamError>> {
    let mut all = vec![None; many];
    for _ in 0..many {
        let mut answer = soon("an answer", connection.accept_uni()).await.unwrap();
        let head = Answer::decode(&answer.info().unwrap().head).unwrap();
        let mut read = Vec::new();
        let why = loop {
            match soon("its bytes", answer.read_chunk(usize::MAX)).await {
                Ok(Some(bytes)) => read.extend_from_slice(&bytes),
                Ok(None) => break Ok(read),
                Err(ReadError::Failed(why)) => break Err(why),
                Err(other) => panic!("{other}"),
            }
        };
        all[usize::from(head.target)] = Some(why);
    }
    all.into_iter().map(Option::unwrap).collect()
}

/// spec: R-ROUTE-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_reached_at_once_has_all_of_it_long_before_the_others_are_given_up() {
    let (source, sinks, hole) = (endpoint(), [endpoint(), endpoint()], Hole::new());
    // It waits for 10 s.
    let (node, _told) = relay_on(endpoint(), RelayConfig::new(Allow::Everybody));
    let reads = [Duration::ZERO, Duration::from_millis(700)]
        .into_iter()
        .zip(&sinks)
        .map(|(after, sink)| reading(sink, after))
        .collect::<Vec<_>>();
    let connection = to(&source, &node).await;
    let began = Instant::now();
    let body = pattern(300_000);
    let options = way(&[there(&sinks[0]), hole.addr(), there(&sinks[1])]);
    let _recv = send(&connection, options, &body).await;
    for read in reads {
        let (read, at) = soon("a body", read).await.unwrap();
        // Who came later has it from the start, too.
        assert!(read == body, "{} bytes", read.len());
        assert!(at - began < Duration::from_secs(7), "{:?}", at - began);
    }
}

/// spec: R-ROUTE-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_body_waits_for_the_last_hop_as_any_other() {
    let (source, sinks) = (endpoint(), [endpoint(), endpoint()]);
    let (node, _told) = relay_on(endpoint(), RelayConfig::new(Allow::Everybody));
    let reads = [Duration::ZERO, Duration::from_millis(400)]
        .into_iter()
        .zip(&sinks)
        .map(|(after, sink)| reading(sink, after))
        .collect::<Vec<_>>();
    let connection = to(&source, &node).await;
    let (mut empty, _recv) = connection.open_bi(way(&sinks.each_ref().map(there))).await.unwrap();
    empty.finish().unwrap();
    let thanks = Ok(b"thanks".to_vec());
    assert_eq!(answers(&connection, 2).await, [thanks.clone(), thanks]);
    for read in reads {
        assert_eq!(soon("a body", read).await.unwrap().0, b"");
    }
}

/// spec: R-PIPE-15 R-ROUTE-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_held_the_bytes_for_others_does_not_keep_the_source_going() {
    let (source, sink, hole) = (endpoint(), endpoint(), Hole::new());
    let mut config = RelayConfig::new(Allow::Everybody);
    config.reach = Duration::from_millis(500);
    let (node, _told) = relay_on(endpoint(), config);
    let accepting = sink.clone();
    let stopping = tokio::spawn(async move {
        let connection = accepting.accept().await.unwrap().accept().await.unwrap();
        let (_send, mut recv) = connection.accept_bi().await.unwrap();
        let first = recv.read_u8().await.unwrap();
        recv.stop(AppCode(77));
        connection.closed().await;
        first
    });
    let connection = to(&source, &node).await;
    let (mut sending, _recv) = connection.open_bi(way(&[there(&sink), hole.addr()])).await.unwrap();
    sending.write_all(b"enough?").await.unwrap();
    let stop = soon("a stop", sending.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: AppCode(77), hop: 1 }));
    stopping.abort();
}

/// spec: R-ROUTE-6 R-ROUTE-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_flows_when_the_last_hop_is_given_up_and_its_answer_says_so() {
    let (source, sinks, hole) = (endpoint(), [endpoint(), endpoint()], Hole::new());
    let mut config = RelayConfig::new(Allow::Everybody);
    config.reach = Duration::from_secs(1);
    let (node, told) = relay_on(endpoint(), config);
    let reads: Vec<_> = sinks.iter().map(|sink| reading(sink, Duration::ZERO)).collect();
    let connection = to(&source, &node).await;
    // More than what can be held meanwhile.
    let body = pattern(4 << 20);
    let options = way(&[hole.addr(), there(&sinks[0]), there(&sinks[1])]);
    let _recv = send(&connection, options, &body).await;
    let thanks = Ok(b"thanks".to_vec());
    let unreachable = Err(StreamError::Unreachable { hop: Some(0) });
    assert_eq!(answers(&connection, 3).await, [unreachable, thanks.clone(), thanks]);
    for read in reads {
        assert!(soon("a body", read).await.unwrap().0 == body);
    }
    until("the relay's books", || told.lock().unwrap().iter().any(is_over)).await;
    let told = told.lock().unwrap();
    let [RelayEvent::Started { to, .. }, RelayEvent::Ended { legs, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(to[..], sinks.each_ref().map(Endpoint::node_id));
    assert_eq!(legs.len(), 2);
}

/// One grants no stream, one takes no part in pipes: neither stands in the way of the third.
///
/// spec: R-MODE-13 R-ROUTE-6 R-ROUTE-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hop_that_takes_no_stream_is_out_of_reach() {
    let transport = TransportConfig::default;
    let closed = endpoint_with(transport().with_max_streams(0, 0).unwrap());
    let whole = Streaming { piped_forwarding: false, ..Streaming::default() };
    let alone = endpoint_with(transport().with_streaming(whole));
    let (source, sink) = (endpoint(), endpoint());
    let mut config = RelayConfig::new(Allow::Everybody);
    config.reach = Duration::from_secs(1);
    // Less time than that without progress ends no pipe whose hops are not all known.
    config.pipes.timeout = Some(Duration::from_millis(500));
    let (node, _told) = relay_on(endpoint(), config);
    for end in [&closed, &alone] {
        let end = end.clone();
        tokio::spawn(async move {
            let connection = end.accept().await.unwrap().accept().await.unwrap();
            connection.closed().await
        });
    }
    let read = reading(&sink, Duration::ZERO);
    let connection = to(&source, &node).await;
    // More than what can be held meanwhile.
    let body = pattern(4 << 20);
    let targets = [there(&closed), there(&alone), there(&sink)];
    let _recv = send(&connection, way(&targets), &body).await;
    let unreachable = Err(StreamError::Unreachable { hop: Some(0) });
    let thanks = Ok(b"thanks".to_vec());
    assert_eq!(answers(&connection, 3).await, [unreachable.clone(), unreachable, thanks]);
    assert!(soon("a body", read).await.unwrap().0 == body);
    let mut sending = connection.open_bi(way(&targets[..1])).await.unwrap().0;
    let _taken = sending.write_all(b"please").await;
    let stop = soon("a refusal", sending.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: StreamCode::Unreachable.app(), hop: 0 }));
}

/// spec: R-ROUTE-6 R-ROUTE-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_is_reached_the_stream_is_refused_and_every_answer_reset() {
    let (source, hole) = (endpoint(), Hole::new());
    let mut config = RelayConfig::new(Allow::Everybody);
    config.reach = Duration::from_secs(1);
    let (node, _told) = relay_on(endpoint(), config);
    let connection = to(&source, &node).await;
    let began = Instant::now();
    let code = StreamCode::Unreachable.app();
    let options = way(&[hole.addr(), hole.addr()]);
    let (first, second) = tokio::join!(
        connection.open_bi(options.clone()),
        // It waits for the same node, and not for twice as long.
        connection.open_bi(way(&[hole.addr()])),
    );
    for opened in [first, second] {
        let (mut sending, mut recv): (SendStream, RecvStream) = opened.unwrap();
        let _taken = sending.write_all(b"who is there").await;
        assert_eq!(
            soon("a refusal", sending.stopped()).await.unwrap(),
            Some(Stop { code, hop: 0 })
        );
        let why = soon("a reset", recv.read_chunk(1)).await.unwrap_err();
        assert_eq!(why, ReadError::Failed(StreamError::Unreachable { hop: Some(0) }));
    }
    let none = Err(StreamError::Unreachable { hop: Some(0) });
    assert_eq!(answers(&connection, 2).await, [none.clone(), none]);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

/// spec: R-ROUTE-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_nobody_is_refused_and_a_relays_own_application_gets_its_own() {
    let (near, sinks) = (endpoint(), [endpoint(), endpoint()]);
    // Both relay, and the near one has something to say itself.
    let (near, _told) = relay_on(near, RelayConfig::new(Allow::Everybody));
    let (far, _told) = relay(RelayConfig::new(Allow::Everybody));
    let reads: Vec<_> = sinks.iter().map(|sink| reading(sink, Duration::ZERO)).collect();
    let connection = to(&near, &far).await;
    let recv = send(&connection, way(&sinks.each_ref().map(there)), b"a word").await;
    let thanks = Ok(b"thanks".to_vec());
    assert_eq!(answers(&connection, 2).await, [thanks.clone(), thanks]);
    for read in reads {
        assert_eq!(soon("a body", read).await.unwrap().0, b"a word");
    }
    // Nobody awaits this one.
    let stranger = endpoint();
    let connection = to(&stranger, &near).await;
    let head = Answer { stream: recv.id(), target: 0 }.encode();
    let options = OpenOptions::new(StreamProtocol::Number(4)).with_head(head);
    let mut unasked = connection.open_uni(options).await.unwrap();
    let _taken = unasked.write_all(b"unasked").await;
    let stop = soon("a stop", unasked.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: StreamCode::Refused.app(), hop: 0 }));
}

/// spec: R-ROUTE-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_dropped_refuses_what_comes_then() {
    let (source, sink, node) = (endpoint(), endpoint(), endpoint());
    let relaying = node.relay(RelayConfig::new(Allow::Everybody), |_| ());
    let accepting = node.clone();
    tokio::spawn(async move {
        let connection = accepting.accept().await.unwrap().accept().await.unwrap();
        connection.closed().await
    });
    let connection = to(&source, &node).await;
    relaying.abort();
    let _gone = relaying.await;
    let (mut sending, _recv) = connection.open_bi(way(&[there(&sink)])).await.unwrap();
    let _taken = sending.write_all(b"please").await;
    let stop = soon("a refusal", sending.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: StreamCode::Refused.app(), hop: 0 }));
}

/// What the first began goes on; what comes then is for the second, also when the first is gone.
///
/// spec: R-ROUTE-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_takes_the_place_of_another() {
    let (source, sinks, node) = (endpoint(), [endpoint(), endpoint()], endpoint());
    let began = Arc::<AtomicBool>::default();
    let tell = began.clone();
    let first = node.relay(RelayConfig::new(Allow::Everybody), move |_| tell.store(true, Relaxed));
    let accepting = node.clone();
    tokio::spawn(async move {
        let connection = accepting.accept().await.unwrap().accept().await.unwrap();
        connection.closed().await
    });
    let connection = to(&source, &node).await;
    let read = reading(&sinks[0], Duration::ZERO);
    let body = pattern(100_000);
    let (mut sending, mut back) = connection.open_bi(way(&[there(&sinks[0])])).await.unwrap();
    sending.write_all(&body[..50_000]).await.unwrap();
    until("the first stream", || began.load(Relaxed)).await;
    let _second = node.relay(RelayConfig::new(Allow::Everybody), |_| ());
    sending.write_all(&body[50_000..]).await.unwrap();
    sending.finish().unwrap();
    assert!(soon("a body", read).await.unwrap().0 == body);
    let mut answer = Vec::new();
    soon("an answer", AsyncReadExt::read_to_end(&mut back, &mut answer)).await.unwrap();
    assert_eq!(answer, b"thanks");
    soon("the end of the first relay", first).await.unwrap();
    let read = reading(&sinks[1], Duration::ZERO);
    let _recv = send(&connection, way(&[there(&sinks[1])]), &body).await;
    assert!(soon("a body", read).await.unwrap().0 == body);
}
