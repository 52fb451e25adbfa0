//! Named scenarios: one table, each entry repeatable by its name and a seed.
//!
//! A scenario says itself whether it went well, by panicking if not. [`twice`] plays one two
//! times, the second time recorded, and compares the digests of everything that was sent. The
//! heavy ones move ten megabytes and more; the plain test suite plays the others.
//!
//! ```
//! use aqueduct_tests::scenario;
//!
//! let (report, replayed) = scenario::twice("handshake", 1).expect("it goes well");
//! assert!(report.figures.iter().any(|(name, _)| *name == "seconds"));
//! assert_eq!(replayed, 2, "the tapes of both hosts");
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
mod said;
pub mod turns;

use std::time::Duration;

use aqueduct_core::tape::Payload;

use crate::swarm::search::{Failure, caught, compared, hush};
use crate::tapes::kept;
use crate::{WIRE_IS_READ, swarm};

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

/// Plays a scenario twice, and compares. The second time its endpoints are recorded, and their
/// tapes replayed: gives how many there were, too.
///
/// # Errors
/// What went wrong in it; that there is none of this name; that the two differ; or that nothing was
/// replayed.
pub fn twice(name: &str, seed: u64) -> Result<(Report, u64), Failure> {
    hush();
    let none = || Failure { seed, what: format!("there is no scenario `{name}`") };
    let scenario = find(name).ok_or_else(none)?;
    compared(seed, || (scenario.run)(seed))
}

/// The command that plays this scenario again as this build does: where the wire is read or what is
/// asserted is checked, another build may not see what was seen.
pub fn repeat(name: &str, seed: u64) -> String {
    let release = if cfg!(debug_assertions) { "" } else { "--release " };
    let aqueduct = match WIRE_IS_READ {
        true => format!("cargo run {release}--locked --features wiretap --"),
        false => "aqueduct".to_owned(),
    };
    format!("{aqueduct} sim run {name} --seed {seed}")
}

/// Plays a scenario once, recorded: how it went, and the tapes of its endpoints in the order in
/// which they ended.
pub fn recorded(
    scenario: &Scenario,
    seed: u64,
    payload: Payload,
) -> (Result<Report, Failure>, Vec<Vec<u8>>) {
    hush();
    kept(payload, || caught(seed, || (scenario.run)(seed)))
}
