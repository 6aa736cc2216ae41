//! The bytes of the index, as the page of stored formats has them. A change here needs a new format.

use std::{fs, path::Path, time::Duration};

use drumlin_model::{ErrorKind, FileId, RefTarget};
use drumlin_testkit::info;
use drumlin_worktree::{Error, WorkingCopy};
use heed::{
    CommitOrAbort, Database, EnvOpenOptions,
    types::{Bytes, Str},
};
use tempfile::TempDir;

use crate::kit::{Kit, Node, clock, committed, open};

/// 2024-01-01T00:00:00Z.
const SECONDS: u64 = 1_704_067_200;
/// Its microseconds, as a zigzag varint.
const MICROSECONDS: [u8; 8] = [0x80, 0x80, 0x89, 0x82, 0xe2, 0xf5, 0x86, 0x06];

/// Gives one database of the index to `look`. Nobody else may have the index open.
fn with_database<T>(
    folder: &Path,
    name: &str,
    look: impl FnOnce(&mut heed::RwTxn<'_>, Database<'static, Str, Bytes>) -> T,
) -> T {
    // SAFETY: the working copy is closed, and nothing but LMDB touches the file.
    let env = unsafe { EnvOpenOptions::new().max_dbs(3).open(folder.join(".drumlin/work")) }.unwrap();
    let txn = env.read_txn().unwrap();
    let opened: heed::Result<_> = env.open_databases_and_commit(txn, |opener, txn| {
        let database = opener.open_database::<Str, Bytes>(txn, Some(name))?;
        Ok(CommitOrAbort::<_, ()>::Commit(database))
    });
    let database = opened.unwrap().commit().unwrap().unwrap();
    let mut txn = env.write_txn().unwrap();
    let found = look(&mut txn, database);
    txn.commit().unwrap();
    env.prepare_for_closing().wait();
    found
}

fn stored(folder: &Path, database: &str, key: &str) -> Vec<u8> {
    with_database(folder, database, |txn, database| {
        database
            .get(txn, key)
            .unwrap()
            .unwrap_or_else(|| panic!("no {key}"))
            .to_vec()
    })
}

fn put(folder: &Path, database: &str, key: &str, value: &[u8]) {
    with_database(folder, database, |txn, database| database.put(txn, key, value).unwrap());
}

/// A working copy with a file added and one deleted, closed, and where its head is.
async fn closed() -> (TempDir, RefTarget) {
    let kit = Kit::with(&[("before", "1")]).await;
    kit.write("a", "hello\n");
    let modified = std::time::UNIX_EPOCH + Duration::from_secs(SECONDS);
    let file = fs::File::options().write(true).open(kit.at("a")).unwrap();
    file.set_modified(modified).unwrap();
    kit.remove("before");
    kit.add_all().await;
    let head = kit.copy.head().unwrap().base;
    let Kit { folder, copy } = kit;
    drop(copy);
    (folder, head)
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_as_the_page_says() {
    let (folder, head) = closed().await;
    let folder = folder.path();
    assert_eq!(stored(folder, "meta", "format"), [1]);
    let expected = [b"\x01\x04main", &head.commit.as_bytes()[..], head.tree.as_bytes()].concat();
    assert_eq!(stored(folder, "meta", "head"), expected);

    let id: FileId = blake3::hash(b"hello\n").into();
    let kind = [&[0][..], id.as_bytes(), &[6, 0]].concat();
    let staged = stored(folder, "staged", "a");
    let entry = [&[1][..], &kind, &MICROSECONDS, &[0]].concat();
    assert_eq!(staged[..entry.len()], entry, "an entry, its time, no attributes");
    let (location, change) = staged[entry.len()..].split_at(staged.len() - entry.len() - 1);
    assert_eq!((location[0], change), (1, &[0][..]), "one chunk, added");
    let pack = fs::read_dir(folder.join(".drumlin/repo/packs")).unwrap();
    let packs: Vec<String> = pack
        .map(|pack| pack.unwrap().file_name().into_string().unwrap())
        .collect();
    let named = location[1..33]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    assert!(
        packs.iter().any(|pack| pack.contains(&named)),
        "{named} is none of {packs:?}"
    );
    assert_eq!(
        stored(folder, "staged", "before"),
        [0, 0, 2],
        "no entry, no location, deleted"
    );

    // A stat, if the file was at rest long enough, then the kind.
    let known = stored(folder, "files", "a");
    assert!(known.ends_with(&kind), "{known:?}");
    let stat = &known[..known.len() - kind.len()];
    assert!(stat == [0] || stat[..2] == [1, 6], "{stat:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_were_written_by_the_page_are_read() {
    let (folder, _) = closed().await;
    let link = [b"\x01\x01\x06target".to_vec(), MICROSECONDS.to_vec(), vec![0, 0, 0]].concat();
    put(folder.path(), "staged", "link", &link);
    let empty = [b"\x01\x02".to_vec(), MICROSECONDS.to_vec(), vec![0, 0, 0]].concat();
    put(folder.path(), "staged", "empty", &empty);
    let copy = WorkingCopy::discover(folder.path(), clock(), &open).await.unwrap();
    copy.commit(info("by hand")).await.unwrap();
    let tree = committed(&copy.repo().snapshot(&"main".parse().unwrap()).await.unwrap()).await;
    assert_eq!(tree["link"], Node::Link("target".into()));
    assert_eq!(tree["empty"], Node::Folder);
    assert!(!tree.contains_key("before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_a_newer_format_is_refused() {
    let (folder, _) = closed().await;
    put(folder.path(), "meta", "format", &[2]);
    let error = WorkingCopy::discover(folder.path(), clock(), &open)
        .await
        .err()
        .unwrap();
    assert!(
        matches!(
            error,
            Error::TooNew {
                found: 2,
                newest: 1,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    with_database(folder.path(), "meta", |txn, database| {
        database.delete(txn, "format").unwrap()
    });
    let error = WorkingCopy::discover(folder.path(), clock(), &open)
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
