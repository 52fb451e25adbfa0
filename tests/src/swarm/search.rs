//! Many worlds, one after another and beside each other: the search for one that fails.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant as Clock};

use super::{Summary, run};
use crate::tapes::taped;

/// What to search.
#[derive(Clone, Debug)]
pub struct Search {
    /// The first seed; the others follow it.
    pub first: u64,
    /// So many seeds, at most.
    pub seeds: u64,
    /// For so long, at most.
    pub time: Option<Duration>,
    /// So many worlds at a time.
    pub jobs: usize,
    /// Every so many worlds one is played twice and compared; 0 for none.
    pub twice_every: u64,
    /// Ends after so many failures.
    pub most_failures: usize,
}

impl Default for Search {
    fn default() -> Self {
        let (time, jobs) = (None, 1);
        Self { first: 0, seeds: u64::MAX, time, jobs, twice_every: 16, most_failures: 20 }
    }
}

/// A world that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What was said.
    pub what: String,
}

/// What a search came to so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Worlds that were played to the end.
    pub worlds: u64,
    /// Of those, played twice and found equal.
    pub twice: u64,
    /// Tapes of hosts of those that ran again and were as they had been.
    pub replayed: u64,
    /// Time in the worlds.
    pub simulated: Duration,
    /// Time outside of them.
    pub took: Duration,
    /// Datagrams.
    pub datagrams: u64,
    /// Bytes that applications read.
    pub bytes: u64,
    /// Streams.
    pub streams: u64,
    /// Whole messages that came.
    pub messages: u64,
    /// Pipes.
    pub pipes: u64,
    /// Connections, counted at each end.
    pub connections: u64,
    /// Connections that rogues had.
    pub rogues: u64,
    /// Of those, ended because the rogue broke a rule.
    pub caught: u64,
    /// Worlds in which no connection ended before the goodbye.
    pub unbroken: u64,
    /// Worlds that failed.
    pub failures: Vec<Failure>,
    /// The median world.
    pub median: Medians,
}

/// Of each world, time in it and bytes that its applications read.
#[derive(Clone, Default)]
pub struct Medians {
    times: Vec<Duration>,
    bytes: Vec<u64>,
}

impl Medians {
    /// Time in the median world.
    pub fn simulated(&self) -> Duration {
        median(&self.times)
    }

    /// Bytes that the applications of the median world read.
    pub fn bytes(&self) -> u64 {
        median(&self.bytes)
    }
}

impl fmt::Debug for Medians {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} bytes", self.simulated(), self.bytes())
    }
}

/// The middle one by size; of an even number, the larger of the two in the middle.
fn median<T: Copy + Default + Ord>(all: &[T]) -> T {
    let mut all = all.to_vec();
    let middle = all.len() / 2;
    if all.is_empty() { T::default() } else { *all.select_nth_unstable(middle).1 }
}

impl Tally {
    fn add(&mut self, summary: &Summary) {
        self.worlds += 1;
        self.simulated += summary.simulated;
        self.datagrams += summary.datagrams;
        self.bytes += summary.bytes;
        self.streams += summary.streams as u64;
        self.messages += summary.messages as u64;
        self.pipes += summary.pipes as u64;
        self.connections += summary.connections as u64;
        self.rogues += summary.rogues;
        self.caught += summary.caught.values().sum::<usize>() as u64;
        self.unbroken += u64::from(summary.ends.is_empty());
        self.median.times.push(summary.simulated);
        self.median.bytes.push(summary.bytes);
    }

    /// Worlds a second.
    pub fn rate(&self) -> f64 {
        self.worlds as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

impl Search {
    /// Plays world after world. `progress` is called now and then.
    pub fn run(&self, progress: impl Fn(&Tally) + Sync) -> Tally {
        hush();
        let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let (tally, began) = (Mutex::new(Tally::default()), Clock::now());
        let work = || {
            while !over.load(Ordering::Relaxed) && self.time.is_none_or(|t| began.elapsed() < t) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.seeds {
                    break;
                }
                let twice = self.twice_every > 0 && number.is_multiple_of(self.twice_every);
                let outcome = play(self.first.wrapping_add(number), twice);
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                match outcome {
                    Ok((summary, replayed)) => {
                        tally.add(&summary);
                        tally.twice += u64::from(twice);
                        tally.replayed += replayed;
                    }
                    Err(failure) => tally.failures.push(failure),
                }
                tally.took = began.elapsed();
                over.fetch_or(tally.failures.len() >= self.most_failures, Ordering::Relaxed);
                progress(&tally);
            }
        };
        thread::scope(|scope| (0..self.jobs.max(1)).for_each(|_| drop(scope.spawn(work))));
        tally.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rare branches of the core that nothing has taken since this process began: what a search did not
/// search. Empty without the feature `sometimes`.
pub fn never_taken() -> Vec<&'static str> {
    #[cfg(feature = "sometimes")]
    let counts = aqueduct_core::sometimes::counts();
    #[cfg(not(feature = "sometimes"))]
    let counts = std::iter::empty::<(&'static str, usize)>();
    counts.filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
}

/// Plays one world, once or [twice](compared); what goes wrong in it is caught. Gives how many
/// tapes were replayed, too.
///
/// # Errors
/// What went wrong.
pub fn play(seed: u64, twice: bool) -> Result<(Summary, u64), Failure> {
    if !twice {
        return caught(seed, || run(seed)).map(|summary| (summary, 0));
    }
    let (summary, replayed) = compared(seed, || run(seed))?;
    if replayed < summary.hosts as u64 {
        let what = format!("{replayed} tapes were replayed, of {} hosts", summary.hosts);
        return Err(Failure { seed, what });
    }
    Ok((summary, replayed))
}

/// Plays something twice, and compares. The second time all hosts are recorded, and their tapes
/// replayed: gives how many there were, which is never none.
///
/// # Errors
/// What went wrong in it; that the two differ; or that nothing was replayed.
pub fn compared<T: PartialEq>(seed: u64, run: impl Fn() -> T) -> Result<(T, u64), Failure> {
    let one = caught(seed, &run)?;
    let (other, replayed) = caught(seed, || taped(&run))?;
    let what = match (one == other, replayed) {
        (false, _) => "two runs of one seed differ, of which the second was recorded",
        (true, 0) => "no tape was replayed",
        (true, _) => return Ok((one, replayed)),
    };
    Err(Failure { seed, what: what.to_owned() })
}

/// Runs something that may panic.
///
/// # Errors
/// What the panic said, and where.
pub fn caught<T>(seed: u64, run: impl FnOnce() -> T) -> Result<T, Failure> {
    SAID.set(None);
    CATCHING.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    CATCHING.set(false);
    outcome.map_err(|_| {
        let what = SAID.take().unwrap_or_else(|| "it panicked".to_owned());
        Failure { seed, what }
    })
}

thread_local! {
    static SAID: std::cell::Cell<Option<String>> = const { std::cell::Cell::new(None) };
    static CATCHING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Panics that are caught here are remembered with their place, and not printed.
pub fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if CATCHING.get() {
                SAID.set(Some(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
}
