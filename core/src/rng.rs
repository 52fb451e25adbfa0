//! Randomness as a value: one secret seed in, many independent streams out.
//!
//! The core draws nothing from the machine. Whoever builds an endpoint hands it a [`Seed`]; every
//! part that needs random bytes gets a fork of the generator made from it, named by a label. Two
//! runs from one seed draw the same bytes, and a part that draws more or less than before moves
//! nothing in the others.
//!
//! ```text
//!   Seed ── Rng ──┬── fork("cid")        ids on the wire          (public)
//!                 ├── fork("cookie")     keys of retry cookies    (secret)
//!                 └── fork("connection") ─┬── fork("handshake")   ephemeral keys (secret)
//!                                         └── fork("challenge")   path challenges (public)
//! ```
//!
//! *Secret and public draws never come from one fork.* What is drawn for the wire (ids, challenges,
//! padding of resets) is seen by others; if the generator of such bytes were ever recovered, no key
//! may hang on it. The generator erases its key at every refill, so that a memory image tells
//! nothing of what was drawn before.

use core::fmt;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The secret that an endpoint's randomness comes from: 32 bytes, wiped on drop, never printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The seed with these bytes. They must come from the operating system's generator, fresh for
    /// every endpoint: two endpoints with one seed share all their keys.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes: whoever has them has everything.
    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A seed that anybody can guess, for tests and simulations only.
    pub fn from_u64(number: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"aqdt test seed");
        hash.update(number.to_be_bytes());
        Self(hash.finalize().into())
    }
}

/// A deterministic generator: ChaCha20 keystream under a key that it replaces at every refill.
///
/// # Example
///
/// ```
/// use aqueduct_core::rng::{Rng, Seed};
///
/// let mut root = Rng::new(&Seed::from_u64(7));
/// let mut ids = root.fork("cid");
/// let mut keys = root.fork("cookie");
/// assert_ne!(ids.bytes::<8>(), keys.bytes::<8>());
/// ```
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Rng {
    /// Makes the next block and then makes way for what it made.
    key: [u8; 32],
    /// Keystream; the first `used` bytes are handed out and zero.
    block: [u8; BLOCK],
    used: usize,
}

impl Rng {
    /// The root generator of a seed.
    pub fn new(seed: &Seed) -> Self {
        Self::keyed(seed.0)
    }

    /// A generator of its own for the purpose that `label` names. Advances this one by 32 bytes, so
    /// two forks under the same label differ. What a fork draws says nothing about this generator
    /// or other forks. Never draw both secrets and public bytes from one fork.
    pub fn fork(&mut self, label: &str) -> Self {
        let mut draw = [0; 64];
        let (head, _) = draw.split_at_mut(32);
        self.fill(head);
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&draw).into());
        mac.update(label.as_bytes());
        draw.zeroize();
        Self::keyed(mac.finalize().into_bytes().into())
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        let mut rest = out;
        while !rest.is_empty() {
            if self.used >= BLOCK {
                self.refill();
            }
            let fresh = self.block.get_mut(self.used..).unwrap_or_default();
            let count = fresh.len().min(rest.len());
            let (taken, _) = fresh.split_at_mut(count);
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(taken);
            taken.fill(0);
            self.used += count;
            rest = later;
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A random number, uniform over all of `u64`.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A random number below `bound`, uniform; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Numbers under `2^64 mod bound` are drawn again: the rest divides evenly.
        let Some(uneven) = bound.wrapping_neg().checked_rem(bound) else { return 0 };
        loop {
            let number = self.u64();
            if number >= uneven {
                return number % bound;
            }
        }
    }

    fn keyed(key: [u8; 32]) -> Self {
        Self { key, block: [0; BLOCK], used: BLOCK }
    }

    fn refill(&mut self) {
        // Each key makes one block and dies, so the nonce never has to move.
        self.block.fill(0);
        ChaCha20::new((&self.key).into(), (&[0; 12]).into()).apply_keystream(&mut self.block);
        let (next, _) = self.block.split_at_mut(self.key.len());
        self.key.copy_from_slice(next);
        next.fill(0);
        self.used = self.key.len();
    }
}

/// Says only that it is a generator.
impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng")
    }
}

impl Drop for Rng {
    fn drop(&mut self) {
        self.key.zeroize();
        self.block.zeroize();
    }
}

/// Four ChaCha20 blocks, what the vector units make at once; 224 bytes of them are handed out.
const BLOCK: usize = 256;

#[cfg(test)]
#[path = "rng_tests.rs"]
mod tests;
