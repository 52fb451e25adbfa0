//! Other sides that lie. What they say is written here by hand, from the chapter and not by the
//! code that reads it.

use std::time::Duration;

use aqueduct_tokio::{Connection, Endpoint, NodeId, OpenOptions, StreamProtocol, generate_key};
use tokio::io::AsyncWriteExt;

use crate::support::{Ended, Place, Running};

const FILES: StreamProtocol = StreamProtocol::name("aqueduct-file/1");

fn offer(name: &[u8], bytes: u64) -> Vec<u8> {
    [&[1][..], &1u64.to_be_bytes(), &bytes.to_be_bytes(), name].concat()
}

fn file(path: &[u8], size: u64, data: &[u8], digest: &[u8; 32]) -> Vec<u8> {
    let path_len = u16::try_from(path.len()).unwrap().to_be_bytes();
    let mut bytes = [&[1, 0][..], &size.to_be_bytes(), &path_len, path].concat();
    if !data.is_empty() {
        bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(data);
    }
    bytes.extend([0; 4]);
    bytes.extend(digest);
    bytes
}

fn end(entries: u64, bytes: u64, digest: &[u8; 32]) -> Vec<u8> {
    [&[3][..], &entries.to_be_bytes(), &bytes.to_be_bytes(), digest].concat()
}

/// Dials a receiver and says `head`, then `body` once it was accepted; gives what was answered.
fn say(recv: &Running, head: Vec<u8>, body: Vec<u8>) -> Vec<u8> {
    let event = recv.said("listening");
    let id: NodeId = event["id"].as_str().unwrap().parse().unwrap();
    let addr: std::net::SocketAddr = recv.addrs()[0].parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bound = "127.0.0.1:0".parse().unwrap();
        let endpoint = Endpoint::bind(bound, generate_key().unwrap()).unwrap();
        let connection = endpoint.connect((id, addr)).await.unwrap();
        let options = OpenOptions::new(FILES).with_head(head);
        let (mut send, mut answers) = connection.open_bi(options).await.unwrap();
        let first = answers.read_chunk(1).await.unwrap().unwrap();
        if first[0] != 0x81 {
            return first.to_vec();
        }
        let _ = send.write_all(&body).await;
        let _ = send.finish();
        let said = answers.read_to_end(1000).await.unwrap_or_default();
        drop(connection);
        said
    })
}

fn receive(head: Vec<u8>, body: Vec<u8>) -> (Place, Vec<u8>, Ended) {
    let place = Place::new();
    let recv = place.recv(&["--yes", "--once"]);
    let said = say(&recv, head, body);
    let ended = recv.end();
    (place, said, ended)
}

/// spec: R-FILE-7, R-FILE-12
#[test]
fn senders_that_count_wrong() {
    let right = *blake3::hash(b"abc").as_bytes();
    let bodies = [
        (5, [file(b"f", 3, b"abc", &[9; 32]), end(1, 3, &[9; 32])].concat()),
        (5, [file(b"f", 4, b"abc", &right), end(1, 4, &right)].concat()),
        (5, [file(b"f", 2, b"abc", &right), end(1, 2, &right)].concat()),
        (5, [file(b"f", 3, b"abc", &right), end(2, 3, &right)].concat()),
        (5, [file(b"f", 3, b"abc", &right), end(1, 3, &[0; 32])].concat()),
    ];
    for (code, body) in bodies {
        let (place, said, ended) = receive(offer(b"f", 3), body);
        let ended = ended.expect(code);
        assert_eq!(said[..2], [0x84, 5], "{ended:?}");
        assert!(place.received().is_empty(), "{:?}", place.received());
    }
    // The same by somebody honest, so that the above fails for its own reason.
    let body = [file(b"f", 3, b"abc", &right), end(1, 3, &right)].concat();
    let (place, said, ended) = receive(offer(b"f", 3), body);
    ended.expect(0);
    assert_eq!(said, [&[0x83][..], &end(1, 3, &right)[1..]].concat());
    assert_eq!(place.received(), ["f"]);
}

/// spec: R-FILE-5, R-FILE-13
#[test]
fn senders_that_make_no_sense() {
    let right = *blake3::hash(b"abc").as_bytes();
    let whole = file(b"f", 3, b"abc", &right);
    for body in [vec![], vec![0], vec![9; 100], whole.clone(), whole[..20].to_vec()] {
        let (place, said, ended) = receive(offer(b"f", 3), body);
        let ended = ended.expect(1);
        assert_eq!(said[..2], [0x84, 9], "{ended:?}");
        assert!(place.received().is_empty(), "{:?}", place.received());
    }
}

/// spec: R-FILE-8
#[test]
fn senders_with_evil_names() {
    let right = *blake3::hash(b"abc").as_bytes();
    for name in [&b"../evil"[..], b"/tmp/aqueduct-evil", b"a/../../evil", b"con", b"a\x1b[2Jb"] {
        // Already in the offer.
        let (place, said, ended) = receive(offer(name, 3), Vec::new());
        ended.expect(4);
        assert_eq!(said[0], 0x82);
        assert!(!place.path("evil").exists());
        // Only in the body.
        let body = [file(name, 3, b"abc", &right), end(1, 3, &right)].concat();
        let (place, said, ended) = receive(offer(b"nice", 3), body);
        let ended = ended.expect(4);
        assert_eq!(said[..2], [0x84, 4], "{ended:?}");
        assert!(!place.path("evil").exists());
        assert!(place.received().is_empty());
        assert!(!ended.stderr.contains('\x1b'));
    }
}

/// spec: R-FILE-1, R-FILE-2
#[test]
fn offers_that_are_none_end_nothing() {
    let place = Place::new();
    let recv = place.recv(&["--yes", "--once"]);
    for head in [vec![], vec![0; 16], [offer(b"f", 3), vec![b'x'; 300]].concat(), vec![0xff; 50]] {
        let said = say(&recv, head, Vec::new());
        assert_eq!(said[0], 0x82);
    }
    let file = place.file("f", 10);
    place.send(&[&file], &recv, &[]).expect(0);
    recv.end().expect(0);
}

/// A receiver that takes everything and then claims to have something else, or nothing.
fn lying_receiver(verdict: Vec<u8>) -> Ended {
    receiver(Duration::ZERO, verdict)
}

/// A receiver that says `verdict`, and thinks so long before it accepts, and before it judges.
fn receiver(thought: Duration, verdict: Vec<u8>) -> Ended {
    let place = Place::new();
    let path = place.file("f", 100_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let real = place.recv(&["--yes"]);
    let ticket_of = |id: NodeId, addr: std::net::SocketAddr| {
        let std::net::IpAddr::V4(ip) = addr.ip() else { panic!("IPv4") };
        let mut bytes = id.as_bytes().to_vec();
        bytes.extend([1, 4]);
        bytes.extend(ip.octets());
        bytes.extend(addr.port().to_be_bytes());
        let check = blake3::hash(&[b"aq1", &bytes[..]].concat());
        bytes.extend(&check.as_bytes()[..4]);
        format!("aq1{}", data_encoding::BASE32_NOPAD.encode(&bytes).to_lowercase())
    };
    drop(real);
    let endpoint = {
        let _inside = runtime.enter();
        Endpoint::bind("127.0.0.1:0".parse().unwrap(), generate_key().unwrap()).unwrap()
    };
    let ticket = ticket_of(endpoint.node_id(), endpoint.local_addr());
    runtime.spawn(async move {
        let incoming = endpoint.accept().await.unwrap();
        let connection: Connection = incoming.accept().await.unwrap();
        let (mut send, mut recv) = connection.accept_bi().await.unwrap();
        tokio::time::sleep(thought).await;
        send.write_all(&[0x81]).await.unwrap();
        recv.read_to_end(1 << 20).await.unwrap();
        tokio::time::sleep(thought).await;
        let _ = send.write_all(&verdict).await;
        let _ = send.finish();
        tokio::time::timeout(Duration::from_secs(20), connection.closed()).await.unwrap();
    });
    place.run(&["send", "--json", path.to_str().unwrap(), &ticket])
}

/// What holds a transfer back is not what its receiver thinks over, before or behind it.
///
/// spec: R-FIG-13
#[test]
fn a_receiver_that_thinks_holds_no_transfer_back() {
    let right = *blake3::hash(&crate::support::noise(100_000)).as_bytes();
    let done = [&[0x83], &end(1, 100_000, &right)[1..]].concat();
    let sent = receiver(Duration::from_secs(2), done).expect(0).last();
    let limits = sent["limits_ms"].as_object().unwrap();
    let held: f64 = limits.values().filter_map(serde_json::Value::as_f64).sum();
    assert!(held < 1500.0, "{sent:?}");
    assert!(sent["seconds"].as_f64().unwrap() >= 2.0, "{sent:?}");
}

/// spec: R-FILE-12
#[test]
fn receivers_that_lie() {
    let done =
        |entries, bytes, digest: &[u8; 32]| [&[0x83], &end(entries, bytes, digest)[1..]].concat();
    let right = *blake3::hash(&crate::support::noise(100_000)).as_bytes();
    lying_receiver(done(1, 100_000, &right)).expect(0);
    lying_receiver(done(1, 100_000, &[0; 32])).expect(5);
    lying_receiver(done(1, 99_999, &right)).expect(5);
    lying_receiver(done(2, 100_000, &right)).expect(5);
    lying_receiver(Vec::new()).expect(1);
    lying_receiver(vec![0x81]).expect(1);
    lying_receiver(vec![0x77]).expect(1);
    let evil = lying_receiver([&[0x84, 6, 0, 5][..], b"\x1b[2Jx"].concat()).expect(1);
    assert!(!evil.stderr.contains('\x1b'));
}
