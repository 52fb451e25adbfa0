//! The queues of datagrams beside plain ones.

#![expect(clippy::panic, reason = "a harness says no by panicking")]

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;

use crate::flow::{Budget, BudgetLimits, RecvCredit, RecvLimits};
use crate::message::{
    DatagramLimits, Datagrams, Delivery, DropRule, ITEM_OVERHEAD, Queued, SendDatagramError,
};
use crate::script;
use crate::stream::Priority;
use crate::time::Instant;
use crate::wire::frame::{Frame, frames};
use crate::wire::id::Side;
use crate::wire::packet::{Allowance, PacketWriter};

/// Bounds of both queues.
const BYTES: u64 = 4_000;
const COUNT: usize = 6;
/// Largest that is taken, and that the peer takes.
const MAX_SIZE: u64 = 1_500;

/// One thing that happens.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The application sends one of so many bytes, while packets hold so many.
    Send(u16, u16, Delivery),
    /// A packet of so many bytes is written.
    Write(u16),
    /// One of so many bytes comes.
    Arrive(u16),
    /// The application takes one.
    Recv,
    /// So many milliseconds pass.
    Pass(u8),
}

/// What gives way in a full queue, whether the budget has plenty, and what happens.
#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    /// What comes gives way, or else what waits longest.
    pub newest: bool,
    /// Whether the budget has plenty.
    pub rich: bool,
    /// What happens.
    #[arbitrary(with = script::rest)]
    pub ops: Vec<Op>,
}

struct World {
    datagrams: Datagrams,
    credit: RecvCredit,
    budget: Budget,
    newest: bool,
    out: [VecDeque<Aging>; 3],
    inn: VecDeque<Vec<u8>>,
    salt: u8,
    now: Instant,
}

/// One that waits to be sent, and when it is too old.
type Aging = (Vec<u8>, Option<Instant>);

/// Plays a script.
///
/// # Panics
///
/// If anything comes out that the models do not have, or the credit counts other bytes than wait.
pub fn run(script: &Script) {
    let connections = if script.rich { 1 } else { 64 };
    let Ok(limits) = BudgetLimits::with_floor(1 << 20, connections, 8_192) else { return };
    let mut budget = Budget::new(limits);
    let Some(share) = budget.open() else { return };
    let rule = if script.newest { DropRule::Newest } else { DropRule::Oldest };
    let limits = DatagramLimits {
        send_bytes: BYTES,
        send_count: COUNT,
        recv_bytes: BYTES,
        recv_count: COUNT,
        max_size: MAX_SIZE,
        rule,
    };
    let mut datagrams = Datagrams::new(limits);
    datagrams.set_peer_max_size(MAX_SIZE);
    let mut world = World {
        datagrams,
        credit: RecvCredit::new(share, Side::Responder, RecvLimits::default()),
        budget,
        newest: script.newest,
        out: Default::default(),
        inn: VecDeque::new(),
        salt: 0,
        now: Instant::ZERO,
    };
    script.ops.iter().for_each(|op| world.step(*op));
}

/// Whether one of `len` bytes fits beside these.
fn fit(queues: &[VecDeque<Aging>], len: usize) -> bool {
    let waiting = queues.iter().flatten().map(|(data, _)| data.len() as u64 + ITEM_OVERHEAD);
    let bytes = waiting.sum::<u64>() + len as u64 + ITEM_OVERHEAD;
    bytes <= BYTES && queues.iter().map(VecDeque::len).sum::<usize>() < COUNT
}

impl World {
    fn step(&mut self, op: Op) {
        self.salt = self.salt.wrapping_add(1);
        match op {
            Op::Send(size, capacity, delivery) => {
                self.send(usize::from(size % 2_000), capacity.into(), delivery);
            }
            Op::Write(capacity) => self.write(usize::from(capacity % 3_000)),
            Op::Arrive(size) => self.arrive(usize::from(size % 2_000)),
            Op::Recv => {
                let got = self.datagrams.recv(&mut self.credit).map(Vec::from);
                assert_eq!(got, self.inn.pop_front());
            }
            Op::Pass(millis) => self.pass(Duration::from_millis(millis.into())),
        }
        self.datagrams.check();
        self.credit.check([]);
        let waits = (self.datagrams.is_pending(), self.datagrams.is_readable());
        assert_eq!(waits, (self.waiting() > 0, !self.inn.is_empty()));
        assert_eq!(self.credit.held(), bytes_of(&self.inn), "other bytes than wait");
    }

    fn waiting(&self) -> usize {
        self.out.iter().map(VecDeque::len).sum()
    }

    /// Time passes; those that are too old are gone, and were expected to be.
    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        let due = self.datagrams.deadline().is_some_and(|at| at <= self.now);
        let expired = self.expire();
        assert!(due || expired == 0, "nobody wished to be woken");
        let before = self.datagrams.stats().send_expired;
        self.datagrams.on_deadline(self.now);
        assert_eq!(self.datagrams.stats().send_expired, before + expired);
        assert!(self.datagrams.deadline().is_none_or(|at| at > self.now));
    }

    fn expire(&mut self) -> u64 {
        let (before, now) = (self.waiting(), self.now);
        let young = |(_, until): &Aging| until.is_none_or(|until| until > now);
        self.out.iter_mut().for_each(|queue| queue.retain(young));
        (before - self.waiting()) as u64
    }

    fn send(&mut self, size: usize, capacity: usize, delivery: Delivery) {
        let max_age =
            delivery.max_age.map(|age| Duration::from_millis(u64::from(age.subsec_nanos() % 300)));
        let delivery = Delivery { max_age, ..delivery };
        self.ask(delivery.priority, size);
        let data = vec![self.salt; size];
        let before = self.datagrams.stats();
        let sent = self.datagrams.send(Bytes::from(data.clone()), delivery, capacity, self.now);
        let after = self.datagrams.stats();
        let limit = capacity.saturating_sub(1).min(MAX_SIZE as usize);
        match sent {
            Err(SendDatagramError::Disabled) => assert_eq!(capacity, 0),
            Err(error) => {
                assert_eq!(error, SendDatagramError::TooLarge { size, limit });
                assert!(size > limit);
            }
            Ok(queued) if max_age == Some(Duration::ZERO) => {
                assert_eq!(
                    (queued, after.send_expired),
                    (Queued::Dropped, before.send_expired + 1)
                );
            }
            Ok(queued) => {
                assert!(size <= limit);
                let until = max_age.map(|age| self.now + age);
                assert_eq!(queued, self.queue_out(delivery.priority, (data, until)));
                let lost = match queued {
                    Queued::Kept => 0,
                    Queued::InPlaceOf(others) => others as u64,
                    Queued::Dropped => 1,
                };
                assert_eq!(after.send_dropped, before.send_dropped + lost);
            }
        }
    }

    /// Asks for room: what is of lower classes, or too old, takes none.
    fn ask(&mut self, class: Priority, len: usize) {
        let room =
            |queues: &[VecDeque<Aging>]| fit(queues, len) || queues.iter().all(VecDeque::is_empty);
        if !self.out.get(..=class as usize).is_some_and(room) {
            self.expire();
        }
        let expected = self.out.get(..=class as usize).is_some_and(room);
        assert_eq!(self.datagrams.has_room(class, len, self.now), expected);
    }

    /// Puts one into the plain queues; says what became of it.
    fn queue_out(&mut self, class: Priority, one: Aging) -> Queued {
        let (class, len) = (class as usize, one.0.len());
        let fits = |queues: &[VecDeque<Aging>]| fit(queues, len);
        if !fits(&self.out) {
            self.expire();
        }
        let room = self.out.get(..class + usize::from(self.newest)).is_some_and(fits);
        if !fits(&self.out) && !room {
            return Queued::Dropped;
        }
        let mut dropped = 0;
        while !fits(&self.out) {
            let lowest = self.out.iter_mut().rev().find(|queue| !queue.is_empty());
            lowest.and_then(if self.newest { VecDeque::pop_back } else { VecDeque::pop_front });
            dropped += 1;
        }
        self.out.get_mut(class).into_iter().for_each(|queue| queue.push_back(one.clone()));
        if dropped == 0 { Queued::Kept } else { Queued::InPlaceOf(dropped) }
    }

    fn write(&mut self, capacity: usize) {
        let (mut buf, mut receipts) = (Vec::new(), Vec::new());
        let allowance = Allowance::Everything;
        let mut packet = PacketWriter::new(&mut buf, 0, capacity, &mut receipts, allowance);
        let before = self.datagrams.stats();
        for class in Priority::ALL {
            self.datagrams.write(class, &mut packet);
        }
        let _ = packet.finish();
        let after = self.datagrams.stats();
        let mut unsendable = after.send_unsendable - before.send_unsendable;
        let mut written = frames(&buf).filter_map(|frame| match frame {
            Ok(Frame::Datagram { data }) => Some(data),
            _ => None,
        });
        let mut next = written.next();
        for queue in &mut self.out {
            while let Some((data, _)) = queue.front() {
                if next.is_some_and(|next| next == data) {
                    next = written.next();
                } else if unsendable > 0 && data.len() >= capacity {
                    // What no packet of this size holds was dropped on the way.
                    unsendable -= 1;
                } else {
                    break;
                }
                queue.pop_front();
            }
        }
        assert_eq!((next, unsendable), (None, 0), "written, and not the next of its class");
    }

    fn arrive(&mut self, size: usize) {
        let data = vec![self.salt; size];
        let before = self.datagrams.stats();
        let kept = self.datagrams.on_frame(&data, &mut self.credit, &mut self.budget);
        if size as u64 > MAX_SIZE {
            assert!(kept.is_err(), "a datagram that was never allowed");
            return assert_eq!(self.datagrams.stats(), before);
        }
        let Ok(kept) = kept else { panic!("an allowed datagram is refused") };
        let after = self.datagrams.stats();
        let newcomer = data.len();
        let dropped = queue(&mut self.inn, data, self.newest);
        match (kept, dropped) {
            (true, _) => assert_ne!(dropped, Queued::Dropped),
            (false, Queued::Dropped) => assert_eq!(after.recv_dropped, before.recv_dropped + 1),
            (false, _) => {
                assert_eq!(self.inn.pop_back().map(|data| data.len()), Some(newcomer));
                assert_eq!(after.recv_no_room, before.recv_no_room + 1, "dropped and not counted");
            }
        }
    }
}

fn bytes_of(queue: &VecDeque<Vec<u8>>) -> u64 {
    queue.iter().map(|data| data.len() as u64 + ITEM_OVERHEAD).sum()
}

/// Puts one into a plain queue; says what became of it.
fn queue(queue: &mut VecDeque<Vec<u8>>, data: Vec<u8>, newest: bool) -> Queued {
    let mut dropped = 0;
    let cost = data.len() as u64 + ITEM_OVERHEAD;
    while bytes_of(queue) + cost > BYTES || queue.len() >= COUNT {
        if newest {
            return Queued::Dropped;
        }
        queue.pop_front();
        dropped += 1;
    }
    queue.push_back(data);
    if dropped == 0 { Queued::Kept } else { Queued::InPlaceOf(dropped) }
}
