//! Recalls under way: what was asked back, and who owes an answer.

use alloc::vec::Vec;
use core::time::Duration;

use crate::recovery::Latest;
use crate::time::Instant;
use crate::wire::frame::Frame;
use crate::wire::id::CreditTarget;
use crate::wire::packet::PacketWriter;

/// The recalls of one connection that were not answered yet: at most one for each target.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Recalls {
    asked: Vec<Asked>,
}

#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Asked {
    target: CreditTarget,
    total: Latest<u64>,
    /// When the peer had acknowledged the question.
    acked_at: Option<Instant>,
}

impl Recalls {
    /// Asks `target` for `total` in all.
    pub(super) fn ask(&mut self, target: CreditTarget, total: u64) {
        debug_assert!(!self.is_asked(target), "two recalls of one target");
        let mut latest = Latest::new();
        latest.set(total);
        self.asked.push(Asked { target, total: latest, acked_at: None });
    }

    /// Whether `target` owes an answer.
    pub(super) fn is_asked(&self, target: CreditTarget) -> bool {
        self.asked.iter().any(|a| a.target == target)
    }

    /// Whether anybody owes an answer.
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// `target` answered, or can no longer.
    pub(super) fn settle(&mut self, target: CreditTarget) {
        self.asked.retain(|a| a.target != target);
    }

    pub(super) fn write(&mut self, packet: &mut PacketWriter<'_>) {
        for asked in &mut self.asked {
            let target = asked.target;
            asked.total.write(|&total| packet.write(&Frame::CreditRecall { target, total }));
        }
    }

    pub(super) fn on_acked(&mut self, target: CreditTarget, total: u64, now: Instant) {
        if let Some(asked) = self.find(target, total) {
            asked.total.on_acked(&total);
            asked.acked_at.get_or_insert(now);
        }
    }

    pub(super) fn on_lost(&mut self, target: CreditTarget, total: u64) {
        if let Some(asked) = self.find(target, total) {
            asked.total.on_lost(&total);
        }
    }

    /// When the first answer is overdue, `patience` after its question was acknowledged.
    pub(super) fn deadline(&self, patience: Duration) -> Option<Instant> {
        self.asked.iter().filter_map(|a| a.acked_at).min().map(|at| at + patience)
    }

    fn find(&mut self, target: CreditTarget, total: u64) -> Option<&mut Asked> {
        self.asked.iter_mut().find(|a| a.target == target && a.total.value() == Some(&total))
    }
}
