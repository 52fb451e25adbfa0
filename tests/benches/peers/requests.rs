//! `--case requests`: small requests and answers of one size, one at a time and 64 at a time, on
//! one long stream and with a stream for each.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;

use crate::ends::Ends;
use crate::peer::{Client, Peer, Stream};
use crate::serve::ECHO;

/// What a round gives.
pub(crate) const COLUMNS: [&str; 6] =
    ["long p50 us", "long p99 us", "each p50 us", "each p99 us", "long x64 k/s", "each x64 k/s"];

/// Requests one at a time.
const SINGLE: usize = 2_000;
/// Requests with 64 at a time on one stream.
const LONG: usize = 200_000;
/// Requests with 64 at a time, a stream for each.
const EACH: usize = 20_000;
const AT_ONCE: usize = 64;

/// Reads until `len` more bytes have come.
async fn read(stream: &mut impl Stream, len: usize) {
    let mut left = len;
    while left > 0 {
        assert!(stream.read(|chunk| left -= chunk.len()).await, "the answer ends early");
    }
}

/// One request on a stream of its own.
async fn each(client: &impl Client, body: &Bytes) {
    let mut stream = client.open().await;
    stream.write(body.clone()).await.expect("a write");
    stream.finish().await.expect("an end");
    read(&mut stream, body.len()).await;
    while stream.read(|_| panic!("more than was asked")).await {}
}

fn quantiles(mut micros: Vec<f64>) -> [f64; 2] {
    micros.sort_by(f64::total_cmp);
    [micros[micros.len() / 2], micros[micros.len() * 99 / 100]]
}

async fn long_single(client: &impl Client, body: &Bytes) -> [f64; 2] {
    let mut stream = client.open().await;
    let mut micros = Vec::with_capacity(SINGLE);
    for _ in 0..SINGLE {
        let asked = Instant::now();
        stream.write(body.clone()).await.expect("a write");
        read(&mut stream, body.len()).await;
        micros.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    quantiles(micros)
}

async fn each_single(client: &impl Client, body: &Bytes) -> [f64; 2] {
    let mut micros = Vec::with_capacity(SINGLE);
    for _ in 0..SINGLE {
        let asked = Instant::now();
        each(client, body).await;
        micros.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    quantiles(micros)
}

/// Keeps 64 requests under way on one stream: as many follow as were answered.
async fn long_many(client: &impl Client, body: &Bytes) -> f64 {
    let mut stream = client.open().await;
    let bodies = Bytes::from(body.repeat(AT_ONCE));
    let (len, began) = (body.len(), Instant::now());
    stream.write(bodies.clone()).await.expect("a write");
    let (mut asked, mut answered, mut part) = (AT_ONCE, 0, 0);
    while answered < LONG {
        assert!(stream.read(|chunk| part += chunk.len()).await, "the answer ends early");
        let whole = part / len;
        (answered, part) = (answered + whole, part % len);
        let more = whole.min(LONG - asked.min(LONG));
        if more > 0 {
            stream.write(bodies.slice(..more * len)).await.expect("a write");
            asked += more;
        }
    }
    LONG as f64 / began.elapsed().as_secs_f64() / 1e3
}

async fn each_many<C: Client>(client: Arc<C>, body: Bytes) -> f64 {
    let (next, began) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let tasks = (0..AT_ONCE).map(|_| {
        let (client, body, next) = (client.clone(), body.clone(), next.clone());
        tokio::spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < EACH {
                each(&*client, &body).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    EACH as f64 / began.elapsed().as_secs_f64() / 1e3
}

/// Requests and answers of `size` bytes.
pub(crate) fn round<P: Peer>(size: usize) -> Vec<f64> {
    let ends = Ends::new();
    let door = ends.server(P::serve(Ipv4Addr::LOCALHOST));
    ends.client(async move {
        let client = Arc::new(P::connect(&P::dialer(Ipv4Addr::LOCALHOST, door).await).await);
        let body = Bytes::from(vec![ECHO; size]);
        let [p50, p99] = long_single(&*client, &body).await;
        let many = long_many(&*client, &body).await;
        let (mut each, mut each_many_rate) = ([f64::NAN; 2], f64::NAN);
        if P::MULTIPLEXED {
            each = each_single(&*client, &body).await;
            each_many_rate = each_many(client.clone(), body).await;
        }
        if let Ok(client) = Arc::try_unwrap(client).map_err(drop) {
            client.close().await;
        }
        vec![p50, p99, each[0], each[1], many, each_many_rate]
    })
}
