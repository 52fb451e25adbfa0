//! What a receiver waits for, and so what limits a transfer as it sees it.

use std::time::{Duration, Instant};

/// How often it is told.
const SPAN: Duration = Duration::from_millis(200);

/// What it may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Bytes that have not come.
    Bytes,
    /// The rate that its user set.
    Rate,
    /// The disk.
    Disk,
}

impl For {
    const ALL: [Self; 3] = [Self::Bytes, Self::Rate, Self::Disk];

    const fn words(self) -> &'static str {
        match self {
            Self::Bytes => "the sender or the way",
            Self::Rate => "--limit",
            Self::Disk => "this machine's disk",
        }
    }
}

/// How long it waited for each, in the span that runs.
#[derive(Debug)]
pub(super) struct Waits {
    since: Instant,
    waited: [Duration; For::ALL.len()],
}

impl Waits {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, waited: [Duration::ZERO; For::ALL.len()] }
    }

    /// Waits for `work`, and remembers how long.
    pub(super) async fn on<T>(&mut self, what: For, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let done = work.await;
        self.add(what, begun.elapsed());
        done
    }

    fn add(&mut self, what: For, time: Duration) {
        let slot = For::ALL.iter().zip(&mut self.waited).find(|(named, _)| **named == what);
        slot.into_iter().for_each(|(_, waited)| *waited += time);
    }

    /// At the end of a span: what was waited for longest in it, for the bar.
    pub(super) fn told(&mut self, now: Instant) -> Option<String> {
        if now.duration_since(self.since) < SPAN {
            return None;
        }
        let longest = For::ALL.iter().zip(&self.waited).max_by_key(|(_, waited)| **waited);
        let told = longest.map(|(what, _)| format!("limited by {}", what.words()));
        *self = Self::new(now);
        told
    }
}

#[cfg(test)]
#[path = "waits_tests.rs"]
mod tests;
