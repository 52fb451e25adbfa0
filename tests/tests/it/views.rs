//! What is seen of a tape (spec 24.1), held against the other end's tape and the endpoint itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aqueduct_core::config::{EndpointConfig, TransportConfig};
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::crypto::limits::KeyLimits;
use aqueduct_core::tape::Payload;
use aqueduct_core::trace::{
    self, Content, Depth, Divergence, Packet, Replay, Seen, Tail, TraceError, View, Watch, Way,
};
use aqueduct_core::wire::frame::Frame;
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::{Pair, Reading};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::Net;
use aqueduct_tests::tapes::{again, end, mended, small};
use aqueduct_tests::world::World;

fn watch(tape: &[u8]) -> Vec<View<'_>> {
    Watch::of(tape).unwrap().map(|view| view.unwrap()).collect()
}

fn packets(views: &[View<'_>], way: Way) -> Vec<Packet> {
    let packets = views.iter().filter_map(|view| match &view.what {
        Seen::Packet(packet) if packet.way == way => Some(packet.clone()),
        _ => None,
    });
    packets.collect()
}

/// Number and frames of the packets that were opened.
fn opened(packets: &[Packet]) -> BTreeMap<u64, Vec<u8>> {
    let content = |packet: &Packet| match &packet.content {
        Content::Data { number, payload, .. } => Some((number.0, payload.clone())),
        _ => None,
    };
    packets.iter().filter_map(content).collect()
}

fn numbers(views: &[View<'_>], pick: fn(&Seen<'_>) -> Option<Vec<u64>>) -> Vec<u64> {
    views.iter().filter_map(|view| pick(&view.what)).flatten().collect()
}

fn acked(seen: &Seen<'_>) -> Option<Vec<u64>> {
    let Seen::Acked(_, numbers) = seen else { return None };
    Some(numbers.iter().map(|number| number.0).collect())
}

fn lost(seen: &Seen<'_>) -> Option<Vec<u64>> {
    let Seen::Lost(_, numbers) = seen else { return None };
    Some(numbers.iter().map(|number| number.0).collect())
}

/// Nobody has a key for the datagram that ends a connection whose peer forgot it, and it is no
/// secret.
///
/// spec: R-RPT-2
#[test]
fn a_stateless_reset_is_seen_as_one() {
    let mut net = Net::new(3, LinkConfig::default());
    net.tapes.payload = Some(Payload::Full);
    let config = |key| EndpointConfig::new(NodeKey::from_seed(&[key; 32]));
    let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
    let mut pair = Pair::connect(net, a, b);
    pair.net.restart(b, config(2), 2);
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 2, 10_000);
    let at_a = pair.at_a;
    assert!(pair.run(Duration::from_secs(5), |_, a, _| a.diary(at_a).closed.is_some()));
    let tape = end(&mut pair.net.host(a).endpoint);
    let came = packets(&watch(&tape), Way::Received);
    let resets: Vec<_> = came.iter().filter(|packet| packet.content == Content::Reset).collect();
    assert_eq!(resets.len(), 1, "{came:?}");
    assert_eq!(resets[0].connection, Some(at_a.parts()));
    // Those that followed were no longer anybody's.
    let sealed = came.iter().filter(|packet| packet.content == Content::Sealed).count();
    assert_eq!(sealed as u64 + 1, pair.net.host(a).endpoint.stats().strays);
}

/// What one end saw itself send is what the other end saw come, packet by packet.
///
/// spec: R-RPT-1 R-RPT-2
#[test]
fn both_ends_see_the_same_packets() {
    let tapes = small(Payload::Full);
    let views = tapes.each_ref().map(|tape| watch(tape));
    let mut lost = 0;
    for (here, there) in [(0, 1), (1, 0)] {
        let sent = packets(&views[here], Way::Sent);
        let came = packets(&views[there], Way::Received);
        assert!(sent.iter().all(|packet| packet.content != Content::Sealed), "{sent:?}");
        let (sent, came) = (opened(&sent), opened(&came));
        assert!(sent.len() > 5 && came.len() > 5, "{} {}", sent.len(), came.len());
        lost += sent.len() - came.len();
        for (number, payload) in &came {
            assert_eq!(sent.get(number), Some(payload), "{number}");
        }
    }
    assert!(lost > 0, "the network loses one in fifty");
}

/// Each packet that asks for an ACK has one fate, and it is the ledger's: what is acknowledged did
/// come, what was lost on the way is declared so or left at the end.
///
/// spec: R-RPT-2
#[test]
fn packets_have_the_fate_that_the_ledger_gave_them() {
    let tapes = small(Payload::Full);
    let views = tapes.each_ref().map(|tape| watch(tape));
    let mut losses = 0;
    for (here, there) in [(0, 1), (1, 0)] {
        let came = opened(&packets(&views[there], Way::Received));
        let acked = numbers(&views[here], acked);
        let lost = numbers(&views[here], lost);
        losses += lost.len();
        let unique: BTreeSet<u64> = acked.iter().chain(&lost).copied().collect();
        assert_eq!(unique.len(), acked.len() + lost.len(), "no packet has two fates");
        assert!(acked.len() > 5);
        assert!(acked.iter().all(|number| came.contains_key(number)), "{acked:?}");
        let sent = opened(&packets(&views[here], Way::Sent));
        let asks = sent.values().filter(|payload| {
            let mut frames = aqueduct_core::wire::frame::frames(payload);
            frames.any(|frame| frame.unwrap().is_ack_eliciting())
        });
        assert!(unique.len() <= asks.count());
        let vitals = views[here].iter().filter_map(|view| match &view.what {
            Seen::Vitals(_, vitals) => Some(vitals),
            _ => None,
        });
        let vitals: Vec<_> = vitals.collect();
        assert!(vitals.iter().any(|vitals| vitals.rtt.is_some() && vitals.flight > 0));
        assert!(vitals.iter().all(|vitals| vitals.window > 0 && vitals.pacing > 0));
        assert!(vitals.windows(2).all(|two| two[0] != two[1]), "only what has changed");
    }
    assert!(losses > 0, "the network loses one in fifty");
}

/// Keys change within batches, too: what was sealed before the change is opened like the rest.
///
/// spec: R-RPT-2
#[test]
fn packets_are_opened_on_both_sides_of_a_key_update() {
    let mut net = Net::new(9, LinkConfig::default());
    net.tapes.payload = Some(Payload::Full);
    let limits = KeyLimits::default().with_soft_packets(20).unwrap();
    let transport = TransportConfig::default().with_key_limits(limits);
    let config =
        |key| EndpointConfig::new(NodeKey::from_seed(&[key; 32])).with_transport(transport.clone());
    let (a, b) = (net.add(config(1), 91), net.add(config(2), 92));
    let mut world = World::of(Pair::connect(net, a, b));
    world.read([Reading::AsItComes, Reading::AsItComes]);
    world.open(a, Dir::Uni, 600_000);
    for _ in 0..40 {
        world.pair.pass(Duration::from_millis(50));
        world.answer();
    }
    let tape = end(&mut world.pair.net.host(a).endpoint);
    let views = watch(&tape);
    let mut batches: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for view in &views {
        let Seen::Packet(packet) = &view.what else { continue };
        assert_ne!(packet.content, Content::Sealed, "{packet:?} of record {}", view.step);
        if let (Way::Sent, Content::Data { phase, .. }) = (packet.way, &packet.content) {
            batches.entry(view.step).or_default().insert(*phase);
        }
    }
    assert!(batches.values().any(|phases| phases.len() == 2), "no update within a batch");
}

/// Every record, in order; and the sums are those of a replay.
///
/// spec: R-RPT-1 R-RPT-2
#[test]
fn every_record_is_among_what_is_seen() {
    for tape in small(Payload::Full) {
        let views = watch(&tape);
        let steps = views.iter().filter_map(|view| match &view.what {
            Seen::Record(record) => Some(record.step),
            _ => None,
        });
        let summary = again(&tape);
        assert!(steps.eq(0..summary.records));
        assert!(views.is_sorted_by_key(|view| (view.step, view.time)));
        let bytes = |way| packets(&views, way).iter().map(|packet| packet.size as u64).sum::<u64>();
        assert_eq!((bytes(Way::Sent), bytes(Way::Received)), (summary.sent.1, summary.received.1));
        let mut watch = Watch::of(&tape).unwrap();
        assert_eq!(watch.depth(), Depth::Replayed);
        watch.by_ref().for_each(drop);
        assert_eq!(watch.tail(), summary.tail);
    }
}

/// spec: R-RPT-3
#[test]
fn without_the_bytes_that_were_sent_the_same_is_seen() {
    let (full, referenced) = (small(Payload::Full), small(Payload::Referenced));
    for (full, referenced) in full.iter().zip(&referenced) {
        assert_eq!(Watch::of(referenced).unwrap().depth(), Depth::Blank);
        let summary = Replay::of(referenced).unwrap().with_zeros().run().unwrap();
        assert_eq!(summary.records, again(full).records);
        let (full, blank) = (watch(full), watch(referenced));
        assert_eq!(full.len(), blank.len());
        for (full, blank) in full.iter().zip(&blank) {
            assert_eq!((full.step, full.time), (blank.step, blank.time));
            match (&full.what, &blank.what) {
                (Seen::Packet(full), Seen::Packet(blank)) => {
                    assert_eq!(outline(full), outline(blank));
                    assert_eq!(blank.datagram.is_some(), blank.way == Way::Received);
                }
                (Seen::Vitals(_, full), Seen::Vitals(_, blank)) => assert_eq!(full, blank),
                (Seen::Acked(_, full), Seen::Acked(_, blank))
                | (Seen::Lost(_, full), Seen::Lost(_, blank)) => assert_eq!(full, blank),
                (full, blank) => {
                    let kinds = [full, blank].map(std::mem::discriminant);
                    assert_eq!(kinds[0], kinds[1], "{full:?} {blank:?}");
                }
            }
        }
    }
}

/// A packet without the bytes of streams.
fn outline(packet: &Packet) -> (Way, usize, Option<u64>, Vec<String>) {
    let number = match packet.content {
        Content::Data { number, .. } => Some(number.0),
        _ => None,
    };
    let frames = packet.frames().into_iter().flatten().map(|frame| match frame.unwrap() {
        Frame::Stream(frame) => {
            format!("{:?} {} {} {}", frame.id, frame.offset, frame.data.len(), frame.fin)
        }
        Frame::Datagram { data } => format!("datagram {}", data.len()),
        Frame::Ack(ack) => format!("{:?}", ack.ranges().collect::<Vec<_>>()),
        other => format!("{other:?}"),
    });
    (packet.way, packet.size, number, frames.collect())
}

/// spec: R-RPT-3
#[test]
fn of_an_elided_tape_its_records_are_seen() {
    let full = &small(Payload::Full)[0];
    let elided = trace::redact(full).unwrap();
    let mut watch = Watch::of(&elided).unwrap();
    assert_eq!(watch.depth(), Depth::Records);
    let views: Vec<_> = watch.by_ref().map(Result::unwrap).collect();
    assert_eq!(watch.tail(), Tail::Ended(aqueduct_core::tape::Ending::Finished));
    let summary = again(full);
    let records = views.iter().filter(|view| matches!(view.what, Seen::Record(_))).count();
    assert_eq!(records as u64, summary.records);
    for way in [Way::Sent, Way::Received] {
        let packets = packets(&views, way);
        let bytes = packets.iter().map(|packet| packet.size as u64).sum::<u64>();
        assert_eq!(bytes, if way == Way::Sent { summary.sent.1 } else { summary.received.1 });
        assert!(packets.iter().all(|packet| packet.content == Content::Sealed));
        assert!(packets.iter().all(|packet| packet.datagram.is_none()));
        assert!(packets.iter().any(|packet| packet.connection.is_some()), "by its address");
    }
    assert!(!views.iter().any(|view| matches!(view.what, Seen::Vitals(..) | Seen::Lost(..))));
}

/// Where this core does something else, that is said once, and the records go on.
///
/// spec: R-RPT-3
#[test]
fn behind_a_divergence_the_records_are_seen() {
    let tape = &small(Payload::Full)[0];
    let all = again(tape).records;
    let segment = trace::Trace::open(tape).unwrap().segments().next().unwrap();
    // Another check stands with a transmit in the middle.
    let mut found = None;
    for at in segment.offset + segment.records.len() / 2..segment.offset + segment.records.len() {
        let mut other = tape.clone();
        other[at] ^= 1;
        let other = mended(&other);
        let whole = trace::records(&other).is_ok_and(|mut records| records.all(|one| one.is_ok()));
        if whole && matches!(trace::replay(&other), Err(Divergence::Differs(_))) {
            found = Some(other);
            break;
        }
    }
    let other = found.expect("some bit matters");
    let (mut differs, mut steps) = (0, Vec::new());
    let mut watch = Watch::of(&other).unwrap();
    for view in watch.by_ref() {
        match view {
            Ok(View { what: Seen::Record(record), .. }) => steps.push(record.step),
            Ok(_) => {}
            Err(Divergence::Differs(_)) => differs += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((differs, watch.depth()), (1, Depth::Records));
    assert_eq!(steps, (0..all).collect::<Vec<_>>(), "each record once");
}

/// spec: R-TAPE-16 R-RPT-3
#[test]
fn what_is_no_tape_is_refused_and_a_torn_one_is_seen_as_far_as_it_goes() {
    assert_eq!(Watch::of(b"nothing").err(), Some(TraceError::NoTape));
    let tape = &small(Payload::Full)[1];
    for cut in [tape.len() - 1, tape.len() / 2] {
        let mut watch = Watch::of(&tape[..cut]).unwrap();
        assert!(watch.by_ref().all(|view| view.is_ok()));
        assert!(matches!(watch.tail(), Tail::Torn { .. }));
    }
}
