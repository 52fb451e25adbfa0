//! What the configuration says of a connection's credit.

/// Bounds that are the configuration's; below them everything follows demand and the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct RecvLimits {
    /// Bidirectional streams that the peer may have open at once.
    pub max_streams_bidi: u64,
    /// Unidirectional streams that the peer may have open at once.
    pub max_streams_uni: u64,
    /// Bytes that one stream's window may reach.
    pub max_stream_window: u64,
    /// Ranges that a stream may keep apart however small its window is.
    pub stream_ranges: u64,
}

impl RecvLimits {
    /// How large a window grows, unless it is configured: 64 MiB.
    pub(crate) const MAX_STREAM_WINDOW: u64 = 64 * 1024 * 1024;
    /// How many ranges a stream keeps apart, unless that is configured.
    pub(crate) const STREAM_RANGES: u64 = 1000;
}

/// 1,024 streams of each kind, windows up to 64 MiB, 1,000 ranges.
impl Default for RecvLimits {
    fn default() -> Self {
        Self {
            max_streams_bidi: 1024,
            max_streams_uni: 1024,
            max_stream_window: Self::MAX_STREAM_WINDOW,
            stream_ranges: Self::STREAM_RANGES,
        }
    }
}
