//! This process as a node: its endpoint, and how it dials.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use aqueduct_cli::ticket::Ticket;
use aqueduct_tokio::{AppCode, Carriers, Config, Connection, Endpoint, EndpointConfig, NodeKey};
use aqueduct_tokio::{CarrierKind, Provider};

use crate::args::Common;
use crate::exit::{Cause, Failure};
use crate::interrupt::Interrupt;
use crate::key::twin;
use crate::metrics::Page;
use crate::offer::Code;
use crate::output::Output;
use crate::tapes;

/// How long a polite goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Data without an answer is given up no earlier than this, whatever the user's patience.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes that peers may make a node hold, and how many of them share these: the defaults.
const MEMORY: (u64, u32) = (256 << 20, 4096);

/// An endpoint that counts the other side as gone after the time-out of silence, or half of that
/// where data waits for an answer, and says a word itself three times as often.
///
/// # Errors
/// The address cannot be bound.
pub(crate) fn bind(
    key: NodeKey,
    addr: Option<SocketAddr>,
    common: &Common,
) -> Result<Endpoint, Failure> {
    bind_with(endpoint(key, common)?, addr, common)
}

/// The same, with memory for `kept` bytes more.
///
/// # Errors
/// The address cannot be bound.
pub(crate) fn bind_keeping(
    key: NodeKey,
    addr: Option<SocketAddr>,
    common: &Common,
    kept: u64,
) -> Result<Endpoint, Failure> {
    let (bytes, peers) = MEMORY;
    let endpoint = endpoint(key, common)?
        .with_memory(bytes.saturating_add(kept), peers)
        .map_err(|error| Failure::new(Cause::Usage, error))?;
    bind_with(endpoint, addr, common)
}

fn bind_with(
    endpoint: EndpointConfig,
    addr: Option<SocketAddr>,
    common: &Common,
) -> Result<Endpoint, Failure> {
    let config = Config::from(endpoint).with_carriers(common.carriers(Carriers::both()));
    if let Some(addr) = addr {
        return Ok(tapes::record(config, None, |config| Endpoint::bind(addr, config))?);
    }
    // Every address of both families; where there is no IPv6, those of IPv4.
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
    match tapes::record(config.clone(), None, |config| Endpoint::bind(any, config)) {
        Ok(endpoint) => Ok(endpoint),
        Err(error) => {
            tracing::debug!(%error, "no socket for both families");
            let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
            Ok(tapes::record(config, None, |config| Endpoint::bind(v4, config))?)
        }
    }
}

fn endpoint(key: NodeKey, common: &Common) -> Result<EndpointConfig, Failure> {
    let timeout = common.timeout;
    let transport = common
        .transport()
        .with_idle_timeout(timeout)
        .map_err(|error| Failure::new(Cause::Usage, error))?
        .with_keep_alive(Some(timeout / 3))
        .with_peer_patience((timeout / 2).max(LEAST_PATIENCE))
        .with_handshake_timeout(timeout);
    Ok(EndpointConfig::new(key).with_provider(Provider::AwsLc).with_transport(transport))
}

/// A node that dialled another.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub(crate) endpoint: Endpoint,
    pub(crate) connection: Connection,
    /// Its figures, from before it dialled.
    _page: Page,
}

/// Dials the ticket's node, at `instead` if that is given.
///
/// # Errors
/// Nobody answers, or it refuses, or the user has enough; or there is no address for the figures.
pub(crate) async fn dial(
    key: NodeKey,
    ticket: &Ticket,
    instead: &[SocketAddr],
    common: &Common,
    output: &Output,
    interrupt: &mut Interrupt,
) -> Result<Dialled, Failure> {
    let addrs = if instead.is_empty() { ticket.addrs() } else { instead };
    if addrs.is_empty() {
        return Err(Failure::new(Cause::Usage, "the ticket has no address; give one with --addr"));
    }
    let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let from = addrs.iter().all(SocketAddr::is_ipv4).then_some(v4);
    let key = if key.id() == ticket.id() { twin(&key) } else { key };
    let endpoint = bind(key, from, common)?;
    let page = Page::open(common.metrics, &endpoint, output).await?;
    let addrs = addrs.to_vec();
    let places = addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let dialled = async {
        let connection = endpoint.connect((ticket.id(), addrs)).await;
        connection.map_err(|error| Failure::from(error).context(format_args!("at {places}")))
    };
    let connection = interrupt.or(dialled).await?;
    let carrier = carrier(connection.carriage());
    tracing::info!(peer = %connection.peer(), remote = %connection.remote(), carrier, "connected");
    Ok(Dialled { endpoint, connection, _page: page })
}

/// What data takes, in a word.
pub(crate) const fn carrier(kind: CarrierKind) -> &'static str {
    match kind {
        CarrierKind::Udp => "udp",
        CarrierKind::Reliable => "tcp",
    }
}

/// Ends a connection politely: what was written arrives first, then the other side learns why.
pub(crate) async fn say_goodbye(endpoint: &Endpoint, connection: &Connection, how: Farewell<'_>) {
    if connection.close_reason().is_some() {
        return;
    }
    match how {
        Farewell::Done => connection.close(AppCode(Code::Done as u64), b"done"),
        Farewell::Failed(failure) => {
            let code = Code::of(failure.cause);
            let words = code.to_string();
            connection.abort(AppCode(code as u64), words.as_bytes());
        }
    }
    endpoint.close(AppCode(Code::Done as u64), b"");
    if tokio::time::timeout(GOODBYE, endpoint.wait_idle()).await.is_err() {
        tracing::debug!("the goodbye was not heard");
    }
}

/// How it went.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Farewell<'a> {
    /// Well.
    Done,
    /// Not.
    Failed(&'a Failure),
}
