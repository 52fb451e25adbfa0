//! One short value for the whole state of a machine, for explorers and tests.
//!
//! Two machines that were made alike and got the same operations have the same fingerprint; one
//! operation more that can ever be noticed from outside, and it is another. A machine says what its
//! state is by [`Hash`], derived where all of it is plain; what holds the keys of a connection says
//! by hand what follows from them. The bytes fed are the same on every platform, and the way back
//! from a fingerprint to a secret is SHA-256's.
//!
//! ```
//! use aqueduct_core::fingerprint::Fingerprint;
//! use aqueduct_core::stream::Assembler;
//!
//! let mut one = Assembler::new();
//! let mut other = one.clone();
//! one.insert(3, b"abc", 10);
//! assert_ne!(one.fingerprint(), other.fingerprint());
//! other.insert(3, b"abc", 10);
//! assert_eq!(one.fingerprint(), other.fingerprint());
//! ```

use core::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

/// A machine whose state has a fingerprint: all that are [`Hash`].
pub trait Fingerprint {
    /// SHA-256 of the state.
    fn fingerprint(&self) -> [u8; 32];
}

impl<T: Hash + ?Sized> Fingerprint for T {
    fn fingerprint(&self) -> [u8; 32] {
        let mut bytes = Bytes(Sha256::new());
        self.hash(&mut bytes);
        bytes.0.finalize().into()
    }
}

/// Integers as little-endian bytes of a fixed width, whatever the machine's own are.
struct Bytes(Sha256);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn write_u16(&mut self, value: u16) {
        self.write(&value.to_le_bytes());
    }

    fn write_u32(&mut self, value: u32) {
        self.write(&value.to_le_bytes());
    }

    fn write_u64(&mut self, value: u64) {
        self.write(&value.to_le_bytes());
    }

    fn write_u128(&mut self, value: u128) {
        self.write(&value.to_le_bytes());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_i16(&mut self, value: i16) {
        self.write_u16(value.cast_unsigned());
    }

    fn write_i32(&mut self, value: i32) {
        self.write_u32(value.cast_unsigned());
    }

    fn write_i64(&mut self, value: i64) {
        self.write_u64(value.cast_unsigned());
    }

    fn write_isize(&mut self, value: isize) {
        self.write_i64(value as i64);
    }

    /// A fingerprint has more than this: see [`Fingerprint`].
    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

#[cfg(test)]
#[path = "fingerprint_tests.rs"]
mod tests;
