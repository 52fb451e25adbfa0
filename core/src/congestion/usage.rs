//! Whether the window is what limits the sender (after Linux's `tcp_cwnd_validate`).

use super::State;
use crate::time::Instant;

/// Watches, round trip by round trip, how much of the window is used.
///
/// A window that is not used says nothing about the path, so it must not grow (RFC 9002 section
/// 7.8). One look at the bytes in flight is not enough: a paced sender is often below its window,
/// and so is one whose ACKs come in bunches. What counts is the fullest moment of a round trip.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct WindowUse {
    round_start: Instant,
    most: u64,
    full: bool,
}

impl WindowUse {
    /// Nothing sent yet: not limited by the window.
    pub const fn new() -> Self {
        Self { round_start: Instant::ZERO, most: 0, full: false }
    }

    /// A packet left; `in_flight` bytes are under way with it. The window is full if another
    /// `datagram` would not fit.
    pub fn on_sent(&mut self, in_flight: u64, window: u64, datagram: u64) {
        self.most = self.most.max(in_flight);
        self.full |= in_flight.saturating_add(datagram) > window;
    }

    /// Whether the packets acknowledged now were sent by an application that left the window
    /// unused. While the window doubles, half of it is enough. An ACK of a packet sent after the
    /// round began ends the round.
    pub fn on_acked(
        &mut self,
        sent: Instant,
        in_flight: u64,
        window: u64,
        state: State,
        now: Instant,
    ) -> bool {
        let slow_start = matches!(state, State::SlowStart | State::ConservativeSlowStart);
        let used = self.full || (slow_start && self.most.saturating_mul(2) > window);
        if sent >= self.round_start {
            *self = Self { round_start: now, most: in_flight, full: false };
        }
        !used
    }
}
