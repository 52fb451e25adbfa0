use std::vec;
use std::vec::Vec;

use super::*;
use crate::wire::id::{Dir, Side};

fn id(sequence: u64) -> StreamId {
    StreamId::new(Side::Initiator, Dir::Uni, sequence)
}

/// Lets the scheduler fill `packets` packets of 1,200 bytes from streams that never end.
fn fill(scheduler: &mut Scheduler, packets: usize, streams: usize) -> Vec<usize> {
    let mut bytes = vec![0; streams];
    for _ in 0..packets {
        let classes = scheduler.begin_packet(Order::Usual);
        let mut room = 1200;
        while room > 0 {
            let front = |class| scheduler.front(class).map(|(id, left)| (id, class, left));
            let found = classes.iter().copied().find_map(front);
            let Some((id, class, left)) = found else { return bytes };
            let wrote = room.min(left as usize);
            bytes[id.sequence() as usize] += wrote;
            room -= wrote;
            scheduler.wrote(class, wrote);
        }
    }
    bytes
}

/// spec: R-STR-30
#[test]
fn streams_of_a_class_share_it() {
    let mut scheduler = Scheduler::default();
    (0..5).for_each(|n| scheduler.push(id(n), Priority::Normal));
    let bytes = fill(&mut scheduler, 1000, 5);
    let (least, most) = (bytes.iter().min().unwrap(), bytes.iter().max().unwrap());
    assert!(most - least <= QUANTUM as usize, "{bytes:?}");
}

/// spec: R-STR-30
#[test]
fn each_turn_is_as_long_as_the_first() {
    let mut scheduler = Scheduler::default();
    (0..2).for_each(|n| scheduler.push(id(n), Priority::Normal));
    for turn in 0..4 {
        assert_eq!(scheduler.front(Priority::Normal), Some((id(turn % 2), QUANTUM)));
        scheduler.wrote(Priority::Normal, QUANTUM as usize);
    }
}

/// spec: R-STR-30
#[test]
fn a_stream_that_stops_early_does_not_cost_the_next_one_its_turn() {
    let mut scheduler = Scheduler::default();
    scheduler.push(id(0), Priority::Normal);
    scheduler.push(id(1), Priority::Normal);
    scheduler.wrote(Priority::Normal, 4000);
    scheduler.pop(Priority::Normal);
    assert_eq!(scheduler.front(Priority::Normal), Some((id(1), QUANTUM)));
}

/// spec: R-STR-30, R-STR-31
#[test]
fn a_higher_class_goes_first_but_does_not_starve_the_lowest() {
    let mut scheduler = Scheduler::default();
    scheduler.push(id(2), Priority::Bulk);
    scheduler.push(id(1), Priority::Normal);
    scheduler.push(id(0), Priority::Urgent);
    let bytes = fill(&mut scheduler, 1600, 3);
    assert_eq!(bytes, [1500 * 1200, 0, 100 * 1200]);
    scheduler.remove(id(0), Priority::Urgent);
    scheduler.remove(id(2), Priority::Bulk);
    assert_eq!(fill(&mut scheduler, 32, 3), [0, 32 * 1200, 0]);
    scheduler.remove(id(1), Priority::Normal);
    assert!(scheduler.is_empty());
    assert_eq!(Priority::ALL.map(|class| scheduler.front(class)), [None; 3]);
}

/// spec: R-SHP-9, R-SHP-14
#[test]
fn a_grant_says_which_classes_write() {
    use Priority::{Bulk, Normal, Urgent};
    let mut scheduler = Scheduler::default();
    for (order, classes) in [
        (Order::HighestFirst, &[Urgent, Normal, Bulk][..]),
        (Order::LowestFirst, &[Bulk, Normal, Urgent]),
        (Order::UrgentAlone, &[Urgent]),
        (Order::Nobody, &[]),
    ] {
        assert_eq!(scheduler.begin_packet(order), classes, "{order:?}");
    }
}

/// spec: R-STR-30
#[test]
fn the_priority_byte() {
    for class in Priority::ALL {
        assert_eq!(Priority::from_byte(class.to_byte()), class);
        assert_eq!(Priority::from_byte(class.to_byte() | 0x3f), class);
    }
    assert_eq!(Priority::from_byte(0xff), Priority::Bulk);
    assert_eq!(Priority::Bulk.to_byte(), 0x80);
}
