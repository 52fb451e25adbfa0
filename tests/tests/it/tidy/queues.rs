//! Nobody who drives a socket waits for room in a queue.

use super::source::files;

/// What makes whoever fills a queue wait while it is full.
const WAITS: [&str; 6] =
    ["sync_channel", "SyncSender", "blocking_send", "tokio::sync::mpsc", "crossbeam", "flume"];

/// Lesson 82: the adapters' loops hand over by slots that are looked at and never waited for, or
/// through `std::sync::mpsc::channel`, which takes whatever comes: what goes there has a bound of
/// its own (R-TAPE-14).
#[test]
fn no_queue_of_an_adapter_makes_its_sender_wait() {
    let mut seen = 0;
    for folder in ["adapters/driver/src", "adapters/tokio/src", "adapters/std/src"] {
        for source in files(folder, ".rs").iter().filter(|source| !source.is_test()) {
            seen += 1;
            let code = source.code();
            let found: Vec<_> = WAITS.iter().filter(|word| code.contains(**word)).collect();
            assert!(found.is_empty(), "{}: {found:?}", source.path);
        }
    }
    assert!(seen > 40, "{seen} files");
}
