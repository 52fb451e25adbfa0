//! From a datagram to a connection: ids, strays, resets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::crypto::cid::{CidCodec, CidFields};
use aqueduct_core::endpoint::{Endpoint, EventKind};
use aqueduct_core::error::CloseReason;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::wire::id::{ConnectionId, Dir};
use aqueduct_tests::app::Pair;
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net, Recorded};
use aqueduct_tests::raw::{ask, destination, drain, feed, kind};

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);

fn pair(seed: u64) -> Pair {
    let mut net = Net::new(seed, LinkConfig::default());
    net.recording = Some(Vec::new());
    let (a, b) = (net.add(config(1), 2 * seed), net.add(config(2), 2 * seed + 1));
    Pair::connect(net, a, b)
}

/// What was recorded on its way to a host in short packets.
fn short_packets(pair: &Pair, to: HostId) -> Vec<Recorded> {
    let addr = pair.net.hosts[to.0].addr;
    let recording = pair.net.recording.as_ref().expect("it is on");
    let short = |one: &&Recorded| one.to == addr && kind(&one.bytes).is_none();
    recording.iter().filter(short).cloned().collect()
}

/// The permutation of the ids of an endpoint of this seed.
fn codec(seed: u64) -> CidCodec {
    let mut root = Rng::new(&Seed::from_u64(seed));
    let _ = root.fork("cookie");
    CidCodec::new(&mut root.fork("cid"))
}

fn readdressed(bytes: &[u8], cid: ConnectionId) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[1..9].copy_from_slice(&cid.0);
    bytes
}

/// Hands a packet to an endpoint that must take it for a stray. Returns whether a reset answered it.
fn is_stray(endpoint: &mut Endpoint, from: SocketAddr, bytes: &[u8], net: &Net) -> bool {
    let before = endpoint.stats();
    let quiet = drain(endpoint, net.now).wait;
    let said = ask(endpoint, from, bytes, net.now);
    assert!(said.events.is_empty() && said.incoming.is_empty());
    assert_eq!(said.wait, quiet, "a stray moved a deadline");
    let after = endpoint.stats();
    assert_eq!(after.strays, before.strays + 1);
    assert_eq!(after.resets - before.resets, said.datagrams.len() as u64);
    !said.datagrams.is_empty()
}

/// spec: R-EP-1, R-EP-2
#[test]
fn a_packet_goes_where_its_id_says_or_nowhere() {
    let mut pair = pair(7);
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 20_000);
    pair.pass(SECOND);
    let packets = short_packets(&pair, pair.b.host);
    let from = pair.net.hosts[0].addr;
    let (now, at_b) = (pair.net.now, pair.at_b);
    let bytes = packets.last().expect("a packet").bytes.clone();
    let codec = codec(15);
    let real = codec.decode(destination(&bytes)).expect("an id of this endpoint");
    let (shard, slot, generation, index) =
        (real.shard(), real.slot(), real.generation(), real.index());
    assert_eq!((shard, slot, generation), (0, 0, 0));
    let id = |shard, slot, generation, index| {
        codec.encode(CidFields::new(shard, slot, generation, index).expect("within bounds"))
    };
    let wrong = [
        id(1, slot, generation, index),
        id(shard, slot + 1, generation, index),
        id(shard, (1 << 18) - 1, generation, index),
        id(shard, slot, generation + 1, index),
        id(shard, slot, generation, 200),
        ConnectionId([0; 8]),
        ConnectionId([255; 8]),
    ];
    let mut endpoint = pair.net.hosts[1].endpoint.clone();
    let failed =
        |endpoint: &mut Endpoint| endpoint.connection(at_b).expect("it lives").stats().keys.failed;
    assert_eq!(failed(&mut endpoint), 0);
    for cid in wrong {
        is_stray(&mut endpoint, from, &readdressed(&bytes, cid), &pair.net);
    }
    assert_eq!(failed(&mut endpoint), 0, "a stray costs no failed open");
    // An id that holds, with anything behind it, costs one failed open and nothing else.
    let strays = endpoint.stats().strays;
    let quiet = drain(&mut endpoint, now).wait;
    for count in 1..=20_u64 {
        let mut bytes = bytes.clone();
        bytes[20] ^= count as u8;
        let said = ask(&mut endpoint, from, &bytes, now);
        assert!(said.datagrams.is_empty() && said.events.is_empty());
        assert_eq!((failed(&mut endpoint), said.wait), (count, quiet));
    }
    assert_eq!(endpoint.stats().strays, strays);
}

/// The ids that one host was addressed by, for each address that it had.
fn ids_by_address(
    recording: &[Recorded],
    sender: SocketAddr,
) -> BTreeMap<SocketAddr, BTreeSet<ConnectionId>> {
    let mut ids: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for one in recording.iter().filter(|one| one.from == sender && kind(&one.bytes).is_none()) {
        ids.entry(one.to).or_default().insert(destination(&one.bytes));
    }
    ids
}

/// spec: R-EP-5, R-EP-4, R-EP-1
#[test]
fn no_id_is_used_on_two_paths_and_retired_ones_are_strays() {
    let mut pair = pair(8);
    let (a, b) = (pair.a.host, pair.b.host);
    let stream = pair.a.begin(&mut pair.net, pair.at_a, Dir::Uni, 1, 1_000);
    let mut len = 1_000;
    for turn in 0..12_u16 {
        pair.pass(SECOND * 2);
        if turn > 0 {
            pair.net.rebind(a, 5_000 + turn);
        }
        let more = aqueduct_tests::app::prose(1, len + 1_000).slice(len..);
        len += 1_000;
        let mut view = pair.net.host(a).endpoint.connection(pair.at_a).expect("it lives");
        let written = view.send(stream).expect("a stream").write(more);
        assert_eq!(written, Ok(1_000));
    }
    pair.pass(SECOND * 5);
    assert_eq!(pair.b.read_of(pair.at_b), len as u64);
    assert_eq!(pair.b.diary(pair.at_b).moves.len(), 11);
    let recording = pair.net.recording.take().expect("it was on");
    let ids = ids_by_address(&recording, pair.net.hosts[b.0].addr);
    assert_eq!(ids.len(), 12);
    let all: BTreeSet<_> = ids.values().flatten().collect();
    let apart: usize = ids.values().map(BTreeSet::len).sum();
    assert_eq!(all.len(), apart, "an id was used on two paths");
    // What was addressed by the first id comes again: nobody is there.
    let first = recording.iter().find(|one| {
        one.to.port() == 4433
            && one.to.ip() == pair.net.hosts[a.0].addr.ip()
            && kind(&one.bytes).is_none()
    });
    let first = first.expect("a packet").bytes.clone();
    let from = pair.net.hosts[b.0].addr;
    let mut endpoint = pair.net.hosts[a.0].endpoint.clone();
    is_stray(&mut endpoint, from, &first, &pair.net);
}

/// spec: R-EP-30
#[test]
fn a_reset_is_shorter_than_what_it_answers_and_rare() {
    let pair = pair(9);
    let from = "10.7.7.7:7".parse().expect("an address");
    let fresh = pair.net.hosts[1].endpoint.clone();
    for len in (1..120).chain([500, 1_199, 1_200, 1_452, 9_000]) {
        let mut endpoint = fresh.clone();
        let mut bytes = vec![0x55; len];
        bytes[0] = 0x40;
        let said = ask(&mut endpoint, from, &bytes, pair.net.now);
        if len < 44 {
            assert!(said.datagrams.is_empty(), "an answer to {len} bytes");
            continue;
        }
        let (to, answer) = &said.datagrams[0];
        assert_eq!((said.datagrams.len(), *to), (1, from));
        assert!(answer.len() < len && answer.len() >= 43, "{} for {len}", answer.len());
        assert_eq!(answer[0] >> 6, 1, "it looks like any packet");
    }
    let mut endpoint = fresh;
    let mut now = pair.net.now + SECOND;
    for second in 1..=3_u64 {
        for number in 0..100_u8 {
            let mut bytes = [number; 60];
            bytes[0] = 0x40;
            feed(&mut endpoint, from, &bytes, now);
            drain(&mut endpoint, now);
        }
        assert_eq!(endpoint.stats().resets, second * 10);
        now = now + SECOND;
    }
}

/// spec: R-EP-30
#[test]
fn two_nodes_that_both_forgot_do_not_answer_each_other_for_ever() {
    let mut net = Net::new(3, LinkConfig::default());
    let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
    let (from, to) = (net.hosts[a.0].addr, net.hosts[b.0].addr);
    let mut bytes = vec![0x33; 1_200];
    bytes[0] = 0x40;
    net.inject(from, to, bytes);
    net.run(SECOND * 600, |_| false);
    let sent = net.hosts[a.0].sent + net.hosts[b.0].sent;
    assert!(sent <= 200, "{sent} resets for one stray");
}

/// spec: R-EP-31
#[test]
fn a_reset_with_the_right_token_ends_the_connection_in_silence() {
    let mut pair = pair(10);
    let (a, b) = (pair.a.host, pair.b.host);
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 1, 5_000);
    pair.pass(SECOND);
    pair.net.restart(b, config(2), 77_777);
    pair.net.restart(b, config(2), 21);
    // The same secret of resets, and no memory of the connection.
    pair.a.write(&mut pair.net, pair.at_a, Dir::Uni, 2, 100);
    let alive = pair.net.hosts[a.0].endpoint.clone();
    let mark = pair.net.recording.as_ref().map_or(0, Vec::len);
    pair.run(SECOND, |_, a, _| a.diary(a.connections()[0]).closed.is_some());
    assert_eq!(pair.a.diary(pair.at_a).closed, Some(CloseReason::Reset));
    let recording = pair.net.recording.clone().expect("it is on");
    let reset = recording[mark..].iter().find(|one| one.from == pair.net.hosts[b.0].addr);
    let reset = reset.expect("a reset").clone();
    let answers = pair.net.hosts[a.0].sent;
    pair.pass(SECOND * 5);
    assert_eq!(pair.net.hosts[a.0].sent, answers, "no answer");
    assert!(pair.a.diary(pair.at_a).drained);
    // The same with each bit of the token wrong, or from elsewhere: nothing.
    let now = reset.at;
    let len = reset.bytes.len();
    for bit in 0..128 {
        let mut bytes = reset.bytes.clone();
        bytes[len - 16 + bit / 8] ^= 1 << (bit % 8);
        let mut endpoint = alive.clone();
        let said = ask(&mut endpoint, reset.from, &bytes, now);
        assert!(said.news().iter().all(|news| !matches!(news, EventKind::Closed(_))));
    }
    let mut endpoint = alive.clone();
    let said = ask(&mut endpoint, reset.from, &reset.bytes, now);
    assert!(said.news().contains(&EventKind::Closed(CloseReason::Reset)));
    // It also ends the connection when it is addressed to it.
    let mut endpoint = alive;
    let mut bytes = reset.bytes.clone();
    let to_a = short_to(&recording, pair.net.hosts[a.0].addr);
    bytes[1..9].copy_from_slice(&destination(&to_a).0);
    let said = ask(&mut endpoint, reset.from, &bytes, now);
    assert!(said.news().contains(&EventKind::Closed(CloseReason::Reset)));
}

fn short_to(recording: &[Recorded], addr: SocketAddr) -> Vec<u8> {
    let found = recording.iter().find(|one| one.to == addr && kind(&one.bytes).is_none());
    found.expect("a packet").bytes.clone()
}
