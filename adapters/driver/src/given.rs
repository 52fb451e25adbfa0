//! What the application gave to be sent, until the core takes it.

use std::collections::VecDeque;
use std::time::Instant;

use aqueduct_core::message::Delivery;
use aqueduct_core::stream::Priority;
use bytes::Bytes;

/// Datagrams of each class that may wait for the core.
pub(crate) const DATAGRAM_OUTBOX: usize = 256;

/// A datagram or a message, and how it is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) data: Bytes,
    priority: Priority,
    /// When it is too old.
    until: Option<Instant>,
}

impl Given {
    pub(crate) fn new(data: Bytes, delivery: Delivery, now: Instant) -> Self {
        let until = delivery.max_age.and_then(|age| now.checked_add(age));
        Self { data, priority: delivery.priority, until }
    }

    /// How it is to be sent if the core takes it now: its age counts from when it was given.
    pub(crate) fn delivery(&self, now: Instant) -> Delivery {
        let delivery = Delivery::new().priority(self.priority);
        let left = self.until.map(|until| until.saturating_duration_since(now));
        left.map_or(delivery, |left| delivery.max_age(left))
    }

    fn is_young(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// Datagrams that wait for the core, by class, each with its bound: the urgent pass the others
/// here, too, and what is too old keeps nobody out (spec R-MSG-15).
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    classes: [VecDeque<Given>; 3],
    /// Nobody is too old before this.
    youth: Option<Instant>,
    /// How many of each class were too old, since the core was told.
    expired: [u64; 3],
}

impl Datagrams {
    pub(crate) fn is_empty(&self) -> bool {
        self.classes.iter().all(VecDeque::is_empty)
    }

    /// Whether one more of this class may wait.
    pub(crate) fn has_room(&mut self, class: Priority, now: Instant) -> bool {
        self.expire(now);
        self.classes.get(class as usize).is_some_and(|queue| queue.len() < DATAGRAM_OUTBOX)
    }

    pub(crate) fn push(&mut self, given: Given) {
        self.youth = [self.youth, given.until].into_iter().flatten().min();
        if let Some(queue) = self.classes.get_mut(given.priority as usize) {
            queue.push_back(given);
        }
    }

    /// Class and bytes of the one that is next.
    pub(crate) fn next(&self) -> Option<(Priority, usize)> {
        let given = self.classes.iter().find_map(VecDeque::front)?;
        Some((given.priority, given.data.len()))
    }

    pub(crate) fn pop(&mut self) -> Option<Given> {
        self.classes.iter_mut().find_map(VecDeque::pop_front)
    }

    /// Drops what is too old, and counts it.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.youth.is_none_or(|youth| youth > now) {
            return;
        }
        for (queue, expired) in self.classes.iter_mut().zip(&mut self.expired) {
            let before = queue.len();
            queue.retain(|given| given.is_young(now));
            *expired += (before - queue.len()) as u64;
        }
        self.youth = self.classes.iter().flatten().filter_map(|given| given.until).min();
    }

    /// The class of one that was too old, for the core to count. Each once.
    pub(crate) fn next_expired(&mut self) -> Option<Priority> {
        let mut classes = Priority::ALL.into_iter().zip(&mut self.expired);
        let (class, expired) = classes.find(|(_, expired)| **expired > 0)?;
        *expired -= 1;
        Some(class)
    }
}

const _: () = assert!(Priority::ALL.len() == 3, "a queue for each class");
