use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::*;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn work() -> Command {
    Command::Close(AppCode(0), Vec::new())
}

/// Four threads put work on the list while one takes it and parks when it finds none: no piece of
/// work is left lying while the taker sleeps.
#[test]
fn no_wake_up_is_lost() {
    const EACH: u64 = 50_000;
    let (hub, taken) = (Arc::new(Hub::default()), Arc::new(AtomicU64::new(0)));
    let done = Arc::new(AtomicBool::new(false));
    let taker = thread::spawn({
        let (hub, taken, done) = (hub.clone(), taken.clone(), done.clone());
        move || {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let mut list = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let _awake = hub.work.take(&mut list);
                taken.fetch_add(list.len() as u64, Ordering::Relaxed);
                list.clear();
                if hub.work.park(&waker) {
                    thread::park();
                }
            }
        }
    });
    let givers: Vec<_> = (0..4)
        .map(|_| {
            let hub = hub.clone();
            thread::spawn(move || {
                for number in 0..EACH {
                    assert!(hub.push(work()).is_ok());
                    if number % 64 == 0 {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    givers.into_iter().for_each(|giver| giver.join().unwrap());
    let deadline = Instant::now() + Duration::from_secs(10);
    while taken.load(Ordering::Relaxed) < 4 * EACH {
        assert!(Instant::now() < deadline, "{} of {}", taken.load(Ordering::Relaxed), 4 * EACH);
        thread::yield_now();
    }
    done.store(true, Ordering::Relaxed);
    assert!(hub.push(work()).is_ok());
    taker.join().unwrap();
}

#[test]
fn a_dead_hub_gives_work_back() {
    let hub = Hub::default();
    assert!(hub.push(work()).is_ok());
    let mark = Mark::default();
    assert!(hub.raise(&mark, Urgency::Low, Part::Alone, work).is_ok());
    assert_eq!(hub.work.die().len(), 2);
    assert!(matches!(hub.push(work()), Err(Command::Close(..))));
    mark.clear();
    assert!(matches!(hub.raise(&mark, Urgency::Low, Part::Alone, work), Err(Command::Close(..))));
    assert!(!hub.work.has_work());
}
