//! Endings: closing, dropping, vanishing; and that nothing is left behind.

use std::time::{Duration, Instant};

use aqueduct_tokio::relay::{Allow, RelayConfig, Way};
use aqueduct_tokio::{
    AppCode, CloseReason, ConnectError, ConnectionError, Endpoint, ReadError, Stop, StreamError,
    WriteError, generate_key,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;
use crate::relay::{hello, relay_on, there, to};

#[tokio::test]
async fn closing_delivers_what_was_written_first() {
    let pair = pair().await;
    let body = pattern(3 << 20);
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.write_bytes(body.clone().into()).await.unwrap();
    send.finish().unwrap();
    pair.near.close(AppCode(7), b"done");
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    let got = soon("the body", recv.read_to_end(4 << 20)).await.unwrap();
    assert!(got == body);
    let reason = soon("the end", pair.far.closed()).await;
    assert_eq!(reason, CloseReason::Peer { code: AppCode(7), reason: "done".into() });
    assert_eq!(soon("the end", pair.near.closed()).await, CloseReason::Local(AppCode(7)));
    assert_eq!(pair.near.close_reason(), Some(CloseReason::Local(AppCode(7))));
}

/// More of them than wait outside of the core.
#[tokio::test]
async fn messages_that_arrived_before_the_end_can_be_taken_after_it() {
    let pair = pair().await;
    for number in 0..100_u8 {
        pair.near.send_message(vec![number; 100].into()).await.unwrap();
    }
    pair.near.close(AppCode(0), b"");
    soon("the end", pair.far.closed()).await;
    pair.server.wait_idle().await;
    for number in 0..100 {
        let message = soon("a message", pair.far.recv_message()).await.unwrap();
        assert_eq!(message, vec![number; 100]);
    }
    assert!(soon("the end", pair.far.recv_message()).await.is_err());
}

/// The driver has slept without an alarm in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_to_nobody_has_an_end_also_after_the_last_connection_ended() {
    let transport =
        aqueduct_tokio::TransportConfig::default().with_handshake_timeout(Duration::from_secs(1));
    let (client, server) = (endpoint_with(transport.clone()), endpoint_with(transport));
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = (server.node_id(), silent.local_addr().unwrap());
    for _ in 0..3 {
        let (near, far) = connect(&client, &server).await;
        near.close(AppCode(0), b"");
        soon("the end", far.closed()).await;
        drop((near, far));
        soon("nothing is left", client.wait_idle()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (client, began) = (client.clone(), Instant::now());
        let dialled = tokio::spawn(async move { client.connect(nobody).await.map(drop) });
        let error = within(Duration::from_secs(6), "an end of it", dialled).await.unwrap();
        assert!(error.is_err(), "after {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn what_arrived_before_the_end_can_be_read_after_it() {
    let pair = pair().await;
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.write_all(b"last words").await.unwrap();
    send.delivered().await.unwrap();
    pair.near.abort(AppCode(1), b"");
    soon("the end", pair.far.closed()).await;
    let mut recv = pair.far.accept_uni().await.unwrap();
    assert_eq!(recv.read_to_end(100).await.unwrap(), b"last words");
}

#[tokio::test]
async fn the_last_handle_closes_politely_and_streams_are_handles() {
    let pair = pair().await;
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    drop(pair.near);
    send.write_all(b"still here").await.unwrap();
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    let still = tokio::time::timeout(Duration::from_millis(200), pair.far.closed()).await;
    assert!(still.is_err(), "closed while a stream was held");
    send.finish().unwrap();
    drop(send);
    assert_eq!(soon("the body", recv.read_to_end(100)).await.unwrap(), b"still here");
    let reason = soon("the end", pair.far.closed()).await;
    assert_eq!(reason, CloseReason::Peer { code: AppCode(0), reason: String::new() });
}

#[tokio::test]
async fn a_sender_dropped_unfinished_resets_and_a_reader_dropped_stops() {
    let pair = pair().await;
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.write_all(b"half").await.unwrap();
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    drop(send);
    let error = soon("the reset", recv.read_to_end(100)).await.unwrap_err();
    assert!(matches!(error, ReadError::Reset { code: AppCode(0), hop: 0 }), "{error}");

    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.write_all(b"half").await.unwrap();
    drop(soon("a stream", pair.far.accept_uni()).await.unwrap());
    assert_eq!(
        soon("the stop", send.stopped()).await.unwrap(),
        Some(Stop { code: AppCode(0), hop: 0 })
    );
    assert_eq!(send.write_all(b"x").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn codes_of_reset_and_stop_arrive() {
    let pair = pair().await;
    let (mut send, mut recv) = pair.near.open_bi(test_options()).await.unwrap();
    send.write_all(b"x").await.unwrap();
    let (mut back, mut there) = soon("a stream", pair.far.accept_bi()).await.unwrap();
    send.reset(AppCode(41));
    assert_eq!(send.finish().unwrap_err(), WriteError::Reset);
    let error = soon("the reset", there.read_to_end(10)).await.unwrap_err();
    assert!(matches!(error, ReadError::Reset { code: AppCode(41), .. }), "{error}");
    recv.stop(AppCode(42));
    assert_eq!(
        soon("the stop", back.stopped()).await.unwrap(),
        Some(Stop { code: AppCode(42), hop: 0 })
    );
    assert_eq!(
        back.delivered().await.unwrap_err(),
        WriteError::Stopped { code: AppCode(42), hop: 0 }
    );
    assert_eq!(recv.read_to_end(1).await.unwrap_err(), ReadError::Stopped);
}

#[tokio::test]
async fn writing_behind_the_end_is_an_error_and_finishing_twice_is_none() {
    let pair = pair().await;
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.write_all(b"x").await.unwrap();
    send.finish().unwrap();
    send.finish().unwrap();
    let error = send.write_bytes(pattern(1).into()).await.unwrap_err();
    assert_eq!(error, WriteError::Finished);
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    assert_eq!(recv.read_to_end(1).await.unwrap(), b"x");
    soon("delivery", send.delivered()).await.unwrap();
}

#[tokio::test]
async fn a_refused_stranger_is_told() {
    let (client, server) = (endpoint(), endpoint());
    let refuse = async {
        let incoming = server.accept().await.unwrap();
        assert_eq!(incoming.peer(), client.node_id());
        incoming.refuse();
    };
    let dial = client.connect((server.node_id(), server.local_addr()));
    let (error, ()) = soon("a refusal", async { tokio::join!(dial, refuse) }).await;
    let error = error.unwrap_err();
    println!("{error}");
    assert!(matches!(error, ConnectError::Failed(CloseReason::Refused(_))), "{error:?}");
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn another_node_at_the_address_is_not_taken_for_the_one_that_was_dialled() {
    let transport = aqueduct_tokio::TransportConfig::default()
        .with_handshake_timeout(Duration::from_millis(500));
    let (client, server) = (endpoint_with(transport), endpoint());
    let other = generate_key().unwrap().id();
    let error = soon("a failure", client.connect((other, server.local_addr()))).await.unwrap_err();
    assert!(matches!(error, ConnectError::Failed(_)), "{error:?}");
}

#[tokio::test]
async fn a_closed_endpoint_accepts_and_dials_nobody_and_becomes_idle() {
    let pair = pair().await;
    pair.server.close(AppCode(3), b"going down");
    assert!(soon("none", pair.server.accept()).await.is_none());
    soon("idle", pair.server.wait_idle()).await;
    let reason = soon("the end", pair.near.closed()).await;
    assert!(matches!(reason, CloseReason::Peer { code: AppCode(3), .. }), "{reason:?}");
    let to = (pair.client.node_id(), pair.client.local_addr());
    let error = pair.server.connect(to).await.unwrap_err();
    assert_eq!(error, ConnectError::EndpointClosed);
    // Who knocks now is refused.
    let error = pair.client.connect((pair.server.node_id(), pair.server.local_addr())).await;
    assert!(matches!(error, Err(ConnectError::Failed(CloseReason::Refused(_)))), "{error:?}");
}

#[tokio::test]
async fn dropping_an_endpoint_with_its_connections_frees_its_port() {
    let pair = pair().await;
    let port = pair.server.local_addr();
    drop((pair.server, pair.far));
    soon("the end", pair.near.closed()).await;
    // The task ends once the connection has drained.
    let begun = Instant::now();
    soon("the port", async {
        while std::net::UdpSocket::bind(port).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    println!("free after {:?}", begun.elapsed());
}

#[test]
fn a_runtime_that_is_shut_down_wakes_everybody_and_tells_the_peer() {
    let here = tokio::runtime::Runtime::new().unwrap();
    let there = tokio::runtime::Runtime::new().unwrap();
    let server = there.block_on(async { endpoint() });
    let client = here.block_on(async { endpoint() });
    let (id, addr) = (server.node_id(), server.local_addr());
    let accepting = there.spawn({
        let server = server.clone();
        async move { server.accept().await.unwrap().accept().await.unwrap() }
    });
    let near = here.block_on(async move { client.connect((id, addr)).await.unwrap() });
    let far = here.block_on(accepting).unwrap();
    // Somebody of another runtime waits for what the dying one drives.
    let (recv, accept, end) = here.block_on(async {
        let mut send = near.open_uni(test_options()).await.unwrap();
        send.write_all(b"x").await.unwrap();
        let mut recv = far.accept_uni().await.unwrap();
        assert_eq!(recv.read_chunk(9).await.unwrap().unwrap(), "x");
        let accept = tokio::spawn({
            let far = far.clone();
            async move { far.accept_bi().await.map(drop) }
        });
        let end = tokio::spawn(async move { far.closed().await });
        let recv = tokio::spawn(async move { recv.read_chunk(9).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::mem::forget(send);
        (recv, accept, end)
    });
    drop(there);
    here.block_on(async {
        let gone = ConnectionError::DriverGone;
        let read = soon("the reader", recv).await.unwrap();
        assert_eq!(read.unwrap_err(), ReadError::Connection(gone.clone()));
        assert_eq!(soon("the accepter", accept).await.unwrap().unwrap_err(), gone);
        assert_eq!(soon("the end", end).await.unwrap(), CloseReason::CarrierLost);
        let reason = soon("the peer's end", near.closed()).await;
        assert!(matches!(reason, CloseReason::Peer { .. }), "{reason:?}");
        assert!(soon("none", server.accept()).await.is_none());
        soon("idle", server.wait_idle()).await;
        let to = (near.peer(), server.local_addr());
        assert_eq!(server.connect(to).await.unwrap_err(), ConnectError::EndpointClosed);
    });
}

#[cfg(target_os = "linux")]
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_come_and_go_and_leave_nothing() {
    let (client, server) = (endpoint(), endpoint());
    let serve = tokio::spawn({
        let server = server.clone();
        async move {
            while let Some(incoming) = server.accept().await {
                let connecting = incoming.accept();
                tokio::spawn(async move {
                    let Ok(connection) = connecting.await else { return };
                    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
                        let said = recv.read_to_end(100).await.unwrap_or_default();
                        let _gone = send.write_all(&said).await;
                        let _gone = send.finish();
                    }
                });
            }
        }
    });
    let to = (server.node_id(), server.local_addr());
    let (mut files, begun) = (Vec::new(), Instant::now());
    for round in 0..1000 {
        let connection = soon("a connection", client.connect(to)).await.unwrap();
        let (mut send, mut recv) = connection.open_bi(test_options()).await.unwrap();
        send.write_all(b"hi").await.unwrap();
        send.finish().unwrap();
        assert_eq!(soon("an echo", recv.read_to_end(10)).await.unwrap(), b"hi");
        connection.close(AppCode(0), b"");
        if round % 100 == 99 {
            files.push(descriptors());
        }
    }
    println!("1000 in {:?}; descriptors {files:?}", begun.elapsed());
    assert!(files.last().unwrap() <= &(files[0] + 16), "{files:?}");
    client.close(AppCode(0), b"");
    server.close(AppCode(0), b"");
    soon("idle", async { tokio::join!(client.wait_idle(), server.wait_idle()) }).await;
    assert_eq!(client.stats().await.connections, 0);
    assert_eq!(server.stats().await.connections, 0);
    soon("the accepter", serve).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hundred_endpoints_come_and_go_and_leave_no_descriptor() {
    drop(endpoint());
    let before = descriptors();
    for _ in 0..100 {
        drop(Endpoint::bind(loopback(), generate_key().unwrap()).unwrap());
    }
    // Other tests run in this process: room for theirs.
    until("descriptors to be closed", || descriptors() < before + 60).await;
}

/// A receiver behind a relay whose source is cut off: it has what came, and knows how much of what.
///
/// spec: R-PIPE-14
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_cut_off_knows_how_much_came_of_how_much() {
    let (source, sink) = (endpoint(), endpoint());
    let (node, _told) = relay_on(endpoint(), RelayConfig::new(Allow::Everybody));
    let connection = to(&source, &node).await;
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let mut options = way.introduce(&hello()).unwrap();
    options.size = Some(100_000);
    let mut send = connection.open_uni(options).await.unwrap();
    send.write_all(&pattern(30_000)).await.unwrap();
    let accepted = soon("a relay", sink.accept()).await.unwrap().accept().await.unwrap();
    let mut recv = soon("a stream", accepted.accept_uni()).await.unwrap();
    let mut read = vec![0; 30_000];
    soon("its bytes", AsyncReadExt::read_exact(&mut recv, &mut read)).await.unwrap();
    connection.abort(AppCode(1), b"");
    let error = soon("the end", recv.read_chunk(usize::MAX)).await.unwrap_err();
    let (received, total) = (Some(30_000), Some(100_000));
    let lost = StreamError::ConnectionLost { received, total, hop: Some(0) };
    assert_eq!(error, ReadError::Failed(lost));
}
