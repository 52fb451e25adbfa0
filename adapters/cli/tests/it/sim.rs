//! `sim`: virtual worlds, by the command.

use crate::support::Place;

/// spec: R-EP-43
#[test]
fn scenarios_are_listed_and_played_twice() {
    let place = Place::new();
    let listed = place.run(&["sim", "list", "--json"]).expect(0).last();
    let names: Vec<_> = listed["scenarios"]
        .as_array()
        .unwrap()
        .iter()
        .map(|scenario| scenario["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.len() > 20 && names.contains(&"world".to_owned()), "{names:?}");
    let people = place.run(&["sim", "list"]);
    assert_eq!((people.code, people.lines.len()), (Some(0), names.len()));
    let run = ["sim", "run", "world", "--json", "--seed"];
    let [one, again, other] =
        ["1", "1", "2"].map(|seed| place.run(&[&run[..], &[seed]].concat()).expect(0).last());
    let print = |run: &serde_json::Value| run["scenarios"][0]["fingerprint"].to_string();
    assert_eq!(print(&one), print(&again));
    assert!(one["scenarios"][0]["tapes_replayed"].as_u64() >= Some(2), "{one}");
    assert_ne!(print(&one), print(&other));
    assert_eq!(print(&one).len(), 64 + 2, "{one}");
    // The table that the tests of the core play, too.
    let table = include_str!("../../../../tests/tables/worlds.txt");
    assert!(table.contains(&print(&one).replace('"', "")), "{one}");
}

/// spec: R-TAPE-21
#[test]
fn a_scenario_is_recorded_and_its_tapes_run_again() {
    let place = Place::new();
    let run = |more: &[&str]| place.run(&[&["sim", "run", "--json"], more].concat());
    let plain = run(&["handshake"]).expect(0).last();
    let recorded = run(&["handshake", "--trace", "t"]).expect(0).last();
    assert_eq!(recorded["scenarios"], plain["scenarios"]);
    assert_eq!(recorded["tapes"], serde_json::json!(["t.0", "t.1"]));
    let replayed = place.run(&["trace", "replay", "--json", "t.0", "t.1"]).expect(0).last();
    for replay in replayed["replays"].as_array().unwrap() {
        assert_eq!(replay["whole"], true, "{replay}");
        assert!(replay["received_bytes"].as_u64() > Some(1_000), "{replay}");
    }
    for refused in [&["run", "all"][..], &["list"], &["swarm"]] {
        let refused = place.run(&[&["sim"], refused, &["--trace", "x"]].concat());
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
    // What to do instead, with the seed that a search told.
    let search = place.run(&["sim", "swarm", "--trace", "x"]);
    assert!(search.stderr.contains("`aqueduct sim run world --seed N --trace FILE`"), "{search:?}");
    assert!(!place.path("x").exists() && !place.path("x.0").exists());
}

#[test]
fn a_search_says_what_it_came_to() {
    let place = Place::new();
    let search = ["sim", "swarm", "--seconds", "2", "--jobs", "1", "--seed", "1"];
    let last = place.run(&[&search[..], &["--json"]].concat()).expect(0).last();
    assert!(last["worlds"].as_u64() > Some(0) && last["played_twice"].as_u64() > Some(0), "{last}");
    assert!(last["worlds_per_second"].as_f64() > Some(0.0), "{last}");
    assert!(last["simulated_hours"].as_f64() > Some(0.0), "{last}");
    assert!(last["median_simulated_seconds"].as_f64() >= Some(60.0), "{last}");
    assert!(
        last["median_bytes"].as_u64() > Some(0) && last["messages"].as_u64() > Some(0),
        "{last}"
    );
    assert!(last["tapes_replayed"].as_u64() >= Some(2), "{last}");
    assert_eq!((&last["first_seed"], &last["failures"]), (&1.into(), &serde_json::json!([])));
    // Two seconds are too few for all that is rare.
    let never = last["never_taken"].as_array().unwrap();
    assert!(never.iter().all(|name| name.as_str().unwrap().contains(": ")), "{last}");
    let people = place.run(&search);
    assert_eq!(people.code, Some(0), "{people:?}");
    assert!(people.lines[0].contains("simulated hours"), "{people:?}");
    assert!(people.lines[0].contains(" tapes of them replayed, "), "{people:?}");
    assert!(people.lines[0].contains("the median world 60 s and "), "{people:?}");
}

#[test]
fn a_search_plays_as_many_worlds_twice_as_is_asked_for() {
    let place = Place::new();
    let search = ["sim", "swarm", "--seconds", "1", "--jobs", "1", "--seed", "1", "--json"];
    let [none, each] = ["0", "1"].map(|every| {
        place.run(&[&search[..], &["--twice-every", every]].concat()).expect(0).last()
    });
    assert_eq!((&none["played_twice"], &none["tapes_replayed"]), (&0.into(), &0.into()), "{none}");
    assert!(none["worlds"].as_u64() > Some(0), "{none}");
    assert_eq!(each["played_twice"], each["worlds"], "{each}");
}

#[test]
fn wrong_words_are_refused() {
    let place = Place::new();
    let wrong: [&[&str]; 9] = [
        &["sim"],
        &["sim", "swim"],
        &["sim", "run"],
        &["sim", "run", "nowhere"],
        &["sim", "run", "world", "--seed", "-1"],
        &["sim", "swarm", "--seconds", "0"],
        &["sim", "swarm", "--jobs", "0"],
        &["sim", "swarm", "--seconds", "soon"],
        &["sim", "swarm", "--twice-every", "-1"],
    ];
    for words in wrong {
        let refused = place.run(words);
        assert_eq!(refused.code, Some(2), "{words:?}: {refused:?}");
        assert!(!refused.stderr.contains("panicked"), "{refused:?}");
    }
    let none = place.run(&["sim", "run", "nowhere", "--json"]).expect(2);
    assert!(none.message().contains("nowhere"), "{none:?}");
}
