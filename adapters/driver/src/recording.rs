//! Recording an endpoint on a tape, into a file.
//!
//! The core records into memory. The engine moves that on when it is much or old, at the end of a
//! turn, to a thread that writes the file: the loop never waits for the disk. If the disk is too
//! slow, first a few MiB wait for the thread, then the core's own buffer fills, and then the tape
//! says that it ends, and ends; nothing else does. A disk that fails ends the tape at once.
//!
//! ```text
//!   core ── 64 KiB, or a second ──► queue (at most 4 MiB) ──► thread ──► file (mode 0600)
//!     └─ more than its buffer waits:                    └─ it fails:
//!        End(Overrun), TapeEnd::Tape                       TapeEnd::Disk
//! ```

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use aqueduct_core::endpoint::Endpoint as Core;
use aqueduct_core::tape::{Ending, Payload, TapeOptions};
use aqueduct_core::time::Instant;
use thiserror::Error;

use crate::hub::{Command, Shared};
use crate::threads;

/// What is recorded is written when it is so much, or so old.
const MUCH: usize = 64 * 1024;
const OLD: Duration = Duration::from_secs(1);
/// Bytes that wait for the thread; beyond that they wait in the core.
const QUEUE: usize = 4 << 20;

/// Why nothing more is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TapeEnd {
    /// The tape ends, and its last record says why.
    Tape(Ending),
    /// The disk failed: the file ends where it did.
    Disk(DiskError),
    /// The loop that drives the endpoint panicked: the file has all up to there.
    Panicked,
}

impl From<DiskError> for TapeEnd {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// What the system said of a disk that failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text}")]
#[expect(clippy::exhaustive_structs, reason = "what the system says has two parts")]
pub struct DiskError {
    /// What kind of error it was.
    pub kind: io::ErrorKind,
    /// In the system's words.
    pub text: String,
}

impl From<io::Error> for DiskError {
    fn from(error: io::Error) -> Self {
        Self { kind: error.kind(), text: error.to_string() }
    }
}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        Self::new(error.kind, error.text)
    }
}

/// How an endpoint is recorded. **The file holds the node's key and every key of every
/// connection**, unless the payload is elided: it is made for its owner alone (mode 0600), and is
/// to be kept as the key is.
#[derive(Clone, Debug)]
pub struct Recording {
    path: PathBuf,
    options: TapeOptions,
}

impl Recording {
    /// Into this file, in place of what it held. All of the payload; 16 MiB may wait in memory.
    pub fn to(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), options: TapeOptions::default() }
    }

    /// With less of the payload; see [`Payload`].
    #[must_use]
    pub fn with_payload(mut self, payload: Payload) -> Self {
        self.options.payload = payload;
        self
    }

    /// With so many bytes in memory that the disk is behind, before the tape ends.
    #[must_use]
    pub fn with_buffer(mut self, bytes: usize) -> Self {
        self.options.buffer = bytes;
        self
    }

    /// With words for whoever finds the file.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.options.label = label.into();
        self
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn options(&self) -> &TapeOptions {
        &self.options
    }

    /// Makes the file, readable for its owner alone, and the thread that writes it.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn start(&self) -> io::Result<Recorder> {
        let file = tape_file(&self.path)?;
        let progress = Arc::new(Progress::default());
        let (queue, work) = channel();
        let (path, there) = (self.path.clone(), progress.clone());
        let thread = std::thread::Builder::new().name("aqueduct-tape".into());
        thread.spawn(move || write(file, work, &there))?;
        tracing::info!(
            path = %path.display(),
            "recording: the file holds this node's key and all keys of its connections"
        );
        Ok(Recorder { path, queue: Some(queue), progress, since: None })
    }
}

/// Makes the file of a tape, or empties the one that is there: readable for its owner alone (mode
/// 0600), as what holds keys must be (spec R-TAPE-18).
///
/// # Errors
/// The system's.
#[cfg(unix)]
pub fn tape_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // A file that was there keeps its mode; a device's is not ours.
    if file.metadata()?.is_file() {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Makes the file of a tape, or empties the one that is there.
///
/// # Errors
/// The system's.
#[cfg(not(unix))]
pub fn tape_file(path: &Path) -> io::Result<File> {
    File::create(path)
}

/// How far the thread is.
pub(crate) type Progress = threads::Progress<TapeEnd, DiskError>;

/// The thread: writes until the engine lets go, or the disk fails.
fn write(mut file: File, work: Receiver<Vec<u8>>, progress: &Progress) {
    let mut failed = None;
    while failed.is_none()
        && let Ok(bytes) = work.recv()
    {
        match file.write_all(&bytes) {
            Ok(()) => progress.wrote(bytes.len()),
            Err(error) => failed = Some(DiskError::from(error)),
        }
    }
    // Told before the engine can notice that nobody takes anything.
    progress.leave(failed.clone());
    if let Some(error) = failed {
        tracing::warn!(%error, "the tape cannot be written: it ends here");
    }
}

/// The engine's end.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    /// Gone once the tape has ended.
    queue: Option<Sender<Vec<u8>>>,
    progress: Arc<Progress>,
    /// Since when something waits in the core.
    since: Option<Instant>,
}

impl Recorder {
    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Moves on what was recorded, if it is much or old. Gives when to come again.
    pub(crate) fn turn(&mut self, core: &mut Core, now: Instant) -> Option<Instant> {
        let status = core.tape()?;
        self.queue.as_ref()?;
        if let Some(why) = status.ended {
            self.finish(core, why);
            return None;
        }
        if status.waiting == 0 {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        if status.waiting < MUCH && now < since + OLD {
            return Some(since + OLD);
        }
        if self.progress.is_gone() {
            // No room comes any more.
            self.let_go(core);
            return None;
        }
        if self.progress.waiting() > QUEUE {
            // The core's buffer has a bound of its own.
            return Some(now + OLD / 10);
        }
        self.take(core);
        None
    }

    fn take(&mut self, core: &mut Core) {
        self.since = None;
        let mut bytes = Vec::new();
        core.take_tape(&mut bytes);
        let Some(queue) = &self.queue else { return };
        self.progress.given(bytes.len());
        if queue.send(bytes).is_err() {
            self.let_go(core);
        }
    }

    /// The disk has failed, and said so.
    fn let_go(&mut self, core: &mut Core) {
        core.end_tape();
        core.take_tape(&mut Vec::new());
        self.queue = None;
    }

    /// The tape ends: the rest is written, and the file is whole.
    pub(crate) fn end(&mut self, core: &mut Core) {
        core.end_tape();
        if let Some(why) = core.tape().and_then(|status| status.ended) {
            self.finish(core, why);
        }
    }

    fn finish(&mut self, core: &mut Core, why: Ending) {
        if self.queue.is_none() {
            return;
        }
        if why != Ending::Finished {
            let path = self.path.display();
            tracing::warn!(%path, ?why, "the tape has ended: the disk did not follow");
        }
        self.progress.end(TapeEnd::Tape(why));
        self.take(core);
        self.queue = None;
    }

    /// What was recorded is written as far as it goes: a turn has panicked, and no more follows.
    pub(crate) fn rescue(&mut self, core: &mut Core) {
        self.progress.end(TapeEnd::Panicked);
        self.take(core);
        self.queue = None;
    }
}

/// A recording, for whoever wants to know or to end it. Keeps nothing alive.
#[derive(Clone)]
pub struct Recorded {
    shared: Arc<Shared>,
    progress: Arc<Progress>,
}

impl std::fmt::Debug for Recorded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.progress.fmt(f)
    }
}

impl Recorded {
    pub(crate) fn new(shared: Arc<Shared>, progress: Arc<Progress>) -> Self {
        Self { shared, progress }
    }

    /// Bytes that are in the file.
    pub fn written(&self) -> u64 {
        self.progress.written()
    }

    /// Why nothing more is recorded, if that is so: the first end, or what the disk failed by.
    pub fn ended(&self) -> Option<TapeEnd> {
        self.progress.ended()
    }

    /// Waits until nothing more is recorded, whatever the cause, and tells it: the event that a
    /// disk does not follow. Cancel-safe.
    pub async fn closed(&self) -> TapeEnd {
        self.progress.over().await
    }

    /// Ends the recording, if it has not, and waits until the file is whole. The endpoint lives on.
    /// Cancel-safe.
    ///
    /// # Errors
    /// The disk's, if it failed.
    pub async fn end(&self) -> io::Result<u64> {
        // A driver that has ended has ended its tape.
        let _gone = self.shared.hub.push(Command::EndTape);
        Ok(self.progress.gone().await?)
    }
}
