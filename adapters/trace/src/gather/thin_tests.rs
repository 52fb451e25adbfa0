use super::Thin;

/// spec: R-RPT-6
#[test]
fn what_matters_is_kept_and_of_the_rest_each_nth() {
    let mut thin = Thin::new(1_000);
    for number in 0..600_000_u64 {
        thin.push(number, number.is_multiple_of(1_000));
    }
    assert_eq!(thin.seen(), 600_000);
    let rows = thin.finish();
    assert!(rows.len() > 600 && rows.len() <= 1_000, "{}", rows.len());
    let important = rows.iter().filter(|number| number.is_multiple_of(1_000)).count();
    assert_eq!(important, 600);
    assert!(rows.is_sorted());
    let rest: Vec<_> = rows.iter().filter(|number| !number.is_multiple_of(1_000)).collect();
    assert!(***rest.last().unwrap() > 590_000 && ***rest.first().unwrap() < 10_000);
}

/// spec: R-RPT-6
#[test]
fn too_many_that_matter_are_thinned_too() {
    let mut thin = Thin::new(100);
    for number in 0..1_000_u64 {
        thin.push(number, true);
    }
    let late = thin.push(1_000, false);
    thin.promote(late);
    assert_eq!(thin.get_mut(late), Some(&mut 1_000));
    let rows = thin.finish();
    assert!(rows.len() > 40 && rows.len() <= 100, "{}", rows.len());
}
