//! The endpoint's own parts; whole runs are in the integration tests.

use super::ready::{Deadlines, Queued, ReadyQueue};
use super::slab::{Slab, SlotKey};
use crate::time::Instant;

#[test]
fn a_stale_key_finds_nothing() {
    let mut slab: Slab<u8> = Slab::new(1);
    let first = slab.reserve().unwrap();
    assert!(slab.get(first).is_none());
    slab.put(first, 1);
    assert_eq!(slab.reserve(), None, "the limit");
    assert_eq!(slab.release(first), Some(1));
    let second = slab.reserve().unwrap();
    slab.put(second, 2);
    assert_eq!(first.index, second.index);
    assert!(slab.get(first).is_none() && slab.get_mut(first).is_none());
    assert_eq!(slab.release(first), None);
    assert_eq!(slab.get(second), Some(&2));
}

#[test]
fn a_connection_waits_once() {
    let key = SlotKey { index: 3, generation: 0 };
    let (mut queue, mut queued) = (ReadyQueue::default(), Queued::default());
    queue.push(key, &mut queued);
    queue.push(key, &mut queued);
    assert_eq!(queue.pop(), Some(key));
    queued.clear();
    assert_eq!(queue.pop(), None);
}

#[test]
fn deadlines_come_earliest_first_and_move() {
    let key = |index| SlotKey { index, generation: 0 };
    let at = Instant::from_nanos;
    let mut deadlines = Deadlines::default();
    deadlines.change(key(1), None, Some(at(30)));
    deadlines.change(key(2), None, Some(at(20)));
    deadlines.change(key(1), Some(at(30)), Some(at(10)));
    assert_eq!(deadlines.first(), Some(at(10)));
    assert_eq!(deadlines.pop_due(at(9)), None);
    assert_eq!(deadlines.pop_due(at(10)), Some(key(1)));
    deadlines.change(key(2), Some(at(20)), None);
    assert_eq!(deadlines.first(), None);
}
