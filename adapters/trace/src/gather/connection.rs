//! A connection, as it was seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use aqueduct_core::connection::SendLimit;
use aqueduct_core::tape::Slot;
use aqueduct_core::trace::{Vitals, Way};
use aqueduct_core::wire::id::StreamId;

use super::curve::Curve;
use super::lane::Lane;
use super::moments::Moments;
use super::stream::Stream;

/// A connection. Times are microseconds since the run began.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) slot: Slot,
    pub(crate) dialled: bool,
    /// Who the peer is, in hex, and where.
    pub(crate) peer: Option<String>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) connected: Option<u64>,
    /// Of its handshake: the same at the other end.
    pub(crate) hash: Option<[u8; 32]>,
    pub(crate) moments: Moments,
    /// Why it ended.
    pub(crate) closed: Option<String>,
    pub(crate) sums: Sums,
    pub(crate) curves: Curves,
    pub(crate) lane: Lane,
    pub(crate) streams: BTreeMap<u64, Stream>,
    /// Samples of the round-trip time, nanoseconds.
    pub(crate) samples: Vec<u64>,
    /// How long each thing kept it from sending, microseconds.
    pub(crate) limits: BTreeMap<&'static str, u64>,
    limited: Option<(SendLimit, u64)>,
    span: u64,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// Packets and bytes, there and back.
    pub(crate) packets: [u64; 2],
    pub(crate) bytes: [u64; 2],
    pub(crate) acked: u64,
    pub(crate) lost: u64,
    pub(crate) late: u64,
    /// Packets with bytes of streams that had gone before.
    pub(crate) again: u64,
    /// Bytes of streams: new ones, and those that went or came again; of the streams' own sums.
    pub(crate) moved: [u64; 2],
    pub(crate) repeated: [u64; 2],
    pub(crate) timeouts: u64,
}

impl Sums {
    pub(crate) fn on_packet(&mut self, way: Way, size: u64) {
        let side = usize::from(way == Way::Received);
        if let (Some(packets), Some(bytes)) = (self.packets.get_mut(side), self.bytes.get_mut(side))
        {
            *packets += 1;
            *bytes = bytes.saturating_add(size);
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.packets, other.packets),
            (&mut self.bytes, other.bytes),
            (&mut self.moved, other.moved),
            (&mut self.repeated, other.repeated),
        ] {
            let pairs = mine.iter_mut().zip(theirs);
            pairs.for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
        }
        self.acked += other.acked;
        self.lost += other.lost;
        self.late += other.late;
        self.again += other.again;
        self.timeouts += other.timeouts;
    }
}

/// What is drawn over time: bytes, bytes a second, nanoseconds.
#[derive(Debug)]
pub(crate) struct Curves {
    pub(crate) window: Curve,
    pub(crate) flight: Curve,
    pub(crate) threshold: Curve,
    pub(crate) pacing: Curve,
    pub(crate) held: Curve,
    pub(crate) latest: Curve,
    pub(crate) smoothed: Curve,
    pub(crate) least: Curve,
}

impl Curves {
    fn new(span: u64, slices: usize) -> Self {
        let curve = || Curve::new(span, slices);
        Self {
            window: curve(),
            flight: curve(),
            threshold: curve(),
            pacing: curve(),
            held: curve(),
            latest: curve(),
            smoothed: curve(),
            least: curve(),
        }
    }
}

impl Connection {
    pub(crate) fn new(slot: Slot, span: u64, slices: usize, now: u64) -> Self {
        Self {
            slot,
            dialled: false,
            peer: None,
            remote: None,
            from: now,
            until: now,
            connected: None,
            hash: None,
            moments: Moments::default(),
            closed: None,
            sums: Sums::default(),
            curves: Curves::new(span, slices),
            lane: Lane::new(span),
            streams: BTreeMap::new(),
            samples: Vec::new(),
            limits: BTreeMap::new(),
            limited: None,
            span,
        }
    }

    /// `slot.generation`, as `trace show` says it.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.slot.0, self.slot.1)
    }

    pub(crate) fn stream(&mut self, id: StreamId, now: u64) -> &mut Stream {
        self.streams.entry(id.0).or_insert_with(|| Stream::new(id, self.span, now))
    }

    pub(crate) fn on_vitals(&mut self, vitals: &Vitals, now: u64) {
        self.remote = Some(vitals.remote);
        self.sums.timeouts = vitals.timeouts;
        let curves = &mut self.curves;
        curves.window.set(now, vitals.window);
        curves.flight.set(now, vitals.flight);
        if let Some(threshold) = vitals.threshold {
            curves.threshold.set(now, threshold);
        }
        curves.pacing.set(now, vitals.pacing);
        curves.held.set(now, vitals.held);
        if let Some(rtt) = vitals.rtt {
            let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(0);
            curves.latest.set(now, nanos(rtt.latest));
            curves.smoothed.set(now, nanos(rtt.smoothed));
            curves.least.set(now, nanos(rtt.min));
            if self.samples.last() != Some(&nanos(rtt.latest)) {
                self.samples.push(nanos(rtt.latest));
            }
        }
        self.on_limit(Some(vitals.limited_by), now);
    }

    /// What keeps it from sending has changed, perhaps.
    pub(crate) fn on_limit(&mut self, limit: Option<SendLimit>, now: u64) {
        if let Some((before, since)) = self.limited {
            *self.limits.entry(before.name()).or_default() += now.saturating_sub(since);
        }
        self.limited = limit.map(|limit| (limit, now));
    }
}
