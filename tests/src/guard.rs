//! What every run is checked for: nobody is made to flood an address where no peer was shown to be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::net::HostId;

/// Bytes between one host and one address.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    heard: u64,
    said: u64,
    /// The host itself chose to dial the address.
    dialed: bool,
    /// Somebody who really is at the address received something from the host.
    reached: bool,
    /// And something came from there afterwards.
    proven: bool,
}

/// Watches the limit of three times (spec R-EP-18, R-PATH) for every host and every address.
///
/// It sees more than the hosts do: an address counts as proven only if a host that really is there
/// received something and something came from there later, or from elsewhere by that same host,
/// which may have moved before it answered. That is the least that can prove it, so the guard is
/// never stricter than the rule.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    flows: BTreeMap<(HostId, SocketAddr), Flow>,
    /// Where the first host's datagrams reached the second, of which it has heard nothing since.
    unanswered: BTreeMap<(HostId, HostId), BTreeSet<SocketAddr>>,
}

impl Guard {
    fn flow(&mut self, host: HostId, address: SocketAddr) -> &mut Flow {
        self.flows.entry((host, address)).or_default()
    }

    /// The host's application chose the address.
    pub fn on_dialed(&mut self, host: HostId, address: SocketAddr) {
        self.flow(host, address).dialed = true;
    }

    /// A datagram leaves the host.
    ///
    /// # Panics
    /// If it makes more than three times what came from there.
    pub fn on_sent(&mut self, host: HostId, address: SocketAddr, len: usize) {
        let flow = self.flow(host, address);
        flow.said += len as u64;
        let free = flow.dialed || flow.proven;
        assert!(
            free || flow.said <= 3 * flow.heard,
            "host {} amplifies to {address}: {} bytes for {}",
            host.0,
            flow.said,
            flow.heard
        );
    }

    /// A datagram reached the host; `sender` is who really lives at `address`, `own` the address it
    /// came to.
    pub fn on_delivered(
        &mut self,
        host: HostId,
        address: SocketAddr,
        len: usize,
        sender: Option<(HostId, SocketAddr)>,
    ) {
        let flow = self.flow(host, address);
        flow.heard += len as u64;
        flow.proven |= flow.reached;
        let Some((sender, own)) = sender else { return };
        self.on_reached(sender, own);
        self.unanswered.entry((sender, host)).or_default().insert(own);
        for known in self.unanswered.remove(&(host, sender)).unwrap_or_default() {
            self.flow(host, known).proven = true;
        }
    }

    /// Who really lives at `address` received something from the host.
    pub fn on_reached(&mut self, host: HostId, address: SocketAddr) {
        self.flow(host, address).reached = true;
    }

    /// Somebody who listens on the way to the address passes on elsewhere what the host says there:
    /// for the host he is there, whoever answers.
    pub fn on_passed_on(&mut self, host: HostId, address: SocketAddr) {
        self.flow(host, address).proven = true;
    }

    /// Bytes that a host said to an address, and heard from there.
    pub fn said_and_heard(&self, host: HostId, address: SocketAddr) -> (u64, u64) {
        self.flows.get(&(host, address)).map_or((0, 0), |flow| (flow.said, flow.heard))
    }
}
