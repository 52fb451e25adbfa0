//! Streams cut everywhere.

use alloc::vec::Vec;

use arbitrary::Unstructured;
use proptest::prelude::*;

use super::*;
use crate::path::ops::{Op, Script, run};
use crate::script::rest;

/// All datagrams of a stream that is read in pieces of the given sizes.
fn deframe(stream: &[u8], limit: u16, mut cuts: impl FnMut() -> usize) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::new(limit);
    let mut out = Vec::new();
    let mut rest = stream.to_vec();
    while !rest.is_empty() {
        let mut piece: Vec<u8> = rest.drain(..cuts().clamp(1, rest.len())).collect();
        let mut input = &mut piece[..];
        while let Some(datagram) = deframer.next(&mut input).unwrap() {
            out.push(datagram.to_vec());
        }
        assert!(input.is_empty());
    }
    assert_eq!(deframer.held(), 0);
    out
}

fn frame(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = Vec::new();
    for datagram in datagrams {
        stream.extend(frame_header(u16::try_from(datagram.len()).unwrap()));
        stream.extend(datagram);
    }
    stream
}

/// spec: R-TCP-1
#[test]
fn a_datagram_stands_behind_its_length() {
    let stream = b"\x00\x01a\x01\x00";
    let mut stream = stream.to_vec();
    stream.extend([7; 256]);
    let expected = [b"a".to_vec(), alloc::vec![7; 256]];
    assert_eq!(frame(&expected), stream);
    for piece in 1..=stream.len() {
        assert_eq!(deframe(&stream, u16::MAX, || piece), expected);
    }
    let longest = [alloc::vec![1; MAX_FRAME]];
    assert_eq!(deframe(&frame(&longest), u16::MAX, || 1_000), longest);
}

/// spec: R-TCP-2
#[test]
fn a_length_of_zero_ends_the_carrier() {
    let mut deframer = Deframer::new(1_500);
    let mut read = *b"\x00\x01a\x00\x00\x00\x01b";
    let mut input = &mut read[..];
    assert_eq!(deframer.next(&mut input).unwrap().as_deref(), Some(&b"a"[..]));
    assert_eq!(deframer.next(&mut input), Err(DeframeError::Empty));
    assert_eq!(deframer.next(&mut input), Err(DeframeError::Empty), "and stays ended");
    let mut more = *b"\x00\x01c";
    assert_eq!(deframer.next(&mut &mut more[..]), Err(DeframeError::Empty));

    // Also when the length itself is cut.
    let mut deframer = Deframer::new(1_500);
    assert_eq!(deframer.next(&mut &mut [0][..]), Ok(None));
    assert_eq!(deframer.next(&mut &mut [0][..]), Err(DeframeError::Empty));
}

/// spec: R-TCP-3
#[test]
fn a_length_above_the_limit_ends_the_carrier() {
    let mut deframer = Deframer::new(1_500);
    let error = DeframeError::TooLong { len: 1_501, limit: 1_500 };
    assert_eq!(deframer.next(&mut &mut frame_header(1_501)[..]), Err(error));
    assert_eq!(deframer.held(), 0);
    let mut deframer = Deframer::new(1_500);
    assert_eq!(deframer.next(&mut &mut frame_header(1_500)[..]), Ok(None));
}

/// spec: R-TCP-4
#[test]
fn a_length_allocates_nothing() {
    let mut deframer = Deframer::new(u16::MAX);
    assert_eq!(deframer.next(&mut &mut frame_header(u16::MAX)[..]), Ok(None));
    assert!(deframer.partial.capacity() < 64);
    assert_eq!(deframer.held(), 2);
    for held in 3..100 {
        assert_eq!(deframer.next(&mut &mut [1][..]), Ok(None));
        assert_eq!(deframer.held(), held);
        assert!(deframer.partial.capacity() < 4 * held);
    }
}

/// spec: R-TCP-5
#[test]
fn what_ends_inside_a_datagram_gives_no_datagram() {
    let stream = frame(&[alloc::vec![1; 10], alloc::vec![2; 10]]);
    for end in 0..stream.len() {
        let mut deframer = Deframer::new(1_500);
        let mut cut = stream[..end].to_vec();
        let mut input = &mut cut[..];
        let mut whole = 0;
        while deframer.next(&mut input).unwrap().is_some() {
            whole += 1;
        }
        assert_eq!(whole, end / 12);
        assert_eq!(deframer.held(), end % 12);
    }
}

/// spec: R-TCP-1
#[test]
fn a_whole_datagram_is_not_copied() {
    let mut stream = frame(&[alloc::vec![1; 10], alloc::vec![2; 10]]);
    let place = stream.as_ptr() as usize;
    let mut deframer = Deframer::new(1_500);
    let mut input = &mut stream[..];
    for at in [2, 14] {
        let datagram = deframer.next(&mut input).unwrap().unwrap();
        assert_eq!(datagram.as_ptr() as usize, place + at);
    }
    assert_eq!(deframer.partial.capacity(), 0);
}

proptest! {
    /// spec: R-TCP-1
    #[test]
    fn any_cuts_give_the_same_datagrams(
        datagrams in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 1..300), 0..20),
        cuts in proptest::collection::vec(1..700usize, 1..50),
    ) {
        let mut cuts = cuts.into_iter().cycle();
        let out = deframe(&frame(&datagrams), 300, || cuts.next().unwrap());
        prop_assert_eq!(out, datagrams);
    }

    /// spec: R-TCP-1, R-TCP-2, R-TCP-3, R-TCP-4
    #[test]
    fn any_bytes_are_taken_or_refused(
        limit in prop_oneof![Just(u16::MAX), 0..4_000_u16, any::<u16>()],
        steps in proptest::collection::vec((0..4_000_u16, 1..700_u16), 0..20),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        last in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut ops: Vec<_> =
            steps.into_iter().map(|(len, cut)| Op::Frame { len, cut }).collect();
        let any: Vec<Op> = rest(&mut Unstructured::new(&bytes)).expect("always");
        ops.push(Op::Bytes(last));
        ops.extend(any);
        run(&Script { limit, ops });
    }
}
