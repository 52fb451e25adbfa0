//! Addresses, and what else is told of datagrams, as C has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aqueduct_core::wire::id::Ecn;

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

/// Where datagrams come from, or go to, and how: several of one size may be one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Way {
    /// The other end.
    pub address: Address,
    /// Bytes of each datagram but the last, which may be shorter; zero: there is one.
    pub segment: u32,
    /// The two bits of the IP header.
    pub ecn: u8,
    /// Zero.
    pub reserved: [u8; 3],
}

impl Way {
    /// The mark as the core has it; `None` if these are not two bits.
    pub(crate) const fn mark(self) -> Option<Option<Ecn>> {
        Some(match self.ecn {
            0 => None,
            1 => Some(Ecn::Ect1),
            2 => Some(Ecn::Ect0),
            3 => Some(Ecn::Ce),
            _ => return None,
        })
    }

    /// How large its datagrams are, if there may be several.
    pub(crate) fn segment(self) -> Option<usize> {
        usize::try_from(self.segment).ok().filter(|segment| *segment > 0)
    }
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
