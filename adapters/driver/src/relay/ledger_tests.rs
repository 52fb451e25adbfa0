use aqueduct_core::crypto::identity::NodeKey;

use super::*;

fn config(max_bytes: u64) -> RelayConfig {
    let mut config = RelayConfig::new(Allow::Everybody);
    (config.max_bytes, config.max_streams) = (Some(max_bytes), 2);
    config
}

/// spec: R-ROUTE-5
#[test]
fn bytes_are_kept_for_what_flows_and_those_not_used_come_back() {
    let (ledger, config) = (Arc::new(Ledger::default()), config(1000));
    let node = |n| NodeKey::from_seed(&[n; 32]).id();
    let sized = ledger.admit(node(1), Some(600), &config).ok().expect("there is room");
    assert_eq!(sized.limit(), Some(600));
    let over = Refusal::Bytes { limit: 1000 };
    assert_eq!(ledger.admit(node(1), Some(401), &config).err(), Some(over));
    let rest = ledger.admit(node(1), None, &config).ok().expect("400 are left");
    assert_eq!(rest.limit(), Some(400));
    let another = ledger.admit(node(2), None, &config).ok().expect("it is somebody else");
    assert_eq!(another.limit(), Some(1000));
    drop(rest);
    assert!(ledger.admit(node(1), Some(400), &config).is_ok(), "nothing of it was used");
    drop(sized);
    assert_eq!(
        ledger.admit(node(1), None, &config).ok().and_then(|place| place.limit()),
        Some(1000)
    );
    assert!(lock(&ledger.state).streams.get(&node(1)).is_none(), "refusals leave no place taken");
}

/// spec: R-ROUTE-5
#[test]
fn a_stream_above_the_count_keeps_no_bytes() {
    let (ledger, config) = (Arc::new(Ledger::default()), config(1000));
    let node = NodeKey::from_seed(&[1; 32]).id();
    let _two = [10, 10].map(|size| ledger.admit(node, Some(size), &config).ok().expect("room"));
    let many = ledger.admit(node, Some(10), &config).err();
    assert_eq!(many, Some(Refusal::Streams { limit: 2 }));
    assert_eq!(lock(&ledger.state).bytes[&node], 20);
}
