use std::fs;
use std::path::{Path, PathBuf};

use aqueduct_core::trace::Trace;

use super::{TARGETS, Target};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Steps that a file must make at least, so that none of them dies at the door. Targets that only
/// decode have files that are refused, too; a step is what was read.
fn least(name: &str) -> usize {
    match name {
        "frame" | "hello" | "packet" | "params" | "route" | "ticket" | "writer" => 0,
        _ => 3,
    }
}

/// Every file of every target, played to its end. A target without a corpus fails.
#[test]
fn the_corpus_replays() {
    for Target { name, run } in TARGETS {
        let files = files(&root().join("corpus").join(name));
        assert!(files.len() >= 3, "no corpus for {name}");
        let (count, mut read, mut longest) = (files.len(), 0, 0);
        for file in files {
            let bytes = fs::read(&file).unwrap();
            println!("{}", file.display());
            let steps = run(&bytes);
            assert!(steps >= least(name), "{} makes {steps} steps", file.display());
            longest = longest.max(steps);
            read += usize::from(steps > 0);
        }
        println!("{name}: {read} of {count} files are read, {longest} steps at most");
        assert!(read >= 3, "{name}: {read} of {count} files are read");
        assert!(longest >= 2 * least(name), "no file of {name} goes deep");
    }
}

/// A fuzzer may bring anything, and nothing at all.
#[test]
fn every_target_survives_the_shortest_inputs() {
    for Target { run, .. } in TARGETS {
        for len in 0..12 {
            run(&vec![0; len]);
            run(&vec![0xff; len]);
        }
    }
}

#[test]
fn every_folder_and_every_binary_has_its_target() {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let stems = |folder: &str| -> Vec<String> {
        let stem = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
        files(&root().join(folder)).iter().map(stem).collect()
    };
    assert_eq!(stems("corpus"), names);
    assert_eq!(stems("fuzz_targets"), names);
}

/// The bytes of the vectors in `spec/vectors/FILE`, by name.
fn vectors(file: &str) -> Vec<(String, Vec<u8>)> {
    let text = fs::read_to_string(root().join("../spec/vectors").join(file)).expect(file);
    let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut parts = line.split(" | ");
            let name = parts.next().unwrap().to_owned();
            let hex = parts.next().unwrap().as_bytes();
            (name, hex.chunks(2).map(byte).collect())
        })
        .collect()
}

/// Adds the golden vectors to the corpus, and only when asked:
/// `AQUEDUCT_WRITE_CORPUS=1 cargo test -p aqueduct-fuzz seed_the_corpus -- --ignored`.
#[test]
#[ignore = "writes fuzz/corpus when AQUEDUCT_WRITE_CORPUS=1"]
fn seed_the_corpus() {
    if std::env::var("AQUEDUCT_WRITE_CORPUS").as_deref() != Ok("1") {
        return;
    }
    let add = |target: &str, name: &str, bytes: &[u8]| {
        let folder = root().join("corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    };
    let frames = vectors("frames.txt");
    let all = |from: &[(String, Vec<u8>)]| -> Vec<u8> {
        from.iter().filter(|(n, _)| !n.contains("last")).flat_map(|(_, b)| b.clone()).collect()
    };
    for entry in fs::read_dir(root().join("../spec/traces")).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_stem().filter(|_| path.extension().is_some_and(|e| e == "tape"))
        else {
            continue;
        };
        let bytes = fs::read(&path).unwrap();
        let name = name.to_string_lossy();
        if bytes.len() < 20_000 {
            add("tape", &name, &bytes);
        }
        for (at, segment) in Trace::open(&bytes).unwrap().segments().enumerate() {
            let records = segment.records.get(..2_000).unwrap_or(segment.records);
            add("tape", &format!("{name}-{at}"), &[&[0], records].concat());
        }
    }
    for (at, part) in frames.chunks(12).enumerate() {
        add("frame", &format!("many-{at}"), &all(part));
        add("writer", &format!("many-{at}"), &all(part));
    }
    let sets = [
        ("frame", "frames.txt"),
        ("frame", "frames-other-forms.txt"),
        ("frame", "frames-refused.txt"),
        ("packet", "packets.txt"),
        ("hello", "hello.txt"),
        ("params", "params.txt"),
        ("params", "params-refused.txt"),
    ];
    let tickets = include_str!("../../spec/vectors/tickets.txt").lines();
    for (at, line) in tickets.filter(|line| line.starts_with("aq1")).enumerate() {
        let text = line.split(" | ").next().unwrap_or_default().trim();
        add("ticket", &format!("golden-{at}"), text.as_bytes());
    }
    for (target, file) in sets {
        for (name, bytes) in vectors(file) {
            add(target, &name, &bytes);
        }
    }
}

/// The bytes of a dictionary's line as libFuzzer reads it: `name="..."`, with `\\`, `\"` and `\xab`.
fn word(line: &str) -> Option<Vec<u8>> {
    let (_, quoted) = line.split_once('"')?;
    let mut rest = quoted.strip_suffix('"')?.as_bytes();
    let digit = |hex: &u8| char::from(*hex).to_digit(16);
    let mut word = Vec::new();
    loop {
        let (byte, behind) = match rest {
            [] => return Some(word),
            [b'\\', b'x', high, low, behind @ ..] => {
                (u8::try_from(digit(high)? * 16 + digit(low)?).ok()?, behind)
            }
            [b'\\', plain @ (b'\\' | b'"'), behind @ ..] => (*plain, behind),
            [b'\\' | b'"', ..] => return None,
            [plain @ b' '..=b'~', behind @ ..] => (*plain, behind),
            _ => return None,
        };
        word.push(byte);
        rest = behind;
    }
}

/// What libFuzzer would refuse ends a run before it begins; words of more than 64 bytes it leaves
/// out and says nothing.
#[test]
fn every_dictionary_has_its_target_and_its_words_are_read() {
    use aqueduct_core::tape::Op;
    let mut seen = 0;
    for file in files(&root()) {
        if file.extension().is_none_or(|ending| ending != "dict") {
            continue;
        }
        seen += 1;
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(TARGETS.iter().any(|target| target.name == name), "no target {name}");
        let text = fs::read_to_string(&file).unwrap();
        let mut words = std::collections::BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let word = word(line).unwrap_or_else(|| panic!("{name}: {line}"));
            assert!((1..=64).contains(&word.len()), "{name}: {line}");
            assert!(words.insert(word), "{name}: {line} says the same as another");
        }
        if name == "tape" {
            let missing = Op::ALL.iter().find(|op| !words.contains(&[**op as u8][..]));
            assert_eq!(missing, None, "an operation without a word");
        }
    }
    assert!(seen >= 7, "{seen} dictionaries");
    for refused in ["name", r#"name="\x4""#, r#"name="\n""#, r#"name="a"b""#, "name=\"\u{e9}\""] {
        assert_eq!(word(refused), None, "{refused}");
    }
    assert_eq!(word(r#"name="a\\\"\x00b""#), Some(b"a\\\"\0b".to_vec()));
}
