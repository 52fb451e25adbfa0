//! Ways to forward a stream over chains of relays, side by side.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::congestion::Algorithm;

use crate::link::LinkConfig;
use crate::relay::{Chain, Forwarding, Passage};

/// A hop as in the field: 20 ms one way, 100 Mbit/s; `loss` in thousandths.
pub fn hop(loss: u32) -> LinkConfig {
    let (delay, rate) = (Duration::from_millis(20), Some(100_000_000 / 8));
    LinkConfig { delay, loss, rate, queue: 1 << 20, ..LinkConfig::default() }
}

/// How many links there may be between the ends.
pub const HOPS: [usize; 4] = [1, 2, 4, 8];

/// The ways, slowest first.
pub const WAYS: [Forwarding; 4] =
    [Forwarding::StoreAndForward, Forwarding::Copy, Forwarding::InOrder, Forwarding::CutThrough];

/// Times to the first byte and to the end, by seed, of each way over each number of hops.
#[derive(Clone, Debug, Default)]
pub struct Race {
    times: BTreeMap<(usize, usize, u64), (Duration, Duration)>,
    seeds: u64,
}

/// The middle one, or what lies between the two that are.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    at(values.len() / 2).midpoint(at(values.len().saturating_sub(1) / 2))
}

/// Times of cut-through as parts of another way's, seed by seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratios {
    /// The middle one.
    pub median: f64,
    /// In between lies, in 95 of 100 such races, what the median would be of very many seeds.
    pub range: (f64, f64),
    /// The largest.
    pub worst: f64,
}

impl Ratios {
    fn of(mut ratios: Vec<f64>) -> Self {
        ratios.sort_by(f64::total_cmp);
        // The count of seeds below the true median is binomial: n / 2, give or take 0.98 n^(1/2).
        // Of 100 the 40th and the 61st.
        let count = ratios.len() as f64;
        let below = (count / 2.0 - 0.98 * count.sqrt()).floor().max(1.0) as usize - 1;
        let range = (ratios[below], ratios[ratios.len() - 1 - below]);
        let worst = ratios[ratios.len() - 1];
        Self { median: median(ratios), range, worst }
    }
}

impl Display for Ratios {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let Self { median, range: (low, high), worst } = self;
        write!(to, "median {median:.3} (95 %: {low:.3} to {high:.3}), worst {worst:.3}")
    }
}

impl Race {
    /// Runs `len` bytes over every chain with every seed, on every core, and tells `progress` how
    /// many of how many runs are done. `watched`: by the [model](crate::model), which takes most of
    /// the time then.
    ///
    /// # Panics
    /// If a run does not come to its end.
    pub fn run(
        seeds: u64,
        len: usize,
        watched: bool,
        controller: Algorithm,
        progress: impl Fn(usize, usize) + Sync,
    ) -> Self {
        let mut runs = Vec::new();
        for seed in 0..seeds {
            for hops in HOPS {
                runs.extend((0..WAYS.len()).map(|way| (hops, way, seed)));
            }
        }
        let (next, times) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let work = || {
            while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (hops, way, seed) = *run;
                let configure = |config: EndpointConfig| {
                    let transport = config.transport().clone().with_controller(controller);
                    config.with_transport(transport)
                };
                let mut chain = Chain::with(seed, hops, hop(10), WAYS[way], configure);
                if !watched {
                    chain.net.model = None;
                    #[cfg(feature = "wiretap")]
                    {
                        chain.net.wiretaps = None;
                    }
                }
                let passage = chain.pass(3, len, Duration::from_secs(600));
                let Passage { first_byte: Some(first), whole: Some(whole) } = passage else {
                    panic!("seed {seed}, {hops} hops, {:?}: {passage:?}", WAYS[way]);
                };
                let mut times = times.lock().expect("no run failed");
                times.insert(*run, (first, whole));
                progress(times.len(), runs.len());
            }
        };
        thread::scope(|scope| {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            (0..cores).for_each(|_| _ = scope.spawn(work));
        });
        Self { times: times.into_inner().expect("no run failed"), seeds }
    }

    fn seconds(&self, hops: usize, way: Forwarding, seed: u64) -> (f64, f64) {
        let way = WAYS.iter().position(|other| *other == way).expect("a known way");
        let (first, whole) = self.times[&(hops, way, seed)];
        (first.as_secs_f64(), whole.as_secs_f64())
    }

    /// Medians of all seeds as a table.
    pub fn table(&self) -> String {
        let mut text = "hops  way              first byte [ms]  whole [s]\n".to_owned();
        for hops in HOPS {
            for way in WAYS {
                let all = |pick: fn((f64, f64)) -> f64| {
                    median((0..self.seeds).map(|s| pick(self.seconds(hops, way, s))).collect())
                };
                let (first, whole) = (all(|(first, _)| first * 1e3), all(|(_, whole)| whole));
                let name = format!("{way:?}");
                text += &format!("{hops:>4}  {name:<15}  {first:>15.1}  {whole:>9.3}\n");
            }
        }
        text
    }

    /// What each added hop costs until the first byte: medians in milliseconds, between chains that
    /// follow each other.
    pub fn added(&self) -> Vec<f64> {
        let cost = |two: &[usize]| {
            let first = |hops, seed| self.seconds(hops, Forwarding::CutThrough, seed).0;
            let hops = (two[1] - two[0]) as f64;
            let of = |seed| (first(two[1], seed) - first(two[0], seed)) * 1e3 / hops;
            median((0..self.seeds).map(of).collect())
        };
        HOPS.windows(2).map(cost).collect()
    }

    /// Time of cut-through as a part of `other`'s.
    pub fn against(&self, hops: usize, other: Forwarding) -> Ratios {
        let whole = |way, seed| self.seconds(hops, way, seed).1;
        let ratio = |seed| whole(Forwarding::CutThrough, seed) / whole(other, seed);
        Ratios::of((0..self.seeds).map(ratio).collect())
    }

    /// Everything that was missed: a hop that costs more than its delay and 2 ms; times against the
    /// in-order pipe that `is_slower` says no to.
    pub fn missed(&self, is_slower: impl Fn(&Ratios) -> bool) -> Vec<String> {
        let mut missed: Vec<String> = self
            .added()
            .into_iter()
            .filter(|cost| *cost >= 22.0)
            .map(|cost| format!("an added hop costs {cost:.2} ms until the first byte"))
            .collect();
        for hops in HOPS.into_iter().filter(|hops| *hops > 1) {
            let ratios = self.against(hops, Forwarding::InOrder);
            if is_slower(&ratios) {
                missed.push(format!("{hops} hops: {ratios}"));
            }
        }
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::Ratios;

    /// Of 100 the 40th and the 61st; of three, which say nothing, all.
    #[test]
    fn the_range_of_a_median_is_between_two_of_its_values() {
        let hundred = Ratios::of((1..=100).rev().map(f64::from).collect());
        assert_eq!((hundred.median, hundred.range, hundred.worst), (50.5, (40.0, 61.0), 100.0));
        let three = Ratios::of(vec![3.0, 1.0, 2.0]);
        assert_eq!((three.median, three.range, three.worst), (2.0, (1.0, 3.0), 3.0));
    }
}
