//! Producers and readers of a hand-over.

use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed};
use std::task::Poll;

use bytes::Bytes;

use super::super::primitives::{JoinHandle, spawn};
use super::super::producer::Producer;
use super::super::reader::Reader;
use super::super::shared::{Options, channel};
use super::Gate;

/// Bytes that know how many of them live.
struct Counted(Vec<u8>, std::sync::Arc<Count>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), Relaxed);
    }
}

fn counted(len: usize, live: &std::sync::Arc<Count>) -> Bytes {
    live.fetch_add(len, Relaxed);
    Bytes::from_owner(Counted(vec![7; len], live.clone()))
}

/// Reads until the end; gives the number of bytes, and whether the stream was finished.
fn read_all(reader: &mut Reader<()>) -> (usize, bool) {
    let mut count = 0;
    loop {
        match reader.next_blocking(None) {
            Poll::Ready(Some(Ok(bytes))) => count += bytes.len(),
            Poll::Ready(end) => return (count, end.is_none()),
            Poll::Pending => unreachable!("without a timeout"),
        }
    }
}

fn in_thread(mut reader: Reader<()>) -> JoinHandle<(usize, bool)> {
    spawn(move || read_all(&mut reader))
}

fn push_all(producer: &mut Producer<()>, lens: &[usize], live: &std::sync::Arc<Count>) -> usize {
    lens.iter().for_each(|len| producer.push(counted(*len, live)).unwrap());
    lens.iter().sum()
}

/// Readers sleep until there is something, and find all of it and then the end. In the end
/// everything is released and freed.
pub(in super::super) fn readers_find_everything(readers: usize, lens: &[usize], finished: bool) {
    let live = std::sync::Arc::new(Count::new(0));
    let (mut producer, reader) = channel(Options::default(), ());
    let mut threads: Vec<_> = (1..readers).map(|_| in_thread(reader.fork())).collect();
    threads.push(in_thread(reader));
    let total = push_all(&mut producer, lens, &live);
    if finished {
        producer.finish(total as u64).unwrap();
    } else {
        producer.fail(()).unwrap();
    }
    for thread in threads {
        assert_eq!(thread.join().unwrap(), (total, finished));
    }
    assert_eq!(producer.take_released(), total as u64);
    drop(producer);
    assert_eq!(live.load(Relaxed), 0);
}

/// A producer that is dropped wakes the reader, too.
pub(in super::super) fn a_lost_producer_is_noticed() {
    let (mut producer, reader) = channel(Options::default(), ());
    let thread = in_thread(reader);
    producer.push(Bytes::from_static(b"a")).unwrap();
    drop(producer);
    assert_eq!(thread.join().unwrap(), (1, false));
}

/// The producer pushes only what it has credit for, and sleeps until readers have passed it.
pub(in super::super) fn credit_comes_back(readers: usize, lens: &[usize]) {
    let gate = std::sync::Arc::new(Gate::default());
    let opener = gate.clone();
    let options = Options::default().on_release(move |_| opener.open());
    let (mut producer, reader) = channel(options, ());
    let mut threads: Vec<_> = (1..readers).map(|_| in_thread(reader.fork())).collect();
    threads.push(in_thread(reader));
    for len in lens {
        producer.push(Bytes::from(vec![7; *len])).unwrap();
        let mut credit = producer.take_released();
        while credit < *len as u64 {
            gate.wait();
            credit += producer.take_released();
        }
        assert_eq!(producer.held(), 0);
    }
    drop(producer);
    threads.into_iter().for_each(|thread| _ = thread.join().unwrap());
}

/// Readers go while the producer pushes: it hears of the last one, and nothing is left.
pub(in super::super) fn readers_may_go(readers: usize, lens: &[usize]) {
    let live = std::sync::Arc::new(Count::new(0));
    let gate = std::sync::Arc::new(Gate::default());
    let opener = gate.clone();
    let options = Options::default().on_release(move |_| opener.open());
    let (mut producer, reader) = channel(options, ());
    let leave = |mut reader: Reader<()>| {
        spawn(move || {
            let _some = reader.try_next();
        })
    };
    let mut threads: Vec<_> = (1..readers).map(|_| leave(reader.fork())).collect();
    threads.push(leave(reader));
    let total = push_all(&mut producer, lens, &live);
    while producer.has_readers() {
        gate.wait();
    }
    assert_eq!((producer.take_released(), producer.held()), (total as u64, 0));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(live.load(Relaxed), 0, "with the producer still there");
}

/// Two readers pass the same segments at once: what both have passed is freed once and at once.
pub(in super::super) fn passing_together_frees(lens: &[usize]) {
    let live = std::sync::Arc::new(Count::new(0));
    let (mut producer, mut reader) = channel(Options::default(), ());
    let total = push_all(&mut producer, lens, &live);
    producer.finish(total as u64).unwrap();
    let mut fork = reader.fork();
    let thread = spawn(move || {
        let found = read_all(&mut fork);
        (fork, found)
    });
    assert_eq!(read_all(&mut reader), (total, true));
    let (fork, found) = thread.join().unwrap();
    assert_eq!(found, (total, true));
    assert_eq!(producer.held(), 0);
    assert!(live.load(Relaxed) < 1024, "only the last segment is still there");
    drop((producer, fork, reader));
    assert_eq!(live.load(Relaxed), 0);
}

/// A reader forks while the producer pushes, and goes: the fork reads on where it stood.
pub(in super::super) fn a_fork_on_the_way_reads_on(lens: &[usize]) {
    let live = std::sync::Arc::new(Count::new(0));
    let (mut producer, mut reader) = channel(Options::default(), ());
    let thread = spawn(move || {
        let Poll::Ready(Some(Ok(first))) = reader.next_blocking(None) else {
            unreachable!("there is one at least")
        };
        let mut fork = reader.fork();
        drop(reader);
        let (rest, finished) = read_all(&mut fork);
        (first.len() + rest, finished)
    });
    let total = push_all(&mut producer, lens, &live);
    producer.finish(total as u64).unwrap();
    assert_eq!(thread.join().unwrap(), (total, true));
    assert_eq!((producer.take_released(), producer.has_readers()), (total as u64, false));
    drop(producer);
    assert_eq!(live.load(Relaxed), 0);
}

/// A head is waited for and stays unread.
pub(in super::super) fn a_head_is_waited_for() {
    let (mut producer, mut reader) = channel(Options::default(), ());
    let thread = spawn(move || {
        let head = reader.peek_blocking(3, None);
        assert_eq!(head, Poll::Ready(Bytes::from_static(b"abc")));
        read_all(&mut reader)
    });
    producer.push(Bytes::from_static(b"ab")).unwrap();
    producer.push(Bytes::from_static(b"cd")).unwrap();
    producer.finish(4).unwrap();
    assert_eq!(thread.join().unwrap(), (4, true));
}
