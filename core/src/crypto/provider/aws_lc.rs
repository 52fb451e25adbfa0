//! The fast provider: AWS-LC.
//!
//! Its constructors are fallible by type. They cannot fail for keys of the right length; should one
//! do so nevertheless, the pure-Rust code does the same work.

use alloc::sync::Arc;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::{digest, hmac};

use super::{Cipher, CryptoError, rust};

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        hash.update(part);
    }
    <[u8; 32]>::try_from(hash.finish().as_ref()).unwrap_or_else(|_| rust::sha256(parts))
}

pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        mac.update(part);
    }
    <[u8; 32]>::try_from(mac.sign().as_ref()).unwrap_or_else(|_| rust::hmac_sha256(key, parts))
}

pub(super) fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    PrivateKey::from_private_key(&X25519, secret)
        .ok()
        .and_then(|key| key.compute_public_key().ok())
        .and_then(|public| <[u8; 32]>::try_from(public.as_ref()).ok())
        .unwrap_or_else(|| rust::x25519_public(secret))
}

pub(super) fn x25519(secret: &[u8; 32], public: &[u8; 32]) -> Result<[u8; 32], CryptoError> {
    let key = PrivateKey::from_private_key(&X25519, secret).map_err(|_| CryptoError)?;
    let public = UnparsedPublicKey::new(&X25519, public);
    agreement::agree(&key, public, CryptoError, |shared| {
        let shared = <[u8; 32]>::try_from(shared).map_err(|_| CryptoError)?;
        // All bytes are looked at, whatever the first ones say.
        let any = shared.iter().fold(0, |any, byte| any | byte);
        if any == 0 { Err(CryptoError) } else { Ok(shared) }
    })
}

/// Shared by count: the library's key cannot be copied, and never changes.
#[derive(Clone)]
pub(super) struct AeadKey(Arc<LessSafeKey>);

impl AeadKey {
    pub(super) fn new(cipher: Cipher, key: &[u8; 32]) -> Option<Self> {
        let algorithm = match cipher {
            Cipher::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
            Cipher::Aes256Gcm => &aead::AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, key).ok()?;
        Some(Self(Arc::new(LessSafeKey::new(key))))
    }

    pub(super) fn seal(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let sealed = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), buf);
        let tag = sealed.map_err(|_| CryptoError)?;
        <[u8; 16]>::try_from(tag.as_ref()).map_err(|_| CryptoError)
    }

    pub(super) fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place_separate_tag(nonce, Aad::from(aad), tag, buf);
        opened.map(|_| ()).map_err(|_| CryptoError)
    }
}

#[derive(Clone)]
pub(super) struct HeaderKey(Arc<quic::HeaderProtectionKey>);

impl HeaderKey {
    pub(super) fn new(cipher: Cipher, key: &[u8; 32]) -> Option<Self> {
        let algorithm = match cipher {
            Cipher::ChaCha20Poly1305 => &quic::CHACHA20,
            Cipher::Aes256Gcm => &quic::AES_256,
        };
        Some(Self(Arc::new(quic::HeaderProtectionKey::new(algorithm, key).ok()?)))
    }

    pub(super) fn mask(&self, sample: &[u8; 16]) -> [u8; 5] {
        let mask = self.0.new_mask(sample);
        debug_assert!(mask.is_ok(), "a sample of the right length has a mask");
        mask.unwrap_or_default()
    }
}
