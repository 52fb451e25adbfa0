//! Idle time-out and keep-alive, computed from two facts: when the peer was last heard, and when we
//! last sent something that wants an answer.

use core::time::Duration;

use crate::time::{Instant, earliest};

/// When the silence becomes too long, and when to break it.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct Idle {
    /// The smaller of both sides' time-outs.
    timeout: Duration,
    /// Own choice of the application.
    keep_alive: Option<Duration>,
    heard: Instant,
    /// When the first ack-eliciting packet since `heard` went out (RFC 9000 section 10.1).
    asked: Option<Instant>,
    /// When anything ack-eliciting went out last.
    spoke: Instant,
    /// When a stream's bytes came last.
    fed: Instant,
}

/// Silence after a stream's bytes until they are missed: asked for then, and after three and seven
/// times as long.
const MISSED: Duration = Duration::from_secs(1);

impl Idle {
    /// Begins at `now`, as if the peer had just been heard.
    pub(crate) fn new(own: Duration, keep_alive: Option<Duration>, now: Instant) -> Self {
        Self { timeout: own, keep_alive, heard: now, asked: None, spoke: now, fed: now }
    }

    /// Takes the smaller of the own time-out and the peer's (spec R-CLOSE-3).
    pub(crate) fn on_peer_timeout(&mut self, peer: Duration) {
        self.timeout = self.timeout.min(peer);
    }

    /// An authenticated packet came.
    pub(crate) fn on_heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// The packet that was just heard brought bytes of a stream.
    pub(crate) fn on_fed(&mut self, now: Instant) {
        self.fed = now;
    }

    /// A packet that elicits an ACK went out.
    pub(crate) fn on_asked(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
        self.spoke = now;
    }

    /// The time-out in force.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long somebody may be silent: never less than three probe time-outs, so that a slow path
    /// gets its chance (RFC 9000 section 10.1).
    pub(crate) fn patience(&self, pto: Duration) -> Duration {
        self.timeout.max(pto * 3)
    }

    /// When the connection is given up.
    pub(crate) fn expiry(&self, pto: Duration) -> Instant {
        self.asked.unwrap_or(self.heard).max(self.heard) + self.patience(pto)
    }

    /// When to send a PING. A side with an open inbound stream keeps alive every third of the
    /// time-out (spec R-CLOSE-4); otherwise only if the application asked.
    pub(crate) fn keep_alive(&self, receiving: bool) -> Option<Instant> {
        let third = receiving.then_some(self.timeout / 3);
        let every = match (third, self.keep_alive) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let regular = every.map(|every| self.heard.max(self.spoke) + every);
        earliest([regular, self.missed().filter(|_| receiving)])
    }

    /// When a stream's bytes will have stopped coming, if none come any more.
    pub(crate) fn pause(&self) -> Instant {
        self.fed + MISSED
    }

    /// When to ask after bytes that stopped coming: perhaps our address changed without our
    /// knowledge, and the peer sends to where we were. One answer shows that it did not.
    fn missed(&self) -> Option<Instant> {
        if self.heard > self.fed {
            return None;
        }
        [1, 3, 7].into_iter().map(|times| self.fed + MISSED * times).find(|at| *at > self.spoke)
    }
}
