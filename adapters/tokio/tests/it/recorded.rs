//! Endpoints that are recorded: their tapes run again.

use std::path::Path;
use std::time::Duration;

use aqueduct_tokio::relay::{Allow, RelayConfig, Way};
use aqueduct_tokio::trace::{self, Filter, Summary, Tail};
use aqueduct_tokio::{
    AppCode, Config, Connection, Ending, Endpoint, NodeAddr, Payload, Recording, TapeEnd,
    TransportConfig, generate_key,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::harness::{connect, logging, loopback, pattern, soon, test_options, within};

fn recorded(recording: Recording) -> Endpoint {
    logging();
    let transport = TransportConfig::default().with_max_streams(200, 200).unwrap();
    let mut config = Config::new(generate_key().unwrap());
    let endpoint = aqueduct_tokio::EndpointConfig::new(generate_key().unwrap())
        .with_provider(aqueduct_tokio::Provider::AwsLc)
        .with_transport(transport);
    config = config.with_endpoint(endpoint);
    Endpoint::bind(loopback(), config.with_recording(recording)).unwrap()
}

/// Ends the recording and runs the tape again.
async fn again(endpoint: &Endpoint, file: &Path) -> Summary {
    let written = soon("the file", endpoint.recording().unwrap().end()).await.unwrap();
    let tape = std::fs::read(file).unwrap();
    assert_eq!(tape.len() as u64, written);
    trace::replay(&tape).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Echoes every stream of every connection.
async fn echo(endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        let Ok(connection) = incoming.accept().await else { continue };
        tokio::spawn(async move {
            while let Ok((mut send, mut recv)) = connection.accept_bi().await {
                tokio::spawn(async move {
                    let mut text = Vec::new();
                    AsyncReadExt::read_to_end(&mut recv, &mut text).await.unwrap();
                    send.write_all(&text).await.unwrap();
                    send.delivered().await.unwrap();
                });
            }
        });
    }
}

/// Streams both ways, each with a text of its own.
async fn talk(connection: &Connection, streams: usize, len: usize, way: Option<&Way>) {
    let mut tasks = JoinSet::new();
    for number in 0..streams {
        let options = match way {
            Some(way) => way.introduce(&test_options()).unwrap(),
            None => test_options(),
        };
        let (mut send, mut recv) = soon("a stream", connection.open_bi(options)).await.unwrap();
        tasks.spawn(async move {
            let text = pattern(len + number);
            let mut answer = Vec::new();
            let writing = async {
                send.write_all(&text).await.unwrap();
                send.delivered().await.unwrap();
            };
            let reading = AsyncReadExt::read_to_end(&mut recv, &mut answer);
            let (_, read) = tokio::join!(writing, reading);
            read.unwrap();
            assert_eq!(answer, text);
        });
    }
    within(Duration::from_secs(120), "the streams", async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    })
    .await;
}

/// Real sockets under load: 64 streams both ways straight, and as many through a relay's pipes.
///
/// spec: R-TAPE-1 R-TAPE-11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_under_load_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let [source, relay, sink] =
        ["source", "relay", "sink"].map(|name| recorded(Recording::to(file(name))));
    let mut many = RelayConfig::new(Allow::Everybody);
    many.max_streams = 200;
    relay.relay(many, |_| {});
    tokio::spawn(echo(relay.clone()));
    tokio::spawn(echo(sink.clone()));
    let there = |node: &Endpoint| NodeAddr::from((node.node_id(), node.local_addr()));
    let straight = soon("the sink", source.connect(there(&sink))).await.unwrap();
    let through = soon("the relay", source.connect(there(&relay))).await.unwrap();
    let way = Way { relays: Vec::new(), targets: vec![there(&sink)] };
    tokio::join!(
        talk(&straight, 64, 100_000, None),
        talk(&through, 64, 30_000, Some(&way)),
        async {
            for number in 0..50_u8 {
                let _ = straight.send_datagram(vec![number; 500].into());
                straight.send_message(vec![number; 3_000].into()).await.unwrap();
            }
        },
    );
    straight.close(AppCode(0), b"done");
    for (name, node) in [("source", &source), ("relay", &relay), ("sink", &sink)] {
        let summary = again(node, &file(name)).await;
        println!("{name}: {summary:?}");
        assert!(summary.is_whole());
        assert!(summary.received.1 > 3_000_000 && summary.sent.1 > 3_000_000, "{summary:?}");
        let tape = std::fs::metadata(file(name)).unwrap().len();
        println!("{name}: {tape} bytes of tape");
    }
}

/// spec: R-TAPE-18
#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tape");
    std::fs::write(&file, "something longer than any head of a tape").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let endpoint = recorded(Recording::to(&file).with_label("a label"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let summary = again(&endpoint, &file).await;
    assert!(summary.is_whole() && summary.received.0 == 0);
    let tape = std::fs::read(&file).unwrap();
    assert_eq!(trace::Trace::open(&tape).unwrap().label(), "a label");
    // To end it again is no error, and nothing more is written.
    soon("the file", endpoint.recording().unwrap().end()).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), tape);
    let nowhere = Config::new(generate_key().unwrap())
        .with_recording(Recording::to(folder.path().join("no/such/folder")));
    assert!(Endpoint::bind(loopback(), nowhere).unwrap_err().to_string().contains("recording"));
}

/// A buffer that a single turn fills: the tape ends and says so, and nothing else does.
///
/// spec: R-TAPE-14 R-TAPE-18
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_follow_ends_the_tape_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tape");
    let client = recorded(Recording::to(&file).with_buffer(40_000));
    let server = crate::harness::endpoint();
    let (near, _far) = connect(&client, &server).await;
    let accepting = {
        let far = _far.clone();
        tokio::spawn(async move {
            let (_send, mut recv) = far.accept_bi().await.unwrap();
            let mut text = Vec::new();
            AsyncReadExt::read_to_end(&mut recv, &mut text).await.unwrap();
            text.len()
        })
    };
    let (mut send, _recv) = near.open_bi(test_options()).await.unwrap();
    send.write_all(&pattern(2 << 20)).await.unwrap();
    send.finish().unwrap();
    assert_eq!(soon("all of it", accepting).await.unwrap(), 2 << 20);
    let recording = client.recording().unwrap();
    soon("the file", recording.end()).await.unwrap();
    assert_eq!(recording.ended(), Some(TapeEnd::Tape(Ending::Overrun)));
    let tape = std::fs::read(&file).unwrap();
    let summary = trace::replay(&tape).unwrap();
    assert_eq!(summary.tail, Tail::Ended(Ending::Overrun));
}

/// A node that is dropped with its runtime has a whole tape, too; elided, it is for looking at.
///
/// spec: R-TAPE-12
#[test]
fn a_tape_is_whole_when_its_runtime_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tape");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let recorded = runtime.block_on(async {
        let client = recorded(Recording::to(&file).with_payload(Payload::Elided));
        let server = crate::harness::endpoint();
        let (near, far) = connect(&client, &server).await;
        near.send_message(vec![1; 100].into()).await.unwrap();
        soon("it", far.recv_message()).await.unwrap();
        client.recording().unwrap()
    });
    drop(runtime);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(soon("the file", recorded.end())).unwrap();
    assert_eq!(recorded.ended(), Some(TapeEnd::Tape(Ending::Finished)));
    let tape = std::fs::read(&file).unwrap();
    assert!(trace::replay(&tape).is_err());
    let lines = trace::show(&tape, &Filter::default()).unwrap();
    assert!(lines.iter().any(|line| line.contains("SendMessage")), "{lines:?}");
    assert!(lines.last().unwrap().contains("End: Finished"), "{lines:?}");
}
