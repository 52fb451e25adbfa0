//! The rows of a report's tables.

use aqueduct_core::tape::{Op, Slot};
use aqueduct_core::trace::{Content, Packet, Record, Way};
use aqueduct_core::wire::frame::StreamFrame;
use aqueduct_core::wire::id::StreamId;

use crate::words;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody waits for it: it came, or asks for no ACK.
    None,
    /// Not known at the end.
    Flying,
    Acked,
    Lost,
    /// It was declared lost and arrived.
    Late,
}

/// A packet. Times are microseconds since the run began.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) step: u64,
    pub(crate) at: u64,
    pub(crate) connection: Option<Slot>,
    pub(crate) way: Way,
    pub(crate) number: Option<u64>,
    pub(crate) size: usize,
    pub(crate) fate: Fate,
    /// When that was known.
    pub(crate) settled: u64,
    /// It has bytes of streams that had gone before.
    pub(crate) again: bool,
    /// Its first piece of a stream: which, from where, how much.
    pub(crate) stream: Option<(StreamId, u64, u64)>,
    pub(crate) words: String,
}

impl Row {
    pub(crate) fn new(step: u64, at: u64, packet: &Packet) -> Self {
        let number = match &packet.content {
            Content::Data { number, .. } => Some(number.0),
            _ => None,
        };
        Self {
            step,
            at,
            connection: packet.connection,
            way: packet.way,
            number,
            size: packet.size,
            fate: Fate::None,
            settled: at,
            again: false,
            stream: None,
            words: words::content(packet),
        }
    }

    /// It has a piece of a stream.
    pub(crate) fn on_stream(&mut self, frame: &StreamFrame<'_>) {
        self.stream.get_or_insert((frame.id, frame.offset, frame.data.len() as u64));
    }
}

/// A record of the tape that is listed.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) step: u64,
    pub(crate) at: u64,
    pub(crate) op: Op,
    pub(crate) connection: Option<Slot>,
    pub(crate) stream: Option<StreamId>,
    pub(crate) words: String,
}

/// Longer words are cut.
const MOST: usize = 200;

impl Line {
    pub(crate) fn of(record: &Record<'_>, at: u64) -> Self {
        let mut words = record.words();
        if let Some((cut, _)) = words.char_indices().nth(MOST) {
            words.truncate(cut);
            words.push('…');
        }
        let (connection, stream) = (record.connection, record.stream);
        Self { step: record.step, at, op: record.op, connection, stream, words }
    }

    /// Whether it is kept before others: what happens once, and not with each piece of a stream.
    pub(crate) fn matters(&self, op: Op) -> bool {
        match op {
            Op::Event | Op::EventHere => !["readable", "writable", "more acknowledged"]
                .iter()
                .any(|often| self.words.starts_with(often)),
            Op::Send | Op::Write | Op::WriteAt | Op::Forward | Op::Priority => false,
            Op::PipeRead | Op::PipeRelease | Op::Piped | Op::DatagramRoom => false,
            op => !op.is_of_recv() && op != Op::Recv && op != Op::RecvAgain,
        }
    }
}
