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
fn it_goes_by_the_carrier_that_one_asks_for() {
    let place = Place::new();
    for (args, carrier) in [(&[][..], "udp"), (&["--udp"], "udp"), (&["--tcp"], "tcp")] {
        let asked = [&["demo", "--json", "--size", "1MiB"], args].concat();
        let last = place.run(&asked).expect(0).last();
        assert_eq!((&last["carrier"], &last["digest_equal"]), (&carrier.into(), &true.into()));
    }
    let plain = place.run(&["demo", "--size", "1MB", "--tcp"]);
    assert_eq!(plain.code, Some(0), "{}", plain.stderr);
    assert!(plain.lines.iter().any(|line| line.starts_with("by ") && line.ends_with("TCP")));
}

#[test]
fn people_get_a_table() {
    let place = Place::new();
    let plain = place.run(&["demo", "--size", "1MB"]);
    assert_eq!(plain.code, Some(0), "{}", plain.stderr);
    assert!(plain.lines.iter().any(|line| line.contains("equal at all ends")));
    let heads =
        ["hop", "first byte", "added", "peak held", "held back", "out of order", "rate", "BLAKE3"];
    let is_head = |line: &&String| heads.iter().all(|head| line.contains(head));
    assert!(plain.lines.iter().any(|line| is_head(&line)), "{:?}", plain.lines);
    let column = |line: &str| {
        let head = plain.lines.iter().find(is_head).unwrap();
        let end = head.find("held back").unwrap() + "held back".len();
        line[..end].rsplit("  ").next().unwrap().trim().to_owned()
    };
    let relay = plain.lines.iter().find(|line| line.starts_with("relay 1")).unwrap();
    assert_eq!(column(relay), "0 B", "{relay}");
    let rows = [
        ("sender", "sent"),
        ("relay 1", "passes on"),
        ("receiver 1", "equal"),
        ("receiver 2", "equal"),
    ];
    for (name, digest) in rows {
        let is_row = |line: &&String| line.starts_with(name) && line.ends_with(digest);
        assert_eq!(plain.lines.iter().filter(is_row).count(), 1, "{name}: {:?}", plain.lines);
    }
    assert!(plain.lines.iter().any(|line| line.contains("passes on: ")), "{:?}", plain.lines);
}

#[test]
fn what_cannot_be_is_wrong_usage() {
    let place = Place::new();
    let cases: [(&[&str], &[&str]); 16] = [
        (
            &["--hops", "0", "--fan-out", "2"],
            &["--fan-out 2", "--hops 0", "at most 1 ", "--hops 1"],
        ),
        (&["--hops", "10", "--fan-out", "16"], &["--hops 10", "--fan-out 16", "at most 17", "26"]),
        (&["--hops", "16"], &["--hops 16", "--fan-out 2", "default", "at most 17"]),
        (&["--hops", "17"], &["'--hops ", "'17'", "0 to 16"]),
        (&["--hops", "-1"], &["'--hops ", "'-1'", "0 to 16"]),
        (&["--hops", "many"], &["'--hops ", "'many'", "0 to 16"]),
        (&["--fan-out", "0"], &["'--fan-out ", "'0'", "1 to 16"]),
        (&["--fan-out", "1000"], &["'--fan-out ", "'1000'", "1 to 16"]),
        (&["--loss", "100"], &["'--loss ", "'100'", "50 percent"]),
        (&["--loss", "-1"], &["'--loss ", "'-1'", "0, or between 0.0001 and 50 percent"]),
        (&["--loss", "much"], &["'--loss ", "'much'", "50 percent"]),
        (&["--loss", "1e-9"], &["'--loss ", "'1e-9'", "0.0001"]),
        (&["--size", "-1"], &["'--size ", "'-1'", "less than 4EiB"]),
        (&["--size", "4EiB"], &["'--size ", "'4EiB'", "less than 4EiB"]),
        (&["--size", "18446744073709551616"], &["'--size ", "less than 4EiB"]),
        (&["--size", "nonsense"], &["'--size ", "'nonsense'", "10MiB", "less than 4EiB"]),
    ];
    for (args, words) in cases {
        let ended = place.run(&[&["demo", "--json"], args].concat()).expect(2);
        for word in words {
            assert!(ended.message().contains(word), "{args:?}: {}", ended.message());
        }
    }
    place.run(&["demo", "--json", "--size", "1kB", "--hops", "16", "--fan-out", "1"]).expect(0);
    place.run(&["demo", "--json", "--size", "1kB", "--hops", "1", "--fan-out", "16"]).expect(0);
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
