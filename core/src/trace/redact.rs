//! A tape without what must not be given away.

use alloc::vec::Vec;

use crate::tape::{Payload, Section, Tape, TapeOptions};

use super::file::{Trace, TraceError};
use super::recast::Recast;
use super::record::Decoder;

/// The same tape without secrets and payload: node key, seed, network and pair secrets, the bytes
/// of datagrams and streams, heads and reasons in words. What is left can be looked at by
/// [`records`](super::records), and not be replayed. Node ids, addresses, sizes and times stay.
///
/// What lies behind a tear is left out.
///
/// # Errors
/// [`TraceError`]: these bytes are no tape.
pub fn redact(tape: &[u8]) -> Result<Vec<u8>, TraceError> {
    let trace = Trace::open(tape)?;
    let options = TapeOptions { payload: Payload::Elided, label: trace.label(), ..<_>::default() };
    let settings = trace.section(Section::Settings).unwrap_or_default();
    let mut out = Vec::new();
    Tape::new(&options, crate::wire::header::VERSION_1, settings, None).take(&mut out);
    let mut recast = Recast::new(out);
    let mut step = 0;
    for segment in trace.segments() {
        let mut from = Decoder::new(segment.records, trace.payload(), segment.time, step);
        let mut records = Vec::with_capacity(segment.records.len() / 4);
        while !from.is_empty() {
            let start = from.at();
            if from.record().is_none() {
                let what = "it is none";
                return Err(TraceError::Record { step, offset: segment.offset + start, what });
            }
            let mut kept = start;
            for cut in &from.cuts {
                let bytes = segment.records.get(kept..cut.range.start);
                records.extend_from_slice(bytes.unwrap_or_default());
                records.extend(cut.instead);
                kept = cut.range.end;
            }
            let bytes = segment.records.get(kept..from.at());
            records.extend_from_slice(bytes.unwrap_or_default());
            step = from.step();
        }
        recast.segment(&segment, &records);
    }
    Ok(recast.done())
}
