//! The tables of lessons and of scenarios name tests that exist.

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

/// Those rows that name no test and give no reason for it.
fn unproven<'a>(rows: &[(u32, &'a str)]) -> Vec<(u32, &'a str)> {
    let tests: Vec<_> = rust().into_iter().filter(|source| source.is_test()).collect();
    let proven = |cell: &str| excused(cell) || stands(&tests, cell.trim_matches('`'));
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
