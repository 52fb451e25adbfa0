//! A peer whose port changes, and one that falls silent.

use std::time::{Duration, Instant};

use aqueduct_tokio::{CloseReason, ConnectError, TransportConfig, WriteError};

use crate::forwarder::Forwarder;
use crate::harness::*;
use crate::transfer::transfer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_survives_a_port_that_changes_under_it() {
    let (client, server) = (endpoint(), endpoint());
    let forwarder = Forwarder::to(server.local_addr()).await;
    let (near, far) = connect_by(&client, &server, forwarder.front).await;
    let before = far.remote();
    let moving = tokio::spawn(transfer(near.clone(), far.clone(), 24 << 20));
    let begun = forwarder.forwarded();
    until("traffic", || forwarder.forwarded() > begun + 500).await;
    forwarder.rebind();
    let took = within(Duration::from_secs(60), "the transfer", moving).await.unwrap();
    println!("24 MiB over a changing port in {took:?}");
    until("the new address", || far.remote() != before).await;
    // The way back works as well.
    transfer(far, near, 1 << 20).await;
}

#[tokio::test]
async fn a_peer_that_vanishes_is_reported_within_the_idle_time_out() {
    let idle = Duration::from_millis(1500);
    let transport = || TransportConfig::default().with_idle_timeout(idle).unwrap();
    let (client, server) = (endpoint_with(transport()), endpoint_with(transport()));
    let forwarder = Forwarder::to(server.local_addr()).await;
    let (near, far) = connect_by(&client, &server, forwarder.front).await;
    let mut send = near.open_uni(test_options()).await.unwrap();
    send.write_bytes(pattern(1000).into()).await.unwrap();
    let _recv = soon("a stream", far.accept_uni()).await.unwrap();
    forwarder.cut();
    let begun = Instant::now();
    let blocked = tokio::spawn(async move {
        loop {
            if let Err(error) = send.write_bytes(pattern(1 << 20).into()).await {
                return error;
            }
        }
    });
    let reason = soon("the end", near.closed()).await;
    let took = begun.elapsed();
    println!("{reason} after {took:?}");
    let typed = matches!(reason, CloseReason::IdleTimeout(_) | CloseReason::PeerLost { .. });
    assert!(typed, "{reason:?}");
    // Unless it is told otherwise, it waits for 30 s.
    assert!(took < Duration::from_secs(15), "{took:?}");
    let error = soon("the writer", blocked).await.unwrap();
    assert!(matches!(error, WriteError::Connection(_)), "{error:?}");
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::ConnectionAborted);
    soon("the other end", far.closed()).await;
}

#[tokio::test]
async fn nobody_at_an_address_is_reported_when_the_handshake_time_out_is_over() {
    let limit = Duration::from_millis(700);
    let client = endpoint_with(TransportConfig::default().with_handshake_timeout(limit));
    let silent = std::net::UdpSocket::bind(loopback()).unwrap();
    let stranger = endpoint().node_id();
    let begun = Instant::now();
    let error = client.connect((stranger, silent.local_addr().unwrap())).await.unwrap_err();
    println!("{error} after {:?}", begun.elapsed());
    assert_eq!(error, ConnectError::Failed(CloseReason::HandshakeTimeout(limit)));
    // Unless it is told otherwise, it tries for 10 s.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}
