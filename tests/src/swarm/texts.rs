//! Texts of a world: who wrote each to whom, and whether it must arrive.

use std::collections::BTreeMap;

use aqueduct_core::endpoint::ConnectionHandle;

use super::world::World;
use crate::app::{Inflow, Outflow};
use crate::net::HostId;

/// A text that an application wrote.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) from: HostId,
    pub(super) to: HostId,
    /// Where it ends.
    pub(super) len: u64,
    /// Its receiver sends it on if it can: what relays make of it, neither end decides.
    pub(super) onward: bool,
}

impl Text {
    /// A text that is to arrive at the next host.
    pub(super) const fn new(from: HostId, to: HostId, len: u64) -> Self {
        Self { from, to, len, onward: false }
    }
}

impl World {
    /// What a host wrote or read is gone with its state.
    pub(super) fn forget_texts(&mut self, host: HostId) {
        let its = self.texts.iter().filter(|(_, text)| [text.from, text.to].contains(&host));
        self.given_up.extend(its.map(|(salt, _)| *salt));
    }

    /// Texts that ended otherwise than by their end although neither application wanted that and
    /// their connection lives. No plan of a world gives streams a time of their own; the 120 s that
    /// one may be stuck are longer than any gap stays in the quiet; a reader that sips has bytes
    /// waiting, and no gap; and a rogue has streams on its own connections alone.
    pub(super) fn astray(&self) -> Vec<String> {
        let out = self.nodes.iter().flat_map(|node| &node.app.out);
        let out: BTreeMap<_, _> = out.map(|flow| (flow.salt, flow)).collect();
        let inn = self.nodes.iter().flat_map(|node| {
            node.app.inn.iter().filter_map(|flow| Some(((node.app.host, flow.salt()?), flow)))
        });
        let inn: BTreeMap<_, _> = inn.collect();
        let owed = self.texts.iter().filter(|(_, text)| !text.onward);
        let owed = owed.filter(|(salt, _)| !self.given_up.contains(salt));
        let owed = owed.filter_map(|(salt, text)| {
            let (out, inn) = (*out.get(salt)?, inn.get(&(text.to, *salt)).copied());
            let whole = out.delivered && !out.stopped && inn.is_some_and(|inn| inn.finished);
            (!whole && self.is_alive(text, out, inn)).then_some((salt, text, out, inn))
        });
        let tell = |(salt, text, out, inn): (&u64, &Text, &Outflow, Option<&Inflow>)| {
            let told = (out.delivered, out.stopped, out.unwanted, out.connection, out.stream);
            let (from, to) = (text.from.0, text.to.0);
            format!("text {salt} from host {from}, told {told:?}, came to host {to} as {inn:?}")
        };
        owed.map(tell).collect()
    }

    /// Whether a text's connection lives at both ends. Where nothing of it came nobody can say
    /// which connection that is at the other end: there, both have as many with each other.
    fn is_alive(&self, text: &Text, out: &Outflow, inn: Option<&Inflow>) -> bool {
        let is_live =
            |host: HostId, it: ConnectionHandle| self.nodes[host.0].neighbours.contains(&it);
        let with = |host: HostId, other: HostId| {
            let peer = self.net.hosts[other.0].endpoint.node_id();
            let all = self.net.hosts[host.0].endpoint.connections();
            let live = all.filter(|(handle, _)| is_live(host, *handle));
            live.filter(|(_, connection)| connection.peer() == Some(peer)).count()
        };
        is_live(text.from, out.connection)
            && match inn {
                Some(inn) => is_live(text.to, inn.connection),
                None => with(text.from, text.to) == with(text.to, text.from),
            }
    }
}
