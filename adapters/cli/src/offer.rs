//! Words of a file transfer beside the files: what is offered, what is answered.
//!
//! ```text
//! sender    OPEN "aqueduct-file/1", head = Offer -------->  receiver
//!           <------------------------------ ACCEPT or REFUSE
//!           body (see `body`) ---------------------------->
//!           <-------- DONE with the receiver's own count, or FAILED at any time
//! ```
//!
//! Layouts and rules: spec `14-tickets-and-files.md`.

use std::fmt;

use aqueduct_tokio::{OpenOptions, StreamProtocol};

use crate::body::Summary;
use crate::exit::Cause;

/// The protocol's name in OPEN.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::name("aqueduct-file/1");
/// The name in OPEN of a stream whose bytes come back as they went (`aqueduct ping`).
pub(crate) const PING_PROTOCOL: StreamProtocol = StreamProtocol::name("aqueduct-ping/1");

const BYTES_KNOWN: u8 = 1;
const FOLDERS: u8 = 2;
/// Bytes of an offer's name: of its first file or folder.
const MAX_NAME: usize = 255;
/// Bytes of the words behind a code.
const MAX_WORDS: usize = 512;

/// Why one side gives a transfer up: the code of REFUSE and FAILED, of stream resets and of
/// closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// All is well.
    Done = 0,
    /// Anything else.
    Failed = 1,
    /// The receiver does not want it.
    Declined = 2,
    /// A name is taken, and nothing is overwritten.
    Exists = 3,
    /// A name that the receiver does not take.
    Name = 4,
    /// A digest or a size differs.
    Integrity = 5,
    /// No space left at the receiver.
    Space = 6,
    /// Files of the side that says so failed.
    LocalIo = 7,
    /// Somebody pressed Ctrl-C.
    Interrupted = 8,
    /// The other side does not keep to the protocol.
    Malformed = 9,
    /// Another transfer has the receiver.
    Busy = 10,
}

impl Code {
    /// The code; those of later versions are plain failures.
    pub(crate) const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Done,
            2 => Self::Declined,
            3 => Self::Exists,
            4 => Self::Name,
            5 => Self::Integrity,
            6 => Self::Space,
            7 => Self::LocalIo,
            8 => Self::Interrupted,
            9 => Self::Malformed,
            10 => Self::Busy,
            _ => Self::Failed,
        }
    }

    /// What it means for the side that is told.
    pub(crate) const fn cause(self) -> Cause {
        match self {
            Self::Declined | Self::Exists | Self::Name | Self::Busy => Cause::Refused,
            Self::Integrity => Cause::Integrity,
            _ => Cause::Failure,
        }
    }

    /// What to tell the other side about a failure of this one.
    pub(crate) const fn of(cause: Cause) -> Self {
        match cause {
            Cause::Refused => Self::Declined,
            Cause::Integrity => Self::Integrity,
            Cause::LocalIo => Self::LocalIo,
            Cause::Interrupted => Self::Interrupted,
            Cause::Failure | Cause::Usage | Cause::Unreachable | Cause::Diverged => Self::Failed,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Failed => "it failed there",
            Self::Declined => "declined",
            Self::Exists => "it exists there already",
            Self::Name => "a name was not taken",
            Self::Integrity => "what arrived is not what was sent",
            Self::Space => "no space left there",
            Self::LocalIo => "files could not be read or written there",
            Self::Interrupted => "interrupted there",
            Self::Malformed => "this side was not understood",
            Self::Busy => "busy with another transfer",
        })
    }
}

/// What the sender would like to send: shown to whoever decides. Promises nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Files and folders; 0 if not counted.
    pub(crate) entries: u64,
    /// Bytes of all files, if known.
    pub(crate) bytes: Option<u64>,
    /// There are folders in it.
    pub(crate) folders: bool,
    /// Of the first file or folder.
    pub(crate) name: String,
}

impl Offer {
    /// The stream's introduction (spec R-FILE-1, R-FILE-2).
    pub(crate) fn to_options(&self) -> OpenOptions {
        let flags = u8::from(self.bytes.is_some()) * BYTES_KNOWN + u8::from(self.folders) * FOLDERS;
        let mut head = vec![flags];
        head.extend(self.entries.to_be_bytes());
        head.extend(self.bytes.unwrap_or(0).to_be_bytes());
        head.extend(cut(&self.name, MAX_NAME).as_bytes());
        OpenOptions::new(PROTOCOL).with_head(head)
    }

    /// Reads the head of an introduction; `None`: not ours.
    pub(crate) fn from_head(head: &[u8]) -> Option<Self> {
        let (&flags, rest) = head.split_first()?;
        let (entries, rest) = rest.split_first_chunk::<8>()?;
        let (bytes, name) = rest.split_first_chunk::<8>()?;
        if flags & !(BYTES_KNOWN | FOLDERS) != 0 || name.is_empty() || name.len() > MAX_NAME {
            return None;
        }
        let known = flags & BYTES_KNOWN != 0;
        let bytes = u64::from_be_bytes(*bytes);
        if !known && bytes != 0 {
            return None;
        }
        Some(Self {
            entries: u64::from_be_bytes(*entries),
            bytes: known.then_some(bytes),
            folders: flags & FOLDERS != 0,
            name: std::str::from_utf8(name).ok()?.to_owned(),
        })
    }
}

/// What the receiver says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Send it.
    Accept,
    /// Do not.
    Refuse(Code, String),
    /// Everything is here and was checked.
    Done(Summary),
    /// It will not be.
    Failed(Code, String),
}

const ACCEPT: u8 = 0x81;
const REFUSE: u8 = 0x82;
const DONE: u8 = 0x83;
const FAILED: u8 = 0x84;

impl Reply {
    /// The bytes on the stream.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Accept => vec![ACCEPT],
            Self::Refuse(code, words) => coded(REFUSE, *code, words),
            Self::Done(summary) => {
                let mut bytes = vec![DONE];
                bytes.extend(summary.to_bytes());
                bytes
            }
            Self::Failed(code, words) => coded(FAILED, *code, words),
        }
    }

    /// The first reply in `bytes` and how long it is; `Ok(None)`: not all of it is here.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Option<(Self, usize)>, &'static str> {
        let Some((&tag, rest)) = bytes.split_first() else { return Ok(None) };
        match tag {
            ACCEPT => Ok(Some((Self::Accept, 1))),
            DONE => Ok(rest
                .split_first_chunk()
                .map(|(summary, _)| (Self::Done(Summary::from_bytes(summary)), 1 + Summary::LEN))),
            REFUSE | FAILED => {
                let Some((&[code, high, low], rest)) = rest.split_first_chunk::<3>() else {
                    return Ok(None);
                };
                let len = usize::from(u16::from_be_bytes([high, low]));
                if len > MAX_WORDS {
                    return Err("an answer with too many words");
                }
                let Some((words, _)) = rest.split_at_checked(len) else { return Ok(None) };
                let words = String::from_utf8_lossy(words).into_owned();
                let code = Code::from_byte(code);
                let reply = if tag == REFUSE {
                    Self::Refuse(code, words)
                } else {
                    Self::Failed(code, words)
                };
                Ok(Some((reply, 4 + len)))
            }
            _ => Err("an answer of an unknown kind"),
        }
    }
}

fn coded(tag: u8, code: Code, words: &str) -> Vec<u8> {
    let words = cut(words, MAX_WORDS);
    let mut bytes = vec![tag, code as u8];
    bytes.extend(u16::try_from(words.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(words.as_bytes());
    bytes
}

fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
#[path = "offer_tests.rs"]
mod tests;
