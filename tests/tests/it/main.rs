//! The integration tests, in one binary.

mod closing;
mod routes;
mod strangers;
mod tamper;
mod tidy;
mod transfer;
