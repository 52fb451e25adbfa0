//! Shadow mode with a bug in the hand-over: what differs is told everywhere, and the application
//! gets what came.

use std::io::Write;
use std::sync::{Arc, Mutex};

use aqueduct_core::planted::Fault;
use aqueduct_driver::Endpoint;
use aqueduct_driver::metrics::prometheus_client::registry::Registry;
use aqueduct_driver::metrics::{EndpointCollector, Format};
use aqueduct_std::{Bytes, EndpointConfig, OpenOptions, StreamId, Streaming, TransportConfig};

use crate::node::{Inlet, LOOPBACK, Link, Node, Outlet, Pair, Std, connect, options, pattern};

/// Where the bug gives another byte.
const BLURRED: usize = 100_000;
const LARGE: usize = 300_000;

fn transport(shadow: bool) -> TransportConfig {
    let streaming = Streaming { streaming_shadow: shadow, ..Streaming::default() };
    TransportConfig::default().with_streaming(streaming).with_fault(Fault::BlurredHandOver)
}

/// Only the server has the bug.
fn pair_at<C: Node, S: Node>(server: S) -> Pair<C, S> {
    let client = C::new();
    let (near, far) = connect(&client, &server);
    Pair { client, server, near, far }
}

fn mismatches(node: &impl AsRef<Endpoint>) -> u64 {
    node.as_ref().figures().messages.streaming_mismatches_total
}

/// What a scrape says.
fn exposed(node: &impl AsRef<Endpoint>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(EndpointCollector::new(node)));
    Format::Prometheus.write(&registry).unwrap()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What `work` gives, and what is logged on its thread meanwhile: a line for each mismatch.
fn logged<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    let log = Log::default();
    let lines = log.clone();
    let subscriber = tracing_subscriber::fmt().with_env_filter("aqueduct_driver=warn");
    let subscriber = subscriber.with_ansi(false).with_writer(move || log.clone()).finish();
    let got = tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let found = text.lines().filter(|line| line.contains("not the same read as a stream"));
    (got, found.map(str::to_owned).collect())
}

/// Sends `len` bytes as a message and gives what comes, with the stream that it came on.
fn by_message<C: Node, S: Node>(pair: &Pair<C, S>, body: &[u8]) -> (Bytes, StreamId) {
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let chunks = body.chunks(10_000).map(<[u8]>::to_vec).collect();
            pair.near.send_chunks(body.len() as u64, chunks).expect("it is large")
        });
        let got = pair.far.recv_message().unwrap();
        // The receiver's verdict is that all is well.
        (got, sending.join().expect("no panic"))
    })
}

/// Sends a body as a stream that is introduced so; `read` reads it.
fn by_stream<C: Node, S: Node, T>(
    pair: &Pair<C, S>,
    options: OpenOptions,
    body: &[u8],
    read: impl FnOnce(<S::Link as Link>::Recv) -> T,
) -> T {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut send = pair.near.open_uni(options);
            send.put(body).unwrap();
            send.finish().unwrap();
            send.delivered().unwrap();
        });
        read(pair.far.accept_uni().unwrap())
    })
}

fn collected(mut recv: impl Inlet) -> (Bytes, StreamId) {
    (recv.all(1 << 20).unwrap(), recv.id())
}

fn in_chunks(mut recv: impl Inlet) -> Vec<u8> {
    let mut got = Vec::new();
    while let Some(chunk) = recv.some(usize::MAX).unwrap() {
        got.extend_from_slice(&chunk);
    }
    got
}

/// Where two bodies of the same length differ.
fn differences(one: &[u8], other: &[u8]) -> Vec<usize> {
    assert_eq!(one.len(), other.len());
    let pairs = one.iter().zip(other).enumerate();
    pairs.filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect()
}

/// A message whose body is blurred, one whose digest is, a stream, and one that begins later.
///
/// spec: R-MODE-12 R-MODE-16 R-MODE-17
pub(crate) fn what_differs_is_told_and_what_came_is_given<C: Node, S: Node>() {
    let pair = pair_at::<C, S>(S::with(transport(true)));
    let mut later = options();
    later.start = 50_000;
    type Way<C, S> = Box<dyn Fn(&Pair<C, S>, &[u8]) -> (Bytes, StreamId)>;
    let message = || -> Way<C, S> { Box::new(by_message) };
    let stream = |options: OpenOptions| -> Way<C, S> {
        Box::new(move |pair, body| by_stream(pair, options.clone(), body, collected))
    };
    let ways = [
        (LARGE, message()),
        (BLURRED - 10, message()),
        (LARGE, stream(options())),
        (LARGE, stream(later)),
    ];
    for ((len, way), found) in ways.into_iter().zip(1..) {
        let body = pattern(len);
        let ((got, id), lines) = logged(|| way(&pair, &body));
        assert!(got == body, "case {found}: the application got something else");
        let [line] = &lines[..] else { panic!("case {found}: {lines:?}") };
        assert!(line.contains(" WARN "), "{line}");
        let words: Vec<_> = line.split([' ', ',']).collect();
        assert!(words.contains(&&*format!("stream={}", id.0)), "case {found}: {line}");
        assert!(words.contains(&&*format!("offset={BLURRED}")), "case {found}: {line}");
        assert_eq!(mismatches(&pair.server), found);
        let sample = format!("\naqueduct_streaming_mismatches_total {found}\n");
        assert!(exposed(&pair.server).contains(&sample), "case {found}");
    }
    let counts = pair.server.as_ref().figures().messages;
    assert_eq!((counts.streamed_received, counts.failed), (2, 0));
}

/// What is read otherwise, or is small, is not compared: readers get what the hand-over gives.
///
/// spec: R-MODE-16
pub(crate) fn what_has_no_whole_is_not_compared<C: Node, S: Node>() {
    let pair = pair_at::<C, S>(S::with(transport(true)));
    let body = pattern(LARGE);
    type Read<R> = fn(R) -> Vec<u8>;
    let ways: [Read<<S::Link as Link>::Recv>; 4] = [
        in_chunks,
        |mut recv| {
            let first = recv.some(10).unwrap().unwrap();
            [&first[..], &recv.all(1 << 20).unwrap()].concat()
        },
        |recv| {
            let fork = recv.fork();
            drop(recv);
            collected(fork).0.into()
        },
        |recv| {
            drop(recv.fork());
            collected(recv).0.into()
        },
    ];
    for read in ways {
        let (got, lines) = logged(|| by_stream(&pair, options(), &body, read));
        assert_eq!(differences(&got, &body), [BLURRED]);
        assert!(lines.is_empty(), "{lines:?}");
    }
    let small = pattern(64 << 10);
    let mut above = options();
    above.start = 90_000;
    let ((got, _), _) = logged(|| by_stream(&pair, above, &small, collected));
    assert_eq!(differences(&got, &small), [BLURRED - 90_000]);
    assert_eq!(mismatches(&pair.server), 0);
}

/// Without a shadow a body has the bug, and a message is refuted by its digest.
///
/// spec: R-MODE-9
pub(crate) fn without_a_shadow_the_bug_is_there<C: Node, S: Node>() {
    let pair = pair_at::<C, S>(S::with(transport(false)));
    let body = pattern(LARGE);
    let (got, _) = by_stream(&pair, options(), &body, collected);
    assert_eq!(differences(&got, &body), [BLURRED]);
    std::thread::scope(|scope| {
        scope.spawn(|| pair.far.recv_message());
        let refuted = pair.near.try_send_chunks(LARGE as u64, vec![body]);
        assert!(refuted.contains("digest"), "{refuted}");
        pair.far.abort(aqueduct_std::AppCode(0), b"");
    });
    let counts = pair.server.as_ref().figures().messages;
    assert_eq!((counts.streaming_mismatches_total, counts.verification_failures), (0, 1));
}

/// This test once more, in a process that has the variable.
///
/// spec: R-MODE-4 R-MODE-12
#[test]
fn the_environment_turns_it_on() {
    const VARIABLE: &str = "AQUEDUCT_STREAMING_SHADOW";
    const NAME: &str = "shadow::the_environment_turns_it_on";
    if std::env::var_os(VARIABLE).is_none() {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let ended = again.args(["--exact", NAME]).env(VARIABLE, "true").output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        return assert!(ended.status.success() && said.contains("1 passed"), "{said}");
    }
    let key = aqueduct_std::generate_key().unwrap();
    let faulty = TransportConfig::default().with_fault(Fault::BlurredHandOver);
    let config = EndpointConfig::new(key).with_transport(faulty);
    let pair = pair_at::<Std, Std>(Std::bind(LOOPBACK.parse().unwrap(), config).unwrap());
    let body = pattern(LARGE);
    assert!(by_message(&pair, &body).0 == body);
    assert_eq!(mismatches(&pair.server), 1);
}
