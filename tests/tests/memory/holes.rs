//! What a pipe holds for a source that fills its body from behind.

use aqueduct_tests::conduit::Conduit;
use aqueduct_tests::fragments::{FRAGMENT, Order};

use super::*;

/// The most memory that a pipe took for these pieces of a body, in this order.
fn peak(window: u64, pieces: impl Iterator<Item = (u64, usize)>) -> i64 {
    let data = [7; FRAGMENT];
    let before = live();
    let (mut conduit, mut peak) = (Conduit::new(window), 0);
    for (offset, len) in pieces {
        conduit.arrive(offset, &data[..len], |_, _| {});
        peak = peak.max(live() - before);
    }
    peak
}

/// However a body comes, a relay holds no more than the credit that it gave.
///
/// spec: R-FLOW-3 R-STR-24 R-PIPE-1
#[test]
fn what_comes_in_whatever_order_takes_no_more_than_its_credit() {
    let _alone = ALONE.lock();
    const WINDOW: u64 = 16 << 20;
    let body = Bytes::from(vec![7; 10 << 20]);
    for order in Order::ALL {
        let fragments = order.cut(&body).into_iter();
        let pieces = fragments.map(|(at, data)| ((at * FRAGMENT) as u64, data.len()));
        let peak = peak(WINDOW, pieces.collect::<Vec<_>>().into_iter());
        println!("{}: {} KiB for 10 MiB", order.name(), peak >> 10);
        assert!(peak as u64 <= WINDOW + C + S, "{}: {peak} bytes", order.name());
    }
}

/// Single bytes in a row, the last one first, alone and with others between them still missing.
///
/// spec: R-FLOW-3 R-STR-24 R-PIPE-20
#[test]
fn slivers_from_behind_take_no_more_than_their_credit() {
    let _alone = ALONE.lock();
    const WINDOW: u64 = 1 << 20;
    for (step, count) in [(1, 9_000), (2, 900), (100, 900)] {
        let peak = peak(WINDOW, (1..=count).map(|nth| (WINDOW - nth * step, 1)));
        println!("each {step}: {} KiB for {count} single bytes", peak >> 10);
        assert!(peak as u64 <= WINDOW + C + S, "each {step}: {peak} bytes");
    }
}
