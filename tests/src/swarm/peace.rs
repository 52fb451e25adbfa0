//! When all is done: a world goes on without faults until it is as old as it is to be.
//!
//! What has been through the faults works as if there had been none: no connection that lives ends
//! in the peace, and what is said over it arrives.

use std::collections::BTreeSet;
use std::time::Duration;

use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::message::Delivery;
use aqueduct_core::wire::id::Dir;

use super::deed::Deed;
use super::plan::Plan;
use super::world::World;
use crate::dice::Dice;
use crate::net::HostId;

const SECOND: Duration = Duration::from_secs(1);

/// Time in which the last of it arrives.
const REST: Duration = SECOND;

/// The longest silence on an edge, far from any time-out.
const SILENCE: Duration = Duration::from_secs(10);

impl Plan {
    /// Over each edge somebody says something now and then, as long as the world lasts. What would
    /// come before the peace does not come.
    pub(super) fn draw_peace(&mut self, dice: &mut Dice) {
        for (number, edge) in self.edges.iter().enumerate() {
            let mut at = Duration::ZERO;
            while at + REST < self.lasts {
                let host = dice.pick(&[edge.dialer, edge.acceptor]);
                let deed = match dice.below(6) {
                    0 => Deed::Message(host, number, dice.pick(&[0, 1_000, 40_000])),
                    1 => Deed::Datagram(host, number, dice.pick(&[0, 1_000])),
                    _ => {
                        let onward = self.edges.len() > 1 && dice.one_in(3);
                        let dir = if onward || dice.one_in(2) { Dir::Uni } else { Dir::Bi };
                        let len = dice.pick(&[10_000, 50_000, 100_000]);
                        Deed::Open { host, edge: number, dir, onward, len }
                    }
                };
                self.peace.push((at, deed));
                at += dice.between(Duration::ZERO, SILENCE);
            }
        }
    }
}

impl World {
    /// Goes on for as long as the world is to last, if it is not that old already.
    ///
    /// # Panics
    /// If a connection ends that has no cause to, or something does not arrive.
    pub(super) fn peace(&mut self) {
        // What an attempt that outlived the faults comes to is there before anybody is greeted: all
        // that is said later is said over that.
        while !self.attempts.is_empty() {
            self.pass(SECOND);
        }
        if self.age() >= self.plan.lasts {
            return;
        }
        let live = self.greet_all();
        self.wake_rogues();
        let age = self.age();
        for (at, deed) in std::mem::take(&mut self.plan.peace) {
            if let Some(after) = at.checked_sub(age) {
                self.later(after, deed);
            }
        }
        self.follow(self.began + self.plan.lasts.saturating_sub(REST));
        // What is left to do over one edge may take longer than the others live in silence.
        for (host, connection) in live {
            let end = self.nodes[host.0].app.closed(connection);
            assert_eq!(end, None, "host {}: {connection:?} ended in the peace", host.0);
        }
        self.agenda.clear();
        self.settle();
    }

    /// Where one edge is dead, the greeting takes until its connection ends, and over the others
    /// nothing was said for as long: they are greeted again.
    fn greet_all(&mut self) -> Vec<(HostId, ConnectionHandle)> {
        loop {
            let before = self.age();
            let live = self.greet();
            if self.age() <= before + SILENCE {
                return live;
            }
        }
    }

    /// Over every edge both say something and are heard, or the connection ends. Gives both ends of
    /// those that live. Behind a NAT that forgets nobody is reached who does not speak first: there
    /// silence is an end.
    fn greet(&mut self) -> Vec<(HostId, ConnectionHandle)> {
        let first = self.salt + 1;
        for (number, edge) in self.plan.edges.clone().into_iter().enumerate() {
            [edge.dialer, edge.acceptor]
                .into_iter()
                .for_each(|host| self.say(host, number, 0, true, Delivery::new()));
        }
        self.settle();
        let open = |host: &HostId| !self.nats.contains_key(host);
        let greeted = self.notes.range(first..).filter_map(|(_, note)| {
            let ends = [(note.from, note.connection), (note.to, note.came?)];
            ends.iter().all(|(host, _)| open(host)).then_some(ends)
        });
        let greeted: BTreeSet<_> = greeted.collect();
        let both = greeted.iter().filter(|[from, to]| greeted.contains(&[*to, *from]));
        both.map(|[from, _]| *from).collect()
    }
}
