//! The table of goodput holds: no cell stalls, none is below half of what is possible, and none is
//! much below what it was. The plain suite plays every row with the sizes up to a megabyte and one
//! row in four with 10 MB, from one seed; `AQUEDUCT_WHOLE=1` everything from five.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use aqueduct_tests::scenario::matrix::{Cell, LEAST, LOSSES, RTTS, SIZES, cells, line, median};

/// Percent that a cell may be below its entry before somebody should look: another seed, or a
/// change somewhere else, moves it by less.
const SLACK: f64 = 0.3;

/// What the table says of every cell, as parts of one.
fn table() -> Vec<(Cell, f64)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tables/goodput.txt");
    let text = std::fs::read_to_string(path).expect("the table");
    let mut entries = Vec::new();
    for row in text.lines().filter(|line| !line.starts_with('#')) {
        let numbers: Vec<f64> =
            row.split_whitespace().map(|cell| cell.parse().expect("a number")).collect();
        let [rtt, loss, reached @ ..] = &numbers[..] else { panic!("a short row: {row}") };
        for (size, reached) in SIZES.into_iter().zip(reached) {
            let (rtt, loss) = ((rtt * 1e3).round() as u64, (loss * 1e4).round() as u32);
            entries.push((Cell { rtt, loss, size }, reached / 100.0));
        }
    }
    entries
}

#[test]
fn the_table_has_every_cell_and_none_below_half() {
    let table = table();
    let of_table: Vec<_> = table.iter().map(|(cell, _)| *cell).collect();
    assert_eq!(of_table, cells().collect::<Vec<_>>());
    let low: Vec<_> = table.iter().filter(|(_, reached)| *reached < LEAST).collect();
    assert!(low.is_empty(), "{low:?}");
}

/// A cell is the same whenever it is played.
#[test]
fn a_cell_is_the_same_each_time() {
    for cell in cells().filter(|cell| cell.size == 64_000) {
        let once = cell.reached(7);
        assert_eq!(once.to_bits(), cell.reached(7).to_bits(), "{cell:?}, seed 7");
    }
}

#[test]
fn goodput_is_what_the_table_says() {
    let whole = std::env::var_os("AQUEDUCT_WHOLE").is_some();
    let row = |cell: &Cell| {
        RTTS.iter().position(|rtt| *rtt == cell.rtt).expect("a row") * 4
            + LOSSES.iter().position(|loss| *loss == cell.loss).expect("a row")
    };
    let played =
        |cell: &Cell| whole || cell.size <= 1_000_000 || row(cell) % 4 == row(cell) / 4 % 4;
    let entries: Vec<_> = table().into_iter().filter(|(cell, _)| played(cell)).collect();
    let seeds = if whole { 5 } else { 1 };
    let (next, low) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let reached = Mutex::new(Vec::new());
    let work = || {
        while let Some((cell, entry)) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
            let part = median(*cell, 0..seeds);
            // One seed may be as unlucky as another is lucky beyond the ideal sender.
            let expected = if whole { *entry } else { entry.min(1.0) };
            if part < LEAST || part < expected * (1.0 - SLACK) {
                let text =
                    format!("{cell:?}, seeds 0..{seeds}: {part:.2}, {entry:.2} in the table");
                low.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
            reached.lock().unwrap_or_else(PoisonError::into_inner).push((*cell, part));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let reached = reached.into_inner().expect("no cell stalled");
    assert_eq!(reached.len(), entries.len(), "a cell stalled");
    for (rtt, loss) in RTTS.into_iter().flat_map(|rtt| LOSSES.map(|loss| (rtt, loss))) {
        let of = |size| reached.iter().find(|(cell, _)| *cell == Cell { rtt, loss, size });
        let parts: Vec<_> = SIZES.iter().map(|size| of(*size).map_or(0.0, |c| c.1)).collect();
        println!("{}", line(rtt, loss, &parts));
    }
    let low = low.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(low.is_empty(), "{}", low.join("\n"));
}
