//! Who a node is: one Ed25519 key that dials and signs (decision record 0001).
//!
//! A node's id is its Ed25519 public key. The handshake needs an X25519 key; it is the same point
//! in Montgomery form, whose `u` coordinate alone travels. `u` fits two Edwards points, one the
//! negative of the other, so the sender says in its authenticated payload which of them it is: the
//! *sign bit*, the top bit of the id's last byte. From `u` and the bit the receiver rebuilds
//! exactly the 32 bytes of the id.
//!
//! ```text
//!   seed --SHA-512--> lower half, clamped: scalar a  --+--> Ed25519: A = a B -> id (y, sign of x)
//!                     upper half: nonces of signatures +--> X25519: u(A)     -> on the wire
//!                     u + sign bit  ------------------> A -> id
//! ```

use core::fmt;
use core::str::FromStr;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::montgomery::MontgomeryPoint;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha512};
use thiserror::Error;
use zeroize::Zeroizing;

/// A node's id: an Ed25519 public key that can be dialled and can sign (spec R-HS-2).
///
/// Always a canonical encoding of a point that is not of small order, so that a value of this type
/// can be compared by its bytes and used as a key without a further check. The order is that of the
/// bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 32]);

impl NodeId {
    /// Bytes of an id.
    pub const LEN: usize = 32;

    /// Takes the 32 bytes of an id.
    ///
    /// # Errors
    /// See [`IdentityError`]: bytes that are not exactly the encoding of a usable point.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, IdentityError> {
        let point = CompressedEdwardsY(*bytes).decompress().ok_or(IdentityError::NoPoint)?;
        Self::of_point(&point)
            .and_then(|id| if id.0 == *bytes { Ok(id) } else { Err(IdentityError::NotCanonical) })
    }

    /// The id's bytes: as on the wire, in tickets and in allow lists.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks that the node with this id signed `message` (RFC 8032, without the cofactor).
    ///
    /// # Errors
    /// [`IdentityError::Signature`] if it did not.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), IdentityError> {
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
            .map_err(|_| IdentityError::Signature)
    }

    /// The id in Montgomery form: the X25519 public key that the handshake works with.
    pub fn montgomery(&self) -> [u8; 32] {
        // Decompression of what was compressed succeeds; the zero fallback is refused by every
        // X25519.
        CompressedEdwardsY(self.0)
            .decompress()
            .map_or([0; 32], |point| point.to_montgomery().to_bytes())
    }

    /// Which of the two points with the same Montgomery form the id is.
    pub const fn sign(&self) -> Sign {
        let [.., last] = self.0;
        if last >> 7 == 0 { Sign::Positive } else { Sign::Negative }
    }

    /// Rebuilds the id from what the handshake carries (spec R-HS-3).
    ///
    /// # Errors
    /// [`IdentityError`]: `u` has no Edwards point, is not reduced, or is a point of small order.
    pub fn from_montgomery(u: &[u8; 32], sign: Sign) -> Result<Self, IdentityError> {
        let point = MontgomeryPoint(*u).to_edwards(sign as u8).ok_or(IdentityError::NoPoint)?;
        if point.to_montgomery().to_bytes() != *u {
            return Err(IdentityError::NotCanonical);
        }
        let id = Self::of_point(&point)?;
        if id.sign() == sign { Ok(id) } else { Err(IdentityError::NotCanonical) }
    }

    fn of_point(point: &EdwardsPoint) -> Result<Self, IdentityError> {
        if point.is_small_order() {
            return Err(IdentityError::SmallOrder);
        }
        Ok(Self(point.compress().to_bytes()))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The first four bytes: enough to tell nodes apart in a log.
impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for NodeId {
    type Err = IdentityError;

    /// Reads what [`Display`](fmt::Display) writes: 64 hexadecimal digits; capitals are taken too.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(IdentityError::Text);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            let value = high.zip(low).map(|(high, low)| high << 4 | low);
            *byte = value.and_then(|v| u8::try_from(v).ok()).ok_or(IdentityError::Text)?;
        }
        Self::from_bytes(&bytes)
    }
}

/// Which of two opposite Edwards points an id is: the top bit of its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The bit is 0.
    Positive = 0,
    /// The bit is 1.
    Negative = 1,
}

/// A node's secret: 32 bytes from a good source, from which everything else follows.
///
/// Wiped when dropped; not comparable, and its `Debug` shows the id only.
#[derive(Clone)]
pub struct NodeKey {
    seed: Zeroizing<[u8; 32]>,
    exchange_secret: Zeroizing<[u8; 32]>,
    exchange_public: [u8; 32],
    id: NodeId,
}

/// The id, which says as much.
#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for NodeKey {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl NodeKey {
    /// The key that grows from `seed` (RFC 8032 section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut hash = Zeroizing::new([0; 64]);
        hash.copy_from_slice(&Sha512::digest(seed));
        let mut exchange_secret = Zeroizing::new([0; 32]);
        for (to, from) in exchange_secret.iter_mut().zip(hash.iter()) {
            *to = *from;
        }
        if let [first, .., last] = exchange_secret.as_mut_slice() {
            *first &= 0xf8;
            *last = *last & 0x7f | 0x40;
        }
        let point = EdwardsPoint::mul_base_clamped(*exchange_secret);
        Self {
            seed: Zeroizing::new(*seed),
            exchange_secret,
            exchange_public: point.to_montgomery().to_bytes(),
            // A clamped scalar is a multiple of 8 below 8 times the group's order, so never of
            // small order.
            id: NodeId(point.compress().to_bytes()),
        }
    }

    /// The public half.
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Signs `message` (Ed25519, deterministic).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        SigningKey::from_bytes(&self.seed).sign(message).to_bytes()
    }

    /// The 32 secret bytes, for keeping them in a file.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The X25519 secret of the handshake.
    pub(crate) fn exchange_secret(&self) -> &[u8; 32] {
        &self.exchange_secret
    }

    /// The X25519 public key: the id's Montgomery form.
    pub(crate) const fn exchange_public(&self) -> &[u8; 32] {
        &self.exchange_public
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({:?})", self.id)
    }
}

/// Why bytes are no id, or a signature is not this node's. State is never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is no such point on the curve.
    #[error("not a point of the curve")]
    NoPoint,
    /// Another encoding of the same point is the right one.
    #[error("not the canonical encoding of the point")]
    NotCanonical,
    /// One of the eight points with which every key agrees on the same secret.
    #[error("a point of small order")]
    SmallOrder,
    /// Not 64 hexadecimal digits.
    #[error("an id is written as 64 hexadecimal digits")]
    Text,
    /// The signature is not this node's over this message.
    #[error("the signature does not fit")]
    Signature,
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
