//! The tables of goodput hold: no cell stalls, none is below half of what is possible, and none is
//! far from what it was, so that a table that no longer tells what is gets written anew. The plain suite plays every cell from one seed, which has a table of its
//! own: one seed may be lucky where the median of five is not. `AQUEDUCT_WHOLE=1` plays all five.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use aqueduct_tests::scenario::matrix::{Cell, LEAST, LOSSES, RTTS, SIZES, cells, line, median};

/// Part of its entry that a cell may be away from it before somebody should look: another seed, or
/// a change somewhere else, moves it by less.
const SLACK: f64 = 0.3;

/// The medians of five seeds.
const WHOLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tables/goodput.txt");
/// Those of seed 0.
const PLAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tables/goodput-plain.txt");

const WHOLE_HEAD: &str = "\
# Goodput of one transfer, in percent of what is possible, by round trip, loss and size.
#
# One body over 100 Mbit/s with a queue of one bandwidth-delay product (at least 64 kB) and
# independent loss each way; the median of seeds 0 to 4. What is possible, and by which response
# function, stands in `tests/src/scenario/matrix.rs`. More than 100: the ideal sender has its rate
# from CUBIC's response function, and a short transfer is over before loss has brought it so low.
#
# No cell is below 50.
#
# `cargo test --release -p aqueduct-tests --test it write_goodput -- --ignored` writes it anew.
#
# RTT [ms]  loss [%]   1 kB  64 kB   1 MB  10 MB
";

const PLAIN_HEAD: &str = "\
# What `goodput.txt` says of the median of five seeds, of seed 0 alone: the plain suite is held to it.
# `cargo test --release -p aqueduct-tests --test it write_goodput -- --ignored` writes it anew.
";

/// What a table says of every cell, as parts of one, behind its head.
fn table(path: &str) -> Vec<(Cell, f64)> {
    let text = std::fs::read_to_string(path).expect("the table");
    let head = if path == WHOLE { WHOLE_HEAD } else { PLAIN_HEAD };
    let rows = text.strip_prefix(head).unwrap_or_else(|| panic!("{path} has another head"));
    let mut entries = Vec::new();
    for row in rows.lines() {
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
    for path in [WHOLE, PLAIN] {
        let table = table(path);
        let of_table: Vec<_> = table.iter().map(|(cell, _)| *cell).collect();
        assert_eq!(of_table, cells().collect::<Vec<_>>());
        let low: Vec<_> = table.iter().filter(|(_, reached)| *reached < LEAST).collect();
        assert!(low.is_empty(), "{low:?}");
    }
}

/// Writes both: after a change that is meant.
#[test]
#[ignore = "writes tests/tables/goodput.txt and goodput-plain.txt"]
fn write_goodput() {
    for (path, head, seeds) in [(WHOLE, WHOLE_HEAD, 5), (PLAIN, PLAIN_HEAD, 1)] {
        let rows = RTTS.into_iter().flat_map(|rtt| LOSSES.map(|loss| (rtt, loss)));
        let rows = rows.map(|(rtt, loss)| {
            let reached = SIZES.map(|size| median(Cell { rtt, loss, size }, 0..seeds));
            line(rtt, loss, &reached) + "\n"
        });
        std::fs::write(path, head.to_owned() + &rows.collect::<String>()).expect("the table");
    }
}

/// On a short path the last packet of a body comes alone as often as not, and its ACK is not long in
/// coming: what most of these bodies took was a wait of a hundred round trips.
///
/// spec: R-REC-6
#[test]
fn a_short_body_over_a_short_path_waits_for_no_ack() {
    for (loss, most) in [(0, 0), (10_000, 10), (50_000, 30)] {
        let cell = Cell { rtt: 200, loss, size: 64_000 };
        let slow = (0..100).filter(|seed| cell.reached(*seed) < LEAST).count();
        println!("{loss}: {slow} of 100 below half of what is possible");
        assert!(slow <= most, "{loss}: {slow} of 100");
    }
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
    let (path, seeds) = if whole { (WHOLE, 5) } else { (PLAIN, 1) };
    let entries = table(path);
    let (next, low) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let reached = Mutex::new(Vec::new());
    let work = || {
        while let Some((cell, entry)) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
            let part = median(*cell, 0..seeds);
            if part < LEAST || (part - entry).abs() > entry * SLACK {
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
