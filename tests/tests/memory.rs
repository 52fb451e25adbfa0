//! Memory and allocations, counted by the allocator itself: a binary of its own, because everything in
//! the process is counted.

use std::alloc::System;
use std::sync::Mutex;
use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, TransportConfig};
use aqueduct_core::crypto::handshake::Initiator;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, EventKind, Output, PeerAddr,
};
use aqueduct_core::error::TransportCode;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::frame::{Frame, StreamFrame};
use aqueduct_core::wire::id::{ConnectionId, Dir, StreamId};
use aqueduct_core::wire::open::{OpenFrame, Protocol};
use aqueduct_core::wire::params::Params;
use aqueduct_tests::byzantine::{Duel, Role, byzantine_config, honest, numbers};
use aqueduct_tests::mob::{Mob, Rioter};
use aqueduct_tests::net::UDP;
use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[path = "memory/crowd.rs"]
mod crowd;
#[path = "memory/duels.rs"]
mod duels;
#[path = "memory/fan.rs"]
mod fan;
#[path = "memory/forks.rs"]
mod forks;
#[path = "memory/handshakes.rs"]
mod handshakes;
#[path = "memory/holes.rs"]
mod holes;
#[path = "memory/hours.rs"]
mod hours;
#[path = "memory/left.rs"]
mod left;
#[path = "memory/pair.rs"]
mod pair;
#[path = "memory/skips.rs"]
mod skips;
#[path = "memory/storm.rs"]
mod storm;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time: the counters are the process's.
static ALONE: Mutex<()> = Mutex::new(());

/// Bytes that are allocated now.
fn live() -> i64 {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
}

/// Times that memory was asked for, so far.
fn requests() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

const BUDGET: u64 = 2 * 1024 * 1024;
const CONNECTIONS: u64 = 8;
/// Where two ends are.
const PLACES: [([u8; 4], u16); 2] = [([10, 0, 0, 1], 1), ([10, 0, 0, 2], 2)];
/// Spec R-FLOW-3: a connection's record, and a stream's.
const C: u64 = 64 * 1024;
const S: u64 = 4 * 1024;

fn small() -> EndpointConfig {
    honest().with_memory(BUDGET, CONNECTIONS as u32).expect("a lawful budget")
}

fn opening(id: StreamId, head: &[u8]) -> Vec<u8> {
    let mut plaintext = Vec::new();
    let frame = OpenFrame { head, ..OpenFrame::new(id, Protocol::Name(&[b'n'; 64])) };
    Frame::Open(frame).encode(&mut plaintext);
    plaintext
}

fn body(id: StreamId, offset: u64, data: &[u8]) -> Vec<u8> {
    let mut plaintext = Vec::new();
    Frame::Stream(StreamFrame { id, offset, data, fin: false }).encode(&mut plaintext);
    plaintext
}
