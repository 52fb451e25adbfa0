//! Where a connection stands. Each state holds only its own data.
//!
//! ```text
//!              R2, X2                                     3 PTO
//!  Connecting ────────► Open ──── close, violation ──► Closing ────┐
//!      │   ▲              │  └──── CLOSE, reset ─────► Draining ───┤ 3 PTO
//!      │   └─ the peer    └─────── time-out ──────────────────────►▼
//!      │      began as well (see `connecting.rs`)               Drained
//!      └──────── refused, time-out ─────────────────────────────►
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::crypto::identity::NodeId;
use crate::crypto::keys::PacketKeys;
use crate::path::Source;
use crate::time::Instant;
use crate::wire::capabilities::Capabilities;
use crate::wire::frame::CloseCode;
use crate::wire::id::ConnectionId;

use super::cids::RemoteCids;
use super::connecting::Connecting;

/// Where a connection stands.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) enum Lifecycle {
    /// We began, and have no keys yet.
    Connecting(Box<Connecting>),
    /// Packets flow.
    Open(Box<Session>),
    /// We sent CLOSE; it is repeated to whoever still sends.
    Closing(Box<Session>, Closing),
    /// The peer sent CLOSE, or forgot us: silence until late packets have died out.
    Draining {
        /// When the slot is free.
        until: Instant,
    },
    /// Over.
    Drained,
}

impl Lifecycle {
    /// The keys and what belongs to them, while packets flow.
    pub(crate) fn session(&self) -> Option<&Session> {
        match self {
            Self::Open(session) | Self::Closing(session, _) => Some(session),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        match self {
            Self::Open(session) | Self::Closing(session, _) => Some(session),
            _ => None,
        }
    }
}

/// What two nodes that have agreed on keys know of each other.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct Session {
    /// Opens and seals.
    pub(crate) keys: PacketKeys,
    /// Who the peer is, proven.
    pub(crate) peer: NodeId,
    /// By which ids to address it.
    pub(crate) cids: RemoteCids,
    /// What the peer called itself in the handshake.
    pub(crate) first_cid: ConnectionId,
    /// Whether the peer is known to have the keys.
    pub(crate) confirmation: Confirmation,
    /// Channel binding: the handshake's hash, equal on both sides.
    pub(crate) handshake_hash: [u8; 32],
    /// What both ends can do.
    pub(crate) capabilities: Capabilities,
    /// Names the handshake in key logs.
    #[cfg_attr(
        not(any(test, feature = "fingerprint", feature = "keylog")),
        expect(dead_code, reason = "for key logs only")
    )]
    pub(crate) initiator_ephemeral: [u8; 32],
}

/// Whether the peer has shown that it has the keys.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) enum Confirmation {
    /// It has.
    Confirmed,
    /// We answered and wait for its first packet. Until then only the answer is sent, and only
    /// again when asked again (spec R-EP-18).
    Awaiting {
        /// The answer's bytes, for a duplicate of the question.
        answer: Vec<u8>,
        /// When it was sent, unless it was sent again: then nobody knows which one is answered.
        sent: Option<Instant>,
        /// When the attempt is given up.
        until: Instant,
    },
    /// We finished (`X3`) and wait for the responder's first packet. What we finished with is sent
    /// again until then.
    Repeating {
        /// The bytes of `X3`.
        last: Vec<u8>,
        /// SHA-256 of the answer (`X2`) that they finish: the same again says that they were lost.
        answer: [u8; 32],
        /// How often and when they were sent.
        resend: Resend,
    },
}

/// A handshake packet that is sent until it is answered: after 250 ms, then 500 ms, then every
/// second (spec R-EP-21).
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct Resend {
    sent: u32,
    /// When it was sent last.
    last: Option<Instant>,
    next: Instant,
    /// `next` came, and the socket has not taken it yet: nothing to be woken for.
    waiting: bool,
    give_up: Instant,
}

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(1);

impl Resend {
    /// Due at once, given up after `patience`.
    pub(crate) fn new(patience: Duration, now: Instant) -> Self {
        Self { sent: 0, last: None, next: now, waiting: true, give_up: now + patience }
    }

    /// Whether to send now.
    pub(crate) fn due(&self, now: Instant) -> bool {
        self.waiting || self.next <= now
    }

    /// Notes that the time to send has come, if it has.
    pub(crate) fn on_deadline(&mut self, now: Instant) {
        self.waiting |= self.next <= now;
    }

    /// Whether to stop.
    pub(crate) fn given_up(&self, now: Instant) -> bool {
        self.give_up <= now
    }

    /// It was sent. `jitter`, drawn at random, spreads many senders apart by up to an eighth.
    pub(crate) fn on_sent(&mut self, jitter: u64, now: Instant) {
        let wait = (FIRST * (1 << self.sent.min(2))).min(LONGEST);
        let eighth = u64::try_from(wait.as_nanos() / 8).unwrap_or(1).max(1);
        self.sent += 1;
        self.last = Some(now);
        self.waiting = false;
        self.next = now + wait + Duration::from_nanos(jitter % eighth);
    }

    /// It is another packet from now on: send it at once, and count anew.
    pub(crate) fn start_over(&mut self) {
        self.sent = 0;
        self.last = None;
        self.waiting = true;
    }

    /// Something says that the way is open: send at once, unless it was sent a moment ago. What
    /// says so may be anybody's copy (spec R-EP-21).
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.waiting |= self.last.is_none_or(|last| now.saturating_since(last) >= FIRST);
    }

    /// When it was sent, if it was sent only once and no second time is due: then an answer can
    /// only be an answer to that.
    pub(crate) fn sent_once(&self) -> Option<Instant> {
        self.last.filter(|_| self.sent == 1 && !self.waiting)
    }

    /// The next thing to do.
    pub(crate) fn deadline(&self) -> Instant {
        if self.waiting { self.give_up } else { self.next.min(self.give_up) }
    }

    /// When to stop.
    pub(crate) fn give_up(&self) -> Instant {
        self.give_up
    }
}

/// A CLOSE that was sent and is repeated.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct Closing {
    /// Its code.
    pub(crate) code: CloseCode,
    /// Its reason, at most 64 bytes.
    pub(crate) reason: Vec<u8>,
    /// When it is enough.
    pub(crate) until: Instant,
    /// Packets that came meanwhile.
    heard: u32,
    /// Which of them is to be answered: from where it came, and its length.
    pub(crate) asked: Option<(Source, usize)>,
    /// When to say it unasked.
    next: Option<Instant>,
    /// Whether CLOSE is to be sent (again).
    pub(crate) due: bool,
    /// Time between repetitions, a third of the whole.
    pto: Duration,
}

/// Probe time-outs for which an ended connection still hears late packets (RFC 9000 section 10.2).
const LATE_PTOS: u32 = 3;

/// But no longer than this: the round trip is what the peer makes of it.
const LATEST: Duration = Duration::from_secs(10);

/// How long an ended connection still hears late packets (spec R-CLOSE-6).
pub(crate) fn lateness(pto: Duration) -> Duration {
    pto.saturating_mul(LATE_PTOS).min(LATEST)
}

impl Closing {
    /// CLOSE is due now, again after one and two `pto`, and the state ends after three.
    pub(crate) fn new(code: CloseCode, reason: &[u8], pto: Duration, now: Instant) -> Self {
        let until = now + lateness(pto);
        let next = Some(now + pto);
        let (heard, asked) = (0, None);
        Self { code, reason: reason.to_vec(), until, heard, asked, next, due: true, pto }
    }

    /// Still packets: CLOSE again after the 1st, 2nd, 4th, 8th (spec R-CLOSE-6), to where this one
    /// came from.
    pub(crate) fn on_packet(&mut self, source: Source, len: usize) {
        self.heard = self.heard.saturating_add(1);
        if self.heard.is_power_of_two() {
            self.due = true;
            self.asked = Some((source, len));
        }
    }

    /// The last CLOSE may be lost, and the peer have no reason to speak: it is said again.
    pub(crate) fn on_deadline(&mut self, now: Instant) {
        if self.next.is_some_and(|at| at <= now) {
            sometimes!("connection: a close is said again");
            self.due = true;
            self.asked = None;
            self.next = Some(now + self.pto).filter(|next| *next < self.until);
        }
    }

    /// The next thing to do.
    pub(crate) fn deadline(&self) -> Instant {
        self.next.map_or(self.until, |next| next.min(self.until))
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
