//! How two nodes come to one connection.

use aqueduct_core::config::{RetryPolicy, TransportConfig};
use aqueduct_core::error::CloseReason;

use crate::app::{App, Do, End, Met};
use crate::nodes::{node, transport};
use crate::search::Scenario;
use crate::world::World;

/// The first dials, says something short and closes when that was heard.
pub(crate) fn dial(
    name: &'static str,
    transport: &TransportConfig,
    known: bool,
    retry: RetryPolicy,
) -> Scenario {
    let script = [
        Do::Dial { to: 1, known },
        Do::Until(Met::Connected(0)),
        Do::Open { on: 0, salt: 1, len: 20 },
        Do::Finish(1),
        Do::Until(Met::Settled(1)),
        Do::Close(0, 7),
    ];
    let answers = node(2, transport.clone()).with_retry(retry);
    let nodes = vec![(node(1, transport.clone()), App::new(&script)), (answers, App::new(&[]))];
    let agree = |world: &World| {
        one_connection(world)?;
        world.check_whole(1, 1)
    };
    Scenario::new(name, World::new(nodes), agree)
}

/// Both are connected, once, to each other.
fn one_connection(world: &World) -> Result<(), String> {
    for node in 0..2 {
        let links = &world.app(node).links;
        let connected = links.iter().filter(|link| link.connected).count();
        if connected != 1 {
            return Err(format!("node {node} has {connected} connections: {links:?}"));
        }
    }
    world.check_stories()
}

/// spec: R-EP-18, R-EP-21
#[test]
fn a_known_key_connects_once() {
    dial("handshake, known key", &transport(), true, RetryPolicy::Auto).holds(2);
}

/// spec: R-EP-21
#[test]
fn an_unknown_key_connects_once() {
    dial("handshake, unknown key", &transport(), false, RetryPolicy::Auto).holds(2);
}

/// spec: R-EP-14
#[test]
fn an_address_is_proven_first() {
    dial("handshake, retry", &transport(), true, RetryPolicy::Always).holds(2);
}

/// spec: R-EP-14, R-EP-21
#[test]
fn an_address_is_proven_first_to_a_stranger() {
    dial("handshake, unknown key, retry", &transport(), false, RetryPolicy::Always).holds(2);
}

/// spec: R-EP-19
#[test]
fn two_that_dial_at_once_get_one_connection() {
    let script = |to: usize, salt: u8| {
        [
            Do::Dial { to, known: true },
            Do::Until(Met::Connected(0)),
            Do::Open { on: 0, salt, len: 20 },
            Do::Finish(salt),
            Do::Until(Met::Settled(salt)),
            Do::Until(Met::Ended(3 - salt)),
            Do::Close(0, salt.into()),
        ]
    };
    let node = |number| node(number, transport());
    let nodes = vec![(node(1), App::new(&script(1, 1))), (node(2), App::new(&script(0, 2)))];
    let agree = |world: &World| {
        one_connection(world)?;
        // Whoever closes first may take its acknowledgements along.
        world.check_end_of(1, 1, &[End::Finished])?;
        world.check_end_of(0, 2, &[End::Finished])
    };
    let rare = |world: &World| [0, 1].iter().all(|node| !world.app(*node).was_dialled());
    let start = World::new(nodes);
    Scenario::new("handshake, both at once", start, agree).made_for(rare).holds(1);
}

/// Who gives up while it dials is forgotten, whoever heard of it.
#[test]
fn an_attempt_may_be_given_up() {
    let script = [Do::Dial { to: 1, known: true }, Do::Abort(0, 7)];
    let nodes =
        vec![(node(1, transport()), App::new(&script)), (node(2, transport()), App::new(&[]))];
    let start = World::new(nodes);
    Scenario::new("handshake, given up", start, World::check_stories).holds(2);
}

#[test]
fn a_refusal_is_heard() {
    for known in [true, false] {
        let script = [Do::Dial { to: 1, known }, Do::Until(Met::Closed(0))];
        let nodes = [App::new(&script), App::refusing()];
        let nodes = (1..).zip(nodes).map(|(number, app)| (node(number, transport()), app));
        let agree = |world: &World| {
            let heard = world.app(0).links.first().map(|link| &link.closed);
            match heard {
                Some(Some(CloseReason::Refused(_))) => Ok(()),
                _ => Err(format!("{heard:?}")),
            }
        };
        Scenario::new("handshake, refused", World::new(nodes.collect()), agree).holds(2);
    }
}
