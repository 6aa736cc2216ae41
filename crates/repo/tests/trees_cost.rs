//! What trees cost: which objects are read and written, time and bytes at a million entries, and what damage does.
//! That an object is not read is shown by deleting it.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use drumlin_chunks::Bucket;
use drumlin_model::{ErrorKind, Location, PackId, Placed, RepoPath, TreeId};
use drumlin_repo::{
    Error,
    trees::{Change, TreeStore},
};
use drumlin_testkit::Requests;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;

use crate::trees::{file, path, wait};

/// One entry of a tree of many: 100 folders a thousand files each at most.
fn entry(n: u64, content: u64) -> Change {
    let at = Location::Chunk {
        pack: PackId::from_bytes([(n >> 13) as u8; 32]),
        offset: (n & 8191) * 7000,
        stored: 7000,
    };
    let placed = Placed {
        at,
        ..file(content, 1_700_000_000_000_000 + n as i64 * 1000)
    };
    (path(&format!("data/{:04}/{n:08}.bin", n / 1000)), Some(placed))
}

async fn objects(bucket: &Bucket, folder: &str) -> HashSet<String> {
    bucket
        .list(folder)
        .map_ok(|object| object.key)
        .try_collect()
        .await
        .unwrap()
}

async fn stored_bytes(bucket: &Bucket) -> u64 {
    bucket
        .list("")
        .map_ok(|object| object.size)
        .try_fold(0, |sum, size| async move { Ok(sum + size) })
        .await
        .unwrap()
}

/// A tree of `count` entries and where it is kept.
async fn tree_of(count: u64) -> (Bucket, TreeId) {
    let bucket = Bucket::memory();
    let store = TreeStore::new(bucket.clone());
    let empty = store.empty().await.unwrap();
    let tree = store
        .apply(empty, (0..count).map(|n| entry(n, n)).collect())
        .await
        .unwrap();
    (bucket, tree)
}

fn on_two_threads<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn a_million_entries_build_in_seconds_and_change_in_milliseconds() {
    on_two_threads(async {
        let started = Instant::now();
        let (bucket, tree) = tree_of(1_000_000).await;
        let built = started.elapsed();
        let stored = stored_bytes(&bucket).await;
        let store = TreeStore::new(bucket.clone());
        let mut took = Vec::new();
        let mut wrote = Vec::new();
        for step in 0..21 {
            let change = entry(step * 47_619 + 17, 5);
            store.get(tree, &change.0).await.unwrap();
            let (before, started) = (stored_bytes(&bucket).await, Instant::now());
            let changed = store.apply(tree, vec![change]).await.unwrap();
            took.push(started.elapsed());
            wrote.push(stored_bytes(&bucket).await - before);
            assert_ne!(changed, tree);
        }
        took.sort();
        wrote.sort();
        let ranges = objects(&bucket, "ranges").await.len();
        let index = bucket.head(&format!("trees/{tree}")).await.unwrap().unwrap().size;
        println!("{ranges} ranges or more, an index node of {index} bytes");
        println!(
            "built in {built:?}, {stored} bytes; a change {:?} (most {:?}), {} bytes (most {})",
            took[10], took[20], wrote[10], wrote[20]
        );
        assert!(built < Duration::from_secs(8), "built in {built:?}");
        assert!(took[10] < Duration::from_millis(20), "a change took {:?}", took[10]);
        assert!(
            wrote[10] < 300_000 && wrote[20] < 500_000,
            "a change wrote {wrote:?} bytes"
        );
    });
}

#[test]
fn one_change_writes_one_range_and_one_index_node() {
    wait(async {
        let (bucket, tree) = tree_of(60_000).await;
        let ranges = objects(&bucket, "ranges").await;
        let store = TreeStore::new(bucket.clone());
        store.apply(tree, vec![entry(30_000, 1)]).await.unwrap();
        let new: Vec<_> = objects(&bucket, "ranges").await.difference(&ranges).cloned().collect();
        assert_eq!(new.len(), 1);
        assert_eq!(objects(&bucket, "trees").await.len(), 3, "the empty tree and two more");
    });
}

#[test]
fn changes_that_change_nothing_write_nothing() {
    wait(async {
        let (bucket, tree) = tree_of(10_000).await;
        let before = objects(&bucket, "").await;
        let store = TreeStore::new(bucket.clone());
        assert_eq!(store.apply(tree, vec![]).await.unwrap(), tree);
        assert_eq!(
            store
                .apply(tree, vec![entry(5, 5), (path("absent"), None)])
                .await
                .unwrap(),
            tree
        );
        assert_eq!(objects(&bucket, "").await, before);
    });
}

/// Deletes every range but those given.
async fn keep_only(bucket: &Bucket, kept: &HashSet<String>) {
    for key in objects(bucket, "ranges").await.difference(kept) {
        bucket.delete(key).await.unwrap();
    }
}

#[test]
fn a_change_and_a_diff_read_only_the_ranges_that_differ() {
    wait(async {
        let (bucket, tree) = tree_of(60_000).await;
        let before = objects(&bucket, "ranges").await;
        let changes = vec![entry(100, 1), entry(30_000, 1), (entry(50_000, 0).0, None)];
        let changed = TreeStore::new(bucket.clone())
            .apply(tree, changes.clone())
            .await
            .unwrap();
        let after: HashSet<_> = objects(&bucket, "ranges").await.difference(&before).cloned().collect();
        // The old ranges that were rewritten, found by asking with a cold cache for each path.
        let mut needed = after.clone();
        for key in &before {
            let bytes = bucket.get(key).await.unwrap();
            bucket.delete(key).await.unwrap();
            let cold = TreeStore::new(bucket.clone());
            for (path, _) in &changes {
                if matches!(cold.get(tree, path).await, Err(Error::MissingObject { .. })) {
                    needed.insert(key.clone());
                }
            }
            bucket.put_new(key, bytes).await.unwrap();
        }
        assert_eq!(needed.len(), after.len() + 3);
        keep_only(&bucket, &needed).await;
        let cold = TreeStore::new(bucket.clone());
        let found: Vec<_> = cold
            .diff(tree, changed)
            .map_ok(|difference| difference.path)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(found, changes.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>());
        let again = TreeStore::new(bucket.clone()).apply(tree, changes).await.unwrap();
        assert_eq!(again, changed);
        let error = cold.list(tree, None, None).try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "the others really are gone: {error}");
    });
}

#[test]
fn a_merge_reads_only_what_changed() {
    wait(async {
        let (bucket, base) = tree_of(60_000).await;
        let store = TreeStore::new(bucket.clone());
        let ours = store.apply(base, vec![entry(100, 1)]).await.unwrap();
        let theirs = store.apply(base, vec![entry(50_000, 2)]).await.unwrap();
        let both = store.apply(base, vec![entry(100, 1), entry(50_000, 2)]).await.unwrap();
        let mut needed = HashSet::new();
        for (tree, n) in [(base, 50_000), (theirs, 50_000)] {
            needed.insert(range_that_holds(&bucket, tree, &entry(n, 0).0).await);
        }
        keep_only(&bucket, &needed).await;
        let merged = TreeStore::new(bucket).merge(base, ours, theirs).await.unwrap();
        assert_eq!((merged.tree, merged.conflicts), (both, vec![]));
    });
}

/// The key of the range that a path is read from.
async fn range_that_holds(bucket: &Bucket, tree: TreeId, path: &RepoPath) -> String {
    for key in objects(bucket, "ranges").await {
        let bytes = bucket.get(&key).await.unwrap();
        bucket.delete(&key).await.unwrap();
        let missing = TreeStore::new(bucket.clone()).get(tree, path).await.is_err();
        bucket.put_new(&key, bytes).await.unwrap();
        if missing {
            return key;
        }
    }
    panic!("no range holds {path:?}");
}

#[test]
fn a_listing_reads_only_the_ranges_of_its_folder() {
    wait(async {
        let (bucket, tree) = tree_of(60_000).await;
        let mut needed = HashSet::new();
        for n in [30_000, 30_500, 30_999] {
            needed.insert(range_that_holds(&bucket, tree, &entry(n, 0).0).await);
        }
        keep_only(&bucket, &needed).await;
        let store = TreeStore::new(bucket);
        let folder = path("data/0030");
        assert_eq!(store.list(tree, Some(&folder), None).count().await, 1000);
        assert!(store.folder_exists(tree, &folder).await.unwrap());
        let rest = store.list(tree, Some(&folder), Some("data/0030/00030989.bin"));
        assert_eq!(rest.map(Result::unwrap).count().await, 10);
    });
}

#[test]
fn damage_is_found_by_reads_and_by_the_check() {
    wait(async {
        let (bucket, tree) = tree_of(8_000).await;
        let mut seen = HashSet::new();
        let mut entries = 0;
        let sound = TreeStore::new(bucket.clone())
            .check(tree, &mut seen, &mut |_, _| entries += 1)
            .await
            .unwrap();
        assert_eq!((sound, entries), (vec![], 8_000));
        assert_eq!(seen.len(), objects(&bucket, "ranges").await.len());
        let key = range_that_holds(&bucket, tree, &entry(4_000, 0).0).await;
        for key in [key, format!("trees/{tree}")] {
            let good = bucket.get(&key).await.unwrap();
            for at in (0..good.len()).step_by(good.len() / 50 + 1) {
                let mut bad = good.to_vec();
                bad[at] ^= 0x10;
                bucket.put(&key, bad.into()).await.unwrap();
                let cold = TreeStore::new(bucket.clone());
                let error = cold.get(tree, &entry(4_000, 0).0).await.unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported),
                    "{error}"
                );
                let problems = cold.check(tree, &mut HashSet::new(), &mut |_, _| ()).await.unwrap();
                assert_eq!(
                    problems.iter().map(|problem| &problem.object).collect::<Vec<_>>(),
                    [&key]
                );
            }
            bucket.delete(&key).await.unwrap();
            let problems = TreeStore::new(bucket.clone())
                .check(tree, &mut HashSet::new(), &mut |_, _| ())
                .await
                .unwrap();
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].detail, "it is missing");
            bucket.put(&key, good).await.unwrap();
        }
    });
}

/// A tree of many with nothing of it in memory, and what is asked of the store from now on.
async fn counted(count: u64) -> (TreeStore, TreeId, Arc<Requests>) {
    let (store, requests) = Requests::store(Arc::new(InMemory::new()));
    let bucket = Bucket::new(store);
    let building = TreeStore::new(bucket.clone());
    let empty = building.empty().await.unwrap();
    let changes = (0..count).map(|n| entry(n, n)).collect();
    let tree = building.apply(empty, changes).await.unwrap();
    requests.take();
    (TreeStore::new(bucket), tree, requests)
}

#[test]
fn many_who_ask_for_one_range_at_once_are_answered_by_one_read() {
    on_two_threads(async {
        let (store, tree, requests) = counted(20_000).await;
        let asked = (0..2_000).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.get(tree, &entry(7, 7).0).await.unwrap().is_some() })
        });
        let found = futures::future::join_all(asked).await;
        assert!(found.into_iter().all(|found| found.unwrap()));
        assert_eq!(requests.count(), 2, "the index node and the range");
    });
}

#[test]
fn requests_of_a_cold_start_are_few() {
    wait(async {
        let count = 60_000;
        let (store, tree, requests) = counted(count).await;
        assert!(store.get(tree, &entry(30_000, 0).0).await.unwrap().is_some());
        assert_eq!(requests.take().len(), 2, "the index node and the range");

        let edit = vec![entry(30_000, 1)];
        let add = vec![(path("data/0030/00030000.new"), Some(file(1, 1)))];
        let remove = vec![(entry(30_000, 0).0, None)];
        for change in [edit, add, remove] {
            let (store, tree, requests) = counted(count).await;
            store.apply(tree, change).await.unwrap();
            assert_eq!(
                requests.take().len(),
                4,
                "read the index node and the range, write both"
            );
        }

        let (store, tree, requests) = counted(count).await;
        let all: Vec<_> = store.list(tree, None, None).try_collect().await.unwrap();
        assert_eq!(all.len() as u64, count);
        let reads = requests.take().len() as u64;
        assert!(reads < 3 + count / 1024, "{reads} requests to list {count} entries");
        assert_eq!(store.summary(tree).await.unwrap().entries, count);
        assert_eq!(requests.count(), 0, "the index node is remembered");
    });
}

#[test]
fn all_of_it_may_run_on_any_thread() {
    on_two_threads(async {
        let (bucket, base) = tree_of(3_000).await;
        let store = TreeStore::new(bucket);
        let task = tokio::spawn(async move {
            let ours = store.apply(base, vec![entry(1, 9)]).await.unwrap();
            let theirs = store.apply(base, vec![entry(2, 9)]).await.unwrap();
            let merged = store.merge(base, ours, theirs).await.unwrap();
            assert!(store.folder_exists(merged.tree, &path("data")).await.unwrap());
            let problems = store
                .check(merged.tree, &mut HashSet::new(), &mut |_, _| ())
                .await
                .unwrap();
            assert_eq!(problems, []);
            store.diff(base, merged.tree).count().await
        });
        assert_eq!(task.await.unwrap(), 2);
    });
}
