//! Named scenarios: one table, each entry repeatable by its name and a seed.
//!
//! A scenario says itself whether it went well, by panicking if not. [`twice`] plays one two times
//! and compares the digests of everything that was sent. The heavy ones move ten megabytes and
//! more; the plain test suite plays the others.
//!
//! ```
//! use aqueduct_tests::scenario;
//!
//! let report = scenario::twice("handshake", 1).expect("it goes well");
//! assert!(report.figures.iter().any(|(name, _)| *name == "seconds"));
//! ```

pub mod bulk;
pub mod cells;
pub mod chain;
pub mod congestion;
pub mod handover;
pub mod interop;
pub mod lab;
pub mod matrix;
pub mod punch;
pub mod reliability;
pub mod turns;

use std::time::Duration;

use crate::swarm;
use crate::swarm::search::{Failure, caught, hush};

/// What a scenario came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// A digest of all datagrams, and of all endpoints at the end.
    pub fingerprint: [u8; 32],
    /// How long it lasted, in its own time.
    pub simulated: Duration,
    /// What was measured.
    pub figures: Vec<(&'static str, f64)>,
}

/// Several runs that make one report.
struct Series {
    hash: blake3::Hasher,
    simulated: Duration,
}

impl Series {
    fn new() -> Self {
        Self { hash: blake3::Hasher::new(), simulated: Duration::ZERO }
    }

    /// One more run.
    fn add(&mut self, report: &Report) {
        self.hash.update(&report.fingerprint);
        self.simulated += report.simulated;
    }

    /// That is all.
    fn report(self, figures: Vec<(&'static str, f64)>) -> Report {
        let mut all = vec![("seconds", self.simulated.as_secs_f64())];
        all.extend(figures);
        let fingerprint = *self.hash.finalize().as_bytes();
        Report { fingerprint, simulated: self.simulated, figures: all }
    }
}

/// One of the table.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What happens, and what must follow.
    pub about: &'static str,
    /// Too much for a suite that should take seconds.
    pub heavy: bool,
    /// Plays it.
    pub run: fn(u64) -> Report,
}

/// A random world, as one of the table.
const WORLD: Scenario = Scenario {
    name: "world",
    about: "a random world of two to four hosts: what lives ends well, what does not is reported",
    heavy: false,
    run: |seed| {
        let swarm::Summary {
            fingerprint,
            simulated,
            datagrams,
            streams,
            bytes,
            pipes,
            ends,
            rogues,
            ..
        } = swarm::run(seed);
        let figures = vec![
            ("datagrams", datagrams as f64),
            ("streams", streams as f64),
            ("bytes", bytes as f64),
            ("pipes", pipes as f64),
            ("broken", ends.len() as f64),
            ("rogues", rogues as f64),
        ];
        Report { fingerprint, simulated, figures }
    },
};

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let paths = handover::CASES.iter().chain(punch::CASES).chain(chain::CASES);
    let known = interop::CASES.iter().chain(reliability::CASES);
    known.chain(paths).chain(cells::CASES).chain([&WORLD])
}

/// The one of this name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    all().find(|scenario| scenario.name == name)
}

/// Plays a scenario twice, and compares.
///
/// # Errors
/// What went wrong in it; that there is none of this name; or that the two differ.
pub fn twice(name: &str, seed: u64) -> Result<Report, Failure> {
    hush();
    let none = || Failure { seed, what: format!("there is no scenario `{name}`") };
    let scenario = find(name).ok_or_else(none)?;
    let [one, other] = [(); 2].map(|()| caught(seed, || (scenario.run)(seed)));
    let (one, other) = (one?, other?);
    if one != other {
        return Err(Failure { seed, what: "two runs of one seed differ".to_owned() });
    }
    Ok(one)
}
