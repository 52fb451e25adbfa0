//! What a transport has to offer to be measured: a server, and connections with streams both ways.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;

/// The other side has gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

/// A transport.
pub(crate) trait Peer: 'static {
    /// Name in the tables.
    const NAME: &'static str;
    /// Whether one connection carries many streams. If not, each stream has a connection.
    const MULTIPLEXED: bool = true;
    /// What a client has to know of a server.
    type Door: Clone + Send + Sync + 'static;
    /// Who dials: one socket for many connections where the transport can.
    type Dialer: Send + Sync + 'static;
    /// A connection, seen by the client.
    type Client: Client;

    /// A server at this address that answers as [`crate::serve`] says, on the runtime it is called
    /// on.
    fn serve(at: Ipv4Addr) -> impl Future<Output = Self::Door> + Send;
    /// Where the server is.
    fn place(door: &mut Self::Door) -> &mut SocketAddr;
    /// A client at this address that is not connected yet.
    fn dialer(at: Ipv4Addr, door: Self::Door) -> impl Future<Output = Self::Dialer> + Send;
    /// One more connection.
    fn connect(dialer: &Self::Dialer) -> impl Future<Output = Self::Client> + Send;
}

/// Any port of an address.
pub(crate) fn any(at: Ipv4Addr) -> SocketAddr {
    SocketAddr::from((at, 0))
}

/// A connection.
pub(crate) trait Client: Send + Sync + 'static {
    /// Its streams.
    type Stream: Stream;

    /// A stream both ways.
    fn open(&self) -> impl Future<Output = Self::Stream> + Send;
    /// Ends it and lets the server know.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// A stream both ways, of either side.
pub(crate) trait Stream: Send + 'static {
    /// Takes all of `block`.
    fn write(&mut self, block: Bytes) -> impl Future<Output = Result<(), Gone>> + Send;
    /// Says that no more follows.
    fn finish(&mut self) -> impl Future<Output = Result<(), Gone>> + Send;
    /// Gives what came next to `sink`. `false`: nothing will come any more.
    fn read(&mut self, sink: impl FnMut(&[u8]) + Send) -> impl Future<Output = bool> + Send;
}
