//! Tests of `send.rs`.
