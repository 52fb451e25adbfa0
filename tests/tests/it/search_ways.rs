//! Random worlds with relays: what `search` does to a pair is done to a chain with a branch.

use std::time::Duration;

use aqueduct_core::pipe::LegPolicy;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_tests::app::Reading;
use aqueduct_tests::net::HostId;
use aqueduct_tests::ways::Ways;

use crate::search::{link, node, seeds};

/// Ways, and what decides what happens to them.
struct Storm {
    ways: Ways,
    rng: Rng,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(&Seed::from_u64(seed)).fork("ways");
        let hops = 2 + rng.below(3) as usize;
        let mut host = 0;
        let mut ways = Ways::new(seed, hops, |_| {
            host += 1;
            node(host, &mut rng)
        });
        let reading = [Reading::InOrder, Reading::AsItComes];
        ways.read([0; 2].map(|_| reading[rng.below(2) as usize]));
        for relay in &mut ways.chain.relays {
            relay.options.policy = [LegPolicy::Stall, LegPolicy::DETACH][rng.below(2) as usize];
            relay.options.stock = [1 << 14, 1 << 18, 1 << 20][rng.below(3) as usize];
        }
        Self { ways, rng }
    }

    fn host(&mut self) -> HostId {
        HostId(self.rng.below(self.ways.hosts() as u64) as usize)
    }

    fn trouble(&mut self) {
        let host = self.host();
        let time = Duration::from_millis(self.rng.below(1_500));
        match self.rng.below(8) {
            0 => self.ways.rebind(host),
            1 => self.ways.block(host, time),
            2 => self.ways.sleep(host, time),
            _ => {
                let other = self.host();
                let config = link(&mut self.rng);
                self.ways.link(host, other, config);
            }
        }
    }

    fn end_one(&mut self) {
        let pick = self.rng.below(self.ways.opened as u64 + 1) as usize;
        let relay = self.rng.below(4) as usize;
        match self.rng.below(10) {
            0..3 => self.ways.reset(pick),
            3..6 => self.ways.stop(pick.is_multiple_of(2), pick),
            6..9 => self.ways.meddle(relay, pick, false),
            _ => self.ways.meddle(relay, pick, true),
        }
    }

    fn rage(&mut self, turns: u64) {
        for _ in 0..turns {
            match self.rng.below(10) {
                0..4 => {
                    let len = [0, 1, 1_000, 30_000, 400_000][self.rng.below(5) as usize];
                    let back = self.rng.below(4) == 0;
                    self.ways.open(back, len);
                }
                4..6 => self.end_one(),
                6..9 => self.trouble(),
                _ => {}
            }
            let time = Duration::from_millis(self.rng.below(300));
            self.ways.pass(time);
        }
    }
}

/// What the ways came to.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    unbroken: u64,
    streams: usize,
    pipes: usize,
    megabytes: f64,
}

fn run(seed: u64, tally: &mut Tally) -> [u8; 32] {
    let mut storm = Storm::new(seed);
    let turns = 10 + storm.rng.below(40);
    storm.rage(turns);
    let mut ways = storm.ways;
    tally.unbroken += u64::from(ways.ended().is_empty());
    ways.quiet();
    tally.streams += ways.opened;
    tally.pipes += ways.chain.relays.iter().map(|relay| relay.pipes.len()).sum::<usize>();
    let read = [&ways.chain.source, &ways.chain.sink, &ways.branch];
    let flows = read.into_iter().flat_map(|app| &app.inn);
    tally.megabytes += flows.map(|flow| flow.read as f64 / 1e6).sum::<f64>();
    ways.chain.net.fingerprint()
}

/// spec: R-PIPE-13 R-PIPE-14 R-PIPE-15 R-PIPE-16 R-PIPE-17
#[test]
fn whatever_happens_on_the_way_every_stream_comes_to_its_end() {
    let (done, tally) = seeds("ways", 30, run);
    assert!(tally.pipes as u64 > done && tally.unbroken * 10 >= done * 3, "too little to look at");
}
