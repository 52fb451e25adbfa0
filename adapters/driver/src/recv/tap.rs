//! What a pipe passes on, read here as well: the application as a leg (store while forwarding).
//!
//! The pipe holds every byte until all of its legs have it, so what readers have not passed holds
//! the source back. Readers that are gone, or do not want any more, hold nothing back.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};

use aqueduct_core::endpoint::{PipeId, PipeRef};
use aqueduct_core::handoff::{Options, Producer, channel};
use aqueduct_core::pipe::{LegEnd, PipeOptions};
use aqueduct_core::stream;
use bytes::BytesMut;

use crate::error::{ConnectionError, ReadError, StreamError};
use crate::threads::Mark;

use super::{Known, MOST_CHUNKS, RecvHalf, RecvShared, Wishes, why};

/// The driver's end of a pipe's local leg.
pub(crate) struct Tap {
    producer: Producer<ReadError>,
    shared: Arc<RecvShared>,
    known: Known,
    /// What the pipe keeps behind its legs, in bytes.
    keep: u64,
    /// All below was taken from the pipe.
    taken: u64,
    /// Nobody reads: what comes is let go at once.
    dry: bool,
}

/// A half that reads what is passed on of `source`, from `start` on. It is told apart by the pipe's
/// id once there is one.
pub(crate) fn tapping(source: &RecvShared, start: u64, pipe: &PipeOptions) -> (Tap, RecvHalf) {
    let shared = Arc::new(RecvShared {
        connection: source.connection.clone(),
        id: source.id,
        pipe: OnceLock::new(),
        info: source.info.clone(),
        witness: None,
        mark: Mark::default(),
        wishes: Mutex::default(),
        damaged: AtomicBool::default(),
        holds: Some(AtomicU64::new(pipe.stock)),
        left: OnceLock::new(),
    });
    let teller = shared.clone();
    // The pipe's end waits for the last byte, so even that is worth telling at once.
    let options = Options::default().with_start(start).with_small(1);
    let options = options.on_release(move |urgency| teller.mark(urgency));
    let (producer, reader) = channel(options, ReadError::Connection(ConnectionError::DriverGone));
    let collected = BytesMut::new();
    let known = Known::of(source.info.as_ref());
    let keep = pipe.keep;
    let tap = Tap { producer, shared: shared.clone(), known, keep, taken: start, dry: false };
    let half =
        RecvHalf { reader: Some(reader), shared, over: false, wanted: 0, collected, keep: None };
    (tap, half)
}

impl RecvHalf {
    /// For the driver: it reads what this pipe passes on.
    pub(crate) fn reads(&self, pipe: PipeId) {
        let _once = self.shared.pipe.set(pipe);
    }
}

impl Tap {
    /// Hands over what the pipe has, until readers hold many chunks.
    pub(crate) fn pump(&mut self, pipe: &mut PipeRef<'_>) {
        while self.dry || self.producer.chunks_held() < MOST_CHUNKS {
            match pipe.read(usize::MAX) {
                Ok(Some(chunk)) => {
                    if chunk.offset > self.taken {
                        // A reader in order has no use for what lies behind.
                        self.fail(ReadError::Skipped(self.taken..chunk.offset));
                    }
                    self.taken = chunk.range().end;
                    let _nobody = self.producer.push(chunk.data);
                    if self.dry {
                        pipe.release(self.taken);
                    }
                }
                Ok(None) => return self.finish(pipe),
                Err(stream::ReadError::Blocked) => return,
                // If it was given up as a leg, the end of the leg says so.
                Err(error) => return self.fail(why(error)),
            }
        }
    }

    /// The body is over, and whole if its last bytes were not skipped.
    fn finish(&mut self, pipe: &mut PipeRef<'_>) {
        match pipe.final_size().filter(|size| *size > self.taken) {
            Some(size) => {
                self.fail(ReadError::Skipped(self.taken..size));
                pipe.release(self.taken);
            }
            None => _ = self.producer.finish(self.taken),
        }
    }

    /// Lets go of what readers have passed, and does what they wish. More than the pipe's window
    /// they do not get to see at once, and are told so before they wish it.
    pub(crate) fn serve(&mut self, wishes: &Wishes, pipe: &mut PipeRef<'_>) {
        let _counted = self.producer.take_released();
        if wishes.stop.is_some() {
            self.fail(ReadError::Stopped);
        }
        self.dry |= !self.producer.has_readers();
        pipe.release(if self.dry { self.taken } else { self.producer.released() });
        if let Some(holds) = &self.shared.holds {
            holds.store(pipe.stats().window.saturating_sub(self.keep), Relaxed);
        }
        self.pump(pipe);
    }

    /// The leg has ended.
    pub(crate) fn end(&mut self, end: LegEnd) {
        match end {
            LegEnd::Delivered => _ = self.producer.finish(self.taken),
            LegEnd::Reset { code, hop } => self.fail(why(stream::ReadError::Reset { code, hop })),
            LegEnd::Detached { .. } => {
                self.fail(ReadError::Failed(StreamError::Detached { hop: None }));
            }
            _ => self.fail(ReadError::Stopped),
        }
    }

    fn fail(&mut self, error: ReadError) {
        self.dry = true;
        let _first = self.producer.fail(self.known.tell(error, self.taken));
    }
}
