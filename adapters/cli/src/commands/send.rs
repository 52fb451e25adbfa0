//! `aqueduct send`: files to whoever printed the ticket.

use std::future::pending;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use aqueduct_cli::ticket::Ticket;
use aqueduct_tokio::relay::Way;
use aqueduct_tokio::{
    AppCode, Connection, LimitTimes, NodeAddr, OpenOptions, SendStream, StreamError,
};
use futures_util::future::{Either, select};
use tokio::sync::mpsc::Receiver;

use super::limits;
use super::replies::{self, Replies};
use super::report::{Direction, Report};
use crate::args::{Common, Send};
use crate::body::Summary;
use crate::exit::{Cause, Failure};
use crate::interrupt::Interrupt;
use crate::key;
use crate::limit::Limiter;
use crate::names::{printable, short};
use crate::node::{self, Farewell};
use crate::offer::{Code, Offer, Reply};
use crate::output::{Fields, Output};
use crate::progress::Progress;
use crate::source::{self, Block, Plan};

/// How long a receiver that stopped reading may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Sends the files; ends when every receiver said that it has them all, whole, or why not.
///
/// # Errors
/// See [`Cause`]. With several receivers the first failure is the command's.
pub(super) async fn run(
    options: Send,
    common: &Common,
    output: &Output,
    mut interrupt: Interrupt,
) -> Result<Fields, Failure> {
    let usage = |error: String| Failure::new(Cause::Usage, error);
    let (files, tickets) = options.split().map_err(usage)?;
    let name = options.name;
    let walk = tokio::task::spawn_blocking(move || Plan::walk(&files, name.as_deref()));
    let walked = async { walk.await.map_err(|error| Failure::new(Cause::Failure, error))? };
    let plan = interrupt.or(walked).await?;
    for path in &plan.skipped {
        output.note(&format!("left out: {} (no file and no folder)", path.display()));
    }
    let offer = plan.offer();
    let limiter = Limiter::new(options.limit);
    let offered = OpenOptions { size: plan.body(limiter.block()), ..offer.to_options() };
    let introduction = introduce(&offered, &options.via, &tickets)?;
    let way = way_in_words(&options.via, &tickets);
    let key = key::load_or_make(common.key.as_deref())?.key;
    let first = options.via.first().or(tickets.first());
    let first = first.ok_or_else(|| usage("no ticket".to_owned()))?;
    let node = node::dial(key, first, &options.addr, common, output, &mut interrupt).await?;
    let (endpoint, connection) = (&node.endpoint, &node.connection);
    endpoint.set_limit(options.limit);
    let mut sender = Sender {
        connection,
        output,
        limiter,
        begun: Instant::now(),
        limits: LimitTimes::default(),
        receivers: tickets.len(),
        way,
    };
    let how = sender.send(plan, &offer, introduction, &mut interrupt).await;
    let time = sender.begun.elapsed();
    let goodbye = match &how {
        Ok(_) => Farewell::Done,
        Err(failure) => Farewell::Failed(failure),
    };
    let each = match &how {
        Ok(each) => each.clone(),
        Err(failure) => tickets.iter().map(|_| Err(failure.clone())).collect(),
    };
    let reports: Vec<_> = tickets
        .iter()
        .map(|ticket| Report {
            direction: Direction::Send,
            peer: ticket.id(),
            remote: connection.remote(),
            carrier: connection.carriage(),
            name: &offer.name,
            time,
            paths: &[],
        })
        .collect();
    for (report, how) in reports.iter().zip(&each) {
        output.event("transfer", report.event(how));
    }
    node::say_goodbye(endpoint, connection, goodbye).await;
    let mut last = conclude(output, &reports, each)?;
    last.insert("limited_by".into(), serde_json::json!(limits::longest(&sender.limits)));
    last.insert("limits_ms".into(), limits::in_millis(&sender.limits));
    Ok(last)
}

/// Where it goes: the relays in their order, then who receives, by the beginnings of their ids.
fn way_in_words(via: &[Ticket], to: &[Ticket]) -> String {
    let relays = via.iter().map(|ticket| format!("{} > ", short(&ticket.id())));
    let receivers: Vec<_> = to.iter().map(|ticket| short(&ticket.id())).collect();
    relays.collect::<String>() + &receivers.join(" + ")
}

/// What stands before the bar: what goes which way.
fn label(name: &str, way: &str) -> String {
    format!("sending {} > {way}", printable(name))
}

/// The last word: what was sent, or the first failure.
fn conclude(
    output: &Output,
    reports: &[Report<'_>],
    each: Vec<Result<Summary, Failure>>,
) -> Result<Fields, Failure> {
    let mut last = Fields::new();
    let mut first_failure = None;
    for (report, how) in reports.iter().zip(each) {
        match how {
            Ok(summary) => {
                let to =
                    if reports.len() > 1 { format!("{}: ", report.peer) } else { String::new() };
                output.note(&format!("{to}{}", report.sentence(&summary)));
                last = report.result("send", &summary);
            }
            Err(failure) if reports.len() > 1 => {
                output.note(&format!("{}: {failure}", report.peer));
                let whom = format_args!("to {}", report.peer);
                first_failure.get_or_insert(failure.context(whom));
            }
            Err(failure) => return Err(failure),
        }
    }
    match first_failure {
        Some(failure) => Err(failure),
        None => {
            if reports.len() > 1 {
                let peers: Vec<_> = reports.iter().map(|report| report.peer.to_string()).collect();
                last.remove("peer");
                last.insert("peers".into(), serde_json::json!(peers));
            }
            Ok(last)
        }
    }
}

/// How the stream introduces itself: straight to the receiver, or with the way behind the relay.
fn introduce(offered: &OpenOptions, via: &[Ticket], to: &[Ticket]) -> Result<OpenOptions, Failure> {
    let Some((_first, rest)) = via.split_first() else { return Ok(offered.clone()) };
    let there = |ticket: &Ticket| NodeAddr::from((ticket.id(), ticket.addrs().to_vec()));
    let way =
        Way { relays: rest.iter().map(there).collect(), targets: to.iter().map(there).collect() };
    way.introduce(offered).map_err(|error| Failure::new(Cause::Usage, error))
}

/// Waits until a relay stops the stream, and then a little for answers that say more.
async fn refused(stream: &mut SendStream) -> Failure {
    let stop = match stream.stopped().await {
        Ok(Some(stop)) => stop,
        Ok(None) => pending().await,
        Err(error) => return error.into(),
    };
    tokio::time::sleep(LAST_WORDS).await;
    StreamError::from(stop).into()
}

struct Sender<'a> {
    connection: &'a Connection,
    output: &'a Output,
    limiter: Limiter,
    /// When the receivers accepted: what they think over is no time of the transfer's.
    begun: Instant,
    /// What held it back from then on, until all was delivered or there is a verdict.
    limits: LimitTimes,
    receivers: usize,
    /// For people.
    way: String,
}

impl Sender<'_> {
    async fn send(
        &mut self,
        plan: Plan,
        offer: &Offer,
        introduction: OpenOptions,
        interrupt: &mut Interrupt,
    ) -> Result<Vec<Result<Summary, Failure>>, Failure> {
        let opening = async { self.connection.open_bi(introduction).await.map_err(Failure::from) };
        let (mut stream, back) = interrupt.or(opening).await?;
        if !self.output.is_json() {
            let peer = self.connection.peer();
            self.output.note(&format!("connected to {peer}; the way: {}", self.way));
        }
        let answers = async {
            if self.receivers == 1 {
                return Ok(vec![Replies::new(back)]);
            }
            // Held: to stop it is nobody's business.
            let _quiet = back;
            let id = stream.id();
            tokio::select! {
                biased;
                found = replies::gather(self.connection, id, self.receivers) => found,
                code = refused(&mut stream) => Err(code),
            }
        };
        let mut replies = interrupt.or(answers).await?;
        let welcome = async {
            let all = vec![Ok(()); self.receivers];
            Ok::<_, Failure>(replies::next_of_all(&mut replies, all).await)
        };
        let accepted: Vec<_> = interrupt.or(welcome).await?.into_iter().map(is_welcome).collect();
        if accepted.iter().all(Result::is_err) {
            return settle(accepted.into_iter().filter_map(Result::err).map(Err).collect());
        }
        self.begun = Instant::now();
        let before = self.connection.stats().await.limits;
        let blocks = source::spawn(plan, self.limiter.block())?;
        let progress = Progress::new(&label(&offer.name, &self.way), offer.bytes);
        // Before the end of the body nobody has a verdict but those who gave up.
        let mut verdicts = pin!(replies::next_of_all(&mut replies, accepted));
        let poured = tokio::select! {
            biased;
            () = interrupt.wait() => Err(Failure::interrupted()),
            early = &mut verdicts => {
                stream.reset(AppCode(Code::Failed as u64));
                let failed = |reply: Result<Reply, _>| Err(reply.map_or_else(|f| f, refusal));
                return settle(early.into_iter().map(failed).collect());
            }
            poured = self.pour(&mut stream, blocks, &progress) => poured,
            never = limits::watch(self.connection, &progress) => match never {},
        };
        progress.clear();
        let summary = match poured {
            Ok(summary) => summary,
            Err(failure) => {
                stream.reset(AppCode(Code::of(failure.cause) as u64));
                return Err(explained(failure, verdicts).await);
            }
        };
        let ended = async { Ok::<_, Failure>(self.ended(&mut stream, verdicts).await) };
        let (limits, verdicts) = interrupt.or(ended).await?;
        self.limits = limits.since(&before);
        settle(verdicts.into_iter().map(|verdict| compare(verdict, summary)).collect())
    }

    /// What held the connection back until all was delivered or there was a verdict; and verdicts.
    async fn ended<V: Future>(
        &self,
        stream: &mut SendStream,
        mut verdicts: Pin<&mut V>,
    ) -> (LimitTimes, V::Output) {
        let delivered = pin!(stream.stopped());
        let early = select(verdicts.as_mut(), delivered).await;
        let limits = self.connection.stats().await.limits;
        match early {
            Either::Left((verdicts, _)) => (limits, verdicts),
            Either::Right((_, verdicts)) => (limits, verdicts.await),
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
async fn explained(
    failure: Failure,
    verdicts: impl Future<Output = Vec<Result<Reply, Failure>>>,
) -> Failure {
    if matches!(failure.cause, Cause::Interrupted | Cause::LocalIo | Cause::Unreachable) {
        return failure;
    }
    let verdicts = tokio::time::timeout(LAST_WORDS, verdicts).await.unwrap_or_default();
    let mut words = verdicts.into_iter().filter_map(|verdict| match verdict {
        Ok(reply @ (Reply::Refuse(..) | Reply::Failed(..))) => Some(refusal(reply)),
        _ => None,
    });
    words.next().unwrap_or(failure)
}

/// The outcomes; the failure of one receiver alone is that of the whole.
fn settle(
    mut each: Vec<Result<Summary, Failure>>,
) -> Result<Vec<Result<Summary, Failure>>, Failure> {
    match each.as_mut_slice() {
        [Err(failure)] => Err(failure.clone()),
        _ => Ok(each),
    }
}

/// Whether a receiver wants it.
fn is_welcome(reply: Result<Reply, Failure>) -> Result<(), Failure> {
    match reply? {
        Reply::Accept => Ok(()),
        reply => Err(refusal(reply)),
    }
}

/// A receiver's verdict beside what was sent.
fn compare(verdict: Result<Reply, Failure>, summary: Summary) -> Result<Summary, Failure> {
    match verdict? {
        Reply::Done(theirs) if theirs == summary => Ok(summary),
        Reply::Done(_) => {
            let what = "the receiver has something else than what was sent";
            Err(Failure::new(Cause::Integrity, what))
        }
        reply => Err(refusal(reply)),
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

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
