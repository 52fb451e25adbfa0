//! When the UDP socket has something, and when it takes something.
//!
//! A socket that is asked for both tells of room after each packet that has left, which wakes
//! whoever waits for packets, in vain. So only reading is asked for all the time, and room while
//! the socket is full.

#[cfg(unix)]
pub(super) use self::apart::Readiness;
#[cfg(not(unix))]
pub(super) use self::together::Readiness;

#[cfg(unix)]
mod apart {
    use std::io;
    use std::net::UdpSocket;
    use std::task::{Context, Poll};

    use socket2::SockRef;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;
    use tokio::runtime::Handle;

    /// Two registrations, of which the second one comes and goes.
    #[derive(Debug)]
    pub(crate) struct Readiness {
        reads: AsyncFd<UdpSocket>,
        room: Room,
        /// Who writes may be on a thread of no runtime, or of another one.
        runtime: Handle,
    }

    /// Whether the socket takes something.
    #[derive(Debug)]
    enum Room {
        /// It did, when it was last asked.
        Some,
        /// It is full; the same socket tells when it is not any more.
        None(AsyncFd<UdpSocket>),
        /// It is full, and nobody tells: the engine tries again before long.
        Unknown,
    }

    impl Readiness {
        /// # Errors
        /// The runtime does not take the socket.
        pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
            socket.set_nonblocking(true)?;
            let reads = register(socket, Interest::READABLE)?;
            Ok(Self { reads, room: Room::Some, runtime: Handle::current() })
        }

        pub(crate) fn socket(&self) -> SockRef<'_> {
            SockRef::from(self.reads.get_ref())
        }

        /// Reads if there may be something. [`io::ErrorKind::WouldBlock`] says that there is not.
        pub(crate) fn read<T>(
            &self,
            read: impl FnOnce(SockRef<'_>) -> io::Result<T>,
        ) -> io::Result<T> {
            self.reads.try_io(Interest::READABLE, |socket| read(SockRef::from(socket)))
        }

        pub(crate) fn poll_read(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.reads.poll_read_ready(cx).map(|_| ())
        }

        /// Writes, without asking the runtime first. Only if the socket is full it has to know.
        pub(crate) fn write(
            &mut self,
            mut write: impl FnMut(SockRef<'_>) -> io::Result<()>,
        ) -> io::Result<()> {
            let mut wrote = write(self.socket());
            if let (true, Room::None(full)) = (is_full(&wrote), &self.room) {
                // Again under its eyes, so that it cannot miss the moment when there is room.
                wrote = full.try_io(Interest::WRITABLE, |socket| write(SockRef::from(socket)));
            }
            if !is_full(&wrote) {
                self.room = Room::Some;
            } else if !matches!(self.room, Room::None(_)) {
                self.room = self.await_room().map_or(Room::Unknown, Room::None);
            }
            wrote
        }

        /// A fresh registration tells also of room that there is already.
        fn await_room(&self) -> io::Result<AsyncFd<UdpSocket>> {
            let _here = self.runtime.enter();
            register(self.reads.get_ref().try_clone()?, Interest::WRITABLE)
        }

        /// Ready unless the socket was full when it was last written to and still is.
        pub(crate) fn poll_write(&self, cx: &mut Context<'_>) -> Poll<()> {
            match &self.room {
                Room::Some => Poll::Ready(()),
                Room::None(full) => match full.poll_write_ready(cx) {
                    Poll::Ready(Ok(_)) => Poll::Ready(()),
                    _ => Poll::Pending,
                },
                Room::Unknown => Poll::Pending,
            }
        }
    }

    fn is_full(wrote: &io::Result<()>) -> bool {
        wrote.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    #[expect(unsafe_code, reason = "the runtime's only way to be asked for one of both")]
    fn register(socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
        // SAFETY: a socket of the standard library owns its descriptor, and gives the same one
        // until it is dropped, with what is registered here.
        Ok(unsafe { AsyncFd::register_with_interest(socket, interest) }?)
    }
}

#[cfg(not(unix))]
mod together {
    use std::io;
    use std::task::{Context, Poll};

    use socket2::SockRef;
    use tokio::io::Interest;
    use tokio::net::UdpSocket;

    /// One registration for both.
    #[derive(Debug)]
    pub(crate) struct Readiness(UdpSocket);

    impl Readiness {
        /// # Errors
        /// The runtime does not take the socket.
        pub(crate) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
            Ok(Self(UdpSocket::from_std(socket)?))
        }

        pub(crate) fn socket(&self) -> SockRef<'_> {
            SockRef::from(&self.0)
        }

        /// Reads if there may be something. [`io::ErrorKind::WouldBlock`] says that there is not.
        pub(crate) fn read<T>(
            &self,
            read: impl FnOnce(SockRef<'_>) -> io::Result<T>,
        ) -> io::Result<T> {
            self.0.try_io(Interest::READABLE, || read(self.socket()))
        }

        pub(crate) fn poll_read(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.0.poll_recv_ready(cx).map(|_| ())
        }

        /// Writes, without asking the runtime first. Only if the socket is full it has to know:
        /// asked again under its eyes, so that it cannot miss the moment when there is room.
        pub(crate) fn write(
            &mut self,
            mut write: impl FnMut(SockRef<'_>) -> io::Result<()>,
        ) -> io::Result<()> {
            match write(self.socket()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.0.try_io(Interest::WRITABLE, || write(self.socket()))
                }
                done => done,
            }
        }

        pub(crate) fn poll_write(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.0.poll_send_ready(cx).map(|_| ())
        }
    }
}
