//! What neighbours reach each other by: who dials, and byte streams beside datagrams.

use std::net::SocketAddr;

use aqueduct_core::endpoint::{ConnectionHandle, PeerAddr};
use aqueduct_core::wire::id::CarrierId;

use super::deed::Deed;
use super::plan::Carriage;
use super::world::World;
use crate::net::stream::StreamConfig;
use crate::net::{HostId, UDP};

/// Carriers of one edge are numbered from a multiple of this on.
const CARRIERS: u32 = 1_000;

impl World {
    /// The dialer of an edge dials, if it has no connection.
    pub(super) fn dial(&mut self, number: usize) {
        let edge = self.plan.edges[number];
        if self.lines[number].at[0].is_some() {
            return;
        }
        let peer = self.net.host(edge.acceptor).endpoint.node_id();
        let addr = match edge.carriage {
            Carriage::Udp | Carriage::UdpFirst(_) => {
                PeerAddr::new(peer, self.net.host(edge.acceptor).addr)
            }
            Carriage::Stream(config) | Carriage::StreamFirst(config) => {
                let (carrier, remote) = self.connect_stream(number, config);
                PeerAddr { id: Some(peer), remote, carrier }
            }
        };
        self.lines[number].at[0] = self.call(edge.dialer, addr);
    }

    /// The acceptor of an edge dials, too, if it knows of no connection and where the dialer is.
    pub(super) fn dial_back(&mut self, number: usize) {
        let edge = self.plan.edges[number];
        let by_udp = matches!(edge.carriage, Carriage::Udp | Carriage::UdpFirst(_));
        let hidden = self.nats.contains_key(&edge.dialer);
        if hidden || !by_udp || self.lines[number].at[1].is_some() {
            return;
        }
        let dialer = self.net.host(edge.dialer);
        let addr = PeerAddr::new(dialer.endpoint.node_id(), dialer.addr);
        self.call(edge.acceptor, addr);
    }

    /// There may be no room for one more.
    fn call(&mut self, from: HostId, to: PeerAddr) -> Option<ConnectionHandle> {
        let now = self.net.local(from);
        self.net.guard.on_dialed(from, to.remote);
        let attempt = self.net.host(from).endpoint.connect(to, now).ok()?;
        self.attempts.insert((from, attempt));
        Some(attempt)
    }

    /// A byte stream between the ends of an edge: its carrier, and where the acceptor is on it.
    fn connect_stream(&mut self, number: usize, config: StreamConfig) -> (CarrierId, SocketAddr) {
        let edge = self.plan.edges[number];
        let line = &mut self.lines[number];
        line.carriers += 1;
        let carrier = CarrierId((number as u32 + 1) * CARRIERS + line.carriers);
        let (stream, remote) = self.net.join([edge.dialer, edge.acceptor], carrier, config);
        self.lines[number].streams.push(stream);
        (carrier, remote)
    }

    /// The endpoint wishes for another way: it is there a round trip later.
    pub(super) fn on_wish(&mut self, host: HostId, connection: ConnectionHandle) {
        for (number, edge) in self.plan.edges.clone().into_iter().enumerate() {
            if let Some(config) = edge.carriage.stream()
                && edge.dialer == host
                && self.lines[number].at[0] == Some(connection)
                && self.raging
            {
                self.later(config.delay * 2, Deed::Join(number));
            }
        }
    }

    /// A byte stream is made beside the datagrams of an edge. Of older ones the newest is kept: it
    /// may be in use.
    pub(super) fn join(&mut self, number: usize) {
        let edge = self.plan.edges[number];
        let Some(config) = edge.carriage.stream() else { return };
        let there = self.lines[number].at[0];
        let there = there.filter(|it| self.nodes[edge.dialer.0].neighbours.contains(it));
        let run = [edge.dialer, edge.acceptor].iter().all(|host| self.net.host(*host).runs());
        let Some(handle) = there.filter(|_| run) else { return };
        let newest = self.lines[number].streams.pop();
        self.hang_up(number);
        self.lines[number].streams.extend(newest);
        let (carrier, remote) = self.connect_stream(number, config);
        if let Some(mut view) = self.net.host(edge.dialer).endpoint.connection(handle) {
            view.add_path(carrier, remote);
        }
    }

    /// Who came over a byte stream offers its datagrams, if the edge is to have them.
    pub(super) fn offer_udp(&mut self, number: usize) {
        let edge = self.plan.edges[number];
        let Carriage::StreamFirst(_) = edge.carriage else { return };
        let Some(handle) = self.lines[number].at[0] else { return };
        let remote = self.net.host(edge.acceptor).addr;
        self.net.guard.on_dialed(edge.dialer, remote);
        if let Some(mut view) = self.net.host(edge.dialer).endpoint.connection(handle) {
            view.add_path(UDP, remote);
        }
    }

    /// All byte streams of an edge are closed.
    pub(super) fn hang_up(&mut self, number: usize) {
        for stream in std::mem::take(&mut self.lines[number].streams) {
            self.net.break_stream(stream);
        }
    }

    /// The newest byte stream of an edge dies, and nobody is told.
    pub(super) fn swallow(&mut self, number: usize) {
        if let Some(stream) = self.lines[number].streams.last() {
            self.net.swallow(*stream);
        }
    }
}
