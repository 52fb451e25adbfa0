//! From UDP to TCP where UDP carries nothing, and back when it answers again (spec `12-tcp.md`).
//!
//! ```text
//!          3 probe timeouts in a row, and a path over TCP that answers
//!   UDP ────────────────────────────────────────────────────────▶ TCP
//!    ▲                                                             │ the initiator asks by UDP
//!    └──────────────── the challenge is answered ──────────────────┘ after 1 s, 2 s, … 32 s
//! ```
//!
//! TCP does not say that it is dead before minutes have passed. So a path over it is believed only
//! while it answers: it is asked when UDP falls silent, before data takes it, and when data has
//! left it, for the sake of what is still under way there. One that brings nothing is dropped, and
//! does not stand in the way of another. When the one in use falls silent, another is taken in the
//! same way, and UDP is asked at once. One that breaks while there is no other stays the path in
//! use, without a carrier, and is as good as silent.
//!
//! Either side may leave, for each knows best whether its own packets arrive; the other follows the
//! newest packet. Only the initiator leads back, so that the two never disagree for long. While the
//! peer has not followed a move of this side, its packets by other ways move nothing.

use core::time::Duration;

use smallvec::SmallVec;

use super::{BASE_SIZE, CarrierKind, PathEvent, Paths, Source};
use crate::time::Instant;
use crate::wire::id::{CarrierId, PathId};

/// Probe timeouts in a row after which data leaves a UDP path (spec R-TCP-10).
pub(crate) const SILENT_PROBES: u32 = 3;

/// Time between two challenges by UDP while data takes TCP: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(32);

/// UDP that carried data for so long since it came back has come back for good.
const FOR_GOOD: Duration = Duration::from_secs(60);

/// Time between two wishes for a path over TCP while all is well: it may not be there to be made.
const BETWEEN_WISHES: Duration = Duration::from_secs(60);

/// Time between two of them when one broke.
const BETWEEN_BREAKS: Duration = Duration::from_secs(1);

/// The way back to UDP, and a move of this side's that the peer may not have seen.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Detour {
    /// Whether this side leads back.
    leads: bool,
    /// The UDP path that data took, or may take.
    home: Option<PathId>,
    ask: Ask,
    pause: Duration,
    /// When data came back to UDP.
    returned: Option<Instant>,
    /// This side moved by its own wish, and the peer has not followed yet: it is given so long.
    moved_until: Option<Instant>,
    /// When a path over TCP was last wished for although all is well, or because one broke.
    wished: Option<Instant>,
}

/// Whether UDP is asked if it is there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Ask {
    /// Data takes it, or nothing is known of it.
    Never,
    /// Then.
    At(Instant),
    /// The challenge is under way.
    Now,
}

impl Detour {
    pub(super) const fn new() -> Self {
        Self {
            leads: false,
            home: None,
            ask: Ask::Never,
            pause: FIRST_PAUSE,
            returned: None,
            moved_until: None,
            wished: None,
        }
    }

    pub(super) fn is_home(&self, path: PathId) -> bool {
        self.home == Some(path)
    }

    /// Whether an answer from `path` leads data back to it.
    pub(super) fn awaits(&self, path: PathId) -> bool {
        self.is_home(path) && self.ask == Ask::Now
    }

    /// Data has left the UDP path `home`. One that was left soon after it had come back is trusted
    /// less.
    pub(super) fn on_left(&mut self, home: PathId, now: Instant) {
        let held = self.returned.is_none_or(|at| now.saturating_since(at) >= FOR_GOOD);
        self.pause =
            if held { FIRST_PAUSE } else { self.pause.saturating_mul(2).min(LONGEST_PAUSE) };
        self.home = Some(home);
        self.ask_after(self.pause, now);
    }

    /// Data takes UDP again.
    pub(super) fn on_returned(&mut self, now: Instant) {
        self.ask = Ask::Never;
        self.returned = Some(now);
    }

    /// A challenge by UDP was given up.
    pub(super) fn on_unanswered(&mut self, path: PathId, now: Instant) {
        if self.awaits(path) {
            self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
            self.ask_after(self.pause, now);
        }
    }

    /// The path over TCP in use is silent. UDP is asked now, if it was to be asked later, and where
    /// the peer speaks is better than here.
    fn on_astray(&mut self, now: Instant) {
        self.moved_until = None;
        if let Ask::At(at) = &mut self.ask {
            *at = now.min(*at);
        }
    }

    fn ask_after(&mut self, pause: Duration, now: Instant) {
        self.ask = if self.leads { Ask::At(now + pause) } else { Ask::Never };
    }

    /// A path is no more.
    pub(super) fn on_closed(&mut self, path: PathId) {
        if self.is_home(path) {
            (self.home, self.ask) = (None, Ask::Never);
        }
    }

    /// When UDP is to be asked.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self.ask {
            Ask::At(at) => Some(at),
            Ask::Never | Ask::Now => None,
        }
    }

    /// Whether the peer may not have followed a move of this side's yet: its packets by another way
    /// lead nowhere.
    pub(super) fn is_settling(&self, now: Instant) -> bool {
        self.moved_until.is_some_and(|until| now < until)
    }

    /// The peer speaks by the active path: it is where this side is.
    pub(super) const fn on_met(&mut self) {
        self.moved_until = None;
    }
}

impl Paths {
    /// Asks whether the peer is at the other end; a question that is pending begins anew if the
    /// path carried something since.
    pub(super) fn challenge_anew(&mut self, path: PathId, now: Instant) {
        let (token, pto) = (self.rng.bytes(), self.patience());
        if let Some(path) = self.get_mut(path) {
            path.validation.renew(token, path.last_heard, pto, now);
        }
    }

    /// Says whether this side leads back to UDP: the initiator does.
    pub fn set_leads(&mut self, leads: bool) {
        self.detour.leads = leads;
    }

    /// Another way to the peer, that this side knows of: TCP, to be there when UDP falls silent; or
    /// UDP, to be taken as soon as it answers, while data takes TCP. `None`: it is of no use.
    pub fn offer(
        &mut self,
        source: &Source,
        now: Instant,
    ) -> Option<(PathId, SmallVec<[PathEvent; super::MAX_PATHS]>)> {
        let by_tcp = self.active().source().kind == CarrierKind::Reliable;
        if source.kind == CarrierKind::Udp && !by_tcp {
            return None;
        }
        let (path, dropped) = self.find_or_open(source, now);
        if source.kind == CarrierKind::Udp {
            self.detour.home = Some(path);
            self.detour.ask = Ask::At(now);
        } else if !self.get(path)?.is_validated() {
            self.challenge(path, now);
        }
        Some((path, dropped.map(PathEvent::Dropped).into_iter().collect()))
    }

    /// The path in use seems to carry nothing: the others over TCP are asked whether they do, and
    /// so is UDP, if data had left it.
    pub fn on_silence(&mut self, now: Instant) {
        let others = self.refuges().map(super::Path::id);
        let others: SmallVec<[PathId; super::MAX_PATHS]> = others.collect();
        for path in others {
            self.challenge_anew(path, now);
        }
        if self.active().is_reliable() {
            self.detour.on_astray(now);
        }
    }

    /// The carrier of the path in use is gone, and there is no other way.
    pub fn on_broken(&mut self, now: Instant) {
        sometimes!("path: the only way has broken");
        self.active_mut().source.carrier = CarrierId::NONE;
        self.on_silence(now);
    }

    /// Whether a path over TCP is to be wished for now. Where the one in use has broken, the next
    /// may break as soon, so that is not done in one go.
    pub fn may_wish(&mut self, now: Instant) -> bool {
        if !self.active().is_broken() {
            return true;
        }
        let recent = |at: Instant| now.saturating_since(at) < BETWEEN_BREAKS;
        let may = !self.detour.wished.is_some_and(recent);
        self.detour.wished = if may { Some(now) } else { self.detour.wished };
        may
    }

    /// The path in use has carried nothing since then: data takes TCP, if there is another proven
    /// path that did.
    pub fn leave(&mut self, since: Instant, now: Instant) -> Option<PathEvent> {
        let active = self.active().id();
        let fits = |path: &super::Path| path.is_reliable() && path.last_heard > since;
        let to = self.heir(|path| path.id() != active && fits(path))?;
        self.move_by_own_wish(to, now)
    }

    /// The paths over a reliable carrier beside the one in use, proven or not.
    fn refuges(&self) -> impl Iterator<Item = &super::Path> {
        let active = self.active().id();
        self.iter().filter(move |path| path.is_reliable() && path.id() != active)
    }

    /// Whether there is one.
    pub fn has_refuge(&self) -> bool {
        self.refuges().next().is_some()
    }

    /// When a path over TCP is wished for although all is well, in a pause that begins at `pause`:
    /// by who dialled, if there is none.
    pub fn refuge_wish(&self, pause: Instant) -> Option<Instant> {
        let wishes = self.detour.leads && !self.iter().any(super::Path::is_reliable);
        let again = self.detour.wished.map(|at| at + BETWEEN_WISHES);
        wishes.then(|| again.map_or(pause, |again| again.max(pause)))
    }

    /// It was wished for.
    pub fn on_refuge_wished(&mut self, now: Instant) {
        self.detour.wished = Some(now);
    }

    /// The carriers that its paths go over.
    pub fn carriers(&self) -> impl Iterator<Item = CarrierId> {
        self.iter().filter(|path| !path.is_broken()).map(|path| path.source().carrier)
    }

    /// The proven path last heard from that leads by such a way.
    pub(super) fn heir(&self, fits: impl Fn(&super::Path) -> bool) -> Option<PathId> {
        let fit = self.iter().filter(|path| path.is_validated() && fits(path));
        fit.max_by_key(|path| path.last_heard).map(super::Path::id)
    }

    /// Moves, and overlooks for a while that the peer has not.
    pub(super) fn move_by_own_wish(&mut self, to: PathId, now: Instant) -> Option<PathEvent> {
        let event = self.move_to(to, now)?;
        let until = now + self.patience().saturating_mul(3);
        self.detour.moved_until = Some(until);
        Some(event)
    }

    /// Asks by UDP whether it is there again, when it is time.
    pub(super) fn ask_home(&mut self, now: Instant) {
        let due = self.detour.deadline().is_some_and(|at| at <= now);
        let Some(home) = self.detour.home.filter(|_| due) else { return };
        self.detour.ask = Ask::Now;
        if let Some(path) = self.get_mut(home) {
            // This side chose the address, so a challenge to it is owed to nobody's request.
            path.amplification.on_received(u64::from(BASE_SIZE));
        }
        self.challenge(home, now);
    }
}
