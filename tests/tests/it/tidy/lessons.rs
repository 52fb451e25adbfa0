//! The table of lessons names tests that exist.

use super::source::{files, rust};

#[test]
fn every_lesson_has_its_test() {
    let chapter = files("spec", "21-lessons.md").remove(0);
    let rows = chapter.text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let number: u32 = cells.next()?.parse().ok()?;
        let name = cells.last()?.trim_end_matches(" |").trim_matches('`');
        Some((number, name))
    });
    let rows: Vec<(u32, &str)> = rows.collect();
    let numbers: Vec<_> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (34..=53).collect::<Vec<_>>());
    let tests: Vec<_> = rust().into_iter().filter(|source| source.is_test()).collect();
    let stands = |name: &str| {
        let begins = format!("fn {name}(");
        let test = |text: &str| {
            text.split("#[test]").skip(1).chain(text.split("#[tokio::test").skip(1)).any(|rest| {
                rest.split("fn ")
                    .nth(1)
                    .is_some_and(|rest| format!("fn {rest}").starts_with(&begins))
            })
        };
        tests.iter().any(|source| source.text.contains(&begins) && test(&source.text))
    };
    let missing: Vec<_> = rows.iter().filter(|(_, name)| !stands(name)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}
