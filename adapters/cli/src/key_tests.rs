use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// spec: R-TKT-5
#[test]
fn a_key_is_made_once_and_kept() {
    let folder = folder();
    let path = folder.path().join("new/deep/key");
    let first = load_or_make(Some(&path)).unwrap();
    assert!(first.made);
    let second = load_or_make(Some(&path)).unwrap();
    assert!(!second.made);
    assert_eq!(first.key.id(), second.key.id());
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing temporary is left");
}

/// spec: R-TKT-5
#[cfg(unix)]
#[test]
fn others_may_not_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = folder.path().join("key");
    load_or_make(Some(&path)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    for mode in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let failure = load_or_make(Some(&path)).unwrap_err();
        assert_eq!(failure.cause, Cause::LocalIo);
        assert!(failure.message.contains("chmod 600"), "{failure}");
    }
}

/// spec: R-TKT-5
#[test]
fn a_damaged_file_is_no_key_and_is_not_replaced() {
    let folder = folder();
    let path = folder.path().join("key");
    let key = NodeKey::from_seed(&[3; 32]);
    let good = text(&key);
    assert_eq!(parse(&good).unwrap().id(), key.id());
    for bad in [
        "",
        "aqsk1",
        "nonsense",
        &good[..40],
        &good.replace("aqsk1", "aqsk2"),
        &good.to_ascii_uppercase(),
        &format!("{}a", good.trim()),
    ] {
        fs::write(&path, bad).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let failure = load_or_make(Some(&path)).unwrap_err();
        assert_eq!(failure.cause, Cause::LocalIo, "{bad:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), bad);
    }
}

/// spec: R-TKT-5
#[test]
fn every_changed_letter_is_noticed() {
    let good = text(&NodeKey::from_seed(&[4; 32]));
    for at in 0..good.trim().len() {
        let mut letters = good.as_bytes().to_vec();
        letters[at] = if letters[at] == b'a' { b'b' } else { b'a' };
        assert!(parse(std::str::from_utf8(&letters).unwrap()).is_none(), "letter {at}");
    }
}

#[test]
fn the_usual_place() {
    let env = |set: &'static [(&str, &str)]| {
        usual_path(|name| set.iter().find(|(n, _)| *n == name).map(|(_, v)| PathBuf::from(v)))
    };
    let both = env(&[("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")]);
    assert_eq!(both, Ok(PathBuf::from("/c/aqueduct/key")));
    assert_eq!(env(&[("HOME", "/h")]), Ok(PathBuf::from("/h/.config/aqueduct/key")));
    let relative = env(&[("XDG_CONFIG_HOME", "c"), ("HOME", "/h")]);
    assert_eq!(relative, Ok(PathBuf::from("/h/.config/aqueduct/key")));
    assert_eq!(env(&[("HOME", "")]).unwrap_err().cause, Cause::LocalIo);
}

#[test]
fn many_that_begin_at_once_get_one_key() {
    let folder = folder();
    let path = folder.path().join("key");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> =
            (0..8).map(|_| scope.spawn(|| load_or_make(Some(&path)).unwrap().key.id())).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
}

/// spec: R-TKT-6
#[test]
fn the_twin_is_another_node_and_always_the_same() {
    let key = NodeKey::from_seed(&[5; 32]);
    assert_ne!(twin(&key).id(), key.id());
    assert_eq!(twin(&key).id(), twin(&key).id());
    assert_ne!(twin(&key).id(), twin(&NodeKey::from_seed(&[6; 32])).id());
}
