//! C programs with the library, compiled by the machine's C compiler.

#![expect(clippy::expect_used, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aqueduct_core::trace;

/// The static library that was built with this test: it lies beside it.
fn library() -> PathBuf {
    let here = std::env::current_exe().expect("a path");
    let library = here.parent().expect("a folder").join("libaqueduct_c.a");
    assert!(library.exists(), "no {}", library.display());
    library
}

fn said(what: &str, output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{out}\n{err}", output.status);
    out
}

/// Compiles a program of `tests/c`, links it with the library, and runs it.
fn run(name: &str) -> String {
    run_with(name, &[])
}

/// The same, with files that it is to write.
fn run_with(name: &str, files: &[PathBuf]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join(name);
    let compiled = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(root.join("include"))
        .arg(root.join(format!("tests/c/{name}.c")))
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .output()
        .expect("a C compiler");
    said("the compiler", &compiled);
    said(name, &Command::new(&program).args(files).output().expect("a program"))
}

#[test]
fn a_c_program_moves_a_file_over_udp() {
    let out = run("transfer");
    println!("{out}");
    assert!(out.contains("equal digests"), "{out}");
    assert!(out.contains("receiver: closed by the peer's application with code 0: bye"), "{out}");
}

/// spec: R-CB-6
#[test]
fn a_c_program_records_two_nodes_and_both_tapes_run_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["sender.tape", "receiver.tape"].map(|name| folder.path().join(name));
    run_with("recorded", &files);
    for file in files {
        let tape = std::fs::read(&file).expect("a tape");
        let summary = trace::replay(&tape);
        let summary = summary.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(summary.is_whole() && summary.events > 3, "{summary:?}");
        let bytes = summary.received.1.max(summary.sent.1);
        assert!(bytes > 100_000 && tape.len() > 100_000, "{summary:?}");
    }
}

/// spec: R-CB-1
#[cfg(debug_assertions)]
#[test]
fn no_panic_crosses_into_a_c_program() {
    assert!(run("panic").contains("still here"));
}

#[test]
fn the_header_is_a_header_for_cpp_too() {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/aqueduct.h");
    let Ok(found) = Command::new("c++").arg("--version").output() else {
        println!("SAID ALOUD: no C++ compiler here; the header is only compiled as C");
        return;
    };
    said("c++", &found);
    let args = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++"];
    said("c++", &Command::new("c++").args(args).arg(header).output().expect("c++"));
}
