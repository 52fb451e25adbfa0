//! Who waits for a part of a stream that he has asked for (spec R-ROUTE-12).

use std::collections::BTreeMap;

use aqueduct_core::wire::id::StreamId;

use crate::connection::range::request_of;
use crate::recv::RecvHalf;
use crate::wait::Reply;

/// By the stream that asks: an entry stands here before that stream says anything, so no answer
/// can come too early.
#[derive(Debug, Default)]
pub(super) struct Asks(BTreeMap<StreamId, Reply<RecvHalf>>);

impl Asks {
    /// `asker` waits for what answers `request`. Who waits no more is forgotten.
    pub(super) fn add(&mut self, request: StreamId, asker: Reply<RecvHalf>) {
        self.0.retain(|_, asker| !asker.is_abandoned());
        self.0.insert(request, asker);
    }

    /// Gives a part to whoever asked for it; once. Gives it back if nobody waits.
    pub(super) fn answer(&mut self, part: RecvHalf) -> Option<RecvHalf> {
        let asker = request_of(&part).and_then(|request| self.0.remove(&request));
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
