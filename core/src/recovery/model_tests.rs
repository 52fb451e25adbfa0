//! The ledger against a plain model.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::model::{Fate, Model, ModelPath, Packet};
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
                let from = self.model.active;
                let under_way = self.model.in_flight(from) > 0;
                self.model.paths[from].left_at = under_way.then_some(self.now);
                self.model.active = path;
                self.model.probes = 0;
                self.model.paths[path].left_at = None;
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
    /// R-REC-28, R-REC-29, R-REC-30, R-REC-42
    #[test]
    fn the_ledger_agrees_with_a_list(ops in proptest::collection::vec(op(), 0..150)) {
        let mut pair = Pair::new();
        for op in &ops {
            pair.step(op);
        }
        pair.finish();
    }
}
