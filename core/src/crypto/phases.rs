//! One key per phase and direction.
//!
//! A *phase* is the time that one pair of keys is in use; both directions move through the same
//! phases, one bit in the header says whether a packet's phase is odd. Sending knows one key, the
//! current one. Receiving knows three, and picks one before it looks at a single byte of
//! ciphertext:
//!
//! ```text
//!   phase bit as current ──────────────────────────► current
//!   phase bit differs ──┬── number below the first ─► previous, until 3 PTO after the switch
//!                       │   of this phase             (then: discarded untried)
//!                       └── otherwise ──────────────► next, derived ahead of time
//!
//!   opened under next:   previous ◄─ current ◄─ next ◄─ derived anew
//! ```

use core::time::Duration;

use zeroize::{Zeroize, Zeroizing};

use super::hkdf::derive;
use super::provider::{AeadKey, Cipher, HeaderKey, Provider};
use crate::time::Instant;

/// How keys are made from secrets: the same for every phase of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    pub(super) provider: Provider,
    pub(super) cipher: Cipher,
}

impl Recipe {
    /// The key for header protection, made from the secret of phase 0 and never changed.
    fn header_key(self, first: &[u8; 32]) -> HeaderProtection {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(derive(self.provider, first, b"hp"));
        HeaderProtection {
            key: self.provider.header_key(self.cipher, &bytes),
            #[cfg(feature = "keylog")]
            bytes,
        }
    }
}

/// Makes masks. Remembers its bytes only where a key log may ask for them.
#[derive(Clone)]
pub(super) struct HeaderProtection {
    key: HeaderKey,
    #[cfg(feature = "keylog")]
    bytes: Zeroizing<[u8; 32]>,
}

impl HeaderProtection {
    pub(super) fn mask(&self, sample: &[u8; 16]) -> [u8; 5] {
        self.key.mask(sample)
    }

    #[cfg(feature = "keylog")]
    fn logged(&self) -> &[u8; 32] {
        &self.bytes
    }
}

/// The key of one phase, and what the next one comes from.
#[derive(Clone)]
pub(super) struct PhaseKey {
    key: PacketKey,
    secret: [u8; 32],
}

impl PhaseKey {
    pub(super) fn new(recipe: Recipe, secret: [u8; 32]) -> Self {
        let mut key = derive(recipe.provider, &secret, b"key");
        let iv = derive(recipe.provider, &secret, b"iv");
        let aead = recipe.provider.aead(recipe.cipher, &key);
        key.zeroize();
        Self { key: PacketKey { aead, iv }, secret }
    }

    fn next(&self, recipe: Recipe) -> Self {
        Self::new(recipe, derive(recipe.provider, &self.secret, b"ku"))
    }
}

impl Drop for PhaseKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// A key for packets, without the secret behind it.
#[derive(Clone)]
pub(super) struct PacketKey {
    pub(super) aead: AeadKey,
    iv: [u8; 12],
}

impl PacketKey {
    /// The nonce of a packet: the number, left-padded, over the phase's iv (spec R-KEY-5).
    pub(super) fn nonce(&self, number: u64) -> [u8; 12] {
        let mut nonce = self.iv;
        let [_, _, _, _, low @ ..] = &mut nonce;
        *low = (u64::from_be_bytes(*low) ^ number).to_be_bytes();
        nonce
    }
}

/// What a key log is made from, of one direction.
#[cfg(feature = "keylog")]
pub(super) struct LoggedPhase<'k> {
    pub(super) phase: u64,
    pub(super) secret: &'k [u8; 32],
    pub(super) header_key: &'k [u8; 32],
}

/// The sending direction.
#[derive(Clone)]
pub(super) struct SendPhases {
    pub(super) header_key: HeaderProtection,
    current: PhaseKey,
    /// Updates so far.
    pub(super) phase: u64,
    /// The number of the next packet.
    pub(super) next: u64,
    /// The first number of this phase.
    pub(super) first: u64,
    /// Packets under the current key.
    pub(super) sealed: u64,
    /// When the first of them was sealed.
    pub(super) since: Option<Instant>,
    /// Whether the peer acknowledged one of them.
    pub(super) acknowledged: bool,
}

impl SendPhases {
    pub(super) fn new(recipe: Recipe, secret: [u8; 32]) -> Self {
        Self {
            header_key: recipe.header_key(&secret),
            current: PhaseKey::new(recipe, secret),
            phase: 0,
            next: 0,
            first: 0,
            sealed: 0,
            since: None,
            acknowledged: false,
        }
    }

    pub(super) fn key(&self) -> &PacketKey {
        &self.current.key
    }

    pub(super) fn update(&mut self, recipe: Recipe) {
        self.current = self.current.next(recipe);
        self.phase += 1;
        self.first = self.next;
        self.sealed = 0;
        self.since = None;
        self.acknowledged = false;
    }

    #[cfg(feature = "keylog")]
    pub(super) fn logged(&self) -> LoggedPhase<'_> {
        let (secret, header_key) = (&self.current.secret, self.header_key.logged());
        LoggedPhase { phase: self.phase, secret, header_key }
    }
}

/// All but the keys.
#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for SendPhases {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        (self.phase, self.next, self.first, self.sealed).hash(state);
        (self.since, self.acknowledged).hash(state);
    }
}

/// The receiving direction.
#[derive(Clone)]
pub(super) struct ReceivePhases {
    pub(super) header_key: HeaderProtection,
    previous: Option<Previous>,
    current: PhaseKey,
    next: PhaseKey,
    /// Updates so far.
    pub(super) phase: u64,
    /// The smallest number opened in this phase; 0 in phase 0.
    first: u64,
    /// One more than the largest number opened in earlier phases.
    earlier_end: u64,
}

#[derive(Clone)]
struct Previous {
    key: PacketKey,
    until: Instant,
}

/// Which key a packet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Previous,
    Current,
    Next,
}

impl Choice {
    /// The phase that is meant, while the direction stands at `current`.
    pub(super) const fn phase(self, current: u64) -> u64 {
        match self {
            Self::Previous => current.saturating_sub(1),
            Self::Current => current,
            Self::Next => current + 1,
        }
    }
}

impl ReceivePhases {
    pub(super) fn new(recipe: Recipe, secret: [u8; 32]) -> Self {
        let current = PhaseKey::new(recipe, secret);
        Self {
            header_key: recipe.header_key(&secret),
            previous: None,
            next: current.next(recipe),
            current,
            phase: 0,
            first: 0,
            earlier_end: 0,
        }
    }

    /// The one key that may open a packet with this phase bit and number, or `None` if it is gone
    /// (spec R-KEY-10).
    pub(super) fn choose(&self, odd: u8, number: u64) -> Option<(Choice, &PacketKey)> {
        if u64::from(odd) == self.phase & 1 {
            Some((Choice::Current, &self.current.key))
        } else if number >= self.first {
            Some((Choice::Next, &self.next.key))
        } else {
            self.previous.as_ref().map(|previous| (Choice::Previous, &previous.key))
        }
    }

    /// Notes an opened packet; `end` is one more than the largest number opened before it. Returns
    /// false if a later number came under an earlier key (spec R-KEY-11).
    pub(super) fn on_opened(&mut self, choice: Choice, number: u64, end: u64) -> bool {
        match choice {
            Choice::Previous => {
                self.earlier_end = self.earlier_end.max(number + 1);
                true
            }
            Choice::Current => {
                self.first = self.first.min(number);
                number >= self.earlier_end
            }
            Choice::Next => number >= end,
        }
    }

    /// Moves to the next phase, which began with `number`. `end` as above.
    pub(super) fn update(&mut self, recipe: Recipe, number: u64, end: u64, keep_until: Instant) {
        let later = self.next.next(recipe);
        let current = core::mem::replace(&mut self.next, later);
        let previous = core::mem::replace(&mut self.current, current);
        self.previous = Some(Previous { key: previous.key.clone(), until: keep_until });
        self.phase += 1;
        self.first = number;
        self.earlier_end = end;
    }

    /// Forgets the previous key when its time has passed.
    pub(super) fn expire(&mut self, now: Instant) {
        self.previous.take_if(|previous| previous.until <= now);
    }

    /// Whether packets of the previous phase can still be opened.
    pub(super) fn holds_previous(&self) -> bool {
        self.previous.is_some()
    }

    #[cfg(feature = "keylog")]
    pub(super) fn logged(&self) -> LoggedPhase<'_> {
        let (secret, header_key) = (&self.current.secret, self.header_key.logged());
        LoggedPhase { phase: self.phase, secret, header_key }
    }

    /// All that is not key.
    #[cfg(test)]
    pub(super) fn positions(&self) -> (u64, u64, u64, bool) {
        (self.phase, self.first, self.earlier_end, self.holds_previous())
    }
}

/// All but the keys.
#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for ReceivePhases {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        let until = self.previous.as_ref().map(|previous| previous.until);
        (self.phase, self.first, self.earlier_end, until).hash(state);
    }
}

/// How long the previous phase's key is kept, in probe timeouts (spec R-KEY-12).
const KEEP_PREVIOUS_PTO: u32 = 3;

/// When a key that was replaced at `now` goes.
pub(super) fn keep_until(pto: Duration, now: Instant) -> Instant {
    now + pto.saturating_mul(KEEP_PREVIOUS_PTO)
}

#[cfg(test)]
#[path = "phases_tests.rs"]
mod tests;
