//! How large a datagram the path carries, found by trying (RFC 8899).
//!
//! ```text
//!             10 min later, if the ceiling was not reached
//!          ┌───────────────────────────────────────────────┐
//!          ▼                                               │
//!   ┌────────────┐   nothing larger passes            ┌─────────┐
//!   │ searching  │ ─────────────────────────────────▶ │  found  │
//!   └────────────┘                                    └─────────┘
//!    ▲ from 1,200     smaller ones arrive, full ones do not │
//!    └──────────────────────────────────────────────────────┘
//! ```
//!
//! One probe is under way at a time: first of the ceiling, then of a size that is common, then
//! halving what is open between the largest size that arrived and the smallest that did not. A size
//! is taken not to pass after three lost probes, and after more on a path that loses packets of any
//! size: enough that chance alone is unlikely. Before a search ends, the size that set its end is
//! tried once more, so that a run of bad luck does not cost the path for long. Losing a probe says
//! nothing about congestion.
//!
//! When full-size packets vanish while smaller ones arrive, the path is sent the smallest size at
//! once, and the search begins again with the size that vanished: an outage costs a round trip, not
//! ten minutes.

use core::time::Duration;

use crate::recovery::PathOutcome;
use crate::time::Instant;

/// What every path carries (spec R-PKT-1).
pub const BASE_SIZE: u16 = 1_200;

/// Until a size that did not pass is tried again (RFC 8899 section 5.1.1).
pub const RETRY_AFTER: Duration = Duration::from_secs(600);

/// Lost probes that mean "no" on a path that loses nothing else (RFC 8899 section 5.1.2).
const MIN_LOST_PROBES: u32 = 3;
/// Full-size packets lost in a row that mean a black hole, on a path that loses nothing else.
const MIN_LOST_FULL: u32 = 6;
/// Never more than this many are asked for.
const MAX_LOST: u32 = 24;
/// Chance, as a power of 1/2, that random loss looks like a size that does not pass.
const PROBE_CHANCE: u32 = 14;
/// The same for a black hole.
const HOLE_CHANCE: u32 = 20;
/// Lost probes of one size that are excused because other packets were lost with them.
const MAX_EXCUSED: u32 = 5;
/// Ethernet's 1,500 bytes without the headers of IPv6 and UDP: the next guess below the ceiling.
const COMMON_SIZE: u16 = 1_452;

/// The search on one path. Sizes are bytes of UDP payload.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct PacketSize {
    ceiling: u16,
    current: u16,
    phase: Phase,
    probe: Option<u16>,
    noise: Noise,
    hole: Option<Hole>,
    /// Nothing of full size is sent until something arrives.
    careful: bool,
    black_holes: u64,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Phase {
    Searching(Search),
    /// Nothing larger passes; tried again at the time, if the ceiling is not reached.
    Found {
        retry_at: Option<Instant>,
    },
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Search {
    /// Smallest size that is taken not to pass.
    too_large: u32,
    /// Nothing was tried yet: `too_large` is one above the first size to try.
    fresh: bool,
    /// Of the size that is tried.
    lost: u32,
    excused: u32,
    /// Whether `too_large` is tried once more.
    confirming: bool,
}

/// How many packets are lost whatever their size.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Noise {
    lost: u32,
    total: u32,
}

/// Full-size packets that were lost since the last one arrived.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Hole {
    lost: u32,
    /// How many it takes, by what was known before.
    needed: u32,
}

/// What an outcome meant for the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeChange {
    /// Nothing.
    None,
    /// Larger datagrams pass.
    Grown,
    /// The path stopped carrying what it did: back to [`BASE_SIZE`].
    BlackHole,
}

impl PacketSize {
    /// A search from [`BASE_SIZE`] up to `ceiling`.
    pub fn new(ceiling: u16) -> Self {
        let mut size = Self {
            ceiling: ceiling.max(BASE_SIZE),
            current: BASE_SIZE,
            phase: Phase::Found { retry_at: None },
            probe: None,
            noise: Noise::default(),
            hole: None,
            careful: false,
            black_holes: 0,
        };
        size.search();
        size
    }

    /// A carrier that takes any size up to `size`: nothing to find out.
    pub fn fixed(size: u16) -> Self {
        Self { ceiling: size, current: size, ..Self::new(BASE_SIZE) }
    }

    /// The largest datagram that is known to pass.
    pub const fn current(&self) -> u16 {
        self.current
    }

    /// The largest datagram that is to be sent now: smaller while packets vanish.
    pub const fn datagram_size(&self) -> u16 {
        if self.careful && self.current > BASE_SIZE { BASE_SIZE } else { self.current }
    }

    /// Whether there are sizes left to try before the next retry.
    pub const fn is_searching(&self) -> bool {
        matches!(self.phase, Phase::Searching(_))
    }

    /// How often the path stopped carrying what it did.
    pub const fn black_holes(&self) -> u64 {
        self.black_holes
    }

    /// Neither side will have datagrams larger than `limit`.
    pub fn limit(&mut self, limit: u16) {
        let limit = limit.max(BASE_SIZE);
        if limit >= self.ceiling {
            return;
        }
        self.ceiling = limit;
        self.current = self.current.min(limit);
        self.probe = None;
        self.search();
    }

    /// The size of the probe that may be sent now: PING and PADDING.
    pub fn next_probe(&self) -> Option<u16> {
        match self.phase {
            Phase::Searching(search) if self.probe.is_none() && !self.careful => {
                self.candidate(&search)
            }
            _ => None,
        }
    }

    /// A probe left.
    pub fn on_probe_sent(&mut self, size: u16) {
        self.probe = Some(size);
    }

    /// The probe under way went another way: its fate says nothing here.
    pub fn forget_probe(&mut self) {
        self.probe = None;
    }

    /// The socket refused a datagram of `size` bytes as too long.
    pub fn on_refused(&mut self, size: u16, now: Instant) {
        if size <= self.current {
            if size > BASE_SIZE {
                self.fall_back(Search::below(u32::from(size)));
                self.settle(now);
            }
            return;
        }
        self.probe = None;
        if let Phase::Searching(search) = &mut self.phase {
            let open = search.too_large.saturating_sub(u32::from(search.fresh));
            if u32::from(size) <= open {
                // The socket knows: nothing to confirm.
                *search = Search { confirming: true, ..Search::below(u32::from(size)) };
            }
        }
        self.settle(now);
    }

    /// A probe timeout fired for the `count`th time in a row: perhaps it is the size.
    pub fn on_probe_timeout(&mut self, count: u32) {
        self.careful |= count >= 2;
    }

    /// Takes in what became of packets.
    pub fn on_outcome(&mut self, outcome: &PathOutcome, now: Instant) -> SizeChange {
        if outcome.acked_packets > 0 {
            self.careful = false;
        }
        if let Some(size) = outcome.mtu_lost {
            self.on_probe_lost(size, outcome.lost_packets > 0, now);
        }
        let hole = self.watch(outcome);
        if let Some(size) = outcome.mtu_acked
            && self.on_probe_acked(size, now)
        {
            return SizeChange::Grown;
        }
        if hole {
            self.fall_back(Search::from_top(self.current));
            return SizeChange::BlackHole;
        }
        SizeChange::None
    }

    /// When [`PacketSize::on_deadline`] wants to be called.
    pub const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Found { retry_at } => retry_at,
            Phase::Searching(_) => None,
        }
    }

    /// Time has passed: searches again, if it is time.
    pub fn on_deadline(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.search();
        }
    }

    fn search(&mut self) {
        self.phase = if self.current < self.ceiling {
            Phase::Searching(Search::from_top(self.ceiling))
        } else {
            Phase::Found { retry_at: None }
        };
    }

    fn fall_back(&mut self, search: Search) {
        sometimes!("path: a size that was carried is carried no more");
        self.black_holes += 1;
        self.current = BASE_SIZE;
        self.probe = None;
        self.hole = None;
        self.phase = Phase::Searching(search);
    }

    /// How close a search comes to the true size.
    fn step(&self) -> u32 {
        u32::from(self.current / 128).max(16)
    }

    fn candidate(&self, search: &Search) -> Option<u16> {
        let low = u32::from(self.current);
        let common = u32::from(COMMON_SIZE);
        let size = if search.confirming {
            search.too_large
        } else if search.fresh {
            search.too_large.saturating_sub(1)
        } else if self.current == BASE_SIZE && common + self.step() < search.too_large {
            common
        } else {
            low.midpoint(search.too_large)
        };
        u16::try_from(size).ok()
    }

    fn on_probe_acked(&mut self, size: u16, now: Instant) -> bool {
        self.probe.take_if(|probe| *probe == size);
        if size <= self.current || size > self.ceiling {
            return false;
        }
        sometimes!("path: a larger size is found");
        if size > COMMON_SIZE {
            sometimes!("path: a size above the common one is found");
        }
        self.current = size;
        self.hole = None;
        if let Phase::Searching(search) = &mut self.phase {
            *search = if u32::from(size) >= search.too_large {
                // What was taken not to pass did: everything above is open again.
                Search::from_top(self.ceiling)
            } else {
                let fresh = search.fresh && u32::from(size) + 1 < search.too_large;
                Search { fresh, ..Search::below(search.too_large) }
            };
        }
        self.settle(now);
        true
    }

    fn on_probe_lost(&mut self, size: u16, with_others: bool, now: Instant) {
        if self.probe.take_if(|probe| *probe == size).is_none() {
            return;
        }
        let needed = self.noise.needed(PROBE_CHANCE, MIN_LOST_PROBES);
        let Phase::Searching(search) = &mut self.phase else { return };
        if with_others && search.excused < MAX_EXCUSED {
            search.excused += 1;
            return;
        }
        search.lost += 1;
        if search.lost < needed {
            return;
        }
        if search.confirming {
            self.phase = Phase::Found { retry_at: Some(now + RETRY_AFTER) };
        } else {
            *search = Search::below(u32::from(size));
            self.settle(now);
        }
    }

    /// Ends the search if nothing is left to try, or turns to confirming what ended it.
    fn settle(&mut self, now: Instant) {
        let step = self.step();
        let Phase::Searching(search) = &mut self.phase else { return };
        if self.current >= self.ceiling {
            self.phase = Phase::Found { retry_at: None };
        } else if search.too_large <= u32::from(self.current) + step {
            if search.confirming {
                self.phase = Phase::Found { retry_at: Some(now + RETRY_AFTER) };
            } else if !search.fresh {
                search.confirming = true;
            }
        } else {
            search.confirming = false;
        }
    }

    /// Counts losses; returns whether full-size packets vanish while smaller ones arrive.
    fn watch(&mut self, outcome: &PathOutcome) -> bool {
        let full_acked = outcome.largest_acked_size.is_some_and(|size| size >= self.current);
        let only_full_lost = outcome.smallest_lost_size.is_some_and(|size| size == self.current);
        let (acked, lost) = (outcome.acked_packets, outcome.lost_packets);
        if self.current <= BASE_SIZE || full_acked {
            let held = self.hole.take().map_or(0, |hole| hole.lost);
            self.noise.count(acked, lost.saturating_add(held));
            return false;
        }
        self.noise.count(acked, 0);
        if only_full_lost {
            let needed = self.noise.needed(HOLE_CHANCE, MIN_LOST_FULL);
            let hole = self.hole.get_or_insert(Hole { lost: 0, needed });
            hole.lost = hole.lost.saturating_add(lost);
        } else {
            self.noise.count(0, lost);
        }
        // Something smaller was acknowledged, or the ledger would not have called anything lost.
        self.hole.is_some_and(|hole| hole.lost >= hole.needed && acked > 0)
    }
}

impl Search {
    const fn below(too_large: u32) -> Self {
        Self { too_large, fresh: false, lost: 0, excused: 0, confirming: false }
    }

    /// Begins with `size` itself.
    const fn from_top(size: u16) -> Self {
        Self { fresh: true, ..Self::below(size as u32 + 1) }
    }
}

impl Noise {
    /// Takes in packets of a size that passes; old ones fade.
    fn count(&mut self, acked: u32, lost: u32) {
        self.lost = self.lost.saturating_add(lost);
        self.total = self.total.saturating_add(acked).saturating_add(lost);
        while self.total >= 512 {
            self.lost /= 2;
            self.total /= 2;
        }
    }

    /// How many losses in a row happen by chance less than once in 2^`chance` times, at least
    /// `min`.
    fn needed(&self, chance: u32, min: u32) -> u32 {
        let (lost, total) = (u64::from(self.lost), u64::from(self.total.max(8)));
        let goal = (1u64 << 32) >> chance;
        let mut odds = 1u64 << 32;
        let mut needed = 0;
        while odds > goal && needed < MAX_LOST {
            odds = odds * lost.min(total) / total;
            needed += 1;
        }
        needed.max(min)
    }
}

#[cfg(test)]
#[path = "mtu_tests.rs"]
mod tests;
