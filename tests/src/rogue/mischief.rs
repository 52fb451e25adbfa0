//! What a rogue does: one kind of rule is broken, the others are more or less kept.

use std::net::SocketAddr;

use aqueduct_core::range_set::RangeSet;
use aqueduct_core::wire::ack::AckFrame;
use aqueduct_core::wire::capabilities::Capabilities;
use aqueduct_core::wire::frame::{Frame, MAX_STREAM_COUNT, NewCidFrame, ResetFrame, StopFrame};
use aqueduct_core::wire::frame::{StreamFrame, frames};
use aqueduct_core::wire::id::{AppCode, ConnectionId, CreditTarget, Dir, StreamId};
use aqueduct_core::wire::open::{OpenFrame, Protocol};
use aqueduct_core::wire::params::Params;

use super::encoded;
use crate::byzantine::{Byzantine, numbers};
use crate::dice::Dice;

/// The largest number on the wire.
const MAX: u64 = (1 << 62) - 1;
/// Bytes of frames in a packet, about.
const FULL: usize = 1_000;

/// A kind of rule that a rogue breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mischief {
    /// Acknowledges packets that were never sent.
    AcksUnsent,
    /// Acknowledges everything up to what it saw last, and more than that in time.
    AcksBlindly,
    /// Acknowledges nothing, and goes on talking.
    Mute,
    /// Acknowledges packets without content, and no others: as a way that carries small packets.
    Picky,
    /// Sends single bytes with gaps between.
    Crumbs,
    /// Passes limits at every door: counts of streams, credit of streams, of the connection.
    Doors,
    /// Opens streams and resets them, as fast as it may.
    OpensAndResets,
    /// Challenges paths, from here and there.
    Challenges,
    /// Gives and retires connection ids.
    Ids,
    /// Changes its keys with every packet.
    Keys,
    /// Sends units with nothing in them.
    Empties,
    /// Lies about windows and credit.
    Windows,
    /// Announces parameters that contradict each other, or are as small as can be.
    Params,
    /// Says anything at all.
    Babble,
    /// Opens streams that go on through its victim, and gives them holes, false ends and resets.
    Smuggles,
}

/// The protocol of streams that go on wherever there is a way on.
pub const ONWARD: &[u8] = b"onward";
/// What a smuggled stream has in its head, in place of the number of a text.
pub const SMUGGLED: u64 = 1 << 62;
/// Streams that are smuggled at a time, at most.
const LOADS: usize = 4;

impl Mischief {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::AcksUnsent,
        Self::AcksBlindly,
        Self::Mute,
        Self::Crumbs,
        Self::Doors,
        Self::OpensAndResets,
        Self::Challenges,
        Self::Ids,
        Self::Keys,
        Self::Empties,
        Self::Windows,
        Self::Params,
        Self::Babble,
        Self::Picky,
        Self::Smuggles,
    ];

    /// What it says that it can: who sends things on must have said so.
    pub(super) fn can(self) -> Capabilities {
        match self {
            Self::Smuggles => Capabilities::STREAMING.and(Capabilities::PIPING),
            _ => Capabilities::default(),
        }
    }

    /// What it announces in a handshake.
    pub(super) fn params(self, dice: &mut Dice) -> Params {
        let mut params = Params::default();
        if self != Self::Params {
            return params;
        }
        match dice.below(9) {
            0 => params.initial_max_stream_data = params.initial_max_data + 1,
            1 => params.max_streams_uni = MAX_STREAM_COUNT + 1,
            2 => (params.idle_timeout_ms, params.max_ack_delay_us) = (1, 1_000),
            3 => params.active_cid_limit = dice.below(2),
            4 => params.max_packet_size = dice.below(1_200),
            5 => (params.initial_max_data, params.initial_max_stream_data) = (1, 1),
            6 => (params.max_streams_bidi, params.max_streams_uni) = (0, 0),
            7 => (params.max_packet_size, params.max_datagram_frame) = (1_200, 1),
            _ => (params.idle_timeout_ms, params.max_ack_delay_us) = (50, 0),
        }
        params
    }

    /// One turn: packets, each from the first home or the second.
    pub(super) fn turn(self, talk: &mut Talk, dice: &mut Dice) -> Vec<(usize, Vec<u8>)> {
        talk.round += 1;
        let mut said = Vec::new();
        for (home, token) in std::mem::take(&mut talk.owed) {
            let answer = talk.peer.packet(&encoded(&[Frame::PathResponse { token }]));
            said.push((home, answer));
        }
        for (target, total) in std::mem::take(&mut talk.returned) {
            let given = Frame::CreditReturned { target, total };
            said.push((0, talk.peer.packet(&encoded(&[given]))));
        }
        match self {
            Self::AcksBlindly | Self::Mute => {}
            Self::Picky => said.extend(talk.acknowledge(&talk.bare.clone())),
            _ => said.extend(talk.acknowledge(&talk.peer.received.clone())),
        }
        for _ in 0..1 + dice.below(3) {
            let plaintext = self.speech(talk, dice);
            if self == Self::Keys {
                talk.peer.sealer.update();
            }
            let wanders = matches!(self, Self::Challenges | Self::Ids);
            let home = usize::from(wanders && dice.one_in(5));
            said.push((home, talk.peer.packet(&plaintext)));
        }
        said
    }

    /// The frames of one packet.
    fn speech(self, talk: &mut Talk, dice: &mut Dice) -> Vec<u8> {
        match self {
            Self::AcksUnsent if dice.one_in(20) => {
                numbers(&[0x02, talk.largest() + 1 + dice.below(1_000), 0, 0, 0])
            }
            Self::AcksUnsent | Self::Keys | Self::Params => encoded(&[Frame::Ping]),
            Self::AcksBlindly => talk.all_acknowledged(dice),
            Self::Mute | Self::Picky if talk.round > 5 => talk.greedy(),
            Self::Mute | Self::Picky => encoded(&[Frame::Ping]),
            Self::Crumbs => talk.crumbs(dice),
            Self::Doors => talk.beyond(dice),
            Self::OpensAndResets => talk.opened_and_reset(),
            Self::Challenges => {
                let token = |_| Frame::PathChallenge { token: dice.next().to_be_bytes() };
                encoded(&(0..60).map(token).collect::<Vec<_>>())
            }
            Self::Ids => talk.ids(dice),
            Self::Empties => talk.nothings(dice),
            Self::Windows => talk.lies(dice),
            Self::Smuggles => talk.smuggled(dice),
            Self::Babble => {
                let kinds = 0x24;
                let len = dice.below(FULL as u64);
                let first = dice.below(kinds) as u8;
                [first].into_iter().chain((0..len).map(|_| dice.next() as u8)).collect()
            }
        }
    }
}

/// A rogue's side of one connection.
pub struct Talk {
    /// Its keys.
    pub peer: Byzantine,
    /// Where the other is.
    pub with: SocketAddr,
    pub(super) round: u64,
    /// Challenges to answer, and from which home.
    owed: Vec<(usize, [u8; 8])>,
    /// Credit that it was asked back, and gives.
    returned: Vec<(CreditTarget, u64)>,
    /// Packets that came with nothing in them but PING and ACK.
    bare: RangeSet,
    /// Streams that it may open, and has opened.
    allowed: [u64; 2],
    opened: [u64; 2],
    /// Streams that go on.
    loads: Vec<StreamId>,
    /// Ids that it gave.
    ids: u64,
    /// Times that the other side changed its keys.
    followed: u64,
}

impl Talk {
    pub(super) fn new(peer: Byzantine, with: SocketAddr) -> Self {
        let params = &peer.established.peer_params;
        let allowed = [params.max_streams_bidi, params.max_streams_uni];
        let (owed, returned, opened) = (Vec::new(), Vec::new(), [0; 2]);
        let (bare, loads) = (RangeSet::new(), Vec::new());
        let (round, ids, followed) = (0, 0, 0);
        Self { peer, with, round, owed, returned, bare, allowed, opened, loads, ids, followed }
    }

    /// Takes note of what came, and follows to new keys, unless it is ahead with its own.
    pub(super) fn learn(&mut self, follows: bool) {
        let followed = self.peer.keys.counters().updates_followed;
        if follows && self.followed < followed {
            self.peer.sealer.update();
        }
        self.followed = followed;
        for heard in std::mem::take(&mut self.peer.heard) {
            let home = usize::from(heard.to.port() != 666);
            let bare = |frame| matches!(frame, Frame::Ping | Frame::Ack(_) | Frame::Padding { .. });
            if frames(&heard.payload).flatten().all(bare) {
                self.bare.insert(heard.number.0..heard.number.0 + 1);
            }
            for frame in frames(&heard.payload).flatten() {
                match frame {
                    Frame::MaxStreams { dir, limit } => {
                        let allowed = &mut self.allowed[dir as usize];
                        *allowed = limit.max(*allowed);
                    }
                    Frame::CreditRecall { target, total } if self.returned.len() < 8 => {
                        self.returned.push((target, total));
                    }
                    Frame::PathChallenge { token } if self.owed.len() < 8 => {
                        self.owed.push((home, token));
                    }
                    _ => {}
                }
            }
        }
    }

    fn largest(&self) -> u64 {
        self.peer.received.last().map_or(0, |range| range.end)
    }

    fn acknowledge(&mut self, numbers: &RangeSet) -> Option<(usize, Vec<u8>)> {
        let mut scratch = Vec::new();
        let ack = AckFrame::from_ranges(numbers, 0, None, 256, &mut scratch)?;
        let plaintext = encoded(&[Frame::Ack(ack)]);
        Some((0, self.peer.packet(&plaintext)))
    }

    fn stream(&self, dir: Dir, sequence: u64) -> StreamId {
        StreamId::new(self.peer.established.side, dir, sequence)
    }

    /// The next stream that it may open.
    fn next(&mut self, dir: Dir) -> Option<StreamId> {
        let at = dir as usize;
        let sequence = self.opened[at];
        (sequence < self.allowed[at]).then(|| {
            self.opened[at] += 1;
            self.stream(dir, sequence)
        })
    }

    /// Any stream of its own that it may speak of.
    fn some(&self, dice: &mut Dice) -> StreamId {
        let dir = dice.pick(&[Dir::Bi, Dir::Uni]);
        self.stream(dir, dice.below(self.allowed[dir as usize].clamp(1, 20)))
    }

    fn all_acknowledged(&mut self, dice: &mut Dice) -> Vec<u8> {
        let mut all = RangeSet::new();
        // Now and then what must be under way by now, too.
        all.insert(0..(self.largest() + if dice.one_in(10) { 2 } else { 0 }).max(1));
        let mut scratch = Vec::new();
        let ack = AckFrame::from_ranges(&all, 0, None, 256, &mut scratch).expect("a range");
        let greed = self.greedy();
        [encoded(&[Frame::Ack(ack)]), greed].concat()
    }

    /// Gives the other side all the credit that there is, and asks for data.
    fn greedy(&self) -> Vec<u8> {
        let side = self.peer.established.side.peer();
        let limit = |sequence| Frame::MaxStreamData {
            id: StreamId::new(side, Dir::Uni, sequence),
            limit: 1 << 40,
        };
        let mut said = vec![Frame::Ping, Frame::MaxData { limit: 1 << 40 }];
        said.extend((0..2).map(limit));
        encoded(&said)
    }

    fn crumbs(&self, dice: &mut Dice) -> Vec<u8> {
        let (id, from) = (self.some(dice), dice.below(8_000));
        let crumb = |at: u64| {
            Frame::Stream(StreamFrame { id, offset: from + at * 2, data: b"x", fin: false })
        };
        encoded(&(0..150_u64).map(crumb).collect::<Vec<_>>())
    }

    /// Mostly what is allowed to the last byte, and then one step more by any door.
    fn beyond(&self, dice: &mut Dice) -> Vec<u8> {
        if !dice.one_in(8) {
            let id = self.some(dice);
            let data = &[7; 900][..];
            return encoded(&[Frame::Stream(StreamFrame { id, offset: 0, data, fin: false })]);
        }
        let dir = dice.pick(&[Dir::Bi, Dir::Uni]);
        let near = self.some(dice);
        let far = self.stream(dir, self.allowed[dir as usize] + dice.below(1 << 20));
        let end = self.peer.established.peer_params.initial_max_data + 1 + dice.below(1 << 40);
        let (id, end) = dice.pick(&[(near, end), (far, 1), (far, end)]);
        let (code, hop) = (AppCode(1), 0);
        let reset = |reliable_size| {
            Frame::Reset(ResetFrame { id, code, hop, final_size: end, reliable_size })
        };
        encoded(&[match dice.below(8) {
            0 => Frame::Stream(StreamFrame { id, offset: end - 1, data: b"x", fin: false }),
            1 => Frame::Stream(StreamFrame { id, offset: end, data: b"", fin: true }),
            2 => Frame::Skip { id, range: 0..end },
            3 => reset(0),
            4 => reset(end),
            5 => Frame::Stop(StopFrame { id, code, hop }),
            6 => Frame::MaxStreamData { id, limit: end },
            _ => Frame::StreamDataBlocked { id, limit: end },
        }])
    }

    /// Something of a stream that goes on: mostly bytes with holes, now and then an end.
    fn smuggled(&mut self, dice: &mut Dice) -> Vec<u8> {
        if self.loads.len() < LOADS
            && dice.one_in(3)
            && let Some(id) = self.next(Dir::Uni)
        {
            self.loads.push(id);
            let hop_limit = dice.pick(&[None, Some(0), Some(1), Some(255)]);
            let size = dice.pick(&[None, Some(0), Some(1 << 61)]);
            let head = &SMUGGLED.to_be_bytes();
            let open = OpenFrame::new(id, Protocol::Name(ONWARD));
            return encoded(&[Frame::Open(OpenFrame { hop_limit, size, head, ..open })]);
        }
        if self.loads.is_empty() {
            return encoded(&[Frame::Ping]);
        }
        let at = dice.below(self.loads.len() as u64) as usize;
        let (id, offset) = (self.loads[at], dice.below(60_000));
        let data = &[5; 900][..dice.below(901) as usize];
        let (code, hop) = (AppCode(dice.below(1 << 30)), dice.pick(&[0, 1, MAX]));
        let (final_size, reliable_size) = (60_900, dice.below(60_900));
        encoded(&[match dice.below(40) {
            0 => Frame::Stream(StreamFrame { id, offset, data, fin: true }),
            1..4 => Frame::Skip { id, range: offset..offset + 1 + dice.below(900) },
            4 => {
                self.loads.remove(at);
                Frame::Reset(ResetFrame { id, code, hop, final_size, reliable_size })
            }
            5 => Frame::StreamDataBlocked { id, limit: offset },
            _ => Frame::Stream(StreamFrame { id, offset, data, fin: false }),
        }])
    }

    fn opened_and_reset(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < FULL {
            let dir = if self.opened[0] < self.opened[1] { Dir::Bi } else { Dir::Uni };
            let Some(id) = self.next(dir).or_else(|| self.next(Dir::Uni)) else { break };
            bytes.extend(encoded(&[open(id), reset(id)]));
        }
        let limit = self.allowed[Dir::Uni as usize];
        bytes.extend(encoded(&[Frame::StreamsBlocked { dir: Dir::Uni, limit }]));
        bytes
    }

    fn ids(&mut self, dice: &mut Dice) -> Vec<u8> {
        let mut said = vec![Frame::Ping];
        for _ in 0..dice.below(6) {
            self.ids += 1;
            let (sequence, cid) = (self.ids, ConnectionId(dice.next().to_be_bytes()));
            said.push(Frame::NewCid(NewCidFrame { sequence, cid, reset_token: [9; 16] }));
        }
        for _ in 0..dice.below(4) {
            said.push(Frame::RetireCid { sequence: dice.below(1 + self.round / 8) });
        }
        encoded(&said)
    }

    /// Empty frames, and once in a while an empty packet.
    fn nothings(&mut self, dice: &mut Dice) -> Vec<u8> {
        let id = self.next(Dir::Uni).unwrap_or_else(|| self.some(dice));
        let end = Frame::Stream(StreamFrame { id, offset: 0, data: b"", fin: true });
        let frame = match dice.below(25) {
            0 => return Vec::new(),
            1 => return numbers(&[0x0e, id.0, 0, 0]),
            2..=9 => return encoded(&[open(id), end]),
            10..=17 => Frame::Datagram { data: b"" },
            _ => Frame::Ping,
        };
        encoded(&vec![frame; 300])
    }

    fn lies(&self, dice: &mut Dice) -> Vec<u8> {
        let id = self.some(dice);
        let limit = dice.pick(&[0, 1, 1 << 14, 1 << 30, MAX]);
        let total = dice.below(1 << 30);
        let target = dice.pick(&[
            CreditTarget::Connection,
            CreditTarget::Stream(id),
            CreditTarget::Streams(Dir::Uni),
        ]);
        let frame = |dice: &mut Dice| match dice.below(24) {
            0 => Frame::CreditReturned { target, total },
            1..=4 => Frame::CreditRecall { target, total },
            5..=9 => Frame::MaxData { limit },
            10..=13 => Frame::StreamDataBlocked { id, limit },
            14..=17 => Frame::DataBlocked { limit },
            _ => Frame::StreamsBlocked { dir: Dir::Bi, limit: limit.min(MAX_STREAM_COUNT) },
        };
        encoded(&(0..10).map(|_| frame(dice)).collect::<Vec<_>>())
    }
}

fn open(id: StreamId) -> Frame<'static> {
    Frame::Open(OpenFrame::new(id, Protocol::Number(99)))
}

fn reset(id: StreamId) -> Frame<'static> {
    let (code, hop, final_size, reliable_size) = (AppCode(0), 0, 0, 0);
    Frame::Reset(ResetFrame { id, code, hop, final_size, reliable_size })
}
