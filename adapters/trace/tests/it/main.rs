//! What a tape shows, in one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

mod browser;
mod chrome;
mod pcapng;
mod qlog;
mod report;
mod support;
