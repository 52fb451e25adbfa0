//! `--case paths`: a body over paths that lose packets which no queue lost.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::bulk::send;
use crate::ends::Ends;
use crate::peer::{Client, Peer};
use crate::road::{HERE, Road, Shape, THERE};

/// What a round gives: how long it took, packets that found the queue full, and what was offered to
/// the path of what had to be.
pub(crate) const COLUMNS: [&str; 3] = ["seconds", "queue drops", "sent / needed"];

/// A path, and what is sent over it.
#[derive(Clone, Copy)]
pub(crate) struct Path {
    pub(crate) shape: Shape,
    /// Bytes.
    pub(crate) body: u64,
}

/// 50 Mbit/s, with a queue of what is under way in a round trip.
const fn path(round_trip: u64, per_cent: u32, body: u64) -> Path {
    let rate = 50_000_000 / 8;
    let delay = Duration::from_millis(round_trip / 2);
    let queue = rate * round_trip / 1000;
    Path { shape: Shape { rate, delay, loss: per_cent * 10_000, queue }, body }
}

/// Those that are measured.
pub(crate) const PATHS: [Path; 3] =
    [path(50, 1, 20_000_000), path(50, 5, 5_000_000), path(100, 30, 1_000_000)];

impl Path {
    pub(crate) fn title(&self) -> String {
        let Shape { rate, delay, loss, .. } = self.shape;
        format!(
            "{} MB over {} Mbit/s, {} ms, {} % lost each way",
            self.body / 1_000_000,
            rate * 8 / 1_000_000,
            delay.as_millis() * 2,
            loss / 10_000,
        )
    }
}

/// The body once, over a connection that is there.
pub(crate) fn round<P: Peer>(road: &Mutex<Road>, path: &Path) -> Vec<f64> {
    let ends = Ends::new();
    let mut door = ends.server(P::serve(HERE));
    let place = P::place(&mut door);
    let counts = road.lock().expect("no panic").lay(path.shape, place.port());
    place.set_ip(THERE.into());
    let client = ends.client(async move {
        let dialer = P::dialer(HERE, door).await;
        (Arc::new(P::connect(&dialer).await), dialer)
    });
    let (client, dialer) = client;
    let (began, before) = (Instant::now(), counts.offered.load(Ordering::Relaxed));
    ends.client(send(client.clone(), path.body));
    let took = began.elapsed();
    let offered = counts.offered.load(Ordering::Relaxed) - before;
    let dropped = counts.dropped.load(Ordering::Relaxed);
    ends.client(async move {
        if let Ok(client) = Arc::try_unwrap(client).map_err(drop) {
            // It may say so into a path that loses it, for as long as it likes.
            let _late = tokio::time::timeout(Duration::from_secs(1), client.close()).await;
        }
        drop(dialer);
    });
    vec![took.as_secs_f64(), dropped as f64, offered as f64 / path.body as f64]
}
