//! What holds a transfer back: for people now and then, for programs at its end.

use std::convert::Infallible;
use std::time::Duration;

use aqueduct_tokio::{Connection, LimitTimes, SendLimit};

use crate::progress::Progress;

/// How often people are told.
const LOOK: Duration = Duration::from_millis(200);

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

/// Looks at the connection for as long as it is polled, and says what it finds on the bar.
pub(super) async fn watch(connection: &Connection, progress: &Progress) -> Infallible {
    loop {
        tokio::time::sleep(LOOK).await;
        let limit = connection.stats().await.limited_by;
        progress.say(&format!("limited by {}", words(limit)));
    }
}

/// What held it back longest, for programs; `None` if it never began.
pub(super) fn longest(times: &LimitTimes) -> Option<&'static str> {
    let (limit, time) = times.iter().max_by_key(|(_, time)| *time)?;
    (!time.is_zero()).then(|| limit.name())
}

/// How long each held it back, of those that did, in milliseconds.
pub(super) fn in_millis(times: &LimitTimes) -> serde_json::Value {
    let held = times.iter().filter(|(_, time)| !time.is_zero());
    let millis = |time: Duration| serde_json::Value::from(time.as_micros() as f64 / 1e3);
    held.map(|(limit, time)| (limit.name(), millis(time))).collect()
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
