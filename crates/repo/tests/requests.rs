//! Requests to the store are counted, because a bucket charges for each in time and money.

use std::sync::Arc;

use bytes::Bytes;
use drumlin_model::{Entry, EntryKind, File, FileId, Location, Placed, RefKind, Timestamp};
use drumlin_testkit::{Requests, TestRepo, info, name, path};
use object_store::memory::InMemory;

/// Files in the tree: some 500 ranges of it.
const FILES: u32 = 1_000_000;

/// A store with a large tree in it and one file that can be read.
async fn large() -> (Arc<InMemory>, TestRepo) {
    let store = Arc::new(InMemory::new());
    let (storage, _) = Requests::storage(store.clone());
    let test = TestRepo::create(storage).await;
    let session = test.session("main").await;
    for number in 0..FILES {
        let file = File {
            id: FileId::of(&number.to_le_bytes()),
            size: 4,
            executable: false,
        };
        let entry = Entry {
            kind: EntryKind::File(file),
            modified: Timestamp::from_micros(0),
        };
        let at = path(&format!("folder{}/file{number}", number % 97));
        session
            .put(
                &at,
                Placed {
                    entry,
                    at: Location::Unknown,
                },
            )
            .await
            .unwrap();
    }
    session
        .write(&path("folder50/small"), Bytes::from("small content"))
        .await
        .unwrap();
    session.commit(info("large")).await.unwrap();
    (store, test)
}

#[tokio::test]
async fn reads_and_commits_stay_within_their_budgets() {
    let (store, warm) = large().await;
    let (storage, requests) = Requests::storage(store.clone());
    let cold = TestRepo::open(storage, warm.clock.clone()).await;
    let snapshot = cold.repo.snapshot(&name("main").into()).await.unwrap();
    assert_eq!(snapshot.read(&path("folder50/small")).await.unwrap(), "small content");
    let read = requests.take();
    assert!(read.len() <= 5, "a cold open and the read of one small file: {read:?}");

    let (storage, requests) = Requests::storage(store.clone());
    let cold = TestRepo::open(storage, warm.clock.clone()).await;
    let session = cold.session("main").await;
    session
        .write(&path("folder50/small"), Bytes::from("other content"))
        .await
        .unwrap();
    session.commit(info("one file")).await.unwrap();
    let commit = requests.take();
    assert!(commit.len() <= 8, "a cold commit of one changed file: {commit:?}");

    session
        .write(&path("folder50/small"), Bytes::from("third content"))
        .await
        .unwrap();
    session.commit(info("one file again")).await.unwrap();
    let again = requests.take();
    assert!(again.len() <= 5, "a warm commit of one changed file: {again:?}");

    let head = cold
        .repo
        .refs()
        .await
        .unwrap()
        .get(RefKind::Branch, &name("main"))
        .unwrap();
    assert_eq!(
        cold.repo.trees().summary(head.tree).await.unwrap().entries,
        u64::from(FILES) + 1
    );
}

#[tokio::test]
async fn a_session_on_a_known_commit_costs_no_look_at_the_root_more() {
    let (store, warm) = large().await;
    let base = warm
        .repo
        .refs()
        .await
        .unwrap()
        .get(RefKind::Branch, &name("main"))
        .unwrap();
    let (storage, requests) = Requests::storage(store.clone());
    let cold = TestRepo::open(storage, warm.clock.clone()).await;
    let session = cold.repo.session_on(&name("main"), base);
    assert_eq!(requests.count(), 0);
    session.write(&path("new"), Bytes::from("content")).await.unwrap();
    session.commit(info("one file")).await.unwrap();
    assert!(requests.count() <= 8, "{:?}", requests.take());
}

#[tokio::test]
async fn a_commit_beside_another_costs_what_changed() {
    let (store, warm) = large().await;
    let (storage, requests) = Requests::storage(store.clone());
    let test = TestRepo::open(storage, warm.clock.clone()).await;
    let session = test.session("main").await;
    session.write(&path("folder1/mine"), Bytes::from("mine")).await.unwrap();
    warm.write("main", "folder90/theirs", "theirs").await.unwrap();
    requests.take();
    session.commit(info("mine")).await.unwrap();
    // Two tries: tree, range, pack, range, tree, commit, swap; then root, tree, two ranges of the diff, and the writes.
    let spent = requests.take();
    assert!(spent.len() <= 16, "{spent:?}");
}
