//! The rules of connection ids, one by one.

use std::collections::BTreeSet;
use std::vec::Vec;

use super::*;
use crate::crypto::provider::Provider;
use crate::rng::{Rng, Seed};

fn source() -> CidSource {
    let mut rng = Rng::new(&Seed::from_u64(1));
    CidSource {
        codec: CidCodec::new(&mut rng),
        reset: ResetKey::new(Provider::Rust, rng.bytes()),
        shard: 5,
        slot: 77,
        generation: 3,
    }
}

fn new_cid(sequence: u64) -> NewCidFrame {
    let cid = source().id(sequence.to_le_bytes()[0]);
    NewCidFrame { sequence, cid, reset_token: source().reset_token(&cid) }
}

fn remote() -> RemoteCids {
    let first = new_cid(0);
    RemoteCids::new(first.cid, first.reset_token, PathId(0))
}

fn code(result: Result<(), Violation>) -> TransportCode {
    result.expect_err("a violation").code
}

fn sequences(local: &LocalCids) -> Vec<u64> {
    local.active.iter().map(|active| active.sequence).collect()
}

/// spec: R-EP-3
#[test]
fn ids_differ_and_come_back_only_after_252_others() {
    let source = source();
    let ids: BTreeSet<_> = (0..=255).map(|index| source.id(index)).collect();
    assert_eq!(ids.len(), 256);
    // Whatever the peer retires, in whatever order, and if it keeps one for ever: those that are
    // active are all different, and none was given out shortly before.
    let mut rng = Rng::new(&Seed::from_u64(2));
    for kept in [None, Some(0), Some(3)] {
        let mut local = LocalCids::new(source.clone());
        local.on_peer_limit(8);
        let mut given: Vec<u8> = local.active.iter().map(|active| active.index).collect();
        for _ in 0..2_000 {
            let live: BTreeSet<_> = local.active.iter().map(|active| active.index).collect();
            assert_eq!(live.len() as u64, ACTIVE);
            let retired = sequences(&local)[rng.below(ACTIVE) as usize];
            if kept == Some(retired) {
                continue;
            }
            local.on_retire(retired).expect("an id that was given out");
            assert!(!sequences(&local).contains(&retired));
            let new = local.active.last().expect("a new id").index;
            let recent = given.iter().rev().take(252);
            assert!(recent.into_iter().all(|index| *index != new), "{new} came back early");
            given.push(new);
        }
    }
}

/// spec: R-EP-4, R-EP-6
#[test]
fn the_peer_is_given_four_ids_and_a_new_one_for_each_that_it_retires() {
    let mut local = LocalCids::new(source());
    assert_eq!(local.active.len(), 1);
    local.on_peer_limit(2);
    assert_eq!(local.active.len(), 2, "no more than the peer takes");
    local.on_peer_limit(8);
    assert_eq!(local.active.len() as u64, ACTIVE, "and no more than four");
    assert_eq!(local.unsent.as_slice(), [1, 2, 3]);
    assert!((0..4).all(|index| local.accepts(index)) && !local.accepts(4));
    local.on_retire(1).expect("an id that was given out");
    local.on_retire(1).expect("twice is no offence");
    assert!(!local.accepts(1) && local.accepts(4));
    assert_eq!(sequences(&local), [0, 2, 3, 4]);
    assert_eq!(code(local.on_retire(5)), TransportCode::ConnectionIdLimit);
    local.on_lost(1);
    assert_eq!(local.unsent.as_slice(), [2, 3, 4], "what is retired is not said again");
    local.unsent.clear();
    local.on_lost(4);
    assert_eq!(local.unsent.as_slice(), [4]);
}

/// spec: R-EP-4
#[test]
fn more_ids_than_the_limit_or_contradictions_are_violations() {
    let mut ids = remote();
    for sequence in [2, 1, 3, 2] {
        ids.on_new(&new_cid(sequence)).expect("within the limit, or known");
    }
    assert_eq!(code(ids.on_new(&new_cid(4))), TransportCode::ConnectionIdLimit);
    assert_eq!(code(ids.on_new(&new_cid(1 << 40))), TransportCode::ConnectionIdLimit);
    let other = NewCidFrame { sequence: 1, ..new_cid(9) };
    assert_eq!(code(remote_with(1).on_new(&other)), TransportCode::ConnectionIdLimit);
    let token = NewCidFrame { reset_token: [9; 16], ..new_cid(1) };
    assert_eq!(code(remote_with(1).on_new(&token)), TransportCode::ConnectionIdLimit);
    let twice = NewCidFrame { sequence: 2, ..new_cid(1) };
    assert_eq!(code(remote_with(1).on_new(&twice)), TransportCode::ConnectionIdLimit);
}

fn remote_with(sequence: u64) -> RemoteCids {
    let mut ids = remote();
    ids.on_new(&new_cid(sequence)).expect("within the limit");
    ids
}

/// spec: R-EP-4, R-EP-5
#[test]
fn each_path_has_an_id_of_its_own_and_a_path_without_one_is_not_used() {
    let mut ids = remote();
    assert_eq!(ids.of_path(PathId(0)), Some(new_cid(0).cid));
    assert_eq!(ids.of_path(PathId(1)), None);
    for sequence in 1..4 {
        ids.on_new(&new_cid(sequence)).expect("within the limit");
    }
    let used: BTreeSet<_> = (0..4).filter_map(|path| ids.of_path(PathId(path))).collect();
    assert_eq!(used.len(), 4);
    assert_eq!(ids.of_path(PathId(4)), None);
    // A path that is gone takes its id with it; the next path waits for a new one.
    ids.on_path_gone(PathId(2));
    assert_eq!(ids.untold.as_slice(), [2]);
    assert_eq!(ids.of_path(PathId(4)), None);
    ids.on_new(&new_cid(2)).expect("late and known to be retired");
    assert_eq!(ids.of_path(PathId(4)), None);
    ids.on_new(&new_cid(4)).expect("in place of the one that was retired");
    let fresh = ids.of_path(PathId(4)).expect("an id");
    assert!(!used.contains(&fresh));
}
