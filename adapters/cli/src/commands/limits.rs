//! What holds a transfer back, looked at now and then.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use aqueduct_tokio::{Connection, LimitTimes, SendLimit};

use crate::progress::Progress;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What was seen, by how often.
#[derive(Debug, Default)]
pub(super) struct Limits {
    seen: [AtomicU32; ALL.len()],
}

const ALL: [SendLimit; 9] = SendLimit::ALL;

/// Words for people.
const fn words(limit: SendLimit) -> &'static str {
    match limit {
        SendLimit::Path => "the path: nothing comes back",
        SendLimit::Application => "what comes from this machine",
        SendLimit::StreamCredit => "the receiver's credit, or the next hop's",
        SendLimit::ConnectionCredit => "the receiver's credit for all streams",
        SendLimit::Congestion => "the congestion window",
        SendLimit::Pacing => "pacing",
        SendLimit::Rate => "--limit",
        SendLimit::Amplification => "an address that is not validated yet",
        SendLimit::Carrier => "this machine's socket",
    }
}

/// How long each held it back, of those that did, in milliseconds.
pub(super) fn in_millis(times: &LimitTimes) -> serde_json::Value {
    let held = times.iter().filter(|(_, time)| !time.is_zero());
    let millis = |time: Duration| serde_json::Value::from(time.as_micros() as f64 / 1e3);
    held.map(|(limit, time)| (limit.name(), millis(time))).collect()
}

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
        let found = ALL.iter().zip(&self.seen).find(|(named, _)| **named == limit);
        found.into_iter().for_each(|(_, seen)| _ = seen.fetch_add(1, Relaxed));
        format!("limited by {}", words(limit))
    }

    /// What was seen most, for programs.
    pub(super) fn most(&self) -> Option<&'static str> {
        let most = ALL.iter().zip(&self.seen).max_by_key(|(_, seen)| seen.load(Relaxed));
        most.filter(|(_, seen)| seen.load(Relaxed) > 0).map(|(limit, _)| limit.name())
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
