//! A connection, between its handles and the driver.

mod answers;
mod connecting;
mod datagrams;
pub(crate) mod range;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Instant;

use aqueduct_core::congestion::Algorithm;
use aqueduct_core::connection::ConnectionStats;
use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::error::CloseReason;
use aqueduct_core::handoff::Urgency;
use aqueduct_core::message::Delivery;
use aqueduct_core::path::CarrierKind;
use aqueduct_core::stream::OpenOptions;
use aqueduct_core::wire::capabilities::Mode;
use aqueduct_core::wire::id::{AppCode, Dir, StreamId};
use bytes::Bytes;

use crate::error::{ConnectError, ConnectionError, ExportError, MessageError, OpenError};
use crate::given::{Datagrams, Given};
use crate::hub::{Command, Part, Shared};
use crate::leftovers::{ITEM, Left};
use crate::message::{Arrivals, is_message};
use crate::recv::RecvHalf;
use crate::send::SendHalf;
use crate::threads::Mark;
use crate::wait::{Answer, Line, Reply, Waiters, Wakers, lock, question, until};

pub use connecting::Connecting;

/// Received datagrams that wait for the application; further ones wait in the core, which drops.
pub(crate) const DATAGRAM_INBOX: usize = 64;
/// Received messages that wait for the application; further ones keep their credit in the core.
pub(crate) const MESSAGE_INBOX: usize = 16;

pub(crate) struct ConnShared {
    pub(crate) shared: Arc<Shared>,
    /// The core's handle, once the driver has begun the connection.
    pub(crate) handle: OnceLock<ConnectionHandle>,
    /// What its handles share.
    guard: OnceLock<Weak<ConnGuard>>,
    mark: Mark,
    pub(crate) state: Mutex<ConnState>,
}

/// The connection as its handles see it.
pub(crate) struct ConnState {
    pub(crate) connected: bool,
    /// How it ended. The first end holds.
    pub(crate) end: Option<ConnectError>,
    /// No handle is left.
    pub(crate) abandoned: bool,
    pub(crate) peer: Option<NodeId>,
    pub(crate) remote: SocketAddr,
    /// What data takes.
    pub(crate) carriage: CarrierKind,
    pub(crate) max_datagram: Option<usize>,
    /// Largest whole message that the peer takes, in bytes.
    pub(crate) max_message: u64,
    /// How large messages cross.
    pub(crate) mode: Mode,
    pub(crate) stats: Option<ConnectionStats>,
    pub(crate) wishes: Wishes,
    pub(crate) inbox: Inbox,
    answers: answers::Answers,
    pub(crate) waiting: Waiting,
}

/// What the driver is to do for the connection.
#[derive(Default)]
pub(crate) struct Wishes {
    /// By direction.
    pub(crate) opens: [Line<Opening, Opened>; 2],
    pub(crate) datagrams: Datagrams,
    pub(crate) messages: Line<Given, Result<(), MessageError>>,
    pub(crate) questions: Vec<Question>,
    /// The last one wished for.
    pub(crate) controller: Option<Algorithm>,
    pub(crate) close: Option<CloseRequest>,
}

/// What came and waits for the application.
#[derive(Default)]
pub(crate) struct Inbox {
    /// Streams with both halves, and the order in which they came.
    pub(crate) bi: VecDeque<(u64, SendHalf, RecvHalf)>,
    pub(crate) uni: VecDeque<(u64, RecvHalf)>,
    pub(crate) streams: u64,
    pub(crate) datagrams: VecDeque<Bytes>,
    pub(crate) messages: Arrivals,
    /// Of a connection that is over: its datagrams and whole messages, until all were taken.
    left: Option<Left>,
}

impl Inbox {
    /// The connection is over: keeps the datagrams and whole messages that there is room for, first
    /// come first kept. Gives how many of them are not kept.
    pub(crate) fn leave(&mut self, mut left: Left) -> usize {
        let all = self.datagrams.len() + self.messages.len();
        let mut fits = |item: &Bytes| left.add(item.len() as u64 + ITEM);
        let datagrams = self.datagrams.iter().take_while(|datagram| fits(datagram)).count();
        self.datagrams.truncate(datagrams);
        self.messages.keep_while(fits);
        let kept = datagrams + self.messages.len();
        self.left = (kept > 0).then_some(left);
        all - kept
    }

    /// Streams of these that nobody has taken.
    pub(crate) fn give_up(&mut self, ids: &[StreamId]) -> impl Sized + use<> {
        let given_up = |recv: &RecvHalf| ids.binary_search(&recv.id()).is_ok();
        let bi = std::mem::take(&mut self.bi).into_iter();
        let (unkept_bi, bi): (VecDeque<_>, _) = bi.partition(|(.., recv)| given_up(recv));
        let uni = std::mem::take(&mut self.uni).into_iter();
        let (unkept_uni, uni): (VecDeque<_>, _) = uni.partition(|(_, recv)| given_up(recv));
        (self.bi, self.uni) = (bi, uni);
        (unkept_bi, unkept_uni, self.messages.give_up(ids))
    }

    /// Something was looked for in vain: if nothing is left, it takes no room.
    pub(crate) fn settle(&mut self) {
        if self.datagrams.is_empty() && self.messages.len() == 0 {
            self.left = None;
        }
    }
}

#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) start: Waiters,
    pub(crate) streams: Waiters,
    pub(crate) datagrams_in: Waiters,
    pub(crate) datagrams_out: Waiters,
    pub(crate) messages: Waiters,
    pub(crate) end: Waiters,
}

/// A stream that is to be opened.
pub(crate) struct Opening {
    pub(crate) options: OpenOptions,
    /// Who waits for the part that answers it, if it asks for one.
    pub(crate) part: Option<Reply<RecvHalf>>,
}

/// The halves of a stream that was opened, or why it was not.
pub(crate) type Opened = Result<(SendHalf, Option<RecvHalf>), OpenError>;

pub(crate) enum Question {
    Stats(Reply<ConnectionStats>),
    Export { label: Vec<u8>, context: Vec<u8>, len: usize, reply: Reply<Option<Vec<u8>>> },
}

pub(crate) struct CloseRequest {
    pub(crate) code: AppCode,
    pub(crate) reason: Vec<u8>,
    pub(crate) when: CloseWhen,
}

/// When CLOSE leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseWhen {
    Delivered,
    Now,
}

impl ConnShared {
    pub(crate) fn new(shared: Arc<Shared>, remote: SocketAddr, peer: Option<NodeId>) -> Arc<Self> {
        let state = ConnState {
            connected: false,
            end: None,
            abandoned: false,
            peer,
            remote,
            carriage: CarrierKind::Udp,
            max_datagram: None,
            max_message: 0,
            mode: Mode::Traditional,
            stats: None,
            wishes: Wishes::default(),
            inbox: Inbox::default(),
            answers: answers::Answers::default(),
            waiting: Waiting::default(),
        };
        let (handle, guard) = (OnceLock::new(), OnceLock::new());
        let (mark, state) = (Mark::default(), Mutex::new(state));
        Arc::new(Self { shared, handle, guard, mark, state })
    }

    pub(crate) fn mark(self: &Arc<Self>) {
        let work = || Command::Connection(self.clone());
        if self.shared.hub.raise(&self.mark, Urgency::High, Part::Alone, work).is_err() {
            self.end(ConnectError::EndpointClosed);
        }
    }

    /// For who waits for an answer to his wish.
    fn ask(self: &Arc<Self>) {
        let work = || Command::Connection(self.clone());
        if self.shared.hub.ask(&self.mark, work).is_err() {
            self.end(ConnectError::EndpointClosed);
        }
    }

    /// For the driver, before it reads the wishes.
    pub(crate) fn unmark(&self) {
        self.mark.clear();
    }

    /// For the driver: changes the state and wakes whom the change concerns.
    pub(crate) fn update(&self, change: impl FnOnce(&mut ConnState) -> Wakers) {
        let wakers = change(&mut lock(&self.state));
        wakers.wake();
    }

    /// The connection is over. What came before can still be taken.
    pub(crate) fn end(&self, end: ConnectError) {
        let (wishes, wakers) = {
            let mut state = lock(&self.state);
            state.end.get_or_insert(end);
            let waiting = &mut state.waiting;
            let wakers = (waiting.start.take())
                .and(waiting.streams.take())
                .and(waiting.datagrams_in.take())
                .and(waiting.datagrams_out.take())
                .and(waiting.messages.take())
                .and(waiting.end.take());
            (std::mem::take(&mut state.wishes), wakers)
        };
        // Outside of the lock: answers that never come wake who waits for them.
        drop(wishes);
        wakers.wake();
    }
}

impl ConnShared {
    /// A handle more, unless the last one is gone or there was none yet.
    pub(crate) fn to_handle(&self) -> Option<Connection> {
        let guard = self.guard.get()?.upgrade()?;
        let peer = lock(&self.state).peer?;
        Some(Connection { guard, peer })
    }

    /// For the driver: a stream has come. Gives it back if nobody is left to take it.
    pub(crate) fn arrived(
        &self,
        send: Option<SendHalf>,
        recv: RecvHalf,
    ) -> Option<(Option<SendHalf>, RecvHalf)> {
        if recv.info().is_some_and(is_message) {
            self.message_arrived(send, recv);
            return None;
        }
        let wakers = {
            let mut state = lock(&self.state);
            if state.abandoned {
                return Some((send, recv));
            }
            let order = state.inbox.streams;
            state.inbox.streams += 1;
            match send {
                Some(send) => state.inbox.bi.push_back((order, send, recv)),
                None => state.inbox.uni.push_back((order, recv)),
            }
            state.waiting.streams.take()
        };
        wakers.wake();
        None
    }
}

impl ConnState {
    pub(crate) fn error(&self) -> Option<ConnectionError> {
        self.end.as_ref().map(|end| match end {
            ConnectError::Failed(reason) => ConnectionError::Closed(reason.clone()),
            _ => ConnectionError::DriverGone,
        })
    }

    fn next_bi(&mut self) -> Option<(SendHalf, RecvHalf)> {
        self.inbox.bi.pop_front().map(|(_, send, recv)| (send, recv))
    }

    fn next_uni(&mut self) -> Option<RecvHalf> {
        self.inbox.uni.pop_front().map(|(_, recv)| recv)
    }

    fn next_stream(&mut self) -> Option<(Option<SendHalf>, RecvHalf)> {
        let bi = self.inbox.bi.front().map_or(u64::MAX, |(order, ..)| *order);
        let uni = self.inbox.uni.front().map_or(u64::MAX, |(order, _)| *order);
        if uni < bi {
            self.next_uni().map(|recv| (None, recv))
        } else {
            self.next_bi().map(|(send, recv)| (Some(send), recv))
        }
    }

    /// `found`, or the end of the connection if nothing was found.
    fn or_end<T>(&mut self, found: Option<T>) -> Option<Result<T, ConnectionError>> {
        if found.is_none() {
            self.inbox.settle();
        }
        found.map(Ok).or_else(|| self.error().map(Err))
    }
}

/// Counts the handles of a connection. The last one closes it: after delivery if it had begun.
pub(crate) struct ConnGuard(pub(crate) Arc<ConnShared>);

impl Drop for ConnGuard {
    fn drop(&mut self) {
        let inbox = {
            let mut state = lock(&self.0.state);
            state.abandoned = true;
            if state.end.is_none() {
                let when = if state.connected { CloseWhen::Delivered } else { CloseWhen::Now };
                let request = CloseRequest { code: AppCode(0), reason: Vec::new(), when };
                state.wishes.close.get_or_insert(request);
            }
            std::mem::take(&mut state.inbox)
        };
        // Outside of the lock: streams that nobody accepted are refused one by one.
        drop(inbox);
        self.0.mark();
    }
}

/// A handle of a connection. Clones and streams keep it open; when the last is gone, it closes with
/// code 0 after everything that was written has been delivered.
#[derive(Clone)]
pub struct Connection {
    guard: Arc<ConnGuard>,
    peer: NodeId,
}

impl Connection {
    pub(crate) fn guard(&self) -> &Arc<ConnGuard> {
        &self.guard
    }

    pub(crate) fn shared(&self) -> &Arc<ConnShared> {
        &self.guard.0
    }

    pub(crate) fn state(&self) -> &Mutex<ConnState> {
        &self.guard.0.state
    }

    /// The core's handle, once the driver has begun the connection.
    pub(crate) fn handle(&self) -> Option<ConnectionHandle> {
        self.guard.0.handle.get().copied()
    }

    /// Gives the application a stream that was kept from it.
    pub(crate) fn hand_over(&self, send: Option<SendHalf>, recv: RecvHalf) {
        let adopt = Command::Adopt(recv.shared());
        let _gone = self.guard.0.shared.hub.push(adopt);
        let refused = self.guard.0.arrived(send, recv);
        // Outside of the lock: nobody is left to take it.
        drop(refused);
    }

    /// Who is at the other end.
    pub fn peer(&self) -> NodeId {
        self.peer
    }

    /// Where the peer is now.
    pub fn remote(&self) -> SocketAddr {
        lock(self.state()).remote
    }

    /// What data takes now: UDP, or a reliable carrier (TCP).
    pub fn carriage(&self) -> CarrierKind {
        lock(self.state()).carriage
    }

    /// How large messages cross this connection.
    pub fn mode(&self) -> Mode {
        lock(self.state()).mode
    }

    /// Largest unreliable datagram, in bytes, that fits a packet now; `None`: the peer takes none.
    pub fn max_datagram_len(&self) -> Option<usize> {
        lock(self.state()).max_datagram
    }

    /// Opens a stream; waits while the peer allows no more. It leaves with its first bytes, or by
    /// itself when nothing is written before the driver's next turn. Cancel-safe: a stream that was
    /// opened for a future that is gone is given up at once.
    ///
    /// # Errors
    /// The options cannot be sent, or the connection is over.
    pub async fn open(
        &self,
        dir: Dir,
        options: OpenOptions,
    ) -> Result<(SendHalf, Option<RecvHalf>), OpenError> {
        self.open_for(dir, Opening { options, part: None }).await
    }

    async fn open_for(
        &self,
        dir: Dir,
        opening: Opening,
    ) -> Result<(SendHalf, Option<RecvHalf>), OpenError> {
        let (reply, answer) = question();
        {
            let mut state = lock(self.state());
            if let Some(error) = state.error() {
                return Err(error.into());
            }
            let [bi, uni] = &mut state.wishes.opens;
            let line = if dir == Dir::Bi { bi } else { uni };
            line.push(opening, reply);
        }
        self.shared().ask();
        let (send, recv) = answer.await.ok_or_else(|| self.over())??;
        let recv = recv.map(|recv| recv.kept_by(self.guard.clone()));
        Ok((send.kept_by(self.guard.clone()), recv))
    }

    fn over(&self) -> ConnectionError {
        lock(self.state()).error().unwrap_or(ConnectionError::DriverGone)
    }

    /// The next stream of both directions that the peer opened. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over and every stream was taken.
    pub async fn accept_bi(&self) -> Result<(SendHalf, RecvHalf), ConnectionError> {
        let (send, recv) = self.accept(ConnState::next_bi).await?;
        Ok((send.kept_by(self.guard.clone()), recv.kept_by(self.guard.clone())))
    }

    /// The next stream of one direction that the peer opened. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over and every stream was taken.
    pub async fn accept_uni(&self) -> Result<RecvHalf, ConnectionError> {
        let recv = self.accept(ConnState::next_uni).await?;
        Ok(recv.kept_by(self.guard.clone()))
    }

    /// The next stream that the peer opened, of either kind, in order of arrival. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over and every stream was taken.
    pub async fn accept_any(&self) -> Result<(Option<SendHalf>, RecvHalf), ConnectionError> {
        let (send, recv) = self.accept(ConnState::next_stream).await?;
        let send = send.map(|send| send.kept_by(self.guard.clone()));
        Ok((send, recv.kept_by(self.guard.clone())))
    }

    async fn accept<T>(&self, next: fn(&mut ConnState) -> Option<T>) -> Result<T, ConnectionError> {
        let look = move |state: &mut ConnState| {
            let found = next(state);
            state.or_end(found)
        };
        until(self.state(), |state| &mut state.waiting.streams, look).await
    }

    /// Sends a whole message, reliably. Resolves when the core has taken it. Dropped before, the
    /// message is sent whole or not at all.
    ///
    /// # Errors
    /// It is larger than the peer takes, or the connection is over.
    pub async fn send_message(&self, message: Bytes) -> Result<(), MessageError> {
        self.send_message_with(message, Delivery::new()).await
    }

    /// The same, as soon as `delivery` says, and reliably only as long: one that is too old before
    /// the core can take it is counted as expired, and not sent.
    ///
    /// # Errors
    /// Those of [`Connection::send_message`].
    pub async fn send_message_with(
        &self,
        message: Bytes,
        delivery: Delivery,
    ) -> Result<(), MessageError> {
        let (reply, answer) = question();
        {
            let mut state = lock(self.state());
            if let Some(error) = state.error() {
                return Err(error.into());
            }
            state.wishes.messages.push(Given::new(message, delivery, Instant::now()), reply);
        }
        self.shared().mark();
        answer.await.ok_or_else(|| self.over())?
    }

    /// The connection's counters now; after its end, the last ones. `None` if it never began.
    pub async fn stats(&self) -> Option<ConnectionStats> {
        let answer = self.ask(Question::Stats)?;
        match answer.await {
            Some(stats) => Some(stats),
            None => lock(self.state()).stats,
        }
    }

    /// Asks the driver. `None` only if nobody could ever answer.
    fn ask<T>(&self, question_of: impl FnOnce(Reply<T>) -> Question) -> Option<Answer<T>> {
        let (reply, answer) = question();
        {
            let mut state = lock(self.state());
            // Over: the reply is dropped, and the answer says so.
            if state.end.is_none() {
                state.wishes.questions.push(question_of(reply));
            }
        }
        self.shared().mark();
        Some(answer)
    }

    /// Another congestion controller for what is sent from now on. After the end it does nothing.
    pub fn set_controller(&self, controller: Algorithm) {
        lock(self.state()).wishes.controller = Some(controller);
        self.shared().mark();
    }

    /// Key material of this connection for the application: equal at both ends for equal arguments.
    ///
    /// # Errors
    /// [`ExportError`]: a label or a length that cannot be, or the connection is over.
    pub async fn export_keying_material(
        &self,
        label: &[u8],
        context: &[u8],
        len: usize,
    ) -> Result<Vec<u8>, ExportError> {
        ExportError::of(label, len)?;
        let (label, context) = (label.to_vec(), context.to_vec());
        let answer = self.ask(|reply| Question::Export { label, context, len, reply });
        let answer = answer.ok_or_else(|| self.over())?;
        Ok(answer.await.flatten().ok_or_else(|| self.over())?)
    }

    /// Closes after everything that was written has been delivered, or the peer is lost.
    pub fn close(&self, code: AppCode, reason: &[u8]) {
        self.request_close(code, reason, CloseWhen::Delivered);
    }

    /// Closes at once; what was not acknowledged may be lost.
    pub fn abort(&self, code: AppCode, reason: &[u8]) {
        self.request_close(code, reason, CloseWhen::Now);
    }

    fn request_close(&self, code: AppCode, reason: &[u8], when: CloseWhen) {
        {
            let mut state = lock(self.state());
            if state.end.is_some() {
                return;
            }
            let waits = state.wishes.close.as_ref().map(|close| close.when);
            // The first wish holds, but closing now is stronger than closing in peace.
            if waits.is_none() || (waits, when) == (Some(CloseWhen::Delivered), CloseWhen::Now) {
                state.wishes.close = Some(CloseRequest { code, reason: reason.to_vec(), when });
            }
        }
        self.shared().mark();
    }

    /// Why the connection ended; `None` while it has not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        lock(self.state()).error().map(|error| error.reason())
    }

    /// Waits for the end of the connection. Cancel-safe.
    pub async fn closed(&self) -> CloseReason {
        let look = |state: &mut ConnState| state.error().map(|error| error.reason());
        until(self.state(), |state| &mut state.waiting.end, look).await
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = lock(self.state());
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("remote", &state.remote)
            .field("end", &state.end)
            .finish_non_exhaustive()
    }
}
