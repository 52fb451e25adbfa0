//! Addresses: of nodes to dial, and of this machine for others to dial.

use std::net::{IpAddr, SocketAddr};

use aqueduct_core::crypto::identity::NodeId;

/// Whom to dial, and where.
#[derive(Clone, Debug)]
pub struct NodeAddr {
    /// The id that must answer. `None`: whoever answers is taken and reported (the XX handshake).
    pub id: Option<NodeId>,
    /// Where it may be reached, best first.
    pub addrs: Vec<SocketAddr>,
}

impl NodeAddr {
    /// The node `id` at any of `addrs`.
    pub fn new(id: Option<NodeId>, addrs: Vec<SocketAddr>) -> Self {
        Self { id, addrs }
    }
}

impl From<SocketAddr> for NodeAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::new(None, vec![addr])
    }
}

impl From<(NodeId, SocketAddr)> for NodeAddr {
    fn from((id, addr): (NodeId, SocketAddr)) -> Self {
        Self::new(Some(id), vec![addr])
    }
}

impl From<(NodeId, Vec<SocketAddr>)> for NodeAddr {
    fn from((id, addrs): (NodeId, Vec<SocketAddr>)) -> Self {
        Self::new(Some(id), addrs)
    }
}

impl From<(Option<NodeId>, Vec<SocketAddr>)> for NodeAddr {
    fn from((id, addrs): (Option<NodeId>, Vec<SocketAddr>)) -> Self {
        Self::new(id, addrs)
    }
}

/// Addresses under which a socket bound to `local` can be dialled.
///
/// A socket bound to one address has that one. A wildcard socket has those of the machine's
/// interfaces: IPv4 ones for a socket that takes IPv4, IPv6 ones for one that takes IPv6; global
/// ones first, loopback last. Link-local IPv6 addresses are left out: they mean nothing without the
/// interface's name. If the interfaces cannot be listed, the loopback addresses remain.
pub fn dialable_addrs(local: SocketAddr, takes_v4: bool) -> Vec<SocketAddr> {
    if !local.ip().is_unspecified() {
        return vec![local];
    }
    let wanted = |ip: &IpAddr| match ip {
        IpAddr::V4(_) => takes_v4,
        IpAddr::V6(ip) => local.is_ipv6() && !ip.is_unicast_link_local(),
    };
    let mut ips: Vec<IpAddr> = match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.iter().map(if_addrs::Interface::ip).filter(wanted).collect(),
        Err(error) => {
            tracing::debug!(%error, "the interfaces cannot be listed");
            Vec::new()
        }
    };
    if ips.is_empty() {
        let loopbacks: [IpAddr; 2] =
            [std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
        ips.extend(loopbacks.into_iter().filter(wanted));
    }
    ips.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    ips.dedup();
    ips.into_iter().map(|ip| SocketAddr::new(ip, local.port())).collect()
}
