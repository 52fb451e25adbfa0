//! The largest datagrams: what the network is tried with, and what this machine's own loopback
//! carries (spec R-PATH-29).

use core::net::IpAddr;

/// The largest UDP payload over IPv4, in bytes: 65,535 without the headers.
pub const MAX_DATAGRAM: u16 = 65_507;
/// What loopback carries over IPv6: 65,536 bytes without the headers.
const MOST_LOOPBACK_V6: u16 = 65_488;
/// Ethernet's 1,500 bytes without the headers of IPv6 and UDP.
const ETHERNET: u16 = 1_452;

/// The largest UDP payloads to send and to accept, in bytes. Probing finds what a path carries, up
/// to these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[expect(clippy::exhaustive_structs, reason = "plain values of a configuration")]
pub struct PacketSizes {
    /// To and from other machines. Default 1,452.
    pub network: u16,
    /// To and from this machine's loopback addresses. Default 65,507.
    pub loopback: u16,
}

impl Default for PacketSizes {
    fn default() -> Self {
        Self { network: ETHERNET, loopback: MAX_DATAGRAM }
    }
}

impl PacketSizes {
    /// The same for all.
    pub const fn everywhere(bytes: u16) -> Self {
        Self { network: bytes, loopback: bytes }
    }

    /// The largest to and from `ip`.
    pub const fn most_to(self, ip: IpAddr) -> u16 {
        match ip.to_canonical() {
            IpAddr::V4(v4) if v4.is_loopback() => self.loopback,
            IpAddr::V6(v6) if v6.is_loopback() && self.loopback > MOST_LOOPBACK_V6 => {
                MOST_LOOPBACK_V6
            }
            IpAddr::V6(v6) if v6.is_loopback() => self.loopback,
            _ => self.network,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: R-PATH-29
    #[test]
    fn only_loopback_has_the_largest() {
        let sizes = PacketSizes::default();
        for (ip, most) in [
            ("127.0.0.1", 65_507),
            ("127.9.9.9", 65_507),
            ("::ffff:127.0.0.1", 65_507),
            ("::1", 65_488),
            ("10.0.0.1", 1_452),
            ("192.168.0.1", 1_452),
            ("::ffff:10.0.0.1", 1_452),
            ("fe80::1", 1_452),
            ("0.0.0.0", 1_452),
        ] {
            assert_eq!(sizes.most_to(ip.parse().unwrap()), most, "{ip}");
        }
        let small = PacketSizes::everywhere(1_300);
        for ip in ["127.0.0.1", "::1", "10.0.0.1"] {
            assert_eq!(small.most_to(ip.parse().unwrap()), 1_300, "{ip}");
        }
    }
}
