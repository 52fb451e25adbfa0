//! What follows from what was acknowledged: bytes are let go, credit goes back, and the source's
//! window and the legs are judged.

use core::time::Duration;

use crate::error::StreamCode;
use crate::flow::Window;
use crate::stream::RecvStream;
use crate::time::Instant;
use crate::wire::id::AppCode;

use super::leg::Leg;
use super::options::{LOST, LegEnd, further};
use super::{BEYOND_PIECE, Item, LEAST_PIECE, LEAST_PIECES, Pipe};

impl Pipe {
    /// Returns credit to the source by what everybody acknowledged, judges its window, and stops it
    /// if nobody is left. `source` is `None` once its stream is gone; `rtt` is its round trip.
    /// Returns how many bytes were let go.
    pub fn settle(
        &mut self,
        source: Option<&mut RecvStream<'_>>,
        rtt: Duration,
        now: Instant,
    ) -> u64 {
        self.welcome_application(now);
        self.pass_skipped();
        self.end_application();
        self.most_waiting = self.most_waiting.max(self.waiting());
        self.acked = self.through();
        self.look_who_is_furthest();
        self.judge_legs(now);
        if self.is_unwanted() {
            sometimes!("pipe: nobody is left to want it");
            self.stop = Some(self.last_words());
        }
        let freed = self.let_go(now);
        let Some(source) = source else { return freed };
        self.give_back(freed, source, now);
        if let Some((code, hop)) = self.stop {
            source.stop_after(code, hop);
            return freed;
        }
        let blocked = self.legs.values().any(|leg| leg.blocked);
        let longest = self.legs.values().map(|leg| leg.path.rtt).max().unwrap_or_default();
        if self.window.judge(self.acked, rtt + longest, blocked, now).is_some() {
            sometimes!("pipe: its window grows");
            self.set_window(source);
        }
        freed + self.make_room(source, now)
    }

    /// Sets the source's window.
    pub(super) fn set_window(&mut self, source: &mut RecvStream<'_>) {
        let (window, keep) = (self.window.window(), self.keep);
        source.set_window(Window::Keeping { window, keep });
        self.covered = source.covered();
    }

    /// Lets go of what is kept and finds no room in what the source was lent (spec R-PIPE-23).
    fn make_room(&mut self, source: &mut RecvStream<'_>, now: Instant) -> u64 {
        let mut freed = 0;
        loop {
            self.covered = source.covered();
            let more = self.let_go(now);
            if more == 0 && !self.store.has_passed() {
                return freed;
            }
            freed += more;
            self.give_back(more, source, now);
        }
    }

    /// Credit of bytes goes back at the source's rate, that of skipped ones at once.
    fn give_back(&mut self, freed: u64, source: &mut RecvStream<'_>, now: Instant) {
        let paid = self.toll.pay(freed, self.is_flowing(), now);
        source.release(paid + self.store.take_passed());
    }

    /// A source that has ended waits for nobody, so nobody is too slow for it. Nor is anybody while
    /// others are still to come.
    pub(super) fn judge_legs(&mut self, now: Instant) {
        if self.is_flowing() && !self.gathers() {
            let (window, waits) = (self.window.window(), self.bytes_wait());
            let there = self.store.contiguous_end();
            self.patience.judge(&mut self.legs, window, there, waits, now);
        }
    }

    /// All below is nothing to any leg. A pipe that had no leg yet waits, and so does one that has
    /// not all of them.
    fn through(&self) -> u64 {
        if self.gathers() || self.added == 0 && !self.is_given_up() {
            return self.acked;
        }
        let slowest = self.legs.values().map(Leg::through).min();
        let slowest = slowest.filter(|_| !self.is_given_up()).unwrap_or(u64::MAX);
        slowest.min(self.store.highest())
    }

    /// Whether there were legs, none is left, and the source still sends.
    fn is_unwanted(&self) -> bool {
        self.added > 0 && self.legs.is_empty() && self.is_flowing() && !self.gathers()
    }

    /// What the source is told when its last leg has ended.
    fn last_words(&self) -> (AppCode, u64) {
        match self.last_end {
            Some(LegEnd::Stopped { code, hop }) => (code, further(hop)),
            Some(LegEnd::Lost) => LOST,
            _ => (StreamCode::Cancelled.app(), 0),
        }
    }

    /// How many pieces are held at most: so many more bytes stay in the source's own memory, which
    /// its credit covers however small they are cut (spec R-PIPE-20).
    pub(super) fn most_pieces(&self) -> usize {
        let in_window = self.granted() / LEAST_PIECE;
        usize::try_from(in_window).unwrap_or(usize::MAX).max(LEAST_PIECES)
    }

    /// How many pieces may be taken beyond twice as many, while they fill the lowest gap: who has
    /// them acknowledges them, for nothing is missing below (spec R-PIPE-20).
    pub(super) fn most_beyond(&self) -> usize {
        usize::try_from(self.granted() / BEYOND_PIECE).unwrap_or(usize::MAX)
    }

    /// Bytes that are held back from who wants them: from a leg that is a stream all that it was
    /// not given, from the application, which reads in order, what lies above a gap.
    pub(super) fn waiting(&self) -> u64 {
        let application = self.legs.values().find(|leg| leg.is_application());
        let above = application.map_or(0, |leg| self.store.above_gap(leg.read));
        self.log.iter().map(Item::bytes).sum::<u64>().max(above)
    }
}
