//! An application on every host: it accepts what comes, checks every byte, and keeps a diary.

mod flows;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::connection::EventKind;
use aqueduct_core::endpoint::{ConnectionHandle, Endpoint};
use aqueduct_core::error::CloseReason;
use aqueduct_core::stream::{OpenOptions, Priority, StreamProtocol};
use aqueduct_core::wire::id::{Dir, StreamId};
use bytes::Bytes;

use crate::holes::Scattered;
use crate::net::{HostId, Net};

pub use flows::{Inflow, Outflow};

/// Bytes that are made at once.
const WORD: u64 = 8;

/// The word that begins at byte `8 * index` of the text number `salt`.
fn word(salt: u64, index: u64) -> [u8; WORD as usize] {
    let mixed = (index ^ salt.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93).to_le_bytes()
}

/// The byte at `at` of the text number `salt`.
pub fn byte(salt: u64, at: u64) -> u8 {
    word(salt, at / WORD)[(at % WORD) as usize]
}

/// The first `len` bytes of the text number `salt`; no two positions or texts look alike for long.
pub fn prose(salt: u64, len: usize) -> Bytes {
    let words = (len as u64).div_ceil(WORD);
    let mut text = Vec::with_capacity((words * WORD) as usize);
    (0..words).for_each(|index| text.extend_from_slice(&word(salt, index)));
    text.truncate(len);
    text.into()
}

/// How an application reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// Everything as soon as it is there.
    #[default]
    InOrder,
    /// Whatever arrived first.
    AsItComes,
    /// Never.
    Never,
}

/// What an application noticed of one connection.
#[derive(Clone, Debug, Default)]
pub struct Diary {
    /// It is there.
    pub connected: bool,
    /// Why it ended.
    pub closed: Option<CloseReason>,
    /// Nothing is left of it.
    pub drained: bool,
    /// Bytes read of all streams when `closed` was noticed.
    pub read_before_closed: u64,
    /// Whole messages.
    pub messages: Vec<Bytes>,
    /// Datagrams.
    pub datagrams: Vec<Bytes>,
    /// Times that nothing came back.
    pub silences: usize,
    /// Times that another way was wished for although this one carries something.
    pub pauses: usize,
    /// Addresses that the peer moved to.
    pub moves: Vec<SocketAddr>,
    /// Addresses that the peer says we have.
    pub observed: Vec<SocketAddr>,
}

/// The application of one host.
#[derive(Clone, Debug)]
pub struct App {
    /// Where it runs.
    pub host: HostId,
    /// How it reads streams.
    pub reading: Reading,
    /// What it writes.
    pub out: Vec<Outflow>,
    /// What it reads.
    pub inn: Vec<Inflow>,
    /// The text that every stream brings a part of; `None`: each says in its head which it is.
    pub parts_of: Option<u64>,
    /// Streams that were given up by who reads them before anything was written here.
    unwanted: BTreeSet<(ConnectionHandle, StreamId)>,
    diaries: BTreeMap<ConnectionHandle, Diary>,
}

impl App {
    /// An application that has done nothing yet.
    pub fn new(host: HostId) -> Self {
        Self {
            host,
            reading: Reading::default(),
            out: Vec::new(),
            inn: Vec::new(),
            parts_of: None,
            unwanted: BTreeSet::new(),
            diaries: BTreeMap::new(),
        }
    }

    /// What it noticed of a connection.
    pub fn diary(&self, connection: ConnectionHandle) -> Diary {
        self.diaries.get(&connection).cloned().unwrap_or_default()
    }

    /// Connections that were there at some time.
    pub fn connections(&self) -> Vec<ConnectionHandle> {
        self.diaries.iter().filter(|(_, diary)| diary.connected).map(|(key, _)| *key).collect()
    }

    /// Opens a stream and writes the text number `salt` to it, to the end.
    ///
    /// # Panics
    /// If no stream can be opened.
    pub fn write(
        &mut self,
        net: &mut Net,
        connection: ConnectionHandle,
        dir: Dir,
        salt: u64,
        len: usize,
    ) -> StreamId {
        let stream = self.begin(net, connection, dir, salt, len);
        if let Some(flow) = self.out.last_mut() {
            flow.finish = true;
            flow.pump(&mut net.host(self.host).endpoint);
        }
        stream
    }

    /// The same without the end.
    ///
    /// # Panics
    /// If no stream can be opened.
    pub fn begin(
        &mut self,
        net: &mut Net,
        connection: ConnectionHandle,
        dir: Dir,
        salt: u64,
        len: usize,
    ) -> StreamId {
        let endpoint = &mut net.host(self.host).endpoint;
        let mut view = endpoint.connection(connection).expect("a live connection");
        let stream = view.open(dir, introduction(salt)).expect("a stream");
        drop(view);
        self.push_out(net, Outflow::new(connection, stream, salt, prose(salt, len)));
        stream
    }

    /// Writes the text number `salt` on a stream that is there, as an answer.
    pub fn answer(
        &mut self,
        net: &mut Net,
        connection: ConnectionHandle,
        stream: StreamId,
        salt: u64,
        len: usize,
    ) {
        let mut flow = Outflow::new(connection, stream, salt, prose(salt, len));
        flow.finish = true;
        self.push_out(net, flow);
    }

    /// Writes a text with holes on a stream that is there, to its end.
    pub fn scatter(
        &mut self,
        net: &mut Net,
        connection: ConnectionHandle,
        stream: StreamId,
        text: Scattered,
    ) {
        self.push_out(net, Outflow::scattered(connection, stream, text));
    }

    fn push_out(&mut self, net: &mut Net, mut flow: Outflow) {
        flow.stopped = self.unwanted.remove(&(flow.connection, flow.stream));
        flow.pump(&mut net.host(self.host).endpoint);
        self.out.push(flow);
    }

    /// Expects the text number `salt` on a stream that this side opened.
    pub fn expect(&mut self, connection: ConnectionHandle, stream: StreamId, salt: u64) {
        self.inn.push(Inflow::new(connection, stream, Some(salt)));
    }

    /// Takes the news and acts on them.
    pub fn turn(&mut self, net: &mut Net) {
        if net.hosts.get(self.host.0).is_some_and(|host| host.events.is_empty()) {
            return;
        }
        let host = net.host(self.host);
        let news: Vec<_> = host.events.drain(..).collect();
        for event in news {
            self.notice(&mut host.endpoint, event.connection, event.kind);
        }
    }

    /// Acts on one piece of news.
    pub fn notice(
        &mut self,
        endpoint: &mut Endpoint,
        connection: ConnectionHandle,
        kind: EventKind,
    ) {
        if let EventKind::Closed(_) = kind {
            let read = self.read_of(connection);
            self.diaries.entry(connection).or_default().read_before_closed = read;
        }
        let diary = self.diaries.entry(connection).or_default();
        assert!(!diary.drained, "news of a connection that is drained: {kind:?}");
        match kind {
            EventKind::Connected => {
                assert!(!std::mem::replace(&mut diary.connected, true), "connected twice");
            }
            EventKind::Closed(reason) => {
                let before = diary.closed.replace(reason);
                assert_eq!(before, None, "closed twice");
            }
            EventKind::Drained => {
                assert!(diary.closed.is_some(), "drained without a cause");
                diary.drained = true;
            }
            EventKind::PathChanged { remote } => diary.moves.push(remote),
            EventKind::PathSilent => diary.silences += 1,
            EventKind::PathPaused => diary.pauses += 1,
            EventKind::AddressObserved(addr) => diary.observed.push(addr),
            EventKind::MessageReceived => {
                if let Some(mut view) = endpoint.connection(connection) {
                    diary.messages.extend(std::iter::from_fn(|| view.recv_message()));
                }
            }
            EventKind::DatagramReceived => {
                if let Some(mut view) = endpoint.connection(connection) {
                    diary.datagrams.extend(std::iter::from_fn(|| view.recv_datagram()));
                }
            }
            EventKind::StreamAvailable => self.accept(endpoint, connection),
            EventKind::Readable(stream) => self.pump(endpoint, connection, stream),
            EventKind::Writable(stream) => {
                if let Some(flow) = self.outflow(connection, stream) {
                    flow.pump(endpoint);
                }
            }
            EventKind::Delivered(stream) => {
                if let Some(flow) = self.outflow(connection, stream) {
                    flow.delivered = true;
                }
            }
            EventKind::Stopped(stream) => match self.outflow(connection, stream) {
                Some(flow) => flow.on_stopped(endpoint),
                None => _ = self.unwanted.insert((connection, stream)),
            },
            _ => {}
        }
    }

    /// Bytes read on all streams of a connection.
    pub fn read_of(&self, connection: ConnectionHandle) -> u64 {
        let flows = self.inn.iter().filter(|flow| flow.connection == connection);
        flows.map(|flow| flow.read).sum()
    }

    /// A stream's text on its way out. Where there are many, it is mostly about the latest.
    pub fn outflow(
        &mut self,
        connection: ConnectionHandle,
        stream: StreamId,
    ) -> Option<&mut Outflow> {
        let of = |flow: &&mut Outflow| (flow.connection, flow.stream) == (connection, stream);
        self.out.iter_mut().rev().find(of)
    }

    /// A stream's text on its way in.
    pub fn inflow(&self, connection: ConnectionHandle, stream: StreamId) -> Option<&Inflow> {
        let of = |flow: &&Inflow| (flow.connection, flow.stream) == (connection, stream);
        self.inn.iter().rev().find(of)
    }

    fn accept(&mut self, endpoint: &mut Endpoint, connection: ConnectionHandle) {
        while let Some(stream) = endpoint.connection(connection).and_then(|mut c| c.accept()) {
            self.adopt(endpoint, connection, stream);
        }
    }

    /// Reads a stream that was accepted.
    pub fn adopt(
        &mut self,
        endpoint: &mut Endpoint,
        connection: ConnectionHandle,
        stream: StreamId,
    ) {
        self.inn.push(Inflow::new(connection, stream, self.parts_of));
        self.pump(endpoint, connection, stream);
    }

    /// Why a connection ended, if it did.
    pub fn closed(&self, connection: ConnectionHandle) -> Option<&CloseReason> {
        self.diaries.get(&connection).and_then(|diary| diary.closed.as_ref())
    }

    /// Connections that were there, and of which not all is over and told.
    pub fn lingering(&self) -> Vec<ConnectionHandle> {
        let over = |diary: &Diary| diary.closed.is_some() && diary.drained;
        let left = self.diaries.iter().filter(|(_, diary)| diary.connected && !over(diary));
        left.map(|(key, _)| *key).collect()
    }

    /// Why connections ended.
    pub fn ends(&self) -> impl Iterator<Item = &CloseReason> {
        self.diaries.values().filter_map(|diary| diary.closed.as_ref())
    }

    /// Bytes read on all streams.
    pub fn read(&self) -> u64 {
        self.inn.iter().map(|flow| flow.read).sum()
    }

    /// Messages and datagrams of a connection that nobody took so far.
    pub fn take_notes(&mut self, connection: ConnectionHandle) -> Vec<Bytes> {
        let Some(diary) = self.diaries.get_mut(&connection) else { return Vec::new() };
        diary.messages.drain(..).chain(diary.datagrams.drain(..)).collect()
    }

    fn pump(&mut self, endpoint: &mut Endpoint, connection: ConnectionHandle, stream: StreamId) {
        let way = self.reading;
        let of = |flow: &&mut Inflow| (flow.connection, flow.stream) == (connection, stream);
        if let Some(flow) = self.inn.iter_mut().rev().find(of) {
            flow.pump(endpoint, way, u64::MAX);
        }
    }

    /// Reads everything that is there, whatever it did before.
    pub fn read_all(&mut self, net: &mut Net) {
        for flow in &mut self.inn {
            flow.pump(&mut net.host(self.host).endpoint, Reading::InOrder, u64::MAX);
        }
    }

    /// Reads at most `most` bytes of each stream, whatever it did before.
    pub fn read_some(&mut self, net: &mut Net, most: u64) {
        for flow in &mut self.inn {
            flow.pump(&mut net.host(self.host).endpoint, Reading::InOrder, most);
        }
    }
}

/// How streams of these applications introduce themselves.
pub fn introduction(salt: u64) -> OpenOptions {
    let priority = Priority::Normal;
    OpenOptions::new(StreamProtocol::name("prose"))
        .with_head(Bytes::copy_from_slice(&salt.to_be_bytes()))
        .with_priority(priority)
}

/// Two hosts with an application each, connected.
pub struct Pair {
    /// The network.
    pub net: Net,
    /// Who dialed.
    pub a: App,
    /// Who answered.
    pub b: App,
    /// The connection as the dialer sees it.
    pub at_a: ConnectionHandle,
    /// And as the other does.
    pub at_b: ConnectionHandle,
}

impl Pair {
    /// Connects `a` to `b`, which must know each other's ids; on a link that swallows a whole
    /// handshake it dials again.
    ///
    /// # Panics
    /// If five handshakes failed.
    pub fn connect(net: Net, a: HostId, b: HostId) -> Self {
        let mut net = net;
        let (mut one, mut other) = (App::new(a), App::new(b));
        for _ in 0..5 {
            let at_a = net.connect(a, b);
            let mut at_b = None;
            net.run(Duration::from_secs(60), |net| {
                one.turn(net);
                other.turn(net);
                let alive = |handle: &ConnectionHandle| other.diary(*handle).closed.is_none();
                at_b = other.connections().into_iter().find(alive);
                let diary = one.diary(at_a);
                diary.closed.is_some() || diary.connected && at_b.is_some()
            });
            if let (None, Some(at_b)) = (one.diary(at_a).closed, at_b) {
                return Self { net, a: one, b: other, at_a, at_b };
            }
        }
        panic!("five handshakes failed");
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.run(time, |_, _, _| false);
    }

    /// Runs until `done`, at most for `limit`. Returns whether it was done.
    pub fn run(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut Net, &App, &App) -> bool,
    ) -> bool {
        let (a, b) = (&mut self.a, &mut self.b);
        self.net.run(limit, |net| {
            a.turn(net);
            b.turn(net);
            done(net, a, b)
        })
    }
}
