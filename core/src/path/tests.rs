//! One path: what it lets out, and what it makes of what became of it.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::congestion::{Algorithm, State};
use crate::recovery::Spurious;

mod link;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn source() -> Source {
    Source {
        carrier: CarrierId(0),
        kind: CarrierKind::Udp,
        remote: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1)),
        local: None,
    }
}

/// Paths whose controller has a window, and known steps: CUBIC.
fn windowed() -> PathConfig {
    let algorithm = Algorithm::Cubic;
    let congestion = CongestionConfig { algorithm, ..CongestionConfig::default() };
    PathConfig { congestion, ..PathConfig::default() }
}

fn path(config: &PathConfig) -> Path {
    let mut path = Path::new(PathId(0), source(), config, EcnCounts::default(), Instant::ZERO);
    path.amplification.validate();
    path
}

fn outcome() -> PathOutcome {
    PathOutcome { prior_in_flight: 12_000, ..PathOutcome::default() }
}

fn acked(packets: u32, sent: Instant) -> PathOutcome {
    PathOutcome {
        acked_bytes: 1_200 * u64::from(packets),
        acked_packets: packets,
        largest_acked_sent: Some(sent),
        largest_acked_size: Some(1_200),
        ..outcome()
    }
}

fn lost(packets: u32, sent: Instant) -> PathOutcome {
    PathOutcome {
        lost_bytes: 1_200 * u64::from(packets),
        lost_packets: packets,
        largest_lost_sent: Some(sent),
        smallest_lost_size: Some(1_200),
        ..outcome()
    }
}

fn sample(ms: u64) -> RttSample {
    RttSample { latest: Duration::from_millis(ms), ack_delay: Duration::ZERO }
}

/// spec: R-PATH-27
#[test]
fn a_batch_is_bounded_by_count_bytes_window_and_pacer() {
    let mut path = path(&PathConfig { packets: PacketSizes::everywhere(65_507), ..windowed() });
    let budget = path.budget(Need::Data, 0, at(0));
    assert_eq!((budget.datagram_size, budget.max_datagrams), (1_200, 10));
    assert_eq!(budget.limited_by, LimitedBy::Window);
    let budget = path.budget(Need::Data, 8_500, at(0));
    assert_eq!((budget.max_datagrams, budget.limited_by), (2, LimitedBy::Window));
    let budget = path.budget(Need::Data, 10_801, at(0));
    assert_eq!((budget.allowance, budget.max_datagrams), (Allowance::AcksOnly, 1));
    assert_eq!(budget.limited_by, LimitedBy::Window);
    assert_eq!(path.deadline(), None, "an ACK is waited for, not a time");
    let budget = path.budget(Need::Probe, 1 << 40, at(0));
    assert_eq!((budget.allowance, budget.limited_by), (Allowance::Everything, LimitedBy::Batch));
    assert_eq!(budget.max_datagrams, 54, "54 of 1,200 bytes are 64,800");

    // The first burst is spent, and the window is open again.
    path.on_sent_in_flight(12_000, 0, at(0));
    let budget = path.budget(Need::Data, 0, at(0));
    assert_eq!((budget.allowance, budget.limited_by), (Allowance::AcksOnly, LimitedBy::Pacer));
    let deadline = path.deadline().unwrap();
    assert!(deadline > at(0));
    path.on_deadline(deadline);
    assert_eq!(path.deadline(), None, "said once");
    let budget = path.budget(Need::Data, 0, deadline);
    assert_eq!((budget.allowance, budget.max_datagrams), (Allowance::Everything, 1));
    assert_eq!(path.deadline(), None, "nothing is held back, if there is only one to send");

    let grown = PathOutcome { mtu_acked: Some(65_507), ..outcome() };
    assert_eq!(path.on_outcome(&grown, deadline), SizeChange::Grown);
    let budget = path.budget(Need::Probe, 0, deadline);
    assert_eq!((budget.datagram_size, budget.max_datagrams), (65_507, 1));
}

/// spec: R-CC-17
#[test]
fn acks_and_probes_are_not_paced() {
    let mut path = path(&windowed());
    path.on_sent_in_flight(12_000, 0, at(0));
    assert_eq!(path.budget(Need::Data, 0, at(0)).allowance, Allowance::AcksOnly);
    assert_eq!(path.budget(Need::Probe, 0, at(0)).allowance, Allowance::Everything);
    // The rate: two windows a round trip, then five quarters of one.
    path.on_rtt_sample(&sample(100));
    path.on_outcome(&acked(10, at(0)), at(100));
    assert_eq!(path.congestion.window(), 24_000);
    assert_eq!(path.pacer.bytes_per_second(), 480_000);
    path.on_outcome(&lost(1, at(101)), at(200));
    assert_eq!(path.pacer.bytes_per_second(), 16_800 * 10 * 5 / 4);
}

/// spec: R-CC-3
#[test]
fn the_loss_of_a_size_probe_reduces_nothing() {
    let mut path = path(&windowed());
    let size = path.next_size_probe(0).unwrap();
    path.on_size_probe_sent(size);
    let change = path.on_outcome(&PathOutcome { mtu_lost: Some(size), ..outcome() }, at(100));
    assert_eq!(change, SizeChange::None);
    assert_eq!(path.congestion.window(), 12_000);
    assert_eq!(path.stats().congestion_events, 0);
    assert_eq!(path.stats().size_probes_lost, 1);
    path.on_outcome(&lost(1, at(1)), at(100));
    assert_eq!(path.stats().congestion_events, 1);
    assert!(path.congestion.window() < 12_000);
}

/// spec: R-CC-5
#[test]
fn an_application_that_sends_little_keeps_its_window() {
    let mut path = path(&windowed());
    let mut now = at(0);
    for _ in 0..100 {
        path.on_rtt_sample(&sample(50));
        path.on_sent_in_flight(1_200, 0, now);
        let small = PathOutcome { prior_in_flight: 1_200, ..acked(1, now) };
        now = now + Duration::from_millis(50);
        path.on_outcome(&small, now);
    }
    assert_eq!(path.congestion.window(), 12_000);
}

/// spec: R-CC-6, R-CC-7
#[test]
fn persistent_congestion_and_spurious_losses_reach_the_controller() {
    let mut path = path(&windowed());
    path.on_rtt_sample(&sample(50));
    path.on_outcome(&lost(3, at(10)), at(60));
    assert_eq!(path.congestion.window(), 8_400);
    let late = Spurious { sent: at(10), lost: at(60) };
    let spurious = PathOutcome { spurious: [late; 3].into_iter().collect(), ..outcome() };
    path.on_outcome(&spurious, at(70));
    assert_eq!(path.congestion.window(), 12_000);

    path.on_outcome(&PathOutcome { persistent_congestion: true, ..lost(9, at(71)) }, at(900));
    assert_eq!(path.congestion.window(), 2_400);
    path.on_rtt_sample(&sample(80));
    assert_eq!(path.rtt.min(), Duration::from_millis(80), "the minimum is found anew");
}

/// A new port has a count of its own of what was delivered there.
///
/// spec: R-CC-37, R-PATH-12
#[test]
fn a_controller_that_is_handed_on_counts_anew() {
    let deliver = |path: &mut Path, total: u64, ms: u64| {
        path.on_rtt_sample(&sample(50));
        let rate = RateSample {
            delivered: 60_000,
            interval: Duration::from_millis(50),
            prior_delivered: total,
            total_delivered: total + 60_000,
            tx_in_flight: 60_000,
            lost: 0,
            app_limited: false,
        };
        path.on_outcome(&PathOutcome { rate: Some(rate), ..acked(50, at(ms - 50)) }, at(ms));
    };
    let config = PathConfig { congestion: weir(), ..PathConfig::default() };
    let (mut old, mut new) = (path(&config), path(&config));
    deliver(&mut old, 100_000_000, 100);
    assert_eq!(old.congestion().state(), State::SlowStart);
    new.inherit(&old, at(100));
    // The rate does not grow: after some rounds the pipe is full.
    for round in 0..10 {
        deliver(&mut new, round * 60_000, 150 + round * 50);
    }
    assert_eq!(new.congestion().state(), State::Avoidance);
}

fn weir() -> CongestionConfig {
    CongestionConfig { algorithm: Algorithm::Weir, ..CongestionConfig::default() }
}

/// spec: R-PATH-16
#[test]
fn a_path_is_probed_once_it_is_validated() {
    let config = windowed();
    let mut path = Path::new(PathId(0), source(), &config, EcnCounts::default(), at(0));
    assert_eq!(path.next_size_probe(0), None);
    path.amplification.validate();
    assert_eq!(path.next_size_probe(0), Some(1_452));
}

/// spec: R-PATH-20, R-PATH-21, R-PATH-22
#[test]
fn the_controller_and_the_pacer_follow_the_packet_size() {
    let mut path = path(&PathConfig { packets: PacketSizes::everywhere(9_000), ..windowed() });
    path.on_outcome(&PathOutcome { mtu_acked: Some(9_000), ..outcome() }, at(1));
    assert_eq!(path.congestion.window(), 18_000);
    path.on_probe_timeout(2);
    assert_eq!(path.budget(Need::Probe, 0, at(1)).datagram_size, 1_200);
    let hole = PathOutcome {
        lost_packets: 6,
        lost_bytes: 54_000,
        largest_lost_sent: Some(at(2)),
        smallest_lost_size: Some(9_000),
        ..acked(1, at(3))
    };
    assert_eq!(path.on_outcome(&hole, at(100)), SizeChange::BlackHole);
    assert_eq!(path.packet_size().current(), 1_200);
    path.on_outcome(&PathOutcome { mtu_acked: Some(9_000), ..outcome() }, at(200));
    path.on_datagram_refused(9_000, at(201));
    assert_eq!(path.budget(Need::Probe, 0, at(201)).datagram_size, 1_200);
}

fn counted(ect0: u64, ect1: u64, ce: u64) -> Option<EcnCounts> {
    Some(EcnCounts { ect0, ect1, ce })
}

/// spec: R-PATH-23
#[test]
fn marks_are_made_while_the_peers_counts_agree() {
    let new = || EcnValidation::new(EcnState::Testing, EcnCounts { ect0: 5, ect1: 0, ce: 1 });
    let mut ecn = new();
    assert_eq!(ecn.mark(), Some(Ecn::Ect0));
    ecn.on_acked(3, counted(8, 0, 1));
    assert_eq!((ecn.state(), ecn.mark()), (EcnState::Capable, Some(Ecn::Ect0)));
    // An ACK that comes late has no counts; the next one has them all.
    ecn.on_acked(2, None);
    ecn.on_acked(1, counted(10, 0, 2));
    assert_eq!(ecn.state(), EcnState::Capable);

    let fails = |acked, counts| {
        let mut ecn = ecn;
        ecn.on_acked(acked, counts);
        assert_eq!((ecn.state(), ecn.mark()), (EcnState::Failed, None));
        ecn.on_acked(1, counted(1_000, 0, 0));
        assert_eq!(ecn.state(), EcnState::Failed, "for good");
    };
    fails(3, counted(11, 0, 2));
    fails(0, counted(9, 0, 3));
    fails(0, counted(10, 0, 1));
    fails(0, counted(10, 1, 2));

    let mut blind = new();
    blind.on_acked(9, None);
    assert_eq!(blind.state(), EcnState::Testing);
    blind.on_acked(1, None);
    assert_eq!(blind.mark(), None);

    let mut bleached = new();
    bleached.on_lost(10);
    assert_eq!(bleached.mark(), None);
    let mut lossy = new();
    lossy.on_acked(1, counted(6, 0, 1));
    lossy.on_lost(100);
    assert_eq!(lossy.mark(), Some(Ecn::Ect0));

    let mut off = EcnValidation::new(EcnState::Off, EcnCounts::default());
    off.on_acked(1, counted(1, 0, 0));
    assert_eq!((off.state(), off.mark()), (EcnState::Off, None));
}

/// spec: R-PATH-24
#[test]
fn congestion_experienced_is_counted_and_answered() {
    let mut path = path(&windowed());
    path.on_rtt_sample(&sample(50));
    for i in 0..10 {
        path.on_sent_in_flight(1_200, i * 1_200, at(0));
    }
    path.on_outcome(&PathOutcome { ecn: counted(5, 0, 5), ..acked(10, at(0)) }, at(50));
    assert_eq!(path.ecn().congestion_experienced(), 5);
    assert_eq!(path.ecn().state(), EcnState::Capable);
    // As for a loss: by CUBIC's factor, and not beyond what was acknowledged.
    assert_eq!(path.congestion.window(), 8_400);
    assert_eq!(path.stats().congestion_events, 1);
}

/// spec: R-PATH-28, R-TCP-7
#[test]
fn a_reliable_carrier_has_no_loss_and_no_timers() {
    let reliable = Source { kind: CarrierKind::Reliable, ..source() };
    let mut path = Path::new(PathId(0), reliable, &windowed(), EcnCounts::default(), at(0));
    for _ in 0..1_000 {
        path.on_sent(1_452);
        path.on_sent_in_flight(1_452, 1 << 30, at(1));
    }
    let window = path.congestion.window();
    assert_eq!(path.on_outcome(&lost(1_000, at(1)), at(2)), SizeChange::None);
    assert_eq!(path.congestion.window(), window);
    let budget = path.budget(Need::Data, 1 << 30, at(2));
    assert_eq!((budget.allowance, budget.datagram_size), (Allowance::Everything, 1_452));
    assert_eq!(path.deadline(), None);
}

/// spec: R-REC-33
#[test]
fn the_rate_is_public_with_its_mark() {
    let mut path = path(&windowed());
    path.on_rtt_sample(&sample(40));
    let mut measure = |delivered: u64, ms: u64, app_limited: bool| {
        let rate = RateSample {
            delivered,
            interval: Duration::from_millis(ms),
            prior_delivered: 0,
            total_delivered: delivered,
            tx_in_flight: 12_000,
            lost: 0,
            app_limited,
        };
        path.on_outcome(&PathOutcome { rate: Some(rate), ..acked(1, at(100)) }, at(140));
        (path.stats().delivery_rate, path.stats().delivery_app_limited)
    };
    assert_eq!(measure(4_000, 40, true), (100_000, true));
    assert_eq!(measure(8_000, 40, false), (200_000, false));
    assert_eq!(measure(4_000, 40, true), (200_000, false), "a limited one that is slower");
    assert_eq!(measure(12_000, 40, true), (300_000, true), "and one that is faster");
    assert_eq!(measure(6_000, 40, false), (150_000, false), "what is not limited counts");
    assert_eq!(measure(60_000, 39, false), (150_000, false), "less than a round trip is nothing");
}
