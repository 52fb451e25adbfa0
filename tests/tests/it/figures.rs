//! What endpoints count: it only grows, and each end counts once.

use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, TransportConfig};
use aqueduct_core::connection::{ConnectionStats, LimitTimes, SendLimit};
use aqueduct_core::crypto::keys::KeyCounters;
use aqueduct_core::endpoint::{Endpoint, EndpointStats, Totals};
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::PipeOptions;
use aqueduct_core::wire::id::{AppCode, Dir};
use aqueduct_tests::app::{Pair, Reading};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::race::hop;
use aqueduct_tests::relay::{Chain, Forwarding};

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);
const HOSTS: [HostId; 2] = [HostId(0), HostId(1)];

fn pair_of(seed: u64, link: LinkConfig, of: impl Fn(u8) -> EndpointConfig) -> Pair {
    let mut net = Net::new(seed, link);
    let (a, b) = (net.add(of(1), 2 * seed), net.add(of(2), 2 * seed + 1));
    Pair::connect(net, a, b)
}

/// Everything that must never fall.
fn counts(endpoint: &Endpoint) -> Vec<u64> {
    let EndpointStats { ended, .. } = endpoint.stats();
    let stats = endpoint.stats();
    let Totals { ledger, acks, keys, datagrams, streams, .. } = endpoint.totals();
    let errors = StreamCode::ALL.map(|code| streams.errors.of(code));
    let mut all = vec![
        stats.datagrams,
        stats.dialled,
        stats.accepted,
        stats.established,
        ended.local,
        ended.peer,
        ended.lost,
        ended.error,
        ended.handshake,
        stats.pipes_timed_out,
        stats.pipes_refused,
        stats.legs_detached,
        ledger.packets_sent,
        ledger.eliciting_sent,
        ledger.acked,
        ledger.lost,
        ledger.spurious,
        ledger.acks,
        ledger.probe_timeouts,
        acks.received,
        acks.reordered,
        acks.acks_written,
        keys.sealed,
        keys.opened,
        keys.failed,
        keys.replayed,
        datagrams.sent,
        datagrams.received,
        streams.opened,
        streams.announced,
        streams.resent,
        streams.most_held,
        streams.most_out_of_order,
        streams.errors.application(),
    ];
    all.extend(errors);
    all
}

fn totals(pair: &Pair, host: HostId) -> Totals {
    pair.net.hosts[host.0].endpoint.totals()
}

/// spec: R-FIG-4
#[test]
fn what_is_counted_never_falls_whatever_ends() {
    let lossy = LinkConfig { loss: 100, ..LinkConfig::default() };
    let mut pair = pair_of(7, lossy, config);
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 500_000);
    pair.b.write(&mut pair.net, pair.at_b, Dir::Uni, 6, 50_000);
    let mut before = HOSTS.map(|host| counts(&pair.net.hosts[host.0].endpoint));
    let mut lived = [Totals::default(); 2];
    for step in 0..6000 {
        if step == 2000 {
            let mut view = pair.net.host(HostId(0)).endpoint.connection(pair.at_a).unwrap();
            view.close(AppCode(0), b"done");
        }
        pair.pass(Duration::from_millis(5));
        for (at, host) in pair.net.hosts.iter().enumerate() {
            let now = counts(&host.endpoint);
            let fell = now.iter().zip(&before[at]).position(|(now, before)| now < before);
            assert_eq!(fell, None, "host {at} in step {step}: {now:?} after {:?}", before[at]);
            before[at] = now;
            if host.endpoint.stats().connections > 0 {
                lived[at] = host.endpoint.totals();
            }
        }
    }
    assert_eq!(pair.b.read_of(pair.at_b), 500_000);
    for (host, lived) in HOSTS.into_iter().zip(lived) {
        let stats = pair.net.hosts[host.0].endpoint.stats();
        assert_eq!((stats.connections, stats.established), (0, 1));
        let left = totals(&pair, host);
        assert_eq!(left.now, Default::default(), "nothing is there any more");
        assert!(lived.now.congestion_window > 0 && lived.now.rtt_sum > Duration::ZERO);
        assert!(left.keys.sealed > 0 && left.keys.opened > 0);
        // CLOSE that is said again is in no ledger.
        assert!(left.ledger.packets_sent <= left.keys.sealed);
        assert!(left.ledger.lost > 0 && left.acks.received > 0);
        let errors: u64 =
            StreamCode::ALL.into_iter().map(|code| left.streams.errors.of(code)).sum();
        assert_eq!((errors, left.streams.errors.application()), (0, 0));
    }
    let [a, b] = HOSTS.map(|host| pair.net.hosts[host.0].endpoint.stats());
    assert_eq!((a.dialled, a.accepted, a.ended.local, a.ended.peer), (1, 0, 1, 0));
    assert_eq!((b.dialled, b.accepted, b.ended.local, b.ended.peer), (0, 1, 0, 1));
    // What was lost was sent again, and hardly anything else.
    let resent = totals(&pair, HostId(0)).streams.resent;
    assert!((20_000..150_000).contains(&resent), "{resent} of 500,000 at a loss of 10 %");
}

/// What a relay ended, in the end: pipes for want of time and by a limit, and legs.
fn ended_by_relay(options: PipeOptions, cancel: Option<AppCode>) -> [u64; 3] {
    let mut chain = Chain::new(9, 2, hop(0), Forwarding::CutThrough);
    chain.relays[0].options = options;
    chain.sink.reading = Reading::Never;
    chain.write(1, 8 << 20);
    chain.run(SECOND, |_| false);
    let (relay, pipe) = (chain.relays[0].host, chain.relays[0].pipes[0]);
    if let Some(code) = cancel {
        chain.net.host(relay).endpoint.piped(pipe).expect("it flows").cancel(code);
    }
    assert!(chain.run(SECOND * 20, |chain| chain.source.out[0].stopped));
    chain.run(SECOND, |_| false);
    let stats = chain.net.host(relay).endpoint.stats();
    assert_eq!((stats.pipes, stats.pipes_begun), (0, 1));
    [stats.pipes_timed_out, stats.pipes_refused, stats.legs_detached]
}

/// spec: R-FIG-11 R-PIPE-17 R-PIPE-21
#[test]
fn what_a_relay_ends_itself_is_counted_by_why() {
    let patient = PipeOptions { timeout: None, ..PipeOptions::default() };
    let brief = PipeOptions { timeout: Some(SECOND * 5), ..patient };
    assert_eq!(ended_by_relay(brief, None), [1, 0, 0]);
    let small = PipeOptions { limit: Some(1000), ..patient };
    assert_eq!(ended_by_relay(small, None), [0, 1, 0]);
    // One whose sender has used up what he may: told by code.
    assert_eq!(ended_by_relay(patient, Some(StreamCode::Refused.app())), [0, 1, 0]);
    assert_eq!(ended_by_relay(patient, Some(AppCode(7))), [0, 0, 0]);
}

/// At a relay nothing waits for what is missing, and yet it is missing.
#[test]
fn what_comes_out_of_order_is_counted_at_every_hop() {
    for (loss, len) in [(0, 20_000), (20, 1 << 20)] {
        let link = LinkConfig { loss, ..LinkConfig::default() };
        let mut chain = Chain::new(4, 2, link, Forwarding::CutThrough);
        assert!(chain.pass(1, len, SECOND * 60).whole.is_some());
        for host in [chain.relays[0].host, chain.sink.host] {
            let most = chain.net.host(host).endpoint.totals().streams.most_out_of_order;
            assert_eq!(most > 1000, loss > 0, "{most} bytes at a loss of {loss} in 1,000");
        }
    }
}

/// spec: R-FIG-5
#[test]
fn streams_of_a_connection_that_is_lost_are_errors_and_of_one_that_is_closed_are_none() {
    let patient = |number| {
        let transport = TransportConfig::default().with_idle_timeout(SECOND * 5).unwrap();
        config(number).with_transport(transport)
    };
    for lost in [true, false] {
        let mut pair = pair_of(8, LinkConfig::default(), patient);
        for _ in 0..3 {
            pair.a.begin(&mut pair.net, pair.at_a, Dir::Uni, 5, 1000);
        }
        pair.pass(SECOND);
        if lost {
            let [a, b] = [0, 1].map(|host| pair.net.hosts[host].addr);
            pair.net.link(a, b).config.loss = 1000;
            pair.net.link(b, a).config.loss = 1000;
        } else {
            let now = pair.net.now;
            let mut view = pair.net.host(HostId(0)).endpoint.connection(pair.at_a).unwrap();
            view.abort(AppCode(3), b"enough", now);
        }
        pair.pass(SECOND * 60);
        for host in HOSTS {
            let errors = totals(&pair, host).streams.errors;
            assert_eq!(errors.of(StreamCode::ConnectionLost), if lost { 3 } else { 0 });
            assert_eq!(errors.application(), 0);
            let ended = pair.net.hosts[host.0].endpoint.stats().ended;
            assert_eq!(ended.lost, u64::from(lost));
        }
    }
}

/// spec: R-FIG-5
#[test]
fn a_stream_that_is_given_up_counts_once_and_where_it_was_not() {
    let cases = [
        (AppCode(9), None),
        (StreamCode::Refused.app(), Some(StreamCode::Refused)),
        (StreamCode::Timeout.app(), Some(StreamCode::Timeout)),
    ];
    for (code, means) in cases {
        let mut pair = pair_of(9, LinkConfig::default(), config);
        pair.b.reading = Reading::Never;
        let stream = pair.a.begin(&mut pair.net, pair.at_a, Dir::Bi, 5, 1000);
        pair.pass(SECOND);
        // Both halves, as one who refuses does: STOP and RESET.
        let mut view = pair.net.host(HostId(1)).endpoint.connection(pair.at_b).unwrap();
        view.recv(stream).unwrap().stop(code);
        view.send(stream).unwrap().reset(code);
        drop(view);
        pair.pass(SECOND);
        let seen = |host| {
            let errors = totals(&pair, host).streams.errors;
            (means.map_or(errors.application(), |code| errors.of(code)), errors)
        };
        let (count, errors) = seen(HostId(0));
        let all: u64 = StreamCode::ALL.into_iter().map(|code| errors.of(code)).sum();
        assert_eq!((count, all + errors.application()), (1, 1), "{code:?}");
        assert_eq!(seen(HostId(1)).1, Default::default(), "it gave the stream up itself");
    }
}

/// spec: R-FIG-5
#[test]
fn who_only_reads_no_further_makes_no_error() {
    let mut pair = pair_of(10, LinkConfig::default(), config);
    pair.b.reading = Reading::Never;
    let stream = pair.a.begin(&mut pair.net, pair.at_a, Dir::Uni, 5, 1000);
    pair.pass(SECOND);
    let mut view = pair.net.host(HostId(1)).endpoint.connection(pair.at_b).unwrap();
    view.recv(stream).unwrap().stop(AppCode(0));
    drop(view);
    pair.pass(SECOND);
    for host in HOSTS {
        assert_eq!(totals(&pair, host).streams.errors, Default::default());
    }
}

/// spec: R-FIG-6
#[test]
fn the_most_that_a_stream_held_is_what_its_reader_left_lying() {
    let mut pair = pair_of(11, LinkConfig::default(), config);
    pair.b.reading = Reading::Never;
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 10_000);
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 6, 3_000);
    pair.pass(SECOND);
    let held = totals(&pair, HostId(1));
    assert_eq!(held.streams.most_held, 10_000, "of one stream, not of both");
    assert!(held.now.bytes_held >= 13_000);
    assert!(held.now.bytes_held <= held.now.credit_granted);
    pair.b.reading = Reading::InOrder;
    pair.b.read_all(&mut pair.net);
    pair.pass(SECOND);
    assert_eq!(pair.b.read_of(pair.at_b), 13_000);
    assert_eq!(totals(&pair, HostId(1)).streams.most_held, 10_000);
}

/// The same without what may count a discarded packet.
fn without_discards(mut keys: KeyCounters) -> KeyCounters {
    keys.not_data = 0;
    keys.failed = 0;
    keys.replayed = 0;
    keys.below_window = 0;
    keys.old_phase = 0;
    keys
}

/// All that is told of the peer at each end, and of all peers together.
fn told_of_peers(pair: &mut Pair) -> [(ConnectionStats, Totals); 2] {
    let handles = [pair.at_a, pair.at_b];
    [0, 1].map(|at| {
        let endpoint = &mut pair.net.host(HOSTS[at]).endpoint;
        let mut stats = endpoint.connection(handles[at]).expect("it lives").stats();
        let mut totals = endpoint.totals();
        stats.keys = without_discards(stats.keys);
        totals.keys = without_discards(totals.keys);
        // Time passes in any case: with nothing to send, the application's.
        assert_eq!(stats.limited_by, SendLimit::Application);
        stats.limits = LimitTimes::default();
        // All that came is in there, whoever sent it.
        totals.bandwidth = stats.bandwidth;
        (stats, totals)
    })
}

/// Damaged packets, copies of what was said and made-up ones, all of them naming the connection,
/// from where the peer is and from elsewhere: they are counted where discards are, and nowhere else.
///
/// spec: R-EP-45
#[test]
fn what_strangers_send_moves_no_figure_of_a_peer() {
    let mut pair = pair_of(12, LinkConfig::default(), config);
    pair.net.recording = Some(Vec::new());
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 5, 50_000);
    pair.b.write(&mut pair.net, pair.at_b, Dir::Bi, 6, 50_000);
    pair.pass(SECOND * 5);
    let recording = pair.net.recording.take().expect("it was on");
    let elsewhere = "10.9.9.9:999".parse().expect("an address");
    let discards = |pair: &Pair| HOSTS.map(|host| totals(pair, host).keys);
    let (before, discarded) = (told_of_peers(&mut pair), discards(&pair));
    let data: Vec<_> = recording.iter().filter(|one| one.bytes[0] >> 6 == 1).collect();
    for one in &data {
        let mut damaged = one.bytes.clone();
        damaged[20] ^= 1;
        let mut made_up = one.bytes.clone();
        made_up[9..].fill(0x5a);
        for bytes in [damaged, made_up, one.bytes.clone()] {
            for from in [one.from, elsewhere] {
                pair.net.inject(from, one.to, bytes.clone());
            }
        }
    }
    pair.pass(SECOND);
    assert_eq!(told_of_peers(&mut pair), before);
    let counted = |keys: KeyCounters| keys.failed + keys.replayed + keys.below_window;
    let more: u64 = discards(&pair)
        .into_iter()
        .zip(discarded)
        .map(|(now, then)| counted(now) - counted(then))
        .sum();
    assert_eq!(more, 6 * data.len() as u64, "each was seen");
}
