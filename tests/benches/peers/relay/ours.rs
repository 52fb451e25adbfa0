//! Aqueduct's relay: it reads the way in the stream's introduction, and pipes.

use aqueduct_tokio::relay::{Allow, RelayConfig, RelayEvent, Way};
use aqueduct_tokio::{AppCode, Endpoint, NodeAddr, NodeId, OpenOptions, StreamProtocol};

use super::process::{Kind, Started};
use super::*;
use crate::aqueduct;
use crate::ends::Ends;

/// Its datagrams are as large as its peer's.
fn endpoint() -> Endpoint {
    aqueduct::endpoint::<aqueduct::Usual>(Ipv4Addr::LOCALHOST)
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

/// In its own process: relays for one guest; tells how many bytes each pipe held at most.
pub(super) async fn relay() -> Started {
    let relay = endpoint();
    let door = format!("{} {}", relay.node_id(), relay.local_addr());
    let (held, told) = mpsc::unbounded_channel();
    relay.relay(RelayConfig::new(Allow::Everybody), move |event| {
        if let RelayEvent::Ended { stats, .. } = event {
            let _gone = held.send(stats.most_held);
        }
    });
    tokio::spawn(async move {
        let connection = relay.accept().await.expect("a guest").accept().await.expect("it");
        connection.closed().await;
    });
    (door, Some(told))
}

fn door(relay: &Relay) -> (NodeId, SocketAddr) {
    let (id, addr) = relay.door.split_once(' ').expect("an id and an address");
    (id.parse().expect("an id"), addr.parse().expect("an address"))
}

pub(crate) fn round(bytes: u64, fan: usize) -> Vec<f64> {
    let (small, body) = bodies(bytes);
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
    let mut relay = Relay::begin(Kind::Ours, &[]);
    ends.client(async move {
        let source = endpoint();
        let connection = source.connect(door(&relay)).await.expect("the relay");
        let way = Way { relays: Vec::new(), targets };
        let options = OpenOptions::new(StreamProtocol::name("bench"));
        let options = way.introduce(&options).expect("a way");
        // A stream that stays open keeps the relay's connections to the sinks.
        let mut open = connection.open_uni(options.clone()).await.expect("a stream");
        open.write_bytes(Bytes::from_static(b"?")).await.expect("a write");
        for _ in 0..fan {
            has_met.recv().await.expect("the relay at a sink");
        }
        let pour = async |body: &Body| {
            let mut send = connection.open_uni(options.clone()).await.expect("a stream");
            for block in body.blocks() {
                send.write_bytes(block).await.expect("a write");
            }
            send.finish().expect("an end");
        };
        let mut firsts = Vec::new();
        for body in &small {
            let before = Before::now();
            pour(body).await;
            firsts.push(before.until(body, fan, &mut seen).await.first_byte);
        }
        relay.start(firsts.len());
        let before = Before::now();
        pour(&body).await;
        let mut passed = before.until(&body, fan, &mut seen).await;
        passed.first_byte = median(&mut firsts);
        let figures = passed.figures(&relay.stop());
        source.close(AppCode(0), b"");
        source.wait_idle().await;
        figures
    })
}
