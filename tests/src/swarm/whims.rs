//! What applications change their mind about while a world runs: limits, controllers, classes, legs
//! that come late, texts with holes; and how large their datagrams may be. Drawn apart, all of it.

use std::time::Duration;

use aqueduct_core::congestion::Algorithm;
use aqueduct_core::stream::Priority;
use aqueduct_core::wire::id::Dir;

use super::deed::Deed;
use super::node::onward;
use super::plan::Plan;
use super::texts::Text;
use super::world::World;
use crate::app::introduction;
use crate::dice::Dice;
use crate::holes::{HOLED, Scattered};
use crate::net::HostId;

const MS: Duration = Duration::from_millis(1);
/// Bytes a second.
const RATES: [Option<u64>; 5] =
    [None, Some(30_000), Some(200_000), Some(2_000_000), Some(20_000_000)];
/// The throw that says which worlds have whims. The worlds that are kept because they found
/// something, or are named because of a rare branch, are none of them: they are what they were. A
/// test of those says when this number no longer spares them.
const THROW: u64 = 937;

impl Plan {
    /// In one world of four there are whims.
    pub(super) fn draw_whims(&mut self) {
        let seed = self.seed;
        if !has_whims(seed) {
            return;
        }
        let dice = |label| Dice::new(seed, label);
        self.draw_limits(&mut dice("limits"));
        self.draw_holes(&mut dice("holes"));
        self.draw_changes(&mut dice("changes"));
        self.draw_late_legs(&mut dice("late legs"));
        self.draw_sizes(&mut dice("sizes"));
        self.draw_bursts(&mut dice("bursts"));
    }

    fn draw_limits(&mut self, dice: &mut Dice) {
        if dice.one_in(2) {
            return;
        }
        for _ in 0..1 + dice.below(5) {
            let at = dice.between(Duration::ZERO, self.quiet_at);
            let (number, _, host) = self.draw_way(dice);
            let rate = dice.pick(&RATES);
            let deed = match dice.below(4) {
                0 => Deed::PeersLimit(host, rate),
                1 => Deed::PeerLimit(host, number, rate),
                _ => Deed::Limit(host, rate),
            };
            self.deeds.push((at, deed));
        }
    }

    fn draw_holes(&mut self, dice: &mut Dice) {
        if dice.one_in(2) {
            return;
        }
        for _ in 0..1 + dice.below(6) {
            let at = dice.between(MS * 100, self.quiet_at);
            let (edge, _, host) = self.draw_way(dice);
            let onward = self.edges.len() > 1 && dice.one_in(2);
            let len = dice.pick(&[1, 5_000, 40_000, 200_000]);
            let start = if dice.one_in(2) { 0 } else { dice.below(len as u64) as usize };
            self.deeds.push((at, Deed::Scatter { host, edge, onward, start, len }));
        }
    }

    fn draw_changes(&mut self, dice: &mut Dice) {
        let (controllers, classes) = (dice.one_in(2), dice.one_in(2));
        for _ in 0..1 + dice.below(6) {
            let at = dice.between(MS * 100, self.quiet_at);
            let (number, _, host) = self.draw_way(dice);
            let algorithm = dice.pick(&Algorithm::ALL);
            let (pick, class) = (dice.below(8) as usize, dice.pick(&Priority::ALL));
            if controllers {
                self.deeds.push((at, Deed::Controller(host, number, algorithm)));
            }
            if classes {
                self.deeds.push((at, Deed::Priority(host, pick, class)));
            }
        }
    }

    /// Something goes on, and a while later what is left of it goes there a second time.
    fn draw_late_legs(&mut self, dice: &mut Dice) {
        if self.edges.len() < 2 || dice.one_in(2) {
            return;
        }
        for _ in 0..1 + dice.below(4) {
            let at = dice.between(MS * 500, self.quiet_at);
            let (edge, ends, host) = self.draw_way(dice);
            let (len, onward) = (dice.pick(&[30_000, 150_000]), true);
            let open = Deed::Open { host, edge, dir: Dir::Uni, onward, len };
            self.deeds.push((at, open));
            let later = at + dice.between(MS, MS * 800);
            self.deeds.push((later, Deed::Late(ends.other(host), dice.below(4) as usize)));
        }
    }

    /// More datagrams at once than may wait for their turn.
    fn draw_bursts(&mut self, dice: &mut Dice) {
        if !dice.one_in(4) {
            return;
        }
        let at = dice.between(MS * 100, self.quiet_at);
        let (edge, _, host) = self.draw_way(dice);
        let burst = (0..300).map(|_| (at, Deed::Datagram(host, edge, 1_000)));
        self.deeds.extend(burst);
    }

    /// All hosts send larger datagrams than the usual, or smaller ones, and some the smallest.
    fn draw_sizes(&mut self, dice: &mut Dice) {
        if dice.one_in(2) {
            return;
        }
        let most = dice.pick(&[1_300, 4_000, 9_000]);
        for node in &mut self.nodes {
            node.packets = Some(if dice.one_in(4) { 1_200 } else { most });
        }
    }
}

/// Whether the world of a seed has whims: limits, holes, other controllers and classes, late legs.
pub fn has_whims(seed: u64) -> bool {
    Dice::new(seed, "whims").throw(THROW).one_in(4)
}

impl World {
    /// An application changes its mind.
    pub(super) fn humour_whim(&mut self, deed: Deed) {
        match deed {
            Deed::Scatter { host, edge, onward, start, len } => {
                self.scatter(host, edge, onward, (start as u64, len as u64));
            }
            Deed::Controller(host, edge, algorithm) => self.control(host, edge, algorithm),
            Deed::Priority(host, pick, class) => self.reclass(host, pick, class),
            Deed::Late(host, pick) => {
                let Self { net, nodes, .. } = self;
                nodes[host.0].join_late(&mut net.host(host).endpoint, pick);
            }
            _ => {}
        }
    }

    fn scatter(&mut self, host: HostId, edge: usize, far: bool, (start, len): (u64, u64)) {
        let Some(handle) = self.handle(edge, host) else { return };
        self.salt += 1;
        let salt = self.salt | HOLED;
        let mut options = if far { onward(salt) } else { introduction(salt) };
        options.start = start;
        let Some(mut view) = self.net.host(host).endpoint.connection(handle) else { return };
        let Ok(stream) = view.open(Dir::Uni, options) else { return };
        drop(view);
        let text = Text::new(host, self.plan.edges[edge].other(host), len);
        self.texts.insert(salt, Text { onward: far, ..text });
        let text = Scattered::new(salt, start, len);
        self.nodes[host.0].app.scatter(&mut self.net, handle, stream, text);
    }

    fn control(&mut self, host: HostId, edge: usize, algorithm: Algorithm) {
        let Some(handle) = self.handle(edge, host) else { return };
        if let Some(mut view) = self.net.host(host).endpoint.connection(handle) {
            view.set_controller(algorithm);
        }
    }

    fn reclass(&mut self, host: HostId, pick: usize, class: Priority) {
        let Some(flow) = self.nodes[host.0].app.out.get(pick) else { return };
        let view = self.net.host(host).endpoint.connection(flow.connection);
        if let Some(mut view) = view
            && let Some(mut stream) = view.send(flow.stream)
        {
            stream.set_priority(class);
        }
    }
}
