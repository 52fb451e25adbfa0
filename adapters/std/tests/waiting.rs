//! Calls that wait: how long, and how they end when the endpoint does.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_std::{
    AppCode, BindError, Bytes, Carriers, Chunks, Config, Connection, ConnectionError, Delivery,
    Endpoint, Error, LegIndex, OpenOptions, PipeOptions, Priority, ReadError, Received, Recording,
    StreamId, StreamProtocol, TimedOut, generate_key,
};

const SHORT: Duration = Duration::from_millis(60);
/// What a busy machine may add to anything.
const LONG: Duration = Duration::from_secs(20);

fn endpoint() -> Endpoint {
    Endpoint::bind("127.0.0.1:0".parse().unwrap(), generate_key().unwrap()).unwrap()
}

fn options() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("test"))
}

fn connect(client: &Endpoint, server: &Endpoint) -> (Connection, Connection) {
    thread::scope(|scope| {
        let taking = scope.spawn(|| server.accept().unwrap().unwrap().accept().unwrap());
        let near = client.connect((server.node_id(), server.local_addr())).unwrap();
        (near, taking.join().unwrap())
    })
}

/// An address at which nobody answers, and the socket that keeps it.
fn nowhere() -> (SocketAddr, UdpSocket) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// Has to time out after [`SHORT`], and not before.
fn late<T, E>(what: &'static str, call: impl FnOnce() -> Result<T, E>)
where
    E: From<TimedOut> + PartialEq + std::fmt::Debug,
{
    let began = Instant::now();
    let ended = call().err();
    assert_eq!(ended, Some(TimedOut(SHORT).into()), "{what}");
    let took = began.elapsed();
    assert!((SHORT..LONG).contains(&took), "{what} took {took:?}");
    LATE.lock().unwrap().insert(what);
}

/// Has to time out as soon as what it fills is full.
fn is_late<T, E>(what: &'static str, mut call: impl FnMut() -> Result<T, Error<E>>)
where
    E: PartialEq + std::fmt::Debug,
{
    let full = (0..10_000).find_map(|_| call().err());
    assert_eq!(full, Some(Error::TimedOut(TimedOut(SHORT))), "{what}");
    LATE.lock().unwrap().insert(what);
}

/// Calls that timed out.
static LATE: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// Calls that the endpoint's own thread answers, without waiting for anybody.
const ANSWERED_AT_ONCE: [&str; 6] = [
    "Connection::export_keying_material",
    "Connection::stats",
    "Endpoint::pipe",
    "Endpoint::pipe_and_read",
    "Pipe::add_leg",
    "Pipe::stats",
];

/// Names of all calls of a file that may time out, by the type that they are of.
fn calls_of(source: &str) -> BTreeSet<String> {
    let (mut of, mut name, mut calls) = ("", None, BTreeSet::new());
    for line in source.lines() {
        if let Some(rest) = line.strip_prefix("impl ") {
            of = rest.trim_end_matches(" {");
        }
        if let Some(rest) = line.strip_prefix("    pub fn ") {
            name = rest.split(['(', '<']).next();
        }
        if line.ends_with('{') && (line.contains("TimedOut>") || line.contains(", Error<")) {
            calls.extend(name.take().map(|name| format!("{of}::{name}")));
        }
    }
    calls
}

#[test]
fn every_call_that_waits_has_an_end() {
    while_the_peer_says_nothing();
    while_nothing_gets_through();
    while_pipes_and_messages_stand_still();
    while_the_loop_does_not_run();
    let sources = [
        include_str!("../src/connection.rs"),
        include_str!("../src/endpoint.rs"),
        include_str!("../src/message.rs"),
        include_str!("../src/pipe.rs"),
        include_str!("../src/stream.rs"),
    ];
    let calls: BTreeSet<_> = sources.iter().flat_map(|source| calls_of(source)).collect();
    assert!(calls.len() > 35, "{calls:?}");
    let late = LATE.lock().unwrap();
    let known =
        |call: &String| late.contains(call.as_str()) || ANSWERED_AT_ONCE.contains(&call.as_str());
    let never: Vec<_> = calls.iter().filter(|call| !known(call)).collect();
    assert!(never.is_empty(), "{never:?} were not seen to time out");
    assert!(late.iter().all(|call| calls.contains(*call)), "{late:?} are not all of {calls:?}");
}

fn while_the_peer_says_nothing() {
    let (client, server) = (endpoint().with_timeout(SHORT), endpoint());
    late("Endpoint::accept", || client.accept());
    let (address, _socket) = nowhere();
    late("Endpoint::connect", || client.connect((server.node_id(), address)));
    let (near, far) = connect(&endpoint(), &server);
    let near = near.with_timeout(SHORT);
    late("Connection::accept_bi", || near.accept_bi());
    late("Connection::accept_uni", || near.accept_uni());
    late("Connection::accept_stream", || near.accept_stream());
    late("Connection::read_datagram", || near.read_datagram());
    late("Connection::recv_message", || near.recv_message());
    late("Connection::recv_auto", || near.recv_auto());
    late("Connection::closed", || near.closed());
    late("Endpoint::wait_idle", || server.clone().with_timeout(SHORT).wait_idle());

    let (mut send, mut recv) = near.open_bi(options()).unwrap();
    send.write_all(b"#").unwrap();
    late("RecvStream::read_chunk", || recv.read_chunk(10));
    late("RecvStream::peek", || recv.peek(10));
    late("RecvStream::collect_all", || recv.collect_all(10));
    let mut digested = options();
    digested.digest = Some([0; 32]);
    let (mut verifying, _back) = far.open_bi(digested).unwrap();
    verifying.write_all(b"#").unwrap();
    let mut verified = near.accept_bi().unwrap().1.verified().unwrap();
    assert_eq!(verified.read_chunk(10).unwrap().unwrap(), &b"#"[..]);
    let mut verified = verified.with_timeout(2 * SHORT).with_timeout(SHORT);
    late("VerifiedStream::read_chunk", || verified.read_chunk(10));
    late("SendStream::stopped", || send.stopped());
    let read = recv.read(&mut [0; 10]).unwrap_err();
    assert_eq!(read.kind(), std::io::ErrorKind::TimedOut);
    assert!(matches!(recv.next(), Some(Err(Error::TimedOut(_)))));
    // Nobody reads: the queue and the window fill, a little slower on a busy machine.
    let block = vec![0; 1 << 20];
    let full = (0..1_000).find_map(|_| send.write_all(&block).err()).expect("it fills");
    assert_eq!(full.kind(), std::io::ErrorKind::TimedOut);
    is_late("SendStream::write_bytes", || send.write_bytes(block.clone().into()));
    late("SendStream::delivered", || send.delivered());
    let mut send = near.open_uni(options()).unwrap();
    let mut at = 1;
    is_late("SendStream::write_at", || {
        at += block.len() as u64;
        send.write_at(at, block.clone().into())
    });
    // More streams than the peer allows.
    let mut open = Vec::new();
    is_late("Connection::open_uni", || near.open_uni(options()).map(|send| open.push(send)));
    assert_eq!(open.len(), 99);
    let mut open = Vec::new();
    is_late("Connection::open_bi", || near.open_bi(options()).map(|both| open.push(both)));
    assert_eq!(open.len(), 99);
    drop(far);
}

/// Passes datagrams on between a client and a server, until it is told not to.
fn between(server: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let (front, back) =
        (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    back.connect(server).unwrap();
    let (there, cut) = (front.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
    let (over, client) = (cut.clone(), Arc::new(Mutex::new(None)));
    let (up, down, known) = (front.try_clone().unwrap(), back.try_clone().unwrap(), client.clone());
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok((len, from)) = up.recv_from(&mut bytes) {
            *known.lock().unwrap() = Some(from);
            if !over.load(Ordering::SeqCst) {
                let _lost = back.send(&bytes[..len]);
            }
        }
    });
    let over = cut.clone();
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok(len) = down.recv(&mut bytes) {
            let client = *client.lock().unwrap();
            if let Some(client) = client.filter(|_| !over.load(Ordering::SeqCst)) {
                let _lost = front.send_to(&bytes[..len], client);
            }
        }
    });
    (there, cut)
}

fn by_udp() -> Endpoint {
    let config = Config::new(generate_key().unwrap()).with_carriers(Carriers::udp());
    Endpoint::bind("127.0.0.1:0".parse().unwrap(), config).unwrap()
}

fn while_nothing_gets_through() {
    let (client, server) = (by_udp(), by_udp());
    let (there, cut) = between(server.local_addr());
    let (near, _far) = thread::scope(|scope| {
        let taking = scope.spawn(|| server.accept().unwrap().unwrap().accept().unwrap());
        (client.connect((server.node_id(), there)).unwrap(), taking.join().unwrap())
    });
    cut.store(true, Ordering::SeqCst);
    let near = near.with_timeout(SHORT);
    late("Connection::request_range", || near.request_range(StreamId(1), 0, None));
    let block = Bytes::from(vec![0; 1 << 20]);
    is_late("Connection::send_message", || near.send_message(block.clone()));
    let urgent = Delivery::new().priority(Priority::Urgent);
    is_late("Connection::send_message_with", || near.send_message_with(block.clone(), urgent));
    is_late("Connection::send_datagram_wait", || near.send_datagram_wait(vec![0; 1_000].into()));
    let late_one = near.send_auto(vec![0; 8 << 20]).unwrap_err();
    assert!(matches!(late_one, Error::TimedOut(TimedOut(SHORT))), "{late_one}");
    LATE.lock().unwrap().insert("Connection::send_auto");
    // Who knocks, and is not heard of again.
    let (there, cut) = between(server.local_addr());
    let id = server.node_id();
    thread::spawn(move || client.with_timeout(LONG).connect((id, there)));
    let knocking = server.clone().with_timeout(SHORT);
    let incoming = loop {
        if let Ok(Some(incoming)) = knocking.accept() {
            break incoming;
        }
    };
    cut.store(true, Ordering::SeqCst);
    late("Incoming::accept", || incoming.accept());
}

fn while_pipes_and_messages_stand_still() {
    let (client, server) = (endpoint(), endpoint());
    let (near, far) = connect(&client, &server);
    let far = far.with_timeout(SHORT);
    let mut send = near.open_uni(options()).unwrap();
    send.write_all(b"#").unwrap();
    let coming = far.clone().with_timeout(LONG).accept_uni().unwrap();
    let leg = far.open_uni(coming.info().unwrap().forwarded().unwrap()).unwrap();
    let at = server.clone().with_timeout(SHORT);
    let pipe = at.pipe(coming, vec![leg], PipeOptions::default()).unwrap();
    late("Pipe::ended", || pipe.ended());
    late("Pipe::leg_ended", || pipe.leg_ended(LegIndex(0)));
    let (tell, told) = mpsc::channel::<Vec<u8>>();
    tell.send(vec![7; 1_000]).unwrap();
    let sender = near.clone();
    thread::spawn(move || sender.send_auto(Chunks::new(1 << 20, told)));
    let received = far.with_timeout(LONG).recv_auto().unwrap();
    let Received::Stream(message) = received else { panic!("no stream") };
    let mut message = message.with_timeout(SHORT);
    assert_eq!(message.read_chunk(1_000).unwrap().unwrap().len(), 1_000);
    late("MessageStream::read_chunk", || message.read_chunk(1));
    assert!(matches!(message.next(), Some(Err(Error::TimedOut(_)))));
    late("MessageStream::collect_all", || message.collect_all());
    near.abort(AppCode(0), b"");
    drop(tell);
    let tape = Path::new(env!("CARGO_TARGET_TMPDIR")).join("waiting.tape");
    let recording = Recording::to(tape);
    let config = Config::new(generate_key().unwrap()).with_recording(recording);
    let node = Endpoint::bind("127.0.0.1:0".parse().unwrap(), config).unwrap();
    let recorded = node.recording().unwrap().with_timeout(SHORT);
    late("Recorded::closed", || recorded.closed());
}

fn while_the_loop_does_not_run() {
    let (endpoint, _driver) =
        Endpoint::prepare("127.0.0.1:0".parse().unwrap(), generate_key().unwrap()).unwrap();
    let endpoint = endpoint.with_timeout(SHORT);
    late("Endpoint::stats", || endpoint.stats());
    late("Endpoint::bandwidth", || endpoint.bandwidth(None));
}

/// Who timed out has lost nothing, and the next call gets it.
#[test]
fn what_came_late_is_still_there() {
    let (client, server) = (endpoint(), endpoint());
    let (near, far) = connect(&client, &server);
    let (mut send, mut recv) = near.with_timeout(SHORT).open_bi(options()).unwrap();
    send.write_all(b"question").unwrap();
    let (mut back, mut said) = far.accept_bi().unwrap();
    late("RecvStream::collect_all", || recv.collect_all(100));
    back.write_all(b"ans").unwrap();
    // What was collected so far is not gone with the call.
    while recv.peek(3).is_err() {}
    late("RecvStream::collect_all", || recv.collect_all(100));
    back.write_all(b"wer").unwrap();
    back.finish().unwrap();
    let recv = &mut recv.with_timeout(LONG);
    assert_eq!(recv.collect_all(100).unwrap(), &b"answer"[..]);
    send.finish().unwrap();
    assert_eq!(
        Iterator::by_ref(&mut said).map(Result::unwrap).collect::<Vec<_>>().concat(),
        b"question"
    );
    assert!(said.next().is_none());
}

/// A part every now and then is no reason to wait for ever.
#[test]
fn a_message_is_collected_in_one_time_out() {
    let (client, server) = (endpoint(), endpoint());
    let (near, far) = connect(&client, &server);
    let parts = (0..100).map(|_| {
        thread::sleep(SHORT / 2);
        vec![7_u8; 4_000]
    });
    let sending = thread::spawn(move || near.send_auto(Chunks::new(400_000, parts)));
    let Some(Received::Stream(message)) = far.recv_auto().ok() else { panic!("no stream") };
    let message = message.with_timeout(SHORT);
    late("MessageStream::collect_all", || message.collect_all());
    sending.join().unwrap().unwrap_err();
}

/// Whatever its handles wait for, an endpoint ends in time, and with it all that waits.
#[test]
fn shutdown_ends_everything_in_time() {
    let (client, server) = (endpoint(), endpoint());
    let (near, far) = connect(&client, &server);
    let (address, _socket) = nowhere();
    let id = server.node_id();
    let (mut send, mut recv) = near.open_bi(options()).unwrap();
    send.write_all(b"#").unwrap();
    let (done, ended) = mpsc::channel();
    let mut waiting = 0;
    let mut wait = |what: &'static str, call: Box<dyn FnOnce() + Send>| {
        let done = done.clone();
        waiting += 1;
        thread::spawn(move || {
            call();
            done.send(what).unwrap();
        });
    };
    let at = client.clone();
    wait("accept", Box::new(move || assert!(at.accept().unwrap().is_none())));
    let at = client.clone();
    wait("incoming", Box::new(move || assert_eq!(at.incoming().count(), 0)));
    let at = client.clone();
    wait("connect", Box::new(move || assert!(at.connect((id, address)).is_err())));
    let at = client.clone();
    wait("wait_idle", Box::new(move || at.wait_idle().unwrap()));
    let at = near.clone();
    wait("accept_bi", Box::new(move || assert!(at.accept_bi().is_err())));
    let at = near.clone();
    wait("recv_message", Box::new(move || assert!(at.recv_message().is_err())));
    let at = near.clone();
    wait("closed", Box::new(move || drop(at.closed().unwrap())));
    let mut fork = recv.fork();
    wait("read", Box::new(move || assert!(fork.read(&mut [0]).is_err())));
    wait("collect_all", Box::new(move || assert!(recv.collect_all(9).is_err())));
    let block = vec![0; 1 << 20];
    wait("write", Box::new(move || while send.write_all(&block).is_ok() {}));
    let source = far.open_uni(options()).unwrap();
    let (_out, inn) = (source, near.accept_uni());
    let pipe = {
        let inn = inn.unwrap();
        let leg = near.open_uni(inn.info().unwrap().forwarded().unwrap()).unwrap();
        client.pipe(inn, vec![leg], PipeOptions::default()).unwrap()
    };
    wait("ended", Box::new(move || assert!(pipe.ended().is_ok())));
    thread::sleep(SHORT);

    let began = Instant::now();
    assert!(!client.shutdown(AppCode(5), b"enough", SHORT), "the write was not delivered");
    assert!((SHORT..LONG).contains(&began.elapsed()), "{:?}", began.elapsed());
    for _ in 0..waiting {
        ended.recv_timeout(LONG).expect("somebody still waits");
    }
    // The peer was told why, and does not have to find out.
    assert!(far.with_timeout(LONG).closed().unwrap().to_string().contains("code 5"));
    assert_eq!(near.open_uni(options()).unwrap_err().to_string(), gone().to_string());
}

fn gone() -> Error<ConnectionError> {
    Error::Failed(ConnectionError::DriverGone)
}

/// Nothing to deliver: at once, and true.
#[test]
fn shutdown_of_the_idle_is_quick() {
    let began = Instant::now();
    assert!(endpoint().shutdown(AppCode(0), b"", LONG));
    assert!(began.elapsed() < LONG);
}

#[test]
fn the_loop_runs_on_any_thread() {
    let (mine, driver) =
        Endpoint::prepare("127.0.0.1:0".parse().unwrap(), generate_key().unwrap()).unwrap();
    let driving = thread::spawn(move || driver.run());
    let server = endpoint();
    let (near, far) = connect(&mine, &server);
    near.send_message(b"by hand".to_vec().into()).unwrap();
    assert_eq!(far.recv_message().unwrap(), &b"by hand"[..]);
    drop((near, far));
    // The last handle ends it.
    drop(mine);
    driving.join().unwrap();
}

#[test]
fn a_loop_that_never_runs_fails_all_calls() {
    let (endpoint, driver) =
        Endpoint::prepare("127.0.0.1:0".parse().unwrap(), generate_key().unwrap()).unwrap();
    let waiting = thread::spawn({
        let endpoint = endpoint.clone();
        move || endpoint.accept()
    });
    drop(driver);
    assert!(waiting.join().unwrap().unwrap().is_none());
    let (address, _socket) = nowhere();
    assert!(endpoint.connect((endpoint.node_id(), address)).is_err());
    assert_eq!(endpoint.stats().unwrap().connections, 0);
}

#[test]
fn an_address_in_use_is_named() {
    let there = endpoint().local_addr();
    let taken = UdpSocket::bind(there);
    let error = match taken {
        Ok(_taken) => Endpoint::bind(there, generate_key().unwrap()).unwrap_err(),
        // Its loop has not ended yet; that does as well.
        Err(_) => {
            Endpoint::bind("192.0.2.1:9".parse().unwrap(), generate_key().unwrap()).unwrap_err()
        }
    };
    assert!(matches!(&error, BindError::Socket { .. }), "{error}");
}

/// An error of the stream ends the iterator; a time-out does not.
#[test]
fn the_iterator_ends_behind_an_error() {
    let (client, server) = (endpoint(), endpoint());
    let (near, far) = connect(&client, &server);
    let mut send = near.open_uni(options()).unwrap();
    send.write_all(b"half").unwrap();
    let mut recv = far.accept_uni().unwrap().with_timeout(SHORT);
    assert_eq!(recv.next().unwrap().unwrap(), &b"half"[..]);
    assert!(matches!(recv.next(), Some(Err(Error::TimedOut(_)))));
    send.reset(AppCode(9));
    let mut recv = recv.with_timeout(LONG);
    let reset = ReadError::Reset { code: AppCode(9), hop: 0 };
    assert_eq!(recv.next(), Some(Err(Error::Failed(reset))));
    assert_eq!(recv.next(), None);
}
