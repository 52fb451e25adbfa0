use super::Curve;

/// spec: R-RPT-6
#[test]
fn extremes_of_every_slice_are_kept() {
    let mut curve = Curve::new(1_000_000, 10);
    for at in 0..1_000_000 {
        let value = if at == 123_456 { 7_000 } else { at % 1_000 };
        curve.set(at, value);
    }
    let (times, values) = curve.points();
    assert!(times.len() <= 40 && times.is_sorted());
    assert_eq!(values.iter().max(), Some(&7_000));
    assert_eq!((times[0], *times.last().unwrap()), (0, 999_999));
}

#[test]
fn what_stays_is_said_once() {
    let mut curve = Curve::new(100, 10);
    (0..100).for_each(|at| curve.set(at, 5));
    assert_eq!(curve.points(), (vec![0], vec![5]));
    assert_eq!(Curve::new(100, 10).points(), (vec![], vec![]));
}
