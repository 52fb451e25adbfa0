//! Aqueduct's harness: endpoints on a virtual network, in virtual time, from one seed.
//!
//! Time jumps exactly to the next thing that happens: a datagram's arrival, or the instant that an
//! endpoint named. The same seed gives the same run, byte for byte; [`net::Net::fingerprint`] says
//! so. [`byzantine`] is for peers that hold keys and keep no rule.

pub mod app;
pub mod byzantine;
pub mod forger;
pub mod guard;
pub mod link;
pub mod mob;
pub mod net;
pub mod race;
pub mod raw;
pub mod relay;
pub mod sealer;
pub mod tapes;
pub mod transfer;
pub mod ways;
pub mod world;
