//! Both ends of the flow of a connection, and the packets between them, for explorers.
//!
//! [`Op`]s come from a fuzzer or a property test. After each one the invariants of the room are
//! asserted, and that neither end's view of a limit passes the other's; at the end the network
//! calms down, both ends must agree, and every stream must be able to go on.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a harness says no by panicking"
)]

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use arbitrary::Arbitrary;

use super::receiver::{Receiver, peer, receipts};
use super::{SendCredit, StreamCredit};
use crate::script;
use crate::wire::frame::SentFrame;
use crate::wire::id::{CreditTarget, Dir, StreamId};

/// Most streams of a script.
const STREAMS: u64 = 40;

/// One thing that happens. Streams and packets are numbered among those that there are; what cannot
/// be done is left out.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The sender opens a stream.
    Open,
    /// The sender sends all that one of its streams may.
    Send(u8),
    /// The sender sends a thousand bytes at most.
    SendSome(u8),
    /// The sender ends one of its streams.
    Finish(u8),
    /// The application of the receiver lets go of all that came on a stream.
    Release(u8),
    /// It wants no more of a stream.
    Abandon(u8),
    /// It wants so many thousand bytes of a stream at once.
    Request(u8, u8),
    /// It decides a stream's window, in thousands of bytes; 0 leaves it to the stream.
    Window(u8, u8),
    /// The endpoint asks the connection for this much, in thousands of bytes; 255 for all.
    AskBack(u8),
    /// Somebody else gives back what they had of the budget, and who waits tries again.
    Enrich,
    /// A packet of the sender meets its fate.
    Up(u8, Fate),
    /// A packet of the receiver meets its fate.
    Down(u8, Fate),
    /// The peer sends a byte past a stream's limit.
    Overrun(u8),
    /// The peer gives back more than it was asked for.
    Overpay(u8),
    /// So many milliseconds pass.
    Wait(u8),
}

/// A receiver with a budget that has plenty, or nothing beside its floor, and what happens.
#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    /// Whether the budget has plenty.
    pub rich: bool,
    /// What happens.
    #[arbitrary(with = script::rest)]
    pub ops: Vec<Op>,
}

/// Plays a script.
///
/// # Panics
///
/// If an invariant of the room does not hold.
pub fn run(script: &Script) {
    let receiver = if script.rich { Receiver::usual() } else { Receiver::poor() };
    let mut pair = Pair::new(receiver);
    script.ops.iter().for_each(|op| pair.step(*op));
    pair.settle();
}

/// A packet, by the receipts of its frames: they say all that the frames of this room say.
type Packet = Vec<SentFrame>;

/// A sender that keeps every rule, a receiver, and the packets between them.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) r: Receiver,
    retired: BTreeSet<StreamId>,
    connection: SendCredit,
    count: SendCredit,
    pub(super) streams: BTreeMap<StreamId, Out>,
    /// Data to be sent, anew or again.
    data: Packet,
    pub(super) up: Vec<Packet>,
    pub(super) down: Vec<Packet>,
}

#[derive(Clone, Debug)]
pub(super) struct Out {
    pub(super) credit: SendCredit,
    finished: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Open,
    Send(u64),
    /// A thousand bytes at most.
    SendSome(u64),
    Finish(u64),
    Release(u64),
    Abandon(u64),
    AskBack(u64),
    Up(usize, Fate),
    Down(usize, Fate),
}

/// What becomes of a packet.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// It is lost.
    Lost,
    /// Arrives, but its sender takes it for lost and repeats what it said.
    TakenForLost,
}

#[cfg(test)]
const FATES: [Fate; 3] = [Fate::Arrives, Fate::Lost, Fate::TakenForLost];

impl Pair {
    pub(super) fn new(r: Receiver) -> Self {
        let initial = r.connection.initial();
        Self {
            retired: BTreeSet::new(),
            connection: SendCredit::new(CreditTarget::Connection, initial.max_data),
            count: SendCredit::new(CreditTarget::Streams(Dir::Uni), initial.max_streams_uni),
            streams: BTreeMap::new(),
            data: Vec::new(),
            up: Vec::new(),
            down: Vec::new(),
            r,
        }
    }

    /// What can be done now, with at most `streams` streams and the first `packets` packets each
    /// way.
    #[cfg(test)]
    pub(super) fn acts(&self, streams: u64, packets: usize) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.count.used() < streams {
            acts.push(Act::Open);
        }
        for (id, out) in &self.streams {
            if !out.finished {
                let n = id.sequence();
                acts.extend([Act::Send(n), Act::SendSome(n), Act::Finish(n)]);
            }
        }
        for (id, stream) in &self.r.streams {
            if stream.held() > 0 {
                acts.extend([Act::Release(id.sequence()), Act::Abandon(id.sequence())]);
            }
        }
        acts.extend([Act::AskBack(u64::MAX), Act::AskBack(10_000)]);
        for fate in FATES {
            acts.extend((0..self.up.len().min(packets)).map(|n| Act::Up(n, fate)));
            acts.extend((0..self.down.len().min(packets)).map(|n| Act::Down(n, fate)));
        }
        acts
    }

    pub(super) fn act(&mut self, act: Act) {
        match act {
            Act::Open => self.open(),
            Act::Send(n) => self.send(n, u64::MAX),
            Act::SendSome(n) => self.send(n, 1000),
            Act::Finish(n) => self.finish(n),
            Act::Release(n) => {
                self.r.release(peer(Dir::Uni, n), self.r.stream(peer(Dir::Uni, n)).held())
            }
            Act::Abandon(n) => self.r.abandon(peer(Dir::Uni, n)),
            Act::AskBack(amount) => self.r.ask_back(amount),
            Act::Up(n, fate) => {
                let packet = self.up.remove(n);
                if !matches!(fate, Fate::Lost) {
                    self.receive(&packet);
                }
                self.sent(&packet, fate);
            }
            Act::Down(n, fate) => {
                let packet = self.down.remove(n);
                if !matches!(fate, Fate::Lost) {
                    self.answer(&packet);
                }
                self.granted(&packet, fate);
            }
        }
        self.tidy();
        self.flush();
        self.check();
    }

    /// Does one thing and checks.
    fn step(&mut self, op: Op) {
        match op {
            Op::Open if self.count.used() < STREAMS => self.act(Act::Open),
            Op::Send(n) => self.on_sending(n, Act::Send),
            Op::SendSome(n) => self.on_sending(n, Act::SendSome),
            Op::Finish(n) => self.on_sending(n, Act::Finish),
            Op::Release(n) => self.on_held(n, Act::Release),
            Op::Abandon(n) => self.on_held(n, Act::Abandon),
            Op::Request(n, thousands) => self.on_receiving(n, |r, id| {
                let end = r.stream(id).highest() + u64::from(thousands) * 1000;
                r.request(id, end);
            }),
            Op::Window(n, thousands) => self.on_receiving(n, |r, id| match thousands {
                0 => r.auto(id),
                _ => r.fix(id, u64::from(thousands) * 1000),
            }),
            Op::AskBack(u8::MAX) => self.act(Act::AskBack(u64::MAX)),
            Op::AskBack(thousands) => self.act(Act::AskBack(u64::from(thousands) * 1000)),
            Op::Enrich => self.r.enrich(),
            Op::Up(n, fate) if !self.up.is_empty() => {
                self.act(Act::Up(usize::from(n) % self.up.len(), fate));
            }
            Op::Down(n, fate) if !self.down.is_empty() => {
                self.act(Act::Down(usize::from(n) % self.down.len(), fate));
            }
            Op::Overrun(n) => self.on_receiving(n, |r, id| {
                r.wrong(id, |s, c, b, now| {
                    s.on_data(s.limit() + 1, c, b, now).is_err()
                        && s.on_final(s.limit() + 1, c, b, now).is_err()
                });
            }),
            Op::Overpay(n) => self.on_receiving(n, |r, id| {
                r.wrong(id, |s, c, b, _| s.on_returned(1 << 61, c, b).is_err());
            }),
            Op::Wait(ms) => self.r.now = self.r.now + Duration::from_millis(ms.into()),
            Op::Open | Op::Up(..) | Op::Down(..) => {}
        }
        self.tidy();
        self.flush();
        self.check();
    }

    fn on_sending(&mut self, n: u8, act: fn(u64) -> Act) {
        let open = self.streams.iter().filter(|(_, out)| !out.finished);
        if let Some(id) = nth(open.map(|(id, _)| *id), n) {
            self.act(act(id.sequence()));
        }
    }

    fn on_held(&mut self, n: u8, act: fn(u64) -> Act) {
        let held = self.r.streams.values().filter(|stream| stream.held() > 0);
        if let Some(id) = nth(held.map(StreamCredit::id), n) {
            self.act(act(id.sequence()));
        }
    }

    fn on_receiving(&mut self, n: u8, verb: impl FnOnce(&mut Receiver, StreamId)) {
        if let Some(id) = nth(self.r.streams.keys().copied(), n) {
            verb(&mut self.r, id);
        }
    }

    fn open(&mut self) {
        if self.count.available() == 0 {
            self.count.on_blocked();
            return;
        }
        let id = peer(Dir::Uni, self.count.used());
        self.count.consume(1);
        let credit =
            SendCredit::new(CreditTarget::Stream(id), self.r.connection.initial().max_stream_data);
        self.streams.insert(id, Out { credit, finished: false });
        self.data.push(SentFrame::Stream { id, range: 0..0, fin: false });
    }

    fn send(&mut self, n: u64, most: u64) {
        let id = peer(Dir::Uni, n);
        let out = self.streams.get_mut(&id).expect("open");
        let bytes = most.min(out.credit.available()).min(self.connection.available());
        if bytes == 0 {
            out.credit.on_blocked();
            self.connection.on_blocked();
            return;
        }
        let from = out.credit.used();
        out.credit.consume(bytes);
        self.connection.consume(bytes);
        self.data.push(SentFrame::Stream { id, range: from..from + bytes, fin: false });
    }

    fn finish(&mut self, n: u64) {
        let id = peer(Dir::Uni, n);
        let out = self.streams.get_mut(&id).expect("open");
        out.finished = true;
        let end = out.credit.used();
        self.data.push(SentFrame::Stream { id, range: end..end, fin: true });
    }

    /// Both ends write what they have.
    pub(super) fn flush(&mut self) {
        let mut up = core::mem::take(&mut self.data);
        up.extend(receipts(|packet| {
            self.connection.write(packet);
            self.count.write(packet);
            self.streams.values_mut().for_each(|out| out.credit.write(packet));
        }));
        self.up.extend((!up.is_empty()).then_some(up));
        let down = receipts(|packet| {
            self.r.connection.write(packet);
            self.r.streams.values_mut().for_each(|stream| stream.write(packet));
        });
        self.down.extend((!down.is_empty()).then_some(down));
    }

    /// The receiver gets a packet. An honest peer is never in the wrong.
    fn receive(&mut self, packet: &Packet) {
        for frame in packet {
            match frame {
                SentFrame::Stream { id, range, fin } if !self.retired.contains(id) => {
                    if !self.r.streams.contains_key(id) {
                        self.r.open(*id);
                    }
                    self.r.data(*id, range.end).expect("inside its credit");
                    if *fin {
                        self.r.finish(*id, range.end).expect("a true end");
                    }
                }
                SentFrame::StreamDataBlocked(id, limit) if self.r.streams.contains_key(id) => {
                    self.r.blocked(*id, *limit);
                }
                SentFrame::StreamsBlocked(dir, limit) => {
                    let Receiver { connection, budget, .. } = &mut self.r;
                    connection.on_streams_blocked(*dir, *limit, budget);
                }
                SentFrame::CreditReturned(CreditTarget::Stream(id), _)
                    if !self.r.streams.contains_key(id) => {}
                SentFrame::CreditReturned(target, total) => {
                    self.r.returned(*target, *total).expect("asked for");
                }
                _ => {}
            }
        }
    }

    /// The sender gets a packet.
    fn answer(&mut self, packet: &Packet) {
        for frame in packet {
            match *frame {
                SentFrame::MaxData(limit) => _ = self.connection.on_max(limit),
                SentFrame::MaxStreams(Dir::Uni, limit) => _ = self.count.on_max(limit),
                SentFrame::MaxStreamData(id, limit) => {
                    let out = self.streams.get_mut(&id).expect("open");
                    out.credit.on_max(limit);
                }
                SentFrame::CreditRecall(CreditTarget::Connection, total) => {
                    self.connection.on_recall(total);
                }
                SentFrame::CreditRecall(CreditTarget::Streams(Dir::Uni), total) => {
                    self.count.on_recall(total);
                }
                // The bidirectional ones are never used here: all that is asked comes back.
                SentFrame::CreditRecall(target @ CreditTarget::Streams(Dir::Bi), total) => {
                    self.data.push(SentFrame::CreditReturned(target, total));
                }
                SentFrame::CreditRecall(CreditTarget::Stream(id), total) => {
                    self.streams.get_mut(&id).expect("open").credit.on_recall(total);
                }
                _ => {}
            }
        }
    }

    fn sent(&mut self, packet: &Packet, fate: Fate) {
        for frame in packet {
            let arrived = matches!(fate, Fate::Arrives);
            match frame {
                SentFrame::Stream { .. }
                | SentFrame::CreditReturned(CreditTarget::Streams(Dir::Bi), _) => {
                    self.data.extend((!arrived).then(|| frame.clone()));
                }
                _ => {
                    let streams = self.streams.values_mut().map(|out| &mut out.credit);
                    for credit in streams.chain([&mut self.connection, &mut self.count]) {
                        if arrived { credit.on_acked(frame) } else { credit.on_lost(frame) }
                    }
                }
            }
        }
    }

    fn granted(&mut self, packet: &Packet, fate: Fate) {
        let now = self.r.now;
        for frame in packet {
            if matches!(fate, Fate::Arrives) {
                self.r.connection.on_acked(frame, now);
                self.r.streams.values_mut().for_each(|stream| stream.on_acked(frame));
            } else {
                self.r.connection.on_lost(frame);
                self.r.streams.values_mut().for_each(|stream| stream.on_lost(frame));
            }
        }
    }

    /// Streams that are over go.
    fn tidy(&mut self) {
        let over: Vec<_> =
            self.r.streams.values().filter(|s| s.is_final() && s.held() == 0).collect();
        for id in over.iter().map(|s| s.id()).collect::<Vec<_>>() {
            self.r.retire(id);
            self.retired.insert(id);
        }
    }

    /// What holds at each moment, whatever is under way.
    fn check(&self) {
        self.r.check();
        self.connection.check();
        self.count.check();
        assert!(self.connection.limit() <= self.r.connection.limit(), "the connection's views");
        for (id, out) in &self.streams {
            out.credit.check();
            if let Some(stream) = self.r.streams.get(id).filter(|s| !s.is_final()) {
                assert!(out.credit.limit() <= stream.limit(), "a stream's views");
            }
        }
    }

    /// Everything arrives, until nobody has anything to say.
    pub(super) fn calm(&mut self) {
        for _ in 0..100 + 4 * (self.up.len() + self.down.len()) {
            self.tidy();
            self.flush();
            if let Some(packet) = (!self.up.is_empty()).then(|| self.up.remove(0)) {
                self.receive(&packet);
                self.sent(&packet, Fate::Arrives);
            } else if let Some(packet) = (!self.down.is_empty()).then(|| self.down.remove(0)) {
                self.answer(&packet);
                self.granted(&packet, Fate::Arrives);
            } else {
                return;
            }
            self.check();
        }
        panic!("the two ends talk for ever");
    }

    /// The network calms down: both ends agree, nobody owes an answer, and every stream can go on.
    pub(super) fn settle(mut self) {
        self.calm();
        let initial = self.r.connection.initial();
        assert_eq!(self.connection.limit(), self.r.connection.limit());
        assert_eq!(self.r.connection.deadline(Duration::ZERO), None, "an answer is owed");
        assert!(self.count.limit() <= initial.max_streams_uni);
        for (id, stream) in &self.r.streams {
            if stream.is_final() || stream.is_abandoned() {
                continue;
            }
            assert_eq!(self.streams[id].credit.limit(), stream.limit());
        }
        // The reader reads; the sender wants to go on.
        for id in self.r.streams.keys().copied().collect::<Vec<_>>() {
            let held = self.r.stream(id).held();
            if held > 0 {
                self.r.release(id, held);
            }
        }
        self.calm();
        let going: Vec<_> =
            self.streams.iter().filter(|(_, out)| !out.finished).map(|(id, _)| *id).collect();
        for id in &going {
            if self.streams[id].credit.available() == 0 {
                self.send(id.sequence(), u64::MAX);
            }
        }
        self.calm();
        let mut sum = 0;
        for id in &going {
            let wanted = self.r.streams.get(id).is_none_or(|s| !s.is_abandoned());
            let available = self.streams[id].credit.available();
            assert!(available > 0 || !wanted, "{id:?} is stuck");
            sum += available;
        }
        assert!(sum <= self.connection.available(), "streams wait for each other");
    }
}

fn nth<T>(of: impl Iterator<Item = T> + Clone, n: u8) -> Option<T> {
    let count = of.clone().count();
    of.clone().nth(usize::from(n).checked_rem(count)?)
}
