//! Reading without taking part.

use super::super::Looked;
use super::*;

fn looked(number: u64, phase: u64, payload: &[u8]) -> Option<Looked> {
    let (number, phase) = (PacketNumber(number), KeyPhase(phase));
    Some(Looked { number, phase, payload: payload.to_vec() })
}

#[test]
fn both_ends_can_look_at_a_packet_and_change_nothing() {
    let [mut here, there] = plain_pair();
    let packets = [sealed(&mut here, b"hello"), sealed(&mut here, b"")];
    let before = (state(&here), here.counters(), state(&there), there.counters());
    for (number, payload) in [&b"hello"[..], b""].into_iter().enumerate() {
        let (packet, number) = (&packets[number], number as u64);
        assert_eq!(here.look_at_sent(packet), looked(number, 0, payload));
        assert_eq!(here.sealing().look(packet), looked(number, 0, payload));
        assert_eq!(there.look_at_received(packet), looked(number, 0, payload));
        assert_eq!(there.look_at_sent(packet), None, "it never sealed it");
        assert_eq!(here.look_at_received(packet), None);
        let mut damaged = packet.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(here.look_at_sent(&damaged), None);
        assert_eq!(there.look_at_received(&damaged), None);
        assert_eq!(here.look_at_sent(&packet[..SHORT_OVERHEAD - 1]), None);
    }
    assert_eq!((state(&here), here.counters(), state(&there), there.counters()), before);
}

/// Keys that were put away read what they sealed; those in use read their own phase, and who opens
/// reads one further.
#[test]
fn each_phase_is_looked_at_under_its_keys() {
    let mut keys = pair(Provider::Rust, Cipher::ChaCha20Poly1305, small(1, 100));
    let [here, there] = &mut keys;
    here.on_confirmed();
    let mut sealings = Vec::new();
    let mut packets = Vec::new();
    for phase in 0..3 {
        let now = Instant::ZERO + PTO * 4 * phase as u32;
        let packet = sealed_at(here, b"data", now);
        let number = here.next_number().0 - 1;
        assert_eq!(here.send_phase().0, phase);
        assert_eq!(there.look_at_received(&packet), looked(number, phase, b"data"));
        assert_eq!(open_at(there, &packet, now), Ok((number, b"data".to_vec(), phase)));
        assert_eq!(there.look_at_received(&packet), looked(number, phase, b"data"), "once more");
        acknowledge(here, there, number, now);
        sealings.push(here.sealing());
        packets.push((packet, looked(number, phase, b"data")));
    }
    for (phase, sealing) in sealings.iter().enumerate() {
        assert_eq!(sealing.phase(), phase as u64);
        for (other, (packet, looked)) in packets.iter().enumerate() {
            let expected = looked.clone().filter(|_| other == phase);
            assert_eq!(sealing.look(packet), expected, "{other} by {phase}");
        }
    }
    assert_eq!(here.look_at_sent(&packets[1].0), None, "those keys are gone");
    assert_eq!(here.look_at_sent(&packets[2].0), packets[2].1);
}
