use std::path::{Component, Path};

use proptest::prelude::*;

use super::*;

/// spec: R-FILE-8
#[test]
fn harmless_names_pass_as_they_are() {
    let deep = vec!["d"; MAX_DEPTH].join("/");
    let longest = "x".repeat(MAX_PART);
    for name in [
        "a",
        "a.txt",
        "dir/sub/file",
        ".hidden",
        "...x",
        "häuser.md",
        "日本",
        "a b",
        "12:30?.log",
        "com10",
        "console.txt",
        "nulls",
        "lpt",
        "a..b",
        &deep,
        &longest,
    ] {
        assert_eq!(parts(name, Habits::Unix).map(|parts| parts.join("/")), Ok(name.into()));
    }
}

/// spec: R-FILE-8
#[test]
fn hostile_names_are_refused_each_by_its_rule() {
    let deep = vec!["d"; MAX_DEPTH + 1].join("/");
    let long_part = "x".repeat(MAX_PART + 1);
    let long = vec!["x".repeat(250); 17].join("/");
    for (name, rule) in [
        ("", NameError::Empty),
        ("/etc/passwd", NameError::Empty),
        ("a//b", NameError::Empty),
        ("a/", NameError::Empty),
        ("..", NameError::Dots),
        ("../a", NameError::Dots),
        ("a/../../b", NameError::Dots),
        ("a/.", NameError::Dots),
        ("./a", NameError::Dots),
        ("a\\b", NameError::Separator),
        ("..\\a", NameError::Separator),
        ("C:\\x", NameError::Separator),
        ("\\\\host\\share", NameError::Separator),
        ("a\0b", NameError::Control),
        ("a\nb", NameError::Control),
        ("a\x1b[2J", NameError::Control),
        ("a\u{7f}", NameError::Control),
        ("a\u{85}b", NameError::Control),
        ("x\u{202e}txt.exe", NameError::Control),
        ("a\u{200b}", NameError::Control),
        ("a.", NameError::Ending),
        ("a ", NameError::Ending),
        ("d ./x", NameError::Ending),
        ("...", NameError::Ending),
        (".. ", NameError::Ending),
        ("con", NameError::Reserved),
        ("NUL", NameError::Reserved),
        ("aux.txt", NameError::Reserved),
        ("d/Com1.log", NameError::Reserved),
        ("lpt9", NameError::Reserved),
        ("COM¹", NameError::Reserved),
        ("con .txt", NameError::Reserved),
        ("CONIN$", NameError::Reserved),
        (".aqueduct-x.part", NameError::Reserved),
        (".AQUEDUCT-x", NameError::Reserved),
        ("a/.aqueduct-y", NameError::Reserved),
        (&deep, NameError::Deep),
        (&long_part, NameError::Long),
        (&long, NameError::Long),
    ] {
        assert_eq!(parts(name, Habits::Unix), Err(rule), "{name:?}");
        assert!(parts(name, Habits::Windows).is_err(), "{name:?}");
    }
}

/// spec: R-FILE-8
#[test]
fn what_only_windows_takes_ill() {
    for name in ["C:x", "file:stream", "a?", "a*", "a<b", "a>b", "a|b", "a\"b"] {
        assert!(parts(name, Habits::Unix).is_ok(), "{name}");
        assert_eq!(parts(name, Habits::Windows), Err(NameError::Separator), "{name}");
    }
}

#[test]
fn nothing_of_the_other_side_moves_the_cursor() {
    assert_eq!(printable("a\x1b[31mb\u{202e}c\r\n"), "a?[31mb?c??");
    assert_eq!(printable("höflich 日本"), "höflich 日本");
}

proptest! {
    /// spec: R-FILE-8, R-LIM-4
    #[test]
    fn what_passes_stays_below_the_folder(name in "[a./\\\\: \u{0}\u{202e}cCoOnN1-]{0,24}") {
        for habits in [Habits::Unix, Habits::Windows] {
            if let Ok(parts) = parts(&name, habits) {
                let path = parts.iter().collect::<std::path::PathBuf>();
                prop_assert!(Path::new(&path).components().all(|c| matches!(c, Component::Normal(_))));
                prop_assert_eq!(path.components().count(), parts.len());
                prop_assert_eq!(parts.join("/"), name.clone());
            }
        }
    }

    #[test]
    fn any_text_can_be_asked(name: String) {
        let _ = parts(&name, Habits::Unix);
        prop_assert!(!printable(&name).chars().any(char::is_control));
    }
}
