//! What the numbers of refusals and of ends on a tape say.

use alloc::format;
use alloc::string::String;

use crate::tape::{Op, Outcome};

/// What a call came to.
pub(super) fn came(op: Op, outcome: Outcome) -> String {
    match outcome {
        Outcome::Done(amount) => format!("gave {amount}"),
        Outcome::Refused(why) => match refusal(op, why) {
            Some(words) => format!("refused: {words}"),
            None => format!("refused ({why})"),
        },
    }
}

/// Why a call was refused; as its errors number themselves for the tape, from 1 on.
fn refusal(op: Op, why: u8) -> Option<&'static str> {
    if op == Op::SendMessage && why > MESSAGE_OPENS {
        return name(&OPEN, why - MESSAGE_OPENS);
    }
    let names: &[_] = match op {
        Op::Connect => &["all connections are in use", "no such carrier", "no handshake"],
        Op::Open => &OPEN,
        Op::SendDatagram => &["the peer takes none", "too large", "the queue is too small"],
        Op::SendMessage => &["too large", "too old"],
        Op::Take | Op::TakeAgain => {
            &["nothing is there", "reset", "stuck", "stopped", "skipped", "not in order"]
        }
        Op::Write | Op::WriteAt | Op::Forward | Op::Skip | Op::Finish | Op::FinishAt => {
            &["no room", "finished", "reset", "stopped", "written before", "out of bounds"]
        }
        _ => &[
            "no such stream",
            "piped before",
            "not agreed on",
            "no legs",
            "the hop limit",
            "the hop limit of a leg",
            "not held any more",
            "the same leg twice",
            "the pipe is over",
        ],
    };
    name(names, why)
}

/// How a connection ended, by the number of its kind.
pub(super) fn ending(kind: u8) -> &'static str {
    ENDINGS.get(usize::from(kind)).copied().unwrap_or("?")
}

fn name(names: &[&'static str], number: u8) -> Option<&'static str> {
    names.get(usize::from(number.checked_sub(1)?)).copied()
}

/// A message that could open no stream has that reason above this.
const MESSAGE_OPENS: u8 = 16;

const OPEN: [&str; 4] =
    ["as many streams as the peer allows", "the connection is closed", "no credit", "not valid"];

const ENDINGS: [&str; 13] = [
    "by this side",
    "by the peer",
    "by the peer's transport",
    "for what the peer broke",
    "idle",
    "the peer is lost",
    "no handshake in time",
    "refused",
    "the handshake failed",
    "the peer has forgotten it",
    "the cipher's limit",
    "no room",
    "the carrier is lost",
];

#[cfg(test)]
#[path = "refusals_tests.rs"]
mod tests;
