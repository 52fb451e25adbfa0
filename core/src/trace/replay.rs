//! A tape run again.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use bytes::Bytes;
use thiserror::Error;

use crate::config::EndpointConfig;
use crate::endpoint::{ConnectionHandle, Endpoint};
use crate::rng::Seed;
use crate::tape::{Ending, Payload, Reader, Section};
use crate::time::Instant;
use crate::wire::id::StreamId;

use super::file::{Segment, Segments, Trace, TraceError};
use super::player::{Player, Stop};
use super::record::Decoder;

/// Runs a tape's inputs through an endpoint of its configuration and seed, and compares all that
/// comes out. Of a torn tape that is done for what is whole.
///
/// # Errors
/// The first difference, or why there is no replay: [`Divergence`].
pub fn replay(tape: &[u8]) -> Result<Summary, Divergence> {
    Replay::of(tape)?.run()
}

/// Bytes that the application gave and the tape has not ([`Payload::Referenced`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "which bytes")]
pub struct Wanted {
    /// Of which connection.
    pub connection: ConnectionHandle,
    /// Of which stream; of a datagram: none.
    pub stream: Option<StreamId>,
    /// From which byte on: the offset that was given, else the number of those that were written
    /// to the stream before without one. Of datagrams: how many there were before.
    pub offset: u64,
    /// How many.
    pub len: usize,
}

/// Gives the bytes that are wanted; `None` if there are none such.
pub(super) type Resolver<'a> = Box<dyn FnMut(&Wanted) -> Option<Bytes> + 'a>;

/// A replay that is prepared.
pub struct Replay<'a> {
    trace: Trace<'a>,
    config: EndpointConfig,
    seed: Seed,
    resolver: Option<Resolver<'a>>,
    checks: Checks,
}

impl<'a> Replay<'a> {
    /// Of this tape.
    ///
    /// # Errors
    /// [`Divergence::Unreadable`], [`Divergence::Elided`], [`Divergence::Settings`].
    pub fn of(tape: &'a [u8]) -> Result<Self, Divergence> {
        let trace = Trace::open(tape)?;
        if trace.payload() == Payload::Elided {
            return Err(Divergence::Elided);
        }
        let settings = trace.section(Section::Settings).ok_or(Divergence::Settings)?;
        let secrets = trace.section(Section::Secrets).ok_or(Divergence::Settings)?;
        let mut from = Reader::new(secrets);
        let seed = from.get::<[u8; 32]>().map(Seed::new).ok_or(Divergence::Settings)?;
        let config = EndpointConfig::from_tape(settings, &mut from).ok_or(Divergence::Settings)?;
        Ok(Self { trace, config, seed, resolver: None, checks: Checks::All })
    }

    /// With bytes that the tape has not.
    #[must_use]
    pub fn with_payload(mut self, resolve: impl FnMut(&Wanted) -> Option<Bytes> + 'a) -> Self {
        self.resolver = Some(Box::new(resolve));
        self
    }

    /// With zeros for bytes that the tape has not, if it refers to them: everything is compared but
    /// the checks of what was sent, in which alone that shows (spec R-RPT-3).
    #[must_use]
    pub fn with_zeros(mut self) -> Self {
        if self.trace.payload() == Payload::Referenced {
            self.checks = Checks::NoTags;
        }
        self
    }

    /// With another configuration: says where the run would first have been another.
    #[must_use]
    pub fn with_config(mut self, change: impl FnOnce(EndpointConfig) -> EndpointConfig) -> Self {
        self.config = change(self.config);
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`Divergence`].
    pub fn run(self) -> Result<Summary, Divergence> {
        let exact = self.checks == Checks::All;
        if self.trace.payload() == Payload::Referenced && self.resolver.is_none() && exact {
            return Err(Divergence::Referenced);
        }
        let mut run = self.start();
        while run.step()?.is_some() {}
        Ok(run.summary())
    }

    /// Begins it.
    pub(super) fn start(self) -> Run<'a> {
        let Self { trace, config, seed, resolver, checks } = self;
        let endpoint = Endpoint::replaying(config, seed, trace.payload());
        let player = Player::new(endpoint, resolver, checks == Checks::NoTags);
        Run { trace, player, segments: trace.segments(), segment: None, checks }
    }
}

/// What of the tape's outputs must come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checks {
    /// Every byte.
    All,
    /// All but the checks of what was sent: the payload that the tape does not have is taken for
    /// zeros, and makes other tags. Nothing else hangs on it.
    NoTags,
}

/// A replay on its way.
pub(super) struct Run<'a> {
    trace: Trace<'a>,
    pub(super) player: Player<'a>,
    segments: Segments<'a>,
    segment: Option<Open<'a>>,
    checks: Checks,
}

/// A segment that is played.
struct Open<'a> {
    segment: Segment<'a>,
    /// The number of its first record.
    first: u64,
    from: Decoder<'a>,
}

impl<'a> Run<'a> {
    /// Where the next record stands; `None` at the end of the tape.
    ///
    /// # Errors
    /// The segment that ended came to other outputs.
    pub(super) fn here(&mut self) -> Result<Option<Decoder<'a>>, Divergence> {
        while self.segment.as_ref().is_none_or(|open| open.from.is_empty()) {
            if let Some(done) = self.segment.take() {
                self.compare_ends(&done)?;
            }
            let Some(segment) = self.segments.next() else { return Ok(None) };
            self.player.turn_over(segment.time);
            let first = self.player.steps();
            let payload = self.trace.payload();
            let from = Decoder::new(segment.records, payload, segment.time, first);
            self.segment = Some(Open { segment, first, from });
        }
        Ok(self.segment.as_ref().map(|open| open.from.clone()))
    }

    /// Plays the next record, with those that cannot be told apart from it, and compares. Gives
    /// where they stood, and how many bytes they have; `None` at the end of the tape.
    ///
    /// # Errors
    /// [`Divergence`].
    pub(super) fn step(&mut self) -> Result<Option<(Decoder<'a>, usize)>, Divergence> {
        let Some(before) = self.here()? else { return Ok(None) };
        let Some(Open { segment, from, .. }) = &mut self.segment else { return Ok(None) };
        let (offset, records) = (segment.offset + before.at(), segment.records);
        let played = self.player.step(from);
        let end = from.at();
        if let Err(stop) = played {
            return Err(match stop {
                Stop::Record(what) => {
                    TraceError::Record { step: before.step(), offset, what }.into()
                }
                Stop::Payload(wanted) => Divergence::Payload(wanted),
            });
        }
        let expected = records.get(before.at()..end).unwrap_or_default();
        let actual = self.player.fresh();
        let same = match self.checks {
            Checks::All => actual == expected,
            Checks::NoTags => actual == expected || before.says_as_much(expected, actual),
        };
        if !same {
            return Err(Divergence::Differs(Box::new(differ(&before, expected, actual))));
        }
        self.player.forget();
        Ok(Some((before, expected.len())))
    }

    /// What a segment says of itself is so: how many records it has, and the chain behind them.
    fn compare_ends(&self, done: &Open<'_>) -> Result<(), Divergence> {
        let (count, chain) = (u64::from(done.segment.count), done.segment.chain);
        let played = (self.player.steps() - done.first, self.player.chain());
        let (expected, actual) = if count != played.0 {
            let said = |count| format!("a segment of {count} records ends");
            (said(count), said(played.0))
        } else if self.checks == Checks::All && chain != played.1 {
            let said = |chain| format!("a segment ends with {chain:016x} as its chain of outputs");
            (said(chain), said(played.1))
        } else {
            return Ok(());
        };
        let (step, time) = (self.player.steps(), self.player.now());
        Err(Divergence::Differs(Box::new(Difference { step, time, expected, actual })))
    }

    /// Whether every byte is what it was.
    pub(super) fn is_exact(&self) -> bool {
        self.checks == Checks::All
    }

    /// What was played.
    pub(super) fn summary(&self) -> Summary {
        let summary = self.player.summary();
        let tail = self.segments.torn().map_or(summary.tail, |at| Tail::Torn { at });
        Summary { tail, ..summary }
    }
}

/// The first record that is another.
fn differ(before: &Decoder<'_>, expected: &[u8], actual: &[u8]) -> Difference {
    let (mut one, mut other) = (before.with(expected), before.with(actual));
    loop {
        let (from, to) = ((one.at(), other.at()), (one.step(), one.record(), other.record()));
        let (step, expected_record, actual_record) = to;
        let same = expected.get(from.0..one.at()) == actual.get(from.1..other.at());
        let record = expected_record.as_ref().or(actual_record.as_ref());
        let time = record.map_or(Instant::ZERO, |record| record.time);
        let text = |record: Option<&super::Record<'_>>| {
            record.map_or_else(|| String::from("nothing"), ToString::to_string)
        };
        if !same || record.is_none() {
            let (expected, actual) = (text(expected_record.as_ref()), text(actual_record.as_ref()));
            return Difference { step, time, expected, actual };
        }
    }
}

/// What a replay that went well was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Records, inputs and outputs together.
    pub records: u64,
    /// Datagrams (or batches of them) that came, and their bytes.
    pub received: (u64, u64),
    /// Datagrams (or batches) that went, and their bytes.
    pub sent: (u64, u64),
    /// Events that were told.
    pub events: u64,
    /// When the first record was made.
    pub from: Instant,
    /// When the last one was.
    pub until: Instant,
    /// The chain of all outputs.
    pub chain: u64,
    /// How the tape ends.
    pub tail: Tail,
}

impl Summary {
    /// Whether the tape has everything up to where it was asked to end.
    pub fn is_whole(&self) -> bool {
        self.tail == Tail::Ended(Ending::Finished)
    }
}

/// How a tape ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tail {
    /// As it says.
    Ended(Ending),
    /// With whole segments, but it does not say that this is all: whoever wrote it was stopped.
    Open,
    /// It is torn or damaged from this byte on.
    Torn {
        /// Behind the last whole segment.
        at: usize,
    },
}

/// Why a replay did not go well.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Divergence {
    /// This is no tape, or not one that can be read.
    #[error(transparent)]
    Unreadable(#[from] TraceError),
    /// The tape has neither payload nor secrets: it can be looked at.
    #[error("this tape was recorded or redacted for looking at: it has no payload and no secrets")]
    Elided,
    /// The tape refers to bytes that must be given for a replay.
    #[error(
        "this tape refers to the bytes that were sent: give them (Replay::with_payload), or do \
         without them (Replay::with_zeros)"
    )]
    Referenced,
    /// Such bytes were not given.
    #[error("the bytes that were sent are not to be had: {0:?}")]
    Payload(Wanted),
    /// The configuration is missing, cannot be, or has a setting that this does not know.
    #[error("the tape's configuration is not one that this can run")]
    Settings,
    /// The endpoint did something else.
    #[error(transparent)]
    Differs(Box<Difference>),
}

/// The first record that is another.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(clippy::exhaustive_structs, reason = "where, and what")]
pub struct Difference {
    /// The record's number.
    pub step: u64,
    /// When.
    pub time: Instant,
    /// What is on the tape.
    pub expected: String,
    /// What the endpoint did now.
    pub actual: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, time, expected, actual } = self;
        let time = time.saturating_since(Instant::ZERO);
        write!(f, "diverges at step {step}, {time:?}:\n  tape: {expected}\n  now:  {actual}")
    }
}
