//! Calls that wait: how long, and how they end when the endpoint does.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_std::relay::{Allow, RelayConfig};
use aqueduct_std::{
    AppCode, BindError, Chunks, Connection, ConnectionError, Endpoint, Error, OpenOptions,
    PipeOptions, ReadError, Received, StreamProtocol, TimedOut, generate_key,
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
fn nowhere() -> (std::net::SocketAddr, UdpSocket) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// Has to time out after [`SHORT`], and not before.
fn late<T, E>(what: &str, call: impl FnOnce() -> Result<T, E>)
where
    E: From<TimedOut> + PartialEq + std::fmt::Debug,
{
    let began = Instant::now();
    let ended = call().err();
    assert_eq!(ended, Some(TimedOut(SHORT).into()), "{what}");
    let took = began.elapsed();
    assert!((SHORT..LONG).contains(&took), "{what} took {took:?}");
}

#[test]
fn every_call_that_waits_has_an_end() {
    let (client, server) = (endpoint().with_timeout(SHORT), endpoint());
    late("accept", || client.accept());
    let (address, _socket) = nowhere();
    late("connect", || client.connect((server.node_id(), address)));
    let (near, far) = connect(&endpoint(), &server);
    let near = near.with_timeout(SHORT);
    late("accept_bi", || near.accept_bi());
    late("accept_uni", || near.accept_uni());
    late("accept_stream", || near.accept_stream());
    late("read_datagram", || near.read_datagram());
    late("recv_message", || near.recv_message());
    late("recv_auto", || near.recv_auto());
    late("closed", || near.closed());
    late("wait_idle", || server.clone().with_timeout(SHORT).wait_idle());

    let (mut send, mut recv) = near.open_bi(options()).unwrap();
    send.write_all(b"#").unwrap();
    late("read_chunk", || recv.read_chunk(10));
    late("peek", || recv.peek(10));
    late("collect_all", || recv.collect_all(10));
    let mut digested = options();
    digested.digest = Some([0; 32]);
    let (mut verifying, _back) = far.open_bi(digested).unwrap();
    verifying.write_all(b"#").unwrap();
    let mut verified = near.accept_bi().unwrap().1.verified().unwrap();
    assert_eq!(verified.read_chunk(10).unwrap().unwrap(), &b"#"[..]);
    let mut verified = verified.with_timeout(2 * SHORT).with_timeout(SHORT);
    late("verified read_chunk", || verified.read_chunk(10));
    late("stopped", || send.stopped());
    let read = recv.read(&mut [0; 10]).unwrap_err();
    assert_eq!(read.kind(), std::io::ErrorKind::TimedOut);
    assert!(matches!(recv.next(), Some(Err(Error::TimedOut(_)))));
    // Nobody reads: the queue and the window fill, a little slower on a busy machine.
    let block = vec![0; 1 << 20];
    let full = (0..1_000).find_map(|_| send.write_all(&block).err()).expect("it fills");
    assert_eq!(full.kind(), std::io::ErrorKind::TimedOut);
    let full = (0..1_000).find_map(|_| send.write_bytes(block.clone().into()).err());
    assert_eq!(full, Some(Error::TimedOut(TimedOut(SHORT))));
    late("delivered", || send.delivered());
    // More streams than the peer allows.
    let mut open = Vec::new();
    let blocked = loop {
        match near.open_uni(options()) {
            Ok(stream) => open.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!((blocked, open.len()), (Error::TimedOut(TimedOut(SHORT)), 100));
    drop(far);
}

/// Who timed out has lost nothing, and the next call gets it.
#[test]
fn what_came_late_is_still_there() {
    let (client, server) = (endpoint(), endpoint());
    let (near, far) = connect(&client, &server);
    let (mut send, mut recv) = near.with_timeout(SHORT).open_bi(options()).unwrap();
    send.write_all(b"question").unwrap();
    let (mut back, mut said) = far.accept_bi().unwrap();
    late("collect_all", || recv.collect_all(100));
    back.write_all(b"ans").unwrap();
    // What was collected so far is not gone with the call.
    while recv.peek(3).is_err() {}
    late("collect_all", || recv.collect_all(100));
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
    late("collect_all", || message.collect_all());
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
    // The peer was told, and does not have to find out.
    assert!(far.with_timeout(LONG).closed().unwrap().to_string().contains("code 0"));
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
