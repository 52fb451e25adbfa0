//! One stream read by several handles, and looked at before it is read.

use std::time::Duration;

use aqueduct_tokio::{Bytes, ConnectionError, ReadError, RecvStream, SendStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

const MIB: usize = 1 << 20;

async fn stream(pair: &Pair) -> (SendStream, RecvStream) {
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.write_all(b"#").await.unwrap();
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    assert_eq!(soon("a byte", recv.read_u8()).await.unwrap(), b'#');
    (send, recv)
}

/// Reads to the end in parts of at most `max`, pausing now and then, and compares.
async fn check(mut recv: RecvStream, body: Bytes, max: usize, pause: Duration) {
    let (mut at, mut rest) = (0, 0);
    while let Some(chunk) = recv.read_chunk(max).await.unwrap() {
        assert!(chunk.len() <= max && body[at..].starts_with(&chunk), "other bytes at {at}");
        at += chunk.len();
        if !pause.is_zero() && at - rest > 8 * MIB {
            rest = at;
            tokio::time::sleep(pause).await;
        }
    }
    assert_eq!(at, body.len());
}

async fn write(send: &mut SendStream, body: &Bytes) {
    send.write_bytes(body.clone()).await.unwrap();
    send.delivered().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_forks_read_64_mib_at_different_speeds() {
    let pair = pair().await;
    let body = Bytes::from(pattern(64 * MIB));
    let (mut send, recv) = stream(&pair).await;
    let slow = tokio::spawn(check(recv.fork(), body.clone(), 5000, Duration::from_millis(20)));
    let fast = tokio::spawn(check(recv, body.clone(), usize::MAX, Duration::ZERO));
    within(Duration::from_secs(60), "64 MiB", write(&mut send, &body)).await;
    soon("the readers", async {
        slow.await.unwrap();
        fast.await.unwrap();
    })
    .await;
    // Everything was given back: as much again goes through.
    let (mut send, recv) = stream(&pair).await;
    let reader = tokio::spawn(check(recv, body.slice(..8 * MIB), usize::MAX, Duration::ZERO));
    soon("8 MiB", write(&mut send, &body.slice(..8 * MIB))).await;
    reader.await.unwrap();
}

/// Each reader in a thread and a runtime of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forks_read_in_threads_of_their_own() {
    let pair = pair().await;
    let body = Bytes::from(pattern(4 * MIB));
    let (mut send, recv) = stream(&pair).await;
    let readers = [recv.fork(), recv.fork(), recv].map(|recv| {
        let body = body.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(check(recv, body, usize::MAX, Duration::ZERO));
        })
    });
    soon("4 MiB", write(&mut send, &body)).await;
    let joined = tokio::task::spawn_blocking(|| readers.map(|reader| reader.join().unwrap()));
    soon("the readers", joined).await.unwrap();
}

#[tokio::test]
async fn collecting_can_be_given_up_and_gone_on_with() {
    let pair = pair().await;
    let (mut send, mut recv) = stream(&pair).await;
    let mut other = recv.fork();
    send.write_all(b"one ").await.unwrap();
    let half = tokio::time::timeout(Duration::from_millis(50), recv.collect_all(100)).await;
    assert!(half.is_err());
    let mut fork = recv.fork();
    send.write_all(b"two").await.unwrap();
    assert_eq!(soon("both", recv.peek(7)).await.unwrap(), "one two");
    send.finish().unwrap();
    assert_eq!(soon("all", recv.collect_all(100)).await.unwrap(), "one two");
    assert_eq!(recv.collect_all(100).await.unwrap(), "");
    assert_eq!(fork.read_chunk(100).await.unwrap().unwrap(), "one ");
    assert_eq!(fork.read_to_end(3).await.unwrap(), b"two");
    // Too long for the caller, and nothing is lost.
    assert_eq!(other.collect_all(6).await, Err(ReadError::TooLong { limit: 6 }));
    assert_eq!(other.collect_all(7).await.unwrap(), "one two");
}

/// Bytes that come one by one, each in a packet of its own, far more of them than the driver hands
/// over at once: nobody waits for ever, whoever looks, reads slowly, or reads for two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_come_one_by_one_stall_nobody() {
    const LEN: usize = 3000;
    let pair = pair().await;
    let body = Bytes::from(pattern(LEN));
    let (mut send, mut recv) = stream(&pair).await;
    let sent = body.clone();
    let writer = tokio::spawn(async move {
        for at in 0..LEN {
            send.write_bytes(sent.slice(at..=at)).await.unwrap();
            if at % 8 == 0 {
                tokio::time::sleep(Duration::from_micros(50)).await;
            }
            tokio::task::yield_now().await;
        }
        send.delivered().await.unwrap();
    });
    assert!(soon("the head", recv.peek(1000)).await.unwrap() == body[..1000]);
    let (mut slow, late) = (recv.fork(), recv.fork());
    let mut byte = [0; 1];
    for at in 0..100 {
        soon("a byte", slow.read_exact(&mut byte)).await.unwrap();
        assert_eq!(byte[0], body[at]);
    }
    let slow = tokio::spawn(check(slow, body.slice(100..), 3, Duration::ZERO));
    // The late one holds too many small parts, until it is gone.
    let look = async { recv.peek(LEN).await };
    let leave = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(late);
    };
    let (head, ()) = soon("all of it", async { tokio::join!(look, leave) }).await;
    assert!(head.unwrap() == body);
    assert!(soon("all", recv.collect_all(LEN)).await.unwrap() == body);
    soon("the others", async {
        slow.await.unwrap();
        writer.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_driver_that_dies_wakes_every_handle() {
    let client = endpoint();
    let (ready, done) = std::sync::mpsc::channel();
    let (tell, told) = tokio::sync::oneshot::channel();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let recv = runtime.block_on(async {
            let server = endpoint();
            tell.send((server.node_id(), server.local_addr())).unwrap();
            let far = server.accept().await.unwrap().accept().await.unwrap();
            let mut recv = far.accept_uni().await.unwrap();
            assert_eq!(recv.peek(4).await.unwrap(), "here");
            recv
        });
        let waiting = [recv.fork(), recv].map(|mut recv| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    let first = recv.read_chunk(100).await.unwrap().unwrap();
                    (first, recv.read_chunk(100).await)
                })
            })
        });
        std::thread::sleep(Duration::from_millis(50));
        drop(runtime);
        ready.send(waiting.map(|thread| thread.join().unwrap())).unwrap();
    });
    let near = client.connect(told.await.unwrap()).await.unwrap();
    let mut send = near.open_uni(test_options()).await.unwrap();
    send.write_all(b"here").await.unwrap();
    let results = tokio::task::spawn_blocking(move || done.recv_timeout(Duration::from_secs(20)));
    for (first, end) in results.await.unwrap().expect("both are woken") {
        assert_eq!(first, "here");
        assert_eq!(end, Err(ReadError::Connection(ConnectionError::DriverGone)));
    }
    server.join().unwrap();
}
