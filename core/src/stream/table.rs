//! All streams of a connection, found by id without hashing.
//!
//! Ids of one kind (who opened it, which direction) count up, so each kind is a list sorted by
//! sequence number. Mostly there are no holes in it, and a number's distance from the first is its
//! place; else it is searched for.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::options::OpenOptions;
use super::recv::RecvHalf;
use super::scheduler::Priority;
use super::send::SendHalf;
use super::watch::Load;
use super::{STREAM_RECORD, StreamEvent};
use crate::range_set::RangeSet;
use crate::recovery::Once;
use crate::time::Instant;
use crate::wire::frame::Frame;
use crate::wire::id::{Dir, Side, StreamId};
use crate::wire::packet::PacketWriter;

/// One stream.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Slot {
    pub(super) id: StreamId,
    pub(super) opening: Opening,
    pub(super) send: Option<SendHalf>,
    pub(super) recv: Option<RecvHalf>,
    /// In which list the stream stands, to write body.
    pub(super) place: Place,
    /// Whether it stands in the list of those that have control frames to write.
    pub(super) in_control: bool,
    /// News that the connection has not heard: a set of the constants below.
    pub(super) news: u8,
    /// Whether it stands in the list of those that have news.
    pub(super) in_news: bool,
    /// Whether it is counted among those that expect bytes.
    pub(super) expects: bool,
    /// Its own credit holds up bytes that wait; as it was noted.
    pub(super) blocked: bool,
    /// When somebody looks whether it is stuck.
    pub(super) watched: Option<Instant>,
    /// It is among the errors of the stats.
    pub(super) failed: bool,
}

/// Where a stream stands to write its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) enum Place {
    /// Nowhere: it has nothing that may be sent.
    Out,
    /// In the scheduler, in this class.
    Turn(Priority),
    /// Among those that wait for the connection's credit.
    Starved,
}

/// How a stream was, or will be, introduced.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) enum Opening {
    /// By us.
    Ours {
        options: OpenOptions,
        sent: Once<()>,
        /// Number of the last packet that OPEN was written into; 0 for none.
        packet: u64,
    },
    /// By the peer, which said this.
    Theirs(OpenOptions),
    /// By the peer, whose OPEN did not come yet.
    Unannounced,
}

pub(super) const READABLE: u8 = 1;
pub(super) const WRITABLE: u8 = 2;
pub(super) const STOPPED: u8 = 4;
pub(super) const DELIVERED: u8 = 8;
pub(super) const ACKED: u8 = 16;
pub(super) const STRAINED: u8 = 32;
pub(super) const ENDED: u8 = 64;

impl Slot {
    pub(super) fn new(
        id: StreamId,
        opening: Opening,
        send: Option<SendHalf>,
        recv: Option<RecvHalf>,
    ) -> Box<Self> {
        let (place, in_control, news, in_news) = (Place::Out, false, 0, false);
        let (expects, blocked, watched, failed) = (false, false, None, false);
        Box::new(Self {
            id,
            opening,
            send,
            recv,
            place,
            in_control,
            news,
            in_news,
            expects,
            blocked,
            watched,
            failed,
        })
    }

    /// The next of the stream's news.
    pub(super) fn take_news(&mut self) -> Option<StreamEvent> {
        let id = self.id;
        let lowest = self.news & self.news.wrapping_neg();
        self.news &= !lowest;
        match lowest {
            READABLE => Some(StreamEvent::Readable(id)),
            WRITABLE => Some(StreamEvent::Writable(id)),
            STOPPED => {
                let stop = self.send.as_ref().and_then(SendHalf::stop_frame)?;
                Some(StreamEvent::Stopped { id, code: stop.code, hop: stop.hop })
            }
            DELIVERED => Some(StreamEvent::Delivered(id)),
            ACKED => Some(StreamEvent::Acked(id)),
            STRAINED => {
                let load = self.recv.as_ref().and_then(|half| half.strain())?;
                let Load { buffered, limit, ranges, max_ranges } = load;
                Some(StreamEvent::Strained { id, buffered, limit, ranges, max_ranges })
            }
            ENDED => {
                let why = self.recv.as_ref().and_then(|half| half.stuck())?;
                Some(StreamEvent::Ended { id, why })
            }
            _ => None,
        }
    }

    /// What the connection was charged for the stream beside its credit.
    pub(super) fn charged(&self) -> u64 {
        match &self.opening {
            Opening::Ours { .. } => 0,
            Opening::Theirs(options) => STREAM_RECORD + options.held(),
            Opening::Unannounced => STREAM_RECORD,
        }
    }

    /// What the stream's opener said.
    pub(super) fn options(&self) -> Option<&OpenOptions> {
        match &self.opening {
            Opening::Ours { options, .. } | Opening::Theirs(options) => Some(options),
            Opening::Unannounced => None,
        }
    }

    /// Whether bytes are expected from the peer.
    pub(super) fn expects_data(&self) -> bool {
        self.recv.as_ref().is_some_and(|half| half.state.is_receiving())
    }

    /// Whether nothing will happen any more to either half.
    pub(super) fn is_done(&self) -> bool {
        self.send.as_ref().is_none_or(|half| half.state.is_end())
            && self.recv.as_ref().is_none_or(RecvHalf::is_done)
    }

    /// Whether OPEN waits to be written.
    pub(super) fn open_is_due(&self) -> bool {
        matches!(&self.opening, Opening::Ours { sent, .. } if sent.is_pending())
    }

    /// Writes OPEN if it must stand before what the stream writes next into packet `number`. False
    /// if there was no room.
    ///
    /// A body that does not begin at 0 cannot be judged without OPEN, so until that is acknowledged
    /// it stands in every packet with frames of the stream (spec R-STR-6).
    pub(super) fn write_open(&mut self, packet: &mut PacketWriter<'_>, number: u64) -> bool {
        let Opening::Ours { options, sent, packet: last } = &mut self.opening else { return true };
        let again = options.start > 0 && !sent.is_delivered() && *last != number;
        if !sent.is_pending() && !again {
            return true;
        }
        if !packet.write(&Frame::Open(options.frame(self.id))) {
            return false;
        }
        sent.write(|()| true);
        *last = number;
        if let Some(half) = &mut self.send {
            half.on_opened();
        }
        true
    }

    /// The class at this end: of its answer, or else as the stream was opened.
    pub(super) fn priority(&self) -> Priority {
        let answers = self.send.as_ref().map(|half| half.priority);
        answers.or_else(|| Some(self.options()?.priority)).unwrap_or_default()
    }

    /// Whether the stream has something for the scheduler.
    pub(super) fn has_work(&self) -> bool {
        self.open_is_due() || self.send.as_ref().is_some_and(SendHalf::has_work)
    }

    /// Notes whether the stream's own credit holds it up, in the sum over all of them.
    pub(super) fn note_blocked(&mut self, sum: &mut usize) {
        let blocked = self.send.as_ref().is_some_and(SendHalf::is_blocked_by_credit);
        if core::mem::replace(&mut self.blocked, blocked) != blocked {
            *sum = if blocked { *sum + 1 } else { *sum - 1 };
        }
    }

    /// Whether the stream has control frames to write.
    pub(super) fn control_is_due(&self) -> bool {
        self.send.as_ref().is_some_and(SendHalf::control_is_due)
            || self.recv.as_ref().is_some_and(RecvHalf::control_is_due)
    }

    /// Writes RESET, STOP and credit frames, with OPEN before them. False if there was no room.
    pub(super) fn write_control(&mut self, packet: &mut PacketWriter<'_>, number: u64) -> bool {
        if !self.control_is_due() {
            return true;
        }
        self.write_open(packet, number)
            && self.send.as_mut().is_none_or(|half| half.write_control(packet))
            && self.recv.as_mut().is_none_or(|half| half.write_control(packet))
    }
}

/// Streams of one kind.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Kind {
    /// By sequence number.
    live: VecDeque<Box<Slot>>,
    /// Sequence numbers that were ever used. Without a hole if we open them.
    seen: RangeSet,
}

impl Kind {
    /// Where the sequence number stands, or where it would.
    fn place(&self, sequence: u64) -> Result<usize, usize> {
        let Some(first) = self.live.front() else { return Err(0) };
        let guess = sequence.saturating_sub(first.id.sequence());
        if guess == 0 {
            return if first.id.sequence() == sequence { Ok(0) } else { Err(0) };
        }
        let at = |index: usize| self.live.get(index).map(|slot| slot.id.sequence());
        let guess = usize::try_from(guess).unwrap_or(usize::MAX);
        if at(guess) == Some(sequence) {
            return Ok(guess);
        }
        self.live.binary_search_by_key(&sequence, |slot| slot.id.sequence())
    }
}

/// All streams.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Table {
    side: Side,
    kinds: [Kind; 4],
}

impl Table {
    pub(super) fn new(side: Side) -> Self {
        Self { side, kinds: Default::default() }
    }

    /// Changes whose table it is. There must be no stream yet.
    pub(super) fn set_side(&mut self, side: Side) {
        debug_assert!(self.len() == 0, "a stream was opened before the handshake was done");
        self.side = side;
    }

    fn kind(&self, id: StreamId) -> Option<&Kind> {
        self.kinds.get((id.0 & 3) as usize)
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&Slot> {
        let kind = self.kind(id)?;
        kind.live.get(kind.place(id.sequence()).ok()?).map(|slot| &**slot)
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Slot> {
        let kind = self.kinds.get_mut((id.0 & 3) as usize)?;
        let index = kind.place(id.sequence()).ok()?;
        kind.live.get_mut(index).map(|slot| &mut **slot)
    }

    /// Whether a stream of this id is or was there.
    pub(super) fn was_seen(&self, id: StreamId) -> bool {
        self.kind(id).is_some_and(|kind| kind.seen.contains(id.sequence()))
    }

    /// The next id of ours.
    pub(super) fn next(&self, dir: Dir) -> StreamId {
        let first = StreamId::new(self.side, dir, 0);
        let used = self.kind(first).and_then(|kind| kind.seen.last()).map_or(0, |r| r.end);
        StreamId::new(self.side, dir, used)
    }

    /// Adds a stream whose id was not seen.
    pub(super) fn insert(&mut self, slot: Box<Slot>) {
        let sequence = slot.id.sequence();
        let Some(kind) = self.kinds.get_mut((slot.id.0 & 3) as usize) else { return };
        kind.seen.insert(sequence..sequence + 1);
        if let Err(index) = kind.place(sequence) {
            kind.live.insert(index, slot);
        }
    }

    pub(super) fn remove(&mut self, id: StreamId) -> Option<Box<Slot>> {
        let kind = self.kinds.get_mut((id.0 & 3) as usize)?;
        let index = kind.place(id.sequence()).ok()?;
        kind.live.remove(index)
    }

    /// In the order of kinds, and of sequence numbers inside a kind.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.kinds.iter().flat_map(|kind| kind.live.iter()).map(|slot| &**slot)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.kinds.iter_mut().flat_map(|kind| kind.live.iter_mut()).map(|slot| &mut **slot)
    }

    /// Number of streams.
    pub(super) fn len(&self) -> usize {
        self.kinds.iter().map(|kind| kind.live.len()).sum()
    }
}
