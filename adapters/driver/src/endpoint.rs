//! The endpoint's handles.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::endpoint::{EndpointStats, PeerAddr};
use aqueduct_core::path::CarrierKind;
use aqueduct_core::shaping::Bandwidth;
use aqueduct_core::wire::id::{AppCode, CarrierId};

use crate::addrs::dialable_addrs;
use crate::clock::Clock;
use crate::connection::{ConnShared, Connecting, Connection};
use crate::error::ConnectError;
use crate::hub::{Call, Command, Diverted, EndpointState, Relayed, Shared, Whose};
use crate::recording::Recorded;
use crate::socket::BufferWarning;
use crate::stats::{IoStats, MessageStats};
use crate::tcp::Carriers;
use crate::wait::{Answer, lock, question, until};

/// The socket that an endpoint begins with.
pub const UDP: CarrierId = CarrierId(0);

struct EndpointGuard(Arc<Shared>);

impl Drop for EndpointGuard {
    fn drop(&mut self) {
        // Strangers that nobody will answer are refused.
        let left = self.0.close();
        for incoming in left {
            let _gone = self.0.hub.push(Command::Refuse(incoming.into()));
        }
        let _gone = self.0.hub.push(Command::Abandoned);
    }
}

/// A handle of an endpoint. When the last clone is gone nobody is accepted any more, and the driver
/// ends once the connections have.
#[derive(Clone)]
pub struct Endpoint {
    guard: Arc<EndpointGuard>,
}

impl Endpoint {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { guard: Arc::new(EndpointGuard(shared)) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.guard.0
    }

    /// Who this node is.
    pub fn node_id(&self) -> NodeId {
        self.shared().node_id
    }

    /// The socket's own address.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared().local
    }

    /// Addresses under which others may dial this endpoint; see [`dialable_addrs`].
    pub fn dialable_addrs(&self) -> Vec<SocketAddr> {
        dialable_addrs(self.shared().local, self.shared().takes_v4)
    }

    /// Where the kernel gave smaller buffers than were asked for.
    pub fn buffer_warnings(&self) -> &[BufferWarning] {
        &self.shared().warnings
    }

    /// The clock whose instants the core's figures speak of.
    pub fn clock(&self) -> Clock {
        self.shared().clock
    }

    /// Whether this endpoint's socket can send to `remote`.
    pub fn reaches(&self, remote: SocketAddr) -> bool {
        let shared = self.shared();
        if remote.is_ipv4() { shared.takes_v4 } else { shared.local.is_ipv6() }
    }

    /// The recording of this endpoint, if there is one.
    pub fn recording(&self) -> Option<Recorded> {
        let progress = self.shared().tape.clone()?;
        Some(Recorded::new(self.shared().clone(), progress))
    }

    /// By what it reaches others.
    pub fn carriers(&self) -> Carriers {
        self.shared().carriers
    }

    /// Whether others can reach it by TCP, on the port of its UDP socket.
    pub fn listens_for_tcp(&self) -> bool {
        self.shared().listens
    }

    /// Begins a connection to one address by UDP.
    ///
    /// # Errors
    /// The endpoint is closed, or its socket is of the other IP family.
    pub fn connect(
        &self,
        id: Option<NodeId>,
        remote: SocketAddr,
    ) -> Result<Connecting, ConnectError> {
        self.connect_by(id, remote, CarrierKind::Udp)
    }

    /// Begins a connection to one address by UDP or by TCP.
    ///
    /// # Errors
    /// The endpoint is closed, or its socket is of the other IP family.
    pub fn connect_by(
        &self,
        id: Option<NodeId>,
        remote: SocketAddr,
        by: CarrierKind,
    ) -> Result<Connecting, ConnectError> {
        self.call(id, remote, by, Arc::default())
    }

    /// The same to a node that may be at other addresses as well.
    pub(crate) fn call(
        &self,
        id: Option<NodeId>,
        remote: SocketAddr,
        by: CarrierKind,
        known: Arc<[SocketAddr]>,
    ) -> Result<Connecting, ConnectError> {
        let shared = self.shared();
        if !self.reaches(remote) {
            return Err(ConnectError::WrongFamily(remote, shared.local));
        }
        if lock(&shared.state).closed {
            return Err(ConnectError::EndpointClosed);
        }
        let to = PeerAddr { id, remote, carrier: UDP };
        let connection = ConnShared::new(shared.clone(), remote, id);
        let connecting = Connecting::new(connection.clone());
        shared.connection_begins();
        let command = Command::Connect(Call { to, by, known, connection });
        if shared.hub.push(command).is_err() {
            shared.connection_gone();
            return Err(ConnectError::EndpointClosed);
        }
        Ok(connecting)
    }

    /// The next stranger that wants to connect; `None` once the endpoint is closed. Cancel-safe.
    pub async fn accept(&self) -> Option<Incoming> {
        let look = |state: &mut EndpointState| match state.incoming.pop_front() {
            Some(incoming) => Some(Some(incoming)),
            None => state.closed.then_some(None),
        };
        let shared = self.shared();
        let incoming = until(&shared.state, |state| &mut state.arrivals, look).await?;
        let (peer, remote) = (incoming.peer(), incoming.remote());
        Some(Incoming { incoming: Some(incoming), peer, remote, shared: shared.clone() })
    }

    /// A connection with this node that is there already; `None` if there is none.
    pub async fn connection_to(&self, id: NodeId) -> Option<Connection> {
        let (reply, answer) = question();
        if self.shared().hub.push(Command::Find(id, reply)).is_err() {
            return None;
        }
        answer.await
    }

    /// Waits for so long, by the driver's own sleep. `None`: the driver has ended. Cancel-safe.
    pub(crate) async fn pause(&self, time: Duration) -> Option<()> {
        self.alarm(time).await
    }

    /// Resolves after so long, counted from now, or when the driver has ended.
    pub(crate) fn alarm(&self, time: Duration) -> Answer<()> {
        let (reply, answer) = question();
        let at = self.clock().now() + time;
        // A list that takes no more work drops the reply, and with it goes the waiting.
        let _gone = self.shared().hub.push(Command::Alarm(at, reply));
        answer
    }

    /// From now on streams for relays wait for [`relayed`](Self::relayed): for the relay of this
    /// number, and for none that was before it.
    pub(crate) fn divert(&self) -> u64 {
        let (relay, wakers) = {
            let mut state = lock(&self.shared().state);
            state.diversions += 1;
            let relay = state.diversions;
            let waiting = state.relayed.take().map(|before| before.waiting).unwrap_or_default();
            state.relayed = Some(Diverted { relay, waiting });
            (relay, state.relays.take())
        };
        wakers.wake();
        relay
    }

    /// Streams for relays are refused from now on, unless another relay has taken over. Gives those
    /// that wait.
    pub(crate) fn divert_no_more(&self, relay: u64) -> VecDeque<Relayed> {
        let taken = lock(&self.shared().state).relayed.take_if(|now| now.relay == relay);
        taken.map(|diverted| diverted.waiting).unwrap_or_default()
    }

    /// The next stream for a relay; `None` once the endpoint is closed or another relay has taken
    /// over. Cancel-safe.
    pub(crate) async fn relayed(&self, relay: u64) -> Option<Relayed> {
        let look = |state: &mut EndpointState| {
            let own = state.relayed.as_mut().filter(|now| now.relay == relay);
            let Some(own) = own else { return Some(None) };
            match own.waiting.pop_front() {
                Some(found) => Some(Some(found)),
                None => state.closed.then_some(None),
            }
        };
        until(&self.shared().state, |state| &mut state.relays, look).await
    }

    /// The core's counters; `None` once the driver has ended.
    pub async fn stats(&self) -> Option<EndpointStats> {
        let (reply, answer) = question();
        if self.shared().hub.push(Command::Stats(reply)).is_err() {
            return None;
        }
        answer.await
    }

    /// How much the node sends in all from now on, in bytes a second; `None`: as much as it can.
    /// After the end it does nothing.
    pub fn set_limit(&self, rate: Option<u64>) {
        let _gone = self.shared().hub.push(Command::Limit(Whose::Node, rate));
    }

    /// The same for each peer that has no limit of its own.
    pub fn set_peers_limit(&self, rate: Option<u64>) {
        let _gone = self.shared().hub.push(Command::Limit(Whose::Each, rate));
    }

    /// The same for one peer, whether or not it is connected; `None`: as the others are limited.
    pub fn set_peer_limit(&self, peer: NodeId, rate: Option<u64>) {
        let _gone = self.shared().hub.push(Command::Limit(Whose::Peer(peer), rate));
    }

    /// Bytes of datagrams by direction and class: of all since the endpoint began, or of one
    /// peer's present connections. `None` once the driver has ended.
    pub async fn bandwidth(&self, peer: Option<NodeId>) -> Option<Bandwidth> {
        let (reply, answer) = question();
        if self.shared().hub.push(Command::Bandwidth(peer, reply)).is_err() {
            return None;
        }
        answer.await
    }

    /// The socket's counters.
    pub fn io_stats(&self) -> IoStats {
        self.shared().counters.snapshot()
    }

    /// Counters of messages, by the way that they took.
    pub fn message_stats(&self) -> MessageStats {
        self.shared().messages.counts.snapshot()
    }

    /// Accepts nobody any more and closes every connection after delivery.
    pub fn close(&self, code: AppCode, reason: &[u8]) {
        for incoming in self.shared().close() {
            let _gone = self.shared().hub.push(Command::Refuse(incoming.into()));
        }
        let _gone = self.shared().hub.push(Command::Close(code, reason.to_vec()));
    }

    /// Waits until no connection is left. Cancel-safe.
    pub async fn wait_idle(&self) {
        let look = |state: &mut EndpointState| (state.connections == 0).then_some(());
        until(&self.shared().state, |state| &mut state.idlers, look).await;
    }
}

/// For what works with the handle of any adapter.
impl AsRef<Endpoint> for Endpoint {
    fn as_ref(&self) -> &Endpoint {
        self
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shared().fmt(f)
    }
}

/// Somebody who wants to connect and has proven who they are. Dropped, they are refused.
pub struct Incoming {
    incoming: Option<aqueduct_core::endpoint::Incoming>,
    peer: NodeId,
    remote: SocketAddr,
    shared: Arc<Shared>,
}

impl Incoming {
    /// Who it is.
    pub fn peer(&self) -> NodeId {
        self.peer
    }

    /// Where they are.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Lets them in. What is returned resolves when the handshake is confirmed: wait for it in a
    /// task of its own, so that a slow peer holds nobody up.
    pub fn accept(mut self) -> Connecting {
        let connection = ConnShared::new(self.shared.clone(), self.remote, Some(self.peer));
        // Its first handle is there before the driver hears of it: streams may come at once.
        let connecting = Connecting::new(connection.clone());
        if let Some(incoming) = self.incoming.take() {
            self.shared.connection_begins();
            let command =
                Command::Accept { incoming: incoming.into(), connection: connection.clone() };
            if self.shared.hub.push(command).is_err() {
                self.shared.connection_gone();
                connection.end(ConnectError::EndpointClosed);
            }
        }
        connecting
    }

    /// Turns them away; they are told.
    pub fn refuse(self) {}
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            let _gone = self.shared.hub.push(Command::Refuse(incoming.into()));
        }
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("peer", &self.peer)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}
