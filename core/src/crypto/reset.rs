//! Stateless reset: an endpoint that lost its state tells the peer so, without remembering
//! anything.
//!
//! Every connection id has a token that only its owner can compute and that the peer learnt
//! together with the id. A packet for an id that nobody knows is answered by random bytes that end
//! in the token of that id; to everybody but the peer it looks like one more packet.
//!
//! ```text
//!  0                                       len-16            len
//!  ├─ 01 + 6 random bits, random bytes ──────┼── token, 16 ───┤     43 <= len < trigger
//! ```

use alloc::vec::Vec;
use core::fmt;

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::provider::Provider;
use crate::rng::Rng;
use crate::wire::id::ConnectionId;

/// What a stateless reset for one connection id ends with. A secret of two ends until it is used.
#[derive(Clone, Copy)]
pub struct ResetToken(pub [u8; Self::LEN]);

impl ResetToken {
    /// Bytes of a token.
    pub const LEN: usize = 16;
}

/// Says only that it is a token.
impl fmt::Debug for ResetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetToken")
    }
}

#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for ResetToken {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Compares in constant time.
impl PartialEq for ResetToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ResetToken {}

/// The endpoint's key for reset tokens. It outlives a restart only if the application keeps it.
///
/// # Example
///
/// ```
/// use aqueduct_core::crypto::provider::Provider;
/// use aqueduct_core::crypto::reset::{ResetKey, is_reset};
/// use aqueduct_core::rng::{Rng, Seed};
/// use aqueduct_core::wire::id::ConnectionId;
///
/// let key = ResetKey::new(Provider::Rust, [7; 32]);
/// let mut public = Rng::new(&Seed::from_u64(1)).fork("reset padding");
/// let mut datagram = Vec::new();
/// let cid = ConnectionId([5; 8]);
/// assert!(key.write(cid, 1_200, &mut public, &mut datagram));
/// assert!(is_reset(&datagram, [&key.token(cid)]));
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct ResetKey {
    #[zeroize(skip)]
    provider: Provider,
    key: [u8; 32],
}

impl ResetKey {
    /// The key with these bytes.
    pub const fn new(provider: Provider, key: [u8; 32]) -> Self {
        Self { provider, key }
    }

    /// The token of a connection id (spec R-KEY-33).
    pub fn token(&self, cid: ConnectionId) -> ResetToken {
        ResetToken(self.provider.hmac_sha256_16(&self.key, &[b"aqdt reset", &cid.0]))
    }

    /// Appends a reset for `cid` to `out`, as the answer to a datagram of `trigger_len` bytes. It
    /// is smaller than the trigger, so that two endpoints without state fall silent; returns false
    /// and writes nothing for a trigger below [`MIN_TRIGGER`]. `rng` is a fork for public bytes.
    ///
    /// How often resets go out is the endpoint's business.
    pub fn write(
        &self,
        cid: ConnectionId,
        trigger_len: usize,
        rng: &mut Rng,
        out: &mut Vec<u8>,
    ) -> bool {
        if trigger_len < MIN_TRIGGER {
            return false;
        }
        let spread = trigger_len.min(MAX_LEN + 1) - MIN_LEN;
        let len = MIN_LEN + rng.below(spread as u64) as usize;
        let mut datagram = [0; MAX_LEN];
        let (filler, _) = datagram.split_at_mut(len - ResetToken::LEN);
        rng.fill(filler);
        if let Some(first) = filler.first_mut() {
            *first = 0b0100_0000 | *first & 0b0011_1111;
        }
        out.extend_from_slice(filler);
        out.extend_from_slice(&self.token(cid).0);
        true
    }
}

/// Says only that it is a key.
impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetKey")
    }
}

/// Whether `datagram` ends in one of the tokens; to be asked when it did not open or names an
/// unknown id. Takes the same time for every content: all tokens are compared to their end.
pub fn is_reset<'t>(datagram: &[u8], tokens: impl IntoIterator<Item = &'t ResetToken>) -> bool {
    let short_header = datagram.first().is_some_and(|byte| byte >> 6 == 0b01);
    let Some((_, end)) = datagram.split_last_chunk::<{ ResetToken::LEN }>() else { return false };
    if !short_header || datagram.len() < MIN_LEN {
        return false;
    }
    let found = tokens.into_iter().fold(Choice::from(0), |found, token| found | token.0.ct_eq(end));
    found.into()
}

/// Smallest reset: as long as a data packet with a few frames.
pub const MIN_LEN: usize = 43;

/// Largest reset that is made; larger ones are recognised too.
pub const MAX_LEN: usize = 128;

/// Smallest datagram that is answered by a reset.
pub const MIN_TRIGGER: usize = 44;

#[cfg(test)]
#[path = "reset_tests.rs"]
mod tests;
