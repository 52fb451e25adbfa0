//! Addresses as C has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IP address and a port. Of an IPv4 address only the first four bytes count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(clippy::exhaustive_structs, reason = "the header has the same fields")]
pub struct Address {
    /// The address, in the order of the network.
    pub ip: [u8; 16],
    /// The port, as a number of this machine.
    pub port: u16,
    /// 4 or 6.
    pub family: u8,
    /// Zero.
    pub reserved: u8,
}

impl Address {
    /// The same for Rust; `None` if it is of no family.
    pub(crate) fn to_std(self) -> Option<SocketAddr> {
        let [a, b, c, d, ..] = self.ip;
        let ip: IpAddr = match self.family {
            4 => Ipv4Addr::new(a, b, c, d).into(),
            6 => Ipv6Addr::from(self.ip).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.port))
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        let (ip, family) = match addr.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                ([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 4)
            }
            IpAddr::V6(ip) => (ip.octets(), 6),
        };
        Self { ip, port: addr.port(), family, reserved: 0 }
    }
}
