//! A leg that begins far behind, and how it comes nearer (spec R-PIPE-26).

use core::time::Duration;

use crate::time::Instant;

/// In each span it acknowledges this part of its allowance at least.
const PART: u64 = 8;
/// So many spans it may take.
const SPANS: u32 = 64;

/// Whether a leg is judged by how far it is behind alone.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) enum Start {
    /// It was not looked at yet.
    #[default]
    Fresh,
    /// It was further behind than it may, and still is.
    Late(Late),
    /// It once was near enough, or had its time.
    Level,
}

#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(super) struct Late {
    /// The least that it ever was behind.
    least: u64,
    /// A span: when it began, and how far the leg was then. `None` while nothing is held for it
    /// that it could acknowledge.
    span: Option<(Instant, u64)>,
    spans: u32,
}

/// What a leg is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// All below was acknowledged.
    pub(super) acked: u64,
    /// How far it is behind the leg that has come furthest.
    pub(super) behind: u64,
    /// How far it is behind any leg, one that only begins there too.
    pub(super) below: u64,
    /// How far it may be.
    pub(super) allowance: u64,
    /// How long it may stand still.
    pub(super) wait: Duration,
}

impl Start {
    /// Returns whether a leg that began behind is to be given up, since it comes no nearer.
    pub(super) fn judge(&mut self, look: &Look, now: Instant) -> bool {
        let least = match self {
            Self::Fresh => look.below,
            Self::Late(late) => late.least.min(look.below),
            Self::Level => return false,
        };
        if least <= look.allowance {
            *self = Self::Level;
            return false;
        }
        if matches!(self, Self::Fresh) {
            *self = Self::Late(Late { least, span: None, spans: 0 });
        }
        let Self::Late(late) = self else { return false };
        late.least = least;
        if look.behind <= look.allowance {
            late.span = None;
            return false;
        }
        let (since, from) = *late.span.get_or_insert((now, look.acked));
        if since + look.wait > now {
            return false;
        }
        late.span = Some((now, look.acked));
        late.spans += 1;
        if late.spans >= SPANS {
            *self = Self::Level;
        }
        look.acked - from < (look.allowance / PART).max(1)
    }

    /// How much further behind it may be than others.
    pub(super) fn grace(&self) -> u64 {
        match self {
            Self::Late(late) => late.least,
            Self::Fresh | Self::Level => 0,
        }
    }

    /// When it is to be judged again.
    pub(super) fn deadline(&self, wait: Duration) -> Option<Instant> {
        match self {
            Self::Late(late) => late.span.map(|(since, _)| since + wait),
            Self::Fresh | Self::Level => None,
        }
    }
}

#[cfg(test)]
#[path = "late_tests.rs"]
mod tests;
