//! Who says how large a stream's window is.

/// Who decides how large a stream's window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub enum Window {
    /// It follows the rate at which data comes and goes.
    Auto,
    /// The owner says, in bytes (a pipe knows its legs).
    Fixed(u64),
    /// The same, and he holds `keep` bytes more, as far as they are covered
    /// ([`StreamCredit::covered`](super::StreamCredit::covered)).
    Keeping {
        /// What flows.
        window: u64,
        /// What stays.
        keep: u64,
    },
}

impl Window {
    /// All of it, if the owner said it.
    pub(super) const fn fixed(self) -> Option<u64> {
        match self {
            Self::Auto => None,
            Self::Fixed(window) => Some(window),
            Self::Keeping { window, keep } => Some(window.saturating_add(keep)),
        }
    }

    /// What of a window of so many bytes is not for bytes that stay.
    pub(super) fn flows(self, all: u64) -> u64 {
        match self {
            Self::Keeping { window, .. } => window.min(all),
            Self::Auto | Self::Fixed(_) => all,
        }
    }
}
