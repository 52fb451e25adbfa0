//! How what an application says of and to streams stands on a tape.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::flow::Window;
use crate::tape::{Outcome, Reader, Taped};

use super::given::{Arrival, Chunk};
use super::options::{OpenError, OpenOptions, StreamProtocol};
use super::recv::ReadError;
use super::scheduler::Priority;
use super::send::WriteError;

impl OpenOptions {
    /// All but the application's words.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let Self {
            protocol,
            size,
            start,
            end,
            digest,
            priority,
            hop_limit,
            head: _, // these two are words
            extension: _,
        } = self;
        match protocol {
            StreamProtocol::Number(number) => (0_u8, *number).put(out),
            StreamProtocol::Name(name) => {
                out.push(1);
                name.put(out);
            }
        }
        (*size, (*start, *end)).put(out);
        (*digest, (*priority, *hop_limit)).put(out);
    }

    /// The same, with words that stand behind.
    pub(crate) fn get(from: &mut Reader<'_>) -> Option<Self> {
        let protocol = match from.byte()? {
            0 => StreamProtocol::Number(from.get()?),
            1 => StreamProtocol::Name(from.get()?),
            _ => return None,
        };
        let (size, (start, end)) = from.get()?;
        let (digest, (priority, hop_limit)) = from.get()?;
        let (head, extension) = (Bytes::new(), Bytes::new());
        Some(Self { protocol, size, start, end, digest, priority, hop_limit, head, extension })
    }

    /// The application's words.
    pub(crate) fn words(&self) -> [&[u8]; 2] {
        [&self.head, &self.extension]
    }
}

impl Taped for Priority {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Self::ALL.get(usize::from(from.byte()?)).copied()
    }
}

impl Taped for Window {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Auto => out.push(0),
            Self::Fixed(bytes) => (1_u8, *bytes).put(out),
            Self::Keeping { window, keep } => (2_u8, (*window, *keep)).put(out),
        }
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        match from.byte()? {
            0 => Some(Self::Auto),
            1 => from.get().map(Self::Fixed),
            2 => Some(Self::Keeping { window: from.get()?, keep: from.get()? }),
            _ => None,
        }
    }
}

impl OpenError {
    /// As on the tape.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Blocked => 1,
            Self::Closed => 2,
            Self::NoCredit => 3,
            Self::Invalid(_) => 4,
        }
    }
}

impl WriteError {
    /// As on the tape.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Blocked => 1,
            Self::Finished => 2,
            Self::Reset => 3,
            Self::Stopped { .. } => 4,
            Self::Overlap => 5,
            Self::OutOfBounds => 6,
        }
    }
}

impl ReadError {
    /// As on the tape.
    pub(crate) const fn number(&self) -> u8 {
        match self {
            Self::Blocked => 1,
            Self::Reset { .. } => 2,
            Self::Stuck(_) => 3,
            Self::Stopped => 4,
            Self::Skipped(_) => 5,
            Self::OutOfOrder => 6,
        }
    }
}

/// What was taken of a stream: some bytes, or its end.
pub(crate) trait Taken {
    /// How many bytes it takes of the body.
    fn amount(&self) -> u64;
}

impl Taken for Chunk {
    fn amount(&self) -> u64 {
        self.data.len() as u64
    }
}

impl Taken for Arrival {
    fn amount(&self) -> u64 {
        match self {
            Self::Bytes(chunk) => chunk.amount(),
            Self::Skipped(range) => range.end.saturating_sub(range.start),
        }
    }
}

/// What a read came to. The end of the body gives nothing, and no bytes are never given.
pub(crate) fn read<T: Taken>(came: &Result<Option<T>, ReadError>) -> Outcome {
    match came {
        Ok(taken) => Outcome::Done(taken.as_ref().map_or(0, Taken::amount)),
        Err(error) => Outcome::Refused(error.number()),
    }
}

/// What a call that gives nothing came to.
pub(super) fn done(came: &Result<(), WriteError>) -> Outcome {
    match came {
        Ok(()) => Outcome::Done(0),
        Err(error) => Outcome::Refused(error.number()),
    }
}
