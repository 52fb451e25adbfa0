//! Messages that choose their way, and are read while they come.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll};
use std::thread;

use aqueduct_std::{
    Bytes, ChunkSource, Chunks, Figures, Mode, PipeOptions, Reading, SendError, Sent, StreamCode,
    StreamError, Streaming, StreamingSerialize, TransportConfig,
};

use crate::node::{
    Came, Flow, Inlet, Letter, Letter_, Link, Node, Pair, connect, pair, pair_with, pattern,
};
use crate::pipes::between;

const LARGE: usize = 300_000;

fn chunks(body: &[u8]) -> Chunks<std::vec::IntoIter<Bytes>> {
    let all: Vec<_> = body.chunks(10_000).map(Bytes::copy_from_slice).collect();
    Chunks::new(body.len() as u64, all)
}

/// Announces another digest than its own.
struct Liar(Vec<u8>);

impl StreamingSerialize for Liar {
    type Source = <Bytes as StreamingSerialize>::Source;

    fn digest(&self) -> Option<[u8; 32]> {
        Some([9; 32])
    }

    fn start_serialize(self) -> (u64, Self::Source) {
        Bytes::from(self.0).start_serialize()
    }
}

fn is_for(error: &SendError, expected: &StreamError) -> bool {
    matches!(error, SendError::Stream(found) if found == expected)
}

/// spec: R-MODE-5 R-MODE-6
pub(crate) fn the_size_chooses_the_way_and_one_call_receives_both<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    assert_eq!((pair.near.mode(), pair.far.mode()), (Mode::StreamingPiped, Mode::StreamingPiped));
    let threshold = 64 * 1024;
    for size in [0, 1, threshold, threshold + 1, LARGE] {
        let body = pattern(size);
        thread::scope(|scope| {
            let sending = scope.spawn(|| pair.near.send_auto(chunks(&body)).unwrap());
            let (got, id) = match pair.far.recv_auto().unwrap() {
                Came::Whole(message) => (message, None),
                Came::Stream(letter) => {
                    assert_eq!(letter.size(), size as u64);
                    let id = letter.id();
                    (letter.all().unwrap(), Some(id))
                }
            };
            assert!(got == body, "another body of {size} bytes");
            assert_eq!(id.is_some(), size > threshold);
            assert_eq!(sending.join().unwrap(), id.map_or(Sent::Whole, Sent::Streamed));
        });
    }
    let (sent, got) = (pair.client.message_stats(), pair.server.message_stats());
    assert_eq!((sent.whole_sent, sent.streamed_sent), (3, 2));
    assert_eq!((got.whole_received, got.streamed_received, got.failed), (3, 2, 0));
    assert_eq!(pair.server.figures().messages, got);
}

/// spec: R-MODE-5
pub(crate) fn a_peer_without_streaming_gets_all_of_it_whole<C: Node, S: Node>() {
    let transport = TransportConfig::default().with_streaming(Streaming::OFF);
    let pair = pair_with::<C, S>(transport);
    assert_eq!((pair.near.mode(), pair.far.mode()), (Mode::Traditional, Mode::Traditional));
    let body = pattern(LARGE);
    thread::scope(|scope| {
        let sending = scope.spawn(|| pair.near.send_auto(chunks(&body)).unwrap());
        assert!(matches!(pair.far.recv_auto().unwrap(), Came::Whole(got) if got == body));
        assert_eq!(sending.join().unwrap(), Sent::Whole);
    });
    // Nothing is made of what could not be sent.
    let never = Chunks::new(1 << 40, std::iter::from_fn(|| -> Option<Bytes> { panic!() }));
    let refused = pair.near.send_auto(never).unwrap_err();
    assert!(matches!(refused, SendError::TooLarge { size: 0x100_0000_0000, .. }), "{refused:?}");
    assert!(pair.near.try_send_message(vec![0; 17 << 20].into()).is_err());
}

/// The first part of a message, and the rest once somebody says so.
struct Waits {
    parts: Vec<Bytes>,
    told: Receiver<()>,
}

impl StreamingSerialize for Waits {
    type Source = Self;

    fn start_serialize(self) -> (u64, Self) {
        (self.parts.iter().map(|part| part.len() as u64).sum(), self)
    }
}

impl ChunkSource for Waits {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.parts.len() == 1 && self.told.try_recv().is_err() {
            // Nobody wakes it: it asks now and then.
            let waker = cx.waker().clone();
            thread::spawn(move || {
                thread::sleep(std::time::Duration::from_millis(5));
                waker.wake();
            });
            return Poll::Pending;
        }
        Poll::Ready(Ok((!self.parts.is_empty()).then(|| self.parts.remove(0))))
    }
}

/// spec: R-MODE-6
pub(crate) fn a_message_is_readable_before_it_is_all_made<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let body = pattern(LARGE);
    let parts = [&body[..100_000], &body[100_000..]].map(Bytes::copy_from_slice).to_vec();
    let (tell, told) = channel();
    thread::scope(|scope| {
        let sending = scope.spawn(|| pair.near.send_auto(Waits { parts, told }));
        let mut letter = pair.far.letter();
        let mut got = Vec::new();
        while got.len() < 100_000 {
            got.extend_from_slice(&letter.some(7_000).unwrap().unwrap());
        }
        assert!(!sending.is_finished());
        tell.send(()).unwrap();
        while let Some(block) = letter.next_block() {
            got.extend_from_slice(&block.unwrap());
        }
        assert!(got == body, "another body");
        assert_eq!(letter.some(1).unwrap(), None, "the end stays the end");
        assert!(letter.into_streams().is_none(), "nothing is left to be passed on");
        assert!(matches!(sending.join().unwrap().unwrap(), Sent::Streamed(_)));
    });
}

/// What the receiver of the next message does with it is this error at the sender.
fn ends_with<C: Node, S: Node>(
    pair: &Pair<C, S>,
    object: impl StreamingSerialize + Send,
    end: impl FnOnce(Letter_<S>),
) -> SendError {
    thread::scope(|scope| {
        let sending = scope.spawn(|| pair.near.send_auto(object).unwrap_err());
        end(pair.far.letter());
        sending.join().unwrap()
    })
}

/// spec: R-MODE-11
pub(crate) fn who_does_not_want_a_message_says_so<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let cancelled = StreamError::Cancelled { hop: Some(0) };
    let told = ends_with(&pair, pattern(4 << 20), drop);
    assert!(is_for(&told, &cancelled), "{told:?}");
    let told = ends_with(&pair, pattern(4 << 20), |mut letter| {
        letter.some(100).unwrap();
        drop(letter);
    });
    assert!(is_for(&told, &cancelled), "{told:?}");
    let told = ends_with(&pair, pattern(4 << 20), |letter| letter.refuse());
    assert!(is_for(&told, &StreamError::Refused { hop: Some(0) }), "{told:?}");
    // All else goes on.
    thread::scope(|scope| {
        scope.spawn(|| pair.near.send_auto(pattern(LARGE)).unwrap());
        assert!(pair.far.letter().all().unwrap() == pattern(LARGE));
    });
}

/// spec: R-MODE-8 R-MODE-9 R-MODE-10
pub(crate) fn what_is_not_what_was_announced_is_an_error_at_both_ends<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let (body, mut found) = (pattern(LARGE), None);
    let parts = body.chunks(1_000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
    let short = Chunks::new(LARGE as u64 + 1, parts);
    let told = ends_with(&pair, short, |letter| found = letter.all().err());
    let announced = LARGE as u64 + 1;
    let wrong = |error: &StreamError| matches!(error, StreamError::WrongSize { announced: Some(a), .. } if *a == announced);
    assert!(matches!(&told, SendError::Stream(error) if wrong(error)), "{told:?}");
    assert!(wrong(&found.take().unwrap()));

    let actual = Some(*blake3::hash(&body).as_bytes());
    let failed = |hop| StreamError::VerificationFailed { expected: Some([9; 32]), actual, hop };
    let told = ends_with(&pair, Liar(body.clone()), |mut letter| {
        let mut got = Vec::new();
        let end = loop {
            match letter.next_block() {
                Some(Ok(bytes)) => got.extend_from_slice(&bytes),
                end => break end,
            }
        };
        assert!(got == body);
        assert_eq!(letter.next_block(), None, "the error is the last that comes");
        found = end.and_then(Result::err);
    });
    assert!(is_for(&told, &failed(Some(0))), "{told:?}");
    assert_eq!(found, Some(failed(None)));
    assert_eq!(pair.server.message_stats().verification_failures, 1);
    let errors = |node: Figures| node.totals.streams.errors.of(StreamCode::VerificationFailed);
    let sender = pair.client.figures();
    assert_eq!((sender.messages.refuted, errors(sender)), (1, 1), "each counts it once");

    // Its source fails half-way.
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
    let broken =
        Reading::new(LARGE as u64, io::Read::chain(io::Cursor::new(pattern(200_000)), Broken));
    let told = ends_with(&pair, broken, |letter| found = letter.all().err());
    assert!(matches!(told, SendError::Source(_)), "{told:?}");
    assert_eq!(found, Some(StreamError::Cancelled { hop: Some(0) }));
}

/// spec: R-MODE-7
pub(crate) fn what_is_too_large_to_be_put_together_is_refused<C: Node, S: Node>() {
    let few = TransportConfig::default().with_max_message_size(LARGE as u64 - 1).unwrap();
    let (client, server) = (C::new(), S::with(few));
    let (near, far) = connect(&client, &server);
    thread::scope(|scope| {
        let whole = scope.spawn(|| far.recv_message().unwrap().len());
        let refused = near.send_auto(pattern(LARGE)).unwrap_err();
        assert!(is_for(&refused, &StreamError::Refused { hop: Some(0) }), "{refused:?}");
        near.send_auto(pattern(LARGE - 1)).unwrap();
        assert_eq!(whole.join().unwrap(), LARGE - 1);
        // Who reads while it comes has no such limit.
        scope.spawn(|| near.send_auto(pattern(LARGE)).unwrap());
        assert_eq!(far.letter().all().unwrap().len(), LARGE);
    });
}

/// A message is a message at its end, and its sender hears who read it there: that all is well, that
/// its digest is another, and that nobody wants it.
///
/// spec: R-MODE-15 R-MODE-9
pub(crate) fn a_message_goes_through_a_node_while_it_comes<C: Node, S: Node>() {
    let between = between::<C, S>(1);
    let (on, end) = &between.sinks[0];
    let body = pattern(2 << 20);
    let pass_on = || {
        let letter = between.inn.letter();
        let (body, verdict) = letter.into_streams().expect("nothing was read");
        let (leg, said) = on.open_bi(body.info().unwrap().forwarded().unwrap());
        let there = between.node.pipe(body, leg);
        let back = between.node.pipe_to(said, vec![verdict], PipeOptions::default()).unwrap();
        (there, back)
    };
    thread::scope(|scope| {
        let sending = scope.spawn(|| between.out.send_auto(body.clone()));
        let (there, back) = pass_on();
        let letter = end.letter();
        assert_eq!(letter.size(), body.len() as u64);
        assert!(letter.all().unwrap() == body, "another message");
        assert!(matches!(sending.join().unwrap().unwrap(), Sent::Streamed(_)));
        assert!(there.ended().unwrap().received >= body.len() as u64);
        back.ended().unwrap();

        let sending = scope.spawn(|| between.out.send_auto(Liar(pattern(LARGE))));
        let _pipes = pass_on();
        let actual = Some(*blake3::hash(&pattern(LARGE)).as_bytes());
        let failed = |hop| StreamError::VerificationFailed { expected: Some([9; 32]), actual, hop };
        assert_eq!(end.letter().all().unwrap_err(), failed(None));
        let told = sending.join().unwrap().unwrap_err();
        assert!(is_for(&told, &failed(Some(1))), "behind the node between: {told:?}");

        let sending = scope.spawn(|| between.out.send_auto(pattern(LARGE)));
        let _pipes = pass_on();
        end.letter().refuse();
        let told = sending.join().unwrap().unwrap_err();
        assert!(is_for(&told, &StreamError::Refused { hop: Some(1) }), "{told:?}");
    });
}
