//! Both ends of a connection's keys, and every packet that was ever sealed: any of them may come at
//! any time, any number of times, damaged or not.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use arbitrary::Arbitrary;

use crate::crypto::keys::{Discard, KeyPhase, OpenError, PacketKeys, SealError};
use crate::crypto::limits::{CLOSE_RESERVE, KeyLimits};
use crate::crypto::provider::{Cipher, Provider};
use crate::crypto::secrets::Secrets;
use crate::fingerprint::Fingerprint;
use crate::script;
use crate::time::Instant;
use crate::wire::header::{SHORT_HEADER_LEN, SHORT_OVERHEAD, TAG_LEN};
use crate::wire::id::{PacketNumber, Side};

/// Packets under one key before an update is wanted, and before nothing more is sealed.
const SOFT: u64 = 3;
const HARD: u64 = 40;
const PTO: Duration = Duration::from_millis(20);

/// One thing that happens. `from` is the initiator where it is true; packets count back from the
/// latest of theirs.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "who, and which")]
pub enum Op {
    /// A packet is sealed; it acknowledges the largest number that its sender opened.
    Seal { from: bool },
    /// The same for a goodbye, which may use the last packets of a key.
    SealClose { from: bool },
    /// A packet number is left out.
    Skip { from: bool },
    /// A packet comes.
    Deliver { from: bool, back: u8 },
    /// A packet comes with a flipped bit.
    Flip { from: bool, back: u8, bit: u16 },
    /// A packet comes with its end cut off.
    Cut { from: bool, back: u8, len: u16 },
    /// The handshake is confirmed.
    Confirm { from: bool },
    /// The replay window is to cover so many numbers.
    Grow { from: bool, packets: u16 },
    /// So many milliseconds pass.
    Wait(u8),
}

/// A cipher and what happens.
#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    /// AES-256-GCM, or else ChaCha20-Poly1305.
    pub aes: bool,
    /// What happens.
    #[arbitrary(with = script::rest)]
    pub ops: Vec<Op>,
}

struct Sealed {
    number: u64,
    phase: u64,
    payload: [u8; 8],
    bytes: Vec<u8>,
}

/// One end, with what it sealed and which numbers of the other's it opened.
struct End {
    keys: PacketKeys,
    sealed: Vec<Sealed>,
    opened: BTreeSet<u64>,
    in_phase: u64,
}

struct Pair {
    initiator: End,
    responder: End,
    now: Instant,
}

/// Plays a script.
///
/// # Panics
///
/// If a packet opens twice, or not although it must, or to something else than was sealed; if what
/// is not genuine changes anything but a counter; or if honest ends find fault with each other.
pub fn run(script: &Script) {
    let cipher = if script.aes { Cipher::Aes256Gcm } else { Cipher::ChaCha20Poly1305 };
    let limits = KeyLimits::default();
    let limits = limits.with_soft_packets(SOFT).and_then(|limits| limits.with_hard_packets(HARD));
    let Ok(limits) = limits else { return };
    let end = |side| {
        let secrets = Secrets { i2r: [1; 32], r2i: [2; 32], exporter: [3; 32] };
        let keys = PacketKeys::new(Provider::Rust, cipher, side, &secrets, limits);
        End { keys, sealed: Vec::new(), opened: BTreeSet::new(), in_phase: 0 }
    };
    let (initiator, responder) = (end(Side::Initiator), end(Side::Responder));
    let mut pair = Pair { initiator, responder, now: Instant::from_nanos(1) };
    script.ops.iter().for_each(|op| pair.step(*op));
}

impl Pair {
    /// Who sends, and who gets it.
    fn ends(&mut self, from: bool) -> (&mut End, &mut End) {
        let Self { initiator, responder, .. } = self;
        if from { (initiator, responder) } else { (responder, initiator) }
    }

    fn step(&mut self, op: Op) {
        let now = self.now;
        match op {
            Op::Seal { from } => self.ends(from).0.seal(false, now),
            Op::SealClose { from } => self.ends(from).0.seal(true, now),
            Op::Skip { from } => {
                let keys = &mut self.ends(from).0.keys;
                let next = keys.next_number();
                assert_eq!(keys.skip_number(), next);
                assert_eq!(keys.next_number(), PacketNumber(next.0 + 1));
            }
            Op::Deliver { from, back } => {
                let (sender, receiver) = self.ends(from);
                if let Some(packet) = sender.back(back) {
                    receiver.open(packet, now);
                }
            }
            Op::Flip { from, back, bit } => {
                let (sender, receiver) = self.ends(from);
                let Some(packet) = sender.back(back) else { return };
                let mut bytes = packet.bytes.clone();
                let bit = usize::from(bit) % (bytes.len() * 8);
                bytes.iter_mut().skip(bit / 8).take(1).for_each(|byte| *byte ^= 1 << (bit % 8));
                receiver.refuse(bytes, now);
            }
            Op::Cut { from, back, len } => {
                let (sender, receiver) = self.ends(from);
                let Some(packet) = sender.back(back) else { return };
                let len = usize::from(len) % packet.bytes.len();
                receiver.refuse(packet.bytes.iter().copied().take(len).collect(), now);
            }
            Op::Confirm { from } => self.ends(from).0.keys.on_confirmed(),
            Op::Grow { from, packets } => self.ends(from).0.keys.grow_window_to(packets.into()),
            Op::Wait(ms) => self.now = now + Duration::from_millis(ms.into()),
        }
        let [a, b] = [&self.initiator.keys, &self.responder.keys];
        for (one, other) in [(a, b), (b, a)] {
            assert!(one.send_phase() >= one.receive_phase(), "it does not follow");
            assert!(one.send_phase().0 <= other.receive_phase().0 + 1, "two updates at once");
        }
    }
}

impl End {
    fn back(&self, back: u8) -> Option<&Sealed> {
        let back = usize::from(back).checked_rem(self.sealed.len())?;
        self.sealed.iter().nth_back(back)
    }

    fn seal(&mut self, close: bool, now: Instant) {
        let expected = self.keys.next_number();
        let largest = self.opened.last().map_or(0, |largest| largest + 1);
        let payload = largest.to_be_bytes();
        let mut bytes = vec![0xee; SHORT_OVERHEAD + payload.len()];
        let place = bytes.iter_mut().skip(SHORT_HEADER_LEN);
        place.zip(payload).for_each(|(to, from)| *to = from);
        let before = self.keys.send_phase();
        let sealed = if close {
            self.keys.seal_close(&mut bytes, now)
        } else {
            self.keys.seal(&mut bytes, now)
        };
        let phase = self.keys.send_phase();
        if phase != before {
            assert!(self.in_phase >= SOFT || before != self.keys.receive_phase());
            self.in_phase = 0;
        }
        match sealed {
            Ok(number) => {
                assert_eq!(number, expected, "a number of its own");
                self.in_phase += 1;
                assert!(self.in_phase <= if close { HARD } else { HARD - CLOSE_RESERVE });
                self.sealed.push(Sealed { number: number.0, phase: phase.0, payload, bytes });
            }
            Err(error) => {
                assert_eq!(error, SealError::AeadLimit);
                assert!(self.in_phase >= if close { HARD } else { HARD - CLOSE_RESERVE });
            }
        }
    }

    /// A packet of the honest other end.
    fn open(&mut self, packet: &Sealed, now: Instant) {
        let Sealed { number, phase, payload, bytes } = packet;
        let (before, end) = (self.keys.receive_phase(), self.keys.send_phase());
        let next = self.opened.last().map_or(0, |largest| largest + 1);
        let covered = number + self.keys.window_capacity() >= next;
        let again = self.opened.contains(number);
        let mut bytes = bytes.clone();
        match self.keys.open(&mut bytes, PTO, now) {
            Ok(opened) => {
                assert!(!again, "{number} opened twice");
                assert_eq!(
                    (opened.number, opened.phase),
                    (PacketNumber(*number), KeyPhase(*phase))
                );
                assert_eq!(opened.payload, payload);
                let carried = opened.phase;
                self.opened.insert(*number);
                let acked = u64::from_be_bytes(*payload).checked_sub(1).map(PacketNumber);
                let fine = acked.map(|acked| self.keys.on_ack(acked, carried));
                assert!(!matches!(fine, Some(Err(_))), "an honest ACK is refused");
            }
            Err(OpenError::Discarded(Discard::Replayed)) => assert!(again),
            Err(OpenError::Discarded(Discard::BelowWindow)) => assert!(!covered || again),
            Err(OpenError::Discarded(Discard::OldPhase | Discard::Failed)) => {
                assert!(*phase < before.0, "{number} of phase {phase} does not open in {before:?}");
            }
            Err(error) => assert_eq!(error, Discard::OldPhase.into(), "{number} is refused"),
        }
        if self.keys.send_phase() != end {
            self.in_phase = 0;
        }
    }

    /// A packet that nobody sealed.
    fn refuse(&mut self, mut bytes: Vec<u8>, now: Instant) {
        let before = self.keys.clone();
        let sealed = bytes.clone();
        let refused = self.keys.open(&mut bytes, PTO, now).map(|_| ());
        let expected = matches!(
            refused,
            Err(OpenError::Discarded(Discard::NotData | Discard::Failed | Discard::OldPhase))
        );
        assert!(expected, "{refused:?}");
        let tag = bytes.len().saturating_sub(TAG_LEN);
        assert_eq!(bytes.get(tag..), sealed.get(tag..), "the tag was touched");
        assert_ne!(self.keys.counters(), before.counters(), "it is counted");
        // Beside that, only a key whose time has passed may be gone.
        let [before, after] = [&before, &self.keys].map(|keys| keys.places(now).fingerprint());
        assert_eq!(after, before, "what was nothing left a trace");
    }
}
