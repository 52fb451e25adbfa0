//! Legs that were given up and have not come back (spec R-PIPE-24).

use alloc::vec::Vec;
use core::time::Duration;

use crate::time::Instant;

use super::leg::Leg;

/// So many are remembered; beyond, those that were given up first are forgotten.
const MOST: usize = 1024;

/// Who is waited for, known by the bytes that he lacks.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Missing {
    legs: Vec<Gone>,
    /// Since when nothing else keeps the pipe.
    since: Option<Instant>,
}

/// A leg that was given up.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Gone {
    /// It acknowledged all below.
    at: u64,
    /// It was given all below, and may have it.
    given: u64,
    /// Where what it wanted ended.
    end: u64,
    application: bool,
}

impl Gone {
    /// Whether `leg` goes on where this one ended, and gets all that it lacks of a body that ends
    /// at `size`.
    fn is_back(&self, leg: &Leg, size: u64) -> bool {
        if self.application || leg.is_application() {
            return self.application && leg.is_application();
        }
        let begins = self.at <= leg.range.start && leg.range.start <= self.given;
        begins && leg.range.end >= self.end.min(size)
    }
}

impl Missing {
    /// `leg` was given up, when all below `contiguous` was there for it.
    pub(super) fn add(&mut self, leg: &Leg, contiguous: u64) {
        let (at, end, application) = (leg.acked, leg.range.end, leg.is_application());
        if self.legs.len() >= MOST {
            self.legs.remove(0);
        }
        let given = contiguous.min(end).max(at);
        self.legs.push(Gone { at, given, end, application });
    }

    /// `leg` was added: it may be one of them that came back, the one that ended nearest.
    pub(super) fn on_leg(&mut self, leg: &Leg, size: u64) {
        let same = self.legs.iter().enumerate().filter(|(_, gone)| gone.is_back(leg, size));
        let nearest = same.max_by_key(|(_, gone)| gone.at).map(|(index, _)| index);
        if let Some(index) = nearest {
            self.legs.remove(index);
            self.since = None;
        }
    }

    /// Nothing below `floor` is held any more: who lacks some of it cannot come back.
    pub(super) fn forget_below(&mut self, floor: u64) {
        self.legs.retain(|gone| gone.given >= floor || gone.application);
    }

    /// Nobody is waited for any more.
    pub(super) fn forget(&mut self) {
        self.legs.clear();
    }

    /// Nothing else keeps the pipe, whose time-out is `patience`.
    pub(super) fn wait(&mut self, patience: Option<Duration>, now: Instant) {
        self.since.get_or_insert(now);
        if self.until(patience).is_some_and(|at| at <= now) {
            self.forget();
        }
    }

    /// Until when the pipe waits.
    pub(super) fn until(&self, patience: Option<Duration>) -> Option<Instant> {
        self.since.zip(patience).map(|(since, patience)| since + patience)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }
}
