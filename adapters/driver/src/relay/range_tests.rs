use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::super::{Allow, RelayConfig};
use super::*;
use crate::engine::tests::{exchange, session};

/// While it waits for its leg it counts among its peer's streams, and it does not wait for ever.
///
/// spec: R-ROUTE-11
#[test]
fn a_request_for_a_leg_that_never_comes_has_a_place_and_an_end() {
    const REACH: Duration = Duration::from_millis(50);
    let mut session = session();
    let mut config = RelayConfig::new(Allow::Everybody);
    (config.max_streams, config.reach) = (1, REACH);
    let relay = Relay::new(session.listener.clone(), config);
    let _opening = relay.ledger.opening(session.far.peer());
    let far = session.far.clone();
    let wanted = Wanted { stream: StreamId(8), start: 0, end: None };
    let begun = Instant::now();
    let mut asked = pin!(relay.add(&far, StreamId(4), wanted));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(asked.as_mut().poll(&mut cx).is_pending());
    let more = relay.add(&far, StreamId(12), wanted).now_or_never();
    assert_eq!(more.expect("no place").err(), Some(Refusal::Streams { limit: 1 }));
    let refused = loop {
        if let Poll::Ready(done) = asked.as_mut().poll(&mut cx) {
            break done.err();
        }
        assert!(begun.elapsed() < REACH * 100, "it waits on and on");
        exchange(&mut session.engines, &mut session.hands);
        std::thread::sleep(REACH / 50);
    };
    assert_eq!(refused, Some(Refusal::NoLeg));
    assert!(begun.elapsed() >= REACH, "{:?}", begun.elapsed());
}
