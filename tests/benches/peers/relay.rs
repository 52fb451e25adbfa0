//! `--case relay`, `--case fan`: through a relay to one receiver, or to four. Aqueduct pipes; quinn
//! has the loop that people write: read a chunk, write it on.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::ends::{Ends, Used, used};

/// What a round gives.
pub(crate) const COLUMNS: [&str; 6] =
    ["MB/s", "relay ns/KB", "CPU s, all", "first byte us", "held KiB", "process grew KiB"];

const BLOCK: usize = 256 << 10;
/// Opens the way before anything is measured.
const WARM: u64 = 1 << 20;

/// What a sink saw of a body.
struct Seen {
    bytes: u64,
    first_byte: Instant,
    end: Instant,
}

/// A body as far as a sink has it.
#[derive(Default)]
struct Tally {
    bytes: u64,
    first_byte: Option<Instant>,
}

impl Tally {
    fn add(&mut self, chunk: &[u8]) {
        self.first_byte.get_or_insert_with(Instant::now);
        self.bytes += chunk.len() as u64;
    }

    fn end(self, tell: &mpsc::UnboundedSender<Seen>) {
        let first_byte = self.first_byte.expect("a byte");
        let _gone = tell.send(Seen { bytes: self.bytes, first_byte, end: Instant::now() });
    }
}

/// A body before it is sent.
struct Before {
    began: Instant,
    used: Used,
    memory: u64,
}

fn any() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// A line of the process's status, in bytes (Linux).
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn blocks(bytes: u64) -> impl Iterator<Item = Bytes> {
    let block = Bytes::from(vec![7; BLOCK]);
    let sizes = (0..bytes).step_by(BLOCK).map(move |at| (bytes - at).min(BLOCK as u64) as usize);
    sizes.map(move |size| block.slice(..size))
}

impl Before {
    fn now() -> Self {
        let _not_everywhere = std::fs::write("/proc/self/clear_refs", "5");
        Self { began: Instant::now(), used: used(), memory: memory("VmRSS:") }
    }

    /// Waits until each of `fan` sinks has all of it.
    async fn until(
        self,
        bytes: u64,
        fan: usize,
        seen: &mut mpsc::UnboundedReceiver<Seen>,
    ) -> Vec<f64> {
        let (mut end, mut first_byte) = (self.began, self.began);
        for _ in 0..fan {
            let one = seen.recv().await.expect("a sink");
            assert_eq!(one.bytes, bytes);
            (end, first_byte) = (end.max(one.end), first_byte.max(one.first_byte));
        }
        let cpu = used().since(self.used);
        vec![
            bytes as f64 / 1e6 / (end - self.began).as_secs_f64(),
            cpu.relay.as_nanos() as f64 / (bytes as f64 / 1e3),
            cpu.all().as_secs_f64(),
            (first_byte - self.began).as_secs_f64() * 1e6,
            f64::NAN,
            memory("VmHWM:").saturating_sub(self.memory) as f64 / 1024.0,
        ]
    }
}

pub(crate) mod ours {
    use aqueduct_tokio::relay::{Allow, RelayConfig, RelayEvent, Way};
    use aqueduct_tokio::{Endpoint, NodeAddr, OpenOptions, StreamProtocol, generate_key};

    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint::bind(any(), generate_key().expect("a key")).expect("a socket")
    }

    fn there(node: &Endpoint) -> NodeAddr {
        NodeAddr::from((node.node_id(), node.local_addr()))
    }

    /// Takes streams for ever.
    async fn sink(tell: mpsc::UnboundedSender<Seen>, met: mpsc::UnboundedSender<()>) -> NodeAddr {
        let sink = endpoint();
        let door = there(&sink);
        tokio::spawn(async move {
            let connection = sink.accept().await.expect("the relay").accept().await.expect("it");
            let _gone = met.send(());
            while let Ok(mut stream) = connection.accept_uni().await {
                let tell = tell.clone();
                tokio::spawn(async move {
                    let mut tally = Tally::default();
                    while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX).await {
                        tally.add(&chunk);
                    }
                    tally.end(&tell);
                });
            }
        });
        door
    }

    /// Relays for one guest; tells how many bytes each pipe held at most.
    async fn relay(held: mpsc::UnboundedSender<u64>) -> NodeAddr {
        let relay = endpoint();
        let door = there(&relay);
        relay.relay(RelayConfig::new(Allow::Everybody), move |event| {
            if let RelayEvent::Ended { stats, .. } = event {
                let _gone = held.send(stats.most_held);
            }
        });
        tokio::spawn(async move {
            let connection = relay.accept().await.expect("a guest").accept().await.expect("it");
            connection.closed().await;
        });
        door
    }

    pub(crate) fn round(bytes: u64, fan: usize) -> Vec<f64> {
        let ends = Ends::new();
        let (tell, mut seen) = mpsc::unbounded_channel();
        let (met, mut has_met) = mpsc::unbounded_channel();
        let targets = ends.server(async move {
            let mut doors = Vec::new();
            for _ in 0..fan {
                doors.push(sink(tell.clone(), met.clone()).await);
            }
            doors
        });
        let (tell_held, mut held) = mpsc::unbounded_channel();
        let door = ends.relay(relay(tell_held));
        ends.client(async move {
            let source = endpoint();
            let connection = source.connect(door).await.expect("the relay");
            let way = Way { relays: Vec::new(), targets };
            let options = OpenOptions::new(StreamProtocol::name("bench"));
            let options = way.introduce(&options).expect("a way");
            // A stream that stays open keeps the relay's connections to the sinks.
            let mut open = connection.open_uni(options.clone()).await.expect("a stream");
            open.write_bytes(Bytes::from_static(b"?")).await.expect("a write");
            for _ in 0..fan {
                has_met.recv().await.expect("the relay at a sink");
            }
            let pour = async |bytes| {
                let mut send = connection.open_uni(options.clone()).await.expect("a stream");
                for block in blocks(bytes) {
                    send.write_bytes(block).await.expect("a write");
                }
                send.finish().expect("an end");
            };
            let warm = Before::now();
            pour(WARM).await;
            warm.until(WARM, fan, &mut seen).await;
            held.recv().await;
            let before = Before::now();
            pour(bytes).await;
            let mut figures = before.until(bytes, fan, &mut seen).await;
            let most = held.recv().await.expect("the relay's account");
            if let Some(cell) = figures.get_mut(4) {
                *cell = most as f64 / 1024.0;
            }
            source.close(aqueduct_tokio::AppCode(0), b"");
            source.wait_idle().await;
            figures
        })
    }
}

pub(crate) mod theirs {
    use ::quinn::{Connection, Endpoint, RecvStream};

    use super::*;
    use crate::certificate;
    use crate::quinn::{client_config, server_config};

    fn server() -> (Endpoint, SocketAddr) {
        let server = Endpoint::server(server_config(), any()).expect("a socket");
        let door = server.local_addr().expect("an address");
        (server, door)
    }

    async fn connect(to: SocketAddr) -> Connection {
        let mut client = Endpoint::client(any()).expect("a socket");
        client.set_default_client_config(client_config());
        let connecting = client.connect(to, certificate::NAME).expect("a name");
        connecting.await.expect("a connection")
    }

    async fn copy(mut from: RecvStream, on: Vec<Connection>) {
        let mut to = Vec::new();
        for on in on {
            to.push(on.open_uni().await.expect("a stream"));
        }
        while let Ok(Some(chunk)) = from.read_chunk(usize::MAX, true).await {
            for to in &mut to {
                to.write_chunk(chunk.bytes.clone()).await.expect("a write");
            }
        }
        for mut to in to {
            to.finish().expect("an end");
            let _ = to.stopped().await;
        }
    }

    /// Takes streams for ever.
    async fn sink(tell: mpsc::UnboundedSender<Seen>) -> SocketAddr {
        let (sink, door) = server();
        tokio::spawn(async move {
            let connection = sink.accept().await.expect("the relay").await.expect("it");
            while let Ok(mut stream) = connection.accept_uni().await {
                let mut tally = Tally::default();
                while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX, true).await {
                    tally.add(&chunk.bytes);
                }
                tally.end(&tell);
            }
        });
        door
    }

    /// Copies for one guest; is connected to all sinks when that is told.
    async fn relay(sinks: Vec<SocketAddr>) -> SocketAddr {
        let (relay, door) = server();
        let (ready, is_ready) = oneshot::channel();
        tokio::spawn(async move {
            let mut on = Vec::new();
            for sink in sinks {
                on.push(connect(sink).await);
            }
            let _gone = ready.send(());
            let connection = relay.accept().await.expect("a guest").await.expect("it");
            while let Ok(from) = connection.accept_uni().await {
                tokio::spawn(copy(from, on.clone()));
            }
        });
        is_ready.await.expect("the relay");
        door
    }

    pub(crate) fn round(bytes: u64, fan: usize) -> Vec<f64> {
        let ends = Ends::new();
        let (tell, mut seen) = mpsc::unbounded_channel();
        let sinks = ends.server(async move {
            let mut doors = Vec::new();
            for _ in 0..fan {
                doors.push(sink(tell.clone()).await);
            }
            doors
        });
        let door = ends.relay(relay(sinks));
        ends.client(async move {
            let connection = connect(door).await;
            let pour = async |bytes| {
                let mut send = connection.open_uni().await.expect("a stream");
                for block in blocks(bytes) {
                    send.write_chunk(block).await.expect("a write");
                }
                send.finish().expect("an end");
            };
            let warm = Before::now();
            pour(WARM).await;
            warm.until(WARM, fan, &mut seen).await;
            let before = Before::now();
            pour(bytes).await;
            let figures = before.until(bytes, fan, &mut seen).await;
            connection.close(0_u32.into(), b"");
            figures
        })
    }
}
