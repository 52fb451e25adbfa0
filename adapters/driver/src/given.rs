//! What the application gave to be sent, until the core takes it.

use std::collections::VecDeque;
use std::time::Instant;

use aqueduct_core::message::Delivery;
use aqueduct_core::stream::Priority;
use bytes::Bytes;

/// A datagram or a message, how it is to be sent, and since when it waits.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) data: Bytes,
    delivery: Delivery,
    since: Instant,
}

impl Given {
    pub(crate) fn new(data: Bytes, delivery: Delivery) -> Self {
        Self { data, delivery, since: Instant::now() }
    }

    /// How it is to be sent if the core takes it now: its age counts from when it was given.
    pub(crate) fn delivery(&self) -> Delivery {
        match self.delivery.max_age {
            Some(age) => self.delivery.max_age(age.saturating_sub(self.since.elapsed())),
            None => self.delivery,
        }
    }
}

/// Datagrams that wait for the core, by class: the urgent pass the others here, too.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    classes: [VecDeque<Given>; 3],
}

impl Datagrams {
    pub(crate) fn len(&self) -> usize {
        self.classes.iter().map(VecDeque::len).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn push(&mut self, given: Given) {
        if let Some(class) = self.classes.get_mut(given.delivery.priority as usize) {
            class.push_back(given);
        }
    }

    /// Bytes of the one that is next.
    pub(crate) fn next_len(&self) -> Option<usize> {
        self.classes.iter().find_map(VecDeque::front).map(|given| given.data.len())
    }

    pub(crate) fn pop(&mut self) -> Option<Given> {
        self.classes.iter_mut().find_map(VecDeque::pop_front)
    }
}

const _: () = assert!(Priority::ALL.len() == 3, "a queue for each class");
