//! How a pipe and its legs end: by what its source does, by what becomes of a leg, or given up.

use crate::error::StreamCode;
use crate::stream::{SendStream, WriteError};
use crate::wire::id::AppCode;

use super::leg::Leg;
use super::options::{EndedLeg, LOST, LegEnd, LegIndex};
use super::{Pipe, Source};

impl Pipe {
    /// The source's connection is gone, after everything that came was pulled. `keep`: whether
    /// there is room to hold what came until the legs have it; else they end where they are.
    pub fn on_source_lost(&mut self, keep: bool) {
        let (code, hop) = LOST;
        match self.source {
            Source::Flowing if keep => {
                sometimes!("pipe: its source is lost, and what came goes on");
                let reliable = Some(self.store.contiguous_end());
                self.source = Source::Broken { code, hop, reliable };
            }
            _ if keep => {}
            Source::Broken { code, hop, .. } => self.give_up(code, hop),
            _ => self.give_up(code, hop),
        }
    }

    /// A leg's stream is over and forgotten.
    pub fn on_leg_gone(&mut self, index: LegIndex) {
        let closing = self.legs.get(&index).and_then(|leg| leg.closing);
        self.end_leg(index, closing.unwrap_or(TAKEN_AWAY));
    }

    /// A leg's connection is gone, whatever it still had to acknowledge.
    pub fn on_leg_lost(&mut self, index: LegIndex) {
        self.end_leg(index, LegEnd::Lost);
    }

    pub(super) fn end_leg(&mut self, index: LegIndex, end: LegEnd) {
        if let Some(leg) = self.legs.remove(&index) {
            if !self.legs.is_empty() && end != LegEnd::Delivered {
                sometimes!("pipe: a leg ends early, and others go on");
            }
            if let LegEnd::Detached { .. } = end {
                sometimes!("pipe: a leg is too slow, and is detached");
                self.detached += 1;
                self.missing.add(&leg, self.store.contiguous_end());
            }
            self.last_end = Some(end);
            self.ended.push_back(EndedLeg { leg: index, end, sent: leg.sent_in_all(end) });
            self.trim_log();
        }
    }

    /// The next leg that ended, and how. Each is told once.
    pub fn next_ended(&mut self) -> Option<EndedLeg> {
        self.ended.pop_front()
    }

    /// Gives the pipe up: legs are reset where they are, and the source is stopped, with `code`.
    pub fn cancel(&mut self, code: AppCode) {
        let is_broken = matches!(self.source, Source::Broken { .. });
        self.give_up(code, 0);
        self.stop.get_or_insert((code, 0));
        // What broke before counts where it broke.
        if !is_broken {
            self.cancelled.get_or_insert(code);
        }
    }

    /// The code that this node gave it up with, if it did and the source had not broken before.
    pub const fn cancelled(&self) -> Option<AppCode> {
        self.cancelled
    }

    /// Ends everything here and now: each leg keeps what it acknowledged, and nothing is held.
    pub(super) fn give_up(&mut self, code: AppCode, hop: u64) {
        if !self.is_given_up() {
            self.source = Source::Broken { code, hop, reliable: None };
            self.log.clear();
            self.legs.values_mut().for_each(|leg| leg.closing = None);
        }
    }

    pub(super) fn is_given_up(&self) -> bool {
        matches!(self.source, Source::Broken { reliable: None, .. })
    }
}

/// Ends a leg's stream with what lies below the end of its range.
pub(super) fn reset(leg: &mut Leg, out: &mut SendStream<'_>, code: AppCode, hop: u64) {
    out.reset_after(code, hop, leg.range.end);
    leg.closing = Some(LegEnd::Reset { code, hop });
}

/// What the error of a leg's stream means for the leg. A stream that somebody else wrote to, or
/// ended, is of no use any more.
pub(super) fn why_ended(error: WriteError, leg: &Leg, out: &mut SendStream<'_>) -> LegEnd {
    match (error, out.stopped()) {
        (WriteError::Stopped { code, hop }, _) | (_, Some((code, hop))) => {
            LegEnd::Stopped { code, hop }
        }
        _ => {
            out.reset_after(StreamCode::Cancelled.app(), 0, leg.acked);
            TAKEN_AWAY
        }
    }
}

/// The end of a leg whose stream the application took part in.
const TAKEN_AWAY: LegEnd = LegEnd::Reset { code: StreamCode::Cancelled.app(), hop: 0 };
