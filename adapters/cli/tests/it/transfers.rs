//! What arrives, and what does not.

use std::fs;
use std::net::UdpSocket;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Place, Running, hex, noise, until};

/// spec: R-FILE-12
#[test]
fn files_of_all_sizes_arrive_byte_for_byte() {
    let place = Place::new();
    let recv = place.recv(&["--yes"]);
    let sizes = [0, 1, 1171, 65_536, 1_048_579, 20_000_000];
    for size in sizes {
        let name = format!("f{size}");
        let file = place.file(&name, size);
        let sent = place.send(&[&file], &recv, &[]).expect(0);
        let result = sent.last();
        assert_eq!(result["bytes"], size);
        assert_eq!(result["digest"], hex(&noise(size)));
        assert_eq!(sent.transfers().len(), 1);
        assert_eq!(fs::read(place.out(&name)).unwrap(), noise(size), "{size}");
    }
    #[cfg(unix)]
    {
        recv.signal(rustix::process::Signal::INT);
        let received = recv.end().expect(130);
        let transfers = received.transfers();
        assert_eq!(transfers.len(), sizes.len());
        for (transfer, size) in transfers.iter().zip(sizes) {
            assert_eq!(transfer["bytes"], size);
            assert_eq!(transfer["ok"], true);
            assert_eq!(transfer["digest"], hex(&noise(size)));
        }
    }
    assert_eq!(place.received().len(), sizes.len(), "nothing temporary is left");
}

#[test]
fn folders_arrive_whole() {
    let place = Place::new();
    fs::create_dir_all(place.path("tree/a/b/empty")).unwrap();
    fs::write(place.path("tree/a/one"), "1").unwrap();
    fs::write(place.path("tree/zero"), "").unwrap();
    fs::write(place.path("tree/a/b/run"), noise(300_000)).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::Permissions::from_mode(0o4777);
        fs::set_permissions(place.path("tree/a/b/run"), mode).unwrap();
    }
    let second = place.file("second", 10);
    let recv = place.recv(&["--yes", "--once"]);
    let sent = place.send(&[&place.path("tree"), &second], &recv, &[]).expect(0);
    let received = recv.end().expect(0);
    assert_eq!(received.last()["digest"], sent.last()["digest"]);
    assert_eq!(received.last()["entries"], 8);
    assert_eq!(received.last()["bytes"], 300_011);
    assert_eq!(place.received(), ["second", "tree"]);
    assert_eq!(fs::read(place.out("tree/a/one")).unwrap(), b"1");
    assert_eq!(fs::read(place.out("tree/a/b/run")).unwrap(), noise(300_000));
    assert!(place.out("tree/a/b/empty").is_dir());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name| fs::metadata(place.out(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode("tree/a/b/run") & !0o755, 0, "no set-user-id, not writable for all");
        assert_eq!(mode("tree/a/b/run") & 0o700, 0o700);
        assert_eq!(mode("tree/a/one") & 0o111, 0);
    }
}

#[test]
fn standard_input_arrives() {
    let place = Place::new();
    let recv = place.recv(&["--yes"]);
    for (args, name) in [(vec!["-"], "stdin"), (vec!["--name", "backup.tar", "-"], "backup.tar")] {
        let mut command = place.command(&["send", "--json"]);
        command.args(args).arg(recv.ticket()).stdin(Stdio::piped());
        let mut send = Running::start(command);
        send.feed(&noise(5_000_000));
        let sent = send.end().expect(0);
        assert_eq!(sent.last()["bytes"], 5_000_000);
        assert_eq!(fs::read(place.out(name)).unwrap(), noise(5_000_000));
    }
}

/// spec: R-FILE-10
#[test]
fn nothing_is_overwritten_unless_told() {
    let place = Place::new();
    let file = place.file("f", 1000);
    fs::write(place.out("f"), "precious").unwrap();
    let recv = place.recv(&["--yes", "--once"]);
    let sent = place.send(&[&file], &recv, &[]).expect(4);
    assert!(sent.message().contains("exists"), "{}", sent.message());
    recv.end().expect(4);
    assert_eq!(fs::read(place.out("f")).unwrap(), b"precious");

    let recv = place.recv(&["--yes", "--once", "--overwrite"]);
    place.send(&[&file], &recv, &[]).expect(0);
    recv.end().expect(0);
    assert_eq!(fs::read(place.out("f")).unwrap(), noise(1000));
}

/// spec: R-FILE-14
#[test]
fn strangers_are_refused() {
    let (place, other) = (Place::new(), Place::new());
    let file = other.file("f", 1000);
    let id = other.run(&["id", "--json"]).expect(0).last()["id"].as_str().unwrap().to_owned();
    let own = place.run(&["id", "--json"]).expect(0).last()["id"].as_str().unwrap().to_owned();

    // Nobody is there to be asked.
    let recv = place.recv(&["--once"]);
    other.send(&[&file], &recv, &[]).expect(4);
    other.run(&["ping", "--json", "--count", "1", &recv.ticket()]).expect(0);
    // Somebody else is on the list: turned away at the door, and no transfer either.
    let listed = place.recv(&["--once", "--allow", &own]);
    let sent = other.send(&[&file], &listed, &[]).expect(4);
    assert!(sent.message().contains("not allowed"), "{}", sent.message());
    other.run(&["ping", "--json", &listed.ticket()]).expect(4);
    assert!(place.received().is_empty());
    // The node itself is, even from its own machine.
    let mine = place.file("mine", 10);
    place.send(&[&mine], &listed, &[]).expect(0);
    listed.end().expect(0);
    // And the other, once it is on the list.
    let listed = place.recv(&["--once", "--allow", &own, "--allow", &id]);
    other.send(&[&file], &listed, &[]).expect(0);
    let received = listed.end().expect(0);
    assert_eq!(received.last()["peer"], id.as_str());
    assert_eq!(place.received(), ["f", "mine"]);
}

#[test]
fn two_at_once_and_only_one_with_once() {
    let place = Place::new();
    let (a, b) = (place.file("a", 3_000_000), place.file("b", 3_000_000));
    let recv = place.recv(&["--yes"]);
    let first = place.start_send(&[&a], &recv, &["--limit", "6MB"]);
    let second = place.start_send(&[&b], &recv, &["--limit", "6MB"]);
    first.end().expect(0);
    second.end().expect(0);
    assert_eq!(place.received(), ["a", "b"]);
    drop(recv);

    let once = place.recv(&["--yes", "--once", "--overwrite"]);
    let mut command = place.command(&["send", "--json", "--name", "a", "-"]);
    command.arg(once.ticket()).stdin(Stdio::piped());
    // Its standard input says nothing until the second was refused.
    let mut first = Running::start(command);
    until("the first", || place.received().iter().any(|name| name.starts_with(".aqueduct-")));
    let second = place.send(&[&b], &once, &[]).expect(4);
    assert!(second.message().contains("another transfer"), "{}", second.message());
    first.feed(b"at last");
    first.end().expect(0);
    once.end().expect(0);
}

#[test]
fn limits_hold_at_either_end() {
    let place = Place::new();
    let file = place.file("f", 2_000_000);
    for (there, here) in [(vec![], vec!["--limit", "16Mbit/s"]), (vec!["--limit", "2MB"], vec![])] {
        let recv = place.recv(&[&["--yes", "--once", "--overwrite"], &there[..]].concat());
        let sent = place.send(&[&file], &recv, &here).expect(0);
        let seconds = sent.last()["seconds"].as_f64().unwrap();
        assert!((0.8..6.0).contains(&seconds), "{seconds}");
        recv.end().expect(0);
    }
}

/// Carries datagrams to and fro as a port forwarder does, and counts those of the guest; `true`
/// makes it carry nothing.
fn forward(to: &str) -> (String, Arc<AtomicUsize>, Arc<AtomicBool>) {
    let front = UdpSocket::bind("127.0.0.1:0").unwrap();
    let back = UdpSocket::bind("127.0.0.1:0").unwrap();
    back.connect(to).unwrap();
    let addr = front.local_addr().unwrap().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let (guest, carried) = (Arc::new(std::sync::Mutex::new(None)), Arc::clone(&count));
    let (front2, back2, guest2) =
        (front.try_clone().unwrap(), back.try_clone().unwrap(), Arc::clone(&guest));
    let cut = Arc::new(AtomicBool::new(false));
    let (cut1, cut2) = (Arc::clone(&cut), Arc::clone(&cut));
    thread::spawn(move || {
        let mut buf = [0; 65536];
        while let Ok((len, from)) = front.recv_from(&mut buf) {
            *guest.lock().unwrap() = Some(from);
            carried.fetch_add(1, Ordering::Relaxed);
            if !cut1.load(Ordering::Relaxed) {
                let _ = back.send(&buf[..len]);
            }
        }
    });
    thread::spawn(move || {
        let mut buf = [0; 65536];
        while let Ok(len) = back2.recv(&mut buf) {
            let guest = guest2.lock().unwrap().filter(|_| !cut2.load(Ordering::Relaxed));
            if let Some(guest) = guest {
                let _ = front2.send_to(&buf[..len], guest);
            }
        }
    });
    (addr, count, cut)
}

/// An outage that is longer than anybody waits who did not say `--timeout`.
#[test]
fn patience_that_was_asked_for_outlasts_an_outage() {
    let place = Place::new();
    let file = place.sparse("f", 40_000_000);
    let recv = place.recv(&["--yes", "--once", "--timeout", "30"]);
    let (addr, carried, cut) = forward(&recv.addrs()[0]);
    let more = ["--addr", &addr, "--timeout", "30", "--limit", "20MB", "--max-packet", "1452"];
    let send = place.start_send(&[&file], &recv, &more);
    until("half of it", || carried.load(Ordering::Relaxed) > 1000);
    cut.store(true, Ordering::Relaxed);
    thread::sleep(Duration::from_secs(7));
    cut.store(false, Ordering::Relaxed);
    send.end().expect(0);
    recv.end().expect(0);
}

#[test]
fn another_address_than_the_tickets() {
    let place = Place::new();
    let file = place.file("f", 3_000_000);
    let recv = place.recv(&["--yes", "--once"]);
    let (addr, carried, _) = forward(&recv.addrs()[0]);
    let ping = place.run(&["ping", "--json", "--count", "2", "--addr", &addr, &recv.ticket()]);
    assert_eq!(ping.expect(0).last()["remote"], addr.as_str());
    let before = carried.load(Ordering::Relaxed);
    assert!(before >= 3, "{before}");
    let more = ["--addr", &addr, "--max-packet", "1452"];
    let sent = place.send(&[&file], &recv, &more).expect(0);
    assert_eq!(sent.last()["remote"], addr.as_str());
    assert!(carried.load(Ordering::Relaxed) > before + 1000, "all of it went this way");
    recv.end().expect(0);
    assert_eq!(fs::read(place.out("f")).unwrap(), noise(3_000_000));
}
