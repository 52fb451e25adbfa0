//! What a peer makes us hold with a byte here and there, and word that nothing comes between.

use aqueduct_tests::conduit::{Conduit, FROM};

use super::*;

const WINDOW: u64 = 1 << 20;
/// As much as a block of the receiver's covers.
const BLOCK: u64 = 16 * 1024;
const ROUNDS: u64 = 100_000;

/// A byte at `offset`, and nothing behind it up to the next.
fn byte_and_skip(offset: u64) -> [Frame<'static>; 2] {
    let byte = StreamFrame { id: FROM, offset, data: b"x", fin: false };
    [Frame::Stream(byte), Frame::Skip { id: FROM, range: offset + 1..offset + BLOCK }]
}

/// The most memory that these rounds took, as long as there is credit for them.
fn peak(stalls: bool, from: u64, mut round: impl FnMut(&mut Conduit, u64)) -> (u64, u64) {
    let before = live();
    let mut conduit = Conduit::new(WINDOW);
    if stalls {
        conduit.stall();
    }
    let (mut peak, mut rounds) = (0, 0);
    for offset in (0..ROUNDS).map(|nth| from + nth * BLOCK) {
        if offset + BLOCK > conduit.limit() {
            break;
        }
        round(&mut conduit, offset);
        peak = peak.max(live() - before);
        rounds += 1;
    }
    println!("{rounds} rounds: {} KiB", peak >> 10);
    (rounds, peak as u64)
}

/// A relay passes them on, and who gets them acknowledges or does not.
///
/// spec: R-FLOW-3 R-STR-15 R-STR-24 R-PIPE-6
#[test]
fn skips_through_a_relay_take_no_more_than_its_credit() {
    let _alone = ALONE.lock();
    for stalls in [false, true] {
        let (rounds, peak) = peak(stalls, 0, |conduit, at| {
            conduit.arrive(at, b"x", |_, _| {});
            conduit.skip(at + 1..at + BLOCK);
        });
        assert!(peak <= WINDOW + C + S, "{peak} bytes after {rounds} rounds");
        assert_eq!(rounds, if stalls { WINDOW / BLOCK } else { ROUNDS });
    }
}

/// The two come together, and what came last comes first.
///
/// spec: R-FLOW-3 R-STR-24
#[test]
fn skips_that_come_with_their_bytes_take_no_more_than_their_credit() {
    let _alone = ALONE.lock();
    for last_first in [false, true] {
        let (rounds, peak) = peak(false, 0, |conduit, at| {
            let mut frames = byte_and_skip(at);
            if last_first {
                frames.reverse();
            }
            frames.iter().for_each(|frame| conduit.wait_with(frame));
            conduit.turn(|_, _| {});
        });
        assert!(peak <= WINDOW + C + S, "{peak} bytes after {rounds} rounds");
        assert_eq!(rounds, ROUNDS);
    }
}

/// Nobody reads, with the first byte there and with all behind a gap.
///
/// spec: R-FLOW-3 R-STR-15 R-STR-26
#[test]
fn skips_that_nobody_passes_keep_their_credit() {
    let _alone = ALONE.lock();
    for from in [0, 1] {
        let (rounds, peak) = peak(false, from, |conduit, at| {
            byte_and_skip(at).iter().for_each(|frame| conduit.wait_with(frame));
        });
        assert!(peak <= WINDOW + C + S, "{peak} bytes after {rounds} rounds");
        assert_eq!(rounds, (WINDOW - from) / BLOCK);
    }
}
