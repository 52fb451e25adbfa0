//! What a tape says of news, it is read by: each kind to its last byte.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{Ipv6Addr, SocketAddr};
use core::time::Duration;

use crate::connection::EventKind;
use crate::endpoint::pipes::{Leg, PipeEvent, PipeEventKind, PipeId, StreamAddr};
use crate::endpoint::{ConnectionHandle, Event};
use crate::error::CloseReason;
use crate::pipe::{LegEnd, LegIndex, PipeStats};
use crate::stream::Stuck;
use crate::tape::{Reader, Taped};
use crate::time::Instant;
use crate::trace::{skip_event, skip_pipe_event};
use crate::wire::id::{AppCode, Dir, Side, StreamId};

/// A number that is long on a tape.
const MANY: u64 = u64::MAX / 3;

fn news() -> Vec<EventKind> {
    let stream = StreamId::new(Side::Initiator, Dir::Uni, 1 << 40);
    let remote = SocketAddr::from((Ipv6Addr::LOCALHOST, 65_535));
    let pressure = EventKind::StreamPressure {
        stream,
        buffered: MANY,
        limit: MANY + 1,
        ranges: MANY + 2,
        max_ranges: MANY + 3,
    };
    let overflow = Stuck::Overflow { buffered: MANY, limit: MANY };
    let peer = CloseReason::Peer { code: AppCode(MANY), reason: String::from("enough") };
    alloc::vec![
        EventKind::Connected,
        EventKind::StreamAvailable,
        EventKind::Readable(stream),
        EventKind::Writable(stream),
        EventKind::Stopped(stream),
        EventKind::Delivered(stream),
        EventKind::Acked(stream),
        pressure,
        EventKind::StreamEnded { stream, why: Stuck::Timeout },
        EventKind::StreamEnded { stream, why: overflow },
        EventKind::Openable(Dir::Bi),
        EventKind::DatagramReceived,
        EventKind::DatagramsWritable,
        EventKind::MessageReceived,
        EventKind::PathChanged { remote },
        EventKind::AddressObserved(remote),
        EventKind::Closed(peer),
        EventKind::Closed(CloseReason::IdleTimeout(Duration::from_secs(30))),
        EventKind::Drained,
        EventKind::PathSilent,
        EventKind::PathPaused,
    ]
}

fn pipe_news() -> Vec<PipeEventKind> {
    let (code, hop) = (AppCode(MANY), MANY);
    let ends = [
        LegEnd::Delivered,
        LegEnd::Stopped { code, hop },
        LegEnd::Detached { at: MANY },
        LegEnd::Lost,
        LegEnd::Reset { code, hop },
    ];
    let leg = LegIndex(u32::MAX);
    let ended = ends.map(|end| PipeEventKind::LegEnded { leg, end, sent: MANY });
    let stats = PipeStats {
        received: MANY,
        acked: MANY,
        held_from: MANY,
        held: MANY,
        most_held: MANY,
        waiting: MANY,
        most_waiting: MANY,
        first_byte: Some(Instant::ZERO + Duration::from_secs(1)),
        window: MANY,
        legs: u32::MAX,
        detached: u32::MAX,
    };
    let early = PipeStats { first_byte: None, ..stats };
    let whole = [stats, early].map(PipeEventKind::Ended);
    [PipeEventKind::Readable].into_iter().chain(ended).chain(whole).collect()
}

/// spec: R-TAPE-2
#[test]
fn news_of_every_kind_are_read_to_their_last_byte() {
    let mut kinds = Vec::new();
    for kind in news() {
        let mut said = Vec::new();
        Event { connection: ConnectionHandle::of((7, 7)), kind: kind.clone() }.put(&mut said, true);
        kinds.extend(said.first().copied());
        let mut from = Reader::new(&said);
        let words = skip_event(&mut from);
        assert!(words.is_some() && from.is_empty(), "{kind:?} is {said:?}");
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, (0..=18).collect::<Vec<u8>>(), "a kind is not among them");
    assert!(skip_event(&mut Reader::new(&[19])).is_none(), "there are more kinds");
}

/// spec: R-TAPE-2
#[test]
fn news_of_pipes_are_read_to_their_last_byte() {
    for kind in pipe_news() {
        let mut said = Vec::new();
        PipeEvent { pipe: PipeId::of(MANY), kind }.put(&mut said);
        let mut from = Reader::new(&said);
        assert_eq!(from.get::<u64>(), Some(MANY));
        assert!(skip_pipe_event(&mut from).is_some() && from.is_empty(), "{kind:?} is {said:?}");
    }
}

/// spec: R-TAPE-7
#[test]
fn legs_are_read_as_they_were_written() {
    let (connection, stream) = (ConnectionHandle::of((3, 4)), StreamId(5));
    let (code, hop) = (AppCode(1 << 61), 255);
    let ends = [
        LegEnd::Delivered,
        LegEnd::Stopped { code, hop },
        LegEnd::Detached { at: 1 << 40 },
        LegEnd::Lost,
        LegEnd::Reset { code, hop },
    ];
    let legs = [Leg::Application, Leg::Stream(StreamAddr { connection, stream })];
    for leg in legs.into_iter().chain(ends.map(Leg::Ended)) {
        let mut out = Vec::new();
        leg.put(&mut out);
        assert_eq!(Reader::new(&out).get(), Some(leg));
        assert_eq!(Reader::new(&out[..out.len() - 1]).get::<Leg>(), None);
    }
    assert_eq!(Reader::new(&[3]).get::<Leg>(), None);
    assert_eq!(Reader::new(&[2, 5]).get::<Leg>(), None);
}
