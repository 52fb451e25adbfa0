//! A policer: so many bytes a second and a bucket of them; what finds it empty is gone. Nothing
//! waits.

use aqueduct_core::time::Instant;

use super::{Machine, Parcel, copies_itself};
use crate::dice::Dice;

/// A token bucket that drops.
#[derive(Clone, Copy, Debug)]
pub struct Policer {
    /// Bytes a second.
    pub rate: u64,
    /// Bytes that may pass at once.
    pub bucket: u64,
    /// In bytes, times 10⁹.
    tokens: u128,
    filled: Instant,
}

impl Policer {
    /// So many bytes a second, and so many at once; the bucket is full.
    pub const fn of(rate: u64, bucket: u64) -> Self {
        let tokens = bucket as u128 * 1_000_000_000;
        Self { rate, bucket, tokens, filled: Instant::ZERO }
    }
}

impl Machine for Policer {
    fn pass(&mut self, parcel: Parcel, _: &mut Dice, out: &mut Vec<Parcel>) {
        let passed = parcel.at.saturating_since(self.filled).as_nanos();
        self.filled = self.filled.max(parcel.at);
        let full = u128::from(self.bucket) * 1_000_000_000;
        self.tokens = (self.tokens + passed * u128::from(self.rate)).min(full);
        let cost = parcel.bytes.len() as u128 * 1_000_000_000;
        if cost <= self.tokens {
            self.tokens -= cost;
            out.push(parcel);
        }
    }

    copies_itself!();
}
