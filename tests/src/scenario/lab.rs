//! What most scenarios begin with: two hosts, a road each way, and files that go over it.

use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::connection::ConnectionStats;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::tape::Payload;
use aqueduct_core::time::Instant;
use aqueduct_core::trace::{Packet, Seen, View, Watch};
use aqueduct_core::wire::id::Dir;

use super::Report;
use crate::app::{Pair, introduction};
use crate::link::{Delay, LinkConfig, Machine, Queue};
use crate::net::{HostId, Net, StageId};
use crate::provider::FAST;
use crate::tapes;

/// Who dials, and who answers.
pub const ENDS: [HostId; 2] = [HostId(0), HostId(1)];

/// Machines in a row.
pub type Road = Vec<Box<dyn Machine>>;

/// A node of this number.
pub fn config(number: u8) -> EndpointConfig {
    EndpointConfig::new(NodeKey::from_seed(&[number; 32])).with_provider(FAST)
}

/// Bytes that IP and UDP add to a datagram.
pub const HEADERS: u64 = 28;

/// `simple-p2p` of the interop runner: a rate in bits a second, a queue in packets, a delay.
pub fn simple(delay: Duration, bits: u64, packets: usize) -> Road {
    let queue = Queue::packets(bits / 8, packets).with_overhead(HEADERS);
    vec![Box::new(queue), Box::new(Delay::of(delay))]
}

/// The link that the runner takes unless it says otherwise: 15 ms, 10 Mbit/s, 25 packets.
pub fn usual() -> Road {
    simple(Duration::from_millis(15), 10_000_000, 25)
}

/// The usual link behind other machines.
pub fn behind(machines: impl IntoIterator<Item = Box<dyn Machine>>) -> Road {
    machines.into_iter().chain(usual()).collect()
}

/// Two hosts that are not connected yet, and the machines between them, forth and back.
pub struct Lab {
    /// The network.
    pub net: Net,
    /// The roads.
    pub roads: [Vec<StageId>; 2],
    /// When it began.
    pub began: Instant,
}

impl Lab {
    /// With these roads and configurations.
    pub fn new(seed: u64, roads: [Road; 2], nodes: [EndpointConfig; 2]) -> Self {
        Self::on(Net::new(seed, LinkConfig::default()), seed, roads, nodes)
    }

    /// With the usual configurations, and recorded: what was said can be read in the end.
    pub fn recorded(seed: u64, forth: Road, back: Road) -> Self {
        let mut net = Net::new(seed, LinkConfig::default());
        net.tapes.payload = Some(Payload::Full);
        Self::on(net, seed, [forth, back], [config(1), config(2)])
    }

    fn on(mut net: Net, seed: u64, roads: [Road; 2], nodes: [EndpointConfig; 2]) -> Self {
        let [one, other] = nodes;
        net.add(one, seed << 8);
        net.add(other, seed << 8 | 1);
        let [forth, back] = roads;
        let forth = net.lay(ENDS[0], ENDS[1], &forth);
        let back = net.lay(ENDS[1], ENDS[0], &back);
        let began = net.now;
        Self { net, roads: [forth, back], began }
    }

    /// With the usual configurations.
    pub fn over(seed: u64, forth: Road, back: Road) -> Self {
        Self::new(seed, [forth, back], [config(1), config(2)])
    }

    /// Connects.
    ///
    /// # Panics
    /// If five handshakes fail.
    pub fn connect(self) -> Run {
        let pair = Pair::connect(self.net, ENDS[0], ENDS[1]);
        Run { pair, roads: self.roads, began: self.began, salt: 0 }
    }
}

/// Two hosts that are connected.
pub struct Run {
    /// Both, and the network.
    pub pair: Pair,
    /// The roads.
    pub roads: [Vec<StageId>; 2],
    began: Instant,
    salt: u64,
}

impl Run {
    /// Sends bodies of these sizes at once, from the host that answered (as from a server), and
    /// waits until all have arrived, checked byte for byte, and been acknowledged.
    ///
    /// # Panics
    /// If it takes longer than `limit`. Returns how long it took.
    pub fn fetch(&mut self, sizes: &[usize], limit: Duration) -> Duration {
        self.begin_fetch(sizes);
        self.finish(limit)
    }

    /// Begins to send.
    pub fn begin_fetch(&mut self, sizes: &[usize]) {
        for size in sizes {
            self.salt += 1;
            let Pair { net, b, at_b, .. } = &mut self.pair;
            b.write(net, *at_b, Dir::Uni, self.salt, *size);
        }
    }

    /// Begins to send as many bodies of a size as the other end allows, up to so many. Returns how
    /// many these were.
    pub fn begin_most(&mut self, count: usize, size: usize) -> usize {
        let Pair { net, b, at_b, .. } = &mut self.pair;
        for begun in 0..count {
            let salt = self.salt + 1;
            let view = net.host(b.host).endpoint.connection(*at_b);
            let mut view = view.expect("a live connection");
            let Ok(stream) = view.open(Dir::Uni, introduction(salt)) else { return begun };
            drop(view);
            b.answer(net, *at_b, stream, salt, size);
            self.salt = salt;
        }
        count
    }

    /// Waits until all that was begun is done.
    ///
    /// # Panics
    /// If it takes longer than `limit`. Returns how long it took.
    pub fn finish(&mut self, limit: Duration) -> Duration {
        let began = self.pair.net.now;
        let count = self.salt as usize;
        let done = self.pair.run(limit, |_, a, b| {
            b.out.iter().all(|flow| flow.delivered)
                && a.inn.len() == count
                && a.inn.iter().all(|flow| flow.finished)
        });
        let took = self.pair.net.now.saturating_since(began);
        assert!(done, "not done after {took:?}");
        for (got, sent) in self.pair.a.inn.iter().zip(&self.pair.b.out) {
            assert_eq!(got.read, sent.taken, "a body of another length");
        }
        took
    }

    /// Counters of the host that dialed, and of the one that answered.
    pub fn stats(&mut self) -> [ConnectionStats; 2] {
        let Pair { net, at_a, at_b, .. } = &mut self.pair;
        let of = |(host, handle)| {
            let view = net.host(host).endpoint.connection(handle);
            view.expect("a live connection").stats()
        };
        [(ENDS[0], *at_a), (ENDS[1], *at_b)].map(of)
    }

    /// Ends the tapes of both hosts, and gives the packets that each sent and got, in that order.
    ///
    /// # Panics
    /// If they were not [recorded](Lab::recorded), or run again in another way.
    pub fn packets(&mut self) -> [Vec<Packet>; 2] {
        ENDS.map(|host| {
            let tape = tapes::end(&mut self.pair.net.host(host).endpoint);
            tapes::again(&tape);
            let watch = Watch::of(&tape).expect("a tape");
            let seen = watch.map(|view| view.unwrap_or_else(|divergence| panic!("{divergence}")));
            let packet = |view: View<'_>| match view.what {
                Seen::Packet(packet) => Some(packet),
                _ => None,
            };
            seen.filter_map(packet).collect()
        })
    }

    /// That is all.
    pub fn report(self, figures: Vec<(&'static str, f64)>) -> Report {
        let net = &self.pair.net;
        let simulated = net.now.saturating_since(self.began);
        let mut all = vec![("seconds", simulated.as_secs_f64())];
        all.extend(figures);
        Report { fingerprint: net.fingerprint(), simulated, figures: all }
    }
}
