//! The page's frame and data (spec 24.2).

use std::time::Duration;

use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::tape::Payload;
use aqueduct_core::trace::{self, Way};
use aqueduct_tests::tapes::{again, small};
use aqueduct_trace::{Format, MAX_PAGE, export, report, report_all};
use serde_json::Value;

use crate::support::{apart, bulk, chain, crowded, losses, packets, tells, views};

/// The data that stands in the page.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn sum(column: &Value) -> u64 {
    column.as_array().unwrap().iter().filter_map(Value::as_u64).sum()
}

/// spec: R-RPT-4
#[test]
fn it_asks_for_nothing_outside_itself() {
    let page = report(&bulk(Payload::Full)[0], "bulk").unwrap().page;
    assert!(page.contains("default-src 'none'"));
    let frame = page.replace("http://www.w3.org/2000/svg", "");
    for asks in
        ["http:", "https:", "src=", "@import", "url(", "fetch(", "XMLHttp", "<link", "import("]
    {
        assert!(!frame.contains(asks), "{asks}");
    }
    assert!(!page.contains("/*{"), "every place of the frame is filled");
}

/// spec: R-RPT-4
#[test]
fn nothing_of_a_tape_becomes_markup() {
    let tape = &small(Payload::Full)[0];
    let name = "</script><script>alert(1)</script><!-- \u{2028}";
    let page = report(tape, name).unwrap().page;
    assert_eq!(data(&page)["nodes"][0]["name"], name);
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("alert(1)</script>") && !page.contains("<!-- "));
    assert!(!page.contains('\u{2028}'));
}

/// The page's numbers are those of the tape and of the run.
///
/// spec: R-RPT-5
#[test]
fn sums_and_columns_are_those_of_the_run() {
    for tape in bulk(Payload::Full).iter().chain(&small(Payload::Full)) {
        let report = report(tape, "run").unwrap();
        assert_eq!((report.diverged, report.notes), (None, vec![]));
        let (data, views, summary) = (data(&report.page), views(tape), again(tape));
        let sums = &data["sums"];
        assert_eq!(sums["bytes"][0], summary.sent.1);
        assert_eq!(sums["bytes"][1], summary.received.1);
        let both = [Way::Sent, Way::Received].map(|way| packets(&views, way).len());
        assert_eq!(
            (sums["packets"][0].as_u64(), sums["packets"][1].as_u64()),
            (Some(both[0] as u64), Some(both[1] as u64))
        );
        assert_eq!(sums["lost"], losses(&views));
        let rows = &data["packets"];
        assert_eq!(rows["at"].as_array().unwrap().len(), both[0] + both[1]);
        assert_eq!(sum(&rows["sent"]), both[0] as u64);
        assert_eq!(sum(&rows["size"]), summary.sent.1 + summary.received.1);
        let fates = rows["fate"].as_array().unwrap();
        assert_eq!(fates.iter().filter(|fate| **fate == 3 || **fate == 4).count(), losses(&views));
        assert_eq!(data["nodes"][0]["records"], summary.records);
        assert_eq!(data["connections"].as_array().unwrap().len(), 1);
    }
}

/// spec: R-RPT-5
#[test]
fn a_transfer_has_curves_lanes_and_what_was_sent_again() {
    let [sender, receiver] = bulk(Payload::Full);
    let sender = data(&report(&sender, "sender").unwrap().page);
    let one = &sender["connections"][0];
    assert!(one["lost"].as_u64() > Some(2) && one["again"].as_u64() > Some(0), "{one}");
    for curve in ["window", "flight", "threshold", "pacing", "latest", "smoothed", "least"] {
        let [times, values] = [0, 1].map(|at| one["curves"][curve][at].as_array().unwrap());
        assert!(times.len() == values.len() && !times.is_empty(), "{curve}");
        assert!(times.is_sorted_by_key(|time| time.as_u64()), "{curve}");
    }
    assert!(one["curves"]["flight"][0].as_array().unwrap().len() > 20);
    let stream = &one["streams"][0];
    assert_eq!((&stream["moved"][0], &stream["moved"][1]), (&300_000.into(), &0.into()));
    assert!(stream["again"][0].as_u64() > Some(0));
    let marks = stream["marks"].as_array().unwrap();
    assert!(marks.iter().any(|mark| mark[1] == "delivered"), "{marks:?}");
    let lane = stream["lane"]["out"].as_str().unwrap();
    assert!(lane.len() == 500 && lane.contains('9') && lane.contains('0'));
    assert!(one["rtt"]["median"].as_u64() > Some(0) && one["connected"].is_u64());
    let receiver = data(&report(&receiver, "receiver").unwrap().page);
    assert_eq!(receiver["connections"][0]["streams"][0]["moved"][1], 300_000);
    assert_eq!(receiver["connections"][0]["dialled"], false);
    let ops = receiver["lines"]["op"].as_array().unwrap();
    assert!(ops.iter().any(|op| op == "Incoming") && ops.iter().any(|op| op == "Take"));
}

/// A relay: two hops, and what its pipe held.
///
/// spec: R-RPT-5
#[test]
fn a_relay_has_its_hops_and_pipes() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/traces/pipe-relay.tape");
    let data = data(&report(&std::fs::read(file).unwrap(), "relay").unwrap().page);
    let hops = data["connections"].as_array().unwrap();
    assert_eq!(hops.len(), 2);
    let moved = |hop: usize, side: usize| hops[hop]["moved"][side].as_u64().unwrap();
    let (back, out) = (moved(0, 1) + moved(1, 1), moved(0, 0) + moved(1, 0));
    assert!(back > 1_000 && out > 1_000, "{back} came, {out} went");
    let held = data["nodes"][0]["piped"][1].as_array().unwrap();
    assert!(held.iter().any(|bytes| bytes.as_u64() > Some(0)), "{held:?}");
}

/// Source, relay and sink on one page: connections are joined, and what the source sent is followed
/// to the sink, in the order of time.
///
/// spec: R-RPT-13 R-RPT-5
#[test]
fn a_chain_is_seen_hop_by_hop() {
    let tapes = chain();
    let names = ["source", "relay", "sink"];
    let named: Vec<_> = tapes.iter().map(Vec::as_slice).zip(names).collect();
    let report = report_all(&named).unwrap();
    assert_eq!(report.notes, Vec::<String>::new());
    let data = data(&report.page);
    let ends = data["connections"].as_array().unwrap();
    assert_eq!(ends.len(), 4);
    for (at, end) in ends.iter().enumerate() {
        let other = &ends[end["other"].as_u64().unwrap() as usize];
        assert!(other["other"] == at && other["node"] != end["node"], "{end}");
        assert_ne!(other["dialled"], end["dialled"]);
    }
    let way = data["ways"][0].as_array().unwrap();
    let stops: Vec<_> = way.iter().map(|at| (at["node"].as_u64(), at["sent"].as_u64())).collect();
    assert_eq!(stops, [(0, 1), (1, 0), (1, 1), (2, 0)].map(|(n, s)| (Some(n), Some(s))));
    for (before, point) in way.iter().zip(&way[1..]) {
        assert!(point["moved"] == before["moved"] && point["moved"].as_u64() > Some(10_000));
        assert!(point["first"].as_u64() >= before["first"].as_u64(), "{way:?}");
        assert!(point["last"].as_u64() >= before["last"].as_u64(), "{way:?}");
        let [times, bytes] = [0, 1].map(|at| point["path"][at].as_array().unwrap());
        assert!(bytes.last() == Some(&point["moved"]) && times.len() == bytes.len());
        assert!(bytes.is_sorted_by_key(|bytes| bytes.as_u64()));
    }
    let sums = |node: usize| data["nodes"][node]["sums"]["packets"][0].as_u64().unwrap();
    assert_eq!(data["sums"]["packets"][0], sums(0) + sums(1) + sums(2));
    assert!(data["packets"]["at"].as_array().unwrap().is_sorted_by_key(|at| at.as_u64()));
}

/// Two ends whose clocks are an hour apart: on the page each packet comes half a round trip after
/// it went.
///
/// spec: R-RPT-13
#[test]
fn clocks_are_set_by_packets() {
    let ahead = Duration::from_secs(3_600);
    let [here, there] = apart(ahead);
    let report = report_all(&[(&here, "here"), (&there, "there")]).unwrap();
    let data = data(&report.page);
    let within = data["nodes"][1]["within"].as_u64().unwrap();
    assert_eq!((&data["nodes"][0]["within"], within), (&0.into(), 10_000));
    let rows = &data["packets"];
    let column = |name: &str| rows[name].as_array().unwrap().clone();
    let (at, node, sent, number) = (column("at"), column("node"), column("sent"), column("number"));
    let mut left = std::collections::HashMap::new();
    let mut took = Vec::new();
    for row in (0..at.len()).filter(|row| node[*row] == u64::from(sent[*row] == 0)) {
        let at = at[row].as_u64().unwrap();
        let Some(number) = number[row].as_u64() else { continue };
        match sent[row] == 1 {
            true => _ = left.insert(number, at),
            false => took.extend(left.get(&number).map(|left| at - left)),
        }
    }
    assert!(took.len() > 100, "{}", took.len());
    assert!(took.iter().all(|took| (9_990..30_000).contains(took)), "{took:?}");
}

/// spec: R-RPT-13
#[test]
fn a_node_that_tells_nothing_begins_with_the_page() {
    let [full, other] = bulk(Payload::Full);
    let elided = trace::redact(&other).unwrap();
    let report = report_all(&[(&full, "one"), (&elided, "other")]).unwrap();
    assert!(report.notes.iter().any(|note| note.starts_with("other: No packet of this node")));
    let data = data(&report.page);
    assert!(data["nodes"][1]["within"].is_null() && data["nodes"][1]["shift"] == 0);
    assert!(data["connections"].as_array().unwrap().iter().all(|one| one["other"].is_null()));
    let (at, why) = report_all(&[(&full, "one"), (b"no tape", "x")]).unwrap_err();
    assert_eq!((at, why.to_string().is_empty()), (1, false));
}

/// spec: R-RPT-6 R-RPT-13
#[test]
fn many_nodes_share_the_bounds_of_a_page() {
    let crowd = crowded();
    let tapes: Vec<_> = (0..4).map(|_| (crowd.as_slice(), "crowd")).collect();
    let report = report_all(&tapes).unwrap();
    assert!(report.page.len() <= MAX_PAGE, "{} bytes", report.page.len());
    let data = data(&report.page);
    assert!(data["packets"]["at"].as_array().unwrap().len() <= 24_000);
    assert_eq!(data["sums"]["packets"][1], 1_200_000);
}

/// spec: R-RPT-6
#[test]
fn a_page_of_a_large_tape_is_bounded_and_says_so() {
    let tape = crowded();
    let report = report(&tape, "crowd").unwrap();
    assert!(report.page.len() <= MAX_PAGE, "{} bytes", report.page.len());
    let data = data(&report.page);
    assert_eq!(data["sums"]["packets"][1], 300_000, "sums are of everything");
    let shown = data["packets"]["at"].as_array().unwrap().len();
    assert!(shown > 1_000 && shown <= 24_000, "{shown}");
    let note = format!("{shown} of 300000 packets");
    assert!(report.notes.iter().any(|text| text.contains(&note)), "{:?}", report.notes);
    let notes = data["notes"].as_array().unwrap();
    assert!(notes.iter().any(|text| text.as_str().unwrap().contains(&note)));
}

/// spec: R-RPT-7 R-RPT-3
#[test]
fn what_cannot_be_shown_is_said() {
    let full = &bulk(Payload::Full)[0];
    let of = |tape: &[u8]| {
        let report = report(tape, "x").unwrap();
        (report.notes.join("\n"), data(&report.page))
    };
    let (notes, page) = of(&trace::redact(full).unwrap());
    assert!(notes.contains("no payload and no keys"), "{notes}");
    assert_eq!(page["sums"]["bytes"][0], again(full).sent.1);
    assert_eq!(page["connections"][0]["streams"][0]["moved"][0], 300_000, "by the calls");
    assert_eq!((&page["sums"]["lost"], &page["nodes"][0]["depth"]), (&0.into(), &"records".into()));
    let (notes, page) = of(&bulk(Payload::Referenced)[0]);
    assert!(notes.contains("by reference"), "{notes}");
    assert!(page["sums"]["lost"].as_u64() > Some(0), "all the rest is there");
    let (notes, _) = of(&full[..full.len() / 2]);
    assert!(notes.contains("torn or damaged from byte"), "{notes}");
    assert!(report(b"no tape", "x").is_err());
}

/// spec: R-RPT-7
#[test]
fn a_divergence_is_said_and_the_rest_is_shown() {
    let tape = &small(Payload::Full)[0];
    let first = trace::Trace::open(tape).unwrap().segments().next().unwrap();
    let other = (first.offset + 300..first.offset + first.records.len()).find_map(|at| {
        let mut other = tape.clone();
        other[at] ^= 1;
        let other = aqueduct_tests::tapes::mended(&other);
        let differs = matches!(trace::replay(&other), Err(trace::Divergence::Differs(_)));
        let read = trace::records(&other).is_ok_and(|mut all| all.all(|one| one.is_ok()));
        (differs && read).then_some(other)
    });
    let report = report(&other.expect("some bit matters"), "x").unwrap();
    assert!(report.diverged.is_some());
    assert!(report.notes[0].contains("something else"), "{:?}", report.notes);
    assert!(data(&report.page)["lines"]["at"].as_array().unwrap().len() > 10);
}

/// spec: R-RPT-8
#[test]
fn no_key_and_no_payload_is_in_it() {
    for tape in small(Payload::Full).iter().chain(&bulk(Payload::Full)) {
        assert!(tells(tape), "the tape has them");
        assert!(!tells(report(tape, "x").unwrap().page.as_bytes()));
    }
}

/// Whatever a file says behind right checks: a page and exports are made of it, or it is refused.
///
/// spec: R-TAPE-16 R-RPT-6
#[test]
fn a_tape_that_lies_is_shown_as_it_lies() {
    let full = &small(Payload::Full)[0];
    let elided = trace::redact(full).unwrap();
    let (mut shown, mut rng) = (0, Rng::new(&Seed::from_u64(16)));
    for tape in [full, &elided] {
        let body = trace::Trace::open(tape).unwrap().segments().next().unwrap().offset - 24;
        for _ in 0..150 {
            let mut other = tape.clone();
            for _ in 0..=rng.below(3) {
                let at = body + rng.below((tape.len() - body) as u64) as usize;
                other[at] = [0xff, 0x80, other[at] ^ 1, rng.u64() as u8][rng.below(4) as usize];
            }
            let other = aqueduct_tests::tapes::mended(&other);
            let Ok(report) = report(&other, "lies") else { continue };
            assert!(report.page.len() <= MAX_PAGE);
            shown += 1;
            for format in [Format::Qlog, Format::Chrome, Format::Pcapng] {
                export(&other, format, &mut Vec::new()).unwrap();
            }
        }
    }
    assert!(shown > 200, "{shown}");
}
