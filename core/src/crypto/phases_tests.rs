use core::time::Duration;

use super::super::provider::{Cipher, Provider};
use super::{Choice, PhaseKey, ReceivePhases, Recipe, SendPhases, keep_until};
use crate::time::Instant;

const RECIPE: Recipe = Recipe { provider: Provider::Rust, cipher: Cipher::ChaCha20Poly1305 };

fn chosen(phases: &ReceivePhases, odd: u8, number: u64) -> Option<Choice> {
    phases.choose(odd, number).map(|(choice, _)| choice)
}

/// spec: R-KEY-10
#[test]
fn phase_bit_and_number_pick_one_key() {
    let mut phases = ReceivePhases::new(RECIPE, [1; 32]);
    assert_eq!(chosen(&phases, 0, 0), Some(Choice::Current));
    assert_eq!(chosen(&phases, 1, 0), Some(Choice::Next));
    phases.update(RECIPE, 100, 100, Instant::from_nanos(5));
    assert_eq!(chosen(&phases, 1, 0), Some(Choice::Current));
    assert_eq!(chosen(&phases, 0, 99), Some(Choice::Previous));
    assert_eq!(chosen(&phases, 0, 100), Some(Choice::Next));
    phases.expire(Instant::from_nanos(4));
    assert_eq!(chosen(&phases, 0, 99), Some(Choice::Previous));
    phases.expire(Instant::from_nanos(5));
    assert_eq!(chosen(&phases, 0, 99), None);
    assert_eq!(chosen(&phases, 0, 100), Some(Choice::Next));
    // A smaller number of this phase moves the line.
    assert!(phases.on_opened(Choice::Current, 100, 101));
    assert_eq!(chosen(&phases, 0, 99), None);
}

/// spec: R-KEY-12
#[test]
fn three_probe_timeouts() {
    let now = Instant::from_nanos(7);
    assert_eq!(keep_until(Duration::from_nanos(10), now), Instant::from_nanos(37));
    assert_eq!(keep_until(Duration::MAX, now), Instant::from_nanos(u64::MAX));
}

/// What is held after updates leads forwards, never back.
///
/// spec: R-KEY-19
#[test]
fn secrets_of_phases_that_are_over_are_gone() {
    let mut secrets = std::vec![[1; 32]];
    for _ in 0..10 {
        let last = PhaseKey::new(RECIPE, *secrets.last().unwrap());
        secrets.push(last.next(RECIPE).secret);
    }
    let (mut send, mut receive) =
        (SendPhases::new(RECIPE, [1; 32]), ReceivePhases::new(RECIPE, [1; 32]));
    for phase in 1..10 {
        send.update(RECIPE);
        receive.update(RECIPE, phase, phase, Instant::ZERO);
        let at = phase as usize;
        assert_eq!((send.phase, receive.phase), (phase, phase));
        assert_eq!(send.current.secret, secrets[at]);
        assert_eq!(receive.current.secret, secrets[at]);
        assert_eq!(receive.next.secret, secrets[at + 1]);
        receive.expire(Instant::ZERO);
        assert!(!receive.holds_previous());
    }
}
