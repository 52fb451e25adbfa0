use super::*;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn taken(pieces: &mut Pieces) -> (bool, Vec<Piece>) {
    let mut out = VecDeque::new();
    let scattered = pieces.take(&mut out);
    (scattered, out.into())
}

/// What is written in a row is as cheap as it was: copied bytes come in one block, and nothing is
/// known of them but where they end.
#[test]
fn what_is_written_in_a_row_comes_in_a_row() {
    let mut pieces = Pieces::new(5..100);
    pieces.copy(b"ab");
    pieces.copy(b"cd");
    pieces.put(9, bytes("whole"));
    pieces.copy(b"e");
    assert_eq!((pieces.queued(), pieces.end(), pieces.has_gaps()), (10, 15, false));
    let row = vec![
        Piece::Bytes(5, bytes("abcd")),
        Piece::Bytes(9, bytes("whole")),
        Piece::Bytes(14, bytes("e")),
    ];
    assert_eq!(taken(&mut pieces), (false, row));
    assert!(pieces.scattered.is_none());
}

/// The rest may wait for what fills a gap, however long it was there before.
#[test]
fn what_fills_a_gap_goes_first() {
    let mut pieces = Pieces::new(0..100);
    pieces.copy(b"ab");
    pieces.put(10, bytes("high"));
    pieces.copy(b"er");
    assert!(pieces.has_gaps());
    let (scattered, mut left) = taken(&mut pieces);
    let row = [
        Piece::Bytes(0, bytes("ab")),
        Piece::Bytes(10, bytes("high")),
        Piece::Bytes(14, bytes("er")),
    ];
    assert_eq!((scattered, &left[..]), (true, &row[..]));
    // The core took one and a half of them; meanwhile the gap is filled.
    left.remove(0);
    assert!(!left[0].advance(2) && Piece::Skip(0..9).advance(0));
    pieces.put(2, bytes("cdefghij"));
    assert!(!pieces.has_gaps());
    pieces.give_back(4, &mut left.into());
    assert_eq!(pieces.queued(), 4 + 8);
    let row = vec![
        Piece::Bytes(2, bytes("cdefghij")),
        Piece::Bytes(12, bytes("gh")),
        Piece::Bytes(14, bytes("er")),
    ];
    assert_eq!(taken(&mut pieces), (true, row));
}

/// What is above a hole that waits here, too, would only fill the core's buffer.
#[test]
fn the_lowest_goes_first_whenever_it_was_written() {
    let mut pieces = Pieces::new(0..100);
    pieces.copy(b"ab");
    pieces.put(20, bytes("high"));
    pieces.put(2, bytes("next"));
    pieces.skip(10..12).expect("a gap");
    pieces.put(6, bytes("more"));
    let row = vec![
        Piece::Bytes(0, bytes("ab")),
        Piece::Bytes(2, bytes("next")),
        Piece::Bytes(6, bytes("more")),
        Piece::Skip(10..12),
        Piece::Bytes(20, bytes("high")),
    ];
    let (scattered, mut left) = taken(&mut pieces);
    assert_eq!((scattered, &left), (true, &row));
    // Half of the second went, and a gap is filled that lies behind it.
    left.remove(0);
    left[0].advance(2);
    pieces.give_back(4, &mut left.into());
    pieces.put(12, bytes("fill"));
    let starts: Vec<_> = taken(&mut pieces).1.iter().map(Piece::start).collect();
    assert_eq!(starts, [4, 6, 10, 12, 20]);
}

#[test]
fn what_was_written_is_not_skipped() {
    let mut pieces = Pieces::new(0..100);
    pieces.copy(b"ab");
    pieces.put(6, bytes("gh"));
    pieces.skip(1..10).unwrap();
    assert_eq!((pieces.queued(), pieces.end(), pieces.has_gaps()), (4, 10, false));
    let all = vec![
        Piece::Bytes(0, bytes("ab")),
        Piece::Skip(2..6),
        Piece::Bytes(6, bytes("gh")),
        Piece::Skip(8..10),
    ];
    assert_eq!(taken(&mut pieces), (true, all));
    pieces.copy(b"k");
    assert_eq!(taken(&mut pieces).1, [Piece::Bytes(10, bytes("k"))]);
}

#[test]
fn no_offset_is_taken_twice_nor_outside_of_the_body() {
    let mut pieces = Pieces::new(10..20);
    let outside = |offsets: Range<u64>| Err(WriteError::OutOfBounds { offsets, body: 10..20 });
    assert_eq!(pieces.is_free(&(9..11)), outside(9..11));
    assert_eq!(pieces.is_free(&(19..21)), outside(19..21));
    assert_eq!(pieces.skip(19..21), outside(19..21));
    assert_eq!(pieces.next(11), outside(10..21).map(|()| 0..0));
    assert_eq!(pieces.next(10), Ok(10..20));
    pieces.copy(b"ab");
    assert_eq!(pieces.is_free(&(11..13)), Err(WriteError::Overlap(11..13)));
    assert_eq!(pieces.is_free(&(12..13)), Ok(()));
    pieces.put(15, bytes("f"));
    assert_eq!(pieces.is_free(&(12..15)), Ok(()));
    for range in [12..16, 15..16, 14..18] {
        assert_eq!(pieces.is_free(&range), Err(WriteError::Overlap(range)));
    }
    assert_eq!(pieces.next(5), outside(16..21).map(|()| 0..0));
}
