//! Every async call of the adapter, dropped at its first poll, at its second, and so on until it is
//! ready before: nothing is lost and nothing comes twice.

use std::collections::BTreeSet;
use std::time::Duration;

use aqueduct_tokio::relay::{Allow, RelayConfig, Way};
use aqueduct_tokio::{
    AppCode, Bytes, Chunks, CloseReason, Config, Connection, Delivery, Ending, Endpoint, LegEnd,
    LegIndex, LegPolicy, NodeAddr, OpenOptions, PipeOptions, Priority, Received, Recording,
    RecvStream, SendStream, Stop, StreamProtocol, TapeEnd, generate_key,
};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cancel_rig::*;
use crate::cancel_rig::{endpoint, pair};
use crate::harness::*;

/// Writes `body` in pieces, with a pause before each, and ends the stream.
fn dribble(mut send: SendStream, body: Vec<u8>, pieces: usize) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        for piece in body.chunks(body.len().div_ceil(pieces)) {
            tokio::time::sleep(Duration::from_millis(3)).await;
            send.write_all(piece).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
        send.finish().unwrap();
    })
}

/// A stream on which `body` comes in pieces.
async fn coming(pair: &Pair, body: &[u8], pieces: usize) -> RecvStream {
    let mut options = test_options();
    options.digest = Some(*blake3::hash(body).as_bytes());
    let mut send = pair.near.open_uni(options).await.unwrap();
    // The stream is there before anything of its body is.
    send.flush().await.unwrap();
    dribble(send, body.to_vec(), pieces);
    pair.far.accept_uni().await.unwrap()
}

const PIECES: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_cut_at_any_poll_leave_the_rest_where_it_was() {
    let (pair, body) = (pair().await, pattern(20_000));
    let whole = async |recv: &mut RecvStream| {
        assert!(recv.collect_all(body.len()).await.unwrap() == body[..]);
    };
    let rounds = READS.at_each_poll("collect_all", async |polls| {
        let mut recv = coming(&pair, &body, PIECES).await;
        let done = cut(polls, call!(RecvStream, recv => collect_all(body.len()))).await;
        match &done {
            Some(all) => assert!(all.as_ref().unwrap() == &body[..]),
            None => whole(&mut recv).await,
        }
        done.is_some()
    });
    rounds.await;
    let rounds = READS.at_each_poll("read_to_end", async |polls| {
        let mut recv = coming(&pair, &body, PIECES).await;
        let done = cut(polls, call!(RecvStream, recv => read_to_end(body.len()))).await;
        match &done {
            Some(all) => assert!(all.as_ref().unwrap() == &body),
            None => whole(&mut recv).await,
        }
        done.is_some()
    });
    rounds.await;
    let rounds = READS.at_each_poll("peek", async |polls| {
        let mut recv = coming(&pair, &body, PIECES).await;
        let done = cut(polls, call!(RecvStream, recv => peek(15_000))).await;
        if let Some(head) = &done {
            assert!(head.as_ref().unwrap() == &body[..15_000]);
        }
        whole(&mut recv).await;
        done.is_some()
    });
    rounds.await;
    READS.were_cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_of_reads_cut_at_any_poll_go_on_where_they_were() {
    let (pair, body) = (pair().await, pattern(20_000));
    let rounds = LOOPS_OF_READS.at_each_poll("read_chunk", async |polls| {
        let (mut recv, mut got) = (coming(&pair, &body, PIECES).await, Vec::new());
        let mut reading = async || {
            while let Some(chunk) = call!(RecvStream, recv => read_chunk(3_000)).await.unwrap() {
                got.extend_from_slice(&chunk);
            }
        };
        let done = cut(polls, reading()).await.is_some();
        reading().await;
        assert!(got == body);
        done
    });
    rounds.await;
    let rounds = LOOPS_OF_READS.at_each_poll("read", async |polls| {
        let (mut recv, mut got) = (coming(&pair, &body, PIECES).await, Vec::new());
        let mut reading = async || {
            let mut buf = [0; 1_000];
            loop {
                match call!(RecvStream, recv => read(&mut buf)).await.unwrap() {
                    0 => break,
                    count => got.extend_from_slice(&buf[..count]),
                }
            }
        };
        let done = cut(polls, reading()).await.is_some();
        reading().await;
        assert!(got == body);
        done
    });
    rounds.await;
    let rounds = LOOPS_OF_READS.at_each_poll("next", async |polls| {
        let (mut recv, mut got) = (coming(&pair, &body, PIECES).await, Vec::new());
        let mut reading = async || {
            while let Some(chunk) = call!(RecvStream, recv => next()).await {
                got.extend_from_slice(&chunk.unwrap());
            }
        };
        let done = cut(polls, reading()).await.is_some();
        reading().await;
        assert!(got == body);
        done
    });
    rounds.await;
    let rounds = LOOPS_OF_READS.at_each_poll("read_chunk, verified", async |polls| {
        let recv = coming(&pair, &body, PIECES).await;
        let (mut recv, mut got) = (recv.verified().unwrap(), Vec::new());
        let mut reading = async || {
            while let Some(chunk) = call!(VerifiedStream, recv => read_chunk(3_000)).await.unwrap()
            {
                got.extend_from_slice(&chunk);
            }
        };
        let done = cut(polls, reading()).await.is_some();
        reading().await;
        assert!(got == body);
        done
    });
    rounds.await;
    LOOPS_OF_READS.were_cut();
}

/// A stream whose reader reads slowly, so that writes have to wait.
async fn going(pair: &Pair) -> (SendStream, tokio::task::JoinHandle<Vec<u8>>) {
    let send = pair.near.open_uni(test_options()).await.unwrap();
    let far = pair.far.clone();
    let reading = tokio::spawn(async move {
        let (mut recv, mut got) = (far.accept_uni().await.unwrap(), Vec::new());
        while let Some(chunk) = recv.read_chunk(100_000).await.unwrap() {
            got.extend_from_slice(&chunk);
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        got
    });
    (send, reading)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_cut_at_any_poll_took_what_they_said() {
    let (pair, body) = (pair().await, Bytes::from(pattern(2 << 20)));
    let rounds = WRITES.at_each_poll("write_bytes", async |polls| {
        let ((mut send, reading), mut rest) = (going(&pair).await, body.clone());
        let mut writing = async || {
            while !rest.is_empty() {
                let part = rest.slice(..rest.len().min(700_000));
                call!(SendStream, send => write_bytes(part.clone())).await.unwrap();
                let _written = rest.split_to(part.len());
            }
        };
        let done = cut(polls, writing()).await.is_some();
        writing().await;
        send.finish().unwrap();
        assert!(reading.await.unwrap() == body);
        done
    });
    rounds.await;
    let rounds = WRITES.at_each_poll("write_at", async |polls| {
        let (mut send, reading) = going(&pair).await;
        // The last first: of two parts the second goes before what fills its gap.
        let mut parts = [4, 2, 3, 0, 1].map(|at| at * 500_000).to_vec();
        let mut writing = async || {
            while let Some(&at) = parts.last() {
                let part = body.slice(at..body.len().min(at + 500_000));
                call!(SendStream, send => write_at(at as u64, part)).await.unwrap();
                parts.pop();
            }
        };
        let done = cut(polls, writing()).await.is_some();
        writing().await;
        send.finish().unwrap();
        assert!(reading.await.unwrap() == body);
        done
    });
    rounds.await;
    let rounds = WRITES.at_each_poll("write", async |polls| {
        let ((mut send, reading), mut rest) = (going(&pair).await, body.clone());
        let mut writing = async || {
            while !rest.is_empty() {
                let taken = call!(SendStream, send => write(&rest)).await.unwrap();
                let _written = rest.split_to(taken);
            }
            send.shutdown().await.unwrap();
        };
        let done = cut(polls, writing()).await.is_some();
        writing().await;
        assert!(reading.await.unwrap() == body);
        done
    });
    rounds.await;
    WRITES.were_cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_for_ends_cut_at_any_poll_still_hear_of_them() {
    let pair = pair().await;
    let rounds = ENDS.at_each_poll("delivered", async |polls| {
        let (mut send, reading) = going(&pair).await;
        send.write_all(&pattern(100_000)).await.unwrap();
        let done = cut(polls, call!(SendStream, send => delivered())).await;
        send.delivered().await.unwrap();
        assert!(reading.await.unwrap() == pattern(100_000));
        done.is_some()
    });
    rounds.await;
    let rounds = ENDS.at_each_poll("stopped", async |polls| {
        let mut send = pair.near.open_uni(test_options()).await.unwrap();
        send.write_all(b"?").await.unwrap();
        let mut recv = pair.far.accept_uni().await.unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            recv.stop(AppCode(9));
        });
        let done = cut(polls, call!(SendStream, send => stopped())).await;
        assert_eq!(send.stopped().await.unwrap(), Some(Stop { code: AppCode(9), hop: 0 }));
        done.is_some()
    });
    rounds.await;
    let rounds = ENDS.at_each_poll("closed, wait_idle", async |polls| {
        let (client, server) = (endpoint(), endpoint());
        let (near, far) = connect(&client, &server).await;
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            far.close(AppCode(5), b"over");
        });
        let closed = cut(polls, call!(Connection, near => closed())).await;
        let idle = cut(polls, call!(Endpoint, client => wait_idle())).await;
        assert!(matches!(near.closed().await, CloseReason::Peer { code: AppCode(5), .. }));
        client.wait_idle().await;
        closed.is_some() && idle.is_some()
    });
    rounds.await;
    ENDS.were_cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepts_cut_at_any_poll_lose_no_stream() {
    let pair = pair().await;
    let later = |number: usize, both: bool| {
        let near = pair.near.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            let head = test_options().with_head(number.to_string());
            if both {
                let (mut send, recv) = near.open_bi(head).await.unwrap();
                send.finish().unwrap();
                (Some(send), Some(recv))
            } else {
                let mut send = near.open_uni(head).await.unwrap();
                send.finish().unwrap();
                (Some(send), None)
            }
        })
    };
    let is = |recv: &RecvStream, number: usize| {
        assert_eq!(recv.info().unwrap().head, number.to_string());
    };
    let rounds = ACCEPTS.at_each_poll("accept_bi", async |polls| {
        let opened = later(polls, true);
        let done = cut(polls, call!(Connection, pair.far => accept_bi())).await;
        let was = done.is_some();
        let stream = match done {
            Some(stream) => stream,
            None => pair.far.accept_bi().await,
        };
        // Not dropped before its opener has said all.
        let stream = stream.unwrap();
        is(&stream.1, polls);
        drop(opened.await.unwrap());
        was
    });
    rounds.await;
    let rounds = ACCEPTS.at_each_poll("accept_uni", async |polls| {
        let opened = later(polls, false);
        let done = cut(polls, call!(Connection, pair.far => accept_uni())).await;
        let was = done.is_some();
        let stream = match done {
            Some(stream) => stream,
            None => pair.far.accept_uni().await,
        };
        let stream = stream.unwrap();
        is(&stream, polls);
        drop(opened.await.unwrap());
        was
    });
    rounds.await;
    let rounds = ACCEPTS.at_each_poll("accept_stream", async |polls| {
        let opened = later(polls, !polls.is_multiple_of(2));
        let done = cut(polls, call!(Connection, pair.far => accept_stream())).await;
        let was = done.is_some();
        let stream = match done {
            Some(stream) => stream,
            None => pair.far.accept_stream().await,
        };
        is(&stream.unwrap().1, polls);
        drop(opened.await.unwrap());
        was
    });
    rounds.await;
    // Nothing is left over that came twice.
    assert!(cut(1, call!(Connection, pair.far => accept_stream())).await.is_none());
    ACCEPTS.were_cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_cut_at_any_poll_arrive_whole_or_not_at_all() {
    const EACH: usize = 60;
    let (pair, text) = (pair().await, Bytes::from(pattern(60_000)));
    // Its length says which one it is.
    let message = |number: usize| text.slice(..30_000 + number);
    let (mut next, mut came) = (0, BTreeSet::new());
    let rounds = SENDS.at_each_poll("send_message", async |polls| {
        let (first, mut sent) = (next, BTreeSet::new());
        next += EACH + 1;
        for number in first..first + EACH {
            let (near, text) = (&pair.near, message(number));
            let urgent = Delivery::new().priority(Priority::Urgent);
            let done = match number % 2 {
                0 => cut(polls, call!(Connection, near => send_message(text))).await,
                _ => cut(polls, call!(Connection, near => send_message_with(text, urgent))).await,
            };
            if done.is_some() {
                sent.insert(number);
            }
        }
        let all = sent.len() == EACH;
        pair.near.send_message(message(first + EACH)).await.unwrap();
        sent.insert(first + EACH);
        while !sent.is_subset(&came) {
            let one = pair.far.recv_message().await.unwrap();
            let number = one.len() - 30_000;
            assert!(one == message(number));
            assert!(came.insert(number), "message {number} came twice");
        }
        all
    });
    rounds.await;
    SENDS.were_cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_for_a_message_cut_at_any_poll_leave_it_there() {
    let pair = pair().await;
    let rounds = MESSAGES.at_each_poll("recv_message", async |polls| {
        let near = pair.near.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            near.send_message(Bytes::from(pattern(polls))).await.unwrap();
        });
        let done = cut(polls, call!(Connection, pair.far => recv_message())).await;
        let was = done.is_some();
        let got = match done {
            Some(got) => got,
            None => pair.far.recv_message().await,
        };
        assert!(got.unwrap() == pattern(polls));
        was
    });
    rounds.await;
    MESSAGES.were_cut();
}

/// What comes next, read to its end.
async fn auto(connection: &Connection) -> Option<Vec<u8>> {
    match connection.recv_auto().await.unwrap() {
        Received::Whole(message) => Some(message.into()),
        Received::Stream(stream) => stream.collect_all().await.ok().map(Into::into),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streamed_messages_cut_at_any_poll_are_whole_or_given_up() {
    let (pair, body) = (pair().await, pattern(300_000));
    let chunks = || {
        let parts: Vec<_> = body.chunks(30_000).map(<[u8]>::to_vec).collect();
        Chunks::new(body.len() as u64, parts.into_iter())
    };
    let rounds = STREAMED.at_each_poll("send_auto", async |polls| {
        let far = pair.far.clone();
        let reading = tokio::spawn(async move {
            let mut all = Vec::<u8>::new();
            loop {
                match auto(&far).await {
                    Some(marker) if marker == b"marker" => return all,
                    other => all.extend(other.into_iter().flatten()),
                }
            }
        });
        let done = cut(polls, call!(Connection, pair.near => send_auto(chunks()))).await;
        pair.near.send_message(Bytes::from_static(b"marker")).await.unwrap();
        let got = reading.await.unwrap();
        match &done {
            Some(sent) => {
                sent.as_ref().unwrap();
                assert!(got == body);
            }
            // Cancelled: all of it may have been there already, but never a part of it.
            None => assert!(got.is_empty() || got == body),
        }
        done.is_some()
    });
    rounds.await;
    let rounds = STREAMED.at_each_poll("recv_auto", async |polls| {
        let near = pair.near.clone();
        let parts = chunks();
        let sending = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            near.send_auto(parts).await.map(drop)
        });
        let done = cut(polls, call!(Connection, pair.far => recv_auto())).await;
        let was = done.is_some();
        let came = match done {
            Some(came) => came,
            None => pair.far.recv_auto().await,
        };
        let Received::Stream(mut stream) = came.unwrap() else { panic!("it is large") };
        let mut got = Vec::new();
        // Reading it is cut as well, at the same polls.
        let mut reading = async || {
            while let Some(chunk) =
                call!(MessageStream, stream => read_chunk(10_000)).await.unwrap()
            {
                got.extend_from_slice(&chunk);
            }
        };
        let read = cut(polls, reading()).await.is_some();
        reading().await;
        assert!(got == body);
        sending.await.unwrap().unwrap();
        was && read
    });
    rounds.await;
    // `collect_all` of a message says that dropping it gives the message up: the sender hears of it, and goes on.
    let rounds = COLLECTS.at_each_poll("collect_all of a message", async |polls| {
        let near = pair.near.clone();
        let parts = chunks();
        let sending = tokio::spawn(async move { near.send_auto(parts).await.map(drop) });
        let Received::Stream(stream) = pair.far.recv_auto().await.unwrap() else { panic!() };
        let done = cut(polls, call!(MessageStream, stream => collect_all())).await;
        let sent = sending.await.unwrap();
        match &done {
            Some(all) => assert!(sent.is_ok() && all.as_ref().unwrap() == &body[..]),
            None => assert!(sent.is_err()),
        }
        done.is_some()
    });
    rounds.await;
    pair.near.send_message(Bytes::from_static(b"still here")).await.unwrap();
    assert_eq!(auto(&pair.far).await.unwrap(), b"still here");
    STREAMED.were_cut();
    COLLECTS.were_cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_cut_at_any_poll_were_not_queued_or_not_taken() {
    let pair = pair().await;
    let datagram = |number: u32| Bytes::from([&number.to_be_bytes()[..], &[7; 996]].concat());
    let (mut number, mut not_queued, mut came) = (0, BTreeSet::new(), BTreeSet::new());
    let take = |one: Bytes| u32::from_be_bytes(*one.first_chunk().unwrap());
    let rounds = DATAGRAMS.at_each_poll("send_datagram_wait", async |polls| {
        let mut all = true;
        for _ in 0..1_000 {
            number += 1;
            if cut(polls, call!(Connection, pair.near => send_datagram_wait(datagram(number))))
                .await
                .is_none()
            {
                not_queued.insert(number);
                all = false;
            }
        }
        while let Ok(one) =
            tokio::time::timeout(Duration::from_millis(50), pair.far.read_datagram()).await
        {
            assert!(came.insert(take(one.unwrap())), "a datagram came twice");
        }
        all
    });
    rounds.await;
    assert!(came.len() > 100 && came.is_disjoint(&not_queued));
    let rounds = DATAGRAMS.at_each_poll("read_datagram", async |polls| {
        let near = pair.near.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            near.send_datagram(Bytes::from(polls.to_string())).unwrap();
        });
        let done = cut(polls, call!(Connection, pair.far => read_datagram())).await;
        let was = done.is_some();
        let got = match done {
            Some(got) => got,
            None => pair.far.read_datagram().await,
        };
        assert_eq!(got.unwrap(), polls.to_string());
        was
    });
    rounds.await;
    DATAGRAMS.were_cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_cut_at_any_poll_can_be_asked_again() {
    let pair = pair().await;
    let rounds = QUESTIONS.at_each_poll("stats, bandwidth, a key", async |polls| {
        let stats = cut(polls, call!(Connection, pair.near => stats())).await;
        let whole = cut(polls, call!(Endpoint, pair.client => stats())).await;
        let bytes = cut(polls, call!(Endpoint, pair.client => bandwidth(None))).await;
        let key =
            cut(polls, call!(Connection, pair.near => export_keying_material(b"l", b"c", 32)))
                .await;
        assert_eq!(pair.client.stats().await.connections, 1);
        assert!(pair.near.stats().await.congestion_window > 0);
        assert!(pair.client.bandwidth(None).await.sent_in_all() > 0);
        let other = pair.far.export_keying_material(b"l", b"c", 32).await.unwrap();
        assert_eq!(pair.near.export_keying_material(b"l", b"c", 32).await.unwrap(), other);
        stats.is_some() && whole.is_some() && bytes.is_some() && key.is_some()
    });
    rounds.await;
    QUESTIONS.were_cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_cut_at_any_poll_are_given_up() {
    let (client, server) = (endpoint(), endpoint());
    let to = || (server.node_id(), server.local_addr());
    // The dialer gives up; then the one who was dialed.
    let rounds = HANDSHAKES.at_each_poll("connect", async |polls| {
        let accepting = server.clone();
        let accepting = tokio::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                drop(incoming.accept().await);
            }
        });
        let done = cut(polls, call!(Endpoint, client => connect(to()))).await;
        let was = done.is_some();
        drop(done);
        client.wait_idle().await;
        accepting.abort();
        was
    });
    rounds.await;
    let rounds = HANDSHAKES.at_each_poll("accept, both of them", async |polls| {
        let (dialer, to) = (client.clone(), to());
        let dialing = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            dialer.connect(to).await
        });
        let first = cut(polls, call!(Endpoint, server => accept())).await;
        let was = first.is_some();
        let incoming = match first {
            Some(incoming) => incoming,
            None => server.accept().await,
        };
        let incoming = incoming.unwrap();
        let done = cut(polls, call!(Incoming, incoming => accept())).await.is_some();
        // Who was let in and let go hears of it, one way or the other.
        if let Ok(connection) = dialing.await.unwrap() {
            connection.closed().await;
        }
        server.wait_idle().await;
        was && done
    });
    rounds.await;
    let speaking = async {
        let near = client.connect(to()).await.unwrap();
        near.send_message(Bytes::from_static(b"as ever")).await.unwrap();
        near
    };
    let talk = async { tokio::join!(first_that_speaks(&server), speaking) };
    let (said, _near) = soon("who comes, behind those who gave up", talk).await;
    assert_eq!(said, "as ever");
    HANDSHAKES.were_cut();
}

/// What the first says who is really there. On a busy machine offers of dialers who have given up
/// wait, too: each has a task of its own, as one that hears nothing of its dialer takes ten seconds.
async fn first_that_speaks(server: &Endpoint) -> Bytes {
    let mut taken = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            incoming = server.accept() => {
                let incoming = incoming.unwrap();
                taken.spawn(async { incoming.accept().await.ok()?.recv_message().await.ok() });
            }
            Some(said) = taken.join_next() => {
                if let Some(said) = said.unwrap() {
                    return said;
                }
            }
        }
    }
}

/// The stream whose introduction has this head; those of earlier rounds are passed over.
async fn with_head(connection: &Connection, head: &str) -> RecvStream {
    loop {
        let stream = connection.accept_uni().await.unwrap();
        if stream.info().unwrap().head == head {
            return stream;
        }
    }
}

/// What came on the stream with this head. A leg that was given up before anything of it went out
/// is never heard of: nothing for so long is `None`.
async fn body_of(connection: &Connection, head: &str) -> Option<Bytes> {
    let stream = with_head(connection, head);
    let mut stream = tokio::time::timeout(Duration::from_millis(400), stream).await.ok()?;
    stream.collect_all(100).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipes_cut_at_any_poll_flow_or_end_on_both_sides() {
    let (source, relay, sink) = (endpoint(), endpoint(), endpoint());
    let (out, inn) = connect(&source, &relay).await;
    let (on, at) = connect(&relay, &sink).await;
    for reading in [false, true] {
        let rounds = PIPES.at_each_poll("pipe, pipe_and_read", async |polls| {
            let head = format!("{reading} {polls}");
            let mut sending = out.open_uni(test_options().with_head(head.clone())).await.unwrap();
            sending.write_all(b"first").await.unwrap();
            let coming = with_head(&inn, &head).await;
            let leg = on.open_uni(coming.info().unwrap().forwarded().unwrap()).await.unwrap();
            let options = PipeOptions::default();
            let done = if reading {
                let made =
                    cut(polls, call!(Endpoint, relay => pipe_and_read(coming, vec![leg], options)))
                        .await;
                made.map(|made| made.unwrap().0)
            } else {
                cut(polls, call!(Endpoint, relay => pipe(coming, vec![leg], options)))
                    .await
                    .map(Result::unwrap)
            };
            // With a pipe all arrives. Without, the source is stopped and the leg is reset; if the
            // pipe was there already when its future was dropped, it may be either.
            let written = sending.write_all(b" second").await;
            let finished = sending.delivered().await;
            let read = body_of(&at, &head).await;
            let flowed = read.as_ref().is_some_and(|all| all == "first second");
            assert!(flowed || read.is_none(), "a part for the whole");
            if let Some(pipe) = &done {
                assert!(flowed && written.is_ok() && finished.is_ok());
                pipe.ended().await.unwrap();
            }
            done.is_some()
        });
        rounds.await;
    }
    until_idle(&out, &on).await;
    PIPES.were_cut();
}

async fn until_idle(out: &Connection, on: &Connection) {
    soon("no stream left", async {
        while out.stats().await.streams + on.stats().await.streams > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_of_a_pipe_cut_at_any_poll_can_be_asked_again() {
    let (source, relay, sink) = (endpoint(), endpoint(), endpoint());
    let (out, inn) = connect(&source, &relay).await;
    let (on, at) = connect(&relay, &sink).await;
    let rounds = OF_PIPES.at_each_poll("stats, leg, ends of a pipe", async |polls| {
        let [first, second] = ["first", "second"].map(|leg| format!("{leg} {polls}"));
        let mut sending = out.open_uni(test_options().with_head(first.clone())).await.unwrap();
        sending.write_all(b"all of it").await.unwrap();
        let coming = with_head(&inn, &first).await;
        let onward = coming.info().unwrap().forwarded().unwrap();
        let leg = on.open_uni(onward.clone()).await.unwrap();
        let options = PipeOptions { keep: 1_000, ..PipeOptions::default() };
        let pipe = relay.pipe(coming, vec![leg], options).await.unwrap();
        let stats = cut(polls, call!(Pipe, pipe => stats())).await;
        while pipe.stats().await.unwrap().received < 9 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let late = on.open_uni(onward.with_head(second.clone())).await.unwrap();
        let added = cut(polls, call!(Pipe, pipe => add_leg(late, LegPolicy::Stall))).await;
        let (far, heads) = (at.clone(), [first, second]);
        let reading = tokio::spawn(async move {
            let all = body_of(&far, &heads[0]).await;
            (all, body_of(&far, &heads[1]).await)
        });
        tokio::time::sleep(Duration::from_millis(3)).await;
        sending.finish().unwrap();
        let leg = cut(polls, call!(Pipe, pipe => leg_ended(LegIndex(0)))).await;
        let ended = cut(polls, call!(Pipe, pipe => ended())).await;
        assert_eq!(pipe.leg_ended(LegIndex(0)).await, Some(LegEnd::Delivered));
        assert_eq!(pipe.ended().await.unwrap().received, 9);
        // A leg whose adding was cut is there or given up, never in between.
        let (all, late) = reading.await.unwrap();
        assert_eq!(all.unwrap(), "all of it");
        match (&added, late) {
            (Some(added), late) => assert!(added.is_ok() && late.unwrap() == "all of it"),
            (None, late) => assert!(late.is_none_or(|late| late == "all of it")),
        }
        stats.is_some() && added.is_some() && leg.is_some() && ended.is_some()
    });
    rounds.await;
    until_idle(&out, &on).await;
    OF_PIPES.were_cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_cut_at_any_poll_can_be_asked_for_again() {
    let (source, relay, sink) = (endpoint(), endpoint(), endpoint());
    let mut config = RelayConfig::new(Allow::Everybody);
    config.pipes.keep = 1 << 20;
    relay.relay(config, |_| ());
    let accepting = relay.clone();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Some(incoming) = accepting.accept().await {
            kept.extend(incoming.accept().await);
        }
    });
    let there = |of: &Endpoint| NodeAddr::from((of.node_id(), of.local_addr()));
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    let out = source.connect(there(&relay)).await.unwrap();
    let hello = OpenOptions::new(StreamProtocol::name("hello"));
    let mut sending = out.open_uni(way.introduce(&hello).unwrap()).await.unwrap();
    let body = pattern(200_000);
    sending.write_all(&body).await.unwrap();
    let inn = soon("the relay", sink.accept()).await.unwrap().accept().await.unwrap();
    let mut leg = soon("the leg", inn.accept_uni()).await.unwrap();
    let mut all = vec![0; body.len()];
    leg.read_exact(&mut all).await.unwrap();
    assert!(all == body);
    let rounds = RANGES.at_each_poll("request_range", async |polls| {
        let ask = || call!(Connection, inn => request_range(leg.id(), 1_000, Some(150_000)));
        let done = cut(polls, ask()).await;
        let was = done.is_some();
        let part = match done {
            Some(part) => part,
            None => ask().await,
        };
        let mut part = part.unwrap();
        assert!(part.collect_all(body.len()).await.unwrap() == body[1_000..150_000]);
        was
    });
    rounds.await;
    sending.finish().unwrap();
    RANGES.were_cut();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_for_a_tape_cut_at_any_poll_still_hear_of_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let rounds = TAPES.at_each_poll("closed and end of a tape", async |polls| {
        let file = folder.path().join(polls.to_string());
        let config = Config::new(generate_key().unwrap()).with_recording(Recording::to(&file));
        let node = Endpoint::bind(loopback(), config).unwrap();
        let (near, far) = connect(&node, &endpoint()).await;
        near.send_message(pattern(50_000).into()).await.unwrap();
        assert!(far.recv_message().await.unwrap() == pattern(50_000));
        let tape = node.recording().unwrap();
        let ender = tape.clone();
        let ending = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            cut(polls, call!(Recorded, ender => end())).await.map(Result::unwrap)
        });
        let closed = cut(polls, call!(Recorded, tape => closed())).await;
        let ended = ending.await.unwrap();
        let written = tape.end().await.unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().len(), written);
        std::fs::remove_file(&file).unwrap();
        assert!(ended.is_none_or(|all| all == written));
        assert_eq!(tape.closed().await, TapeEnd::Tape(Ending::Finished));
        closed.is_some() && ended.is_some()
    });
    rounds.await;
    TAPES.were_cut();
}
