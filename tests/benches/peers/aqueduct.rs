//! Aqueduct over the tokio adapter, with its default settings.

use std::net::{Ipv4Addr, SocketAddr};

use aqueduct_tokio::{
    AppCode, Connection, Endpoint, OpenOptions, RecvStream, SendStream, StreamProtocol,
    generate_key,
};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::run::Peer;

pub(crate) struct Aqueduct {
    client: Endpoint,
    connection: Connection,
    long: (SendStream, RecvStream),
}

fn options() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("bench"))
}

impl Peer for Aqueduct {
    const NAME: &'static str = "Aqueduct";

    async fn connect() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let endpoint = || Endpoint::bind(any, generate_key().expect("a key"));
        let (server, client) = (endpoint().expect("a socket"), endpoint().expect("a socket"));
        let addr = (server.node_id(), server.local_addr());
        tokio::spawn(serve(server));
        let connection = client.connect(addr).await.expect("a connection");
        let long = connection.open_bi(options()).await.expect("a stream");
        Self { client, connection, long }
    }

    async fn bulk(&mut self, bytes: u64) {
        let (mut send, mut recv) = self.connection.open_bi(options()).await.expect("a stream");
        let block = Bytes::from(vec![7; 256 << 10]);
        let mut left = bytes;
        while left > 0 {
            let next = block.slice(..(block.len() as u64).min(left) as usize);
            left -= next.len() as u64;
            send.write_bytes(next).await.expect("a write");
        }
        send.finish().expect("an end");
        let told = recv.read_to_end(8).await.expect("an answer");
        assert_eq!(told, bytes.to_be_bytes());
    }

    async fn request(&mut self) {
        let mut answer = [0; 64];
        self.long.0.write_all(&[1; 64]).await.expect("a write");
        self.long.1.read_exact(&mut answer).await.expect("an answer");
    }

    async fn close(self) {
        self.connection.abort(AppCode(0), b"");
        self.client.wait_idle().await;
    }
}

async fn serve(server: Endpoint) {
    let incoming = server.accept().await.expect("a client");
    let connection = incoming.accept().await.expect("a connection");
    while let Ok((send, recv)) = connection.accept_bi().await {
        tokio::spawn(answer(send, recv));
    }
}

/// Echoes 64-byte requests; a stream with more at once is bulk, and is answered by its length.
async fn answer(mut send: SendStream, mut recv: RecvStream) {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = recv.read_chunk(usize::MAX).await {
        bytes += chunk.len() as u64;
        if chunk.len() == 64 && chunk.first() == Some(&1) {
            send.write_bytes(chunk).await.expect("an echo");
        }
    }
    if bytes > 0 && send.write_all(&bytes.to_be_bytes()).await.is_ok() {
        let _ = send.delivered().await;
    }
}
