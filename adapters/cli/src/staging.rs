//! The hidden folder that a transfer is built in, and what is left of one whose owner was killed.
//!
//! Whoever builds holds a lock on a file in his folder. The system lets it go when he dies, however
//! that happens; so a folder whose lock can be had belongs to nobody any more.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::names::UNFINISHED;

const ENDING: &str = ".part";
/// In the folder. No other side can choose this name.
const LOCK: &str = ".aqueduct-lock";
/// Folders that somebody who tidies up takes away under our hands, before it is strange.
const TRIES: usize = 8;

/// A folder of one transfer's own, which nobody else may enter. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    // Let go first: some systems remove no file that is open.
    _lock: File,
    folder: TempDir,
}

impl Staging {
    /// A fresh one in `target`.
    ///
    /// # Errors
    /// Nothing can be made there.
    pub(crate) fn new(target: &Path) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED).suffix(ENDING);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let mut tries = 0;
        loop {
            let folder = builder.tempdir_in(target)?;
            match lock_in(folder.path()) {
                Ok(lock) => return Ok(Self { _lock: lock, folder }),
                Err(error) if tries == TRIES => return Err(error),
                Err(_) => tries += 1,
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn lock_in(folder: &Path) -> io::Result<File> {
    let place = folder.join(LOCK);
    let lock = File::create_new(&place)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        // A file system without locks: what a kill leaves there stays.
        Err(TryLockError::Error(error)) => tracing::debug!(%error, "no lock"),
    }
    // Still there: nobody tidied it up between the two steps.
    fs::symlink_metadata(&place)?;
    Ok(lock)
}

/// Removes what killed receivers left in `target`, and says what that was.
pub(crate) fn tidy_up(target: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(target) else { return Vec::new() };
    let ours = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_folder && name.starts_with(UNFINISHED) && name.ends_with(ENDING)
    });
    let folders = ours.map(|entry| entry.path());
    folders.filter(|folder| remove_abandoned(folder).is_ok()).collect()
}

/// # Errors
/// It is in use, not ours, or cannot be removed.
fn remove_abandoned(folder: &Path) -> io::Result<()> {
    let place = folder.join(LOCK);
    match fs::symlink_metadata(&place) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(io::ErrorKind::InvalidInput.into()),
        // Killed before its first step; anything else that has no lock is not ours.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return fs::remove_dir(folder),
        Err(error) => return Err(error),
    }
    let lock = File::options().write(true).open(&place)?;
    lock.try_lock()?;
    fs::remove_dir_all(folder)
}

#[cfg(test)]
#[path = "staging_tests.rs"]
mod tests;
