//! What is moved for one peer, and how much may be (spec R-ROUTE-5, R-ROUTE-14).

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::LegIndex;
use aqueduct_core::time::Instant;

use crate::pipe::Pipe;

use super::{Refusal, RelayConfig};

/// A rate lets pass at once what it yields in a second, and at least this.
pub(super) const LEAST_BURST: u64 = 64 * 1024;

/// What a rate lets pass at once.
pub(super) fn burst(rate: u64) -> u64 {
    rate.max(LEAST_BURST)
}

/// What is moved for one peer.
#[derive(Default)]
pub(super) struct Account {
    /// Streams at a time, and what is set aside for each.
    places: BTreeMap<u64, Stake>,
    pub(super) flows: Vec<Flow>,
    /// Bytes in all.
    pub(super) moved: u64,
    /// Bytes that may pass at once; below zero they have passed already.
    level: i128,
    pub(super) filled: Instant,
    /// Streams that wait until they may begin.
    pub(super) queue: usize,
}

/// What is set aside for a stream and was not moved.
#[derive(Clone, Copy, Default)]
struct Stake {
    /// Of the peer's bytes.
    kept: u64,
    /// Of what its rate lets pass.
    paid: u64,
}

/// What moves for a peer.
pub(super) struct Flow {
    pub(super) number: u64,
    place: u64,
    pub(super) pipe: Pipe,
    pub(super) what: Moves,
    counted: u64,
    rate: Option<u64>,
    /// It moved something when it was last looked at.
    lively: bool,
}

/// Which bytes of a pipe move for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moves {
    /// All that come: they are the peer's own stream.
    Stream,
    /// All that come, as an answer.
    Answer,
    /// Those of a leg that was asked for. The pipe is somebody else's.
    Part(LegIndex),
}

impl Flow {
    /// What has come so far; `None`: it is over, and its end says it.
    pub(super) async fn look(pipe: Pipe, what: Moves) -> Option<u64> {
        match what {
            Moves::Stream | Moves::Answer => pipe.stats().await.map(|stats| stats.received),
            Moves::Part(leg) => pipe.part_sent(leg).await,
        }
    }
}

impl Account {
    /// Of somebody who has used nothing of it.
    pub(super) fn new(config: &RelayConfig, now: Instant) -> Self {
        let level = config.rate.map_or(0, burst).into();
        Self { level, filled: now, ..Self::default() }
    }

    fn kept(&self) -> u64 {
        self.places.values().map(|stake| stake.kept).sum()
    }

    /// A place for one stream more, of this number. Returns how many bytes are kept for it, if they
    /// are counted: `size`, or all that are left if it does not say its size.
    pub(super) fn place(
        &mut self,
        number: u64,
        size: Option<u64>,
        config: &RelayConfig,
    ) -> Result<Option<u64>, Refusal> {
        if self.places.len() >= config.max_streams as usize {
            return Err(Refusal::Streams { limit: config.max_streams });
        }
        self.places.insert(number, Stake::default());
        let kept = self.resize(number, size, config);
        if kept.is_err() {
            self.places.remove(&number);
        }
        kept
    }

    /// Keeps `size` bytes for a place that has moved none, in place of what was kept for it.
    pub(super) fn resize(
        &mut self,
        number: u64,
        size: Option<u64>,
        config: &RelayConfig,
    ) -> Result<Option<u64>, Refusal> {
        let Some(limit) = config.max_bytes else { return Ok(None) };
        let own = self.places.get(&number).map_or(0, |stake| stake.kept);
        let left = limit.saturating_sub(self.moved).saturating_sub(self.kept() - own);
        let wanted = size.unwrap_or(left);
        if left == 0 || wanted > left {
            return Err(Refusal::Bytes { limit });
        }
        self.places.entry(number).and_modify(|stake| stake.kept = wanted);
        Ok(Some(wanted))
    }

    /// A stream is over. Nothing is set aside for it any more.
    pub(super) fn leave(&mut self, place: u64, config: &RelayConfig) {
        self.give_back(place, config);
        self.places.remove(&place);
    }

    /// What was paid for a stream and was not used.
    fn give_back(&mut self, place: u64, config: &RelayConfig) {
        if let (Some(stake), Some(rate)) = (self.places.get_mut(&place), config.rate) {
            let level = self.level + i128::from(mem::take(&mut stake.paid));
            self.level = level.min(burst(rate).into());
        }
    }

    /// Takes so many bytes of the rate for a stream, if they are there. Returns how many are
    /// missing.
    pub(super) fn pay(&mut self, place: u64, bytes: u64, rate: u64, now: Instant) -> u64 {
        self.fill(rate, now);
        let missing = i128::from(bytes) - self.level;
        if missing <= 0
            && let Some(stake) = self.places.get_mut(&place)
        {
            self.level -= i128::from(bytes);
            stake.paid += bytes;
        }
        u64::try_from(missing.max(0)).unwrap_or(u64::MAX)
    }

    pub(super) fn fill(&mut self, rate: u64, now: Instant) {
        let passed = now.saturating_since(self.filled).as_nanos();
        let came = passed.saturating_mul(rate.into()) / 1_000_000_000;
        let came = i128::try_from(came).unwrap_or(i128::MAX);
        if came > 0 {
            self.level = self.level.saturating_add(came).min(burst(rate).into());
            self.filled = now;
        }
    }

    /// Something moves for a stream from now on.
    pub(super) fn begin(
        &mut self,
        number: u64,
        place: u64,
        pipe: Pipe,
        what: Moves,
        config: &RelayConfig,
    ) {
        let lively = what != Moves::Answer;
        self.flows.push(Flow { number, place, pipe, what, counted: 0, rate: None, lively });
        self.share(config);
    }

    /// A flow has moved so many bytes by now.
    pub(super) fn count(&mut self, number: u64, bytes: u64) {
        let Some(flow) = self.flows.iter_mut().find(|flow| flow.number == number) else { return };
        let fresh = bytes.saturating_sub(flow.counted);
        flow.counted += fresh;
        flow.lively = fresh > 0;
        self.moved = self.moved.saturating_add(fresh);
        self.level -= i128::from(fresh);
        // Nothing is set aside for answers.
        let own = flow.what != Moves::Answer;
        if let Some(stake) = self.places.get_mut(&flow.place).filter(|_| own) {
            let paid = stake.paid.min(fresh);
            (stake.paid, stake.kept) = (stake.paid - paid, stake.kept.saturating_sub(fresh));
            self.level += i128::from(paid);
        }
    }

    /// A flow is over, and moved so many bytes.
    pub(super) fn end(&mut self, number: u64, bytes: u64, config: &RelayConfig) -> Option<Flow> {
        self.count(number, bytes);
        let at = self.flows.iter().position(|flow| flow.number == number)?;
        let flow = self.flows.swap_remove(at);
        if flow.what != Moves::Answer {
            self.give_back(flow.place, config);
        }
        self.share(config);
        Some(flow)
    }

    /// The rate, in equal parts among those that use it; half of it where a debt is to be paid, or
    /// others wait.
    fn share(&mut self, config: &RelayConfig) {
        let Some(rate) = config.rate else { return };
        let behind = self.level < 0 || self.queue > 0;
        let rate = if behind { rate / 2 } else { rate };
        let lively = self.flows.iter().filter(|flow| flow.lively).count().max(1) as u64;
        let own = |flow: &&mut Flow| !matches!(flow.what, Moves::Part(_));
        for flow in self.flows.iter_mut().filter(own) {
            let part = if flow.lively { rate / lively } else { rate }.max(1);
            if flow.rate.replace(part) != Some(part) {
                flow.pipe.set_rate(Some(part));
            }
        }
    }

    /// Keeps the limits.
    pub(super) fn judge(&mut self, config: &RelayConfig, now: Instant) {
        if let Some(rate) = config.rate {
            self.fill(rate, now);
            self.share(config);
        }
        if config.max_bytes.is_some_and(|limit| self.moved > limit) {
            let own = |flow: &&Flow| !matches!(flow.what, Moves::Part(_));
            let code = StreamCode::Refused.app();
            self.flows.iter().filter(own).for_each(|flow| flow.pipe.cancel(code));
        }
    }

    /// From when on there is nothing to remember, if nothing begins; `None`: there always is.
    pub(super) fn blank_at(&self, config: &RelayConfig) -> Option<Instant> {
        let used = config.max_bytes.is_some() && self.moved > 0;
        if used || !self.places.is_empty() || !self.flows.is_empty() {
            return None;
        }
        let Some(rate) = config.rate else { return Some(self.filled) };
        let missing = u128::try_from(i128::from(burst(rate)) - self.level).unwrap_or(0);
        let nanos = missing.saturating_mul(1_000_000_000).div_ceil(rate.max(1).into());
        Some(self.filled + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
impl Account {
    pub(super) fn level(&self) -> i128 {
        self.level
    }

    pub(super) fn set_aside(&self) -> u64 {
        self.kept()
    }

    /// All that was paid has been moved.
    pub(super) fn use_up(&mut self) {
        self.places.values_mut().for_each(|stake| stake.paid = 0);
    }

    /// So much was moved that was not paid.
    pub(super) fn owe(&mut self, bytes: u64) {
        self.level -= i128::from(bytes);
    }
}
