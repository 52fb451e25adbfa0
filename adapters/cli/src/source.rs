//! What is sent: the files of the command line, walked first and read later.
//!
//! [`Plan`] says what there is, in an order that depends on names only, so that the same folder has
//! the same digest twice. [`spawn`] reads it on a thread of its own and hands over blocks that are
//! ready for the stream; a channel of a few blocks keeps the disk ahead of the network and no
//! further.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use blake3::Hasher;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::body::{self, FileHeader, Summary, Tally};
use crate::exit::{Cause, Failure};
use crate::names::{self, Habits};
use crate::offer::Offer;

/// The name of standard input if none is given.
const STDIN_NAME: &str = "stdin";
/// Blocks that wait between the disk and the network.
const AHEAD: usize = 8;

/// One thing to send.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Folder { path: String },
    File { from: From, header: FileHeader },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    Stdin,
    Path(PathBuf),
}

/// Everything that will be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    entries: Vec<Entry>,
    /// What was left out: neither a file nor a folder, or a link to a folder.
    pub(crate) skipped: Vec<PathBuf>,
}

impl Plan {
    /// Walks the arguments; `-` is standard input, called `stdin_name`.
    ///
    /// # Errors
    /// Something cannot be read, has a name that no receiver takes, or two have the same name; or
    /// there is a name for standard input, and that is not sent.
    pub(crate) fn walk(files: &[PathBuf], stdin_name: Option<&str>) -> Result<Self, Failure> {
        let is_stdin = |path: &Path| path.as_os_str() == "-";
        if stdin_name.is_some() && !files.iter().any(|path| is_stdin(path)) {
            let what = "--name is for standard input, and `-` is not among the files";
            return Err(Failure::new(Cause::Usage, what));
        }
        let mut plan = Self::default();
        let mut tops = BTreeSet::new();
        for path in files {
            let name = if is_stdin(path) {
                let name = stdin_name.unwrap_or(STDIN_NAME).to_owned();
                plan.file(From::Stdin, &name, None, false)?;
                name
            } else {
                plan.argument(path)?
            };
            if !tops.insert(name.clone()) {
                return Err(Failure::new(Cause::Usage, format_args!("`{name}` is given twice")));
            }
        }
        Ok(plan)
    }

    /// What the receiver is asked.
    pub(crate) fn offer(&self) -> Offer {
        let name = match self.entries.first() {
            Some(Entry::Folder { path }) => path.clone(),
            Some(Entry::File { header, .. }) => header.path.clone(),
            None => String::new(),
        };
        let folders = self.entries.iter().any(|entry| matches!(entry, Entry::Folder { .. }));
        Offer { entries: self.entries.len() as u64, bytes: self.bytes(), folders, name }
    }

    /// Bytes of all files, if all are known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.entries.iter().try_fold(0_u64, |sum, entry| match entry {
            Entry::Folder { .. } => Some(sum),
            Entry::File { header, .. } => sum.checked_add(header.size?),
        })
    }

    /// Bytes of the whole body, read in blocks of `block` bytes, if the sizes of all files are
    /// known.
    pub(crate) fn body(&self, block: usize) -> Option<u64> {
        let end = body::end(Summary { entries: 0, bytes: 0, digest: [0; 32] }).len() as u64;
        self.entries.iter().try_fold(end, |sum, entry| match entry {
            Entry::Folder { path } => sum.checked_add(body::folder(path).len() as u64),
            Entry::File { header, .. } => sum
                .checked_add(body::file(header).len() as u64)?
                .checked_add(body::chunks_len(header.size?, chunk(block))?),
        })
    }

    fn argument(&mut self, path: &Path) -> Result<String, Failure> {
        let fails = |error: io::Error| Failure::local(path.display(), &error);
        let metadata = fs::metadata(path).map_err(fails)?;
        let name = match path.file_name() {
            Some(name) => name.to_owned(),
            None => {
                let whole = path.canonicalize().map_err(fails)?;
                whole.file_name().map(OsString::from).ok_or_else(|| {
                    Failure::new(Cause::Usage, "the root of the file system has no name to send")
                })?
            }
        };
        let name = utf8(name, path)?;
        if metadata.is_dir() {
            self.folder(path, &name)?;
        } else {
            // Pipes and devices that are named outright are read to their end.
            let size = metadata.is_file().then_some(metadata.len());
            self.file(From::Path(path.to_owned()), &name, size, executable(&metadata))?;
        }
        Ok(name)
    }

    fn file(
        &mut self,
        from: From,
        path: &str,
        size: Option<u64>,
        executable: bool,
    ) -> Result<(), Failure> {
        check_name(path)?;
        let header = FileHeader { path: path.to_owned(), size, executable };
        self.entries.push(Entry::File { from, header });
        Ok(())
    }

    fn folder(&mut self, from: &Path, path: &str) -> Result<(), Failure> {
        check_name(path)?;
        self.entries.push(Entry::Folder { path: path.to_owned() });
        let fails = |error: io::Error| Failure::local(from.display(), &error);
        let mut inside = Vec::new();
        for entry in fs::read_dir(from).map_err(fails)? {
            inside.push(entry.map_err(fails)?.file_name());
        }
        inside.sort();
        for name in inside {
            let from = from.join(&name);
            let path = format!("{path}/{}", utf8(name, &from)?);
            let itself = fs::symlink_metadata(&from)
                .map_err(|error| Failure::local(from.display(), &error))?;
            // A link to a file is sent as that file; one to a folder could lead in a circle.
            let behind = if itself.is_symlink() { fs::metadata(&from).ok() } else { None };
            match behind {
                _ if itself.is_dir() => self.folder(&from, &path)?,
                _ if itself.is_file() => {
                    let size = Some(itself.len());
                    self.file(From::Path(from), &path, size, executable(&itself))?;
                }
                Some(behind) if behind.is_file() => {
                    let size = Some(behind.len());
                    self.file(From::Path(from), &path, size, executable(&behind))?;
                }
                _ => self.skipped.push(from),
            }
        }
        Ok(())
    }
}

fn check_name(path: &str) -> Result<(), Failure> {
    names::parts(path, Habits::HERE)
        .map(drop)
        .map_err(|error| Failure::new(Cause::Usage, format_args!("cannot send `{path}`: {error}")))
}

fn utf8(name: OsString, path: &Path) -> Result<String, Failure> {
    name.into_string().map_err(|_| {
        let path = path.display();
        Failure::new(Cause::Usage, format_args!("cannot send {path}: its name is no UTF-8"))
    })
}

#[cfg(unix)]
fn executable(metadata: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0
        && metadata.is_file()
}

#[cfg(not(unix))]
fn executable(_metadata: &Metadata) -> bool {
    false
}

/// Bytes for the stream.
#[derive(Debug)]
pub(crate) enum Block {
    /// So many of them are a file's own.
    Bytes {
        /// What to write.
        bytes: Bytes,
        /// For the progress.
        of_files: usize,
    },
    /// That was all, and this is what it was.
    End(Summary),
    /// It cannot be read on.
    Failed(Failure),
}

/// Reads `plan` on a thread of its own, in blocks of about `block` bytes. The thread ends when the
/// other end of the channel is gone, or with the process if it hangs in a read.
///
/// # Errors
/// No thread can be had.
pub(crate) fn spawn(plan: Plan, block: usize) -> Result<mpsc::Receiver<Block>, Failure> {
    let (to, blocks) = mpsc::channel(AHEAD);
    std::thread::Builder::new()
        .name("aqueduct-read".into())
        .spawn(move || {
            let mut reader = Reader { to, tally: Tally::new(), block };
            match reader.read_all(plan) {
                Ok(()) => reader.finish(),
                Err(Stop::Failed(failure)) => drop(reader.to.blocking_send(Block::Failed(failure))),
                Err(Stop::NobodyListens) => {}
            }
        })
        .map_err(|error| Failure::local("a thread to read with", &error))?;
    Ok(blocks)
}

enum Stop {
    NobodyListens,
    Failed(Failure),
}

struct Reader {
    to: mpsc::Sender<Block>,
    tally: Tally,
    block: usize,
}

impl Reader {
    fn put(&self, bytes: Vec<u8>, of_files: usize) -> Result<(), Stop> {
        let block = Block::Bytes { bytes: bytes.into(), of_files };
        self.to.blocking_send(block).map_err(|_| Stop::NobodyListens)
    }

    fn read_all(&mut self, plan: Plan) -> Result<(), Stop> {
        for entry in plan.entries {
            match entry {
                Entry::Folder { path } => {
                    self.tally.folder(&path);
                    self.put(body::folder(&path), 0)?;
                }
                Entry::File { from, header } => self.file(&from, &header)?,
            }
        }
        Ok(())
    }

    fn finish(&mut self) {
        let summary = self.tally.summary();
        if self.put(body::end(summary), 0).is_ok() {
            // Nobody to hear it is nobody to miss it.
            let _ = self.to.blocking_send(Block::End(summary));
        }
    }

    fn file(&mut self, from: &From, header: &FileHeader) -> Result<(), Stop> {
        let shown = match from {
            From::Stdin => "standard input".to_owned(),
            From::Path(path) => path.display().to_string(),
        };
        let fails = |error: io::Error| Stop::Failed(Failure::local(&shown, &error));
        let mut input: Box<dyn Read> = match from {
            From::Stdin => Box::new(io::stdin().lock()),
            From::Path(path) => Box::new(File::open(path).map_err(fails)?),
        };
        self.put(body::file(header), 0)?;
        let mut hasher = Hasher::new();
        let mut total = 0_u64;
        loop {
            let bytes = read_chunk(&mut *input, self.block).map_err(fails)?;
            let Some((_, data)) = bytes.split_first_chunk::<4>() else { break };
            if data.is_empty() {
                break;
            }
            hasher.update(data);
            let len = data.len();
            total = total.saturating_add(len as u64);
            if header.size.is_some_and(|size| total > size) {
                break;
            }
            self.put(bytes, len)?;
        }
        if header.size.is_some_and(|size| total != size) {
            let what = format!("{shown} changed while it was read");
            return Err(Stop::Failed(Failure::new(Cause::LocalIo, what)));
        }
        let digest = hasher.finalize();
        self.tally.file(&header.path, header.executable, total, digest.as_bytes());
        self.put(body::file_end(digest.as_bytes()), 0)
    }
}

/// Bytes of a file's chunks, all but the last.
fn chunk(block: usize) -> usize {
    block.clamp(1, body::MAX_CHUNK)
}

/// The next chunk with its length in front; of length 0 at the end of the input.
fn read_chunk(input: &mut dyn Read, block: usize) -> io::Result<Vec<u8>> {
    let block = chunk(block);
    let mut bytes = Vec::with_capacity(4 + block);
    bytes.extend([0; 4]);
    let read = input.take(block as u64).read_to_end(&mut bytes)?;
    if let Some(length) = bytes.first_chunk_mut::<4>() {
        *length = body::chunk_header(read);
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
