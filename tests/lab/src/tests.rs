//! What the page shows is what happens, and happens again.

use std::time::Duration;

use crate::lane::{Fate, Flight, Kind, Settings};
use crate::scene::{LINKS, Lab, PER_LINK, PER_SAMPLE};

const SECOND: Duration = Duration::from_secs(1);

fn lab(seed: u64) -> Lab {
    let link = Settings { rate: 600_000, ..Settings::default() };
    Lab::new(seed, [link, Settings { loss: 10_000, ..link }, link], false)
}

/// spec: R-LAB-1
#[test]
fn the_same_seed_and_changes_send_the_same_in_pieces_of_any_length() {
    let run = |seed, pieces: u32| {
        let mut lab = lab(seed);
        for second in 0..6 {
            if second == 3 {
                lab.set(1, |link| link.cut = true);
            }
            for piece in 1..=pieces {
                lab.advance(SECOND * second + SECOND * piece / pieces);
            }
        }
        (lab.fingerprint(), lab.arrived(), lab.take_samples(), lab.take_diary())
    };
    assert_eq!(run(7, 1), run(7, 250));
    assert_ne!(run(7, 1).0, run(8, 1).0);
}

/// spec: R-LAB-3
#[test]
fn files_arrive_whole_at_both_receivers() {
    let mut lab = lab(1);
    lab.advance(SECOND * 18);
    let diary = lab.take_diary();
    for name in ["B", "C"] {
        let whole = format!("{name} has file 2 to its end, every byte checked");
        assert!(diary.contains(&whole), "{diary}");
    }
    let [b, c] = lab.arrived();
    assert!(b >= 4 << 20 && c >= 4 << 20, "{b} {c}");
    let samples = lab.take_samples();
    assert!(samples.len().is_multiple_of(PER_SAMPLE));
    assert_eq!(samples.len() / PER_SAMPLE, 1_800);
}

/// spec: R-LAB-2
#[test]
fn every_flight_is_told_with_its_fate() {
    let mut lab = lab(3);
    lab.advance(SECOND * 3);
    let flights = lab.take_flights();
    let of = |lane: u8, fate: Fate| {
        flights.iter().filter(|flight| (flight.lane, flight.fate) == (lane, fate as u8)).count()
    };
    assert!(flights.iter().all(|flight| flight.sent <= flight.left && flight.left <= flight.there));
    assert!(flights.iter().any(|flight| flight.kind == Kind::Handshake as u8));
    assert!(of(0, Fate::Arrived) > 500 && of(1, Fate::Arrived) > 100);
    assert_eq!((of(0, Fate::Lost), of(4, Fate::Lost)), (0, 0));
    assert!(of(2, Fate::Lost) > 5, "{}", of(2, Fate::Lost));
    lab.set(1, |link| link.cut = true);
    lab.advance(SECOND * 4);
    let flights = lab.take_flights();
    let late = flights.iter().filter(|flight| flight.lane / 2 == 1);
    assert!(late.clone().count() > 0 && late.clone().all(|flight| flight.fate == Fate::Cut as u8));
}

#[test]
fn a_receiver_behind_a_cut_link_comes_back_and_joins() {
    let mut lab = lab(5);
    lab.advance(SECOND * 2);
    lab.set(2, |link| link.cut = true);
    lab.advance(SECOND * 9);
    let while_cut = lab.take_diary();
    assert!(while_cut.contains("relay and C: lost: the peer answered none"), "{while_cut}");
    let [_, before] = lab.arrived();
    lab.set(2, |link| link.cut = false);
    lab.advance(SECOND * 20);
    let diary = lab.take_diary();
    assert!(diary.contains("relay and C are connected"), "{diary}");
    assert!(diary.contains("C joins file"), "{diary}");
    assert!(diary.contains("C has file"), "{diary}");
    assert!(lab.arrived()[1] > before + (2 << 20), "{:?} {before}", lab.arrived());
}

#[test]
fn every_link_may_be_cut_for_as_long_as_one_likes() {
    for link in 0..LINKS {
        let mut lab = lab(11);
        for round in 0..4_u32 {
            lab.set(link, |settings| settings.cut = !round.is_multiple_of(2));
            lab.advance(SECOND * 7 * (round + 1));
        }
        let [b, c] = lab.arrived();
        lab.set(link, |settings| settings.cut = false);
        lab.advance(SECOND * 40);
        assert!(lab.arrived()[0] > b && lab.arrived()[1] > c, "{}", lab.take_diary());
    }
}

#[test]
fn the_page_reads_what_is_written() {
    let page = include_str!("../../../spec/lab/machine.mjs");
    let flight = size_of::<Flight>();
    for line in [format!("const FLIGHT = {flight};"), format!("const PER_LINK = {PER_LINK};")] {
        assert!(page.contains(&line), "{line}");
    }
    assert!(page.contains("PER_SAMPLE = 1 + LINKS.length * PER_LINK + 5;"));
    assert_eq!(PER_SAMPLE, 1 + LINKS * PER_LINK + 5);
}
