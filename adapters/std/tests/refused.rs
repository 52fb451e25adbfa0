//! What an endpoint needs and the operating system does not give is an error that says what it is,
//! and nothing is left of the attempt. A process of its own, since what it may have is the process's.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]
#![cfg(target_os = "linux")]

use std::fs;
use std::net::SocketAddr;

use aqueduct_std::{BindError, Config, Endpoint, EndpointConfig, generate_key};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn bind() -> Result<Endpoint, BindError> {
    let config = Config::from(EndpointConfig::new(generate_key().unwrap()));
    Endpoint::bind(SocketAddr::from(([127, 0, 0, 1], 0)), config)
}

/// What `bind` comes to while the process may have no more of `what` than `most`.
fn bind_with(what: Resource, most: u64) -> Result<Endpoint, BindError> {
    let usual = getrlimit(what);
    setrlimit(what, Rlimit { current: Some(most), ..usual }).unwrap();
    let bound = bind();
    setrlimit(what, usual).unwrap();
    bound
}

fn descriptors() -> u64 {
    // The folder itself is open while it is counted.
    fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1
}

/// Bytes of address space in use.
fn space() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').next().unwrap().parse::<u64>().unwrap() * 4_096
}

/// Sockets cost descriptors, and a thread costs address space for its stack, 2 MiB, unless it
/// inherits that of one that has ended: here there was none.
#[test]
fn no_socket_and_no_thread_are_errors_that_say_so() {
    let before = descriptors();

    let error = bind_with(Resource::Nofile, 0).unwrap_err();
    assert!(matches!(error, BindError::Socket { .. }), "{error:?}");
    assert!(error.to_string().contains("no UDP socket on 127.0.0.1:0"), "{error}");

    let error = bind_with(Resource::As, space() + (1 << 20)).unwrap_err();
    assert!(matches!(error, BindError::Thread(_)), "{error:?}");
    assert!(error.to_string().contains("no thread"), "{error}");

    assert_eq!(descriptors(), before, "something is left");
    bind().unwrap();
}
