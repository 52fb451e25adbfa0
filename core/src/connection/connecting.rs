//! The initiator's side of a handshake, and both sides at once when both nodes began.
//!
//! When two nodes connect to each other at the same time, the attempt of the smaller node id is
//! kept (spec R-EP-19). The greater one answers it while its own attempt rests; the first packet
//! that opens under the answered keys makes it that connection. It rests and is not dropped,
//! because the question could be a replay: then nobody confirms, and the own attempt goes on.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddr;
use core::time::Duration;

use crate::crypto::handshake::{Established, Initiator};
use crate::crypto::keys::PacketKeys;
use crate::time::Instant;

use crate::wire::params::Params;

use super::lifecycle::Resend;

/// Time that the own attempt rests for the peer's.
const REST: Duration = Duration::from_secs(1);

/// We began, and have no keys yet.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct Connecting {
    /// `None` only while a step is under way.
    initiator: Option<Initiator>,
    /// When to send the question again.
    pub(crate) resend: Resend,
    /// The peer's own attempt, answered.
    pub(crate) answered: Option<Box<Answered>>,
    rests_until: Option<Instant>,
    /// What we tell the peer of ourselves.
    pub(crate) params: Params,
}

/// The peer's attempt that we answered while ours rests.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct Answered {
    /// What it would become.
    pub(crate) established: Established,
    /// Its keys.
    pub(crate) keys: PacketKeys,
    /// The answer's bytes.
    pub(crate) answer: Vec<u8>,
    /// Where it went.
    pub(crate) to: SocketAddr,
}

impl Connecting {
    /// Will send the first packet at once.
    pub(crate) fn new(
        initiator: Initiator,
        params: Params,
        patience: Duration,
        now: Instant,
    ) -> Self {
        let resend = Resend::new(patience, now);
        Self { initiator: Some(initiator), resend, answered: None, rests_until: None, params }
    }

    /// The machine, to be asked.
    pub(crate) fn initiator(&self) -> Option<&Initiator> {
        self.initiator.as_ref()
    }

    /// Takes the machine for a step; [`Connecting::put_back`] returns it if the step was none.
    pub(crate) fn take(&mut self) -> Option<Initiator> {
        mem::take(&mut self.initiator)
    }

    /// The step changed nothing, or asks to send again.
    pub(crate) fn put_back(&mut self, initiator: Initiator) {
        self.initiator = Some(initiator);
    }

    /// The peer's attempt is answered; ours rests, once, however many questions come.
    pub(crate) fn on_answered(&mut self, answered: Answered, now: Instant) {
        self.answered = Some(Box::new(answered));
        self.rests_until.get_or_insert(now + REST);
    }

    /// Whether the own attempt rests for the peer's. It is not finished either then: an answer to
    /// it was sent before the peer began, and would leave the peer with a connection too many.
    pub(crate) fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| until > now)
    }

    /// Whether the question is to be sent now.
    pub(crate) fn due(&self, now: Instant) -> bool {
        self.resend.due(now) && !self.rests(now)
    }

    /// Notes what has come.
    pub(crate) fn on_deadline(&mut self, now: Instant) {
        self.resend.on_deadline(now);
        self.rests_until.take_if(|until| *until <= now);
    }

    /// The next thing to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        Some(match self.rests_until {
            Some(until) => until.min(self.resend.give_up()),
            None => self.resend.deadline(),
        })
    }
}
