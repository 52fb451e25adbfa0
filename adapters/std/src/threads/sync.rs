//! What threads share, under one name each.

pub(super) use std::sync::atomic::{AtomicBool, Ordering};
pub(super) use std::thread::{Thread, current, park, park_timeout};

pub(super) use polling::Poller;
