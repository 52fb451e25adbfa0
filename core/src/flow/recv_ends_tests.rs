//! Where limits end.

use super::*;

/// spec: R-PKT-22
#[test]
fn limits_end_where_numbers_do() {
    const MOST: u64 = (1 << 62) - 1;
    let limits = BudgetLimits::new(u64::MAX, 1).expect("fits");
    let mut r = Receiver::with(Budget::new(limits), RecvLimits::default());
    let id = r.open(peer(Dir::Uni, 0));
    r.request(id, u64::MAX);
    assert!(r.stream(id).limit() > 1 << 61 && r.stream(id).limit() <= MOST);
    assert!(r.connection.limit() > 1 << 61 && r.connection.limit() <= MOST);
    let granted = r.wrote();
    assert!(granted.contains(&SentFrame::MaxData(r.connection.limit())));
}

/// What is kept for a stream raises the connection's limit no further either.
///
/// spec: R-PKT-22 R-FLOW-12
#[test]
fn what_is_kept_ends_where_numbers_do() {
    const MOST: u64 = (1 << 62) - 1;
    let limits = BudgetLimits::new(u64::MAX, 1).expect("fits");
    let mut r = Receiver::with(Budget::new(limits), RecvLimits::default());
    let (id, greedy) = (r.open(peer(Dir::Uni, 0)), r.open(peer(Dir::Uni, 1)));
    while r.connection.limit() < MOST {
        r.request(greedy, u64::MAX);
        let end = r.stream(greedy).limit();
        r.data(greedy, end).expect("inside");
        r.release(greedy, end - r.stream(greedy).highest() + r.stream(greedy).held());
    }
    let end = r.stream(id).limit();
    r.data(id, end).expect("inside");
    r.release(id, end);
    assert!(r.stream(id).owed() > 0, "it is kept");
    assert_eq!(r.connection.limit(), MOST);
}

/// Everything that may come at all may come: all streams that are allowed, each to its end.
///
/// spec: R-FLOW-1
#[test]
fn the_last_byte_of_a_connections_limit_may_come() {
    let mut r = Receiver::poor();
    let id = r.open(peer(Dir::Uni, 0));
    let first = r.connection.initial();
    let bidi = (0..first.max_streams_bidi).map(|n| peer(Dir::Bi, n));
    let uni = (1..first.max_streams_uni).map(|n| peer(Dir::Uni, n));
    for stream in bidi.chain(uni) {
        r.open(stream);
    }
    let mut ours = (0..).map(own);
    while ours.next().is_some_and(|stream| r.open_own(stream)) {}
    r.request(id, MIB);
    for stream in r.streams.keys().copied().filter(|stream| *stream != id).collect::<Vec<_>>() {
        let all = r.stream(stream).limit();
        r.data(stream, all).expect("inside");
    }
    let all = r.stream(id).limit();
    r.data(id, all).expect("inside");
    assert_eq!(r.connection.arrived(), r.connection.limit());
    r.wrong(id, |s, c, b, now| s.on_data(all + 1, c, b, now).is_err());
}
