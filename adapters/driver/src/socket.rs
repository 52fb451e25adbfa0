//! The UDP socket: set up, buffers checked, batches in and out.
//!
//! [`bind`] makes a std socket with everything that Aqueduct wants of it; a runtime takes the
//! socket, and [`SocketIo`] does the calls. The seam is a trait so that a test can put a faulty one
//! in between (see [`crate::fault`]). IPv4 peers of a dual-stack socket are known by their IPv4
//! address everywhere above this file.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use aqueduct_core::wire::id::Ecn;
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// What is asked of a socket.
#[derive(Clone, Copy, Debug)]
pub struct SocketConfig {
    receive_buffer: usize,
    send_buffer: usize,
    v6_only: bool,
    segmentation: Segmentation,
}

/// Whether several datagrams may leave in one system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segmentation {
    /// As many as the kernel says it takes.
    Offload,
    /// One datagram a call.
    Off,
}

impl Default for SocketConfig {
    /// 4 MiB each way, IPv4 also through an IPv6 wildcard, segmentation by the kernel.
    fn default() -> Self {
        Self {
            receive_buffer: 4 << 20,
            send_buffer: 4 << 20,
            v6_only: false,
            segmentation: Segmentation::Offload,
        }
    }
}

impl SocketConfig {
    /// Asks for a receive buffer of so many bytes.
    #[must_use]
    pub fn with_receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = bytes;
        self
    }

    /// Asks for a send buffer of so many bytes.
    #[must_use]
    pub fn with_send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = bytes;
        self
    }

    /// Takes no IPv4 through an IPv6 socket.
    #[must_use]
    pub fn with_v6_only(mut self) -> Self {
        self.v6_only = true;
        self
    }

    /// Says whether several datagrams may leave in one call.
    #[must_use]
    pub fn with_segmentation(mut self, segmentation: Segmentation) -> Self {
        self.segmentation = segmentation;
        self
    }
}

/// The kernel gave a smaller buffer than was asked for: bursts are lost on this machine before
/// anybody sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferWarning {
    /// Bytes asked for.
    pub asked: usize,
    /// Bytes got.
    pub got: usize,
    /// Which buffer: "receive" or "send".
    pub buffer: &'static str,
    /// The sysctl that holds the limit.
    pub setting: &'static str,
}

impl fmt::Display for BufferWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, got, buffer, setting } = self;
        write!(
            f,
            "the UDP {buffer} buffer has {got} bytes, {asked} were asked for; \
             raise the limit with: sysctl -w {setting}={asked}"
        )
    }
}

/// A socket that is ready to be given to a runtime.
#[derive(Debug)]
pub struct Bound {
    /// Non-blocking.
    pub socket: std::net::UdpSocket,
    /// Does the calls on it.
    pub io: UdpIo,
    /// Its address, with the port that the kernel chose.
    pub local: SocketAddr,
    /// Whether IPv4 peers can be reached through it.
    pub takes_v4: bool,
    /// Where the kernel gave less than was asked for; each has been logged.
    pub warnings: Vec<BufferWarning>,
}

/// Makes and sets up a socket on `addr`.
///
/// # Errors
/// Those of the operating system: the address is in use, or not of this machine.
pub fn bind(addr: SocketAddr, config: &SocketConfig) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    let dual = addr.is_ipv6() && !config.v6_only;
    if addr.is_ipv6() && socket.set_only_v6(!dual).is_err() {
        tracing::debug!("this system does not let an IPv6 socket take IPv4");
    }
    let takes_v4 =
        addr.is_ipv4() || (dual && addr.ip().is_unspecified() && !socket.only_v6().unwrap_or(true));
    socket.bind(&addr.into())?;
    let warnings = set_buffers(&socket, config);
    let socket: std::net::UdpSocket = socket.into();
    let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
    let local = socket.local_addr()?;
    let io = UdpIo { state, v6: local.is_ipv6(), segmentation: config.segmentation };
    tracing::debug!(
        %local, gso = io.max_gso_segments(), gro = io.gro_segments(), "socket bound"
    );
    Ok(Bound { socket, io, local, takes_v4, warnings })
}

fn set_buffers(socket: &Socket, config: &SocketConfig) -> Vec<BufferWarning> {
    // A refusal shows in what is read back.
    let _refused = socket.set_recv_buffer_size(config.receive_buffer);
    let _refused = socket.set_send_buffer_size(config.send_buffer);
    let receive =
        (socket.recv_buffer_size(), config.receive_buffer, "receive", "net.core.rmem_max");
    let send = (socket.send_buffer_size(), config.send_buffer, "send", "net.core.wmem_max");
    let mut warnings = Vec::new();
    for (got, asked, buffer, setting) in [receive, send] {
        let Ok(reported) = got else { continue };
        // Linux keeps twice the value for its own bookkeeping and reports that.
        let got = if cfg!(target_os = "linux") { reported / 2 } else { reported };
        if got < asked {
            let warning = BufferWarning { asked, got, buffer, setting };
            tracing::warn!("{warning}");
            warnings.push(warning);
        }
    }
    warnings
}

/// Datagrams for one destination, to leave in one call.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Where they go.
    pub remote: SocketAddr,
    /// The address of this machine that they come from, if it matters.
    pub local: Option<IpAddr>,
    /// Their congestion mark.
    pub ecn: Option<Ecn>,
    /// Bytes of each but the last, if there are several.
    pub segment: Option<usize>,
    /// The datagrams, one behind the other.
    pub bytes: &'a [u8],
}

impl Outgoing<'_> {
    /// How many datagrams these are.
    pub fn count(&self) -> usize {
        self.segment.map_or(1, |segment| self.bytes.len().div_ceil(segment.max(1)).max(1))
    }
}

/// Does the calls on a socket that somebody else owns. Calls never block.
pub trait SocketIo: Send + Sync + fmt::Debug {
    /// Receives up to [`RecvBatch::CAPACITY`] messages and says how many.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is none; else what the system said.
    fn recv(&self, socket: SockRef<'_>, batch: &mut RecvBatch) -> io::Result<usize>;

    /// Sends `outgoing` in one call.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the socket is full; else what the system said.
    fn send(&self, socket: SockRef<'_>, outgoing: &Outgoing<'_>) -> io::Result<()>;

    /// Datagrams that one call may send; 1: no offload.
    fn max_gso_segments(&self) -> usize;

    /// Datagrams that one received message may hold; 1: no offload.
    fn gro_segments(&self) -> usize;
}

/// The system's calls.
#[derive(Debug)]
pub struct UdpIo {
    state: UdpSocketState,
    v6: bool,
    segmentation: Segmentation,
}

impl UdpIo {
    fn to_family(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(ip) if self.v6 => ip.to_ipv6_mapped().into(),
            ip => ip,
        }
    }
}

impl SocketIo for UdpIo {
    fn recv(&self, socket: SockRef<'_>, batch: &mut RecvBatch) -> io::Result<usize> {
        let RecvBatch { memory, metas, filled } = batch;
        *filled = 0;
        let mut slots = memory.chunks_exact_mut(RecvBatch::SLOT);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        *filled = self.state.recv(UdpSockRef::from(&*socket), &mut slices, metas)?;
        Ok(*filled)
    }

    fn send(&self, socket: SockRef<'_>, outgoing: &Outgoing<'_>) -> io::Result<()> {
        let destination = match outgoing.remote {
            SocketAddr::V4(_) if self.v6 => {
                SocketAddr::new(self.to_family(outgoing.remote.ip()), outgoing.remote.port())
            }
            remote => remote,
        };
        let transmit = quinn_udp::Transmit {
            destination,
            ecn: outgoing.ecn.map(to_codepoint),
            contents: outgoing.bytes,
            segment_size: outgoing.segment,
            src_ip: outgoing.local.map(|ip| self.to_family(ip)),
        };
        self.state.try_send(UdpSockRef::from(&*socket), &transmit)
    }

    fn max_gso_segments(&self) -> usize {
        match self.segmentation {
            Segmentation::Offload => self.state.max_gso_segments(),
            Segmentation::Off => 1,
        }
    }

    fn gro_segments(&self) -> usize {
        self.state.gro_segments()
    }
}

/// Room for the messages of one receiving call, made once.
pub struct RecvBatch {
    memory: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
    filled: usize,
}

/// One received message: one datagram, or several that the kernel joined.
#[derive(Debug)]
pub struct Received<'a> {
    /// Where it came from.
    pub remote: SocketAddr,
    /// The address of this machine that it was sent to, if the system says.
    pub local: Option<IpAddr>,
    /// Its congestion mark. `None`: none, or unknown (Linux loses it for joined messages).
    pub ecn: Option<Ecn>,
    /// Bytes of each datagram but the last.
    pub segment: usize,
    /// The datagrams, one behind the other.
    pub bytes: &'a mut [u8],
}

impl RecvBatch {
    /// Messages that one call may bring.
    pub const CAPACITY: usize = BATCH_SIZE;
    /// Bytes that one message may have.
    const SLOT: usize = 1 << 16;

    /// Takes [`Self::CAPACITY`] times 64 KiB of address space; the system lends pages when used.
    pub fn new() -> Self {
        Self {
            memory: vec![0; Self::SLOT * BATCH_SIZE],
            metas: [RecvMeta::default(); BATCH_SIZE],
            filled: 0,
        }
    }

    /// Puts a message in by hand, as a [`SocketIo`] of a test may. Ignored when full or too long.
    pub fn push(&mut self, remote: SocketAddr, bytes: &[u8]) {
        let slot = self.memory.chunks_exact_mut(Self::SLOT).nth(self.filled);
        let (Some(slot), Some(meta)) = (slot, self.metas.get_mut(self.filled)) else { return };
        let Some(room) = slot.get_mut(..bytes.len()) else { return };
        room.copy_from_slice(bytes);
        *meta = RecvMeta::default();
        (meta.addr, meta.len, meta.stride) = (remote, bytes.len(), bytes.len());
        self.filled += 1;
    }

    /// Forgets what was received.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// The messages of the last call, in order of arrival.
    pub fn messages(&mut self) -> impl Iterator<Item = Received<'_>> {
        let slots = self.memory.chunks_exact_mut(Self::SLOT);
        slots.zip(&self.metas).take(self.filled).filter_map(|(slot, meta)| {
            Some(Received {
                remote: SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port()),
                local: meta.dst_ip.map(|ip| ip.to_canonical()),
                ecn: meta.ecn.map(from_codepoint),
                segment: meta.stride,
                bytes: slot.get_mut(..meta.len)?,
            })
        })
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBatch").field("filled", &self.filled).finish_non_exhaustive()
    }
}

fn to_codepoint(ecn: Ecn) -> EcnCodepoint {
    match ecn {
        Ecn::Ect0 => EcnCodepoint::Ect0,
        Ecn::Ect1 => EcnCodepoint::Ect1,
        Ecn::Ce => EcnCodepoint::Ce,
    }
}

fn from_codepoint(ecn: EcnCodepoint) -> Ecn {
    match ecn {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}

/// What an error of a socket call means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The socket is full or empty: wait for it.
    WouldBlock,
    /// No route to the network or the host, now.
    Unreachable,
    /// The kernel has no buffers, now.
    NoBuffers,
    /// A port answered that nobody listens.
    Refused,
    /// Larger than the interface carries.
    TooLarge,
    /// Forbidden by a firewall or the system.
    NotPermitted,
    /// What the kernel says to a batch that it or the driver cannot segment (EIO, EINVAL).
    Segmentation,
    /// The descriptor is no socket any more.
    Dead,
    /// Anything else; taken as passing.
    Other,
}

impl Fault {
    /// Sorts an error.
    pub fn of(error: &io::Error) -> Self {
        if quinn_udp::is_msg_size_err(error) {
            return Self::TooLarge;
        }
        #[cfg(unix)]
        match error.raw_os_error() {
            Some(libc::ENOBUFS | libc::ENOMEM) => return Self::NoBuffers,
            Some(libc::EIO | libc::EINVAL) => return Self::Segmentation,
            Some(libc::EBADF | libc::ENOTSOCK) => return Self::Dead,
            Some(libc::ENETDOWN | libc::EADDRNOTAVAIL) => return Self::Unreachable,
            _ => {}
        }
        #[cfg(windows)]
        match error.raw_os_error() {
            Some(10055) => return Self::NoBuffers, // WSAENOBUFS
            Some(10038) => return Self::Dead,      // WSAENOTSOCK
            _ => {}
        }
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::WouldBlock,
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable,
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            io::ErrorKind::PermissionDenied => Self::NotPermitted,
            io::ErrorKind::OutOfMemory => Self::NoBuffers,
            _ => Self::Other,
        }
    }
}

/// The address that reaches a socket of this machine bound to `local`: loopback for a wildcard.
pub fn loopback_of(local: SocketAddr) -> SocketAddr {
    let ip = match local.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, local.port())
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
