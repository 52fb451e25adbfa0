//! A room may name only the rooms that the design's table gives it.

use super::source::{Source, files};

/// Plain values, usable from any room.
const ANYWHERE: &[&str] = &["config", "error", "fingerprint", "planted", "script", "time"];

/// Room, and what it may use beside [`ANYWHERE`]. `room::item` allows that item only.
const TABLE: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("rng", &[]),
    ("range_set", &[]),
    ("fingerprint", &[]),
    ("planted", &[]),
    ("script", &[]),
    ("sometimes", &[]),
    ("config", &["crypto", "flow", "congestion", "message", "stream", "wire", "path", "tape"]),
    ("error", &["wire"]),
    ("wire", &["range_set", "rng"]),
    ("tape", &["wire"]),
    ("crypto", &["wire", "rng", "tape"]),
    ("recovery", &["wire", "range_set"]),
    (
        "congestion",
        &[
            "rng",
            "recovery::Rtt",
            "recovery::RateSample",
            "recovery::LossSample",
            "recovery::Spurious",
        ],
    ),
    ("path", &["wire", "rng", "range_set", "crypto", "recovery", "congestion"]),
    ("handoff", &[]),
    ("flow", &["wire", "recovery::delivery", "recovery::Once", "recovery::Latest"]),
    (
        "stream",
        &[
            "wire",
            "flow",
            "range_set",
            "recovery::delivery",
            "recovery::Once",
            "recovery::Latest",
            "tape",
        ],
    ),
    ("message", &["wire", "flow", "stream"]),
    ("pipe", &["wire", "flow", "stream", "range_set", "shaping"]),
    ("shaping", &[]),
    (
        "connection",
        &[
            "wire",
            "crypto",
            "recovery",
            "congestion",
            "path",
            "flow",
            "stream",
            "message",
            "rng",
            "range_set",
            "shaping",
        ],
    ),
    (
        "endpoint",
        &[
            "wire",
            "crypto",
            "recovery",
            "congestion",
            "path",
            "flow",
            "stream",
            "message",
            "rng",
            "range_set",
            "connection",
            "pipe",
            "shaping",
            "tape",
        ],
    ),
    (
        "trace",
        &["wire", "flow", "stream", "message", "rng", "connection", "pipe", "endpoint", "tape"],
    ),
];

/// spec: R-LIM-1
#[test]
fn rooms_name_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for source in files("core/src", ".rs") {
        if source.is_test() || source.path == "core/src/lib.rs" {
            continue;
        }
        let room = room_of(&source.path);
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: room `{room}` is not in the table", source.path));
            continue;
        };
        for path in named(&source) {
            let other = path.split("::").next().expect("one segment");
            let known = TABLE.iter().any(|(name, _)| *name == other);
            let fine = other == room
                || ANYWHERE.contains(&other)
                || allowed.iter().any(|a| *a == other || path.starts_with(a));
            if known && !fine {
                wrong.push(format!("{}: `{room}` may not name `{path}`", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn room_of(path: &str) -> String {
    let inner = path.strip_prefix("core/src/").expect("in the core");
    inner.split('/').next().expect("a name").trim_end_matches(".rs").to_owned()
}

/// Every path from the crate's root that the file names, by `crate::` or by enough `super::`.
fn named(source: &Source) -> Vec<String> {
    let code = source.code();
    let depth = depth_of(&source.path);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        found.extend(tree(&code[at + "crate::".len()..]));
    }
    let mut at = 0;
    while let Some(start) = code[at..].find("super::").map(|start| at + start) {
        let supers = code[start..].split("super::").take_while(|part| part.is_empty()).count();
        let chain = code[start..].match_indices("super::").enumerate();
        let count = chain.take_while(|(n, (at, _))| *at == n * "super::".len()).count();
        debug_assert!(supers >= 1);
        at = start + count * "super::".len();
        if count >= depth {
            found.extend(tree(&code[at..]));
        }
    }
    found
}

/// How many `super::` lead from the file's module to the crate's root.
fn depth_of(path: &str) -> usize {
    let inner = path.strip_prefix("core/src/").expect("in the core").trim_end_matches(".rs");
    inner.split('/').filter(|part| *part != "mod").count()
}

/// The paths of one use tree, at most two segments each.
fn tree(text: &str) -> Vec<String> {
    let head: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if head.is_empty() {
        return group(text).into_iter().flat_map(|part| tree(part.trim_start())).collect();
    }
    let Some(rest) = text[head.len()..].strip_prefix("::") else { return vec![head] };
    if rest.starts_with('{') {
        let inner = group(rest).into_iter().flat_map(|part| tree(part.trim_start()));
        return inner.map(|tail| format!("{head}::{tail}")).collect();
    }
    let next: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    vec![format!("{head}::{next}")]
}

/// The comma-separated parts of a leading `{...}`.
fn group(text: &str) -> Vec<&str> {
    let Some(inner) = text.strip_prefix('{') else { return Vec::new() };
    let (mut parts, mut level, mut from) = (Vec::new(), 0_i32, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 0 => {
                parts.push(&inner[from..at]);
                return parts;
            }
            '}' => level -= 1,
            ',' if level == 0 => {
                parts.push(&inner[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts
}

#[test]
fn use_trees_are_read_whole() {
    let text = "use crate::{wire::{id::A, frame::{B, C}}, time};\nlet x = super::super::flow::F;";
    let source = Source { path: "core/src/stream/send.rs".to_owned(), text: text.to_owned() };
    assert_eq!(
        named(&source),
        ["wire::id::A", "wire::frame::B", "wire::frame::C", "time", "flow::F"]
    );
    let inside = "use super::id::A; use super::super::path::Path;";
    let source = Source { path: "core/src/wire/frame.rs".to_owned(), text: inside.to_owned() };
    assert_eq!(named(&source), ["path::Path"]);
}
