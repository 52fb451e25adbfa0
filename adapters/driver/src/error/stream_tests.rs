//! Tests of `stream.rs`.

use super::*;

/// Every code of the protocol's own has its error, which says where it happened; an application's
/// code stays what it is.
#[test]
fn a_code_keeps_its_meaning_and_its_distance() {
    let mut seen = Vec::new();
    for number in 1..=11 {
        let code = AppCode(StreamCode::BASE + number);
        let known = StreamCode::of(code).expect("a code of the protocol");
        assert_eq!(known.app(), code);
        let (near, far) = (StreamError::of(code, 0), StreamError::of(code, 3));
        assert_ne!(near, far, "the distance is lost");
        assert_eq!(StreamError::of_protocol(code, 3).as_ref(), Some(&far));
        let said = far.to_string();
        assert!(said.contains("3 relays"), "{said}");
        assert!(!seen.contains(&far), "{far:?} is two codes");
        seen.push(far);
    }
    for code in [0, 1, StreamCode::BASE, StreamCode::BASE + 12] {
        let code = AppCode(code);
        assert_eq!(StreamError::of(code, 2), StreamError::Reset { code, hop: Some(2) });
        assert_eq!(StreamError::of_protocol(code, 2), None);
    }
}

#[test]
fn what_a_node_knows_itself_is_filled_in() {
    let lost = StreamError::from(ConnectionError::DriverGone).at(5, 9);
    assert_eq!(lost, StreamError::ConnectionLost { received: Some(5), total: Some(9), hop: None });
    assert_eq!(lost.to_string(), "a connection was lost after 5 bytes of 9");
    let stuck = StreamError::of_stuck(Stuck::Timeout);
    assert_eq!(stuck, StreamError::Timeout { hop: None });
    for (buffered, limit, words) in [
        (800, 1000, "the stream held 800 bytes out of order, near the limit of 1000"),
        (800, 9000, "the stream held 800 bytes out of order, in nearly as many ranges as it may"),
    ] {
        assert_eq!(StreamError::of_stuck(Stuck::Overflow { buffered, limit }).to_string(), words);
    }
    let told = StreamError::of(StreamCode::BufferOverflow.app(), 0);
    // What is not known is nowhere a number.
    assert_eq!(told, StreamError::BufferOverflow { buffered: None, limit: None, hop: Some(0) });
    assert_eq!(told.to_string(), "the stream held too much out of order, says the peer");
    let code = StreamCode::WrongSize.app();
    let size = StreamError::of(code, 1).at(5, 9);
    assert_eq!(size, StreamError::WrongSize { announced: Some(9), given: None, hop: Some(1) });
}

/// What a node was not told is no number in the words of an error.
#[test]
fn an_error_says_no_number_that_nobody_knows() {
    for (announced, given, words) in [
        (Some(9), Some(5), "5 bytes where 9 were announced"),
        (Some(9), None, "another number of bytes than the 9 that were announced"),
        (None, Some(5), "5 bytes, and not as many as were announced"),
        (None, None, "another number of bytes than was announced"),
    ] {
        assert_eq!(StreamError::WrongSize { announced, given, hop: None }.to_string(), words);
    }
    for (received, total, words) in [
        (Some(0), Some(9), "a connection was lost after 0 bytes of 9"),
        (Some(0), None, "a connection was lost after 0 bytes"),
        (None, Some(9), "a connection was lost"),
        (None, None, "a connection was lost"),
    ] {
        assert_eq!(StreamError::ConnectionLost { received, total, hop: None }.to_string(), words);
    }
    let told = [StreamCode::WrongSize, StreamCode::ConnectionLost]
        .map(|code| StreamError::of(code.app(), 0).to_string());
    let words = "another number of bytes than was announced, says the peer";
    assert_eq!(told, [words, "a connection was lost, says the peer"]);
    let writes = StreamError::from(WriteError::Connection(ConnectionError::DriverGone));
    assert_eq!(
        writes,
        StreamError::ConnectionLost { received: None, total: None, hop: None },
        "who writes receives nothing"
    );
}
