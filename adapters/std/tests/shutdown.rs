//! Ending an endpoint: who waits for its end has waited for all of it.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_driver::socket::{Outgoing, RecvBatch, SocketIo, UdpIo};
use aqueduct_std::{
    AppCode, Config, Connection, Endpoint, EndpointConfig, OpenOptions, StreamProtocol,
    TransportConfig, generate_key,
};
use socket2::SockRef;

/// What a busy machine may add to anything.
const LONG: Duration = Duration::from_secs(20);

/// What a socket takes to go.
const TO_GO: Duration = Duration::from_millis(200);

/// A socket that takes its time to go, and says when it is gone: with its loop.
#[derive(Debug)]
struct Lingering(UdpIo, Arc<AtomicBool>);

impl SocketIo for Lingering {
    fn recv(&self, socket: SockRef<'_>, batch: &mut RecvBatch) -> io::Result<usize> {
        self.0.recv(socket, batch)
    }

    fn send(&self, socket: SockRef<'_>, outgoing: &Outgoing<'_>) -> io::Result<()> {
        self.0.send(socket, outgoing)
    }

    fn max_gso_segments(&self) -> usize {
        self.0.max_gso_segments()
    }

    fn gro_segments(&self) -> usize {
        self.0.gro_segments()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        thread::sleep(TO_GO);
        self.1.store(true, Ordering::SeqCst);
    }
}

#[test]
fn the_loop_has_ended_for_everybody_who_shuts_down() {
    let gone = Arc::new(AtomicBool::new(false));
    let config = Config::new(generate_key().unwrap()).with_socket_io({
        let gone = gone.clone();
        move |io| Lingering(io, gone.clone())
    });
    let endpoint = Endpoint::bind("127.0.0.1:0".parse().unwrap(), config).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                assert!(endpoint.shutdown(AppCode(0), b"", LONG));
                assert!(gone.load(Ordering::SeqCst), "its loop has not ended");
            });
        }
    });
    assert!(endpoint.shutdown(AppCode(0), b"", LONG), "once more, and later");
}

fn connect(client: &Endpoint, server: &Endpoint) -> (Connection, Connection) {
    thread::scope(|scope| {
        let taking = scope.spawn(|| server.accept().unwrap().unwrap().accept().unwrap());
        let near = client.connect((server.node_id(), server.local_addr())).unwrap();
        (near, taking.join().unwrap())
    })
}

/// An endpoint whose recording goes to this pipe.
#[cfg(target_os = "linux")]
fn recorded() -> (io::PipeReader, Endpoint) {
    use std::os::fd::AsRawFd;

    let (disk, writer) = io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let recording = aqueduct_std::Recording::to(path);
    let config = Config::new(generate_key().unwrap()).with_recording(recording);
    let client = Endpoint::bind("127.0.0.1:0".parse().unwrap(), config).unwrap();
    (disk, client.with_timeout(LONG))
}

/// The disk is somebody who begins to read when all is over.
///
/// spec: R-TAPE-18
#[cfg(target_os = "linux")]
#[test]
fn a_recording_is_whole_when_its_endpoint_has_ended() {
    use std::io::Read;

    use aqueduct_std::trace;

    let (mut disk, client) = recorded();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = Endpoint::bind(loopback, generate_key().unwrap()).unwrap().with_timeout(LONG);
    let (near, far) = connect(&client, &server);
    let message = vec![7; 500_000];
    let reading = thread::spawn(move || far.recv_message().unwrap().len());
    near.send_message(message.into()).unwrap();
    assert_eq!(reading.join().unwrap(), 500_000);
    drop(near);
    let recorded = client.recording().unwrap().with_timeout(Duration::ZERO);
    let reading = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        let mut tape = Vec::new();
        disk.read_to_end(&mut tape).unwrap();
        tape
    });
    assert!(client.shutdown(AppCode(0), b"", LONG));
    let written = recorded.end().unwrap();
    let tape = reading.join().unwrap();
    assert_eq!(written, tape.len() as u64);
    assert!(written > 500_000 && trace::replay(&tape).unwrap().is_whole());
}

/// The disk is somebody who reads nothing: who waits for it waits as long as the handle says.
///
/// spec: R-TAPE-18
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_takes_nothing_holds_nobody_up_for_longer_than_the_time_out() {
    let (disk, client) = recorded();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = Endpoint::bind(loopback, generate_key().unwrap()).unwrap().with_timeout(LONG);
    let (near, far) = connect(&client, &server);
    let reading = thread::spawn(move || far.recv_message().unwrap().len());
    near.send_message(vec![7; 500_000].into()).unwrap();
    assert_eq!(reading.join().unwrap(), 500_000, "the transport waits for no disk");
    let short = Duration::from_millis(200);
    let recorded = client.recording().unwrap().with_timeout(short);
    let began = Instant::now();
    assert_eq!(recorded.end().unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!((short..LONG / 2).contains(&began.elapsed()), "{:?}", began.elapsed());
    let began = Instant::now();
    assert!(!client.shutdown(AppCode(0), b"", short), "not all is written");
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    drop(disk);
}

/// What is not delivered is waited for as long as the setting says, whoever does not read it: then
/// the loop and its socket are gone. Who drops the last handle waits for nothing.
///
/// spec: R-CLOSE-12
#[test]
fn what_is_dropped_is_gone_when_its_time_to_deliver_is_over() {
    let (gone, linger) = (Arc::new(AtomicBool::new(false)), Duration::from_millis(500));
    let endpoint = EndpointConfig::new(generate_key().unwrap());
    let endpoint = endpoint.with_transport(TransportConfig::default().with_linger(linger).unwrap());
    let config = Config::from(endpoint).with_socket_io({
        let gone = gone.clone();
        move |io| Lingering(io, gone.clone())
    });
    let loopback = "127.0.0.1:0".parse().unwrap();
    let client = Endpoint::bind(loopback, config).unwrap();
    let server = Endpoint::bind(loopback, generate_key().unwrap()).unwrap();
    let (near, _far) = connect(&client, &server);
    let near = near.with_timeout(Duration::from_millis(300));
    let mut send = near.open_uni(OpenOptions::new(StreamProtocol::name("unread"))).unwrap();
    let full = send.write_all(&vec![7; 64 << 20]).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::TimedOut);
    send.finish().unwrap();
    let began = Instant::now();
    drop((send, near, client));
    assert!(began.elapsed() < linger, "the drop waited for {:?}", began.elapsed());
    while !gone.load(Ordering::SeqCst) {
        assert!(began.elapsed() < LONG, "the loop goes on");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(began.elapsed() >= linger + TO_GO, "gone after {:?}", began.elapsed());
}
