//! What packets of recorded hosts show of the conditions that the interop runner reads from
//! captures.

use std::collections::BTreeSet;

use aqueduct_core::trace::{Content, Packet, Way};
use aqueduct_core::wire::ack::EcnCounts;
use aqueduct_core::wire::frame::Frame;
use aqueduct_core::wire::id::Ecn;

/// The last counts of marks that a host was told of.
///
/// # Panics
/// If it sent no data packet with a mark, or was told of none.
pub(super) fn ecn(packets: &[Packet]) -> EcnCounts {
    let marked = |packet: &&Packet| packet.route.ecn == Some(Ecn::Ect0);
    assert!(sent(packets).any(|packet| marked(&packet)), "no packet has a mark");
    let frames = packets.iter().filter(|packet| packet.way == Way::Received).flat_map(frames);
    let told = frames.filter_map(|frame| match frame {
        Frame::Ack(ack) => ack.ecn,
        _ => None,
    });
    told.last().expect("counts in some ACK")
}

/// To how many addresses a host sent data packets, having begun with a challenge to each but the
/// first.
///
/// # Panics
/// If the first packet to another address carries none.
pub(super) fn challenged_places(packets: &[Packet]) -> usize {
    let mut places = BTreeSet::new();
    for packet in sent(packets) {
        let new = places.insert(packet.route.remote);
        let asks = frames(packet).any(|frame| matches!(frame, Frame::PathChallenge { .. }));
        assert!(!new || places.len() == 1 || asks, "{} is not challenged", packet.route.remote);
    }
    places.len()
}

/// How many challenges of one host reached the other. All of them were answered.
///
/// # Panics
/// If one was not.
pub(super) fn answered(one: &[Packet], other: &[Packet]) -> usize {
    let asked: BTreeSet<_> = sent(one).flat_map(frames).filter_map(challenge).collect();
    let came = other.iter().filter(|packet| packet.way == Way::Received);
    let came: BTreeSet<_> = came.flat_map(frames).filter_map(challenge).collect();
    let said: BTreeSet<_> = sent(other).flat_map(frames).filter_map(response).collect();
    let heard: BTreeSet<_> = asked.intersection(&came).copied().collect();
    assert!(heard.is_subset(&said), "not answered: {:?}", heard.difference(&said));
    heard.len()
}

fn sent(packets: &[Packet]) -> impl Iterator<Item = &Packet> {
    let data = |packet: &&Packet| matches!(packet.content, Content::Data { .. });
    packets.iter().filter(|packet| packet.way == Way::Sent).filter(data)
}

fn frames(packet: &Packet) -> impl Iterator<Item = Frame<'_>> {
    packet.frames().into_iter().flatten().map(|frame| frame.expect("it was taken"))
}

fn challenge(frame: Frame<'_>) -> Option<[u8; 8]> {
    match frame {
        Frame::PathChallenge { token } => Some(token),
        _ => None,
    }
}

fn response(frame: Frame<'_>) -> Option<[u8; 8]> {
    match frame {
        Frame::PathResponse { token } => Some(token),
        _ => None,
    }
}
