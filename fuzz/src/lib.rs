//! Fuzz targets of Aqueduct as plain functions, with their corpus.
//!
//! Each target takes any bytes and says how many steps it made of them: frames read, operations
//! played. It panics where a promise of the core is broken: machines are compared with plain
//! models, or two honest ends must agree and come to rest. The binaries in `fuzz_targets/` hand a
//! fuzzer's bytes to these functions, and `cargo test` replays the committed corpus,
//! `corpus/TARGET/`, through the same ones. What a fuzzer finds becomes a file there. How to run
//! them: `README.md` beside.

pub mod crypto;
pub mod endpoint;
pub mod flow;
pub mod message;
pub mod path;
pub mod pipe;
pub mod recovery;
pub mod stream;
pub mod streams;
pub mod tape;
pub mod ticket;
pub mod watch;
pub mod wire;
pub mod world;

use aqueduct_core::script;
use arbitrary::{Arbitrary, Unstructured};

/// A target by its name, for the replay of its corpus.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The folder below `corpus/`, and the binary.
    pub name: &'static str,
    /// What is run on each file; says how many steps it made.
    pub run: fn(&[u8]) -> usize,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "acks", run: wire::acks },
    Target { name: "assembler", run: stream::assembler },
    Target { name: "datagrams", run: message::datagrams },
    Target { name: "deframe", run: path::deframe },
    Target { name: "flow", run: flow::flow },
    Target { name: "frame", run: wire::frame },
    Target { name: "handshake", run: crypto::handshake },
    Target { name: "hello", run: wire::hello },
    Target { name: "keys", run: crypto::keys },
    Target { name: "messages", run: message::messages },
    Target { name: "packet", run: wire::packet },
    Target { name: "pair", run: endpoint::pair },
    Target { name: "params", run: wire::params },
    Target { name: "pipe", run: pipe::pipe },
    Target { name: "recovery", run: recovery::recovery },
    Target { name: "replay", run: crypto::replay },
    Target { name: "route", run: wire::route },
    Target { name: "send_buffer", run: stream::send_buffer },
    Target { name: "streams", run: streams::streams },
    Target { name: "tape", run: tape::tape },
    Target { name: "ticket", run: ticket::ticket },
    Target { name: "watch", run: watch::watch },
    Target { name: "world", run: world::world },
    Target { name: "writer", run: wire::writer },
];

/// Runs the target of this name.
///
/// # Panics
///
/// If there is none, or a promise is broken.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    assert!(target.is_some(), "no target {name}");
    target.into_iter().for_each(|target| _ = (target.run)(data));
}

/// Operations for as long as there are bytes.
fn ops<'a, T: Arbitrary<'a>>(data: &'a [u8]) -> Vec<T> {
    script::rest(&mut Unstructured::new(data)).unwrap_or_default()
}

/// A script with more to it than its operations; `None` where the bytes do not make one.
fn script<'a, T: Arbitrary<'a>>(data: &'a [u8]) -> Option<T> {
    T::arbitrary(&mut Unstructured::new(data)).ok()
}

#[cfg(test)]
mod tests;
