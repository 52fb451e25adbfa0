//! What an endpoint is made of.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::crypto::provider::Provider;
use aqueduct_driver::Recording;
use aqueduct_driver::error::BindError;
use aqueduct_driver::socket::{SocketConfig, SocketIo, UdpIo};

use crate::endpoint::Endpoint;

/// A fresh node key, from the operating system's randomness.
///
/// # Errors
/// The system gave none.
pub fn generate_key() -> io::Result<NodeKey> {
    Ok(NodeKey::from_seed(&aqueduct_driver::seed::random_bytes()?))
}

type Wrap = dyn Fn(UdpIo) -> Box<dyn SocketIo> + Send + Sync;

/// How an endpoint is to be: the core's configuration and the socket's.
#[derive(Clone)]
pub struct Config {
    pub(crate) endpoint: EndpointConfig,
    pub(crate) socket: SocketConfig,
    pub(crate) wrap: Arc<Wrap>,
    pub(crate) environment: bool,
    pub(crate) recording: Option<Recording>,
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

    /// Leaves the variables of the environment unread. Else, what they say of
    /// [`Streaming`](crate::Streaming) comes before what the configuration says:
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

    /// Makes the endpoint; see [`Endpoint::bind`].
    ///
    /// # Errors
    /// The socket cannot be had, there is no randomness, or a variable says what cannot be.
    pub fn bind(self, addr: SocketAddr) -> Result<Endpoint, BindError> {
        Endpoint::bind(addr, self)
    }
}

impl From<EndpointConfig> for Config {
    fn from(endpoint: EndpointConfig) -> Self {
        let (socket, environment) = (SocketConfig::default(), true);
        let wrap: Arc<Wrap> = Arc::new(|io| Box::new(io));
        Self { endpoint, socket, wrap, environment, recording: None }
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
