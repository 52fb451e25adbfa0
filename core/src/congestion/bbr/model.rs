//! What BBR knows of the path: rounds, the largest rate, the least round trip, aggregation.

use core::time::Duration;

use crate::time::{Instant, nanos};

use super::rules::Rules;

/// For how long a least round trip holds (section 2.14.1: `MinRTTFilterLen`).
const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);
/// Time between two probes for it, at least (section 2.14.2: `ProbeRTTInterval`).
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// For how long at least an empty path is remembered (spec R-CC-33).
const EMPTY_WINDOW: Duration = Duration::from_secs(300);

/// Packet-timed round trips (section 5.5.1): one ends when a packet is acknowledged that was sent
/// after the last one ended.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Rounds {
    pub(super) count: u64,
    /// This ACK began one.
    pub(super) began: bool,
    ends_at: u64,
}

impl Rounds {
    pub(super) const fn on_acked(&mut self, prior_delivered: u64, delivered: u64) {
        self.began = prior_delivered >= self.ends_at;
        if self.began {
            self.count = self.count.saturating_add(1);
            self.begin(delivered);
        }
    }

    pub(super) const fn begin(&mut self, delivered: u64) {
        self.ends_at = delivered;
    }
}

/// The largest rate of this cycle of probing and the one before, in bytes a second (section 5.5.5).
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct MaxRate {
    this: u64,
    last: u64,
}

impl MaxRate {
    pub(super) fn get(&self) -> u64 {
        self.this.max(self.last)
    }

    pub(super) fn update(&mut self, rate: u64) {
        self.this = self.this.max(rate);
    }

    /// What was larger was no rate of the path.
    pub(super) fn lower(&mut self, most: u64) {
        (self.this, self.last) = (self.this.min(most), self.last.min(most));
    }

    /// A cycle of probing is over.
    pub(super) const fn advance(&mut self) {
        // A cycle without a sample says nothing.
        if self.this > 0 {
            (self.last, self.this) = (self.this, 0);
        }
    }
}

/// What a path takes that nobody fills, in nanoseconds: the least of five minutes and of the five
/// before. A filter of seconds takes a queue that never empties for the path itself.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Empty {
    this: u64,
    last: u64,
    since: Instant,
}

impl Empty {
    const fn new() -> Self {
        Self { this: UNKNOWN, last: UNKNOWN, since: Instant::ZERO }
    }

    fn get(&self) -> u64 {
        self.this.min(self.last)
    }

    fn update(&mut self, rtt: u64, now: Instant) {
        if now > self.since + EMPTY_WINDOW {
            // After a long silence both windows are over.
            let over = now > self.since + EMPTY_WINDOW * 2;
            self.last = if over { UNKNOWN } else { self.this };
            self.since = if over { now } else { self.since + EMPTY_WINDOW };
            self.this = UNKNOWN;
        }
        self.this = self.this.min(rtt);
    }
}

/// The least round trip, in nanoseconds, and when it is to be looked for (section 5.3.4.3).
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct MinRtt {
    value: u64,
    empty: Empty,
    at: Instant,
    probed: u64,
    probed_at: Instant,
    /// Nothing as low was seen for an interval.
    pub(super) expired: bool,
    /// The last samples, of which the least says whether a queue stands.
    recent: [u64; 4],
    /// Until then nothing is confirmed: too much is lost to be sure that no queue stands always.
    doubted_until: Instant,
    next: usize,
}

const UNKNOWN: u64 = u64::MAX;

impl MinRtt {
    pub(super) const fn new() -> Self {
        Self {
            value: UNKNOWN,
            empty: Empty::new(),
            at: Instant::ZERO,
            probed: UNKNOWN,
            probed_at: Instant::ZERO,
            expired: false,
            recent: [UNKNOWN; 4],
            doubted_until: Instant::ZERO,
            next: 0,
        }
    }

    pub(super) fn get(&self) -> Option<u64> {
        (self.value != UNKNOWN).then_some(self.value)
    }

    /// What the path takes that nobody fills.
    pub(super) fn empty(&self) -> Option<u64> {
        let empty = self.empty.get();
        (empty != UNKNOWN).then_some(empty)
    }

    /// Too much is lost to take any sample for a confirmation.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.doubted_until = now + PROBE_INTERVAL;
    }

    pub(super) fn update<R: Rules>(&mut self, sample: Option<Duration>, now: Instant) {
        self.expired = self.probed != UNKNOWN && now > self.probed_at + PROBE_INTERVAL;
        if let Some(rtt) = sample.map(|sample| nanos(sample).max(1)) {
            if let Some(slot) = self.recent.get_mut(self.next) {
                *slot = rtt;
            }
            self.next = (self.next + 1) % self.recent.len();
            self.empty.update(rtt, now);
            if rtt < self.probed || self.expired {
                (self.probed, self.probed_at) = (rtt, now);
            } else if now >= self.doubted_until && R::confirms(rtt, self.probed) {
                self.probed_at = now;
            }
        }
        let stale = now > self.at + MIN_RTT_WINDOW;
        if self.probed != UNKNOWN && (self.probed < self.value || stale) {
            (self.value, self.at) = (self.probed, self.probed_at);
        } else if self.probed == self.value {
            self.at = self.probed_at;
        }
    }

    /// Nothing is to be looked for until an interval has passed.
    pub(super) const fn postpone(&mut self, now: Instant) {
        self.probed_at = now;
    }

    /// What even the fastest of the last packets waited, in nanoseconds.
    pub(super) fn queue(&self) -> u64 {
        let least = self.recent.iter().copied().min().unwrap_or(UNKNOWN);
        if least == UNKNOWN { 0 } else { least.saturating_sub(self.empty.get()) }
    }
}

/// By how much more than expected is acknowledged at once, in bytes (section 5.5.9).
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct ExtraAcked {
    since: Instant,
    acked: u64,
    largest: WindowedMax,
}

impl ExtraAcked {
    pub(super) const fn get(&self) -> u64 {
        self.largest.get()
    }

    pub(super) const fn restart(&mut self, now: Instant) {
        self.since = now;
        self.acked = 0;
    }

    /// `acked` bytes arrived at `rate`, of which no more than `most` count, in round `round`.
    pub(super) fn update(
        &mut self,
        acked: u64,
        rate: u64,
        most: u64,
        round: (u64, u64),
        now: Instant,
    ) {
        let mut expected = volume(rate, nanos(now.saturating_since(self.since)));
        if self.acked <= expected {
            self.restart(now);
            expected = 0;
        }
        self.acked = self.acked.saturating_add(acked);
        let extra = self.acked.saturating_sub(expected).min(most);
        self.largest.update(extra, round.0, round.1);
    }
}

/// The largest of a window of rounds, in three values (Kathleen Nichols' filter).
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct WindowedMax {
    /// Value and round; each later and smaller than the one before.
    best: [(u64, u64); 3],
}

impl WindowedMax {
    const fn get(&self) -> u64 {
        self.best[0].0
    }

    fn update(&mut self, value: u64, round: u64, window: u64) {
        let fresh = (value, round);
        let [first, second, third] = self.best;
        if value >= first.0 || round.saturating_sub(third.1) > window {
            self.best = [fresh; 3];
            return;
        }
        if value >= second.0 {
            self.best = [first, fresh, fresh];
        } else if value >= third.0 {
            self.best = [first, second, fresh];
        }
        let [first, second, third] = self.best;
        let age = round.saturating_sub(first.1);
        if age > window {
            self.best = [second, third, fresh];
        } else if second.1 == first.1 && age > window / 4 {
            self.best = [first, fresh, fresh];
        } else if third.1 == second.1 && age > window / 2 {
            self.best = [first, second, fresh];
        }
    }
}

/// Bytes that `rate` bytes a second make in so many nanoseconds.
pub(super) fn volume(rate: u64, time: u64) -> u64 {
    let bytes = u128::from(rate) * u128::from(time) / 1_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
