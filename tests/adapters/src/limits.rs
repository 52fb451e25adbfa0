//! What holds back what is sent: limits, credit, priorities; and what the figures say of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_std::{Algorithm, Class, Priority, SendLimit};

use crate::node::{Inlet, Link, Node, Outlet, Pair, options, pair, pattern, until};

const MIB: usize = 1 << 20;

/// How long a body takes.
fn body<C: Node, S: Node>(pair: &Pair<C, S>, len: usize) -> Duration {
    let begun = Instant::now();
    let mut send = pair.near.open_uni(options());
    thread::scope(|scope| {
        let reading = scope.spawn(|| pair.far.accept_uni().unwrap().all(len).unwrap().len());
        send.put(&vec![7; len]).unwrap();
        send.delivered().unwrap();
        assert_eq!(reading.join().unwrap(), len);
    });
    begun.elapsed()
}

/// A limit that is set while the node runs holds, and is what a connection names; that of a peer
/// comes before that of peers, and none is none again.
///
/// spec: R-SHP-5
pub(crate) fn a_limit_holds_what_is_sent_and_is_named<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let peer = pair.near.peer();
    assert_eq!(peer, pair.server.addr().0);
    // At 1 MB/s what is sent takes more than a second, whatever the machine does.
    let slow = Some(1_000_000);
    let (fast, least) = (Some(1 << 40), Duration::from_millis(1_000));
    pair.client.set_limit(slow);
    thread::scope(|scope| {
        let took = scope.spawn(|| body(&pair, 3 * MIB / 2));
        until("the limit is named", || pair.near.stats().limited_by == SendLimit::Rate);
        let took = took.join().unwrap();
        assert!(took >= least, "{took:?}");
    });
    pair.client.set_limit(None);
    pair.client.set_peers_limit(slow);
    let took = body(&pair, 3 * MIB / 2);
    assert!(took >= least, "{took:?}");
    // Both are far from what a machine does, so that one that is busy passes, too.
    let one = Some(30_000);
    pair.client.set_peer_limit(peer, one);
    thread::scope(|scope| {
        let begun = Instant::now();
        let took = scope.spawn(|| body(&pair, 4 * MIB));
        thread::sleep(Duration::from_millis(300));
        assert!(!took.is_finished());
        pair.client.set_peer_limit(peer, fast);
        took.join().unwrap();
        // At 30 kB/s it had been minutes, and with the limit of peers four seconds more.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    });
    pair.client.set_peer_limit(peer, None);
    let took = body(&pair, 3 * MIB / 2);
    assert!(took >= least, "as the others are limited: {took:?}");
    let all = pair.client.bandwidth(None);
    assert!(all.sent(Class::Normal) > 8 * MIB as u64 && all.received_in_all() > 0);
    assert_eq!(pair.client.bandwidth(Some(peer)).sent(Class::Normal), all.sent(Class::Normal));
    assert_eq!(pair.client.bandwidth(Some(pair.client.addr().0)).sent_in_all(), 0);
}

pub(crate) fn a_receiver_that_does_not_read_is_what_limits<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let is = |limit| until("the limit", || pair.near.stats().limited_by == limit);
    is(SendLimit::Application);
    let mut send = pair.near.open_uni(options());
    thread::scope(|scope| {
        scope.spawn(|| {
            send.put(&vec![7; 4 * MIB]).unwrap();
            send.delivered().unwrap();
        });
        let mut recv = pair.far.accept_uni().unwrap();
        is(SendLimit::StreamCredit);
        assert_eq!(recv.all(4 * MIB).unwrap().len(), 4 * MIB);
    });
    is(SendLimit::Application);
}

/// What is urgent overtakes what was written before it.
pub(crate) fn who_goes_first_is_set_while_a_stream_is_open<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    // So that it takes seconds: more of it is still to be sent when the urgent one is written.
    pair.client.set_limit(Some(2_000_000));
    let (bulk, urgent) = (pattern(6 * MIB), pattern(100_000));
    let mut slow = pair.near.open_uni(options());
    slow.set_priority(Priority::Bulk);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            slow.put(&bulk).unwrap();
            slow.delivered().unwrap();
        });
        let mut first = pair.far.accept_uni().unwrap();
        let got = first.first(1_000);
        let (over, rest) = (&over, &bulk[1_000..]);
        assert!(got == bulk[..1_000]);
        scope.spawn(move || {
            assert!(first.all(rest.len()).unwrap() == rest);
            over.store(true, Ordering::Relaxed);
        });
        // Only now: of two that are opened together the urgent one is heard of first.
        let mut quick = pair.near.open_uni(options());
        quick.set_priority(Priority::Urgent);
        quick.put(&urgent).unwrap();
        quick.finish().unwrap();
        assert!(pair.far.accept_uni().unwrap().all(urgent.len()).unwrap() == urgent);
        assert!(!over.load(Ordering::Relaxed), "what is urgent came last");
        pair.client.set_limit(None);
    });
}

/// spec: R-CC-48
pub(crate) fn a_connection_takes_another_controller<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    assert_eq!(pair.near.stats().controller, Algorithm::default());
    for controller in Algorithm::ALL {
        pair.near.set_controller(controller);
        assert_eq!(pair.near.stats().controller, controller);
        assert_eq!(pair.far.stats().controller, Algorithm::default(), "each side its own");
        body(&pair, MIB);
    }
}
