//! `--case handshakes`, `--case idle`: what a connection costs to make, and to keep.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ends::{Ends, used};
use crate::peer::{Client, Peer};

/// What a round of handshakes gives.
pub(crate) const HANDSHAKES: [&str; 4] = ["a second", "per CPU s", "client us", "server us"];

/// What a round of idle connections gives.
pub(crate) const IDLE: [&str; 2] = ["KiB a side", "CPU ms/s, both"];

/// Dialled at the same time.
const AT_ONCE: usize = 8;

async fn dial<P: Peer>(dialer: Arc<P::Dialer>, count: usize) -> Vec<P::Client> {
    let mut made = Vec::with_capacity(count);
    let tasks = (0..AT_ONCE).map(|at| {
        let (dialer, share) = (dialer.clone(), (count + at) / AT_ONCE);
        tokio::spawn(async move {
            let mut made = Vec::with_capacity(share);
            for _ in 0..share {
                made.push(P::connect(&dialer).await);
            }
            made
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        made.extend(task.await.expect("no panic"));
    }
    made
}

/// So many full handshakes, none resumed.
pub(crate) fn handshakes<P: Peer>(count: usize) -> Vec<f64> {
    let ends = Ends::new();
    let door = ends.server(P::serve(Ipv4Addr::LOCALHOST));
    let dialer = ends.client(async move { Arc::new(P::dialer(Ipv4Addr::LOCALHOST, door).await) });
    ends.client(dial::<P>(dialer.clone(), AT_ONCE));
    let (began, before) = (Instant::now(), used());
    let made = ends.client(dial::<P>(dialer, count));
    let (wall, cpu) = (began.elapsed().as_secs_f64(), used().since(before));
    assert_eq!(made.len(), count);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    let count = count as f64;
    let figures =
        vec![count / wall, count / cpu.all().as_secs_f64(), each(cpu.client), each(cpu.server)];
    ends.client(async move {
        for client in made {
            client.close().await;
        }
    });
    figures
}

/// Resident memory of the process in KiB.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("this bench needs Linux");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.expect("a number") * rustix::param::page_size() as f64 / 1024.0
}

/// So many connections that do nothing.
pub(crate) fn idle<P: Peer>(count: usize) -> Vec<f64> {
    let ends = Ends::new();
    let door = ends.server(P::serve(Ipv4Addr::LOCALHOST));
    let dialer = ends.client(async move { Arc::new(P::dialer(Ipv4Addr::LOCALHOST, door).await) });
    let first = ends.client(dial::<P>(dialer.clone(), AT_ONCE));
    let before = resident();
    let made = ends.client(dial::<P>(dialer, count));
    // What the handshakes left behind is let go by then.
    std::thread::sleep(Duration::from_secs(3));
    let grown = resident() - before;
    let (began, cpu) = (Instant::now(), used());
    std::thread::sleep(Duration::from_secs(2));
    let cpu = used().since(cpu).all().as_secs_f64() * 1e3 / began.elapsed().as_secs_f64();
    assert_eq!(made.len(), count);
    drop((made, first));
    vec![grown / 2.0 / count as f64, cpu]
}
