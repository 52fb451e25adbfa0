//! The application of a node that is explored: a short script, and what it saw.

use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::connection::EventKind;
use aqueduct_core::endpoint::{
    ConnectionHandle, ConnectionRef, Endpoint, Event, Leg, PipeEvent, PipeEventKind, PipeId,
    StreamAddr,
};
use aqueduct_core::error::{CloseReason, StreamCode};
use aqueduct_core::pipe::{LegEnd, LegPolicy, PipeOptions};
use aqueduct_core::stream::{OpenOptions, ReadError, StreamProtocol};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{AppCode, Dir, StreamId};
use aqueduct_tests::app::{byte, prose};
use bytes::Bytes;

/// Bytes that a relay keeps for whom it gave up: any text.
const KEPT: u64 = 10_000;

/// What an application does next. Texts have numbers (`salt`), each its own in the whole world;
/// connections count from 0 in the order in which the node came to know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Do {
    /// Connects to a node, whose id it knows or not; unless somebody was faster.
    Dial { to: usize, known: bool },
    /// Opens a stream on a connection and writes so many bytes of a text.
    Open { on: usize, salt: u8, len: u64 },
    /// Writes more of it.
    Write { salt: u8, len: u64 },
    /// That was all of it.
    Finish(u8),
    /// Gives a text up.
    Reset(u8, u64),
    /// Wants no more of a text.
    Stop(u8, u64),
    /// Ends a connection politely.
    Close(usize, u64),
    /// Ends it at once.
    Abort(usize, u64),
    /// Its packets come from another port, and it does not know.
    Move,
    /// Its process begins anew, with its key and nothing else.
    Forget,
    /// Waits until the world is explored.
    Gate,
    /// Does nothing for so many milliseconds.
    Rest(u64),
    /// Waits; whatever is waited for on a connection that is over has come.
    Until(Met),
}

/// What an application waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Met {
    /// A connection is there.
    Connected(usize),
    /// A connection is over.
    Closed(usize),
    /// All of a text was acknowledged, or it is known not to be wanted.
    Settled(u8),
    /// Of a text came as much, or its end.
    Came(u8, u64),
    /// A text ended, one way or other.
    Ended(u8),
}

/// A connection as its application knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    pub(crate) handle: ConnectionHandle,
    pub(crate) connected: bool,
    pub(crate) closed: Option<CloseReason>,
    pub(crate) drained: bool,
    /// Equal at both ends; and whether this end answered.
    pub(crate) hash: Option<[u8; 32]>,
    pub(crate) answers: bool,
}

/// A text on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Out {
    pub(crate) on: usize,
    pub(crate) stream: StreamId,
    pub(crate) salt: u8,
    /// Bytes that the stream took.
    pub(crate) written: u64,
    /// How far it is to be written for now.
    wanted: u64,
    finish: bool,
    pub(crate) finished: bool,
    pub(crate) reset: Option<u64>,
    pub(crate) delivered: bool,
    pub(crate) stopped: bool,
}

/// How a text ended here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Finished,
    Reset(u64),
    Stopped,
}

/// A text on its way in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct In {
    pub(crate) on: usize,
    stream: StreamId,
    pub(crate) salt: u8,
    /// Where the stream began.
    pub(crate) start: u64,
    /// A relay gave up the stream that it came by before, and begins where that was acknowledged.
    pub(crate) again: bool,
    pub(crate) read: u64,
    pub(crate) end: Option<End>,
}

/// A text that is passed on, and by which connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Passed {
    pipe: PipeId,
    /// What its streams were opened with.
    options: OpenOptions,
    legs: Vec<ConnectionHandle>,
}

/// A node's application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct App {
    script: Arc<[Do]>,
    next: usize,
    /// The world is explored from now on.
    pub(crate) begun: bool,
    /// Its next act waits until something happens.
    pub(crate) held: bool,
    /// It rests until then.
    pub(crate) rests: Option<Instant>,
    /// Wants nobody.
    pub(crate) refuses: bool,
    /// Passes what comes on to all the connections that it dialled, with this policy.
    relays: Option<LegPolicy>,
    pub(crate) links: Vec<Link>,
    pub(crate) out: Vec<Out>,
    pub(crate) inn: Vec<In>,
    passed: Vec<Passed>,
    dialled: Vec<usize>,
    /// What it saw that cannot be.
    pub(crate) amazed: Option<String>,
}

impl App {
    pub(crate) fn new(script: &[Do]) -> Self {
        Self { script: script.into(), ..Self::default() }
    }

    /// One that wants nobody.
    pub(crate) fn refusing() -> Self {
        Self { refuses: true, ..Self::default() }
    }

    /// One that passes on what comes.
    pub(crate) fn relay_by(script: &[Do], policy: LegPolicy) -> Self {
        Self { relays: Some(policy), ..Self::new(script) }
    }

    /// The next act, if it can be done.
    pub(crate) fn ready(&self) -> Option<Do> {
        if self.rests.is_some() {
            return None;
        }
        let next = *self.script.get(self.next)?;
        let over = |on: usize| self.links.get(on).is_some_and(|link| link.closed.is_some());
        let out_over = |salt: u8| self.sent(salt).is_some_and(|out| over(out.on));
        let came = |salt: u8, least: u64| {
            let text = self.inn.iter().find(|text| text.salt == salt);
            let met = text.is_some_and(|t| t.read >= least || t.end.is_some() || over(t.on));
            met || (text.is_none() && !self.links.is_empty() && (0..self.links.len()).all(over))
        };
        let met = match next {
            Do::Until(Met::Connected(on)) => {
                self.links.get(on).is_some_and(|link| link.connected) || over(on)
            }
            Do::Until(Met::Closed(on)) => over(on),
            Do::Until(Met::Settled(salt)) => {
                let done = |out: &Out| out.delivered || out.stopped || out.reset.is_some();
                self.sent(salt).is_none_or(done) || out_over(salt)
            }
            Do::Until(Met::Came(salt, least)) => came(salt, least),
            Do::Until(Met::Ended(salt)) => came(salt, u64::MAX),
            Do::Gate => self.begun,
            _ => true,
        };
        met.then_some(next)
    }

    /// Whether the script is done.
    pub(crate) fn is_done(&self) -> bool {
        self.next >= self.script.len()
    }

    /// What it waits for, or does.
    pub(crate) fn at(&self) -> Option<Do> {
        self.script.get(self.next).copied()
    }

    pub(crate) fn sent(&self, salt: u8) -> Option<&Out> {
        self.out.iter().find(|out| out.salt == salt)
    }

    pub(crate) fn received(&self, salt: u8) -> Option<&In> {
        self.inn.iter().find(|text| text.salt == salt)
    }

    /// Whether somebody connected to it.
    pub(crate) fn was_dialled(&self) -> bool {
        self.links.len() > self.dialled.len()
    }

    /// A connection that it began.
    pub(crate) fn on_dialled(&mut self, handle: ConnectionHandle) {
        self.dialled.push(self.links.len());
        self.on_link(handle);
    }

    /// A connection that it took.
    pub(crate) fn on_link(&mut self, handle: ConnectionHandle) {
        if self.links.iter().any(|link| link.handle == handle) {
            return; // Both dialled, and it is one connection.
        }
        let (connected, closed, drained) = (false, None, false);
        let (hash, answers) = (None, false);
        self.links.push(Link { handle, connected, closed, drained, hash, answers });
    }

    /// Nothing that it had is there any more, but what it wants to do.
    pub(crate) fn forget(&mut self) {
        let Self { script, next, begun, refuses, relays, .. } = std::mem::take(self);
        *self = Self { script, next, begun, refuses, relays, ..Self::default() };
    }

    /// Does what `ready` gave, but for what is the world's: dialling, moving and beginning anew.
    pub(crate) fn act(&mut self, what: Do, endpoint: &mut Endpoint, now: Instant) {
        self.next += 1;
        match what {
            Do::Dial { .. } | Do::Gate | Do::Move | Do::Forget | Do::Until(_) => {}
            Do::Rest(ms) => self.rests = Some(now + Duration::from_millis(ms)),
            Do::Open { on, salt, len } => self.open(on, salt, len, endpoint),
            Do::Write { salt, len } => self.change(salt, endpoint, |out| out.wanted += len),
            Do::Finish(salt) => self.change(salt, endpoint, |out| out.finish = true),
            Do::Reset(salt, code) => self.reset(salt, code, endpoint),
            Do::Stop(salt, code) => self.stop(salt, code, endpoint),
            Do::Close(on, code) => {
                if let Some(mut view) = self.view(on, endpoint) {
                    view.close(AppCode(code), b"");
                }
            }
            Do::Abort(on, code) => {
                if let Some(mut view) = self.view(on, endpoint) {
                    view.abort(AppCode(code), b"", now);
                }
            }
        }
    }

    fn view<'e>(&self, on: usize, endpoint: &'e mut Endpoint) -> Option<ConnectionRef<'e>> {
        endpoint.connection(self.links.get(on)?.handle)
    }

    fn open(&mut self, on: usize, salt: u8, wanted: u64, endpoint: &mut Endpoint) {
        let Some(mut view) = self.view(on, endpoint) else { return };
        let options = OpenOptions::new(StreamProtocol::name("prose"));
        let options = options.with_head(Bytes::copy_from_slice(&[salt]));
        let Ok(stream) = view.open(Dir::Uni, options) else { return };
        drop(view);
        let (finish, finished, delivered, stopped) = (false, false, false, false);
        let (written, reset) = (0, None);
        self.out.push(Out {
            on,
            stream,
            salt,
            written,
            wanted,
            finish,
            finished,
            reset,
            delivered,
            stopped,
        });
        self.change(salt, endpoint, |_| {});
    }

    /// Changes what is to become of a text, and does what can be done of it at once.
    fn change(&mut self, salt: u8, endpoint: &mut Endpoint, how: impl FnOnce(&mut Out)) {
        let Some(out) = self.out.iter_mut().find(|out| out.salt == salt) else { return };
        how(out);
        let Some(link) = self.links.get(out.on) else { return };
        let Some(mut view) = endpoint.connection(link.handle) else { return };
        let Some(mut stream) = view.send(out.stream) else { return };
        while out.written < out.wanted {
            let text = prose(out.salt.into(), out.wanted as usize);
            let Ok(taken) = stream.write(text.slice(out.written as usize..)) else { return };
            out.written += taken as u64;
        }
        if out.finish && !out.finished {
            out.finished = stream.finish().is_ok();
        }
    }

    fn reset(&mut self, salt: u8, code: u64, endpoint: &mut Endpoint) {
        let Some(out) = self.out.iter_mut().find(|out| out.salt == salt) else { return };
        let Some(link) = self.links.get(out.on) else { return };
        let Some(mut view) = endpoint.connection(link.handle) else { return };
        let Some(mut stream) = view.send(out.stream) else { return };
        stream.reset(AppCode(code));
        out.reset = Some(code);
    }

    fn stop(&mut self, salt: u8, code: u64, endpoint: &mut Endpoint) {
        let Some(text) = self.inn.iter_mut().find(|text| text.salt == salt) else { return };
        let Some(link) = self.links.get(text.on) else { return };
        let Some(mut view) = endpoint.connection(link.handle) else { return };
        let Some(mut stream) = view.recv(text.stream) else { return };
        stream.stop(AppCode(code));
        text.end.get_or_insert(End::Stopped);
    }

    /// News of one of its connections.
    pub(crate) fn on_event(&mut self, event: Event, endpoint: &mut Endpoint) {
        let Some(on) = self.links.iter().position(|link| link.handle == event.connection) else {
            self.amazed = Some(format!("news of nobody: {event:?}"));
            return;
        };
        let Self { links, out, inn, amazed, .. } = self;
        let Some(link) = links.get_mut(on) else { return };
        if link.drained {
            *amazed = Some(format!("news after the end: {event:?}"));
        }
        let mut outs = out.iter_mut();
        match event.kind {
            EventKind::Connected if link.connected => *amazed = Some("connected twice".into()),
            EventKind::Connected => link.connected = true,
            EventKind::Closed(_) if link.closed.is_some() => *amazed = Some("closed twice".into()),
            EventKind::Closed(why) => link.closed = Some(why),
            EventKind::Drained => link.drained = true,
            EventKind::StreamAvailable => self.accept(on, endpoint),
            EventKind::Readable(stream) => {
                let text = inn.iter_mut().find(|text| (text.on, text.stream) == (on, stream));
                if let Some(text) = text {
                    read(text, links, endpoint, amazed);
                }
            }
            EventKind::Writable(stream) => {
                let salt =
                    outs.find(|out| (out.on, out.stream) == (on, stream)).map(|out| out.salt);
                if let Some(salt) = salt {
                    self.change(salt, endpoint, |_| {});
                }
            }
            EventKind::Delivered(stream) => {
                let out = outs.find(|out| (out.on, out.stream) == (on, stream));
                out.into_iter().for_each(|out| out.delivered = true);
            }
            EventKind::Stopped(stream) => {
                let out = outs.find(|out| (out.on, out.stream) == (on, stream));
                out.into_iter().for_each(|out| out.stopped = true);
            }
            _ => {}
        }
    }

    /// News of one of its pipes: a leg that was given up gets another stream for the rest.
    pub(crate) fn on_pipe(&mut self, event: PipeEvent, endpoint: &mut Endpoint) {
        let PipeEventKind::LegEnded { leg, end: LegEnd::Detached { at }, .. } = event.kind else {
            return;
        };
        let Some(passed) = self.passed.iter().find(|passed| passed.pipe == event.pipe) else {
            return;
        };
        // Who was given up once more is left alone.
        let Some(to) = passed.legs.get(leg.0 as usize) else { return };
        let Some(pipe) = endpoint.piped(passed.pipe) else { return };
        if pipe.held_from() > at {
            self.amazed = Some(format!("{at} is not kept, but {}", pipe.held_from()));
            return;
        }
        drop(pipe);
        let Some(mut view) = endpoint.connection(*to) else { return };
        let salt = passed.options.head.first().copied().unwrap_or_default();
        let options = passed.options.clone().with_head(Bytes::copy_from_slice(&[salt, 1]));
        let options = OpenOptions { start: at, ..options };
        let Ok(stream) = view.open(Dir::Uni, options) else { return };
        drop(view);
        let leg = Leg::Stream(StreamAddr { connection: *to, stream });
        if let Some(mut pipe) = endpoint.piped(passed.pipe)
            && let Err(error) = pipe.add_leg(leg, LegPolicy::Stall)
        {
            self.amazed = Some(format!("no leg for the rest: {error}"));
        }
    }

    fn accept(&mut self, on: usize, endpoint: &mut Endpoint) {
        loop {
            let Some(mut view) = self.view(on, endpoint) else { return };
            let Some(stream) = view.accept() else { return };
            let info = view.stream_info(stream).cloned();
            drop(view);
            let Some(info) = info else {
                self.amazed = Some("a stream without an introduction".into());
                return;
            };
            if let Some(policy) = self.relays {
                self.relay(on, stream, &info, policy, endpoint);
                continue;
            }
            let salt = info.head.first().copied().unwrap_or_default();
            let again = info.head.len() > 1;
            if self.inn.iter().any(|text| (text.salt, text.again) == (salt, again)) {
                self.amazed = Some(format!("text {salt} came twice"));
            }
            let start = info.start;
            self.inn.push(In { on, stream, salt, start, again, read: start, end: None });
            let Self { inn, links, amazed, .. } = self;
            if let Some(text) = inn.last_mut() {
                read(text, links, endpoint, amazed);
            }
        }
    }

    /// Passes a stream on to every connection that it dialled.
    fn relay(
        &mut self,
        on: usize,
        stream: StreamId,
        info: &OpenOptions,
        policy: LegPolicy,
        endpoint: &mut Endpoint,
    ) {
        let from = self.links.get(on).map(|link| StreamAddr { connection: link.handle, stream });
        let options = info.forwarded();
        let mut legs = Vec::new();
        for to in self.dialled.iter().filter_map(|on| self.links.get(*on)) {
            let view = endpoint.connection(to.handle);
            let opened = options.clone().zip(view);
            if let Some(stream) = opened.and_then(|(o, mut view)| view.open(Dir::Uni, o).ok()) {
                legs.push(Leg::Stream(StreamAddr { connection: to.handle, stream }));
            }
        }
        let Some(from) = from else { return };
        let keep = if policy == LegPolicy::Stall { 0 } else { KEPT };
        let piping = PipeOptions { policy, keep, ..PipeOptions::default() };
        match endpoint.pipe(from, &legs, piping) {
            Ok(pipe) => {
                let to = |leg| match leg {
                    Leg::Stream(to) => Some(to.connection),
                    _ => None,
                };
                let legs = legs.into_iter().filter_map(to).collect();
                self.passed.extend(options.map(|options| Passed { pipe, options, legs }));
            }
            Err(_) => {
                if let Some(mut view) = endpoint.connection(from.connection)
                    && let Some(mut stream) = view.recv(from.stream)
                {
                    stream.stop(StreamCode::Unreachable.app());
                }
            }
        }
    }
}

/// Reads what is there, and looks at every byte.
fn read(text: &mut In, links: &[Link], endpoint: &mut Endpoint, amazed: &mut Option<String>) {
    let Some(link) = links.get(text.on) else { return };
    let Some(mut view) = endpoint.connection(link.handle) else { return };
    let Some(mut stream) = view.recv(text.stream) else { return };
    loop {
        let end = match stream.read_chunk(usize::MAX) {
            Ok(Some(chunk)) => {
                let right = |(at, is): (u64, &u8)| *is == byte(text.salt.into(), at);
                let whole = (chunk.offset..).zip(chunk.data.iter()).all(right);
                if text.end.is_some() || chunk.offset != text.read || !whole {
                    let range = chunk.range();
                    *amazed = Some(format!("{text:?} goes on with {range:?}, right: {whole}"));
                }
                text.read += chunk.data.len() as u64;
                stream.release(chunk.data.len() as u64);
                continue;
            }
            Ok(None) => End::Finished,
            Err(ReadError::Reset { code, .. }) => End::Reset(code.0),
            Err(ReadError::Blocked | ReadError::Stopped) => return,
            Err(error) => {
                *amazed = Some(format!("{text:?}: {error}"));
                return;
            }
        };
        if text.end.is_some_and(|before| before != end) {
            *amazed = Some(format!("{text:?} ends again: {end:?}"));
        }
        text.end = Some(end);
        return;
    }
}
