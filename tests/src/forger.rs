//! First packets by somebody who has keys and Noise, and fills them with whatever it likes.
//!
//! What [`Initiator`](aqueduct_core::crypto::handshake::Initiator) would never write goes through
//! here: any header, any bytes as the payload, sealed as they should be and with the right mac.

use aqueduct_core::crypto::hkdf::noise_hkdf;
use aqueduct_core::crypto::identity::{NodeId, Sign};
use aqueduct_core::crypto::provider::{Cipher, Provider};
use aqueduct_core::wire::header::{LongHeader, PacketType};
use aqueduct_core::wire::long::{COOKIE_LEN, I1_PAYLOAD_LEN, X1_PAYLOAD_LEN};

use crate::raw::seal_first;

const NOISE: Provider = Provider::Rust;

/// Noise's symmetric state, as far as a first message takes it.
struct Noise {
    chaining_key: [u8; 32],
    hash: [u8; 32],
    key: [u8; 32],
}

impl Noise {
    fn new(name: &str, prologue: &[u8]) -> Self {
        let start = NOISE.sha256(&[name.as_bytes()]);
        let mut noise = Self { chaining_key: start, hash: start, key: [0; 32] };
        noise.mix_hash(prologue);
        noise
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.hash = NOISE.sha256(&[&self.hash, data]);
    }

    fn mix_key(&mut self, input: &[u8]) {
        [self.chaining_key, self.key] = noise_hkdf::<2>(NOISE, &self.chaining_key, input);
    }

    fn mix_secret(&mut self, secret: &[u8]) {
        let hash;
        [self.chaining_key, hash, self.key] = noise_hkdf::<3>(NOISE, &self.chaining_key, secret);
        self.mix_hash(&hash);
    }

    /// The first piece under a key: its nonce is zero.
    fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) {
        let mut sealed = plaintext.to_vec();
        let aead = NOISE.aead(Cipher::ChaCha20Poly1305, &self.key);
        let tag = aead.seal(&[0; 12], &self.hash, &mut sealed);
        sealed.extend_from_slice(&tag);
        self.mix_hash(&sealed);
        out.extend_from_slice(&sealed);
    }
}

/// A node without an endpoint. Every packet is an attempt of its own.
pub struct Forger {
    secret: [u8; 32],
    attempts: u64,
}

impl Forger {
    /// The node of this number.
    pub fn new(number: u8) -> Self {
        Self { secret: [number; 32], attempts: 0 }
    }

    /// Its id; the sign is a bit of the payload, and this one is for `false`.
    pub fn id(&self) -> NodeId {
        NodeId::from_montgomery(&NOISE.x25519_public(&self.secret), Sign::Positive)
            .expect("a point of the curve")
    }

    /// I1 (to a node that is known) or X1 with this header and this payload. As many bytes of
    /// payload as [`room`] says make a packet of lawful length.
    pub fn first(&mut self, header: &LongHeader, to: &NodeId, payload: &[u8]) -> Vec<u8> {
        self.attempts += 1;
        let ephemeral = NOISE.sha256(&[&self.secret, &self.attempts.to_be_bytes()]);
        let public = NOISE.x25519_public(&ephemeral);
        let (remote, known) = (to.montgomery(), header.kind == PacketType::I1);
        let mode = if known { 1 } else { 2 };
        let pattern = if known { "IKpsk0+psk2" } else { "XXpsk0+psk3" };
        let prologue = [
            &b"aqdt"[..],
            &header.version.to_be_bytes(),
            &[header.suite, mode],
            &NOISE.sha256(&[b""]),
            &header.encode(),
        ]
        .concat();
        let mut noise = Noise::new(&format!("Noise_{pattern}_25519_ChaChaPoly_SHA256"), &prologue);
        let mut packet = header.encode().to_vec();
        packet.extend_from_slice(&[0; COOKIE_LEN]);
        if known {
            noise.mix_hash(&remote);
        }
        noise.mix_secret(&[0; 32]);
        packet.extend_from_slice(&public);
        noise.mix_hash(&public);
        noise.mix_key(&public);
        if known {
            let agreed = |secret| NOISE.x25519(secret, &remote).expect("a key that is not weak");
            noise.mix_key(&agreed(&ephemeral));
            noise.seal(&NOISE.x25519_public(&self.secret), &mut packet);
            noise.mix_key(&agreed(&self.secret));
        }
        noise.seal(payload, &mut packet);
        packet.extend_from_slice(&[0; 16]);
        seal_first(&mut packet, known.then_some(&remote));
        packet
    }
}

/// Bytes of payload in a first packet.
pub fn room(kind: PacketType) -> usize {
    if kind == PacketType::I1 { I1_PAYLOAD_LEN } else { X1_PAYLOAD_LEN }
}
