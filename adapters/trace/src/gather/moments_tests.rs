use aqueduct_core::trace::Way;

use super::Moments;

/// Packets that take 40 µs at least, some longer, and some not arriving, between a clock and one
/// that is 7,000 µs ahead of it.
///
/// spec: R-RPT-13
#[test]
fn the_quickest_packets_tell_how_far_clocks_are_apart() {
    let (mut here, mut there) = (Moments::default(), Moments::default());
    for number in 0..100 {
        let (at, late) = (10_000 + number * 50, number % 7 * 90);
        here.on_packet(number, Way::Sent, at);
        there.on_packet(number, Way::Sent, at + 7_000);
        if number % 5 != 0 {
            there.on_packet(number, Way::Received, at + 7_000 + 40 + late);
            here.on_packet(number, Way::Received, at + 40 + late / 2);
        }
    }
    assert_eq!(here.ahead(&there), Some((7_000, 80)));
    assert_eq!(there.ahead(&here), Some((-7_000, 80)));
    assert_eq!(here.ahead(&Moments::default()), None);
}
