//! What holds a transfer back, looked at now and then.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use aqueduct_tokio::{Connection, SendLimit};

use crate::progress::Progress;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What was seen, by how often.
#[derive(Debug, Default)]
pub(super) struct Limits {
    seen: [AtomicU32; ALL.len()],
}

/// Everything that may be seen, with its name for programs and its words for people.
const ALL: [(SendLimit, &str, &str); 6] = [
    (SendLimit::Credit, "credit", "the receiver's credit"),
    (SendLimit::Congestion, "congestion", "the congestion window"),
    (SendLimit::Pacing, "pacing", "pacing"),
    (SendLimit::Rate, "rate", "--limit"),
    (SendLimit::Carrier, "socket", "this machine's socket"),
    (SendLimit::Application, "application", "what comes from this machine"),
];

impl Limits {
    /// Looks at the connection for as long as it is polled, and says what it finds on the bar.
    pub(super) async fn watch(&self, connection: &Connection, progress: &Progress) -> Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            progress.say(&self.look(connection).await);
        }
    }

    /// Looks once. Gives the words for people.
    pub(super) async fn look(&self, connection: &Connection) -> String {
        self.note(connection.stats().await.limited_by)
    }

    fn note(&self, limit: SendLimit) -> String {
        let found = ALL.iter().zip(&self.seen).find(|((named, ..), _)| *named == limit);
        let Some(((_, _, words), seen)) = found else { return "limited by nothing known".into() };
        seen.fetch_add(1, Relaxed);
        format!("limited by {words}")
    }

    /// What was seen most, for programs.
    pub(super) fn most(&self) -> Option<&'static str> {
        let most = ALL.iter().zip(&self.seen).max_by_key(|(_, seen)| seen.load(Relaxed));
        most.filter(|(_, seen)| seen.load(Relaxed) > 0).map(|((_, name, _), _)| *name)
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
