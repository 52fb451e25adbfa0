//! The life of a stream.

use aqueduct_core::config::TransportConfig;

use crate::app::{Do, End, Met};
use crate::nodes::{pair, transport};
use crate::search::Scenario;
use crate::world::World;

/// Two texts beside each other, of several packets and of one.
pub(crate) fn finished(transport: &TransportConfig) -> Scenario {
    let script = [
        Do::Open { on: 0, salt: 1, len: 2_500 },
        Do::Open { on: 0, salt: 2, len: 20 },
        Do::Finish(1),
        Do::Finish(2),
        Do::Until(Met::Settled(1)),
        Do::Until(Met::Settled(2)),
        Do::Close(0, 7),
    ];
    let agree = |world: &World| {
        world.check_whole(1, 1)?;
        world.check_whole(1, 2)?;
        world.check_stories()
    };
    Scenario::new("streams, FIN", pair(transport, [&script, &[]]), agree)
}

/// A text that is given up, and one after it.
pub(crate) fn reset(name: &'static str, transport: &TransportConfig, len: u64) -> Scenario {
    let script = [
        Do::Open { on: 0, salt: 1, len },
        Do::Reset(1, 5),
        Do::Open { on: 0, salt: 2, len: 20 },
        Do::Finish(2),
        Do::Until(Met::Settled(2)),
        Do::Close(0, 7),
    ];
    let agree = |world: &World| {
        // Of what was given up before a word was said nobody needs to hear.
        if world.app(1).received(1).is_some() {
            world.check_end_of(1, 1, &[End::Reset(5)])?;
        }
        world.check_whole(1, 2)?;
        world.check_stories()
    };
    Scenario::new(name, pair(transport, [&script, &[]]), agree)
}

/// A text that its reader does not want to the end.
fn stopped(name: &'static str, finish: bool) -> Scenario {
    let mut script = vec![Do::Open { on: 0, salt: 1, len: 2_500 }];
    script.extend(finish.then_some(Do::Finish(1)));
    script.extend([Do::Until(Met::Settled(1)), Do::Close(0, 7)]);
    let reader = [Do::Until(Met::Came(1, 1)), Do::Stop(1, 6)];
    let agree = |world: &World| {
        world.check_settled(1)?;
        world.check_end_of(1, 1, &[End::Stopped, End::Finished])?;
        world.check_stories()
    };
    let rare = |world: &World| world.app(0).sent(1).is_some_and(|out| out.stopped);
    Scenario::new(name, pair(&transport(), [&script, &reader]), agree).made_for(rare)
}

#[test]
fn texts_arrive_whole() {
    finished(&transport()).holds(1);
}

#[test]
fn a_reset_is_heard() {
    reset("streams, RESET", &transport(), 1_500).holds(2);
}

#[test]
fn what_was_never_announced_may_be_reset() {
    reset("streams, RESET unannounced", &transport(), 0).holds(2);
}

#[test]
fn a_stop_is_heard() {
    stopped("streams, STOP", false).holds(2);
}

#[test]
fn a_stop_may_cross_the_end() {
    stopped("streams, STOP and FIN", true).holds(2);
}
