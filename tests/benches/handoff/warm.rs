//! What is kept, in memory that is there already: this program, begun once more with an allocator
//! that gives nothing back to the system.

use std::process::{Command, ExitCode};

use bytes::Bytes;

use crate::{Asked, KEPT, Line, Loads, beside_memcpy, print, race};

/// What makes this program the other one.
const FLAG: &str = "--warm";
/// glibc's: a heap is never trimmed, and what is large comes from it as well.
const TUNABLES: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.trim_threshold=4000000000:glibc.malloc.mmap_threshold=30000000",
);
/// Pages that the system may have to give in a run of either way all the same: 1 in 25.
const FEW: u64 = 100;

pub(super) fn is_it() -> bool {
    std::env::args().any(|arg| arg == FLAG)
}

/// Whether everything that is asked was so.
pub(super) fn run(rounds: usize) -> bool {
    println!("\nthe same in warm memory\n");
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    let (name, value) = TUNABLES;
    let command = command.args([FLAG, &rounds.to_string()]).env(name, value);
    command.status().expect("a process").success()
}

pub(super) fn compare(body: &Bytes, loads: &Loads, rounds: usize) -> ExitCode {
    // Once, so that the heap has grown.
    race(KEPT, loads, 1);
    let before = faults();
    let mut lines = race(KEPT, loads, rounds);
    // Two rounds more, to warm up.
    let runs = ((rounds + 2) * lines.len()) as u64;
    let pages = before.zip(faults()).map(|(before, now)| (now - before) / runs);
    lines.iter_mut().for_each(|line| line.peak = Line::peak(line.way, line.order, body));
    print(&lines);
    println!();
    let mut asked = Asked::default();
    beside_memcpy(&lines, KEPT, "kept, warm", &mut asked);
    if let Some(pages) = pages {
        let line = format!("{pages} pages came from the system in each run (asked: under {FEW})");
        println!("{line}");
        asked.check(pages < FEW, || line);
    }
    asked.verdict()
}

/// Pages that the system has given this process so far (Linux).
fn faults() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the program's name, which may have spaces: the eighth.
    stat.rsplit(')').next()?.split_whitespace().nth(7)?.parse().ok()
}
