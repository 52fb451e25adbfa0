//! What both ends share, and how a hand-over begins.

use core::fmt;

use std::boxed::Box;
use std::vec::Vec;

use super::producer::Producer;
use super::reader::Reader;
use super::segment::Segment;
use super::sync::{
    Arc, AtomicU64, AtomicUsize, AtomicWaker, Mutex, MutexGuard, OnceLock, Ordering, PoisonError,
};

/// Bytes passed before the producer is told, unless a reader has nothing left.
const BATCH: u64 = 64 * 1024;
/// A reader that has nothing left tells of fewer bytes than these without urgency.
const SMALL: u64 = 4 * 1024;
/// Chunks passed before the producer is told, however small they are.
pub(super) const BATCH_CHUNKS: u64 = 64;

/// In [`Shared::state`]: a reader may be asleep.
pub(super) const WAITING: u64 = 1;
/// The bits of [`Shared::state`] below the frontier.
pub(super) const FLAGS: u32 = 1;

/// How much the producer should hurry to look at [`Producer::take_released`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Little was passed: it is enough to look when awake anyway.
    Low,
    /// Enough was passed to be worth waking up for, or the last reader is gone.
    High,
}

type OnRelease = Box<dyn Fn(Urgency) + Send + Sync>;

/// How a hand-over is to work.
pub struct Options {
    pub(super) start: u64,
    batch: u64,
    small: u64,
    on_release: Option<OnRelease>,
}

impl Default for Options {
    fn default() -> Self {
        Self { start: 0, batch: BATCH, small: SMALL, on_release: None }
    }
}

impl Options {
    /// Offset of the first byte; 0 if not said.
    #[must_use]
    pub fn with_start(mut self, start: u64) -> Self {
        self.start = start;
        self
    }

    /// After how many bytes that a reader passed the producer is told; 64 KiB if not said.
    #[must_use]
    pub fn with_batch(mut self, bytes: u64) -> Self {
        self.batch = bytes.max(1);
        self
    }

    /// From how many bytes on a reader that has nothing left to read tells the producer with
    /// [`Urgency::High`]; 4 KiB if not said.
    #[must_use]
    pub fn with_small(mut self, bytes: u64) -> Self {
        self.small = bytes;
        self
    }

    /// What tells the producer that readers have passed bytes or are all gone. It is called from
    /// the readers' threads, never under a lock, and not again at the same urgency until
    /// [`Producer::take_released`] was called; when the last reader goes it is called in any case.
    #[must_use]
    pub fn on_release(mut self, tell: impl Fn(Urgency) + Send + Sync + 'static) -> Self {
        self.on_release = Some(Box::new(tell));
        self
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, batch, small, on_release } = self;
        f.debug_struct("Options")
            .field("start", start)
            .field("batch", batch)
            .field("small", small)
            .field("on_release", &on_release.is_some())
            .finish()
    }
}

/// Begins a hand-over. `lost` is the error that readers find behind the last byte if the producer
/// is dropped before it has said how the stream ends.
pub fn channel<E: Clone>(options: Options, lost: E) -> (Producer<E>, Reader<E>) {
    let start = options.start;
    let segment = Segment::new();
    let shared = Arc::new(Shared {
        state: AtomicU64::new(start << FLAGS),
        end: OnceLock::new(),
        seats: Mutex::new(Vec::new()),
        readers: AtomicUsize::new(0),
        asked: AtomicUsize::new(0),
        taken: AtomicU64::new(start),
        options,
    });
    let reader = Reader::first(shared.clone(), segment.clone(), start);
    (Producer::new(shared, segment, start, lost), reader)
}

/// What comes behind the last byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End<E> {
    Finished,
    Failed(E),
}

/// What the two ends share beside the list.
pub(super) struct Shared<E> {
    /// The offset behind the last byte pushed, above [`WAITING`]. One word, so that
    /// "there is more" and "I sleep" are ordered: whichever comes second sees the first.
    pub(super) state: AtomicU64,
    /// Set once, before the last change of `state`.
    pub(super) end: OnceLock<End<E>>,
    /// The readers. Locked by `fork`, by drop, and by the producer to wake or to look; never to
    /// read, to push or to fall asleep.
    seats: Mutex<Vec<Arc<Seat>>>,
    /// How many they are. A fork is counted before it is there, by the thread that makes it.
    readers: AtomicUsize,
    /// How urgently the producer was told, since it last looked: 0, or 1 more than the urgency.
    asked: AtomicUsize,
    /// The released offset that the producer last saw.
    taken: AtomicU64,
    options: Options,
}

/// What a reader shows to the producer.
pub(super) struct Seat {
    /// All chunks below this offset are passed.
    pub(super) passed: AtomicU64,
    /// So many chunks are passed.
    pub(super) chunks: AtomicU64,
    pub(super) waker: AtomicWaker,
}

impl<E> Shared<E> {
    pub(super) fn seats(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offset behind the last byte pushed.
    #[inline]
    pub(super) fn frontier(&self) -> u64 {
        self.state.load(Ordering::Acquire) >> FLAGS
    }

    /// Whether the reader that asks is the only one; then it will be, unless it forks.
    #[inline]
    pub(super) fn one_reads(&self) -> bool {
        self.readers.load(Ordering::Acquire) == 1
    }

    /// A seat at `passed`, behind `chunks` chunks.
    pub(super) fn sit(&self, passed: u64, chunks: u64) -> Arc<Seat> {
        let seat = Arc::new(Seat {
            passed: AtomicU64::new(passed),
            chunks: AtomicU64::new(chunks),
            waker: AtomicWaker::new(),
        });
        self.readers.fetch_add(1, Ordering::Relaxed);
        self.seats().push(seat.clone());
        seat
    }

    /// Gives the seat up.
    pub(super) fn rise(&self, seat: &Arc<Seat>) {
        let mut seats = self.seats();
        seats.retain(|other| !Arc::ptr_eq(other, seat));
        let last = seats.is_empty();
        drop(seats);
        // What the reader that goes has read of the chunks it no longer needs, it has read.
        self.readers.fetch_sub(1, Ordering::Release);
        self.tell(Urgency::High, last);
    }

    /// Whether the producer seems to know. What it has looked at meanwhile may not be seen yet: who
    /// goes by this has to ask again.
    pub(super) fn seems_told(&self, urgency: Urgency) -> bool {
        self.asked.load(Ordering::Relaxed) > urgency as usize
    }

    /// Tells the producer, unless it knows.
    pub(super) fn tell(&self, urgency: Urgency, always: bool) {
        let level = 1 + urgency as usize;
        let before = self.asked.fetch_max(level, Ordering::AcqRel);
        if let Some(tell) = self.options.on_release.as_ref().filter(|_| always || before < level) {
            tell(urgency);
        }
    }

    /// From here on the producer is told again. Comes before it looks at the seats: what a reader
    /// passes after the look is told, and what it passed before is seen.
    pub(super) fn look(&self) {
        self.asked.swap(0, Ordering::AcqRel);
    }

    pub(super) fn note_taken(&self, offset: u64) {
        self.taken.store(offset, Ordering::Relaxed);
    }

    /// How urgent it is to tell of `bytes` when there is nothing left to read.
    pub(super) fn urgency(&self, bytes: u64) -> Urgency {
        if bytes >= self.options.small { Urgency::High } else { Urgency::Low }
    }

    /// After how many bytes the producer is told in any case.
    pub(super) fn batch(&self) -> u64 {
        self.options.batch
    }

    /// The released offset that the producer last saw.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}
