//! The `crypto` room: who is at the other end, and how what they say is kept secret and whole.
//!
//! The room has two halves. The *handshake half* turns two node ids and a network secret into three
//! secrets; the *key half* turns those secrets into protected packets and never lets go of them.
//! Nothing here does I/O, reads a clock or draws randomness: keys, times and random bytes are
//! arguments, so every byte that leaves the room can be produced again.
//!
//! ```text
//!  handshake half                              key half
//!  ┌──────────────────────────┐   Secrets      ┌────────────────────────────────────────┐
//!  │ identity   who is who    │  i2r, r2i,     │ keys     seal / open, key update       │
//!  │ transcript Noise, pure   ├───exporter────►│  ├─ phases   one key per phase and way │
//!  │ initiator, responder     │                │  ├─ replay   each number once          │
//!  └────────────┬─────────────┘                │  └─ limits   how long a key may live   │
//!               │                              └───────────────────┬────────────────────┘
//!               │            ┌──────────────────────────┐          │
//!               └───────────►│ provider  the only place │◄─────────┘
//!                            │ that names cipher crates │
//!                            └──────────────────────────┘
//!  stateless, for the endpoint:  cookie (retry), reset (tokens), cid (ids that need no table)
//! ```
//!
//! *Who uses it.* The connection holds one [`keys::PacketKeys`] and passes every datagram through
//! it; the endpoint routes by [`cid::CidCodec`], answers floods with [`cookie::CookieKeys`] and
//! packets of dead connections with [`reset::ResetKey`].
//!
//! *The seam.* [`provider::Provider`] is a value, chosen once; keys are enums over what is compiled
//! in. No type parameter and no cipher crate's type leaves the room.
//!
//! The rules stand in `spec/02-handshake.md` (R-HS) and `spec/03-keys.md` (R-KEY).

pub mod cid;
pub mod cookie;
mod counters;
pub mod handshake;
pub mod hkdf;
pub mod identity;
#[cfg(feature = "keylog")]
pub mod keylog;
pub mod keys;
pub mod limits;
mod noise;
#[cfg(any(test, feature = "arbitrary"))]
pub mod ops;
mod phases;
pub mod provider;
pub mod replay;
pub mod reset;
pub mod secrets;
mod transcript;
mod updates;

#[cfg(test)]
mod sealed_vectors_tests;
#[cfg(test)]
pub(crate) mod test_support;
