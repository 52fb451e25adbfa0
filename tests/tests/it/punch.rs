//! Hole punching: two behind NATs.

use aqueduct_tests::scenario::punch;

/// spec: R-EP-19 R-EP-21
#[test]
fn two_behind_nats_meet_where_they_were_seen() {
    println!("{:?}", punch::every_pair(71).figures);
}
