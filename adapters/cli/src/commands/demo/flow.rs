//! The bytes: made at one end, read and digested at the others.

use std::time::Instant;

use aqueduct_tokio::{Bytes, Connection, Endpoint, OpenOptions, StreamProtocol};
use aqueduct_tokio::{RecvStream, SendStream};
use blake3::{Hash, Hasher};
use futures_util::future::try_join_all;
use tokio::task::JoinSet;

use crate::exit::{Cause, Failure};
use crate::node::carrier;
use crate::progress::Progress;

use super::nodes::Nodes;
use super::table::{Measured, cpu_time};

const PROTOCOL: StreamProtocol = StreamProtocol::name("aqueduct-demo/1");
/// Bytes that are written at a time.
const BLOCK: usize = 256 * 1024;

/// What a receiver saw.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) first_byte: Option<Instant>,
    pub(super) end: Instant,
    pub(super) digest: Hash,
    /// Held so that nothing closes before everything is measured.
    _guest: Guest,
}

/// Connects everybody by a stream of one byte that stays open, then sends `size` bytes and measures
/// that.
///
/// # Errors
/// Something broke on the way.
pub(super) async fn transfer(nodes: &mut Nodes, size: u64) -> Result<Measured, Failure> {
    let introduction = nodes.introduce(OpenOptions::new(PROTOCOL))?;
    let to = nodes.first().ok_or_else(|| Failure::new(Cause::Failure, "nobody receives"))?;
    let relays = nodes.relays.len();
    let (cpu, begun) = (cpu_time(), Instant::now());
    let greeting = async {
        let connection = nodes.sender.connect(to).await?;
        let handshake = begun.elapsed();
        let mut stream = connection.open_uni(introduction.clone()).await?;
        stream.write_bytes(Bytes::from_static(b"?")).await?;
        Ok::<_, Failure>((connection, handshake, stream))
    };
    let guests = try_join_all(nodes.receivers.iter().map(meet));
    let ((connection, handshake, _greeting), guests) = tokio::select! {
        failure = nodes.watch.trouble() => return Err(failure),
        met = async { tokio::try_join!(greeting, guests) } => met?,
    };
    let ready = begun.elapsed();
    let mut taking = JoinSet::new();
    for (number, guest) in guests.into_iter().enumerate() {
        let label = format!("receiver {}", number + 1);
        taking.spawn(async move { Ok((number, take(guest, &label, size).await?)) });
    }
    let progress = Progress::new("sender    ", Some(size));
    let pouring = Instant::now();
    let sending = async {
        let stream = connection.open_uni(introduction).await?;
        pour(stream, size, &progress).await
    };
    let work = tokio::try_join!(nodes.watch.ends(relays), sending, all_of(taking))?;
    progress.clear();
    let (passed, (sent, sent_at), taken) = work;
    let clocks = nodes.relays.iter().map(Endpoint::clock).collect();
    let cpu = cpu_time().zip(cpu).map(|(after, before)| after.saturating_sub(before));
    let (stats, carrier) = (connection.stats().await, carrier(connection.carriage()));
    let (ends, out_of_order) = ((pouring, sent_at), nodes.out_of_order());
    Ok(Measured {
        size,
        handshake,
        ready,
        ends,
        cpu,
        sent,
        passed,
        clocks,
        taken,
        out_of_order,
        stats,
        carrier,
    })
}

/// What all receivers saw, in their order.
async fn all_of(
    mut taking: JoinSet<Result<(usize, Taken), Failure>>,
) -> Result<Vec<Taken>, Failure> {
    let mut all = Vec::new();
    while let Some(one) = taking.join_next().await {
        all.push(one.map_err(|error| Failure::new(Cause::Failure, error))??);
    }
    all.sort_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, taken)| taken).collect())
}

/// A receiver that is connected.
#[derive(Debug)]
struct Guest {
    connection: Connection,
    /// While it is there, relays keep the way open.
    _greeting: RecvStream,
}

/// Lets in whoever comes and reads its greeting: the way is open.
async fn meet(receiver: &Endpoint) -> Result<Guest, Failure> {
    let incoming = receiver.accept().await;
    let incoming = incoming.ok_or_else(|| Failure::new(Cause::Failure, "nobody came"))?;
    let connection = incoming.accept().await?;
    let mut greeting = connection.accept_uni().await?;
    greeting.read_chunk(1).await?;
    Ok(Guest { connection, _greeting: greeting })
}

async fn take(guest: Guest, label: &str, size: u64) -> Result<Taken, Failure> {
    let mut stream = guest.connection.accept_uni().await?;
    let progress = Progress::new(label, Some(size));
    let (mut hasher, mut first_byte) = (Hasher::new(), None);
    while let Some(bytes) = stream.read_chunk(BLOCK).await? {
        first_byte.get_or_insert_with(Instant::now);
        hasher.update(&bytes);
        progress.add(bytes.len());
    }
    progress.clear();
    Ok(Taken { first_byte, end: Instant::now(), digest: hasher.finalize(), _guest: guest })
}

/// Writes `size` bytes that nobody could guess at a place. Returns their digest, and when the next
/// hop had them all.
async fn pour(
    mut stream: SendStream,
    size: u64,
    progress: &Progress,
) -> Result<(Hash, Instant), Failure> {
    let mut noise = vec![0; BLOCK];
    Hasher::new().update(b"aqueduct demo").finalize_xof().fill(&mut noise);
    let mut hasher = Hasher::new();
    let mut at = 0;
    while at < size {
        let len = usize::try_from(size - at).unwrap_or(BLOCK).min(BLOCK);
        let mut block: Vec<u8> = noise.iter().copied().take(len).collect();
        // Where it stands is part of it, so that no block may take another's place.
        block.iter_mut().zip(at.to_le_bytes()).for_each(|(byte, place)| *byte ^= place);
        hasher.update(&block);
        stream.write_bytes(Bytes::from(block)).await?;
        progress.add(len);
        at += len as u64;
    }
    stream.delivered().await?;
    Ok((hasher.finalize(), Instant::now()))
}
