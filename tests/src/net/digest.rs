//! The digest of all that was sent: the same on every machine.

use std::io::{BufWriter, Write};
use std::net::{IpAddr, SocketAddr};

use aqueduct_core::time::Instant;

/// Bytes that are hashed at once: large pieces are much faster.
const PIECE: usize = 32 << 10;

/// Of every datagram so far, with times and addresses.
pub(super) struct Digest(BufWriter<blake3::Hasher>);

impl Digest {
    pub(super) fn new() -> Self {
        Self(BufWriter::with_capacity(PIECE, blake3::Hasher::new()))
    }

    /// A datagram is sent.
    pub(super) fn add(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.put(&at.as_nanos().to_le_bytes());
        for addr in [from, to] {
            match addr.ip() {
                IpAddr::V4(ip) => self.put(&ip.octets()),
                IpAddr::V6(ip) => self.put(&ip.octets()),
            }
            self.put(&addr.port().to_le_bytes());
        }
        self.put(&(bytes.len() as u64).to_le_bytes());
        self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("a hash takes everything");
    }

    /// What was hashed, to be gone on with.
    pub(super) fn so_far(&self) -> blake3::Hasher {
        let mut hash = self.0.get_ref().clone();
        hash.update(self.0.buffer());
        hash
    }
}
