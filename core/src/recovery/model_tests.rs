//! The ledger against a plain model: a list of packets, walked from end to end for every question.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::reorder::Reordering;
use super::*;
use crate::range_set::RangeSet;
use crate::time::Instant;
use crate::wire::ack::AckFrame;
use crate::wire::frame::SentFrame;
use crate::wire::id::{PacketNumber, PathId};

const PATHS: [PathId; 2] = [PathId(0), PathId(1)];

#[derive(Clone, Debug)]
enum Op {
    Send {
        path: usize,
        eliciting: bool,
        probe: bool,
        size: u16,
        receipts: u8,
    },
    Skip,
    /// Of the last 64 numbers, those in the mask.
    Ack {
        mask: u64,
    },
    /// Everything up to so many before the last.
    AckAll {
        but: u64,
    },
    Wait {
        us: u64,
    },
    Fire,
    Suspend {
        path: usize,
    },
    Resume {
        path: usize,
    },
    Reliable {
        path: usize,
    },
    Abandon {
        path: usize,
    },
    Activate {
        path: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let path = 0_usize..2;
    let send =
        (path.clone(), 0..5, 0..8, 1_u16..1500, 0_u8..4).prop_map(|(path, e, p, size, r)| {
            Op::Send { path, eliciting: e > 0, probe: p == 0, size, receipts: r }
        });
    prop_oneof![
        12 => send,
        1 => Just(Op::Skip),
        4 => (any::<u64>(), any::<u64>()).prop_map(|(a, b)| Op::Ack { mask: a & b }),
        1 => any::<u64>().prop_map(|a| Op::Ack { mask: a }),
        2 => (0_u64..6).prop_map(|but| Op::AckAll { but }),
        4 => prop_oneof![4 => 0_u64..50_000, 1 => 0_u64..3_000_000].prop_map(|us| Op::Wait { us }),
        4 => Just(Op::Fire),
        1 => path.clone().prop_map(|path| Op::Suspend { path }),
        2 => path.clone().prop_map(|path| Op::Resume { path }),
        1 => (0..20, path.clone()).prop_map(|(rare, path)| match rare {
            0 => Op::Reliable { path },
            1 => Op::Abandon { path },
            _ => Op::Activate { path },
        }),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Flying,
    /// Until it is forgotten.
    Lost(Instant),
    Acked,
    Gone,
}

#[derive(Clone, Debug)]
struct Packet {
    number: u64,
    path: usize,
    size: u16,
    probe: bool,
    eliciting: bool,
    sent_at: Instant,
    fate: Fate,
    receipts: Vec<SentFrame>,
}

#[derive(Clone, Debug, Default)]
struct ModelPath {
    rtt: Rtt,
    reliable: bool,
    suspended: bool,
    resumed_at: Instant,
    loss_at: Option<Instant>,
    largest_acked: Option<u64>,
    next_lost: Option<usize>,
    reordering: Reordering,
    asked: bool,
    used_at: Instant,
    quiet_since: Instant,
}

#[derive(Clone, Debug, Default)]
struct Model {
    packets: Vec<Packet>,
    paths: [ModelPath; 2],
    active: usize,
    largest_acked: Option<u64>,
    probes: u32,
    fired_at: Instant,
}

impl Model {
    /// Whether an ACK of the packet is news.
    fn open(p: &Packet, now: Instant) -> bool {
        p.fate == Fate::Flying || matches!(p.fate, Fate::Lost(until) if until > now)
    }

    fn flying(&self, path: usize) -> impl Iterator<Item = &Packet> + '_ {
        self.packets.iter().filter(move |p| p.path == path && p.fate == Fate::Flying)
    }

    fn in_flight(&self, path: usize) -> u64 {
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
        let last = self.last_sent(path)?;
        let waits = path != self.active && self.in_flight(path) > 0;
        if waits && self.paths[path].reliable {
            let used_at = self.paths[path].used_at;
            return Some(used_at + (self.pto() * 3).max(Duration::from_secs(10)));
        }
        let waits = waits && self.timed(path);
        waits.then(|| last.max(self.paths[path].resumed_at) + self.pto() * 3)
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

    fn deadline(&self) -> Option<Instant> {
        let mut wishes = vec![self.probe_at()];
        for path in 0..2 {
            wishes.push(self.paths[path].loss_at.filter(|_| self.timed(path)));
            wishes.push(self.stale_at(path));
        }
        wishes.into_iter().flatten().min()
    }

    /// Takes in an ACK; gives what is acked, what is lost, and how many losses were spurious.
    fn ack(&mut self, ranges: &RangeSet, now: Instant) -> (Vec<SentFrame>, Vec<SentFrame>, u64) {
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
        (acked, lost, spurious)
    }

    fn lose_all(&mut self, path: usize, fate: Fate, lost: &mut Vec<SentFrame>) {
        for p in self.packets.iter_mut().filter(|p| p.path == path && p.fate == Fate::Flying) {
            p.fate = fate;
            lost.append(&mut p.receipts);
        }
        self.paths[path].loss_at = None;
    }

    /// What a deadline brings: what is lost, and whether to probe.
    fn fire(&mut self, now: Instant) -> (Vec<SentFrame>, Fired) {
        let mut lost = Vec::new();
        for path in 0..2 {
            if self.stale_at(path).is_some_and(|at| at <= now) {
                self.lose_all(path, Fate::Acked, &mut lost);
            } else if self.paths[path].loss_at.is_some_and(|at| at <= now) && self.timed(path) {
                self.detect(path, &mut lost, now);
            }
        }
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

/// Both, side by side.
#[derive(Debug)]
struct Pair {
    ledger: Ledger,
    model: Model,
    rtts: [Rtt; 2],
    now: Instant,
    sent: u64,
    skipped: Vec<u64>,
    settled: Vec<u64>,
    spurious: u64,
}

fn same(a: &[SentFrame], b: &[SentFrame]) {
    let key = |frame: &SentFrame| match frame {
        SentFrame::MaxData(id) => *id,
        other => panic!("{other:?}"),
    };
    let sorted = |frames: &[SentFrame]| {
        let mut keys: Vec<u64> = frames.iter().map(key).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(sorted(a), sorted(b));
}

impl Pair {
    fn new() -> Self {
        Self {
            ledger: Ledger::new(),
            model: Model::default(),
            rtts: [Rtt::new(); 2],
            now: Instant::from_nanos(1),
            sent: 0,
            skipped: vec![],
            settled: vec![],
            spurious: 0,
        }
    }

    fn step(&mut self, op: &Op) {
        let mut out = Settled::default();
        match *op {
            Op::Send { path, eliciting, probe, size, receipts } => {
                self.send(path, eliciting, probe, size, receipts);
            }
            Op::Skip => {
                self.skipped.push(self.sent);
                self.sent += 1;
            }
            Op::Ack { mask } => {
                let ago = (0..64).filter(|ago| mask & (1 << ago) != 0);
                let numbers = ago.filter_map(|ago| self.sent.checked_sub(1 + ago)).collect();
                self.ack(numbers, &mut out);
            }
            Op::AckAll { but } => self.ack((0..self.sent.saturating_sub(but)).collect(), &mut out),
            Op::Wait { us } => self.now = self.now + Duration::from_micros(us),
            Op::Fire => self.fire(&mut out),
            Op::Suspend { path } => {
                self.ledger.on_suspended(PATHS[path]);
                self.model.paths[path].suspended = true;
            }
            Op::Resume { path } => self.resume(path),
            Op::Reliable { path } => {
                self.ledger.set_carriage(PATHS[path], Carriage::Reliable);
                self.model.paths[path].reliable = true;
            }
            Op::Abandon { path } => self.abandon(path, &mut out),
            Op::Activate { path } => {
                self.model.active = path;
                self.model.probes = 0;
                self.model.paths[path].quiet_since = self.now;
                self.ledger.on_moved(PATHS[path], self.now);
            }
        }
        self.check(&out);
    }

    fn send(&mut self, path: usize, eliciting: bool, probe: bool, size: u16, receipts: u8) {
        let number = self.sent;
        self.sent += 1;
        if eliciting {
            let alone = self.model.in_flight(path) == 0;
            let active = path == self.model.active;
            let of_path = &mut self.model.paths[path];
            if alone {
                of_path.quiet_since = self.now;
            }
            if alone || active {
                of_path.used_at = self.now;
            }
        }
        let receipts = if eliciting { u64::from(receipts) } else { 0 };
        let mut receipts = (0..receipts).map(|n| SentFrame::MaxData(number * 8 + n)).collect();
        self.model.packets.push(Packet {
            number,
            path,
            size,
            probe,
            eliciting,
            sent_at: self.now,
            fate: if eliciting { Fate::Flying } else { Fate::Gone },
            receipts: Vec::clone(&receipts),
        });
        let packet = SentPacket {
            number: PacketNumber(number),
            path: PATHS[path],
            size,
            ack_eliciting: eliciting,
            mtu_probe: probe,
        };
        self.ledger.on_sent(packet, &mut receipts, self.now);
    }

    fn ack(&mut self, numbers: Vec<u64>, out: &mut Settled) {
        let mut set = RangeSet::new();
        let known = |n: &u64| self.model.packets.iter().any(|p| p.number == *n);
        numbers.into_iter().filter(known).for_each(|n| _ = set.insert(n..n + 1));
        let mut scratch = Vec::new();
        // No more than fit a frame: the highest.
        while set.count() > 256 {
            set.pop_first();
        }
        let Some(frame) = AckFrame::from_ranges(&set, 0, None, 256, &mut scratch) else { return };
        let before = [0, 1].map(|path| self.model.in_flight(path));
        let packets = self.model.packets.clone();
        let (acked, lost, spurious) = self.model.ack(&set, self.now);
        let after = self.model.packets.iter();
        let left = |path: usize, want: fn(&Packet) -> bool| -> u64 {
            let left = packets.iter().zip(after.clone()).filter(|(before, after)| {
                before.path == path && before.fate == Fate::Flying && want(after)
            });
            left.map(|(before, _)| u64::from(before.size)).sum()
        };
        self.ledger.on_ack(&frame, out, self.now).unwrap();
        for at in 0..out.paths.len() {
            let path = out.paths[at].path.0 as usize;
            if let Some(sample) = out.paths[at].rtt {
                let max = DEFAULT_MAX_ACK_DELAY;
                self.rtts[path].on_sample(sample.latest, sample.ack_delay, max);
            }
            self.ledger.detect_losses(PATHS[path], &self.rtts[path], out, self.now);
            let outcome = &out.paths[at];
            assert_eq!(outcome.prior_in_flight, before[path]);
            assert_eq!(outcome.acked_bytes, left(path, |p| p.fate == Fate::Acked));
            let lost = left(path, |p| matches!(p.fate, Fate::Lost(_)) && !p.probe);
            assert_eq!(outcome.lost_bytes, lost);
            assert!(!outcome.persistent_congestion || outcome.lost_packets >= 2);
        }
        self.spurious += spurious;
        same(&out.acked, &acked);
        same(&out.lost, &lost);
    }

    fn fire(&mut self, out: &mut Settled) {
        if let Some(deadline) = self.model.deadline() {
            self.now = self.now.max(deadline);
        }
        let (lost, expected) = self.model.fire(self.now);
        self.ledger.set_patience(Duration::MAX);
        let active = self.model.active;
        let fired = self.ledger.on_deadline(PATHS[active], &self.rtts[active], out, self.now);
        assert_eq!(fired, expected);
        same(&out.lost, &lost);
        assert!(self.model.deadline().is_none_or(|next| next > self.now));
    }

    fn resume(&mut self, path: usize) {
        self.ledger.on_resumed(PATHS[path], self.now);
        let flying = self.model.in_flight(path) > 0;
        let p = &mut self.model.paths[path];
        if core::mem::replace(&mut p.suspended, false) {
            p.resumed_at = self.now;
            if flying && p.largest_acked.is_some() {
                p.loss_at = Some(self.now + p.reordering.loss_delay(&p.rtt));
            }
        }
    }

    fn abandon(&mut self, path: usize, out: &mut Settled) {
        let mut lost = Vec::new();
        self.model.lose_all(path, Fate::Gone, &mut lost);
        self.model.packets.iter_mut().filter(|p| p.path == path).for_each(|p| p.fate = Fate::Gone);
        let rtt = self.model.paths[path].rtt;
        self.model.paths[path] = ModelPath { rtt, ..ModelPath::default() };
        self.ledger.declare_lost_all(PATHS[path], out);
        same(&out.lost, &lost);
    }

    fn check(&mut self, out: &Settled) {
        assert!(self.ledger.is_consistent());
        for receipt in out.acked.iter().chain(&out.lost) {
            let SentFrame::MaxData(id) = receipt else { panic!("{receipt:?}") };
            assert!(!self.settled.contains(id), "{id} came back twice");
            self.settled.push(*id);
        }
        for (path, id) in PATHS.into_iter().enumerate() {
            assert_eq!(self.ledger.in_flight(id), self.model.in_flight(path));
            assert_eq!(self.rtts[path], self.model.paths[path].rtt);
        }
        assert_eq!(self.ledger.unanswered_probes(), self.model.probes);
        let active = self.model.active;
        let deadline = self.ledger.deadline(PATHS[active], &self.rtts[active]);
        assert_eq!(deadline, self.model.deadline());
    }

    /// At the end every receipt has come back.
    fn finish(&mut self) {
        for path in 0..2 {
            let mut out = Settled::default();
            self.abandon(path, &mut out);
            self.check(&out);
        }
        let handed: usize = self.model.packets.iter().map(|p| p.receipts.len()).sum();
        assert_eq!((handed, self.ledger.has_in_flight()), (0, false));
        let stats = self.ledger.stats();
        assert_eq!(stats.eliciting_sent, stats.acked + stats.lost);
        assert_eq!(stats.spurious, self.spurious);
    }
}

proptest! {
    /// Two paths, packets of every kind, ACKs of every shape, time: the ledger says what the list
    /// says.
    ///
    /// spec: R-REC-13, R-REC-14, R-REC-18, R-REC-20, R-REC-22, R-REC-23, R-REC-24, R-REC-25,
    /// R-REC-28, R-REC-29, R-REC-30
    #[test]
    fn the_ledger_agrees_with_a_list(ops in proptest::collection::vec(op(), 0..150)) {
        let mut pair = Pair::new();
        for op in &ops {
            pair.step(op);
        }
        pair.finish();
    }
}
