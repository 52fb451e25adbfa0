//! How a connection ends.

use std::time::Duration;

use aqueduct_core::config::TransportConfig;
use aqueduct_core::error::CloseReason;

use crate::app::{Do, End, Met};
use crate::nodes::{pair, transport};
use crate::search::Scenario;
use crate::world::World;

/// All of a text and a polite end, said at once.
pub(crate) fn polite(transport: &TransportConfig) -> Scenario {
    let script = [Do::Open { on: 0, salt: 1, len: 1_500 }, Do::Finish(1), Do::Close(0, 7)];
    let agree = |world: &World| {
        world.check_stories()?;
        world.check_end_of(1, 1, &[End::Finished])
    };
    Scenario::new("close, polite", pair(transport, [&script, &[]]), agree)
}

/// spec: R-CLOSE-5, R-CLOSE-6
#[test]
fn a_polite_end_comes_after_everything() {
    polite(&transport()).holds(2);
}

/// What was written goes out, though nobody said that it was all.
#[test]
fn a_polite_end_cuts_off_what_is_not_finished() {
    let script = [Do::Open { on: 0, salt: 1, len: 1_500 }, Do::Close(0, 7)];
    let agree = |world: &World| {
        world.check_stories()?;
        let read = world.app(1).received(1).map(|text| (text.read, text.end));
        match read {
            Some((1_500, None | Some(End::Reset(_)))) => Ok(()),
            _ => Err(format!("{read:?}")),
        }
    };
    let start = pair(&transport(), [&script, &[]]);
    Scenario::new("close, polite, unfinished", start, agree).holds(2);
}

/// spec: R-CLOSE-6
#[test]
fn an_abort_is_heard() {
    let script = [Do::Open { on: 0, salt: 1, len: 1_500 }, Do::Abort(0, 7)];
    let start = pair(&transport(), [&script, &[]]);
    Scenario::new("close, abort", start, World::check_stories).holds(2);
}

#[test]
fn both_may_end_it_at_once() {
    let one = [Do::Open { on: 0, salt: 1, len: 20 }, Do::Finish(1), Do::Close(0, 7)];
    let other = [Do::Open { on: 0, salt: 2, len: 20 }, Do::Finish(2), Do::Close(0, 8)];
    let start = pair(&transport(), [&one, &other]);
    Scenario::new("close, both politely", start, World::check_stories).holds(2);
    let other = [Do::Open { on: 0, salt: 2, len: 20 }, Do::Abort(0, 8)];
    let start = pair(&transport(), [&one, &other]);
    Scenario::new("close, one politely and one not", start, World::check_stories).holds(2);
    let one = [Do::Abort(0, 7)];
    let start = pair(&transport(), [&one, &other]);
    Scenario::new("close, both aborting", start, World::check_stories).holds(2);
}

/// spec: R-CLOSE-3
#[test]
fn silence_ends_it_at_both_ends() {
    let transport = transport().with_idle_timeout(Duration::from_secs(3)).expect("a time-out");
    let script = [
        Do::Open { on: 0, salt: 1, len: 20 },
        Do::Finish(1),
        Do::Until(Met::Settled(1)),
        Do::Until(Met::Closed(0)),
    ];
    let agree = |world: &World| {
        world.check_end_of(1, 1, &[End::Finished])?;
        for [one, other] in world.pairs() {
            for link in [one, other] {
                if !matches!(link.closed, Some(CloseReason::IdleTimeout(_))) {
                    return Err(format!("{link:?}"));
                }
            }
        }
        Ok(())
    };
    Scenario::new("close, idle", pair(&transport, [&script, &[]]), agree).holds(2);
}
