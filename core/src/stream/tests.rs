//! Two ends that exchange frames: first the harness, then the rules one by one.

use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::exercise::bytes;
use super::*;
use crate::error::{TransportCode, Violation};
use crate::flow::{BudgetLimits, RecvLimits};
use crate::wire::frame::{Frame, ResetFrame, SentFrame, StopFrame, StreamFrame, frames};
use crate::wire::open::{OpenFrame, Protocol};
use crate::wire::packet::{Allowance, PacketWriter};
use crate::wire::varint;

mod counted;
mod ends;
mod limits;
mod rules;
mod seen;
mod taped;
mod together;
mod watch;

/// One end of a connection, as far as streams go.
struct End {
    streams: Streams,
    /// What the peer allows on the connection.
    send: SendCredit,
    recv: RecvCredit,
    budget: Budget,
    now: Instant,
}

/// A packet under way.
#[derive(Clone, Debug)]
struct Packet {
    payload: Vec<u8>,
    receipts: Vec<SentFrame>,
}

impl End {
    fn open(&mut self, dir: Dir, options: OpenOptions) -> Result<StreamId, OpenError> {
        let Self { streams, recv, budget, now, .. } = self;
        streams.open(dir, options, &mut RecvAccount { credit: recv, budget, now: *now })
    }

    fn uni(&mut self) -> StreamId {
        self.open(Dir::Uni, plain()).unwrap()
    }

    fn send(&mut self, id: StreamId) -> SendStream<'_> {
        self.streams.send(id).expect("a half that sends")
    }

    fn recv(&mut self, id: StreamId) -> RecvStream<'_> {
        let Self { streams, recv, budget, now, .. } = self;
        let account = RecvAccount { credit: recv, budget, now: *now };
        streams.recv(id, account).expect("a half that receives")
    }

    fn write(&mut self, id: StreamId, data: &'static [u8]) {
        assert_eq!(self.send(id).write(Bytes::from_static(data)), Ok(data.len()));
    }

    /// The next packet, with room for `capacity` bytes of frames.
    fn packet_of(&mut self, capacity: usize) -> Option<Packet> {
        let (mut payload, mut receipts) = (Vec::new(), Vec::new());
        let mut writer =
            PacketWriter::new(&mut payload, 0, capacity, &mut receipts, Allowance::Everything);
        self.recv.write(&mut writer);
        self.send.write(&mut writer);
        let expected = self.streams.may_write(&self.send);
        let before = writer.len();
        self.streams.write(&mut writer, &mut self.send);
        assert!(expected || writer.len() == before, "the hint said there is nothing");
        let written = writer.finish();
        self.streams.check(&self.recv);
        (written.len > 0).then_some(Packet { payload, receipts })
    }

    fn packet(&mut self) -> Option<Packet> {
        self.packet_of(1171)
    }

    /// A packet came. Says whether it may be acknowledged.
    fn receive(&mut self, packet: &Packet) -> Result<bool, Violation> {
        let mut accepted = true;
        for frame in frames(&packet.payload) {
            accepted &= self.frame(&frame.expect("our own frames decode"))? == Accepted::Yes;
        }
        Ok(accepted)
    }

    /// A frame that must be taken.
    fn take(&mut self, frame: &Frame<'_>) {
        assert_eq!(self.frame(frame), Ok(Accepted::Yes));
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<Accepted, Violation> {
        let Self { streams, send, recv, budget, now } = self;
        match frame {
            Frame::MaxData { limit } => _ = send.on_max(*limit),
            Frame::CreditRecall { target: CreditTarget::Connection, total } => {
                send.on_recall(*total);
            }
            Frame::StreamsBlocked { dir, limit } => recv.on_streams_blocked(*dir, *limit, budget),
            Frame::CreditReturned { target, total }
                if !matches!(target, CreditTarget::Stream(_)) =>
            {
                recv.on_returned(*target, *total, budget)?;
            }
            _ => {
                let mut account = RecvAccount { credit: recv, budget, now: *now };
                let accepted = streams.on_frame(frame, &mut account)?;
                streams.check(recv);
                return Ok(accepted);
            }
        }
        Ok(Accepted::Yes)
    }

    fn settle(&mut self, receipts: &[SentFrame], acked: bool) {
        for frame in receipts {
            let Self { streams, send, recv, budget, now } = self;
            if acked {
                streams.on_acked(frame, &mut RecvAccount { credit: recv, budget, now: *now });
                send.on_acked(frame);
                recv.on_acked(frame, *now);
            } else {
                streams.on_lost(frame);
                send.on_lost(frame);
                recv.on_lost(frame);
            }
        }
        self.streams.check(&self.recv);
    }

    fn events(&mut self) -> Vec<StreamEvent> {
        let mut events = vec![];
        while self.streams.has_news() {
            events.extend(self.streams.poll_event());
        }
        assert_eq!(self.streams.poll_event(), None, "it said that there is nothing");
        events
    }

    /// Reads all that is there in order.
    fn read(&mut self, id: StreamId) -> (Vec<u8>, Result<(), ReadError>) {
        let mut text = vec![];
        let mut stream = self.recv(id);
        loop {
            match stream.read_chunk(usize::MAX) {
                Ok(Some(chunk)) => {
                    text.extend_from_slice(&chunk.data);
                    stream.release(chunk.data.len() as u64);
                }
                Ok(None) => return (text, Ok(())),
                Err(error) => return (text, Err(error)),
            }
        }
    }
}

/// Two ends. The first is the initiator.
struct Pair {
    a: End,
    b: End,
}

impl Pair {
    fn new() -> Self {
        Self::with(64 * 1024 * 1024, StreamConfig::default())
    }

    /// Ends with a budget of `total` bytes each, for one connection.
    fn with(total: u64, config: StreamConfig) -> Self {
        let end = |side| {
            let mut budget = Budget::new(BudgetLimits::new(total, 1).unwrap());
            let share = budget.open().unwrap();
            let recv = RecvCredit::new(share, side, RecvLimits::default());
            End {
                streams: Streams::new(side, config),
                send: SendCredit::new(CreditTarget::Connection, 0),
                recv,
                budget,
                now: Instant::from_nanos(1_000_000),
            }
        };
        let (mut a, mut b) = (end(Side::Initiator), end(Side::Responder));
        let granted = [b.recv.initial(), a.recv.initial()];
        for (to, from) in [&mut a, &mut b].into_iter().zip(granted) {
            to.send.on_max(from.max_data);
            to.streams.set_peer_limits(PeerLimits {
                max_stream_data: from.max_stream_data,
                max_streams_bidi: from.max_streams_bidi,
                max_streams_uni: from.max_streams_uni,
            });
        }
        Self { a, b }
    }

    /// One packet from the first end to the second, and its acknowledgement. False if there was
    /// none.
    fn step_a(&mut self) -> bool {
        step(&mut self.a, &mut self.b)
    }

    fn step_b(&mut self) -> bool {
        step(&mut self.b, &mut self.a)
    }

    /// Packets both ways until nobody has anything to say.
    fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.step_a() & !self.step_b() {
                return;
            }
        }
        panic!("they never fall silent");
    }
}

fn step(from: &mut End, to: &mut End) -> bool {
    let Some(packet) = from.packet() else { return false };
    let accepted = to.receive(&packet).expect("no rule is broken");
    from.settle(&packet.receipts, accepted);
    true
}

fn plain() -> OpenOptions {
    OpenOptions::new(StreamProtocol::Number(64))
}

fn open_frame(id: StreamId) -> Frame<'static> {
    Frame::Open(OpenFrame::new(id, Protocol::Number(64)))
}

fn data(id: StreamId, offset: u64, data: &[u8], fin: bool) -> Frame<'_> {
    Frame::Stream(StreamFrame { id, offset, data, fin })
}

fn reset(id: StreamId, final_size: u64, reliable_size: u64) -> Frame<'static> {
    let code = AppCode(7);
    Frame::Reset(ResetFrame { id, code, hop: 2, final_size, reliable_size })
}

fn peer(dir: Dir, sequence: u64) -> StreamId {
    StreamId::new(Side::Initiator, dir, sequence)
}

fn code(result: Result<Accepted, Violation>) -> TransportCode {
    result.expect_err("a rule is broken").code
}
