//! Tapes: what is in spec 22, on simulated hosts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aqueduct_core::config::TransportConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::endpoint::{CarrierKind, Endpoint, Output, PeerAddr};
use aqueduct_core::planted::Fault;
use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::tape::{Check, Ending, HEAD, MAGIC, Op, Payload, Reader, TapeOptions, Taped};
use aqueduct_core::time::Instant;
use aqueduct_core::trace::{
    self, Divergence, Filter, Replay, Tail, Topic, Trace, TraceError, Wanted,
};
use aqueduct_core::wire::id::{CarrierId, Dir, StreamId};
use aqueduct_tests::app::{Reading, prose};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::relay::{Chain, Forwarding};
use aqueduct_tests::scenario;
use aqueduct_tests::swarm::search::{caught, hush};
use aqueduct_tests::tapes::{Tapes, again, end, kept, mended, small, ways};
use aqueduct_tests::world::{HOSTS, World};

use crate::matrix::Named;
use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);

fn differs(result: Result<trace::Summary, Divergence>) -> trace::Difference {
    match result {
        Err(Divergence::Differs(difference)) => *difference,
        other => panic!("no difference: {other:?}"),
    }
}

/// spec: R-TAPE-1 R-TAPE-2 R-TAPE-11
#[test]
fn what_was_recorded_runs_again() {
    for tape in small(Payload::Full) {
        let summary = again(&tape);
        assert!(summary.is_whole() && summary.received.0 > 5 && summary.sent.0 > 5);
        assert!(summary.events > 5, "{summary:?}");
        let lines = trace::show(&tape, &Filter::default()).unwrap();
        assert_eq!(lines.len() as u64, summary.records);
    }
    // And each operation of streams is on one of them.
    let mut seen = BTreeMap::new();
    for tape in small(Payload::Full) {
        for record in trace::records(&tape).unwrap() {
            *seen.entry(record.unwrap().op).or_insert(0) += 1;
        }
    }
    for op in [Op::Connect, Op::Accept, Op::Open, Op::AcceptStream, Op::Write, Op::Finish] {
        assert!(seen.contains_key(&op), "{op:?} of {seen:?}");
    }
    for op in [Op::Recv, Op::Take, Op::Stop, Op::SendMessage, Op::RecvDatagram, Op::Close] {
        assert!(seen.contains_key(&op), "{op:?} of {seen:?}");
    }
}

/// Anything happens to two hosts; then both tapes run again.
///
/// spec: R-TAPE-1 R-TAPE-11
#[test]
fn random_worlds_run_again() {
    for seed in 0..12 {
        let _named = Named(format!("this test; it was seed {seed}"));
        let mut rng = Rng::new(&Seed::from_u64(900 + seed));
        let mut net = Net::new(seed, LinkConfig::default());
        net.tapes.payload = Some(Payload::Full);
        let (a, b) = (net.add(config(1), 2 * seed), net.add(config(2), 2 * seed + 1));
        let mut world = World::of(aqueduct_tests::app::Pair::connect(net, a, b));
        world.read([Reading::AsItComes, Reading::InOrder]);
        for _ in 0..25 {
            step(&mut world, &mut rng);
            world.answer();
        }
        world.quiet();
        for host in HOSTS {
            let tape = end(&mut world.pair.net.host(host).endpoint);
            assert!(again(&tape).is_whole(), "seed {seed}");
        }
    }
}

fn step(world: &mut World, rng: &mut Rng) {
    let host = HOSTS[rng.below(2) as usize];
    let some = rng.below(40_000) as usize;
    match rng.below(9) {
        0 | 1 => world.open(host, if some & 1 == 0 { Dir::Bi } else { Dir::Uni }, some),
        2 => world.message(host, some),
        3 => world.datagram(host, some % 1_200),
        4 => _ = world.reset(host, some % 5),
        5 => world.stop(host, some % 5),
        6 => world.rebind(host),
        7 => world.block(host, Duration::from_millis(some as u64 % 700)),
        _ => {
            let jitter = Duration::from_millis(5);
            *world.link(host) =
                LinkConfig { loss: some as u32 % 100, duplicate: 20, jitter, ..<_>::default() };
            world.pair.pass(SECOND / 4);
        }
    }
}

/// A relay's tape, with pipes, legs and ends, from the network whose hosts replay when it goes.
///
/// spec: R-TAPE-1
#[test]
fn pipes_run_again_and_are_not_recorded_twice() {
    let mut chain = chain_with_tapes();
    let passage = chain.pass(7, 200_000, SECOND * 60);
    assert!(passage.whole.is_some());
    chain.run(SECOND * 3, |_| false);
    let relay = chain.relays[0].host;
    let tape = end(&mut chain.net.host(relay).endpoint);
    assert!(again(&tape).is_whole());
    let calls = Filter { topics: vec![Topic::Call], ..Filter::default() };
    let lines = trace::show(&tape, &calls).unwrap();
    assert!(lines.iter().any(|line| line.contains("Pipe ")), "{lines:?}");
    let inside = |line: &&String| line.contains("Take") || line.contains("Forward");
    assert_eq!(lines.iter().filter(inside).count(), 0, "{lines:?}");
}

fn chain_with_tapes() -> Chain {
    let link = LinkConfig { loss: 10, ..LinkConfig::default() };
    let mut chain = Chain::new(3, 2, link, Forwarding::CutThrough);
    // Hosts are there already: their endpoints are made anew, with tapes.
    chain.net.tapes.payload = Some(Payload::Full);
    let hosts = [chain.source.host, chain.relays[0].host, chain.sink.host];
    for (at, host) in hosts.into_iter().enumerate() {
        chain.net.restart(host, config(at as u8 + 1), 70 + at as u64);
    }
    let pairs = [(hosts[0], hosts[1]), (hosts[1], hosts[2])];
    let ways = pairs.map(|(a, b)| aqueduct_tests::transfer::connected(&mut chain.net, a, b));
    chain.out = ways[0].0;
    chain.relays[0].next = vec![ways[1].0];
    chain.relays[0].back = Some(ways[0].1);
    chain
}

/// What went wrong is what somebody wants to look at.
///
/// spec: R-TAPE-21
#[test]
fn a_run_that_fails_leaves_its_tapes() {
    hush();
    let (failed, tapes) = kept(Payload::Full, || {
        caught(1, || {
            let mut net = Net::new(1, LinkConfig::default());
            let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
            aqueduct_tests::transfer::connected(&mut net, a, b);
            panic!("provoked");
        })
    });
    assert!(failed.unwrap_err().what.contains("provoked"));
    assert_eq!(tapes.len(), 2);
    for tape in tapes {
        assert!(again(&tape).is_whole());
    }
    assert_eq!(Net::new(1, LinkConfig::default()).tapes.payload, Tapes::asked_for().payload);
}

/// spec: R-TAPE-1 R-TAPE-21
#[test]
fn a_scenario_is_the_same_when_it_is_recorded() {
    let scenario = scenario::find("handshake").unwrap();
    let (report, tapes) = scenario::recorded(scenario, 1, Payload::Full);
    assert_eq!(report.unwrap(), (scenario.run)(1));
    assert_eq!(tapes.len(), 2);
}

/// spec: R-TAPE-1
#[test]
fn recording_changes_nothing() {
    let run = |payload| {
        let mut net = Net::new(8, LinkConfig { loss: 20, ..LinkConfig::default() });
        net.tapes.payload = payload;
        let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
        let mut world = World::of(aqueduct_tests::app::Pair::connect(net, a, b));
        world.open(a, Dir::Bi, 50_000);
        world.pair.pass(SECOND);
        world.answer();
        world.pair.pass(SECOND);
        let copy = world.pair.net.hosts[0].endpoint.clone();
        assert!(copy.tape().is_none(), "a copy records nothing");
        world.pair.net.fingerprint()
    };
    let plain = run(None);
    for payload in [Payload::Full, Payload::Referenced, Payload::Elided] {
        assert_eq!(run(Some(payload)), plain, "{payload:?}");
    }
}

/// spec: R-TAPE-3
#[test]
fn the_check_is_what_the_chapter_says() {
    let naive = |bytes: &[u8]| {
        let mut words: Vec<u64> = bytes
            .chunks(8)
            .map(|chunk| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
            .collect();
        words.push(bytes.len() as u64);
        words.iter().fold(0_u64, |state, word| {
            let state = (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            state ^ state >> 32
        })
    };
    let text = prose(1, 100);
    for len in 0..100 {
        let mut check = Check::default();
        check.bytes(&text[..len]);
        assert_eq!(check.value(), naive(&text[..len]), "{len}");
    }
}

/// spec: R-TAPE-4 R-TAPE-5 R-TAPE-7
#[test]
fn head_and_segments_stand_where_the_chapter_says() {
    let [tape, _] = small(Payload::Full);
    let number = |at: usize| u32::from_be_bytes(tape[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((&tape[..8], &tape[8..12]), (&MAGIC[..], &[0, 1, 0, 0][..]));
    assert_eq!((number(12), &tape[16..20]), (0, &[0, 1, 0, 0][..]));
    let mut at = HEAD + number(20) + 8;
    let mut numbers = 0;
    while at < tape.len() {
        assert_eq!(tape[at..at + 4], *b"\xa7seg");
        assert_eq!(number(at + 4), numbers);
        numbers += 1;
        at += 24 + number(at + 20) + 16;
    }
    assert!(at == tape.len() && numbers >= 2, "{numbers} segments");
    let change = |at: usize, to: u8| {
        let mut other = tape.clone();
        other[at] = to;
        trace::replay(&mended(&other))
    };
    assert_eq!(mended(&tape), tape);
    assert_eq!(change(9, 2), Err(TraceError::Major(2).into()));
    assert_eq!(change(15, 64), Err(TraceError::Flags(64).into()));
    assert_eq!(change(17, 9), Err(TraceError::Wire(9).into()));
    assert!(change(11, 7).is_ok(), "a later minor version");
    assert!(change(12, 1).is_ok(), "a flag that may be overlooked");
    let text = tape.iter().copied().filter(|byte| *byte != b'\r').collect::<Vec<_>>();
    assert_eq!(trace::replay(&text), Err(TraceError::Spoiled.into()));
    assert_eq!(trace::replay(b"something else"), Err(TraceError::NoTape.into()));
}

/// Cut off at every byte: what stands before the cut in whole segments is read, and nothing else.
///
/// spec: R-TAPE-6
#[test]
fn a_torn_tape_keeps_what_is_whole() {
    let [tape, _] = small(Payload::Full);
    let trace = Trace::open(&tape).unwrap();
    let first = trace.segments().next().unwrap().offset - 24;
    let ends: Vec<usize> = {
        let ends = trace.segments().map(|segment| segment.offset + segment.records.len() + 16);
        ends.collect()
    };
    let counts: Vec<u64> = trace.segments().map(|segment| segment.count.into()).collect();
    for cut in 0..tape.len() {
        let Ok(records) = trace::records(&tape[..cut]) else {
            assert!(cut < first, "{cut}");
            continue;
        };
        assert!(cut >= first);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let expected: u64 = counts[..whole].iter().sum();
        let records: Vec<_> = records.map(Result::unwrap).collect();
        assert_eq!(records.len() as u64, expected, "{cut}");
        // A replay says where; it is slow, so not for every byte.
        if ends.iter().any(|end| end.abs_diff(cut) < 2) {
            let summary = trace::replay(&tape[..cut]).unwrap();
            let at = whole.checked_sub(1).map_or(first, |last| ends[last]);
            let tail = if at == cut { Tail::Open } else { Tail::Torn { at } };
            assert_eq!((summary.records, summary.tail), (expected, tail), "{cut}");
        }
    }
}

/// Every bit of a tape, flipped.
///
/// spec: R-TAPE-6
#[test]
fn no_flipped_bit_goes_unnoticed() {
    let [tape, _] = small(Payload::Elided);
    let mut spoiled = tape.clone();
    for bit in 0..tape.len() * 8 {
        spoiled[bit / 8] ^= 1 << (bit % 8);
        if let Ok(trace) = Trace::open(&spoiled) {
            let mut segments = trace.segments();
            segments.by_ref().for_each(drop);
            let torn = segments.torn().expect("it is noticed");
            assert!(torn <= bit / 8, "bit {bit} noticed at {torn}");
        }
        spoiled[bit / 8] ^= 1 << (bit % 8);
    }
}

/// What passes the checks and is no tape of this core, all the same: the first record that is
/// another is named. A bit in every seventh byte of the records of the first segment.
///
/// spec: R-TAPE-11
#[test]
fn a_record_that_is_another_is_named() {
    let [tape, _] = small(Payload::Full);
    let first = Trace::open(&tape).unwrap().segments().next().unwrap();
    let (from, len) = (first.offset, first.records.len());
    let mut noticed = BTreeMap::new();
    for at in (from..from + len).step_by(7) {
        let mut other = tape.clone();
        other[at] ^= 1 << (at % 8);
        match trace::replay(&mended(&other)) {
            // An input that is another, and nobody could tell.
            Ok(_) => *noticed.entry("the same").or_insert(0) += 1,
            Err(Divergence::Differs(_)) => *noticed.entry("differs").or_insert(0) += 1,
            Err(_) => *noticed.entry("unreadable").or_insert(0) += 1,
        }
    }
    println!("{noticed:?}");
    assert!(noticed["differs"] > 10, "{noticed:?}");
    let same = noticed.get("the same").copied().unwrap_or(0);
    assert!(same * 20 < noticed.values().sum(), "{noticed:?}");
}

/// spec: R-TAPE-11
#[test]
fn a_core_with_another_constant_diverges_at_a_step() {
    let [_, tape] = small(Payload::Full);
    let lines = trace::show(&tape, &Filter::default()).unwrap();
    let later = |ms| {
        let transport = TransportConfig::default();
        transport.with_max_ack_delay(Duration::from_millis(ms)).unwrap()
    };
    let run = |transport| on_another_core(&tape, transport);
    assert!(run(later(25)).is_ok(), "as it was");
    let difference = differs(run(later(26)));
    println!("{difference}");
    assert_eq!(lines[difference.step as usize], difference.expected);
    assert_ne!(difference.expected, difference.actual);
    let awake = TransportConfig::default().with_keep_alive(Some(SECOND / 2));
    let difference = differs(run(awake));
    assert!(difference.expected.contains("until"), "a deadline: {difference}");
}

fn on_another_core(tape: &[u8], transport: TransportConfig) -> Result<trace::Summary, Divergence> {
    Replay::of(tape).unwrap().with_config(|config| config.with_transport(transport)).run()
}

/// What was sent over a link that loses is run by a core that is the same but for one constant: it
/// waits for a fourth packet before one is lost.
///
/// spec: R-TAPE-11
#[test]
fn a_core_that_waits_for_one_packet_more_is_told_by_the_step() {
    let mut net = Net::new(6, LinkConfig { loss: 20, ..LinkConfig::default() });
    net.tapes.payload = Some(Payload::Full);
    let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
    let mut world = World::of(aqueduct_tests::app::Pair::connect(net, a, b));
    world.open(a, Dir::Uni, 300_000);
    world.pair.pass(SECOND * 4);
    let tape = end(&mut world.pair.net.host(a).endpoint);
    assert!(on_another_core(&tape, TransportConfig::default()).is_ok(), "the same core");
    let patient = TransportConfig::default().with_fault(Fault::PatientLedger);
    let difference = differs(on_another_core(&tape, patient));
    println!("{difference}");
    let step = difference.step as usize;
    let said = trace::records(&tape).unwrap().nth(step).unwrap().unwrap();
    assert_eq!((said.time, said.to_string()), (difference.time, difference.expected.clone()));
    assert!(step > 0 && difference.time > Instant::ZERO);
    assert_ne!(difference.expected, difference.actual);
    let words = difference.to_string();
    for part in [&format!("step {step},"), &difference.expected, &difference.actual] {
        assert!(words.contains(part.as_str()), "{part} in {words}");
    }
}

/// spec: R-TAPE-12
#[test]
fn payload_by_reference_is_asked_for() {
    let full = small(Payload::Full);
    let tapes = small(Payload::Referenced);
    assert!(tapes[0].len() + 3_000 < full[0].len());
    let tape = &tapes[0];
    assert_eq!(trace::replay(tape), Err(Divergence::Referenced));
    let mut asked = Vec::new();
    let texts = texts(&full[0]);
    let right = |wanted: &Wanted| texts.get(&key(wanted)).map(|bytes| bytes.clone().into());
    let summary = Replay::of(tape).unwrap().with_payload(right).run().unwrap();
    assert_eq!(summary.sent, again(&full[0]).sent);
    let none = |wanted: &Wanted| {
        asked.push(*wanted);
        None
    };
    let missing = Replay::of(tape).unwrap().with_payload(none).run();
    assert_eq!(missing, Err(Divergence::Payload(asked[0])));
    let wrong = |wanted: &Wanted| Some(vec![b'x'; wanted.len].into());
    let difference = differs(Replay::of(tape).unwrap().with_payload(wrong).run());
    assert!(difference.expected.contains("Transmit"), "{difference}");
}

type Key = (Option<StreamId>, u64);

fn key(wanted: &Wanted) -> Key {
    (wanted.stream, wanted.offset)
}

/// What was given to be sent, from a full tape of the same run.
fn texts(tape: &[u8]) -> BTreeMap<Key, Vec<u8>> {
    let (mut texts, mut written) = (BTreeMap::new(), BTreeMap::<_, u64>::new());
    for record in trace::records(tape).unwrap() {
        let record = record.unwrap();
        let (kept, stream) = match &record.what {
            trace::What::Write(None, kept, _) => (kept, record.stream),
            trace::What::Give(kept, aqueduct_core::tape::Outcome::Done(id)) => {
                (kept, (record.op == Op::SendMessage).then_some(StreamId(*id)))
            }
            _ => continue,
        };
        let bytes = kept.bytes.unwrap();
        let at = written.entry(stream).or_default();
        texts.insert((stream, *at), bytes.to_vec());
        *at += if stream.is_some() { bytes.len() as u64 } else { 1 };
    }
    texts
}

/// spec: R-TAPE-12 R-TAPE-13
#[test]
fn a_redacted_tape_is_for_looking_at() {
    let [tape, _] = small(Payload::Full);
    let redacted = trace::redact(&tape).unwrap();
    assert_eq!(trace::replay(&redacted), Err(Divergence::Elided));
    let [elided, _] = small(Payload::Elided);
    assert_eq!(trace::replay(&elided), Err(Divergence::Elided));
    let holds = |tape: &[u8], bytes: &[u8]| tape.windows(bytes.len()).any(|at| at == bytes);
    // The node's key, and the text number 1 that it wrote.
    for secret in [&[1; 32][..], &prose(1, 300)[..20], b"enough"] {
        assert!(holds(&tape, secret));
        assert!(!holds(&redacted, secret) && !holds(&elided, secret), "{secret:?}");
    }
    let all = Filter::default();
    let lines = |tape: &[u8]| trace::show(tape, &all).unwrap();
    assert_eq!(lines(&tape).len(), lines(&redacted).len());
    // But for the checks: words are among what is checked.
    let unchecked = |lines: Vec<String>| -> Vec<String> {
        let cut = |line: &String| line.split(", check").next().unwrap().to_owned();
        lines.iter().map(cut).collect()
    };
    assert_eq!(unchecked(lines(&elided)), unchecked(lines(&redacted)));
    assert_eq!(trace::redact(&redacted).unwrap(), redacted);
    let sent = Filter { topics: vec![Topic::Sent], ..Filter::default() };
    assert_eq!(trace::show(&tape, &sent).unwrap(), trace::show(&redacted, &sent).unwrap());
}

/// The sections of a tape's head, by number.
fn sections(tape: &[u8]) -> Vec<(u8, &[u8])> {
    let number = |at: usize| u32::from_be_bytes(tape[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, end) = (HEAD, HEAD + number(20));
    let mut sections = Vec::new();
    while at < end {
        let from = at + 5;
        let to = from + number(at + 1);
        sections.push((tape[at], &tape[from..to]));
        at = to;
    }
    assert_eq!(at, end);
    sections
}

const WARNING: u8 = 5;

/// spec: R-TAPE-4 R-TAPE-20
#[test]
fn a_tape_with_secrets_warns_before_all_else() {
    for payload in [Payload::Full, Payload::Referenced] {
        let [tape, _] = small(payload);
        let (kind, words) = sections(&tape)[0];
        let words = std::str::from_utf8(words).unwrap();
        assert!(kind == WARNING && words.contains("holds the node's key"), "{kind}: {words}");
        assert!(sections(&trace::redact(&tape).unwrap()).iter().all(|(kind, _)| *kind != WARNING));
    }
    let [elided, _] = small(Payload::Elided);
    assert!(sections(&elided).iter().all(|(kind, _)| *kind != WARNING));
    // Who does not know the section passes it over, and older tapes have none.
    let [mut tape, _] = small(Payload::Full);
    tape[HEAD] = 99;
    assert!(again(&mended(&tape)).is_whole());
    let old = std::fs::read(golden().join("before-warnings.tape")).unwrap();
    assert!(sections(&old).iter().all(|(kind, _)| *kind != WARNING));
    assert!(again(&old).is_whole());
}

#[test]
fn filters_choose() {
    let [tape, _] = small(Payload::Full);
    let count = |filter: &Filter| trace::show(&tape, filter).unwrap().len();
    let all = count(&Filter::default());
    let by_topic: usize = Topic::ALL
        .iter()
        .map(|(_, topic)| count(&Filter { topics: vec![*topic], ..Filter::default() }))
        .sum();
    assert_eq!(by_topic, all);
    let stream = StreamId(0);
    let of_stream = count(&Filter { stream: Some(stream), ..Filter::default() });
    assert!(of_stream > 3 && of_stream < all / 2, "{of_stream} of {all}");
    // A stream begins with being opened here, or accepted there.
    for tape in small(Payload::Full) {
        let of_stream = Filter { stream: Some(stream), ..Filter::default() };
        let lines = trace::show(&tape, &of_stream).unwrap();
        let begun = |line: &&String| line.contains(" Open ") || line.contains(" AcceptStream ");
        assert_eq!(lines.iter().filter(begun).count(), 1, "{lines:#?}");
    }
    let half = Some(Instant::from_nanos(1_200_000_000));
    let (before, after) = (
        count(&Filter { until: half, ..Filter::default() }),
        count(&Filter { from: half, ..Filter::default() }),
    );
    assert!(before + after >= all && before > 5 && after > 5, "{before} {after} {all}");
    assert_eq!(count(&Filter { slot: Some(9), ..Filter::default() }), 0);
}

/// spec: R-TAPE-14
#[test]
fn a_tape_that_nobody_takes_ends_and_says_so() {
    let options = TapeOptions { buffer: 3_000, label: "slow disk".into(), ..<_>::default() };
    let mut endpoint = Endpoint::recorded(config(1), Seed::from_u64(1), &options);
    let mut buf = Vec::new();
    let mut now = Instant::ZERO;
    let kind = CarrierKind::Udp { max_segments: 1, max_datagram: 1452 };
    let mut steps = 0;
    while endpoint.tape().unwrap().ended.is_none() {
        now = now + Duration::from_micros(10);
        endpoint.carrier_opened(CarrierId(0), kind, now);
        assert!(matches!(endpoint.poll(&mut buf, now), Output::Wait(None)));
        steps += 1;
        assert!(steps < 10_000);
    }
    let status = endpoint.tape().unwrap();
    assert_eq!(status.ended, Some(Ending::Overrun));
    assert!(status.waiting < 3_200, "{status:?}");
    for _ in 0..100 {
        endpoint.carrier_opened(CarrierId(0), kind, now);
    }
    assert_eq!(endpoint.tape().unwrap(), status, "nothing is recorded any more");
    let tape = end(&mut endpoint);
    let summary = again(&tape);
    assert_eq!(summary.tail, Tail::Ended(Ending::Overrun));
    assert!(!summary.is_whole() && summary.records > steps);
    assert_eq!(Trace::open(&tape).unwrap().label(), "slow disk");
}

/// Taken now and then, it is the same tape in more segments.
///
/// spec: R-TAPE-5
#[test]
fn it_is_taken_piece_by_piece() {
    let mut endpoint = Endpoint::recorded(config(1), Seed::from_u64(1), &TapeOptions::default());
    let (mut tape, mut buf) = (Vec::new(), Vec::new());
    for ms in 0..50 {
        let now = Instant::from_nanos(ms * 1_000_000);
        endpoint.carrier_blocked(CarrierId(0), now);
        let _ = endpoint.poll(&mut buf, now);
        let before = tape.len();
        endpoint.take_tape(&mut tape);
        assert!(tape.len() > before);
        assert_eq!(endpoint.tape().unwrap().waiting, 0);
        let summary = again(&tape);
        assert_eq!((summary.records, summary.tail), (2 * (ms + 1), Tail::Open));
    }
    tape.extend(end(&mut endpoint));
    assert!(again(&tape).is_whole());
    assert_eq!(Trace::open(&tape).unwrap().segments().count(), 51);
}

/// What a tape costs where packets are small: a thousand questions of 64 bytes, each answered by as
/// many. What is beside the packets that came and the bytes that the application gave counts by
/// packets, sent or received.
///
/// spec: R-TAPE-15
#[test]
fn tapes_of_small_packets_cost_so_much_a_packet() {
    let mut net = Net::new(2, LinkConfig::default());
    net.tapes.payload = Some(Payload::Full);
    let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
    let mut pair = aqueduct_tests::app::Pair::connect(net, a, b);
    let (at_a, at_b) = (pair.at_a, pair.at_b);
    for salt in 0..1_000 {
        let id = pair.a.write(&mut pair.net, at_a, Dir::Bi, salt, 64);
        pair.a.expect(at_a, id, salt);
        assert!(pair.run(SECOND, |_, _, b| b.inflow(at_b, id).is_some_and(|it| it.finished)));
        pair.b.answer(&mut pair.net, at_b, id, salt, 64);
        assert!(pair.run(SECOND, |_, a, _| a.inflow(at_a, id).is_some_and(|it| it.finished)));
    }
    for host in [a, b] {
        let sent = pair.net.hosts[host.0].sent;
        let tape = end(&mut pair.net.host(host).endpoint);
        let (packets, came) = again(&tape).received;
        let beside = tape.len() as u64 - came - 64 * 1_000;
        let each = beside as f64 / (packets + sent) as f64;
        println!("{packets} of {came} bytes came, {sent} went: a tape of {}", tape.len());
        println!("{each:.1} bytes a packet, {:.2} x what came", tape.len() as f64 / came as f64);
        assert!(packets >= 1_000 && came < packets * 200, "small packets");
        assert!(each <= 40.0, "{each}");
    }
}

/// What a tape costs, on both ends of a bulk transfer.
///
/// spec: R-TAPE-15
#[test]
fn tapes_are_short() {
    const LEN: usize = 4 << 20;
    let run = |payload| {
        let link = LinkConfig { rate: Some(5_000_000), ..LinkConfig::default() };
        let mut net = Net::new(2, link);
        net.tapes.payload = Some(payload);
        let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
        let mut world = World::of(aqueduct_tests::app::Pair::connect(net, a, b));
        world.open(a, Dir::Uni, LEN);
        world.pair.pass(SECOND * 4);
        let sent = world.pair.net.hosts[0].sent;
        ([a, b].map(|host| end(&mut world.pair.net.host(host).endpoint)), sent)
    };
    let ([sender, receiver], packets) = run(Payload::Full);
    let summary = again(&receiver);
    let (came, tape) = (summary.received.1, receiver.len() as u64);
    let per_packet = (tape - came) as f64 / summary.received.0 as f64;
    println!("receiver: {tape} for {came} bytes, {:.4} x", tape as f64 / came as f64);
    println!("receiver: {per_packet:.1} bytes a packet beside the packet");
    assert!(came as usize > LEN && tape * 100 <= came * 102, "{tape} for {came}");
    assert!(per_packet <= 32.0, "{per_packet}");
    let summary = again(&sender);
    let beside = sender.len() as u64 - summary.received.1 - LEN as u64;
    println!("sender, full: {} bytes, {beside} beside what it was given", sender.len());
    assert!(summary.is_whole() && beside <= 32 * (summary.received.0 + packets), "{beside}");
    let ([sender, _], _) = run(Payload::Referenced);
    let each = sender.len() as f64 / packets as f64;
    println!("sender, by reference: {} for {packets} packets, {each:.1} each", sender.len());
    assert!(each <= 48.0, "{each}");
}

/// Whoever sends is given one controller after the other, in the middle of it; that is on the tape.
///
/// spec: R-CC-48, R-TAPE-1
#[test]
fn a_change_of_controller_is_recorded() {
    const LEN: usize = 8 << 20;
    let link = LinkConfig { rate: Some(2_000_000), loss: 5, ..LinkConfig::default() };
    let mut net = Net::new(2, link);
    net.tapes.payload = Some(Payload::Full);
    let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
    let mut world = World::of(aqueduct_tests::app::Pair::connect(net, a, b));
    world.open(a, Dir::Uni, LEN);
    let at = world.handle(a);
    for controller in Algorithm::ALL.into_iter().rev() {
        world.pair.pass(SECOND / 2);
        let host = world.pair.net.host(a);
        let mut it = host.endpoint.connection(at).expect("it lives");
        let window = it.stats().congestion_window;
        it.set_controller(controller);
        let stats = it.stats();
        assert_eq!(stats.controller, controller);
        let least = 4 * u64::from(stats.datagram_size);
        assert!(stats.congestion_window == window || window < least, "{controller:?}");
    }
    world.pair.pass(SECOND * 10);
    assert_eq!(
        world.pair.net.host(a).endpoint.connection(at).expect("it lives").stats().streams,
        0
    );
    let tape = end(&mut world.pair.net.host(a).endpoint);
    let changes = trace::records(&tape)
        .unwrap()
        .filter(|record| record.as_ref().is_ok_and(|record| record.op == Op::Controller));
    assert_eq!(changes.count(), Algorithm::ALL.len());
    assert!(again(&tape).is_whole());
}

/// spec: R-TAPE-8 R-TAPE-9
#[test]
fn values_and_operations_have_their_forms() {
    for op in Op::ALL {
        assert_eq!(Op::of(*op as u8), Some(*op));
        assert!((*op as u8) < 0x80);
    }
    assert_eq!(Op::of(0x7f), None);
    for (value, bytes) in [(0, &[0][..]), (127, &[127]), (128, &[128, 1]), (300, &[0xac, 2])] {
        let mut out = Vec::new();
        u64::put(&value, &mut out);
        assert_eq!(out, bytes);
        assert_eq!(Reader::new(bytes).get(), Some(value));
    }
    for value in [u64::MAX, 1 << 62, 1 << 35] {
        let mut out = Vec::new();
        value.put(&mut out);
        assert_eq!(Reader::new(&out).get(), Some(value));
        assert!(out.len() <= 10);
    }
    assert_eq!(Reader::new(&[0xff; 10]).get::<u64>(), None, "more than 64 bits");
    assert_eq!(Reader::new(&[0x80]).get::<u64>(), None, "cut off");
    let mut out = Vec::new();
    aqueduct_core::tape::Outcome::Refused(3).put(&mut out);
    aqueduct_core::tape::Outcome::Done(3).put(&mut out);
    assert_eq!(out, [7, 6]);
}

/// spec: R-TAPE-10
#[test]
fn a_transmit_carries_the_lowest_bits_of_the_chain() {
    let mut endpoint = Endpoint::recorded(config(1), Seed::from_u64(1), &TapeOptions::default());
    let (mut tape, mut buf) = (Vec::new(), Vec::new());
    let kind = CarrierKind::Udp { max_segments: 1, max_datagram: 1452 };
    let mut now = Instant::ZERO;
    endpoint.carrier_opened(CarrierId(0), kind, now);
    let to = PeerAddr { id: None, remote: ([10, 0, 0, 9], 1).into(), carrier: CarrierId(0) };
    endpoint.connect(to, now).unwrap();
    let mut transmits = 0;
    while transmits < 4 {
        match endpoint.poll(&mut buf, now) {
            Output::Wait(until) => now = until.unwrap(),
            Output::Transmit(_) => {
                transmits += 1;
                endpoint.take_tape(&mut tape);
                let chain = Trace::open(&tape).unwrap().segments().last().unwrap().chain;
                let last = trace::records(&tape).unwrap().last().unwrap().unwrap();
                let trace::What::Transmit(_, len, check) = last.what else { panic!("{last}") };
                assert_eq!((len, check), (buf.len(), chain as u16));
            }
            _ => {}
        }
    }
}

/// Any bytes, and tapes of which any bytes are others though their checks are right.
///
/// spec: R-TAPE-16
#[test]
fn a_reader_takes_anything() {
    let mut rng = Rng::new(&Seed::from_u64(77));
    for tape in small(Payload::Full) {
        for _ in 0..4_000 {
            let mut other = tape.clone();
            for _ in 0..=rng.below(4) {
                let at = rng.below(other.len() as u64) as usize;
                other[at] = rng.below(256) as u8;
            }
            let other = mended(&other);
            let _ = trace::show(&other, &Filter::default());
            if let Ok(redacted) = trace::redact(&other) {
                assert!(trace::show(&redacted, &Filter::default()).is_ok());
            }
        }
    }
    for len in 0..300 {
        let mut noise = vec![0; len];
        rng.fill(&mut noise);
        assert!(trace::records(&noise).is_err());
        noise.splice(..noise.len().min(8), MAGIC);
        assert!(trace::redact(&mended(&noise)).is_err());
    }
}

pub(crate) fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../spec/traces")
}

/// spec: R-TAPE-17
#[test]
fn golden_traces_run_for_ever() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "tape") {
            let tape = std::fs::read(&path).unwrap();
            let replayed = trace::replay(&tape);
            let summary = replayed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(summary.is_whole(), "{}", path.display());
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort_unstable();
    let before = "before-warnings";
    let every = ["every-relay", "every-sink", "every-source"];
    let pipe = ["pipe-relay", "pipe-sink", "pipe-source"];
    let pairs = ["small-answerer", "small-dialer", "ways-answerer", "ways-dialer"];
    let all: Vec<_> = [before].into_iter().chain(every).chain(pipe).chain(pairs).collect();
    assert_eq!(names, all);
}

/// Writes them: after a change that is meant.
#[test]
#[ignore = "writes spec/traces"]
fn write_golden_traces() {
    let write = |name: &str, tape: Vec<u8>| {
        assert!(again(&tape).is_whole());
        std::fs::write(golden().join(format!("{name}.tape")), tape).unwrap();
    };
    let [dialer, answerer] = small(Payload::Full);
    write("small-dialer", dialer);
    write("small-answerer", answerer);
    let [dialer, answerer] = ways(Payload::Full);
    write("ways-dialer", dialer);
    write("ways-answerer", answerer);
    let mut chain = chain_with_tapes();
    assert!(chain.pass(7, 20_000, SECOND * 60).whole.is_some());
    chain.run(SECOND * 3, |_| false);
    for (name, host) in [("pipe-source", 0), ("pipe-relay", 1), ("pipe-sink", 2)] {
        write(name, end(&mut chain.net.host(HostId(host)).endpoint));
    }
}
