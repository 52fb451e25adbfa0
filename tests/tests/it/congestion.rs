//! What controllers do on paths, in little: the whole tables are made by the bench `congestion`.

use aqueduct_core::congestion::Algorithm;
use aqueduct_tests::scenario::cells::weir;
use aqueduct_tests::scenario::congestion::{Cell, Crowd, RATE, jain, total};
use aqueduct_tests::scenario::turns;

const WEIR: Algorithm = Algorithm::Weir;

fn cell(rtt_ms: u64, loss: u32, queue: u64, size: u64) -> Cell {
    Cell { rtt: rtt_ms * 1_000, loss, rate: RATE, queue, size }
}

/// spec: R-CC-33
#[test]
fn loss_alone_does_not_slow_weir_down() {
    println!("{:?}", weir(1).figures);
}

/// spec: R-CC-34
#[test]
fn a_deep_queue_stays_short() {
    let it = cell(50, 0, 400, 40_000_000).play(WEIR, 1);
    assert!(it.waited < 1.0, "{it:?}");
    let cubic = cell(50, 0, 400, 40_000_000).play(Algorithm::Cubic, 1);
    assert!(cubic.waited > it.waited, "{cubic:?} {it:?}");
}

/// spec: R-CC-22, R-CC-38, R-CC-39
#[test]
fn short_transfers_are_near_the_ideal() {
    for rtt in [5, 50, 250] {
        for size in [64_000, 1_000_000] {
            for (controller, most) in [(Algorithm::Bbr, 1.4), (WEIR, 1.2)] {
                let it = cell(rtt, 0, 100, size).play(controller, 1);
                assert!(it.share * most >= 1.0, "{rtt} ms {size} {controller:?}: {it:?}");
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

/// Who comes ten seconds later has its share twenty seconds on: in this run, whatever the queue.
/// Over a queue of one round trip others take longer (decision 0013).
///
/// spec: R-CC-49
#[test]
fn who_comes_later_is_given_its_share() {
    for queue in [25, 100, 400] {
        let flows = vec![(WEIR, 50, 0), (WEIR, 50, 10)];
        let late = total(&Crowd { flows, queue, lasts: 40 }.play(1)[30..]);
        println!("{queue}: {late:?}, {:.3}", jain(&late));
        assert!(jain(&late) >= 0.9, "{queue}: {late:?}");
        assert!(late.iter().sum::<u64>() > RATE * 10 * 90 / 100, "{queue}: {late:?}");
    }
}

/// Fifty flows keep a queue full that none of them ever saw empty: yet loss counts, and nobody
/// takes the link.
///
/// spec: R-CC-33, R-CC-49
#[test]
fn a_queue_that_is_always_full_is_a_queue() {
    for queue in [25, 100] {
        let flows = vec![(WEIR, 50, 0); 50];
        let late = total(&Crowd { flows, queue, lasts: 60 }.play(1)[40..]);
        println!("{queue}: {:.3}", jain(&late));
        assert!(jain(&late) >= 0.8, "{queue}: {late:?}");
    }
}

/// LEDBAT++ leaves the link to who fills it, however long its queue is. Where that has room for what it
/// wants it fills the link alone, and shares it with its like.
///
/// spec: R-CC-41, R-CC-42, R-CC-43, R-CC-45
#[test]
fn the_background_yields_and_fills_what_is_left() {
    const IT: Algorithm = Algorithm::Ledbat;
    let late = |queue: u64, flows: &[(Algorithm, u64, u64)]| {
        let crowd = Crowd { flows: flows.to_vec(), queue, lasts: 50 };
        total(&crowd.play(1)[20..])
    };
    // A short queue is not filled by who halves at each loss, or nearly.
    for (queue, least) in [(25, 80), (100, 90), (400, 90)] {
        for other in [Algorithm::Cubic, Algorithm::NewReno] {
            let shares = late(queue, &[(IT, 50, 0), (other, 50, 0)]);
            println!("{other:?}, {queue}: {shares:?}");
            let both: u64 = shares.iter().sum();
            assert!(shares[0] * 10 < both, "{other:?}, {queue}: {shares:?}");
            assert!(shares[1] * 100 > RATE * 30 * least, "{other:?}, {queue}: {shares:?}");
        }
    }
    let alone = late(400, &[(IT, 50, 0)])[0];
    println!("alone: {alone}");
    assert!(alone * 10 >= RATE * 30 * 9, "{alone}");
    let shares = late(400, &[(IT, 50, 0), (IT, 50, 0)]);
    println!("two: {shares:?}");
    assert!(jain(&shares) >= 0.95, "{shares:?}");
}

fn turn(name: &str) -> turns::Told {
    let (_, play) = turns::ALL.iter().find(|(it, _)| *it == name).expect("a turn");
    let told = play(WEIR, 1);
    println!("{name}: {told}");
    told
}

/// Bursts, late datagrams and lost ACKs say nothing of the rate.
///
/// spec: R-CC-33, R-CC-36
#[test]
fn bad_ways_are_filled() {
    for (name, figure, least) in [
        ("bursts", "% of the link, 1 % lost in bursts of 10", 85.0),
        ("reorder", "% of the link, 5 % up to 20 datagrams late", 85.0),
        ("acks", "% of the link, 30 % of the way back lost", 80.0),
    ] {
        let reached = turn(name).get(figure);
        assert!(reached >= least, "{name}: {reached}");
    }
}

/// What comes back comes back soon.
///
/// spec: R-CC-24, R-CC-27
#[test]
fn paths_that_turn_are_followed() {
    let told = turn("rate");
    assert!(told.get("% of 50 Mbit/s") >= 90.0);
    assert!(told.get("% of 5 after 5 s") >= 90.0);
    assert!(told.get("% of 50 again") >= 80.0);
    assert!(told.get("seconds until 80 %") <= 6.0);
    let told = turn("rtt");
    assert!(told.get("% at 20 ms") >= 90.0);
    assert!(told.get("% at 200 ms after 10 s") >= 70.0);
    assert!(told.get("seconds until 80 %") <= 18.0);
}

/// spec: R-CC-29, R-CC-31
#[test]
fn silence_teaches_nothing() {
    let told = turn("idle");
    assert!(told.get("% in the first second after an hour") >= 85.0);
    assert!(told.get("% in five") >= 90.0);
    assert!(told.get("lost") == 0.0);
    let told = turn("limited");
    assert!(told.get("% in the first second after 30 s of 10 KB each 100 ms") >= 85.0);
    assert!(told.get("% in five") >= 90.0);
    let told = turn("hole");
    assert!(told.get("ms from 2 s of nothing to the first byte") <= 300.0);
    assert!(told.get("round trips until 80 %") <= 10.0);
}
