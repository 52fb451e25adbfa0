//! TCP sockets: each is a carrier of the core, by a number of its own.
//!
//! ```text
//!   not in time: closed
//!                ▲
//!   dial ──► Dialling ── connected ──┐
//!                                    ├──► Open ── unused for 5 s, broken, a bad length ──► closed
//!   accept ── no more than 256, ─────┘ └── its connection is over ──► no more is said ── no more
//!             whoever has most gives way                               is heard ──► closed
//! ```
//!
//! The adapter keeps the sockets and says which of them may be read or written again; what is read
//! and what is kept until a socket takes it is here. A socket that takes no more holds up nobody
//! but the connections that go over it: the core gives nothing more for it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::endpoint::{CarrierKind, ConnectionHandle, Datagram, PeerAddr, Transmit};
use aqueduct_core::path::{Deframer, frame_header};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::CarrierId;

use crate::connection::ConnShared;
use crate::error::ConnectError;
use crate::hub::Call;
use crate::stats::add;
use crate::tcp;
use crate::wait::lock;

use super::{Engine, Wire};

/// Time after which a socket that nobody uses is closed (spec R-TCP-17), and between two looks.
const UNUSED: Duration = Duration::from_secs(5);
/// Sockets of strangers, and one neighbourhood's share of them (spec R-TCP-18).
const STRANGERS: usize = 256;
const SHARE: usize = 16;
/// Sockets that are accepted, and read, in one turn.
const A_TURN: usize = 32;
/// Bytes that are read at once.
const READ: usize = 64 << 10;
/// Accepting pauses for so long when the system has no descriptor, and strangers' places are looked
/// through no more often.
const PAUSE: Duration = Duration::from_millis(100);

/// The TCP sockets of an engine.
#[derive(Default)]
pub(super) struct Lines {
    lines: BTreeMap<CarrierId, Line>,
    last: u32,
    /// Those that may have something to read, or take something.
    ready: VecDeque<CarrierId>,
    wanted: Vec<Wanted>,
    /// What connections that are over, and not drained, go by.
    left: BTreeMap<ConnectionHandle, Vec<CarrierId>>,
    look_at: Option<Instant>,
    accept_at: Option<Instant>,
    looked_at: Option<Instant>,
    /// What was read, and what is to be written.
    memory: Vec<u8>,
    framed: Vec<u8>,
}

/// A socket to be made.
struct Wanted {
    remote: SocketAddr,
    purpose: Purpose,
}

/// What a socket is made for.
#[derive(Clone)]
pub(super) enum Purpose {
    /// A new connection.
    Connect(Call),
    /// A path of a connection that is there.
    Path(ConnectionHandle),
}

impl Purpose {
    /// Nobody waits for it any more.
    fn is_given_up(&self) -> bool {
        matches!(self, Self::Connect(call) if lock(&call.connection.state).abandoned)
    }
}

/// One socket.
struct Line {
    remote: SocketAddr,
    stage: Stage,
    deframer: Deframer,
    /// Framed bytes that the socket did not take yet.
    kept: Vec<u8>,
    /// When a connection was last seen to use it, or it was made.
    used: Instant,
    /// Somebody else made it.
    theirs: bool,
    /// What it was found to be used for when last looked at.
    user: User,
    /// A connection that is over has used it: whoever is there hears that no more follows, when
    /// no other uses it.
    left: bool,
}

/// What uses a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum User {
    Nobody,
    /// A handshake that is not confirmed.
    Stranger,
    Connection,
}

enum Stage {
    /// It is to be connected by then.
    Dialling(Purpose, Instant),
    Open,
}

/// Addresses that one stranger may well have: an IPv4 address, or the network of an IPv6 address.
fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
    }
}

impl Lines {
    /// Has a socket made.
    pub(super) fn want(&mut self, remote: SocketAddr, purpose: Purpose) {
        self.wanted.push(Wanted { remote, purpose });
    }

    /// Whether a path to there for this connection is on its way.
    pub(super) fn dials_for(&self, handle: ConnectionHandle, remote: SocketAddr) -> bool {
        let is_it = |to: SocketAddr, purpose: Option<&Purpose>| {
            to == remote && matches!(purpose, Some(Purpose::Path(path)) if *path == handle)
        };
        self.lines.values().any(|line| is_it(line.remote, line.purpose()))
            || self.wanted.iter().any(|wanted| is_it(wanted.remote, Some(&wanted.purpose)))
    }

    /// Whether a connection waits for a socket.
    pub(super) fn are_dialling(&self) -> bool {
        let waits = |purpose: &Purpose| matches!(purpose, Purpose::Connect(..));
        self.wanted.iter().any(|wanted| waits(&wanted.purpose))
            || self.lines.values().any(|line| line.purpose().is_some_and(waits))
    }

    /// Whether a socket is to be looked at or made.
    pub(super) fn are_ready(&self) -> bool {
        !self.ready.is_empty() || !self.wanted.is_empty()
    }

    /// A connection that has not begun is perhaps not wanted any more.
    pub(super) fn reconsider(&mut self, connection: &Arc<ConnShared>) {
        let of_it = |line: &Line| match line.purpose() {
            Some(Purpose::Connect(call)) => Arc::ptr_eq(&call.connection, connection),
            _ => false,
        };
        self.ready.extend(self.lines.iter().filter(|(_, line)| of_it(line)).map(|(id, _)| *id));
    }

    /// The next instant at which something is to be done without a socket's saying so.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.look_at.into_iter().chain(self.accept_at).min()
    }

    /// A connection is over, and uses these carriers until it is drained.
    pub(super) fn on_closed(
        &mut self,
        connection: ConnectionHandle,
        carriers: impl Iterator<Item = CarrierId>,
    ) {
        let left: Vec<_> = carriers.filter(|id| self.lines.contains_key(id)).collect();
        if !left.is_empty() {
            self.left.insert(connection, left);
        }
    }

    /// It is drained: its sockets are looked at soon.
    pub(super) fn on_drained(&mut self, connection: ConnectionHandle, now: Instant) {
        let Some(left) = self.left.remove(&connection) else { return };
        for id in left {
            self.lines.entry(id).and_modify(|line| line.left = true);
        }
        self.look_at = self.look_at.into_iter().chain([now + PAUSE]).min();
    }

    fn insert(&mut self, line: Line, now: Instant) -> CarrierId {
        // Neither the UDP socket's name nor that of none.
        self.last = self.last % (CarrierId::NONE.0 - 1) + 1;
        let id = CarrierId(self.last);
        let until = line.dialled_until();
        self.lines.insert(id, line);
        self.look_at = self.look_at.into_iter().chain(until).chain([now + UNUSED]).min();
        id
    }

    /// Whether one more stranger may come from there: at once, or when another gives way.
    fn room_for(&self, ip: IpAddr) -> Room {
        let strangers = self.lines.iter().filter(|(_, line)| line.is_a_strangers());
        if strangers.clone().count() < STRANGERS {
            return Room::Free;
        }
        let mut crowds = BTreeMap::<IpAddr, Vec<(User, Instant, CarrierId)>>::new();
        for (id, line) in strangers {
            let crowd = crowds.entry(neighbourhood(line.remote.ip())).or_default();
            crowd.push((line.user, line.used, *id));
        }
        if crowds.get(&neighbourhood(ip)).is_some_and(|own| own.len() >= SHARE) {
            return Room::None;
        }
        let largest = crowds.into_values().max_by_key(Vec::len);
        let lent = largest.filter(|crowd| crowd.len() > SHARE);
        lent.into_iter().flatten().min().map_or(Room::None, |(.., id)| Room::InPlaceOf(id))
    }

    /// A connection has come from there: its socket is no stranger's any more.
    pub(super) fn on_connected(&mut self, remote: SocketAddr) {
        let of_it = |line: &&mut Line| line.theirs && line.remote == remote;
        self.lines.values_mut().filter(of_it).for_each(|line| line.user = User::Connection);
    }
}

/// Room for one stranger more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Free,
    /// If this one gives way.
    InPlaceOf(CarrierId),
    None,
}

impl Line {
    fn new(remote: SocketAddr, stage: Stage, limit: u16, now: Instant) -> Self {
        let deframer = Deframer::new(limit);
        let theirs = matches!(stage, Stage::Open);
        let (kept, user, left) = (Vec::new(), User::Nobody, false);
        Self { remote, stage, deframer, kept, used: now, theirs, user, left }
    }

    /// Whether it counts among those of strangers (spec R-TCP-18).
    fn is_a_strangers(&self) -> bool {
        self.theirs && self.user != User::Connection
    }

    /// When it is given up, if it still dials.
    const fn dialled_until(&self) -> Option<Instant> {
        match self.stage {
            Stage::Dialling(_, until) => Some(until),
            Stage::Open => None,
        }
    }

    /// What it is dialled for.
    const fn purpose(&self) -> Option<&Purpose> {
        match &self.stage {
            Stage::Dialling(purpose, _) => Some(purpose),
            Stage::Open => None,
        }
    }

    /// Writes what is kept. `false`: the socket takes no more for now.
    fn flush(&mut self, id: CarrierId, wire: &mut impl Wire) -> io::Result<bool> {
        let sent = write(wire, id, &self.kept)?;
        self.kept.drain(..sent);
        if self.kept.is_empty() {
            self.kept = Vec::new();
        }
        Ok(self.kept.is_empty())
    }
}

/// Writes as much as the socket takes. Returns how much that was.
fn write(wire: &mut impl Wire, id: CarrierId, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        match wire.write(id, rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

impl Engine {
    /// Makes the sockets that are wanted.
    pub(super) fn dial_lines(&mut self, wire: &mut impl Wire) {
        if self.closing.is_some() {
            self.end_dials(wire);
        }
        for Wanted { remote, purpose } in std::mem::take(&mut self.lines.wanted) {
            add(&self.shared.counters.tcp_dialled, 1);
            let now = self.clock.now();
            let patience = self.shared.patience;
            let stage = Stage::Dialling(purpose, now + patience.dial);
            let line = Line::new(remote, stage, self.shared.packets.most_to(remote.ip()), now);
            let id = self.lines.insert(line, now);
            let made = tcp::dial(self.shared.local, remote, patience);
            if let Err(error) = made.and_then(|socket| wire.adopt(id, socket)) {
                self.close_line(id, wire, &error);
            }
        }
    }

    /// Takes strangers in, reads and writes what can be. Says whether there is more to do.
    pub(super) fn tend_lines(&mut self, wire: &mut impl Wire) -> bool {
        let now = self.clock.now();
        let more = self.accept_lines(wire, now);
        if self.lines.look_at.is_some_and(|at| at <= now) {
            self.close_unused(wire, now);
        }
        wire.ready(&mut self.lines.ready);
        for _ in 0..self.lines.ready.len().min(A_TURN) {
            let Some(id) = self.lines.ready.pop_front() else { break };
            match self.tend(id, wire) {
                Ok(true) => self.lines.ready.push_back(id),
                Ok(false) => {}
                Err(error) => self.close_line(id, wire, &error),
            }
        }
        more || !self.lines.ready.is_empty()
    }

    fn accept_lines(&mut self, wire: &mut impl Wire, now: Instant) -> bool {
        if self.lines.accept_at.is_some_and(|at| at > now) {
            return false;
        }
        self.lines.accept_at = None;
        for _ in 0..A_TURN {
            match wire.accept() {
                Ok((socket, remote)) => self.take_line(wire, socket, remote, now),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return false,
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => {
                        tracing::warn!(%error, "no TCP connection can be accepted now");
                        self.lines.accept_at = Some(now + PAUSE);
                        return false;
                    }
                },
            }
        }
        true
    }

    fn take_line(
        &mut self,
        wire: &mut impl Wire,
        socket: TcpStream,
        remote: SocketAddr,
        now: Instant,
    ) {
        let remote = tcp::canonical(remote);
        let mut room = self.lines.room_for(remote.ip());
        let looked = self.lines.looked_at;
        if room != Room::Free && looked.is_none_or(|at| now.saturating_since(at) >= PAUSE) {
            // Some of them may be connections by now.
            self.close_unused(wire, now);
            room = self.lines.room_for(remote.ip());
        }
        match room {
            Room::Free => {}
            Room::InPlaceOf(other) => {
                add(&self.shared.counters.tcp_turned_away, 1);
                self.close_line(other, wire, &io::ErrorKind::QuotaExceeded.into());
            }
            Room::None => {
                add(&self.shared.counters.tcp_turned_away, 1);
                return;
            }
        }
        add(&self.shared.counters.tcp_accepted, 1);
        tcp::set_up(&socket, self.shared.patience);
        let line = Line::new(remote, Stage::Open, self.shared.packets.most_to(remote.ip()), now);
        let id = self.lines.insert(line, now);
        match wire.adopt(id, socket) {
            Ok(()) => {
                // Later than `now`, for others may have been closed since.
                let now = self.clock.now();
                self.core.carrier_opened(id, CarrierKind::Reliable { remote }, now);
            }
            Err(error) => self.close_line(id, wire, &error),
        }
    }

    /// A socket may have news. Says whether it may have more.
    fn tend(&mut self, id: CarrierId, wire: &mut impl Wire) -> io::Result<bool> {
        let Some(line) = self.lines.lines.get_mut(&id) else { return Ok(false) };
        if let Stage::Dialling(purpose, _) = &line.stage {
            if purpose.is_given_up() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if !wire.connected(id)? {
                return Ok(false);
            }
            let (purpose, remote) = (purpose.clone(), line.remote);
            line.stage = Stage::Open;
            self.open_line(id, remote, purpose);
            return Ok(true);
        }
        if !line.kept.is_empty() && line.flush(id, wire)? {
            self.core.carrier_writable(id, self.clock.now());
        }
        self.read_line(id, wire)
    }

    /// A socket that was dialled is connected.
    fn open_line(&mut self, id: CarrierId, remote: SocketAddr, purpose: Purpose) {
        let now = self.clock.now();
        let opened = CarrierKind::Reliable { remote };
        let kind = opened.carriage();
        self.core.carrier_opened(id, opened, now);
        match purpose {
            Purpose::Connect(call) => {
                let to = PeerAddr { carrier: id, ..call.to };
                self.connect(Call { to, by: kind, ..call });
            }
            Purpose::Path(handle) => {
                let useful =
                    self.core.connection(handle).is_some_and(|mut it| it.add_path(id, remote));
                tracing::debug!(%remote, useful, "another way by TCP");
            }
        }
    }

    fn read_line(&mut self, id: CarrierId, wire: &mut impl Wire) -> io::Result<bool> {
        let Some(line) = self.lines.lines.get_mut(&id) else { return Ok(false) };
        self.lines.memory.resize(READ, 0);
        let count = match wire.read(id, &mut self.lines.memory) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        let counters = &self.shared.counters;
        add(&counters.receives, 1);
        let mut input = self.lines.memory.get_mut(..count).unwrap_or_default();
        let bad = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        while let Some(bytes) = line.deframer.next(&mut input).map_err(bad)? {
            add(&counters.datagrams_received, 1);
            add(&counters.bytes_received, bytes.len() as u64);
            let (remote, local, ecn, segment) = (line.remote, None, None, None);
            let datagram = Datagram { carrier: id, remote, local, ecn, segment, bytes };
            self.core.handle_datagram(datagram, self.clock.now());
        }
        Ok(true)
    }

    /// Frames what the core has for a socket, and writes as much as that takes.
    pub(super) fn write_line(&mut self, wire: &mut impl Wire, transmit: &Transmit) {
        let id = transmit.carrier;
        let Some(line) = self.lines.lines.get_mut(&id) else { return };
        debug_assert!(line.kept.is_empty(), "the core was told that it is blocked");
        let framed = &mut self.lines.framed;
        framed.clear();
        let segment = transmit.segment.unwrap_or(self.buf.len()).max(1);
        let counters = &self.shared.counters;
        for datagram in self.buf.chunks(segment) {
            let Ok(len) = u16::try_from(datagram.len()) else { continue };
            framed.extend_from_slice(&frame_header(len));
            framed.extend_from_slice(datagram);
            add(&counters.datagrams_sent, 1);
        }
        add(&counters.sends, 1);
        add(&counters.bytes_sent, self.buf.len() as u64);
        match write(wire, id, framed) {
            Ok(sent) if sent == framed.len() => {}
            Ok(sent) => {
                add(&counters.blocked, 1);
                line.kept.extend_from_slice(framed.get(sent..).unwrap_or_default());
                self.core.carrier_blocked(id, self.clock.now());
            }
            Err(error) => self.close_line(id, wire, &error),
        }
    }

    /// Closes what no connection and no handshake has used for some time, and dials that took too
    /// long.
    fn close_unused(&mut self, wire: &mut impl Wire, now: Instant) {
        self.lines.looked_at = Some(now);
        let used = self.core.carriers_in_use();
        let connected = self.core.carriers_of_connections();
        let (mut unused, mut late) = (Vec::new(), Vec::new());
        for (id, line) in &mut self.lines.lines {
            let user = match used.contains(id) {
                true if connected.contains(id) => User::Connection,
                true => User::Stranger,
                false => User::Nobody,
            };
            line.user = user;
            let left = std::mem::take(&mut line.left);
            if user != User::Nobody {
                line.used = now;
            } else if let Some(until) = line.dialled_until() {
                late.extend((until <= now).then_some(*id));
            } else if now.saturating_since(line.used) >= UNUSED {
                unused.push(*id);
            } else if left && line.kept.is_empty() {
                wire.finish(*id);
            }
        }
        add(&self.shared.counters.tcp_unused, unused.len() as u64);
        for id in unused.into_iter().chain(late) {
            self.close_line(id, wire, &io::ErrorKind::TimedOut.into());
        }
        let dials = self.lines.lines.values().filter_map(Line::dialled_until);
        let look = (!self.lines.lines.is_empty()).then(|| now + UNUSED);
        self.lines.look_at = dials.chain(look).min();
    }

    fn close_line(&mut self, id: CarrierId, wire: &mut impl Wire, why: &io::Error) {
        let Some(line) = self.lines.lines.remove(&id) else { return };
        tracing::debug!(remote = %line.remote, %why, "a TCP connection is closed");
        wire.close(id);
        let now = self.clock.now();
        match line.stage {
            Stage::Open => self.core.carrier_closed(id, now),
            Stage::Dialling(Purpose::Connect(call), until) => {
                let remote = call.to.remote;
                let waited = self.shared.patience.dial;
                self.end_call(
                    &call,
                    match until <= now {
                        true => ConnectError::TcpTimeout { remote, waited },
                        false => ConnectError::Tcp { remote, kind: why.kind() },
                    },
                );
            }
            Stage::Dialling(Purpose::Path(_), _) => {}
        }
    }

    fn end_call(&self, call: &Call, why: ConnectError) {
        call.connection.end(why);
        self.shared.connection_gone();
    }

    /// The endpoint is closed: nobody is dialled any more but for connections that are there.
    fn end_dials(&mut self, wire: &mut impl Wire) {
        self.end_lines().into_iter().for_each(|id| wire.close(id));
    }

    /// Who waits for a socket to begin with is told that there will be none. Gives what dialled.
    pub(super) fn end_lines(&mut self) -> Vec<CarrierId> {
        let calls = |purpose: &Purpose| matches!(purpose, Purpose::Connect(_));
        let dials = self.lines.lines.iter();
        let dials = dials.filter(|(_, line)| line.purpose().is_some_and(calls));
        let ids: Vec<_> = dials.map(|(id, _)| *id).collect();
        let dials: Vec<_> = ids.iter().filter_map(|id| self.lines.lines.remove(id)).collect();
        let wanted = self.lines.wanted.extract_if(.., |wanted| calls(&wanted.purpose));
        let wanted: Vec<_> = wanted.map(|wanted| wanted.purpose).collect();
        let dialled = dials.iter().filter_map(Line::purpose);
        for purpose in dialled.chain(&wanted) {
            if let Purpose::Connect(call) = purpose {
                self.end_call(call, ConnectError::EndpointClosed);
            }
        }
        ids
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
