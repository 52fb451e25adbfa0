use core::time::Duration;
use std::vec::Vec;

use bytes::Bytes;

use super::Fingerprint;
use crate::config::EndpointConfig;
use crate::crypto::identity::NodeKey;
use crate::crypto::keys::PacketKeys;
use crate::crypto::limits::KeyLimits;
use crate::crypto::provider::Cipher;
use crate::crypto::replay::ReplayWindow;
use crate::crypto::secrets::Secrets;
use crate::crypto::test_support::providers;
use crate::endpoint::{CarrierKind, Endpoint, PeerAddr};
use crate::flow::{Budget, BudgetLimits, RecvCredit, RecvLimits, SendCredit};
use crate::message::{
    DatagramLimits, Datagrams, Delivery, MessageLimits, Messages, Outgoing, Queued,
};
use crate::path::Deframer;
use crate::recovery::{AckTracker, Ledger, ReceivedPacket, SentPacket};
use crate::rng::Seed;
use crate::stream::{Assembler, Priority, SendBuffer};
use crate::time::Instant;
use crate::wire::id::{CarrierId, CreditTarget, Dir, PacketNumber, PathId, Side, StreamId};

type Step<M> = fn(&mut M);

/// Each step changes the fingerprint, and a clone that takes the same steps has the same ones.
fn distinct<M: Clone + core::hash::Hash>(mut machine: M, steps: &[Step<M>]) -> Vec<[u8; 32]> {
    let mut clone = machine.clone();
    let mut seen = Vec::from([machine.fingerprint()]);
    for (at, step) in steps.iter().enumerate() {
        step(&mut machine);
        assert_eq!(clone.fingerprint(), seen[at], "the clone lives its own life");
        step(&mut clone);
        assert_eq!(clone.fingerprint(), machine.fingerprint(), "step {at}");
        assert_ne!(machine.fingerprint(), seen[at], "step {at} leaves no trace");
        seen.push(machine.fingerprint());
    }
    seen
}

const fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

#[test]
fn streams() {
    distinct(
        SendBuffer::new(0),
        &[
            |b| b.append(Bytes::from_static(b"text")).expect("room"),
            |b| b.write_at(10, Bytes::from_static(b"text")).expect("room"),
            |b| b.skip(20..30).expect("free"),
            |b| b.finish().expect("once"),
            |b| b.truncate(4),
        ],
    );
    distinct(
        Assembler::new(),
        &[
            |a| _ = a.insert(4, b"late", 9),
            |a| _ = a.insert(0, b"soon", 9),
            |a| _ = a.skip(8..9, 9),
            |a| _ = a.read(3),
            |a| _ = a.take_any(9),
        ],
    );
}

#[test]
fn recovery() {
    let packet = |number, ack_eliciting| ReceivedPacket {
        number: PacketNumber(number),
        ack_eliciting,
        ecn: None,
    };
    let mut tracker = AckTracker::new(Duration::from_millis(25));
    tracker.on_packet(packet(0, false), at(0));
    distinct(
        tracker,
        &[
            |t| {
                t.on_packet(
                    ReceivedPacket { number: PacketNumber(4), ack_eliciting: true, ecn: None },
                    at(1),
                )
            },
            |t| {
                t.on_packet(
                    ReceivedPacket { number: PacketNumber(2), ack_eliciting: true, ecn: None },
                    at(2),
                )
            },
            |t| t.on_acked(PacketNumber(2)),
        ],
    );
    distinct(
        Ledger::new(),
        &[
            |l| sent(l, 0, true),
            |l| sent(l, 1, false),
            |l| sent(l, 3, true),
            |l| l.set_patience(Duration::from_secs(1)),
        ],
    );
}

fn sent(ledger: &mut Ledger, number: u64, ack_eliciting: bool) {
    let number = PacketNumber(number);
    let packet =
        SentPacket { number, path: PathId(0), size: 1200, ack_eliciting, mtu_probe: false };
    ledger.on_sent(packet, &mut Vec::new(), at(number.0));
}

#[test]
fn credit() {
    distinct(
        SendCredit::new(CreditTarget::Connection, 10),
        &[|c| c.consume(10), SendCredit::on_blocked, |c| _ = c.on_max(20), |c| c.on_recall(3)],
    );
    let mut budget = Budget::new(BudgetLimits::default());
    let share = budget.open().expect("a place");
    let credit = RecvCredit::new(share, Side::Responder, RecvLimits::default());
    let id = StreamId::new(Side::Initiator, Dir::Uni, 0);
    let stream = RecvCredit::open_peer(&mut credit.clone(), id).expect("allowed");
    distinct(
        (credit, stream, budget),
        &[
            |(c, _, _)| _ = c.open_peer(StreamId::new(Side::Initiator, Dir::Uni, 0)),
            |(c, s, b)| _ = s.on_data(1000, c, b, at(3)).expect("inside"),
            |(c, s, b)| s.release(500, c, b, at(4)),
            |(c, s, b)| s.request(1 << 20, c, b),
            |(c, _, b)| assert!(c.try_hold(64, b)),
            |(c, s, b)| c.ask_back(u64::MAX, [s], b),
            |(c, s, b)| s.on_final(1000, c, b, at(5)).expect("an end"),
            |(_, _, b)| _ = b.open(),
        ],
    );
}

fn queue(datagrams: &mut Datagrams, data: &'static [u8], delivery: Delivery) {
    let queued = datagrams.send(Bytes::from_static(data), delivery, 1200, Instant::ZERO);
    assert_eq!(queued, Ok(Queued::Kept));
}

#[test]
fn messages_and_framing() {
    let mut datagrams = Datagrams::new(DatagramLimits::default());
    datagrams.set_peer_max_size(1000);
    distinct(
        datagrams,
        &[
            |d| queue(d, b"one", Delivery::new()),
            |d| queue(d, b"two", Delivery::new()),
            |d| queue(d, b"two", Delivery::new().priority(Priority::Bulk)),
            |d| queue(d, b"two", Delivery::new().max_age(Duration::from_secs(1))),
            |d| d.pass_turn(Priority::Normal),
            |d| d.set_peer_max_size(2),
        ],
    );
    distinct(
        Messages::new(MessageLimits::default()),
        &[
            |m| _ = m.on_open(&message(1), at(0)).expect("room"),
            |m| _ = m.on_open(&message(2), at(0)).expect("room"),
            |m| _ = m.on_progress(message(1).id, 3, 3, None, at(1)).expect("fine"),
            |m| _ = m.on_progress(message(1).id, 4, 4, Some(4), at(2)).expect("fine"),
            |m| _ = m.on_reset(message(2).id),
            |m| assert_eq!(m.take_whole(), Some(message(1).id)),
        ],
    );
    distinct(
        Deframer::new(100),
        &[
            |d| assert_eq!(d.next(&mut &mut [0][..]), Ok(None)),
            |d| assert_eq!(d.next(&mut &mut [9][..]), Ok(None)),
            |d| assert!(d.next(&mut &mut [1; 9][..]).is_ok()),
            |d| assert!(d.next(&mut &mut [0, 0][..]).is_err()),
        ],
    );
}

fn message(sequence: u64) -> crate::wire::open::OpenFrame<'static> {
    let outgoing = Outgoing::new(Bytes::from_static(b"text"), 4).expect("small");
    outgoing.open(StreamId::new(Side::Initiator, Dir::Uni, sequence))
}

#[test]
fn keys_and_the_replay_window() {
    distinct(
        ReplayWindow::default(),
        &[
            |w| _ = w.accept(PacketNumber(3)),
            |w| _ = w.accept(PacketNumber(1)),
            |w| w.grow_to(2048),
            |w| _ = w.accept(PacketNumber(9000)),
        ],
    );
    let prints = providers().into_iter().map(|provider| {
        let secrets = Secrets { i2r: [1; 32], r2i: [2; 32], exporter: [3; 32] };
        let cipher = Cipher::ChaCha20Poly1305;
        let limits = KeyLimits::default();
        distinct(
            PacketKeys::new(provider, cipher, Side::Initiator, &secrets, limits),
            &[
                |k| _ = k.seal(&mut [0; 40], at(1)).expect("a number"),
                PacketKeys::on_confirmed,
                |k| _ = k.skip_number(),
                |k| assert!(k.open(&mut [0x40; 40], Duration::ZERO, at(2)).is_err()),
            ],
        )
    });
    let prints: Vec<_> = prints.collect();
    assert!(prints.windows(2).all(|two| two[0] == two[1]), "the provider shows");
}

#[test]
fn a_whole_endpoint() {
    let config = EndpointConfig::new(NodeKey::from_seed(&[1; 32]));
    let endpoint = Endpoint::new(config.clone(), Seed::from_u64(1));
    assert_ne!(
        endpoint.fingerprint(),
        Endpoint::new(config, Seed::from_u64(2)).fingerprint(),
        "another seed"
    );
    distinct(
        endpoint,
        &[
            |e| {
                let kind = CarrierKind::Udp { max_segments: 1, max_datagram: 1452 };
                e.carrier_opened(CarrierId(0), kind, at(1));
            },
            |e| {
                let remote = ([192, 0, 2, 1], 7).into();
                let to = PeerAddr { id: None, remote, carrier: CarrierId(0) };
                e.connect(to, at(1)).expect("room");
            },
            |e| _ = e.poll(&mut Vec::new(), at(1)),
            |e| _ = e.poll(&mut Vec::new(), at(1)),
            |e| _ = e.poll(&mut Vec::new(), at(5000)),
            |e| e.carrier_blocked(CarrierId(0), at(5001)),
        ],
    );
}
