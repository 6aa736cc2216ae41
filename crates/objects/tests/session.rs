//! `SessionStore` beyond the conformance suite: blobs, copies without content, conditions, and commits.

use std::sync::Arc;

use drumlin_model::{FileId, Location};
use drumlin_objects::{BLOB_LEN_MIN, SessionStore, SnapshotStore};
use futures::{StreamExt, future::join_all};
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion, path::Path};

use crate::support::{self, get, noise, path};

async fn store() -> SessionStore {
    SessionStore::new(support::session(&support::repo().await).await)
}

#[tokio::test]
async fn a_large_object_is_one_blob_and_a_small_one_is_not() {
    let store = store().await;
    let sizes = [
        (BLOB_LEN_MIN - 1, false),
        (BLOB_LEN_MIN, true),
        (3 * BLOB_LEN_MIN + 7, true),
    ];
    for (size, is_blob) in sizes {
        let key = Path::from(format!("t/{size}.parquet"));
        let content = noise(size, size as usize);
        let put = store.put(&key, content.clone().into()).await.unwrap();
        let id = FileId::of(&content).to_string();
        assert_eq!(put.e_tag.unwrap(), format!("{}-1", &id[..32]));
        let placed = store.session().entry(&path(key.as_ref())).await.unwrap().unwrap();
        assert_eq!(placed.at == Location::Blob, is_blob, "{size}");
        assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), content);
    }
    support::commit(store.session()).await;
    let snapshot = SnapshotStore::new(store.session().base());
    for (size, _) in sizes {
        assert_eq!(
            get(&snapshot, &format!("t/{size}.parquet")).await.unwrap(),
            noise(size, size as usize)
        );
    }
}

#[tokio::test]
async fn a_copy_reads_and_writes_no_content() {
    let repo = support::repo_with(&["a"]).await;
    let session = support::session(&repo).await;
    // A location that leads nowhere: whoever reads the content fails.
    let mut placed = session.entry(&path("a")).await.unwrap().unwrap();
    placed.at = Location::Unknown;
    let drumlin_model::EntryKind::File(file) = &mut placed.entry.kind else {
        panic!("a file")
    };
    file.id = FileId::of(b"content that is nowhere");
    session.put(&path("lost"), placed.clone()).await.unwrap();
    let store = SessionStore::new(session);
    assert!(get(&store, "lost").await.is_err());
    store.copy(&Path::from("lost"), &Path::from("copy")).await.unwrap();
    store
        .rename_if_not_exists(&Path::from("lost"), &Path::from("b/moved"))
        .await
        .unwrap();
    for at in ["copy", "b/moved"] {
        let found = store.session().entry(&path(at)).await.unwrap().unwrap();
        assert!(found.entry.same_content(&placed.entry));
        assert!(
            found.entry.modified > placed.entry.modified,
            "a copy is as new as the copying"
        );
    }
    assert!(store.session().entry(&path("lost")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_rename_onto_itself_keeps_the_object() {
    let store = store().await;
    let a = Path::from("a");
    store.put(&a, "x".into()).await.unwrap();
    store.rename(&a, &a).await.unwrap();
    assert_eq!(get(&store, "a").await.unwrap(), "x");
    let error = store.rename_if_not_exists(&a, &a).await.unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_creators_of_one_object_one_wins() {
    let store = Arc::new(store().await);
    for round in 0..20 {
        let key = Path::from(format!("_delta_log/{round:020}.json"));
        let tasks = (0..8).map(|writer| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move {
                let options = PutOptions::from(PutMode::Create);
                store
                    .put_opts(&key, format!("writer {writer}").into(), options)
                    .await
                    .map(|_| writer)
            })
        });
        let results = join_all(tasks)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect::<Vec<_>>();
        let winners: Vec<_> = results.iter().flatten().collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(
            get(&*store, key.as_ref()).await.unwrap(),
            format!("writer {}", winners[0])
        );
        assert!(
            results
                .iter()
                .flat_map(|r| r.as_ref().err())
                .all(|e| matches!(e, StoreError::AlreadyExists { .. }))
        );
    }
}

#[tokio::test]
async fn an_update_needs_an_etag() {
    let store = store().await;
    let known = UpdateVersion {
        e_tag: None,
        version: Some("7".into()),
    };
    store.put(&Path::from("a"), "x".into()).await.unwrap();
    let error = store
        .put_opts(&Path::from("a"), "y".into(), PutMode::Update(known).into())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Generic { .. }), "{error}");
    assert_eq!(get(&store, "a").await.unwrap(), "x");
}

#[tokio::test]
async fn a_key_that_no_tree_can_hold_cannot_be_written() {
    let store = store().await;
    for key in [".drumlin/x", "a/\u{85}"] {
        let key = Path::parse(key).unwrap();
        let error = store.put(&key, "x".into()).await.unwrap_err();
        assert!(
            error.to_string().contains("cannot be a path of a repository"),
            "{error}"
        );
        assert!(store.put_multipart(&key).await.is_err());
        store.delete(&key).await.unwrap();
    }
    assert!(store.session().changes().is_empty());
}

#[tokio::test]
async fn a_file_and_objects_below_it_are_refused() {
    let store = store().await;
    store.put(&Path::from("a"), "x".into()).await.unwrap();
    assert!(store.put(&Path::from("a/b"), "y".into()).await.is_err());
    assert_eq!(get(&store, "a").await.unwrap(), "x");
}

#[tokio::test]
async fn a_bulk_delete_goes_on_after_an_error() {
    let store = store().await;
    for key in ["a", "b"] {
        store.put(&Path::from(key), key.into()).await.unwrap();
    }
    let failed = StoreError::Generic {
        store: "test",
        source: "no key".into(),
    };
    let keys = futures::stream::iter([Ok(Path::from("a")), Err(failed), Ok(Path::from("b"))]).boxed();
    let results: Vec<_> = store
        .delete_stream(keys)
        .map(|result| result.map(|key| key.to_string()))
        .collect()
        .await;
    assert_eq!(results[0].as_deref().unwrap(), "a");
    assert!(results[1].is_err());
    assert_eq!(results[2].as_deref().unwrap(), "b");
    assert!(get(&store, "b").await.is_err());
}

#[tokio::test]
async fn nothing_is_seen_outside_before_the_commit() {
    let repo = support::repo_with(&["a"]).await;
    let (one, two) = (support::session(&repo).await, support::session(&repo).await);
    let (one, two) = (SessionStore::new(one), SessionStore::new(two));
    one.put(&Path::from("b"), "new".into()).await.unwrap();
    assert_eq!(get(&one, "b").await.unwrap(), "new");
    assert!(matches!(get(&two, "b").await.unwrap_err(), StoreError::NotFound { .. }));
    let before = SnapshotStore::new(one.session().base());
    support::commit(one.session()).await;
    assert!(get(&before, "b").await.is_err(), "a snapshot stays what it was");
    assert_eq!(
        get(&SnapshotStore::new(one.session().base()), "b").await.unwrap(),
        "new"
    );
}
