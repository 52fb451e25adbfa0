//! Tests of `recv.rs`.
