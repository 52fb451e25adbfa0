use super::super::header::{Class, classify};
use super::super::vectors_tests;
use super::*;

fn vector(name: &str) -> Vec<u8> {
    let mut all = vectors_tests::packets::packet_vectors().into_iter();
    all.find(|vector| vector.name == name).expect(name).bytes
}

/// spec: R-PKT-7, R-PKT-8
#[test]
fn fields_stand_at_their_offsets() {
    let i1 = vector("i1-with-cookie");
    let packet = LongPacket::decode(&i1).unwrap();
    let LongBody::I1 { cookie, e, s, payload } = packet.body else { panic!("I1") };
    assert_eq!(cookie, &i1[20..44]);
    assert_eq!(e, &i1[44..76]);
    assert_eq!(s, &i1[76..124]);
    assert_eq!(payload, &i1[124..1_184]);
    assert_eq!(packet.mac, &i1[1_184..]);
    assert_eq!((I1_PAYLOAD_LEN, X1_PAYLOAD_LEN), (1_044, 1_092));
    assert_eq!((R2_PAYLOAD_MAX, X2_PAYLOAD_MAX, X3_PAYLOAD_MAX), (1_116, 1_068, 1_100));
    let x1 = vector("x1");
    let LongBody::X1 { payload, .. } = LongPacket::decode(&x1).unwrap().body else { panic!("X1") };
    assert_eq!(payload, &x1[76..1_184]);
    let r2 = vector("r2-smallest");
    let LongBody::R2 { e, payload } = LongPacket::decode(&r2).unwrap().body else { panic!("R2") };
    assert_eq!((&e[..], payload), (&r2[20..52], &r2[52..108]));
    let x2 = vector("x2-smallest");
    let LongBody::X2 { e, s, payload } = LongPacket::decode(&x2).unwrap().body else {
        panic!("X2")
    };
    assert_eq!((&e[..], &s[..], payload), (&x2[20..52], &x2[52..100], &x2[100..156]));
    let x3 = vector("x3-smallest");
    let LongBody::X3 { s, payload } = LongPacket::decode(&x3).unwrap().body else { panic!("X3") };
    assert_eq!((&s[..], payload), (&x3[20..68], &x3[68..124]));
    let retry = vector("retry");
    let LongBody::Retry { cookie } = LongPacket::decode(&retry).unwrap().body else {
        panic!("RETRY")
    };
    assert_eq!((cookie, retry.len()), (retry[20..44].try_into().unwrap(), 60));
}

/// spec: R-PKT-7
#[test]
fn lengths_are_exact_or_bounded() {
    let legal = |kind| (0..1_500).filter(move |length| length_is_legal(kind, *length));
    let span = |kind| (legal(kind).min().unwrap(), legal(kind).max().unwrap());
    assert_eq!(span(PacketType::I1), (1_200, 1_200));
    assert_eq!(span(PacketType::X1), (1_200, 1_200));
    assert_eq!(span(PacketType::R2), (124, 1_200));
    assert_eq!(span(PacketType::X2), (172, 1_200));
    assert_eq!(span(PacketType::X3), (140, 1_200));
    assert_eq!(span(PacketType::Retry), (60, 60));
    assert_eq!(span(PacketType::Version).0, 39);
    for name in ["i1", "x1", "retry", "r2-largest", "x2-largest", "x3-largest", "version-one"] {
        let mut bytes = vector(name);
        assert!(LongPacket::decode(&bytes).is_ok());
        bytes.push(0);
        assert!(LongPacket::decode(&bytes).is_err(), "{name} with one byte more");
    }
}

/// spec: R-PKT-5, R-PKT-6, R-PKT-10
#[test]
fn another_version_suite_part_or_an_early_destination_is_dropped_though_its_header_is_read() {
    for name in ["i1", "r2-smallest", "x1", "x2-smallest", "x3-smallest", "retry", "version-one"] {
        let good = vector(name);
        let is_version = name == "version-one";
        for (at, change, fine) in [(0, 1, false), (0, 3, false), (2, 4, false), (3, 3, is_version)]
        {
            let mut bytes = good.clone();
            bytes[at] ^= change;
            assert_eq!(LongPacket::decode(&bytes).is_ok(), fine, "{name}, byte {at}");
            assert!(matches!(classify(&bytes), Class::Long(_)), "{name}, byte {at}");
        }
        let mut bytes = good.clone();
        bytes[19] ^= 1;
        let first = matches!(name, "i1" | "x1");
        assert_eq!(LongPacket::decode(&bytes).is_err(), first, "{name}");
    }
}

/// spec: R-PKT-9
#[test]
fn the_mac_covers_all_before_it() {
    let bytes = vector("r2-smallest");
    let (covered, mac) = split_mac(&bytes).unwrap();
    assert_eq!(covered.len() + 16, bytes.len());
    assert_eq!(mac, &bytes[covered.len()..]);
    assert_eq!(split_mac(&[0; 35]), None);
    assert!(split_mac(&[0; 36]).is_some());
}

/// spec: R-PKT-11
#[test]
fn a_version_packet_counts_its_versions() {
    let good = vector("version-three");
    let LongBody::Version { versions } = LongPacket::decode(&good).unwrap().body else {
        panic!("VERSION")
    };
    assert_eq!(versions.iter().collect::<Vec<_>>(), [2, 1, 0xfffe]);
    for count in [0, 2, 4, 255] {
        let mut bytes = good.clone();
        bytes[20] = count;
        assert!(LongPacket::decode(&bytes).is_err(), "{count}");
    }
}
