//! Every kind of mischief beside honest transfers: those finish, and nobody's memory grows for it. In
//! `aqueduct_tests::swarm` a world is judged by that.

use std::collections::BTreeMap;
use std::time::Duration;

use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::HostId;
use aqueduct_tests::rogue::Mischief;
use aqueduct_tests::swarm::plan::RoguePlan;
use aqueduct_tests::swarm::{Plan, Summary, World};

/// A world of two hosts with a rogue before each: one dials, and one is dialled.
fn beside(kind: Mischief, seed: u64, link: LinkConfig) -> Summary {
    let mut plan = Plan::draw(seed);
    let dialer = plan.edges[0].dialer;
    plan.nodes[dialer.0].nat = None;
    plan.quiet_at = plan.quiet_at.min(Duration::from_secs(8));
    let every = Duration::from_millis(20);
    let rogue = |host, answers| RoguePlan { kind, victim: HostId(host), answers, every, link };
    plan.rogues = vec![rogue(dialer.0, true), rogue(plan.edges[0].acceptor.0, false)];
    World::new(plan).play()
}

#[test]
fn honest_transfers_finish_beside_every_kind_of_mischief() {
    let mut caught = BTreeMap::new();
    for (number, kind) in (0..).zip(Mischief::ALL) {
        let summary = beside(kind, 1_000 + number, LinkConfig::default());
        println!("{kind:?}: {} connections, ended for {:?}", summary.rogues, summary.caught);
        assert!(kind == Mischief::Params || summary.rogues > 0, "{kind:?} never got in");
        assert!(kind != Mischief::Smuggles || summary.pipes > 0, "nothing of it went on");
        caught.insert(kind, summary.caught);
    }
    // What is against the rules at any time is ended for it.
    let plain = [
        Mischief::AcksUnsent,
        Mischief::AcksBlindly,
        Mischief::Doors,
        Mischief::Keys,
        Mischief::Empties,
        Mischief::Windows,
        Mischief::Babble,
    ];
    for kind in plain {
        assert!(!caught[&kind].is_empty(), "{kind:?} was not noticed: {caught:?}");
    }
}

/// What rogues say goes over their own links.
#[test]
fn rogues_behind_links_that_carry_nothing_never_get_in() {
    let dead = LinkConfig { loss: 1_000, ..LinkConfig::default() };
    assert_eq!(beside(Mischief::Babble, 1_000, dead).rogues, 0);
}
