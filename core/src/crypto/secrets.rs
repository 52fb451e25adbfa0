//! What a handshake leaves behind.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The three outputs of the last Noise HKDF of a handshake (spec R-KEY-1): all that the key half
/// needs. Wiped on drop, never printed, consumed by [`super::keys::PacketKeys::new`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Secrets {
    /// Protects what the initiator sends.
    pub i2r: [u8; 32],
    /// Protects what the responder sends.
    pub r2i: [u8; 32],
    /// Root of what the application may derive.
    pub exporter: [u8; 32],
}
