//! How much may be in flight, and how fast it leaves.
//!
//! A path asks this room two questions before it sends: *how many bytes may be under way*
//! ([`Congestion::window`]) and *may one leave now* ([`Pacer::may_send`]). It answers from what it
//! was told of acknowledgements and losses, and knows nothing of packets, streams or addresses.
//!
//! ```text
//!   ledger ── acked: bytes, sent, app-limited ──▶ ┌────────────┐ window ─┐
//!          ── lost: packets, sent ──────────────▶ │ Congestion │         ├─▶ path::Budget
//!          ── spurious ─────────────────────────▶ └────────────┘         │
//!                                      window, RTT ─▶ ┌───────┐ tokens ──┘
//!                             sent bytes, now ──────▶ │ Pacer │
//!                                                     └───────┘
//! ```
//!
//! NewReno and CUBIC walk the same states; those of BBR and LEDBAT++ are drawn in their own files:
//!
//! ```text
//!                 RTT grows (HyStart++)           5 rounds
//!   SlowStart ─────────────────▶ Conservative ──────────────▶ Avoidance
//!    │  ▲     ◀───────────────── SlowStart                     ▲    │ loss
//!    │  │        RTT shrinks         │ loss                    │    ▼
//!    │  │ persistent congestion      └─────────────────▶ Recovery (one round trip)
//!    └──┼──────────────── loss ────────────────────────▶    │
//!       └───────────────────────────────────────────────────┘
//! ```
//!
//! [`Congestion`] is an enum and not a trait object, so that a path is cloned, compared and printed
//! with its controller. NewReno is the reference that others are judged by; CUBIC is the default;
//! BBR is BBRv3, and Weir the same where only a queue makes loss congestion; LEDBAT++ yields to
//! all. All arithmetic is of integers: the same inputs give the same window on every machine.
//!
//! Rules and numbers: spec `08-congestion.md` (R-CC).

mod base;
mod bbr;
mod cubic;
mod hystart;
mod ledbat;
mod new_reno;
mod pacer;
mod usage;
mod weir;

use core::time::Duration;

use crate::recovery::{LossSample, RateSample, Rtt, Spurious};
use crate::time::Instant;

pub use bbr::{Bbr, Drafted, Rules, Waiting};
pub use cubic::Cubic;
pub use hystart::HyStart;
pub use ledbat::Ledbat;
pub use new_reno::NewReno;
pub use pacer::Pacer;
pub use usage::WindowUse;
pub use weir::Weir;

/// Which controller a path uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RFC 9002 section 7.3.
    NewReno,
    /// RFC 9438, leaving slow start by RFC 9406.
    #[default]
    Cubic,
    /// BBRv3 (draft-ietf-ccwg-bbr).
    Bbr,
    /// BBRv3 that takes loss for congestion only where a queue stands.
    Weir,
    /// LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus): for what is to be in nobody's way.
    Ledbat,
}

impl Algorithm {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::NewReno, Self::Cubic, Self::Bbr, Self::Weir, Self::Ledbat];

    /// Its name in one word, as options have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewReno => "newreno",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
            Self::Weir => "weir",
            Self::Ledbat => "ledbat",
        }
    }

    /// The one with this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// What a controller starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct CongestionConfig {
    /// The controller.
    pub algorithm: Algorithm,
    /// Datagrams in the first window, at least 2; 10 unless set (RFC 9002 section 7.2).
    pub initial_datagrams: u16,
}

impl Default for CongestionConfig {
    fn default() -> Self {
        Self { algorithm: Algorithm::default(), initial_datagrams: 10 }
    }
}

/// What one ACK newly acknowledged on one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acked {
    /// Bytes of the packets that were in flight.
    pub bytes: u64,
    /// When the newest of them was sent.
    pub sent: Instant,
    /// Whether the window was not the limit when they were sent: then it must not grow.
    pub app_limited: bool,
    /// The round trip of the newest, if it was measured, with the peer's delay.
    pub rtt: Option<Duration>,
    /// How fast the path delivered.
    pub rate: Option<RateSample>,
    /// Bytes still in flight.
    pub in_flight: u64,
}

/// What was declared lost on one path at one time. Probes for packet size are never part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the newest of them was sent.
    pub sent: Instant,
    /// Runs of packets sent one after another that begin among them.
    pub ranges: u64,
    /// The one with which the most of the flight was lost beyond one in fifty.
    pub excess: Option<LossSample>,
}

/// How fast packets leave: so many bytes in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes.
    pub bytes: u64,
    /// The time that they take.
    pub over: Duration,
}

/// Where a controller stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The window grows by what is acknowledged.
    SlowStart,
    /// RTT has grown: the window grows by a quarter of what is acknowledged (RFC 9406).
    ConservativeSlowStart,
    /// The window was reduced less than a round trip ago.
    Recovery,
    /// The window probes for more.
    Avoidance,
}

/// A path's congestion controller: the same verbs for all.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub enum Congestion {
    /// RFC 9002 section 7.3.
    NewReno(NewReno),
    /// RFC 9438.
    Cubic(Cubic),
    /// draft-ietf-ccwg-bbr.
    Bbr(Bbr<Drafted>),
    /// The same, where only a queue makes loss congestion.
    Weir(Bbr<Weir>),
    /// draft-irtf-iccrg-ledbat-plus-plus.
    Ledbat(Ledbat),
}

/// One line a verb: what controllers with a window do, and what those with a rate do.
macro_rules! each {
    ($congestion:expr, $windowed:ident => $one:expr, $rated:ident => $other:expr) => {
        match $congestion {
            Congestion::NewReno($windowed) => $one,
            Congestion::Cubic($windowed) => $one,
            Congestion::Ledbat($windowed) => $one,
            Congestion::Bbr($rated) => $other,
            Congestion::Weir($rated) => $other,
        }
    };
}

impl Congestion {
    /// A controller of a path of which nothing is known, for datagrams of `datagram_size` bytes.
    pub fn new(config: &CongestionConfig, datagram_size: u16) -> Self {
        match config.algorithm {
            Algorithm::NewReno => Self::NewReno(NewReno::new(config, datagram_size)),
            Algorithm::Cubic => Self::Cubic(Cubic::new(config, datagram_size)),
            Algorithm::Bbr => Self::Bbr(Bbr::new(config, datagram_size)),
            Algorithm::Weir => Self::Weir(Bbr::new(config, datagram_size)),
            Algorithm::Ledbat => Self::Ledbat(Ledbat::new(config, datagram_size)),
        }
    }

    /// Another controller goes on from here: with the window that there is, and in slow start only
    /// if this one had found no end of it (spec R-CC-48).
    #[must_use]
    pub fn turned_into(&self, config: &CongestionConfig, datagram_size: u16, rtt: &Rtt) -> Self {
        let mut next = Self::new(config, datagram_size);
        let (window, searching) = (self.window(), self.is_searching());
        let base = each!(self, it => Some(*it.base()), _it => None);
        each!(
            &mut next,
            it => match &base {
                Some(base) => it.base_mut().take_over(base),
                None => it.base_mut().begin_at(window, searching),
            },
            it => it.begin_at(window, searching, rtt)
        );
        next
    }

    /// Whether nothing said yet how much the path carries.
    fn is_searching(&self) -> bool {
        each!(self, it => it.base().threshold().is_none(), it => it.state() == State::SlowStart)
    }

    /// Which one it is.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::NewReno(_) => Algorithm::NewReno,
            Self::Cubic(_) => Algorithm::Cubic,
            Self::Bbr(_) => Algorithm::Bbr,
            Self::Weir(_) => Algorithm::Weir,
            Self::Ledbat(_) => Algorithm::Ledbat,
        }
    }

    /// Bytes that may be in flight.
    pub fn window(&self) -> u64 {
        each!(self, it => it.base().window(), it => it.window())
    }

    /// Bytes that may be in flight if a packet leaves now, while `in_flight` are: fewer than
    /// [`Congestion::window`] after an idle time, by which the packet itself will shrink that.
    pub fn window_to_send(&self, in_flight: u64, rtt: &Rtt, now: Instant) -> u64 {
        each!(self, it => it.base().window_to_send(in_flight, rtt, now), it => it.window())
    }

    /// The window at which slow start ends, in bytes; `None` while none was found, or if there is
    /// no such thing.
    pub fn slow_start_threshold(&self) -> Option<u64> {
        each!(self, it => it.base().threshold(), _it => None)
    }

    /// Where the controller stands.
    pub fn state(&self) -> State {
        match self {
            Self::NewReno(it) => it.base().state(),
            Self::Cubic(it) => it.state(),
            Self::Bbr(it) => it.state(),
            Self::Weir(it) => it.state(),
            Self::Ledbat(it) => it.base().state(),
        }
    }

    /// Whether a packet sent at `sent` belongs to the flight that the last reduction answered.
    pub fn in_recovery(&self, sent: Instant) -> bool {
        each!(self, it => it.base().in_recovery(sent), it => it.in_recovery(sent))
    }

    /// A packet of `bytes` leaves while `in_flight` bytes are under way. After an idle time the
    /// window shrinks first: what was true of the path then may not be true now.
    pub fn on_sent(&mut self, bytes: u64, in_flight: u64, rtt: &Rtt, now: Instant) {
        each!(self, it => it.on_sent(bytes, in_flight, rtt, now), _it => ());
    }

    /// A packet leaves that the application kept everybody waiting for: nothing is under way.
    pub fn on_restart(&mut self, now: Instant) {
        each!(self, _it => (), it => it.on_restart(now));
    }

    /// From now on it counts what is delivered by another path, from nothing.
    pub fn on_moved(&mut self) {
        each!(self, _it => (), it => it.on_moved());
    }

    /// An ACK came. Called once an ACK and path, after `rtt` took its sample.
    pub fn on_acked(&mut self, acked: &Acked, rtt: &Rtt, now: Instant) {
        each!(self, it => it.on_acked(acked, rtt, now), it => it.on_acked(acked, rtt, now));
    }

    /// Packets were declared lost. Reduces the window at most once a round trip.
    pub fn on_lost(&mut self, lost: &Lost, now: Instant) {
        each!(
            self,
            it => it.on_congestion(lost.packets, lost.sent, now),
            it => it.on_lost(lost, now)
        );
    }

    /// The path marked a packet sent at `sent` instead of dropping it. Reduces like a loss. Comes
    /// before [`Congestion::on_acked`].
    pub fn on_congestion_event(&mut self, sent: Instant, now: Instant) {
        each!(self, it => it.on_congestion(0, sent, now), it => it.on_marked(now));
    }

    /// Everything sent over several probe timeouts was lost. Comes after [`Congestion::on_lost`].
    pub fn on_persistent_congestion(&mut self, now: Instant) {
        each!(
            self,
            it => it.on_persistent_congestion(now),
            it => it.on_persistent_congestion(now)
        );
    }

    /// A packet that was declared lost has arrived after all. When all packets of the last
    /// reduction have, the reduction is undone (RFC 9438 section 4.9.2).
    pub fn on_spurious_loss(&mut self, packet: &Spurious) {
        each!(
            self,
            it => it.on_spurious_loss(packet.sent),
            it => it.on_spurious_loss(packet.lost)
        );
    }

    /// The path carries datagrams of another size now.
    pub fn on_datagram_size_changed(&mut self, datagram_size: u16) {
        each!(
            self,
            it => it.base_mut().on_datagram_size_changed(datagram_size),
            it => it.on_datagram_size_changed(datagram_size)
        );
    }

    /// How fast packets leave. With a window, so much faster than it a round trip that the pacer is
    /// not what limits growth: 2 while it doubles, 5/4 afterwards (RFC 9002 7.7).
    pub fn pace(&self, rtt: &Rtt) -> Pace {
        let windowed = |window: u64| {
            let (num, den) = match self.state() {
                State::SlowStart | State::ConservativeSlowStart => (2, 1),
                State::Recovery | State::Avoidance => (5, 4),
            };
            Pace { bytes: window.saturating_mul(num) / den, over: rtt.smoothed() }
        };
        each!(self, it => windowed(it.base().window()), it => it.pace(rtt))
    }
}

/// Whole microseconds of a duration, saturating.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
