use bytes::Bytes;

use super::*;
use crate::names::UNFINISHED;

fn header(path: &str, size: Option<u64>) -> FileHeader {
    FileHeader { path: path.into(), size, executable: false }
}

fn digest(data: &[u8]) -> [u8; 32] {
    *blake3::hash(data).as_bytes()
}

fn put(store: &mut Store, path: &str, data: &'static [u8]) -> Result<(), Rejection> {
    store.take(Part::File(header(path, Some(data.len() as u64))))?;
    store.take(Part::Data(Bytes::from_static(data)))?;
    store.take(Part::FileEnd(digest(data)))?;
    Ok(())
}

fn end(store: &mut Store) -> Result<Stored, Rejection> {
    let summary = store.tally.summary();
    store.take(Part::End(summary)).map(|stored| stored.expect("the end stores"))
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// spec: R-FILE-9
#[test]
fn nothing_has_its_name_before_the_end_and_nothing_else_is_left_after() {
    let target = tempfile::tempdir().unwrap();
    let mut store = Store::new(target.path(), Existing::Keep).unwrap();
    put(&mut store, "a", b"abc").unwrap();
    store.take(Part::Folder("d".into())).unwrap();
    put(&mut store, "d/b", b"").unwrap();
    assert!(names_in(target.path()).iter().all(|name| name.starts_with(UNFINISHED)));
    let stored = end(&mut store).unwrap();
    drop(store);
    assert_eq!(names_in(target.path()), ["a", "d"]);
    assert_eq!(stored.paths, [target.path().join("a"), target.path().join("d")]);
    assert_eq!(fs::read(target.path().join("a")).unwrap(), b"abc");
    assert_eq!(fs::read(target.path().join("d/b")).unwrap(), b"");
    assert_eq!((stored.summary.entries, stored.summary.bytes), (3, 3));

    let mut store = Store::new(target.path(), Existing::Keep).unwrap();
    put(&mut store, "half", b"abc").unwrap();
    drop(store);
    assert_eq!(names_in(target.path()), ["a", "d"], "a dropped transfer leaves nothing");
}

/// spec: R-FILE-7
#[test]
fn wrong_digests_sizes_and_counts_are_integrity_failures() {
    let target = tempfile::tempdir().unwrap();
    let start = |size| {
        let mut store = Store::new(target.path(), Existing::Keep).unwrap();
        store.take(Part::File(header("a", size))).unwrap();
        store
    };
    let data = Part::Data(Bytes::from_static(b"abc"));
    let mut store = start(Some(3));
    store.take(data.clone()).unwrap();
    assert_eq!(store.take(Part::FileEnd(digest(b"abd"))).unwrap_err().code, Code::Integrity);
    let mut store = start(Some(2));
    assert_eq!(store.take(data.clone()).unwrap_err().code, Code::Integrity);
    let mut store = start(Some(4));
    store.take(data.clone()).unwrap();
    assert_eq!(store.take(Part::FileEnd(digest(b"abc"))).unwrap_err().code, Code::Integrity);
    let mut store = start(None);
    store.take(data).unwrap();
    store.take(Part::FileEnd(digest(b"abc"))).unwrap();
    let mut claimed = store.tally.summary();
    claimed.bytes += 1;
    let rejection = store.take(Part::End(claimed)).unwrap_err();
    assert_eq!((rejection.code, rejection.failure.cause), (Code::Integrity, Cause::Integrity));
    assert!(names_in(target.path()).iter().all(|name| name.starts_with(UNFINISHED)));
}

/// spec: R-FILE-10
#[test]
fn what_is_there_stays_unless_told_otherwise() {
    let target = tempfile::tempdir().unwrap();
    fs::write(target.path().join("a"), "old").unwrap();
    let mut store = Store::new(target.path(), Existing::Keep).unwrap();
    let rejection = put(&mut store, "a", b"new").unwrap_err();
    assert_eq!((rejection.code, rejection.failure.cause), (Code::Exists, Cause::Refused));
    drop(store);

    // It came into being while the transfer ran.
    let mut store = Store::new(target.path(), Existing::Keep).unwrap();
    put(&mut store, "late", b"new").unwrap();
    fs::write(target.path().join("late"), "mine").unwrap();
    assert_eq!(end(&mut store).unwrap_err().code, Code::Exists);
    drop(store);
    assert_eq!(fs::read(target.path().join("late")).unwrap(), b"mine");

    let mut store = Store::new(target.path(), Existing::Overwrite).unwrap();
    put(&mut store, "a", b"new").unwrap();
    end(&mut store).unwrap();
    assert_eq!(fs::read(target.path().join("a")).unwrap(), b"new");
}

/// spec: R-FILE-10
#[test]
fn folders_are_merged_only_when_told() {
    let target = tempfile::tempdir().unwrap();
    fs::create_dir_all(target.path().join("d/e")).unwrap();
    fs::write(target.path().join("d/mine"), "mine").unwrap();
    fs::write(target.path().join("d/e/f"), "old").unwrap();
    let mut store = Store::new(target.path(), Existing::Keep).unwrap();
    assert_eq!(store.take(Part::Folder("d".into())).unwrap_err().code, Code::Exists);
    drop(store);
    let mut store = Store::new(target.path(), Existing::Overwrite).unwrap();
    store.take(Part::Folder("d".into())).unwrap();
    store.take(Part::Folder("d/e".into())).unwrap();
    put(&mut store, "d/e/f", b"new").unwrap();
    end(&mut store).unwrap();
    drop(store);
    assert_eq!(fs::read(target.path().join("d/e/f")).unwrap(), b"new");
    assert_eq!(fs::read(target.path().join("d/mine")).unwrap(), b"mine");
    let mut store = Store::new(target.path(), Existing::Overwrite).unwrap();
    put(&mut store, "d", b"a file").unwrap();
    assert_eq!(end(&mut store).unwrap_err().code, Code::Exists);
}

/// spec: R-FILE-8, R-FILE-10
#[cfg(unix)]
#[test]
fn links_in_the_target_are_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    let target = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "safe").unwrap();
    std::os::unix::fs::symlink(outside.path(), target.path().join("d")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), target.path().join("f")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("new"), target.path().join("hollow")).unwrap();
    for existing in [Existing::Keep, Existing::Overwrite] {
        let mut store = Store::new(target.path(), existing).unwrap();
        let result = store.take(Part::Folder("d".into()));
        let result = result.and_then(|_| put(&mut store, "d/secret", b"evil"));
        let result = result.and_then(|()| end(&mut store).map(drop));
        assert_eq!(result.unwrap_err().code, Code::Exists);
    }
    for name in ["f", "hollow"] {
        let mut store = Store::new(target.path(), Existing::Keep).unwrap();
        assert_eq!(put(&mut store, name, b"evil").unwrap_err().code, Code::Exists);
    }
    // Overwriting replaces the link itself.
    let mut store = Store::new(target.path(), Existing::Overwrite).unwrap();
    put(&mut store, "f", b"evil").unwrap();
    end(&mut store).unwrap();
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"safe");
    assert_eq!(names_in(outside.path()), ["secret"]);
}

/// spec: R-FILE-8
#[test]
fn hostile_names_touch_nothing() {
    let around = tempfile::tempdir().unwrap();
    let target = around.path().join("target");
    for name in ["../x", "/tmp/x", "a/../../x", "..", "con", "a\\..\\x", ".aqueduct-q", "a\nb"] {
        let mut store = Store::new(&target, Existing::Overwrite).unwrap();
        let rejection = put(&mut store, name, b"evil").unwrap_err();
        assert_eq!((rejection.code, rejection.failure.cause), (Code::Name, Cause::Refused));
        let rejection = store.take(Part::Folder(name.into())).unwrap_err();
        assert_eq!(rejection.code, Code::Name, "{name:?}");
    }
    assert_eq!(names_in(around.path()), ["target"]);
    assert!(names_in(&target).is_empty());
}

/// spec: R-FILE-8
#[test]
fn a_name_twice_and_a_file_as_a_folder() {
    let target = tempfile::tempdir().unwrap();
    let mut store = Store::new(target.path(), Existing::Overwrite).unwrap();
    put(&mut store, "a", b"1").unwrap();
    assert_eq!(put(&mut store, "a", b"2").unwrap_err().code, Code::Name);
    assert_eq!(put(&mut store, "a/b", b"2").unwrap_err().code, Code::Name);
    assert_eq!(put(&mut store, "no/such/folder", b"2").unwrap_err().code, Code::Name);
}

/// spec: R-FILE-11
#[cfg(unix)]
#[test]
fn modes_are_ours() {
    use std::os::unix::fs::PermissionsExt;
    let target = tempfile::tempdir().unwrap();
    let mut store = Store::new(target.path(), Existing::Keep).unwrap();
    store.take(Part::Folder("d".into())).unwrap();
    store
        .take(Part::File(FileHeader { path: "run".into(), size: None, executable: true }))
        .unwrap();
    store.take(Part::FileEnd(digest(b""))).unwrap();
    put(&mut store, "read", b"1").unwrap();
    end(&mut store).unwrap();
    let mode = |name| fs::metadata(target.path().join(name)).unwrap().permissions().mode() & 0o7777;
    // Nothing beyond these, whatever the umask takes away.
    assert_eq!(mode("read") & !0o644, 0);
    assert_eq!(mode("run") & !0o755, 0);
    assert_eq!(mode("d") & !0o755, 0);
    assert_eq!(mode("run") & 0o700, 0o700);
    assert_eq!(mode("read") & 0o700, 0o600);
}

#[test]
fn bytes_of_no_file_are_malformed() {
    let target = tempfile::tempdir().unwrap();
    let mut store = Store::new(target.path(), Existing::Keep).unwrap();
    let data = Part::Data(Bytes::from_static(b"x"));
    assert_eq!(store.take(data).unwrap_err().code, Code::Malformed);
    assert_eq!(store.take(Part::FileEnd([0; 32])).unwrap_err().code, Code::Malformed);
}
