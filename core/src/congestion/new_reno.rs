//! NewReno as in RFC 9002 section 7.3: the reference that other controllers are judged by.

use crate::recovery::Rtt;
use crate::time::Instant;

use super::base::{Base, Undo};
use super::{Acked, CongestionConfig};

/// One datagram more a round trip; half the window after a loss.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct NewReno {
    base: Base,
    undo: Option<Undo<()>>,
}

impl NewReno {
    pub(super) fn new(config: &CongestionConfig, datagram_size: u16) -> Self {
        Self { base: Base::new(config, datagram_size), undo: None }
    }

    pub(super) const fn base(&self) -> &Base {
        &self.base
    }

    pub(super) const fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    pub(super) fn on_sent(&mut self, _bytes: u64, in_flight: u64, rtt: &Rtt, now: Instant) {
        self.base.on_sent(in_flight, rtt, now);
    }

    pub(super) fn on_acked(&mut self, acked: &Acked, _rtt: &Rtt, _now: Instant) {
        if !self.base.on_acked(acked.sent) || acked.app_limited {
            return;
        }
        if self.base.in_slow_start() {
            self.base.grow(u128::from(acked.bytes), 1);
        } else {
            let window = self.base.window();
            self.base.grow(u128::from(acked.bytes) * u128::from(self.base.datagram()), window);
        }
    }

    pub(super) fn on_congestion(&mut self, packets: u64, sent: Instant, now: Instant) {
        if let Some(undo) = self.base.reduce(sent, (1, 2), now) {
            self.undo = Some(undo);
        }
        if let Some(undo) = &mut self.undo {
            undo.on_lost(packets);
        }
    }

    pub(super) fn on_persistent_congestion(&mut self, now: Instant) {
        self.base.on_persistent_congestion(self.undo.take().as_ref(), now);
    }

    pub(super) fn on_spurious_loss(&mut self, sent: Instant) {
        let base = &self.base;
        if let Some(undo) = self.undo.take_if(|undo| undo.on_found(sent, base)) {
            self.base.restore(&undo);
        }
    }
}
