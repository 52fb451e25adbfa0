//! Connection ids: floods, duplicates, ids that were never given, ids used up.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::error::{CloseReason, TransportCode as Code};
use aqueduct_core::wire::frame::{Frame, NewCidFrame};
use aqueduct_core::wire::id::ConnectionId;
use aqueduct_tests::byzantine::{Duel, Role, frames_of, lair, numbers};

use crate::extremes::kind;

fn new_cid(sequence: u64) -> Frame<'static> {
    let mut cid = *b"........";
    cid.copy_from_slice(&(0xbad_0000_0000 + sequence).to_be_bytes());
    let reset_token = [sequence.to_le_bytes()[0]; 16];
    Frame::NewCid(NewCidFrame { sequence, cid: ConnectionId(cid), reset_token })
}

/// spec: R-EP-4
#[test]
fn more_ids_than_the_limit() {
    for role in [Role::Dials, Role::Answers] {
        let mut duel = Duel::new(role);
        assert_eq!(duel.allowed().active_cid_limit, 4);
        for sequence in 1..4 {
            duel.say(&[new_cid(sequence), new_cid(sequence)]);
            assert_eq!(duel.ended(), None, "{sequence}");
        }
        let mut one_more = duel.clone();
        one_more.say(&[new_cid(4)]);
        assert_eq!(one_more.violation(), Some(Code::ConnectionIdLimit));
    }
    for sequence in [4, 1_000, (1 << 62) - 1] {
        let mut duel = Duel::new(Role::Dials);
        duel.say(&[new_cid(sequence)]);
        assert_eq!(duel.violation(), Some(Code::ConnectionIdLimit), "{sequence}");
    }
}

/// spec: R-EP-4
#[test]
fn one_number_two_ids_and_one_id_two_numbers() {
    let mut template = Duel::new(Role::Dials);
    template.say(&[new_cid(1)]);
    let Frame::NewCid(first) = new_cid(1) else { unreachable!() };
    let wrong = [
        NewCidFrame { cid: ConnectionId(*b"another."), ..first },
        NewCidFrame { reset_token: [99; 16], ..first },
        NewCidFrame { sequence: 2, ..first },
        NewCidFrame { sequence: 0, ..first },
    ];
    for frame in wrong {
        let mut duel = template.clone();
        duel.say(&[Frame::NewCid(frame)]);
        assert_eq!(duel.violation(), Some(Code::ConnectionIdLimit), "{frame:?}");
    }
}

/// spec: R-EP-6
#[test]
fn retiring_what_was_never_given() {
    let template = Duel::new(Role::Dials);
    for sequence in 0..4 {
        let mut duel = template.clone();
        duel.say_raw(&numbers(&[kind::RETIRE_CID, sequence]));
        assert_eq!(duel.ended(), None, "{sequence}");
    }
    for sequence in [4, 5, 1 << 32, (1 << 62) - 1] {
        let mut duel = template.clone();
        duel.say_raw(&numbers(&[kind::RETIRE_CID, sequence]));
        assert_eq!(duel.violation(), Some(Code::ConnectionIdLimit), "{sequence}");
    }
}

/// The ids that the honest end has given out, by sequence.
fn given(duel: &mut Duel, into: &mut Vec<NewCidFrame>) {
    for packet in duel.last_heard() {
        for frame in packet.frames() {
            if let Frame::NewCid(new) = frame
                && into.iter().all(|known| known.sequence != new.sequence)
            {
                into.push(new);
            }
        }
    }
}

/// A peer retires id after id, thousands of times, and keeps the first: all that are active together
/// differ, and every one of them is heard.
///
/// spec: R-EP-3, R-EP-4
#[test]
fn ids_in_use_together_differ() {
    let mut duel = Duel::new(Role::Dials);
    let first = duel.peer.dcid;
    let mut ids = Vec::new();
    given(&mut duel, &mut ids);
    let mut active: Vec<NewCidFrame> = ids.clone();
    assert_eq!(active.len(), 3);
    for _ in 0..2_000 {
        let oldest = active.remove(0);
        duel.say(&[Frame::RetireCid { sequence: oldest.sequence }]);
        duel.pass(Duration::from_millis(30));
        duel.ack();
        let mut fresh = ids.clone();
        given(&mut duel, &mut fresh);
        active.extend(fresh.iter().skip(ids.len()));
        ids = fresh;
        assert_eq!(active.len(), 3, "each retired id is replaced");
        let all: BTreeSet<_> = active.iter().map(|new| new.cid.0).chain([first.0]).collect();
        assert_eq!(all.len(), 4, "two equal ids after {}", oldest.sequence);
        let opened = duel.stats().keys.opened;
        duel.peer.dcid = active[1].cid;
        duel.say(&[Frame::Ping]);
        duel.peer.dcid = first;
        duel.say(&[Frame::Ping]);
        assert_eq!(duel.stats().keys.opened, opened + 2);
    }
    assert_eq!(duel.ended(), None);
}

/// spec: R-EP-1
#[test]
fn an_id_that_was_retired_is_nobodys() {
    let mut duel = Duel::new(Role::Dials);
    let first = duel.peer.dcid;
    let mut ids = Vec::new();
    given(&mut duel, &mut ids);
    duel.say(&[Frame::RetireCid { sequence: 0 }]);
    let (opened, strays) = (duel.stats().keys.opened, duel.endpoint.stats().strays);
    duel.peer.dcid = first;
    duel.say(&[Frame::Ping]);
    assert_eq!(duel.stats().keys.opened, opened);
    assert_eq!(duel.endpoint.stats().strays, strays + 1);
    duel.peer.dcid = ids[0].cid;
    duel.say(&[Frame::Ping]);
    assert_eq!(duel.stats().keys.opened, opened + 1);
}

/// Ids that wait to be given: they come when a copy of the peer begins to acknowledge.
fn wait_to_be_given(duel: &Duel) -> Vec<u64> {
    let mut copy = duel.clone();
    copy.last_heard();
    for _ in 0..20 {
        copy.ack();
        copy.pass(Duration::from_millis(30));
    }
    assert_eq!(copy.ended(), None);
    let mut ids = Vec::new();
    given(&mut copy, &mut ids);
    ids.iter().map(|id| id.sequence).collect()
}

/// All ids but one are retired in each packet, those too of which the peer was not told, and nothing
/// is acknowledged. What waits to be told are the three that are active, not those before them; and
/// the first that was never given ends it.
///
/// spec: R-EP-4, R-EP-6
#[test]
fn retiring_all_of_them_for_ever() {
    let mut duel = Duel::new(Role::Dials);
    let mut told = Vec::new();
    for round in 0..3_000 {
        let first = 1 + 3 * round;
        let retired = (first..first + 3).map(|sequence| Frame::RetireCid { sequence });
        let mut frames: Vec<_> = retired.collect();
        if round % 2 == 0 {
            frames.reverse();
        }
        duel.say(&frames);
        assert_eq!(duel.ended(), None, "{round}");
        let before = told.len();
        given(&mut duel, &mut told);
        if round >= 1_000 {
            assert_eq!(told.len(), before, "the window has been full for long");
        }
        if round >= 1_000 && round % 500 == 0 {
            assert_eq!(wait_to_be_given(&duel), [first + 3, first + 4, first + 5]);
        }
    }
    println!("{} ids were told", told.len());
    assert!(duel.stats().bytes_in_flight < 20_000);
    duel.say(&[Frame::RetireCid { sequence: 1 + 3 * 3_001 }]);
    assert_eq!(duel.violation(), Some(Code::ConnectionIdLimit), "it was never given");
}

fn elsewhere(number: u64) -> SocketAddr {
    let [.., a, b, c] = number.to_be_bytes();
    SocketAddr::new([203, a, b, c].into(), 1_000)
}

/// Gives as many ids as the honest end takes now, from `next` on; says why it took no more. They come
/// from where the peer always was.
fn give_ids(duel: &mut Duel, next: &mut u64) -> &'static str {
    duel.from = lair();
    for _ in 0..10 {
        let mut trial = duel.clone();
        trial.say(&[new_cid(*next)]);
        if let Some(reason) = trial.ended() {
            let CloseReason::Violation(violation) = reason else { panic!("{reason}") };
            assert_eq!(violation.code, Code::ConnectionIdLimit);
            return violation.what;
        }
        *duel = trial;
        *next += 1;
    }
    panic!("ids without an end");
}

/// A peer moves with every packet, and gives new ids as fast as its old ones are used up.
fn wander(listens: bool) -> (Duel, u64) {
    let mut duel = Duel::new(Role::Dials);
    let mut next = 1;
    for step in 1..400 {
        if give_ids(&mut duel, &mut next).contains("acknowledging") {
            break;
        }
        duel.from = elsewhere(step);
        duel.say(&[Frame::Ping]);
        duel.pass(Duration::from_millis(1));
        if listens {
            duel.ack();
        }
        assert_eq!(duel.ended(), None, "{step}");
    }
    (duel, next)
}

/// spec: R-EP-5, R-EP-7
#[test]
fn moving_with_every_packet_without_listening() {
    let (_, ids) = wander(false);
    assert!((32..=40).contains(&ids), "{ids} were taken");
}

/// spec: R-EP-5, R-EP-7
#[test]
fn moving_with_every_packet_and_listening() {
    let (mut duel, ids) = wander(true);
    let retired = frames_of(&duel.last_heard()).matches("RetireCid").count();
    assert!(ids > 150 && retired > 150, "{ids} were taken, {retired} were said to be over");
}

/// A peer that gave no id but its first.
fn without_ids() -> (Duel, Vec<NewCidFrame>) {
    let mut duel = Duel::new(Role::Dials);
    let mut ids = Vec::new();
    given(&mut duel, &mut ids);
    duel.pass(Duration::from_millis(100));
    duel.ack();
    duel.last_heard();
    (duel, ids)
}

/// Who moves on purpose takes another id of ours. If it left us none for it, nothing is sent to where
/// it is; what it says is read.
///
/// spec: R-EP-5
#[test]
fn moving_without_ids() {
    let (mut duel, ids) = without_ids();
    let home = duel.from;
    for number in 1..100 {
        let opened = duel.stats().path.received_datagrams;
        duel.peer.dcid = ids[number as usize % 3].cid;
        duel.from = elsewhere(number);
        duel.say(&[Frame::Ping]);
        assert_eq!(duel.stats().path.received_datagrams, opened, "it came by no path");
        assert!(duel.peer.heard.len() >= (number / 2) as usize, "it is acknowledged");
    }
    duel.pass(Duration::from_secs(2));
    assert!(duel.last_heard().iter().all(|heard| heard.to == home));
    assert_eq!(duel.ended(), None);
}

/// Answers every challenge among `heard` from where the peer is; says whether there was one.
fn respond(duel: &mut Duel) -> bool {
    let mut tokens = Vec::new();
    for heard in duel.last_heard().iter().filter(|heard| heard.to == duel.from) {
        tokens.extend(heard.frames().filter_map(|frame| match frame {
            Frame::PathChallenge { token } => Some(token),
            _ => None,
        }));
    }
    for token in &tokens {
        duel.say(&[Frame::PathResponse { token: *token }, Frame::Ping]);
    }
    !tokens.is_empty()
}

/// A NAT gives the peer another port again and again. It notices nothing, and goes on with the same
/// id; it never gave us a second one.
///
/// spec: R-EP-5, R-PATH-10
#[test]
fn a_nat_that_forgets_a_peer_without_ids() {
    let (mut duel, _) = without_ids();
    let handle = duel.handle.expect("a connection");
    for number in 1..40 {
        duel.from = elsewhere(number);
        duel.say(&[Frame::Ping]);
        assert!(respond(&mut duel), "asked whether it is there, {number}");
        let view = duel.endpoint.connection(handle).expect("it lives");
        assert_eq!(view.remote(), duel.from, "followed");
        drop(view);
        duel.pass(Duration::from_millis(if number % 2 == 0 { 50 } else { 4_000 }));
        duel.ack();
        let retired = frames_of(&duel.last_heard());
        assert!(!retired.contains("RetireCid"), "the id is in use: {retired}");
        assert_eq!(duel.ended(), None);
    }
}

/// A packet that comes late, from where the peer was never seen, moves nothing, and is read.
///
/// spec: R-PATH-8
#[test]
fn late_from_elsewhere() {
    let (mut duel, _) = without_ids();
    let late = duel.peer.packet(&[1]);
    duel.say(&[Frame::Ping]);
    let home = duel.from;
    duel.from = elsewhere(1);
    duel.throw(late);
    duel.pass(Duration::from_millis(100));
    let heard = duel.last_heard();
    assert!(heard.iter().all(|heard| heard.to == home));
    let acked = heard.iter().flat_map(|heard| heard.frames()).any(|frame| {
        matches!(frame, Frame::Ack(ack) if ack.largest.0 + 1 == duel.peer.number
            && ack.ranges().next().is_some_and(|range| range.start + 2 <= duel.peer.number))
    });
    assert!(acked, "{}", frames_of(&heard));
}
