//! A source's rate, kept by giving its credit back no faster (spec R-PIPE-22).

use core::mem;
use core::time::Duration;

use crate::shaping::TokenBucket;
use crate::time::Instant;

/// What a rate lets pass at once: this much of its time, and at least so many bytes.
const BURST: Duration = Duration::from_millis(50);
const LEAST_BURST: u64 = 64 * 1024;

/// Credit on its way back to the source.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Toll {
    bucket: Option<TokenBucket>,
    /// Let go by everybody, and not given back.
    owed: u64,
    /// When more may be given back.
    at: Option<Instant>,
}

impl Toll {
    pub(super) fn new(rate: Option<u64>, now: Instant) -> Self {
        let mut toll = Self { bucket: None, owed: 0, at: None };
        toll.set_rate(rate, now);
        toll
    }

    pub(super) fn set_rate(&mut self, rate: Option<u64>, now: Instant) {
        match (&mut self.bucket, rate) {
            (Some(bucket), Some(rate)) => bucket.set_rate(rate, now),
            (bucket, rate) => *bucket = rate.map(|rate| TokenBucket::new(rate, burst(rate), now)),
        }
        self.at = Some(now).filter(|_| self.owed > 0);
    }

    /// `freed` more is let go. Returns what is given back now: all of it once the source sends
    /// nothing more.
    pub(super) fn pay(&mut self, freed: u64, flowing: bool, now: Instant) -> u64 {
        self.owed += freed;
        self.at = None;
        let Some(bucket) = self.bucket.as_mut().filter(|_| flowing) else {
            return mem::take(&mut self.owed);
        };
        let paid = bucket.take(self.owed, now);
        self.owed -= paid;
        if self.owed > 0 {
            let part = self.owed.min(burst(bucket.rate()) / 2);
            self.at = Some(bucket.ready_at(part, now));
        }
        paid
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at
    }
}

fn burst(rate: u64) -> u64 {
    let nanos = u128::from(rate) * BURST.as_nanos() / 1_000_000_000;
    u64::try_from(nanos).unwrap_or(u64::MAX).max(LEAST_BURST)
}
