//! Large bodies, and what the kernel batches for them.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use aqueduct_tokio::{AppCode, Bytes, Connection, Endpoint, IoStats, WriteError, generate_key};
use futures_util::{SinkExt, StreamExt, stream};
use tokio::io::AsyncReadExt;

use crate::harness::*;

const SIZE: usize = 64 << 20;

/// Sends `blocks` times one block of 1 MiB, and reads and compares it at the other end.
pub(crate) async fn transfer(from: Connection, to: Connection, size: usize) -> Duration {
    let block = Bytes::from(pattern(1 << 20));
    let begun = Instant::now();
    let sent = block.clone();
    let send = tokio::spawn(async move {
        let mut send = from.open_uni(test_options()).await.unwrap();
        let mut left = size;
        while left > 0 {
            let part = sent.slice(..left.min(sent.len()));
            left -= part.len();
            send.write_bytes(part).await.unwrap();
        }
        send.delivered().await.unwrap();
    });
    let mut recv = soon("a stream", to.accept_uni()).await.unwrap();
    let mut got = 0;
    let mut buf = vec![0; 1 << 16];
    loop {
        let count = within(Duration::from_secs(60), "bytes", recv.read(&mut buf)).await.unwrap();
        if count == 0 {
            break;
        }
        let at = got % block.len();
        let first = count.min(block.len() - at);
        assert!(buf[..first] == block[at..at + first], "wrong bytes at {got}");
        assert!(buf[first..count] == block[..count - first], "wrong bytes at {got}");
        got += count;
    }
    assert_eq!(got, size);
    let took = begun.elapsed();
    soon("the sender", send).await.unwrap();
    took
}

/// Blocks that come from one stream go into another, and wait where that cannot take them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_blocks_goes_out_by_a_sink() {
    let pair = pair().await;
    let body = Bytes::from(pattern(8 << 20));
    let blocks = (0..8 << 4).map(|block| body.slice(block << 16..(block + 1) << 16));
    let blocks: Vec<_> = blocks.collect();
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    let given = Arc::<AtomicUsize>::default();
    let count = given.clone();
    let forwarding = tokio::spawn(async move {
        let counted = blocks.into_iter().inspect(|_| _ = count.fetch_add(1, Relaxed));
        stream::iter(counted.map(Ok)).forward(&mut send).await.unwrap();
        // Closing it was its end.
        assert_eq!(send.feed(Bytes::from_static(b"more")).await, Err(WriteError::Finished));
        send.delivered().await.unwrap();
    });
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    // Nobody reads: what is given is what the queue, the core and the window hold, and no more.
    soon("some", recv.peek(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(given.load(Relaxed) < 8 << 4, "all {} blocks were taken", given.load(Relaxed));
    assert!(soon("the body", recv.collect_all(8 << 20)).await.unwrap() == body);
    soon("the sender", forwarding).await.unwrap();

    // The sink says how the stream ended.
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.feed(Bytes::from_static(b"so far")).await.unwrap();
    soon("a stream", pair.far.accept_uni()).await.unwrap().stop(AppCode(5));
    soon("a stop", send.stopped()).await.unwrap();
    let told = send.feed(Bytes::from_static(b"more")).await;
    assert_eq!(told, Err(WriteError::Stopped { code: AppCode(5), hop: 0 }));
}

fn show(who: &str, io: &IoStats) {
    println!(
        "{who}: sent {} datagrams in {} calls ({} batches with {}, largest {}), \
         received {} in {} calls ({} joined messages with {}, largest {}; largest call {}), \
         blocked {}, sleeps {}",
        io.datagrams_sent,
        io.sends,
        io.gso_batches,
        io.gso_segments,
        io.gso_largest,
        io.datagrams_received,
        io.receives,
        io.gro_batches,
        io.gro_segments,
        io.gro_largest,
        io.receive_largest,
        io.blocked,
        io.sleeps,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_mebibytes_each_way_in_batches() {
    let pair = pair().await;
    for (from, to) in [(&pair.near, &pair.far), (&pair.far, &pair.near)] {
        let took = transfer(from.clone(), to.clone(), SIZE).await;
        let rate = SIZE as f64 / took.as_secs_f64() / (1 << 20) as f64;
        println!("64 MiB in {took:?}: {rate:.0} MiB/s");
    }
    for (who, endpoint) in [("client", &pair.client), ("server", &pair.server)] {
        let io = endpoint.io_stats();
        show(who, &io);
        if cfg!(target_os = "linux") {
            assert!(io.gso_largest > 1 && io.gso_segments > io.gso_batches, "{io:?}");
            assert!(io.gro_largest > 1 && io.gro_segments > io.gro_batches, "{io:?}");
            // Batching is the rule and not the exception.
            assert!(io.datagrams_sent > 2 * io.sends, "{io:?}");
        }
        assert_eq!((io.send_errors, io.recv_errors), (0, 0));
    }
    let stats = pair.near.stats().await;
    println!("{stats:?}");
}

/// spec: R-PATH-29
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_machine_is_sent_the_largest_datagrams_unless_a_limit_is_set() {
    let large = || Endpoint::bind(loopback(), generate_key().unwrap()).unwrap();
    for (server, most) in [(large(), 65_507), (endpoint(), 1_452)] {
        let pair = pair_of(large(), server).await;
        for (from, to) in [(&pair.near, &pair.far), (&pair.far, &pair.near)] {
            transfer(from.clone(), to.clone(), 16 << 20).await;
        }
        for end in [&pair.near, &pair.far] {
            assert_eq!(end.stats().await.datagram_size, most, "the smaller limit holds for both");
        }
        let io = pair.client.io_stats();
        show("client", &io);
        assert!(io.send_errors == 0, "{io:?}");
    }
}

/// A round trip of microseconds is no measure of how long a reader takes: what a fast sender may
/// send grows all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_grow_where_round_trips_are_short() {
    let pair = pair().await;
    let far = pair.far.clone();
    let watch = tokio::spawn(async move {
        let (mut most, mut trip) = (0, Duration::MAX);
        while far.close_reason().is_none() {
            let stats = far.stats().await;
            most = most.max(stats.credit_granted);
            trip = trip.min(stats.min_rtt);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (most, trip)
    });
    let begun = pair.far.stats().await.credit_granted;
    let took = transfer(pair.near.clone(), pair.far.clone(), SIZE).await;
    drop(pair.near);
    let (most, trip) = soon("the watch", watch).await.unwrap();
    println!("64 MiB in {took:?}; at first {begun} bytes granted, then {most}; {trip:?} of path");
    assert!(most > begun + (1 << 20), "{most} bytes after {begun}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_holds_the_writer_and_then_gets_everything() {
    let pair = pair().await;
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    let body = pattern(1 << 20);
    let mut taken = 0_u64;
    // Far more than all queues hold: the writer is held at some point.
    let block = Bytes::from(body.clone());
    while tokio::time::timeout(Duration::from_millis(500), send.write_bytes(block.clone()))
        .await
        .is_ok_and(|written| written.is_ok())
    {
        taken += block.len() as u64;
        assert!(taken < 300 << 20, "nothing holds the writer");
    }
    println!("held after {taken} bytes");
    send.finish().unwrap();
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    let mut got = 0_u64;
    let read = async {
        while let Some(chunk) = recv.read_chunk(usize::MAX).await.unwrap() {
            let at = (got % body.len() as u64) as usize;
            let first = chunk.len().min(body.len() - at);
            assert!(chunk[..first] == body[at..at + first], "wrong bytes at {got}");
            got += chunk.len() as u64;
        }
    };
    within(Duration::from_secs(60), "the body", read).await;
    assert_eq!(got, taken);
}
