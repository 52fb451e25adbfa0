//! The end that begins.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::config::{best_common, cipher_bit};
use super::mac::MacKey;
use super::payload::{self, Says, Seen};
use super::session::{self, Session};
use super::{Discard, Established, HandshakeConfig, HandshakeError, Mode};
use crate::crypto::identity::NodeId;
use crate::crypto::noise::NoiseState;
use crate::crypto::provider::Cipher;
use crate::error::Refusal;
use crate::rng::Rng;
use crate::wire::header::{
    LONG_HEADER_LEN, LongHeader, MIN_PACKET_SIZE, PacketType, TAG_LEN, VERSION_NONE,
};
use crate::wire::hello::{Hello, LISTED};
use crate::wire::id::{ConnectionId, Side};
use crate::wire::long::{COOKIE_LEN, COOKIE_OFFSET, VersionList, length_is_legal};
use crate::wire::params::Params;

/// A handshake that this node began and that waits for the answer.
///
/// ```text
///   start ──> Initiator ──(R2, or X2)──> Established
///                │  ▲ └──(refusal)────> Refused
///                │  └─── RETRY, once, before any VERSION: same Noise bytes, with the cookie
///                └─────── VERSION, once ──> Restart ──begin──> Initiator
/// ```
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Initiator {
    config: Arc<HandshakeConfig>,
    peer: Option<NodeId>,
    params: Params,
    header: LongHeader,
    noise: NoiseState,
    mac_key: MacKey,
    ephemeral: [u8; 32],
    /// The first packet, as it is to be sent now.
    packet: Vec<u8>,
    /// A RETRY was followed.
    retried: bool,
    /// What the VERSION that was followed listed.
    seen: Option<Seen>,
}

/// How a first packet is written.
struct Opening {
    version: u16,
    seen: Option<Seen>,
}

/// What became of a packet.
#[must_use]
pub enum InitiatorStep {
    /// The peer is who it says, and keys are there.
    Established {
        /// What the connection begins with.
        established: Box<Established>,
        /// In `XX`, the third packet: send it, and again whenever the second one comes again.
        reply: Option<Vec<u8>>,
    },
    /// The peer wants the cookie that it sent: send [`Initiator::datagram`] at once.
    Retry(Initiator),
    /// The peer speaks another version: begin again with that.
    OtherVersion(Restart),
    /// The peer said no, authenticated.
    Refused(Refusal),
    /// The peer answered, authenticated, and it cannot go on.
    Failed(HandshakeError),
    /// The packet was nothing; the machine is as before.
    Discarded(Initiator, Discard),
}

/// An attempt that must begin again, because the peer speaks another version.
#[derive(Clone)]
pub struct Restart {
    before: Initiator,
    version: u16,
    /// The peer's list, to be shown to it (spec R-HS-20).
    seen: Seen,
}

impl Initiator {
    /// Begins: with `IK` if the peer's id is known, with `XX` if not (spec R-HS-5).
    ///
    /// `scid` is the connection id that the peer's packets shall carry; it must not be zero.
    ///
    /// # Errors
    /// [`HandshakeError::SelfConnect`] if the peer is this node; nothing was done then.
    pub fn start(
        config: &Arc<HandshakeConfig>,
        peer: Option<NodeId>,
        scid: ConnectionId,
        params: &Params,
        rng: &mut Rng,
    ) -> Result<Self, HandshakeError> {
        let version = config.versions.list().iter().max().copied().unwrap_or_default();
        Self::begin(config, peer, scid, params, rng, Opening { version, seen: None })
    }

    fn begin(
        config: &Arc<HandshakeConfig>,
        peer: Option<NodeId>,
        scid: ConnectionId,
        params: &Params,
        rng: &mut Rng,
        opening: Opening,
    ) -> Result<Self, HandshakeError> {
        debug_assert_ne!(scid, ConnectionId::ZERO, "zero means: not known");
        let Opening { version, seen } = opening;
        let remote = peer.map(|peer| peer.montgomery());
        if remote.is_some_and(|remote| remote == *config.key.exchange_public()) {
            return Err(HandshakeError::SelfConnect);
        }
        let (mode, kind) =
            if peer.is_some() { (Mode::Ik, PacketType::I1) } else { (Mode::Xx, PacketType::X1) };
        let header = LongHeader { version, ..LongHeader::new(kind, scid, ConnectionId::ZERO) };
        let mut noise = session::noise(config, mode, Side::Initiator, &header, remote)?;
        let ephemeral = Zeroizing::new(rng.bytes::<32>());
        noise.set_ephemeral(*ephemeral);
        let says = Says {
            ciphers: config.ciphers.bits(),
            params: (mode == Mode::Ik).then_some(params),
            seen: seen.as_ref(),
            ..Says::nothing(header)
        };
        let mac_key = MacKey::new(&remote.unwrap_or_default(), &config.network);
        let (noise, packet) = payload::packet(config, noise, &says, &mac_key, 0)?;
        debug_assert_eq!(packet.len(), MIN_PACKET_SIZE);
        let ephemeral = config.provider.x25519_public(&ephemeral);
        Ok(Self {
            config: Arc::clone(config),
            peer,
            params: *params,
            header,
            noise,
            mac_key,
            ephemeral,
            packet,
            retried: false,
            seen,
        })
    }

    /// Appends the first packet: always the same bytes, until a RETRY adds its cookie.
    pub fn datagram(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.packet);
    }

    /// Whether the peer was known.
    pub const fn mode(&self) -> Mode {
        if self.peer.is_some() { Mode::Ik } else { Mode::Xx }
    }

    /// Who was dialled, where that is known.
    pub const fn peer(&self) -> Option<NodeId> {
        self.peer
    }

    /// This attempt's connection id: what answers are addressed to.
    pub const fn local_cid(&self) -> ConnectionId {
        self.header.scid
    }

    /// The ephemeral public key, as in the first packet.
    pub const fn ephemeral(&self) -> &[u8; 32] {
        &self.ephemeral
    }

    /// Takes a packet with a long header that is addressed to [`Self::local_cid`].
    pub fn on_packet(self, packet: &mut [u8]) -> InitiatorStep {
        match self.look(packet) {
            Ok(step) => step,
            Err(reason) => InitiatorStep::Discarded(self, reason),
        }
    }

    fn look(&self, packet: &mut [u8]) -> Result<InitiatorStep, Discard> {
        let header = LongHeader::decode(packet).map_err(|_| Discard::Header)?;
        if !length_is_legal(header.kind, packet.len()) {
            return Err(Discard::Length);
        }
        if header.dcid != self.header.scid {
            return Err(Discard::ConnectionId);
        }
        match (header.kind, self.mode()) {
            (PacketType::R2, Mode::Ik) | (PacketType::X2, Mode::Xx) => {
                self.on_answer(&header, packet)
            }
            (PacketType::Retry, _) => self.on_retry(&header, packet).map(InitiatorStep::Retry),
            (PacketType::Version, _) => {
                self.on_version(&header, packet).map(InitiatorStep::OtherVersion)
            }
            _ => Err(Discard::Header),
        }
    }

    fn on_answer(&self, header: &LongHeader, packet: &mut [u8]) -> Result<InitiatorStep, Discard> {
        let LongHeader { kind, scid, dcid, .. } = *header;
        if *header != (LongHeader { kind, scid, dcid, ..self.header }) {
            return Err(Discard::Header);
        }
        let (bytes, _) = self.mac_key.check(self.config.provider, packet)?;
        let message = bytes.get_mut(LONG_HEADER_LEN..).ok_or(Discard::Length)?;
        let (noise, plaintext) = self.noise.read(message, &mut self.config.psk(1))?;
        let hello = payload::read(plaintext, header)?;
        // All of it opened and belongs together: what is wrong from here on is final.
        Ok(self.conclude(header, noise, &hello).unwrap_or_else(InitiatorStep::Failed))
    }

    /// Judges an answer that opened.
    fn conclude(
        &self,
        header: &LongHeader,
        noise: NoiseState,
        hello: &Hello<'_>,
    ) -> Result<InitiatorStep, HandshakeError> {
        let config = &*self.config;
        let peer = payload::peer_of(config, &noise, hello)?;
        if self.peer.is_some_and(|dialled| dialled != peer) {
            return Err(HandshakeError::WrongPeer);
        }
        if let Some(refusal) = payload::refusal(hello.status)? {
            return Ok(InitiatorStep::Refused(refusal));
        }
        payload::agreement(config, &hello.versions, &hello.suites, header)
            .map_err(|_| HandshakeError::Downgrade)?;
        let cipher = config.ciphers.chosen(hello.ciphers);
        let cipher = cipher.ok_or(HandshakeError::Malformed("a cipher that was not offered"))?;
        let peer_params = payload::params(hello)?;
        if header.scid == ConnectionId::ZERO {
            return Err(HandshakeError::Malformed("no connection id"));
        }
        let (noise, reply) = match self.mode() {
            Mode::Ik => (noise, None),
            Mode::Xx => {
                let (noise, reply) = self.third(header, noise, cipher)?;
                (noise, Some(reply))
            }
        };
        let session = Session {
            side: Side::Initiator,
            peer,
            peer_params,
            local_cid: self.header.scid,
            peer_cid: header.scid,
            cipher,
            capabilities: config.capabilities & hello.capabilities,
            mode: self.mode(),
            initiator_ephemeral: self.ephemeral,
        };
        let established = Box::new(session.establish(&noise, &self.header)?);
        Ok(InitiatorStep::Established { established, reply })
    }

    /// Writes X3.
    fn third(
        &self,
        header: &LongHeader,
        noise: NoiseState,
        cipher: Cipher,
    ) -> Result<(NoiseState, Vec<u8>), HandshakeError> {
        let header = LongHeader { kind: PacketType::X3, dcid: header.scid, ..self.header };
        let says = Says {
            ciphers: cipher_bit(cipher),
            params: Some(&self.params),
            ..Says::nothing(header)
        };
        payload::packet(&self.config, noise, &says, &self.mac_key, 2)
    }

    fn on_retry(&self, header: &LongHeader, packet: &[u8]) -> Result<Self, Discard> {
        let config = &*self.config;
        let expected = LongHeader {
            kind: PacketType::Retry,
            scid: ConnectionId::ZERO,
            dcid: self.header.scid,
            ..self.header
        };
        if *header != expected {
            return Err(Discard::Header);
        }
        let bytes = self.mac_key.check_tag(config.provider, &self.mac(), packet)?;
        if self.retried {
            return Err(Discard::Again);
        }
        let cookie = bytes.get(COOKIE_OFFSET..).ok_or(Discard::Length)?;
        let mut next = self.clone();
        let covered = next.packet.len().saturating_sub(TAG_LEN);
        next.packet.truncate(covered);
        let place = next.packet.get_mut(COOKIE_OFFSET..).and_then(|rest| rest.first_chunk_mut());
        let place: &mut [u8; COOKIE_LEN] = place.ok_or(Discard::Length)?;
        *place = cookie.try_into().map_err(|_| Discard::Length)?;
        let mac = next.mac_key.mac(config.provider, &next.packet);
        next.packet.extend_from_slice(&mac);
        next.retried = true;
        Ok(next)
    }

    /// The mac of the first packet, as it is sent now.
    fn mac(&self) -> [u8; TAG_LEN] {
        self.packet.last_chunk().copied().unwrap_or_default()
    }

    fn on_version(&self, header: &LongHeader, packet: &[u8]) -> Result<Restart, Discard> {
        let expected = LongHeader {
            kind: PacketType::Version,
            version: VERSION_NONE,
            scid: ConnectionId::ZERO,
            dcid: self.header.scid,
            ..self.header
        };
        if *header != expected {
            return Err(Discard::Header);
        }
        let bytes = self.mac_key.check_tag(self.config.provider, &self.mac(), packet)?;
        let (count, list) = bytes
            .get(LONG_HEADER_LEN..)
            .and_then(<[u8]>::split_first)
            .filter(|(count, list)| list.len() == 2 * usize::from(**count))
            .ok_or(Discard::Length)?;
        if self.seen.is_some() {
            return Err(Discard::Again);
        }
        if !(1..=LISTED).contains(&usize::from(*count)) {
            return Err(Discard::NoVersion);
        }
        let mut theirs = [0; LISTED];
        for (to, from) in theirs.iter_mut().zip(VersionList::new(list).iter()) {
            *to = from;
        }
        let version = best_common(self.config.versions.list(), &theirs)
            .filter(|_| !theirs.contains(&self.header.version))
            .ok_or(Discard::NoVersion)?;
        Ok(Restart { before: self.clone(), version, seen: Seen(list.to_vec()) })
    }
}

impl Restart {
    /// The version that the attempt goes on with.
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Begins again, with a fresh key and the same connection id. The peer is told which list was
    /// seen, and refuses if it is not its own.
    ///
    /// # Errors
    /// None that [`Initiator::start`] did not already exclude.
    pub fn begin(self, rng: &mut Rng) -> Result<Initiator, HandshakeError> {
        let Self { before, version, seen } = self;
        let Initiator { config, peer, header, params, .. } = before;
        let opening = Opening { version, seen: Some(seen) };
        Initiator::begin(&config, peer, header.scid, &params, rng, opening)
    }
}

/// Whom it dials, and the attempt's connection id.
impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiator")
            .field("peer", &self.peer)
            .field("header", &self.header)
            .field("retried", &self.retried)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restart").field("version", &self.version).finish_non_exhaustive()
    }
}

impl fmt::Debug for InitiatorStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Established { established, .. } => established.fmt(f),
            Self::Retry(_) => f.write_str("Retry"),
            Self::OtherVersion(restart) => restart.fmt(f),
            Self::Refused(refusal) => write!(f, "Refused({refusal:?})"),
            Self::Failed(error) => write!(f, "Failed({error:?})"),
            Self::Discarded(_, reason) => write!(f, "Discarded({reason:?})"),
        }
    }
}
