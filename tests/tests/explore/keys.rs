//! Key updates, at one end and at both.

use aqueduct_core::config::TransportConfig;
use aqueduct_core::crypto::limits::KeyLimits;

use crate::app::{Do, End, Met};
use crate::nodes::{pair, transport};
use crate::search::Scenario;
use crate::world::World;

/// An update as often as the rules allow it.
fn restless(transport: TransportConfig) -> TransportConfig {
    let limits = KeyLimits::default().with_soft_packets(1).expect("a limit");
    transport.with_key_limits(limits)
}

/// Question and answer, a few times, under keys that last for few packets.
pub(crate) fn talk(name: &'static str, transport: TransportConfig, rounds: u64) -> Scenario {
    const LINE: u64 = 20;
    let (mut one, mut other) = (Vec::new(), Vec::new());
    one.push(Do::Open { on: 0, salt: 1, len: LINE });
    other.extend([Do::Until(Met::Came(1, LINE)), Do::Open { on: 0, salt: 2, len: LINE }]);
    for round in 1..rounds {
        one.extend([Do::Until(Met::Came(2, round * LINE)), Do::Write { salt: 1, len: LINE }]);
        let heard = Met::Came(1, (round + 1) * LINE);
        other.extend([Do::Until(heard), Do::Write { salt: 2, len: LINE }]);
    }
    one.extend([Do::Finish(1), Do::Until(Met::Settled(1)), Do::Until(Met::Ended(2))]);
    one.push(Do::Close(0, 7));
    other.push(Do::Finish(2));
    let agree = |world: &World| {
        world.check_whole(1, 1)?;
        world.check_end_of(0, 2, &[End::Finished])?;
        world.check_stories()
    };
    // It is of key updates that this tells.
    let rare = |world: &World| world.updates(0).0 > 0 && world.updates(1).1 > 0;
    Scenario::new(name, pair(&restless(transport), [&one, &other]), agree).made_for(rare)
}

/// Both write at once, so that both update at once.
fn at_once() -> Scenario {
    let script = |salt: u8| {
        [
            Do::Open { on: 0, salt, len: 2_500 },
            Do::Finish(salt),
            Do::Until(Met::Settled(salt)),
            Do::Until(Met::Ended(3 - salt)),
            Do::Close(0, salt.into()),
        ]
    };
    let agree = |world: &World| {
        world.check_stories()?;
        world.check_end_of(1, 1, &[End::Finished])?;
        world.check_end_of(0, 2, &[End::Finished])
    };
    let start = pair(&restless(transport()), [&script(1), &script(2)]);
    let rare = |world: &World| world.updates(0).0 > 0 && world.updates(1).0 > 0;
    Scenario::new("keys, both at once", start, agree).made_for(rare)
}

/// spec: R-KEY-10, R-KEY-11
#[test]
fn keys_change_while_two_talk() {
    talk("keys, a short talk", transport(), 3).holds(2);
    talk("keys, a long talk", transport(), 12).holds(1);
}

#[test]
fn both_may_change_keys_at_once() {
    at_once().holds(2);
}
