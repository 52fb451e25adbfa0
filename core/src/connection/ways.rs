//! Other ways to the peer: carriers that come, go and stand still, and when data leaves one path
//! for another.

use crate::congestion::Algorithm;
use crate::error::CloseReason;
use crate::flow::Budget;
use crate::path::{CarrierKind, CarrierLoss, Path, PathEvent, SILENT_PROBES, Source};
use crate::time::Instant;
use crate::wire::id::{CarrierId, PathId};

use super::Connection;
use super::event::EventKind;
use super::lifecycle::{Confirmation, Lifecycle};

impl Connection {
    /// Another way to the peer. Returns whether it is of use now (spec R-TCP-9).
    pub(crate) fn add_path(&mut self, source: &Source, budget: &mut Budget, now: Instant) -> bool {
        if !matches!(self.lifecycle, Lifecycle::Open(_)) {
            return false;
        }
        let Some((path, events)) = self.paths.offer(source, now) else { return false };
        self.ledger.set_carriage(path, super::carriage(source));
        self.on_path_events(events, budget, now);
        // Better to be linked to the way before than to be lost (spec R-EP-5).
        self.address_path(path, self.is_silent());
        true
    }

    /// Another congestion controller, on all paths.
    pub(crate) fn set_controller(&mut self, controller: Algorithm, now: Instant) {
        self.paths.set_controller(controller, now);
    }

    /// The congestion controller of what is sent.
    pub fn controller(&self) -> Algorithm {
        self.paths.active().congestion().algorithm()
    }

    /// What data takes now: UDP or TCP.
    pub fn carriage(&self) -> CarrierKind {
        self.paths.active().source().kind
    }

    /// The carriers that it has paths over.
    pub(crate) fn carriers(&self) -> impl Iterator<Item = CarrierId> {
        let over = self.is_drained();
        self.paths.carriers().filter(move |_| !over)
    }

    /// The peer answers a challenge, which may be what data waits for.
    pub(super) fn on_path_response(&mut self, token: [u8; 8], budget: &mut Budget, now: Instant) {
        let by_tcp = self.paths.is_answer_by_tcp(token);
        let event = self.paths.on_response(token, now);
        self.on_path_events(event, budget, now);
        if by_tcp {
            self.leave_if_silent(budget, now);
        }
    }

    /// A probe timeout fired. Where there is no other way to take, whoever can make one hears of it
    /// (spec R-TCP-10).
    pub(super) fn on_silence(&mut self, budget: &mut Budget, now: Instant) {
        let silent = self.ledger.unanswered_probes();
        if silent == 1 {
            self.paths.on_silence(now);
        }
        if silent.is_power_of_two() {
            self.call_for_refuge(now);
        }
        self.leave_if_silent(budget, now);
    }

    /// Whether the way in use seems to carry nothing.
    fn is_silent(&self) -> bool {
        self.ledger.unanswered_probes() >= 2
    }

    fn call_for_refuge(&mut self, now: Instant) {
        if self.is_silent() && !self.paths.has_refuge() && self.paths.may_wish(now) {
            self.events.push(EventKind::PathSilent);
        }
    }

    /// When bytes of a stream have stopped coming for so long that a way by TCP is wished for:
    /// should UDP die in this pause, the peer alone would notice (spec R-TCP-22).
    pub(super) fn refuge_wish(&self) -> Option<Instant> {
        let pause = self.streams.expects_data().then(|| self.idle.pause())?;
        self.paths.refuge_wish(pause)
    }

    pub(super) fn wish_for_refuge(&mut self, now: Instant) {
        if self.refuge_wish().is_some_and(|at| at <= now) {
            self.paths.on_refuge_wished(now);
            self.events.push(EventKind::PathPaused);
        }
    }

    /// Nothing came back for some probe timeouts: data takes another way if there is one.
    fn leave_if_silent(&mut self, budget: &mut Budget, now: Instant) {
        if self.ledger.unanswered_probes() >= SILENT_PROBES
            && let Some(since) = self.ledger.silent_since()
            && let Some(event) = self.paths.leave(since, now)
        {
            self.on_path_events([event], budget, now);
        }
    }

    /// Data goes another way now.
    fn on_moved(&mut self, from: PathId, to: PathId, budget: &mut Budget, now: Instant) {
        let kind = |path| self.paths.get(path).map(|path| path.source().kind);
        let (before, after) = (kind(from), kind(to));
        self.ledger.on_moved(to, now);
        if let Some(path) = self.paths.get(to) {
            let remote = path.source().remote;
            self.events.push(EventKind::PathChanged { remote });
        }
        let to_tcp = after == Some(CarrierKind::Reliable);
        // The peer learns it from a packet that is more than a probe.
        self.ping |= before != after || to_tcp || self.ledger.in_flight(from) > 0;
        if to_tcp {
            // One of the two sides has found that the way before carries nothing: what is under way
            // there is said again, and only that.
            self.ledger.abandon(from, &mut self.settled);
            self.settle(budget, now);
        }
        if self.paths.get(from).is_some_and(Path::is_broken) {
            self.paths.close(from);
            self.on_path_events([PathEvent::Dropped(from)], budget, now);
        }
    }

    /// A carrier is gone (spec R-PATH-15).
    pub(crate) fn on_carrier_closed(
        &mut self,
        carrier: CarrierId,
        budget: &mut Budget,
        now: Instant,
    ) {
        match self.paths.on_carrier_closed(carrier, now) {
            CarrierLoss::Survived(events) => self.on_path_events(events, budget, now),
            CarrierLoss::Fatal if self.outlives_its_way() => self.on_broken(budget, now),
            CarrierLoss::Fatal if self.reason.is_none() => self.end_now(CloseReason::CarrierLost),
            CarrierLoss::Fatal => {}
        }
    }

    /// Whether another way may be made for it: TCP connections break, and a socket for datagrams is
    /// lost for good.
    fn outlives_its_way(&self) -> bool {
        let session = self.lifecycle.session().filter(|_| self.reason.is_none());
        session.is_some_and(|session| matches!(session.confirmation, Confirmation::Confirmed))
            && self.carriage() == CarrierKind::Reliable
    }

    /// The only way has broken: it counts as silent until there is another (spec R-TCP-26).
    fn on_broken(&mut self, budget: &mut Budget, now: Instant) {
        let path = self.paths.active().id();
        self.paths.on_broken(now);
        self.ledger.on_broken(path, SILENT_PROBES, &mut self.settled, now);
        self.settle(budget, now);
        self.call_for_refuge(now);
    }

    /// A carrier takes no bytes for now: silence on it proves nothing.
    pub(crate) fn on_carrier_blocked(&mut self, carrier: CarrierId) {
        for path in self.paths.iter().filter(|path| path.source().carrier == carrier) {
            self.ledger.on_suspended(path.id());
        }
    }

    /// It takes bytes again.
    pub(crate) fn on_carrier_writable(&mut self, carrier: CarrierId, now: Instant) {
        for path in self.paths.iter().filter(|path| path.source().carrier == carrier) {
            self.ledger.on_resumed(path.id(), now);
        }
    }

    /// What the paths say of themselves.
    pub(super) fn on_path_events(
        &mut self,
        events: impl IntoIterator<Item = PathEvent>,
        budget: &mut Budget,
        now: Instant,
    ) {
        for event in events {
            match event {
                PathEvent::Moved { from, to } => self.on_moved(from, to, budget, now),
                PathEvent::Dropped(path) => {
                    self.ledger.declare_lost_all(path, &mut self.settled);
                    self.settle(budget, now);
                    if let Some(session) = self.lifecycle.session_mut() {
                        session.cids.on_path_gone(path);
                    }
                    self.call_for_refuge(now);
                }
            }
        }
    }
}
