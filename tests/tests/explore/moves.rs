//! Peers that are somewhere else of a sudden, or begin anew.

use aqueduct_core::config::TransportConfig;
use aqueduct_core::error::CloseReason;

use crate::app::{Do, End, Met};
use crate::nodes::{pair, transport};
use crate::search::Scenario;
use crate::world::World;

/// One of two writes, moves in the middle, and goes on.
pub(crate) fn moved(name: &'static str, transport: &TransportConfig) -> Scenario {
    let script = [
        Do::Open { on: 0, salt: 1, len: 1_500 },
        Do::Move,
        Do::Write { salt: 1, len: 1_000 },
        Do::Finish(1),
        Do::Until(Met::Settled(1)),
        Do::Close(0, 7),
    ];
    let agree = |world: &World| {
        world.check_whole(1, 1)?;
        world.check_stories()
    };
    let start = pair(transport, [&script, &[]]);
    Scenario::new(name, start, agree).made_for(|world| world.followed)
}

/// Who was silent since it moved is not known to have, until it speaks.
fn moved_reader() -> Scenario {
    let script = [
        Do::Open { on: 0, salt: 1, len: 2_500 },
        Do::Finish(1),
        Do::Until(Met::Settled(1)),
        Do::Close(0, 7),
    ];
    let reader = [Do::Until(Met::Came(1, 1)), Do::Move];
    let agree = |world: &World| {
        let end = world.app(0).links.first().and_then(|link| link.closed.as_ref());
        match end {
            // It has everything and nothing to ask for, so it never spoke again.
            Some(CloseReason::PeerLost { .. }) if !world.followed => {
                world.check_end_of(1, 1, &[End::Finished])?;
            }
            _ => world.check_whole(1, 1)?,
        }
        world.check_stories()
    };
    let start = pair(&transport(), [&script, &reader]);
    Scenario::new("moves, the reader", start, agree).made_for(|world| world.followed)
}

/// The second begins anew; the first notices when it speaks, and connects again.
pub(crate) fn forgotten(name: &'static str, transport: &TransportConfig) -> Scenario {
    let script = [
        Do::Open { on: 0, salt: 1, len: 2_500 },
        Do::Until(Met::Closed(0)),
        Do::Dial { to: 1, known: true },
        Do::Until(Met::Connected(1)),
        Do::Open { on: 1, salt: 2, len: 20 },
        Do::Finish(2),
        Do::Until(Met::Settled(2)),
        Do::Close(1, 7),
    ];
    let second = [Do::Until(Met::Came(1, 1)), Do::Forget];
    let agree = |world: &World| {
        world.check_whole(1, 2)?;
        match world.app(0).links.first().map(|link| &link.closed) {
            // Who has nothing more to say when the other forgets waits until it is idle.
            Some(Some(CloseReason::Reset | CloseReason::IdleTimeout(_))) => world.check_stories(),
            // Strays with content are answered, PINGs are too short for that.
            Some(Some(CloseReason::PeerLost { .. })) if world.dropped >= 2 => world.check_stories(),
            end => Err(format!("{end:?}")),
        }
    };
    let rare = |world: &World| {
        world.app(0).links.first().is_some_and(|link| link.closed == Some(CloseReason::Reset))
    };
    Scenario::new(name, pair(transport, [&script, &second]), agree).made_for(rare)
}

/// spec: R-PATH-9 R-PATH-10
#[test]
fn a_sender_may_move() {
    moved("moves, the sender", &transport()).holds(2);
}

/// spec: R-CLOSE-6 R-PATH-9
#[test]
fn a_reader_may_move() {
    moved_reader().holds(2);
}

/// With a second move a late reset of the first connection ends the next one, which has the same ids:
/// who keeps its key of resets here has the same seed, and with it the same chance again.
///
/// spec: R-EP-30
#[test]
fn who_forgot_everything_is_noticed() {
    forgotten("reset, a peer that forgot", &transport()).no_deeper_than(1).holds(1);
}
