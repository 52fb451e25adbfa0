//! What a peer can make of the work that a store does.

use bytes::Bytes;

use super::Store;
use crate::stream::Chunk;

const PIECES: u64 = 10_000;

/// Which piece comes when.
type Order = fn(u64) -> u64;

/// Others that are looked at while pieces of two bytes come in an order, with a gap of one before
/// each that is filled in the same order, and while all are let go.
fn work(order: Order) -> usize {
    let mut store = Store::new(0);
    let mut looked = 0;
    for (skip, len) in [(1, 2), (0, 1)] {
        for number in 0..PIECES {
            let offset = order(number) * 3 + skip;
            let data = Bytes::from_static(b"xy").slice(..len);
            looked += store.insert(&Chunk { offset, data });
        }
    }
    assert_eq!((store.contiguous_end(), store.above_gap(0)), (PIECES * 3, 0));
    assert_eq!(store.pieces() as u64, 2 * PIECES);
    assert_eq!(store.free_below(PIECES * 3), PIECES * 3);
    looked
}

/// Each piece joins two ranges at the most and is passed once, whatever the order. Beside that a
/// piece costs a search.
///
/// spec: R-PIPE-20
#[test]
fn no_order_of_pieces_makes_the_work_more_than_linear() {
    let orders: [(&str, Order); 4] = [
        ("forwards", |number| number),
        ("in reverse", |number| PIECES - 1 - number),
        ("at random", |number| number * 7919 % PIECES),
        ("from both ends", |number| {
            if number.is_multiple_of(2) { number / 2 } else { PIECES - 1 - number / 2 }
        }),
    ];
    for (name, order) in orders {
        let looked = work(order);
        assert!(looked <= 3 * 2 * PIECES as usize, "{name}: {looked}");
    }
}

/// Ranges that it joins and pieces that the contiguous end passes, and both are added up.
#[test]
fn what_is_looked_at_for_a_piece_is_counted() {
    let mut store = Store::new(0);
    let orders = [(10, 0), (30, 0), (20, 2), (0, 1 + 4)];
    for (offset, looked) in orders {
        let data = Bytes::from_static(b"0123456789");
        assert_eq!(store.insert(&Chunk { offset, data }), looked, "{offset}");
    }
}

#[test]
fn what_is_let_go_above_a_gap_is_not_counted_there() {
    let mut store = Store::new(0);
    store.insert(&Chunk { offset: 10, data: Bytes::from_static(b"0123456789") });
    store.insert(&Chunk { offset: 30, data: Bytes::from_static(b"0123456789") });
    assert_eq!((store.above_gap(0), store.highest(), store.contiguous_end()), (20, 40, 0));
    assert_eq!(store.free_below(15), 5);
    assert_eq!((store.above_gap(0), store.bytes(), store.floor()), (15, 15, 15));
    assert_eq!(store.from(15, 100).map(|chunk| chunk.range()), Some(15..20));
    assert_eq!(store.from(20, 100), None);
    assert_eq!(store.free_below(40), 15);
    assert_eq!((store.above_gap(0), store.bytes(), store.pieces()), (0, 0, 0));
}

/// A leg that begins above a gap lets go of what lies below it, the gap with it. What fills the gap
/// later is nobody's: it goes with the next look, however far back somebody else still is.
///
/// spec: R-PIPE-5
#[test]
fn what_comes_below_the_floor_does_not_stay() {
    let chunk = |offset| Chunk { offset, data: Bytes::from_static(b"0123456789") };
    let mut store = Store::new(0);
    store.insert(&chunk(50));
    assert_eq!(store.free_below(45), 0);
    store.insert(&chunk(20));
    store.insert(&chunk(40));
    assert_eq!(store.bytes(), 30);
    assert_eq!(store.free_below(10), 15, "ten at 20, and half of those at 40");
    assert_eq!((store.floor(), store.bytes()), (45, 15));
}
