//! quinn with its default settings, but for a controller that is asked for.

use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ::quinn::congestion::BbrConfig;
use ::quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use ::quinn::{
    ClientConfig, Connection, Endpoint, Incoming, RecvStream, SendStream, ServerConfig,
    TransportConfig,
};
use bytes::Bytes;

use crate::certificate;
use crate::peer::{self, Client, Gone, Peer, any};
use crate::serve::answer;

/// What is said of the client, which sends.
pub(crate) trait Settings: Send + Sync + 'static {
    const NAME: &'static str;

    fn transport() -> TransportConfig {
        TransportConfig::default()
    }
}

pub(crate) struct With<S>(PhantomData<S>);

/// As it is by itself.
pub(crate) struct Usual;
/// Its BBR.
pub(crate) struct Bbr;

pub(crate) type Quinn = With<Usual>;

impl Settings for Usual {
    const NAME: &'static str = "quinn";
}

impl Settings for Bbr {
    const NAME: &'static str = "quinn, BBR";

    fn transport() -> TransportConfig {
        let mut transport = TransportConfig::default();
        transport.congestion_controller_factory(Arc::new(BbrConfig::default()));
        transport
    }
}

const PROTOCOL: &[u8] = b"bench";

pub(crate) fn server_config() -> ServerConfig {
    let tls = QuicServerConfig::try_from(certificate::server(PROTOCOL)).expect("a cipher");
    ServerConfig::with_crypto(Arc::new(tls))
}

pub(crate) fn client_config() -> ClientConfig {
    let tls = QuicClientConfig::try_from(certificate::client(PROTOCOL)).expect("a cipher");
    ClientConfig::new(Arc::new(tls))
}

impl<S: Settings> Peer for With<S> {
    const NAME: &'static str = S::NAME;
    type Door = SocketAddr;
    type Dialer = (Endpoint, SocketAddr);
    type Client = Connection;

    async fn serve(at: Ipv4Addr) -> SocketAddr {
        let server = Endpoint::server(server_config(), any(at)).expect("a socket");
        let door = server.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Some(incoming) = server.accept().await {
                tokio::spawn(serve(incoming));
            }
        });
        door
    }

    fn place(door: &mut SocketAddr) -> &mut SocketAddr {
        door
    }

    async fn dialer(at: Ipv4Addr, door: SocketAddr) -> Self::Dialer {
        let mut client = Endpoint::client(any(at)).expect("a socket");
        let mut config = client_config();
        config.transport_config(Arc::new(S::transport()));
        client.set_default_client_config(config);
        (client, door)
    }

    async fn connect((client, door): &Self::Dialer) -> Connection {
        let connecting = client.connect(*door, certificate::NAME).expect("a name");
        connecting.await.expect("a connection")
    }
}

async fn serve(incoming: Incoming) {
    let Ok(connection) = incoming.await else { return };
    while let Ok((send, recv)) = connection.accept_bi().await {
        tokio::spawn(answer(Stream(send, recv)));
    }
}

impl Client for Connection {
    type Stream = Stream;

    async fn open(&self) -> Stream {
        let (send, recv) = self.open_bi().await.expect("a stream");
        Stream(send, recv)
    }

    async fn close(self) {
        Connection::close(&self, 0_u32.into(), b"");
        self.closed().await;
    }
}

pub(crate) struct Stream(SendStream, RecvStream);

impl peer::Stream for Stream {
    async fn write(&mut self, block: Bytes) -> Result<(), Gone> {
        self.0.write_chunk(block).await.map_err(|_| Gone)
    }

    async fn finish(&mut self) -> Result<(), Gone> {
        self.0.finish().map_err(|_| Gone)
    }

    async fn read(&mut self, mut sink: impl FnMut(&[u8]) + Send) -> bool {
        let chunk = self.1.read_chunk(usize::MAX, true).await.ok().flatten();
        chunk.is_some_and(|chunk| {
            sink(&chunk.bytes);
            true
        })
    }
}
