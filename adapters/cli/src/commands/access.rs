//! Who may send: everybody, those on a list, or whoever the user nods to.

use std::io::{self, BufRead, IsTerminal};

use aqueduct_tokio::NodeId;
use tokio::sync::{Mutex, mpsc};

use crate::offer::Offer;
use crate::output::{Output, stderr_is_terminal};
use crate::{names, units};

/// The rule of this process.
#[derive(Debug)]
pub(super) enum Access {
    /// `--yes`.
    Everybody,
    /// `--allow`: these and no others.
    Listed(Vec<NodeId>),
    /// The user is asked.
    Ask(Mutex<mpsc::Receiver<String>>),
    /// Nobody is there to be asked.
    Nobody,
}

impl Access {
    /// The rule that the options make.
    pub(super) fn new(yes: bool, allow: Vec<NodeId>) -> Self {
        if yes {
            Self::Everybody
        } else if !allow.is_empty() {
            Self::Listed(allow)
        } else if Self::somebody_is_there() {
            Self::Ask(Mutex::new(lines_of_stdin()))
        } else {
            Self::Nobody
        }
    }

    /// Whether questions can be asked and answered.
    pub(super) fn somebody_is_there() -> bool {
        io::stdin().is_terminal() && stderr_is_terminal()
    }

    /// Whether to shake hands at all. Those who may not send anything may still ping.
    pub(super) fn may_connect(&self, peer: &NodeId) -> bool {
        match self {
            Self::Listed(allowed) => allowed.contains(peer),
            Self::Everybody | Self::Ask(_) | Self::Nobody => true,
        }
    }

    /// What those who may not send are told.
    pub(super) const fn why_not(&self) -> &'static str {
        match self {
            Self::Nobody => "nobody is there to accept it (recv takes --yes or --allow ID)",
            Self::Everybody | Self::Listed(_) | Self::Ask(_) => "declined",
        }
    }

    /// Whether `peer` may send what it offers.
    pub(super) async fn may_send(&self, peer: &NodeId, offer: &Offer, output: &Output) -> bool {
        match self {
            Self::Everybody => true,
            Self::Listed(allowed) => allowed.contains(peer),
            Self::Nobody => false,
            Self::Ask(lines) => {
                let mut lines = lines.lock().await;
                // What was typed before the question is no answer to it.
                while lines.try_recv().is_ok() {}
                output.note(&question(peer, offer));
                let answer = lines.recv().await.unwrap_or_default();
                matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
            }
        }
    }
}

fn question(peer: &NodeId, offer: &Offer) -> String {
    let name = names::printable(&offer.name);
    let more = match offer.entries {
        0 | 1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let size = offer.bytes.map_or("of unknown size".to_owned(), units::size);
    format!("{peer}\nwants to send `{name}`{more}, {size}. Accept? [y/N] ")
}

/// A thread that reads lines as long as somebody types them; it ends with the process.
fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (to, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if to.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
