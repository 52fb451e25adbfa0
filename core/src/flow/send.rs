//! What the peer allows: bytes of the connection, bytes of a stream, or streams of a kind.

use crate::recovery::Latest;
use crate::wire::frame::{Frame, SentFrame};
use crate::wire::id::CreditTarget;
use crate::wire::packet::PacketWriter;

use super::MAX_LIMIT;

/// Credit that the peer granted, of which we spend: one machine for bytes and for counts.
///
/// ```text
///   0            used                    limit − returned         limit
///   ├─────────────┼───────────────────────────┼─────────────────────┤
///       spent            available()              given back
/// ```
///
/// All three only grow. A raise and a recall commute, so it does not matter which of two crossing
/// frames comes first (spec R-FLOW-9).
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct SendCredit {
    target: CreditTarget,
    limit: u64,
    returned: u64,
    used: u64,
    answer: Latest<u64>,
    blocked: Latest<u64>,
}

impl SendCredit {
    /// Credit of `target`, with what the peer's parameters granted to begin with.
    pub const fn new(target: CreditTarget, initial: u64) -> Self {
        Self {
            target,
            limit: initial,
            returned: 0,
            used: 0,
            answer: Latest::new(),
            blocked: Latest::new(),
        }
    }

    /// Bytes or streams that may still be used.
    pub const fn available(&self) -> u64 {
        self.limit().saturating_sub(self.used)
    }

    /// How far use may go: for a stream the offset that it must not reach past, for a count the
    /// first sequence number that must not be opened.
    pub const fn limit(&self) -> u64 {
        self.limit.saturating_sub(self.returned)
    }

    /// What was used so far.
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// Uses `n`, which must be available.
    pub fn consume(&mut self, n: u64) {
        debug_assert!(n <= self.available(), "credit spent that was not granted");
        self.used = self.used.saturating_add(n);
    }

    /// MAX_DATA, MAX_STREAM_DATA or MAX_STREAMS came. Returns whether it raised the limit; an older
    /// or repeated one changes nothing.
    pub fn on_max(&mut self, limit: u64) -> bool {
        let raised = limit > self.limit;
        self.limit = self.limit.max(limit);
        raised
    }

    /// CREDIT_RECALL came: gives back what is asked for and not used, and owes an answer.
    ///
    /// The connection's credit is given back whole: what is asked for lies above the credit of all
    /// streams, so none of it can be in use (spec R-FLOW-10).
    pub fn on_recall(&mut self, total: u64) {
        let possible = match self.target {
            CreditTarget::Connection => total,
            CreditTarget::Streams(_) | CreditTarget::Stream(_) => {
                total.min(self.limit.saturating_sub(self.used))
            }
        };
        sometimes!("flow: credit is given back");
        self.returned = self.returned.max(possible).min(MAX_LIMIT);
        self.answer = Latest::new();
        self.answer.set(self.returned);
    }

    /// There is something to send that this credit holds up: tells the peer, once for each limit.
    pub fn on_blocked(&mut self) {
        if self.available() == 0 {
            sometimes!("flow: the peer's limit is met");
            self.blocked.set(self.limit);
        }
    }

    /// Whether [`SendCredit::write`] has something to write.
    pub fn is_pending(&self) -> bool {
        let blocked = self.available() == 0 && self.blocked.value() == Some(&self.limit);
        self.answer.is_pending() || (blocked && self.blocked.is_pending())
    }

    /// Writes CREDIT_RETURNED if an answer is owed, and a BLOCKED frame if still blocked.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        let target = self.target;
        self.answer.write(|&total| packet.write(&Frame::CreditReturned { target, total }));
        if self.available() == 0 && self.blocked.value() == Some(&self.limit) {
            self.blocked.write(|&limit| {
                packet.write(&match target {
                    CreditTarget::Connection => Frame::DataBlocked { limit },
                    CreditTarget::Streams(dir) => Frame::StreamsBlocked { dir, limit },
                    CreditTarget::Stream(id) => Frame::StreamDataBlocked { id, limit },
                })
            });
        }
    }

    /// A frame that [`SendCredit::write`] wrote arrived. Receipts of other parts are ignored.
    pub fn on_acked(&mut self, frame: &SentFrame) {
        match self.own(frame) {
            Some(Own::Returned(total)) => self.answer.on_acked(&total),
            Some(Own::Blocked(limit)) => self.blocked.on_acked(&limit),
            None => {}
        }
    }

    /// A frame that [`SendCredit::write`] wrote was lost: it is written again if it still holds.
    pub fn on_lost(&mut self, frame: &SentFrame) {
        match self.own(frame) {
            Some(Own::Returned(total)) => self.answer.on_lost(&total),
            Some(Own::Blocked(limit)) => self.blocked.on_lost(&limit),
            None => {}
        }
    }

    fn own(&self, frame: &SentFrame) -> Option<Own> {
        match *frame {
            SentFrame::CreditReturned(target, total) if target == self.target => {
                Some(Own::Returned(total))
            }
            SentFrame::DataBlocked(limit) if self.target == CreditTarget::Connection => {
                Some(Own::Blocked(limit))
            }
            SentFrame::StreamsBlocked(dir, limit) if self.target == CreditTarget::Streams(dir) => {
                Some(Own::Blocked(limit))
            }
            SentFrame::StreamDataBlocked(id, limit) if self.target == CreditTarget::Stream(id) => {
                Some(Own::Blocked(limit))
            }
            _ => None,
        }
    }

    /// Asserts what holds of a credit by itself.
    #[cfg(any(test, feature = "arbitrary", debug_assertions))]
    pub fn check(&self) {
        if self.target != CreditTarget::Connection {
            assert!(self.used <= self.limit(), "used past what was kept");
        }
        assert!(self.used <= self.limit, "used past the limit");
    }
}

enum Own {
    Returned(u64),
    Blocked(u64),
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
