//! When the connection next cares, and what it does then. Every deadline is computed from what the
//! parts remember; nothing is armed, so nothing can be forgotten.

use core::time::Duration;

use crate::error::CloseReason;
use crate::flow::Budget;
use crate::planted::Fault;
use crate::recovery::Fired;
use crate::stream::RecvAccount;
use crate::time::{Instant, earliest};

use super::Connection;
use super::lifecycle::{Confirmation, Lifecycle};

impl Connection {
    /// The next instant at which [`Connection::on_deadline`] has something to do. To be asked when
    /// nothing is left to send.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        earliest(self.wishes().map(|(_, at)| at))
    }

    /// Who wishes to be woken when: names for people who look for a loop or a stall.
    pub(crate) fn wishes(&self) -> [(&'static str, Option<Instant>); 10] {
        let path = self.paths.active();
        let own = match &self.lifecycle {
            Lifecycle::Connecting(connecting) => connecting.deadline(),
            Lifecycle::Open(session) => match &session.confirmation {
                Confirmation::Confirmed => None,
                Confirmation::Awaiting { until, .. } => Some(*until),
                Confirmation::Repeating { resend, .. } => Some(resend.deadline()),
            },
            Lifecycle::Closing(_, closing) => Some(closing.deadline()),
            Lifecycle::Draining { until } => Some(*until),
            Lifecycle::Drained => None,
        };
        let open = matches!(self.lifecycle, Lifecycle::Open(_));
        let when = |at: Option<Instant>| at.filter(|_| open);
        [
            ("lifecycle", own),
            ("acks", when(self.acks.deadline())),
            ("recovery", when(self.ledger.deadline(path.id(), path.rtt()))),
            ("paths", when(self.paths.deadline())),
            ("credit", when(self.credit.deadline(self.patience(path.pto())))),
            ("messages", when(self.messages.deadline(self.idle.patience(path.pto())))),
            ("ages", when(earliest([self.datagrams.deadline(), self.expiring.deadline()]))),
            ("streams", when(self.streams.deadline())),
            ("idle", when(self.idle_deadline(path.pto()))),
            ("close", when(self.farewell.as_ref().and_then(|farewell| farewell.until))),
        ]
    }

    /// How long a peer may take to answer a recall that it has acknowledged (spec R-FLOW-22).
    fn patience(&self, pto: Duration) -> Duration {
        self.idle.timeout().saturating_add(pto.saturating_mul(32))
    }

    /// A keep-alive that is due and not out yet is wished for once.
    fn idle_deadline(&self, pto: Duration) -> Option<Instant> {
        let expiry = Some(self.idle.expiry(pto));
        if self.ping {
            return expiry;
        }
        earliest([expiry, self.idle.keep_alive(self.streams.expects_data()), self.refuge_wish()])
    }

    /// Fires what is due, in the order of the parts below.
    pub(crate) fn on_deadline(&mut self, budget: &mut Budget, now: Instant) {
        match &mut self.lifecycle {
            Lifecycle::Connecting(connecting) if connecting.resend.given_up(now) => {
                let waited = self.config.handshake_timeout;
                self.end_now(CloseReason::HandshakeTimeout(waited));
            }
            Lifecycle::Connecting(connecting) => connecting.on_deadline(now),
            Lifecycle::Open(_) => self.on_open_deadline(budget, now),
            Lifecycle::Closing(_, closing) if closing.until <= now => {
                match self.config.planted.has(Fault::EndlessClose) {
                    true => closing.until = now + Duration::from_secs(3),
                    false => self.finish(),
                }
            }
            Lifecycle::Closing(_, closing) => {
                closing.on_deadline(now);
                closing.due &= !self.config.planted.has(Fault::SingleClose);
            }
            Lifecycle::Draining { until } if *until <= now => self.finish(),
            _ => {}
        }
    }

    fn on_open_deadline(&mut self, budget: &mut Budget, now: Instant) {
        let session = self.lifecycle.session_mut();
        let given_up = match session.map(|session| &mut session.confirmation) {
            Some(Confirmation::Awaiting { until, .. }) => *until <= now,
            Some(Confirmation::Repeating { resend, .. }) => {
                resend.on_deadline(now);
                resend.given_up(now)
            }
            _ => false,
        };
        if given_up {
            let waited = self.config.handshake_timeout;
            self.end_now(CloseReason::HandshakeTimeout(waited));
            return;
        }
        self.acks.on_deadline(now);
        if self.on_ledger_deadline(budget, now) {
            return;
        }
        for event in self.paths.on_deadline(now) {
            self.on_path_events(Some(event), budget, now);
        }
        let pto = self.paths.active().pto();
        if let Err(violation) = self.credit.on_deadline(self.patience(pto), now) {
            self.end_by_violation(violation, now);
            return;
        }
        if self.close_if_in_vain(now) {
            return;
        }
        self.give_up_messages(budget, now);
        self.drop_what_is_old(now);
        self.end_stuck_streams(budget, now);
        if self.idle.expiry(pto) <= now {
            self.end_now(CloseReason::IdleTimeout(self.idle.timeout()));
            return;
        }
        let keep_alive = self.idle.keep_alive(self.streams.expects_data());
        self.ping |= keep_alive.is_some_and(|at| at <= now);
        self.wish_for_refuge(now);
    }

    /// Datagrams and messages that nobody wants any more.
    pub(super) fn drop_what_is_old(&mut self, now: Instant) {
        let ages = [self.datagrams.deadline(), self.expiring.deadline()];
        if earliest(ages).is_none_or(|at| at > now) {
            return;
        }
        self.datagrams.on_deadline(now);
        self.note_dropped();
        self.give_up_old_messages(now);
    }

    /// Streams that have not moved for too long. Their application hears of it.
    fn end_stuck_streams(&mut self, budget: &mut Budget, now: Instant) {
        self.streams.on_deadline(&mut RecvAccount { credit: &mut self.credit, budget, now });
    }

    /// Losses and probes. Returns whether the connection ended.
    fn on_ledger_deadline(&mut self, budget: &mut Budget, now: Instant) -> bool {
        let path = self.paths.active();
        let (id, rtt) = (path.id(), *path.rtt());
        if self.ledger.deadline(id, &rtt).is_none_or(|at| at > now) {
            return false;
        }
        let fired = self.ledger.on_deadline(id, &rtt, &mut self.settled, now);
        match fired {
            Fired::Nothing | Fired::Hush => {}
            Fired::Probe { count } => self.probes = count,
            Fired::Ping => self.asks = true,
            Fired::PeerLost { probes, waited } => {
                self.end_now(CloseReason::PeerLost { probes, waited });
                return true;
            }
        }
        self.paths.active_mut().on_probe_timeout(self.ledger.unanswered_probes());
        self.settle(budget, now);
        if fired != Fired::Nothing {
            self.on_silence(budget, now);
        }
        false
    }
}
