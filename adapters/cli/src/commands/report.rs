//! What is told of a transfer, alike on both sides.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use aqueduct_tokio::{CarrierKind, NodeId};
use serde_json::{Value, json};

use crate::body::Summary;
use crate::exit::Failure;
use crate::names::printable;
use crate::node::carrier;
use crate::output::Fields;
use crate::units;

/// Which way it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Away from here.
    Send,
    /// Here.
    Receive,
}

/// One transfer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report<'a> {
    /// Which way.
    pub(super) direction: Direction,
    /// The other side.
    pub(super) peer: NodeId,
    /// Where it is.
    pub(super) remote: SocketAddr,
    /// By what data goes there.
    pub(super) carrier: CarrierKind,
    /// Of the first file or folder.
    pub(super) name: &'a str,
    /// From the offer to the verdict.
    pub(super) time: Duration,
    /// What came into being here.
    pub(super) paths: &'a [PathBuf],
}

impl Report<'_> {
    /// The `transfer` event.
    pub(super) fn event(&self, how: &Result<Summary, Failure>) -> Value {
        let mut fields = self.fields();
        fields.insert("ok".into(), json!(how.is_ok()));
        match how {
            Ok(summary) => self.add_summary(&mut fields, summary),
            Err(failure) => {
                fields.insert("code".into(), json!(failure.cause.code()));
                fields.insert("message".into(), json!(failure.message));
            }
        }
        Value::Object(fields)
    }

    /// The `result` line of a command that was this transfer.
    pub(super) fn result(&self, command: &str, summary: &Summary) -> Fields {
        let mut fields = self.fields();
        fields.insert("command".into(), json!(command));
        self.add_summary(&mut fields, summary);
        fields
    }

    /// For people.
    pub(super) fn sentence(&self, summary: &Summary) -> String {
        let verb = match self.direction {
            Direction::Send => "sent",
            Direction::Receive => "received",
        };
        let what = match summary.entries {
            1 => printable(self.name),
            n => format!("{n} files and folders"),
        };
        let (size, seconds) = (units::size(summary.bytes), self.time.as_secs_f64());
        let rate = units::size(units::rate_of(summary.bytes, self.time));
        let digest = summary.hex();
        format!("{verb} {what}: {size} in {seconds:.2} s ({rate}/s), BLAKE3 {digest}, verified")
    }

    fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        let direction = match self.direction {
            Direction::Send => "send",
            Direction::Receive => "receive",
        };
        fields.insert("direction".into(), json!(direction));
        fields.insert("peer".into(), json!(self.peer.to_string()));
        fields.insert("remote".into(), json!(self.remote.to_string()));
        fields.insert("carrier".into(), json!(carrier(self.carrier)));
        fields.insert("name".into(), json!(self.name));
        fields.insert("seconds".into(), json!(self.time.as_secs_f64()));
        fields
    }

    fn add_summary(&self, fields: &mut Fields, summary: &Summary) {
        fields.insert("entries".into(), json!(summary.entries));
        fields.insert("bytes".into(), json!(summary.bytes));
        fields.insert("digest".into(), json!(summary.hex()));
        let rate = units::rate_of(summary.bytes, self.time);
        fields.insert("bytes_per_second".into(), json!(rate));
        if self.direction == Direction::Receive {
            let paths: Vec<_> = self.paths.iter().map(|path| path.to_string_lossy()).collect();
            fields.insert("paths".into(), json!(paths));
        }
    }
}
