//! Tapes of simulated hosts: what was recorded runs again, and must be as it was.

use std::cell::{Cell, RefCell};

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::endpoint::Endpoint;
use aqueduct_core::rng::Seed;
use aqueduct_core::tape::{Check, HEAD, Payload, SEGMENT_HEAD, TapeOptions};
use aqueduct_core::trace::{self, Summary};

use crate::app::Pair;
use crate::link::LinkConfig;
use crate::net::Net;
use crate::net::stream::StreamConfig;
use crate::world::World;

/// Makes endpoints that are recorded, if that is wanted, and replays their tapes in the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tapes {
    /// Whether new endpoints are recorded, and what of the payload.
    pub payload: Option<Payload>,
}

impl Tapes {
    /// Every endpoint is recorded inside of [`taped`], and if the environment says
    /// `AQUEDUCT_TAPES`: any scenario is then a test of the tape, too.
    pub fn asked_for() -> Self {
        let asked = TAPED.get() || std::env::var_os("AQUEDUCT_TAPES").is_some();
        let kept = KEPT.with_borrow(|kept| kept.as_ref().map(|kept| kept.0));
        Self { payload: kept.or_else(|| asked.then_some(Payload::Full)) }
    }

    /// An endpoint.
    pub fn endpoint(&self, config: EndpointConfig, seed: Seed) -> Endpoint {
        match self.payload {
            // No disk stands behind it that could be too slow.
            Some(payload) => {
                let options = TapeOptions { payload, buffer: usize::MAX, ..<_>::default() };
                Endpoint::recorded(config, seed, &options)
            }
            None => Endpoint::new(config, seed),
        }
    }

    /// An endpoint is over: its tape, if it has a whole one, runs again, unless somebody keeps it.
    ///
    /// # Panics
    /// If it does something else.
    pub fn finish(&self, mut endpoint: Endpoint) {
        if keep(&mut endpoint) || std::thread::panicking() {
            return;
        }
        // Who ended it has looked at it.
        let runs = endpoint.tape().is_some_and(|status| status.ended.is_none());
        if runs && self.payload == Some(Payload::Full) {
            let tape = end(&mut endpoint);
            let summary = again(&tape);
            assert!(summary.is_whole(), "{summary:?}");
        }
    }
}

thread_local! {
    /// Whether this thread's endpoints are recorded, and their tapes run again.
    static TAPED: Cell<bool> = const { Cell::new(false) };
    /// Tapes that ran again on this thread and were as they had been.
    static REPLAYED: Cell<u64> = const { Cell::new(0) };
    /// The tapes of this thread's endpoints, and what they hold, while somebody keeps them.
    static KEPT: RefCell<Option<(Payload, Vec<Vec<u8>>)>> = const { RefCell::new(None) };
}

/// Does `work` with every endpoint of its networks recorded; each tape runs again when its endpoint
/// ends, and must be as it was. Gives how many did, too.
pub fn taped<T>(work: impl FnOnce() -> T) -> (T, u64) {
    struct Until;
    impl Drop for Until {
        fn drop(&mut self) {
            TAPED.set(false);
        }
    }
    let _until = Until;
    TAPED.set(true);
    let before = REPLAYED.get();
    let done = work();
    (done, REPLAYED.get() - before)
}

/// Does `work` with every endpoint of its networks recorded, and gives the tapes too, in the order
/// in which the endpoints ended.
pub fn kept<T>(payload: Payload, work: impl FnOnce() -> T) -> (T, Vec<Vec<u8>>) {
    KEPT.set(Some((payload, Vec::new())));
    let done = work();
    (done, KEPT.take().map(|kept| kept.1).unwrap_or_default())
}

/// Whether somebody keeps the tape of an endpoint that is over.
fn keep(endpoint: &mut Endpoint) -> bool {
    endpoint.tape().is_some()
        && KEPT.with_borrow_mut(|kept| match kept {
            Some((_, tapes)) => {
                tapes.push(end(endpoint));
                true
            }
            None => false,
        })
}

/// Ends an endpoint's tape and gives what was not taken yet.
pub fn end(endpoint: &mut Endpoint) -> Vec<u8> {
    let mut tape = Vec::new();
    endpoint.end_tape();
    endpoint.take_tape(&mut tape);
    tape
}

/// Runs a tape again.
///
/// # Panics
/// If it is not as it was.
pub fn again(tape: &[u8]) -> Summary {
    let summary = trace::replay(tape).unwrap_or_else(|divergence| panic!("{divergence}"));
    REPLAYED.set(REPLAYED.get() + 1);
    summary
}

/// A small run of two hosts, one of them recorded, with something of most things in it: streams
/// both ways, one given up and one stopped, a message, a datagram, a move, a polite end. Gives the
/// tapes of both.
pub fn small(payload: Payload) -> [Vec<u8>; 2] {
    use aqueduct_core::crypto::identity::NodeKey;
    use aqueduct_core::wire::id::{AppCode, Dir};
    use std::time::Duration;

    let mut net = Net::new(5, LinkConfig { loss: 20, ..LinkConfig::default() });
    net.tapes.payload = Some(payload);
    let config = |key| EndpointConfig::new(NodeKey::from_seed(&[key; 32]));
    let (a, b) = (net.add(config(1), 51), net.add(config(2), 52));
    let mut world = World::of(Pair::connect(net, a, b));
    for (host, dir, len) in [(a, Dir::Bi, 300), (b, Dir::Uni, 700), (a, Dir::Uni, 3_000)] {
        world.open(host, dir, len);
    }
    world.answer();
    world.pair.pass(Duration::from_millis(100));
    world.message(b, 200);
    world.datagram(a, 90);
    world.reset(a, 1);
    world.stop(a, 0);
    world.rebind(a);
    world.pair.pass(Duration::from_millis(1_500));
    world.answer();
    let at = world.handle(a);
    let host = world.pair.net.host(a);
    host.endpoint.connection(at).expect("it lives").close(AppCode(4), b"enough");
    world.pair.pass(Duration::from_secs(3));
    [a, b].map(|host| end(&mut world.pair.net.host(host).endpoint))
}

/// A run of two hosts that goes other ways: a cookie first, new keys after every few packets, and
/// from datagrams to a byte stream and back while something is under way. Gives the tapes of both.
///
/// # Panics
/// If it does not go those ways.
pub fn ways(payload: Payload) -> [Vec<u8>; 2] {
    use aqueduct_core::config::{RetryPolicy, TransportConfig};
    use aqueduct_core::crypto::identity::NodeKey;
    use aqueduct_core::crypto::limits::KeyLimits;
    use aqueduct_core::wire::id::{AppCode, CarrierId, Dir};
    use std::time::Duration;

    let limits = KeyLimits::default().with_soft_packets(8).expect("a limit");
    let config = |key| {
        EndpointConfig::new(NodeKey::from_seed(&[key; 32]))
            .with_transport(TransportConfig::default().with_key_limits(limits))
            .with_retry(RetryPolicy::Always)
    };
    let mut net = Net::new(6, LinkConfig::default());
    net.tapes.payload = Some(payload);
    let (a, b) = (net.add(config(1), 61), net.add(config(2), 62));
    let mut world = World::of(Pair::connect(net, a, b));
    world.open(a, Dir::Bi, 9_000);
    world.pair.pass(Duration::from_millis(500));
    world.answer();
    let (at, by_udp) = (world.handle(a), world.pair.net.host(b).addr);
    let carrier = CarrierId(7);
    let (_, by_stream) = world.pair.net.join([a, b], carrier, StreamConfig::default());
    let remote = |world: &mut World| {
        let host = world.pair.net.host(a);
        host.endpoint.connection(at).expect("it lives").remote()
    };
    let host = world.pair.net.host(a);
    host.endpoint.connection(at).expect("it lives").add_path(carrier, by_stream);
    world.pair.pass(Duration::from_millis(500));
    for (loss, way) in [(1_000, by_stream), (0, by_udp)] {
        world.pair.net.set_link(a, b, LinkConfig { loss, ..LinkConfig::default() });
        for host in [a, b] {
            world.open(host, Dir::Uni, 2_000);
        }
        let there = (0..60).any(|_| {
            world.pair.pass(Duration::from_secs(1));
            remote(&mut world) == way
        });
        assert!(there, "it does not go by {way}");
    }
    let host = world.pair.net.host(a);
    let mut view = host.endpoint.connection(at).expect("it lives");
    assert!(view.stats().keys.updates_started + view.stats().keys.updates_followed > 2);
    view.close(AppCode(4), b"enough");
    drop(view);
    world.pair.pass(Duration::from_secs(3));
    [a, b].map(|host| end(&mut world.pair.net.host(host).endpoint))
}

/// A tape's segments with a right check, whatever was done to them: what a reader meets when a
/// writer was wrong, and not a disk.
pub fn mended(tape: &[u8]) -> Vec<u8> {
    let word = |bytes: &[u8], at: usize| {
        let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
        four.map_or(0, u32::from_be_bytes) as usize
    };
    let mut out = tape.to_vec();
    let mut end = (HEAD + word(tape, 20)).min(out.len());
    let mut check = Check::default();
    check.bytes(&out[..end]);
    let mut from = end;
    loop {
        match out.get_mut(end..end + 8) {
            Some(place) => place.copy_from_slice(&check.value().to_be_bytes()),
            None => return out,
        }
        from = from.max(end + 8);
        let before = check.value();
        end = from + SEGMENT_HEAD + word(&out, from + 20) + 8;
        let Some(body) = out.get(from..end) else { return out };
        check = Check::default();
        check.word(before);
        check.bytes(body);
    }
}
