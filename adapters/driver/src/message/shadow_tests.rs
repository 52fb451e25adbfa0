//! Tests of `shadow.rs`.

use std::task::{Context, Poll, Waker};

use aqueduct_core::handoff::{Options, channel};
use aqueduct_core::stream::StreamProtocol;

use super::*;

fn pieces(read: &[&'static [u8]]) -> Vec<Bytes> {
    read.iter().map(|piece| Bytes::from_static(piece)).collect()
}

/// spec: R-MODE-12
#[test]
fn a_difference_is_counted_and_its_offset_found() {
    let counters = MessageCounters::default();
    let counted = || counters.snapshot().streaming_mismatches_total;
    compare(StreamId(4), 0, &pieces(&[b"one", b" two"]), b"one two", &counters);
    assert_eq!(counted(), 0);
    for (read, whole, at) in [
        (&[&b"one"[..], b" two"][..], &b"one Two"[..], 4),
        (&[b"o", b"ne"], b"one two", 3),
        (&[b"one", b" two"], b"", 0),
        (&[b"one", b" two"], b"one ", 4),
        (&[b"one"], b"two", 0),
        (&[], b"two", 0),
    ] {
        let (read, before) = (pieces(read), counted());
        assert_eq!(first_difference(&read, whole), Some(at), "{read:?}");
        compare(StreamId(4), 0, &read, whole, &counters);
        assert_eq!(counted(), before + 1);
    }
}

/// What a reader of the hand-over finds when the driver pushes `pushed`.
fn through_the_hand_over(pushed: &[Bytes]) -> Vec<Bytes> {
    let (mut producer, mut reader) = channel(Options::default(), ());
    let _taken = producer.push_all(pushed.iter().cloned());
    let end = pushed.iter().map(|chunk| chunk.len() as u64).sum();
    let _said = producer.finish(end);
    let mut cx = Context::from_waker(Waker::noop());
    let mut read = Vec::new();
    while let Poll::Ready(Some(Ok(chunk))) = reader.poll_chunk(&mut cx, 1000) {
        read.push(chunk);
    }
    read
}

fn witnessed(size: u64, chunks: &[Bytes]) -> Bytes {
    let witness = Witness::new(size);
    let mut offset = 0;
    for chunk in chunks {
        witness.saw(offset, chunk);
        offset += chunk.len() as u64;
    }
    witness.take().expect("nobody has it").bytes
}

/// spec: R-MODE-12
#[test]
fn a_fault_planted_in_either_path_is_found_where_it_is() {
    let body: Vec<u8> = (0..10_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let came: Vec<Bytes> = body.chunks(1_200).map(Bytes::copy_from_slice).collect();
    let mut altered = came.clone();
    let mut chunk = altered[5].to_vec();
    chunk[17] ^= 1;
    altered[5] = chunk.into();
    let mut lost = came.clone();
    lost.remove(3);
    let mut cut = came.clone();
    cut.pop();
    let counters = MessageCounters::default();
    for (streamed, whole, at) in [
        (&came, &came, None),
        (&altered, &came, Some(5 * 1_200 + 17)),
        (&came, &altered, Some(5 * 1_200 + 17)),
        (&lost, &came, Some(3 * 1_200)),
        (&came, &lost, Some(3 * 1_200)),
        (&cut, &came, Some(8 * 1_200)),
        (&came, &cut, Some(8 * 1_200)),
    ] {
        let before = counters.snapshot().streaming_mismatches_total;
        let (read, whole) = (through_the_hand_over(streamed), witnessed(10_000, whole));
        assert_eq!(first_difference(&read, &whole), at);
        compare(StreamId(4), 0, &read, &whole, &counters);
        let found = counters.snapshot().streaming_mismatches_total - before;
        assert_eq!(found, u64::from(at.is_some()));
    }
}

#[test]
fn a_witness_keeps_no_more_than_the_body_in_whatever_order() {
    let witness = Witness::new(5);
    witness.saw(3, b"de, and a digest");
    witness.saw(8, b"more");
    witness.saw(0, b"abc");
    witness.saw(u64::MAX, b"far");
    assert!(witness.is_overfull());
    let seen = witness.take().expect("nobody has it");
    assert_eq!((seen.bytes, seen.len), ("abcde".into(), u64::MAX));
    assert!(witness.take().is_none(), "once");
}

fn info(number: u64, size: Option<u64>, digest: Option<[u8; 32]>) -> OpenOptions {
    let mut info = OpenOptions::new(StreamProtocol::Number(number));
    (info.size, info.digest) = (size, digest);
    info
}

/// spec: R-MODE-12 R-MODE-16
#[test]
fn a_shadow_watches_messages_that_are_put_together_and_other_streams_until_they_are_read() {
    let on = Streaming { streaming_shadow: true, ..Streaming::default() };
    let (threshold, largest) = (on.streaming_threshold, 1 << 20);
    let message = |size, digest| witness(Some(&info(2, size, digest)), &on, largest);
    assert!(message(Some(threshold), None).is_none() && message(None, None).is_none());
    assert!(message(Some(largest + 1), None).is_none());
    let most = |witness: Option<Arc<Witness>>| witness.expect("it is watched").most as u64;
    assert_eq!(most(message(Some(largest), None)), largest + 32);
    assert_eq!(most(message(Some(largest), Some([7; 32]))), largest);
    assert!(witness(Some(&info(2, Some(largest), None)), &Streaming::default(), largest).is_none());
    assert!(witness(None, &Streaming::default(), largest).is_none());
    for other in [Some(&info(9, Some(5), None)), Some(&info(9, None, None)), None] {
        let watched = witness(other, &on, largest).expect("it is watched");
        watched.saw(0, b"first bytes");
        watched.let_go();
        watched.saw(11, b"more");
        assert!(lock(&watched.kept).bytes.is_empty() && watched.take().is_none());
    }
}
