//! Processes with deadlines, and what they said.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes longer unless it hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// A folder of a test's own, with a home in it.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.path("out").join(name)
    }

    /// Everything in the target folder, hidden things included.
    pub(crate) fn received(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("out")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A file of `len` bytes that no block repeats.
    pub(crate) fn file(&self, name: &str, len: usize) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, noise(len)).unwrap();
        path
    }

    /// A file of `len` bytes that takes no space.
    pub(crate) fn sparse(&self, name: &str, len: u64) -> PathBuf {
        let path = self.path(name);
        fs::File::create(&path).unwrap().set_len(len).unwrap();
        path
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
        self.dress(&mut command);
        command.args(args);
        command
    }

    pub(crate) fn dress(&self, command: &mut Command) {
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        Running::start(self.command(args)).end()
    }

    pub(crate) fn send(&self, files: &[&Path], to: &Running, more: &[&str]) -> Ended {
        self.start_send(files, to, more).end()
    }

    pub(crate) fn start_send(&self, files: &[&Path], to: &Running, more: &[&str]) -> Running {
        let mut command = self.command(&["send", "--json"]);
        command.args(more).args(files).arg(to.ticket());
        Running::start(command)
    }

    /// `recv --json` into `out` on loopback; listens when this returns.
    pub(crate) fn recv(&self, args: &[&str]) -> Running {
        let mut command = self.command(&["recv", "--json", "--out", "out"]);
        command.args(["--listen", "127.0.0.1"]).args(args);
        Running::listening(command)
    }
}

/// `relay --json` on loopback; listens when this returns.
pub(crate) fn relay(place: &Place, args: &[&str]) -> Running {
    let mut command = place.command(&["relay", "--json", "--listen", "127.0.0.1"]);
    command.args(args);
    Running::listening(command)
}

/// Waits until `done` says so; for things that nobody tells.
#[track_caller]
pub(crate) fn until(what: &str, done: impl Fn() -> bool) {
    let waiting = Instant::now();
    while !done() {
        assert!(waiting.elapsed() < DEADLINE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// A process under way. Killed when dropped.
pub(crate) struct Running {
    child: Option<Child>,
    lines: mpsc::Receiver<String>,
    stderr: Option<thread::JoinHandle<String>>,
    seen: Vec<String>,
    begun: Instant,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let (to, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || out.lines().map_while(Result::ok).all(|line| to.send(line).is_ok()));
        let mut err = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let (child, stderr) = (Some(child), Some(stderr));
        Self { child, lines, stderr, seen: Vec::new(), begun: Instant::now() }
    }

    pub(crate) fn listening(command: Command) -> Self {
        let mut running = Self::start(command);
        running.wait_for("listening");
        running
    }

    /// Waits until it says `name`, and gives what it says.
    pub(crate) fn wait_for(&mut self, name: &str) -> Value {
        while self.find(name).is_none() {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("no word of `{name}`, but {:?}", self.seen),
            }
        }
        self.said(name)
    }

    /// What it said under this name before.
    pub(crate) fn said(&self, name: &str) -> Value {
        self.find(name).unwrap_or_else(|| panic!("no word of `{name}`, but {:?}", self.seen))
    }

    fn find(&self, name: &str) -> Option<Value> {
        let mut events = self.seen.iter().map(|line| serde_json::from_str(line).unwrap());
        events.find(|event: &Value| event["event"] == name)
    }

    pub(crate) fn ticket(&self) -> String {
        self.said("listening")["ticket"].as_str().unwrap().to_owned()
    }

    pub(crate) fn addrs(&self) -> Vec<String> {
        let event = self.said("listening");
        let addrs = event["addrs"].as_array().unwrap();
        addrs.iter().map(|addr| addr.as_str().unwrap().to_owned()).collect()
    }

    /// Writes all of `bytes` to its standard input and closes it.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let mut stdin = self.child.as_mut().unwrap().stdin.take().unwrap();
        // A process that gives up early closes the pipe.
        let _ = stdin.write_all(bytes);
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it handles Ctrl-C itself: before that the system ends it.
    #[cfg(target_os = "linux")]
    pub(crate) fn until_it_listens_to_ctrl_c(&self) {
        let path = format!("/proc/{}/status", self.child.as_ref().unwrap().id());
        let listens = || {
            let status = fs::read_to_string(&path).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0
        };
        until("somebody who listens", listens);
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn until_it_listens_to_ctrl_c(&self) {
        thread::sleep(Duration::from_secs(1));
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let mut child = self.child.take().unwrap();
        let waiting = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if waiting.elapsed() > DEADLINE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("no end: {}", self.stderr.take().unwrap().join().unwrap());
            }
            thread::sleep(Duration::from_millis(5));
        };
        let took = self.begun.elapsed();
        let mut lines = std::mem::take(&mut self.seen);
        lines.extend(self.lines.iter());
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Ended { code: status.code(), lines, stderr, took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ended {
    /// The contract of `--json`: objects only, the last is the one `result` or `error`, and an
    /// error's code is the process's.
    pub(crate) fn events(&self) -> Vec<Value> {
        let events: Vec<Value> = self
            .lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect();
        let last = |event: &Value| event["event"] == "result" || event["event"] == "error";
        assert!(events.last().is_some_and(last), "{self:?}");
        assert_eq!(events.iter().filter(|event| last(event)).count(), 1, "{self:?}");
        let end = events.last().unwrap();
        if end["event"] == "error" {
            assert_eq!(end["code"].as_i64(), self.code.map(i64::from), "{self:?}");
            assert!(end["message"].as_str().is_some_and(|message| !message.is_empty()));
        } else {
            assert_eq!(self.code, Some(0), "{self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        events
    }

    pub(crate) fn last(&self) -> Value {
        self.events().pop().unwrap()
    }

    pub(crate) fn message(&self) -> String {
        self.last()["message"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn transfers(&self) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == "transfer").collect()
    }

    /// Ended with `code`, and said so.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.events();
        self
    }
}
