//! Transfers that do not come to their end.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Place, Running, noise, relay};

/// So large and so slow that whatever happens happens in the middle.
const LARGE: u64 = 200_000_000;
const SLOW: [&str; 2] = ["--limit", "20MB"];
/// Patience in seconds, and how long its end may take on a busy machine.
const PATIENCE: &str = "3";
const SOON: Duration = Duration::from_secs(12);

/// Waits until bytes have come.
fn until_half_way(place: &Place) {
    until_there_are(place, 1_000_000);
}

/// Waits until so many bytes have come, and gives the file that they are in.
fn until_there_are(place: &Place, bytes: u64) -> PathBuf {
    let begun = Instant::now();
    loop {
        let names = place.received().into_iter().filter(|name| name.starts_with(".aqueduct-"));
        let half = names
            .map(|name| place.out(&name).join("large"))
            .find(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() > bytes));
        if let Some(path) = half {
            return path;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing comes");
        thread::sleep(Duration::from_millis(20));
    }
}

fn half_way(place: &Place, more: &[&str]) -> (Running, Running) {
    let file = place.sparse("large", LARGE);
    let recv = place.recv(&[&["--yes", "--once", "--timeout", PATIENCE], more].concat());
    let mut args = SLOW.to_vec();
    args.extend(["--timeout", PATIENCE]);
    let send = place.start_send(&[&file], &recv, &args);
    until_half_way(place);
    (recv, send)
}

/// spec: R-FILE-13
#[test]
fn the_sender_is_killed() {
    let place = Place::new();
    let (recv, send) = half_way(&place, &[]);
    let killed = Instant::now();
    drop(send);
    let received = recv.end().expect(3);
    assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
    assert_eq!(received.transfers().len(), 1);
    assert_eq!(received.transfers()[0]["ok"], false);
    assert!(place.received().is_empty(), "{:?}", place.received());
}

/// spec: R-FILE-13
#[test]
fn the_receiver_is_killed() {
    let place = Place::new();
    let (recv, send) = half_way(&place, &[]);
    let killed = Instant::now();
    drop(recv);
    let sent = send.end().expect(3);
    assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
    assert!(sent.message().contains("lost") || sent.message().contains("timed out"), "{sent:?}");
    assert!(!place.out("large").exists());
}

/// Half of a file is through when the relay on its way is killed: what came in order is there, and
/// goes with the transfer, since nobody has the rest.
///
/// spec: R-FILE-9 R-FILE-13 R-PIPE-15
#[test]
fn the_relay_is_killed() {
    const LEN: usize = 40_000_000;
    let places: [Place; 3] = std::array::from_fn(|_| Place::new());
    let [source, between, sink] = &places;
    let passing = relay(between, &["--everybody"]);
    let recv = sink.recv(&["--yes", "--once", "--timeout", PATIENCE]);
    let (file, whole) = (source.file("large", LEN), noise(LEN));
    let via = passing.ticket();
    let args = [&SLOW[..], &["--via", &via]].concat();
    let send = source.start_send(&[&file], &recv, &args);
    let half = until_there_are(sink, LEN as u64 / 2);
    let killed = Instant::now();
    drop(passing);
    let receiving = thread::spawn(move || (recv.end(), killed.elapsed()));
    let came = fs::read(half).unwrap();
    assert!(came.len() > LEN / 2 && whole.starts_with(&came), "{} bytes", came.len());
    let sent = send.end().expect(3);
    let knew = killed.elapsed();
    assert!(knew < Duration::from_secs(6), "the sender knew after {knew:?}");
    assert!(sent.message().contains("lost"), "{}", sent.message());
    let (received, knew) = receiving.join().unwrap();
    let received = received.expect(3);
    assert!(knew < SOON, "the receiver knew after {knew:?}");
    println!("{}, {knew:?}; {}", sent.message(), received.message());
    assert!(received.message().contains("timed out"), "{}", received.message());
    assert_eq!(received.transfers()[0]["ok"], false);
    assert!(sink.received().is_empty(), "{:?}", sink.received());
}

/// spec: R-FILE-9
#[test]
fn what_a_killed_receiver_left_is_removed_by_the_next() {
    let place = Place::new();
    let (recv, send) = half_way(&place, &[]);
    let unfinished = place.received();
    assert_eq!(unfinished.len(), 1);
    // Another receiver beside it leaves it alone.
    drop(place.recv(&["--yes"]));
    assert_eq!(place.received(), unfinished);
    drop((recv, send));
    assert_eq!(place.received(), unfinished);
    let next = place.recv(&["--yes", "--once"]);
    assert!(place.received().is_empty(), "{:?}", place.received());
    place.send(&[&place.file("f", 10)], &next, &[]).expect(0);
    let ended = next.end().expect(0);
    assert!(ended.stderr.contains(&unfinished[0]), "{}", ended.stderr);
}

/// spec: R-FILE-13
#[test]
fn a_receiver_that_goes_on_survives_a_killed_sender() {
    let place = Place::new();
    let file = place.sparse("large", LARGE);
    let recv = place.recv(&["--yes", "--timeout", PATIENCE]);
    let send = place.start_send(&[&file], &recv, &SLOW);
    until_half_way(&place);
    drop(send);
    let next = place.file("next", 100_000);
    place.send(&[&next], &recv, &[]).expect(0);
    let begun = Instant::now();
    while place.received() != ["next"] {
        assert!(begun.elapsed() < SOON, "{:?}", place.received());
        thread::sleep(Duration::from_millis(50));
    }
}

/// spec: R-FILE-13
#[cfg(unix)]
#[test]
fn ctrl_c_at_the_sender() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let place = Place::new();
        let (recv, send) = half_way(&place, &[]);
        send.signal(signal);
        let pressed = Instant::now();
        let sent = send.end().expect(130);
        assert_eq!(sent.transfers()[0]["code"], 130);
        let received = recv.end().expect(1);
        assert!(pressed.elapsed() < SOON, "{:?}", pressed.elapsed());
        assert!(received.message().contains("interrupted"), "{}", received.message());
        assert!(place.received().is_empty(), "{:?}", place.received());
    }
}

/// spec: R-FILE-13
#[cfg(unix)]
#[test]
fn ctrl_c_at_the_receiver() {
    let place = Place::new();
    let (recv, send) = half_way(&place, &[]);
    recv.signal(rustix::process::Signal::INT);
    let pressed = Instant::now();
    let received = recv.end().expect(130);
    assert_eq!(received.transfers()[0]["code"], 130);
    let sent = send.end().expect(1);
    assert!(pressed.elapsed() < SOON, "{:?}", pressed.elapsed());
    assert!(sent.message().contains("interrupted"), "{}", sent.message());
    assert!(place.received().is_empty(), "{:?}", place.received());
}

/// Whoever presses twice waits for nothing, and still gets the last word.
#[cfg(unix)]
#[test]
fn ctrl_c_twice() {
    let place = Place::new();
    let (recv, send) = half_way(&place, &[]);
    // The other side hangs: a goodbye would have to wait for it.
    send.signal(rustix::process::Signal::STOP);
    recv.signal(rustix::process::Signal::INT);
    // Another one: of two that are alike the system may make one.
    recv.signal(rustix::process::Signal::TERM);
    let pressed = Instant::now();
    recv.end().expect(130);
    // The goodbye alone would wait for as long.
    assert!(pressed.elapsed() < Duration::from_secs(3), "{:?}", pressed.elapsed());
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_nothing_happens() {
    let place = Place::new();
    let recv = place.recv(&["--yes"]);
    recv.signal(rustix::process::Signal::INT);
    let ended = recv.end().expect(130);
    assert_eq!(ended.lines.len(), 2);
    // While dialling, and while standard input says nothing.
    let gone = "127.0.0.1:9";
    let other = place.recv(&["--yes"]);
    let mut dialling = place.command(&["send", "--json", "--addr", gone, "-"]);
    dialling.arg(other.ticket());
    let mut hanging = place.command(&["send", "--json", "-"]);
    hanging.arg(other.ticket());
    for mut command in [dialling, hanging] {
        command.stdin(Stdio::piped());
        let send = Running::start(command);
        send.until_it_listens_to_ctrl_c();
        // Somewhere in the middle of it, wherever a machine is by then.
        thread::sleep(Duration::from_millis(500));
        send.signal(rustix::process::Signal::INT);
        let ended = send.end().expect(130);
        assert!(ended.took < SOON, "{:?}", ended.took);
    }
}

/// A receiver whose files may not grow beyond a megabyte: the system says so in the middle.
///
/// spec: R-FILE-15
#[cfg(unix)]
#[test]
fn files_that_cannot_grow() {
    let place = Place::new();
    let file = place.file("f", 5_000_000);
    let mut command = Command::new("sh");
    place.dress(&mut command);
    let binary = env!("CARGO_BIN_EXE_aqueduct");
    let script = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\"";
    command.args(["-c", script, binary, "recv", "--json", "--yes", "--once", "--out", "out"]);
    command.args(["--listen", "127.0.0.1"]);
    let recv = Running::listening(command);
    let sent = place.send(&[&file], &recv, &[]).expect(1);
    assert!(sent.message().contains("receiver failed"), "{}", sent.message());
    recv.end().expect(7);
    assert!(place.received().is_empty(), "{:?}", place.received());
}

/// A file system of two megabytes in memory; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<Self> {
        let args = ["-t", "tmpfs", "-o", "size=2m", "aqueduct-test"];
        let mounted = Command::new("mount").args(args).arg(&at).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// spec: R-FILE-15
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk() {
    let place = Place::new();
    let Some(_disk) = SmallDisk::mount(place.path("out")) else {
        eprintln!("SKIPPED: no small file system can be mounted here (needs root)");
        return;
    };
    let file = place.file("f", 5_000_000);
    // Said before a byte has come.
    let recv = place.recv(&["--yes", "--once"]);
    let sent = place.send(&[&file], &recv, &[]).expect(1);
    assert!(sent.message().contains("refused: no space left"), "{}", sent.message());
    let received = recv.end().expect(7);
    assert!(received.message().contains("no space left"), "{}", received.message());
    // Found out in the middle.
    let recv = place.recv(&["--yes", "--once"]);
    let mut command = place.command(&["send", "--json", "-"]);
    command.arg(recv.ticket()).stdin(Stdio::piped());
    let mut send = Running::start(command);
    send.feed(&noise(5_000_000));
    let sent = send.end().expect(1);
    assert!(sent.message().contains("no space left"), "{}", sent.message());
    let received = recv.end().expect(7);
    assert!(received.message().contains("no space left"), "{}", received.message());
    assert!(place.received().is_empty(), "{:?}", place.received());
}

#[cfg(unix)]
#[test]
fn a_target_that_cannot_be() {
    let place = Place::new();
    place.file("file", 1);
    let args = ["recv", "--json", "--yes", "--out", "file/below", "--listen", "127.0.0.1"];
    place.run(&args).expect(7);
}
