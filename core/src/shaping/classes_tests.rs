use super::*;

/// spec: R-SHP-14
#[test]
fn both_classes_get_their_weight() {
    let mut weights = Weights::default();
    let mut got = [0_u64; 3];
    for turn in 0..10_000_u64 {
        let class = weights.first();
        // Batches of one to sixteen datagrams.
        let bytes = 1_452 * (1 + turn % 16);
        got[class as usize] += bytes;
        weights.on_sent(class, bytes, 16 * 1_452);
    }
    let [_, normal, bulk] = got;
    assert!(normal.abs_diff(4 * bulk) <= 8 * 16 * 1_452, "{normal} {bulk}");
}

/// spec: R-SHP-14
#[test]
fn who_was_silent_claims_nothing_afterwards() {
    let mut weights = Weights::default();
    (0..1_000).for_each(|_| weights.on_sent(Class::Bulk, 1_452, 1_452));
    let mut normal = 0;
    while weights.first() == Class::Normal {
        weights.on_sent(Class::Normal, 1_452, 1_452);
        normal += 1;
    }
    assert_eq!(normal, 5, "what one packet of bulk is worth, and one to be ahead");
}

#[test]
fn control_is_in_no_class() {
    let mut weights = Weights::default();
    weights.on_sent(Class::Control, 1 << 40, 1_452);
    assert_eq!(weights.first(), Class::Normal);
}
