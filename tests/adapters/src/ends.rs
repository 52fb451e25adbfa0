//! How streams, connections and endpoints end.

use std::thread;
use std::time::{Duration, Instant};

use aqueduct_std::{
    AppCode, CloseReason, ConnectError, ConnectionError, ReadError, Stop, StreamError,
    TransportConfig, WriteError,
};

use crate::node::{
    Flow, Inlet, LOOPBACK, Link, Node, Outlet, Recv, connect, options, pair, pair_with, pattern,
};

pub(crate) fn a_reset_has_its_code<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let mut send = pair.near.open_uni(options());
    send.put(b"half").unwrap();
    let mut recv = pair.far.accept_uni().unwrap();
    assert_eq!(recv.some(100).unwrap().unwrap(), &b"half"[..]);
    send.reset(AppCode(17));
    let ended = recv.all(100).unwrap_err();
    assert_eq!(ended, ReadError::Reset { code: AppCode(17), hop: 0 });
}

pub(crate) fn a_stop_has_its_code<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let mut send = pair.near.open_uni(options());
    send.put(b"half").unwrap();
    pair.far.accept_uni().unwrap().stop(AppCode(18));
    let code = AppCode(18);
    assert_eq!(send.stopped().unwrap(), Some(Stop { code, hop: 0 }));
    assert_eq!(send.put(b"more"), Err(WriteError::Stopped { code, hop: 0 }));
}

/// Two nodes are between the ends, of the server's kind.
///
/// spec: R-PIPE-15
pub(crate) fn a_stop_says_how_far_away_it_was<C: Node, S: Node>() {
    let (source, near, far, sink) = (C::new(), S::new(), S::new(), C::new());
    let (out, at_near) = connect(&source, &near);
    let (on, at_far) = connect(&near, &far);
    let (to_end, end) = connect(&far, &sink);
    let mut send = out.open_uni(options());
    send.put(b"half").unwrap();
    let pass_on = |from: Recv<S>, to: &S::Link| {
        let leg = from.info().unwrap().forwarded().unwrap();
        (from, to.open_uni(leg))
    };
    let (from, leg) = pass_on(at_near.accept_uni().unwrap(), &on);
    let first = near.pipe(from, leg);
    let (from, leg) = pass_on(at_far.accept_uni().unwrap(), &to_end);
    let second = far.pipe(from, leg);
    end.accept_uni().unwrap().stop(AppCode(18));
    let stop = Stop { code: AppCode(18), hop: 2 };
    assert_eq!(send.stopped().unwrap(), Some(stop));
    let told = send.put(b"more").unwrap_err();
    assert_eq!(told, WriteError::Stopped { code: stop.code, hop: stop.hop });
    let error = StreamError::Reset { code: stop.code, hop: Some(2) };
    assert_eq!((StreamError::from(told), StreamError::from(stop)), (error.clone(), error));
    let _both = (first.ended(), second.ended());
}

/// Who drops a stream before its end has given it up.
pub(crate) fn half_a_body_is_no_body<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let mut send = pair.near.open_uni(options());
    send.put(b"half").unwrap();
    let mut recv = pair.far.accept_uni().unwrap();
    assert_eq!(recv.peek(4).unwrap(), &b"half"[..]);
    drop(send);
    assert!(recv.all(100).is_err());
}

pub(crate) fn a_close_has_its_code_and_loses_nothing<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let body = pattern(500_000);
    let mut send = pair.near.open_uni(options());
    send.put(&body).unwrap();
    send.finish().unwrap();
    pair.near.close(AppCode(42), b"enough");
    let mut recv = pair.far.accept_uni().unwrap();
    assert!(recv.all(body.len()).unwrap() == body, "bytes are missing");
    let reason = "enough".to_owned();
    assert_eq!(pair.far.closed(), CloseReason::Peer { code: AppCode(42), reason });
    assert!(matches!(pair.far.accept_uni().err(), Some(ConnectionError::Closed(_))));
    let _ended = pair.near.closed();
}

pub(crate) fn an_abort_ends_what_waits<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let mut send = pair.near.open_uni(options());
    send.put(b"#").unwrap();
    let mut recv = pair.far.accept_uni().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| assert!(pair.far.accept_bi().is_err()));
        scope.spawn(|| assert!(pair.far.recv_message().is_err()));
        scope.spawn(|| assert!(pair.far.hear().is_err()));
        scope.spawn(|| assert!(recv.all(100).is_err()));
        scope.spawn(|| assert!(pair.near.accept_uni().is_err()));
        scope.spawn(|| assert!(send.stopped().is_err()));
        thread::sleep(Duration::from_millis(30));
        pair.near.abort(AppCode(1), b"");
    });
}

pub(crate) fn the_last_handle_closes<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let other = pair.near.clone();
    drop(pair.near);
    other.send_message(b"still here".to_vec().into());
    drop(other);
    assert_eq!(pair.far.recv_message().unwrap(), &b"still here"[..]);
    let reason = String::new();
    assert_eq!(pair.far.closed(), CloseReason::Peer { code: AppCode(0), reason });
    pair.client.wait_idle();
    pair.server.wait_idle();
}

pub(crate) fn a_refused_client_is_told<C: Node, S: Node>() {
    let (client, server) = (C::new(), S::new());
    thread::scope(|scope| {
        scope.spawn(|| server.turn_away());
        let began = Instant::now();
        let refused = client.dial(server.addr().into());
        assert!(matches!(refused.err(), Some(ConnectError::Failed(CloseReason::Refused(_)))));
        assert!(began.elapsed() < Duration::from_secs(5), "told, not timed out");
    });
}

pub(crate) fn nobody_there_is_an_error<C: Node, S: Node>() {
    let transport = TransportConfig::default().with_handshake_timeout(Duration::from_millis(300));
    let client = C::with(transport);
    let server = S::new();
    let (id, _) = server.addr();
    let empty = std::net::UdpSocket::bind(LOOPBACK).unwrap().local_addr().unwrap();
    assert!(matches!(client.dial((id, empty).into()).err(), Some(ConnectError::Failed(_))));
    assert_eq!(client.connections(), 0);
}

pub(crate) fn a_closed_endpoint_becomes_idle<C: Node, S: Node>() {
    let pair = pair_with::<C, S>(TransportConfig::default());
    let mut send = pair.near.open_uni(options());
    send.put(b"last words").unwrap();
    send.finish().unwrap();
    pair.client.close(AppCode(3));
    assert_eq!(pair.far.accept_uni().unwrap().all(100).unwrap(), &b"last words"[..]);
    pair.client.wait_idle();
    assert!(pair.client.take().is_none());
    assert!(matches!(
        pair.client.dial(pair.server.addr().into()).err(),
        Some(ConnectError::EndpointClosed)
    ));
    let _told = pair.far.closed();
    pair.server.close(AppCode(0));
    pair.server.wait_idle();
    assert_eq!((pair.client.connections(), pair.server.connections()), (0, 0));
}
