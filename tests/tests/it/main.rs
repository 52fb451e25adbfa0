//! The integration tests, in one binary.

mod byzantine;
mod closing;
mod extremes;
mod routes;
mod strangers;
mod tamper;
mod tidy;
mod transfer;
