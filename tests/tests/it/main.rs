//! The integration tests, in one binary.

mod tidy;
mod transfer;
