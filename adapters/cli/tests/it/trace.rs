//! Recording with `--trace`, and what is done with the files.

use std::fs;

use aqueduct_tests::tapes::mended;
use aqueduct_tokio::trace::{self, Difference, Divergence, Trace};

use crate::support::{Ended, Place, relay};

/// Ended with this code, and said so for people.
#[track_caller]
fn plain(ended: Ended, code: i32) -> Ended {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    ended
}

/// spec: R-TAPE-11 R-TAPE-13 R-TAPE-18
#[test]
fn a_demonstration_runs_again_is_shown_and_redacted() {
    let place = Place::new();
    let args = ["demo", "--json", "--size", "2MiB", "--loss", "1", "--trace", "t"];
    let demo = place.run(&args).expect(0);
    assert_eq!(demo.last()["digest_equal"], true);
    let files = ["t", "t.relay-1", "t.receiver-1", "t.receiver-2"];
    let replayed = place.run(&[&["trace", "replay", "--json"], &files[..]].concat()).expect(0);
    let last = replayed.last();
    let replays = last["replays"].as_array().unwrap();
    assert_eq!(replays.len(), 4);
    for replay in replays {
        assert_eq!((&replay["divergences"], &replay["whole"]), (&0.into(), &true.into()));
        assert!(replay["received_bytes"].as_u64() > Some(1_000), "{replay}");
    }
    let show = ["trace", "show", "--topic", "event,call", "--stream"];
    let shown = plain(place.run(&[&show[..], &["2", "t"]].concat()), 0);
    assert!(shown.lines.iter().any(|line| line.contains(" Write ")), "{:?}", shown.lines);
    assert!(shown.lines.iter().all(|line| !line.contains("Datagram")));
    plain(place.run(&["trace", "redact", "t", "-o", "given-away"]), 0);
    plain(place.run(&["trace", "redact", "t", "-o", "given-away"]), 7);
    let redacted = plain(place.run(&["trace", "show", "given-away"]), 0);
    assert_eq!(redacted.lines.len() as u64, replays[0]["records"]);
    let refused = plain(place.run(&["trace", "replay", "given-away"]), 1);
    assert!(refused.stderr.contains("for looking at"), "{}", refused.stderr);
}

/// The file is there, it is its owner's alone, its warning was printed, and it runs again.
#[track_caller]
fn recorded(place: &Place, ended: &Ended, named: &str, file: &str) {
    let told = format!("recording to {named}: whoever has that file has this node's key");
    assert!(ended.stderr.contains(&told), "{told}? {}", ended.stderr);
    let tape = fs::read(place.path(file)).unwrap();
    assert!(trace::replay(&tape).is_ok(), "{file}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(place.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// Each verb that runs nodes: `send`, `recv`, `relay`, `ping`, `demo`, `sim run`. A file that was
/// there and everybody could read is its owner's alone from then on.
///
/// spec: R-TAPE-18 R-TAPE-21
#[cfg(unix)]
#[test]
fn every_verb_that_records_makes_a_file_of_its_owners_and_warns() {
    let places: [Place; 4] = std::array::from_fn(|_| Place::new());
    let [source, between, sink, other] = &places;
    for (place, file) in [(source, "sent"), (sink, "received"), (source, "played.0")] {
        fs::write(place.path(file), "from another time").unwrap();
    }
    let passing = relay(between, &["--everybody", "--trace", "passed"]);
    let receiver = sink.recv(&["--yes", "--once", "--trace", "received"]);
    let answers = other.recv(&["--yes"]);
    let ping = ["ping", "--json", "--count", "1", "--trace", "asked", &answers.ticket()];
    let pinged = source.run(&ping);
    recorded(source, &pinged.expect(0), "asked", "asked");
    let file = source.file("letter", 50_000);
    let sent = source.send(&[&file], &receiver, &["--via", &passing.ticket(), "--trace", "sent"]);
    recorded(source, &sent.expect(0), "sent", "sent");
    recorded(sink, &receiver.end().expect(0), "received", "received");
    passing.until_it_listens_to_ctrl_c();
    passing.signal(rustix::process::Signal::INT);
    recorded(between, &passing.end(), "passed", "passed");
    let demo = ["demo", "--size", "1MiB", "--trace", "shown"];
    let demo = plain(source.run(&demo), 0);
    for file in ["shown", "shown.relay-1", "shown.receiver-1", "shown.receiver-2"] {
        recorded(source, &demo, "shown", file);
    }
    let played = plain(source.run(&["sim", "run", "handshake", "--trace", "played"]), 0);
    for file in ["played.0", "played.1"] {
        recorded(source, &played, "played.N", file);
    }
}

/// The tape of a run that was another, in one bit of a record, and how its replay differs.
fn another(tape: &[u8]) -> (Vec<u8>, Difference) {
    let first = Trace::open(tape).unwrap().segments().next().unwrap();
    let len = first.records.len();
    let other = |at: usize| {
        let mut other = tape.to_vec();
        other[first.offset + at] ^= 1;
        let other = mended(&other);
        match trace::replay(&other) {
            Err(Divergence::Differs(difference)) => Some((other, *difference)),
            _ => None,
        }
    };
    (len / 2..len).find_map(other).unwrap()
}

/// spec: R-TAPE-11
#[test]
fn a_replay_that_differs_has_a_code_of_its_own_and_names_the_step() {
    let place = Place::new();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/traces/small-dialer.tape");
    let (tape, difference) = another(&fs::read(golden).unwrap());
    fs::write(place.path("other"), tape).unwrap();
    plain(place.run(&["trace", "replay", golden]), 0);
    let replayed = plain(place.run(&["trace", "replay", "other"]), 6);
    let step = format!("other: diverges at step {}, ", difference.step);
    assert!(difference.step > 0 && replayed.stderr.contains(&step), "{}", replayed.stderr);
    for said in [&difference.expected, &difference.actual] {
        assert!(replayed.stderr.contains(said), "{said} in {}", replayed.stderr);
    }
    // Programs get it in parts, and what ran before it as well.
    let args = ["trace", "replay", "--json", golden, "other", golden];
    let told = place.run(&args).expect(6);
    let mut events = told.events();
    events.retain(|event| event["event"] == "replay");
    let [before, differs] = &events[..] else { panic!("{told:?}") };
    assert_eq!((&before["file"], &before["divergences"]), (&golden.into(), &0.into()));
    assert!(before["records"].as_u64() > Some(50), "{before}");
    assert_eq!((&differs["file"], &differs["divergences"]), (&"other".into(), &1.into()));
    let at = (&differs["step"], &differs["ns"]);
    assert_eq!(at, (&difference.step.into(), &difference.time.as_nanos().into()));
    let records = (&differs["expected"], &differs["actual"]);
    assert_eq!(records, (&difference.expected.into(), &difference.actual.into()));
    assert!(told.message().contains(&step), "{told:?}");
}

/// spec: R-TAPE-6
#[test]
fn a_torn_file_is_told_and_its_whole_part_runs() {
    let place = Place::new();
    let args = ["demo", "--size", "1MiB", "--hops", "0", "--trace", "t"];
    let demo = plain(place.run(&args), 0);
    assert!(demo.stderr.contains("has this node's key"), "{}", demo.stderr);
    let tape = fs::read(place.path("t")).unwrap();
    fs::write(place.path("torn"), &tape[..tape.len() - 1_000]).unwrap();
    let replayed = plain(place.run(&["trace", "replay", "torn"]), 0);
    assert!(replayed.lines[0].contains("torn or damaged"), "{:?}", replayed.lines);
    fs::write(place.path("other"), b"no tape").unwrap();
    plain(place.run(&["trace", "replay", "other"]), 1);
    plain(place.run(&["trace", "replay", "nowhere"]), 7);
    plain(place.run(&["trace", "show", "t", "--topic", "nonsense"]), 2);
    plain(place.run(&["id", "--trace", "x"]), 2);
    assert!(!place.path("x").exists());
}

/// spec: R-TAPE-12 R-TAPE-13 R-RPT-3
#[test]
fn what_of_the_payload_is_kept_can_be_chosen() {
    let place = Place::new();
    let run = |kept: &str| {
        let args = ["demo", "--size", "1MiB", "--hops", "0", "--trace", kept];
        plain(place.run(&[&args[..], &["--trace-payload", kept]].concat()), 0)
    };
    let (full, referenced) = (run("full"), run("referenced"));
    let elided = run("elided");
    assert!(full.stderr.contains("has this node's key"), "{}", full.stderr);
    assert!(referenced.stderr.contains("has this node's key"), "{}", referenced.stderr);
    assert!(elided.stderr.contains("without keys and payload"), "{}", elided.stderr);
    let size = |name: &str| fs::metadata(place.path(name)).unwrap().len();
    assert!(size("full") > 1 << 20 && size("referenced") < 1 << 18 && size("elided") < 1 << 18);
    let replayed = plain(place.run(&["trace", "replay", "full", "referenced"]), 0);
    assert!(!replayed.lines[0].contains("not compared"), "{:?}", replayed.lines);
    assert!(replayed.lines[1].contains("not compared"), "{:?}", replayed.lines);
    plain(place.run(&["trace", "replay", "elided"]), 1);
    plain(place.run(&["demo", "--trace-payload", "full"]), 2);
}

/// spec: R-RPT-4 R-RPT-7 R-RPT-9 R-RPT-10 R-RPT-11
#[test]
fn a_demonstration_is_drawn_and_written_for_others() {
    let place = Place::new();
    let args = ["demo", "--size", "1MiB", "--loss", "2", "--trace", "t"];
    plain(place.run(&args), 0);
    let drawn = plain(place.run(&["trace", "report", "t.relay-1", "-o", "relay.html"]), 0);
    assert!(drawn.lines[0].contains("to be opened in a browser"), "{:?}", drawn.lines);
    let page = fs::read_to_string(place.path("relay.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("t.relay-1"));
    plain(place.run(&["trace", "report", "t", "-o", "relay.html"]), 7);
    plain(place.run(&["trace", "redact", "t", "-o", "given-away"]), 0);
    let less = place.run(&["trace", "report", "--json", "given-away", "-o", "less.html"]).expect(0);
    assert_eq!(less.last()["notes"].as_array().unwrap().len(), 1);
    for format in ["qlog", "chrome", "pcapng"] {
        let args = ["trace", "export", "--json", "--format", format, "t", "-o", format];
        let last = place.run(&args).expect(0).last().clone();
        assert!(last["packets"].as_u64() > Some(700) && last["diverged"].is_null(), "{last}");
        let written = fs::read(place.path(format)).unwrap();
        assert!(written.len() > 5_000, "{format}: {} bytes", written.len());
    }
    let chrome: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path("chrome")).unwrap()).unwrap();
    assert!(chrome["traceEvents"].as_array().unwrap().len() > 50, "{chrome}");
    fs::write(place.path("other"), b"no tape").unwrap();
    plain(place.run(&["trace", "export", "--format", "qlog", "other", "-o", "none"]), 1);
    assert!(!place.path("none").exists());
}
