//! How long a key may live.

use core::time::Duration;

use thiserror::Error;

use super::provider::Cipher;

/// Limits of the keys of one connection; the defaults are the greatest values that are allowed
/// (spec R-KEY-16). Lower ones make key updates more frequent, which costs little and lets tests
/// reach every limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct KeyLimits {
    soft_packets: u64,
    soft_age: Duration,
    hard_packets: u64,
    failed_opens: u64,
}

impl KeyLimits {
    /// Starts a key update after `packets` packets under one key.
    ///
    /// # Errors
    ///
    /// Zero, more than 2^22, or not below the hard limit.
    pub fn with_soft_packets(self, packets: u64) -> Result<Self, KeyLimitError> {
        let max = Self::MAX.soft_packets.min(self.hard_packets - 1);
        within("packets before an update", packets, 1, max)?;
        Ok(Self { soft_packets: packets, ..self })
    }

    /// Starts a key update when a key is `age` old.
    ///
    /// # Errors
    ///
    /// Zero, or more than an hour.
    pub fn with_soft_age(self, age: Duration) -> Result<Self, KeyLimitError> {
        if age.is_zero() || age > Self::MAX.soft_age {
            return Err(KeyLimitError {
                what: "age before an update",
                min: 1,
                max: HOUR.as_secs(),
            });
        }
        Ok(Self { soft_age: age, ..self })
    }

    /// Protects at most `packets` packets under one key, the last [`CLOSE_RESERVE`] of them only to
    /// say goodbye. AES-256-GCM keeps its own limit of 2^23 where `packets` is higher.
    ///
    /// # Errors
    ///
    /// Fewer than 8, more than 2^32, or such that the soft limit would not lie below.
    pub fn with_hard_packets(self, packets: u64) -> Result<Self, KeyLimitError> {
        let min = (self.soft_packets + 1).max(2 * CLOSE_RESERVE);
        within("packets under one key", packets, min, Self::MAX.hard_packets)?;
        Ok(Self { hard_packets: packets, ..self })
    }

    /// Closes the connection after `packets` packets that did not open.
    ///
    /// # Errors
    ///
    /// Zero, or more than 2^35.
    pub fn with_failed_opens(self, packets: u64) -> Result<Self, KeyLimitError> {
        within("failed opens", packets, 1, Self::MAX.failed_opens)?;
        Ok(Self { failed_opens: packets, ..self })
    }

    /// Packets under one key after which an update is wanted.
    pub const fn soft_packets(&self) -> u64 {
        self.soft_packets
    }

    /// Age of a key at which an update is wanted.
    pub const fn soft_age(&self) -> Duration {
        self.soft_age
    }

    /// Packets that a key of this cipher may protect.
    pub fn hard_packets(&self, cipher: Cipher) -> u64 {
        match cipher {
            Cipher::ChaCha20Poly1305 => self.hard_packets,
            Cipher::Aes256Gcm => self.hard_packets.min(AES_HARD_PACKETS),
        }
    }

    /// Packets that may fail to open, over the life of a connection.
    pub const fn failed_opens(&self) -> u64 {
        self.failed_opens
    }

    /// All four: soft packets, soft age, hard packets, failed opens.
    pub(crate) const fn parts(&self) -> (u64, Duration, u64, u64) {
        let Self { soft_packets, soft_age, hard_packets, failed_opens } = *self;
        (soft_packets, soft_age, hard_packets, failed_opens)
    }

    const MAX: Self = Self {
        soft_packets: 1 << 22,
        soft_age: HOUR,
        hard_packets: 1 << 32,
        failed_opens: 1 << 35,
    };
}

impl Default for KeyLimits {
    /// Update after 2^22 packets or an hour; stop after 2^32 packets under one key (2^23 with
    /// AES-256-GCM) or 2^35 failed opens.
    fn default() -> Self {
        Self::MAX
    }
}

/// A limit that is not allowed. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the limit of {what} must lie between {min} and {max}")]
pub struct KeyLimitError {
    what: &'static str,
    min: u64,
    max: u64,
}

fn within(what: &'static str, value: u64, min: u64, max: u64) -> Result<(), KeyLimitError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(KeyLimitError { what, min, max }) }
}

/// Packets at the end of a key's life that only closing may use.
pub const CLOSE_RESERVE: u64 = 4;

const HOUR: Duration = Duration::from_secs(3_600);
const AES_HARD_PACKETS: u64 = 1 << 23;

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
