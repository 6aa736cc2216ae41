//! Damage: every byte that is flipped is found by a check and by whoever reads it.

use std::sync::Arc;

use bytes::Bytes;
use drumlin_chunks::NoProgress;
use drumlin_model::{CommitId, ErrorKind, RefKind};
use drumlin_testkit::{TestRepo, author, name, path};
use futures::TryStreamExt;

async fn keys(test: &TestRepo, folder: &str) -> Vec<String> {
    let mut keys: Vec<String> = test
        .repo
        .storage()
        .bucket
        .list(folder)
        .map_ok(|object| object.key)
        .try_collect()
        .await
        .unwrap();
    keys.sort();
    keys
}

/// A small repository: every byte of it is to be flipped.
async fn small() -> (TestRepo, CommitId) {
    let test = TestRepo::memory().await;
    test.write("main", "a", "content of a").await.unwrap();
    let head = test
        .commit("main", &[("b/c", Some("content of c")), ("a", Some("other"))])
        .await
        .unwrap();
    test.repo.tag_create(&author(), &name("v1"), head).await.unwrap();
    (test, head)
}

/// What a fresh handle says of everything that it can read.
async fn read_all(test: &TestRepo) -> Result<(), ErrorKind> {
    let test = test.reopen().await;
    let read = async {
        let refs = test.repo.refs().await?;
        for target in refs.branches.values().chain(refs.tags.values()) {
            let mut log = test.repo.recorded_all(test.repo.log(target.commit));
            while let Some(recorded) = log.try_next().await? {
                test.files(recorded.id).await?;
            }
        }
        Ok::<_, drumlin_repo::Error>(())
    };
    read.await.map_err(|error| error.kind())
}

#[tokio::test]
async fn every_flipped_byte_of_commits_and_trees_is_found() {
    let (test, _) = small().await;
    assert_eq!(test.problems().await.unwrap(), Vec::<String>::new());
    let bucket = &test.repo.storage().bucket;
    let mut flipped = 0;
    for folder in ["commits", "provenance", "trees", "ranges"] {
        let found = keys(&test, folder).await;
        assert!(found.len() > 1, "{folder}");
        for key in found {
            let whole = bucket.get(&key).await.unwrap();
            for at in 0..whole.len() {
                let mut damaged = whole.to_vec();
                damaged[at] ^= 1 << (at % 8);
                bucket.put(&key, Bytes::from(damaged)).await.unwrap();
                let problems = test.reopen().await.problems().await.unwrap();
                assert!(
                    problems.iter().any(|problem| problem.starts_with(&key)),
                    "{key} byte {at}: {problems:?}"
                );
                let read = read_all(&test).await.unwrap_err();
                assert!(
                    matches!(read, ErrorKind::Corrupt | ErrorKind::Unsupported),
                    "{key} byte {at}: {read:?}"
                );
                flipped += 1;
            }
            bucket.put(&key, whole).await.unwrap();
        }
    }
    assert!(flipped > 1000);
    assert_eq!(test.reopen().await.problems().await.unwrap(), Vec::<String>::new());
    read_all(&test).await.unwrap();
}

#[tokio::test]
async fn every_flipped_byte_of_packs_is_found_and_named() {
    let (test, head) = small().await;
    let bucket = &test.repo.storage().bucket;
    for key in keys(&test, "packs").await {
        let whole = bucket.get(&key).await.unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.to_vec();
            damaged[at] ^= 1 << (at % 8);
            bucket.put(&key, Bytes::from(damaged)).await.unwrap();
            let fresh = test.reopen().await;
            let problems = fresh.problems().await.unwrap();
            assert!(
                problems.iter().any(|problem| problem.starts_with(&key)),
                "{key} byte {at}: {problems:?}"
            );
            // Nothing wrong is ever returned: whatever is still readable is right.
            if let Ok(files) = fresh.files(head).await {
                assert_eq!(files["a"], "other");
                assert_eq!(files["b/c"], "content of c");
            }
        }
        bucket.put(&key, whole).await.unwrap();
    }
}

#[tokio::test]
async fn every_flipped_byte_of_the_root_is_found() {
    let (test, _) = small().await;
    let storage = test.repo.storage();
    let (whole, _) = storage.root.load().await.unwrap().unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.to_vec();
        damaged[at] ^= 1 << (at % 8);
        let (_, version) = storage.root.load().await.unwrap().unwrap();
        storage.root.swap(Some(&version), Bytes::from(damaged)).await.unwrap();
        let read = test.reopen().await.repo.refs().await.unwrap_err().kind();
        assert!(
            matches!(read, ErrorKind::Corrupt | ErrorKind::Unsupported),
            "byte {at}: {read:?}"
        );
        match test.reopen().await.problems().await {
            Ok(problems) => assert!(problems.iter().any(|problem| problem.starts_with("root")), "byte {at}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "byte {at}"),
        }
    }
}

#[tokio::test]
async fn a_missing_object_is_named_with_a_path_and_a_commit() {
    for folder in ["commits", "trees", "ranges", "packs"] {
        let (test, head) = small().await;
        let bucket = &test.repo.storage().bucket;
        for key in keys(&test, folder).await {
            let whole = bucket.get(&key).await.unwrap();
            bucket.delete(&key).await.unwrap();
            let problems = test.reopen().await.repo.fsck(&NoProgress).await.unwrap().problems;
            assert!(!problems.is_empty(), "{key}");
            if folder == "packs" {
                let named = problems.iter().find(|problem| problem.path.is_some()).unwrap();
                assert!(named.commit.is_some());
                assert!([path("a"), path("b/c")].contains(named.path.as_ref().unwrap()));
            } else {
                assert!(
                    problems
                        .iter()
                        .any(|problem| problem.object == key && problem.commit.is_some()),
                    "{key}"
                );
            }
            bucket.put(&key, whole).await.unwrap();
        }
        assert!(test.reopen().await.files(head).await.is_ok());
    }
}

#[tokio::test]
async fn blobs_are_checked_and_counted() {
    let test = TestRepo::memory().await;
    let session = test.session("main").await;
    let content = Bytes::from(vec![7; 100_000]);
    session.write_blob(&path("big.parquet"), content.clone()).await.unwrap();
    session.commit(drumlin_testkit::info("a blob")).await.unwrap();
    let report = test.repo.fsck(&NoProgress).await.unwrap();
    assert!(report.is_clean());
    assert_eq!(
        (report.refs, report.commits, report.blobs, report.files, report.bytes),
        (1, 2, 1, 1, 100_000)
    );
    let bucket = &test.repo.storage().bucket;
    let key = keys(&test, "blobs").await.remove(0);
    let mut damaged = content.to_vec();
    damaged[50_000] ^= 1;
    bucket.put(&key, Bytes::from(damaged)).await.unwrap();
    let problems = test.reopen().await.repo.fsck(&NoProgress).await.unwrap().problems;
    assert!(problems.iter().any(|problem| problem.object == key));
    assert!(problems.iter().any(|problem| problem.path == Some(path("big.parquet"))));
    let snapshot = test.reopen().await.repo.snapshot(&name("main").into()).await.unwrap();
    assert_eq!(
        snapshot.read(&path("big.parquet")).await.unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}

/// What `fsck` says once the root's `main` was changed by hand.
async fn with_main_changed(test: TestRepo, change: impl FnOnce(&mut drumlin_model::Ref)) -> Vec<String> {
    let storage = test.repo.storage();
    let (bytes, version) = storage.root.load().await.unwrap().unwrap();
    let mut root = drumlin_model::Root::from_bytes(&bytes).unwrap();
    change(root.refs.of_mut(RefKind::Branch).get_mut(&name("main")).unwrap());
    let changed = Bytes::from(root.to_bytes());
    storage.root.swap(Some(&version), changed).await.unwrap();
    let repo = drumlin_repo::Repo::open(storage.clone(), Arc::new(test.clock.clone())).await;
    let test = TestRepo {
        repo: repo.unwrap(),
        ..test
    };
    test.problems().await.unwrap()
}

#[tokio::test]
async fn a_ref_that_lies_about_its_commit_is_found() {
    let (test, head) = small().await;
    let parent = test.repo.commit(head).await.unwrap().parents[0];
    let other = test.repo.commit(parent).await.unwrap().tree;
    let lie = |what: &str| {
        let short = head.short();
        [format!(
            "branch main, commit {short}: it names another {what} than its commit"
        )]
    };
    assert_eq!(with_main_changed(test, |main| main.tree = other).await, lie("tree"));
    let (test, _) = small().await;
    let problems = with_main_changed(test, |main| *main.generation.as_mut().unwrap() += 1).await;
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].ends_with("it names another generation than its commit"),
        "{problems:?}"
    );
}
