//! The task that drives an endpoint: it waits for the socket, the clock and the handles, and gives
//! every turn to the engine. Nothing is polled in vain: it sleeps until one of the three calls.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aqueduct_core::time::Instant;
use aqueduct_driver::engine::{Engine, Turn, Wire};
use aqueduct_driver::socket::{Outgoing, RecvBatch, SocketIo};
use aqueduct_driver::station::{Desk, Station};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::Sleep;

/// Turns in one go before other tasks get theirs.
const TURNS: usize = 16;

/// tokio's readiness in front of the calls.
#[derive(Debug)]
struct Port {
    socket: UdpSocket,
    io: Box<dyn SocketIo>,
}

impl Wire for Port {
    fn recv(&mut self, batch: &mut RecvBatch) -> io::Result<usize> {
        let mut short = None;
        let received = self.socket.try_io(Interest::READABLE, || {
            let count = self.io.recv(SockRef::from(&self.socket), batch)?;
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
        let send = || self.io.send(SockRef::from(&self.socket), outgoing);
        match send() {
            // Only if the socket is full the runtime has to know: asked again under its eyes, so
            // that it cannot miss the moment when there is room.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.try_io(Interest::WRITABLE, send)
            }
            done => done,
        }
    }
}

/// The same socket without readiness: for the last words of a driver whose runtime is gone.
struct Bare<'a>(&'a Port);

impl Wire for Bare<'_> {
    fn recv(&mut self, _batch: &mut RecvBatch) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, outgoing: &Outgoing<'_>) -> io::Result<()> {
        self.0.io.send(SockRef::from(&self.0.socket), outgoing)
    }
}

/// The task.
pub(crate) struct Driver {
    station: Arc<Station<Port>>,
    sleep: Pin<Box<Sleep>>,
}

impl Driver {
    pub(crate) fn new(engine: Engine, socket: UdpSocket, io: Box<dyn SocketIo>) -> Self {
        let sleep = Box::pin(tokio::time::sleep(std::time::Duration::ZERO));
        Self { station: Station::new(engine, Port { socket, io }), sleep }
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
    let Some(until) = until else { return false };
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
    if set_alarm(desk, sleep, cx, until) || desk.wire.socket.poll_recv_ready(cx).is_ready() {
        return false;
    }
    if desk.engine.is_blocked() && desk.wire.socket.poll_send_ready(cx).is_ready() {
        desk.engine.writable(&mut desk.wire);
        return false;
    }
    desk.engine.park(cx.waker())
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { station, sleep } = &mut *self;
        let Some(mut desk) = station.enter() else { return Poll::Ready(()) };
        let desk = &mut *desk;
        for _ in 0..TURNS {
            match desk.engine.turn(&mut desk.wire) {
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
