//! What the command says, and how it ends when there is nothing to transfer.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, Running};

/// spec: R-TKT-5
#[test]
fn an_id_is_made_once() {
    let place = Place::new();
    let first = place.run(&["id", "--json"]).expect(0);
    let second = place.run(&["id", "--json"]).expect(0);
    assert_eq!(first.last()["id"], second.last()["id"]);
    assert_eq!((&first.last()["made"], &second.last()["made"]), (&true.into(), &false.into()));
    let key = place.path(".config/aqueduct/key");
    assert_eq!(first.last()["key"], key.to_str().unwrap());
    let plain = place.run(&["id"]);
    assert_eq!(plain.lines, [first.last()["id"].as_str().unwrap()]);
    let other = place.run(&["id", "--json", "--key", "other.key"]).expect(0);
    assert_ne!(first.last()["id"], other.last()["id"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        place.run(&["id", "--json"]).expect(7);
    }
    fs::write(place.path("broken"), "x").unwrap();
    place.run(&["id", "--json", "--key", "broken"]).expect(7);
}

#[test]
fn command_lines_that_make_no_sense() {
    let place = Place::new();
    let recv = place.recv(&["--yes"]);
    let file = place.file("f", 10);
    let file = file.to_str().unwrap();
    let good = recv.ticket();
    let letter = if good.as_bytes()[20] == b'a' { "b" } else { "a" };
    let broken = format!("{}{letter}{}", &good[..20], &good[21..]);
    for args in [
        vec!["--json"],
        vec!["--json", "fly"],
        vec!["send", "--json"],
        vec!["send", "--json", file],
        vec!["send", "--json", file, &broken],
        vec!["send", "--json", file, "--limit", "fast", &good],
        vec!["send", "--json", file, file, &good],
        vec!["send", "--json", file, "--name", "other", &good],
        vec!["send", "--json", file, "--addr", "nowhere", &good],
        vec!["ping", "--json", &broken],
        vec!["ping", "--json", "--count", "0", &good],
        vec!["recv", "--json", "--listen", "nowhere"],
        vec!["recv", "--json", "--allow", "nobody"],
        vec!["demo", "--json", "--size", "much"],
        vec!["id", "--json", "--timeout", "0"],
    ] {
        let ended = place.run(&args).expect(2);
        assert_eq!(ended.lines.len(), 1, "{args:?}");
    }
    for (args, what) in [
        (vec!["send", "--json", file, &broken], "checksum"),
        (vec!["send", "--json", &good], "no file"),
        (vec!["send", "--json", file, "--limit", "fast", &good], "fast"),
        (vec!["send", "--json", file, "--name", "other", &good], "standard input"),
    ] {
        let message = place.run(&args).message();
        assert!(message.contains(what), "{args:?}: {message}");
    }
    place.run(&["send", "--json", "missing", &good]).expect(7);
    assert!(place.received().is_empty());
}

#[test]
fn an_address_that_is_taken_is_a_fault_of_this_machine() {
    let place = Place::new();
    let first = place.recv(&["--yes"]);
    let taken = first.addrs()[0].clone();
    for args in [["recv", "--json", "--yes"], ["relay", "--json", "--everybody"]] {
        let ended = place.run(&[&args[..], &["--listen", &taken]].concat()).expect(7);
        assert!(ended.message().contains(&taken), "{}", ended.message());
    }
}

#[test]
fn help_tells_the_exit_codes() {
    let place = Place::new();
    for args in [vec!["--help"], vec!["send", "--help"], vec!["recv", "--help"]] {
        let help = place.run(&args);
        assert_eq!(help.code, Some(0));
        let text = help.lines.join("\n");
        for code in ["0  done", "1  ", "2  ", "3  ", "4  ", "5  ", "6  ", "7  ", "130  "] {
            assert!(text.contains(code), "{args:?} says nothing of {code}");
        }
    }
}

#[test]
fn nobody_at_the_address() {
    let (place, gone) = (Place::new(), Place::new());
    let recv = gone.recv(&["--yes"]);
    let (ticket, addr) = (recv.ticket(), recv.addrs()[0].clone());
    drop(recv);
    let file = place.file("f", 10);
    let file = file.to_str().unwrap();
    for args in [
        vec!["send", "--json", "--timeout", "1.5", file, &ticket],
        vec!["send", "--json", "--timeout", "1.5", "--addr", "127.0.0.1:9", file, &ticket],
        vec!["ping", "--json", "--timeout", "1.5", &ticket],
    ] {
        let ended = place.run(&args).expect(3);
        assert!(ended.took.as_secs() < 10, "{:?}", ended.took);
    }
    // Somebody answers there, but it is somebody else.
    let mut command = place.command(&["recv", "--json", "--yes", "--out", "out"]);
    command.args(["--listen", &addr]);
    let other = Running::listening(command);
    assert_ne!(other.ticket(), ticket);
    place.run(&["ping", "--json", "--timeout", "1.5", &ticket]).expect(3);
}

#[test]
fn pings_are_answered_and_counted() {
    let place = Place::new();
    let recv = place.recv(&[]);
    let args = ["ping", "--json", "--count", "7", "--interval", "1", &recv.ticket()];
    let ping = place.run(&args).expect(0);
    let pings: Vec<Value> =
        ping.events().into_iter().filter(|event| event["event"] == "ping").collect();
    assert_eq!(pings.len(), 7);
    let last = ping.last();
    assert_eq!(last["count"], 7);
    let ms = |name: &str| last[name].as_f64().unwrap();
    assert!(ms("min_ms") > 0.0 && ms("min_ms") <= ms("avg_ms") && ms("avg_ms") <= ms("max_ms"));
    let plain = place.run(&["ping", "--count", "1", &recv.ticket()]);
    assert_eq!((plain.code, plain.lines.len()), (Some(0), 3));
}

/// Every address that is announced can be dialled, also when all of them are listened on.
#[test]
fn wildcards_are_announced_as_addresses() {
    let place = Place::new();
    for listen in [None, Some("0.0.0.0:0"), Some("[::]:0"), Some("127.0.0.1"), Some("0")] {
        let mut command = place.command(&["recv", "--json", "--out", "out"]);
        if let Some(listen) = listen {
            command.args(["--listen", listen]);
        }
        let recv = Running::listening(command);
        let addrs = recv.addrs();
        assert!(addrs.iter().any(|addr| addr.starts_with("127.0.0.1:")), "{listen:?}: {addrs:?}");
        if listen == Some("127.0.0.1") {
            assert_eq!(addrs.len(), 1);
        }
        for addr in addrs {
            let args = ["ping", "--json", "--count", "1", "--addr", &addr, &recv.ticket()];
            assert_eq!(place.run(&args).expect(0).last()["remote"], addr.as_str());
        }
        place.run(&["ping", "--json", "--count", "1", &recv.ticket()]).expect(0);
    }
}

#[test]
fn people_are_told_the_other_command() {
    let place = Place::new();
    let mut command = place.command(&["recv", "--out", "out", "--listen", "127.0.0.1", "--once"]);
    command.arg("--yes").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let line = lines.find(|line| line.as_ref().unwrap().contains("aqueduct send")).unwrap();
    let line = line.unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..3], ["aqueduct", "send", "FILE"]);
    place.file("FILE", 100);
    let sent = place.run(&words[1..]);
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert!(sent.lines.is_empty(), "stdout is for results: {:?}", sent.lines);
    assert!(sent.stderr.contains("verified"), "{}", sent.stderr);
    assert!(lines.any(|line| line.unwrap().ends_with("FILE")), "the path of what came");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_reader_that_went_away_is_no_failure() {
    let place = Place::new();
    for args in [vec!["id"], vec!["id", "--json"], vec!["--help"], vec!["demo", "--size", "1MB"]] {
        let mut command = place.command(&args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[cfg(unix)]
#[test]
fn nobody_has_to_read_stderr() {
    let place = Place::new();
    let mut command = place.command(&["demo", "--json", "-vvv", "--size", "2MB"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&ended.stdout).contains(r#""event":"result""#));
}

#[cfg(target_os = "linux")]
#[test]
fn results_on_a_full_disk_are_lost_and_said_to_be() {
    let place = Place::new();
    for args in [vec!["id"], vec!["id", "--json"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = place.command(&args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(7), "{args:?}: {stderr}");
        assert!(stderr.contains("no space left"), "{stderr}");
    }
}

#[test]
fn help_is_a_result_and_a_complaint_is_whole() {
    let place = Place::new();
    for args in [vec!["--help", "--json"], vec!["--json", "--version"]] {
        let help = place.run(&args).expect(0);
        assert!(help.last()["text"].as_str().unwrap().len() > 5, "{help:?}");
    }
    let missing = place.run(&["send", "--json"]).expect(2);
    assert!(missing.message().contains("not provided: <FILE>"), "{}", missing.message());
}

#[test]
fn logs_are_plain_where_no_colour_is_wanted() {
    let place = Place::new();
    let mut command = place.command(&["demo", "-vv", "--size", "100KB"]);
    command.env("NO_COLOR", "1");
    let ended = Running::start(command).end();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("endpoint bound"), "{}", ended.stderr);
    assert!(!ended.stderr.contains('\x1b'), "{}", ended.stderr);
}
