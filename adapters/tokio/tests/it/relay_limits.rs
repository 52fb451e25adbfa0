//! What a relay does for one peer at most.

use std::time::{Duration, Instant};

use aqueduct_tokio::relay::{Allow, RelayConfig, Way};
use aqueduct_tokio::{Connection, Endpoint, OpenOptions, ReadError, Stop, StreamCode, StreamError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{endpoint, pattern, soon, until};
use crate::relay::{echo, hello, is_over, relay, there, to};

fn limited(rate: Option<u64>, max_bytes: Option<u64>) -> RelayConfig {
    let mut config = RelayConfig::new(Allow::Everybody);
    (config.rate, config.max_bytes) = (rate, max_bytes);
    config
}

/// Answers every stream of the first who comes with so many bytes, once it was read.
fn answering(endpoint: &Endpoint, len: usize) {
    let endpoint = endpoint.clone();
    tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().accept().await.unwrap();
        while let Ok((mut send, mut recv)) = connection.accept_bi().await {
            tokio::spawn(async move {
                let mut read = Vec::new();
                AsyncReadExt::read_to_end(&mut recv, &mut read).await.unwrap();
                let _taken = send.write_all(&pattern(len)).await;
                let _gone = send.delivered().await;
            });
        }
    });
}

/// A question through the relay, and how many bytes its answer has.
async fn ask(connection: Connection, options: OpenOptions, len: usize) -> Result<usize, String> {
    let (mut send, mut recv) = connection.open_bi(options).await.unwrap();
    send.write_all(&pattern(len)).await.map_err(|error| error.to_string())?;
    send.finish().unwrap();
    let mut read = Vec::new();
    let end = soon("the answer", AsyncReadExt::read_to_end(&mut recv, &mut read)).await;
    end.map_err(|error| error.to_string())
}

/// spec: R-ROUTE-5 R-PIPE-21
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peers_bytes_are_counted_while_they_come() {
    let (source, sink) = (endpoint(), endpoint());
    let mut config = RelayConfig::new(Allow::Everybody);
    config.max_bytes = Some(1_000_000);
    let (node, told) = relay(config);
    let echoing = echo(&sink, b"");
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let connection = to(&source, &node).await;
    let options = way.introduce(&hello()).unwrap();
    let (mut send, _recv) = connection.open_bi(options.clone()).await.unwrap();
    // The end comes in the middle of it.
    let _taken = send.write_all(&pattern(3 << 20)).await;
    let stop = soon("the end", send.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: StreamCode::Refused.app(), hop: 0 }));
    until("the relay's books", || told.lock().unwrap().iter().any(is_over)).await;
    // And from then on nothing is taken.
    let (mut send, _recv) = connection.open_bi(options).await.unwrap();
    let _taken = send.write_all(b"a word more").await;
    let stop = soon("a refusal", send.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: StreamCode::Refused.app(), hop: 0 }));
    echoing.abort();
}

/// spec: R-ROUTE-5 R-PIPE-22
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peers_rate_is_kept() {
    let (source, sink) = (endpoint(), endpoint());
    let mut config = RelayConfig::new(Allow::Everybody);
    config.rate = Some(2_000_000);
    let (node, _told) = relay(config);
    let echoing = echo(&sink, b"");
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let connection = to(&source, &node).await;
    let (mut send, mut recv) = connection.open_bi(way.introduce(&hello()).unwrap()).await.unwrap();
    let text = pattern(3 << 20);
    let began = Instant::now();
    send.write_all(&text).await.unwrap();
    soon("all of it", send.delivered()).await.unwrap();
    // What the first window holds comes at once.
    let took = began.elapsed();
    let least = (text.len() as f64 - 1.4e6) / 2e6;
    assert!(took.as_secs_f64() > least, "{took:?} for {} bytes", text.len());
    let mut read = Vec::new();
    soon("the answer", AsyncReadExt::read_to_end(&mut recv, &mut read)).await.unwrap();
    assert!(read == text);
    echoing.abort();
}

/// spec: R-ROUTE-5 R-ROUTE-14
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_come_at_the_rate_of_who_asked() {
    let (source, sink) = (endpoint(), endpoint());
    let (node, _told) = relay(limited(Some(1_000_000), None));
    answering(&sink, 4_000_000);
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let connection = to(&source, &node).await;
    let began = Instant::now();
    let answer = ask(connection, way.introduce(&hello()).unwrap(), 100).await;
    assert_eq!(answer, Ok(4_000_000));
    // A window of 1 MiB comes at once, and a burst of a second.
    let took = began.elapsed();
    assert!(took > Duration::from_millis(1500), "{took:?}");
}

/// spec: R-ROUTE-14
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_fit_their_first_windows_keep_the_rate_together() {
    let (source, sink) = (endpoint(), endpoint());
    let (node, _told) = relay(limited(Some(1_000_000), None));
    answering(&sink, 1);
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let connection = to(&source, &node).await;
    let options = OpenOptions { size: Some(300_000), ..way.introduce(&hello()).unwrap() };
    let began = Instant::now();
    let asking: Vec<_> =
        (0..12).map(|_| tokio::spawn(ask(connection.clone(), options.clone(), 300_000))).collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), Ok(1));
    }
    // 3.6 MB, of which those of a second come at once.
    let took = began.elapsed();
    assert!(took > Duration::from_millis(2300), "{took:?}");
}

/// spec: R-ROUTE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_count_for_the_bytes_of_who_asked() {
    let (source, sink) = (endpoint(), endpoint());
    let (node, told) = relay(limited(None, Some(1_000_000)));
    answering(&sink, 600_000);
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let connection = to(&source, &node).await;
    let options = OpenOptions { size: Some(100), ..way.introduce(&hello()).unwrap() };
    let first = ask(connection.clone(), options.clone(), 100).await;
    assert_eq!(first, Ok(600_000));
    let count = || told.lock().unwrap().iter().filter(|event| is_over(event)).count();
    until("the relay's books", || count() == 1).await;
    // Of the second answer there is room for two thirds.
    let (mut send, mut recv) = connection.open_bi(options.clone()).await.unwrap();
    send.write_all(&pattern(100)).await.unwrap();
    send.finish().unwrap();
    let mut read = 0;
    let why = loop {
        match soon("its bytes", recv.read_chunk(usize::MAX)).await {
            Ok(Some(bytes)) => read += bytes.len(),
            Ok(None) => panic!("all of it came"),
            Err(why) => break why,
        }
    };
    assert!(matches!(why, ReadError::Failed(StreamError::Refused { .. })), "{why:?}");
    assert!(read <= 400_000, "{read}");
}
