//! Where received files go: nothing has its final name before all of it was checked.
//!
//! Everything is built in a hidden folder of this transfer's own inside the target, which nobody
//! else may enter; so no link that lies in the target can be stepped on while writing. When the
//! transfer is whole, what is in it is moved to its place by renaming, and links that are met there
//! are never followed. Dropped before that, the hidden folder is removed with all that is in it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::body::{FileHeader, Part, Summary, Tally};
use crate::exit::{Cause, Failure};
use crate::names::{self, Habits};
use crate::offer::Code;
use crate::staging::Staging;
use blake3::Hasher;

/// What to do with names that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// They stay, and the transfer fails.
    Keep,
    /// They are replaced.
    Overwrite,
}

/// Why a transfer cannot be stored: what this side reports and what the other is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// For the sender.
    pub(crate) code: Code,
    /// For this side.
    pub(crate) failure: Failure,
}

impl Rejection {
    fn new(code: Code, message: impl std::fmt::Display) -> Self {
        let cause = match code {
            Code::LocalIo | Code::Space => Cause::LocalIo,
            other => other.cause(),
        };
        Self { code, failure: Failure::new(cause, message) }
    }

    fn io(what: impl std::fmt::Display, error: &io::Error) -> Self {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let code = if full { Code::Space } else { Code::LocalIo };
        Self { code, failure: Failure::local(what, error) }
    }
}

/// One transfer on its way to the disk.
#[derive(Debug)]
pub(crate) struct Store {
    target: PathBuf,
    staging: Staging,
    existing: Existing,
    tally: Tally,
    open: Option<OpenFile>,
    /// First parts of the names that came, in order.
    tops: Vec<String>,
}

#[derive(Debug)]
struct OpenFile {
    header: FileHeader,
    file: File,
    hasher: Hasher,
    written: u64,
}

/// What became of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Counted here.
    pub(crate) summary: Summary,
    /// The files and folders in the target that hold it.
    pub(crate) paths: Vec<PathBuf>,
}

impl Store {
    /// A place for one transfer under `target`, which is made if need be.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub(crate) fn new(target: &Path, existing: Existing) -> Result<Self, Rejection> {
        let fails =
            |error: &io::Error| Rejection::io(format_args!("folder {}", target.display()), error);
        fs::create_dir_all(target).map_err(|error| fails(&error))?;
        let staging = Staging::new(target).map_err(|error| fails(&error))?;
        Ok(Self {
            target: target.to_owned(),
            staging,
            existing,
            tally: Tally::new(),
            open: None,
            tops: Vec::new(),
        })
    }

    /// Takes the next part of the body; `Some` when it was the last and all is in its place.
    ///
    /// # Errors
    /// See [`Rejection`]; the transfer is over.
    pub(crate) fn take(&mut self, part: Part) -> Result<Option<Stored>, Rejection> {
        match part {
            Part::Folder(path) => self.folder(&path)?,
            Part::File(header) => self.begin(header)?,
            Part::Data(data) => self.data(&data)?,
            Part::FileEnd(digest) => self.finish_file(&digest)?,
            Part::End(claimed) => return self.publish(claimed).map(Some),
        }
        Ok(None)
    }

    /// Where a name of the other side is built.
    fn place(&mut self, path: &str) -> Result<PathBuf, Rejection> {
        let parts = names::parts(path, Habits::HERE)
            .map_err(|error| Rejection::new(Code::Name, format_args!("`{path}`: {error}")))?;
        let Some(top) = parts.first() else {
            return Err(Rejection::new(Code::Name, "no name"));
        };
        if !self.tops.iter().any(|known| known == top) {
            check_free(&self.target.join(top), self.existing)?;
            self.tops.push((*top).to_owned());
        }
        Ok(parts.iter().fold(self.staging.path().to_owned(), |place, part| place.join(part)))
    }

    fn folder(&mut self, path: &str) -> Result<(), Rejection> {
        let place = self.place(path)?;
        make_folder(&place).map_err(|error| at(path, &error))?;
        self.tally.folder(path);
        Ok(())
    }

    fn begin(&mut self, header: FileHeader) -> Result<(), Rejection> {
        let place = self.place(&header.path)?;
        let file =
            make_file(&place, header.executable).map_err(|error| at(&header.path, &error))?;
        self.open = Some(OpenFile { header, file, hasher: Hasher::new(), written: 0 });
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> Result<(), Rejection> {
        let Some(open) = &mut self.open else {
            return Err(Rejection::new(Code::Malformed, "bytes of no file"));
        };
        open.written = open.written.saturating_add(data.len() as u64);
        if open.header.size.is_some_and(|size| open.written > size) {
            let path = &open.header.path;
            return Err(Rejection::new(
                Code::Integrity,
                format_args!("`{path}` is longer than said"),
            ));
        }
        open.hasher.update(data);
        open.file.write_all(data).map_err(|error| at(&open.header.path, &error))
    }

    fn finish_file(&mut self, claimed: &[u8; 32]) -> Result<(), Rejection> {
        let Some(open) = self.open.take() else {
            return Err(Rejection::new(Code::Malformed, "the end of no file"));
        };
        let path = &open.header.path;
        if open.header.size.is_some_and(|size| open.written != size) {
            return Err(Rejection::new(
                Code::Integrity,
                format_args!("`{path}` is shorter than said"),
            ));
        }
        let digest = open.hasher.finalize();
        if digest != blake3::Hash::from_bytes(*claimed) {
            let what =
                format_args!("`{path}` has another digest than it was sent with").to_string();
            return Err(Rejection::new(Code::Integrity, what));
        }
        open.file.sync_all().map_err(|error| at(path, &error))?;
        self.tally.file(path, open.header.executable, open.written, digest.as_bytes());
        Ok(())
    }

    /// Moves everything to its place (spec R-FILE-9, R-FILE-10).
    fn publish(&mut self, claimed: Summary) -> Result<Stored, Rejection> {
        let summary = self.tally.summary();
        if summary != claimed {
            return Err(Rejection::new(Code::Integrity, "the sender counted another transfer"));
        }
        let mut paths = Vec::new();
        // All names once more before the first is taken: all of a transfer appears, or nothing.
        self.tops.iter().try_for_each(|top| check_free(&self.target.join(top), self.existing))?;
        for top in &self.tops {
            let to = self.target.join(top);
            place_at(&self.staging.path().join(top), &to, self.existing)?;
            paths.push(to);
        }
        sync_folder(&self.target);
        Ok(Stored { summary, paths })
    }
}

fn at(path: &str, error: &io::Error) -> Rejection {
    match error.kind() {
        io::ErrorKind::AlreadyExists
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::NotFound
        | io::ErrorKind::InvalidFilename => Rejection::new(
            Code::Name,
            format_args!("`{path}`: the name comes twice or has no folder"),
        ),
        _ => Rejection::io(format_args!("`{path}`"), error),
    }
}

/// A name in the target that is free, or may be replaced. Links are not followed.
pub(crate) fn check_free(place: &Path, existing: Existing) -> Result<(), Rejection> {
    match fs::symlink_metadata(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Rejection::io(place.display(), &error)),
        Ok(_) if existing == Existing::Overwrite => Ok(()),
        Ok(_) => Err(taken(place)),
    }
}

fn taken(place: &Path) -> Rejection {
    let place = place.display();
    Rejection::new(Code::Exists, format_args!("{place} exists; --overwrite would replace it"))
}

/// Puts what was built at `from` under the name `to`.
fn place_at(from: &Path, to: &Path, existing: Existing) -> Result<(), Rejection> {
    let fails = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => taken(to),
        _ => Rejection::io(to.display(), &error),
    };
    let is_folder = fs::symlink_metadata(from).map_err(fails)?.is_dir();
    let there = match fs::symlink_metadata(to) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(fails(error)),
    };
    match (there, existing) {
        (Some(_), Existing::Keep) => Err(taken(to)),
        (None, _) if is_folder => fs::rename(from, to).map_err(fails),
        // A link fails where a rename would replace what came into being meanwhile.
        (None, Existing::Keep) => match fs::hard_link(from, to) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(taken(to)),
            Err(_) => fs::rename(from, to).map_err(fails),
        },
        (Some(there), Existing::Overwrite) if is_folder && there.is_dir() => merge(from, to),
        (Some(there), Existing::Overwrite) if is_folder || there.is_dir() => {
            let to = to.display();
            let what = format!("{to}: a folder and a file (or link) cannot replace each other");
            Err(Rejection::new(Code::Exists, what))
        }
        (_, Existing::Overwrite) => fs::rename(from, to).map_err(fails),
    }
}

fn merge(from: &Path, to: &Path) -> Result<(), Rejection> {
    let fails = |error: io::Error| Rejection::io(to.display(), &error);
    for entry in fs::read_dir(from).map_err(fails)? {
        let entry = entry.map_err(fails)?;
        place_at(&entry.path(), &to.join(entry.file_name()), Existing::Overwrite)?;
    }
    sync_folder(to);
    Ok(())
}

/// Asks for the folder's names to be on the disk; systems that cannot are left in peace.
fn sync_folder(folder: &Path) {
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::debug!(%error, folder = %folder.display(), "folder not synced");
    }
}

#[cfg(unix)]
fn make_file(place: &Path, executable: bool) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mode = if executable { 0o755 } else { 0o644 };
    File::options().write(true).create_new(true).mode(mode).open(place)
}

#[cfg(not(unix))]
fn make_file(place: &Path, _executable: bool) -> io::Result<File> {
    File::options().write(true).create_new(true).open(place)
}

#[cfg(unix)]
fn make_folder(place: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    builder.create(place)
}

#[cfg(not(unix))]
fn make_folder(place: &Path) -> io::Result<()> {
    fs::create_dir(place)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
