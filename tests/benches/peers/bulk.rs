//! `--case bulk`, `--case streams`: as many bytes as go through, on one stream or on eight.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::ends::{Ends, used};
use crate::peer::{Client, Peer, Stream};
use crate::serve::COUNT;

/// What a round gives.
pub(crate) const COLUMNS: [&str; 4] = ["MB/s", "MB per CPU s", "sender ns/KB", "receiver ns/KB"];

const BLOCK: usize = 256 << 10;
/// Opens windows and finds the packet size before anything is measured.
const WARM: u64 = 4 << 20;

/// Sends so many bytes on a stream and waits until the server has counted all of them.
pub(crate) async fn send(client: Arc<impl Client>, bytes: u64) {
    let mut stream = client.open().await;
    let block = Bytes::from(vec![COUNT; BLOCK]);
    let mut left = bytes;
    while left > 0 {
        let next = block.slice(..(BLOCK as u64).min(left) as usize);
        left -= next.len() as u64;
        stream.write(next).await.expect("a write");
    }
    stream.finish().await.expect("an end");
    let mut told = Vec::new();
    while stream.read(|chunk| told.extend_from_slice(chunk)).await {}
    assert_eq!(told, bytes.to_be_bytes(), "the server counted other than was sent");
}

/// `bytes` in all, on so many streams at once.
pub(crate) fn round<P: Peer>(bytes: u64, streams: u64) -> Vec<f64> {
    let ends = Ends::new();
    let door = ends.server(P::serve(Ipv4Addr::LOCALHOST));
    let client = ends.client(async move {
        Arc::new(P::connect(&P::dialer(Ipv4Addr::LOCALHOST, door).await).await)
    });
    ends.client(send(client.clone(), WARM));
    let (began, before) = (Instant::now(), used());
    ends.client(async move {
        let each = (0..streams).map(|_| tokio::spawn(send(client.clone(), bytes / streams)));
        for stream in each.collect::<Vec<_>>() {
            stream.await.expect("no panic");
        }
        if let Ok(client) = Arc::try_unwrap(client).map_err(drop) {
            client.close().await;
        }
    });
    let (wall, cpu) = (began.elapsed().as_secs_f64(), used().since(before));
    let (mb, kb) = (bytes as f64 / 1e6, bytes as f64 / 1e3);
    vec![
        mb / wall,
        mb / cpu.all().as_secs_f64(),
        cpu.client.as_nanos() as f64 / kb,
        cpu.server.as_nanos() as f64 / kb,
    ]
}
