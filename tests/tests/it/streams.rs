//! Streams, messages and datagrams between two applications.

use std::collections::BTreeSet;
use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, TransportConfig};
use aqueduct_core::connection::MessageError;
use aqueduct_core::message::SendDatagramError;
use aqueduct_core::stream::{OpenError, ReadError, WriteError};
use aqueduct_core::wire::id::{AppCode, Dir};
use aqueduct_tests::app::{App, Pair, Reading, introduction, prose};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);
const A: HostId = HostId(0);
const B: HostId = HostId(1);

fn pair_of(seed: u64, link: LinkConfig, a: EndpointConfig, b: EndpointConfig) -> Pair {
    let mut net = Net::new(seed, link);
    let (a, b) = (net.add(a, 2 * seed), net.add(b, 2 * seed + 1));
    Pair::connect(net, a, b)
}

fn pair(seed: u64, link: LinkConfig) -> Pair {
    pair_of(seed, link, config(1), config(2))
}

fn lossy(loss: u32) -> LinkConfig {
    LinkConfig { loss, jitter: Duration::from_millis(3), ..LinkConfig::default() }
}

#[test]
fn a_sender_that_never_reads_makes_progress() {
    // Answers come back and nobody looks at them; what goes out must not wait for that.
    let mut pair = pair(1, lossy(20));
    pair.a.reading = Reading::Never;
    let at_b = pair.at_b;
    pair.a.write(&mut pair.net, pair.at_a, Dir::Bi, 1, 2_000_000);
    pair.b.write(&mut pair.net, at_b, Dir::Uni, 2, 2_000_000);
    assert!(pair.run(SECOND * 60, |_, _, b| b.inn.iter().any(|flow| flow.finished)));
    assert_eq!(pair.a.read_of(pair.at_a), 0);
}

#[test]
fn a_reader_that_never_reads_blocks_its_stream_only_and_memory_stays_flat() {
    let mut pair = pair(2, LinkConfig::default());
    pair.b.reading = Reading::Never;
    let stuck = pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 30_000_000);
    pair.pass(SECOND * 10);
    let held = |pair: &mut Pair| {
        let view = pair.net.host(B).endpoint.connection(pair.at_b).expect("it lives");
        (view.stats().bytes_held, view.stats().credit_granted)
    };
    let before = held(&mut pair);
    println!("{} bytes held of {} granted for a reader that does not read", before.0, before.1);
    assert!(before.0 <= 8 << 20, "a stream that nobody reads has grown to {before:?}");
    pair.pass(SECOND * 20);
    assert_eq!(held(&mut pair).0, before.0, "memory grows");
    // The application reads the others.
    pair.b.reading = Reading::InOrder;
    let others: Vec<_> = (0..20)
        .map(|salt| pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 10 + salt, 300_000))
        .collect();
    let at_b = pair.at_b;
    let done = pair.run(SECOND * 20, |_, _, b| {
        let whole = |id| b.inflow(at_b, id).is_some_and(|flow| flow.finished);
        others.iter().all(|id| whole(*id))
    });
    assert!(done, "a stream that nobody reads holds others up");
    assert_eq!(pair.b.inflow(at_b, stuck).map(|flow| flow.read), Some(0));
    // And it is itself again once somebody reads.
    pair.b.read_all(&mut pair.net);
    assert!(pair.run(SECOND * 60, |_, _, b| b.inflow(at_b, stuck).is_some_and(|f| f.finished)));
}

/// How long 2 MiB take over a round trip of 200 ms to a receiver that is configured so.
fn time_over_a_long_way(transport: TransportConfig) -> Duration {
    let long = LinkConfig { delay: Duration::from_millis(100), ..LinkConfig::default() };
    let receiver = config(2).with_transport(transport);
    let mut pair = pair_of(3, long, config(1), receiver);
    let began = pair.net.now;
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 2 << 20);
    assert!(pair.run(SECOND * 60, |_, _, b| b.inn.iter().any(|flow| flow.finished)));
    pair.net.now.saturating_since(began)
}

/// spec: R-FLOW-12
#[test]
fn a_window_grows_no_further_than_is_configured() {
    let free = time_over_a_long_way(TransportConfig::default());
    let bounded = TransportConfig::default().with_max_stream_window(64 * 1024).unwrap();
    let bounded = time_over_a_long_way(bounded);
    println!("{free:?} without a bound, {bounded:?} with 64 KiB a round trip");
    assert!(free < SECOND * 4, "{free:?}");
    // 32 windows, and the last one needs no credit for another.
    assert!(bounded >= Duration::from_millis(200) * 31, "{bounded:?}");
}

#[test]
fn a_setting_out_of_its_range_is_refused_and_the_error_names_all_of_it() {
    let transport = TransportConfig::default;
    for (error, words) in [
        (transport().with_stream_ranges(15), "stream_ranges = 15 is out of range: 16 to 1048576"),
        (
            transport().with_stream_ranges((1 << 20) + 1),
            "stream_ranges = 1048577 is out of range: 16 to 1048576",
        ),
        (
            transport().with_max_stream_window(16_383),
            "max_stream_window = 16383 is out of range: 16384 to 1099511627776",
        ),
        (
            transport().with_max_stream_window((1 << 40) + 1),
            "max_stream_window = 1099511627777 is out of range: 16384 to 1099511627776",
        ),
    ] {
        assert_eq!(error.expect_err("it cannot be").to_string(), words);
    }
    let most = transport().with_stream_ranges(1 << 20).unwrap();
    most.with_max_stream_window(1 << 40).unwrap();
    let least = transport().with_stream_ranges(16).unwrap();
    least.with_max_stream_window(16_384).unwrap();
}

/// Opens a hundred streams each way, as fast as the peers allow, and writes `len` bytes on each. The
/// reader of `stalled` of those to `b` takes nothing of it.
fn open_a_hundred(pair: &mut Pair, len: usize, stalled: u64) {
    let (at_a, at_b) = (pair.at_a, pair.at_b);
    let (mut a_to_b, mut b_to_a) = (0, 0);
    let mut waited = Duration::ZERO;
    while a_to_b < 100 || b_to_a < 100 {
        let mut opened = false;
        for (app, handle, count, salt) in
            [(&mut pair.a, at_a, &mut a_to_b, 0), (&mut pair.b, at_b, &mut b_to_a, 1_000)]
        {
            let view = pair.net.host(app.host).endpoint.connection(handle);
            let mut view = view.expect("it lives");
            if *count < 100
                && let Ok(id) = view.open(Dir::Uni, introduction(salt + *count))
            {
                drop(view);
                app.answer(&mut pair.net, handle, id, salt + *count, len);
                *count += 1;
                opened = true;
            }
        }
        if !opened {
            pair.pass(Duration::from_millis(20));
            waited += Duration::from_millis(20);
            assert!(waited < SECOND * 60, "{a_to_b} and {b_to_a} streams");
        }
        stall(&mut pair.b, stalled);
    }
    println!("100 streams each way opened after {waited:?}");
}

/// The text of this number is read no further.
fn stall(app: &mut App, salt: u64) {
    app.inn.iter_mut().filter(|flow| flow.salt() == Some(salt)).for_each(|it| it.ignored = true);
}

/// A hundred each way, and one of them is not read: the others share the way alike and end, and it
/// goes on where it stood once it is read.
///
/// spec: R-FLOW-1
#[test]
fn a_hundred_streams_share_fairly_in_both_directions() {
    const STALLED: u64 = 7;
    let link = LinkConfig { rate: Some(2_500_000), queue: 100_000, ..LinkConfig::default() };
    let mut pair = pair(3, link);
    let (at_b, len) = (pair.at_b, 200_000);
    let (began, mut least) = (pair.net.now, None);
    open_a_hundred(&mut pair, len, STALLED);
    let stuck = |app: &App| app.inn.iter().position(|flow| flow.salt() == Some(STALLED));
    let others = |app: &App| -> Vec<u64> {
        let flows = app.inn.iter().filter(|flow| flow.salt() != Some(STALLED));
        flows.map(|flow| flow.read).collect()
    };
    let mut over = false;
    while !over {
        assert!(pair.net.now.saturating_since(began) < SECOND * 120, "not done");
        pair.pass(Duration::from_millis(5));
        stall(&mut pair.b, STALLED);
        let reads = others(&pair.b);
        let (slow, fast) = (reads.iter().min(), reads.iter().max());
        if reads.len() == 99 && fast.is_some_and(|fast| *fast > len as u64 / 2) {
            least = least.or(slow.copied());
        }
        let whole = |app: &App| others(app).iter().all(|read| *read == len as u64);
        over = pair.a.inn.len() == 100
            && reads.len() == 99
            && stuck(&pair.b).is_some()
            && whole(&pair.a)
            && whole(&pair.b);
    }
    let took = pair.net.now.saturating_since(began);
    let least = least.expect("somebody was ahead");
    println!("{took:?}; when the fastest had half, the slowest had {least} of {len}");
    assert!(least * 10 >= len as u64 * 3, "the slowest had {least} when the fastest had half");
    // 20 MB each way at 2.5 MB/s.
    assert!(took < SECOND * 10, "{took:?}");
    let at = stuck(&pair.b).expect("it came");
    let flow = &mut pair.b.inn[at];
    assert!(flow.read < len as u64 / 2 && !flow.finished, "{flow:?}");
    flow.ignored = false;
    pair.b.read_all(&mut pair.net);
    let id = pair.b.inn[at].stream;
    let done = |b: &App| b.inflow(at_b, id).is_some_and(|flow| flow.finished);
    assert!(pair.run(SECOND * 5, |_, _, b| done(b)));
    assert_eq!(pair.b.inn[at].read, len as u64);
}

#[test]
fn whole_messages_of_every_size_arrive_whole_and_once() {
    let small = TransportConfig::default().with_max_message_size(100_000).expect("a size");
    for (seed, loss) in [(4, 0), (5, 100)] {
        let b = config(2).with_transport(small.clone());
        let mut pair = pair_of(seed, lossy(loss), config(1), b);
        let sizes = [0, 1, 2, 1_100, 1_171, 1_200, 50_000, 99_999, 100_000];
        let mut ids = BTreeSet::new();
        for (salt, len) in sizes.into_iter().enumerate() {
            let mut view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
            ids.insert(view.send_message(prose(salt as u64, len)).expect("a stream"));
        }
        let mut view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
        let error = view.send_message(prose(0, 100_001)).expect_err("one byte too many");
        assert!(matches!(error, MessageError::TooLarge(_)), "{error}");
        assert!(error.to_string().contains("100000"), "{error}");
        drop(view);
        let at_b = pair.at_b;
        let done = pair.run(SECOND * 60, |_, _, b| b.diary(at_b).messages.len() >= sizes.len());
        assert!(done, "loss {loss}");
        pair.pass(SECOND * 5);
        let got = pair.b.diary(at_b).messages;
        let expected: BTreeSet<_> =
            sizes.into_iter().enumerate().map(|(salt, len)| prose(salt as u64, len)).collect();
        assert_eq!(got.len(), sizes.len());
        assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), expected);
        // The other direction has the other's limit.
        let mut view = pair.net.host(B).endpoint.connection(at_b).expect("it lives");
        assert!(view.send_message(prose(0, 100_001)).is_ok());
    }
}

/// Packets are filled up so that OPEN travels alone now and then, and overtaken so that it comes last.
#[test]
fn a_message_is_whole_also_when_its_introduction_comes_last() {
    let link = LinkConfig { jitter: Duration::from_millis(30), ..LinkConfig::default() };
    let mut pair = pair(9, link);
    pair.pass(SECOND);
    for turn in 0..300_usize {
        let mut view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
        view.send_datagram(prose(1, 1_350 + turn % 70)).expect("queued");
        view.send_message(prose(turn as u64, 300)).expect("a stream");
        drop(view);
        pair.pass(Duration::from_millis(40));
    }
    let at_b = pair.at_b;
    pair.pass(SECOND * 5);
    assert_eq!(pair.b.diary(at_b).messages.len(), 300);
}

#[test]
fn datagrams_arrive_at_most_once_and_never_stall() {
    let link = LinkConfig { duplicate: 200, ..lossy(200) };
    let mut pair = pair(6, link);
    pair.pass(SECOND);
    let mut sent = 0_u64;
    for _ in 0..200 {
        let mut view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
        for _ in 0..5 {
            view.send_datagram(prose(sent, 100 + sent as usize % 900)).expect("queued");
            sent += 1;
        }
        drop(view);
        pair.pass(Duration::from_millis(200));
    }
    pair.pass(SECOND * 5);
    let got = pair.b.diary(pair.at_b).datagrams;
    let known: BTreeSet<_> = (0..sent).map(|salt| prose(salt, 100 + salt as usize % 900)).collect();
    let once: BTreeSet<_> = got.iter().cloned().collect();
    assert_eq!(once.len(), got.len(), "a datagram came twice");
    assert!(once.is_subset(&known));
    println!("{} of {sent} datagrams at 20 % loss", got.len());
    assert!(got.len() > 700 && got.len() < 900);
    let mut view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
    let most = view.max_datagram_len().expect("the peer takes them");
    assert!(view.send_datagram(prose(0, most)).is_ok());
    let error = view.send_datagram(prose(0, most + 1)).expect_err("too large");
    assert!(matches!(error, SendDatagramError::TooLarge { .. }));
}

/// Every order of finish, reset, stop and their arrival: typed results, nothing leaks.
#[test]
fn halves_end_in_any_order() {
    for seed in 0..48_u64 {
        let mut pair = pair(100 + seed, lossy(if seed % 2 == 0 { 0 } else { 200 }));
        let (at_a, at_b) = (pair.at_a, pair.at_b);
        let id = pair.a.begin(&mut pair.net, at_a, Dir::Bi, 1, 3_000);
        pair.pass(Duration::from_millis(200 * (seed % 2)));
        let code = AppCode(seed);
        let view = pair.net.host(A).endpoint.connection(at_a);
        let mut view = view.expect("it lives");
        match seed / 2 % 4 {
            0 => view.send(id).expect("open").finish().expect("once"),
            1 => view.send(id).expect("open").reset(code),
            2 => view.recv(id).expect("open").stop(code),
            _ => {
                view.recv(id).expect("open").stop(code);
                view.send(id).expect("open").reset(code);
            }
        }
        drop(view);
        pair.pass(Duration::from_millis(15 * (seed / 8 % 3)));
        pair.b.turn(&mut pair.net);
        let accepted = pair.b.inflow(at_b, id).is_some();
        if let Some(mut view) = pair.net.host(B).endpoint.connection(at_b).filter(|_| accepted) {
            if let Some(mut half) = view.recv(id) {
                half.stop(code);
                assert!(
                    matches!(
                        half.read_chunk(10),
                        Err(ReadError::Stopped | ReadError::Reset { .. })
                    ) || half.final_size().is_some()
                );
            }
            if let Some(mut half) = view.send(id) {
                match half.write(prose(2, 1_000)) {
                    Ok(_) => half.finish().expect("once"),
                    Err(error) => assert!(matches!(error, WriteError::Stopped { .. }), "{error}"),
                }
            }
        }
        // After the storm each side ends what is left.
        pair.pass(SECOND * 10);
        for (host, handle) in [(A, at_a), (B, at_b)] {
            let view = pair.net.host(host).endpoint.connection(handle);
            let mut view = view.expect("the connection lives");
            if let Some(mut half) = view.send(id) {
                half.reset(code);
                assert!(half.write(prose(1, 1)).is_err(), "a write after the end");
            }
            if let Some(mut half) = view.recv(id) {
                half.stop(code);
            }
        }
        pair.pass(SECOND * 15);
        for (host, handle) in [(A, at_a), (B, at_b)] {
            let view = pair.net.host(host).endpoint.connection(handle);
            let stats = view.expect("the connection lives").stats();
            assert_eq!((stats.streams, stats.bytes_held), (0, 0), "seed {seed}: {host:?}");
        }
    }
}

#[test]
fn streams_beyond_the_peers_count_wait_for_it() {
    let few = TransportConfig::default().with_max_streams(2, 3).expect("counts");
    let mut pair = pair_of(8, LinkConfig::default(), config(1), config(2).with_transport(few));
    for (dir, most) in [(Dir::Bi, 2), (Dir::Uni, 3)] {
        for salt in 0..most {
            pair.a.write(&mut pair.net, pair.at_a, dir, salt, 100);
        }
        let mut view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
        assert_eq!(view.open(dir, introduction(1)), Err(OpenError::Blocked));
    }
    pair.pass(SECOND);
    // Those that went one way are over, so there is room for others.
    let mut view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
    assert!(view.open(Dir::Uni, introduction(1)).is_ok());
    assert_eq!(view.open(Dir::Bi, introduction(1)), Err(OpenError::Blocked));
}

/// Packets of 60,000 bytes are full by the number of their frames first: of streams of a byte each.
///
/// spec: R-FRM-3
#[test]
fn a_burst_of_tiny_streams_in_large_packets_is_no_violation() {
    let link = LinkConfig { max_datagram: 65_000, ..LinkConfig::default() };
    let transport = TransportConfig::default();
    let transport = transport.with_max_packet_size(60_000).expect("a size");
    let transport = transport.with_max_streams(0, 3_000).expect("counts");
    let node = |number| {
        let config = config(number).with_transport(transport.clone());
        config.with_memory(1 << 29, 2).expect("a budget")
    };
    let mut pair = pair_of(1, link, node(1), node(2));
    // Until it is known what the way carries.
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 4 << 20);
    pair.pass(Duration::from_secs(5));
    let view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
    assert!(view.stats().datagram_size > 50_000, "{}", view.stats().datagram_size);
    drop(view);
    let (mut salt, mut most) = (2, 0);
    for _ in 0..40 {
        let before = salt;
        let open = |pair: &mut Pair, salt| {
            let mut view = pair.net.host(A).endpoint.connection(pair.at_a)?;
            view.open(Dir::Uni, introduction(salt)).ok()
        };
        while let Some(stream) = open(&mut pair, salt) {
            pair.a.answer(&mut pair.net, pair.at_a, stream, salt, 1);
            salt += 1;
        }
        most = most.max(salt - before);
        pair.pass(SECOND / 10);
    }
    // Each is two frames, its introduction and its byte.
    assert!(most > 256, "{most} at once");
    pair.pass(SECOND);
    assert_eq!(pair.b.diary(pair.at_b).closed, None);
    let done = pair.b.inn.iter().filter(|flow| flow.finished).count() as u64;
    assert_eq!(done, salt - 1);
}

/// Pieces of 32 bytes leave packets a little short, and what is measured is the way all the same.
///
/// spec: R-REC-41
#[test]
fn packets_of_many_small_pieces_are_not_limited_by_the_application() {
    let link = LinkConfig { rate: Some(500_000), queue: 100_000, ..LinkConfig::default() };
    let mut pair = pair_of(1, link, config(1), config(2));
    let mut view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
    let stream = view.open(Dir::Uni, introduction(1)).expect("a stream");
    let mut send = view.send(stream).expect("it sends");
    let text = prose(1, 320_000);
    for at in (0..text.len()).step_by(32) {
        assert_eq!(send.write(text.slice(at..at + 32)), Ok(32));
    }
    drop(view);
    // Before the stream's first credit is used up, which would be a limit of another kind.
    pair.pass(SECOND * 2 / 5);
    let view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
    let stats = view.stats();
    assert!(stats.path.delivery_rate > 300_000, "{stats:?}");
    assert!(!stats.path.delivery_app_limited, "{stats:?}");
}

/// None gives way for another, however many are under way together.
///
/// spec: R-MSG-9
#[test]
fn a_burst_of_messages_arrives_whole() {
    const MESSAGES: usize = 300;
    let link = LinkConfig { rate: Some(2_000_000), queue: 100_000, ..LinkConfig::default() };
    let mut pair = pair(1, link);
    let mut handed = 0;
    let at_a = pair.at_a;
    let arrived = pair.run(SECOND * 60, |net, _, b| {
        let mut view = net.host(A).endpoint.connection(at_a);
        while handed < MESSAGES
            && view.as_mut().is_some_and(|v| v.send_message(prose(1, 30_000)).is_ok())
        {
            handed += 1;
        }
        drop(view);
        b.connections().iter().any(|at| b.diary(*at).messages.len() == MESSAGES)
    });
    let came = pair.b.diary(pair.at_b).messages.len();
    assert!(arrived, "{came} of {handed}");
}

/// A message of several flights takes longer than the idle time-out where that is shorter than a
/// round trip, and lives as the connection does.
///
/// spec: R-MSG-9
#[test]
fn a_message_outlives_an_idle_time_out_below_the_round_trip() {
    let link = LinkConfig { delay: SECOND / 5, ..LinkConfig::default() };
    let idle = TransportConfig::default().with_idle_timeout(SECOND / 10).expect("a time");
    let node = |number| config(number).with_transport(idle.clone());
    let mut pair = pair_of(1, link, node(1), node(2));
    let mut view = pair.net.host(A).endpoint.connection(pair.at_a).expect("it lives");
    assert!(view.send_message(prose(1, 300_000)).is_ok());
    drop(view);
    pair.pass(SECOND * 10);
    assert_eq!(pair.b.diary(pair.at_b).messages.len(), 1);
}

/// Also where it is shorter than the longest ACK delay: that gives way.
///
/// spec: R-PKT-20
#[test]
fn the_shortest_idle_time_out_connects() {
    let idle = TransportConfig::default().with_idle_timeout(Duration::from_millis(1));
    let idle = idle.expect("a time");
    let node = |number| config(number).with_transport(idle.clone());
    let pair = pair_of(1, LinkConfig::default(), node(1), node(2));
    assert_eq!(pair.a.diary(pair.at_a).closed, None);
}
