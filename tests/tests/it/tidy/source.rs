//! Reading the workspace's own sources.

use std::fs;
use std::path::{Path, PathBuf};

/// One file of the workspace.
pub(crate) struct Source {
    /// Path from the workspace's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Whether the file holds tests only.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
            || self.path.contains("/tests/")
            || self.path.starts_with("tests/adapters/")
            || self.path.contains("/benches/")
    }

    /// The text with comments, strings and characters blanked, line by line as before.
    pub(crate) fn code(&self) -> String {
        blank(&self.text)
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

/// All files below `folder` whose names end with `ending`, in order of their paths.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), ending, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no {ending} files below {folder}");
    found
}

/// Every Rust source of the workspace.
pub(crate) fn rust() -> Vec<Source> {
    ["core", "adapters", "fuzz", "tests"].iter().flat_map(|folder| files(folder, ".rs")).collect()
}

fn walk(folder: &Path, ending: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target" && name != "corpus") {
                walk(&path, ending, found);
            }
        } else if path.to_string_lossy().ends_with(ending) {
            let shown = path.strip_prefix(root()).expect("below the root");
            let text = fs::read_to_string(&path).expect("UTF-8");
            found.push(Source { path: shown.to_string_lossy().replace('\\', "/"), text });
        }
    }
}

/// Blanks what is not code. Knows line and block comments, strings, raw strings and characters.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(len) = raw_string(rest) {
            len
        } else if rest.starts_with('"') {
            quoted(rest, b'"')
        } else if is_character(rest) {
            quoted(rest, b'\'')
        } else {
            0
        };
        if skipped == 0 {
            let character = rest.chars().next().expect("not at the end");
            out.push(character);
            at += character.len_utf8();
        } else {
            out.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            at += skipped;
        }
    }
    out
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.strip_prefix('r')?.bytes().take_while(|b| *b == b'#').count();
    let body = rest.get(1 + hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(2 + hashes + body.find(&end)? + end.len())
}

fn is_character(rest: &str) -> bool {
    let mut chars = rest.chars();
    chars.next() == Some('\'')
        && match chars.next() {
            Some('\\') => true,
            Some(_) => chars.next() == Some('\''),
            None => false,
        }
}

fn quoted(rest: &str, quote: u8) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

#[test]
fn blanking_keeps_code_and_lines_only() {
    let text = "let a = \"{\\\"\"; // {\nlet b = '{'; /* {\n */ let c: &'a str = r#\"}\"#; }";
    let code = blank(text);
    assert_eq!(code.matches('\n').count(), text.matches('\n').count());
    assert!(!code.contains('{'));
    assert_eq!(code.matches('}').count(), 1);
    assert!(code.contains("let c: &'a str ="));
}
