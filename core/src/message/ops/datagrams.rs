//! The two queues of datagrams beside two plain ones.

#![expect(clippy::panic, reason = "a harness says no by panicking")]

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use arbitrary::Arbitrary;
use bytes::Bytes;

use crate::flow::{Budget, BudgetLimits, RecvCredit, RecvLimits};
use crate::message::{
    DatagramLimits, Datagrams, DropRule, ITEM_OVERHEAD, Queued, SendDatagramError,
};
use crate::script;
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
    Send(u16, u16),
    /// A packet of so many bytes is written.
    Write(u16),
    /// One of so many bytes comes.
    Arrive(u16),
    /// The application takes one.
    Recv,
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
    out: VecDeque<Vec<u8>>,
    inn: VecDeque<Vec<u8>>,
    salt: u8,
}

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
        out: VecDeque::new(),
        inn: VecDeque::new(),
        salt: 0,
    };
    script.ops.iter().for_each(|op| world.step(*op));
}

impl World {
    fn step(&mut self, op: Op) {
        self.salt = self.salt.wrapping_add(1);
        match op {
            Op::Send(size, capacity) => self.send(usize::from(size % 2_000), capacity.into()),
            Op::Write(capacity) => self.write(usize::from(capacity % 3_000)),
            Op::Arrive(size) => self.arrive(usize::from(size % 2_000)),
            Op::Recv => {
                let got = self.datagrams.recv(&mut self.credit).map(Vec::from);
                assert_eq!(got, self.inn.pop_front());
            }
        }
        self.datagrams.check();
        self.credit.check([]);
        let waits = (self.datagrams.is_pending(), self.datagrams.is_readable());
        assert_eq!(waits, (!self.out.is_empty(), !self.inn.is_empty()));
        assert_eq!(self.credit.held(), bytes_of(&self.inn), "other bytes than wait");
    }

    fn send(&mut self, size: usize, capacity: usize) {
        let data = vec![self.salt; size];
        let before = self.datagrams.stats().send_dropped;
        let sent = self.datagrams.send(Bytes::from(data.clone()), capacity);
        let limit = capacity.saturating_sub(1).min(MAX_SIZE as usize);
        match sent {
            Err(SendDatagramError::Disabled) => assert_eq!(capacity, 0),
            Err(error) => {
                assert_eq!(error, SendDatagramError::TooLarge { size, limit });
                assert!(size > limit);
            }
            Ok(queued) => {
                assert!(size <= limit);
                let dropped = queue(&mut self.out, data, self.newest);
                assert_eq!(queued, dropped);
                let lost = match queued {
                    Queued::Kept => 0,
                    Queued::InPlaceOf(older) => older as u64,
                    Queued::Dropped => 1,
                };
                assert_eq!(self.datagrams.stats().send_dropped, before + lost);
            }
        }
    }

    fn write(&mut self, capacity: usize) {
        let (mut buf, mut receipts) = (Vec::new(), Vec::new());
        let allowance = Allowance::Everything;
        let mut packet = PacketWriter::new(&mut buf, 0, capacity, &mut receipts, allowance);
        self.datagrams.write(&mut packet);
        let _ = packet.finish();
        for frame in frames(&buf) {
            let Ok(Frame::Datagram { data }) = frame else { continue };
            // What no packet of this size holds was dropped on the way, while it was empty.
            while self.out.front().is_some_and(|front| front.len() >= capacity) {
                self.out.pop_front();
            }
            assert_eq!(self.out.pop_front().as_deref(), Some(data));
        }
        while buf.is_empty() && self.out.front().is_some_and(|front| front.len() >= capacity) {
            self.out.pop_front();
        }
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
