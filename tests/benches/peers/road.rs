//! A path in user space, for whatever the kernel sends: what leaves for [`THERE`] by a TUN device
//! comes back from there to [`HERE`], later, in order, or never.
//!
//! The two addresses of a packet are exchanged, which leaves its checksums right; so one machine
//! holds both ends, and its kernel does for each of them what it does on any link: it cuts what is
//! sent in batches, and refuses what is too large.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_tests::dice::Dice;
use tun_rs::{DeviceBuilder, SyncDevice};

/// Where both ends have their sockets (of the block for documentation, RFC 5737).
pub(crate) const HERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// Where each sees the other.
pub(crate) const THERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

const MTU: u16 = 1500;

/// What a path is like, both ways.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Bytes a second.
    pub(crate) rate: u64,
    /// One way, without a queue.
    pub(crate) delay: Duration,
    /// Of a million packets.
    pub(crate) loss: u32,
    /// Bytes that wait at most.
    pub(crate) queue: u64,
}

/// What happened to packets on their way to the server.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// All that came to the path, in bytes with their headers.
    pub(crate) offered: AtomicU64,
    /// Packets that found the queue full.
    pub(crate) dropped: AtomicU64,
}

/// One way.
struct Lane {
    dice: Dice,
    /// When all that waits has left.
    free: Instant,
    /// What is under way, and when it arrives.
    under_way: VecDeque<(Instant, Vec<u8>)>,
}

impl Lane {
    fn new(label: &str, seed: u64) -> Self {
        Self { dice: Dice::new(seed, label), free: Instant::now(), under_way: VecDeque::new() }
    }

    /// Returns whether there was room.
    fn enter(&mut self, packet: Vec<u8>, shape: &Shape, now: Instant) -> bool {
        if self.dice.happens(shape.loss) {
            return true;
        }
        let waits = self.free.saturating_duration_since(now);
        let len = packet.len() as u64;
        if waits.as_nanos() * u128::from(shape.rate) / 1_000_000_000 + u128::from(len)
            > u128::from(shape.queue)
        {
            return false;
        }
        self.free = self.free.max(now) + Duration::from_nanos(len * 1_000_000_000 / shape.rate);
        self.under_way.push_back((self.free + shape.delay, packet));
        true
    }
}

/// What the thread of a path is told.
enum News {
    Packet(Vec<u8>, Instant),
    /// It becomes another one.
    Laid(Laid),
}

/// A path as one measurement has it.
struct Laid {
    shape: Shape,
    /// The server's port: what goes there goes up.
    port: u16,
    up: Lane,
    down: Lane,
    counts: Arc<Counts>,
}

impl Laid {
    fn take(&mut self, mut packet: Vec<u8>, now: Instant) {
        let Some(to) = port(&packet) else { return };
        exchange(&mut packet);
        if to != self.port {
            self.down.enter(packet, &self.shape, now);
            return;
        }
        self.counts.offered.fetch_add(packet.len() as u64, Ordering::Relaxed);
        if !self.up.enter(packet, &self.shape, now) {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets out what has arrived. Returns when the next packet does.
    fn deliver(&mut self, device: &SyncDevice, now: Instant) -> Option<Instant> {
        for lane in [&mut self.up, &mut self.down] {
            while lane.under_way.front().is_some_and(|(at, _)| *at <= now)
                && let Some((_, packet)) = lane.under_way.pop_front()
            {
                // A device whose queue is full loses it, as any link would.
                let _lost = device.send(&packet);
            }
        }
        let next = |lane: &Lane| lane.under_way.front().map(|(at, _)| *at);
        next(&self.up).into_iter().chain(next(&self.down)).min()
    }
}

/// The port that a packet of IPv4 goes to.
fn port(packet: &[u8]) -> Option<u16> {
    let header = usize::from(packet.first().filter(|first| *first >> 4 == 4)? & 15) * 4;
    let port = packet.get(header + 2..header + 4)?;
    Some(u16::from_be_bytes([port[0], port[1]]))
}

/// Exchanges source and destination of a packet of IPv4.
fn exchange(packet: &mut [u8]) {
    let (source, destination) = packet[12..20].split_at_mut(4);
    source.swap_with_slice(destination);
}

/// The device and its threads. It stays until the process ends.
pub(crate) struct Road {
    news: Sender<News>,
    laid: u64,
}

impl Road {
    /// # Errors
    /// This process may not have such a device.
    pub(crate) fn new() -> io::Result<Self> {
        let device = DeviceBuilder::new().ipv4(HERE, 24, None).mtu(MTU).build_sync();
        let device = Arc::new(device?);
        let (news, heard) = channel();
        let (reads, tells) = (device.clone(), news.clone());
        thread::spawn(move || read(&reads, &tells));
        thread::spawn(move || carry(&device, &heard));
        Ok(Self { news, laid: 0 })
    }

    /// From now on it is like that for a server at `port`, and nothing is on it.
    pub(crate) fn lay(&mut self, shape: Shape, port: u16) -> Arc<Counts> {
        self.laid += 1;
        let counts = Arc::new(Counts::default());
        let lane = |label| Lane::new(label, self.laid);
        let (up, down) = (lane("up"), lane("down"));
        let laid = Laid { shape, port, up, down, counts: counts.clone() };
        self.news.send(News::Laid(laid)).expect("its thread never ends");
        counts
    }
}

/// Takes packets from the kernel at once, so that its own queue never is one.
fn read(device: &SyncDevice, news: &Sender<News>) {
    let mut buf = [0; 1 << 16];
    while let Ok(len) = device.recv(&mut buf) {
        if news.send(News::Packet(buf[..len].to_vec(), Instant::now())).is_err() {
            return;
        }
    }
}

fn carry(device: &SyncDevice, heard: &Receiver<News>) {
    let mut laid: Option<Laid> = None;
    let mut due = None;
    loop {
        let now = Instant::now();
        let wait = due.map_or(Duration::from_secs(1), |due: Instant| due.duration_since(now));
        match heard.recv_timeout(wait) {
            Ok(News::Packet(packet, at)) => {
                if let Some(laid) = &mut laid {
                    laid.take(packet, at);
                }
            }
            Ok(News::Laid(new)) => laid = Some(new),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        due = laid.as_mut().and_then(|laid| laid.deliver(device, Instant::now()));
    }
}
