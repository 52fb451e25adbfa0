//! What is drawn apart, each thing with chance of its own: a world that has none of it is as it was
//! before anybody thought of it.

use std::time::Duration;

use aqueduct_core::congestion::Algorithm;
use aqueduct_core::crypto::provider::Provider;
use aqueduct_core::wire::id::Dir;

use super::deed::Deed;
use super::draw::stream;
use super::plan::{Carriage, Edge, Plan, RoguePlan};
use crate::dice::Dice;
use crate::link::{Delay, Drops, LinkConfig, Loss, Machine, Policer, Queue};
use crate::net::HostId;
use crate::rogue::Mischief;

const MS: Duration = Duration::from_millis(1);
/// The controllers that do not yield to others.
const FOREGROUND: [Algorithm; 4] =
    [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr, Algorithm::Weir];

impl Plan {
    pub(super) fn draw_apart(&mut self) {
        let seed = self.seed;
        let dice = |label| Dice::new(seed, label);
        sort_out(&mut self.rogues, &mut dice("picky"));
        let mut links = dice("links of rogues");
        self.rogues.iter_mut().for_each(|rogue| rogue.link = rogue_link(&mut links));
        self.draw_smugglers(&mut dice("smugglers"));
        self.draw_history(&mut dice("history"));
        self.draw_controllers(&mut dice("controllers"));
        self.draw_background(&mut dice("background"));
        self.draw_providers(&mut dice("providers"));
        self.draw_carriers(&mut dice("carriers"));
        self.draw_dials(&mut dice("both dial"));
        self.draw_obstacles(&mut dice("obstacles"));
        self.draw_partition(&mut dice("partition"));
        self.draw_whims();
    }

    /// In one world of eight some hosts and the others do not hear each other for a while.
    fn draw_partition(&mut self, dice: &mut Dice) {
        if !dice.one_in(8) {
            return;
        }
        let apart = 1 + dice.below((1 << self.nodes.len()) - 2);
        let at = dice.between(Duration::ZERO, self.quiet_at);
        let time = dice.between(MS * 100, MS * 6_000);
        self.deeds.push((at, Deed::Part(apart, time)));
    }

    /// In one world of eight somebody sends on what nobody wants, past a host that gives up pipes
    /// soon.
    fn draw_smugglers(&mut self, dice: &mut Dice) {
        let open: Vec<_> =
            (0..self.nodes.len()).filter(|at| self.nodes[*at].nat.is_none()).collect();
        if dice.one_in(8) {
            let victim = dice.pick(&open);
            self.nodes[victim].pipes.timeout = Some(dice.between(MS * 500, MS * 8_000));
            self.rogues.push(RoguePlan {
                kind: Mischief::Smuggles,
                victim: HostId(victim),
                answers: dice.one_in(3),
                every: dice.between(MS * 10, MS * 200),
                link: rogue_link(dice),
            });
        }
    }

    /// In one world of sixteen something large goes over a fair road, and whoever listened to its
    /// beginning repeats that when a thousand packets have gone since.
    fn draw_history(&mut self, dice: &mut Dice) {
        if !dice.one_in(16) {
            return;
        }
        let (number, edge, host) = self.draw_way(dice);
        let at = self.quiet_at / 4;
        self.lay_at(at, edge, &[boxed(Queue::bytes(1_000_000, 100_000))], MS * 5);
        self.send_large(host, number, at);
        for part in [2, 3] {
            let deed = Deed::Recall(edge.other(host));
            self.deeds.push((self.quiet_at * part / 4 + MS * 900, deed));
        }
    }

    /// An edge, and who sends something large over it.
    pub(super) fn draw_way(&self, dice: &mut Dice) -> (usize, Edge, HostId) {
        let number = dice.below(self.edges.len() as u64) as usize;
        let edge = self.edges[number];
        (number, edge, dice.pick(&[edge.dialer, edge.acceptor]))
    }

    fn send_large(&mut self, host: HostId, edge: usize, at: Duration) {
        let (dir, onward, len) = (Dir::Uni, false, 2_500_000);
        self.deeds.push((at, Deed::Open { host, edge, dir, onward, len }));
    }

    /// Both roads of an edge are of these machines and a delay from then on.
    fn lay_at(&mut self, at: Duration, edge: Edge, machines: &[Box<dyn Machine>], delay: Duration) {
        for (from, to) in [(edge.dialer, edge.acceptor), (edge.acceptor, edge.dialer)] {
            let mut road = machines.to_vec();
            road.push(boxed(Delay::of(delay)));
            self.deeds.push((at, Deed::Road(from, to, road)));
        }
    }

    /// One host of four has the ciphers that need no C.
    fn draw_providers(&mut self, dice: &mut Dice) {
        for node in &mut self.nodes {
            if dice.one_in(4) {
                node.provider = Provider::Rust;
            }
        }
    }

    /// In one world of two every host has a controller of its own. In one of eight of these
    /// something large goes over a road that loses little at first and then more, and is no slower
    /// for it.
    fn draw_controllers(&mut self, dice: &mut Dice) {
        if dice.one_in(2) {
            return;
        }
        for node in &mut self.nodes {
            node.controller = dice.pick(&FOREGROUND);
        }
        if dice.one_in(8) {
            let (number, edge, host) = self.draw_way(dice);
            let at = self.quiet_at / 4;
            let later = at + dice.between(MS * 300, MS * 1_500);
            let delay = dice.between(MS * 5, MS * 40);
            let rate = dice.pick(&[500_000, 2_000_000, 10_000_000]);
            for (at, most) in [(at, 10_000), (later, 150_000)] {
                let loss = boxed(Loss::of(dice.below(most) as u32));
                self.lay_at(at, edge, &[loss, boxed(Queue::bytes(rate, 200_000))], delay);
            }
            self.send_large(host, number, at);
        }
    }

    /// In one world of eight half of the hosts yield to all others.
    fn draw_background(&mut self, dice: &mut Dice) {
        if !dice.one_in(8) {
            return;
        }
        for node in &mut self.nodes {
            if dice.one_in(2) {
                node.controller = Algorithm::Ledbat;
            }
        }
    }

    /// One edge in four has a byte stream beside its datagrams, which are cut off for a while; and
    /// over one stream in two datagrams are tried.
    fn draw_carriers(&mut self, dice: &mut Dice) {
        for number in 0..self.edges.len() {
            match self.edges[number].carriage {
                Carriage::Udp if dice.one_in(4) => {
                    self.edges[number].carriage = Carriage::UdpFirst(stream(dice));
                }
                Carriage::Stream(config) if dice.one_in(2) => {
                    self.edges[number].carriage = Carriage::StreamFirst(config);
                }
                _ => continue,
            }
            self.draw_cuts(number, dice);
        }
    }

    /// Datagrams are cut off one to three times, mostly both ways; a stream that is there may break
    /// or die meanwhile.
    fn draw_cuts(&mut self, number: usize, dice: &mut Dice) {
        let edge = self.edges[number];
        for _ in 0..1 + dice.below(3) {
            let at = dice.between(MS * 300, self.quiet_at);
            let time = dice.between(MS * 200, MS * 8_000);
            self.deeds.push((at, Deed::Dark(edge.dialer, edge.acceptor, time)));
            if !dice.one_in(6) {
                self.deeds.push((at, Deed::Dark(edge.acceptor, edge.dialer, time)));
            }
            if dice.one_in(2) {
                self.deeds.push((at.saturating_sub(MS * 500), Deed::Join(number)));
            }
            let later = at + dice.between(Duration::ZERO, time);
            match dice.below(8) {
                0 => self.deeds.push((later, Deed::Break(number))),
                1 => self.deeds.push((later, Deed::Swallow(number))),
                2 | 3 => self.deeds.push((at.saturating_sub(MS * 100), Deed::Swallow(number))),
                _ => {}
            }
        }
    }

    /// Over one edge in six both dial at once.
    fn draw_dials(&mut self, dice: &mut Dice) {
        let dials = self.deeds.iter().filter_map(|(at, deed)| match deed {
            Deed::Dial(number) => Some((*at, *number)),
            _ => None,
        });
        for (at, number) in dials.collect::<Vec<_>>() {
            if dice.one_in(6) {
                let late = dice.pick(&[Duration::ZERO, MS * 5, MS * 60]);
                self.deeds.push((at + late, Deed::DialBack(number)));
            }
        }
    }

    /// On one road in eight stands what drops by rule, and not by chance.
    fn draw_obstacles(&mut self, dice: &mut Dice) {
        for (_, _, road) in &mut self.roads {
            obstruct(road, dice);
        }
        for (_, deed) in &mut self.deeds {
            if let Deed::Road(_, _, road) = deed {
                obstruct(road, dice);
            }
        }
    }
}

/// Before one road in eight puts a policer, or what loses some of the first datagrams.
pub fn obstruct(road: &mut Vec<Box<dyn Machine>>, dice: &mut Dice) {
    match dice.below(16) {
        0 => {
            let rate = dice.pick(&[20_000, 200_000, 2_000_000]);
            road.insert(0, Box::new(Policer::of(rate, 3_000 + dice.below(60_000))));
        }
        1 => {
            let lost: Vec<_> = (0..1 + dice.below(8)).map(|_| 1 + dice.below(40)).collect();
            road.insert(0, Box::new(Drops::of(lost)));
        }
        _ => {}
    }
}

/// What lies between a rogue and everybody else: every second one is far away, over a bad link.
pub fn rogue_link(dice: &mut Dice) -> LinkConfig {
    if dice.one_in(2) {
        return LinkConfig::default();
    }
    LinkConfig {
        delay: dice.between(MS / 10, MS * 150),
        jitter: dice.between(Duration::ZERO, MS * 30),
        loss: dice.below(200) as u32,
        duplicate: dice.below(150) as u32,
        corrupt: dice.below(50) as u32,
        ..LinkConfig::default()
    }
}

/// One rogue in six acknowledges what it likes.
fn sort_out(rogues: &mut [RoguePlan], dice: &mut Dice) {
    for rogue in rogues {
        if dice.one_in(6) {
            rogue.kind = Mischief::Picky;
        }
    }
}

fn boxed(machine: impl Machine + 'static) -> Box<dyn Machine> {
    Box::new(machine)
}
