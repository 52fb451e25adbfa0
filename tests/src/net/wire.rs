//! What lies between hosts: roads of machines, plain links, NATs, and all that is under way.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use aqueduct_core::rng::{Rng, Seed};
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::CarrierId;

use super::HostId;
use super::nat::Nat;
use super::reno::{Reno, Segment};
use super::stream::Stream;
use crate::dice::Dice;
use crate::link::{Link, LinkConfig, Machine, Parcel, Stage};

/// A machine's number: the order in which it was placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StageId(pub usize);

/// A NAT's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NatId(pub usize);

/// A stream's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamNr(pub usize);

/// The number of a flow of cross traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowId(pub usize);

/// What happens next to something that is under way.
#[derive(Clone, Debug)]
pub(super) enum Due {
    /// A datagram is where it goes.
    Arrive(Parcel),
    /// A datagram is before the next machine of its road.
    Pass(Parcel, Arc<[StageId]>, usize),
    /// A segment of a flow is before the next machine, or there; or its answer.
    Cross(FlowId, Segment, bool, usize),
    /// Bytes reach an end of a stream.
    Read(StreamNr, usize, Vec<u8>),
    /// A stream breaks.
    Broken(StreamNr),
    /// A socket takes bytes again.
    Writable(HostId, CarrierId),
}

#[derive(Clone, Debug)]
struct Flying {
    key: Reverse<(Instant, u64)>,
    due: Due,
}

impl PartialEq for Flying {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Flying {}

impl PartialOrd for Flying {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Flying {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

/// A flow of cross traffic, and its ways forth and back.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) reno: Reno,
    pub(super) ways: [Arc<[StageId]>; 2],
    stopped: bool,
}

/// All of it.
pub(super) struct Wire {
    pub(super) stages: Vec<Stage>,
    pub(super) nats: Vec<Nat>,
    pub(super) streams: Vec<Stream>,
    pub(super) flows: Vec<Flow>,
    roads: BTreeMap<(HostId, HostId), Arc<[StageId]>>,
    links: BTreeMap<(SocketAddr, SocketAddr), Link>,
    default_link: LinkConfig,
    /// In place of the default, for plain links from and to these.
    pub(super) usual: BTreeMap<IpAddr, LinkConfig>,
    flying: BinaryHeap<Flying>,
    sequence: u64,
    seed: u64,
}

impl Wire {
    pub(super) fn new(seed: u64, default_link: LinkConfig) -> Self {
        Self {
            stages: Vec::new(),
            nats: Vec::new(),
            streams: Vec::new(),
            flows: Vec::new(),
            roads: BTreeMap::new(),
            links: BTreeMap::new(),
            default_link,
            usual: BTreeMap::new(),
            flying: BinaryHeap::new(),
            sequence: 0,
            seed,
        }
    }

    pub(super) fn dice(&self, label: &str) -> Dice {
        Dice::new(self.seed, label)
    }

    pub(super) fn place(&mut self, machine: impl Machine + 'static) -> StageId {
        self.place_boxed(Box::new(machine))
    }

    pub(super) fn place_boxed(&mut self, machine: Box<dyn Machine>) -> StageId {
        let number = self.stages.len();
        let dice = self.dice(&format!("stage {number}"));
        self.stages.push(Stage::boxed(machine, dice));
        StageId(number)
    }

    pub(super) fn has_roads(&self) -> bool {
        !self.roads.is_empty()
    }

    pub(super) fn set_road(&mut self, from: HostId, to: HostId, road: &[StageId]) {
        self.roads.insert((from, to), road.into());
    }

    pub(super) fn link(&mut self, from: SocketAddr, to: SocketAddr) -> &mut Link {
        let rng = || Rng::new(&Seed::from_u64(self.seed)).fork(&format!("{from} {to}"));
        let usual = self.usual.get(&from.ip()).or_else(|| self.usual.get(&to.ip()));
        let config = usual.copied().unwrap_or(self.default_link);
        self.links.entry((from, to)).or_insert_with(|| Link::new(config, rng()))
    }

    pub(super) fn push(&mut self, at: Instant, due: Due) {
        self.sequence += 1;
        self.flying.push(Flying { key: Reverse((at, self.sequence)), due });
    }

    /// When the next thing happens.
    pub(super) fn next(&self) -> Option<Instant> {
        let flow = self.flows.iter().filter(|flow| !flow.stopped);
        let flow = flow.filter_map(|flow| flow.reno.deadline()).min();
        let flying = self.flying.peek().map(|flying| flying.key.0.0);
        [flow, flying].into_iter().flatten().min()
    }

    /// What is due by `now`, one thing after another.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Due> {
        let due = self.flying.peek().is_some_and(|flying| flying.key.0.0 <= now);
        due.then(|| self.flying.pop().map(|flying| flying.due)).flatten()
    }

    /// A datagram leaves a host, on the road to another or, without one, over the plain link.
    pub(super) fn launch(&mut self, mut parcel: Parcel, ends: Option<(HostId, HostId)>) -> bool {
        if let Some(road) = ends.and_then(|ends| self.roads.get(&ends)) {
            return self.pass(parcel, road.clone(), 0);
        }
        let (len, now) = (parcel.bytes.len(), parcel.at);
        let fate = self.link(parcel.from, parcel.to).send(len, now);
        let copies = fate.copies.len();
        let whole = std::mem::take(&mut parcel.bytes);
        let mut rest = Some(whole);
        for (number, (at, flipped)) in fate.copies.into_iter().enumerate() {
            let last = number + 1 == copies;
            let bytes = if last { rest.take() } else { rest.clone() };
            let mut bytes = bytes.expect("bytes until the last copy");
            if let Some(bit) = flipped {
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            self.push(at, Due::Arrive(Parcel { at, bytes, ..parcel.clone() }));
        }
        true
    }

    /// A datagram is before a machine of its road. What leaves at once goes on at once. Returns
    /// whether nobody told its sender that it is too large.
    pub(super) fn pass(&mut self, parcel: Parcel, road: Arc<[StageId]>, next: usize) -> bool {
        let Some(stage) = road.get(next) else {
            self.push(parcel.at, Due::Arrive(parcel));
            return true;
        };
        let (now, mut out, mut taken) = (parcel.at, Vec::new(), true);
        self.stages[stage.0].pass(parcel, &mut out);
        for parcel in out {
            if parcel.refused {
                taken = false;
            } else if parcel.at == now {
                taken &= self.pass(parcel, road.clone(), next + 1);
            } else {
                self.push(parcel.at, Due::Pass(parcel, road.clone(), next + 1));
            }
        }
        taken
    }

    pub(super) fn begin_flow(&mut self, ways: [&[StageId]; 2], now: Instant) -> FlowId {
        let flow = FlowId(self.flows.len());
        self.flows.push(Flow { reno: Reno::default(), ways: ways.map(Into::into), stopped: false });
        let mut out = Vec::new();
        self.flows[flow.0].reno.send(now, &mut out);
        self.emit(flow, out, now);
        flow
    }

    pub(super) fn stop_flow(&mut self, flow: FlowId) {
        self.flows[flow.0].stopped = true;
    }

    /// Flows whose time is over.
    pub(super) fn expire_flows(&mut self, now: Instant) {
        for number in 0..self.flows.len() {
            let flow = &mut self.flows[number];
            let mut out = Vec::new();
            if !flow.stopped {
                flow.reno.expired(now, &mut out);
            }
            self.emit(FlowId(number), out, now);
        }
    }

    fn emit(&mut self, flow: FlowId, segments: Vec<Segment>, now: Instant) {
        for segment in segments {
            self.cross(flow, segment, true, 0, now);
        }
    }

    /// A segment (`forth`) or an answer is before the next machine of its way, or at its end.
    pub(super) fn cross(
        &mut self,
        id: FlowId,
        segment: Segment,
        forth: bool,
        next: usize,
        now: Instant,
    ) {
        let flow = &mut self.flows[id.0];
        if flow.stopped {
            return;
        }
        let way = flow.ways[usize::from(!forth)].clone();
        if let Some(stage) = way.get(next) {
            let nobody = SocketAddr::from(([192, 0, 2, 1], 5_001));
            let len = if forth { super::reno::SEGMENT } else { super::reno::ACK };
            let parcel = Parcel { at: now, ..Parcel::new(nobody, nobody, vec![0; len]) };
            let mut out = Vec::new();
            self.stages[stage.0].pass(parcel, &mut out);
            for parcel in out {
                self.push(parcel.at, Due::Cross(id, segment, forth, next + 1));
            }
        } else if forth {
            let answer = flow.reno.receive(segment);
            self.cross(id, answer, false, 0, now);
        } else {
            let mut out = Vec::new();
            flow.reno.answered(segment, now, &mut out);
            self.emit(id, out, now);
        }
    }
}
