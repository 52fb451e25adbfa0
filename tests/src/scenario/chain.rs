//! Streams through relays in a row: over a bad way, and to a sink that is slow.

use std::time::Duration;

use aqueduct_core::endpoint::PipeEventKind;
use aqueduct_core::pipe::LegEnd;
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
/// Ticks of a second.
const TICKS: usize = 200;
/// What it reads a second.
const RATE: u64 = 1_000_000;
/// What a link carries a second.
const LINK: u64 = 100_000_000 / 8;
const HOPS: usize = 6;
/// From end to end and back.
const ROUND_TRIP: Duration = Duration::from_millis(2 * 20 * HOPS as u64);
/// What the source has to say: more than is taken from it while the sink is slow.
const SIZE: usize = 40 << 20;

/// What stands where on a chain at one moment: of each relay, and of the sink last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stand {
    /// What it may hold; `None`: its stream is over.
    windows: Vec<Option<u64>>,
    /// What it holds.
    held: Vec<u64>,
}

impl Stand {
    fn add(&mut self, window: Option<u64>, held: u64) {
        self.windows.push(window);
        self.held.push(held);
    }

    /// Nobody holds more than its window.
    fn check(&self) {
        for (hop, (held, window)) in self.held.iter().zip(&self.windows).enumerate() {
            let window = window.unwrap_or(0);
            assert!(*held <= window, "hop {hop} holds {held} with a window of {window}");
        }
    }
}

/// Looks at everybody and changes nothing.
fn stand(chain: &mut Chain) -> Stand {
    let mut stand = Stand::default();
    for relay in &chain.relays {
        let endpoint = &mut chain.net.hosts[relay.host.0].endpoint;
        let held = endpoint.stats().pipe_bytes;
        let pipe = relay.pipes.first().and_then(|pipe| endpoint.piped(*pipe));
        let stats = pipe.map(|pipe| pipe.stats());
        assert!(stats.is_none_or(|stats| stats.held == held), "one pipe is all there is");
        stand.add(stats.map(|stats| stats.window), held);
    }
    let Some(flow) = chain.sink.inn.first() else { return stand };
    let view = chain.net.hosts[chain.sink.host.0].endpoint.connection(flow.connection);
    let mut view = view.expect("it lives");
    let stream = view.recv(flow.stream);
    let (window, held) =
        stream.map_or((None, 0), |stream| (Some(stream.window()), stream.charged()));
    stand.add(window, held);
    stand
}

/// Windows that are not to grow: from `from` on, when news of the slow sink is everywhere. Before,
/// those behind the sink's own window pass on what they still can.
struct Frozen {
    from: Instant,
    windows: Vec<Option<u64>>,
}

/// Lets the chain run like [`Chain::run`], and looks at everybody at every step.
fn run_watched(
    chain: &mut Chain,
    limit: Duration,
    mut frozen: Option<&mut Frozen>,
    mut done: impl FnMut(&mut Chain) -> bool,
) -> bool {
    chain.run(limit, |chain| {
        let now = stand(chain);
        now.check();
        if let Some(frozen) = frozen.as_mut().filter(|f| f.windows != now.windows) {
            let late = chain.net.now.saturating_since(frozen.from);
            assert_eq!(late, Duration::ZERO, "{:?}, were {:?}", now.windows, frozen.windows);
            frozen.windows = now.windows;
        }
        done(chain)
    })
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

/// Lets the sink read `rate` bytes a second for so long. Returns what the source had given at the
/// beginning and after each tick.
fn read_slowly(chain: &mut Chain, rate: u64, time: Duration, slow: &mut Frozen) -> Vec<u64> {
    let mut given = vec![taken(chain)];
    let until = chain.net.now + time;
    while chain.net.now < until {
        run_watched(chain, TICK, Some(&mut *slow), |_| false);
        chain.sink.read_some(&mut chain.net, rate * TICK.as_millis() as u64 / 1000);
        given.push(taken(chain));
    }
    given
}

/// The least and the most that was given in a second, whenever it began.
fn seconds(given: &[u64]) -> (u64, u64) {
    let second = |at: usize| given[at + TICKS] - given[at];
    let all = || (0..given.len() - TICKS).map(second);
    (all().min().expect("a second"), all().max().expect("a second"))
}

/// Each relay took the whole body once, gave it on once, and threw nothing away.
fn nothing_was_dropped_by_a_hop(chain: &mut Chain) {
    for relay in &chain.relays {
        let stats = chain.net.hosts[relay.host.0].endpoint.stats();
        let thrown = stats.malformed + stats.strays + stats.over_limit;
        assert_eq!((thrown, stats.piped_bytes, stats.pipe_bytes), (0, SIZE as u64, 0));
        let sent = relay.news.iter().find_map(|news| match news.kind {
            PipeEventKind::LegEnded { end: LegEnd::Delivered, sent, .. } => Some(sent),
            _ => None,
        });
        assert_eq!(sent, Some(SIZE as u64), "all of it went on");
    }
}

/// A source with more than enough to say, six hops, and a sink that reads a megabyte a second, then
/// nothing, then all: the source gives as much, nothing is dropped, no window grows while the sink
/// is slow, and nobody ever holds more than its window.
///
/// # Panics
/// If it is otherwise.
pub fn slow_sink(seed: u64) -> Report {
    let mut chain = Chain::new(seed, HOPS, hop(0), Forwarding::CutThrough);
    let first = chain.net.now;
    chain.write(1, SIZE);
    let fast = |chain: &mut Chain| chain.sink.inn.first().is_some_and(|f| f.read >= 4 << 20);
    assert!(run_watched(&mut chain, SECOND * 20, None, fast));
    chain.sink.reading = Reading::Never;
    let windows = stand(&mut chain).windows;
    let flying: u64 = windows.iter().flatten().sum();
    // Who passes on to a window that is not full yet cannot know that the sink is slow.
    let told = Duration::from_micros(flying * 1_000_000 / LINK) + ROUND_TRIP;
    let mut slow = Frozen { from: chain.net.now + told, windows };
    let dropped = drops(&mut chain);
    let settles = Duration::from_micros(flying * 1_000_000 / RATE) + 20 * ROUND_TRIP;
    read_slowly(&mut chain, RATE, settles, &mut slow);
    let (least, most) = seconds(&read_slowly(&mut chain, RATE, 8 * SECOND, &mut slow));
    println!("seed {seed}: {flying} bytes of windows, {least} to {most} bytes in any second");
    assert!(least >= RATE - RATE / 10 && most <= RATE + RATE / 10, "{least} to {most}");
    let grown = slow.windows.iter().flatten().sum::<u64>();
    assert!(grown <= 8_000_000, "{flying}, then {grown} bytes of windows");
    let still = read_slowly(&mut chain, 0, 60 * SECOND, &mut slow);
    let (before, after) = (still[0], still[still.len() - 1]);
    println!("{} bytes given while the sink stood still; {grown} bytes of windows", after - before);
    assert!(after - before <= flying && after < SIZE as u64, "the source stands still, too");
    assert_eq!(drops(&mut chain), dropped, "something was dropped");
    chain.sink.reading = Reading::InOrder;
    chain.sink.read_all(&mut chain.net);
    let read = |chain: &mut Chain| chain.sink.inn[0].finished;
    assert!(run_watched(&mut chain, SECOND * 20, None, read), "it resumes");
    assert_eq!(chain.sink.inn[0].read, SIZE as u64);
    let delivered = |chain: &mut Chain| chain.source.out[0].delivered;
    assert!(run_watched(&mut chain, SECOND * 5, None, delivered));
    run_watched(&mut chain, SECOND, None, |_| false);
    nothing_was_dropped_by_a_hop(&mut chain);
    let figures = vec![
        ("bytes of windows", flying as f64),
        ("least of a second", least as f64),
        ("most of a second", most as f64),
    ];
    report(&chain, first, figures)
}
