//! Noise's handshake state (revision 34, section 5.3): a list of tokens, walked by both sides.
//!
//! The two patterns of the protocol are constants here; the walker knows nothing of them, so that
//! any other pattern of tokens `e s ee es se ss psk` runs through it as well. That is how the
//! published vectors test what ships.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::provider::{Cipher, Provider};
use super::transcript::{NoiseError, SymmetricState};
use crate::wire::id::Side;

/// One step of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    E,
    S,
    Ee,
    Es,
    Se,
    Ss,
    Psk,
}

/// A handshake pattern: whose static key is known beforehand, and what each message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// The full Noise protocol name.
    pub(crate) name: &'static str,
    /// The initiator's static key is known to the responder.
    pub(crate) knows_initiator: bool,
    /// The responder's static key is known to the initiator.
    pub(crate) knows_responder: bool,
    /// The messages in turn, the initiator's first.
    pub(crate) messages: &'static [&'static [Token]],
}

/// The responder's id is known: one round trip (spec R-HS-5).
pub(crate) const IK: Pattern = Pattern {
    name: "Noise_IKpsk0+psk2_25519_ChaChaPoly_SHA256",
    knows_initiator: false,
    knows_responder: true,
    messages: &[
        &[Token::Psk, Token::E, Token::Es, Token::S, Token::Ss],
        &[Token::E, Token::Ee, Token::Se, Token::Psk],
    ],
};

/// Nobody is known: the ids travel sealed (spec R-HS-5).
pub(crate) const XX: Pattern = Pattern {
    name: "Noise_XXpsk0+psk3_25519_ChaChaPoly_SHA256",
    knows_initiator: false,
    knows_responder: false,
    messages: &[
        &[Token::Psk, Token::E],
        &[Token::E, Token::Ee, Token::S, Token::Es],
        &[Token::S, Token::Se, Token::Psk],
    ],
};

/// The keys that one side brings along.
#[derive(Clone)]
pub(crate) struct Keys {
    /// Static secret; anything if the pattern gives this side none.
    pub(crate) static_secret: Zeroizing<[u8; 32]>,
    /// Its public key.
    pub(crate) static_public: [u8; 32],
    /// Ephemeral secret, used by this one handshake only. A responder's may come later.
    pub(crate) ephemeral: Option<Zeroizing<[u8; 32]>>,
    /// The other side's static public key, where it is known beforehand.
    pub(crate) remote_static: Option<[u8; 32]>,
}

/// Asked once at every `psk` token, with the other side's static key if that is known by then.
pub(crate) type PskLookup<'a> = &'a mut dyn FnMut(Option<&[u8; 32]>) -> [u8; 32];

/// A handshake in progress.
#[derive(Clone)]
pub(crate) struct NoiseState {
    symmetric: SymmetricState,
    provider: Provider,
    pattern: &'static Pattern,
    side: Side,
    done: usize,
    keys: Keys,
    remote_ephemeral: Option<[u8; 32]>,
}

/// How far it is, and Noise's `h`, which covers all that was said.
#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for NoiseState {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        (self.side, self.done, self.symmetric.hash()).hash(state);
    }
}

impl NoiseState {
    /// `Initialize`.
    pub(crate) fn new(
        provider: Provider,
        cipher: Cipher,
        pattern: &'static Pattern,
        side: Side,
        prologue: &[u8],
        keys: Keys,
    ) -> Result<Self, NoiseError> {
        let mut symmetric =
            SymmetricState::new(provider, cipher, pattern.name.as_bytes(), prologue);
        let premessages = [
            (pattern.knows_initiator, Side::Initiator),
            (pattern.knows_responder, Side::Responder),
        ];
        for (_, owner) in premessages.into_iter().filter(|(known, _)| *known) {
            let public = if owner == side { Some(keys.static_public) } else { keys.remote_static };
            symmetric.mix_hash(&public.ok_or(NoiseError::Misuse)?);
        }
        Ok(Self { symmetric, provider, pattern, side, done: 0, keys, remote_ephemeral: None })
    }

    /// Appends the next message, which is this side's, to `out`.
    pub(crate) fn write(
        mut self,
        payload: &[u8],
        psk: PskLookup<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Self, NoiseError> {
        for token in self.next_tokens(self.side)? {
            match token {
                Token::E => {
                    let secret = self.keys.ephemeral.as_ref().ok_or(NoiseError::Misuse)?;
                    let public = self.provider.x25519_public(secret);
                    out.extend_from_slice(&public);
                    self.mix_ephemeral(&public);
                }
                Token::S => self.symmetric.seal(&self.keys.static_public, out),
                other => self.mix_secret(*other, psk)?,
            }
        }
        self.symmetric.seal(payload, out);
        self.done = self.done.saturating_add(1);
        Ok(self)
    }

    /// Reads the next message, which is the other side's, in place. The state itself stays as it
    /// is; the state after the message is returned with the payload, and only if every piece
    /// opened.
    pub(crate) fn read<'m>(
        &self,
        message: &'m mut [u8],
        psk: PskLookup<'_>,
    ) -> Result<(Self, &'m mut [u8]), NoiseError> {
        let mut next = self.clone();
        let mut rest = message;
        for token in next.next_tokens(next.side.peer())? {
            match token {
                Token::E => {
                    let public;
                    (public, rest) = rest.split_first_chunk_mut().ok_or(NoiseError::Short)?;
                    next.remote_ephemeral = Some(*public);
                    let public = *public;
                    next.mix_ephemeral(&public);
                }
                Token::S => {
                    let len = 32_usize.saturating_add(next.symmetric.overhead());
                    let sealed;
                    (sealed, rest) = rest.split_at_mut_checked(len).ok_or(NoiseError::Short)?;
                    let public = next.symmetric.open(sealed)?;
                    let public = (&*public).try_into().map_err(|_| NoiseError::Short)?;
                    next.keys.remote_static = Some(public);
                }
                other => next.mix_secret(*other, psk)?,
            }
        }
        let payload = next.symmetric.open(rest)?;
        next.done = next.done.saturating_add(1);
        Ok((next, payload))
    }

    /// Gives the ephemeral secret that the next own message begins with.
    pub(crate) fn set_ephemeral(&mut self, secret: [u8; 32]) {
        self.keys.ephemeral = Some(Zeroizing::new(secret));
    }

    /// The other side's static key: known beforehand or read.
    pub(crate) const fn remote_static(&self) -> Option<&[u8; 32]> {
        self.keys.remote_static.as_ref()
    }

    /// Secrets from initiator to responder, back, and for exporting; and the handshake's hash. Only
    /// after the last message.
    pub(crate) fn finish(&self) -> Result<([[u8; 32]; 3], [u8; 32]), NoiseError> {
        if self.done != self.pattern.messages.len() {
            return Err(NoiseError::Misuse);
        }
        Ok((self.symmetric.split(), *self.symmetric.hash()))
    }

    fn next_tokens(&self, by: Side) -> Result<&'static [Token], NoiseError> {
        let turn = if self.done.is_multiple_of(2) { Side::Initiator } else { Side::Responder };
        let tokens = self.pattern.messages.get(self.done).filter(|_| turn == by);
        tokens.copied().ok_or(NoiseError::Misuse)
    }

    /// An ephemeral key goes into the hash; with pre-shared keys in the pattern also into the key.
    fn mix_ephemeral(&mut self, public: &[u8; 32]) {
        self.symmetric.mix_hash(public);
        if self.pattern.messages.iter().any(|tokens| tokens.contains(&Token::Psk)) {
            self.symmetric.mix_key(public);
        }
    }

    fn mix_secret(&mut self, token: Token, psk: PskLookup<'_>) -> Result<(), NoiseError> {
        let keys = &self.keys;
        let (local_is_ephemeral, remote_is_ephemeral) = match (token, self.side) {
            (Token::Ee, _) => (true, true),
            (Token::Ss, _) => (false, false),
            (Token::Es, Side::Initiator) | (Token::Se, Side::Responder) => (true, false),
            (Token::Es, Side::Responder) | (Token::Se, Side::Initiator) => (false, true),
            (Token::Psk, _) => {
                let secret = Zeroizing::new(psk(keys.remote_static.as_ref()));
                self.symmetric.mix_key_and_hash(&*secret);
                return Ok(());
            }
            (Token::E | Token::S, _) => return Err(NoiseError::Misuse),
        };
        let ephemeral = keys.ephemeral.as_ref().filter(|_| local_is_ephemeral);
        let local = if local_is_ephemeral { ephemeral } else { Some(&keys.static_secret) };
        let local = local.ok_or(NoiseError::Misuse)?;
        let remote = if remote_is_ephemeral { self.remote_ephemeral } else { keys.remote_static };
        let remote = remote.ok_or(NoiseError::Misuse)?;
        let secret = self.provider.x25519(local, &remote).map_err(|_| NoiseError::SmallOrder)?;
        self.symmetric.mix_key(&*Zeroizing::new(secret));
        Ok(())
    }
}

#[cfg(test)]
#[path = "noise_tests.rs"]
mod tests;
