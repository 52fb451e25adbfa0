//! TCP sockets at the poller. Each is asked about when a call on it would have blocked, and told of
//! once; so a turn looks at those that have something, and not at all of them.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use aqueduct_core::wire::id::CarrierId;
use aqueduct_driver::is_connected;
use polling::{Event, PollMode};
use socket2::SockRef;

use crate::threads::Bell;

use super::{FIRST_LINE, LISTENER, watch};

/// The listening socket, and those that are connected or about to be.
#[derive(Debug)]
pub(super) struct Lines {
    bell: Arc<Bell>,
    listener: Option<TcpListener>,
    /// Somebody may be at the listening socket.
    knock: bool,
    /// Who was there could not be let in: to be tried again when the engine asks.
    failed: bool,
    sockets: BTreeMap<CarrierId, Line>,
    ready: VecDeque<CarrierId>,
}

#[derive(Debug)]
struct Line {
    socket: TcpStream,
    /// What the poller is to tell.
    read: bool,
    write: bool,
}

impl Lines {
    /// # Errors
    /// The poller does not take the listening socket.
    pub(super) fn new(bell: Arc<Bell>, listener: Option<TcpListener>) -> io::Result<Self> {
        if let Some(listener) = &listener {
            watch(&bell.poller, listener, Event::none(LISTENER), PollMode::Oneshot)?;
        }
        let knock = listener.is_some();
        let (sockets, ready) = (BTreeMap::new(), VecDeque::new());
        Ok(Self { bell, listener, knock, failed: false, sockets, ready })
    }

    /// Whether anything is to be looked at.
    pub(super) fn have_news(&self) -> bool {
        self.knock || !self.ready.is_empty()
    }

    /// The poller has told of a socket, and tells no more until it is asked again.
    pub(super) fn on_event(&mut self, key: usize) {
        if key == LISTENER {
            self.knock = true;
            return;
        }
        let id = key.checked_sub(FIRST_LINE).and_then(|number| u32::try_from(number).ok());
        if let Some(id) = id.map(CarrierId)
            && let Some(line) = self.sockets.get_mut(&id)
        {
            (line.read, line.write) = (false, false);
            self.ready.push_back(id);
        }
    }

    pub(super) fn ready(&mut self, into: &mut VecDeque<CarrierId>) {
        into.append(&mut self.ready);
    }

    pub(super) fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let listener = self.listener.as_ref().filter(|_| self.knock || self.failed);
        let listener = listener.ok_or(io::ErrorKind::WouldBlock)?;
        let accepted = listener.accept();
        let error = accepted.as_ref().err().map(io::Error::kind);
        self.knock = error.is_none();
        self.failed = error.is_some_and(|kind| kind != io::ErrorKind::WouldBlock);
        if error == Some(io::ErrorKind::WouldBlock) {
            let again = Event::readable(LISTENER);
            self.bell.poller.modify_with_mode(listener, again, PollMode::Oneshot)?;
        }
        accepted
    }

    pub(super) fn adopt(&mut self, id: CarrierId, socket: TcpStream) -> io::Result<()> {
        watch(&self.bell.poller, &socket, Event::none(key(id)), PollMode::Oneshot)?;
        self.sockets.insert(id, Line { socket, read: false, write: false });
        self.ready.push_back(id);
        // Whoever adopts it may not be the loop.
        self.bell.ring();
        Ok(())
    }

    pub(super) fn connected(&mut self, id: CarrierId) -> io::Result<bool> {
        let connected = is_connected(SockRef::from(&self.line(id)?.socket))?;
        if !connected {
            self.ask(id, |line| line.write = true)?;
        }
        Ok(connected)
    }

    pub(super) fn read(&mut self, id: CarrierId, into: &mut [u8]) -> io::Result<usize> {
        let read = (&self.line(id)?.socket).read(into);
        if would_block(&read) {
            self.ask(id, |line| line.read = true)?;
        }
        read
    }

    pub(super) fn write(&mut self, id: CarrierId, bytes: &[u8]) -> io::Result<usize> {
        let written = (&self.line(id)?.socket).write(bytes);
        if would_block(&written) {
            self.ask(id, |line| line.write = true)?;
        }
        written
    }

    pub(super) fn finish(&mut self, id: CarrierId) {
        // Where it fails there is nobody to hear it, and reading says so.
        let _broken = self.line(id).and_then(|line| line.socket.shutdown(Shutdown::Write));
    }

    pub(super) fn close(&mut self, id: CarrierId) {
        if let Some(line) = self.sockets.remove(&id) {
            let _closing = self.bell.poller.delete(&line.socket);
        }
    }

    pub(super) fn close_all(&mut self) {
        while let Some((_, line)) = self.sockets.pop_first() {
            let _closing = self.bell.poller.delete(&line.socket);
        }
        if let Some(listener) = self.listener.take() {
            let _closing = self.bell.poller.delete(&listener);
        }
    }

    fn line(&self, id: CarrierId) -> io::Result<&Line> {
        self.sockets.get(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Has the poller tell of a socket, once.
    fn ask(&mut self, id: CarrierId, wish: impl FnOnce(&mut Line)) -> io::Result<()> {
        let Some(line) = self.sockets.get_mut(&id) else { return Ok(()) };
        wish(line);
        let event = Event::new(key(id), line.read, line.write);
        self.bell.poller.modify_with_mode(&line.socket, event, PollMode::Oneshot)
    }
}

/// A TCP socket's name at the poller.
const fn key(id: CarrierId) -> usize {
    (id.0 as usize).saturating_add(FIRST_LINE)
}

fn would_block(done: &io::Result<usize>) -> bool {
    done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
