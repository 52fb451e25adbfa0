//! How segments and tapes end (spec 22.4 and 22.5): what a segment says of itself, and a thing that
//! is too large for a record.

use aqueduct_core::endpoint::{CarrierKind, Datagram, Endpoint, Output};
use aqueduct_core::rng::Seed;
use aqueduct_core::tape::{Ending, Payload, TapeOptions};
use aqueduct_core::time::Instant;
use aqueduct_core::trace::{self, Difference, Divergence, Replay, Tail, Trace};
use aqueduct_core::wire::id::CarrierId;
use aqueduct_tests::tapes::{again, end, mended, small};

use crate::transfer::config;

fn differs(result: Result<trace::Summary, Divergence>) -> Difference {
    match result {
        Err(Divergence::Differs(difference)) => *difference,
        other => panic!("no difference: {other:?}"),
    }
}

/// The records are what they were, and what their segment says of them is not: both numbers, or
/// both chains, are told.
///
/// spec: R-TAPE-11
#[test]
fn a_segment_that_says_something_else_of_itself_is_told() {
    let [tape, _] = small(Payload::Full);
    let last = Trace::open(&tape).unwrap().segments().last().unwrap();
    let (count, chain) = (last.count, last.chain);
    let records: u32 = Trace::open(&tape).unwrap().segments().map(|segment| segment.count).sum();
    let until = again(&tape).until;
    // Of the head of the segment, the number of its records; behind them, the chain.
    let (count_at, chain_at) = (last.offset - 8, last.offset + last.records.len());
    let changed = |at: usize, bytes: &[u8]| {
        let mut other = tape.clone();
        other[at..at + bytes.len()].copy_from_slice(bytes);
        mended(&other)
    };
    assert_eq!(changed(count_at, &count.to_be_bytes()), tape, "that is where it stands");
    assert_eq!(changed(chain_at, &chain.to_be_bytes()), tape, "that is where it stands");
    let difference = differs(trace::replay(&changed(chain_at, &(!chain).to_be_bytes())));
    assert_eq!((difference.step, difference.time), (u64::from(records), until));
    let said = |chain| format!("a segment ends with {chain:016x} as its chain of outputs");
    assert_eq!((difference.expected, difference.actual), (said(!chain), said(chain)));
    let difference = differs(trace::replay(&changed(count_at, &(count + 1).to_be_bytes())));
    assert_eq!((difference.step, difference.time), (u64::from(records), until));
    let said = |count| format!("a segment of {count} records ends");
    assert_eq!((difference.expected, difference.actual), (said(count + 1), said(count)));
}

/// Where tags cannot be compared, the chain over them cannot; the number of records can.
///
/// spec: R-TAPE-11 R-RPT-3
#[test]
fn without_tags_the_chain_is_not_compared_and_the_number_is() {
    let [tape, _] = small(Payload::Referenced);
    let first = Trace::open(&tape).unwrap().segments().next().unwrap();
    let replay = |at: usize| {
        let mut other = tape.clone();
        other[at] ^= 1;
        Replay::of(&mended(&other)).unwrap().with_zeros().run()
    };
    assert!(replay(first.offset + first.records.len()).is_ok());
    assert!(differs(replay(first.offset - 5)).expected.contains(" records ends"));
}

/// A datagram of 1 GiB and a byte, of which nobody touches more than the first page.
///
/// spec: R-TAPE-14
#[test]
fn a_thing_that_is_too_large_ends_the_tape_and_nothing_else() {
    let mut endpoint = Endpoint::recorded(config(1), Seed::from_u64(1), &TapeOptions::default());
    let (carrier, now) = (CarrierId(0), Instant::from_nanos(5));
    let kind = CarrierKind::Udp { max_segments: 1, max_datagram: 1452 };
    endpoint.carrier_opened(carrier, kind, now);
    let mut huge = vec![0; (1 << 30) + 1];
    let mut come = |endpoint: &mut Endpoint, len: usize| {
        let (remote, bytes) = (([10, 0, 0, 9], 1).into(), &mut huge[..len]);
        let (local, ecn, segment) = (None, None, None);
        endpoint.handle_datagram(Datagram { carrier, remote, local, ecn, segment, bytes }, now);
    };
    come(&mut endpoint, 1_200);
    assert_eq!(endpoint.tape().unwrap().ended, None);
    come(&mut endpoint, (1 << 30) + 1);
    let status = endpoint.tape().unwrap();
    assert_eq!(status.ended, Some(Ending::TooLarge));
    assert!(status.waiting < 4_000, "{status:?}");
    // The endpoint goes on, and of that nothing is recorded.
    come(&mut endpoint, 1_200);
    assert!(matches!(endpoint.poll(&mut Vec::new(), now), Output::Wait(None)));
    assert_eq!(endpoint.stats().datagrams, 3);
    assert_eq!(endpoint.tape().unwrap(), status);
    let tape = end(&mut endpoint);
    let summary = again(&tape);
    assert_eq!(summary.tail, Tail::Ended(Ending::TooLarge));
    assert_eq!((summary.received, summary.records), ((1, 1_200), 3));
    assert!(!summary.is_whole());
}
