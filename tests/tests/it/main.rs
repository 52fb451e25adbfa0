//! The integration tests, in one binary.

mod tamper;
mod tidy;
mod transfer;
