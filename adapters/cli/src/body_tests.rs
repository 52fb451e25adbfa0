use proptest::prelude::*;

use super::*;

fn header(path: &str) -> FileHeader {
    FileHeader { path: path.into(), size: None, executable: false }
}

fn decode_all(bytes: &[u8], piece: usize) -> Result<Vec<Part>, Malformed> {
    let mut decoder = Decoder::new();
    let mut parts: Vec<Part> = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        let mut input = Bytes::copy_from_slice(piece);
        while let Some(part) = decoder.next(&mut input)? {
            parts.push(part);
        }
        assert!(input.is_empty());
    }
    Ok(parts)
}

/// Data joined, so that where the pieces were cut does not matter.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut out: Vec<Part> = Vec::new();
    for part in parts {
        match (out.last_mut(), part) {
            (Some(Part::Data(before)), Part::Data(data)) => {
                *before = [&before[..], &data[..]].concat().into();
            }
            (_, part) => out.push(part),
        }
    }
    out
}

fn encode(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            Part::Folder(path) => bytes.extend(folder(path)),
            Part::File(header) => bytes.extend(file(header)),
            Part::Data(data) => {
                bytes.extend(chunk_header(data.len()));
                bytes.extend(&data[..]);
            }
            Part::FileEnd(digest) => bytes.extend(file_end(digest)),
            Part::End(summary) => bytes.extend(end(*summary)),
        }
    }
    bytes
}

/// spec: R-FILE-4
#[test]
fn the_layout_to_the_byte() {
    let summary = Summary { entries: 2, bytes: 3, digest: [9; 32] };
    let named = FileHeader { path: "d/f".into(), size: Some(3), executable: true };
    let parts = [
        Part::Folder("d".into()),
        Part::File(named),
        Part::Data(Bytes::from_static(b"abc")),
        Part::FileEnd([7; 32]),
        Part::End(summary),
    ];
    let mut wire = b"\x02\0\x01d\x01\x01\0\0\0\0\0\0\0\x03\0\x03d/f\0\0\0\x03abc\0\0\0\0".to_vec();
    wire.extend([7; 32]);
    wire.extend(b"\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03");
    wire.extend([9; 32]);
    assert_eq!(encode(&parts), wire);
    for piece in [1, 2, 3, 7, 1000] {
        assert_eq!(joined(decode_all(&wire, piece).unwrap()), parts);
    }
}

/// spec: R-FILE-4, R-FILE-5
#[test]
fn what_is_no_body() {
    for bad in [
        b"\x00".to_vec(),
        b"\x04".to_vec(),
        b"\x02\0\0".to_vec(),
        b"\x02\x10\x01".to_vec(),
        b"\x02\0\x01\xff".to_vec(),
        b"\x01\x02\0\0\0\0\0\0\0\0\0\x01a".to_vec(),
        [file(&header("a")), b"\0\x10\0\x01".to_vec()].concat(),
        [end(Tally::new().summary()), vec![0]].concat(),
    ] {
        for piece in [1, 100] {
            assert!(decode_all(&bad, piece).is_err(), "{bad:02x?}");
        }
    }
    let mut decoder = Decoder::new();
    let mut cut = Bytes::from(file(&header("a")));
    while decoder.next(&mut cut).unwrap().is_some() {}
    assert!(!decoder.is_over());
}

/// spec: R-FILE-6
#[test]
fn one_file_is_known_by_its_own_digest_and_a_tree_by_all_of_it() {
    let one = |path| {
        let mut tally = Tally::new();
        tally.file(path, false, 5, &[1; 32]);
        tally.summary()
    };
    assert_eq!(one("a"), Summary { entries: 1, bytes: 5, digest: [1; 32] });
    let tree = |folder: &str, path: &str, executable, bytes, digest| {
        let mut tally = Tally::new();
        tally.folder(folder);
        tally.file(path, executable, bytes, &[digest; 32]);
        tally.summary()
    };
    let whole = tree("d", "d/a", false, 5, 1);
    assert_eq!((whole.entries, whole.bytes), (2, 5));
    for other in [
        tree("e", "d/a", false, 5, 1),
        tree("d", "d/b", false, 5, 1),
        tree("d", "d/a", true, 5, 1),
        tree("d", "d/a", false, 6, 1),
        tree("d", "d/a", false, 5, 2),
    ] {
        assert_ne!(whole.digest, other.digest);
    }
    assert_ne!(whole.digest, [1; 32]);
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        "[a-z/]{1,20}".prop_map(Part::Folder),
        (
            "[a-z/]{1,20}",
            any::<Option<u32>>(),
            any::<bool>(),
            prop::collection::vec(any::<u8>(), 0..300)
        )
            .prop_map(|(path, size, executable, _)| Part::File(FileHeader {
                path,
                size: size.map(u64::from),
                executable
            })),
    ]
}

proptest! {
    /// spec: R-FILE-4
    #[test]
    fn bodies_come_out_as_they_went_in(
        entries in prop::collection::vec((part(), prop::collection::vec(any::<u8>(), 0..300)), 0..8),
        piece in 1usize..400,
    ) {
        let mut parts = Vec::new();
        for (part, data) in entries {
            let is_file = matches!(part, Part::File(_));
            parts.push(part);
            if is_file {
                if !data.is_empty() {
                    parts.push(Part::Data(data.into()));
                }
                parts.push(Part::FileEnd([5; 32]));
            }
        }
        parts.push(Part::End(Summary { entries: 1, bytes: 2, digest: [3; 32] }));
        let read = decode_all(&encode(&parts), piece);
        prop_assert_eq!(read.map(joined), Ok(parts));
    }

    /// spec: R-FILE-5, R-LIM-4
    #[test]
    fn any_bytes_are_read_or_refused_alike_in_any_pieces(
        bytes in prop::collection::vec(prop_oneof![0u8..5, any::<u8>()], 0..200),
        piece in 1usize..50,
    ) {
        let whole = decode_all(&bytes, 1000).map(joined);
        let pieces = decode_all(&bytes, piece).map(joined);
        prop_assert_eq!(whole, pieces);
    }
}
