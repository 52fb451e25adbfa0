//! The tape as bytes: a head, then segments that can be told whole or torn.
//!
//! ```text
//!  head     magic 8 · major 2 · minor 2 · flags 4 · wire version 2 · 0 2 · n 4 · n bytes · check 8
//!  segment  magic 4 · number 4 · time 8 · records 4 · n 4 · n bytes · chain 8 · check 8
//! ```

use alloc::vec::Vec;

use crate::time::Instant;

use super::check::Check;
use super::context::{Context, Slot};
use super::op::Op;
use super::value::Taped;
use super::{Payload, TapeOptions};

/// What a tape begins with. Not text, and a transfer that takes it for text spoils it.
pub const MAGIC: [u8; 8] = *b"\x89AQT\r\n\x1a\n";
/// Tapes of another major version cannot be read by this one.
pub const MAJOR: u16 = 1;
/// Tapes of a later minor version can, as far as their flags are known.
pub const MINOR: u16 = 0;
/// Bytes of the head before its sections.
pub const HEAD: usize = 24;
/// What a segment begins with.
pub const SEGMENT_MAGIC: [u8; 4] = *b"\xa7seg";
/// Bytes of a segment before its records.
pub const SEGMENT_HEAD: usize = 24;
/// Bytes of a segment behind its records.
pub const SEGMENT_TAIL: usize = 16;

/// Records of a segment that is closed as it reaches this many bytes, or this old.
const SEGMENT_BYTES: usize = 64 * 1024;
const SEGMENT_NANOS: u64 = 1_000_000_000;
/// The most that one record may hold of anything: a tape that meets more ends.
pub(crate) const MAX_BLOB: usize = 1 << 30;

/// What a reader must know of a tape before it reads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "two bits")]
pub struct Flags {
    /// What of the payload is there.
    pub payload: Payload,
}

impl Flags {
    const REFERENCED: u32 = 1;
    const ELIDED: u32 = 2;
    /// Flags that a reader may overlook.
    const LIGHT: u32 = 0xffff_0000;

    /// As in the head.
    pub const fn bits(self) -> u32 {
        match self.payload {
            Payload::Full => 0,
            Payload::Referenced => Self::REFERENCED,
            Payload::Elided => Self::ELIDED,
        }
    }

    /// What the head says; `None` if it says something that must be understood and is not.
    pub const fn of(bits: u32) -> Option<Self> {
        let payload = match bits & !Self::LIGHT {
            0 => Payload::Full,
            Self::REFERENCED => Payload::Referenced,
            Self::ELIDED => Payload::Elided,
            _ => return None,
        };
        Some(Self { payload })
    }
}

/// A part of the head. Others are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Section {
    /// Version of the crate, as text.
    Version = 1,
    /// Words for whoever finds the tape.
    Label = 2,
    /// The configuration without its secrets.
    Settings = 3,
    /// The seed and the configuration's secrets. Not there if the payload is elided.
    Secrets = 4,
    /// Words for whoever opens the file, first in the head: there are secrets in it.
    Warning = 5,
}

/// What a tape with secrets says of itself.
const WARNING: &str = "\nSECRET: this tape holds the node's key and every key of its connections. \
                       Keep it as you keep the key; `aqueduct trace redact` makes one to give \
                       away.\n";

/// Why a tape ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Ending {
    /// It was asked to.
    Finished = 0,
    /// Nobody took what was recorded in time.
    Overrun = 1,
    /// Something was larger than a record may be: 1 GiB.
    TooLarge = 2,
}

impl Ending {
    /// The one with this number.
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Finished),
            1 => Some(Self::Overrun),
            2 => Some(Self::TooLarge),
            _ => None,
        }
    }
}

/// Where a recording stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "two facts")]
pub struct TapeStatus {
    /// Bytes that wait to be taken.
    pub waiting: usize,
    /// Why nothing is recorded any more, if that is so.
    pub ended: Option<Ending>,
}

/// The writer.
#[derive(Debug)]
pub(crate) struct Tape {
    pub(super) payload: Payload,
    limit: usize,
    /// Whole segments, then the one that is written.
    buf: Vec<u8>,
    /// Where in `buf` that one begins.
    open: Option<usize>,
    number: u32,
    records: u32,
    /// The check of the head or segment before.
    check: u64,
    pub(super) chain: Check,
    pub(super) context: Context,
    /// The latest time that an input brought.
    pub(super) now: Instant,
    /// The connection that is looked at, and whether no record says so yet.
    pub(super) current: Option<Slot>,
    pub(super) untold: bool,
    /// `poll` was called and did not come back yet.
    polling: bool,
    ended: Option<Ending>,
    /// Writes records only: for comparison with those of another tape.
    bare: bool,
}

impl Tape {
    /// A tape with its head. `settings` and `secrets` are the endpoint's.
    pub(crate) fn new(
        options: &TapeOptions,
        wire: u16,
        settings: &[u8],
        secrets: Option<&[u8]>,
    ) -> Self {
        let mut tape = Self::bare(options.payload);
        tape.bare = false;
        tape.limit = options.buffer;
        let mut sections = Vec::new();
        let mut section = |kind: Section, bytes: &[u8]| {
            sections.push(kind as u8);
            sections.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            sections.extend_from_slice(bytes);
        };
        let secrets = secrets.filter(|_| options.payload != Payload::Elided);
        if secrets.is_some() {
            section(Section::Warning, WARNING.as_bytes());
        }
        section(Section::Version, env!("CARGO_PKG_VERSION").as_bytes());
        section(Section::Label, options.label.as_bytes());
        section(Section::Settings, settings);
        if let Some(secrets) = secrets {
            section(Section::Secrets, secrets);
        }
        let out = &mut tape.buf;
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&MAJOR.to_be_bytes());
        out.extend_from_slice(&MINOR.to_be_bytes());
        out.extend_from_slice(&Flags { payload: options.payload }.bits().to_be_bytes());
        out.extend_from_slice(&wire.to_be_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&(sections.len() as u32).to_be_bytes());
        out.extend_from_slice(&sections);
        let mut check = Check::default();
        check.bytes(out);
        tape.check = check.value();
        out.extend_from_slice(&tape.check.to_be_bytes());
        tape
    }

    /// A tape of records without head or segments.
    pub(crate) fn bare(payload: Payload) -> Self {
        Self {
            payload,
            limit: usize::MAX,
            buf: Vec::new(),
            open: None,
            number: 0,
            records: 0,
            check: 0,
            chain: Check::default(),
            context: Context::default(),
            now: Instant::ZERO,
            current: None,
            untold: false,
            polling: false,
            ended: None,
            bare: true,
        }
    }

    /// Of a bare tape: a segment of the other one begins.
    pub(crate) fn turn_over(&mut self, now: Instant) {
        self.context = Context::at(now);
    }

    /// Of a bare tape: the records since this was called last.
    pub(crate) const fn fresh(&mut self) -> &mut Vec<u8> {
        &mut self.buf
    }

    /// The same, to look at.
    pub(crate) fn records(&self) -> &[u8] {
        &self.buf
    }

    /// The chain of outputs so far.
    pub(crate) const fn chain(&self) -> u64 {
        self.chain.value()
    }

    /// An input came with this time.
    pub(crate) fn at(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Whether a record may be written now. What it need not say is to be asked for afterwards: a
    /// segment may have begun.
    pub(super) fn ready(&mut self) -> bool {
        if self.ended.is_none() && self.buf.len() > self.limit {
            self.end(Ending::Overrun);
        }
        if self.ended.is_some() {
            return false;
        }
        if !self.bare {
            if self.is_full() {
                self.seal();
            }
            self.open();
        }
        true
    }

    /// Begins a record, where one may be written.
    pub(super) fn begin(&mut self, op: Op) -> &mut Vec<u8> {
        self.records += 1;
        let late = self.now > self.context.now;
        self.buf.push(op as u8 | if late { LATE } else { 0 });
        if late {
            let since = self.now.as_nanos() - self.context.now.as_nanos();
            since.put(&mut self.buf);
            self.context.now = self.now;
        }
        &mut self.buf
    }

    /// Where the record that was begun goes on.
    pub(super) const fn line(&mut self) -> &mut Vec<u8> {
        &mut self.buf
    }

    /// Whether a call on a receiving half may be written: the half is in the segment that is open.
    pub(super) const fn is_running(&self) -> bool {
        self.ended.is_none()
    }

    /// What was written since the buffer had this length.
    pub(super) fn since(&self, from: usize) -> &[u8] {
        self.buf.get(from..).unwrap_or_default()
    }

    fn is_full(&self) -> bool {
        self.open.is_some_and(|from| {
            let old = self.now.as_nanos().saturating_sub(self.time_of(from)) >= SEGMENT_NANOS;
            old || self.buf.len() - from >= SEGMENT_BYTES + SEGMENT_HEAD
        })
    }

    fn time_of(&self, from: usize) -> u64 {
        let at = self.buf.get(from + 8..).and_then(|bytes| bytes.first_chunk());
        at.map_or(0, |at| u64::from_be_bytes(*at))
    }

    fn open(&mut self) {
        if self.open.is_some() {
            return;
        }
        self.open = Some(self.buf.len());
        self.context = Context::at(self.now);
        self.buf.extend_from_slice(&SEGMENT_MAGIC);
        self.buf.extend_from_slice(&self.number.to_be_bytes());
        self.buf.extend_from_slice(&self.now.as_nanos().to_be_bytes());
        self.buf.extend_from_slice(&[0; 8]);
        self.number += 1;
        self.records = 0;
    }

    /// Closes the segment that is written.
    fn seal(&mut self) {
        let Some(from) = self.open.take() else { return };
        let length = (self.buf.len() - from).saturating_sub(SEGMENT_HEAD) as u32;
        let counts = self.records.to_be_bytes().into_iter().chain(length.to_be_bytes());
        let space = self.buf.get_mut(from + 16..from + SEGMENT_HEAD);
        space.unwrap_or_default().iter_mut().zip(counts).for_each(|(to, byte)| *to = byte);
        self.buf.extend_from_slice(&self.chain.value().to_be_bytes());
        let mut check = Check::default();
        check.word(self.check);
        check.bytes(self.buf.get(from..).unwrap_or_default());
        self.check = check.value();
        self.buf.extend_from_slice(&self.check.to_be_bytes());
    }

    /// `poll` is called.
    pub(crate) fn polls(&mut self, now: Instant) {
        self.at(now);
        self.polling = true;
    }

    /// `poll` comes back.
    pub(super) fn polled(&mut self) {
        self.polling = false;
    }

    /// Moves all that was recorded to `out`. The segment that was written is closed.
    pub(crate) fn take(&mut self, out: &mut Vec<u8>) {
        if core::mem::take(&mut self.polling) && self.ready() {
            self.begin(Op::Unfinished);
        }
        self.seal();
        if out.is_empty() {
            core::mem::swap(out, &mut self.buf);
        } else {
            out.append(&mut self.buf);
        }
    }

    /// The tape ends here.
    pub(crate) fn end(&mut self, why: Ending) {
        if self.ended.is_some() {
            return;
        }
        if !self.bare {
            self.open();
        }
        self.begin(Op::End).push(why as u8);
        self.seal();
        self.ended = Some(why);
    }

    /// Where it stands.
    pub(crate) const fn status(&self) -> TapeStatus {
        TapeStatus { waiting: self.buf.len(), ended: self.ended }
    }
}

/// In a record's first byte: its time follows.
pub(crate) const LATE: u8 = 0x80;
