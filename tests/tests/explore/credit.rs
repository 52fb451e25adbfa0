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
}

/// Two senders at one reader that has not enough for both: what the first does not use is asked
/// back for the second.
fn recalled() -> Scenario {
    let script = |salt: u8, first: Option<u8>| {
        let mut script = vec![
            Do::Dial { to: 1, known: true },
            Do::Until(Met::Connected(0)),
            Do::Open { on: 0, salt, len: 9_000 },
            Do::Gate,
        ];
        script.extend(first.map(|first| Do::Until(Met::Came(first, 1))));
        script.extend([
            Do::Write { salt, len: 4_000 },
            Do::Finish(salt),
            Do::Until(Met::Settled(salt)),
            Do::Close(0, salt.into()),
        ]);
        script
    };
    let reader = node(2, transport()).with_memory(4 * FLOOR, 2).expect("floors");
    let nodes = vec![
        (node(1, transport()), App::new(&script(1, None))),
        (reader, App::new(&[Do::Gate])),
        (node(3, transport()), App::new(&script(2, None))),
    ];
    let agree = |world: &World| {
        world.check_end_of(1, 1, &[End::Finished])?;
        world.check_end_of(1, 2, &[End::Finished])?;
        world.check_stories()
    };
    Scenario::new("credit, two at one budget", World::new(nodes).begun(), agree)
}

/// spec: R-FLOW-1, R-FLOW-2
#[test]
fn a_text_crosses_tiny_windows() {
    tight(&transport()).holds(2);
}

/// spec: R-FLOW-9
#[test]
fn two_share_what_is_not_enough() {
    recalled().holds(1);
}
