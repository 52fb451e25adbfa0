//! What a connection says of why it sends no more.

use aqueduct_tokio::SendLimit;
use tokio::io::AsyncWriteExt;

use crate::harness::{pair, soon, test_options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_does_not_read_is_what_limits_and_one_that_does_is_not() {
    let pair = pair().await;
    let limit_is = async |expected| {
        soon("the limit", async {
            while pair.near.stats().await.limited_by != expected {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    limit_is(SendLimit::Application).await;
    let mut sending = pair.near.open_uni(test_options()).await.unwrap();
    let writing = tokio::spawn(async move {
        sending.write_all(&vec![7; 4 << 20]).await.unwrap();
        sending.delivered().await.unwrap();
    });
    let mut arriving = soon("the stream", pair.far.accept_uni()).await.unwrap();
    limit_is(SendLimit::Credit).await;
    soon("all of it", arriving.collect_all(4 << 20)).await.unwrap();
    soon("the end", writing).await.unwrap();
    limit_is(SendLimit::Application).await;
}
