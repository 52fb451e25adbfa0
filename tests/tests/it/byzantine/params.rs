//! Parameters at their extremes, one by one and against each other, by each packet that carries them.

use std::time::Duration;

use aqueduct_core::endpoint::EventKind;
use aqueduct_core::error::CloseReason;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::frame::Frame;
use aqueduct_core::wire::id::Dir;
use aqueduct_core::wire::params::Params;
use aqueduct_tests::byzantine::{Duel, Handshake, Met, Role, honest};
use bytes::Bytes;

const MAX: u64 = (1 << 62) - 1;
const DAY: u64 = 86_400_000;

fn change(change: impl FnOnce(&mut Params)) -> Params {
    let mut params = Params::default();
    change(&mut params);
    params
}

/// Every parameter at the least and at the most that it may be.
fn lawful() -> Vec<(&'static str, Params)> {
    let none = |p: &mut Params| {
        (p.initial_max_data, p.initial_max_stream_data) = (0, 0);
        (p.max_streams_bidi, p.max_streams_uni) = (0, 0);
    };
    let all = |p: &mut Params| {
        (p.initial_max_data, p.initial_max_stream_data) = (MAX, MAX);
        (p.max_streams_bidi, p.max_streams_uni) = (1 << 60, 1 << 60);
        (p.idle_timeout_ms, p.max_ack_delay_us) = (DAY, 1_000_000);
        (p.max_datagram_frame, p.max_packet_size) = (65_527, 65_527);
        (p.active_cid_limit, p.max_message_size) = (8, MAX);
        p.reset_token = [0xff; 16];
    };
    vec![
        ("no credit", change(none)),
        ("everything at the most", change(all)),
        ("streams without credit", change(|p| p.initial_max_stream_data = 0)),
        ("credit of a byte", change(|p| (p.initial_max_data, p.initial_max_stream_data) = (1, 1))),
        ("credit without streams", change(|p| (p.max_streams_bidi, p.max_streams_uni) = (0, 0))),
        (
            "more for a stream, and no streams",
            change(|p| {
                none(p);
                p.initial_max_stream_data = MAX;
            }),
        ),
        ("a millisecond", change(|p| (p.idle_timeout_ms, p.max_ack_delay_us) = (1, 999))),
        ("a day", change(|p| p.idle_timeout_ms = DAY)),
        ("no delay", change(|p| p.max_ack_delay_us = 0)),
        ("a second", change(|p| p.max_ack_delay_us = 1_000_000)),
        ("no datagrams", change(|p| p.max_datagram_frame = 0)),
        ("datagrams of a byte", change(|p| p.max_datagram_frame = 1)),
        ("the smallest packets", change(|p| p.max_packet_size = 1_200)),
        ("two ids", change(|p| p.active_cid_limit = 2)),
        ("eight ids", change(|p| p.active_cid_limit = 8)),
        ("no messages", change(|p| p.max_message_size = 0)),
        ("messages of 2^62 - 1", change(|p| p.max_message_size = MAX)),
    ]
}

/// One step beyond each limit, and pairs that contradict each other.
fn unlawful() -> Vec<(&'static str, Params)> {
    let beyond = (1 << 60) + 1;
    vec![
        ("too many streams", change(|p| p.max_streams_bidi = beyond)),
        ("too many streams", change(|p| p.max_streams_uni = MAX)),
        (
            "a stream beyond the connection",
            change(|p| {
                p.initial_max_stream_data = p.initial_max_data + 1;
            }),
        ),
        ("no idle time-out", change(|p| p.idle_timeout_ms = 0)),
        ("more than a day", change(|p| p.idle_timeout_ms = DAY + 1)),
        ("for ever", change(|p| p.idle_timeout_ms = MAX)),
        ("more than a second", change(|p| p.max_ack_delay_us = 1_000_001)),
        ("an endless delay", change(|p| p.max_ack_delay_us = MAX)),
        (
            "a delay beyond the time-out",
            change(|p| {
                (p.idle_timeout_ms, p.max_ack_delay_us) = (1, 1_000);
            }),
        ),
        ("datagrams beyond UDP", change(|p| p.max_datagram_frame = 65_528)),
        ("endless datagrams", change(|p| p.max_datagram_frame = MAX)),
        ("small packets", change(|p| p.max_packet_size = 1_199)),
        ("no packets", change(|p| p.max_packet_size = 0)),
        ("packets beyond UDP", change(|p| p.max_packet_size = 65_528)),
        ("endless packets", change(|p| p.max_packet_size = MAX)),
        ("one id", change(|p| p.active_cid_limit = 1)),
        ("no id", change(|p| p.active_cid_limit = 0)),
        ("nine ids", change(|p| p.active_cid_limit = 9)),
        ("endless ids", change(|p| p.active_cid_limit = MAX)),
    ]
}

/// With each lawful set a connection lives: streams, datagrams, messages and time are tried.
///
/// spec: R-PKT-20, R-LIM-4
#[test]
fn lawful_parameters_are_lived_with() {
    for role in Role::ALL {
        for (what, params) in lawful() {
            println!("{role:?}, {what}");
            let mut duel = Duel::with(honest(), role, &params);
            exercise(&mut duel);
            let ended = duel.ended();
            let timed_out =
                matches!(ended, Some(CloseReason::IdleTimeout(_) | CloseReason::PeerLost { .. }));
            assert!(ended.is_none() || timed_out, "{role:?}, {what}: {ended:?}");
            let most = params.max_packet_size as usize;
            assert!(duel.peer.heard.iter().all(|heard| heard.size <= most), "{role:?}, {what}");
        }
    }
}

fn exercise(duel: &mut Duel) {
    let handle = duel.handle.expect("a connection");
    for _ in 0..20 {
        if let Some(mut view) = duel.endpoint.connection(handle) {
            for dir in [Dir::Bi, Dir::Uni] {
                if let Ok(id) = view.open(dir, OpenOptions::new(StreamProtocol::Number(9))) {
                    let mut stream = view.send(id).expect("it was opened");
                    let _ = stream.write(vec![7; 10_000].into());
                    let _ = stream.finish();
                }
            }
            let _ = view.send_datagram(Bytes::from_static(b"datagram"));
            let _ = view.send_message(vec![9; 3_000].into());
        }
        duel.pump();
        duel.pass(Duration::from_millis(30));
        if duel.ended().is_none() {
            duel.ack();
        }
    }
}

/// spec: R-PKT-20
#[test]
fn unlawful_parameters_make_no_connection() {
    for role in Role::ALL {
        for (what, params) in unlawful() {
            let mut handshake = Handshake::run(honest(), role, &params);
            let connected = handshake.events.contains(&EventKind::Connected);
            assert!(!connected, "{role:?}, {what}");
            let stats = handshake.endpoint.stats();
            match role {
                Role::Dials => {
                    assert!(matches!(handshake.met, Met::Nothing), "{what} was answered");
                    assert_eq!(stats.handshake_discarded, 1, "{what}");
                    assert_eq!((stats.connections, stats.half_open), (0, 0), "{what}");
                }
                Role::DialsStranger => {
                    assert_eq!(stats.handshake_discarded, 1, "{what}");
                    assert_eq!((stats.connections, stats.half_open), (0, 0), "{what}");
                }
                Role::Answers | Role::AnswersStranger => {
                    let reason = handshake.events.iter().find_map(|event| match event {
                        EventKind::Closed(CloseReason::Handshake(why)) => Some(why.clone()),
                        _ => None,
                    });
                    let reason = reason.expect("the dialling side is told");
                    assert!(reason.contains("broke the rules"), "{what}: {reason}");
                    assert_eq!(stats.connections, 0, "{what}");
                }
            }
            assert_eq!(handshake.endpoint.stats().budget_committed, 0, "{role:?}, {what}");
            let _ = handshake.endpoint.node_id();
            handshake.events.clear();
        }
    }
}

/// What is announced small is kept small: nothing is sent that the peer does not take.
#[test]
fn small_limits_are_kept() {
    let params = change(|p| {
        (p.initial_max_data, p.initial_max_stream_data) = (1_000, 100);
        (p.max_streams_bidi, p.max_streams_uni) = (2, 1);
        (p.max_datagram_frame, p.max_message_size) = (7, 50);
    });
    for role in Role::ALL {
        let mut duel = Duel::with(honest(), role, &params);
        exercise(&mut duel);
        let (mut streams, mut datagrams) = (std::collections::BTreeSet::new(), 0);
        for heard in duel.last_heard() {
            for frame in heard.frames() {
                match frame {
                    Frame::Stream(stream) => {
                        streams.insert(stream.id);
                        assert!(stream.offset + stream.data.len() as u64 <= 100, "{stream:?}");
                    }
                    Frame::Datagram { .. } => datagrams += 1,
                    _ => {}
                }
            }
        }
        assert_eq!(datagrams, 0, "they have 8 bytes");
        assert!(streams.len() <= 3, "{streams:?}");
        assert_eq!(duel.ended(), None);
    }
}
