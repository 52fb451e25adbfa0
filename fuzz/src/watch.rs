//! A tape that is watched: of a run that a script tells, whole or damaged.

#![expect(clippy::expect_used, reason = "a promise that is broken is to be heard of")]

use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, TransportConfig};
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::script;
use aqueduct_core::tape::{MAGIC, Payload};
use aqueduct_core::trace::{self, Content, Depth, Seen, View, Watch};
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::{Pair, Reading};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::tapes::{end, mended};
use aqueduct_tests::world::World;
use aqueduct_trace::{Format, MAX_PAGE};
use arbitrary::Arbitrary;

/// Most operations of a script.
const MAX_OPS: usize = 40;

const MS: Duration = Duration::from_millis(1);

/// One thing that happens at one of two hosts.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op {
    Open(bool, bool, u8),
    Message(bool, u8),
    Datagram(bool, u8),
    Reset(bool, u8),
    Stop(bool, u8),
    Rebind(bool),
    Loss(bool, u8),
    Dark(bool, u8),
}

#[derive(Arbitrary, Clone, Debug)]
struct Script {
    seed: u8,
    /// Whose tape, and what of the payload is on it.
    first: bool,
    payload: u8,
    /// Keys change after so many packets.
    packets: Option<u8>,
    /// A bit that is turned, and where; the checks of the tape are made right again.
    damage: Option<(u16, u8)>,
    /// What happens, so many times 2 ms after what was before.
    #[arbitrary(with = script::rest)]
    ops: Vec<(u8, Op)>,
}

/// A tape, given as it is or recorded as a script says: whatever is on it, watching comes to its
/// end and shows every record once, in order; of a run that nobody touched all packets are open
/// that were for a connection. What is made of it for people keeps within its bounds.
pub fn watch(data: &[u8]) -> usize {
    if data.starts_with(&MAGIC) {
        return look(&mended(data)).len();
    }
    let Some(script) = crate::script::<Script>(data) else { return 0 };
    let payload = [Payload::Full, Payload::Referenced, Payload::Elided];
    let payload = payload.get(usize::from(script.payload % 3)).copied().unwrap_or_default();
    let (mut tape, strays) = recorded(&script, payload);
    if let Some((at, bit)) = script.damage {
        let at = usize::from(at) * tape.len() / (1 << 16);
        tape.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << (bit % 8));
        look(&mended(&tape));
    } else {
        let views = look(&tape);
        let sealed = |view: &View<'_>| match &view.what {
            Seen::Packet(packet) if packet.content == Content::Sealed => Some(packet.connection),
            _ => None,
        };
        let (ours, others): (Vec<_>, Vec<_>) =
            views.iter().filter_map(sealed).partition(Option::is_some);
        if payload != Payload::Elided {
            assert!(ours.is_empty(), "{} packets are not opened", ours.len());
            assert!(others.len() as u64 <= strays, "{} are nobody's", others.len());
        }
    }
    script.ops.len().min(MAX_OPS)
}

/// The tape of one of two hosts to which all this happened, and how many packets came for no
/// connection, so that nobody had a key, or answered such ones and look like them.
fn recorded(script: &Script, payload: Payload) -> (Vec<u8>, u64) {
    let seed = script.seed.into();
    let mut net = Net::new(seed, LinkConfig::default());
    net.tapes.payload = Some(payload);
    let packets = script.packets.map_or(1 << 20, |packets| 1 + u64::from(packets));
    let limits = KeyLimits::default().with_soft_packets(packets).expect("a limit");
    let transport = TransportConfig::default().with_key_limits(limits);
    let config =
        |key| EndpointConfig::new(NodeKey::from_seed(&[key; 32])).with_transport(transport.clone());
    let (a, b) = (net.add(config(1), seed * 2), net.add(config(2), seed * 2 + 1));
    let mut world = World::of(Pair::connect(net, a, b));
    world.read([Reading::AsItComes, Reading::InOrder]);
    for (after, op) in script.ops.iter().take(MAX_OPS) {
        world.pair.pass(MS * 2 * u32::from(*after));
        world.answer();
        act(&mut world, *op);
    }
    world.pair.pass(MS * 200);
    let host = if script.first { a } else { b };
    let endpoint = &mut world.pair.net.host(host).endpoint;
    let tape = end(endpoint);
    let stats = endpoint.stats();
    (tape, stats.strays + stats.resets)
}

fn act(world: &mut World, op: Op) {
    let host = |first: bool| HostId(usize::from(!first));
    match op {
        Op::Open(at, one, len) => {
            let dir = if one { Dir::Uni } else { Dir::Bi };
            world.open(host(at), dir, usize::from(len) * 400);
        }
        Op::Message(at, len) => world.message(host(at), usize::from(len) * 20),
        Op::Datagram(at, len) => world.datagram(host(at), usize::from(len) * 4),
        Op::Reset(at, pick) => _ = world.reset(host(at), pick.into()),
        Op::Stop(at, pick) => world.stop(host(at), pick.into()),
        Op::Rebind(at) => world.rebind(host(at)),
        Op::Loss(at, rate) => world.link(host(at)).loss = u32::from(rate),
        Op::Dark(at, ms) => world.dark(host(at), MS * u32::from(ms)),
    }
}

/// All that is seen.
fn look(tape: &[u8]) -> Vec<View<'_>> {
    let Ok(mut watch) = Watch::of(tape) else { return Vec::new() };
    let (mut views, mut wrong) = (Vec::new(), 0);
    while let Some(view) = watch.next() {
        match view {
            Ok(view) => views.push(view),
            Err(_) => {
                wrong += 1;
                assert_eq!(watch.depth(), Depth::Records);
            }
        }
    }
    // The core differs once, and then a record is none.
    assert!(wrong <= 2, "{wrong} divergences");
    assert!(views.is_sorted_by_key(|view| view.step));
    let steps = views.iter().filter(|view| matches!(view.what, Seen::Record(_)));
    let steps: Vec<u64> = steps.map(|view| view.step).collect();
    let records = trace::records(tape).map_or(0, |all| all.take_while(Result::is_ok).count());
    assert!(steps.iter().copied().eq(0..steps.len() as u64), "a record is left out, or twice");
    assert_eq!(steps.len(), records, "with {wrong} divergences");
    for_people(tape);
    views
}

fn for_people(tape: &[u8]) {
    if let Ok(report) = aqueduct_trace::report(tape, "a tape") {
        assert!(report.page.len() <= MAX_PAGE, "a page of {} bytes", report.page.len());
    }
    for format in [Format::Qlog, Format::Chrome, Format::Pcapng] {
        let _ = aqueduct_trace::export(tape, format, &mut std::io::sink());
    }
}
