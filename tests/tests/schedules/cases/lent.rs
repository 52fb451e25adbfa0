//! Readers of one thing, which each takes out to work at it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use super::super::lent::Lent;
use super::super::primitives::{Mutex, spawn};
use super::super::sync::lock;
use super::super::waiters::Waiters;
use super::{bed, block_on};

/// Comes once; and who is called then.
#[derive(Default)]
struct Source {
    came: bool,
    caller: Option<Waker>,
}

#[derive(Default)]
struct State {
    /// What came of the source and was not given.
    pool: Lent<usize>,
    waiters: Waiters,
}

#[derive(Default)]
struct Shared {
    source: Mutex<Source>,
    state: Mutex<State>,
}

/// Calls all who wait.
struct Bell(Weak<Shared>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if let Some(shared) = self.0.upgrade() {
            let wakers = lock(&shared.state).waiters.take();
            wakers.wake();
        }
    }
}

impl Shared {
    fn read(&self, waker: &Waker) -> usize {
        let mut source = lock(&self.source);
        source.caller = Some(waker.clone());
        usize::from(std::mem::take(&mut source.came))
    }

    fn look(self: &Arc<Self>, token: &mut Option<usize>, cx: &Context<'_>) -> Poll<()> {
        let taken = {
            let mut state = lock(&self.state);
            state.waiters.wait(token, cx.waker());
            state.pool.take()
        };
        let Some(mut pool) = taken else { return Poll::Pending };
        pool += self.read(&Waker::from(Arc::new(Bell(Arc::downgrade(self)))));
        let left = pool.checked_sub(1);
        let others = {
            let mut state = lock(&self.state);
            let missed = state.pool.put_back(left.unwrap_or(0));
            missed.then(|| state.waiters.take_others(*token))
        };
        others.into_iter().for_each(|others| others.wake());
        if left.is_some() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// One reader waits, others look once and go, whether they were called or not. What comes is given
/// to one of them, and to the one who waits if they went without it.
pub(in super::super) fn who_waits_is_called(leavers: usize) {
    let shared = Arc::new(Shared::default());
    let leaver = |_| {
        let shared = shared.clone();
        spawn(move || {
            let (_gate, waker) = bed();
            let mut token = None;
            let found = {
                let looking = poll_fn(|cx| shared.look(&mut token, cx));
                pin!(looking).poll(&mut Context::from_waker(&waker))
            };
            token.into_iter().for_each(|token| lock(&shared.state).waiters.leave(token));
            found.is_ready()
        })
    };
    let leavers: Vec<_> = (0..leavers).map(leaver).collect();
    let waiting = spawn({
        let shared = shared.clone();
        move || {
            let mut token = None;
            block_on(poll_fn(|cx| shared.look(&mut token, cx)));
        }
    });
    let come = || {
        let caller = {
            let mut source = lock(&shared.source);
            source.came = true;
            source.caller.take()
        };
        caller.into_iter().for_each(Waker::wake);
    };
    come();
    let taken = leavers.into_iter().map(|leaver| leaver.join().unwrap());
    // Once more for each who went with it: the one who waits has his turn.
    (0..taken.filter(|taken| *taken).count()).for_each(|_| come());
    waiting.join().unwrap();
}
