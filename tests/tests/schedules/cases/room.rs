//! Tasks that share room.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::super::primitives::spawn;
use super::super::room::Room;
use super::block_on;

/// So many tasks take one byte each, of fewer than there are tasks: each gets its turn, and never
/// do more have some at a time.
pub(in super::super) fn everybody_gets_room(tasks: usize, most: u64) {
    let room = Arc::new(Room::default());
    let task = |_| {
        let room = room.clone();
        move || {
            let taking = poll_fn(|cx| match room.take(1, most, cx.waker()) {
                Some(taken) => Poll::Ready(taken),
                None => Poll::Pending,
            });
            assert!(block_on(taking) <= most);
            room.give_back(1);
        }
    };
    let threads: Vec<_> = (1..tasks).map(|number| spawn(task(number))).collect();
    task(0)();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(room.taken(), 0);
}
