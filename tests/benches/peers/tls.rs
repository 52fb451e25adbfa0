//! TCP with TLS 1.3 by rustls and aws-lc-rs: a connection for each stream.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::certificate;
use crate::peer::{self, Gone, Peer, any};
use crate::serve::answer;

pub(crate) struct Tls;

const PROTOCOL: &[u8] = b"bench";
/// What a read takes at most.
const READ: usize = 64 << 10;

#[derive(Clone)]
pub(crate) struct Dialer(TlsConnector, SocketAddr);

impl Dialer {
    async fn dial(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.1).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let name = ServerName::try_from(certificate::NAME).expect("a name");
        self.0.connect(name, stream).await.expect("a handshake").into()
    }
}

impl Peer for Tls {
    const NAME: &'static str = "TCP + TLS 1.3";
    const MULTIPLEXED: bool = false;
    type Door = SocketAddr;
    type Dialer = Dialer;
    type Client = Client;

    async fn serve(at: Ipv4Addr) -> SocketAddr {
        let acceptor = TlsAcceptor::from(Arc::new(certificate::server(PROTOCOL)));
        let listener = TcpListener::bind(any(at)).await.expect("a socket");
        let door = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("an option");
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    answer(Stream::new(stream.into())).await;
                });
            }
        });
        door
    }

    fn place(door: &mut SocketAddr) -> &mut SocketAddr {
        door
    }

    async fn dialer(_: Ipv4Addr, door: SocketAddr) -> Dialer {
        Dialer(TlsConnector::from(Arc::new(certificate::client(PROTOCOL))), door)
    }

    async fn connect(dialer: &Dialer) -> Client {
        let first = Mutex::new(Some(dialer.dial().await));
        Client { dialer: dialer.clone(), first }
    }
}

/// One connection, and how to have more.
pub(crate) struct Client {
    dialer: Dialer,
    first: Mutex<Option<TlsStream<TcpStream>>>,
}

impl peer::Client for Client {
    type Stream = Stream;

    async fn open(&self) -> Stream {
        let first = self.first.lock().expect("no panic").take();
        Stream::new(match first {
            Some(first) => first,
            None => self.dialer.dial().await,
        })
    }

    async fn close(self) {
        let first = self.first.lock().expect("no panic").take();
        if let Some(mut first) = first {
            let _gone = first.shutdown().await;
        }
    }
}

pub(crate) struct Stream {
    stream: TlsStream<TcpStream>,
    buf: Vec<u8>,
}

impl Stream {
    fn new(stream: TlsStream<TcpStream>) -> Self {
        Self { stream, buf: Vec::new() }
    }
}

impl peer::Stream for Stream {
    async fn write(&mut self, block: Bytes) -> Result<(), Gone> {
        self.stream.write_all(&block).await.map_err(|_| Gone)?;
        self.stream.flush().await.map_err(|_| Gone)
    }

    async fn finish(&mut self) -> Result<(), Gone> {
        self.stream.shutdown().await.map_err(|_| Gone)
    }

    async fn read(&mut self, mut sink: impl FnMut(&[u8]) + Send) -> bool {
        self.buf.resize(READ, 0);
        let read = self.stream.read(&mut self.buf).await.unwrap_or(0);
        if read > 0 {
            sink(&self.buf[..read]);
        }
        read > 0
    }
}
