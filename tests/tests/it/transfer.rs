//! Whole transfers over a virtual network.

use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::provider::FAST;
use aqueduct_tests::transfer::{Outcome, connected, transfer};

pub(crate) const WHOLE: Outcome = Outcome { read: true, delivered: true };

/// A node of the tests.
pub(crate) fn config(number: u8) -> EndpointConfig {
    EndpointConfig::new(NodeKey::from_seed(&[number; 32])).with_provider(FAST)
}

fn pair(seed: u64, link: LinkConfig) -> (Net, HostId, HostId) {
    let mut net = Net::new(seed, link);
    let (a, b) = (net.add(config(1), seed * 2), net.add(config(2), seed * 2 + 1));
    (net, a, b)
}

fn run(seed: u64, link: LinkConfig, len: usize, limit: Duration) -> (Outcome, Net) {
    let (mut net, a, b) = pair(seed, link);
    let (handle, _) = connected(&mut net, a, b);
    (transfer(&mut net, (a, handle), b, len, limit), net)
}

#[test]
fn a_megabyte_crosses_a_clean_link() {
    let (outcome, net) = run(1, LinkConfig::default(), 1 << 20, Duration::from_secs(10));
    assert_eq!(outcome, WHOLE, "at {:?}", net.now);
}

/// spec: R-EP-43
#[test]
fn two_runs_from_one_seed_are_equal_to_the_byte() {
    let link = LinkConfig { loss: 50, jitter: Duration::from_millis(3), ..LinkConfig::default() };
    let once = || run(42, link, 300_000, Duration::from_secs(60)).1.fingerprint();
    assert_eq!(once(), once());
    let other = run(43, link, 300_000, Duration::from_secs(60)).1.fingerprint();
    assert_ne!(once(), other, "the fingerprint sees nothing");
}
