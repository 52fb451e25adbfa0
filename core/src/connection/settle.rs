//! List three: what became of what was sent.

use core::mem;

use smallvec::SmallVec;

use crate::flow::Budget;
use crate::path::SizeChange;
use crate::planted::Fault;
use crate::recovery::Settled;
use crate::stream::RecvAccount;
use crate::time::Instant;
use crate::wire::frame::SentFrame;
use crate::wire::id::{CreditTarget, PathId};

use super::Connection;

impl Connection {
    /// Hands results to the paths and receipts to their owners.
    pub(super) fn settle(&mut self, budget: &mut Budget, now: Instant) {
        let mut settled = mem::take(&mut self.settled);
        self.look_for_losses(&mut settled, now);
        for outcome in &settled.paths {
            // Smaller packets find out at once whether the path is there at all.
            self.ping |= self.paths.on_outcome(outcome, now) == SizeChange::BlackHole;
        }
        for frame in settled.acked.drain(..) {
            self.on_acked(&frame, budget, now);
        }
        for frame in settled.lost.drain(..) {
            self.on_lost(&frame);
        }
        settled.clear();
        self.settled = settled;
        self.give_up_old_messages(now);
    }

    /// RTT samples come first: what is lost by time hangs on them.
    fn look_for_losses(&mut self, settled: &mut Settled, now: Instant) {
        let concerned: SmallVec<[PathId; 2]> =
            settled.paths.iter().map(|outcome| outcome.path).collect();
        for outcome in &settled.paths {
            if let (Some(sample), Some(path)) = (&outcome.rtt, self.paths.get_mut(outcome.path)) {
                path.on_rtt_sample(sample);
            }
        }
        self.credit.set_rtt(self.paths.active().rtt().smoothed());
        for id in concerned {
            if let Some(path) = self.paths.get(id) {
                self.ledger.detect_losses(id, path.rtt(), settled, now);
            }
        }
    }

    fn on_acked(&mut self, frame: &SentFrame, budget: &mut Budget, now: Instant) {
        if matches!(frame, SentFrame::Stream { .. } | SentFrame::Datagram(_)) {
            self.put_off_farewell(now);
        }
        match frame {
            SentFrame::Ack { largest } => self.acks.on_acked(*largest),
            SentFrame::Open(_)
            | SentFrame::Stream { .. }
            | SentFrame::Skip { .. }
            | SentFrame::Reset(_)
            | SentFrame::Stop(_)
            | SentFrame::MaxStreamData(..)
            | SentFrame::StreamDataBlocked(..)
            | SentFrame::StreamsBlocked(..)
            | SentFrame::CreditReturned(CreditTarget::Stream(_) | CreditTarget::Streams(_), _) => {
                let mut account = RecvAccount { credit: &mut self.credit, budget, now };
                self.streams.on_acked(frame, &mut account);
            }
            SentFrame::MaxData(_) | SentFrame::MaxStreams(..) | SentFrame::CreditRecall(..) => {
                self.credit.on_acked(frame, now);
            }
            SentFrame::DataBlocked(_) | SentFrame::CreditReturned(CreditTarget::Connection, _) => {
                self.allowed.on_acked(frame);
            }
            SentFrame::ObservedAddress(sequence) => self.paths.on_observed_acked(*sequence),
            SentFrame::Datagram(_) => self.datagrams.on_acked(frame),
            SentFrame::RetireCid(sequence) => {
                if let Some(session) = self.lifecycle.session_mut() {
                    session.cids.on_acked(*sequence);
                }
            }
            SentFrame::NewCid(_) | SentFrame::Params => {}
        }
    }

    fn on_lost(&mut self, frame: &SentFrame) {
        match frame {
            // The next ACK says it again.
            SentFrame::Ack { .. } => {}
            SentFrame::Stream { id, range, fin } => {
                let fin = *fin && !self.config.planted.has(Fault::ForgottenEnd);
                self.streams.on_lost(&SentFrame::Stream { id: *id, range: range.clone(), fin });
            }
            SentFrame::Reset(_) if self.config.planted.has(Fault::ForgottenReset) => {}
            SentFrame::MaxStreamData(..) if self.config.planted.has(Fault::ForgottenCredit) => {}
            SentFrame::Open(_)
            | SentFrame::Skip { .. }
            | SentFrame::Reset(_)
            | SentFrame::Stop(_)
            | SentFrame::MaxStreamData(..)
            | SentFrame::StreamDataBlocked(..)
            | SentFrame::StreamsBlocked(..)
            | SentFrame::CreditReturned(CreditTarget::Stream(_) | CreditTarget::Streams(_), _) => {
                self.streams.on_lost(frame);
            }
            SentFrame::MaxData(_) | SentFrame::MaxStreams(..) | SentFrame::CreditRecall(..) => {
                self.credit.on_lost(frame);
            }
            SentFrame::DataBlocked(_) | SentFrame::CreditReturned(CreditTarget::Connection, _) => {
                self.allowed.on_lost(frame);
            }
            SentFrame::ObservedAddress(sequence) => self.paths.on_observed_lost(*sequence),
            SentFrame::Datagram(_) => self.datagrams.on_lost(frame),
            SentFrame::NewCid(sequence) => self.cids.on_lost(*sequence),
            SentFrame::RetireCid(sequence) => {
                if let Some(session) = self.lifecycle.session_mut() {
                    session.cids.on_lost(*sequence);
                }
            }
            SentFrame::Params => {}
        }
    }
}
