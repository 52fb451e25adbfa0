use aqueduct_core::crypto::identity::NodeKey;

use super::super::Allow;
use super::*;

fn node(number: u64) -> NodeId {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    NodeKey::from_seed(&seed).id()
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn accounts(rate: Option<u64>, max_bytes: Option<u64>, most: usize) -> Arc<Accounts> {
    let mut config = RelayConfig::new(Allow::Everybody);
    (config.rate, config.max_bytes, config.max_streams) = (rate, max_bytes, 2);
    Arc::new(Accounts { config: Arc::new(config), most, state: Mutex::default() })
}

fn granted(place: Result<Place, Refusal>) -> Place {
    place.unwrap_or_else(|why| panic!("{why}"))
}

fn remembered(accounts: &Accounts) -> usize {
    lock(&accounts.state).of.len()
}

/// Bytes of a stream that its pipe has told of.
fn moved(place: &Place, bytes: u64) {
    place.accounts.update(place.peer, |account| account.moved += bytes);
}

/// What is set aside for a stream by the rate at once, if it is there.
fn pay(place: &Place, bytes: u64, now: Instant) -> u64 {
    let rate = place.accounts.config.rate.unwrap();
    let paid = |account: &mut Account| account.pay(place.number, bytes, rate, now);
    place.accounts.update(place.peer, paid).unwrap()
}

fn level(accounts: &Accounts, peer: NodeId, now: Instant) -> Option<i128> {
    let rate = accounts.config.rate.unwrap();
    accounts.update(peer, |account| {
        account.fill(rate, now);
        account.level()
    })
}

/// spec: R-ROUTE-5
#[test]
fn bytes_are_kept_for_what_flows_and_those_not_used_come_back() {
    let accounts = accounts(None, Some(1000), 100);
    let place = |n, size| accounts.place(node(n), size, at(0));
    let sized = granted(place(1, Some(600)));
    assert_eq!(sized.limit(), Some(600));
    assert_eq!(place(1, Some(401)).err(), Some(Refusal::Bytes { limit: 1000 }));
    let rest = granted(place(1, None));
    assert_eq!(rest.limit(), Some(400));
    let another = granted(place(2, None));
    assert_eq!(another.limit(), Some(1000));
    drop(rest);
    assert!(place(1, Some(400)).is_ok(), "nothing of it was used");
    drop(sized);
    assert_eq!(place(1, None).ok().and_then(|place| place.limit()), Some(1000));
    drop(another);
    assert_eq!(remembered(&accounts), 0, "who moved nothing is not remembered");
}

/// spec: R-ROUTE-5
#[test]
fn a_stream_above_the_count_keeps_no_bytes() {
    let accounts = accounts(None, Some(1000), 100);
    let _two = [10, 10].map(|size| granted(accounts.place(node(1), Some(size), at(0))));
    let many = accounts.place(node(1), Some(10), at(0)).err();
    assert_eq!(many, Some(Refusal::Streams { limit: 2 }));
    assert_eq!(accounts.update(node(1), |account| account.set_aside()), Some(20));
}

/// spec: R-ROUTE-15
#[test]
fn so_many_peers_are_remembered_and_strangers_are_refused() {
    let accounts = accounts(None, Some(1000), 2);
    let place = |n| accounts.place(node(n), Some(10), at(0));
    moved(&granted(place(1)), 10);
    moved(&granted(place(2)), 10);
    assert_eq!(place(3).err(), Some(Refusal::Peers { limit: 2 }));
    granted(place(1));
}

/// spec: R-ROUTE-15
#[test]
fn who_has_his_rate_back_gives_way() {
    let accounts = accounts(Some(100_000), None, 2);
    for (peer, bytes) in [(1, 10_000), (2, 50_000)] {
        let place = granted(accounts.place(node(peer), None, at(0)));
        assert_eq!(pay(&place, bytes, at(0)), 0);
        // All of it was used.
        accounts.update(node(peer), |account| account.use_up());
    }
    let place = |n, now| accounts.place(node(n), None, at(now));
    assert_eq!(place(3, 99).err(), Some(Refusal::Peers { limit: 2 }));
    let third = granted(place(3, 100));
    assert_eq!(place(4, 499).err(), Some(Refusal::Peers { limit: 2 }));
    // Who does something meanwhile is none of those who fade.
    let second = granted(place(2, 499));
    assert_eq!(place(4, 10_000).err(), Some(Refusal::Peers { limit: 2 }));
    drop((second, third));
    let _fourth = granted(place(4, 10_000));
    let state = lock(&accounts.state);
    assert!(state.of.len() <= 2 && state.fading.len() <= 1);
}

/// spec: R-ROUTE-14
#[test]
fn a_rate_saves_up_what_it_yields_in_a_second_and_a_debt_is_paid() {
    let (accounts, peer) = (accounts(Some(100_000), None, 100), node(1));
    let place = granted(accounts.place(peer, None, at(0)));
    let level = |now| level(&accounts, peer, at(now));
    assert_eq!(level(60_000), Some(100_000), "no more than a burst");
    accounts.update(peer, |account| account.owe(250_000));
    assert_eq!(level(60_500), Some(-100_000));
    // It is remembered while there is a debt.
    drop(place);
    assert_eq!(level(61_500), Some(0));
    let again = granted(accounts.place(peer, None, at(62_500)));
    assert_eq!(level(62_500), Some(100_000));
    drop(again);
    assert_eq!(level(62_500), None, "nothing is left to remember");
}

/// spec: R-ROUTE-14
#[test]
fn what_was_paid_for_nothing_is_given_back() {
    let (accounts, peer) = (accounts(Some(100_000), None, 100), node(1));
    let first = granted(accounts.place(peer, None, at(0)));
    let second = granted(accounts.place(peer, None, at(0)));
    assert_eq!(pay(&first, 70_000, at(0)), 0);
    assert_eq!(pay(&second, 70_000, at(0)), 40_000);
    // Its next hops were out of reach.
    drop(first);
    assert_eq!(pay(&second, 70_000, at(0)), 0);
    assert_eq!(level(&accounts, peer, at(0)), Some(30_000));
    drop(second);
    assert_eq!(remembered(&accounts), 0);
}
