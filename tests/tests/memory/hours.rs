//! Hours of mixed traffic on one connection.

use aqueduct_core::connection::ConnectionStats;
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::message::Delivery;
use aqueduct_core::stream::Priority;
use aqueduct_core::wire::id::Side;
use aqueduct_tests::app::{Pair, prose};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};

use super::*;

const HOURS: u64 = 4;
const HOUR: Duration = Duration::from_secs(3_600);
/// Bytes of what answers a stream of both directions.
const ANSWER: usize = 300;
/// Neither end keeps anything for longer than this once both are quiet.
const QUIET: Duration = Duration::from_secs(120);

fn node(number: u8) -> EndpointConfig {
    let limits = KeyLimits::default()
        .with_soft_packets(3_000)
        .and_then(|limits| limits.with_soft_age(Duration::from_secs(600)))
        .expect("lawful limits");
    let transport = TransportConfig::default()
        .with_key_limits(limits)
        .with_keep_alive(Some(Duration::from_secs(10)));
    EndpointConfig::new(NodeKey::from_seed(&[number; 32])).with_transport(transport)
}

/// What both ends were given and got.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    bytes: u64,
    messages: u64,
}

/// A pair, and what passed between its ends.
struct Soak {
    pair: Pair,
    rng: Rng,
    given: Sums,
    got: Sums,
    datagrams: u64,
}

impl Soak {
    fn new() -> Self {
        let link = LinkConfig {
            delay: Duration::from_millis(25),
            jitter: Duration::from_millis(10),
            loss: 10,
            duplicate: 5,
            corrupt: 2,
            ..LinkConfig::default()
        };
        let mut net = Net::new(81, link);
        let hosts = [net.add(node(1), 1), net.add(node(2), 2)];
        let pair = Pair::connect(net, hosts[0], hosts[1]);
        let rng = Rng::new(&Seed::from_u64(81));
        Self { pair, rng, given: Sums::default(), got: Sums::default(), datagrams: 0 }
    }

    /// Some of everything, by one of the ends.
    fn deed(&mut self) {
        let Pair { net, a, b, at_a, at_b } = &mut self.pair;
        let (app, handle) = if self.rng.below(2) == 0 { (a, *at_a) } else { (b, *at_b) };
        let (host, salt) = (app.host, self.rng.below(u64::MAX));
        let class = Priority::ALL[self.rng.below(3) as usize];
        let delivery = Delivery::new().priority(class);
        match self.rng.below(4) {
            0 | 1 => {
                let len = 1 << self.rng.below(18);
                let dir = if self.rng.below(2) == 0 { Dir::Uni } else { Dir::Bi };
                let id = app.write(net, handle, dir, salt, len);
                if dir == Dir::Bi {
                    app.expect(handle, id, !salt);
                    self.given.bytes += ANSWER as u64;
                }
                self.given.bytes += len as u64;
            }
            2 => {
                let text = prose(salt, 1 << self.rng.below(15));
                let mut view = net.host(host).endpoint.connection(handle).expect("it lives");
                view.send_message_with(text, delivery).expect("a stream");
                self.given.messages += 1;
            }
            _ => {
                let young = delivery.max_age(Duration::from_millis(1 + self.rng.below(50)));
                let now = net.local(host);
                let mut view =
                    net.host(host).endpoint.connection_at(handle, now).expect("it lives");
                for _ in 0..8 {
                    view.send_datagram_with(prose(salt, 500), young).expect("it fits");
                }
            }
        }
    }

    /// Takes what came off the applications' hands.
    fn collect(&mut self) {
        let Pair { net, a, b, at_a, at_b } = &mut self.pair;
        for (app, handle, peer) in [(a, *at_a, Side::Responder), (b, *at_b, Side::Initiator)] {
            for flow in app.inn.extract_if(.., |flow| flow.finished).collect::<Vec<_>>() {
                self.got.bytes += flow.read;
                if flow.stream.dir() == Dir::Bi && flow.stream.opener() == peer {
                    let salt = flow.salt().expect("its head says it");
                    app.answer(net, handle, flow.stream, !salt, ANSWER);
                }
            }
            app.out.retain(|flow| !flow.delivered);
            self.got.messages += app.diary(handle).messages.len() as u64;
            self.datagrams += app.diary(handle).datagrams.len() as u64;
            app.take_notes(handle);
        }
    }

    fn stats(&mut self) -> [ConnectionStats; 2] {
        let ends = [(self.pair.a.host, self.pair.at_a), (self.pair.b.host, self.pair.at_b)];
        ends.map(|(host, handle): (HostId, ConnectionHandle)| {
            let now = self.pair.net.local(host);
            let view = self.pair.net.host(host).endpoint.connection_at(handle, now);
            view.expect("it lives").stats()
        })
    }
}

/// Streams, messages and datagrams of all classes and sizes both ways, with pauses, keys that change
/// and a link that loses, repeats, damages and turns round: each hour leaves memory where it was,
/// every byte and message arrives, and the counters agree with one another.
#[test]
fn hours_of_mixed_traffic_leave_memory_flat() {
    let _alone = ALONE.lock();
    let mut soak = Soak::new();
    let mut held = Vec::new();
    let mut updates = 0;
    for hour in 1..=HOURS {
        let over = soak.pair.net.now + (HOUR - QUIET);
        while soak.pair.net.now < over {
            (0..=soak.rng.below(4)).for_each(|_| soak.deed());
            let longest = if soak.rng.below(40) == 0 { 90_000 } else { 6_000 };
            let pause = Duration::from_millis(soak.rng.below(longest));
            soak.pair.pass(pause);
            soak.collect();
        }
        soak.pair.pass(QUIET);
        soak.collect();
        assert_eq!(soak.got, soak.given, "hour {hour}");
        let stats = soak.stats();
        for of in &stats {
            assert_eq!((of.streams, of.bytes_held, of.bytes_in_flight), (0, 0, 0), "{of:?}");
            let ledger = &of.ledger;
            assert_eq!(ledger.eliciting_sent, ledger.acked + ledger.lost, "{ledger:?}");
            assert!(ledger.spurious <= ledger.lost && ledger.lost < ledger.packets_sent / 10);
            let life = soak.pair.net.now.saturating_since(Instant::from_nanos(0));
            assert!(of.limits.total() <= life && of.limits.total() > HOUR * (hour as u32) - QUIET);
        }
        let changed: u64 = stats.iter().map(|of| of.keys.updates_started).sum();
        assert!(changed > updates, "keys change every hour");
        updates = changed;
        held.push(live());
        println!(
            "hour {hour}: {:?}, {} bytes allocated, {updates} key updates",
            soak.given,
            live()
        );
    }
    let grown = held.last().expect("hours") - held[0];
    assert!(grown < 32 << 10, "{grown} bytes more after {HOURS} hours than after one: {held:?}");
    assert!(soak.datagrams > 100);
}
