//! Messages that choose their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aqueduct_tokio::{
    AppCode, AsyncReading, Bytes, Chunks, Connection, Endpoint, Mode, OpenOptions, Provider,
    ReadError, Reading, Received, SendError, Sent, Stop, StreamError, StreamProtocol, Streaming,
    TransportConfig, WriteError,
};

use crate::harness::*;

const LARGE: usize = 300_000;

fn node(streaming: Streaming) -> Endpoint {
    let transport = TransportConfig::default().with_streaming(streaming);
    Endpoint::bind(loopback(), configured(transport, Provider::AwsLc).without_environment())
        .unwrap()
}

async fn pair_with(near: Streaming, far: Streaming) -> Pair {
    pair_of(node(near), node(far)).await
}

async fn default_pair() -> Pair {
    pair_with(Streaming::default(), Streaming::default()).await
}

fn chunks(body: &[u8], each: usize) -> Chunks<std::vec::IntoIter<Bytes>> {
    let all: Vec<_> = body.chunks(each).map(Bytes::copy_from_slice).collect();
    Chunks::new(body.len() as u64, all)
}

/// What comes, read by whichever way.
async fn whatever(connection: &Connection) -> (Bytes, bool) {
    match soon("a message", connection.recv_auto()).await.unwrap() {
        Received::Whole(message) => (message, false),
        Received::Stream(stream) => (soon("its bytes", stream.collect_all()).await.unwrap(), true),
        other => panic!("{other:?}"),
    }
}

/// spec: R-MODE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_without_streaming_gets_all_of_it_whole() {
    for (near, far) in
        [(Streaming::default(), Streaming::OFF), (Streaming::OFF, Streaming::default())]
    {
        let pair = pair_with(near, far).await;
        assert_eq!(pair.near.mode(), Mode::Traditional);
        let body = pattern(LARGE);
        assert_eq!(pair.near.send_auto(chunks(&body, 4096)).await.unwrap(), Sent::Whole);
        let (got, streamed) = whatever(&pair.far).await;
        assert!(got == body && !streamed);
        // Nothing is made of what could not be sent.
        let never = Chunks::new(1 << 40, std::iter::from_fn(|| -> Option<Bytes> { panic!() }));
        let refused = pair.near.send_auto(never).await.unwrap_err();
        let (size, limit) = (1 << 40, 16 << 20);
        assert!(
            matches!(&refused, SendError::TooLarge { size: s, limit: l } if (*s, *l) == (size, limit)),
            "{refused:?}"
        );
    }
}

/// spec: R-MODE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_not_agreed_on_is_refused() {
    let pair = pair_with(Streaming::OFF, Streaming::OFF).await;
    let mut options = OpenOptions::new(StreamProtocol::Number(2));
    options.size = Some(5);
    let (mut send, _recv) = pair.near.open_bi(options).await.unwrap();
    // The refusal may be faster than the body.
    let _written = send.write_bytes(Bytes::from_static(b"hello")).await;
    let stop = soon("a stop", send.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: AppCode((1 << 61) + 6), hop: 0 }));
}

/// spec: R-MODE-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_whole_messages_gets_streamed_ones_put_together() {
    let pair = default_pair().await;
    let bodies: Vec<_> = (0..12).map(|n| pattern(LARGE + n)).collect();
    let mut sending = tokio::task::JoinSet::new();
    for body in &bodies {
        let (near, body) = (pair.near.clone(), body.clone());
        sending.spawn(async move { near.send_auto(body).await });
    }
    let mut sizes = Vec::new();
    for _ in 0..bodies.len() {
        // Calls that are dropped lose nothing.
        let brief = Duration::from_micros(300);
        while tokio::time::timeout(brief, pair.far.recv_message()).await.is_ok_and(|message| {
            let message = message.unwrap();
            assert!(message == bodies[message.len() - LARGE]);
            sizes.push(message.len());
            true
        }) {}
        if sizes.len() == bodies.len() {
            break;
        }
        let message = soon("a message", pair.far.recv_message()).await.unwrap();
        assert!(message == bodies[message.len() - LARGE]);
        sizes.push(message.len());
        if sizes.len() == bodies.len() {
            break;
        }
    }
    sizes.sort_unstable();
    assert_eq!(sizes, (LARGE..LARGE + 12).collect::<Vec<_>>());
    while let Some(sent) = soon("the senders", sending.join_next()).await {
        assert!(matches!(sent.unwrap().unwrap(), Sent::Streamed(_)));
    }
}

/// One that stops half-way holds nobody up, and two who wait both get theirs.
///
/// spec: R-MODE-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_stands_still_holds_no_other_up() {
    let pair = default_pair().await;
    let (_tell, told) = tokio::io::duplex(1 << 10);
    let near = pair.near.clone();
    let stuck = tokio::spawn(async move { near.send_auto(AsyncReading::new(100_000, told)).await });
    let waiting = || {
        let far = pair.far.clone();
        tokio::spawn(async move { far.recv_message().await.unwrap() })
    };
    let (one, other) = (waiting(), waiting());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (small, large) = (pattern(10), pattern(LARGE));
    pair.near.send_auto(small.clone()).await.unwrap();
    soon("the large one", pair.near.send_auto(large.clone())).await.unwrap();
    let one = soon("one", one).await.unwrap();
    let other = soon("the other", other).await.unwrap();
    assert!((one == small && other == large) || (one == large && other == small));
    stuck.abort();
}

/// While one reader has looked, and found a stream behind a whole message, another takes that.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_stream_behind_a_message_that_another_takes_is_not_overlooked() {
    let pair = default_pair().await;
    let (small, large) = (pattern(10), pattern(LARGE / 3));
    for round in 0..1_000 {
        let waiting = || {
            let far = pair.far.clone();
            tokio::spawn(async move { far.recv_message().await.unwrap() })
        };
        let (one, other) = (waiting(), waiting());
        let what = format!("round {round}");
        soon(&what, pair.near.send_auto(small.clone())).await.unwrap();
        soon(&what, pair.near.send_auto(large.clone())).await.unwrap();
        let came = [soon(&what, one).await.unwrap(), soon(&what, other).await.unwrap()];
        assert!(came.iter().any(|one| *one == small) && came.iter().any(|one| *one == large));
    }
}

/// spec: R-MODE-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_lies_about_its_size_is_an_error_at_both_ends() {
    let pair = default_pair().await;
    let body = pattern(LARGE);
    for (announced, given) in [(LARGE - 1, LARGE), (LARGE + 1, LARGE), (70_000, LARGE)] {
        let parts: Vec<_> = body[..given].chunks(1000).map(Bytes::copy_from_slice).collect();
        let source = Chunks::new(announced as u64, parts);
        let reading = async {
            match soon("a message", pair.far.recv_auto()).await.unwrap() {
                Received::Stream(stream) => stream.collect_all().await.unwrap_err(),
                other => panic!("{other:?}"),
            }
        };
        let (sent, got) =
            soon("both ends", async { tokio::join!(pair.near.send_auto(source), reading) }).await;
        let SendError::Stream(StreamError::WrongSize { announced: said, given: found, .. }) =
            sent.unwrap_err()
        else {
            panic!("another error");
        };
        assert_eq!(said, Some(announced as u64));
        assert!(found.is_some() && found != said, "{found:?}");
        assert!(
            matches!(&got, StreamError::WrongSize { announced: a, hop: Some(0), .. } if *a == said),
            "{got:?}"
        );
    }
    // A small one is not sent at all.
    let small = pair.near.send_auto(Chunks::new(4, [Bytes::from_static(b"hello")])).await;
    assert!(matches!(small, Err(SendError::Stream(StreamError::WrongSize { .. }))), "{small:?}");
}

/// A peer that writes the stream by hand. What the reader says, and what the peer hears.
async fn by_hand(
    pair: &Pair,
    size: u64,
    body: &[u8],
) -> (StreamError, Vec<u8>, Option<StreamError>) {
    let mut options = OpenOptions::new(StreamProtocol::Number(2));
    options.size = Some(size);
    let (mut send, mut recv) = pair.near.open_bi(options).await.unwrap();
    send.write_bytes(Bytes::copy_from_slice(body)).await.unwrap();
    let _over = send.finish();
    let error = match soon("a message", pair.far.recv_auto()).await.unwrap() {
        Received::Stream(stream) => soon("its end", stream.collect_all()).await.unwrap_err(),
        other => panic!("{other:?}"),
    };
    let mut verdict = Vec::new();
    let end = loop {
        match soon("a verdict", recv.read_chunk(100)).await {
            Ok(Some(bytes)) => verdict.extend_from_slice(&bytes),
            Ok(None) => break None,
            Err(error) => break Some(error.into()),
        }
    };
    (error, verdict, end)
}

/// spec: R-MODE-8 R-MODE-9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_digest_or_size_by_the_peer_is_found_and_told() {
    let pair = default_pair().await;
    let (body, wrong) = (pattern(1000), [7_u8; 32]);
    let with = |digest: &[u8]| [&body[..], digest].concat();
    let actual: [u8; 32] = blake3::hash(&body).into();
    let (error, verdict, end) = by_hand(&pair, 1000, &with(&wrong)).await;
    let expected =
        StreamError::VerificationFailed { expected: Some(wrong), actual: Some(actual), hop: None };
    assert_eq!(error, expected);
    assert_eq!(verdict, [&[0][..], &actual].concat());
    let hop = Some(0);
    assert_eq!(end, Some(StreamError::VerificationFailed { expected: None, actual: None, hop }));
    let short = |given| StreamError::WrongSize { announced: Some(1000), given, hop: None };
    let told = StreamError::WrongSize { announced: None, given: None, hop };
    let short = |given| (short(given), Vec::new(), Some(told.clone()));
    assert_eq!(by_hand(&pair, 1000, &body[..900]).await, short(Some(868)));
    assert_eq!(by_hand(&pair, 1000, &with(&wrong[..31])).await, short(Some(999)));
    let long = [&with(&wrong)[..], b"and more"].concat();
    let (error, _, end) = by_hand(&pair, 1000, &long).await;
    assert!(matches!(error, StreamError::WrongSize { hop: None, .. }), "{error:?}");
    assert_eq!(end, Some(told));
    let stats = pair.server.message_stats();
    assert_eq!((stats.failed, stats.verification_failures, stats.streamed_received), (4, 1, 0));
    assert_eq!(stats.size_failures, 3);
}

/// spec: R-MODE-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_are_made_as_there_is_room_for_them() {
    const CHUNK: usize = 64 * 1024;
    const COUNT: usize = 1024;
    struct Counted(Vec<u8>, Arc<AtomicUsize>);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_sub(self.0.len(), Ordering::SeqCst);
        }
    }
    let pair = default_pair().await;
    let (alive, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, peak) = (alive.clone(), most.clone());
    let source = (0..COUNT).map(move |n| {
        let now = count.fetch_add(CHUNK, Ordering::SeqCst) + CHUNK;
        peak.fetch_max(now, Ordering::SeqCst);
        Bytes::from_owner(Counted(vec![n as u8; CHUNK], count.clone()))
    });
    let near = pair.near.clone();
    let sending =
        tokio::spawn(
            async move { near.send_auto(Chunks::new((COUNT * CHUNK) as u64, source)).await },
        );
    let Received::Stream(mut stream) = soon("it", pair.far.recv_auto()).await.unwrap() else {
        panic!("not as a stream");
    };
    // Nobody reads: nothing more is made.
    tokio::time::sleep(Duration::from_millis(300)).await;
    println!("{} bytes alive with a reader that waits", alive.load(Ordering::SeqCst));
    let mut got = 0;
    while let Some(chunk) = soon("bytes", stream.read_chunk(usize::MAX)).await.unwrap() {
        assert!(chunk.iter().zip(got..).all(|(byte, at)| *byte == (at / CHUNK) as u8));
        got += chunk.len();
    }
    assert_eq!(got, COUNT * CHUNK);
    soon("the sender", sending).await.unwrap().unwrap();
    let most = most.load(Ordering::SeqCst);
    println!("{most} bytes alive at most");
    assert!(most <= 2 << 20, "{most} bytes alive at once");
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

/// spec: R-MODE-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_are_sources_and_their_failures_are_told() {
    let pair = default_pair().await;
    let body = pattern(LARGE);
    let source = Reading::new(LARGE as u64, std::io::Cursor::new(body.clone()));
    let (sent, (got, _)) = tokio::join!(pair.near.send_auto(source), whatever(&pair.far));
    assert!(sent.is_ok() && got == body);
    let source = AsyncReading::new(LARGE as u64, &body[..]);
    let (sent, (got, _)) = tokio::join!(pair.near.send_auto(source), whatever(&pair.far));
    assert!(sent.is_ok() && got == body);
    let broken = tokio_broken(&body);
    let reading = async {
        match soon("it", pair.far.recv_auto()).await.unwrap() {
            Received::Stream(stream) => stream.collect_all().await.unwrap_err(),
            other => panic!("{other:?}"),
        }
    };
    let (sent, got) = tokio::join!(pair.near.send_auto(broken), reading);
    assert!(matches!(sent, Err(SendError::Source(_))), "{sent:?}");
    assert_eq!(got, StreamError::Cancelled { hop: Some(0) });
}

fn tokio_broken(body: &[u8]) -> Reading<impl std::io::Read + Send + Unpin + '_> {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        }
    }
    Reading::new(LARGE as u64, std::io::Read::chain(&body[..200_000], Broken))
}

/// spec: R-MODE-11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_drops_a_message_says_so() {
    let pair = default_pair().await;
    // The receiver, at once and after a part.
    for part in [false, true] {
        let near = pair.near.clone();
        let sending = tokio::spawn(async move { near.send_auto(pattern(10 << 20)).await });
        let Received::Stream(mut stream) = soon("it", pair.far.recv_auto()).await.unwrap() else {
            panic!("not as a stream");
        };
        if part {
            soon("bytes", stream.read_chunk(100)).await.unwrap();
        }
        drop(stream);
        let error = soon("the sender", sending).await.unwrap().unwrap_err();
        let cancelled = StreamError::Cancelled { hop: Some(0) };
        assert!(matches!(&error, SendError::Stream(e) if *e == cancelled), "{error:?}");
    }
    // The sender.
    let near = pair.near.clone();
    let sending = tokio::spawn(async move { near.send_auto(pattern(10 << 20)).await });
    let Received::Stream(stream) = soon("it", pair.far.recv_auto()).await.unwrap() else {
        panic!("not as a stream");
    };
    sending.abort();
    let error = soon("the end", stream.collect_all()).await.unwrap_err();
    assert_eq!(error, StreamError::Cancelled { hop: Some(0) });
    // The connection.
    let near = pair.near.clone();
    let sending = tokio::spawn(async move { near.send_auto(pattern(10 << 20)).await });
    let Received::Stream(mut stream) = soon("it", pair.far.recv_auto()).await.unwrap() else {
        panic!("not as a stream");
    };
    let first = soon("bytes", stream.read_chunk(usize::MAX)).await.unwrap().unwrap();
    pair.far.abort(AppCode(5), b"");
    let mut received = first.len() as u64;
    let error = loop {
        match soon("the end", stream.read_chunk(usize::MAX)).await {
            Ok(chunk) => received += chunk.unwrap().len() as u64,
            Err(error) => break error,
        }
    };
    let total = Some(10 << 20);
    assert_eq!(error, StreamError::ConnectionLost { received: Some(received), total, hop: None });
    let error = soon("the sender", sending).await.unwrap().unwrap_err();
    assert!(matches!(error, SendError::Stream(StreamError::ConnectionLost { .. })), "{error:?}");
}

/// spec: R-MODE-12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_gives_the_whole_message_and_finds_no_difference() {
    let shadow = Streaming { streaming_shadow: true, ..Streaming::default() };
    let pair = pair_with(Streaming::default(), shadow).await;
    let body = pattern(LARGE);
    let (sent, (got, streamed)) =
        tokio::join!(pair.near.send_auto(body.clone()), whatever(&pair.far));
    assert!(matches!(sent.unwrap(), Sent::Streamed(_)));
    assert!(got == body && !streamed, "the whole-message path is what the application gets");
    let stats = pair.server.message_stats();
    assert_eq!((stats.streamed_received, stats.streaming_mismatches_total), (1, 0));
    // What could not be put together is read as it comes.
    let huge = pattern((16 << 20) + 1);
    let (sent, (got, streamed)) =
        tokio::join!(pair.near.send_auto(huge.clone()), whatever(&pair.far));
    assert!(sent.is_ok() && got == huge && streamed);
}

/// spec: R-STR-43
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_stands_still_is_an_error_at_both_ends() {
    let patience = Some(Duration::from_millis(200));
    let far = TransportConfig::default().with_stream_timeout(patience);
    let pair = pair_of(endpoint(), endpoint_with(far)).await;
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.write_bytes(Bytes::from_static(b"so far")).await.unwrap();
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    assert_eq!(soon("bytes", recv.read_chunk(100)).await.unwrap().unwrap(), "so far");
    let error = soon("an end", recv.read_chunk(100)).await.unwrap_err();
    assert_eq!(error, ReadError::Failed(StreamError::Timeout { hop: None }));
    let error = soon("an end", send.delivered()).await.unwrap_err();
    assert_eq!(error, WriteError::Failed(StreamError::Timeout { hop: Some(0) }));
    // The answer may take its time.
    let (mut ask, mut answer) = pair.far.open_bi(test_options()).await.unwrap();
    ask.write_bytes(Bytes::from_static(b"?")).await.unwrap();
    let (mut reply, _asked) = soon("it", pair.near.accept_bi()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    reply.write_bytes(Bytes::from_static(b"!")).await.unwrap();
    assert_eq!(soon("bytes", answer.read_chunk(100)).await.unwrap().unwrap(), "!");
}
