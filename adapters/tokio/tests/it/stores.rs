//! Relays whose application reads along, and receivers that trust no relay.

use aqueduct_tokio::{
    AppCode, Connection, Endpoint, LegEnd, LegIndex, OpenOptions, Pipe, PipeOptions, ReadError,
    RecvStream, SendStream, StreamError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{connect, endpoint, pattern, soon, test_options};

/// A stream from a source to a relay's application.
struct Chain {
    _nodes: [Endpoint; 2],
    relay: Endpoint,
    sending: SendStream,
    coming: RecvStream,
    /// To the sink, and at the sink.
    on: Connection,
    at_sink: Connection,
    _source: (Connection, Connection),
}

/// What must outlive the pipe: a sink that goes as soon as it has read the end takes with it the
/// acknowledgement by which its relay would learn that it has.
type Kept = (Vec<Endpoint>, Vec<Connection>);

async fn chain(options: OpenOptions, first: &[u8]) -> Chain {
    let (source, relay, sink) = (endpoint(), endpoint(), endpoint());
    let (out, inn) = connect(&source, &relay).await;
    let (on, at_sink) = connect(&relay, &sink).await;
    let mut sending = out.open_uni(options).await.unwrap();
    sending.write_all(first).await.unwrap();
    let coming = soon("the stream", inn.accept_uni()).await.unwrap();
    Chain { _nodes: [source, sink], relay, sending, coming, on, at_sink, _source: (out, inn) }
}

impl Chain {
    /// Pipes it to the sink and reads along.
    async fn store(self) -> (Pipe, RecvStream, RecvStream, SendStream, Kept) {
        let onward = self.coming.info().unwrap().forwarded().unwrap();
        let leg = self.on.open_uni(onward).await.unwrap();
        let options = PipeOptions::default();
        let piped = self.relay.pipe_and_read(self.coming, vec![leg], options).await;
        let (pipe, local) = piped.unwrap();
        let arriving = soon("the leg", self.at_sink.accept_uni()).await.unwrap();
        let (out, inn) = self._source;
        let [source, sink] = self._nodes;
        let kept = (vec![source, sink, self.relay], vec![out, inn, self.on, self.at_sink]);
        (pipe, local, arriving, self.sending, kept)
    }
}

fn digested(text: &[u8]) -> OpenOptions {
    OpenOptions { digest: Some(*blake3::hash(text).as_bytes()), ..test_options() }
}

/// All of it, with the digest looked at.
async fn verify(stream: RecvStream) -> Result<Vec<u8>, StreamError> {
    let mut stream = stream.verified().expect("a digest, and nothing read");
    let mut read = Vec::new();
    while let Some(bytes) = soon("bytes", stream.read_chunk(usize::MAX)).await? {
        read.extend_from_slice(&bytes);
    }
    // The end stays what it was.
    assert_eq!(stream.read_chunk(1).await?, None);
    Ok(read)
}

/// What is skipped at the end of a body is missing where it is read along, too, and crosses.
///
/// spec: R-STR-15 R-PIPE-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_along_has_no_end_of_a_body_whose_tail_is_skipped() {
    let chain = chain(test_options(), b"0123456789").await;
    let (_pipe, mut local, mut arriving, mut sending, _nodes) = chain.store().await;
    sending.skip(10..20).unwrap();
    sending.finish().unwrap();
    for stream in [&mut local, &mut arriving] {
        let mut read = Vec::new();
        let end = loop {
            match soon("bytes", stream.read_chunk(usize::MAX)).await {
                Ok(Some(bytes)) => read.extend_from_slice(&bytes),
                end => break end,
            }
        };
        assert_eq!((read.as_slice(), end), (&b"0123456789"[..], Err(ReadError::Skipped(10..20))));
    }
}

/// spec: R-PIPE-6 R-PIPE-25
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_stores_what_it_forwards() {
    let text = pattern(5 << 20);
    let chain = chain(digested(&text), &text[..10]).await;
    let (pipe, local, arriving, mut sending, _nodes) = chain.store().await;
    let here = tokio::spawn(verify(local));
    let there = tokio::spawn(verify(arriving));
    sending.write_all(&text[10..]).await.unwrap();
    sending.finish().unwrap();
    assert!(soon("the store", here).await.unwrap().unwrap() == text);
    assert!(soon("the sink", there).await.unwrap().unwrap() == text);
    let stats = soon("the pipe's end", pipe.ended()).await.unwrap();
    assert_eq!((stats.held, stats.received), (0, text.len() as u64));
    for leg in [0, 1] {
        assert_eq!(pipe.leg_ended(LegIndex(leg)).await, Some(LegEnd::Delivered));
    }
}

/// spec: R-PIPE-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_read_holds_the_source_and_one_that_leaves_does_not() {
    let text = pattern(8 << 20);
    let chain = chain(test_options(), &text[..10]).await;
    let (pipe, mut local, mut arriving, mut sending, _nodes) = chain.store().await;
    let writing = text.clone();
    let written = tokio::spawn(async move {
        sending.write_all(&writing[10..]).await.unwrap();
        sending.delivered().await.unwrap();
    });
    let mut first = [0; 1000];
    soon("a beginning", local.read_exact(&mut first)).await.unwrap();
    let mut read = vec![0; 100_000];
    soon("what goes on", arriving.read_exact(&mut read)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!written.is_finished());
    let stats = pipe.stats().await.unwrap();
    assert!(stats.held > 0 && stats.held <= stats.window, "{stats:?}");
    assert!(stats.acked <= 1000, "what was not read is kept: {stats:?}");
    drop(local);
    let mut rest = Vec::new();
    soon("the rest", AsyncReadExt::read_to_end(&mut arriving, &mut rest)).await.unwrap();
    assert!(first == text[..1000] && read == text[..100_000] && rest == text[100_000..]);
    soon("all of it", written).await.unwrap();
    soon("the pipe's end", pipe.ended()).await.unwrap();
}

/// spec: R-PIPE-13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_hears_how_the_source_ended() {
    let text = pattern(1000);
    let chain = chain(test_options(), &text).await;
    let (_pipe, mut local, _arriving, mut sending, _nodes) = chain.store().await;
    let mut first = vec![0; 1000];
    soon("a beginning", local.read_exact(&mut first)).await.unwrap();
    sending.reset(AppCode(9));
    let end = soon("the end", local.read_chunk(1)).await;
    assert_eq!(end, Err(ReadError::Reset { code: AppCode(9), hop: 1 }));
}

/// A relay's application may alter what it passes on; its receivers notice.
///
/// spec: R-PIPE-25 R-FIG-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_a_relay_altered_is_found_out() {
    let text = pattern(100_000);
    let mut chain = chain(digested(&text), &text).await;
    chain.sending.finish().unwrap();
    let onward = chain.coming.info().unwrap().forwarded().unwrap();
    assert_eq!(onward.digest, digested(&text).digest);
    let mut altered = soon("the body", chain.coming.read_to_end(1 << 20)).await.unwrap();
    altered[70_000] ^= 1;
    let mut leg = chain.on.open_uni(onward).await.unwrap();
    leg.write_all(&altered).await.unwrap();
    leg.finish().unwrap();
    let arriving = soon("the leg", chain.at_sink.accept_uni()).await.unwrap();
    let (expected, actual) = (Some(*blake3::hash(&text).as_bytes()), digested(&altered).digest);
    let failed = StreamError::VerificationFailed { expected, actual, hop: None };
    let again = arriving.fork();
    let (one, other) = tokio::join!(verify(arriving), verify(again));
    assert_eq!((one, other), (Err(failed.clone()), Err(failed)));
    let found = chain._nodes.map(|node| node.figures().messages.bodies_damaged);
    assert_eq!(found, [0, 1], "by the sink, once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_verified_is_given_back() {
    let chain = chain(test_options(), b"no digest").await;
    let mut plain = chain.coming.verified().expect_err("its introduction names none");
    let mut read = [0; 9];
    soon("its bytes", plain.read_exact(&mut read)).await.unwrap();
    let text = b"a body";
    let mut more = chain._source.0.open_uni(digested(text)).await.unwrap();
    more.write_all(text).await.unwrap();
    more.finish().unwrap();
    let mut begun = soon("the stream", chain._source.1.accept_uni()).await.unwrap();
    soon("a byte", begun.read_u8()).await.unwrap();
    let mut begun = begun.verified().expect_err("a part was read");
    assert_eq!(soon("the rest", begun.collect_all(10)).await.unwrap(), &b" body"[..]);
}
