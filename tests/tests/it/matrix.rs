//! Sizes by faults: whatever the link does and however long it is, every transfer is byte-exact.
//!
//! A seed's fault and strength are its place in a table, so that 25 seeds in a row are all of them,
//! and 200 have each one eight times. Each seed sends a body of no byte and one of each decade below
//! a megabyte, drawn, one after another over one connection. The worst links add 10,000,000 bytes in
//! full, eight seeds for each fault; of the others one in eight adds something of 1 to 10 MB.
//!
//! `AQUEDUCT_SEED=n AQUEDUCT_SEEDS=m` runs the seeds from n on. `AQUEDUCT_SECONDS=s` has every seed
//! send 10,000,000 bytes, and begins no other after so many seconds. `AQUEDUCT_CONTROLLER=name` is
//! another controller than the default.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant as Clock};

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::Net;
use aqueduct_tests::transfer::{Outcome, connected, transfer};

use crate::transfer::{WHOLE, config};

const MOST: usize = 10_000_000;

/// What a link does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Loss,
    Reordering,
    Duplication,
    Corruption,
    All,
}

const FAULTS: [Fault; 5] =
    [Fault::Loss, Fault::Reordering, Fault::Duplication, Fault::Corruption, Fault::All];
/// Steps from a link that is hardly bad to the worst: 6 % to 30 % of the datagrams.
const STEPS: u64 = 5;

/// The fault of a seed, and how bad it is, from 1 to [`STEPS`].
fn place(seed: u64) -> (Fault, u64) {
    let kinds = FAULTS.len() as u64;
    (FAULTS[(seed % kinds) as usize], seed / kinds % STEPS + 1)
}

fn link(seed: u64, rng: &mut Rng) -> LinkConfig {
    let (fault, step) = place(seed);
    let is = |other| fault == other || fault == Fault::All;
    let rate = |fault| if is(fault) { 60 * step as u32 } else { 0 };
    // With all of them at once, what is corrupted is lost as well: a third in all is enough.
    let corrupt = rate(Fault::Corruption) / if fault == Fault::All { 6 } else { 1 };
    let delay = Duration::from_micros(100 + rng.below(60_000));
    LinkConfig {
        delay,
        // Up to a whole round trip: what is sent last may come first.
        jitter: if is(Fault::Reordering) { delay * 2 * step as u32 / 5 } else { Duration::ZERO },
        loss: rate(Fault::Loss),
        duplicate: rate(Fault::Duplication),
        corrupt,
        ..LinkConfig::default()
    }
}

/// What a seed sends: nothing, something of each decade, and perhaps of the last one.
fn sizes(seed: u64, whole: bool, rng: &mut Rng) -> Vec<usize> {
    let mut decade = |low: u64| (low + rng.below(9 * low)) as usize;
    let mut sizes = vec![0];
    sizes.extend((0..6).map(|power| decade(10_u64.pow(power))));
    let cells = FAULTS.len() as u64 * STEPS;
    if whole || place(seed).1 == STEPS {
        sizes.push(MOST);
    } else if (seed + seed / cells) % 8 == 7 {
        sizes.push(decade(1_000_000));
    }
    sizes
}

/// What was sent, by fault.
#[derive(Debug, Default)]
struct Tally {
    seeds: u64,
    transfers: u64,
    bytes: u64,
    largest: usize,
    by_fault: BTreeMap<Fault, (u64, usize)>,
}

impl Tally {
    fn add(&mut self, fault: Fault, sizes: &[usize]) {
        let largest = sizes.iter().copied().max().unwrap_or(0);
        let (seeds, most) = self.by_fault.entry(fault).or_default();
        (*seeds, *most) = (*seeds + 1, largest.max(*most));
        self.seeds += 1;
        self.transfers += sizes.len() as u64;
        self.bytes += sizes.iter().map(|size| *size as u64).sum::<u64>();
        self.largest = self.largest.max(largest);
    }
}

/// Says how to repeat it when something fails on the way.
pub(crate) struct Named(pub(crate) String);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("repeat: {}", self.0);
        }
    }
}

/// A node with the controller that is asked for.
fn node(number: u8) -> EndpointConfig {
    let config = config(number);
    let asked = std::env::var("AQUEDUCT_CONTROLLER").ok();
    let asked = asked.map(|name| Algorithm::by_name(&name).expect("a controller"));
    let transport = config.transport().clone().with_controller(asked.unwrap_or_default());
    config.with_transport(transport)
}

fn run(seed: u64, whole: bool) -> Vec<usize> {
    let _named = Named(format!("the same test with AQUEDUCT_SEED={seed} AQUEDUCT_SEEDS=1"));
    let mut rng = Rng::new(&Seed::from_u64(seed)).fork("matrix");
    let link = link(seed, &mut rng);
    let sizes = sizes(seed, whole, &mut rng);
    let mut net = Net::new(seed, link);
    let (a, b) = (net.add(node(1), seed * 2), net.add(node(2), seed * 2 + 1));
    let (handle, _) = connected(&mut net, a, b);
    for len in &sizes {
        let outcome: Outcome = transfer(&mut net, (a, handle), b, *len, Duration::from_secs(7_200));
        assert_eq!(outcome, WHOLE, "seed {seed}: {len} of {sizes:?} over {link:?}, {:?}", net.now);
    }
    sizes
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn every_size_crosses_every_link() {
    let first = number("AQUEDUCT_SEED").unwrap_or(0);
    let seconds = number("AQUEDUCT_SECONDS");
    let seeds = number("AQUEDUCT_SEEDS").unwrap_or(seconds.map_or(200, |_| u64::MAX));
    let (next, tally, began) = (AtomicU64::new(0), Mutex::new(Tally::default()), Clock::now());
    let work = || {
        while seconds.is_none_or(|most| began.elapsed().as_secs() < most) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= seeds {
                break;
            }
            let seed = first + number;
            let sizes = run(seed, seconds.is_some());
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.add(place(seed).0, &sizes);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let tally = tally.into_inner().expect("no seed failed");
    println!("{tally:?} in {:?}", began.elapsed());
    if seconds.is_none() {
        assert_eq!(tally.seeds, seeds, "a seed was left out");
    }
    if seconds.is_none() && (first, seeds) == (0, 200) {
        for fault in FAULTS {
            assert_eq!(tally.by_fault.get(&fault), Some(&(40, MOST)), "{fault:?}");
        }
    }
}
