use proptest::prelude::*;

use super::*;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

#[test]
fn a_bucket_never_holds_more_than_its_burst() {
    let mut bucket = TokenBucket::new(1_000, 500, at(0));
    assert_eq!(bucket.take(10_000, at(3_600_000_000_000)), 500);
    assert_eq!(bucket.take(10_000, at(3_600_000_000_000)), 0);
}

#[test]
fn another_rate_counts_from_now_on() {
    let mut bucket = TokenBucket::new(1_000, 10_000, at(0));
    assert_eq!(bucket.take(10_000, at(0)), 10_000);
    bucket.set_rate(2_000, at(1_000_000_000));
    assert_eq!(bucket.rate(), 2_000);
    assert_eq!(bucket.take(10_000, at(2_000_000_000)), 3_000);
}

#[test]
fn time_that_goes_back_gives_nothing() {
    let mut bucket = TokenBucket::new(1_000, 100, at(1_000_000_000));
    assert_eq!(bucket.take(100, at(1_000_000_000)), 100);
    assert_eq!(bucket.take(100, at(0)), 0);
}

/// spec: R-SHP-8
#[test]
fn a_bucket_that_owes_pays_before_it_gives() {
    let mut bucket = TokenBucket::new(1_000, 500, at(0));
    bucket.charge(700, at(0));
    assert_eq!((bucket.owes(at(0)), bucket.available(at(0))), (200, 0));
    assert_eq!(bucket.take(1, at(200_000_000)), 0);
    let ready = bucket.ready_at(100, at(200_000_000));
    assert_eq!(ready, at(300_000_000));
    assert_eq!(bucket.take(500, ready), 100);
    bucket.reshape(2_000, 50, at(1_000_000_000));
    assert_eq!(bucket.available(at(1_000_000_000)), 50, "no more than it holds now");
}

proptest! {
    #[test]
    fn whoever_comes_when_told_gets_it_and_nobody_gets_more_than_the_rate(
        rate in 1_u64..20_000_000_000,
        burst in 1_u64..10_000_000,
        wants in prop::collection::vec((1_u64..2_000_000, 0_u64..50_000_000), 1..60),
    ) {
        let mut bucket = TokenBucket::new(rate, burst, at(0));
        let (mut now, mut given) = (0_u64, 0_u128);
        for (want, pause) in wants {
            let ready = bucket.ready_at(want, at(now));
            let early = ready.as_nanos().saturating_sub(1);
            if early > now {
                let mut copy = bucket.clone();
                prop_assert!(copy.take(want.min(burst), at(early)) < want.min(burst));
            }
            now = now.max(ready.as_nanos());
            let got = bucket.take(want, at(now));
            prop_assert!(got >= want.min(burst));
            given += u128::from(got);
            let most = u128::from(burst) + u128::from(rate) * u128::from(now) / 1_000_000_000;
            prop_assert!(given <= most, "{given} of {most}");
            now += pause;
        }
    }
}
