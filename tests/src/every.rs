//! A run in which every call is made that a tape knows (spec R-TAPE-8): a source, a relay and a
//! sink in a row, whose applications do each thing once or twice.
//!
//! ```text
//!     source ──── out, by UDP and by a byte stream ──── relay ──── on, by UDP ──── sink
//! ```

use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::congestion::Algorithm;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::{ConnectionHandle, ConnectionRef, Leg, PipeId, PipeRef, StreamAddr};
use aqueduct_core::flow::Window;
use aqueduct_core::message::Delivery;
use aqueduct_core::pipe::{LegPolicy, PipeOptions};
use aqueduct_core::stream::{Arrival, OpenOptions, Priority, ReadError, StreamProtocol};
use aqueduct_core::tape::Payload;
use aqueduct_core::wire::id::{AppCode, CarrierId, Dir, StreamId};
use bytes::Bytes;

use crate::app::prose;
use crate::link::LinkConfig;
use crate::net::host::Admission;
use crate::net::stream::StreamConfig;
use crate::net::{HostId, Net, UDP};
use crate::tapes::end;
use crate::transfer::connected;

const SOURCE: HostId = HostId(0);
const RELAY: HostId = HostId(1);
const SINK: HostId = HostId(2);

/// Where the bodies of [`Run::bodies`] begin, and where they end.
const BODY: (u64, u64) = (1_000, 7_000);
/// What is skipped of them.
const HOLE: (u64, u64) = (3_000, 4_000);

/// One end of a connection.
type End = (HostId, ConnectionHandle);

/// Plays it. Gives the tapes of source, relay and sink.
///
/// # Panics
/// If anything comes to something else than is meant.
pub fn every(payload: Payload) -> [Vec<u8>; 3] {
    let mut run = Run::begin(payload);
    run.limits();
    run.carriers();
    run.bodies();
    run.words();
    run.given_up();
    run.pipe();
    run.cancelled();
    run.end()
}

struct Run {
    net: Net,
    /// Source to relay, at the one and at the other.
    out: [End; 2],
    /// Relay to sink, likewise.
    on: [End; 2],
}

fn text(salt: u64, len: usize) -> Bytes {
    prose(salt, len)
}

fn options() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("every")).with_head(&b"hello"[..])
}

impl Run {
    /// The source is refused once, then all are connected.
    fn begin(payload: Payload) -> Self {
        let mut net = Net::new(7, LinkConfig::default());
        net.tapes.payload = Some(payload);
        for key in 1..=3 {
            net.add(EndpointConfig::new(NodeKey::from_seed(&[key; 32])), 70 + u64::from(key));
        }
        net.host(RELAY).admission = Admission::Refuse;
        net.connect(SOURCE, RELAY);
        net.run(Duration::from_secs(2), |_| false);
        net.host(RELAY).admission = Admission::Accept;
        let mut join = |a, b| {
            let (here, there) = connected(&mut net, a, b);
            [(a, here), (b, there)]
        };
        let (out, on) = (join(SOURCE, RELAY), join(RELAY, SINK));
        Self { net, out, on }
    }

    fn pass(&mut self, millis: u64) {
        self.net.run(Duration::from_millis(millis), |_| false);
    }

    /// Looks at a connection.
    fn call<T>(&mut self, (host, at): End, work: impl FnOnce(&mut ConnectionRef<'_>) -> T) -> T {
        let view = self.net.host(host).endpoint.connection(at);
        work(&mut view.expect("it lives"))
    }

    /// Looks at a pipe of the relay.
    fn piped<T>(&mut self, pipe: PipeId, work: impl FnOnce(&mut PipeRef<'_>) -> T) -> T {
        work(&mut self.net.host(RELAY).endpoint.piped(pipe).expect("it is there"))
    }

    /// A stream from one end, and its number.
    fn open(&mut self, at: End, options: OpenOptions) -> StreamId {
        self.call(at, |view| view.open(Dir::Uni, options).expect("room for a stream"))
    }

    /// Bytes behind all others.
    fn write(&mut self, at: End, id: StreamId, salt: u64, len: usize) {
        self.call(at, |view| {
            let taken = view.send(id).expect("it is open").write(text(salt, len));
            assert_eq!(taken, Ok(len));
        });
    }

    fn finish(&mut self, at: End, id: StreamId) {
        self.call(at, |view| view.send(id).expect("it is open").finish()).expect("its end");
    }

    fn accept(&mut self, at: End) -> StreamId {
        self.call(at, |view| view.accept().expect("it was announced"))
    }

    /// The relay has limits: all of it, each peer, and one.
    fn limits(&mut self) {
        let sink = self.net.host(SINK).endpoint.node_id();
        for rates in [[2_000_000, 1_000_000, 500_000].map(Some), [None; 3]] {
            let now = self.net.local(RELAY);
            let endpoint = &mut self.net.host(RELAY).endpoint;
            endpoint.set_limit(rates[0], now);
            endpoint.set_peers_limit(rates[1], now);
            endpoint.set_peer_limit(sink, rates[2], now);
            let from = self.out[1];
            let id = self.open(from, options());
            self.write(from, id, 1, 4_000);
            self.finish(from, id);
            self.pass(300);
            let (there, id) = (self.out[0], self.accept(self.out[0]));
            assert_eq!(self.take(there, id, 0), 4_000);
        }
    }

    /// The source's socket is full for a moment; it is given another way, which breaks.
    fn carriers(&mut self) {
        self.net.block(SOURCE, UDP, true);
        self.pass(20);
        self.net.block(SOURCE, UDP, false);
        let carrier = CarrierId(7);
        let (stream, there) = self.net.join([SOURCE, RELAY], carrier, StreamConfig::default());
        assert!(self.call(self.out[0], |view| view.add_path(carrier, there)));
        self.pass(300);
        self.net.break_stream(stream);
        self.pass(300);
        // Looked at, and nothing called.
        for _ in 0..2 {
            self.call(self.out[0], |view| _ = view.stats());
        }
        self.call(self.out[0], |view| view.set_controller(Algorithm::Bbr));
    }

    /// Bodies that begin late, are written in any order and have a hole, read in each way.
    fn bodies(&mut self) {
        let ((start, end), (from, to)) = (BODY, HOLE);
        for way in 0..4 {
            let at = self.out[0];
            let id = self.open(at, OpenOptions { start, end: Some(end), ..options() });
            self.call(at, |view| {
                let mut half = view.send(id).expect("it is open");
                half.set_priority(Priority::Bulk);
                half.report_acked();
                assert_eq!(half.write_at(6_000, text(id.0, 500)), Ok(500));
            });
            self.pass(50);
            self.call(at, |view| {
                let mut half = view.send(id).expect("it is open");
                half.forward(to, text(id.0, 2_000)).expect("room");
                half.skip(from..to).expect("nothing is there");
                assert_eq!(half.write_at(start, text(id.0, 2_000)), Ok(2_000));
                assert_eq!(half.write(text(id.0, 500)), Ok(500));
                half.finish_at(end).expect("its end");
            });
            self.pass(50);
            let (there, id) = (self.out[1], self.accept(self.out[1]));
            let hole = if way < 2 { 0 } else { to - from };
            assert_eq!(self.take(there, id, way), 2_000 + 2_000 + 500 + 500 + hole);
            self.pass(50);
        }
    }

    /// Takes all that came on a stream, in one of the four ways, and releases it: the first in two
    /// parts. Gives how much it was.
    fn take(&mut self, at: End, id: StreamId, way: u8) -> u64 {
        self.call(at, |view| {
            let mut half = view.recv(id).expect("it lives");
            half.set_window(Window::Fixed(40_000));
            half.request(30_000);
            assert!(half.covered() > 0);
            drop(half);
            let (mut all, mut half) = (0, view.recv(id).expect("it lives"));
            loop {
                let told = |arrival: Arrival| arrival.range().end - arrival.range().start;
                let taken = match way {
                    0 => half.read_chunk(700).map(|chunk| chunk.map(Arrival::Bytes).map(told)),
                    1 => half.take_any(700).map(|chunk| chunk.map(Arrival::Bytes).map(told)),
                    2 => half.take_arrival(700).map(|arrival| arrival.map(told)),
                    _ => half.take_lowest(700).map(|arrival| arrival.map(told)),
                };
                let len = match taken {
                    Ok(Some(len)) => len,
                    Ok(None) | Err(ReadError::Blocked) => return all,
                    Err(error) => panic!("{error}"),
                };
                let first = if all == 0 { 1 } else { len };
                half.release(first);
                if first < len {
                    half.release(len - first);
                }
                all += len;
            }
        })
    }

    /// Datagrams and messages, with and without a class and a greatest age.
    fn words(&mut self) {
        let (at, there) = (self.out[0], self.out[1]);
        let soon = Delivery::new().priority(Priority::Urgent).max_age(Duration::from_secs(1));
        let late = Delivery::new().priority(Priority::Bulk).max_age(Duration::ZERO);
        self.call(at, |view| {
            assert!(view.has_datagram_room(100) && view.has_datagram_room_of(Priority::Bulk, 10));
            view.send_datagram(text(1, 100)).expect("room");
            for delivery in [soon, late] {
                view.send_datagram_with(text(2, 200), delivery).expect("room");
                let sent = view.send_message_with(text(3, 3_000), delivery);
                assert_eq!(sent.is_err(), delivery == late, "{sent:?}");
            }
            view.send_message(text(4, 50)).expect("room");
        });
        self.pass(200);
        self.call(there, |view| {
            let datagrams = std::iter::from_fn(|| view.recv_datagram()).count();
            let messages = std::iter::from_fn(|| view.recv_message()).count();
            assert!(datagrams >= 2 && messages >= 2, "{datagrams}, {messages}");
        });
    }

    /// One stream is reset behind what it promises, and one is stopped.
    fn given_up(&mut self) {
        let (at, there) = (self.out[0], self.out[1]);
        let [reset, stopped] = [5, 6].map(|salt| {
            let id = self.open(at, options());
            self.write(at, id, salt, 900);
            id
        });
        self.call(at, |view| view.send(reset).expect("open").reset_after(AppCode(3), 0, 500));
        self.pass(50);
        let ids = [(); 2].map(|()| self.accept(there));
        assert!(ids.contains(&reset) && ids.contains(&stopped));
        self.call(there, |view| view.recv(stopped).expect("open").stop(AppCode(4)));
        self.pass(100);
    }

    /// A stream for the next leg of a pipe, from this offset on.
    fn leg(&mut self, source: StreamId, start: u64) -> Leg {
        let forwarded = |view: &mut ConnectionRef<'_>| view.stream_info(source)?.forwarded();
        let options = self.call(self.out[1], forwarded).expect("it may go on");
        let stream = self.open(self.on[0], OpenOptions { start, ..options });
        Leg::Stream(StreamAddr { connection: self.on[0].1, stream })
    }

    /// Begins a pipe of what comes on a new stream: its application reads along.
    fn begin_pipe(&mut self) -> (StreamId, PipeId) {
        let at = self.out[0];
        let id = self.open(at, options());
        self.write(at, id, 8, 3_000);
        self.pass(50);
        let source = self.accept(self.out[1]);
        let from = StreamAddr { connection: self.out[1].1, stream: source };
        let legs = [self.leg(source, 0), Leg::Application];
        let options = PipeOptions { keep: 1 << 16, ..PipeOptions::default() };
        let made = self.net.host(RELAY).endpoint.pipe(from, &legs, options);
        (id, made.expect("a pipe"))
    }

    /// The application reads what there is of a pipe. Gives where it came to.
    fn read_along(&mut self, pipe: PipeId) -> u64 {
        self.piped(pipe, |view| {
            let mut end = 0;
            while let Ok(Some(chunk)) = view.read(3_000) {
                end = chunk.range().end;
                view.release(end);
            }
            end
        })
    }

    /// A pipe gathers a leg beside its first, has a rate, and gets one more that is late.
    fn pipe(&mut self) {
        let (at, there) = (self.out[0], self.on[1]);
        let (id, pipe) = self.begin_pipe();
        self.piped(pipe, |view| view.gather(true));
        self.pass(50);
        let second = self.leg(id, 0);
        self.piped(pipe, |view| {
            view.add_leg(second, LegPolicy::Stall).expect("a leg");
            view.gather(false);
            view.set_rate(Some(1_000_000));
        });
        self.write(at, id, 9, 5_000);
        self.pass(200);
        assert_eq!(self.read_along(pipe), 8_000);
        let late = self.leg(id, 2_000);
        self.piped(pipe, |view| {
            assert!(view.held_from() <= 2_000, "{}", view.held_from());
            view.add_leg(late, LegPolicy::DETACH).expect("a leg");
            view.set_rate(None);
        });
        self.finish(at, id);
        self.pass(200);
        for start in [0, 0, 2_000] {
            let id = self.accept(there);
            assert_eq!(self.take(there, id, 2), 8_000 - start);
        }
        self.read_along(pipe);
        self.pass(200);
        assert!(self.net.host(RELAY).endpoint.piped(pipe).is_none(), "it has ended");
    }

    /// Another is given up.
    fn cancelled(&mut self) {
        let (_, pipe) = self.begin_pipe();
        self.pass(50);
        self.piped(pipe, |view| view.cancel(AppCode(5)));
        self.pass(100);
    }

    /// One connection is closed and one aborted, and nobody has anything to do any more.
    fn end(mut self) -> [Vec<u8>; 3] {
        self.call(self.out[0], |view| view.close(AppCode(1), b"enough"));
        let now = self.net.local(RELAY);
        self.call(self.on[0], |view| view.abort(AppCode(2), b"at once", now));
        self.pass(30_000);
        [SOURCE, RELAY, SINK].map(|host| end(&mut self.net.host(host).endpoint))
    }
}
