use alloc::vec::Vec;

use super::{Latest, Once};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verb {
    Set(u8),
    Write,
    NoRoom,
    /// The copy sent longest ago is acknowledged.
    Acked,
    /// The copy sent longest ago is lost.
    Lost,
}

const VERBS: [Verb; 6] =
    [Verb::Set(1), Verb::Set(2), Verb::Write, Verb::NoRoom, Verb::Acked, Verb::Lost];

/// Calls `visit` with every sequence of `depth` verbs.
fn sequences(depth: usize, visit: &mut impl FnMut(&[Verb])) {
    fn extend(prefix: &mut Vec<Verb>, depth: usize, visit: &mut impl FnMut(&[Verb])) {
        if depth == 0 {
            return visit(prefix);
        }
        for verb in VERBS {
            prefix.push(verb);
            extend(prefix, depth - 1, visit);
            prefix.pop();
        }
    }
    extend(&mut Vec::new(), depth, visit);
}

/// A value is sent when set and after each loss; never otherwise; never once it arrived.
///
/// spec: R-REC-2
#[test]
fn once_delivers_the_first_value_through_any_losses() {
    sequences(7, &mut |verbs| {
        let mut once = Once::new();
        let (mut wanted, mut flying, mut arrived) = (None, 0, false);
        for verb in verbs {
            match *verb {
                Verb::Set(value) => {
                    assert_eq!(once.set(value), wanted.is_none());
                    wanted = wanted.or(Some(value));
                }
                Verb::Write | Verb::NoRoom => {
                    let mut offered = None;
                    let wrote = once.write(|value| {
                        offered = Some(*value);
                        *verb == Verb::Write
                    });
                    let due = wanted.is_some() && flying == 0 && !arrived;
                    assert_eq!(offered, wanted.filter(|_| due), "{verbs:?}");
                    assert_eq!(wrote, due && *verb == Verb::Write);
                    flying += i32::from(wrote);
                }
                Verb::Acked if flying > 0 => {
                    once.on_acked();
                    (flying, arrived) = (0, true);
                }
                Verb::Lost if flying > 0 => {
                    once.on_lost();
                    flying = 0;
                }
                Verb::Acked | Verb::Lost => {}
            }
            assert_eq!(once.value().copied(), wanted);
            assert_eq!(once.is_delivered(), arrived);
            assert_eq!(once.is_in_flight(), flying > 0 && !arrived);
            assert_eq!(once.is_pending(), wanted.is_some() && flying == 0 && !arrived);
        }
    });
}

/// The newest value reaches the peer whatever becomes of the older ones, and is sent no more often
/// than it was set or lost.
///
/// spec: R-REC-3
#[test]
fn latest_delivers_the_newest_value() {
    sequences(7, &mut |verbs| {
        let mut latest = Latest::new();
        let mut next = 0_u32;
        let mut flying: Vec<u32> = Vec::new();
        let mut peer_has = None;
        for verb in verbs {
            match verb {
                Verb::Set(1) => {
                    next += 1;
                    assert!(latest.set(next));
                }
                // The same value again changes nothing.
                Verb::Set(_) => {
                    let before = latest.clone();
                    if next > 0 {
                        assert!(!latest.set(next));
                    }
                    assert_eq!(latest, before);
                }
                Verb::Write | Verb::NoRoom => {
                    let due = next > 0 && peer_has != Some(next) && !flying.contains(&next);
                    let wrote = latest.write(|value| {
                        assert_eq!(*value, next);
                        *verb == Verb::Write
                    });
                    assert_eq!(wrote, due && *verb == Verb::Write, "{verbs:?}");
                    flying.extend(wrote.then_some(next));
                }
                Verb::Acked if !flying.is_empty() => {
                    let value = flying.remove(0);
                    latest.on_acked(&value);
                    peer_has = peer_has.max(Some(value));
                }
                Verb::Lost if !flying.is_empty() => latest.on_lost(&flying.remove(0)),
                Verb::Acked | Verb::Lost => {}
            }
            let due = next > 0 && peer_has != Some(next) && !flying.contains(&next);
            assert_eq!(latest.is_pending(), due, "{verbs:?}");
            assert_eq!(latest.is_delivered(), next > 0 && peer_has == Some(next));
            assert_eq!(latest.is_in_flight(), flying.contains(&next));
        }
    });
}

#[test]
fn a_late_ack_settles_what_waits_to_be_sent_again() {
    let mut once = Once::new();
    once.set(());
    assert!(once.write(|()| true));
    once.on_lost();
    assert!(once.is_pending());
    once.on_acked();
    assert!(once.is_delivered());
    assert!(!once.write(|()| unreachable!()));
}

#[test]
fn what_the_handshake_said_need_not_be_said() {
    let mut limit = Latest::delivered(100_u64);
    assert!(!limit.write(|_| unreachable!()));
    assert!(!limit.set(100));
    assert!(limit.set(200));
    assert!(limit.write(|_| true));
}
