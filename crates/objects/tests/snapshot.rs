//! `SnapshotStore`: what was committed reads the same as it did in the session, and nothing can be written.

use drumlin_model::{Cure, Entry, EntryKind, External, Location, Placed, Timestamp};
use drumlin_objects::{Error, SessionStore, SnapshotStore, object_path, repo_path};
use drumlin_repo::Snapshot;
use futures::{StreamExt, TryStreamExt};
use object_store::{Error as StoreError, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, path::Path};

use crate::support::{self, get, path};

/// Names that the conformance suite uses because stores get them wrong.
const AWKWARD: [&str; 9] = [
    "a a/b.file",
    "a%2Fa.file",
    "a/a%2F.file",
    "a/😀.file",
    "🇦🇺/$shenanigans@@~.txt",
    "%48%45%4C%4C%4F/foo.parquet",
    "foo/x.json",
    "foo.bar/y.json",
    "%Q.parquet",
];

async fn stores(files: &[&str]) -> (SessionStore, SnapshotStore) {
    let repo = support::repo_with(files).await;
    let session = support::session(&repo).await;
    let snapshot = SnapshotStore::new(session.base());
    (SessionStore::new(session), snapshot)
}

async fn snapshot_of(files: &[&str]) -> SnapshotStore {
    stores(files).await.1
}

async fn listed(store: &dyn ObjectStore, prefix: Option<&str>) -> Vec<ObjectMeta> {
    let prefix = prefix.map(|prefix| Path::parse(prefix).unwrap());
    store.list(prefix.as_ref()).try_collect().await.unwrap()
}

fn names(objects: &[ObjectMeta]) -> Vec<&str> {
    objects.iter().map(|object| object.location.as_ref()).collect()
}

#[tokio::test]
async fn a_commit_lists_and_reads_as_its_session_did() {
    let (session, snapshot) = stores(&AWKWARD).await;
    let listed_there = listed(&session, None).await;
    let mut sorted = AWKWARD;
    sorted.sort_unstable();
    assert_eq!(names(&listed_there), sorted);
    assert_eq!(listed(&snapshot, None).await, listed_there);
    for key in AWKWARD {
        assert_eq!(get(&snapshot, key).await.unwrap(), key);
        let head = snapshot.head(&Path::parse(key).unwrap()).await.unwrap();
        assert_eq!(head.size, key.len() as u64);
        assert_eq!(head.e_tag.unwrap(), format!("{}-1", &blake3_hex(key)[..32]));
        assert_eq!(head.version, None);
    }
}

fn blake3_hex(content: &str) -> String {
    drumlin_model::FileId::of(content.as_bytes()).to_string()
}

#[tokio::test]
async fn folders_are_prefixes_and_never_partial_names() {
    let store = snapshot_of(&AWKWARD).await;
    assert_eq!(names(&listed(&store, Some("foo")).await), ["foo/x.json"]);
    assert!(listed(&store, Some("foo/x")).await.is_empty());
    assert!(
        listed(&store, Some("foo/x.json")).await.is_empty(),
        "an object is not below itself"
    );
    let found = store.list_with_delimiter(Some(&Path::from("a"))).await.unwrap();
    assert_eq!(names(&found.objects), ["a/a%2F.file", "a/😀.file"]);
    assert!(found.common_prefixes.is_empty());
}

#[tokio::test]
async fn the_delimited_listing_of_a_large_folder_skips_it_and_misses_nothing() {
    let many: Vec<String> = (0..3000).map(|n| format!("big/{n:04}")).collect();
    let mut files: Vec<&str> = many.iter().map(String::as_str).collect();
    // What sorts right before and after the folder's slash, and after all of its names.
    files.extend(["big-", "big.csv", "big0", "big/\u{10ffff}\u{10ffff}", "c/d", "z"]);
    let store = snapshot_of(&files).await;
    let found = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(names(&found.objects), ["big-", "big.csv", "big0", "z"]);
    assert_eq!(found.common_prefixes, [Path::from("big"), Path::from("c")]);
}

#[tokio::test]
async fn the_listing_after_an_offset_leaves_the_offset_out() {
    let store = snapshot_of(&["a", "b/1", "b/2", "b-", "c"]).await;
    let after = |prefix: Option<&'static str>, offset: &str| {
        let prefix = prefix.map(Path::from);
        let listing = store.list_with_offset(prefix.as_ref(), &Path::parse(offset).unwrap());
        listing.map_ok(|meta| meta.location.to_string()).try_collect::<Vec<_>>()
    };
    assert_eq!(after(None, "b/1").await.unwrap(), ["b/2", "c"]);
    assert_eq!(after(Some("b"), "b/1").await.unwrap(), ["b/2"]);
    assert_eq!(after(Some("b"), "a").await.unwrap(), ["b/1", "b/2"]);
    assert_eq!(after(Some("b"), "c").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn every_write_is_refused_with_the_cure() {
    let store = snapshot_of(&["a", "b"]).await;
    let (a, b) = (Path::from("a"), Path::from("b"));
    let deleted = store.delete_stream(futures::stream::iter([Ok(a.clone()), Ok(b.clone())]).boxed());
    let mut errors: Vec<StoreError> = deleted.map(|result| result.unwrap_err()).collect().await;
    assert_eq!(errors.len(), 2);
    errors.extend([
        store.put(&a, "x".into()).await.unwrap_err(),
        store.put_multipart(&a).await.unwrap_err(),
        store.copy(&a, &b).await.unwrap_err(),
        store.rename_if_not_exists(&a, &b).await.unwrap_err(),
    ]);
    for error in errors {
        let StoreError::PermissionDenied { source, .. } = error else {
            panic!("{error}")
        };
        let error = source.downcast::<Error>().unwrap();
        assert_eq!(
            error.cures(),
            [Cure::say("open a session on a branch and write through its store")]
        );
    }
    assert_eq!(get(&store, "a").await.unwrap(), "a");
}

#[tokio::test]
async fn a_key_that_no_tree_can_hold_is_not_there() {
    let store = snapshot_of(&["a"]).await;
    let long = "x".repeat(300);
    for key in [".drumlin/config", long.as_str(), "a/\u{85}"] {
        let error = get(&store, key).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{key}: {error}");
        assert!(listed(&store, Some(key)).await.is_empty());
    }
}

async fn with_entries(entries: &[(&str, EntryKind)]) -> (SessionStore, Snapshot) {
    let repo = support::repo_with(&["data/file"]).await;
    let session = support::session(&repo).await;
    for (at, kind) in entries {
        let entry = Entry::new(kind.clone(), Timestamp::from_micros(5_000_000));
        session
            .put(
                &path(at),
                Placed {
                    entry,
                    at: Location::Unknown,
                },
            )
            .await
            .unwrap();
    }
    support::commit(&session).await;
    let base = session.base();
    (SessionStore::new(session), base)
}

#[tokio::test]
async fn folders_and_links_are_no_objects() {
    let link = EntryKind::Symlink { target: "file".into() };
    let (session, base) = with_entries(&[("data/empty", EntryKind::Folder), ("data/link", link)]).await;
    let stores: [&dyn ObjectStore; 2] = [&session, &SnapshotStore::new(base)];
    for store in stores {
        assert_eq!(names(&listed(store, None).await), ["data/file"]);
        let found = store.list_with_delimiter(Some(&Path::from("data"))).await.unwrap();
        assert!(found.common_prefixes.is_empty());
        let folder = get(store, "data/empty").await.unwrap_err();
        assert!(matches!(folder, StoreError::NotFound { .. }), "{folder}");
        let link = get(store, "data/link").await.unwrap_err();
        assert!(matches!(&link, StoreError::NotSupported { source } if source.to_string().contains("symbolic link")));
    }
    let error = session.delete(&Path::from("data/link")).await.unwrap_err();
    assert!(
        matches!(error, StoreError::NotSupported { .. }),
        "a bulk delete must not take links: {error}"
    );
    session.delete(&Path::from("data/empty")).await.unwrap();
    assert!(session.session().entry(&path("data/empty")).await.unwrap().is_some());
}

#[tokio::test]
async fn an_external_entry_is_an_object_that_says_where_it_is() {
    let external = External {
        size: 77,
        container: "s3://elsewhere/".into(),
        key: "x.parquet".into(),
        etag: "\"abc\"".into(),
        version: String::new(),
    };
    let (_, base) = with_entries(&[("x.parquet", EntryKind::External(external))]).await;
    let store = SnapshotStore::new(base);
    let head = store.head(&Path::from("x.parquet")).await.unwrap();
    assert_eq!((head.size, head.e_tag.as_deref()), (77, Some("\"abc\"")));
    assert_eq!(head.last_modified.timestamp(), 5);
    let error = get(&store, "x.parquet").await.unwrap_err();
    assert!(matches!(&error, StoreError::NotSupported { .. }), "{error}");
    assert!(error.to_string().contains("x.parquet"), "{error}");
    let read = support::path("x.parquet");
    let error = store.snapshot().read(&read).await.unwrap_err();
    assert!(error.to_string().contains("at s3://elsewhere/x.parquet"), "{error}");
}

#[tokio::test]
async fn asking_for_a_version_is_refused() {
    let store = snapshot_of(&["a"]).await;
    let error = store
        .get_opts(&Path::from("a"), GetOptions::new().with_version(Some("1")))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotSupported { .. }), "{error}");
}

#[test]
fn every_path_is_a_key_and_back() {
    for text in AWKWARD {
        assert_eq!(repo_path(&object_path(&path(text))).unwrap(), path(text));
    }
    // `Path::from` escapes; a name with such letters is another name, as on S3.
    assert_eq!(repo_path(&Path::from("what?.csv")).unwrap(), path("what%3F.csv"));
}
