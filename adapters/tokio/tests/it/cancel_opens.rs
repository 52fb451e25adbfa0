//! Calls that open a stream, dropped at each poll while the peer allows no more; and what is left
//! of an endpoint that has stopped.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct_tokio::{Connection, SendStream, TransportConfig};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;

use crate::cancel_rig::{OPENS, call, cut, endpoint, pair};
use crate::harness::*;

/// Streams of each kind that the peer allows at once.
const STREAMS: u32 = 2;

/// Reads every stream that comes to its end, and keeps what was whole.
fn read_all(far: Connection) -> Arc<Mutex<Vec<Vec<u8>>>> {
    let bodies = Arc::<Mutex<Vec<Vec<u8>>>>::default();
    let (kept, uni) = (bodies.clone(), far.clone());
    tokio::spawn(async move {
        while let Ok(mut recv) = uni.accept_uni().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                if let Ok(body) = recv.read_to_end(100).await {
                    kept.lock().unwrap().push(body);
                }
            });
        }
    });
    let kept = bodies.clone();
    tokio::spawn(async move {
        while let Ok((send, mut recv)) = far.accept_bi().await {
            drop(send);
            let kept = kept.clone();
            tokio::spawn(async move {
                if let Ok(body) = recv.read_to_end(100).await {
                    kept.lock().unwrap().push(body);
                }
            });
        }
    });
    bodies
}

async fn say(mut send: SendStream, body: &[u8]) {
    send.write_all(body).await.unwrap();
    send.finish().unwrap();
}

async fn open(near: Connection, both: bool) -> SendStream {
    if both {
        call!(Connection, near => open_bi(test_options())).await.unwrap().0
    } else {
        call!(Connection, near => open_uni(test_options())).await.unwrap()
    }
}

/// An open that was given up while it waited takes no stream along, and none that follows is held
/// up: whatever is said on those arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opens_cut_at_any_poll_take_no_stream_along() {
    let few = || TransportConfig::default().with_max_streams(STREAMS, STREAMS).unwrap();
    let pair = pair_of(endpoint_with(few()), endpoint_with(few())).await;
    let bodies = read_all(pair.far.clone());
    for both in [false, true] {
        let mut cuts = 0;
        for round in 1..100_usize {
            let mut held = Vec::new();
            for _ in 0..STREAMS {
                held.push(soon("a stream", open(pair.near.clone(), both)).await);
            }
            let ending = tokio::spawn(async move {
                for (at, send) in held.into_iter().enumerate() {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    say(send, format!("held {both} {round} {at}").as_bytes()).await;
                }
            });
            let got = soon("a cut", cut(round, open(pair.near.clone(), both))).await;
            let was = got.is_some();
            if let Some(send) = got {
                say(send, format!("cut {both} {round}").as_bytes()).await;
            }
            ending.await.unwrap();
            let last = soon("a stream after the cut", open(pair.near.clone(), both)).await;
            say(last, format!("last {both} {round}").as_bytes()).await;
            let mut expected: Vec<_> =
                (0..STREAMS).map(|at| format!("held {both} {round} {at}")).collect();
            expected.push(format!("last {both} {round}"));
            expected.extend(was.then(|| format!("cut {both} {round}")));
            until("all of it", || {
                let bodies = bodies.lock().unwrap();
                expected.iter().all(|text| bodies.iter().any(|body| body == text.as_bytes()))
            })
            .await;
            if was {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 0, "the peer's limit was not met");
    }
    OPENS.were_cut();
}

/// The driver is a task with one timer in it; when the last handle is gone it ends, whatever waited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_endpoint_leaves_no_task() {
    let before = Handle::current().metrics().num_alive_tasks();
    let pair = pair().await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before + 2, "one for each endpoint");
    let waits = cut(1, pair.far.accept_uni()).await;
    assert!(waits.is_none());
    drop(pair);
    until("the drivers' end", || Handle::current().metrics().num_alive_tasks() == before).await;
    // Nor of one whose dial was given up.
    let client = endpoint();
    let nobody = endpoint().local_addr();
    let id = endpoint().node_id();
    assert!(cut(1, client.connect((id, nobody))).await.is_none());
    drop(client);
    until("the driver's end", || Handle::current().metrics().num_alive_tasks() == before).await;
}
