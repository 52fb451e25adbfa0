//! Files for tools that others wrote (spec 24.3). Written as the tape is watched, of any length.

mod chrome;
mod frames;
mod pcapng;
mod qlog;

use std::io::{self, Write};

use aqueduct_core::tape::Slot;
use aqueduct_core::time::Instant;
use aqueduct_core::trace::{Divergence, Trace, TraceError, View, Watch};
use thiserror::Error;

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// qlog as JSON text sequences (`.sqlog`).
    Qlog,
    /// Chrome's trace event format, for Perfetto.
    Chrome,
    /// Datagrams, for Wireshark.
    Pcapng,
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Packets that came or went.
    pub packets: u64,
    /// Of those, such that were opened.
    pub opened: u64,
    /// Where this core did something else than the tape says; behind that no packet is opened.
    pub diverged: Option<String>,
}

/// Why nothing, or not all, was exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// This is no tape.
    #[error(transparent)]
    Tape(#[from] TraceError),
    /// It could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One format.
trait Writer {
    /// Something was seen.
    fn see(&mut self, view: &View<'_>) -> io::Result<()>;

    /// The core did something else.
    fn diverged(&mut self, why: &Divergence) -> io::Result<()>;

    /// That was all.
    fn end(&mut self) -> io::Result<()>;
}

/// Writes what a tape shows as a file of that format.
///
/// # Errors
/// [`ExportError`]: it is no tape, or cannot be written. That the core does something else is no
/// error here: it is in [`Exported::diverged`].
pub fn export(tape: &[u8], format: Format, out: &mut dyn Write) -> Result<Exported, ExportError> {
    let head = Trace::open(tape)?;
    let mut writer: Box<dyn Writer + '_> = match format {
        Format::Qlog => Box::new(qlog::Qlog::begin(&head, out)?),
        Format::Chrome => Box::new(chrome::Chrome::begin(&head, out)?),
        Format::Pcapng => Box::new(pcapng::Pcapng::begin(&head, out)?),
    };
    let mut exported = Exported::default();
    for view in Watch::of(tape)? {
        match view {
            Ok(view) => {
                exported.count(&view);
                writer.see(&view)?;
            }
            Err(why) => {
                writer.diverged(&why)?;
                exported.diverged = Some(why.to_string());
            }
        }
    }
    writer.end()?;
    Ok(exported)
}

impl Exported {
    fn count(&mut self, view: &View<'_>) {
        use aqueduct_core::trace::{Content, Seen};
        if let Seen::Packet(packet) = &view.what {
            self.packets += 1;
            self.opened += u64::from(packet.content != Content::Sealed);
        }
    }
}

/// A connection as `trace show` names it.
fn name(slot: Slot) -> String {
    format!("{}.{}", slot.0, slot.1)
}

/// Milliseconds since the endpoint's clock began.
fn millis(time: Instant) -> f64 {
    time.as_nanos() as f64 / 1e6
}

/// Microseconds since the endpoint's clock began.
fn micros(time: Instant) -> f64 {
    time.as_nanos() as f64 / 1e3
}
