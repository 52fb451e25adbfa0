//! What the command says, and where: results on stdout, everything else on stderr.
//!
//! With `--json` stdout carries one object a line and nothing else, and the last line is the only
//! `result` or `error`. A reader that went away (`| head`) is no failure: what it would have read
//! is dropped. A disk that is full is one.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};

use crate::exit::Failure;
use crate::progress;

/// A JSON object's members.
pub(crate) type Fields = Map<String, Value>;

/// Where words go.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    ended: AtomicBool,
    /// Why stdout did not take a line, the first time.
    lost: OnceLock<io::Error>,
}

impl Output {
    /// For people, or one JSON object a line.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json, ended: AtomicBool::new(false), lost: OnceLock::new() }
    }

    /// Whether programs read this.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// A line of the result, for people.
    pub(crate) fn line(&self, text: &str) {
        if !self.json {
            self.put(text);
        }
    }

    /// A note beside the result, for people.
    pub(crate) fn note(&self, text: &str) {
        // Nobody reads stderr: nobody is told.
        let _ = progress::aside(|| writeln!(io::stderr().lock(), "{text}"));
    }

    /// Something happened, for programs.
    pub(crate) fn event(&self, name: &str, fields: Value) {
        if self.json && !self.ended.load(Ordering::Acquire) {
            self.put(&object(name, fields));
        }
    }

    /// The last word: `result` or `error`. Only the first one is said. Gives the exit code.
    pub(crate) fn end(&self, how: &Result<Fields, Failure>) -> u8 {
        if !self.ended.swap(true, Ordering::AcqRel) {
            match how {
                Ok(fields) if self.json => {
                    self.put(&object("result", Value::Object(fields.clone())));
                }
                Ok(_) => {}
                Err(failure) => {
                    self.error(failure);
                    self.note(&format!("aqueduct: {failure}"));
                }
            }
        }
        match (how, self.lost.get()) {
            (Err(failure), _) => failure.cause.code(),
            (Ok(_), None) => 0,
            (Ok(_), Some(error)) => {
                let failure = Failure::local("stdout", error);
                self.note(&format!("aqueduct: {failure}"));
                failure.cause.code()
            }
        }
    }

    /// The last word of a command line that was already complained about on stderr.
    pub(crate) fn end_quietly(&self, failure: &Failure) {
        if !self.ended.swap(true, Ordering::AcqRel) {
            self.error(failure);
        }
    }

    fn error(&self, failure: &Failure) {
        if self.json {
            let fields = json!({"code": failure.cause.code(), "message": failure.message});
            self.put(&object("error", fields));
        }
    }

    fn put(&self, line: &str) {
        let mut out = io::stdout().lock();
        match progress::aside(|| writeln!(out, "{line}").and_then(|()| out.flush())) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let _first = self.lost.set(error);
            }
            Ok(()) | Err(_) => {}
        }
    }
}

fn object(name: &str, fields: Value) -> String {
    let mut object = Fields::new();
    object.insert("event".into(), name.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object).to_string()
}

/// Whether stderr is for eyes.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether colours are welcome on stderr (<https://no-color.org>).
pub(crate) fn colours() -> bool {
    let none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stderr_is_terminal() && !none && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
