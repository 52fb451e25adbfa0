//! Rogues of a world, and how their victims' applications take them: as anybody.

use std::time::Duration;

use aqueduct_core::connection::EventKind;
use aqueduct_core::endpoint::{ConnectionHandle, Endpoint};
use aqueduct_core::error::CloseReason;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::{AppCode, Dir};

use super::deed::Deed;
use super::node::read_away;
use super::plan::RoguePlan;
use super::world::World;
use crate::app::prose;
use crate::net::HostId;

/// What a rogue is sent: enough for a window to grow by what it acknowledges.
const BAIT: usize = 60_000;
/// By so much rogues are slower in the peace: what they do has been seen.
const CALMER: u32 = 5;
/// Turns of a rogue in a second of the quiet.
const TURNS: u32 = 10;

impl World {
    /// All move in, and will have their turns.
    pub(super) fn let_rogues_in(&mut self) {
        for (rogue, plan) in self.rogues.iter().zip(&self.plan.rogues) {
            rogue.move_in(&mut self.net, plan.link);
        }
        self.wake_rogues();
    }

    /// All have their turns from now on.
    pub(super) fn wake_rogues(&mut self) {
        for (number, RoguePlan { every, .. }) in self.plan.rogues.clone().into_iter().enumerate() {
            self.later(Duration::from_millis(300) + every, Deed::Riot(number));
        }
    }

    /// A rogue has its turn, and again in a while: in the peace, a longer one.
    pub(super) fn riot(&mut self, number: usize) {
        self.let_act(number);
        let pace = if self.raging { 1 } else { CALMER };
        self.later(self.plan.rogues[number].every * pace, Deed::Riot(number));
    }

    fn let_act(&mut self, number: usize) {
        let Self { net, rogues, plan, nodes, .. } = self;
        let (rogue, plan) = (&mut rogues[number], plan.rogues[number]);
        let (address, id) = {
            let host = &net.hosts[plan.victim.0];
            (host.addr, host.endpoint.node_id())
        };
        if !rogue.is_away() {
            rogue.act(net, address);
        } else if !rogue.is_rested(net.now) {
        } else if !plan.answers {
            rogue.dial(net, address, id);
        } else if net.hosts[plan.victim.0].runs() && nodes[plan.victim.0].rogues.len() < 8 {
            let now = net.local(plan.victim);
            let to = rogue.address();
            net.guard.on_dialed(plan.victim, to.remote);
            let made = net.host(plan.victim).endpoint.connect(to, now);
            nodes[plan.victim.0].rogues.extend(made.ok());
        }
    }

    /// A second in which nobody else does harm.
    pub(super) fn pass_among_rogues(&mut self) {
        if self.rogues.is_empty() {
            return self.pass(Duration::from_secs(1));
        }
        for _ in 0..TURNS {
            (0..self.rogues.len()).for_each(|number| self.let_act(number));
            self.pass(Duration::from_secs(1) / TURNS);
        }
    }

    /// Whether somebody talks with a rogue there. Of a connection of which the first news comes
    /// when it is over already nobody can say whose it was: among rogues it is taken for theirs.
    /// One whose end an application was told is that application's up to its last news.
    pub(super) fn is_rogues(&mut self, host: HostId, connection: ConnectionHandle) -> bool {
        let planned = self.nodes[host.0].neighbours.contains(&connection)
            || self.attempts.contains(&(host, connection))
            || self.nodes[host.0].app.closed(connection).is_some();
        if self.rogues.is_empty() || planned {
            return false;
        }
        let known = self.nodes[host.0].rogues.contains(&connection);
        let endpoint = &self.net.hosts[host.0].endpoint;
        let mut live = endpoint.connections().filter(|(handle, _)| *handle == connection);
        let peer = live.find_map(|(_, connection)| connection.peer());
        let is =
            known || peer.is_none_or(|peer| self.rogues.iter().any(|rogue| peer == rogue.id()));
        if is {
            self.nodes[host.0].rogues.insert(connection);
        }
        is
    }

    /// News of a connection with a rogue: its application reads all that there is, pipes what is to
    /// go on, and sends.
    pub(super) fn humour(&mut self, host: HostId, connection: ConnectionHandle, kind: &EventKind) {
        let Self { net, nodes, .. } = self;
        let endpoint = &mut net.host(host).endpoint;
        match kind {
            EventKind::Connected => send_bait(endpoint, connection),
            EventKind::StreamAvailable => {
                while let Some(id) = endpoint.connection(connection).and_then(|mut c| c.accept()) {
                    if !nodes[host.0].goes_on(endpoint, connection, id) {
                        read_away(endpoint, connection, id);
                    }
                }
            }
            EventKind::Readable(id) => read_away(endpoint, connection, *id),
            EventKind::DatagramReceived => {
                if let Some(mut view) = endpoint.connection(connection) {
                    while view.recv_datagram().is_some() {}
                }
            }
            EventKind::MessageReceived => {
                if let Some(mut view) = endpoint.connection(connection) {
                    while view.recv_message().is_some() {}
                }
            }
            EventKind::Closed(CloseReason::Violation(violation)) => {
                *self.caught.entry(violation.to_string()).or_default() += 1;
            }
            EventKind::Drained => _ = self.nodes[host.0].rogues.remove(&connection),
            _ => {}
        }
    }

    /// Nobody talks with rogues any more.
    pub(super) fn throw_rogues_out(&mut self) {
        for node in &self.nodes {
            let now = self.net.local(node.app.host);
            let endpoint = &mut self.net.host(node.app.host).endpoint;
            for handle in &node.rogues {
                if let Some(mut view) = endpoint.connection(*handle) {
                    view.abort(AppCode(1), b"enough of you", now);
                }
            }
        }
    }
}

fn send_bait(endpoint: &mut Endpoint, connection: ConnectionHandle) {
    let Some(mut view) = endpoint.connection(connection) else { return };
    for _ in 0..2 {
        let Ok(id) = view.open(Dir::Uni, OpenOptions::new(StreamProtocol::Number(99))) else {
            return;
        };
        if let Some(mut stream) = view.send(id) {
            let _ = stream.write(prose(0, BAIT));
            let _ = stream.finish();
        }
    }
}
