//! TCP sockets under tokio. Each has a waker of its own, which notes whose news it is before it
//! wakes the task: so a turn looks at those that have something, and not at all of them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aqueduct_core::wire::id::CarrierId;
use aqueduct_driver::{is_connected, send};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

use crate::threads::{Knock, News};

/// The listening socket, and those that are connected or about to be.
#[derive(Debug)]
pub(super) struct Lines {
    listener: Option<TcpListener>,
    sockets: BTreeMap<CarrierId, Line>,
    news: Arc<News>,
    listens: Waker,
    /// Sockets are adopted on whatever thread there is work on.
    runtime: Handle,
}

#[derive(Debug)]
struct Line {
    socket: TcpStream,
    waker: Waker,
}

impl Lines {
    /// # Errors
    /// The runtime does not take the listening socket.
    pub(super) fn new(listener: Option<std::net::TcpListener>) -> io::Result<Self> {
        let news = News::new();
        let listens = news.bell(None);
        let listener = listener.map(TcpListener::from_std).transpose()?;
        Ok(Self { listener, sockets: BTreeMap::new(), news, listens, runtime: Handle::current() })
    }

    /// News wake this task.
    pub(super) fn report_to(&self, task: &Waker) {
        self.news.report_to(task);
    }

    /// Whether anything was heard that nobody has looked at.
    pub(super) fn have_news(&self) -> bool {
        self.news.any()
    }

    pub(super) fn ready(&self, into: &mut VecDeque<CarrierId>) {
        self.news.take_lines(into);
    }

    pub(super) fn accept(&self) -> io::Result<(std::net::TcpStream, SocketAddr)> {
        let none = || io::Error::from(io::ErrorKind::WouldBlock);
        // Before the look: who knocks meanwhile is heard.
        if self.news.take_knock() == Knock::None {
            return Err(none());
        }
        let Some(listener) = &self.listener else { return Err(none()) };
        match listener.poll_accept(&mut Context::from_waker(&self.listens)) {
            Poll::Ready(Ok((socket, remote))) => {
                self.news.set_knock(Knock::Heard);
                Ok((socket.into_std()?, remote))
            }
            Poll::Ready(Err(error)) => {
                self.news.set_knock(Knock::Failed);
                Err(error)
            }
            Poll::Pending => Err(none()),
        }
    }

    pub(super) fn adopt(&mut self, id: CarrierId, socket: std::net::TcpStream) -> io::Result<()> {
        let _runtime = self.runtime.enter();
        let socket = TcpStream::from_std(socket)?;
        let waker = self.news.bell(Some(id));
        self.sockets.insert(id, Line { socket, waker });
        self.news.tell(Some(id));
        Ok(())
    }

    fn line(&self, id: CarrierId) -> io::Result<&Line> {
        self.sockets.get(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn connected(&self, id: CarrierId) -> io::Result<bool> {
        let line = self.line(id)?;
        let look = || match is_connected(SockRef::from(&line.socket))? {
            true => Ok(()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        };
        match line.attempt(Interest::WRITABLE, look) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn read(&self, id: CarrierId, into: &mut [u8]) -> io::Result<usize> {
        let line = self.line(id)?;
        line.attempt(Interest::READABLE, || {
            io::Read::read(&mut &*SockRef::from(&line.socket), into)
        })
    }

    pub(super) fn write(&self, id: CarrierId, bytes: &[u8]) -> io::Result<usize> {
        let line = self.line(id)?;
        line.attempt(Interest::WRITABLE, || send(SockRef::from(&line.socket), bytes))
    }

    /// The same without readiness, when the runtime is gone.
    pub(super) fn write_last(&self, id: CarrierId, bytes: &[u8]) -> io::Result<usize> {
        send(SockRef::from(&self.line(id)?.socket), bytes)
    }

    pub(super) fn finish(&self, id: CarrierId) {
        // Where it fails there is nobody to hear it, and reading says so.
        let end = |line: &Line| SockRef::from(&line.socket).shutdown(Shutdown::Write);
        let _broken = self.line(id).and_then(end);
    }

    pub(super) fn close(&mut self, id: CarrierId) {
        self.sockets.remove(&id);
    }
}

impl Line {
    /// Makes a call that does not block. If it would, the line's waker hears when it would no more.
    fn attempt<T>(
        &self,
        interest: Interest,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut cx = Context::from_waker(&self.waker);
        loop {
            match self.socket.try_io(interest, &mut call) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            let ready = match interest {
                Interest::READABLE => self.socket.poll_read_ready(&mut cx),
                _ => self.socket.poll_write_ready(&mut cx),
            };
            match ready {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }
}

#[cfg(all(test, unix))]
#[path = "lines_tests.rs"]
mod tests;
