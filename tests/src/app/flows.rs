//! Texts on their way: out of an application, and into one, where every byte is looked at.

use std::ops::Range;

use aqueduct_core::endpoint::{ConnectionHandle, Endpoint};
use aqueduct_core::range_set::RangeSet;
use aqueduct_core::stream::{Arrival, ReadError, RecvStream};
use aqueduct_core::wire::id::{AppCode, StreamId};
use bytes::Bytes;

use super::{Reading, WORD, byte, word};
use crate::holes::{self, Scattered, is_hole, is_holed};

/// A text on its way out.
#[derive(Clone, Debug)]
pub struct Outflow {
    /// Whose stream.
    pub connection: ConnectionHandle,
    /// Which.
    pub stream: StreamId,
    /// Which text it is.
    pub salt: u64,
    /// Bytes that the stream took.
    pub taken: u64,
    pub(super) rest: Bytes,
    /// In place of that, a text with holes.
    scattered: Option<Scattered>,
    pub(super) finish: bool,
    /// All of it is written, with the end.
    pub written: bool,
    /// All of it, with the end, is acknowledged.
    pub delivered: bool,
    /// The peer did not want it.
    pub stopped: bool,
    /// With this code, as far as that was still known.
    pub unwanted: Option<AppCode>,
}

/// A text on its way in.
#[derive(Clone, Debug)]
pub struct Inflow {
    /// Whose stream.
    pub connection: ConnectionHandle,
    /// Which.
    pub stream: StreamId,
    salt: Option<u64>,
    /// Bytes read and found right, with those of holes that were passed.
    pub read: u64,
    /// All below was read or told as skipped.
    told: u64,
    /// What was read, or told as skipped.
    came: RangeSet,
    /// The end was seen.
    pub finished: bool,
    /// The sender gave up, with this code.
    pub reset: Option<AppCode>,
    /// So many relays away.
    pub hop: u64,
    /// It is not read for now.
    pub ignored: bool,
}

/// Whether these are bytes of the text number `salt` from `at` on. Whole words are looked at at
/// once, and without a branch: worlds spend much of their time here.
fn is_prose(salt: u64, at: u64, bytes: &[u8]) -> bool {
    let ragged = at.next_multiple_of(WORD) - at;
    let (head, rest) = bytes.split_at(bytes.len().min(ragged as usize));
    let (words, tail) = rest.as_chunks();
    let first = (at + ragged) / WORD;
    let right =
        words.iter().zip(first..).fold(true, |right, (is, at)| right & (word(salt, at) == *is));
    let bytewise =
        |bytes: &[u8], from| bytes.iter().zip(from..).all(|(is, at)| byte(salt, at) == *is);
    right && bytewise(head, at) && bytewise(tail, (first + words.len() as u64) * WORD)
}

impl Outflow {
    pub(super) fn new(
        connection: ConnectionHandle,
        stream: StreamId,
        salt: u64,
        rest: Bytes,
    ) -> Self {
        Self {
            connection,
            stream,
            salt,
            taken: 0,
            rest,
            scattered: None,
            finish: false,
            written: false,
            delivered: false,
            stopped: false,
            unwanted: None,
        }
    }

    /// A text with holes.
    pub(super) fn scattered(
        connection: ConnectionHandle,
        stream: StreamId,
        text: Scattered,
    ) -> Self {
        let whole = Self::new(connection, stream, text.salt, Bytes::new());
        Self { scattered: Some(text), ..whole }
    }

    /// The peer does not want it, and says why.
    pub(super) fn on_stopped(&mut self, endpoint: &mut Endpoint) {
        self.stopped = true;
        let view = endpoint.connection(self.connection);
        let why = view.and_then(|mut view| view.send(self.stream)?.stopped());
        self.unwanted = why.map(|(code, _)| code);
    }

    pub(super) fn pump(&mut self, endpoint: &mut Endpoint) {
        let Some(mut view) = endpoint.connection(self.connection) else { return };
        let Some(mut stream) = view.send(self.stream) else { return };
        if let Some(text) = &mut self.scattered {
            self.written = text.pump(&mut stream);
            return;
        }
        while !self.rest.is_empty() {
            let Ok(taken) = stream.write(self.rest.clone()) else { return };
            self.rest = self.rest.slice(taken..);
            self.taken += taken as u64;
            if taken == 0 {
                return;
            }
        }
        if self.finish && !self.written {
            self.written = stream.finish().is_ok();
        }
    }
}

impl Inflow {
    /// Which text it is, once something of it was read.
    pub fn salt(&self) -> Option<u64> {
        self.salt
    }

    pub(super) fn new(connection: ConnectionHandle, stream: StreamId, salt: Option<u64>) -> Self {
        Self {
            connection,
            stream,
            salt,
            read: 0,
            told: 0,
            came: RangeSet::new(),
            finished: false,
            reset: None,
            hop: 0,
            ignored: false,
        }
    }

    pub(super) fn pump(&mut self, endpoint: &mut Endpoint, way: Reading, most: u64) {
        let until = self.read.saturating_add(most);
        if self.ignored {
            return;
        }
        let Some(mut view) = endpoint.connection(self.connection) else { return };
        while let Some(mut stream) = view.recv(self.stream).filter(|_| self.read < until) {
            let head = stream.info().and_then(|info| info.head.first_chunk::<8>().copied());
            let salt = self.salt.or(head.map(u64::from_be_bytes)).expect("a known text");
            self.salt = Some(salt);
            self.read = self.read.max(stream.info().map_or(0, |info| info.start));
            if is_holed(salt) && way == Reading::InOrder {
                self.told = holes::pass(&mut stream, salt, self.told.max(self.read));
            }
            let max = usize::try_from(until - self.read).unwrap_or(usize::MAX);
            match take(&mut stream, salt, way, max) {
                Ok(Some(Arrival::Bytes(chunk))) => {
                    assert!(is_prose(salt, chunk.offset, &chunk.data), "wrong bytes");
                    if way == Reading::InOrder {
                        self.pass(salt, chunk.offset);
                    }
                    self.note(chunk.offset..chunk.offset + chunk.data.len() as u64);
                    self.read += chunk.data.len() as u64;
                    stream.release(chunk.data.len() as u64);
                }
                Ok(Some(Arrival::Skipped(range))) => {
                    assert!(is_hole(salt, range.clone()), "skipped, and is none: {range:?}");
                    self.note(range.clone());
                    self.read += range.end - range.start;
                    stream.release(range.end - range.start);
                }
                Ok(None) => {
                    let start = stream.info().map_or(0, |info| info.start);
                    self.end(salt, way, start..stream.final_size().unwrap_or(0));
                    return;
                }
                Err(ReadError::Reset { code, hop }) => {
                    (self.reset, self.hop) = (Some(code), hop);
                    return;
                }
                Err(ReadError::Blocked | ReadError::Stopped) => return,
                Err(error) => panic!("reading failed: {error}"),
            }
        }
    }

    /// Each byte comes once, and none behind the end.
    fn note(&mut self, range: Range<u64>) {
        assert!(!self.finished && self.reset.is_none(), "{range:?} behind the end: {self:?}");
        assert!(self.came.is_disjoint(&range), "{range:?} comes again: {self:?}");
        self.came.insert(range);
    }

    /// In order, what lies between two chunks was skipped, and told before.
    fn pass(&mut self, salt: u64, offset: u64) {
        let told = offset <= self.told.max(self.read);
        let gap = self.read..offset;
        assert!(offset >= self.read, "{offset} was passed: {self:?}");
        assert!(gap.is_empty() || told && is_hole(salt, gap), "a gap: {self:?} at {offset}");
        self.read = offset;
    }

    /// The end: of a text with holes all else has come, and only that.
    fn end(&mut self, salt: u64, way: Reading, whole: Range<u64>) {
        self.finished = true;
        if !is_holed(salt) || whole.is_empty() {
            return;
        }
        match way {
            Reading::InOrder => self.pass(salt, whole.end),
            // Holes are not told to who takes bytes alone.
            _ if !is_told(salt) => self.read += holes::missing(salt, whole.clone()),
            _ => {}
        }
        assert_eq!(self.read, whole.end, "a text with holes ended elsewhere: {self:?}");
    }
}

/// Who reads as it comes is told of the holes of every second text.
const fn is_told(salt: u64) -> bool {
    is_holed(salt) && salt.is_multiple_of(2)
}

/// What there is of a text, read as somebody reads.
fn take(
    stream: &mut RecvStream<'_>,
    salt: u64,
    way: Reading,
    max: usize,
) -> Result<Option<Arrival>, ReadError> {
    match way {
        Reading::InOrder => stream.read_chunk(max).map(|it| it.map(Arrival::Bytes)),
        Reading::AsItComes if is_told(salt) => stream.take_arrival(max),
        Reading::AsItComes => stream.take_any(max).map(|it| it.map(Arrival::Bytes)),
        Reading::Never => Err(ReadError::Blocked),
    }
}
