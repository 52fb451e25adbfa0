//! What an operator sets by the environment reaches the endpoint. The environment is the process's,
//! and of a running one it cannot be changed: this one begins itself anew with another.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use aqueduct_std::{AppCode, Endpoint, Received, Sent, generate_key};

/// Bytes of a message, and whether it has to go as a stream.
const EXPECTED: &str = "EXPECTED";

fn begin_anew(variables: &[(&str, &str)], expected: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "messages_go_as_expected", "--ignored"]);
    for name in ["", "_THRESHOLD", "_SHADOW"] {
        command.env_remove(format!("AQUEDUCT_STREAMING{name}"));
    }
    let ended = command.envs(variables.iter().copied()).env(EXPECTED, expected).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{variables:?}: {said}");
}

/// spec: R-MODE-4 R-MODE-5
#[test]
fn the_largest_whole_message_is_as_the_environment_says() {
    begin_anew(&[], "65536 whole, 65537 streamed");
    begin_anew(&[("AQUEDUCT_STREAMING_THRESHOLD", "1000")], "1000 whole, 1001 streamed");
    begin_anew(&[("AQUEDUCT_STREAMING", "false")], "65537 whole");
}

#[test]
#[ignore = "the other test runs it, with an environment"]
fn messages_go_as_expected() {
    let Ok(expected) = std::env::var(EXPECTED) else { return };
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let node = || Endpoint::bind(loopback, generate_key().unwrap()).unwrap();
    let (client, server) = (node(), node());
    thread::scope(|scope| {
        let taking = scope.spawn(|| server.accept().unwrap().unwrap().accept().unwrap());
        let near = client.connect((server.node_id(), server.local_addr())).unwrap();
        let far = taking.join().unwrap();
        for message in expected.split(", ") {
            let (size, way) = message.split_once(' ').unwrap();
            let size: usize = size.parse().unwrap();
            let far = far.clone();
            let reading = scope.spawn(move || match far.recv_auto().unwrap() {
                Received::Whole(body) => (body.len(), "whole"),
                Received::Stream(body) => (body.collect_all().unwrap().len(), "streamed"),
                _ => (0, "neither"),
            });
            let sent = near.send_auto(vec![7_u8; size]).unwrap();
            assert_eq!(matches!(sent, Sent::Whole), way == "whole", "{message}");
            assert_eq!(reading.join().unwrap(), (size, way));
        }
        near.close(AppCode(0), b"");
    });
}
