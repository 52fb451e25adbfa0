//! The way out: what is due fires, then the next thing to do is given.

use alloc::vec::Vec;

use crate::connection::{EventKind, Transmit};
use crate::crypto::identity::NodeId;
use crate::planted::Fault;
use crate::shaping::Grant;
use crate::time::{Instant, earliest};

use super::slab::SlotKey;
use super::totals::Endings;
use super::{ConnectionHandle, Endpoint, Entry, Event, Incoming, Member, Output};

impl Endpoint {
    /// Fires what is due at `now`, then gives the next thing to do. Call it until it says
    /// [`Output::Wait`]. `buf` is cleared; after [`Output::Transmit`] it holds the bytes to send.
    pub fn poll(&mut self, buf: &mut Vec<u8>, now: Instant) -> Output {
        self.tape.note(|tape| tape.polls(now));
        let output = self.next_output(buf, now);
        self.note_output(&output, buf, now);
        output
    }

    fn next_output(&mut self, buf: &mut Vec<u8>, now: Instant) -> Output {
        self.advance(now);
        buf.clear();
        self.fire(now);
        loop {
            if let Some(event) = self.next_event() {
                return Output::Event(event);
            }
            if self.pump_pipes(now) {
                continue;
            }
            if let Some(event) = self.pipes.next_event() {
                return Output::Pipe(event);
            }
            if let Some(offered) = self.offers.pop_front() {
                return Output::Incoming(Incoming(offered));
            }
            if let Some(transmit) = self.next_transmit(buf, now) {
                return Output::Transmit(transmit);
            }
            // What was tried in vain may have made news: a key at its limit ends its connection.
            if self.news.is_empty() && !self.balance(now) {
                return Output::Wait(self.wait(now));
            }
        }
    }

    fn wait(&self, now: Instant) -> Option<Instant> {
        let wait =
            earliest([self.deadlines.first(), self.budget.deadline(), self.pipes.deadline()]);
        let turn = self.limits.as_ref().and_then(|limits| limits.deadline());
        let wait = earliest([wait, turn]);
        debug_assert!(wait.is_none_or(|wait| wait > now), "a deadline that has passed");
        let fault = self.config.transport.planted.has(Fault::StaleDeadline);
        let stale = fault && self.stats.ended != Endings::default();
        let soonest = now.as_nanos() + u64::from(!stale);
        wait.map(|wait| if stale { now } else { wait }.max(Instant::from_nanos(soonest)))
    }

    fn fire(&mut self, now: Instant) {
        while let Some(key) = self.deadlines.pop_due(now) {
            match self.slots.get_mut(key) {
                Some(Entry::Connection(member)) => {
                    member.deadline = None;
                    member.connection.on_deadline(&mut self.budget, now);
                    self.touch(key);
                }
                Some(Entry::HalfOpen(_)) => self.forget_half_open(key),
                None => {}
            }
        }
        self.balance(now);
    }

    /// Moves credit from those who do not use it to those who want it (spec R-FLOW-23).
    /// Returns whether anything was moved.
    fn balance(&mut self, now: Instant) -> bool {
        let mut moved = false;
        if self.budget.deadline().is_some_and(|deadline| deadline <= now) {
            let members = self.slots.iter().filter_map(|(key, entry)| match entry {
                Entry::Connection(member) => member.connection.recall_candidate(key),
                Entry::HalfOpen(_) => None,
            });
            for (key, bytes) in self.budget.plan(members, now) {
                if let Some(Entry::Connection(member)) = self.slots.get_mut(key) {
                    member.connection.ask_back(bytes, &mut self.budget, now);
                }
                self.touch(key);
                moved = true;
            }
        }
        if self.budget.take_freed() {
            for (key, entry) in self.slots.iter_mut() {
                if let Entry::Connection(member) = entry
                    && member.connection.wants_credit()
                {
                    member.connection.top_up(&mut self.budget, now);
                    self.ready.push(key, &mut member.ready);
                    moved = true;
                }
            }
        }
        moved
    }

    fn next_event(&mut self) -> Option<Event> {
        if let Some(event) = self.late.pop_front() {
            return Some(event);
        }
        while let Some(key) = self.news.first() {
            let Some(Entry::Connection(member)) = self.slots.get_mut(key) else {
                self.news.pop();
                continue;
            };
            if let Some(kind) = member.connection.next_event() {
                if self.pipes.take(key, &kind) {
                    continue;
                }
                match &kind {
                    EventKind::Connected => self.stats.established += 1,
                    EventKind::Closed(reason) => {
                        self.stats.ended.count(reason);
                        self.on_pipes_connection_lost(key, self.now);
                    }
                    _ => {}
                }
                let connection = ConnectionHandle(key);
                if kind == EventKind::Drained {
                    self.remove(key);
                }
                return Some(Event { connection, kind });
            }
            member.news.clear();
            self.news.pop();
            if member.connection.is_drained() {
                self.remove(key);
            }
        }
        None
    }

    fn next_transmit(&mut self, buf: &mut Vec<u8>, now: Instant) -> Option<Transmit> {
        let carriers = &self.carriers;
        let writable = |carrier| carriers.is_writable(carrier);
        if let Some((transmit, bytes)) = self.strangers.pop_reply(writable) {
            buf.extend_from_slice(&bytes);
            self.on_reply_sent(bytes.len() as u64, now);
            return Some(transmit);
        }
        loop {
            while let Some(key) = self.ready.pop() {
                if let Some(Entry::Connection(member)) = self.slots.get_mut(key) {
                    member.ready.clear();
                }
                let grant = self.grant(key);
                if let Some(transmit) = self.transmit_of(key, grant, buf, now) {
                    return Some(transmit);
                }
                self.wait_for_turn(key);
            }
            if let Some(transmit) = self.next_turn(buf, now) {
                return Some(transmit);
            }
            if self.ready.is_empty() {
                return None;
            }
        }
    }

    /// What the connection in this slot sends under a grant. Afterwards it is asked again, or its
    /// deadline is what it is now.
    pub(super) fn transmit_of(
        &mut self,
        key: SlotKey,
        grant: Grant,
        buf: &mut Vec<u8>,
        now: Instant,
    ) -> Option<Transmit> {
        let Some(Entry::Connection(member)) = self.slots.get_mut(key) else { return None };
        let before = member.connection.bandwidth();
        let transmit = member.connection.transmit(buf, &self.carriers, grant, now);
        if transmit.is_some() {
            // What left may have made room for what waits.
            if member.connection.has_news() {
                self.news.push(key, &mut member.news);
            }
            self.ready.push(key, &mut member.ready);
            self.on_bytes_sent(key, &before, now);
            return transmit;
        }
        // An input can make something due: a shorter round trip, a probe that should be out.
        let due = member.connection.deadline().is_some_and(|at| at <= now);
        if due && member.fired_at != Some(now) {
            member.fired_at = Some(now);
            member.connection.on_deadline(&mut self.budget, now);
            self.ready.push(key, &mut member.ready);
        }
        if member.connection.has_news() {
            self.news.push(key, &mut member.news);
        }
        if !member.ready.is_set() {
            self.settle(key);
        }
        None
    }

    /// A connection has nothing more to send: its deadline and address are what they are now.
    fn settle(&mut self, key: SlotKey) {
        let now = self.now;
        let Some(Entry::Connection(member)) = self.slots.get_mut(key) else { return };
        let deadline = member.connection.deadline();
        debug_assert!(
            deadline.is_none_or(|at| at > now),
            "a wish for {now:?} or before: {:?}",
            member.connection.wishes()
        );
        self.deadlines.change(key, member.deadline, deadline);
        member.deadline = deadline;
        let remote = member.connection.remote();
        if member.remote != remote {
            self.by_remote.remove(&(member.remote, key));
            self.by_remote.insert((remote, key));
            member.remote = remote;
        }
        if let Some(address) = member.place.take_if(|_| !member.connection.is_half_open()) {
            self.strangers.on_ended(address);
        }
        if let Some(id) = member.dialing.take_if(|_| !member.connection.is_connecting()) {
            self.forget_dialing(key, id);
        }
    }

    /// The connection in this slot dials no longer; another may dial the same node.
    fn forget_dialing(&mut self, key: SlotKey, id: NodeId) {
        if self.dialing.get(&id) == Some(&key) {
            self.dialing.remove(&id);
        }
    }

    /// The connection is over and said so: everything that it had is free.
    fn remove(&mut self, key: SlotKey) {
        let Some(Entry::Connection(member)) = self.slots.release(key) else { return };
        let limited_as = member.limited_as;
        let Member { connection, deadline, ephemeral, dialing, remote, carriers, place, .. } =
            *member;
        self.on_pipes_connection_lost(key, self.now);
        self.deadlines.change(key, deadline, None);
        self.by_remote.remove(&(remote, key));
        carriers.into_iter().for_each(|carrier| _ = self.users.remove(&(carrier, key)));
        if let Some(ephemeral) = ephemeral {
            self.strangers.forget(&ephemeral);
        }
        if let Some(id) = dialing {
            self.forget_dialing(key, id);
        }
        if let Some(address) = place {
            self.strangers.on_ended(address);
        }
        self.gone.add(&connection.stats());
        if let (Some(limits), Some(peer)) = (&mut self.limits, limited_as) {
            limits.forget(peer, key);
        }
        if !self.config.transport.planted.has(Fault::KeptShare) {
            self.budget.close(connection.into_share());
        }
    }
}
