//! Who is being dialled, and for whom: so many at a time, and of each guest so many (spec
//! R-ROUTE-6).
//!
//! What is above waits. A place goes to the guest for whom the fewest are dialled, so that who
//! names nodes that do not answer holds up himself. So does who says that a node is where it is
//! not: to whoever names other addresses that is another node.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Mutex;

use aqueduct_core::crypto::identity::NodeId;

use crate::wait::{Waiters, lock, until};

/// Nodes that a relay dials at a time: what peers can make it send to those who did not ask.
const MOST: usize = 64;
/// Of these for one guest.
const MOST_FOR_ONE: usize = 16;

/// A node, and where a guest says that it is.
pub(super) type There = (NodeId, Vec<SocketAddr>);

/// All attempts of a relay.
#[derive(Default)]
pub(super) struct Dials {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nodes: HashSet<There>,
    guests: HashMap<NodeId, Guest>,
    waiting: Waiters,
}

/// A guest for whom somebody is dialled or to be dialled.
#[derive(Default)]
struct Guest {
    dialled: usize,
    waiting: usize,
}

/// A node is being dialled.
pub(super) struct Dial<'a> {
    dials: &'a Dials,
    guest: NodeId,
    node: There,
}

/// A node is to be dialled for a guest.
struct Waiting<'a> {
    dials: &'a Dials,
    guest: NodeId,
}

impl State {
    fn has_room(&self, guest: &NodeId) -> bool {
        let own = self.guests.get(guest).map_or(0, |guest| guest.dialled);
        let mut others = self.guests.values().filter(|other| other.waiting > 0);
        self.nodes.len() < MOST && own < MOST_FOR_ONE && others.all(|other| other.dialled >= own)
    }

    fn change(&mut self, guest: NodeId, change: impl FnOnce(&mut Guest)) {
        let entry = self.guests.entry(guest).or_default();
        change(entry);
        if entry.dialled == 0 && entry.waiting == 0 {
            self.guests.remove(&guest);
        }
    }
}

impl Dials {
    /// Begins to dial `node` for `guest`, as soon as there is a place. `None`: it is being dialled.
    pub(super) async fn begin(&self, guest: NodeId, node: &There) -> Option<Dial<'_>> {
        lock(&self.state).change(guest, |guest| guest.waiting += 1);
        let _waiting = Waiting { dials: self, guest };
        let look = |state: &mut State| {
            if state.nodes.contains(node) {
                return Some(false);
            }
            let begins = state.has_room(&guest) && state.nodes.insert(node.clone());
            if begins {
                state.change(guest, |guest| guest.dialled += 1);
            }
            begins.then_some(true)
        };
        let begins = until(&self.state, |state| &mut state.waiting, look).await;
        begins.then(|| Dial { dials: self, guest, node: node.clone() })
    }

    /// Waits until `node` is not being dialled.
    pub(super) async fn over(&self, node: &There) {
        let look = |state: &mut State| (!state.nodes.contains(node)).then_some(());
        until(&self.state, |state| &mut state.waiting, look).await;
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = lock(&self.state);
            change(&mut state);
            state.waiting.take()
        };
        wakers.wake();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Those who had to let this one go first look again.
        self.dials.update(|state| state.change(self.guest, |guest| guest.waiting -= 1));
    }
}

impl Drop for Dial<'_> {
    fn drop(&mut self) {
        self.dials.update(|state| {
            state.nodes.remove(&self.node);
            state.change(self.guest, |guest| guest.dialled -= 1);
        });
    }
}

#[cfg(test)]
#[path = "dials_tests.rs"]
mod tests;
