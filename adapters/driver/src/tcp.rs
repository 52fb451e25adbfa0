//! TCP beside UDP: which of the two an endpoint takes, the listening socket, and sockets that dial.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// How long UDP is tried alone, unless configured otherwise (spec R-TCP-16).
const HEAD_START: Duration = Duration::from_millis(200);

/// A socket on which nothing moves is asked this often whether the other end is still there: an
/// alternative must not die in silence.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Strangers' sockets that wait to be accepted.
const BACKLOG: i32 = 128;

/// By what an endpoint reaches others and is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carriers {
    pub(crate) udp: bool,
    pub(crate) tcp: bool,
    pub(crate) insist: bool,
    pub(crate) head_start: Duration,
}

impl Default for Carriers {
    /// [`Carriers::both`].
    fn default() -> Self {
        Self::both()
    }
}

impl Carriers {
    /// UDP, and TCP where that does not get through: listens for both on one port number; dials by
    /// UDP first and by TCP 200 ms later.
    pub const fn both() -> Self {
        Self { udp: true, tcp: true, insist: false, head_start: HEAD_START }
    }

    /// UDP alone.
    pub const fn udp() -> Self {
        Self { udp: true, tcp: false, ..Self::both() }
    }

    /// TCP alone. The UDP port of the same number stays taken, so that nobody else answers there.
    pub const fn tcp() -> Self {
        Self { udp: false, tcp: true, insist: true, ..Self::both() }
    }

    /// An endpoint that cannot listen for TCP on its port is not bound. Else it warns and goes on
    /// without; it can dial by TCP all the same.
    #[must_use]
    pub const fn insisting(mut self) -> Self {
        self.insist = true;
        self
    }

    /// How long UDP is tried before TCP is tried as well.
    #[must_use]
    pub const fn with_head_start(mut self, time: Duration) -> Self {
        self.head_start = time;
        self
    }
}

/// Listens on `addr`.
///
/// # Errors
/// Those of the operating system: the port is in use.
pub(crate) fn listen(addr: SocketAddr, takes_v4: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(!takes_v4)?;
    }
    // Connections of a node that ran here before must not keep its port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Begins to connect to `remote`, from the address that the endpoint is bound to. What is returned
/// is connected later; see [`is_connected`].
///
/// # Errors
/// Those of the operating system: no route, no descriptor.
pub(crate) fn dial(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(remote), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if !local.ip().is_unspecified() && local.is_ipv4() == remote.is_ipv4() {
        socket.bind(&SocketAddr::new(local.ip(), 0).into())?;
    }
    match socket.connect(&remote.into()) {
        Ok(()) => {}
        #[cfg(unix)]
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    let socket: TcpStream = socket.into();
    set_up(&socket);
    Ok(socket)
}

/// What is asked of a socket, wherever it came from.
pub(crate) fn set_up(socket: &TcpStream) {
    let socket = SockRef::from(socket);
    // Without these it works as well.
    let _refused = socket.set_nonblocking(true);
    let _refused = socket.set_tcp_nodelay(true);
    let _refused = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE));
}

/// Whether a socket that dialled is connected by now.
///
/// # Errors
/// It failed.
pub fn is_connected(socket: SockRef<'_>) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
