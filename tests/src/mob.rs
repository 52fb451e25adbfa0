//! Many byzantine peers before one honest endpoint, at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::handshake::{Initiator, InitiatorStep};
use aqueduct_core::endpoint::{CarrierKind, ConnectionHandle, Datagram, Endpoint, Output};
use aqueduct_core::range_set::RangeSet;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::ack::AckFrame;
use aqueduct_core::wire::frame::Frame;
use aqueduct_core::wire::id::{ConnectionId, Dir, StreamId};
use aqueduct_core::wire::params::Params;

use crate::byzantine::{Byzantine, byzantine_config};
use crate::net::UDP;

/// One of the crowd.
pub struct Rioter {
    /// Its keys; `None` while it has no connection.
    pub peer: Option<Byzantine>,
    /// The honest end's handle.
    pub handle: Option<ConnectionHandle>,
    /// Where its packets come from; may be set to anything.
    pub from: SocketAddr,
    /// Streams of each direction that it may open.
    pub allowed: [u64; 2],
    /// Credit that it was given for single streams.
    pub limits: BTreeMap<StreamId, u64>,
    number: u8,
}

impl Rioter {
    /// An id of a stream that it may open.
    pub fn stream(&self, dir: Dir, sequence: u64) -> StreamId {
        let side = self.peer.as_ref().expect("a connection").established.side;
        StreamId::new(side, dir, sequence)
    }

    /// What it may say on a stream.
    pub fn credit(&self, id: StreamId) -> u64 {
        let params = &self.peer.as_ref().expect("a connection").established.peer_params;
        let limit = self.limits.get(&id).copied().unwrap_or(0);
        limit.max(params.initial_max_stream_data)
    }

    /// Notes what the honest end grants.
    fn learn(&mut self) {
        let Some(peer) = &mut self.peer else { return };
        for heard in std::mem::take(&mut peer.heard) {
            for frame in heard.frames() {
                match frame {
                    Frame::MaxStreams { dir, limit } => {
                        let allowed = &mut self.allowed[dir as usize];
                        *allowed = limit.max(*allowed);
                    }
                    Frame::MaxStreamData { id, limit } => _ = self.limits.insert(id, limit),
                    _ => {}
                }
            }
        }
    }
}

/// The crowd, and whom it stands before.
pub struct Mob {
    /// The honest one.
    pub endpoint: Endpoint,
    /// Everybody else.
    pub rioters: Vec<Rioter>,
    /// Time, for all.
    pub now: Instant,
    /// How connections were ended by the honest one.
    pub ends: BTreeSet<String>,
    rng: Rng,
    wait: Option<Instant>,
    buf: Vec<u8>,
}

impl Mob {
    /// `count` peers that are not connected yet.
    pub fn new(config: EndpointConfig, count: u8) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let mut endpoint = Endpoint::new(config, Seed::from_u64(1));
        let kind = CarrierKind::Udp { max_segments: 1, max_datagram: 65_507 };
        endpoint.carrier_opened(UDP, kind, now);
        let rioter = |number| Rioter {
            peer: None,
            handle: None,
            from: home(number),
            allowed: [0; 2],
            limits: BTreeMap::new(),
            number,
        };
        let rioters = (0..count).map(rioter).collect();
        let (rng, buf) = (Rng::new(&Seed::from_u64(2)), Vec::with_capacity(1 << 16));
        Self { endpoint, rioters, now, ends: BTreeSet::new(), rng, wait: None, buf }
    }

    /// Connects a peer anew. Whether it was let in.
    pub fn join(&mut self, index: usize) -> bool {
        let rioter = &mut self.rioters[index];
        let (peer, cid) = (self.endpoint.node_id(), ConnectionId(self.rng.bytes()));
        rioter.from = home(rioter.number);
        rioter.limits.clear();
        let from = rioter.from;
        let params = Params::default();
        let config = byzantine_config();
        let initiator = Initiator::start(&config, Some(peer), cid, &params, &mut self.rng);
        let mut initiator = initiator.expect("a first packet");
        // The second time with a cookie, if one is demanded.
        let (established, handle) = loop {
            let (answer, handle) = self.ask(from, &initiator);
            let Some(mut answer) = answer else { return false };
            match initiator.on_packet(&mut answer) {
                InitiatorStep::Established { established, .. } => break (established, handle),
                InitiatorStep::Retry(again) => initiator = again,
                _ => return false,
            }
        };
        let rioter = &mut self.rioters[index];
        let params = &established.peer_params;
        rioter.allowed = [params.max_streams_bidi, params.max_streams_uni];
        rioter.peer = Some(Byzantine::new(*established));
        rioter.handle = handle;
        self.say(index, &[1]);
        true
    }

    fn ask(
        &mut self,
        from: SocketAddr,
        initiator: &Initiator,
    ) -> (Option<Vec<u8>>, Option<ConnectionHandle>) {
        let (mut first, mut answer, mut handle) = (Vec::new(), None, None);
        initiator.datagram(&mut first);
        self.feed(from, &mut first);
        self.poll(|said| match said {
            Said::To(to, bytes) if to == from => answer = Some(bytes),
            Said::Accepted(accepted) => handle = Some(accepted),
            Said::To(..) => {}
        });
        (answer, handle)
    }

    /// One peer says these bytes as the frames of one packet. One whose connection is over forgets
    /// it.
    pub fn say(&mut self, index: usize, plaintext: &[u8]) {
        let rioter = &mut self.rioters[index];
        let Some(peer) = &mut rioter.peer else { return };
        let mut packet = peer.packet(plaintext);
        let from = rioter.from;
        self.feed(from, &mut packet);
        self.pump();
    }

    /// One peer acknowledges all that came.
    pub fn ack(&mut self, index: usize) {
        let Some(peer) = &self.rioters[index].peer else { return };
        let received: RangeSet = peer.received.clone();
        let mut scratch = Vec::new();
        let ack = AckFrame::from_ranges(&received, 0, None, 256, &mut scratch);
        let Some(ack) = ack else { return };
        let mut plaintext = Vec::new();
        Frame::Ack(ack).encode(&mut plaintext);
        self.say(index, &plaintext);
    }

    /// Hands the endpoint a datagram.
    pub fn feed(&mut self, remote: SocketAddr, bytes: &mut [u8]) {
        let (carrier, local, ecn, segment) = (UDP, None, None, None);
        let datagram = Datagram { carrier, remote, local, ecn, segment, bytes };
        self.endpoint.handle_datagram(datagram, self.now);
    }

    /// The endpoint does all that it has to do now.
    pub fn pump(&mut self) {
        let now = self.now;
        let mut rioters = std::mem::take(&mut self.rioters);
        self.poll(|said| {
            let Said::To(to, bytes) = said else { return };
            // Whatever the port: who moves about hears what is sent to any of its places.
            let there = rioters.iter_mut().find(|rioter| rioter.from == to);
            if let Some(peer) = there.and_then(|rioter| rioter.peer.as_mut()) {
                peer.hear(bytes, to, now);
            }
        });
        for rioter in &mut rioters {
            rioter.learn();
            if let Some(peer) = rioter.peer.take_if(|peer| peer.close.is_some()) {
                self.ends.extend(peer.close.map(|(code, why)| format!("{code:?}: {why}")));
            }
        }
        self.rioters = rioters;
    }

    /// Time passes.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(wait) = self.wait.filter(|wait| *wait <= until) {
            self.now = wait;
            self.pump();
        }
        self.now = until;
        self.pump();
    }

    fn poll(&mut self, mut hear: impl FnMut(Said)) {
        loop {
            match self.endpoint.poll(&mut self.buf, self.now) {
                Output::Event(_) | Output::Pipe(_) => {}
                Output::Incoming(incoming) => {
                    hear(Said::Accepted(self.endpoint.accept(incoming, self.now)));
                }
                Output::Transmit(to) => hear(Said::To(to.remote, self.buf.clone())),
                Output::Wait(wait) => {
                    assert!(wait.is_none_or(|wait| wait > self.now), "a deadline that has passed");
                    self.wait = wait;
                    return;
                }
            }
        }
    }
}

enum Said {
    To(SocketAddr, Vec<u8>),
    Accepted(ConnectionHandle),
}

fn home(number: u8) -> SocketAddr {
    ([192, 0, 2, number], 666).into()
}
