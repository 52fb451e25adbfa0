//! Tests of `room.rs`.

use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// spec: R-MODE-14
#[test]
fn who_finds_no_room_is_told_once_when_some_is_free() {
    let tally = Arc::new(MessageTally::default());
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let take = |bytes| Place::take(&tally, bytes, 1, 10, &waker);
    let mut places: Vec<_> = (0..16).map(|_| take(10).expect("room")).collect();
    assert!(take(1).is_none() && take(5).is_none());
    assert_eq!(bell.0.load(Relaxed), 0);
    places.pop();
    assert_eq!(bell.0.load(Relaxed), 1, "once, though it asked twice");
    places.push(take(4).expect("room"));
    assert!(take(7).is_none());
    places.push(take(6).expect("room for a smaller one"));
    places.clear();
    assert_eq!(bell.0.load(Relaxed), 2);
    assert_eq!(tally.counts.snapshot().assembly_most, 160);
    assert_eq!(tally.room.taken(), 0);
}
