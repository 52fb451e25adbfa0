//! TCP-like carriers: two hosts joined by a byte stream that keeps order and loses nothing.
//!
//! What a stream costs is time: it has a rate, it stands still when the network beneath repeats
//! something, and its sender is blocked while too much waits. Datagrams are framed as spec chapter
//! 12 says, and arrive cut at any byte.

use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::path::Deframer;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::CarrierId;

use super::HostId;
use crate::dice::Dice;

/// How a stream behaves, both ways alike.
#[derive(Clone, Copy, Debug)]
pub struct StreamConfig {
    /// One-way delay.
    pub delay: Duration,
    /// Bytes a second.
    pub rate: u64,
    /// With more bytes waiting than this, the sender is blocked; with half of it, no more.
    pub buffer: u64,
    /// Of a million writes, so many wait for a repetition beneath.
    pub stalls: u32,
    /// For so long.
    pub stall: Duration,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(10),
            rate: 10_000_000,
            buffer: 64 << 10,
            stalls: 0,
            stall: Duration::from_millis(200),
        }
    }
}

/// One end.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) host: HostId,
    pub(super) carrier: CarrierId,
    pub(super) addr: SocketAddr,
    pub(super) deframer: Deframer,
    /// What came while the process stood still: a stream keeps it.
    pub(super) held: Vec<u8>,
    /// When all that was written has left.
    free: Instant,
    pub(super) blocked: bool,
}

/// Both.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) config: StreamConfig,
    pub(super) ends: [End; 2],
    pub(super) broken: bool,
    /// The network swallows whatever is written, and says nothing: so many bytes are at each end.
    pub(super) swallowed: Option<[u64; 2]>,
    dice: Dice,
}

/// What became of a write.
pub(super) struct Written {
    /// The pieces, and when each arrives.
    pub(super) pieces: Vec<(Instant, Vec<u8>)>,
    /// The buffer is full.
    pub(super) blocked: bool,
    /// Until then, if ever.
    pub(super) until: Option<Instant>,
}

impl End {
    pub(super) fn new(host: HostId, carrier: CarrierId, addr: SocketAddr) -> Self {
        let deframer = Deframer::new(u16::MAX);
        let held = Vec::new();
        Self { host, carrier, addr, deframer, held, free: Instant::ZERO, blocked: false }
    }
}

impl Stream {
    pub(super) fn new(config: StreamConfig, ends: [End; 2], dice: Dice) -> Self {
        Self { config, ends, broken: false, swallowed: None, dice }
    }

    /// The end `from` writes one datagram.
    pub(super) fn write(&mut self, from: usize, datagram: &[u8], now: Instant) -> Written {
        let Self { config, ends, dice, .. } = self;
        let end = &mut ends[from];
        let len = u16::try_from(datagram.len()).expect("a datagram that a length can say");
        let mut bytes = len.to_be_bytes().to_vec();
        bytes.extend_from_slice(datagram);
        if let Some(swallowed) = &mut self.swallowed {
            swallowed[from] += bytes.len() as u64;
            let blocked = swallowed[from] > config.buffer && !end.blocked;
            end.blocked |= blocked;
            return Written { pieces: Vec::new(), blocked, until: None };
        }
        let takes = |len: u64| Duration::from_nanos(len * 1_000_000_000 / config.rate.max(1));
        end.free = end.free.max(now) + takes(bytes.len() as u64);
        if dice.happens(config.stalls) {
            end.free = end.free + config.stall;
        }
        let at = end.free + config.delay;
        let cut = dice.below(bytes.len() as u64 + 1) as usize;
        let rest = bytes.split_off(cut);
        let pieces = [bytes, rest].into_iter().filter(|piece| !piece.is_empty());
        let waits = end.free.saturating_since(now);
        let full = waits > takes(config.buffer) && !end.blocked;
        end.blocked |= full;
        let until = full.then(|| now + (waits - takes(config.buffer / 2)));
        Written { pieces: pieces.map(|piece| (at, piece)).collect(), blocked: full, until }
    }
}
