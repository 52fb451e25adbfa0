//! Two endpoints on loopback, a connection between them, and a limit to every wait.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_tokio::{
    Config, Connection, Endpoint, EndpointConfig, OpenOptions, Provider, StreamProtocol,
    TransportConfig, generate_key,
};

pub(crate) fn test_options() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("test"))
}

pub(crate) fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Prints what the library logs when a test fails.
pub(crate) fn logging() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _once = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}

pub(crate) fn endpoint() -> Endpoint {
    endpoint_with(TransportConfig::default())
}

/// Datagrams are as large as between machines: loopback's would leave little to loss and batches.
pub(crate) fn configured(transport: TransportConfig, provider: Provider) -> Config {
    logging();
    let size = transport.packet_sizes().network;
    let transport = transport.with_max_loopback_packet_size(size).unwrap();
    EndpointConfig::new(generate_key().unwrap())
        .with_provider(provider)
        .with_transport(transport)
        .into()
}

pub(crate) fn endpoint_with(transport: TransportConfig) -> Endpoint {
    Endpoint::bind(loopback(), configured(transport, Provider::AwsLc)).unwrap()
}

/// No wait in a test is longer than this.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    within(Duration::from_secs(20), what, future).await
}

pub(crate) async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited longer than {limit:?} for: {what}"),
    }
}

/// A connection from `client` to `server`, both ends.
pub(crate) async fn connect(client: &Endpoint, server: &Endpoint) -> (Connection, Connection) {
    connect_by(client, server, server.local_addr()).await
}

pub(crate) async fn connect_by(
    client: &Endpoint,
    server: &Endpoint,
    addr: SocketAddr,
) -> (Connection, Connection) {
    let accepting = async {
        let incoming = server.accept().await.expect("somebody comes");
        assert_eq!(incoming.peer(), client.node_id());
        incoming.accept().await.expect("the handshake is confirmed")
    };
    let dialing =
        async { client.connect((server.node_id(), addr)).await.expect("the server answers") };
    let (dialed, accepted) = soon("a connection", async { tokio::join!(dialing, accepting) }).await;
    assert_eq!(dialed.peer(), server.node_id());
    assert_eq!(accepted.peer(), client.node_id());
    (dialed, accepted)
}

pub(crate) struct Pair {
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
    pub(crate) near: Connection,
    pub(crate) far: Connection,
}

pub(crate) async fn pair() -> Pair {
    pair_of(endpoint(), endpoint()).await
}

pub(crate) async fn pair_of(client: Endpoint, server: Endpoint) -> Pair {
    let (near, far) = connect(&client, &server).await;
    Pair { client, server, near, far }
}

/// Bytes that show where they belong: a prefix of a sequence that does not repeat soon.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Waits until `done` says so; for things that no event tells.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    soon(what, async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
