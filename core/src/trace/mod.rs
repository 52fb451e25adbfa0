//! What a tape tells: read it, look at it, run it again.
//!
//! ```text
//!             ┌─► records ─► lines that a filter takes
//!   tape ─► segments (as far as they are whole)
//!             ├─► redact ─► a tape without secrets and payload
//!             └─► replay ─► a new endpoint, which records too ─► the same bytes, or a Divergence
//!                   └─► watch ─► packets opened, what became of them, windows, round trips
//! ```
//!
//! [`replay`] makes an endpoint of the head's configuration and seed, and gives it every input of
//! the tape. That endpoint is recorded in turn, and each record must be the one that is on the
//! tape, byte for byte: what a call gave, every event, every deadline, and of every datagram that
//! left its length and a check of where it went, its header, its tag and all that left before. The
//! first record that differs is the [`Divergence`].
//!
//! A run in production becomes a test that stays for ever:
//!
//! ```
//! # use aqueduct_core::{config::EndpointConfig, crypto::identity::NodeKey, rng::Seed};
//! # use aqueduct_core::{endpoint::Endpoint, tape::TapeOptions, time::Instant, trace};
//! # let config = EndpointConfig::new(NodeKey::from_seed(&[1; 32]));
//! # let mut node = Endpoint::recorded(config, Seed::from_u64(7), &TapeOptions::default());
//! # let _ = node.poll(&mut Vec::new(), Instant::ZERO);
//! # node.end_tape();
//! # let mut tape = Vec::new();
//! # node.take_tape(&mut tape);
//! let summary = trace::replay(&tape).expect("the core does what it did");
//! assert!(summary.is_whole());
//! ```

mod file;
mod flying;
mod player;
mod recast;
mod record;
mod redact;
mod replay;
mod show;
mod view;
mod watch;

use alloc::vec::Vec;

pub use file::{Segment, Segments, Trace, TraceError};
pub use record::{Kept, Record, What};
pub use redact::redact;
pub use replay::{Difference, Divergence, Replay, Summary, Tail, Wanted, replay};
pub use show::{Filter, Topic};
pub use view::{Content, Depth, Packet, Seen, View, Way};
pub use watch::Watch;

pub use crate::connection::{Times, Vitals};

#[cfg(test)]
pub(crate) use show::{skip_event, skip_pipe_event};

use record::Decoder;

/// Goes through all records of a tape, as far as it is whole.
///
/// # Errors
/// [`TraceError`]: these bytes are no tape. The same comes as an item where a record is none.
pub fn records(
    tape: &[u8],
) -> Result<impl Iterator<Item = Result<Record<'_>, TraceError>>, TraceError> {
    let trace = Trace::open(tape)?;
    let payload = trace.payload();
    let mut segments = trace.segments();
    let mut now: Option<(Decoder<'_>, usize)> = None;
    let mut step = 0;
    let mut over = false;
    Ok(core::iter::from_fn(move || {
        while !over && now.as_ref().is_none_or(|(from, _)| from.is_empty()) {
            let segment = segments.next()?;
            let from = Decoder::new(segment.records, payload, segment.time, step);
            now = Some((from, segment.offset));
        }
        let (from, offset) = now.as_mut().filter(|_| !over)?;
        let at = *offset + from.at();
        let record = from.record();
        over = record.is_none();
        let error = TraceError::Record { step, offset: at, what: "it is none" };
        step = from.step();
        Some(record.ok_or(error))
    }))
}

/// The records as lines, those that the filter takes.
///
/// # Errors
/// As [`records`].
pub fn show(tape: &[u8], filter: &Filter) -> Result<Vec<alloc::string::String>, TraceError> {
    use alloc::string::ToString;
    let mut lines = Vec::new();
    for record in records(tape)? {
        let record = record?;
        if filter.takes(&record) {
            lines.push(record.to_string());
        }
    }
    Ok(lines)
}
