//! Two endpoints in one thread, no socket: what a datagram costs both ends together.
//!
//! `cargo bench -p aqueduct-tests --bench pair -- [MIB] [rust]`

use std::net::SocketAddr;
use std::time::Instant as Clock;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::crypto::provider::Provider;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, EventKind, Output, PeerAddr,
};
use aqueduct_core::rng::Seed;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{CarrierId, Dir, StreamId};
use bytes::Bytes;

const UDP: CarrierId = CarrierId(0);

struct Node {
    endpoint: Endpoint,
    addr: SocketAddr,
}

fn node(number: u8, provider: Provider, now: Instant) -> Node {
    let config = EndpointConfig::new(NodeKey::from_seed(&[number; 32])).with_provider(provider);
    let mut endpoint = Endpoint::new(config, Seed::from_u64(number.into()));
    let kind = CarrierKind::Udp { max_segments: 44, max_datagram: 65_507 };
    endpoint.carrier_opened(UDP, kind, now);
    Node { endpoint, addr: SocketAddr::from(([10, 0, 0, number], 4433)) }
}

struct Run {
    sender: Node,
    receiver: Node,
    now: Instant,
    block: Bytes,
    left: u64,
    stream: Option<(ConnectionHandle, StreamId)>,
    received: u64,
    done: bool,
    datagrams: u64,
}

impl Run {
    fn write(&mut self) {
        let Some((handle, id)) = self.stream else { return };
        let Some(mut view) = self.sender.endpoint.connection(handle) else { return };
        let Some(mut stream) = view.send(id) else { return };
        while self.left > 0 {
            let next = self.block.slice(..(self.block.len() as u64).min(self.left) as usize);
            let Ok(taken) = stream.write(next) else { return };
            self.left -= taken as u64;
            if self.left == 0 {
                stream.finish().expect("an open stream");
            }
        }
    }

    fn read(&mut self, handle: ConnectionHandle, id: StreamId) {
        let Some(mut view) = self.receiver.endpoint.connection(handle) else { return };
        let Some(mut stream) = view.recv(id) else { return };
        loop {
            match stream.read_chunk(usize::MAX) {
                Ok(Some(chunk)) => {
                    self.received += chunk.data.len() as u64;
                    stream.release(chunk.data.len() as u64);
                }
                Ok(None) => {
                    self.done = true;
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// One turn of the sender, then one of the receiver. Returns when the next is due.
    fn turn(&mut self, buf: &mut Vec<u8>) -> Option<Instant> {
        let mut wake: Option<Instant> = None;
        for sending in [true, false] {
            loop {
                let (here, there) = if sending {
                    (&mut self.sender, &mut self.receiver)
                } else {
                    (&mut self.receiver, &mut self.sender)
                };
                match here.endpoint.poll(buf, self.now) {
                    Output::Transmit(to) => {
                        self.datagrams += to.segment.map_or(1, |s| buf.len().div_ceil(s)) as u64;
                        let (remote, bytes) = (here.addr, buf.as_mut_slice());
                        let segment = to.segment;
                        let datagram = Datagram {
                            carrier: UDP,
                            remote,
                            local: None,
                            ecn: None,
                            segment,
                            bytes,
                        };
                        there.endpoint.handle_datagram(datagram, self.now);
                    }
                    Output::Pipe(_) => {}
                    Output::Incoming(incoming) => _ = here.endpoint.accept(incoming, self.now),
                    Output::Event(event) => match event.kind {
                        EventKind::Connected if sending => {
                            let mut view = here.endpoint.connection(event.connection).expect("it");
                            let options = OpenOptions::new(StreamProtocol::name("bench"));
                            let id = view.open(Dir::Uni, options).expect("a stream");
                            drop(view);
                            self.stream = Some((event.connection, id));
                            self.write();
                        }
                        EventKind::Writable(_) => self.write(),
                        EventKind::Readable(id) => self.read(event.connection, id),
                        _ => {}
                    },
                    Output::Wait(until) => {
                        wake = [wake, until].into_iter().flatten().min();
                        break;
                    }
                }
            }
        }
        wake
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let mib: u64 = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(512);
    let rust = args.iter().any(|arg| arg == "rust");
    let provider = if rust { Provider::Rust } else { Provider::AwsLc };
    let now = Instant::from_nanos(1);
    let mut run = Run {
        sender: node(1, provider, now),
        receiver: node(2, provider, now),
        now,
        block: Bytes::from(vec![7; 1 << 18]),
        left: mib << 20,
        stream: None,
        received: 0,
        done: false,
        datagrams: 0,
    };
    let peer = PeerAddr::new(run.receiver.endpoint.node_id(), run.receiver.addr);
    run.sender.endpoint.connect(peer, now).expect("room");
    let (started, mut buf) = (Clock::now(), Vec::new());
    let mut turns = 0_u64;
    while !run.done {
        let wake = run.turn(&mut buf);
        turns += 1;
        // Half a round trip of 20 us passes between turns, or as much as the pacer wants.
        let next = run.now + std::time::Duration::from_micros(10);
        run.now = wake.map_or(next, |wake| if wake > next { next } else { wake });
    }
    let took = started.elapsed();
    let mb = run.received as f64 / 1e6;
    println!(
        "{mb:.0} MB in {:.3} s: {:.0} MB/s, {:.0} ns a datagram ({} datagrams, {turns} turns)",
        took.as_secs_f64(),
        mb / took.as_secs_f64(),
        took.as_nanos() as f64 / run.datagrams as f64,
        run.datagrams
    );
}
