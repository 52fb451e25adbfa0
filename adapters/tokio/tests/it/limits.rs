//! What a connection says of why it sends no more.

use std::time::{Duration, Instant};

use aqueduct_tokio::{Class, SendLimit};
use tokio::io::AsyncWriteExt;

use crate::harness::{pair, soon, test_options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_does_not_read_is_what_limits_and_one_that_does_is_not() {
    let pair = pair().await;
    let limit_is = async |expected| {
        soon("the limit", async {
            while pair.near.stats().await.limited_by != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    limit_is(SendLimit::Application).await;
    let mut sending = pair.near.open_uni(test_options()).await.unwrap();
    let writing = tokio::spawn(async move {
        sending.write_all(&vec![7; 4 << 20]).await.unwrap();
        sending.delivered().await.unwrap();
    });
    let mut arriving = soon("the stream", pair.far.accept_uni()).await.unwrap();
    limit_is(SendLimit::StreamCredit).await;
    soon("all of it", arriving.collect_all(4 << 20)).await.unwrap();
    soon("the end", writing).await.unwrap();
    limit_is(SendLimit::Application).await;
}

/// A limit that is set while the node runs holds, and is what a connection names.
///
/// spec: R-SHP-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_what_is_sent_and_is_named() {
    let pair = pair().await;
    pair.client.set_limit(Some(2_000_000));
    let mut sending = pair.near.open_uni(test_options()).await.unwrap();
    let began = Instant::now();
    let writing = tokio::spawn(async move {
        sending.write_all(&vec![7; 2 << 20]).await.unwrap();
        sending.delivered().await.unwrap();
    });
    let mut arriving = soon("the stream", pair.far.accept_uni()).await.unwrap();
    let reading =
        tokio::spawn(async move { arriving.collect_all(2 << 20).await.map(|all| all.len()) });
    soon("the limit", async {
        while pair.near.stats().await.limited_by != SendLimit::Rate {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let got = soon("all of it", reading).await.unwrap().unwrap();
    soon("the end", writing).await.unwrap();
    assert_eq!(got, 2 << 20);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1_000), "{took:?}");
    let sent = pair.client.bandwidth(None).await;
    assert!(sent.sent(Class::Normal) > 2 << 20);
    let to_peer = pair.client.bandwidth(Some(pair.near.peer())).await;
    assert_eq!(to_peer.sent(Class::Normal), sent.sent(Class::Normal));
    assert!(sent.received_in_all() > 0);
}
