//! One pipe of the core between one source and one leg, driven by hand, with no network around it:
//! frames go in, packets come out, and what is in neither is what the pipe holds back.

use std::ops::Range;
use std::time::Duration;

use aqueduct_core::flow::{Budget, BudgetLimits, RecvCredit, RecvLimits, SendCredit};
use aqueduct_core::pipe::{LegEnd, LegIndex, LegPath, LegPolicy, Pipe, PipeOptions};
use aqueduct_core::stream::{
    Accepted, OpenOptions, PeerLimits, RecvAccount, StreamConfig, StreamProtocol, Streams,
};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::frame::{Frame, SentFrame, StreamFrame, frames};
use aqueduct_core::wire::id::{CreditTarget, Dir, Side, StreamId};
use aqueduct_core::wire::open::{OpenFrame, Protocol};
use aqueduct_core::wire::packet::{Allowance, PacketWriter};

/// The source's stream.
pub const FROM: StreamId = StreamId::new(Side::Initiator, Dir::Uni, 0);
const NOW: Instant = Instant::from_nanos(1_000_000_000);
/// Frames of a packet of the leg, in bytes.
const PACKET: usize = 1420;
const RTT: Duration = Duration::from_millis(10);
const PATH: LegPath = LegPath { pto: Duration::from_millis(30), rtt: RTT };
/// All the credit in the world.
const ALL: u64 = 1 << 60;

/// The streams of one connection and what they count against.
struct End {
    streams: Streams,
    recv: RecvCredit,
    budget: Budget,
    send: SendCredit,
}

impl End {
    fn new(side: Side, memory: u64) -> Self {
        let limits = BudgetLimits::new(memory, 1).expect("a lawful budget");
        let mut budget = Budget::new(limits);
        let share = budget.open().expect("room for one");
        let recv = RecvCredit::new(share, side, RecvLimits::default());
        let mut streams = Streams::new(side, StreamConfig::default());
        streams.set_peer_limits(PeerLimits {
            max_stream_data: ALL,
            max_streams_bidi: 1,
            max_streams_uni: 1,
        });
        let mut send = SendCredit::new(CreditTarget::Connection, 0);
        send.on_max(ALL);
        Self { streams, recv, budget, send }
    }

    fn account(&mut self) -> (&mut Streams, RecvAccount<'_>) {
        let Self { streams, recv, budget, .. } = self;
        (streams, RecvAccount { credit: recv, budget, now: NOW })
    }

    fn hear(&mut self, frame: &Frame<'_>) {
        let (streams, mut account) = self.account();
        let accepted = streams.on_frame(frame, &mut account).expect("a lawful frame");
        assert_eq!(accepted, Accepted::Yes, "the source has no room");
    }
}

/// A pipe with one leg, whose peer has all the credit in the world and acknowledges at once.
pub struct Conduit {
    /// The machine.
    pub pipe: Pipe,
    source: End,
    leg: End,
    index: LegIndex,
    to: StreamId,
    /// Whether the leg's peer acknowledges.
    stalls: bool,
    payload: Vec<u8>,
    receipts: Vec<SentFrame>,
}

impl Conduit {
    /// A pipe whose source may have so many bytes under way.
    ///
    /// # Panics
    /// If that is more than a stream is granted.
    pub fn new(window: u64) -> Self {
        let mut source = End::new(Side::Responder, 4 * window);
        source.hear(&Frame::Open(OpenFrame::new(FROM, Protocol::Number(64))));
        let mut pipe = Pipe::new(0, PipeOptions { stock: window, ..PipeOptions::default() }, NOW);
        let (streams, account) = source.account();
        let mut stream = streams.recv(FROM, account).expect("it was announced");
        pipe.begin(&mut stream);
        assert!(stream.covered() >= window, "the budget is too small");
        drop(stream);
        let mut leg = End::new(Side::Initiator, 1 << 20);
        let (streams, mut account) = leg.account();
        let options = OpenOptions::new(StreamProtocol::Number(64));
        let to = streams.open(Dir::Uni, options, &mut account).expect("a stream");
        let index = pipe.add_leg(0..u64::MAX, LegPolicy::Stall).expect("a first leg");
        let (payload, receipts) = (Vec::new(), Vec::new());
        Self { pipe, source, leg, index, to, stalls: false, payload, receipts }
    }

    /// From now on nothing of the leg is acknowledged.
    pub fn stall(&mut self) {
        self.stalls = true;
    }

    /// The offset that the source must not pass now.
    pub fn limit(&self) -> u64 {
        self.source.streams.credits().map(|credit| credit.limit()).max().unwrap_or(0)
    }

    /// Bytes arrive, and the endpoint has its turn; `sees` is given what leaves by the leg.
    ///
    /// # Panics
    /// If the source has no room for them.
    pub fn arrive(&mut self, offset: u64, data: &[u8], sees: impl FnMut(u64, &[u8])) {
        self.source.hear(&Frame::Stream(StreamFrame { id: FROM, offset, data, fin: false }));
        self.turn(sees);
    }

    /// Word arrives that bytes will never come, and the endpoint has its turn.
    ///
    /// # Panics
    /// If the source has no room for it.
    pub fn skip(&mut self, range: Range<u64>) {
        self.wait_with(&Frame::Skip { id: FROM, range });
        self.turn(|_, _| {});
    }

    /// A frame of the source arrives, and nobody looks.
    ///
    /// # Panics
    /// If the source has no room for it.
    pub fn wait_with(&mut self, frame: &Frame<'_>) {
        self.source.hear(frame);
    }

    /// The source's end arrives. Returns how the leg ended.
    ///
    /// # Panics
    /// If the leg has not ended then.
    pub fn finish(&mut self, size: u64) -> LegEnd {
        let end = StreamFrame { id: FROM, offset: size, data: &[], fin: true };
        self.source.hear(&Frame::Stream(end));
        self.turn(|_, _| {});
        self.turn(|_, _| {});
        self.pipe.next_ended().expect("its end was acknowledged").end
    }

    /// What an endpoint does with news of the source, and with an acknowledgement of the leg.
    pub fn turn(&mut self, mut sees: impl FnMut(u64, &[u8])) {
        let (streams, account) = self.source.account();
        if let Some(mut stream) = streams.recv(FROM, account) {
            self.pipe.pull(&mut stream, NOW);
        }
        self.push();
        while !self.stalls && self.send(&mut sees) {}
        self.push();
        let (streams, account) = self.source.account();
        self.pipe.settle(streams.recv(FROM, account).as_mut(), RTT, NOW);
    }

    fn push(&mut self) {
        match self.leg.streams.send(self.to) {
            Some(mut out) => self.pipe.push(self.index, &mut out, PATH, NOW),
            None => self.pipe.on_leg_gone(self.index),
        }
    }

    /// A packet of the leg leaves and is acknowledged. False if there was none.
    fn send(&mut self, sees: &mut impl FnMut(u64, &[u8])) -> bool {
        self.payload.clear();
        let (payload, receipts) = (&mut self.payload, &mut self.receipts);
        let mut writer = PacketWriter::new(payload, 0, PACKET, receipts, Allowance::Everything);
        self.leg.streams.write(&mut writer, &mut self.leg.send);
        if writer.finish().len == 0 {
            return false;
        }
        for frame in frames(&self.payload) {
            if let Frame::Stream(frame) = frame.expect("our own frames decode") {
                sees(frame.offset, frame.data);
            }
        }
        let End { streams, recv, budget, .. } = &mut self.leg;
        let mut account = RecvAccount { credit: recv, budget, now: NOW };
        for receipt in self.receipts.drain(..) {
            streams.on_acked(&receipt, &mut account);
        }
        true
    }
}
