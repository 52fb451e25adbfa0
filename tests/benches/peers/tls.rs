//! TCP with TLS 1.3 by rustls and aws-lc-rs.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::run::Peer;

pub(crate) struct Tls {
    addr: SocketAddr,
    connector: TlsConnector,
    bulk: TlsStream<TcpStream>,
    long: TlsStream<TcpStream>,
}

async fn dial(connector: &TlsConnector, addr: SocketAddr) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(addr).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let name = ServerName::try_from("localhost").expect("a name");
    connector.connect(name, stream).await.expect("a handshake")
}

impl Peer for Tls {
    const NAME: &'static str = "TCP + TLS 1.3";

    async fn connect() -> Self {
        let (cert, key) = crate::quinn::certificate();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![cert.clone()], key).expect("a server");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(any).await.expect("a socket");
        let addr = listener.local_addr().expect("an address");
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config))));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(cert).expect("a root");
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let bulk = dial(&connector, addr).await;
        let long = dial(&connector, addr).await;
        Self { addr, connector, bulk, long }
    }

    async fn bulk(&mut self, bytes: u64) {
        let block = vec![7; 256 << 10];
        let mut left = bytes;
        while left > 0 {
            let next = block.len().min(left as usize);
            self.bulk.write_all(&block[..next]).await.expect("a write");
            left -= next as u64;
        }
        self.bulk.shutdown().await.expect("an end");
        let mut told = [0; 8];
        self.bulk.read_exact(&mut told).await.expect("an answer");
        assert_eq!(told, bytes.to_be_bytes());
        self.bulk = dial(&self.connector, self.addr).await;
    }

    async fn request(&mut self) {
        let mut answer = [0; 64];
        self.long.write_all(&[1; 64]).await.expect("a write");
        self.long.flush().await.expect("a flush");
        self.long.read_exact(&mut answer).await.expect("an answer");
    }

    async fn close(mut self) {
        let _ = self.long.shutdown().await;
        let _ = self.bulk.shutdown().await;
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            stream.set_nodelay(true).expect("an option");
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let (mut buf, mut bytes) = (vec![0; 256 << 10], 0);
            while let Ok(read @ 1..) = stream.read(&mut buf).await {
                bytes += read as u64;
                if read == 64 && buf[0] == 1 {
                    stream.write_all(&buf[..64]).await.expect("an echo");
                }
            }
            let _ = stream.write_all(&bytes.to_be_bytes()).await;
            let _ = stream.shutdown().await;
        });
    }
}
