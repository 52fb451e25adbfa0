//! What peers leave behind that open streams and go, with the configuration that everybody has.

use aqueduct_core::stream::ReadError;
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::transfer::connected;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// As many peers as it takes: each may open 100 streams of each kind.
const PEERS: u64 = 50;
const OF_EACH_KIND: usize = 100;
const STREAMS: u64 = 10_000;
const FRAGMENT: usize = 1_000;

/// A node and its peers, nobody of whom was configured.
struct Crowd {
    net: Net,
    node: HostId,
    peers: Vec<(HostId, ConnectionHandle)>,
    /// Bytes that were allocated before anything was opened.
    before: i64,
}

fn config(number: u64) -> EndpointConfig {
    EndpointConfig::new(NodeKey::from_seed(&[number as u8 + 1; 32]))
}

impl Crowd {
    fn new() -> Self {
        let delay = Duration::from_millis(5);
        let mut net = Net::new(5, LinkConfig { delay, ..LinkConfig::default() });
        net.model = None;
        let node = net.add(config(0), 0);
        let hosts: Vec<_> = (1..=PEERS).map(|peer| net.add(config(peer), peer)).collect();
        let peers = hosts.into_iter().map(|peer| (peer, connected(&mut net, peer, node).0));
        let mut crowd = Self { peers: peers.collect(), net, node, before: 0 };
        crowd.pass(SECOND * 2);
        crowd.before = live();
        crowd
    }

    /// Time passes. The node reads nothing, and what it was told that it is over it ends; the peers
    /// see how their streams ended.
    fn pass(&mut self, time: Duration) {
        let node = self.node;
        self.net.run(time, |net| {
            let hosts = (0..net.hosts.len()).map(HostId);
            let told = hosts.filter(|id| !net.hosts[id.0].events.is_empty());
            for id in told.collect::<Vec<_>>() {
                let host = net.host(id);
                for event in std::mem::take(&mut host.events) {
                    let Some(mut view) = host.endpoint.connection(event.connection) else {
                        continue;
                    };
                    match event.kind {
                        EventKind::StreamEnded { stream, why } => {
                            view.send(stream).into_iter().for_each(|mut own| own.reset(why.code()));
                        }
                        EventKind::Readable(stream) if id != node => {
                            let answer = view.recv(stream).map(|mut own| own.read_chunk(1));
                            assert!(matches!(answer, Some(Err(ReadError::Reset { .. }))));
                        }
                        _ => {}
                    }
                }
            }
            false
        });
    }

    /// Each peer opens all that it may. A node begins with fewer streams, and allows more when it is
    /// asked for them.
    fn open(&mut self, options: &OpenOptions) -> Vec<(HostId, ConnectionHandle, StreamId)> {
        let mut ids = Vec::new();
        for _ in 0..20 {
            for (peer, connection) in &self.peers {
                for dir in [Dir::Bi, Dir::Uni] {
                    let endpoint = &mut self.net.host(*peer).endpoint;
                    let mut view = endpoint.connection(*connection).expect("it lives");
                    while let Ok(id) = view.open(dir, options.clone()) {
                        ids.push((*peer, *connection, id));
                    }
                }
            }
            self.pass(SECOND / 4);
        }
        for (peer, _) in &self.peers {
            let of = |dir| ids.iter().filter(|(of, _, id)| of == peer && id.dir() == dir).count();
            assert_eq!([Dir::Bi, Dir::Uni].map(of), [OF_EACH_KIND; 2], "of each kind, no more");
        }
        ids
    }

    /// Each peer opens all that it may, writes a fragment at `offset` to each, and leaves them.
    fn leave(&mut self, offset: u64) {
        let (options, fragment) =
            (OpenOptions::new(StreamProtocol::name("left")), Bytes::from(vec![7; FRAGMENT]));
        let ids = self.open(&options);
        for (peer, connection, id) in ids {
            let endpoint = &mut self.net.host(peer).endpoint;
            let mut view = endpoint.connection(connection).expect("it lives");
            let mut stream = view.send(id).expect("a stream");
            stream.write_at(offset, fragment.clone()).expect("room");
        }
        self.pass(SECOND * 5);
        assert_eq!(self.here().0, STREAMS);
        assert!(self.here().1 >= STREAMS * FRAGMENT as u64, "{:?}", self.here());
        let grown = live() - self.before;
        println!("at {offset}, {:?}: {} KiB more with 10,000 streams", self.net.now, grown >> 10);
        assert!(grown > STREAMS as i64 * FRAGMENT as i64, "nothing was there to begin with");
    }

    /// Streams and bytes held at the node.
    fn here(&mut self) -> (u64, u64) {
        let now = self.net.host(self.node).endpoint.totals().now;
        (now.streams, now.bytes_held)
    }

    /// Nothing is left of them: how many bytes more than before are allocated, at both ends of all
    /// connections together. Lists keep the places that they have grown to.
    fn left(&mut self) -> i64 {
        assert_eq!(self.here(), (0, 0), "streams and bytes held");
        let left = live() - self.before;
        println!("{} KiB more when they are gone", left >> 10);
        left
    }
}

/// Fragments behind a gap, of peers that stay: the streams end by the time-out of what is stuck.
///
/// spec: R-STR-43 R-LIM-5 R-LIM-6
#[test]
fn ten_thousand_streams_that_were_left_go_by_the_default_time_out() {
    let _alone = ALONE.lock();
    let mut crowd = Crowd::new();
    let mut left = Vec::new();
    for _ in 0..3 {
        crowd.leave(FRAGMENT as u64);
        crowd.pass(SECOND * 110);
        assert_eq!(crowd.here().0, STREAMS, "120 s have not passed");
        crowd.pass(SECOND * 10);
        left.push(crowd.left());
    }
    assert_eq!(crowd.net.host(crowd.node).endpoint.stats().connections, PEERS as u32);
    // What leaks does so in every round.
    assert!(left[1].max(left[2]) < left[0] + (1 << 20), "{left:?}");
    crowd.pass(SECOND * 60);
    assert_eq!(crowd.net.host(crowd.node).endpoint.stats().connections, 0);
    assert!(crowd.left() < 1 << 20, "nothing is left when their connections are over");
}

/// Fragments without a gap are no cause to end a stream. Of peers that are gone they end with the
/// connection, by its own time-out.
///
/// spec: R-LIM-5
#[test]
fn ten_thousand_streams_of_peers_that_left_go_with_their_connections() {
    let _alone = ALONE.lock();
    let mut crowd = Crowd::new();
    crowd.leave(0);
    crowd.pass(SECOND * 300);
    assert_eq!(crowd.here().0, STREAMS, "silence alone ends no stream");
    let peers: Vec<_> = crowd.peers.iter().map(|(peer, _)| *peer).collect();
    peers.iter().for_each(|peer| crowd.net.sleep(*peer, true));
    crowd.pass(SECOND * 35);
    assert_eq!(crowd.net.host(crowd.node).endpoint.stats().connections, 0);
    peers.iter().for_each(|peer| crowd.net.sleep(*peer, false));
    crowd.pass(SECOND * 60);
    assert!(crowd.left() < 1 << 20, "nothing is left");
    assert_eq!(crowd.net.host(crowd.node).endpoint.stats().budget_committed, 0);
}
