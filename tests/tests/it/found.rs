//! What scenarios and random worlds found, each as a case of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use aqueduct_tests::link::{Delay, Schedule};
use aqueduct_tests::scenario::{
    self,
    lab::{ENDS, Lab, usual},
};

/// A probe time-out sent a whole batch, of sixteen datagrams or as many as the socket takes at
/// once: nothing but their number bounds probes, and a batch was filled before they were counted.
///
/// spec: R-CC-17
#[test]
fn a_probe_time_out_sends_two_packets_and_no_batch() {
    let mut run = Lab::over(1, usual(), usual()).connect();
    run.begin_fetch(&[4 << 20]);
    run.pair.pass(Duration::from_secs(1));
    let net = &mut run.pair.net;
    let shut = Schedule::once(net.now, Duration::ZERO, Duration::from_secs(3_600));
    for (from, to) in [(ENDS[0], ENDS[1]), (ENDS[1], ENDS[0])] {
        net.lay(from, to, &[Box::new(shut), Box::new(Delay::of(Duration::from_millis(10)))]);
    }
    // What was under way still arrives nowhere; the sender hears nothing any more.
    run.pair.pass(Duration::from_millis(50));
    run.pair.net.recording = Some(Vec::new());
    run.pair.pass(Duration::from_secs(4));
    let from = run.pair.net.hosts[1].addr;
    let mut sent: BTreeMap<u64, usize> = BTreeMap::new();
    let recording = run.pair.net.recording.take().expect("a recording");
    for datagram in recording.iter().filter(|datagram| datagram.from == from) {
        *sent.entry(datagram.at.as_nanos()).or_default() += 1;
    }
    assert!(sent.len() >= 3, "no probes: {sent:?}");
    assert!(sent.values().all(|count| *count <= 2), "more than probes: {sent:?}");
}

/// Probes of the packet size had no mark although they are acknowledged, so that the peer's counts
/// fell short and marking ended with the first of them; and what was counted as congestion changed
/// nothing: a queue that marks was filled to its end.
///
/// spec: R-PATH-23 R-PATH-24 R-CC-3
#[test]
fn marks_are_kept_up_and_answered() {
    let (report, _) =
        scenario::twice("ecn", 1).unwrap_or_else(|failure| panic!("{}", failure.what));
    assert!(report.figures.iter().any(|(name, count)| *name == "reductions" && *count > 0.0));
}
