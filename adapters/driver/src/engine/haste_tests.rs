//! What is urgent, and what is soon too old, on its way through the driver.

use std::pin::Pin;
use std::thread::sleep;
use std::time::Duration;

use aqueduct_core::connection::ConnectionStats;
use aqueduct_core::message::Delivery;
use aqueduct_core::stream::Priority;

use super::*;
use crate::given::DATAGRAM_OUTBOX;

const MS: Duration = Duration::from_millis(1);

fn of(class: Priority) -> Delivery {
    Delivery::new().priority(class)
}

fn text(number: u8) -> Bytes {
    Bytes::from(vec![number; 1_000])
}

/// Hands in datagrams of a class for as long as there is room, while the driver goes on.
fn fill(session: &mut Session, class: Priority) {
    let mut more = true;
    while more {
        more = session.near.send_datagram_with(text(9), of(class)).is_ok();
        while session.near.send_datagram_with(text(9), of(class)).is_ok() {}
        let _more = session.engines[0].turn(&mut session.hands[0]);
    }
}

/// What the far side hears within some turns.
fn heard(session: &mut Session) -> Vec<Bytes> {
    let (mut all, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
    for _ in 0..50 {
        exchange(&mut session.engines, &mut session.hands);
        while let Poll::Ready(came) = pin!(session.far.read_datagram()).poll(&mut cx) {
            all.push(came.expect("it lives"));
        }
    }
    all
}

fn stats(session: &mut Session) -> ConnectionStats {
    let handle = session.near.handle().expect("begun");
    session.engines[0].core.connection(handle).expect("it lives").stats()
}

/// spec: R-MSG-15
#[test]
fn each_class_has_its_own_bound() {
    let mut session = session();
    session.hands[0].full = true;
    for class in [Priority::Bulk, Priority::Normal, Priority::Urgent] {
        session.near.send_datagram_with(text(1), of(class)).expect("a place of its own");
        fill(&mut session, class);
        let full = session.near.send_datagram_with(text(2), of(class));
        assert!(full.is_err(), "{class:?}: no bound");
    }
}

/// Bulk waits for a limit; what is urgent waits for no bucket, and not for bulk either.
///
/// spec: R-MSG-15, R-SHP-9
#[test]
fn what_is_urgent_does_not_wait_behind_bulk() {
    let mut session = session();
    let now = session.engines[0].clock.now();
    session.engines[0].core.set_limit(Some(100), now);
    // The core's own queue is full, the driver's is not.
    for _ in 0..300 {
        session.near.send_datagram_with(text(9), of(Priority::Bulk)).expect("room");
        let _more = session.engines[0].turn(&mut session.hands[0]);
    }
    let before = heard(&mut session).len();
    assert!(before < 10, "{before} passed the limit");
    session.near.send_datagram_with(text(1), of(Priority::Urgent)).expect("room");
    assert_eq!(heard(&mut session), [text(1)]);
}

/// spec: R-MSG-15, R-MSG-13
#[test]
fn what_is_too_old_keeps_nothing_out() {
    let mut session = session();
    for _ in 0..DATAGRAM_OUTBOX {
        session.near.send_datagram_with(text(9), Delivery::new().max_age(MS)).expect("room");
    }
    sleep(MS * 2);
    session.near.send_datagram(text(1)).expect("room that is left by what is too old");
    assert_eq!(heard(&mut session), [text(1)]);
    let it = stats(&mut session);
    let all = DATAGRAM_OUTBOX as u64;
    assert_eq!((it.datagrams.sent, it.datagrams.send_expired), (1, all), "each once");
    assert_eq!(it.bandwidth.dropped(aqueduct_core::shaping::Class::Normal), all);
}

/// One turn of the near side: what `future` comes to in it.
fn at_once<T>(session: &mut Session, mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_pending(), "the driver was not asked");
    let _more = session.engines[0].turn(&mut session.hands[0]);
    match future.poll(&mut cx) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// Neither when it is handed in nor when it has waited for one in vain.
///
/// spec: R-MSG-16
#[test]
fn a_message_that_is_too_old_takes_no_stream() {
    let mut session = session();
    let near = session.near.clone();
    let aged = |age| Delivery::new().max_age(age);
    let never = pin!(near.send_message_with(text(2), aged(Duration::ZERO)));
    at_once(&mut session, never).expect("an answer").expect("it lives");
    session.hands[0].full = true;
    let mut taken = 0;
    while at_once(&mut session, pin!(near.send_message(text(1)))).is_some() {
        taken += 1;
    }
    let mut late = pin!(near.send_message_with(text(2), aged(MS * 5)));
    let _early = at_once(&mut session, late.as_mut());
    sleep(MS * 10);
    let never = pin!(near.send_message_with(text(3), aged(Duration::ZERO)));
    at_once(&mut session, never).expect("no stream to wait for").expect("it lives");
    run(&mut session.engines, &mut session.hands, late).expect("it lives");
    let it = stats(&mut session);
    let sent = session.engines[0].shared.messages.counts.snapshot().whole_sent;
    assert_eq!((it.messages_expired, it.stream_stats.opened, sent), (3, taken, taken));
}
