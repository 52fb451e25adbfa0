//! Bytes to values and back: everything that stands on the wire, and nothing else.
//!
//! This room keeps no state, reads no time and holds no keys. A datagram is first *classified* by
//! its outer bytes; what a packet protects is a run of *frames*, decoded one by one and borrowed
//! from the buffer that they came in. The other way round, a packet is *written* into the caller's
//! buffer: parts offer frames to a [`packet::PacketWriter`], which takes each whole or not at all,
//! and keeps the receipts by which their owners later learn what became of them.
//!
//! ```text
//!            ┌ Long ─▶ long::LongPacket ─▶ (crypto opens) ─▶ hello::Hello ─▶ params::Params
//! datagram ──┤ Short ─▶ (crypto opens) ─▶ frame::frames ─▶ Frame, Frame, ...
//! (header::  └ Other ─▶ somebody else's
//!  classify)
//!
//! Frame ─▶ packet::PacketWriter ─▶ buffer      (crypto seals)
//!                    └──────────▶ SentFrame, one receipt for each frame that somebody owns
//! ```
//!
//! Any bytes give a value or a [`codec::DecodeError`]; nothing here panics, allocates by what a
//! peer declares, or takes more than linear time. Encoders write exactly what the decoders read:
//! the length of a value is counted by the code that writes it.
//!
//! Used by every room above. The layouts are specified in `spec/01-packets.md` and
//! `spec/04-frames.md`; `spec/vectors/` holds one golden example of each.

pub mod ack;
pub mod capabilities;
pub mod codec;
mod decode;
mod encode;
pub mod frame;
#[cfg(any(test, feature = "arbitrary"))]
mod generate;
pub mod header;
pub mod hello;
pub mod id;
pub mod kind;
pub mod long;
pub mod open;
pub mod packet;
pub mod params;
pub mod protocol;
pub mod route;
pub mod rules;
pub mod varint;

#[cfg(test)]
mod frame_tests;
#[cfg(test)]
pub(crate) mod vectors_tests;
