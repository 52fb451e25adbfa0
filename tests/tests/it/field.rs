//! Loss, windows and crowds as a comparable system met them in the field, by the numbers of chapter
//! 23.2 of the spec.

use std::time::Duration;

use aqueduct_core::config::TransportConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::App;
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::scenario::lab::{ENDS, Lab, Run, config, simple};
use aqueduct_tests::transfer::connected;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const MBIT: u64 = 1_000_000;

/// 100 Mbit/s without a queue that matters, and one half of the round trip each way.
fn long(rtt: Duration, loss: u32) -> LinkConfig {
    LinkConfig { delay: rtt / 2, loss, rate: Some(12_500_000), queue: 4 << 20, ..<_>::default() }
}

/// Two that are connected over such a link.
fn over(seed: u64, link: LinkConfig) -> Run {
    let mut lab = Lab::over(seed, Vec::new(), Vec::new());
    lab.net = Net::new(seed, link);
    ENDS.into_iter().zip(1..).for_each(|(_, node)| _ = lab.net.add(config(node), seed));
    lab.connect()
}

/// Bytes that have arrived at who reads.
fn arrived(run: &Run) -> u64 {
    run.pair.a.read()
}

fn sent(run: &mut Run) -> u64 {
    run.stats()[1].ledger.packets_sent
}

/// All that is sent next is lost, until these were `count` packets.
fn lose_the_next(run: &mut Run, link: LinkConfig, count: u64) {
    run.pair.net.set_link(ENDS[0], ENDS[1], LinkConfig { loss: 1000, ..link });
    let until = sent(run) + count;
    let mut steps = 0;
    while sent(run) < until {
        run.pair.pass(MS / 10);
        steps += 1;
        assert!(steps < 100_000, "it sends no more");
    }
    run.pair.net.set_link(ENDS[0], ENDS[1], link);
}

fn is_reduced(run: &mut Run) -> bool {
    run.stats()[1].path.congestion_events > 0
}

/// Lesson 9: one to ten packets of a recovery that has just begun are lost, too.
#[test]
fn a_recovery_that_loses_its_first_packets_has_no_hole_of_seconds() {
    let link = long(MS * 50, 50);
    for count in 1..=10 {
        let mut run = over(count, link);
        run.begin_fetch(&[1_000_000]);
        while !is_reduced(&mut run) {
            run.pair.pass(MS / 100);
        }
        lose_the_next(&mut run, link, count);
        let (mut last, mut still, mut longest) = (arrived(&run), Duration::ZERO, Duration::ZERO);
        while last < 1_000_000 {
            run.pair.pass(MS * 10);
            still = if arrived(&run) > last { Duration::ZERO } else { still + MS * 10 };
            (last, longest) = (arrived(&run), longest.max(still));
            assert!(longest < SECOND, "{count} lost: nothing for {longest:?}");
        }
    }
}

/// Lesson 10: what is in flight, and what was sent, are bytes of datagrams as they are on the wire.
///
/// spec: R-REC-13
#[test]
fn flight_is_counted_in_bytes_of_the_wire() {
    let mut run = over(10, long(MS * 200, 0));
    run.pair.pass(SECOND * 3);
    let before = run.stats()[1];
    assert_eq!(before.bytes_in_flight, 0);
    run.pair.net.recording = Some(Vec::new());
    let from = run.pair.net.hosts[1].addr;
    let on_the_wire = |run: &Run| -> u64 {
        let recorded = run.pair.net.recording.iter().flatten();
        recorded.filter(|one| one.from == from).map(|one| one.bytes.len() as u64).sum()
    };
    run.begin_fetch(&[3_000_000]);
    // The first of it is not acknowledged before 200 ms.
    run.pair.pass(MS * 190);
    let (flight, wire) = (run.stats()[1].bytes_in_flight, on_the_wire(&run));
    println!("{wire} bytes on the wire, {flight} in flight");
    assert!(wire > 10_000);
    assert_eq!(flight, wire);
    run.finish(SECOND * 10);
    run.pair.pass(SECOND * 3);
    let after = run.stats()[1];
    assert_eq!(after.path.sent_bytes - before.path.sent_bytes, on_the_wire(&run));
    assert_eq!(after.bytes_in_flight, 0);
}

/// Lesson 24: minutes of keep-alives and of a few bytes now and then between two transfers teach no
/// controller that the way is slow: the second goes no slower than the first.
///
/// spec: R-REC-4
#[test]
fn keep_alives_teach_the_rate_nothing() {
    for controller in [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr, Algorithm::Weir] {
        let transport = TransportConfig::default()
            .with_controller(controller)
            .with_keep_alive(Some(SECOND * 5));
        let nodes = [1, 2].map(|number| config(number).with_transport(transport.clone()));
        let road = || simple(MS * 20, 20 * MBIT, 60);
        let mut run = Lab::new(24, [road(), road()], nodes).connect();
        let first = run.fetch(&[4_000_000], SECOND * 20);
        for _ in 0..120 {
            run.fetch(&[40], SECOND);
            run.pair.pass(SECOND);
        }
        let second = run.fetch(&[4_000_000], SECOND * 20);
        println!("{controller:?}: {first:?}, and {second:?} after two minutes of little");
        assert!(second <= first.mul_f64(1.1), "{controller:?}: {second:?} after {first:?}");
    }
}

/// Lesson 13: twenty in a row are lost on a way of 135 ms. From the last of them it is two round
/// trips until all below has arrived: one until the loss is known, a half until it is mended.
///
/// spec: R-REC-20
#[test]
fn a_burst_of_twenty_is_mended_within_two_round_trips() {
    let rtt = MS * 135;
    let link = long(rtt, 0);
    let mut run = over(13, link);
    run.begin_fetch(&[20_000_000]);
    while arrived(&run) < 4_000_000 {
        run.pair.pass(MS * 5);
    }
    lose_the_next(&mut run, link, 20);
    let (lost_by, there) = (run.pair.net.now, run.pair.b.out[0].taken);
    let before = run.stats()[1].ledger.lost;
    while run.stats()[1].ledger.lost < before + 20 {
        run.pair.pass(MS);
    }
    let hole = arrived(&run);
    assert!(hole < there);
    // The hole is filled when reading goes on by more than it was wide.
    while arrived(&run) < hole + 100_000 {
        run.pair.pass(MS);
    }
    let took = run.pair.net.now.saturating_since(lost_by);
    assert!(took <= rtt * 2, "{took:?}");
}

/// Lesson 17: for two seconds nothing passes, and everything is due to be sent again. What comes
/// back is read all the same: little is sent twice that had arrived.
#[test]
fn when_everything_is_due_acks_are_read_all_the_same() {
    let link = long(MS * 50, 0);
    let mut run = over(17, link);
    run.begin_fetch(&[20_000_000]);
    while arrived(&run) < 4_000_000 {
        run.pair.pass(MS * 5);
    }
    run.pair.net.set_link(ENDS[0], ENDS[1], LinkConfig { loss: 1000, ..link });
    run.pair.pass(SECOND * 2);
    let flight = run.stats()[1].bytes_in_flight;
    run.pair.net.set_link(ENDS[0], ENDS[1], link);
    run.finish(SECOND * 30);
    let resent = run.stats()[1].stream_stats.resent;
    let bound = flight + 100_000;
    assert!(resent <= bound, "{resent} said again of {flight} that were under way");
}

/// Lessons 19 and 20: time-outs one after another on a way of 135 ms leave no threshold that
/// growth creeps from.
///
/// spec: R-CC-6
#[test]
fn time_outs_one_after_another_do_not_freeze_growth() {
    let link = long(MS * 135, 0);
    let mut run = over(19, link);
    let fresh = run.fetch(&[2_300_000], SECOND * 10);
    for _ in 0..4 {
        run.begin_fetch(&[100_000]);
        run.pair.pass(MS * 100);
        run.pair.net.set_link(ENDS[0], ENDS[1], LinkConfig { loss: 1000, ..link });
        run.pair.pass(SECOND * 3);
        run.pair.net.set_link(ENDS[0], ENDS[1], link);
        run.finish(SECOND * 10);
    }
    let ledger = run.stats()[1].ledger;
    assert!(ledger.probe_timeouts >= 4 && ledger.persistent_congestion >= 1, "{ledger:?}");
    let after = run.fetch(&[2_300_000], SECOND * 10);
    println!("{fresh:?}, and {after:?} after time-outs");
    assert!(after <= fresh * 2, "{after:?}, {fresh:?} on a fresh connection");
}

/// Lesson 22: on a long way that is kept full the window is reduced a few times in half a minute at
/// most.
#[test]
fn reductions_are_rare_on_a_long_way() {
    let rate = 50 * MBIT / 8;
    let queue = rate * 137 / 1000;
    let link = LinkConfig { rate: Some(rate), queue, delay: MS * 137 / 2, ..LinkConfig::default() };
    let mut run = over(22, link);
    run.begin_fetch(&[200_000_000]);
    run.pair.pass(SECOND * 30);
    let reductions = run.stats()[1].path.congestion_events;
    let reached = arrived(&run) as f64 / (30 * rate) as f64;
    println!("{reductions} reductions, {:.0} % of the link", reached * 100.0);
    assert!(reductions <= 6, "{reductions}");
    assert!(reached >= 0.8, "{reached}");
}

/// Lesson 28: eight connections and a TCP-like flow share an uplink of 10 Mbit/s. They do not
/// trample on the queue, and the flow has at least half of an equal share.
#[test]
fn many_connections_leave_a_tcp_flow_its_share_of_an_uplink() {
    const PAIRS: usize = 8;
    let mut net = Net::new(28, LinkConfig::default());
    let road = simple(MS * 15, 10 * MBIT, 50);
    let mut place =
        || -> Vec<_> { road.iter().map(|machine| net.place_boxed(machine.clone())).collect() };
    let (forth, back) = (place(), place());
    let hosts: Vec<(HostId, HostId)> = (0..PAIRS as u8)
        .map(|pair| {
            let (a, b) = (net.add(config(2 * pair + 1), 1), net.add(config(2 * pair + 2), 2));
            net.set_road(a, b, &forth);
            net.set_road(b, a, &back);
            (a, b)
        })
        .collect();
    let flow = net.cross_traffic(&forth, &back);
    let mut apps: Vec<_> = hosts
        .into_iter()
        .map(|(a, b)| {
            let (handle, _) = connected(&mut net, a, b);
            let mut app = App::new(a);
            app.write(&mut net, handle, Dir::Uni, 1, 40_000_000);
            (app, App::new(b), handle)
        })
        .collect();
    let before = net.crossed(flow);
    net.run(SECOND * 60, |net| {
        for (writer, reader, _) in &mut apps {
            writer.turn(net);
            reader.turn(net);
        }
        false
    });
    let theirs = (net.crossed(flow) - before) as f64;
    let ours: f64 = apps.iter().map(|(_, reader, _)| reader.read() as f64).sum();
    let (mut lost, mut all) = (0, 0);
    for (writer, _, handle) in &apps {
        let stats = net.host(writer.host).endpoint.connection(*handle).expect("it lives").stats();
        lost += stats.ledger.lost;
        all += stats.ledger.packets_sent;
    }
    let share = theirs / (theirs + ours) * (PAIRS + 1) as f64;
    println!("{share:.2} of an equal share, {lost} of {all} lost");
    assert!(share >= 0.5, "{share:.2} of an equal share");
    assert!(lost * 10 <= all, "{lost} of {all} lost");
}

/// Lesson 30: the receiving process stands still for two seconds at full rate. The sender stops, and
/// but for what its socket had no room for nothing is dropped.
#[test]
fn a_receiver_that_stands_still_drops_nothing() {
    let mut run = over(30, long(MS * 20, 0));
    run.begin_fetch(&[20_000_000]);
    while arrived(&run) < 4_000_000 {
        run.pair.pass(MS * 5);
    }
    run.pair.net.pause(ENDS[0], true);
    run.pair.pass(SECOND);
    let before = run.stats()[1].ledger.packets_sent;
    run.pair.pass(SECOND);
    let probes = run.stats()[1].ledger.packets_sent - before;
    assert!(probes <= 10, "{probes} packets in a second to who stands still");
    let dropped = run.pair.net.hosts[0].overflowed;
    run.pair.net.pause(ENDS[0], false);
    run.finish(SECOND * 10);
    let ledger = run.stats()[1].ledger;
    println!("{dropped} found the socket full, {} lost", ledger.lost - ledger.spurious);
    assert_eq!(ledger.lost - ledger.spurious, dropped, "dropped inside");
}
