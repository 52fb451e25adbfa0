//! Every public call of both adapters is behind the face that the tests use. That each call of the
//! face has a caller the compiler says: one without is dead code.

use std::collections::BTreeSet;

/// What stands for each type of an adapter.
const FACES: [(&str, &str); 9] = [
    ("Endpoint", "Node for"),
    ("Incoming", "Knock for"),
    ("Connection", "Link for"),
    ("MessageStream", "Letter for"),
    ("SendStream", "Outlet for"),
    ("RecvStream", "Inlet for"),
    ("VerifiedStream", "Verified for"),
    ("Pipe", "Flow<"),
    ("Recorded", "Node for"),
];

/// Calls that only threads need: how long to wait, a loop on a thread of one's own, an iterator of
/// who knocks, and an end within a time. They have tests of their own.
const OF_THREADS: [&str; 4] = ["with_timeout", "prepare", "incoming", "shutdown"];
/// `collect_all`, as a vector.
const OF_TASKS: [&str; 1] = ["read_to_end"];

/// Types and calls of an adapter's files.
fn calls<'a>(sources: &[&'a str]) -> BTreeSet<(&'a str, &'a str)> {
    let (mut of, mut calls) = ("", BTreeSet::new());
    for line in sources.iter().flat_map(|source| source.lines()) {
        if let Some(rest) = line.strip_prefix("impl ") {
            of = rest.trim_end_matches(" {");
        }
        let call = line.strip_prefix("    pub ").map(|rest| rest.trim_start_matches("async "));
        if let Some(rest) = call.and_then(|rest| rest.strip_prefix("fn ")) {
            calls.insert((of, rest.split(['(', '<']).next().unwrap()));
        }
    }
    calls.retain(|(of, _)| FACES.iter().any(|(known, _)| known == of));
    calls
}

/// Those that the face does not make.
fn missing<'a>(
    calls: &BTreeSet<(&'a str, &'a str)>,
    face: &str,
    but: &[&str],
) -> Vec<(&'a str, &'a str)> {
    let blocks: Vec<_> = face.split("\nimpl ").collect();
    let made = |of: &str, name: &str| {
        let stands = FACES.iter().find(|(known, _)| *known == of).unwrap().1;
        let mut blocks = blocks.iter().filter(|block| block.starts_with(stands));
        blocks.any(|block| [".", "::"].iter().any(|by| block.contains(&format!("{by}{name}("))))
    };
    let calls = calls.iter().filter(|(_, name)| !but.contains(name));
    calls.filter(|(of, name)| !made(of, name)).copied().collect()
}

#[test]
fn no_call_of_an_adapter_is_forgotten() {
    let threads = calls(&[
        include_str!("../../../adapters/std/src/connection.rs"),
        include_str!("../../../adapters/std/src/endpoint.rs"),
        include_str!("../../../adapters/std/src/message.rs"),
        include_str!("../../../adapters/std/src/pipe.rs"),
        include_str!("../../../adapters/std/src/stream.rs"),
    ]);
    let tasks = calls(&[
        include_str!("../../../adapters/tokio/src/connection.rs"),
        include_str!("../../../adapters/tokio/src/endpoint.rs"),
        include_str!("../../../adapters/tokio/src/message.rs"),
        include_str!("../../../adapters/tokio/src/stream.rs"),
        include_str!("../../../adapters/driver/src/pipe.rs"),
        include_str!("../../../adapters/driver/src/recording.rs"),
    ]);
    assert!(threads.len() > 80 && tasks.len() > 75, "{} and {}", threads.len(), tasks.len());
    assert_eq!(missing(&threads, include_str!("node/threads.rs"), &OF_THREADS), []);
    assert_eq!(missing(&tasks, include_str!("node/tasks.rs"), &OF_TASKS), []);
    // And what the one offers the other does.
    let own = |(_, name): &&(&str, &str)| !OF_THREADS.contains(name) && !OF_TASKS.contains(name);
    let differ: Vec<_> = threads.symmetric_difference(&tasks).filter(own).collect();
    assert!(differ.is_empty(), "{differ:?}");
}
