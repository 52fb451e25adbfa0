//! Bytes and values: packets, frames, handshake payloads, parameters.

use std::collections::BTreeSet;
use std::ops::Range;

use aqueduct_core::range_set::RangeSet;
use aqueduct_core::wire::ack::{AckFrame, EcnCounts, MAX_ACK_RANGES};
use aqueduct_core::wire::codec::Reader;
use aqueduct_core::wire::frame::{Frame, MAX_FRAMES, SentFrame, frames};
use aqueduct_core::wire::header::{Class, LongHeader, ShortHeader, classify};
use aqueduct_core::wire::hello::Hello;
use aqueduct_core::wire::id::PacketNumber;
use aqueduct_core::wire::long::LongPacket;
use aqueduct_core::wire::open::MAX_HEAD;
use aqueduct_core::wire::packet::{Allowance, PacketWriter};
use aqueduct_core::wire::params::Params;
use aqueduct_core::wire::route::{Answer, MAX_HOPS, Part, Route, Wanted};
use arbitrary::{Arbitrary, Unstructured};

/// The payload of a data packet: what decodes encodes again, to the same value.
pub fn frame(data: &[u8]) -> usize {
    let (mut count, mut decoded) = (0, 0);
    for read in frames(data) {
        count += 1;
        let Ok(frame) = read else { continue };
        decoded += 1;
        if let Frame::Ack(ack) = &frame {
            let ranges: Vec<_> = ack.ranges().collect();
            assert!((1..=MAX_ACK_RANGES).contains(&ranges.len()));
            assert!(ranges.windows(2).all(|two| matches!(two, [a, b] if b.end < a.start)));
        }
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        assert_eq!(bytes.len(), frame.encoded_len());
        let again = Frame::decode(&mut Reader::new(&bytes));
        match (&frame, &again) {
            (Frame::Ack(a), Ok(Frame::Ack(b))) => assert!(a.ranges().eq(b.ranges())),
            _ => assert_eq!(again.as_ref(), Ok(&frame)),
        }
    }
    assert!((1..=MAX_FRAMES + 1).contains(&count));
    decoded
}

/// A datagram: sorted without fail, and taken apart without loss.
pub fn packet(data: &[u8]) -> usize {
    match classify(data) {
        Class::Long(header) => assert_eq!(LongHeader::decode(&header.encode()), Ok(header)),
        Class::Short { dcid } => {
            assert_eq!(ShortHeader::decode(data).map(|header| header.dcid), Ok(dcid));
            return 1;
        }
        Class::Other => assert!(LongPacket::decode(data).is_err()),
    }
    if let Ok(packet) = LongPacket::decode(data) {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        assert_eq!(bytes, data);
        return 1;
    }
    0
}

/// Parameters: what decodes keeps the rules and comes back.
pub fn params(data: &[u8]) -> usize {
    let Ok(params) = Params::decode(data) else { return 0 };
    assert_eq!(params.check(), Ok(()));
    let mut bytes = Vec::new();
    params.encode(&mut bytes);
    assert_eq!(Params::decode(&bytes), Ok(params));
    1
}

/// A handshake payload: what decodes comes back, and is no longer than it was.
pub fn hello(data: &[u8]) -> usize {
    let Ok(hello) = Hello::decode(data) else { return 0 };
    let mut bytes = Vec::new();
    assert!(hello.encode(data.len(), &mut bytes));
    assert_eq!(Hello::decode(&bytes), Ok(hello));
    1
}

/// The heads of the streams that relays speak: what decodes comes back, in its shortest form.
pub fn route(data: &[u8]) -> usize {
    let mut steps = 0;
    let head = data.get(..MAX_HEAD).unwrap_or(data);
    if let Ok(route) = Route::decode(head) {
        assert!((1..=MAX_HOPS).contains(&(route.relays.len() + route.targets.len())));
        // What was read fits.
        let bytes = route.encode().unwrap_or_default();
        assert!(bytes.len() <= head.len());
        assert_eq!(Route::decode(&bytes), Ok(route));
        steps += 1;
    }
    if let Ok(answer) = Answer::decode(data) {
        assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        steps += 1;
    }
    if let Ok(wanted) = Wanted::decode(data) {
        assert_eq!(Wanted::decode(&wanted.encode()), Ok(wanted));
        steps += 1;
    }
    if let Ok(part) = Part::decode(data) {
        assert_eq!(Part::decode(&part.encode()), Ok(part));
        steps += 1;
    }
    steps
}

/// Legal frames made of the bytes, offered to a packet of a size that the first two bytes choose:
/// what was taken reads back, with its receipts, and never outgrows the packet.
pub fn writer(data: &[u8]) -> usize {
    let mut source = Unstructured::new(data);
    let Ok(capacity) = source.int_in_range(1..=1_500_usize) else { return 0 };
    let (mut buf, mut receipts, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    let mut packet = PacketWriter::new(&mut buf, 0, capacity, &mut receipts, Allowance::Everything);
    while !source.is_empty() {
        let Ok(frame) = Frame::arbitrary(&mut source) else { break };
        let room = packet.room();
        if packet.write(&frame) {
            taken.push(frame);
        } else {
            assert!(frame.encoded_len() > room);
            assert_eq!(packet.room(), room);
        }
    }
    let written = packet.finish();
    assert_eq!(written.len, buf.len());
    assert!(written.len <= capacity);
    assert_eq!(written.ack_eliciting, taken.iter().any(Frame::is_ack_eliciting));
    assert_eq!(receipts, taken.iter().filter_map(SentFrame::of).collect::<Vec<_>>());
    if taken.is_empty() {
        assert!(buf.is_empty());
        return 0;
    }
    // Runs of PADDING join, so they are left out. There are never more frames than a reader takes.
    let other = |frame: &&Frame<'_>| !matches!(frame, Frame::Padding { .. });
    let read: Result<Vec<_>, _> = frames(&buf).collect();
    assert!(read.is_ok(), "{read:?}");
    let read = read.unwrap_or_default();
    let mut expected = taken.iter().filter(other);
    assert!(read.iter().filter(other).all(|frame| expected.next() == Some(frame)));
    assert!(expected.next().is_none());
    taken.len()
}

/// Packet numbers that came, or are forgotten again, and how they are told.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Received {
    Came(u16, u8),
    Forgotten(u16, u8),
    /// An ACK of at most so many ranges into so many bytes.
    Told(u16, u16, Option<u8>),
}

/// Ranges of an ACK beside a set of numbers: those told are the highest, all that fit are told.
pub fn acks(data: &[u8]) -> usize {
    let (mut set, mut plain) = (RangeSet::new(), BTreeSet::new());
    let mut script: Vec<Received> = crate::ops(data);
    script.truncate(200);
    for received in &script {
        match *received {
            Received::Came(from, len) => {
                let range = u64::from(from)..u64::from(from) + u64::from(len);
                let before = plain.len();
                plain.extend(range.clone());
                assert_eq!(set.insert(range), (plain.len() - before) as u64);
            }
            Received::Forgotten(from, len) => {
                let range = u64::from(from)..u64::from(from) + u64::from(len);
                let before = plain.len();
                plain.retain(|number| !range.contains(number));
                assert_eq!(set.remove(range), (before - plain.len()) as u64);
            }
            Received::Told(most, room, ecn) => tell(&set, &plain, most, room, ecn),
        }
    }
    script.len()
}

fn tell(set: &RangeSet, plain: &BTreeSet<u64>, most: u16, room: u16, ecn: Option<u8>) {
    let ecn = ecn.map(u64::from).map(|ce| EcnCounts { ect0: ce * 7, ect1: ce / 2, ce });
    let ranges = runs(plain);
    assert!(set.iter().rev().eq(ranges.iter().cloned()));
    let mut scratch = Vec::new();
    let ack = AckFrame::from_ranges(set, 5, ecn, most.into(), &mut scratch);
    let most = usize::from(most).clamp(1, MAX_ACK_RANGES);
    match &ack {
        None => assert!(plain.is_empty()),
        Some(ack) => {
            assert_eq!(Some(&ack.largest.0), plain.last());
            assert!(ack.ranges().eq(ranges.iter().take(most).cloned()));
        }
    }
    let (mut bytes, mut receipts) = (Vec::new(), Vec::new());
    let room = usize::from(room % 1_500);
    let mut packet = PacketWriter::new(&mut bytes, 0, room, &mut receipts, Allowance::Everything);
    let written = packet.write_ack(set, 5, ecn, most);
    let len = packet.finish().len;
    assert!(written || len == 0);
    // A packet may be filled up with padding behind it.
    let Some(Ok(Frame::Ack(told))) = frames(&bytes).next().filter(|_| written) else {
        assert!(!written);
        return;
    };
    let count = told.ranges().count();
    assert!((1..=most).contains(&count) && len <= room);
    assert!(told.ranges().eq(ranges.iter().take(count).cloned()));
    assert_eq!((told.ecn, told.delay_us), (ecn, 5));
    assert_eq!(receipts, [SentFrame::Ack { largest: PacketNumber(told.largest.0) }]);
}

/// Numbers in a row, from the highest down.
fn runs(plain: &BTreeSet<u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for number in plain.iter().rev() {
        match runs.last_mut() {
            Some(run) if run.start == number + 1 => run.start = *number,
            _ => runs.push(*number..number + 1),
        }
    }
    runs
}
