//! The application as a leg of a pipe: it stores while the pipe forwards.

use crate::stream::{Chunk, ReadError};
use crate::time::Instant;

use super::options::LegEnd;
use super::{Pipe, Source};

impl Pipe {
    /// The next bytes for the application, in order, at most `max`; skipped ranges are passed over,
    /// which shows in the offset. They are held until [`release`](Self::release). `None` at the
    /// end of the body.
    ///
    /// # Errors
    /// [`ReadError::Blocked`] if none are here, [`ReadError::Reset`] after what was promised, and
    /// [`ReadError::Stopped`] if the application is no leg, or was given up as one.
    pub fn read(&mut self, max: usize) -> Result<Option<Chunk>, ReadError> {
        let leg = self.legs.values_mut().find(|leg| leg.is_application());
        let leg = leg.filter(|leg| !leg.doomed).ok_or(ReadError::Stopped)?;
        let chunk = self.store.from(leg.reads_on(), max);
        let passed = self.store.skipped_to(leg.reads_on());
        match (self.source, chunk) {
            (Source::Broken { code, hop, reliable }, _) if passed >= reliable.unwrap_or(0) => {
                Err(ReadError::Reset { code, hop })
            }
            (_, Some(chunk)) => {
                leg.read = chunk.range().end;
                Ok(Some(chunk))
            }
            (Source::Finished(size), None) => {
                debug_assert!(passed >= size, "a source ends when all of it is here");
                leg.read_end = true;
                Ok(None)
            }
            _ => Err(ReadError::Blocked),
        }
    }

    /// The application needs nothing below `offset` any more, of what it was given.
    pub fn release(&mut self, offset: u64, now: Instant) {
        let found = self.legs.values_mut().find(|leg| leg.is_application());
        let Some(leg) = found else { return };
        let acked = self.store.skipped_to(offset.min(leg.read).max(leg.acked));
        if leg.acked < acked {
            leg.acked = acked;
            self.patience.on_progress(now);
        }
    }

    /// Of what will never come nothing is given to the application, so nothing of it has to be
    /// released either.
    pub(super) fn pass_skipped(&mut self) {
        if let Some(leg) = self.legs.values_mut().find(|leg| leg.is_application()) {
            leg.acked = self.store.skipped_to(leg.acked);
        }
    }

    /// A leg that is new counts as something that happened (spec R-PIPE-17); one that is a stream
    /// says so when it is pushed first.
    pub(super) fn welcome_application(&mut self, now: Instant) {
        let mut new = self.legs.values_mut().filter(|leg| leg.is_application());
        if let Some(leg) = new.find(|leg| leg.next.is_none()) {
            leg.next = Some(self.logged);
            self.patience.on_progress(now);
        }
    }

    /// The application's leg ends like the others: with all of it, the end included, or where it
    /// was given up.
    pub(super) fn end_application(&mut self) {
        let Some((index, leg)) = self.legs.iter().find(|(_, leg)| leg.is_application()) else {
            return;
        };
        let (size, end) = match self.source {
            Source::Flowing => (u64::MAX, LegEnd::Delivered),
            Source::Finished(size) => (size, LegEnd::Delivered),
            Source::Broken { code, hop, reliable } => {
                (reliable.unwrap_or(0), LegEnd::Reset { code, hop })
            }
        };
        let (index, at) = (*index, leg.acked);
        let unread = matches!(self.source, Source::Finished(_)) && !leg.read_end;
        if leg.doomed {
            self.end_leg(index, LegEnd::Detached { at });
        } else if at >= size && !unread {
            self.end_leg(index, end);
        }
    }

    /// Whether [`read`](Self::read) would say something new.
    pub fn is_readable(&self) -> bool {
        let leg = self.legs.values().find(|leg| leg.is_application());
        leg.is_some_and(|leg| {
            self.source != Source::Flowing || self.store.from(leg.reads_on(), 1).is_some()
        })
    }
}
