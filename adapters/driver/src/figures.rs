//! All figures of an endpoint as one value, for whoever exports them.

use aqueduct_core::endpoint::{EndpointStats, Totals};

use crate::endpoint::Endpoint;
use crate::engine::Engine;
use crate::hub::Shared;
use crate::latency::LatencyStats;
use crate::stats::{IoStats, MessageStats};
use crate::wait::lock;

/// What an endpoint did and how it stands: one value, taken at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Handshakes, strangers, pipes, the budget.
    pub endpoint: EndpointStats,
    /// All connections together.
    pub totals: Totals,
    /// The socket.
    pub io: IoStats,
    /// Messages, by the way that they took.
    pub messages: MessageStats,
    /// From the announcement of a streamed message to its first bytes in the application's hands.
    pub first_fragment: LatencyStats,
    /// From the announcement of a streamed message to its end, verified.
    pub complete: LatencyStats,
}

/// What only the core can say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CoreFigures {
    endpoint: EndpointStats,
    totals: Totals,
}

impl Engine {
    pub(crate) fn core_figures(&self) -> CoreFigures {
        CoreFigures { endpoint: self.core().stats(), totals: self.core().totals() }
    }
}

impl Shared {
    /// Looks at the engine where it stands; once it is gone, what it said last.
    pub(crate) fn figures(&self) -> Figures {
        let fresh = self.hub.look();
        let mut last = lock(&self.last_figures);
        if let Some(fresh) = fresh {
            *last = fresh;
        }
        let CoreFigures { endpoint, totals } = *last;
        Figures {
            endpoint,
            totals,
            io: self.counters.snapshot(),
            messages: self.messages.counts.snapshot(),
            first_fragment: self.messages.first_fragment.snapshot(),
            complete: self.messages.complete.snapshot(),
        }
    }
}

impl Endpoint {
    /// All figures of now. Takes the engine's place for as long as that takes, and so may wait for
    /// a turn of the driver: meant for a scrape now and then, not for every packet. After the
    /// driver's end, what it said last.
    pub fn figures(&self) -> Figures {
        self.shared().figures()
    }
}
