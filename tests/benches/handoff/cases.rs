//! The ways to hand fragments over, and what each costs.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, RwLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use aqueduct_core::handoff::{Options, Producer, Reader, channel};
use aqueduct_core::stream::{Assembler, Inserted};
use bytes::{Bytes, BytesMut};
use rustix::time::{ClockId, clock_gettime};

use aqueduct_tests::conduit::Conduit;
use aqueduct_tests::fragments::{FRAGMENT, Order};

/// Fragments as they arrive, with their numbers.
pub(super) trait Fragments: ExactSizeIterator<Item = (usize, Bytes)> {}

impl<T: ExactSizeIterator<Item = (usize, Bytes)>> Fragments for T {}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    HandoffInsert,
    SlotsInsert,
    TreeInsert,
    HandoffPass,
    HandoffBatches,
    SlotsPass,
    SlotsBatches,
    Assembled,
    Memcpy,
    AssembledKept,
    MemcpyKept,
    AssembledAtOnce,
    AssembledAtOnceKept,
    Pipe,
}

impl Way {
    pub(super) const ALL: [Self; 14] = [
        Self::HandoffInsert,
        Self::SlotsInsert,
        Self::TreeInsert,
        Self::HandoffPass,
        Self::HandoffBatches,
        Self::SlotsPass,
        Self::SlotsBatches,
        Self::Assembled,
        Self::Memcpy,
        Self::AssembledKept,
        Self::MemcpyKept,
        Self::AssembledAtOnce,
        Self::AssembledAtOnceKept,
        Self::Pipe,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HandoffInsert => "handoff, insert",
            Self::SlotsInsert => "plain slots, insert",
            Self::TreeInsert => "RwLock<BTreeMap>, insert",
            Self::HandoffPass => "handoff, pass",
            Self::HandoffBatches => "handoff, pass ten at once",
            Self::SlotsPass => "plain slots, pass",
            Self::SlotsBatches => "plain slots, pass ten at once",
            Self::Assembled => "assembler + handoff, dropped",
            Self::Memcpy => "memcpy, dropped",
            Self::AssembledKept => "assembler + handoff, kept",
            Self::MemcpyKept => "memcpy, kept",
            Self::AssembledAtOnce => "the same, 32 at once, dropped",
            Self::AssembledAtOnceKept => "the same, 32 at once, kept",
            Self::Pipe => "pipe, frame to packet",
        }
    }

    /// The hand-over alone takes bytes in order only; what comes at once is not in order.
    pub(super) fn fits(self, order: Order) -> bool {
        match self {
            Self::HandoffInsert | Self::HandoffPass | Self::HandoffBatches => {
                order == Order::Ascending
            }
            Self::AssembledAtOnce | Self::AssembledAtOnceKept => order == Order::Batches,
            _ => true,
        }
    }

    /// How long the fragments took. After each `look` is called: nothing, where time is taken.
    pub(super) fn run(self, fragments: impl Fragments, look: impl FnMut()) -> Duration {
        match self {
            Self::HandoffInsert => handoff_insert(fragments, look),
            Self::SlotsInsert => slots_insert(fragments, look),
            Self::TreeInsert => tree_insert(fragments, look),
            Self::HandoffPass => handoff_pass(fragments, look),
            Self::HandoffBatches => handoff_batches(fragments, look),
            Self::SlotsPass => slots_pass(fragments, look),
            Self::SlotsBatches => slots_batches(fragments, look),
            Self::Assembled => assembled::<1>(fragments, false, look),
            Self::AssembledKept => assembled::<1>(fragments, true, look),
            Self::AssembledAtOnce => assembled::<AT_ONCE>(fragments, false, look),
            Self::AssembledAtOnceKept => assembled::<AT_ONCE>(fragments, true, look),
            Self::Memcpy => memcpy(fragments, true, look),
            Self::MemcpyKept => memcpy(fragments, false, look),
            Self::Pipe => piped(fragments, look).0,
        }
    }

    /// From one fragment's arrival until a reader has it; everything is made before.
    pub(super) fn first(self, fragment: Bytes) -> Duration {
        let (mut producer, mut reader) = channel(Options::default(), ());
        let (mut assembler, slots) = (Assembler::new(), Slots::new(7_688));
        let mut conduit = Conduit::new(WINDOW);
        let mut out = None;
        let started = Instant::now();
        let got = match self {
            Self::Pipe => {
                // What the leg's packet holds is the fragment; only when it left is of interest.
                conduit.arrive(0, &fragment, |_, data| {
                    out.get_or_insert_with(|| (started.elapsed(), data.len()));
                });
                let (took, len) = out.expect("it is out");
                assert_eq!(len, FRAGMENT);
                return took;
            }
            Self::SlotsPass => {
                slots.insert(0, fragment);
                slots.get(0).cloned()
            }
            Self::Assembled => {
                place(&mut assembler, 0, &fragment);
                hand_over(&mut assembler, &mut producer);
                next(&mut reader)
            }
            _ => {
                producer.push(fragment).expect("open");
                next(&mut reader)
            }
        };
        let took = started.elapsed();
        assert_eq!(got.expect("it is there").len(), FRAGMENT);
        took
    }
}

/// Time on the processor: what else runs on the machine takes the longer ones out oftener, and
/// would count against them.
struct Watch(Duration);

impl Watch {
    fn start() -> Self {
        Self(Self::now())
    }

    fn elapsed(&self) -> Duration {
        Self::now() - self.0
    }

    fn now() -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    }
}

/// What the plan describes: a slot for each fragment, and an atomic count of those in order.
struct Slots {
    slots: Box<[OnceLock<Bytes>]>,
    frontier: AtomicUsize,
}

impl Slots {
    fn new(count: usize) -> Self {
        let slots = (0..count).map(|_| OnceLock::new()).collect();
        Self { slots, frontier: AtomicUsize::new(0) }
    }

    // Where it is not, it takes a third longer.
    #[inline(always)]
    fn insert(&self, at: usize, bytes: Bytes) {
        if self.slots[at].set(bytes).is_err() {
            return;
        }
        let mut frontier = self.frontier.load(Ordering::Acquire);
        while self.slots.get(frontier).is_some_and(|slot| slot.get().is_some()) {
            let moved = self.frontier.compare_exchange(
                frontier,
                frontier + 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            frontier = moved.map_or_else(|now| now, |before| before + 1);
        }
    }

    /// Fragment `at`, if it and all before it are here.
    fn get(&self, at: usize) -> Option<&Bytes> {
        if at >= self.frontier.load(Ordering::Acquire) {
            return None;
        }
        self.slots[at].get()
    }
}

fn next(reader: &mut Reader<()>) -> Option<Bytes> {
    match reader.try_next() {
        Poll::Ready(found) => found.map(|bytes| bytes.expect("no failure")),
        Poll::Pending => None,
    }
}

fn handoff_insert(fragments: impl Fragments, mut look: impl FnMut()) -> Duration {
    let started = Watch::start();
    let (mut producer, reader) = channel(Options::default(), ());
    for (_, bytes) in fragments {
        producer.push(bytes).expect("open");
        look();
    }
    let took = started.elapsed();
    drop(reader);
    took
}

fn slots_insert(fragments: impl Fragments, mut look: impl FnMut()) -> Duration {
    let started = Watch::start();
    let slots = Slots::new(fragments.len());
    for (at, bytes) in fragments {
        slots.insert(at, bytes);
        look();
    }
    let took = started.elapsed();
    black_box(slots);
    took
}

fn tree_insert(fragments: impl Fragments, mut look: impl FnMut()) -> Duration {
    let started = Watch::start();
    let tree = RwLock::new((BTreeMap::new(), 0));
    for (at, bytes) in fragments {
        let mut tree = tree.write().expect("no poison");
        tree.0.insert(at, bytes);
        while tree.0.contains_key(&tree.1) {
            tree.1 += 1;
        }
        drop(tree);
        look();
    }
    let took = started.elapsed();
    black_box(tree);
    took
}

/// Each fragment comes alone and is read.
fn handoff_pass(fragments: impl Fragments, mut look: impl FnMut()) -> Duration {
    let started = Watch::start();
    let (mut producer, mut reader) = channel(Options::default(), ());
    for (_, bytes) in fragments {
        producer.push(bytes).expect("open");
        look();
        handoff_read(&mut reader);
    }
    drop((producer, reader));
    started.elapsed()
}

/// Ten fragments come at once, as a driver finds them when it reads a socket, and are read.
fn handoff_batches(fragments: impl Fragments, mut look: impl FnMut()) -> Duration {
    let mut fragments = fragments.map(|(_, bytes)| bytes);
    let started = Watch::start();
    let (mut producer, mut reader) = channel(Options::default(), ());
    while fragments.len() > 0 {
        producer.push_all(fragments.by_ref().take(10)).expect("open");
        look();
        handoff_read(&mut reader);
    }
    drop((producer, reader));
    started.elapsed()
}

/// What is read is looked at where it lies, here as with the plain slots: to move it once more
/// costs as much as a tenth of all.
fn handoff_read(reader: &mut Reader<()>) {
    while matches!(black_box(&reader.try_next()), Poll::Ready(Some(Ok(_)))) {}
}

fn slots_pass(fragments: impl Fragments, mut look: impl FnMut()) -> Duration {
    let started = Watch::start();
    let slots = Slots::new(fragments.len());
    let mut read = 0;
    for (at, bytes) in fragments {
        slots.insert(at, bytes);
        look();
        slots_read(&slots, &mut read);
    }
    drop(slots);
    started.elapsed()
}

fn slots_batches(mut fragments: impl Fragments, mut look: impl FnMut()) -> Duration {
    let started = Watch::start();
    let slots = Slots::new(fragments.len());
    let mut read = 0;
    while fragments.len() > 0 {
        for (at, bytes) in fragments.by_ref().take(10) {
            slots.insert(at, bytes);
        }
        look();
        slots_read(&slots, &mut read);
    }
    drop(slots);
    started.elapsed()
}

fn slots_read(slots: &Slots, read: &mut usize) {
    while let Some(bytes) = slots.get(*read) {
        black_box(&bytes.clone());
        *read += 1;
    }
}

/// As many fragments as the order [by 32](Order::Batches) shuffles.
const AT_ONCE: usize = 32;

/// What the driver does with a frame.
fn place(assembler: &mut Assembler, offset: u64, bytes: &[u8]) {
    let inserted = assembler.insert(offset, bytes, usize::MAX);
    assert_eq!(inserted, Inserted::Fresh(bytes.len() as u64));
}

/// And when it has placed those that it found: over to the reader what is in order.
fn hand_over(assembler: &mut Assembler, producer: &mut Producer<()>) {
    while let Some(chunk) = assembler.read(usize::MAX) {
        producer.push(chunk.data).expect("open");
    }
}

fn assembled<const COUNT: usize>(
    mut fragments: impl Fragments,
    keep: bool,
    mut look: impl FnMut(),
) -> Duration {
    let started = Watch::start();
    let (mut producer, mut reader) = channel(Options::default(), ());
    let mut assembler = Assembler::new();
    let (mut read, mut kept) = (0, Vec::new());
    while fragments.len() > 0 {
        for (at, bytes) in fragments.by_ref().take(COUNT) {
            place(&mut assembler, (at * FRAGMENT) as u64, &bytes);
        }
        hand_over(&mut assembler, &mut producer);
        look();
        while let Poll::Ready(Some(Ok(bytes))) = reader.try_next() {
            read += black_box(&bytes).len();
            if keep {
                kept.push(bytes);
            }
        }
    }
    drop((producer, reader, assembler, kept));
    let took = started.elapsed();
    assert_eq!(read, super::TOTAL);
    took
}

/// Bytes that the pipe's source may have under way: all of them, since in reverse nothing is
/// acknowledged in a row before the last has come.
const WINDOW: u64 = 16 << 20;

/// From a frame of the source to a packet of the leg, which is acknowledged at once. Returns also
/// the most bytes that had come and had not left, counted outside of the pipe.
pub(super) fn piped(fragments: impl Fragments, mut look: impl FnMut()) -> (Duration, usize) {
    let started = Watch::start();
    let mut conduit = Conduit::new(WINDOW);
    let (mut arrived, mut left, mut most_waiting) = (0, 0, 0);
    for (at, bytes) in fragments {
        arrived += bytes.len();
        conduit.arrive((at * FRAGMENT) as u64, &bytes, |_, data| left += black_box(data).len());
        most_waiting = most_waiting.max(arrived - left);
        drop(bytes);
        look();
    }
    drop(conduit);
    (started.elapsed(), most_waiting)
}

/// The same fragments into memory of the same kind, blocks of 16 KiB: each dropped when it is full,
/// so that its memory serves again and stays in the cache, or all kept, so that all is fresh.
fn memcpy(fragments: impl Fragments, free: bool, mut look: impl FnMut()) -> Duration {
    const BLOCK: usize = 16 * 1024;
    let mut fragments = fragments.peekable();
    // What has to wait for the first fragment cannot be freed as it goes.
    let keep = !free || fragments.peek().is_some_and(|(at, _)| *at > 9);
    let started = Watch::start();
    let mut full: Vec<BytesMut> = Vec::new();
    let mut block = BytesMut::with_capacity(BLOCK);
    for (_, bytes) in fragments {
        let (head, tail) = bytes.split_at(bytes.len().min(BLOCK - block.len()));
        block.extend_from_slice(head);
        if block.len() == BLOCK {
            let done = std::mem::replace(&mut block, BytesMut::with_capacity(BLOCK));
            if keep {
                full.push(done);
            } else {
                black_box(done);
            }
            block.extend_from_slice(tail);
        }
        drop(bytes);
        look();
    }
    black_box(&block);
    drop((full, block));
    started.elapsed()
}
