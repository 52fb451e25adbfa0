//! The tokio adapter over real sockets of this machine.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

mod cancel;
mod cancel_each;
mod cancel_opens;
mod cancel_rig;
mod codes;
mod echo;
mod ends;
mod fan;
mod figures;
mod forks;
mod forwarder;
mod gather;
mod harness;
mod messages;
mod mobile;
mod packets;
mod passing;
mod ranges;
mod recorded;
mod refusals;
mod relay;
mod relay_limits;
mod rooms;
mod socket;
mod spin;
mod stores;
mod transfer;
