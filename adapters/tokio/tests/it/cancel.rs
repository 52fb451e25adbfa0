//! Futures that are dropped half way lose nothing.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use aqueduct_tokio::{Bytes, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

/// Polls `future` at most `polls` times, then drops it; waits to be woken between polls.
async fn cancelled<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        let polled = future.as_mut().poll(cx).map(Some);
        if left == 0 && polled.is_pending() {
            return Poll::Ready(None);
        }
        polled
    })
    .await
}

/// Tries again until the future is ready before it is cancelled; at poll 1, 2 and 3 in turn.
async fn insist<T, F: Future<Output = T>>(mut attempt: impl FnMut() -> F) -> T {
    for round in 0.. {
        if let Some(value) = cancelled(1 + round % 3, attempt()).await {
            return value;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    unreachable!()
}

async fn write_cancelled(near: Connection, body: Vec<u8>) {
    let mut send = near.open_uni(test_options()).await.unwrap();
    let body = Bytes::from(body);
    let mut rest = body.clone();
    let mut turn = 0;
    while !rest.is_empty() {
        let size = rest.len().min(1 + turn * 7919 % 200_000);
        turn += 1;
        if turn % 2 == 0 {
            let part = rest.slice(..size);
            if let Some(done) = cancelled(1, send.write_bytes(part)).await {
                done.unwrap();
                let _sent = rest.split_to(size);
            }
        } else if let Some(done) = cancelled(1, send.write(&rest[..size])).await {
            let _sent = rest.split_to(done.unwrap());
        }
        tokio::task::yield_now().await;
    }
    while cancelled(1, send.delivered()).await.is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_writes_dropped_at_any_poll_lose_and_repeat_nothing() {
    let pair = pair().await;
    let body = pattern(8 << 20);
    let writer = tokio::spawn(write_cancelled(pair.near.clone(), body.clone()));
    let mut recv = insist(|| pair.far.accept_uni()).await.unwrap();
    let mut got = Vec::new();
    let mut buf = vec![0; 50_000];
    let read = async {
        for turn in 0.. {
            if turn % 2 == 0 {
                match cancelled(1, recv.read_chunk(10_000)).await {
                    Some(Ok(Some(chunk))) => got.extend_from_slice(&chunk),
                    Some(Ok(None)) => return,
                    Some(Err(error)) => panic!("{error}"),
                    None => tokio::time::sleep(Duration::from_micros(100)).await,
                }
            } else if let Some(count) = cancelled(1, recv.read(&mut buf)).await {
                got.extend_from_slice(&buf[..count.unwrap()]);
            }
        }
    };
    within(Duration::from_secs(60), "the body", read).await;
    assert!(got == body);
    soon("the writer", writer).await.unwrap();
}

#[tokio::test]
async fn waits_for_streams_datagrams_and_messages_may_be_dropped() {
    let pair = pair().await;
    for _ in 0..100 {
        assert!(cancelled(1, pair.far.accept_uni()).await.is_none());
        assert!(cancelled(1, pair.far.read_datagram()).await.is_none());
        assert!(cancelled(1, pair.far.recv_message()).await.is_none());
        assert!(cancelled(1, pair.far.closed()).await.is_none());
        assert!(cancelled(1, pair.server.accept()).await.is_none());
    }
    pair.near.send_datagram(Bytes::from_static(b"d")).unwrap();
    assert_eq!(soon("it", insist(|| pair.far.read_datagram())).await.unwrap(), "d");
    pair.near.send_message(Bytes::from_static(b"m")).await.unwrap();
    assert_eq!(soon("it", insist(|| pair.far.recv_message())).await.unwrap(), "m");
    let mut send = soon("it", insist(|| pair.near.open_uni(test_options()))).await.unwrap();
    send.write_all(b"s").await.unwrap();
    let mut recv = soon("it", insist(|| pair.far.accept_uni())).await.unwrap();
    send.finish().unwrap();
    assert_eq!(recv.read_to_end(10).await.unwrap(), b"s");
}

#[tokio::test]
async fn opens_that_are_dropped_leave_no_stream_behind() {
    let pair = pair().await;
    // Ten times as many as the peer allows at once.
    for round in 0..1000 {
        drop(cancelled(1 + round % 2, pair.near.open_bi(test_options())).await);
        if round % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let echo = async {
        loop {
            let (mut send, mut recv) = pair.far.accept_bi().await.unwrap();
            if let Ok(said) = recv.read_to_end(100).await {
                send.write_all(&said).await.unwrap();
                send.finish().unwrap();
                return send;
            }
        }
    };
    let ask = async {
        let (mut send, mut recv) = pair.near.open_bi(test_options()).await.unwrap();
        send.write_all(b"still here").await.unwrap();
        send.finish().unwrap();
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"still here");
    };
    soon("an echo", async { tokio::join!(echo, ask) }).await;
    let streams = async {
        while pair.near.stats().await.streams > 0 || pair.far.stats().await.streams > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("no stream left", streams).await;
}

#[tokio::test]
async fn a_connection_attempt_that_is_dropped_is_given_up() {
    let (client, server) = (endpoint(), endpoint());
    let accept = tokio::spawn({
        let server = server.clone();
        async move {
            while let Some(incoming) = server.accept().await {
                tokio::spawn(incoming.accept());
            }
        }
    });
    for round in 0..100 {
        let to = (server.node_id(), server.local_addr());
        let patience = Duration::from_micros(round * 30);
        drop(tokio::time::timeout(patience, client.connect(to)).await);
    }
    accept.abort();
    client.close(aqueduct_tokio::AppCode(0), b"");
    soon("no connection left", client.wait_idle()).await;
}
