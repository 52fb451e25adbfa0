//! `aqueduct recv`: a ticket for others, and a place for what they send.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aqueduct_tokio::{AppCode, Connection, Endpoint, Incoming, RecvStream, SendStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::access::Access;
use super::door;
use super::intake::{self, Intake};
use crate::args::{Common, Recv};
use crate::exit::{Cause, Failure};
use crate::interrupt::Interrupt;
use crate::limit::Limiter;
use crate::metrics::Page;
use crate::offer::{Code, PING_PROTOCOL, PROTOCOL};
use crate::output::{Fields, Output};
use crate::store::Existing;
use crate::{key, node, staging};

/// How long transfers that are under way may take to put things in order at the end.
const LAST_ORDERS: Duration = Duration::from_secs(3);

/// Receives until the user has enough, or once.
///
/// # Errors
/// See [`Cause`].
pub(super) async fn run(
    options: Recv,
    common: &Common,
    output: &Arc<Output>,
    mut interrupt: Interrupt,
) -> Result<Fields, Failure> {
    let key = key::load_or_make(common.key.as_deref())?.key;
    std::fs::create_dir_all(&options.out).map_err(|error| {
        Failure::local(format_args!("folder {}", options.out.display()), &error)
    })?;
    for folder in staging::tidy_up(&options.out) {
        let folder = folder.display();
        output.note(&format!("removed {folder}: a transfer that was killed had left it"));
    }
    let mut allow = options.allow;
    if allow.contains(&key.id()) {
        allow.push(key::twin(&key).id());
    }
    let endpoint = node::bind(key, options.listen, common)?;
    let _page = Page::open(common.metrics, &endpoint, output).await?;
    announce(&endpoint, output, options.yes || !allow.is_empty());
    let (tell, mut outcomes) = mpsc::channel(1);
    let service = Arc::new(Service {
        access: Access::new(options.yes, allow),
        output: Arc::clone(output),
        target: options.out,
        existing: if options.overwrite { Existing::Overwrite } else { Existing::Keep },
        limiter: Limiter::new(options.limit),
        once: options.once,
        taken: AtomicBool::new(false),
        outcome: tell,
        interrupt: interrupt.clone(),
    });
    let mut guests = JoinSet::new();
    let enough = async {
        match outcomes.recv().await {
            Some(how) => how,
            None => pending().await,
        }
    };
    let welcome = |incoming| Arc::clone(&service).welcome(incoming);
    let how = door::keep(&endpoint, &mut interrupt, enough, &mut guests, welcome).await;
    if how.as_ref().is_err_and(|failure| failure.cause == Cause::Interrupted) {
        // Transfers under way hear it, too, and tell the other side themselves.
        let all = async { while guests.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_ORDERS, all).await.is_err() {
            tracing::debug!("somebody did not go in time");
        }
    }
    endpoint.close(AppCode(Code::Done as u64), b"the receiver has ended");
    let rest = async {
        endpoint.wait_idle().await;
        while guests.join_next().await.is_some() {}
    };
    // Whoever went silent hears no goodbye either.
    let silent = how.as_ref().is_err_and(|failure| failure.cause == Cause::Unreachable);
    let patience = if silent { Duration::from_millis(200) } else { LAST_ORDERS };
    if tokio::time::timeout(patience, rest).await.is_err() {
        tracing::debug!("the goodbye was not heard");
    }
    how
}

fn announce(endpoint: &Endpoint, output: &Output, alone: bool) {
    door::announce(endpoint, output, "listening", |ticket| {
        format!("ticket: {ticket}\n\nOn the other machine:\n\n    aqueduct send FILE {ticket}\n")
    });
    if !alone && !Access::somebody_is_there() {
        output.note("nobody is here to ask: everything is refused (see --yes and --allow ID)");
    }
}

/// What all guests have in common.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) access: Access,
    pub(super) output: Arc<Output>,
    pub(super) target: PathBuf,
    pub(super) existing: Existing,
    pub(super) limiter: Limiter,
    once: bool,
    /// With `once`: somebody's transfer is the one.
    taken: AtomicBool,
    /// With `once`: how it went.
    outcome: mpsc::Sender<Result<Fields, Failure>>,
    pub(super) interrupt: Interrupt,
}

impl Service {
    /// Whether a transfer may begin now; with `--once` only one ever may.
    pub(super) fn take_turn(&self) -> bool {
        !self.once || !self.taken.swap(true, Ordering::AcqRel)
    }

    /// With `--once` this was it.
    async fn ended(&self, how: Result<Fields, Failure>) {
        if self.once {
            // The command has ended meanwhile: it needs no outcome.
            let _ = self.outcome.send(how).await;
        }
    }

    /// Lets a guest in who may connect.
    fn welcome(self: Arc<Self>, incoming: Incoming) -> Option<impl Future<Output = ()> + use<>> {
        let (peer, remote) = (incoming.peer(), incoming.remote());
        if !self.access.may_connect(&peer) {
            tracing::info!(%peer, %remote, "refused");
            self.output.note(&format!("refused {peer} at {remote}: not allowed (see --allow)"));
            incoming.refuse();
            return None;
        }
        Some(async move {
            match incoming.accept().await {
                Ok(connection) => self.serve(connection).await,
                Err(error) => tracing::info!(%peer, %remote, %error, "did not come about"),
            }
        })
    }

    async fn serve(self: Arc<Self>, connection: Connection) {
        let mut streams = JoinSet::new();
        let mut interrupt = self.interrupt.clone();
        loop {
            tokio::select! {
                biased;
                () = interrupt.wait() => break,
                Some(_) = streams.join_next(), if !streams.is_empty() => {}
                stream = connection.accept_bi() => match stream {
                    Ok((send, recv)) => {
                        let guest = Arc::clone(&self).stream(connection.clone(), send, recv);
                        streams.spawn(guest);
                    }
                    Err(error) => {
                        tracing::info!(peer = %connection.peer(), %error, "connection over");
                        break;
                    }
                },
            }
        }
        // Each stream sees the end for itself and puts its things in order.
        while streams.join_next().await.is_some() {}
        if connection.close_reason().is_none() {
            connection.close(AppCode(Code::Interrupted as u64), b"the receiver was interrupted");
        }
    }

    async fn stream(self: Arc<Self>, connection: Connection, send: SendStream, recv: RecvStream) {
        let protocol = recv.info().map(|info| info.protocol.clone());
        if protocol == Some(PING_PROTOCOL) {
            echo(send, recv).await;
        } else if protocol == Some(PROTOCOL) {
            let intake = Intake::new(&self, &connection, send, recv);
            if let intake::Outcome::Counts(how) = intake.run().await {
                self.ended(how).await;
            }
        } else {
            let (mut send, mut recv) = (send, recv);
            send.reset(AppCode(Code::Malformed as u64));
            recv.stop(AppCode(Code::Malformed as u64));
        }
    }
}

/// Every byte goes back.
async fn echo(mut send: SendStream, mut recv: RecvStream) {
    while let Ok(Some(bytes)) = recv.read_chunk(64 * 1024).await {
        if send.write_bytes(bytes).await.is_err() {
            return;
        }
    }
    if let Err(error) = send.finish() {
        tracing::debug!(%error, "nobody waits for the echo");
    }
}
