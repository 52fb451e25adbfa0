use super::*;
use alloc::vec;

fn with(items: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let hello = Hello::new(PacketType::R2, ConnectionId([1; 8]), ConnectionId([2; 8]));
    assert!(hello.encode(HELLO_LEN, &mut bytes));
    bytes.extend(items);
    bytes
}

/// spec: R-PKT-15
#[test]
fn fields_stand_at_their_offsets() {
    let hello = Hello {
        sign: true,
        early_data_taken: true,
        status: 3,
        versions: [1, 2, 3, 4],
        suites: [5, 6, 7, 8],
        capabilities: 9,
        ..Hello::new(PacketType::X2, ConnectionId([1; 8]), ConnectionId([2; 8]))
    };
    let mut bytes = Vec::new();
    assert!(hello.encode(HELLO_LEN, &mut bytes));
    let fixed = [
        &[4, 3, 3, 3][..],
        &[1; 8],
        &[2; 8],
        &[0, 1, 0, 2, 0, 3, 0, 4, 5, 6, 7, 8],
        &[0, 0, 0, 0, 0, 0, 0, 9],
    ];
    assert_eq!(bytes, fixed.concat());
    bytes[1] = 0xfd;
    let read = Hello::decode(&bytes).unwrap();
    assert!(read.sign && !read.early_data_taken, "other flags are ignored");
}

/// spec: R-PKT-15
#[test]
fn types_without_a_payload_are_refused() {
    for kind in [0, 6, 7, 8, 255] {
        let mut bytes = with(&[]);
        bytes[0] = kind;
        assert!(Hello::decode(&bytes).is_err(), "{kind}");
    }
}

/// spec: R-PKT-16, R-PKT-18
#[test]
fn items_are_read_once_and_unknown_ones_passed_over() {
    let bytes = with(&[1, 0, 2, 7, 8, 200, 0, 1, 9, 200, 0, 0, 2, 0, 1, 5]);
    let hello = Hello::decode(&bytes).unwrap();
    assert_eq!(hello.params, Some(&[7, 8][..]));
    assert_eq!(hello.early_data, Some(&[5][..]), "read; nobody takes it");
    assert!(!hello.early_data_taken);
    for twice in [1, 2, 3] {
        let bytes = with(&[twice, 0, 0, twice, 0, 0]);
        assert_eq!(Hello::decode(&bytes), Err(DecodeError::Malformed("an item given twice")));
    }
    assert!(Hello::decode(&with(&[3, 0, 1, 0])).is_err(), "half a version");
    assert_eq!(Hello::decode(&with(&[1, 0, 3, 7, 8])), Err(DecodeError::Truncated));
    assert_eq!(Hello::decode(&with(&[1, 0])), Err(DecodeError::Truncated));
}

/// spec: R-PKT-17
#[test]
fn padding_is_zeros_to_the_end_of_any_length() {
    for length in 0..5 {
        assert!(Hello::decode(&with(&vec![0; length])).is_ok(), "{length}");
    }
    let error = Err(DecodeError::Malformed("padding that is not zero"));
    assert_eq!(Hello::decode(&with(&[0, 1, 0, 0])), error);
}

#[test]
fn a_payload_that_does_not_fit_is_not_written() {
    let item = vec![0; 65_536];
    let plain = Hello::new(PacketType::I1, ConnectionId([1; 8]), ConnectionId::ZERO);
    let hello = Hello { params: Some(&item), ..plain };
    let mut out = Vec::new();
    assert!(!hello.encode(100_000, &mut out), "an item of 65,536 bytes");
    let hello = Hello { params: item.get(1..), ..hello };
    assert!(!hello.encode(65_535, &mut out));
    assert!(out.is_empty());
    assert!(hello.encode(100_000, &mut out));
}
