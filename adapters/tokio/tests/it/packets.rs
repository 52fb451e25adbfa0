//! Unreliable datagrams and whole messages.

use std::time::Duration;

use aqueduct_tokio::{AppCode, Bytes, ConnectionError, DatagramError, MessageError};

use crate::harness::*;

#[tokio::test]
async fn datagrams_go_both_ways() {
    let pair = pair().await;
    pair.near.send_datagram(Bytes::from_static(b"ping")).unwrap();
    assert_eq!(soon("a datagram", pair.far.read_datagram()).await.unwrap(), "ping");
    pair.far.send_datagram_wait(Bytes::from_static(b"pong")).await.unwrap();
    assert_eq!(soon("a datagram", pair.near.read_datagram()).await.unwrap(), "pong");
}

#[tokio::test]
async fn a_datagram_of_the_largest_size_goes_and_one_more_byte_is_refused_with_both_numbers() {
    let pair = pair().await;
    let max = pair.near.max_datagram_len().unwrap();
    assert!(max >= 1100, "{max}");
    pair.near.send_datagram(vec![1; max].into()).unwrap();
    assert_eq!(soon("a datagram", pair.far.read_datagram()).await.unwrap().len(), max);
    let now = pair.near.max_datagram_len().unwrap();
    let error = pair.near.send_datagram(vec![1; now + 1].into()).unwrap_err();
    assert_eq!(error, DatagramError::TooLarge { len: now + 1, max: now });
}

#[tokio::test]
async fn a_thousand_datagrams_through_a_queue_that_waits() {
    let pair = pair().await;
    let near = pair.near.clone();
    let send = tokio::spawn(async move {
        for number in 0..1000_u32 {
            let body = Bytes::copy_from_slice(&number.to_be_bytes());
            near.send_datagram_wait(body).await.unwrap();
        }
        near.close(AppCode(0), b"all said");
    });
    let mut last = None;
    let mut got = 0;
    // Some may be lost to a full queue; those that come are whole and in order on one machine.
    while let Ok(datagram) = soon("a datagram or the end", pair.far.read_datagram()).await {
        let number = u32::from_be_bytes(datagram[..].try_into().unwrap());
        assert!(last < Some(number), "{last:?} {number}");
        last = Some(number);
        got += 1;
    }
    send.await.unwrap();
    println!("{got} of 1000");
    assert!(got > 500);
}

/// The core's queue is full long before the last: whoever waits is made to wait, and nothing that was
/// taken is dropped at home, not even by a close.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_that_wait_for_room_are_all_sent() {
    let pair = pair().await;
    let all = 5000_u64;
    let far = pair.far.clone();
    let reading = tokio::spawn(async move {
        let mut got = 0;
        while far.read_datagram().await.is_ok() {
            got += 1;
        }
        got
    });
    for number in 0..all {
        let mut body = vec![7; 1000];
        body[..8].copy_from_slice(&number.to_be_bytes());
        pair.near.send_datagram_wait(body.into()).await.unwrap();
    }
    pair.near.close(AppCode(1), b"all said");
    let reason = soon("the end", pair.near.closed()).await;
    let stats = pair.near.stats().await.datagrams;
    println!("{reason}: {stats:?}, {} came", reading.await.unwrap());
    assert_eq!((stats.sent, stats.send_dropped), (all, 0));
    assert_eq!(pair.client.io_stats().datagrams_unsendable, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_all_sizes_arrive_whole() {
    let pair = pair().await;
    let sizes = [0, 1, 100, 1200, 5000, 70_000, 1 << 20, 3 << 20];
    let near = pair.near.clone();
    let send = tokio::spawn(async move {
        for size in sizes {
            near.send_message(pattern(size).into()).await.unwrap();
        }
    });
    let mut got = Vec::new();
    for _ in sizes {
        let message = soon("a message", pair.far.recv_message()).await.unwrap();
        assert!(message[..] == pattern(message.len())[..]);
        got.push(message.len());
    }
    got.sort_unstable();
    assert_eq!(got, sizes);
    send.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_messages_than_streams_and_inbox_hold_arrive_once_each() {
    let pair = pair().await;
    // What the two threads do at one time differs from round to round.
    for _ in 0..10 {
        a_thousand_messages(&pair).await;
    }
}

async fn a_thousand_messages(pair: &Pair) {
    let near = pair.near.clone();
    let send = tokio::spawn(async move {
        for number in 0..1000_u32 {
            near.send_message(Bytes::copy_from_slice(&number.to_be_bytes())).await.unwrap();
        }
    });
    let mut got: Vec<u32> = Vec::new();
    while got.len() < 1000 {
        let message = soon("a message", pair.far.recv_message()).await.unwrap();
        got.push(u32::from_be_bytes(message[..].try_into().unwrap()));
        if got.len() == 300 {
            // A slow reader: what it does not take waits with the sender.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    got.sort_unstable();
    assert!(got.iter().copied().eq(0..1000));
    send.await.unwrap();
}

#[tokio::test]
async fn a_message_over_the_peers_limit_is_refused_with_the_limit() {
    let limit = 1000;
    let transport = aqueduct_tokio::TransportConfig::default;
    let server = endpoint_with(transport().with_max_message_size(limit).unwrap());
    let pair = pair_of(endpoint(), server).await;
    pair.near.send_message(vec![0; 1000].into()).await.unwrap();
    let error = pair.near.send_message(vec![0; 1001].into()).await.unwrap_err();
    assert!(matches!(error, MessageError::Refused(_)));
    assert!(error.to_string().contains("1000"), "{error}");
}

#[tokio::test]
async fn calls_on_a_connection_that_is_over_fail_with_its_cause() {
    let pair = pair().await;
    pair.near.close(AppCode(9), b"enough");
    let reason = soon("the end", pair.far.closed()).await;
    assert_eq!(reason.to_string(), "closed by the peer's application with code 9: enough");
    let over = ConnectionError::Closed(reason);
    assert_eq!(pair.far.read_datagram().await.unwrap_err(), over);
    assert_eq!(pair.far.recv_message().await.unwrap_err(), over);
    assert_eq!(pair.far.accept_uni().await.unwrap_err(), over);
    assert_eq!(pair.far.send_datagram(Bytes::new()).unwrap_err(), over.clone().into());
    assert_eq!(pair.far.send_message(Bytes::new()).await.unwrap_err(), over.clone().into());
    assert_eq!(pair.far.open_uni(test_options()).await.unwrap_err(), over.into());
}
