//! Who waits for a part of a stream that he has asked for (spec R-ROUTE-12).

use std::collections::BTreeMap;

use aqueduct_core::wire::id::StreamId;

use crate::connection::range::request_of;
use crate::recv::RecvHalf;
use crate::wait::Reply;

/// By the stream that asks: an entry stands here before that stream says anything, so no answer
/// can come too early.
///
/// Who waits no more is cleared out when there are twice as many, so that there are never many more
/// than those who do.
#[derive(Debug, Default)]
pub(super) struct Asks {
    askers: BTreeMap<StreamId, Reply<RecvHalf>>,
    clear_at: usize,
}

impl Asks {
    const FEW: usize = 32;

    /// `asker` waits for what answers `request`.
    pub(super) fn add(&mut self, request: StreamId, asker: Reply<RecvHalf>) {
        if self.askers.len() >= self.clear_at.max(Self::FEW) {
            self.askers.retain(|_, asker| !asker.is_abandoned());
            self.clear_at = 2 * self.askers.len();
        }
        self.askers.insert(request, asker);
    }

    /// Gives a part to whoever asked for it; once. Gives it back if nobody waits.
    pub(super) fn answer(&mut self, part: RecvHalf) -> Option<RecvHalf> {
        let asker = request_of(&part).and_then(|request| self.askers.remove(&request));
        match asker.filter(|asker| !asker.is_abandoned()) {
            Some(asker) => {
                asker.send(part);
                None
            }
            None => Some(part),
        }
    }
}

#[cfg(test)]
#[path = "asks_tests.rs"]
mod tests;
