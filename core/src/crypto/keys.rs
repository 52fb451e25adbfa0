//! Packet protection: what turns a packet into a datagram and a datagram into a packet.
//!
//! [`PacketKeys`] is the only holder of a connection's keys and the only giver of packet numbers,
//! so that no nonce can be used twice: a number is drawn and used inside one call of
//! [`PacketKeys::seal`]. It updates the keys by itself when they have served long enough and the
//! peer is known to follow, and follows the peer's updates.
//!
//! ```text
//!  0         1              9          13                      len-16        len
//!  ├─ 01Krrrrr ─┼─ destination ─┼─ number, 4 ─┼─ payload, encrypted ─┼─ tag, 16 ─┤
//!    protected                    protected    ◄── sample: first 16 bytes ──►
//!
//!                  ┌──────────── due, confirmed, acknowledged ────────────┐
//!                  ▼                                                      │
//!   sending   phase n ── update ──► phase n+1, unacknowledged ── ACK ──► phase n+1
//!   receiving phase n ── first packet of n+1 opens ──► phase n+1, and n for 3 PTO more
//!                        (sending follows in the same call)
//! ```
//!
//! A datagram that does not open changes nothing but a counter here. Its payload bytes are zeroed;
//! header and tag stay as they came, so a stateless reset can be recognised afterwards.

mod look;
#[cfg(any(test, feature = "fingerprint"))]
mod seen;

use core::fmt;
use core::time::Duration;

use thiserror::Error;
use zeroize::Zeroizing;

pub use super::counters::KeyCounters;
use super::hkdf::{EXPAND_MAX, PREFIX, derive, expand_label};
use super::limits::{CLOSE_RESERVE, KeyLimits};
#[cfg(feature = "keylog")]
use super::phases::LoggedPhase;
use super::phases::{Choice, ReceivePhases, Recipe, SendPhases, keep_until};
use super::provider::{Cipher, Provider};
use super::replay::{MAX_NUMBER, ReplayWindow, Seen};
use super::secrets::Secrets;
use super::updates::UpdateRate;
use crate::error::{TransportCode, Violation};
use crate::time::Instant;
use crate::wire::header::{
    FORM_MASK, KEY_PHASE_BIT, RESERVED_BITS, SAMPLE_LEN, SHORT_FORM, SHORT_HEADER_LEN,
    SHORT_OVERHEAD, TAG_LEN,
};
use crate::wire::id::{PacketNumber, Side};
pub(crate) use look::{Looked, Sealing};

/// All keys of one connection, both directions.
///
/// # Example
///
/// ```
/// use core::time::Duration;
/// use aqueduct_core::crypto::keys::PacketKeys;
/// use aqueduct_core::crypto::limits::KeyLimits;
/// use aqueduct_core::crypto::provider::{Cipher, Provider};
/// use aqueduct_core::crypto::secrets::Secrets;
/// use aqueduct_core::time::Instant;
/// use aqueduct_core::wire::header::{SHORT_HEADER_LEN, TAG_LEN};
/// use aqueduct_core::wire::id::{PacketNumber, Side};
///
/// let secrets = Secrets { i2r: [1; 32], r2i: [2; 32], exporter: [3; 32] };
/// let keys = |side| {
///     let limits = KeyLimits::default();
///     PacketKeys::new(Provider::Rust, Cipher::ChaCha20Poly1305, side, &secrets, limits)
/// };
/// let (mut here, mut there) = (keys(Side::Initiator), keys(Side::Responder));
///
/// let mut packet = [0; SHORT_HEADER_LEN + 5 + TAG_LEN];
/// packet[1..9].copy_from_slice(b"their id");
/// packet[SHORT_HEADER_LEN..SHORT_HEADER_LEN + 5].copy_from_slice(b"hello");
/// here.seal(&mut packet, Instant::ZERO).unwrap();
///
/// let opened = there.open(&mut packet, Duration::from_millis(50), Instant::ZERO).unwrap();
/// assert_eq!(opened.number, PacketNumber(0));
/// assert_eq!(opened.payload, b"hello");
/// ```
#[derive(Clone)]
pub struct PacketKeys {
    recipe: Recipe,
    limits: KeyLimits,
    send: SendPhases,
    receive: ReceivePhases,
    window: ReplayWindow,
    exporter: Zeroizing<[u8; 32]>,
    side: Side,
    confirmed: bool,
    own_updates: UpdateRate,
    peer_updates: UpdateRate,
    counters: KeyCounters,
}

/// How many updates came before the key of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPhase(pub u64);

/// A packet that is authentic and new.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'p> {
    /// Its full number.
    pub number: PacketNumber,
    /// Its frames, decrypted in the datagram's own bytes. May be empty.
    pub payload: &'p mut [u8],
    /// Under which keys it came; goes into [`PacketKeys::on_ack`] with the ACKs it carries.
    pub phase: KeyPhase,
}

/// Why a packet could not be sealed. No number was used and the packet was not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The key, or the space of numbers, reached its limit: the connection must close.
    #[error("the key reached its limit")]
    AeadLimit,
    /// Fewer bytes than a header and a tag.
    #[error("no room for a header and a tag")]
    TooShort,
}

/// Why a datagram was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It says nothing and changed nothing but a counter.
    #[error("discarded: {0}")]
    Discarded(#[from] Discard),
    /// It is authentic and breaks a rule. The connection must close; no key was changed.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// Too many datagrams did not open: the connection must close. Only the counter changed.
    #[error("too many packets failed to open")]
    AeadLimit,
}

/// Why a datagram was discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Discard {
    /// Too short for a packet, or its first two bits are not 01.
    #[error("no data packet")]
    NotData,
    /// Its tag is wrong.
    #[error("the packet does not open")]
    Failed,
    /// Its number was accepted before.
    #[error("a packet that was seen before")]
    Replayed,
    /// Its number lies below the replay window.
    #[error("a packet below the replay window")]
    BelowWindow,
    /// The key of its phase is gone.
    #[error("a packet of a phase that is over")]
    OldPhase,
}

/// What an application asked to derive has no room in HKDF. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("label or output too long for an exporter")]
pub struct ExportError;

impl PacketKeys {
    /// Keys for the `side` end of the handshake that made `secrets`.
    pub fn new(
        provider: Provider,
        cipher: Cipher,
        side: Side,
        secrets: &Secrets,
        limits: KeyLimits,
    ) -> Self {
        let recipe = Recipe { provider, cipher };
        let (send, receive) = match side {
            Side::Initiator => (secrets.i2r, secrets.r2i),
            Side::Responder => (secrets.r2i, secrets.i2r),
        };
        Self {
            recipe,
            limits,
            send: SendPhases::new(recipe, send),
            receive: ReceivePhases::new(recipe, receive),
            window: ReplayWindow::default(),
            exporter: Zeroizing::new(secrets.exporter),
            side,
            confirmed: false,
            own_updates: UpdateRate::own(),
            peer_updates: UpdateRate::of_peer(),
            counters: KeyCounters::default(),
        }
    }

    /// Protects a packet in place: [`SHORT_HEADER_LEN`] bytes with the destination at 1..9, the
    /// payload, and [`TAG_LEN`] bytes of room. Writes everything else and returns the number that
    /// it gave. Begins a key update first if one is due and allowed.
    ///
    /// # Errors
    ///
    /// The key is at its limit (but for [`CLOSE_RESERVE`] packets), or `packet` is too short.
    pub fn seal(&mut self, packet: &mut [u8], now: Instant) -> Result<PacketNumber, SealError> {
        self.seal_within(packet, CLOSE_RESERVE, now)
    }

    /// As [`Self::seal`], for a packet that carries CLOSE: it may use the last packets of a key.
    ///
    /// # Errors
    ///
    /// As [`Self::seal`].
    pub fn seal_close(
        &mut self,
        packet: &mut [u8],
        now: Instant,
    ) -> Result<PacketNumber, SealError> {
        self.seal_within(packet, 0, now)
    }

    /// Takes off the protection of a datagram, in place. `pto` is the probe timeout of now: a key
    /// that this packet makes obsolete is kept for three of them.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. The payload's bytes are lost then; header and tag stay as they came.
    pub fn open<'p>(
        &mut self,
        datagram: &'p mut [u8],
        pto: Duration,
        now: Instant,
    ) -> Result<Opened<'p>, OpenError> {
        if self.counters.failed >= self.limits.failed_opens() {
            return Err(OpenError::AeadLimit);
        }
        let Some(parts) = Parts::of(datagram) else {
            self.counters.not_data = self.counters.not_data.saturating_add(1);
            return Err(Discard::NotData.into());
        };
        let mask = self.receive.header_key.mask(&parts.sample);
        let header = Header::unprotected(*parts.header, mask);
        let expected = PacketNumber(self.window.next_expected());
        let number = PacketNumber::expand(header.number, expected);
        self.receive.expire(now);
        let Some((choice, key)) = self.receive.choose(header.phase_bit(), number.0) else {
            self.counters.old_phase = self.counters.old_phase.saturating_add(1);
            return Err(Discard::OldPhase.into());
        };
        let nonce = key.nonce(number.0);
        if key.aead.open(&nonce, &header.bytes, parts.payload, parts.tag).is_err() {
            return Err(self.on_failed());
        }
        self.on_authentic(header, choice, number, pto, now)?;
        self.counters.opened += 1;
        // Following moved on to the next phase, which is the current one now.
        let choice = if choice == Choice::Next { Choice::Current } else { choice };
        let phase = KeyPhase(choice.phase(self.receive.phase));
        Ok(Opened { number, payload: parts.payload, phase })
    }

    /// The handshake is confirmed: from now on this side may begin key updates.
    pub fn on_confirmed(&mut self) {
        self.confirmed = true;
    }

    /// An ACK whose largest number is `largest` came in a packet of phase `carried`. Numbers that
    /// were never sent are ignored here; they are the ledger's to punish.
    ///
    /// # Errors
    ///
    /// The peer opened packets of a phase and went on sending under an older one. Nothing was
    /// changed.
    pub fn on_ack(&mut self, largest: PacketNumber, carried: KeyPhase) -> Result<(), Violation> {
        if largest.0 < self.send.first || largest.0 >= self.send.next {
            return Ok(());
        }
        if carried.0 < self.send.phase {
            return Err(violation("a packet acknowledged under keys older than its own"));
        }
        self.send.acknowledged = true;
        Ok(())
    }

    /// Leaves out a packet number, so that a peer that acknowledges what it did not get gives
    /// itself away. Returns the number.
    pub fn skip_number(&mut self) -> PacketNumber {
        let skipped = self.send.next;
        self.send.next = skipped.saturating_add(1).min(MAX_NUMBER + 1);
        PacketNumber(skipped)
    }

    /// What no sender may do, for a test that must find it.
    #[cfg(feature = "planted")]
    pub(crate) const fn repeat_number(&mut self) {
        self.send.next = self.send.next.saturating_sub(1);
    }

    /// The same.
    #[cfg(feature = "planted")]
    pub(crate) fn update_untold(&mut self) {
        if self.confirmed && self.send.next >= 16 {
            self.send.update(self.recipe);
        }
    }

    /// The number that the next sealed packet will have.
    pub const fn next_number(&self) -> PacketNumber {
        PacketNumber(self.send.next)
    }

    /// Makes the replay window cover at least `packets` numbers (at most
    /// [`MAX_PACKETS`](super::replay::MAX_PACKETS)); the connection knows its receive rate and
    /// round trip.
    pub fn grow_window_to(&mut self, packets: u64) {
        self.window.grow_to(packets);
    }

    /// Packet numbers that the replay window covers.
    pub const fn window_capacity(&self) -> u64 {
        self.window.capacity()
    }

    /// The phase that packets are sealed in.
    pub const fn send_phase(&self) -> KeyPhase {
        KeyPhase(self.send.phase)
    }

    /// The latest phase that a packet of the peer came in.
    pub const fn receive_phase(&self) -> KeyPhase {
        KeyPhase(self.receive.phase)
    }

    /// The cipher in use.
    pub const fn cipher(&self) -> Cipher {
        self.recipe.cipher
    }

    /// What happened so far.
    pub const fn counters(&self) -> KeyCounters {
        self.counters
    }

    #[cfg(any(test, feature = "fingerprint"))]
    pub(crate) const fn counters_mut(&mut self) -> &mut KeyCounters {
        &mut self.counters
    }

    /// Derives bytes for the application that only the two ends of this connection know
    /// (spec R-KEY-3). Equal at both ends for equal arguments.
    ///
    /// # Errors
    ///
    /// `label` is longer than [`EXPORT_LABEL_MAX`] or `out` than [`EXPAND_MAX`].
    pub fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), ExportError> {
        if label.len() > EXPORT_LABEL_MAX || out.len() > EXPAND_MAX {
            return Err(ExportError);
        }
        let provider = self.recipe.provider;
        let secret: Zeroizing<[u8; 32]> = Zeroizing::new(derive(provider, &self.exporter, label));
        let context = provider.sha256(&[context]);
        expand_label(provider, &secret, PREFIX, b"exporter", &context, out);
        Ok(())
    }

    /// What a key log tells of both directions, by who sends.
    #[cfg(feature = "keylog")]
    pub(super) fn logged(&self) -> [(Side, LoggedPhase<'_>); 2] {
        [(self.side, self.send.logged()), (self.side.peer(), self.receive.logged())]
    }

    /// How keys are made here.
    #[cfg(feature = "keylog")]
    pub(super) const fn recipe(&self) -> Recipe {
        self.recipe
    }

    fn seal_within(
        &mut self,
        packet: &mut [u8],
        reserve: u64,
        now: Instant,
    ) -> Result<PacketNumber, SealError> {
        if packet.len() < SHORT_OVERHEAD {
            return Err(SealError::TooShort);
        }
        self.receive.expire(now);
        if self.update_is_due(now) && self.update_is_allowed(now) {
            self.send.update(self.recipe);
            self.own_updates.count(now);
            sometimes!("crypto: this side changes its keys");
            self.counters.updates_started += 1;
        }
        let hard = self.limits.hard_packets(self.recipe.cipher);
        let number = self.send.next;
        if self.send.sealed >= hard.saturating_sub(reserve) || number > MAX_NUMBER {
            return Err(SealError::AeadLimit);
        }
        self.send.next = number + 1;
        self.send.sealed += 1;
        self.send.since.get_or_insert(now);
        self.counters.sealed += 1;
        let number = PacketNumber(number);
        self.protect(packet, number);
        Ok(number)
    }

    /// Writes header and tag around the payload. The packet is known to be long enough.
    fn protect(&self, packet: &mut [u8], number: PacketNumber) {
        let phase_bit = if self.send.phase & 1 == 1 { KEY_PHASE_BIT } else { 0 };
        let Some((header, body)) = packet.split_first_chunk_mut::<SHORT_HEADER_LEN>() else {
            return;
        };
        let [first, _, _, _, _, _, _, _, _, n0, n1, n2, n3] = header;
        *first = SHORT_FORM | phase_bit;
        [*n0, *n1, *n2, *n3] = number.truncated().to_be_bytes();
        let Some((payload, tag)) = body.split_last_chunk_mut::<TAG_LEN>() else { return };
        let key = self.send.key();
        *tag = key.aead.seal(&key.nonce(number.0), header, payload);
        let Some(sample) = body.first_chunk::<SAMPLE_LEN>() else { return };
        let [m0, m1, m2, m3, m4] = self.send.header_key.mask(sample);
        let [first, _, _, _, _, _, _, _, _, n0, n1, n2, n3] = header;
        *first ^= m0 & PROTECTED;
        *n0 ^= m1;
        *n1 ^= m2;
        *n2 ^= m3;
        *n3 ^= m4;
    }

    fn update_is_due(&self, now: Instant) -> bool {
        let age = self.send.since.map_or(Duration::ZERO, |since| now.saturating_since(since));
        self.send.sealed >= self.limits.soft_packets() || age >= self.limits.soft_age()
    }

    /// spec R-KEY-13: one update at a time, and time for stragglers in between unless the hard
    /// limit comes near.
    fn update_is_allowed(&self, now: Instant) -> bool {
        let soft = self.limits.soft_packets();
        let hard = self.limits.hard_packets(self.recipe.cipher);
        let urgent = self.send.sealed >= soft + (hard.saturating_sub(soft) / 2);
        self.confirmed
            && self.send.acknowledged
            && self.receive.phase == self.send.phase
            && self.own_updates.allows(now)
            && (urgent || !self.receive.holds_previous())
    }

    fn on_failed(&mut self) -> OpenError {
        self.counters.failed = self.counters.failed.saturating_add(1);
        if self.counters.failed >= self.limits.failed_opens() {
            return OpenError::AeadLimit;
        }
        Discard::Failed.into()
    }

    /// What an authentic packet changes: first the replay window, then the phases.
    fn on_authentic(
        &mut self,
        header: Header,
        choice: Choice,
        number: PacketNumber,
        pto: Duration,
        now: Instant,
    ) -> Result<(), OpenError> {
        let end = self.window.next_expected();
        match self.window.accept(number) {
            Seen::New => {}
            Seen::Before => {
                sometimes!("crypto: a packet comes twice");
                self.counters.replayed += 1;
                return Err(Discard::Replayed.into());
            }
            Seen::TooOld => {
                sometimes!("crypto: a packet is below the window");
                self.counters.below_window += 1;
                return Err(Discard::BelowWindow.into());
            }
        }
        if header.reserved_bits() != 0 {
            let what = "reserved bits of a packet are not zero";
            return Err(Violation::new(TransportCode::Protocol, what).into());
        }
        if !self.receive.on_opened(choice, number.0, end) {
            return Err(violation("a later packet came under earlier keys").into());
        }
        if choice == Choice::Next {
            self.follow(number.0, end, pto, now)?;
        }
        Ok(())
    }

    /// The peer moved to the next phase; sending moves with it unless it is there already.
    fn follow(
        &mut self,
        number: u64,
        end: u64,
        pto: Duration,
        now: Instant,
    ) -> Result<(), Violation> {
        let peer_leads = self.send.phase == self.receive.phase;
        if peer_leads && self.send.sealed == 0 {
            // Nothing of this phase was ever sent, so no ACK can have told the peer to go on.
            return Err(violation("keys updated again before the last update was acknowledged"));
        }
        if peer_leads && !self.peer_updates.allows(now) {
            return Err(violation("keys updated too often"));
        }
        self.receive.update(self.recipe, number, end, keep_until(pto, now));
        if peer_leads {
            self.peer_updates.count(now);
            self.send.update(self.recipe);
            sometimes!("crypto: keys are changed after the peer");
            self.counters.updates_followed += 1;
        }
        Ok(())
    }
}

/// Numbers, phases and counters; no keys.
impl fmt::Debug for PacketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketKeys")
            .field("side", &self.side)
            .field("cipher", &self.recipe.cipher)
            .field("send_phase", &self.send.phase)
            .field("receive_phase", &self.receive.phase)
            .field("next_number", &self.send.next)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// A datagram, taken apart.
struct Parts<'p> {
    header: &'p [u8; SHORT_HEADER_LEN],
    payload: &'p mut [u8],
    tag: &'p [u8; TAG_LEN],
    sample: [u8; SAMPLE_LEN],
}

impl<'p> Parts<'p> {
    fn of(datagram: &'p mut [u8]) -> Option<Self> {
        let (header, body) = datagram.split_first_chunk_mut::<SHORT_HEADER_LEN>()?;
        let sample = *body.first_chunk()?;
        let (payload, tag) = body.split_last_chunk_mut()?;
        let [first, ..] = header;
        (*first & FORM_MASK == SHORT_FORM).then_some(Self { header, payload, tag, sample })
    }
}

/// A header without its protection.
#[derive(Clone, Copy)]
struct Header {
    bytes: [u8; SHORT_HEADER_LEN],
    number: u32,
    first: u8,
}

impl Header {
    fn unprotected(mut bytes: [u8; SHORT_HEADER_LEN], mask: [u8; 5]) -> Self {
        let [m0, m1, m2, m3, m4] = mask;
        let [first, _, _, _, _, _, _, _, _, n0, n1, n2, n3] = &mut bytes;
        *first ^= m0 & PROTECTED;
        *n0 ^= m1;
        *n1 ^= m2;
        *n2 ^= m3;
        *n3 ^= m4;
        let (first, number) = (*first, u32::from_be_bytes([*n0, *n1, *n2, *n3]));
        Self { bytes, number, first }
    }

    fn phase_bit(self) -> u8 {
        u8::from(self.first & KEY_PHASE_BIT != 0)
    }

    fn reserved_bits(self) -> u8 {
        self.first & RESERVED_BITS
    }
}

fn violation(what: &'static str) -> Violation {
    Violation::new(TransportCode::KeyUpdate, what)
}

/// Longest label of an exporter, in bytes.
pub const EXPORT_LABEL_MAX: usize = 255 - PREFIX.len();

/// Bits of a first byte that are protected.
const PROTECTED: u8 = !FORM_MASK;

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
