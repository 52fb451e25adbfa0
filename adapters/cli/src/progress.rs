//! Bars on stderr: how much, how fast, how long still. Silent where stderr is no terminal.
//!
//! Several transfers have a line each, and what else is said comes above them (see [`aside`]).

use std::io::{self, Write};
use std::sync::LazyLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::stderr_is_terminal;

static BARS: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)));

/// Says something while the bars are out of the way.
pub(crate) fn aside<T>(say: impl FnOnce() -> T) -> T {
    BARS.suspend(say)
}

/// stderr above the bars.
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        aside(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The line of a transfer: its label, how far it is, its rate, and words about it.
const fn template(measured: bool) -> &'static str {
    if measured {
        "{prefix} [{bar:30}] {bytes}/{total_bytes}  {binary_bytes_per_sec}  {eta} left  {msg}"
    } else {
        "{prefix} {spinner} {bytes}  {binary_bytes_per_sec}  {elapsed}  {msg}"
    }
}

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar for `bytes`, or a spinner if nobody knows.
    pub(crate) fn new(label: &str, bytes: Option<u64>) -> Self {
        Self::with(label, bytes, template(bytes.is_some()))
    }

    /// A line of words.
    pub(crate) fn words(label: &str) -> Self {
        Self::with(label, None, "{prefix} {msg}")
    }

    /// A bar for parts of which there are so many.
    pub(crate) fn parts(label: &str, parts: u64) -> Self {
        Self::with(label, Some(parts), "{prefix} [{bar:30}] {msg}")
    }

    fn with(label: &str, bytes: Option<u64>, template: &str) -> Self {
        let bar = if !stderr_is_terminal() {
            ProgressBar::hidden()
        } else {
            BARS.add(bytes.map_or_else(ProgressBar::no_length, ProgressBar::new))
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(label.to_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar }
    }

    /// So many more.
    pub(crate) fn add(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }

    /// So many in all by now.
    pub(crate) fn at(&self, parts: u64) {
        self.bar.set_position(parts);
    }

    /// Puts other words behind the label.
    pub(crate) fn say(&self, words: &str) {
        self.bar.set_message(words.to_owned());
    }

    /// Whether there is anybody who may look.
    pub(crate) fn is_seen(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
