//! What whoever asks may send now.

use super::Class;

/// Leave to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the three cases of the specification")]
pub enum Grant {
    /// Nothing limits.
    Free,
    /// Control alone, before all turns (spec R-SHP-9).
    Control {
        /// With urgent streams.
        urgent: bool,
    },
    /// Everything, in its turn.
    Turn {
        /// So many bytes.
        bytes: u64,
        /// The class that packets begin with: normal or bulk.
        first: Class,
    },
}

impl Grant {
    /// Datagrams of `size` bytes that may go, of the `most` that might.
    pub fn datagrams(self, most: usize, size: usize) -> usize {
        match self {
            Self::Turn { bytes, .. } => {
                let fit = usize::try_from(bytes).unwrap_or(usize::MAX) / size.max(1);
                most.min(fit.max(1))
            }
            Self::Free | Self::Control { .. } => most,
        }
    }
}
