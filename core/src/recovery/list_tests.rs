//! What the ledger is held to: a list of packets, walked from end to end for every question.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::reorder::Reordering;
use super::*;
use crate::range_set::RangeSet;
use crate::time::Instant;
use crate::wire::frame::SentFrame;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Flying,
    /// Until it is forgotten.
    Lost(Instant),
    Acked,
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) number: u64,
    pub(super) path: usize,
    pub(super) size: u16,
    pub(super) probe: bool,
    pub(super) eliciting: bool,
    pub(super) sent_at: Instant,
    pub(super) fate: Fate,
    pub(super) receipts: Vec<SentFrame>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ModelPath {
    pub(super) rtt: Rtt,
    pub(super) reliable: bool,
    pub(super) suspended: bool,
    pub(super) resumed_at: Instant,
    pub(super) loss_at: Option<Instant>,
    pub(super) largest_acked: Option<u64>,
    pub(super) next_lost: Option<usize>,
    pub(super) reordering: Reordering,
    pub(super) asked: bool,
    pub(super) used_at: Instant,
    pub(super) left_at: Option<Instant>,
    pub(super) acked_sent_at: Instant,
    pub(super) own_delay: Duration,
    pub(super) quiet_since: Instant,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) packets: Vec<Packet>,
    pub(super) paths: [ModelPath; 2],
    pub(super) active: usize,
    pub(super) largest_acked: Option<u64>,
    pub(super) probes: u32,
    pub(super) fired_at: Instant,
}

impl Model {
    /// Whether an ACK of the packet is news.
    fn open(p: &Packet, now: Instant) -> bool {
        p.fate == Fate::Flying || matches!(p.fate, Fate::Lost(until) if until > now)
    }

    fn flying(&self, path: usize) -> impl Iterator<Item = &Packet> + '_ {
        self.packets.iter().filter(move |p| p.path == path && p.fate == Fate::Flying)
    }

    pub(super) fn in_flight(&self, path: usize) -> u64 {
        self.flying(path).map(|p| u64::from(p.size)).sum()
    }

    fn timed(&self, path: usize) -> bool {
        !self.paths[path].reliable && !self.paths[path].suspended
    }

    /// Packets of the path that elicit, sent after `number` up to and with `last`.
    fn later(&self, path: usize, number: u64, last: u64) -> usize {
        let on_path = self.packets.iter().filter(|p| p.path == path && p.eliciting);
        on_path.filter(|p| p.number > number && p.number <= last).count()
    }

    fn detect(&mut self, path: usize, lost: &mut Vec<SentFrame>, now: Instant) {
        self.paths[path].loss_at = None;
        self.paths[path].own_delay = self.loss_delay(path);
        let reliable = self.paths[path].reliable;
        let speaks = reliable || self.timed(path);
        let Some(largest) = self.paths[path].largest_acked.filter(|_| speaks) else { return };
        let (delay, resumed) = (self.loss_delay(path), self.paths[path].resumed_at);
        let forgotten = now + self.paths[path].rtt.pto(DEFAULT_MAX_ACK_DELAY) * 3;
        for at in 0..self.packets.len() {
            let p = &self.packets[at];
            if p.path != path || p.fate != Fate::Flying || p.number >= largest {
                continue;
            }
            let lost_at = p.sent_at.max(resumed) + delay;
            let far = self.later(path, p.number, largest) as u64;
            if reliable || self.paths[path].reordering.is_far(far) || lost_at <= now {
                self.lose(at, forgotten, lost);
            } else {
                let loss_at = &mut self.paths[path].loss_at;
                *loss_at = Some(loss_at.map_or(lost_at, |before| before.min(lost_at)));
            }
        }
    }

    fn loss_delay(&self, path: usize) -> Duration {
        let path = &self.paths[path];
        path.reordering.loss_delay(&path.rtt)
    }

    fn lose(&mut self, at: usize, forgotten: Instant, lost: &mut Vec<SentFrame>) {
        let p = &mut self.packets[at];
        p.fate = Fate::Lost(forgotten);
        lost.append(&mut p.receipts);
        let (path, number, probe) = (p.path, p.number, p.probe);
        let index = self.later(path, 0, number);
        let path = &mut self.paths[path];
        let follows = path.next_lost == Some(index);
        if follows || !probe {
            path.next_lost = Some(index + 1);
        }
        if !follows && !probe {
            path.reordering.on_run();
        }
    }

    fn stale_at(&self, path: usize) -> Option<Instant> {
        let waits = path != self.active && self.in_flight(path) > 0;
        if waits && self.paths[path].reliable {
            let used_at = self.paths[path].used_at;
            return Some(used_at + (self.pto() * 3).max(Duration::from_secs(10)));
        }
        if !waits || !self.timed(path) {
            return None;
        }
        let resumed = self.paths[path].resumed_at;
        let left = &self.paths[path];
        let since = left.used_at.max(left.quiet_since).max(resumed);
        let waited = since + (self.pto() * 3).max(left.own_delay * 3);
        let other = &self.paths[1 - path];
        let known = left.largest_acked.is_some() && !other.reliable;
        let left_at = left.left_at.filter(|at| known && other.acked_sent_at >= *at);
        let delay = self.loss_delay(self.active).max(left.own_delay);
        let passed = left_at.map(|at| at.max(resumed).max(left.quiet_since) + delay);
        Some(passed.map_or(waited, |passed| passed.min(waited)))
    }

    /// When anything that elicits was last sent on a path.
    fn last_sent(&self, path: usize) -> Option<Instant> {
        let sent = self.packets.iter().filter(|p| p.path == path && p.eliciting);
        sent.filter(|p| p.fate != Fate::Gone).map(|p| p.sent_at).max()
    }

    fn pto(&self) -> Duration {
        self.paths[self.active].rtt.pto(DEFAULT_MAX_ACK_DELAY)
    }

    /// What the first silence is measured by: a peer answers the second of two packets at once.
    fn silence(&self) -> Duration {
        let alone = self.flying(self.active).filter(|p| !p.probe).count() < 2;
        if alone { self.pto() } else { self.paths[self.active].rtt.pto_base() }
    }

    fn probe_at(&self) -> Option<Instant> {
        let path = &self.paths[self.active];
        if self.in_flight(self.active) == 0 {
            return None;
        }
        if path.reliable {
            return [self.ask_at(), Some(self.hush_at())].into_iter().flatten().min();
        }
        if path.suspended || path.loss_at.is_some() {
            return None;
        }
        let quiet_since = self.last_sent(self.active)?.max(path.resumed_at);
        let wait = match self.probes {
            0 => self.silence(),
            1 => self.pto() * 2,
            n => (self.pto() / 2).max(Duration::from_millis(125)) * 2_u32.pow(n / 32),
        };
        Some(quiet_since.max(self.fired_at) + wait)
    }

    fn stream_patience(&self) -> Duration {
        (self.pto() * 3).max(Duration::from_secs(1))
    }

    fn ask_at(&self) -> Option<Instant> {
        let path = &self.paths[self.active];
        let last = self.last_sent(self.active)?.max(path.resumed_at);
        (!path.asked && !path.suspended).then(|| last + self.stream_patience())
    }

    /// When the stream in use is silent for so long again.
    fn hush_at(&self) -> Instant {
        let path = &self.paths[self.active];
        let since = path.quiet_since.max(path.resumed_at);
        let since = if self.probes > 0 { since.max(self.fired_at) } else { since };
        since + self.stream_patience()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let mut wishes = vec![self.probe_at()];
        for path in 0..2 {
            wishes.push(self.paths[path].loss_at.filter(|_| self.timed(path)));
            wishes.push(self.stale_at(path));
        }
        wishes.into_iter().flatten().min()
    }

    /// Takes in an ACK; gives what is acked, what is lost, and how many losses were spurious.
    pub(super) fn ack(
        &mut self,
        ranges: &RangeSet,
        now: Instant,
    ) -> (Vec<SentFrame>, Vec<SentFrame>, u64) {
        let (mut acked, mut lost, mut spurious) = (Vec::new(), Vec::new(), 0);
        let largest = ranges.last().unwrap().end - 1;
        let mut touched = [false; 2];
        let measured = self.packets.iter().find(|p| p.number == largest).cloned();
        let by_range = ranges.iter().rev().flat_map(|range| {
            let inside = |p: &Packet| range.contains(&p.number);
            (0..self.packets.len()).filter(|at| inside(&self.packets[*at])).collect::<Vec<_>>()
        });
        for at in by_range.collect::<Vec<_>>() {
            let p = &self.packets[at];
            if !Self::open(p, now) {
                continue;
            }
            if p.fate != Fate::Flying {
                spurious += 1;
                let last = self.paths[p.path].largest_acked.unwrap();
                let (behind, took) =
                    (self.later(p.path, p.number, last), now.saturating_since(p.sent_at));
                let path = &mut self.paths[p.path];
                path.reordering.on_spurious(behind as u64, took, path.rtt.smoothed());
            }
            let p = &mut self.packets[at];
            p.fate = Fate::Acked;
            acked.append(&mut p.receipts);
            touched[p.path] = true;
            let highest = &mut self.paths[p.path].largest_acked;
            *highest = (*highest).max(Some(p.number));
            self.paths[p.path].asked = false;
            self.paths[p.path].quiet_since = now;
            let newest = &mut self.paths[p.path].acked_sent_at;
            *newest = (*newest).max(p.sent_at);
            if !self.paths[p.path].reliable || p.path == self.active {
                self.probes = 0;
            }
        }
        if let Some(p) = measured.filter(|p| touched[p.path]) {
            let new = match p.eliciting {
                true => Self::open(&p, now),
                // Only the last that elicits nothing is known by its time.
                false => {
                    self.packets.iter().rfind(|q| !q.eliciting).unwrap().number == largest
                        && self.largest_acked.is_none_or(|before| largest > before)
                }
            };
            if new {
                let latest = now.saturating_since(p.sent_at);
                self.paths[p.path].rtt.on_sample(latest, Duration::ZERO, DEFAULT_MAX_ACK_DELAY);
            }
        }
        self.largest_acked = self.largest_acked.max(Some(largest));
        for (path, touched) in touched.into_iter().enumerate() {
            if touched {
                self.detect(path, &mut lost, now);
            }
        }
        self.forget_left();
        (acked, lost, spurious)
    }

    /// Where nothing is under way there is nothing that data has left behind.
    fn forget_left(&mut self) {
        for path in 0..2 {
            if self.flying(path).next().is_none() {
                self.paths[path].left_at = None;
            }
        }
    }

    pub(super) fn lose_all(&mut self, path: usize, fate: Fate, lost: &mut Vec<SentFrame>) {
        for p in self.packets.iter_mut().filter(|p| p.path == path && p.fate == Fate::Flying) {
            p.fate = fate;
            lost.append(&mut p.receipts);
        }
        self.paths[path].loss_at = None;
        self.paths[path].left_at = None;
    }

    /// What a deadline brings: what is lost, and whether to probe.
    pub(super) fn fire(&mut self, now: Instant) -> (Vec<SentFrame>, Fired) {
        let mut lost = Vec::new();
        for path in 0..2 {
            if self.stale_at(path).is_some_and(|at| at <= now) {
                self.lose_all(path, Fate::Acked, &mut lost);
            } else if self.paths[path].loss_at.is_some_and(|at| at <= now) && self.timed(path) {
                self.detect(path, &mut lost, now);
            }
        }
        self.forget_left();
        if self.probe_at().is_none_or(|at| at > now) {
            return (lost, Fired::Nothing);
        }
        if self.paths[self.active].reliable {
            let asks = self.ask_at().is_some_and(|at| at <= now);
            if self.hush_at() <= now {
                self.probes += 1;
                self.fired_at = now;
            }
            self.paths[self.active].asked |= asks;
            return (lost, if asks { Fired::Ping } else { Fired::Hush });
        }
        self.probes += 1;
        self.fired_at = now;
        if self.probes > 2 {
            return (lost, Fired::Ping);
        }
        let full =
            self.packets.iter_mut().filter(|p| p.fate == Fate::Flying && !p.receipts.is_empty());
        full.take(2).for_each(|p| lost.append(&mut p.receipts));
        (lost, Fired::Probe { count: 2 })
    }
}
