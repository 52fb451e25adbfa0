//! What an adapter brings: sockets that are ready or not.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};

use aqueduct_core::wire::id::CarrierId;

use crate::socket::{Outgoing, RecvBatch};

/// The sockets as the engine sees them: calls that never block. An adapter puts its own readiness
/// in front of a [`SocketIo`](crate::socket::SocketIo), and of TCP sockets if it has any.
pub trait Wire {
    /// Receives one batch. Fewer than [`RecvBatch::CAPACITY`] messages say that there are no more
    /// for now, and that the adapter waits for the next.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing; the adapter then waits for it.
    fn recv(&mut self, batch: &mut RecvBatch) -> io::Result<usize>;

    /// Sends in one call.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the socket is full; the adapter then waits for it.
    fn send(&mut self, outgoing: &Outgoing<'_>) -> io::Result<()>;

    /// Whether the driver mostly runs next where the caller runs now, if it is woken. Then nobody
    /// does its work for it: what is said until then leaves together.
    fn is_near() -> bool
    where
        Self: Sized,
    {
        false
    }

    /// The next TCP connection that somebody else began.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is none; the adapter then waits for it.
    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Takes a TCP socket over, which may not be connected yet, and tells of it by
    /// [`ready`](Self::ready) soon; its driver wakes for that.
    ///
    /// # Errors
    /// The system or the runtime does not take it.
    fn adopt(&mut self, line: CarrierId, socket: TcpStream) -> io::Result<()> {
        drop((line, socket));
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether a socket that dialled is connected by now ([`is_connected`](crate::is_connected)).
    ///
    /// # Errors
    /// It failed, or was never adopted.
    fn connected(&mut self, line: CarrierId) -> io::Result<bool> {
        let _none = line;
        Err(io::ErrorKind::NotFound.into())
    }

    /// Reads from a TCP socket.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing; [`ready`](Self::ready) then tells when to
    /// try again.
    fn read(&mut self, line: CarrierId, into: &mut [u8]) -> io::Result<usize> {
        let _none = (line, into);
        Err(io::ErrorKind::NotFound.into())
    }

    /// Writes to a TCP socket.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if it is full; [`ready`](Self::ready) then tells when to try
    /// again.
    fn write(&mut self, line: CarrierId, bytes: &[u8]) -> io::Result<usize> {
        let _none = (line, bytes);
        Err(io::ErrorKind::NotFound.into())
    }

    /// Writes no more to a TCP socket, if it is there: who reads at the other end comes to an end
    /// when all has arrived. What is still said there is read.
    fn finish(&mut self, line: CarrierId) {
        let _none = line;
    }

    /// Closes a TCP socket, if it is there.
    fn close(&mut self, line: CarrierId) {
        let _none = line;
    }

    /// Adds the TCP sockets that may have something to read, or take something, since the last
    /// time.
    fn ready(&mut self, into: &mut VecDeque<CarrierId>) {
        let _none = into;
    }
}
