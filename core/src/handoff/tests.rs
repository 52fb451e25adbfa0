//! One hand-over at a time, one thread or two.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use std::vec::Vec;
use std::{format, thread, vec};

use bytes::Bytes;

use super::{Ended, FinishError, Options, Producer, Reader, Urgency, channel};

type Error = &'static str;

fn pair() -> (Producer<Error>, Reader<Error>) {
    channel(Options::default(), "lost")
}

fn ready(text: &'static str) -> Poll<Option<Result<Bytes, Error>>> {
    Poll::Ready(Some(Ok(Bytes::from_static(text.as_bytes()))))
}

const OVER: Poll<Option<Result<Bytes, Error>>> = Poll::Ready(None);

fn failed(why: Error) -> Poll<Option<Result<Bytes, Error>>> {
    Poll::Ready(Some(Err(why)))
}

/// Bytes that know how many of them live.
pub(super) struct Counted {
    bytes: Vec<u8>,
    live: Arc<AtomicUsize>,
}

impl Counted {
    pub(super) fn make(bytes: Vec<u8>, live: &Arc<AtomicUsize>) -> Bytes {
        live.fetch_add(bytes.len(), Ordering::Relaxed);
        Bytes::from_owner(Self { bytes, live: live.clone() })
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.live.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counting() -> (Arc<CountWakes>, Waker) {
    let wakes = Arc::new(CountWakes::default());
    (wakes.clone(), Waker::from(wakes))
}

/// spec: R-HAND-1
#[test]
fn bytes_come_in_order_and_once() {
    let (mut producer, mut reader) = pair();
    assert!(reader.try_next().is_pending());
    producer.push_all(["a", "bc"].map(|s| Bytes::from_static(s.as_bytes()))).unwrap();
    producer.push(Bytes::new()).unwrap();
    producer.push(Bytes::from_static(b"d")).unwrap();
    assert_eq!(reader.available(), 4);
    assert_eq!(reader.try_next(), ready("a"));
    assert_eq!(reader.try_next(), ready("bc"));
    assert_eq!(reader.position(), 3);
    assert_eq!(reader.try_next(), ready("d"));
    assert!(reader.try_next().is_pending());
    assert_eq!(reader.available(), 0);
}

/// spec: R-HAND-2
#[test]
fn ends_come_behind_the_last_byte_and_stay() {
    let (mut producer, mut reader) = pair();
    producer.push(Bytes::from_static(b"ab")).unwrap();
    let wrong = FinishError::WrongSize { size: 3, pushed: 2 };
    assert_eq!(producer.finish(3), Err(wrong));
    producer.finish(2).unwrap();
    assert_eq!(producer.push(Bytes::from_static(b"c")), Err(Ended));
    assert_eq!(producer.fail("late"), Err(Ended));
    assert_eq!(producer.finish(2), Err(FinishError::Ended));
    drop(producer);
    assert_eq!(reader.try_next(), ready("ab"));
    assert_eq!(reader.try_next(), OVER);
    assert_eq!(reader.fork().try_next(), OVER);
    assert_eq!(reader.try_next(), OVER);

    let (mut producer, mut reader) = pair();
    producer.push(Bytes::from_static(b"ab")).unwrap();
    producer.fail("reset").unwrap();
    assert_eq!(reader.try_next(), ready("ab"));
    assert_eq!(reader.try_next(), failed("reset"));
    assert_eq!(reader.try_next(), failed("reset"));

    let (mut producer, mut reader) = pair();
    producer.push(Bytes::from_static(b"ab")).unwrap();
    drop(producer);
    assert_eq!(reader.try_next(), ready("ab"));
    assert_eq!(reader.try_next(), failed("lost"));
}

/// spec: R-HAND-3
#[test]
fn the_slowest_reader_decides_what_is_released() {
    let (mut producer, mut reader) = channel(Options::default().with_start(100), "lost");
    assert_eq!((producer.pushed(), reader.position()), (100, 100));
    for _ in 0..3 {
        producer.push(Bytes::from_static(b"0123456789")).unwrap();
    }
    let (mut slow, idle) = (reader.fork(), reader.fork());
    while reader.try_next().is_ready() {}
    assert_eq!((producer.take_released(), producer.held(), producer.chunks_held()), (0, 30, 3));
    drop(idle);
    assert!(slow.try_chunk(10).is_ready());
    assert_eq!((producer.released(), producer.take_released()), (110, 10));
    // What a reader has taken a part of it has not passed.
    assert_eq!(slow.try_chunk(4), ready("0123"));
    assert_eq!((slow.position(), producer.take_released()), (114, 0));
    assert_eq!(slow.try_chunk(100), ready("456789"));
    assert_eq!((producer.take_released(), producer.chunks_held()), (10, 1));
    drop(slow);
    assert_eq!((producer.take_released(), producer.held()), (10, 0));
    assert!(producer.has_readers());
    producer.push(Bytes::from_static(b"x")).unwrap();
    drop(reader);
    assert!(!producer.has_readers());
    producer.push(Bytes::from_static(b"y")).unwrap();
    assert_eq!((producer.take_released(), producer.held()), (2, 0));
}

/// spec: R-HAND-4
#[test]
fn memory_goes_with_the_slowest_reader() {
    let live = Arc::new(AtomicUsize::new(0));
    let (mut producer, mut reader) = pair();
    let mut fork = reader.fork();
    for size in [1, 100, 1200, 16 * 1024].repeat(200) {
        producer.push(Counted::make(vec![1; size], &live)).unwrap();
    }
    let all = producer.pushed() as usize;
    assert_eq!(live.load(Ordering::Relaxed), all);
    while reader.try_next().is_ready() {}
    assert_eq!(live.load(Ordering::Relaxed), all, "the fork has read nothing");
    let mut late = 0;
    while fork.try_next().is_ready() {
        late = late.max(live.load(Ordering::Relaxed) - producer.held() as usize);
    }
    assert!(late < 16 * 1024, "{late} bytes were freed late");
    // Without a reader nothing is kept.
    let before = live.load(Ordering::Relaxed);
    let (mut producer, reader) = pair();
    (0..40).for_each(|_| producer.push(Counted::make(vec![1; 10], &live)).unwrap());
    drop(reader);
    producer.take_released();
    producer.push(Counted::make(vec![1; 10], &live)).unwrap();
    assert_eq!(live.load(Ordering::Relaxed), before);
}

/// Also where the producer is in the same segment, and after a fork has come and gone.
///
/// spec: R-HAND-19
#[test]
fn the_only_reader_frees_what_it_passes_at_once() {
    let live = Arc::new(AtomicUsize::new(0));
    let (mut producer, mut reader) = pair();
    let now = || live.load(Ordering::Relaxed);
    for chunks in [1, 40, 3] {
        (0..chunks).for_each(|_| producer.push(Counted::make(vec![1; 10], &live)).unwrap());
        for read in 1..=chunks {
            assert!(reader.try_next().is_ready());
            assert_eq!(now(), (chunks - read) * 10);
        }
    }
    let mut fork = reader.fork();
    (0..3).for_each(|_| producer.push(Counted::make(vec![1; 10], &live)).unwrap());
    assert!(reader.try_next().is_ready() && fork.try_next().is_ready() && now() == 30);
    assert!(fork.try_next().is_ready());
    drop(fork);
    assert!(reader.try_next().is_ready() && reader.try_next().is_ready());
    assert_eq!(now(), 10, "what was passed together stays until the segment is left");
    drop((producer, reader));
    assert_eq!(now(), 0);
}

/// A late bound of a stream that is young.
///
/// spec: R-HAND-4
#[test]
fn a_young_stream_frees_less_than_1_kib_late() {
    let live = Arc::new(AtomicUsize::new(0));
    let (mut producer, mut reader) = pair();
    for _ in 0..8 {
        producer.push(Counted::make(vec![1; 500], &live)).unwrap();
        assert!(reader.try_next().is_ready());
        assert_eq!(producer.held(), 0);
        assert!(live.load(Ordering::Relaxed) < 1024);
    }
}

/// spec: R-HAND-5
#[test]
fn a_task_is_woken_once_for_what_it_waits_for() {
    let (mut producer, mut reader) = pair();
    let mut fork = reader.fork();
    let ((wakes, waker), (others, other)) = (counting(), counting());
    let mut cx = Context::from_waker(&waker);
    assert!(reader.poll_next(&mut cx).is_pending());
    assert!(fork.poll_next(&mut Context::from_waker(&other)).is_pending());
    producer.push(Bytes::from_static(b"a")).unwrap();
    producer.push(Bytes::from_static(b"b")).unwrap();
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert_eq!(others.0.load(Ordering::Relaxed), 1);
    assert_eq!(reader.poll_next(&mut cx), ready("a"));
    assert_eq!(reader.poll_next(&mut cx), ready("b"));
    assert!(reader.poll_next(&mut cx).is_pending());
    drop(producer);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
    assert_eq!(reader.poll_next(&mut cx), failed("lost"));
}

/// spec: R-HAND-5
#[test]
fn threads_sleep_until_there_is_something_or_the_time_is_up() {
    let (mut producer, mut reader) = pair();
    assert!(reader.next_blocking(Some(Duration::from_millis(5))).is_pending());
    let readers: Vec<_> = (0..3).map(|_| reader.fork()).collect();
    let threads = readers.into_iter().map(|mut reader| {
        thread::spawn(move || {
            let mut sum = 0_u64;
            while let Poll::Ready(Some(Ok(bytes))) = reader.next_blocking(None) {
                sum += u64::from(bytes[0]);
            }
            sum
        })
    });
    let threads: Vec<_> = threads.collect();
    for n in 0..20_000_u32 {
        producer.push(Bytes::from(vec![n as u8])).unwrap();
        if n.is_multiple_of(97) {
            thread::yield_now();
        }
    }
    producer.finish(20_000).unwrap();
    let sum: u64 = (0..20_000_u32).map(|n| u64::from(n as u8)).sum();
    threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), sum));
    drop(reader);
    assert_eq!(producer.take_released(), 20_000);
}

fn told(options: Options) -> (Producer<Error>, Reader<Error>, Arc<Mutex<Vec<Urgency>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = told.clone();
    let tell = move |urgency| list.lock().unwrap().push(urgency);
    let (producer, reader) = channel(options.on_release(tell), "lost");
    (producer, reader, told)
}

fn take<T>(list: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut list.lock().unwrap())
}

/// spec: R-HAND-6
#[test]
fn the_producer_is_told_now_and_then() {
    use Urgency::{High, Low};
    let options = Options::default().with_batch(10_000).with_small(500);
    let (mut producer, mut reader, told) = told(options);
    let push = |producer: &mut Producer<Error>, count, len| {
        (0..count).for_each(|_| producer.push(Bytes::from(vec![0; len])).unwrap());
    };
    // A batch, and not again before the producer has looked.
    push(&mut producer, 30, 1000);
    (0..9).for_each(|_| assert!(reader.try_next().is_ready()));
    assert_eq!(take(&told), []);
    (0..19).for_each(|_| assert!(reader.try_next().is_ready()));
    assert_eq!(take(&told), [High]);
    assert_eq!(producer.take_released(), 28_000);
    // Nothing left to read: more than a little, or a little.
    (0..2).for_each(|_| assert!(reader.try_next().is_ready()));
    assert!(reader.try_next().is_pending());
    assert_eq!(take(&told), [High]);
    assert_eq!(producer.take_released(), 2_000);
    push(&mut producer, 1, 300);
    assert!(reader.try_next().is_ready() && reader.try_next().is_pending());
    assert_eq!(take(&told), [Low]);
    // Little by little it becomes more than a little.
    push(&mut producer, 1, 300);
    assert!(reader.try_next().is_ready() && reader.try_next().is_pending());
    assert_eq!(take(&told), [High]);
    assert_eq!(producer.take_released(), 600);
    assert!(reader.try_next().is_pending());
    assert_eq!(take(&told), []);
    // Many chunks are a batch however small they are.
    push(&mut producer, 65, 1);
    (0..64).for_each(|_| assert!(reader.try_next().is_ready()));
    assert_eq!(take(&told), [High]);
    producer.take_released();
    // At the end, and when nobody is left.
    producer.finish(30_665).unwrap();
    assert!(reader.try_next().is_ready());
    assert_eq!(reader.try_next(), OVER);
    assert_eq!(take(&told), [Low]);
    drop(reader.fork());
    drop(reader);
    assert_eq!(take(&told), [High, High]);
    assert_eq!(producer.take_released(), 1);
}

/// A batch that only the faster reader has passed is told once, not for each of its chunks.
///
/// spec: R-HAND-6
#[test]
fn a_fast_reader_tells_no_oftener() {
    let (mut producer, mut reader, told) = told(Options::default().with_batch(1000));
    let _slow = reader.fork();
    (0..50).for_each(|_| producer.push(Bytes::from(vec![0; 100])).unwrap());
    let mut count = 0;
    for _ in 0..50 {
        assert!(reader.try_next().is_ready());
        count += take(&told).len();
        assert_eq!(producer.take_released(), 0);
    }
    assert_eq!(count, 5);
}

/// spec: R-HAND-7
#[test]
fn a_fork_reads_from_where_it_was_made() {
    let (mut producer, mut reader) = pair();
    (0..50).for_each(|n| producer.push(Bytes::from(vec![n; 3])).unwrap());
    (0..20).for_each(|_| assert!(reader.try_next().is_ready()));
    assert!(reader.try_chunk(1).is_ready());
    let mut fork = reader.fork();
    assert_eq!(fork.position(), 61);
    while reader.try_next().is_ready() {}
    let mut text = Vec::new();
    while let Poll::Ready(Some(Ok(bytes))) = fork.try_next() {
        text.extend_from_slice(&bytes);
    }
    let expected: Vec<u8> = (0..50).flat_map(|n| [n; 3]).skip(61).collect();
    assert_eq!(text, expected);
}

/// spec: R-HAND-8
#[test]
fn a_long_chain_is_freed_in_a_loop() {
    const SEGMENTS: usize = 1_000_000;
    let small = thread::Builder::new().stack_size(64 * 1024);
    let run = move || {
        let (mut producer, reader) = pair();
        // Chunks as large as a segment may become: each has one for itself.
        let chunk = Bytes::from_static(&[0; 16 * 1024]);
        producer.push_all((0..SEGMENTS).map(|_| chunk.clone())).unwrap();
        let fork = reader.fork();
        drop(producer);
        drop(reader);
        drop(fork);
    };
    small.spawn(run).unwrap().join().unwrap();
}

/// spec: R-HAND-9
#[test]
fn a_head_can_be_seen_before_it_is_read() {
    let (mut producer, mut reader) = pair();
    let (wakes, waker) = counting();
    let mut cx = Context::from_waker(&waker);
    assert!(reader.poll_peek(&mut cx, 5).is_pending());
    producer.push(Bytes::from_static(b"abc")).unwrap();
    assert_eq!(&reader.peek(5)[..], b"abc");
    assert!(reader.poll_peek(&mut cx, 5).is_pending());
    producer.push(Bytes::from_static(b"defg")).unwrap();
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
    assert_eq!(reader.poll_peek(&mut cx, 5), Poll::Ready(Bytes::from_static(b"abcde")));
    assert_eq!(reader.try_chunk(2), ready("ab"));
    assert_eq!(&reader.peek(2)[..], b"cd");
    assert_eq!(producer.released(), 0);
    assert!(reader.peek_blocking(9, Some(Duration::from_millis(1))).is_pending());
    producer.finish(7).unwrap();
    assert_eq!(reader.peek_blocking(9, None), Poll::Ready(Bytes::from_static(b"cdefg")));
    assert_eq!(reader.try_next(), ready("c"));
}

/// spec: R-HAND-11
#[test]
fn who_waits_behind_many_chunks_joins_them() {
    let (mut producer, mut reader, told) = told(Options::default());
    let (_, waker) = counting();
    let mut cx = Context::from_waker(&waker);
    (0..63).for_each(|n| producer.push(Bytes::from(vec![n])).unwrap());
    assert!(reader.poll_peek(&mut cx, 200).is_pending());
    assert_eq!(producer.chunks_held(), 63);
    (63..100).for_each(|n| producer.push(Bytes::from(vec![n])).unwrap());
    assert!(reader.poll_peek(&mut cx, 200).is_pending());
    assert_eq!(take(&told), [Urgency::High]);
    assert_eq!((producer.take_released(), producer.held(), producer.chunks_held()), (0, 100, 0));
    let mut fork = reader.fork();
    // What follows is joined to it, or read behind it.
    assert_eq!(reader.try_chunk(1), Poll::Ready(Some(Ok(Bytes::from(vec![0])))));
    (100..180).for_each(|n| producer.push(Bytes::from(vec![n])).unwrap());
    assert!(reader.peek_blocking(200, Some(Duration::from_millis(1))).is_pending());
    (180..200).for_each(|n| producer.push(Bytes::from(vec![n])).unwrap());
    producer.finish(200).unwrap();
    let all: Vec<u8> = (0..200).collect();
    assert_eq!(reader.poll_peek(&mut cx, 200), Poll::Ready(all[1..].to_vec().into()));
    assert_eq!(reader.piece(), &all[1..180]);
    assert_eq!((reader.position(), producer.take_released()), (1, 0));
    for reader in [&mut reader, &mut fork] {
        let mut at = reader.position() as usize;
        while let Poll::Ready(Some(Ok(bytes))) = reader.try_chunk(70) {
            assert!(all[at..].starts_with(&bytes));
            at += bytes.len();
        }
        assert_eq!((at, reader.position()), (200, 200));
    }
    assert_eq!((producer.take_released(), producer.chunks_held()), (200, 0));
}

/// spec: R-HAND-9
#[test]
fn a_piece_can_be_used_in_parts_without_a_copy() {
    let (mut producer, mut reader) = pair();
    let (_, waker) = counting();
    let mut cx = Context::from_waker(&waker);
    assert!(reader.poll_fill(&mut cx).is_pending());
    producer.push(Bytes::from_static(b"abc")).unwrap();
    assert_eq!(reader.poll_fill(&mut cx), Poll::Ready(Ok(&b"abc"[..])));
    reader.consume(2);
    assert_eq!(reader.poll_fill(&mut cx), Poll::Ready(Ok(&b"c"[..])));
    reader.consume(1);
    assert_eq!((reader.position(), producer.released()), (3, 3));
    assert!(reader.poll_fill(&mut cx).is_pending());
    producer.fail("reset").unwrap();
    assert_eq!(reader.poll_fill(&mut cx), Poll::Ready(Err("reset")));
    reader.consume(1);
    assert_eq!(reader.position(), 3);
}

/// spec: R-HAND-10
#[test]
fn reading_pushing_and_falling_asleep_take_no_lock() {
    let (mut producer, mut reader) = pair();
    let shared = reader.shared.clone();
    let (_, waker) = counting();
    let held = shared.seats();
    for _ in 0..100 {
        producer.push(Bytes::from_static(b"abc")).unwrap();
        assert_eq!(reader.peek(3), "abc");
        assert!(reader.try_next().is_ready());
    }
    assert!(reader.poll_next(&mut Context::from_waker(&waker)).is_pending());
    drop(held);
}

/// Wakers run what they like: here the reader itself, and a fork of it.
#[test]
fn a_waker_may_read_and_fork() {
    struct Inline(Mutex<Option<Reader<Error>>>);
    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            let mut slot = self.0.lock().unwrap();
            let mut reader = slot.take().unwrap();
            assert_eq!(reader.fork().try_next(), ready("a"));
            assert_eq!(reader.try_next(), ready("a"));
        }
    }
    let (mut producer, mut reader) = pair();
    let inline = Arc::new(Inline(Mutex::new(None)));
    let waker = Waker::from(inline.clone());
    assert!(reader.poll_next(&mut Context::from_waker(&waker)).is_pending());
    *inline.0.lock().unwrap() = Some(reader);
    producer.push(Bytes::from_static(b"a")).unwrap();
    assert!(!producer.has_readers());
    assert!(format!("{producer:?}").contains("offset: 1"));
}
