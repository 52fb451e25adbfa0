//! A relay in a process of its own: this program, begun once more with another command line.
//!
//! ```text
//!   bench ── certificate, sinks ──►  relay        the relay answers each line with a line
//!         ◄────────────────── door ──
//!         ── "begin 33" ──────────►               its peak of memory is forgotten, once 33 are over
//!         ── "end 1" ─────────────►
//!         ◄──── CPU, memory, held ──              what it used in between
//! ```

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::certificate;

/// What makes this program a relay.
const FLAG: &str = "--relay-process";

/// Whose relay it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Theirs,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        }
    }
}

/// What a body cost the relay's process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// User and system time of all of its threads.
    pub(super) cpu: Duration,
    /// Bytes that were resident when it began.
    pub(super) before: u64,
    /// The most that were meanwhile (`VmHWM`).
    pub(super) peak: u64,
    /// The most bytes that the pipe counted as held.
    pub(super) held: Option<u64>,
}

/// The process, seen from the bench.
pub(super) struct Relay {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// What it said of where it is.
    pub(super) door: String,
}

impl Relay {
    /// Begins it; `sinks` are for the one that has to know them.
    pub(super) fn begin(kind: Kind, sinks: &[SocketAddr]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.args([FLAG, kind.name()]).args(sinks.iter().map(SocketAddr::to_string));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let mut to = child.stdin.take().expect("its stdin");
        certificate::hand_over(&mut to);
        let from = BufReader::new(child.stdout.take().expect("its stdout"));
        let mut relay = Self { child, to, from, door: String::new() };
        relay.door = relay.line();
        relay
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the relay's word");
        assert!(line.ends_with('\n'), "the relay is gone");
        line.trim_end().to_owned()
    }

    fn ask(&mut self, word: &str) -> String {
        // It answers when its last body is over, for which the source's tasks may be needed.
        tokio::task::block_in_place(|| {
            writeln!(self.to, "{word}").expect("the relay listens");
            self.line()
        })
    }

    /// Its figures begin anew, when `bodies` are over that it has passed on.
    pub(super) fn start(&mut self, bodies: usize) {
        assert_eq!(self.ask(&format!("begin {bodies}")), "begun");
    }

    /// What it cost since: one body.
    pub(super) fn stop(&mut self) -> Cost {
        let said = self.ask("end 1");
        let numbers: Vec<u64> = said.split(' ').map(number).collect();
        let [cpu, before, peak, held] = numbers[..] else { panic!("the relay said {said:?}") };
        let held = (held != u64::MAX).then_some(held);
        Cost { cpu: Duration::from_nanos(cpu), before, peak, held }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn number<T: FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is no number"))
}

/// A line of this process's status, in bytes (Linux).
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this bench needs Linux");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line of memory");
    number::<u64>(line.split_whitespace().nth(1).expect("a number")) * 1024
}

/// What this process has had of the processors.
fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// Where a relay is, and what tells how much it held of each body that it has passed on.
pub(super) type Started = (String, Option<UnboundedReceiver<u64>>);

/// If this is to be a relay, it is one until nobody talks to it any more.
pub(crate) fn is_one() -> bool {
    let mut args = std::env::args().skip_while(|arg| arg != FLAG).skip(1);
    let Some(kind) = args.next() else { return false };
    let sinks = args.filter(|arg| arg != "--bench").map(|arg| number(&arg)).collect();
    let mut from = std::io::stdin().lock();
    certificate::take_over(&mut from);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
    let (door, held) = match &*kind {
        "ours" => runtime.block_on(super::ours::relay()),
        "theirs" => runtime.block_on(super::theirs::relay(sinks)),
        other => panic!("no relay is called {other:?}"),
    };
    println!("{door}");
    answer(from, held);
    true
}

fn answer(from: impl BufRead, mut held: Option<UnboundedReceiver<u64>>) {
    let (mut used, mut before) = (Duration::ZERO, 0);
    // The most of the bodies that came before this word.
    let mut most = |bodies: usize| match &mut held {
        None => u64::MAX,
        Some(held) => {
            let each = (0..bodies).map(|_| held.blocking_recv().expect("a body"));
            each.max().expect("a body")
        }
    };
    for line in from.lines() {
        let line = line.expect("the bench's word");
        let (word, bodies) = line.split_once(' ').expect("a word and a number");
        let bodies = number(bodies);
        match word {
            "begin" => {
                most(bodies);
                std::fs::write("/proc/self/clear_refs", "5").expect("a peak that can be reset");
                (used, before) = (cpu(), memory("VmRSS:"));
                println!("begun");
            }
            "end" => {
                let (now, peak) = (cpu(), memory("VmHWM:"));
                println!("{} {before} {peak} {}", (now - used).as_nanos(), most(bodies));
            }
            other => panic!("the bench said {other:?}"),
        }
    }
}
