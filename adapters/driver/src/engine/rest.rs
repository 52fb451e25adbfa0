//! Pauses of a socket whose receives fail.

use std::time::Duration;

use aqueduct_core::time::Instant;

#[derive(Default)]
pub(super) struct Rest {
    in_a_row: u32,
    pub(super) until: Option<Instant>,
}

impl Rest {
    const PATIENCE: u32 = 8;
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);

    pub(super) fn failed(&mut self, now: Instant) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if let Some(over) = self.in_a_row.checked_sub(Self::PATIENCE) {
            let pause = Self::FIRST.saturating_mul(1 << over.min(7));
            self.until = Some(now + pause.min(Self::LONGEST));
        }
    }

    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }
}
