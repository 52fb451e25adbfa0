//! Memory for messages that are put together from streams.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use aqueduct_tokio::{
    AppCode, Bytes, ChunkSource, Endpoint, Provider, Streaming, StreamingSerialize, TransportConfig,
};

use crate::harness::*;

/// Two pieces of a message, the second of which never comes.
struct Half(Option<Bytes>);

impl ChunkSource for Half {
    fn poll_chunk(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        self.0.take().map_or(Poll::Pending, |half| Poll::Ready(Ok(Some(half))))
    }
}

impl StreamingSerialize for Half {
    type Source = Self;

    fn start_serialize(self) -> (u64, Self) {
        (2_000, self)
    }
}

/// spec: R-MODE-14
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_find_no_room_to_be_put_together_wait_for_others() {
    let streaming = Streaming { streaming_threshold: 1_000, ..Streaming::default() };
    let transport = TransportConfig::default().with_streaming(streaming);
    let transport = transport.with_max_message_size(2_000).unwrap();
    let far = configured(transport, Provider::AwsLc).without_environment();
    let far = Endpoint::bind(loopback(), far).unwrap();
    let transport = TransportConfig::default().with_streaming(streaming);
    let near = configured(transport, Provider::AwsLc).without_environment();
    let near = Endpoint::bind(loopback(), near).unwrap();
    // Four of four connections, of which half comes, are all that there is room for.
    let mut stuck = Vec::new();
    for _ in 0..4 {
        let (out, inn) = connect(&near, &far).await;
        for _ in 0..4 {
            let out = out.clone();
            tokio::spawn(async move { out.send_auto(Half(Some(vec![1; 1_000].into()))).await });
        }
        stuck.push((out, tokio::spawn(async move { inn.recv_message().await })));
    }
    soon("all sixteen", async {
        while far.message_stats().assembly_most < 16 * 2_000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let (out, inn) = connect(&near, &far).await;
    let body = pattern(2_000);
    let sending = tokio::spawn({
        let body = body.clone();
        async move { out.send_auto(body).await }
    });
    let receiving = tokio::spawn(async move { inn.recv_message().await });
    soon("its turn is not yet", async {
        while far.message_stats().assemblies_delayed == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!receiving.is_finished() && !sending.is_finished());
    // What comes whole needs no room of this kind.
    let (other, there) = connect(&near, &far).await;
    other.send_auto(pattern(500)).await.unwrap();
    assert!(soon("a whole one", there.recv_message()).await.unwrap() == pattern(500));
    // One of those before it is given up with its connection.
    let (gone, received) = stuck.pop().unwrap();
    gone.abort(AppCode(0), b"");
    soon("its end", received).await.unwrap().unwrap_err();
    assert!(soon("its turn", receiving).await.unwrap().unwrap() == body);
    soon("the verdict", sending).await.unwrap().unwrap();
    let stats = far.message_stats();
    assert_eq!((stats.assemblies_delayed, stats.assembly_most), (1, 16 * 2_000));
}
