//! Paths that are not what they were: each for one flow at 50 Mbit/s, told in a line.

use std::fmt;
use std::time::Duration;

use aqueduct_core::congestion::Algorithm;

use super::bulk::Bulk;
use super::congestion::RATE;
use crate::link::{Bursts, Delay, Loss, Machine, Queue, Reorder, Schedule};
use crate::net::StageId;

const SECOND: Duration = Duration::from_secs(1);
/// More than any of these moves.
const ENDLESS: u64 = 1 << 34;

/// A turn by its name.
pub type Turn = (&'static str, fn(Algorithm, u64) -> Told);

/// What came of it: figures by what they are, in the order of the telling.
#[derive(Clone, Debug, Default)]
pub struct Told(Vec<(&'static str, f64)>);

impl Told {
    /// The figure of this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, name: &str) -> f64 {
        self.0.iter().find(|(it, _)| *it == name).unwrap_or_else(|| panic!("no {name}")).1
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name}: {value:.1}")?;
        }
        Ok(())
    }
}

/// All of them.
pub const ALL: [Turn; 8] = [
    ("bursts", bursts),
    ("reorder", reorder),
    ("acks", acks),
    ("rate", rate_step),
    ("rtt", rtt_step),
    ("idle", idle),
    ("limited", app_limited),
    ("hole", hole),
];

fn one(
    algorithm: Algorithm,
    seed: u64,
    rtt: u64,
    before: Vec<Box<dyn Machine>>,
    back: Vec<Box<dyn Machine>>,
) -> (Bulk, [StageId; 2]) {
    let room = RATE * rtt / 1_000;
    let mut bulk = Bulk::new(seed, before, Queue::bytes(RATE, room));
    let (_, delays) = bulk.add(algorithm, Duration::from_millis(rtt), back);
    (bulk, delays)
}

/// Percent of the link that one flow got in each interval.
fn shares(bulk: &mut Bulk, intervals: usize, time: Duration, rate: u64) -> Vec<f64> {
    let could = rate as f64 * time.as_secs_f64() / 100.0;
    bulk.watch(intervals, time).iter().map(|read| read[0] as f64 / could).collect()
}

/// A number of intervals; endless if it never came to that.
fn when(at: Option<usize>) -> f64 {
    at.map_or(f64::INFINITY, |at| at as f64)
}

fn mean(shares: &[f64]) -> f64 {
    shares.iter().sum::<f64>() / shares.len().max(1) as f64
}

fn steady(mut bulk: Bulk) -> f64 {
    bulk.give(0, ENDLESS, false);
    mean(&shares(&mut bulk, 20, SECOND, RATE))
}

fn bursts(algorithm: Algorithm, seed: u64) -> Told {
    let before: Vec<Box<dyn Machine>> = vec![Box::new(Bursts::of(10_000, 10))];
    let link = steady(one(algorithm, seed, 50, before, Vec::new()).0);
    Told(vec![("% of the link, 1 % lost in bursts of 10", link)])
}

fn reorder(algorithm: Algorithm, seed: u64) -> Told {
    // Twenty datagrams at 50 Mbit/s.
    let by = Duration::from_micros(4_650);
    let (mut bulk, delays) = one(algorithm, seed, 50, Vec::new(), Vec::new());
    bulk.change(
        delays[0],
        Late(Delay::of(Duration::from_millis(25)), Reorder { rate: 50_000, by }),
    );
    let link = steady(bulk);
    Told(vec![("% of the link, 5 % up to 20 datagrams late", link)])
}

/// A delay, and a later one for some.
#[derive(Clone, Copy, Debug)]
struct Late(Delay, Reorder);

impl Machine for Late {
    fn pass(
        &mut self,
        parcel: crate::link::Parcel,
        dice: &mut crate::dice::Dice,
        out: &mut Vec<crate::link::Parcel>,
    ) {
        let mut late = Vec::new();
        self.1.pass(parcel, dice, &mut late);
        late.into_iter().for_each(|parcel| self.0.pass(parcel, dice, out));
    }

    fn boxed_clone(&self) -> Box<dyn Machine> {
        Box::new(*self)
    }
}

fn acks(algorithm: Algorithm, seed: u64) -> Told {
    let back: Vec<Box<dyn Machine>> = vec![Box::new(Loss::of(300_000))];
    let link = steady(one(algorithm, seed, 50, Vec::new(), back).0);
    Told(vec![("% of the link, 30 % of the way back lost", link)])
}

fn rate_step(algorithm: Algorithm, seed: u64) -> Told {
    let (mut bulk, _) = one(algorithm, seed, 50, Vec::new(), Vec::new());
    bulk.give(0, ENDLESS, false);
    let room = RATE / 20;
    let fast = mean(&shares(&mut bulk, 10, SECOND, RATE));
    bulk.change(bulk.bottleneck(), Queue::bytes(RATE / 10, room));
    let slow = shares(&mut bulk, 20, SECOND, RATE / 10);
    bulk.change(bulk.bottleneck(), Queue::bytes(RATE, room));
    let again = shares(&mut bulk, 20, SECOND, RATE);
    let back = when(again.iter().position(|share| *share >= 80.0).map(|at| at + 1));
    let (slow, again) = (mean(&slow[5..]), mean(&again));
    Told(vec![
        ("% of 50 Mbit/s", fast),
        ("% of 5 after 5 s", slow),
        ("% of 50 again", again),
        ("seconds until 80 %", back),
    ])
}

fn rtt_step(algorithm: Algorithm, seed: u64) -> Told {
    let (mut bulk, delays) = one(algorithm, seed, 20, Vec::new(), Vec::new());
    bulk.change(bulk.bottleneck(), Queue::bytes(RATE, RATE / 10));
    bulk.give(0, ENDLESS, false);
    let near = mean(&shares(&mut bulk, 10, SECOND, RATE));
    delays.into_iter().for_each(|at| bulk.change(at, Delay::of(Duration::from_millis(100))));
    let far = shares(&mut bulk, 30, SECOND, RATE);
    let back = when(far.iter().position(|share| *share >= 80.0).map(|at| at + 1));
    let far = mean(&far[10..]);
    Told(vec![("% at 20 ms", near), ("% at 200 ms after 10 s", far), ("seconds until 80 %", back)])
}

fn idle(algorithm: Algorithm, seed: u64) -> Told {
    let (mut bulk, _) = one(algorithm, seed, 50, Vec::new(), Vec::new());
    bulk.give(0, 30_000_000, false);
    bulk.pass(SECOND * 3_600);
    let before = bulk.stats(0).ledger.lost;
    bulk.give(0, ENDLESS, false);
    let link = shares(&mut bulk, 5, SECOND, RATE);
    let lost = bulk.stats(0).ledger.lost - before;
    let (first, five) = (link[0], mean(&link));
    Told(vec![
        ("% in the first second after an hour", first),
        ("% in five", five),
        ("lost", lost as f64),
    ])
}

fn app_limited(algorithm: Algorithm, seed: u64) -> Told {
    let (mut bulk, _) = one(algorithm, seed, 50, Vec::new(), Vec::new());
    bulk.give(0, 20_000_000, false);
    bulk.pass(SECOND * 8);
    for _ in 0..300 {
        bulk.give(0, 10_000, false);
        bulk.pass(SECOND / 10);
    }
    bulk.give(0, ENDLESS, false);
    let link = shares(&mut bulk, 5, SECOND, RATE);
    let (first, five) = (link[0], mean(&link));
    Told(vec![
        ("% in the first second after 30 s of 10 KB each 100 ms", first),
        ("% in five", five),
    ])
}

fn hole(algorithm: Algorithm, seed: u64) -> Told {
    let (mut bulk, delays) = one(algorithm, seed, 50, Vec::new(), Vec::new());
    bulk.give(0, ENDLESS, false);
    bulk.pass(SECOND * 8);
    let shut = Schedule { from: bulk.now(), on: Duration::ZERO, off: SECOND * 2, repeat: false };
    delays.into_iter().for_each(|at| {
        bulk.change(at, Hole(shut, Delay::of(Duration::from_millis(25))));
    });
    bulk.pass(SECOND * 2);
    let (healed, before) = (bulk.now(), bulk.flows[0].read);
    bulk.run(SECOND * 20, |bulk| bulk.flows[0].read > before);
    let first = bulk.now().saturating_since(healed).as_secs_f64() * 1e3;
    let steps = shares(&mut bulk, 100, Duration::from_millis(50), RATE);
    let back = steps.windows(4).position(|four| mean(four) >= 80.0).map(|at| at + 4);
    let back = when(back);
    Told(vec![
        ("ms from 2 s of nothing to the first byte", first),
        ("round trips until 80 %", back),
    ])
}

/// A delay that lets nothing in for a while.
#[derive(Clone, Copy, Debug)]
struct Hole(Schedule, Delay);

impl Machine for Hole {
    fn pass(
        &mut self,
        parcel: crate::link::Parcel,
        dice: &mut crate::dice::Dice,
        out: &mut Vec<crate::link::Parcel>,
    ) {
        if self.0.is_open(parcel.at) {
            self.1.pass(parcel, dice, out);
        }
    }

    fn boxed_clone(&self) -> Box<dyn Machine> {
        Box::new(*self)
    }
}
