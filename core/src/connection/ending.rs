//! How a connection ends: once, with one cause.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use crate::error::{CloseReason, TransportCode, Violation};
use crate::planted::Fault;
use crate::time::Instant;
use crate::wire::frame::{CloseCode, CloseFrame, MAX_REASON};
use crate::wire::id::AppCode;

use super::Connection;
use super::event::EventKind;
use super::lifecycle::{Closing, Lifecycle, lateness};

/// A close that waits until what was written is delivered.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Farewell {
    /// The application's code.
    pub(super) code: AppCode,
    /// Its reason.
    pub(super) reason: Vec<u8>,
    /// When it waits no longer: so long after something was delivered.
    pub(super) until: Instant,
}

impl Connection {
    /// Ends without a word to the peer: there is nobody to say it to, or no keys to say it with.
    pub(super) fn end_now(&mut self, reason: CloseReason) {
        self.on_end(reason);
        self.keep_counts();
        self.lifecycle = Lifecycle::Drained;
        self.events.push(EventKind::Drained);
    }

    /// Ends, and says why.
    pub(super) fn end(&mut self, code: CloseCode, said: &[u8], reason: CloseReason, now: Instant) {
        let pto = self.paths.active().pto();
        match mem::replace(&mut self.lifecycle, Lifecycle::Drained) {
            Lifecycle::Open(session) => {
                self.lifecycle =
                    Lifecycle::Closing(session, Closing::new(code, cut(said), pto, now));
                self.on_end(reason);
            }
            Lifecycle::Connecting(_) => self.end_now(reason),
            other => self.lifecycle = other,
        }
    }

    /// The peer broke a rule.
    pub(super) fn end_by_violation(&mut self, violation: Violation, now: Instant) {
        let code = CloseCode::Transport(violation.code as u64);
        let reason = CloseReason::Violation(violation);
        self.end(code, violation.what.as_bytes(), reason, now);
    }

    /// A key protects no more.
    pub(super) fn end_by_limit(&mut self, now: Instant) {
        let code = CloseCode::Transport(TransportCode::AeadLimit as u64);
        self.end(code, b"a key reached its limit", CloseReason::AeadLimit, now);
    }

    /// The application did not want the peer.
    pub(super) fn turn_away(&mut self, now: Instant) {
        let code = CloseCode::Transport(TransportCode::Refused as u64);
        self.end(code, b"", CloseReason::Local(AppCode(0)), now);
    }

    /// CLOSE came.
    pub(super) fn end_by_peer(&mut self, close: &CloseFrame<'_>, now: Instant) {
        let reason = String::from_utf8_lossy(close.reason).into_owned();
        let refused = CloseCode::Transport(TransportCode::Refused as u64);
        self.drain(
            match close.code {
                code if code == refused => CloseReason::Refused(crate::error::Refusal::NotAllowed),
                CloseCode::App(code) => CloseReason::Peer { code, reason },
                CloseCode::Transport(code) => CloseReason::PeerTransport { code, reason },
            },
            now,
        );
    }

    /// Ends in silence, but keeps the slot until late packets have died out.
    pub(super) fn drain(&mut self, reason: CloseReason, now: Instant) {
        let until = now + lateness(self.paths.active().pto());
        if matches!(self.lifecycle, Lifecycle::Open(_)) {
            self.keep_counts();
            self.lifecycle = Lifecycle::Draining { until };
            self.on_end(reason);
        }
    }

    /// The time for late packets is over.
    pub(super) fn finish(&mut self) {
        self.keep_counts();
        self.lifecycle = Lifecycle::Drained;
        self.events.push(EventKind::Drained);
    }

    /// The keys go; what they counted stays.
    fn keep_counts(&mut self) {
        if let Some(session) = self.lifecycle.session() {
            self.key_counts = session.keys.counters();
        }
    }

    fn on_end(&mut self, reason: CloseReason) {
        if self.reason.is_none() {
            if !matches!(reason, CloseReason::Local(_) | CloseReason::Peer { .. }) {
                self.streams.on_connection_lost();
            }
            self.events.push(EventKind::Closed(reason.clone()));
            self.reason = Some(reason);
        }
        self.farewell = None;
    }

    /// CLOSE may follow what was delivered (spec R-CLOSE-5).
    pub(super) fn close_if_delivered(&mut self, now: Instant) {
        let delivered = self.farewell.is_some()
            && (self.streams.is_flushed() || self.config.planted.has(Fault::HastyClose))
            && self.outbox.is_empty()
            && !self.datagrams.is_pending();
        if delivered {
            self.say_farewell(now);
        }
    }

    /// The peer has taken nothing for too long of what is to be delivered first (spec R-CLOSE-12).
    /// Returns whether that was the end.
    pub(super) fn close_if_in_vain(&mut self, now: Instant) -> bool {
        let in_vain = self.farewell.as_ref().is_some_and(|farewell| farewell.until <= now);
        if in_vain {
            self.say_farewell(now);
        }
        in_vain
    }

    /// Something was delivered: what is left may be, too.
    pub(super) fn put_off_farewell(&mut self, now: Instant) {
        if let Some(farewell) = &mut self.farewell {
            farewell.until = now + self.config.linger;
        }
    }

    fn say_farewell(&mut self, now: Instant) {
        if let Some(Farewell { code, reason, .. }) = self.farewell.take() {
            self.end(CloseCode::App(code), &reason, CloseReason::Local(code), now);
        }
    }
}

/// At most 64 bytes, and no half character at the end (spec R-CLOSE-10).
fn cut(reason: &[u8]) -> &[u8] {
    let Some(short) = reason.get(..MAX_REASON) else { return reason };
    match core::str::from_utf8(short) {
        Ok(_) => short,
        Err(error) if error.error_len().is_none() => {
            short.get(..error.valid_up_to()).unwrap_or_default()
        }
        Err(_) => short,
    }
}
