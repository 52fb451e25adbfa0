//! Two endpoints in one thread, no socket, no clock: the same calls in the same order each time.

use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::crypto::provider::Provider;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, Event, Output, PeerAddr,
};
use aqueduct_core::rng::Seed;
use aqueduct_core::tape::{Payload, TapeOptions};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::CarrierId;

const UDP: CarrierId = CarrierId(0);

/// Half a round trip.
const TURN: Duration = Duration::from_micros(10);

/// How much of a tape is taken at once, in bytes.
const TAKEN: usize = 1 << 16;

/// What stands on the two endpoints.
pub(crate) trait Application {
    /// Something happened at the client, or at the server.
    fn on_event(&mut self, client: bool, endpoint: &mut Endpoint, event: &Event, now: Instant);

    /// Whether all is done that was to be done.
    fn is_done(&self) -> bool;
}

/// An endpoint with an address that means nothing.
struct Node {
    endpoint: Endpoint,
    addr: SocketAddr,
}

impl Node {
    fn new(number: u8, provider: Provider, tape: Option<Payload>, now: Instant) -> Self {
        let config = EndpointConfig::new(NodeKey::from_seed(&[number; 32])).with_provider(provider);
        // Nothing has a rate here, and a controller that measures one measures the turns: how much
        // goes in a turn, and with it what a datagram costs, is the window's to say.
        let transport = config.transport().clone().with_controller(Algorithm::Cubic);
        let config = config.with_transport(transport);
        let seed = Seed::from_u64(number.into());
        let mut endpoint = match tape {
            Some(payload) => {
                let options = TapeOptions { payload, ..TapeOptions::default() };
                Endpoint::recorded(config, seed, &options)
            }
            None => Endpoint::new(config, seed),
        };
        let kind = CarrierKind::Udp { max_segments: 44, max_datagram: 65_507 };
        endpoint.carrier_opened(UDP, kind, now);
        Self { endpoint, addr: SocketAddr::from(([10, 0, 0, number], 4433)) }
    }
}

/// A client, a server, and nothing between them.
pub(crate) struct Pair {
    client: Node,
    server: Node,
    now: Instant,
    buf: Vec<u8>,
    /// What was recorded and is on its way to nowhere.
    tape: Vec<u8>,
}

impl Pair {
    pub(crate) fn new(provider: Provider) -> Self {
        Self::recorded(provider, [None; 2])
    }

    /// With tapes at the client and at the server.
    pub(crate) fn recorded(provider: Provider, tapes: [Option<Payload>; 2]) -> Self {
        let now = Instant::from_nanos(1);
        let [client, server] = tapes;
        let client = Node::new(1, provider, client, now);
        let server = Node::new(2, provider, server, now);
        Self { client, server, now, buf: Vec::new(), tape: Vec::new() }
    }

    /// What the client sends at most, in bytes a second.
    pub(crate) fn limit(&mut self, rate: u64) {
        self.client.endpoint.set_limit(Some(rate), self.now);
    }

    /// The client connects.
    pub(crate) fn connect(&mut self) -> ConnectionHandle {
        let peer = PeerAddr::new(self.server.endpoint.node_id(), self.server.addr);
        self.client.endpoint.connect(peer, self.now).expect("room")
    }

    /// Turns until `application` is done.
    pub(crate) fn run(&mut self, application: &mut impl Application) {
        while !application.is_done() {
            let wishes = [true, false].map(|client| self.turn(client, application));
            let next = self.now + TURN;
            let due = wishes.into_iter().flatten().min();
            self.now = due.map_or(next, |due| due.min(next));
        }
    }

    /// Everything that one side does now. Returns when it is due again.
    fn turn(&mut self, client: bool, application: &mut impl Application) -> Option<Instant> {
        let (here, there) = match client {
            true => (&mut self.client, &mut self.server),
            false => (&mut self.server, &mut self.client),
        };
        loop {
            match here.endpoint.poll(&mut self.buf, self.now) {
                Output::Transmit(to) => {
                    let segment = to.segment;
                    let (remote, bytes) = (here.addr, self.buf.as_mut_slice());
                    let (carrier, local, ecn) = (UDP, None, None);
                    let datagram = Datagram { carrier, remote, local, ecn, segment, bytes };
                    there.endpoint.handle_datagram(datagram, self.now);
                }
                Output::Pipe(_) => {}
                Output::Incoming(incoming) => _ = here.endpoint.accept(incoming, self.now),
                Output::Event(event) => {
                    application.on_event(client, &mut here.endpoint, &event, self.now);
                }
                Output::Wait(until) => {
                    let waiting = here.endpoint.tape().map_or(0, |status| status.waiting);
                    if waiting >= TAKEN {
                        self.tape.clear();
                        here.endpoint.take_tape(&mut self.tape);
                    }
                    return until;
                }
            }
        }
    }
}
