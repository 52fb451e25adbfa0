use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use aqueduct_core::crypto::identity::NodeKey;
use futures_util::future::FutureExt;

use super::*;

fn id(kind: u8, number: u8) -> NodeId {
    let mut seed = [kind; 32];
    seed[0] = number;
    NodeKey::from_seed(&seed).id()
}

/// Somebody whose streams are relayed.
fn guest(number: u8) -> NodeId {
    id(1, number)
}

fn node(number: u8) -> There {
    (id(2, number), vec![([192, 0, 2, number], 7).into()])
}

/// What it comes to without waiting.
fn now<'a>(dials: &'a Dials, guest: NodeId, node: There) -> Option<Option<Dial<'a>>> {
    dials.begin(guest, &node).now_or_never()
}

fn poll<T>(waiting: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    waiting.poll(&mut Context::from_waker(Waker::noop()))
}

/// spec: R-ROUTE-6
#[test]
fn so_many_nodes_are_dialled_and_what_is_above_waits() {
    let dials = Dials::default();
    let mut all: Vec<_> =
        (0..64).map(|n| now(&dials, guest(n / 16), node(n)).unwrap().unwrap()).collect();
    assert!(now(&dials, guest(9), node(99)).is_none(), "no room");
    assert!(now(&dials, guest(9), node(0)).unwrap().is_none(), "dialled already");
    let there = node(99);
    let mut late = pin!(dials.begin(guest(9), &there));
    assert!(poll(late.as_mut()).is_pending());
    all.pop();
    assert!(matches!(poll(late.as_mut()), Poll::Ready(Some(_))));
}

/// spec: R-ROUTE-6
#[test]
fn one_guest_does_not_take_the_places_of_the_others() {
    let dials = Dials::default();
    let mut hogs: Vec<_> =
        (0..16).map(|n| now(&dials, guest(0), node(n)).unwrap().unwrap()).collect();
    let there = node(16);
    let mut more = pin!(dials.begin(guest(0), &there));
    assert!(poll(more.as_mut()).is_pending());
    let honest = now(&dials, guest(1), node(17)).unwrap();
    assert!(honest.is_some());
    hogs.pop();
    assert!(matches!(poll(more.as_mut()), Poll::Ready(Some(_))));
}

/// Whoever asked first: a place goes to whom the fewest are dialled for.
///
/// spec: R-ROUTE-6
#[test]
fn a_place_goes_to_whom_the_fewest_are_dialled_for() {
    let dials = Dials::default();
    let mut all: Vec<_> =
        (0..64).map(|n| now(&dials, guest(n % 5), node(n)).unwrap().unwrap()).collect();
    // Of guest 4 there are 12, of the others 13.
    let (one, other) = (node(99), node(98));
    let mut hog = pin!(dials.begin(guest(0), &one));
    assert!(poll(hog.as_mut()).is_pending());
    {
        let mut honest = pin!(dials.begin(guest(6), &other));
        assert!(poll(honest.as_mut()).is_pending());
        all.pop();
        assert!(poll(hog.as_mut()).is_pending(), "it is not his turn");
        all.push(match poll(honest.as_mut()) {
            Poll::Ready(Some(dial)) => dial,
            _ => panic!("no place for who has none"),
        });
        all.remove(0);
    }
    assert!(matches!(poll(hog.as_mut()), Poll::Ready(Some(_))), "nobody is before him");
    // Of those who are gone nothing is left.
    drop(all);
    assert!(lock(&dials.state).nodes.len() <= 1);
}

/// spec: R-ROUTE-6
#[test]
fn one_node_at_other_addresses_is_another() {
    let dials = Dials::default();
    let (known, elsewhere) = (node(1), (node(1).0, node(2).1));
    let first = now(&dials, guest(0), elsewhere).unwrap();
    let second = now(&dials, guest(1), known.clone()).unwrap();
    assert!(first.is_some() && second.is_some());
    assert!(now(&dials, guest(2), known).unwrap().is_none(), "dialled already");
}
