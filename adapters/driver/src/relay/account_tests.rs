use aqueduct_core::crypto::identity::NodeKey;

use super::*;

fn config(max_bytes: u64) -> Arc<RelayConfig> {
    let mut config = RelayConfig::new(Allow::Everybody);
    (config.max_bytes, config.max_streams) = (Some(max_bytes), 2);
    Arc::new(config)
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
    let (accounts, config) = (Arc::<Accounts>::default(), config(1000));
    let node = |n| NodeKey::from_seed(&[n; 32]).id();
    let sized = granted(accounts.admit(node(1), Some(600), &config, Instant::ZERO));
    assert_eq!(sized.limit(), Some(600));
    let over = Refusal::Bytes { limit: 1000 };
    assert_eq!(accounts.admit(node(1), Some(401), &config, Instant::ZERO).err(), Some(over));
    let rest = granted(accounts.admit(node(1), None, &config, Instant::ZERO));
    assert_eq!(rest.limit(), Some(400));
    let another = granted(accounts.admit(node(2), None, &config, Instant::ZERO));
    assert_eq!(another.limit(), Some(1000));
    drop(rest);
    assert!(
        accounts.admit(node(1), Some(400), &config, Instant::ZERO).is_ok(),
        "nothing of it was used"
    );
    drop(sized);
    assert_eq!(
        accounts.admit(node(1), None, &config, Instant::ZERO).ok().and_then(|place| place.limit()),
        Some(1000)
    );
    drop(another);
    assert!(lock(&accounts.state).of.is_empty(), "who moved nothing is not remembered");
}

/// spec: R-ROUTE-5
#[test]
fn a_stream_above_the_count_keeps_no_bytes() {
    let (accounts, config) = (Arc::<Accounts>::default(), config(1000));
    let node = NodeKey::from_seed(&[1; 32]).id();
    let _two =
        [10, 10].map(|size| granted(accounts.admit(node, Some(size), &config, Instant::ZERO)));
    let many = accounts.admit(node, Some(10), &config, Instant::ZERO).err();
    assert_eq!(many, Some(Refusal::Streams { limit: 2 }));
    assert_eq!(lock(&accounts.state).of[&node].kept(), 20);
}

/// spec: R-ROUTE-15
#[test]
fn so_many_peers_are_remembered_and_strangers_are_refused() {
    let accounts = Arc::new(Accounts { most: 2, ..Accounts::default() });
    let config = config(1000);
    let node = |n| NodeKey::from_seed(&[n; 32]).id();
    let place = |n| accounts.place(node(n), Some(10), &config, Instant::ZERO);
    granted(place(1)).moved(10, 0);
    granted(place(2)).moved(10, 0);
    assert_eq!(place(3).err(), Some(Refusal::Peers { limit: 2 }));
    granted(place(1));
    // Who moved nothing gives way.
    let unlimited = Arc::new(RelayConfig::new(Allow::Everybody));
    granted(accounts.place(node(3), None, &unlimited, Instant::ZERO));
}

/// spec: R-ROUTE-14
#[test]
fn a_rate_saves_up_what_it_yields_in_a_second_and_a_debt_is_paid() {
    let accounts = Arc::<Accounts>::default();
    let mut config = RelayConfig::new(Allow::Everybody);
    config.rate = Some(100_000);
    let (config, node) = (Arc::new(config), NodeKey::from_seed(&[1; 32]).id());
    let at = |millis| Instant::ZERO + Duration::from_millis(millis);
    let level = |now| {
        accounts.update(node, |account| {
            account.fill(100_000, now);
            account.level
        })
    };
    let place = granted(accounts.place(node, None, &config, at(0)));
    assert_eq!(level(at(60_000)), Some(100_000), "no more than a burst");
    place.moved(250_000, 0);
    assert_eq!(level(at(60_500)), Some(-100_000));
    // It is remembered while there is a debt.
    drop(place);
    assert_eq!(level(at(61_500)), Some(0));
    let again = granted(accounts.place(node, None, &config, at(62_500)));
    assert_eq!(level(at(62_500)), Some(100_000));
    drop(again);
    assert_eq!(level(at(62_500)), None, "nothing is left to remember");
}
