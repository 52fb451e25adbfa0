//! Whole bodies through a network that loses, reorders and repeats.

use super::*;

/// What one stream of a run carries, and how it is written and read.
#[derive(Clone, Debug)]
struct Plan {
    dir: Dir,
    from_a: bool,
    len: u64,
    start: u64,
    /// Sizes of writes, over and over.
    cuts: Vec<u16>,
    backwards: bool,
    by_arrival: bool,
    priority: Priority,
    abort: Abort,
}

/// How a stream ends before its time, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Abort {
    No,
    /// Once `after` bytes were written; the first `promised` bytes are to be delivered still.
    Reset {
        after: u64,
        promised: u64,
    },
    /// Once `after` bytes were read.
    Stop {
        after: u64,
    },
}

fn plan() -> impl Strategy<Value = Plan> {
    let start = prop_oneof![3 => Just(0u64), 1 => 1..1_000_000_000u64];
    let len = prop_oneof![1 => 0..2u64, 3 => 0..5_000u64, 1 => 0..150_000u64];
    let cuts = prop::collection::vec(1..6000u16, 1..4);
    let abort = prop_oneof![
        4 => Just(Abort::No),
        1 => (0..20_000u64, 0..20_000u64)
            .prop_map(|(after, promised)| Abort::Reset { after, promised }),
        1 => (0..20_000u64).prop_map(|after| Abort::Stop { after }),
    ];
    (any::<(bool, bool, bool, bool)>(), len, start, cuts, 0..3usize, abort).prop_map(
        |((uni, from_a, backwards, by_arrival), len, start, cuts, class, abort)| Plan {
            abort,
            dir: if uni { Dir::Uni } else { Dir::Bi },
            from_a,
            len,
            start,
            cuts,
            backwards,
            by_arrival,
            priority: Priority::ALL[class],
        },
    )
}

/// The pieces that a plan writes, in the order of writing.
fn pieces(plan: &Plan) -> Vec<Range<u64>> {
    let (mut at, end) = (plan.start, plan.start + plan.len);
    let mut pieces = vec![];
    for cut in plan.cuts.iter().cycle() {
        if at == end {
            break;
        }
        let next = (at + u64::from(*cut)).min(end);
        pieces.push(at..next);
        at = next;
    }
    // Backwards in runs of four, so that credit never waits for what nobody wrote.
    if plan.backwards {
        pieces.chunks_mut(4).for_each(<[_]>::reverse);
    }
    pieces
}

struct Sending {
    id: StreamId,
    left: VecDeque<Range<u64>>,
    plan: Plan,
    delivered: bool,
    /// Bytes written, and up to where a reset promised them.
    written: u64,
    promised: Option<u64>,
}

struct Network {
    flying: Vec<(Packet, bool)>,
}

use core::ops::Range;

/// Writes what there is room for.
fn feed(end: &mut End, sending: &mut Sending) {
    while let Some(piece) = sending.left.pop_front() {
        if let Abort::Reset { after, promised } = sending.plan.abort
            && sending.written >= after
        {
            sending.left.clear();
            let mut stream = end.send(sending.id);
            let reliable = sending.plan.start + promised;
            stream.reset_after(AppCode(6), 0, reliable);
            // Written in order, all of it lies without a gap.
            let there = sending.plan.start + sending.written;
            let kept = if sending.plan.backwards { sending.plan.start } else { there };
            sending.promised = Some(kept.min(reliable));
            return;
        }
        let text = Bytes::from(bytes(piece.clone(), sending.id.0 as u8));
        match end.send(sending.id).write_at(piece.start, text) {
            Ok(taken) => {
                sending.written += taken as u64;
                let rest = piece.start + taken as u64..piece.end;
                // What fills a gap needs no room: it must not wait for what does.
                if !rest.is_empty() {
                    let lower = sending.left.iter().take_while(|p| p.start < rest.start).count();
                    sending.left.insert(lower, rest);
                }
            }
            Err(WriteError::Blocked) => {
                sending.left.push_front(piece);
                return;
            }
            Err(WriteError::Stopped { code: AppCode(5), hop: 0 }) => {
                assert!(matches!(sending.plan.abort, Abort::Stop { .. }));
                sending.left.clear();
            }
            Err(error) => panic!("{error}"),
        }
    }
    let end_at = sending.plan.start + sending.plan.len;
    match end.streams.send(sending.id).map(|mut s| s.finish_at(end_at)) {
        None | Some(Ok(()) | Err(WriteError::Finished)) => {}
        Some(Err(WriteError::Reset)) if sending.promised.is_some() => {}
        Some(Err(WriteError::Stopped { .. })) => {}
        Some(Err(error)) => panic!("{error}"),
    }
}

/// Bytes that came, by stream.
#[derive(Default)]
struct Taken {
    got: BTreeMap<u64, (u64, u64, bool)>,
}

/// Takes all there is, in the plan's way; checks each byte.
fn drain(end: &mut End, sending: &Sending, taken: &mut Taken) {
    let Sending { id, plan, promised, .. } = sending;
    let id = *id;
    let entry = taken.got.entry(id.0).or_insert((plan.start, 0, false));
    if entry.2
        || end
            .streams
            .recv(id, RecvAccount { credit: &mut end.recv, budget: &mut end.budget, now: end.now })
            .is_none()
    {
        return;
    }
    let mut stream = end.recv(id);
    loop {
        if matches!(plan.abort, Abort::Stop { after } if entry.1 >= after) {
            stream.stop(AppCode(5));
            entry.2 = true;
            return;
        }
        let next = if plan.by_arrival { stream.take_any(3000) } else { stream.read_chunk(3000) };
        match next {
            Ok(Some(chunk)) => {
                assert_eq!(chunk.data, bytes(chunk.range(), id.0 as u8));
                if !plan.by_arrival {
                    assert_eq!(chunk.offset, entry.0, "in order, once");
                    entry.0 = chunk.range().end;
                }
                entry.1 += chunk.data.len() as u64;
                stream.release(chunk.data.len() as u64);
            }
            Ok(None) => {
                assert_eq!(entry.1, plan.len, "all bytes, once");
                entry.2 = true;
                return;
            }
            Err(ReadError::Blocked) => return,
            Err(ReadError::Reset { code: AppCode(6), hop: 0 }) => {
                let promised = promised.expect("somebody reset it");
                assert!(plan.by_arrival || entry.0 >= promised, "what was promised came");
                assert!(entry.1 >= promised - plan.start);
                entry.2 = true;
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn transfer(plans: &[Plan], choices: &[u8], send_buffer: u64) {
    let mut pair =
        Pair::with(2 * 1024 * 1024, StreamConfig { send_buffer, ..StreamConfig::default() });
    let mut sendings = vec![];
    let mut waiting: Vec<&Plan> = plans.iter().collect();
    let mut network = [Network { flying: vec![] }, Network { flying: vec![] }];
    let mut taken = Taken::default();
    let mut quiet = 0;
    let mut choices = choices.iter().copied().cycle();
    for round in 0.. {
        assert!(round < 20_000, "it never ends");
        // Streams open as the peer allows.
        waiting.retain(|plan| {
            let end = if plan.from_a { &mut pair.a } else { &mut pair.b };
            let options = OpenOptions { start: plan.start, priority: plan.priority, ..plain() };
            match end.open(plan.dir, options) {
                Ok(id) => {
                    let (left, plan) = (pieces(plan).into(), (*plan).clone());
                    sendings.push(Sending {
                        id,
                        left,
                        plan,
                        delivered: false,
                        written: 0,
                        promised: None,
                    });
                    false
                }
                Err(error) => {
                    assert!(matches!(error, OpenError::Blocked | OpenError::NoCredit));
                    true
                }
            }
        });
        for sending in &mut sendings {
            let end = if sending.plan.from_a { &mut pair.a } else { &mut pair.b };
            match end.streams.send(sending.id) {
                Some(_) => feed(end, sending),
                None => sending.left.clear(),
            }
        }
        quiet += 1;
        for (flight, from, to) in [(0, 0, 1), (1, 1, 0)]
            .map(|(flight, from, to): (usize, usize, usize)| (flight, from, to))
        {
            let ends = [&mut pair.a, &mut pair.b];
            let [a, b] = ends;
            let (from, to) = if from < to { (a, b) } else { (b, a) };
            let flying = &mut network[flight].flying;
            for _ in 0..choices.next().unwrap() % 4 + 1 {
                flying.extend(from.packet().map(|packet| (packet, true)));
            }
            quiet *= usize::from(flying.is_empty());
            for _ in 0..choices.next().unwrap() % 4 + 1 {
                if flying.is_empty() {
                    break;
                }
                let index = usize::from(choices.next().unwrap()) % flying.len();
                // After a long time the network is kind.
                let fate = if round > 3000 { 255 } else { choices.next().unwrap() };
                match fate {
                    // Lost, and known to be.
                    0..60 => {
                        let (packet, open) = flying.swap_remove(index);
                        if open {
                            from.settle(&packet.receipts, false);
                        }
                    }
                    // Thought lost, but still under way.
                    60..75 if flying[index].1 => {
                        flying[index].1 = false;
                        let receipts = flying[index].0.receipts.clone();
                        from.settle(&receipts, false);
                    }
                    // Arrives, and will arrive once more.
                    75..95 if flying.len() < 50 => {
                        let packet = flying[index].0.clone();
                        flying[index].1 &= !accepts(from, to, &packet, flying[index].1);
                    }
                    _ => {
                        let (packet, open) = flying.swap_remove(index);
                        if !accepts(from, to, &packet, open) && open {
                            from.settle(&packet.receipts, false);
                        }
                    }
                }
            }
        }
        for sending in &mut sendings {
            let end = if sending.plan.from_a { &mut pair.b } else { &mut pair.a };
            drain(end, sending, &mut taken);
        }
        // Nobody answers on bidirectional streams: the other direction ends empty.
        for plan_end in [&mut pair.a, &mut pair.b] {
            while plan_end.streams.accept().is_some() {}
        }
        for sending in sendings.iter().filter(|s| s.plan.dir == Dir::Bi) {
            let (opener, other) = if sending.plan.from_a {
                (&mut pair.a, &mut pair.b)
            } else {
                (&mut pair.b, &mut pair.a)
            };
            if let Some(mut back) = other.streams.send(sending.id) {
                _ = back.finish();
            }
            let account = RecvAccount {
                credit: &mut opener.recv,
                budget: &mut opener.budget,
                now: opener.now,
            };
            if let Some(mut back) = opener.streams.recv(sending.id, account) {
                assert_eq!(back.read_chunk(1).unwrap_or(None), None);
            }
        }
        for event in pair.a.events().into_iter().chain(pair.b.events()) {
            if let StreamEvent::Delivered(id) = event {
                sendings.iter_mut().filter(|s| s.id == id).for_each(|s| s.delivered = true);
            }
        }
        if quiet > 2 && waiting.is_empty() && sendings.iter().all(|s| s.left.is_empty()) {
            break;
        }
    }
    for sending in &sendings {
        if sending.plan.abort != Abort::No {
            continue;
        }
        assert!(taken.got[&sending.id.0].2, "{:?} is complete", sending.id);
        assert!(sending.delivered, "{:?} was delivered", sending.id);
    }
    for end in [&pair.a, &pair.b] {
        assert_eq!((end.streams.count(), end.streams.held()), (0, 0), "nothing is left over");
        assert_eq!(end.recv.held(), 0);
        assert!(end.streams.is_flushed());
    }
}

/// A copy of a packet arrives; its first acceptance is acknowledged. Says whether it was accepted.
fn accepts(from: &mut End, to: &mut End, packet: &Packet, open: bool) -> bool {
    let accepted = to.receive(packet).expect("no rule is broken");
    if accepted && open {
        from.settle(&packet.receipts, true);
    }
    accepted
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// spec: R-STR-3, R-STR-4, R-STR-5, R-STR-12, R-STR-13, R-STR-14, R-STR-16, R-STR-20, R-STR-25
    #[test]
    fn every_body_arrives_once_and_whole(
        plans in prop::collection::vec(plan(), 1..12),
        choices in prop::collection::vec(any::<u8>(), 50..400),
        send_buffer in prop_oneof![Just(1024 * 1024u64), 5_000..100_000u64],
    ) {
        transfer(&plans, &choices, send_buffer);
    }
}

/// The same inputs give the same packets.
#[test]
fn two_runs_are_equal() {
    let run = || {
        let mut pair = Pair::new();
        for n in 0..5u8 {
            let id = pair.a.uni();
            pair.a.send(id).write(Bytes::from(vec![n; 3000])).unwrap();
        }
        let packets = std::iter::from_fn(|| pair.a.packet()).map(|packet| packet.payload);
        packets.collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

/// spec: R-STR-26
#[test]
fn a_long_body_takes_memory_for_one_window_only() {
    let mut pair = Pair::with(1024 * 1024, StreamConfig::default());
    let id = pair.a.uni();
    let (mut written, mut read, mut peak) = (0u64, 0u64, 0);
    const SIZE: u64 = 20_000_000;
    while read < SIZE {
        if written < SIZE {
            let data = Bytes::from(bytes(written..(written + 65536).min(SIZE), 3));
            written += pair.a.send(id).write(data).unwrap_or(0) as u64;
        }
        for _ in 0..40 {
            pair.step_a();
            peak = peak.max(pair.b.streams.held() + pair.b.recv.held());
        }
        let mut out = vec![0; 50_000];
        if pair.b.streams.count() > 0 {
            while let Ok(Some(count)) = pair.b.recv(id).read(&mut out) {
                assert_eq!(out[..count], bytes(read..read + count as u64, 3));
                read += count as u64;
            }
        }
        pair.step_b();
    }
    // What is charged, and the blocks that it lies in.
    assert!(peak <= 2 * 1024 * 1024 + 64 * 1024, "{peak}");
}
