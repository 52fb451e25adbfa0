//! A tape's head and segments, from bytes that may be anything.

use alloc::string::String;
use core::fmt;

use thiserror::Error;

use crate::tape::{
    Check, Flags, HEAD, MAGIC, MAJOR, Payload, Reader, SEGMENT_HEAD, SEGMENT_MAGIC, SEGMENT_TAIL,
    Section,
};
use crate::time::Instant;
use crate::wire::header::VERSION_1;

/// Why bytes are no tape that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TraceError {
    /// They do not begin as one.
    #[error("this is no tape")]
    NoTape,
    /// They begin as one that went through a transfer of text.
    #[error("this was a tape: something took it for text and changed it")]
    Spoiled,
    /// Another major version.
    #[error("a tape of format {0}: this reads format {MAJOR}")]
    Major(u16),
    /// It says something that must be understood, and is not.
    #[error("a tape with a feature that this does not know (flags {0:#x})")]
    Flags(u32),
    /// Another version of the protocol.
    #[error("a tape of protocol version {0}: this speaks {VERSION_1}")]
    Wire(u16),
    /// The head is cut off.
    #[error("the tape's head is cut off")]
    Short,
    /// The head's check is wrong.
    #[error("the tape's head is damaged")]
    Damaged,
    /// A record is none, in a segment that is whole: the writer did something else than this reads.
    #[error("record {step}, at byte {offset}: {what}")]
    Record {
        /// The record's number.
        step: u64,
        /// Where it begins.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// A tape that was looked into.
#[derive(Clone, Copy)]
pub struct Trace<'a> {
    bytes: &'a [u8],
    flags: Flags,
    minor: u16,
    sections: &'a [u8],
    /// Where the first segment begins.
    body: usize,
    check: u64,
}

impl<'a> Trace<'a> {
    /// Reads the head.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, TraceError> {
        if !bytes.starts_with(&MAGIC) {
            let spoiled = bytes.starts_with(b"\x89AQT") || bytes.starts_with(b"\x09AQT");
            return Err(if spoiled { TraceError::Spoiled } else { TraceError::NoTape });
        }
        let half = |at: usize| u16_at(bytes, at).ok_or(TraceError::Short);
        let major = half(8)?;
        if major != MAJOR {
            return Err(TraceError::Major(major));
        }
        let length = u32_at(bytes, 20).ok_or(TraceError::Short)? as usize;
        let end = HEAD.checked_add(length).ok_or(TraceError::Short)?;
        let head = bytes.get(..end).ok_or(TraceError::Short)?;
        let mut check = Check::default();
        check.bytes(head);
        if u64_at(bytes, end).ok_or(TraceError::Short)? != check.value() {
            return Err(TraceError::Damaged);
        }
        let bits = u32_at(bytes, 12).ok_or(TraceError::Short)?;
        let flags = Flags::of(bits).ok_or(TraceError::Flags(bits))?;
        let wire = half(16)?;
        if wire != VERSION_1 {
            return Err(TraceError::Wire(wire));
        }
        let sections = head.get(HEAD..).unwrap_or_default();
        let (minor, body) = (half(10)?, end + 8);
        Ok(Self { bytes, flags, minor, sections, body, check: check.value() })
    }

    /// What of the payload is there.
    pub const fn payload(&self) -> Payload {
        self.flags.payload
    }

    /// The format's minor version.
    pub const fn minor(&self) -> u16 {
        self.minor
    }

    /// The version of the crate that wrote it.
    pub fn version(&self) -> String {
        self.text(Section::Version)
    }

    /// The words that were given to it.
    pub fn label(&self) -> String {
        self.text(Section::Label)
    }

    fn text(&self, section: Section) -> String {
        String::from_utf8_lossy(self.section(section).unwrap_or_default()).into_owned()
    }

    /// A part of the head.
    pub(super) fn section(&self, wanted: Section) -> Option<&'a [u8]> {
        let mut from = Reader::new(self.sections);
        while let Some(kind) = from.byte() {
            let length = from.take(4)?.first_chunk().map(|b| u32::from_be_bytes(*b))?;
            let bytes = from.take(length as usize)?;
            if kind == wanted as u8 {
                return Some(bytes);
            }
        }
        None
    }

    /// The segments that are whole, in their order.
    pub const fn segments(&self) -> Segments<'a> {
        Segments { bytes: self.bytes, at: self.body, number: 0, check: self.check, torn: false }
    }
}

/// Without what it holds.
impl fmt::Debug for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("bytes", &self.bytes.len())
            .field("payload", &self.flags.payload)
            .finish_non_exhaustive()
    }
}

/// A segment that is whole.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a segment's parts")]
pub struct Segment<'a> {
    /// Time of its first record, at the latest.
    pub time: Instant,
    /// How many records are in it.
    pub count: u32,
    /// Its records.
    pub records: &'a [u8],
    /// The chain of outputs behind the last of them.
    pub chain: u64,
    /// Where its records begin, in the tape.
    pub offset: usize,
}

/// Goes through a tape's segments as far as they are whole.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
    number: u32,
    check: u64,
    torn: bool,
}

impl<'a> Segments<'a> {
    /// Where the tape is torn, or spoiled, if it is: behind the last whole segment. To be asked
    /// when all were given.
    pub fn torn(&self) -> Option<usize> {
        self.torn.then_some(self.at)
    }

    /// The next, if it is whole.
    fn whole(&mut self) -> Option<Segment<'a>> {
        let rest = self.bytes.get(self.at..)?;
        let length = u32_at(rest, 20)? as usize;
        let end = SEGMENT_HEAD.checked_add(length)?;
        let body = rest.get(..end.checked_add(8)?)?;
        let fits = rest.starts_with(&SEGMENT_MAGIC) && u32_at(rest, 4)? == self.number;
        let mut check = Check::default();
        check.word(self.check);
        check.bytes(body);
        if !fits || u64_at(rest, end + 8)? != check.value() {
            return None;
        }
        self.check = check.value();
        self.number = self.number.checked_add(1)?;
        let segment = Segment {
            time: Instant::from_nanos(u64_at(rest, 8)?),
            count: u32_at(rest, 16)?,
            records: body.get(SEGMENT_HEAD..end)?,
            chain: u64_at(rest, end)?,
            offset: self.at + SEGMENT_HEAD,
        };
        self.at += end + SEGMENT_TAIL;
        Some(segment)
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        if self.torn || self.at >= self.bytes.len() {
            return None;
        }
        let segment = self.whole();
        self.torn = segment.is_none();
        segment
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}
