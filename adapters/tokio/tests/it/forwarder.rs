//! A tiny UDP forwarder, as a NAT in the way: it can give its client another port, and fall silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::harness::loopback;

pub(crate) struct Forwarder {
    pub(crate) front: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    rebind: Notify,
    silent: AtomicBool,
    forwarded: AtomicU64,
    /// One of so many datagrams is lost; 0: none.
    lose_one_in: AtomicU64,
}

impl Forwarder {
    /// Forwards one client's datagrams to `server` and back.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let front = UdpSocket::bind(loopback()).await.unwrap();
        let addr = front.local_addr().unwrap();
        let state = Arc::new(State::default());
        let task = tokio::spawn(forward(front, server, state.clone()));
        Self { front: addr, state, task }
    }

    /// The server sees the client at another port from now on.
    pub(crate) fn rebind(&self) {
        self.state.rebind.notify_one();
    }

    /// Nothing goes through from now on.
    pub(crate) fn cut(&self) {
        self.state.silent.store(true, Ordering::Relaxed);
    }

    /// Loses one of `count` datagrams each way from now on.
    pub(crate) fn lose_one_in(&self, count: u64) {
        self.state.lose_one_in.store(count, Ordering::Relaxed);
    }

    pub(crate) fn forwarded(&self) -> u64 {
        self.state.forwarded.load(Ordering::Relaxed)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(front: UdpSocket, server: SocketAddr, state: Arc<State>) {
    let mut back = UdpSocket::bind(loopback()).await.unwrap();
    let mut client = None;
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = state.forwarded.fetch_add(1, Ordering::Relaxed);
        let lost = state.lose_one_in.load(Ordering::Relaxed);
        let silent = state.silent.load(Ordering::Relaxed)
            || (lost > 0 && count.wrapping_mul(0x9e37_79b9) >> 7 & 0xffff < 0x10000 / lost);
        tokio::select! {
            () = state.rebind.notified() => back = UdpSocket::bind(loopback()).await.unwrap(),
            Ok((len, from)) = front.recv_from(&mut up) => {
                client = Some(from);
                if !silent {
                    let _lost = back.send_to(&up[..len], server).await;
                }
            }
            Ok((len, _)) = back.recv_from(&mut down) => {
                if let (Some(client), false) = (client, silent) {
                    let _lost = front.send_to(&down[..len], client).await;
                }
            }
        }
    }
}
