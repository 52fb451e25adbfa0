//! Who waits for others: says where it is, and lets them in.

use std::pin::pin;

use aqueduct_cli::ticket::Ticket;
use aqueduct_tokio::{Endpoint, Incoming};
use serde_json::json;
use tokio::task::JoinSet;

use crate::exit::{Cause, Failure};
use crate::interrupt::Interrupt;
use crate::output::{Fields, Output};

/// Guests at a time; whoever comes then is turned away.
const MOST_GUESTS: usize = 256;

/// Says where this node is. `invite` makes the words for people of its ticket, `what` is done.
pub(super) fn announce(
    endpoint: &Endpoint,
    output: &Output,
    what: &str,
    invite: impl FnOnce(&Ticket) -> String,
) {
    let ticket = Ticket::new(endpoint.node_id(), &endpoint.dialable_addrs());
    let addrs: Vec<String> = ticket.addrs().iter().map(ToString::to_string).collect();
    output.event(
        "listening",
        json!({"ticket": ticket.to_string(), "addrs": addrs, "id": ticket.id().to_string()}),
    );
    output.line(&invite(&ticket));
    if !output.is_json() {
        output.note(&format!("{what} on {} (Ctrl-C ends)", addrs.join(", ")));
    }
}

/// Lets in whom `welcome` does not refuse, until somebody has had enough.
///
/// # Errors
/// Ctrl-C, the end of the socket, or what `enough` says.
pub(super) async fn keep<Guest: Future<Output = ()> + Send + 'static>(
    endpoint: &Endpoint,
    interrupt: &mut Interrupt,
    enough: impl Future<Output = Result<Fields, Failure>>,
    guests: &mut JoinSet<()>,
    mut welcome: impl FnMut(Incoming) -> Option<Guest>,
) -> Result<Fields, Failure> {
    let mut enough = pin!(enough);
    loop {
        tokio::select! {
            biased;
            () = interrupt.wait() => return Err(Failure::interrupted()),
            how = &mut enough => return how,
            incoming = endpoint.accept() => match incoming {
                Some(incoming) if guests.len() >= MOST_GUESTS => {
                    tracing::info!(peer = %incoming.peer(), "refused: there are guests enough");
                    incoming.refuse();
                }
                Some(incoming) => {
                    if let Some(guest) = welcome(incoming) {
                        guests.spawn(guest);
                    }
                }
                None => return Err(Failure::new(Cause::Failure, "the socket is gone")),
            },
            Some(_) = guests.join_next(), if !guests.is_empty() => {}
        }
    }
}
