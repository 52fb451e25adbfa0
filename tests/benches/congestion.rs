//! Tables of what controllers do on paths.
//!
//! `cargo bench -p aqueduct-tests --bench congestion -- CASE [CONTROLLER]... [seeds=N]`
//!
//! Cases: `matrix` (100 MB at 50 Mbit/s; `matrix-1000` at 1 Gbit/s, `matrix-1` 1 MB at 1 Mbit/s),
//! `short`, `narrow` (queues of a few milliseconds, policers), `coexist`, `turns`. All controllers
//! unless some are named, one seed a cell unless `seeds=N`; `rtt=MS` and `loss=PERCENT` leave out the
//! other rows, `crowd=TEXT` the crowds with no such text in their names, `queue=HUNDREDTHS` those over
//! other queues.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use aqueduct_core::congestion::Algorithm;
use aqueduct_tests::scenario::congestion::{Cell, Crowd, Figures, RATE, jain, total};
use aqueduct_tests::scenario::turns;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let mut controllers: Vec<_> = args.iter().filter_map(|name| Algorithm::by_name(name)).collect();
    if controllers.is_empty() {
        controllers = Algorithm::ALL.to_vec();
    }
    let seeds = args.iter().find_map(|arg| arg.strip_prefix("seeds=")?.parse().ok()).unwrap_or(1);
    let only = Only::of(&args);
    for case in &args {
        match case.as_str() {
            "matrix" => matrix(&controllers, RATE, 100_000_000, seeds, &only),
            "matrix-1000" => matrix(&controllers, 125_000_000, 100_000_000, seeds, &only),
            "matrix-1" => matrix(&controllers, 125_000, 1_000_000, seeds, &only),
            "short" => short(&controllers, seeds),
            "narrow" => narrow(&controllers, seeds, &only),
            "coexist" => coexist(&controllers, seeds, &only),
            "turns" => controllers.iter().for_each(|controller| turn(*controller)),
            _ => {}
        }
    }
}

/// Runs all on the cores there are; results in the order of the inputs.
fn all<I: Sync, O: Send>(inputs: &[I], work: impl Fn(&I) -> O + Sync) -> Vec<O> {
    let (next, out) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(input) = inputs.get(at) else { break };
                    let result = work(input);
                    out.lock().expect("no panic").push((at, result));
                }
            });
        }
    });
    let mut out = out.into_inner().expect("no panic");
    out.sort_by_key(|(at, _)| *at);
    out.into_iter().map(|(_, result)| result).collect()
}

/// The names of controllers above their columns.
fn heads(controllers: &[Algorithm], width: usize) -> String {
    controllers.iter().map(|it| format!("{:>width$}", it.name())).collect()
}

const RTTS: [u64; 6] = [200, 5_000, 50_000, 135_000, 250_000, 750_000];
const LOSSES: [u32; 4] = [0, 1_000, 10_000, 50_000];

/// Which rows of a matrix.
struct Only {
    /// In milliseconds.
    rtt: Option<f64>,
    /// In percent.
    loss: Option<f64>,
    /// What the name of a crowd has in it.
    crowd: String,
    /// A crowd's queue, in hundredths of 50 ms of the rate.
    queue: Option<u64>,
}

impl Only {
    fn of(args: &[String]) -> Self {
        let number = |name| args.iter().find_map(|arg| arg.strip_prefix(name)?.parse().ok());
        let crowd = args.iter().find_map(|arg| arg.strip_prefix("crowd="));
        let crowd = crowd.unwrap_or_default().to_owned();
        let queue = args.iter().find_map(|arg| arg.strip_prefix("queue=")?.parse().ok());
        Self { rtt: number("rtt="), loss: number("loss="), crowd, queue }
    }

    fn has(&self, cell: &Cell) -> bool {
        self.rtt.is_none_or(|rtt| cell.rtt as f64 == rtt * 1e3)
            && self.loss.is_none_or(|loss| f64::from(cell.loss) == loss * 1e4)
    }
}

fn matrix(controllers: &[Algorithm], rate: u64, size: u64, seeds: u64, only: &Only) {
    println!("# {} Mbit/s, {size} bytes, median of {seeds} seeds.", rate * 8 / 1_000_000);
    println!(
        "# share: % of the ideal sender; link: % of the link; wait: p99 in round trips; lost: %"
    );
    println!("#  rtt loss queue   {}", heads(controllers, 28));
    let mut rows = Vec::new();
    for rtt in RTTS {
        for loss in LOSSES {
            for queue in [25, 100, 400] {
                rows.push(Cell { rtt, loss, rate, queue, size });
            }
        }
    }
    rows.retain(|cell| only.has(cell));
    let lines = all(&rows, |cell| {
        let play = |it: &Algorithm| median(seeds, |seed| cell.play(*it, seed));
        let cells: String = controllers.iter().map(play).collect();
        let (rtt, loss) = (cell.rtt as f64 / 1e3, f64::from(cell.loss) / 1e4);
        let line = format!("{rtt:>6.1} {loss:>4.1} {:>5.2} {cells}", cell.queue as f64 / 100.0);
        eprintln!("{line}");
        line
    });
    lines.iter().for_each(|line| println!("{line}"));
}

/// The run in the middle.
fn median(seeds: u64, play: impl Fn(u64) -> Figures) -> String {
    let mut runs: Vec<_> = (1..=seeds).map(play).collect();
    runs.sort_by(|one, other| one.share.total_cmp(&other.share));
    let it = runs[runs.len() / 2];
    let [share, link, lost] = [it.share, it.link, it.lost].map(|part| part * 100.0);
    format!("  {share:>6.1} {link:>6.1} {:>6.2} {lost:>4.1}", it.waited)
}

/// Where loss is all that tells of too much.
fn narrow(controllers: &[Algorithm], seeds: u64, only: &Only) {
    println!(
        "# 100 MB at 50 Mbit/s: a queue of some ms of the rate, a policer with a bucket of some"
    );
    println!(
        "# share: % of the ideal sender; link: % of the link; wait: p99 in round trips; lost: %"
    );
    println!("#          rtt loss   {}", heads(controllers, 28));
    let mut rows = Vec::new();
    for rtt in [20_000, 50_000, 135_000] {
        for loss in [0, 10_000] {
            for (wall, millis) in [("queue", 2), ("queue", 4), ("policer", 10), ("policer", 100)] {
                let cell = Cell { rtt, loss, rate: RATE, queue: 0, size: 100_000_000 };
                rows.push((cell, wall, millis));
            }
        }
    }
    rows.retain(|(cell, ..)| only.has(cell));
    let lines = all(&rows, |(cell, wall, millis)| {
        let play = |it: &Algorithm| {
            median(seeds, |seed| match *wall {
                "queue" => cell.play_shallow(*millis, *it, seed),
                _ => cell.play_policed(*millis, *it, seed),
            })
        };
        let cells: String = controllers.iter().map(play).collect();
        let (rtt, loss) = (cell.rtt as f64 / 1e3, f64::from(cell.loss) / 1e4);
        let line = format!("{wall:<7} {millis:>3} {rtt:>5.0} {loss:>3.0}  {cells}");
        eprintln!("{line}");
        line
    });
    lines.iter().for_each(|line| println!("{line}"));
}

fn short(controllers: &[Algorithm], seeds: u64) {
    println!("# Time as a multiple of the ideal sender's, no loss, queue of 1 BDP: 64 KB, 1 MB");
    println!("# Mbit/s   rtt  {}", heads(controllers, 14));
    for rate in [125_000, RATE, 125_000_000] {
        for rtt in RTTS {
            let times = all(controllers, |it| {
                [64_000, 1_000_000].map(|size| {
                    let cell = Cell { rtt, loss: 0, rate, queue: 100, size };
                    let mut shares: Vec<_> =
                        (1..=seeds).map(|seed| 1.0 / cell.play(*it, seed).share).collect();
                    shares.sort_by(f64::total_cmp);
                    shares[shares.len() / 2]
                })
            });
            let times: String =
                times.iter().map(|[a, b]| format!("   {a:>5.2} {b:>5.2}")).collect();
            println!("{:>8} {:>5.1}  {times}", rate * 8 / 1_000_000, rtt as f64 / 1e3);
        }
    }
}

fn coexist(controllers: &[Algorithm], seeds: u64, only: &Only) {
    println!(
        "# 50 Mbit/s, 60 s, counted from 20 s on, by Jain the median of {seeds} seeds; queues in parts of 50 ms of the rate"
    );
    let mut crowds = Vec::new();
    for it in controllers {
        let it = *it;
        for queue in [25, 100, 400] {
            for other in [Algorithm::Cubic, Algorithm::NewReno] {
                let flows = vec![(it, 50, 0), (other, 50, 0)];
                let name = format!("{} : {}", it.name(), other.name());
                crowds.push((name, Crowd { flows, queue, lasts: 60 }));
            }
            for (count, ratio) in [(2, 1), (2, 4), (10, 1), (50, 1)] {
                let rtt = |flow: u64| if flow.is_multiple_of(2) { 50 } else { 50 * ratio };
                let flows = (0..count).map(|flow| (it, rtt(flow), 0)).collect();
                let name = format!("{} x {count}, RTT 1:{ratio}", it.name());
                crowds.push((name, Crowd { flows, queue, lasts: 60 }));
            }
            let alone = Crowd { flows: vec![(it, 50, 0)], queue, lasts: 60 };
            crowds.push((format!("{} alone", it.name()), alone));
            let flows = vec![(it, 50, 0), (it, 50, 10)];
            let name = format!("{} x 2, 10 s apart", it.name());
            crowds.push((name, Crowd { flows, queue, lasts: 60 }));
        }
    }
    crowds.retain(|(name, crowd)| {
        name.contains(&only.crowd) && only.queue.is_none_or(|it| it == crowd.queue)
    });
    let lines = all(&crowds, |(name, crowd)| {
        let mut runs: Vec<_> = (1..=seeds).map(|seed| Shares::of(&crowd.play(seed))).collect();
        runs.sort_by(|one, other| one.jain.total_cmp(&other.jain));
        let queue = crowd.queue as f64 / 100.0;
        let (least, most) = (runs[0].jain, runs[runs.len() - 1].jain);
        let middle = &runs[runs.len() / 2];
        let line = format!("{name:<26} {queue:>4.2}  {middle}  ({least:.3} to {most:.3})");
        eprintln!("{line}");
        line
    });
    lines.iter().for_each(|line| println!("{line}"));
}

/// How flows shared a link.
struct Shares {
    link: f64,
    first: f64,
    jain: f64,
    /// From when on each span of five seconds is fair.
    since: Option<usize>,
}

impl Shares {
    fn of(seconds: &[Vec<u64>]) -> Self {
        let late = total(&seconds[20..]);
        let sum: u64 = late.iter().sum();
        let fair = |from: usize| jain(&total(&seconds[from..from + 5])) > 0.9;
        Self {
            link: sum as f64 / (RATE * 40) as f64 * 100.0,
            first: late[0] as f64 / sum as f64 * 100.0,
            jain: jain(&late),
            since: (0..56).rev().take_while(|from| fair(*from)).last(),
        }
    }
}

impl std::fmt::Display for Shares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { link, first, jain, since } = self;
        let since = since.map_or("never".into(), |from| format!("{from} s"));
        write!(f, "link {link:>5.1} %  first {first:>5.1} %  Jain {jain:.3}  fair from {since}")
    }
}

fn turn(controller: Algorithm) {
    let lines = all(&turns::ALL, |(name, play)| {
        format!("{:<8} {name:<10} {}", controller.name(), play(controller, 1))
    });
    lines.iter().for_each(|line| println!("{line}"));
}
