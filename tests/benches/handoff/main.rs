//! Handing a stream over: 10 MiB in 7,688 fragments, by several ways, side by side.
//!
//! `cargo bench -p aqueduct-tests --bench handoff -- [ROUNDS]`
//!
//! Fails if something costs more than it may, and says what.
//!
//! Each round runs every case once, in an order of its own, so that what disturbs the machine
//! disturbs all of them and nobody has the same one before it every time. Times are those on the
//! processor, page faults among them. A ratio is the median of those of each round.
//!
//! **What each includes.** The fragments are parts of one body that lies there: 10 MiB, more than a
//! cache of the second level holds. To make them, and the list of them, is not in the time.
//!
//! * *Insert* is the inserting alone, with making the structure, and without freeing it.
//! * *Pass* is a whole life: the structure is made, each fragment is inserted and read as soon as
//!   it can be, and everything is freed. The reader gets a `Bytes` of its own, and drops it: of the
//!   plain slots a copy of the handle, and the slots keep theirs until all are freed; of the
//!   hand-over the handle itself, while one reads alone. The plain slots are made at once, as many
//!   as are needed, which nobody knows of a real stream; the hand-over's segments as they come,
//!   with an allocator that counts. The loops have for each the shape in which it is faster.
//! * *Assembler + hand-over* copies each fragment once, reads behind it what is in a row, hands it
//!   over, and a reader takes it.
//! * *32 at once*: the same, and 32 fragments are placed before anything is read and handed over, as
//!   a driver does with what it finds at its socket.
//! * *memcpy* appends the same fragments in the order in which they come to blocks of 16 KiB, as
//!   large as the assembler's. It knows no offsets, finds no gaps, hands nothing over.
//! * *Dropped*: the reader drops what it reads, and the next block takes the same memory, warm; so
//!   it is for memcpy. In reverse nothing can be read before the last fragment is there: memcpy
//!   keeps all of it as well, to the end.
//! * *Kept*: all is kept to the end, and every block is fresh for both. Pages that the system has
//!   to give are part of the time for both: what the allocator has given back, it gets anew. How
//!   much it gives back is not in our hands, and in reverse it is less where something small lies
//!   above the blocks, as it does with us.
//! * *Kept, warm*: the same in a process whose allocator gives nothing back (glibc's), so that both
//!   fill pages that are there already, and neither waits for the system.
//!
//! The most memory is what the allocator has given out, looked at behind each fragment in a run
//! whose time is not taken, and in which every fragment is memory of its own: so what is kept of it
//! counts. *Pipe* is the core's: a STREAM frame of the source comes, and a packet of the leg
//! leaves, which is acknowledged at once; what it holds is what was not acknowledged in a row, and
//! what it holds for reordering are bytes that have come and have not left.

mod cases;
mod warm;

use std::alloc::System;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use aqueduct_tests::fragments::{FRAGMENT, Order};
use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use cases::Way;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TOTAL: usize = 10 << 20;

/// Bytes that are allocated now.
fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// One line of the table.
struct Line {
    way: Way,
    order: Order,
    took: Vec<Duration>,
    peak: usize,
}

impl Line {
    /// The most memory above what there was before.
    fn peak(way: Way, order: Order, body: &Bytes) -> usize {
        let fragments = order.cut(body);
        let own = fragments.iter().map(|(at, bytes)| (*at, Bytes::copy_from_slice(bytes)));
        let (before, mut most) = (live(), 0);
        way.run(own, || most = most.max(live()));
        most - before
    }

    fn ns(&self) -> f64 {
        median(&self.took).as_secs_f64() * 1e9 / TOTAL.div_ceil(FRAGMENT) as f64
    }

    fn print(&self) {
        let rate = |took: Duration| TOTAL as f64 / 1e6 / took.as_secs_f64();
        let best = self.took.iter().min().copied().unwrap_or_default();
        let worst = self.took.iter().max().copied().unwrap_or_default();
        println!(
            "{:<30} {:<12} {:>8.0} MB/s ({:>6.0} to {:>6.0}) {:>7.1} ns {:>10} B",
            self.way.name(),
            self.order.name(),
            rate(median(&self.took)),
            rate(worst),
            rate(best),
            self.ns(),
            self.peak
        );
    }
}

fn median(took: &[Duration]) -> Duration {
    let mut sorted = took.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

fn main() -> ExitCode {
    let rounds = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(41);
    let body = Bytes::from((0..TOTAL).map(|at| ((at * 31) >> 3) as u8).collect::<Vec<u8>>());
    let loads = Order::ALL.map(|order| (order, order.cut(&body)));
    if warm::is_it() {
        return warm::compare(&body, &loads, rounds);
    }
    let ways = Way::ALL.into_iter().filter(|way| *way != Way::Pipe);
    let mut lines = race(ways, &loads, rounds);
    // A pipe takes so much more memory that the others would find it warm, and so would all of them
    // behind a run in which memory is counted.
    lines.extend(race([Way::Pipe], &loads, rounds));
    lines.iter_mut().for_each(|line| line.peak = Line::peak(line.way, line.order, &body));
    println!("{TOTAL} bytes in {} fragments, {rounds} rounds\n", TOTAL.div_ceil(FRAGMENT));
    print(&lines);
    let mut asked = Asked::default();
    ratios(&lines, &mut asked);
    held_for_reordering(&loads, &mut asked);
    first_fragment(&mut asked);
    clones(&body);
    asked.check(warm::run(rounds), || "in warm memory: see above".to_owned());
    asked.verdict()
}

fn print(lines: &[Line]) {
    println!("{:<30} {:<12} median (range), a fragment, most memory", "way", "order");
    lines.iter().for_each(Line::print);
}

/// The fragments in each order.
type Loads = [(Order, Vec<(usize, Bytes)>); 4];

/// Every way that fits, side by side.
fn race(ways: impl IntoIterator<Item = Way>, loads: &Loads, rounds: usize) -> Vec<Line> {
    let orders = |way: Way| Order::ALL.into_iter().filter(move |order| way.fits(*order));
    let line = |(way, order)| Line { way, order, took: Vec::new(), peak: 0 };
    let pairs = ways.into_iter().flat_map(|way| orders(way).map(move |order| (way, order)));
    let mut lines: Vec<Line> = pairs.map(line).collect();
    lines.sort_by_key(|line| line.order as u8);
    let mut order: Vec<usize> = (0..lines.len()).collect();
    let mut random = 1_u64;
    for round in 0..rounds + 2 {
        for at in (1..order.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order.swap(at, (random >> 33) as usize % (at + 1));
        }
        for at in &order {
            let line = &mut lines[*at];
            let load = loads.iter().find(|(order, _)| *order == line.order);
            let fragments = load.expect("every order has a load").1.clone();
            let took = line.way.run(fragments.into_iter(), || {});
            // Two rounds to warm up.
            if round >= 2 {
                line.took.push(took);
            }
        }
    }
    lines
}

/// What was asked for and is not so.
#[derive(Default)]
struct Asked {
    missed: Vec<String>,
}

impl Asked {
    fn check(&mut self, kept: bool, what: impl FnOnce() -> String) {
        if !kept {
            self.missed.push(what());
        }
    }

    /// Of a ratio of rates, and the least that it is to be.
    fn say(&mut self, what: String, ratio: f64, least: Option<f64>) {
        let wish = least.map(|least| format!(" (asked: {least:.2})")).unwrap_or_default();
        let line = format!("{what} = {ratio:.2} of the rate{wish}");
        println!("{line}");
        self.check(least.is_none_or(|least| ratio >= least), || line);
    }

    fn verdict(&self) -> ExitCode {
        println!();
        self.missed.iter().for_each(|what| println!("MISSED: {what}"));
        if self.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The median of the rounds' ratios of rates.
fn rate(lines: &[Line], ours: Way, theirs: Way, order: Order) -> f64 {
    let took = |way: Way| {
        let line = lines.iter().find(|line| line.way == way && line.order == order);
        &line.expect("a line of the table").took
    };
    let rounds = took(theirs).iter().zip(took(ours));
    let mut ratios: Vec<f64> = rounds.map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// What is asked of the hand-over, as ratios within this run.
fn ratios(lines: &[Line], asked: &mut Asked) {
    println!();
    for (what, ours, theirs) in [
        ("insert", Way::HandoffInsert, Way::SlotsInsert),
        ("pass", Way::HandoffPass, Way::SlotsPass),
        ("pass ten at once", Way::HandoffBatches, Way::SlotsBatches),
    ] {
        let ratio = rate(lines, ours, theirs, Order::Ascending);
        asked.say(format!("{what}, in order: handoff / plain slots"), ratio, Some(1.0));
    }
    beside_memcpy(lines, KEPT, "kept", asked);
    beside_memcpy(lines, DROPPED, "dropped", asked);
}

/// The assembler one fragment after the other, 32 at once, and memcpy.
const KEPT: [Way; 3] = [Way::AssembledKept, Way::AssembledAtOnceKept, Way::MemcpyKept];
const DROPPED: [Way; 3] = [Way::Assembled, Way::AssembledAtOnce, Way::Memcpy];

fn beside_memcpy(lines: &[Line], ways: [Way; 3], what: &str, asked: &mut Asked) {
    let [ours, at_once, memcpy] = ways;
    for order in Order::ALL {
        let ratio = rate(lines, ours, memcpy, order);
        let least = (order != Order::Ascending).then_some(0.7);
        asked.say(format!("{what}, {}: assembler + handoff / memcpy", order.name()), ratio, least);
    }
    let ratio = rate(lines, at_once, memcpy, Order::Batches);
    asked.say(format!("{what}, 32 at once: assembler + handoff / memcpy"), ratio, Some(0.7));
}

/// What a pipe was given and had not passed on when its turn was over.
fn held_for_reordering(loads: &Loads, asked: &mut Asked) {
    println!();
    for (order, fragments) in loads {
        let (_, most) = cases::piped(fragments.clone().into_iter(), || {});
        let line = format!("pipe, {}: {most} bytes held for reordering (asked: 0)", order.name());
        println!("{line}");
        asked.check(most == 0, || line);
    }
}

/// From the fragment's arrival until a reader holds its bytes, or the leg's packet does.
fn first_fragment(asked: &mut Asked) {
    let fragment = Bytes::from(vec![7; FRAGMENT]);
    println!();
    for way in [Way::HandoffPass, Way::Assembled, Way::SlotsPass, Way::Pipe] {
        let mut took: Vec<_> = (0..2001).map(|_| way.first(fragment.clone())).collect();
        took.sort();
        let [median, low, high] = [1000, 20, 1980].map(|at: usize| took[at].as_nanos());
        // Of a pipe, which also writes the packet, nobody asked it.
        let wish = if way == Way::Pipe { "" } else { "; asked: under 1000" };
        println!(
            "first fragment, {:<30} {median:>5} ns ({low} to {high} in 98 of 100{wish})",
            way.name()
        );
        asked.check(wish.is_empty() || median < 1000, || {
            format!("first fragment, {}: {median} ns{wish}", way.name())
        });
    }
}

fn clones(body: &Bytes) {
    let timed = |make: &dyn Fn()| {
        let mut took: Vec<_> = (0..21)
            .map(|_| {
                let started = Instant::now();
                make();
                started.elapsed()
            })
            .collect();
        took.sort();
        took[10]
    };
    let by_count = timed(&|| {
        let all: Vec<Bytes> = (0..100).map(|_| body.clone()).collect();
        black_box(all);
    });
    // Copied one after the other: a hundred at once would be 1 GiB.
    let by_copy = timed(&|| (0..10).for_each(|_| _ = black_box(body.to_vec()))) * 10;
    println!("\n100 clones of {TOTAL} bytes: `Bytes` {by_count:?}, `Vec` {by_copy:?}");
}
