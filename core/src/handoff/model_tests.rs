//! The hand-over against a plain model: a queue for each reader.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::vec::Vec;

use proptest::prelude::*;

use super::tests::Counted;
use super::{Options, Producer, Reader, channel};

#[derive(Clone, Debug)]
enum Op {
    Push(Vec<usize>),
    Next(usize),
    Cut(usize, usize),
    Consume(usize, usize),
    Peek(usize, usize),
    LookOut(usize, usize),
    Fork(usize),
    Drop(usize),
    Take,
}

fn op() -> impl Strategy<Value = Op> {
    let size = prop_oneof![0..40usize, 900..1500usize, 10_000..20_000usize];
    prop_oneof![
        6 => prop::collection::vec(size, 0..5).prop_map(Op::Push),
        1 => prop::collection::vec(1..9usize, 40..80).prop_map(Op::Push),
        12 => any::<usize>().prop_map(Op::Next),
        3 => (any::<usize>(), 1..3000usize).prop_map(|(who, max)| Op::Cut(who, max)),
        3 => (any::<usize>(), 0..3000usize).prop_map(|(who, len)| Op::Consume(who, len)),
        3 => (any::<usize>(), 0..3000usize).prop_map(|(who, len)| Op::Peek(who, len)),
        2 => (any::<usize>(), 0..9000usize).prop_map(|(who, len)| Op::LookOut(who, len)),
        1 => any::<usize>().prop_map(Op::Fork),
        1 => any::<usize>().prop_map(Op::Drop),
        2 => Just(Op::Take),
    ]
}

/// One reader as it should be: the chunks ahead, the first perhaps cut.
#[derive(Clone)]
struct Plain {
    ahead: VecDeque<Vec<u8>>,
    cut: usize,
    /// The first one was made of many.
    joined: bool,
}

impl Plain {
    fn next(&mut self, max: usize) -> Option<Vec<u8>> {
        let front = self.ahead.front()?;
        let part: Vec<u8> = front[self.cut..].iter().take(max).copied().collect();
        self.cut += part.len();
        if self.cut == front.len() {
            self.ahead.pop_front();
            (self.cut, self.joined) = (0, false);
        }
        Some(part)
    }

    fn peek(&self, len: usize) -> Vec<u8> {
        self.ahead.iter().flatten().skip(self.cut).take(len).copied().collect()
    }

    /// What waiting for `len` bytes does.
    fn look_out(&mut self, len: usize) {
        if self.peek(len).len() < len && self.chunks() >= 64 {
            self.ahead = VecDeque::from([self.ahead.drain(..).flatten().collect()]);
            self.joined = true;
        }
    }

    fn chunks(&self) -> usize {
        self.ahead.len() - usize::from(self.joined)
    }

    fn in_list(&self) -> u64 {
        self.ahead.iter().skip(self.joined.into()).map(|chunk| chunk.len() as u64).sum()
    }

    fn held(&self) -> u64 {
        self.ahead.iter().map(|chunk| chunk.len() as u64).sum()
    }
}

struct World {
    producer: Producer<u8>,
    readers: Vec<(Reader<u8>, Plain)>,
    live: Arc<AtomicUsize>,
    next: u8,
    taken: u64,
}

impl World {
    fn new() -> Self {
        let (producer, reader) = channel(Options::default(), 9);
        let plain = Plain { ahead: VecDeque::new(), cut: 0, joined: false };
        let readers = vec_of((reader, plain));
        Self { producer, readers, live: Arc::default(), next: 0, taken: 0 }
    }

    fn push(&mut self, sizes: &[usize]) {
        let mut chunks = Vec::new();
        for size in sizes {
            self.next = self.next.wrapping_add(7);
            let first = self.next;
            let chunk: Vec<u8> = (0..*size).map(|at| first.wrapping_add(at as u8)).collect();
            if *size > 0 {
                let ahead = self.readers.iter_mut().map(|(_, plain)| &mut plain.ahead);
                ahead.for_each(|ahead| ahead.push_back(chunk.clone()));
            }
            chunks.push(Counted::make(chunk, &self.live));
        }
        self.producer.push_all(chunks).unwrap();
    }

    fn step(&mut self, op: &Op) {
        let count = self.readers.len();
        match op {
            Op::Push(sizes) => self.push(sizes),
            Op::Take => {
                self.taken += self.producer.take_released();
                assert_eq!(self.taken, self.producer.released());
            }
            _ if count == 0 => {}
            Op::Next(who) | Op::Cut(who, _) => {
                let (reader, plain) = &mut self.readers[who % count];
                let max = if let Op::Cut(_, max) = op { *max } else { usize::MAX };
                match (reader.try_chunk(max), plain.next(max)) {
                    (Poll::Ready(Some(Ok(bytes))), Some(part)) => assert_eq!(bytes, part),
                    (Poll::Pending, None) => {}
                    (found, part) => panic!("{found:?} instead of {part:?}"),
                }
            }
            Op::Consume(who, len) => {
                let (reader, plain) = &mut self.readers[who % count];
                reader.consume(*len);
                if *len > 0 {
                    plain.next(*len);
                }
            }
            Op::Peek(who, len) => {
                let (reader, plain) = &self.readers[who % count];
                assert_eq!(reader.peek(*len), plain.peek(*len));
            }
            Op::LookOut(who, len) => {
                let (reader, plain) = &mut self.readers[who % count];
                let found = reader.poll_peek(&mut Context::from_waker(Waker::noop()), *len);
                let here = plain.peek(*len);
                assert_eq!(found.is_ready(), here.len() == *len);
                plain.look_out(*len);
                assert_eq!(reader.peek(*len), here);
            }
            Op::Fork(who) => {
                let (reader, plain) = &self.readers[who % count];
                let both = (reader.fork(), plain.clone());
                self.readers.push(both);
            }
            Op::Drop(who) => drop(self.readers.swap_remove(who % count)),
        }
    }

    fn check(&self) {
        let held = self.readers.iter().map(|(_, plain)| plain.held()).max().unwrap_or(0);
        assert_eq!(self.producer.held(), held);
        let chunks = self.readers.iter().map(|(_, plain)| plain.chunks()).max().unwrap_or(0);
        assert_eq!(self.producer.chunks_held(), chunks as u64);
        for (reader, plain) in &self.readers {
            assert_eq!(reader.available(), plain.held() - plain.cut as u64);
        }
        let live = self.live.load(Ordering::Relaxed) as u64;
        let late = (self.producer.pushed() / 8).clamp(1024, 16 * 1024);
        let list = self.readers.iter().map(|(_, plain)| plain.in_list()).max().unwrap_or(0);
        assert!(list <= live && live < held + late, "{live} bytes live, {held} are held");
    }
}

fn vec_of<T>(one: T) -> Vec<T> {
    Vec::from([one])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// spec: R-HAND-1, R-HAND-3, R-HAND-4, R-HAND-7, R-HAND-9, R-HAND-11
    #[test]
    fn every_reader_is_a_plain_queue(ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::new();
        for op in &ops {
            world.step(op);
            world.check();
        }
        let size = world.producer.pushed();
        world.producer.finish(size).unwrap();
        for (reader, plain) in &mut world.readers {
            while let Some(part) = plain.next(usize::MAX) {
                let found = reader.try_next();
                prop_assert_eq!(found, Poll::Ready(Some(Ok(part.into()))));
            }
            prop_assert_eq!(reader.try_next(), Poll::Ready(None));
        }
        world.readers.clear();
        drop(world.producer);
        prop_assert_eq!(world.live.load(Ordering::Relaxed), 0);
    }
}
