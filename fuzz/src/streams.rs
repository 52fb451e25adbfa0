//! Streams between two endpoints, by every call that there is for them, beside a model of their
//! bytes.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a promise that is broken is to be heard of"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::{ConnectionHandle, EventKind};
use aqueduct_core::error::CloseReason;
use aqueduct_core::range_set::RangeSet;
use aqueduct_core::script;
use aqueduct_core::stream::{OpenOptions, Priority, ReadError, StreamProtocol, WriteError};
use aqueduct_core::wire::id::{AppCode, Dir, StreamId};
use aqueduct_tests::app::{Pair, byte};
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::Net;
use arbitrary::Arbitrary;

/// Most operations of a script.
const MAX_OPS: usize = 80;
/// Most streams.
const MAX_STREAMS: usize = 12;
/// After the last operation all that is open must end within so many steps.
const STEPS: usize = 600;
const STEP: Duration = Duration::from_millis(100);
/// Why a writer gives a stream up.
const GIVEN_UP: AppCode = AppCode(1);

/// One thing that happens. The first number chooses a stream and its direction.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op {
    /// By who dialed (`true`) or who answered; both ways or one.
    Open(bool, bool),
    Write(u8, u16),
    WriteAt(u8, u16, u16),
    Skip(u8, u16, u8),
    Finish(u8),
    FinishAt(u8, u16),
    Reset(u8, u16),
    Priority(u8, u8),
    Stop(u8),
    /// At most so many bytes, by offset or by arrival; they are kept.
    Take(u8, bool, u16),
    /// So much of what was kept is let go.
    Release(u8, u16),
    /// So many milliseconds pass.
    Pass(u8),
    /// From now on so many of a thousand datagrams are lost, each way.
    Loss(u8),
}

#[derive(Arbitrary, Clone, Debug)]
struct Script {
    seed: u8,
    jitter: u8,
    #[arbitrary(with = script::rest)]
    ops: Vec<Op>,
}

/// One direction of a stream.
#[derive(Default)]
struct Flow {
    written: RangeSet,
    skipped: RangeSet,
    /// The end, once it is said.
    end: Option<u64>,
    /// Given up; below this everything without a gap was promised.
    reset: Option<u64>,
    stopped: bool,
    /// What it answers was given up, perhaps before it was heard of: then this is, too.
    unasked: bool,
    got: RangeSet,
    kept: u64,
    by_arrival: bool,
    over: bool,
}

/// Who writes, and on which stream.
type Key = (bool, StreamId);

struct World {
    pair: Pair,
    flows: BTreeMap<Key, Flow>,
    keys: Vec<Key>,
    /// Streams that were announced to who did not open them.
    heard: BTreeSet<StreamId>,
    /// On a link that loses half of everything a peer may be lost.
    lost: bool,
}

/// Any calls in any order: no byte comes twice or wrong, overlaps are told, and what is not given
/// up comes to its end.
pub fn streams(data: &[u8]) -> usize {
    let Some(script) = crate::script::<Script>(data) else { return 0 };
    let mut ops = script.ops;
    ops.truncate(MAX_OPS);
    let jitter = Duration::from_micros(100 * u64::from(script.jitter));
    let mut net = Net::new(script.seed.into(), LinkConfig { jitter, ..LinkConfig::default() });
    let node = |key| EndpointConfig::new(NodeKey::from_seed(&[key; 32]));
    let (a, b) = (net.add(node(1), 1), net.add(node(2), 2));
    let mut world = World {
        pair: Pair::connect(net, a, b),
        flows: BTreeMap::new(),
        keys: Vec::new(),
        heard: BTreeSet::new(),
        lost: false,
    };
    ops.iter().for_each(|op| world.act(*op));
    world.rest();
    ops.len()
}

impl World {
    /// An end of the connection: who dialed, or who answered.
    fn end(&self, dialed: bool) -> (aqueduct_tests::net::HostId, ConnectionHandle) {
        let Pair { a, b, at_a, at_b, .. } = &self.pair;
        if dialed { (a.host, *at_a) } else { (b.host, *at_b) }
    }

    fn key(&self, pick: u8) -> Option<Key> {
        self.keys.get(usize::from(pick).checked_rem(self.keys.len())?).copied()
    }

    fn act(&mut self, op: Op) {
        if self.lost {
            return;
        }
        match op {
            Op::Open(dialed, both) => self.open(dialed, both),
            Op::Write(pick, len) => self.write(pick, None, len),
            Op::WriteAt(pick, at, len) => self.write(pick, Some(at.into()), len),
            Op::Skip(pick, at, len) => {
                let range = u64::from(at)..u64::from(at) + u64::from(len);
                self.skip(pick, range);
            }
            Op::Finish(pick) => self.finish(pick, None),
            Op::FinishAt(pick, at) => self.finish(pick, Some(at.into())),
            Op::Reset(pick, reliable) => self.reset(pick, reliable.into()),
            Op::Priority(pick, class) => {
                let classes = [Priority::Urgent, Priority::Normal, Priority::Bulk];
                let class = classes[usize::from(class) % 3];
                let Some(key) = self.key(pick) else { return };
                self.send(key, |stream, _| stream.set_priority(class));
            }
            Op::Stop(pick) => {
                let Some(key) = self.key(pick) else { return };
                self.recv(key, |stream, flow| {
                    stream.stop(AppCode(2));
                    flow.stopped = true;
                });
            }
            Op::Take(pick, by_arrival, most) => {
                let Some(key) = self.key(pick) else { return };
                self.recv(key, |stream, flow| {
                    flow.by_arrival |= by_arrival;
                    flow.take(stream, usize::from(most));
                });
            }
            Op::Release(pick, most) => {
                let Some(key) = self.key(pick) else { return };
                self.recv(key, |stream, flow| {
                    let most = flow.kept.min(most.into());
                    stream.release(most);
                    flow.kept -= most;
                });
            }
            Op::Pass(ms) => self.pass(Duration::from_millis(ms.into())),
            Op::Loss(loss) => {
                let (a, b) = (self.end(true).0, self.end(false).0);
                let loss = u32::from(loss) * 2;
                let jitter = Duration::from_millis(1);
                self.pair.net.set_link(a, b, LinkConfig { loss, jitter, ..<_>::default() });
            }
        }
    }

    fn open(&mut self, dialed: bool, both: bool) {
        if self.flows.len() >= MAX_STREAMS {
            return;
        }
        let (host, handle) = self.end(dialed);
        let mut view = self.pair.net.host(host).endpoint.connection(handle).expect("it lives");
        let dir = if both { Dir::Bi } else { Dir::Uni };
        let Ok(id) = view.open(dir, OpenOptions::new(StreamProtocol::Number(70))) else { return };
        for writer in [dialed, !dialed].into_iter().take(if both { 2 } else { 1 }) {
            self.flows.insert((writer, id), Flow::default());
            self.keys.push((writer, id));
        }
    }

    fn send<T>(
        &mut self,
        key: Key,
        act: impl FnOnce(&mut aqueduct_core::stream::SendStream<'_>, &mut Flow) -> T,
    ) -> Option<T> {
        let (host, handle) = self.end(key.0);
        let mut view = self.pair.net.host(host).endpoint.connection(handle).expect("it lives");
        let mut stream = view.send(key.1)?;
        Some(act(&mut stream, self.flows.get_mut(&key)?))
    }

    fn recv<T>(
        &mut self,
        key: Key,
        act: impl FnOnce(&mut aqueduct_core::stream::RecvStream<'_>, &mut Flow) -> T,
    ) -> Option<T> {
        let (host, handle) = self.end(!key.0);
        let mut view = self.pair.net.host(host).endpoint.connection(handle).expect("it lives");
        let mut stream = view.recv(key.1)?;
        Some(act(&mut stream, self.flows.get_mut(&key)?))
    }

    fn write(&mut self, pick: u8, at: Option<u64>, len: u16) {
        let Some(key) = self.key(pick) else { return };
        self.send(key, |stream, flow| {
            let from = at.unwrap_or_else(|| flow.tail());
            let text = (from..from + u64::from(len)).map(|at| byte(salt(key), at));
            let text: Vec<u8> = text.collect();
            let outcome = match at {
                Some(at) => stream.write_at(at, text.into()),
                None => stream.write(text.into()),
            };
            match outcome {
                Ok(taken) => flow.on_written(from..from + taken as u64),
                Err(WriteError::Overlap) => {
                    let range = from..from + u64::from(len);
                    assert!(flow.knows(&range), "no overlap at {range:?}");
                }
                Err(_) => {}
            }
        });
    }

    fn skip(&mut self, pick: u8, range: std::ops::Range<u64>) {
        let Some(key) = self.key(pick) else { return };
        self.send(key, |stream, flow| match stream.skip(range.clone()) {
            Ok(()) => {
                for gap in flow.written.clone().gaps(range) {
                    flow.skipped.insert(gap);
                }
            }
            Err(WriteError::Overlap) => assert!(flow.knows(&range), "no overlap at {range:?}"),
            Err(_) => {}
        });
    }

    fn finish(&mut self, pick: u8, at: Option<u64>) {
        let Some(key) = self.key(pick) else { return };
        self.send(key, |stream, flow| {
            let done = match at {
                Some(at) => stream.finish_at(at),
                None => stream.finish(),
            };
            if done.is_ok() {
                flow.end = Some(at.unwrap_or_else(|| flow.tail()));
            }
        });
    }

    fn reset(&mut self, pick: u8, reliable: u64) {
        let Some(key) = self.key(pick) else { return };
        self.send(key, |stream, flow| {
            stream.reset_after(GIVEN_UP, 0, reliable);
            // It may promise less a second time.
            let promised = reliable.min(flow.contiguous());
            flow.reset = Some(flow.reset.map_or(promised, |before| before.min(promised)));
        });
        if let Some(answer) = self.flows.get_mut(&(!key.0, key.1)) {
            answer.unasked = true;
        }
    }

    /// Time passes; who is dialled takes what comes.
    fn pass(&mut self, time: Duration) {
        let ends = [self.end(true), self.end(false)];
        let heard = &mut self.heard;
        let mut over = None;
        self.pair.net.run(time, |net| {
            for (host, handle) in ends {
                if net.hosts[host.0].events.is_empty() {
                    continue;
                }
                let host = net.host(host);
                for event in std::mem::take(&mut host.events) {
                    if let EventKind::Closed(reason) = event.kind {
                        over.get_or_insert(reason);
                    }
                }
                if let Some(mut view) = host.endpoint.connection(handle) {
                    while let Some(id) = view.accept() {
                        heard.insert(id);
                    }
                }
            }
            over.is_some()
        });
        let silence =
            matches!(over, None | Some(CloseReason::PeerLost { .. } | CloseReason::IdleTimeout(_)));
        assert!(silence, "{over:?}");
        self.lost |= over.is_some();
    }

    /// The network is good, every gap is filled, all is read: then all comes to its end.
    fn rest(&mut self) {
        let (a, b) = (self.end(true).0, self.end(false).0);
        self.pair.net.set_link(a, b, LinkConfig::default());
        for _ in 0..STEPS {
            if self.lost {
                return;
            }
            for key in self.keys.clone() {
                self.complete(key);
                self.recv(key, |stream, flow| {
                    stream.release(std::mem::take(&mut flow.kept));
                    while flow.take(stream, usize::MAX) {
                        stream.release(std::mem::take(&mut flow.kept));
                    }
                });
            }
            self.pass(STEP);
            if self.flows.values().all(Flow::is_over) {
                return;
            }
        }
        let open = self.flows.iter().filter(|(_, flow)| !flow.is_over());
        // An answer to what was given up before it was heard of has no one to write it.
        let open = open.filter(|(key, _)| !self.is_orphan(**key));
        let open: Vec<_> = open.filter(|(key, flow)| !self.is_unheard(**key, flow)).collect();
        for (key, flow) in &open {
            println!("{key:?}: {:?} of {:?}, end {:?}", flow.got, flow.written, flow.end);
        }
        assert!(open.is_empty(), "{} do not come to their end", open.len());
    }

    /// The answer on a stream whose opener has given up its own direction.
    fn is_orphan(&self, (writer, id): Key) -> bool {
        let asked = self.flows.get(&(!writer, id));
        asked.is_some_and(|asked| asked.reset.is_some() || asked.stopped)
    }

    /// What its opener gave up, promising nothing, before it was announced: that is told to nobody
    /// (R-STR-7).
    fn is_unheard(&self, (_, id): Key, flow: &Flow) -> bool {
        flow.reset == Some(0) && !self.heard.contains(&id)
    }

    fn complete(&mut self, key: Key) {
        self.send(key, |stream, flow| {
            if flow.reset.is_some() || flow.stopped {
                return;
            }
            let end = flow.end.unwrap_or_else(|| flow.tail());
            let mut known = flow.written.clone();
            flow.skipped.iter().for_each(|range| _ = known.insert(range));
            for gap in known.gaps(0..end) {
                if stream.skip(gap.clone()).is_ok() {
                    flow.skipped.insert(gap);
                }
            }
            if flow.end.is_none() && stream.finish().is_ok() {
                flow.end = Some(end);
            }
        });
    }
}

/// What is written at an offset hangs on the stream and its direction.
fn salt((dialed, id): Key) -> u64 {
    id.0 * 2 + u64::from(dialed) + 1
}

impl Flow {
    fn tail(&self) -> u64 {
        let ends =
            [&self.written, &self.skipped].map(|set| set.last().map_or(0, |range| range.end));
        ends.into_iter().max().unwrap_or(0)
    }

    /// Everything below was written or skipped.
    fn contiguous(&self) -> u64 {
        let mut known = self.written.clone();
        self.skipped.iter().for_each(|range| _ = known.insert(range));
        known.first().filter(|range| range.start == 0).map_or(0, |range| range.end)
    }

    fn knows(&self, range: &std::ops::Range<u64>) -> bool {
        !self.written.is_disjoint(range) || !self.skipped.is_disjoint(range)
    }

    fn on_written(&mut self, range: std::ops::Range<u64>) {
        assert!(range.is_empty() || !self.knows(&range), "{range:?} was taken twice");
        self.written.insert(range);
    }

    fn is_over(&self) -> bool {
        self.over || self.stopped
    }

    /// Takes one piece and compares it. Whether there may be more.
    fn take(&mut self, stream: &mut aqueduct_core::stream::RecvStream<'_>, most: usize) -> bool {
        let id = stream.id();
        let chunk = match self.by_arrival {
            true => stream.take_any(most),
            false => stream.read_chunk(most),
        };
        match chunk {
            Ok(Some(chunk)) => {
                let range = chunk.offset..chunk.offset + chunk.data.len() as u64;
                assert!(self.written.covers(&range), "{range:?} was never written");
                assert!(self.got.is_disjoint(&range), "{range:?} came twice");
                let right =
                    |salt| range.clone().map(|at| byte(salt, at)).eq(chunk.data.iter().copied());
                assert!(right(salt((true, id))) || right(salt((false, id))), "wrong bytes");
                self.kept += chunk.data.len() as u64;
                self.got.insert(range);
                !chunk.data.is_empty()
            }
            Ok(None) => {
                assert_eq!(self.got, self.written, "an end, and not all came");
                self.over = true;
                false
            }
            Err(ReadError::Reset { code, .. }) => {
                self.over = true;
                let Some(promised) = self.reset else {
                    let rightly = self.unasked && code == GIVEN_UP && self.written.is_empty();
                    assert!(rightly, "nobody gave up: {code:?}");
                    return false;
                };
                let owed = self.written.iter().filter(|range| range.start < promised);
                let owed = owed.map(|range| range.start..range.end.min(promised));
                assert!(
                    owed.into_iter().all(|range| self.got.covers(&range)),
                    "less than promised"
                );
                false
            }
            Err(ReadError::Blocked) => false,
            Err(error) => {
                assert!(self.stopped, "{error}");
                false
            }
        }
    }
}
