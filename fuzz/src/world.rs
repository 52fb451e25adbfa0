//! Whole worlds: hosts, relays and roads from a seed, and what happens in them from a script.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a promise that is broken is to be heard of"
)]

use std::time::Duration;

use aqueduct_core::congestion::Algorithm;
use aqueduct_core::script;
use aqueduct_core::stream::Priority;
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::dice::Dice;
use aqueduct_tests::net::HostId;
use aqueduct_tests::rogue::Mischief;
use aqueduct_tests::swarm::plan::{Edge, RoguePlan};
use aqueduct_tests::swarm::{Deed, Plan, World, obstruct, road, rogue_link};
use arbitrary::Arbitrary;

/// Most operations of a script.
const MAX_OPS: usize = 50;

const MS: Duration = Duration::from_millis(1);

/// One thing that happens. The first number says where: over which edge, and at which of its ends.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op {
    Open(u8, bool, bool, Len),
    Message(u8, Len),
    Datagram(u8, u8),
    Reset(u8, u8),
    Stop(u8, u8),
    Cancel(u8, u8),
    Close(u8),
    Dial(u8),
    Rebind(u8),
    Move(u8),
    Forget(u8),
    Road(u8, u16),
    Dark(u8, u8),
    Block(u8, u8),
    Sleep(u8, u8),
    Pause(u8, u8),
    Restart(u8),
    SendsFail(u8, u8),
    SendsFull(u8, u8),
    Break(u8),
    Replay(u8, u16),
    Garbage(u8, u16),
    Cross(u8, u8),
    Recall(u8),
    DialBack(u8),
    Join(u8),
    Swallow(u8),
    /// Of the hosts, a bit each, those of this set are cut off from all others.
    Part(u8, u8),
    Whim(u8, Whim),
}

/// What applications change their mind about.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Whim {
    Scatter(bool, Len, u8),
    Limit(Rate),
    PeersLimit(Rate),
    PeerLimit(Rate),
    Controller(u8),
    Priority(u8, u8),
    Late(u8),
}

/// Bytes a second, where there is a limit.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Rate {
    Free,
    Low(u8),
    High(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Len {
    Empty,
    One,
    Some(u8),
    Much,
}

#[derive(Arbitrary, Clone, Debug)]
struct Script {
    seed: u16,
    rogue: Option<(u8, bool)>,
    /// What happens, so many times 20 ms after what was before.
    #[arbitrary(with = script::rest)]
    ops: Vec<(u8, Op)>,
}

/// Whatever happens in the world of a seed, beside whomever: all invariants hold, and in the quiet
/// behind it what lives comes to its end.
pub fn world(data: &[u8]) -> usize {
    let Some(script) = crate::script::<Script>(data) else { return 0 };
    let mut ops = script.ops;
    ops.truncate(MAX_OPS);
    let mut plan = Plan::draw(script.seed.into());
    plan.rogues.clear();
    if let Some((kind, answers)) = script.rogue {
        let kind = Mischief::ALL[usize::from(kind) % Mischief::ALL.len()];
        let open = plan.nodes.iter().position(|node| node.nat.is_none());
        let victim = HostId(open.expect("who accepts is behind no NAT"));
        let link = rogue_link(&mut Dice::new(script.seed.into(), "link"));
        plan.rogues.push(RoguePlan { kind, victim, answers, every: MS * 50, link });
    }
    let mut at = MS * 100;
    plan.deeds = (0..plan.edges.len()).map(|edge| (MS, Deed::Dial(edge))).collect();
    for (after, op) in &ops {
        at += MS * 20 * u32::from(*after);
        plan.deeds.push((at, deed(*op, &plan.edges)));
    }
    plan.quiet_at = at + MS * 500;
    plan.lasts = Duration::ZERO;
    World::new(plan).play();
    ops.len()
}

impl Len {
    fn bytes(self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One => 1,
            Self::Some(len) => usize::from(len) * 100,
            Self::Much => 200_000,
        }
    }
}

fn deed(op: Op, edges: &[Edge]) -> Deed {
    let number = |at: u8| usize::from(at / 2) % edges.len();
    let host = |at: u8| {
        let edge = edges[number(at)];
        if at.is_multiple_of(2) { edge.dialer } else { edge.acceptor }
    };
    let other = |at: u8| edges[number(at)].other(host(at));
    let time = |ms: u8| MS * 10 * u32::from(ms);
    match op {
        Op::Open(at, one, onward, len) => {
            let onward = onward && edges.len() > 1;
            let dir = if one || onward { Dir::Uni } else { Dir::Bi };
            Deed::Open { host: host(at), edge: number(at), dir, onward, len: len.bytes() }
        }
        Op::Message(at, len) => Deed::Message(host(at), number(at), len.bytes().min(40_000)),
        Op::Datagram(at, len) => Deed::Datagram(host(at), number(at), usize::from(len) * 4),
        Op::Reset(at, pick) => Deed::Reset(host(at), pick.into()),
        Op::Stop(at, pick) => Deed::Stop(host(at), pick.into()),
        Op::Cancel(at, pick) => Deed::Cancel(host(at), pick.into()),
        Op::Close(at) => Deed::Close(host(at), number(at)),
        Op::Dial(at) => Deed::Dial(number(at)),
        Op::Rebind(at) => Deed::Rebind(host(at)),
        Op::Move(at) => Deed::Move(host(at)),
        Op::Forget(at) => Deed::Forget(host(at)),
        Op::Road(at, luck) => {
            let mut dice = Dice::new(luck.into(), "road");
            let mut road = road(&mut dice);
            obstruct(&mut road, &mut dice);
            Deed::Road(host(at), other(at), road)
        }
        Op::Dark(at, ms) => Deed::Dark(host(at), other(at), time(ms)),
        Op::Block(at, ms) => Deed::Block(host(at), time(ms)),
        Op::Sleep(at, ms) => Deed::Sleep(host(at), time(ms)),
        Op::Pause(at, ms) => Deed::Pause(host(at), time(ms)),
        Op::Restart(at) => Deed::Restart(host(at)),
        Op::SendsFail(at, count) => Deed::SendsFail(host(at), u64::from(count) / 8),
        Op::SendsFull(at, rate) => Deed::SendsFull(host(at), u32::from(rate) * 800, MS * 20),
        Op::Break(at) => Deed::Break(number(at)),
        Op::Replay(at, luck) => Deed::Replay(host(at), luck.into()),
        Op::Garbage(at, luck) => Deed::Garbage(host(at), luck.into()),
        Op::Cross(at, ms) => Deed::Cross(host(at), other(at), time(ms)),
        Op::Recall(at) => Deed::Recall(host(at)),
        Op::DialBack(at) => Deed::DialBack(number(at)),
        Op::Join(at) => Deed::Join(number(at)),
        Op::Swallow(at) => Deed::Swallow(number(at)),
        Op::Part(apart, ms) => Deed::Part(apart.into(), time(ms)),
        Op::Whim(at, whim) => whim.deed(host(at), number(at), edges.len() > 1),
    }
}

impl Whim {
    /// What a host does on a whim, over an edge; its neighbour can pass things on, or cannot.
    fn deed(self, host: HostId, edge: usize, far: bool) -> Deed {
        match self {
            Self::Scatter(onward, len, start) => {
                let len = len.bytes();
                let start = len * usize::from(start) / 255;
                Deed::Scatter { host, edge, onward: onward && far, start, len }
            }
            Self::Limit(rate) => Deed::Limit(host, rate.bytes()),
            Self::PeersLimit(rate) => Deed::PeersLimit(host, rate.bytes()),
            Self::PeerLimit(rate) => Deed::PeerLimit(host, edge, rate.bytes()),
            Self::Controller(pick) => {
                let all = Algorithm::ALL;
                Deed::Controller(host, edge, all[usize::from(pick) % all.len()])
            }
            Self::Priority(pick, class) => {
                let all = Priority::ALL;
                Deed::Priority(host, pick.into(), all[usize::from(class) % all.len()])
            }
            Self::Late(pick) => Deed::Late(host, pick.into()),
        }
    }
}

impl Rate {
    fn bytes(self) -> Option<u64> {
        match self {
            Self::Free => None,
            Self::Low(rate) => Some(20_000 + u64::from(rate) * 1_000),
            Self::High(rate) => Some(500_000 + u64::from(rate) * 100_000),
        }
    }
}
