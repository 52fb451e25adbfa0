//! What a peer makes us hold with a byte here and there, and word that nothing comes between.

use aqueduct_core::flow::{Budget, BudgetLimits, RecvCredit, RecvLimits, Window};
use aqueduct_core::stream::{Accepted, Chunk, RecvAccount, StreamConfig, Streams};
use aqueduct_core::wire::id::Side;
use aqueduct_tests::conduit::{Conduit, FROM};

use super::*;

const WINDOW: u64 = 1 << 20;
/// As much as a block of the receiver's covers.
const BLOCK: u64 = 16 * 1024;
const ROUNDS: u64 = 100_000;
/// As many bytes as somebody keeps: of a window's credit they take nothing to speak of.
const KEPT: u64 = 2_000;

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

/// Who reads a stream, keeps what he was given and has not released it.
struct Keeper {
    streams: Streams,
    credit: RecvCredit,
    budget: Budget,
    kept: Vec<Chunk>,
}

impl Keeper {
    fn new() -> Self {
        let mut budget = Budget::new(BudgetLimits::new(4 * WINDOW, 1).expect("a lawful budget"));
        let share = budget.open().expect("room for one");
        let credit = RecvCredit::new(share, Side::Responder, RecvLimits::default());
        let streams = Streams::new(Side::Responder, StreamConfig::default());
        let mut keeper = Self { streams, credit, budget, kept: Vec::new() };
        keeper.hear(&Frame::Open(OpenFrame::new(FROM, Protocol::Number(64))));
        let (streams, account) = keeper.account();
        streams.recv(FROM, account).expect("it came").set_window(Window::Fixed(WINDOW));
        keeper
    }

    fn account(&mut self) -> (&mut Streams, RecvAccount<'_>) {
        let now = Instant::from_nanos(1_000_000_000);
        let Self { streams, credit, budget, .. } = self;
        (streams, RecvAccount { credit, budget, now })
    }

    fn hear(&mut self, frame: &Frame<'_>) {
        let (streams, mut account) = self.account();
        let accepted = streams.on_frame(frame, &mut account).expect("a lawful frame");
        assert_eq!(accepted, Accepted::Yes);
    }

    fn limit(&self) -> u64 {
        self.streams.credits().map(|credit| credit.limit()).max().unwrap_or(0)
    }

    /// Takes what is there, in order or as it arrived, and passes what was skipped.
    fn read(&mut self, in_order: bool) {
        loop {
            let (streams, account) = self.account();
            let Some(mut stream) = streams.recv(FROM, account) else { return };
            let chunk = match in_order {
                true => stream.read_chunk(usize::MAX),
                false => stream.take_any(usize::MAX),
            };
            drop(stream);
            let Ok(Some(chunk)) = chunk else { return };
            self.kept.push(chunk);
        }
    }
}

/// Who keeps single bytes holds little more than them, when the rest of their blocks was skipped:
/// before they were read, or after.
///
/// spec: R-FLOW-3 R-STR-15 R-STR-24
#[test]
fn bytes_between_skips_that_are_kept_take_no_more_than_their_credit() {
    let _alone = ALONE.lock();
    for (in_order, between) in [(true, false), (true, true), (false, false), (false, true)] {
        let before = live();
        let mut keeper = Keeper::new();
        let (mut peak, mut rounds) = (0, 0);
        for at in (0..KEPT).map(|nth| nth * BLOCK) {
            assert!(at + BLOCK <= keeper.limit(), "{rounds} rounds: skips keep their credit");
            for frame in byte_and_skip(at) {
                keeper.hear(&frame);
                if between {
                    keeper.read(in_order);
                }
            }
            keeper.read(in_order);
            peak = peak.max(live() - before);
            rounds += 1;
        }
        println!("in order {in_order}, between {between}: {} KiB", peak >> 10);
        assert_eq!(keeper.kept.len(), KEPT as usize);
        let bound = WINDOW + C + S;
        assert!(peak as u64 <= bound, "in order {in_order}, between {between}: {peak} bytes");
    }
}
