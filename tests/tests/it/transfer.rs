//! Whole transfers over a virtual network.

use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::transfer::{Outcome, connected, transfer};

const WHOLE: Outcome = Outcome { read: true, delivered: true };

/// A node of the tests.
pub(crate) fn config(number: u8) -> EndpointConfig {
    EndpointConfig::new(NodeKey::from_seed(&[number; 32]))
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

/// A link as bad as a seed says: loss up to 30 %, reordering, duplication, corruption.
fn bad_link(rng: &mut Rng) -> LinkConfig {
    LinkConfig {
        delay: Duration::from_micros(100 + rng.below(60_000)),
        jitter: Duration::from_micros(rng.below(3) * rng.below(20_000)),
        loss: (rng.below(301)) as u32,
        duplicate: (rng.below(100)) as u32,
        corrupt: (rng.below(50)) as u32,
        ..LinkConfig::default()
    }
}

#[test]
fn every_byte_crosses_every_link() {
    let seeds = std::env::var("AQUEDUCT_SEEDS").map_or(200, |n| n.parse().expect("a number"));
    let first: u64 = std::env::var("AQUEDUCT_SEED").map_or(0, |n| n.parse().expect("a number"));
    for seed in first..first + seeds {
        let mut rng = Rng::new(&Seed::from_u64(seed)).fork("world");
        let link = bad_link(&mut rng);
        let sizes = [0, 1, 1_000, 1_171, 65_536, 300_000, 1 << 20];
        let len = match seed % 50 {
            49 => 10_000_000,
            _ => sizes[rng.below(sizes.len() as u64) as usize],
        };
        println!(
            "seed {seed}: {len} bytes over {link:?}; repeat with AQUEDUCT_SEED={seed} AQUEDUCT_SEEDS=1"
        );
        let (outcome, net) = run(seed, link, len, Duration::from_secs(7200));
        assert_eq!(outcome, WHOLE, "seed {seed} stuck at {:?}", net.now);
    }
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
