//! Random worlds: links, streams, messages, datagrams, endings, moves, all from one seed. First
//! everything goes wrong, then nothing does, and what lives must come to its end.
//!
//! `AQUEDUCT_SEED=n AQUEDUCT_SEEDS=m` runs the seeds from n on; `AQUEDUCT_SECONDS=s` runs for so
//! long instead.

use std::time::{Duration, Instant as Clock};

use aqueduct_core::config::{EndpointConfig, RetryPolicy, TransportConfig};
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::crypto::handshake::Ciphers;
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::planted::Fault;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::stream::Priority;
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::{Pair, Reading};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::HostId;
use aqueduct_tests::world::{HOSTS, World};

use crate::transfer::config;

pub(crate) fn link(rng: &mut Rng) -> LinkConfig {
    let mut some = |most: u64| if rng.below(2) == 0 { rng.below(most) } else { 0 };
    LinkConfig {
        delay: Duration::from_micros(50 + some(150_000)),
        jitter: Duration::from_micros(some(20_000)),
        loss: some(200) as u32,
        duplicate: some(100) as u32,
        corrupt: some(30) as u32,
        rate: Some(20_000 + some(20_000_000)),
        queue: 20_000 + some(200_000),
        max_datagram: 1_200 + some(400) as usize,
    }
}

pub(crate) fn node(number: u8, rng: &mut Rng) -> EndpointConfig {
    let mut transport = TransportConfig::default();
    if rng.below(2) == 0 {
        let limits = KeyLimits::default().with_soft_packets(20 + rng.below(500));
        transport = transport.with_key_limits(limits.expect("a limit"));
    }
    if rng.below(3) == 0 {
        transport = transport.with_max_streams(2, 5).expect("counts");
    }
    let ciphers = [Ciphers::PreferAes256Gcm, Ciphers::PreferChaCha20Poly1305];
    let retry = [RetryPolicy::Auto, RetryPolicy::Always];
    config(number)
        .with_transport(transport)
        .with_memory((2 << 20) + rng.below(1 << 23), 8)
        .expect("a budget")
        .with_ciphers(ciphers[rng.below(2) as usize])
        .with_retry(retry[rng.below(2) as usize])
}

/// Seeds that found something, kept. 1131: a message whose OPEN came after all of its bytes. 12345:
/// an answer to a challenge that waited for a window that nothing could open.
const KNOWN: [u64; 2] = [1131, 12_345];

fn with_fault(node: EndpointConfig, fault: Option<Fault>) -> EndpointConfig {
    let Some(fault) = fault else { return node };
    let transport = node.transport().clone().with_fault(fault);
    node.with_transport(transport)
}

/// A world, and what decides what happens to it.
struct Storm {
    world: World,
    rng: Rng,
    /// What decides about the whims of applications, where they have some.
    whims: Option<Rng>,
}

/// In one world of four applications have whims; those that are kept are none of them.
const fn has_whims(seed: u64) -> bool {
    seed % 4 == 2
}

impl Storm {
    /// The storm of a seed, over hosts that have this fault, if any.
    fn new(seed: u64, fault: Option<Fault>) -> Self {
        let mut rng = Rng::new(&Seed::from_u64(seed)).fork("world");
        let nodes = [1, 2].map(|number| with_fault(node(number, &mut rng), fault));
        let mut world = World::new(seed, nodes);
        let ways = [Reading::InOrder, Reading::AsItComes];
        world.read([0; 2].map(|_| ways[rng.below(2) as usize]));
        let whims = has_whims(seed).then(|| rng.fork("whims"));
        Self { world, rng, whims }
    }

    /// One side, drawn.
    fn side(&mut self) -> HostId {
        HOSTS[self.rng.below(2) as usize]
    }

    fn open(&mut self) {
        let host = self.side();
        let dir = if self.rng.below(2) == 0 { Dir::Bi } else { Dir::Uni };
        let len = [0, 1, 1_000, 30_000, 400_000][self.rng.below(5) as usize];
        self.world.open(host, dir, len);
    }

    fn end_one(&mut self) {
        let host = self.side();
        let written = self.world.written(host).max(1);
        let pick = self.rng.below(written as u64) as usize;
        let reset = self.rng.below(2) == 0;
        if !reset || !self.world.reset(host, pick) {
            self.world.stop(host, pick);
        }
    }

    fn trouble(&mut self) {
        let time = Duration::from_millis(1_500);
        match self.rng.below(8) {
            0 => {
                let host = self.side();
                self.world.rebind(host);
            }
            1 | 2 => *self.world.link(HOSTS[0]) = link(&mut self.rng),
            3 | 4 => *self.world.link(HOSTS[1]) = link(&mut self.rng),
            5 => {
                let host = self.side();
                self.world.block(host, time);
            }
            6 => self.world.dark(HOSTS[0], time),
            _ => {}
        }
    }

    fn say(&mut self) {
        let host = self.side();
        let len = [0, 10, 1_000, 40_000][self.rng.below(4) as usize];
        if self.rng.below(2) == 0 {
            self.world.message(host, len);
        } else {
            self.world.datagram(host, len.min(1_000));
        }
    }

    /// An application changes its mind, sometimes.
    fn whim(&mut self) {
        let Some(rng) = &mut self.whims else { return };
        let host = HOSTS[rng.below(2) as usize];
        let (written, pick) = (self.world.written(host).max(1), rng.below(1 << 20) as usize);
        match rng.below(16) {
            0 => self.world.control(host, Algorithm::ALL[pick % Algorithm::ALL.len()]),
            1 | 2 => {
                let class = Priority::ALL[rng.below(Priority::ALL.len() as u64) as usize];
                self.world.reclass(host, pick % written, class);
            }
            3 => {
                let rate = [None, Some(30_000), Some(300_000), Some(3_000_000)];
                self.world.limit(host, rate[pick % rate.len()]);
            }
            4 => (0..300).for_each(|_| self.world.datagram(host, 900)),
            5 | 6 => {
                let len = [1, 5_000, 200_000][pick % 3];
                self.world.scatter(host, rng.below(len), len);
            }
            _ => {}
        }
    }

    fn rage(&mut self, turns: u64) {
        for _ in 0..turns {
            match self.rng.below(10) {
                0..4 => self.open(),
                4..6 => self.say(),
                6 => self.end_one(),
                7 => self.trouble(),
                _ => {}
            }
            self.whim();
            self.world.answer();
            let time = Duration::from_millis(self.rng.below(300));
            self.world.pair.pass(time);
        }
    }
}

/// What a world came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    survived: u64,
    streams: usize,
    given_up: usize,
    messages: usize,
    moves: usize,
    megabytes: f64,
}

fn run(seed: u64, tally: &mut Tally) -> [u8; 32] {
    run_with(seed, None, tally)
}

/// Plays a pair whose hosts have this fault, if any.
pub(crate) fn run_with(seed: u64, fault: Option<Fault>, tally: &mut Tally) -> [u8; 32] {
    let mut storm = Storm::new(seed, fault);
    let turns = 20 + storm.rng.below(60);
    storm.rage(turns);
    let mut world = storm.world;
    let ends = world.ends();
    if !ends.is_empty() {
        println!("seed {seed}: {ends:?}");
    }
    tally.survived += u64::from(ends.is_empty());
    world.quiet();
    let Pair { a, b, at_a, at_b, .. } = &world.pair;
    tally.streams += a.out.len() + b.out.len();
    tally.given_up += world.given_up.len();
    tally.messages += world.sent_messages.iter().map(Vec::len).sum::<usize>();
    tally.moves += a.diary(*at_a).moves.len() + b.diary(*at_b).moves.len();
    tally.megabytes += (a.read_of(*at_a) + b.read_of(*at_b)) as f64 / 1e6;
    world.pair.net.fingerprint()
}

pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs the seeds that the environment asks for, or the `usual` number of them, and every tenth
/// twice. Gives how many there were, and what they came to.
pub(crate) fn seeds<T: Default + std::fmt::Debug>(
    name: &str,
    usual: u64,
    run: impl Fn(u64, &mut T) -> [u8; 32],
) -> (u64, T) {
    let first = number("AQUEDUCT_SEED").unwrap_or(0);
    let seconds = number("AQUEDUCT_SECONDS");
    let most = number("AQUEDUCT_SEEDS").unwrap_or(if seconds.is_some() { u64::MAX } else { usual });
    let (began, mut done, mut tally) = (Clock::now(), 0_u64, T::default());
    while done < most && seconds.is_none_or(|time| began.elapsed().as_secs() < time) {
        let seed = first + done;
        println!("{name}, seed {seed}; repeat with AQUEDUCT_SEED={seed} AQUEDUCT_SEEDS=1");
        let print = run(seed, &mut tally);
        if seed.is_multiple_of(10) {
            let again = run(seed, &mut T::default());
            assert_eq!(again, print, "seed {seed}: two runs differ");
        }
        done += 1;
    }
    println!("{done} seeds in {:?}: {tally:?}", began.elapsed());
    (done, tally)
}

/// spec: R-EP-43
#[test]
fn whatever_happens_what_lives_comes_to_its_end() {
    for seed in KNOWN {
        println!("seed {seed}, which found a fault once");
        run(seed, &mut Tally::default());
    }
    let (done, tally) = seeds("a pair", 60, run);
    assert!(tally.survived * 10 >= done * 7, "too many connections are lost to look at");
}
