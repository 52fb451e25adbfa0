//! quinn with its default settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ::quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, ServerConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::run::Peer;

pub(crate) struct Quinn {
    client: Endpoint,
    connection: Connection,
    long: (SendStream, RecvStream),
}

pub(crate) fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    (made.cert.der().clone(), key.into())
}

impl Peer for Quinn {
    const NAME: &'static str = "quinn";

    async fn connect() -> Self {
        let (cert, key) = certificate();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = ServerConfig::with_single_cert(vec![cert.clone()], key).expect("a server");
        let server = Endpoint::server(config, any).expect("a socket");
        let addr = server.local_addr().expect("an address");
        tokio::spawn(serve(server));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(cert).expect("a root");
        let mut client = Endpoint::client(any).expect("a socket");
        let config = ClientConfig::with_root_certificates(Arc::new(roots)).expect("a client");
        client.set_default_client_config(config);
        let connecting = client.connect(addr, "localhost").expect("a name");
        let connection = connecting.await.expect("a connection");
        let long = connection.open_bi().await.expect("a stream");
        Self { client, connection, long }
    }

    async fn bulk(&mut self, bytes: u64) {
        let (mut send, mut recv) = self.connection.open_bi().await.expect("a stream");
        let block = bytes::Bytes::from(vec![7; 256 << 10]);
        let mut left = bytes;
        while left > 0 {
            let next = block.slice(..(block.len() as u64).min(left) as usize);
            left -= next.len() as u64;
            send.write_chunk(next).await.expect("a write");
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
        self.connection.close(0_u32.into(), b"");
        self.client.wait_idle().await;
    }
}

async fn serve(server: Endpoint) {
    let incoming = server.accept().await.expect("a client");
    let connection = incoming.await.expect("a connection");
    while let Ok((send, recv)) = connection.accept_bi().await {
        tokio::spawn(answer(send, recv));
    }
}

/// Echoes 64-byte requests; a stream with more at once is bulk, and is answered by its length.
async fn answer(mut send: SendStream, mut recv: RecvStream) {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = recv.read_chunk(usize::MAX, true).await {
        bytes += chunk.bytes.len() as u64;
        if chunk.bytes.len() == 64 && chunk.bytes.first() == Some(&1) {
            send.write_all(&chunk.bytes).await.expect("an echo");
        }
    }
    if bytes > 0 {
        let _ = send.write_all(&bytes.to_be_bytes()).await;
        let _ = send.finish();
        let _ = send.stopped().await;
    }
}
