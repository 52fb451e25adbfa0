use super::*;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// spec: R-FIG-12
#[test]
fn all_time_has_a_cause() {
    let mut clock = LimitClock::new(at(5));
    clock.set(SendLimit::Application, at(25));
    clock.set(SendLimit::Application, at(30));
    clock.set(SendLimit::Pacing, at(35));
    clock.set(SendLimit::Congestion, at(35));
    clock.set(SendLimit::Application, at(45));
    assert_eq!(clock.now(), SendLimit::Application);
    let times = clock.times(at(105));
    let millis = |limit| times.of(limit).as_millis();
    assert_eq!(millis(SendLimit::Path), 20, "until it was answered");
    assert_eq!(millis(SendLimit::Application), 70, "and the time that runs");
    assert_eq!((millis(SendLimit::Pacing), millis(SendLimit::Congestion)), (0, 10));
    assert_eq!(times.total(), Duration::from_millis(100));
    assert_eq!(times.iter().filter(|(_, time)| !time.is_zero()).count(), 3);
}

/// spec: R-FIG-12
#[test]
fn a_part_of_its_life_has_causes_of_its_own() {
    let mut clock = LimitClock::new(at(0));
    clock.set(SendLimit::Pacing, at(20));
    let begun = clock.times(at(30));
    clock.set(SendLimit::Application, at(50));
    let part = clock.times(at(60)).since(&begun);
    let millis = |limit| part.of(limit).as_millis();
    assert_eq!(millis(SendLimit::Path), 0, "before it");
    assert_eq!((millis(SendLimit::Pacing), millis(SendLimit::Application)), (20, 10));
    assert_eq!(begun.since(&clock.times(at(60))), LimitTimes::default(), "nothing is negative");
}

#[test]
fn each_has_a_name_and_a_place() {
    for (place, limit) in SendLimit::ALL.into_iter().enumerate() {
        assert_eq!(limit as usize, place);
    }
    let names: std::collections::BTreeSet<_> = SendLimit::ALL.map(SendLimit::name).into();
    assert_eq!(names.len(), SendLimit::ALL.len());
}

/// spec: R-FIG-12
#[test]
fn a_path_that_is_silent_is_what_a_full_window_waits_for() {
    let of = SendLimit::of_path;
    assert_eq!(of(LimitedBy::Window, false), SendLimit::Congestion);
    assert_eq!(of(LimitedBy::Window, true), SendLimit::Path);
    assert_eq!(of(LimitedBy::Pacer, true), SendLimit::Pacing);
    assert_eq!(of(LimitedBy::Amplification, true), SendLimit::Amplification);
}
