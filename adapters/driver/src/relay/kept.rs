//! Connections to next hops that stay for a while, for streams that come one after another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::time::Instant;

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::wait::{Waiters, lock, until};

/// Connections that are kept at most.
const MOST_KEPT: usize = 64;

/// However short they are kept, they are not looked at more often.
const LEAST_PAUSE: Duration = Duration::from_millis(10);

/// What this relay dialled, least recently used first.
#[derive(Default)]
pub(super) struct Kept {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connections: VecDeque<Entry>,
    waiting: Waiters,
}

struct Entry {
    connection: Connection,
    used: Instant,
}

impl Entry {
    /// Whether nobody else holds it: no stream, and no application.
    fn is_idle(&self) -> bool {
        Arc::strong_count(self.connection.guard()) == 1
    }
}

impl Kept {
    /// Keeps one, in place of the one that was used longest ago if there are too many.
    pub(super) fn keep(&self, connection: &Connection, now: Instant) {
        let (surplus, wakers) = {
            let mut state = lock(&self.state);
            state.connections.push_back(Entry { connection: connection.clone(), used: now });
            let surplus = state.connections.len() > MOST_KEPT;
            (surplus.then(|| state.connections.pop_front()), state.waiting.take())
        };
        // Outside of the lock: the last handle closes its connection.
        drop(surplus);
        wakers.wake();
    }

    /// A stream to `peer` begins or ends.
    pub(super) fn used(&self, peer: NodeId, now: Instant) {
        let connections = &mut lock(&self.state).connections;
        // One that is over may still stand beside the one that took its place.
        let at = connections.iter().rposition(|kept| kept.connection.peer() == peer);
        if let Some(kept) = at.and_then(|at| connections.remove(at)) {
            connections.push_back(Entry { used: now, ..kept });
        }
    }

    /// Lets those go that had no stream for so `long`, and those that are over.
    fn release(&self, long: Duration, now: Instant) {
        let gone = {
            let state = &mut lock(&self.state);
            let (gone, rest): (Vec<_>, Vec<_>) = state.connections.drain(..).partition(|kept| {
                let tired = kept.is_idle() && kept.used + long <= now;
                tired || kept.connection.close_reason().is_some()
            });
            let busy =
                |kept: Entry| Entry { used: if kept.is_idle() { kept.used } else { now }, ..kept };
            state.connections = rest.into_iter().map(busy).collect();
            gone
        };
        drop(gone);
    }

    /// When the next one may be let go. Waits until there is one.
    async fn due(&self, long: Duration) -> Instant {
        let look = |state: &mut State| state.connections.iter().map(|kept| kept.used + long).min();
        until(&self.state, |state| &mut state.waiting, look).await
    }

    /// Lets connections go that had no stream for so `long`, until the driver ends.
    pub(super) async fn watch(&self, endpoint: &Endpoint, long: Duration) {
        loop {
            let due = self.due(long).await;
            let left = due.saturating_since(endpoint.clock().now());
            if endpoint.pause(left.max(LEAST_PAUSE)).await.is_none() {
                return;
            }
            self.release(long, endpoint.clock().now());
        }
    }
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
