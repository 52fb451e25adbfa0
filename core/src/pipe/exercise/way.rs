//! The streams of a pipe, each on a connection of its own, and what the peer behind one has.

use alloc::vec::Vec;
use core::ops::Range;

use crate::flow::{Budget, BudgetLimits, RecvCredit, RecvLimits, SendCredit};
use crate::pipe::{LegEnd, LegIndex};
use crate::stream::exercise::byte;
use crate::stream::{Accepted, PeerLimits, RecvAccount, StreamConfig, Streams};
use crate::time::Instant;
use crate::wire::frame::{Frame, ResetFrame, SentFrame, StreamFrame, frames};
use crate::wire::id::{CreditTarget, Side, StreamId};
use crate::wire::packet::{Allowance, PacketWriter};

/// One connection's streams and what they count against.
pub(super) struct End {
    pub(super) streams: Streams,
    recv: RecvCredit,
    budget: Budget,
    send: SendCredit,
}

impl End {
    pub(super) fn new(side: Side) -> Self {
        Self::within(1 << 24, side)
    }

    pub(super) fn within(memory: u64, side: Side) -> Self {
        let limits = BudgetLimits::new(memory, 1).expect("a lawful budget");
        let mut budget = Budget::new(limits);
        let share = budget.open().expect("room for one");
        let recv = RecvCredit::new(share, side, RecvLimits::default());
        let mut streams = Streams::new(side, StreamConfig::default());
        streams.set_peer_limits(PeerLimits {
            max_stream_data: 1000,
            max_streams_bidi: 1,
            max_streams_uni: 1,
        });
        let mut send = SendCredit::new(CreditTarget::Connection, 0);
        send.on_max(u64::MAX >> 2);
        Self { streams, recv, budget, send }
    }

    pub(super) fn account(&mut self, now: Instant) -> (&mut Streams, RecvAccount<'_>) {
        let Self { streams, recv, budget, .. } = self;
        (streams, RecvAccount { credit: recv, budget, now })
    }

    /// Whether it was taken, and not as good as lost.
    pub(super) fn frame(&mut self, frame: &Frame<'_>, now: Instant) -> bool {
        let (streams, mut account) = self.account(now);
        streams.on_frame(frame, &mut account).expect("a lawful frame") == Accepted::Yes
    }

    pub(super) fn packet(&mut self) -> Option<(Vec<u8>, Vec<SentFrame>)> {
        let (mut payload, mut receipts) = (Vec::new(), Vec::new());
        let mut writer =
            PacketWriter::new(&mut payload, 0, 1171, &mut receipts, Allowance::Everything);
        self.streams.write(&mut writer, &mut self.send);
        (writer.finish().len > 0).then_some((payload, receipts))
    }
}

/// What became of one byte of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
    #[default]
    Unknown,
    Here,
    Never,
}

/// All below has a fate.
pub(super) fn contiguous(fates: &[Fate], start: u64) -> u64 {
    let known = fates.iter().skip(start as usize).take_while(|fate| **fate != Fate::Unknown);
    start + known.count() as u64
}

/// A leg, and what its peer has.
pub struct Way {
    pub(super) end: End,
    pub(super) id: StreamId,
    /// Its number in the pipe.
    pub index: LegIndex,
    /// What of the body it may get.
    pub range: Range<u64>,
    pub(super) got: Vec<Fate>,
    /// FIN came, and said this size.
    pub size: Option<u64>,
    /// RESET came.
    pub reset: Option<ResetFrame>,
    /// How the pipe says that it ended.
    pub ended: Option<LegEnd>,
    /// Its connection lives.
    pub(super) alive: bool,
    pub(super) limit: u64,
}

impl Way {
    /// The peer has all below.
    pub fn acked(&self) -> u64 {
        contiguous(&self.got, self.range.start)
    }

    pub(super) fn hear(&mut self, payload: &[u8]) {
        for frame in frames(payload) {
            match frame.expect("our own frames decode") {
                Frame::Stream(StreamFrame { offset, data, fin, .. }) => {
                    let end = offset + data.len() as u64;
                    assert!(end <= self.range.start + self.limit, "credit was kept");
                    self.enter(offset..end, Fate::Here);
                    let right = (offset..end).map(|at| byte(at, 0));
                    assert!(right.eq(data.iter().copied()), "wrong bytes at {offset}");
                    if fin {
                        assert!(self.size.is_none_or(|size| size == end), "two sizes");
                        self.size = Some(end);
                    }
                }
                Frame::Skip { range, .. } => self.enter(range, Fate::Never),
                Frame::Reset(reset) => self.reset = Some(reset),
                _ => {}
            }
        }
    }

    fn enter(&mut self, range: Range<u64>, fate: Fate) {
        assert!(self.range.start <= range.start && range.end <= self.range.end, "{range:?}");
        for at in range {
            let slot = self.got.get_mut(at as usize).expect("inside of the body");
            assert_eq!(*slot, Fate::Unknown, "offset {at} comes twice");
            *slot = fate;
        }
    }
}
