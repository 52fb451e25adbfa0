//! Aqueduct over the tokio adapter, with its default settings but for the size of its datagrams and
//! a controller that is asked for.

use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr};

use aqueduct_tokio::{
    Algorithm, AppCode, Connection, Endpoint, EndpointConfig, NodeId, OpenOptions, Provider,
    RecvStream, SendStream, StreamProtocol, TransportConfig, generate_key,
};
use bytes::Bytes;

use crate::peer::{self, Client, Gone, Peer, any};
use crate::serve::answer;

/// What is said of a node.
pub(crate) trait Settings: Send + Sync + 'static {
    const NAME: &'static str;
    /// The largest datagram, in bytes: as its peers'.
    const PACKET: u16 = 1_452;

    /// Who paces what it sends.
    fn controller() -> Algorithm {
        Algorithm::default()
    }
}

pub(crate) struct With<S>(PhantomData<S>);

/// As its peers.
pub(crate) struct Usual;
/// As it is by itself on loopback.
pub(crate) struct Large;
/// With [`Algorithm::Weir`].
pub(crate) struct Weir;
/// With [`Algorithm::Bbr`].
pub(crate) struct Bbr;

pub(crate) type Aqueduct = With<Usual>;
pub(crate) type Jumbo = With<Large>;

impl Settings for Usual {
    const NAME: &'static str = "Aqueduct";
}

impl Settings for Large {
    const NAME: &'static str = "Aqueduct, jumbo packets";
    const PACKET: u16 = 65_507;
}

impl Settings for Weir {
    const NAME: &'static str = "Aqueduct, Weir";

    fn controller() -> Algorithm {
        Algorithm::Weir
    }
}

impl Settings for Bbr {
    const NAME: &'static str = "Aqueduct, BBR";

    fn controller() -> Algorithm {
        Algorithm::Bbr
    }
}

/// A node.
pub(crate) fn endpoint<S: Settings>(at: Ipv4Addr) -> Endpoint {
    let transport = TransportConfig::default().with_max_packet_size(S::PACKET).expect("a size");
    let transport = transport.with_controller(S::controller());
    let config = EndpointConfig::new(generate_key().expect("a key")).with_transport(transport);
    Endpoint::bind(any(at), config.with_provider(Provider::AwsLc)).expect("a socket")
}

impl<S: Settings> Peer for With<S> {
    const NAME: &'static str = S::NAME;
    type Door = (NodeId, SocketAddr);
    type Dialer = (Endpoint, Self::Door);
    type Client = Connection;

    async fn serve(at: Ipv4Addr) -> Self::Door {
        let server = endpoint::<S>(at);
        let door = (server.node_id(), server.local_addr());
        tokio::spawn(async move {
            while let Some(incoming) = server.accept().await {
                tokio::spawn(serve(incoming.accept()));
            }
        });
        door
    }

    fn place((_, addr): &mut Self::Door) -> &mut SocketAddr {
        addr
    }

    async fn dialer(at: Ipv4Addr, door: Self::Door) -> Self::Dialer {
        (endpoint::<S>(at), door)
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
