//! Whole transfers over a virtual network.

use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::Net;
use aqueduct_tests::transfer::{Outcome, connected, transfer};

fn config(number: u8) -> EndpointConfig {
    EndpointConfig::new(NodeKey::from_seed(&[number; 32]))
}

fn run(seed: u64, link: LinkConfig, len: usize, limit: Duration) -> (Outcome, Net) {
    let mut net = Net::new(seed, link);
    let (a, b) = (net.add(config(1), seed * 2), net.add(config(2), seed * 2 + 1));
    let (handle, _) = connected(&mut net, a, b);
    (transfer(&mut net, (a, handle), b, len, limit), net)
}

#[test]
fn a_megabyte_crosses_a_clean_link() {
    let (outcome, net) = run(1, LinkConfig::default(), 1 << 20, Duration::from_secs(10));
    assert_eq!(outcome, Outcome { read: true, delivered: true }, "at {:?}", net.now);
}
