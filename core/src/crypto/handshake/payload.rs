//! What goes into a handshake packet and what is made of one that opened.

use alloc::vec;
use alloc::vec::Vec;

use super::config::{HandshakeConfig, best_common};
use super::mac::MacKey;
use super::{Discard, HandshakeError};
use crate::crypto::identity::{NodeId, Sign};
use crate::crypto::noise::NoiseState;
use crate::crypto::provider::Cipher;
use crate::error::Refusal;
use crate::wire::header::{LongHeader, PacketType};
use crate::wire::hello::{Hello, LISTED};
use crate::wire::long::{COOKIE_LEN, I1_PAYLOAD_LEN, VersionList, X1_PAYLOAD_LEN};
use crate::wire::params::Params;

/// What a packet says, beside what its sender always says.
pub(super) struct Says<'a> {
    pub(super) header: LongHeader,
    pub(super) status: u8,
    pub(super) ciphers: u8,
    pub(super) params: Option<&'a Params>,
    /// The list of the VERSION packet that was followed.
    pub(super) seen: Option<&'a Seen>,
}

impl Says<'_> {
    pub(super) const fn nothing(header: LongHeader) -> Self {
        Self { header, status: 0, ciphers: 0, params: None, seen: None }
    }
}

/// The list of versions in a VERSION packet, as it stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Seen(pub(super) Vec<u8>);

/// Writes the packet whose turn it is, with the Noise message `message` (from 0), up to its mac and
/// with it.
pub(super) fn packet(
    config: &HandshakeConfig,
    noise: NoiseState,
    says: &Says<'_>,
    mac_key: &MacKey,
    message: usize,
) -> Result<(NoiseState, Vec<u8>), HandshakeError> {
    let mut out = says.header.encode().to_vec();
    if says.header.kind.begins() {
        out.extend_from_slice(&[0; COOKIE_LEN]);
    }
    let plaintext = plaintext(config, says);
    let noise = noise.write(&plaintext, &mut config.psk(message), &mut out)?;
    let mac = mac_key.mac(config.provider, &out);
    out.extend_from_slice(&mac);
    Ok((noise, out))
}

fn plaintext(config: &HandshakeConfig, says: &Says<'_>) -> Vec<u8> {
    let LongHeader { kind, scid, dcid, .. } = says.header;
    let mut params = vec![];
    if let Some(says) = says.params {
        says.encode(&mut params);
    }
    let hello = Hello {
        // X1 can be read by outsiders, and names nobody.
        sign: kind != PacketType::X1 && config.id().sign() == Sign::Negative,
        status: says.status,
        ciphers: says.ciphers,
        versions: *config.versions.list(),
        suites: *config.suites.list(),
        capabilities: config.capabilities,
        params: says.params.map(|_| params.as_slice()),
        versions_seen: says.seen.map(|seen| VersionList::new(&seen.0)),
        ..Hello::new(kind, scid, dcid)
    };
    let length = match kind {
        PacketType::I1 => I1_PAYLOAD_LEN,
        PacketType::X1 => X1_PAYLOAD_LEN,
        _ => hello.encoded_len(),
    };
    let mut out = Vec::with_capacity(length);
    let fits = hello.encode(length, &mut out);
    debug_assert!(fits, "parameters and lists are bounded far below a first packet's room");
    out
}

/// Reads a payload that opened. What it repeats must be what the header says, for nothing else
/// vouches for the header of an answer (spec R-HS-10).
pub(super) fn read<'p>(plaintext: &'p [u8], header: &LongHeader) -> Result<Hello<'p>, Discard> {
    let hello = Hello::decode(plaintext).map_err(|_| Discard::Payload)?;
    if (hello.kind, hello.scid, hello.dcid) != (header.kind, header.scid, header.dcid) {
        return Err(Discard::Header);
    }
    Ok(hello)
}

/// The parameters that must be there.
pub(super) fn params(hello: &Hello<'_>) -> Result<Params, HandshakeError> {
    let bytes = hello.params.ok_or(HandshakeError::Malformed("no parameters"))?;
    Params::decode(bytes).map_err(|_| HandshakeError::Malformed("parameters that break a rule"))
}

/// The id of the other end, which Noise knows by its Montgomery form (spec R-HS-3).
pub(super) fn peer_of(
    config: &HandshakeConfig,
    noise: &NoiseState,
    hello: &Hello<'_>,
) -> Result<NodeId, HandshakeError> {
    let remote = noise.remote_static().ok_or(HandshakeError::Malformed("no static key"))?;
    if remote == config.key.exchange_public() {
        return Err(HandshakeError::SelfConnect);
    }
    let sign = if hello.sign { Sign::Negative } else { Sign::Positive };
    NodeId::from_montgomery(remote, sign).map_err(HandshakeError::Identity)
}

/// What a responder makes of an offer: the cipher for the data, or a refusal (spec R-HS-24).
pub(super) fn verdict(
    config: &HandshakeConfig,
    hello: &Hello<'_>,
    header: &LongHeader,
) -> Result<Cipher, Refusal> {
    let ours = config.versions.list();
    let ours = || ours.iter().copied().filter(|version| *version != 0);
    if hello.versions_seen.is_some_and(|seen| !seen.iter().eq(ours())) {
        return Err(Refusal::Downgrade);
    }
    agreement(config, &hello.versions, &hello.suites, header)?;
    config.ciphers.choose(hello.ciphers).ok_or(Refusal::Cipher)
}

/// Whether the version and the suite in use are the best that both lists have (spec R-HS-18).
pub(super) fn agreement(
    config: &HandshakeConfig,
    versions: &[u16; LISTED],
    suites: &[u8; LISTED],
    in_use: &LongHeader,
) -> Result<(), Refusal> {
    let version = best_common(config.versions.list(), versions).ok_or(Refusal::Version)?;
    let suite = best_common(config.suites.list(), suites).ok_or(Refusal::Suite)?;
    if (version, suite) == (in_use.version, in_use.suite) {
        Ok(())
    } else {
        Err(Refusal::Downgrade)
    }
}

/// What the status byte of an answer says.
pub(super) fn refusal(status: u8) -> Result<Option<Refusal>, HandshakeError> {
    Ok(Some(match status {
        0 => return Ok(None),
        1 => Refusal::Version,
        2 => Refusal::Suite,
        3 => Refusal::NotAllowed,
        4 => Refusal::Busy,
        5 => Refusal::Downgrade,
        6 => Refusal::Cipher,
        _ => return Err(HandshakeError::Malformed("a status that is not given out")),
    }))
}
