//! Much of one thing: challenges, datagrams, messages, streams opened and reset, tiny frames.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::endpoint::{EventKind, PeerAddr};
use aqueduct_core::error::{CloseReason, TransportCode as Code};
use aqueduct_core::wire::frame::Frame;
use aqueduct_core::wire::id::Dir;
use aqueduct_tests::byzantine::{Duel, Role, numbers};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{Net, UDP};
use aqueduct_tests::raw::ask;
use aqueduct_tests::transfer::{Writer, take, text};

use crate::extremes::kind;
use crate::transfer::config;

const MAX: u64 = (1 << 62) - 1;

/// spec: R-PATH-5
#[test]
fn challenges() {
    let mut duel = Duel::new(Role::Dials);
    duel.last_heard();
    let mut answers = 0;
    for round in 0..1_000u64 {
        let challenges: Vec<_> = (0..100u64)
            .map(|k| Frame::PathChallenge { token: (round * 100 + k).to_be_bytes() })
            .collect();
        duel.say(&challenges);
        for heard in duel.last_heard() {
            let tokens: Vec<_> = heard
                .frames()
                .filter_map(|frame| match frame {
                    Frame::PathResponse { token } => Some(token),
                    _ => None,
                })
                .collect();
            assert!(tokens.iter().all(|token| *token == (round * 100 + 99).to_be_bytes()));
            answers += tokens.len();
        }
    }
    assert_eq!(duel.ended(), None);
    println!("100,000 challenges, {answers} answers");
    assert!(answers <= 1_000, "{answers}");
}

/// From another address: no more than three times of what came from there goes there.
///
/// spec: R-PATH-1
#[test]
fn challenges_from_elsewhere() {
    let mut duel = Duel::new(Role::Dials);
    let elsewhere: SocketAddr = "198.51.100.7:7".parse().expect("an address");
    let cid = aqueduct_core::wire::frame::NewCidFrame {
        sequence: 1,
        cid: aqueduct_core::wire::id::ConnectionId(*b"moved..1"),
        reset_token: [1; 16],
    };
    duel.say(&[Frame::NewCid(cid)]);
    duel.last_heard();
    duel.from = elsewhere;
    let mut said = 0;
    for _ in 0..200 {
        said += 13 + 9 + 16;
        duel.say(&[Frame::PathChallenge { token: [7; 8] }]);
        let there = duel.peer.heard.iter().filter(|heard| heard.to == elsewhere);
        let sent: usize = there.map(|heard| heard.size).sum();
        assert!(sent <= 3 * said, "{sent} bytes for {said}");
    }
    assert_eq!(duel.ended(), None);
}

/// spec: R-MSG-2
#[test]
fn datagrams_larger_than_announced() {
    let config = aqueduct_core::config::TransportConfig::default();
    let config = config.with_datagrams(500, aqueduct_core::message::DropRule::Oldest);
    let config = aqueduct_tests::byzantine::honest().with_transport(config);
    let params = aqueduct_core::wire::params::Params::default();
    let mut duel = Duel::with(config, Role::Dials, &params);
    assert_eq!(duel.allowed().max_datagram_frame, 500);
    duel.say(&[Frame::Datagram { data: &[7; 500] }]);
    assert_eq!(duel.ended(), None);
    duel.say(&[Frame::Datagram { data: &[7; 501] }]);
    assert_eq!(duel.violation(), Some(Code::TooLarge));
}

/// spec: R-MSG-3
#[test]
fn datagrams_that_nobody_reads() {
    for len in [0, 1, 100, 1_100] {
        let mut duel = Duel::new(Role::Dials);
        let data = vec![7; len];
        let many = (1_100 / (len + 3)).clamp(1, 400);
        let frames = vec![Frame::Datagram { data: &data }; many];
        for _ in 0..2_000 {
            duel.say(&frames);
        }
        assert_eq!(duel.ended(), None);
        let handle = duel.handle.expect("a connection");
        let mut view = duel.endpoint.connection(handle).expect("it lives");
        let mut left = 0;
        while view.recv_datagram().is_some() {
            left += 1;
        }
        assert!(left <= 1_024, "{left} of {len} bytes");
        assert!(left * (len + 64) <= 256 * 1_024, "{left} of {len} bytes");
    }
}

/// Datagrams and pieces of news that a packet with these frames leads to.
fn steps_for(duel: &Duel, plaintext: &[u8]) -> usize {
    let mut duel = duel.clone();
    let packet = duel.peer.packet(plaintext);
    let said = ask(&mut duel.endpoint, duel.from, &packet, duel.now);
    duel.events.extend(said.news());
    assert_eq!(duel.ended(), None);
    assert_eq!(duel.stats().streams, 1, "{said:?}");
    said.datagrams.len() + said.events.len()
}

/// As many as a packet may have lead to no more than one of them; of thousands no more than so many
/// are looked at, and that is the end.
///
/// spec: R-EP-44, R-FRM-3
#[test]
fn thousands_of_tiny_frames_in_a_datagram() {
    let mut duel = Duel::new(Role::Dials);
    let id = duel.stream(Dir::Uni, 0).0;
    duel.say_raw(&numbers(&[kind::OPEN, id, 0, 9, 0]));
    duel.say_raw(&[numbers(&[kind::STREAM, id, 0, 5]), b"bytes".to_vec()].concat());
    duel.pass(Duration::from_secs(1));
    let tiny = [
        ("PADDING and PING", vec![0, 1]),
        ("PING", vec![1]),
        ("the same byte", [numbers(&[kind::STREAM, id, 0, 1]), b"b".to_vec()].concat()),
        ("MAX_DATA", numbers(&[kind::MAX_DATA, 0])),
        ("STREAM_DATA_BLOCKED", numbers(&[kind::STREAM_DATA_BLOCKED, id, 1])),
    ];
    for (what, tiny) in tiny {
        let count = if tiny == [0, 1] { 256 } else { 512 };
        let (one, all) = (steps_for(&duel, &tiny), steps_for(&duel, &tiny.repeat(count)));
        println!("{what}: {one} steps for one, {all} for {count}");
        assert!(all <= one, "{what}: {one} steps for one, {all} for {count}");
        let mut duel = duel.clone();
        duel.say_raw(&tiny.repeat(10_000));
        assert_eq!(duel.violation(), Some(Code::Protocol), "{what}");
    }
    // A run of PADDING is one frame, however long.
    let padding = [vec![0; 60_000], vec![1]].concat();
    assert_eq!(steps_for(&duel, &padding), steps_for(&duel, &[1]));
}

/// Streams are opened and reset as fast as they are allowed, a million of them.
///
/// spec: R-FLOW-17
#[test]
fn opened_and_reset() {
    let mut duel = Duel::new(Role::Dials);
    duel.peer.deaf = true;
    duel.blind = true;
    let (mut next, mut allowed) = (0u64, duel.allowed().max_streams_uni);
    let mut stalled = 0;
    while next < 1_000_000 && stalled < 100 {
        let mut plaintext = Vec::new();
        let before = next;
        while next < allowed && plaintext.len() < 1_100 {
            let id = duel.stream(Dir::Uni, next).0;
            plaintext.extend(numbers(&[kind::OPEN, id, 0, 9, 0, kind::RESET, id, 0, 0, 0, 0]));
            next += 1;
        }
        if plaintext.is_empty() {
            plaintext.extend(numbers(&[kind::STREAMS_BLOCKED_UNI, allowed]));
        }
        duel.peer.deaf = false;
        duel.say_raw(&plaintext);
        assert!(duel.ended().is_none());
        // The application accepts and reads what there is.
        let handle = duel.handle.expect("a connection");
        let mut view = duel.endpoint.connection(handle).expect("it lives");
        while let Some(id) = view.accept() {
            if let Some(mut stream) = view.recv(id) {
                assert!(stream.read_chunk(1).is_err());
            }
        }
        drop(view);
        duel.pass(Duration::from_millis(1));
        for heard in duel.last_heard() {
            for frame in heard.frames() {
                if let Frame::MaxStreams { dir: Dir::Uni, limit } = frame {
                    allowed = allowed.max(limit);
                }
            }
        }
        duel.ack();
        stalled = if next == before { stalled + 1 } else { 0 };
        assert!(duel.stats().streams <= 200, "{} streams", duel.stats().streams);
    }
    let stats = duel.stats();
    println!(
        "{next} streams were opened and reset; {} are left, {} bytes held",
        stats.streams, stats.bytes_held
    );
    assert!(next >= 1_000_000);
    assert!(stats.streams <= 1);
}

/// The same, and the application takes none: then no more may be opened than were allowed at first.
///
/// spec: R-FLOW-17
#[test]
fn opened_and_reset_unheard() {
    let mut duel = Duel::new(Role::Dials);
    let allowed = duel.allowed().max_streams_uni;
    for sequence in 0..allowed {
        let id = duel.stream(Dir::Uni, sequence).0;
        duel.say_raw(&numbers(&[kind::OPEN, id, 0, 9, 0, kind::RESET, id, 0, 0, 0, 0]));
    }
    duel.pass(Duration::from_secs(1));
    assert_eq!(duel.ended(), None);
    let raised = duel.last_heard().iter().any(|heard| {
        heard.frames().any(|frame| matches!(frame, Frame::MaxStreams { dir: Dir::Uni, .. }))
    });
    assert!(!raised, "streams that nobody took make room for others");
    assert_eq!(duel.stats().streams as u64, allowed);
}

/// How many streams the honest end asked to be stopped since it was asked last.
fn stopped(duel: &mut Duel) -> u64 {
    let heard = duel.last_heard();
    let stops = heard.iter().flat_map(|heard| heard.frames());
    stops.filter(|frame| matches!(frame, Frame::Stop(_))).count() as u64
}

/// A whole message of 300 bytes on this stream; it comes, and nothing else does.
fn honest_message(duel: &mut Duel, sequence: u64) {
    let (id, body) = (duel.stream(Dir::Uni, sequence).0, vec![sequence as u8; 300]);
    duel.say_raw(&numbers(&[kind::OPEN, id, 2, 1, 300, 0]));
    duel.say_raw(&[numbers(&[kind::STREAM_FIN, id, 0, 300]), body.clone()].concat());
    let handle = duel.handle.expect("a connection");
    let mut view = duel.endpoint.connection(handle).expect("it lives");
    assert_eq!(view.recv_message().as_deref(), Some(&body[..]), "the message on stream {sequence}");
    assert_eq!(view.recv_message(), None);
}

/// Messages that are announced and never come: nothing is kept for what is announced, and whole
/// messages beside them come, among the last that are allowed, and once the others are given up.
///
/// spec: R-MSG-7, R-MSG-9
#[test]
fn messages_that_never_come() {
    let mut duel = Duel::new(Role::Dials);
    for (sequence, size) in [(0, MAX), (1, 1 << 40), (2, 16 * 1_024 * 1_024 + 1)] {
        let id = duel.stream(Dir::Uni, sequence).0;
        duel.say_raw(&numbers(&[kind::OPEN, id, 2, 1, size, 0]));
        assert_eq!(duel.ended(), None, "{size}");
        assert_eq!(stopped(&mut duel), 1, "{size} is too large, and said to be");
    }
    let allowed = duel.allowed().max_streams_uni;
    let (mut given_up, mut announced, mut honest) = (0, 0, 0);
    for sequence in 3..allowed {
        if sequence % 8 == 7 || sequence + 1 == allowed {
            honest_message(&mut duel, sequence);
            honest += 1;
            continue;
        }
        announced += 1;
        let id = duel.stream(Dir::Uni, sequence).0;
        duel.say_raw(&numbers(&[kind::OPEN, id, 2, 1, 16 * 1_024 * 1_024, 0]));
        duel.say_raw(&[numbers(&[kind::STREAM, id, 0, 1]), b"x".to_vec()].concat());
        duel.pass(Duration::from_millis(1));
        duel.ack();
        assert_eq!(duel.ended(), None);
    }
    let held = duel.stats().bytes_held;
    println!("{held} bytes held for {announced} messages of 16 MiB; {honest} came beside");
    assert!(honest > 3 && held <= announced * 4_096, "{held} bytes for a byte of each");
    // All are silent from now on; each is given up, and said to be.
    for _ in 0..50 {
        duel.pass(Duration::from_secs(1));
        duel.say(&[Frame::Ping]);
        duel.ack();
        given_up += stopped(&mut duel);
    }
    assert_eq!(duel.ended(), None);
    assert_eq!(given_up, announced, "each of them once");
    // Their sender ends them, and their places are anybody's again.
    for sequence in 3..allowed {
        let id = duel.stream(Dir::Uni, sequence).0;
        duel.say_raw(&numbers(&[kind::RESET, id, 0, 0, 1, 0]));
        duel.ack();
    }
    let heard = duel.last_heard();
    let limits = heard.iter().flat_map(|heard| heard.frames()).filter_map(|frame| match frame {
        Frame::MaxStreams { dir: Dir::Uni, limit } => Some(limit),
        _ => None,
    });
    let most = limits.max().expect("places for other streams");
    assert!(most > allowed, "{most}");
    honest_message(&mut duel, most - 1);
    assert_eq!(duel.ended(), None);
}

/// A message that ends elsewhere than it said.
///
/// spec: R-MSG-7, R-MSG-10
#[test]
fn messages_that_lie() {
    let template = Duel::new(Role::Dials);
    let id = template.stream(Dir::Uni, 0).0;
    let body = |fin: u64, offset, len: usize| {
        [numbers(&[fin, id, offset, len as u64]), vec![b'x'; len]].concat()
    };
    let announced = numbers(&[kind::OPEN, id, 2, 1, 10, 0]);
    let lies = [
        ("shorter", vec![announced.clone(), body(kind::STREAM_FIN, 0, 9)]),
        ("longer", vec![announced.clone(), body(kind::STREAM_FIN, 0, 11)]),
        ("longer, without an end", vec![announced.clone(), body(kind::STREAM, 5, 6)]),
        ("skipped", vec![announced.clone(), numbers(&[kind::SKIP, id, 0, 5])]),
        (
            "skipped before it is announced",
            vec![numbers(&[kind::SKIP, id, 0, 5]), body(kind::STREAM_FIN, 5, 5), announced.clone()],
        ),
        ("with a start", vec![numbers(&[kind::OPEN, id, 4, 1, 5, 0])]),
        ("with an end", vec![numbers(&[kind::OPEN, id, 8, 1, 5, 0])]),
    ];
    for (what, packets) in lies {
        let mut duel = template.clone();
        packets.iter().for_each(|packet| duel.say_raw(packet));
        assert_eq!(duel.ended(), None, "{what}");
        let stops = duel.last_heard().iter().any(|heard| {
            heard.frames().any(|frame| matches!(frame, Frame::Stop(stop) if stop.id.0 == id))
        });
        // What is there to its last byte need not be stopped.
        let over = duel.stats().streams == 0;
        assert!(stops || over, "{what}: it is stopped");
        let handle = duel.handle.expect("a connection");
        let message = duel.endpoint.connection(handle).expect("it lives").recv_message();
        assert_eq!(message, None, "{what}");
    }
}

/// Addresses, each other than the last, in every frame: news of the newest, and no heap of them.
///
/// spec: R-PATH-26
#[test]
fn addresses_observed() {
    let mut duel = Duel::new(Role::Dials);
    duel.events.clear();
    for round in 0..100u64 {
        let frames: Vec<_> = (0..80u64)
            .map(|k| {
                let sequence = 1 + round * 80 + k;
                let [.., a, b, c] = sequence.to_be_bytes();
                Frame::ObservedAddress {
                    sequence,
                    address: SocketAddr::new([10, a, b, c].into(), 1),
                }
            })
            .collect();
        duel.say(&frames);
    }
    assert_eq!(duel.ended(), None);
    assert!(duel.events.len() <= 100, "{} pieces of news for 100 packets", duel.events.len());
}

/// Frames that wait to be said, as text: they come when a copy of the peer begins to acknowledge.
fn waits_to_be_said(duel: &Duel) -> BTreeSet<String> {
    let mut copy = duel.clone();
    copy.last_heard();
    for _ in 0..20 {
        copy.ack();
        copy.pass(Duration::from_millis(30));
    }
    assert_eq!(copy.ended(), None, "an acknowledgement saves it");
    let heard = copy.last_heard();
    let of_a_moment =
        |said: &Frame<'_>| matches!(said, Frame::Ack(_) | Frame::Ping | Frame::Padding { .. });
    let frames = heard.iter().flat_map(|heard| heard.frames());
    frames.filter(|said| !of_a_moment(said)).map(|said| format!("{said:?}")).collect()
}

/// Nothing but control frames, and nothing is ever acknowledged. What waits to be said is the last
/// word on each thing, however many frames ask for it; and who speaks and does not answer is given
/// up after 20 s.
///
/// spec: R-REC-26
#[test]
fn controls_without_an_acknowledgement() {
    let mut duel = Duel::new(Role::Dials);
    let streams = duel.allowed().max_streams_bidi;
    let (began, mut sent, mut looked) = (duel.now, 0, 0);
    for round in 0..3_000u64 {
        let id = duel.stream(Dir::Bi, round % streams).0;
        let [said, asked] = [kind::STREAM_DATA_BLOCKED, kind::CREDIT_RECALL];
        duel.say_raw(&numbers(&[said, id, 16_384, kind::DATA_BLOCKED, round, 1]));
        duel.say_raw(&numbers(&[kind::MAX_STREAM_DATA, id, round, asked, 0, round]));
        duel.say_raw(&numbers(&[asked, id + 3, round]));
        if round % 2 == 0 && round < streams {
            duel.say_raw(&numbers(&[kind::STOP, id, 7, 0]));
        }
        if duel.ended().is_some() {
            break;
        }
        sent += duel.last_heard().iter().map(|heard| heard.size).sum::<usize>();
        if round % 400 == 399 {
            let waiting = waits_to_be_said(&duel);
            // For the connection, and for each stream that is not reset.
            assert_eq!(waiting.len() as u64, 1 + streams / 2, "{waiting:?}");
            let of_all = format!("CreditReturned {{ target: Connection, total: {round} }}");
            assert!(waiting.contains(&of_all), "{waiting:?}");
            looked += 1;
        }
        duel.pass(Duration::from_millis(10));
    }
    let lasted = duel.now.saturating_since(began);
    println!("{sent} bytes were said in {lasted:?}; {:?}", duel.ended());
    assert!(matches!(duel.ended(), Some(CloseReason::PeerLost { .. })), "{:?}", duel.ended());
    assert!((20_000..21_000).contains(&lasted.as_millis()), "{lasted:?}");
    assert!(looked >= 4 && sent < 200_000, "{sent} bytes");
}

/// A socket that takes nothing, for ever, while streams are open in both directions: time goes on, and
/// the connection ends when it has been silent for too long.
///
/// spec: R-EP-40, R-EP-41
#[test]
fn a_socket_that_takes_nothing() {
    for role in Role::ALL {
        let mut duel = Duel::new(role);
        let id = duel.stream(Dir::Bi, 0).0;
        duel.say_raw(
            &[numbers(&[kind::OPEN, id, 0, 9, 0, kind::STREAM, id, 0, 1]), b"x".to_vec()].concat(),
        );
        let handle = duel.handle.expect("a connection");
        let _ = Writer::open(&mut duel.endpoint, handle, text(100_000));
        duel.endpoint.carrier_blocked(UDP, duel.now);
        duel.last_heard();
        duel.pass(Duration::from_secs(25));
        assert_eq!(duel.ended(), None, "{role:?}");
        assert!(duel.last_heard().is_empty(), "{role:?}");
        duel.pass(Duration::from_secs(100));
        assert!(matches!(duel.ended(), Some(CloseReason::IdleTimeout(_))), "{:?}", duel.ended());
        assert!(duel.last_heard().is_empty(), "{role:?}");
    }
}

/// A handshake before a socket that takes nothing: it is given up in its time, and nothing spins.
///
/// spec: R-EP-40, R-EP-41, R-CLOSE-9
#[test]
fn a_handshake_before_a_socket_that_takes_nothing() {
    for known in [true, false] {
        let mut net = Net::new(1, LinkConfig::default());
        let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
        let now = net.now;
        let to = PeerAddr::new(net.host(b).endpoint.node_id(), net.host(b).addr);
        net.host(a).endpoint.carrier_blocked(UDP, now);
        let handle = net.connect_to(a, PeerAddr { id: to.id.filter(|_| known), ..to });
        net.run(Duration::from_millis(9_900), |_| false);
        assert!(net.host(a).events.is_empty());
        net.run(Duration::from_millis(200), |_| false);
        let news = take(&mut net, a);
        let unreachable = CloseReason::HandshakeTimeout(Duration::from_secs(10));
        assert_eq!(news[0], (handle, EventKind::Closed(unreachable)));
        assert_eq!(net.host(a).sent, 0);
    }
}

/// The same, and it takes bytes again in time.
#[test]
fn a_handshake_before_a_socket_that_takes_nothing_for_a_while() {
    let mut net = Net::new(1, LinkConfig::default());
    let (a, b) = (net.add(config(1), 1), net.add(config(2), 2));
    let now = net.now;
    net.host(a).endpoint.carrier_blocked(UDP, now);
    let handle = net.connect(a, b);
    net.run(Duration::from_secs(3), |_| false);
    let now = net.now;
    net.host(a).endpoint.carrier_writable(UDP, now);
    net.run(Duration::from_millis(21), |_| false);
    assert!(take(&mut net, a).contains(&(handle, EventKind::Connected)), "at once");
}
