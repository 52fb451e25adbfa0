//! What a relay grants its guests, while they send.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::metrics::Scrape;
use crate::support::{Ended, Place, Running, hex, noise, relay};

/// Who sends, who relays, who receives.
fn three() -> [Place; 3] {
    std::array::from_fn(|_| Place::new())
}

fn refusal(ended: &Ended) -> String {
    assert_eq!(ended.code, Some(4), "{ended:?}");
    ended.message()
}

/// spec: R-ROUTE-5
#[test]
fn a_second_stream_at_a_time_is_refused_and_the_first_goes_on() {
    let [source, between, sink] = &three();
    let mut passing = relay(between, &["--everybody", "--max-streams", "1"]);
    let receiver = sink.recv(&["--yes"]);
    let via = passing.ticket();
    let film = source.file("film", 3_000_000);
    let letter = source.file("letter", 1_000);
    let first = source.start_send(&[&film], &receiver, &["--via", &via, "--limit", "1MB"]);
    passing.wait_for("relaying");
    let second = source.send(&[&letter], &receiver, &["--via", &via]);
    assert!(refusal(&second).contains("refused"), "{second:?}");
    assert!(!sink.out("letter").exists());
    assert_eq!(first.end().expect(0).last()["digest"], hex(&noise(3_000_000)));
    // Its place is free once it has ended.
    passing.wait_for("relayed");
    source.send(&[&letter], &receiver, &["--via", &via]).expect(0);
    assert_eq!(fs::read(sink.out("letter")).unwrap(), noise(1_000));
}

/// spec: R-ROUTE-5
#[test]
fn bytes_are_counted_over_streams_and_one_that_passes_them_is_ended() {
    let ([source, between, sink], other) = (&three(), Place::new());
    let mut passing = relay(between, &["--everybody", "--max-bytes", "1MB"]);
    let receiver = sink.recv(&["--yes"]);
    let via = passing.ticket();
    let files = [source.file("one", 600_000), source.file("two", 600_000)];
    source.send(&[&files[0]], &receiver, &["--via", &via]).expect(0);
    passing.wait_for("relayed");
    // It says that it is larger than what is left.
    refusal(&source.send(&[&files[1]], &receiver, &["--via", &via]));
    // From a pipe nobody knows that: it passes what is left, and is ended on the way.
    let mut command = source.command(&["send", "--json", "--via", &via, "--name", "endless", "-"]);
    command.arg(receiver.ticket()).stdin(Stdio::piped());
    let mut endless = Running::start(command);
    endless.feed(&noise(600_000));
    refusal(&endless.end());
    // Nothing is left for anything.
    let small = source.file("small", 1_000);
    refusal(&source.send(&[&small], &receiver, &["--via", &via]));
    let why = passing.wait_for("refused");
    assert!(why["message"].as_str().unwrap().contains("bytes of a peer"), "{why}");
    assert_eq!(sink.received(), ["one"]);
    // Another sender has his own.
    let file = other.file("three", 600_000);
    other.send(&[&file], &receiver, &["--via", &via]).expect(0);
}

/// spec: R-FILE-2 R-ROUTE-5
#[test]
fn a_transfer_keeps_no_more_of_its_senders_bytes_than_it_has() {
    let [source, between, sink] = &three();
    let mut passing = relay(between, &["--everybody", "--max-bytes", "1MB"]);
    let receiver = sink.recv(&["--yes"]);
    let via = passing.ticket();
    let slow = source.file("slow", 500_000);
    let sending = source.start_send(&[&slow], &receiver, &["--via", &via, "--limit", "250kB"]);
    passing.wait_for("relaying");
    // Of the rest there is enough for this one, and for its body's few bytes more.
    let letter = source.file("letter", 490_000);
    source.send(&[&letter], &receiver, &["--via", &via]).expect(0);
    sending.end().expect(0);
}

/// spec: R-ROUTE-20
#[test]
fn an_answer_is_silent_for_longer_than_a_relay_is_patient() {
    let [source, between, sink] = &three();
    let passing = relay(between, &["--everybody", "--patience", "1"]);
    let receiver = sink.recv(&["--yes", "--once"]);
    let film = source.file("film", 4_000_000);
    let args = ["--via", &passing.ticket(), "--limit", "1MB"];
    let sent = source.send(&[&film], &receiver, &args).expect(0);
    assert!(sent.last()["seconds"].as_f64().unwrap() > 2.0, "{sent:?}");
    receiver.end().expect(0);
}

/// spec: R-PIPE-17
#[test]
fn a_stream_that_stands_still_is_ended_when_the_patience_is() {
    let [source, between, sink] = &three();
    let passing = relay(between, &["--everybody", "--patience", "0.5"]);
    let receiver = sink.recv(&["--yes", "--once"]);
    let mut command = source.command(&["send", "--json", "--via", &passing.ticket()]);
    command.args(["--name", "never", "-"]).arg(receiver.ticket()).stdin(Stdio::piped());
    // Its standard input stays open, and nothing is written to it.
    let silent = Running::start(command);
    receiver.end().expect(3);
    let ended = silent.end();
    assert!(matches!(ended.code, Some(1 | 3)), "{ended:?}");
    assert!(ended.message().contains("no progress"), "{}", ended.message());
    assert!(sink.received().is_empty());
}

/// A sender to two receivers of which the second takes 2 MB a second of 6; the relay keeps `keep`.
fn one_of_two_is_slow(keep: &str) -> ([Place; 4], Ended, Ended, Ended) {
    let places: [Place; 4] = std::array::from_fn(|_| Place::new());
    let [source, between, near, far] = &places;
    let passing = relay(between, &["--everybody", "--policy", "detach", "--keep", keep]);
    let fast = near.recv(&["--yes", "--once"]);
    let slow = far.recv(&["--yes", "--once", "--limit", "2MB"]);
    let film = source.file("film", 12_000_000);
    let mut command = source.command(&["send", "--json", "--limit", "6MB", "--via"]);
    command.arg(passing.ticket()).arg(film).args([fast.ticket(), slow.ticket()]);
    let sent = Running::start(command).end();
    let (fast, slow) = (fast.end(), slow.end());
    (places, sent, fast.expect(0), slow)
}

/// spec: R-ROUTE-9 R-ROUTE-10 R-PIPE-23
#[test]
fn a_receiver_that_was_given_up_asks_for_the_rest_and_finishes() {
    let (places, sent, _fast, slow) = one_of_two_is_slow("32MB");
    sent.expect(0);
    let events = slow.expect(0).events();
    let resumed: Vec<&Value> = events.iter().filter(|event| event["event"] == "resumed").collect();
    assert_eq!(resumed.len(), 1, "{events:?}");
    let at = resumed[0]["at"].as_u64().unwrap();
    assert!((1..12_000_000).contains(&at), "{at}");
    for place in &places[2..] {
        assert!(fs::read(place.out("film")).unwrap() == noise(12_000_000));
    }
}

/// More than a window holds is kept as far as it goes, and stops nothing. Who stays slow falls back
/// by his allowance each time, half of the stock at least, before he has to ask again.
///
/// spec: R-PIPE-23 R-PIPE-26
#[test]
fn a_receiver_that_stays_slow_asks_a_few_times_for_what_is_kept() {
    let [source, between, near, far]: [Place; 4] = std::array::from_fn(|_| Place::new());
    let passing = relay(&between, &["--everybody", "--policy", "detach", "--keep", "10GB"]);
    let fast = near.recv(&["--yes", "--once"]);
    let mut slow = far.recv(&["--yes", "--limit", "2MB", "--metrics", "0"]);
    let film = source.file("film", 12_000_000);
    let mut command = source.command(&["send", "--json", "--limit", "6MB", "--via"]);
    command.arg(passing.ticket()).arg(film).args([fast.ticket(), slow.ticket()]);
    Running::start(command).end().expect(0);
    fast.end().expect(0);
    assert!(fs::read(far.out("film")).unwrap() == noise(12_000_000));
    let asked = Scrape::of(&mut slow).get("streams_opened_total{by=\"this_side\"}");
    println!("asked {asked} times");
    assert!(asked <= 12_000_000 / (512 << 10), "asked {asked} times");
}

/// spec: R-ROUTE-11
#[test]
fn what_is_no_longer_held_is_lost_and_both_ends_say_so() {
    let (places, sent, _fast, slow) = one_of_two_is_slow("0");
    let slow = slow.expect(1);
    assert!(slow.message().contains("detached"), "{}", slow.message());
    assert!(slow.message().contains("no such range"), "{}", slow.message());
    assert!(places[3].received().is_empty());
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(fs::read(places[2].out("film")).unwrap() == noise(12_000_000));
}
