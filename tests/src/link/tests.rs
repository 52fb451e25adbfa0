use std::time::Duration;

use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::Ecn;

use super::ecn::Marks;
use super::*;

const MS: Duration = Duration::from_millis(1);

/// `count` datagrams of 1,000 bytes, `gap` apart, through one machine: when each left, if it did.
fn through(
    machine: impl Machine + 'static,
    count: u64,
    gap: Duration,
) -> (Stage, Vec<(u64, Parcel)>) {
    let mut stage = Stage::new(machine, Dice::new(3, "test"));
    let (mut left, mut at) = (Vec::new(), Instant::ZERO);
    let here = "10.0.0.1:1".parse().expect("an address");
    for number in 0..count {
        let mut parcel = Parcel::new(here, here, vec![number as u8; 1_000]);
        (parcel.at, parcel.ecn) = (at, Some(Ecn::Ect0));
        let mut out = Vec::new();
        stage.pass(parcel, &mut out);
        left.extend(out.into_iter().map(|parcel| (number, parcel)));
        at = at + gap;
    }
    (stage, left)
}

#[test]
fn a_queue_keeps_its_rate_and_drops_at_its_tail() {
    // 1 MB/s, so 1 ms each; twice as many come.
    let (stage, left) = through(Queue::packets(1_000_000, 25), 1_000, MS / 2);
    let last = left.last().expect("some left").1.at;
    let seconds = last.as_nanos() as f64 / 1e9;
    assert!((left.len() as f64 / seconds - 1_000.0).abs() < 10.0, "{} in {seconds}", left.len());
    assert_eq!(stage.dropped + left.len() as u64, 1_000);
    // Nobody waits for more than 26 others.
    let waited = left
        .iter()
        .map(|(n, parcel)| parcel.at.saturating_since(Instant::ZERO + MS / 2 * *n as u32));
    assert!(waited.max().expect("some") <= MS * 27);
}

#[test]
fn a_queue_of_bytes_counts_bytes() {
    let (_, left) = through(Queue::bytes(1_000_000, 5_000), 20, Duration::ZERO);
    assert_eq!(left.len(), 6);
    let (_, left) = through(Queue::bytes(1_000_000, 5_100).with_overhead(20), 20, Duration::ZERO);
    assert_eq!(left.len(), 6);
}

#[test]
fn a_queue_marks_what_waits_behind_many() {
    let (_, left) = through(Queue::packets(1_000_000, 25).marking_above(10), 20, Duration::ZERO);
    let marked = left.iter().filter(|(_, parcel)| parcel.ecn == Some(Ecn::Ce)).count();
    // One is sent, eleven wait without a mark.
    assert_eq!((left.len(), marked), (20, 8));
}

#[test]
fn loss_is_as_often_as_said_and_runs_are_capped() {
    let (stage, _) = through(Loss::of(300_000), 10_000, MS);
    assert!((2_850..3_150).contains(&stage.dropped), "{}", stage.dropped);
    let (_, left) = through(Loss::of(900_000).at_most(3), 10_000, MS);
    let longest = left.windows(2).map(|two| two[1].0 - two[0].0 - 1).max();
    assert_eq!(longest, Some(3));
}

#[test]
fn bursts_have_their_length_and_their_share() {
    let (stage, left) = through(Bursts::of(20_000, 10), 100_000, MS);
    assert!((1_500..2_500).contains(&stage.dropped), "{}", stage.dropped);
    let gaps: Vec<_> =
        left.windows(2).map(|two| two[1].0 - two[0].0 - 1).filter(|g| *g > 0).collect();
    let mean = gaps.iter().sum::<u64>() as f64 / gaps.len() as f64;
    assert!((8.0..12.0).contains(&mean), "{mean}");
}

#[test]
fn the_named_are_lost_and_no_others() {
    let (_, left) = through(Drops::of([2, 3, 7]), 8, MS);
    let numbers: Vec<_> = left.iter().map(|(number, _)| number + 1).collect();
    assert_eq!(numbers, [1, 4, 5, 6, 8]);
}

#[test]
fn jitter_reorders_unless_told_not_to() {
    let disordered = |left: &[(u64, Parcel)]| left.windows(2).any(|two| two[0].1.at > two[1].1.at);
    let delay = Delay::of(MS * 10).jitter(MS * 20);
    assert!(disordered(&through(delay, 100, MS).1));
    assert!(!disordered(&through(delay.ordered(), 100, MS).1));
    let (_, left) = through(Reorder { rate: 100_000, by: MS * 50 }, 100, MS);
    assert!(disordered(&left) && left.len() == 100);
}

#[test]
fn some_come_twice_and_some_come_changed() {
    let (_, left) = through(Duplicate { rate: 200_000, within: MS }, 1_000, MS);
    assert!((1_150..1_250).contains(&left.len()), "{}", left.len());
    let (_, left) = through(Corrupt::of(200_000).at_most(2), 1_000, MS);
    let changed = |(n, parcel): &&(u64, Parcel)| parcel.bytes.iter().any(|b| *b != *n as u8);
    let changed = left.iter().filter(changed).count();
    assert!((130..220).contains(&changed), "{changed}");
}

#[test]
fn a_schedule_is_shut_when_it_says() {
    let schedule = Schedule::once(Instant::ZERO, MS * 5, MS * 2);
    let open =
        |(_, left): (Stage, Vec<(u64, Parcel)>)| left.iter().map(|l| l.0).collect::<Vec<_>>();
    assert_eq!(open(through(schedule, 16, MS)), [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(open(through(schedule.again(), 16, MS)), [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 14, 15]);
}

#[test]
fn sizes_are_swallowed_or_told_and_marks_bleached() {
    assert!(through(SizeLimit { most: 999, tells: false }, 3, MS).1.is_empty());
    let (_, left) = through(SizeLimit { most: 999, tells: true }, 3, MS);
    assert!(left.len() == 3 && left.iter().all(|(_, parcel)| parcel.refused));
    let (_, left) = through(Marks::Bleach, 3, MS);
    assert!(left.iter().all(|(_, parcel)| parcel.ecn.is_none()));
    let (_, left) = through(Marks::Congested(500_000), 1_000, MS);
    let marked = left.iter().filter(|(_, parcel)| parcel.ecn == Some(Ecn::Ce)).count();
    assert!((450..550).contains(&marked), "{marked}");
}
