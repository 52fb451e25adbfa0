//! What an endpoint is made of, and how it is made of it.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::crypto::provider::Provider;

use crate::endpoint::Endpoint;
use crate::engine::{Engine, Parts};
use crate::error::BindError;
use crate::recording::Recording;
use crate::socket::{Bound, SocketConfig, SocketIo, UdpIo};
use crate::tcp::Carriers;
use crate::{environment, seed, socket, tcp};

/// A fresh node key, from the operating system's randomness.
///
/// # Errors
/// The system gave none.
pub fn generate_key() -> io::Result<NodeKey> {
    Ok(NodeKey::from_seed(&seed::random_bytes()?))
}

type Wrap = dyn Fn(UdpIo) -> Box<dyn SocketIo> + Send + Sync;

/// How an endpoint is to be: the core's configuration and the socket's.
#[derive(Clone)]
pub struct Config {
    endpoint: EndpointConfig,
    socket: SocketConfig,
    carriers: Carriers,
    wrap: Arc<Wrap>,
    environment: bool,
    recording: Option<Recording>,
}

impl Config {
    /// Defaults for the node with this key: the fast cipher provider, all else as the core says.
    pub fn new(key: NodeKey) -> Self {
        EndpointConfig::new(key).with_provider(Provider::AwsLc).into()
    }

    /// Puts another configuration of the core in place, with its provider.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: EndpointConfig) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// Says how the socket is set up.
    #[must_use]
    pub fn with_socket(mut self, socket: SocketConfig) -> Self {
        self.socket = socket;
        self
    }

    /// Says by what others are reached: UDP and TCP, or one of them.
    #[must_use]
    pub fn with_carriers(mut self, carriers: Carriers) -> Self {
        self.carriers = carriers;
        self
    }

    /// Leaves the variables of the environment unread. Else, what they say of
    /// [`Streaming`](aqueduct_core::config::Streaming) comes before what the configuration says:
    /// `AQUEDUCT_STREAMING`, `AQUEDUCT_STREAMING_THRESHOLD`, `AQUEDUCT_PIPED_FORWARDING` and
    /// `AQUEDUCT_STREAMING_SHADOW`.
    #[must_use]
    pub fn without_environment(mut self) -> Self {
        self.environment = false;
        self
    }

    /// Records everything that this endpoint is given and says into a file, from the beginning, for
    /// [`trace::replay`]. **The file holds the node's key and all keys of its connections.** The
    /// disk never holds the endpoint up: if it does not follow, the tape ends and says so.
    ///
    /// [`trace::replay`]: aqueduct_core::trace::replay
    #[must_use]
    pub fn with_recording(mut self, recording: Recording) -> Self {
        self.recording = Some(recording);
        self
    }

    /// Puts something in front of the system's calls, for tests: a socket that fails.
    #[must_use]
    pub fn with_socket_io<T: SocketIo + 'static>(
        mut self,
        wrap: impl Fn(UdpIo) -> T + Send + Sync + 'static,
    ) -> Self {
        self.wrap = Arc::new(move |io| Box::new(wrap(io)));
        self
    }

    /// Binds a socket and makes the loop body and the first handle. An adapter brings the loop: its
    /// `Endpoint::bind` is what applications call.
    ///
    /// # Errors
    /// The socket cannot be had, there is no randomness, or a variable says what cannot be.
    pub fn make(self, addr: SocketAddr) -> Result<Made, BindError> {
        let mut config = self.endpoint;
        if self.environment {
            config = environment::heeded(config)?;
        }
        let (bound, listener) = bind(addr, &self.socket, self.carriers)?;
        let io = (self.wrap)(bound.io);
        let parts = Parts {
            local: bound.local,
            takes_v4: bound.takes_v4,
            max_segments: io.max_gso_segments(),
            carriers: self.carriers,
            listens: listener.is_some(),
            warnings: bound.warnings,
        };
        let seed = seed::fresh_seed().map_err(BindError::Randomness)?;
        let (engine, endpoint) = match &self.recording {
            None => Engine::new(config, seed, parts),
            Some(recording) => {
                Engine::recorded(config, seed, parts, recording).map_err(|source| {
                    BindError::Recording { path: recording.path().to_path_buf(), source }
                })?
            }
        };
        let (node, local) = (endpoint.node_id(), endpoint.local_addr());
        tracing::info!(?node, %local, "endpoint bound");
        Ok(Made { engine, endpoint, socket: bound.socket, io, listener })
    }
}

/// Times that a free UDP port is sought whose TCP port is free as well.
const TRIES: usize = 16;

/// Both sockets on one port number. Where the system chooses it, one is sought that is free for
/// both.
fn bind(
    addr: SocketAddr,
    socket: &SocketConfig,
    carriers: Carriers,
) -> Result<(Bound, Option<TcpListener>), BindError> {
    let mut refused = Vec::new();
    loop {
        let failed = |source| BindError::Socket { addr, source };
        let bound = socket::bind(addr, socket).map_err(failed)?;
        if !carriers.tcp {
            return Ok((bound, None));
        }
        match tcp::listen(bound.local, bound.takes_v4) {
            Ok(listener) => return Ok((bound, Some(listener))),
            // Kept, so that the next one has another port.
            Err(_) if addr.port() == 0 && refused.len() < TRIES => refused.push(bound),
            Err(source) if carriers.insist => {
                return Err(BindError::Tcp { addr: bound.local, source });
            }
            Err(error) => {
                let local = bound.local;
                tracing::warn!(%local, %error, "nobody will reach this node by TCP");
                return Ok((bound, None));
            }
        }
    }
}

/// An endpoint that nobody drives yet.
#[derive(Debug)]
pub struct Made {
    /// The loop body.
    pub engine: Engine,
    /// Its first handle.
    pub endpoint: Endpoint,
    /// Non-blocking.
    pub socket: UdpSocket,
    /// Does the calls on it.
    pub io: Box<dyn SocketIo>,
    /// On the same port, non-blocking.
    pub listener: Option<TcpListener>,
}

impl From<EndpointConfig> for Config {
    fn from(endpoint: EndpointConfig) -> Self {
        let (socket, environment) = (SocketConfig::default(), true);
        let wrap: Arc<Wrap> = Arc::new(|io| Box::new(io));
        let carriers = Carriers::default();
        Self { endpoint, socket, carriers, wrap, environment, recording: None }
    }
}

impl From<NodeKey> for Config {
    fn from(key: NodeKey) -> Self {
        Self::new(key)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("socket", &self.socket).finish_non_exhaustive()
    }
}
