//! Seals packets as the rules say, and as they do not: any number, any phase, any reserved bit.

use aqueduct_core::crypto::hkdf::derive;
use aqueduct_core::crypto::provider::{AeadKey, Cipher, HeaderKey, Provider};
use aqueduct_core::wire::id::ConnectionId;

/// One direction's keys, without the guards of `PacketKeys`.
#[derive(Clone)]
pub struct Sealer {
    provider: Provider,
    cipher: Cipher,
    secret: [u8; 32],
    aead: AeadKey,
    iv: [u8; 12],
    header: HeaderKey,
    phase: bool,
    /// Put into the first byte beside form and phase.
    pub reserved: u8,
}

const HEADER: usize = 13;
const KEY_PHASE: u8 = 0x20;

impl Sealer {
    /// From the secret of phase 0.
    pub fn new(provider: Provider, cipher: Cipher, secret: [u8; 32]) -> Self {
        let header = provider.header_key(cipher, &derive(provider, &secret, b"hp"));
        let aead = provider.aead(cipher, &derive(provider, &secret, b"key"));
        let iv = derive(provider, &secret, b"iv");
        Self { provider, cipher, secret, aead, iv, header, phase: false, reserved: 0 }
    }

    /// Goes to the next phase.
    pub fn update(&mut self) {
        self.secret = derive(self.provider, &self.secret, b"ku");
        self.aead = self.provider.aead(self.cipher, &derive(self.provider, &self.secret, b"key"));
        self.iv = derive(self.provider, &self.secret, b"iv");
        self.phase = !self.phase;
    }

    /// A datagram with `plaintext` as its frames.
    pub fn seal(&self, dcid: ConnectionId, number: u64, plaintext: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x40 | self.reserved | if self.phase { KEY_PHASE } else { 0 }];
        packet.extend_from_slice(&dcid.0);
        packet.extend_from_slice(&(number as u32).to_be_bytes());
        let mut nonce = self.iv;
        nonce.iter_mut().skip(4).zip(number.to_be_bytes()).for_each(|(to, from)| *to ^= from);
        let mut body = plaintext.to_vec();
        let tag = self.aead.seal(&nonce, &packet, &mut body);
        packet.append(&mut body);
        packet.extend_from_slice(&tag);
        let sample = packet.get(HEADER..HEADER + 16).and_then(|s| s.try_into().ok());
        let mask = self.header.mask(sample.expect("a tag is there"));
        packet.iter_mut().take(1).for_each(|first| *first ^= mask[0] & 0x3f);
        let place = packet.iter_mut().skip(9).take(4);
        place.zip(mask.into_iter().skip(1)).for_each(|(to, from)| *to ^= from);
        packet
    }
}
