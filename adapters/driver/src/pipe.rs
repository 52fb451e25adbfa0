//! Pipes as their handles see them: what the driver forwards while nobody looks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use aqueduct_core::endpoint::{PipeEventKind, PipeId};
use aqueduct_core::pipe::{EndedLeg, LegEnd, LegIndex, LegPolicy, PipeOptions, PipeStats};
use aqueduct_core::wire::id::AppCode;

use crate::endpoint::Endpoint;
use crate::error::PipeError;
use crate::hub::{Command, Shared};
use crate::recv::{RecvHalf, Source};
use crate::send::{Leg, SendHalf};
use crate::wait::{Reply, Waiters, Wakers, lock, question, until};

pub(crate) struct PipeShared {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: OnceLock<PipeId>,
    state: Mutex<PipeState>,
}

#[derive(Default)]
struct PipeState {
    /// By leg, but for those of parts that were told of.
    ends: BTreeMap<LegIndex, EndedLeg>,
    /// What it had done when it was over.
    over: Option<Option<PipeStats>>,
    waiting: Waiters,
}

/// What the driver is to do with pipes.
pub(crate) enum PipeWish {
    /// Begin one.
    Start {
        pipe: Arc<PipeShared>,
        source: Source,
        legs: Vec<Leg>,
        options: PipeOptions,
        /// The application reads it as well.
        tapped: bool,
        /// More legs are to come.
        gathers: bool,
        reply: Reply<Result<Option<RecvHalf>, PipeError>>,
    },
    /// One leg more.
    Add {
        pipe: Arc<PipeShared>,
        leg: Leg,
        policy: LegPolicy,
        /// Its connection is not held when it has ended.
        part: bool,
        reply: Reply<Result<LegIndex, PipeError>>,
    },
    /// Where it stands.
    Stats { pipe: Arc<PipeShared>, reply: Reply<PipeStats> },
    /// What a leg was sent, if it has not ended.
    Sent { pipe: Arc<PipeShared>, leg: LegIndex, reply: Reply<u64> },
    /// All its first legs are there.
    Joined { pipe: Arc<PipeShared> },
    /// Another rate.
    Rate { pipe: Arc<PipeShared>, rate: Option<u64> },
    /// Give it up.
    Cancel { pipe: Arc<PipeShared>, code: AppCode },
}

impl PipeShared {
    /// For the driver: news from the core.
    pub(crate) fn on_event(&self, kind: PipeEventKind) {
        match kind {
            PipeEventKind::LegEnded { leg, end, sent } => {
                self.update(|state| _ = state.ends.insert(leg, EndedLeg { leg, end, sent }));
            }
            PipeEventKind::Ended(stats) => self.end(Some(stats)),
            _ => {}
        }
    }

    /// For the driver: it is over, or will never be told of again.
    pub(crate) fn end(&self, stats: Option<PipeStats>) {
        self.update(|state| _ = state.over.get_or_insert(stats));
    }

    fn update(&self, change: impl FnOnce(&mut PipeState)) {
        let wakers: Wakers = {
            let mut state = lock(&self.state);
            change(&mut state);
            state.waiting.take()
        };
        wakers.wake();
    }
}

/// A pipe that flows. Dropping the handle does not end it: it flows on until its source and its
/// legs have ended, and holds their connections open until then. Clones are handles of the same.
#[derive(Clone)]
pub struct Pipe {
    shared: Arc<PipeShared>,
}

impl Endpoint {
    /// Forwards what comes on `source` to every leg, while it comes, gaps or not. The streams are
    /// the driver's from now on. Each leg's introduction must have been made by
    /// [`OpenOptions::forwarded`], so that its hop limit is below the source's.
    ///
    /// # Errors
    /// [`PipeError`]; the streams are given up.
    ///
    /// [`OpenOptions::forwarded`]: aqueduct_core::stream::OpenOptions::forwarded
    pub async fn pipe(
        &self,
        source: RecvHalf,
        legs: Vec<SendHalf>,
        options: PipeOptions,
    ) -> Result<Pipe, PipeError> {
        Ok(self.begin(source, legs, options, [false, false]).await?.0)
    }

    /// The same where more legs are to come: until [`Pipe::all_joined`] all that comes is held for
    /// them.
    pub(crate) async fn pipe_gathering(
        &self,
        source: RecvHalf,
        legs: Vec<SendHalf>,
        options: PipeOptions,
    ) -> Result<Pipe, PipeError> {
        Ok(self.begin(source, legs, options, [false, true]).await?.0)
    }

    /// The same, and what is forwarded can be read here as well, in order: to store while it goes
    /// on. Bytes that were not read hold the source back, as those of any leg; who drops what is
    /// returned reads no more, and the pipe flows on. There need be no other leg.
    ///
    /// # Errors
    /// [`PipeError`]; the streams are given up.
    pub async fn pipe_and_read(
        &self,
        source: RecvHalf,
        legs: Vec<SendHalf>,
        options: PipeOptions,
    ) -> Result<(Pipe, RecvHalf), PipeError> {
        let (pipe, reader) = self.begin(source, legs, options, [true, false]).await?;
        Ok((pipe, reader.ok_or(PipeError::DriverGone)?))
    }

    async fn begin(
        &self,
        source: RecvHalf,
        legs: Vec<SendHalf>,
        options: PipeOptions,
        [tapped, gathers]: [bool; 2],
    ) -> Result<(Pipe, Option<RecvHalf>), PipeError> {
        let (id, state) = (OnceLock::new(), Mutex::default());
        let pipe = Arc::new(PipeShared { shared: self.shared().clone(), id, state });
        let (source, legs) = (source.into_source(), legs.into_iter().map(SendHalf::into_leg));
        let (legs, shared) = (legs.collect(), pipe.clone());
        let start = |reply| PipeWish::Start { pipe, source, legs, options, tapped, gathers, reply };
        let reader = ask(self.shared(), start).await.ok_or(PipeError::DriverGone)??;
        Ok((Pipe { shared }, reader))
    }
}

impl Pipe {
    /// Adds a leg: it gets what is still held from its OPEN's `start` on, and all that comes.
    ///
    /// # Errors
    /// [`PipeError`]; the stream is given up.
    pub async fn add_leg(
        &self,
        leg: impl Into<SendHalf>,
        policy: LegPolicy,
    ) -> Result<LegIndex, PipeError> {
        let (pipe, leg) = (self.shared.clone(), leg.into().into_leg());
        let add = |reply| PipeWish::Add { pipe, leg, policy, part: false, reply };
        ask(&self.shared.shared, add).await.ok_or(PipeError::DriverGone)?
    }

    /// The same for a part of the body: nothing of it stays when it has ended.
    pub(crate) async fn add_part(
        &self,
        leg: SendHalf,
        policy: LegPolicy,
    ) -> Result<LegIndex, PipeError> {
        let (pipe, leg) = (self.shared.clone(), leg.into_leg());
        let add = |reply| PipeWish::Add { pipe, leg, policy, part: true, reply };
        ask(&self.shared.shared, add).await.ok_or(PipeError::DriverGone)?
    }

    /// Waits for the end of a part, and forgets it. Returns how many bytes were sent of it, if the
    /// driver did not end first.
    pub(crate) async fn part_ended(&self, leg: LegIndex) -> Option<u64> {
        let ended = self.ended_leg(leg).await;
        lock(&self.shared.state).ends.remove(&leg);
        Some(ended?.sent)
    }

    /// Bytes that were sent of a part that has not ended.
    pub(crate) async fn part_sent(&self, leg: LegIndex) -> Option<u64> {
        let pipe = self.shared.clone();
        ask(&self.shared.shared, |reply| PipeWish::Sent { pipe, leg, reply }).await
    }

    /// Where it stands. After the end, what it had done. `None` if the driver has ended first.
    pub async fn stats(&self) -> Option<PipeStats> {
        let pipe = self.shared.clone();
        match ask(&self.shared.shared, |reply| PipeWish::Stats { pipe, reply }).await {
            Some(stats) => Some(stats),
            None => lock(&self.shared.state).over.flatten(),
        }
    }

    /// Waits for the end of a leg. `None` if the driver ended first. Cancel-safe.
    pub async fn leg_ended(&self, leg: LegIndex) -> Option<LegEnd> {
        Some(self.ended_leg(leg).await?.end)
    }

    async fn ended_leg(&self, leg: LegIndex) -> Option<EndedLeg> {
        let look = |state: &mut PipeState| match state.ends.get(&leg) {
            Some(end) => Some(Some(*end)),
            None => state.over.map(|_| None),
        };
        until(&self.shared.state, |state| &mut state.waiting, look).await
    }

    /// Waits until the source and all legs have ended. `None` if the driver ended first.
    /// Cancel-safe.
    pub async fn ended(&self) -> Option<PipeStats> {
        let look = |state: &mut PipeState| state.over;
        until(&self.shared.state, |state| &mut state.waiting, look).await
    }

    /// Another rate for the source from now on, in bytes a second; `None`: as fast as it goes.
    pub fn set_rate(&self, rate: Option<u64>) {
        self.tell(PipeWish::Rate { pipe: self.shared.clone(), rate });
    }

    /// All legs are there that [`Endpoint::pipe_gathering`] waits for.
    pub(crate) fn all_joined(&self) {
        self.tell(PipeWish::Joined { pipe: self.shared.clone() });
    }

    /// Gives the pipe up: its legs are reset and its source is stopped with `code`.
    pub fn cancel(&self, code: AppCode) {
        self.tell(PipeWish::Cancel { pipe: self.shared.clone(), code });
    }

    fn tell(&self, wish: PipeWish) {
        let _gone = self.shared.shared.hub.push(Command::Pipe(Box::new(wish)));
    }
}

/// Asks the driver. `None`: it has ended, or has nothing to answer with.
async fn ask<T>(shared: &Shared, wish: impl FnOnce(Reply<T>) -> PipeWish) -> Option<T> {
    let (reply, answer) = question();
    if shared.hub.push(Command::Pipe(Box::new(wish(reply)))).is_err() {
        return None;
    }
    answer.await
}

impl std::fmt::Debug for Pipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pipe").field(&self.shared.id.get()).finish()
    }
}
