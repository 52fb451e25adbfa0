//! Silences that only PINGs end.

use super::*;

/// Content is sent and not answered, until a PING is. What the last timeout came to.
fn silence(s: &mut Sender) -> Fired {
    s.burst(A, 2);
    let fired = loop {
        match s.fire() {
            Fired::Probe { count } => drop(s.burst(A, count.into())),
            Fired::Nothing => {}
            fired => break fired,
        }
    };
    if fired == Fired::Ping {
        let ping = s.send_ping(A);
        s.wait(ms(100));
        s.ack(&[ping..ping + 1]);
        while s.ledger.has_in_flight() {
            assert_eq!(s.fire(), Fired::Nothing);
        }
    }
    fired
}

/// However long the connection lived before: from the first such silence on.
///
/// spec: R-REC-26
#[test]
fn silences_count_from_the_first_of_them() {
    let mut s = Sender::with_rtt(ms(100));
    s.wait(ms(3_600_000));
    let start = s.now;
    while silence(&mut s) == Fired::Ping {}
    let took = s.now.saturating_since(start);
    assert!(took >= ms(20_000) && took < ms(25_000), "{took:?}");
}

/// Those of long ago were another matter.
///
/// spec: R-REC-26
#[test]
fn silences_far_apart_are_not_added_up() {
    let mut s = Sender::with_rtt(ms(100));
    for _ in 0..4 {
        for _ in 0..20 {
            assert_eq!(silence(&mut s), Fired::Ping);
        }
        s.wait(ms(60_000));
    }
}

/// Content that arrives in between shows that the way carries it.
///
/// spec: R-REC-26
#[test]
fn content_that_arrives_ends_the_count_of_silences() {
    let mut s = Sender::with_rtt(ms(100));
    for _ in 0..4 {
        for _ in 0..20 {
            assert_eq!(silence(&mut s), Fired::Ping);
        }
        let content = s.send(A);
        s.wait(ms(100));
        s.ack(&[content..content + 1]);
    }
}
