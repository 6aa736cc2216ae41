//! A tree at the most ranges that it may have: one path more is refused, and nothing has changed.
//! The index node is made by hand, so that no path but those of its last range is ever made.

use drumlin_chunks::Bucket;
use drumlin_model::{
    ErrorKind, RangeId, RepoPath, TreeId,
    tree::{Range, RangeRef, TREE_RANGES_MAX, Tree},
};
use drumlin_repo::{
    Error,
    trees::{Change, TreeStore},
};
use futures::TryStreamExt;

use crate::trees::{ends_range, file, path, wait};

/// A tree of that many ranges, of which only the last is stored; and that range's last path, at which it ends.
async fn tree_of(bucket: &Bucket, ranges: usize) -> (TreeId, RepoPath) {
    let end = (0..).map(|n| path(&format!("z/{n:06}"))).find(ends_range).unwrap();
    let last = Range {
        entries: vec![(end.clone(), file(1, 1))],
    };
    let last = last.encode().unwrap();
    bucket
        .put(&format!("ranges/{}", last.reference.id), last.bytes.into())
        .await
        .unwrap();
    let made_up = |n: usize| RangeRef {
        id: RangeId::of(&n.to_le_bytes()),
        first: path(&format!("a/{n:08}/a")),
        last: path(&format!("a/{n:08}/b")),
        entries: 1000,
        bytes: 1000,
    };
    let mut tree = Tree {
        ranges: (1..ranges).map(made_up).collect(),
    };
    tree.ranges.push(last.reference);
    let (id, bytes) = tree.encode().unwrap();
    bucket.put(&format!("trees/{id}"), bytes.into()).await.unwrap();
    (id, end)
}

async fn keys(bucket: &Bucket, folder: &str) -> Vec<String> {
    bucket
        .list(folder)
        .map_ok(|object| object.key)
        .try_collect()
        .await
        .unwrap()
}

/// A path after all others.
fn added(number: u64) -> Change {
    (path(&format!("zz/{number}")), Some(file(number, 1)))
}

#[test]
fn a_tree_takes_its_most_ranges_and_refuses_one_more() {
    wait(async {
        let bucket = Bucket::memory();
        let (tree, end) = tree_of(&bucket, TREE_RANGES_MAX - 1).await;
        let store = TreeStore::new(bucket.clone());
        // The last range ends at its last path, so that what comes after it is in a range of its own.
        let full = store.apply(tree, vec![added(1)]).await.unwrap();
        assert_eq!(
            store.summary(full).await.unwrap().entries,
            store.summary(tree).await.unwrap().entries + 1
        );
        assert!(store.get(full, &end).await.unwrap().is_some());
        assert!(
            TreeStore::new(bucket.clone())
                .get(full, &added(1).0)
                .await
                .unwrap()
                .is_some()
        );

        let bucket = Bucket::memory();
        let (full, end) = tree_of(&bucket, TREE_RANGES_MAX).await;
        let store = TreeStore::new(bucket.clone());
        let trees = keys(&bucket, "trees").await;
        let error = store.apply(full, vec![added(1)]).await.unwrap_err();
        assert!(matches!(error, Error::Format(_)), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(
            error.to_string(),
            "the tree would have 65537 ranges; at most 65536 are read back"
        );
        assert_eq!(keys(&bucket, "trees").await, trees, "no tree was written");
        // What needs no further range still goes.
        store.apply(full, vec![(end, Some(file(7, 7)))]).await.unwrap();
    });
}

/// The index node is kept in memory, as large as it may be: it is gone from the store when it is asked for again.
#[test]
fn the_largest_index_node_is_fetched_once() {
    wait(async {
        let bucket = Bucket::memory();
        let (tree, end) = tree_of(&bucket, TREE_RANGES_MAX).await;
        let store = TreeStore::new(bucket.clone());
        store.get(tree, &end).await.unwrap().unwrap();
        bucket.delete(&format!("trees/{tree}")).await.unwrap();
        store.get(tree, &end).await.unwrap().unwrap();
    });
}
