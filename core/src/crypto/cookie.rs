//! Retry cookies: a stranger shows that it can receive at its address, at no cost of memory.
//!
//! A cookie is a time, the number of a key and a keyed hash over these and everything that the
//! stranger must not change: its address, its port, the connection id it chose, the pattern it
//! speaks. Keys live for a minute as the current one and for another as the previous one; both are
//! drawn from the endpoint's generator.
//!
//! ```text
//!  0        4        5        8                        24
//!  ├─ time ─┼─ key ──┼─ zero ─┼──── keyed hash, 16 ────┤
//! ```

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::provider::Provider;
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::id::ConnectionId;

/// A retry cookie as it goes over the wire (spec R-KEY-30). All zeros is "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cookie(pub [u8; Self::LEN]);

impl Cookie {
    /// Bytes of a cookie on the wire.
    pub const LEN: usize = 24;
    /// What a stranger sends that has none.
    pub const NONE: Self = Self([0; Self::LEN]);
}

/// Who asks for a connection: what a cookie is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Where its datagram came from.
    pub address: SocketAddr,
    /// The connection id it chose for itself.
    pub scid: ConnectionId,
    /// The handshake pattern as in the prologue: 1 IK, 2 XX.
    pub pattern: u8,
}

/// Makes and checks cookies.
///
/// # Example
///
/// ```
/// use aqueduct_core::crypto::cookie::{CookieKeys, Stranger};
/// use aqueduct_core::crypto::provider::Provider;
/// use aqueduct_core::rng::{Rng, Seed};
/// use aqueduct_core::time::Instant;
/// use aqueduct_core::wire::id::ConnectionId;
///
/// let rng = Rng::new(&Seed::from_u64(1)).fork("cookie");
/// let mut keys = CookieKeys::new(Provider::Rust, rng, Instant::ZERO);
/// let address = "192.0.2.1:4433".parse().unwrap();
/// let stranger = Stranger { address, scid: ConnectionId([1; 8]), pattern: 1 };
/// let cookie = keys.make(&stranger, Instant::ZERO);
/// assert!(keys.check(&cookie, &stranger, Instant::ZERO));
/// let other = Stranger { pattern: 2, ..stranger };
/// assert!(!keys.check(&cookie, &other, Instant::ZERO));
/// ```
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct CookieKeys {
    provider: Provider,
    rng: Rng,
    current: CookieKey,
    previous: Option<CookieKey>,
    /// When `current` was drawn.
    since: Instant,
}

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct CookieKey {
    id: u8,
    key: [u8; 32],
}

impl CookieKeys {
    /// Keys drawn from `rng`, which must be a secret fork that nobody else draws from.
    pub fn new(provider: Provider, mut rng: Rng, now: Instant) -> Self {
        let current = CookieKey { id: 0, key: rng.bytes() };
        Self { provider, rng, current, previous: None, since: now }
    }

    /// A cookie for this stranger, good for [`LIFETIME`].
    pub fn make(&mut self, stranger: &Stranger, now: Instant) -> Cookie {
        self.rotate(now);
        let time = seconds(now).to_be_bytes();
        let id = [self.current.id];
        let hash = self.hash(&self.current.key, stranger, &time, &id);
        let mut cookie = Cookie::NONE;
        let fields = time.into_iter().chain(id).chain([0; 3]).chain(hash);
        for (to, from) in cookie.0.iter_mut().zip(fields) {
            *to = from;
        }
        cookie
    }

    /// Whether this endpoint made `cookie` for this stranger within the last [`LIFETIME`].
    /// Says nothing about how often it was used.
    pub fn check(&mut self, cookie: &Cookie, stranger: &Stranger, now: Instant) -> bool {
        self.rotate(now);
        let [t0, t1, t2, t3, id, z0, z1, z2, hash @ ..] = cookie.0;
        let time = [t0, t1, t2, t3];
        // A time ahead of ours wraps round to a great age.
        let age = seconds(now).wrapping_sub(u32::from_be_bytes(time));
        if u64::from(age) > LIFETIME.as_secs() || [z0, z1, z2] != [0; 3] {
            return false;
        }
        let keys = [Some(&self.current), self.previous.as_ref()];
        let Some(key) = keys.into_iter().flatten().find(|key| key.id == id) else {
            return false;
        };
        self.hash(&key.key, stranger, &time, &[id]).ct_eq(&hash).into()
    }

    fn rotate(&mut self, now: Instant) {
        let age = now.saturating_since(self.since);
        if age < ROTATION {
            return;
        }
        let fresh = CookieKey { id: self.current.id.wrapping_add(1), key: self.rng.bytes() };
        let old = core::mem::replace(&mut self.current, fresh);
        // After a long silence the old key has nothing left to check.
        self.previous = (age < 2 * ROTATION).then_some(old);
        self.since = now;
    }

    fn hash(&self, key: &[u8; 32], stranger: &Stranger, time: &[u8], id: &[u8]) -> [u8; 16] {
        let ip = match stranger.address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let port = stranger.address.port().to_be_bytes();
        let pattern = [stranger.pattern];
        let parts: [&[u8]; 7] = [b"aqdt cookie", &ip, &port, &stranger.scid.0, &pattern, time, id];
        self.provider.hmac_sha256_16(key, &parts)
    }
}

/// Says only that there are keys.
impl fmt::Debug for CookieKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieKeys").field("since", &self.since).finish_non_exhaustive()
    }
}

/// Whole seconds of this endpoint's clock, modulo 2^32.
fn seconds(now: Instant) -> u32 {
    (now.as_nanos() / 1_000_000_000) as u32
}

/// How long a cookie is good, counted in whole seconds of the clock.
pub const LIFETIME: Duration = Duration::from_secs(30);

/// Age at which a key makes no more cookies.
pub const ROTATION: Duration = Duration::from_secs(60);

#[cfg(test)]
#[path = "cookie_tests.rs"]
mod tests;
