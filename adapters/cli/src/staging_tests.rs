use super::*;

/// spec: R-FILE-9
#[test]
fn only_what_nobody_owns_is_removed() {
    let target = tempfile::tempdir().unwrap();
    let place = |name: &str| target.path().join(name);
    let living = Staging::new(target.path()).unwrap();
    fs::write(living.path().join("half"), "a").unwrap();
    // Somebody who died in the middle, and somebody who died before he began.
    fs::create_dir(place(".aqueduct-dead.part")).unwrap();
    fs::write(place(".aqueduct-dead.part/.aqueduct-lock"), "").unwrap();
    fs::write(place(".aqueduct-dead.part/half"), "a").unwrap();
    fs::create_dir(place(".aqueduct-empty.part")).unwrap();
    // What only looks like it.
    fs::create_dir(place(".aqueduct-full.part")).unwrap();
    fs::write(place(".aqueduct-full.part/x"), "precious").unwrap();
    fs::write(place(".aqueduct-file.part"), "precious").unwrap();
    fs::create_dir(place("other.part")).unwrap();

    let mut removed = tidy_up(target.path());
    removed.sort();
    assert_eq!(removed, [place(".aqueduct-dead.part"), place(".aqueduct-empty.part")]);
    assert!(removed.iter().all(|folder| !folder.exists()));
    assert!(living.path().join("half").exists());
    assert!(place(".aqueduct-full.part/x").exists() && place(".aqueduct-file.part").exists());
    assert!(place("other.part").exists());
    assert!(tidy_up(target.path()).is_empty());

    let path = living.path().to_owned();
    drop(living);
    assert!(!path.exists());
    assert!(tidy_up(&place("nowhere")).is_empty());
}

/// A link to somewhere else is neither followed nor removed.
#[cfg(unix)]
#[test]
fn links_are_left_alone() {
    let (target, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(elsewhere.path().join(LOCK), "").unwrap();
    let link = target.path().join(".aqueduct-link.part");
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    let folder = target.path().join(".aqueduct-inside.part");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join(LOCK), folder.join(LOCK)).unwrap();
    assert!(tidy_up(target.path()).is_empty());
    assert!(elsewhere.path().join(LOCK).exists() && folder.exists());
    fs::symlink_metadata(link).unwrap();
}
