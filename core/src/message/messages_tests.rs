//! Tests of `messages.rs`.
