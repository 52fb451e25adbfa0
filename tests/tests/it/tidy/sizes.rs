//! A file stays under 600 lines, a function under 70, a line within 100 columns.

use super::source::{Source, rust};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
const COLUMNS: usize = 100;

#[test]
fn files_functions_and_lines_stay_short() {
    let mut wrong = Vec::new();
    for source in rust() {
        for (number, line) in source.text.lines().enumerate() {
            if line.chars().count() > COLUMNS && !line.contains("http") && !source.is_test() {
                wrong.push(format!("{}:{}: over {COLUMNS} columns", source.path, number + 1));
            }
        }
        if source.is_test() {
            continue;
        }
        let lines = source.text.lines().count();
        if lines >= FILE_LINES {
            wrong.push(format!("{}: {lines} lines", source.path));
        }
        for (name, at, length) in functions(&source) {
            if length >= FUNCTION_LINES {
                wrong.push(format!("{}:{at}: fn {name} has {length} lines", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Name, first line and number of lines of each function with a body.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let code = source.code();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let name: String =
            code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let Some(length) = body_end(&code[at..]) else { continue };
        if !name.is_empty() {
            let first = code[..at].matches('\n').count() + 1;
            found.push((name, first, code[at..at + length].matches('\n').count() + 1));
        }
    }
    found
}

/// Length up to the closing brace of the body that follows; `None` for a signature alone.
fn body_end(code: &str) -> Option<usize> {
    let (mut level, mut round) = (0_i32, 0_i32);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            ';' if level == 0 && round == 0 => return None,
            '{' => level += 1,
            '}' => {
                level -= 1;
                if level == 0 {
                    return Some(at + 1);
                }
                if level < 0 {
                    return None;
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn function_lengths_are_counted() {
    let text = "pub fn a(x: [u8; 2]) -> u8 {\n  if x { 1 } else { 2 }\n}\ntrait T { fn b(); }\n";
    let source = Source { path: "x.rs".to_owned(), text: text.to_owned() };
    assert_eq!(functions(&source), [("a".to_owned(), 1, 3)]);
}
