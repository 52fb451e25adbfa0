//! Files on their way through other nodes.

use std::fs;

use crate::support::{Place, Running, hex, noise, relay};

/// spec: R-ROUTE-3 R-ROUTE-7
#[test]
fn a_file_goes_through_two_relays_to_two_receivers() {
    let places: [Place; 5] = std::array::from_fn(|_| Place::new());
    let [source, near, far, one, two] = &places;
    let relays = [relay(near, &["--everybody"]), relay(far, &["--everybody"])];
    let receivers = [one.recv(&["--yes", "--once"]), two.recv(&["--yes", "--once"])];
    let len = 5_000_000;
    let file = source.file("film", len);
    let via = relays.each_ref().map(Running::ticket).join(",");
    let [to_one, to_two] = receivers.each_ref().map(Running::ticket);
    let mut command = source.command(&["send", "--json", "--via", &via]);
    command.arg(&file).args([to_one, to_two]);
    let sent = Running::start(command).end().expect(0);
    assert_eq!(sent.last()["digest"], hex(&noise(len)));
    assert_eq!(sent.last()["peers"].as_array().unwrap().len(), 2);
    assert_eq!(sent.transfers().len(), 2);
    for receiver in receivers {
        assert_eq!(receiver.end().expect(0).last()["digest"], hex(&noise(len)));
    }
    for place in [one, two] {
        assert!(fs::read(place.out("film")).unwrap() == noise(len));
    }
}

/// spec: R-ROUTE-7
#[test]
fn one_receiver_behind_a_relay_is_like_one_that_is_near() {
    let places: [Place; 3] = std::array::from_fn(|_| Place::new());
    let [source, between, sink] = &places;
    let passing = relay(between, &["--everybody"]);
    let receiver = sink.recv(&["--yes", "--once"]);
    let file = source.file("letter", 1234);
    let sent = source.send(&[&file], &receiver, &["--via", &passing.ticket()]).expect(0);
    assert_eq!(sent.last()["digest"], hex(&noise(1234)));
    receiver.end().expect(0);
    assert_eq!(fs::read(sink.out("letter")).unwrap(), noise(1234));
}

/// spec: R-ROUTE-4
#[test]
fn a_relay_that_was_not_asked_for_refuses_and_the_sender_is_told() {
    let places: [Place; 3] = std::array::from_fn(|_| Place::new());
    let [source, between, sink] = &places;
    // A receiver is no relay.
    let other = between.recv(&["--yes"]);
    let receiver = sink.recv(&["--yes", "--once"]);
    let file = source.file("letter", 1234);
    source.send(&[&file], &receiver, &["--via", &other.ticket()]).expect(4);
    assert!(!sink.out("letter").exists());
}

/// A relay has no use for a file of its own, and says so.
#[test]
fn a_relay_refuses_what_does_not_go_on() {
    let places: [Place; 2] = std::array::from_fn(|_| Place::new());
    let [source, between] = &places;
    let passing = relay(between, &["--everybody"]);
    let file = source.file("letter", 1234);
    source.send(&[&file], &passing, &[]).expect(4);
}

/// spec: R-ROUTE-4
#[test]
fn a_relay_takes_streams_of_those_on_its_list_only() {
    let places: [Place; 4] = std::array::from_fn(|_| Place::new());
    let [friend, stranger, between, sink] = &places;
    let id = friend.run(&["id", "--json"]).expect(0).last()["id"].as_str().unwrap().to_owned();
    let passing = relay(between, &["--allow", &id]);
    let receiver = sink.recv(&["--yes", "--once"]);
    let via = passing.ticket();
    let file = stranger.file("letter", 1234);
    stranger.send(&[&file], &receiver, &["--via", &via, "--timeout", "5"]).expect(4);
    assert!(!sink.out("letter").exists());
    let file = friend.file("letter", 1234);
    friend.send(&[&file], &receiver, &["--via", &via]).expect(0);
    receiver.end().expect(0);
    assert_eq!(fs::read(sink.out("letter")).unwrap(), noise(1234));
}

/// spec: R-ROUTE-5
#[test]
fn a_relay_keeps_its_limits_and_the_sender_learns_what_held_it_back() {
    let places: [Place; 3] = std::array::from_fn(|_| Place::new());
    let [source, between, sink] = &places;
    let passing = relay(between, &["--everybody", "--limit", "2MB", "--max-streams", "1"]);
    let receiver = sink.recv(&["--yes", "--overwrite"]);
    let file = source.file("film", 4_000_000);
    let sent = source.send(&[&file], &receiver, &["--via", &passing.ticket()]).expect(0);
    assert_eq!(sent.last()["limited_by"], "stream-credit", "{sent:?}");
    let held = |name: &str| sent.last()["limits_ms"][name].as_f64().unwrap_or_default();
    assert!(held("stream-credit") > 500.0, "{sent:?}");
    assert!(sent.last()["seconds"].as_f64().unwrap() > 1.0, "{sent:?}");
    // Straight there, and no faster than its sender says: for long enough to be looked at often,
    // and so slowly that a busy machine has no part in it.
    let slow = source.send(&[&file], &receiver, &["--limit", "2MB"]).expect(0);
    assert_eq!(slow.last()["limited_by"], "rate", "{slow:?}");
}

#[test]
fn wrong_words_for_a_relay_are_wrong_usage() {
    let place = Place::new();
    for (args, word) in [
        (vec!["--allow", "nobody"], "--allow"),
        (vec!["--everybody", "--limit", "fast"], "rate"),
        (vec!["--everybody", "--max-streams", "0"], "--max-streams"),
        (vec!["--everybody", "--max-bytes", "much"], "size"),
        (vec!["--everybody", "--allow", "nobody"], "--allow"),
        (vec!["--everybody", "--policy", "wait"], "--policy"),
        (vec!["--everybody", "--keep", "much"], "size"),
        (vec!["--everybody", "--patience", "0"], "seconds"),
    ] {
        let ended = place.run(&[vec!["relay", "--json"], args].concat()).expect(2);
        assert!(ended.message().contains(word), "{}", ended.message());
    }
    let help = place.run(&["relay", "--help"]);
    let words = ["--allow", "--everybody", "--limit", "--max-streams", "--max-bytes"];
    for word in words.into_iter().chain(["--policy", "--keep", "--patience"]) {
        assert!(help.lines.iter().any(|line| line.contains(word)), "{word}");
    }
}

#[test]
fn ways_that_cannot_be_are_wrong_usage() {
    let place = Place::new();
    let sink = Place::new();
    let receiver = sink.recv(&["--yes"]);
    let file = place.file("letter", 10);
    let (ticket, file) = (receiver.ticket(), file.to_string_lossy().into_owned());
    let several = place.run(&["send", "--json", &file, &ticket, &ticket]).expect(2);
    assert!(several.message().contains("--via"), "{}", several.message());
    let mut many = vec!["send", "--json", "--via", &ticket, &file];
    many.extend([ticket.as_str(); 17]);
    let long = place.run(&many).expect(2);
    assert!(long.message().contains("16"), "{}", long.message());
    let none = place.run(&["send", "--json", &file, "aq1nonsense"]).expect(2);
    assert!(none.message().contains("ticket"), "{}", none.message());
    place.run(&["relay", "--json"]).expect(2);
}

/// spec: R-ROUTE-5
#[test]
fn a_refusal_is_told_to_who_sends_to_several() {
    let places: [Place; 4] = std::array::from_fn(|_| Place::new());
    let [source, between, one, two] = &places;
    let passing = relay(between, &["--everybody", "--max-bytes", "1000"]);
    let receivers = [one.recv(&["--yes"]), two.recv(&["--yes"])];
    let [to_one, to_two] = receivers.each_ref().map(Running::ticket);
    let file = source.file("film", 50_000);
    let mut command = source.command(&["send", "--json", "--via", &passing.ticket()]);
    command.arg(&file).args([to_one, to_two]);
    Running::start(command).end().expect(4);
    assert!(!one.out("film").exists() && !two.out("film").exists());
}

/// spec: R-ROUTE-5 R-ROUTE-8 R-PIPE-15
#[test]
fn who_sends_to_several_is_told_which_relay_refused() {
    let places: [Place; 5] = std::array::from_fn(|_| Place::new());
    let [source, near, far, one, two] = &places;
    let little = ["--everybody", "--max-bytes", "1000"];
    let relays = [relay(near, &["--everybody"]), relay(far, &little)];
    let receivers = [one.recv(&["--yes"]), two.recv(&["--yes"])];
    let [to_one, to_two] = receivers.each_ref().map(Running::ticket);
    let file = source.file("film", 50_000);
    let via = relays.each_ref().map(Running::ticket).join(",");
    let mut command = source.command(&["send", "--json", "--via", &via]);
    command.arg(&file).args([to_one, to_two]);
    let ended = Running::start(command).end().expect(4);
    let said = ended.message();
    assert!(said.contains("refused, one relay behind the peer"), "{said}");
}

/// spec: R-ROUTE-8
#[test]
fn who_sends_to_several_hears_of_a_second_relay_that_is_none() {
    let places: [Place; 4] = std::array::from_fn(|_| Place::new());
    let [source, near, other, sink] = &places;
    let passing = relay(near, &["--everybody"]);
    let no_relay = other.recv(&["--yes"]);
    let receiver = sink.recv(&["--yes"]);
    let via = format!("{},{}", passing.ticket(), no_relay.ticket());
    let file = source.file("film", 50_000);
    let mut command = source.command(&["send", "--json", "--via", &via]);
    command.arg(&file).args([receiver.ticket(), no_relay.ticket()]);
    let ended = Running::start(command).end();
    assert!(matches!(ended.code, Some(3 | 4)), "{:?}", ended.code);
    assert!(!sink.out("film").exists());
}
