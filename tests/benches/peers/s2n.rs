//! s2n-quic with its default settings, over rustls as the others.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use s2n_quic::client::Connect;
use s2n_quic::connection::{Handle, StreamAcceptor};
use s2n_quic::provider::tls::rustls;
use s2n_quic::stream::BidirectionalStream;
use s2n_quic::{Connection, Server};

use crate::certificate;
use crate::peer::{self, Gone, Peer, any};
use crate::serve::answer;

pub(crate) struct S2n;

const PROTOCOL: &[u8] = b"bench";

impl Peer for S2n {
    const NAME: &'static str = "s2n-quic";
    type Door = SocketAddr;
    type Dialer = (s2n_quic::Client, SocketAddr);
    type Client = Client;

    async fn serve(at: Ipv4Addr) -> SocketAddr {
        let tls = rustls::Server::from(certificate::server(PROTOCOL));
        let server = Server::builder().with_tls(tls).expect("a key");
        let server = server.with_io(any(at)).expect("a socket").start();
        let mut server: Server = server.expect("a server");
        let door = server.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Some(connection) = server.accept().await {
                tokio::spawn(serve(connection));
            }
        });
        door
    }

    fn place(door: &mut SocketAddr) -> &mut SocketAddr {
        door
    }

    async fn dialer(at: Ipv4Addr, door: SocketAddr) -> Self::Dialer {
        let tls = rustls::Client::from(certificate::client(PROTOCOL));
        let client = s2n_quic::Client::builder().with_tls(tls).expect("a root");
        (client.with_io(any(at)).expect("a socket").start().expect("a client"), door)
    }

    async fn connect((client, door): &Self::Dialer) -> Client {
        let connect = Connect::new(*door).with_server_name(certificate::NAME);
        let (handle, acceptor) = client.connect(connect).await.expect("a connection").split();
        Client { handle, _acceptor: acceptor }
    }
}

async fn serve(mut connection: Connection) {
    while let Ok(Some(stream)) = connection.accept_bidirectional_stream().await {
        tokio::spawn(answer(Stream(stream)));
    }
}

/// The connection ends when both halves are gone.
pub(crate) struct Client {
    handle: Handle,
    _acceptor: StreamAcceptor,
}

impl peer::Client for Client {
    type Stream = Stream;

    async fn open(&self) -> Stream {
        Stream(self.handle.clone().open_bidirectional_stream().await.expect("a stream"))
    }

    async fn close(self) {
        self.handle.close(0_u32.into());
    }
}

pub(crate) struct Stream(BidirectionalStream);

impl peer::Stream for Stream {
    async fn write(&mut self, block: Bytes) -> Result<(), Gone> {
        self.0.send(block).await.map_err(|_| Gone)
    }

    async fn finish(&mut self) -> Result<(), Gone> {
        self.0.finish().map_err(|_| Gone)
    }

    async fn read(&mut self, mut sink: impl FnMut(&[u8]) + Send) -> bool {
        let chunk = self.0.receive().await.ok().flatten();
        chunk.is_some_and(|chunk| {
            sink(&chunk);
            true
        })
    }
}
