//! Handing a stream over: 10 MiB in 7,688 fragments, by several ways, side by side.
//!
//! `cargo bench -p aqueduct-tests --bench handoff -- [ROUNDS]`
//!
//! Each round runs every case once, so that what disturbs the machine disturbs all of them, and
//! begins with another one. *Insert* is the inserting alone; *pass* is a whole life: the structure is made, each fragment is inserted
//! and read as soon as it can be, and everything is freed. The plain slots are made at once, as many
//! as are needed, the hand-over's segments as they come; both within the time. With the copy, the
//! reader either drops what it reads, and the next block takes the same memory, warm; or it keeps
//! all, and every block is fresh. In reverse there is no difference but at the end: nothing can be
//! read before.

mod cases;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;

use cases::{Order, Way};

const TOTAL: usize = 10 << 20;
const FRAGMENT: usize = 1364;

/// The pieces of the body, with their numbers, as they arrive.
struct Workload {
    fragments: Vec<(usize, Bytes)>,
}

impl Workload {
    fn new(body: &Bytes, order: Order) -> Self {
        let ends = (0..body.len()).step_by(FRAGMENT);
        let cut = |at: usize| body.slice(at..(at + FRAGMENT).min(body.len()));
        let mut fragments: Vec<_> = ends.map(cut).enumerate().collect();
        match order {
            Order::Ascending => {}
            Order::Reverse => fragments.reverse(),
            // The same shuffle in each chunk: 0, 3, 6, 9, 2, 5, 8, 1, 4, 7.
            Order::Shuffled => fragments.chunks_mut(10).for_each(|chunk| {
                let len = chunk.len();
                let taken: Vec<_> = chunk.to_vec();
                let places = (0..10).map(|n| n * 3 % 10).filter(|place| *place < len);
                places.zip(chunk).for_each(|(place, to)| *to = taken[place].clone());
            }),
        }
        Self { fragments }
    }
}

/// One line of the table.
struct Line {
    way: Way,
    order: Order,
    took: Vec<Duration>,
    peak: usize,
}

impl Line {
    fn ns(&self) -> f64 {
        median(&self.took).as_secs_f64() * 1e9 / TOTAL.div_ceil(FRAGMENT) as f64
    }

    fn print(&mut self) {
        self.took.sort();
        let rate = |took: Duration| TOTAL as f64 / 1e6 / took.as_secs_f64();
        let (best, worst) = (self.took[0], self.took[self.took.len() - 1]);
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

fn main() {
    let rounds = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(41);
    let body = Bytes::from((0..TOTAL).map(|at| ((at * 31) >> 3) as u8).collect::<Vec<u8>>());
    let loads = Order::ALL.map(|order| (order, Workload::new(&body, order)));
    let mut lines: Vec<Line> = Vec::new();
    for (order, _) in &loads {
        let ways = Way::ALL.into_iter().filter(|way| way.fits(*order));
        lines.extend(ways.map(|way| Line { way, order: *order, took: Vec::new(), peak: 0 }));
    }
    for round in 0..rounds + 2 {
        // Nobody runs behind the same one every time.
        let first = round % lines.len();
        let (end, begin) = lines.split_at_mut(first);
        for line in begin.iter_mut().chain(end) {
            let load = loads.iter().find(|(order, _)| *order == line.order);
            let fragments = load.expect("every order has a load").1.fragments.clone();
            let (took, peak) = line.way.run(fragments);
            // Two rounds to warm up.
            if round >= 2 {
                line.took.push(took);
            }
            line.peak = peak;
        }
    }
    println!("{TOTAL} bytes in {} fragments, {rounds} rounds\n", TOTAL.div_ceil(FRAGMENT));
    println!("{:<30} {:<12} median (range), a fragment, most bytes held", "way", "order");
    lines.iter_mut().for_each(Line::print);
    ratios(&lines);
    first_fragment();
    clones(&body);
}

/// What is asked of the hand-over, as ratios within this run.
fn ratios(lines: &[Line]) {
    let ns = |way: Way, order: Order| {
        let line = lines.iter().find(|line| line.way == way && line.order == order);
        line.expect("a line of the table").ns()
    };
    println!();
    for (what, ours, theirs) in [
        ("insert", Way::HandoffInsert, Way::SlotsInsert),
        ("pass", Way::HandoffPass, Way::SlotsPass),
        ("pass ten at once", Way::HandoffBatches, Way::SlotsBatches),
    ] {
        let ratio = ns(theirs, Order::Ascending) / ns(ours, Order::Ascending);
        println!("{what}, in order: handoff / plain slots = {ratio:.2} of the rate (asked: 1.00)");
    }
    let pairs =
        [("kept", Way::AssembledKept, Way::MemcpyKept), ("dropped", Way::Assembled, Way::Memcpy)];
    for (what, ours, theirs) in pairs {
        for order in Order::ALL {
            let ratio = ns(theirs, order) / ns(ours, order);
            let name = order.name();
            println!("{what}, {name}: assembler + handoff / memcpy = {ratio:.2} of the rate");
        }
    }
    println!("(asked, by 10 and in reverse: 0.70)");
}

/// From the fragment's arrival until a reader holds its bytes.
fn first_fragment() {
    let fragment = Bytes::from(vec![7; FRAGMENT]);
    println!();
    for way in [Way::HandoffPass, Way::Assembled, Way::SlotsPass] {
        let mut took: Vec<_> = (0..2001).map(|_| way.first(fragment.clone())).collect();
        took.sort();
        println!(
            "first fragment, {:<30} {:>5} ns ({} to {} in 98 of 100; asked: under 1000)",
            way.name(),
            took[1000].as_nanos(),
            took[20].as_nanos(),
            took[1980].as_nanos()
        );
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
