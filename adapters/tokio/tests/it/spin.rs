//! Random calls from many tasks over a link that loses packets: nothing hangs, nothing panics, and
//! when all is done nothing is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aqueduct_tokio::{AppCode, Connection, Endpoint, NodeId, Priority, TransportConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::forwarder::Forwarder;
use crate::harness::*;

/// A small generator: the order of tasks is the system's anyway.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Answers and ends streams in all ways, until the connection is over.
async fn respond(connection: Connection, seed: u64) {
    let mut dice = Dice(seed | 1);
    let mut tasks = JoinSet::new();
    while let Ok((send, mut recv)) = connection.accept_stream().await {
        let kind = dice.below(6);
        tasks.spawn(async move {
            match (kind, send) {
                (0, _) => recv.stop(AppCode(kind)),
                (1, Some(mut send)) => send.reset(AppCode(kind)),
                (2, _) => drop(recv),
                (_, Some(mut send)) => {
                    let _over = tokio::io::copy(&mut recv, &mut send).await;
                    let _over = send.shutdown().await;
                }
                (_, None) => {
                    let _over = recv.read_to_end(1 << 20).await;
                }
            }
        });
        while tasks.try_join_next().is_some() {}
        if dice.below(300) == 0 {
            connection.abort(AppCode(1), b"for a change");
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn one_call(connection: &Connection, dice: &mut Dice) {
    let body = pattern(dice.below(60_000) as usize);
    match dice.below(12) {
        0 => drop(connection.send_datagram(body.into())),
        1 => drop(connection.send_message(body.into()).await),
        2 => drop(tokio::time::timeout(Duration::from_micros(50), connection.recv_message()).await),
        3 => drop(tokio::time::timeout(Duration::from_micros(50), connection.accept_bi()).await),
        4 => drop(connection.stats().await),
        5 if dice.below(20) == 0 => connection.close(AppCode(2), b"bye"),
        6 | 7 => {
            if let Ok(mut send) = connection.open_uni(test_options()).await {
                let _over = send.write_all(&body).await;
                match dice.below(4) {
                    0 => send.reset(AppCode(3)),
                    1 => drop(send),
                    2 => drop(send.finish()),
                    _ => drop(send.delivered().await),
                }
            }
        }
        _ => {
            if let Ok((mut send, mut recv)) = connection.open_bi(test_options()).await {
                send.set_priority(if dice.below(2) == 0 {
                    Priority::Bulk
                } else {
                    Priority::Urgent
                });
                let _over = send.write_bytes(body.clone().into()).await;
                let _over = send.finish();
                let mut back = Vec::new();
                if AsyncReadExt::read_to_end(&mut recv, &mut back).await.is_ok() {
                    assert!(back == body || back.is_empty(), "another body came back");
                }
            }
        }
    }
}

async fn spin(client: Endpoint, to: (NodeId, std::net::SocketAddr), seed: u64, calls: &AtomicU64) {
    let mut dice = Dice(seed);
    let end = tokio::time::Instant::now() + Duration::from_secs(4);
    while tokio::time::Instant::now() < end {
        let Ok(connection) = client.connect(to).await else { continue };
        while connection.close_reason().is_none() && tokio::time::Instant::now() < end {
            one_call(&connection, &mut dice).await;
            calls.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_calls_over_a_lossy_link_never_hang() {
    let transport =
        || TransportConfig::default().with_idle_timeout(Duration::from_secs(5)).unwrap();
    let (client, server) = (endpoint_with(transport()), endpoint_with(transport()));
    let forwarder = Forwarder::to(server.local_addr()).await;
    forwarder.lose_one_in(20);
    let serve = tokio::spawn({
        let server = server.clone();
        async move {
            let mut tasks = JoinSet::new();
            let mut seed = 0x5eed_u64;
            while let Some(incoming) = server.accept().await {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let connecting = incoming.accept();
                tasks.spawn(async move {
                    if let Ok(connection) = connecting.await {
                        respond(connection, seed).await;
                    }
                });
            }
            while tasks.join_next().await.is_some() {}
        }
    });
    let calls = Arc::new(AtomicU64::new(0));
    let mut spinners = JoinSet::new();
    for number in 0..4 {
        let (client, calls) = (client.clone(), calls.clone());
        let to = (server.node_id(), forwarder.front);
        spinners.spawn(async move { spin(client, to, 0xace1 + number, &calls).await });
    }
    let all = async { while spinners.join_next().await.transpose().unwrap().is_some() {} };
    within(Duration::from_secs(40), "the callers", all).await;
    println!("{} calls, {} datagrams", calls.load(Ordering::Relaxed), forwarder.forwarded());
    client.close(AppCode(0), b"");
    server.close(AppCode(0), b"");
    let idle = async { tokio::join!(client.wait_idle(), server.wait_idle()) };
    within(Duration::from_secs(30), "idle", idle).await;
    soon("the answering side", serve).await.unwrap();
    assert_eq!(client.stats().await.connections, 0);
    assert_eq!(server.stats().await.connections, 0);
    assert_eq!(server.stats().await.budget_committed, 0);
}
