//! How much may go to an address that has not shown that it wants to be sent to.

/// Bytes that may leave for each byte that came (RFC 9000 section 8).
const FACTOR: u64 = 3;

/// The account of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Amplification {
    received: u64,
    sent: u64,
    limited: bool,
    validated: bool,
}

impl Amplification {
    /// Of an address that nothing is known of.
    pub const fn new() -> Self {
        Self { received: 0, sent: 0, limited: true, validated: false }
    }

    /// Of an address that somebody is at, as TCP has shown; whether it is the peer is not known.
    pub const fn unlimited() -> Self {
        Self { received: 0, sent: 0, limited: false, validated: false }
    }

    /// Whether the address has proven itself.
    pub const fn is_validated(&self) -> bool {
        self.validated
    }

    /// The address has proven itself. Cannot be undone.
    pub fn validate(&mut self) {
        self.validated = true;
    }

    /// An authentic datagram of `bytes` came from the address.
    pub fn on_received(&mut self, bytes: u64) {
        self.received = self.received.saturating_add(bytes);
    }

    /// A datagram of `bytes` left for the address.
    pub fn on_sent(&mut self, bytes: u64) {
        self.sent = self.sent.saturating_add(bytes);
    }

    /// Bytes that may leave; `u64::MAX` once validated.
    pub fn remaining(&self) -> u64 {
        if self.validated || !self.limited {
            return u64::MAX;
        }
        self.received.saturating_mul(FACTOR).saturating_sub(self.sent)
    }
}

impl Default for Amplification {
    fn default() -> Self {
        Self::new()
    }
}
