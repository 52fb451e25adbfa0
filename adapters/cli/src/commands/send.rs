//! `aqueduct send`: files to whoever printed the ticket.

use std::time::{Duration, Instant};

use aqueduct_tokio::{AppCode, Connection, RecvStream, SendStream};
use tokio::sync::mpsc::Receiver;

use super::report::{Direction, Report};
use crate::args::{Common, Send};
use crate::body::Summary;
use crate::exit::{Cause, Failure};
use crate::interrupt::Interrupt;
use crate::key;
use crate::limit::Limiter;
use crate::names::printable;
use crate::node::{self, Farewell};
use crate::offer::{Code, Offer, Reply};
use crate::output::{Fields, Output};
use crate::progress::Progress;
use crate::source::{self, Block, Plan};

/// How long a receiver that stopped reading may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Sends the files; ends when the receiver said that it has them all, whole.
///
/// # Errors
/// See [`Cause`].
pub(super) async fn run(
    options: Send,
    common: &Common,
    output: &Output,
    mut interrupt: Interrupt,
) -> Result<Fields, Failure> {
    let (files, ticket, name) = (options.files, options.ticket, options.name);
    let walk = tokio::task::spawn_blocking(move || Plan::walk(&files, name.as_deref()));
    let walked = async { walk.await.map_err(|error| Failure::new(Cause::Failure, error))? };
    let plan = interrupt.or(walked).await?;
    for path in &plan.skipped {
        output.note(&format!("left out: {} (no file and no folder)", path.display()));
    }
    let key = key::load_or_make(common.key.as_deref())?.key;
    let dialled = node::dial(key, &ticket, &options.addr, common.timeout, &mut interrupt).await;
    let (endpoint, connection) = dialled?;
    let offer = plan.offer();
    let mut sender = Sender {
        connection: &connection,
        output,
        limiter: Limiter::new(options.limit),
        begun: Instant::now(),
    };
    let how = sender.send(plan, &offer, &mut interrupt).await;
    let report = Report {
        direction: Direction::Send,
        peer: connection.peer(),
        remote: connection.remote(),
        name: &offer.name,
        time: sender.begun.elapsed(),
        paths: &[],
    };
    output.event("transfer", report.event(&how));
    match &how {
        Ok(_) => node::say_goodbye(&endpoint, &connection, Farewell::Done).await,
        Err(failure) => {
            node::say_goodbye(&endpoint, &connection, Farewell::Failed(failure)).await;
        }
    }
    let summary = how?;
    output.note(&report.sentence(&summary));
    Ok(report.result("send", &summary))
}

struct Sender<'a> {
    connection: &'a Connection,
    output: &'a Output,
    limiter: Limiter,
    /// When the receiver accepted: what it thinks over is no time of the transfer's.
    begun: Instant,
}

impl Sender<'_> {
    async fn send(
        &mut self,
        plan: Plan,
        offer: &Offer,
        interrupt: &mut Interrupt,
    ) -> Result<Summary, Failure> {
        let opening =
            async { self.connection.open_bi(offer.to_options()).await.map_err(Failure::from) };
        let (mut stream, replies) = interrupt.or(opening).await?;
        let mut replies = Replies { stream: replies, bytes: Vec::new() };
        if !self.output.is_json() {
            self.output.note(&format!("connected to {}", self.connection.peer()));
        }
        match interrupt.or(replies.next()).await? {
            Reply::Accept => self.begun = Instant::now(),
            reply => return Err(refusal(reply)),
        }
        let blocks = source::spawn(plan, self.limiter.block())?;
        let label = format!("sending {}", printable(&offer.name));
        let progress = Progress::new(&label, offer.bytes);
        let poured = tokio::select! {
            biased;
            () = interrupt.wait() => Err(Failure::interrupted()),
            reply = replies.next() => Err(reply.map_or_else(|failure| failure, refusal)),
            poured = self.pour(&mut stream, blocks, &progress) => poured,
        };
        progress.clear();
        let summary = match poured {
            Ok(summary) => summary,
            Err(failure) => {
                stream.reset(AppCode(Code::of(failure.cause) as u64));
                return Err(explained(failure, &mut replies).await);
            }
        };
        match interrupt.or(replies.next()).await? {
            Reply::Done(theirs) if theirs == summary => Ok(summary),
            Reply::Done(_) => {
                let what = "the receiver has something else than what was sent";
                Err(Failure::new(Cause::Integrity, what))
            }
            reply => Err(refusal(reply)),
        }
    }

    /// Everything onto the stream, and its end behind it.
    async fn pour(
        &self,
        stream: &mut SendStream,
        mut blocks: Receiver<Block>,
        progress: &Progress,
    ) -> Result<Summary, Failure> {
        loop {
            match blocks.recv().await {
                Some(Block::Bytes { bytes, of_files }) => {
                    self.limiter.pass(of_files).await;
                    stream.write_bytes(bytes).await?;
                    progress.add(of_files);
                }
                Some(Block::End(summary)) => {
                    stream.finish()?;
                    return Ok(summary);
                }
                Some(Block::Failed(failure)) => return Err(failure),
                None => return Err(Failure::new(Cause::Failure, "the reading thread has died")),
            }
        }
    }
}

/// A receiver that stops reading says why; its words are worth a moment.
async fn explained(failure: Failure, replies: &mut Replies) -> Failure {
    if matches!(failure.cause, Cause::Interrupted | Cause::LocalIo | Cause::Unreachable) {
        return failure;
    }
    match tokio::time::timeout(LAST_WORDS, replies.next()).await {
        Ok(Ok(reply @ (Reply::Refuse(..) | Reply::Failed(..)))) => refusal(reply),
        _ => failure,
    }
}

/// A reply that ends the transfer, in words.
fn refusal(reply: Reply) -> Failure {
    let (verb, code, words) = match reply {
        Reply::Refuse(code, words) => ("refused", code, words),
        Reply::Failed(code, words) => ("failed", code, words),
        Reply::Accept | Reply::Done(_) => {
            return Failure::new(Cause::Failure, "the receiver's answer makes no sense");
        }
    };
    let words = if words.is_empty() { code.to_string() } else { words };
    // What fails for a stranger's own reasons is a failure here, whatever it is there.
    Failure::new(code.cause(), format_args!("the receiver {verb}: {words}"))
}

/// The receiver's answers, one by one.
#[derive(Debug)]
struct Replies {
    stream: RecvStream,
    bytes: Vec<u8>,
}

impl Replies {
    /// The next one. Cancel-safe.
    async fn next(&mut self) -> Result<Reply, Failure> {
        loop {
            match Reply::from_bytes(&self.bytes) {
                Ok(Some((reply, len))) => {
                    self.bytes.drain(..len);
                    return Ok(reply);
                }
                Ok(None) => {}
                Err(what) => return Err(Failure::new(Cause::Failure, what)),
            }
            match self.stream.read_chunk(1024).await? {
                Some(bytes) => self.bytes.extend_from_slice(&bytes),
                None => {
                    return Err(Failure::new(Cause::Failure, "the receiver ended without a word"));
                }
            }
        }
    }
}
