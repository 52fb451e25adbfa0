//! What keeps a connection from sending more: each cause in a world of its own, and for how long.

use std::time::Duration;

use aqueduct_core::config::TransportConfig;
use aqueduct_core::connection::{LimitTimes, SendLimit};
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::{Pair, Reading};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};

use crate::transfer::config;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

struct Case {
    pair: Pair,
    begun: aqueduct_core::time::Instant,
}

impl Case {
    /// Two that are connected. A megabyte is written, and whatever time passes.
    fn new(link: LinkConfig, ours: TransportConfig, theirs: TransportConfig) -> Self {
        let mut net = Net::new(1, link);
        let begun = net.now;
        let a = net.add(config(1).with_transport(ours), 1);
        let b = net.add(config(2).with_transport(theirs), 2);
        Self { pair: Pair::connect(net, a, b), begun }
    }

    fn write(&mut self, len: usize) {
        let Pair { net, a, at_a, .. } = &mut self.pair;
        a.write(net, *at_a, Dir::Uni, 1, len);
    }

    /// The cause of now and the times of all, which must be all of the connection's life.
    fn look(&mut self) -> (SendLimit, LimitTimes) {
        let (at_a, now) = (self.pair.at_a, self.pair.net.now);
        let host = self.pair.net.host(HostId(0));
        let stats = host.endpoint.connection_at(at_a, now).expect("it lives").stats();
        assert_eq!(stats.limits.total(), now.saturating_since(self.begun), "all of its life");
        (stats.limited_by, stats.limits)
    }

    fn most(&mut self) -> SendLimit {
        let (_, times) = self.look();
        times.iter().max_by_key(|(_, time)| *time).map(|(limit, _)| limit).expect("some")
    }
}

fn plain() -> TransportConfig {
    TransportConfig::default()
}

/// spec: R-FIG-12
#[test]
fn all_life_has_a_cause() {
    // The handshake waits for the path, and then there is nothing to send.
    let far = LinkConfig { delay: MS * 100, ..LinkConfig::default() };
    let mut case = Case::new(far, plain(), plain());
    let (_, times) = case.look();
    assert!(times.of(SendLimit::Path) >= MS * 200, "{times:?}");
    case.pair.pass(SECOND * 3);
    assert_eq!(case.look().0, SendLimit::Application);
    assert_eq!(case.most(), SendLimit::Application);
    // Slow start on a long path: the window, and never the receiver, who reads.
    let idle = case.look().1;
    case.write(600_000);
    case.pair.pass(SECOND);
    let (_, times) = case.look();
    let grown = |limit| times.of(limit) - idle.of(limit);
    assert!(grown(SendLimit::Congestion) + grown(SendLimit::Pacing) > MS * 500, "{times:?}");
    // The receiver's window opens with the first bytes that are read, a round trip later.
    assert!(grown(SendLimit::StreamCredit) < MS * 250, "{times:?}");
    assert_eq!(times.of(SendLimit::ConnectionCredit), Duration::ZERO);
}

/// spec: R-FIG-12
#[test]
fn who_does_not_read_is_the_cause() {
    let mut case = Case::new(LinkConfig::default(), plain(), plain());
    case.pair.b.reading = Reading::Never;
    case.write(8 << 20);
    case.pair.pass(SECOND * 5);
    let (limit, times) = case.look();
    assert_eq!(limit, SendLimit::StreamCredit);
    assert!(times.of(limit) > SECOND * 3, "{times:?}");
}

/// spec: R-FIG-12
#[test]
fn a_path_that_is_gone_is_the_cause() {
    let mut case = Case::new(LinkConfig::default(), plain(), plain());
    case.write(8 << 20);
    case.pair.pass(MS * 100);
    let gone = LinkConfig { loss: 1_000, ..LinkConfig::default() };
    case.pair.net.set_link(HostId(0), HostId(1), gone);
    case.pair.pass(SECOND * 4);
    let (limit, times) = case.look();
    assert_eq!(limit, SendLimit::Path, "{times:?}");
    assert!(times.of(limit) > SECOND * 2, "{times:?}");
    case.pair.net.set_link(HostId(0), HostId(1), LinkConfig::default());
    case.pair.pass(SECOND * 20);
    let before = case.look().1;
    case.pair.pass(SECOND);
    let (limit, times) = case.look();
    assert_eq!(limit, SendLimit::Application, "it goes on and comes to its end");
    assert_eq!(times.of(SendLimit::Path), before.of(SendLimit::Path));
}

/// spec: R-FIG-12, R-SHP-5
#[test]
fn a_limit_of_the_node_is_the_cause() {
    let mut case = Case::new(LinkConfig::default(), plain(), plain());
    let now = case.pair.net.now;
    case.pair.net.host(HostId(0)).endpoint.set_limit(Some(100_000), now);
    case.write(1 << 20);
    case.pair.pass(SECOND * 5);
    let (_, times) = case.look();
    assert!(times.of(SendLimit::Rate) > SECOND * 4, "{times:?}");
}
