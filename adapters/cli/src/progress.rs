//! A bar on stderr: how much, how fast, how long still. Silent where stderr is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::stderr_is_terminal;

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar for `bytes`, or a spinner if nobody knows.
    pub(crate) fn new(label: &str, bytes: Option<u64>, quiet: bool) -> Self {
        let bar = if quiet || !stderr_is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr_with_hz(8))
        };
        let template = if bytes.is_some() {
            "{prefix} [{bar:30}] {bytes}/{total_bytes}  {binary_bytes_per_sec}  {eta} left"
        } else {
            "{prefix} {spinner} {bytes}  {binary_bytes_per_sec}  {elapsed}"
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
