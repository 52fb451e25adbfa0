//! Pipes that an application makes.

use std::time::Duration;

use aqueduct_tokio::{
    AppCode, Connection, LegEnd, LegIndex, LegPolicy, OpenOptions, PipeOptions, SendStream, Stop,
    StreamCode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{connect, endpoint, pattern, soon, test_options};

/// spec: R-PIPE-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_to_two_others_while_it_comes() {
    let (source, relay, one, two) = (endpoint(), endpoint(), endpoint(), endpoint());
    let (out, inn) = connect(&source, &relay).await;
    let (to_one, at_one) = connect(&relay, &one).await;
    let (to_two, at_two) = connect(&relay, &two).await;
    let text = pattern(8 << 20);

    let mut sending = out.open_uni(test_options()).await.unwrap();
    sending.write_all(&text[..1000]).await.unwrap();
    let mut coming = soon("the stream", inn.accept_uni()).await.unwrap();
    // The relay looks at the first bytes before it decides.
    let mut first = [0; 100];
    coming.read_exact(&mut first).await.unwrap();
    let onward = coming.info().unwrap().forwarded().unwrap();
    let mut legs = Vec::new();
    for to in [&to_one, &to_two] {
        let mut leg = to.open_uni(onward.clone()).await.unwrap();
        leg.write_all(&first).await.unwrap();
        legs.push(leg);
    }
    let pipe = relay.pipe(coming, legs, PipeOptions::default()).await.unwrap();
    assert!(pipe.stats().await.unwrap().held <= 1000);

    let reading = [at_one, at_two].map(|connection| {
        let text = text.clone();
        tokio::spawn(async move {
            let mut stream = connection.accept_uni().await.unwrap();
            let mut read = Vec::new();
            AsyncReadExt::read_to_end(&mut stream, &mut read).await.unwrap();
            assert!(read == text, "{} bytes of {}", read.len(), text.len());
        })
    });
    sending.write_all(&text[1000..]).await.unwrap();
    sending.finish().unwrap();
    for reader in reading {
        soon("both read it", reader).await.unwrap();
    }
    let stats = soon("the pipe's end", pipe.ended()).await.unwrap();
    assert_eq!((stats.held, stats.legs), (0, 0));
    assert_eq!(stats.received, text.len() as u64 - 100);
    for leg in [0, 1] {
        assert_eq!(pipe.leg_ended(LegIndex(leg)).await, Some(LegEnd::Delivered));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_that_is_cancelled_ends_both_ways() {
    let (source, relay, sink) = (endpoint(), endpoint(), endpoint());
    let (out, inn) = connect(&source, &relay).await;
    let (on, at_sink) = connect(&relay, &sink).await;
    let mut sending = out.open_uni(test_options()).await.unwrap();
    sending.write_all(b"more to come").await.unwrap();
    let coming = soon("the stream", inn.accept_uni()).await.unwrap();
    let leg = on.open_uni(coming.info().unwrap().forwarded().unwrap()).await.unwrap();
    let pipe = relay.pipe(coming, vec![leg], PipeOptions::default()).await.unwrap();
    let mut arriving = soon("the leg", at_sink.accept_uni()).await.unwrap();
    let mut read = [0; 12];
    arriving.read_exact(&mut read).await.unwrap();
    pipe.cancel(AppCode(7));
    soon("the reset", arriving.read_exact(&mut read)).await.unwrap_err();
    let stop = soon("the stop", sending.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: AppCode(7), hop: 0 }));
    soon("the end", pipe.ended()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_flows_on_without_its_handle_and_holds_its_connections() {
    let (source, relay, sink) = (endpoint(), endpoint(), endpoint());
    let (out, inn) = connect(&source, &relay).await;
    let (on, at_sink) = connect(&relay, &sink).await;
    let mut sending = out.open_uni(test_options()).await.unwrap();
    sending.write_all(b"first ").await.unwrap();
    let coming = soon("the stream", inn.accept_uni()).await.unwrap();
    let leg = on.open_uni(coming.info().unwrap().forwarded().unwrap()).await.unwrap();
    drop(relay.pipe(coming, vec![leg], PipeOptions::default()).await.unwrap());
    drop((inn, on));
    tokio::time::sleep(Duration::from_millis(100)).await;
    sending.write_all(b"and last").await.unwrap();
    sending.finish().unwrap();
    let mut arriving = soon("the leg", at_sink.accept_uni()).await.unwrap();
    let mut read = Vec::new();
    soon("all of it", AsyncReadExt::read_to_end(&mut arriving, &mut read)).await.unwrap();
    assert_eq!(read, b"first and last");
    // With the pipe its hold on the connections goes.
    soon("the relay lets go", at_sink.closed()).await;
}

/// A leg that its receiver refuses, until nothing is left of it here.
async fn refused_leg(on: &Connection, at_sink: &Connection, like: &OpenOptions) -> SendStream {
    let mut leg = on.open_uni(like.clone()).await.unwrap();
    let before = on.stats().await.streams;
    let mut arriving = soon("the leg", at_sink.accept_uni()).await.unwrap();
    arriving.stop(StreamCode::Refused.app());
    let stop = soon("the stop", leg.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code: StreamCode::Refused.app(), hop: 0 }));
    soon("its end", async {
        while on.stats().await.streams >= before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    leg
}

/// spec: R-PIPE-29 R-PIPE-15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leg_that_was_refused_before_there_was_a_pipe_says_so() {
    let (source, relay, sink) = (endpoint(), endpoint(), endpoint());
    let (out, inn) = connect(&source, &relay).await;
    let (on, at_sink) = connect(&relay, &sink).await;
    let refused = LegEnd::Stopped { code: StreamCode::Refused.app(), hop: 0 };
    for others in [0, 1] {
        let mut sending = out.open_uni(test_options()).await.unwrap();
        sending.write_all(b"for everybody").await.unwrap();
        let coming = soon("the stream", inn.accept_uni()).await.unwrap();
        let onward = coming.info().unwrap().forwarded().unwrap();
        let mut legs = vec![refused_leg(&on, &at_sink, &onward).await];
        if others > 0 {
            legs.push(on.open_uni(onward).await.unwrap());
        }
        let pipe = relay.pipe(coming, legs, PipeOptions::default()).await.unwrap();
        assert_eq!(soon("its end", pipe.leg_ended(LegIndex(0))).await, Some(refused));
        if others > 0 {
            sending.finish().unwrap();
            let mut arriving = soon("the other", at_sink.accept_uni()).await.unwrap();
            let mut read = Vec::new();
            soon("all", AsyncReadExt::read_to_end(&mut arriving, &mut read)).await.unwrap();
            assert_eq!(read, b"for everybody");
            assert_eq!(soon("the end", pipe.leg_ended(LegIndex(1))).await, Some(LegEnd::Delivered));
        } else {
            let stop = soon("a stop", sending.stopped()).await.unwrap();
            assert_eq!(stop, Some(Stop { code: StreamCode::Refused.app(), hop: 1 }));
        }
        soon("the end", pipe.ended()).await.unwrap();
    }
}

/// spec: R-PIPE-29
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leg_that_was_refused_before_it_was_added_says_so() {
    let (source, relay, sink) = (endpoint(), endpoint(), endpoint());
    let (out, inn) = connect(&source, &relay).await;
    let (on, at_sink) = connect(&relay, &sink).await;
    let mut sending = out.open_uni(test_options()).await.unwrap();
    sending.write_all(b"for everybody").await.unwrap();
    let coming = soon("the stream", inn.accept_uni()).await.unwrap();
    let onward = coming.info().unwrap().forwarded().unwrap();
    let late = refused_leg(&on, &at_sink, &onward).await;
    let first = on.open_uni(onward).await.unwrap();
    let pipe = relay.pipe(coming, vec![first], PipeOptions::default()).await.unwrap();
    let late = pipe.add_leg(late, LegPolicy::Stall).await.unwrap();
    let refused = LegEnd::Stopped { code: StreamCode::Refused.app(), hop: 0 };
    assert_eq!(soon("its end", pipe.leg_ended(late)).await, Some(refused));
    sending.finish().unwrap();
    let mut arriving = soon("the other", at_sink.accept_uni()).await.unwrap();
    let mut read = Vec::new();
    soon("all", AsyncReadExt::read_to_end(&mut arriving, &mut read)).await.unwrap();
    assert_eq!(read, b"for everybody");
}
