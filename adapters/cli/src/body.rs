//! The body of a file transfer: folders and files one behind the other, then the sender's count.
//!
//! ```text
//! FOLDER 2 | length u16 | path
//! FILE   1 | flags u8 (1: executable) | size u64 (all ones: unknown) | length u16 | path
//!            then chunks: length u32 (1 to 1 MiB) | bytes;  length 0 ends the file: | BLAKE3 32
//! END    3 | entries u64 | bytes u64 | digest 32
//! ```
//!
//! [`Decoder`] is the reading machine: bytes in, [`Part`]s out, nothing kept but a header that is
//! not yet whole. [`Tally`] counts and digests on either side alike; the two must agree in the end.

use blake3::Hasher;
use bytes::Bytes;
use thiserror::Error;

use crate::names::MAX_PATH;

const FILE: u8 = 1;
const FOLDER: u8 = 2;
const END: u8 = 3;
const EXECUTABLE: u8 = 1;
const UNKNOWN: u64 = u64::MAX;
/// Bytes of a chunk at most.
pub(crate) const MAX_CHUNK: usize = 1 << 20;

/// What is said of a file before its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    /// Parts with `/` between them. Not checked here.
    pub(crate) path: String,
    /// Bytes, if the sender knows.
    pub(crate) size: Option<u64>,
    /// May be run.
    pub(crate) executable: bool,
}

/// What a decoder gives out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A folder, before everything in it.
    Folder(String),
    /// A file begins.
    File(FileHeader),
    /// Bytes of the file.
    Data(Bytes),
    /// The file is over, and this is its BLAKE3 according to the sender.
    FileEnd([u8; 32]),
    /// The body is over, and this is what the sender counted.
    End(Summary),
}

/// What a transfer was, by one side's own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Files and folders.
    pub(crate) entries: u64,
    /// Bytes of all files.
    pub(crate) bytes: u64,
    /// Of the one file, or of the tree (spec R-FILE-6).
    pub(crate) digest: [u8; 32],
}

impl Summary {
    /// Bytes of its encoding.
    pub(crate) const LEN: usize = 48;

    /// Its encoding.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.entries.to_be_bytes().to_vec();
        bytes.extend(self.bytes.to_be_bytes());
        bytes.extend(self.digest);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub(crate) fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let (entries, rest) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let (count, digest) = rest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        Self {
            entries: u64::from_be_bytes(*entries),
            bytes: u64::from_be_bytes(*count),
            digest: digest.try_into().unwrap_or([0; 32]),
        }
    }

    /// The digest as people compare it.
    pub(crate) fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.digest).to_hex().to_string()
    }
}

/// A folder's record.
pub(crate) fn folder(path: &str) -> Vec<u8> {
    let mut bytes = vec![FOLDER];
    put_path(&mut bytes, path);
    bytes
}

/// A file's record, up to its first chunk.
pub(crate) fn file(header: &FileHeader) -> Vec<u8> {
    let mut bytes = vec![FILE, u8::from(header.executable) * EXECUTABLE];
    bytes.extend(header.size.unwrap_or(UNKNOWN).to_be_bytes());
    put_path(&mut bytes, &header.path);
    bytes
}

/// What stands before a chunk of `len` bytes, at most [`MAX_CHUNK`].
pub(crate) fn chunk_header(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(0).to_be_bytes()
}

/// What stands behind the last chunk.
pub(crate) fn file_end(digest: &[u8; 32]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(digest);
    bytes
}

/// The last record.
pub(crate) fn end(summary: Summary) -> Vec<u8> {
    let mut bytes = vec![END];
    bytes.extend(summary.to_bytes());
    bytes
}

/// Bytes of a file's chunks of `block` bytes each, all but the last, with what ends them.
pub(crate) fn chunks_len(size: u64, block: usize) -> Option<u64> {
    let headers = size.div_ceil(block as u64).checked_mul(4)?;
    size.checked_add(headers)?.checked_add(4 + 32)
}

fn put_path(bytes: &mut Vec<u8>, path: &str) {
    // Whoever makes a path of more than MAX_PATH bytes is refused before (`source`).
    bytes.extend(u16::try_from(path.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(path.as_bytes());
}

/// Bytes that are no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the sender's bytes make no sense: {0}")]
pub(crate) struct Malformed(&'static str);

#[derive(Clone, Debug)]
enum State {
    /// Before a record's first byte.
    Tag,
    /// Flags, size and the path's length.
    File,
    /// The path's length.
    Folder,
    FilePath {
        executable: bool,
        size: Option<u64>,
    },
    FolderPath,
    ChunkLength,
    Data {
        left: usize,
    },
    Digest,
    End,
    Over,
}

/// Reads a body (spec R-FILE-4, R-FILE-5).
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    state: State,
    /// What is here of a header, and how much it must be.
    header: Vec<u8>,
    wanted: usize,
}

impl Decoder {
    /// Before the first byte.
    pub(crate) const fn new() -> Self {
        Self { state: State::Tag, header: Vec::new(), wanted: 1 }
    }

    /// Whether the last record is read.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Takes from the front of `input` what makes the next part; `None`: it took all and needs
    /// more.
    ///
    /// # Errors
    /// The bytes break a rule of the format. Nothing that follows is to be believed.
    pub(crate) fn next(&mut self, input: &mut Bytes) -> Result<Option<Part>, Malformed> {
        loop {
            if let State::Data { left } = &mut self.state {
                if input.is_empty() {
                    return Ok(None);
                }
                let data = input.split_to(input.len().min(*left));
                *left -= data.len();
                if *left == 0 {
                    self.go(State::ChunkLength, 4);
                }
                return Ok(Some(Part::Data(data)));
            }
            if self.is_over() {
                return if input.is_empty() {
                    Ok(None)
                } else {
                    Err(Malformed("bytes after the end"))
                };
            }
            let missing = self.wanted.saturating_sub(self.header.len());
            let take = input.split_to(input.len().min(missing));
            self.header.extend_from_slice(&take);
            if self.header.len() < self.wanted {
                return Ok(None);
            }
            let header = std::mem::take(&mut self.header);
            if let Some(part) = self.take_header(&header)? {
                return Ok(Some(part));
            }
        }
    }

    fn go(&mut self, state: State, wanted: usize) {
        self.state = state;
        self.wanted = wanted;
    }

    fn take_header(&mut self, header: &[u8]) -> Result<Option<Part>, Malformed> {
        match std::mem::replace(&mut self.state, State::Tag) {
            State::Tag => match header {
                [FILE] => self.go(State::File, 11),
                [FOLDER] => self.go(State::Folder, 2),
                [END] => self.go(State::End, Summary::LEN),
                _ => return Err(Malformed("a record of an unknown kind")),
            },
            State::File => {
                let (flags, size, length) = file_fields(header)?;
                let size = (size != UNKNOWN).then_some(size);
                self.go(State::FilePath { executable: flags & EXECUTABLE != 0, size }, length);
            }
            State::Folder => {
                let length = header.first_chunk().map_or(0, |len| u16::from_be_bytes(*len));
                let length = path_length(length)?;
                self.go(State::FolderPath, length);
            }
            State::FilePath { executable, size } => {
                let path = path_of(header)?;
                self.go(State::ChunkLength, 4);
                return Ok(Some(Part::File(FileHeader { path, size, executable })));
            }
            State::FolderPath => {
                let path = path_of(header)?;
                self.go(State::Tag, 1);
                return Ok(Some(Part::Folder(path)));
            }
            State::ChunkLength => {
                let length = header.first_chunk().map_or(0, |len| u32::from_be_bytes(*len));
                match usize::try_from(length) {
                    Ok(0) => self.go(State::Digest, 32),
                    Ok(left) if left <= MAX_CHUNK => self.state = State::Data { left },
                    _ => return Err(Malformed("a chunk that is too long")),
                }
            }
            State::Digest => {
                self.go(State::Tag, 1);
                return Ok(header.first_chunk().map(|digest| Part::FileEnd(*digest)));
            }
            State::End => {
                self.go(State::Over, 0);
                return Ok(header.first_chunk().map(|bytes| Part::End(Summary::from_bytes(bytes))));
            }
            State::Data { .. } | State::Over => {}
        }
        Ok(None)
    }
}

fn file_fields(header: &[u8]) -> Result<(u8, u64, usize), Malformed> {
    let (&flags, rest) = header.split_first().ok_or(Malformed("a file without flags"))?;
    let (size, rest) = rest.split_first_chunk().ok_or(Malformed("a file without a size"))?;
    let length = rest.first_chunk().ok_or(Malformed("a file without a path"))?;
    if flags & !EXECUTABLE != 0 {
        return Err(Malformed("an unknown flag"));
    }
    Ok((flags, u64::from_be_bytes(*size), path_length(u16::from_be_bytes(*length))?))
}

fn path_length(length: u16) -> Result<usize, Malformed> {
    match usize::from(length) {
        length @ 1..=MAX_PATH => Ok(length),
        _ => Err(Malformed("a path that is empty or too long")),
    }
}

fn path_of(bytes: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed("a path that is no UTF-8"))
}

/// Counts what goes by and digests the whole (spec R-FILE-6).
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    tree: Hasher,
    entries: u64,
    bytes: u64,
    /// The digest of the only file, while there is nothing else.
    only: Option<[u8; 32]>,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { tree: Hasher::new(), entries: 0, bytes: 0, only: None }
    }

    /// A folder.
    pub(crate) fn folder(&mut self, path: &str) {
        self.tree.update(&folder(path));
        self.entries = self.entries.saturating_add(1);
        self.only = None;
    }

    /// A file, after its last byte.
    pub(crate) fn file(&mut self, path: &str, executable: bool, bytes: u64, digest: &[u8; 32]) {
        self.tree.update(&file(&FileHeader { path: path.into(), size: Some(bytes), executable }));
        self.tree.update(digest);
        self.only = (self.entries == 0).then_some(*digest);
        self.entries = self.entries.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The count.
    pub(crate) fn summary(&self) -> Summary {
        let digest = self.only.unwrap_or_else(|| *self.tree.finalize().as_bytes());
        Summary { entries: self.entries, bytes: self.bytes, digest }
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
