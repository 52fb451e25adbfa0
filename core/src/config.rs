//! Configuration: plain values, right by construction. `Default` is what we would run ourselves.

mod taped;

use alloc::sync::Arc;
use core::time::Duration;

use thiserror::Error;

use crate::congestion::Algorithm;
use crate::crypto::handshake::{
    Ciphers, HandshakeConfig, Network, PairSecrets, Strangers, Versions,
};
use crate::crypto::identity::NodeKey;
use crate::crypto::limits::KeyLimits;
use crate::crypto::provider::Provider;
use crate::flow::{BudgetError, BudgetLimits, FREE_RANGES, RecvLimits};
use crate::message::DropRule;
use crate::path::MAX_DATAGRAM;
#[cfg(feature = "planted")]
use crate::planted::Fault;
use crate::planted::Planted;
use crate::wire::capabilities::Capabilities;
use crate::wire::params::{MAX_ACK_DELAY_LIMIT_US, MAX_IDLE_TIMEOUT_MS};

pub use crate::path::PacketSizes;

/// A slot number has 18 bits (spec `10-endpoint.md`).
pub const MAX_CONNECTIONS: u32 = 1 << 18;
/// The smallest datagram that every path carries, in bytes of UDP payload.
pub const MIN_DATAGRAM: u16 = 1200;

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The budget does not fit the number of connections.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// A value outside of its range.
    #[error("{setting} = {value} is out of range: {least} to {most}")]
    OutOfRange {
        /// The setting's name.
        setting: &'static str,
        /// What was given.
        value: u64,
        /// The smallest that is allowed.
        least: u64,
        /// The largest that is allowed.
        most: u64,
    },
}

fn within(setting: &'static str, value: u64, least: u64, most: u64) -> Result<u64, ConfigError> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(ConfigError::OutOfRange { setting, value, least, most })
    }
}

fn packet_size(setting: &'static str, bytes: u16) -> Result<u16, ConfigError> {
    within(setting, bytes.into(), MIN_DATAGRAM.into(), MAX_DATAGRAM.into()).map(|_| bytes)
}

/// When a stranger must prove its address before it is answered (spec R-EP-14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub enum RetryPolicy {
    /// Under load.
    #[default]
    Auto,
    /// Always.
    Always,
}

/// Which way large messages take. What a connection does is what both ends can: spec
/// `19-modes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[expect(clippy::exhaustive_structs, reason = "plain values of a configuration")]
pub struct Streaming {
    /// Whether large messages may cross as streams, here and there. Default: they may.
    pub streaming_enabled: bool,
    /// Messages of more bytes than this go as streams, if the peer can. Default 64 KiB.
    pub streaming_threshold: u64,
    /// Whether streams may be piped through this node's connections: passed on while they arrive.
    /// Means nothing without `streaming_enabled`. Default: they may.
    pub piped_forwarding: bool,
    /// Whether large messages that come as streams, and other large streams that are collected,
    /// are also put together as whole ones, for comparison, and given to the application as such.
    /// Costs their size in memory. Default: not.
    pub streaming_shadow: bool,
}

impl Default for Streaming {
    fn default() -> Self {
        Self {
            streaming_enabled: true,
            streaming_threshold: 64 * 1024,
            piped_forwarding: true,
            streaming_shadow: false,
        }
    }
}

impl Streaming {
    /// Nothing but whole messages.
    pub const OFF: Self = Self {
        streaming_enabled: false,
        streaming_threshold: 64 * 1024,
        piped_forwarding: false,
        streaming_shadow: false,
    };

    /// What a node with these settings offers in its handshakes.
    pub fn capabilities(&self) -> Capabilities {
        match (self.streaming_enabled, self.piped_forwarding) {
            (false, _) => Capabilities::NONE,
            (true, false) => Capabilities::STREAMING,
            (true, true) => Capabilities::STREAMING.and(Capabilities::PIPING),
        }
    }
}

/// How connections behave.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct TransportConfig {
    pub(crate) idle_timeout: Duration,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) handshake_timeout: Duration,
    pub(crate) peer_patience: Duration,
    pub(crate) max_ack_delay: Duration,
    pub(crate) max_streams_bidi: u32,
    pub(crate) max_streams_uni: u32,
    pub(crate) packets: PacketSizes,
    pub(crate) send_buffer: u64,
    pub(crate) max_message_size: u64,
    pub(crate) datagram_queue: u64,
    pub(crate) datagram_rule: DropRule,
    pub(crate) controller: Algorithm,
    pub(crate) key_limits: KeyLimits,
    pub(crate) streaming: Streaming,
    pub(crate) stream_buffer: u64,
    pub(crate) stream_timeout: Option<Duration>,
    pub(crate) stuck_timeout: Option<Duration>,
    pub(crate) max_stream_window: u64,
    pub(crate) stream_ranges: u64,
    pub(crate) linger: Duration,
    pub(crate) planted: Planted,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30),
            keep_alive: None,
            handshake_timeout: Duration::from_secs(10),
            peer_patience: Duration::from_secs(5),
            max_ack_delay: Duration::from_millis(25),
            max_streams_bidi: 100,
            max_streams_uni: 100,
            packets: PacketSizes::default(),
            send_buffer: 1024 * 1024,
            max_message_size: 16 * 1024 * 1024,
            datagram_queue: 256 * 1024,
            datagram_rule: DropRule::Oldest,
            controller: Algorithm::default(),
            key_limits: KeyLimits::default(),
            streaming: Streaming::default(),
            stream_buffer: 10 * 1024 * 1024,
            stream_timeout: None,
            stuck_timeout: crate::stream::DEFAULT_STUCK_TIMEOUT,
            max_stream_window: RecvLimits::MAX_STREAM_WINDOW,
            stream_ranges: RecvLimits::STREAM_RANGES,
            linger: Duration::from_secs(120),
            planted: Planted::default(),
        }
    }
}

impl TransportConfig {
    /// Time without a word from the peer after which the connection ends. Default 30 s.
    ///
    /// # Errors
    /// Less than a millisecond or more than a day.
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        within("idle_timeout (ms)", millis, 1, MAX_IDLE_TIMEOUT_MS)?;
        self.idle_timeout = timeout;
        Ok(self)
    }

    /// Silence after which a PING goes out; `None` leaves it to open streams. Default `None`.
    pub fn with_keep_alive(mut self, every: Option<Duration>) -> Self {
        self.keep_alive = every;
        self
    }

    /// How long data may stay without an answer, through 32 probe timeouts at least, before the
    /// peer is lost (spec R-REC-26). Default 5 s, which bears the loss of a third of all packets
    /// each way; outages that last longer want more.
    pub fn with_peer_patience(mut self, patience: Duration) -> Self {
        self.peer_patience = patience;
        self
    }

    /// How long a handshake may take. Default 10 s.
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Longest time that an ACK is held back, and at most half of the idle time-out; a quarter of a
    /// round trip counts where that is less (spec R-REC-6). Default 25 ms.
    ///
    /// # Errors
    /// More than a second.
    pub fn with_max_ack_delay(mut self, delay: Duration) -> Result<Self, ConfigError> {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        within("max_ack_delay (us)", micros, 0, MAX_ACK_DELAY_LIMIT_US)?;
        self.max_ack_delay = delay;
        Ok(self)
    }

    /// The longest time that an ACK is held back, which leaves the peer time to hear of it.
    pub(crate) fn ack_delay(&self) -> Duration {
        self.max_ack_delay.min(self.idle_timeout / 2)
    }

    /// Streams of each kind that the peer may have open at a time. Default 100 of both directions
    /// and, apart from them, 100 of one direction: 200 in all (spec R-LIM-6).
    ///
    /// # Errors
    /// More than 65,535.
    pub fn with_max_streams(mut self, bidi: u32, uni: u32) -> Result<Self, ConfigError> {
        within("max_streams_bidi", bidi.into(), 0, 65_535)?;
        within("max_streams_uni", uni.into(), 0, 65_535)?;
        (self.max_streams_bidi, self.max_streams_uni) = (bidi, uni);
        Ok(self)
    }

    /// Largest UDP payload to send and to accept, in bytes, whoever the peer is; probing finds what
    /// the path carries up to it. Default 1,452, and 65,507 where the peer is on this machine's
    /// loopback.
    ///
    /// # Errors
    /// Less than 1,200 or more than 65,507.
    pub fn with_max_packet_size(mut self, bytes: u16) -> Result<Self, ConfigError> {
        let bytes = packet_size("max_packet_size", bytes)?;
        self.packets = PacketSizes::everywhere(bytes);
        Ok(self)
    }

    /// The same only where the peer is on this machine's loopback. Default 65,507, all that it
    /// carries; 65,488 by IPv6.
    ///
    /// # Errors
    /// Less than 1,200 or more than 65,507.
    pub fn with_max_loopback_packet_size(mut self, bytes: u16) -> Result<Self, ConfigError> {
        self.packets.loopback = packet_size("max_loopback_packet_size", bytes)?;
        Ok(self)
    }

    /// Bytes of one stream that wait for acknowledgement before writes are held. Default 1 MiB.
    ///
    /// # Errors
    /// Zero, or more than 4 GiB.
    pub fn with_send_buffer(mut self, bytes: u64) -> Result<Self, ConfigError> {
        self.send_buffer = within("send_buffer", bytes, 1, 1 << 32)?;
        Ok(self)
    }

    /// Largest whole message to accept, in bytes. Default 16 MiB.
    ///
    /// # Errors
    /// More than 2^62 - 1.
    pub fn with_max_message_size(mut self, bytes: u64) -> Result<Self, ConfigError> {
        self.max_message_size = within("max_message_size", bytes, 0, (1 << 62) - 1)?;
        Ok(self)
    }

    /// Bytes of unreliable datagrams that wait, each way, and what gives way. Zero turns datagrams
    /// off. Default 256 KiB, the oldest. Adapters hand datagrams over as there is room and refuse
    /// what comes beyond that; with them the rule is for those received that nobody takes.
    pub fn with_datagrams(mut self, queue_bytes: u64, rule: DropRule) -> Self {
        (self.datagram_queue, self.datagram_rule) = (queue_bytes, rule);
        self
    }

    /// The congestion controller. Default CUBIC.
    pub fn with_controller(mut self, controller: Algorithm) -> Self {
        self.controller = controller;
        self
    }

    /// How much one key may protect before it is updated, and at most (spec `03-keys.md`).
    pub fn with_key_limits(mut self, limits: KeyLimits) -> Self {
        self.key_limits = limits;
        self
    }

    /// Bytes that one stream may hold behind a gap, or its credit if that is more. At three
    /// quarters of it the stream is granted no more, and an event says so. Default 10 MiB.
    pub fn with_stream_buffer(mut self, bytes: u64) -> Self {
        self.stream_buffer = bytes;
        self
    }

    /// Time after which a stream is ended on which nothing comes and nothing is read, though bytes
    /// are missing. `None`: never. Default `None`: a stream without a gap that its peer has merely
    /// left, with an end still to come, stays as long as its connection, on its credit; it may be a
    /// subscription, and no number of seconds tells that (spec R-LIM-5). What is *stuck* ends all
    /// the same: see [`with_stuck_timeout`](Self::with_stuck_timeout).
    pub fn with_stream_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.stream_timeout = timeout;
        self
    }

    /// The same for a stream that is *stuck*: it holds bytes behind a gap, or nobody has said what
    /// it is, neither of which a peer leaves so for long. `None`: like any other. Default 120 s, as
    /// long as a pipe waits (spec R-LIM-5).
    pub fn with_stuck_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.stuck_timeout = timeout;
        self
    }

    /// Bytes that one stream's window grows to at most: with a round trip of a second, so many
    /// bytes come in a second. A pipe's window has the same bound. It never takes from a stream
    /// what that begins with, nor what is asked for outright (a message that is put together).
    /// Default 64 MiB.
    ///
    /// # Errors
    /// Less than 16 KiB or more than 1 TiB.
    pub fn with_max_stream_window(mut self, bytes: u64) -> Result<Self, ConfigError> {
        self.max_stream_window = within("max_stream_window", bytes, 16 * 1024, 1 << 40)?;
        Ok(self)
    }

    /// Ranges out of order that one stream may keep apart, or one for each 1,200 bytes of its
    /// window if that is more (spec R-FLOW-13). A frame that would open one more is as good as
    /// lost. A peer that writes at offsets of its choice relies on 1,000, the default (spec
    /// R-STR-45).
    ///
    /// # Errors
    /// Fewer than 16 or more than 1,048,576.
    pub fn with_stream_ranges(mut self, ranges: u64) -> Result<Self, ConfigError> {
        self.stream_ranges = within("stream_ranges", ranges, FREE_RANGES, 1 << 20)?;
        Ok(self)
    }

    /// How long `close`, and the end of the last handle, wait for a peer that is there and takes
    /// nothing of what was written before; each time that it takes something begins it anew.
    /// Default 120 s (spec R-CLOSE-12).
    ///
    /// # Errors
    /// More than a day.
    pub fn with_linger(mut self, linger: Duration) -> Result<Self, ConfigError> {
        let millis = u64::try_from(linger.as_millis()).unwrap_or(u64::MAX);
        within("linger (ms)", millis, 0, MAX_IDLE_TIMEOUT_MS)?;
        self.linger = linger;
        Ok(self)
    }

    /// Which way large messages take. See [`Streaming`].
    pub fn with_streaming(mut self, streaming: Streaming) -> Self {
        self.streaming = streaming;
        self
    }

    /// A bug, for tests that must find it.
    #[cfg(feature = "planted")]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.planted = Planted { fault: Some(fault) };
        self
    }

    /// Whether it has this bug: for faults of adapters.
    #[cfg(feature = "planted")]
    pub fn has_fault(&self, fault: Fault) -> bool {
        self.planted.has(fault)
    }

    /// The congestion controller.
    pub const fn controller(&self) -> Algorithm {
        self.controller
    }

    /// Which way large messages take.
    pub fn streaming(&self) -> Streaming {
        self.streaming
    }

    /// How long silence lasts until a connection is over, if the peer wants no less.
    pub const fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// How long a handshake may take.
    pub const fn handshake_timeout(&self) -> Duration {
        self.handshake_timeout
    }

    /// The largest datagrams that it sends and takes.
    pub const fn packet_sizes(&self) -> PacketSizes {
        self.packets
    }

    /// Largest whole message to accept, in bytes.
    pub fn max_message_size(&self) -> u64 {
        self.max_message_size
    }
}

/// How an endpoint behaves.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct EndpointConfig {
    pub(crate) handshake: Arc<HandshakeConfig>,
    pub(crate) provider: Provider,
    pub(crate) memory: BudgetLimits,
    pub(crate) half_open: u32,
    pub(crate) retry: RetryPolicy,
    pub(crate) timer_granularity: Duration,
    pub(crate) shard: u8,
    pub(crate) send_limit: Option<u64>,
    pub(crate) peer_limit: Option<u64>,
    pub(crate) transport: Arc<TransportConfig>,
}

impl EndpointConfig {
    /// Defaults for the node that holds `key`: an open network, 256 MiB, 4,096 connections.
    pub fn new(key: NodeKey) -> Self {
        let transport = TransportConfig::default();
        let handshake = HandshakeConfig::new(key)
            .with_ciphers(Ciphers::PreferAes256Gcm)
            .with_capabilities(transport.streaming.capabilities().bits());
        Self {
            handshake: Arc::new(handshake),
            provider: Provider::Rust,
            memory: BudgetLimits::default(),
            half_open: 1024,
            retry: RetryPolicy::Auto,
            timer_granularity: Duration::from_millis(1),
            shard: 0,
            send_limit: None,
            peer_limit: None,
            transport: Arc::new(transport),
        }
    }

    /// Memory for what peers may make us hold, in bytes, and how many connections share it.
    ///
    /// # Errors
    /// The floors of all connections (16 KiB each) would take more than half of the budget (spec
    /// R-LIM-3), or there are more connections than slots.
    pub fn with_memory(mut self, budget: u64, max_connections: u32) -> Result<Self, ConfigError> {
        within("max_connections", max_connections.into(), 1, MAX_CONNECTIONS.into())?;
        self.memory = BudgetLimits::new(budget, max_connections)?;
        Ok(self)
    }

    fn with_handshake(mut self, change: impl FnOnce(HandshakeConfig) -> HandshakeConfig) -> Self {
        self.handshake = Arc::new(change(Arc::unwrap_or_clone(self.handshake)));
        self
    }

    /// The network that both ends must be members of; nodes of different networks do not hear each
    /// other. Default: the nameless open network.
    pub fn with_network(self, network: Network) -> Self {
        self.with_handshake(|handshake| handshake.with_network(network))
    }

    /// Secrets shared with single peers, mixed into their handshakes. Default: none.
    pub fn with_pair_secrets(self, secrets: PairSecrets) -> Self {
        self.with_handshake(|handshake| handshake.with_pair_secrets(secrets))
    }

    /// Who computes the ciphers. Default: the pure-Rust provider.
    pub fn with_provider(mut self, provider: Provider) -> Self {
        self.provider = provider;
        self.with_handshake(|handshake| handshake.with_provider(provider))
    }

    /// Ciphers for data; the responder's preference decides. Default: both, AES-256-GCM preferred.
    pub fn with_ciphers(self, ciphers: Ciphers) -> Self {
        self.with_handshake(|handshake| handshake.with_ciphers(ciphers))
    }

    /// The versions of the protocol that it speaks (spec R-HS-18 to R-HS-20). Default: 1 alone,
    /// which is all that is built.
    pub fn with_versions(self, versions: Versions) -> Self {
        self.with_handshake(|handshake| handshake.with_versions(versions))
    }

    /// Whether nodes that do not know this node's id get an answer. Default: they do.
    pub fn with_strangers(self, strangers: Strangers) -> Self {
        self.with_handshake(|handshake| handshake.with_strangers(strangers))
    }

    /// When strangers must prove their address. Default: under load.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Unfinished handshakes of strangers at a time. Default 1,024.
    ///
    /// # Errors
    /// Zero, or more than 65,536.
    pub fn with_half_open(mut self, limit: u32) -> Result<Self, ConfigError> {
        within("half_open", limit.into(), 1, 65_536)?;
        self.half_open = limit;
        Ok(self)
    }

    /// How finely the driver can wake: deadlines of the pacer are rounded up to it. Default 1 ms.
    pub fn with_timer_granularity(mut self, granularity: Duration) -> Self {
        self.timer_granularity = granularity;
        self
    }

    /// Which of a process's endpoints this is; part of its connection ids. Default 0.
    ///
    /// # Errors
    /// More than 63.
    pub fn with_shard(mut self, shard: u8) -> Result<Self, ConfigError> {
        within("shard", shard.into(), 0, 63)?;
        self.shard = shard;
        Ok(self)
    }

    /// How much the node sends in all, in bytes a second: of datagrams, with all that is in them
    /// (spec R-SHP-1). `None`: as much as it can. Can be changed while it runs. Default `None`.
    pub fn with_send_limit(mut self, rate: Option<u64>) -> Self {
        self.send_limit = rate;
        self
    }

    /// The same for each peer.
    pub fn with_peer_limit(mut self, rate: Option<u64>) -> Self {
        self.peer_limit = rate;
        self
    }

    /// How much the node sends in all, in bytes a second.
    pub const fn send_limit(&self) -> Option<u64> {
        self.send_limit
    }

    /// How connections behave, and with it what this node offers in its handshakes.
    pub fn with_transport(mut self, transport: TransportConfig) -> Self {
        let offered = transport.streaming.capabilities().bits();
        self.transport = Arc::new(transport);
        self.with_handshake(|handshake| handshake.with_capabilities(offered))
    }

    /// How connections behave.
    pub fn transport(&self) -> &TransportConfig {
        &self.transport
    }

    /// Slots for connections: those that are draining need theirs a little longer.
    pub(crate) fn slots(&self) -> u32 {
        self.memory.max_connections().saturating_mul(2).min(MAX_CONNECTIONS)
    }
}
