//! How piped streams end: source, relay and sinks.

use aqueduct_core::config::TransportConfig;
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::LegPolicy;

use crate::app::{Do, End, In, Met};
use crate::nodes::{chain, relayed, relayed_by, transport};
use crate::search::Scenario;
use crate::world::World;

const TEXT: Do = Do::Open { on: 0, salt: 1, len: 1_500 };
const SETTLED: Do = Do::Until(Met::Settled(1));
const CLOSE: Do = Do::Close(0, 7);
/// What a sink hears whose source's connection is gone.
const BROKE_OFF: End = End::Reset(StreamCode::ConnectionLost.app().0);

fn finished(
    name: &'static str,
    sinks: &[&[Do]],
    agree: fn(&World) -> Result<(), String>,
) -> Scenario {
    let source = [TEXT, Do::Finish(1), SETTLED, CLOSE];
    Scenario::new(name, relayed(&transport(), &source, sinks), agree)
}

/// A source that goes without a word more.
pub(crate) fn source_lost(transport: &TransportConfig) -> Scenario {
    let source = [TEXT, Do::Abort(0, 7)];
    let agree = |world: &World| {
        // Its first packet may be lost, and then nobody there heard of it.
        if world.app(2).received(1).is_some() {
            world.check_end_of(2, 1, &[BROKE_OFF])?;
        }
        world.check_stories()
    };
    let start = relayed(transport, &source, &[&[]]);
    Scenario::new("pipes, source lost", start, agree)
}

#[test]
fn an_end_goes_through() {
    let agree = |world: &World| {
        world.check_whole(2, 1)?;
        world.check_stories()
    };
    finished("pipes, FIN", &[&[]], agree).holds(2);
}

#[test]
fn an_end_goes_through_to_two() {
    let agree = |world: &World| {
        world.check_whole(2, 1)?;
        world.check_whole(3, 1)?;
        world.check_stories()
    };
    finished("pipes, FIN to two", &[&[], &[]], agree).holds(1);
}

#[test]
fn one_of_two_may_stop() {
    let agree = |world: &World| {
        world.check_whole(2, 1)?;
        world.check_end_of(3, 1, &[End::Stopped, End::Finished])?;
        world.check_stories()
    };
    let stops = [Do::Until(Met::Came(1, 1)), Do::Stop(1, 6)];
    finished("pipes, one of two stops", &[&[], &stops], agree).holds(1);
}

#[test]
fn a_reset_goes_through() {
    let source = [TEXT, Do::Reset(1, 5), CLOSE];
    let agree = |world: &World| {
        if world.app(2).received(1).is_some() {
            world.check_end_of(2, 1, &[End::Reset(5)])?;
        }
        world.check_stories()
    };
    let start = relayed(&transport(), &source, &[&[]]);
    Scenario::new("pipes, RESET", start, agree).holds(2);
}

#[test]
fn a_stop_goes_through() {
    let sink = [Do::Until(Met::Came(1, 1)), Do::Stop(1, 6)];
    let agree = |world: &World| {
        world.check_settled(1)?;
        world.check_end_of(2, 1, &[End::Stopped])?;
        world.check_stories()
    };
    let start = relayed(&transport(), &[TEXT, SETTLED, CLOSE], &[&sink]);
    Scenario::new("pipes, STOP", start, agree).holds(2);
}

#[test]
fn a_lost_source_is_reported() {
    source_lost(&transport()).holds(2);
}

#[test]
fn a_lost_sink_is_reported() {
    let sink = [Do::Until(Met::Came(1, 1)), Do::Abort(0, 8)];
    let agree = |world: &World| {
        world.check_settled(1)?;
        world.check_stories()
    };
    let start = relayed(&transport(), &[TEXT, SETTLED, CLOSE], &[&sink]);
    Scenario::new("pipes, sink lost", start, agree).holds(2);
}

/// One of two falls behind, is given up, and gets the rest by another stream.
fn one_detached() -> Scenario {
    let short = Do::Open { on: 0, salt: 1, len: 600 };
    // Once the source has ended nobody is given up.
    let source = [short, Do::Rest(300), Do::Finish(1), SETTLED, CLOSE];
    let policy = LegPolicy::Detach { allowance: 100 };
    let start = relayed_by(policy, &transport(), &source, &[&[], &[]]);
    let agree = |world: &World| {
        for sink in [2, 3] {
            came_in_parts(world, sink)?;
        }
        world.check_settled(1)?;
        world.check_stories()
    };
    let rare = |world: &World| [2, 3].iter().any(|sink| rest(world, *sink).is_some_and(is_done));
    Scenario::new("pipes, one of two given up", start, agree).made_for(rare)
}

fn is_done(text: &In) -> bool {
    text.end == Some(End::Finished)
}

fn rest(world: &World, sink: usize) -> Option<&In> {
    world.app(sink).inn.iter().find(|text| text.again)
}

/// A text came whole, or its first part did, which says so, and then the rest, without a gap, unless
/// the relay was gone by then. Of a first stream whose OPEN was lost nothing is known where it is
/// given up.
fn came_in_parts(world: &World, sink: usize) -> Result<(), String> {
    let first = world.app(sink).inn.iter().find(|text| !text.again);
    let given_up = |text: &&In| text.end == Some(End::Reset(StreamCode::Detached.app().0));
    let fine = match (first, rest(world, sink)) {
        (Some(text), None) => is_done(text) || given_up(&text),
        (Some(text), Some(rest)) => given_up(&text) && is_done(rest) && rest.start <= text.read,
        (None, Some(rest)) => is_done(rest) && rest.start == 0,
        (None, None) => false,
    };
    let inn = &world.app(sink).inn;
    if fine { Ok(()) } else { Err(format!("at {sink}: {inn:?}")) }
}

/// spec: R-PIPE-9
#[test]
fn one_of_two_may_be_given_up() {
    one_detached().holds(1);
}

#[test]
fn an_end_goes_through_a_chain() {
    let agree = |world: &World| {
        world.check_whole(3, 1)?;
        world.check_stories()
    };
    let start = chain(&transport(), &[TEXT, Do::Finish(1), SETTLED, CLOSE], &[]);
    Scenario::new("chain, FIN", start, agree).holds(1);
}

#[test]
fn a_reset_goes_through_a_chain() {
    let agree = |world: &World| {
        if world.app(3).received(1).is_some() {
            world.check_end_of(3, 1, &[End::Reset(5)])?;
        }
        world.check_stories()
    };
    let start = chain(&transport(), &[TEXT, Do::Reset(1, 5), CLOSE], &[]);
    Scenario::new("chain, RESET", start, agree).holds(1);
}

#[test]
fn a_stop_goes_through_a_chain() {
    let sink = [Do::Until(Met::Came(1, 1)), Do::Stop(1, 6)];
    let agree = |world: &World| {
        world.check_settled(1)?;
        world.check_end_of(3, 1, &[End::Stopped, End::Finished])?;
        world.check_stories()
    };
    Scenario::new("chain, STOP", chain(&transport(), &[TEXT, SETTLED, CLOSE], &sink), agree)
        .holds(1);
}

#[test]
fn a_lost_source_is_reported_through_a_chain() {
    let agree = |world: &World| {
        if world.app(3).received(1).is_some() {
            world.check_end_of(3, 1, &[BROKE_OFF])?;
        }
        world.check_stories()
    };
    let start = chain(&transport(), &[TEXT, Do::Abort(0, 7)], &[]);
    Scenario::new("chain, source lost", start, agree).holds(1);
}
