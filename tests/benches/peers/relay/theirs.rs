//! A copy loop on quinn: it is told where the sinks are.

use ::quinn::{Connection, Endpoint, RecvStream};

use super::process::{Kind, Started};
use super::*;
use crate::certificate;
use crate::ends::Ends;
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

/// In its own process: copies for one guest; is connected to all sinks before it says where it is.
pub(super) async fn relay(sinks: Vec<SocketAddr>) -> Started {
    let (relay, door) = server();
    let mut on = Vec::new();
    for sink in sinks {
        on.push(connect(sink).await);
    }
    tokio::spawn(async move {
        let connection = relay.accept().await.expect("a guest").await.expect("it");
        while let Ok(from) = connection.accept_uni().await {
            tokio::spawn(copy(from, on.clone()));
        }
    });
    (door.to_string(), None)
}

pub(crate) fn round(bytes: u64, fan: usize) -> Vec<f64> {
    let (small, body) = bodies(bytes);
    let ends = Ends::new();
    let (tell, mut seen) = mpsc::unbounded_channel();
    let sinks = ends.server(async move {
        let mut doors = Vec::new();
        for _ in 0..fan {
            doors.push(sink(tell.clone()).await);
        }
        doors
    });
    let mut relay = Relay::begin(Kind::Theirs, &sinks);
    ends.client(async move {
        let connection = connect(relay.door.parse().expect("an address")).await;
        let pour = async |body: &Body| {
            let mut send = connection.open_uni().await.expect("a stream");
            for block in body.blocks() {
                send.write_chunk(block).await.expect("a write");
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
        connection.close(0_u32.into(), b"");
        figures
    })
}
