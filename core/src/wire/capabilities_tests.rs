//! Tests of `capabilities.rs`.

use super::*;

/// spec: R-MODE-3
#[test]
fn a_mode_follows_from_two_bits_and_from_no_others() {
    let modes =
        [Mode::Traditional, Mode::StreamingReassemble, Mode::Traditional, Mode::StreamingPiped];
    for (bits, mode) in (0..).zip(modes) {
        assert_eq!(Capabilities::from_bits(bits).mode(), mode);
        assert_eq!(Capabilities::from_bits(bits | !3).mode(), mode);
    }
    assert!(Mode::Traditional < Mode::StreamingReassemble);
    assert!(Mode::StreamingReassemble < Mode::StreamingPiped);
}
