//! How a plan is drawn.

use std::net::Ipv4Addr;
use std::time::Duration;

use aqueduct_core::config::RetryPolicy;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::crypto::handshake::Ciphers;
use aqueduct_core::pipe::{LegPolicy, PipeOptions};
use aqueduct_core::wire::id::Dir;

use super::deed::Deed;
use super::plan::{Carriage, Edge, NodePlan, Plan, RoguePlan};
use crate::app::Reading;
use crate::dice::Dice;
use crate::link::ecn::Marks;
use crate::link::{
    Bursts, Corrupt, Delay, Duplicate, LinkConfig, Loss, Machine, Queue, Reorder, Schedule,
    SizeLimit,
};
use crate::net::clock::Clock;
use crate::net::stream::StreamConfig;
use crate::net::{HostId, Nat, NatKind};
use crate::provider::FAST;
use crate::rogue::Mischief;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// What a world lasts, unless its quiet ends later.
const LASTS: Duration = Duration::from_secs(60);

impl Plan {
    /// The world of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "world");
        let hosts = [2, 2, 3, 3, 4][dice.below(5) as usize];
        let edges: Vec<_> = (1..hosts).map(|host| edge(host, &mut dice)).collect();
        let mut node = |host| node(HostId(host), &edges, &mut dice);
        let nodes: Vec<_> = (0..hosts).map(&mut node).collect();
        let mut roads = Vec::new();
        for edge in &edges {
            for (from, to) in [(edge.dialer, edge.acceptor), (edge.acceptor, edge.dialer)] {
                roads.push((from, to, road(&mut dice)));
            }
        }
        let quiet_at = dice.between(SECOND * 4, SECOND * 50);
        let rogues = rogues(&nodes, &mut Dice::new(seed, "rogues"));
        let (deeds, peace, lasts) = (Vec::new(), Vec::new(), LASTS);
        let hasty = Dice::new(seed, "haste").one_in(4);
        let mut plan =
            Self { seed, nodes, edges, roads, rogues, deeds, quiet_at, hasty, peace, lasts };
        plan.draw_traffic(&mut dice.fork("traffic"));
        plan.draw_faults(&mut dice.fork("faults"));
        plan.draw_apart();
        plan.draw_peace(&mut Dice::new(seed, "peace"));
        plan.deeds.sort_by_key(|(at, _)| *at);
        plan
    }

    fn draw_traffic(&mut self, dice: &mut Dice) {
        for (number, _) in self.edges.iter().enumerate() {
            let at = dice.between(Duration::ZERO, SECOND);
            self.deeds.push((at, Deed::Dial(number)));
        }
        let mut left = 400_000 + dice.below(1_200_000) as usize;
        for _ in 0..8 + dice.below(40) {
            let at = dice.between(MS * 100, self.quiet_at);
            let number = dice.below(self.edges.len() as u64) as usize;
            let edge = self.edges[number];
            let host = dice.pick(&[edge.dialer, edge.acceptor]);
            let deed = match dice.below(12) {
                0 => Deed::Message(host, number, dice.pick(&[0, 10, 1_000, 40_000])),
                1 => Deed::Datagram(host, number, dice.pick(&[0, 10, 1_000])),
                2 => Deed::Reset(host, dice.below(8) as usize),
                3 => Deed::Stop(host, dice.below(8) as usize),
                4 if dice.one_in(4) => Deed::Cancel(host, dice.below(4) as usize),
                4 if dice.one_in(6) => Deed::Close(host, number),
                _ => {
                    let len = dice.pick(&[0, 1, 1_000, 30_000, 100_000, 300_000]).min(left);
                    left -= len;
                    let onward = self.edges.len() > 1 && dice.one_in(2);
                    let dir = if onward || dice.one_in(2) { Dir::Uni } else { Dir::Bi };
                    Deed::Open { host, edge: number, dir, onward, len }
                }
            };
            self.deeds.push((at, deed));
        }
    }

    fn draw_faults(&mut self, dice: &mut Dice) {
        // One world in eight has none but those of its roads.
        let most = if dice.one_in(8) { 0 } else { 1 + dice.below(14) };
        for _ in 0..most {
            let at = dice.between(Duration::ZERO, self.quiet_at);
            let host = HostId(dice.below(self.nodes.len() as u64) as usize);
            let number = dice.below(self.edges.len() as u64) as usize;
            let edge = self.edges[number];
            let from = dice.pick(&[edge.dialer, edge.acceptor]);
            let time = dice.between(MS, MS * 2_500);
            let deed = match dice.below(22) {
                0..4 => Deed::Road(from, edge.other(from), road(dice)),
                4 | 5 => Deed::Dark(from, edge.other(from), time * 2),
                6 | 7 => Deed::Rebind(host),
                8 => Deed::Move(host),
                9 => Deed::Block(host, time),
                10 => Deed::Sleep(host, time),
                11 => Deed::Pause(host, time),
                12 if dice.one_in(2) => Deed::Restart(host),
                13 => Deed::SendsFail(host, dice.below(20)),
                14 => Deed::SendsFull(host, dice.below(200_000) as u32, time / 50),
                15 => Deed::Forget(host),
                16 => Deed::Break(number),
                17 | 18 => Deed::Replay(host, dice.next()),
                19 => Deed::Garbage(host, dice.next()),
                20 => Deed::Cross(from, edge.other(from), time * 2),
                _ => Deed::Sleep(host, MS * dice.below(200) as u32),
            };
            self.deeds.push((at, deed));
        }
    }
}

/// In one world of four somebody keeps no rules. Chance of its own: all else is as without.
fn rogues(nodes: &[NodePlan], dice: &mut Dice) -> Vec<RoguePlan> {
    let count = if dice.one_in(4) { 1 + dice.below(2) } else { 0 };
    // Who stands behind a NAT is not found.
    let open: Vec<_> = (0..nodes.len()).filter(|host| nodes[*host].nat.is_none()).collect();
    let rogue = |dice: &mut Dice| RoguePlan {
        kind: dice.pick(&Mischief::ALL[..13]),
        victim: HostId(dice.pick(&open)),
        answers: dice.one_in(3),
        every: dice.between(MS * 10, MS * 200),
        link: LinkConfig::default(),
    };
    (0..count).map(|_| rogue(dice)).collect()
}

/// The neighbour of a host among those before it.
fn edge(host: usize, dice: &mut Dice) -> Edge {
    let (host, other) = (HostId(host), HostId(dice.below(host as u64) as usize));
    let (dialer, acceptor) = dice.pick(&[(host, other), (other, host)]);
    let carriage = if dice.one_in(8) { Carriage::Stream(stream(dice)) } else { Carriage::Udp };
    Edge { dialer, acceptor, carriage }
}

/// A byte stream that is slow or fast, near or far, and stands still now and then.
pub(super) fn stream(dice: &mut Dice) -> StreamConfig {
    StreamConfig {
        delay: dice.between(MS / 10, MS * 100),
        rate: 50_000 + dice.below(10_000_000),
        buffer: 4_000 + dice.below(200_000),
        stalls: dice.below(20_000) as u32,
        stall: MS * 200,
    }
}

fn node(id: HostId, edges: &[Edge], dice: &mut Dice) -> NodePlan {
    // A NAT needs somebody inside who writes first.
    let dials_only = edges.iter().all(|edge| edge.acceptor != id);
    let nat = (dials_only && dice.one_in(3)).then(|| {
        let kind = dice.pick(&NatKind::ALL);
        let mut nat = Nat::new(kind, Ipv4Addr::new(198, 51, 100, id.0 as u8 + 1).into());
        nat.forgets_after = dice.between(SECOND * 3, SECOND * 60);
        nat
    });
    let clock = match dice.below(3) {
        0 => Clock::default(),
        _ => Clock {
            ahead: dice.between(Duration::ZERO, SECOND * 3_600),
            drift: dice.below(10_001) as i32 - 5_000,
        },
    };
    let pipes = PipeOptions {
        policy: dice.pick(&[LegPolicy::Stall, LegPolicy::DETACH]),
        stock: dice.pick(&[1 << 14, 1 << 18, 1 << 20]),
        ..PipeOptions::default()
    };
    NodePlan {
        memory: ((2 << 20) + dice.below(1 << 23), 8),
        key_packets: dice.one_in(2).then(|| 20 + dice.below(500)),
        streams: dice.one_in(3).then_some((2, 5)),
        ciphers: dice.pick(&[Ciphers::PreferAes256Gcm, Ciphers::PreferChaCha20Poly1305]),
        retry: dice.pick(&[RetryPolicy::Auto, RetryPolicy::Always]),
        clock,
        nat,
        reading: dice.pick(&[Reading::InOrder, Reading::AsItComes]),
        slow: dice.one_in(5).then(|| 500 + dice.below(50_000)),
        pipes,
        controller: Algorithm::default(),
        provider: FAST,
        packets: None,
    }
}

/// Machines in a row: some loss, some harm, a bottleneck, and a delay.
pub fn road(dice: &mut Dice) -> Vec<Box<dyn Machine>> {
    let mut road: Vec<Box<dyn Machine>> = Vec::new();
    match dice.below(5) {
        0 => road.push(Box::new(Loss::of(dice.below(200_000) as u32))),
        1 => road.push(Box::new(Loss::of(dice.below(300_000) as u32).at_most(3))),
        2 => road.push(Box::new(Bursts::of(dice.below(50_000) as u32, 1 + dice.below(30) as u32))),
        _ => {}
    }
    if dice.one_in(5) {
        road.push(Box::new(Corrupt::of(dice.below(50_000) as u32)));
    }
    if dice.one_in(8) {
        let tells = dice.one_in(2);
        road.push(Box::new(SizeLimit { most: 1_200 + dice.below(400) as usize, tells }));
    }
    if dice.one_in(8) {
        let marks = [Marks::Bleach, Marks::Congested(dice.below(100_000) as u32), Marks::Remark];
        road.push(Box::new(dice.pick(&marks)));
    }
    if dice.one_in(10) {
        let (on, off) = (dice.between(SECOND, SECOND * 6), dice.between(MS * 50, SECOND * 3));
        let from = aqueduct_core::time::Instant::ZERO;
        road.push(Box::new(Schedule { from, on, off, repeat: dice.one_in(2) }));
    }
    if dice.one_in(4) {
        let rate = dice.below(100_000) as u32;
        road.push(Box::new(Duplicate { rate, within: dice.between(Duration::ZERO, MS * 300) }));
    }
    if !dice.one_in(3) {
        let rate = dice.pick(&[20_000, 100_000, 1_000_000, 10_000_000]) + dice.below(50_000);
        let queue = match dice.below(2) {
            0 => Queue::packets(rate, 4 + dice.below(200) as usize),
            _ => Queue::bytes(rate, 5_000 + dice.below(200_000)),
        };
        let marking = dice.one_in(3).then(|| dice.below(20) as usize);
        road.push(Box::new(marking.map_or(queue.clone(), |above| queue.marking_above(above))));
    }
    let most = dice.pick(&[MS, MS * 20, MS * 150]);
    let delay = dice.between(MS / 20, most);
    let jitter = dice.pick(&[Duration::ZERO, delay / 4, delay]);
    let delay = Delay::of(delay).jitter(jitter);
    road.push(Box::new(if dice.one_in(2) { delay.ordered() } else { delay }));
    if dice.one_in(6) {
        road.push(Box::new(Reorder { rate: dice.below(100_000) as u32, by: MS * 100 }));
    }
    road
}
