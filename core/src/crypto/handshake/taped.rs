//! What a node brings to handshakes, on a tape.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::config::{Ciphers, HandshakeConfig, Network, PairSecrets, Strangers, Suites, Versions};
use crate::crypto::identity::NodeKey;
use crate::tape::{Reader, Taped};

const CIPHERS: [Ciphers; 4] = [
    Ciphers::PreferChaCha20Poly1305,
    Ciphers::PreferAes256Gcm,
    Ciphers::OnlyChaCha20Poly1305,
    Ciphers::OnlyAes256Gcm,
];

impl HandshakeConfig {
    /// The node's key.
    pub(crate) const fn key(&self) -> &NodeKey {
        &self.key
    }

    /// What may be known.
    pub(crate) fn put_settings(&self, out: &mut Vec<u8>) {
        let Self {
            key,
            provider: _, // has no effect on any byte
            network,
            pair_secrets: _,
            ciphers,
            strangers,
            versions,
            suites,
            capabilities,
            mac_keys: _, // made from the key and the network
        } = self;
        key.id().as_bytes().put(out);
        network.id.put(out);
        CIPHERS.iter().position(|known| known == ciphers).unwrap_or(0).put(out);
        (*strangers == Strangers::Ignore).put(out);
        versions.list().iter().for_each(|version| version.put(out));
        suites.list().put(out);
        capabilities.put(out);
    }

    /// What nobody else may know.
    pub(crate) fn put_secrets(&self, out: &mut Vec<u8>) {
        self.key.seed().put(out);
        self.network.secret.put(out);
        self.pair_secrets.put(out);
    }

    /// A node with these secrets, and everything else as it comes.
    pub(crate) fn from_secrets(from: &mut Reader<'_>) -> Option<Self> {
        let seed = Zeroizing::new(from.get::<[u8; 32]>()?);
        let secret = Zeroizing::new(from.get::<[u8; 32]>()?);
        let config = Self::new(NodeKey::from_seed(&seed));
        let network = Network { secret, ..Network::open("") };
        Some(config.with_network(network).with_pair_secrets(from.get()?))
    }

    /// The same with the rest; `None` if it is another node's.
    pub(crate) fn with_settings(self, from: &mut Reader<'_>) -> Option<Self> {
        let id: [u8; 32] = from.get()?;
        if id != *self.id().as_bytes() {
            return None;
        }
        let network = Network { id: from.get()?, ..self.network.clone() };
        let ciphers = CIPHERS.get(usize::get(from)?)?;
        let strangers = if from.get()? { Strangers::Ignore } else { Strangers::Answer };
        let mut versions = [0; 4];
        for version in &mut versions {
            *version = from.get()?;
        }
        let suites: [u8; 4] = from.get()?;
        let config = self.with_network(network).with_ciphers(*ciphers).with_strangers(strangers);
        let config = config.with_versions(Versions::new(filled(&versions)?)?);
        let config = config.with_suites(Suites::new(filled(&suites)?)?);
        Some(config.with_capabilities(from.get()?)).filter(|_| from.is_empty())
    }
}

/// What stands before the zeros.
fn filled<T: Default + PartialEq>(list: &[T]) -> Option<&[T]> {
    list.get(..list.iter().take_while(|one| **one != T::default()).count())
}

impl Taped for PairSecrets {
    fn put(&self, out: &mut Vec<u8>) {
        self.by_key.len().put(out);
        for (key, secret) in &self.by_key {
            key.put(out);
            secret.put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let mut by_key: Vec<([u8; 32], Zeroizing<[u8; 32]>)> = Vec::new();
        for _ in 0..usize::get(from)? {
            let (key, secret) = from.get::<([u8; 32], [u8; 32])>()?;
            if by_key.last().is_some_and(|(before, _)| *before >= key) {
                return None;
            }
            by_key.push((key, Zeroizing::new(secret)));
        }
        Some(Self { by_key })
    }
}
