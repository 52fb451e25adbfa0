//! What a relay does for each peer, and how much it may (spec R-ROUTE-5).
//!
//! A peer has one account. What is moved for it is counted there: its streams, the answers to them
//! and the ranges that it asks for. What pipes have moved is read off again and again
//! ([`Accounts::watch`]), so that a limit is kept over all of them together; what one reads off too
//! late is a debt, and paid before anything new begins.

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::time::Instant;
use futures_util::future::{Either, join_all, select};

use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::pipe::Pipe;
use crate::wait::{Waiters, lock, until};

use super::account::{Account, Flow, Moves, burst};
use super::{Refusal, RelayConfig};

/// How often pipes are asked how much they have moved.
const READING: Duration = Duration::from_millis(50);
/// Peers of which anything is remembered.
const MOST_PEERS: usize = 16_384;

/// All accounts.
pub(super) struct Accounts {
    config: Arc<RelayConfig>,
    /// How many there may be.
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    of: HashMap<NodeId, Entry>,
    /// Those of whom there is nothing to remember from then on.
    fading: BTreeSet<(Instant, NodeId)>,
    /// Counts places and flows.
    numbers: u64,
    waiting: Waiters,
}

struct Entry {
    account: Account,
    /// Its place among the fading.
    fades: Option<Instant>,
}

/// A stream's place among those of its peer.
pub(super) struct Place {
    accounts: Arc<Accounts>,
    peer: NodeId,
    number: u64,
    limit: Option<u64>,
}

impl State {
    fn next(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Forgets two of whom there is nothing to remember any more: more than come.
    fn forget(&mut self, now: Instant) {
        for _ in 0..2 {
            let Some(first) = self.fading.first().filter(|(at, _)| *at <= now).copied() else {
                return;
            };
            self.fading.remove(&first);
            self.of.remove(&first.1);
        }
    }

    /// The account of a peer, who does something.
    fn wake(&mut self, peer: NodeId, config: &RelayConfig, now: Instant) -> &mut Account {
        let new = || Entry { account: Account::new(config, now), fades: None };
        let entry = self.of.entry(peer).or_insert_with(new);
        if let Some(at) = entry.fades.take() {
            self.fading.remove(&(at, peer));
        }
        &mut entry.account
    }

    /// A peer may have nothing going on any more.
    fn rest(&mut self, peer: NodeId, config: &RelayConfig) {
        let Some(entry) = self.of.get_mut(&peer).filter(|entry| entry.fades.is_none()) else {
            return;
        };
        let Some(at) = entry.account.blank_at(config) else { return };
        if at <= entry.account.filled {
            self.of.remove(&peer);
        } else {
            entry.fades = Some(at);
            self.fading.insert((at, peer));
        }
    }
}

impl Accounts {
    pub(super) fn new(config: Arc<RelayConfig>) -> Arc<Self> {
        Arc::new(Self { config, most: MOST_PEERS, state: Mutex::default() })
    }

    /// A place for one stream more that `peer` sends or asked for, if it may have one. Of the
    /// peer's bytes `size` is kept for it; all that are left if it does not say its size.
    pub(super) fn place(
        self: &Arc<Self>,
        peer: NodeId,
        size: Option<u64>,
        now: Instant,
    ) -> Result<Place, Refusal> {
        let mut state = lock(&self.state);
        state.forget(now);
        if state.of.len() >= self.most && !state.of.contains_key(&peer) {
            return Err(Refusal::Peers { limit: self.most });
        }
        let number = state.next();
        let placed = state.wake(peer, &self.config, now).place(number, size, &self.config);
        // Who was refused as a stranger is none to remember.
        state.rest(peer, &self.config);
        Ok(Place { accounts: self.clone(), peer, number, limit: placed? })
    }

    fn update<T>(&self, peer: NodeId, change: impl FnOnce(&mut Account) -> T) -> Option<T> {
        let (done, wakers) = {
            let mut state = lock(&self.state);
            let done = state.of.get_mut(&peer).map(|entry| change(&mut entry.account));
            (done, state.waiting.take())
        };
        wakers.wake();
        done
    }

    /// Reads off what pipes have moved, until the driver ends.
    pub(super) async fn watch(&self, endpoint: &Endpoint) {
        let flows = |state: &mut State| {
            let of = |(peer, entry): (&NodeId, &Entry)| {
                let (peer, flows) = (*peer, entry.account.flows.iter());
                flows.map(move |flow| (peer, flow.number, flow.pipe.clone(), flow.what)).collect()
            };
            let flows: Vec<_> = state.of.iter().flat_map::<Vec<_>, _>(of).collect();
            (!flows.is_empty()).then_some(flows)
        };
        while endpoint.pause(READING).await.is_some() {
            let flows = until(&self.state, |state| &mut state.waiting, flows).await;
            let looks = flows.iter().map(|(_, _, pipe, what)| Flow::look(pipe.clone(), *what));
            let read = join_all(looks).await;
            let now = endpoint.clock().now();
            for ((peer, number, ..), moved) in flows.iter().zip(read) {
                self.update(*peer, |account| account.count(*number, moved.unwrap_or(0)));
            }
            let mut peers: Vec<_> = flows.iter().map(|(peer, ..)| *peer).collect();
            peers.dedup();
            for peer in peers {
                self.update(peer, |account| account.judge(&self.config, now));
            }
        }
    }
}

impl Place {
    /// The same place with another size, if so many of the peer's bytes are left.
    pub(super) fn resized(mut self, size: Option<u64>) -> Result<Self, Refusal> {
        let config = &self.accounts.config;
        let resize = |account: &mut Account| account.resize(self.number, size, config);
        self.limit = self.accounts.update(self.peer, resize).ok_or(Refusal::Gone)??;
        Ok(self)
    }

    /// How many bytes the stream may move, if they are counted.
    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// How many bytes there are left of the peer's, kept or not, if they are counted.
    pub(super) fn left(&self) -> Option<u64> {
        let moved = self.accounts.update(self.peer, |account| account.moved);
        Some(self.accounts.config.max_bytes?.saturating_sub(moved.unwrap_or_default()))
    }

    /// Waits until the peer's rate has room for a stream that begins with so many bytes; those are
    /// set aside for it.
    ///
    /// # Errors
    /// The connection has ended, or the driver.
    pub(super) async fn afford(
        &self,
        endpoint: &Endpoint,
        connection: &Connection,
        bytes: u64,
    ) -> Result<(), Refusal> {
        let paying = async {
            match self.pay(endpoint, bytes).await {
                Some(()) => Ok(()),
                None => Err(Refusal::Gone),
            }
        };
        match select(pin!(paying), pin!(connection.closed())).await {
            Either::Left((paid, _)) => paid,
            Either::Right(_) => Err(Refusal::Gone),
        }
    }

    async fn pay(&self, endpoint: &Endpoint, bytes: u64) -> Option<()> {
        let Some(rate) = self.accounts.config.rate else { return Some(()) };
        let bytes = bytes.min(burst(rate));
        let _queued = Queued::new(self);
        loop {
            let now = endpoint.clock().now();
            let pay = |account: &mut Account| account.pay(self.number, bytes, rate, now);
            let missing = self.accounts.update(self.peer, pay)?;
            if missing == 0 {
                return Some(());
            }
            let wait = Duration::from_millis(1000u64.saturating_mul(missing) / rate.max(1));
            endpoint.pause(wait.clamp(READING / 5, Duration::from_secs(1))).await?;
        }
    }

    /// Bytes of a pipe move for this stream from now on. Returns what that is known by.
    pub(super) fn flows(&self, pipe: &Pipe, what: Moves) -> u64 {
        let config = &self.accounts.config;
        if config.rate.is_none() && config.max_bytes.is_none() {
            return 0;
        }
        let number = lock(&self.accounts.state).next();
        let pipe = pipe.clone();
        self.accounts
            .update(self.peer, |account| account.begin(number, self.number, pipe, what, config));
        number
    }

    /// What [`flows`](Self::flows) told of is over, and moved so many bytes.
    pub(super) fn ended(&self, flow: u64, bytes: u64) {
        let config = &self.accounts.config;
        let gone = self.accounts.update(self.peer, |account| account.end(flow, bytes, config));
        // Outside of the lock.
        drop(gone);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.accounts.state);
        let Some(entry) = state.of.get_mut(&self.peer) else { return };
        entry.account.leave(self.number, &self.accounts.config);
        state.rest(self.peer, &self.accounts.config);
    }
}

/// A stream that waits until it may begin.
struct Queued<'a>(&'a Place);

impl<'a> Queued<'a> {
    fn new(place: &'a Place) -> Self {
        place.accounts.update(place.peer, |account| account.queue += 1);
        Self(place)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.accounts.update(self.0.peer, |account| account.queue -= 1);
    }
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
