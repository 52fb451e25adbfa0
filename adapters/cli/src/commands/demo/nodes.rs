//! Everybody who takes part: each with a socket of its own on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use aqueduct_tokio::metrics::EndpointCollector;
use aqueduct_tokio::relay::{Allow, Refusal, RelayConfig, RelayEvent, Way};
use aqueduct_tokio::{AppCode, Carriers, Config, Endpoint, IoStats, LossyIo, NodeAddr, NodeKey};
use aqueduct_tokio::{EndpointConfig, Provider, TransportConfig};
use aqueduct_tokio::{OpenOptions, PipeStats, generate_key};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::exit::{Cause, Failure};
use crate::progress::Progress;
use crate::tapes;
use crate::units;

/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// How often a relay's line is written anew.
const LOOK: Duration = Duration::from_millis(250);

/// The nodes of a demonstration.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) sender: Endpoint,
    pub(super) relays: Vec<Endpoint>,
    pub(super) receivers: Vec<Endpoint>,
    pub(super) watch: Watch,
    /// What relays do beside relaying: let in whoever comes, and show what they hold.
    _tasks: JoinSet<()>,
}

/// Hears what relays do.
#[derive(Debug)]
pub(super) struct Watch {
    told: UnboundedReceiver<Told>,
}

/// The end of a stream at a relay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// What the pipe did.
    pub(super) stats: PipeStats,
    /// When everybody had everything.
    pub(super) at: Instant,
}

#[derive(Debug)]
struct Told {
    relay: usize,
    at: Instant,
    event: RelayEvent,
}

impl Nodes {
    /// Binds them all; each loses of a million datagrams that it sends `loss`.
    ///
    /// # Errors
    /// There are no sockets, or no randomness.
    pub(super) fn bind(
        relays: usize,
        receivers: usize,
        loss: u32,
        (carriers, transport): (Carriers, TransportConfig),
    ) -> Result<Self, Failure> {
        let mut seeds = 0..;
        let mut node = |name: Option<String>| {
            bind((carriers, transport.clone()), (loss, seeds.next().unwrap_or(0)), name.as_deref())
        };
        let sender = node(None)?;
        let relays = (1..=relays)
            .map(|number| node(Some(format!("relay-{number}"))))
            .collect::<Result<Vec<_>, _>>()?;
        let receivers = (1..=receivers)
            .map(|number| node(Some(format!("receiver-{number}"))))
            .collect::<Result<_, _>>()?;
        let (tell, told) = unbounded_channel();
        let mut tasks = JoinSet::new();
        for (number, relay) in relays.iter().enumerate() {
            open_for_all(relay, number, tell.clone());
            tasks.spawn(let_in(relay.clone()));
            tasks.spawn(show_held(relay.clone(), number));
        }
        Ok(Self { sender, relays, receivers, watch: Watch { told }, _tasks: tasks })
    }

    /// What the sender sends at most, in bytes a second.
    pub(super) fn limit(&self, rate: Option<u64>) {
        self.sender.set_limit(rate);
    }

    /// Whom the sender dials.
    pub(super) fn first(&self) -> Option<NodeAddr> {
        self.relays.first().or(self.receivers.first()).map(there)
    }

    /// The introduction of a stream to all receivers.
    ///
    /// # Errors
    /// There are too many of them for a way.
    pub(super) fn introduce(&self, stream: OpenOptions) -> Result<OpenOptions, Failure> {
        let Some((_first, rest)) = self.relays.split_first() else { return Ok(stream) };
        let (relays, targets) = (rest.iter().map(there), self.receivers.iter().map(there));
        let way = Way { relays: relays.collect(), targets: targets.collect() };
        way.introduce(&stream).map_err(|error| Failure::new(Cause::Usage, error))
    }

    /// The sockets' counters of the sender, and of the first receiver.
    pub(super) fn io_stats(&self) -> (IoStats, IoStats) {
        let receiver = self.receivers.first().map(Endpoint::io_stats);
        (self.sender.io_stats(), receiver.unwrap_or_default())
    }

    /// The most bytes that came above a gap at a time: of each relay, then of each receiver.
    pub(super) fn out_of_order(&self) -> Vec<u64> {
        let most = |node: &Endpoint| node.figures().totals.streams.most_out_of_order;
        self.relays.iter().chain(&self.receivers).map(most).collect()
    }

    /// What everybody tells of themselves, under names that say who it is.
    pub(super) fn figures(&self) -> EndpointCollector {
        let mut figures = EndpointCollector::default().with("sender", &self.sender);
        for (kind, nodes) in [("relay", &self.relays), ("receiver", &self.receivers)] {
            for (number, node) in (1..).zip(nodes) {
                figures = figures.with(format!("{kind}{number}"), node);
            }
        }
        figures
    }

    /// Says goodbye everywhere.
    pub(super) async fn close(self) {
        let all = || [&self.sender].into_iter().chain(&self.relays).chain(&self.receivers);
        all().for_each(|node| node.close(AppCode(0), b"done"));
        let idle = async {
            for node in all() {
                node.wait_idle().await;
            }
        };
        if tokio::time::timeout(GOODBYE, idle).await.is_err() {
            tracing::debug!("the goodbye was not heard");
        }
    }
}

impl Watch {
    /// How the next stream ended at each of `count` relays, in their order.
    ///
    /// # Errors
    /// A relay refused it.
    pub(super) async fn ends(&mut self, count: usize) -> Result<Vec<Passed>, Failure> {
        let mut ends: Vec<Option<Passed>> = vec![None; count];
        while ends.iter().any(Option::is_none) {
            let gone = || Failure::new(Cause::Failure, "the relays are gone");
            let Told { relay, at, event } = self.told.recv().await.ok_or_else(gone)?;
            match event {
                RelayEvent::Ended { stats, .. } => {
                    if let Some(end) = ends.get_mut(relay) {
                        *end = Some(Passed { stats, at });
                    }
                }
                RelayEvent::Refused { why, .. } => return Err(refused(relay, &why)),
                _ => {}
            }
        }
        Ok(ends.into_iter().flatten().collect())
    }

    /// The first refusal, if there ever is one.
    pub(super) async fn trouble(&mut self) -> Failure {
        while let Some(Told { relay, event, .. }) = self.told.recv().await {
            if let RelayEvent::Refused { why, .. } = event {
                return refused(relay, &why);
            }
        }
        std::future::pending().await
    }
}

fn refused(relay: usize, why: &Refusal) -> Failure {
    Failure::new(Cause::Refused, format_args!("relay {}: {why}", relay + 1))
}

fn bind(
    (carriers, transport): (Carriers, TransportConfig),
    (loss, seed): (u32, u64),
    name: Option<&str>,
) -> Result<Endpoint, Failure> {
    let key: NodeKey = generate_key()
        .map_err(|error| Failure::new(Cause::Failure, format_args!("no randomness: {error}")))?;
    let endpoint = EndpointConfig::new(key).with_provider(Provider::AwsLc);
    let mut config = Config::from(endpoint.with_transport(transport)).with_carriers(carriers);
    if loss > 0 {
        config = config.with_socket_io(move |io| LossyIo::new(io, loss, seed));
    }
    let addr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    Ok(tapes::record(config, name, |config| Endpoint::bind(addr, config))?)
}

fn there(node: &Endpoint) -> NodeAddr {
    NodeAddr::from((node.node_id(), node.local_addr()))
}

fn open_for_all(relay: &Endpoint, number: usize, tell: UnboundedSender<Told>) {
    relay.relay(RelayConfig::new(Allow::Everybody), move |event| {
        // Nobody listens once the demonstration is over.
        let _gone = tell.send(Told { relay: number, at: Instant::now(), event });
    });
}

/// Whoever comes is let in, and its handle kept.
async fn let_in(relay: Endpoint) {
    let mut guests = Vec::new();
    while let Some(incoming) = relay.accept().await {
        guests.extend(incoming.accept().await);
    }
}

/// What a relay holds now, in a line of its own.
async fn show_held(relay: Endpoint, number: usize) {
    let line = Progress::words(&format!("relay {}", number + 1));
    while line.is_seen() {
        let held = relay.stats().await.pipe_bytes;
        line.say(&format!("holds {}", units::size(held)));
        tokio::time::sleep(LOOK).await;
    }
}
