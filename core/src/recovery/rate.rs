//! How fast a path delivers, measured at each ACK (draft-cheng-iccrg-delivery-rate-estimation-02).
//!
//! Each packet carries off a [`Stamp`] of how much had been delivered when it was sent. When it is
//! acknowledged, the difference over the time between is a sample of the rate. The time is the
//! longer of sending and acknowledging that flight, so that neither a burst of ACKs nor a burst of
//! packets looks like a fast path.

use core::time::Duration;

use crate::time::{Instant, nanos};

/// One measurement of a path's delivery rate (spec R-REC-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct RateSample {
    /// Bytes delivered over `interval`.
    pub delivered: u64,
    /// What they took. Never zero.
    pub interval: Duration,
    /// Bytes that the path had delivered in all when the newest acknowledged packet was sent: a
    /// controller that counts round trips begins a new one when this passes its mark.
    pub prior_delivered: u64,
    /// Bytes that the path has delivered in all by now.
    pub total_delivered: u64,
    /// Bytes in flight right after the newest acknowledged packet was sent, itself included.
    pub tx_in_flight: u64,
    /// Bytes declared lost since then.
    pub lost: u64,
    /// Whether the sender had nothing more to send at that time: the path may be faster than this.
    pub app_limited: bool,
}

/// A packet that was lost, with more of its flight lost than one in [`EXCESS_LOSS`] (R-REC-32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct LossSample {
    /// Its bytes.
    pub size: u64,
    /// Bytes in flight right after it was sent, itself included.
    pub tx_in_flight: u64,
    /// Bytes declared lost since it was sent, itself included.
    pub lost: u64,
    /// Bytes that the path had delivered in all when it was sent.
    pub prior_delivered: u64,
    /// Whether the sender had nothing more to send at that time.
    pub app_limited: bool,
}

/// Loss of more than one byte in so many of a flight is what a controller may answer (the draft's
/// `LossThresh`: 2 %).
pub const EXCESS_LOSS: u64 = 50;

impl LossSample {
    /// By how much more than one in [`EXCESS_LOSS`] of the flight is lost, in parts of a byte.
    pub const fn excess(&self) -> u64 {
        self.lost.saturating_mul(EXCESS_LOSS).saturating_sub(self.tx_in_flight)
    }
}

impl RateSample {
    /// Bytes a second, rounded down; saturates.
    pub fn bytes_per_second(&self) -> u64 {
        let interval = u128::from(nanos(self.interval).max(1));
        let rate = u128::from(self.delivered) * 1_000_000_000 / interval;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// What a packet remembers of its path at the time it was sent.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Stamp {
    pub(super) delivered: u64,
    pub(super) delivered_at: Instant,
    pub(super) first_sent_at: Instant,
    pub(super) in_flight: u64,
    pub(super) lost: u64,
    pub(super) app_limited: bool,
}

/// The running account of one path.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct RateAccount {
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    lost: u64,
    /// Samples count as limited until this much is delivered; 0 if they do not.
    app_limited_until: u64,
    /// The stamp of the newest packet of the ACK that is being taken in, when that was sent, and
    /// its number: packets of one batch leave at one time.
    newest: Option<(Stamp, Instant, u64)>,
}

impl RateAccount {
    /// A packet of `size` bytes goes out while `in_flight` bytes are under way.
    pub(super) fn on_sent(&mut self, in_flight: u64, size: u16, now: Instant) -> Stamp {
        if in_flight == 0 {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        Stamp {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            in_flight: in_flight + u64::from(size),
            lost: self.lost,
            app_limited: self.app_limited_until != 0,
        }
    }

    /// The sender has nothing more to send, with `in_flight` bytes under way.
    pub(super) fn on_app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = (self.delivered + in_flight).max(1);
    }

    pub(super) const fn is_app_limited(&self) -> bool {
        self.app_limited_until != 0
    }

    /// The packet `number` of `size` bytes, which left at `sent_at`, was acknowledged.
    pub(super) fn on_acked(
        &mut self,
        stamp: Stamp,
        (number, size): (u64, u16),
        sent_at: Instant,
        now: Instant,
    ) {
        self.delivered += u64::from(size);
        self.delivered_at = now;
        if self.newest.is_none_or(|(_, _, newest)| number > newest) {
            self.newest = Some((stamp, sent_at, number));
        }
    }

    /// A packet of `size` bytes was declared lost.
    pub(super) fn on_lost(&mut self, stamp: Stamp, size: u16) -> LossSample {
        self.lost += u64::from(size);
        LossSample {
            size: size.into(),
            tx_in_flight: stamp.in_flight,
            lost: self.lost - stamp.lost,
            prior_delivered: stamp.delivered,
            app_limited: stamp.app_limited,
        }
    }

    /// All packets of an ACK were taken in.
    pub(super) fn sample(&mut self) -> Option<RateSample> {
        let (stamp, sent_at, _) = self.newest.take()?;
        self.first_sent_at = self.first_sent_at.max(sent_at);
        if self.app_limited_until != 0 && self.delivered > self.app_limited_until {
            self.app_limited_until = 0;
        }
        let sending = sent_at.saturating_since(stamp.first_sent_at);
        let acking = self.delivered_at.saturating_since(stamp.delivered_at);
        let interval = sending.max(acking);
        (!interval.is_zero()).then(|| RateSample {
            delivered: self.delivered - stamp.delivered,
            interval,
            prior_delivered: stamp.delivered,
            total_delivered: self.delivered,
            tx_in_flight: stamp.in_flight,
            lost: self.lost - stamp.lost,
            app_limited: stamp.app_limited,
        })
    }
}
