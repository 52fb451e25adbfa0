//! `aqueduct relay`: streams on their way to somebody else.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aqueduct_tokio::relay::{Allow, RelayConfig, RelayEvent};
use aqueduct_tokio::{AppCode, Connection, Incoming, NodeId, StreamCode};
use serde_json::json;
use tokio::task::JoinSet;

use super::door;
use crate::args::{Common, Relay};
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::metrics::Page;
use crate::offer::Code;
use crate::output::{Fields, Output};
use crate::units;
use crate::{key, node};

/// How long streams that flow may take to hear of the end.
const LAST_ORDERS: Duration = Duration::from_secs(3);

/// What is kept of a stream is part of its window, which is no larger.
const LARGEST_WINDOW: u64 = 64 << 20;

/// Relays until the user has enough.
///
/// # Errors
/// See [`Failure`].
pub(super) async fn run(
    options: Relay,
    common: &Common,
    output: &Arc<Output>,
    mut interrupt: Interrupt,
) -> Result<Fields, Failure> {
    let key = key::load_or_make(common.key.as_deref())?.key;
    let kept = options.keep.min(LARGEST_WINDOW).saturating_mul(options.max_streams.into());
    let endpoint = node::bind_keeping(key, options.listen, common, kept)?;
    let _page = Page::open(common.metrics, &endpoint, output).await?;
    let listed: Option<Vec<NodeId>> = (!options.everybody).then(|| options.allow.clone());
    let allow = match &listed {
        None => Allow::Everybody,
        Some(nodes) => Allow::Nodes(nodes.iter().copied().collect()),
    };
    let config = config(&options, allow);
    let is_stranger = |peer: NodeId| listed.as_ref().is_some_and(|listed| !listed.contains(&peer));
    let teller = Arc::clone(output);
    let refusals = Refusals::default();
    endpoint.relay(config, move |event| tell(&teller, &refusals, &event));
    door::announce(&endpoint, output, "relaying", |ticket| {
        format!("ticket: {ticket}\n\nWho sends:\n\n    aqueduct send --via {ticket} FILE TICKET\n")
    });
    let mut guests = JoinSet::new();
    let welcome = |incoming: Incoming| {
        if is_stranger(incoming.peer()) {
            incoming.refuse();
            return None;
        }
        let connecting = incoming.accept();
        Some(async move {
            if let Ok(connection) = connecting.await {
                turn_away(&connection).await;
            }
        })
    };
    let how = door::keep(&endpoint, &mut interrupt, pending(), &mut guests, welcome).await;
    endpoint.close(AppCode(Code::Done as u64), b"the relay has ended");
    guests.abort_all();
    if tokio::time::timeout(LAST_ORDERS, endpoint.wait_idle()).await.is_err() {
        tracing::debug!("the goodbye was not heard");
    }
    how
}

/// What the user wants, in the relay's own words.
fn config(options: &Relay, allow: Allow) -> RelayConfig {
    let mut config = RelayConfig::new(allow);
    config.max_streams = options.max_streams;
    config.max_bytes = options.max_bytes;
    config.rate = options.limit;
    config.pipes.policy = options.policy.into();
    config.pipes.keep = options.keep;
    config.pipes.timeout = Some(options.patience);
    config
}

/// Refuses streams that do not go on from here, until the connection is over.
async fn turn_away(connection: &Connection) {
    let code = StreamCode::Refused.app();
    loop {
        tokio::select! {
            Ok((mut send, mut recv)) = connection.accept_bi() => {
                send.reset(code);
                recv.stop(code);
            }
            Ok(mut recv) = connection.accept_uni() => recv.stop(code),
            else => return,
        }
    }
}

/// Refusals are told to people once a second at most, whatever comes.
#[derive(Debug, Default)]
struct Refusals(Mutex<(Option<Instant>, u64)>);

impl Refusals {
    /// Whether to tell of one now, and how many were passed over since the last.
    fn say(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, unsaid) = &mut *state;
        if last.is_some_and(|last| now.duration_since(last) < Duration::from_secs(1)) {
            *unsaid += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(unsaid))
    }
}

/// What the relay did, for people and for programs.
fn tell(output: &Output, refusals: &Refusals, event: &RelayEvent) {
    match event {
        RelayEvent::Started { peer, stream, to } => {
            let names: Vec<_> = to.iter().map(ToString::to_string).collect();
            let fields = json!({"peer": peer.to_string(), "stream": stream.0, "to": names});
            output.event("relaying", fields);
            note(output, &format!("from {peer} to {}", names.join(", ")));
        }
        RelayEvent::Refused { peer, stream, why } => {
            let fields =
                json!({"peer": peer.to_string(), "stream": stream.0, "message": why.to_string()});
            output.event("refused", fields);
            if let Some(unsaid) = refusals.say(Instant::now()) {
                let more = match unsaid {
                    0 => String::new(),
                    more => format!(" ({more} more since the last that was told)"),
                };
                note(output, &format!("refused a stream of {peer}: {why}{more}"));
            }
        }
        RelayEvent::Ended { peer, stream, stats, legs } => {
            let ends: Vec<_> = legs
                .iter()
                .map(|end| end.map_or_else(|| "unknown".to_owned(), |end| end.to_string()))
                .collect();
            let fields = json!({
                "peer": peer.to_string(),
                "stream": stream.0,
                "bytes": stats.received,
                "most_held": stats.most_held,
                "ends": ends,
            });
            output.event("relayed", fields);
            let (moved, held) = (units::size(stats.received), units::size(stats.most_held));
            note(output, &format!("{moved} of {peer}, at most {held} held: {}", ends.join("; ")));
        }
        _ => {}
    }
}

fn note(output: &Output, text: &str) {
    if !output.is_json() {
        output.note(text);
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
