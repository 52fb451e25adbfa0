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

use super::ledger::{Place, Way};
use super::service::Refused;
use super::{Refusal, Relay};

/// A leg that was added for a request.
struct Added {
    pipe: Pipe,
    leg: LegIndex,
    _place: Place,
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
                added.pipe.leg_ended(added.leg).await;
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
        let leg = connection.handle().map(|handle| (handle, wanted.stream));
        let way = leg.and_then(|leg| self.ledger.way(leg)).ok_or(Refusal::NoLeg)?;
        let place = self.ledger.place(connection.peer(), &self.config)?;
        let held = way.pipe.stats().await.ok_or(Refusal::NoLeg)?.held_from;
        let options = introduce(&way, request, wanted, held)?;
        let opened = connection.open(Dir::Uni, options).await;
        let (part, _none) = opened.map_err(|_| Refusal::Gone)?;
        match way.pipe.add_leg(part, self.config.pipes.policy).await {
            Ok(leg) => Ok(Added { pipe: way.pipe, leg, _place: place }),
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
