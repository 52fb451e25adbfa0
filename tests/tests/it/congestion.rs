//! What controllers do on paths, in little: the whole tables are made by the bench `congestion`.

use aqueduct_core::congestion::Algorithm;
use aqueduct_tests::scenario::congestion::{Cell, Crowd, RATE, jain, total};
use aqueduct_tests::scenario::turns;

const WEIR: Algorithm = Algorithm::Weir;

fn cell(rtt_ms: u64, loss: u32, queue: u64, size: u64) -> Cell {
    Cell { rtt: rtt_ms * 1_000, loss, rate: RATE, queue, size }
}

/// spec: R-CC-33
#[test]
fn loss_alone_does_not_slow_weir_down() {
    for (loss, least) in [(0, 0.90), (1_000, 0.90), (10_000, 0.85), (50_000, 0.70)] {
        let it = cell(50, loss, 100, 20_000_000).play(WEIR, 1);
        println!("{loss}: {it:?}");
        assert!(it.share >= least, "{loss}: {it:?}");
        assert!(it.lost <= f64::from(loss) / 1e6 + 0.02, "{loss}: {it:?}");
    }
}

/// spec: R-CC-34
#[test]
fn a_deep_queue_stays_short() {
    let it = cell(50, 0, 400, 40_000_000).play(WEIR, 1);
    assert!(it.waited < 1.0, "{it:?}");
    let cubic = cell(50, 0, 400, 40_000_000).play(Algorithm::Cubic, 1);
    assert!(cubic.waited > it.waited, "{cubic:?} {it:?}");
}

/// spec: R-CC-22
#[test]
fn short_transfers_are_near_the_ideal() {
    for rtt in [5, 50, 250] {
        for size in [64_000, 1_000_000] {
            for controller in [Algorithm::Bbr, WEIR] {
                let it = cell(rtt, 0, 100, size).play(controller, 1);
                assert!(it.share * 1.3 >= 1.0, "{rtt} ms {size} {controller:?}: {it:?}");
            }
        }
    }
}

/// spec: R-CC-33
#[test]
fn weir_shares_a_bottleneck() {
    for other in [WEIR, Algorithm::Cubic, Algorithm::NewReno] {
        let flows = vec![(WEIR, 50, 0), (other, 50, 0)];
        let late = total(&Crowd { flows, queue: 100, lasts: 20 }.play(1)[8..]);
        println!("{other:?}: {late:?}, {:.3}", jain(&late));
        let part = late[0] as f64 / late.iter().sum::<u64>() as f64;
        assert!((0.25..=0.75).contains(&part), "{other:?}: {part}");
        assert!(late.iter().sum::<u64>() > RATE * 12 * 85 / 100, "{other:?}: {late:?}");
    }
}

/// What comes back comes back soon; the bench plays all turns.
///
/// spec: R-CC-29, R-CC-31
#[test]
fn paths_that_turn_are_followed() {
    let played = ["rate", "limited", "hole"];
    for (name, play) in turns::ALL.iter().filter(|(name, _)| played.contains(name)) {
        let told = play(WEIR, 1);
        println!("{name}: {told}");
        assert!(!told.contains("never"), "{name}: {told}");
    }
}
