//! The way to a next hop: a connection that is there, or a new one.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::stream::OpenOptions;
use aqueduct_core::wire::capabilities::Mode;
use aqueduct_core::wire::id::Dir;
use aqueduct_core::wire::route::Hop;
use futures_util::future::{Either, select, select_ok};

use crate::addrs::NodeAddr;
use crate::connection::Connection;
use crate::recv::RecvHalf;
use crate::send::SendHalf;

use super::ledger::Opening;
use super::{REACH, Relay};

/// A leg that was opened, with the way back.
pub(super) struct Opened<'a> {
    pub(super) connection: Connection,
    pub(super) send: SendHalf,
    pub(super) back: Option<RecvHalf>,
    /// Until the leg is known.
    pub(super) opening: Opening<'a>,
}

impl Relay {
    /// A stream to a hop for a guest, by a connection that is there or a new one. `None`: out of
    /// reach, or it takes no part in pipes, or there was no stream to be had in time: that is not
    /// to hold up the others.
    pub(super) async fn open_leg(
        &self,
        guest: NodeId,
        hop: &Hop,
        dir: Dir,
        options: &OpenOptions,
    ) -> Option<Opened<'_>> {
        self.in_time(self.open(guest, hop, dir, options)).await?
    }

    /// What comes of it, unless a hop would not take so long to be reached.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let late = self.endpoint.pause(self.config.reach.min(REACH));
        match select(pin!(work), pin!(late)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }

    async fn open(
        &self,
        guest: NodeId,
        hop: &Hop,
        dir: Dir,
        options: &OpenOptions,
    ) -> Option<Opened<'_>> {
        let id = NodeId::from_bytes(&hop.id).ok()?;
        let connection = self.meet(guest, id, hop).await?;
        if connection.mode() < Mode::StreamingPiped {
            return None;
        }
        self.used(id);
        let opening = self.ledger.opening(id);
        let (send, back) = connection.open(dir, options.clone()).await.ok()?;
        // It is not the application's.
        connection.forget_answers(send.id());
        Some(Opened { connection, send, back, opening })
    }

    /// A stream to a hop begins or ends: its connection is kept for longer.
    pub(super) fn used(&self, hop: NodeId) {
        self.kept.used(hop, self.endpoint.clock().now());
    }

    /// A connection to a hop. Streams that come together and know it at the same addresses dial it
    /// once.
    async fn meet(&self, guest: NodeId, id: NodeId, hop: &Hop) -> Option<Connection> {
        let there = (id, hop.addrs.clone());
        loop {
            if let Some(connection) = self.endpoint.connection_to(id).await {
                return Some(connection);
            }
            let Some(_dial) = self.dials.begin(guest, &there).await else {
                self.dials.over(&there).await;
                continue;
            };
            // While it waited for its place the node may have come by itself.
            if let Some(connection) = self.endpoint.connection_to(id).await {
                return Some(connection);
            }
            let connection = self.dial(id, hop).await?;
            if !self.config.linger.is_zero() {
                self.kept.keep(&connection, self.endpoint.clock().now());
            }
            return Some(connection);
        }
    }

    async fn dial(&self, id: NodeId, hop: &Hop) -> Option<Connection> {
        let lawful = hop.addrs.iter().filter(|addr| is_dialled(**addr));
        let reachable = lawful.filter(|addr| self.endpoint.reaches(**addr));
        let there = |addr: &SocketAddr| NodeAddr::new(Some(id), vec![*addr]);
        let dials: Vec<_> = reachable.map(|addr| self.endpoint.dial(there(addr))).collect();
        if dials.is_empty() {
            return None;
        }
        Some(select_ok(dials).await.ok()?.0)
    }
}

/// Whether a node may be at an address: one of one host, with a port.
fn is_dialled(addr: SocketAddr) -> bool {
    let ip = addr.ip().to_canonical();
    let all = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    addr.port() != 0 && !all && !ip.is_unspecified() && !ip.is_multicast()
}

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
