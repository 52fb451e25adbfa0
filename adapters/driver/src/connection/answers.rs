//! Answers that this node's application awaits from behind relays (spec R-ROUTE-7).
//!
//! Where this node relays as well, an answer that comes may be for one of the relay's legs, for a
//! stream of the application, or for nobody.

use std::collections::VecDeque;

use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::{Dir, StreamId};
use aqueduct_core::wire::protocol::ROUTE;
use aqueduct_core::wire::route::{Answer, Route};

use crate::wait::lock;

use super::{ConnState, Connection};

/// Streams whose answers are remembered; the oldest gives way.
const MOST_STREAMS: usize = 1024;

/// Streams with several targets, and a bit for each target that has not answered.
#[derive(Default)]
pub(crate) struct Answers {
    awaited: VecDeque<(StreamId, u16)>,
}

impl Answers {
    fn take(&mut self, answer: Answer) -> bool {
        let found = self.awaited.iter().position(|(stream, _)| *stream == answer.stream);
        let Some((at, (_, missing))) = found.and_then(|at| Some((at, self.awaited.get_mut(at)?)))
        else {
            return false;
        };
        let bit = 1u16.checked_shl(answer.target.into()).unwrap_or(0);
        let awaited = *missing & bit != 0;
        *missing &= !bit;
        if *missing == 0 {
            self.awaited.remove(at);
        }
        awaited
    }
}

impl ConnState {
    /// For the driver: a stream was opened here. If several will answer it, that is remembered.
    pub(crate) fn expect_answers(&mut self, stream: StreamId, options: &OpenOptions) {
        if options.protocol != StreamProtocol::Number(ROUTE) || stream.dir() != Dir::Bi {
            return;
        }
        let targets = Route::decode(&options.head).map_or(0, |route| route.targets.len());
        if targets > 1 {
            if self.answers.awaited.len() >= MOST_STREAMS {
                self.answers.awaited.pop_front();
            }
            let bits = u16::MAX >> 16usize.saturating_sub(targets).min(15);
            self.answers.awaited.push_back((stream, bits));
        }
    }
}

impl Connection {
    /// Whether the application awaits this answer; once.
    pub(crate) fn awaits_answer(&self, answer: Answer) -> bool {
        lock(self.state()).answers.take(answer)
    }

    /// A stream is not the application's.
    pub(crate) fn forget_answers(&self, stream: StreamId) {
        lock(self.state()).answers.awaited.retain(|(other, _)| *other != stream);
    }
}
