//! What is remembered of packets that were lost.

use alloc::vec::Vec;

use super::{Entry, Fate, Ring};
use crate::recovery::rate::Stamp;
use crate::time::Instant;
use crate::wire::id::PathId;

const PATHS: [PathId; 2] = [PathId(0), PathId(1)];

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

/// Packets in flight by turns on two paths.
fn flying(count: u64) -> Ring {
    let mut ring = Ring::default();
    for number in 0..count {
        let (path, index) = (PATHS[(number % 2) as usize], number / 2);
        let (sent_at, stamp, size) = (at(0), Stamp::default(), 1000);
        let entry = Entry { number, path, index, sent_at, stamp, size, mtu_probe: false };
        ring.push(entry, &mut Vec::new());
    }
    ring
}

fn lost(ring: &Ring) -> Vec<u64> {
    let lost = ring.iter().filter(|slot| matches!(slot.fate, Fate::Lost { .. }));
    lost.map(|slot| slot.number).collect()
}

#[test]
fn what_was_lost_on_a_path_that_is_gone_is_forgotten() {
    let mut ring = flying(6);
    (0..4).for_each(|packet| ring.lose(packet, at(100), at(10)));
    ring.forget(PATHS[0]);
    assert_eq!(lost(&ring), [1, 3], "of the other path");
    assert_eq!(
        (ring.get(4).unwrap().fate, ring.get(5).unwrap().fate),
        (Fate::Flying, Fate::Flying)
    );
}

/// Until nothing is to be learnt of them any more, or there are too many: then the oldest go.
#[test]
fn so_many_lost_packets_are_remembered() {
    let mut ring = flying(6);
    (0..5).for_each(|packet| ring.lose(packet, at(100), at(10)));
    ring.finish(4);
    ring.trim(4, at(20));
    assert_eq!(lost(&ring), [0, 1, 2, 3], "no more than may be");
    ring.trim(3, at(20));
    assert_eq!(lost(&ring), [1, 2, 3]);
    ring.trim(3, at(100));
    assert_eq!((lost(&ring), ring.len()), (Vec::new(), 1), "one is in flight");
}
