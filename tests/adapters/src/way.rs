//! What lies between two nodes: a forwarder on one port for UDP and for TCP, each of which can be
//! cut off, or stand still.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How long a thread waits for bytes before it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// A way to one server, for one client by UDP and any number by TCP.
pub(crate) struct Way {
    /// Where the server seems to be.
    pub(crate) front: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    udp: AtomicBool,
    tcp: AtomicBool,
    /// Nothing that the server writes by TCP is read.
    still: AtomicBool,
    over: AtomicBool,
    /// Handshakes and others that went to the server by UDP, and connections to it by TCP.
    streams: AtomicU64,
    /// The first so many of these carry nothing any more, and stay open.
    hushed: AtomicU64,
    /// The first so many are to be reset.
    reset: AtomicU64,
    /// The next bytes that one of the first so many passes on are others.
    garbled: AtomicU64,
    /// What a chunk of bytes takes by TCP, in milliseconds.
    delay: AtomicU64,
    client: Mutex<Option<SocketAddr>>,
}

impl State {
    fn is(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }
}

impl Way {
    /// To this server, with both open.
    pub(crate) fn to(server: SocketAddr) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let state = Arc::new(State::default());
        let way = Self { front: udp.local_addr().unwrap(), state: state.clone() };
        way.udp(true);
        way.tcp(true);
        let back = UdpSocket::bind("127.0.0.1:0").unwrap();
        back.connect(server).unwrap();
        for socket in [&udp, &back] {
            socket.set_read_timeout(Some(LOOK)).unwrap();
            socket2::SockRef::from(socket).set_recv_buffer_size(4 << 20).unwrap();
        }
        let (up, down) = ((udp.try_clone().unwrap(), back.try_clone().unwrap()), (back, udp));
        let (one, other) = (state.clone(), state.clone());
        thread::spawn(move || {
            pass_datagrams(&one, &up.0, |state, from, bytes| {
                *state.client.lock().unwrap() = Some(from);
                let _lost = up.1.send(bytes);
            });
        });
        thread::spawn(move || {
            pass_datagrams(&other, &down.0, |state, _, bytes| {
                let client = *state.client.lock().unwrap();
                let _lost = client.map(|client| down.1.send_to(bytes, client));
            });
        });
        thread::spawn(move || accept(&state, &tcp, server));
        way
    }

    /// Whether datagrams get through.
    pub(crate) fn udp(&self, open: bool) {
        self.state.udp.store(open, Ordering::Relaxed);
    }

    /// Whether TCP connections are taken.
    pub(crate) fn tcp(&self, open: bool) {
        self.state.tcp.store(open, Ordering::Relaxed);
    }

    /// Whether what the server writes by TCP stays unread.
    pub(crate) fn stand_still(&self, still: bool) {
        self.state.still.store(still, Ordering::Relaxed);
    }

    /// The TCP connections that are there now carry nothing any more, and nobody is told.
    pub(crate) fn hush(&self) {
        self.state.hushed.store(self.streams(), Ordering::Relaxed);
        // Who waits for bytes passes those on that come now.
        thread::sleep(LOOK * 3);
    }

    /// The TCP connections that are there now are reset: both ends hear it.
    pub(crate) fn reset(&self) {
        self.state.reset.store(self.streams(), Ordering::Relaxed);
    }

    /// The next bytes that come by one of the TCP connections that are there now come garbled.
    pub(crate) fn garble(&self) {
        self.state.garbled.store(self.streams(), Ordering::Relaxed);
    }

    /// What comes by TCP comes so much later, each way by half of a round trip; and the first that a
    /// client says by another whole one, in which it would have been connected.
    pub(crate) fn with_round_trip(self, time: Duration) -> Self {
        let each = u64::try_from(time.as_millis() / 2).unwrap();
        self.state.delay.store(each, Ordering::Relaxed);
        self
    }

    /// TCP connections to the server so far.
    pub(crate) fn streams(&self) -> u64 {
        self.state.streams.load(Ordering::Relaxed)
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
    }
}

fn pass_datagrams(
    state: &State,
    from: &UdpSocket,
    mut pass: impl FnMut(&State, SocketAddr, &[u8]),
) {
    let mut bytes = vec![0; 1 << 16];
    while !State::is(&state.over) {
        if let Ok((len, sender)) = from.recv_from(&mut bytes)
            && State::is(&state.udp)
        {
            pass(state, sender, &bytes[..len]);
        }
    }
}

fn accept(state: &Arc<State>, listener: &TcpListener, server: SocketAddr) {
    listener.set_nonblocking(true).unwrap();
    while !State::is(&state.over) {
        let Ok((client, _)) = listener.accept() else {
            thread::sleep(LOOK / 4);
            continue;
        };
        if !State::is(&state.tcp) {
            continue;
        }
        let number = state.streams.fetch_add(1, Ordering::Relaxed);
        let Ok(server) = TcpStream::connect(server) else { continue };
        for socket in [&client, &server] {
            socket.set_nonblocking(false).unwrap();
            socket.set_nodelay(true).unwrap();
            socket.set_read_timeout(Some(LOOK)).unwrap();
        }
        let pairs = [
            (client.try_clone().unwrap(), server.try_clone().unwrap(), false),
            (server, client, true),
        ];
        for (from, to, down) in pairs {
            let state = state.clone();
            thread::spawn(move || pass_bytes(&state, number, from, to, down));
        }
    }
}

fn pass_bytes(state: &State, number: u64, mut from: TcpStream, mut to: TcpStream, down: bool) {
    let mut bytes = vec![0; 1 << 16];
    let delay = Duration::from_millis(state.delay.load(Ordering::Relaxed));
    if !down {
        thread::sleep(delay * 2);
    }
    while !State::is(&state.over) {
        if number < state.reset.load(Ordering::Relaxed) {
            return reset([from, to]);
        }
        let hushed = number < state.hushed.load(Ordering::Relaxed);
        if hushed || down && State::is(&state.still) {
            thread::sleep(LOOK);
            continue;
        }
        match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(len) => {
                thread::sleep(delay);
                if number < state.garbled.load(Ordering::Relaxed) {
                    state.garbled.store(0, Ordering::Relaxed);
                    bytes[..len].iter_mut().for_each(|byte| *byte ^= 0x55);
                }
                if to.write_all(&bytes[..len]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    for socket in [from, to] {
        let _closed = socket.shutdown(std::net::Shutdown::Both);
    }
}

/// The last of those who hold a socket closes it without a farewell.
fn reset(sockets: [TcpStream; 2]) {
    for socket in sockets {
        socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
