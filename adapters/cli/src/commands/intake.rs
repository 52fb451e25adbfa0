//! One transfer at the receiver: asked, answered, stored, and the verdict given.
//!
//! Two run side by side: this task takes bytes from the stream and cuts them into parts; a blocking
//! thread hashes and writes them. A channel of a few parts between them makes a slow disk slow the
//! sender, not fill the memory.

use std::path::Path;
use std::time::{Duration, Instant};

use aqueduct_tokio::{AppCode, Connection, DEFAULT_HOP_LIMIT, NodeId, RecvStream, SendStream};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::recv::Service;
use super::report::{Direction, Report};
use super::resuming::Resuming;
use super::waits::{For, Waits};
use crate::body::{Decoder, Part};
use crate::exit::{Cause, Failure};
use crate::names::{self, Habits, printable, short};
use crate::offer::{Code, Offer, Reply};
use crate::output::Fields;
use crate::progress::Progress;
use crate::store::{self, Existing, Rejection, Store, Stored};

/// Parts between the stream and the disk.
const AHEAD: usize = 64;
/// How long the sender may take to hear the verdict.
const VERDICT: Duration = Duration::from_secs(2);

/// Whether a transfer was the one that `--once` waits for.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was, and so it went.
    Counts(Result<Fields, Failure>),
    /// Somebody who may not, or came too late.
    Ignored,
}

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    service: &'a Service,
    connection: &'a Connection,
    send: SendStream,
    body: Resuming<'a>,
}

impl<'a> Intake<'a> {
    /// From a stream that speaks the protocol.
    pub(super) fn new(
        service: &'a Service,
        connection: &'a Connection,
        send: SendStream,
        recv: RecvStream,
    ) -> Self {
        let body = Resuming::new(connection, &service.output, recv);
        Self { service, connection, send, body }
    }

    /// From the offer to the verdict.
    pub(super) async fn run(mut self) -> Outcome {
        let offer = self.body.head().and_then(Offer::from_head);
        let Some(offer) = offer else {
            self.refuse(Code::Malformed, "an offer that makes no sense").await;
            return Outcome::Ignored;
        };
        if !self.is_welcome(&offer).await {
            return Outcome::Ignored;
        }
        if !self.service.take_turn() {
            self.refuse(Code::Busy, "another transfer has the receiver").await;
            return Outcome::Ignored;
        }
        if let Err(rejection) = check(&offer, &self.service.target, self.service.existing) {
            self.refuse(rejection.code, &rejection.failure.message).await;
            return Outcome::Counts(Err(rejection.failure));
        }
        let begun = Instant::now();
        let received = self.receive(&offer).await;
        let time = begun.elapsed();
        let how = self.conclude(received).await;
        let paths = how.as_ref().map(|stored| stored.paths.clone()).unwrap_or_default();
        let report = Report {
            direction: Direction::Receive,
            peer: self.connection.peer(),
            remote: self.connection.remote(),
            carrier: self.connection.carriage(),
            name: &offer.name,
            time,
            paths: &paths,
        };
        let how = how.map(|stored| stored.summary);
        self.service.output.event("transfer", report.event(&how));
        match &how {
            Ok(summary) => {
                paths.iter().for_each(|path| {
                    self.service.output.line(&printable(&path.to_string_lossy()));
                });
                self.service.output.note(&report.sentence(summary));
            }
            Err(failure) => {
                let name = printable(&offer.name);
                self.service.output.note(&format!("`{name}` was not received: {failure}"));
            }
        }
        Outcome::Counts(how.map(|summary| report.result("recv", &summary)))
    }

    /// Asks, if there is something to ask, as long as the sender waits.
    async fn is_welcome(&mut self, offer: &Offer) -> bool {
        let peer = self.connection.peer();
        let mut interrupt = self.service.interrupt.clone();
        let may = tokio::select! {
            biased;
            () = interrupt.wait() => return false,
            _ = self.connection.closed() => return false,
            may = self.service.access.may_send(&peer, offer, &self.service.output) => may,
        };
        if !may {
            self.refuse(Code::Declined, self.service.access.why_not()).await;
        }
        may
    }

    async fn refuse(&mut self, code: Code, why: &str) {
        let (peer, why) = (self.connection.peer(), printable(why));
        self.service.output.note(&format!("refused {peer}: {why}"));
        let fields = json!({"peer": peer.to_string(), "message": why});
        self.service.output.event("refused", fields);
        self.say(Reply::Refuse(code, why)).await;
        self.body.stop(AppCode(code as u64));
    }

    /// The last word on this stream, and a moment for it to arrive.
    async fn say(&mut self, reply: Reply) {
        let said = async {
            self.send.write_bytes(reply.to_bytes().into()).await?;
            self.send.delivered().await
        };
        match tokio::time::timeout(VERDICT, said).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the sender does not hear"),
            Err(_) => tracing::debug!("the sender took too long to hear"),
        }
    }

    async fn receive(&mut self, offer: &Offer) -> Result<Stored, Rejection> {
        self.send.write_bytes(Reply::Accept.to_bytes().into()).await.map_err(told)?;
        let (parts, taker) = mpsc::channel(AHEAD);
        let writer = Writer::start(self.service, taker);
        let way = way_in_words(&self.connection.peer(), self.body.hop_limit());
        let label = label(&offer.name, &way);
        let progress = Progress::new(&label, offer.bytes);
        let mut interrupt = self.service.interrupt.clone();
        let read = tokio::select! {
            biased;
            () = interrupt.wait() => Err(told(Failure::interrupted())),
            () = parts.closed() => Ok(()),
            read = self.read(&parts, &progress) => read,
        };
        progress.clear();
        // Without more parts the writer ends; its folder is gone or in place when it has.
        drop(parts);
        let written = writer.end().await;
        match (read, written) {
            (_, Err(rejection)) | (Err(rejection), Ok(None)) => Err(rejection),
            (_, Ok(Some(stored))) => Ok(stored),
            (Ok(()), Ok(None)) => Err(told(Failure::new(Cause::Failure, "the body has no end"))),
        }
    }

    /// Bytes into parts, until the sender's end.
    async fn read(
        &mut self,
        parts: &mpsc::Sender<Part>,
        progress: &Progress,
    ) -> Result<(), Rejection> {
        let mut decoder = Decoder::new();
        let block = self.service.limiter.block();
        let mut waits = Waits::new(Instant::now());
        while let Some(mut bytes) =
            waits.on(For::Bytes, self.body.read_chunk(block)).await.map_err(told)?
        {
            waits.on(For::Rate, self.service.limiter.pass(bytes.len())).await;
            while let Some(part) = decoder.next(&mut bytes).map_err(|error| {
                let failure = Failure::new(Cause::Failure, error);
                Rejection { code: Code::Malformed, failure }
            })? {
                if let Part::Data(data) = &part {
                    progress.add(data.len());
                }
                if waits.on(For::Disk, parts.send(part)).await.is_err() {
                    // The writer has ended and says why.
                    return Ok(());
                }
            }
            if let Some(words) = waits.told(Instant::now()) {
                progress.say(&words);
            }
        }
        if decoder.is_over() {
            return Ok(());
        }
        let failure = Failure::new(Cause::Failure, "the sender ended in the middle");
        Err(Rejection { code: Code::Malformed, failure })
    }

    async fn conclude(&mut self, received: Result<Stored, Rejection>) -> Result<Stored, Failure> {
        match received {
            Ok(stored) => {
                // The writer knows the end before the stream does; the sender says it next.
                let rest = async { while let Ok(Some(_)) = self.body.read_chunk(1024).await {} };
                if tokio::time::timeout(VERDICT, rest).await.is_err() {
                    tracing::debug!("the stream goes on behind the end of its body");
                }
                self.say(Reply::Done(stored.summary)).await;
                Ok(stored)
            }
            Err(rejection) => {
                self.body.stop(AppCode(rejection.code as u64));
                if self.connection.close_reason().is_none() {
                    let words = rejection.failure.message.clone();
                    self.say(Reply::Failed(rejection.code, words)).await;
                }
                Err(rejection.failure)
            }
        }
    }
}

/// What stands before the bar: what comes which way.
fn label(name: &str, way: &str) -> String {
    format!("receiving {} < {way}", printable(name))
}

/// Who sends it here, by the beginning of its id; and behind how many relays the sender is, which
/// each of them counts down in the stream's hop limit.
fn way_in_words(peer: &NodeId, left: Option<u8>) -> String {
    let peer = short(peer);
    match DEFAULT_HOP_LIMIT.saturating_sub(left.unwrap_or(DEFAULT_HOP_LIMIT)) {
        0 => peer,
        1 => format!("{peer} (a relay)"),
        relays => format!("{peer} (the last of {relays} relays)"),
    }
}

/// A failure of this side, as the sender is told of it.
fn told(failure: impl Into<Failure>) -> Rejection {
    let failure = failure.into();
    Rejection { code: Code::of(failure.cause), failure }
}

/// What can be said against an offer before a byte of it has come.
fn check(offer: &Offer, target: &Path, existing: Existing) -> Result<(), Rejection> {
    let parts = names::parts(&offer.name, Habits::HERE).map_err(|error| Rejection {
        code: Code::Name,
        failure: Failure::new(Cause::Refused, format_args!("`{}`: {error}", offer.name)),
    })?;
    if let Some(top) = parts.first() {
        store::check_free(&target.join(top), existing)?;
    }
    match (offer.bytes, space(target)) {
        (Some(needed), Some(free)) if needed > free => {
            let what = format!("no space left: {needed} bytes offered, {free} free");
            Err(Rejection { code: Code::Space, failure: Failure::new(Cause::LocalIo, what) })
        }
        _ => Ok(()),
    }
}

/// Bytes that may still be written where `target` lies, if the system tells.
#[cfg(unix)]
fn space(target: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(target).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

#[cfg(not(unix))]
fn space(_target: &Path) -> Option<u64> {
    None
}

/// The thread that hashes and writes.
#[derive(Debug)]
struct Writer {
    thread: JoinHandle<Result<Option<Stored>, Rejection>>,
}

impl Writer {
    fn start(service: &Service, mut parts: mpsc::Receiver<Part>) -> Self {
        let (target, existing) = (service.target.clone(), service.existing);
        let thread = tokio::task::spawn_blocking(move || {
            let mut store = Store::new(&target, existing)?;
            while let Some(part) = parts.blocking_recv() {
                if let Some(stored) = store.take(part)? {
                    return Ok(Some(stored));
                }
            }
            Ok(None)
        });
        Self { thread }
    }

    async fn end(self) -> Result<Option<Stored>, Rejection> {
        self.thread.await.unwrap_or_else(|error| {
            Err(told(Failure::new(Cause::Failure, format_args!("the writing thread: {error}"))))
        })
    }
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
