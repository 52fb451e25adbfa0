use std::future::{pending, poll_fn, ready};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Instant;

use super::*;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn what_is_ready_is_not_waited_for() {
    assert_eq!(wait(ready(7), Some(Duration::ZERO)), Ok(7));
}

#[test]
fn patience_ends() {
    let patience = Duration::from_millis(30);
    let began = Instant::now();
    assert_eq!(wait(pending::<()>(), Some(patience)), Err(TimedOut(patience)));
    assert!(began.elapsed() >= patience);
}

/// A future that wakes itself in every look is out of time like any other.
#[test]
fn who_wakes_itself_has_no_more_patience() {
    let patience = Duration::from_millis(30);
    let waited = wait(
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }),
        Some(patience),
    );
    assert_eq!(waited, Err(TimedOut(patience)));
}

/// A stray permit of the thread's park ends no wait.
#[test]
fn a_stray_permit_is_no_wake_up() {
    thread::current().unpark();
    let patience = Duration::from_millis(30);
    let mut looks = 0;
    let waited = wait(
        poll_fn(|_| {
            looks += 1;
            Poll::<()>::Pending
        }),
        Some(patience),
    );
    assert_eq!((waited, looks), (Err(TimedOut(patience)), 1));
}

/// The thread runs again only when its time is over, and what it waited for is there.
#[test]
fn what_is_ready_at_the_end_is_no_time_out() {
    let mut looks = 0;
    let waited = wait(
        poll_fn(|cx| {
            looks += 1;
            if looks == 2 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }),
        Some(Duration::ZERO),
    );
    assert_eq!((waited, looks), (Ok(()), 2));
}

#[test]
fn another_thread_wakes_it() {
    for round in 0..1_000 {
        let (tell, told) = mpsc::channel::<Waker>();
        let flag = Arc::new(AtomicBool::new(false));
        let set = flag.clone();
        let waking = thread::spawn(move || {
            let waker = told.recv().unwrap();
            set.store(true, Ordering::Release);
            waker.wake();
        });
        let mut tell = Some(tell);
        let found = wait(
            poll_fn(|cx| {
                if flag.load(Ordering::Acquire) {
                    return Poll::Ready(round);
                }
                if let Some(tell) = tell.take() {
                    tell.send(cx.waker().clone()).unwrap();
                }
                Poll::Pending
            }),
            Some(LONG),
        );
        assert_eq!(found, Ok(round));
        waking.join().unwrap();
    }
}

/// A wait inside of a wait (a source of chunks that blocks) takes none of the outer's wake-ups.
#[test]
fn a_wait_inside_of_a_wait_is_another() {
    let mut first = true;
    let found = wait(
        poll_fn(|cx| {
            if !std::mem::take(&mut first) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            let inner = wait(pending::<()>(), Some(Duration::from_millis(5)));
            assert!(inner.is_err());
            Poll::Pending
        }),
        Some(LONG),
    );
    assert_eq!(found, Ok(()));
}
