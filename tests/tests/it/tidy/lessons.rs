//! The tables of lessons and of scenarios name tests that exist.

use aqueduct_tests::scenario;

use super::source::{Source, files, rust};

/// Numbers of a table and what stands in its last column.
fn rows(text: &str) -> Vec<(u32, &str)> {
    text.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let number: u32 = cells.next()?.parse().ok()?;
            Some((number, cells.last()?.trim_end_matches(" |")))
        })
        .collect()
}

/// Whether a test of this name stands somewhere.
fn stands(tests: &[Source], name: &str) -> bool {
    let begins = format!("fn {name}(");
    let test = |text: &str| {
        text.split("#[test]").skip(1).chain(text.split("#[tokio::test").skip(1)).any(|rest| {
            rest.split("fn ").nth(1).is_some_and(|rest| format!("fn {rest}").starts_with(&begins))
        })
    };
    tests.iter().any(|source| source.text.contains(&begins) && test(&source.text))
}

/// Whether it says why there is no test.
fn excused(cell: &str) -> bool {
    ["not yet: ", "does not apply: "].iter().any(|reason| cell.starts_with(reason))
}

/// The test that plays the table of scenarios: who names it says which of them, too.
const TABLE: &str = "every_scenario_goes_well_and_the_same_way_twice";

/// Whether the last column proves its row: tests that stand somewhere; behind the one that plays the
/// table, scenarios of it.
fn is_proven(tests: &[Source], cell: &str) -> bool {
    let names: Vec<_> = cell.split(", ").map(|name| quoted(name)).collect();
    match &names[..] {
        [Some(TABLE), played @ ..] => {
            let is_played = |name: &Option<&str>| name.and_then(scenario::find).is_some();
            !played.is_empty() && played.iter().all(is_played)
        }
        all => all.iter().all(|name| name.is_some_and(|name| stands(tests, name))),
    }
}

/// What stands between two ticks, and nothing else around them.
fn quoted(name: &str) -> Option<&str> {
    name.strip_prefix('`')?.strip_suffix('`')
}

/// Those rows that name no test and give no reason for it.
fn unproven<'a>(rows: &[(u32, &'a str)]) -> Vec<(u32, &'a str)> {
    let tests: Vec<_> = rust().into_iter().filter(|source| source.is_test()).collect();
    let proven = |cell: &str| excused(cell) || is_proven(&tests, cell);
    rows.iter().copied().filter(|(_, cell)| !proven(cell)).collect()
}

/// Number, file and test of each row of the lessons.
fn lessons(text: &str) -> Vec<(u32, &str, &str)> {
    let row = |line| -> Option<(u32, &str, &str)> {
        let cells: Vec<_> =
            str::strip_prefix(line, "| ")?.strip_suffix(" |")?.split(" | ").collect();
        let [number, _, file, test] = cells[..] else { return None };
        Some((number.parse().ok()?, file.trim_matches('`'), test.trim_matches('`')))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn a_row_is_proven_by_what_there_is() {
    let tests: Vec<_> = rust().into_iter().filter(|source| source.is_test()).collect();
    let this = "`a_row_is_proven_by_what_there_is`";
    for (cell, proven) in [
        (this.to_owned(), true),
        (format!("{this}, {this}"), true),
        (format!("{this}, `nobody_wrote_this`"), false),
        (format!("{this}, and more"), false),
        (format!("`{TABLE}`"), false),
        (format!("`{TABLE}`, `longrtt`, `nats`"), true),
        (format!("`{TABLE}`, `no such scenario`"), false),
        (format!("`{TABLE}`, {this}"), false),
        ("`longrtt`".to_owned(), false),
        ("all is well".to_owned(), false),
    ] {
        assert_eq!(is_proven(&tests, &cell), proven, "{cell}");
    }
}

#[test]
fn every_lesson_has_its_test() {
    let chapter = files("spec", "21-lessons.md").remove(0);
    let rows = lessons(&chapter.text);
    let numbers: Vec<_> = rows.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (34..=53).collect::<Vec<_>>());
    let sources = rust();
    for (number, path, test) in rows {
        let file: Vec<_> = sources.iter().filter(|source| source.path == path).collect();
        let [file] = file[..] else { panic!("lesson {number}: there is no file {path}") };
        assert!(file.is_test(), "lesson {number}: {path} holds more than tests");
        assert!(stands(std::slice::from_ref(file), test), "lesson {number}: no {test} in {path}");
    }
}

#[test]
fn every_scenario_has_its_test_or_a_reason() {
    let chapter = files("spec", "23-scenarios.md").remove(0);
    let (guide, field) = chapter.text.split_once("## 23.2").expect("two tables");
    let (guide, field) = (rows(guide), rows(field));
    let numbers = |rows: &[(u32, &str)]| rows.iter().map(|(number, _)| *number).collect::<Vec<_>>();
    assert_eq!(numbers(&guide), (1..=84).collect::<Vec<_>>());
    assert_eq!(numbers(&field), (1..=33).chain(54..=85).collect::<Vec<_>>());
    let missing: Vec<_> = [unproven(&guide), unproven(&field)].concat();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}
