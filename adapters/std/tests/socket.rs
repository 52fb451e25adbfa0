//! Sockets that fail: the loop leaves them alone, and what comes by them does not make it turn.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]
#![cfg(target_os = "linux")]

use std::net::UdpSocket;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_driver::fault::{self, Faults, FaultyIo};
use aqueduct_std::{
    AppCode, CloseReason, Config, Connection, ConnectionError, Endpoint, OpenOptions,
    StreamProtocol, generate_key,
};
use rustix::io::Errno;

/// What a busy machine may add to anything.
const LONG: Duration = Duration::from_secs(20);

fn faulty(faults: &Faults) -> Endpoint {
    let faults = faults.clone();
    let config = Config::new(generate_key().unwrap())
        .with_socket_io(move |io| FaultyIo::new(io, faults.clone()));
    Endpoint::bind("127.0.0.1:0".parse().unwrap(), config).unwrap().with_timeout(LONG)
}

fn connect(client: &Endpoint, server: &Endpoint) -> (Connection, Connection) {
    thread::scope(|scope| {
        let taking = scope.spawn(|| server.accept().unwrap().unwrap().accept().unwrap());
        let near = client.connect((server.node_id(), server.local_addr())).unwrap();
        (near, taking.join().unwrap())
    })
}

fn options() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("test"))
}

/// Turns of the loop while a datagram waits at its socket that nobody reads.
fn turns_for_one(endpoint: &Endpoint) -> u64 {
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = endpoint.io_stats().turns;
    stranger.send_to(b"anybody there?", endpoint.local_addr()).unwrap();
    thread::sleep(Duration::from_millis(500));
    endpoint.io_stats().turns - before
}

#[test]
fn a_socket_that_only_fails_to_receive_does_not_make_the_loop_spin() {
    let faults = Faults::new();
    let (client, server) = (faulty(&faults), faulty(&Faults::new()));
    let (near, far) = connect(&client, &server);
    faults.plan(fault::Call::Recv, Errno::NOBUFS.raw_os_error(), u64::MAX);
    let turns = turns_for_one(&client);
    let failed = client.io_stats().recv_errors;
    println!("{failed} receives failed, in {turns} turns");
    assert!((8..100).contains(&failed), "{failed} receives failed");
    assert!(turns < 200, "{turns} turns");
    // And when it works again, it is read again.
    faults.clear();
    far.send_message(b"after all".to_vec().into()).unwrap();
    assert_eq!(near.recv_message().unwrap(), &b"after all"[..]);
}

#[test]
fn a_socket_that_is_lost_is_not_looked_at_any_more() {
    let faults = Faults::new();
    let (client, server) = (faulty(&faults), faulty(&Faults::new()));
    let (near, _far) = connect(&client, &server);
    faults.plan(fault::Call::Send, Errno::BADF.raw_os_error(), 1);
    near.send_datagram(b"by a socket that is none".to_vec().into()).unwrap();
    assert_eq!(near.closed().unwrap(), CloseReason::CarrierLost);
    let turns = turns_for_one(&client);
    assert!(turns < 100, "{turns} turns for a datagram that nobody reads");
    // The loop has not ended with its socket.
    assert_eq!(client.stats().unwrap().connections, 0);
    assert!(client.shutdown(AppCode(0), b"", LONG));
}

/// The time at which it was to be tried again is none to wake for.
#[test]
fn a_socket_that_is_lost_after_other_failures_is_left_alone_as_well() {
    let faults = Faults::new();
    let (client, server) = (faulty(&faults), faulty(&Faults::new()));
    let (near, far) = connect(&client, &server);
    faults.plan(fault::Call::Recv, Errno::NOBUFS.raw_os_error(), 12);
    faults.plan(fault::Call::Recv, Errno::BADF.raw_os_error(), 1);
    let began = Instant::now();
    while faults.left() > 0 {
        assert!(began.elapsed() < LONG, "{} faults did not strike", faults.left());
        let _taken = far.send_datagram(b"anybody there?".to_vec().into());
        thread::sleep(Duration::from_millis(5));
    }
    let turns = turns_for_one(&client);
    assert!(turns < 200, "{turns} turns for a datagram that nobody reads");
    // By TCP it goes on, or it has ended; nobody waits for the socket.
    drop((near, far));
    client.shutdown(AppCode(0), b"", LONG);
}

/// Who waits without a time-out would wait for ever.
#[test]
fn a_loop_that_panics_wakes_everybody() {
    let faults = Faults::new();
    let client = faulty(&faults).with_timeout(None);
    let server = faulty(&Faults::new());
    let (near, _far) = connect(&client, &server);
    let (mut send, mut recv) = near.open_bi(options()).unwrap();
    let gone = ConnectionError::DriverGone;
    let (tell, told) = mpsc::channel();
    let waits: [(&str, Call); 6] = [
        ("read", Box::new(move || recv.read_chunk(10).is_err())),
        ("accept_uni", of(&near, |near| near.accept_uni().is_err())),
        ("read_datagram", of(&near, |near| near.read_datagram().is_err())),
        ("recv_message", of(&near, |near| near.recv_message().is_err())),
        ("closed", of(&near, |near| near.closed() == Ok(CloseReason::CarrierLost))),
        ("accept", of(&client, |client| matches!(client.accept(), Ok(None)))),
    ];
    let count = waits.len();
    for (name, wait) in waits {
        let tell = tell.clone();
        thread::spawn(move || tell.send((name, wait())).unwrap());
    }
    thread::sleep(Duration::from_millis(50));
    faults.plan_panics(fault::Call::Send);
    // Who calls may take the loop's turn, and meets the panic itself.
    let write = || send.write_bytes(vec![7; 100].into());
    let _queued = std::panic::catch_unwind(std::panic::AssertUnwindSafe(write));
    for _ in 0..count {
        let (name, as_expected) = told.recv_timeout(LONG).expect("somebody waits for ever");
        assert!(as_expected, "{name}");
    }
    // And what comes later does not hang either.
    assert!(send.write_bytes(vec![7; 100].into()).is_err());
    assert!(send.delivered().is_err());
    assert!(near.open_uni(options()).is_err());
    assert_eq!(
        near.send_message(b"anybody?".to_vec().into()).unwrap_err().to_string(),
        gone.to_string()
    );
    assert!(client.connect((server.node_id(), server.local_addr())).is_err());
    let began = Instant::now();
    client.shutdown(AppCode(0), b"", LONG);
    assert!(began.elapsed() < LONG / 2, "there is nothing to wait for");
}

/// A call for another thread; whether it gave what it should.
type Call = Box<dyn FnOnce() -> bool + Send>;

fn of<T: Clone + Send + 'static>(
    handle: &T,
    call: impl FnOnce(T) -> bool + Send + 'static,
) -> Call {
    let handle = handle.clone();
    Box::new(move || call(handle))
}
