//! Aqueduct's harness: endpoints on a virtual network, in virtual time, from one seed.
//!
//! Time jumps exactly to the next thing that happens: a datagram's arrival, or the instant that an
//! endpoint named. The same seed gives the same run, byte for byte; [`net::Net::fingerprint`] says
//! so.
//!
//! | room | what is there |
//! |---|---|
//! | [`link`] | what can happen to a datagram between two hosts: one machine a file |
//! | [`net`] | hosts with sockets and clocks, NATs, byte streams, cross traffic, time |
//! | [`app`], [`relay`], [`transfer`] | applications that check every byte |
//! | [`model`], [`guard`] | what must hold after every step, at every datagram |
//! | [`swarm`] | random worlds: from a seed everything, and the search for one that fails |
//! | [`scenario`] | the table of named scenarios, and the matrix of round trips, loss and size |
//! | [`world`], [`ways`], [`race`] | a pair, a chain of relays, told thing by thing; a race |
//! | [`tapes`], [`every`] | recording and replaying; a run with every call in it |
//! | [`byzantine`], [`mob`], [`forger`], [`sealer`] | peers that hold keys and keep no rule |
//! | [`rogue`] | such a peer on a network, among honest hosts |
//! | [`holes`] | texts of which parts are never written |
//! | `wiretap` | reads packet numbers off the wire: no nonce is used twice |
//! | [`raw`] | one endpoint, by hand |
//! | [`conduit`], [`fragments`] | one pipe, by hand; and what goes through it in which order |

pub mod app;
pub mod byzantine;
pub mod conduit;
pub mod dice;
pub mod every;
pub mod forger;
pub mod fragments;
pub mod guard;
pub mod holes;
pub mod link;
pub mod mob;
pub mod model;
pub mod net;
pub mod provider;
pub mod race;
pub mod raw;
pub mod relay;
pub mod rogue;
pub mod scenario;
pub mod sealer;
pub mod swarm;
pub mod tapes;
pub mod transfer;
pub mod ways;
#[cfg(feature = "wiretap")]
pub mod wiretap;
pub mod world;

/// Whether it is seen on the wire itself, and not only told by the endpoints, that no packet
/// number, and so no nonce, is used twice: the feature `wiretap`.
pub const WIRE_IS_READ: bool = cfg!(feature = "wiretap");
