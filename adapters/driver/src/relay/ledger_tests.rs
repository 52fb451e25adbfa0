use aqueduct_core::crypto::identity::NodeKey;

use super::*;

/// spec: R-ROUTE-6
#[test]
fn so_many_nodes_are_dialled_and_no_more() {
    let ledger = Ledger::default();
    let node = |n| NodeKey::from_seed(&[n; 32]).id();
    let all: Vec<_> = (0..64).map(|n| ledger.dialling(node(n)).flatten()).collect();
    assert!(all.iter().all(Option::is_some));
    assert!(ledger.dialling(node(64)).is_none(), "no room");
    assert!(ledger.dialling(node(0)).is_some_and(|again| again.is_none()), "dialled already");
    drop(all);
    assert!(ledger.dialling(node(64)).flatten().is_some());
}
