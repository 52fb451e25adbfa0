//! Connection ids that need no table.
//!
//! An id says where its connection is: which shard of the node, which slot of the endpoint, which
//! generation of the slot and which of the connection's ids it is. So that nobody else reads or
//! guesses that, the 64 bits pass through a block cipher under a key of the node: Speck64/128, a
//! permutation of exactly 64 bits. Sixteen of the bits are fixed; an id that somebody made up is
//! refused with probability 1 - 2^-16 before anything is looked up, and costs one failed open at
//! most otherwise. Nothing but routing rests on this: packets are authenticated by their own keys.
//!
//! ```text
//!  63   58 57            40 39          24 23    16 15             0
//!  ├shard─┼────── slot ─────┼─ generation ──┼ index ─┼──── check ────┤ ── Speck64/128 ──► 8 bytes
//! ```

use core::fmt;

use speck_cipher::Speck64_128;
use speck_cipher::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use crate::rng::Rng;
use crate::wire::id::ConnectionId;

/// What a connection id of this node says (spec R-KEY-36).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CidFields {
    shard: u8,
    slot: u32,
    generation: u16,
    index: u8,
}

impl CidFields {
    /// Shards of a node: 6 bits.
    pub const SHARDS: u32 = 1 << 6;
    /// Slots of an endpoint: 18 bits.
    pub const SLOTS: u32 = 1 << 18;

    /// The fields, or `None` if `shard` or `slot` has no room in its bits.
    pub const fn new(shard: u8, slot: u32, generation: u16, index: u8) -> Option<Self> {
        if shard as u32 >= Self::SHARDS || slot >= Self::SLOTS {
            return None;
        }
        Some(Self { shard, slot, generation, index })
    }

    /// Which endpoint of the node, below [`Self::SHARDS`].
    pub const fn shard(self) -> u8 {
        self.shard
    }

    /// Which slot of the endpoint, below [`Self::SLOTS`].
    pub const fn slot(self) -> u32 {
        self.slot
    }

    /// How often the slot was used before, modulo 2^16.
    pub const fn generation(self) -> u16 {
        self.generation
    }

    /// The sequence number of the id in its connection, modulo 2^8.
    pub const fn index(self) -> u8 {
        self.index
    }

    const fn pack(self) -> u64 {
        (self.shard as u64) << 58
            | (self.slot as u64) << 40
            | (self.generation as u64) << 24
            | (self.index as u64) << 16
            | CHECK
    }

    const fn unpack(bits: u64) -> Option<Self> {
        if bits & 0xffff != CHECK {
            return None;
        }
        Some(Self {
            shard: (bits >> 58) as u8,
            slot: (bits >> 40) as u32 & (Self::SLOTS - 1),
            generation: (bits >> 24) as u16,
            index: (bits >> 16) as u8,
        })
    }
}

/// Turns fields into connection ids and back, under one key.
///
/// The id of all zeros means "not known yet" on the wire and must never be produced. Under a given
/// key exactly one 64-bit value becomes all zeros; a key under which that value carries the check,
/// and so could be asked for, is not used (one key in 65,536).
///
/// # Example
///
/// ```
/// use aqueduct_core::crypto::cid::{CidCodec, CidFields};
/// use aqueduct_core::rng::{Rng, Seed};
///
/// let codec = CidCodec::new(&mut Rng::new(&Seed::from_u64(1)).fork("cid key"));
/// let fields = CidFields::new(0, 17, 3, 1).unwrap();
/// let cid = codec.encode(fields);
/// assert_eq!(codec.decode(cid), Some(fields));
/// ```
#[derive(Clone)]
pub struct CidCodec(Speck64_128);

impl CidCodec {
    /// A codec under a key drawn from `rng`, a secret fork.
    pub fn new(rng: &mut Rng) -> Self {
        loop {
            if let Some(codec) = Self::with_key(&rng.bytes()) {
                return codec;
            }
        }
    }

    /// A codec under this key, or `None` if the key could produce the id of all zeros.
    pub fn with_key(key: &[u8; 16]) -> Option<Self> {
        let codec = Self(Speck64_128::new(key.into()));
        codec.decode(ConnectionId::ZERO).is_none().then_some(codec)
    }

    /// The id that says this.
    pub fn encode(&self, fields: CidFields) -> ConnectionId {
        let mut block = fields.pack().to_be_bytes().into();
        self.0.encrypt_block(&mut block);
        ConnectionId(block.into())
    }

    /// What the id says, or `None` if it was not made under this key.
    pub fn decode(&self, cid: ConnectionId) -> Option<CidFields> {
        let mut block = cid.0.into();
        self.0.decrypt_block(&mut block);
        CidFields::unpack(u64::from_be_bytes(block.into()))
    }
}

/// What it makes of the first id.
#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for CidCodec {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        let first = CidFields::new(0, 0, 0, 0).map(|fields| self.encode(fields));
        first.hash(state);
    }
}

/// Says only that it is a codec.
impl fmt::Debug for CidCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CidCodec")
    }
}

/// The fixed bits (spec R-KEY-36).
const CHECK: u64 = 0;

#[cfg(test)]
#[path = "cid_tests.rs"]
mod tests;
