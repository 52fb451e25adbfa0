//! TCP beside UDP: which of the two an endpoint takes, the listening socket, and sockets that dial.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use aqueduct_core::config::TransportConfig;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// How long UDP is tried alone, unless configured otherwise (spec R-TCP-16).
const HEAD_START: Duration = Duration::from_millis(200);

/// A socket on which nothing moves for so long is asked whether the other end is still there: an
/// alternative must not die in silence. Unanswered it is asked again, so often and no more (spec
/// R-TCP-23). On Linux [`Patience::arrival`] holds in place of the number.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_secs(5);
const ASKS: u32 = 3;

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

/// How long an endpoint waits for TCP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a socket that dials.
    pub(crate) dial: Duration,
    /// Until what was written has arrived.
    pub(crate) arrival: Duration,
}

impl Patience {
    /// A dial takes no longer than a handshake. A connection that has nothing but this socket lives
    /// as long as one that has nothing but UDP.
    pub(crate) fn of(transport: &TransportConfig) -> Self {
        Self { dial: transport.handshake_timeout(), arrival: transport.idle_timeout() }
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
pub(crate) fn dial(
    local: SocketAddr,
    remote: SocketAddr,
    patience: Patience,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(remote), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if !local.ip().is_unspecified() && local.is_ipv4() == remote.is_ipv4() {
        socket.bind(&with_any_port(local).into())?;
    }
    match socket.connect(&remote.into()) {
        Ok(()) => {}
        #[cfg(unix)]
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    let socket: TcpStream = socket.into();
    set_up(&socket, patience);
    Ok(socket)
}

/// The same address, its scope included, with a port of the system's choice.
fn with_any_port(mut addr: SocketAddr) -> SocketAddr {
    addr.set_port(0);
    addr
}

/// An IPv4 address as itself, where an IPv6 socket tells of it; any other as it is, its scope
/// included.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), addr.port()),
        IpAddr::V6(_) => addr,
    }
}

/// What is asked of a socket, wherever it came from.
pub(crate) fn set_up(socket: &TcpStream, patience: Patience) {
    let socket = SockRef::from(socket);
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE);
    let keep_alive = keep_alive.with_interval(ASK_AGAIN).with_retries(ASKS);
    // Without these it works as well.
    let _refused = socket.set_nonblocking(true);
    let _refused = socket.set_tcp_nodelay(true);
    let _refused = socket.set_tcp_keepalive(&keep_alive);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _refused = socket.set_tcp_user_timeout(Some(patience.arrival));
    let _elsewhere = patience;
}

/// Sends what a socket takes. Where the other end is gone that is an error and no signal, whatever
/// the process does about signals.
///
/// # Errors
/// Those of the operating system.
pub fn send(socket: SockRef<'_>, bytes: &[u8]) -> io::Result<usize> {
    // Apple's systems have no such flag; the standard library sets it on each of its sockets.
    #[cfg(all(unix, not(target_vendor = "apple")))]
    let flags = libc::MSG_NOSIGNAL;
    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    let flags = 0;
    socket.send_with_flags(bytes, flags)
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

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
