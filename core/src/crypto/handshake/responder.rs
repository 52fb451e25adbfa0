//! The end that answers.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::config::{Strangers, cipher_bit};
use super::payload::{self, Says};
use super::session::{self, Session};
use super::{Discard, Established, HandshakeConfig, HandshakeError, Mode};
use crate::crypto::cookie::Cookie;
use crate::crypto::identity::NodeId;
use crate::crypto::noise::NoiseState;
use crate::crypto::provider::Cipher;
use crate::error::Refusal;
use crate::rng::Rng;
use crate::wire::header::{
    LONG_HEADER_LEN, LongHeader, PacketType, SUITE_1, TAG_LEN, VERSION_NONE,
};
use crate::wire::hello::{Hello, LISTED};
use crate::wire::id::{ConnectionId, Side};
use crate::wire::long::{COOKIE_LEN, KEY_LEN, length_is_legal};
use crate::wire::params::Params;

/// A first packet whose mac is right. Nothing else of it was looked at, and nothing is remembered.
#[derive(Debug)]
pub enum Arrival<'p> {
    /// In a version that this node speaks.
    First(First<'p>),
    /// In another.
    OtherVersion(OtherVersion),
}

/// Looks at a first packet for the cost of a hash: length, header, mac (spec R-HS-8, R-HS-13).
///
/// # Errors
/// Why nothing is to be done and nothing to be answered.
pub fn check_mac<'p>(
    config: &HandshakeConfig,
    packet: &'p mut [u8],
) -> Result<Arrival<'p>, Discard> {
    let header = LongHeader::decode(packet).map_err(|_| Discard::Header)?;
    let mode = match header.kind {
        PacketType::I1 => Mode::Ik,
        PacketType::X1 => Mode::Xx,
        _ => return Err(Discard::Header),
    };
    if !length_is_legal(header.kind, packet.len()) {
        return Err(Discard::Length);
    }
    if header.dcid != ConnectionId::ZERO || header.scid == ConnectionId::ZERO {
        return Err(Discard::ConnectionId);
    }
    if mode == Mode::Xx && config.strangers == Strangers::Ignore {
        return Err(Discard::Stranger);
    }
    let (bytes, mac) = config.mac_key(mode).check(config.provider, packet)?;
    if header.version == VERSION_NONE || !config.versions.list().contains(&header.version) {
        return Ok(Arrival::OtherVersion(OtherVersion { header, mode, mac }));
    }
    if header.part != 0 || header.suite != SUITE_1 {
        return Err(Discard::Header);
    }
    Ok(Arrival::First(First { header, mode, bytes, mac }))
}

/// A first packet with a right mac, in a version that this node speaks.
pub struct First<'p> {
    header: LongHeader,
    mode: Mode,
    /// All but the mac.
    bytes: &'p mut [u8],
    mac: [u8; TAG_LEN],
}

impl First<'_> {
    /// Whether the sender knows this node's id.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The sender's connection id. Together with its address and [`Self::ephemeral`] it names the
    /// attempt: what comes again with all three is the same packet sent again.
    pub const fn scid(&self) -> ConnectionId {
        self.header.scid
    }

    /// The sender's ephemeral public key.
    pub fn ephemeral(&self) -> [u8; 32] {
        self.array(LONG_HEADER_LEN + COOKIE_LEN)
    }

    /// The cookie, or [`Cookie::NONE`].
    pub fn cookie(&self) -> Cookie {
        Cookie(self.array(LONG_HEADER_LEN))
    }

    /// Appends the RETRY that asks for the same packet with `cookie` (spec R-HS-25). Keeps nothing.
    pub fn retry(&self, config: &HandshakeConfig, cookie: &Cookie, out: &mut Vec<u8>) {
        let header = LongHeader {
            kind: PacketType::Retry,
            scid: ConnectionId::ZERO,
            dcid: self.header.scid,
            ..self.header
        };
        let start = out.len();
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(&cookie.0);
        append_tag(config, self.mode, &self.mac, start, out);
    }

    /// Opens the packet: the first curve operations of the handshake, two in `IK`, none yet in
    /// `XX`.
    ///
    /// # Errors
    /// Why nothing is to be answered.
    pub fn open(self, config: &Arc<HandshakeConfig>) -> Result<Offer, Discard> {
        let initiator_ephemeral = self.ephemeral();
        let Self { header, mode, bytes, .. } = self;
        let message = bytes.get_mut(LONG_HEADER_LEN + COOKIE_LEN..).ok_or(Discard::Length)?;
        let noise = session::noise(config, mode, Side::Responder, &header, None)?;
        let (noise, plaintext) = noise.read(message, &mut config.psk(0))?;
        let hello = payload::read(plaintext, &header)?;
        let known = match mode {
            Mode::Ik => {
                let peer = payload::peer_of(config, &noise, &hello)?;
                Some((peer, payload::params(&hello)?))
            }
            Mode::Xx if hello.params.is_some() => return Err(Discard::Payload),
            Mode::Xx => None,
        };
        let verdict = payload::verdict(config, &hello, &header);
        let pending = Pending {
            config: Arc::clone(config),
            header,
            mode,
            initiator_ephemeral,
            versions: hello.versions,
            suites: hello.suites,
            capabilities: hello.capabilities,
            noise,
        };
        Ok(match (verdict, known) {
            (Err(reason), _) => Offer::Unacceptable(Unacceptable { pending, reason }),
            (Ok(cipher), Some((peer, params))) => {
                Offer::Ik(IkOffer { pending, cipher, peer, params })
            }
            (Ok(cipher), None) => Offer::Xx(XxOffer { pending, cipher }),
        })
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let bytes = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        bytes.copied().unwrap_or([0; N])
    }
}

/// A first packet in a version that this node does not speak.
#[derive(Clone, Debug)]
pub struct OtherVersion {
    header: LongHeader,
    mode: Mode,
    mac: [u8; TAG_LEN],
}

impl OtherVersion {
    /// Appends the VERSION packet that lists what this node speaks (spec R-HS-19). Keeps nothing.
    pub fn reply(&self, config: &HandshakeConfig, out: &mut Vec<u8>) {
        let header = LongHeader {
            kind: PacketType::Version,
            part: 0,
            version: VERSION_NONE,
            suite: SUITE_1,
            scid: ConnectionId::ZERO,
            dcid: self.header.scid,
        };
        let versions = config.versions.list().iter().filter(|version| **version != 0);
        let start = out.len();
        out.extend_from_slice(&header.encode());
        out.push(u8::try_from(versions.clone().count()).unwrap_or_default());
        out.extend(versions.flat_map(|version| version.to_be_bytes()));
        append_tag(config, self.mode, &self.mac, start, out);
    }
}

/// Appends the tag of the RETRY or VERSION that begins at `start`.
fn append_tag(
    config: &HandshakeConfig,
    mode: Mode,
    answered: &[u8; TAG_LEN],
    start: usize,
    out: &mut Vec<u8>,
) {
    let bytes = out.get(start..).unwrap_or_default();
    let tag = config.mac_key(mode).tag(config.provider, answered, bytes);
    out.extend_from_slice(&tag);
}

/// A first packet that opened: what somebody wants of this node. Answered once, or dropped in
/// silence.
#[derive(Debug)]
pub enum Offer {
    /// From a node that knows this one, and has proven who it is.
    Ik(IkOffer),
    /// From a node that does not know this one; who it is comes with its next packet.
    Xx(XxOffer),
    /// Of something that this node cannot do: it can only be refused.
    Unacceptable(Unacceptable),
}

/// A handshake after its first message.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Pending {
    config: Arc<HandshakeConfig>,
    header: LongHeader,
    mode: Mode,
    initiator_ephemeral: [u8; KEY_LEN],
    versions: [u16; LISTED],
    suites: [u8; LISTED],
    capabilities: u64,
    noise: NoiseState,
}

impl Pending {
    /// Writes R2 or X2.
    fn second(
        &mut self,
        scid: ConnectionId,
        says: Says<'_>,
        rng: &mut Rng,
    ) -> Result<Vec<u8>, HandshakeError> {
        let mut noise = self.noise.clone();
        noise.set_ephemeral(rng.bytes());
        let kind = match self.mode {
            Mode::Ik => PacketType::R2,
            Mode::Xx => PacketType::X2,
        };
        let header = LongHeader { kind, scid, dcid: self.header.scid, ..self.header };
        let mac_key = self.config.mac_key(self.mode);
        let says = Says { header, ..says };
        let (noise, packet) = payload::packet(&self.config, noise, &says, mac_key, 1)?;
        self.noise = noise;
        Ok(packet)
    }

    fn accept(
        &mut self,
        scid: ConnectionId,
        cipher: Cipher,
        params: &Params,
        rng: &mut Rng,
    ) -> Result<Vec<u8>, HandshakeError> {
        debug_assert_ne!(scid, ConnectionId::ZERO, "zero means: not known");
        let nothing = Says::nothing(self.header);
        let says = Says { ciphers: cipher_bit(cipher), params: Some(params), ..nothing };
        self.second(scid, says, rng)
    }

    fn refuse(mut self, reason: Refusal, rng: &mut Rng) -> Result<Vec<u8>, HandshakeError> {
        let says = Says { status: reason as u8, ..Says::nothing(self.header) };
        self.second(ConnectionId::ZERO, says, rng)
    }

    fn establish(
        &self,
        local_cid: ConnectionId,
        cipher: Cipher,
        peer: NodeId,
        peer_params: Params,
    ) -> Result<Box<Established>, HandshakeError> {
        let session = Session {
            side: Side::Responder,
            peer,
            peer_params,
            local_cid,
            peer_cid: self.header.scid,
            cipher,
            capabilities: self.config.capabilities & self.capabilities,
            mode: self.mode,
            initiator_ephemeral: self.initiator_ephemeral,
        };
        session.establish(&self.noise, &self.header).map(Box::new)
    }
}

/// A known node wants a connection.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct IkOffer {
    pending: Pending,
    cipher: Cipher,
    peer: NodeId,
    params: Params,
}

impl IkOffer {
    /// Who it is. That it is there *now* is only proven by its first data packet: a first packet
    /// can be sent again by anybody (spec R-HS-28).
    pub const fn peer(&self) -> NodeId {
        self.peer
    }

    /// What it says of itself.
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// The sender's connection id.
    pub const fn scid(&self) -> ConnectionId {
        self.pending.header.scid
    }

    /// Says yes: gives R2, to be sent now and again whenever I1 comes again, and the keys. `scid`
    /// is the connection id that the peer's packets shall carry; it must not be zero.
    ///
    /// # Errors
    /// The peer's key is weak: drop it.
    pub fn accept(
        mut self,
        scid: ConnectionId,
        params: &Params,
        rng: &mut Rng,
    ) -> Result<(Vec<u8>, Box<Established>), HandshakeError> {
        let packet = self.pending.accept(scid, self.cipher, params, rng)?;
        let established = self.pending.establish(scid, self.cipher, self.peer, self.params)?;
        Ok((packet, established))
    }

    /// Says no, authenticated: gives R2.
    ///
    /// # Errors
    /// The peer's key is weak: drop it.
    pub fn refuse(self, reason: Refusal, rng: &mut Rng) -> Result<Vec<u8>, HandshakeError> {
        self.pending.refuse(reason, rng)
    }
}

/// A node that did not say who it is wants a connection.
pub struct XxOffer {
    pending: Pending,
    cipher: Cipher,
}

impl XxOffer {
    /// The sender's connection id.
    pub const fn scid(&self) -> ConnectionId {
        self.pending.header.scid
    }

    /// Says who this node is and asks back: gives X2, to be sent now and again whenever X1 comes
    /// again. `scid` as in [`IkOffer::accept`].
    ///
    /// # Errors
    /// The peer's key is weak: drop it.
    pub fn reply(
        mut self,
        scid: ConnectionId,
        params: &Params,
        rng: &mut Rng,
    ) -> Result<(Vec<u8>, AwaitX3), HandshakeError> {
        let packet = self.pending.accept(scid, self.cipher, params, rng)?;
        let Self { pending, cipher } = self;
        Ok((packet, AwaitX3 { pending, cipher, local_cid: scid }))
    }

    /// Says no, authenticated: gives X2, which names this node.
    ///
    /// # Errors
    /// The peer's key is weak: drop it.
    pub fn refuse(self, reason: Refusal, rng: &mut Rng) -> Result<Vec<u8>, HandshakeError> {
        self.pending.refuse(reason, rng)
    }
}

/// An offer of something that this node cannot do.
pub struct Unacceptable {
    pending: Pending,
    reason: Refusal,
}

impl Unacceptable {
    /// What is wrong with it.
    pub const fn reason(&self) -> Refusal {
        self.reason
    }

    /// Says so, authenticated: gives R2 or X2.
    ///
    /// # Errors
    /// The peer's key is weak: drop it.
    pub fn refuse(self, rng: &mut Rng) -> Result<Vec<u8>, HandshakeError> {
        self.pending.refuse(self.reason, rng)
    }
}

/// An `XX` handshake that was answered and waits for the peer to say who it is.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct AwaitX3 {
    pending: Pending,
    cipher: Cipher,
    local_cid: ConnectionId,
}

/// What became of a packet.
#[must_use]
pub enum ResponderStep {
    /// The peer is who it says, and keys are there.
    Established(Box<Established>),
    /// The peer answered, authenticated, and it cannot go on.
    Failed(HandshakeError),
    /// The packet was nothing; the machine is as before.
    Discarded(AwaitX3, Discard),
}

impl AwaitX3 {
    /// This attempt's connection id: what X3 is addressed to.
    pub const fn local_cid(&self) -> ConnectionId {
        self.local_cid
    }

    /// Takes a packet with a long header that is addressed to [`Self::local_cid`].
    pub fn on_packet(self, packet: &mut [u8]) -> ResponderStep {
        match self.look(packet) {
            Ok(Ok(established)) => ResponderStep::Established(established),
            Ok(Err(error)) => ResponderStep::Failed(error),
            Err(reason) => ResponderStep::Discarded(self, reason),
        }
    }

    fn look(&self, packet: &mut [u8]) -> Result<Result<Box<Established>, HandshakeError>, Discard> {
        let Pending { config, header: first, .. } = &self.pending;
        let header = LongHeader::decode(packet).map_err(|_| Discard::Header)?;
        if !length_is_legal(header.kind, packet.len()) {
            return Err(Discard::Length);
        }
        if (header.scid, header.dcid) != (first.scid, self.local_cid) {
            return Err(Discard::ConnectionId);
        }
        if header != (LongHeader { kind: PacketType::X3, dcid: self.local_cid, ..*first }) {
            return Err(Discard::Header);
        }
        let (bytes, _) = config.mac_key(Mode::Xx).check(config.provider, packet)?;
        let message = bytes.get_mut(LONG_HEADER_LEN..).ok_or(Discard::Length)?;
        let (noise, plaintext) = self.pending.noise.read(message, &mut config.psk(2))?;
        let hello = payload::read(plaintext, &header)?;
        // All of it opened and belongs together: what is wrong from here on is final.
        Ok(self.conclude(noise, &hello))
    }

    /// Judges an X3 that opened.
    fn conclude(
        &self,
        noise: NoiseState,
        hello: &Hello<'_>,
    ) -> Result<Box<Established>, HandshakeError> {
        let pending = &self.pending;
        let peer = payload::peer_of(&pending.config, &noise, hello)?;
        let same = hello.versions == pending.versions
            && hello.suites == pending.suites
            && hello.capabilities == pending.capabilities
            && hello.ciphers == cipher_bit(self.cipher)
            && hello.status == 0;
        if !same {
            return Err(HandshakeError::Malformed("a third packet that contradicts the first"));
        }
        let params = payload::params(hello)?;
        Pending { noise, ..pending.clone() }.establish(self.local_cid, self.cipher, peer, params)
    }
}

impl fmt::Debug for First<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("First").field("header", &self.header).finish_non_exhaustive()
    }
}

impl fmt::Debug for IkOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IkOffer").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl fmt::Debug for XxOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XxOffer").field("scid", &self.scid()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Unacceptable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unacceptable").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl fmt::Debug for AwaitX3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitX3").field("local_cid", &self.local_cid).finish_non_exhaustive()
    }
}

impl fmt::Debug for ResponderStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Established(established) => established.fmt(f),
            Self::Failed(error) => write!(f, "Failed({error:?})"),
            Self::Discarded(_, reason) => write!(f, "Discarded({reason:?})"),
        }
    }
}
