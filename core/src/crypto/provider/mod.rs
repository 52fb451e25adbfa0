//! The seam: the only place that names a cipher crate.
//!
//! A [`Provider`] is a small value that says whose arithmetic does the work. Both do the same
//! functions on the same bytes; they differ in speed. Keys made here are opaque and remember their
//! provider. Nothing fails that the protocol could reach: the one error is an operation on bytes of
//! a peer that do not check out.

mod rust;

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;

use core::fmt;

use thiserror::Error;

/// Whose implementation of the ciphers does the work. Chosen by configuration, once; has no
/// effect on any byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// RustCrypto and dalek: no C, no operating system.
    #[default]
    Rust,
    /// AWS-LC: about four times faster.
    #[cfg(feature = "aws-lc-rs")]
    AwsLc,
}

/// Nothing: it has no effect on any byte.
#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for Provider {
    fn hash<H: core::hash::Hasher>(&self, _: &mut H) {}
}

/// The ciphers that may protect packets after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub enum Cipher {
    /// ChaCha20-Poly1305 (RFC 8439). Mandatory, and the handshake's.
    ChaCha20Poly1305,
    /// AES-256-GCM (NIST SP 800-38D), faster where the machine has instructions for it.
    Aes256Gcm,
}

/// Bytes of a peer did not check out: a tag is wrong, or an agreement has no secret in it.
/// Nothing was changed but, where documented, the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cryptographic check failed")]
pub struct CryptoError;

impl Provider {
    /// SHA-256 of the parts, one behind the other.
    pub fn sha256(self, parts: &[&[u8]]) -> [u8; 32] {
        match self {
            Self::Rust => rust::sha256(parts),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc => aws_lc::sha256(parts),
        }
    }

    /// HMAC-SHA-256 (RFC 2104) of the parts, one behind the other. A key may have any length.
    pub fn hmac_sha256(self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        match self {
            Self::Rust => rust::hmac_sha256(key, parts),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc => aws_lc::hmac_sha256(key, parts),
        }
    }

    /// The first 16 bytes of [`Self::hmac_sha256`]: what tags, cookies and tokens use.
    pub fn hmac_sha256_16(self, key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(self.hmac_sha256(key, parts)) {
            *to = from;
        }
        short
    }

    /// The public key of an X25519 secret (RFC 7748; the secret is clamped here).
    pub fn x25519_public(self, secret: &[u8; 32]) -> [u8; 32] {
        match self {
            Self::Rust => rust::x25519_public(secret),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc => aws_lc::x25519_public(secret),
        }
    }

    /// X25519 agreement (RFC 7748).
    ///
    /// # Errors
    ///
    /// The result is all zeros: the peer's key has small order and the "secret" is no secret.
    pub fn x25519(self, secret: &[u8; 32], public: &[u8; 32]) -> Result<[u8; 32], CryptoError> {
        match self {
            Self::Rust => rust::x25519(secret, public),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc => aws_lc::x25519(secret, public),
        }
    }

    /// A key that seals and opens.
    pub fn aead(self, cipher: Cipher, key: &[u8; 32]) -> AeadKey {
        AeadKey(match self {
            Self::Rust => Aead::Rust(rust::AeadKey::new(cipher, key)),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc => match aws_lc::AeadKey::new(cipher, key) {
                Some(key) => Aead::AwsLc(key),
                None => Aead::Rust(rust::AeadKey::new(cipher, key)),
            },
        })
    }

    /// A key that makes masks for header protection (RFC 9001 section 5.4).
    pub fn header_key(self, cipher: Cipher, key: &[u8; 32]) -> HeaderKey {
        HeaderKey(match self {
            Self::Rust => Header::Rust(rust::HeaderKey::new(cipher, key)),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc => match aws_lc::HeaderKey::new(cipher, key) {
                Some(key) => Header::AwsLc(key),
                None => Header::Rust(rust::HeaderKey::new(cipher, key)),
            },
        })
    }
}

/// A key of an authenticated cipher. Wiped on drop, never printed.
#[derive(Clone)]
pub struct AeadKey(Aead);

#[derive(Clone)]
enum Aead {
    Rust(rust::AeadKey),
    #[cfg(feature = "aws-lc-rs")]
    AwsLc(aws_lc::AeadKey),
}

impl AeadKey {
    /// Encrypts `buf` in place and returns the tag over it and `aad`. A nonce must never be used
    /// twice under one key: [`super::keys`] and the transcript see to that.
    pub fn seal(&self, nonce: &[u8; 12], aad: &[u8], buf: &mut [u8]) -> [u8; 16] {
        let sealed = match &self.0 {
            Aead::Rust(key) => key.seal(nonce, aad, buf),
            #[cfg(feature = "aws-lc-rs")]
            Aead::AwsLc(key) => key.seal(nonce, aad, buf),
        };
        // Only a buffer of many gigabytes can get here; then at least no plaintext leaves.
        sealed.unwrap_or_else(|CryptoError| {
            debug_assert!(false, "a packet too long for its cipher");
            buf.fill(0);
            [0; 16]
        })
    }

    /// Decrypts `buf` in place if the tag over it and `aad` is right.
    ///
    /// # Errors
    ///
    /// The tag is wrong; `buf` is zeroed then, so that no unauthenticated byte can be used by
    /// mistake.
    pub fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError> {
        let opened = match &self.0 {
            Aead::Rust(key) => key.open(nonce, aad, buf, tag),
            #[cfg(feature = "aws-lc-rs")]
            Aead::AwsLc(key) => key.open(nonce, aad, buf, tag),
        };
        opened.inspect_err(|CryptoError| buf.fill(0))
    }
}

/// Says only that it is a key.
impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey")
    }
}

/// A key for header protection. Wiped on drop, never printed.
#[derive(Clone)]
pub struct HeaderKey(Header);

#[derive(Clone)]
enum Header {
    Rust(rust::HeaderKey),
    #[cfg(feature = "aws-lc-rs")]
    AwsLc(aws_lc::HeaderKey),
}

impl HeaderKey {
    /// The mask that belongs to a sample of ciphertext.
    pub fn mask(&self, sample: &[u8; 16]) -> [u8; 5] {
        match &self.0 {
            Header::Rust(key) => key.mask(sample),
            #[cfg(feature = "aws-lc-rs")]
            Header::AwsLc(key) => key.mask(sample),
        }
    }
}

/// Says only that it is a key.
impl fmt::Debug for HeaderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderKey")
    }
}

#[cfg(test)]
mod tests;
