use super::*;

#[test]
fn of_many_refusals_one_a_second_is_told() {
    let (refusals, start) = (Refusals::default(), Instant::now());
    let at = |millis| start + Duration::from_millis(millis);
    assert_eq!(refusals.say(at(0)), Some(0));
    assert!((1..100).all(|n| refusals.say(at(n)).is_none()));
    assert_eq!(refusals.say(at(1000)), Some(99));
    assert_eq!(refusals.say(at(1001)), None);
    assert_eq!(refusals.say(at(2001)), Some(1));
}
