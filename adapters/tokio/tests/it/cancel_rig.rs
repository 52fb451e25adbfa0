//! The rig in which calls are dropped half way, and the list of the calls that are.
//!
//! [`call!`](crate::cancel_rig::call) makes a call and watches what becomes of its future: only what
//! was polled and then dropped before it was ready counts as cut. Each test says at its end which
//! calls it has cut so ([`Calls::were_cut`]); all tests together, that no call of the adapter is
//! missing.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aqueduct_tokio::{Endpoint, LossyIo, Provider, TransportConfig};

use crate::harness::{Pair, configured, loopback, pair_of, within};

/// More polls than any of these calls takes.
const MOST: usize = 1_000;

/// Times that a call which has to wait may be over when its first poll ends.
const TRIES: usize = 10;

/// Of a million datagrams so many are lost, each way. What is lost is said again by timers: they run,
/// whoever drops what.
const LOST: u32 = 50_000;

/// An endpoint whose socket loses some of what it sends.
pub(crate) fn endpoint() -> Endpoint {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let seed = SEED.fetch_add(1, Ordering::Relaxed);
    let config = configured(TransportConfig::default(), Provider::AwsLc);
    let config = config.with_socket_io(move |io| LossyIo::new(io, LOST, seed));
    Endpoint::bind(loopback(), config).unwrap()
}

/// Two such, connected.
pub(crate) async fn pair() -> Pair {
    pair_of(endpoint(), endpoint()).await
}

/// Polls `future` at most `polls` times, each time that it is woken, then drops it.
pub(crate) async fn cut<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn cuts(what: &str, round: &mut impl AsyncFnMut(usize) -> bool) -> usize {
    for polls in 1..MOST {
        if within(Duration::from_secs(30), what, round(polls)).await {
            return polls - 1;
        }
    }
    panic!("{what}: not ready after {MOST} polls")
}

/// A call of this type, by its name: its future, watched.
macro_rules! call {
    ($of:ident, $on:expr => $name:ident($($arg:expr),* $(,)?)) => {{
        $crate::cancel_rig::is_a::<aqueduct_tokio::$of>(&$on);
        let name = concat!(stringify!($of), "::", stringify!($name));
        $crate::cancel_rig::watched(name, $on.$name($($arg),*))
    }};
}
pub(crate) use call;

/// That it is one is known when this is compiled.
pub(crate) const fn is_a<T>(_: &T) {}

/// What became of the calls of one name.
#[derive(Default)]
struct Seen {
    /// Some were ready before they were dropped.
    ready: bool,
    /// After so many polls others were dropped.
    cut_after: BTreeSet<usize>,
}

static SEEN: Mutex<BTreeMap<&'static str, Seen>> = Mutex::new(BTreeMap::new());

pub(crate) fn watched<F: Future>(name: &'static str, future: F) -> Watched<F> {
    Watched { name, future: Box::pin(future), polls: 0, ready: false }
}

pub(crate) struct Watched<F> {
    name: &'static str,
    future: Pin<Box<F>>,
    polls: usize,
    ready: bool,
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.polls += 1;
        let polled = self.future.as_mut().poll(cx);
        self.ready = polled.is_ready();
        polled
    }
}

impl<F> Drop for Watched<F> {
    fn drop(&mut self) {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.entry(self.name).or_default();
        seen.ready |= self.ready;
        if !self.ready && self.polls > 0 {
            seen.cut_after.insert(self.polls);
        }
    }
}

/// Calls that a test cuts.
pub(crate) struct Calls {
    /// Those that have to wait, and so are cut for certain.
    waiting: &'static [&'static str],
    /// Those that may be ready when they are polled first.
    quick: &'static [&'static str],
    /// What waits does so at least this often, unless this thread is kept from looking.
    waits: usize,
}

impl Calls {
    const fn of(waiting: &'static [&'static str], quick: &'static [&'static str]) -> Self {
        Self { waiting, quick, waits: if waiting.is_empty() { 0 } else { 1 } }
    }

    /// Does `round` with one poll before the cut, with two, and so on, until one says that its call
    /// was ready before the cut. Each round sees to it that nothing is missing after the cut.
    ///
    /// Where this thread loses its processor in the middle of a first poll, others may have done all
    /// when that ends, and nothing was cut: then all of it is done again.
    pub(crate) async fn at_each_poll(&self, what: &str, mut round: impl AsyncFnMut(usize) -> bool) {
        for _ in 0..TRIES {
            if cuts(what, &mut round).await >= self.waits.max(1) && self.not_cut().is_none() {
                return;
            }
        }
        assert!(self.waits == 0, "{what}: hardly ever waits; {:?}", self.not_cut());
    }

    /// A call that has to wait and was made, but never cut at its first poll, and when it was.
    fn not_cut(&self) -> Option<(&'static str, BTreeSet<usize>)> {
        let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let made = self.waiting.iter().filter_map(|name| Some((*name, seen.get(name)?)));
        let mut never = made.filter(|(_, seen)| !seen.cut_after.contains(&1));
        never.next().map(|(name, seen)| (name, seen.cut_after.clone()))
    }

    /// To be said at the end of the test.
    pub(crate) fn were_cut(&self) {
        assert_eq!(self.not_cut(), None, "never cut at its first poll");
        let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        for name in self.waiting.iter().chain(self.quick) {
            let seen = seen.get(name).unwrap_or_else(|| panic!("{name} was not called in the rig"));
            assert!(seen.ready, "{name} was never ready");
        }
    }
}

pub(crate) const READS: Calls = Calls {
    waiting: &["RecvStream::collect_all", "RecvStream::read_to_end", "RecvStream::peek"],
    quick: &[],
    waits: 3,
};
pub(crate) const LOOPS_OF_READS: Calls = Calls {
    waiting: &[
        "RecvStream::read_chunk",
        "RecvStream::read",
        "RecvStream::next",
        "VerifiedStream::read_chunk",
    ],
    quick: &[],
    waits: 3,
};
pub(crate) const WRITES: Calls =
    Calls::of(&["SendStream::write_bytes", "SendStream::write_at", "SendStream::write"], &[]);
pub(crate) const ENDS: Calls = Calls::of(
    &["SendStream::delivered", "SendStream::stopped", "Connection::closed", "Endpoint::wait_idle"],
    &[],
);
pub(crate) const ACCEPTS: Calls = Calls::of(
    &["Connection::accept_bi", "Connection::accept_uni", "Connection::accept_stream"],
    &[],
);
pub(crate) const OPENS: Calls = Calls::of(&["Connection::open_bi", "Connection::open_uni"], &[]);
pub(crate) const SENDS: Calls =
    Calls::of(&[], &["Connection::send_message", "Connection::send_message_with"]);
pub(crate) const MESSAGES: Calls = Calls::of(&["Connection::recv_message"], &[]);
pub(crate) const STREAMED: Calls =
    Calls::of(&["Connection::send_auto", "Connection::recv_auto"], &["MessageStream::read_chunk"]);
pub(crate) const COLLECTS: Calls = Calls::of(&["MessageStream::collect_all"], &[]);
pub(crate) const DATAGRAMS: Calls =
    Calls::of(&["Connection::send_datagram_wait", "Connection::read_datagram"], &[]);
pub(crate) const QUESTIONS: Calls = Calls::of(
    &[],
    &[
        "Connection::stats",
        "Connection::export_keying_material",
        "Endpoint::stats",
        "Endpoint::bandwidth",
    ],
);
pub(crate) const HANDSHAKES: Calls =
    Calls::of(&["Endpoint::connect", "Endpoint::accept", "Incoming::accept"], &[]);
pub(crate) const PIPES: Calls = Calls::of(&[], &["Endpoint::pipe", "Endpoint::pipe_and_read"]);
pub(crate) const OF_PIPES: Calls =
    Calls::of(&["Pipe::leg_ended", "Pipe::ended"], &["Pipe::stats", "Pipe::add_leg"]);
pub(crate) const RANGES: Calls = Calls::of(&["Connection::request_range"], &[]);
pub(crate) const TAPES: Calls = Calls::of(&["Recorded::closed"], &["Recorded::end"]);

const ALL: [&Calls; 17] = [
    &READS,
    &LOOPS_OF_READS,
    &WRITES,
    &ENDS,
    &ACCEPTS,
    &OPENS,
    &SENDS,
    &MESSAGES,
    &STREAMED,
    &COLLECTS,
    &DATAGRAMS,
    &QUESTIONS,
    &HANDSHAKES,
    &PIPES,
    &OF_PIPES,
    &RANGES,
    &TAPES,
];

/// Names of all calls of a file that give a future, by the type that they are of.
fn calls_of(source: &str) -> BTreeSet<String> {
    let (mut of, mut calls) = ("", BTreeSet::new());
    for line in source.lines() {
        if let Some(rest) = line.strip_prefix("impl ") {
            of = rest.trim_end_matches(" {");
        }
        let rest = line.trim_start().strip_prefix("pub ");
        let rest = rest.and_then(|rest| match rest.strip_prefix("async fn ") {
            None if rest.contains("-> Connecting ") => rest.strip_prefix("fn "),
            found => found,
        });
        if let Some(rest) = rest {
            calls.insert(format!("{of}::{}", rest.split(['(', '<']).next().unwrap()));
        }
    }
    calls
}

/// Every call of the adapter that gives a future, and of the handles of pipes and recordings that it
/// gives out, is in the list of a test that cuts it.
#[test]
fn no_async_call_is_forgotten() {
    let own = [
        include_str!("../../src/connection.rs"),
        include_str!("../../src/endpoint.rs"),
        include_str!("../../src/message.rs"),
        include_str!("../../src/stream.rs"),
    ];
    let mut calls: BTreeSet<_> = own.iter().flat_map(|source| calls_of(source)).collect();
    let given = [
        include_str!("../../../driver/src/pipe.rs"),
        include_str!("../../../driver/src/recording.rs"),
    ];
    let handles = |name: &String| name.starts_with("Pipe::") || name.starts_with("Recorded::");
    calls.extend(given.iter().flat_map(|source| calls_of(source)).filter(handles));
    assert!(calls.len() > 35, "{calls:?}");
    let cut = ALL.iter().flat_map(|calls| calls.waiting.iter().chain(calls.quick));
    let cut: BTreeSet<_> = cut.map(|name| (*name).to_owned()).collect();
    let forgotten: Vec<_> = calls.difference(&cut).collect();
    assert!(forgotten.is_empty(), "{forgotten:?} are cut nowhere");
    let ways = ["RecvStream::read", "RecvStream::next", "SendStream::write"].map(str::to_owned);
    let gone: Vec<_> = cut.difference(&calls).filter(|name| !ways.contains(name)).collect();
    assert!(gone.is_empty(), "there is no {gone:?}");
}
