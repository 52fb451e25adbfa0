use aqueduct_core::crypto::identity::NodeKey;

use super::*;

fn config(max_bytes: u64) -> RelayConfig {
    let mut config = RelayConfig::new(Allow::Everybody);
    (config.max_bytes, config.max_streams) = (Some(max_bytes), 2);
    config
}

fn granted(admitted: Result<Place, Refusal>) -> Place {
    match admitted {
        Ok(place) => place,
        Err(why) => panic!("{why}"),
    }
}

/// spec: R-ROUTE-5
#[test]
fn bytes_are_kept_for_what_flows_and_those_not_used_come_back() {
    let (ledger, config) = (Arc::new(Ledger::default()), config(1000));
    let node = |n| NodeKey::from_seed(&[n; 32]).id();
    let sized = granted(ledger.admit(node(1), Some(600), &config));
    assert_eq!(sized.limit(), Some(600));
    let over = Refusal::Bytes { limit: 1000 };
    assert_eq!(ledger.admit(node(1), Some(401), &config).err(), Some(over));
    let rest = granted(ledger.admit(node(1), None, &config));
    assert_eq!(rest.limit(), Some(400));
    let another = granted(ledger.admit(node(2), None, &config));
    assert_eq!(another.limit(), Some(1000));
    drop(rest);
    assert!(ledger.admit(node(1), Some(400), &config).is_ok(), "nothing of it was used");
    drop(sized);
    assert_eq!(
        ledger.admit(node(1), None, &config).ok().and_then(|place| place.limit()),
        Some(1000)
    );
    assert!(!lock(&ledger.state).streams.contains_key(&node(1)), "refusals leave no place taken");
}

/// spec: R-ROUTE-5
#[test]
fn a_stream_above_the_count_keeps_no_bytes() {
    let (ledger, config) = (Arc::new(Ledger::default()), config(1000));
    let node = NodeKey::from_seed(&[1; 32]).id();
    let _two = [10, 10].map(|size| granted(ledger.admit(node, Some(size), &config)));
    let many = ledger.admit(node, Some(10), &config).err();
    assert_eq!(many, Some(Refusal::Streams { limit: 2 }));
    assert_eq!(lock(&ledger.state).bytes[&node], 20);
}

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
