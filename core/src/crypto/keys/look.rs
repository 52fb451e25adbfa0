//! Reading packets without taking part: what a replayed endpoint sent, and what came to it.
//!
//! Nothing is counted, no window moves and no key is changed. Only the room `trace` asks, of an
//! endpoint that it replays and whose seed it was given.

use alloc::vec::Vec;

use super::{Header, KeyPhase, PacketKeys, Parts, SendPhases};
use crate::wire::id::PacketNumber;

/// A packet that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Its full number.
    pub(crate) number: PacketNumber,
    /// Under which keys it went.
    pub(crate) phase: KeyPhase,
    /// Its frames.
    pub(crate) payload: Vec<u8>,
}

/// The keys of one phase of sending, kept to read what they sealed when others have taken over: in
/// the middle of a batch they may.
#[derive(Clone)]
pub(crate) struct Sealing {
    send: SendPhases,
}

impl Sealing {
    /// Updates before them.
    pub(crate) const fn phase(&self) -> u64 {
        self.send.phase
    }

    /// A packet that they sealed.
    pub(crate) fn look(&self, datagram: &[u8]) -> Option<Looked> {
        look_at_sent(&self.send, datagram)
    }
}

fn look_at_sent(send: &SendPhases, datagram: &[u8]) -> Option<Looked> {
    let mut copy = datagram.to_vec();
    let parts = Parts::of(&mut copy)?;
    let header = Header::unprotected(*parts.header, send.header_key.mask(&parts.sample));
    let number = PacketNumber::expand(header.number, PacketNumber(send.next));
    let current = u64::from(header.phase_bit()) == send.phase & 1;
    let key = send.key();
    let opened =
        key.aead.open(&key.nonce(number.0), &header.bytes, parts.payload, parts.tag).is_ok();
    let payload = parts.payload.to_vec();
    (current && opened).then_some(Looked { number, phase: KeyPhase(send.phase), payload })
}

impl PacketKeys {
    /// A packet that these keys sealed, as long as its phase is the current one.
    pub(crate) fn look_at_sent(&self, datagram: &[u8]) -> Option<Looked> {
        look_at_sent(&self.send, datagram)
    }

    /// The keys that seal now.
    pub(crate) fn sealing(&self) -> Sealing {
        Sealing { send: self.send.clone() }
    }

    /// A packet that these keys open, or opened a moment ago.
    pub(crate) fn look_at_received(&self, datagram: &[u8]) -> Option<Looked> {
        let mut copy = datagram.to_vec();
        let parts = Parts::of(&mut copy)?;
        let mask = self.receive.header_key.mask(&parts.sample);
        let header = Header::unprotected(*parts.header, mask);
        let expected = PacketNumber(self.window.next_expected());
        let number = PacketNumber::expand(header.number, expected);
        let (choice, key) = self.receive.choose(header.phase_bit(), number.0)?;
        let nonce = key.nonce(number.0);
        key.aead.open(&nonce, &header.bytes, parts.payload, parts.tag).ok()?;
        let phase = KeyPhase(choice.phase(self.receive.phase));
        Some(Looked { number, phase, payload: parts.payload.to_vec() })
    }
}
