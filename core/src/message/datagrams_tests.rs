//! Tests of `datagrams.rs`.
