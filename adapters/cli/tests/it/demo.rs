//! The demonstration: everybody in one process.

use crate::support::{Place, Running};

#[test]
fn it_needs_nothing_and_says_what_every_hop_cost() {
    let place = Place::new();
    let mut command = place.command(&["demo", "--json", "--size", "8MiB"]);
    command.env_remove("HOME");
    let demo = Running::start(command).end().expect(0);
    let transfers = demo.lines.iter().filter(|line| line.contains("\"event\":\"transfer\""));
    assert_eq!(transfers.filter(|line| line.contains("\"ok\":true")).count(), 1);
    let last = demo.last();
    assert_eq!(last["digest_equal"], true);
    assert_eq!(last["bytes"], 8 << 20);
    for field in ["bytes_per_second", "packets_sent"] {
        assert!(last[field].as_u64().is_some_and(|value| value > 0), "{field}: {last}");
    }
    for field in ["handshake_seconds", "ready_seconds", "first_byte_seconds", "seconds"] {
        assert!(last[field].as_f64().is_some_and(|value| value > 0.0), "{field}: {last}");
    }
    let hops = last["hops"].as_array().unwrap();
    let names: Vec<_> = hops.iter().map(|hop| hop["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["relay 1", "receiver 1", "receiver 2"]);
    for hop in hops {
        assert!(hop["first_byte_seconds"].as_f64().is_some_and(|value| value > 0.0), "{hop}");
        assert!(hop["bytes_per_second"].as_u64().is_some_and(|value| value > 0), "{hop}");
    }
    let [relay, one, two] = hops.as_slice() else { panic!("{hops:?}") };
    assert!(relay["peak_held_bytes"].as_u64().is_some_and(|held| held > 1000), "{relay}");
    assert_eq!(relay["peak_held_back_bytes"], 0);
    assert_eq!((&one["digest_equal"], &two["digest_equal"]), (&true.into(), &true.into()));
    assert!(!place.path(".config").exists());
}

#[test]
fn as_many_hops_and_receivers_as_one_likes_over_links_that_lose() {
    let place = Place::new();
    let args = ["demo", "--json", "--size", "1MiB"];
    let ways: [(&[&str], usize); 3] = [
        (&["--hops", "0"], 1),
        (&["--hops", "3", "--fan-out", "1"], 4),
        (&["--hops", "1", "--fan-out", "3", "--loss", "2%"], 4),
    ];
    for (more, hops) in ways {
        let last = place.run(&[&args[..], more].concat()).expect(0).last();
        assert_eq!(last["hops"].as_array().unwrap().len(), hops, "{last}");
        assert_eq!(last["digest_equal"], true);
        let hops = last["hops"].as_array().unwrap().iter();
        let mut waited = hops.clone().filter_map(|hop| hop["peak_held_back_bytes"].as_u64());
        assert!(waited.all(|bytes| bytes == 0), "{last}");
        let above_gaps: Vec<_> =
            hops.map(|hop| hop["peak_out_of_order_bytes"].as_u64().unwrap()).collect();
        if more.contains(&"2%") {
            // Of some 700 packets to each a dozen are lost.
            assert!(above_gaps.iter().all(|bytes| *bytes > 1000), "{last}");
            assert!(last["packets_lost"].as_u64().is_some_and(|lost| lost > 0), "{last}");
        }
    }
    place.run(&["demo", "--json", "--size", "0"]).expect(0);
}

#[test]
fn people_get_a_table() {
    let place = Place::new();
    let plain = place.run(&["demo", "--size", "1MB"]);
    assert_eq!(plain.code, Some(0), "{}", plain.stderr);
    assert!(plain.lines.iter().any(|line| line.contains("equal at all ends")));
    let heads = ["hop", "first byte", "added", "peak held", "out of order", "rate", "BLAKE3"];
    let is_head = |line: &&String| heads.iter().all(|head| line.contains(head));
    assert!(plain.lines.iter().any(|line| is_head(&line)), "{:?}", plain.lines);
    for name in ["sender", "relay 1", "receiver 1", "receiver 2"] {
        assert!(plain.lines.iter().any(|line| line.starts_with(name)), "{name}: {:?}", plain.lines);
    }
}

#[test]
fn what_cannot_be_is_wrong_usage() {
    let place = Place::new();
    for (args, word) in [
        (vec!["--hops", "0", "--fan-out", "2"], "--hops 1"),
        (vec!["--hops", "10", "--fan-out", "16"], "at most 16"),
        (vec!["--hops", "17"], "17"),
        (vec!["--fan-out", "0"], "0"),
        (vec!["--loss", "60"], "percent"),
        (vec!["--loss", "much"], "percentage"),
    ] {
        let ended = place.run(&[vec!["demo", "--json"], args].concat()).expect(2);
        assert!(ended.message().contains(word), "{}", ended.message());
    }
}

#[cfg(unix)]
#[test]
fn it_ends_when_the_user_has_enough() {
    let place = Place::new();
    let command = place.command(&["demo", "--json", "--size", "1TB"]);
    let running = Running::start(command);
    running.until_it_listens_to_ctrl_c();
    // Somewhere in the middle of it, wherever a machine is by then.
    std::thread::sleep(std::time::Duration::from_millis(500));
    running.signal(rustix::process::Signal::INT);
    running.end().expect(130);
}
