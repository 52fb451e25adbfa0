//! Messages that came, of both kinds, and who waits for them.
//!
//! Who wants whole messages only gets streamed ones put together: a few at a time, in the order in
//! which they are complete. What is put together outlives the call that asked for it, so that a
//! call may be dropped at any time.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use aqueduct_core::message::Message;
use aqueduct_core::wire::capabilities::Mode;
use aqueduct_core::wire::id::StreamId;
use bytes::Bytes;

use crate::connection::{ConnShared, ConnState, Connection, MESSAGE_INBOX};
use crate::error::{ConnectionError, StreamError};
use crate::recv::RecvHalf;
use crate::send::SendHalf;
use crate::stats::MessageCounters;
use crate::threads::Lent;
use crate::wait::{Wakers, lock};

use super::room::Place;
use super::shadow::compare;
use super::streamed::MessageStream;

/// Messages that are put together at once.
const ASSEMBLIES: usize = 4;

/// A message, by the way that it came.
#[derive(Debug)]
pub enum Received {
    /// All of it.
    Whole(Bytes),
    /// To be read while it arrives.
    Stream(MessageStream),
}

/// Messages that came and wait for the application.
#[derive(Default)]
pub(crate) struct Arrivals {
    /// With the place of each in the order of arrival.
    whole: VecDeque<(u64, Bytes)>,
    streamed: VecDeque<(u64, MessageStream)>,
    arrived: u64,
    /// Read on by one at a time.
    assemblies: Lent<Vec<Assembly>>,
    /// The one that was last found to have no room.
    delayed: Option<u64>,
    /// Calls whoever waits for messages here.
    bell: Option<Waker>,
}

impl Arrivals {
    /// Whole ones that wait.
    pub(crate) fn len(&self) -> usize {
        self.whole.len()
    }

    pub(crate) fn push(&mut self, message: Bytes) {
        self.whole.push_back((self.arrived, message));
        self.arrived += 1;
    }

    pub(crate) fn push_stream(&mut self, message: MessageStream) {
        self.streamed.push_back((self.arrived, message));
        self.arrived += 1;
    }

    /// Keeps the first whole ones, as long as each fits.
    pub(crate) fn keep_while(&mut self, mut fits: impl FnMut(&Bytes) -> bool) {
        let kept = self.whole.iter().take_while(|(_, message)| fits(message)).count();
        self.whole.truncate(kept);
    }

    /// Streams of these that nobody has taken.
    pub(crate) fn give_up(&mut self, ids: &[StreamId]) -> impl Sized + use<> {
        let streamed = std::mem::take(&mut self.streamed).into_iter();
        let given_up = |stream: &MessageStream| ids.binary_search(&stream.id()).is_ok();
        let (unkept, kept): (VecDeque<_>, _) = streamed.partition(|(_, stream)| given_up(stream));
        self.streamed = kept;
        unkept
    }

    fn stream_is_next(&self) -> bool {
        let first = |order: Option<u64>| order.unwrap_or(u64::MAX);
        let whole = first(self.whole.front().map(|(order, _)| *order));
        first(self.streamed.front().map(|(order, _)| *order)) < whole
    }
}

impl ConnShared {
    /// For the driver: a message comes as a stream. Refused if that was not agreed on, or nobody is
    /// left.
    pub(crate) fn message_arrived(&self, send: Option<SendHalf>, recv: RecvHalf) {
        let tally = self.shared.messages.clone();
        let Some(message) = MessageStream::new(send, recv, tally) else { return };
        let wakers = {
            let mut state = lock(&self.state);
            if state.abandoned || state.mode < Mode::StreamingReassemble {
                drop(state);
                return message.refuse();
            }
            state.inbox.messages.push_stream(message);
            state.waiting.messages.take()
        };
        wakers.wake();
    }
}

/// A streamed message that is being put together.
struct Assembly {
    stream: MessageStream,
    pieces: Vec<Bytes>,
    /// For all of it.
    _place: Place,
}

impl Assembly {
    /// All of it. Errors are the message's own: nobody else's.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        counts: &MessageCounters,
    ) -> Poll<Result<Bytes, StreamError>> {
        loop {
            match std::task::ready!(self.stream.poll_chunk(cx, usize::MAX)) {
                Ok(Some(piece)) => self.pieces.push(piece),
                end => return Poll::Ready(self.end(end.err(), counts)),
            }
        }
    }

    /// What its reader found, joined as the core joins; in shadow mode compared with what came, and
    /// that is given.
    fn end(
        &mut self,
        error: Option<StreamError>,
        counts: &MessageCounters,
    ) -> Result<Bytes, StreamError> {
        let (id, mut pieces) = (self.stream.id(), self.pieces.split_off(0));
        let Some((mut whole, behind)) = self.stream.take_whole() else {
            return error.map_or_else(|| Ok(Message::join(id, pieces).data), Err);
        };
        pieces.push(behind);
        compare(id, 0, &pieces, &whole, counts);
        whole.truncate(usize::try_from(self.stream.size()).unwrap_or(usize::MAX));
        error.map_or(Ok(whole), Err)
    }
}

/// Wakes those who wait for messages of a connection.
struct Bell(Weak<ConnShared>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if let Some(connection) = self.0.upgrade() {
            let wakers = lock(&connection.state).waiting.messages.take();
            wakers.wake();
        }
    }
}

impl Connection {
    /// The next message, by the way that it came: whole, or as a stream that may be read while it
    /// arrives. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over and every message was taken.
    pub async fn recv_auto(&self) -> Result<Received, ConnectionError> {
        Next { connection: self, whole: false, token: None }.await
    }

    /// The next whole message; one that comes as a stream is put together. Streams that are larger
    /// than the largest message that this node takes are refused. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over and every message was taken.
    pub async fn recv_message(&self) -> Result<Bytes, ConnectionError> {
        loop {
            let next = Next { connection: self, whole: true, token: None };
            if let Received::Whole(message) = next.await? {
                return Ok(message);
            }
        }
    }
}

/// Waits for the next message.
struct Next<'a> {
    connection: &'a Connection,
    /// Streams are put together.
    whole: bool,
    token: Option<usize>,
}

/// What a look at the streams found.
enum Found {
    /// One that the application reads itself.
    Stream(MessageStream),
    Assembled(Taken),
    /// Somebody else looks at them.
    Lent,
}

/// What was taken out to be read on.
struct Taken {
    assemblies: Vec<Assembly>,
    bell: Waker,
    /// These are too large.
    refused: Vec<MessageStream>,
    /// There is no room for the next one.
    waits: bool,
    /// The next one stands behind a whole message.
    behind: bool,
}

/// It is put back when it goes, also on the way out of a panic.
struct Underway<'a> {
    connection: &'a Connection,
    /// The place of who reads on.
    token: Option<usize>,
    assemblies: Vec<Assembly>,
    /// One of them is over: others may have room now.
    ended: bool,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let others = {
            let mut state = lock(self.connection.state());
            let assemblies = std::mem::take(&mut self.assemblies);
            let missed = state.inbox.messages.assemblies.put_back(assemblies);
            let called = missed || self.ended;
            if called { state.waiting.messages.take_others(self.token) } else { Wakers::default() }
        };
        others.wake();
    }
}

impl Next<'_> {
    fn look(&self, state: &mut ConnState) -> Found {
        let connection = self.connection.shared();
        let shared = &connection.shared;
        let (limit, tally) = (shared.max_message, &shared.messages);
        let copies = if shared.streaming.streaming_shadow { 2 } else { 1 };
        let arrivals = &mut state.inbox.messages;
        let Some(mut assemblies) = arrivals.assemblies.take() else { return Found::Lent };
        let bell = || Waker::from(Arc::new(Bell(Arc::downgrade(connection))));
        let bell = arrivals.bell.get_or_insert_with(bell).clone();
        let (mut refused, mut waits) = (Vec::new(), false);
        while arrivals.stream_is_next() {
            let Some((order, stream)) = arrivals.streamed.front() else { break };
            let (order, size) = (*order, stream.size());
            let join = self.whole || stream.witness().is_some();
            let mut place = None;
            if join && size <= limit {
                if assemblies.len() >= ASSEMBLIES {
                    break;
                }
                place = Place::take(tally, size, copies, limit, &bell);
                if place.is_none() {
                    waits = true;
                    if arrivals.delayed.replace(order) != Some(order) {
                        tally.counts.assemblies_delayed.fetch_add(1, Relaxed);
                    }
                    break;
                }
            }
            let Some((_, stream)) = arrivals.streamed.pop_front() else { break };
            match place {
                Some(_place) => {
                    assemblies.push(Assembly { stream, pieces: Vec::new(), _place });
                }
                None if join => refused.push(stream),
                None => {
                    let _nobody = arrivals.assemblies.put_back(assemblies);
                    return Found::Stream(stream);
                }
            }
        }
        let behind = !arrivals.streamed.is_empty() && !arrivals.stream_is_next();
        Found::Assembled(Taken { assemblies, bell, refused, waits, behind })
    }

    /// Reads on in what is put together, and takes out what is over: the first whole one is given.
    /// Also says whether anything was taken out.
    fn assemble(&self, assemblies: &mut Vec<Assembly>, bell: &Waker) -> (Option<Bytes>, bool) {
        let shared = self.connection.shared();
        let mut cx = Context::from_waker(bell);
        let (mut at, before) = (0, assemblies.len());
        while let Some(assembly) = assemblies.get_mut(at) {
            let Poll::Ready(end) = assembly.poll(&mut cx, &shared.shared.messages.counts) else {
                at += 1;
                continue;
            };
            let assembly = assemblies.remove(at);
            match end {
                Ok(whole) => return (Some(whole), true),
                Err(error) => {
                    let id = assembly.stream.id();
                    tracing::debug!(stream = id.0, %error, "a message did not arrive");
                }
            }
        }
        (None, assemblies.len() < before)
    }

    /// A whole message is taken from its queue, in which `waited` were.
    fn count(&self, message: &Bytes, waited: usize) {
        let shared = self.connection.shared();
        let counts = &shared.shared.messages.counts;
        counts.whole_received.fetch_add(1, Relaxed);
        counts.whole_bytes_received.fetch_add(message.len() as u64, Relaxed);
        if waited >= MESSAGE_INBOX {
            // The core keeps what found no room.
            shared.mark();
        }
    }
}

impl Future for Next<'_> {
    type Output = Result<Received, ConnectionError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            let (found, end) = {
                let mut state = lock(this.connection.state());
                // Before anything is read: what comes meanwhile wakes us.
                state.waiting.messages.wait(&mut this.token, cx.waker());
                (this.look(&mut state), state.error())
            };
            let Taken { assemblies, bell, refused, waits, behind } = match found {
                Found::Stream(stream) => {
                    let stream = stream.kept_by(this.connection.guard());
                    return Poll::Ready(Ok(Received::Stream(stream)));
                }
                Found::Lent => return this.take_whole().map_or(Poll::Pending, whole),
                Found::Assembled(taken) => taken,
            };
            let (connection, token) = (this.connection, this.token);
            let mut underway = Underway { connection, token, assemblies, ended: false };
            // Outside of the lock: streams that are read or refused give work to the driver.
            let again = !refused.is_empty();
            refused.into_iter().for_each(MessageStream::refuse);
            let (assembled, ended) = this.assemble(&mut underway.assemblies, &bell);
            underway.ended = ended;
            let idle = underway.assemblies.is_empty() && !waits;
            drop(underway);
            if let Some(message) = assembled.or_else(|| this.take_whole()) {
                return whole(message);
            }
            // Another took the message that a stream stood behind: now that one is next.
            if ended || again || behind {
                continue;
            }
            return match end {
                Some(end) if idle => Poll::Ready(Err(end)),
                _ => Poll::Pending,
            };
        }
    }
}

impl Next<'_> {
    /// The next that came whole.
    fn take_whole(&self) -> Option<Bytes> {
        let (message, waited) = {
            let mut state = lock(self.connection.state());
            let whole = &mut state.inbox.messages.whole;
            let waited = whole.len();
            let Some((_, message)) = whole.pop_front() else {
                state.inbox.settle();
                return None;
            };
            (message, waited)
        };
        self.count(&message, waited);
        Some(message)
    }
}

fn whole(message: Bytes) -> Poll<Result<Received, ConnectionError>> {
    Poll::Ready(Ok(Received::Whole(message)))
}

impl Drop for Next<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            lock(self.connection.state()).waiting.messages.leave(token);
        }
    }
}
