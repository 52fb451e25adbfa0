//! The transfer itself: two endpoints, one thread, no socket.

use std::net::SocketAddr;
use std::time::{Duration, Instant as Clock};

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::crypto::provider::Provider;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, EventKind, Output, PeerAddr,
};
use aqueduct_core::rng::Seed;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::tape::{Payload, TapeOptions};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{CarrierId, Dir, StreamId};
use bytes::Bytes;

const UDP: CarrierId = CarrierId(0);

/// An endpoint with an address that means nothing.
pub(crate) struct Node {
    endpoint: Endpoint,
    addr: SocketAddr,
}

fn node(number: u8, provider: Provider, tape: Option<Payload>, now: Instant) -> Node {
    let config = EndpointConfig::new(NodeKey::from_seed(&[number; 32])).with_provider(provider);
    // As the peer has it that this stands beside; and nothing has a rate here to be measured.
    let transport = config.transport().clone().with_controller(Algorithm::Cubic);
    let config = config.with_transport(transport);
    let seed = Seed::from_u64(number.into());
    let mut endpoint = match tape {
        None => Endpoint::new(config, seed),
        Some(payload) => {
            Endpoint::recorded(config, seed, &TapeOptions { payload, ..TapeOptions::default() })
        }
    };
    let kind = CarrierKind::Udp { max_segments: 44, max_datagram: 65_507 };
    endpoint.carrier_opened(UDP, kind, now);
    Node { endpoint, addr: SocketAddr::from(([10, 0, 0, number], 4433)) }
}

/// A transfer on one stream, as far as it has come.
pub(crate) struct Run {
    sender: Node,
    receiver: Node,
    now: Instant,
    block: Bytes,
    left: u64,
    stream: Option<(ConnectionHandle, StreamId)>,
    pub(crate) received: u64,
    done: bool,
    pub(crate) datagrams: u64,
    /// Time of the sender, and of the receiver.
    pub(crate) spent: [Duration; 2],
    /// Bytes of both tapes.
    pub(crate) taped: u64,
}

impl Run {
    pub(crate) fn new(mib: u64, provider: Provider, tapes: [Option<Payload>; 2]) -> Self {
        let now = Instant::from_nanos(1);
        Self {
            sender: node(1, provider, tapes[0], now),
            receiver: node(2, provider, tapes[1], now),
            now,
            block: Bytes::from(vec![7; 1 << 18]),
            left: mib << 20,
            stream: None,
            received: 0,
            done: false,
            datagrams: 0,
            spent: [Duration::ZERO; 2],
            taped: 0,
        }
    }

    /// All of it. Returns how many turns that took.
    pub(crate) fn whole(&mut self) -> u64 {
        let peer = PeerAddr::new(self.receiver.endpoint.node_id(), self.receiver.addr);
        self.sender.endpoint.connect(peer, self.now).expect("room");
        let (mut buf, mut tape) = (Vec::new(), Vec::new());
        let mut turns = 0_u64;
        while !self.done {
            let wake = self.turn(&mut buf);
            turns += 1;
            // Half a round trip of 20 us passes between turns, or as much as the pacer wants.
            let next = self.now + Duration::from_micros(10);
            self.now = wake.map_or(next, |wake| if wake > next { next } else { wake });
            for (at, node) in [&mut self.sender, &mut self.receiver].into_iter().enumerate() {
                if node.endpoint.tape().is_some_and(|status| status.waiting > 1 << 16) {
                    let begun = Clock::now();
                    tape.clear();
                    node.endpoint.take_tape(&mut tape);
                    self.taped += tape.len() as u64;
                    self.spent[at] += begun.elapsed();
                }
            }
        }
        turns
    }

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
            let (begun, mut across) = (Clock::now(), Duration::ZERO);
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
                        let begun = Clock::now();
                        there.endpoint.handle_datagram(datagram, self.now);
                        across += begun.elapsed();
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
            self.spent[usize::from(!sending)] += begun.elapsed() - across;
            self.spent[usize::from(sending)] += across;
        }
        wake
    }
}
