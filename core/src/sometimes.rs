//! Branches that are rarely taken, by name, and how often each was.
//!
//! A search that never takes a branch says nothing of it. Where the core does something rare,
//! `sometimes!("a name")` stands, and with the feature `sometimes` it counts; without, it is
//! nothing. Counting changes nothing that is seen from outside. The counters are of the whole
//! process: a search reads them when it is over, and tells which names never came.

use core::sync::atomic::{AtomicUsize, Ordering};

/// All names, in the order of the rooms.
pub const NAMES: &[&str] = &[
    "recovery: a packet that was taken for lost has arrived",
    "recovery: a packet is lost because three later ones arrived",
    "recovery: a packet is lost by time",
    "recovery: a packet is lost because its receiver refused it",
    "recovery: a probe time-out",
    "recovery: a peer is asked by PING alone",
    "recovery: everything was lost for long",
    "recovery: a peer is given up",
    "recovery: a peer that answers is given up",
    "recovery: packets on a path left behind are given up",
    "recovery: a stream in use is silent",
    "congestion: startup ended by losses",
    "congestion: a probe for more lost too much",
    "congestion: a probe for a smaller round trip",
    "congestion: a probe lost too much, and nothing waited",
    "congestion: loss without a queue bounds the rate",
    "congestion: loss is nobody's doing",
    "path: the network marked a packet",
    "path: marks do not come through",
    "path: a challenge is given up",
    "path: a peer has moved to another port",
    "path: a peer has moved to another address",
    "path: a size that was carried is carried no more",
    "path: a larger size is found",
    "path: a size above the common one is found",
    "path: an address may get no more before it is proven",
    "path: data leaves UDP for TCP",
    "path: data leaves one way by TCP for another",
    "path: data returns to UDP",
    "path: a way by TCP that does not answer is given up",
    "path: a way by TCP that is slow to answer is kept",
    "path: a packet that crossed a move leads nowhere",
    "path: the only way has broken",
    "crypto: a packet comes twice",
    "crypto: a packet is below the window",
    "crypto: this side changes its keys",
    "crypto: keys are changed after the peer",
    "endpoint: a first packet comes again",
    "endpoint: a stranger is asked for a cookie",
    "endpoint: a stray is answered with a reset",
    "flow: the peer's limit is met",
    "flow: the peer is asked for credit back",
    "flow: credit is given back",
    "stream: bytes come before the introduction",
    "stream: an end comes before the introduction",
    "stream: bytes come behind a gap and find no room",
    "stream: bytes are skipped",
    "message: one is given up for its silence",
    "message: one is too old to be sent",
    "message: a datagram is too old to be sent",
    "message: a datagram gives way to another",
    "pipe: bytes go on past a gap",
    "pipe: its window grows",
    "pipe: a leg is too slow, and is detached",
    "pipe: a leg ends early, and others go on",
    "pipe: nobody is left to want it",
    "pipe: its source breaks off",
    "pipe: its source is lost, and what came goes on",
    "pipe: it is given up for want of progress",
    "connection: a close is said again",
    "shaping: the bucket of the node is to fill",
    "shaping: the bucket of a peer is to fill",
    "shaping: urgent bytes wait for a bucket",
];

static COUNTS: [AtomicUsize; NAMES.len()] = [const { AtomicUsize::new(0) }; NAMES.len()];

/// Where a name stands. Called by the macro while the core is compiled: a name that is none does
/// not compile.
///
/// # Panics
/// If there is no such name.
#[expect(clippy::panic, clippy::indexing_slicing, reason = "nothing of this runs")]
pub const fn place(name: &str) -> usize {
    let mut at = 0;
    while at < NAMES.len() {
        if is_same(NAMES[at].as_bytes(), name.as_bytes()) {
            return at;
        }
        at += 1;
    }
    panic!("no such name")
}

#[expect(clippy::indexing_slicing, reason = "nothing of this runs")]
const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Counts the branch that stands there.
pub fn count(place: usize) {
    if let Some(counter) = COUNTS.get(place) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every name, and how often its branch was taken since the process began.
pub fn counts() -> impl Iterator<Item = (&'static str, usize)> {
    NAMES.iter().copied().zip(COUNTS.iter().map(|counter| counter.load(Ordering::Relaxed)))
}
