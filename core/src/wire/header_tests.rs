use super::super::vectors_tests;
use super::*;
use alloc::vec;

const CID: ConnectionId = ConnectionId([1, 2, 3, 4, 5, 6, 7, 8]);

/// spec: R-PKT-1, R-PKT-12
#[test]
fn datagrams_are_sorted_by_form_and_length() {
    assert_eq!(classify(&[]), Class::Other);
    for first in 0..=u8::MAX {
        let mut whole = vec![first];
        whole.extend(CID.0);
        whole.resize(1_500, 0);
        for len in (1..=1_500).chain([65_507, 65_535]) {
            whole.resize(whole.len().max(len), 0);
            let class = classify(&whole[..len]);
            let known = PacketType::from_number(first >> 2 & 15).is_some();
            match first >> 6 {
                1 if len >= 29 => assert_eq!(class, Class::Short { dcid: CID }, "{len} bytes"),
                3 if len >= 20 && known => assert!(matches!(class, Class::Long(_)), "{len} bytes"),
                _ => assert_eq!(class, Class::Other, "{first:#x}: {len} bytes"),
            }
        }
    }
}

/// spec: R-PKT-3, R-PKT-4, R-PKT-6
#[test]
fn long_headers_of_any_version_are_read_and_unknown_types_are_not_ours() {
    for number in 0..16_u8 {
        let mut bytes = vec![0xc0 | number << 2 | 2, 0xab, 0xcd, 9];
        bytes.extend(CID.0);
        bytes.extend([8; 8]);
        let expected = PacketType::from_number(number).map_or(Class::Other, |kind| {
            Class::Long(LongHeader {
                kind,
                part: 2,
                version: 0xabcd,
                suite: 9,
                scid: CID,
                dcid: ConnectionId([8; 8]),
            })
        });
        assert_eq!(classify(&bytes), expected);
        assert_eq!(expected == Class::Other, !(1..=7).contains(&number), "{number}");
        bytes.pop();
        assert_eq!(classify(&bytes), Class::Other, "19 bytes are too few");
    }
}

#[test]
fn headers_come_back() {
    for kind in PacketType::ALL {
        let header = LongHeader { part: 3, version: 77, ..LongHeader::new(kind, CID, CID) };
        assert_eq!(LongHeader::decode(&header.encode()), Ok(header));
    }
    let header = ShortHeader { key_phase: true, dcid: CID, number: 0x0102_0304 };
    let bytes = header.encode();
    assert_eq!(bytes, [0x60, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4]);
    assert_eq!(ShortHeader::decode(&bytes), Ok(header));
    assert_eq!(bytes[PN_OFFSET..PN_OFFSET + PN_LEN], [1, 2, 3, 4]);
}

/// spec: R-PKT-13
#[test]
fn every_number_within_2_to_the_31_expands_to_itself() {
    let bases = [0, 1 << 20, (1 << 32) - 5, 1 << 32, (1 << 40) + 12_345, (1 << 62) - (1 << 33)];
    for base in bases {
        let offsets = [0, 1, 1 << 16, (1 << 31) - 1];
        for number in offsets.iter().flat_map(|o| [Some(base + o), base_minus(base, *o)]) {
            let Some(number) = number.map(PacketNumber) else { continue };
            let expanded = PacketNumber::expand(number.truncated(), PacketNumber(base));
            assert_eq!(expanded, number, "from {base}");
        }
    }
}

fn base_minus(base: u64, by: u64) -> Option<u64> {
    base.checked_sub(by)
}

/// spec: R-PKT-14
#[test]
fn the_places_of_a_short_header_add_up() {
    assert_eq!(SHORT_DCID_OFFSET + ConnectionId::LEN, PN_OFFSET);
    assert_eq!(PN_OFFSET + PN_LEN, SHORT_HEADER_LEN);
    assert_eq!(SAMPLE_OFFSET, SHORT_HEADER_LEN);
    assert_eq!(SHORT_OVERHEAD, 29);
    assert_eq!(MIN_PACKET_SIZE - SHORT_OVERHEAD, 1_171);
    // The shortest packet still has a whole sample, which is then its tag.
    assert_eq!(SAMPLE_OFFSET + SAMPLE_LEN, SHORT_OVERHEAD);
    assert_eq!(FORM_MASK | KEY_PHASE_BIT | RESERVED_BITS, 0xff);
}

/// Of a datagram only its header is looked at, and a header that is cut is none.
///
/// spec: R-PKT-1
#[test]
fn classifying_survives_every_cut_and_flip_of_the_vectors() {
    for vector in vectors_tests::packets::packet_vectors() {
        let mut bytes = vector.bytes;
        bytes.resize(bytes.len().max(SHORT_OVERHEAD), 0);
        let whole = classify(&bytes);
        let (least, header) = match whole {
            Class::Long(_) => (LONG_HEADER_LEN, LONG_HEADER_LEN),
            Class::Short { .. } => (SHORT_OVERHEAD, PN_OFFSET),
            Class::Other => panic!("{} is no packet", vector.name),
        };
        for len in 0..bytes.len() {
            let seen = if len < least { Class::Other } else { whole };
            assert_eq!(classify(&bytes[..len]), seen, "{} cut to {len}", vector.name);
        }
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let seen = classify(&bytes);
            assert!(bit / 8 < header || seen == whole, "{}, bit {bit}: {seen:?}", vector.name);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
