//! How Noise is set up, and what is taken out of it at the end: the same for both ends.

use zeroize::Zeroizing;

use super::{Established, HandshakeConfig, HandshakeError, Mode};
use crate::crypto::identity::NodeId;
use crate::crypto::noise::{Keys, NoiseState};
use crate::crypto::provider::Cipher;
use crate::crypto::secrets::Secrets;
use crate::wire::header::LongHeader;
use crate::wire::id::{ConnectionId, Side};
use crate::wire::params::Params;

/// Noise before its first message. `first` is the header of the first packet, which the prologue
/// binds with everything else that both ends must mean alike (spec R-HS-4).
pub(super) fn noise(
    config: &HandshakeConfig,
    mode: Mode,
    side: Side,
    first: &LongHeader,
    remote: Option<[u8; 32]>,
) -> Result<NoiseState, HandshakeError> {
    let mut prologue = [0; PROLOGUE_LEN];
    let fields = (*b"aqdt")
        .into_iter()
        .chain(first.version.to_be_bytes())
        .chain([first.suite, mode as u8])
        .chain(*config.network.id())
        .chain(first.encode());
    for (to, from) in prologue.iter_mut().zip(fields) {
        *to = from;
    }
    let keys = Keys {
        static_secret: Zeroizing::new(*config.key.exchange_secret()),
        static_public: *config.key.exchange_public(),
        ephemeral: None,
        remote_static: remote,
    };
    let cipher = Cipher::ChaCha20Poly1305;
    Ok(NoiseState::new(config.provider, cipher, mode.pattern(), side, &prologue, keys)?)
}

/// "aqdt", version, suite, mode, network id, first header.
const PROLOGUE_LEN: usize = 4 + 2 + 1 + 1 + 32 + 20;

/// What is known of a handshake before Noise gives its secrets.
pub(super) struct Session {
    pub(super) side: Side,
    pub(super) peer: NodeId,
    pub(super) peer_params: Params,
    pub(super) local_cid: ConnectionId,
    pub(super) peer_cid: ConnectionId,
    pub(super) cipher: Cipher,
    pub(super) capabilities: u64,
    pub(super) mode: Mode,
    pub(super) initiator_ephemeral: [u8; 32],
}

impl Session {
    /// The end of the handshake (spec R-HS-29). `first` is the header of its first packet.
    pub(super) fn establish(
        self,
        noise: &NoiseState,
        first: &LongHeader,
    ) -> Result<Established, HandshakeError> {
        let ([i2r, r2i, exporter], handshake_hash) = noise.finish()?;
        Ok(Established {
            side: self.side,
            secrets: Secrets { i2r, r2i, exporter },
            handshake_hash,
            peer: self.peer,
            peer_params: self.peer_params,
            local_cid: self.local_cid,
            peer_cid: self.peer_cid,
            cipher: self.cipher,
            version: first.version,
            suite: first.suite,
            capabilities: self.capabilities,
            mode: self.mode,
            initiator_ephemeral: self.initiator_ephemeral,
        })
    }
}
