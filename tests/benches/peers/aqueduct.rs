//! Aqueduct over the tokio adapter, with its default settings but for the size of its datagrams.

use std::net::{Ipv4Addr, SocketAddr};

use aqueduct_tokio::{
    AppCode, Connection, Endpoint, EndpointConfig, NodeId, OpenOptions, Provider, RecvStream,
    SendStream, StreamProtocol, TransportConfig, generate_key,
};
use bytes::Bytes;

use crate::peer::{self, Client, Gone, Peer};
use crate::serve::answer;

/// With datagrams of at most so many bytes.
pub(crate) struct Limited<const PACKET: u16>;

/// As its peers.
pub(crate) type Aqueduct = Limited<1_452>;
/// As it is by itself on loopback.
pub(crate) type Jumbo = Limited<65_507>;

/// A node whose datagrams have at most so many bytes.
pub(crate) fn endpoint(packet: u16) -> Endpoint {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let transport = TransportConfig::default().with_max_packet_size(packet).expect("a size");
    let config = EndpointConfig::new(generate_key().expect("a key")).with_transport(transport);
    Endpoint::bind(any, config.with_provider(Provider::AwsLc)).expect("a socket")
}

impl<const PACKET: u16> Peer for Limited<PACKET> {
    const NAME: &'static str = match PACKET {
        1_452 => "Aqueduct",
        _ => "Aqueduct, jumbo packets",
    };
    type Door = (NodeId, SocketAddr);
    type Dialer = (Endpoint, Self::Door);
    type Client = Connection;

    async fn serve() -> Self::Door {
        let server = endpoint(PACKET);
        let door = (server.node_id(), server.local_addr());
        tokio::spawn(async move {
            while let Some(incoming) = server.accept().await {
                tokio::spawn(serve(incoming.accept()));
            }
        });
        door
    }

    async fn dialer(door: Self::Door) -> Self::Dialer {
        (endpoint(PACKET), door)
    }

    async fn connect((client, door): &Self::Dialer) -> Connection {
        client.connect(*door).await.expect("a connection")
    }
}

async fn serve(connecting: aqueduct_tokio::Connecting) {
    let Ok(connection) = connecting.await else { return };
    while let Ok((send, recv)) = connection.accept_bi().await {
        tokio::spawn(answer(Stream(send, recv)));
    }
}

impl Client for Connection {
    type Stream = Stream;

    async fn open(&self) -> Stream {
        let options = OpenOptions::new(StreamProtocol::name("bench"));
        let (send, recv) = self.open_bi(options).await.expect("a stream");
        Stream(send, recv)
    }

    async fn close(self) {
        self.abort(AppCode(0), b"");
        self.closed().await;
    }
}

pub(crate) struct Stream(SendStream, RecvStream);

impl peer::Stream for Stream {
    async fn write(&mut self, block: Bytes) -> Result<(), Gone> {
        self.0.write_bytes(block).await.map_err(|_| Gone)
    }

    async fn finish(&mut self) -> Result<(), Gone> {
        self.0.finish().map_err(|_| Gone)
    }

    async fn read(&mut self, mut sink: impl FnMut(&[u8]) + Send) -> bool {
        let chunk = self.1.read_chunk(usize::MAX).await.ok().flatten();
        chunk.is_some_and(|chunk| {
            sink(&chunk);
            true
        })
    }
}
