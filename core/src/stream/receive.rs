//! What came in: frames to streams.

use super::options::OpenOptions;
use super::recv::{RecvHalf, Took};
use super::scheduler::Priority;
use super::send::SendHalf;
use super::state::RecvState;
use super::table::{Opening, STOPPED, Slot};
use super::{RecvAccount, STREAM_RECORD, StreamStats, Streams};
use crate::error::{StreamCode, TransportCode, Violation};
use crate::wire::frame::Frame;
use crate::wire::id::{AppCode, CreditTarget, Dir, StreamId};
use crate::wire::open::OpenFrame;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a packet with a refused frame must not be acknowledged"]
#[expect(clippy::exhaustive_enums, reason = "a packet is acknowledged or not")]
pub enum Accepted {
    /// Taken, or rightly ignored.
    Yes,
    /// Not taken: the stream is cut into too many ranges. The packet must not be acknowledged.
    TooFragmented,
}

/// Which end of a body speaks by a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The one that sends it: OPEN, STREAM, SKIP, RESET, STREAM_DATA_BLOCKED, CREDIT_RETURNED.
    Sender,
    /// The one that receives it: STOP, MAX_STREAM_DATA, CREDIT_RECALL.
    Receiver,
}

impl Streams {
    /// Takes a frame that names a stream or a count of streams: OPEN, STREAM, SKIP, RESET, STOP,
    /// MAX_STREAM_DATA, STREAM_DATA_BLOCKED, MAX_STREAMS, and CREDIT_RECALL and CREDIT_RETURNED of
    /// a stream, CREDIT_RECALL of a count. Other frames are not looked at.
    ///
    /// # Errors
    /// The peer broke a rule; the connection closes.
    pub fn on_frame(
        &mut self,
        frame: &Frame<'_>,
        account: &mut RecvAccount<'_>,
    ) -> Result<Accepted, Violation> {
        let (id, role) = match frame {
            Frame::Open(open) => (open.id, Role::Sender),
            Frame::Stream(stream) => (stream.id, Role::Sender),
            Frame::Skip { id, .. } | Frame::StreamDataBlocked { id, .. } => (*id, Role::Sender),
            Frame::Reset(reset) => (reset.id, Role::Sender),
            Frame::CreditReturned { target: CreditTarget::Stream(id), .. } => (*id, Role::Sender),
            Frame::Stop(stop) => (stop.id, Role::Receiver),
            Frame::MaxStreamData { id, .. } => (*id, Role::Receiver),
            Frame::CreditRecall { target: CreditTarget::Stream(id), .. } => (*id, Role::Receiver),
            Frame::MaxStreams { dir, limit } => {
                self.on_max_streams(*dir, *limit);
                return Ok(Accepted::Yes);
            }
            Frame::CreditRecall { target: CreditTarget::Streams(dir), total } => {
                self.counts.get_mut(*dir as usize).into_iter().for_each(|c| c.on_recall(*total));
                return Ok(Accepted::Yes);
            }
            _ => return Ok(Accepted::Yes),
        };
        self.admit(id, role, account)?;
        if let Frame::Open(open) = frame
            && self.table.get(id).is_some_and(|slot| slot.recv.is_some())
        {
            self.on_open(open, account)?;
        }
        let Some(slot) = self.table.get_mut(id) else {
            self.heard = Priority::Normal;
            return Ok(Accepted::Yes);
        };
        self.heard = slot.priority();
        if matches!(slot.opening, Opening::Unannounced) {
            note_unannounced(frame);
        }
        let given_up = |half: &RecvHalf| half.reset.is_some() || half.is_stopped();
        let was_reset = slot.recv.as_ref().is_none_or(given_up);
        let took = match (role, &mut slot.send, &mut slot.recv) {
            (Role::Receiver, Some(half), _) => {
                slot.news |= to_sender(half, frame);
                Took::Yes
            }
            (Role::Sender, _, Some(half)) => to_receiver(half, frame, account)?,
            _ => Took::Yes,
        };
        note(&mut self.stats, slot, frame, was_reset);
        if role == Role::Sender {
            self.watch.weigh(slot, &self.config, account);
        }
        if let Frame::Reset(reset) = frame {
            self.answer_unannounced(id, reset.code);
        }
        if self.file(id) {
            self.retire(id, account);
        }
        if took == Took::Yes {
            return Ok(Accepted::Yes);
        }
        sometimes!("stream: bytes come behind a gap and find no room");
        Ok(Accepted::TooFragmented)
    }

    /// The connection is lost, and every stream with it that was under way.
    pub fn on_connection_lost(&mut self) {
        let mut lost = 0;
        for slot in self.table.iter_mut().filter(|slot| !slot.failed) {
            slot.failed = true;
            lost += 1;
        }
        self.stats.errors.count_many(StreamCode::ConnectionLost.app(), lost);
    }

    /// The one place that decides whether a frame may name stream `id` (spec R-STR-2). Afterwards
    /// the stream is in the table, or it is over and the frame means nothing.
    fn admit(
        &mut self,
        id: StreamId,
        role: Role,
        account: &mut RecvAccount<'_>,
    ) -> Result<(), Violation> {
        let ours = id.opener() == self.side;
        if id.dir() == Dir::Uni && ours == (role == Role::Sender) {
            let what = "a frame against a stream's direction";
            return Err(Violation::new(TransportCode::StreamState, what));
        }
        if self.table.was_seen(id) {
            return Ok(());
        }
        // Of ours or beyond the limit: a violation.
        let credit = account.credit.open_peer(id)?;
        account.credit.hold(STREAM_RECORD);
        let recv = RecvHalf::new(id, RecvState::Unannounced, credit, account.now);
        let send = (id.dir() == Dir::Bi).then(|| SendHalf::new(id, self.limits.max_stream_data));
        self.table.insert(Slot::new(id, Opening::Unannounced, send, Some(recv)));
        Ok(())
    }

    fn on_open(
        &mut self,
        frame: &OpenFrame<'_>,
        account: &mut RecvAccount<'_>,
    ) -> Result<(), Violation> {
        if frame.id.opener() == self.side {
            let what = "OPEN for a stream that the peer did not open";
            return Err(Violation::new(TransportCode::StreamState, what));
        }
        let Some(slot) = self.table.get_mut(frame.id) else { return Ok(()) };
        let Some(recv) = slot.recv.as_mut().filter(|r| r.state == RecvState::Unannounced) else {
            return Ok(());
        };
        let options = OpenOptions::read(frame);
        recv.on_open(&options, account)?;
        account.credit.hold(options.held());
        if let Some(send) = &mut slot.send {
            send.priority = options.priority;
        }
        slot.opening = Opening::Theirs(options);
        self.announced.push_back(frame.id);
        self.stats.announced += 1;
        if core::mem::take(&mut self.accept_armed) {
            self.incoming = true;
        }
        Ok(())
    }

    /// A stream that was reset before OPEN is over for both directions: nobody will ever answer on
    /// it.
    fn answer_unannounced(&mut self, id: StreamId, code: AppCode) {
        let Some(slot) = self.table.get_mut(id) else { return };
        let over = slot.recv.as_ref().is_some_and(|half| half.state == RecvState::ResetRead);
        if let (true, Opening::Unannounced, Some(send)) = (over, &slot.opening, &mut slot.send) {
            send.reset(code, 0, 0);
        }
    }
}

/// Counts what a frame that was taken did to a stream.
fn note(stats: &mut StreamStats, slot: &mut Slot, frame: &Frame<'_>, was_reset: bool) {
    let held = slot.recv.as_ref().map_or(0, RecvHalf::unreleased);
    stats.most_held = stats.most_held.max(held);
    let above = slot.recv.as_ref().map_or(0, RecvHalf::out_of_order);
    stats.most_out_of_order = stats.most_out_of_order.max(above);
    let code = match frame {
        Frame::Reset(reset) if !was_reset => reset.code,
        // Code 0 of an application that dropped its handle: it lacks interest, nothing else.
        Frame::Stop(stop) if slot.news & STOPPED != 0 && stop.code != AppCode(0) => stop.code,
        _ => return,
    };
    if !core::mem::replace(&mut slot.failed, true) {
        stats.errors.count(code);
    }
}

/// A frame of a stream that is not introduced yet.
fn note_unannounced(frame: &Frame<'_>) {
    match frame {
        Frame::Stream(_) => sometimes!("stream: bytes come before the introduction"),
        Frame::Reset(_) => sometimes!("stream: an end comes before the introduction"),
        _ => {}
    }
}

/// A frame of the receiving end, to our half that sends. Returns what is news.
fn to_sender(half: &mut SendHalf, frame: &Frame<'_>) -> u8 {
    match frame {
        Frame::Stop(stop) if half.on_stop(*stop) => return STOPPED,
        Frame::MaxStreamData { limit, .. } => _ = half.credit.on_max(*limit),
        Frame::CreditRecall { total, .. } => half.credit.on_recall(*total),
        _ => {}
    }
    0
}

/// A frame of the sending end, to our half that receives.
fn to_receiver(
    half: &mut RecvHalf,
    frame: &Frame<'_>,
    account: &mut RecvAccount<'_>,
) -> Result<Took, Violation> {
    match frame {
        Frame::Stream(stream) => return half.on_stream(stream, account),
        Frame::Skip { range, .. } => return half.on_skip(range, account),
        Frame::Reset(reset) => half.on_reset(reset, account)?,
        Frame::StreamDataBlocked { limit, .. } => {
            half.credit.on_blocked(*limit, account.credit, account.budget);
        }
        Frame::CreditReturned { total, .. } => {
            half.credit.on_returned(*total, account.credit, account.budget)?;
        }
        _ => {}
    }
    Ok(Took::Yes)
}
