//! The node's key, in a file that nobody else may read.
//!
//! The file holds one line, `aqsk1` and base32 of the 32 secret bytes with a check of 4 behind
//! them: a file that was cut or edited is told from a key. It is made once, whole or not at all,
//! with mode 0600; a file that others may read is not used (spec `14-tickets-and-files.md`).

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use aqueduct_tokio::{NodeKey, generate_key};
use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use crate::exit::{Cause, Failure};

const PREFIX: &str = "aqsk1";
/// No key file is longer, with a newline and a stray blank.
const MAX_FILE: u64 = 128;

/// A key, and how it came.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The key.
    pub(crate) key: NodeKey,
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// It was made just now.
    pub(crate) made: bool,
}

/// The key in `path`, or in the usual place; made if there is none.
///
/// # Errors
/// The file cannot be read or made, others may read it, or it holds no key.
pub(crate) fn load_or_make(path: Option<&Path>) -> Result<Loaded, Failure> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => usual_path(|name| std::env::var_os(name).map(PathBuf::from))?,
    };
    match read(&path) {
        Ok(key) => Ok(Loaded { key, path, made: false }),
        Err(Trouble::Missing) => make(&path),
        Err(Trouble::Fails(failure)) => Err(failure),
    }
}

enum Trouble {
    Missing,
    Fails(Failure),
}

/// The key under which this node dials itself, from another process with the same key file: an end
/// of a connection cannot be its own other end. Only the holder of the key can make it (spec
/// R-TKT-6).
pub(crate) fn twin(key: &NodeKey) -> NodeKey {
    NodeKey::from_seed(&Zeroizing::new(blake3::derive_key(
        "aqueduct 1 twin of a node key",
        key.seed(),
    )))
}

/// `$XDG_CONFIG_HOME/aqueduct/key`, else `$HOME/.config/aqueduct/key`; on Windows under
/// `%APPDATA%`.
fn usual_path(env: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Failure> {
    let base = env("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| env("HOME").filter(|path| path.is_absolute()).map(|home| home.join(".config")))
        .or_else(|| env("APPDATA").filter(|path| path.is_absolute()));
    base.map(|base| base.join("aqueduct").join("key")).ok_or_else(|| {
        Failure::new(Cause::LocalIo, "no home folder for the node key: name a file with --key FILE")
    })
}

fn read(path: &Path) -> Result<NodeKey, Trouble> {
    let fails = |error: &io::Error| {
        Trouble::Fails(Failure::local(format_args!("the node key {}", path.display()), error))
    };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Trouble::Missing),
        Err(error) => return Err(fails(&error)),
    };
    check_mode(path, &file.metadata().map_err(|error| fails(&error))?).map_err(Trouble::Fails)?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE).read_to_string(&mut text).map_err(|error| fails(&error))?;
    parse(&text).ok_or_else(|| {
        let what = format!("{} holds no node key (or a damaged one)", path.display());
        Trouble::Fails(Failure::new(Cause::LocalIo, what))
    })
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    let what = format!("others may read the node key (mode {mode:04o}): chmod 600 {path}");
    Err(Failure::new(Cause::LocalIo, what))
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _metadata: &fs::Metadata) -> Result<(), Failure> {
    Ok(())
}

/// Makes the file beside its place and links it there: whoever comes second takes the first one's
/// key.
fn make(path: &Path) -> Result<Loaded, Failure> {
    let fails = |error: &io::Error| {
        Failure::local(format_args!("cannot make the node key {}", path.display()), error)
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_folder(folder).map_err(|error| fails(&error))?;
    let key = generate_key()
        .map_err(|error| Failure::new(Cause::Failure, format_args!("no randomness: {error}")))?;
    // The temporary file is made with mode 0600.
    let mut file = tempfile::Builder::new()
        .prefix(".key-")
        .tempfile_in(folder)
        .map_err(|error| fails(&error))?;
    let written = file.write_all(text(&key).as_bytes()).and_then(|()| file.as_file().sync_all());
    written.map_err(|error| fails(&error))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(Loaded { key, path: path.to_owned(), made: true }),
        Err(lost) if lost.error.kind() == io::ErrorKind::AlreadyExists => match read(path) {
            Ok(key) => Ok(Loaded { key, path: path.to_owned(), made: false }),
            Err(Trouble::Fails(failure)) => Err(failure),
            Err(Trouble::Missing) => Err(fails(&lost.error)),
        },
        Err(lost) => Err(fails(&lost.error)),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn text(key: &NodeKey) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(key.seed().to_vec());
    let check = check_of(key.seed());
    bytes.extend(check);
    let mut line = Zeroizing::new(BASE32_NOPAD.encode(&bytes));
    line.make_ascii_lowercase();
    Zeroizing::new(format!("{PREFIX}{}\n", *line))
}

fn parse(text: &str) -> Option<NodeKey> {
    let letters = text.trim_ascii_end().strip_prefix(PREFIX)?;
    if letters.bytes().any(|letter| letter.is_ascii_uppercase()) {
        return None;
    }
    let upper = Zeroizing::new(letters.to_ascii_uppercase());
    let bytes = Zeroizing::new(BASE32_NOPAD.decode(upper.as_bytes()).ok()?);
    let (seed, check) = bytes.split_first_chunk::<32>()?;
    (check == check_of(seed)).then(|| NodeKey::from_seed(seed))
}

fn check_of(seed: &[u8; 32]) -> [u8; 4] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(PREFIX.as_bytes()).update(seed);
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    [a, b, c, d]
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
