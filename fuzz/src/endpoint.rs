//! Two whole endpoints on a virtual network.

use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, RetryPolicy, TransportConfig};
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::crypto::handshake::Ciphers;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::script;
use aqueduct_core::stream::Priority;
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::Reading;
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Recorded};
use aqueduct_tests::world::{HOSTS, World};
use arbitrary::Arbitrary;

/// Most operations of a script.
const MAX_OPS: usize = 60;

/// Most virtual time that an operation takes.
const LONGEST: u16 = 3_000;

/// Datagrams of a burst: more than the queue takes where they are large.
const BURST: usize = 300;

/// Who dialed (`true`), or who answered.
type Who = bool;

/// One thing that happens.
#[derive(Arbitrary, Clone, Debug)]
enum Op {
    /// A stream, with a text to its end.
    Open(Who, bool, Len),
    /// A message.
    Message(Who, Len),
    /// A datagram.
    Datagram(Who, u16),
    /// More datagrams at once than may wait for their turn.
    Burst(Who, u16),
    /// A stream, with a text that has holes and begins somewhere.
    Scatter(Who, Len, u8),
    /// A stream is of another class.
    Priority(Who, u8, u8),
    /// A host has another controller.
    Controller(Who, u8),
    /// A host may send so many times 20,000 bytes a second, and a few more; or as many as it can.
    Limit(Who, Option<u8>),
    /// A stream is given up by who writes it.
    Reset(Who, u8),
    /// A stream is given up by who reads it.
    Stop(Who, u8),
    /// A host's port changes behind its back.
    Rebind(Who),
    /// The link away from a host becomes another.
    Link(Who, Link),
    /// A host's socket takes nothing for so many milliseconds.
    Block(Who, u16),
    /// Nothing that a host sends comes through for so many milliseconds.
    Dark(Who, u16),
    /// A datagram of the past comes again.
    Replay(u8),
    /// A datagram of the past comes again, with a flipped bit.
    Flip(u8, u16),
    /// A datagram of the past comes again, cut off.
    Cut(u8, u16),
    /// A datagram of the past comes again, from an address where nobody lives.
    Elsewhere(u8, u8),
    /// Any bytes come from the peer's address.
    Any(Who, Vec<u8>),
    /// So many milliseconds pass.
    Pass(u16),
}

/// Bytes of a text.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Len {
    Empty,
    One,
    Some(u16),
    Much,
}

/// A link, in rough steps.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Link {
    delay: u8,
    jitter: u8,
    loss: u8,
    duplicate: u8,
    corrupt: u8,
    rate: Option<u8>,
}

/// Choices of a node's configuration.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Node {
    soft_packets: Option<u8>,
    few_streams: bool,
    memory: u8,
    aes: bool,
    retry: bool,
    as_it_comes: bool,
}

/// Two nodes and what happens to them.
#[derive(Arbitrary, Clone, Debug)]
struct Script {
    nodes: [Node; 2],
    seed: u8,
    #[arbitrary(with = script::rest)]
    ops: Vec<Op>,
}

/// Two honest endpoints, and a network that is not: no byte is wrong, nobody finds fault with the
/// other, and when the network has calmed down all that lives comes to its end, and nothing is
/// left.
pub fn pair(data: &[u8]) -> usize {
    let Some(script) = crate::script::<Script>(data) else { return 0 };
    let Script { nodes: [a, b], seed, mut ops } = script;
    ops.truncate(MAX_OPS);
    let nodes = [a.config(1), b.config(2)];
    let [Some(first), Some(second)] = nodes else { return 0 };
    let mut world = World::new(seed.into(), [first, second]);
    world.read([a, b].map(Node::reading));
    world.pair.net.recording = Some(Vec::new());
    for op in &ops {
        step(&mut world, op);
        world.answer();
        let _ = world.ends();
    }
    world.quiet();
    ops.len()
}

impl Node {
    fn config(self, key: u8) -> Option<EndpointConfig> {
        let mut transport = TransportConfig::default();
        if let Some(soft) = self.soft_packets {
            let limits = KeyLimits::default().with_soft_packets(10 + u64::from(soft));
            transport = transport.with_key_limits(limits.ok()?);
        }
        if self.few_streams {
            transport = transport.with_max_streams(2, 5).ok()?;
        }
        let aes = Ciphers::PreferAes256Gcm;
        let ciphers = if self.aes { aes } else { Ciphers::PreferChaCha20Poly1305 };
        let retry = if self.retry { RetryPolicy::Always } else { RetryPolicy::Auto };
        let config = EndpointConfig::new(NodeKey::from_seed(&[key; 32]))
            .with_transport(transport)
            .with_memory((1 << 20) + (u64::from(self.memory) << 16), 8)
            .ok()?;
        Some(config.with_ciphers(ciphers).with_retry(retry))
    }

    const fn reading(self) -> Reading {
        if self.as_it_comes { Reading::AsItComes } else { Reading::InOrder }
    }
}

impl Len {
    fn bytes(self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One => 1,
            Self::Some(len) => len.into(),
            Self::Much => 300_000,
        }
    }
}

impl From<Link> for LinkConfig {
    fn from(link: Link) -> Self {
        Self {
            delay: Duration::from_micros(50 + 600 * u64::from(link.delay)),
            jitter: Duration::from_micros(80 * u64::from(link.jitter)),
            loss: link.loss.into(),
            duplicate: link.duplicate.into(),
            corrupt: u32::from(link.corrupt) / 8,
            rate: link.rate.map(|rate| 20_000 + 40_000 * u64::from(rate)),
            ..Self::default()
        }
    }
}

const fn host(who: Who) -> HostId {
    let [dialed, answered] = HOSTS;
    if who { dialed } else { answered }
}

fn any_of<T: Copy, const N: usize>(all: &[T; N], pick: u8) -> T {
    const { assert!(N > 0, "one at least") }
    *all.iter().cycle().nth(pick.into()).unwrap_or(&all[0])
}

fn time(ms: u16) -> Duration {
    Duration::from_millis((ms % LONGEST).into())
}

fn step(world: &mut World, op: &Op) {
    match *op {
        Op::Open(who, bidi, len) => {
            let dir = if bidi { Dir::Bi } else { Dir::Uni };
            world.open(host(who), dir, len.bytes());
        }
        Op::Message(who, len) => world.message(host(who), len.bytes()),
        Op::Datagram(who, len) => world.datagram(host(who), (len % 1_300).into()),
        Op::Burst(who, len) => {
            (0..BURST).for_each(|_| world.datagram(host(who), (len % 1_300).into()));
        }
        Op::Scatter(who, len, start) => {
            let len = len.bytes() as u64;
            world.scatter(host(who), len * u64::from(start) / 255, len);
        }
        Op::Priority(who, of, class) => {
            let class = any_of(&Priority::ALL, class);
            world.reclass(host(who), of.into(), class);
        }
        Op::Controller(who, pick) => world.control(host(who), any_of(&Algorithm::ALL, pick)),
        Op::Limit(who, rate) => {
            let rate = rate.map(|rate| 5_000 + 20_000 * u64::from(rate));
            world.limit(host(who), rate);
        }
        Op::Reset(who, of) => _ = world.reset(host(who), of.into()),
        Op::Stop(who, of) => world.stop(host(who), of.into()),
        Op::Rebind(who) => world.rebind(host(who)),
        Op::Link(who, link) => *world.link(host(who)) = link.into(),
        Op::Block(who, ms) => world.block(host(who), time(ms)),
        Op::Dark(who, ms) => world.dark(host(who), time(ms)),
        Op::Pass(ms) => world.pair.pass(time(ms)),
        Op::Replay(back) => again(world, back, |_| {}),
        Op::Flip(back, bit) => again(world, back, |past| {
            let bit = usize::from(bit) % (past.bytes.len() * 8);
            past.bytes.iter_mut().skip(bit / 8).take(1).for_each(|byte| *byte ^= 1 << (bit % 8));
        }),
        Op::Cut(back, len) => again(world, back, |past| {
            past.bytes.truncate(usize::from(len) % past.bytes.len());
        }),
        Op::Elsewhere(back, port) => {
            again(world, back, |past| past.from.set_port(9_000 + u16::from(port)));
        }
        Op::Any(who, ref bytes) => again(world, 0, |past| {
            let [here, there] = [past.from, past.to];
            (past.from, past.to) = if who { (here, there) } else { (there, here) };
            past.bytes.clone_from(bytes);
        }),
    }
}

/// A datagram of the past comes again, changed.
fn again(world: &mut World, back: u8, change: impl FnOnce(&mut Recorded)) {
    let past = world.pair.net.recording.as_deref().unwrap_or_default();
    let Some(back) = usize::from(back).checked_rem(past.len()) else { return };
    let Some(said) = past.iter().nth_back(back).cloned() else { return };
    let mut past = said.clone();
    change(&mut past);
    if !past.bytes.is_empty() {
        world.pair.net.repeat(&said, past.from, past.to, past.bytes);
    }
}
