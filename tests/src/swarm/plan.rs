//! What a world is, and what will happen in it.

use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, RetryPolicy, TransportConfig};
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::crypto::handshake::Ciphers;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::crypto::provider::Provider;
use aqueduct_core::pipe::PipeOptions;

use super::deed::Deed;
use crate::app::Reading;
use crate::link::{LinkConfig, Machine};
use crate::net::clock::Clock;
use crate::net::stream::StreamConfig;
use crate::net::{HostId, Nat};
use crate::rogue::Mischief;

/// A host of a world.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// Its memory budget, and for how many connections.
    pub memory: (u64, u32),
    /// Packets under one key, if not as usual.
    pub key_packets: Option<u64>,
    /// Streams in both directions and in one that a peer may open, if not as usual.
    pub streams: Option<(u32, u32)>,
    /// Its cipher.
    pub ciphers: Ciphers,
    /// Whether it asks for cookies.
    pub retry: RetryPolicy,
    /// Its clock.
    pub clock: Clock,
    /// What stands before it.
    pub nat: Option<Nat>,
    /// How it reads.
    pub reading: Reading,
    /// It reads so much at a time only, once in a while.
    pub slow: Option<u64>,
    /// How its pipes behave.
    pub pipes: PipeOptions,
    /// What decides how much it has in flight.
    pub controller: Algorithm,
    /// Whose ciphers it has.
    pub provider: Provider,
    /// Its largest datagrams, if not as usual.
    pub packets: Option<u16>,
}

impl NodePlan {
    /// How it reads at first: who is slow reads nothing by itself.
    pub const fn begins_reading(&self) -> Reading {
        if self.slow.is_some() { Reading::Never } else { self.reading }
    }

    /// The endpoint's configuration.
    ///
    /// # Panics
    /// If the plan is none that can be.
    pub fn config(&self, id: HostId) -> EndpointConfig {
        let mut transport = TransportConfig::default().with_controller(self.controller);
        if let Some(packets) = self.key_packets {
            let limits = KeyLimits::default().with_soft_packets(packets);
            transport = transport.with_key_limits(limits.expect("a limit"));
        }
        if let Some((bidi, uni)) = self.streams {
            transport = transport.with_max_streams(bidi, uni).expect("counts");
        }
        if let Some(bytes) = self.packets {
            transport = transport.with_max_packet_size(bytes).expect("a size");
        }
        EndpointConfig::new(NodeKey::from_seed(&[id.0 as u8 + 1; 32]))
            .with_transport(transport)
            .with_memory(self.memory.0, self.memory.1)
            .expect("a budget")
            .with_ciphers(self.ciphers)
            .with_provider(self.provider)
            .with_retry(self.retry)
    }
}

/// How two neighbours reach each other.
#[derive(Clone, Copy, Debug)]
pub enum Carriage {
    /// By datagrams alone.
    Udp,
    /// Over a byte stream alone.
    Stream(StreamConfig),
    /// By datagrams, and over a byte stream that is made when the endpoint wishes for one.
    UdpFirst(StreamConfig),
    /// Over a byte stream at first, and by datagrams as soon as they get through.
    StreamFirst(StreamConfig),
}

impl Carriage {
    /// What byte streams are like, if there are any.
    pub const fn stream(self) -> Option<StreamConfig> {
        match self {
            Self::Udp => None,
            Self::Stream(config) | Self::UdpFirst(config) | Self::StreamFirst(config) => {
                Some(config)
            }
        }
    }
}

/// Two neighbours.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// Who dials.
    pub dialer: HostId,
    /// Whom.
    pub acceptor: HostId,
    /// By what.
    pub carriage: Carriage,
}

impl Edge {
    /// The end that is not `host`.
    pub fn other(&self, host: HostId) -> HostId {
        if host == self.dialer { self.acceptor } else { self.dialer }
    }
}

/// A byzantine peer of a world.
#[derive(Clone, Copy, Debug)]
pub struct RoguePlan {
    /// What it does.
    pub kind: Mischief,
    /// Before whom.
    pub victim: HostId,
    /// It is dialled, and does not dial.
    pub answers: bool,
    /// Time between its turns.
    pub every: Duration,
    /// What lies between it and everybody else.
    pub link: LinkConfig,
}

/// A road as it is at first.
pub type Road = (HostId, HostId, Vec<Box<dyn Machine>>);

/// A world before anything happens.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it comes from.
    pub seed: u64,
    /// Its hosts.
    pub nodes: Vec<NodePlan>,
    /// Who is whose neighbour: a tree.
    pub edges: Vec<Edge>,
    /// The roads between neighbours at first.
    pub roads: Vec<Road>,
    /// Who breaks rules on purpose.
    pub rogues: Vec<RoguePlan>,
    /// What happens, in the order of time.
    pub deeds: Vec<(Duration, Deed)>,
    /// When the quiet begins.
    pub quiet_at: Duration,
    /// Whether messages and datagrams of its deeds have classes and greatest ages.
    pub hasty: bool,
    /// What is said in the peace, counted from the world's beginning.
    pub peace: Vec<(Duration, Deed)>,
    /// The peace ends then.
    pub lasts: Duration,
}
