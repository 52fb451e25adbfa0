//! Noise's symmetric state (revision 34, section 5.2): the chaining key, the hash of all that was
//! said, and the key that seals the next piece of it.
//!
//! Pure Noise: the published vectors run through this very code. The one addition is the third
//! output of the last HKDF, which leaves the first two as `Split` defines them and becomes the
//! exporter secret.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::hkdf::noise_hkdf;
use super::provider::{Cipher, Provider};

/// The symmetric half of a handshake in progress. Cloned before a message is read, and replaced by
/// the clone only if all of the message opened (spec R-HS-14).
#[derive(Clone)]
pub(crate) struct SymmetricState {
    provider: Provider,
    cipher: Cipher,
    chaining_key: Zeroizing<[u8; 32]>,
    hash: [u8; 32],
    key: Option<Zeroizing<[u8; 32]>>,
    nonce: u64,
}

/// Bytes that every sealed piece is longer than what it holds.
pub(crate) const TAG_LEN: usize = 16;

/// What goes wrong inside Noise; the message must be forgotten, the state it was read on is as
/// before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoiseError {
    /// The message ends before its pattern does.
    Short,
    /// An agreement came out as zero: the other side's key is a point of small order.
    SmallOrder,
    /// A sealed piece does not open.
    Open,
    /// Asked for what the pattern does not give at this place. A mistake of this side's own.
    Misuse,
}

impl SymmetricState {
    /// `InitializeSymmetric`, followed by mixing in the prologue.
    pub(crate) fn new(provider: Provider, cipher: Cipher, name: &[u8], prologue: &[u8]) -> Self {
        let mut hash = [0; 32];
        match hash.get_mut(..name.len()) {
            Some(head) => head.copy_from_slice(name),
            None => hash = provider.sha256(&[name]),
        }
        let chaining_key = Zeroizing::new(hash);
        let mut state = Self { provider, cipher, chaining_key, hash, key: None, nonce: 0 };
        state.mix_hash(prologue);
        state
    }

    pub(crate) fn mix_hash(&mut self, data: &[u8]) {
        self.hash = self.provider.sha256(&[&self.hash, data]);
    }

    pub(crate) fn mix_key(&mut self, input: &[u8]) {
        let [chaining_key, key] = noise_hkdf::<2>(self.provider, &self.chaining_key, input);
        *self.chaining_key = chaining_key;
        self.set_key(key);
    }

    pub(crate) fn mix_key_and_hash(&mut self, input: &[u8]) {
        let [chaining_key, hash, key] = noise_hkdf::<3>(self.provider, &self.chaining_key, input);
        *self.chaining_key = chaining_key;
        self.mix_hash(&hash);
        self.set_key(key);
    }

    fn set_key(&mut self, key: [u8; 32]) {
        self.key = Some(Zeroizing::new(key));
        self.nonce = 0;
    }

    /// Bytes that sealing adds now: none until there is a key.
    pub(crate) const fn overhead(&self) -> usize {
        if self.key.is_some() { TAG_LEN } else { 0 }
    }

    /// `EncryptAndHash`, appended to `out`.
    pub(crate) fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(plaintext);
        if let (Some(key), Some(body)) = (&self.key, out.get_mut(start..)) {
            let nonce = self.nonce_bytes();
            let tag = self.provider.aead(self.cipher, key).seal(&nonce, &self.hash, body);
            out.extend_from_slice(&tag);
            self.nonce = self.nonce.saturating_add(1);
        }
        if let Some(sealed) = out.get(start..) {
            self.hash = self.provider.sha256(&[&self.hash, sealed]);
        }
    }

    /// `DecryptAndHash`, in place. Gives what was inside.
    pub(crate) fn open<'m>(&mut self, sealed: &'m mut [u8]) -> Result<&'m mut [u8], NoiseError> {
        let hash = self.provider.sha256(&[&self.hash, sealed]);
        let body = match &self.key {
            None => sealed,
            Some(key) => {
                let at = sealed.len().checked_sub(TAG_LEN).ok_or(NoiseError::Short)?;
                let (body, tag) = sealed.split_at_mut_checked(at).ok_or(NoiseError::Short)?;
                let tag: &[u8; TAG_LEN] = (&*tag).try_into().map_err(|_| NoiseError::Short)?;
                self.provider
                    .aead(self.cipher, key)
                    .open(&self.nonce_bytes(), &self.hash, body, tag)
                    .map_err(|_| NoiseError::Open)?;
                self.nonce = self.nonce.saturating_add(1);
                body
            }
        };
        self.hash = hash;
        Ok(body)
    }

    /// Noise's nonce: 32 zero bits and the counter, whose byte order is the cipher's.
    fn nonce_bytes(&self) -> [u8; 12] {
        let [a, b, c, d, e, f, g, h] = match self.cipher {
            Cipher::ChaCha20Poly1305 => self.nonce.to_le_bytes(),
            Cipher::Aes256Gcm => self.nonce.to_be_bytes(),
        };
        [0, 0, 0, 0, a, b, c, d, e, f, g, h]
    }

    /// The hash of everything up to now; at the end, the name of this one handshake.
    pub(crate) const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// `Split`: first output from initiator to responder, second the other way, third for
    /// exporting.
    pub(crate) fn split(&self) -> [[u8; 32]; 3] {
        noise_hkdf::<3>(self.provider, &self.chaining_key, &[])
    }
}
