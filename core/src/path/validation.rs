//! Asking an address whether the peer is there, and answering when asked.
//!
//! ```text
//!            start                write              response
//!   Idle ───────────▶ to be sent ──────▶ under way ───────────▶ proven
//!    ▲                     ▲                │  │
//!    │                     └── a PTO later ─┘  │
//!    └──────────────── 3 PTO after the start ──┘ expired
//! ```

use core::time::Duration;

use crate::time::{Instant, earliest};
use crate::wire::frame::Frame;
use crate::wire::packet::PacketWriter;

/// Probe timeouts until a challenge is given up (RFC 9000 section 8.2.4).
const LIFETIME_PTOS: u32 = 3;

/// The challenge to, and the answer owed to, one path. One of each at most.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Validation {
    challenge: Option<Challenge>,
    answer: Option<[u8; 8]>,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Challenge {
    token: [u8; 8],
    /// When it is sent again; `None` if it waits to be sent.
    resend_at: Option<Instant>,
    interval: Duration,
    began: Instant,
}

impl Challenge {
    fn expires_at(&self) -> Instant {
        self.began + self.interval.saturating_mul(LIFETIME_PTOS)
    }
}

impl Validation {
    /// Neither asking nor asked.
    pub const fn new() -> Self {
        Self { challenge: None, answer: None }
    }

    /// Asks, with eight unpredictable bytes, again each `pto` until 3 of them have passed. Does
    /// nothing if a challenge is pending.
    pub fn start(&mut self, token: [u8; 8], pto: Duration, now: Instant) {
        self.challenge.get_or_insert(Challenge {
            token,
            resend_at: None,
            interval: pto,
            began: now,
        });
    }

    /// The same, but a challenge that began before `heard` has all its time before it again.
    pub fn renew(&mut self, token: [u8; 8], heard: Instant, pto: Duration, now: Instant) {
        let pending = self.challenge.take_if(|challenge| challenge.began < heard);
        self.start(pending.map_or(token, |challenge| challenge.token), pto, now);
    }

    /// Whether a challenge waits for its answer.
    pub const fn is_pending(&self) -> bool {
        self.challenge.is_some()
    }

    /// Whether it is this challenge that waits for its answer.
    pub fn asks(&self, token: [u8; 8]) -> bool {
        self.challenge.is_some_and(|challenge| challenge.token == token)
    }

    /// Gives up asking.
    pub fn cancel(&mut self) {
        self.challenge = None;
    }

    /// Whether there is something to write now.
    pub fn has_news(&self) -> bool {
        self.answer.is_some() || self.challenge.is_some_and(|it| it.resend_at.is_none())
    }

    /// Whether an answer is owed.
    pub const fn is_asked(&self) -> bool {
        self.answer.is_some()
    }

    /// The peer asks. Only the newest of its challenges is answered.
    pub fn on_challenge(&mut self, token: [u8; 8]) {
        self.answer = Some(token);
    }

    /// The peer answers, on whatever path. Returns whether it answers the challenge to this path.
    pub fn on_response(&mut self, token: [u8; 8]) -> bool {
        self.challenge.take_if(|challenge| challenge.token == token).is_some()
    }

    /// Writes what is due. Returns whether anything was written.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>, now: Instant) -> bool {
        let mut wrote = false;
        if let Some(token) = self.answer
            && packet.write(&Frame::PathResponse { token })
        {
            self.answer = None;
            wrote = true;
        }
        if let Some(challenge) = &mut self.challenge {
            let token = challenge.token;
            if challenge.resend_at.is_none() && packet.write(&Frame::PathChallenge { token }) {
                challenge.resend_at = Some(now + challenge.interval);
                wrote = true;
            }
        }
        wrote
    }

    /// When [`Validation::on_deadline`] wants to be called.
    pub fn deadline(&self) -> Option<Instant> {
        let challenge = self.challenge?;
        earliest([challenge.resend_at, Some(challenge.expires_at())])
    }

    /// Time has passed. If a challenge is given up now, returns since when it was overdue: a
    /// timeout after it began.
    pub fn on_deadline(&mut self, now: Instant) -> Option<Instant> {
        let challenge = self.challenge.as_mut()?;
        if challenge.expires_at() <= now {
            sometimes!("path: a challenge is given up");
            return self.challenge.take().map(|challenge| challenge.began + challenge.interval);
        }
        challenge.resend_at.take_if(|at| *at <= now);
        None
    }
}
