//! What an Aqueduct tape shows (spec `24-reports.md`): a page for people, files for other tools.
//!
//! ```text
//!             ┌─► gather ─► report   one HTML page that asks for nothing outside itself
//!   tape ─► watch (the core runs again and is looked at)
//!             └─► export ─┬─ qlog    JSON text sequences
//!                         ├─ chrome  trace events, as Perfetto opens them
//!                         └─ pcapng  datagrams, as Wireshark opens them
//! ```
//!
//! ```
//! # use aqueduct_core::{config::EndpointConfig, crypto::identity::NodeKey, rng::Seed};
//! # use aqueduct_core::{endpoint::Endpoint, tape::TapeOptions, time::Instant};
//! # let config = EndpointConfig::new(NodeKey::from_seed(&[1; 32]));
//! # let mut node = Endpoint::recorded(config, Seed::from_u64(7), &TapeOptions::default());
//! # let _ = node.poll(&mut Vec::new(), Instant::ZERO);
//! # node.end_tape();
//! # let mut tape = Vec::new();
//! # node.take_tape(&mut tape);
//! let report = aqueduct_trace::report(&tape, "my node")?;
//! assert!(report.page.starts_with("<!doctype html>"));
//! let mut qlog = Vec::new();
//! aqueduct_trace::export(&tape, aqueduct_trace::Format::Qlog, &mut qlog)?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod export;
mod gather;
mod report;
mod words;

pub use export::{ExportError, Exported, Format, export};
pub use report::{MAX_NODES, MAX_PAGE, Report, report, report_all};
