//! The pure-Rust provider: RustCrypto and dalek.

use alloc::boxed::Box;

use aes::Aes256;
use aes::cipher::BlockCipherEncrypt;
use aes_gcm::Aes256Gcm;
use chacha20::cipher::{KeyIvInit, StreamCipherCore};
use chacha20::variants::Ietf;
use chacha20::{ChaChaCore, R20};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

use super::{Cipher, CryptoError};

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // RFC 2104: a key longer than the hash's block is hashed first, a shorter one padded by zeros.
    let mut block = [0; 64];
    let mut hashed = [0; 32];
    let key = if key.len() > block.len() {
        hashed = sha256(&[key]);
        &hashed
    } else {
        key
    };
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&block).into());
    block.zeroize();
    hashed.zeroize();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

pub(super) fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

pub(super) fn x25519(secret: &[u8; 32], public: &[u8; 32]) -> Result<[u8; 32], CryptoError> {
    let shared = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*public));
    if shared.was_contributory() { Ok(shared.to_bytes()) } else { Err(CryptoError) }
}

/// Boxed where the key schedule is large: a connection keeps five of these.
#[derive(Clone)]
pub(super) enum AeadKey {
    ChaCha(ChaCha20Poly1305),
    Aes(Box<Aes256Gcm>),
}

impl AeadKey {
    pub(super) fn new(cipher: Cipher, key: &[u8; 32]) -> Self {
        match cipher {
            Cipher::ChaCha20Poly1305 => Self::ChaCha(ChaCha20Poly1305::new(key.into())),
            Cipher::Aes256Gcm => Self::Aes(Box::new(Aes256Gcm::new(key.into()))),
        }
    }

    pub(super) fn seal(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        let tag = match self {
            Self::ChaCha(key) => key.encrypt_inout_detached(nonce.into(), aad, buf.into()),
            Self::Aes(key) => key.encrypt_inout_detached(nonce.into(), aad, buf.into()),
        };
        tag.map(Into::into).map_err(|_| CryptoError)
    }

    pub(super) fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError> {
        let tag = tag.into();
        let opened = match self {
            Self::ChaCha(key) => key.decrypt_inout_detached(nonce.into(), aad, buf.into(), tag),
            Self::Aes(key) => key.decrypt_inout_detached(nonce.into(), aad, buf.into(), tag),
        };
        opened.map_err(|_| CryptoError)
    }
}

#[derive(Clone)]
pub(super) enum HeaderKey {
    ChaCha(Zeroizing<[u8; 32]>),
    Aes(Box<Aes256>),
}

impl HeaderKey {
    pub(super) fn new(cipher: Cipher, key: &[u8; 32]) -> Self {
        match cipher {
            Cipher::ChaCha20Poly1305 => Self::ChaCha(Zeroizing::new(*key)),
            Cipher::Aes256Gcm => Self::Aes(Box::new(Aes256::new(key.into()))),
        }
    }

    pub(super) fn mask(&self, sample: &[u8; 16]) -> [u8; 5] {
        match self {
            Self::ChaCha(key) => {
                // RFC 9001 section 5.4.4: four bytes of block counter, twelve of nonce.
                let [c0, c1, c2, c3, nonce @ ..] = *sample;
                let counter = u32::from_le_bytes([c0, c1, c2, c3]);
                let key: &[u8; 32] = key;
                // The bare block function: the stream over it refuses the last counter, which a
                // peer may well choose.
                let mut core = ChaChaCore::<R20, Ietf>::new(key.into(), (&nonce).into());
                core.set_block_pos(counter);
                let mut block = Default::default();
                core.write_keystream_block(&mut block);
                let [m0, m1, m2, m3, m4, ..] = <[u8; 64]>::from(block);
                [m0, m1, m2, m3, m4]
            }
            Self::Aes(key) => {
                let mut block = (*sample).into();
                key.encrypt_block(&mut block);
                let [m0, m1, m2, m3, m4, ..] = <[u8; 16]>::from(block);
                [m0, m1, m2, m3, m4]
            }
        }
    }
}
