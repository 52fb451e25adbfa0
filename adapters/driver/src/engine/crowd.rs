//! Whether work that was brought is worth waiting a moment for more of it: of 64 tasks that got an
//! answer each asks again, and what they write leaves in few packets if they come before the
//! driver's next turn.

/// Readers that got something at once and are worth waiting for, if one of them writes.
const WORTH: usize = 4;

/// How many may be about to bring work.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Looks into streams for readers in one turn, when there last were any: one that has just
    /// come may count twice.
    told: usize,
    /// In this turn.
    telling: usize,
    /// Somebody was answered since the last turn, and what follows of it is not sent yet.
    asked: bool,
}

impl Crowd {
    pub(super) fn turn_begins(&mut self) {
        self.asked = false;
    }

    pub(super) fn turn_ends(&mut self) {
        if self.telling > 0 {
            self.told = std::mem::take(&mut self.telling);
        }
    }

    /// There is something for a reader.
    pub(super) fn tell(&mut self) {
        self.telling += 1;
    }

    /// Somebody was answered between two turns.
    pub(super) fn ask(&mut self) {
        self.asked = true;
    }

    /// Whether others are awaited, now that somebody has asked, or `urges`.
    pub(super) fn is_awaited(&self, urges: bool) -> bool {
        self.told >= WORTH && (self.asked || urges)
    }
}
