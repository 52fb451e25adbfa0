//! Bytes that a receiver asks for once more (spec R-ROUTE-9 to R-ROUTE-11).

use aqueduct_core::endpoint::PipeError as CoreError;
use aqueduct_core::pipe::{LegError, LegIndex};
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::{Dir, StreamId};
use aqueduct_core::wire::protocol::PART;
use aqueduct_core::wire::route::{Part, Wanted};

use crate::connection::Connection;
use crate::error::PipeError;
use crate::hub::Relayed;
use crate::pipe::Pipe;

use super::account::Moves;
use super::accounts::Place;
use super::ledger::Way;
use super::service::Refused;
use super::{Refusal, Relay};

/// A leg that was added for a request.
struct Added {
    pipe: Pipe,
    leg: LegIndex,
    place: Place,
    flow: u64,
}

impl Added {
    /// Waits for its end. What was sent of it counts, and no more.
    async fn ended(self) {
        let sent = self.pipe.part_ended(self.leg).await;
        self.place.ended(self.flow, sent.unwrap_or(0));
    }
}

impl Relay {
    /// Serves a request, and sees the leg that it makes to its end.
    pub(super) async fn range(&self, arrival: Relayed) -> Result<(), (Refusal, Refused)> {
        let Relayed { connection, send, recv } = arrival;
        let wanted = recv.info().and_then(|info| Wanted::decode(&info.head).ok());
        let added = match wanted {
            Some(wanted) => self.add(&connection, recv.id(), wanted).await,
            None => Err(Refusal::NoRoute),
        };
        match added {
            Ok(added) => {
                if let Some(mut send) = send {
                    let _said = send.finish();
                }
                added.ended().await;
                Ok(())
            }
            Err(why) => Err((why, Refused { send, recv })),
        }
    }

    async fn add(
        &self,
        connection: &Connection,
        request: StreamId,
        wanted: Wanted,
    ) -> Result<Added, Refusal> {
        let leg = (connection.handle().ok_or(Refusal::NoLeg)?, wanted.stream);
        // Its place first, for it may have to wait. How much it asks for is not known yet.
        let place = self.accounts.place(connection.peer(), Some(0), self.endpoint.clock().now())?;
        let way = self.in_time(self.ledger.way(leg, connection.peer())).await.flatten();
        let way = way.ok_or(Refusal::NoLeg)?;
        let stats = way.pipe.stats().await.ok_or(Refusal::NoLeg)?;
        introduce(&way, request, wanted, stats.held_from)?;
        let start = wanted.start;
        let end = wanted.end.or(way.options.end).or(way.options.size);
        let place = place.resized(end.map(|end| end.saturating_sub(start)))?;
        // What is held goes at once.
        let there = way.options.start.saturating_add(stats.received);
        let soon = end.unwrap_or(u64::MAX).min(there).saturating_sub(start);
        place.afford(&self.endpoint, connection, soon).await?;
        let held = way.pipe.stats().await.ok_or(Refusal::NoLeg)?.held_from;
        // It is no longer than what is left of the asker's bytes.
        let bound = place.limit().map(|limit| start.saturating_add(limit));
        let wanted = Wanted { end: wanted.end.or(bound), ..wanted };
        let options = introduce(&way, request, wanted, held)?;
        let opened = connection.open(Dir::Uni, options).await;
        let (part, _none) = opened.map_err(|_| Refusal::Gone)?;
        match way.pipe.add_part(part, self.config.pipes.policy).await {
            Ok(leg) => {
                let flow = place.flows(&way.pipe, Moves::Part(leg));
                Ok(Added { pipe: way.pipe, leg, place, flow })
            }
            Err(PipeError::Core(CoreError::Leg(LegError::NotHeld { held, .. }))) => {
                Err(Refusal::Range { held })
            }
            Err(_) => Err(Refusal::NoLeg),
        }
    }
}

/// The introduction of the part that answers a request, if it asks for what there may be.
fn introduce(
    way: &Way,
    request: StreamId,
    wanted: Wanted,
    held: u64,
) -> Result<OpenOptions, Refusal> {
    let Wanted { start, end, .. } = wanted;
    let most = way.options.end.unwrap_or(u64::MAX);
    let least = way.options.start.max(held);
    if start < least || end.is_some_and(|end| end <= start || end > most) || start >= most {
        return Err(Refusal::Range { held });
    }
    let mut options = way.options.clone();
    options.protocol = StreamProtocol::Number(PART);
    options.head = Part { request }.encode().into();
    (options.start, options.end) = (start, end.or(way.options.end));
    options.digest = None;
    Ok(options)
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;
