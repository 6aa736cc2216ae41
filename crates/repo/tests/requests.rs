//! Requests to the store are counted, because a bucket charges for each in time and money.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use drumlin_chunks::{Bucket, ObjectRoot, Storage};
use drumlin_model::{Entry, EntryKind, File, FileId, Location, Placed, RefKind, Timestamp};
use drumlin_testkit::{
    Request, Requests, TestRepo, author, info, name, path,
    watched_store::{WatchedStore, Watcher},
};
use object_store::{
    memory::InMemory,
    throttle::{ThrottleConfig, ThrottledStore},
};

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
        let entry = Entry::new(EntryKind::File(file), Timestamp::from_micros(0));
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
    // Root; index node; range; pack, range, index node and provenance; commit; swap.
    assert!(commit.len() <= 9, "a cold commit of one changed file: {commit:?}");

    session
        .write(&path("folder50/small"), Bytes::from("third content"))
        .await
        .unwrap();
    session.commit(info("one file again")).await.unwrap();
    let again = requests.take();
    assert!(again.len() <= 6, "a warm commit of one changed file: {again:?}");

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
    assert!(requests.count() <= 9, "{:?}", requests.take());
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
    // Two tries: tree, parent, range, pack, range, tree, provenance, commit, swap; then root, tree, parent, two ranges of
    // the diff, and the writes but for the pack.
    let spent = requests.take();
    assert!(spent.len() <= 20, "{spent:?}");
}

#[tokio::test]
async fn a_commit_beside_another_branch_is_written_once() {
    let (storage, requests) = Requests::storage(Arc::new(InMemory::new()));
    let test = TestRepo::create(storage).await;
    let head = test.write("main", "a", "1").await.unwrap();
    let session = test.session("main").await;
    session.write(&path("a"), Bytes::from("mine")).await.unwrap();
    test.reopen()
        .await
        .repo
        .tag_create(&author(), &name("v1"), head)
        .await
        .unwrap();
    requests.take();
    session.commit(info("mine")).await.unwrap();
    let spent = requests.take();
    let commits = spent.iter().filter(|request| request.key.starts_with("commits/"));
    assert_eq!(commits.count(), 1, "{spent:?}");
    // What is new, in one go; then the swap that is lost, a look at the root, and the swap.
    assert_eq!(spent.len(), 4 + 1 + 3, "{spent:?}");
}

/// How many requests had to wait for one another: each comes one after the latest that was answered when it was made.
#[derive(Debug, Default)]
struct Rounds {
    under_way: Mutex<Vec<(Request, usize)>>,
    done: AtomicUsize,
}

impl Watcher for Rounds {
    fn before(&self, request: &Request) -> object_store::Result<()> {
        let round = self.done.load(Ordering::SeqCst) + 1;
        self.under_way.lock().unwrap().push((request.clone(), round));
        Ok(())
    }

    fn after(&self, request: &Request) -> object_store::Result<()> {
        let mut under_way = self.under_way.lock().unwrap();
        let at = under_way.iter().position(|(asked, _)| asked == request).unwrap();
        self.done.fetch_max(under_way.swap_remove(at).1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn what_a_commit_names_is_written_in_one_round() {
    let store = Arc::new(InMemory::new());
    let (storage, _) = Requests::storage(store.clone());
    let warm = TestRepo::create(storage).await;
    warm.write("main", "a", "1").await.unwrap();
    // Long enough that requests which are made together overlap on a busy machine too.
    let slow = ThrottledStore::new(
        store.fork(),
        ThrottleConfig {
            wait_get_per_call: Duration::from_millis(100),
            wait_put_per_call: Duration::from_millis(100),
            ..ThrottleConfig::default()
        },
    );
    let rounds = Arc::new(Rounds::default());
    let store = Arc::new(WatchedStore::new(Arc::new(slow), rounds.clone()));
    let storage = Storage {
        bucket: Bucket::new(store.clone()),
        root: Arc::new(ObjectRoot::new(store)),
        ..Storage::memory()
    };
    let cold = TestRepo::open(storage, warm.clock.clone()).await;
    let session = cold.session("main").await;
    session.write(&path("a"), Bytes::from("2")).await.unwrap();
    session.commit(info("cold")).await.unwrap();
    assert_eq!(rounds.done.swap(0, Ordering::SeqCst), 6, "a cold commit");
    session.write(&path("a"), Bytes::from("3")).await.unwrap();
    session.commit(info("warm")).await.unwrap();
    assert_eq!(rounds.done.load(Ordering::SeqCst), 3, "a warm commit");
}
