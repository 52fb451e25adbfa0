//! Where the engine stands: one at a time works at it.
//!
//! The driver is there whenever it is awake. While it sleeps, whoever has work for it does that
//! work himself, on his own thread: what is written leaves without waking anybody first. The driver
//! is woken only if more is to be arranged than that: a stream to be opened, an earlier alarm, a
//! full socket, a long transfer.
//!
//! ```text
//!   handle ── work ─► driver awake?  ── yes ─► it takes the work in its next turn
//!                        │ no
//!                        ▼
//!                     errand here and now ── an earlier alarm, a full socket,
//!                                            more than two batches? ─► wake the driver
//! ```
//!
//! An errand that has sent something is the last one until the driver has had a turn: writes that
//! follow each other closely are gathered by the driver and do not leave one by one. And it is
//! short: two batches at most leave on the thread of whoever has the work, each one call to the
//! system and no more than the 64 KiB that such a call takes. A window that has room for more is
//! the driver's to fill, and it is woken.
//!
//! Who has to have an answer, because he opens a stream, gets it here and now as well, but nothing
//! leaves: the beginning of a stream belongs into the packet of its first bytes. And where the
//! driver runs next on the caller's own thread ([`Wire::is_near`]), only what goes on with a stream
//! is an errand, since it is written while the driver reads. For the rest the driver is woken, and
//! all that a task says until it waits leaves together.

use std::sync::{Arc, MutexGuard};
use std::task::Waker;

use aqueduct_core::time::Instant;

use crate::engine::{Engine, Turn, Wire};
use crate::figures::CoreFigures;
use crate::hub::Part;
use crate::threads::{Errand, Post};

/// An engine and its wire, behind a lock.
#[derive(Debug)]
pub struct Station<W> {
    desk: Post<Desk<W>>,
}

/// What one works with.
#[derive(Debug)]
pub struct Desk<W> {
    /// The loop body.
    pub engine: Engine,
    /// Its socket.
    pub wire: W,
    /// When the driver wakes by itself at the latest; the driver keeps it.
    pub alarm: Option<Instant>,
    /// An errand has sent something since the driver had a turn.
    sent: bool,
}

/// Somebody who runs an errand for a driver that sleeps, or wakes it.
pub(crate) trait Errands: Send + Sync {
    fn run(&self, sleeper: Waker, part: Part);

    /// Answers what is asked for; what follows of it is the driver's.
    fn ask(&self, sleeper: Option<Waker>);

    /// Asks the core for its figures; waits while somebody works there. `None`: it is broken.
    fn look(&self) -> Option<CoreFigures>;
}

impl<W: Wire + Send + 'static> Station<W> {
    /// Gives the engine its place. Its handles help from now on.
    pub fn new(engine: Engine, wire: W) -> Arc<Self> {
        let shared = engine.shared();
        let desk = Post::new(Desk { engine, wire, alarm: None, sent: false });
        let station = Arc::new(Self { desk });
        let helper: Arc<dyn Errands> = station.clone();
        shared.hub.helped_by(&helper);
        station
    }
}

impl<W> Station<W> {
    /// The driver's way in. Somebody else is there for no longer than one turn. `None`: a turn
    /// panicked, and the engine is not to be asked for anything more.
    pub fn enter(&self) -> Option<MutexGuard<'_, Desk<W>>> {
        self.desk.enter()
    }
}

impl<W: Wire + Send> Errands for Station<W> {
    fn run(&self, sleeper: Waker, part: Part) {
        if part == Part::Alone && W::is_near() {
            sleeper.wake();
        } else {
            self.desk.run(sleeper);
        }
    }

    fn ask(&self, sleeper: Option<Waker>) {
        self.desk.ask(sleeper);
    }

    fn look(&self) -> Option<CoreFigures> {
        Some(self.desk.enter()?.engine.core_figures())
    }
}

impl<W: Wire> Desk<W> {
    /// The driver's turn; see [`Engine::turn`]. From now on errands may send again.
    pub fn turn(&mut self) -> Turn {
        self.sent = false;
        self.engine.turn(&mut self.wire)
    }
}

impl<W: Wire> Errand for Desk<W> {
    fn errand(&mut self, sleeper: &Waker) -> bool {
        if self.sent || self.engine.is_blocked() {
            return false;
        }
        let before = self.engine.sends();
        let turn = self.engine.errand(&mut self.wire);
        self.sent = self.engine.sends() != before;
        let Turn::Sleep(until) = turn else { return false };
        let in_time = until.is_none_or(|until| self.alarm.is_some_and(|alarm| alarm <= until));
        in_time && !self.engine.is_blocked() && self.engine.sleep_on(sleeper)
    }

    fn answer(&mut self, sleeper: &mut Option<Waker>) {
        self.engine.look(sleeper);
    }
}

#[cfg(test)]
#[path = "station_tests.rs"]
mod tests;
