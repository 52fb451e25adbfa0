//! Credit: tiny windows, and what is asked back.

use aqueduct_core::config::TransportConfig;

use crate::app::{App, Do, End, Met};
use crate::nodes::{node, transport};
use crate::search::Scenario;
use crate::world::World;

/// The least memory that connections can have, and the credit of a stream with it: less than two
/// packets.
const FLOOR: u64 = 16 * 1024;

/// A text that takes a stream's first credit several times over.
pub(crate) fn tight(transport: &TransportConfig) -> Scenario {
    let script = [
        Do::Dial { to: 1, known: true },
        Do::Until(Met::Connected(0)),
        Do::Gate,
        Do::Open { on: 0, salt: 1, len: 5_000 },
        Do::Finish(1),
        Do::Until(Met::Settled(1)),
        Do::Close(0, 7),
    ];
    let reader = node(2, transport.clone()).with_memory(2 * FLOOR, 1).expect("two floors");
    let nodes =
        vec![(node(1, transport.clone()), App::new(&script)), (reader, App::new(&[Do::Gate]))];
    let agree = |world: &World| {
        world.check_whole(1, 1)?;
        world.check_stories()
    };
    Scenario::new("credit, tiny windows", World::new(nodes).begun(), agree)
        .made_for(|world| world.starved)
}

/// Senders at one reader that has not enough for all: what the first were lent and do not use any
/// more is asked back for the last.
fn recalled() -> Scenario {
    const IDLE: u8 = 3;
    let dial = [Do::Dial { to: 0, known: true }, Do::Until(Met::Connected(0))];
    let reader = node(1, transport()).with_memory(8 * FLOOR, 4).expect("floors");
    let mut waits = vec![Do::Gate, Do::Until(Met::Ended(9))];
    waits.extend((0..=IDLE).map(|on| Do::Abort(on.into(), 1)));
    let mut nodes = vec![(reader, App::new(&waits))];
    for salt in 1..=IDLE {
        let open = [Do::Open { on: 0, salt, len: 60_000 }, Do::Gate, Do::Until(Met::Closed(0))];
        nodes.push((node(1 + salt, transport()), App::new(&[&dial[..], &open].concat())));
    }
    let last = [Do::Gate, Do::Open { on: 0, salt: 9, len: 16_000 }, Do::Finish(9)];
    nodes.push((node(9, transport()), App::new(&[&dial[..], &last].concat())));
    let agree = |world: &World| world.check_end_of(0, 9, &[End::Finished]);
    Scenario::new("credit, asked back", World::new(nodes).begun(), agree)
        .made_for(|world| world.returned)
}

/// spec: R-FLOW-1, R-FLOW-2
#[test]
fn a_text_crosses_tiny_windows() {
    tight(&transport()).holds(2);
}

/// spec: R-FLOW-9
#[test]
fn what_is_not_used_is_asked_back() {
    recalled().holds(1);
}
