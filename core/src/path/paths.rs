//! The ways of one connection: which one is used, and what moves that.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use smallvec::SmallVec;

use crate::recovery::{PathOutcome, Rtt};
use crate::rng::Rng;
use crate::time::{Instant, earliest};
use crate::wire::ack::EcnCounts;
use crate::wire::frame::Frame;
use crate::wire::id::{CarrierId, PathId};
use crate::wire::packet::{Allowance, PacketWriter};

use super::detour::Detour;
use super::{
    BASE_SIZE, Budget, CarrierKind, LimitedBy, Need, Observed, Path, PathConfig, SizeChange, Source,
};

/// Paths of one connection, at most.
pub const MAX_PATHS: usize = 4;

/// Bytes of the smallest datagram that can hold a challenge and an answer, and some more.
const LEAST_CHALLENGE: u16 = 64;

/// What is told of a packet besides where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Its number is the highest so far.
    Newest,
    /// A later one came before it.
    Late,
}

/// What became of the set of paths when a packet arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The path it came on; `None` if it came late from an address that is not known.
    pub path: Option<PathId>,
    /// Whether that path is new: it needs a connection id of the peer's that no path has used.
    pub opened: bool,
    /// A path that gave way to it.
    pub dropped: Option<PathId>,
}

/// A turn in the life of the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathEvent {
    /// Data goes another way now. Packets in flight on the old way may yet arrive.
    Moved {
        /// The way so far.
        from: PathId,
        /// The way from now on.
        to: PathId,
    },
    /// A path is no more; its connection id is to be retired.
    Dropped(PathId),
}

/// What the loss of a carrier means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CarrierLoss {
    /// Data still has its way. These paths are gone.
    Survived(SmallVec<[PathEvent; MAX_PATHS]>),
    /// There is no way left. Nothing was changed.
    Fatal,
}

/// The ways of one connection. There is always an active one.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Paths {
    pub(super) config: PathConfig,
    pub(super) paths: Vec<Path>,
    active: PathId,
    candidate: Option<Candidate>,
    /// When an answer to a challenge last went past the congestion window.
    answered: Option<Instant>,
    pub(super) detour: Detour,
    next_id: u32,
    pub(super) rng: Rng,
    observed: Observed,
    max_ack_delay: Duration,
    max_datagram: u16,
    /// The peer's newest counts of ECN marks, over all paths.
    ecn: EcnCounts,
}

/// The path that is to become active once it is validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Candidate {
    path: PathId,
    wish: Wish,
}

/// Who wants the move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Wish {
    Ours,
    Peers,
}

impl Paths {
    /// A connection whose handshake runs over `source`. `rng` is for public bytes.
    pub fn new(config: &PathConfig, source: Source, rng: Rng, now: Instant) -> Self {
        let id = PathId(0);
        let ecn = EcnCounts::default();
        Self {
            config: *config,
            paths: alloc::vec![Path::new(id, source, config, ecn, now)],
            active: id,
            candidate: None,
            answered: None,
            detour: Detour::new(),
            next_id: 1,
            rng,
            observed: Observed::new(),
            max_ack_delay: Duration::from_millis(25),
            max_datagram: u16::MAX,
            ecn,
        }
    }

    /// The path that data takes.
    pub fn active(&self) -> &Path {
        self.position(self.active).and_then(|at| self.paths.get(at)).unwrap_or_else(|| self.first())
    }

    /// The path that data takes.
    pub fn active_mut(&mut self) -> &mut Path {
        let at = self.position(self.active).unwrap_or(0);
        debug_assert!(at < self.paths.len(), "the active path is never dropped");
        #[expect(clippy::indexing_slicing, reason = "the active path is never dropped")]
        &mut self.paths[at]
    }

    fn first(&self) -> &Path {
        debug_assert!(false, "the active path is never dropped");
        #[expect(clippy::indexing_slicing, reason = "there is always an active path")]
        &self.paths[0]
    }

    /// A path, if it still is one.
    pub fn get(&self, id: PathId) -> Option<&Path> {
        self.position(id).and_then(|at| self.paths.get(at))
    }

    /// A path, if it still is one.
    pub fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        self.position(id).and_then(|at| self.paths.get_mut(at))
    }

    /// All paths, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter()
    }

    /// The path that data will take once it is validated.
    pub fn candidate(&self) -> Option<PathId> {
        self.candidate.map(|candidate| candidate.path)
    }

    /// The peer's parameters: it takes datagrams of up to `max_packet_size` bytes, and delays an
    /// ACK by at most `max_ack_delay`.
    pub fn on_peer_limits(&mut self, max_packet_size: u16, max_ack_delay: Duration) {
        self.max_ack_delay = max_ack_delay;
        self.max_datagram = max_packet_size.max(BASE_SIZE);
        for path in &mut self.paths {
            path.max_ack_delay = max_ack_delay;
            path.size.limit(self.max_datagram);
            path.follow_size();
        }
    }

    /// The handshake or a cookie has shown that the peer is at the active path's other end.
    pub fn on_address_proven(&mut self) {
        let path = self.active_mut();
        path.amplification.validate();
        let source = *path.source();
        self.observe(&source);
    }

    /// An authentic packet of a datagram of `bytes` came. Called before its frames are looked at.
    pub fn on_packet(
        &mut self,
        source: &Source,
        bytes: usize,
        arrival: Arrival,
        now: Instant,
    ) -> Seen {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let known = self.paths.iter_mut().find(|path| path.source.is_same_way(source));
        if let Some(path) = known {
            path.on_received(bytes, now);
            return Seen { path: Some(path.id), opened: false, dropped: None };
        }
        // Between TCP and UDP order says nothing.
        if arrival == Arrival::Late && source.kind == CarrierKind::Udp {
            return Seen { path: None, opened: false, dropped: None };
        }
        let (id, dropped) = self.open(*source, now);
        if let Some(path) = self.get_mut(id) {
            path.on_received(bytes, now);
        }
        if source.kind == CarrierKind::Reliable {
            // TCP has proven the address; this proves that it is the peer who is there.
            self.challenge(id, now);
        }
        Seen { path: Some(id), opened: true, dropped }
    }

    /// The packet that came on `path` had the highest number so far and carried more than probing
    /// frames (PATH_CHALLENGE, PATH_RESPONSE, NEW_CID, PADDING): the peer is there.
    pub fn on_moving_packet(&mut self, path: PathId, now: Instant) -> Option<PathEvent> {
        if path == self.active {
            self.detour.on_met();
            self.candidate.take_if(|candidate| candidate.wish == Wish::Peers);
            if !self.active().is_validated() {
                self.challenge(path, now);
            }
            return None;
        }
        if self.detour.is_settling(now) {
            sometimes!("path: a packet that crossed a move leads nowhere");
            return None;
        }
        let validated = self.get(path)?.is_validated();
        if validated {
            return self.move_to(path, now);
        }
        let known = self.candidate == Some(Candidate { path, wish: Wish::Peers });
        self.candidate = Some(Candidate { path, wish: Wish::Peers });
        self.challenge(path, now);
        if !known {
            // If the peer is still at the old address, it answers from there, and that leads back.
            self.challenge(self.active, now);
        }
        None
    }

    /// Begins to move to another way by this side's own wish. Data follows when that is validated;
    /// at once, if it is already. A path to `source` that exists is used.
    pub fn migrate(
        &mut self,
        source: &Source,
        now: Instant,
    ) -> (PathId, SmallVec<[PathEvent; MAX_PATHS]>) {
        let (path, dropped) = self.find_or_open(source, now);
        let mut events: SmallVec<_> = dropped.map(PathEvent::Dropped).into_iter().collect();
        if self.get(path).is_some_and(Path::is_validated) {
            events.extend(self.move_by_own_wish(path, now));
        } else {
            self.candidate = Some(Candidate { path, wish: Wish::Ours });
            if let Some(path) = self.get_mut(path) {
                // This side chose the address, so a challenge to it is owed to nobody's request.
                path.amplification.on_received(u64::from(BASE_SIZE));
            }
            self.challenge(path, now);
        }
        (path, events)
    }

    /// Forgets a path that cannot be used, for instance because no connection id is left for it.
    /// Not the active one.
    pub fn close(&mut self, path: PathId) {
        if path != self.active {
            self.candidate.take_if(|candidate| candidate.path == path);
            self.detour.on_closed(path);
            self.paths.retain(|known| known.id != path);
        }
    }

    /// PATH_CHALLENGE came on `path`.
    pub fn on_challenge(&mut self, path: PathId, token: [u8; 8], now: Instant) {
        let (pto, active) = (self.patience(), self.active == path);
        if let Some(path) = self.get_mut(path) {
            let held_back = active || path.is_reliable();
            if held_back || path.asked.is_heard(pto, now) {
                path.validation.on_challenge(token);
            }
        }
    }

    /// Whether this is the answer of a path over TCP that was asked.
    pub fn is_answer_by_tcp(&self, token: [u8; 8]) -> bool {
        self.paths.iter().any(|path| path.is_reliable() && path.validation.asks(token))
    }

    /// PATH_RESPONSE came, on whatever path.
    pub fn on_response(&mut self, token: [u8; 8], now: Instant) -> Option<PathEvent> {
        let path = self.paths.iter_mut().find_map(|path| {
            path.validation.on_response(token).then(|| {
                path.amplification.validate();
                path.id
            })
        })?;
        let ours = Candidate { path, wish: Wish::Ours };
        if self.detour.awaits(path) || self.candidate == Some(ours) {
            self.move_by_own_wish(path, now)
        } else if self.candidate() == Some(path) {
            self.move_to(path, now)
        } else {
            None
        }
    }

    /// OBSERVED_ADDRESS came. Returns whether it is news.
    pub fn on_observed(&mut self, sequence: u64, address: SocketAddr) -> bool {
        self.observed.on_frame(sequence, address)
    }

    /// Where the peer sees this side's packets come from, by what it says.
    pub fn reported_address(&self) -> Option<SocketAddr> {
        self.observed.reported()
    }

    /// A packet with OBSERVED_ADDRESS arrived.
    pub fn on_observed_acked(&mut self, sequence: u64) {
        self.observed.on_acked(sequence);
    }

    /// A packet with OBSERVED_ADDRESS was lost.
    pub fn on_observed_lost(&mut self, sequence: u64) {
        self.observed.on_lost(sequence);
    }

    /// Takes in what became of the packets of one path; see [`Path::on_outcome`].
    pub fn on_outcome(&mut self, outcome: &PathOutcome, now: Instant) -> SizeChange {
        self.ecn = outcome.ecn.unwrap_or(self.ecn);
        self.get_mut(outcome.path).map_or(SizeChange::None, |path| path.on_outcome(outcome, now))
    }

    /// What may leave on the active path now, with `in_flight` bytes under way on it.
    pub fn budget(&mut self, need: Need, in_flight: u64, now: Instant) -> Budget {
        self.active_mut().budget(need, in_flight, now)
    }

    /// A path that is not active and has a challenge or an answer to send, and room to. One packet
    /// of at most [`BASE_SIZE`] goes there, which [`Paths::write`] fills; less if no more is
    /// allowed, for a peer that only receives says little from its new address (RFC 9000, 8.2.1).
    /// Paths that `usable` says no to must wait.
    pub fn side_budget(&self, usable: impl Fn(&Path) -> bool) -> Option<Budget> {
        let allowed = |path: &Path| {
            path.amplification.remaining().try_into().map_or(BASE_SIZE, |it: u16| it.min(BASE_SIZE))
        };
        let ready = |path: &&Path| {
            let asks = path.id != self.active && path.validation.has_news();
            asks && allowed(path) >= LEAST_CHALLENGE && usable(path)
        };
        let path = self.paths.iter().find(ready)?;
        Some(Budget {
            path: path.id,
            allowance: Allowance::Everything,
            datagram_size: allowed(path),
            max_datagrams: 1,
            limited_by: LimitedBy::Batch,
        })
    }

    /// The active path, if it has a challenge or an answer to send: as [`Paths::side_budget`]. For
    /// when the window is full: its ACKs may go to an address where this side no longer is, and
    /// nothing but this answer shows the peer the new one. Once each probe timeout, as an honest
    /// peer asks: who asks for more and acknowledges nothing must not have us remember packets.
    pub fn answer_budget(&mut self, now: Instant) -> Option<Budget> {
        let pto = self.active().pto();
        if self.answered.is_some_and(|at| now.saturating_since(at) < pto) {
            return None;
        }
        let path = Some(self.active()).filter(|path| path.validation.has_news())?;
        let budget = (path.amplification.remaining() >= u64::from(BASE_SIZE)).then_some(Budget {
            path: path.id,
            allowance: Allowance::Everything,
            datagram_size: BASE_SIZE,
            max_datagrams: 1,
            limited_by: LimitedBy::Batch,
        });
        self.answered = budget.map(|_| now).or(self.answered);
        budget
    }

    /// Writes what is to be said on `path`. A packet with a challenge or an answer is filled up
    /// with padding to [`BASE_SIZE`], for a path that does not carry that much is none (RFC 9000,
    /// 8.2.1).
    pub fn write(&mut self, path: PathId, packet: &mut PacketWriter<'_>, now: Instant) {
        let active = path == self.active;
        if active {
            self.observed.write(packet);
        }
        let Some(path) = self.get_mut(path) else { return };
        let answers = path.validation.is_asked();
        let spare = path.source.kind == CarrierKind::Reliable;
        if !path.validation.write(packet, now) {
            return;
        }
        if active && answers {
            // Says that this side is here: an answer alone would not lead the peer back.
            let _ = packet.write(&Frame::Ping);
        }
        let extra = usize::from(path.size.datagram_size().saturating_sub(BASE_SIZE));
        let len = packet.room().saturating_sub(if active { extra } else { 0 });
        if len > 0 && !spare {
            let _ = packet.write(&Frame::Padding { len });
        }
    }

    /// The driver lost a carrier.
    pub fn on_carrier_closed(&mut self, carrier: CarrierId, now: Instant) -> CarrierLoss {
        let mut events = SmallVec::new();
        if self.active().source.carrier == carrier {
            let heir = self.heir(|path| path.source.carrier != carrier);
            let Some(heir) = heir else { return CarrierLoss::Fatal };
            events.extend(self.move_by_own_wish(heir, now));
        }
        let gone = self.paths.iter().filter(|path| path.source.carrier == carrier);
        let gone: SmallVec<[PathId; MAX_PATHS]> = gone.map(Path::id).collect();
        for path in gone {
            self.close(path);
            events.push(PathEvent::Dropped(path));
        }
        CarrierLoss::Survived(events)
    }

    /// When [`Paths::on_deadline`] wants to be called.
    pub fn deadline(&self) -> Option<Instant> {
        let of_paths = self.paths.iter().flat_map(|path| [path.deadline(), self.silent_at(path)]);
        earliest(of_paths.chain([self.detour.deadline()]))
    }

    /// Time has passed: challenges are sent again or given up, silent paths dropped, sizes tried
    /// again.
    pub fn on_deadline(&mut self, now: Instant) -> SmallVec<[PathEvent; MAX_PATHS]> {
        let mut gone = SmallVec::<[PathId; MAX_PATHS]>::new();
        let mut asked_again = gone.clone();
        for path in &mut self.paths {
            let given_up = path.on_deadline(now);
            let Some(overdue) = given_up.filter(|_| path.id != self.active) else { continue };
            if self.detour.is_home(path.id) {
                self.detour.on_unanswered(path.id, now);
            } else if !path.is_validated() {
                gone.push(path.id);
            } else if path.is_reliable() {
                // At first there may come what was under way before.
                if path.last_heard > overdue {
                    asked_again.push(path.id);
                } else {
                    sometimes!("path: a way by TCP that does not answer is given up");
                    gone.push(path.id);
                }
            }
        }
        for path in asked_again {
            sometimes!("path: a way by TCP that is slow to answer is kept");
            self.challenge(path, now);
        }
        self.ask_home(now);
        let silent = |path: &&Path| self.silent_at(path).is_some_and(|at| at <= now);
        gone.extend(self.paths.iter().filter(silent).map(Path::id));
        gone.dedup();
        let mut events = SmallVec::new();
        for path in gone {
            self.close(path);
            events.push(PathEvent::Dropped(path));
        }
        events
    }

    /// When a path that nobody uses is dropped: 3 PTO after it was last heard from.
    fn silent_at(&self, path: &Path) -> Option<Instant> {
        let used = path.id == self.active
            || self.candidate() == Some(path.id)
            || path.validation.is_pending()
            || self.detour.is_home(path.id)
            || path.is_reliable();
        (!used).then(|| path.last_heard + self.patience().saturating_mul(3))
    }

    /// The longer of the active path's probe timeout and that of a path of which nothing is known.
    pub(super) fn patience(&self) -> Duration {
        self.active().pto().max(Rtt::new().pto(self.max_ack_delay))
    }

    fn position(&self, id: PathId) -> Option<usize> {
        self.paths.iter().position(|path| path.id == id)
    }

    /// The path by that way; one is made if there is none, for which another may have to give way.
    pub(super) fn find_or_open(
        &mut self,
        source: &Source,
        now: Instant,
    ) -> (PathId, Option<PathId>) {
        let known = self.paths.iter().find(|path| path.source.is_same_way(source)).map(Path::id);
        known.map_or_else(|| self.open(*source, now), |path| (path, None))
    }

    /// Makes a path; the least useful gives way if there are too many.
    fn open(&mut self, source: Source, now: Instant) -> (PathId, Option<PathId>) {
        let dropped = if self.paths.len() < MAX_PATHS { None } else { self.least_useful() };
        if let Some(path) = dropped {
            self.close(path);
        }
        let id = PathId(self.next_id);
        self.next_id = self.next_id.saturating_add(1);
        let mut path = Path::new(id, source, &self.config, self.ecn, now);
        path.max_ack_delay = self.max_ack_delay;
        path.size.limit(self.max_datagram);
        self.paths.push(path);
        (id, dropped)
    }

    /// What gives way: first what is not validated, then what was silent longest; never the active
    /// path, and the way between UDP and TCP last.
    fn least_useful(&self) -> Option<PathId> {
        let idle = self.paths.iter().filter(|path| path.id != self.active);
        let kept = |path: &Path| path.is_reliable() || self.detour.is_home(path.id);
        idle.min_by_key(|path| (path.is_validated(), kept(path), path.last_heard, path.id))
            .map(Path::id)
    }

    pub(super) fn challenge(&mut self, path: PathId, now: Instant) {
        let token = self.rng.bytes();
        let pto = self.patience();
        if let Some(path) = self.get_mut(path) {
            path.validation.start(token, pto, now);
        }
    }

    pub(super) fn move_to(&mut self, to: PathId, now: Instant) -> Option<PathEvent> {
        let from = self.active;
        if from == to {
            return None;
        }
        let old = self.active().clone();
        let (config, ecn) = (self.config, self.ecn);
        let path = self.get_mut(to)?;
        let source = path.source;
        match (old.source.kind, source.kind) {
            (CarrierKind::Reliable, CarrierKind::Udp) => {
                sometimes!("path: data returns to UDP");
                path.begin_anew(&config, ecn, now);
                self.detour.on_returned(now);
                // Whether what is under way there arrives.
                self.challenge(from, now);
            }
            (CarrierKind::Udp, CarrierKind::Reliable) => {
                sometimes!("path: data leaves UDP for TCP");
                self.detour.on_left(from, now);
            }
            (CarrierKind::Reliable, CarrierKind::Reliable) => {
                sometimes!("path: data leaves one way by TCP for another");
                self.challenge(from, now);
            }
            _ if source.is_rebound(&old.source) => {
                sometimes!("path: a peer has moved to another port");
                path.inherit(&old, now);
            }
            _ => {
                sometimes!("path: a peer has moved to another address");
                path.forget_probe();
            }
        }
        self.active = to;
        self.candidate = None;
        self.observe(&source);
        Some(PathEvent::Moved { from, to })
    }

    fn observe(&mut self, source: &Source) {
        if source.kind == CarrierKind::Udp {
            self.observed.observe(source.remote);
        }
    }
}

#[cfg(test)]
#[path = "paths_tests.rs"]
mod tests;
