use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use indicatif::TermLike;

use super::*;

/// A terminal that keeps what is written.
#[derive(Clone, Debug, Default)]
struct Paper(Arc<Mutex<String>>);

impl TermLike for Paper {
    fn width(&self) -> u16 {
        200
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The line of a transfer has its label, how far it is, a rate, and what limits it.
#[test]
fn a_line_has_the_way_the_rate_and_what_limits_it() {
    for size in [Some(4096), None] {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        let bar = ProgressBar::with_draw_target(size, target);
        bar.set_style(ProgressStyle::with_template(template(size.is_some())).unwrap());
        bar.set_prefix("sending film > 0123abcd");
        let progress = Progress { bar };
        progress.say("limited by pacing");
        progress.add(1024);
        progress.bar.force_draw();
        let line = paper.0.lock().unwrap().clone();
        for word in ["sending film > 0123abcd", "1.00 KiB", "iB/s", "limited by pacing"] {
            assert!(line.contains(word), "no {word} in {line}");
        }
    }
}
