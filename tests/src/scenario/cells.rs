//! Single cells of the two tables, by name: of goodput, with the controller in use, and of Weir.

use std::time::Duration;

use aqueduct_core::congestion::Algorithm;

use super::interop::case;
use super::matrix::{self, LEAST};
use super::{Report, Scenario, congestion};

/// Runs of which the one in the middle counts: one alone may be unlucky.
const RUNS: u64 = 5;

/// The scenarios.
pub const CASES: &[Scenario] = &[
    case!(
        heavy "matrix",
        all,
        "every round trip by every loss by sizes up to 1 MB: none below half of what is possible"
    ),
    case!(
        "matrix-near",
        |seed| of([matrix::Cell { rtt: 5_000, loss: 10_000, size: 1_000_000 }], seed),
        "of the matrix: 5 ms, 1 % lost, 1 MB"
    ),
    case!(
        "matrix-far",
        |seed| of([matrix::Cell { rtt: 135_000, loss: 1_000, size: 1_000_000 }], seed),
        "of the matrix: 135 ms, 0.1 % lost, 1 MB"
    ),
    case!(
        "matrix-space",
        |seed| of([matrix::Cell { rtt: 750_000, loss: 50_000, size: 64_000 }], seed),
        "of the matrix: 750 ms, 5 % lost, 64 KB"
    ),
    case!(
        heavy "weir",
        weir,
        "20 MB by Weir at 50 ms and 50 Mbit/s; 0, 0.1, 1 and 5 % lost hardly slow it down"
    ),
];

/// What several runs come to, as one report.
#[derive(Default)]
struct Several {
    hash: blake3::Hasher,
    simulated: Duration,
}

impl Several {
    fn add(&mut self, report: &Report) {
        self.hash.update(&report.fingerprint);
        self.simulated += report.simulated;
    }

    fn report(self, figures: Vec<(&'static str, f64)>) -> Report {
        let fingerprint = *self.hash.finalize().as_bytes();
        Report { fingerprint, simulated: self.simulated, figures }
    }
}

fn all(seed: u64) -> Report {
    of(matrix::cells().filter(|cell| cell.size <= 1_000_000), seed)
}

fn of(cells: impl IntoIterator<Item = matrix::Cell>, seed: u64) -> Report {
    let (mut several, mut least, mut count) = (Several::default(), f64::MAX, 0.0);
    for cell in cells {
        let mut parts = Vec::new();
        for run in 0..RUNS {
            let (part, report) = cell.play(seed.wrapping_mul(RUNS) + run);
            parts.push(part);
            several.add(&report);
        }
        parts.sort_by(f64::total_cmp);
        let middle = parts[parts.len() / 2];
        assert!(middle >= LEAST, "{cell:?}: {middle:.2} of what is possible, of {parts:?}");
        (least, count) = (least.min(middle), count + 1.0);
    }
    several.report(vec![("cells", count), ("least % of what is possible", least * 100.0)])
}

/// Loss alone does not slow Weir down, and it loses little besides.
///
/// # Panics
/// If it does.
pub fn weir(seed: u64) -> Report {
    let (mut several, mut figures) = (Several::default(), Vec::new());
    for (name, loss, least) in [
        ("% without loss", 0, 0.90),
        ("% with 0.1 % lost", 1_000, 0.90),
        ("% with 1 % lost", 10_000, 0.85),
        ("% with 5 % lost", 50_000, 0.70),
    ] {
        let rate = congestion::RATE;
        let cell = congestion::Cell { rtt: 50_000, loss, rate, queue: 100, size: 20_000_000 };
        let (it, report) = cell.told(Algorithm::Weir, seed);
        assert!(it.share >= least, "{loss}: {it:?}");
        assert!(it.lost <= f64::from(loss) / 1e6 + 0.02, "{loss}: {it:?}");
        figures.push((name, it.share * 100.0));
        several.add(&report);
    }
    several.report(figures)
}
