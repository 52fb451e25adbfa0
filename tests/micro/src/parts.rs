//! The parts of a packet's way, each alone.

use std::hint::black_box;
use std::task::Poll;
use std::time::Duration;

use aqueduct_core::crypto::keys::PacketKeys;
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::crypto::provider::{Cipher, Provider};
use aqueduct_core::crypto::secrets::Secrets;
use aqueduct_core::handoff::{Options, channel};
use aqueduct_core::recovery::{
    AckTracker, DEFAULT_MAX_ACK_DELAY, Ledger, ReceivedPacket, Rtt, SentPacket, Settled,
};
use aqueduct_core::shaping::Tree;
use aqueduct_core::stream::{Assembler, Inserted};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::frame::{Frame, SentFrame, StreamFrame, frames};
use aqueduct_core::wire::header::{SHORT_HEADER_LEN, TAG_LEN};
use aqueduct_core::wire::id::{PacketNumber, PathId, Side, StreamId};
use aqueduct_core::wire::packet::{Allowance, PacketWriter};
use bytes::Bytes;

const FRAGMENT: usize = 1_364;

/// Fragments in order, each read when ten are there. Returns their number.
pub(crate) fn assembler(count: u64) -> u64 {
    let (mut assembler, data) = (Assembler::new(), vec![7; FRAGMENT]);
    for at in 0..count {
        let inserted = assembler.insert(at * FRAGMENT as u64, &data, 1_000);
        assert_eq!(inserted, Inserted::Fresh(FRAGMENT as u64));
        if at % 10 == 9 {
            while let Some(chunk) = assembler.read(usize::MAX) {
                black_box(chunk);
            }
        }
    }
    count
}

/// Fragments in tens, each ten shuffled: 0, 3, 6, 9, 2, 5, 8, 1, 4, 7. What can be read is read
/// behind each. Returns their number.
pub(crate) fn shuffled(count: u64) -> u64 {
    let (mut assembler, data) = (Assembler::new(), vec![7; FRAGMENT]);
    for at in 0..count {
        let place = at - at % 10 + at % 10 * 3 % 10;
        let inserted = assembler.insert(place * FRAGMENT as u64, &data, 1_000);
        assert_eq!(inserted, Inserted::Fresh(FRAGMENT as u64));
        while let Some(chunk) = assembler.read(usize::MAX) {
            black_box(chunk);
        }
    }
    count
}

/// Fragments in order through the lock-free hand-over, each taken when ten are there.
pub(crate) fn handoff(count: u64) -> u64 {
    let (mut producer, mut reader) = channel::<()>(Options::default(), ());
    let data = Bytes::from(vec![7; FRAGMENT]);
    for at in 0..count {
        producer.push(data.clone()).expect("open");
        if at % 10 == 9 {
            while let Poll::Ready(found) = reader.try_next() {
                _ = black_box(found);
            }
            black_box(producer.take_released());
        }
    }
    count
}

/// Turns of a hundred peers under a limit, a datagram each.
pub(crate) fn shaping(count: u64) -> u64 {
    let mut now = Instant::ZERO;
    let mut tree = Tree::new(FRAGMENT as u64, Duration::from_millis(1));
    tree.set_node(Some(1_000_000), now);
    (0..100_u32).for_each(|peer| tree.wait(peer, peer));
    for _ in 0..count {
        let turn = loop {
            match tree.turn(now) {
                Some(turn) => break turn,
                None => now = tree.deadline().expect("somebody waits"),
            }
        };
        tree.sent(Some(turn.peer), turn.first, FRAGMENT as u64, now);
        tree.end_turn();
    }
    count
}

/// Packets that arrive, every tenth missing, and an ACK for each second.
pub(crate) fn acks(count: u64) -> u64 {
    let mut acks = AckTracker::new(DEFAULT_MAX_ACK_DELAY);
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    for at in 0..count {
        let number = PacketNumber(at + at / 9);
        let now = Instant::from_nanos(1 + at * 10_000);
        acks.on_packet(ReceivedPacket { number, ack_eliciting: true, ecn: None }, now);
        if acks.is_due(now) {
            buf.clear();
            receipts.clear();
            write_acks(&mut acks, &mut buf, &mut receipts, now);
            if at % 64 == 0 {
                acks.on_acked(number);
            }
        }
    }
    count
}

fn write_acks(
    acks: &mut AckTracker,
    buf: &mut Vec<u8>,
    receipts: &mut Vec<SentFrame>,
    now: Instant,
) {
    let mut packet = PacketWriter::new(buf, 0, 1_171, receipts, Allowance::AcksOnly);
    acks.write(&mut packet, now);
    assert!(packet.finish().len > 0);
}

/// Packets in flight, at most ten, and the ACK of each ten.
pub(crate) fn ledger(count: u64) -> u64 {
    let path = PathId(0);
    let (mut ledger, mut acks) = (Ledger::new(), AckTracker::new(DEFAULT_MAX_ACK_DELAY));
    let (mut rtt, mut settled) = (Rtt::new(), Settled::default());
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    for at in 0..count {
        let now = Instant::from_nanos(1 + at * 10_000);
        let number = ledger.next_number();
        receipts.push(SentFrame::MaxData(at));
        let sent = SentPacket { number, path, size: 1_452, ack_eliciting: true, mtu_probe: false };
        ledger.on_sent(sent, &mut receipts, now);
        acks.on_packet(ReceivedPacket { number, ack_eliciting: true, ecn: None }, now);
        if at % 10 < 9 {
            continue;
        }
        buf.clear();
        write_acks(&mut acks, &mut buf, &mut receipts, now);
        receipts.clear();
        let now = now + Duration::from_micros(20);
        for frame in frames(&buf) {
            let Ok(Frame::Ack(ack)) = frame else { continue };
            settled.clear();
            ledger.on_ack(&ack, &mut settled, now).expect("all was sent");
            for sample in settled.paths.iter().filter_map(|outcome| outcome.rtt) {
                rtt.on_sample(sample.latest, sample.ack_delay, DEFAULT_MAX_ACK_DELAY);
            }
            ledger.detect_losses(path, &rtt, &mut settled, now);
        }
        acks.on_acked(number);
    }
    assert_eq!(ledger.stats().acked, count - count % 10);
    count
}

/// Packets with a STREAM frame and some control, written and read.
pub(crate) fn frame_codec(count: u64) -> u64 {
    let (mut buf, mut receipts) = (Vec::new(), Vec::new());
    let data = vec![7; FRAGMENT];
    for at in 0..count {
        buf.clear();
        receipts.clear();
        let mut packet =
            PacketWriter::new(&mut buf, 0, 1_427, &mut receipts, Allowance::Everything);
        assert!(packet.write(&Frame::MaxData { limit: 1 << 20 | at }));
        let (id, offset) = (StreamId(4), at * FRAGMENT as u64);
        let room = packet.stream_room(id, offset).min(FRAGMENT);
        let frame = StreamFrame { id, offset, data: &data[..room], fin: false };
        assert!(packet.write_stream(frame));
        assert!(packet.finish().ack_eliciting);
        let read = frames(&buf).map(|frame| frame.expect("it is whole"));
        assert_eq!(read.map(black_box).count(), 2);
    }
    count
}

/// Packets of 1,452 bytes, sealed by one side and opened by the other.
pub(crate) fn seal_open(count: u64) -> u64 {
    let secrets = Secrets { i2r: [1; 32], r2i: [2; 32], exporter: [3; 32] };
    let [mut here, mut there] = [Side::Initiator, Side::Responder].map(|side| {
        let cipher = Cipher::Aes256Gcm;
        PacketKeys::new(Provider::AwsLc, cipher, side, &secrets, KeyLimits::default())
    });
    let mut packet = vec![7; 1_452];
    assert!(packet.len() > SHORT_HEADER_LEN + TAG_LEN);
    for at in 0..count {
        let now = Instant::from_nanos(1 + at * 10_000);
        here.seal(&mut packet, now).expect("within its limits");
        there.open(&mut packet, Duration::from_millis(50), now).expect("it is authentic");
    }
    count
}
