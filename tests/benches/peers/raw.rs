//! UDP without anything above it: what the system calls alone cost. Nothing is repeated; the rate
//! is that of what arrived.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::time::{ClockId, clock_gettime};

/// Bytes of a datagram, as everybody here sends them.
const DATAGRAM: usize = 1_452;
/// Bytes that are under way at most, so that the socket's buffer does not overflow. Who waits for
/// room sleeps.
const WINDOW: u64 = 64 << 10;

fn thread_cpu() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).expect("options");
        socket.set_nonblocking(false).expect("an option");
        state.set_recv_buffer_size(UdpSockRef::from(&socket), 4 << 20).expect("an option");
        Self { socket, state }
    }

    fn addr(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }
}

/// Columns as [`crate::bulk::COLUMNS`]; `segments` datagrams leave in one call.
pub(crate) fn round(bytes: u64, segments: usize) -> Vec<f64> {
    let (sender, receiver) = (Socket::new(), Socket::new());
    let segments = segments.min(sender.state.max_gso_segments());
    let (done, arrived) = (AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    let waiting = std::thread::current();
    let (sent, received) = std::thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&receiver, &waiting, &arrived, &done));
        let before = thread_cpu();
        send(&sender, receiver.addr(), bytes, segments, &arrived);
        let sent = thread_cpu() - before;
        done.store(true, Ordering::Release);
        (sent, receiving.join().expect("no panic"))
    });
    let wall = began.elapsed().as_secs_f64();
    let came = arrived.into_inner() as f64;
    vec![
        came / 1e6 / wall,
        came / 1e6 / (sent + received).as_secs_f64(),
        sent.as_nanos() as f64 / (came / 1e3),
        received.as_nanos() as f64 / (came / 1e3),
    ]
}

fn send(from: &Socket, to: SocketAddr, bytes: u64, segments: usize, arrived: &AtomicU64) {
    let block = vec![7; DATAGRAM * segments];
    let segment_size = (segments > 1).then_some(DATAGRAM);
    let mut sent = 0;
    let transmit =
        Transmit { destination: to, ecn: None, contents: &block, segment_size, src_ip: None };
    while sent < bytes {
        if sent.saturating_sub(arrived.load(Ordering::Acquire)) > WINDOW {
            let before = arrived.load(Ordering::Acquire);
            std::thread::park_timeout(Duration::from_millis(5));
            // What was dropped will never arrive.
            if arrived.load(Ordering::Acquire) == before {
                sent = before;
            }
            continue;
        }
        from.state.try_send(UdpSockRef::from(&from.socket), &transmit).expect("a send");
        sent += block.len() as u64;
    }
}

/// Until nothing comes any more; wakes who waits for room.
fn receive(at: &Socket, sender: &Thread, arrived: &AtomicU64, done: &AtomicBool) -> Duration {
    at.socket.set_read_timeout(Some(Duration::from_millis(5))).expect("an option");
    let before = thread_cpu();
    let mut bufs = vec![vec![0; 65_536]; BATCH_SIZE];
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    loop {
        let mut slices: Vec<_> = bufs.iter_mut().map(|buf| IoSliceMut::new(buf)).collect();
        match at.state.recv(UdpSockRef::from(&at.socket), &mut slices, &mut metas) {
            Ok(count) => {
                let came = metas[..count].iter().map(|meta| meta.len as u64).sum();
                arrived.fetch_add(came, Ordering::AcqRel);
                sender.unpark();
            }
            Err(_) if done.load(Ordering::Acquire) => return thread_cpu() - before,
            Err(_) => {}
        }
    }
}
