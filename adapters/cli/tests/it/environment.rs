//! What an operator sets by the environment.

use std::fs;

use crate::support::{Place, Running, noise};

const SWITCH: &str = "true, on or 1, or false, off or 0";

/// A relay that may not pipe lets nothing through, and says so to both.
///
/// spec: R-MODE-4 R-MODE-13 R-ROUTE-4
#[test]
fn a_relay_without_piped_forwarding_refuses() {
    for variable in ["AQUEDUCT_PIPED_FORWARDING", "AQUEDUCT_STREAMING"] {
        let places: [Place; 3] = std::array::from_fn(|_| Place::new());
        let [source, between, sink] = &places;
        let mut command = between.command(&["relay", "--json", "--everybody"]);
        command.args(["--listen", "127.0.0.1"]).env(variable, "false");
        let mut passing = Running::listening(command);
        let receiver = sink.recv(&["--yes", "--once"]);
        let file = source.file("letter", 1234);
        let sent = source.send(&[&file], &receiver, &["--via", &passing.ticket()]).expect(4);
        assert!(sent.message().contains("refused"), "{}", sent.message());
        let refused = passing.wait_for("refused");
        let why = refused["message"].as_str().unwrap();
        assert!(why.contains("piped forwarding is off"), "{why}");
        assert!(!sink.out("letter").exists());
        // Straight there it goes.
        source.send(&[&file], &receiver, &[]).expect(0);
    }
}

/// spec: R-MODE-4
#[test]
fn a_wrong_value_is_wrong_usage_and_says_what_is_possible() {
    let place = Place::new();
    let file = place.file("letter", 10);
    let receiver = place.recv(&["--yes"]);
    let ticket = receiver.ticket();
    let send = ["send", "--json", file.to_str().unwrap(), &ticket];
    let recv = ["recv", "--json", "--yes", "--listen", "127.0.0.1"];
    let relay = ["relay", "--json", "--everybody", "--listen", "127.0.0.1"];
    for (variable, value, possible) in [
        ("AQUEDUCT_STREAMING", "yes", SWITCH),
        ("AQUEDUCT_STREAMING_THRESHOLD", "64KiB", "a number of bytes"),
        ("AQUEDUCT_PIPED_FORWARDING", "never", SWITCH),
        ("AQUEDUCT_STREAMING_SHADOW", "2", SWITCH),
    ] {
        for args in [&send[..], &recv, &relay] {
            let mut command = place.command(args);
            command.env(variable, value);
            let ended = Running::start(command).end().expect(2);
            let said = ended.message();
            assert!(said.contains(&format!("{variable}={value}")), "{args:?}: {said}");
            assert!(said.contains(possible), "{args:?}: {said}");
        }
    }
}

/// Files are streams and no messages: they go as ever.
///
/// spec: R-MODE-12
#[test]
fn what_is_about_messages_leaves_files_alone() {
    let (source, sink) = (Place::new(), Place::new());
    let settings = [
        ("AQUEDUCT_STREAMING", "false"),
        ("AQUEDUCT_STREAMING_THRESHOLD", "0"),
        ("AQUEDUCT_STREAMING_SHADOW", "true"),
    ];
    let mut command = sink.command(&["recv", "--json", "--yes", "--once", "--out", "out"]);
    command.args(["--listen", "127.0.0.1"]).envs(settings);
    let receiver = Running::listening(command);
    let file = source.file("film", 300_000);
    let mut command = source.command(&["send", "--json"]);
    command.arg(&file).arg(receiver.ticket()).envs(settings);
    Running::start(command).end().expect(0);
    receiver.end().expect(0);
    assert!(fs::read(sink.out("film")).unwrap() == noise(300_000));
}
