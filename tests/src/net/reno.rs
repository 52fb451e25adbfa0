//! TCP-like cross traffic: a bulk flow that fills a bottleneck as Reno does (RFC 5681), told of
//! holes as by SACK (RFC 6675).
//!
//! It exists to be met in a queue, and says nothing of real TCP beyond its window: no handshake, no
//! end, no receive window, and a receiver that acknowledges every segment.

use std::collections::BTreeSet;
use std::time::Duration;

use aqueduct_core::time::Instant;

/// Bytes of a full segment on the wire.
pub const SEGMENT: usize = 1_500;
/// And of an ACK.
pub const ACK: usize = 40;

/// Segments under way at most: what the receiver has room for.
const MOST: u64 = 256;

const MIN_RTO: Duration = Duration::from_millis(200);

/// Both ends of one flow.
#[derive(Clone, Debug)]
pub struct Reno {
    /// Segments that reached the other end, in order.
    pub delivered: u64,
    /// Segments sent again.
    pub repeated: u64,
    /// Congestion window in segments.
    pub window: f64,
    threshold: f64,
    next: u64,
    acked: u64,
    doubles: u32,
    /// Fast recovery lasts until this one is acknowledged.
    recovers_at: Option<u64>,
    repeats_from: u64,
    answers: u64,
    smoothed: Option<Duration>,
    rto: Duration,
    expires: Option<Instant>,
    early: BTreeSet<u64>,
}

/// A segment, or what is said of one: its number, and when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number; of an ACK, the next one that is awaited.
    pub number: u64,
    /// When it, or what it answers, was sent.
    pub sent: Instant,
}

impl Default for Reno {
    fn default() -> Self {
        Self {
            delivered: 0,
            repeated: 0,
            window: 10.0,
            threshold: f64::MAX,
            next: 0,
            acked: 0,
            doubles: 0,
            recovers_at: None,
            repeats_from: 0,
            answers: 0,
            smoothed: None,
            rto: Duration::from_secs(1),
            expires: None,
            early: BTreeSet::new(),
        }
    }
}

impl Reno {
    /// When it wants to be called next.
    pub const fn deadline(&self) -> Option<Instant> {
        self.expires
    }

    /// Sends what the window allows. While it recovers, every second answer lets one segment out
    /// instead: first those that are known to be missing.
    pub fn send(&mut self, now: Instant, out: &mut Vec<Segment>) {
        if self.recovers_at.is_some() {
            self.answers += 1;
            if self.answers.is_multiple_of(2) {
                self.repeat(now, out);
            }
            return;
        }
        while (self.next - self.acked) < (self.window as u64).min(MOST) {
            out.push(Segment { number: self.next, sent: now });
            self.next += 1;
        }
        self.expires = self.expires.or(Some(now + self.rto));
    }

    /// A segment arrives at the other end, which answers.
    pub fn receive(&mut self, segment: Segment) -> Segment {
        if segment.number >= self.delivered {
            self.early.insert(segment.number);
        }
        while self.early.remove(&self.delivered) {
            self.delivered += 1;
        }
        Segment { number: self.delivered, sent: segment.sent }
    }

    /// An answer is back.
    pub fn answered(&mut self, ack: Segment, now: Instant, out: &mut Vec<Segment>) {
        if ack.number > self.acked {
            self.advance(ack, now);
        } else if ack.number == self.acked && self.next > self.acked {
            self.doubled(now, out);
        }
        self.send(now, out);
    }

    fn advance(&mut self, ack: Segment, now: Instant) {
        self.acked = ack.number;
        self.next = self.next.max(self.acked);
        self.doubles = 0;
        self.measure(now.saturating_since(ack.sent));
        self.expires = Some(now + self.rto);
        match self.recovers_at {
            Some(end) if self.acked < end => {}
            Some(_) => {
                self.recovers_at = None;
                self.window = self.threshold;
            }
            // An answer adds a segment at most, however many it acknowledges (RFC 5681, 3.1): what
            // fills a hole would let out a burst.
            None if self.window < self.threshold => self.window += 1.0,
            None => self.window += 1.0 / self.window,
        }
    }

    fn doubled(&mut self, now: Instant, out: &mut Vec<Segment>) {
        self.doubles += 1;
        if self.recovers_at.is_none() && self.doubles == 3 {
            self.threshold = ((self.next - self.acked) as f64 / 2.0).max(2.0);
            (self.recovers_at, self.repeats_from) = (Some(self.next), self.acked);
            self.repeat(now, out);
        }
    }

    /// The time is over: from the beginning, slowly.
    pub fn expired(&mut self, now: Instant, out: &mut Vec<Segment>) {
        if self.expires.is_none_or(|at| at > now) {
            return;
        }
        self.threshold = ((self.next - self.acked) as f64 / 2.0).max(2.0);
        (self.window, self.next, self.doubles, self.recovers_at) = (1.0, self.acked, 0, None);
        self.rto = (self.rto * 2).min(Duration::from_secs(60));
        self.expires = None;
        self.repeated += 1;
        self.send(now, out);
    }

    /// The next segment that is missing below one that arrived (as SACK tells), or a new one.
    fn repeat(&mut self, now: Instant, out: &mut Vec<Segment>) {
        let top = self.early.last().copied().unwrap_or(self.acked + 1);
        let from = self.repeats_from.max(self.acked);
        let number = (from..top).find(|number| !self.early.contains(number));
        self.repeated += u64::from(number.is_some());
        // On a way that doubles packets, answers let out more than they answer.
        if number.is_none() && self.next - self.acked >= MOST {
            return;
        }
        let number = number.unwrap_or(self.next);
        (self.repeats_from, self.next) = (number + 1, self.next.max(number + 1));
        out.push(Segment { number, sent: now });
    }

    fn measure(&mut self, rtt: Duration) {
        let smoothed = self.smoothed.map_or(rtt, |before| (before * 7 + rtt) / 8);
        self.smoothed = Some(smoothed);
        self.rto = (smoothed * 2).max(MIN_RTO);
    }
}
