//! Engines on a wire of the test's own.

use std::io;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};

use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::pipe::{LegPolicy, PipeOptions};
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::Dir;
use bytes::Bytes;

use super::*;
use crate::socket::Outgoing;

#[path = "haste_tests.rs"]
mod haste;

/// A wire whose other end the test holds in its hand.
pub(crate) struct Hand {
    /// Who is at that end.
    peer: u8,
    incoming: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    full: bool,
    /// What a batch meets.
    batches: Option<i32>,
}

fn place(number: u8) -> SocketAddr {
    ([10, 0, 0, number], 4433).into()
}

impl Wire for Hand {
    fn recv(&mut self, batch: &mut RecvBatch) -> io::Result<usize> {
        let Some(bytes) = self.incoming.pop_front() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        batch.clear();
        batch.push(place(self.peer), &bytes);
        Ok(1)
    }

    fn send(&mut self, outgoing: &Outgoing<'_>) -> io::Result<()> {
        if self.full {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if let Some(error) = self.batches.filter(|_| outgoing.count() > 1) {
            return Err(io::Error::from_raw_os_error(error));
        }
        let size = outgoing.segment.unwrap_or(outgoing.bytes.len());
        self.sent.extend(outgoing.bytes.chunks(size).map(<[u8]>::to_vec));
        Ok(())
    }
}

impl Hand {
    pub(crate) fn new(peer: u8) -> Self {
        Self { peer, incoming: VecDeque::new(), sent: Vec::new(), full: false, batches: None }
    }
}

fn engine(number: u8, max_segments: usize) -> (Engine, crate::endpoint::Endpoint) {
    engine_of(number, max_segments, |config| config)
}

pub(crate) fn engine_of(
    number: u8,
    max_segments: usize,
    set: impl FnOnce(EndpointConfig) -> EndpointConfig,
) -> (Engine, crate::endpoint::Endpoint) {
    let config = set(EndpointConfig::new(NodeKey::from_seed(&[number; 32])));
    let (local, takes_v4, warnings) = (place(number), true, Vec::new());
    let (carriers, listens) = (Carriers::udp(), false);
    let parts = Parts { local, takes_v4, max_segments, carriers, listens, warnings };
    Engine::new(config, Seed::from_u64(number.into()), parts)
}

/// One turn of each, and what was said is carried across.
pub(crate) fn exchange(engines: &mut [Engine; 2], hands: &mut [Hand; 2]) {
    for (engine, hand) in engines.iter_mut().zip(hands.iter_mut()) {
        while !hand.incoming.is_empty() {
            let _more = engine.turn(hand);
        }
        let _more = engine.turn(hand);
    }
    let [one, other] = hands;
    other.incoming.extend(one.sent.drain(..));
    one.incoming.extend(other.sent.drain(..));
}

/// Two engines, and a connection between them as both see it.
pub(crate) struct Session {
    pub(crate) engines: [Engine; 2],
    pub(crate) hands: [Hand; 2],
    near: crate::connection::Connection,
    pub(crate) far: crate::connection::Connection,
    /// The near side's.
    dialer: crate::endpoint::Endpoint,
    /// The far side's.
    pub(crate) listener: crate::endpoint::Endpoint,
}

pub(crate) fn session() -> Session {
    session_of(16)
}

/// In batches of so many datagrams.
fn session_of(segments: usize) -> Session {
    let ((one, dialer), (other, listener)) = (engine(1, segments), engine(2, segments));
    let (mut engines, mut hands) = ([one, other], [Hand::new(2), Hand::new(1)]);
    let (near, far) = joined(&mut engines, &mut hands, &dialer, &listener);
    Session { engines, hands, near, far, dialer, listener }
}

/// A connection, as both see it.
pub(crate) fn joined(
    engines: &mut [Engine; 2],
    hands: &mut [Hand; 2],
    dialer: &crate::endpoint::Endpoint,
    listener: &crate::endpoint::Endpoint,
) -> (crate::connection::Connection, crate::connection::Connection) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut dialing = pin!(dialer.connect(Some(listener.node_id()), place(2)).expect("begun"));
    let mut accepting = pin!(listener.accept());
    let stranger = loop {
        exchange(engines, hands);
        if let Poll::Ready(done) = accepting.as_mut().poll(&mut cx) {
            break done.expect("a stranger");
        }
    };
    let mut answered = pin!(stranger.accept());
    let near = loop {
        exchange(engines, hands);
        if let Poll::Ready(done) = dialing.as_mut().poll(&mut cx) {
            break done.expect("a connection");
        }
    };
    let far = loop {
        exchange(engines, hands);
        if let Poll::Ready(done) = answered.as_mut().poll(&mut cx) {
            break done.expect("a connection");
        }
    };
    (near, far)
}

/// A stream of the near side.
fn opened(session: &mut Session) -> crate::send::SendHalf {
    let mut cx = Context::from_waker(Waker::noop());
    let mut opening =
        pin!(session.near.open(Dir::Uni, OpenOptions::new(StreamProtocol::Number(9))));
    loop {
        if let Poll::Ready(done) = opening.as_mut().poll(&mut cx) {
            return done.expect("a stream").0;
        }
        exchange(&mut session.engines, &mut session.hands);
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl std::task::Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The handle of a connection that is gone is used in the same moment as the next one in its slot.
#[test]
fn wishes_are_served_for_their_own_connection_only() {
    let mut session = session();
    session.near.close(AppCode(0), b"");
    while session.engines.iter().any(|engine| engine.live > 0) {
        exchange(&mut session.engines, &mut session.hands);
        std::thread::sleep(Duration::from_millis(1));
    }
    let Session { mut engines, mut hands, near: old, dialer, listener, .. } = session;
    let (near, _far) = joined(&mut engines, &mut hands, &dialer, &listener);
    assert_eq!(
        old.shared().handle.get().map(|handle| handle.index()),
        near.shared().handle.get().map(|handle| handle.index()),
        "the slot is used again"
    );
    let mut cx = Context::from_waker(Waker::noop());
    old.shared().mark();
    let mut opening = pin!(near.open(Dir::Uni, OpenOptions::new(StreamProtocol::Number(9))));
    let mut sending = pin!(near.send_message(Bytes::from_static(b"kept")));
    assert!(opening.as_mut().poll(&mut cx).is_pending());
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    exchange(&mut engines, &mut hands);
    assert!(matches!(opening.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
    assert!(matches!(sending.as_mut().poll(&mut cx), Poll::Ready(Ok(()))));
}

/// Whoever writes while the driver sleeps sends two batches himself and wakes it for the rest.
#[test]
fn an_errand_is_no_transfer() {
    let mut session = session_of(1);
    let mut send = opened(&mut session);
    (0..10).for_each(|_| exchange(&mut session.engines, &mut session.hands));
    let ([engine, _far], [hand, _other]) = (session.engines, session.hands);
    let station = crate::station::Station::new(engine, hand);
    let woken = Arc::new(Count::default());
    let drive = || {
        let mut desk = station.enter().expect("a whole engine");
        let desk = &mut *desk;
        while desk.turn() == Turn::Again {}
        // Far away: no errand finds that it must be earlier.
        desk.alarm = Some(Instant::from_nanos(0));
        assert!(desk.engine.park(&Waker::from(woken.clone())), "there is work");
        desk.wire.sent.len()
    };
    let before = drive();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(send.poll_write(&mut cx, &[7; 100]).is_ready());
    let after_one = station.enter().expect("a whole engine").wire.sent.len();
    assert_eq!((after_one - before, woken.0.load(Ordering::Relaxed)), (1, 0), "an errand");
    let before = drive();
    assert!(send.poll_write(&mut cx, &[7; 10_000]).is_ready());
    let after_two = station.enter().expect("a whole engine").wire.sent.len();
    assert_eq!((after_two - before, woken.0.load(Ordering::Relaxed)), (ERRAND_TRANSMITS, 1));
    assert!(drive() - after_two > ERRAND_TRANSMITS, "the window had room for more");
}

/// A batch that waited for room is refused as a batch when there is some.
#[test]
fn a_batch_that_waited_goes_one_by_one() {
    let mut session = session();
    let mut cx = Context::from_waker(Waker::noop());
    let mut send = opened(&mut session);
    let Session { mut engines, mut hands, far, .. } = session;
    hands[0].batches = Some(libc::EAGAIN);
    assert!(send.poll_write(&mut cx, &[7; 10_000]).is_ready());
    let _more = engines[0].turn(&mut hands[0]);
    assert!(engines[0].is_blocked());
    hands[0].batches = Some(libc::EIO);
    engines[0].writable(&mut hands[0]);
    assert!(!engines[0].is_blocked());
    let mut accepting = pin!(far.accept_uni());
    let mut recv = loop {
        exchange(&mut engines, &mut hands);
        if let Poll::Ready(done) = accepting.as_mut().poll(&mut cx) {
            break done.expect("a stream");
        }
    };
    let mut got = Vec::new();
    while got.len() < 10_000 {
        exchange(&mut engines, &mut hands);
        while let Poll::Ready(count) = recv.poll_read(&mut cx, &mut got) {
            assert_ne!(count.expect("bytes"), 0);
        }
    }
    assert_eq!(got, [7; 10_000]);
}

/// Lesson 82: a socket takes nothing, for as long as it likes. The loop goes on: what comes is
/// read, and what was to be sent is kept until there is room.
#[test]
fn a_socket_that_takes_nothing_holds_up_no_turn() {
    let Session { mut engines, mut hands, near, far, listener: _listener, .. } = session();
    let mut cx = Context::from_waker(Waker::noop());
    hands[0].full = true;
    near.send_datagram(Bytes::from_static(b"kept")).expect("room");
    for round in 0..20_u8 {
        far.send_datagram(Bytes::from(vec![round; 100])).expect("room");
        let _more = engines[1].turn(&mut hands[1]);
        let said = std::mem::take(&mut hands[1].sent);
        hands[0].incoming.extend(said);
        for _ in 0..10 {
            let _more = engines[0].turn(&mut hands[0]);
        }
        assert!(engines[0].is_blocked() && hands[0].incoming.is_empty(), "round {round}");
        let Poll::Ready(came) = pin!(near.read_datagram()).poll(&mut cx) else {
            panic!("round {round}: what came waits for what goes");
        };
        assert_eq!(came.expect("it lives"), vec![round; 100]);
        assert!(hands[0].sent.is_empty());
    }
    hands[0].full = false;
    engines[0].writable(&mut hands[0]);
    for _ in 0..5 {
        exchange(&mut engines, &mut hands);
    }
    let Poll::Ready(came) = pin!(far.read_datagram()).poll(&mut cx) else { panic!("it is lost") };
    assert_eq!(came.expect("it lives"), &b"kept"[..]);
}

/// A socket that was full when the driver last looked has room when it says goodbye.
#[test]
fn a_farewell_reaches_the_peer_past_a_socket_that_was_full() {
    let Session { mut engines, mut hands, near, far, listener: _listener, .. } = session();
    hands[0].full = true;
    near.send_datagram(Bytes::from_static(b"kept")).expect("room");
    let _more = engines[0].turn(&mut hands[0]);
    assert!(engines[0].is_blocked());
    hands[0].full = false;
    engines[0].farewell(&mut hands[0]);
    let said = std::mem::take(&mut hands[0].sent);
    hands[1].incoming.extend(said);
    while !hands[1].incoming.is_empty() {
        let _more = engines[1].turn(&mut hands[1]);
    }
    let _more = engines[1].turn(&mut hands[1]);
    assert!(far.close_reason().is_some(), "it has heard nothing");
}

/// Waits for `future` while both sides go on.
fn run<T>(engines: &mut [Engine; 2], hands: &mut [Hand; 2], future: impl Future<Output = T>) -> T {
    let (mut future, mut cx) = (pin!(future), Context::from_waker(Waker::noop()));
    for _ in 0..10_000 {
        if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
            return done;
        }
        exchange(engines, hands);
    }
    panic!("it does not come");
}

/// Whoever asks for one range after the other of a pipe that lives long leaves nothing behind.
///
/// spec: R-ROUTE-10
#[test]
fn a_part_takes_its_end_and_its_hold_on_the_connection_with_it() {
    let mut session = session();
    let mut source = opened(&mut session);
    let Session { mut engines, mut hands, near: _near, far, listener, .. } = session;
    let mut cx = Context::from_waker(Waker::noop());
    assert!(source.poll_write(&mut cx, &[7; 3000]).is_ready());
    let recv = run(&mut engines, &mut hands, far.accept_uni()).expect("a stream");
    let whole = recv.info().and_then(OpenOptions::forwarded).expect("hops are left");
    let opening = far.open(Dir::Uni, whole.clone());
    let leg = run(&mut engines, &mut hands, opening).expect("a leg").0;
    let options = PipeOptions { keep: 3000, ..PipeOptions::default() };
    let begun = listener.pipe(recv, vec![leg], options);
    let pipe = run(&mut engines, &mut hands, begun).expect("a pipe");
    let held = Arc::strong_count(far.guard());
    for _ in 0..3 {
        let opening = far.open(Dir::Uni, OpenOptions { end: Some(1000), ..whole.clone() });
        let part = run(&mut engines, &mut hands, opening).expect("a leg").0;
        let adding = pipe.add_part(part, LegPolicy::Stall);
        let leg = run(&mut engines, &mut hands, adding).expect("it is held");
        assert_eq!(Arc::strong_count(far.guard()), held + 1, "a part holds its connection");
        run(&mut engines, &mut hands, pipe.part_ended(leg));
        assert!(pin!(pipe.leg_ended(leg)).poll(&mut cx).is_pending(), "its end is remembered");
        assert_eq!(Arc::strong_count(far.guard()), held);
    }
    assert!(pin!(pipe.ended()).poll(&mut cx).is_pending(), "the pipe lives");
}
