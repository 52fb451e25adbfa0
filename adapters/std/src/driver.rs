//! The loop that drives an endpoint: it waits for the socket, the clock and the handles, and gives
//! every turn to the engine. Nothing is polled in vain: it sleeps until one of the three calls.

mod lines;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::CarrierId;
use aqueduct_driver::engine::{Engine, Turn, Wire};
use aqueduct_driver::socket::{Outgoing, RecvBatch, SocketIo};
use aqueduct_driver::station::{Desk, Station};
use polling::{AsRawSource, Event, Events, PollMode, Poller};
use socket2::SockRef;

use crate::threads::Bell;

use lines::Lines;

/// The UDP socket's name at the poller, and the listening one's. TCP sockets follow.
const SOCKET: usize = 0;
const LISTENER: usize = 1;
const FIRST_LINE: usize = 2;

/// The socket and its calls, which never block.
#[derive(Debug)]
struct Port {
    socket: UdpSocket,
    io: Box<dyn SocketIo>,
    lines: Lines,
}

impl Wire for Port {
    fn recv(&mut self, batch: &mut RecvBatch) -> io::Result<usize> {
        self.io.recv(SockRef::from(&self.socket), batch)
    }

    fn send(&mut self, outgoing: &Outgoing<'_>) -> io::Result<()> {
        self.io.send(SockRef::from(&self.socket), outgoing)
    }

    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.lines.accept()
    }

    fn adopt(&mut self, line: CarrierId, socket: TcpStream) -> io::Result<()> {
        self.lines.adopt(line, socket)
    }

    fn connected(&mut self, line: CarrierId) -> io::Result<bool> {
        self.lines.connected(line)
    }

    fn read(&mut self, line: CarrierId, into: &mut [u8]) -> io::Result<usize> {
        self.lines.read(line, into)
    }

    fn write(&mut self, line: CarrierId, bytes: &[u8]) -> io::Result<usize> {
        self.lines.write(line, bytes)
    }

    fn finish(&mut self, line: CarrierId) {
        self.lines.finish(line);
    }

    fn close(&mut self, line: CarrierId) {
        self.lines.close(line);
    }

    fn ready(&mut self, into: &mut VecDeque<CarrierId>) {
        self.lines.ready(into);
    }
}

/// What the loop does next.
enum Next {
    Turn,
    /// Until this instant, if there is one.
    Sleep(Option<Instant>),
    End,
}

/// An endpoint's loop, for a thread of your own; [`Endpoint::bind`](crate::Endpoint::bind) has a
/// thread for it. Dropped, whether it ran or not, every connection is told and every call ends.
#[derive(Debug)]
#[must_use = "nothing moves until it runs"]
pub struct Driver {
    station: Arc<Station<Port>>,
    bell: Arc<Bell>,
    /// How the poller tells of the socket, and of what it was last asked to tell.
    mode: PollMode,
    asked: Event,
}

impl Driver {
    pub(crate) fn new(
        engine: Engine,
        socket: UdpSocket,
        io: Box<dyn SocketIo>,
        listener: Option<TcpListener>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        let level = poller.supports_level();
        let mode = if level { PollMode::Level } else { PollMode::Oneshot };
        let asked = Event::readable(SOCKET);
        watch(&poller, &socket, asked, mode)?;
        let bell = Arc::new(Bell::new(poller));
        let lines = Lines::new(bell.clone(), listener)?;
        Ok(Self { station: Station::new(engine, Port { socket, io, lines }), bell, mode, asked })
    }

    pub(crate) fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }

    /// Runs on this thread until the last handle of the endpoint and the last of its connections
    /// are gone, or [`Endpoint::shutdown`](crate::Endpoint::shutdown) ends it.
    pub fn run(mut self) {
        let waker = Waker::from(self.bell.clone());
        let mut events = Events::new();
        while !self.bell.is_stopped() {
            match self.turn(&waker) {
                Next::Turn => {}
                Next::End => return,
                Next::Sleep(until) => {
                    if let Err(error) = self.sleep(&mut events, until) {
                        tracing::error!(%error, "waiting for the socket failed; the endpoint ends");
                        return;
                    }
                }
            }
        }
    }

    fn turn(&self, waker: &Waker) -> Next {
        // A turn panicked on somebody's thread: the engine is not to be asked for anything more.
        let Some(mut desk) = self.station.enter() else { return Next::End };
        match desk.turn() {
            Turn::Done => Next::End,
            Turn::Again => Next::Turn,
            Turn::Sleep(until) => {
                desk.alarm = until;
                let quiet = !desk.wire.lines.have_news() && desk.engine.park(waker);
                if quiet { Next::Sleep(until) } else { Next::Turn }
            }
        }
    }

    /// Until the socket is ready, a handle calls, or the instant has come.
    fn sleep(&mut self, events: &mut Events, until: Option<Instant>) -> io::Result<()> {
        let Some(desk) = self.station.enter() else { return Ok(()) };
        let Desk { engine, wire, .. } = &*desk;
        let wanted = Event::new(SOCKET, engine.wants_input(), engine.is_blocked());
        if wanted != self.asked || self.mode == PollMode::Oneshot {
            ask(&self.bell.poller, &wire.socket, wanted, self.mode)?;
            self.asked = wanted;
        }
        let now = desk.engine.clock().now();
        drop(desk);
        let left = until.map(|until| until.saturating_since(now).max(Duration::from_nanos(1)));
        events.clear();
        self.bell.poller.wait(events, left)?;
        if events.is_empty() {
            return Ok(());
        }
        let Some(mut desk) = self.station.enter() else { return Ok(()) };
        let Desk { engine, wire, .. } = &mut *desk;
        for event in events.iter() {
            match event.key {
                SOCKET if event.writable => engine.writable(wire),
                SOCKET => {}
                key => wire.lines.on_event(key),
            }
        }
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(mut desk) = self.station.enter() {
            let Desk { engine, wire, .. } = &mut *desk;
            engine.farewell(wire);
            let _closing = self.bell.poller.delete(&wire.socket);
            wire.lines.close_all();
        }
    }
}

/// Has `poller` tell of something else.
fn ask(poller: &Poller, socket: &UdpSocket, wanted: Event, mode: PollMode) -> io::Result<()> {
    if wanted.readable || wanted.writable {
        return poller.modify_with_mode(socket, wanted, mode);
    }
    // Of an error that stands at the socket the system tells whether it is asked or not: once.
    if let Err(error) = poller.modify_with_mode(socket, wanted, PollMode::Oneshot) {
        tracing::debug!(%error, "the poller does not know the socket any more");
    }
    Ok(())
}

/// Has `poller` tell of `socket`.
#[expect(unsafe_code, reason = "the poller asks for a promise, which is given here")]
fn watch(
    poller: &Poller,
    socket: impl AsRawSource,
    event: Event,
    mode: PollMode,
) -> io::Result<()> {
    // SAFETY: the socket must be taken from the poller before it is closed. The UDP socket and the
    // listening one are closed with the station, which the driver keeps alive, and dropping the
    // driver takes them from the poller first; other TCP sockets are taken from it as they are
    // closed, which is when the engine says so, or when the driver is dropped. Only after a panic
    // inside of a turn it is not: then the poller may know a closed socket, but nobody waits at it
    // any more, since the loop ends and with it its last user.
    unsafe { poller.add_with_mode(socket, event, mode) }
}
