//! Naming the way of a stream.

use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::open::Protocol;
use aqueduct_core::wire::protocol::ROUTE;
use aqueduct_core::wire::route::{Hop, MAX_ADDRS, Route, RouteError};

use crate::addrs::NodeAddr;

/// The way of a stream behind the relay that it is sent to.
///
/// ```
/// use aqueduct_driver::{NodeAddr, relay::Way};
/// use aqueduct_core::crypto::identity::NodeKey;
/// use aqueduct_core::stream::{OpenOptions, StreamProtocol};
///
/// let node = |n: u8| NodeKey::from_seed(&[n; 32]).id();
/// let there = |n: u8| NodeAddr::new(Some(node(n)), vec![([192, 0, 2, n], 4433).into()]);
/// let way = Way { relays: vec![there(1)], targets: vec![there(2), there(3)] };
/// let hello = OpenOptions::new(StreamProtocol::name("hello")).with_head("to both of you");
/// // Opened with this on a connection to a relay, the stream goes on to node 1, and from there to
/// // nodes 2 and 3, which see it as `hello`.
/// let options = way.introduce(&hello)?;
/// # assert_eq!(options.protocol, StreamProtocol::Number(3));
/// # Ok::<(), aqueduct_core::wire::route::RouteError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a way has relays and ends")]
pub struct Way {
    /// Relays behind the first, in the order of the way.
    pub relays: Vec<NodeAddr>,
    /// Who receives, behind the last relay.
    pub targets: Vec<NodeAddr>,
}

impl Way {
    /// The introduction of a stream that takes this way, of which the targets read `stream`.
    ///
    /// # Errors
    /// [`RouteError`]: 16 hops at most, each with its node id and an address, and all that OPEN's
    /// head holds. Of a hop's addresses the first four are named.
    pub fn introduce(&self, stream: &OpenOptions) -> Result<OpenOptions, RouteError> {
        let mut hops = Vec::new();
        for (hop, node) in self.relays.iter().chain(&self.targets).enumerate() {
            let id = node.id.ok_or(RouteError::NoId { hop })?;
            let addrs = node.addrs.iter().copied().take(MAX_ADDRS).collect();
            hops.push(Hop { id: *id.as_bytes(), addrs });
        }
        let targets = hops.split_off(self.relays.len());
        let protocol = match &stream.protocol {
            StreamProtocol::Number(number) => Protocol::Number(*number),
            StreamProtocol::Name(name) => Protocol::Name(name),
        };
        let route = Route { relays: hops, targets, protocol, head: &stream.head };
        let head = route.encode()?.into();
        Ok(OpenOptions { protocol: StreamProtocol::Number(ROUTE), head, ..stream.clone() })
    }
}
