//! What a relay does for each peer, and how much it may (spec R-ROUTE-5).
//!
//! A peer has one account. What is moved for it is counted there: its streams, the answers to them
//! and the ranges that it asks for. What pipes have moved is read off again and again
//! ([`Accounts::watch`]), so that a limit is kept over all of them together; what one reads off too
//! late is a debt, and paid before anything new begins.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::error::StreamCode;
use aqueduct_core::time::Instant;
use futures_util::future::join_all;

use crate::endpoint::Endpoint;
use crate::pipe::Pipe;
use crate::wait::{Waiters, lock, until};

use super::{Allow, Refusal, RelayConfig};

/// How often pipes are asked how much they have moved.
const READING: Duration = Duration::from_millis(50);
/// A rate lets pass at once what it yields in a second, and at least this.
pub(super) const LEAST_BURST: u64 = 64 * 1024;
/// Peers of which anything is remembered.
const MOST_PEERS: usize = 16_384;

/// All accounts.
pub(super) struct Accounts {
    /// How many there may be.
    most: usize,
    state: Mutex<State>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { most: MOST_PEERS, state: Mutex::default() }
    }
}

#[derive(Default)]
struct State {
    of: HashMap<NodeId, Account>,
    places: u64,
    waiting: Waiters,
}

/// What is moved for one peer.
#[derive(Default)]
struct Account {
    /// Streams at a time, each with the bytes that are kept for it and were not moved.
    places: BTreeMap<u64, u64>,
    flows: Vec<Flow>,
    /// Bytes in all.
    moved: u64,
    /// Bytes that may pass at once; below zero they have passed already.
    level: i128,
    filled: Instant,
    /// Streams that wait until they may begin.
    queue: usize,
}

/// A pipe of a peer.
struct Flow {
    place: u64,
    pipe: Pipe,
    /// It is the peer's own stream, and not an answer.
    own: bool,
    counted: u64,
    /// Bytes that were taken from the level before they came.
    paid: u64,
    rate: Option<u64>,
    /// It moved something when it was last looked at.
    lively: bool,
}

/// A stream's place among those of its peer.
pub(super) struct Place {
    accounts: Arc<Accounts>,
    peer: NodeId,
    id: u64,
    limit: Option<u64>,
    config: Arc<RelayConfig>,
}

/// What a rate lets pass at once.
pub(super) fn burst(rate: u64) -> u64 {
    rate.max(LEAST_BURST)
}

impl Account {
    fn kept(&self) -> u64 {
        self.places.values().sum()
    }

    fn fill(&mut self, rate: u64, now: Instant) {
        let passed = now.saturating_since(self.filled).as_nanos();
        let came = passed.saturating_mul(rate.into()) / 1_000_000_000;
        let came = i128::try_from(came).unwrap_or(i128::MAX);
        if came > 0 {
            self.level = self.level.saturating_add(came).min(burst(rate).into());
            self.filled = now;
        }
    }

    /// A flow has moved so many bytes by now.
    fn count(&mut self, pipe: &Pipe, received: u64) {
        let Some(flow) = self.flows.iter_mut().find(|flow| flow.pipe.is(pipe)) else { return };
        let fresh = received.saturating_sub(flow.counted);
        flow.counted = flow.counted.max(received);
        flow.lively = fresh > 0;
        let paid = flow.paid.min(fresh);
        flow.paid -= paid;
        self.moved = self.moved.saturating_add(fresh);
        self.level -= i128::from(fresh - paid);
        if let Some(kept) = self.places.get_mut(&flow.place).filter(|_| flow.own) {
            *kept = kept.saturating_sub(fresh);
        }
    }

    /// The rate, in equal parts among those that use it; half of it where a debt is to be paid, or
    /// others wait.
    fn share(&mut self, rate: u64) {
        let behind = self.level < 0 || self.queue > 0;
        let rate = if behind { rate / 2 } else { rate };
        let lively = self.flows.iter().filter(|flow| flow.lively).count().max(1) as u64;
        for flow in &mut self.flows {
            let part = if flow.lively { rate / lively } else { rate }.max(1);
            if flow.rate.replace(part) != Some(part) {
                flow.pipe.set_rate(Some(part));
            }
        }
    }

    /// Whether there is nothing to remember.
    fn is_blank(&self, config: &RelayConfig) -> bool {
        let used = config.max_bytes.is_some() && self.moved > 0;
        let full = config.rate.is_none_or(|rate| self.level >= burst(rate).into());
        self.places.is_empty() && self.flows.is_empty() && !used && full
    }
}

impl Accounts {
    /// A place for one stream more of `peer`, if it may have one. Of the peer's bytes `size` is
    /// kept for it; all that are left if it does not say its size.
    pub(super) fn admit(
        self: &Arc<Self>,
        peer: NodeId,
        size: Option<u64>,
        config: &Arc<RelayConfig>,
        now: Instant,
    ) -> Result<Place, Refusal> {
        if let Allow::Nodes(nodes) = &config.allow
            && !nodes.contains(&peer)
        {
            return Err(Refusal::NotAllowed);
        }
        self.place(peer, size, config, now)
    }

    /// A place for one stream more that `peer` sends or asked for.
    pub(super) fn place(
        self: &Arc<Self>,
        peer: NodeId,
        size: Option<u64>,
        config: &Arc<RelayConfig>,
        now: Instant,
    ) -> Result<Place, Refusal> {
        let mut state = lock(&self.state);
        let State { of, places, .. } = &mut *state;
        if of.len() >= self.most && !of.contains_key(&peer) {
            of.retain(|_, account| {
                config.rate.into_iter().for_each(|rate| account.fill(rate, now));
                !account.is_blank(config)
            });
            if of.len() >= self.most {
                return Err(Refusal::Peers { limit: self.most });
            }
        }
        let account = of.entry(peer).or_insert_with(|| Account {
            level: config.rate.map_or(0, burst).into(),
            filled: now,
            ..Account::default()
        });
        if account.places.len() >= config.max_streams as usize {
            return Err(Refusal::Streams { limit: config.max_streams });
        }
        let mut kept = 0;
        if let Some(limit) = config.max_bytes {
            let left = limit.saturating_sub(account.moved).saturating_sub(account.kept());
            kept = size.unwrap_or(left);
            if left == 0 || kept > left {
                return Err(Refusal::Bytes { limit });
            }
        }
        *places += 1;
        let id = *places;
        account.places.insert(id, kept);
        let limit = config.max_bytes.map(|_| kept);
        Ok(Place { accounts: self.clone(), peer, id, limit, config: config.clone() })
    }

    fn update<T>(&self, peer: NodeId, change: impl FnOnce(&mut Account) -> T) -> Option<T> {
        let (done, wakers) = {
            let mut state = lock(&self.state);
            let done = state.of.get_mut(&peer).map(change);
            (done, state.waiting.take())
        };
        wakers.wake();
        done
    }

    /// Reads off what pipes have moved, until the driver ends.
    pub(super) async fn watch(&self, endpoint: &Endpoint, config: &RelayConfig) {
        let flows = |state: &mut State| {
            let flows = |(peer, account): (&NodeId, &Account)| {
                let peer = *peer;
                account.flows.iter().map(move |flow| (peer, flow.pipe.clone())).collect::<Vec<_>>()
            };
            let flows: Vec<_> = state.of.iter().flat_map(flows).collect();
            (!flows.is_empty()).then_some(flows)
        };
        while endpoint.pause(READING).await.is_some() {
            let flows = until(&self.state, |state| &mut state.waiting, flows).await;
            let read = flows.iter().map(|(_, pipe)| pipe.stats());
            let read = join_all(read).await;
            let now = endpoint.clock().now();
            for ((peer, pipe), stats) in flows.iter().zip(read) {
                let received = stats.map_or(0, |stats| stats.received);
                self.update(*peer, |account| account.count(pipe, received));
            }
            let mut peers: Vec<_> = flows.iter().map(|(peer, _)| *peer).collect();
            peers.dedup();
            peers.into_iter().for_each(|peer| self.judge(peer, config, now));
        }
    }

    /// Keeps the limits of a peer.
    fn judge(&self, peer: NodeId, config: &RelayConfig, now: Instant) {
        self.update(peer, |account| {
            if let Some(rate) = config.rate {
                account.fill(rate, now);
                account.share(rate);
            }
            if config.max_bytes.is_some_and(|limit| account.moved > limit) {
                let code = StreamCode::Refused.app();
                account.flows.iter().for_each(|flow| flow.pipe.cancel(code));
            }
        });
    }
}

impl Place {
    /// How many bytes the stream may move, if they are counted.
    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// How many bytes there are left of the peer's, kept or not, if they are counted.
    pub(super) fn left(&self) -> Option<u64> {
        let moved = self.accounts.update(self.peer, |account| account.moved);
        Some(self.config.max_bytes?.saturating_sub(moved.unwrap_or_default()))
    }

    /// Waits until the peer's rate has room for a stream that begins with so many bytes; those are
    /// taken from it. Returns how many.
    pub(super) async fn afford(&self, endpoint: &Endpoint, bytes: u64) -> u64 {
        let Some(rate) = self.config.rate else { return 0 };
        let bytes = bytes.min(burst(rate));
        let _queued = Queued::new(self);
        loop {
            let now = endpoint.clock().now();
            let missing = self.accounts.update(self.peer, |account| {
                account.fill(rate, now);
                let missing = i128::from(bytes) - account.level;
                if missing <= 0 {
                    account.level -= i128::from(bytes);
                }
                u64::try_from(missing.max(0)).unwrap_or(u64::MAX)
            });
            let Some(missing) = missing.filter(|missing| *missing > 0) else { return bytes };
            let wait = Duration::from_millis(1000u64.saturating_mul(missing) / rate.max(1));
            if endpoint.pause(wait.clamp(READING / 5, Duration::from_secs(1))).await.is_none() {
                return bytes;
            }
        }
    }

    /// A pipe flows for this stream: its own bytes, of which so many are paid, or an answer.
    pub(super) fn flows(&self, pipe: &Pipe, own: bool, paid: u64) {
        if self.config.rate.is_none() && self.config.max_bytes.is_none() {
            return;
        }
        self.accounts.update(self.peer, |account| {
            let (place, pipe, lively) = (self.id, pipe.clone(), own);
            let (counted, rate) = (0, None);
            account.flows.push(Flow { place, pipe, own, counted, paid, rate, lively });
            self.config.rate.into_iter().for_each(|rate| account.share(rate));
        });
    }

    /// A pipe of this stream is over, and moved so many bytes.
    pub(super) fn ended(&self, pipe: &Pipe, bytes: u64) {
        let gone = self.accounts.update(self.peer, |account| {
            account.count(pipe, bytes);
            let at = account.flows.iter().position(|flow| flow.pipe.is(pipe))?;
            let flow = account.flows.swap_remove(at);
            account.level += i128::from(flow.paid);
            self.config.rate.into_iter().for_each(|rate| account.share(rate));
            Some(flow)
        });
        // Outside of the lock.
        drop(gone);
    }

    /// So many bytes that no pipe tells of are moved. `paid`: from its rate they were taken before.
    pub(super) fn moved(&self, bytes: u64, paid: u64) {
        self.accounts.update(self.peer, |account| {
            account.moved = account.moved.saturating_add(bytes);
            account.level -= i128::from(bytes) - i128::from(paid);
            if let Some(kept) = account.places.get_mut(&self.id) {
                *kept = kept.saturating_sub(bytes);
            }
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.accounts.state);
        let Some(account) = state.of.get_mut(&self.peer) else { return };
        account.places.remove(&self.id);
        if account.is_blank(&self.config) {
            state.of.remove(&self.peer);
        }
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
#[path = "account_tests.rs"]
mod tests;
