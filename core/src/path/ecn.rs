//! Whether a path carries ECN marks (RFC 9000 section 13.4).
//!
//! Packets are marked ECT(0) from the path's first one on, for as long as the peer's counts agree
//! with what was acknowledged. When what it counts as CE grows, the window shrinks as for a loss.

use crate::wire::ack::EcnCounts;
use crate::wire::id::Ecn;

/// Packets after which a path that shows no sign of marks is taken not to carry them.
const TESTING_PACKETS: u64 = 10;

/// What is known of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EcnState {
    /// Marking is not wanted.
    Off,
    /// Packets are marked; no count has come back.
    Testing,
    /// The peer's counts agree.
    Capable,
    /// They do not, or there are none: nothing is marked.
    Failed,
}

/// The marks of one path.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct EcnValidation {
    state: EcnState,
    /// What the peer had counted on other paths before.
    baseline: EcnCounts,
    last: EcnCounts,
    acked: u64,
    lost: u64,
}

impl EcnValidation {
    /// Of a path that begins when the peer has counted `baseline`, in `EcnState::Testing` or `Off`.
    pub const fn new(state: EcnState, baseline: EcnCounts) -> Self {
        Self { state, baseline, last: baseline, acked: 0, lost: 0 }
    }

    /// What is known.
    pub const fn state(&self) -> EcnState {
        self.state
    }

    /// How the next datagram is to be marked.
    pub const fn mark(&self) -> Option<Ecn> {
        match self.state {
            EcnState::Testing | EcnState::Capable => Some(Ecn::Ect0),
            EcnState::Off | EcnState::Failed => None,
        }
    }

    /// Packets that the network marked instead of dropping them, as the peer counts.
    pub const fn congestion_experienced(&self) -> u64 {
        self.last.ce.saturating_sub(self.baseline.ce)
    }

    /// `acked` marked packets were newly acknowledged, by an ACK with these counts.
    pub fn on_acked(&mut self, acked: u64, counts: Option<EcnCounts>) {
        if !matches!(self.state, EcnState::Testing | EcnState::Capable) {
            return;
        }
        self.acked = self.acked.saturating_add(acked);
        let Some(counts) = counts else {
            // An ACK that is not the newest has no counts; a peer that never has any reads no
            // marks.
            if self.state == EcnState::Testing && self.acked >= TESTING_PACKETS {
                self.state = EcnState::Failed;
            }
            return;
        };
        let (base, last) = (self.baseline, self.last);
        let seen = counts.ect0.saturating_sub(base.ect0) + counts.ce.saturating_sub(base.ce);
        let shrunk = counts.ect0 < last.ect0 || counts.ect1 < last.ect1 || counts.ce < last.ce;
        if shrunk || counts.ect1 > base.ect1 || seen < self.acked {
            sometimes!("path: marks do not come through");
            self.state = EcnState::Failed;
            return;
        }
        self.last = counts;
        self.state = EcnState::Capable;
    }

    /// `lost` marked packets were lost. If none at all arrives, the marks may be why.
    pub fn on_lost(&mut self, lost: u64) {
        self.lost = self.lost.saturating_add(lost);
        if self.state == EcnState::Testing && self.acked == 0 && self.lost >= TESTING_PACKETS {
            self.state = EcnState::Failed;
        }
    }
}
