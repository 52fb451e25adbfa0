use std::time::Duration;

use crate::wait::question;

use super::*;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

#[test]
fn who_waits_is_told_in_time_and_who_does_not_is_forgotten() {
    let mut alarms = Alarms::default();
    let (answers, gone): (Vec<_>, Vec<_>) = [3, 1, 2, 1]
        .map(|second| {
            let (reply, answer) = question();
            alarms.set(at(second), reply);
            answer
        })
        .into_iter()
        .enumerate()
        .partition(|(n, _)| *n != 1);
    drop(gone);
    assert_eq!(alarms.next(), Some(at(1)));
    alarms.ring(at(1));
    assert_eq!(alarms.next(), Some(at(2)));
    alarms.ring(at(3));
    assert_eq!(alarms.next(), None);
    let told = answers.into_iter().map(|(_, answer)| futures_util::FutureExt::now_or_never(answer));
    assert!(told.into_iter().all(|told| told == Some(Some(()))));
}

#[test]
fn alarms_that_nobody_waits_for_are_cleared_out() {
    let mut alarms = Alarms::default();
    let (reply, _answer) = question();
    alarms.set(at(1), reply);
    for second in 0..1000 {
        alarms.set(at(2 + second), question().0);
        assert!(alarms.set.len() <= 2 * Alarms::FEW);
    }
    assert_eq!(alarms.next(), Some(at(1)));
}
