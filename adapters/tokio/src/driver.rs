//! The task that drives an endpoint: it waits for the socket, the clock and the handles, and gives
//! every turn to the engine. Nothing is polled in vain: it sleeps until one of the three calls.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use aqueduct_core::time::Instant;
use aqueduct_driver::engine::{Engine, Turn, Wire};
use aqueduct_driver::socket::{Outgoing, RecvBatch, SocketIo};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::Sleep;

/// Turns in one go before other tasks get theirs.
const TURNS: usize = 16;

/// tokio's readiness in front of the calls.
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
    engine: Engine,
    port: Port,
    sleep: Pin<Box<Sleep>>,
    /// What `sleep` is set to; `None`: it has fired, or was never set.
    armed: Option<Instant>,
}

impl Driver {
    pub(crate) fn new(engine: Engine, socket: UdpSocket, io: Box<dyn SocketIo>) -> Self {
        let sleep = Box::pin(tokio::time::sleep(std::time::Duration::ZERO));
        Self { engine, port: Port { socket, io }, sleep, armed: None }
    }

    /// Sets the timer. `true`: the instant has come already. A timer that fires too early is left
    /// as it is: one wake-up in vain costs less than setting it after every packet.
    fn alarm(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> bool {
        let Some(until) = until else { return false };
        if self.armed.is_none_or(|armed| armed > until) {
            let Some(at) = self.engine.clock().to_std(until) else { return false };
            self.sleep.as_mut().reset(at.into());
            self.armed = Some(until);
        }
        if self.sleep.as_mut().poll(cx).is_ready() {
            self.armed = None;
            return true;
        }
        false
    }

    /// Whether everything is arranged for a wake-up; else there is more to do now.
    fn may_sleep(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> bool {
        if self.alarm(cx, until) || self.port.socket.poll_recv_ready(cx).is_ready() {
            return false;
        }
        if self.engine.is_blocked() && self.port.socket.poll_send_ready(cx).is_ready() {
            self.engine.writable(&mut self.port);
            return false;
        }
        self.engine.park(cx.waker())
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..TURNS {
            match this.engine.turn(&mut this.port) {
                Turn::Done => return Poll::Ready(()),
                Turn::Again => {}
                Turn::Sleep(until) => {
                    if this.may_sleep(cx, until) {
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
        // After a panic the core is not asked for anything more.
        if !std::thread::panicking() {
            self.engine.farewell(&mut Bare(&self.port));
        }
    }
}
