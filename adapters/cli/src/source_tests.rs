use crate::body::{Decoder, Part};
use crate::store::{Existing, Store};

use super::*;

fn collect(plan: Plan, block: usize) -> Result<(Vec<u8>, Summary), Failure> {
    let mut blocks = spawn(plan, block).unwrap();
    let mut all = Vec::new();
    loop {
        match blocks.blocking_recv().expect("a last block") {
            Block::Bytes { bytes, .. } => all.extend(&bytes[..]),
            Block::End(summary) => return Ok((all, summary)),
            Block::Failed(failure) => return Err(failure),
        }
    }
}

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("d/e/empty")).unwrap();
    fs::write(folder.path().join("d/b"), "bee").unwrap();
    fs::write(folder.path().join("d/a"), vec![7; 3000]).unwrap();
    fs::write(folder.path().join("d/e/zero"), "").unwrap();
    folder
}

/// spec: R-FILE-4, R-FILE-6
#[test]
fn a_tree_arrives_as_it_was() {
    let folder = tree();
    let plan = Plan::walk(&[folder.path().join("d")], None).unwrap();
    let offer = plan.offer();
    assert_eq!((offer.entries, offer.bytes, offer.folders), (6, Some(3003), true));
    assert_eq!(offer.name, "d");
    for block in [1, 1000, 1 << 20] {
        let (bytes, summary) = collect(plan.clone(), block).unwrap();
        assert_eq!(plan.body(block), Some(bytes.len() as u64), "in blocks of {block}");
        let target = tempfile::tempdir().unwrap();
        let mut store = Store::new(target.path(), Existing::Keep).unwrap();
        let mut decoder = Decoder::new();
        let mut input = Bytes::from(bytes);
        let mut stored = None;
        while let Some(part) = decoder.next(&mut input).unwrap() {
            stored = store.take(part).unwrap();
        }
        assert_eq!(stored.unwrap().summary, summary);
        assert_eq!(fs::read(target.path().join("d/a")).unwrap(), vec![7; 3000]);
        assert_eq!(fs::read(target.path().join("d/e/zero")).unwrap(), b"");
        assert!(target.path().join("d/e/empty").is_dir());
    }
}

#[test]
fn files_that_change_are_noticed() {
    let folder = tree();
    let path = folder.path().join("d/a");
    for changed in [vec![7; 2999], vec![7; 3001]] {
        fs::write(&path, vec![7; 3000]).unwrap();
        let plan = Plan::walk(std::slice::from_ref(&path), None).unwrap();
        fs::write(&path, changed).unwrap();
        let failure = collect(plan, 1 << 20).unwrap_err();
        assert_eq!(failure.cause, Cause::LocalIo);
        assert!(failure.message.contains("changed"), "{failure}");
    }
    let plan = Plan::walk(std::slice::from_ref(&path), None).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(collect(plan, 100).unwrap_err().cause, Cause::LocalIo);
}

#[test]
fn arguments_that_cannot_be_sent() {
    let folder = tree();
    let cause = |files: &[PathBuf], name| Plan::walk(files, name).unwrap_err().cause;
    assert_eq!(cause(&[folder.path().join("none")], None), Cause::LocalIo);
    let a = folder.path().join("d/a");
    assert_eq!(cause(&[a.clone(), a], None), Cause::Usage);
    assert_eq!(cause(&["-".into()], Some("../x")), Cause::Usage);
    assert_eq!(cause(&["/".into()], None), Cause::Usage);
    fs::write(folder.path().join("d/aux"), "").unwrap();
    assert_eq!(cause(&[folder.path().join("d")], None), Cause::Usage);
}

#[cfg(unix)]
#[test]
fn links_to_files_are_sent_and_circles_are_not() {
    let folder = tree();
    std::os::unix::fs::symlink("a", folder.path().join("d/link")).unwrap();
    std::os::unix::fs::symlink("..", folder.path().join("d/circle")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("d/hollow")).unwrap();
    let plan = Plan::walk(&[folder.path().join("d")], None).unwrap();
    assert_eq!(plan.bytes(), Some(6003));
    let skipped: Vec<_> = plan.skipped.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(skipped, ["circle", "hollow"]);
}

#[test]
fn an_unknown_size_is_unknown_in_the_offer() {
    let plan = Plan::walk(&["-".into()], Some("x.bin")).unwrap();
    let offer = plan.offer();
    assert_eq!((offer.bytes, offer.name.as_str(), offer.entries), (None, "x.bin", 1));
    let parts = body::file(&FileHeader { path: "x".into(), size: None, executable: false });
    let part = Decoder::new().next(&mut Bytes::from(parts)).unwrap();
    assert!(matches!(part, Some(Part::File(FileHeader { size: None, .. }))));
}
