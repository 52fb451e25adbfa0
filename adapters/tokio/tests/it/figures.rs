//! What endpoints tell of themselves, over real sockets.

use std::time::Duration;

use aqueduct_tokio::{
    AppCode, Bytes, Endpoint, Figures, OpenOptions, PipeOptions, Provider, Received, Sent,
    StreamCode, StreamError, StreamProtocol, Streaming, TransportConfig, generate_key,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

const LARGE: usize = 300_000;

fn errors(figures: &Figures) -> Vec<(StreamCode, u64)> {
    let errors = figures.totals.streams.errors;
    let all = StreamCode::ALL.into_iter().map(|code| (code, errors.of(code)));
    all.filter(|(_, count)| *count > 0).collect()
}

async fn message(pair: &Pair) -> Result<Bytes, StreamError> {
    match soon("a message", pair.far.recv_auto()).await.unwrap() {
        Received::Whole(message) => Ok(message),
        Received::Stream(stream) => soon("its end", stream.collect_all()).await,
        other => panic!("{other:?}"),
    }
}

/// spec: R-FIG-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_counted_by_their_way_and_timed_where_they_arrive() {
    let pair = pair().await;
    for size in [1000, LARGE] {
        let (sent, got) = tokio::join!(pair.near.send_auto(pattern(size)), message(&pair));
        assert_eq!(matches!(sent.unwrap(), Sent::Streamed(_)), size == LARGE);
        assert_eq!(got.unwrap().len(), size);
    }
    let (near, far) = (pair.client.figures(), pair.server.figures());
    assert_eq!((near.messages.whole_sent, near.messages.whole_bytes_sent), (1, 1000));
    assert_eq!(near.messages.streamed_bytes_sent, LARGE as u64);
    assert_eq!((far.messages.whole_received, far.messages.streamed_received), (1, 1));
    assert_eq!((near.first_fragment.count(), near.complete.count()), (0, 0));
    assert_eq!((far.first_fragment.count(), far.complete.count()), (1, 1));
    assert!(far.first_fragment.sum > Duration::ZERO && far.first_fragment.sum <= far.complete.sum);

    // One whose digest is wrong has a first fragment, and is never complete.
    let mut options = OpenOptions::new(StreamProtocol::Number(2));
    options.size = Some(1000);
    let (mut send, _recv) = pair.near.open_bi(options).await.unwrap();
    send.write_bytes(pattern(1032).into()).await.unwrap();
    send.finish().unwrap();
    let error = message(&pair).await.unwrap_err();
    assert!(matches!(error, StreamError::VerificationFailed { .. }), "{error:?}");
    let far = pair.server.figures();
    assert_eq!((far.first_fragment.count(), far.complete.count()), (2, 1));
    assert_eq!(far.messages.verification_failures, 1);
}

/// spec: R-FIG-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_are_errors_by_what_was_said() {
    let pair = pair().await;
    // Refused: one stream, though both of its halves are given up.
    let sending = async { pair.near.send_auto(pattern(LARGE)).await.unwrap_err() };
    let refusing = async {
        match pair.far.recv_auto().await.unwrap() {
            Received::Stream(stream) => stream.refuse(),
            other => panic!("{other:?}"),
        }
    };
    soon("a refusal", async { tokio::join!(sending, refusing) }).await;
    assert_eq!(errors(&pair.client.figures()), [(StreamCode::Refused, 1)]);
    // Given up by an application.
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.write_bytes(Bytes::from_static(b"so far")).await.unwrap();
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    send.reset(AppCode(7));
    soon("a reset", recv.read_to_end(100)).await.unwrap_err();
    let figures = pair.server.figures();
    assert_eq!((errors(&figures), figures.totals.streams.errors.application()), (vec![], 1));
    assert_eq!(pair.client.figures().totals.streams.errors.application(), 0);
    // Closed by an application: no error, whatever is open.
    let _open = pair.near.open_uni(test_options()).await.unwrap();
    pair.near.abort(AppCode(0), b"");
    soon("the end", pair.far.closed()).await;
    assert_eq!(errors(&pair.client.figures()), [(StreamCode::Refused, 1)]);
    assert_eq!(pair.server.figures().endpoint.ended.peer, 1);
}

/// spec: R-FIG-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_stands_still_is_a_time_out_at_both_ends() {
    let patience = Some(Duration::from_millis(200));
    let far = TransportConfig::default().with_stream_timeout(patience);
    let pair = pair_of(endpoint(), endpoint_with(far)).await;
    let mut send = pair.near.open_uni(test_options()).await.unwrap();
    send.write_bytes(Bytes::from_static(b"so far")).await.unwrap();
    let mut recv = soon("a stream", pair.far.accept_uni()).await.unwrap();
    soon("an end", recv.read_to_end(100)).await.unwrap_err();
    soon("an end", send.delivered()).await.unwrap_err();
    for end in [&pair.client, &pair.server] {
        assert_eq!(errors(&end.figures()), [(StreamCode::Timeout, 1)]);
    }
}

/// spec: R-FIG-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_tells_what_it_piped_and_the_most_that_it_held() {
    let (source, relay, sink) = (endpoint(), endpoint(), endpoint());
    let (out, inn) = connect(&source, &relay).await;
    let (on, at_sink) = connect(&relay, &sink).await;
    let text = pattern(2 << 20);
    let mut sending = out.open_uni(test_options()).await.unwrap();
    let body = text.clone();
    let writing = tokio::spawn(async move {
        sending.write_all(&body).await.unwrap();
        sending.delivered().await.unwrap();
    });
    let coming = soon("the stream", inn.accept_uni()).await.unwrap();
    let leg = on.open_uni(coming.info().unwrap().forwarded().unwrap()).await.unwrap();
    let pipe = relay.pipe(coming, vec![leg], PipeOptions::default()).await.unwrap();
    // Nobody reads yet: the sink's window fills, and then the pipe's.
    until("something held", || relay.figures().endpoint.pipe_bytes > 0).await;
    assert_eq!(relay.figures().endpoint.pipes, 1);
    let mut arriving = soon("the leg", at_sink.accept_uni()).await.unwrap();
    let mut read = Vec::new();
    soon("all of it", AsyncReadExt::read_to_end(&mut arriving, &mut read)).await.unwrap();
    assert!(read == text);
    let stats = soon("the pipe's end", pipe.ended()).await.unwrap();
    soon("the writer", writing).await.unwrap();
    let told = relay.figures();
    assert_eq!((told.endpoint.pipes, told.endpoint.pipes_begun), (0, 1));
    assert_eq!((told.endpoint.piped_bytes, told.endpoint.pipe_bytes), (text.len() as u64, 0));
    assert_eq!(told.endpoint.pipe_bytes_max, stats.most_held);
    assert!(told.totals.streams.most_held >= stats.most_held);
    assert!(sink.figures().totals.streams.most_held > 0);
    assert_eq!(told.endpoint.established, 2);
}

/// spec: R-FIG-4
#[test]
fn an_endpoint_that_has_ended_tells_what_was_last() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pair = runtime.block_on(async {
        let pair = pair().await;
        pair.near.send_auto(pattern(LARGE / 10)).await.unwrap();
        message(&pair).await.unwrap();
        pair
    });
    let before = pair.server.figures();
    runtime.shutdown_timeout(Duration::from_secs(20));
    let after = pair.server.figures();
    assert!(before.totals.acks.received > 0 && before.messages.whole_received == 1);
    assert!(after.totals.acks.received >= before.totals.acks.received);
    assert_eq!(after.endpoint.established, 1);
    assert_eq!(after, pair.server.figures());
}

/// A difference cannot be made from outside, so this shows the count where none was found.
///
/// spec: R-MODE-12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_that_finds_nothing_counts_nothing() {
    let shadow = Streaming { streaming_shadow: true, ..Streaming::default() };
    let transport = TransportConfig::default().with_streaming(shadow);
    let config = configured(transport, Provider::AwsLc).without_environment();
    let pair = pair_of(endpoint(), Endpoint::bind(loopback(), config).unwrap()).await;
    let (sent, got) = tokio::join!(pair.near.send_auto(pattern(LARGE)), message(&pair));
    assert!(matches!(sent.unwrap(), Sent::Streamed(_)) && got.unwrap() == pattern(LARGE));
    let told = pair.server.figures();
    assert_eq!((told.messages.streamed_received, told.complete.count()), (1, 1));
    assert_eq!(told.messages.streaming_mismatches_total, 0);
}

/// Figures are asked for from the driver's own thread, while nobody else runs.
#[tokio::test(flavor = "current_thread")]
async fn figures_are_there_on_a_runtime_of_one_thread() {
    let pair = pair().await;
    pair.near.send_auto(pattern(100)).await.unwrap();
    assert!(pair.client.figures().totals.ledger.packets_sent > 0);
    let lone = Endpoint::bind(loopback(), generate_key().unwrap()).unwrap();
    // Its driver has not run once.
    assert_eq!(lone.figures().endpoint.connections, 0);
}

#[cfg(feature = "metrics")]
mod exposed {
    use aqueduct_tokio::metrics::prometheus_client::registry::Registry;
    use aqueduct_tokio::metrics::{EndpointCollector, Format};

    use super::*;

    fn page(collector: EndpointCollector) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(collector));
        Format::Prometheus.write(&registry).unwrap()
    }

    /// spec: R-FIG-9 R-FIG-1
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn endpoints_of_a_process_share_a_page_and_are_told_apart() {
        let pair = pair().await;
        let (sent, got) = tokio::join!(pair.near.send_auto(pattern(LARGE)), message(&pair));
        assert!(sent.is_ok() && got.is_ok());
        let both = EndpointCollector::default().with("near", &pair.client);
        let both = page(both.with("far", &pair.server));
        for (end, direction) in [("near", "sent"), ("far", "received")] {
            let labels = format!(r#"mode="streaming",direction="{direction}",endpoint="{end}""#);
            let messages = format!("aqueduct_streaming_messages_total{{{labels}}} 1\n");
            let bytes = format!("aqueduct_streaming_bytes_total{{{labels}}} {LARGE}\n");
            assert!(both.contains(&messages) && both.contains(&bytes), "{both}");
            let known = format!("aqueduct_connections{{endpoint=\"{end}\"}} 1\n");
            assert!(both.contains(&known), "{both}");
        }
        assert_eq!(both.matches("# TYPE aqueduct_connections gauge\n").count(), 1);

        let far = page(EndpointCollector::new(&pair.server));
        assert!(far.contains("\naqueduct_connections 1\n") && !far.contains("endpoint="), "{far}");
        for (phase, count) in [("first_fragment", 1), ("complete", 1)] {
            let all = format!(
                "aqueduct_streaming_latency_seconds_bucket{{le=\"+Inf\",phase=\"{phase}\"}} {count}"
            );
            assert!(far.contains(&all), "{far}");
        }
        assert!(far.contains("\naqueduct_streaming_mismatches_total 0\n"), "{far}");
        let types = far.lines().filter(|line| line.starts_with("# TYPE ")).count();
        let helps = far.lines().filter(|line| line.starts_with("# HELP ")).count();
        assert_eq!(types, helps);
    }
}
