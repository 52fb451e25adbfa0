//! What Aqueduct's adapters share: the socket, the loop body and the handles. No runtime.
//!
//! An adapter brings three things: readiness of the socket, a timer, and something to run the loop
//! on. All the rest is here, once: [`socket`] sets the socket up and makes batched calls,
//! [`engine::Engine`] owns the core and does one turn at a time, and the handles ([`Endpoint`],
//! [`Connection`], [`SendHalf`], [`RecvHalf`]) are what an application holds. Handles wait by plain
//! [`std::task::Waker`]s, so a thread that parks drives them as well as a runtime does.
//!
//! ```text
//!   application ─► handles ─► list of work ─► Engine ── owns ──► core
//!                     ▲                         │ ▲
//!                     └──── wakers, bytes ──────┘ └── Wire (readiness of the adapter)
//!                                                       └── SocketIo (quinn-udp, or a faulty one)
//! ```
//!
//! What is promised: handles never wait for the core (they work at it only if nobody else does, see
//! [`station`]), nobody in the loop waits for a handle, a
//! queue that a peer can fill is bounded by the credit that the peer was given, and a driver that
//! dies wakes everybody.

pub mod addrs;
pub mod clock;
mod config;
mod connection;
mod dial;
mod endpoint;
pub mod engine;
pub mod environment;
pub mod error;
pub mod fault;
mod figures;
mod given;
mod hub;
mod latency;
mod leftovers;
pub mod loss;
pub mod message;
#[cfg(feature = "metrics")]
pub mod metrics;
mod pipe;
mod planted;
mod recording;
mod recv;
pub mod relay;
pub mod seed;
mod send;
pub mod socket;
pub mod station;
mod stats;
mod tcp;
mod threads;
mod wait;

pub use addrs::NodeAddr;
pub use config::{Config, Made, generate_key};
pub use connection::{Connecting, Connection};
pub use dial::Dialing;
pub use endpoint::{Endpoint, Incoming, UDP};
pub use figures::Figures;
pub use latency::{LATENCY_BOUNDS, LatencyStats};
pub use pipe::Pipe;
pub use recording::{DiskError, Recorded, Recording, TapeEnd, tape_file};
pub use recv::{RecvHalf, Verified};
pub use send::{SEND_QUEUE, SendHalf};
pub use stats::{IoStats, MessageStats};
pub use tcp::{Carriers, is_connected, send};
