//! Tapes on disks that fail or do not follow: each adapter goes on, and says what became of the tape.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use aqueduct_core::trace::replay;
use aqueduct_std::{Ending, Recording, TapeEnd};

use crate::node::{Inlet, Link, Node, Outlet, Std, Tokio, connect, options, pattern};
use crate::watched;

/// A body that a recorded node sends arrives whole.
fn talk<N: Node>(node: &N, len: usize) {
    let server = Tokio::new();
    let (near, far) = connect(node, &server);
    let body = pattern(len);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut send = near.open_uni(options());
            for part in body.chunks(100_000) {
                send.put(part).unwrap();
            }
            send.delivered().unwrap();
        });
        let arrived = Link::accept_uni(&far).unwrap().all(len).unwrap();
        assert!(arrived == body, "another body arrived");
    });
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn a_full_disk<N: Node>() {
    let full = Path::new("/dev/full");
    let before = mode(full);
    let node = N::recorded(Recording::to(full));
    assert_eq!(mode(full), before, "a device is not ours to close to others");
    talk(&node, 1 << 20);
    // Nobody ends it: it is told as soon as it is known.
    let TapeEnd::Disk(error) = node.tape_closed() else { panic!("{:?}", node.tape_ended()) };
    assert_eq!(error.kind, ErrorKind::StorageFull);
    assert!(error.text.contains("No space left"), "{error}");
    let end = node.end_tape().unwrap_err();
    assert_eq!((end.kind(), end.to_string()), (error.kind, error.text.clone()));
    talk(&node, 1 << 20);
    assert_eq!(node.tape_ended(), Some(TapeEnd::Disk(error)), "the first end holds");
}

/// spec: R-TAPE-19
#[test]
fn a_full_disk_ends_the_tape_alone() {
    watched(a_full_disk::<Std>);
    watched(a_full_disk::<Tokio>);
}

fn a_disk_that_hangs<N: Node>() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("tape");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // Holds it open and reads nothing.
    let idle = File::options().read(true).write(true).open(&fifo).unwrap();
    let node = N::recorded(Recording::to(&fifo).with_buffer(1 << 20));
    // What the pipe takes, what waits for the thread, and what waits in the core; and more.
    talk(&node, 10 << 20);
    assert_eq!(node.tape_closed(), TapeEnd::Tape(Ending::Overrun), "told while the disk hangs");
    drop(idle);
    assert_eq!(node.end_tape().unwrap_err().kind(), ErrorKind::BrokenPipe);
    // What the tape says of its end is not on the disk.
    let end = node.tape_ended();
    let Some(TapeEnd::Disk(error)) = &end else { panic!("{end:?}") };
    assert_eq!(error.kind, ErrorKind::BrokenPipe);
    talk(&node, 1 << 20);
}

/// spec: R-TAPE-14 R-TAPE-19
#[test]
fn a_disk_that_hangs_ends_the_tape_alone() {
    watched(a_disk_that_hangs::<Std>);
    watched(a_disk_that_hangs::<Tokio>);
}

fn a_tape<N: Node>() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tape");
    let node = N::recorded(Recording::to(&file));
    let len = 8 << 20;
    talk(&node, len);
    let written = node.end_tape().unwrap();
    assert_eq!(node.tape_closed(), TapeEnd::Tape(Ending::Finished));
    let tape = std::fs::read(&file).unwrap();
    assert_eq!((tape.len() as u64, mode(&file)), (written, 0o600));
    let summary = replay(&tape).unwrap_or_else(|divergence| panic!("{divergence}"));
    assert!(summary.is_whole() && summary.sent.1 > len as u64, "{summary:?}");
    assert!(summary.received.0 > 0 && summary.events > 0, "{summary:?}");
}

/// spec: R-TAPE-18
#[test]
fn what_each_adapter_records_replays() {
    watched(a_tape::<Std>);
    watched(a_tape::<Tokio>);
}
