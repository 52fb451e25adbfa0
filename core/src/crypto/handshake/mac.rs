//! The keyed mac on every handshake packet, and the tags of RETRY and VERSION (spec R-HS-8,
//! R-HS-25).
//!
//! They cost a hash and prove only that the sender knows the network, and in `IK` the responder's
//! id. They stand before everything that costs more.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Discard;
use super::config::Network;
use crate::crypto::provider::Provider;
use crate::wire::header::TAG_LEN;

/// The key of macs and tags of one handshake, in both directions.
#[derive(Clone)]
pub(super) struct MacKey(Zeroizing<[u8; 32]>);

/// Nothing: it follows from the network and the responder.
#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for MacKey {
    fn hash<H: core::hash::Hasher>(&self, _: &mut H) {}
}

impl MacKey {
    /// For handshakes with the responder whose Montgomery form is `responder`; zeros if it is
    /// unknown.
    pub(super) fn new(responder: &[u8; 32], network: &Network) -> Self {
        let key = Zeroizing::new(Provider::Rust.sha256(&[b"aqdt mac1", responder]));
        let parts: [&[u8]; 2] = [&*network.secret, &network.id];
        Self(Zeroizing::new(Provider::Rust.hmac_sha256(&*key, &parts)))
    }

    /// The mac that follows `bytes`.
    pub(super) fn mac(&self, provider: Provider, bytes: &[u8]) -> [u8; TAG_LEN] {
        self.first_half(provider, &[bytes])
    }

    /// The tag at the end of a RETRY or VERSION: `bytes` is all of it before the tag, `answered`
    /// the mac of the packet that it answers.
    pub(super) fn tag(
        &self,
        provider: Provider,
        answered: &[u8; TAG_LEN],
        bytes: &[u8],
    ) -> [u8; TAG_LEN] {
        self.first_half(provider, &[b"aqdt retry", answered, bytes])
    }

    /// Cuts the mac off `packet` if it is right.
    pub(super) fn check<'p>(
        &self,
        provider: Provider,
        packet: &'p mut [u8],
    ) -> Result<(&'p mut [u8], [u8; TAG_LEN]), Discard> {
        let (bytes, mac) = packet.split_last_chunk_mut::<TAG_LEN>().ok_or(Discard::Length)?;
        let right = self.mac(provider, bytes).ct_eq(&*mac);
        if right.into() { Ok((bytes, *mac)) } else { Err(Discard::Mac) }
    }

    /// Whether the packet's last bytes are the right tag; gives what is before them.
    pub(super) fn check_tag<'p>(
        &self,
        provider: Provider,
        answered: &[u8; TAG_LEN],
        packet: &'p [u8],
    ) -> Result<&'p [u8], Discard> {
        let (bytes, tag) = packet.split_last_chunk::<TAG_LEN>().ok_or(Discard::Length)?;
        let right = self.tag(provider, answered, bytes).ct_eq(tag);
        if right.into() { Ok(bytes) } else { Err(Discard::Tag) }
    }

    fn first_half(&self, provider: Provider, parts: &[&[u8]]) -> [u8; TAG_LEN] {
        let whole = provider.hmac_sha256(&*self.0, parts);
        whole.first_chunk().copied().unwrap_or_default()
    }
}
