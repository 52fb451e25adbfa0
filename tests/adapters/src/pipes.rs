//! Pipes that an application makes, at a node of the server's kind.

use std::thread;
use std::time::Instant;

use aqueduct_std::{
    AppCode, LegEnd, LegIndex, LegPolicy, OpenOptions, PipeError, PipeOptions, ReadError, Stop,
    StreamCode, StreamError,
};

use crate::node::{Flow, Inlet, Link, Node, Outlet, Recv, Send_, connect, options, pattern, until};
use crate::tcp::SECOND;

const MIB: usize = 1 << 20;

/// A node between a source and sinks.
pub(crate) struct Between<C: Node, S: Node> {
    pub(crate) node: S,
    /// From the source, at its end and at the node's.
    pub(crate) out: C::Link,
    pub(crate) inn: S::Link,
    /// To each sink, at the node's end and at its own.
    pub(crate) sinks: Vec<(S::Link, C::Link)>,
    _ends: Vec<C>,
}

pub(crate) fn between<C: Node, S: Node>(sinks: usize) -> Between<C, S> {
    let (node, mut ends) = (S::new(), vec![C::new()]);
    let (out, inn) = connect(&ends[0], &node);
    let sinks = (0..sinks).map(|_| {
        let sink = C::new();
        let link = connect(&node, &sink);
        ends.push(sink);
        link
    });
    let sinks = sinks.collect();
    Between { node, out, inn, sinks, _ends: ends }
}

/// How a leg of this stream is introduced.
fn onward<R: Inlet>(from: &R) -> OpenOptions {
    from.info().unwrap().forwarded().unwrap()
}

impl<C: Node, S: Node> Between<C, S> {
    /// A stream of which the first bytes have come to the node.
    fn coming(&self, first: &[u8]) -> (Send_<C>, Recv<S>) {
        let mut sending = self.out.open_uni(options());
        sending.put(first).unwrap();
        (sending, self.inn.accept_uni().unwrap())
    }

    /// A leg to each sink.
    fn legs(&self, from: &Recv<S>) -> Vec<Send_<S>> {
        self.sinks.iter().map(|(on, _)| on.open_uni(onward(from))).collect()
    }

    /// What arrives at this sink.
    fn arriving(&self, sink: usize) -> Recv<C> {
        self.sinks[sink].1.accept_uni().unwrap()
    }
}

/// The node looks at the first bytes before it decides.
///
/// spec: R-PIPE-1
pub(crate) fn a_stream_goes_on_to_two_others_while_it_comes<C: Node, S: Node>() {
    let between = between::<C, S>(2);
    let text = pattern(4 * MIB);
    let (mut sending, mut coming) = between.coming(&text[..1000]);
    let first = coming.first(100);
    let mut legs = between.legs(&coming);
    legs.iter_mut().for_each(|leg| leg.put(&first).unwrap());
    let pipe = between.node.pipe_to(coming, legs, PipeOptions::default()).unwrap();
    assert!(pipe.stats().unwrap().held <= 1000);
    thread::scope(|scope| {
        for sink in [0, 1] {
            let (text, between) = (&text, &between);
            scope.spawn(move || assert!(between.arriving(sink).all(text.len()).unwrap() == *text));
        }
        sending.put(&text[1000..]).unwrap();
        sending.delivered().unwrap();
    });
    let stats = pipe.ended().unwrap();
    assert_eq!((stats.held, stats.legs, stats.received), (0, 0, text.len() as u64 - 100));
    assert_eq!(pipe.stats(), Some(stats), "what it had done stays");
    let begun = between.node.clock().to_std(stats.first_byte.unwrap()).unwrap();
    assert!(begun <= Instant::now());
    for leg in [0, 1] {
        assert_eq!(pipe.leg_ended(LegIndex(leg)), Some(LegEnd::Delivered));
    }
    assert_eq!(pipe.leg_ended(LegIndex(2)), None, "there was no third one");
}

pub(crate) fn a_pipe_that_is_cancelled_ends_both_ways<C: Node, S: Node>() {
    let between = between::<C, S>(1);
    let (mut sending, coming) = between.coming(b"more to come");
    let legs = between.legs(&coming);
    let pipe = between.node.pipe_to(coming, legs, PipeOptions::default()).unwrap();
    let mut arriving = between.arriving(0);
    assert_eq!(arriving.first(12), b"more to come");
    thread::scope(|scope| {
        let other = pipe.clone();
        let leg = scope.spawn(move || other.leg_ended(LegIndex(0)));
        pipe.cancel(AppCode(7));
        let reset = LegEnd::Reset { code: AppCode(7), hop: 0 };
        assert_eq!(leg.join().unwrap(), Some(reset));
    });
    assert_eq!(arriving.some(100), Err(ReadError::Reset { code: AppCode(7), hop: 0 }));
    assert_eq!(sending.stopped().unwrap(), Some(Stop { code: AppCode(7), hop: 0 }));
    assert_eq!(pipe.ended().unwrap().received, 12);
}

pub(crate) fn a_pipe_flows_on_without_its_handle<C: Node, S: Node>() {
    let mut between = between::<C, S>(1);
    let (mut sending, coming) = between.coming(b"first ");
    let legs = between.legs(&coming);
    drop(between.node.pipe_to(coming, legs, PipeOptions::default()).unwrap());
    let mut arriving = between.arriving(0);
    assert_eq!(arriving.first(6), b"first ");
    // It holds its connections, too.
    let (on, at_sink) = between.sinks.pop().unwrap();
    drop((between.inn, on));
    sending.put(b"and last").unwrap();
    sending.finish().unwrap();
    assert_eq!(arriving.all(100).unwrap(), &b"and last"[..]);
    drop(arriving);
    let _with_the_pipe = at_sink.closed();
}

/// One before there was a pipe, and one before it was added.
///
/// spec: R-PIPE-29 R-PIPE-15
pub(crate) fn a_leg_that_was_refused_early_says_so<C: Node, S: Node>() {
    let between = between::<C, S>(1);
    let (on, _) = &between.sinks[0];
    let code = StreamCode::Refused.app();
    let refused = |like: OpenOptions| {
        let mut leg = on.open_uni(like);
        let before = on.stats().streams;
        between.arriving(0).stop(code);
        assert_eq!(leg.stopped().unwrap(), Some(Stop { code, hop: 0 }));
        until("nothing is left of it", || on.stats().streams < before);
        leg
    };
    let end = Some(LegEnd::Stopped { code, hop: 0 });
    for others in [0, 1] {
        let (mut sending, coming) = between.coming(b"for everybody");
        let introduction = onward(&coming);
        let mut legs = vec![refused(introduction.clone())];
        let late = (others > 0).then(|| refused(introduction.clone()));
        legs.extend((others > 0).then(|| on.open_uni(introduction)));
        let pipe = between.node.pipe_to(coming, legs, PipeOptions::default()).unwrap();
        assert_eq!(pipe.leg_ended(LegIndex(0)), end);
        if let Some(late) = late {
            let late = pipe.add_leg(late, LegPolicy::Stall).unwrap();
            assert_eq!((late, pipe.leg_ended(late)), (LegIndex(2), end));
            sending.finish().unwrap();
            assert_eq!(between.arriving(0).all(100).unwrap(), &b"for everybody"[..]);
            assert_eq!(pipe.leg_ended(LegIndex(1)), Some(LegEnd::Delivered));
        } else {
            assert_eq!(sending.stopped().unwrap(), Some(Stop { code, hop: 1 }));
        }
        pipe.ended().unwrap();
    }
}

/// spec: R-PIPE-23
pub(crate) fn a_leg_that_joins_late_gets_what_is_kept<C: Node, S: Node>() {
    let between = between::<C, S>(2);
    let (mut sending, coming) = between.coming(b"from the beginning");
    let mut legs = between.legs(&coming);
    let (late, introduction) = (legs.pop().unwrap(), onward(&coming));
    let keep = PipeOptions { keep: 1_000, ..PipeOptions::default() };
    let pipe = between.node.pipe_to(coming, legs, keep).unwrap();
    let mut early = between.arriving(0);
    assert_eq!(early.first(18), b"from the beginning");
    assert_eq!(pipe.add_leg(late, LegPolicy::Stall).unwrap(), LegIndex(1));
    sending.put(b" on").unwrap();
    sending.finish().unwrap();
    assert_eq!(between.arriving(1).all(100).unwrap(), &b"from the beginning on"[..]);
    assert_eq!(early.all(100).unwrap(), &b" on"[..]);
    assert_eq!(pipe.ended().unwrap().received, 21);
    // Behind its end there is nothing to join.
    let mut leg = between.sinks[0].0.open_uni(introduction.clone());
    leg.put(b"?").unwrap();
    assert!(matches!(pipe.add_leg(leg, LegPolicy::Stall), Err(PipeError::Core(_))));
    assert!(between.arriving(0).all(100).is_err(), "it was given up");
}

/// The rate is one at which the body would take much longer than this test waits.
///
/// spec: R-PIPE-22
pub(crate) fn a_rate_holds_until_another_is_set<C: Node, S: Node>() {
    const LEN: usize = 6 * MIB;
    let between = between::<C, S>(1);
    let (mut sending, coming) = between.coming(b"#");
    let legs = between.legs(&coming);
    let slow = PipeOptions { rate: Some(20_000), ..PipeOptions::default() };
    let pipe = between.node.pipe_to(coming, legs, slow).unwrap();
    thread::scope(|scope| {
        let reading = scope.spawn(|| between.arriving(0).all(LEN + 1).unwrap().len());
        scope.spawn(|| {
            sending.put(&pattern(LEN)).unwrap();
            sending.delivered().unwrap();
        });
        // What the first window and the stock hold comes at once.
        thread::sleep(SECOND);
        let received = pipe.stats().unwrap().received;
        assert!(received < LEN as u64 / 2, "{received}");
        pipe.set_rate(None);
        assert_eq!(reading.join().unwrap(), LEN + 1);
    });
    assert_eq!(pipe.ended().unwrap().received, LEN as u64 + 1);
}

/// Who reads along holds the others back as any leg does, and gets the same; who drops what he
/// reads by holds back nobody any more.
pub(crate) fn what_is_passed_on_can_be_read_along<C: Node, S: Node>() {
    const LEN: usize = 6 * MIB;
    let between = between::<C, S>(1);
    let body = pattern(LEN);
    for drops in [false, true] {
        let (mut sending, coming) = between.coming(&body[..1]);
        let legs = between.legs(&coming);
        let options = PipeOptions::default();
        let (pipe, mut along) = between.node.pipe_and_read(coming, legs, options).unwrap();
        thread::scope(|scope| {
            let reading = scope.spawn(|| between.arriving(0).all(LEN).unwrap() == body);
            scope.spawn(|| {
                sending.put(&body[1..]).unwrap();
                sending.delivered().unwrap();
            });
            let read = if drops { along.first(10).len() } else { 0 };
            until("the window is used up", || {
                let received = pipe.stats().unwrap().received;
                received >= 500_000 && {
                    thread::sleep(SECOND / 4);
                    pipe.stats().unwrap().received == received
                }
            });
            assert!(pipe.stats().unwrap().received < LEN as u64, "nobody holds it back");
            if !drops {
                assert!(along.all(LEN).unwrap() == body[read..], "other bytes are read along");
            }
            drop(along);
            assert!(reading.join().unwrap(), "other bytes went on");
        });
        assert_eq!(pipe.ended().unwrap().received, LEN as u64);
    }
}

/// spec: R-PIPE-30
pub(crate) fn nobody_waits_for_more_than_a_pipe_holds<C: Node, S: Node>() {
    const STOCK: u64 = 64 << 10;
    let between = between::<C, S>(0);
    let (mut sending, coming) = between.coming(b"#");
    let pipes = PipeOptions { stock: STOCK, ..PipeOptions::default() };
    let (pipe, mut along) = between.node.pipe_and_read(coming, Vec::new(), pipes).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            sending.put(&vec![7; 1_000_000]).unwrap();
            sending.delivered().unwrap();
        });
        let refused = along.peek(200_000).unwrap_err();
        assert_eq!(refused, ReadError::PeekTooLong { wanted: 200_000, limit: STOCK });
        assert!(refused.to_string().contains("stock"), "{refused}");
        // What it holds can be looked at, and the pipe flows on.
        assert_eq!(along.peek(STOCK as usize).unwrap().len(), STOCK as usize);
        assert_eq!(along.all(1 << 20).unwrap().len(), 1_000_001);
    });
    assert_eq!(pipe.ended().unwrap().received, 1_000_001);
    // A body that is known to be shorter is looked at whole.
    let mut sending = between.out.open_uni(OpenOptions { size: Some(1_000), ..options() });
    sending.put(&[7]).unwrap();
    let coming = between.inn.accept_uni().unwrap();
    let (_pipe, mut along) = between.node.pipe_and_read(coming, Vec::new(), pipes).unwrap();
    thread::scope(|scope| {
        let looking = scope.spawn(move || {
            assert_eq!(along.peek(1 << 20).unwrap().len(), 1_000);
            along
        });
        sending.put(&[7; 999]).unwrap();
        sending.finish().unwrap();
        assert_eq!(looking.join().unwrap().all(1 << 20).unwrap().len(), 1_000);
    });
}

/// spec: R-PIPE-9
pub(crate) fn a_leg_that_is_too_slow_is_detached_and_the_other_goes_on<C: Node, S: Node>() {
    let between = between::<C, S>(2);
    let body = pattern(6 * MIB);
    let (mut sending, coming) = between.coming(&body[..1]);
    let legs = between.legs(&coming);
    let options = PipeOptions { policy: LegPolicy::DETACH, ..PipeOptions::default() };
    let pipe = between.node.pipe_to(coming, legs, options).unwrap();
    let mut slow = between.arriving(1);
    let end = thread::scope(|scope| {
        let reading = scope.spawn(|| between.arriving(0).all(body.len()).unwrap() == body);
        scope.spawn(|| {
            sending.put(&body[1..]).unwrap();
            sending.delivered().unwrap();
        });
        let end = pipe.leg_ended(LegIndex(1));
        assert!(reading.join().unwrap(), "other bytes went on");
        end
    });
    let Some(LegEnd::Detached { at }) = end else { panic!("{end:?}") };
    assert_eq!(pipe.ended().unwrap().detached, 1);
    let mut got = Vec::new();
    let why = loop {
        match slow.some(usize::MAX) {
            Ok(Some(bytes)) => got.extend_from_slice(&bytes),
            Ok(None) => panic!("it was not given up"),
            Err(why) => break why,
        }
    };
    assert_eq!(StreamError::from(why), StreamError::Detached { hop: Some(0) });
    assert!(got.len() as u64 >= at && got.len() < body.len() && body.starts_with(&got));
}

/// What a pipe does not take is given up, at both ends.
pub(crate) fn what_cannot_be_piped_is_given_up<C: Node, S: Node>() {
    let between = between::<C, S>(1);
    // Read elsewhere; to nobody; for ever.
    for case in 0..3 {
        let (mut sending, coming) = between.coming(b"for nobody");
        let fork = (case == 0).then(|| coming.fork());
        let mut legs = if case == 1 { Vec::new() } else { between.legs(&coming) };
        if case == 2 {
            legs = vec![between.sinks[0].0.open_uni(options())];
        }
        let error = between.node.pipe_to(coming, legs, PipeOptions::default()).err().unwrap();
        assert_eq!(error == PipeError::Forked, case == 0, "{error}");
        assert_eq!(matches!(error, PipeError::Core(_)), case != 0, "{error}");
        drop(fork);
        let _stopped = sending.stopped().unwrap().unwrap();
    }
}
