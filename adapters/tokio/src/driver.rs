//! The task that drives an endpoint: it waits for the socket, the clock and the handles, and gives
//! every turn to the engine. Nothing is polled in vain: it sleeps until one of the three calls.

mod lines;
mod ready;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::CarrierId;
use aqueduct_driver::engine::{Engine, Turn, Wire};
use aqueduct_driver::socket::{Outgoing, RecvBatch, SocketIo};
use aqueduct_driver::station::{Desk, Station};
use tokio::time::Sleep;

use lines::Lines;
use ready::Readiness;

/// Turns in one go before other tasks get theirs.
const TURNS: usize = 16;

/// tokio's readiness in front of the calls.
#[derive(Debug)]
struct Port {
    socket: Readiness,
    io: Box<dyn SocketIo>,
    lines: Lines,
}

impl Wire for Port {
    fn recv(&mut self, batch: &mut RecvBatch) -> io::Result<usize> {
        let mut short = None;
        let received = self.socket.read(|socket| {
            let count = self.io.recv(socket, batch)?;
            if count < RecvBatch::CAPACITY {
                // The socket is empty: this takes the readiness back, as of before the call, and
                // spares a second call that would only say so.
                short = Some(count);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(count)
        });
        short.map_or(received, Ok)
    }

    fn send(&mut self, outgoing: &Outgoing<'_>) -> io::Result<()> {
        self.socket.write(|socket| self.io.send(socket, outgoing))
    }

    /// A task that is woken by another is mostly the next on its worker. (Not so from a thread that
    /// may block, or of another runtime, where it is woken all the same.)
    fn is_near() -> bool {
        tokio::task::try_id().is_some()
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

/// The same socket without readiness: for the last words of a driver whose runtime is gone.
struct Bare<'a>(&'a Port);

impl Wire for Bare<'_> {
    fn recv(&mut self, _batch: &mut RecvBatch) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, outgoing: &Outgoing<'_>) -> io::Result<()> {
        self.0.io.send(self.0.socket.socket(), outgoing)
    }

    fn write(&mut self, line: CarrierId, bytes: &[u8]) -> io::Result<usize> {
        self.0.lines.write_last(line, bytes)
    }
}

/// The task.
pub(crate) struct Driver {
    station: Arc<Station<Port>>,
    sleep: Pin<Box<Sleep>>,
    /// Others bring their work before this goes on.
    gathers: bool,
}

impl Driver {
    /// # Errors
    /// The runtime does not take a socket.
    pub(crate) fn new(
        engine: Engine,
        (socket, io): (std::net::UdpSocket, Box<dyn SocketIo>),
        listener: Option<TcpListener>,
    ) -> io::Result<Self> {
        let sleep = Box::pin(tokio::time::sleep(std::time::Duration::ZERO));
        let port = Port { socket: Readiness::new(socket)?, io, lines: Lines::new(listener)? };
        Ok(Self { station: Station::new(engine, port), sleep, gathers: false })
    }
}

/// Sets the timer. `true`: the instant has come already. A timer that fires too early is left as it
/// is: one wake-up in vain costs less than setting it after every packet.
fn set_alarm(
    desk: &mut Desk<Port>,
    mut sleep: Pin<&mut Sleep>,
    cx: &mut Context<'_>,
    until: Option<Instant>,
) -> bool {
    let Some(until) = until else {
        // What is left of an alarm that went off already would look like one that is to come.
        desk.alarm = None;
        return false;
    };
    if desk.alarm.is_none_or(|alarm| alarm > until) {
        let Some(at) = desk.engine.clock().to_std(until) else { return false };
        sleep.as_mut().reset(at.into());
        desk.alarm = Some(until);
    }
    if sleep.poll(cx).is_ready() {
        desk.alarm = None;
        return true;
    }
    false
}

/// Whether everything is arranged for a wake-up; else there is more to do now.
fn may_sleep(
    desk: &mut Desk<Port>,
    sleep: Pin<&mut Sleep>,
    cx: &mut Context<'_>,
    until: Option<Instant>,
) -> bool {
    if set_alarm(desk, sleep, cx, until) {
        return false;
    }
    if desk.engine.wants_input() && desk.wire.socket.poll_read(cx).is_ready() {
        return false;
    }
    if desk.engine.is_blocked() && desk.wire.socket.poll_write(cx).is_ready() {
        desk.engine.writable(&mut desk.wire);
        return false;
    }
    !desk.wire.lines.have_news() && desk.engine.park(cx.waker())
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { station, sleep, gathers } = &mut *self;
        let Some(mut desk) = station.enter() else { return Poll::Ready(()) };
        let desk = &mut *desk;
        // The others that are ready to run go first.
        *gathers = !*gathers && desk.engine.is_awaiting_more();
        if *gathers {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        desk.wire.lines.report_to(cx.waker());
        for _ in 0..TURNS {
            match desk.turn() {
                Turn::Done => return Poll::Ready(()),
                Turn::Again => {}
                Turn::Sleep(until) => {
                    if may_sleep(desk, sleep.as_mut(), cx, until) {
                        return Poll::Pending;
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(mut desk) = self.station.enter() {
            let Desk { engine, wire, .. } = &mut *desk;
            engine.farewell(&mut Bare(wire));
        }
    }
}
