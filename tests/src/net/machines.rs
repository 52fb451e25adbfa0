//! Machines and the endpoints on them: how they come, and come again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::endpoint::CarrierKind;
use aqueduct_core::rng::Seed;

use super::{Host, HostId, Net, UDP};

/// Where a machine's first endpoint is.
const PORT: u16 = 4433;

const UDP_KIND: CarrierKind = CarrierKind::Udp { max_segments: 16, max_datagram: 65_507 };

impl Net {
    /// Adds a machine with an endpoint and its UDP socket.
    pub fn add(&mut self, config: EndpointConfig, seed: u64) -> HostId {
        let number = self.hosts.len();
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, (number >> 8) as u8, number as u8 + 1));
        self.settle_in(config, seed, SocketAddr::new(ip, PORT))
    }

    /// Adds another endpoint on the machine of `host`: at its address, with the next free port, by
    /// its clock, behind its NAT. What becomes of one process is nothing to the other.
    pub fn add_beside(&mut self, host: HostId, config: EndpointConfig, seed: u64) -> HostId {
        let Host { addr, clock, behind, .. } = &self.hosts[host.0];
        let (ip, clock, behind) = (addr.ip(), *clock, *behind);
        let here = self.hosts.iter().filter(|host| (host.addr.ip(), host.behind) == (ip, behind));
        let port = here.map(|host| host.addr.port()).max().unwrap_or(PORT) + 1;
        let id = self.settle_in(config, seed, SocketAddr::new(ip, port));
        let host = self.host(id);
        (host.clock, host.behind) = (clock, behind);
        id
    }

    fn settle_in(&mut self, config: EndpointConfig, seed: u64, addr: SocketAddr) -> HostId {
        let mut endpoint = self.tapes.endpoint(config, Seed::from_u64(seed));
        endpoint.carrier_opened(UDP, UDP_KIND, self.now);
        self.hosts.push(Host::new(endpoint, addr));
        HostId(self.hosts.len() - 1)
    }

    /// The host's process is killed and started anew: nothing is left of its state.
    pub fn restart(&mut self, id: HostId, config: EndpointConfig, seed: u64) {
        let now = self.local(id);
        let mut endpoint = self.tapes.endpoint(config, Seed::from_u64(seed));
        endpoint.carrier_opened(UDP, UDP_KIND, now);
        self.model.iter_mut().for_each(|model| model.forget(id));
        #[cfg(feature = "wiretap")]
        self.wiretaps.iter_mut().for_each(|taps| _ = taps.remove(&id));
        let old = self.host(id).reborn(endpoint);
        self.tapes.finish(old);
    }
}
