//! Every requirement id of the specification is defined once, and some test names it.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, files, rust};

/// Ids like `R-FLOW-12` in `text`.
fn ids(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("R-") {
        let boundary = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        let room: String = text[at + 2..].chars().take_while(char::is_ascii_uppercase).collect();
        let Some(rest) = text[at + 2 + room.len()..].strip_prefix('-') else { continue };
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if boundary && !room.is_empty() && !number.is_empty() {
            found.push(format!("R-{room}-{number}"));
        }
    }
    found
}

/// Where each id is defined: a bullet that begins with the id in bold.
fn defined() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for chapter in files("spec", ".md") {
        for line in chapter.text.lines() {
            let Some(rest) = line.trim_start().strip_prefix("- **R-") else { continue };
            let id = ids(&format!("R-{rest}")).into_iter().next().expect("an id in bold");
            let twice = found.insert(id.clone(), chapter.path.clone());
            assert!(
                twice.is_none(),
                "{id} is defined in {} and again in {}",
                twice.unwrap(),
                chapter.path
            );
        }
    }
    found
}

/// How a test begins: one of a suite for several adapters is called from elsewhere.
const FUNCTIONS: [&str; 3] = ["fn ", "async fn ", "pub(crate) fn "];

/// Ids in the `spec:` comments that stand right before a test function.
fn tested(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = Vec::new();
    for line in source.text.lines().map(str::trim) {
        let attribute = line.starts_with("#[");
        if let Some(named) = line.strip_prefix("/// spec:") {
            waiting.extend(ids(named));
        } else if FUNCTIONS.iter().any(|fun| line.starts_with(fun)) && !waiting.is_empty() {
            found.extend(waiting.drain(..));
        } else if !line.starts_with("//") && !attribute && !line.is_empty() {
            waiting.clear();
        }
    }
    found
}

#[test]
fn every_requirement_is_named_by_a_test() {
    let defined = defined();
    let named: BTreeSet<String> =
        rust().iter().filter(|source| source.is_test()).flat_map(tested).collect();
    let silent: Vec<String> = defined
        .iter()
        .filter(|(id, _)| !named.contains(*id))
        .map(|(id, chapter)| format!("{id} ({chapter})"))
        .collect();
    assert!(silent.is_empty(), "no test names\n{}", silent.join("\n"));
}

#[test]
fn every_id_in_the_sources_is_defined() {
    let defined = defined();
    let mut wrong = Vec::new();
    for source in rust() {
        if source.path.ends_with("tidy/requirements.rs") {
            continue;
        }
        let unknown = ids(&source.text).into_iter().filter(|id| !defined.contains_key(id));
        wrong.extend(unknown.map(|id| format!("{}: {id}", source.path)));
    }
    assert!(wrong.is_empty(), "not defined in spec/\n{}", wrong.join("\n"));
}

#[test]
fn ids_are_found_where_they_stand() {
    assert_eq!(ids("spec: R-FLOW-3, R-STR-12; XR-A-1 R-x-2 R-B-"), ["R-FLOW-3", "R-STR-12"]);
    let text = "/// spec: R-A-1\n#[test]\nfn a() {}\n/// spec: R-A-2\nlet x = 1;\nfn b() {}\n";
    let source = Source { path: "x/tests.rs".to_owned(), text: text.to_owned() };
    assert_eq!(tested(&source).into_iter().collect::<Vec<_>>(), ["R-A-1"]);
}
