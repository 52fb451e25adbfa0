//! What a node brings to every handshake.

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::Mode;
use super::mac::MacKey;
use crate::crypto::identity::{NodeId, NodeKey};
use crate::crypto::provider::{Cipher, Provider};

/// What a node brings to every handshake.
///
/// Cheap to share (`Arc`); to change it, put another in its place. Handshakes that began keep
/// theirs.
#[derive(Clone)]
pub struct HandshakeConfig {
    pub(super) key: NodeKey,
    pub(super) provider: Provider,
    pub(super) network: Network,
    pub(super) pair_secrets: PairSecrets,
    pub(super) ciphers: Ciphers,
    pub(super) strangers: Strangers,
    pub(super) versions: Versions,
    pub(super) suites: Suites,
    pub(super) capabilities: u64,
    /// Key of the mac on packets of handshakes that others begin with our id, and with nobody's.
    pub(super) mac_keys: [MacKey; 2],
}

impl HandshakeConfig {
    /// A node of the nameless open network, with everything else as we would run it.
    pub fn new(key: NodeKey) -> Self {
        let network = Network::open("");
        let mac_keys = mac_keys(&key, &network);
        Self {
            key,
            provider: Provider::Rust,
            network,
            pair_secrets: PairSecrets::default(),
            ciphers: Ciphers::PreferChaCha20Poly1305,
            strangers: Strangers::Answer,
            versions: Versions::default(),
            suites: Suites::default(),
            capabilities: 0,
            mac_keys,
        }
    }

    /// Sets the network that both ends must be members of.
    #[must_use]
    pub fn with_network(mut self, network: Network) -> Self {
        self.mac_keys = mac_keys(&self.key, &network);
        self.network = network;
        self
    }

    /// Sets whose arithmetic does the work; no byte depends on it.
    #[must_use]
    pub fn with_provider(mut self, provider: Provider) -> Self {
        self.provider = provider;
        self
    }

    /// Sets the secrets that single peers share with this node besides the network's.
    #[must_use]
    pub fn with_pair_secrets(mut self, pair_secrets: PairSecrets) -> Self {
        self.pair_secrets = pair_secrets;
        self
    }

    /// Sets which ciphers may protect the data, the preferred one first.
    #[must_use]
    pub fn with_ciphers(mut self, ciphers: Ciphers) -> Self {
        self.ciphers = ciphers;
        self
    }

    /// Sets whether nodes that do not know this node's id get an answer.
    #[must_use]
    pub fn with_strangers(mut self, strangers: Strangers) -> Self {
        self.strangers = strangers;
        self
    }

    /// Sets the versions spoken.
    #[must_use]
    pub fn with_versions(mut self, versions: Versions) -> Self {
        self.versions = versions;
        self
    }

    /// Sets the suites spoken.
    #[must_use]
    pub fn with_suites(mut self, suites: Suites) -> Self {
        self.suites = suites;
        self
    }

    /// Sets the capability bits announced.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: u64) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// This node's id.
    pub const fn id(&self) -> NodeId {
        self.key.id()
    }

    /// The key of the mac on a handshake begun in `mode`, when this node responds.
    pub(super) const fn mac_key(&self, mode: Mode) -> &MacKey {
        let [known, unknown] = &self.mac_keys;
        match mode {
            Mode::Ik => known,
            Mode::Xx => unknown,
        }
    }

    /// Answers Noise's question for a pre-shared key of the message with index `message`: the
    /// network's in the first, the pair's in any later one.
    pub(super) fn psk(&self, message: usize) -> impl FnMut(Option<&[u8; 32]>) -> [u8; 32] {
        move |remote| match (message, remote) {
            (0, _) => *self.network.secret,
            (_, Some(remote)) => self.pair_secrets.find(remote),
            (_, None) => [0; 32],
        }
    }
}

fn mac_keys(key: &NodeKey, network: &Network) -> [MacKey; 2] {
    [MacKey::new(key.exchange_public(), network), MacKey::new(&[0; 32], network)]
}

impl fmt::Debug for HandshakeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeConfig")
            .field("key", &self.key)
            .field("provider", &self.provider)
            .field("ciphers", &self.ciphers)
            .field("strangers", &self.strangers)
            .field("versions", &self.versions)
            .field("suites", &self.suites)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

/// Without the secrets, and without the provider, which has no effect on any byte.
#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for HandshakeConfig {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        (self.id(), self.network.id, self.ciphers, self.strangers).hash(state);
        (self.versions, self.suites, self.capabilities).hash(state);
    }
}

/// The network that a node is a member of: nodes of different networks do not hear each other.
#[derive(Clone)]
pub struct Network {
    pub(super) id: [u8; 32],
    pub(super) secret: Zeroizing<[u8; 32]>,
}

impl Network {
    /// A network that everybody may join who knows its name.
    pub fn open(name: &str) -> Self {
        Self::closed(name, &[0; 32])
    }

    /// A network whose members share a secret; without it not one byte comes out of a node.
    pub fn closed(name: &str, secret: &[u8; 32]) -> Self {
        let id = Provider::Rust.sha256(&[name.as_bytes()]);
        Self { id, secret: Zeroizing::new(*secret) }
    }

    /// The network's id: SHA-256 of its name (spec R-HS-4).
    pub const fn id(&self) -> &[u8; 32] {
        &self.id
    }
}

/// Without the secret.
impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Secrets that single peers share with this node, mixed into the handshake with them and with
/// nobody else. Without one it is 32 zero bytes, at both ends (spec R-HS-6).
#[derive(Clone, Default)]
pub struct PairSecrets {
    /// By Montgomery form, sorted: in `XX` the secret is needed before the sign bit is known.
    pub(super) by_key: Vec<([u8; 32], Zeroizing<[u8; 32]>)>,
}

impl PairSecrets {
    /// Sets the secret shared with `peer`, in place of the one before.
    pub fn insert(&mut self, peer: &NodeId, secret: &[u8; 32]) {
        let (key, secret) = (peer.montgomery(), Zeroizing::new(*secret));
        match self.by_key.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(at) => {
                if let Some((_, old)) = self.by_key.get_mut(at) {
                    *old = secret;
                }
            }
            Err(at) => self.by_key.insert(at, (key, secret)),
        }
    }

    /// Forgets the secret shared with `peer`.
    pub fn remove(&mut self, peer: &NodeId) {
        let key = peer.montgomery();
        self.by_key.retain(|(other, _)| *other != key);
    }

    fn find(&self, key: &[u8; 32]) -> [u8; 32] {
        let at = self.by_key.binary_search_by(|(other, _)| other.cmp(key));
        at.ok().and_then(|at| self.by_key.get(at)).map_or([0; 32], |(_, secret)| **secret)
    }
}

/// Which ciphers may protect the data, and which of two is preferred when this node chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub enum Ciphers {
    /// Both; right for a machine without instructions for AES.
    PreferChaCha20Poly1305,
    /// Both; right for a machine with instructions for AES.
    PreferAes256Gcm,
    /// ChaCha20-Poly1305 or nothing.
    OnlyChaCha20Poly1305,
    /// AES-256-GCM or nothing.
    OnlyAes256Gcm,
}

impl Ciphers {
    const fn in_order(self) -> &'static [Cipher] {
        match self {
            Self::PreferChaCha20Poly1305 => &[Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm],
            Self::PreferAes256Gcm => &[Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305],
            Self::OnlyChaCha20Poly1305 => &[Cipher::ChaCha20Poly1305],
            Self::OnlyAes256Gcm => &[Cipher::Aes256Gcm],
        }
    }

    /// The bitmap that offers them.
    pub(super) fn bits(self) -> u8 {
        self.in_order().iter().fold(0, |bits, cipher| bits | cipher_bit(*cipher))
    }

    /// The first that `offered` has too.
    pub(super) fn choose(self, offered: u8) -> Option<Cipher> {
        self.in_order().iter().copied().find(|cipher| cipher_bit(*cipher) & offered != 0)
    }

    /// The one that `chosen` names, if it is one of these.
    pub(super) fn chosen(self, chosen: u8) -> Option<Cipher> {
        self.in_order().iter().copied().find(|cipher| cipher_bit(*cipher) == chosen)
    }
}

/// The bit of a cipher in the payload (spec R-HS-9).
pub(super) const fn cipher_bit(cipher: Cipher) -> u8 {
    match cipher {
        Cipher::ChaCha20Poly1305 => 1,
        Cipher::Aes256Gcm => 2,
    }
}

/// Whether a node that does not know this node's id gets an answer to its `XX` handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub enum Strangers {
    /// It does. In an open network anybody can then learn the id behind an address.
    Answer,
    /// Silence.
    Ignore,
}

/// Up to four protocol versions, as announced. This build writes them all alike: a list other than
/// the default is for tests, and for numbers that come to mean the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Versions([u16; 4]);

impl Versions {
    /// One to four different numbers, none of them 0.
    pub fn new(list: &[u16]) -> Option<Self> {
        filled(list).map(Self)
    }

    /// The list as announced, filled up with zeros.
    pub(super) const fn list(&self) -> &[u16; 4] {
        &self.0
    }
}

impl Default for Versions {
    fn default() -> Self {
        Self([1, 0, 0, 0])
    }
}

/// Up to four handshake suites, as announced. Only suite 1 is built: a list other than the default
/// is for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Suites([u8; 4]);

impl Suites {
    /// One to four different numbers, none of them 0.
    pub fn new(list: &[u8]) -> Option<Self> {
        filled(list).map(Self)
    }

    /// The list as announced, filled up with zeros.
    pub(super) const fn list(&self) -> &[u8; 4] {
        &self.0
    }
}

impl Default for Suites {
    fn default() -> Self {
        Self([1, 0, 0, 0])
    }
}

fn filled<T: Copy + Default + Ord>(list: &[T]) -> Option<[T; 4]> {
    let mut out = [T::default(); 4];
    out.get_mut(..list.len())?.copy_from_slice(list);
    let twice = list.iter().enumerate().any(|(at, one)| list.iter().skip(at + 1).any(|o| o == one));
    let fine = !list.is_empty() && !twice && !list.contains(&T::default());
    fine.then_some(out)
}

/// The best number that both lists have: the highest. 0 stands for nothing (spec R-HS-18).
pub(super) fn best_common<T: Copy + Default + Ord>(ours: &[T], theirs: &[T]) -> Option<T> {
    let both = ours.iter().filter(|one| **one != T::default() && theirs.contains(one));
    both.max().copied()
}
