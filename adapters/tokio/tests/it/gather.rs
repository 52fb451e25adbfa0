//! What many tasks write at one time leaves in few packets.

use std::sync::Arc;

use aqueduct_tokio::{Bytes, Connection};

use crate::harness::*;

const AT_ONCE: u64 = 64;
const ROUNDS: u64 = 20;

async fn echo(far: Connection) {
    while let Ok((mut send, mut recv)) = far.accept_bi().await {
        tokio::spawn(async move {
            while let Some(chunk) = recv.read_chunk(usize::MAX).await.unwrap() {
                send.write_bytes(chunk).await.unwrap();
            }
            send.finish().unwrap();
        });
    }
}

async fn ask(near: &Connection, body: &Bytes) {
    let (mut send, mut recv) = near.open_bi(test_options()).await.unwrap();
    send.write_bytes(body.clone()).await.unwrap();
    send.finish().unwrap();
    let mut answer = Vec::new();
    while let Some(chunk) = recv.read_chunk(usize::MAX).await.unwrap() {
        answer.extend_from_slice(&chunk);
    }
    assert_eq!(answer, **body);
}

/// A request on a stream of its own fits twelve times into a packet. One by one, each would leave in
/// two, its bytes and its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn requests_of_many_tasks_share_packets() {
    let pair = pair().await;
    let (near, body) = (Arc::new(pair.near), Bytes::from(pattern(64)));
    tokio::spawn(echo(pair.far));
    ask(&near, &body).await;
    let before = near.stats().await.path.sent_datagrams;
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (near, body) = (near.clone(), body.clone());
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    ask(&near, &body).await;
                }
            })
        })
        .collect();
    for task in tasks {
        soon("all answers", task).await.unwrap();
    }
    let sent = near.stats().await.path.sent_datagrams - before;
    println!("{} requests in {sent} datagrams", AT_ONCE * ROUNDS);
    assert!(sent < AT_ONCE * ROUNDS / 3, "{} requests took {sent} datagrams", AT_ONCE * ROUNDS);
}
