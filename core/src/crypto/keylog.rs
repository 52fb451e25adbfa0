//! Key log lines, for a dissector that is to read a recorded connection (spec R-KEY-45).
//!
//! They exist behind the feature `keylog` and are written only when the application asks for them,
//! for one connection, now. Whoever has a line can read and forge that direction's packets, of its
//! phase only: the secrets that later phases come from are not in it.
//!
//! One line a direction, fields separated by single blanks, bytes in lower-case hex:
//!
//! ```text
//! AQDUCT_KEY v1 <initiator's ephemeral key> <i2r|r2i> <phase> <cipher> <key> <iv> <hp>
//! ```
//!
//! The ephemeral key stands unencrypted in the connection's first datagram and so names the
//! connection. `hp` is the same in every line of a direction.

use core::fmt::{self, Write};

use zeroize::Zeroizing;

use super::hkdf::derive;
use super::keys::PacketKeys;
use super::provider::Cipher;
use crate::wire::id::Side;

impl PacketKeys {
    /// Writes the keys of this moment's phases, one line for each direction. To be asked again
    /// after each update if a whole connection is to be read.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_key_log(
        &self,
        initiator_ephemeral: &[u8; 32],
        out: &mut impl Write,
    ) -> fmt::Result {
        let recipe = self.recipe();
        let cipher = match recipe.cipher {
            Cipher::ChaCha20Poly1305 => "chacha20-poly1305",
            Cipher::Aes256Gcm => "aes-256-gcm",
        };
        for (sender, logged) in self.logged() {
            let way = match sender {
                Side::Initiator => "i2r",
                Side::Responder => "r2i",
            };
            let provider = recipe.provider;
            let key: Zeroizing<[u8; 32]> = Zeroizing::new(derive(provider, logged.secret, b"key"));
            let iv: Zeroizing<[u8; 12]> = Zeroizing::new(derive(provider, logged.secret, b"iv"));
            let ephemeral = Hex(initiator_ephemeral);
            write!(out, "AQDUCT_KEY v1 {ephemeral} {way} {} {cipher}", logged.phase)?;
            writeln!(out, " {} {} {}", Hex(&*key), Hex(&*iv), Hex(logged.header_key))?;
        }
        Ok(())
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
#[path = "keylog_tests.rs"]
mod tests;
