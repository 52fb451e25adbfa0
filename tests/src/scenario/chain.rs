//! Streams through relays in a row: over a bad way, and to a sink that is slow.

use std::time::Duration;

use aqueduct_core::endpoint::PipeEventKind;
use aqueduct_core::time::Instant;

use super::interop::case;
use super::{Report, Scenario};
use crate::app::Reading;
use crate::link::LinkConfig;
use crate::race::hop;
use crate::relay::{Chain, Forwarding, Passage};

const SECOND: Duration = Duration::from_secs(1);

/// The scenarios.
pub const CASES: &[Scenario] = &[
    case!(
        "chain",
        bad_way,
        "300 KB through pipes over 4 hops; 5 % lost at each, reordered, doubled, corrupted"
    ),
    case!(
        heavy "chain-slow-sink",
        slow_sink,
        "6 hops and a sink that reads 1 MB/s, then nothing: the source slows, nothing is dropped"
    ),
];

fn report(chain: &Chain, first: Instant, figures: Vec<(&'static str, f64)>) -> Report {
    let simulated = chain.net.now.saturating_since(first);
    let mut all = vec![("seconds", simulated.as_secs_f64())];
    all.extend(figures);
    Report { fingerprint: chain.net.fingerprint(), simulated, figures: all }
}

/// A text crosses four hops that lose 5 % and more, reorder, repeat and corrupt, and nothing stays
/// behind at the relays.
///
/// # Panics
/// If it is otherwise.
pub fn bad_way(seed: u64) -> Report {
    let link =
        LinkConfig { jitter: Duration::from_millis(30), duplicate: 30, corrupt: 10, ..hop(50) };
    let mut chain = Chain::new(seed, 4, link, Forwarding::CutThrough);
    let first = chain.net.now;
    let passage = chain.pass(seed, 300_000, Duration::from_secs(120));
    let Passage { first_byte: Some(byte), whole: Some(whole) } = passage else {
        panic!("seed {seed}: {passage:?}");
    };
    assert!(chain.run(SECOND * 30, |chain| chain.source.out[0].delivered));
    chain.run(SECOND * 5, |_| false);
    for relay in &mut chain.relays {
        let last = relay.news.last().expect("news of a pipe");
        assert!(matches!(last.kind, PipeEventKind::Ended(_)));
        let stats = chain.net.host(relay.host).endpoint.stats();
        assert_eq!((stats.pipes, stats.pipe_bytes), (0, 0));
    }
    let figures = vec![("first byte", byte.as_secs_f64()), ("whole", whole.as_secs_f64())];
    report(&chain, first, figures)
}

/// How often the slow sink reads.
const TICK: Duration = Duration::from_millis(5);
/// What it reads a second.
const RATE: u64 = 1_000_000;
const HOPS: usize = 6;
/// From end to end and back.
const ROUND_TRIP: Duration = Duration::from_millis(2 * 20 * HOPS as u64);

/// What stands where on a chain at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stand {
    /// What each relay may hold, and the sink last.
    windows: Vec<u64>,
    /// What each holds.
    held: Vec<u64>,
}

fn stand(chain: &mut Chain) -> Stand {
    let (mut windows, mut held) = (Vec::new(), Vec::new());
    for relay in &chain.relays {
        let endpoint = &mut chain.net.host(relay.host).endpoint;
        let stats = endpoint.piped(relay.pipes[0]).expect("it flows").stats();
        windows.push(stats.window);
        held.push(stats.held);
    }
    let flow = &chain.sink.inn[0];
    let view = chain.net.host(chain.sink.host).endpoint.connection(flow.connection);
    let mut view = view.expect("it flows");
    let stream = view.recv(flow.stream).expect("it flows");
    windows.push(stream.window());
    held.push(stream.charged());
    Stand { windows, held }
}

/// Datagrams that found a queue full.
fn drops(chain: &mut Chain) -> u64 {
    let hosts = 0..=HOPS;
    let addresses: Vec<_> = hosts.map(|host| chain.net.hosts[host].addr).collect();
    let both = |two: &[_]| [(two[0], two[1]), (two[1], two[0])];
    let links: Vec<_> = addresses.windows(2).flat_map(both).collect();
    links.into_iter().map(|(from, to)| chain.net.link(from, to).overflowed).sum()
}

/// Bytes that the first relay was given by the source.
fn taken(chain: &mut Chain) -> u64 {
    let relay = &chain.relays[0];
    let endpoint = &mut chain.net.host(relay.host).endpoint;
    endpoint.piped(relay.pipes[0]).expect("it flows").stats().received
}

/// Lets the sink read `rate` bytes a second for so long. Returns what the source gave in it.
fn read_slowly(chain: &mut Chain, rate: u64, time: Duration, checked: &mut Stand) -> u64 {
    let before = taken(chain);
    let until = chain.net.now + time;
    while chain.net.now < until {
        chain.run(TICK, |_| false);
        chain.sink.read_some(&mut chain.net, rate * TICK.as_millis() as u64 / 1000);
        let now = stand(chain);
        assert_eq!(now.windows, checked.windows, "no window grows");
        for (hop, (held, window)) in now.held.iter().zip(&now.windows).enumerate() {
            assert!(held <= window, "hop {hop} holds {held} with a window of {window}");
        }
        checked.held = now.held;
    }
    taken(chain) - before
}

/// A source with more than enough to say, six hops, and a sink that reads a megabyte a second, then
/// nothing, then all: the source gives as much, nothing is dropped, and no window grows.
///
/// # Panics
/// If it is otherwise.
pub fn slow_sink(seed: u64) -> Report {
    let mut chain = Chain::new(seed, HOPS, hop(0), Forwarding::CutThrough);
    let first = chain.net.now;
    let size = 40 << 20;
    chain.write(1, size);
    let fast = |chain: &mut Chain| chain.sink.inn.first().is_some_and(|f| f.read >= 4 << 20);
    assert!(chain.run(SECOND * 20, fast));
    chain.sink.reading = Reading::Never;
    let began: Instant = chain.net.now;
    let mut at = stand(&mut chain);
    let flying: u64 = at.windows.iter().sum();
    println!("windows {:?}, {flying} bytes", at.windows);
    assert!(flying <= 8_000_000, "{flying} bytes of windows");
    let dropped = drops(&mut chain);
    let settles = Duration::from_micros(flying * 1_000_000 / RATE) + 20 * ROUND_TRIP;
    let given = read_slowly(&mut chain, RATE, settles, &mut at);
    println!("{given} bytes given in the first {settles:?}");
    for second in 0..8 {
        let given = read_slowly(&mut chain, RATE, SECOND, &mut at);
        println!("second {second}: {given} bytes, held {:?}", at.held);
        assert!(given.abs_diff(RATE) <= RATE / 10, "{given} bytes in a second");
    }
    let given = read_slowly(&mut chain, 0, 60 * SECOND, &mut at);
    println!("{given} bytes given while the sink stood still, held {:?}", at.held);
    assert_eq!(drops(&mut chain), dropped, "something was dropped");
    let took = chain.net.now.saturating_since(began);
    chain.sink.reading = Reading::InOrder;
    chain.sink.read_all(&mut chain.net);
    assert!(chain.run(SECOND * 20, |chain| chain.sink.inn[0].finished), "{took:?}");
    assert_eq!(chain.sink.inn[0].read, size as u64);
    report(&chain, first, vec![("bytes of windows", flying as f64)])
}
